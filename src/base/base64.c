#include "base/base64.h"

#include "bunshin/error.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(struct buf *out, const void *bytes, size_t len)
{
	const unsigned char *in = bytes;
	char *to = buf_reserve(out, (len + 2) / 3 * 4);

	if (to == NULL)
		return out->err;
	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t group = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
				 (left > 2 ? (uint32_t)in[i + 2] : 0);

		*to++ = alphabet[group >> 18];
		*to++ = alphabet[group >> 12 & 63];
		*to++ = left > 1 ? alphabet[group >> 6 & 63] : '=';
		*to++ = left > 2 ? alphabet[group & 63] : '=';
	}
	buf_advance(out, (len + 2) / 3 * 4);
	return 0;
}

static int digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(char *text, size_t len, size_t *ret_bytes)
{
	size_t padding = 0;
	size_t bytes = 0;

	if (len % 4 != 0)
		return ERR_SYNTAX;
	if (len > 0 && text[len - 1] == '=')
		padding = text[len - 2] == '=' ? 2 : 1;
	for (size_t i = 0; i < len; i += 4) {
		size_t digits = i + 4 == len ? 4 - padding : 4;
		uint32_t group = 0;

		for (size_t k = 0; k < 4; k++) {
			int value = k < digits ? digit_value(text[i + k]) : 0;

			if (value < 0)
				return ERR_SYNTAX;
			group = group << 6 | (uint32_t)value;
		}
		/* 2 digits carry one byte and 4 idle bits, 3 carry two bytes and 2 idle bits. */
		if ((digits == 2 && (group & 0xffff) != 0) || (digits == 3 && (group & 0xff) != 0))
			return ERR_SYNTAX;
		text[bytes++] = (char)(group >> 16);
		if (digits > 2)
			text[bytes++] = (char)(group >> 8 & 255);
		if (digits > 3)
			text[bytes++] = (char)(group & 255);
	}
	*ret_bytes = bytes;
	return 0;
}
