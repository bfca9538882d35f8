/* The board: what is written is read, by other processes too, and whatever lies there is survived.
 */
#include "base/random.h"
#include "bunshin/error.h"
#include "supervisor/board.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PLACES 4
#define PAGE ((size_t)sysconf(_SC_PAGESIZE))
/* Where things lie, said again: on whole pages the heads, the gone ones' metrics, then of each
 * place the checks (two of each, 288 bytes) and the metrics. */
#define CHECKS_BYTES ((2 * BOARD_CHECKS_MAX * 288 + PAGE - 1) / PAGE * PAGE)
#define GONE_BYTES ((size_t)4 << 20)

static struct board *board;
static bool keeps_pages; /* madvise(MADV_REMOVE) fails, as where shared memory cannot have holes */

int __real_madvise(void *memory, size_t bytes, int advice);
int __wrap_madvise(void *memory, size_t bytes, int advice);

int __wrap_madvise(void *memory, size_t bytes, int advice)
{
	if (keeps_pages && advice == MADV_REMOVE) {
		errno = EINVAL;
		return -1;
	}
	return __real_madvise(memory, bytes, advice);
}

static int enter(void **state)
{
	keeps_pages = false;
	board = board_new(PLACES);
	return board == NULL;
}

static int leave(void **state)
{
	board_free(board);
	return 0;
}

/* -1: no such series. */
static int64_t sum_of(const char *name, const char *labels)
{
	struct metrics *metrics = metrics_new();
	int64_t value;

	assert_int_equal(board_collect(board, metrics), 0);
	value = (int64_t)metrics_counter(metrics, name, "", labels)->value;
	metrics_free(metrics);
	return value;
}

static void work_at(unsigned place, uint64_t count)
{
	struct metrics *metrics = metrics_new_in(board_metrics(board, place), BOARD_METRICS_BYTES);

	counter_add(metrics_counter(metrics, "c_total", "C.", ""), count);
	gauge_set(metrics_gauge(metrics, "g", "G.", ""), 9);
	histogram_record(metrics_histogram(metrics, "h_seconds", "H.", ""), count);
	metrics_free(metrics);
}

/* What lies in a place that nobody sits in. */
static void assert_seat(unsigned place, const struct board_seat *expected)
{
	struct board_seat seat;

	board_seat_get(board, place, &seat);
	assert_int_equal(seat.state, expected->state);
	assert_int_equal(seat.pid, expected->pid);
	assert_int_equal(seat.number, expected->number);
	assert_int_equal(seat.generation, expected->generation);
	assert_int_equal(seat.failures_in_row, expected->failures_in_row);
	assert_true(seat.since_us == expected->since_us);
}

static void assert_report(unsigned place, const struct board_report *expected)
{
	struct board_report report;

	board_report_get(board, place, &report);
	assert_true(report.heartbeat_us == expected->heartbeat_us);
	assert_true(report.progress_us == expected->progress_us);
	assert_int_equal(report.begun, expected->begun);
	assert_int_equal(report.draining, expected->draining);
	assert_true(report.held == expected->held);
	assert_true(report.busy == expected->busy);
	assert_true(report.slots == expected->slots);
	assert_true(report.wanting == expected->wanting);
	assert_true(report.received == expected->received);
}

static void assert_is_empty(unsigned place)
{
	static const struct board_seat no_seat = {.state = BOARD_EMPTY};
	static const struct board_report no_report = {.held = 0};
	struct board_check checks[BOARD_CHECKS_MAX];

	assert_seat(place, &no_seat);
	assert_report(place, &no_report);
	assert_int_equal(board_checks_get(board, place, checks), 0);
}

static void seats_and_reports(void **state)
{
	const struct board_seat seat = {.state = BOARD_WAITING,
		.pid = 77,
		.number = UINT32_MAX,
		.generation = 2,
		.failures_in_row = 1,
		.since_us = UINT64_MAX};
	const struct board_report report = {.heartbeat_us = 1,
		.progress_us = UINT64_MAX,
		.begun = true,
		.held = 3,
		.busy = 4,
		.slots = 5,
		.wanting = 6,
		.received = 7};
	const struct board_report draining = {.draining = true};

	assert_int_equal(board_places(board), PLACES);
	for (unsigned place = 0; place < PLACES; place++)
		assert_is_empty(place);
	board_seat_set(board, 1, &seat);
	board_report_set(board, 1, &report);
	assert_seat(1, &seat);
	assert_report(1, &report);
	board_report_set(board, 1, &draining);
	assert_report(1, &draining);
	assert_is_empty(0);
	assert_is_empty(2);
	board_clear(board, 1);
	assert_is_empty(1);
	board_seat_set(board, 1, &seat);
	assert_seat(1, &seat);
}

