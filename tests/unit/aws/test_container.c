/* ECS's and EKS's agents: where they may be, what they are told and what they answer. */
#include "metadata_world.h"

#include "aws/credentials/container_uri.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS                                                                                    \
	"{\"AccessKeyId\":\"ASIAEXAMPLE\",\"SecretAccessKey\":\"secret\",\"Token\":\"token\","  \
	"\"Expiration\":\"2026-01-02T09:04:05Z\",\"RoleArn\":\"arn:aws:iam::123456789012:role/" \
	"me\"}"

static char full_uri[128];

/* The service of the world is the full URI, with this path. */
static struct credentials_provider open_all(
	struct world *world, const char *path, const char *name, const char *value)
{
	struct credentials_provider provider;

	world_open(world);
	snprintf(full_uri, sizeof(full_uri), "%s%s", world->endpoint, path);
	variables_set("AWS_CONTAINER_CREDENTIALS_FULL_URI", full_uri);
	if (name != NULL)
		variables_set(name, value);
	world_load(world);
	assert_int_equal(credentials_container(&world->context, &provider), 0);
	return provider;
}

static void close_all(struct world *world, struct credentials_provider *provider)
{
	provider->free(provider->impl);
	world_close(world);
}

static void assert_failed(const struct world_outcome *outcome, int err, const char *reason)
{
	if (outcome->err != err || strstr(outcome->reason, reason) == NULL)
		fail_msg("%s \"%s\"; not %s \"%s\"", error_name(outcome->err), outcome->reason,
			error_name(err), reason);
	assert_string_equal(outcome->set.secret_access_key, "");
}

static void test_keys_of_ecs(void **state)
{
	struct world world;
	struct credentials_provider provider = open_all(&world, "/v2/credentials/id", NULL, NULL);
	struct world_outcome outcome;

	assert_string_equal(provider.name, "container");
	assert_false(provider.outlives);
	world_answer(&world, 200, KEYS);
	world_get(&world, &provider, &outcome);
	assert_int_equal(outcome.err, 0);
	assert_string_equal(outcome.set.access_key_id, "ASIAEXAMPLE");
	assert_string_equal(outcome.set.secret_access_key, "secret");
	assert_string_equal(outcome.set.session_token, "token");
	assert_int_equal(outcome.set.expires_epoch_ms, WORLD_EPOCH_MS + 6 * 3600 * 1000);
	assert_string_equal(outcome.set.principal, "arn:aws:iam::123456789012:role/me");
	assert_string_equal(outcome.set.account_id, "123456789012");
	assert_string_equal(world.requests[0].method, "GET");
	assert_string_equal(world.requests[0].path, "/v2/credentials/id");
	assert_null(world.requests[0].authorization);
	close_all(&world, &provider);
}

static void test_whose_keys_they_are(void **state)
{
	static const struct {
		const char *members, *principal, *account;
	} cases[] = {
		{"", "", ""},
		{",\"AccountId\":\"210987654321\"", "", "210987654321"},
		{",\"AccountId\":\"210987654321\",\"RoleArn\":\"arn:aws:iam::123456789012:role/r\"",
			"arn:aws:iam::123456789012:role/r", "210987654321"},
		{",\"RoleArn\":\"arn:aws-cn:iam::123456789012:role/r\"",
			"arn:aws-cn:iam::123456789012:role/r", "123456789012"},
		{",\"RoleArn\":\"arn:aws:iam::12345:role/r\"", "arn:aws:iam::12345:role/r", ""},
		{",\"RoleArn\":\"arn:aws:iam::1234567890123:role/r\"",
			"arn:aws:iam::1234567890123:role/r", ""},
		{",\"RoleArn\":\"arn:aws\"", "arn:aws", ""},
		{",\"RoleArn\":\"\"", "", ""},
		{",\"RoleArn\":null", "", ""},
	};
	char body[512];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world;
		struct credentials_provider provider = open_all(&world, "/", NULL, NULL);
		struct world_outcome outcome;

		snprintf(body, sizeof(body), "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\"%s}",
			cases[i].members);
		world_answer(&world, 200, body);
		world_get(&world, &provider, &outcome);
		assert_int_equal(outcome.err, 0);
		assert_string_equal(outcome.set.principal, cases[i].principal);
		assert_string_equal(outcome.set.account_id, cases[i].account);
		close_all(&world, &provider);
	}
}

