/* The small providers, and what all of them share. */
#include "aws/credentials/provider.h"
#include "bunshin/error.h"
#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct credentials_set set;
static char reason[CREDENTIALS_REASON_MAX];

static int ask(const struct credentials_provider *provider)
{
	memset(&set, 0, sizeof(set));
	reason[0] = '\0';
	return provider->get(provider->impl, &set, NULL, NULL, reason);
}

static void static_keys(void **state)
{
	char id[] = "id", secret[] = "s", token[] = "t";
	struct credentials_provider provider;

	assert_int_equal(credentials_static(id, secret, token, &provider), 0);
	memset(id, 'x', 2);
	secret[0] = token[0] = 'x';
	assert_string_equal(provider.name, "static");
	assert_false(provider.outlives);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask(&provider), 0);
		assert_string_equal(set.access_key_id, "id");
		assert_string_equal(set.secret_access_key, "s");
		assert_string_equal(set.session_token, "t");
		assert_int_equal(set.expires_epoch_ms, 0);
	}
	provider.free(provider.impl);
	assert_int_equal(credentials_static("id", "s", NULL, &provider), 0);
	assert_int_equal(ask(&provider), 0);
	assert_string_equal(set.session_token, "");
	provider.free(provider.impl);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(credentials_static(i ? "" : NULL, NULL, NULL, &provider), 0);
		assert_int_equal(ask(&provider), ERR_NOT_FOUND);
		provider.free(provider.impl);
	}
}

static void static_keys_that_do_not_fit(void **state)
{
	static char long_key[CREDENTIALS_KEY_MAX + 1], long_token[CREDENTIALS_TOKEN_MAX + 1];
	struct credentials_provider provider;

	memset(long_key, 'k', CREDENTIALS_KEY_MAX);
	memset(long_token, 't', CREDENTIALS_TOKEN_MAX);
	assert_int_equal(credentials_static(long_key, "s", NULL, &provider), ERR_ARGUMENT);
	assert_int_equal(credentials_static("id", long_key, NULL, &provider), ERR_ARGUMENT);
	assert_int_equal(credentials_static("id", "s", long_token, &provider), ERR_ARGUMENT);
	assert_int_equal(credentials_static("id", NULL, NULL, &provider), ERR_ARGUMENT);
	assert_int_equal(credentials_static("id", "", NULL, &provider), ERR_ARGUMENT);
	assert_int_equal(
		credentials_static(long_key + 1, long_key + 1, long_token + 1, &provider), 0);
	assert_int_equal(ask(&provider), 0);
	assert_string_equal(set.access_key_id, long_key + 1);
	assert_string_equal(set.secret_access_key, long_key + 1);
	assert_string_equal(set.session_token, long_token + 1);
	provider.free(provider.impl);
}

static int open_static(void *arg)
{
	struct credentials_provider provider;
	int err = credentials_static("id", "s", "t", &provider);

	if (err == 0)
		provider.free(provider.impl);
	return err;
}

/* ---- the environment */

static const char *const *environment; /* name, value, ..., NULL */

static const char *lookup(const char *name)
{
	for (size_t i = 0; environment[i] != NULL; i += 2) {
		if (strcmp(environment[i], name) == 0)
			return environment[i + 1];
	}
	return NULL;
}

static int environment_ask(const char *const variables[])
{
	static const char *const none[] = {NULL};
	struct credentials_context context = {0};
	struct credentials_provider provider;
	struct aws_settings *settings;
	struct buf error = BUF_INIT(1000);
	int err;

	environment = none;
	assert_int_equal(aws_settings_load(lookup, &settings, &error), 0);
	context.settings = settings;
	assert_int_equal(credentials_environment(&context, &provider), 0);
	assert_string_equal(provider.name, "environment");
	/* Read when asked, not before. */
	environment = variables;
	err = ask(&provider);
	provider.free(provider.impl);
	aws_settings_free(settings);
	buf_free(&error);
	return err;
}

static void environment_keys(void **state)
{
	static const char *const all[] = {"AWS_ACCESS_KEY_ID", "AKID", "AWS_SECRET_ACCESS_KEY",
		"secret/+", "AWS_SESSION_TOKEN", "token", NULL};
	static const char *const empty_token[] = {"AWS_ACCESS_KEY_ID", "AKID",
		"AWS_SECRET_ACCESS_KEY", "secret", "AWS_SESSION_TOKEN", "", NULL};

	assert_int_equal(environment_ask(all), 0);
	assert_string_equal(set.access_key_id, "AKID");
	assert_string_equal(set.secret_access_key, "secret/+");
	assert_string_equal(set.session_token, "token");
	assert_int_equal(set.expires_epoch_ms, 0);
	assert_int_equal(environment_ask(empty_token), 0);
	assert_string_equal(set.session_token, "");
}

