/*
 * Packed messages, and gathered ones beside them, swept: the process dies after every step, every
 * call and every attempt fails in every way, every allocation fails. Whatever happens, in the end
 * each recipient was accepted, or is in the failure queue, and none was sent to that the core knew
 * as accepted.
 */
#include "bunshin/error.h"
#include "failmalloc.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT_US (600 * S)

static struct world world;
static struct mapped_file file;
static struct ledger ledger;
static char label[64];

static void with_batches(struct delivery_destination *destination, unsigned lane)
{
	destination->batch_field = "to";
	destination->batch_max = 4;
	destination->batch_linger_us = 50 * MS;
}

/* {"n":N,"to":["N.0","N.1",...]} */
static void add(unsigned count)
{
	char body[512], key[16];
	size_t n = world.queue.count;
	int at = sprintf(body, "{\"n\":%zu,\"to\":", n);

	for (unsigned i = 0; i < count; i++)
		at += sprintf(body + at, "%c\"%zu.%u\"", i ? ',' : '[', n, i);
	strcpy(body + at, "]}");
	snprintf(key, sizeof(key), "key-m%zu", n);
	fake_list_add(&world.list, body, key);
	world_add_body(&world, body);
}

/* Two bad ones, throttling, an outage and a timeout among what goes well. */
static void build(void)
{
	static uint8_t hash_key[SIPHASH_KEY_BYTES] = "bunshin's ledger";
	static const char *const bad[] = {"\"0.5\"", "\"3.0\"", "\"s5\"", NULL};
	static const struct answer answers[] = {{.status = 200},
		{.status = 429, .retry_after_ms = 900}, {.status = 200}, {.status = 503},
		{.err = ERR_TIMEOUT, .latency_us = 3 * S}, {.start_err = ERR_LIMIT},
		{.status = 401}};

	assert_int_equal(mapped_file_anonymous(1 << 16, &ledger_file, hash_key, &file), 0);
	assert_int_equal(ledger_attach(file.memory, file.bytes, 3600000, &ledger), 0);
	world_init_outside(&world, &(struct world_options){.concurrency = 2,
					   .visibility_s = 4,
					   .wait_s = 2,
					   .failure_queue = true,
					   .ledger = &ledger,
					   .grace_ms = 3000,
					   .max_attempts = 100,
					   .adjust = with_batches,
					   .seed = 1,
					   .label = label});
	world.targets[0].bad = bad;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		fake_target_answer(&world.targets[0], 1, answers[i]);
	add(10);
	add(3);
	world_add_body(&world, "{\"n\":2,\"to\":\"2.0\"}");
	add(1);
	add(8);
	/* These are gathered; one of them is bad. */
	for (int i = 0; i < 7; i++) {
		char body[64];

		snprintf(body, sizeof(body), "{\"to\":\"s%d\",\"text\":\"hello\"}", i);
		world_add_body(&world, body);
	}
}

static void check_end(void)
{
	for (size_t i = 0; i < world.list.count; i++) {
		const struct fake_recipient *one = &world.list.all[i];
		bool copied = false;

		for (size_t k = 0; k < world.failure_queue.count; k++)
			copied |= strstr(world.failure_queue.messages[k]->body, one->text) != NULL;
		if (!one->accepted && !copied)
			world_fail(&world, "%s is lost", one->text);
		/* Duplicates are at most what was out when the process died. */
		if (one->accepted > 1 + one->unclear)
			world_fail(&world, "%s was accepted %u times", one->text, one->accepted);
		if (one->accepted && copied)
			world_fail(
				&world, "%s was accepted and is in the failure queue", one->text);
	}
}

static void finish(void)
{
	world_run_until_done(&world, LIMIT_US);
	check_end();
	world_end(&world);
	mapped_file_close(&file);
}

static void start(void)
{
	assert_int_equal(world_init_core(&world), 0);
	world_start(&world);
}

static void undisturbed(void **state)
{
	snprintf(label, sizeof(label), "undisturbed");
	build();
	start();
	finish();
}

/* Its claims outlive it, so that nothing is sent twice at once; then it goes on. */
static void the_process_dies_after_every_step(void **state)
{
	bool ended = false;

	for (unsigned long k = 0; !ended; k++) {
		snprintf(label, sizeof(label), "killed after step %lu", k);
		build();
		start();
		for (unsigned long step = 0; step < k && !ended; step++) {
			ended = !fake_queue_alive(&world.queue);
			if (!ended)
				world_step(&world);
		}
		world_free_delivery(&world);
		world_restart(&world);
		finish();
		assert_true(!ended || k > 60);
	}
}

