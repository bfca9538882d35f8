#include "campaign/key_set.h"

#include "bunshin/error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS 256
#define SHARD_FIRST_SLOTS 16

/* 79 bits of the hash, eight more are the shard: 64 that place it, 15 more. All zero: free. The
 * lowest bit of `more`: suppressed. */
struct slot {
	uint8_t place[8], more[2];
};

struct shard {
	struct slot *slots;
	uint32_t capacity, count;
};

struct key_set {
	uint8_t hash_key[SIPHASH_KEY_BYTES];
	struct shard shards[SHARDS];
	uint64_t count;
};

struct hashed {
	unsigned shard;
	uint64_t place;
	uint16_t more; /* never 0, its lowest bit is 0 */
};

int key_set_new(const uint8_t hash_key[SIPHASH_KEY_BYTES], struct key_set **ret_set)
{
	struct key_set *set = calloc(1, sizeof(*set));

	if (!set)
		return ERR_NOMEM;
	memcpy(set->hash_key, hash_key, SIPHASH_KEY_BYTES);
	*ret_set = set;
	return 0;
}

void key_set_free(struct key_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < SHARDS; i++)
		free(set->shards[i].slots);
	free(set);
}

static struct hashed hash(const struct key_set *set, const char *key, size_t bytes)
{
	struct hashed hashed;
	uint64_t both[2];

	siphash_128(set->hash_key, key, bytes, both);
	hashed.shard = (unsigned)(both[1] & (SHARDS - 1));
	hashed.place = both[0];
	hashed.more = (uint16_t)((both[1] >> 8) & ~UINT64_C(1));
	if (hashed.more == 0)
		hashed.more = 2;
	return hashed;
}

static uint64_t place_of(const struct slot *slot)
{
	uint64_t place;

	memcpy(&place, slot->place, sizeof(place));
	return place;
}

static uint16_t more_of(const struct slot *slot)
{
	uint16_t more;

	memcpy(&more, slot->more, sizeof(more));
	return more;
}

static void fill(struct slot *slot, uint64_t place, uint16_t more)
{
	memcpy(slot->place, &place, sizeof(place));
	memcpy(slot->more, &more, sizeof(more));
}

/* The slot of it, or the free one where it would go. The capacity is never reached. */
static struct slot *look(const struct shard *shard, uint64_t place, uint16_t more)
{
	uint32_t at = (uint32_t)(((place >> 32) * shard->capacity) >> 32);

	for (;; at = at + 1 < shard->capacity ? at + 1 : 0) {
		struct slot *slot = &shard->slots[at];

		if (more_of(slot) == 0 || (place_of(slot) == place && (more_of(slot) & ~1) == more))
			return slot;
	}
}

/* By half, once 85 % are taken. */
static int make_room(struct shard *shard)
{
	struct shard larger = *shard;

	if ((uint64_t)(shard->count + 1) * 100 <= (uint64_t)shard->capacity * 85)
		return 0;
	larger.capacity =
		shard->capacity ? shard->capacity + shard->capacity / 2 : SHARD_FIRST_SLOTS;
	larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
	if (!larger.slots)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < shard->capacity; i++) {
		const struct slot *slot = &shard->slots[i];

		if (more_of(slot) != 0)
			*look(&larger, place_of(slot), more_of(slot) & (uint16_t)~1) = *slot;
	}
	free(shard->slots);
	*shard = larger;
	return 0;
}

static int note(struct key_set *set, const char *key, size_t bytes, bool suppressed)
{
	struct hashed hashed = hash(set, key, bytes);
	struct shard *shard = &set->shards[hashed.shard];
	int err = make_room(shard);
	struct slot *slot;

	if (err)
		return err;
	slot = look(shard, hashed.place, hashed.more);
	if (more_of(slot) != 0)
		return more_of(slot) & 1 ? KEY_SUPPRESSED : KEY_DUPLICATE;
	fill(slot, hashed.place, hashed.more | suppressed);
	shard->count++;
	set->count++;
	return KEY_NEW;
}

int key_set_suppress(struct key_set *set, const char *key, size_t bytes)
{
	int answer = note(set, key, bytes, true);

	return answer < 0 ? answer : 0;
}

int key_set_add(struct key_set *set, const char *key, size_t bytes)
{
	return note(set, key, bytes, false);
}

uint64_t key_set_count(const struct key_set *set)
{
	return set->count;
}

size_t key_set_bytes(const struct key_set *set)
{
	size_t bytes = sizeof(*set);

	for (size_t i = 0; i < SHARDS; i++)
		bytes += set->shards[i].capacity * sizeof(struct slot);
	return bytes;
}
