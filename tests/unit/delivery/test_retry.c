/* After how long a message is tried again, as the core asks for it: chains, Retry-After, limits. */
#include "base/hash.h"
#include "bunshin/error.h"
#include "delivery/core.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct world world;

static const struct backoff decorrelated = {
	.base_ms = 1000, .cap_ms = 60000, .jitter = BACKOFF_DECORRELATED};

static unsigned seconds(int64_t ms)
{
	return (unsigned)((ms + 999) / 1000);
}

/* What the return of a message's n-th receive asked for. */
static unsigned asked_for(size_t message, uint32_t receipt)
{
	const struct call_record *call;

	for (size_t n = 0; (call = fake_queue_call(&world.queue, OP_CHANGE, n)); n++)
		for (size_t i = 0; i < call->count; i++)
			if (call->messages[i] == message && call->receipts[i] == receipt)
				return call->visibility_s[i];
	fail_msg("receive %u of %zu was not put back", receipt, message);
	return 0;
}

static void check_chain(size_t message, uint32_t receives)
{
	const char *key = world.queue.messages[message]->key;
	uint64_t seed = hash_bytes(key, strlen(key));

	for (uint32_t n = 1; n <= receives; n++)
		assert_int_equal(asked_for(message, n),
			seconds(backoff_delay_ms(&decorrelated, n - 1, seed)));
}

/* Whatever the worker's own chance says: the chain is the message's. */
static void the_chain_is_the_messages_own(void **state)
{
	unsigned differ = 0;

	for (uint64_t seed = 0; seed < 5; seed++) {
		world_init(&world,
			&(struct world_options){
				.seed = seed, .backoff = decorrelated, .max_attempts = 100});
		world.random_is_fixed = seed % 2;
		world.random_fixed = seed << 60;
		fake_target_answer(&world.targets[0], 24, (struct answer){.status = 500});
		world_add(&world, 4);
		world_start(&world);
		world_run_to(&world, 200 * S);
		for (size_t i = 0; i < 4; i++)
			check_chain(i, 3);
		for (size_t i = 1; i < 4; i++)
			differ += asked_for(i, 3) != asked_for(0, 3);
		world_end(&world);
	}
	assert_true(differ > 0);
}

/* Another worker takes over after each failure, and goes on where the other was. */
static void the_chain_over_several_cores(void **state)
{
	static const char *const attributes[] = {"IdempotencyKey", "String", "one", NULL};

	world_init(&world, &(struct world_options){.backoff = decorrelated, .max_attempts = 100});
	fake_target_answer(&world.targets[0], 8, (struct answer){.status = 500});
	world_add_with(&world, attributes);
	world_start(&world);
	while (world.targets[0].log_count < 8) {
		size_t returned = world_stats(&world).returned;

		while (world_stats(&world).returned == returned)
			world_step(&world);
		world_free_delivery(&world);
		world_restart(&world);
	}
	world_run_until_done(&world, 600 * S);
	check_chain(0, 8);
	world_end(&world);
}

/* Full jitter is the worker's chance, below twice as much each time. */
static void full_jitter(void **state)
{
	static const unsigned expected_s[] = {1, 1, 2, 4, 8, 16, 30, 30}; /* half of 1, 2, 4 ... */

	world_init(&world, &(struct world_options){.backoff = {.base_ms = 1000, .cap_ms = 60000},
				   .max_attempts = 100});
	world.random_is_fixed = true;
	world.random_fixed = UINT64_C(1) << 63;
	fake_target_answer(&world.targets[0], 8, (struct answer){.status = 500});
	world_add(&world, 1);
	world_start(&world);
	world_run_until_done(&world, 600 * S);
	for (uint32_t n = 1; n <= 8; n++)
		assert_int_equal(asked_for(0, n), expected_s[n - 1]);
	world_end(&world);
}

/*
 * Retry-After is obeyed in whole seconds, up to what the queue allows; one of nothing is none at
 * all. The chance stands at half: 0.5 s, which is 1 s.
 */
static void retry_after(void **state)
{
	static const struct {
		int64_t retry_after_ms;
		unsigned visibility_s;
	} rows[] = {{RETRY_AFTER_0, 4}, {0, 4} /* absent */, {1, 1}, {999, 1}, {1000, 1}, {1001, 2},
		{59999, 60}, {3600000, 3600}, {43189000, 43189}, {43190000, 43190},
		{43191000, 43190}, {INT64_C(1) << 50, 43190}};
	static const int statuses[] = {429, 503, 500, 408, 302};

	for (size_t k = 0; k < sizeof(statuses) / sizeof(statuses[0]); k++) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			world_init(&world, &(struct world_options){
						   .backoff = {.base_ms = 8000, .cap_ms = 8000}});
			world.random_is_fixed = true;
			world.random_fixed = UINT64_C(1) << 63;
			fake_target_answer(&world.targets[0], 1,
				(struct answer){.status = statuses[k],
					.retry_after_ms = rows[i].retry_after_ms});
			world_add(&world, 1);
			world_start(&world);
			world_run_to(&world, S);
			assert_int_equal(asked_for(0, 1), rows[i].visibility_s);
			assert_int_equal(world_event(&world, DELIVERY_ATTEMPT_FAILED, 0)->delay_ms,
				rows[i].retry_after_ms > 0 ? rows[i].retry_after_ms : 4000);
			world_end(&world);
		}
	}
}

/* It does not stretch beyond the deadline, after which there is nothing to try. */
static void retry_after_and_deadline(void **state)
{
	static const char *const attributes[] = {"Deadline", "Number", "1800000009500", NULL};

	world_init(&world, &(struct world_options){0});
	fake_target_answer(
		&world.targets[0], 1, (struct answer){.status = 429, .retry_after_ms = 60000});
	world_add_with(&world, attributes);
	world.queue.messages[0]->deadline_epoch_ms = WORLD_EPOCH_MS + 9500;
	world_start(&world);
	world_run_until_done(&world, 20 * S);
	assert_int_equal(asked_for(0, 1), 10);
	assert_int_equal(world_stats(&world).expired, 1);
	world_end(&world);
}

/* A Retry-After of nothing, again and again, does not spend the attempts at once. */
static void retry_after_0_is_a_back_off(void **state)
{
	world_init(&world, &(struct world_options){.max_attempts = 5, .failure_queue = true});
	world.random_is_fixed = true;
	world.random_fixed = UINT64_MAX;
	world.targets[0].otherwise =
		(struct answer){.status = 503, .retry_after_ms = RETRY_AFTER_0};
	world_add(&world, 1);
	world_start(&world);
	world_run_until_done(&world, 60 * S);
	assert_int_equal(world.targets[0].log_count, 5);
	for (uint32_t n = 1; n <= 4; n++)
		assert_int_equal(asked_for(0, n), 1u << (n - 1));
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_chain_is_the_messages_own),
		cmocka_unit_test(the_chain_over_several_cores),
		cmocka_unit_test(full_jitter),
		cmocka_unit_test(retry_after),
		cmocka_unit_test(retry_after_and_deadline),
		cmocka_unit_test(retry_after_0_is_a_back_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
