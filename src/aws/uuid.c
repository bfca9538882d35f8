#include "aws/uuid.h"

#include "bunshin/error.h"

#include <string.h>

const unsigned char uuid_namespace_url[16] = {0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80,
	0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};

/* Sets version and variant, then prints. */
static void uuid_print(unsigned char bytes[16], unsigned version, char ret_text[UUID_TEXT_SIZE])
{
	bytes[6] = (unsigned char)((bytes[6] & 0x0f) | (version << 4));
	bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
	hex_print_uuid(bytes, ret_text);
}

int uuid_v5_with(struct digest *sha1, const unsigned char space[16], const char *part1,
	size_t part1_bytes, const char *part2, size_t part2_bytes, char ret_text[UUID_TEXT_SIZE])
{
	unsigned char hash[DIGEST_SHA1_BYTES];

	if (digest_begin(sha1) != 0 || digest_update(sha1, space, 16) != 0 ||
		digest_update(sha1, part1, part1_bytes) != 0 ||
		digest_update(sha1, part2, part2_bytes) != 0 || digest_end(sha1, hash) != 0)
		return ERR_NOMEM;
	uuid_print(hash, 5, ret_text);
	return 0;
}

int uuid_v5(const unsigned char space[16], const char *part1, size_t part1_bytes, const char *part2,
	size_t part2_bytes, char ret_text[UUID_TEXT_SIZE])
{
	struct digest sha1;
	int err = digest_init(&sha1, "SHA1");

	if (err != 0)
		return err;
	err = uuid_v5_with(&sha1, space, part1, part1_bytes, part2, part2_bytes, ret_text);
	digest_free(&sha1);
	return err;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int uuid_parse(const char *text, unsigned char ret_bytes[16])
{
	unsigned char bytes[16];

	for (size_t i = 0; i < 16; i++) {
		int high, low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return ERR_SYNTAX;
		high = hex_value(*text++);
		low = high < 0 ? -1 : hex_value(*text++);
		if (low < 0)
			return ERR_SYNTAX;
		bytes[i] = (unsigned char)(high << 4 | low);
	}
	if (*text)
		return ERR_SYNTAX;
	memcpy(ret_bytes, bytes, 16);
	return 0;
}

void uuid_v4(uint64_t random1, uint64_t random2, char ret_text[UUID_TEXT_SIZE])
{
	unsigned char bytes[16];

	memcpy(bytes, &random1, 8);
	memcpy(bytes + 8, &random2, 8);
	uuid_print(bytes, 4, ret_text);
}