static void test_not_in_a_container(void **state)
{
	struct world world;
	struct credentials_provider provider =
		open_all(&world, "", "AWS_CONTAINER_CREDENTIALS_FULL_URI", NULL);
	struct world_outcome outcome;

	world_get(&world, &provider, &outcome);
	assert_int_equal(outcome.err, ERR_NOT_FOUND);
	close_all(&world, &provider);
	/* A token alone does not make it one. */
	provider = open_all(&world, "", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "");
	variables_set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "t");
	world_get(&world, &provider, &outcome);
	assert_int_equal(outcome.err, ERR_NOT_FOUND);
	close_all(&world, &provider);
}

/* ---- the URI */

static void test_relative_uris(void **state)
{
	static char long_path[2050];
	static const struct {
		const char *relative, *url; /* NULL: refused */
	} cases[] = {
		{"/v2/credentials/a-b", "http://169.254.170.2/v2/credentials/a-b"},
		{"/get-credentials?a=b", "http://169.254.170.2/get-credentials?a=b"},
		{"/@evil.example/", "http://169.254.170.2/@evil.example/"},
		{"v2", NULL},
		{"@evil.example/", NULL},
		{".evil.example/", NULL},
		{":80/", NULL},
		{"http://evil.example/", NULL},
		{"/a b", NULL},
		{"/a\r\nX: y", NULL},
		{"/a\n", NULL},
		{"/\x7f", NULL},
		{"/caf\xc3\xa9", NULL},
		{long_path, NULL},
	};

	memset(long_path, '/', sizeof(long_path) - 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf url = BUF_INIT(4096);
		char reason[CREDENTIALS_REASON_MAX] = "";
		/* It wins, be the other what it may. */
		int err = container_uri(cases[i].relative, "http://evil.example/", &url, reason);

		assert_int_equal(err, cases[i].url != NULL ? 0 : ERR_CONFIG);
		assert_string_equal(buf_string(&url), cases[i].url != NULL ? cases[i].url : "");
		assert_int_equal(
			strstr(reason, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != NULL, err != 0);
		buf_free(&url);
	}
}

static void test_full_uris(void **state)
{
	static const struct {
		const char *full, *reason; /* NULL: taken */
	} cases[] = {
		{"https://example.com/keys", NULL},
		{"https://10.0.0.1:8443", NULL},
		{"HTTPS://Example.COM/keys?a=b", NULL},
		{"http://127.0.0.1/", NULL},
		{"http://127.0.0.1:51679/v1", NULL},
		{"http://127.255.255.254/", NULL},
		{"http://localhost/", NULL},
		{"http://LocalHost:80/", NULL},
		{"http://[::1]/", NULL},
		{"http://[0:0:0:0:0:0:0:1]:8080/", NULL},
		{"http://169.254.170.2/x", NULL},
		{"http://169.254.170.23/v1/credentials", NULL},
		{"http://[fd00:ec2::23]/v1/credentials", NULL},
		{"http://[FD00:EC2:0::23]/", NULL},

		{"http://example.com/", "names host example.com: allowed are https, and http to"},
		{"http://169.254.170.3/", "allowed are"},
		{"http://169.254.169.254/", "allowed are"},
		{"http://10.0.0.1/", "allowed are"},
		{"http://128.0.0.1/", "allowed are"},
		{"http://127.1/", "allowed are"},
		{"http://0177.0.0.1/", "allowed are"},
		{"http://127.0.0.1.evil.example/", "allowed are"},
		{"http://localhost.evil.example/", "allowed are"},
		{"http://evil.localhost/", "allowed are"},
		{"http://localhost./", "allowed are"},
		{"http://[::ffff:10.0.0.1]/", "allowed are"},
		{"http://[fd00:ec2::24]/", "allowed are"},
		{"http://[::2]/", "allowed are"},

		{"", "is no http or https URL"},
		{"ftp://127.0.0.1/", "is no http or https URL"},
		{"//127.0.0.1/", "is no http or https URL"},
		{"127.0.0.1", "is no http or https URL"},
		{"http://127.0.0.1@evil.example/", "is no http or https URL"},
		{"http://evil.example\\@127.0.0.1/", "is no http or https URL"},
		{"http://127.0.0.1#@evil.example/", "is no http or https URL"},
		{"http://127.0.0.1?@evil.example/", "is no http or https URL"},
		{"http://127.0.0.1:80@evil.example/", "is no http or https URL"},
		{"http://127.0.0.1:0/", "is no http or https URL"},
		{"http://127.0.0.1:99999/", "is no http or https URL"},
		{"http://[::1%25lo]/", "is no http or https URL"},
		{"http://[::1/", "is no http or https URL"},
		{"http://127.0.0.1/a b", "is no http or https URL"},
		{"http://127.0.0.1/a\r\nb", "is no http or https URL"},
		{"https:///", "is no http or https URL"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf url = BUF_INIT(4096);
		char reason[CREDENTIALS_REASON_MAX] = "";
		int err = container_uri(NULL, cases[i].full, &url, reason);

		if (err != (cases[i].reason != NULL ? ERR_CONFIG : 0) ||
			(err != 0 && strstr(reason, cases[i].reason) == NULL))
			fail_msg("%s: %s \"%s\"", cases[i].full, error_name(err), reason);
		assert_string_equal(buf_string(&url), err == 0 ? cases[i].full : "");
		buf_free(&url);
	}
}

static void test_refused_uris_are_not_asked(void **state)
{
	struct world world;
	struct credentials_provider provider = open_all(
		&world, "", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.169.254/");
	struct world_outcome outcome;

	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_CONFIG, "169.254.170.23 and [fd00:ec2::23]");
	assert_int_equal(http_client_connections_opened(world.client), 0);
	close_all(&world, &provider);
	provider = open_all(&world, "", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "no-path");
	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_CONFIG, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is no path");
	close_all(&world, &provider);
}

/* ---- the token */

static void test_token_of_a_variable(void **state)
{
	static char longest[16385], longer[16386];
	static const struct {
		const char *token;
		bool good;
	} cases[] = {{"Basic abc==", true}, {"t", true}, {longest, true}, {longer, false},
		{"a\r\nX: y", false}, {"a\n", false}, {"a\tb", false}, {"caf\xc3\xa9", false}};

	memset(longest, 't', 16384);
	memset(longer, 't', 16385);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world;
		struct credentials_provider provider =
			open_all(&world, "/", "AWS_CONTAINER_AUTHORIZATION_TOKEN", cases[i].token);
		struct world_outcome outcome;

		if (cases[i].good)
			world_answer(&world, 200, KEYS);
		world_get(&world, &provider, &outcome);
		if (cases[i].good) {
			assert_int_equal(outcome.err, 0);
			assert_string_equal(world.requests[0].authorization, cases[i].token);
		} else {
			assert_failed(&outcome, ERR_CONFIG,
				"AWS_CONTAINER_AUTHORIZATION_TOKEN holds no token");
			assert_null(strstr(outcome.reason, "X: y"));
		}
		close_all(&world, &provider);
	}
}

static void write_file(const char *path, const char *text, size_t len)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* It wins over the variable, and is read at each get: EKS replaces it every hour. */
static void test_token_of_a_file(void **state)
{
	static char longer[16386];
	static const struct {
		const char *text;
		size_t len; /* 0: strlen(text) */
	} bad[] = {{"", 0}, {"a\n", 0}, {"a\r\nX: y", 0}, {"a\0b", 3}, {longer, 0}};
	char directory[] = "/tmp/bunshin-token-XXXXXX", path[64];
	struct world world;
	struct credentials_provider provider;
	struct world_outcome outcome;

	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/token", directory);
	provider = open_all(&world, "/", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path);
	variables_set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "loses");
	for (int i = 0; i < 2; i++) {
		write_file(path, i ? "second" : "first", i ? 6 : 5);
		world_answer(&world, 200, KEYS);
		world_get(&world, &provider, &outcome);
		assert_int_equal(outcome.err, 0);
		assert_string_equal(world.requests[i].authorization, i ? "second" : "first");
	}
	memset(longer, 't', 16385);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_file(path, bad[i].text, bad[i].len ? bad[i].len : strlen(bad[i].text));
		world_get(&world, &provider, &outcome);
		assert_failed(&outcome, ERR_CONFIG, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: ");
		assert_non_null(strstr(outcome.reason, path));
		assert_null(strstr(outcome.reason, "X: y"));
	}
	assert_int_equal(unlink(path), 0);
	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_IO, "No such file or directory");
	/* Nobody writes into it: that must not hold up the loop. */
	assert_int_equal(mkfifo(path, 0600), 0);
	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_CONFIG, "holds no token");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_IO, "Is a directory");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(directory), 0);
	close_all(&world, &provider);
}

