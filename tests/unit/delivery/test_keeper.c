/* Visibility: extended ahead of its expiry, in batches; what cannot be kept is not sent. */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct world world;

static const struct call_record *extension(size_t n)
{
	const struct call_record *call = fake_queue_extension(&world.queue, n);

	if (!call)
		fail_msg("no extension %zu", n);
	return call;
}

/* Asked for at 0, for 30 s: a third ahead, at 20 s, and 50 ms for others to join. */
static void extends_a_third_ahead(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 10, .visibility_s = 30});
	world.targets[0].otherwise.latency_us = 65 * S;
	world_add(&world, 4);
	world_start(&world);
	world_run_until_done(&world, 70 * S);
	assert_int_equal(fake_queue_extensions(&world.queue), 3);
	assert_int_equal(extension(0)->at_us, 20 * S + 50 * MS);
	assert_int_equal(extension(0)->count, 4);
	assert_int_equal(extension(0)->visibility_s[0], 30);
	/* Counted from the call, each time. */
	assert_int_equal(extension(1)->at_us, 40 * S + 100 * MS);
	assert_int_equal(extension(2)->at_us, 60 * S + 150 * MS);
	assert_int_equal(world_stats(&world).extended, 12);
	assert_int_equal(world_stats(&world).lost, 0);
	assert_int_equal(world.targets[0].log_count, 4);
	world_end(&world);
}

static void short_visibilities(void **state)
{
	for (unsigned s = 1; s <= 10; s++) {
		world_init(&world, &(struct world_options){.concurrency = 10, .visibility_s = s});
		world.targets[0].otherwise.latency_us = 35 * S;
		world_add(&world, 10);
		world_start(&world);
		world_run_until_done(&world, 60 * S);
		assert_int_equal(world_stats(&world).lost, 0);
		assert_int_equal(world.targets[0].log_count, 10);
		world_end(&world);
	}
}

/* Full tens go at once; what waits for a slot is kept as well as what is in flight. */
static void extends_in_batches(void **state)
{
	static const char *const to_second[] = {"Destination", "String", "lane1", NULL};

	world_init(&world,
		&(struct world_options){.lanes = 2, .lane_concurrency = {1, 19}, .receivers = 2});
	world.targets[1].otherwise.latency_us = 25 * S;
	for (int i = 0; i < 15; i++)
		world_add_with(&world, to_second);
	world_start(&world);
	world_run_to(&world, 21 * S);
	assert_int_equal(delivery_held(world.delivery), 15);
	assert_int_equal(fake_queue_extensions(&world.queue), 2);
	assert_int_equal(extension(0)->at_us, 20 * S);
	assert_int_equal(extension(0)->count, 10);
	assert_int_equal(extension(1)->at_us, 20 * S + 52 * MS);
	assert_int_equal(extension(1)->count, 5);
	world_run_until_done(&world, 400 * S);
	assert_int_equal(world_stats(&world).lost, 0);
	assert_int_equal(world_stats(&world).received, 15);
	world_end(&world);
}

/* A transient failure is tried again a twelfth of the visibility later, and again. */
static void a_transient_failure(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 1, .visibility_s = 30});
	world.targets[0].otherwise.latency_us = 40 * S;
	fake_queue_fail(&world.queue,
		(struct fault){
			.op = OP_CHANGE, .times = 2, .err = ERR_UNAVAILABLE, .entry = WHOLE_CALL});
	world_add(&world, 1);
	world_start(&world);
	world_run_until_done(&world, 60 * S);
	assert_int_equal(fake_queue_extensions(&world.queue), 3);
	assert_int_equal(extension(0)->at_us, 20 * S + 50 * MS);
	assert_int_equal(extension(1)->at_us, 22 * S + 602 * MS);
	assert_int_equal(extension(2)->at_us, 25 * S + 154 * MS);
	assert_int_equal(world_stats(&world).extended, 1);
	assert_int_equal(world_stats(&world).lost, 0);
	assert_int_equal(world.targets[0].log_count, 1);
	world_end(&world);
}