/* A pid is a thing to send signals to: nobody is told that it is a group, or everybody. */
static void a_seat_that_cannot_be(void **state)
{
	board_seat_set(board, 0,
		&(struct board_seat){.state = (enum board_state)77, .pid = -1, .number = 3});
	assert_seat(0, &(struct board_seat){.state = BOARD_EMPTY, .pid = 0, .number = 3});
}

static void checks_are_read_as_set(void **state)
{
	struct board_check checks[BOARD_CHECKS_MAX + 1], read[BOARD_CHECKS_MAX];

	for (unsigned count = 0; count <= BOARD_CHECKS_MAX + 1; count++) {
		unsigned expected = count < BOARD_CHECKS_MAX ? count : BOARD_CHECKS_MAX;

		for (unsigned i = 0; i < count; i++) {
			char detail[32];

			snprintf(detail, sizeof(detail), "%u of %u", i, count);
			board_check_fill(&checks[i], "queue", i % 3, detail);
		}
		board_checks_set(board, 3, checks, count);
		assert_int_equal(board_checks_get(board, 3, read), expected);
		assert_memory_equal(read, checks, expected * sizeof(read[0]));
	}
	board_clear(board, 3);
	assert_int_equal(board_checks_get(board, 3, read), 0);
	board_checks_set(board, 3, checks, 2);
	assert_int_equal(board_checks_get(board, 3, read), 2);
}

static void texts_are_cut_between_characters(void **state)
{
	struct board_check check, read[BOARD_CHECKS_MAX];
	char longer[BOARD_CHECK_DETAIL_SIZE + 8];

	/* Two bytes each, from an odd place on: the last would be cut in its middle. */
	longer[0] = 'x';
	for (size_t i = 1; i + 1 < sizeof(longer); i += 2)
		memcpy(longer + i, "\xc3\xa9", 2);
	longer[sizeof(longer) - 1] = '\0';
	board_check_fill(&check, longer, 7, longer);
	board_checks_set(board, 0, &check, 1);
	assert_int_equal(board_checks_get(board, 0, read), 1);
	assert_int_equal(read[0].health, 2);
	assert_int_equal(strlen(read[0].name), BOARD_CHECK_NAME_SIZE - 1);
	assert_int_equal(strlen(read[0].detail), BOARD_CHECK_DETAIL_SIZE - 1);
	board_check_fill(&check, "queue", 0, longer + 1);
	assert_string_equal(check.name, "queue");
	assert_int_equal(strlen(check.detail), BOARD_CHECK_DETAIL_SIZE - 2);
	/* No NUL at all, and nothing but middles of characters. */
	memset(&check, 'y', sizeof(check));
	memset(check.detail, 0x80, sizeof(check.detail));
	board_checks_set(board, 0, &check, 1);
	assert_int_equal(board_checks_get(board, 0, read), 1);
	assert_string_equal(read[0].name, "yyyyyyyyyyyyyyyyyyyyyyy");
	assert_string_equal(read[0].detail, "");
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
	for (int64_t i = 1; i <= 2; i++) {
		assert_int_equal(board_collect(board, sum), 0);
		assert_int_equal(metrics_counter(sum, "c_total", "", "a=\"1\"")->value, 6 * i);
		assert_int_equal(metrics_gauge(sum, "g", "", "")->value, 6 * i);
		assert_int_equal(metrics_gauge(sum, "g_max", "", "")->value, 10);
		assert_int_equal(metrics_gauge(sum, "g_min", "", "")->value, 8);
		assert_int_equal(metrics_histogram(sum, "h_seconds", "", "")->count, 3 * i);
		assert_int_equal(metrics_histogram(sum, "h_seconds", "", "")->sum, 600 * i);
	}
	metrics_free(sum);
}

static void assert_zero(const unsigned char *memory, size_t bytes)
{
	assert_int_equal(memory[0], 0);
	assert_memory_equal(memory, memory + 1, bytes - 1);
}

