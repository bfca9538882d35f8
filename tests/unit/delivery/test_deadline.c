/* Deadline and NotBefore: never late, never early, whatever they hold. */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "world.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct world world;

/* Adds a message whose deadline is ms after instant 0. */
static void add_with_deadline(int64_t ms)
{
	char text[32];
	const char *const attributes[] = {"Deadline", "Number", text, NULL};
	size_t index;

	snprintf(text, sizeof(text), "%" PRId64, WORLD_EPOCH_MS + ms);
	index = world_add_with(&world, attributes);
	world.queue.messages[index]->deadline_epoch_ms = WORLD_EPOCH_MS + ms;
}

static void add_with(const char *name, const char *type, const char *value)
{
	const char *const attributes[] = {name, type, value, NULL};

	world_add_with(&world, attributes);
}

static void expect_expired(void)
{
	world_run_until_done(&world, 60 * S);
	assert_int_equal(world_stats(&world).expired, 1);
	assert_int_equal(world_stats(&world).deleted, 1);
	assert_int_equal(world_stats(&world).failed, 0);
	assert_int_equal(world.event_totals[DELIVERY_EXPIRED], 1);
	assert_int_equal(world.failure_queue.count, 0);
}

/* Received at 2 ms: a deadline of 2 ms has passed in that very instant, 3 ms has not. */
static void at_the_exact_instant(void **state)
{
	for (int64_t ms = -1000; ms <= 10; ms += ms < 0 ? 500 : 1) {
		world_init(&world, &(struct world_options){.failure_queue = true});
		add_with_deadline(ms);
		world_start(&world);
		if (ms <= 2) {
			expect_expired();
			assert_int_equal(world.targets[0].log_count, 0);
			assert_int_equal(world_event(&world, DELIVERY_EXPIRED, 0)->at_us, 2 * MS);
		} else {
			world_run_until_done(&world, 60 * S);
			assert_int_equal(world.targets[0].log_count, 1);
			assert_int_equal(world_stats(&world).expired, 0);
			/* Passing it in flight changes nothing. */
			assert_int_equal(world_stats(&world).accepted, 1);
		}
		world_end(&world);
	}
}

/* Two for one slot: the second waits until 1.002 s for it. */
static void while_waiting_for_a_slot(void **state)
{
	for (int64_t ms = 998; ms <= 1006; ms++) {
		world_init(&world, &(struct world_options){.lanes = 2, .lane_concurrency = {1, 9}});
		fake_target_answer(&world.targets[0], 1, (struct answer){.latency_us = S});
		world_add(&world, 1);
		add_with_deadline(ms);
		world_start(&world);
		world_run_until_done(&world, 60 * S);
		assert_int_equal(world.targets[0].log_count, ms > 1002 ? 2 : 1);
		assert_int_equal(world_stats(&world).expired, ms > 1002 ? 0 : 1);
		world_end(&world);
	}
}

/* A back-off never lasts past the deadline: the message comes back then and is recorded. */
static void a_back_off_ends_at_the_deadline(void **state)
{
	static const struct {
		int64_t deadline_ms, retry_after_ms;
		unsigned expected_s;
	} rows[] = {
		{10012, 60000, 10},
		{10013, 60000, 11},
		{10011, 60000, 10},
		{12, 60000, 0},
		{11, 60000, 0},
		{60012, 5000, 5},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world_init(&world,
			&(struct world_options){.failure_queue = true, .max_attempts = 100});
		world.targets[0].otherwise =
			(struct answer){.status = 429, .retry_after_ms = rows[i].retry_after_ms};
		add_with_deadline(rows[i].deadline_ms);
		world_start(&world);
		world_run_to(&world, 100 * MS);
		assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 0)->visibility_s[0],
			rows[i].expected_s);
		world_run_until_done(&world, 80 * S);
		assert_int_equal(world_stats(&world).expired, 1);
		assert_int_equal(world_stats(&world).accepted, 0);
		world_end(&world);
	}
}

static void not_before(void **state)
{
	static const struct {
		int64_t not_before_ms;
		unsigned expected_s;
	} rows[] = {
		{3, 1},
		{1002, 1},
		{1003, 2},
		{60002, 60},
		{60000, 60},
		/* Days away: as long as SQS takes, then again. */
		{INT64_C(86400) * 3 * 1000, 43190},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[32];

		world_init(&world, &(struct world_options){.failure_queue = true});
		snprintf(text, sizeof(text), "%" PRId64, WORLD_EPOCH_MS + rows[i].not_before_ms);
		add_with("NotBefore", "Number", text);
		world_start(&world);
		world_run_to(&world, 54 * MS);
		assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 0)->at_us, 52 * MS);
		assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 0)->visibility_s[0],
			rows[i].expected_s);
		assert_int_equal(world_stats(&world).postponed, 1);
		assert_int_equal(world_stats(&world).returned, 1);
		world_run_until_done(&world, 4 * 24 * HOUR);
		assert_int_equal(world.targets[0].log_count, 1);
		assert_true(
			world.targets[0].log[0].at_us >= (uint64_t)rows[i].not_before_ms * 1000);
		world_end(&world);
	}
}

