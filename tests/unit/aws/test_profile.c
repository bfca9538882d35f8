/*
 * The profile provider over files on disk. What it builds its chains of is played here, but for
 * static keys and the environment; who is asked, and for what, is written down.
 */
#include "aws/credentials/provider.h"
#include "base/manual_clock.h"
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

#define ADVICE(name)                                                                           \
	", which needs a person: put \"credential_process = aws configure export-credentials " \
	"--profile " name " --format process\" into a profile"

static struct manual_clock time_source;
static char config_path[] = "/tmp/profile_config_XXXXXX";
static char credentials_path[] = "/tmp/profile_credentials_XXXXXX";
static const char *profile_variable, *key_variable;

static const char *lookup(const char *name)
{
	if (strcmp(name, "AWS_CONFIG_FILE") == 0)
		return config_path;
	if (strcmp(name, "AWS_SHARED_CREDENTIALS_FILE") == 0)
		return credentials_path;
	if (strcmp(name, "AWS_ACCESS_KEY_ID") == 0 || strcmp(name, "AWS_SECRET_ACCESS_KEY") == 0)
		return key_variable;
	return strcmp(name, "AWS_PROFILE") == 0 ? profile_variable : NULL;
}

/* ---- the providers that are played */

struct fake {
	char name[200];
	struct credentials_provider source; /* get NULL: it has keys itself */
	struct credentials_set source_set;
	struct credentials_set *set;
	credentials_done *done;
	void *arg;
	struct clock_timer timer;
};

static char trace[1000]; /* what was asked, in its order */
static unsigned fakes_alive, cancels;
static bool answers_later;
static int fake_err;

static void fake_fill(struct fake *fake)
{
	if (fake->source.get != NULL) {
		strcat(trace, fake->source_set.access_key_id);
		strcat(trace, fake->source_set.session_token);
		strcpy(fake->set->principal, "arn of the role");
		strcpy(fake->set->account_id, "999999999999");
	}
	strcat(trace, " > ");
	strcat(trace, fake->name);
	strcpy(fake->set->access_key_id, "");
	strcpy(fake->set->secret_access_key, "s");
}

static void fake_fire(struct clock_timer *timer)
{
	struct fake *fake = (struct fake *)(void *)((char *)timer - offsetof(struct fake, timer));

	if (fake_err == 0)
		fake_fill(fake);
	fake->done(fake->arg, fake_err, fake_err != 0 ? "STS says no" : "");
}

static void fake_source_done(void *arg, int err, const char *reason)
{
	struct fake *fake = arg;

	if (err == 0)
		fake_fill(fake);
	fake->done(fake->arg, err, reason);
}

static int fake_get(void *impl, struct credentials_set *ret_set, credentials_done *done, void *arg,
	char reason[CREDENTIALS_REASON_MAX])
{
	struct fake *fake = impl;
	int err = 0;

	fake->set = ret_set;
	fake->done = done;
	fake->arg = arg;
	if (fake->source.get != NULL)
		err = fake->source.get(
			fake->source.impl, &fake->source_set, fake_source_done, fake, reason);
	if (err != 0)
		return err;
	if (answers_later) {
		assert_int_equal(
			clock_timer_after(manual_clock_table(&time_source), &fake->timer, 1000), 0);
		return CREDENTIALS_LATER;
	}
	if (fake_err != 0)
		return fake_err;
	fake_fill(fake);
	return 0;
}

static void fake_cancel(void *impl)
{
	struct fake *fake = impl;

	cancels++;
	clock_timer_clear(manual_clock_table(&time_source), &fake->timer);
	if (fake->source.cancel != NULL)
		fake->source.cancel(fake->source.impl);
}

static void fake_free(void *impl)
{
	struct fake *fake = impl;

	clock_timer_clear(manual_clock_table(&time_source), &fake->timer);
	if (fake->source.get != NULL)
		fake->source.free(fake->source.impl);
	fakes_alive--;
	free(fake);
}

