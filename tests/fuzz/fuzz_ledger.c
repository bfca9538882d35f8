/*
 * A hostile file, and claims and acceptances in it when it is not refused: no crash, and no key
 * that was not accepted is said to be, unless the file itself holds a whole entry that says so.
 *
 * Input: what to do to the header, then the slots, then the calls, in bytes as they come; after the
 * end they are zeros.
 */
#include "fuzz.h"

#include "base/siphash.h"
#include "bunshin/error.h"
#include "delivery/ledger.h"

#include <stdbool.h>
#include <string.h>

#define NOW INT64_C(1795420800123)
#define HEADER_BYTES 48
#define IMAGE_MAX 32 /* slots of the file that hold something */
#define CALLS_MAX 200
#define CLAIMS 8

struct image_slot {
	uint64_t word[4]; /* key, key, meta, check */
};

static struct {
	const uint8_t *data;
	size_t left;
	uint8_t *memory;
	size_t bytes;
	uint64_t hash_key[2];
	struct image_slot image[IMAGE_MAX];
	size_t image_count;
	struct ledger_key accepted[CALLS_MAX]; /* by this run */
	size_t accepted_count;
	int64_t now_ms;
} fuzz;

static void take(void *out, size_t len)
{
	size_t n = len < fuzz.left ? len : fuzz.left;

	memset(out, 0, len);
	memcpy(out, fuzz.data, n);
	fuzz.data += n;
	fuzz.left -= n;
}

static uint8_t take_byte(void)
{
	uint8_t byte;

	take(&byte, 1);
	return byte;
}

/* Said again, and not shared with ledger.c: the format of the file. */
static uint64_t check_of(const uint64_t word[3])
{
	uint64_t x = (word[0] ^ fuzz.hash_key[0]) * UINT64_C(0x9e3779b97f4a7c15);

	x = ((x ^ x >> 32) + word[1]) * UINT64_C(0xd6e8feb86659fd93);
	x = x ^ x >> 32 ^ fuzz.hash_key[1] ^ word[2];
	x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
	x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ x >> 33;
}

/* A good header, damaged by the input, and made to fit again or not. */
static void make_header(void)
{
	uint8_t how = take_byte(), flips[HEADER_BYTES];
	uint64_t hash[2];

	fuzz.bytes = LEDGER_BYTES_MIN + (size_t)take_byte() * 32;
	FUZZ_CHECK(posix_memalign((void **)&fuzz.memory, 64, fuzz.bytes) == 0);
	memset(fuzz.memory, 0, fuzz.bytes);
	take(flips, SIPHASH_KEY_BYTES);
	FUZZ_CHECK(ledger_file.format(flips, fuzz.memory, fuzz.bytes) == 0);
	if (how & 1) {
		take(flips, HEADER_BYTES);
		for (size_t i = 0; i < HEADER_BYTES; i++)
			fuzz.memory[i] ^= flips[i];
	}
	memcpy(fuzz.hash_key, fuzz.memory + 24, sizeof(fuzz.hash_key));
	if (how & 2) {
		siphash_128(fuzz.memory + 24, fuzz.memory, 40, hash);
		memcpy(fuzz.memory + 40, hash, 8);
	}
}

static int64_t take_time(void)
{
	static const int64_t units[] = {1, 1000, 3600000, INT64_C(24) * 3600000};
	uint8_t unit = take_byte();

	if (unit == 0xff) {
		int64_t any;

		take(&any, sizeof(any));
		return any;
	}
	return NOW + (int8_t)take_byte() * units[unit % 4];
}

static uint64_t take_stamp(uint8_t kind)
{
	uint64_t time = (uint64_t)take_time() & (uint64_t)LEDGER_TIME_MAX_MS;

	return (uint64_t)(kind & 3) << 62 | time << 16 | take_byte();
}

/* One slot: anything, or nearly an entry, in its own bucket or in any. */
static void make_slot(struct image_slot *slot)
{
	uint8_t how = take_byte();
	uint64_t buckets = (fuzz.bytes - LEDGER_HEADER_BYTES) / 256, at = take_byte();

	slot->word[0] = (uint64_t)take_byte() << 56 | take_byte();
	slot->word[1] = (uint64_t)take_byte() << 56 | take_byte();
	slot->word[2] = take_stamp(how);
	if (how & 4)
		slot->word[3] = check_of(slot->word);
	else if (how & 8)
		slot->word[3] = take_stamp(how >> 6);
	else
		take(&slot->word[3], 8);
	if (how & 16)
		slot->word[take_byte() % 4] ^= UINT64_C(1) << take_byte() % 64;
	if (how & 32)
		at = (uint64_t)((unsigned __int128)slot->word[0] * buckets >> 64) * 8 + at % 8;
	memcpy(fuzz.memory + LEDGER_HEADER_BYTES + at % (buckets * 8) * LEDGER_SLOT_BYTES, slot,
		sizeof(*slot));
}

static bool is_whole_acceptance(const struct image_slot *slot, struct ledger_key key)
{
	return slot->word[0] == key.word[0] && slot->word[1] == key.word[1] &&
	       slot->word[2] >> 62 == 1 && slot->word[3] == check_of(slot->word);
}

