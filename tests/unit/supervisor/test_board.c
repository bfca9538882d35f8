/* The board: what is written is read, by other processes too, and whatever lies there is survived.
 */
#include "base/metrics_arena.h"
#include "base/random.h"
#include "supervisor/board.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define READS_MAX 5000000 /* only ends a test that would never end */

static struct board *board;

static int enter(void **state)
{
	board = board_new(4);
	assert_non_null(board);
	return 0;
}

static int leave(void **state)
{
	board_free(board);
	return 0;
}

static uint64_t counter_of(const char *name)
{
	struct metrics *metrics = metrics_new();
	uint64_t value;

	assert_int_equal(board_collect(board, metrics), 0);
	value = metrics_counter(metrics, name, "", "")->value;
	metrics_free(metrics);
	return value;
}

static void seats_and_reports(void **state)
{
	const struct board_seat seat = {.state = BOARD_RUNNING,
		.pid = 77,
		.number = 3,
		.generation = 2,
		.failures_in_row = 1,
		.since_us = 5};
	const struct board_report report = {.heartbeat_us = 1,
		.progress_us = 2,
		.begun = true,
		.held = 3,
		.busy = 4,
		.slots = 5,
		.wanting = 6};
	struct board_report read_report;
	struct board_seat read_seat;

	assert_int_equal(board_places(board), 4);
	board_seat_get(board, 1, &read_seat);
	assert_int_equal(read_seat.state, BOARD_EMPTY);
	board_seat_set(board, 1, &seat);
	board_report_set(board, 1, &report);
	board_seat_get(board, 1, &read_seat);
	board_report_get(board, 1, &read_report);
	assert_int_equal(read_seat.state, BOARD_RUNNING);
	assert_int_equal(read_seat.pid, 77);
	assert_int_equal(read_seat.number, 3);
	assert_int_equal(read_seat.since_us, 5);
	assert_true(read_report.begun && !read_report.draining);
	assert_int_equal(read_report.wanting, 6);
	board_clear(board, 1);
	board_report_get(board, 1, &read_report);
	assert_false(read_report.begun);
}

static void checks_are_cut_between_characters(void **state)
{
	struct board_check check, read_checks[BOARD_CHECKS_MAX];
	char longer[BOARD_CHECK_DETAIL_SIZE + 8];

	/* Two bytes each, from an odd place on: the last would be cut in its middle. */
	longer[0] = 'x';
	for (size_t i = 1; i + 1 < sizeof(longer); i += 2)
		memcpy(longer + i, "\xc3\xa9", 2);
	longer[sizeof(longer) - 1] = '\0';
	board_check_fill(&check, "queue", 7, longer);
	board_checks_set(board, 0, &check, 1);
	assert_int_equal(board_checks_get(board, 0, read_checks), 1);
	assert_string_equal(read_checks[0].name, "queue");
	assert_int_equal(read_checks[0].health, 2);
	assert_int_equal(strlen(read_checks[0].detail), BOARD_CHECK_DETAIL_SIZE - 1);
	board_check_fill(&check, "queue", 0, longer + 1);
	assert_int_equal(strlen(check.detail), BOARD_CHECK_DETAIL_SIZE - 2);
	assert_int_equal((unsigned char)check.detail[BOARD_CHECK_DETAIL_SIZE - 3], 0xa9);
}

static void metrics_are_added_up_by_their_rule(void **state)
{
	struct metrics *sum = metrics_new();

	for (unsigned place = 0; place < 3; place++) {
		struct metrics *metrics =
			metrics_new_in(board_metrics(board, place), BOARD_METRICS_BYTES);
		struct histogram *histogram = metrics_histogram(metrics, "h_seconds", "H.", "");

		counter_add(metrics_counter(metrics, "c_total", "C.", "a=\"1\""), place + 1);
		gauge_set(metrics_gauge(metrics, "g", "G.", ""), place + 1);
		gauge_set(metrics_gauge_max(metrics, "g_max", "G.", ""), 10 - (int)place);
		gauge_set(metrics_gauge_min(metrics, "g_min", "G.", ""), 10 - (int)place);
		histogram_record(histogram, 100 * (place + 1));
		metrics_free(metrics);
	}
	assert_int_equal(board_collect(board, sum), 0);
	assert_int_equal(metrics_counter(sum, "c_total", "", "a=\"1\"")->value, 6);
	assert_int_equal(metrics_gauge(sum, "g", "", "")->value, 6);
	assert_int_equal(metrics_gauge(sum, "g_max", "", "")->value, 10);
	assert_int_equal(metrics_gauge(sum, "g_min", "", "")->value, 8);
	assert_int_equal(metrics_histogram(sum, "h_seconds", "", "")->count, 3);
	assert_int_equal(metrics_histogram(sum, "h_seconds", "", "")->sum, 600);
	metrics_free(sum);
}

static void work_at(unsigned place, uint64_t count)
{
	struct metrics *metrics = metrics_new_in(board_metrics(board, place), BOARD_METRICS_BYTES);

	counter_add(metrics_counter(metrics, "c_total", "C.", ""), count);
	gauge_set(metrics_gauge(metrics, "g", "G.", ""), 9);
	metrics_free(metrics);
}

/* Counters of those that went stay; gauges go with them; the place is as new. */
static void the_gone_are_not_forgotten(void **state)
{
	struct metrics *sum = metrics_new();

	for (unsigned round = 0; round < 50; round++) {
		work_at(2, 2);
		board_clear(board, 2);
		assert_int_equal(
			metrics_arena_used(board_metrics(board, 2), BOARD_METRICS_BYTES), 0);
	}
	work_at(2, 1);
	assert_int_equal(board_collect(board, sum), 0);
	assert_int_equal(metrics_counter(sum, "c_total", "", "")->value, 101);
	assert_int_equal(metrics_gauge(sum, "g", "", "")->value, 9);
	metrics_free(sum);
}

