/* What the monitor makes of the board, to the byte. */
#include "admin/admin.h"
#include "bunshin/error.h"
#include "cli/run/monitor_metrics.h"
#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S UINT64_C(1000000)
#define NOW (1000 * S)
#define PLACES 4
#define QUEUE "http://127.0.0.1:9324/000000000000/morning"

static struct board *board;
static struct metrics *workers[PLACES]; /* of each place */
static struct counter *accepted[PLACES], *failed[PLACES];
static struct monitor_emf emf;
static struct buf out;

static void sit(unsigned place, bool receives)
{
	board_seat_set(board, place,
		&(struct board_seat){.state = receives ? BOARD_RUNNING : BOARD_WAITING,
			.pid = 1,
			.number = place + 1,
			.since_us = NOW});
	if (receives)
		board_report_set(board, place,
			&(struct board_report){.heartbeat_us = NOW,
				.progress_us = NOW,
				.begun = true,
				.busy = 30,
				.slots = 50});
}

static int set_up(void **state)
{
	const char *name = "bunshin_messages_total";

	board = board_new(PLACES);
	for (unsigned i = 0; i < PLACES; i++) {
		workers[i] = metrics_new_in(board_metrics(board, i), BOARD_METRICS_BYTES);
		accepted[i] = metrics_counter(workers[i], name, "", "outcome=\"accepted\"");
		failed[i] = metrics_counter(workers[i], name, "", "outcome=\"failed\"");
	}
	out = (struct buf)BUF_INIT(1 << 20);
	return 0;
}

static int tear_down(void **state)
{
	for (unsigned i = 0; i < PLACES; i++)
		metrics_free(workers[i]);
	buf_free(&out);
	board_free(board);
	return 0;
}

#define HEAD                                                              \
	"{\"_aws\":{\"Timestamp\":1800000000000,\"CloudWatchMetrics\":[{" \
	"\"Namespace\":\"Bunshin\",\"Dimensions\":[[\"Queue\"]],\"Metrics\":["
#define COUNT(name) "{\"Name\":\"" name "\",\"Unit\":\"Count\"}"
#define OWN              \
	COUNT("Workers") \
	"," COUNT("Busy") "," COUNT("Slots") "," COUNT("Accepted") "," COUNT("Failed")
#define BACKLOG "," COUNT("Backlog") "," COUNT("InFlight") "," COUNT("BacklogPerWorker")

static void assert_line(const char *metrics, const char *values)
{
	char expected[2048];

	buf_clear(&out);
	assert_int_equal(monitor_emf_line(&emf, board, NOW, 1800000000000, &out), 0);
	snprintf(expected, sizeof(expected), HEAD "%s]}]},\"Queue\":\"morning\",%s}\n", metrics,
		values);
	assert_string_equal(buf_string(&out), expected);
}

static void lines(void **state)
{
	counter_add(accepted[0], 1000); /* before the first */
	monitor_emf_init(&emf, "Bunshin", QUEUE, board);
	for (unsigned i = 0; i < 3; i++)
		sit(i, true);
	sit(3, false);
	assert_line(OWN, "\"Workers\":3,\"Busy\":90,\"Slots\":150,\"Accepted\":0,\"Failed\":0");
	counter_add(accepted[0], 7);
	counter_add(accepted[2], 8);
	counter_add(failed[1], 2);
	board_backlog_set(
		board, &(struct board_backlog){
			       .visible = 1000, .in_flight = 90, .delayed = 5, .asked_us = NOW});
	assert_line(OWN BACKLOG,
		"\"Workers\":3,\"Busy\":90,\"Slots\":150,\"Accepted\":15,\"Failed\":2,"
		"\"Backlog\":1000,\"InFlight\":90,\"BacklogPerWorker\":333.333");
	assert_line(OWN BACKLOG,
		"\"Workers\":3,\"Busy\":90,\"Slots\":150,\"Accepted\":0,\"Failed\":0,"
		"\"Backlog\":1000,\"InFlight\":90,\"BacklogPerWorker\":333.333");
}

/* What a worker has done stays when it is gone. */
static void a_worker_that_died(void **state)
{
	monitor_emf_init(&emf, "Bunshin", QUEUE, board);
	sit(0, true);
	sit(1, true);
	counter_add(accepted[1], 5);
	assert_line(OWN, "\"Workers\":2,\"Busy\":60,\"Slots\":100,\"Accepted\":5,\"Failed\":0");
	counter_add(accepted[1], 3);
	board_clear(board, 1);
	assert_line(OWN, "\"Workers\":1,\"Busy\":30,\"Slots\":50,\"Accepted\":3,\"Failed\":0");
}

/* The whole backlog is one worker's, when there is none; nothing is divided by zero. */
static void nobody_receives(void **state)
{
	monitor_emf_init(&emf, "Bunshin", QUEUE, board);
	board_backlog_set(
		board, &(struct board_backlog){.visible = 10, .in_flight = 0, .asked_us = NOW});
	assert_line(OWN BACKLOG, "\"Workers\":0,\"Busy\":0,\"Slots\":0,\"Accepted\":0,\"Failed\":0,"
				 "\"Backlog\":10,\"InFlight\":0,\"BacklogPerWorker\":10");
}