static void one_entry_of_an_extension_fails(void **state)
{
	for (int k = 0; k < 10; k++) {
		world_init(&world, &(struct world_options){.concurrency = 10});
		world.targets[0].otherwise.latency_us = 35 * S;
		fake_queue_fail(&world.queue,
			(struct fault){.op = OP_CHANGE, .err = ERR_THROTTLED, .entry = k});
		world_add(&world, 10);
		world_start(&world);
		world_run_until_done(&world, 60 * S);
		assert_int_equal(extension(1)->count, 1);
		assert_int_equal(extension(1)->messages[0], extension(0)->messages[k]);
		assert_int_equal(world_stats(&world).lost, 0);
		world_end(&world);
	}
}

/*
 * Never extended: what is in flight may still be accepted, what waits is lost when its time is up
 * and not sent by us after that.
 */
static void extensions_that_never_work(void **state)
{
	static const char *const to_second[] = {"Destination", "String", "lane1", NULL};

	world_init(&world,
		&(struct world_options){.lanes = 2, .lane_concurrency = {9, 1}, .visibility_s = 6});
	world.targets[1].otherwise.latency_us = 7 * S;
	fake_queue_fail(&world.queue, (struct fault){.op = OP_CHANGE,
					      .times = 1000,
					      .err = ERR_UNAVAILABLE,
					      .entry = WHOLE_CALL});
	world_add_with(&world, to_second);
	world_add_with(&world, to_second);
	world_start(&world);
	world_run_to(&world, 6 * S - 1);
	assert_int_equal(world_stats(&world).lost, 0);
	world_run_to(&world, 6 * S);
	assert_int_equal(world_stats(&world).lost, 1);
	assert_string_equal(world_event(&world, DELIVERY_LOST, 0)->reason, "received");
	/* The first attempt goes on past its visibility; its acceptance is not thrown away. */
	assert_int_equal(world.targets[1].log_count, 1);
	world.queue.faults[0].times = 0;
	world_run_until_done(&world, 100 * S);
	assert_true(world.targets[1].log[0].accepted);
	assert_int_equal(fake_queue_call(&world.queue, OP_DELETE, 0)->messages[0], 0);
	world_end(&world);
}

static void refuse_message_1(
	struct fake_queue *queue, const struct call_record *call, struct call_plan *plan)
{
	for (size_t i = 0; call->is_extension && i < call->count; i++)
		if (call->messages[i] == 1)
			plan->entry_err[i] = ERR_RECEIPT_INVALID;
}

static void an_invalid_receipt_ends_what_waits(void **state)
{
	static const char *const to_second[] = {"Destination", "String", "lane1", NULL};

	world_init(&world,
		&(struct world_options){.lanes = 2, .lane_concurrency = {9, 1}, .visibility_s = 6});
	world.targets[1].otherwise.latency_us = 5 * S;
	world.queue.plan = refuse_message_1;
	world_add_with(&world, to_second);
	world_add_with(&world, to_second);
	world_start(&world);
	/* Half the visibility ahead: how long calls take is not known yet. */
	world_run_to(&world, 3 * S + 52 * MS);
	/* Not sent at 5 s, when the slot frees: somebody else may have it. */
	assert_int_equal(world_stats(&world).lost, 1);
	assert_int_equal(world_event(&world, DELIVERY_LOST, 0)->at_us, 3 * S + 52 * MS);
	assert_int_equal(world_event(&world, DELIVERY_LOST, 0)->message, 1);
	world_run_to(&world, 5500 * MS);
	assert_int_equal(world.targets[1].log_count, 1);
	world_run_until_done(&world, 60 * S);
	world_end(&world);
}

/* One whose receipt is invalid in flight: the answer decides, but it is not put back by us. */
static void an_invalid_receipt_in_flight(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 1, .visibility_s = 6});
	fake_target_answer(
		&world.targets[0], 1, (struct answer){.status = 500, .latency_us = 5 * S});
	fake_queue_fail(&world.queue,
		(struct fault){.op = OP_CHANGE, .err = ERR_RECEIPT_INVALID, .entry = 0});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 5500 * MS);
	assert_int_equal(world_stats(&world).lost, 1);
	assert_int_equal(fake_queue_calls(&world.queue, OP_CHANGE), 0);
	world_run_until_done(&world, 60 * S);
	world_end(&world);
}

