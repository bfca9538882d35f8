/*
 * Adaptive concurrency: each rule by itself, to the exact value; then closed loops against models
 * of providers, whose goodput is compared with the best that there is.
 */
#include "closed_loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS UINT64_C(1000)
#define S UINT64_C(1000000)

/* In thousandths, to compare exactly. */
static int limit_of(const struct limiter *limiter)
{
	return (int)(limiter->limit * 1000 + 0.5);
}

/*
 * Windows of 100 ms in which all slots are used, and so many answers of each kind arrive at the
 * end, after latency_us each.
 */
struct player {
	struct limiter limiter;
	uint64_t now_us;
};

static void play_init(struct player *player, unsigned ceiling)
{
	limiter_init(&player->limiter, ceiling, true);
	player->now_us = 100 * S;
}

static void play(struct player *player, uint64_t window_us, unsigned answers, uint64_t latency_us,
	enum limiter_signal signal)
{
	limiter_started(&player->limiter, player->now_us, (unsigned)player->limiter.limit);
	for (unsigned i = 1; i < answers; i++)
		limiter_ended(
			&player->limiter, player->now_us, player->now_us - latency_us, signal);
	player->now_us += window_us;
	if (answers > 0)
		limiter_ended(
			&player->limiter, player->now_us, player->now_us - latency_us, signal);
}

static void not_adaptive_is_the_ceiling(void **state)
{
	struct limiter limiter, before;

	limiter_init(&limiter, 500, false);
	before = limiter;
	assert_int_equal(limiter_allows(&limiter, 0), 500);
	for (uint64_t i = 1; i < 1000; i++) {
		limiter_started(&limiter, i * MS, 500);
		assert_false(limiter_ended(&limiter, i * MS, i, LIMITER_CROWDED));
	}
	limiter_restart(&limiter);
	assert_memory_equal(&limiter, &before, sizeof(limiter));
	assert_int_equal(limiter_wait_us(&limiter, S), 0);
}

static void begins_gently(void **state)
{
	static const struct {
		unsigned ceiling, first, again;
	} rows[] = {{1, 1, 1}, {2, 2, 1}, {15, 15, 1}, {16, 16, 1}, {17, 16, 1}, {5000, 16, 1}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct limiter limiter;

		limiter_init(&limiter, rows[i].ceiling, true);
		assert_int_equal(limiter_allows(&limiter, 0), rows[i].first);
		limiter_restart(&limiter);
		assert_int_equal(limiter_allows(&limiter, 0), rows[i].again);
		assert_int_equal(limiter_wait_us(&limiter, 0), 0);
	}
}

/* As many answers as there are slots are a round trip, however short. */
static void slow_start_doubles_once_a_round_trip(void **state)
{
	static const unsigned limits[] = {16, 64, 128, 256, 500, 500};
	struct player player;

	play_init(&player, 500);
	for (size_t i = 0; i + 1 < sizeof(limits) / sizeof(limits[0]); i++) {
		play(&player, 0, limits[i] - 1, 20 * MS, LIMITER_OK);
		assert_int_equal(limit_of(&player.limiter), limits[i] * 1000);
		player.now_us += 20 * MS;
		limiter_ended(&player.limiter, player.now_us, player.now_us - 20 * MS, LIMITER_OK);
		assert_int_equal(limit_of(&player.limiter), limits[i + 1] * 1000);
	}
	assert_true(player.now_us <= 100 * S + 100 * MS);
}

/* After a restart, from one, a window is 100 ms and ten answers until the limit is 16. */
static void a_restart_doubles_once_a_window(void **state)
{
	static const unsigned limits[] = {1, 2, 4, 8, 16, 64};
	struct player player;

	play_init(&player, 500);
	limiter_restart(&player.limiter);
	for (size_t i = 0; i + 1 < sizeof(limits) / sizeof(limits[0]); i++) {
		play(&player, 99999, 15, 20 * MS, LIMITER_OK);
		assert_int_equal(limit_of(&player.limiter), limits[i] * 1000);
		player.now_us++;
		limiter_ended(&player.limiter, player.now_us, player.now_us - 20 * MS, LIMITER_OK);
		assert_int_equal(limit_of(&player.limiter), limits[i + 1] * 1000);
	}
}

