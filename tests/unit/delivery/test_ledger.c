/*
 * The ledger by itself: each answer at each boundary of time, and tables that are full.
 * test_ledger_damage.c has damage of every kind, test_ledger_steps.c two writers at every step,
 * test_ledger_processes.c real ones.
 */
#include "ledger_world.h"

#include "base/random.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Answers and times. */

static void without_a_ledger_everything_is_sent(void **state)
{
	struct ledger none = {0};
	struct ledger_claim claim = {77, 77};
	struct ledger_stats stats;
	int64_t until = 77;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			ledger_claim(&none, key, NOW, NOW + 1, &claim, &until), LEDGER_CLAIMED);
		assert_int_equal(claim.meta, 0);
		ledger_release(&none, key, claim);
		ledger_accept(&none, key, claim, NOW);
	}
	assert_int_equal(until, 77);
	ledger_count(&none, NOW, &stats);
	assert_int_equal(stats.slots + stats.accepted + stats.claimed + stats.damaged, 0);
	assert_int_equal(ledger_fill_permille(&none, NOW, 1), 0);
}

static void a_claim_lasts_until_its_end(void **state)
{
	static const int64_t lengths[] = {1, 2, 999, 30000, LEDGER_CLAIM_MAX_MS};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		int64_t end = NOW + lengths[i];

		start_again();
		claim_until(key, NOW, end);
		expect(LEDGER_BUSY, key, NOW, end);
		expect(LEDGER_BUSY, key, NOW - 1000, end);
		expect(LEDGER_BUSY, key, end - 1, end);
		expect_count(end - 1, 0, 1, 0);
		expect_count(end, 0, 0, 0);
		expect(LEDGER_CLAIMED, key, end, 0);
	}
}

static void a_claim_is_bounded(void **state)
{
	static const int64_t ends[] = {NOW + LEDGER_CLAIM_MAX_MS, NOW + LEDGER_CLAIM_MAX_MS + 1,
		LEDGER_TIME_MAX_MS, INT64_MAX};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		start_again();
		claim_until(key, NOW, ends[i]);
		expect(LEDGER_BUSY, key, NOW, NOW + LEDGER_CLAIM_MAX_MS);
		/* Its writer's clock was ahead by as much again, but not by more. */
		expect(LEDGER_BUSY, key, NOW - LEDGER_CLAIM_MAX_MS, NOW + LEDGER_CLAIM_MAX_MS);
		expect_count(NOW - LEDGER_CLAIM_MAX_MS, 0, 1, 0);
		expect_count(NOW - LEDGER_CLAIM_MAX_MS - 1, 0, 0, 1);
		expect(LEDGER_CLAIMED, key, NOW - LEDGER_CLAIM_MAX_MS - 1, 0);
	}
}

static void a_claim_that_is_over_is_not_written(void **state)
{
	static const int64_t ends[] = {NOW, NOW - 1, 0, -1, INT64_MIN};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		assert_int_equal(claim_until(key, NOW, ends[i]).meta, 0);
	assert_int_equal(ledger.unwritten, 0);
	expect_count(NOW, 0, 0, 0);
	accept_at(key, NOW);
	expect(LEDGER_ACCEPTED, key, NOW, 0);
}

static void an_acceptance_lasts_for_the_window(void **state)
{
	static const int64_t windows[] = {1, 2, 1000, WINDOW_MS, LEDGER_WINDOW_MAX_MS};

	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		int64_t window = windows[i];

		start_again();
		assert_int_equal(ledger_attach(file.memory, BYTES, window, &ledger), 0);
		accept_at(key, NOW);
		expect(LEDGER_ACCEPTED, key, NOW, 0);
		expect(LEDGER_ACCEPTED, key, NOW + window - 1, 0);
		expect_count(NOW + window - 1, 1, 0, 0);
		expect_count(NOW + window, 0, 0, 0);
		/* The clock was set back: new, as long as it can be. */
		expect(LEDGER_ACCEPTED, key, NOW - window, 0);
		expect_count(NOW - window, 1, 0, 0);
		expect_count(NOW - window - 1, 0, 0, 1);
		expect(LEDGER_ACCEPTED, key, NOW + window - 1, 0);
		/* An older one is absent: a producer may use the key every day. */
		expect(LEDGER_CLAIMED, key, NOW + window, 0);
	}
}