/*
 * The attempt fails while its extension is out, at every instant of the call: the back-off comes
 * after the answer (the queue's own checks fail the test otherwise) and decides.
 */
static void a_back_off_waits_for_the_extension(void **state)
{
	for (uint64_t at_ms = 19500; at_ms <= 20100; at_ms += 5) {
		world_init(&world, &(struct world_options){.concurrency = 1});
		world.queue.there_us = 200 * MS;
		world.queue.back_us = 200 * MS;
		fake_target_answer(&world.targets[0], 1,
			(struct answer){
				.status = 503, .retry_after_ms = 3000, .latency_us = at_ms * MS});
		world_add(&world, 1);
		world_start(&world);
		world_run_to(&world, 23 * S);
		assert_int_equal(world_stats(&world).returned, 1);
		assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 0)->visibility_s[0], 3);
		/* The call is out from 20.05 to 20.45 s: the attempt started at 0.4 s. */
		assert_int_equal(fake_queue_extensions(&world.queue), at_ms > 19650 ? 1 : 0);
		assert_int_equal(world.queue.messages[0]->visible_us,
			fake_queue_call(&world.queue, OP_CHANGE, 0)->handled_us + 3 * S);
		world_end(&world);
	}
}

/* Accepted while its extension waits for company: that is never sent. While it is out: both are. */
static void an_acceptance_ends_the_extension(void **state)
{
	for (uint64_t at_ms = 19700; at_ms <= 20300; at_ms += 5) {
		world_init(&world, &(struct world_options){.concurrency = 1});
		world.queue.there_us = world.queue.back_us = 100 * MS;
		fake_target_answer(&world.targets[0], 1, (struct answer){.latency_us = at_ms * MS});
		world_add(&world, 1);
		world_start(&world);
		world_run_until_done(&world, 23 * S);
		assert_int_equal(fake_queue_extensions(&world.queue), at_ms > 19850 ? 1 : 0);
		assert_int_equal(fake_queue_calls(&world.queue, OP_DELETE), 1);
		world_end(&world);
	}
}

/* An extension that is never answered holds up the back-off until the visibility is gone. */
static void an_extension_that_hangs(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 1, .visibility_s = 30});
	fake_target_answer(
		&world.targets[0], 1, (struct answer){.status = 500, .latency_us = 21 * S});
	fake_queue_fail(
		&world.queue, (struct fault){.op = OP_CHANGE, .entry = WHOLE_CALL, .hangs = true});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 30 * S + 2 * MS);
	assert_int_equal(world_stats(&world).lost, 1);
	world_run_until_done(&world, 60 * S);
	world_end(&world);
}

/*
 * Twelve hours from the receive nothing can be extended any more, and it is not tried over and
 * over: one extension each 2/3 of the visibility, and a last one up to the limit.
 */
static void twelve_hours(void **state)
{
	static const unsigned visibilities_s[] = {30, 600, 43200, 40000, 30000};
	static const size_t most[] = {2200, 120, 2, 2, 3};

	for (size_t i = 0; i < 5; i++) {
		size_t extensions;

		world_init(&world, &(struct world_options){
					   .concurrency = 1, .visibility_s = visibilities_s[i]});
		fake_target_answer(&world.targets[0], 1, (struct answer){.never = true});
		world_add(&world, 1);
		world_start(&world);
		world_run_to(&world, 43200 * S);
		extensions = fake_queue_extensions(&world.queue);
		assert_in_range(extensions, 0, most[i]);
		for (size_t n = 0; n < extensions; n++)
			assert_int_equal(extension(n)->results[0], 0);
		/* Held to within the slack of the limit. */
		assert_true(world.queue.messages[0]->visible_us > 43200 * S - 20 * S);
		world_run_to(&world, 43300 * S);
		assert_int_equal(fake_queue_extensions(&world.queue), extensions);
		world_end(&world);
	}
}

