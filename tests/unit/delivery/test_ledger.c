/*
 * The ledger by itself: each answer at each boundary of time, tables that are full, and damage of
 * every kind. test_ledger_steps.c has two writers at every step, test_ledger_processes.c real ones.
 */
#include "delivery/ledger.h"

#include "base/random.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES LEDGER_BYTES_MIN
#define BUCKETS 16
#define SLOTS (BUCKETS * 8)
#define WINDOW_MS 3600000
#define NOW INT64_C(1795420800123)
#define NO_CLAIM ((struct ledger_claim){0})

static const uint8_t hash_key[SIPHASH_KEY_BYTES] = "0123456789abcdef";
static struct mapped_file file;
static struct ledger ledger;

static int set_up(void **state)
{
	assert_int_equal(
		mapped_file_anonymous(BYTES, &ledger_file, (void *)(uintptr_t)hash_key, &file), 0);
	assert_int_equal(ledger_attach(file.memory, BYTES, WINDOW_MS, &ledger), 0);
	return 0;
}

static int tear_down(void **state)
{
	mapped_file_close(&file);
	return 0;
}

static void start_again(void)
{
	tear_down(NULL);
	set_up(NULL);
}

/* The four words of a slot. */
static uint64_t *slot_words(size_t slot)
{
	return (uint64_t *)file.memory + (LEDGER_HEADER_BYTES + slot * LEDGER_SLOT_BYTES) / 8;
}

/* The number-th key that has these two of the 16 buckets. */
static struct ledger_key key_in(uint64_t one, uint64_t other, uint64_t number)
{
	return (struct ledger_key){{one << 60 | number, other << 60 | (number * 77 + 1)}};
}

static const struct ledger_key key = {{UINT64_C(0x3000000000000abc), UINT64_C(0x9000000000000def)}};

/* An answer, and with LEDGER_BUSY until when. */
static void expect(
	enum ledger_answer answer, struct ledger_key of, int64_t now_ms, int64_t until_ms)
{
	struct ledger_claim claim = {77, 77};
	int64_t until = 77;
	enum ledger_answer got = ledger_claim(&ledger, of, now_ms, now_ms + 1000, &claim, &until);

	if (got != answer)
		fail_msg("%d, not %d", got, answer);
	if (answer == LEDGER_BUSY)
		assert_int_equal(until, until_ms);
	else
		assert_int_equal(until, 77);
	if (answer == LEDGER_CLAIMED)
		ledger_release(&ledger, of, claim);
	else
		assert_int_equal(claim.meta, 77);
}

static struct ledger_claim claim_until(struct ledger_key of, int64_t now_ms, int64_t until_ms)
{
	struct ledger_claim claim;
	int64_t unused;

	assert_int_equal(
		ledger_claim(&ledger, of, now_ms, until_ms, &claim, &unused), LEDGER_CLAIMED);
	return claim;
}

static void accept_at(struct ledger_key of, int64_t now_ms)
{
	ledger_accept(&ledger, of, claim_until(of, now_ms, now_ms + 1000), now_ms);
}

static void expect_count(int64_t now_ms, uint64_t accepted, uint64_t claimed, uint64_t damaged)
{
	struct ledger_stats stats;

	ledger_count(&ledger, now_ms, &stats);
	assert_int_equal(stats.slots, SLOTS);
	assert_int_equal(stats.accepted, accepted);
	assert_int_equal(stats.claimed, claimed);
	assert_int_equal(stats.damaged, damaged);
}

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

/* Damage. */

struct damaged_world {
	struct ledger_key accepted; /* by a provider */
	struct ledger_key claimed;
	size_t slot[2];
	uint8_t memory[BYTES];
};

static void make_world(struct damaged_world *world)
{
	start_again();
	world->accepted = key;
	world->claimed = key_in(9, 3, 4);
	accept_at(world->accepted, NOW);
	world->slot[1] = claim_until(world->claimed, NOW, NOW + 5000).slot;
	world->slot[0] = SLOTS;
	for (size_t slot = 0; slot < SLOTS; slot++)
		if (slot_words(slot)[0] == key.word[0])
			world->slot[0] = slot;
	assert_int_not_equal(world->slot[0], SLOTS);
	memcpy(world->memory, file.memory, BYTES);
}

