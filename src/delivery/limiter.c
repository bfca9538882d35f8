#include "delivery/limiter.h"

#define START 16
#define SECOND 64 /* what the first round trip leads to that was without trouble */
#define WINDOW_MIN_US 100000
#define WINDOW_SPARSE_US 1000000 /* what a window waits longer for ANSWERS_MIN */
#define ANSWERS_MIN 10
#define STEP_MIN 0.02 /* of the limit */
#define FRACTION_MAX 10
#define PACE_MAX_US 5000000

#define CROWDED_SHARE 0.03	/* tolerated */
#define SHARE_US 1000000	/* that the share of crowded answers is taken of */
#define CROWDED_DEBT 2		/* crowded answers beyond that, and a decrease is due */
#define CROWDED_DEBT_SHARE 0.02 /* of a window's answers, when these are many */
#define CUT_MIN 0.7
#define CUT_MARGIN 0.9
#define BACKGROUND_MAX 0.1
#define BACKGROUND_SPREAD 1.5 /* tolerated: what chance makes of it */
#define BACKGROUND_RUN 20     /* answers in which it comes as a cluster */
#define CALM_KNEE 0.97	      /* of the knee, below which it is calm */
#define CALM_SHARE_MAX 0.2
#define CALM_ANSWERS 200 /* that the background is learnt from */

#define LATENCY_ANSWERS_MIN 30
#define GROWN_FACTOR 2
#define GROWN_US 1000
#define TRIAL_CUT 0.7
#define TRIAL_RATE 0.85 /* half of the way from "as many" to "30 % fewer" */
#define BASELINE_RISE 1.3

static double least(double a, double b)
{
	return a < b ? a : b;
}

static double most(double a, double b)
{
	return a > b ? a : b;
}

static unsigned whole(const struct limiter *limiter)
{
	return (unsigned)limiter->limit;
}

/* The share of the time in which one attempt more than the whole ones may be out. */
static double fraction(const struct limiter *limiter)
{
	return limiter->limit < FRACTION_MAX ? limiter->limit - whole(limiter) : 0;
}

static double floor_of(const struct limiter *limiter)
{
	return least(most(limiter->trip_us / PACE_MAX_US, LIMITER_MIN), 1);
}

static void set_limit(struct limiter *limiter, double limit)
{
	limiter->limit = least(most(limit, floor_of(limiter)), limiter->ceiling);
}

static void open_window(struct limiter *limiter, uint64_t now_us)
{
	limiter->window = (struct limiter_window){
		.end_us = now_us + (uint64_t)most(WINDOW_MIN_US, limiter->trip_us)};
}

static void open_latency(struct limiter *limiter, uint64_t now_us)
{
	limiter->latency = (struct limiter_latency){.start_us = now_us};
}

static void begin(struct limiter *limiter, unsigned ceiling, bool adaptive, double limit)
{
	*limiter = (struct limiter){.ceiling = ceiling,
		.adaptive = adaptive,
		.limit = adaptive ? least(limit, ceiling) : ceiling,
		.slow_start = true};
}

void limiter_init(struct limiter *limiter, unsigned ceiling, bool adaptive)
{
	begin(limiter, ceiling, adaptive, START);
}

void limiter_restart(struct limiter *limiter)
{
	begin(limiter, limiter->ceiling, limiter->adaptive, 1);
}

static uint64_t hold_us(const struct limiter *limiter)
{
	return (uint64_t)least(limiter->trip_us, PACE_MAX_US / 2);
}

/*
 * Slots held for rejected attempts; until *ret_until_us if any. Two generations instead of a list:
 * a slot is held for one to two round trips.
 */
static unsigned held(const struct limiter *limiter, uint64_t now_us, uint64_t *ret_until_us)
{
	const struct limiter_hold *hold = &limiter->hold;

	*ret_until_us = hold->until_us;
	if (now_us < *ret_until_us)
		return hold->young + hold->old;
	*ret_until_us += hold_us(limiter);
	return now_us < *ret_until_us ? hold->young : 0;
}

static void hold_slot(struct limiter *limiter, uint64_t now_us)
{
	struct limiter_hold *hold = &limiter->hold;
	uint64_t until_us;

	if (now_us >= hold->until_us) {
		hold->old = held(limiter, now_us, &until_us);
		hold->young = 0;
		hold->until_us = now_us + hold_us(limiter);
	}
	hold->young++;
}

unsigned limiter_allows(const struct limiter *limiter, uint64_t now_us)
{
	bool extra = fraction(limiter) > 0 && now_us >= limiter->next_us;
	unsigned slots = whole(limiter) + extra;
	uint64_t until_us;
	unsigned taken = held(limiter, now_us, &until_us);

	return slots > taken ? slots - taken : 0;
}