static bool may_be_accepted(struct ledger_key key)
{
	for (size_t i = 0; i < fuzz.image_count; i++)
		if (is_whole_acceptance(&fuzz.image[i], key))
			return true;
	for (size_t i = 0; i < fuzz.accepted_count; i++)
		if (memcmp(&fuzz.accepted[i], &key, sizeof(key)) == 0)
			return true;
	return false;
}

static struct ledger_key take_key(void)
{
	uint8_t which = take_byte();
	struct ledger_key key;

	if (which < fuzz.image_count) {
		memcpy(&key, fuzz.image[which].word, sizeof(key));
		return key;
	}
	return (struct ledger_key){{(uint64_t)take_byte() << 56 | which, (uint64_t)which << 57}};
}

static enum ledger_answer claim(
	struct ledger *ledger, struct ledger_key key, struct ledger_claim *ret_claim)
{
	int64_t now_ms = fuzz.now_ms, until_ms = 0, end_ms = take_time();
	enum ledger_answer answer = ledger_claim(ledger, key, now_ms, end_ms, ret_claim, &until_ms);

	now_ms = now_ms < 0 ? 0 : now_ms > LEDGER_TIME_MAX_MS ? LEDGER_TIME_MAX_MS : now_ms;
	if (answer == LEDGER_ACCEPTED)
		FUZZ_CHECK(may_be_accepted(key));
	if (answer == LEDGER_BUSY)
		FUZZ_CHECK(until_ms > now_ms && until_ms - now_ms <= 2 * LEDGER_CLAIM_MAX_MS);
	if (answer == LEDGER_CLAIMED && ret_claim->meta)
		FUZZ_CHECK(ret_claim->slot < (fuzz.bytes - LEDGER_HEADER_BYTES) / 32);
	return answer;
}

/* Accepts, and demands that it is there if there was any room. */
static void accept(struct ledger *ledger, struct ledger_key key, struct ledger_claim claimed)
{
	uint64_t cut_short = ledger->cut_short;
	struct ledger_claim unused;
	int64_t until_ms;

	fuzz.accepted[fuzz.accepted_count++] = key;
	ledger_accept(ledger, key, claimed, fuzz.now_ms);
	if (ledger->cut_short == cut_short)
		FUZZ_CHECK(ledger_claim(ledger, key, fuzz.now_ms, fuzz.now_ms, &unused,
				   &until_ms) == LEDGER_ACCEPTED);
}

static void count(const struct ledger *ledger)
{
	struct ledger_stats stats;

	ledger_count(ledger, fuzz.now_ms, &stats);
	FUZZ_CHECK(stats.slots == (fuzz.bytes - LEDGER_HEADER_BYTES) / 256 * 8);
	FUZZ_CHECK(stats.accepted + stats.claimed + stats.damaged <= stats.slots);
	FUZZ_CHECK(ledger_fill_permille(ledger, fuzz.now_ms, take_byte()) <= 1000);
}

static void make_calls(struct ledger *ledger)
{
	struct {
		struct ledger_key key;
		struct ledger_claim claim;
	} claims[CLAIMS] = {{{{0}}, {0}}};

	for (int calls = 0; calls < CALLS_MAX && fuzz.left > 0; calls++) {
		uint8_t call = take_byte();
		size_t i = call / 8 % CLAIMS;
		struct ledger_claim claimed;

		switch (call % 8) {
		case 0:
			count(ledger);
			break;
		case 1:
			fuzz.now_ms = take_time();
			break;
		case 2:
			ledger_release(ledger, claims[i].key, claims[i].claim);
			break;
		case 3:
			accept(ledger, claims[i].key, claims[i].claim);
			break;
		case 4:
			accept(ledger, take_key(), (struct ledger_claim){0});
			break;
		default:
			claims[i].key = take_key();
			claims[i].claim = (struct ledger_claim){0};
			if (claim(ledger, claims[i].key, &claimed) == LEDGER_CLAIMED)
				claims[i].claim = claimed;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf reason = BUF_INIT(1000);
	struct ledger ledger;
	int64_t window_ms;
	int err;

	memset(&fuzz, 0, sizeof(fuzz));
	fuzz.data = data;
	fuzz.left = size;
	fuzz.now_ms = NOW;
	make_header();
	window_ms = take_byte() % 4 == 0 ? LEDGER_WINDOW_MAX_MS : take_byte() * INT64_C(1000) + 1;
	fuzz.image_count = take_byte() % (IMAGE_MAX + 1);
	for (size_t i = 0; i < fuzz.image_count; i++)
		make_slot(&fuzz.image[i]);
	err = ledger_file.check(NULL, fuzz.memory, fuzz.bytes, &reason);
	FUZZ_CHECK(err == 0 || (err == ERR_SYNTAX && reason.len > 0));
	FUZZ_CHECK(ledger_attach(fuzz.memory, fuzz.bytes, window_ms, &ledger) ==
		   (err ? ERR_ARGUMENT : 0));
	if (err == 0)
		make_calls(&ledger);
	buf_free(&reason);
	free(fuzz.memory);
	return 0;
}