/* What finds no room is kept by the process itself. */
static void an_arena_that_is_full(void **state)
{
	struct metrics *metrics = metrics_new_in(board_metrics(board, 0), BOARD_METRICS_BYTES);
	char labels[32];

	for (unsigned i = 0; i < 8000; i++) {
		snprintf(labels, sizeof(labels), "campaign=\"%u\"", i);
		counter_add(metrics_counter(metrics, "c_total", "C.", labels), 1);
	}
	assert_int_equal(metrics_counter(metrics, "c_total", "", "campaign=\"7999\"")->value, 1);
	assert_true(metrics_arena_used(board_metrics(board, 0), BOARD_METRICS_BYTES) <=
		    BOARD_METRICS_BYTES);
	metrics_free(metrics);
}

static pid_t in_child(void (*run)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run();
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* All words of a report are of one moment, however fast it is written. */
static void write_reports(void)
{
	for (uint64_t i = 1;; i++) {
		board_report_set(board, 0,
			&(struct board_report){.heartbeat_us = i,
				.progress_us = i,
				.held = i,
				.busy = i,
				.slots = i,
				.wanting = i});
		/* A writer that is stopped in the middle of a word hides all of them. */
		if (i % 64 == 0)
			usleep(20);
	}
}

static void reports_are_of_one_moment(void **state)
{
	pid_t pid = in_child(write_reports);
	unsigned seen = 0;

	for (unsigned i = 0; i < READS_MAX && seen < 20000; i++) {
		struct board_report report;

		board_report_get(board, 0, &report);
		assert_true(report.progress_us == report.heartbeat_us &&
			    report.held == report.heartbeat_us &&
			    report.wanting == report.heartbeat_us);
		seen += report.heartbeat_us > 0;
		if (report.heartbeat_us == 0)
			usleep(1);
	}
	end(pid);
	assert_int_equal(seen, 20000);
}

/* However it dies, the reader comes to an end, and the next in its place starts clean. */
static void a_writer_that_is_killed_anywhere(void **state)
{
	for (unsigned i = 0; i < 200; i++) {
		struct board_report report;
		pid_t pid = in_child(write_reports);

		usleep(i * 7 % 500);
		end(pid);
		board_report_get(board, 0, &report);
		board_clear(board, 0);
		board_report_set(board, 0, &(struct board_report){.held = 5});
		board_report_get(board, 0, &report);
		assert_int_equal(report.held, 5);
	}
}

/* The reader sees each worker's work once, while places are cleared in another process. */
static void work_and_clear(void)
{
	for (;;) {
		work_at(1, 1);
		board_clear(board, 1);
		usleep(50);
	}
}

static void counters_never_fall_while_places_are_cleared(void **state)
{
	pid_t pid = in_child(work_and_clear);
	uint64_t last = 0;
	unsigned seen = 0;

	for (unsigned i = 0; i < READS_MAX && seen < 500; i++) {
		struct metrics *metrics = metrics_new();
		int err = board_collect(board, metrics);
		uint64_t value = metrics_counter(metrics, "c_total", "", "")->value;

		metrics_free(metrics);
		if (err)
			continue;
		assert_true(value >= last);
		seen += value > last;
		last = value;
	}
	end(pid);
	assert_int_equal(seen, 500);
}

/* Whatever a worker gone mad has left there. */
static void anything_may_lie_in_a_place(void **state)
{
	uint64_t seed = 1;

	for (unsigned round = 0; round < 300; round++) {
		unsigned char *arena = board_metrics(board, 0);
		size_t bytes = 1 + random_split_mix(&seed) % 4096;
		struct metrics *sum = metrics_new();
		struct metrics *metrics = metrics_new_in(arena, BOARD_METRICS_BYTES);

		counter_add(metrics_counter(metrics, "c_total", "C.", ""), 1);
		metrics_histogram(metrics, "h_seconds", "H.", "");
		metrics_free(metrics);
		for (unsigned flips = 0; flips < 1 + round % 40; flips++)
			arena[random_split_mix(&seed) % bytes] =
				(unsigned char)random_split_mix(&seed);
		board_collect(board, sum);
		metrics_free(sum);
		memset(arena, 0, BOARD_METRICS_BYTES);
	}
	assert_int_equal(counter_of("c_total"), 0);
}

static void backlog_and_counts(void **state)
{
	struct board_backlog backlog;
	struct board_counts counts;

	board_backlog_get(board, &backlog);
	assert_int_equal(backlog.visible, -1);
	board_backlog_set(board,
		&(struct board_backlog){.visible = 3, .in_flight = 2, .delayed = 1, .asked_us = 9});
	board_backlog_get(board, &backlog);
	assert_int_equal(backlog.visible, 3);
	board_counts_set(
		board, &(struct board_counts){.started = 4, .wanted = 2, .stopping = true});
	board_counts_get(board, &counts);
	assert_int_equal(counts.started, 4);
	assert_true(counts.stopping);
}

static void sizes_that_are_none(void **state)
{
	assert_null(board_new(0));
	assert_null(board_new(8193));
	board_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(seats_and_reports),
		TEST(checks_are_cut_between_characters),
		TEST(metrics_are_added_up_by_their_rule),
		TEST(the_gone_are_not_forgotten),
		TEST(an_arena_that_is_full),
		TEST(reports_are_of_one_moment),
		TEST(a_writer_that_is_killed_anywhere),
		TEST(counters_never_fall_while_places_are_cleared),
		TEST(anything_may_lie_in_a_place),
		TEST(backlog_and_counts),
		TEST(sizes_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
