#include "admin/admin.h"
#include "bunshin/error.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/*
 * The bounds of a histogram: powers of two of a microsecond, which are those of the registry's own
 * buckets, so nothing is counted on the wrong side. A recorded value is cut to whole microseconds:
 * what counts up to 2^k - 1 took less than 2^k. From a millisecond to 18 minutes each power, then
 * every other one to 19 hours.
 */
#define BOUND_FIRST 10
#define BOUND_SPARSE 30
#define BOUND_LAST 36

/* The series as an array, so that those of one name can be brought together. */
struct listing {
	struct metric_series *series;
	size_t count;
};

static void count_one(void *arg, const struct metric_series *series)
{
	struct listing *listing = arg;

	listing->count++;
}

static void list_one(void *arg, const struct metric_series *series)
{
	struct listing *listing = arg;

	listing->series[listing->count++] = *series;
}

/* In a HELP line a backslash and a line feed are escaped, and nothing else. */
static void write_help(struct buf *out, const char *help)
{
	for (; *help != '\0'; help++) {
		if (*help == '\\')
			buf_append_string(out, "\\\\");
		else if (*help == '\n')
			buf_append_string(out, "\\n");
		else
			buf_append_char(out, *help);
	}
}

/* What is counted in parts of a unit, exactly: with 6 decimals "0.001024", "2.5", "17". */
static void write_decimal(struct buf *out, uint64_t value, unsigned decimals)
{
	uint64_t whole = 1, fraction;
	int digits = (int)decimals;

	for (unsigned i = 0; i < decimals; i++)
		whole *= 10;
	fraction = value % whole;
	buf_appendf(out, "%" PRIu64, value / whole);
	if (fraction == 0)
		return;
	for (; fraction % 10 == 0; fraction /= 10)
		digits--;
	buf_appendf(out, ".%0*" PRIu64, digits, fraction);
}

static void write_seconds(struct buf *out, uint64_t us)
{
	write_decimal(out, us, 6);
}

static void write_gauge(struct buf *out, int64_t value, unsigned decimals)
{
	if (value < 0)
		buf_append_char(out, '-');
	write_decimal(out, value < 0 ? -(uint64_t)value : (uint64_t)value, decimals);
}

/* "name_bucket{labels,le=\"" */
static void open_bucket(struct buf *out, const struct metric_series *series)
{
	buf_appendf(out, "%s_bucket{%s%sle=\"", series->name, series->labels,
		series->labels[0] != '\0' ? "," : "");
}

/* "name_sum{labels} " */
static void open_sample(struct buf *out, const struct metric_series *series, const char *suffix)
{
	buf_appendf(out, "%s%s", series->name, suffix);
	if (series->labels[0] != '\0')
		buf_appendf(out, "{%s}", series->labels);
	buf_append_char(out, ' ');
}

static void write_histogram(struct buf *out, const struct metric_series *series)
{
	const struct histogram *histogram = series->histogram;
	uint64_t below = 0;
	size_t bucket = 0;

	for (unsigned k = BOUND_FIRST; k <= BOUND_LAST; k += k < BOUND_SPARSE ? 1 : 2) {
		uint64_t bound = UINT64_C(1) << k;

		for (; bucket < HISTOGRAM_BUCKETS && histogram_bucket_bound(bucket) < bound;
			bucket++)
			below += histogram->buckets[bucket];
		open_bucket(out, series);
		write_seconds(out, bound);
		buf_appendf(out, "\"} %" PRIu64 "\n", below);
	}
	open_bucket(out, series);
	buf_appendf(out, "+Inf\"} %" PRIu64 "\n", histogram->count);
	open_sample(out, series, "_sum");
	write_seconds(out, histogram->sum);
	buf_append_char(out, '\n');
	open_sample(out, series, "_count");
	buf_appendf(out, "%" PRIu64 "\n", histogram->count);
}

static void write_series(struct buf *out, const struct metric_series *series)
{
	switch (series->kind) {
	case METRIC_COUNTER:
		open_sample(out, series, "");
		write_decimal(out, series->counter->value, series->decimals);
		buf_append_char(out, '\n');
		break;
	case METRIC_GAUGE:
		open_sample(out, series, "");
		write_gauge(out, series->gauge->value, series->decimals);
		buf_append_char(out, '\n');
		break;
	case METRIC_HISTOGRAM:
		write_histogram(out, series);
		break;
	}
}

/* The first series and all later ones of its name and kind, which are then taken off the list. */
static void write_family(struct buf *out, struct listing *listing, size_t first)
{
	static const char *const types[] = {[METRIC_COUNTER] = "counter",
		[METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM] = "histogram"};
	const struct metric_series head = listing->series[first];

	buf_appendf(out, "# HELP %s ", head.name);
	write_help(out, head.help);
	buf_appendf(out, "\n# TYPE %s %s\n", head.name, types[head.kind]);
	for (size_t i = first; i < listing->count; i++) {
		struct metric_series *series = &listing->series[i];

		if (series->name == NULL || strcmp(series->name, head.name) != 0)
			continue;
		/* A name has one type; of another one is a mistake in who registered it. */
		if (series->kind == head.kind)
			write_series(out, series);
		series->name = NULL;
	}
}

int exposition_write(const struct metrics *metrics, struct buf *out)
{
	struct listing listing = {0};

	metrics_each(metrics, count_one, &listing);
	if (listing.count == 0)
		return out->err;
	listing.series = calloc(listing.count, sizeof(*listing.series));
	if (listing.series == NULL)
		return ERR_NOMEM;
	listing.count = 0;
	metrics_each(metrics, list_one, &listing);
	for (size_t i = 0; i < listing.count; i++) {
		if (listing.series[i].name != NULL)
			write_family(out, &listing, i);
	}
	free(listing.series);
	return out->err;
}
