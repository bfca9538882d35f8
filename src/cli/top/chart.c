#include "cli/top/layout.h"

#include <math.h>
#include <string.h>

#define LEVELS 8
#define SPAN_WANTED_S 300

static const char *const blocks[LEVELS] = {
	"\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"};
static const char *const letters[LEVELS] = {"_", ".", "-", ":", "=", "+", "*", "#"};

static unsigned choose_step(unsigned columns)
{
	static const unsigned steps[] = {1, 2, 3, 5, 6, 10, 15};
	size_t i = 0;

	while (i + 1 < sizeof(steps) / sizeof(steps[0]) && steps[i] * columns < SPAN_WANTED_S)
		i++;
	return steps[i];
}

/* The mean of a throughput, the worst of a latency. */
struct bucket {
	double sum, max;
	unsigned count;
};

static double bucket_value(const struct bucket *bucket, enum chart chart)
{
	if (bucket->count == 0)
		return NAN;
	return chart == CHART_ACCEPTED ? bucket->sum / bucket->count : bucket->max;
}

static void fill(const struct history *history, enum chart chart, unsigned step, unsigned columns,
	struct bucket *buckets)
{
	double last = floor(history->rows[history->count - 1].t_ms / 1000 / step);

	for (size_t i = 0; i < history->count; i++) {
		const struct history_row *row = &history->rows[i];
		double value = chart == CHART_ACCEPTED ? row->accepted : row->attempt_p99_ms;
		double back = last - floor(row->t_ms / 1000 / step);
		struct bucket *bucket;

		if (isnan(value) || value < 0 || !(back < columns))
			continue;
		bucket = &buckets[columns - 1 - (unsigned)back];
		bucket->sum += value;
		bucket->max = value > bucket->max ? value : bucket->max;
		bucket->count++;
	}
}

unsigned chart_draw(const struct history *history, enum chart chart, struct canvas *canvas,
	unsigned row, unsigned column, unsigned columns, double *ret_max)
{
	struct bucket buckets[CANVAS_WIDTH_MAX];
	unsigned step = choose_step(columns);
	double max = NAN;

	memset(buckets, 0, sizeof(buckets));
	if (history->count > 0 && columns > 0 && columns <= CANVAS_WIDTH_MAX)
		fill(history, chart, step, columns, buckets);
	for (unsigned i = 0; i < columns; i++)
		max = fmax(max, bucket_value(&buckets[i], chart));
	for (unsigned i = 0; i < columns; i++) {
		double value = bucket_value(&buckets[i], chart);
		unsigned level;

		if (isnan(value))
			continue;
		level = max > 0 ? (unsigned)(value / max * (LEVELS - 1) + 0.5) : 0;
		canvas_put(canvas, row, column + i, 1, STYLE_PLAIN,
			canvas->ascii ? letters[level] : blocks[level]);
	}
	*ret_max = max;
	return step;
}