/* What an attempt may start with: a second of visibility, or a tenth of a short one. */
static void no_attempt_near_the_expiry(void **state)
{
	static const char *const to_second[] = {"Destination", "String", "lane1", NULL};

	for (uint64_t ms = 8900; ms <= 9100; ms += 10) {
		world_init(&world,
			&(struct world_options){
				.lanes = 2, .lane_concurrency = {9, 1}, .visibility_s = 10});
		/* The extender is of no help, and the slot frees at this instant. */
		fake_queue_fail(&world.queue, (struct fault){.op = OP_CHANGE,
						      .times = 100,
						      .err = ERR_UNAVAILABLE,
						      .entry = WHOLE_CALL});
		fake_target_answer(&world.targets[1], 1, (struct answer){.latency_us = ms * MS});
		world_add_with(&world, to_second);
		world_add_with(&world, to_second);
		world_start(&world);
		world_run_to(&world, 9200 * MS);
		assert_int_equal(world.targets[1].log_count, ms < 9000 ? 2 : 1);
		assert_int_equal(world_stats(&world).lost, ms < 9000 ? 0 : 1);
		world_end(&world);
	}
}

/*
 * How far ahead: the linger and four calls as slow as they get here, a third of the visibility at
 * least, half of it at most. Asked for at 0, for 30 s.
 */
static void the_margin_follows_the_latency(void **state)
{
	static const struct {
		struct latency latency;
		uint64_t margin_us;
	} rows[] = {
		{{0, 0}, 10 * S},	  /* unknown: 1 s, 4.05 s in all */
		{{1, 0}, 10 * S},	  /* 10 ms at least */
		{{2400 * MS, 0}, 10 * S}, /* 9.65 s */
		{{2487500, 0}, 10 * S},	  /* 10 s sharp */
		{{2487750, 0}, 10001 * MS},
		{{3 * S, 0}, 12050 * MS},
		{{S, 500 * MS}, 12050 * MS}, /* mean and four deviations */
		{{3737250, 0}, 14999 * MS},
		{{3737500, 0}, 15 * S},
		{{5 * S, 0}, 15 * S},
		{{3600 * S, 3600 * S}, 15 * S},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world_init(&world, &(struct world_options){.concurrency = 1});
		world.delivery->latency = rows[i].latency;
		fake_target_answer(&world.targets[0], 1, (struct answer){.never = true});
		world_add(&world, 1);
		world_start(&world);
		world_run_to(&world, 21 * S);
		assert_int_equal(extension(0)->at_us, 30 * S - rows[i].margin_us + CORE_LINGER_US);
		world_end(&world);
	}
}

/* Measured at its own calls: slow ones make it begin earlier. */
static void the_margin_learns(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 1});
	world.queue.there_us = world.queue.back_us = 1500 * MS;
	fake_target_answer(&world.targets[0], 1, (struct answer){.never = true});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 1500 * S);
	/* Asked for at 0; nothing is known before the first, so a third ahead of what is left. */
	assert_int_equal(world.queue.messages[0]->received_us, 1500 * MS);
	/* Answered after 3 s, of which 1 s is what calls take at most, as far as is known. */
	assert_int_equal(extension(0)->at_us, 32 * S - 10 * S + CORE_LINGER_US);
	/* 3 s and four times 1.5 s: half of the visibility, from the call on. */
	assert_int_equal(extension(1)->at_us, extension(0)->at_us + 15 * S + CORE_LINGER_US);
	/* The same time after time: in the end 3 s each, 12.05 s ahead. */
	assert_int_equal(extension(70)->at_us - extension(69)->at_us, 18 * S);
	assert_int_equal(world_stats(&world).lost, 0);
	world_end(&world);
}

/* The instant at which it is visible again is never later than the queue's own. */
static void when_it_is_visible_again(void **state)
{
	static const struct {
		uint64_t answer_us, mean_us, expected_us; /* the last: of the answer, taken off */
	} rows[] = {
		{0, 0, 0},
		{2 * MS, 0, 2 * MS},
		{S, 0, S},
		{S + 1, 0, S}, /* it waited for messages: a call takes a second */
		{20 * S, 0, S},
		{5 * MS, 1, 5 * MS},
		{10 * MS, 1, 10 * MS},
		{11 * MS, 1, 10 * MS},
		{20 * S, 1, 10 * MS},
		{20 * S, 300 * MS, 300 * MS},
		{200 * MS, 300 * MS, 200 * MS},
		{7500 * MS, 10 * S, 7500 * MS}, /* a quarter at most, or nothing is left */
		{7501 * MS, 10 * S, 7500 * MS},
		{20 * S, 10 * S, 7500 * MS},
	};

	world_init(&world, &(struct world_options){.visibility_s = 30});
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world.delivery->latency = (struct latency){rows[i].mean_us, 0};
		assert_int_equal(
			keeper_visible_us(world.delivery, 1000 * S, 1000 * S + rows[i].answer_us),
			1000 * S + rows[i].answer_us + 30 * S - rows[i].expected_us);
	}
	world.delivery->latency = (struct latency){0};
	world_end(&world);
}

