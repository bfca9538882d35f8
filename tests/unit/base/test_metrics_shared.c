/* Metrics in memory that others read: what is written there is read, and whatever lies there is
 * survived. */
#include "base/buf.h"
#include "base/metrics.h"
#include "base/metrics_arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES (1 << 17)
#define HEAD 64	      /* of the arena: bytes in use */
#define ENTRY_HEAD 16 /* bytes, kind, rule, lengths of name, labels, help; decimals */
#define LABEL "k=\"v\""

static struct metrics *mine; /* in the memory */
static unsigned char *memory;

static int enter(void **state)
{
	memory = aligned_alloc(64, BYTES);
	if (!memory)
		return 1;
	memset(memory, 0, BYTES);
	mine = metrics_new_in(memory, BYTES);
	return mine == NULL;
}

static int leave(void **state)
{
	metrics_free(mine);
	free(memory);
	return 0;
}

static void show(void *arg, const struct metric_series *series)
{
	struct buf *text = arg;

	buf_appendf(text, "%s{%s} ", series->name, series->labels);
	if (series->histogram)
		buf_appendf(text, "%llu/%llu", (unsigned long long)series->histogram->sum,
			(unsigned long long)series->histogram->count);
	else
		buf_appendf(text, "%lld",
			series->counter ? (long long)series->counter->value
					: (long long)series->gauge->value);
	buf_appendf(text, " %s\n", series->help);
}

/* All series as lines, in order. */
static void assert_series(const struct metrics *metrics, const char *expected)
{
	struct buf text = BUF_INIT(1 << 20);

	metrics_each(metrics, show, &text);
	assert_string_equal(buf_string(&text), expected);
	buf_free(&text);
}

static void assert_read(const char *expected)
{
	struct metrics *metrics = metrics_new();

	assert_int_equal(metrics_collect(metrics, memory, BYTES, true), 0);
	assert_series(metrics, expected);
	metrics_free(metrics);
}

static void what_is_written_is_read(void **state)
{
	struct counter *counter;
	struct gauge *gauge;
	struct histogram *histogram;

	assert_read("");
	counter = metrics_counter(mine, "c_total", "C,\nin lines.", "");
	assert_read("c_total{} 0 C,\nin lines.\n");
	gauge = metrics_gauge(mine, "g", "", LABEL ",l=\"a\\\"\\\\\\n\xc3\xa9,}\"");
	histogram = metrics_histogram(mine, "h_seconds", "H.", LABEL);
	counter_add(counter, UINT64_MAX);
	gauge_set(gauge, INT64_MIN);
	histogram_record(histogram, 3);
	histogram_record(histogram, 400);
	assert_read("c_total{} -1 C,\nin lines.\n"
		    "g{" LABEL ",l=\"a\\\"\\\\\\n\xc3\xa9,}\"} -9223372036854775808 \n"
		    "h_seconds{" LABEL "} 403/2 H.\n");
	/* The same name and labels are the same handle, here too. */
	assert_ptr_equal(metrics_counter(mine, "c_total", "", ""), counter);
	assert_ptr_equal(
		metrics_gauge_max(mine, "g", "", LABEL ",l=\"a\\\"\\\\\\n\xc3\xa9,}\""), gauge);
	assert_null(metrics_gauge(mine, "c_total", "", ""));
}

static void others_are_added_by_their_rule(void **state)
{
	struct metrics *sum = metrics_new();
	struct gauge *all, *most, *least;
	struct counter *counter = metrics_counter(mine, "c", "", "");
	struct histogram *histogram;

	all = metrics_gauge(mine, "all", "", "");
	most = metrics_gauge_max(mine, "most", "", "");
	least = metrics_gauge_min(mine, "least", "", "");
	histogram = metrics_histogram(mine, "h", "", "");
	for (int i = 0; i < 3; i++) {
		static const int64_t values[] = {-5, -9, -7};

		gauge_set(all, values[i]);
		gauge_set(most, values[i]);
		gauge_set(least, values[i]);
		counter_add(counter, 1);
		histogram_record(histogram, 100);
		assert_int_equal(metrics_collect(sum, memory, BYTES, true), 0);
	}
	assert_series(sum, "c{} 6 \nall{} -21 \nmost{} -5 \nleast{} -9 \nh{} 600/6 \n");
	assert_int_equal(metrics_collect(sum, memory, BYTES, false), 0);
	assert_series(sum, "c{} 9 \nall{} -21 \nmost{} -5 \nleast{} -9 \nh{} 900/9 \n");
	/* A sum of gauges may wrap, but must not trap. */
	gauge_set(all, INT64_MIN);
	assert_int_equal(metrics_collect(sum, memory, BYTES, true), 0);
	assert_true(metrics_gauge(sum, "all", "", "")->value == INT64_MAX - 20);
	metrics_free(sum);
}

