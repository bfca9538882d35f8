/* The core with a ledger: what was accepted is not sent again, and what is being sent waits. */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BUSY_REASON "an attempt of it is out already"
#define CLAIM_MS 61000 /* the longest attempt in this world, and the core's slack */

static struct world world, second;
static struct mapped_file file;
static struct ledger ledger;  /* the core's */
static struct ledger another; /* another worker's, on the same memory */

static void open_ledger(size_t bytes, int64_t window_ms)
{
	static uint8_t key[SIPHASH_KEY_BYTES] = "bunshin's ledger";

	assert_int_equal(mapped_file_anonymous(bytes, &ledger_file, key, &file), 0);
	assert_int_equal(ledger_attach(file.memory, file.bytes, window_ms, &ledger), 0);
	assert_int_equal(ledger_attach(file.memory, file.bytes, window_ms, &another), 0);
}

static void open_hour(void)
{
	open_ledger(1 << 16, 3600000);
}

static void close_ledger(void)
{
	mapped_file_close(&file);
}

/* What another worker is told about a key now; its claim is taken back at once. */
static enum ledger_answer ask(
	struct world *w, const char *destination, const char *key, int64_t *ret_until_ms)
{
	struct ledger_key hashed = ledger_key_of(&another, destination, key);
	struct ledger_claim claim = {0};
	enum ledger_answer answer = ledger_claim(
		&another, hashed, world_wall_ms(w), world_wall_ms(w) + 1000, &claim, ret_until_ms);

	if (answer == LEDGER_CLAIMED)
		ledger_release(&another, hashed, claim);
	return answer;
}

static enum ledger_answer answer_for(const char *key)
{
	int64_t until_ms;

	return ask(&world, "lane0", key, &until_ms);
}

static void fail_deletes(unsigned times)
{
	fake_queue_fail(&world.queue, (struct fault){.op = OP_DELETE,
					      .times = times,
					      .err = ERR_UNAVAILABLE,
					      .entry = WHOLE_CALL});
}

/* ---- accepted before */

/* It could not be deleted while it was held: the redelivery is deleted without a send. */
static void redelivered_to_the_same_core(void **state)
{
	open_hour();
	world_init(&world, &(struct world_options){.ledger = &ledger});
	fail_deletes(1000);
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 20 * S);
	assert_int_equal(world_stats(&world).accepted, 1);
	assert_int_equal(world_stats(&world).deleted, 0);
	world.queue.faults[0].times = 0;
	/* Given up before the retries would have come to that. */
	fake_queue_fail(&world.queue,
		(struct fault){
			.op = OP_DELETE, .times = 5, .err = ERR_RECEIPT_INVALID, .entry = 0});
	world_run_to(&world, 30 * S);
	world.queue.faults[1].times = 0;
	assert_int_equal(world_stats(&world).lost, 1);
	world_run_until_done(&world, 32 * S);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_int_equal(world_stats(&world).received, 2);
	assert_int_equal(world_stats(&world).accepted, 1);
	assert_int_equal(world_stats(&world).suppressed, 1);
	assert_int_equal(world_stats(&world).deleted, 1);
	assert_int_equal(world.event_totals[DELIVERY_SUPPRESSED], 1);
	assert_int_equal(world_event(&world, DELIVERY_SUPPRESSED, 0)->message, 0);
	/* Handed out again 30 s after the first time, and 1 ms on the way. */
	assert_int_equal(world_event(&world, DELIVERY_SUPPRESSED, 0)->at_us, 30 * S + 2 * MS);
	assert_string_equal(world_event(&world, DELIVERY_SUPPRESSED, 0)->destination, "lane0");
	world_end(&world);
	close_ledger();
}

