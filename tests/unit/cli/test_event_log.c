/* The delivery's events as log lines: their fields, and how many are written. */
#include "base/log.h"
#include "base/manual_clock.h"
#include "cli/run/event_log.h"
#include "delivery/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

struct world {
	struct manual_clock clock;
	struct clock table;
	struct event_log log;
	FILE *file;
	char text[16 << 20];
};

static void open_world(struct world *w)
{
	manual_clock_init(&w->clock, 1, 0);
	w->table = manual_clock_table(&w->clock);
	event_log_init(&w->log, w->table);
	w->file = tmpfile();
	assert_non_null(w->file);
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON, fileno(w->file), &w->table);
}

static const char *written(struct world *w)
{
	ssize_t n = pread(fileno(w->file), w->text, sizeof(w->text) - 1, 0);

	assert_true(n >= 0);
	w->text[n] = '\0';
	return w->text;
}

static void close_world(struct world *w)
{
	event_log_close(&w->log);
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_AUTO, 2, NULL);
	manual_clock_free(&w->clock);
	fclose(w->file);
}

static size_t lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void test_fields(void **state)
{
	const struct queue_attribute campaign = {
		.name = "Campaign", .type = "String", .value = "morning", .value_bytes = 7};
	const struct queue_message message = {.message_id = "m-1",
		.receive_count = 3,
		.attributes = &campaign,
		.attribute_count = 1};
	const struct target_result result = {.status = 400,
		.retry_after_ms = -1,
		.reason = "",
		.request_id = "r-9",
		.excerpt = "no such user",
		.excerpt_bytes = 12,
		.duration_us = 7500};
	static struct world w;

	open_world(&w);
	event_log_write(&w.log, &(struct delivery_event){.kind = DELIVERY_FAILED,
					.message = &message,
					.destination = "line",
					.result = &result,
					.reason = "refused by the provider",
					.operation = ""});
	assert_string_equal(written(&w),
		"{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"warn\","
		"\"message\":\"failed, copied to the failure queue\",\"event\":\"failed\","
		"\"message_id\":\"m-1\",\"campaign\":\"morning\","
		"\"destination\":\"line\",\"attempt\":3,\"status\":400,"
		"\"class\":\"permanent\","
		"\"reason\":\"refused by the provider\",\"provider_request_id\":\"r-9\","
		"\"answer\":\"no such user\",\"duration_ms\":7}\n");
	close_world(&w);
}

/* What is tried again at once says so: a missing field would read as "nobody knows when". */
static void test_each_retry_says_when(void **state)
{
	static const int64_t delays_ms[] = {0, 1, 7000};
	static struct world w;
	const char *line;

	open_world(&w);
	for (size_t i = 0; i < 3; i++) {
		const struct target_result result = {
			.status = 500 + (int)i, .retry_after_ms = -1, .reason = "", .excerpt = ""};

		event_log_write(&w.log, &(struct delivery_event){.kind = DELIVERY_ATTEMPT_FAILED,
						.destination = "line",
						.result = &result,
						.reason = "",
						.operation = "",
						.delay_ms = delays_ms[i]});
	}
	line = written(&w);
	assert_int_equal(lines(line), 3);
	for (size_t i = 0; i < 3; i++, line = strchr(line, '\n') + 1) {
		char want[48];
		const char *found = strstr(line, "\"retry_in_ms\":");

		snprintf(want, sizeof(want), "\"retry_in_ms\":%d}", (int)delays_ms[i]);
		assert_non_null(found);
		assert_memory_equal(found, want, strlen(want));
	}
	close_world(&w);
}

static void test_sqs_request_id(void **state)
{
	static struct world w;

	open_world(&w);
	event_log_write(&w.log, &(struct delivery_event){.kind = DELIVERY_QUEUE_FAILED,
					.destination = "",
					.operation = "delete",
					.err = ERR_THROTTLED,
					.reason = "Throttled (HTTP 400, request id 0a-1b_2c, "
						  "attempt 3): slow down"});
	assert_non_null(strstr(written(&w), "\"operation\":\"delete\",\"error\":"));
	assert_non_null(strstr(w.text, ",\"sqs_request_id\":\"0a-1b_2c\"}"));
	close_world(&w);
}

