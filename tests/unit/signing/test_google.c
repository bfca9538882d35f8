/*
 * Google's access tokens: the file, the form that is sent, and answers, hostile ones too.
 */
#include "bunshin/error.h"
#include "keys.h"
#include "signing/google.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1800000000000)
#define SCOPE "https://www.googleapis.com/auth/firebase.messaging"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A file with these members before the key. */
static int read_file(
	const char *members, const char *pem, struct google_account **ret, const char **ret_problem)
{
	struct buf text = BUF_INIT(1 << 20);
	int err;

	buf_appendf(&text, "{%s\"private_key\":\"", members);
	buf_append_json(&text, pem, strlen(pem));
	buf_append_string(&text, "\"}");
	err = google_account_read(buf_string(&text), text.len, ret, ret_problem);
	buf_free(&text);
	return err;
}

#define TYPE "\"type\":\"service_account\","
#define EMAIL "\"client_email\":\"push@my-project.iam.gserviceaccount.com\","
#define KEY_ID "\"private_key_id\":\"0123abcd\","
#define URI "\"token_uri\":\"https://oauth2.googleapis.com/token\","

static struct google_account *read_good(const char *members)
{
	struct google_account *account = NULL;
	const char *problem = "";

	assert_int_equal(read_file(members, KEY_RFC_RSA, &account, &problem), 0);
	return account;
}

static void test_file(void **state)
{
	struct google_account *account = read_good(TYPE EMAIL KEY_ID URI);

	(void)state;
	assert_string_equal(account->client_email, "push@my-project.iam.gserviceaccount.com");
	assert_string_equal(account->key_id, "0123abcd");
	assert_string_equal(account->token_uri, "https://oauth2.googleapis.com/token");
	google_account_free(account);
	account = read_good(TYPE EMAIL "\"token_uri\":\"http://127.0.0.1:8080/token\",");
	assert_string_equal(account->key_id, "");
	google_account_free(account);
	google_account_free(NULL);
}

static void test_bad_files(void **state)
{
	static const struct {
		const char *members, *pem, *problem;
	} cases[] = {
		{EMAIL URI, KEY_RFC_RSA, "is not of the type service_account"},
		{"\"type\":\"authorized_user\"," EMAIL URI, KEY_RFC_RSA,
			"is not of the type service_account"},
		{TYPE URI, KEY_RFC_RSA, "has no client_email"},
		{TYPE "\"client_email\":\"a b\"," URI, KEY_RFC_RSA, "has no client_email"},
		{TYPE "\"client_email\":7," URI, KEY_RFC_RSA, "has no client_email"},
		{TYPE EMAIL, KEY_RFC_RSA, "has no token_uri that is https"},
		{TYPE EMAIL "\"token_uri\":\"http://oauth2.googleapis.com/token\",", KEY_RFC_RSA,
			"has no token_uri that is https"},
		{TYPE EMAIL "\"token_uri\":\"http://127.0.0.1:80@example.com/\",", KEY_RFC_RSA,
			"has no token_uri that is https"},
		{TYPE EMAIL "\"token_uri\":\"https://a\\r\\nb/\",", KEY_RFC_RSA,
			"has no token_uri that is https"},
		{TYPE EMAIL URI, "no key", "has no private_key in PEM"},
		{TYPE EMAIL URI, KEY_ENCRYPTED, "has no private_key in PEM"},
		{TYPE EMAIL URI, KEY_RFC_EC,
			"has a private_key that is not RSA of 2048 to 8192 bits (RS256)"},
		{TYPE EMAIL URI, KEY_RSA_1024,
			"has a private_key that is not RSA of 2048 to 8192 bits (RS256)"},
	};
	static const char *const texts[] = {"", "[]", "7", "{", "{\"type\":", "not JSON"};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct google_account *account = NULL;
		const char *problem = NULL;

		assert_int_equal(
			read_file(cases[i].members, cases[i].pem, &account, &problem), ERR_SYNTAX);
		assert_string_equal(problem, cases[i].problem);
		assert_null(account);
	}
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct google_account *account = NULL;
		const char *problem = NULL;

		assert_int_equal(
			google_account_read(texts[i], strlen(texts[i]), &account, &problem),
			ERR_SYNTAX);
		assert_string_equal(problem, "holds no JSON object");
	}
}