/* Another worker of the host has sent it. */
static void redelivered_to_another_core(void **state)
{
	static const char *const attributes[] = {"IdempotencyKey", "String", "one", NULL};

	open_hour();
	world_init(&world, &(struct world_options){.ledger = &ledger, .label = "first"});
	world_init(&second, &(struct world_options){.ledger = &another, .label = "second"});
	world_add_with(&world, attributes);
	world_start(&world);
	world_start(&second);
	world_run_both_to(&world, &second, S);
	assert_int_equal(world_stats(&world).accepted, 1);
	world_add_with(&second, attributes);
	second.queue.messages[0]->accepted_elsewhere = true;
	world_run_both_to(&world, &second, 2 * S);
	assert_int_equal(second.targets[0].log_count, 0);
	assert_int_equal(world_stats(&second).suppressed, 1);
	assert_int_equal(world_stats(&second).accepted, 0);
	assert_int_equal(world_stats(&second).deleted, 1);
	/* It does not count as delivered by it, nor as late. */
	assert_int_equal(delivery_latency(second.delivery, 0)->count, 0);
	world_end(&world);
	world_end(&second);
	close_ledger();
}

/*
 * Killed after step k, for every k, and started again: no acceptance that the worker heard of is
 * repeated (the fake target sees to it), and everything is delivered.
 */
static void killed_at_every_step(void **state)
{
	unsigned long k = 0;
	bool lasted = false;
	uint64_t suppressed = 0;

	while (!lasted) {
		char label[32];

		snprintf(label, sizeof(label), "killed after step %lu", k);
		open_hour();
		world_init(&world, &(struct world_options){
					   .ledger = &ledger, .concurrency = 3, .label = label});
		world.queue.there_us = world.queue.back_us = 20 * MS;
		world.targets[0].latency_us = 7 * MS;
		fake_target_answer(&world.targets[0], 1, (struct answer){.status = 500});
		world_add(&world, 5);
		world_start(&world);
		for (unsigned long n = 0; n < k && !lasted; n++) {
			world_step(&world);
			lasted = !fake_queue_alive(&world.queue);
		}
		world_free_delivery(&world);
		assert_int_equal(ledger_attach(file.memory, file.bytes, 3600000, &ledger), 0);
		world_restart(&world);
		world_run_until_done(&world, 600 * S);
		suppressed += world_stats(&world).suppressed;
		for (size_t i = 0; i < 5; i++)
			assert_int_equal(world.queue.messages[i]->accepted_told, 1);
		world_end(&world);
		close_ledger();
		k++;
	}
	assert_true(k > 20);
	assert_true(suppressed > 10);
}

/* ---- what is written, and when */

static unsigned told, deletes;

static void check_told(struct world *w, const struct delivery_event *event)
{
	if (event->kind != DELIVERY_ACCEPTED)
		return;
	assert_int_equal(answer_for(event->message->idempotency_key), LEDGER_ACCEPTED);
	told++;
}

static void check_delete(
	struct fake_queue *queue, const struct call_record *call, struct call_plan *plan)
{
	for (size_t i = 0; call->op == OP_DELETE && i < call->count; i++) {
		assert_int_equal(
			answer_for(queue->messages[call->messages[i]]->key), LEDGER_ACCEPTED);
		deletes++;
	}
}

static void written_before_anybody_is_told(void **state)
{
	told = deletes = 0;
	open_hour();
	world_init(&world, &(struct world_options){.ledger = &ledger});
	world.on_event = check_told;
	world.queue.plan = check_delete;
	world_add(&world, 25);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	assert_int_equal(told, 25);
	assert_int_equal(deletes, 25);
	world_end(&world);
	close_ledger();
}

/* ---- claimed by another */