/*
 * With these four words in the slot: who asks for what stands in it, for the keys of the world, or
 * for those keys with one word of it, is not told that it was accepted, unless it was.
 */
static void expect_no_invention(
	const struct damaged_world *world, size_t slot, const uint64_t words[4])
{
	const struct ledger_key keys[] = {
		{{words[0], words[1]}},
		{{words[0], world->accepted.word[1]}},
		{{world->accepted.word[0], words[1]}},
		{{words[0], world->claimed.word[1]}},
		{{world->claimed.word[0], words[1]}},
		world->claimed,
		world->accepted,
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct ledger_claim claim;
		int64_t until;
		enum ledger_answer answer;

		memcpy(file.memory, world->memory, BYTES);
		memcpy(slot_words(slot), words, LEDGER_SLOT_BYTES);
		answer = ledger_claim(&ledger, keys[i], NOW, NOW + 1, &claim, &until);
		if (answer == LEDGER_ACCEPTED)
			assert_memory_equal(&keys[i], &world->accepted, sizeof(keys[i]));
		if (answer == LEDGER_BUSY)
			assert_in_range(until, NOW + 1, NOW + 2 * LEDGER_CLAIM_MAX_MS);
	}
}

/* Each of the 256 bits; and the entry it was in is gone. */
static void every_bit_flipped(void **state)
{
	static struct damaged_world world;

	make_world(&world);
	for (size_t which = 0; which < 2; which++) {
		for (unsigned bit = 0; bit < 256; bit++) {
			uint64_t words[4];

			memcpy(file.memory, world.memory, BYTES);
			memcpy(words, slot_words(world.slot[which]), sizeof(words));
			words[bit / 64] ^= UINT64_C(1) << bit % 64;
			expect_no_invention(&world, world.slot[which], words);
			memcpy(file.memory, world.memory, BYTES);
			memcpy(slot_words(world.slot[which]), words, sizeof(words));
			expect_count(NOW, which, !which, 1);
			expect(LEDGER_CLAIMED, which ? world.claimed : world.accepted, NOW, 0);
		}
	}
}

static void every_word_overwritten(void **state)
{
	static struct damaged_world world;
	uint64_t garbage[4096];
	struct random random;
	size_t count = 0;

	make_world(&world);
	random_seed(&random, 5);
	/* All that is in the table, what looks like times, and anything. */
	for (size_t i = 0; i < 8; i++)
		garbage[count++] = slot_words(world.slot[i / 4])[i % 4];
	for (uint64_t kind = 0; kind < 4; kind++)
		for (int64_t ahead = -2; ahead < 3; ahead++)
			for (uint64_t nonce = 0; nonce < 3; nonce++)
				garbage[count++] =
					kind << 62 | (uint64_t)(NOW + ahead * 700) << 16 | nonce;
	for (unsigned bit = 0; bit < 64; bit++)
		garbage[count++] = UINT64_C(1) << bit;
	garbage[count++] = 0;
	garbage[count++] = UINT64_MAX;
	while (count < 1000)
		garbage[count++] = random_next(&random);
	for (size_t i = 0; i < 2 * 4 * count; i++) {
		size_t slot = world.slot[i % 2];
		uint64_t words[4];

		memcpy(file.memory, world.memory, BYTES);
		memcpy(words, slot_words(slot), sizeof(words));
		words[i / 2 % 4] = garbage[i / 8];
		expect_no_invention(&world, slot, words);
	}
}

