/* The shipper before a queue in virtual time: what arrives, in how many calls, and when. */
#include "results/shipper.h"

#include "base/manual_clock.h"
#include "bunshin/error.h"
#include "directory.h"
#include "results/log_batch.h"
#include "results/log_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MS UINT64_C(1000)
#define S UINT64_C(1000000)
#define KEYS_MAX 200000
#define LATENCY_US (20 * MS)

struct world {
	char path[DIRECTORY_PATH_SIZE];
	struct manual_clock clock;
	struct metrics *metrics;
	struct results_log *log;
	struct results_shipper *shipper;
	unsigned appended;
	unsigned arrived[KEYS_MAX]; /* how often each key has */
	unsigned calls, entries;    /* that the queue was asked for */
	size_t largest;		    /* entry */
	struct queue_call *call;    /* under way */
	/* The calls from `fail_from` on, `fail_count` of them, fail. */
	unsigned fail_from, fail_count;
	int fail_err;
	bool lost;		   /* ... but are carried out: the answer gets lost */
	int fail_entry;		   /* -1: all; else this one only */
	bool at_once;		   /* ... by not starting */
	uint64_t failed_at_us[64]; /* when they were started */
	unsigned troubles;
	unsigned finished;
	uint64_t left, finished_us;
};

struct queue_call {
	struct world *world;
	struct clock_timer answer;
	queue_batch_done *done;
	void *arg;
	size_t count;
	int results[QUEUE_BATCH_MAX];
};

static void arrive(struct world *world, const struct queue_send *entry)
{
	struct json json = {0};
	const char *line = entry->body, *end = entry->body + entry->body_bytes;

	assert_true(entry->body_bytes > 0 && entry->body_bytes <= LOG_ENTRY_BYTES);
	assert_int_equal(entry->attribute_count, 0);
	assert_null(entry->group_id);
	assert_int_equal(end[-1], '\n');
	if (entry->body_bytes > world->largest)
		world->largest = entry->body_bytes;
	for (const char *next; line < end; line = next) {
		struct result_record record;
		struct result_status status;
		enum result_line kind;

		next = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1;
		assert_int_equal(result_line_read(&json, line, (size_t)(next - line), &kind,
					 &record, &status),
			0);
		if (kind == RESULT_LINE_RECORD)
			world->arrived[atoi(record.key + 1)]++;
	}
	json_free(&json);
}

static void answer(struct clock_timer *timer)
{
	struct queue_call *call =
		(struct queue_call *)(void *)((char *)timer - offsetof(struct queue_call, answer));

	call->world->call = NULL;
	call->done(call->arg, call->results, call->count, "as the queue says");
	free(call);
}

static bool is_hit(const struct world *world, size_t entry)
{
	unsigned n = world->calls - 1;

	return n >= world->fail_from && n - world->fail_from < world->fail_count &&
	       (world->fail_entry < 0 || (size_t)world->fail_entry == entry);
}