/* The claim ends at `until_ms`; the message comes at 2 ms. */
static void put_back_for_as_long_as_the_claim_lasts(void **state)
{
	static const struct {
		int64_t until_ms;
		unsigned visibility_s;
		uint64_t sent_us; /* visible again, and 1 ms on the way back */
	} rows[] = {
		{3, 1, 1054 * MS},
		{1002, 1, 1054 * MS},
		{1003, 2, 2054 * MS},
		{7352, 8, 8054 * MS},
		{61002, 61, 61054 * MS},
		{61003, 62, 62054 * MS},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ledger_claim claim;
		int64_t until_ms;

		open_hour();
		world_init(&world, &(struct world_options){.ledger = &ledger});
		assert_int_equal(ledger_claim(&another, ledger_key_of(&another, "lane0", "key-m0"),
					 WORLD_EPOCH_MS, WORLD_EPOCH_MS + rows[i].until_ms, &claim,
					 &until_ms),
			LEDGER_CLAIMED);
		world_add(&world, 1);
		world_start(&world);
		world_run_to(&world, 60 * MS);
		assert_int_equal(world.targets[0].log_count, 0);
		assert_int_equal(world_stats(&world).postponed, 1);
		assert_int_equal(world_event(&world, DELIVERY_POSTPONED, 0)->at_us, 2 * MS);
		assert_string_equal(
			world_event(&world, DELIVERY_POSTPONED, 0)->reason, BUSY_REASON);
		assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 0)->at_us, 52 * MS);
		assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 0)->visibility_s[0],
			rows[i].visibility_s);
		world_run_until_done(&world, 100 * S);
		assert_int_equal(world.targets[0].log_count, 1);
		assert_int_equal(world.targets[0].log[0].at_us, rows[i].sent_us);
		assert_int_equal(world_stats(&world).postponed, 1);
		assert_int_equal(world_stats(&world).retried, 0);
		world_end(&world);
		close_ledger();
	}
}

/* The other worker hears of the acceptance meanwhile. */
static void claimed_then_accepted(void **state)
{
	struct ledger_key key;
	struct ledger_claim claim;
	int64_t until_ms;

	open_hour();
	key = ledger_key_of(&another, "lane0", "key-m0");
	world_init(&world, &(struct world_options){.ledger = &ledger});
	ledger_claim(&another, key, WORLD_EPOCH_MS, WORLD_EPOCH_MS + 5000, &claim, &until_ms);
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 4 * S);
	ledger_accept(&another, key, claim, world_wall_ms(&world));
	world.queue.messages[0]->accepted_elsewhere = true;
	world_run_until_done(&world, 10 * S);
	assert_int_equal(world_stats(&world).postponed, 1);
	assert_int_equal(world_stats(&world).suppressed, 1);
	assert_int_equal(world.targets[0].log_count, 0);
	world_end(&world);
	close_ledger();
}

/* Whoever waits behind it in the lane is sent in the same instant. */
static void the_next_goes_on(void **state)
{
	struct ledger_claim claim;
	int64_t until_ms;

	open_hour();
	world_init(&world, &(struct world_options){.ledger = &ledger, .concurrency = 1});
	ledger_claim(&another, ledger_key_of(&another, "lane0", "key-m0"), WORLD_EPOCH_MS,
		WORLD_EPOCH_MS + 5000, &claim, &until_ms);
	world_add(&world, 2);
	world_start(&world);
	world_run_to(&world, 5 * MS);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_int_equal(world.targets[0].log[0].message, 1);
	assert_int_equal(world.targets[0].log[0].at_us, 4 * MS);
	world_run_until_done(&world, 20 * S);
	world_end(&world);
	close_ledger();
}

/* Past its deadline there is nothing to wait for. */
static void put_back_until_its_deadline_at_most(void **state)
{
	static const char *const attributes[] = {
		"Deadline", "Number", "1800000003000", "IdempotencyKey", "String", "late", NULL};
	struct ledger_claim claim;
	int64_t until_ms;

	open_hour();
	world_init(&world, &(struct world_options){.ledger = &ledger});
	ledger_claim(&another, ledger_key_of(&another, "lane0", "late"), WORLD_EPOCH_MS,
		WORLD_EPOCH_MS + 30000, &claim, &until_ms);
	world_add_with(&world, attributes);
	world.queue.messages[0]->deadline_epoch_ms = WORLD_EPOCH_MS + 3000;
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 0)->visibility_s[0], 3);
	assert_int_equal(world_stats(&world).expired, 1);
	assert_int_equal(world.targets[0].log_count, 0);
	world_end(&world);
	close_ledger();
}

