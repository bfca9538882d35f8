/*
 * Where a campaign stands: one identity that always sums,
 *
 *	total = waiting + in flight + accepted + retrying + failed + expired + cancelled,
 *
 * how fast it goes, when it will be done, and why it is not faster. Pure; time comes in as an
 * argument, milliseconds since 1970.
 *
 * Accepted, failed, expired, cancelled and retrying are keys of the results database. In flight is
 * what the workers say of themselves, of all their campaigns together, and so at most what is left.
 * Waiting is the rest: in the queue, in a list that is still being sent, or ended without a record
 * having arrived yet.
 */
#ifndef CAMPAIGN_TALLY_H
#define CAMPAIGN_TALLY_H

#include "campaign/results_db.h"

#include <stdbool.h>
#include <stdint.h>

#define TALLY_FRESH_MS 15000	    /* a worker's status counts so long */
#define TALLY_AHEAD_MS 60000	    /* its clock may be ahead by so much */
#define TALLY_WINDOW_MS 10000	    /* the present rate is that of so long a time */
#define TALLY_SETTLE_MS 3000	    /* until when records of a moment are on their way */
#define TALLY_STALE_MS 60000	    /* what is older says nothing of the present */
#define TALLY_FURTHEST_S 31622400.0 /* an end further off than a year is none */

/* What the workers that were heard of lately say. Zeroed to begin with. */
struct tally_workers {
	unsigned count;
	unsigned by_limit[RESULT_LIMITS];
	uint64_t in_flight;
};
/* Takes a status in when it is fresh. */
void tally_workers_add(
	struct tally_workers *workers, const struct result_status *status, int64_t now_epoch_ms);

struct tally_input {
	uint64_t total; /* messages of the campaign; 0: not known */
	const struct results_tally *outcomes;
	struct tally_workers workers;
	int64_t last_heard_epoch_ms; /* of any worker; 0: never */
	/* Ends within the window of tally_window(); 0 when there is none. */
	uint64_t recent;
	int64_t now_epoch_ms;
	int64_t deadline_epoch_ms; /* 0: none */
};

/*
 * The time [from, to) whose ends make the present rate: the last TALLY_WINDOW_MS that all records
 * should have come of. It ends TALLY_SETTLE_MS before what was heard last, not before now, so that
 * it is right while results come late. false: too little is known yet, or nothing new has been
 * heard for TALLY_STALE_MS.
 */
bool tally_window(const struct results_tally *outcomes, int64_t last_heard_epoch_ms,
	int64_t now_epoch_ms, int64_t *ret_from, int64_t *ret_to);

enum tally_deadline {
	TALLY_NO_DEADLINE, /* none, or all is done */
	TALLY_UNCERTAIN,   /* nobody can tell yet */
	TALLY_IN_TIME,
	TALLY_MAYBE_LATE, /* the deadline lies within the range of the end */
	TALLY_LATE,	  /* even the earliest end is later; or it is past, or all stands still */
};

struct tally {
	uint64_t total;
	/* The total is not known, or was too small: it is the number of keys seen. */
	bool at_least;
	uint64_t waiting, in_flight, accepted, retrying, failed, expired, cancelled;
	uint64_t uncertain; /* of failed, expired and cancelled: the provider may have it */
	bool done;	    /* nothing is left, and the total is known */
	/* Messages that came to their end, a second; below 0: not known. */
	double rate_now, rate_average;
	bool stale; /* nothing new for TALLY_STALE_MS, and not done */
	/* When all will have ended, earliest and latest; 0: nobody can tell. */
	int64_t end_from_epoch_ms, end_to_epoch_ms;
	enum tally_deadline deadline;
	/* How many would expire, at best and at worst; 0 unless late or maybe so. */
	uint64_t would_expire_from, would_expire_to;
	/* Why it is not faster: what most of the workers say. */
	unsigned workers;	/* heard of lately; 0: the rest means nothing */
	unsigned limit_workers; /* of them, those that say so */
	enum result_limit limit;
};

void tally_make(const struct tally_input *input, struct tally *ret_tally);

#endif
