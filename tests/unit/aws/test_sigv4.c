#include "aws/digest.h"
#include "aws/sigv4.h"
#include "aws/sigv4_canonical.h"
#include "base/hex.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define T_20150830T123600Z 1440938160000
#define T_20260102T030405Z 1767323045000

static const struct credentials_set example = {
	.access_key_id = "AKIDEXAMPLE", .secret_access_key = SECRET, .generation = 1};

static const char receive_body[] = "{\"QueueUrl\":\"https://sqs.us-east-1.amazonaws.com/"
				   "123456789012/demo\",\"MaxNumberOfMessages\":10,"
				   "\"WaitTimeSeconds\":20}";

static const struct sigv4_header receive_headers[] = {
	{"Content-Type", "application/x-amz-json-1.0"},
	{"Host", "sqs.us-east-1.amazonaws.com"},
	{"X-Amz-Target", "AmazonSQS.ReceiveMessage"},
	{"x-amzn-query-mode", "true"},
};

static const struct sigv4_request receive_request = {
	.method = "POST",
	.path = "/",
	.query = "",
	.headers = receive_headers,
	.header_count = 4,
	.body = receive_body,
	.body_bytes = sizeof(receive_body) - 1,
};

static struct sigv4 *signer_open(void)
{
	struct sigv4 *signer;

	assert_int_equal(sigv4_new(&signer), 0);
	return signer;
}

