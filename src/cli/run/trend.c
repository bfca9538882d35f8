#include "cli/run/trend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES 12
#define ANSWERS 64
#define ANSWERS_MIN 3
#define ANSWERS_SPAN_MIN_US UINT64_C(10000000)
#define EMPTY_MAX_US (30.0 * 86400e6)
#define WHOLE_US UINT64_C(1500000) /* what is counted within that is of one second */

struct sample {
	uint64_t at_us;
	struct figures figures;
};

struct trend {
	struct trend_notes *notes;
	struct sample samples[SAMPLES];
	unsigned latest, count;
	struct answer {
		uint64_t at_us;
		double left;
	} answers[ANSWERS];
	unsigned answer_latest, answer_count;
};

struct trend *trend_new(void *notes, int64_t now_ms)
{
	struct trend *trend = calloc(1, sizeof(*trend));

	if (!trend)
		return NULL;
	trend->notes = notes;
	if (trend->notes->started_ms <= 0 || trend->notes->started_ms > now_ms)
		trend->notes->started_ms = now_ms;
	return trend;
}

void trend_free(struct trend *trend)
{
	free(trend);
}

/* ---- samples */

static const struct sample *sample_before(const struct trend *trend, unsigned back)
{
	return &trend->samples[(trend->latest + SAMPLES - back) % SAMPLES];
}

/* The two that the window lies between. False: there are none. */
static bool window(
	const struct trend *trend, const struct sample **ret_from, const struct sample **ret_to)
{
	const struct sample *to = sample_before(trend, 0);

	*ret_to = to;
	*ret_from = NULL;
	for (unsigned back = 1; back < trend->count; back++) {
		const struct sample *from = sample_before(trend, back);

		if (to->at_us <= from->at_us || to->at_us - from->at_us > TREND_WINDOW_US)
			break;
		*ret_from = from;
	}
	return *ret_from != NULL;
}

/* Counts only rise, unless the board was read while a worker died. */
static uint64_t more(uint64_t before, uint64_t now)
{
	return now > before ? now - before : 0;
}

static double a_second(
	const struct sample *from, const struct sample *to, uint64_t before, uint64_t now)
{
	return (double)more(before, now) * 1e6 / (double)(to->at_us - from->at_us);
}

double trend_rate(const struct trend *trend, enum figure figure)
{
	const struct sample *from, *to;

	if (!window(trend, &from, &to))
		return NAN;
	return a_second(from, to, from->figures.totals[figure], to->figures.totals[figure]);
}

double trend_destination_attempts(const struct trend *trend, size_t destination)
{
	const struct sample *from, *to;

	if (!window(trend, &from, &to))
		return NAN;
	return a_second(from, to, from->figures.destinations[destination].attempts,
		to->figures.destinations[destination].attempts);
}

double trend_destination_accepted(const struct trend *trend, size_t destination)
{
	const struct sample *from, *to;

	if (!window(trend, &from, &to))
		return NAN;
	return a_second(from, to, from->figures.destinations[destination].accepted,
		to->figures.destinations[destination].accepted);
}

static uint64_t accepted_of(const struct figures *figures, const char *name)
{
	for (size_t i = 0; i < figures->campaign_count; i++)
		if (strcmp(figures->campaigns[i].name, name) == 0)
			return figures->campaigns[i].counts[CAMPAIGN_ACCEPTED];
	return 0;
}

double trend_campaign_accepted(const struct trend *trend, const char *name)
{
	const struct sample *from, *to;

	if (!window(trend, &from, &to))
		return NAN;
	return a_second(
		from, to, accepted_of(&from->figures, name), accepted_of(&to->figures, name));
}

/* ---- latencies */

static void subtract(
	const struct histogram *before, const struct histogram *now, struct histogram *ret)
{
	ret->count = 0;
	ret->sum = 0;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		ret->buckets[i] = more(before->buckets[i], now->buckets[i]);
		ret->count += ret->buckets[i];
	}
}

static void quantiles(const struct histogram *histogram, struct status_latency *ret)
{
	bool any = histogram->count > 0;

	ret->p50 = any ? (double)histogram_quantile(histogram, 0.50) / 1000 : NAN;
	ret->p95 = any ? (double)histogram_quantile(histogram, 0.95) / 1000 : NAN;
	ret->p99 = any ? (double)histogram_quantile(histogram, 0.99) / 1000 : NAN;
}

static void latency_between(
	const struct histogram *before, const struct histogram *now, struct status_latency *ret)
{
	struct histogram difference;

	subtract(before, now, &difference);
	quantiles(&difference, ret);
}