uint64_t limiter_wait_us(const struct limiter *limiter, uint64_t now_us)
{
	bool paced = fraction(limiter) > 0 && now_us < limiter->next_us;
	uint64_t until_us;

	if (held(limiter, now_us, &until_us) > 0) {
		if (paced && limiter->next_us < until_us)
			return limiter->next_us - now_us;
		return until_us - now_us;
	}
	return paced ? limiter->next_us - now_us : 0;
}

/* An attempt of trip_us every trip_us / fraction: so many are out on average. */
static void pace(struct limiter *limiter, uint64_t started_us, double trip_us)
{
	uint64_t next_us = started_us + (uint64_t)least(trip_us / fraction(limiter), PACE_MAX_US);

	if (limiter->next_us < next_us)
		limiter->next_us = next_us;
}

void limiter_started(struct limiter *limiter, uint64_t now_us, unsigned in_flight)
{
	if (!limiter->adaptive)
		return;
	if (limiter->window.end_us == 0) {
		open_window(limiter, now_us);
		open_latency(limiter, now_us);
	}
	if (in_flight > limiter->window.peak)
		limiter->window.peak = in_flight;
	if (in_flight > whole(limiter) && fraction(limiter) > 0)
		pace(limiter, now_us, limiter->trip_us);
}

/* What a decrease starts from: cutting a limit that is not reached would change nothing. */
static double used(const struct limiter *limiter)
{
	unsigned peak = limiter->window.peak;

	return peak > 0 ? least(limiter->limit, peak) : limiter->limit;
}

static double background(const struct limiter *limiter)
{
	return least(limiter->crowd.background, BACKGROUND_MAX);
}

/* The share of crowded answers that asks for nothing. */
static double tolerated(const struct limiter *limiter)
{
	return CROWDED_SHARE + BACKGROUND_SPREAD * background(limiter);
}

static void increase(struct limiter *limiter)
{
	double above = limiter->limit - limiter->knee;
	double step = above < 0 ? -above / 4 : above / 3;

	/* Not used; not yet answered for, when the round trip has become longer; or crowded. */
	if (limiter->window.peak < 0.9 * whole(limiter) ||
		limiter->window.answers < 0.5 * whole(limiter) ||
		limiter->window.crowded > tolerated(limiter) * limiter->window.answers)
		return;
	if (limiter->slow_start)
		step = limiter->limit < START ? limiter->limit
					      : most(limiter->limit, SECOND - limiter->limit);
	set_limit(limiter, limiter->limit + most(step, limiter->limit * STEP_MIN));
}

static void cut_crowded(struct limiter *limiter, uint64_t now_us)
{
	double base = used(limiter);
	double enough = base * most(1 - limiter->crowd.share, CUT_MIN);

	/* Again before the knee was reached: meet halfway, since the first may have been right. */
	if (limiter->slow_start || base >= limiter->knee)
		limiter->knee = enough;
	else
		limiter->knee = (limiter->knee + enough) / 2;
	limiter->crowd.debt = 0;
	limiter->trial.limit = 0;
	limiter->changed_us = now_us;
	set_limit(limiter, enough * CUT_MARGIN);
	limiter->slow_start = limiter->limit <= floor_of(limiter);
	open_window(limiter, now_us);
	open_latency(limiter, now_us);
}

/* The mean is above the threshold by more than two standard errors. */
static bool has_grown(const struct limiter *limiter)
{
	double n = limiter->latency.answers;
	double mean_us = limiter->trip_us;
	double over = mean_us - (GROWN_FACTOR * limiter->baseline_us + GROWN_US);
	double variance = limiter->latency.squares / n - mean_us * mean_us;

	return over > 0 && over * over * n > 4 * variance;
}

static void trial_cut(struct limiter *limiter, uint64_t now_us, double rate)
{
	struct limiter_trial *trial = &limiter->trial;

	if (used(limiter) * TRIAL_CUT < 1) {
		/* One alone does not queue behind itself. */
		limiter->baseline_us = limiter->trip_us;
		trial->limit = 0;
		return;
	}
	trial->rate = rate;
	trial->limit = limiter->limit;
	trial->settling = true;
	trial->cuts++;
	limiter->changed_us = now_us;
	set_limit(limiter, used(limiter) * TRIAL_CUT);
}

/* Fewer in flight meant fewer answers: back to what was before the latest cut. */
static void trial_end(struct limiter *limiter)
{
	set_limit(limiter, limiter->trial.limit);
	limiter->baseline_us = least(limiter->trip_us, limiter->baseline_us * BASELINE_RISE);
	if (limiter->trial.cuts > 1) {
		limiter->knee = limiter->limit;
		limiter->slow_start = false;
	}
	limiter->trial.limit = 0;
}

