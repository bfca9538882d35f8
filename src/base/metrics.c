#include "base/metrics.h"

#include "base/metrics_arena.h"
#include "base/siphash.h"
#include "bunshin/error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct series {
	struct metrics_entry entry;
	uint64_t hash;
	void *memory; /* ours, which value and texts lie in; NULL: they lie in the arena */
};

struct metrics {
	struct series *series;
	size_t count, capacity;
	uint32_t *index; /* of series by hash: number and 1; 0: free. A power of two, half empty */
	size_t index_size;
	uint8_t hash_key[SIPHASH_KEY_BYTES]; /* labels come from outside */
	struct metrics_arena arena;
	bool has_arena;
};

struct metrics *metrics_new(void)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	/* Without random bits, before the machine has any, the key is a known one. */
	if (metrics && getrandom(metrics->hash_key, sizeof(metrics->hash_key), GRND_NONBLOCK) < 0)
		memset(metrics->hash_key, 0, sizeof(metrics->hash_key));
	return metrics;
}

struct metrics *metrics_new_in(void *memory, size_t bytes)
{
	struct metrics *metrics = metrics_new();

	if (!metrics)
		return NULL;
	metrics_arena_init(&metrics->arena, memory, bytes);
	metrics->has_arena = true;
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
	free(metrics);
}

/* Texts are compared by their lengths as known here: those in an arena, others can write to. */
static bool is_same(const struct metrics_entry *a, const struct metrics_entry *b)
{
	return a->name_bytes == b->name_bytes && a->labels_bytes == b->labels_bytes &&
	       memcmp(a->name, b->name, a->name_bytes) == 0 &&
	       memcmp(a->labels, b->labels, a->labels_bytes) == 0;
}

/* Their values can be added up. */
static bool is_alike(const struct metrics_entry *a, const struct metrics_entry *b)
{
	return a->kind == b->kind && a->decimals == b->decimals;
}

static uint64_t hash_of(const struct metrics *metrics, const struct metrics_entry *entry)
{
	uint64_t name[2], labels[2];

	siphash_128(metrics->hash_key, entry->name, entry->name_bytes, name);
	siphash_128(metrics->hash_key, entry->labels, entry->labels_bytes, labels);
	return name[0] ^ labels[1];
}

/* The place in the index where it stands or would stand. */
static size_t place_of(
	const struct metrics *metrics, const struct metrics_entry *entry, uint64_t hash)
{
	size_t mask = metrics->index_size - 1, place = hash & mask;

	for (; metrics->index[place] != 0; place = (place + 1) & mask) {
		const struct series *series = &metrics->series[metrics->index[place] - 1];

		if (series->hash == hash && is_same(&series->entry, entry))
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
		index[place_of(metrics, &series[i].entry, series[i].hash)] = (uint32_t)(i + 1);
	return true;
}

/* Where a series may lie. */
enum site {
	SITE_ANY,
	SITE_SHARED, /* with an arena, only in it: elsewhere it would be of no use */
};

/* 0, ERR_NOMEM, or ERR_LIMIT: the arena has no room. */
static int series_place(struct metrics *metrics, struct series *series, enum site site)
{
	if (metrics->has_arena &&
		metrics_arena_add(&metrics->arena, &series->entry, &series->entry))
		return 0;
	if (metrics->has_arena && site == SITE_SHARED)
		return ERR_LIMIT;
	series->memory = malloc(metrics_entry_bytes(&series->entry));
	if (!series->memory)
		return ERR_NOMEM;
	metrics_entry_place(&series->entry, series->memory, &series->entry);
	return 0;
}

/* 0; ERR_NOMEM; ERR_LIMIT; ERR_ARGUMENT: the series is known as another kind. */
static int register_series(struct metrics *metrics, const struct metrics_entry *entry,
	enum site site, struct series **ret, bool *ret_created)
{
	struct series series = {.entry = *entry, .hash = hash_of(metrics, entry)};
	size_t place;
	int err;

	if (!make_room(metrics))
		return ERR_NOMEM;
	place = place_of(metrics, entry, series.hash);
	*ret_created = metrics->index[place] == 0;
	if (!*ret_created) {
		*ret = &metrics->series[metrics->index[place] - 1];
		return is_alike(&(*ret)->entry, entry) ? 0 : ERR_ARGUMENT;
	}
	err = series_place(metrics, &series, site);
	if (err)
		return err;
	metrics->series[metrics->count++] = series;
	metrics->index[place] = (uint32_t)metrics->count;
	*ret = &metrics->series[metrics->count - 1];
	return 0;
}

static void *value_of(struct metrics *metrics, enum metric_kind kind, enum metric_rule rule,
	unsigned decimals, const char *name, const char *help, const char *labels)
{
	const struct metrics_entry entry = {.kind = kind,
		.rule = rule,
		.decimals = decimals,
		.name = name,
		.labels = labels,
		.help = help,
		.name_bytes = strlen(name),
		.labels_bytes = strlen(labels),
		.help_bytes = strlen(help)};
	struct series *series;
	bool created;

	if (register_series(metrics, &entry, SITE_ANY, &series, &created))
		return NULL;
	return series->entry.value;
}

struct counter *metrics_counter(
	struct metrics *metrics, const char *name, const char *help, const char *labels)
{
	return value_of(metrics, METRIC_COUNTER, METRIC_SUM, 0, name, help, labels);
}

struct gauge *metrics_gauge(
	struct metrics *metrics, const char *name, const char *help, const char *labels)
{
	return value_of(metrics, METRIC_GAUGE, METRIC_SUM, 0, name, help, labels);
}

struct gauge *metrics_gauge_max(
	struct metrics *metrics, const char *name, const char *help, const char *labels)
{
	return value_of(metrics, METRIC_GAUGE, METRIC_MAX, 0, name, help, labels);
}

struct gauge *metrics_gauge_min(
	struct metrics *metrics, const char *name, const char *help, const char *labels)
{
	return value_of(metrics, METRIC_GAUGE, METRIC_MIN, 0, name, help, labels);
}

struct histogram *metrics_histogram(
	struct metrics *metrics, const char *name, const char *help, const char *labels)
{
	return value_of(metrics, METRIC_HISTOGRAM, METRIC_SUM, 0, name, help, labels);
}

struct counter *metrics_counter_scaled(struct metrics *metrics, const char *name, const char *help,
	const char *labels, unsigned decimals)
{
	return value_of(metrics, METRIC_COUNTER, METRIC_SUM, decimals, name, help, labels);
}

struct gauge *metrics_gauge_scaled(struct metrics *metrics, const char *name, const char *help,
	const char *labels, enum metric_rule rule, unsigned decimals)
{
	return value_of(metrics, METRIC_GAUGE, rule, decimals, name, help, labels);
}

/* What others have, added up. Their words are read whole: they may change meanwhile. */

static uint64_t load(const void *word)
{
	return __atomic_load_n((const uint64_t *)word, __ATOMIC_RELAXED);
}

static void add_gauge(struct gauge *into, int64_t value, enum metric_rule rule, bool created)
{
	if (created || (rule == METRIC_MAX && value > into->value) ||
		(rule == METRIC_MIN && value < into->value))
		into->value = value;
	else if (rule == METRIC_SUM)
		into->value = (int64_t)((uint64_t)into->value + (uint64_t)value);
}

static void add_histogram(struct histogram *into, const struct histogram *from)
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t values = load(&from->buckets[i]);

		if (values == 0)
			continue;
		into->buckets[i] += values;
		into->count += values;
	}
	into->sum += load(&from->sum);
}