/* RS256 is deterministic: the same at the same instant, and begins with what it says. */
static void test_form(void **state)
{
	struct google_account *account = read_good(TYPE EMAIL KEY_ID URI);
	struct buf form = BUF_INIT(GOOGLE_FORM_MAX), same = BUF_INIT(GOOGLE_FORM_MAX);
	const char *at;

	(void)state;
	assert_int_equal(google_form_make(account, SCOPE, NOW, &form), 0);
	assert_int_equal(google_form_make(account, SCOPE, NOW + 999, &same), 0);
	assert_string_equal(buf_string(&form), buf_string(&same));
	/* {"alg":"RS256","typ":"JWT","kid":"0123abcd"} */
	at = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="
	     "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjAxMjNhYmNkIn0."
	     /* {"iss":"push@my-project.iam.gserviceaccount.com","scope":"https://www.googleapis.com
	      * /auth/firebase.messaging","aud":"https://oauth2.googleapis.com/token",
	      * "iat":1800000000,"exp":1800003600} */
	     "eyJpc3MiOiJwdXNoQG15LXByb2plY3QuaWFtLmdzZXJ2aWNlYWNjb3VudC5jb20iLCJzY29wZSI6Imh0dHBz"
	     "Oi8vd3d3Lmdvb2dsZWFwaXMuY29tL2F1dGgvZmlyZWJhc2UubWVzc2FnaW5nIiwiYXVkIjoiaHR0cHM6Ly9v"
	     "YXV0aDIuZ29vZ2xlYXBpcy5jb20vdG9rZW4iLCJpYXQiOjE4MDAwMDAwMDAsImV4cCI6MTgwMDAwMzYwMH0.";
	assert_memory_equal(buf_string(&form), at, strlen(at));
	assert_int_equal(form.len, strlen(at) + 342);
	buf_clear(&same);
	assert_int_equal(google_form_make(account, SCOPE, NOW + 1000, &same), 0);
	assert_string_not_equal(buf_string(&form), buf_string(&same));
	buf_free(&form);
	buf_free(&same);
	google_account_free(account);
}

static void test_identities(void **state)
{
	struct google_account *account = read_good(TYPE EMAIL KEY_ID URI);
	struct google_account *other = read_good(TYPE EMAIL URI);
	uint8_t a[TOKEN_IDENTITY_BYTES], b[TOKEN_IDENTITY_BYTES];

	(void)state;
	google_identity(account, "a", a);
	google_identity(account, "a", b);
	assert_memory_equal(a, b, sizeof(a));
	google_identity(account, "b", b);
	assert_memory_not_equal(a, b, sizeof(a));
	google_identity(other, "a", b);
	assert_memory_not_equal(a, b, sizeof(a));
	google_account_free(account);
	google_account_free(other);
}

static void test_answer(void **state)
{
	static const char body[] = "{\"access_token\":\"ya29.c.b0Aa-_~+/=\",\"expires_in\":3599,"
				   "\"token_type\":\"Bearer\"}";
	struct buf reason = BUF_INIT(1024);
	struct token token;

	(void)state;
	assert_int_equal(google_answer_read(200, body, strlen(body), NOW, &token, &reason), 0);
	assert_string_equal(token.text, "ya29.c.b0Aa-_~+/=");
	assert_int_equal(token.made_epoch_ms, NOW);
	assert_int_equal(token.ends_epoch_ms, NOW + 3599000 - 60000);
	assert_int_equal(reason.len, 0);
	buf_free(&reason);
}