static void one_from_far_ahead_is_damage(void **state)
{
	accept_at(key, NOW);
	expect(LEDGER_CLAIMED, key, NOW - WINDOW_MS - 1, 0);
}

static void the_same_key_every_day(void **state)
{
	for (int64_t day = 0; day < 1000; day++) {
		int64_t now = NOW + day * WINDOW_MS;

		expect(LEDGER_CLAIMED, key, now, 0);
		accept_at(key, now);
		expect(LEDGER_ACCEPTED, key, now, 0);
		expect_count(now, 1, 0, 0);
	}
	assert_int_equal(ledger.cut_short, 0);
}

static void acceptance_counts_from_when_it_came(void **state)
{
	struct ledger_claim claim = claim_until(key, NOW, NOW + 10000);

	ledger_accept(&ledger, key, claim, NOW + 5000);
	expect(LEDGER_ACCEPTED, key, NOW + 5000 + WINDOW_MS - 1, 0);
	expect(LEDGER_CLAIMED, key, NOW + 5000 + WINDOW_MS, 0);
}

/* No time makes an overflow (the sanitizer tells), or an acceptance. */
static void any_time(void **state)
{
	static const int64_t times[] = {INT64_MIN, INT64_MIN + 1, -LEDGER_TIME_MAX_MS, -1, 0, 1,
		NOW, LEDGER_TIME_MAX_MS - 1, LEDGER_TIME_MAX_MS, LEDGER_TIME_MAX_MS + 1, INT64_MAX};
	const size_t count = sizeof(times) / sizeof(times[0]);

	for (size_t i = 0; i < count * count * count; i++) {
		int64_t now = times[i % count], until_ms = times[i / count % count];
		int64_t later = times[i / count / count], ret_until;
		struct ledger_claim claim, other;
		struct ledger_stats stats;

		start_again();
		assert_int_equal(ledger_claim(&ledger, key, now, until_ms, &claim, &ret_until),
			LEDGER_CLAIMED);
		assert_int_not_equal(
			ledger_claim(&ledger, key, later, until_ms, &other, &ret_until),
			LEDGER_ACCEPTED);
		ledger_accept(&ledger, key, claim, now);
		assert_int_equal(ledger_claim(&ledger, key, now, later, &other, &ret_until),
			LEDGER_ACCEPTED);
		ledger_claim(&ledger, key, later, later, &other, &ret_until);
		ledger_count(&ledger, later, &stats);
		ledger_fill_permille(&ledger, later, i);
	}
}

static void the_clock_goes_back_and_forth(void **state)
{
	struct random random;
	bool accepted[8] = {false};

	random_seed(&random, 1);
	/* Within less than half a window, so everything stays new. */
	for (int i = 0; i < 20000; i++) {
		int64_t now = NOW + (int64_t)random_below(random_next(&random), WINDOW_MS / 2);
		uint64_t number = random_below(random_next(&random), 8);
		struct ledger_key of = key_in(1, 2, number);

		if (accepted[number]) {
			expect(LEDGER_ACCEPTED, of, now, 0);
		} else if (random_below(random_next(&random), 100) == 0) {
			accept_at(of, now);
			accepted[number] = true;
		} else {
			expect(LEDGER_CLAIMED, of, now, 0);
		}
	}
	expect_count(NOW, 8, 0, 0);
}

/*
 * One worker's clock is ahead by more than a window: to it everything is past. It writes over none
 * of it while there is room, so the others still know what they accepted.
 */
static void a_clock_that_is_ahead_overwrites_nothing(void **state)
{
	for (uint64_t n = 0; n < 8; n++)
		accept_at(key_in(2, 5, n), NOW + (int64_t)n);
	for (uint64_t n = 8; n < 16; n++)
		accept_at(key_in(2, 5, n), NOW + WINDOW_MS + WINDOW_MS / 2);
	for (uint64_t n = 0; n < 8; n++)
		expect(LEDGER_ACCEPTED, key_in(2, 5, n), NOW, 0);
}

/* Claims and whose they are. */

static void released_is_free(void **state)
{
	struct ledger_claim claim = claim_until(key, NOW, NOW + 5000);

	expect(LEDGER_BUSY, key, NOW, NOW + 5000);
	ledger_release(&ledger, key, claim);
	expect_count(NOW, 0, 0, 0);
	ledger_release(&ledger, key, claim);
	claim = claim_until(key, NOW, NOW + 5000);
	ledger_accept(&ledger, key, claim, NOW);
	ledger_release(&ledger, key, claim);
	expect(LEDGER_ACCEPTED, key, NOW, 0);
	expect_count(NOW, 1, 0, 0);
}

