/*
 * At most so many entries in so much time, for batches: each takes the time of its entries, and the
 * next is not due before that is over. Pure; time comes in as an argument.
 *
 * In any span of time are no more entries than it has room for, one batch and PACE_LAG_US' worth:
 * that much is made up for when a timer was late.
 */
#ifndef CAMPAIGN_PACE_H
#define CAMPAIGN_PACE_H

#include <stdint.h>

#define PACE_LAG_US ((uint64_t)50000)

struct pace {
	int64_t count, per_ms; /* up to 10^9 in up to an hour; count 0: no limit */
	uint64_t due_us;       /* of the next batch; 0 to begin with */
};

/* How many entries a batch may have: a second's worth, but 1 at least and `most` at most. */
unsigned pace_batch_max(const struct pace *pace, unsigned most);
/* Takes the time of a batch that is sent now. */
void pace_take(struct pace *pace, unsigned entries, uint64_t now_us);

#endif
