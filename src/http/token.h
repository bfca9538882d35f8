/* Tokens of RFC 9110, section 5.6.2: what a method or a header's name may be. */
#ifndef HTTP_TOKEN_H
#define HTTP_TOKEN_H

#include <stdbool.h>
#include <string.h>

static inline bool token_is_valid(const char *text)
{
	static const char allowed[] = "!#$%&'*+-.^_`|~0123456789"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	return text[0] != '\0' && text[strspn(text, allowed)] == '\0';
}

#endif