static void fail_with(struct world *w, enum delivery_event_kind kind, int status,
	const char *destination, const char *reason, const char *answer)
{
	const struct queue_message message = {.message_id = "m-1", .receive_count = 1};
	const struct target_result result = {.status = status,
		.reason = "",
		.request_id = "",
		.excerpt = answer,
		.excerpt_bytes = strlen(answer)};

	event_log_write(&w->log, &(struct delivery_event){.kind = kind,
					 .message = &message,
					 .destination = destination,
					 .result = &result,
					 .reason = reason});
}

/* The registered secrets, also where the excerpt begins to be cut within one. */
static void test_answers_are_redacted(void **state)
{
	char answer[FAILURE_EXCERPT_MAX + 1];
	static struct world w;

	open_world(&w);
	assert_int_equal(log_add_secret("s3cr/et-of-mine"), 0);
	fail_with(&w, DELIVERY_FAILED, 400, "line", "",
		"{\"echo\":\"s3cr\\/et-of-mine\",\"to\":\"tanaka@example.com\"}");
	assert_non_null(strstr(written(&w), "\"answer\":\"{\\\"echo\\\":\\\"[redacted]\\\","
					    "\\\"to\\\":\\\"t***@example.com\\\"}\""));
	for (size_t known = 1; known < strlen("s3cr/et-of-mine"); known++) {
		memset(answer, ' ', sizeof(answer));
		memcpy(answer + FAILURE_EXCERPT_MAX - known, "s3cr/et-of-mine", known);
		answer[FAILURE_EXCERPT_MAX] = '\0';
		fail_with(&w, DELIVERY_FAILED_LEFT, 400 + (int)known, "line", "", answer);
	}
	assert_int_equal(lines(written(&w)), strlen("s3cr/et-of-mine"));
	assert_null(strstr(strstr(w.text, "\n"), "s3"));
	log_clear_secrets();
	close_world(&w);
}

/* Every line is one event, but those that only tell what was left out. */
static void count(const char *text, uint64_t *ret_events, uint64_t *ret_left_out)
{
	static const char tells[] = "\"message\":\"more like those before, left out\"";

	*ret_events = *ret_left_out = 0;
	while (*text) {
		const char *end = strchr(text, '\n');
		const char *left = memmem(text, (size_t)(end - text), "\"left_out\":", 11);

		*ret_events += !memmem(text, (size_t)(end - text), tells, sizeof(tells) - 1);
		if (left)
			*ret_left_out += strtoull(left + 11, NULL, 10);
		text = end + 1;
	}
}

static void assert_counts(struct world *w, uint64_t events, uint64_t left_out)
{
	uint64_t have_events, have_left_out;

	count(written(w), &have_events, &have_left_out);
	assert_int_equal(have_events, events);
	assert_int_equal(have_left_out, left_out);
}

static void test_many_alike(void **state)
{
	static struct world w;

	open_world(&w);
	for (int i = 0; i < 1000; i++)
		fail_with(&w, DELIVERY_FAILED, 400, "line", "refused", "");
	assert_counts(&w, EVENT_LOG_FIRST, 0);
	/* What is not alike has its own first ones. */
	fail_with(&w, DELIVERY_FAILED, 400, "sms", "refused", "");
	fail_with(&w, DELIVERY_FAILED, 404, "line", "refused", "");
	fail_with(&w, DELIVERY_FAILED, 400, "line", "missing", "");
	fail_with(&w, DELIVERY_FAILED_LEFT, 400, "line", "refused", "");
	assert_counts(&w, EVENT_LOG_FIRST + 4, 0);
	/* Then one in a while, with the count of what went before it. */
	manual_clock_advance(&w.clock, EVENT_LOG_GAP_US);
	fail_with(&w, DELIVERY_FAILED, 400, "line", "refused", "");
	assert_non_null(strstr(written(&w), ",\"left_out\":990}"));
	fail_with(&w, DELIVERY_FAILED, 400, "line", "refused", "");
	assert_counts(&w, EVENT_LOG_FIRST + 5, 990);
	/* And a line of its own at the end of the interval, once. */
	manual_clock_advance(&w.clock, EVENT_LOG_INTERVAL_US);
	assert_counts(&w, EVENT_LOG_FIRST + 5, 991);
	assert_non_null(strstr(w.text,
		"\"message\":\"more like those before, left out\",\"event\":\"failed\","
		"\"destination\":\"line\",\"status\":400,\"class\":\"permanent\","
		"\"reason\":\"refused\",\"left_out\":1}"));
	manual_clock_advance(&w.clock, 10 * EVENT_LOG_INTERVAL_US);
	assert_counts(&w, EVENT_LOG_FIRST + 5, 991);
	/* The next morning begins anew. */
	for (int i = 0; i < 20; i++)
		fail_with(&w, DELIVERY_FAILED, 400, "line", "refused", "");
	assert_counts(&w, 2 * EVENT_LOG_FIRST + 5, 991);
	event_log_close(&w.log);
	assert_counts(&w, 2 * EVENT_LOG_FIRST + 5, 991 + 10);
	close_world(&w);
}