/* And a second time, some steps after that. */
static void the_process_dies_twice(void **state)
{
	for (unsigned long k = 4; k < 80; k += 5)
		for (unsigned long more = 1; more < 40; more += 7) {
			snprintf(label, sizeof(label), "killed after %lu and %lu", k, more);
			build();
			start();
			for (unsigned long step = 0; step < k; step++)
				world_step(&world);
			world_free_delivery(&world);
			world_restart(&world);
			for (unsigned long step = 0; step < more; step++)
				world_step(&world);
			world_free_delivery(&world);
			world_restart(&world);
			finish();
		}
}

static void it_drains_after_every_step(void **state)
{
	bool ended = false;

	for (unsigned long k = 0; !ended; k++) {
		snprintf(label, sizeof(label), "drained after step %lu", k);
		build();
		start();
		for (unsigned long step = 0; step < k && !ended; step++) {
			ended = !fake_queue_alive(&world.queue);
			if (!ended)
				world_step(&world);
		}
		world_drain(&world);
		while (!world.drained)
			assert_true(world_step(&world));
		world_free_delivery(&world);
		world_restart(&world);
		finish();
	}
}

static unsigned long countdown;
static bool was_hit;
static struct answer instead;

static void disturb_attempt(
	struct fake_target *target, const struct fake_message *message, struct answer *answer)
{
	if (countdown && --countdown == 0) {
		*answer = instead;
		was_hit = true;
	}
}

static void an_attempt_fails(void **state)
{
	static const struct answer ways[] = {{.start_err = ERR_NOMEM},
		{.err = ERR_TIMEOUT, .latency_us = 9 * S, .unanswered = true},
		{.status = 500, .latency_us = MS}, {.status = 400, .latency_us = MS},
		{.status = 403, .latency_us = 2 * S}, {.status = 413, .latency_us = 1},
		{.err = ERR_TEMPLATE, .reason = "missing", .latency_us = 1},
		{.status = 200, .latency_us = 20 * S}};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		unsigned long k = 0;

		do {
			snprintf(label, sizeof(label), "way %zu, attempt %lu", i, ++k);
			build();
			world.targets[0].plan = disturb_attempt;
			countdown = k;
			instead = ways[i];
			was_hit = false;
			start();
			finish();
		} while (was_hit);
		assert_true(k > 10);
	}
}

static bool is_lost;

static void disturb_call(
	struct fake_queue *queue, const struct call_record *call, struct call_plan *plan)
{
	if (countdown == 0 || --countdown > 0)
		return;
	was_hit = true;
	plan->err = ERR_UNAVAILABLE;
	plan->lost = is_lost;
}

static void a_call_to_the_queue_fails(void **state)
{
	for (int lost = 0; lost < 2; lost++) {
		unsigned long k = 0;

		is_lost = lost;
		do {
			snprintf(label, sizeof(label), "lost %d, call %lu", lost, ++k);
			build();
			world.queue.plan = world.failure_queue.plan = disturb_call;
			/* A copy that was made, and whose answer is lost, is made again. */
			countdown = k;
			was_hit = false;
			start();
			finish();
		} while (was_hit);
		assert_true(k > 10);
	}
}

static void an_allocation_fails(void **state)
{
	unsigned long k = 0, failed;

	do {
		snprintf(label, sizeof(label), "allocation %lu", ++k);
		build();
		assert_int_equal(world_init_core(&world), 0);
		world.short_of_memory = true;
		failmalloc_arm(k);
		world_start(&world);
		world_run_until_done(&world, LIMIT_US);
		failed = failmalloc_disarm();
		check_end();
		world_end(&world);
		mapped_file_close(&file);
	} while (failed);
	assert_true(k > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(undisturbed),
		cmocka_unit_test(the_process_dies_after_every_step),
		cmocka_unit_test(the_process_dies_twice),
		cmocka_unit_test(it_drains_after_every_step),
		cmocka_unit_test(an_attempt_fails),
		cmocka_unit_test(a_call_to_the_queue_fails),
		cmocka_unit_test(an_allocation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
