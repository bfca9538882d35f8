/* The role of the instance: the way from the list to the keys, and everything that can stand in it.
 */
#include "metadata_world.h"

#include "bunshin/error.h"

#include <stdio.h>
#include <string.h>

#define EXTENDED "/latest/meta-data/iam/security-credentials-extended/"
#define PLAIN "/latest/meta-data/iam/security-credentials/"
#define KEYS                                                                                    \
	"{\"Code\":\"Success\",\"LastUpdated\":\"2026-01-02T03:00:00Z\",\"Type\":\"AWS-HMAC\"," \
	"\"AccessKeyId\":\"ASIAEXAMPLE\",\"SecretAccessKey\":\"secret\",\"Token\":\"token\","   \
	"\"Expiration\":\"2026-01-02T09:04:05Z\"}"
#define EXTENDED_KEYS                                                                     \
	"{\"Code\":\"Success\",\"AccountId\":\"123456789012\",\"AccessKeyId\":\"ASIAX\"," \
	"\"SecretAccessKey\":\"secret\",\"Token\":\"t\","                                 \
	"\"Expiration\":\"2026-01-02T09:04:05Z\"}"

static struct credentials_provider open_all(struct world *world)
{
	struct credentials_provider provider;

	world_open(world);
	world_load(world);
	assert_int_equal(credentials_instance(&world->context, &provider), 0);
	return provider;
}

static void close_all(struct world *world, struct credentials_provider *provider)
{
	provider->free(provider->impl);
	world_close(world);
}

static void assert_failed(const struct world_outcome *outcome, int err, const char *reason)
{
	static const struct credentials_set empty;

	if (outcome->err != err || strstr(outcome->reason, reason) == NULL)
		fail_msg("%s \"%s\"; not %s \"%s\"", error_name(outcome->err), outcome->reason,
			error_name(err), reason);
	assert_memory_equal(&outcome->set, &empty, sizeof(empty));
}

static void assert_path(const struct world *world, size_t i, const char *path)
{
	assert_string_equal(world->requests[i].method, "GET");
	assert_string_equal(world->requests[i].path, path);
	assert_string_equal(world->requests[i].token, "T");
}

static void test_extended_keys_name_the_account(void **state)
{
	struct world world;
	struct credentials_provider provider = open_all(&world);
	struct world_outcome outcome;

	assert_string_equal(provider.name, "instance metadata");
	assert_true(provider.outlives);
	world_token(&world, "T", NULL);
	world_answer(&world, 200, "my-role\n");
	world_answer(&world, 200, EXTENDED_KEYS);
	world_get(&world, &provider, &outcome);
	assert_int_equal(outcome.err, 0);
	assert_string_equal(outcome.set.access_key_id, "ASIAX");
	assert_string_equal(outcome.set.secret_access_key, "secret");
	assert_string_equal(outcome.set.session_token, "t");
	assert_string_equal(outcome.set.account_id, "123456789012");
	assert_string_equal(outcome.set.principal, "instance role my-role");
	assert_int_equal(outcome.set.expires_epoch_ms, WORLD_EPOCH_MS + 6 * 3600 * 1000);
	assert_path(&world, 1, EXTENDED);
	assert_path(&world, 2, EXTENDED "my-role");
	close_all(&world, &provider);
}

/* The role may be another one the next time, and the service another one too. */
static void test_role_is_looked_up_at_each_get(void **state)
{
	struct world world;
	struct credentials_provider provider = open_all(&world);
	struct world_outcome outcome;

	world_token(&world, "T", NULL);
	world_answer(&world, 404, NULL);
	world_answer(&world, 200, "first\nsecond");
	world_answer(&world, 200, KEYS);
	world_get(&world, &provider, &outcome);
	assert_int_equal(outcome.err, 0);
	assert_string_equal(outcome.set.access_key_id, "ASIAEXAMPLE");
	assert_string_equal(outcome.set.account_id, "");
	assert_string_equal(outcome.set.principal, "instance role first");
	world_answer(&world, 200, "other");
	world_answer(&world, 200, EXTENDED_KEYS);
	world_get(&world, &provider, &outcome);
	assert_int_equal(outcome.err, 0);
	assert_string_equal(outcome.set.principal, "instance role other");
	assert_path(&world, 1, EXTENDED);
	assert_path(&world, 2, PLAIN);
	assert_path(&world, 3, PLAIN "first");
	assert_path(&world, 4, EXTENDED);
	assert_path(&world, 5, EXTENDED "other");
	close_all(&world, &provider);
}