static int send_batch(void *impl, const struct queue_send entries[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct world *world = impl;
	struct queue_call *call;
	unsigned n = world->calls++;

	assert_null(world->call); /* one at a time */
	assert_true(count >= 1 && count <= QUEUE_BATCH_MAX);
	world->entries += (unsigned)count;
	if (is_hit(world, 0) && n - world->fail_from < 64)
		world->failed_at_us[n - world->fail_from] = world->clock.now_us;
	if (is_hit(world, 0) && world->at_once)
		return world->fail_err;
	call = calloc(1, sizeof(*call));
	assert_non_null(call);
	*call = (struct queue_call){.world = world, .done = done, .arg = arg, .count = count};
	call->answer.fire = answer;
	for (size_t i = 0; i < count; i++) {
		if (is_hit(world, i))
			call->results[i] = world->fail_err;
		if (!call->results[i] || world->lost)
			arrive(world, &entries[i]);
	}
	clock_timer_after(manual_clock_table(&world->clock), &call->answer, LATENCY_US);
	*ret_call = world->call = call;
	return 0;
}

static void cancel(void *impl, struct queue_call *call)
{
	struct world *world = impl;

	assert_ptr_equal(call, world->call);
	clock_timer_clear(manual_clock_table(&world->clock), &call->answer);
	world->call = NULL;
	free(call);
}

static const struct queue_ops ops = {.send_batch = send_batch, .cancel = cancel};

static void trouble(void *arg, int err, const char *detail)
{
	struct world *world = arg;

	assert_true(err < 0 && detail[0]);
	world->troubles++;
}

static void open_both(struct world *world)
{
	const struct results_log_options log = {.clock = manual_clock_table(&world->clock),
		.directory = world->path,
		.file_bytes = 4 << 20,
		.keep_bytes = (uint64_t)1 << 30,
		.shipped = true,
		.metrics = world->metrics};
	struct results_shipper_options shipper = {.clock = log.clock,
		.queue = {&ops, world},
		.metrics = world->metrics,
		.trouble = trouble,
		.arg = world};

	assert_int_equal(results_log_new(&log, &world->log), 0);
	shipper.log = world->log;
	assert_int_equal(results_shipper_new(&shipper, &world->shipper), 0);
}

static void close_both(struct world *world)
{
	results_shipper_free(world->shipper);
	results_log_free(world->log);
	world->shipper = NULL;
	world->log = NULL;
	assert_null(world->call);
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	directory_make(world->path);
	manual_clock_init(&world->clock, 7, 1700000000000);
	world->metrics = metrics_new();
	world->fail_entry = -1;
	open_both(world);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	close_both(world);
	metrics_free(world->metrics);
	manual_clock_free(&world->clock);
	directory_remove(world->path);
	free(world);
	return 0;
}

/* n more records, flushed together. */
static void put(struct world *world, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char key[16];
		const struct result_record record = {.outcome = RESULT_ACCEPTED,
			.key = key,
			.campaign = "morning",
			.destination = "line",
			.message_id = "5fea7756-0ea4-451a-a703-a558b933e274",
			.status = 200,
			.reason = "",
			.request_id = "0123456789abcdef",
			.attempts = 1,
			.first_epoch_ms = 1700000000000,
			.last_epoch_ms = 1700000000100};

		assert_true(world->appended < KEYS_MAX);
		snprintf(key, sizeof(key), "k%u", world->appended++);
		results_log_append(world->log, &record);
	}
	results_log_flush(world->log);
	results_shipper_poke(world->shipper);
}

static void run(struct world *world, uint64_t us)
{
	manual_clock_advance(&world->clock, us);
}

/* Everything has arrived, no key more often than so. */
static void expect_all(struct world *world, unsigned most)
{
	for (unsigned i = 0; i < world->appended; i++)
		if (world->arrived[i] < 1 || world->arrived[i] > most)
			fail_msg("record %u of %u has arrived %u times", i, world->appended,
				world->arrived[i]);
}

static unsigned count_arrived(const struct world *world)
{
	unsigned count = 0;

	for (unsigned i = 0; i < world->appended; i++)
		count += world->arrived[i] > 0;
	return count;
}

static uint64_t counted(struct world *world, const char *name)
{
	return metrics_counter(world->metrics, name, "", "")->value;
}

static int64_t waiting(struct world *world)
{
	results_shipper_show(world->shipper);
	return metrics_gauge(world->metrics, "bunshin_results_waiting_bytes", "", "")->value;
}

static void a_few_records_arrive_after_a_second(void **state)
{
	struct world *world = *state;

	run(world, 5 * S);
	assert_int_equal(world->calls, 0);
	put(world, 3);
	assert_true(waiting(world) > 0);
	run(world, S - 1);
	assert_int_equal(world->calls, 0);
	run(world, 1);
	assert_int_equal(world->calls, 1);
	assert_int_equal(world->entries, 1);
	run(world, LATENCY_US);
	expect_all(world, 1);
	assert_int_equal(waiting(world), 0);
	assert_int_equal(counted(world, "bunshin_results_sent_total"), 3);
	assert_int_equal(counted(world, "bunshin_results_requests_total"), 1);
	run(world, 600 * S);
	assert_int_equal(world->calls, 1);
}

/* A thousand a second for a minute: a call a second, entries of up to 60 KiB. */
static void many_records_share_calls(void **state)
{
	struct world *world = *state;

	for (unsigned i = 0; i < 6000; i++) {
		put(world, 10);
		run(world, 10 * MS);
	}
	run(world, 2 * S);
	expect_all(world, 1);
	/* 15 MB: each of three full files ends a call early. */
	assert_true(world->calls <= 62 + 3);
	assert_true(world->entries <= 65 * 5);
}

