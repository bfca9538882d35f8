#include "localq/blob.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void blob_encode(const uint8_t *bytes, size_t len, char *ret)
{
	while (len > 0) {
		size_t n = len < 3 ? len : 3;
		uint32_t group = (uint32_t)bytes[0] << 16 | (n > 1 ? (uint32_t)bytes[1] << 8 : 0) |
				 (n > 2 ? bytes[2] : 0);

		ret[0] = alphabet[group >> 18];
		ret[1] = alphabet[group >> 12 & 63];
		ret[2] = n > 1 ? alphabet[group >> 6 & 63] : '=';
		ret[3] = n > 2 ? alphabet[group & 63] : '=';
		bytes += n;
		len -= n;
		ret += 4;
	}
}

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

bool blob_decode(const char *text, size_t len, uint8_t *ret, size_t *ret_len)
{
	size_t padding = 0, out = 0;

	if (len % 4 != 0)
		return false;
	while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < len; i += 4) {
		size_t characters = i + 4 == len ? 4 - padding : 4;
		uint32_t group = 0;

		for (size_t j = 0; j < 4; j++) {
			int d = j < characters ? digit(text[i + j]) : 0;

			if (d < 0)
				return false;
			group = group << 6 | (uint32_t)d;
		}
		if (group & ((1u << (8 * (4 - characters))) - 1))
			return false;
		for (size_t j = 0; j + 1 < characters; j++)
			ret[out++] = (uint8_t)(group >> (16 - 8 * j));
	}
	*ret_len = out;
	return true;
}
