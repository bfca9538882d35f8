#include "aws/endpoint_choice.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ACCOUNT "/123456789012/morning"
#define VPC "vpce-0a1b-2c.sqs.eu-west-1.vpce.amazonaws.com"
#define ONE_HAS_TO_GO "one of them has to go"
#define PLAIN_HTTP                                                                              \
	", and everybody on the way to another machine can read plain http: use https, or set " \
	"queue.allow_insecure_endpoint to true (campaign send: --allow-insecure-endpoint)"

static struct endpoint_wishes wishes_of(const char *configured, const char *from_settings)
{
	return (struct endpoint_wishes){.configured = configured,
		.from_settings = from_settings,
		.settings_origin = from_settings != NULL ? "AWS_ENDPOINT_URL_SQS" : NULL};
}

static int choose(const char *queue_url, const struct endpoint_wishes *wishes,
	struct endpoint_choice *choice, struct buf *error)
{
	struct sqs_queue_url queue;

	assert_int_equal(sqs_queue_url_parse(queue_url, &queue), 0);
	return endpoint_choice_sqs(&queue, wishes, choice, error);
}

static void assert_chosen(const char *queue_url, const struct endpoint_wishes *wishes,
	const char *origin, const char *named_by)
{
	struct buf error = BUF_INIT(1000);
	struct endpoint_choice choice;

	assert_int_equal(choose(queue_url, wishes, &choice, &error), 0);
	assert_string_equal(choice.endpoint.origin, origin);
	assert_string_equal(choice.named_by, named_by);
	assert_int_equal(error.len, 0);
}

static void assert_refused(
	const char *queue_url, const struct endpoint_wishes *wishes, const char *sentence)
{
	struct buf error = BUF_INIT(1000);
	struct endpoint_choice choice = {.named_by = "untouched"};

	assert_int_equal(choose(queue_url, wishes, &choice, &error), ERR_CONFIG);
	assert_string_equal(buf_string(&error), sentence);
	assert_string_equal(choice.named_by, "untouched");
	buf_free(&error);
}