/* As many as there can be: calls are full, and follow each other without a wait. */
static void a_flood_makes_full_calls(void **state)
{
	struct world *world = *state;
	uint64_t began_us;

	run(world, 2 * S);
	began_us = world->clock.now_us;
	for (unsigned i = 0; i < 40; i++)
		put(world, 2500);
	while (count_arrived(world) < world->appended)
		run(world, 10 * MS);
	expect_all(world, 1);
	run(world, LATENCY_US);
	/* The last one waits a second for more. */
	assert_true(world->clock.now_us - began_us < 3 * S);
	assert_true(world->largest > LOG_ENTRY_BYTES - 300);
	/* 100,000 records of 250 bytes: 25 MB in calls of 600 KiB, one for what a file ends with.
	 */
	assert_true(world->calls < 80);
	assert_int_equal(waiting(world), 0);
}

/* At any steady rate: a tenth of a call a record, one in ten seconds, and a few at the start. */
static void seldom_records_are_saved_up(void **state)
{
	static const uint64_t every_us[] = {50 * MS, 200 * MS, S, 3 * S, 10 * S, 100 * S};

	for (size_t i = 0; i < sizeof(every_us) / sizeof(every_us[0]); i++) {
		struct world *world = *state;
		unsigned calls = world->calls, records = 300;
		uint64_t began_us = world->clock.now_us;

		close_both(world);
		open_both(world);
		for (unsigned n = 0; n < records; n++) {
			put(world, 1);
			run(world, every_us[i]);
		}
		run(world, SHIPPER_WAIT_MAX_US + 2 * S);
		expect_all(world, 1);
		calls = world->calls - calls;
		if (calls >
			records / 10 + 4 + (world->clock.now_us - began_us) / SHIPPER_WAIT_MAX_US)
			fail_msg("a record each %llu ms: %u calls for %u",
				(unsigned long long)(every_us[i] / MS), calls, records);
		if (every_us[i] <= S)
			assert_true(calls <= records / 10 + 4);
	}
}

/* Nothing waits longer than ten seconds. */
static void no_record_waits_for_ever(void **state)
{
	struct world *world = *state;

	for (unsigned i = 0; i < 30; i++) { /* what may be sent early is used up */
		put(world, 1);
		run(world, 2 * S);
	}
	run(world, 60 * S);
	for (unsigned i = 0; i < 10; i++) {
		put(world, 1);
		run(world, SHIPPER_WAIT_MAX_US + SHIPPER_LINGER_US + S);
		expect_all(world, 1);
	}
}

/* What somebody waits for is sent at once, even when nothing may be sent early any more. */
static void in_a_hurry(void **state)
{
	struct world *world = *state;

	for (unsigned i = 0; i < 30; i++) {
		put(world, 1);
		run(world, 2 * S);
	}
	run(world, 60 * S);
	put(world, 1);
	results_shipper_hurry(world->shipper);
	run(world, 1);
	expect_all(world, 1);
	/* While a call is out: right after it. */
	put(world, 1);
	results_shipper_hurry(world->shipper);
	run(world, LATENCY_US);
	expect_all(world, 1);
	run(world, LATENCY_US);
	put(world, 1);
	run(world, 2 * S);
	assert_int_equal(count_arrived(world), world->appended - 1);
}

/* Every call fails in turn, in every way: all arrives; twice only what arrived unseen. */
static void each_call_fails_in_turn(void **state)
{
	static const int errors[] = {ERR_TIMEOUT, ERR_THROTTLED, ERR_QUEUE_MISSING,
		ERR_ACCESS_DENIED, ERR_NO_CREDENTIALS, ERR_REFUSED, ERR_NOMEM};
	bool memcheck = getenv("BUNSHIN_TEST_MEMCHECK") != NULL;
	struct world *world = *state;
	unsigned tried = 0;

	if (memcheck)
		print_message("under memcheck every other call only\n");
	for (unsigned way = 0; way < 4; way++) {
		for (unsigned failing = memcheck ? way % 2 : 0; failing < 7;
			failing += memcheck ? 2 : 1) {
			tried++;
			memset(world->arrived, 0, sizeof(world->arrived));
			world->appended = world->calls = 0;
			world->fail_from = failing;
			world->fail_count = 1 + failing % 3;
			world->fail_err = errors[failing];
			world->fail_entry = way == 1 ? 2 : -1;
			world->lost = way == 2;
			world->at_once = way == 3;
			for (unsigned i = 0; i < 20; i++) {
				put(world, 1500);
				run(world, 300 * MS);
			}
			run(world, 120 * S);
			expect_all(world, way == 2 ? 1 + world->fail_count : 1);
			assert_int_equal(waiting(world), 0);
			assert_true(world->calls > failing + world->fail_count);
		}
	}
	assert_true(world->troubles >= tried);
	assert_int_equal(counted(world, "bunshin_results_failed_total"), world->troubles);
}