/* A round trip in which the provider has become slower, or has rejected some, leads to no more. */
static void slow_start_ends_with_the_first_trouble(void **state)
{
	struct player player;

	play_init(&player, 500);
	play(&player, 20 * MS, 16, 20 * MS, LIMITER_OK);
	play(&player, 20 * MS, 64, 20 * MS, LIMITER_OK);
	assert_int_equal(limit_of(&player.limiter), 128000);
	play(&player, 50 * MS, 128, 50 * MS, LIMITER_OK);
	assert_int_equal(limit_of(&player.limiter), 128000 * 7 / 10);

	play_init(&player, 500);
	play(&player, 20 * MS, 16, 20 * MS, LIMITER_OK);
	play(&player, 20 * MS, 60, 20 * MS, LIMITER_OK);
	play(&player, 20 * MS, 3, 20 * MS, LIMITER_CROWDED);
	assert_in_range(limit_of(&player.limiter), 40000, 60000);
	assert_false(player.limiter.slow_start);
}

static void a_limit_that_is_not_used_does_not_grow(void **state)
{
	struct player player;

	play_init(&player, 100);
	for (int i = 0; i < 100; i++) {
		limiter_started(&player.limiter, player.now_us, 14);
		play(&player, 0, 0, 0, LIMITER_OK);
		player.limiter.window.peak = 14;
		player.now_us += 101 * MS;
		for (int k = 0; k < 40; k++)
			limiter_ended(&player.limiter, player.now_us, player.now_us - 20 * MS,
				LIMITER_OK);
	}
	assert_int_equal(limit_of(&player.limiter), 16000);
}

/* One in 33 is tolerated, three in a row are not. */
static void stray_rejections_are_tolerated(void **state)
{
	struct player player;

	play_init(&player, 16);
	for (int i = 0; i < 100; i++) {
		play(&player, 110 * MS, 33, 20 * MS, LIMITER_OK);
		play(&player, 110 * MS, 1, 20 * MS, LIMITER_CROWDED);
		assert_int_equal(limit_of(&player.limiter), 16000);
	}
	for (int i = 0; i < 3; i++)
		play(&player, 0, 33, 20 * MS, LIMITER_OK);
	play(&player, 0, 2, 20 * MS, LIMITER_CROWDED);
	assert_int_equal(limit_of(&player.limiter), 16000);
	assert_true(limiter_ended(
		&player.limiter, player.now_us, player.now_us - 20 * MS, LIMITER_CROWDED));
	/*
	 * Three and a little of the stray one before are 3.6 % of what a second brings; a tenth
	 * less than the rest of 16.
	 */
	assert_int_equal(limit_of(&player.limiter), 13880);
}

static void a_decrease_is_once_a_round_trip(void **state)
{
	struct player player;
	uint64_t cut_us;

	play_init(&player, 16);
	play(&player, 110 * MS, 40, 20 * MS, LIMITER_OK);
	play(&player, 110 * MS, 3, 20 * MS, LIMITER_CROWDED);
	cut_us = player.now_us;
	/* Three of the 400 that a second brings. */
	assert_int_equal(limit_of(&player.limiter), 14292);
	/* Begun before it: nothing new, however many and late. */
	for (uint64_t i = 1; i < 1000; i++)
		assert_false(limiter_ended(
			&player.limiter, cut_us + i * 10 * MS, cut_us - 1, LIMITER_CROWDED));
	assert_int_equal(limit_of(&player.limiter), 14292);
	/* Begun after it, but all within 100 ms of it. */
	limiter_started(&player.limiter, cut_us, 12);
	for (int i = 0; i < 100; i++)
		assert_false(limiter_ended(
			&player.limiter, cut_us + 100 * MS - 1, cut_us, LIMITER_CROWDED));
	assert_true(limiter_ended(&player.limiter, cut_us + 100 * MS, cut_us, LIMITER_CROWDED));
	/* 23 % of a second's answers are crowded by now; from the 12 that were out. */
	assert_int_equal(limit_of(&player.limiter), 8325);
}