#define NO_TOKEN "an answer without access_token, token_type Bearer and expires_in"
#define GOOD_REST "\"expires_in\":3600,\"token_type\":\"Bearer\"}"

static void test_bad_answers(void **state)
{
	static const struct {
		int status;
		const char *body;
		int err;
		const char *reason;
	} cases[] = {
		{200, "", ERR_PROTOCOL, NO_TOKEN},
		{200, "[]", ERR_PROTOCOL, NO_TOKEN},
		{200, "{" GOOD_REST, ERR_PROTOCOL, NO_TOKEN},
		{200, "{\"access_token\":\"\"," GOOD_REST, ERR_PROTOCOL, NO_TOKEN},
		{200, "{\"access_token\":7," GOOD_REST, ERR_PROTOCOL, NO_TOKEN},
		{200, "{\"access_token\":\"a\\r\\nX: y\"," GOOD_REST, ERR_PROTOCOL, NO_TOKEN},
		{200, "{\"access_token\":\"a\\u0000b\"," GOOD_REST, ERR_PROTOCOL, NO_TOKEN},
		{200, "{\"access_token\":\"a\",\"token_type\":\"Bearer\"}", ERR_PROTOCOL, NO_TOKEN},
		{200, "{\"access_token\":\"a\",\"token_type\":\"mac\",\"expires_in\":3600}",
			ERR_PROTOCOL, NO_TOKEN},
		{200, "{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"expires_in\":60}",
			ERR_PROTOCOL, NO_TOKEN},
		{200, "{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"expires_in\":-1}",
			ERR_PROTOCOL, NO_TOKEN},
		{200, "{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"expires_in\":\"9\"}",
			ERR_PROTOCOL, NO_TOKEN},
		{200,
			"{\"access_token\":\"a\",\"token_type\":\"Bearer\","
			"\"expires_in\":9223372036854775807}",
			ERR_PROTOCOL, NO_TOKEN},
		{400, "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid JWT.\"}",
			ERR_BAD_CREDENTIALS, "HTTP 400, invalid_grant: Invalid JWT."},
		{401, "{\"error\":{\"code\":401}}", ERR_BAD_CREDENTIALS, "HTTP 401"},
		{403, "no JSON", ERR_BAD_CREDENTIALS, "HTTP 403"},
		{429, "", ERR_THROTTLED, "HTTP 429"},
		{503, "{", ERR_UNAVAILABLE, "HTTP 503"},
		{302, "{\"access_token\":\"a\"," GOOD_REST, ERR_PROTOCOL, "HTTP 302"},
	};
	static const struct token none;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf reason = BUF_INIT(1024);
		struct token token;

		memset(&token, 'x', sizeof(token));
		assert_int_equal(google_answer_read(cases[i].status, cases[i].body,
					 strlen(cases[i].body), NOW, &token, &reason),
			cases[i].err);
		assert_string_equal(buf_string(&reason), cases[i].reason);
		assert_memory_equal(&token, &none, sizeof(token));
		buf_free(&reason);
	}
}

/* As long as a slot holds, and one byte longer. */
static void test_long_tokens(void **state)
{
	char *body = malloc(2 * TOKEN_TEXT_MAX);
	struct buf reason = BUF_INIT(1024);
	struct token token;

	(void)state;
	assert_non_null(body);
	for (int longer = 0; longer < 2; longer++) {
		int len = snprintf(body, 2 * TOKEN_TEXT_MAX,
			"{\"access_token\":\"%0*d\"," GOOD_REST, TOKEN_TEXT_MAX + longer, 0);

		assert_int_equal(google_answer_read(200, body, (size_t)len, NOW, &token, &reason),
			longer ? ERR_PROTOCOL : 0);
	}
	free(body);
	buf_free(&reason);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_identities),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_bad_answers),
		cmocka_unit_test(test_long_tokens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
