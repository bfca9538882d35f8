#include "campaign/failure_seen.h"

#include "base/siphash.h"
#include "bunshin/error.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 1024
#define GONE UINT64_C(1)

/* Never 0, the lowest bit clear. */
static uint64_t hash_of(const struct failure_seen *seen, const char *message_id)
{
	uint64_t hash[2];

	siphash_128(seen->key, message_id, strlen(message_id), hash);
	hash[0] &= ~GONE;
	return hash[0] != 0 ? hash[0] : 2;
}

/* Where it is, or would be. */
static uint64_t *place_of(uint64_t *hashes, size_t capacity, uint64_t hash)
{
	size_t at = (size_t)(hash >> 1) & (capacity - 1);

	while (hashes[at] != 0 && (hashes[at] & ~GONE) != hash)
		at = (at + 1) & (capacity - 1);
	return &hashes[at];
}

static int grow(struct failure_seen *seen)
{
	size_t capacity = seen->capacity ? 2 * seen->capacity : CAPACITY_MIN;
	uint64_t *hashes = calloc(capacity, sizeof(*hashes));

	if (!hashes)
		return ERR_NOMEM;
	for (size_t i = 0; i < seen->capacity; i++)
		if (seen->hashes[i] != 0)
			*place_of(hashes, capacity, seen->hashes[i] & ~GONE) = seen->hashes[i];
	free(seen->hashes);
	seen->hashes = hashes;
	seen->capacity = capacity;
	return 0;
}

int failure_seen_add(
	struct failure_seen *seen, const char *message_id, enum failure_sight *ret_sight)
{
	uint64_t hash = hash_of(seen, message_id), *place;

	if (2 * seen->count >= seen->capacity) {
		int err = grow(seen);

		if (err)
			return err;
	}
	place = place_of(seen->hashes, seen->capacity, hash);
	if (*place != 0) {
		*ret_sight = *place & GONE ? FAILURE_GONE : FAILURE_SEEN;
		return 0;
	}
	*place = hash;
	seen->count++;
	*ret_sight = FAILURE_NEW;
	return 0;
}

void failure_seen_gone(struct failure_seen *seen, const char *message_id)
{
	if (seen->capacity > 0) {
		uint64_t hash = hash_of(seen, message_id);

		*place_of(seen->hashes, seen->capacity, hash) = hash | GONE;
	}
}

void failure_seen_free(struct failure_seen *seen)
{
	free(seen->hashes);
	seen->hashes = NULL;
	seen->count = seen->capacity = 0;
}
