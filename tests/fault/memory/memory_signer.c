/* src/aws: the signer, and credentials from their search to their renewal. */
#include "sweep.h"

#include "aws/credentials/provider.h"
#include "aws/sigv4.h"
#include "base/log.h"
#include "base/manual_clock.h"
#include "bunshin/error.h"
#include "reach_openssl.h"

#include <stdio.h>
#include <string.h>

#define HOUR_MS INT64_C(3600000)
#define SIGNED_EPOCH_MS INT64_C(1700000000000)

static struct buf expected = BUF_INIT(1 << 16);

static int enter(void **state)
{
	assert_true(reach_openssl());
	return 0;
}

static int leave(void **state)
{
	buf_free(&expected);
	return 0;
}

struct sign_case {
	const char *token;
	size_t body_bytes;
};

static int sign_twice(const struct sign_case *c, struct sigv4 *signer, struct buf *authorization)
{
	static struct credentials_set set;
	static char body[1 << 16];
	const struct sigv4_header headers[] = {{"Host", "sqs.eu-west-1.amazonaws.com"},
		{"Content-Type", "application/x-amz-json-1.0"},
		{"X-Amz-Target", "AmazonSQS.SendMessageBatch"}, {"X-Test", "  many   blanks  "}};
	const struct sigv4_request request = {.method = "POST",
		.path = "/a b/../c/%C3%A9",
		.query = "z=1&a=%20x&b&a=y",
		.headers = headers,
		.header_count = sizeof(headers) / sizeof(headers[0]),
		.body = body,
		.body_bytes = c->body_bytes};
	char date[SIGV4_DATE_SIZE];
	int err = 0;

	snprintf(set.access_key_id, sizeof(set.access_key_id), "AKIDEXAMPLE");
	snprintf(set.secret_access_key, sizeof(set.secret_access_key), "secret");
	snprintf(set.session_token, sizeof(set.session_token), "%s", c->token);
	for (int day = 0; day < 2 && !err; day++)
		err = sigv4_sign(signer, &request, &set, "eu-west-1", "sqs",
			SIGNED_EPOCH_MS + day * INT64_C(86400000), authorization, date);
	return err;
}

static void expect_signatures(const struct sign_case *c)
{
	struct sigv4 *signer;

	buf_clear(&expected);
	assert_int_equal(sigv4_new(&signer), 0);
	assert_int_equal(sign_twice(c, signer, &expected), 0);
	sigv4_free(signer);
}

static int sign(const void *arg)
{
	struct buf authorization = BUF_INIT(1 << 16);
	struct sigv4 *signer = NULL;
	int err;

	expect_signatures(arg);
	sweep_on();
	err = sigv4_new(&signer);
	if (!err)
		err = sign_twice(arg, signer, &authorization);
	sweep_off();
	if (!err)
		assert_string_equal(buf_string(&authorization), buf_string(&expected));
	/* A signer that failed is as good as new. */
	buf_clear(&authorization);
	if (signer) {
		assert_int_equal(sign_twice(arg, signer, &authorization), 0);
		assert_string_equal(buf_string(&authorization), buf_string(&expected));
	}
	sigv4_free(signer);
	buf_free(&authorization);
	return err;
}

static const char *no_variable(const char *name)
{
	return NULL;
}

static int find_credentials(const void *arg)
{
	struct credentials_provider providers[2];
	struct credentials *credentials = NULL;
	const struct credentials_set *set;
	char reason[CREDENTIALS_REASON_MAX];
	struct credentials_context context = {0};
	struct aws_settings *settings = NULL;
	struct manual_clock clock;
	struct buf error = BUF_INIT(1000);
	int err;

	manual_clock_init(&clock, 1, 1000);

	sweep_on();
	err = aws_settings_load(no_variable, &settings, &error);
	context.settings = settings;
	if (!err)
		err = credentials_environment(&context, &providers[0]);
	if (!err) {
		err = credentials_static("id", "secret", arg, &providers[1]);
		if (err)
			providers[0].free(providers[0].impl);
	}
	if (!err)
		err = credentials_new(manual_clock_table(&clock), providers, 2, &credentials);
	if (!err)
		err = credentials_get(credentials, &set, reason);
	sweep_off();
	credentials_free(credentials);
	aws_settings_free(settings);
	manual_clock_free(&clock);
	buf_free(&error);
	return err;
}