static void test_names_of_roles(void **state)
{
	static char longest[65], longer[66];
	static const struct {
		const char *list;
		bool good;
	} cases[] = {
		{"a", true},
		{"Az09_+=,.@-", true},
		{longest, true},
		{longer, false},
		{"two words", false},
		{"../../user-data", false},
		{"a/b", false},
		{"a?b", false},
		{"a%2f", false},
		{" a", false},
		{"a\tb", false},
		{"caf\xc3\xa9", false},
		{"\nsecond line", false},
		{"<html><body>", false},
		{"{\"Code\":\"Success\"}", false},
	};

	memset(longest, 'r', 64);
	memset(longer, 'r', 65);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world;
		struct credentials_provider provider = open_all(&world);
		struct world_outcome outcome;

		world_token(&world, "T", NULL);
		world_answer(&world, 200, cases[i].list);
		if (cases[i].good)
			world_answer(&world, 200, KEYS);
		world_get(&world, &provider, &outcome);
		if (cases[i].good)
			assert_int_equal(outcome.err, 0);
		else
			assert_failed(&outcome, ERR_PROTOCOL, "a role that is no role's name");
		close_all(&world, &provider);
	}
}

static void test_no_role_is_attached(void **state)
{
	struct world world;
	struct credentials_provider provider = open_all(&world);
	struct world_outcome outcome;

	world_token(&world, "T", NULL);
	world_answer(&world, 404, NULL);
	world_answer(&world, 404, NULL);
	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_NO_CREDENTIALS, "the EC2 instance has no role: attach");
	world_answer(&world, 200, "");
	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_NO_CREDENTIALS, "the EC2 instance has no role: attach");
	close_all(&world, &provider);
}

/* The role is replaced between the two requests. */
static void test_role_that_has_gone_is_listed_once_more(void **state)
{
	struct world world;
	struct credentials_provider provider = open_all(&world);
	struct world_outcome outcome;

	world_token(&world, "T", NULL);
	world_answer(&world, 200, "old");
	world_answer(&world, 404, NULL);
	world_answer(&world, 200, "new");
	world_answer(&world, 200, KEYS);
	world_get(&world, &provider, &outcome);
	assert_int_equal(outcome.err, 0);
	assert_string_equal(outcome.set.principal, "instance role new");

	world_answer(&world, 200, "old");
	world_answer(&world, 404, NULL);
	world_answer(&world, 200, "new");
	world_answer(&world, 404, NULL);
	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_UNAVAILABLE, "has no keys for role new (HTTP 404)");

	world_answer(&world, 200, "old");
	world_answer(&world, 404, NULL);
	world_answer(&world, 404, NULL);
	world_answer(&world, 404, NULL);
	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_NO_CREDENTIALS, "the EC2 instance has no role");
	close_all(&world, &provider);
}

static void test_documents(void **state)
{
	static char huge[70000];
	static const struct {
		const char *body;
		int err;
		const char *reason;
	} cases[] = {
		{KEYS, 0, NULL},
		{"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\"}", 0, NULL},
		{"{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"EC2 cannot assume\"}",
			ERR_UNAVAILABLE, "has no keys for role r: AssumeRoleUnauthorizedAccess"},
		{"{\"Code\":\"Failed \\u001b[2J\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":"
		 "\"s\"}",
			ERR_UNAVAILABLE, "has no keys for role r: Failed"},
		{"{\"Code\":\"\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\"}", ERR_UNAVAILABLE,
			"has no keys for role r: "},
		{"{\"Code\":\"Success\"}", ERR_PROTOCOL, "answer for role r: "},
		{"", ERR_PROTOCOL, "answer for role r: "},
		{"null", ERR_PROTOCOL, "answer for role r: "},
		{"[]", ERR_PROTOCOL, "answer for role r: "},
		{"{\"Code\":\"Success\",\"AccessKeyId\":\"A\"", ERR_PROTOCOL,
			"answer for role r: "},
		{"<html>503</html>", ERR_PROTOCOL, "answer for role r: "},
		{"\xff\xfe", ERR_PROTOCOL, "answer for role r: "},
		{huge, ERR_PROTOCOL, "is too large or no text"},
	};

	memset(huge, '[', sizeof(huge) - 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world;
		struct credentials_provider provider = open_all(&world);
		struct world_outcome outcome;

		world_token(&world, "T", NULL);
		world_answer(&world, 200, "r");
		world_answer(&world, 200, cases[i].body);
		world_get(&world, &provider, &outcome);
		if (cases[i].err == 0)
			assert_int_equal(outcome.err, 0);
		else
			assert_failed(&outcome, cases[i].err, cases[i].reason);
		assert_null(strchr(outcome.reason, '\x1b'));
		close_all(&world, &provider);
	}
}