static void add_value(struct series *into, const void *value, bool created)
{
	struct counter *counter = into->entry.value;

	switch (into->entry.kind) {
	case METRIC_COUNTER:
		counter->value += load(value);
		break;
	case METRIC_GAUGE:
		add_gauge(into->entry.value, (int64_t)load(value), into->entry.rule, created);
		break;
	case METRIC_HISTOGRAM:
		add_histogram(into->entry.value, value);
		break;
	}
}

/* What is left out of it is told of in metrics.h. 0 or ERR_NOMEM. */
static int add_new(struct metrics *into, const struct metrics_entry *entry, size_t *next)
{
	struct series *series;
	bool created;
	int err = register_series(into, entry, SITE_SHARED, &series, &created);

	if (err)
		return err == ERR_NOMEM ? err : 0;
	add_value(series, entry->value, created);
	*next = (size_t)(series - into->series) + 1;
	return 0;
}

/*
 * Workers register the same series in the same order, so the next to come is most often the one
 * behind the last: found by a comparison, without a hash, a copy or a look at each character.
 */
static bool add_next(struct metrics *into, const struct metrics_entry *entry, size_t *next)
{
	struct series *series;

	if (*next >= into->count)
		return false;
	series = &into->series[*next];
	if (!is_alike(&series->entry, entry) || !is_same(&series->entry, entry))
		return false;
	add_value(series, entry->value, false);
	++*next;
	return true;
}

int metrics_collect(struct metrics *into, const void *memory, size_t bytes, bool gauges)
{
	char texts[METRICS_TEXTS_MAX + 8];
	struct metrics_reader reader;
	struct metrics_entry entry;
	size_t next = 0;
	int err = 0;

	metrics_reader_init(&reader, memory, bytes);
	while (!err && metrics_reader_next(&reader, &entry)) {
		if (entry.kind == METRIC_GAUGE && !gauges)
			continue;
		if (!add_next(into, &entry, &next) && metrics_entry_take(&entry, texts))
			err = add_new(into, &entry, &next);
	}
	return err;
}

int metrics_add(struct metrics *into, const struct metrics *from)
{
	size_t next = 0;
	int err = 0;

	for (size_t i = 0; i < from->count && !err; i++)
		if (!add_next(into, &from->series[i].entry, &next))
			err = add_new(into, &from->series[i].entry, &next);
	return err;
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
		const struct metrics_entry *from = &metrics->series[i].entry;
		struct metric_series series = {
			.name = from->name,
			.help = from->help,
			.labels = from->labels,
			.kind = from->kind,
			.decimals = from->decimals,
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