static void not_before_has_passed(void **state)
{
	static const char *const values[] = {
		"1800000000002", "1800000000000", "0", "-9223372036854775808"};

	for (size_t i = 0; i < 4; i++) {
		world_init(&world, &(struct world_options){.failure_queue = true});
		add_with("NotBefore", "Number", values[i]);
		world_start(&world);
		world_run_until_done(&world, S);
		assert_int_equal(world.targets[0].log[0].at_us, 2 * MS);
		world_end(&world);
	}
}

/* The two ends of what a number can say. */
static void extreme_instants(void **state)
{
	world_init(&world, &(struct world_options){.failure_queue = true});
	add_with("Deadline", "Number", "-9223372036854775808");
	world.queue.messages[0]->deadline_epoch_ms = INT64_MIN;
	add_with("Deadline", "Number", "9223372036854775807");
	add_with("Deadline", "Number", "9223372036854775806");
	world_start(&world);
	world_run_until_done(&world, S);
	assert_int_equal(world_stats(&world).expired, 1);
	assert_int_equal(world_stats(&world).accepted, 2);
	world_end(&world);

	world_init(&world, &(struct world_options){.failure_queue = true});
	add_with("NotBefore", "Number", "9223372036854775807");
	world_start(&world);
	world_run_to(&world, 90000 * S);
	assert_int_equal(world_stats(&world).postponed, 3);
	assert_int_equal(world.targets[0].log_count, 0);
	world_end(&world);
}

/* Not before a time that is after the deadline: back until the deadline, then recorded. */
static void not_before_after_the_deadline(void **state)
{
	char deadline[32], later[32];
	const char *const attributes[] = {
		"NotBefore", "Number", later, "Deadline", "Number", deadline, NULL};

	world_init(&world, &(struct world_options){.failure_queue = true});
	snprintf(deadline, sizeof(deadline), "%" PRId64, WORLD_EPOCH_MS + 5002);
	snprintf(later, sizeof(later), "%" PRId64, WORLD_EPOCH_MS + 900000);
	world_add_with(&world, attributes);
	world.queue.messages[0]->deadline_epoch_ms = WORLD_EPOCH_MS + 5002;
	world_start(&world);
	world_run_to(&world, S);
	assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 0)->visibility_s[0], 5);
	expect_expired();
	world_end(&world);
}

static void malformed(void **state)
{
	static const struct {
		const char *name, *type, *value, *reason;
	} rows[] = {
		{"Deadline", "Number", "soon",
			"attribute Deadline is neither epoch milliseconds nor an RFC 3339 time"},
		{"Deadline", "String", "1800000000000",
			"attribute Deadline is neither epoch milliseconds nor an RFC 3339 time"},
		{"Deadline", "Binary", "x",
			"attribute Deadline is neither epoch milliseconds nor an RFC 3339 time"},
		{"NotBefore", "Number", "1e9",
			"attribute NotBefore is neither epoch milliseconds nor an RFC 3339 time"},
		{"NotBefore", "String", "yesterday",
			"attribute NotBefore is neither epoch milliseconds nor an RFC 3339 time"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* Never sent: whether it is too late cannot be known. */
		world_init(&world, &(struct world_options){.failure_queue = true});
		add_with(rows[i].name, rows[i].type, rows[i].value);
		world_start(&world);
		world_run_until_done(&world, S);
		assert_int_equal(world.targets[0].log_count, 0);
		assert_int_equal(world_stats(&world).failed, 1);
		assert_string_equal(
			world_event(&world, DELIVERY_FAILED, 0)->reason, rows[i].reason);
		assert_string_equal(
			fake_message_attribute(world.failure_queue.messages[0], "FailureReason")
				->value,
			rows[i].reason);
		assert_null(
			fake_message_attribute(world.failure_queue.messages[0], "FailureStatus"));
		world_end(&world);

		world_init(&world, &(struct world_options){.visibility_s = 30});
		add_with(rows[i].name, rows[i].type, rows[i].value);
		world_start(&world);
		world_run_to(&world, 5 * S);
		assert_int_equal(world.targets[0].log_count, 0);
		assert_true(world_stats(&world).failed_left > 0);
		assert_int_equal(fake_queue_calls(&world.queue, OP_DELETE), 0);
		world_end(&world);
	}
}

/* A delete of an expired one is retried like any other. */
static void an_expired_delete_fails(void **state)
{
	world_init(&world, &(struct world_options){.failure_queue = true});
	fake_queue_fail(&world.queue,
		(struct fault){
			.op = OP_DELETE, .times = 3, .err = ERR_UNAVAILABLE, .entry = WHOLE_CALL});
	add_with_deadline(-1);
	world_start(&world);
	expect_expired();
	assert_int_equal(fake_queue_calls(&world.queue, OP_DELETE), 4);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_the_exact_instant),
		cmocka_unit_test(while_waiting_for_a_slot),
		cmocka_unit_test(a_back_off_ends_at_the_deadline),
		cmocka_unit_test(not_before),
		cmocka_unit_test(not_before_has_passed),
		cmocka_unit_test(extreme_instants),
		cmocka_unit_test(not_before_after_the_deadline),
		cmocka_unit_test(malformed),
		cmocka_unit_test(an_expired_delete_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