static void what_names_the_endpoint(void **state)
{
	static const struct {
		const char *queue, *configured, *settings, *origin, *named_by;
	} cases[] = {
		{"https://sqs.eu-west-1.amazonaws.com" ACCOUNT, "https://a:8443", "https://b",
			"https://a:8443", "queue.endpoint"},
		{"https://sqs.eu-west-1.amazonaws.com" ACCOUNT, NULL, "https://B/", "https://b",
			"AWS_ENDPOINT_URL_SQS"},
		{"https://sqs.eu-west-1.amazonaws.com" ACCOUNT, NULL, NULL,
			"https://sqs.eu-west-1.amazonaws.com", "the queue URL"},
		{"http://127.0.0.1:9324" ACCOUNT, NULL, NULL, "http://127.0.0.1:9324",
			"the queue URL"},
		{"http://127.0.0.1:9324" ACCOUNT, "http://localhost:1", NULL, "http://localhost:1",
			"queue.endpoint"},
		/* AWS's own names become the region's endpoint. */
		{"http://SQS.eu-west-1.amazonaws.com" ACCOUNT, NULL, NULL,
			"https://sqs.eu-west-1.amazonaws.com", "the queue URL"},
		{"https://eu-west-1.queue.amazonaws.com" ACCOUNT, NULL, NULL,
			"https://sqs.eu-west-1.amazonaws.com", "the queue URL"},
		{"https://queue.amazonaws.com" ACCOUNT, NULL, NULL,
			"https://sqs.us-east-1.amazonaws.com", "the queue URL"},
		{"https://cn-north-1.queue.amazonaws.com.cn" ACCOUNT, NULL, NULL,
			"https://sqs.cn-north-1.amazonaws.com.cn", "the queue URL"},
		/* A variant that the name says is not lost. */
		{"https://sqs-fips.us-west-2.amazonaws.com" ACCOUNT, NULL, NULL,
			"https://sqs-fips.us-west-2.amazonaws.com", "the queue URL"},
		{"https://sqs.us-west-2.api.aws" ACCOUNT, NULL, NULL,
			"https://sqs.us-west-2.api.aws", "the queue URL"},
		/* These stay. */
		{"https://" VPC ACCOUNT, NULL, NULL, "https://" VPC, "the queue URL"},
		{"https://sqs.eu-west-1.amazonaws.com:8443" ACCOUNT, NULL, NULL,
			"https://sqs.eu-west-1.amazonaws.com:8443", "the queue URL"},
		{"https://queue.example.com" ACCOUNT, NULL, NULL, "https://queue.example.com",
			"the queue URL"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct endpoint_wishes wishes = wishes_of(cases[i].configured, cases[i].settings);

		assert_chosen(cases[i].queue, &wishes, cases[i].origin, cases[i].named_by);
	}
}

static void variants(void **state)
{
	static const struct {
		const char *queue;
		bool fips, dual_stack;
		const char *origin;
	} cases[] = {
		{"https://sqs.us-east-1.amazonaws.com" ACCOUNT, true, false,
			"https://sqs-fips.us-east-1.amazonaws.com"},
		{"https://queue.amazonaws.com" ACCOUNT, true, true,
			"https://sqs-fips.us-east-1.api.aws"},
		{"https://sqs.us-east-1.api.aws" ACCOUNT, true, false,
			"https://sqs-fips.us-east-1.api.aws"},
		{"https://sqs-fips.us-east-1.amazonaws.com" ACCOUNT, false, true,
			"https://sqs-fips.us-east-1.api.aws"},
		{"https://sqs.us-gov-west-1.amazonaws.com" ACCOUNT, true, false,
			"https://sqs.us-gov-west-1.amazonaws.com"},
		{"https://vpce-1.sqs-fips.us-east-1.vpce.amazonaws.com" ACCOUNT, true, false,
			"https://vpce-1.sqs-fips.us-east-1.vpce.amazonaws.com"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct endpoint_wishes wishes = wishes_of(NULL, NULL);

		wishes.variant = (struct endpoint_variant){cases[i].fips, cases[i].dual_stack};
		assert_chosen(cases[i].queue, &wishes, cases[i].origin, "the queue URL");
	}
}

static void variants_that_cannot_be_had(void **state)
{
	static const char aws[] = "https://sqs.us-east-1.amazonaws.com" ACCOUNT;
	static const struct {
		const char *queue, *configured, *settings;
		bool fips, dual_stack;
		const char *sentence;
	} cases[] = {
		{aws, "http://localhost", NULL, true, false,
			"FIPS (AWS_USE_FIPS_ENDPOINT, use_fips_endpoint) is wanted, but "
			"queue.endpoint names http://localhost, which is as it is: " ONE_HAS_TO_GO},
		{aws, NULL, "https://sqs-fips.us-east-1.amazonaws.com", false, true,
			"dual stack (AWS_USE_DUALSTACK_ENDPOINT, use_dualstack_endpoint) is "
			"wanted, but AWS_ENDPOINT_URL_SQS names "
			"https://sqs-fips.us-east-1.amazonaws.com, which is as it "
			"is: " ONE_HAS_TO_GO},
		{"https://" VPC ACCOUNT, NULL, NULL, true, true,
			"FIPS and dual stack (AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT) "
			"is wanted, but the queue URL names https://" VPC
			", a VPC endpoint: " ONE_HAS_TO_GO},
		{"http://127.0.0.1:9324" ACCOUNT, NULL, NULL, true, false,
			"FIPS (AWS_USE_FIPS_ENDPOINT, use_fips_endpoint) is wanted, but the queue "
			"URL names http://127.0.0.1:9324, which is as it is: " ONE_HAS_TO_GO},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct endpoint_wishes wishes = wishes_of(cases[i].configured, cases[i].settings);

		wishes.variant = (struct endpoint_variant){cases[i].fips, cases[i].dual_stack};
		assert_refused(cases[i].queue, &wishes, cases[i].sentence);
	}
}

static void plain_http(void **state)
{
	static const struct {
		const char *queue, *configured, *settings;
		const char *sentence; /* NULL: none */
	} cases[] = {
		{"http://127.0.0.1:9324" ACCOUNT, NULL, NULL, NULL},
		{"http://127.0.0.1:9324" ACCOUNT, "http://[::1]:1", NULL, NULL},
		{"http://127.0.0.1:9324" ACCOUNT, NULL, "http://a.localhost", NULL},
		{"http://localstack:4566" ACCOUNT, NULL, NULL,
			"the queue URL names http://localstack:4566" PLAIN_HTTP},
		{"http://localstack:4566" ACCOUNT, "http://10.0.0.9:9324", NULL,
			"queue.endpoint names http://10.0.0.9:9324" PLAIN_HTTP},
		{"http://127.0.0.1:9324" ACCOUNT, NULL, "http://0127.0.0.1",
			"AWS_ENDPOINT_URL_SQS names http://0127.0.0.1" PLAIN_HTTP},
		{"http://" VPC ACCOUNT, NULL, NULL, "the queue URL names http://" VPC PLAIN_HTTP},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct endpoint_wishes wishes = wishes_of(cases[i].configured, cases[i].settings);
		struct buf error = BUF_INIT(1000);
		struct endpoint_choice choice;

		if (cases[i].sentence != NULL)
			assert_refused(cases[i].queue, &wishes, cases[i].sentence);
		wishes.allow_insecure = cases[i].sentence != NULL;
		assert_int_equal(choose(cases[i].queue, &wishes, &choice, &error), 0);
	}
}

/* What may be a password is not repeated. */
static void endpoints_that_are_none(void **state)
{
	static const char *const cases[] = {"", "sqs", "https://", "https://user:word@a",
		"https://a/path", "https://a/?q", "ftp://a", "https://a b"};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct endpoint_wishes wishes = wishes_of(NULL, cases[i]);

		assert_refused("http://127.0.0.1:9324" ACCOUNT, &wishes,
			"AWS_ENDPOINT_URL_SQS is not http(s)://HOST[:PORT]");
	}
}

static void regions(void **state)
{
	static const struct {
		const char *queue, *configured, *settings_region, *region, *named_by;
		bool ask;
	} cases[] = {
		{"https://sqs.eu-west-1.amazonaws.com" ACCOUNT, NULL, "us-west-2", "eu-west-1",
			"the queue URL", false},
		{"https://queue.amazonaws.com" ACCOUNT, "http://localhost:1", "us-west-2",
			"us-east-1", "the queue URL", false},
		{"http://sqs.eu-central-1.localhost.localstack.cloud:4566" ACCOUNT,
			"http://localhost:4566", NULL, "eu-central-1", "the queue URL", false},
		{"https://queue.example.com" ACCOUNT, "https://" VPC, "us-west-2", "eu-west-1",
			"queue.endpoint", false},
		{"https://queue.example.com" ACCOUNT, NULL, "us-west-2", "us-west-2", "AWS_REGION",
			false},
		{"http://127.0.0.1:9324" ACCOUNT, NULL, "us-west-2", "us-west-2", "AWS_REGION",
			false},
		{"https://queue.example.com" ACCOUNT, NULL, NULL, "us-east-1", "the default", true},
		{"http://127.0.0.1:9324" ACCOUNT, NULL, NULL, "us-east-1", "the default", false},
		{"https://queue.example.com" ACCOUNT, "http://[::1]:9324", NULL, "us-east-1",
			"the default", false},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct endpoint_wishes wishes = wishes_of(cases[i].configured, NULL);
		struct buf error = BUF_INIT(1000);
		struct endpoint_choice choice;

		wishes.region = cases[i].settings_region;
		wishes.region_origin = "AWS_REGION";
		assert_int_equal(choose(cases[i].queue, &wishes, &choice, &error), 0);
		assert_string_equal(choice.region, cases[i].region);
		assert_string_equal(choice.region_named_by, cases[i].named_by);
		assert_int_equal(choice.ask_region, cases[i].ask);
	}
}

static void regions_that_are_none(void **state)
{
	static const char *const cases[] = {"", "US-EAST-1", "us east 1", "us-east-1.example.com"};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct endpoint_wishes wishes = wishes_of(NULL, NULL);

		wishes.region = cases[i];
		wishes.region_origin = "profile work";
		assert_refused("http://127.0.0.1:9324" ACCOUNT, &wishes,
			"profile work is not a region's name");
	}
}

