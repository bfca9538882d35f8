#include "base/metrics.h"
#include "base/random.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TOP ((UINT64_C(1) << 40) - 1)

static void a_series_is_registered_once(void **state)
{
	struct metrics *metrics = metrics_new();
	struct counter *accepted, *failed;
	struct gauge *held;

	assert_non_null(metrics);
	accepted = metrics_counter(metrics, "m_total", "Messages.", "outcome=\"accepted\"");
	failed = metrics_counter(metrics, "m_total", "Messages.", "outcome=\"failed\"");
	held = metrics_gauge(metrics, "held", "Held.", "");
	assert_ptr_not_equal(accepted, failed);
	assert_ptr_equal(
		metrics_counter(metrics, "m_total", "Other words.", "outcome=\"accepted\""),
		accepted);
	counter_add(accepted, 3);
	counter_add(accepted, 4);
	gauge_set(held, 10);
	gauge_add(held, -12);
	assert_int_equal(accepted->value, 7);
	assert_int_equal(failed->value, 0);
	assert_int_equal(held->value, -2);
	metrics_free(metrics);
	metrics_free(NULL);
}

static void a_series_has_one_kind(void **state)
{
	struct metrics *metrics = metrics_new();

	assert_non_null(metrics_counter(metrics, "x", "", ""));
	assert_null(metrics_gauge(metrics, "x", "", ""));
	assert_null(metrics_histogram(metrics, "x", "", ""));
	assert_non_null(metrics_gauge(metrics, "x", "", "a=\"1\""));
	metrics_free(metrics);
}

static void names_are_copied_and_handles_stay(void **state)
{
	struct metrics *metrics = metrics_new();
	struct counter *counters[200];
	char name[32];

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		counters[i] = metrics_counter(metrics, name, name, "");
		counter_add(counters[i], (uint64_t)i);
	}
	memset(name, 'x', sizeof(name) - 1);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		assert_ptr_equal(metrics_counter(metrics, name, "", ""), counters[i]);
		assert_int_equal(counters[i]->value, i);
	}
	metrics_free(metrics);
}

struct listing {
	char text[500];
	int series;
};

static void list_series(void *arg, const struct metric_series *series)
{
	struct listing *listing = arg;
	size_t len = strlen(listing->text);

	assert_int_equal(!!series->counter + !!series->gauge + !!series->histogram, 1);
	assert_int_equal(!!series->counter, series->kind == METRIC_COUNTER);
	assert_int_equal(!!series->gauge, series->kind == METRIC_GAUGE);
	assert_int_equal(!!series->histogram, series->kind == METRIC_HISTOGRAM);
	snprintf(listing->text + len, sizeof(listing->text) - len, "%s|%s|%s|%lld\n", series->name,
		series->help, series->labels,
		series->counter ? (long long)series->counter->value
		: series->gauge ? (long long)series->gauge->value
				: (long long)series->histogram->sum);
	listing->series++;
}

static void visits_in_order_of_registration(void **state)
{
	struct metrics *metrics = metrics_new();
	struct listing listing = {0};

	metrics_each(metrics, list_series, &listing);
	assert_int_equal(listing.series, 0);
	counter_add(metrics_counter(metrics, "z", "Last letter.", "a=\"b\""), 5);
	gauge_set(metrics_gauge(metrics, "a", "First letter.", ""), -3);
	histogram_record(metrics_histogram(metrics, "h", "Times.", ""), 99);
	metrics_each(metrics, list_series, &listing);
	assert_string_equal(listing.text, "z|Last letter.|a=\"b\"|5\n"
					  "a|First letter.||-3\n"
					  "h|Times.||99\n");
	metrics_free(metrics);
}

/* The buckets have no gap and no overlap, and are as narrow as promised. */
static void buckets_tile_the_range(void **state)
{
	uint64_t next = 0;

	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t high = histogram_bucket_bound(i);
		const uint64_t values[] = {next, high, next + (high - next) / 2};

		assert_true(high >= next);
		assert_true((high - next) * 16 <= next);
		for (int j = 0; j < 3; j++) {
			struct histogram histogram = {0};

			histogram_record(&histogram, values[j]);
			assert_int_equal(histogram.buckets[i], 1);
			assert_true(histogram_quantile(&histogram, 0.5) == high);
		}
		next = high + 1;
	}
	assert_true(next == TOP + 1);
}

static void what_is_too_large_counts_in_the_last(void **state)
{
	static const uint64_t large[] = {TOP, TOP + 1, UINT64_C(1) << 41, UINT64_MAX};
	struct histogram histogram = {0};

	for (size_t i = 0; i < 4; i++)
		histogram_record(&histogram, large[i]);
	assert_int_equal(histogram.buckets[HISTOGRAM_BUCKETS - 1], 4);
	assert_int_equal(histogram.count, 4);
	assert_true(histogram_quantile(&histogram, 1) == TOP);
}

static void quantiles(void **state)
{
	struct histogram histogram = {0};

	assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
	for (uint64_t value = 1; value <= 10; value++)
		histogram_record(&histogram, value);
	assert_int_equal(histogram.count, 10);
	assert_int_equal(histogram.sum, 55);
	assert_int_equal(histogram_quantile(&histogram, 0), 1);
	assert_int_equal(histogram_quantile(&histogram, 0.1), 1);
	assert_int_equal(histogram_quantile(&histogram, 0.11), 2);
	assert_int_equal(histogram_quantile(&histogram, 0.5), 5);
	assert_int_equal(histogram_quantile(&histogram, 0.95), 10);
	assert_int_equal(histogram_quantile(&histogram, 1), 10);
	/* Beyond 15 a bucket holds more than one value and answers with its largest. */
	histogram_record(&histogram, 1000);
	assert_int_equal(histogram_quantile(&histogram, 1), 1023);
}

static void quantiles_are_as_exact_as_promised(void **state)
{
	static uint64_t values[1000];
	struct random random;

	random_seed(&random, 20261123);
	for (int round = 0; round < 50; round++) {
		struct histogram histogram = {0};
		uint64_t largest = 0;

		for (int i = 0; i < 1000; i++) {
			values[i] = random_next(&random) >>
				    (24 + random_below(random_next(&random), 40));
			histogram_record(&histogram, values[i]);
			largest = values[i] > largest ? values[i] : largest;
		}
		for (int percent = 0; percent <= 100; percent++) {
			uint64_t q = histogram_quantile(&histogram, percent / 100.0);
			int covered = 0, below = 0;

			for (int i = 0; i < 1000; i++) {
				covered += values[i] <= q;
				below += values[i] < q - q / 16;
			}
			assert_true(covered >= percent * 10);
			assert_true(below <= percent * 10);
		}
		assert_true(histogram_quantile(&histogram, 1) >= largest);
	}
}

static void histograms_merge(void **state)
{
	struct histogram a = {0}, b = {0}, both = {0};

	for (uint64_t value = 0; value < 100000; value += 7) {
		histogram_record(value % 2 ? &a : &b, value);
		histogram_record(&both, value);
	}
	histogram_merge(&a, &b);
	assert_memory_equal(&a, &both, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_series_is_registered_once),
		cmocka_unit_test(a_series_has_one_kind),
		cmocka_unit_test(names_are_copied_and_handles_stay),
		cmocka_unit_test(visits_in_order_of_registration),
		cmocka_unit_test(buckets_tile_the_range),
		cmocka_unit_test(what_is_too_large_counts_in_the_last),
		cmocka_unit_test(quantiles),
		cmocka_unit_test(quantiles_are_as_exact_as_promised),
		cmocka_unit_test(histograms_merge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
