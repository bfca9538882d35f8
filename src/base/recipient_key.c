#include "base/recipient_key.h"

#include "base/hex.h"
#include "base/sha1.h"

#include <stdbool.h>
#include <string.h>

const struct recipient_key recipient_key_namespace = {{0x54, 0x83, 0xae, 0x8e, 0xd3, 0x1d, 0x50,
	0x8b, 0x97, 0x38, 0x10, 0xd2, 0x31, 0xa4, 0xa4, 0x24}};

/* UUIDv5 */
static struct recipient_key make(
	const struct recipient_key *space, const void *name, size_t name_bytes)
{
	uint8_t hash[SHA1_BYTES];
	struct recipient_key key;
	struct sha1 sha1;

	sha1_begin(&sha1);
	sha1_update(&sha1, space->bytes, RECIPIENT_KEY_BYTES);
	sha1_update(&sha1, name, name_bytes);
	sha1_end(&sha1, hash);
	memcpy(key.bytes, hash, RECIPIENT_KEY_BYTES);
	key.bytes[6] = (unsigned char)((key.bytes[6] & 0x0f) | 0x50);
	key.bytes[8] = (unsigned char)((key.bytes[8] & 0x3f) | 0x80);
	return key;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_dash_before(size_t byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

static bool parse(const char *text, struct recipient_key *ret_key)
{
	for (size_t i = 0; i < RECIPIENT_KEY_BYTES; i++) {
		int high, low;

		if (is_dash_before(i) && *text++ != '-')
			return false;
		high = hex_value(*text++);
		low = high < 0 ? -1 : hex_value(*text++);
		if (low < 0)
			return false;
		ret_key->bytes[i] = (unsigned char)(high << 4 | low);
	}
	return *text == '\0';
}

struct recipient_key recipient_key_of_text(const char *text)
{
	struct recipient_key key;

	if (parse(text, &key))
		return key;
	return make(&recipient_key_namespace, text, strlen(text));
}

struct recipient_key recipient_key_make(
	const struct recipient_key *message, const char *recipient, size_t recipient_bytes)
{
	return make(message, recipient, recipient_bytes);
}

struct recipient_key recipient_key_batch(const struct recipient_key keys[], size_t count)
{
	if (count == 1)
		return keys[0];
	return make(&recipient_key_namespace, keys, count * sizeof(keys[0]));
}

void recipient_key_print(const struct recipient_key *key, char ret_text[RECIPIENT_KEY_TEXT_SIZE])
{
	hex_print_uuid(key->bytes, ret_text);
}
