/*
 * Metrics registry: counters, gauges and log-linear histograms.
 *
 * A metric is registered once and then updated through its handle: one add, no look-up. Single
 * threaded. Values live apart from their descriptions so that they can later lie in memory shared
 * by the workers of a host.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stddef.h>
#include <stdint.h>

struct metrics;

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/*
 * Log-linear: every power of two is split into 2^HISTOGRAM_SUB_BITS equal buckets, so a quantile
 * is off by at most 1/2^HISTOGRAM_SUB_BITS (6.25 %) of itself. Values 0 .. 2^40-1; larger ones
 * count in the last bucket. The unit is the caller's.
 */
#define HISTOGRAM_SUB_BITS 4
#define HISTOGRAM_BUCKETS ((40 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct counter {
	uint64_t value;
};

struct gauge {
	int64_t value;
};

struct histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

struct metrics *metrics_new(void); /* NULL: out of memory */
void metrics_free(struct metrics *metrics);

/*
 * Each registers one series and returns its value, owned by the registry and stable until
 * metrics_free; NULL: out of memory (or the series is known as another kind, a mistake in the
 * caller). The same name and labels give the same handle. `name` is in
 * base units ("bunshin_messages_total", "bunshin_attempt_duration_seconds"); `labels` is "" or
 * the inside of the braces, already escaped (outcome="accepted"); all copied.
 */
struct counter *metrics_counter(
	struct metrics *metrics, const char *name, const char *help, const char *labels);
struct gauge *metrics_gauge(
	struct metrics *metrics, const char *name, const char *help, const char *labels);
struct histogram *metrics_histogram(
	struct metrics *metrics, const char *name, const char *help, const char *labels);

static inline void counter_add(struct counter *counter, uint64_t n)
{
	counter->value += n;
}

static inline void gauge_add(struct gauge *gauge, int64_t n)
{
	gauge->value += n;
}

static inline void gauge_set(struct gauge *gauge, int64_t value)
{
	gauge->value = value;
}

void histogram_record(struct histogram *histogram, uint64_t value);
/* The smallest bucket's upper bound that covers the fraction q (0..1) of values; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double q);
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The largest value that counts in a bucket (below HISTOGRAM_BUCKETS). */
uint64_t histogram_bucket_bound(size_t bucket);

/* Calls visit for every series in order of registration; exactly one of the three is not NULL. */
struct metric_series {
	const char *name, *help, *labels;
	enum metric_kind kind;
	const struct counter *counter;
	const struct gauge *gauge;
	const struct histogram *histogram;
};
void metrics_each(const struct metrics *metrics,
	void (*visit)(void *arg, const struct metric_series *series), void *arg);

#endif
