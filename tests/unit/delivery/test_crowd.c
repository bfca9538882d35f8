/*
 * Receiving for what can be sent: nothing while nothing can, and for one destination whatever has
 * become of the other.
 */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct world world;
static char label[64];
static struct rate_cell cell;
static const char *const to_first[] = {"Destination", "String", "lane0", NULL};
static const char *const to_second[] = {"Destination", "String", "lane1", NULL};

/* What is wrong with the first lane. */
enum death { ALIVE, SILENT, REFUSING, FAILING, SLOW, THROTTLING, DEATHS };

static enum death death_of_first;

static void adjust(struct delivery_destination *destination, unsigned lane)
{
	if (lane > 0)
		return;
	destination->breaker_failures = death_of_first == FAILING ? 5 : 0;
	destination->adaptive = death_of_first == THROTTLING;
	if (death_of_first == SLOW)
		destination->rate = rate_make(&cell, 1, 60000, 1);
}

static void open_world(enum death death, const struct world_options *options)
{
	struct world_options full = *options;

	cell = (struct rate_cell){0};
	death_of_first = death;
	snprintf(label, sizeof(label), "death %d, %u slots", death, options->concurrency);
	full.adjust = adjust;
	full.label = label;
	world_init(&world, &full);
}

static size_t accepted_of(unsigned lane)
{
	size_t n = 0;

	for (size_t i = 0; i < world.targets[lane].log_count; i++)
		n += world.targets[lane].log[i].accepted;
	return n;
}

static const struct world_event *opened(size_t n)
{
	return world_event(&world, DELIVERY_BREAKER_OPENED, n);
}

/* While the only destination's breaker is open, not one receive leaves. */
static void no_receive_while_open(void **state)
{
	open_world(FAILING, &(struct world_options){.concurrency = 10, .receivers = 4});
	fake_target_answer(&world.targets[0], 20, (struct answer){.status = 500});
	world_add(&world, 50);
	world_start(&world);
	world_run_until_done(&world, 2000 * S);
	assert_true(world.event_totals[DELIVERY_BREAKER_OPENED] >= 2);
	for (size_t n = 0; n < world.event_totals[DELIVERY_BREAKER_OPENED]; n++) {
		uint64_t from_us = opened(n)->at_us;
		uint64_t until_us = from_us + (uint64_t)opened(n)->delay_ms * 1000;
		const struct call_record *call;

		for (size_t i = 0; (call = fake_queue_call(&world.queue, OP_RECEIVE, i)); i++)
			if (call->at_us > from_us && call->at_us < until_us)
				fail_msg("a receive at %llu", (unsigned long long)call->at_us);
	}
	world_end(&world);
}

static void no_receive_without_room(void **state)
{
	open_world(SILENT, &(struct world_options){.concurrency = 7, .receivers = 4});
	world.targets[0].otherwise.never = true;
	world_add(&world, 50);
	world_start(&world);
	world_run_to(&world, S);
	assert_int_equal(world.targets[0].out, 7);
	assert_int_equal(world_stats(&world).received, 7);
	assert_int_equal(world.queue.calls_out[OP_RECEIVE], 0);
	world_run_to(&world, 100 * S);
	assert_int_equal(world_stats(&world).received, 7);
	world_end(&world);
}

/* What a receive brought went back until that instant, as it was when it came. */
static void check_back_for(const struct call_record *receive, uint64_t until_us)
{
	uint64_t left_us = until_us - receive->answered_us;

	assert_int_equal(receive->got, 10);
	for (size_t i = 0; i < receive->got; i++)
		assert_int_equal(
			world_returned_for(&world, receive->messages[i], receive->receipts[i]),
			(left_us + S - 1) / S);
}

/*
 * One lane is open until 5.012 s; 401 messages for it arrive at 20 ms. A hundred of them in a row
 * come in vain, ten receives; the next hundred after 100 ms, and twice as long each time.
 */
static void the_scout_pauses(void **state)
{
	static const uint64_t starts_us[] = {21 * MS, 141 * MS, 361 * MS, 781 * MS};
	size_t first;

	open_world(ALIVE, &(struct world_options){.lanes = 2, .concurrency = 10, .receivers = 1});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 401});
	world_add_with(&world, to_first);
	world_start(&world);
	world_run_to(&world, 20 * MS);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_OPENED], 1);
	/* The poll that is out takes the first of them. */
	first = fake_queue_calls(&world.queue, OP_RECEIVE);
	for (int i = 0; i < 401; i++)
		world_add_with(&world, to_first);
	world_run_to(&world, 800 * MS);
	assert_int_equal(fake_queue_calls(&world.queue, OP_RECEIVE), first + 40);
	for (size_t i = 0; i < 40; i++)
		assert_int_equal(fake_queue_call(&world.queue, OP_RECEIVE, first + i)->at_us,
			starts_us[i / 10] + i % 10 * 2 * MS);
	for (size_t i = 0; i < 39; i++)
		check_back_for(fake_queue_call(&world.queue, OP_RECEIVE, first + i), 5012 * MS);
	world_run_to(&world, 5011 * MS);
	assert_int_equal(world_stats(&world).crowded, 401);
	world_end(&world);
}

static struct rate_cell turn_cell;

static void ten_a_second(struct delivery_destination *destination, unsigned lane)
{
	if (lane == 0)
		destination->rate = rate_make(&turn_cell, 10, 1000, 1);
}