/* Every mixture of an accepted entry, a claim, an empty slot and a mark, word by word. */
static void every_mixture_of_entries(void **state)
{
	static struct damaged_world world;
	uint64_t parts[5][4];

	make_world(&world);
	memcpy(parts[0], slot_words(world.slot[0]), sizeof(parts[0]));
	memcpy(parts[1], slot_words(world.slot[1]), sizeof(parts[1]));
	/* A claim of the accepted key, as its slot was before. */
	start_again();
	memcpy(parts[2], slot_words(claim_until(world.accepted, NOW, NOW + 1000).slot),
		sizeof(parts[2]));
	start_again();
	memset(parts[3], 0, sizeof(parts[3]));
	for (int i = 0; i < 4; i++)
		parts[4][i] = UINT64_C(1) << 62 | (uint64_t)(NOW + 1000) << 16 | 7;
	for (unsigned i = 0; i < 5 * 5 * 5 * 5; i++) {
		const uint64_t words[4] = {parts[i % 5][0], parts[i / 5 % 5][1],
			parts[i / 25 % 5][2], parts[i / 125][3]};

		for (int which = 0; which < 2; which++)
			expect_no_invention(&world, world.slot[which], words);
	}
}

/* Random bytes in all the slots are an empty table. */
static void a_table_of_noise(void **state)
{
	struct ledger_key keys[SLOTS];
	struct random random;

	random_seed(&random, 9);
	for (size_t slot = 0; slot < SLOTS; slot++)
		for (int i = 0; i < 4; i++)
			slot_words(slot)[i] = random_next(&random);
	expect_count(NOW, 0, 0, SLOTS);
	for (size_t slot = 0; slot < SLOTS; slot++)
		keys[slot] = (struct ledger_key){{slot_words(slot)[0], slot_words(slot)[1]}};
	for (size_t slot = 0; slot < SLOTS; slot++)
		expect(LEDGER_CLAIMED, keys[slot], NOW, 0);
	for (size_t i = 0; i < SLOTS / 2; i++)
		accept_at(keys[i], NOW);
	for (size_t i = 0; i < SLOTS; i++)
		expect(i < SLOTS / 2 ? LEDGER_ACCEPTED : LEDGER_CLAIMED, keys[i], NOW, 0);
	assert_int_equal(ledger.cut_short, 0);
}

