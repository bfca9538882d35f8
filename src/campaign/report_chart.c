#include "campaign/report_chart.h"

#include "campaign/figures.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

/* Coordinates: the curve above, the bars below it, then the axis of time. */
enum {
	WIDTH = 720,
	LEFT = 2,
	RIGHT = 712,
	CURVE_TOP = 24,
	CURVE_BOTTOM = 240,
	BARS_TOP = 276,
	BARS_BOTTOM = 336,
	AXIS_TEXT = 360,
	HEIGHT = 368,
	EDGE = 60 /* a label nearer to a side than this is written away from it */
};

#define DAY_S 86400
#define SHORT_MS 2000
#define APART_BUCKETS 5 /* with fewer, marks would cover each other */

struct chart {
	const struct report_summary *summary;
	int64_t from, to; /* what is shown; holds all buckets */
	uint64_t all;	  /* accepted in all of them; 1 or more */
};

/*
 * From the start when the first acceptance came soon after it, to the deadline when it is near, so
 * that a curve is never squeezed by what lies far from it.
 */
static struct chart chart_of(const struct report_summary *summary)
{
	struct chart chart = {summary, summary->curve_from_epoch_ms, summary->curve_to_epoch_ms, 0};
	int64_t start = report_start_epoch_ms(summary);
	int64_t deadline = summary->campaign->deadline_epoch_ms;
	int64_t near = (chart.to - chart.from) / 2;

	for (unsigned i = 0; i < summary->curve_buckets; i++)
		chart.all += summary->curve[i];
	if (start != 0 && start < chart.from && chart.from - start <= near)
		chart.from = start;
	if (deadline >= chart.to && deadline - chart.to <= near)
		chart.to = deadline + near / 10 + 1;
	return chart;
}

static double x_of(const struct chart *chart, int64_t epoch_ms)
{
	return LEFT + (double)(epoch_ms - chart->from) / (double)(chart->to - chart->from) *
			      (RIGHT - LEFT);
}

static double y_of(const struct chart *chart, double accepted)
{
	return CURVE_BOTTOM - accepted / (double)chart->all * (CURVE_BOTTOM - CURVE_TOP);
}

static int64_t bucket_epoch_ms(const struct report_summary *summary, unsigned bucket)
{
	return summary->curve_from_epoch_ms + bucket * summary->curve_width_ms;
}

/* How high the drawn curve is at a moment, so that marks lie on it. */
static double accepted_by(const struct report_summary *summary, int64_t epoch_ms)
{
	double sum = 0;

	for (unsigned i = 0; i < summary->curve_buckets; i++) {
		int64_t into = epoch_ms - bucket_epoch_ms(summary, i);

		if (into <= 0)
			break;
		sum += into >= summary->curve_width_ms ? (double)summary->curve[i]
						       : (double)summary->curve[i] * (double)into /
								 (double)summary->curve_width_ms;
	}
	return sum;
}

static const char *anchor_at(double x)
{
	return x < LEFT + EDGE ? "start" : x > RIGHT - EDGE ? "end" : "middle";
}

/* the axes */

/* The least of 1, 2, 5, 10, 20, ... that cuts `all` into five parts at most. */
static uint64_t count_step(uint64_t all)
{
	static const uint64_t digits[] = {1, 2, 5};

	for (uint64_t ten = 1; ten <= all; ten *= 10)
		for (int i = 0; i < 3; i++)
			if (all / (digits[i] * ten) < 5)
				return digits[i] * ten;
	return all;
}

/* Has the curve risen so much where labels begin on the left that it would run through them? */
static bool is_steep(const struct chart *chart)
{
	int64_t at = chart->from + (chart->to - chart->from) / 6;

	return accepted_by(chart->summary, at) > 0.4 * (double)chart->all;
}

static void put_level(const struct chart *chart, uint64_t accepted, bool left, struct buf *out)
{
	double y = y_of(chart, (double)accepted);

	buf_appendf(out, "<line class=\"%s\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
		accepted == 0 ? "base" : "grid", LEFT, RIGHT, y, y);
	if (accepted == 0)
		return;
	buf_appendf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"%s\">", left ? LEFT : RIGHT,
		y - 4, left ? "start" : "end");
	figures_append_count(out, accepted);
	buf_append_string(out, "</text>\n");
}

