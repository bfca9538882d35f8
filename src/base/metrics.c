#include "base/metrics.h"

#include "base/hash.h"
#include "base/metrics_arena.h"
#include "bunshin/error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct series {
	enum metric_kind kind;
	enum metric_rule rule;
	const char *name, *help, *labels;
	void *value;  /* struct counter, gauge or histogram, by kind */
	char *memory; /* ours, which all of them lie in; NULL: they lie in the arena */
};

struct metrics {
	struct series *series;
	size_t count, capacity;
	uint32_t *index; /* of series by hash: number and 1; 0: free. A power of two, half empty */
	size_t index_size;
	struct metrics_arena *arena; /* NULL: none */
};

struct metrics *metrics_new(void)
{
	return calloc(1, sizeof(struct metrics));
}

struct metrics *metrics_new_in(void *memory, size_t bytes)
{
	struct metrics *metrics = metrics_new();

	if (metrics)
		metrics->arena = metrics_arena_new(memory, bytes);
	if (metrics && !metrics->arena) {
		free(metrics);
		return NULL;
	}
	return metrics;
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	for (size_t i = 0; i < metrics->count; i++)
		free(metrics->series[i].memory);
	free(metrics->series);
	free(metrics->index);
	free(metrics->arena);
	free(metrics);
}

static uint64_t hash_of(const char *name, const char *labels)
{
	return hash_bytes(name, strlen(name)) * 31 + hash_bytes(labels, strlen(labels));
}

/* The place in the index where it stands or would stand. */
static size_t place_of(const struct metrics *metrics, const char *name, const char *labels)
{
	size_t mask = metrics->index_size - 1;
	size_t place = hash_of(name, labels) & mask;

	for (; metrics->index[place] != 0; place = (place + 1) & mask) {
		const struct series *series = &metrics->series[metrics->index[place] - 1];

		if (strcmp(series->name, name) == 0 && strcmp(series->labels, labels) == 0)
			break;
	}
	return place;
}

static bool make_room(struct metrics *metrics)
{
	struct series *series;
	uint32_t *index;
	size_t capacity;

	if (metrics->count < metrics->capacity)
		return true;
	capacity = metrics->capacity ? metrics->capacity * 2 : 32;
	index = calloc(capacity * 2, sizeof(*index));
	series = index ? realloc(metrics->series, capacity * sizeof(*series)) : NULL;
	if (!series) {
		free(index);
		return false;
	}
	free(metrics->index);
	metrics->series = series;
	metrics->capacity = capacity;
	metrics->index = index;
	metrics->index_size = capacity * 2;
	for (size_t i = 0; i < metrics->count; i++)
		index[place_of(metrics, series[i].name, series[i].labels)] = (uint32_t)(i + 1);
	return true;
}

/* In the arena, or where that has no room in memory of its own. */
static bool series_place(struct metrics *metrics, struct series *series)
{
	const struct metrics_entry entry = {.kind = series->kind,
		.rule = series->rule,
		.name = series->name,
		.help = series->help,
		.labels = series->labels};
	size_t name = strlen(series->name) + 1, help = strlen(series->help) + 1;
	size_t labels = strlen(series->labels) + 1;
	struct metrics_entry placed;
	char *text;

	if (metrics->arena && metrics_arena_add(metrics->arena, &entry, &placed)) {
		series->name = placed.name;
		series->help = placed.help;
		series->labels = placed.labels;
		series->value = placed.value;
		return true;
	}
	series->memory = calloc(1, metrics_value_bytes(series->kind) + name + help + labels);
	if (!series->memory)
		return false;
	series->value = series->memory;
	text = series->memory + metrics_value_bytes(series->kind);
	series->name = memcpy(text, series->name, name);
	series->help = memcpy(text + name, series->help, help);
	series->labels = memcpy(text + name + help, series->labels, labels);
	return true;
}

/* 0; ERR_NOMEM; ERR_ARGUMENT: the series is known as another kind. */
static int register_series(struct metrics *metrics, const struct metrics_entry *entry,
	struct series **ret, bool *ret_created)
{
	struct series series = {.kind = entry->kind,
		.rule = entry->rule,
		.name = entry->name,
		.help = entry->help,
		.labels = entry->labels};
	size_t place;

