#include "aws/endpoint.h"
#include "aws/sqs_limits.h"
#include "aws/sqs_queue.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void endpoints(void **state)
{
	static const struct {
		const char *text, *origin, *host, *name;
		size_t len;
	} cases[] = {
		{"http://127.0.0.1:9324", "http://127.0.0.1:9324", "127.0.0.1:9324", "127.0.0.1",
			21},
		{"https://Example.COM/", "https://example.com", "example.com", "example.com", 19},
		{"HTTPS://a.b:443/x", "https://a.b", "a.b", "a.b", 15},
		{"http://a:80", "http://a", "a", "a", 11},
		{"http://a:443", "http://a:443", "a:443", "a", 12},
		{"https://a:80", "https://a:80", "a:80", "a", 12},
		{"http://[::1]:9324/", "http://[::1]:9324", "[::1]:9324", "[::1]", 17},
		{"http://[FE80::1]", "http://[fe80::1]", "[fe80::1]", "[fe80::1]", 16},
		{"http://my_host-1:1", "http://my_host-1:1", "my_host-1:1", "my_host-1", 18},
		{"http://a:65535", "http://a:65535", "a:65535", "a", 14},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct endpoint endpoint;
		size_t len;

		assert_int_equal(endpoint_parse(cases[i].text, &endpoint, &len), 0);
		assert_string_equal(endpoint.origin, cases[i].origin);
		assert_string_equal(endpoint.host, cases[i].host);
		assert_string_equal(endpoint.name, cases[i].name);
		assert_int_equal(len, cases[i].len);
	}
}

static void wrong_endpoints(void **state)
{
	static const char *const cases[] = {"", "http", "http://", "https://", "ftp://a", "a.b",
		"//a", "http:a", "http://:80", "http://a:", "http://a:0", "http://a:65536",
		"http://a:123456", "http://a:-1", "http://a:8x", "http://u@a", "http://u:p@a",
		"http://a b", "http://a\n", "http://a..b", "http://.a", "http://[]", "http://[::1",
		"http://[::1]x", "http://[::1%lo]", "http://a?x", "http://a#x", "http://a\\b",
		"http://\xc3\xa9"};
	struct endpoint endpoint;
	char text[400] = "http://";
	size_t len;

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(endpoint_parse(cases[i], &endpoint, &len), ERR_ARGUMENT);
	memset(text + 7, 'a', 253);
	strcpy(text + 7 + 253, ":65535");
	assert_int_equal(endpoint_parse(text, &endpoint, &len), 0);
	assert_int_equal(strlen(endpoint.host), 253 + 6);
	memset(text + 7, 'a', 254);
	strcpy(text + 7 + 254, ":65535");
	assert_int_equal(endpoint_parse(text, &endpoint, &len), ERR_ARGUMENT);
	text[7] = '[';
	memset(text + 8, ':', 300);
	strcpy(text + 308, "]");
	assert_int_equal(endpoint_parse(text, &endpoint, &len), ERR_ARGUMENT);
}