static void test_numbers_in_a_reason_are_alike(void **state)
{
	char reason[128];
	static struct world w;

	open_world(&w);
	for (int i = 0; i < 100; i++) {
		snprintf(reason, sizeof(reason),
			"Throttled (HTTP 400, request id a-%d): after %d ms", i, 1000 + i);
		fail_with(&w, DELIVERY_ATTEMPT_FAILED, 429, "line", reason, "");
	}
	assert_counts(&w, EVENT_LOG_FIRST, 0);
	close_world(&w);
}

/* A reason that is new each time does not fill the log. */
static void test_many_reasons(void **state)
{
	char reason[32];
	static struct world w;

	open_world(&w);
	for (int i = 0; i < 5000; i++) {
		for (int k = 0; k < 12; k++)
			reason[k] = (char)('a' + (i >> k) % 2);
		reason[12] = (char)('a' + i / 4096);
		reason[13] = '\0';
		fail_with(&w, DELIVERY_FAILED, 400, "line", reason, "");
	}
	assert_counts(&w, EVENT_LOG_NEW_GROUPS + EVENT_LOG_FIRST, 0);
	event_log_close(&w.log);
	assert_counts(&w, EVENT_LOG_NEW_GROUPS + EVENT_LOG_FIRST,
		5000 - EVENT_LOG_NEW_GROUPS - EVENT_LOG_FIRST);
	assert_non_null(strstr(w.text, "\"reason\":\"many different reasons\""));
	close_world(&w);
}

/*
 * More groups than there is room for, over hours, in every order: lines and what they say was left
 * out are all there was.
 */
static void test_no_count_is_lost(void **state)
{
	static const enum delivery_event_kind kinds[] = {DELIVERY_FAILED, DELIVERY_FAILED_LEFT,
		DELIVERY_EXPIRED, DELIVERY_LOST, DELIVERY_ATTEMPT_FAILED};
	static const char *const names[] = {"line", "sms", "fcm", "mail"};
	uint64_t random = 1, total = 0, events, left_out;
	static struct world w;

	open_world(&w);
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON, fileno(w.file), &w.table);
	for (int i = 0; i < 30000; i++, total++) {
		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		fail_with(&w, kinds[(random >> 33) % 5], 400 + (int)((random >> 40) % 20),
			names[(random >> 50) % 4], "", "");
		if (i % 100 == 99)
			manual_clock_advance(&w.clock, 1 + (random >> 20) % 20000000);
	}
	event_log_close(&w.log);
	assert_true(lines(written(&w)) < total);
	count(w.text, &events, &left_out);
	assert_true(left_out > 0);
	assert_int_equal(events + left_out, total);
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_each_retry_says_when),
		cmocka_unit_test(test_sqs_request_id),
		cmocka_unit_test(test_answers_are_redacted),
		cmocka_unit_test(test_many_alike),
		cmocka_unit_test(test_numbers_in_a_reason_are_alike),
		cmocka_unit_test(test_many_reasons),
		cmocka_unit_test(test_no_count_is_lost),
	};

	return cmocka_run_group_tests_name("cli/event_log", tests, NULL, NULL);
}