static void ignored_ends_change_nothing(void **state)
{
	struct player player;
	struct limiter before;

	play_init(&player, 100);
	play(&player, 50 * MS, 40, 20 * MS, LIMITER_OK);
	before = player.limiter;
	for (uint64_t i = 0; i < 10000; i++)
		assert_false(limiter_ended(
			&player.limiter, player.now_us + i * MS, player.now_us, LIMITER_IGNORE));
	assert_memory_equal(&player.limiter, &before, sizeof(before));
}

/* After the first trouble: a quarter of the way to the knee each window, then away from it. */
static void approaches_the_knee_and_leaves_it(void **state)
{
	static const int limits[] = {61750, 63813, 65359, 66667, 68000, 69360, 70747, 72162, 73605,
		75077, 76770, 79026, 82035, 86047, 91396};
	struct player player;

	play_init(&player, 1000);
	player.limiter.slow_start = false;
	player.limiter.limit = 59.0;
	player.limiter.knee = 70.0;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		play(&player, 101 * MS, 200, 30 * MS, LIMITER_OK);
		assert_int_equal(limit_of(&player.limiter), limits[i]);
	}
}

static void below_one_the_next_waits(void **state)
{
	struct limiter limiter;
	uint64_t now_us = 100 * S;

	limiter_init(&limiter, 100, true);
	limiter.slow_start = false;
	limiter.limit = 0.25;
	limiter.trip_us = 30000;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(limiter_allows(&limiter, now_us), 1);
		assert_int_equal(limiter_wait_us(&limiter, now_us), 0);
		limiter_started(&limiter, now_us, 1);
		assert_int_equal(limiter_wait_us(&limiter, now_us), 120 * MS);
		assert_int_equal(limiter_allows(&limiter, now_us + 120 * MS - 1), 0);
		assert_int_equal(limiter_wait_us(&limiter, now_us + 120 * MS - 1), 1);
		now_us += 120 * MS;
	}
	/* One that took longer: the next waits for four times as long, from its start. */
	limiter_started(&limiter, now_us, 1);
	limiter_ended(&limiter, now_us + 100 * MS, now_us, LIMITER_OK);
	assert_int_equal(limiter_wait_us(&limiter, now_us + 100 * MS), 300 * MS);
	/* A local failure was a start too. */
	now_us += 400 * MS;
	limiter_started(&limiter, now_us, 1);
	limiter_ended(&limiter, now_us + 1, now_us, LIMITER_IGNORE);
	assert_int_equal(limiter_wait_us(&limiter, now_us), 120 * MS);
	/* A time-out does not silence it. */
	now_us += 400 * MS;
	limiter_started(&limiter, now_us, 1);
	limiter_ended(&limiter, now_us + 60 * S, now_us, LIMITER_CROWDED);
	assert_int_equal(limiter_allows(&limiter, now_us + 60 * S), 1);
}

static void fractions_count_up_to_ten(void **state)
{
	struct limiter limiter;

	limiter_init(&limiter, 100, true);
	limiter.trip_us = 30000;
	limiter.limit = 2.5;
	assert_int_equal(limiter_allows(&limiter, S), 3);
	limiter_started(&limiter, S, 1);
	limiter_started(&limiter, S, 2);
	assert_int_equal(limiter_wait_us(&limiter, S), 0);
	limiter_started(&limiter, S, 3);
	/* The third is out for 30 ms of every 60. */
	assert_int_equal(limiter_allows(&limiter, S), 2);
	assert_int_equal(limiter_wait_us(&limiter, S), 60 * MS);
	assert_int_equal(limiter_allows(&limiter, S + 60 * MS), 3);
	limiter.limit = 10.5;
	assert_int_equal(limiter_allows(&limiter, S), 10);
	assert_int_equal(limiter_wait_us(&limiter, S), 0);
}