/* Of partitions.json of the SDKs of 2026; check_endpoint_botocore.py has the older regions. */
static void endpoints_of_regions(void **state)
{
	static const struct {
		const char *region, *plain, *fips, *dual_stack, *both;
	} cases[] = {
		{"us-east-1", "https://sqs.us-east-1.amazonaws.com",
			"https://sqs-fips.us-east-1.amazonaws.com", "https://sqs.us-east-1.api.aws",
			"https://sqs-fips.us-east-1.api.aws"},
		{"ap-southeast-7", "https://sqs.ap-southeast-7.amazonaws.com",
			"https://sqs-fips.ap-southeast-7.amazonaws.com",
			"https://sqs.ap-southeast-7.api.aws",
			"https://sqs-fips.ap-southeast-7.api.aws"},
		{"us-gov-west-1", "https://sqs.us-gov-west-1.amazonaws.com",
			"https://sqs.us-gov-west-1.amazonaws.com",
			"https://sqs.us-gov-west-1.api.aws",
			"https://sqs-fips.us-gov-west-1.api.aws"},
		{"cn-north-1", "https://sqs.cn-north-1.amazonaws.com.cn",
			"https://sqs-fips.cn-north-1.amazonaws.com.cn",
			"https://sqs.cn-north-1.api.amazonwebservices.com.cn",
			"https://sqs-fips.cn-north-1.api.amazonwebservices.com.cn"},
		{"eusc-de-east-1", "https://sqs.eusc-de-east-1.amazonaws.eu",
			"https://sqs-fips.eusc-de-east-1.amazonaws.eu",
			"https://sqs.eusc-de-east-1.api.amazonwebservices.eu",
			"https://sqs-fips.eusc-de-east-1.api.amazonwebservices.eu"},
		{"us-iso-east-1", "https://sqs.us-iso-east-1.c2s.ic.gov",
			"https://sqs-fips.us-iso-east-1.c2s.ic.gov",
			"https://sqs.us-iso-east-1.api.aws.ic.gov",
			"https://sqs-fips.us-iso-east-1.api.aws.ic.gov"},
		{"us-isob-east-1", "https://sqs.us-isob-east-1.sc2s.sgov.gov",
			"https://sqs-fips.us-isob-east-1.sc2s.sgov.gov",
			"https://sqs.us-isob-east-1.api.aws.scloud",
			"https://sqs-fips.us-isob-east-1.api.aws.scloud"},
		{"eu-isoe-west-1", "https://sqs.eu-isoe-west-1.cloud.adc-e.uk",
			"https://sqs-fips.eu-isoe-west-1.cloud.adc-e.uk",
			"https://sqs.eu-isoe-west-1.api.cloud-aws.adc-e.uk",
			"https://sqs-fips.eu-isoe-west-1.api.cloud-aws.adc-e.uk"},
		{"us-isof-south-1", "https://sqs.us-isof-south-1.csp.hci.ic.gov",
			"https://sqs-fips.us-isof-south-1.csp.hci.ic.gov",
			"https://sqs.us-isof-south-1.api.aws.hci.ic.gov",
			"https://sqs-fips.us-isof-south-1.api.aws.hci.ic.gov"},
		{"xx-new-9", "https://sqs.xx-new-9.amazonaws.com",
			"https://sqs-fips.xx-new-9.amazonaws.com", "https://sqs.xx-new-9.api.aws",
			"https://sqs-fips.xx-new-9.api.aws"},
	};
	static const char *const wrong[] = {"", "us east", "US-EAST-1", "a.b", "-a", "a-", "a/b",
		"a@b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	struct endpoint endpoint;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *const expected[] = {
			cases[i].plain, cases[i].fips, cases[i].dual_stack, cases[i].both};

		for (unsigned v = 0; v < 4; v++) {
			struct endpoint_variant variant = {(v & 1) != 0, (v & 2) != 0};

			assert_int_equal(
				endpoint_of_region("sqs", cases[i].region, variant, &endpoint), 0);
			assert_string_equal(endpoint.origin, expected[v]);
			assert_true(endpoint_is_aws(&endpoint));
		}
	}
	assert_int_equal(endpoint_of_region("sts", "us-gov-east-1",
				 (struct endpoint_variant){.fips = true}, &endpoint),
		0);
	assert_string_equal(endpoint.origin, "https://sts.us-gov-east-1.amazonaws.com");
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_int_equal(endpoint_of_region(
					 "sqs", wrong[i], (struct endpoint_variant){0}, &endpoint),
			ERR_ARGUMENT);
}

