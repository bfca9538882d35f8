/*
 * Signatures of webhooks, against the vector that the Standard Webhooks libraries share and against
 * values made with another implementation (Python's hmac).
 */
#include "bunshin/error.h"
#include "signing/webhook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define SECRET_64                                                    \
	"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUm" \
	"JygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
#define ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define BODY "{\"test\": 2432232314}"
#define TIME 1614265330
#define V1 "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define V1_64 "v1,LZ5zuwHTqQH3VM8ERUusjzVQq1FXzemvpR8Mk7Ivp5c="
/* By the secret "It's a Secret to Everybody", the example of a well-known code host. */
#define HELLO_HEX "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
#define SHA512_BASE64                                  \
	"p9jLtbfh6v4IUAaOrvXFjdQ4nMg1Ru3j5Z1To0raLO1R" \
	"S6r5jH9GBvz5bXHgjU5nuoiDmhY5gFSWD52/2vTgow=="
#define SHA512_OTHER                                   \
	"iz43nozn06bRglU++mdpESQGkDtvM/1q7A4jX+GlQmsW" \
	"4LoxGMDTlPoaScTHImrOCB2vBxV+a5RcjWsx7wCGiA=="

static void add_secret(struct webhook_keys *keys, const char *text)
{
	unsigned char key[WEBHOOK_SECRET_BYTES_MAX];
	size_t bytes;

	assert_int_equal(webhook_secret_decode(text, key, &bytes), 0);
	assert_int_equal(hmac_key_new(HMAC_SHA256, key, bytes, &keys->keys[keys->count]), 0);
	keys->count++;
}

static void add_text(struct webhook_keys *keys, enum hmac_algorithm algorithm, const char *text)
{
	assert_int_equal(hmac_key_new(algorithm, text, strlen(text), &keys->keys[keys->count]), 0);
	keys->count++;
}

static void test_vector(void **state)
{
	struct buf out = BUF_INIT(WEBHOOK_SIGNATURE_MAX);
	struct webhook_keys keys = {.count = 0};

	(void)state;
	add_secret(&keys, SECRET);
	/* A key signs any number of texts. */
	for (int i = 0; i < 3; i++) {
		buf_clear(&out);
		assert_int_equal(webhook_sign(&keys, ID, TIME, BODY, strlen(BODY), &out), 0);
		assert_string_equal(buf_string(&out), V1);
	}
	webhook_keys_free(&keys);
	assert_int_equal(keys.count, 0);
	webhook_keys_free(&keys);
	buf_free(&out);
}

static void test_rotation(void **state)
{
	struct buf out = BUF_INIT(WEBHOOK_SIGNATURE_MAX);
	struct webhook_keys keys = {.count = 0};

	(void)state;
	add_secret(&keys, SECRET_64);
	add_secret(&keys, SECRET);
	assert_int_equal(webhook_sign(&keys, ID, TIME, BODY, strlen(BODY), &out), 0);
	assert_string_equal(buf_string(&out), V1_64 " " V1);
	webhook_keys_free(&keys);
	buf_free(&out);
}

static void test_ids(void **state)
{
	struct buf out = BUF_INIT(WEBHOOK_SIGNATURE_MAX);
	struct webhook_keys keys = {.count = 0};

	(void)state;
	add_secret(&keys, SECRET);
	assert_int_equal(webhook_sign(&keys, "a.b", TIME, BODY, 1, &out), ERR_ARGUMENT);
	assert_int_equal(webhook_sign(&keys, ".", TIME, BODY, 1, &out), ERR_ARGUMENT);
	assert_int_equal(webhook_sign(&keys, "", TIME, BODY, 1, &out), ERR_ARGUMENT);
	assert_int_equal(out.len, 0);
	assert_int_equal(webhook_sign(&keys, "a", TIME, "", 0, &out), 0);
	assert_int_equal(out.len, strlen("v1,") + 44);
	webhook_keys_free(&keys);
	buf_free(&out);
}

static void test_secrets(void **state)
{
	static const struct {
		const char *text;
		int err;
		size_t bytes;
	} cases[] = {
		{SECRET, 0, 24},
		{"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 0, 24},
		{SECRET_64, 0, 64},
		{"", ERR_LIMIT, 0},
		{"whsec_", ERR_LIMIT, 0},
		{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaQ=", ERR_LIMIT, 0}, /* 23 bytes */
		{"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUm"
		 "JygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0A=",
			ERR_LIMIT, 0}, /* 65 bytes */
		{SECRET_64 "AAAA", ERR_LIMIT, 0},
		{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", ERR_SYNTAX, 0},
		{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-w", ERR_SYNTAX, 0},
		{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2 aLaSw", ERR_SYNTAX, 0},
		{"whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw1234", ERR_SYNTAX, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned char key[WEBHOOK_SECRET_BYTES_MAX];
		static const unsigned char wiped[WEBHOOK_SECRET_BYTES_MAX];
		size_t bytes = 0;

		memset(key, 'k', sizeof(key));
		assert_int_equal(webhook_secret_decode(cases[i].text, key, &bytes), cases[i].err);
		assert_int_equal(bytes, cases[i].bytes);
		if (cases[i].err)
			assert_memory_equal(key, wiped, sizeof(key));
	}
}

static void test_plain(void **state)
{
	struct buf out = BUF_INIT(WEBHOOK_SIGNATURE_MAX);
	struct webhook_keys keys = {.count = 0};

	(void)state;
	add_text(&keys, HMAC_SHA256, "It's a Secret to Everybody");
	assert_int_equal(
		webhook_sign_plain(&keys, WEBHOOK_HEX, "sha256=", -1, "Hello, World!", 13, &out),
		0);
	assert_string_equal(buf_string(&out), "sha256=" HELLO_HEX);
	webhook_keys_free(&keys);
	buf_clear(&out);
	add_text(&keys, HMAC_SHA512, "another secret");
	add_text(&keys, HMAC_SHA512, "It's a Secret to Everybody");
	assert_int_equal(
		webhook_sign_plain(&keys, WEBHOOK_BASE64, "", TIME, BODY, strlen(BODY), &out), 0);
	assert_string_equal(buf_string(&out), SHA512_BASE64 "," SHA512_OTHER);
	webhook_keys_free(&keys);
	buf_free(&out);
}

static void test_bounds(void **state)
{
	struct buf out = BUF_INIT(20);
	struct webhook_keys keys = {.count = 0};
	struct hmac_key *key;

	(void)state;
	assert_int_equal(hmac_key_new(HMAC_SHA256, "", 0, &key), ERR_ARGUMENT);
	add_secret(&keys, SECRET);
	assert_int_equal(webhook_sign(&keys, ID, TIME, BODY, 1, &out), ERR_TOO_LARGE);
	webhook_keys_free(&keys);
	buf_free(&out);
	hmac_key_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vector),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
