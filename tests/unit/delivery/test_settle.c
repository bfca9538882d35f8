/* What ends a message's stay: deletes and back-offs, and their retries.
 */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct world world;

static const struct call_record *call_of(enum queue_op op, size_t n)
{
	const struct call_record *call = fake_queue_call(&world.queue, op, n);

	if (!call)
		fail_msg("no call %zu of kind %d", n, op);
	return call;
}

/* ---- deletes */

/* Full tens leave at once, the rest 50 ms after the first that waits. */
static void deletes_coalesce(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 200, .receivers = 3});
	world_add(&world, 23);
	world_start(&world);
	world_run_until_done(&world, S);
	/* Ten attempts end at 12 ms, thirteen at 14 ms. */
	assert_int_equal(fake_queue_calls(&world.queue, OP_DELETE), 3);
	assert_int_equal(call_of(OP_DELETE, 0)->at_us, 12 * MS);
	assert_int_equal(call_of(OP_DELETE, 0)->count, 10);
	assert_int_equal(call_of(OP_DELETE, 1)->at_us, 14 * MS);
	assert_int_equal(call_of(OP_DELETE, 1)->count, 10);
	assert_int_equal(call_of(OP_DELETE, 2)->at_us, 64 * MS);
	assert_int_equal(call_of(OP_DELETE, 2)->count, 3);
	world_end(&world);
}

/* The linger counts from the first that waits, whatever joins it. */
static void the_linger_is_a_maximum(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 10});
	for (unsigned i = 0; i < 5; i++)
		fake_target_answer(
			&world.targets[0], 1, (struct answer){.latency_us = (10 + 20 * i) * MS});
	world_add(&world, 5);
	world_start(&world);
	world_run_until_done(&world, S);
	/* Ends at 12, 32, 52 | 72, 92. */
	assert_int_equal(call_of(OP_DELETE, 0)->at_us, 62 * MS);
	assert_int_equal(call_of(OP_DELETE, 0)->count, 3);
	assert_int_equal(call_of(OP_DELETE, 1)->at_us, 122 * MS);
	assert_int_equal(call_of(OP_DELETE, 1)->count, 2);
	world_end(&world);
}

/* Entry k of a batch fails, for every k: that one is tried again, the others are done. */
static void one_entry_of_a_delete_fails(void **state)
{
	for (int k = 0; k < 10; k++) {
		world_init(&world, &(struct world_options){.concurrency = 10});
		world.random_is_fixed = true;
		world.random_fixed = UINT64_MAX;
		fake_queue_fail(&world.queue,
			(struct fault){.op = OP_DELETE, .err = ERR_UNAVAILABLE, .entry = k});
		world_add(&world, 10);
		world_start(&world);
		world_run_until_done(&world, S);
		assert_int_equal(fake_queue_calls(&world.queue, OP_DELETE), 2);
		assert_int_equal(call_of(OP_DELETE, 0)->count, 10);
		/* 14 ms, 99 ms drawn and one, 50 ms of linger. */
		assert_int_equal(call_of(OP_DELETE, 1)->at_us, 164 * MS);
		assert_int_equal(call_of(OP_DELETE, 1)->count, 1);
		assert_int_equal(call_of(OP_DELETE, 1)->messages[0], k);
		assert_int_equal(world.event_totals[DELIVERY_QUEUE_FAILED], 1);
		assert_string_equal(
			world_event(&world, DELIVERY_QUEUE_FAILED, 0)->operation, "delete");
		assert_int_equal(world_stats(&world).deleted, 10);
		assert_int_equal(world.targets[0].log_count, 10);
		world_end(&world);
	}
}

/* Whole deletes fail, one after another: back-off 100 ms * 2^n up to 5 s, then done; never sent
 * again. */