/* Round numbers, and the number of all; none so near to it that one label covers the other. */
static void put_levels(const struct chart *chart, struct buf *out)
{
	uint64_t step = count_step(chart->all);
	bool left = !is_steep(chart);

	for (uint64_t at = 0; chart->all - at > chart->all / 8; at += step) {
		put_level(chart, at, left, out);
		if (chart->all - at < step)
			break;
	}
	put_level(chart, chart->all, true, out);
}

/* Seconds between two labels, of which there are six at most. */
static int64_t time_step(int64_t span_s)
{
	static const int64_t steps[] = {1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600,
		7200, 10800, 21600, 43200, DAY_S, 2 * DAY_S, 7 * DAY_S, 30 * DAY_S, 365 * DAY_S};
	size_t last = sizeof(steps) / sizeof(steps[0]) - 1;

	for (size_t i = 0; i < last; i++)
		if (span_s / steps[i] < 6)
			return steps[i];
	return span_s / 5 > steps[last] ? span_s / 5 : steps[last];
}

static void put_moment(const struct chart *chart, time_t at, int64_t step, struct buf *out)
{
	double x = x_of(chart, (int64_t)at * 1000);
	struct tm parts;
	char text[64] = "";

	if (!localtime_r(&at, &parts))
		return;
	strftime(text, sizeof(text),
		step < 60					  ? "%H:%M:%S"
		: step >= DAY_S					  ? "%Y-%m-%d"
		: chart->to - chart->from > DAY_S * INT64_C(1000) ? "%d. %H:%M"
								  : "%H:%M",
		&parts);
	buf_appendf(out,
		"<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>\n"
		"<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">%s</text>\n",
		x, x, CURVE_TOP, BARS_BOTTOM, x, AXIS_TEXT, anchor_at(x), text);
}

/* At its two ends: too short for a round time to lie in it for certain. */
static void put_ends(const struct chart *chart, struct buf *out)
{
	const int64_t ends[] = {chart->from, chart->to};

	for (int i = 0; i < 2; i++) {
		buf_appendf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">",
			i == 0 ? LEFT : RIGHT, AXIS_TEXT, i == 0 ? "start" : "end");
		figures_append_time(out, ends[i], FIGURES_CLOCK);
		buf_appendf(out, ".%03d</text>\n", (int)(ends[i] % 1000));
	}
}

/* At round times of the zone, by its offset at the beginning. */
static void put_moments(const struct chart *chart, struct buf *out)
{
	time_t begin = (time_t)(chart->from / 1000);
	int64_t step = time_step((chart->to - chart->from) / 1000);
	int64_t end = chart->to / 1000, offset, at;
	struct tm parts;

	if (!localtime_r(&begin, &parts))
		return;
	offset = parts.tm_gmtoff;
	for (at = (begin + offset + step - 1) / step * step - offset; at <= end; at += step)
		if (at * 1000 >= chart->from)
			put_moment(chart, (time_t)at, step, out);
}

/* what is drawn */

static uint64_t most_of(const struct report_summary *summary)
{
	uint64_t most = 1;

	for (unsigned i = 0; i < summary->curve_buckets; i++)
		if (summary->curve[i] > most)
			most = summary->curve[i];
	return most;
}

static void put_bars(const struct chart *chart, struct buf *out)
{
	const struct report_summary *summary = chart->summary;
	uint64_t most = most_of(summary);
	double width =
		x_of(chart, bucket_epoch_ms(summary, 1)) - x_of(chart, bucket_epoch_ms(summary, 0));

	buf_append_string(out, "<path class=\"bars\" d=\"");
	for (unsigned i = 0; i < summary->curve_buckets; i++) {
		double height = (double)summary->curve[i] / (double)most * (BARS_BOTTOM - BARS_TOP);

		if (summary->curve[i] > 0)
			buf_appendf(out, "M%.2f %dv-%.1fh%.2fv%.1fz",
				x_of(chart, bucket_epoch_ms(summary, i)) + width * 0.06,
				BARS_BOTTOM, height, width * 0.88, height);
	}
	buf_appendf(out,
		"\"/>\n<line class=\"base\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n"
		"<text x=\"%d\" y=\"%d\">a second, at most ",
		LEFT, RIGHT, BARS_BOTTOM, BARS_BOTTOM, LEFT, BARS_TOP - 6);
	figures_append_count(out, report_peak_rate(summary));
	buf_append_string(out, "</text>\n");
}