static void endpoints_of_sts(void **state)
{
	static const struct {
		const char *settings, *settings_region;
		bool fips;
		const char *origin, *named_by, *region;
	} cases[] = {
		{NULL, NULL, false, "https://sts.eu-west-1.amazonaws.com", "the queue URL",
			"eu-west-1"},
		{NULL, "us-west-2", true, "https://sts-fips.us-west-2.amazonaws.com", "AWS_REGION",
			"us-west-2"},
		{"http://127.0.0.1:9", NULL, false, "http://127.0.0.1:9", "AWS_ENDPOINT_URL_STS",
			"eu-west-1"},
		{"http://127.0.0.1:9", "us-west-2", false, "http://127.0.0.1:9",
			"AWS_ENDPOINT_URL_STS", "us-west-2"},
		{"https://sts.eu-west-3.amazonaws.com", "us-west-2", false,
			"https://sts.eu-west-3.amazonaws.com", "AWS_ENDPOINT_URL_STS", "eu-west-3"},
	};
	static const struct endpoint_choice queue = {
		.region = "eu-west-1", .region_named_by = "the queue URL"};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct endpoint_wishes wishes = {.configured = "not looked at",
			.from_settings = cases[i].settings,
			.settings_origin = "AWS_ENDPOINT_URL_STS",
			.region = cases[i].settings_region,
			.region_origin = "AWS_REGION",
			.variant = {.fips = cases[i].fips}};
		struct buf error = BUF_INIT(1000);
		struct endpoint_choice choice;

		assert_int_equal(endpoint_choice_sts(&queue, &wishes, &choice, &error), 0);
		assert_string_equal(choice.endpoint.origin, cases[i].origin);
		assert_string_equal(choice.named_by, cases[i].named_by);
		assert_string_equal(choice.region, cases[i].region);
	}
}

