/* The documents of the admin port: what is read, what is refused, what is unknown. */
#include "cli/top/status.h"

#include "bunshin/error.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LEAST "\"now_ms\":1764144000000,\"verdict\":{\"health\":\"ok\"}"

static struct status status;
static struct history history;

static int read_status(const char *text, struct buf *error)
{
	buf_clear(error);
	return status_read(&status, text, strlen(text), error);
}

static void assert_read(const char *text)
{
	struct buf error = BUF_INIT(1024);

	if (read_status(text, &error) != 0)
		fail_msg("%s: %s", text, buf_string(&error));
	buf_free(&error);
}

static void assert_refused(const char *text, const char *words)
{
	struct buf error = BUF_INIT(1024);

	assert_int_equal(read_status(text, &error), ERR_PROTOCOL);
	assert_string_equal(buf_string(&error), words);
	buf_free(&error);
}

static void whole_document(void **state)
{
	FILE *file = fopen(SCREENS "/sending.json", "rb");
	struct buf error = BUF_INIT(1024);
	static char text[65536];
	size_t len;

	assert_non_null(file);
	len = fread(text, 1, sizeof(text), file);
	fclose(file);
	assert_int_equal(status_read(&status, text, len, &error), 0);
	memset(text, 'x', sizeof(text)); /* it was borrowed for the call only */
	assert_string_equal(status.version, "0.1.0");
	assert_string_equal(status.host, "ip-10-0-0-7");
	assert_true(status.now_ms == 1764144000000.0 && status.started_ms == 1764140000000.0);
	assert_string_equal(status.health, "ok");
	assert_string_equal(status.state, "sending");
	assert_string_equal(
		status.words, "sending 1,980 messages/s; the queue is empty in about 4 min 10 s");
	assert_string_equal(status.queue_name, "morning");
	assert_true(status.visible == 495000 && status.in_flight == 2000 && status.delayed == 0);
	assert_true(status.falling_per_second == 1960.5 && status.empty_ms == 1764144250000.0);
	assert_false(status.paused);
	assert_true(isnan(status.control_rate_per_second));
	assert_int_equal(status.cancelled_count, 1);
	assert_string_equal(status.cancelled[0], "old-campaign");
	assert_true(status.rates.accepted == 1980 && status.rates.attempts == 2001);
	assert_true(status.totals.lost == 3 && status.totals.suppressed == 12);
	assert_true(status.attempt.p95 == 310 && status.acceptance.p99 == 900);
	assert_true(status.busy == 240 && status.limit == 500 && status.held_bytes == 120000);
	assert_true(status.sqs_cost_usd == 0.096);
	assert_int_equal(status.destination_count, 1);
	assert_string_equal(status.destinations[0].breaker, "closed");
	assert_true(status.destinations[0].rate == 2000);
	assert_int_equal(status.campaign_count, 1);
	assert_true(status.campaigns[0].deadline_ms == 1764147600000.0);
	assert_int_equal(status.failure_count, 1);
	assert_string_equal(status.failures[0].answer, "{\"message\":\"...\"}");
	assert_int_equal(status.worker_count, 2);
	assert_true(status.workers[1].heartbeat_age_ms == 6400);
	assert_int_equal(status.check_count, 2);
	buf_free(&error);
}

static void what_is_missing_or_null_is_unknown(void **state)
{
	assert_read("{" LEAST "}");
	assert_string_equal(status.words, "");
	assert_true(
		isnan(status.visible) && isnan(status.rates.accepted) && isnan(status.attempt.p50));
	assert_int_equal(status.worker_count, 0);
	assert_read("{" LEAST ",\"queue\":null,\"workers\":null,\"rates\":{\"accepted\":null},"
		    "\"failures\":[{\"sample\":null,\"status\":null}],\"new\":{\"a\":[1]}}");
	assert_true(isnan(status.rates.accepted));
	assert_int_equal(status.failure_count, 1);
	assert_true(isnan(status.failures[0].status));
	assert_string_equal(status.failures[0].answer, "");
	assert_read("{" LEAST ",\"slots\":{\"busy\":2.4e2}}");
	assert_true(status.busy == 240);
}

static void what_is_no_status_is_refused(void **state)
{
	assert_refused("", "the answer is not a JSON object");
	assert_refused("ok", "the answer is not a JSON object");
	assert_refused("[1]", "the answer is not a JSON object");
	assert_refused("{" LEAST, "the answer is not a JSON object");
	assert_refused("{}", "\"now_ms\" is not there");
	assert_refused("{\"now_ms\":1}", "\"verdict\" is not there, with its health");
	assert_refused("{\"now_ms\":\"1\"}", "\"now_ms\" is not a number");
	assert_refused("{" LEAST ",\"host\":7}", "\"host\" is not a text");
	assert_refused("{" LEAST ",\"host\":\"a\\u0000b\"}", "\"host\" is not a text");
	assert_refused("{" LEAST ",\"queue\":[]}", "\"queue\" is not an object");
	assert_refused("{" LEAST ",\"workers\":{}}", "\"workers\" is not a list");
	assert_refused("{" LEAST ",\"workers\":[1]}", "\"workers\" is not a list of its kind");
	assert_refused("{" LEAST ",\"control\":{\"paused\":1}}", "\"paused\" is not true or false");
	assert_refused("{" LEAST ",\"control\":{\"cancelled\":[1]}}",
		"\"cancelled\" is not a list of its kind");
	assert_refused("{" LEAST ",\"slots\":{\"busy\":1e400}}",
		"\"busy\" is not a number of a sensible size");
	assert_refused("{" LEAST ",\"slots\":{\"busy\":-1e300}}",
		"\"busy\" is not a number of a sensible size");
	assert_refused("{" LEAST
		       ",\"slots\":{\"busy\":0.00000000000000000000000000000000000000001}}",
		"\"busy\" is not a number");
}