static void names_of_endpoints(void **state)
{
	static const struct {
		const char *text;
		enum endpoint_kind kind;
		const char *region;
		bool fips, dual_stack;
	} cases[] = {
		{"https://sqs.us-east-1.amazonaws.com", ENDPOINT_REGIONAL, "us-east-1", 0, 0},
		{"http://sqs.us-east-1.amazonaws.com:80", ENDPOINT_REGIONAL, "us-east-1", 0, 0},
		{"https://sqs-fips.us-west-2.amazonaws.com", ENDPOINT_REGIONAL, "us-west-2", 1, 0},
		{"https://sqs.us-west-2.api.aws", ENDPOINT_REGIONAL, "us-west-2", 0, 1},
		{"https://sqs-fips.us-gov-west-1.api.aws", ENDPOINT_REGIONAL, "us-gov-west-1", 1,
			1},
		{"https://sts-fips.us-west-2.amazonaws.com", ENDPOINT_REGIONAL, "us-west-2", 1, 0},
		{"https://sqs.cn-north-1.amazonaws.com.cn", ENDPOINT_REGIONAL, "cn-north-1", 0, 0},
		{"https://sqs.us-iso-east-1.c2s.ic.gov", ENDPOINT_REGIONAL, "us-iso-east-1", 0, 0},
		{"https://sqs.us-isob-east-1.api.aws.scloud", ENDPOINT_REGIONAL, "us-isob-east-1",
			0, 1},
		{"https://eu-west-3.queue.amazonaws.com", ENDPOINT_LEGACY, "eu-west-3", 0, 0},
		{"https://cn-north-1.queue.amazonaws.com.cn", ENDPOINT_LEGACY, "cn-north-1", 0, 0},
		{"https://queue.amazonaws.com", ENDPOINT_LEGACY, "us-east-1", 0, 0},
		{"https://vpce-0a1b-2c.sqs.eu-west-1.vpce.amazonaws.com", ENDPOINT_VPC, "eu-west-1",
			0, 0},
		{"https://vpce-0a1b-2c-eu-west-1a.sqs-fips.eu-west-1.vpce.amazonaws.com",
			ENDPOINT_VPC, "eu-west-1", 1, 0},
		{"https://vpce-0a1b-2c.sqs.cn-north-1.vpce.amazonaws.com.cn", ENDPOINT_VPC,
			"cn-north-1", 0, 0},
		/* Not as AWS has it, but its region can be read. */
		{"https://sqs.us-east-1.amazonaws.com:8443", ENDPOINT_OTHER, "us-east-1", 0, 0},
		{"http://sqs.eu-central-1.localhost.localstack.cloud:4566", ENDPOINT_OTHER,
			"eu-central-1", 0, 0},
		{"http://eu-central-1.queue.localhost.localstack.cloud:4566", ENDPOINT_OTHER,
			"eu-central-1", 0, 0},
		{"http://queue.localhost.localstack.cloud", ENDPOINT_OTHER, "us-east-1", 0, 0},
		/* A region of another partition than the domain. */
		{"https://sqs.cn-north-1.amazonaws.com", ENDPOINT_OTHER, "", 0, 0},
		{"https://sqs.us-east-1.amazonaws.com.cn", ENDPOINT_OTHER, "", 0, 0},
		{"https://queue.amazonaws.com.cn", ENDPOINT_OTHER, "", 0, 0},
		{"https://sqs.us-iso-east-1.api.aws", ENDPOINT_OTHER, "", 0, 0},
		/* A machine of somebody's, in AWS's domain. */
		{"https://ec2-1-2-3-4.us-west-2.compute.amazonaws.com", ENDPOINT_OTHER, "", 0, 0},
		{"https://sqs.us-west-2.elb.amazonaws.com", ENDPOINT_OTHER, "", 0, 0},
		{"https://a.sqs.us-west-2.vpce.amazonaws.com", ENDPOINT_OTHER, "", 0, 0},
		{"https://vpce-1.sqs.us-west-2.other.amazonaws.com", ENDPOINT_OTHER, "", 0, 0},
		{"https://vpce-1.s3.us-west-2.vpce.amazonaws.com", ENDPOINT_OTHER, "", 0, 0},
		{"https://a.b.c.d.amazonaws.com", ENDPOINT_OTHER, "", 0, 0},
		{"https://a.vpce-1.sqs.us-west-2.vpce.amazonaws.com", ENDPOINT_OTHER, "", 0, 0},
		{"https://dynamodb.us-west-2.amazonaws.com", ENDPOINT_OTHER, "", 0, 0},
		{"https://sqs.us_west.amazonaws.com", ENDPOINT_OTHER, "", 0, 0},
		{"https://sqs.us-west-2.amazonaws.com.", ENDPOINT_OTHER, "", 0, 0},
		{"https://sqs.us-west-2.amazonaws.com.evil.io", ENDPOINT_OTHER, "", 0, 0},
		{"https://sqs.us-west-2.notamazonaws.com", ENDPOINT_OTHER, "", 0, 0},
		{"https://sqs.amazonaws.com", ENDPOINT_OTHER, "", 0, 0},
		{"https://amazonaws.com", ENDPOINT_OTHER, "", 0, 0},
		{"http://127.0.0.1:9324", ENDPOINT_OTHER, "", 0, 0},
		{"http://[::1]", ENDPOINT_OTHER, "", 0, 0},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct endpoint endpoint;
		struct endpoint_name name;
		char region[64];
		size_t len;

		assert_int_equal(endpoint_parse(cases[i].text, &endpoint, &len), 0);
		endpoint_read_name(&endpoint, &name);
		assert_int_equal(name.kind, cases[i].kind);
		assert_string_equal(name.region, cases[i].region);
		assert_int_equal(name.variant.fips, cases[i].fips);
		assert_int_equal(name.variant.dual_stack, cases[i].dual_stack);
		assert_int_equal(endpoint_is_aws(&endpoint), cases[i].kind != ENDPOINT_OTHER);
		endpoint_region(&endpoint, region, sizeof(region));
		assert_string_equal(region, cases[i].region);
		/* What does not fit is not cut. */
		endpoint_region(&endpoint, region, 9);
		assert_string_equal(region, strlen(name.region) < 9 ? name.region : "");
	}
}