/* ---- the claim's end */

static void check_claimed_while_out(void)
{
	int64_t until_ms = 0;

	world_run_to(&world, 7 * MS);
	assert_int_equal(ask(&world, "lane0", "key-m0", &until_ms), LEDGER_BUSY);
	assert_int_equal(until_ms, WORLD_EPOCH_MS + 2 + CLAIM_MS);
	/* Another destination is another matter. */
	assert_int_equal(ask(&world, "lane1", "key-m0", &until_ms), LEDGER_CLAIMED);
}

static void taken_back_after(struct answer answer, const char *label, bool failure_queue)
{
	open_hour();
	world_init(
		&world, &(struct world_options){
				.ledger = &ledger, .label = label, .failure_queue = failure_queue});
	fake_target_answer(&world.targets[0], 1, answer);
	world_add(&world, 1);
	world_start(&world);
	if (!answer.start_err)
		check_claimed_while_out();
	world_run_to(&world, 12 * MS);
	assert_int_equal(answer_for("key-m0"), LEDGER_CLAIMED);
	assert_int_equal(world_stats(&world).accepted, 0);
	world_end(&world);
	close_ledger();
}

static void taken_back_after_every_status(void **state)
{
	char label[32];

	for (int status = 100; status <= 599; status++) {
		if (status / 100 == 2)
			continue;
		snprintf(label, sizeof(label), "status %d", status);
		taken_back_after((struct answer){.status = status}, label, status % 2);
	}
}

static void taken_back_after_every_error(void **state)
{
	static const int errors[] = {
#define X(name, value, class, message) name,
		ERROR_LIST(X)
#undef X
	};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		taken_back_after((struct answer){.err = errors[i]}, error_name(errors[i]), i % 2);
		taken_back_after(
			(struct answer){.start_err = errors[i]}, error_name(errors[i]), i % 2);
	}
}

static void taken_back_when_attempts_are_exhausted(void **state)
{
	open_hour();
	world_init(&world, &(struct world_options){
				   .ledger = &ledger, .max_attempts = 1, .failure_queue = true});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 503});
	world_add(&world, 1);
	world_start(&world);
	check_claimed_while_out();
	world_run_until_done(&world, S);
	assert_int_equal(answer_for("key-m0"), LEDGER_CLAIMED);
	assert_int_equal(world_stats(&world).failed, 1);
	world_end(&world);
	close_ledger();
}

/* An acceptance is what stays. */
static void kept_after_every_acceptance(void **state)
{
	for (int status = 200; status <= 299; status++) {
		open_hour();
		world_init(&world, &(struct world_options){.ledger = &ledger});
		fake_target_answer(&world.targets[0], 1, (struct answer){.status = status});
		world_add(&world, 1);
		world_start(&world);
		check_claimed_while_out();
		world_run_to(&world, 12 * MS);
		assert_int_equal(answer_for("key-m0"), LEDGER_ACCEPTED);
		world_end(&world);
		close_ledger();
	}
}

static struct rate_cell cell;

static void one_a_minute(struct delivery_destination *destination, unsigned lane)
{
	destination->rate = rate_make(&cell, 1, 60000, 1);
}

/* Without a token it waits unclaimed: a worker that has one may send it. */
static void not_claimed_while_it_waits_for_a_token(void **state)
{
	cell = (struct rate_cell){0};
	open_hour();
	world_init(&world, &(struct world_options){
				   .ledger = &ledger, .adjust = one_a_minute, .visibility_s = 300});
	world_add(&world, 2);
	world_start(&world);
	world_run_to(&world, S);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_int_equal(answer_for("key-m1"), LEDGER_CLAIMED);
	world_run_to(&world, 61 * S);
	assert_int_equal(world.targets[0].log_count, 2);
	assert_int_equal(world_stats(&world).accepted, 2);
	world_end(&world);
	close_ledger();
}