	*ret_created = false;
	if (!make_room(metrics))
		return ERR_NOMEM;
	place = place_of(metrics, entry->name, entry->labels);
	if (metrics->index[place] != 0) {
		*ret = &metrics->series[metrics->index[place] - 1];
		return (*ret)->kind == entry->kind ? 0 : ERR_ARGUMENT;
	}
	if (!series_place(metrics, &series))
		return ERR_NOMEM;
	metrics->series[metrics->count++] = series;
	metrics->index[place] = (uint32_t)metrics->count;
	*ret_created = true;
	*ret = &metrics->series[metrics->count - 1];
	return 0;
}

static void *value_of(struct metrics *metrics, enum metric_kind kind, enum metric_rule rule,
	const char *name, const char *help, const char *labels)
{
	const struct metrics_entry entry = {
		.kind = kind, .rule = rule, .name = name, .help = help, .labels = labels};
	struct series *series;
	bool created;

	return register_series(metrics, &entry, &series, &created) ? NULL : series->value;
}

struct counter *metrics_counter(
	struct metrics *metrics, const char *name, const char *help, const char *labels)
{
	return value_of(metrics, METRIC_COUNTER, METRIC_SUM, name, help, labels);
}

struct gauge *metrics_gauge(
	struct metrics *metrics, const char *name, const char *help, const char *labels)
{
	return value_of(metrics, METRIC_GAUGE, METRIC_SUM, name, help, labels);
}

struct gauge *metrics_gauge_max(
	struct metrics *metrics, const char *name, const char *help, const char *labels)
{
	return value_of(metrics, METRIC_GAUGE, METRIC_MAX, name, help, labels);
}

struct gauge *metrics_gauge_min(
	struct metrics *metrics, const char *name, const char *help, const char *labels)
{
	return value_of(metrics, METRIC_GAUGE, METRIC_MIN, name, help, labels);
}

struct histogram *metrics_histogram(
	struct metrics *metrics, const char *name, const char *help, const char *labels)
{
	return value_of(metrics, METRIC_HISTOGRAM, METRIC_SUM, name, help, labels);
}

/* ---- what others have, added up */

struct collecting {
	struct metrics *into;
	bool gauges;
	bool out_of_memory;
};

static void add_gauge(struct gauge *into, int64_t value, enum metric_rule rule, bool created)
{
	if (created || (rule == METRIC_MAX && value > into->value) ||
		(rule == METRIC_MIN && value < into->value))
		into->value = value;
	else if (rule == METRIC_SUM)
		into->value = (int64_t)((uint64_t)into->value + (uint64_t)value);
}

/* The words may change under the reader: each is read once and whole. */
static void add_words(uint64_t *into, const uint64_t *from, size_t words)
{
	for (size_t i = 0; i < words; i++)
		into[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static bool collect_entry(void *arg, const struct metrics_entry *entry)
{
	struct collecting *collecting = arg;
	struct series *series;
	bool created;
	int err;

	if (entry->kind == METRIC_GAUGE && !collecting->gauges)
		return true;
	err = register_series(collecting->into, entry, &series, &created);
	if (err) {
		/* One that is known as another kind is left out. */
		collecting->out_of_memory = err == ERR_NOMEM;
		return !collecting->out_of_memory;
	}
	if (entry->kind == METRIC_GAUGE)
		add_gauge(series->value,
			(int64_t)__atomic_load_n((const uint64_t *)entry->value, __ATOMIC_RELAXED),
			entry->rule, created);
	else
		add_words(series->value, entry->value,
			metrics_value_bytes(entry->kind) / sizeof(uint64_t));
	return true;
}

int metrics_add(struct metrics *into, const struct metrics *from)
{
	struct collecting collecting = {.into = into, .gauges = true};

	for (size_t i = 0; i < from->count && !collecting.out_of_memory; i++) {
		const struct series *series = &from->series[i];

		collect_entry(&collecting, &(struct metrics_entry){.kind = series->kind,
						   .rule = series->rule,
						   .name = series->name,
						   .help = series->help,
						   .labels = series->labels,
						   .value = series->value});
	}
	return collecting.out_of_memory ? ERR_NOMEM : 0;
}

int metrics_collect(struct metrics *into, const void *memory, size_t bytes, bool gauges)
{
	struct collecting collecting = {.into = into, .gauges = gauges};

	metrics_arena_each(memory, bytes, collect_entry, &collecting);
	return collecting.out_of_memory ? ERR_NOMEM : 0;
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