static void judge_latency(struct limiter *limiter, uint64_t now_us)
{
	struct limiter_trial *trial = &limiter->trial;
	double n = limiter->latency.answers;
	double rate = n / (double)(now_us - limiter->latency.start_us);
	double below = limiter->baseline_us - limiter->trip_us;

	if (below > 0)
		limiter->baseline_us -= below * least(0.5, n / 100);
	if (trial->limit > 0 && rate < TRIAL_RATE * trial->rate) {
		trial_end(limiter);
	} else if (trial->limit > 0) {
		trial_cut(limiter, now_us, rate);
	} else if (has_grown(limiter)) {
		trial->cuts = 0;
		trial_cut(limiter, now_us, rate);
	} else {
		increase(limiter);
	}
}

static void judge_window(struct limiter *limiter, uint64_t now_us)
{
	const struct limiter_latency *latency = &limiter->latency;

	limiter->flow = limiter->window.answers;
	if (latency->answers > 0) {
		limiter->trip_us = latency->sum_us / latency->answers;
		if (limiter->baseline_us <= 0)
			limiter->baseline_us = limiter->trip_us;
	}
	if (limiter->trial.limit > 0 && limiter->trial.settling) {
		/* What came within the window after a cut still answers to the limit before. */
		limiter->trial.settling = false;
		open_latency(limiter, now_us);
	} else if (latency->answers >= LATENCY_ANSWERS_MIN) {
		judge_latency(limiter, now_us);
		open_latency(limiter, now_us);
	} else if (limiter->trial.limit <= 0 && latency->answers > 0) {
		increase(limiter);
	}
	open_window(limiter, now_us);
}

static void count_crowd(struct limiter *limiter, uint64_t started_us, bool crowded)
{
	struct limiter_crowd *crowd = &limiter->crowd;
	double windows = most(SHARE_US / most(WINDOW_MIN_US, limiter->trip_us), 0.25);

	crowd->share += (crowded - crowd->share) / most(20, limiter->flow * windows);
	crowd->debt += crowded - tolerated(limiter);
	crowd->debt = most(crowd->debt, 0);
	/* Calm, well below the knee, so that whatever is crowded here is not for want of room. */
	if (limiter->limit < FRACTION_MAX || limiter->limit > CALM_KNEE * limiter->knee ||
		crowd->share > CALM_SHARE_MAX ||
		started_us <= limiter->changed_us + (uint64_t)limiter->trip_us)
		return;
	crowd->background += (crowded - crowd->background) / CALM_ANSWERS;
}

static void count_latency(struct limiter *limiter, double trip_us)
{
	struct limiter_latency *latency = &limiter->latency;

	latency->answers++;
	latency->sum_us += trip_us;
	latency->squares += trip_us * trip_us;
}

static bool is_crowded(const struct limiter *limiter, uint64_t now_us)
{
	double few = CROWDED_DEBT + BACKGROUND_RUN * background(limiter);
	double many = limiter->flow * CROWDED_DEBT_SHARE;
	uint64_t once_us = (uint64_t)most(WINDOW_MIN_US, limiter->trip_us);

	return limiter->crowd.debt >= most(few, many) && now_us >= limiter->changed_us + once_us;
}

/*
 * With as many in flight as are allowed, so many answers take a round trip (Little's law), however
 * short that is: a slow start needs no longer windows to see what its latest step has done.
 */
static bool counts_round_trips(const struct limiter *limiter)
{
	return limiter->slow_start && limiter->trial.limit <= 0 && limiter->limit >= START &&
	       limiter->limit < limiter->ceiling;
}

static bool is_over(const struct limiter *limiter, uint64_t now_us)
{
	const struct limiter_window *window = &limiter->window;

	bool counts = counts_round_trips(limiter);

	if (counts && window->answers >= whole(limiter))
		return true;
	if (window->answers < (counts ? whole(limiter) / 2 : ANSWERS_MIN))
		return now_us >= window->end_us + WINDOW_SPARSE_US;
	return now_us >= window->end_us;
}

bool limiter_ended(
	struct limiter *limiter, uint64_t now_us, uint64_t started_us, enum limiter_signal signal)
{
	double before = limiter->limit;
	double trip_us = now_us > started_us ? (double)(now_us - started_us) : 0;
	bool crowded = signal == LIMITER_CROWDED;

	if (!limiter->adaptive || signal == LIMITER_IGNORE)
		return false;
	if (whole(limiter) == 0)
		pace(limiter, started_us, trip_us);
	if (crowded && limiter->trip_us <= 0)
		limiter->trip_us = trip_us;
	if (crowded && trip_us < limiter->trip_us / 2)
		hold_slot(limiter, now_us);
	if (crowded && started_us < limiter->changed_us)
		return false;
	limiter->window.answers++;
	limiter->window.crowded += crowded;
	if (!crowded)
		count_latency(limiter, trip_us);
	count_crowd(limiter, started_us, crowded);
	if (is_crowded(limiter, now_us))
		cut_crowded(limiter, now_us);
	else if (is_over(limiter, now_us))
		judge_window(limiter, now_us);
	return limiter->limit != before;
}
