/* The documents over a board, which anybody may have written to. */
#include "base/manual_clock.h"
#include "base/random.h"
#include "base/utf8.h"
#include "bunshin/error.h"
#include "cli/run/status_view.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#define PLACES 3

static struct manual_clock manual;
static struct board *board;
static struct config *config;
static struct status_view *view;
static uint64_t accepted;

static int collect(void *arg, struct metrics *into)
{
	struct counter *counter =
		metrics_counter(into, "bunshin_messages_total", "", "outcome=\"accepted\"");

	if (counter == NULL)
		return ERR_NOMEM;
	counter_add(counter, accepted);
	return board_collect(board, into);
}

static int set_up(void **state)
{
	const struct config_override url = {
		"queue.url", "https://sqs.eu-west-1.amazonaws.com/123456789012/morning", "test"};
	struct buf errors = BUF_INIT(4096);

	manual_clock_init(&manual, 1, 1764144000000 - 50000);
	manual.now_us = 50000000;
	accepted = 0;
	board = board_new(PLACES);
	assert_non_null(board);
	assert_int_equal(
		config_load(NULL, &config_process_environment, &url, 1, &config, &errors), 0);
	buf_free(&errors);
	return status_view_new(&(struct status_view_options){.clock = manual_clock_table(&manual),
				       .config = config,
				       .board = board,
				       .collect = collect},
		&view);
}

static int tear_down(void **state)
{
	status_view_free(view);
	config_free(config);
	board_free(board);
	manual_clock_free(&manual);
	return 0;
}

static cJSON *document(void)
{
	struct buf out = BUF_INIT((size_t)16 << 20);
	cJSON *root;

	assert_int_equal(status_view_write(view, &out), 0);
	assert_true(utf8_is_valid(buf_string(&out), out.len));
	root = cJSON_Parse(buf_string(&out));
	assert_non_null(root);
	buf_free(&out);
	return root;
}

static const char *text_of(const cJSON *root, const char *part, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetObjectItem(root, part), name));
}

static void a_second_later(void)
{
	manual_clock_advance(&manual, 1000000);
	status_view_tick(view);
}

static void empty(void **state)
{
	cJSON *root = document();

	assert_string_equal(text_of(root, "verdict", "state"), "starting");
	assert_string_equal(text_of(root, "queue", "name"), "morning");
	assert_true(
		cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "totals"), "accepted")));
	cJSON_Delete(root);
	a_second_later();
	root = document();
	assert_int_equal(
		cJSON_GetObjectItem(cJSON_GetObjectItem(root, "totals"), "accepted")->valueint, 0);
	cJSON_Delete(root);
}

static void a_worker(void **state)
{
	const cJSON *worker;
	cJSON *root;

	board_seat_set(board, 1,
		&(struct board_seat){.state = BOARD_RUNNING,
			.pid = getpid(),
			.number = 2,
			.since_us = 49000000});
	board_report_set(board, 1,
		&(struct board_report){.heartbeat_us = 49600000,
			.begun = true,
			.held = 5,
			.busy = 3,
			.slots = 250});
	root = document();
	worker = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "workers"), 0);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "workers")), 1);
	assert_int_equal(cJSON_GetObjectItem(worker, "number")->valueint, 2);
	assert_string_equal(cJSON_GetObjectItem(worker, "state")->valuestring, "running");
	assert_true(cJSON_GetObjectItem(worker, "memory_bytes")->valuedouble > 100000);
	assert_int_equal(cJSON_GetObjectItem(worker, "busy")->valueint, 3);
	assert_int_equal(cJSON_GetObjectItem(worker, "heartbeat_age_ms")->valueint, 400);
	assert_true(cJSON_GetObjectItem(worker, "since_ms")->valuedouble == 1764143999000);
	cJSON_Delete(root);
	/* One that says nothing any more. */
	manual_clock_advance(&manual, 11000000);
	root = document();
	worker = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "workers"), 0);
	assert_string_equal(cJSON_GetObjectItem(worker, "state")->valuestring, "silent");
	cJSON_Delete(root);
}