/* What the metadata service says of itself is passed on as it is. */
static void test_errors_of_the_service(void **state)
{
	struct world world;
	struct credentials_provider provider = open_all(&world);
	struct world_outcome outcome;

	world_answer(&world, 403, NULL);
	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_REFUSED, "switched off for this instance");
	world_answer(&world, 404, NULL); /* of the token: it says nothing about the role */
	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_NOT_FOUND, "it is not EC2's metadata service");
	world_token(&world, "T", NULL);
	world_answer(&world, 200, "r");
	for (int i = 0; i < 3; i++)
		world_answer(&world, 500, NULL);
	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_UNAVAILABLE, EXTENDED "r with HTTP 500");
	close_all(&world, &provider);
}

static void test_not_on_ec2(void **state)
{
	struct world world;
	struct credentials_provider provider;
	struct world_outcome outcome;

	world_open(&world);
	variables_set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");
	world_load(&world);
	assert_int_equal(credentials_instance(&world.context, &provider), 0);
	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_NOT_FOUND, "this is no EC2 instance");
	close_all(&world, &provider);
	world_open(&world);
	variables_set("AWS_EC2_METADATA_DISABLED", "true");
	world_load(&world);
	assert_int_equal(credentials_instance(&world.context, &provider), 0);
	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_NOT_FOUND, "AWS_EC2_METADATA_DISABLED is true");
	close_all(&world, &provider);
}

/* After k requests, the last of them unanswered; cancel, then free, then free alone. */
static void test_cancel_and_free_in_each_phase(void **state)
{
	for (size_t requests = 0; requests <= 4; requests++) {
		for (int cancels = 0; cancels < 2; cancels++) {
			static const char *const bodies[] = {"T", NULL, "role", KEYS};
			struct world world;
			struct credentials_provider provider = open_all(&world);
			struct world_outcome outcome;

			for (size_t i = 0; i + 1 < requests; i++)
				world_answer(&world, bodies[i] != NULL ? 200 : 404, bodies[i]);
			if (requests > 0)
				world_silence(&world);
			assert_true(world_get_start(&provider, &outcome));
			world_until_requests(&world, requests);
			if (cancels) {
				provider.cancel(provider.impl);
				provider.cancel(provider.impl);
			}
			close_all(&world, &provider);
			assert_int_equal(outcome.calls, 0);
		}
	}
}

static void test_get_after_a_cancel(void **state)
{
	struct world world;
	struct credentials_provider provider = open_all(&world);
	struct world_outcome first, second;

	world_token(&world, "T", NULL);
	world_silence(&world);
	assert_true(world_get_start(&provider, &first));
	world_until_requests(&world, 2);
	provider.cancel(provider.impl);
	world_answer(&world, 200, "role");
	world_answer(&world, 200, KEYS);
	world_get(&world, &provider, &second);
	assert_int_equal(second.err, 0);
	assert_int_equal(first.calls, 0);
	close_all(&world, &provider);
}

static int respond(const char *path, const char **ret_body)
{
	if (strcmp(path, "/latest/api/token") == 0)
		*ret_body = "T";
	else if (strcmp(path, PLAIN) == 0)
		*ret_body = "role";
	else if (strcmp(path, PLAIN "role") == 0)
		*ret_body = KEYS;
	else
		return 404;
	return 200;
}

static void test_every_allocation_fails(void **state)
{
	world_sweep(respond, NULL, credentials_instance);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_extended_keys_name_the_account),
		cmocka_unit_test(test_role_is_looked_up_at_each_get),
		cmocka_unit_test(test_names_of_roles),
		cmocka_unit_test(test_no_role_is_attached),
		cmocka_unit_test(test_role_that_has_gone_is_listed_once_more),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_errors_of_the_service),
		cmocka_unit_test(test_not_on_ec2),
		cmocka_unit_test(test_cancel_and_free_in_each_phase),
		cmocka_unit_test(test_get_after_a_cancel),
		cmocka_unit_test(test_every_allocation_fails),
	};

	return cmocka_run_group_tests_name("aws/instance", tests, NULL, NULL);
}