void trend_attempt_ms(const struct trend *trend, struct status_latency *ret_latency)
{
	const struct sample *from, *to;

	*ret_latency = (struct status_latency){NAN, NAN, NAN};
	if (window(trend, &from, &to))
		latency_between(&from->figures.attempt_us, &to->figures.attempt_us, ret_latency);
}

void trend_acceptance_ms(const struct trend *trend, struct status_latency *ret_latency)
{
	const struct sample *from, *to;

	*ret_latency = (struct status_latency){NAN, NAN, NAN};
	if (window(trend, &from, &to))
		latency_between(
			&from->figures.acceptance_us, &to->figures.acceptance_us, ret_latency);
}

/* ---- history */

static int64_t tenths(double value)
{
	return value >= 0 ? (int64_t)(value * 10 + 0.5) : HISTORY_UNKNOWN;
}

static int64_t gauge_tenths(int64_t value)
{
	return value >= 0 && value < INT64_MAX / 10 ? value * 10 : HISTORY_UNKNOWN;
}

static int64_t count_tenths(const struct sample *from, const struct sample *to, enum figure figure)
{
	uint64_t count = more(from->figures.totals[figure], to->figures.totals[figure]);
	uint64_t took_us = to->at_us - from->at_us;

	if (took_us <= WHOLE_US)
		return gauge_tenths((int64_t)count);
	return gauge_tenths((int64_t)((double)count * 1e6 / (double)took_us + 0.5));
}

static void fill_counts(const struct sample *from, const struct sample *to, struct history_row *row)
{
	static const enum figure figures[] = {[HISTORY_RECEIVED] = FIGURE_RECEIVED,
		[HISTORY_ACCEPTED] = FIGURE_ACCEPTED,
		[HISTORY_FAILED] = FIGURE_FAILED,
		[HISTORY_RETRIED] = FIGURE_RETRIED,
		[HISTORY_EXPIRED] = FIGURE_EXPIRED};
	struct status_latency latency;

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		row->tenths[i] = count_tenths(from, to, figures[i]);
	/* Failures that were left to the queue's redrive have failed, too. */
	row->tenths[HISTORY_FAILED] += count_tenths(from, to, FIGURE_FAILED_LEFT);
	latency_between(&from->figures.attempt_us, &to->figures.attempt_us, &latency);
	row->tenths[HISTORY_ATTEMPT_P50] = tenths(latency.p50);
	row->tenths[HISTORY_ATTEMPT_P95] = tenths(latency.p95);
	row->tenths[HISTORY_ATTEMPT_P99] = tenths(latency.p99);
	latency_between(&from->figures.acceptance_us, &to->figures.acceptance_us, &latency);
	row->tenths[HISTORY_ACCEPTANCE_P50] = tenths(latency.p50);
	row->tenths[HISTORY_ACCEPTANCE_P99] = tenths(latency.p99);
}

static void add_row(struct trend *trend, const struct trend_instant *instant)
{
	const struct sample *to = sample_before(trend, 0), *from = sample_before(trend, 1);
	struct history_row row = {.t_ms = instant->now_ms};

	for (size_t i = 0; i < HISTORY_COLUMNS; i++)
		row.tenths[i] = HISTORY_UNKNOWN;
	if (trend->count > 1 && to->at_us == instant->now_us && to->at_us > from->at_us &&
		to->at_us - from->at_us <= TREND_GAP_US)
		fill_counts(from, to, &row);
	row.tenths[HISTORY_BUSY] = gauge_tenths(instant->busy);
	row.tenths[HISTORY_LIMIT] = gauge_tenths(instant->limit);
	row.tenths[HISTORY_HELD] = gauge_tenths(instant->held);
	row.tenths[HISTORY_VISIBLE] = gauge_tenths(instant->visible);
	row.tenths[HISTORY_IN_FLIGHT] = gauge_tenths(instant->in_flight);
	history_add(&trend->notes->history, &row);
}

/* ---- campaigns */

/* A free row, or that of the campaign not heard of for longest. */
static struct trend_campaign *row_of(struct trend *trend, const char *name)
{
	struct trend_campaign *oldest = &trend->notes->campaigns[0];

	for (size_t i = 0; i < FIGURES_CAMPAIGNS_MAX; i++) {
		struct trend_campaign *row = &trend->notes->campaigns[i];

		if (strncmp(row->name, name, sizeof(row->name)) == 0)
			return row;
		if (row->last_ms < oldest->last_ms)
			oldest = row;
	}
	*oldest = (struct trend_campaign){.deadline_ms = -1};
	strncpy(oldest->name, name, sizeof(oldest->name) - 1);
	return oldest;
}

