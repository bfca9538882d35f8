#include "cli/sink_keys.h"

#include "bunshin/error.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 4096 };

/* Two independent multiply-and-mix walks (the constants are SplitMix64's and MurmurHash3's). */
struct sink_key sink_key_of(const char *text)
{
	uint64_t a = UINT64_C(0x9e3779b97f4a7c15), b = UINT64_C(0xc2b2ae3d27d4eb4f);

	for (; *text; text++) {
		uint64_t byte = (unsigned char)*text;

		a = (a ^ byte) * UINT64_C(0xbf58476d1ce4e5b9);
		a ^= a >> 29;
		b = (b + byte) * UINT64_C(0xff51afd7ed558ccd);
		b ^= b >> 32;
	}
	return (struct sink_key){a | 1, b};
}

static struct sink_key *find(const struct sink_keys *keys, struct sink_key key)
{
	size_t i = (size_t)(key.high >> 1) & (keys->capacity - 1);

	while (keys->slots[i].high != 0 &&
		(keys->slots[i].high != key.high || keys->slots[i].low != key.low))
		i = (i + 1) & (keys->capacity - 1);
	return &keys->slots[i];
}

static int grow(struct sink_keys *keys)
{
	struct sink_keys bigger = {
		.capacity = keys->capacity ? keys->capacity * 2 : FIRST_CAPACITY,
		.count = keys->count,
	};

	bigger.slots = calloc(bigger.capacity, sizeof(*bigger.slots));
	if (!bigger.slots)
		return ERR_NOMEM;
	for (size_t i = 0; i < keys->capacity; i++)
		if (keys->slots[i].high != 0)
			*find(&bigger, keys->slots[i]) = keys->slots[i];
	free(keys->slots);
	*keys = bigger;
	return 0;
}

int sink_keys_add(struct sink_keys *keys, struct sink_key key, bool *ret_new)
{
	struct sink_key *slot;

	if (keys->count * 4 >= keys->capacity * 3 && grow(keys) < 0)
		return ERR_NOMEM;
	slot = find(keys, key);
	*ret_new = slot->high == 0;
	if (*ret_new) {
		*slot = key;
		keys->count++;
	}
	return 0;
}

bool sink_keys_has(const struct sink_keys *keys, struct sink_key key)
{
	return keys->capacity != 0 && find(keys, key)->high != 0;
}

void sink_keys_free(struct sink_keys *keys)
{
	free(keys->slots);
	*keys = (struct sink_keys){0};
}