static void without_gauges(void **state)
{
	struct metrics *sum = metrics_new();

	metrics_gauge(mine, "g", "", "");
	metrics_counter(mine, "c", "", "");
	metrics_gauge(mine, "g2", "", "");
	metrics_histogram(mine, "h", "", "");
	assert_int_equal(metrics_collect(sum, memory, BYTES, false), 0);
	assert_series(sum, "c{} 0 \nh{} 0/0 \n");
	metrics_free(sum);
}

/* Whatever the order, and whoever else has them: found by name and labels. */
static void orders_that_differ(void **state)
{
	struct metrics *sum = metrics_new();
	char expected[1200] = "", labels[32];

	for (int i = 0; i < 20; i++) {
		snprintf(labels, sizeof(labels), "i=\"%d\"", i * 7 % 20);
		counter_add(metrics_counter(mine, i % 2 ? "a" : "b", "", labels), 1u << i);
	}
	for (int i = 0; i < 20; i++) {
		snprintf(labels, sizeof(labels), "i=\"%d\"", i);
		counter_add(metrics_counter(sum, "a", "A.", labels), 0);
		metrics_counter(sum, "b", "B.", labels);
	}
	assert_int_equal(metrics_collect(sum, memory, BYTES, true), 0);
	for (int i = 0; i < 20; i++) {
		int j = i * 3 % 20; /* 3 * 7 is 1 (mod 20) */
		size_t len = strlen(expected);

		snprintf(expected + len, sizeof(expected) - len,
			"a{i=\"%d\"} %u A.\nb{i=\"%d\"} %u B.\n", i, j % 2 ? 1u << j : 0, i,
			j % 2 ? 0 : 1u << j);
	}
	assert_series(sum, expected);
	metrics_free(sum);
}

static void of_another_kind_is_left_out(void **state)
{
	struct metrics *sum = metrics_new();

	metrics_gauge(sum, "x", "X.", "");
	counter_add(metrics_counter(mine, "x", "", ""), 5);
	counter_add(metrics_counter(mine, "y", "Y.", ""), 6);
	/* Thousandths and units do not add up. */
	metrics_counter_scaled(sum, "z", "Z.", "", 3);
	counter_add(metrics_counter(mine, "z", "", ""), 7);
	assert_int_equal(metrics_collect(sum, memory, BYTES, true), 0);
	assert_series(sum, "x{} 0 X.\nz{} 0 Z.\ny{} 6 Y.\n");
	metrics_free(sum);
}

static void decimals(void *arg, const struct metric_series *series)
{
	unsigned *seen = arg;

	*seen = *seen * 10 + series->decimals;
}

static void fractions_are_added(void **state)
{
	struct metrics *sum = metrics_new();
	unsigned seen = 0;

	counter_add(metrics_counter_scaled(mine, "c", "C.", "", 9), 400);
	gauge_set(metrics_gauge_scaled(mine, "g", "G.", "", METRIC_MAX, 3), 5);
	for (int i = 0; i < 2; i++)
		assert_int_equal(metrics_collect(sum, memory, BYTES, true), 0);
	assert_series(sum, "c{} 800 C.\ng{} 5 G.\n");
	metrics_each(sum, decimals, &seen);
	assert_int_equal(seen, 93);
	metrics_free(sum);
}

static void registries_are_added(void **state)
{
	struct metrics *sum = metrics_new(), *other = metrics_new();

	counter_add(metrics_counter(mine, "c", "C.", LABEL), 1);
	gauge_set(metrics_gauge_max(mine, "g", "G.", ""), -3);
	histogram_record(metrics_histogram(mine, "h", "H.", ""), 50);
	metrics_gauge_min(other, "m", "M.", "");
	counter_add(metrics_counter(other, "c", "", LABEL), 2);
	assert_int_equal(metrics_add(sum, mine), 0);
	assert_int_equal(metrics_add(sum, other), 0);
	assert_int_equal(metrics_add(sum, mine), 0);
	assert_series(sum, "c{" LABEL "} 4 C.\ng{} -3 G.\nh{} 100/2 H.\nm{} 0 M.\n");
	metrics_free(sum);
	metrics_free(other);
}

