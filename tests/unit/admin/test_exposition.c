/* The text format, to the byte. */
#include "admin/admin.h"
#include "bunshin/error.h"
#include "failmalloc.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_exposed(const struct metrics *metrics, const char *expected)
{
	struct buf out = BUF_INIT(1 << 20);

	assert_int_equal(exposition_write(metrics, &out), 0);
	assert_string_equal(buf_string(&out), expected);
	buf_free(&out);
}

static void nothing(void **state)
{
	struct metrics *metrics = metrics_new();

	assert_exposed(metrics, "");
	metrics_free(metrics);
}

static void counters_and_gauges(void **state)
{
	struct metrics *metrics = metrics_new();

	counter_add(metrics_counter(metrics, "m_total", "Messages.", ""), UINT64_MAX);
	gauge_set(metrics_gauge(metrics, "held", "Held \"now\".", ""), INT64_MIN);
	assert_exposed(metrics, "# HELP m_total Messages.\n"
				"# TYPE m_total counter\n"
				"m_total 18446744073709551615\n"
				"# HELP held Held \"now\".\n"
				"# TYPE held gauge\n"
				"held -9223372036854775808\n");
	metrics_free(metrics);
}

/* What is counted in parts of the unit comes out exact, however large it is. */
static void fractions(void **state)
{
	struct metrics *metrics = metrics_new();

	counter_add(metrics_counter_scaled(metrics, "a_dollars_total", "A.", "", 9), 400);
	counter_add(metrics_counter_scaled(metrics, "b_total", "B.", "", 9), UINT64_MAX);
	counter_add(metrics_counter_scaled(metrics, "c_total", "C.", "", 3), 17000);
	gauge_set(metrics_gauge_scaled(metrics, "d_ratio", "D.", "", METRIC_MAX, 3), 1);
	gauge_set(metrics_gauge_scaled(metrics, "e", "E.", "", METRIC_SUM, 3), -2500);
	gauge_set(metrics_gauge_scaled(metrics, "f", "F.", "", METRIC_SUM, 1), INT64_MIN);
	assert_exposed(metrics, "# HELP a_dollars_total A.\n"
				"# TYPE a_dollars_total counter\n"
				"a_dollars_total 0.0000004\n"
				"# HELP b_total B.\n"
				"# TYPE b_total counter\n"
				"b_total 18446744073.709551615\n"
				"# HELP c_total C.\n"
				"# TYPE c_total counter\n"
				"c_total 17\n"
				"# HELP d_ratio D.\n"
				"# TYPE d_ratio gauge\n"
				"d_ratio 0.001\n"
				"# HELP e E.\n"
				"# TYPE e gauge\n"
				"e -2.5\n"
				"# HELP f F.\n"
				"# TYPE f gauge\n"
				"f -922337203685477580.8\n");
	metrics_free(metrics);
}

/* However they were registered: one HELP and TYPE, and all of a name below it. */
static void series_of_one_name_stand_together(void **state)
{
	struct metrics *metrics = metrics_new();

	counter_add(metrics_counter(metrics, "a_total", "A.", "k=\"1\""), 1);
	gauge_set(metrics_gauge(metrics, "b", "B.", "k=\"1\""), 2);
	counter_add(metrics_counter(metrics, "a_total", "Other words.", "k=\"2\""), 3);
	gauge_set(metrics_gauge(metrics, "ab", "AB.", ""), 4);
	gauge_set(metrics_gauge(metrics, "b", "B.", "k=\"2\""), 5);
	counter_add(metrics_counter(metrics, "a_total", "A.", "k=\"3\",l=\"x\""), 6);
	/* A mistake in who registers: the name is a counter's. */
	gauge_set(metrics_gauge(metrics, "a_total", "A.", "k=\"4\""), 7);
	assert_exposed(metrics, "# HELP a_total A.\n"
				"# TYPE a_total counter\n"
				"a_total{k=\"1\"} 1\n"
				"a_total{k=\"2\"} 3\n"
				"a_total{k=\"3\",l=\"x\"} 6\n"
				"# HELP b B.\n"
				"# TYPE b gauge\n"
				"b{k=\"1\"} 2\n"
				"b{k=\"2\"} 5\n"
				"# HELP ab AB.\n"
				"# TYPE ab gauge\n"
				"ab 4\n");
	metrics_free(metrics);
}

static void what_is_escaped(void **state)
{
	struct metrics *metrics = metrics_new();

	gauge_set(metrics_gauge(metrics, "g", "A \\ and\na \"line\".",
			  "c=\"a\\\"b\\\\c\\n\xe6\x9c\x9d\""),
		1);
	assert_exposed(metrics, "# HELP g A \\\\ and\\na \"line\".\n"
				"# TYPE g gauge\n"
				"g{c=\"a\\\"b\\\\c\\n\xe6\x9c\x9d\"} 1\n");
	metrics_free(metrics);
}

