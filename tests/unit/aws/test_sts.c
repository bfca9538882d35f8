/* The STS client against a scripted peer: requests, answers, repetitions, the clock, cancelling. */
#include "base/random.h"
#include "bunshin/error.h"
#include "failmalloc.h"
#include "sts_world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define ROLE_FORM                                                  \
	"Action=AssumeRole&Version=2011-06-15"                     \
	"&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fdemo" \
	"&RoleSessionName=me"
#define WEB_FORM                                                   \
	"Action=AssumeRoleWithWebIdentity&Version=2011-06-15"      \
	"&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fdemo" \
	"&RoleSessionName=me&WebIdentityToken=eyJhbGciOiJSUzI1NiJ9.e30.c2ln"
#define IDENTITY_FORM "Action=GetCallerIdentity&Version=2011-06-15"
#define WEB_TOKEN "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"

static const struct sts_role role = {STS_WORLD_ROLE, "me", NULL, 0};
static const struct credentials_set source = {.access_key_id = "AKIDEXAMPLE",
	.secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
static const struct credentials_set source_with_token = {.access_key_id = "ASIAEXAMPLE",
	.secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
	.session_token = "IQoJb3JpZ2luX2VjEXAMPLE+/="};

enum kind { ROLE, WEB, IDENTITY };

static const char *const operations[] = {
	"AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity"};
static const char *const forms[] = {ROLE_FORM, WEB_FORM, IDENTITY_FORM};

/* One call, its outputs and what its `done` was told. */
struct asked {
	struct sts_told told;
	struct query_call *call;
	struct credentials_set set;
	struct sts_identity identity;
};

static int try_ask(struct sts *sts, enum kind kind, struct asked *asked)
{
	/* All is copied: gone when the first attempt starts. */
	struct credentials_set keys = source;
	char arn[] = STS_WORLD_ROLE, name[] = "me", token[] = WEB_TOKEN;
	struct sts_role gone = {arn, name, NULL, 0};
	int err;

	memset(asked, 0, sizeof(*asked));
	memset(&asked->set, 0x5a, sizeof(asked->set));
	if (kind == ROLE)
		err = sts_assume_role(
			sts, &keys, &gone, &asked->set, sts_world_told, &asked->told, &asked->call);
	else if (kind == WEB)
		err = sts_assume_role_with_web_identity(
			sts, &gone, token, &asked->set, sts_world_told, &asked->told, &asked->call);
	else
		err = sts_get_caller_identity(
			sts, &keys, &asked->identity, sts_world_told, &asked->told, &asked->call);
	memset(&keys, 'x', sizeof(keys));
	memset(arn, 'x', sizeof(arn) - 1);
	memset(name, 'x', sizeof(name) - 1);
	memset(token, 'x', sizeof(token) - 1);
	assert_false(asked->told.done);
	return err;
}

static void ask(struct sts_world *world, enum kind kind, struct asked *asked)
{
	assert_int_equal(try_ask(world->sts, kind, asked), 0);
}

static void answer_well(struct sts_world *world, enum kind kind)
{
	if (kind == IDENTITY)
		sts_world_answer(world, 200,
			"<GetCallerIdentityResponse><GetCallerIdentityResult>"
			"<Arn>arn:aws:iam::123456789012:user/Alice</Arn><UserId>U</UserId>"
			"<Account>123456789012</Account></GetCallerIdentityResult>"
			"</GetCallerIdentityResponse>");
	else
		sts_world_answer_keys(world, operations[kind], 7);
}

static void assert_well(const struct asked *asked, enum kind kind)
{
	assert_int_equal(asked->told.err, 0);
	assert_string_equal(asked->told.reason, "");
	if (kind == IDENTITY) {
		assert_string_equal(asked->identity.account_id, "123456789012");
		assert_string_equal(asked->identity.arn, "arn:aws:iam::123456789012:user/Alice");
		return;
	}
	assert_string_equal(asked->set.access_key_id, "AKID7");
	assert_string_equal(asked->set.secret_access_key, "secret-7");
	assert_string_equal(asked->set.session_token, "token-7");
	assert_int_equal(asked->set.expires_epoch_ms, STS_WORLD_EXPIRY_MS);
	assert_string_equal(asked->set.account_id, "123456789012");
	assert_string_equal(
		asked->set.principal, "arn:aws:sts::123456789012:assumed-role/demo-7/session");
}

static void assert_failed(const struct asked *asked, int err, const char *reason)
{
	struct credentials_set untouched;

	memset(&untouched, 0x5a, sizeof(untouched));
	assert_int_equal(asked->told.err, err);
	if (reason != NULL)
		assert_string_equal(asked->told.reason, reason);
	assert_memory_equal(&asked->set, &untouched, sizeof(untouched));
	assert_string_equal(asked->identity.account_id, "");
}

static void assert_asked(struct sts_world *world, size_t i, enum kind kind, int64_t epoch_ms)
{
	sts_world_assert_request(world, i, forms[kind], kind == WEB ? NULL : &source, epoch_ms);
}

static void every_operation_on_the_wire(void **state)
{
	for (enum kind kind = ROLE; kind <= IDENTITY; kind++) {
		struct sts_world *world = sts_world_open();
		struct asked asked;

		answer_well(world, kind);
		ask(world, kind, &asked);
		sts_world_run(world, &asked.told.done);
		assert_asked(world, 0, kind, WORLD_EPOCH_MS);
		assert_well(&asked, kind);
		sts_world_close(world);
	}
}

static void everything_that_a_role_may_say(void **state)
{
	static const struct sts_role all = {STS_WORLD_ROLE, "me", "x/1&2", 43200};
	struct sts_world *world = sts_world_open();
	struct asked asked = {0};

	sts_world_answer_keys(world, "AssumeRole", 1);
	assert_int_equal(sts_assume_role(world->sts, &source_with_token, &all, &asked.set,
				 sts_world_told, &asked.told, &asked.call),
		0);
	sts_world_run(world, &asked.told.done);
	sts_world_assert_request(world, 0, ROLE_FORM "&DurationSeconds=43200&ExternalId=x%2F1%262",
		&source_with_token, WORLD_EPOCH_MS);
	assert_int_equal(asked.told.err, 0);
	sts_world_close(world);
}

/* The same id with another secret must not be signed by a key that was derived before. */
static void keys_are_not_mixed_up(void **state)
{
	struct sts_world *world = sts_world_open();
	struct credentials_set other = source;
	struct asked asked = {0};

	strcpy(other.secret_access_key, "corrected");
	sts_world_answer_error(world, 403, "SignatureDoesNotMatch", "No");
	sts_world_answer_keys(world, "AssumeRole", 1);
	ask(world, ROLE, &asked);
	sts_world_run(world, &asked.told.done);
	assert_int_equal(asked.told.err, ERR_BAD_CREDENTIALS);
	memset(&asked, 0, sizeof(asked));
	assert_int_equal(sts_assume_role(world->sts, &other, &role, &asked.set, sts_world_told,
				 &asked.told, &asked.call),
		0);
	sts_world_run(world, &asked.told.done);
	sts_world_assert_request(world, 1, ROLE_FORM, &other, WORLD_EPOCH_MS);
	sts_world_close(world);
}

/* ---- errors that end a call at once */

static void errors_end_a_call(void **state)
{
	static const struct {
		int status;
		const char *code, *message;
		int err;
		const char *reason;
	} cases[] = {
		{403, "AccessDenied", "User: U is not authorized", ERR_ACCESS_DENIED,
			"AssumeRole: AccessDenied (HTTP 403): User: U is not authorized"},
		{403, "InvalidClientTokenId", "The security token is invalid", ERR_BAD_CREDENTIALS,
			"AssumeRole: InvalidClientTokenId (HTTP 403): The security token is "
			"invalid"},
		{403, "SignatureDoesNotMatch", "No\n\n'POST\n/'", ERR_BAD_CREDENTIALS,
			"AssumeRole: SignatureDoesNotMatch (HTTP 403): No"},
		{403, "ExpiredToken", "expired", ERR_EXPIRED_CREDENTIALS,
			"AssumeRole: ExpiredToken (HTTP 403): expired"},
		{400, "ValidationError", "1 validation error", ERR_REFUSED,
			"AssumeRole: ValidationError (HTTP 400): 1 validation error"},
		{400, "RequestExpired", "", ERR_CLOCK_SKEW,
			"AssumeRole: RequestExpired (HTTP 400)"},
		{400, "InvalidIdentityToken", "m", ERR_BAD_CREDENTIALS,
			"AssumeRole: InvalidIdentityToken (HTTP 400): m"},
		{400, "", "", ERR_REFUSED, "AssumeRole: no error code (HTTP 400)"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sts_world *world = sts_world_open();
		struct asked asked;

		sts_world_answer_error(world, cases[i].status, cases[i].code, cases[i].message);
		ask(world, ROLE, &asked);
		sts_world_run(world, &asked.told.done);
		assert_failed(&asked, cases[i].err, cases[i].reason);
		sts_world_close(world);
	}
}

static void answers_that_are_none(void **state)
{
	static const struct {
		const char *body, *reason;
	} cases[] = {
		{"", NULL}, /* expat's words */
		{"<html/>", "AssumeRole: not an answer of STS (HTTP 200): no "
			    "Credentials/AccessKeyId"},
		{"<!DOCTYPE a []><a/>", "AssumeRole: not an answer of STS (HTTP 200): a DOCTYPE"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sts_world *world = sts_world_open();
		struct asked asked;

		sts_world_answer(world, 200, cases[i].body);
		ask(world, ROLE, &asked);
		sts_world_run(world, &asked.told.done);
		assert_failed(&asked, ERR_PROTOCOL, cases[i].reason);
		sts_world_close(world);
	}
}

/* A redirect is not followed, with keys in its headers least of all. */
static void redirect_is_refused(void **state)
{
	struct sts_world *world = sts_world_open();
	struct asked asked;

	sts_world_answer_at(world, 307, "Location: http://127.0.0.1:1/\r\n", "");
	ask(world, WEB, &asked);
	sts_world_run(world, &asked.told.done);
	assert_failed(&asked, ERR_PROTOCOL, "AssumeRoleWithWebIdentity: no error code (HTTP 307)");
	sts_world_close(world);
}

static void reason_never_repeats_a_secret(void **state)
{
	struct sts_world *world = sts_world_open();
	struct asked asked = {0};
	const char *const secrets[] = {source_with_token.access_key_id,
		source_with_token.secret_access_key, source_with_token.session_token};

	for (size_t i = 0; i < COUNT_OF(secrets); i++) {
		char message[200];

		memset(&asked, 0, sizeof(asked));
		snprintf(message, sizeof(message), "you sent %s, why?", secrets[i]);
		sts_world_answer_error(world, 403, "AccessDenied", message);
		assert_int_equal(sts_assume_role(world->sts, &source_with_token, &role, &asked.set,
					 sts_world_told, &asked.told, &asked.call),
			0);
		sts_world_run(world, &asked.told.done);
		assert_string_equal(
			asked.told.reason, "AssumeRole: AccessDenied (HTTP 403): you sent ");
	}
	sts_world_answer_error(world, 403, "AccessDenied", "no: " WEB_TOKEN);
	ask(world, WEB, &asked);
	sts_world_run(world, &asked.told.done);
	assert_string_equal(
		asked.told.reason, "AssumeRoleWithWebIdentity: AccessDenied (HTTP 403): no: ");
	sts_world_answer_error(world, 403, WEB_TOKEN, "m");
	ask(world, WEB, &asked);
	sts_world_run(world, &asked.told.done);
	assert_string_equal(
		asked.told.reason, "AssumeRoleWithWebIdentity: no error code (HTTP 403): m");
	sts_world_close(world);
}

/* ---- repetitions */

/* What full jitter makes of the clock's next number, without spending it. */
static uint64_t delay_foreseen(const struct sts_world *world, uint64_t bound_us)
{
	uint64_t random_state = world->clock.random_state;

	return (uint64_t)((unsigned __int128)random_split_mix(&random_state) * bound_us >> 64);
}

struct failure {
	enum kind kind;
	int status; /* 0: the connection is cut, maybe after `code` */
	const char *code;
	int err;
};

static const struct failure repeated[] = {
	{ROLE, 500, "InternalFailure", ERR_UNAVAILABLE},
	{ROLE, 503, "NeverHeardOf", ERR_UNAVAILABLE},
	{ROLE, 400, "Throttling", ERR_THROTTLED},
	{ROLE, 400, "IDPCommunicationError", ERR_UNAVAILABLE},
	{ROLE, 0, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<AssumeRoleResponse>",
		ERR_NETWORK},
	{ROLE, 0, "SMTP\r\n\r\n", ERR_PROTOCOL},
	{WEB, 400, "InvalidIdentityToken", ERR_BAD_CREDENTIALS},
	{WEB, 400, "IDPCommunicationError", ERR_UNAVAILABLE},
	{WEB, 429, "NeverHeardOf", ERR_THROTTLED},
	{IDENTITY, 502, "NeverHeardOf", ERR_UNAVAILABLE},
};

static void script_failure(struct sts_world *world, const struct failure *failure)
{
	if (failure->status != 0)
		sts_world_answer_error(world, failure->status, failure->code, "m");
	else
		fake_script(&world->fake, failure->code, strlen(failure->code))->close = true;
}

/* Two more attempts, after a random part of 1 s and of 2 s, each signed at its own time. */
static void attempts_are_three(void **state)
{
	for (size_t i = 0; i < COUNT_OF(repeated); i++) {
		struct sts_world *world = sts_world_open();
		struct asked asked;

		for (int k = 0; k < 3; k++)
			script_failure(world, &repeated[i]);
		ask(world, repeated[i].kind, &asked);
		for (uint64_t bound_us = 1000000; bound_us <= 2000000; bound_us *= 2) {
			uint64_t foreseen_us = delay_foreseen(world, bound_us);

			assert_int_equal(sts_world_run_timer(world), foreseen_us);
			assert_false(asked.told.done);
			assert_true(manual_clock_step(&world->clock));
			/* So that the time of signing differs in its seconds. */
			world->clock.wall_epoch_ms += 5000;
		}
		sts_world_run(world, &asked.told.done);
		assert_failed(&asked, repeated[i].err, NULL);
		assert_int_equal(world->fake.request_count, 3);
		assert_asked(world, 0, repeated[i].kind, WORLD_EPOCH_MS);
		sts_world_close(world);
	}
}

static void each_attempt_is_signed_anew(void **state)
{
	struct sts_world *world = sts_world_open();
	struct asked asked;

	script_failure(world, &repeated[0]);
	answer_well(world, ROLE);
	ask(world, ROLE, &asked);
	sts_world_run_timer(world);
	world->clock.wall_epoch_ms += 86400000;
	assert_true(manual_clock_step(&world->clock));
	sts_world_run(world, &asked.told.done);
	assert_well(&asked, ROLE);
	assert_asked(world, 0, ROLE, WORLD_EPOCH_MS);
	assert_asked(
		world, 1, ROLE, world->clock.wall_epoch_ms + (int64_t)(world->clock.now_us / 1000));
	sts_world_close(world);
}

static void attempts_end_with_success(void **state)
{
	for (size_t i = 0; i < COUNT_OF(repeated); i++) {
		struct sts_world *world = sts_world_open();
		struct asked asked;

		script_failure(world, &repeated[i]);
		script_failure(world, &repeated[i]);
		answer_well(world, repeated[i].kind);
		ask(world, repeated[i].kind, &asked);
		for (int k = 0; k < 2; k++) {
			sts_world_run_timer(world);
			assert_true(manual_clock_step(&world->clock));
		}
		sts_world_run(world, &asked.told.done);
		assert_well(&asked, repeated[i].kind);
		sts_world_close(world);
	}
}

static void answer_that_is_too_large(void **state)
{
	struct sts_world *world = sts_world_open();
	char *body = malloc(10000001);
	struct asked asked;

	assert_non_null(body);
	memset(body, 'x', 10000000);
	body[10000000] = '\0';
	for (int k = 0; k < 3; k++)
		sts_world_answer(world, 200, body);
	ask(world, ROLE, &asked);
	for (int k = 0; k < 2; k++) {
		sts_world_run_timer(world);
		assert_true(manual_clock_step(&world->clock));
	}
	sts_world_run(world, &asked.told.done);
	assert_failed(&asked, ERR_ANSWER_TOO_LARGE, NULL);
	free(body);
	sts_world_close(world);
}

/* A world's loop and clock, another endpoint and time-out. */
static struct sts *sts_at(struct sts_world *world, int port, int64_t timeout_ms)
{
	struct endpoint endpoint;
	char text[64], region[] = STS_WORLD_REGION;
	struct sts_options options = {
		.endpoint = &endpoint, .region = region, .timeout_ms = timeout_ms};
	struct sts *sts;
	size_t len;

	snprintf(text, sizeof(text), "http://127.0.0.1:%d", port);
	assert_int_equal(endpoint_parse(text, &endpoint, &len), 0);
	assert_int_equal(
		sts_new(&world->loop, manual_clock_table(&world->clock), &options, &sts), 0);
	/* Copied. */
	memset(&endpoint, 'x', sizeof(endpoint));
	memset(region, 'x', sizeof(region) - 1);
	return sts;
}

static void run_attempts(struct sts_world *world, struct asked *asked)
{
	while (!asked->told.done) {
		if (timer_heap_first(&world->clock.heap) != NULL)
			assert_true(manual_clock_step(&world->clock));
		else
			assert_int_not_equal(uv_run(&world->loop, UV_RUN_ONCE), 0);
	}
}

/* Bound, so that nobody else takes the port, but not listening. */
static int port_bind(int *ret_fd)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(*ret_fd, 0);
	assert_int_equal(bind(*ret_fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&address, &len), 0);
	return ntohs(address.sin_port);
}

static void nobody_answers(void **state)
{
	struct sts_world *world = sts_world_open();
	struct asked asked;
	char reason[128];
	int fd;
	int port = port_bind(&fd);
	struct sts *sts = sts_at(world, port, 600000);

	assert_int_equal(try_ask(sts, ROLE, &asked), 0);
	run_attempts(world, &asked);
	assert_failed(&asked, ERR_CONNECT, NULL);
	snprintf(reason, sizeof(reason), "AssumeRole: http://127.0.0.1:%d: ", port);
	assert_memory_equal(asked.told.reason, reason, strlen(reason));
	assert_true(strlen(asked.told.reason) > strlen(reason));
	close(fd);
	sts_close(sts);
	sts_world_close(world);
}

static void silence_ends_each_attempt(void **state)
{
	struct sts_world *world = sts_world_open();
	struct sts *sts = sts_at(world, world->fake.port, 20);
	struct asked asked;

	for (int k = 0; k < 3; k++)
		fake_silence(&world->fake);
	assert_int_equal(try_ask(sts, ROLE, &asked), 0);
	run_attempts(world, &asked);
	assert_failed(&asked, ERR_TIMEOUT, NULL);
	assert_asked(world, 0, ROLE, WORLD_EPOCH_MS);
	sts_close(sts);
	sts_world_close(world);
}

/* ---- the clock */

#define SKEW_BODY(code)                                                                         \
	"<ErrorResponse><Error><Type>Sender</Type><Code>" code "</Code><Message>Signature not " \
	"yet current</Message></Error></ErrorResponse>"

/* STS's clock is an hour ahead. */
#define HOUR_AHEAD "Date: Fri, 02 Jan 2026 04:04:05 GMT\r\n"
#define HOUR_MS 3600000

static void clock_is_corrected_once(void **state)
{
	static const char *const bodies[] = {SKEW_BODY("SignatureDoesNotMatch"),
		SKEW_BODY("RequestExpired"), SKEW_BODY("RequestTimeTooSkewed")};

	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		struct sts_world *world = sts_world_open();
		struct asked asked;

		sts_world_answer_at(world, 403, HOUR_AHEAD, bodies[i]);
		answer_well(world, ROLE);
		ask(world, ROLE, &asked);
		sts_world_run(world, &asked.told.done);
		assert_well(&asked, ROLE);
		assert_asked(world, 0, ROLE, WORLD_EPOCH_MS);
		assert_asked(world, 1, ROLE, WORLD_EPOCH_MS + HOUR_MS);
		/* The next call is signed by it from the start, and knows its clock to be right. */
		sts_world_answer_at(world, 403, HOUR_AHEAD, bodies[0]);
		ask(world, IDENTITY, &asked);
		sts_world_run(world, &asked.told.done);
		assert_asked(world, 2, IDENTITY, WORLD_EPOCH_MS + HOUR_MS);
		assert_failed(&asked, ERR_BAD_CREDENTIALS, NULL);
		sts_world_close(world);
	}
}

static void clock_that_runs_away(void **state)
{
	struct sts_world *world = sts_world_open();
	struct asked asked;

	sts_world_answer_at(world, 403, HOUR_AHEAD, SKEW_BODY("SignatureDoesNotMatch"));
	sts_world_answer_at(world, 403, "Date: Fri, 02 Jan 2026 05:04:05 GMT\r\n",
		SKEW_BODY("SignatureDoesNotMatch"));
	ask(world, ROLE, &asked);
	sts_world_run(world, &asked.told.done);
	assert_failed(&asked, ERR_CLOCK_SKEW,
		"AssumeRole: SignatureDoesNotMatch (HTTP 403): Signature not yet current");
	sts_world_close(world);
}

static void clock_that_is_not_to_blame(void **state)
{
	static const struct {
		const char *headers, *body;
		int err;
	} cases[] = {
		/* 3:59, an answer out of a cache, no Date, an odd one. */
		{"Date: Fri, 02 Jan 2026 03:08:04 GMT\r\n", SKEW_BODY("SignatureDoesNotMatch"),
			ERR_BAD_CREDENTIALS},
		{"Date: Fri, 02 Jan 2026 03:00:06 GMT\r\n", SKEW_BODY("RequestExpired"),
			ERR_CLOCK_SKEW},
		{HOUR_AHEAD "Age: 1\r\n", SKEW_BODY("SignatureDoesNotMatch"), ERR_BAD_CREDENTIALS},
		{HOUR_AHEAD "Age: 1\r\n", SKEW_BODY("RequestExpired"), ERR_CLOCK_SKEW},
		{"", SKEW_BODY("RequestExpired"), ERR_CLOCK_SKEW},
		{"Date: now\r\n", SKEW_BODY("RequestExpired"), ERR_CLOCK_SKEW},
		/* Another error, whatever the Date. */
		{HOUR_AHEAD, SKEW_BODY("AccessDenied"), ERR_ACCESS_DENIED},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sts_world *world = sts_world_open();
		struct asked asked;

		sts_world_answer_at(world, 403, cases[i].headers, cases[i].body);
		ask(world, ROLE, &asked);
		sts_world_run(world, &asked.told.done);
		assert_failed(&asked, cases[i].err, NULL);
		sts_world_close(world);
	}
}

static void correction_is_no_attempt(void **state)
{
	struct sts_world *world = sts_world_open();
	struct asked asked;

	script_failure(world, &repeated[0]);
	script_failure(world, &repeated[0]);
	sts_world_answer_at(world, 403, HOUR_AHEAD, SKEW_BODY("SignatureDoesNotMatch"));
	answer_well(world, ROLE);
	ask(world, ROLE, &asked);
	run_attempts(world, &asked);
	assert_well(&asked, ROLE);
	sts_world_close(world);
}

/* ---- cancelling */

/* Brings a call to one of its phases. */
static void to_phase(struct sts_world *world, int phase, struct asked *asked)
{
	bool turned = false;

	switch (phase) {
	case 0: /* nothing has been sent */
		ask(world, WEB, asked);
		break;
	case 1: /* sent */
		fake_silence(&world->fake);
		ask(world, WEB, asked);
		sts_world_run_requests(world, 1);
		break;
	case 2: /* between two attempts */
		script_failure(world, &repeated[6]);
		ask(world, WEB, asked);
		sts_world_run_timer(world);
		break;
	case 3: /* in the second attempt */
		script_failure(world, &repeated[6]);
		fake_silence(&world->fake);
		ask(world, WEB, asked);
		sts_world_run_timer(world);
		turned = manual_clock_step(&world->clock);
		assert_true(turned);
		sts_world_run_requests(world, 2);
		break;
	default: /* signed again */
		sts_world_answer_at(world, 403, HOUR_AHEAD, SKEW_BODY("RequestExpired"));
		fake_silence(&world->fake);
		ask(world, ROLE, asked);
		sts_world_run_requests(world, 2);
		break;
	}
}

static void cancel_in_each_phase(void **state)
{
	for (int phase = 0; phase < 5; phase++) {
		struct sts_world *world = sts_world_open();
		struct asked asked, next;

		to_phase(world, phase, &asked);
		sts_cancel(asked.call);
		assert_null(timer_heap_first(&world->clock.heap));
		/* The client is as good as new. */
		answer_well(world, ROLE);
		ask(world, ROLE, &next);
		sts_world_run(world, &next.told.done);
		assert_well(&next, ROLE);
		assert_false(asked.told.done);
		sts_world_close(world);
	}
}

static void close_in_each_phase(void **state)
{
	for (int phase = 0; phase < 5; phase++) {
		struct sts_world *world = sts_world_open();
		struct asked asked;

		to_phase(world, phase, &asked);
		sts_world_close(world);
		assert_false(asked.told.done);
	}
}

static void close_from_inside(void **state)
{
	struct sts_world *world = sts_world_open();
	struct asked asked, other;

	fake_silence(&world->fake);
	ask(world, WEB, &other);
	sts_world_run_requests(world, 1);
	answer_well(world, ROLE);
	ask(world, ROLE, &asked);
	asked.told.close = world->sts;
	world->sts = NULL;
	sts_world_run(world, &asked.told.done);
	assert_well(&asked, ROLE);
	assert_false(other.told.done);
	sts_world_close(world);
}

/* ---- what is not even tried */

static void calls_at_once_are_bounded(void **state)
{
	struct sts_world *world = sts_world_open();
	static struct asked asked[17];

	for (int i = 0; i < 16; i++) {
		fake_silence(&world->fake);
		ask(world, ROLE, &asked[i]);
	}
	assert_int_equal(try_ask(world->sts, ROLE, &asked[16]), ERR_LIMIT);
	sts_world_run_requests(world, 16);
	sts_cancel(asked[3].call);
	answer_well(world, ROLE);
	ask(world, ROLE, &asked[16]);
	sts_world_run(world, &asked[16].told.done);
	assert_well(&asked[16], ROLE);
	sts_world_close(world);
}

static void keys_that_no_header_holds(void **state)
{
	static const struct credentials_set bad[] = {
		{.access_key_id = "", .secret_access_key = "s"},
		{.access_key_id = "A B", .secret_access_key = "s"},
		{.access_key_id = "A\n", .secret_access_key = "s"},
		{.access_key_id = "A", .secret_access_key = "s", .session_token = "t\r\nX: y"},
		{.access_key_id = "A", .secret_access_key = "s", .session_token = "\xc3\xa9"},
	};
	struct sts_world *world = sts_world_open();
	struct asked asked = {0};

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		assert_int_equal(sts_assume_role(world->sts, &bad[i], &role, &asked.set,
					 sts_world_told, &asked.told, &asked.call),
			ERR_ARGUMENT);
		assert_int_equal(sts_get_caller_identity(world->sts, &bad[i], &asked.identity,
					 sts_world_told, &asked.told, &asked.call),
			ERR_ARGUMENT);
	}
	sts_world_close(world);
}