/* Counters of those that went stay; gauges go with them; the place is as new. */
static void the_gone_are_not_forgotten(void **state)
{
	struct metrics *sum = metrics_new();

	for (unsigned round = 0; round < 50; round++) {
		keeps_pages = round % 2 == 1;
		work_at(2, 2);
		board_clear(board, 2);
		assert_is_empty(2);
	}
	assert_zero(board_metrics(board, 2), BOARD_METRICS_BYTES);
	board_clear(board, 1); /* nobody was there */
	assert_int_equal(sum_of("c_total", ""), 100);
	work_at(2, 1);
	assert_int_equal(board_collect(board, sum), 0);
	assert_int_equal(metrics_counter(sum, "c_total", "", "")->value, 101);
	assert_int_equal(metrics_gauge(sum, "g", "", "")->value, 9);
	assert_int_equal(metrics_histogram(sum, "h_seconds", "", "")->count, 51);
	assert_int_equal(metrics_histogram(sum, "h_seconds", "", "")->sum, 101);
	metrics_free(sum);
}

/* Bytes of the shared memory that there are pages for, by all processes. */
static size_t resident(const void *memory, size_t bytes)
{
	unsigned char pages[BOARD_METRICS_BYTES / 4096];
	size_t count = 0;

	assert_int_equal(mincore((void *)(uintptr_t)memory, bytes, pages), 0);
	for (size_t i = 0; i < bytes / PAGE; i++)
		count += pages[i] & 1;
	return count * PAGE;
}

static void only_what_is_used_costs_memory(void **state)
{
	unsigned char *arena = board_metrics(board, 1);

	work_at(0, 1);
	assert_int_equal(resident(arena, BOARD_METRICS_BYTES), 0);
	/* It is read only where there is something. */
	board_clear(board, 1);
	assert_int_equal(sum_of("c_total", ""), 1);
	assert_int_equal(resident(arena, BOARD_METRICS_BYTES), 0);
	for (unsigned round = 0; round < 3; round++) {
		work_at(1, 1);
		assert_in_range(resident(arena, BOARD_METRICS_BYTES), PAGE, 2 * PAGE);
		memset(arena, 0xff, BOARD_METRICS_BYTES);
		board_clear(board, 1);
		assert_int_equal(resident(arena, BOARD_METRICS_BYTES), 0);
	}
}

/* What finds no room is kept by the process itself, and forgotten with it. */
static void an_arena_that_is_full(void **state)
{
	struct metrics *metrics = metrics_new_in(board_metrics(board, 0), BOARD_METRICS_BYTES);
	char labels[32];

	counter_add(metrics_counter(metrics, "first_total", "", ""), 1);
	for (unsigned i = 0; i < 24000; i++) {
		snprintf(labels, sizeof(labels), "campaign=\"%u\"", i);
		counter_add(metrics_counter(metrics, "c_total", "C.", labels), 1);
	}
	assert_int_equal(metrics_counter(metrics, "c_total", "", "campaign=\"23999\"")->value, 1);
	metrics_free(metrics);
	assert_int_equal(sum_of("first_total", ""), 1);
	assert_int_equal(sum_of("c_total", "campaign=\"23999\""), 0);
	board_clear(board, 0);
	assert_int_equal(sum_of("first_total", ""), 1);
	assert_int_equal(sum_of("c_total", "campaign=\"1000\""), 1);
}

/* Campaigns come and go with the workers: their memory has an end, those known are counted on. */
static void the_gone_ones_memory_is_full(void **state)
{
	char labels[600];

	for (unsigned worker = 0; worker < 120; worker++) {
		struct metrics *metrics =
			metrics_new_in(board_metrics(board, 0), BOARD_METRICS_BYTES);

		counter_add(metrics_counter(metrics, "c_total", "C.", ""), 1);
		for (unsigned i = 0; i < 100; i++) {
			snprintf(labels, sizeof(labels), "campaign=\"%u %0400u\"", worker, i);
			counter_add(metrics_counter(metrics, "c_total", "C.", labels), 1);
		}
		metrics_free(metrics);
		board_clear(board, 0);
	}
	assert_int_equal(sum_of("c_total", ""), 120);
	snprintf(labels, sizeof(labels), "campaign=\"70 %0400u\"", 99);
	assert_int_equal(sum_of("c_total", labels), 1);
	snprintf(labels, sizeof(labels), "campaign=\"119 %0400u\"", 99);
	assert_int_equal(sum_of("c_total", labels), 0);
}

