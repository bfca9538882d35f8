#include "base/metrics.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct series {
	enum metric_kind kind;
	char *name, *help, *labels;
	void *value; /* struct counter, gauge or histogram, by kind */
};

struct metrics {
	struct series *series;
	size_t count;
	size_t capacity;
};

struct metrics *metrics_new(void)
{
	return calloc(1, sizeof(struct metrics));
}

static void series_free(struct series *series)
{
	free(series->name);
	free(series->help);
	free(series->labels);
	free(series->value);
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	for (size_t i = 0; i < metrics->count; i++)
		series_free(&metrics->series[i]);
	free(metrics->series);
	free(metrics);
}

static struct series *find(struct metrics *metrics, const char *name, const char *labels)
{
	for (size_t i = 0; i < metrics->count; i++) {
		struct series *series = &metrics->series[i];

		if (strcmp(series->name, name) == 0 && strcmp(series->labels, labels) == 0)
			return series;
	}
	return NULL;
}

static bool make_room(struct metrics *metrics)
{
	struct series *series;
	size_t capacity;

	if (metrics->count < metrics->capacity)
		return true;
	capacity = metrics->capacity ? metrics->capacity * 2 : 32;
	series = realloc(metrics->series, capacity * sizeof(*series));
	if (!series)
		return false;
	metrics->series = series;
	metrics->capacity = capacity;
	return true;
}

static void *register_series(struct metrics *metrics, enum metric_kind kind, size_t value_bytes,
	const char *name, const char *help, const char *labels)
{
	struct series *known = find(metrics, name, labels);
	struct series series;

	if (known)
		return known->kind == kind ? known->value : NULL;
	if (!make_room(metrics))
		return NULL;
	series = (struct series){
		.kind = kind,
		.name = strdup(name),
		.help = strdup(help),
		.labels = strdup(labels),
		.value = calloc(1, value_bytes),
	};
	if (!series.name || !series.help || !series.labels || !series.value) {
		series_free(&series);
		return NULL;
	}
	metrics->series[metrics->count++] = series;
	return series.value;
}

struct counter *metrics_counter(
	struct metrics *metrics, const char *name, const char *help, const char *labels)
{
	return register_series(metrics, METRIC_COUNTER, sizeof(struct counter), name, help, labels);
}

struct gauge *metrics_gauge(
	struct metrics *metrics, const char *name, const char *help, const char *labels)
{
	return register_series(metrics, METRIC_GAUGE, sizeof(struct gauge), name, help, labels);
}

struct histogram *metrics_histogram(
	struct metrics *metrics, const char *name, const char *help, const char *labels)
{
	return register_series(
		metrics, METRIC_HISTOGRAM, sizeof(struct histogram), name, help, labels);
}

#define SUB_BUCKETS (1u << HISTOGRAM_SUB_BITS)

/* The first 2^SUB_BITS values have a bucket each; then 2^SUB_BITS for every power of two. */
static size_t bucket_of(uint64_t value)
{
	unsigned shift;
	size_t bucket;

	if (value < SUB_BUCKETS)
		return (size_t)value;
	shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
	bucket = ((size_t)shift << HISTOGRAM_SUB_BITS) + (size_t)(value >> shift);
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

uint64_t histogram_bucket_bound(size_t bucket)
{
	unsigned shift;

	if (bucket < SUB_BUCKETS)
		return bucket;
	shift = (unsigned)(bucket >> HISTOGRAM_SUB_BITS) - 1;
	return ((SUB_BUCKETS + (bucket & (SUB_BUCKETS - 1)) + 1) << shift) - 1;
}

void histogram_record(struct histogram *histogram, uint64_t value)
{
	histogram->count++;
	histogram->sum += value;
	histogram->buckets[bucket_of(value)]++;
}

uint64_t histogram_quantile(const struct histogram *histogram, double q)
{
	double wanted = q * (double)histogram->count;
	uint64_t seen = 0;
	size_t last = 0;

	if (histogram->count == 0)
		return 0;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (histogram->buckets[i] == 0)
			continue;
		seen += histogram->buckets[i];
		last = i;
		if ((double)seen >= wanted)
			break;
	}
	return histogram_bucket_bound(last);
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	into->count += from->count;
	into->sum += from->sum;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

void metrics_each(const struct metrics *metrics,
	void (*visit)(void *arg, const struct metric_series *series), void *arg)
{
	for (size_t i = 0; i < metrics->count; i++) {
		const struct series *from = &metrics->series[i];
		struct metric_series series = {
			.name = from->name,
			.help = from->help,
			.labels = from->labels,
			.kind = from->kind,
		};

		switch (from->kind) {
		case METRIC_COUNTER:
			series.counter = from->value;
			break;
		case METRIC_GAUGE:
			series.gauge = from->value;
			break;
		case METRIC_HISTOGRAM:
			series.histogram = from->value;
			break;
		}
		visit(arg, &series);
	}
}