static int fake_new(const char *name, const struct credentials_provider *source,
	struct credentials_provider *ret_provider)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	if (fake == NULL) {
		if (source != NULL)
			source->free(source->impl);
		return ERR_NOMEM;
	}
	snprintf(fake->name, sizeof(fake->name), "%s", name);
	fake->timer.fire = fake_fire;
	if (source != NULL)
		fake->source = *source;
	fakes_alive++;
	*ret_provider = (struct credentials_provider){.name = "fake",
		.get = fake_get,
		.cancel = fake_cancel,
		.free = fake_free,
		.impl = fake};
	return 0;
}

static const char *text_or(const char *text)
{
	return text != NULL ? text : "-";
}

int credentials_assume_role(const struct credentials_context *context,
	const struct credentials_role *role, struct credentials_provider source,
	struct credentials_provider *ret_provider)
{
	char name[200];

	snprintf(name, sizeof(name), "%s,%s,%s,%u", role->role_arn, text_or(role->session_name),
		text_or(role->external_id), role->duration_s);
	return fake_new(name, &source, ret_provider);
}

int credentials_web_identity_of(const struct credentials_context *context, const char *role_arn,
	const char *session_name, const char *token_file, struct credentials_provider *ret_provider)
{
	char name[200];

	snprintf(name, sizeof(name), "web %s,%s,%s", role_arn, text_or(session_name), token_file);
	return fake_new(name, NULL, ret_provider);
}

int credentials_process(const struct credentials_context *context, const char *command,
	int64_t timeout_ms, struct credentials_provider *ret_provider)
{
	assert_int_equal(timeout_ms, 60000);
	return fake_new(command, NULL, ret_provider);
}

int credentials_container(
	const struct credentials_context *context, struct credentials_provider *ret_provider)
{
	return fake_new("container", NULL, ret_provider);
}

int credentials_instance(
	const struct credentials_context *context, struct credentials_provider *ret_provider)
{
	return fake_new("instance", NULL, ret_provider);
}

/* ---- the provider under test */

static struct aws_settings *settings;
static struct credentials_context context;
static struct credentials_set set;
static char reason[CREDENTIALS_REASON_MAX];
static unsigned done_calls;
static int done_err;

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

static int setup(void **state)
{
	write_file(config_path, "");
	write_file(credentials_path, "");
	profile_variable = key_variable = NULL;
	answers_later = false;
	fake_err = 0;
	cancels = done_calls = 0;
	manual_clock_init(&time_source, 1, 0);
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(fakes_alive, 0);
	assert_false(manual_clock_step(&time_source));
	manual_clock_free(&time_source);
	return 0;
}

/* Settings are loaded while the profile is there; the files may change afterwards. */
static void open_context(void)
{
	struct buf error = BUF_INIT(1000);

	assert_int_equal(aws_settings_load(lookup, &settings, &error), 0);
	context = (struct credentials_context){
		.clock = manual_clock_table(&time_source), .settings = settings};
}

static void done(void *arg, int err, const char *why)
{
	assert_ptr_equal(arg, &set);
	done_calls++;
	done_err = err;
	snprintf(reason, sizeof(reason), "%s", why);
}

static int get(const struct credentials_provider *provider)
{
	memset(&set, 0, sizeof(set));
	reason[0] = trace[0] = '\0';
	return provider->get(provider->impl, &set, done, &set, reason);
}

static int get_once(const char *config, const char *credentials, const char *profile)
{
	struct credentials_provider provider;
	int err;

	profile_variable = profile;
	write_file(config_path, config);
	write_file(credentials_path, credentials);
	open_context();
	assert_int_equal(credentials_profile(&context, &provider), 0);
	assert_string_equal(provider.name, "profile");
	err = get(&provider);
	provider.free(provider.impl);
	aws_settings_free(settings);
	return err;
}

static void check_keys(const char *config, const char *profile, const char *expected)
{
	assert_int_equal(get_once(config, "", profile), 0);
	strcat(trace, set.access_key_id);
	assert_string_equal(trace, expected);
}

static void check_refused(
	const char *config, const char *profile, int expected_err, const char *expected)
{
	assert_int_equal(get_once(config, "", profile), expected_err);
	assert_string_equal(reason, expected);
	assert_null(strstr(reason, "SECRET"));
}

/* ---- tests */