/* Cumulative, in seconds, to the microsecond on both sides of a bound. */
static void histograms(void **state)
{
	static const uint64_t values[] = {0, 1, 1023, 1024, 2047, 2048, 1000000, 1048575, 1048576,
		UINT64_C(1) << 30, UINT64_C(1) << 36, (UINT64_C(1) << 40) - 1};
	struct metrics *metrics = metrics_new();
	struct histogram *histogram =
		metrics_histogram(metrics, "d_seconds", "Duration.", "q=\"x\"");

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		histogram_record(histogram, values[i]);
	assert_exposed(metrics, "# HELP d_seconds Duration.\n"
				"# TYPE d_seconds histogram\n"
				"d_seconds_bucket{q=\"x\",le=\"0.001024\"} 3\n"
				"d_seconds_bucket{q=\"x\",le=\"0.002048\"} 5\n"
				"d_seconds_bucket{q=\"x\",le=\"0.004096\"} 6\n"
				"d_seconds_bucket{q=\"x\",le=\"0.008192\"} 6\n"
				"d_seconds_bucket{q=\"x\",le=\"0.016384\"} 6\n"
				"d_seconds_bucket{q=\"x\",le=\"0.032768\"} 6\n"
				"d_seconds_bucket{q=\"x\",le=\"0.065536\"} 6\n"
				"d_seconds_bucket{q=\"x\",le=\"0.131072\"} 6\n"
				"d_seconds_bucket{q=\"x\",le=\"0.262144\"} 6\n"
				"d_seconds_bucket{q=\"x\",le=\"0.524288\"} 6\n"
				"d_seconds_bucket{q=\"x\",le=\"1.048576\"} 8\n"
				"d_seconds_bucket{q=\"x\",le=\"2.097152\"} 9\n"
				"d_seconds_bucket{q=\"x\",le=\"4.194304\"} 9\n"
				"d_seconds_bucket{q=\"x\",le=\"8.388608\"} 9\n"
				"d_seconds_bucket{q=\"x\",le=\"16.777216\"} 9\n"
				"d_seconds_bucket{q=\"x\",le=\"33.554432\"} 9\n"
				"d_seconds_bucket{q=\"x\",le=\"67.108864\"} 9\n"
				"d_seconds_bucket{q=\"x\",le=\"134.217728\"} 9\n"
				"d_seconds_bucket{q=\"x\",le=\"268.435456\"} 9\n"
				"d_seconds_bucket{q=\"x\",le=\"536.870912\"} 9\n"
				"d_seconds_bucket{q=\"x\",le=\"1073.741824\"} 9\n"
				"d_seconds_bucket{q=\"x\",le=\"4294.967296\"} 10\n"
				"d_seconds_bucket{q=\"x\",le=\"17179.869184\"} 10\n"
				"d_seconds_bucket{q=\"x\",le=\"68719.476736\"} 10\n"
				"d_seconds_bucket{q=\"x\",le=\"+Inf\"} 12\n"
				"d_seconds_sum{q=\"x\"} 1169307.949629\n"
				"d_seconds_count{q=\"x\"} 12\n");
	metrics_free(metrics);
}

/* Every sum is written to the microsecond, and without zeros that say nothing. */
static void sums(void **state)
{
	static const struct {
		uint64_t us;
		const char *line;
	} rows[] = {{0, "\nh_sum 0\n"}, {1, "\nh_sum 0.000001\n"}, {100000, "\nh_sum 0.1\n"},
		{999999, "\nh_sum 0.999999\n"}, {1000000, "\nh_sum 1\n"},
		{2500000, "\nh_sum 2.5\n"}, {UINT64_MAX, "\nh_sum 18446744073709.551615\n"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct metrics *metrics = metrics_new();
		struct buf out = BUF_INIT(1 << 20);

		metrics_histogram(metrics, "h", "H.", "")->sum = rows[i].us;
		assert_int_equal(exposition_write(metrics, &out), 0);
		assert_non_null(strstr(buf_string(&out), rows[i].line));
		assert_non_null(strstr(buf_string(&out), "\nh_bucket{le=\"0.001024\"} 0\n"));
		buf_free(&out);
		metrics_free(metrics);
	}
}

static int write_all(void *arg)
{
	struct buf out = BUF_INIT(1 << 20);
	int err = exposition_write(arg, &out);

	buf_free(&out);
	return err;
}

static void short_of_memory_and_room(void **state)
{
	struct metrics *metrics = metrics_new();
	struct buf out = BUF_INIT(100);

	for (int i = 0; i < 100; i++) {
		char labels[16];

		snprintf(labels, sizeof(labels), "n=\"%d\"", i);
		assert_non_null(metrics_counter(metrics, "c_total", "C.", labels));
	}
	assert_true(failmalloc_sweep(write_all, metrics) >= 2);
	assert_int_equal(exposition_write(metrics, &out), ERR_TOO_LARGE);
	buf_free(&out);
	metrics_free(metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing),
		cmocka_unit_test(counters_and_gauges),
		cmocka_unit_test(fractions),
		cmocka_unit_test(series_of_one_name_stand_together),
		cmocka_unit_test(what_is_escaped),
		cmocka_unit_test(histograms),
		cmocka_unit_test(sums),
		cmocka_unit_test(short_of_memory_and_room),
	};

	return cmocka_run_group_tests_name("exposition", tests, NULL, NULL);
}