/* A rejection after 1 ms, where an answer takes 50: its slot is free after 50 to 100 ms. */
static void rejected_slots_are_held(void **state)
{
	struct player player;
	struct limiter *limiter = &player.limiter;
	uint64_t now_us;

	play_init(&player, 16);
	play(&player, 110 * MS, 40, 50 * MS, LIMITER_OK);
	now_us = player.now_us;
	limiter_ended(limiter, now_us, now_us - MS, LIMITER_CROWDED);
	assert_int_equal(limiter_allows(limiter, now_us), 15);
	assert_int_equal(limiter_wait_us(limiter, now_us), 50 * MS);
	limiter_ended(limiter, now_us + 40 * MS, now_us + 39 * MS, LIMITER_CROWDED);
	assert_int_equal(limiter_allows(limiter, now_us + 40 * MS), 14);
	assert_int_equal(limiter_wait_us(limiter, now_us + 40 * MS), 10 * MS);
	assert_int_equal(limiter_allows(limiter, now_us + 50 * MS), 14);
	assert_int_equal(limiter_wait_us(limiter, now_us + 50 * MS), 50 * MS);
	assert_int_equal(limiter_allows(limiter, now_us + 100 * MS - 1), 14);
	assert_int_equal(limiter_allows(limiter, now_us + 100 * MS), 16);
	assert_int_equal(limiter_wait_us(limiter, now_us + 100 * MS), 0);
	/* One that took its time has paid already. */
	play(&player, 0, 70, 50 * MS, LIMITER_OK);
	limiter_ended(limiter, now_us + 200 * MS, now_us + 170 * MS, LIMITER_CROWDED);
	assert_int_equal(limiter_allows(limiter, now_us + 200 * MS), 16);
}

static void plays_to_a_baseline(struct player *player)
{
	play_init(player, 100);
	for (int i = 0; i < 3; i++)
		play(player, 101 * MS, 200, 20 * MS, LIMITER_OK);
	assert_int_equal(limit_of(&player->limiter), 100000);
	assert_int_equal(player->limiter.baseline_us, 20000);
	/* Twice as much and a millisecond: not grown yet. */
	play(player, 101 * MS, 200, 41 * MS, LIMITER_OK);
	assert_int_equal(limit_of(&player->limiter), 100000);
	play(player, 101 * MS, 200, 41 * MS + 1, LIMITER_OK);
	assert_int_equal(limit_of(&player->limiter), 70000);
}

/* As many answers with fewer in flight: it was a queue, and there may be more of it. */
static void a_queue_of_our_own_is_taken_back(void **state)
{
	struct player player;

	plays_to_a_baseline(&player);
	/* The window after a cut says nothing. */
	play(&player, 101 * MS, 1, 300 * MS, LIMITER_OK);
	play(&player, 1100 * MS, 9, 300 * MS, LIMITER_OK);
	assert_int_equal(limit_of(&player.limiter), 70000);
	play(&player, 300 * MS, 600, 30 * MS, LIMITER_OK);
	assert_int_equal(limit_of(&player.limiter), 49000);
	play(&player, 101 * MS, 200, 21 * MS, LIMITER_OK);
	play(&player, 101 * MS, 200, 21 * MS, LIMITER_OK);
	assert_int_equal(limit_of(&player.limiter), 34300);
	/* Fewer answers: that was one step too far. */
	play(&player, 101 * MS, 140, 20 * MS, LIMITER_OK);
	play(&player, 101 * MS, 140, 20 * MS, LIMITER_OK);
	assert_int_equal(limit_of(&player.limiter), 49000);
	assert_int_equal(player.limiter.baseline_us, 20000);
	assert_int_equal(player.limiter.knee, 49);
	play(&player, 101 * MS, 200, 20 * MS, LIMITER_OK);
	assert_int_equal(limit_of(&player.limiter), 49980);
}