static void loopbacks(void **state)
{
	static const struct {
		const char *text;
		bool loopback;
	} cases[] = {
		{"http://localhost", true},
		{"http://LocalHost:9324", true},
		{"http://sqs.localhost", true},
		{"http://127.0.0.1:9324", true},
		{"http://127.255.1.9", true},
		{"http://[::1]:9324", true},
		{"http://[0:0::0:1]", true},
		{"http://localhost.", false},
		{"http://localhost.localstack.cloud", false},
		{"http://notlocalhost", false},
		{"http://128.0.0.1", false},
		{"http://0.0.0.0", false},
		{"http://10.0.0.1", false},
		/* 87.0.0.1 to what reads numbers as C does. */
		{"http://0127.0.0.1", false},
		{"http://127.1", false},
		{"http://127.0.0.1.example.com", false},
		{"http://[::]", false},
		{"http://[::2]", false},
		{"http://[fe80::1]", false},
		{"http://[::ffff:127.0.0.1]", false},
		{"http://[1:2:3]", false},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct endpoint endpoint;
		size_t len;

		assert_int_equal(endpoint_parse(cases[i].text, &endpoint, &len), 0);
		assert_int_equal(endpoint_is_loopback(&endpoint), cases[i].loopback);
	}
}

static void queue_urls(void **state)
{
	static const struct {
		const char *url, *endpoint, *region, *account, *name;
	} cases[] = {
		{"https://sqs.ap-northeast-1.amazonaws.com/123456789012/morning",
			"https://sqs.ap-northeast-1.amazonaws.com", "ap-northeast-1",
			"123456789012", "morning"},
		{"https://SQS.us-east-1.amazonaws.com:443/1/A_b-9.fifo",
			"https://sqs.us-east-1.amazonaws.com", "us-east-1", "1", "A_b-9.fifo"},
		{"https://sqs-fips.us-west-2.amazonaws.com/1/q",
			"https://sqs-fips.us-west-2.amazonaws.com", "us-west-2", "1", "q"},
		{"https://sqs.us-west-2.api.aws/1/q", "https://sqs.us-west-2.api.aws", "us-west-2",
			"1", "q"},
		{"https://sqs.cn-north-1.amazonaws.com.cn/1/q",
			"https://sqs.cn-north-1.amazonaws.com.cn", "cn-north-1", "1", "q"},
		{"https://sqs.cn-north-1.api.amazonwebservices.com.cn/1/q",
			"https://sqs.cn-north-1.api.amazonwebservices.com.cn", "cn-north-1", "1",
			"q"},
		{"https://vpce-0a1b-2c.sqs.eu-west-1.vpce.amazonaws.com/1/q",
			"https://vpce-0a1b-2c.sqs.eu-west-1.vpce.amazonaws.com", "eu-west-1", "1",
			"q"},
		{"https://eu-west-3.queue.amazonaws.com/1/q",
			"https://eu-west-3.queue.amazonaws.com", "eu-west-3", "1", "q"},
		{"https://queue.amazonaws.com/1/q", "https://queue.amazonaws.com", "us-east-1", "1",
			"q"},
		{"http://sqs.eu-central-1.localhost.localstack.cloud:4566/000000000000/q",
			"http://sqs.eu-central-1.localhost.localstack.cloud:4566", "eu-central-1",
			"000000000000", "q"},
		{"http://127.0.0.1:9324/000000000000/morning", "http://127.0.0.1:9324", "",
			"000000000000", "morning"},
		{"http://localhost:9324/queue/q", "http://localhost:9324", "", "queue", "q"},
		/* Names that only look like AWS's. */
		{"https://sqs.us-east-1.example.com/1/q", "https://sqs.us-east-1.example.com", "",
			"1", "q"},
		{"https://sqs.us-east-1.amazonaws.com.evil.io/1/q",
			"https://sqs.us-east-1.amazonaws.com.evil.io", "", "1", "q"},
		{"https://sqs.us-east-1.notamazonaws.com/1/q",
			"https://sqs.us-east-1.notamazonaws.com", "", "1", "q"},
		{"https://sqs.amazonaws.com/1/q", "https://sqs.amazonaws.com", "", "1", "q"},
		{"https://sqs.us_east.amazonaws.com/1/q", "https://sqs.us_east.amazonaws.com", "",
			"1", "q"},
		{"https://amazonaws.com/1/q", "https://amazonaws.com", "", "1", "q"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sqs_queue_url parts;

		assert_int_equal(sqs_queue_url_parse(cases[i].url, &parts), 0);
		assert_string_equal(parts.endpoint, cases[i].endpoint);
		assert_string_equal(parts.region, cases[i].region);
		assert_string_equal(parts.account, cases[i].account);
		assert_string_equal(parts.name, cases[i].name);
	}
}

static void wrong_queue_urls(void **state)
{
	static const char *const cases[] = {"", "morning", "https://a", "https://a/", "https://a/1",
		"https://a/1/", "https://a//q", "https://a/1//q", "https://a/1/q/",
		"https://a/1/q/r", "https://a/1/q?x", "https://a/1/q#x", "https://a/1/q.r",
		"https://a/1/.fifo", "https://a/1/q r", "https://a/1 2/q", "https://a/1.2/q",
		"https://a/1/q\n", "ftp://a/1/q", "https://u@a/1/q", "https://a/1/%71"};
	char account[100], name[100];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sqs_queue_url parts = {.name = "untouched"};

		assert_int_equal(sqs_queue_url_parse(cases[i], &parts), ERR_ARGUMENT);
		assert_string_equal(parts.name, "untouched");
	}
	for (int over = 0; over < 2; over++) {
		struct sqs_queue_url parts;

		snprintf(account, sizeof(account), "https://a/%0*d/q", 63 + over, 0);
		assert_int_equal(sqs_queue_url_parse(account, &parts), over ? ERR_ARGUMENT : 0);
		snprintf(name, sizeof(name), "https://a/1/%0*d", 80 + over, 0);
		assert_int_equal(sqs_queue_url_parse(name, &parts), over ? ERR_ARGUMENT : 0);
	}
}

