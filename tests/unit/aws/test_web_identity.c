/* The provider of web identities: variables, the token file, and STS behind it. */
#include "aws/credentials/provider.h"
#include "base/buf.h"
#include "bunshin/error.h"
#include "sts_world.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define TOKEN "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"
#define FORM                                                       \
	"Action=AssumeRoleWithWebIdentity&Version=2011-06-15"      \
	"&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fdemo" \
	"&RoleSessionName="

static char token_path[64];

static const char *const *environment; /* name, value, ..., NULL */

static const char *lookup(const char *name)
{
	for (size_t i = 0; environment[i] != NULL; i += 2) {
		if (strcmp(environment[i], name) == 0)
			return environment[i + 1];
	}
	return NULL;
}

#define NO_FILES \
	"AWS_CONFIG_FILE", "/nonexistent/config", "AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/keys"

static const char *const configured[] = {NO_FILES, "AWS_WEB_IDENTITY_TOKEN_FILE", token_path,
	"AWS_ROLE_ARN", STS_WORLD_ROLE, "AWS_ROLE_SESSION_NAME", "me", NULL};

static void token_write(const char *text, size_t len)
{
	int fd = open(token_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_return_code(fd, 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

/* A world with one provider in it. */
struct stage {
	struct sts_world *world;
	struct aws_settings *settings;
	struct credentials_provider provider;
	struct sts_told told;
	struct credentials_set set;
	char reason[CREDENTIALS_REASON_MAX];
};

static struct credentials_context context_of(struct stage *stage)
{
	return (struct credentials_context){.loop = &stage->world->loop,
		.clock = manual_clock_table(&stage->world->clock),
		.settings = stage->settings,
		.sts = stage->world->sts};
}

static struct stage *stage_open(const char *const variables[])
{
	struct stage *stage = calloc(1, sizeof(*stage));
	struct buf error = BUF_INIT(1024);
	struct credentials_context context;

	assert_non_null(stage);
	stage->world = sts_world_open();
	environment = variables;
	assert_int_equal(aws_settings_load(lookup, &stage->settings, &error), 0);
	context = context_of(stage);
	assert_int_equal(credentials_web_identity(&context, &stage->provider), 0);
	buf_free(&error);
	return stage;
}

static void stage_close(struct stage *stage)
{
	stage->provider.free(stage->provider.impl);
	sts_world_close(stage->world);
	aws_settings_free(stage->settings);
	free(stage);
}

static int get(struct stage *stage)
{
	memset(&stage->told, 0, sizeof(stage->told));
	memset(&stage->set, 0, sizeof(stage->set));
	stage->reason[0] = '\0';
	return stage->provider.get(
		stage->provider.impl, &stage->set, sts_world_told, &stage->told, stage->reason);
}

static void get_later(struct stage *stage)
{
	assert_int_equal(get(stage), CREDENTIALS_LATER);
	assert_false(stage->told.done);
}

static void not_configured(void **state)
{
	static const char *const variables[][7] = {
		{NO_FILES, NULL},
		{NO_FILES, "AWS_ROLE_ARN", STS_WORLD_ROLE, NULL},
	};

	for (size_t i = 0; i < COUNT_OF(variables); i++) {
		struct stage *stage = stage_open(variables[i]);

		assert_string_equal(stage->provider.name, "web identity");
		assert_int_equal(get(stage), ERR_NOT_FOUND);
		stage_close(stage);
	}
}

static void half_configured(void **state)
{
	static const char *const variables[] = {
		NO_FILES, "AWS_WEB_IDENTITY_TOKEN_FILE", "/x", NULL};
	struct stage *stage = stage_open(variables);

	assert_int_equal(get(stage), ERR_NO_CREDENTIALS);
	assert_string_equal(
		stage->reason, "AWS_WEB_IDENTITY_TOKEN_FILE is set but AWS_ROLE_ARN is not");
	stage_close(stage);
}

static void keys_come(void **state)
{
	struct stage *stage = stage_open(configured);

	token_write(TOKEN, strlen(TOKEN));
	sts_world_answer_keys(stage->world, "AssumeRoleWithWebIdentity", 3);
	get_later(stage);
	sts_world_run(stage->world, &stage->told.done);
	assert_int_equal(stage->told.err, 0);
	sts_world_assert_request(
		stage->world, 0, FORM "me&WebIdentityToken=" TOKEN, NULL, WORLD_EPOCH_MS);
	assert_string_equal(stage->set.access_key_id, "AKID3");
	assert_string_equal(stage->set.secret_access_key, "secret-3");
	assert_string_equal(stage->set.session_token, "token-3");
	assert_int_equal(stage->set.expires_epoch_ms, STS_WORLD_EXPIRY_MS);
	assert_string_equal(stage->set.account_id, "123456789012");
	assert_string_equal(
		stage->set.principal, "arn:aws:sts::123456789012:assumed-role/demo-3/session");
	stage_close(stage);
}

/* The kubelet writes another one every hour or so. */
static void token_file_is_read_each_time(void **state)
{
	static const char *const files[] = {"first", "second\n", "third\r\n\n"};
	static const char *const forms[] = {FORM "me&WebIdentityToken=first",
		FORM "me&WebIdentityToken=second", FORM "me&WebIdentityToken=third"};
	struct stage *stage = stage_open(configured);

	for (size_t i = 0; i < COUNT_OF(files); i++) {
		token_write(files[i], strlen(files[i]));
		sts_world_answer_keys(stage->world, "AssumeRoleWithWebIdentity", (int)i);
		get_later(stage);
		sts_world_run(stage->world, &stage->told.done);
		assert_int_equal(stage->told.err, 0);
		sts_world_assert_request(stage->world, i, forms[i], NULL, WORLD_EPOCH_MS);
	}
	stage_close(stage);
}

static void session_name_is_made_up_once(void **state)
{
	static const char *const variables[] = {NO_FILES, "AWS_WEB_IDENTITY_TOKEN_FILE", token_path,
		"AWS_ROLE_ARN", STS_WORLD_ROLE, NULL};
	static const char prefix[] = FORM "bunshin-";
	struct stage *stage = stage_open(variables);
	const struct fake_request *requests = stage->world->fake.requests;

	token_write(TOKEN, strlen(TOKEN));
	for (int i = 0; i < 2; i++) {
		sts_world_answer_keys(stage->world, "AssumeRoleWithWebIdentity", i);
		get_later(stage);
		sts_world_run(stage->world, &stage->told.done);
	}
	assert_memory_equal(requests[0].body, prefix, sizeof(prefix) - 1);
	assert_string_equal(requests[0].body + sizeof(prefix) - 1 + 16, "&WebIdentityToken=" TOKEN);
	assert_string_equal(requests[0].body, requests[1].body);
	stage_close(stage);
}

static void bad_token_files(void **state)
{
	static char large[20002];
	struct stage *stage = stage_open(configured);
	const struct {
		const char *text;
		size_t len;
		const char *what;
	} cases[] = {
		{"", 0, "empty"},
		{"\n", 1, "empty"},
		{"a b", 3, "a blank or an odd character in it"},
		{"\n" TOKEN, sizeof(TOKEN), "a blank or an odd character in it"},
		{TOKEN "\0", sizeof(TOKEN), "a blank or an odd character in it"},
		{"\0", 1, "a blank or an odd character in it"},
		{"t\xc3\xa9", 3, "a blank or an odd character in it"},
		{"t\x7f", 2, "a blank or an odd character in it"},
		{large, 20001, "more than 20000 bytes"},
	};

	memset(large, 'x', sizeof(large));
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char reason[256];

		token_write(cases[i].text, cases[i].len);
		assert_int_equal(get(stage), ERR_NO_CREDENTIALS);
		snprintf(reason, sizeof(reason), "web identity token file %s: %s", token_path,
			cases[i].what);
		assert_string_equal(stage->reason, reason);
	}
	/* One byte less is as many as STS takes. */
	token_write(large, 20000);
	sts_world_answer_keys(stage->world, "AssumeRoleWithWebIdentity", 1);
	get_later(stage);
	sts_world_run(stage->world, &stage->told.done);
	assert_int_equal(stage->told.err, 0);
	assert_int_equal(stage->world->fake.requests[0].body_bytes,
		strlen(FORM "me&WebIdentityToken=") + 20000);
	stage_close(stage);
}

static void unreadable_token_files(void **state)
{
	static const char *const cases[][2] = {
		{"/nonexistent/token",
			"web identity token file /nonexistent/token: No such file or "
			"directory"},
		{"/tmp", "web identity token file /tmp: Is a directory"},
	};
	struct stage *stage = stage_open(configured);
	struct credentials_context context = context_of(stage);

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		stage->provider.free(stage->provider.impl);
		assert_int_equal(credentials_web_identity_of(&context, STS_WORLD_ROLE, NULL,
					 cases[i][0], &stage->provider),
			0);
		assert_int_equal(get(stage), ERR_IO);
		assert_string_equal(stage->reason, cases[i][1]);
	}
	/* A pipe that nobody writes to does not hold the loop. */
	unlink(token_path);
	assert_int_equal(mkfifo(token_path, 0600), 0);
	stage->provider.free(stage->provider.impl);
	assert_int_equal(credentials_web_identity(&context, &stage->provider), 0);
	assert_int_equal(get(stage), ERR_NO_CREDENTIALS);
	unlink(token_path);
	stage_close(stage);
}

static void of_a_profile(void **state)
{
	struct stage *stage = stage_open(configured);
	struct credentials_context context = context_of(stage);
	char arn[] = STS_WORLD_ROLE, name[] = "them", path[64];

	token_write(TOKEN, strlen(TOKEN));
	strcpy(path, token_path);
	stage->provider.free(stage->provider.impl);
	assert_int_equal(
		credentials_web_identity_of(&context, arn, name, path, &stage->provider), 0);
	memset(arn, 'x', sizeof(arn) - 1);
	memset(name, 'x', sizeof(name) - 1);
	memset(path, 'x', strlen(path));
	sts_world_answer_keys(stage->world, "AssumeRoleWithWebIdentity", 1);
	get_later(stage);
	sts_world_run(stage->world, &stage->told.done);
	sts_world_assert_request(
		stage->world, 0, FORM "them&WebIdentityToken=" TOKEN, NULL, WORLD_EPOCH_MS);
	stage_close(stage);
}

static void errors_of_sts(void **state)
{
	static const struct {
		const char *code;
		int err;
		const char *reason;
	} cases[] = {
		{"ExpiredTokenException", ERR_EXPIRED_CREDENTIALS,
			"AssumeRoleWithWebIdentity: ExpiredTokenException (HTTP 400): m"},
		{"AccessDenied", ERR_ACCESS_DENIED,
			"AssumeRoleWithWebIdentity: AccessDenied (HTTP 400): m"},
	};
	struct stage *stage = stage_open(configured);

	token_write(TOKEN, strlen(TOKEN));
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		sts_world_answer_error(stage->world, 400, cases[i].code, "m");
		get_later(stage);
		sts_world_run(stage->world, &stage->told.done);
		assert_int_equal(stage->told.err, cases[i].err);
		assert_string_equal(stage->told.reason, cases[i].reason);
		assert_string_equal(stage->set.access_key_id, "");
	}
	stage_close(stage);
}