static void taken_back_when_a_drain_gives_it_up(void **state)
{
	open_hour();
	world_init(&world, &(struct world_options){.ledger = &ledger, .grace_ms = 2000});
	fake_target_answer(&world.targets[0], 1, (struct answer){.never = true});
	world_add(&world, 1);
	world_start(&world);
	check_claimed_while_out();
	world_drain(&world);
	world_run_to(&world, 3 * S);
	assert_int_equal(world.drained, 1);
	assert_int_equal(world.drained_held, 0);
	assert_int_equal(answer_for("key-m0"), LEDGER_CLAIMED);
	world_end(&world);
	close_ledger();
}

/* The one that failed it gives it back; the other sends it at once. */
static void sent_at_once_by_another_core(void **state)
{
	static const char *const attributes[] = {"IdempotencyKey", "String", "one", NULL};

	open_hour();
	world_init(&world, &(struct world_options){.ledger = &ledger, .label = "first"});
	world_init(&second, &(struct world_options){.ledger = &another, .label = "second"});
	fake_target_answer(
		&world.targets[0], 1, (struct answer){.status = 503, .retry_after_ms = 60000});
	world_add_with(&world, attributes);
	world_start(&world);
	world_start(&second);
	world_run_both_to(&world, &second, 12 * MS);
	world_add_with(&second, attributes);
	world_run_both_to(&world, &second, 14 * MS);
	assert_int_equal(second.targets[0].log_count, 1);
	assert_int_equal(second.targets[0].log[0].at_us, 13 * MS);
	world_run_both_to(&world, &second, S);
	assert_int_equal(world_stats(&second).accepted, 1);
	world.queue.messages[0]->accepted_elsewhere = true;
	world_run_both_to(&world, &second, 70 * S);
	assert_int_equal(world_stats(&world).suppressed, 1);
	world_end(&world);
	world_end(&second);
	close_ledger();
}

/*
 * Killed with the request out: it may have been accepted. The message is visible again at 30.001 s,
 * the claim lasts until 61.002 s; it is sent after that, and not before.
 */
static void a_crash_leaves_the_claim(void **state)
{
	open_hour();
	world_init(&world, &(struct world_options){.ledger = &ledger});
	fake_target_answer(&world.targets[0], 1, (struct answer){.never = true});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 5 * S);
	world_free_delivery(&world);
	assert_int_equal(answer_for("key-m0"), LEDGER_BUSY);
	assert_int_equal(ledger_attach(file.memory, file.bytes, 3600000, &ledger), 0);
	world_restart(&world);
	world_run_until_done(&world, 100 * S);
	assert_int_equal(world_stats(&world).postponed, 1);
	assert_int_equal(world_event(&world, DELIVERY_POSTPONED, 0)->at_us, 30 * S + 2 * MS);
	/* 31 s from the change's arrival. */
	assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 0)->visibility_s[0], 31);
	assert_int_equal(world.targets[0].log_count, 2);
	assert_int_equal(world.targets[0].log[1].at_us, 61 * S + 54 * MS);
	world_end(&world);
	close_ledger();
}

/* ---- which keys are one */

static void one_key_for_two_destinations(void **state)
{
	static const char *const to_first[] = {
		"IdempotencyKey", "String", "one", "Destination", "String", "lane0", NULL};
	static const char *const to_second[] = {
		"IdempotencyKey", "String", "one", "Destination", "String", "lane1", NULL};

	open_hour();
	world_init(&world, &(struct world_options){.ledger = &ledger, .lanes = 2});
	world_add_with(&world, to_first);
	world_add_with(&world, to_second);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_int_equal(world.targets[1].log_count, 1);
	assert_int_equal(world_stats(&world).suppressed, 0);
	assert_int_equal(world_stats(&world).postponed, 0);
	world_end(&world);
	close_ledger();
}

