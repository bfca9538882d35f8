#include "http/token.h"

#include <stdbool.h>

size_t token_length(const char *text)
{
	static const bool allowed[256] = {
		['!'] = true,
		['#' ... '\''] = true,
		['*'] = true,
		['+'] = true,
		['-'] = true,
		['.'] = true,
		['0' ... '9'] = true,
		['A' ... 'Z'] = true,
		['^' ... 'z'] = true,
		['|'] = true,
		['~'] = true,
	};
	size_t len = 0;

	while (allowed[(unsigned char)text[len]])
		len++;
	return text[len] == '\0' ? len : 0;
}