static void backlog_and_counts(void **state)
{
	struct board_backlog backlog;
	struct board_counts counts;

	board_backlog_get(board, &backlog);
	assert_true(backlog.visible == -1 && backlog.in_flight == -1 && backlog.delayed == -1);
	assert_int_equal(backlog.asked_us, 0);
	board_backlog_set(board,
		&(struct board_backlog){.visible = 3, .in_flight = INT64_MAX, .asked_us = 9});
	board_backlog_get(board, &backlog);
	assert_true(backlog.visible == 3 && backlog.in_flight == INT64_MAX &&
		    backlog.delayed == 0 && backlog.asked_us == 9);
	board_backlog_set(board, &(struct board_backlog){.visible = INT64_MIN, .delayed = -1});
	board_backlog_get(board, &backlog);
	assert_true(backlog.visible == -1 && backlog.in_flight == 0 && backlog.delayed == -1);

	board_counts_get(board, &counts);
	assert_true(counts.started == 0 && counts.wanted == 0 && !counts.stopping);
	board_counts_set(board, &(struct board_counts){.started = 4,
					.died = 3,
					.killed = 2,
					.reloads = 6,
					.reloads_failed = 5,
					.wanted = 1000,
					.stopping = true});
	board_counts_get(board, &counts);
	assert_true(counts.started == 4 && counts.died == 3 && counts.killed == 2 &&
		    counts.reloads == 6 && counts.reloads_failed == 5 && counts.wanted == 1000);
	assert_true(counts.stopping && !counts.reloading);
}

static void control(void **state)
{
	unsigned char given[BOARD_CONTROL_BYTES + 1], found[BOARD_CONTROL_BYTES];

	for (size_t i = 0; i < sizeof(given); i++)
		given[i] = (unsigned char)(i * 7 + 1);
	assert_int_equal(board_control_get(board, found), 0);
	for (size_t count = 1; count <= BOARD_CONTROL_BYTES; count += 73) {
		board_control_set(board, given + 1, count);
		memset(found, 0, sizeof(found));
		assert_int_equal(board_control_get(board, found), count);
		assert_memory_equal(found, given + 1, count);
	}
	board_control_set(board, given, BOARD_CONTROL_BYTES);
	assert_int_equal(board_control_get(board, found), BOARD_CONTROL_BYTES);
	assert_memory_equal(found, given, BOARD_CONTROL_BYTES);
	/* Too much is not set. */
	board_control_set(board, given + 1, BOARD_CONTROL_BYTES + 1);
	assert_int_equal(board_control_get(board, found), BOARD_CONTROL_BYTES);
	assert_memory_equal(found, given, BOARD_CONTROL_BYTES);
}

static void sizes_that_are_none(void **state)
{
	struct board *largest = board_new(8192);

	assert_null(board_new(0));
	assert_null(board_new(8193));
	assert_non_null(largest);
	board_seat_set(largest, 8191, &(struct board_seat){.state = BOARD_RUNNING, .pid = 1});
	board_clear(largest, 8191);
	board_free(largest);
	board_free(NULL);
}

/* Other processes. */

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

static void set_all(uint64_t i)
{
	struct board_check checks[3];
	char detail[200];

	board_report_set(board, 0,
		&(struct board_report){.heartbeat_us = i,
			.progress_us = i,
			.held = i,
			.busy = i,
			.slots = i,
			.wanting = i});
	memset(detail, 'a' + (int)(i % 26), sizeof(detail));
	detail[sizeof(detail) - 1] = '\0';
	for (size_t k = 0; k < 3; k++)
		board_check_fill(&checks[k], detail + sizeof(detail) - 10, i % 3, detail);
	board_checks_set(board, 0, checks, 1 + i % 3);
}

static void write_on(void)
{
	for (uint64_t i = 1;; i++)
		set_all(i);
}

