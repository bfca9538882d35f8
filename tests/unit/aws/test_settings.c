#include "aws/settings.h"
#include "bunshin/error.h"
#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define VARIABLES_MAX 20

static struct {
	const char *name, *value;
} variables[VARIABLES_MAX];
static char config_path[] = "/tmp/settings_config_XXXXXX";
static char credentials_path[] = "/tmp/settings_credentials_XXXXXX";

static const char *lookup(const char *name)
{
	for (size_t i = 0; i < VARIABLES_MAX && variables[i].name != NULL; i++) {
		if (strcmp(variables[i].name, name) == 0)
			return variables[i].value;
	}
	return NULL;
}

static void set(const char *name, const char *value)
{
	for (size_t i = 0; i < VARIABLES_MAX; i++) {
		if (variables[i].name != NULL && strcmp(variables[i].name, name) != 0)
			continue;
		variables[i].name = name;
		variables[i].value = value;
		return;
	}
	fail();
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int make_files(void **state)
{
	int config = mkstemp(config_path), credentials = mkstemp(credentials_path);

	return close(config) != 0 || close(credentials) != 0;
}

static int remove_files(void **state)
{
	return unlink(config_path) != 0 || unlink(credentials_path) != 0;
}

/* Each test begins with two empty files. */
static int clear(void **state)
{
	memset(variables, 0, sizeof(variables));
	set("AWS_CONFIG_FILE", config_path);
	set("AWS_SHARED_CREDENTIALS_FILE", credentials_path);
	write_file(config_path, "");
	write_file(credentials_path, "");
	return 0;
}

static struct aws_settings *load(void)
{
	struct buf error = BUF_INIT(1000);
	struct aws_settings *settings = NULL;

	assert_int_equal(aws_settings_load(lookup, &settings, &error), 0);
	assert_int_equal(error.len, 0);
	return settings;
}

static void check_refused(const char *expected)
{
	struct buf error = BUF_INIT(1000);
	struct aws_settings *settings = NULL;

	assert_int_equal(aws_settings_load(lookup, &settings, &error), ERR_CONFIG);
	assert_null(settings);
	assert_string_equal(buf_string(&error), expected);
	buf_free(&error);
}

static void nothing_is_set(void **state)
{
	struct aws_settings *settings = load();
	const char *origin = "untouched";

	assert_string_equal(aws_settings_profile(settings), "default");
	assert_false(aws_settings_profile_is_named(settings));
	assert_null(aws_settings_region(settings));
	assert_null(aws_settings_endpoint(settings, "sqs", &origin));
	assert_string_equal(origin, "untouched");
	assert_false(aws_settings_fips(settings));
	assert_false(aws_settings_dual_stack(settings));
	assert_null(aws_settings_ca_bundle(settings));
	assert_int_equal(aws_settings_max_attempts(settings), 3);
	assert_false(aws_settings_metadata_disabled(settings));
	assert_false(aws_settings_metadata_v1_allowed(settings));
	assert_string_equal(aws_settings_metadata_endpoint(settings), "http://169.254.169.254");
	assert_null(aws_settings_variable(settings, "AWS_REGION"));
	assert_null(aws_settings_profile_key(settings, "region"));
	assert_ptr_equal(aws_settings_lookup(settings), lookup);
	aws_settings_free(settings);
	aws_settings_free(NULL);
}

static void variables_win_over_the_profile(void **state)
{
	struct aws_settings *settings;

	write_file(config_path, "[default]\n"
				"region = eu-west-1\n"
				"use_fips_endpoint = true\n"
				"use_dualstack_endpoint = TRUE\n"
				"ca_bundle = /ca.pem\n"
				"max_attempts = 7\n"
				"ec2_metadata_v1_disabled = False\n"
				"ec2_metadata_service_endpoint = http://[::1]:1338//\n");
	settings = load();
	assert_string_equal(aws_settings_region(settings), "eu-west-1");
	assert_true(aws_settings_fips(settings));
	assert_true(aws_settings_dual_stack(settings));
	assert_string_equal(aws_settings_ca_bundle(settings), "/ca.pem");
	assert_int_equal(aws_settings_max_attempts(settings), 7);
	assert_true(aws_settings_metadata_v1_allowed(settings));
	assert_string_equal(aws_settings_metadata_endpoint(settings), "http://[::1]:1338");
	aws_settings_free(settings);

	set("AWS_DEFAULT_REGION", "us-west-2");
	set("AWS_REGION", "");
	set("AWS_USE_FIPS_ENDPOINT", "false");
	set("AWS_USE_DUALSTACK_ENDPOINT", "False");
	set("AWS_CA_BUNDLE", "/other.pem");
	set("AWS_MAX_ATTEMPTS", "1");
	set("AWS_EC2_METADATA_V1_DISABLED", "true");
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://imds/");
	set("AWS_EC2_METADATA_DISABLED", "true");
	settings = load();
	assert_string_equal(aws_settings_region(settings), "us-west-2");
	assert_false(aws_settings_fips(settings));
	assert_false(aws_settings_dual_stack(settings));
	assert_string_equal(aws_settings_ca_bundle(settings), "/other.pem");
	assert_int_equal(aws_settings_max_attempts(settings), 1);
	assert_false(aws_settings_metadata_v1_allowed(settings));
	assert_string_equal(aws_settings_metadata_endpoint(settings), "http://imds");
	assert_true(aws_settings_metadata_disabled(settings));
	set("AWS_REGION", "us-east-2");
	assert_string_equal(aws_settings_region(settings), "us-east-2");
	aws_settings_free(settings);
}

static void metadata_endpoint_by_mode(void **state)
{
	struct aws_settings *settings;

	write_file(config_path, "[default]\nec2_metadata_service_endpoint_mode = ipv6\n");
	settings = load();
	assert_string_equal(aws_settings_metadata_endpoint(settings), "http://[fd00:ec2::254]");
	aws_settings_free(settings);
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv4");
	settings = load();
	assert_string_equal(aws_settings_metadata_endpoint(settings), "http://169.254.169.254");
	aws_settings_free(settings);
}

static void profile_in_force(void **state)
{
	struct aws_settings *settings;

	write_file(config_path, "[default]\nregion = a\n[profile work]\nregion = b\n");
	write_file(credentials_path, "[keys only]\naws_secret_access_key = s\nregion = c\n");
	set("AWS_PROFILE", "work");
	settings = load();
	assert_string_equal(aws_settings_profile(settings), "work");
	assert_true(aws_settings_profile_is_named(settings));
	assert_string_equal(aws_settings_region(settings), "b");
	aws_settings_free(settings);
	set("AWS_PROFILE", "keys only");
	settings = load();
	assert_string_equal(aws_settings_region(settings), "c");
	/* Settings hold no keys. */
	assert_null(aws_settings_profile_key(settings, "aws_secret_access_key"));
	aws_settings_free(settings);
	set("AWS_PROFILE", "default");
	settings = load();
	assert_true(aws_settings_profile_is_named(settings));
	assert_string_equal(aws_settings_region(settings), "a");
	aws_settings_free(settings);
	set("AWS_PROFILE", "");
	settings = load();
	assert_false(aws_settings_profile_is_named(settings));
	aws_settings_free(settings);
	set("AWS_PROFILE", "Work");
	check_refused("AWS_PROFILE names the profile \"Work\", which is in neither of the shared "
		      "files");
}

static void check_endpoint(const char *service, const char *expected, const char *expected_origin)
{
	struct aws_settings *settings = load();
	const char *origin = NULL;
	const char *url = aws_settings_endpoint(settings, service, &origin);

	if (expected == NULL)
		assert_null(url);
	else
		assert_string_equal(url, expected);
	if (expected != NULL)
		assert_string_equal(origin, expected_origin);
	assert_ptr_equal(aws_settings_endpoint(settings, service, NULL), url);
	aws_settings_free(settings);
}

/* From the weakest to the strongest. */
static void endpoints_in_their_order(void **state)
{
	set("AWS_PROFILE", "work");
	write_file(config_path, "[profile work]\nservices = mine\n"
				"[services mine]\nsts =\n  endpoint_url = http://sts\n");
	check_endpoint("sqs", NULL, NULL);
	write_file(config_path, "[profile work]\nendpoint_url = http://profile\n");
	check_endpoint("sqs", "http://profile", "profile work");
	write_file(config_path, "[profile work]\nendpoint_url = http://profile\nservices = mine\n"
				"[services mine]\nsqs =\n  endpoint_url = http://services\n"
				"[services other]\nsts =\n  endpoint_url = http://other\n");
	check_endpoint("sqs", "http://services", "services mine");
	check_endpoint("sts", "http://profile", "profile work");
	set("AWS_ENDPOINT_URL", "http://all");
	check_endpoint("sqs", "http://all", "AWS_ENDPOINT_URL");
	check_endpoint("sts", "http://all", "AWS_ENDPOINT_URL");
	set("AWS_ENDPOINT_URL_SQS", "http://sqs");
	check_endpoint("sqs", "http://sqs", "AWS_ENDPOINT_URL_SQS");
	check_endpoint("sts", "http://all", "AWS_ENDPOINT_URL");
	set("AWS_ENDPOINT_URL_STS", "http://sts");
	check_endpoint("sts", "http://sts", "AWS_ENDPOINT_URL_STS");
	check_endpoint("auto_scaling", "http://all", "AWS_ENDPOINT_URL");
	set("AWS_ENDPOINT_URL_AUTO_SCALING", "http://groups");
	check_endpoint("auto_scaling", "http://groups", "AWS_ENDPOINT_URL_AUTO_SCALING");
	set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
	check_endpoint("sqs", NULL, NULL);
	set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "");
	write_file(config_path, "[profile work]\nignore_configured_endpoint_urls = true\n");
	check_endpoint("sqs", NULL, NULL);
	set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false");
	check_endpoint("sqs", "http://sqs", "AWS_ENDPOINT_URL_SQS");
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *name, *value, *error;
	} cases[] = {
		{"AWS_USE_FIPS_ENDPOINT", "yes", "AWS_USE_FIPS_ENDPOINT must be true or false"},
		{"AWS_USE_DUALSTACK_ENDPOINT", "1",
			"AWS_USE_DUALSTACK_ENDPOINT must be true or false"},
		{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "tru",
			"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS must be true or false"},
		{"AWS_EC2_METADATA_DISABLED", "0",
			"AWS_EC2_METADATA_DISABLED must be true or false"},
		{"AWS_EC2_METADATA_V1_DISABLED", "no",
			"AWS_EC2_METADATA_V1_DISABLED must be true or false"},
		{"AWS_MAX_ATTEMPTS", "0", "AWS_MAX_ATTEMPTS must be a number from 1 to 100"},
		{"AWS_MAX_ATTEMPTS", "101", "AWS_MAX_ATTEMPTS must be a number from 1 to 100"},
		{"AWS_MAX_ATTEMPTS", "3x", "AWS_MAX_ATTEMPTS must be a number from 1 to 100"},
		{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "6",
			"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE must be IPv4 or IPv6"},
	};
	char expected[200];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set(cases[i].name, cases[i].value);
		check_refused(cases[i].error);
		set(cases[i].name, "");
	}
	write_file(config_path, "[default]\nmax_attempts = many\n");
	check_refused("max_attempts in the profile \"default\" must be a number from 1 to 100");
	write_file(config_path, "[default]\nuse_fips_endpoint = on\n");
	check_refused("use_fips_endpoint in the profile \"default\" must be true or false");
	write_file(config_path, "[default]\naws_secret_access_key SECRET\n");
	snprintf(expected, sizeof(expected),
		"%s:2: neither a [section] nor a setting: there is no '='", config_path);
	check_refused(expected);
	set("AWS_CONFIG_FILE", "/");
	check_refused("cannot read /: Is a directory");
}

static int load_once(void *arg)
{
	struct buf error = BUF_INIT(1000);
	struct aws_settings *settings;
	int err = aws_settings_load(lookup, &settings, &error);

	if (err == 0)
		aws_settings_free(settings);
	return err;
}

static void memory_may_fail(void **state)
{
	write_file(config_path, "[default]\nservices = mine\n[services mine]\n");
	assert_true(failmalloc_sweep(load_once, NULL) >= 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_is_set, clear),
		cmocka_unit_test_setup(variables_win_over_the_profile, clear),
		cmocka_unit_test_setup(metadata_endpoint_by_mode, clear),
		cmocka_unit_test_setup(profile_in_force, clear),
		cmocka_unit_test_setup(endpoints_in_their_order, clear),
		cmocka_unit_test_setup(mistakes_are_named, clear),
		cmocka_unit_test_setup(memory_may_fail, clear),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
