/*
 * Packed and gathered messages by seed: a worker that is killed and started again, with the queue
 *and the ledger that it leaves. Answers, calls, kills, drains, pauses and deadlines are drawn. Of
 *each recipient the same must hold as of a message that is alone: none is lost, and none is sent to
 *again that was known as accepted.
 *
 *	test_delivery_batch_random [SEED]	one seed, with BUNSHIN_TEST_TRACE=1 to see it
 */
#include "base/random.h"
#include "bunshin/error.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 400
#define LIMIT_US (3000 * S)
#define KILLS_MAX 4

static struct world world;
static struct mapped_file file;
static struct ledger ledger;
static char label[32];
static uint64_t state;
static unsigned batch_max;
static uint64_t linger_us;
static unsigned kills, requests, gathered, split;

/* xorshift64*: the run is the seed's alone. */
static unsigned draw(unsigned below)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (unsigned)((state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % below;
}

static void with_batches(struct delivery_destination *destination, unsigned lane)
{
	destination->batch_field = "to";
	destination->batch_max = batch_max;
	destination->batch_linger_us = linger_us;
	destination->adaptive = state % 2 == 0;
}

static bool is_bad(const char *text)
{
	return strstr(text, "bad") != NULL;
}

/* Refused when a bad one is in it, whatever else is drawn. */
static void plan(
	struct fake_target *target, const struct fake_message *message, struct answer *answer)
{
	static const struct answer others[] = {{.status = 503},
		{.status = 429, .retry_after_ms = 700},
		{.err = ERR_TIMEOUT, .latency_us = 2 * S, .unanswered = true}, {.status = 500},
		{.start_err = ERR_LIMIT}, {.status = 413}, {.latency_us = 3 * S}};

	requests++;
	gathered += target->recipients && !strchr(message->body, '[') &&
		    fake_list_length(target->recipients) > 1;
	answer->latency_us = 1 + draw(40) * MS;
	if (draw(12) == 0)
		*answer = others[draw(sizeof(others) / sizeof(others[0]))];
	/* What is too large alone is never accepted: it would be in the failure queue. */
	if (answer->status == 413 && fake_list_length(target->recipients) == 1)
		answer->status = 200;
	split += answer->status == 413;
	if (target->recipients && is_bad(target->recipients) && !answer->start_err && !answer->err)
		answer->status = 400;
}

static void disturb(struct fake_queue *queue, const struct call_record *call, struct call_plan *how)
{
	how->there_us = draw(4) * MS;
	how->back_us = 1 + draw(8) * MS;
	if (draw(25) == 0)
		how->err = ERR_UNAVAILABLE;
	how->lost = how->err && draw(2) == 0;
}

static void name(char text[32], size_t n, unsigned i)
{
	snprintf(text, 32, "\"%s%zu.%u\"", draw(20) == 0 ? "bad" : "", n, i);
}

static void add_packed(unsigned count)
{
	char body[2048], key[16], text[32];
	size_t n = world.queue.count;
	int at = sprintf(body, "{\"n\":%zu,\"to\":", n);

	for (unsigned i = 0; i < count; i++) {
		name(text, n, i);
		at += sprintf(body + at, "%c%s", i ? ',' : '[', text);
	}
	strcpy(body + at, "]}");
	snprintf(key, sizeof(key), "key-m%zu", n);
	fake_list_add(&world.list, body, key);
	world_add_body(&world, body);
}

static void add_single(void)
{
	char body[96], text[32];

	name(text, world.queue.count, 0);
	snprintf(body, sizeof(body), "{\"to\":%s,\"text\":\"t%u\"}", text, draw(3));
	fake_list_get(&world.list, text, strlen(text));
	world_add_body(&world, body);
}

static void add_some(void)
{
	for (unsigned n = draw(12); n > 0; n--)
		if (draw(4) == 0)
			add_packed(1 + draw(40));
		else
			add_single();
}

static void build(uint64_t seed)
{
	static uint8_t hash_key[SIPHASH_KEY_BYTES] = "bunshin's ledger";

	state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	batch_max = 1 + draw(20);
	linger_us = draw(3) * 40 * MS;
	assert_int_equal(mapped_file_anonymous(1 << 20, &ledger_file, hash_key, &file), 0);
	assert_int_equal(ledger_attach(file.memory, file.bytes, 3600000, &ledger), 0);
	snprintf(label, sizeof(label), "seed %llu", (unsigned long long)seed);
	world_init(&world, &(struct world_options){.concurrency = 1 + draw(5),
				   .visibility_s = 4 + draw(10),
				   .wait_s = 2,
				   .failure_queue = true,
				   .ledger = &ledger,
				   .grace_ms = 2000,
				   .max_attempts = 1000,
				   .adjust = with_batches,
				   .seed = seed,
				   .label = label});
	world.targets[0].plan = plan;
	world.queue.plan = world.failure_queue.plan = disturb;
}

static void kill_it(void)
{
	kills++;
	world_free_delivery(&world);
	world_restart(&world);
}

static void drain_it(void)
{
	world_drain(&world);
	while (!world.drained)
		assert_true(world_step(&world));
	kill_it();
}

static void pause_it(void)
{
	struct control control = {.paused = true};

	world_set_control(&world, &control);
	world_run_to(&world, world_now_us(&world) + draw(7) * S);
	control.paused = false;
	world_set_control(&world, &control);
}

static void live(void)
{
	world_start(&world);
	for (unsigned turn = 0; turn < 10; turn++) {
		add_some();
		for (unsigned steps = draw(120); steps > 0; steps--)
			world_step(&world);
		if (draw(3) == 0)
			kill_it();
		else if (draw(8) == 0)
			drain_it();
		else if (draw(8) == 0)
			pause_it();
	}
	world_run_until_done(&world, LIMIT_US);
}

static void check_end(void)
{
	for (size_t i = 0; i < world.list.count; i++) {
		const struct fake_recipient *one = &world.list.all[i];
		bool copied = false;

		for (size_t k = 0; k < world.failure_queue.count; k++)
			copied |= strstr(world.failure_queue.messages[k]->body, one->text) != NULL;
		if (is_bad(one->text) ? one->accepted > 0 || !copied : !one->accepted || copied)
			world_fail(&world, "%s: accepted %u times, %s", one->text, one->accepted,
				copied ? "copied" : "not copied");
		if (one->accepted > 1 + one->unclear)
			world_fail(&world, "%s was accepted %u times, %u of them unclear",
				one->text, one->accepted, one->unclear);
	}
}

static void run_seed(uint64_t seed)
{
	build(seed);
	live();
	check_end();
	world_end(&world);
	mapped_file_close(&file);
}

static uint64_t only;

static void every_recipient_of_every_seed(void **unused)
{
	for (uint64_t seed = only ? only : 1; seed <= (only ? only : SEEDS); seed++)
		run_seed(seed);
	print_message("%u requests, %u gathered, %u too large, %u kills\n", requests, gathered,
		split, kills);
	assert_true(only || (gathered > 1000 && split > 50 && kills > 300));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_recipient_of_every_seed)};

	only = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