static void texts_are_bounded(void **state)
{
	struct sts_world *world = sts_world_open();
	struct asked asked = {0};
	char *text = malloc(200001);

	assert_non_null(text);
	memset(text, 'x', 200000);
	text[200000] = '\0';
	assert_int_equal(sts_assume_role_with_web_identity(world->sts, &role, text, &asked.set,
				 sts_world_told, &asked.told, &asked.call),
		ERR_LIMIT);
	/* As long as STS takes a token, each of its characters encoded. */
	memset(text, '=', 20000);
	text[20000] = '\0';
	answer_well(world, WEB);
	assert_int_equal(sts_assume_role_with_web_identity(world->sts, &role, text, &asked.set,
				 sts_world_told, &asked.told, &asked.call),
		0);
	sts_world_run(world, &asked.told.done);
	assert_well(&asked, WEB);
	free(text);
	sts_world_close(world);
}

static void session_names(void **state)
{
	struct manual_clock clock;
	char name[STS_SESSION_NAME_SIZE], other[STS_SESSION_NAME_SIZE];

	manual_clock_init(&clock, 1, 0);
	sts_session_name(manual_clock_table(&clock), name);
	sts_session_name(manual_clock_table(&clock), other);
	assert_memory_equal(name, "bunshin-", 8);
	assert_int_equal(strlen(name), 24);
	assert_int_equal(strspn(name + 8, "0123456789abcdef"), 16);
	assert_string_not_equal(name, other);
	manual_clock_free(&clock);
}

