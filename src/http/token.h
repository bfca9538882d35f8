/* Tokens of RFC 9110, section 5.6.2: what a method or a header's name may be. */
#ifndef HTTP_TOKEN_H
#define HTTP_TOKEN_H

#include <stddef.h>

/* Length of the token that the text is, or 0: it is none. */
size_t token_length(const char *text);

#endif