static void failing_deletes_are_retried(void **state)
{
	static const uint64_t waits_us[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000};
	static const struct fault kinds[] = {
		{.op = OP_DELETE, .times = 8, .err = ERR_TIMEOUT, .entry = WHOLE_CALL},
		{.op = OP_DELETE, .times = 8, .err = ERR_NOMEM, .entry = WHOLE_CALL, .sync = true},
	};

	for (size_t kind = 0; kind < 2; kind++) {
		uint64_t took_us = kind == 0 ? 2 * MS : 0;

		world_init(&world, &(struct world_options){.concurrency = 10});
		world.random_is_fixed = true;
		world.random_fixed = UINT64_MAX;
		fake_queue_fail(&world.queue, kinds[kind]);
		world_add(&world, 1);
		world_start(&world);
		world_run_until_done(&world, 29 * S);
		for (size_t i = 0; i < 8; i++)
			assert_int_equal(call_of(OP_DELETE, i + 1)->at_us,
				call_of(OP_DELETE, i)->at_us + took_us + waits_us[i] * MS +
					50 * MS);
		assert_int_equal(world_stats(&world).deleted, 1);
		assert_int_equal(world.targets[0].log_count, 1);
		world_end(&world);
	}
}

/* No delete works until the receipt runs out: then it is lost, exactly then, and comes again. */
static void deletes_that_never_work(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 10, .visibility_s = 30});
	fake_queue_fail(&world.queue, (struct fault){.op = OP_DELETE,
					      .times = 1000,
					      .err = ERR_UNAVAILABLE,
					      .entry = WHOLE_CALL});
	world_add(&world, 3);
	world_start(&world);
	/* Asked for at 0, so hidden since then for all we know. */
	world_run_to(&world, 30 * S - 1);
	assert_int_equal(world_stats(&world).lost, 0);
	assert_int_equal(delivery_held(world.delivery), 3);
	world_run_to(&world, 30 * S);
	assert_int_equal(world_stats(&world).lost, 3);
	assert_int_equal(world.event_totals[DELIVERY_LOST], 3);
	assert_string_equal(world_event(&world, DELIVERY_LOST, 0)->reason, "accepted");
	assert_int_equal(fake_queue_extensions(&world.queue), 0);
	world.queue.faults[0].times = 0;
	world_run_until_done(&world, 60 * S);
	/* At least once is SQS's nature: the queue would not take the delete. */
	assert_int_equal(world.targets[0].log_count, 6);
	world_end(&world);
}

static void a_receipt_that_is_invalid_is_lost(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 10});
	fake_queue_fail(&world.queue,
		(struct fault){.op = OP_DELETE, .err = ERR_RECEIPT_INVALID, .entry = 1});
	world_add(&world, 3);
	world_start(&world);
	world_run_to(&world, S);
	assert_int_equal(world_stats(&world).deleted, 2);
	assert_int_equal(world_stats(&world).lost, 1);
	assert_int_equal(fake_queue_calls(&world.queue, OP_DELETE), 1);
	world_end(&world);
}

/* The answer of the delete gets lost: the second finds nothing to delete, which is success. */
static void a_lost_answer_of_a_delete(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 10});
	fake_queue_fail(&world.queue,
		(struct fault){
			.op = OP_DELETE, .err = ERR_NETWORK, .entry = WHOLE_CALL, .lost = true});
	world_add(&world, 5);
	world_start(&world);
	world_run_to(&world, 100 * S);
	assert_int_equal(world_stats(&world).deleted, 5);
	assert_int_equal(world.targets[0].log_count, 5);
	world_end(&world);
}

/* Out when the visibility ends: what the delete says counts, not the clock. */
static void a_delete_that_is_out_at_the_expiry(void **state)
{
	for (int err = 0; err >= ERR_UNAVAILABLE; err += ERR_UNAVAILABLE) {
		world_init(&world, &(struct world_options){.concurrency = 1, .visibility_s = 2});
		world.queue.there_us = 500 * MS;
		world.queue.back_us = MS;
		fake_target_answer(&world.targets[0], 1, (struct answer){.latency_us = 1300 * MS});
		fake_queue_fail(&world.queue, (struct fault){.op = OP_CHANGE,
						      .times = 10,
						      .err = ERR_UNAVAILABLE,
						      .entry = WHOLE_CALL});
		fake_queue_fail(&world.queue,
			(struct fault){.op = OP_DELETE, .err = err, .entry = WHOLE_CALL});
		world_add(&world, 1);
		world_start(&world);
		/* Received at 0.501 s, so visible again at 2.0 s or later; the delete is
		 * answered at 2.352. */
		world_run_to(&world, 2352 * MS);
		assert_int_equal(call_of(OP_DELETE, 0)->at_us, 1851 * MS);
		assert_int_equal(call_of(OP_DELETE, 0)->answered_us, 2352 * MS);
		assert_int_equal(world_stats(&world).deleted, err ? 0 : 1);
		assert_int_equal(world_stats(&world).lost, err ? 1 : 0);
		world_end(&world);
	}
}

