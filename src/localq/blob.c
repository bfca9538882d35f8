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

/* One more than the digit's value; 0: it is none. */
#define FOUR(c, value) \
	[c] = (value) + 1, [(c) + 1] = (value) + 2, [(c) + 2] = (value) + 3, [(c) + 3] = (value) + 4
#define TWENTY_FOUR(c, value)                                                   \
	FOUR(c, value), FOUR((c) + 4, (value) + 4), FOUR((c) + 8, (value) + 8), \
		FOUR((c) + 12, (value) + 12), FOUR((c) + 16, (value) + 16),     \
		FOUR((c) + 20, (value) + 20)
static const uint8_t values[256] = {
	TWENTY_FOUR('A', 0),
	['Y'] = 25,
	['Z'] = 26,
	TWENTY_FOUR('a', 26),
	['y'] = 51,
	['z'] = 52,
	FOUR('0', 52),
	FOUR('4', 56),
	['8'] = 61,
	['9'] = 62,
	['+'] = 63,
	['/'] = 64,
};

static int digit(char c)
{
	return values[(uint8_t)c] - 1;
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
