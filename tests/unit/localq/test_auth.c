#include "localq/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The worked example: botocore's signature of this request, checked against AWS's rules. */
#define T_20260102T030405Z 1767323045
#define SCOPE "AKIDEXAMPLE/20260102/us-east-1/sqs/aws4_request"
#define SIGNED "content-type;host;x-amz-date;x-amz-target;x-amzn-query-mode"
#define SIGNATURE "530295768581a26b82af56608453fec612e6d616ab2be0346eb621ccd020599c"
#define AUTHORIZATION(scope, names, signature) \
	"AWS4-HMAC-SHA256 Credential=" scope ", SignedHeaders=" names ", Signature=" signature

static const char body[] = "{\"QueueUrl\":\"https://sqs.us-east-1.amazonaws.com/123456789012/"
			   "demo\",\"MaxNumberOfMessages\":10,\"WaitTimeSeconds\":20}";

static const struct auth_header good_headers[] = {
	{"Authorization", AUTHORIZATION(SCOPE, SIGNED, SIGNATURE)},
	{"Content-Type", "application/x-amz-json-1.0"},
	{"Host", "sqs.us-east-1.amazonaws.com"},
	{"X-Amz-Date", "20260102T030405Z"},
	{"X-Amz-Target", "AmazonSQS.ReceiveMessage"},
	{"X-Amzn-Query-Mode", "true"},
	{"User-Agent", "not signed"},
};
#define HEADERS (sizeof(good_headers) / sizeof(good_headers[0]))

static const struct auth_key good_key = {
	"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1"};

static struct hasher *hasher;
static struct auth_header headers[HEADERS + 2];
static struct auth_request request;
static struct auth_key key;
static struct problem problem;

static int open_hasher(void **state)
{
	hasher = hasher_new();
	return hasher == NULL ? -1 : 0;
}

static int close_hasher(void **state)
{
	hasher_free(hasher);
	return 0;
}

/* Each test changes one thing of the good request. */
static int start(void **state)
{
	memcpy(headers, good_headers, sizeof(good_headers));
	request = (struct auth_request){"POST", "/", headers, HEADERS, body, sizeof(body) - 1};
	key = good_key;
	return 0;
}

static enum fault check_at(int64_t now)
{
	memset(&problem, 0, sizeof(problem));
	return auth_check(hasher, &key, &request, now, &problem);
}

static enum fault check(void)
{
	return check_at(T_20260102T030405Z);
}

static void worked_example(void **state)
{
	assert_int_equal(sizeof(body) - 1, 114);
	assert_int_equal(check(), FAULT_NONE);
}

static void worked_example_with_a_session_token(void **state)
{
	headers[0].value = AUTHORIZATION(SCOPE,
		"content-type;host;x-amz-date;x-amz-security-token;x-amz-target;x-amzn-query-mode",
		"08b6b15e38e5abffb1199d86842ef8993b53164c127d8bb09453899451165597");
	headers[HEADERS] = (struct auth_header){"X-Amz-Security-Token", "SESSIONTOKENEXAMPLE"};
	request.header_count = HEADERS + 1;
	assert_int_equal(check(), FAULT_NONE);
}

static void header_values_are_trimmed_and_their_spaces_collapsed(void **state)
{
	headers[2].value = "  sqs.us-east-1.amazonaws.com\t ";
	assert_int_equal(check(), FAULT_NONE);
}

static void parameters_may_come_without_spaces(void **state)
{
	headers[0].value = "AWS4-HMAC-SHA256 Credential=" SCOPE ",SignedHeaders=" SIGNED
			   ",Signature=" SIGNATURE;
	assert_int_equal(check(), FAULT_NONE);
}

static void every_changed_digit_of_the_signature_is_noticed(void **state)
{
	char text[512];
	size_t start_at = strlen(good_headers[0].value) - 64;

	for (size_t i = 0; i < 64; i++) {
		strcpy(text, good_headers[0].value);
		text[start_at + i] = text[start_at + i] == '0' ? '1' : '0';
		headers[0].value = text;
		assert_int_equal(check(), FAULT_BAD_SIGNATURE);
	}
}