/* The file has gone when the second attempt comes to read it. */
static void test_token_that_goes_between_attempts(void **state)
{
	char path[] = "/tmp/bunshin-token-XXXXXX";
	struct world world;
	struct credentials_provider provider;
	struct world_outcome outcome;
	int fd = mkstemp(path);

	assert_int_equal(write(fd, "t", 1), 1);
	close(fd);
	provider = open_all(&world, "/", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path);
	world_answer(&world, 500, NULL);
	assert_true(world_get_start(&provider, &outcome));
	world_until_requests(&world, 1);
	assert_int_equal(unlink(path), 0);
	world_until(&world, &outcome.calls, 1);
	assert_failed(&outcome, ERR_IO, "cannot read");
	close_all(&world, &provider);
}

/* ---- answers */

static void test_refusals(void **state)
{
	static char huge[70000];
	static const struct {
		int status;
		const char *body;
		int err;
		const char *reason;
	} cases[] = {
		{400, "{\"code\":\"NoIdInRequest\",\"message\":\"No credentials id\"}", ERR_REFUSED,
			"NoIdInRequest (HTTP 400): No credentials id"},
		{404, "{\"Code\":\"ResourceNotFoundException\",\"Message\":\"no role\"}",
			ERR_REFUSED, "ResourceNotFoundException (HTTP 404): no role"},
		{403, "{\"message\":\"expired\"}", ERR_ACCESS_DENIED, ": HTTP 403: expired"},
		{401, "{\"code\":\"Expired\"}", ERR_ACCESS_DENIED, "Expired (HTTP 401)"},
		{400, "plain words", ERR_REFUSED, "service: HTTP 400"},
		{400, "", ERR_REFUSED, "service: HTTP 400"},
		{400, "{\"code\":1,\"message\":[]}", ERR_REFUSED, "service: HTTP 400"},
		{400, "{\"code\":\"a\\nb\",\"message\":\"\\u001b[2J\\u3042\"}", ERR_REFUSED,
			"a?b (HTTP 400): ?[2J???"},
		{302, "", ERR_PROTOCOL, "HTTP 302"},
		{204, NULL, ERR_PROTOCOL, "HTTP 204"},
		{400, huge, ERR_PROTOCOL, "larger than 65536 bytes"},
		{200, huge, ERR_PROTOCOL, "larger than 65536 bytes"},
		{200, "", ERR_PROTOCOL, "service's answer: "},
		{200, "{}", ERR_PROTOCOL, "service's answer: "},
		{200, "[1", ERR_PROTOCOL, "service's answer: "},
		{200, "{\"AccessKeyId\":\"A\"}", ERR_PROTOCOL, "service's answer: "},
		{200, "<html>", ERR_PROTOCOL, "service's answer: "},
		{200, "\xff", ERR_PROTOCOL, "service's answer: "},
	};

	memset(huge, '[', sizeof(huge) - 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world;
		struct credentials_provider provider = open_all(&world, "/", NULL, NULL);
		struct world_outcome outcome;

		world_answer(&world, cases[i].status, cases[i].body);
		world_get(&world, &provider, &outcome);
		assert_failed(&outcome, cases[i].err, cases[i].reason);
		close_all(&world, &provider);
	}
}