/*
 * 1,000 for a lane of ten a second arrive at once. What finds no room comes back in its turn, ten a
 * second, behind what waits here; what is more than a minute behind, after half a minute at least.
 */
static void comes_back_in_its_turn(void **state)
{
	size_t back[61] = {0};

	turn_cell = (struct rate_cell){0};
	world_init(&world,
		&(struct world_options){.lanes = 2, .concurrency = 100, .adjust = ten_a_second});
	world.random_is_fixed = true;
	world.random_fixed = UINT64_MAX;
	for (int i = 0; i < 1000; i++)
		world_add_with(&world, to_first);
	world_start(&world);
	world_run_to(&world, 5 * S);
	for (size_t i = 0; i < world.queue.count; i++) {
		const struct fake_message *message = world.queue.messages[i];

		if (message->receive_count == 1 && message->receipts[0].return_issued)
			back[world_returned_for(&world, i, 1)]++;
	}
	assert_int_equal(back[0] + back[1], 0);
	for (size_t i = 2; i < 58; i++)
		assert_in_range(back[i], 5, 20);
	assert_true(back[60] > 100);
	world_end(&world);
}

static void open_two(enum death death, unsigned concurrency)
{
	static const int statuses[DEATHS] = {[REFUSING] = 401, [FAILING] = 500, [THROTTLING] = 429};

	open_world(death, &(struct world_options){.lanes = 2,
				  .concurrency = concurrency,
				  .receivers = 8,
				  .max_attempts = 1000,
				  .visibility_s = 60});
	world.queue.there_us = world.queue.back_us = 2 * MS;
	world.targets[1].latency_us = 100 * MS;
	world.targets[0].otherwise =
		(struct answer){.never = death == SILENT, .status = statuses[death]};
}

/*
 * What the second lane gets through in five seconds, with more in the queue than that; every other
 * message is for the first, unless it is alive.
 */
static size_t throughput(enum death death, unsigned concurrency)
{
	size_t accepted;

	open_two(death, concurrency);
	for (size_t i = 0; i < 60 * concurrency; i++) {
		if (death != ALIVE)
			world_add_with(&world, to_first);
		world_add_with(&world, to_second);
	}
	world_start(&world);
	world_run_to(&world, 5 * S);
	accepted = accepted_of(1);
	/* Those of the dead one came once or twice, not over and over. */
	if (death != ALIVE)
		assert_true(world_stats(&world).crowded <= 2 * 60 * concurrency);
	world_end(&world);
	return accepted;
}

static const unsigned concurrencies[] = {10, 20, 100};

/* At least nine tenths of what it gets through alone. */
static void a_neighbour_of_a_dead_lane(void **state)
{
	for (size_t i = 0; i < 3; i++) {
		size_t alone = throughput(ALIVE, concurrencies[i]);

		for (enum death death = SILENT; death < DEATHS; death++) {
			size_t accepted = throughput(death, concurrencies[i]);

			if (10 * accepted < 9 * alone)
				fail_msg("death %d, %u slots: %zu instead of %zu", death,
					concurrencies[i], accepted, alone);
		}
	}
}

/* A destination that nothing comes for takes nothing from the other either. */
static void an_idle_neighbour(void **state)
{
	for (size_t i = 0; i < 3; i++) {
		size_t accepted = throughput(ALIVE, concurrencies[i]), alone;

		open_world(ALIVE, &(struct world_options){.concurrency = concurrencies[i],
					  .receivers = 8,
					  .visibility_s = 60});
		world.queue.there_us = world.queue.back_us = 2 * MS;
		world.targets[0].latency_us = 100 * MS;
		world_add(&world, 60 * concurrencies[i]);
		world_start(&world);
		world_run_to(&world, 5 * S);
		alone = accepted_of(0);
		world_end(&world);
		/* What is put back for want of room is hidden for a second: that costs a little. */
		if (10 * accepted < 8 * alone)
			fail_msg("%u slots: %zu instead of %zu", concurrencies[i], accepted, alone);
	}
}

/* A backlog of 500 for the first; then 100 a second for the second, for 30 s. */
static void a_neighbour_of_a_dead_backlog(void **state)
{
	for (enum death death = SILENT; death < DEATHS; death++) {
		size_t accepted;

		open_two(death, 20);
		for (int i = 0; i < 500; i++)
			world_add_with(&world, to_first);
		world_start(&world);
		for (uint64_t i = 0; i < 3000; i++) {
			world_run_to(&world, 10 * S + i * 10 * MS);
			world_add_with(&world, to_second);
		}
		world_run_to(&world, 40 * S + 100 * MS);
		accepted = accepted_of(1);
		if (accepted < 2700)
			fail_msg("death %d: %zu of 3000", death, accepted);
		/* 40 s: each of them comes back every few seconds at most. */
		assert_true(world_stats(&world).crowded <= 500 * 10);
		world_end(&world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_receive_while_open),
		cmocka_unit_test(no_receive_without_room),
		cmocka_unit_test(the_scout_pauses),
		cmocka_unit_test(comes_back_in_its_turn),
		cmocka_unit_test(a_neighbour_of_a_dead_lane),
		cmocka_unit_test(an_idle_neighbour),
		cmocka_unit_test(a_neighbour_of_a_dead_backlog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