/* ---- no memory */

/* One failed attempt, one that works, and one more should the transport have swallowed a failure.
 */
static void run_call(struct sts_world *world, enum kind kind)
{
	struct asked asked;
	int err;

	failmalloc_resume();
	err = try_ask(world->sts, kind, &asked);
	if (err == 0)
		run_attempts(world, &asked);
	failmalloc_pause();
	if (err == 0 && asked.told.err == 0) {
		assert_well(&asked, kind);
		return;
	}
	assert_int_equal(err == 0 ? asked.told.err : err, ERR_NOMEM);
	if (err == 0)
		assert_failed(&asked, ERR_NOMEM, NULL);
}

/* How many allocations failed, one a run. */
static unsigned long sweep(enum kind kind)
{
	unsigned long failed = 1, k;

	for (k = 1; failed > 0; k++) {
		struct sts_world *world = sts_world_open();

		script_failure(world, &repeated[0]);
		answer_well(world, kind);
		answer_well(world, kind);
		failmalloc_arm(k);
		failmalloc_pause();
		run_call(world, kind);
		failmalloc_resume();
		failed = failmalloc_disarm();
		/* What was not asked for is not missed. */
		while (world->fake.step_count > world->fake.request_count)
			free(world->fake.steps[--world->fake.step_count].raw);
		sts_world_close(world);
	}
	return k - 2;
}