/* Returns whether there was something. */
static bool assert_of_one_moment(void)
{
	struct board_check checks[BOARD_CHECKS_MAX];
	struct board_report report;
	size_t count;

	board_report_get(board, 0, &report);
	assert_true(report.progress_us == report.heartbeat_us &&
		    report.held == report.heartbeat_us && report.busy == report.heartbeat_us &&
		    report.slots == report.heartbeat_us && report.wanting == report.heartbeat_us);
	count = board_checks_get(board, 0, checks);
	assert_in_range(count, 0, 3);
	for (size_t k = 0; k < count; k++) {
		char letter = checks[k].detail[0];

		assert_int_equal(strspn(checks[k].detail, (char[]){letter, '\0'}), 199);
		assert_int_equal(strspn(checks[k].name, (char[]){letter, '\0'}), 9);
		assert_int_equal(checks[k].health, count - 1);
	}
	return count > 0 && report.heartbeat_us > 0;
}

static void what_is_read_is_of_one_moment(void **state)
{
	pid_t pid = in_child(write_on);
	unsigned seen = 0;

	for (unsigned i = 0; i < 100000; i++)
		seen += assert_of_one_moment();
	/* However fast the child writes, and however late it began. */
	while (!seen) {
		sched_yield();
		seen += assert_of_one_moment();
	}
	end(pid);
}

/* However it dies, what it had set is there, and the next in its place starts clean. */
static void a_writer_that_is_killed_anywhere(void **state)
{
	for (unsigned i = 0; i < 100; i++) {
		pid_t pid;

		set_all(1);
		pid = in_child(write_on);
		usleep(i * 7 % 500);
		end(pid);
		assert_true(assert_of_one_moment());
		board_clear(board, 0);
		assert_is_empty(0);
	}
}

/* Each worker counts one and is gone; a histogram's bucket and a counter are one series each. */
static void work_and_clear(void)
{
	for (;;) {
		work_at(1, 1);
		work_at(3, 1);
		board_clear(board, 1);
		board_clear(board, 3);
	}
}

/*
 * What they did is never less than a moment ago, and never more than what a moment later was done:
 * no worker is missed while it is moved, none is counted twice.
 */
static void counters_never_fall_while_places_are_cleared(void **state)
{
	pid_t pid = in_child(work_and_clear);
	uint64_t last = 0, last_count = 0;

	for (unsigned i = 0; i < 3000 || last == 0; i++) {
		struct metrics *metrics = metrics_new();
		int err = board_collect(board, metrics);
		const struct counter *counter = metrics_counter(metrics, "c_total", "", "");
		const struct histogram *histogram = metrics_histogram(metrics, "h_seconds", "", "");

		if (!err) {
			assert_true(counter->value >= last && histogram->count >= last_count);
			/* At most one of each place's is under way. */
			assert_true(histogram->count <= counter->value + 2 &&
				    counter->value <= histogram->count + 2);
			last = counter->value;
			last_count = histogram->count;
		} else {
			assert_int_equal(err, ERR_PENDING);
		}
		metrics_free(metrics);
	}
	end(pid);
}

static struct {
	_Atomic uint64_t done;
	_Atomic bool stop;
} * shared;

/* Counts ahead of time, so that a reader knows the most there can be. */
static void work_told_of(void)
{
	for (uint64_t i = 1; !shared->stop; i++) {
		shared->done = i;
		work_at(i % PLACES, 1);
		board_clear(board, i % PLACES);
	}
}

static void nothing_is_counted_twice(void **state)
{
	unsigned seen = 0;
	pid_t pid;

	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	pid = in_child(work_told_of);
	while (seen < 2000) {
		struct metrics *metrics = metrics_new();
		uint64_t before = shared->done;
		int err = board_collect(board, metrics);
		uint64_t value = metrics_counter(metrics, "c_total", "", "")->value;

		metrics_free(metrics);
		if (err)
			continue;
		/* The one that is told of may not have begun. */
		assert_true(value + 1 >= before);
		assert_true(value <= shared->done);
		seen += value > 0;
	}
	shared->stop = true;
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(sum_of("c_total", ""), (int64_t)shared->done);
	munmap(shared, sizeof(*shared));
}

/* Whatever a worker gone mad has left there. */
static void spoil(unsigned char *memory, size_t bytes, unsigned flips, uint64_t *seed)
{
	for (; flips > 0; flips--)
		memory[random_split_mix(seed) % bytes] = (unsigned char)random_split_mix(seed);
}