/* Fewer answers with fewer in flight: the provider has become slower, and stays so. */
static void a_slower_provider_is_accepted(void **state)
{
	static const int baselines_us[] = {26000, 33800, 43940, 57122};
	struct player player;

	plays_to_a_baseline(&player);
	for (size_t i = 0; i < sizeof(baselines_us) / sizeof(baselines_us[0]); i++) {
		play(&player, 101 * MS, 140, 90 * MS, LIMITER_OK);
		play(&player, 101 * MS, 140, 90 * MS, LIMITER_OK);
		assert_int_equal(limit_of(&player.limiter), 100000);
		assert_int_equal((int)(player.limiter.baseline_us + 0.5), baselines_us[i]);
		play(&player, 101 * MS, 200, 90 * MS, LIMITER_OK);
		/* 90 ms is more than twice 43.94 and 1, but not than twice 57.122 and 1. */
		assert_int_equal(limit_of(&player.limiter), i < 3 ? 70000 : 100000);
	}
}

/* 80 % take 20 ms and the others 400: no window's mean says anything beyond doubt. */
static void scattered_latencies_are_no_growth(void **state)
{
	struct player player;

	play_init(&player, 100);
	for (int i = 0; i < 3; i++)
		play(&player, 101 * MS, 200, 20 * MS, LIMITER_OK);
	for (int i = 0; i < 100; i++) {
		play(&player, 101 * MS, 1, 400 * MS, LIMITER_OK);
		play(&player, 0, 8, 20 * MS, LIMITER_OK);
		play(&player, 0, 1, 400 * MS, LIMITER_OK);
		assert_int_equal(limit_of(&player.limiter), 100000);
	}
}

/* Everything rejected: down to a start every 5 s, and from there by doubling. */
static void falls_to_a_start_every_five_seconds(void **state)
{
	static const struct {
		uint64_t trip_us;
		int limit; /* thousandths */
	} rows[] = {{MS, 1}, {30 * MS, 6}, {S, 200}, {10 * S, 1000}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct player player;

		play_init(&player, 100);
		play(&player, rows[i].trip_us + 2 * S, 40, rows[i].trip_us, LIMITER_OK);
		for (int k = 0; k < 300; k++)
			play(&player, rows[i].trip_us + 2 * S, 3, rows[i].trip_us, LIMITER_CROWDED);
		assert_int_equal(limit_of(&player.limiter), rows[i].limit);
		limiter_started(&player.limiter, player.now_us, 1);
		assert_in_range(limiter_wait_us(&player.limiter, player.now_us), 0, 5 * S);
		for (int k = 1; k <= 4; k++) {
			play(&player, rows[i].trip_us + 2 * S, 200, rows[i].trip_us, LIMITER_OK);
			if (rows[i].limit > 1)
				assert_int_equal(limit_of(&player.limiter), rows[i].limit << k);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(not_adaptive_is_the_ceiling),
		cmocka_unit_test(begins_gently),
		cmocka_unit_test(slow_start_doubles_once_a_round_trip),
		cmocka_unit_test(a_restart_doubles_once_a_window),
		cmocka_unit_test(slow_start_ends_with_the_first_trouble),
		cmocka_unit_test(a_limit_that_is_not_used_does_not_grow),
		cmocka_unit_test(stray_rejections_are_tolerated),
		cmocka_unit_test(a_decrease_is_once_a_round_trip),
		cmocka_unit_test(ignored_ends_change_nothing),
		cmocka_unit_test(approaches_the_knee_and_leaves_it),
		cmocka_unit_test(below_one_the_next_waits),
		cmocka_unit_test(fractions_count_up_to_ten),
		cmocka_unit_test(rejected_slots_are_held),
		cmocka_unit_test(a_queue_of_our_own_is_taken_back),
		cmocka_unit_test(a_slower_provider_is_accepted),
		cmocka_unit_test(scattered_latencies_are_no_growth),
		cmocka_unit_test(falls_to_a_start_every_five_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