static void arns(void **state)
{
	static const struct {
		const char *url, *region, *arn;
	} cases[] = {
		{"https://sqs.us-east-2.amazonaws.com/123456789012/my-queue", "us-east-2",
			"arn:aws:sqs:us-east-2:123456789012:my-queue"},
		{"http://127.0.0.1:9324/000000000000/q.fifo", "eu-west-1",
			"arn:aws:sqs:eu-west-1:000000000000:q.fifo"},
		{"https://a/1/q", "cn-north-1", "arn:aws-cn:sqs:cn-north-1:1:q"},
		{"https://a/1/q", "us-gov-west-1", "arn:aws-us-gov:sqs:us-gov-west-1:1:q"},
		{"https://a/1/q", "us-isob-east-1", "arn:aws-iso-b:sqs:us-isob-east-1:1:q"},
		{"https://a/1/q", "", "arn:aws:sqs::1:q"},
	};
	char arn[SQS_QUEUE_ARN_SIZE] = "untouched", region[SQS_QUEUE_ARN_SIZE];

	assert_int_equal(sqs_queue_arn("https://a/1/", "r", arn), ERR_ARGUMENT);
	memset(region, 'r', sizeof(region));
	region[sizeof(region) - 1] = '\0';
	assert_int_equal(sqs_queue_arn("https://a/1/q", region, arn), ERR_ARGUMENT);
	assert_string_equal(arn, "untouched");
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(sqs_queue_arn(cases[i].url, cases[i].region, arn), 0);
		assert_string_equal(arn, cases[i].arn);
	}
}

