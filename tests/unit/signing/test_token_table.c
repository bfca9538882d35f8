/*
 * The table of tokens: what readers see, who may make the next, and, for a writer that dies after
 * every byte it writes, that the former token is read on and another can make the next.
 */
#include "bunshin/error.h"
#include "signing/token_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1800000000000)
#define HOUR INT64_C(3600000)

static const uint8_t me[TOKEN_IDENTITY_BYTES] = "a key", other[TOKEN_IDENTITY_BYTES] = "another";

static void *new_memory(void)
{
	void *memory = calloc(1, TOKEN_FILE_BYTES);

	assert_non_null(memory);
	assert_int_equal(token_file.format(NULL, memory, TOKEN_FILE_BYTES), 0);
	return memory;
}

static struct token make(int64_t made, const char *text)
{
	struct token token = {.made_epoch_ms = made, .ends_epoch_ms = made + HOUR};

	snprintf(token.text, sizeof(token.text), "%s", text);
	return token;
}

static void publish(struct token_slot *slot, const uint8_t *identity, int64_t now, const char *text)
{
	struct token token = make(now, text);
	uint64_t claim = token_claim(slot, now, now + 2000, 7);

	assert_int_not_equal(claim, 0);
	assert_true(token_publish(slot, identity, claim, &token));
}

static void assert_token(const struct token_slot *slot, int64_t now, const char *text)
{
	struct token token;

	assert_true(token_read(slot, me, now, &token));
	assert_string_equal(token.text, text);
}

static void assert_none(const struct token_slot *slot, const uint8_t *identity, int64_t now)
{
	static const struct token wiped;
	struct token token = make(now, "left over");

	assert_false(token_read(slot, identity, now, &token));
	assert_memory_equal(&token, &wiped, sizeof(token));
}

static void test_life(void **state)
{
	void *memory = new_memory();
	struct token_slot *slot = token_slot_of(memory, TOKEN_FILE_BYTES, me, NOW);
	uint64_t version = token_version(slot);

	(void)state;
	assert_ptr_equal(token_slot_of(memory, TOKEN_FILE_BYTES, me, NOW), slot);
	assert_ptr_not_equal(token_slot_of(memory, TOKEN_FILE_BYTES, other, NOW), slot);
	assert_none(slot, me, NOW);
	publish(slot, me, NOW, "first");
	assert_int_not_equal(token_version(slot), version);
	assert_token(slot, NOW, "first");
	assert_token(slot, NOW + HOUR - 1, "first");
	assert_none(slot, me, NOW + HOUR);
	assert_none(slot, other, NOW);
	/* The clock was wrong when it was made. */
	assert_token(slot, NOW - 60000, "first");
	assert_none(slot, me, NOW - 60001);
	publish(slot, me, NOW + 5, "second");
	assert_token(slot, NOW + 5, "second");
	publish(slot, me, NOW + 9, "third");
	assert_token(slot, NOW + 9, "third");
	free(memory);
}

static void test_claims(void **state)
{
	void *memory = new_memory();
	struct token_slot *slot = token_slot_of(memory, TOKEN_FILE_BYTES, me, NOW);
	struct token token = make(NOW, "mine");
	uint64_t mine, theirs;

	(void)state;
	mine = token_claim(slot, NOW, NOW + 2000, 1);
	assert_int_not_equal(mine, 0);
	assert_int_equal(token_claim(slot, NOW, NOW + 2000, 2), 0);
	assert_int_equal(token_claim(slot, NOW + 1999, NOW + 3999, 2), 0);
	/* It has ended: another has it, and what the first still does is nothing. */
	theirs = token_claim(slot, NOW + 2000, NOW + 4000, 2);
	assert_int_not_equal(theirs, 0);
	assert_false(token_publish(slot, me, mine, &token));
	token_unclaim(slot, mine);
	assert_int_equal(token_claim(slot, NOW + 2001, NOW + 4001, 3), 0);
	assert_none(slot, me, NOW + 2001);
	token_unclaim(slot, theirs);
	mine = token_claim(slot, NOW + 2001, NOW + 4001, 3);
	assert_int_not_equal(mine, 0);
	/* The clock was set back by a day: a claim of the future holds nobody up. */
	assert_int_not_equal(token_claim(slot, NOW - 24 * HOUR, NOW - 24 * HOUR + 2000, 4), 0);
	free(memory);
}

/* Whoever died, before the claim of `before` has ended: the token is `text`; then goes on. */
static void assert_usable(void *memory, const char *text)
{
	struct token_slot *slot = token_slot_of(memory, TOKEN_FILE_BYTES, me, NOW);

	assert_token(slot, NOW + 100, text);
	assert_int_equal(token_claim(slot, NOW + 100, NOW + 2100, 9), 0);
	publish(slot, me, NOW + 2000, "after");
	assert_token(slot, NOW + 2000, "after");
}

