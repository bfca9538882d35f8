/*
 * destinations[].auth: values, defaults, every mistake with its exact message, what is printed.
 */
#include "base/log.h"
#include "bunshin/error.h"
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define WHSEC "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define WHSEC_2 "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
/* One destination on one line; auth's map starts in column 32. */
#define AUTH(auth) AUTH_WITH(auth, "")
#define AUTH_WITH(auth, request) \
	"destinations: [{name: d, auth: {" auth "}, request: {url: 'http://h/'" request "}}]\n"

static void test_none(void **state)
{
	static const char *const yaml[] = {
		AUTH(""),
		AUTH("type: none"),
		AUTH("type: none, secrets: [], header: null, algorithm: sha256, encoding: hex"),
		"destinations: [{name: d, auth: , request: {url: 'http://h/'}}]\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(yaml); i++) {
		struct config *config = fixture_load_valid(yaml[i]);

		assert_int_equal(config->destinations[0].auth.type, CONFIG_AUTH_NONE);
		assert_int_equal(config->destinations[0].auth.secrets.count, 0);
		assert_null(config->destinations[0].auth.header);
		config_free(config);
	}
}

static void test_values(void **state)
{
	struct config *config = fixture_load_valid(
		AUTH("type: standard_webhooks, secrets: [" WHSEC ", '" WHSEC_2 "']"));
	const struct config_auth *auth = &config->destinations[0].auth;

	(void)state;
	assert_int_equal(auth->type, CONFIG_AUTH_STANDARD_WEBHOOKS);
	assert_int_equal(auth->secrets.count, 2);
	assert_string_equal(auth->secrets.rows[0], WHSEC);
	assert_string_equal(auth->secrets.rows[1], WHSEC_2);
	config_free(config);
	config = fixture_load_valid(
		AUTH("type: standard_webhooks, secrets: [" WHSEC ", '${GONE:-}']"));
	assert_int_equal(config->destinations[0].auth.secrets.count, 1);
	config_free(config);
	config = fixture_load_valid(
		AUTH("type: hmac, secrets: '${file:secret}', header: X-Sig, prefix: 'v1=', "
		     "algorithm: sha512, encoding: base64, signed: timestamp.body, "
		     "timestamp_header: X-Time"));
	auth = &config->destinations[0].auth;
	assert_int_equal(auth->type, CONFIG_AUTH_HMAC);
	assert_int_equal(auth->secrets.count, 1);
	assert_string_equal(auth->secrets.rows[0], "file-secret");
	assert_string_equal(auth->header, "X-Sig");
	assert_string_equal(auth->prefix, "v1=");
	assert_int_equal(auth->algorithm, CONFIG_AUTH_SHA512);
	assert_int_equal(auth->encoding, CONFIG_AUTH_BASE64);
	assert_int_equal(auth->signed_parts, CONFIG_AUTH_TIMESTAMP_BODY);
	assert_string_equal(auth->timestamp_header, "X-Time");
	config_free(config);
}

/* Printed, read back and printed again: the same, and no secret in it, nor in the log. */
static void test_secrets_are_hidden(void **state)
{
	struct buf first = BUF_INIT(1 << 16), second = BUF_INIT(1 << 16);
	struct config *config = fixture_load_valid(
		AUTH("type: standard_webhooks, secrets: [" WHSEC ", " WHSEC_2 "]"));
	char line[] = "a " WHSEC " b " WHSEC_2 " c MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw d";

	(void)state;
	assert_int_equal(config_print(config, &first), 0);
	config_free(config);
	assert_non_null(strstr(buf_string(&first),
		"    auth:\n      type: standard_webhooks\n"
		"      secrets: [\"[hidden]\", \"[hidden]\"]\n      header: null\n"));
	assert_null(strstr(buf_string(&first), "MfKQ9r8"));
	assert_null(strstr(buf_string(&first), "AAECAwQ"));
	log_redact(line);
	assert_null(strstr(line, "MfKQ9r8"));
	assert_null(strstr(line, "AAECAwQ"));
	config = fixture_load_valid(buf_string(&first));
	assert_int_equal(config_print(config, &second), 0);
	assert_string_equal(buf_string(&first), buf_string(&second));
	config_free(config);
	buf_free(&first);
	buf_free(&second);
}

/* Who has none of the secrets still learns the rest. */
static void test_missing_secrets(void **state)
{
	struct config_environment environment = fixture_environment;
	struct buf errors = BUF_INIT(1 << 16);
	struct config *config = NULL;
	static const char yaml[] = AUTH("type: standard_webhooks, secrets: '${credential:none}'");

	(void)state;
	fixture_write("t.yaml", yaml, strlen(yaml));
	environment.missing = "x";
	assert_int_equal(config_load("t.yaml", &environment, NULL, 0, &config, &errors), 0);
	config_free(config);
	buf_free(&errors);
}