static void long_lists_are_cut_and_counted(void **state)
{
	struct buf text = BUF_INIT((size_t)1 << 20);

	buf_append_string(&text, "{" LEAST ",\"workers\":[{}");
	for (int i = 1; i < STATUS_WORKERS_MAX + 7; i++)
		buf_append_string(&text, ",{\"number\":1}");
	buf_append_string(&text, "],\"campaigns\":[{\"name\":\"a\"}");
	for (int i = 1; i < STATUS_CAMPAIGNS_MAX; i++)
		buf_append_string(&text, ",{}");
	buf_append_string(&text, "]}");
	assert_read(buf_string(&text));
	assert_int_equal(status.worker_count, STATUS_WORKERS_MAX);
	assert_int_equal(status.workers_more, 7);
	assert_int_equal(status.campaign_count, STATUS_CAMPAIGNS_MAX);
	assert_int_equal(status.campaigns_more, 0);
	buf_free(&text);
}

/* ---- the history */

static int read_history(const char *text, struct buf *error)
{
	buf_clear(error);
	return history_read(&history, text, strlen(text), error);
}

static void assert_history(const char *text, size_t count, double first, double last)
{
	struct buf error = BUF_INIT(1024);

	if (read_history(text, &error) != 0)
		fail_msg("%s: %s", text, buf_string(&error));
	assert_int_equal(history.count, count);
	if (count > 0) {
		assert_true(history.rows[0].t_ms == first);
		assert_true(history.rows[count - 1].t_ms == last);
		assert_true(history_since(&history) == (int64_t)last);
	}
	buf_free(&error);
}

static void rows_are_appended(void **state)
{
	history.count = 0;
	assert_int_equal(history_since(&history), 0);
	assert_history("{\"now_ms\":5000,\"columns\":[\"new\",\"t_ms\",\"accepted\"],"
		       "\"rows\":[[\"x\",1000,7],[null,2000,null]]}",
		2, 1000, 2000);
	assert_true(history.rows[0].accepted == 7 && isnan(history.rows[1].accepted));
	assert_true(isnan(history.rows[0].visible));
	/* What is known already, and what is out of order, is passed over. */
	assert_history("{\"now_ms\":5000,\"columns\":[\"t_ms\"],\"rows\":[[2000],[4000],[3000]]}",
		3, 1000, 4000);
	assert_history("{\"now_ms\":5000,\"columns\":[\"t_ms\"],\"rows\":[]}", 3, 1000, 4000);
	/* The clock there was set back. */
	assert_history("{\"now_ms\":3000,\"columns\":[\"t_ms\"],\"rows\":[]}", 0, 0, 0);
	assert_int_equal(history_since(&history), 0);
}

static void the_oldest_rows_go(void **state)
{
	struct buf text = BUF_INIT((size_t)1 << 20);

	history.count = 0;
	buf_append_string(&text, "{\"now_ms\":9999000,\"columns\":[\"t_ms\"],\"rows\":[[1000]");
	for (int i = 2; i <= HISTORY_ROWS_MAX + 5; i++)
		buf_appendf(&text, ",[%d000]", i);
	buf_append_string(&text, "]}");
	assert_history(buf_string(&text), HISTORY_ROWS_MAX, 6000, (HISTORY_ROWS_MAX + 5) * 1000.0);
	buf_free(&text);
}

static void a_wrong_history_changes_nothing(void **state)
{
	static const char *const texts[] = {"", "[]", "{}", "{\"now_ms\":5000}",
		"{\"now_ms\":5000,\"columns\":[\"accepted\"],\"rows\":[]}",
		"{\"now_ms\":5000,\"columns\":[\"t_ms\"],\"rows\":[[2000],[3000,1]]}",
		"{\"now_ms\":5000,\"columns\":[\"t_ms\"],\"rows\":[[2000],3]}",
		"{\"now_ms\":5000,\"columns\":[\"t_ms\"],\"rows\":[[2000],[null]]}",
		"{\"now_ms\":5000,\"columns\":[\"t_ms\"],\"rows\":[[2000],[\"x\"]]}",
		"{\"now_ms\":5000,\"columns\":[\"t_ms\"],\"rows\":{}}"};
	struct buf error = BUF_INIT(1024);

	history.count = 0;
	assert_history("{\"now_ms\":5000,\"columns\":[\"t_ms\"],\"rows\":[[1000]]}", 1, 1000, 1000);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(read_history(texts[i], &error), ERR_PROTOCOL);
		assert_true(error.len > 0);
		assert_int_equal(history.count, 1);
	}
	buf_free(&error);
}

static int tear_down(void **state)
{
	status_free(&status);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_document),
		cmocka_unit_test(what_is_missing_or_null_is_unknown),
		cmocka_unit_test(what_is_no_status_is_refused),
		cmocka_unit_test(long_lists_are_cut_and_counted),
		cmocka_unit_test(rows_are_appended),
		cmocka_unit_test(the_oldest_rows_go),
		cmocka_unit_test(a_wrong_history_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
