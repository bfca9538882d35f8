/* The delivery's events as log lines: their fields, and how many are written. */
#include "base/log.h"
#include "base/manual_clock.h"
#include "cli/run/event_log.h"

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
	char text[65536];
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
	const struct queue_message message = {.message_id = "m-1", .receive_count = 3};
	const struct target_result result = {.status = 400,
		.retry_after_ms = -1,
		.reason = "",
		.request_id = "r-9",
		.excerpt = "no such user",
		.excerpt_bytes = 12,
		.duration_us = 7500};
	struct world w;

	open_world(&w);
	event_log_write(&w.log, &(struct delivery_event){.kind = DELIVERY_FAILED,
					.message = &message,
					.destination = "line",
					.result = &result,
					.reason = "refused by the provider",
					.operation = ""});
	assert_string_equal(written(&w),
		"{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"warn\","
		"\"message\":\"failed, copied to the failure queue\",\"message_id\":\"m-1\","
		"\"destination\":\"line\",\"attempt\":3,\"status\":400,"
		"\"reason\":\"refused by the provider\",\"provider_request_id\":\"r-9\","
		"\"answer\":\"no such user\",\"duration_ms\":7}\n");
	close_world(&w);
}

static void test_many_alike(void **state)
{
	const struct delivery_event lost = {
		.kind = DELIVERY_LOST, .destination = "", .reason = "sending", .operation = ""};
	const struct delivery_event other = {.kind = DELIVERY_BREAKER_CLOSED,
		.destination = "line",
		.reason = "",
		.operation = ""};
	struct world w;

	open_world(&w);
	for (int i = 0; i < 1000; i++)
		event_log_write(&w.log, &lost);
	assert_int_equal(lines(written(&w)), EVENT_LOG_PER_SECOND);
	/* Another kind has a limit of its own. */
	event_log_write(&w.log, &other);
	assert_int_equal(lines(written(&w)), EVENT_LOG_PER_SECOND + 1);
	manual_clock_advance(&w.clock, 1000000);
	event_log_write(&w.log, &lost);
	assert_non_null(strstr(written(&w), "\"left_out\":990}"));
	event_log_write(&w.log, &lost);
	assert_int_equal(lines(written(&w)), EVENT_LOG_PER_SECOND + 3);
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_many_alike),
	};

	return cmocka_run_group_tests_name("cli/event_log", tests, NULL, NULL);
}