static void sts_refused(void **state)
{
	static const struct endpoint_choice queue = {
		.region = "eu-west-1", .region_named_by = "the queue URL"};
	struct endpoint_wishes wishes = {
		.from_settings = "http://sts.example.com", .settings_origin = "profile work"};
	struct endpoint_choice choice;
	struct buf error = BUF_INIT(1000);

	assert_int_equal(endpoint_choice_sts(&queue, &wishes, &choice, &error), ERR_CONFIG);
	assert_string_equal(
		buf_string(&error), "profile work names http://sts.example.com" PLAIN_HTTP);
	buf_clear(&error);
	wishes = (struct endpoint_wishes){.region = "EU", .region_origin = "AWS_DEFAULT_REGION"};
	assert_int_equal(endpoint_choice_sts(&queue, &wishes, &choice, &error), ERR_CONFIG);
	assert_string_equal(buf_string(&error), "AWS_DEFAULT_REGION is not a region's name");
	buf_free(&error);
}

static void endpoints_of_autoscaling(void **state)
{
	static const struct {
		const char *region, *settings;
		struct endpoint_variant variant;
		const char *origin; /* NULL: refused */
	} cases[] = {
		{"eu-west-1", NULL, {false, false}, "https://autoscaling.eu-west-1.amazonaws.com"},
		{"cn-north-1", NULL, {false, false},
			"https://autoscaling.cn-north-1.amazonaws.com.cn"},
		{"us-east-1", NULL, {true, false},
			"https://autoscaling-fips.us-east-1.amazonaws.com"},
		{"us-gov-west-1", NULL, {true, false},
			"https://autoscaling.us-gov-west-1.amazonaws.com"},
		{"us-east-1", NULL, {false, true}, "https://autoscaling.us-east-1.api.aws"},
		{"eu-west-1", "http://127.0.0.1:9", {false, false}, "http://127.0.0.1:9"},
		{"eu-west-1", "https://vpce.example.com/", {false, false},
			"https://vpce.example.com"},
		{"eu-west-1", "http://example.com", {false, false}, NULL},
		{"eu-west-1", "http://127.0.0.1:9", {true, false}, NULL},
		{"eu west 1", NULL, {false, false}, NULL},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct endpoint_wishes wishes = {.configured = "not looked at",
			.from_settings = cases[i].settings,
			.settings_origin = "AWS_ENDPOINT_URL_AUTO_SCALING",
			.region = "not-looked-at-1",
			.variant = cases[i].variant};
		struct buf error = BUF_INIT(1000);
		struct endpoint_choice choice;
		int err = endpoint_choice_autoscaling(cases[i].region, &wishes, &choice, &error);

		assert_int_equal(err, cases[i].origin != NULL ? 0 : ERR_CONFIG);
		assert_int_equal(err == 0, error.len == 0);
		if (err == 0) {
			assert_string_equal(choice.endpoint.origin, cases[i].origin);
			assert_string_equal(choice.region, cases[i].region);
		}
		buf_free(&error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_names_the_endpoint),
		cmocka_unit_test(variants),
		cmocka_unit_test(variants_that_cannot_be_had),
		cmocka_unit_test(plain_http),
		cmocka_unit_test(endpoints_that_are_none),
		cmocka_unit_test(regions),
		cmocka_unit_test(regions_that_are_none),
		cmocka_unit_test(endpoints_of_sts),
		cmocka_unit_test(sts_refused),
		cmocka_unit_test(endpoints_of_autoscaling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