static void a_release_takes_back_its_own_claim_only(void **state)
{
	struct ledger_claim late, other;

	/* One slot is left for both. */
	for (uint64_t n = 0; n < 15; n++)
		accept_at(key_in(3, 9, 100 + n), NOW);
	late = claim_until(key, NOW, NOW + 1000);
	other = claim_until(key, NOW + 1000, NOW + 3000);
	assert_int_equal(late.slot, other.slot);
	ledger_release(&ledger, key, late);
	expect(LEDGER_BUSY, key, NOW + 2000, NOW + 3000);
	ledger_release(&ledger, key_in(3, 9, 5), other);
	expect(LEDGER_BUSY, key, NOW + 2000, NOW + 3000);
	/* The same end and slot, because the clock was set back. */
	late = other;
	other = claim_until(key, NOW + 3000, NOW + 5000);
	ledger_release(&ledger, key, other);
	other = claim_until(key, NOW, NOW + 3000);
	assert_int_equal(late.slot, other.slot);
	ledger_release(&ledger, key, late);
	expect(LEDGER_BUSY, key, NOW + 2000, NOW + 3000);
	ledger_release(&ledger, key, other);
	expect(LEDGER_CLAIMED, key, NOW + 2000, 0);
}

static void two_that_are_attached_have_other_nonces(void **state)
{
	struct ledger other;
	struct ledger_claim claims[2];
	int64_t unused;

	assert_int_equal(ledger_attach(file.memory, BYTES, WINDOW_MS, &other), 0);
	claims[0] = claim_until(key, NOW, NOW + 1);
	ledger_release(&ledger, key, claims[0]);
	assert_int_equal(
		ledger_claim(&other, key, NOW, NOW + 1, &claims[1], &unused), LEDGER_CLAIMED);
	assert_int_equal(claims[0].slot, claims[1].slot);
	assert_int_not_equal(claims[0].meta, claims[1].meta);
}

static void an_acceptance_after_the_claim_was_lost(void **state)
{
	struct ledger_claim claim = claim_until(key, NOW, NOW + 1000);
	struct ledger_claim other = claim_until(key, NOW + 1000, NOW + 9000);

	/* The slot is another's: both are there, and what was accepted wins. */
	ledger_accept(&ledger, key, claim, NOW + 2000);
	expect_count(NOW + 2000, 1, 1, 0);
	expect(LEDGER_ACCEPTED, key, NOW + 2000, 0);
	ledger_accept(&ledger, key, other, NOW + 3000);
	expect_count(NOW + 3000, 2, 0, 0);
	/* The later one counts. */
	expect(LEDGER_ACCEPTED, key, NOW + 3000 + WINDOW_MS - 1, 0);
	expect(LEDGER_CLAIMED, key, NOW + 3000 + WINDOW_MS, 0);
	/* Over, but nobody has taken its slot: in place. */
	start_again();
	claim = claim_until(key, NOW, NOW + 1000);
	ledger_accept(&ledger, key, claim, NOW + 5000);
	expect(LEDGER_ACCEPTED, key, NOW + 5000, 0);
	expect_count(NOW + 5000, 1, 0, 0);
}

static void an_acceptance_without_a_claim(void **state)
{
	ledger_accept(&ledger, key, NO_CLAIM, NOW);
	expect(LEDGER_ACCEPTED, key, NOW, 0);
	ledger_release(&ledger, key, NO_CLAIM);
	expect(LEDGER_ACCEPTED, key, NOW, 0);
}

/* Full tables. */

static void both_buckets_fill_evenly(void **state)
{
	for (uint64_t n = 0; n < 16; n++) {
		unsigned in[2] = {0};

		accept_at(key_in(2, 5, n), NOW);
		for (size_t slot = 0; slot < 8; slot++) {
			in[0] += slot_words(2 * 8 + slot)[3] != 0;
			in[1] += slot_words(5 * 8 + slot)[3] != 0;
		}
		assert_int_equal(in[0], n / 2 + 1);
		assert_int_equal(in[1], (n + 1) / 2);
	}
	expect_count(NOW, 16, 0, 0);
}