static void anything_may_lie_in_a_place(void **state)
{
	uint64_t seed = 1, before;

	for (unsigned round = 0; round < 600; round++) {
		unsigned char *metrics = board_metrics(board, 0), *place = metrics - CHECKS_BYTES;
		struct board_check checks[BOARD_CHECKS_MAX];
		struct metrics *sum = metrics_new();
		size_t count;

		work_at(0, 1);
		set_all(round);
		spoil(metrics, 64 + random_split_mix(&seed) % 4096, 1 + round % 40, &seed);
		spoil(place, CHECKS_BYTES, 1 + round % 400, &seed);
		assert_int_equal(board_collect(board, sum), 0);
		metrics_free(sum);
		count = board_checks_get(board, 0, checks);
		assert_int_equal(count, 1 + round % 3);
		for (size_t i = 0; i < count; i++) {
			assert_in_range(checks[i].health, 0, 2);
			assert_non_null(memchr(checks[i].name, 0, sizeof(checks[i].name)));
			assert_non_null(memchr(checks[i].detail, 0, sizeof(checks[i].detail)));
		}
		board_clear(board, 0);
		assert_is_empty(0);
		assert_zero(place, CHECKS_BYTES + BOARD_METRICS_BYTES);
	}
	/* Others are counted all the same: it can have spoilt its own counts only. */
	before = (uint64_t)sum_of("c_total", "");
	work_at(1, 5);
	assert_true((uint64_t)sum_of("c_total", "") - before == 5);
}

/* Or where it had nothing to write: the heads and what the gone ones counted. */
static void anything_may_lie_on_the_board(void **state)
{
	unsigned char *gone = (unsigned char *)board_metrics(board, 0) - CHECKS_BYTES - GONE_BYTES;
	unsigned char *heads = gone - PAGE;
	struct board_check checks[BOARD_CHECKS_MAX];
	struct board_backlog backlog;
	struct board_report report;
	struct board_counts counts;
	struct board_seat seat;
	uint64_t seed = 2;

	for (unsigned round = 0; round < 1000; round++) {
		unsigned place = round % PLACES;
		struct metrics *sum = metrics_new();

		/* But for the first word, which has collections wait. */
		spoil(heads + 8, PAGE - 8, round % 1000, &seed);
		spoil(gone, 4096, round % 100, &seed);
		assert_in_range(board_checks_get(board, place, checks), 0, BOARD_CHECKS_MAX);
		board_seat_get(board, place, &seat);
		assert_true(seat.state <= BOARD_WAITING && seat.pid >= 0);
		board_report_get(board, place, &report);
		board_backlog_get(board, &backlog);
		assert_true(backlog.visible >= -1 && backlog.in_flight >= -1);
		board_counts_get(board, &counts);
		work_at(place, 1);
		assert_int_equal(board_collect(board, sum), 0);
		assert_true(metrics_counter(sum, "c_total", "", "") != NULL);
		metrics_free(sum);
		board_clear(board, place);
		set_all(round);
		assert_true(assert_of_one_moment() || round == 0);
	}
}

static void a_clearing_that_never_ends(void **state)
{
	unsigned char *heads =
		(unsigned char *)board_metrics(board, 0) - CHECKS_BYTES - GONE_BYTES - PAGE;
	struct metrics *sum = metrics_new();

	work_at(1, 3);
	heads[0] ^= 1;
	assert_int_equal(board_collect(board, sum), ERR_PENDING);
	assert_int_equal(metrics_counter(sum, "c_total", "", "")->value, 0);
	/* The supervisor knows better where it is. */
	board_clear(board, 1);
	assert_int_equal(board_collect(board, sum), 0);
	assert_int_equal(metrics_counter(sum, "c_total", "", "")->value, 3);
	metrics_free(sum);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(seats_and_reports),
		TEST(a_seat_that_cannot_be),
		TEST(checks_are_read_as_set),
		TEST(texts_are_cut_between_characters),
		TEST(metrics_are_added_up_by_their_rule),
		TEST(the_gone_are_not_forgotten),
		TEST(only_what_is_used_costs_memory),
		TEST(an_arena_that_is_full),
		TEST(the_gone_ones_memory_is_full),
		TEST(backlog_and_counts),
		TEST(control),
		TEST(sizes_that_are_none),
		TEST(what_is_read_is_of_one_moment),
		TEST(a_writer_that_is_killed_anywhere),
		TEST(counters_never_fall_while_places_are_cleared),
		TEST(nothing_is_counted_twice),
		TEST(anything_may_lie_in_a_place),
		TEST(anything_may_lie_on_the_board),
		TEST(a_clearing_that_never_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
