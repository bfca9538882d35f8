#include "aws/credentials.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const *environment; /* name, value, ..., NULL */

static const char *lookup(const char *name)
{
	for (size_t i = 0; environment[i] != NULL; i += 2) {
		if (strcmp(environment[i], name) == 0)
			return environment[i + 1];
	}
	return NULL;
}

/* A provider that does what it is told, and counts. */
struct fake {
	int err;
	const char *id, *reason;
	int64_t expires_epoch_ms;
	unsigned gets, frees;
};

static int fake_get(void *impl, struct credentials_set *ret_set, char *reason, size_t reason_bytes)
{
	struct fake *fake = impl;

	fake->gets++;
	assert_string_equal(ret_set->access_key_id, "");
	if (fake->err != 0) {
		snprintf(reason, reason_bytes, "%s", fake->reason != NULL ? fake->reason : "");
		return fake->err;
	}
	strcpy(ret_set->access_key_id, fake->id);
	strcpy(ret_set->secret_access_key, "secret");
	ret_set->expires_epoch_ms = fake->expires_epoch_ms;
	return 0;
}

static void fake_free(void *impl)
{
	((struct fake *)impl)->frees++;
}

static struct credentials_provider fake_provider(const char *name, struct fake *fake)
{
	return (struct credentials_provider){
		.name = name, .get = fake_get, .free = fake_free, .impl = fake};
}

static struct credentials *chain_of(struct fake fakes[], size_t count)
{
	static const char *const names[] = {"first", "second", "third"};
	struct credentials_provider providers[3];
	struct credentials *credentials;

	for (size_t i = 0; i < count; i++)
		providers[i] = fake_provider(names[i], &fakes[i]);
	assert_int_equal(credentials_new(providers, count, &credentials), 0);
	return credentials;
}

static void first_provider_that_has_keys_is_kept(void **state)
{
	struct fake fakes[] = {{.err = ERR_NOT_FOUND}, {.id = "B"}, {.id = "C"}};
	struct credentials *credentials = chain_of(fakes, 3);
	const struct credentials_set *set;

	assert_string_equal(credentials_source(credentials), "none");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(credentials_get(credentials, &set, NULL, 0), 0);
		assert_string_equal(set->access_key_id, "B");
		assert_int_equal(set->generation, 1);
	}
	assert_string_equal(credentials_source(credentials), "second");
	assert_int_equal(fakes[0].gets, 1);
	assert_int_equal(fakes[1].gets, 1);
	assert_int_equal(fakes[2].gets, 0);
	credentials_free(credentials);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(fakes[i].frees, 1);
}

static void expiring_keys_are_asked_for_again(void **state)
{
	struct fake fakes[] = {{.id = "A", .expires_epoch_ms = 1000}};
	struct credentials *credentials = chain_of(fakes, 1);
	const struct credentials_set *set;
	char reason[100];

	assert_int_equal(credentials_get(credentials, &set, NULL, 0), 0);
	assert_int_equal(credentials_get(credentials, &set, NULL, 0), 0);
	assert_int_equal(set->generation, 1);
	assert_int_equal(fakes[0].gets, 2);
	fakes[0].id = "B";
	assert_int_equal(credentials_get(credentials, &set, NULL, 0), 0);
	assert_string_equal(set->access_key_id, "B");
	assert_int_equal(set->generation, 2);
	fakes[0].err = ERR_TIMEOUT;
	assert_int_equal(credentials_get(credentials, &set, reason, sizeof(reason)), ERR_TIMEOUT);
	assert_string_equal(reason, "first: timed out");
	fakes[0].err = ERR_NOT_FOUND;
	assert_int_equal(
		credentials_get(credentials, &set, reason, sizeof(reason)), ERR_NO_CREDENTIALS);
	assert_string_equal(reason, "first: no longer configured");
	credentials_free(credentials);
}

static void another_error_ends_the_search(void **state)
{
	struct fake fakes[] = {
		{.err = ERR_NOT_FOUND}, {.err = ERR_IO, .reason = "why"}, {.id = "C"}};
	struct credentials *credentials = chain_of(fakes, 3);
	const struct credentials_set *set = NULL;
	char reason[100];

	assert_int_equal(credentials_get(credentials, &set, reason, sizeof(reason)), ERR_IO);
	assert_string_equal(reason, "second: why");
	assert_null(set);
	assert_string_equal(credentials_source(credentials), "none");
	fakes[1].err = ERR_NOT_FOUND;
	assert_int_equal(credentials_get(credentials, &set, NULL, 0), 0);
	assert_string_equal(set->access_key_id, "C");
	credentials_free(credentials);
}

static void nothing_found_names_what_was_tried(void **state)
{
	struct fake fakes[] = {{.err = ERR_NOT_FOUND}, {.err = ERR_NOT_FOUND}};
	struct credentials *credentials = chain_of(fakes, 2);
	const struct credentials_set *set;
	char reason[100], small[12];

	assert_int_equal(
		credentials_get(credentials, &set, reason, sizeof(reason)), ERR_NO_CREDENTIALS);
	assert_string_equal(reason, "no AWS credentials found; tried: first, second");
	assert_int_equal(
		credentials_get(credentials, &set, small, sizeof(small)), ERR_NO_CREDENTIALS);
	assert_string_equal(small, "no AWS cred");
	credentials_free(credentials);
	assert_int_equal(credentials_new(NULL, 0, &credentials), 0);
	assert_int_equal(credentials_get(credentials, &set, NULL, 0), ERR_NO_CREDENTIALS);
	credentials_free(credentials);
	credentials_free(NULL);
}