static uint64_t answer_us; /* on the way back of a receive */

static void slow_receives_no_extensions(
	struct fake_queue *queue, const struct call_record *call, struct call_plan *plan)
{
	if (call->op == OP_RECEIVE)
		plan->back_us = answer_us;
	if (call->is_extension)
		plan->err = ERR_UNAVAILABLE;
}

/*
 * The slot frees at each instant around the end of a visibility that cannot be extended, after
 * receives of each slowness that is allowed for: what is started is still ours (the fake target
 * looks at the queue's own clock), and what could be started well within it was.
 */
static void no_attempt_past_the_visibility(void **state)
{
	static const char *const to_second[] = {"Destination", "String", "lane1", NULL};
	static const uint64_t answers_us[] = {
		0, MS, 10 * MS, 100 * MS, 500 * MS, 900 * MS, 999 * MS};

	for (size_t i = 0; i < sizeof(answers_us) / sizeof(answers_us[0]); i++) {
		for (uint64_t ms = 2500; ms <= 4500; ms += 20) {
			uint64_t visible_us = 4 * S + MS; /* in the queue */
			uint64_t start_us = MS + answers_us[i] + ms * MS;

			answer_us = answers_us[i];
			world_init(&world,
				&(struct world_options){
					.lanes = 2, .lane_concurrency = {9, 1}, .visibility_s = 4});
			world.queue.plan = slow_receives_no_extensions;
			fake_target_answer(
				&world.targets[1], 1, (struct answer){.latency_us = ms * MS});
			world_add_with(&world, to_second);
			world_add_with(&world, to_second);
			world_start(&world);
			world_run_to(&world, 4 * S);
			/* A tenth of it is left, and as much as the answer may have taken. */
			if (start_us + 400 * MS + MS < visible_us)
				assert_int_equal(world.targets[1].log_count, 2);
			world_end(&world);
		}
	}
}

/*
 * A receive that took longer than it was told to wait: the rest of the time the answer was on its
 * way, and the visibility ran. What came is no longer ours, and is not sent.
 */
static void a_receive_that_is_answered_late(void **state)
{
	world_init(
		&world, &(struct world_options){.concurrency = 5, .visibility_s = 4, .wait_s = 2});
	world.queue.plan = slow_receives_no_extensions;
	answer_us = 7 * S;
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 8 * S);
	assert_int_equal(world.targets[0].log_count, 0);
	answer_us = MS;
	world_run_until_done(&world, 60 * S);
	assert_int_equal(world_stats(&world).accepted, 1);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extends_a_third_ahead),
		cmocka_unit_test(short_visibilities),
		cmocka_unit_test(extends_in_batches),
		cmocka_unit_test(a_transient_failure),
		cmocka_unit_test(one_entry_of_an_extension_fails),
		cmocka_unit_test(extensions_that_never_work),
		cmocka_unit_test(an_invalid_receipt_ends_what_waits),
		cmocka_unit_test(an_invalid_receipt_in_flight),
		cmocka_unit_test(a_back_off_waits_for_the_extension),
		cmocka_unit_test(an_acceptance_ends_the_extension),
		cmocka_unit_test(an_extension_that_hangs),
		cmocka_unit_test(twelve_hours),
		cmocka_unit_test(no_attempt_near_the_expiry),
		cmocka_unit_test(the_margin_follows_the_latency),
		cmocka_unit_test(the_margin_learns),
		cmocka_unit_test(when_it_is_visible_again),
		cmocka_unit_test(no_attempt_past_the_visibility),
		cmocka_unit_test(a_receive_that_is_answered_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