/* For an hour: calls become rare, with jitter; then everything arrives. */
static void a_queue_that_is_down(void **state)
{
	struct world *world = *state;
	uint64_t shortest = UINT64_MAX, longest = 0;

	world->fail_count = 1000000;
	world->fail_err = ERR_CONNECT;
	for (unsigned i = 0; i < 3600; i++) {
		put(world, 10);
		run(world, S);
	}
	assert_int_equal(count_arrived(world), 0);
	assert_true(world->calls > 60 && world->calls < 300);
	for (unsigned i = 20; i < 50; i++) {
		uint64_t pause = world->failed_at_us[i + 1] - world->failed_at_us[i];

		shortest = pause < shortest ? pause : shortest;
		longest = pause > longest ? pause : longest;
	}
	assert_true(shortest >= 15 * S && longest <= 60 * S + LATENCY_US && longest > shortest);
	assert_true(waiting(world) > 36000 * 200);
	world->fail_count = 0;
	run(world, 62 * S);
	expect_all(world, 1);
	assert_int_equal(waiting(world), 0);
}

/* The process dies after every step of a run: all arrives, twice at most what was under way. */
static void a_kill_at_every_step(void **state)
{
	struct world *world = *state;

	for (unsigned steps = 0; steps < 45; steps++) {
		unsigned before;

		memset(world->arrived, 0, sizeof(world->arrived));
		world->appended = world->calls = 0;
		put(world, 1000);
		for (unsigned i = 0; i < steps; i++) {
			put(world, 100);
			manual_clock_step(&world->clock);
		}
		before = count_arrived(world);
		/* Nothing is told to anybody: position and files are what they are. */
		close_both(world);
		open_both(world);
		put(world, 100);
		run(world, 90 * S);
		expect_all(world, 2);
		for (unsigned i = before; i < world->appended; i++)
			assert_int_equal(world->arrived[i], 1);
		assert_int_equal(waiting(world), 0);
	}
}

/* Another process left files behind that nobody holds: they are sent, once, and are free again. */
static void files_of_nobody_are_sent(void **state)
{
	struct world *world = *state;
	struct world gone = *world;
	struct log_number number;

	open_both(&gone);
	assert_int_equal(results_log_number(gone.log)->number, 1);
	put(&gone, 5000);
	results_log_flush(gone.log);
	close_both(&gone);
	world->appended = gone.appended;
	run(world, SHIPPER_ADOPT_US + 2 * S);
	expect_all(world, 1);
	assert_true(directory_has(world->path, "outcomes-1.jsonl"));
	assert_int_equal(log_files_take(results_log_number(world->log)->directory, &number), 0);
	assert_int_equal(number.number, 1);
	assert_int_equal(log_files_unsent(&number), 0);
	log_files_release(&number);
}

/* Its own come first. */
static void files_of_nobody_while_busy(void **state)
{
	struct world *world = *state;
	struct world gone = *world;

	open_both(&gone);
	put(&gone, 3000);
	close_both(&gone);
	world->appended = gone.appended;
	for (unsigned i = 0; i < 600; i++) {
		put(world, 50);
		run(world, 100 * MS);
	}
	run(world, 2 * S);
	expect_all(world, 1);
}