/* Sent twice by the producer: the second waits for the end of the first, and is deleted. */
static void one_key_for_one_destination(void **state)
{
	static const char *const attributes[] = {"IdempotencyKey", "String", "one", NULL};

	open_hour();
	world_init(&world, &(struct world_options){.ledger = &ledger});
	world_add_with(&world, attributes);
	world_add_with(&world, attributes);
	world.queue.messages[1]->accepted_elsewhere = true;
	world_start(&world);
	world_run_until_done(&world, 100 * S);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_int_equal(world_stats(&world).accepted, 1);
	assert_int_equal(world_stats(&world).postponed, 1);
	assert_int_equal(world_stats(&world).suppressed, 1);
	assert_int_equal(world_stats(&world).deleted, 2);
	world_end(&world);
	close_ledger();
}

/* ---- the window, and its absence */

/* Accepted at 12 ms; asked again 1 ms before the end of the window, and at its end. */
static void the_window_ends(void **state)
{
	static const char *const attributes[] = {"IdempotencyKey", "String", "one", NULL};

	for (int over = 0; over <= 1; over++) {
		open_ledger(1 << 16, 10000);
		world_init(&world, &(struct world_options){.ledger = &ledger});
		world_add_with(&world, attributes);
		world_start(&world);
		world_run_to(&world, 10 * S + 10 * MS + (over ? MS : 0));
		world_add_with(&world, attributes);
		world.queue.messages[1]->accepted_elsewhere = !over;
		world_run_until_done(&world, 20 * S);
		assert_int_equal(world_stats(&world).accepted, over ? 2 : 1);
		assert_int_equal(world_stats(&world).suppressed, over ? 0 : 1);
		world_end(&world);
		close_ledger();
	}
}

static void without_a_ledger(void **state)
{
	static const char *const attributes[] = {"IdempotencyKey", "String", "one", NULL};

	world_init(&world, &(struct world_options){0});
	fail_deletes(1);
	world_add_with(&world, attributes);
	world_add_with(&world, attributes);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	assert_int_equal(world_stats(&world).accepted, 2);
	assert_int_equal(world_stats(&world).suppressed, 0);
	assert_int_equal(world_stats(&world).postponed, 0);
	assert_int_equal(world.delivery->metrics.ledger_window_s->value, 0);
	world_end(&world);
}

/* ---- a ledger too small for its window */

static void check_cut_short(unsigned events)
{
	const struct core_metrics *metrics = &world.delivery->metrics;

	assert_true(ledger.cut_short > 0);
	assert_int_equal(metrics->ledger_cut_short->value, ledger.cut_short);
	assert_int_equal(metrics->ledger_window_s->value, (ledger.cut_age_ms + 999) / 1000);
	assert_int_equal(world.event_totals[DELIVERY_LEDGER_CUT_SHORT], events);
}

/* 128 slots: told with the first key that had to leave, and again when a minute is over. */
static void cut_short(void **state)
{
	const struct world_event *event;
	size_t first;

	open_ledger(LEDGER_BYTES_MIN, 3600000);
	world_init(&world, &(struct world_options){.ledger = &ledger, .concurrency = 1});
	assert_int_equal(world.delivery->metrics.ledger_window_s->value, 3600);
	world_add(&world, 40);
	world_start(&world);
	world_run_until_done(&world, 60 * S);
	assert_int_equal(ledger.cut_short, 0);
	assert_int_equal(world.event_totals[DELIVERY_LEDGER_CUT_SHORT], 0);
	assert_int_equal(world.delivery->metrics.ledger_window_s->value, 3600);
	world_add(&world, 200);
	world_run_until_done(&world, 60 * S);
	check_cut_short(1);
	event = world_event(&world, DELIVERY_LEDGER_CUT_SHORT, 0);
	assert_true(event->delay_ms > 0 && event->delay_ms < 10000);
	assert_int_equal(event->message, SIZE_MAX);
	/* Accepted, and told, within the minute; then after it. */
	first = world.queue.count;
	world_run_to(&world, event->at_us + 50 * S);
	world_add(&world, 200);
	world_run_to(&world, event->at_us + 60 * S - 1);
	assert_int_equal(world.queue.count, first + 200);
	check_cut_short(1);
	world_run_to(&world, event->at_us + 61 * S);
	world_add(&world, 200);
	world_run_until_done(&world, 130 * S);
	check_cut_short(2);
	assert_true(
		world_event(&world, DELIVERY_LEDGER_CUT_SHORT, 1)->at_us >= event->at_us + 60 * S);
	world_end(&world);
	close_ledger();
}