/* ---- back-off */

static void retry_after_is_kept(void **state)
{
	static const struct {
		int status;
		int64_t retry_after_ms;
		unsigned expected_s;
	} rows[] = {
		{429, 7000, 7},
		{503, 7001, 8},
		{503, RETRY_AFTER_0, 1}, /* nothing: as if it were absent */
		{500, 3000, 3},
		{408, 999, 1},
		{425, 1000, 1},
		/* 12 hours from the receive: SQS refuses more. */
		{429, INT64_C(13) * 3600 * 1000, 43190},
		{429, INT64_MAX, 43190},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world_init(&world, &(struct world_options){.concurrency = 1});
		world.random_is_fixed = true;
		world.random_fixed = UINT64_MAX;
		fake_target_answer(&world.targets[0], 1,
			(struct answer){.status = rows[i].status,
				.retry_after_ms = rows[i].retry_after_ms});
		world_add(&world, 1);
		world_start(&world);
		world_run_to(&world, S);
		assert_int_equal(call_of(OP_CHANGE, 0)->at_us, 62 * MS);
		assert_int_equal(call_of(OP_CHANGE, 0)->visibility_s[0], rows[i].expected_s);
		assert_int_equal(call_of(OP_CHANGE, 0)->results[0], 0);
		assert_int_equal(world_stats(&world).retried, 1);
		assert_int_equal(world_event(&world, DELIVERY_ATTEMPT_FAILED, 0)->delay_ms,
			rows[i].retry_after_ms == RETRY_AFTER_0 ? 999 : rows[i].retry_after_ms);
		world_end(&world);
	}
}

/* The twelve hours are SQS's to judge, when the change arrives: late in a second it still fits. */
static void twelve_hours_at_every_instant(void **state)
{
	for (uint64_t ms = 1; ms <= 2500; ms += 7) {
		world_init(&world, &(struct world_options){.concurrency = 1});
		world.queue.there_us = world.queue.back_us = ms * MS;
		fake_target_answer(&world.targets[0], 1,
			(struct answer){
				.status = 429, .retry_after_ms = INT64_MAX, .latency_us = ms * MS});
		world_add(&world, 1);
		world_start(&world);
		world_run_to(&world, 15 * S);
		assert_int_equal(world_stats(&world).returned, 1);
		assert_int_equal(call_of(OP_CHANGE, 0)->results[0], 0);
		assert_true(call_of(OP_CHANGE, 0)->visibility_s[0] >= 43200 - 20);
		world_end(&world);
	}
}

/* A return that is late because it failed at first asks for what is left then. */
static void twelve_hours_after_failures(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 1, .visibility_s = 60});
	fake_target_answer(
		&world.targets[0], 1, (struct answer){.status = 429, .retry_after_ms = INT64_MAX});
	fake_queue_fail(&world.queue,
		(struct fault){
			.op = OP_CHANGE, .times = 15, .err = ERR_UNAVAILABLE, .entry = WHOLE_CALL});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 60 * S);
	assert_true(call_of(OP_CHANGE, 15)->at_us > 11 * S);
	assert_int_equal(call_of(OP_CHANGE, 15)->results[0], 0);
	assert_int_equal(call_of(OP_CHANGE, 15)->visibility_s[0],
		43190 - (call_of(OP_CHANGE, 15)->at_us - 2 * MS) / S);
	assert_int_equal(world_stats(&world).returned, 1);
	world_end(&world);
}