/* A count that is not that of the buckets is one of another moment. */
static void a_histogram_agrees_with_itself(void **state)
{
	struct histogram *histogram = metrics_histogram(mine, "h", "", "");

	histogram_record(histogram, 7);
	histogram->count = 1000;
	assert_read("h{} 7/1 \n");
}

static void count_series(void *arg, const struct metric_series *series)
{
	++*(size_t *)arg;
}

static size_t series_of(const struct metrics *metrics)
{
	size_t count = 0;

	metrics_each(metrics, count_series, &count);
	return count;
}

static size_t read_series(void)
{
	struct metrics *metrics = metrics_new();
	size_t count;

	assert_int_equal(metrics_collect(metrics, memory, BYTES, true), 0);
	count = series_of(metrics);
	metrics_free(metrics);
	return count;
}

/* What finds no room is the process's own; what others see is whole. */
static void no_room(void **state)
{
	struct metrics *sum = metrics_new();
	char labels[32];
	size_t seen;

	for (int i = 0; i < 4000; i++) {
		snprintf(labels, sizeof(labels), "i=\"%d\"", i);
		counter_add(metrics_counter(mine, "c", "Help.", labels), 1);
	}
	assert_int_equal(series_of(mine), 4000);
	for (int i = 0; i < 4000; i++) {
		snprintf(labels, sizeof(labels), "i=\"%d\"", i);
		assert_int_equal(metrics_counter(mine, "c", "", labels)->value, 1);
	}
	assert_int_equal(metrics_collect(sum, memory, BYTES, true), 0);
	/* Head, value, and texts of 2 + 8 + 6 bytes (up to i="999"), then 2 + 9 + 6. */
	seen = (BYTES - HEAD - 1000 * (ENTRY_HEAD + 8 + 16)) / (ENTRY_HEAD + 8 + 24) + 1000;
	assert_int_equal(series_of(sum), seen);
	metrics_free(sum);
}

/* The sum in memory of a limited size does not grow beyond it. */
static void no_room_for_the_sum(void **state)
{
	static _Alignas(64) unsigned char small[HEAD + 2 * (ENTRY_HEAD + 8 + 8)];
	struct metrics *sum;

	memset(small, 0, sizeof(small));
	sum = metrics_new_in(small, sizeof(small));
	counter_add(metrics_counter(mine, "a", "", ""), 1);
	metrics_histogram(mine, "h", "", "");
	counter_add(metrics_counter(mine, "b", "", ""), 2);
	counter_add(metrics_counter(mine, "c", "", ""), 4);
	assert_int_equal(metrics_collect(sum, memory, BYTES, true), 0);
	assert_series(sum, "a{} 1 \nb{} 2 \n");
	assert_int_equal(metrics_collect(sum, memory, BYTES, true), 0);
	assert_series(sum, "a{} 2 \nb{} 4 \n");
	metrics_free(sum);
}

static void texts_that_are_too_long(void **state)
{
	char text[METRICS_LABELS_MAX + 2] = "";
	char labels[METRICS_LABELS_MAX + 2];

	memset(text, 'x', METRICS_LABELS_MAX + 1);
	assert_non_null(
		metrics_counter(mine, text + METRICS_LABELS_MAX - METRICS_NAME_MAX, "", ""));
	assert_non_null(
		metrics_counter(mine, "a", text + METRICS_LABELS_MAX - METRICS_HELP_MAX, ""));
	snprintf(labels, sizeof(labels), "k=\"%.*s\"", METRICS_LABELS_MAX - 3, text);
	assert_non_null(metrics_counter(mine, "b", "", labels));
	assert_read("");
	counter_add(
		metrics_counter(mine, text + METRICS_LABELS_MAX + 1 - METRICS_NAME_MAX, "", ""), 1);
	counter_add(
		metrics_counter(mine, "a2", text + METRICS_LABELS_MAX + 1 - METRICS_HELP_MAX, ""),
		2);
	labels[METRICS_LABELS_MAX - 1] = '"';
	labels[METRICS_LABELS_MAX] = '\0';
	counter_add(metrics_counter(mine, "b", "", labels), 3);
	{
		struct metrics *sum = metrics_new();

		assert_int_equal(metrics_collect(sum, memory, BYTES, true), 0);
		assert_int_equal(series_of(sum), 3);
		assert_int_equal(metrics_counter(sum, "b", "", labels)->value, 3);
		metrics_free(sum);
	}
	assert_int_equal(series_of(mine), 6);
}

