/*
 * Metrics registry: counters, gauges and log-linear histograms.
 *
 * A metric is registered once and then updated through its handle: one add, no look-up. Single
 * threaded. A registry can lie in memory that others read (metrics_new_in()): the supervisor's
 * board (supervisor/board.h) holds those of all workers of a host.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct metrics;

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
/* What a gauge of several workers shows: what they have together, or the most or least of it. */
enum metric_rule { METRIC_SUM, METRIC_MAX, METRIC_MIN };

/* Bytes of a name, a help and a set of labels that can lie in shared memory. */
#define METRICS_NAME_MAX 128
#define METRICS_HELP_MAX 256
#define METRICS_LABELS_MAX 512
/* Decimals that a counter or a gauge can have. */
#define METRICS_DECIMALS_MAX 9

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
/*
 * A registry whose series, with their names, lie in memory of the caller's, all zero at first and
 * aligned to 64 bytes: others may read it at any time with metrics_collect(), also when this
 * process has died in the middle of anything. What finds no room there, or has a longer text than
 * the limits above, lies in this process's own memory and is seen by nobody else. Nothing that
 * others write into the memory makes this registry read or write outside of it. NULL: out of
 * memory.
 */
struct metrics *metrics_new_in(void *memory, size_t bytes);
/*
 * Adds the series that lie in that memory, aligned to 8 bytes, to those of the same name and labels
 * in `into`, registering what is missing: counters and histograms are added up; gauges too when
 * `gauges` is true, by their rule, else they are left out. A histogram's count is that of its
 * buckets, so the two agree although the memory changes meanwhile.
 *
 * The memory may hold anything. An entry whose lengths are not right ends the reading; one with a
 * name or labels that the exposition format does not have, with a control character in a text (but
 * a line feed in the help), or of another kind than in `into`, is left out. So is one that finds no
 * room in the memory of an `into` from metrics_new_in(). 0 or ERR_NOMEM, with a part added.
 */
int metrics_collect(struct metrics *into, const void *memory, size_t bytes, bool gauges);
/* The same with the series of another registry of this process, gauges included. 0 or ERR_NOMEM. */
int metrics_add(struct metrics *into, const struct metrics *from);
void metrics_free(struct metrics *metrics);

/*
 * Each registers one series and returns its value, owned by the registry and stable until
 * metrics_free; NULL: out of memory (or the series is known as another kind, a mistake in the
 * caller). The same name and labels give the same handle. `name` is in
 * base units ("bunshin_messages_total", "bunshin_attempt_duration_seconds"); `labels` is "" or
 * the inside of the braces, already escaped (outcome="accepted"); all copied. A gauge keeps the
 * rule it was registered with first.
 */
struct counter *metrics_counter(
	struct metrics *metrics, const char *name, const char *help, const char *labels);
struct gauge *metrics_gauge(
	struct metrics *metrics, const char *name, const char *help, const char *labels);
/* A gauge of which, over several workers, the largest or the smallest is shown, not the sum. */
struct gauge *metrics_gauge_max(
	struct metrics *metrics, const char *name, const char *help, const char *labels);
struct gauge *metrics_gauge_min(
	struct metrics *metrics, const char *name, const char *help, const char *labels);
struct histogram *metrics_histogram(
	struct metrics *metrics, const char *name, const char *help, const char *labels);
/*
 * One whose value counts 10^-decimals of the unit that its name says: with 3, 1500 are shown as
 * 1.5. So fractions add up exactly, however many there are. decimals: METRICS_DECIMALS_MAX at most.
 * A series that is known with another number of decimals is known as another kind.
 */
struct counter *metrics_counter_scaled(struct metrics *metrics, const char *name, const char *help,
	const char *labels, unsigned decimals);
struct gauge *metrics_gauge_scaled(struct metrics *metrics, const char *name, const char *help,
	const char *labels, enum metric_rule rule, unsigned decimals);

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
	unsigned decimals; /* of a counter's or a gauge's value */
	const struct counter *counter;
	const struct gauge *gauge;
	const struct histogram *histogram;
};
void metrics_each(const struct metrics *metrics,
	void (*visit)(void *arg, const struct metric_series *series), void *arg);

#endif