#define KEYS "aws_access_key_id = AKID\naws_secret_access_key = SECRET\n"

static void static_keys(void **state)
{
	assert_int_equal(get_once("[profile work]\naws_account_id = 123456789012\n",
				 "[work]\n" KEYS "aws_session_token = TOKEN\n", "work"),
		0);
	assert_string_equal(set.access_key_id, "AKID");
	assert_string_equal(set.secret_access_key, "SECRET");
	assert_string_equal(set.session_token, "TOKEN");
	assert_string_equal(set.principal, "profile work");
	assert_string_equal(set.account_id, "123456789012");
	assert_int_equal(set.expires_epoch_ms, 0);
	check_keys("[default]\naws_account_id = 12345\n" KEYS, NULL, "AKID");
	assert_string_equal(set.principal, "profile default");
	assert_string_equal(set.account_id, "");
	/* before the process */
	check_keys("[default]\ncredential_process = p\n" KEYS, NULL, "AKID");
}

static void half_a_pair(void **state)
{
	char config[400], id[300];

	check_refused("[default]\naws_access_key_id = AKID\n", NULL, ERR_NO_CREDENTIALS,
		"the profile \"default\" has no aws_secret_access_key, but the other half of the "
		"pair");
	check_refused("[default]\naws_secret_access_key = SECRET\naws_access_key_id =\n", NULL,
		ERR_NO_CREDENTIALS,
		"the profile \"default\" has no aws_access_key_id, but the other half of the pair");
	memset(id, 'A', CREDENTIALS_KEY_MAX);
	id[CREDENTIALS_KEY_MAX] = '\0';
	snprintf(config, sizeof(config),
		"[default]\naws_secret_access_key = SECRET\naws_access_key_id = %s\n", id);
	check_refused(config, NULL, ERR_NO_CREDENTIALS,
		"the profile \"default\" has a key or token that is too long");
}

static void a_process(void **state)
{
	check_keys("[profile p]\ncredential_process = /bin/tool --x \"a ; b\"\n", "p",
		" > /bin/tool --x \"a ; b\"");
	assert_string_equal(set.principal, "profile p");
	assert_int_equal(
		get_once("[default]\ncredential_process = t\naws_account_id = 123456789012\n", "",
			NULL),
		0);
	assert_string_equal(set.account_id, "123456789012");
	check_keys("[profile p]\nsso_session = s\ncredential_process = t\n", "p", " > t");
}

static void roles_over_another_profile(void **state)
{
	check_keys("[profile A]\nrole_arn = arn:A\nsource_profile = B\nexternal_id = ext\n"
		   "role_session_name = name\nduration_seconds = 43200\naws_account_id = "
		   "111111111111\n[profile B]\n" KEYS,
		"A", "AKID > arn:A,name,ext,43200");
	assert_string_equal(set.principal, "arn of the role");
	assert_string_equal(set.account_id, "999999999999");
	/* A's own keys are not those to assume its role with. */
	check_keys("[profile A]\nrole_arn = arn:A\nsource_profile = B\n"
		   "aws_access_key_id = wrong\naws_secret_access_key = wrong\n[profile B]\n" KEYS
		   "aws_session_token = +T\n",
		"A", "AKID+T > arn:A,-,-,0");
	/* ... but for a profile that names itself. */
	check_keys("[default]\nrole_arn = arn:A\nsource_profile = default\n" KEYS, NULL,
		"AKID > arn:A,-,-,0");
	check_keys("[profile A]\nrole_arn = arn:A\nsource_profile = B\n[profile B]\n"
		   "credential_process = tool\n",
		"A", " > tool > arn:A,-,-,0");
	check_keys("[profile A]\nrole_arn = arn:A\nsource_profile = B\n[profile B]\n"
		   "role_arn = arn:B\nweb_identity_token_file = /t\nrole_session_name = n\n",
		"A", " > web arn:B,n,/t > arn:A,-,-,0");
}