/* ---- deletes that may have come too late */

/*
 * The attempt outlasts the visibility, which cannot be extended: SQS says "deleted" to the old
 * handle, but the message has been handed out again (to this core, which finds it claimed). It is
 * counted as lost, and deleted without a send when it comes back.
 */
static void a_stale_delete(void **state)
{
	open_hour();
	world_init(&world,
		&(struct world_options){.ledger = &ledger, .concurrency = 2, .visibility_s = 6});
	fake_queue_fail(&world.queue,
		(struct fault){
			.op = OP_CHANGE, .times = 6, .err = ERR_UNAVAILABLE, .entry = WHOLE_CALL});
	fake_target_answer(&world.targets[0], 1, (struct answer){.latency_us = 6500 * MS});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 6400 * MS);
	assert_int_equal(world_stats(&world).received, 2);
	assert_int_equal(world_stats(&world).postponed, 1);
	world_run_to(&world, 6600 * MS);
	assert_int_equal(world_stats(&world).accepted, 1);
	assert_int_equal(fake_queue_call(&world.queue, OP_DELETE, 0)->at_us, 6552 * MS);
	assert_int_equal(fake_queue_call(&world.queue, OP_DELETE, 0)->results[0], 0);
	assert_int_equal(fake_queue_call(&world.queue, OP_DELETE, 0)->receipts[0], 1);
	assert_int_equal(world_stats(&world).deleted, 0);
	assert_int_equal(world_stats(&world).lost, 1);
	assert_string_equal(world_event(&world, DELIVERY_LOST, 0)->reason, "accepted");
	assert_false(world.queue.messages[0]->deleted);
	world_run_until_done(&world, 100 * S);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_int_equal(world_stats(&world).suppressed, 1);
	assert_int_equal(world_stats(&world).deleted, 1);
	assert_int_equal(world_stats(&world).lost, 1);
	world_end(&world);
	close_ledger();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(redelivered_to_the_same_core),
		cmocka_unit_test(redelivered_to_another_core),
		cmocka_unit_test(killed_at_every_step),
		cmocka_unit_test(written_before_anybody_is_told),
		cmocka_unit_test(put_back_for_as_long_as_the_claim_lasts),
		cmocka_unit_test(claimed_then_accepted),
		cmocka_unit_test(the_next_goes_on),
		cmocka_unit_test(put_back_until_its_deadline_at_most),
		cmocka_unit_test(taken_back_after_every_status),
		cmocka_unit_test(taken_back_after_every_error),
		cmocka_unit_test(taken_back_when_attempts_are_exhausted),
		cmocka_unit_test(kept_after_every_acceptance),
		cmocka_unit_test(not_claimed_while_it_waits_for_a_token),
		cmocka_unit_test(taken_back_when_a_drain_gives_it_up),
		cmocka_unit_test(sent_at_once_by_another_core),
		cmocka_unit_test(a_crash_leaves_the_claim),
		cmocka_unit_test(one_key_for_two_destinations),
		cmocka_unit_test(one_key_for_one_destination),
		cmocka_unit_test(the_window_ends),
		cmocka_unit_test(without_a_ledger),
		cmocka_unit_test(cut_short),
		cmocka_unit_test(a_stale_delete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