static void every_changed_byte_of_the_body_is_noticed(void **state)
{
	char changed[sizeof(body)];

	request.body = changed;
	for (size_t i = 0; i < sizeof(body) - 1; i++) {
		memcpy(changed, body, sizeof(body));
		changed[i] ^= 1;
		assert_int_equal(check(), FAULT_BAD_SIGNATURE);
	}
}

static void what_is_signed_cannot_be_changed(void **state)
{
	for (size_t i = 1; i < HEADERS - 1; i++) {
		struct auth_header kept = headers[i];

		if (strcmp(kept.name, "X-Amz-Date") == 0)
			continue;
		headers[i].value = "other";
		assert_int_equal(check(), FAULT_BAD_SIGNATURE);
		headers[i] = kept;
	}
	request.method = "GET";
	assert_int_equal(check(), FAULT_BAD_SIGNATURE);
	request.method = "POST";
	request.path = "/000000000000/demo";
	assert_int_equal(check(), FAULT_BAD_SIGNATURE);
	request.path = "/";
	key.secret_key = "other";
	assert_int_equal(check(), FAULT_BAD_SIGNATURE);
	assert_non_null(strstr(problem.message, "does not match the signature you provided"));
}

static void what_is_not_signed_may_change(void **state)
{
	headers[HEADERS - 1].value = "another agent";
	assert_int_equal(check(), FAULT_NONE);
}

static void a_second_header_of_a_signed_name_is_noticed(void **state)
{
	headers[HEADERS] = (struct auth_header){"x-amz-target", "AmazonSQS.PurgeQueue"};
	request.header_count = HEADERS + 1;
	assert_int_equal(check(), FAULT_BAD_SIGNATURE);
}

static void amz_headers_must_be_signed(void **state)
{
	headers[HEADERS] = (struct auth_header){"X-Amz-Extra", "1"};
	request.header_count = HEADERS + 1;
	assert_int_equal(check(), FAULT_BAD_SIGNATURE);
	assert_string_equal(problem.message,
		"'X-Amz-Extra' must be a 'SignedHeader' in the AWS Authorization.");
	headers[HEADERS].name = "X-Amzn-Trace-Id";
	assert_int_equal(check(), FAULT_NONE);
}

static void date_is_good_for_15_minutes_both_ways(void **state)
{
	assert_int_equal(check_at(T_20260102T030405Z + AUTH_SKEW_MAX_S), FAULT_NONE);
	assert_int_equal(check_at(T_20260102T030405Z - AUTH_SKEW_MAX_S), FAULT_NONE);
	assert_int_equal(check_at(T_20260102T030405Z + AUTH_SKEW_MAX_S + 1), FAULT_BAD_SIGNATURE);
	assert_string_equal(problem.message,
		"Signature expired: 20260102T030405Z is now earlier than 20260102T030406Z "
		"(20260102T031906Z - 15 min.)");
	assert_int_equal(check_at(T_20260102T030405Z - AUTH_SKEW_MAX_S - 1), FAULT_BAD_SIGNATURE);
	assert_string_equal(problem.message,
		"Signature not yet current: 20260102T030405Z is still later than 20260102T030404Z "
		"(20260102T024904Z + 15 min.)");
}

static void unreadable_dates(void **state)
{
	static const char *const dates[] = {"", "2026", "20260102T030405", "20260102 030405Z",
		"20260132T030405Z", "20261302T030405Z", "20260102T250405Z", "20260102T030405z",
		"Fri, 02 Jan 2026", "-0260102T030405Z", "20260102T030405ZZ"};

	for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
		headers[3].value = dates[i];
		if (check() != FAULT_INCOMPLETE_SIGNATURE)
			fail_msg("date %s: %s", dates[i], problem.message);
	}
	headers[3].name = "X-Other";
	assert_int_equal(check(), FAULT_INCOMPLETE_SIGNATURE);
}

