#include "base/hex.h"

#include <endian.h>
#include <string.h>

#define ONES UINT64_C(0x0101010101010101)

/* The digits of four bytes, all eight at once. */
static void hex_of_four(const uint8_t bytes[4], char ret[8])
{
	uint32_t four;
	uint64_t x;

	memcpy(&four, bytes, 4);
	x = le32toh(four);
	x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
	x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
	x = (x >> 4 & UINT64_C(0x000f000f000f000f)) | (x & UINT64_C(0x000f000f000f000f)) << 8;
	/* One in each that is above nine, whose letter is 39 further than a digit would be. */
	x += ONES * '0' + ((x + ONES * 6) >> 4 & ONES) * 39;
	x = htole64(x);
	memcpy(ret, &x, 8);
}

void hex_print(const uint8_t *bytes, size_t len, char *ret)
{
	char last[8];

	for (; len >= 4; len -= 4, bytes += 4, ret += 8)
		hex_of_four(bytes, ret);
	if (len > 0) {
		uint8_t rest[4] = {0};

		memcpy(rest, bytes, len);
		hex_of_four(rest, last);
		memcpy(ret, last, 2 * len);
		ret += 2 * len;
	}
	*ret = '\0';
}

void hex_print_uuid(const uint8_t bytes[16], char ret[HEX_UUID_SIZE])
{
	static const uint8_t groups[] = {8, 4, 4, 4, 12};
	char hex[33];
	const char *from = hex;

	hex_print(bytes, 16, hex);
	for (size_t i = 0; i < sizeof(groups); i++) {
		memcpy(ret, from, groups[i]);
		from += groups[i];
		ret += groups[i];
		*ret++ = '-';
	}
	ret[-1] = '\0';
}