static void chains_of_roles(void **state)
{
	check_keys("[profile A]\nrole_arn = arn:A\nsource_profile = B\n"
		   "[profile B]\nrole_arn = arn:B\nsource_profile = C\nexternal_id = b\n"
		   "[profile C]\n" KEYS,
		"A", "AKID > arn:B,-,b,0 > arn:A,-,-,0");
	/* Keys come before the role in a profile that is a source. */
	check_keys("[profile A]\nrole_arn = arn:A\nsource_profile = B\n"
		   "[profile B]\nrole_arn = arn:B\nsource_profile = C\n" KEYS "[profile C]\n"
		   "aws_access_key_id = wrong\naws_secret_access_key = wrong\n",
		"A", "AKID > arn:A,-,-,0");
	check_keys("[profile A]\nrole_arn = arn:A\nsource_profile = B\n"
		   "[profile B]\nrole_arn = arn:B\ncredential_source = EcsContainer\n",
		"A", " > container > arn:B,-,-,0 > arn:A,-,-,0");
}

/* "a" assumes the role of "b", and so on to the `roles`-th; the one after them has keys. */
static const char *long_chain(int roles)
{
	static char config[2000];
	size_t len = 0;

	for (char c = 'a'; c < 'a' + roles; c++)
		len += (size_t)snprintf(config + len, sizeof(config) - len,
			"[profile %c]\nrole_arn = %c\nsource_profile = %c\n", c, c, c + 1);
	snprintf(config + len, sizeof(config) - len, "[profile %c]\n" KEYS, 'a' + roles);
	return config;
}

static void chains_have_a_limit_and_no_loop(void **state)
{
	check_keys(long_chain(8), "a",
		"AKID > h,-,-,0 > g,-,-,0 > f,-,-,0 > e,-,-,0 > d,-,-,0 > c,-,-,0 > b,-,-,0 > "
		"a,-,-,0");
	check_refused(long_chain(9), "a", ERR_CONFIG,
		"the profile \"i\" is the end of a chain of more than 8 roles");
	check_refused("[profile A]\nrole_arn = a\nsource_profile = A\n", "A", ERR_CONFIG,
		"the profile \"A\" closes a loop: its source_profile is \"A\"");
	check_refused("[profile A]\nrole_arn = a\nsource_profile = B\n" KEYS
		      "[profile B]\nrole_arn = b\nsource_profile = A\n",
		"A", ERR_CONFIG, "the profile \"B\" closes a loop: its source_profile is \"A\"");
	check_refused("[profile A]\nrole_arn = a\nsource_profile = B\n"
		      "[profile B]\nrole_arn = b\nsource_profile = B\n",
		"A", ERR_CONFIG, "the profile \"B\" closes a loop: its source_profile is \"B\"");
}

static void roles_over_a_credential_source(void **state)
{
	check_keys("[default]\nrole_arn = a\ncredential_source = EcsContainer\n", NULL,
		" > container > a,-,-,0");
	check_keys("[default]\nrole_arn = a\ncredential_source = Ec2InstanceMetadata\n", NULL,
		" > instance > a,-,-,0");
	key_variable = "from-env";
	check_keys("[default]\nrole_arn = a\ncredential_source = Environment\n", NULL,
		"from-env > a,-,-,0");
	key_variable = NULL;
	check_refused("[default]\nrole_arn = a\ncredential_source = Environment\n", NULL,
		ERR_NO_CREDENTIALS,
		"the profile \"default\": no credentials where it says that they are");
	check_refused("[default]\nrole_arn = a\ncredential_source = environment\n", NULL,
		ERR_CONFIG,
		"the profile \"default\" has the credential_source \"environment\": Environment, "
		"EcsContainer and Ec2InstanceMetadata are known");
}

static void a_web_identity(void **state)
{
	check_keys(
		"[default]\nrole_arn = a\nweb_identity_token_file = /t\n", NULL, " > web a,-,/t");
	/* It needs no source, and wins over one. */
	check_keys("[default]\nrole_arn = a\nweb_identity_token_file = /t\n"
		   "role_session_name = n\nsource_profile = B\nmfa_serial = m\n" KEYS,
		NULL, " > web a,n,/t");
	check_refused("[default]\nweb_identity_token_file = /t\n", NULL, ERR_CONFIG,
		"the profile \"default\" has a web_identity_token_file, but no role_arn");
}