/* Exponential by receive count, full jitter, in whole seconds upward. */
static void full_jitter_by_receive_count(void **state)
{
	static const struct {
		uint64_t random;
		unsigned delays_s[8];
	} rows[] = {
		{UINT64_MAX, {2, 4, 8, 16, 32, 60, 60, 60}},
		{UINT64_C(1) << 63, {1, 2, 4, 8, 16, 30, 30, 30}},
		{UINT64_C(1) << 62, {1, 1, 2, 4, 8, 15, 15, 15}},
		{0, {0, 0, 0, 0, 0, 0, 0, 0}},
	};

	for (size_t row = 0; row < 4; row++) {
		world_init(&world, &(struct world_options){.concurrency = 1,
					   .max_attempts = 100,
					   .backoff = {.base_ms = 2000, .cap_ms = 60000}});
		world.random_is_fixed = true;
		world.random_fixed = rows[row].random;
		fake_target_answer(&world.targets[0], 8, (struct answer){.status = 500});
		world_add(&world, 1);
		world_start(&world);
		world_run_until_done(&world, 500 * S);
		for (size_t i = 0; i < 8; i++)
			assert_int_equal(
				call_of(OP_CHANGE, i)->visibility_s[0], rows[row].delays_s[i]);
		assert_int_equal(world_stats(&world).retried, 8);
		assert_int_equal(world_stats(&world).returned, 8);
		world_end(&world);
	}
}

static void every_transport_error_backs_off(void **state)
{
	static const int errors[] = {ERR_DNS, ERR_CONNECT, ERR_TLS, ERR_TIMEOUT, ERR_NETWORK,
		ERR_PROTOCOL, ERR_ANSWER_TOO_LARGE, ERR_NOMEM};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		world_init(&world, &(struct world_options){.failure_queue = true});
		fake_target_answer(&world.targets[0], 1, (struct answer){.err = errors[i]});
		world_add(&world, 1);
		world_start(&world);
		world_run_until_done(&world, 10 * S);
		assert_int_equal(world.targets[0].log_count, 2);
		assert_string_equal(world_event(&world, DELIVERY_ATTEMPT_FAILED, 0)->reason,
			error_message(errors[i]));
		world_end(&world);
	}
}

/* Changes that fail are retried as deletes are; past the receipt the message is lost. */
static void a_failing_back_off(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 1, .visibility_s = 5});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 500});
	fake_queue_fail(&world.queue,
		(struct fault){
			.op = OP_CHANGE, .times = 2, .err = ERR_THROTTLED, .entry = WHOLE_CALL});
	world_add(&world, 1);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	assert_int_equal(fake_queue_calls(&world.queue, OP_CHANGE), 3);
	assert_int_equal(world_stats(&world).returned, 1);
	world_end(&world);

	world_init(&world, &(struct world_options){.concurrency = 1, .visibility_s = 5});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 500});
	fake_queue_fail(&world.queue,
		(struct fault){
			.op = OP_CHANGE, .times = 1000, .err = ERR_THROTTLED, .entry = WHOLE_CALL});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 5 * S + 2 * MS);
	assert_int_equal(world_stats(&world).lost, 1);
	assert_string_equal(world_event(&world, DELIVERY_LOST, 0)->reason, "backing off");
	world_end(&world);

	world_init(&world, &(struct world_options){.concurrency = 1, .visibility_s = 5});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 500});
	fake_queue_fail(&world.queue,
		(struct fault){.op = OP_CHANGE, .err = ERR_RECEIPT_INVALID, .entry = 0});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, S);
	assert_int_equal(world_stats(&world).returned, 1);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deletes_coalesce),
		cmocka_unit_test(the_linger_is_a_maximum),
		cmocka_unit_test(one_entry_of_a_delete_fails),
		cmocka_unit_test(failing_deletes_are_retried),
		cmocka_unit_test(deletes_that_never_work),
		cmocka_unit_test(a_receipt_that_is_invalid_is_lost),
		cmocka_unit_test(a_lost_answer_of_a_delete),
		cmocka_unit_test(a_delete_that_is_out_at_the_expiry),
		cmocka_unit_test(retry_after_is_kept),
		cmocka_unit_test(twelve_hours_at_every_instant),
		cmocka_unit_test(twelve_hours_after_failures),
		cmocka_unit_test(full_jitter_by_receive_count),
		cmocka_unit_test(every_transport_error_backs_off),
		cmocka_unit_test(a_failing_back_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