/* Keys that live for an hour, others each time. */
static int rotating_get(void *impl, struct credentials_set *ret_set, credentials_done *done,
	void *arg, char reason[CREDENTIALS_REASON_MAX])
{
	struct manual_clock *clock = impl;
	int64_t now_ms = clock_wall_epoch_ms(manual_clock_table(clock));

	strcpy(ret_set->access_key_id, "id");
	snprintf(ret_set->secret_access_key, sizeof(ret_set->secret_access_key), "secret %lld",
		(long long)now_ms);
	strcpy(ret_set->session_token, "\"token\"");
	ret_set->expires_epoch_ms = now_ms + HOUR_MS;
	return 0;
}

static void rotating_free(void *impl)
{
}

static void count_fire(struct credentials_waiter *waiter)
{
	waiter->fire = NULL;
}

/* A search, a waiter and a renewal; whatever memory failed, the chain is well again afterwards. */
static int renew_credentials(const void *arg)
{
	struct manual_clock clock;
	const struct credentials_provider provider = {
		.name = "rotating", .get = rotating_get, .free = rotating_free, .impl = &clock};
	struct credentials *credentials = NULL;
	struct credentials_waiter waiter = {.fire = count_fire};
	const struct credentials_set *set;
	uint64_t generation;
	int err;

	manual_clock_init(&clock, 1, 1000);
	sweep_on();
	err = credentials_new(manual_clock_table(&clock), &provider, 1, &credentials);
	if (!err)
		err = credentials_get(credentials, &set, NULL);
	if (!err) {
		credentials_wait(credentials, &waiter);
		manual_clock_advance(&clock, (HOUR_MS - 420000) * 1000);
		err = credentials_get(credentials, &set, NULL);
		assert_int_equal(err, 0);
		/* It may also have been tried again in time. */
		if (waiter.fire || set->generation != 2)
			err = ERR_NOMEM;
	}
	sweep_off();
	if (credentials) {
		credentials_get(credentials, &set, NULL);
		manual_clock_advance(&clock, 60000000);
		assert_int_equal(credentials_get(credentials, &set, NULL), 0);
		assert_int_equal(credentials_status(credentials)->state, CREDENTIALS_READY);
		generation = set->generation;
		manual_clock_advance(&clock, 2 * HOUR_MS * 1000);
		assert_int_equal(credentials_get(credentials, &set, NULL), 0);
		assert_true(set->generation > generation);
		if (waiter.node.next)
			assert_null(waiter.fire);
	}
	credentials_free(credentials);
	manual_clock_free(&clock);
	log_clear_secrets();
	return err;
}

static int read_credentials(const void *arg)
{
	static const char text[] = "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\","
				   "\"Expiration\":\"2026-11-23T08:00:00Z\"}";
	struct credentials_set set = {0};
	char reason[CREDENTIALS_REASON_MAX];
	int err;

	sweep_on();
	err = credentials_read_json(text, sizeof(text) - 1, &set, reason, sizeof(reason));
	sweep_off();
	assert_string_equal(set.access_key_id, err ? "" : "A");
	return err;
}

int main(void)
{
	static const struct sign_case plain = {"", 1000}, token = {"token/of+a=role", 1 << 16};
	static const struct sweep table[] = {
		SWEEP("sigv4: two days", sign, .arg = &plain, .degrades = true),
		SWEEP("sigv4: two days, with a session token", sign, .arg = &token,
			.degrades = true),
		SWEEP("credentials: environment, then static", find_credentials),
		SWEEP("credentials: with a session token", find_credentials, .arg = "token"),
		SWEEP("credentials: a renewal", renew_credentials, .degrades = true),
		SWEEP("credentials: JSON", read_credentials),
	};

	return SWEEP_TABLE("aws/signer", table, enter, leave);
}
