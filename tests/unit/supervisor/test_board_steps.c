/*
 * A process that is stopped after each of its instructions in turn: what the others then see is
 * what they would see for ever if it had died there. And readers in the middle of whose reading the
 * board changes.
 */
#include "bunshin/error.h"
#include "supervisor/board.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define STEPS_MAX 3000000 /* more than any of them has: a test that hangs ends */

static struct board *board;
static struct {
	volatile bool begun;
	struct board_report report;
} * shared;

/* A reader that waits for a stopped process would wait long. */
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int __real_metrics_collect(
	struct metrics *into, const void *memory, size_t bytes, bool with_gauges);
int __wrap_metrics_collect(
	struct metrics *into, const void *memory, size_t bytes, bool with_gauges);

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
	return 0;
}

static int enter(void **state)
{
	board = board_new(2);
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return board == NULL || shared == MAP_FAILED;
}

static int leave(void **state)
{
	munmap(shared, sizeof(*shared));
	board_free(board);
	return 0;
}

/* A child that stops before and after each `run`. 0: it cannot be followed here. */
static pid_t follow(void (*run)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(1);
		for (;;) {
			raise(SIGSTOP);
			shared->begun = true;
			run();
			shared->begun = false;
		}
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSTOPPED(status) ? pid : 0;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void go(pid_t pid, int how)
{
	int status;

	assert_int_equal(ptrace(how, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	assert_true(WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == SIGSTOP);
}

/* Goes to the first instruction of run(), or past its last. */
static void go_until(pid_t pid, bool begun)
{
	for (unsigned long i = 0; shared->begun != begun; i++) {
		assert_true(i < STEPS_MAX);
		go(pid, PTRACE_SINGLESTEP);
	}
}

/* Looks after each instruction of run() in another process. */
static void step_through(void (*run)(void), void (*look)(void))
{
	pid_t pid = follow(run);

	if (pid == 0)
		skip();
	go_until(pid, true);
	for (unsigned long i = 0; shared->begun; i++) {
		assert_true(i < STEPS_MAX);
		look();
		go(pid, PTRACE_SINGLESTEP);
	}
	look();
	end(pid);
}

/* What is set. */

#define OLD 1
#define NEW 2

static void set_all(unsigned which)
{
	struct board_check checks[2];

	for (unsigned i = 0; i < which; i++)
		board_check_fill(&checks[i], which == OLD ? "old" : "new", which,
			which == OLD ? "how it was" : "how it is");
	board_seat_set(board, 0,
		&(struct board_seat){.state = BOARD_RUNNING,
			.pid = (pid_t)which,
			.number = which,
			.generation = which,
			.failures_in_row = which,
			.since_us = which});
	board_report_set(board, 0,
		&(struct board_report){.heartbeat_us = which,
			.progress_us = which,
			.begun = which == NEW,
			.draining = which == NEW,
			.held = which,
			.busy = which,
			.slots = which,
			.wanting = which});
	board_checks_set(board, 0, checks, which);
}

static void set_new(void)
{
	set_all(NEW);
}

static void assert_report_is(const struct board_report *report, uint64_t which)
{
	assert_true(report->heartbeat_us == which && report->progress_us == which &&
		    report->begun == (which == NEW) && report->draining == (which == NEW) &&
		    report->held == which && report->busy == which && report->slots == which &&
		    report->wanting == which);
}

static unsigned seen; /* the sum of what there is; never less than before */

static void assert_whole(void)
{
	struct board_check checks[BOARD_CHECKS_MAX];
	struct board_report report;
	struct board_seat seat;
	size_t count;

	board_seat_get(board, 0, &seat);
	assert_in_range(seat.number, OLD, NEW);
	assert_true(seat.state == BOARD_RUNNING && seat.pid == (pid_t)seat.number &&
		    seat.generation == seat.number && seat.failures_in_row == seat.number &&
		    seat.since_us == seat.number);
	board_report_get(board, 0, &report);
	assert_in_range(report.held, OLD, NEW);
	assert_report_is(&report, report.held);
	count = board_checks_get(board, 0, checks);
	assert_in_range(count, OLD, NEW);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(checks[i].name, count == OLD ? "old" : "new");
		assert_string_equal(checks[i].detail, count == OLD ? "how it was" : "how it is");
		assert_int_equal(checks[i].health, count);
	}
	assert_true(seat.number + report.held + count >= seen);
	seen = (unsigned)(seat.number + report.held + count);
}

static void a_writer_that_dies(void **state)
{
	set_all(OLD);
	seen = 0;
	step_through(set_new, assert_whole);
	assert_int_equal(seen, 3 * NEW);
	/* And after one that did, in the middle of any: its successor. */
	board_clear(board, 0);
	set_all(OLD);
	seen = 0;
	assert_whole();
	assert_int_equal(seen, 3 * OLD);
}

/* Metrics of a worker. */

static void work(void)
{
	struct metrics *metrics = metrics_new_in(board_metrics(board, 0), BOARD_METRICS_BYTES);
	struct counter *counter = metrics_counter(metrics, "c_total", "C.", "a=\"1\"");
	struct histogram *histogram;

	counter_add(counter, 3);
	histogram = metrics_histogram(metrics, "h_seconds", "H.", "");
	histogram_record(histogram, 100);
	gauge_set(metrics_gauge(metrics, "g", "G.", ""), 5);
	counter_add(counter, 4);
	metrics_free(metrics);
}

static void look_at(void *arg, const struct metric_series *series)
{
	uint64_t *sum = arg;

	if (series->counter) {
		assert_string_equal(series->name, "c_total");
		assert_string_equal(series->labels, "a=\"1\"");
		assert_string_equal(series->help, "C.");
		assert_true(series->counter->value == 0 || series->counter->value == 3 ||
			    series->counter->value == 7);
		*sum += 1 + series->counter->value;
	} else if (series->histogram) {
		assert_string_equal(series->name, "h_seconds");
		assert_in_range(series->histogram->count, 0, 1);
		assert_true(series->histogram->sum == 0 || series->histogram->sum == 100);
		*sum += 1000 + series->histogram->count + series->histogram->sum;
	} else {
		assert_string_equal(series->name, "g");
		assert_true(series->gauge->value == 0 || series->gauge->value == 5);
		*sum += 10000 + (uint64_t)series->gauge->value;
	}
}

static void assert_growing(void)
{
	struct metrics *metrics = metrics_new();
	uint64_t sum = 0;

	assert_int_equal(board_collect(board, metrics), 0);
	metrics_each(metrics, look_at, &sum);
	metrics_free(metrics);
	assert_true(sum >= seen);
	seen = (unsigned)sum;
}

static void a_worker_that_dies(void **state)
{
	seen = 0;
	step_through(work, assert_growing);
	assert_int_equal(seen, 1 + 7 + 1000 + 1 + 100 + 10000 + 5);
	board_clear(board, 0);
	seen = 0;
	assert_growing();
	assert_int_equal(seen, 1 + 7 + 1000 + 1 + 100);
}

/* A worker's end. */

static void clear(void)
{
	board_clear(board, 0);
}

static unsigned pending, with_gauge, without_gauge;

static void assert_counted_once(void)
{
	struct metrics *metrics = metrics_new();
	uint64_t sum = 0;
	int err = board_collect(board, metrics);

	metrics_each(metrics, look_at, &sum);
	metrics_free(metrics);
	if (err) {
		assert_int_equal(err, ERR_PENDING);
		assert_int_equal(sum, 0);
		pending++;
		return;
	}
	/* The gauge goes with its worker, and comes back with none. */
	if (sum == 1 + 7 + 1000 + 1 + 100) {
		without_gauge++;
	} else {
		assert_int_equal(sum, 1 + 7 + 1000 + 1 + 100 + 10000 + 5);
		assert_int_equal(pending, 0);
		with_gauge++;
	}
}

static void a_supervisor_that_dies(void **state)
{
	pending = with_gauge = without_gauge = 0;
	work();
	step_through(clear, assert_counted_once);
	assert_true(with_gauge > 0 && pending > 0 && without_gauge > 0);
}

/* A reader, while the board changes. */

static void read_report(void)
{
	board_report_get(board, 0, &shared->report);
}

/* After instruction k of the reading the board changes, for each k; then it goes on. */
static void sweep(void (*run)(void), void (*change)(void), void (*check)(void))
{
	pid_t pid = follow(run);
	bool ended = false;

	if (pid == 0)
		skip();
	for (unsigned long k = 0; !ended; k++) {
		assert_true(k < STEPS_MAX);
		go_until(pid, true);
		for (unsigned long i = 0; i < k && shared->begun; i++)
			go(pid, PTRACE_SINGLESTEP);
		ended = !shared->begun;
		change();
		/* To where it stops itself. */
		go(pid, PTRACE_CONT);
		assert_false(shared->begun);
		check();
	}
	end(pid);
}

static unsigned current = OLD;

static void set_other(void)
{
	current = OLD + NEW - current;
	set_all(current);
}

static void assert_report_whole(void)
{
	assert_in_range(shared->report.held, OLD, NEW);
	assert_report_is(&shared->report, shared->report.held);
}

static void a_reader_while_it_is_set(void **state)
{
	set_all(current);
	sweep(read_report, set_other, assert_report_whole);
}

/* Before and after each memory that a collection reads; an instruction at a time would take hours.
 */
static unsigned reads, change_at; /* the change is at that one; 0: none */
static uint64_t worked;

static void work_at(unsigned place)
{
	struct metrics *metrics = metrics_new_in(board_metrics(board, place), BOARD_METRICS_BYTES);

	counter_add(metrics_counter(metrics, "c_total", "C.", ""), 7);
	metrics_free(metrics);
	worked += 7;
}

/* Those that are there go, and another one comes. */
static void change(void)
{
	if (++reads != change_at)
		return;
	change_at = 0;
	board_clear(board, 0);
	board_clear(board, 1);
	work_at(1);
}

int __wrap_metrics_collect(struct metrics *into, const void *memory, size_t bytes, bool with_gauges)
{
	int err;

	change();
	err = __real_metrics_collect(into, memory, bytes, with_gauges);
	change();
	return err;
}

static void a_reader_while_it_is_cleared(void **state)
{
	worked = 0;
	work_at(0);
	board_clear(board, 0);
	for (unsigned k = 1;; k++) {
		struct metrics *metrics = metrics_new();
		uint64_t before;

		work_at(0);
		before = worked;
		reads = 0;
		change_at = k;
		assert_int_equal(board_collect(board, metrics), 0);
		/* After a change it has begun anew, so it has what came, too. */
		assert_int_equal(metrics_counter(metrics, "c_total", "", "")->value, worked);
		assert_int_equal(worked, before + (change_at == 0 ? 7 : 0));
		metrics_free(metrics);
		if (change_at != 0) {
			assert_int_equal(k, 7); /* two places and the gone ones */
			break;
		}
		board_clear(board, 0);
	}
	change_at = 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_writer_that_dies),
		TEST(a_worker_that_dies),
		TEST(a_supervisor_that_dies),
		TEST(a_reader_while_it_is_set),
		TEST(a_reader_while_it_is_cleared),
	};
	cpu_set_t here;

	/* Two that take turns at each instruction do so sooner on one processor. */
	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	(void)sched_setaffinity(0, sizeof(here), &here);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