static void texts(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{"", true},
		{"a\t\n\r ~", true},
		{"\x7f", true},
		{"\xc2\x80", true},
		{"\xed\x9f\xbf", true},	     /* U+D7FF */
		{"\xee\x80\x80", true},	     /* U+E000 */
		{"\xef\xbf\xbd", true},	     /* U+FFFD */
		{"\xef\xb7\x90", true},	     /* U+FDD0 */
		{"\xf0\x9f\x91\x8b", true},  /* emoji */
		{"\xf4\x8f\xbf\xbf", true},  /* U+10FFFF */
		{"\xef\xbf\xbe", false},     /* U+FFFE */
		{"\xef\xbf\xbf", false},     /* U+FFFF */
		{"\xed\xa0\x80", false},     /* a surrogate */
		{"\xf4\x90\x80\x80", false}, /* past U+10FFFF */
		{"\xc0\x80", false},	     /* overlong */
		{"\x01", false},
		{"\x1f", false},
		{"a\x08", false},
		{"\x80", false},
		{"\xe3\x81", false},
	};

	/* At every place of a longer text: a block at a time must see what one byte at a time does.
	 */
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		for (size_t at = 0; at < 40; at++) {
			static const char around[] = "abcdefghijklmnopqrstABCDEFGHIJKLMNOPQRST";
			char text[64];
			int len = snprintf(text, sizeof(text), "%.*s%s%s", (int)at, around,
				cases[i].text, around + at);

			assert_int_equal(sqs_text_is_valid(text, (size_t)len), cases[i].valid);
		}
		assert_int_equal(
			sqs_text_is_valid(cases[i].text, strlen(cases[i].text)), cases[i].valid);
	}
	assert_false(sqs_text_is_valid("", 1));
}

static void names(void **state)
{
	static const char *const good[] = {"a", "A_b-9.c", "awsome", "amazons", "AWS_x"};
	static const char *const bad[] = {"", ".a", "a.", "a..b", "a b", "a/b", "AWS.x", "aws.x",
		"Amazon.x", "aMAZON.", "\xc3\xa9", "a\n"};
	static const char *const good_types[] = {
		"String", "Number", "Binary", "String.a", "Binary.png", "Number.", "String.a.b"};
	static const char *const bad_types[] = {
		"", "string", "Strings", "Text", "StringX.a", "String\x01", "String.\x01"};
	char longest[SQS_ATTRIBUTE_NAME_MAX + 2];

	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_true(sqs_attribute_name_is_valid(good[i]));
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(sqs_attribute_name_is_valid(bad[i]));
	for (size_t i = 0; i < COUNT_OF(good_types); i++)
		assert_true(sqs_attribute_type_is_valid(good_types[i]));
	for (size_t i = 0; i < COUNT_OF(bad_types); i++)
		assert_false(sqs_attribute_type_is_valid(bad_types[i]));
	memset(longest, 'a', sizeof(longest));
	longest[SQS_ATTRIBUTE_NAME_MAX] = '\0';
	assert_true(sqs_attribute_name_is_valid(longest));
	longest[SQS_ATTRIBUTE_NAME_MAX] = 'a';
	longest[SQS_ATTRIBUTE_NAME_MAX + 1] = '\0';
	assert_false(sqs_attribute_name_is_valid(longest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoints),
		cmocka_unit_test(wrong_endpoints),
		cmocka_unit_test(endpoints_of_regions),
		cmocka_unit_test(names_of_endpoints),
		cmocka_unit_test(loopbacks),
		cmocka_unit_test(queue_urls),
		cmocka_unit_test(wrong_queue_urls),
		cmocka_unit_test(arns),
		cmocka_unit_test(texts),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