static void somebody_looks(void **state)
{
	struct buf out = BUF_INIT((size_t)1 << 20);

	assert_false(status_view_is_looked_at(view));
	assert_int_equal(status_view_write_history(view, 0, &out), 0);
	assert_true(status_view_is_looked_at(view));
	manual_clock_advance(&manual, STATUS_VIEW_LOOKED_US + 1);
	assert_false(status_view_is_looked_at(view));
	buf_free(&out);
}

/* Random bytes as failures, in the notes, and as a worker's checks and report. */
static void hostile_board(void **state)
{
	struct random random;
	struct buf out = BUF_INIT((size_t)16 << 20);

	random_seed(&random, 8);
	for (int round = 0; round < 100; round++) {
		struct failures failures;
		struct board_report report;
		struct board_seat seat;
		struct board_check check;

		for (size_t i = 0; i < sizeof(failures); i++)
			((unsigned char *)&failures)[i] = (unsigned char)random_next(&random);
		failures.count = FAILURES_MAX;
		for (size_t i = 0; i < FAILURES_MAX; i++)
			failures.groups[i].outcome = (uint32_t)(random_next(&random) % 7);
		for (size_t i = 0; i < sizeof(report); i++)
			((unsigned char *)&report)[i] = (unsigned char)(random_next(&random) & 1);
		report.held = random_next(&random);
		report.heartbeat_us = random_next(&random);
		for (size_t i = 0; i < sizeof(check); i++)
			((unsigned char *)&check)[i] = (unsigned char)random_next(&random);
		seat = (struct board_seat){.state = (enum board_state)(round % 5),
			.pid = (pid_t)random_next(&random),
			.number = (unsigned)random_next(&random),
			.since_us = random_next(&random)};
		board_failures_set(board, 0, &failures);
		board_report_set(board, 0, &report);
		board_checks_set(board, 0, &check, 1);
		board_seat_set(board, 0, &seat);
		for (size_t i = 0; round > 50 && i < BOARD_NOTES_BYTES; i += 997)
			((unsigned char *)board_notes(board))[i] =
				(unsigned char)random_next(&random);
		a_second_later();
		cJSON_Delete(document());
		buf_clear(&out);
		assert_int_equal(status_view_write_history(view, 0, &out), 0);
		cJSON_Delete(cJSON_Parse(buf_string(&out)));
		assert_true(utf8_is_valid(buf_string(&out), out.len));
	}
	buf_free(&out);
}

static cJSON *queue_of(cJSON *root, const char *name)
{
	return cJSON_GetObjectItem(cJSON_GetObjectItem(root, "queue"), name);
}

static void ten_seconds_later(int64_t visible, uint64_t more)
{
	for (int second = 0; second < 10; second++) {
		accepted += more;
		a_second_later();
	}
	board_backlog_set(
		board, &(struct board_backlog){.visible = visible, .asked_us = manual.now_us});
	a_second_later();
}

/* The counts of the last minute say nothing about when a queue is empty that nothing leaves now. */
static void empty_at_this_pace(void **state)
{
	cJSON *root;

	for (int i = 0; i < 5; i++)
		ten_seconds_later(1000 - 110 * i, 11);
	root = document();
	assert_true(queue_of(root, "falling_per_second")->valuedouble == 10);
	/* 560 were left when the last answer came, a second ago. */
	assert_true(queue_of(root, "empty_ms")->valuedouble ==
		    cJSON_GetObjectItem(root, "now_ms")->valuedouble + 55000);
	cJSON_Delete(root);
	ten_seconds_later(560, 0);
	root = document();
	assert_true(queue_of(root, "falling_per_second")->valuedouble > 5);
	assert_true(cJSON_IsNull(queue_of(root, "empty_ms")));
	cJSON_Delete(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(empty, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_worker, set_up, tear_down),
		cmocka_unit_test_setup_teardown(somebody_looks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hostile_board, set_up, tear_down),
		cmocka_unit_test_setup_teardown(empty_at_this_pace, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
