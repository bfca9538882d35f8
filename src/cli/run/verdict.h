/*
 * The verdict: is the send on time and, if not, why. One state, one health, one sentence for
 * people, out of figures. Pure.
 *
 * The first row of this table that holds is the answer. What is left to say of the rows below it is
 * not said, but for two things: whether the deadline is kept at this pace is added to any row but
 * stopping, starting and idle; and a check that has failed is added to "paused".
 *
 *  row  when                                                      state     health
 *   1   it is being stopped                                       stopping  degraded
 *   2   no worker receives, none has died or fallen silent, and   starting  degraded
 *       no check has failed but for those that wait for the first answer
 *   3   no worker receives, and some have died or are silent      held_up   failed
 *   4   the queue is paused                                       paused    degraded
 *   5   a check has failed (credentials, queue, deletes, ...)     held_up   failed
 *   6   the breaker of every destination is open                  held_up   failed
 *   7   the breaker of one is                                     held_up   degraded
 *   8   at least VERDICT_FAILING_DEAD of the attempts fail        held_up   failed
 *   9   at least VERDICT_FAILING of the attempts fail             held_up   degraded
 *  10   SQS asks to slow down, or its calls fail                  held_up   degraded
 *  11   messages expire                                           late      failed
 *  12   the queue is empty after the deadline, at this pace       late      degraded
 *  13   messages are held, or wait, and none was received or      held_up   degraded
 *       sent over the window
 *  14   there is work                                             sending   ok
 *  15   there is none                                             idle      ok
 *
 * Rows 8 and 9 take at least VERDICT_ATTEMPTS_MIN attempts over the window, so that one message
 * that fails at night is no outage. Health is never better than the worst of the checks: a row
 * says "degraded" then, with that check's words behind its own.
 */
#ifndef CLI_RUN_VERDICT_H
#define CLI_RUN_VERDICT_H

#include "admin/admin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VERDICT_WORDS_SIZE 640
#define VERDICT_FAILING 0.10
#define VERDICT_FAILING_DEAD 0.95
#define VERDICT_ATTEMPTS_MIN 10
#define VERDICT_EXPIRING_MIN 0.05 /* messages a second */

enum verdict_state {
	VERDICT_STARTING,
	VERDICT_IDLE,
	VERDICT_SENDING,
	VERDICT_LATE,
	VERDICT_HELD_UP,
	VERDICT_PAUSED,
	VERDICT_STOPPING,
};

/* What most of the attempts that failed of late have in common. */
struct verdict_failing {
	const char *destination; /* "" or NULL: not known */
	int status;		 /* 0: there was no answer */
	const char *reason;	 /* where there was none */
	double share;		 /* of the attempts of the window, 0-1 */
};

/* Rates are a second, over the window; NAN, and counts below 0: not known. Texts are borrowed. */
struct verdict_figures {
	int64_t now_ms;
	int64_t utc_offset_s; /* of the times in the words */
	bool stopping, paused;
	unsigned wanted, receiving, starting, died, silent; /* workers */
	const struct admin_check *checks;
	size_t check_count;
	unsigned destinations, open; /* and how many breakers are open */
	const char *open_name;	     /* of the first of those */
	int open_status;	     /* that its latest failure had; 0: none */
	const char *open_reason;
	struct verdict_failing failing; /* the most frequent; share 0: none */
	double failing_share;		/* of all failures, 0-1 */
	double received, attempts, accepted, expired;
	double attempts_in_window;	  /* how many */
	int64_t limit, configured;	  /* attempts in flight that may be, and that could be */
	double rate;			  /* by configuration or control; NAN: none */
	double sqs_throttled, sqs_errors; /* a second */
	int64_t busy, held;
	int64_t visible, in_flight, delayed;
	int64_t empty_ms;	 /* when the queue is empty at this pace; below 0: not known */
	int64_t deadline_ms;	 /* the next one that is still ahead; below 0: there is none */
	const char *deadline_of; /* its campaign */
};

struct verdict {
	enum verdict_state state;
	enum admin_health health;
	char words[VERDICT_WORDS_SIZE];
};

void verdict_of(const struct verdict_figures *figures, struct verdict *ret_verdict);
/* "sending", "held_up", ...; static. */
const char *verdict_state_name(enum verdict_state state);

#endif
