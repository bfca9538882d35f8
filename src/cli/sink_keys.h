/* The idempotency keys that a sink has accepted: a set of 128-bit fingerprints. */
#ifndef CLI_SINK_KEYS_H
#define CLI_SINK_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sink_key {
	uint64_t high, low; /* not both 0 */
};

/*
 * Zero it to begin with. It grows a few slots at a time: to move millions at once takes a tenth of
 * a second, in which a sink answers nobody.
 */
struct sink_keys {
	struct sink_key *slots; /* open addressing; {0, 0} is free */
	size_t capacity;	/* a power of two, or 0 */
	size_t count;
	struct sink_key
		*old; /* while it grows: the slots before, the first `moved` of them moved */
	size_t old_capacity, moved;
};

/* Not for telling apart what somebody made to collide. */
struct sink_key sink_key_of(const char *text);
/* Adds it; *ret_new: it was not there. 0 or ERR_NOMEM. */
int sink_keys_add(struct sink_keys *keys, struct sink_key key, bool *ret_new);
bool sink_keys_has(const struct sink_keys *keys, struct sink_key key);
void sink_keys_free(struct sink_keys *keys);

#endif
