#include "campaign/tally.h"

/* Rates of a moment stray; a range is at least this wide. */
#define SPREAD 0.05

void tally_workers_add(
	struct tally_workers *workers, const struct result_status *status, int64_t now_epoch_ms)
{
	if (status->at_epoch_ms < now_epoch_ms - TALLY_FRESH_MS ||
		status->at_epoch_ms > now_epoch_ms + TALLY_AHEAD_MS)
		return;
	workers->count++;
	workers->by_limit[status->limit]++;
	if (__builtin_add_overflow(workers->in_flight, status->in_flight, &workers->in_flight))
		workers->in_flight = UINT64_MAX;
}

/* The latest moment that anything is known of. */
static int64_t latest(
	const struct results_tally *outcomes, int64_t last_heard_epoch_ms, int64_t now_epoch_ms)
{
	int64_t at = outcomes->last_epoch_ms;

	if (last_heard_epoch_ms > at)
		at = last_heard_epoch_ms;
	return at < now_epoch_ms ? at : now_epoch_ms;
}

bool tally_window(const struct results_tally *outcomes, int64_t last_heard_epoch_ms,
	int64_t now_epoch_ms, int64_t *ret_from, int64_t *ret_to)
{
	int64_t last = latest(outcomes, last_heard_epoch_ms, now_epoch_ms);
	int64_t to = last - TALLY_SETTLE_MS;
	int64_t from = to - TALLY_WINDOW_MS;

	if (outcomes->first_received_epoch_ms > from)
		from = outcomes->first_received_epoch_ms;
	if (outcomes->first_received_epoch_ms <= 0 || to - from < 1000 ||
		now_epoch_ms - last > TALLY_STALE_MS)
		return false;
	*ret_from = from;
	*ret_to = to;
	return true;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The identity. */
static void sum_up(const struct tally_input *input, struct tally *tally)
{
	const uint64_t *by = input->outcomes->by_outcome;
	uint64_t seen, left;

	tally->accepted = by[RESULT_ACCEPTED] + by[RESULT_SUPPRESSED];
	tally->retrying = by[RESULT_RETRYING];
	tally->failed = by[RESULT_FAILED];
	tally->expired = by[RESULT_EXPIRED];
	tally->cancelled = by[RESULT_CANCELLED];
	tally->uncertain = input->outcomes->uncertain;
	seen = tally->accepted + tally->retrying + tally->failed + tally->expired +
	       tally->cancelled;
	tally->at_least = input->total == 0 || input->total < seen;
	tally->total = tally->at_least ? seen : input->total;
	left = tally->total - seen;
	tally->in_flight = least(input->workers.in_flight, left);
	tally->waiting = left - tally->in_flight;
	tally->done = !tally->at_least && left == 0 && tally->retrying == 0;
}

static void measure(const struct tally_input *input, struct tally *tally)
{
	const struct results_tally *outcomes = input->outcomes;
	uint64_t ended = tally->accepted + tally->failed + tally->expired + tally->cancelled;
	int64_t from, to, last = outcomes->last_epoch_ms;

	tally->rate_now = tally->rate_average = -1;
	if (tally_window(outcomes, input->last_heard_epoch_ms, input->now_epoch_ms, &from, &to))
		tally->rate_now = (double)input->recent * 1000 / (double)(to - from);
	if (!tally->done) {
		last = latest(outcomes, input->last_heard_epoch_ms, input->now_epoch_ms);
		tally->stale = input->now_epoch_ms - last > TALLY_STALE_MS;
	}
	if (outcomes->first_received_epoch_ms > 0 &&
		last - outcomes->first_received_epoch_ms >= 1000)
		tally->rate_average =
			(double)ended * 1000 / (double)(last - outcomes->first_received_epoch_ms);
}

/* Of both rates, with a margin. false: nobody can tell. */
static bool range_of(const struct tally *tally, double *ret_fast, double *ret_slow)
{
	double fast = tally->rate_now, slow = tally->rate_average;

	if (tally->stale)
		return false;
	if (fast < 0)
		fast = slow;
	if (slow < 0)
		slow = fast;
	if (fast < 0)
		return false;
	if (fast < slow) {
		double swapped = fast;

		fast = slow;
		slow = swapped;
	}
	*ret_fast = fast * (1 + SPREAD);
	*ret_slow = slow * (1 - SPREAD);
	return true;
}

static bool stands_still(const struct tally *tally)
{
	return tally->rate_now == 0 || (tally->workers > 0 && tally->limit == RESULT_LIMIT_PAUSED);
}

/* What of `left` a rate leaves undone by the deadline. */
static uint64_t rest_of(uint64_t left, double rate, const struct tally_input *input)
{
	double seconds = ((double)input->deadline_epoch_ms - (double)input->now_epoch_ms) / 1000;
	double done = seconds > 0 ? rate * seconds : 0;

	return done < (double)left ? left - (uint64_t)done : 0;
}

static void judge_deadline(const struct tally_input *input, uint64_t left, double fast, double slow,
	struct tally *tally)
{
	tally->would_expire_from = rest_of(left, fast, input);
	tally->would_expire_to = rest_of(left, slow, input);
	tally->deadline = tally->would_expire_from > 0 ? TALLY_LATE
			  : tally->would_expire_to > 0 ? TALLY_MAYBE_LATE
						       : TALLY_IN_TIME;
}

static void foresee(const struct tally_input *input, struct tally *tally)
{
	uint64_t left = tally->waiting + tally->in_flight + tally->retrying;
	bool has_deadline = input->deadline_epoch_ms > 0 && left > 0;
	double fast = 0, slow = 0;
	bool known = range_of(tally, &fast, &slow);

	if (stands_still(tally))
		fast = slow = 0;
	if (has_deadline)
		tally->deadline = TALLY_UNCERTAIN;
	if (has_deadline && (known || input->deadline_epoch_ms <= input->now_epoch_ms))
		judge_deadline(input, left, fast, slow, tally);
	if (left == 0 || slow <= 0 || (double)left / slow > TALLY_FURTHEST_S)
		return;
	tally->end_from_epoch_ms = input->now_epoch_ms + (int64_t)((double)left * 1000 / fast);
	tally->end_to_epoch_ms = input->now_epoch_ms + (int64_t)((double)left * 1000 / slow);
}

/* Of those that as many say, the graver one, which stands later. */
static void find_limit(const struct tally_input *input, struct tally *tally)
{
	tally->workers = input->workers.count;
	for (int limit = 0; limit < RESULT_LIMITS; limit++)
		if (input->workers.by_limit[limit] > 0 &&
			input->workers.by_limit[limit] >= tally->limit_workers) {
			tally->limit = (enum result_limit)limit;
			tally->limit_workers = input->workers.by_limit[limit];
		}
}

void tally_make(const struct tally_input *input, struct tally *ret_tally)
{
	*ret_tally = (struct tally){0};
	sum_up(input, ret_tally);
	find_limit(input, ret_tally);
	measure(input, ret_tally);
	foresee(input, ret_tally);
}
