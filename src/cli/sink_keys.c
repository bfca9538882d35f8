#include "cli/sink_keys.h"

#include "bunshin/error.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 4096, MOVED_AT_ONCE = 8 };

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

static struct sink_key *find(struct sink_key *slots, size_t capacity, struct sink_key key)
{
	size_t i = (size_t)(key.high >> 1) & (capacity - 1);

	while (slots[i].high != 0 && (slots[i].high != key.high || slots[i].low != key.low))
		i = (i + 1) & (capacity - 1);
	return &slots[i];
}

/* Moves some of the old slots, if there are any left. What was moved also stays where it was. */
static void move(struct sink_keys *keys)
{
	for (size_t n = 0; n < MOVED_AT_ONCE && keys->moved < keys->old_capacity; n++) {
		const struct sink_key *from = &keys->old[keys->moved++];

		if (from->high != 0)
			*find(keys->slots, keys->capacity, *from) = *from;
	}
	if (keys->old == NULL || keys->moved < keys->old_capacity)
		return;
	free(keys->old);
	keys->old = NULL;
}

/* All old slots have been moved by then: an add moves more of them than it fills. */
static int grow(struct sink_keys *keys)
{
	size_t capacity = keys->capacity ? keys->capacity * 2 : FIRST_CAPACITY;
	struct sink_key *slots = calloc(capacity, sizeof(*slots));

	if (!slots)
		return ERR_NOMEM;
	keys->old = keys->slots;
	keys->old_capacity = keys->capacity;
	keys->moved = 0;
	keys->slots = slots;
	keys->capacity = capacity;
	return 0;
}

int sink_keys_add(struct sink_keys *keys, struct sink_key key, bool *ret_new)
{
	if (keys->count * 4 >= keys->capacity * 3 && grow(keys) < 0)
		return ERR_NOMEM;
	move(keys);
	*ret_new = !sink_keys_has(keys, key);
	if (*ret_new) {
		*find(keys->slots, keys->capacity, key) = key;
		keys->count++;
	}
	return 0;
}

bool sink_keys_has(const struct sink_keys *keys, struct sink_key key)
{
	if (keys->capacity == 0)
		return false;
	return find(keys->slots, keys->capacity, key)->high != 0 ||
	       (keys->old && find(keys->old, keys->old_capacity, key)->high != 0);
}

void sink_keys_free(struct sink_keys *keys)
{
	free(keys->slots);
	free(keys->old);
	*keys = (struct sink_keys){0};
}