static void one_bucket_twice_is_two(void **state)
{
	for (uint64_t bucket = 0; bucket < BUCKETS; bucket++) {
		for (uint64_t n = 0; n < 16; n++)
			accept_at(key_in(bucket, bucket, n), NOW);
		expect_count(NOW, 16, 0, 0);
		assert_int_equal(ledger.cut_short, 0);
		start_again();
	}
}

/* Ages in any order: the oldest leaves first. */
static void the_oldest_leave_first(void **state)
{
	for (uint64_t n = 0; n < 16; n++)
		accept_at(key_in(2, 5, n), NOW + (int64_t)(n * 7 % 16) * 100);
	assert_int_equal(ledger.cut_short, 0);
	assert_int_equal(ledger.cut_age_ms, 0);
	for (uint64_t gone = 0; gone < 16; gone++) {
		int64_t now = NOW + 5000;

		expect_count(now, 16, 0, 0);
		accept_at(key_in(2, 5, 100 + gone), now);
		assert_int_equal(ledger.cut_short, gone + 1);
		assert_int_equal(ledger.cut_age_ms, 5000 - (int64_t)gone * 100);
		for (uint64_t n = 0; n < 16; n++) {
			bool left = n * 7 % 16 <= gone;
			struct ledger_claim claim;
			int64_t unused;
			uint64_t *words = malloc(BYTES);

			/* Asking would push another out, if it is not there. */
			memcpy(words, file.memory, BYTES);
			assert_int_equal(ledger_claim(&ledger, key_in(2, 5, n), now, now + 1,
						 &claim, &unused),
				left ? LEDGER_CLAIMED : LEDGER_ACCEPTED);
			memcpy(file.memory, words, BYTES);
			ledger.cut_short = gone + 1;
			ledger.cut_age_ms = 5000 - (int64_t)gone * 100;
			free(words);
		}
	}
}

static void a_new_one_pushed_out_has_an_age(void **state)
{
	for (uint64_t n = 0; n < 17; n++)
		accept_at(key_in(2, 5, n), NOW);
	assert_int_equal(ledger.cut_short, 1);
	assert_int_equal(ledger.cut_age_ms, 1);
	accept_at(key_in(2, 5, 17), NOW - 1000);
	assert_int_equal(ledger.cut_short, 2);
	assert_int_equal(ledger.cut_age_ms, 1);
}

static void what_is_past_makes_room_first(void **state)
{
	for (uint64_t n = 0; n < 16; n++)
		accept_at(key_in(2, 5, n), n == 11 ? NOW - 1 : NOW);
	accept_at(key_in(2, 5, 50), NOW + WINDOW_MS - 1);
	assert_int_equal(ledger.cut_short, 0);
	expect(LEDGER_ACCEPTED, key_in(2, 5, 50), NOW + WINDOW_MS - 1, 0);
	expect_count(NOW + WINDOW_MS - 1, 16, 0, 0);
}

static void claims_never_leave(void **state)
{
	struct ledger_claim claim;

	for (uint64_t n = 0; n < 15; n++)
		claim_until(key_in(2, 5, n), NOW, NOW + 1000);
	accept_at(key_in(2, 5, 15), NOW - 1000);
	/* The one that is accepted goes; then there is no room. */
	claim = claim_until(key_in(2, 5, 16), NOW, NOW + 1000);
	assert_int_not_equal(claim.meta, 0);
	assert_int_equal(ledger.cut_short, 1);
	assert_int_equal(ledger.cut_age_ms, 1000);
	assert_int_equal(ledger.unwritten, 0);
	for (int i = 0; i < 2; i++) {
		struct ledger_claim unwritten = claim_until(key_in(2, 5, 17), NOW, NOW + 1000);

		assert_int_equal(unwritten.meta, 0);
		assert_int_equal(ledger.unwritten, i + 1);
		ledger_release(&ledger, key_in(2, 5, 17), unwritten);
	}
	ledger_accept(&ledger, key_in(2, 5, 17), NO_CLAIM, NOW);
	assert_int_equal(ledger.cut_short, 2);
	assert_int_equal(ledger.cut_age_ms, 1);
	expect_count(NOW, 0, 16, 0);
	expect(LEDGER_CLAIMED, key_in(2, 5, 17), NOW, 0);
	for (uint64_t n = 0; n < 17; n++)
		if (n != 15)
			expect(LEDGER_BUSY, key_in(2, 5, n), NOW + 999, NOW + 1000);
	/* In place there is always room. */
	ledger_accept(&ledger, key_in(2, 5, 16), claim, NOW);
	expect(LEDGER_ACCEPTED, key_in(2, 5, 16), NOW, 0);
	assert_int_equal(ledger.cut_short, 2);
}

