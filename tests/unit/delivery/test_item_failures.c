/* batchItemFailures: each case of AWS's table, and what is around them. */
#include "base/buf.h"
#include "bunshin/error.h"
#include "delivery/item_failures.h"
#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define LIST(items) "{\"batchItemFailures\":[" items "]}"
#define ITEM(id) "{\"itemIdentifier\":\"" id "\"}"

/* c stands twice: a queue may hand one message out twice. */
static const char *const ids[] = {"c", "a", "d", "c", "b"};
enum { COUNT = COUNT_OF(ids) };

static struct json json;

static int teardown(void **state)
{
	json_free(&json);
	return 0;
}

/* failed: a letter for each of the ids, 'x' where it is to be tried again. */
static void assert_read(
	const char *body, bool whole, int expected, const char *failed, const char *reason)
{
	size_t len = strlen(body);
	char *copy = malloc(len + 1);
	char why[ITEM_FAILURES_REASON_SIZE] = "untouched";
	bool result[COUNT];
	char letters[COUNT + 1] = {0};

	assert_non_null(copy);
	memcpy(copy, body, len);
	memset(result, 7, sizeof(result));
	assert_int_equal(
		item_failures_read(&json, copy, len, whole, ids, COUNT, result, why), expected);
	free(copy);
	for (size_t i = 0; i < COUNT; i++)
		letters[i] = result[i] ? 'x' : '.';
	assert_string_equal(letters, failed);
	assert_string_equal(why, reason);
}

static void full_success(void **state)
{
	static const char *const bodies[] = {"", " \r\n\t", "null", "{}", " { } ",
		"{\"batchItemFailures\":[]}", "{\"batchItemFailures\":null}",
		"{\"statusCode\":200,\"body\":\"ok\"}",
		"{\"batchItemFailures\":[],\"errorMessage\":\"\"}",
		/* The last one of a name counts. */
		"{\"batchItemFailures\":[7],\"batchItemFailures\":[]}"};

	for (size_t i = 0; i < COUNT_OF(bodies); i++)
		assert_read(bodies[i], true, 0, ".....", "");
}

static void partial_success(void **state)
{
	assert_read(LIST(ITEM("a")), true, 0, ".x...", "");
	assert_read(LIST(ITEM("b") "," ITEM("d")), true, 0, "..x.x", "");
	assert_read(LIST(ITEM("c")), true, 0, "x..x.", "");
	assert_read(LIST(ITEM("a") "," ITEM("a")), true, 0, ".x...", "");
	assert_read(
		LIST(ITEM("d") "," ITEM("c") "," ITEM("b") "," ITEM("a")), true, 0, "xxxxx", "");
	assert_read("{\"x\":[1,{}],\"batchItemFailures\":[{\"why\":{\"itemIdentifier\":\"b\"},"
		    "\"itemIdentifier\":\"\\u0061\"}],\"y\":null}",
		true, 0, ".x...", "");
}

static void full_failure(void **state)
{
	static const struct {
		const char *body, *reason;
	} rows[] = {
		{"ok", "the answer is not JSON"},
		{"{", "the answer is not JSON"},
		{"{}x", "the answer is not JSON"},
		{LIST(ITEM("a")) "]", "the answer is not JSON"},
		{"\"ok\"", "the answer is no JSON object"},
		{"[]", "the answer is no JSON object"},
		{"false", "the answer is no JSON object"},
		{"0", "the answer is no JSON object"},
		{"{\"errorMessage\":\"boom\",\"errorType\":\"Error\"}", "the function failed"},
		{"{\"batchItemFailures\":{}}", "batchItemFailures: expected a list"},
		{"{\"batchItemFailures\":\"a\"}", "batchItemFailures: expected a list"},
		{"{\"batchItemFailures\":0}", "batchItemFailures: expected a list"},
		{LIST(ITEM("a") "," ITEM("")),
			"batchItemFailures[1].itemIdentifier: expected a message id"},
		{LIST("{\"itemIdentifier\":null}"),
			"batchItemFailures[0].itemIdentifier: expected a message id"},
		{LIST("{\"itemIdentifier\":1}"),
			"batchItemFailures[0].itemIdentifier: expected a message id"},
		{LIST("{\"itemIdentifier\":\"a\\u0000\"}"),
			"batchItemFailures[0].itemIdentifier: expected a message id"},
		{LIST("{\"messageId\":\"a\"}"),
			"batchItemFailures[0].itemIdentifier: expected a message id"},
		{LIST("\"a\""), "batchItemFailures[0].itemIdentifier: expected a message id"},
		{LIST("null"), "batchItemFailures[0].itemIdentifier: expected a message id"},
		{LIST(ITEM("a") "," ITEM("b") "," ITEM("aa")),
			"batchItemFailures[2].itemIdentifier: is of none of the messages"},
		{LIST(ITEM("A")),
			"batchItemFailures[0].itemIdentifier: is of none of the messages"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_read(rows[i].body, true, ERR_SYNTAX, "xxxxx", rows[i].reason);
}

/* What was read of it may look like a success. */
static void an_answer_that_was_cut(void **state)
{
	assert_read(
		"", false, ERR_SYNTAX, "xxxxx", "the answer is longer than what is read of one");
	assert_read(
		"{}", false, ERR_SYNTAX, "xxxxx", "the answer is longer than what is read of one");
}

static void ten_thousand_in_the_worst_order(void **state)
{
	enum { MANY = 10000 };
	struct buf body = BUF_INIT((size_t)1 << 20);
	char(*texts)[8] = calloc(MANY, sizeof(*texts));
	const char **many = calloc(MANY, sizeof(*many));
	bool *failed = calloc(MANY, sizeof(*failed));
	char reason[ITEM_FAILURES_REASON_SIZE];

	assert_true(texts && many && failed);
	buf_append_string(&body, "{\"batchItemFailures\":[");
	for (int i = 0; i < MANY; i++) {
		snprintf(texts[i], sizeof(texts[i]), "%d", i);
		many[i] = texts[i];
		if (i % 2)
			buf_appendf(
				&body, "%s{\"itemIdentifier\":\"%d\"}", i > 1 ? "," : "", MANY - i);
	}
	buf_append_string(&body, "]}");
	assert_int_equal(
		item_failures_read(&json, body.data, body.len, true, many, MANY, failed, reason),
		0);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(failed[i], i % 2 == 1);
	buf_free(&body);
	free(texts);
	free(many);
	free(failed);
}

static int read_fresh(void *arg)
{
	static const char body[] = LIST(ITEM("a"));
	struct json fresh = {0};
	char reason[ITEM_FAILURES_REASON_SIZE];
	bool failed[COUNT];
	int err = item_failures_read(
		&fresh, body, sizeof(body) - 1, true, ids, COUNT, failed, reason);

	for (size_t i = 0; err && i < COUNT; i++)
		assert_true(failed[i]);
	assert_string_equal(reason, err ? error_message(ERR_NOMEM) : "");
	json_free(&fresh);
	return err;
}

static void without_memory_all_have_failed(void **state)
{
	failmalloc_sweep(read_fresh, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_success),
		cmocka_unit_test(partial_success),
		cmocka_unit_test(full_failure),
		cmocka_unit_test(an_answer_that_was_cut),
		cmocka_unit_test(ten_thousand_in_the_worst_order),
		cmocka_unit_test(without_memory_all_have_failed),
	};

	return cmocka_run_group_tests_name("delivery/item_failures", tests, NULL, teardown);
}