static void incomplete_roles(void **state)
{
	check_refused("[profile A]\nrole_arn = a\n" KEYS, "A", ERR_CONFIG,
		"the profile \"A\" has a role_arn and neither source_profile nor "
		"credential_source");
	check_refused("[profile A]\nrole_arn = a\nsource_profile = A\n"
		      "credential_source = Environment\n",
		"A", ERR_CONFIG, "the profile \"A\" has both source_profile and credential_source");
	check_refused("[profile A]\nrole_arn = a\nsource_profile = B\n", "A", ERR_CONFIG,
		"the profile \"A\" names the source_profile \"B\", which is in neither of the "
		"shared files");
	check_refused("[profile A]\nrole_arn = a\nsource_profile = B\n[profile B]\nregion = r\n",
		"A", ERR_NO_CREDENTIALS,
		"the profile \"B\" is a source_profile without credentials");
	check_refused("[profile A]\nrole_arn = a\nsource_profile = B\n[profile B]\n"
		      "aws_secret_access_key = SECRET\n",
		"A", ERR_NO_CREDENTIALS,
		"the profile \"B\" has no aws_access_key_id, but the other half of the pair");
}

static void durations_have_a_range(void **state)
{
	static const char *const refused[] = {
		"899", "43201", "1h", "-900", "0", "99999999999999999999"};
	char config[200];

	check_keys(
		"[default]\nrole_arn = a\nsource_profile = default\nduration_seconds = 900\n" KEYS,
		NULL, "AKID > a,-,-,900");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		snprintf(config, sizeof(config),
			"[default]\nrole_arn = a\nsource_profile = default\nduration_seconds = %s\n"
			"%s",
			refused[i], KEYS);
		check_refused(config, NULL, ERR_CONFIG,
			"the profile \"default\" has a duration_seconds that is no number from "
			"900 to 43200");
	}
}

static void what_needs_a_person(void **state)
{
	check_refused("[profile A]\nrole_arn = a\nsource_profile = A\nmfa_serial = m\n" KEYS, "A",
		ERR_NO_CREDENTIALS,
		"the profile \"A\" assumes its role with a code (mfa_serial)" ADVICE("A"));
	check_refused("[profile A]\nsso_session = s\nregion = r\n", "A", ERR_NO_CREDENTIALS,
		"the profile \"A\" signs in with a browser (sso_session)" ADVICE("A"));
	check_refused("[default]\nsso_start_url = u\n", NULL, ERR_NO_CREDENTIALS,
		"the profile \"default\" signs in with a browser (sso_start_url)" ADVICE(
			"default"));
	check_refused("[profile A]\nrole_arn = a\nsource_profile = B\n"
		      "[profile B]\nlogin_session = l\n",
		"A", ERR_NO_CREDENTIALS,
		"the profile \"B\" signs in with a browser (login_session)" ADVICE("B"));
}

static void a_profile_without_credentials_is_passed_over(void **state)
{
	assert_int_equal(get_once("", "", NULL), ERR_NOT_FOUND);
	assert_int_equal(get_once("[profile work]\n" KEYS, "", NULL), ERR_NOT_FOUND);
	assert_int_equal(get_once("[default]\nregion = r\n", "", NULL), ERR_NOT_FOUND);
	assert_int_equal(get_once("[default]\nsource_profile = x\n", "", NULL), ERR_NOT_FOUND);
	assert_int_equal(get_once("[profile work]\nregion = r\n", "", "work"), ERR_NOT_FOUND);
}

static void files_are_read_at_each_get(void **state)
{
	struct credentials_provider provider;
	char expected[200];

	profile_variable = "work";
	write_file(config_path, "[profile work]\n");
	open_context();
	assert_int_equal(credentials_profile(&context, &provider), 0);
	assert_int_equal(get(&provider), ERR_NOT_FOUND);
	write_file(credentials_path, "[work]\n" KEYS);
	assert_int_equal(get(&provider), 0);
	write_file(config_path, "[profile work]\nkey\n");
	assert_int_equal(get(&provider), ERR_CONFIG);
	snprintf(expected, sizeof(expected),
		"%s:2: neither a [section] nor a setting: there is no '='", config_path);
	assert_string_equal(reason, expected);
	write_file(config_path, "");
	write_file(credentials_path, "");
	assert_int_equal(get(&provider), ERR_CONFIG);
	assert_string_equal(
		reason, "the profile \"work\" of AWS_PROFILE is in neither of the shared files");
	provider.free(provider.impl);
	aws_settings_free(settings);
}

