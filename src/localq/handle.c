#include "localq/handle.h"

#include "localq/blob.h"
#include "localq/hasher.h"

/* message 8, received_ms 6, lane 4, receives 4, seal 8; big-endian */
#define SEALED_BYTES 22
#define PACKED_BYTES 30

static void put(uint8_t *p, size_t bytes, uint64_t value)
{
	for (size_t i = 0; i < bytes; i++)
		p[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

static uint64_t get(const uint8_t *p, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | p[i];
	return value;
}

void handle_write(const struct handle *handle, const uint8_t key[HANDLE_KEY_BYTES],
	char ret[HANDLE_TEXT_BYTES + 1])
{
	uint8_t packed[PACKED_BYTES];

	put(packed, 8, (uint64_t)handle->message);
	put(packed + 8, 6, (uint64_t)handle->received_ms);
	put(packed + 14, 4, handle->lane);
	put(packed + 18, 4, handle->receives);
	put(packed + SEALED_BYTES, 8, hasher_siphash(key, packed, SEALED_BYTES));
	blob_encode(packed, sizeof(packed), ret);
	ret[HANDLE_TEXT_BYTES] = '\0';
}

bool handle_read(
	const char *text, size_t len, const uint8_t key[HANDLE_KEY_BYTES], struct handle *ret)
{
	uint8_t packed[PACKED_BYTES];
	size_t bytes;

	if (len != HANDLE_TEXT_BYTES || !blob_decode(text, len, packed, &bytes) ||
		bytes != PACKED_BYTES ||
		get(packed + SEALED_BYTES, 8) != hasher_siphash(key, packed, SEALED_BYTES))
		return false;
	*ret = (struct handle){
		.message = (int64_t)get(packed, 8),
		.received_ms = (int64_t)get(packed + 8, 6),
		.lane = (uint32_t)get(packed + 14, 4),
		.receives = (uint32_t)get(packed + 18, 4),
	};
	return true;
}