static void no_authorization(void **state)
{
	headers[0].name = "X-Other";
	assert_int_equal(check(), FAULT_NO_SIGNATURE);
	assert_string_equal(problem.message, "Request is missing Authentication Token");
}

static void broken_authorizations(void **state)
{
	static const char *const table[] = {"", "Basic dXNlcjpwYXNz", "AWS4-HMAC-SHA256",
		"AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256 ,,,,",
		"AWS4-HMAC-SHA256 Credential=" SCOPE ", SignedHeaders=" SIGNED,
		"AWS4-HMAC-SHA256 Credential=" SCOPE ", Signature=" SIGNATURE,
		"AWS4-HMAC-SHA256 SignedHeaders=" SIGNED ", Signature=" SIGNATURE,
		AUTHORIZATION("", SIGNED, SIGNATURE), AUTHORIZATION(SCOPE, "", SIGNATURE),
		AUTHORIZATION(SCOPE, SIGNED, "")};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		headers[0].value = table[i];
		if (check() != FAULT_INCOMPLETE_SIGNATURE)
			fail_msg("%s: %s", table[i], problem.message);
	}
}

static void wrong_scopes(void **state)
{
	static const struct {
		const char *authorization;
		enum fault fault;
	} table[] = {
		{AUTHORIZATION("OTHER/20260102/us-east-1/sqs/aws4_request", SIGNED, SIGNATURE),
			FAULT_UNKNOWN_KEY},
		{AUTHORIZATION(
			 "AKIDEXAMPLF/20260102/us-east-1/sqs/aws4_request", SIGNED, SIGNATURE),
			FAULT_UNKNOWN_KEY},
		{AUTHORIZATION(
			 "AKIDEXAMPLE/20260103/us-east-1/sqs/aws4_request", SIGNED, SIGNATURE),
			FAULT_BAD_SIGNATURE},
		{AUTHORIZATION(
			 "AKIDEXAMPLE/20260102/eu-west-1/sqs/aws4_request", SIGNED, SIGNATURE),
			FAULT_BAD_SIGNATURE},
		{AUTHORIZATION(
			 "AKIDEXAMPLE/20260102/us-east-1/sns/aws4_request", SIGNED, SIGNATURE),
			FAULT_BAD_SIGNATURE},
		{AUTHORIZATION(
			 "AKIDEXAMPLE/20260102/us-east-1/sqs/aws5_request", SIGNED, SIGNATURE),
			FAULT_BAD_SIGNATURE},
		{AUTHORIZATION("AKIDEXAMPLE", SIGNED, SIGNATURE), FAULT_BAD_SIGNATURE},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		headers[0].value = table[i].authorization;
		if (check() != table[i].fault)
			fail_msg("%s: %s", table[i].authorization, problem.message);
	}
}

static void headers_named_but_not_sent(void **state)
{
	headers[0].value = AUTHORIZATION(SCOPE, SIGNED ";x-missing;;", SIGNATURE);
	assert_int_equal(check(), FAULT_BAD_SIGNATURE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup(name, start)
		T(worked_example),
		T(worked_example_with_a_session_token),
		T(header_values_are_trimmed_and_their_spaces_collapsed),
		T(parameters_may_come_without_spaces),
		T(every_changed_digit_of_the_signature_is_noticed),
		T(every_changed_byte_of_the_body_is_noticed),
		T(what_is_signed_cannot_be_changed),
		T(what_is_not_signed_may_change),
		T(a_second_header_of_a_signed_name_is_noticed),
		T(amz_headers_must_be_signed),
		T(date_is_good_for_15_minutes_both_ways),
		T(unreadable_dates),
		T(no_authorization),
		T(broken_authorizations),
		T(wrong_scopes),
		T(headers_named_but_not_sent),
#undef T
	};

	return cmocka_run_group_tests(tests, open_hasher, close_hasher);
}