static void note_campaign(
	struct trend *trend, const struct figures_campaign *campaign, int64_t now_ms)
{
	struct trend_campaign *row = row_of(trend, campaign->name);
	uint64_t count = 0;

	for (size_t i = 0; i < CAMPAIGN_OUTCOMES; i++)
		count += campaign->counts[i];
	if (row->first_ms <= 0)
		row->first_ms = now_ms;
	if (count != row->count || row->last_ms <= 0)
		row->last_ms = now_ms;
	row->count = count;
	if (campaign->deadline_ms > row->deadline_ms)
		row->deadline_ms = campaign->deadline_ms;
}

const struct trend_campaign *trend_campaign(const struct trend *trend, const char *name)
{
	for (size_t i = 0; i < FIGURES_CAMPAIGNS_MAX; i++) {
		const struct trend_campaign *row = &trend->notes->campaigns[i];

		if (name[0] != '\0' && strncmp(row->name, name, sizeof(row->name)) == 0)
			return row;
	}
	return NULL;
}

/* ---- the queue */

static const struct answer *answer_before(const struct trend *trend, unsigned back)
{
	return &trend->answers[(trend->answer_latest + ANSWERS - back) % ANSWERS];
}

static void note_answer(struct trend *trend, const struct trend_instant *instant)
{
	if (instant->asked_us == 0 || instant->visible < 0 || instant->in_flight < 0 ||
		(trend->answer_count > 0 && instant->asked_us <= answer_before(trend, 0)->at_us))
		return;
	trend->answer_latest = (trend->answer_latest + 1) % ANSWERS;
	trend->answers[trend->answer_latest] = (struct answer){.at_us = instant->asked_us,
		.left = (double)instant->visible + (double)instant->in_flight +
			(instant->delayed > 0 ? (double)instant->delayed : 0)};
	if (trend->answer_count < ANSWERS)
		trend->answer_count++;
}

/* Sums over the answers, seconds before the latest and messages, for the least squares. */
struct fit {
	double n, t, y, tt, ty;
};

static unsigned add_up(const struct trend *trend, uint64_t now_us, struct fit *fit)
{
	const struct answer *latest = answer_before(trend, 0);
	unsigned count = 0;

	for (; count < trend->answer_count; count++) {
		const struct answer *answer = answer_before(trend, count);
		double t = -(double)(latest->at_us - answer->at_us) / 1e6;

		if (now_us > answer->at_us && now_us - answer->at_us > TREND_QUEUE_US)
			break;
		fit->n += 1;
		fit->t += t;
		fit->y += answer->left;
		fit->tt += t * t;
		fit->ty += t * answer->left;
	}
	return count;
}

double trend_falling(const struct trend *trend, uint64_t now_us, uint64_t *ret_empty_us)
{
	struct fit fit = {.n = 0};
	unsigned count = add_up(trend, now_us, &fit);
	const struct answer *latest = answer_before(trend, 0);
	double slope, spread = fit.n * fit.tt - fit.t * fit.t;

	*ret_empty_us = 0;
	if (count < ANSWERS_MIN || spread <= 0 ||
		latest->at_us - answer_before(trend, count - 1)->at_us < ANSWERS_SPAN_MIN_US)
		return NAN;
	slope = (fit.n * fit.ty - fit.t * fit.y) / spread;
	if (slope > -0.001)
		return NAN;
	if (latest->left > 0 && latest->left * 1e6 / -slope <= EMPTY_MAX_US)
		*ret_empty_us = latest->at_us + (uint64_t)(latest->left * 1e6 / -slope);
	return -slope;
}

/* ---- */

void trend_add(
	struct trend *trend, const struct figures *figures, const struct trend_instant *instant)
{
	if (figures) {
		trend->latest = (trend->latest + 1) % SAMPLES;
		trend->samples[trend->latest].at_us = instant->now_us;
		trend->samples[trend->latest].figures = *figures;
		if (trend->count < SAMPLES)
			trend->count++;
		for (size_t i = 0; i < figures->campaign_count; i++)
			note_campaign(trend, &figures->campaigns[i], instant->now_ms);
	}
	note_answer(trend, instant);
	add_row(trend, instant);
}

const struct figures *trend_figures(const struct trend *trend)
{
	return trend->count > 0 ? &sample_before(trend, 0)->figures : NULL;
}

const struct trend_notes *trend_notes_of(const struct trend *trend)
{
	return trend->notes;
}
