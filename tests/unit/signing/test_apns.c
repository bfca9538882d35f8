/*
 * The token of APNs in virtual time: one for all workers, renewed no more often than it may be,
 * whoever of them is alive.
 */
#include "bunshin/error.h"
#include "keys.h"
#include "signing/apns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW INT64_C(1800000000000)
#define MINUTE INT64_C(60000)
#define WORKERS 8

static struct jwt_key *key;

static int set_up(void **state)
{
	(void)state;
	return jwt_key_read(JWT_ES256, KEY_RFC_EC, strlen(KEY_RFC_EC), &key);
}

static int tear_down(void **state)
{
	(void)state;
	jwt_key_free(key);
	return 0;
}

static void open_worker(struct apns_tokens *worker, struct mapped_file *file)
{
	assert_int_equal(apns_tokens_init(worker, key, "ABC123DEFG", "DEF123GHIJ", 50 * MINUTE,
				 file->memory, file->bytes, NOW),
		0);
}

static struct mapped_file new_memory(void)
{
	struct mapped_file file;

	assert_int_equal(mapped_file_anonymous(TOKEN_FILE_BYTES, &token_file, NULL, &file), 0);
	return file;
}

static const char *get(struct apns_tokens *worker, int64_t now)
{
	const struct token *token = NULL;

	assert_int_equal(apns_tokens_get(worker, now, (uint64_t)now, &token), 0);
	return token->text;
}

static void test_form(void **state)
{
	struct token token;
	struct buf shown = BUF_INIT(1024);

	(void)state;
	assert_int_equal(apns_token_make(key, "ABC123DEFG", "DEF123GHIJ", NOW, &token), 0);
	/* {"alg":"ES256","kid":"ABC123DEFG"} . {"iss":"DEF123GHIJ","iat":1800000000} */
	assert_memory_equal(token.text,
		"eyJhbGciOiJFUzI1NiIsImtpZCI6IkFCQzEyM0RFRkcifQ."
		"eyJpc3MiOiJERUYxMjNHSElKIiwiaWF0IjoxODAwMDAwMDAwfQ.",
		47 + 51);
	assert_int_equal(strlen(token.text), 47 + 51 + 86);
	assert_int_equal(token.made_epoch_ms, NOW);
	assert_int_equal(token.ends_epoch_ms, NOW + 59 * MINUTE);
	assert_int_equal(apns_token_describe("ABC123DEFG", "DEF123GHIJ", NOW, &shown), 0);
	assert_string_equal(buf_string(&shown), "{\"alg\":\"ES256\",\"kid\":\"ABC123DEFG\"}."
						"{\"iss\":\"DEF123GHIJ\",\"iat\":1800000000}."
						"[hidden]");
	buf_free(&shown);
}

static void test_identities(void **state)
{
	uint8_t a[TOKEN_IDENTITY_BYTES], b[TOKEN_IDENTITY_BYTES];

	(void)state;
	apns_identity(key, "AB", "C", a);
	apns_identity(key, "A", "BC", b);
	assert_memory_not_equal(a, b, sizeof(a));
	apns_identity(key, "AB", "C", b);
	assert_memory_equal(a, b, sizeof(a));
}

/* A day of eight workers that each send every minute: one token every 50 minutes, the same for all.
 */
static void test_day(void **state)
{
	struct mapped_file file = new_memory();
	struct apns_tokens workers[WORKERS];
	char last[TOKEN_TEXT_MAX + 1] = "";
	int64_t changed = NOW - 50 * MINUTE;
	unsigned tokens = 0;

	(void)state;
	for (size_t i = 0; i < WORKERS; i++)
		open_worker(&workers[i], &file);
	for (int64_t now = NOW; now < NOW + 24 * 60 * MINUTE; now += MINUTE) {
		for (size_t i = 0; i < WORKERS; i++) {
			const char *text =
				get(&workers[(now / MINUTE + (int64_t)i) % WORKERS], now);

			if (strcmp(text, last) == 0)
				continue;
			assert_int_equal(now - changed, 50 * MINUTE);
			assert_int_equal(i, 0); /* the first makes it, all others read it */
			changed = now;
			tokens++;
			strcpy(last, text);
		}
	}
	assert_int_equal(tokens, 29);
	for (size_t i = 0; i < WORKERS; i++)
		apns_tokens_wipe(&workers[i]);
	mapped_file_close(&file);
}

