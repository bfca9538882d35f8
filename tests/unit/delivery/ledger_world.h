/* A ledger of 16 buckets in memory, and what tests ask of it. */
#ifndef TEST_LEDGER_WORLD_H
#define TEST_LEDGER_WORLD_H

#include "delivery/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

static inline int set_up(void **state)
{
	assert_int_equal(
		mapped_file_anonymous(BYTES, &ledger_file, (void *)(uintptr_t)hash_key, &file), 0);
	assert_int_equal(ledger_attach(file.memory, BYTES, WINDOW_MS, &ledger), 0);
	return 0;
}

static inline int tear_down(void **state)
{
	mapped_file_close(&file);
	return 0;
}

static inline void start_again(void)
{
	tear_down(NULL);
	set_up(NULL);
}

/* The four words of a slot. */
static inline uint64_t *slot_words(size_t slot)
{
	return (uint64_t *)file.memory + (LEDGER_HEADER_BYTES + slot * LEDGER_SLOT_BYTES) / 8;
}

/* The number-th key that has these two of the 16 buckets. */
static inline struct ledger_key key_in(uint64_t one, uint64_t other, uint64_t number)
{
	return (struct ledger_key){{one << 60 | number, other << 60 | (number * 77 + 1)}};
}

static const struct ledger_key key = {{UINT64_C(0x3000000000000abc), UINT64_C(0x9000000000000def)}};

/* An answer, and with LEDGER_BUSY until when. */
static inline void expect(
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

static inline struct ledger_claim claim_until(
	struct ledger_key of, int64_t now_ms, int64_t until_ms)
{
	struct ledger_claim claim;
	int64_t unused;

	assert_int_equal(
		ledger_claim(&ledger, of, now_ms, until_ms, &claim, &unused), LEDGER_CLAIMED);
	return claim;
}

static inline void accept_at(struct ledger_key of, int64_t now_ms)
{
	ledger_accept(&ledger, of, claim_until(of, now_ms, now_ms + 1000), now_ms);
}

static inline void expect_count(
	int64_t now_ms, uint64_t accepted, uint64_t claimed, uint64_t damaged)
{
	struct ledger_stats stats;

	ledger_count(&ledger, now_ms, &stats);
	assert_int_equal(stats.slots, SLOTS);
	assert_int_equal(stats.accepted, accepted);
	assert_int_equal(stats.claimed, claimed);
	assert_int_equal(stats.damaged, damaged);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