/* A worker that has gone mad writes anything. */
static void numbers_that_somebody_has_made_up(void **state)
{
	monitor_emf_init(&emf, "Bunshin", QUEUE, board);
	sit(0, true);
	board_report_set(board, 0,
		&(struct board_report){.heartbeat_us = NOW,
			.begun = true,
			.busy = UINT64_MAX,
			.slots = UINT64_MAX / 2});
	board_backlog_set(board,
		&(struct board_backlog){.visible = INT64_MAX, .in_flight = -5, .asked_us = 1});
	assert_line(OWN BACKLOG,
		"\"Workers\":1,\"Busy\":1000000000000,\"Slots\":1000000000000,\"Accepted\":0,"
		"\"Failed\":0,\"Backlog\":1000000000000,\"InFlight\":1000000000000,"
		"\"BacklogPerWorker\":1000000000000");
}

static void collects(void **state)
{
	static const char *const expected[] = {
		"\nbunshin_build_info{version=\"" BUNSHIN_VERSION "\"} 1\n",
		"\nbunshin_workers{state=\"starting\"} 0\n",
		"\nbunshin_workers{state=\"running\"} 2\n",
		"\nbunshin_workers{state=\"stopping\"} 0\n",
		"\nbunshin_workers{state=\"waiting\"} 1\n",
		"\nbunshin_workers{state=\"silent\"} 0\n",
		"\nbunshin_workers_wanted 3\n",
		"\nbunshin_worker_starts_total 9\n",
		"\nbunshin_worker_deaths_total 6\n",
		"\nbunshin_worker_stalls_total 1\n",
		"\nbunshin_reloads_total{result=\"ok\"} 4\n",
		"\nbunshin_reloads_total{result=\"failed\"} 2\n",
		"\nbunshin_queue_backlog{state=\"visible\"} 10\n",
		"\nbunshin_queue_backlog{state=\"in_flight\"} 20\n",
		"\nbunshin_queue_backlog{state=\"delayed\"} 30\n",
		"\nbunshin_messages_total{outcome=\"accepted\"} 12\n",
	};
	struct metrics *metrics = metrics_new();

	sit(0, true);
	sit(1, true);
	sit(2, false);
	counter_add(accepted[0], 5);
	counter_add(accepted[1], 7);
	board_counts_set(board, &(struct board_counts){.started = 9,
					.died = 6,
					.killed = 1,
					.reloads = 4,
					.reloads_failed = 2,
					.wanted = 3});
	assert_int_equal(monitor_metrics_collect(board, NOW, metrics), 0);
	assert_int_equal(exposition_write(metrics, &out), 0);
	/* Not known: not shown. */
	assert_null(strstr(buf_string(&out), "bunshin_queue_backlog"));
	metrics_free(metrics);
	metrics = metrics_new();
	board_backlog_set(
		board, &(struct board_backlog){
			       .visible = 10, .in_flight = 20, .delayed = 30, .asked_us = NOW});
	assert_int_equal(monitor_metrics_collect(board, NOW, metrics), 0);
	buf_clear(&out);
	assert_int_equal(exposition_write(metrics, &out), 0);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		if (!strstr(buf_string(&out), expected[i]))
			fail_msg("%s is not in\n%s", expected[i], buf_string(&out));
	metrics_free(metrics);
}

static int collect(void *arg)
{
	struct metrics *metrics = metrics_new();
	int err = metrics ? monitor_metrics_collect(board, NOW, metrics) : ERR_NOMEM;

	metrics_free(metrics);
	return err;
}

static void short_of_memory(void **state)
{
	board_backlog_set(board, &(struct board_backlog){.visible = 10, .asked_us = NOW});
	failmalloc_sweep(collect, NULL);
}

/* Counts that cannot be read now are in the next line. */
static void short_of_memory_for_a_line(void **state)
{
	monitor_emf_init(&emf, "Bunshin", QUEUE, board);
	sit(0, true);
	counter_add(accepted[0], 5);
	buf_reserve(&out, 4096);
	failmalloc_arm(1);
	assert_int_equal(monitor_emf_line(&emf, board, NOW, 1800000000000, &out), 0);
	assert_int_equal(failmalloc_disarm(), 1);
	assert_null(strstr(buf_string(&out), "Accepted"));
	assert_non_null(strstr(buf_string(&out), "\"Workers\":1"));
	assert_line(OWN, "\"Workers\":1,\"Busy\":30,\"Slots\":50,\"Accepted\":5,\"Failed\":0");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(lines),
		TEST(a_worker_that_died),
		TEST(nobody_receives),
		TEST(numbers_that_somebody_has_made_up),
		TEST(collects),
		TEST(short_of_memory),
		TEST(short_of_memory_for_a_line),
	};

	return cmocka_run_group_tests_name("monitor_metrics", tests, NULL, NULL);
}