static void environment_mistakes(void **state)
{
	static char long_value[CREDENTIALS_TOKEN_MAX + 1];
	const struct {
		const char *variables[7];
		int err;
		const char *reason;
	} cases[] = {
		{{NULL}, ERR_NOT_FOUND, ""},
		{{"AWS_ACCESS_KEY_ID", "", "AWS_SECRET_ACCESS_KEY", "s", NULL}, ERR_NOT_FOUND, ""},
		{{"AWS_SECRET_ACCESS_KEY", "s", NULL}, ERR_NOT_FOUND, ""},
		{{"AWS_ACCESS_KEY_ID", "id", NULL}, ERR_NO_CREDENTIALS,
			"AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not"},
		{{"AWS_ACCESS_KEY_ID", "id", "AWS_SECRET_ACCESS_KEY", "", NULL}, ERR_NO_CREDENTIALS,
			"AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not"},
		{{"AWS_ACCESS_KEY_ID", long_value, NULL}, ERR_NO_CREDENTIALS,
			"AWS_ACCESS_KEY_ID is longer than 255 bytes"},
		{{"AWS_ACCESS_KEY_ID", "id", "AWS_SECRET_ACCESS_KEY", long_value, NULL},
			ERR_NO_CREDENTIALS, "AWS_SECRET_ACCESS_KEY is longer than 255 bytes"},
		{{"AWS_ACCESS_KEY_ID", "id", "AWS_SECRET_ACCESS_KEY", "s", "AWS_SESSION_TOKEN",
			 long_value, NULL},
			ERR_NO_CREDENTIALS, "AWS_SESSION_TOKEN is longer than 16383 bytes"},
	};

	memset(long_value, 'x', CREDENTIALS_TOKEN_MAX);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(environment_ask(cases[i].variables), cases[i].err);
		assert_string_equal(reason, cases[i].reason);
	}
}

/* ---- JSON */

static int read_json(const char *text)
{
	/* Not NUL-terminated, so that the sanitizer sees a step too far. */
	size_t len = strlen(text);
	char *bytes = malloc(len + 1);
	int err;

	memcpy(bytes, text, len);
	bytes = realloc(bytes, len ? len : 1);
	memset(&set, 0, sizeof(set));
	reason[0] = '\0';
	err = credentials_read_json(bytes, len, &set, reason, sizeof(reason));
	free(bytes);
	return err;
}

static void json_keys(void **state)
{
	/* The instance's, the container's, a process's; the least there is. */
	assert_int_equal(read_json("{\"Code\":\"Success\",\"LastUpdated\":\"2026-11-23T07:00:00Z\","
				   "\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"ASIA1\","
				   "\"SecretAccessKey\":\"a\\/b+c\\u003d\",\"Token\":\"tok\","
				   "\"Expiration\":\"2026-11-23T08:00:00Z\"}\n"),
		0);
	assert_string_equal(set.access_key_id, "ASIA1");
	assert_string_equal(set.secret_access_key, "a/b+c=");
	assert_string_equal(set.session_token, "tok");
	assert_int_equal(set.expires_epoch_ms, 1795420800000);
	assert_string_equal(set.account_id, "");
	assert_int_equal(
		read_json(
			"{\"RoleArn\":\"arn:x\",\"AccessKeyId\":\"ASIA2\","
			"\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"AccountId\":\"123456789012\","
			"\"Expiration\":\"2026-11-23T08:00:00.250+09:00\"}"),
		0);
	assert_string_equal(set.account_id, "123456789012");
	assert_int_equal(set.expires_epoch_ms, 1795420800250 - 9 * 3600 * 1000);
	assert_int_equal(read_json("{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\","
				   "\"SessionToken\":\"t2\",\"Token\":null,\"Expiration\":null}"),
		0);
	assert_string_equal(set.session_token, "t2");
	assert_int_equal(set.expires_epoch_ms, 0);
	assert_int_equal(read_json("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\"}"), 0);
	assert_string_equal(set.session_token, "");
	assert_string_equal(reason, "");
	/* Long past is not "never". */
	assert_int_equal(read_json("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\","
				   "\"Expiration\":\"1970-01-01T00:00:00Z\"}"),
		0);
	assert_int_equal(set.expires_epoch_ms, 1);
	assert_int_equal(read_json("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\","
				   "\"Expiration\":\"0001-01-01T00:00:00Z\"}"),
		0);
	assert_int_equal(set.expires_epoch_ms, 1);
}