static void memory_fails_anywhere(void **state)
{
	for (enum kind kind = ROLE; kind <= IDENTITY; kind++)
		assert_true(sweep(kind) > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_operation_on_the_wire),
		cmocka_unit_test(everything_that_a_role_may_say),
		cmocka_unit_test(keys_are_not_mixed_up),
		cmocka_unit_test(errors_end_a_call),
		cmocka_unit_test(answers_that_are_none),
		cmocka_unit_test(redirect_is_refused),
		cmocka_unit_test(reason_never_repeats_a_secret),
		cmocka_unit_test(attempts_are_three),
		cmocka_unit_test(each_attempt_is_signed_anew),
		cmocka_unit_test(attempts_end_with_success),
		cmocka_unit_test(answer_that_is_too_large),
		cmocka_unit_test(nobody_answers),
		cmocka_unit_test(silence_ends_each_attempt),
		cmocka_unit_test(clock_is_corrected_once),
		cmocka_unit_test(clock_that_runs_away),
		cmocka_unit_test(clock_that_is_not_to_blame),
		cmocka_unit_test(correction_is_no_attempt),
		cmocka_unit_test(cancel_in_each_phase),
		cmocka_unit_test(close_in_each_phase),
		cmocka_unit_test(close_from_inside),
		cmocka_unit_test(calls_at_once_are_bounded),
		cmocka_unit_test(keys_that_no_header_holds),
		cmocka_unit_test(texts_are_bounded),
		cmocka_unit_test(session_names),
		cmocka_unit_test(memory_fails_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
