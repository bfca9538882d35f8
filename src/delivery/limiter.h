/*
 * Adaptive concurrency: finds how many attempts a provider takes at once, within a ceiling.
 *
 * Additive increase, multiplicative decrease (Chiu, Jain: "Analysis of the Increase and Decrease
 * Algorithms for Congestion Avoidance", 1989) with a slow start (Jacobson 1988), judged once a
 * window: one round trip and at least 100 ms. What differs from TCP, and why:
 *
 * - Increase, while the limit is really used: slow start doubles a window until the first
 *   trouble. From 16 on its windows are as many answers as there are slots, a round trip however
 *   short, and the first of them leads to 64: 500 are there after four. From the first trouble on
 *   the limit where it was met (the knee) is approached by a quarter of the distance a window, and
 *   left behind by a third of it (Xu, Harfoush, Rhee: "Binary Increase Congestion Control", 2004),
 *   by 2 % at least: most of the time is spent just below what the provider takes, be that half an
 *   attempt or a thousand.
 * - Crowding (429, 503, timeouts) asks for a decrease when the cumulative sum of the crowded
 *   answers beyond 3 % of all says so (Page: "Continuous Inspection Schemes", 1954): a stray one
 *   does not. The decrease is by the share of crowded answers and a tenth, by 37 % at most, and
 *   once a round trip: attempts that had begun before it say nothing new. The share is that of
 *   about a second: a provider that counts by the second takes all until its budget is used up,
 *   then nothing, and what share that was of a shorter time does not say how much it takes. What
 *   share is crowded even when there is room, well below the knee, is learnt, and up to a tenth
 *   of it is tolerated.
 * - A rejection comes faster than an answer. Its slot is held for one to two usual round trips,
 *   else it would be filled and rejected again and again, each time at the cost of one of a
 *   message's receives.
 * - Latency: when the mean of 30 answers or more is, beyond doubt (two standard errors), above
 *   twice the baseline and 1 ms, a trial says whether that is a queue of our own making: the
 *   limit is cut to 0.7, and if then as many answers a second come as before (Little's law), it
 *   is cut again. Else the latest cut is taken back, and the baseline, which otherwise only
 *   falls, rises by up to 30 %. So neither a mix of fast and slow answers nor a provider that
 *   has become slower for good pulls the limit down.
 * - The limit may fall below one: then one attempt is out at most, and the next waits, so that
 *   on average there are so few; up to 10 the fraction counts in the same way. It never falls so
 *   far that two starts are more than 5 s apart, and where it has fallen so far, slow start
 *   begins again.
 *
 * Several limiters before one provider find a sum that it takes, not always equal shares. Each
 * takes the others' queue for the provider's own slowness, so that a queue is longer with them than
 * with one.
 *
 * Pure: time is an argument, monotonic microseconds.
 */
#ifndef DELIVERY_LIMITER_H
#define DELIVERY_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

#define LIMITER_MIN 0.001

enum limiter_signal {
	LIMITER_OK,	 /* an answer that says nothing against more, of whatever status */
	LIMITER_CROWDED, /* 429, 503, timeout */
	LIMITER_IGNORE,	 /* says nothing: a local failure, a refused connection */
};

/* `limit` is for showing; the rest is private. */
struct limiter {
	unsigned ceiling;    /* at least 1 */
	bool adaptive;	     /* false: the limit is the ceiling, always */
	double limit;	     /* LIMITER_MIN..ceiling */
	bool slow_start;     /* no trouble met yet */
	double knee;	     /* about where the latest trouble was met; 0: nowhere yet */
	double trip_us;	     /* mean round trip of the latest window; 0: none yet */
	double baseline_us;  /* latency without a queue of our own making; 0: none yet */
	unsigned flow;	     /* answers within the latest window */
	uint64_t changed_us; /* of the latest decrease */
	uint64_t next_us;    /* the slot that the limit's fraction stands for: not before this */
	struct limiter_window {
		uint64_t end_us;	   /* 0: not open */
		unsigned peak;		   /* most in flight */
		unsigned answers, crowded; /* crowded: of the answers */
	} window;
	struct limiter_latency { /* of answers that were not crowded; one window or several */
		uint64_t start_us;
		unsigned answers;
		double sum_us, squares;
	} latency;
	struct limiter_crowd {
		double debt;	   /* crowded answers beyond what is tolerated */
		double share;	   /* of crowded answers lately */
		double background; /* share of crowded answers when there is room */
	} crowd;
	struct limiter_trial {
		double limit;  /* before the cut; 0: no trial */
		double rate;   /* answers a microsecond before the cut */
		bool settling; /* the window after the cut is not over */
		unsigned cuts;
	} trial;
	struct limiter_hold { /* slots of those that were rejected fast, in two generations */
		uint64_t until_us;
		unsigned young, old;
	} hold;
};

void limiter_init(struct limiter *limiter, unsigned ceiling, bool adaptive);
/*
 * Attempts that may be out at once now; starting more is a mistake. It may grow by itself, when
 * limiter_wait_us() has passed, which is never 0 when nothing is allowed.
 */
unsigned limiter_allows(const struct limiter *limiter, uint64_t now_us);
/* Until limiter_allows() may be larger, unless an attempt ends before; 5 s at most. 0: never. */
uint64_t limiter_wait_us(const struct limiter *limiter, uint64_t now_us);
/* An attempt starts; in_flight counts it. */
void limiter_started(struct limiter *limiter, uint64_t now_us, unsigned in_flight);
/* One that began at started_us has ended. True: the limit has changed. */
bool limiter_ended(
	struct limiter *limiter, uint64_t now_us, uint64_t started_us, enum limiter_signal signal);
/*
 * The provider was away and is back (a breaker closed): begins again, from one. What is still out
 * from before is to end as LIMITER_IGNORE; breaker_is_news() tells.
 */
void limiter_restart(struct limiter *limiter);

#endif