static void put_steps(const struct chart *chart, struct buf *out)
{
	const struct report_summary *summary = chart->summary;
	double sum = 0;

	buf_appendf(out, "M%.1f %d", x_of(chart, summary->curve_from_epoch_ms), CURVE_BOTTOM);
	for (unsigned i = 0; i < summary->curve_buckets; i++) {
		sum += (double)summary->curve[i];
		buf_appendf(out, "L%.1f %.1f", x_of(chart, bucket_epoch_ms(summary, i + 1)),
			y_of(chart, sum));
	}
}

static void put_curve(const struct chart *chart, struct buf *out)
{
	buf_append_string(out, "<path class=\"area\" d=\"");
	put_steps(chart, out);
	buf_appendf(out, "V%dz\"/>\n<path class=\"curve\" d=\"", CURVE_BOTTOM);
	put_steps(chart, out);
	buf_append_string(out, "\"/>\n");
}

/* dx and dy: where its words stand. */
static void put_mark(const struct chart *chart, int64_t epoch_ms, const char *label, int dx, int dy,
	struct buf *out)
{
	double x = x_of(chart, epoch_ms);
	double y = y_of(chart, accepted_by(chart->summary, epoch_ms));
	const char *anchor = dx < 0 || x > RIGHT - EDGE ? "end" : "start";

	if (dx > 0 && x > RIGHT - EDGE) {
		x = RIGHT;
		dx = 0;
	}
	buf_appendf(out,
		"<circle class=\"mark\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>\n"
		"<text class=\"strong\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n",
		x_of(chart, epoch_ms), y, x + dx, y + dy, anchor, label);
}

static void put_marks(const struct chart *chart, struct buf *out)
{
	const struct report_summary *summary = chart->summary;
	bool steep = is_steep(chart);

	if (summary->curve_buckets < APART_BUCKETS)
		return;
	put_mark(chart, summary->last_epoch_ms, "last", -8, -8, out);
	put_mark(chart, summary->p95_epoch_ms, "95&#160;%", 8, 24, out);
	put_mark(chart, summary->median_epoch_ms, "50&#160;%", 8, 18, out);
	put_mark(chart, summary->first_epoch_ms, "first", steep ? 10 : 0, steep ? -5 : -14, out);
}

/* Its word stands where the curve is not. */
static void put_deadline(const struct chart *chart, struct buf *out)
{
	int64_t deadline = chart->summary->campaign->deadline_epoch_ms;
	double x = x_of(chart, deadline);
	bool right = x < RIGHT - 2 * EDGE;
	bool low = accepted_by(chart->summary, deadline) > (double)chart->all / 2;

	if (deadline < chart->from || deadline > chart->to)
		return;
	buf_appendf(out,
		"<line class=\"late\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>\n"
		"<text class=\"late\" x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">deadline</text>\n",
		x, x, CURVE_TOP - 16, BARS_BOTTOM, right ? x + 6 : x - 6,
		low ? CURVE_BOTTOM - 10 : CURVE_TOP + 30, right ? "start" : "end");
}

int report_chart_append(const struct report_summary *summary, const char *words, struct buf *out)
{
	struct chart chart;

	if (summary->curve_buckets == 0)
		return out->err;
	chart = chart_of(summary);
	if (chart.all == 0)
		return out->err;
	buf_appendf(out,
		"<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"chart\" "
		"aria-describedby=\"%s\">\n"
		"<title id=\"chart\">Messages accepted by the provider over time: added up, and "
		"how many a second</title>\n",
		WIDTH, HEIGHT, words);
	if (chart.to - chart.from < SHORT_MS)
		put_ends(&chart, out);
	else
		put_moments(&chart, out);
	put_curve(&chart, out);
	put_levels(&chart, out);
	put_bars(&chart, out);
	put_deadline(&chart, out);
	put_marks(&chart, out);
	return buf_append_string(out, "</svg>\n");
}
