/* Embedded metrics, to the byte. */
#include "admin/emf.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

static struct emf_metric metrics[EMF_METRICS_MAX + 1];
static struct emf_document document;
static struct buf out;

static int set_up(void **state)
{
	metrics[0] = (struct emf_metric){"Backlog", "Count", 1234000};
	metrics[1] = (struct emf_metric){"BacklogPerWorker", "Count", 154250};
	document = (struct emf_document){.epoch_ms = 1800000000123,
		.namespace = "Bunshin",
		.dimension = "Queue",
		.dimension_value = "morning",
		.metrics = metrics,
		.count = 2};
	out = (struct buf)BUF_INIT(1 << 16);
	return 0;
}

static int tear_down(void **state)
{
	buf_free(&out);
	return 0;
}

static void a_line(void **state)
{
	assert_int_equal(emf_write(&document, &out), 0);
	assert_string_equal(buf_string(&out),
		"{\"_aws\":{\"Timestamp\":1800000000123,\"CloudWatchMetrics\":[{"
		"\"Namespace\":\"Bunshin\",\"Dimensions\":[[\"Queue\"]],\"Metrics\":["
		"{\"Name\":\"Backlog\",\"Unit\":\"Count\"},"
		"{\"Name\":\"BacklogPerWorker\",\"Unit\":\"Count\"}]}]},"
		"\"Queue\":\"morning\",\"Backlog\":1234,\"BacklogPerWorker\":154.25}\n");
}

static void numbers(void **state)
{
	static const struct {
		int64_t thousandths;
		const char *text;
	} rows[] = {{0, "0"}, {1, "0.001"}, {10, "0.01"}, {100, "0.1"}, {999, "0.999"}, {1000, "1"},
		{-1, "-0.001"}, {-1500, "-1.5"}, {INT64_MAX, "9223372036854775.807"},
		{INT64_MIN, "-9223372036854775.808"}};

	document.count = 1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char end[64];
		size_t len;

		metrics[0].thousandths = rows[i].thousandths;
		buf_clear(&out);
		assert_int_equal(emf_write(&document, &out), 0);
		len = (size_t)snprintf(end, sizeof(end), ",\"Backlog\":%s}\n", rows[i].text);
		assert_string_equal(buf_string(&out) + out.len - len, end);
	}
}

static void refused(void)
{
	buf_clear(&out);
	assert_int_equal(emf_write(&document, &out), ERR_ARGUMENT);
	assert_int_equal(out.len, 0);
	set_up(NULL);
}

static void what_cloudwatch_would_not_take(void **state)
{
	static char long_name[EMF_NAME_MAX + 2], long_value[EMF_VALUE_MAX + 2];

	memset(long_name, 'x', sizeof(long_name) - 1);
	memset(long_value, 'x', sizeof(long_value) - 1);
	document.count = 0;
	refused();
	document.count = EMF_METRICS_MAX + 1;
	refused();
	document.namespace = "";
	refused();
	document.namespace = ":Bunshin";
	refused();
	document.namespace = long_name;
	refused();
	document.dimension = "_aws";
	refused();
	document.dimension = "Backlog";
	refused();
	document.dimension_value = "";
	refused();
	document.dimension_value = long_value;
	refused();
	document.dimension_value = "m\xc3\xb6rning";
	refused();
	document.dimension_value = "a\nb";
	refused();
	metrics[1].name = "Backlog";
	refused();
	metrics[1].name = "_aws";
	refused();
	metrics[1].name = long_name;
	refused();
	metrics[1].unit = "";
	refused();
}

static void the_longest(void **state)
{
	static char name[EMF_NAME_MAX + 1], value[EMF_VALUE_MAX + 1],
		names[EMF_METRICS_MAX][EMF_NAME_MAX + 1];
	cJSON *json;

	memset(name, '"', sizeof(name) - 1);
	memset(value, '\\', sizeof(value) - 1);
	for (size_t i = 0; i < EMF_METRICS_MAX; i++) {
		memset(names[i], '~', EMF_NAME_MAX);
		names[i][0] = (char)('0' + i / 10);
		names[i][1] = (char)('0' + i % 10);
		metrics[i] = (struct emf_metric){names[i], "Count", INT64_MIN};
	}
	document = (struct emf_document){.namespace = name,
		.dimension = name,
		.dimension_value = value,
		.metrics = metrics,
		.count = EMF_METRICS_MAX};
	assert_int_equal(emf_write(&document, &out), 0);
	json = cJSON_Parse(buf_string(&out));
	assert_non_null(json);
	assert_int_equal(cJSON_GetArraySize(json), 2 + EMF_METRICS_MAX);
	assert_string_equal(cJSON_GetObjectItem(json, name)->valuestring, value);
	cJSON_Delete(json);
	/* One line. */
	assert_ptr_equal(strchr(buf_string(&out), '\n'), buf_string(&out) + out.len - 1);
}

static void no_room(void **state)
{
	struct buf small = BUF_INIT(100);

	assert_int_equal(emf_write(&document, &small), ERR_TOO_LARGE);
	buf_free(&small);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_line),
		TEST(numbers),
		TEST(what_cloudwatch_would_not_take),
		TEST(the_longest),
		TEST(no_room),
	};

	return cmocka_run_group_tests_name("emf", tests, NULL, NULL);
}