static struct credentials_provider open_role(void)
{
	struct credentials_provider provider;

	write_file(config_path, "[default]\nrole_arn = a\nsource_profile = default\n" KEYS);
	answers_later = true;
	open_context();
	assert_int_equal(credentials_profile(&context, &provider), 0);
	return provider;
}

static void answers_may_come_later(void **state)
{
	struct credentials_provider provider = open_role();

	for (unsigned i = 1; i <= 2; i++) {
		assert_int_equal(get(&provider), CREDENTIALS_LATER);
		assert_int_equal(done_calls, i - 1);
		manual_clock_advance(&time_source, 1000);
		assert_int_equal(done_calls, i);
		assert_int_equal(done_err, 0);
		assert_string_equal(set.principal, "arn of the role");
		assert_int_equal(fakes_alive, 0); /* the chain has gone, and the keys in it */
	}
	fake_err = ERR_ACCESS_DENIED;
	assert_int_equal(get(&provider), CREDENTIALS_LATER);
	manual_clock_advance(&time_source, 1000);
	assert_int_equal(done_err, ERR_ACCESS_DENIED);
	assert_string_equal(reason, "STS says no");
	fake_err = ERR_NOT_FOUND;
	assert_int_equal(get(&provider), CREDENTIALS_LATER);
	manual_clock_step(&time_source);
	assert_int_equal(done_err, ERR_NO_CREDENTIALS);
	assert_string_equal(
		reason, "the profile \"default\": no credentials where it says that they are");
	/* Asked again, or freed, before the next turn of the loop. */
	assert_int_equal(get(&provider), CREDENTIALS_LATER);
	assert_int_equal(fakes_alive, 1);
	manual_clock_step(&time_source);
	assert_int_equal(done_calls, 5);
	provider.free(provider.impl);
	aws_settings_free(settings);
}

static void a_get_may_be_cancelled(void **state)
{
	struct credentials_provider provider = open_role();

	provider.cancel(provider.impl);
	assert_int_equal(get(&provider), CREDENTIALS_LATER);
	provider.cancel(provider.impl);
	assert_int_equal(cancels, 1);
	assert_int_equal(fakes_alive, 0);
	assert_int_equal(get(&provider), CREDENTIALS_LATER);
	provider.free(provider.impl);
	assert_int_equal(cancels, 2);
	manual_clock_advance(&time_source, 10000);
	assert_int_equal(done_calls, 0);
	aws_settings_free(settings);
}

static int get_in_sweep(void *arg)
{
	struct credentials_provider provider;
	int err = credentials_profile(&context, &provider);

	if (err != 0)
		return err;
	err = get(&provider);
	provider.free(provider.impl);
	return err;
}

static void memory_may_fail(void **state)
{
	write_file(config_path, "[default]\nrole_arn = a\nsource_profile = B\n[profile B]\n"
				"role_arn = b\nsource_profile = C\n[profile C]\n" KEYS);
	open_context();
	assert_true(failmalloc_sweep(get_in_sweep, NULL) >= 8);
	aws_settings_free(settings);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(static_keys),
		TEST(half_a_pair),
		TEST(a_process),
		TEST(roles_over_another_profile),
		TEST(chains_of_roles),
		TEST(chains_have_a_limit_and_no_loop),
		TEST(roles_over_a_credential_source),
		TEST(a_web_identity),
		TEST(incomplete_roles),
		TEST(durations_have_a_range),
		TEST(what_needs_a_person),
		TEST(a_profile_without_credentials_is_passed_over),
		TEST(files_are_read_at_each_get),
		TEST(answers_may_come_later),
		TEST(a_get_may_be_cancelled),
		TEST(memory_may_fail),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