/* A worker that died with the claim: the others send the former token, and renew two seconds later.
 */
static void test_death_with_the_claim(void **state)
{
	struct mapped_file file = new_memory();
	struct apns_tokens worker;
	const struct token *token;
	char first[TOKEN_TEXT_MAX + 1];

	(void)state;
	open_worker(&worker, &file);
	assert_int_not_equal(token_claim(worker.slot, NOW, NOW + 2000, 1), 0);
	assert_int_equal(apns_tokens_get(&worker, NOW, 2, &token), ERR_PENDING);
	assert_int_equal(apns_tokens_get(&worker, NOW + 1999, 2, &token), ERR_PENDING);
	strcpy(first, get(&worker, NOW + 2000));
	assert_int_not_equal(
		token_claim(worker.slot, NOW + 52 * MINUTE, NOW + 52 * MINUTE + 2000, 1), 0);
	assert_string_equal(get(&worker, NOW + 52 * MINUTE + 1999), first);
	assert_string_not_equal(get(&worker, NOW + 52 * MINUTE + 2000), first);
	apns_tokens_wipe(&worker);
	mapped_file_close(&file);
}

/* Clocks that are set: never a token that APNs would refuse, never two within the same instant. */
static void test_clock_that_is_set(void **state)
{
	struct mapped_file file = new_memory();
	struct apns_tokens worker;
	char first[TOKEN_TEXT_MAX + 1];

	(void)state;
	open_worker(&worker, &file);
	strcpy(first, get(&worker, NOW));
	assert_string_equal(get(&worker, NOW - MINUTE), first);
	assert_string_not_equal(get(&worker, NOW - 2 * MINUTE), first);
	strcpy(first, get(&worker, NOW - 2 * MINUTE));
	assert_string_not_equal(get(&worker, NOW + 600 * MINUTE), first);
	apns_tokens_wipe(&worker);
	mapped_file_close(&file);
}

/* Real processes at the same instant: each writes what it would send, and all wrote the same. */
static void test_race(void **state)
{
	struct mapped_file file = new_memory();
	size_t len = 47 + 51 + 86;
	char texts[WORKERS][512];

	(void)state;
	for (int round = 0; round < 20; round++) {
		int64_t now = NOW + round * 60 * MINUTE; /* the former has ended */
		int pipes[2];

		assert_int_equal(pipe(pipes), 0);
		for (size_t i = 0; i < WORKERS; i++) {
			pid_t pid = fork();

			assert_int_not_equal(pid, -1);
			if (pid == 0) {
				struct apns_tokens worker;
				const struct token *token = NULL;

				if (apns_tokens_init(&worker, key, "ABC123DEFG", "DEF123GHIJ",
					    50 * MINUTE, file.memory, file.bytes, now))
					_exit(1);
				while (apns_tokens_get(&worker, now, (uint64_t)getpid(), &token))
					;
				_exit(write(pipes[1], token->text, len) == (ssize_t)len ? 0 : 1);
			}
		}
		for (size_t i = 0; i < WORKERS; i++) {
			int status;

			assert_int_not_equal(wait(&status), -1);
			assert_int_equal(status, 0);
		}
		for (size_t i = 0; i < WORKERS; i++) {
			assert_int_equal(read(pipes[0], texts[i], len), len);
			assert_memory_equal(texts[i], texts[0], len);
		}
		close(pipes[0]);
		close(pipes[1]);
	}
	mapped_file_close(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_identities),
		cmocka_unit_test(test_day),
		cmocka_unit_test(test_death_with_the_claim),
		cmocka_unit_test(test_clock_that_is_set),
		cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