static void static_keys(void **state)
{
	char long_key[CREDENTIALS_KEY_MAX + 1];
	struct credentials_provider provider;
	struct credentials *credentials;
	const struct credentials_set *set;

	memset(long_key, 'k', CREDENTIALS_KEY_MAX);
	long_key[CREDENTIALS_KEY_MAX] = '\0';
	assert_int_equal(credentials_static(long_key, "s", NULL, &provider), ERR_ARGUMENT);
	assert_int_equal(credentials_static("id", long_key, NULL, &provider), ERR_ARGUMENT);
	assert_int_equal(credentials_static("id", NULL, NULL, &provider), ERR_ARGUMENT);
	assert_int_equal(credentials_static("id", "", NULL, &provider), ERR_ARGUMENT);
	assert_int_equal(credentials_static(long_key + 1, "s", "t", &provider), 0);
	assert_string_equal(provider.name, "static");
	assert_int_equal(credentials_new(&provider, 1, &credentials), 0);
	assert_int_equal(credentials_get(credentials, &set, NULL, 0), 0);
	assert_string_equal(set->access_key_id, long_key + 1);
	assert_string_equal(set->secret_access_key, "s");
	assert_string_equal(set->session_token, "t");
	assert_int_equal(set->expires_epoch_ms, 0);
	credentials_free(credentials);
	assert_int_equal(credentials_static(NULL, NULL, NULL, &provider), 0);
	assert_int_equal(credentials_new(&provider, 1, &credentials), 0);
	assert_int_equal(credentials_get(credentials, &set, NULL, 0), ERR_NO_CREDENTIALS);
	credentials_free(credentials);
}

static int environment_get(const char *const variables[], struct credentials_set *ret_set,
	char *reason, size_t reason_bytes)
{
	struct credentials_provider provider;
	struct credentials *credentials;
	const struct credentials_set *set;
	int err;

	environment = variables;
	assert_int_equal(credentials_environment(lookup, &provider), 0);
	assert_int_equal(credentials_new(&provider, 1, &credentials), 0);
	err = credentials_get(credentials, &set, reason, reason_bytes);
	if (err == 0)
		*ret_set = *set;
	credentials_free(credentials);
	return err;
}

static void environment_keys(void **state)
{
	static const char *const all[] = {"AWS_ACCESS_KEY_ID", "AKID", "AWS_SECRET_ACCESS_KEY",
		"secret/+", "AWS_SESSION_TOKEN", "token", NULL};
	static const char *const empty_token[] = {"AWS_ACCESS_KEY_ID", "AKID",
		"AWS_SECRET_ACCESS_KEY", "secret", "AWS_SESSION_TOKEN", "", NULL};
	struct credentials_set set;
	char reason[200];

	assert_int_equal(environment_get(all, &set, reason, sizeof(reason)), 0);
	assert_string_equal(set.access_key_id, "AKID");
	assert_string_equal(set.secret_access_key, "secret/+");
	assert_string_equal(set.session_token, "token");
	assert_int_equal(environment_get(empty_token, &set, reason, sizeof(reason)), 0);
	assert_string_equal(set.session_token, "");
}

static void environment_mistakes(void **state)
{
	static char long_value[CREDENTIALS_TOKEN_MAX + 1];
	const struct {
		const char *variables[7];
		const char *reason;
	} cases[] = {
		{{NULL}, "no AWS credentials found; tried: environment"},
		{{"AWS_ACCESS_KEY_ID", "", "AWS_SECRET_ACCESS_KEY", "s", NULL},
			"no AWS credentials found; tried: environment"},
		{{"AWS_SECRET_ACCESS_KEY", "s", NULL},
			"no AWS credentials found; tried: environment"},
		{{"AWS_ACCESS_KEY_ID", "id", NULL},
			"environment: AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not"},
		{{"AWS_ACCESS_KEY_ID", "id", "AWS_SECRET_ACCESS_KEY", "", NULL},
			"environment: AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not"},
		{{"AWS_ACCESS_KEY_ID", long_value, NULL},
			"environment: AWS_ACCESS_KEY_ID is longer than 255 bytes"},
		{{"AWS_ACCESS_KEY_ID", "id", "AWS_SECRET_ACCESS_KEY", "s", "AWS_SESSION_TOKEN",
			 long_value, NULL},
			"environment: AWS_SESSION_TOKEN is longer than 8191 bytes"},
		{{"AWS_ACCESS_KEY_ID", "id\n", "AWS_SECRET_ACCESS_KEY", "s", NULL},
			"environment: a blank or control character in the access key id"},
		{{"AWS_ACCESS_KEY_ID", "id", "AWS_SECRET_ACCESS_KEY", "s", "AWS_SESSION_TOKEN",
			 "a\r\nX: y", NULL},
			"environment: a blank or control character in the session token"},
	};

	memset(long_value, 'x', CREDENTIALS_TOKEN_MAX);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct credentials_set set;
		char reason[200];

		assert_int_equal(environment_get(cases[i].variables, &set, reason, sizeof(reason)),
			ERR_NO_CREDENTIALS);
		assert_string_equal(reason, cases[i].reason);
	}
}

static void wiped_is_all_zero(void **state)
{
	static const struct credentials_set zero;
	struct credentials_set set;

	memset(&set, 0x55, sizeof(set));
	credentials_wipe(&set);
	assert_memory_equal(&set, &zero, sizeof(set));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_provider_that_has_keys_is_kept),
		cmocka_unit_test(expiring_keys_are_asked_for_again),
		cmocka_unit_test(another_error_ends_the_search),
		cmocka_unit_test(nothing_found_names_what_was_tried),
		cmocka_unit_test(static_keys),
		cmocka_unit_test(environment_keys),
		cmocka_unit_test(environment_mistakes),
		cmocka_unit_test(wiped_is_all_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
