/*
 * When scale-in protection is held and let go: pure. Times are in milliseconds of one monotonic
 * clock.
 *
 * Held while there is work; let go after a minute without any, so that the gap between two messages
 * does not count, and at the end of a drain. What is set is changed at most every 30 s. A request
 * that failed may have been carried out all the same, so what is set is unknown after it, as it is
 * at the start (the process before this one may have died with protection held); unknown counts as
 * neither, and is settled by the next request.
 */
#ifndef AWS_INSTANCE_PROTECTION_H
#define AWS_INSTANCE_PROTECTION_H

#include <stdbool.h>
#include <stdint.h>

#define PROTECTION_IDLE_MS ((int64_t)60 * 1000)
#define PROTECTION_CHANGE_MS ((int64_t)30 * 1000)
/* After a failure: a random part from half of it to all of it, doubled up to the cap. */
#define PROTECTION_RETRY_BASE_MS ((int64_t)5 * 1000)
#define PROTECTION_RETRY_CAP_MS ((int64_t)60 * 1000)

enum protection_state { PROTECTION_UNKNOWN, PROTECTION_HELD, PROTECTION_FREE };
enum protection_action { PROTECTION_WAIT, PROTECTION_HOLD, PROTECTION_LET_GO };

struct protection {
	enum protection_state state; /* what is set, as far as it is known */
	int64_t renew_ms;	     /* held longer than this, it is asked for again; 0: it lasts */
	bool busy;
	bool finishing;
	int64_t idle_since_ms;
	int64_t asked_ms;   /* when what is set was asked for */
	int64_t changed_ms; /* the last change of what is set; meaningful with `changed` */
	bool changed;
	int64_t retry_ms; /* not before this, while failures > 0 */
	unsigned failures;
	enum protection_action asked; /* under way; WAIT: nothing is */
};

void protection_init(struct protection *protection, int64_t renew_ms, int64_t now_ms);
void protection_busy(struct protection *protection, bool busy, int64_t now_ms);
/*
 * The end of a drain: what is not free is let go at once, whatever the limits and the back-off;
 * only when that fails is there one again.
 */
void protection_finish(struct protection *protection);
/*
 * What to ask for now. WAIT: nothing; then *ret_wait_ms is in how long to look again, -1: not
 * before something changes. Always WAIT while a request is under way.
 */
enum protection_action protection_next(
	const struct protection *protection, int64_t now_ms, int64_t *ret_wait_ms);
void protection_began(struct protection *protection, enum protection_action action, int64_t now_ms);
/* err: 0 or an error code; random: 64 random bits. */
void protection_ended(struct protection *protection, int err, int64_t now_ms, uint64_t random);

#endif