/* Phase 0: asked; 1: sent; 2: between two attempts. */
static void to_phase(struct stage *stage, int phase)
{
	if (phase == 1)
		fake_silence(&stage->world->fake);
	if (phase == 2)
		sts_world_answer_error(stage->world, 400, "InvalidIdentityToken", "m");
	get_later(stage);
	if (phase == 1)
		sts_world_run_requests(stage->world, 1);
	if (phase == 2)
		sts_world_run_timer(stage->world);
}

static void cancel_and_free_in_each_phase(void **state)
{
	token_write(TOKEN, strlen(TOKEN));
	for (int phase = 0; phase < 3; phase++) {
		struct stage *stage = stage_open(configured);

		to_phase(stage, phase);
		stage->provider.cancel(stage->provider.impl);
		stage->provider.cancel(stage->provider.impl);
		assert_null(timer_heap_first(&stage->world->clock.heap));
		/* As good as new. */
		sts_world_answer_keys(stage->world, "AssumeRoleWithWebIdentity", 1);
		get_later(stage);
		sts_world_run(stage->world, &stage->told.done);
		assert_int_equal(stage->told.err, 0);
		stage_close(stage);

		stage = stage_open(configured);
		to_phase(stage, phase);
		stage_close(stage); /* frees it first */
	}
}

static int enter(void **state)
{
	int fd;

	strcpy(token_path, "/tmp/bunshin-token-XXXXXX");
	fd = mkstemp(token_path);
	close(fd);
	return fd < 0 ? -1 : 0;
}

static int leave(void **state)
{
	unlink(token_path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(not_configured),
		cmocka_unit_test(half_configured),
		cmocka_unit_test(keys_come),
		cmocka_unit_test(token_file_is_read_each_time),
		cmocka_unit_test(session_name_is_made_up_once),
		cmocka_unit_test(bad_token_files),
		cmocka_unit_test(unreadable_token_files),
		cmocka_unit_test(of_a_profile),
		cmocka_unit_test(errors_of_sts),
		cmocka_unit_test(cancel_and_free_in_each_phase),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
