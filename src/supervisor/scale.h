/*
 * How many workers there should be, between a least and a most number: by what waits in the queue
 * and by how busy those at work are. Pure: observations and time come in, a number goes out.
 *
 * Growing is quick, since the queue fills at a set time and minutes matter: when the workers are
 * busy and the queue has more, the number doubles, at most once in SCALE_GROW_US. Shrinking is
 * slow, since a worker costs little: one tenth of them (at least one) at a time, each time that
 * SCALE_SHRINK_US have passed in which nothing more was in the queue and so many fewer would have
 * had half of their slots free. Busy is four fifths of the slots; more is a backlog, or polls that
 * come back full. Workers that are not busy although the queue is full are held back by a rate, a
 * breaker or the provider: more of them would change nothing.
 */
#ifndef SUPERVISOR_SCALE_H
#define SUPERVISOR_SCALE_H

#include <stdint.h>

#define SCALE_GROW_US UINT64_C(2000000)
#define SCALE_SHRINK_US UINT64_C(60000000)

struct scale {
	unsigned min, max;
	unsigned wanted;
	uint64_t changed_us;	/* last growth; 0: none yet */
	uint64_t idle_since_us; /* 0: not idle */
};

struct scale_load {
	unsigned workers;     /* that have begun */
	unsigned starting;    /* that have not yet */
	uint64_t busy, slots; /* of those that have begun, added up */
	int64_t backlog;      /* visible messages; -1: not known */
	uint64_t wanting;     /* full polls since the last step, added up */
};

/* min at least 1, max at least min. */
void scale_init(struct scale *scale, unsigned min, unsigned max);
/* The number that there should be from now on, min to max. Time never goes back. */
unsigned scale_step(struct scale *scale, const struct scale_load *load, uint64_t now_us);

#endif