static void json_mistakes(void **state)
{
	static const struct credentials_set zero;
	static const struct {
		const char *text, *reason;
	} rows[] = {
		{"", "the answer is not JSON (byte 0)"},
		{"<html>hidden</html>", "the answer is not JSON (byte 0)"},
		{"{\"AccessKeyId\":\"hidden\",}", "the answer is not JSON (byte 24)"},
		{"[]", "the answer is not a JSON object"},
		{"\"hidden\"", "the answer is not a JSON object"},
		{"{}", "AccessKeyId is missing"},
		{"{\"AccessKeyId\":\"\",\"SecretAccessKey\":\"hidden\"}", "AccessKeyId is missing"},
		{"{\"AccessKeyId\":\"hidden\"}", "SecretAccessKey is missing"},
		{"{\"AccessKeyId\":\"hidden\",\"SecretAccessKey\":null}",
			"SecretAccessKey is missing"},
		{"{\"AccessKeyId\":\"hidden\",\"SecretAccessKey\":5}",
			"SecretAccessKey is not a text"},
		{"{\"AccessKeyId\":\"hidden\",\"SecretAccessKey\":\"hidden\\u0000\"}",
			"SecretAccessKey is not a text"},
		{"{\"AccessKeyId\":\"hidden\",\"SecretAccessKey\":\"s\",\"Token\":[\"hidden\"]}",
			"Token is not a text"},
		{"{\"AccessKeyId\":\"hidden\",\"SecretAccessKey\":\"s\","
		 "\"AccountId\":\"1234567890123456\"}",
			"AccountId is longer than 15 bytes"},
		{"{\"AccessKeyId\":\"hidden\",\"SecretAccessKey\":\"s\","
		 "\"Expiration\":\"hidden\"}",
			"Expiration is not a time like 2026-11-23T08:00:00Z"},
		{"{\"AccessKeyId\":\"hidden\",\"SecretAccessKey\":\"s\",\"Expiration\":\"\"}",
			"Expiration is not a time like 2026-11-23T08:00:00Z"},
		{"{\"AccessKeyId\":\"hidden\",\"SecretAccessKey\":\"s\","
		 "\"Expiration\":1795420800}",
			"Expiration is not a text"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(read_json(rows[i].text), ERR_PROTOCOL);
		assert_string_equal(reason, rows[i].reason);
		assert_memory_equal(&set, &zero, sizeof(set));
	}
}

static void json_of_every_length(void **state)
{
	static const struct {
		const char *member;
		size_t max;
	} rows[] = {
		{"AccessKeyId", CREDENTIALS_KEY_MAX - 1},
		{"SecretAccessKey", CREDENTIALS_KEY_MAX - 1},
		{"Token", CREDENTIALS_TOKEN_MAX - 1},
		{"SessionToken", CREDENTIALS_TOKEN_MAX - 1},
		{"AccountId", 15},
	};
	static char value[CREDENTIALS_TOKEN_MAX + 1], text[CREDENTIALS_TOKEN_MAX + 200];
	char expected[100];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(value, 0, sizeof(value));
		memset(value, 'v', rows[i].max);
		for (int over = 0; over < 2; over++) {
			value[rows[i].max] = over ? 'v' : '\0';
			snprintf(text, sizeof(text),
				"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"%s\":\"%s\"}",
				rows[i].member, value);
			assert_int_equal(read_json(text), over ? ERR_PROTOCOL : 0);
			snprintf(expected, sizeof(expected), "%s is longer than %zu bytes",
				rows[i].member, rows[i].max);
			assert_string_equal(reason, over ? expected : "");
		}
	}
}

static int read_one(void *arg)
{
	struct credentials_set keys = {0};
	char why[CREDENTIALS_REASON_MAX];

	return credentials_read_json(arg, strlen(arg), &keys, why, sizeof(why));
}

static void memory_fails(void **state)
{
	char text[] = "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\"}";

	failmalloc_sweep(open_static, NULL);
	failmalloc_sweep(read_one, text);
}

static void copies_what_fits(void **state)
{
	char field[4] = "old";

	assert_true(credentials_copy(field, sizeof(field), "abc"));
	assert_string_equal(field, "abc");
	assert_false(credentials_copy(field, sizeof(field), "defg"));
	assert_string_equal(field, "abc");
	assert_true(credentials_copy(field, sizeof(field), NULL));
	assert_string_equal(field, "");
}

static void wiped_is_all_zero(void **state)
{
	static const struct credentials_set zero;

	memset(&set, 0x55, sizeof(set));
	credentials_wipe(&set);
	assert_memory_equal(&set, &zero, sizeof(set));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(static_keys),
		cmocka_unit_test(static_keys_that_do_not_fit),
		cmocka_unit_test(environment_keys),
		cmocka_unit_test(environment_mistakes),
		cmocka_unit_test(json_keys),
		cmocka_unit_test(json_mistakes),
		cmocka_unit_test(json_of_every_length),
		cmocka_unit_test(memory_fails),
		cmocka_unit_test(copies_what_fits),
		cmocka_unit_test(wiped_is_all_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