static void what_the_log_held_before_is_sent(void **state)
{
	struct world *world = *state;
	struct queue queue = {&ops, world};

	/* Written without a shipper. */
	results_shipper_free(world->shipper);
	world->shipper = NULL;
	for (unsigned i = 0; i < 150000; i++) {
		char key[16];
		const struct result_record record = {.outcome = RESULT_EXPIRED,
			.key = key,
			.campaign = "",
			.destination = "",
			.message_id = "",
			.reason = "",
			.request_id = ""};

		snprintf(key, sizeof(key), "k%u", world->appended++);
		results_log_append(world->log, &record);
		if (i % 100 == 0)
			results_log_flush(world->log);
	}
	results_log_flush(world->log);
	assert_true(directory_has(world->path, "outcomes-0.jsonl.1"));
	assert_int_equal(
		results_shipper_new(&(struct results_shipper_options){.clock = manual_clock_table(
									      &world->clock),
					    .queue = queue,
					    .log = world->log,
					    .metrics = world->metrics},
			&world->shipper),
		0);
	run(world, 3 * S);
	expect_all(world, 1);
}

/* ---- the end */

static void finished(void *arg, uint64_t left)
{
	struct world *world = arg;

	world->finished++;
	world->left = left;
	world->finished_us = world->clock.now_us;
}

static void finish(struct world *world, uint64_t grace_us)
{
	results_shipper_finish(world->shipper, world->clock.now_us + grace_us, finished, world);
	assert_int_equal(world->finished, 0);
}

static void the_end_sends_what_is_left_at_once(void **state)
{
	struct world *world = *state;
	uint64_t began_us;

	put(world, 7000);
	began_us = world->clock.now_us;
	finish(world, 30 * S);
	run(world, 40 * S);
	assert_int_equal(world->finished, 1);
	assert_int_equal(world->left, 0);
	expect_all(world, 1);
	/* 1.7 MB: three calls. */
	assert_int_equal(world->finished_us - began_us, world->calls * LATENCY_US);
}

static void the_end_of_nothing(void **state)
{
	struct world *world = *state;

	finish(world, 30 * S);
	run(world, 1);
	assert_int_equal(world->finished, 1);
	assert_int_equal(world->calls, 0);
}

/* Found at every moment, a call out or a pause after a failure: it is over in time. */
static void the_end_is_in_time(void **state)
{
	for (unsigned when = 0; when < 40; when++) {
		struct world *world = *state;

		close_both(world);
		open_both(world);
		world->finished = 0;
		world->calls = 0;
		world->fail_from = 0;
		world->fail_count = 1000000;
		world->fail_err = ERR_TIMEOUT;
		put(world, 100);
		run(world, S + when * 50 * MS);
		finish(world, 3 * S);
		run(world, 3 * S);
		assert_int_equal(world->finished, 1);
		assert_true(world->left > 0);
		run(world, 100 * S);
		assert_int_equal(world->finished, 1);
	}
}

/* What will never work is not waited for; what may work again is. */
static void the_end_before_a_queue_that_refuses(void **state)
{
	struct world *world = *state;
	uint64_t began_us;

	world->fail_count = 1000000;
	world->fail_err = ERR_QUEUE_MISSING;
	put(world, 100);
	began_us = world->clock.now_us;
	finish(world, 30 * S);
	run(world, 30 * S);
	assert_int_equal(world->finished, 1);
	assert_int_equal(world->finished_us - began_us, LATENCY_US);
	assert_true(world->left > 0);

	close_both(world);
	open_both(world);
	world->finished = 0;
	world->calls = 0;
	world->fail_count = 2;
	world->fail_err = ERR_UNAVAILABLE;
	finish(world, 30 * S);
	run(world, 30 * S);
	assert_int_equal(world->finished, 1);
	assert_int_equal(world->left, 0);
	expect_all(world, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_few_records_arrive_after_a_second),
		TEST(many_records_share_calls),
		TEST(a_flood_makes_full_calls),
		TEST(seldom_records_are_saved_up),
		TEST(no_record_waits_for_ever),
		TEST(in_a_hurry),
		TEST(each_call_fails_in_turn),
		TEST(a_queue_that_is_down),
		TEST(a_kill_at_every_step),
		TEST(files_of_nobody_are_sent),
		TEST(files_of_nobody_while_busy),
		TEST(what_the_log_held_before_is_sent),
		TEST(the_end_sends_what_is_left_at_once),
		TEST(the_end_of_nothing),
		TEST(the_end_is_in_time),
		TEST(the_end_before_a_queue_that_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