static void test_death_of_the_writer(void **state)
{
	void *before = new_memory(), *after = malloc(TOKEN_FILE_BYTES);
	void *memory = malloc(TOKEN_FILE_BYTES);
	struct token_slot *slot = token_slot_of(before, TOKEN_FILE_BYTES, me, NOW);
	size_t offset = (size_t)((char *)slot - (char *)before);
	struct token token = make(NOW, "the-second-token,-longer-than-the-first");
	const size_t copies = TOKEN_SLOT_BYTES - 2 * TOKEN_COPY_BYTES;
	uint64_t claim;

	(void)state;
	assert_non_null(after);
	assert_non_null(memory);
	publish(slot, me, NOW - 1000, "first");
	claim = token_claim(slot, NOW, NOW + 2000, 5);
	memcpy(after, before, TOKEN_FILE_BYTES);
	assert_true(token_publish(
		(struct token_slot *)(void *)((char *)after + offset), me, claim, &token));
	/* It writes one copy, from any end, then the version, then the claim. */
	for (size_t cut = 0; cut <= 2 * TOKEN_COPY_BYTES; cut++) {
		memcpy(memory, before, TOKEN_FILE_BYTES);
		memcpy((char *)memory + offset + copies, (char *)after + offset + copies, cut);
		assert_usable(memory, "first");
		memcpy(memory, before, TOKEN_FILE_BYTES);
		memcpy((char *)memory + offset + copies + cut,
			(char *)after + offset + copies + cut, 2 * TOKEN_COPY_BYTES - cut);
		assert_usable(memory, "first");
	}
	memcpy(memory, after, TOKEN_FILE_BYTES);
	memcpy((char *)memory + offset + 8, (char *)before + offset + 8, 8); /* the claim stays */
	assert_usable(memory, "the-second-token,-longer-than-the-first");
	free(before);
	free(after);
	free(memory);
}

/* Any byte of the copy in force: the token is whole, or there is none and the next can be made. */
static void test_damage(void **state)
{
	void *before = new_memory(), *memory = malloc(TOKEN_FILE_BYTES);
	struct token_slot *slot = token_slot_of(before, TOKEN_FILE_BYTES, me, NOW);
	size_t offset = (size_t)((char *)slot - (char *)before);

	(void)state;
	assert_non_null(memory);
	publish(slot, me, NOW, "a token");
	for (size_t at = 8; at < TOKEN_SLOT_BYTES; at++) {
		struct token_slot *damaged = (struct token_slot *)(void *)((char *)memory + offset);
		struct token token;

		memcpy(memory, before, TOKEN_FILE_BYTES);
		((unsigned char *)memory)[offset + at] ^= 0xff;
		if (token_read(damaged, me, NOW, &token))
			assert_string_equal(token.text, "a token");
		publish(damaged, me, NOW + TOKEN_CLAIM_MAX_MS, "next");
		assert_token(damaged, NOW + TOKEN_CLAIM_MAX_MS, "next");
	}
	free(before);
	free(memory);
}

static void test_texts(void **state)
{
	void *memory = new_memory();
	struct token_slot *slot = token_slot_of(memory, TOKEN_FILE_BYTES, me, NOW);
	struct token token = make(NOW, "");
	struct token read;

	(void)state;
	publish(slot, me, NOW, "");
	assert_none(slot, me, NOW);
	publish(slot, me, NOW, "two words");
	assert_none(slot, me, NOW);
	publish(slot, me, NOW, "two\r\nlines");
	assert_none(slot, me, NOW);
	memset(token.text, 'x', TOKEN_TEXT_MAX);
	assert_true(token_publish(slot, me, token_claim(slot, NOW, NOW + 1, 1), &token));
	assert_true(token_read(slot, me, NOW, &read));
	assert_int_equal(strlen(read.text), TOKEN_TEXT_MAX);
	free(memory);
}

static void test_slots(void **state)
{
	void *memory = new_memory();
	uint8_t identity[TOKEN_IDENTITY_BYTES] = {0};

	(void)state;
	for (int i = 0; i < TOKEN_SLOTS; i++) {
		memcpy(identity, &(int){i + 5}, sizeof(int));
		publish(token_slot_of(memory, TOKEN_FILE_BYTES, identity, NOW), identity, NOW, "x");
	}
	assert_null(token_slot_of(memory, TOKEN_FILE_BYTES, me, NOW));
	assert_null(token_slot_of(memory, TOKEN_FILE_BYTES, me, NOW + 25 * HOUR));
	/* A day after their end they go to others, who read nothing of what was there. */
	assert_non_null(token_slot_of(memory, TOKEN_FILE_BYTES, me, NOW + 25 * HOUR + 1));
	assert_none(token_slot_of(memory, TOKEN_FILE_BYTES, me, NOW + 25 * HOUR + 1), me, NOW);
	assert_null(token_slot_of(memory, TOKEN_FILE_BYTES - 1, me, NOW));
	free(memory);
}

static void test_check(void **state)
{
	unsigned char *memory = new_memory();
	struct buf reason = BUF_INIT(1024);

	(void)state;
	assert_int_equal(token_file.check(NULL, memory, TOKEN_FILE_BYTES, &reason), 0);
	assert_int_equal(reason.len, 0);
	for (size_t at = 0; at < 24; at++) {
		memory[at] ^= 1;
		assert_int_equal(
			token_file.check(NULL, memory, TOKEN_FILE_BYTES, &reason), ERR_SYNTAX);
		memory[at] ^= 1;
	}
	assert_int_equal(token_file.check(NULL, memory, TOKEN_FILE_BYTES - 1, &reason), ERR_SYNTAX);
	assert_int_equal(token_file.format(NULL, memory, 10), ERR_ARGUMENT);
	buf_free(&reason);
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_death_of_the_writer),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