/* What the exposition could not show is left out, and what is behind it is read. */
static void texts_that_are_none(void **state)
{
	static const char *const names[] = {"", "1a", "a b", "a-b", "a\n", "\xc3\xa9", "a{"};
	static const char *const labels[] = {"a", "a=", "a=\"", "a=\"b", "a=b", "=\"b\"", "1=\"b\"",
		"a=\"b\",", ",a=\"b\"", "a=\"b\" ", "a=\"b\"c=\"d\"", "a=\"b\\\"", "a=\"\\t\"",
		"a=\"\\", "a=\"b\nc\"", "a=\"\x01\"", "a=\"\x7f\"", "a=\"\t\"",
		"a=\"b\"} 1\nb{c=\"d\"", "a:b=\"c\"", "a=\"b\",,c=\"d\"", "a=\"b\"}"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		metrics_counter(mine, names[i], "", "");
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
		metrics_counter(mine, "a", "", labels[i]);
	metrics_counter(mine, "a", "\x1b[0m", "");
	assert_read("");
	counter_add(metrics_counter(mine, "_:a1", "", "_a1=\"\",b=\"\xff\""), 1);
	assert_read("_:a1{_a1=\"\",b=\"\xff\"} 1 \n");
}

static void put16(size_t at, uint16_t value)
{
	memcpy(memory + at, &value, sizeof(value));
}

static void put32(size_t at, uint32_t value)
{
	memcpy(memory + at, &value, sizeof(value));
}

static void put64(size_t at, uint64_t value)
{
	memcpy(memory + at, &value, sizeof(value));
}

/* Lengths and kinds that cannot be: what was before is read, what follows is not. */
static void heads_that_are_damaged(void **state)
{
	enum { FIRST = HEAD, SECOND = FIRST + ENTRY_HEAD + 8 + 8, THIRD = SECOND + 32 };
	unsigned char good[THIRD + 32];

	counter_add(metrics_counter(mine, "a", "", ""), 1);
	counter_add(metrics_counter(mine, "b", "", ""), 2);
	counter_add(metrics_counter(mine, "c", "", ""), 3);
	memcpy(good, memory, sizeof(good));
	assert_read("a{} 1 \nb{} 2 \nc{} 3 \n");
	for (int damage = 0; damage < 13; damage++) {
		memcpy(memory, good, sizeof(good));
		switch (damage) {
		case 0:
			put32(SECOND, 0);
			break;
		case 1:
			put32(SECOND, 24);
			break;
		case 2:
			put32(SECOND, UINT32_MAX);
			break;
		case 3:
			put32(SECOND, 40);
			break;
		case 4:
			put16(SECOND + 4, METRIC_HISTOGRAM + 1);
			break;
		case 5:
			put16(SECOND + 6, METRIC_MIN + 1);
			break;
		case 12:
			put16(SECOND + 14, METRICS_DECIMALS_MAX + 1);
			break;
		case 6:
			put16(SECOND + 8, 1000);
			break;
		case 7:
			put16(SECOND + 10, UINT16_MAX);
			break;
		case 8:
			put16(SECOND + 12, UINT16_MAX);
			break;
		case 9:
			put16(SECOND + 4, METRIC_HISTOGRAM);
			break;
		case 10:
			put64(0, SECOND + 31);
			break;
		default:
			put64(0, SECOND + 15);
		}
		assert_read("a{} 1 \n");
	}
	memcpy(memory, good, sizeof(good));
	/* It is read to the end of the memory at most. */
	put64(0, UINT64_MAX);
	assert_read("a{} 1 \nb{} 2 \nc{} 3 \n");
	put64(0, 1);
	assert_read("");
	/* A NUL within a text, and none at its end. */
	memcpy(memory, good, sizeof(good));
	memory[SECOND + ENTRY_HEAD + 8] = '\0';
	memory[THIRD + ENTRY_HEAD + 8 + 1] = 'x';
	assert_read("a{} 1 \nc{} 3 \n");
}

/* An entry that is well formed but for a text that no reader has room for. */
static void texts_longer_than_a_reader_takes(void **state)
{
	static const uint16_t longest[] = {METRICS_NAME_MAX, METRICS_LABELS_MAX, METRICS_HELP_MAX};

	for (unsigned which = 0; which < 3; which++) {
		for (unsigned over = 0; over < 2; over++) {
			uint16_t lengths[3] = {1, 0, 0};
			size_t bytes;

			lengths[which] = (uint16_t)(longest[which] + over);
			bytes = ENTRY_HEAD + 8 +
				(size_t)(lengths[0] + lengths[1] + lengths[2] + 3 + 7) / 8 * 8;
			memset(memory, 0, BYTES);
			put64(0, HEAD + bytes);
			put32(HEAD, (uint32_t)bytes);
			memcpy(memory + HEAD + 8, lengths, sizeof(lengths));
			memset(memory + HEAD + ENTRY_HEAD + 8, 'x', lengths[0]);
			if (lengths[1]) {
				char *labels = (char *)memory + HEAD + ENTRY_HEAD + 8 + 2;

				memset(labels, 'x', lengths[1]);
				memcpy(labels, "x=\"", 3);
				labels[lengths[1] - 1] = '"';
			}
			if (lengths[2])
				memset(memory + HEAD + ENTRY_HEAD + 8 + 3, 'x', lengths[2]);
			assert_int_equal(read_series(), over ? 0 : 1);
		}
	}
	/* As long as can be said. */
	memset(memory, 0, BYTES);
	put64(0, HEAD + ENTRY_HEAD + 8 + 65536);
	put32(HEAD, ENTRY_HEAD + 8 + 65536);
	put16(HEAD + 12, UINT16_MAX - 3);
	assert_int_equal(read_series(), 0);
}

/* Cut anywhere, in memory of exactly that size. */
static void memory_that_ends_early(void **state)
{
	counter_add(metrics_counter(mine, "aa", "Help.", LABEL), 1);
	gauge_set(metrics_gauge_min(mine, "b", "", ""), 2);
	for (size_t bytes = 0; bytes < 300; bytes++) {
		unsigned char *cut = malloc(bytes ? bytes : 1);
		struct metrics *sum = metrics_new();
		/* Texts of 3 + 6 + 6 bytes, then of 2 + 1 + 1. */
		size_t first = HEAD + ENTRY_HEAD + 8 + 16, second = first + ENTRY_HEAD + 8 + 8;

		memcpy(cut, memory, bytes);
		assert_int_equal(metrics_collect(sum, cut, bytes, true), 0);
		assert_int_equal(series_of(sum), (bytes >= first) + (bytes >= second));
		metrics_free(sum);
		free(cut);
	}
	for (size_t bytes = 0; bytes < 200; bytes++) {
		unsigned char *small = aligned_alloc(64, 256);
		struct metrics *metrics = metrics_new_in(small, bytes);

		memset(small, 0, 256);
		assert_non_null(metrics_counter(metrics, "a", "", ""));
		assert_non_null(metrics_counter(metrics, "b", "", ""));
		metrics_free(metrics);
		for (size_t i = bytes; i < 256; i++)
			assert_int_equal(small[i], 0);
		free(small);
	}
}

/* Others have written over all of it: the registry goes on within its memory. */
static void one_whose_memory_is_spoilt(void **state)
{
	struct counter *counter = metrics_counter(mine, "a", "", LABEL);
	unsigned char behind[64];

	for (int byte = 0; byte < 256; byte += 51) {
		memset(memory, byte, BYTES);
		memset(behind, byte, sizeof(behind));
		counter_add(counter, 1);
		for (int i = 0; i < 60; i++) {
			char labels[32];

			snprintf(labels, sizeof(labels), "i=\"%d-%d\"", byte, i);
			assert_non_null(metrics_counter(mine, "b", "", labels));
		}
		/* Unknown now: its name is not what it was. */
		assert_ptr_not_equal(metrics_counter(mine, "a", "", LABEL), counter);
		assert_memory_equal(memory + BYTES - sizeof(behind), behind, sizeof(behind));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_read),
		TEST(others_are_added_by_their_rule),
		TEST(without_gauges),
		TEST(orders_that_differ),
		TEST(of_another_kind_is_left_out),
		TEST(fractions_are_added),
		TEST(registries_are_added),
		TEST(a_histogram_agrees_with_itself),
		TEST(no_room),
		TEST(no_room_for_the_sum),
		TEST(texts_that_are_too_long),
		TEST(texts_that_are_none),
		TEST(heads_that_are_damaged),
		TEST(texts_longer_than_a_reader_takes),
		TEST(memory_that_ends_early),
		TEST(one_whose_memory_is_spoilt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
