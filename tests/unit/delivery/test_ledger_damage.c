/* The ledger's entries and its file, damaged in every way. */
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
#include <unistd.h>

#include <cmocka.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(every_bit_flipped),
		CASE(every_word_overwritten),
		CASE(every_mixture_of_entries),
		CASE(a_table_of_noise),
		CASE(an_entry_of_another_file),
		CASE(refused_files),
		CASE(every_bit_of_the_header_counts),
		CASE(attaching),
		CASE(in_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
