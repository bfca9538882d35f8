/*
 * Which messages a pass has seen: 16 bytes each. Message ids are kept as keyed hashes of 64 bits,
 * so two of a million are taken for one with a probability of 3e-8.
 */
#ifndef CAMPAIGN_FAILURE_SEEN_H
#define CAMPAIGN_FAILURE_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero it, and fill the key in with random bits. */
struct failure_seen {
	uint8_t key[16];
	uint64_t *hashes; /* open addressing; 0: free. The lowest bit says that it is gone. */
	size_t count, capacity;
};

enum failure_sight {
	FAILURE_NEW,
	FAILURE_SEEN, /* before */
	FAILURE_GONE, /* before, and marked as gone since */
};

/* Remembers the id. 0 with *ret_sight set, or ERR_NOMEM. */
int failure_seen_add(
	struct failure_seen *seen, const char *message_id, enum failure_sight *ret_sight);
/* One that was added: it has been sent or deleted. */
void failure_seen_gone(struct failure_seen *seen, const char *message_id);
void failure_seen_free(struct failure_seen *seen);

#endif