/* An entry that another ledger has left on the disk. */
static void an_entry_of_another_file(void **state)
{
	uint64_t slots[(BYTES - LEDGER_HEADER_BYTES) / 8];
	struct mapped_file other;
	uint8_t other_key[SIPHASH_KEY_BYTES];

	accept_at(key, NOW);
	memcpy(slots, slot_words(0), sizeof(slots));
	for (unsigned bit = 0; bit < 128; bit++) {
		memcpy(other_key, hash_key, sizeof(other_key));
		other_key[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(mapped_file_anonymous(BYTES, &ledger_file, other_key, &other), 0);
		memcpy((uint8_t *)other.memory + LEDGER_HEADER_BYTES, slots, sizeof(slots));
		assert_int_equal(ledger_attach(other.memory, BYTES, WINDOW_MS, &ledger), 0);
		expect_count(NOW, 0, 0, 1);
		expect(LEDGER_CLAIMED, key, NOW, 0);
		mapped_file_close(&other);
	}
}

/* The file. */

static void expect_refused(size_t bytes, const char *why)
{
	struct buf reason = BUF_INIT(200);
	struct ledger untouched = {.cut_short = 77};

	assert_int_equal(ledger_file.check(NULL, file.memory, bytes, &reason), ERR_SYNTAX);
	assert_string_equal(buf_string(&reason), why);
	buf_free(&reason);
	assert_int_equal(ledger_attach(file.memory, bytes, WINDOW_MS, &untouched), ERR_ARGUMENT);
	assert_int_equal(untouched.cut_short, 77);
}

static void refused_files(void **state)
{
	uint64_t *header = file.memory;

	expect_refused(1, "1 bytes, and a ledger has at least 8192");
	expect_refused(LEDGER_HEADER_BYTES, "4096 bytes, and a ledger has at least 8192");
	expect_refused(BYTES - 1, "8191 bytes, and a ledger has at least 8192");
	header[0]++;
	expect_refused(BYTES, "not a ledger");
	header[0]--;
	header[1] = 7;
	expect_refused(BYTES, "version 7, this program knows 1");
	header[1] = 1;
	header[2]++;
	expect_refused(BYTES, "its header is damaged");
	header[2]--;
	expect_refused(BYTES + 256, "made for 16 buckets, and its size is that of 17");
	assert_int_equal(ledger_file.check(NULL, file.memory, BYTES + 255, NULL), 0);
}

/* Every bit of what the checksum covers, and of the checksum. */
static void every_bit_of_the_header_counts(void **state)
{
	uint8_t *header = file.memory;

	for (unsigned bit = 0; bit < 48 * 8; bit++) {
		struct buf reason = BUF_INIT(200);

		header[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(ledger_file.check(NULL, file.memory, BYTES, &reason), ERR_SYNTAX);
		assert_true(reason.len > 0);
		buf_free(&reason);
		header[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(ledger_file.check(NULL, file.memory, BYTES, NULL), 0);
}

static void attaching(void **state)
{
	static const int64_t windows[] = {INT64_MIN, -1, 0, LEDGER_WINDOW_MAX_MS + 1, INT64_MAX};
	struct ledger untouched = {.cut_short = 77};
	struct mapped_file small;

	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
		assert_int_equal(
			ledger_attach(file.memory, BYTES, windows[i], &untouched), ERR_ARGUMENT);
	assert_int_equal(
		ledger_attach((char *)file.memory + 8, BYTES, 1000, &untouched), ERR_ARGUMENT);
	assert_int_equal(untouched.cut_short, 77);
	for (size_t bytes = 1; bytes < BYTES; bytes += bytes < 8190 ? 97 : 1)
		assert_int_equal(mapped_file_anonymous(
					 bytes, &ledger_file, (void *)(uintptr_t)hash_key, &small),
			ERR_ARGUMENT);
	/* Sizes that are not of whole buckets. */
	for (size_t bytes = BYTES; bytes < BYTES + 600; bytes++) {
		struct ledger_stats stats;
		struct ledger odd;

		assert_int_equal(mapped_file_anonymous(
					 bytes, &ledger_file, (void *)(uintptr_t)hash_key, &small),
			0);
		assert_int_equal(ledger_attach(small.memory, bytes, 1000, &odd), 0);
		ledger_count(&odd, NOW, &stats);
		assert_int_equal(stats.slots, (bytes - LEDGER_HEADER_BYTES) / 256 * 8);
		mapped_file_close(&small);
	}
}

static int open_at(const char *path, struct buf *reason)
{
	tear_down(NULL);
	return mapped_file_open(
		path, BYTES, &ledger_file, (void *)(uintptr_t)hash_key, &file, reason);
}

/* Closed and opened again, and then of another version. */
static void in_a_file(void **state)
{
	char directory[] = "/tmp/ledger.XXXXXX", path[64], bad[80], sentence[256];
	struct buf reason = BUF_INIT(1000);

	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/ledger", directory);
	snprintf(bad, sizeof(bad), "%s.bad", path);
	assert_int_equal(open_at(path, &reason), 0);
	assert_int_equal(ledger_attach(file.memory, file.bytes, WINDOW_MS, &ledger), 0);
	accept_at(key, NOW);
	assert_int_equal(open_at(path, &reason), 0);
	assert_false(file.created);
	assert_int_equal(ledger_attach(file.memory, file.bytes, WINDOW_MS, &ledger), 0);
	expect(LEDGER_ACCEPTED, key, NOW, 0);
	((uint64_t *)file.memory)[1] = 7;
	assert_int_equal(open_at(path, &reason), 0);
	assert_true(file.created && file.replaced);
	snprintf(sentence, sizeof(sentence),
		"cannot use %s: version 7, this program knows 1; it is now %s", path, bad);
	assert_string_equal(buf_string(&reason), sentence);
	assert_int_equal(ledger_attach(file.memory, file.bytes, WINDOW_MS, &ledger), 0);
	expect(LEDGER_CLAIMED, key, NOW, 0);
	buf_free(&reason);
	unlink(path);
	unlink(bad);
	assert_int_equal(rmdir(directory), 0);
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

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
		CASE(every_bit_flipped),
		CASE(every_word_overwritten),
		CASE(every_mixture_of_entries),
		CASE(a_table_of_noise),
		CASE(an_entry_of_another_file),
		CASE(refused_files),
		CASE(every_bit_of_the_header_counts),
		CASE(attaching),
		CASE(in_a_file),
		CASE(keys_are_hashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