/* Numbers. */

static void fill_is_the_live_share(void **state)
{
	for (uint64_t n = 0; n < SLOTS; n++) {
		assert_int_equal(ledger_fill_permille(&ledger, NOW, n), n * 1000 / SLOTS);
		if (n % 2)
			accept_at(key_in(n / 8, n / 8 ^ 1, n), NOW);
		else
			claim_until(key_in(n / 8, n / 8 ^ 1, n), NOW, NOW + WINDOW_MS);
	}
	assert_int_equal(ledger_fill_permille(&ledger, NOW, 1), 1000);
	assert_int_equal(ledger_fill_permille(&ledger, NOW + WINDOW_MS, 1), 0);
	expect_count(NOW, SLOTS / 2, SLOTS / 2, 0);
}

static void a_large_table_is_sampled(void **state)
{
	const size_t bytes = LEDGER_HEADER_BYTES + 4096 * 256;
	struct mapped_file large;
	unsigned fill;

	assert_int_equal(
		mapped_file_anonymous(bytes, &ledger_file, (void *)(uintptr_t)hash_key, &large), 0);
	assert_int_equal(ledger_attach(large.memory, bytes, WINDOW_MS, &ledger), 0);
	assert_int_equal(ledger_fill_permille(&ledger, NOW, 5), 0);
	for (uint64_t n = 0; n < 4096 * 8 / 2; n++) {
		uint64_t seed = n;
		struct ledger_key of = {{random_split_mix(&seed), random_split_mix(&seed)}};

		accept_at(of, NOW);
	}
	assert_int_equal(ledger.cut_short, 0);
	for (uint64_t random = 0; random < 100; random++) {
		fill = ledger_fill_permille(&ledger, NOW, random);
		assert_in_range(fill, 450, 550);
	}
	mapped_file_close(&large);
}

/* SipHash-2-4-128 twice, by "openssl mac": of "line" under the file's key, then under that. */
static void keys_are_hashes(void **state)
{
	static const char *const pairs[][2] = {
		{"line", "0b7b1c5e-6f0a-5c0e-9d57-6f0f5a2c1a11"},
		{"line", "0b7b1c5e-6f0a-5c0e-9d57-6f0f5a2c1a12"},
		{"line0", "b7b1c5e-6f0a-5c0e-9d57-6f0f5a2c1a11"},
		{"line", ""},
		{"", "line"},
		{"", ""},
	};
	const size_t count = sizeof(pairs) / sizeof(pairs[0]);
	struct ledger_key keys[6];

	for (size_t i = 0; i < count; i++) {
		keys[i] = ledger_key_of(&ledger, pairs[i][0], pairs[i][1]);
		for (size_t k = 0; k < i; k++) {
			assert_true(keys[i].word[0] != keys[k].word[0]);
			assert_true(keys[i].word[1] != keys[k].word[1]);
		}
	}
	assert_true(keys[0].word[0] == UINT64_C(0x9b67f433cc6c1bfd));
	assert_true(keys[0].word[1] == UINT64_C(0x44d66d0d996b3a6f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(without_a_ledger_everything_is_sent),
		CASE(a_claim_lasts_until_its_end),
		CASE(a_claim_is_bounded),
		CASE(a_claim_that_is_over_is_not_written),
		CASE(an_acceptance_lasts_for_the_window),
		CASE(one_from_far_ahead_is_damage),
		CASE(the_same_key_every_day),
		CASE(acceptance_counts_from_when_it_came),
		CASE(any_time),
		CASE(the_clock_goes_back_and_forth),
		CASE(a_clock_that_is_ahead_overwrites_nothing),
		CASE(released_is_free),
		CASE(a_release_takes_back_its_own_claim_only),
		CASE(two_that_are_attached_have_other_nonces),
		CASE(an_acceptance_after_the_claim_was_lost),
		CASE(an_acceptance_without_a_claim),
		CASE(both_buckets_fill_evenly),
		CASE(one_bucket_twice_is_two),
		CASE(the_oldest_leave_first),
		CASE(a_new_one_pushed_out_has_an_age),
		CASE(what_is_past_makes_room_first),
		CASE(claims_never_leave),
		CASE(fill_is_the_live_share),
		CASE(a_large_table_is_sampled),
		CASE(keys_are_hashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