static void key_of_the_documented_example(void **state)
{
	struct sigv4 *signer = signer_open();
	unsigned char key[SIGV4_KEY_BYTES];
	char hex[2 * SIGV4_KEY_BYTES + 1];

	assert_int_equal(sigv4_signing_key(signer, SECRET, "20150830", "us-east-1", "iam", key), 0);
	hex_print(key, sizeof(key), hex);
	assert_string_equal(
		hex, "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
	assert_int_equal(sigv4_signing_key(signer, SECRET, "20260102", "us-east-1", "sqs", key), 0);
	hex_print(key, sizeof(key), hex);
	assert_string_equal(
		hex, "2ff297a9677e4dae14c807deddfda42a648728a19457402a48e239ed0efff414");
	sigv4_free(signer);
}

static void list_users_of_the_documented_example(void **state)
{
	static const struct sigv4_header headers[] = {
		{"Host", "iam.amazonaws.com"},
		{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
	};
	const struct sigv4_request request = {
		.method = "GET",
		.path = "/",
		.query = "Action=ListUsers&Version=2010-05-08",
		.headers = headers,
		.header_count = 2,
		.body = "",
	};
	struct sigv4 *signer = signer_open();
	struct buf authorization = BUF_INIT(4096);
	char date[SIGV4_DATE_SIZE];

	assert_int_equal(sigv4_sign(signer, &request, &example, "us-east-1", "iam",
				 T_20150830T123600Z, &authorization, date),
		0);
	assert_string_equal(date, "20150830T123600Z");
	assert_string_equal(buf_string(&authorization),
		"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
		"SignedHeaders=content-type;host;x-amz-date, "
		"Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
	buf_free(&authorization);
	sigv4_free(signer);
}

static void receive_message_step_by_step(void **state)
{
	struct sigv4 *signer = signer_open();
	struct buf authorization = BUF_INIT(4096);
	char date[SIGV4_DATE_SIZE];

	assert_int_equal(sigv4_sign(signer, &receive_request, &example, "us-east-1", "sqs",
				 T_20260102T030405Z, &authorization, date),
		0);
	assert_string_equal(buf_string(sigv4_canonical_request(signer)),
		"POST\n/\n\ncontent-type:application/x-amz-json-1.0\n"
		"host:sqs.us-east-1.amazonaws.com\nx-amz-date:20260102T030405Z\n"
		"x-amz-target:AmazonSQS.ReceiveMessage\nx-amzn-query-mode:true\n\n"
		"content-type;host;x-amz-date;x-amz-target;x-amzn-query-mode\n"
		"93b5ba56e46601f9ee86c22dd341a12be366805a6a0b310d705d90a891c7670f");
	assert_string_equal(buf_string(sigv4_string_to_sign(signer)),
		"AWS4-HMAC-SHA256\n20260102T030405Z\n20260102/us-east-1/sqs/aws4_request\n"
		"9c958de90ebb63d26986d87f75295f3dfdb7f4c7399a12b0996871a5452c25f1");
	assert_string_equal(buf_string(&authorization),
		"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/sqs/aws4_request, "
		"SignedHeaders=content-type;host;x-amz-date;x-amz-target;x-amzn-query-mode, "
		"Signature=530295768581a26b82af56608453fec612e6d616ab2be0346eb621ccd020599c");
	buf_free(&authorization);
	sigv4_free(signer);
}

/* The text of a second is kept, which must not outlive it. */
static void each_second_has_its_own_date(void **state)
{
	static const struct {
		int64_t epoch_ms;
		int err;
		const char *date;
	} rows[] = {
		{T_20260102T030405Z, 0, "20260102T030405Z"},
		{T_20260102T030405Z + 999, 0, "20260102T030405Z"},
		{T_20260102T030405Z + 1000, 0, "20260102T030406Z"},
		{T_20260102T030405Z, 0, "20260102T030405Z"},
		{-1, ERR_ARGUMENT, ""},
		{T_20260102T030405Z, 0, "20260102T030405Z"},
		{INT64_C(253402300800000), ERR_ARGUMENT, ""},
		{0, 0, "19700101T000000Z"},
	};
	struct sigv4 *signer = signer_open();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf authorization = BUF_INIT(4096);
		char date[SIGV4_DATE_SIZE] = "";

		assert_int_equal(sigv4_sign(signer, &receive_request, &example, "us-east-1", "sqs",
					 rows[i].epoch_ms, &authorization, date),
			rows[i].err);
		assert_string_equal(date, rows[i].date);
		buf_free(&authorization);
	}
	sigv4_free(signer);
}

static void session_token_is_signed(void **state)
{
	struct credentials_set keys = example;
	struct sigv4 *signer = signer_open();
	struct buf authorization = BUF_INIT(4096);
	char date[SIGV4_DATE_SIZE];

	strcpy(keys.session_token, "SESSIONTOKENEXAMPLE");
	assert_int_equal(sigv4_sign(signer, &receive_request, &keys, "us-east-1", "sqs",
				 T_20260102T030405Z, &authorization, date),
		0);
	assert_non_null(strstr(buf_string(sigv4_string_to_sign(signer)),
		"f85716d4909d32a33aecb04ea67a3699beb9996102f559a1de8de26bb5795285"));
	assert_string_equal(buf_string(&authorization),
		"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/sqs/aws4_request, "
		"SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target;"
		"x-amzn-query-mode, "
		"Signature=08b6b15e38e5abffb1199d86842ef8993b53164c127d8bb09453899451165597");
	buf_free(&authorization);
	sigv4_free(signer);
}

/* Signs the same request and gives its signature; the signer keeps its key cache. */
static void signature_of(struct sigv4 *signer, const struct credentials_set *keys,
	const char *region, const char *service, int64_t epoch_ms, char ret[65])
{
	struct buf authorization = BUF_INIT(4096);
	char date[SIGV4_DATE_SIZE];
	const char *signature;

	assert_int_equal(sigv4_sign(signer, &receive_request, keys, region, service, epoch_ms,
				 &authorization, date),
		0);
	signature = strstr(buf_string(&authorization), "Signature=");
	assert_non_null(signature);
	assert_int_equal(strlen(signature), 10 + 64);
	memcpy(ret, signature + 10, 65);
	buf_free(&authorization);
}

/* Whatever changes, the cached key gives what a fresh signer gives; and is kept when it may be. */
static void key_cache_follows_every_part(void **state)
{
	struct credentials_set other_id = example, other_secret = example, same_id = example;
	struct sigv4 *signer = signer_open();
	const struct {
		const struct credentials_set *keys;
		const char *region, *service;
		int64_t epoch_ms;
		uint64_t derivations;
	} steps[] = {
		{&example, "us-east-1", "sqs", T_20260102T030405Z, 1},
		{&example, "us-east-1", "sqs", T_20260102T030405Z + 1000, 1},
		{&example, "us-east-1", "sqs", T_20260102T030405Z + 86400000, 2},
		{&example, "us-east-2", "sqs", T_20260102T030405Z + 86400000, 3},
		{&example, "us-east-2", "sts", T_20260102T030405Z + 86400000, 4},
		{&other_id, "us-east-2", "sts", T_20260102T030405Z + 86400000, 5},
		{&other_secret, "us-east-2", "sts", T_20260102T030405Z + 86400000, 6},
		{&other_secret, "us-east-2", "sts", T_20260102T030405Z + 86400000, 6},
		{&example, "us-east-1", "sqs", T_20260102T030405Z, 7},
		/* New keys under the same id, as a test or an emulator may have them. */
		{&same_id, "us-east-1", "sqs", T_20260102T030405Z, 8},
		{&example, "us-east-1", "sqs", T_20260102T030405Z, 9},
	};

	strcpy(other_id.access_key_id, "AKIDOTHER");
	strcpy(other_secret.secret_access_key, "another secret");
	other_secret.generation = 2;
	strcpy(same_id.secret_access_key, "another secret");
	same_id.generation = 3;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct sigv4 *fresh = signer_open();
		char cached[65], derived[65];

		signature_of(signer, steps[i].keys, steps[i].region, steps[i].service,
			steps[i].epoch_ms, cached);
		signature_of(fresh, steps[i].keys, steps[i].region, steps[i].service,
			steps[i].epoch_ms, derived);
		assert_string_equal(cached, derived);
		assert_int_equal(sigv4_derivations(signer), steps[i].derivations);
		sigv4_free(fresh);
	}
	sigv4_free(signer);
}

static void paths_are_normalised_and_encoded_again(void **state)
{
	static const char *const cases[][2] = {
		{"", "/"},
		{"/", "/"},
		{"//", "/"},
		{"/./", "/"},
		{"/.", "/"},
		{"/..", "/"},
		{"/../..", "/"},
		{"/a/..", "/"},
		{"/a/../", "/"},
		{"/a/../..", "/"},
		{"/a/b/..", "/a"},
		{"/a/b/../", "/a/"},
		{"/a/./b", "/a/b"},
		{"//a//b//", "/a/b/"},
		{"/a/...", "/a/..."},
		{"/.a/..b", "/.a/..b"},
		{"a", "/a"},
		{"/a%20b", "/a%2520b"},
		{"/a b", "/a%20b"},
		{"/\xe1\x88\xb4", "/%E1%88%B4"},
		{"/%E1%88%B4", "/%25E1%2588%25B4"},
		{"/-._~09azAZ", "/-._~09azAZ"},
		{"/!$&'()*+,;=:@", "/%21%24%26%27%28%29%2A%2B%2C%3B%3D%3A%40"},
		{"/a%2Fb/../c", "/c"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = BUF_INIT(1000);

		/* What comes before must not be touched by "..". */
		buf_append_string(&out, "x/y\n");
		assert_int_equal(sigv4_canonical_path(&out, cases[i][0]), 0);
		assert_memory_equal(buf_string(&out), "x/y\n", 4);
		assert_string_equal(buf_string(&out) + 4, cases[i][1]);
		buf_free(&out);
	}
}

static void queries_are_encoded_once_and_sorted(void **state)
{
	static const char *const cases[][2] = {
		{"", ""},
		{"&", ""},
		{"&&a=1&&", "a=1"},
		{"a", "a="},
		{"a=", "a="},
		{"=a", "=a"},
		{"a=1&b=2", "a=1&b=2"},
		{"b=2&a=1", "a=1&b=2"},
		{"a=2&a=1", "a=1&a=2"},
		{"a=1&a=1&a=1", "a=1&a=1&a=1"},
		{"a=1&a", "a=&a=1"},
		{"B=1&a=1&A=1", "A=1&B=1&a=1"},
		/* By encoded name first: "a" is before "a-b" although "=" is after "-". */
		{"a-b=1&a=2", "a=2&a-b=1"},
		{"a=b=c", "a=b%3Dc"},
		{"a=%20", "a=%20"},
		{"a=+", "a=%2B"},
		{"a=%2b", "a=%2B"},
		{"a=%7e%2D%41", "a=~-A"},
		{"a=%", "a=%25"},
		{"a=%4", "a=%254"},
		{"a=%zz", "a=%25zz"},
		{"%61=1", "a=1"},
		{"\xe1\x88\xb4=bar", "%E1%88%B4=bar"},
		{"%E1%88%B4=bar", "%E1%88%B4=bar"},
		{"a/b=c/d", "a%2Fb=c%2Fd"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = BUF_INIT(1000), scratch = BUF_INIT(1000);

		assert_int_equal(sigv4_canonical_query(&out, &scratch, cases[i][0]), 0);
		assert_string_equal(buf_string(&out), cases[i][1]);
		buf_free(&out);
		buf_free(&scratch);
	}
}

static void headers_are_trimmed_joined_and_sorted(void **state)
{
	static const struct sigv4_header headers[] = {
		{"X-Amz-Zeta", "z"},
		{"My-Header", "  a   b  c  "},
		{"HOST", "example.com:8443"},
		{"my-header", "\tsecond\t\t value "},
		{"Empty", "   "},
		{"My-header", "a"},
		{"User-Agent", "no"},
		{"connection", "no"},
		{"Expect", "no"},
		{"TE", "no"},
		{"Transfer-Encoding", "no"},
		{"Trailer", "no"},
		{"Upgrade", "no"},
		{"Keep-Alive", "no"},
		{"Proxy-Authorization", "no"},
		{"PROXY-x", "no"},
		{"X-Amzn-Trace-Id", "no"},
		{"Authorization", "no"},
		{"Quoted", "\"a   b\""},
	};
	struct sigv4_signed_headers set = {.count = 0};
	struct buf out = BUF_INIT(1000);

	assert_int_equal(
		sigv4_signed_headers_add(&set, headers, sizeof(headers) / sizeof(headers[0])), 0);
	assert_int_equal(sigv4_canonical_headers(&out, &set), 0);
	assert_string_equal(buf_string(&out),
		"empty:\nhost:example.com:8443\nmy-header:a b c,second value,a\n"
		"quoted:\"a b\"\nx-amz-zeta:z\n");
	buf_clear(&out);
	assert_int_equal(sigv4_signed_names(&out, &set), 0);
	assert_string_equal(buf_string(&out), "empty;host;my-header;quoted;x-amz-zeta");
	buf_free(&out);
}

static int sign_with(const struct sigv4_header *headers, size_t count, const char *region,
	int64_t epoch_ms, size_t authorization_max)
{
	struct sigv4_request request = receive_request;
	struct sigv4 *signer = signer_open();
	struct buf authorization = BUF_INIT(authorization_max);
	char date[SIGV4_DATE_SIZE] = "untouched";
	int err;

	request.headers = headers;
	request.header_count = count;
	err = sigv4_sign(signer, &request, &example, region, "sqs", epoch_ms, &authorization, date);
	if (err != 0)
		assert_string_equal(date, "untouched");
	buf_free(&authorization);
	sigv4_free(signer);
	return err;
}

static void impossible_requests_are_refused(void **state)
{
	static const struct sigv4_header own_date[] = {{"host", "h"}, {"X-AMZ-Date", "x"}};
	static const struct sigv4_header own_token[] = {
		{"host", "h"}, {"x-amz-security-token", "x"}};
	struct sigv4_header many[SIGV4_HEADERS_MAX + 1];
	char long_region[80];

	memset(long_region, 'r', sizeof(long_region) - 1);
	long_region[sizeof(long_region) - 1] = '\0';
	for (size_t i = 0; i < SIGV4_HEADERS_MAX + 1; i++)
		many[i] = (struct sigv4_header){"host", "h"};
	assert_int_equal(sign_with(own_date, 1, "r", 0, 4096), 0);
	assert_int_equal(sign_with(own_date, 2, "r", 0, 4096), ERR_ARGUMENT);
	assert_int_equal(sign_with(own_token, 2, "r", 0, 4096), ERR_ARGUMENT);
	assert_int_equal(sign_with(own_date + 1, 0, "r", 0, 4096), ERR_ARGUMENT);
	assert_int_equal(sign_with(own_date, 1, long_region, 0, 4096), ERR_ARGUMENT);
	assert_int_equal(sign_with(own_date, 1, "r", -1, 4096), ERR_ARGUMENT);
	assert_int_equal(sign_with(own_date, 1, "r", 253402300799999, 4096), 0);
	assert_int_equal(sign_with(own_date, 1, "r", 253402300800000, 4096), ERR_ARGUMENT);
	assert_int_equal(sign_with(own_date, 1, "r", INT64_MAX, 4096), ERR_ARGUMENT);
	assert_int_equal(sign_with(own_date, 1, "r", 0, 20), ERR_TOO_LARGE);
	/* x-amz-date takes one of the places. */
	assert_int_equal(sign_with(many, SIGV4_HEADERS_MAX - 1, "r", 0, 4096), 0);
	assert_int_equal(sign_with(many, SIGV4_HEADERS_MAX, "r", 0, 4096), ERR_ARGUMENT);
	assert_int_equal(sign_with(many, SIGV4_HEADERS_MAX + 1, "r", 0, 4096), ERR_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_of_the_documented_example),
		cmocka_unit_test(list_users_of_the_documented_example),
		cmocka_unit_test(receive_message_step_by_step),
		cmocka_unit_test(each_second_has_its_own_date),
		cmocka_unit_test(session_token_is_signed),
		cmocka_unit_test(key_cache_follows_every_part),
		cmocka_unit_test(paths_are_normalised_and_encoded_again),
		cmocka_unit_test(queries_are_encoded_once_and_sorted),
		cmocka_unit_test(headers_are_trimmed_joined_and_sorted),
		cmocka_unit_test(impossible_requests_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