static const struct fixture_bad_case bad[] = {
	{AUTH("type: jwt"), "t.yaml:1:39: destinations[0].auth.type: expected one of none, "
			    "standard_webhooks, hmac, apns, google or aws, got \"jwt\"\n"},
	{AUTH("secrets: [" WHSEC "]"),
		"t.yaml:1:42: destinations[0].auth.secrets: does not belong to auth.type none\n"},
	{AUTH("type: standard_webhooks"),
		"t.yaml:1:39: destinations[0].auth.secrets: missing; auth.type standard_webhooks "
		"needs it\n"},
	{AUTH("type: standard_webhooks, secrets: []"),
		"t.yaml:1:67: destinations[0].auth.secrets: missing; auth.type standard_webhooks "
		"needs it\n"},
	{AUTH("type: standard_webhooks, secrets: " WHSEC ", header: X-Sig"),
		"t.yaml:1:115: destinations[0].auth.header: does not belong to auth.type "
		"standard_webhooks\n"},
	{AUTH("type: standard_webhooks, secrets: [whsec_not!base64]"),
		"t.yaml:1:67: destinations[0].auth.secrets[0]: expected whsec_ and the base64 of "
		"24 to 64 bytes, got something that is no base64\n"},
	{AUTH("type: standard_webhooks, secrets: [" WHSEC ", whsec_AAAA]"),
		"t.yaml:1:67: destinations[0].auth.secrets[1]: expected whsec_ and the base64 of "
		"24 to 64 bytes, got base64 of another length\n"},
	{AUTH("type: standard_webhooks, secrets: ['', '${GONE:-}']"),
		"t.yaml:1:67: destinations[0].auth.secrets: empty; nothing would be signed\n"},
	{AUTH("type: hmac, header: X-Sig, secrets: ''"),
		"t.yaml:1:69: destinations[0].auth.secrets: empty; nothing would be signed\n"},
	{AUTH("type: standard_webhooks, secrets: [a, b, c]"),
		"t.yaml:1:67: destinations[0].auth.secrets: expected at most 2, got 3\n"},
	{AUTH("type: standard_webhooks, secrets: {a: b}"),
		"t.yaml:1:67: destinations[0].auth.secrets: expected a list of secrets, got a "
		"map\n"},
	{AUTH("type: standard_webhooks, secrets: [[a]]"),
		"t.yaml:1:68: destinations[0].auth.secrets[0]: expected a secret, got a list\n"},
	{AUTH("type: standard_webhooks, secrets: '${credential:none}'"),
		"t.yaml:1:67: destinations[0].auth.secrets: credential \"credentials/none\" cannot "
		"be read: "
		"No such file or directory\n"},
	{AUTH_WITH("type: standard_webhooks, secrets: " WHSEC, ", headers: {Webhook-Id: x}"),
		"t.yaml:1:39: destinations[0].auth.type: makes the header webhook-id, which "
		"request.headers has too\n"},
	{AUTH("type: hmac, secrets: short, header: X-Sig"),
		"t.yaml:1:54: destinations[0].auth.secrets[0]: expected a secret of 8 to 1024 "
		"bytes, got one of another length\n"},
	{AUTH("type: hmac, secrets: long-enough"),
		"t.yaml:1:39: destinations[0].auth.header: missing; auth.type hmac needs it\n"},
	{AUTH("type: hmac, secrets: long-enough, header: a b"),
		"t.yaml:1:75: destinations[0].auth.header: expected a name of 1 to 128 letters, "
		"digits, _ . or -, got \"a b\"\n"},
	{AUTH("type: hmac, secrets: long-enough, header: Content-Length"),
		"t.yaml:1:75: destinations[0].auth.header: \"Content-Length\" is set by the HTTP "
		"client itself\n"},
	{AUTH_WITH("type: hmac, secrets: long-enough, header: X-Sig", ", headers: {x-sig: a}"),
		"t.yaml:1:75: destinations[0].auth.header: makes the header X-Sig, which "
		"request.headers has too\n"},
	{AUTH("type: hmac, secrets: long-enough, header: X-Sig, signed: timestamp.body"),
		"t.yaml:1:39: destinations[0].auth.timestamp_header: missing; with auth.signed "
		"timestamp.body nobody could check the signature without the time\n"},
	{AUTH("type: hmac, secrets: long-enough, header: X-Sig, timestamp_header: x-sig"),
		"t.yaml:1:100: destinations[0].auth.timestamp_header: the same as auth.header\n"},
	{AUTH("type: apns, key_file: none.p8, key_id: K1, team_id: T1"),
		"t.yaml:1:55: destinations[0].auth.key_file: \"none.p8\" cannot be read: No such "
		"file or directory\n"},
	{AUTH("type: apns, key_file: secret, key_id: K1, team_id: T1"),
		"t.yaml:1:55: destinations[0].auth.key_file: \"secret\" holds no private key in "
		"PEM "
		"without a passphrase\n"},
	{AUTH("type: apns, key_id: K1, renew: 19m"),
		"t.yaml:1:64: destinations[0].auth.renew: expected a duration from 20m to 55m "
		"(like 50m), got \"19m\"\n"
		"t.yaml:1:39: destinations[0].auth.key_file: missing; auth.type apns needs it\n"
		"t.yaml:1:39: destinations[0].auth.team_id: missing; auth.type apns needs it\n"},
	{AUTH("type: apns, key_file: secret, key_id: 'a\"b', team_id: T1"),
		"t.yaml:1:71: destinations[0].auth.key_id: expected a name of 1 to 64 letters, "
		"digits, or -, got \"a\\\"b\"\n"
		"t.yaml:1:55: destinations[0].auth.key_file: \"secret\" holds no private key in "
		"PEM "
		"without a passphrase\n"},
	{AUTH_WITH("type: apns, key_file: secret, key_id: K1, team_id: T1",
		 ", headers: {Authorization: x}"),
		"t.yaml:1:39: destinations[0].auth.type: makes the header authorization, which "
		"request.headers has too\n"
		"t.yaml:1:55: destinations[0].auth.key_file: \"secret\" holds no private key in "
		"PEM "
		"without a passphrase\n"},
	{AUTH("tipe: hmac"),
		"t.yaml:1:33: destinations[0].auth.tipe: unknown key; did you mean \"type\"?\n"},
};

static void test_bad(void **state)
{
	(void)state;
	assert_int_equal(fixture_check_bad(bad, COUNT(bad)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_secrets_are_hidden),
		cmocka_unit_test(test_missing_secrets),
	};

	return cmocka_run_group_tests(tests, fixture_enter, fixture_leave);
}