static void test_words_of_any_length(void **state)
{
	static char body[3000];
	struct world world;
	struct credentials_provider provider = open_all(&world, "/", NULL, NULL);
	struct world_outcome outcome;

	snprintf(body, sizeof(body), "{\"code\":\"%01000d\",\"message\":\"%01000d\"}", 0, 0);
	world_answer(&world, 400, body);
	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_REFUSED, "0 (HTTP 400): 0");
	close_all(&world, &provider);
}

/* A second apart, give or take half of one. */
static void test_three_attempts(void **state)
{
	struct world world;
	struct credentials_provider provider = open_all(&world, "/", NULL, NULL);
	struct world_outcome outcome;

	world_answer(&world, 429, NULL);
	world_cut(&world);
	world_answer(&world, 200, KEYS);
	world_get(&world, &provider, &outcome);
	assert_int_equal(outcome.err, 0);
	for (size_t i = 0; i < 2; i++)
		assert_in_range(
			world.requests[i + 1].came_us - world.requests[i].came_us, 500000, 1499999);
	for (int i = 0; i < 3; i++)
		world_answer(&world, 503, "{\"code\":\"Internal\",\"message\":\"later\"}");
	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_UNAVAILABLE, "Internal (HTTP 503): later");
	for (int i = 0; i < 3; i++)
		world_answer(&world, 429, NULL);
	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_THROTTLED, "HTTP 429");
	close_all(&world, &provider);
}

static void test_silence(void **state)
{
	struct world world;
	struct credentials_provider provider = open_all(&world, "/", NULL, NULL);
	struct world_outcome outcome;

	for (int i = 0; i < 3; i++)
		world_silence(&world);
	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_TIMEOUT, "service does not answer: ");
	close_all(&world, &provider);
}

static void test_refused_port(void **state)
{
	struct world world;
	struct credentials_provider provider =
		open_all(&world, "", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/");
	struct world_outcome outcome;

	world_get(&world, &provider, &outcome);
	assert_failed(&outcome, ERR_CONNECT, "service does not answer: ");
	assert_in_range(world.clock.now_us, 1000000, 2999998); /* after two pauses */
	close_all(&world, &provider);
}

static void test_cancel_and_free_in_each_phase(void **state)
{
	enum { STARTED, UNDER_WAY, BETWEEN, PHASES };

	for (int phase = STARTED; phase < PHASES; phase++) {
		for (int cancels = 0; cancels < 2; cancels++) {
			struct world world;
			struct credentials_provider provider = open_all(&world, "/", NULL, NULL);
			struct world_outcome outcome;

			if (phase == UNDER_WAY)
				world_silence(&world);
			if (phase == BETWEEN)
				world_answer(&world, 500, NULL);
			assert_true(world_get_start(&provider, &outcome));
			world_until_requests(&world, world.step_count);
			if (phase == BETWEEN)
				world_settle(&world);
			if (cancels) {
				provider.cancel(provider.impl);
				provider.cancel(provider.impl);
			}
			close_all(&world, &provider);
			assert_int_equal(outcome.calls, 0);
		}
	}
}

static int respond(const char *path, const char **ret_body)
{
	*ret_body = KEYS;
	return 200;
}

static void test_every_allocation_fails(void **state)
{
	world_sweep(respond, "AWS_CONTAINER_CREDENTIALS_FULL_URI", credentials_container);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_of_ecs),
		cmocka_unit_test(test_whose_keys_they_are),
		cmocka_unit_test(test_not_in_a_container),
		cmocka_unit_test(test_relative_uris),
		cmocka_unit_test(test_full_uris),
		cmocka_unit_test(test_refused_uris_are_not_asked),
		cmocka_unit_test(test_token_of_a_variable),
		cmocka_unit_test(test_token_of_a_file),
		cmocka_unit_test(test_token_that_goes_between_attempts),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_words_of_any_length),
		cmocka_unit_test(test_three_attempts),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_refused_port),
		cmocka_unit_test(test_cancel_and_free_in_each_phase),
		cmocka_unit_test(test_every_allocation_fails),
	};

	return cmocka_run_group_tests_name("aws/container", tests, NULL, NULL);
}
