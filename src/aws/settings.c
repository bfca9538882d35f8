#include "aws/settings.h"

#include "aws/credentials/shared_files.h"
#include "base/units.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_ATTEMPTS_DEFAULT 3
#define MAX_ATTEMPTS_LIMIT 100

struct aws_settings {
	aws_lookup *lookup;
	struct shared_files *files; /* without the keys */
	const char *profile;
	bool is_named;
	bool fips, dual_stack, ignores_endpoints, metadata_disabled, metadata_v1_disabled;
	unsigned max_attempts;
	char *metadata_endpoint;
	char *profile_origin;  /* "profile work" */
	char *services_origin; /* "services mine"; NULL: the profile has none */
};

const char *aws_settings_variable(const struct aws_settings *settings, const char *name)
{
	const char *value = settings->lookup(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

const char *aws_settings_profile_key(const struct aws_settings *settings, const char *key)
{
	return shared_files_get(settings->files, settings->profile, key);
}

/* A setting under its two names, and for messages the one that has it. Either may be NULL. */
struct setting {
	const char *variable, *key;
	const char *value, *origin;
};

static bool setting_find(const struct aws_settings *settings, struct setting *setting)
{
	setting->origin = setting->variable;
	setting->value = aws_settings_variable(settings, setting->variable);
	if (setting->value == NULL && setting->key != NULL) {
		setting->origin = setting->key;
		setting->value = aws_settings_profile_key(settings, setting->key);
	}
	return setting->value != NULL;
}

static int setting_refuse(const struct aws_settings *settings, const struct setting *setting,
	const char *expected, struct buf *error)
{
	buf_appendf(error, "%s", setting->origin);
	if (setting->origin == setting->key)
		buf_appendf(error, " in the profile \"%s\"", settings->profile);
	buf_appendf(error, " must be %s", expected);
	return ERR_CONFIG;
}

static int read_switch(const struct aws_settings *settings, const char *variable, const char *key,
	bool *ret_value, struct buf *error)
{
	struct setting setting = {.variable = variable, .key = key};

	if (!setting_find(settings, &setting))
		return 0;
	*ret_value = strcasecmp(setting.value, "true") == 0;
	if (*ret_value || strcasecmp(setting.value, "false") == 0)
		return 0;
	return setting_refuse(settings, &setting, "true or false", error);
}

static int read_switches(struct aws_settings *settings, struct buf *error)
{
	const struct {
		const char *variable, *key;
		bool *value;
	} rows[] = {
		{"AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", &settings->fips},
		{"AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint", &settings->dual_stack},
		{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls",
			&settings->ignores_endpoints},
		{"AWS_EC2_METADATA_DISABLED", NULL, &settings->metadata_disabled},
		{"AWS_EC2_METADATA_V1_DISABLED", "ec2_metadata_v1_disabled",
			&settings->metadata_v1_disabled},
	};
	int err = 0;

	settings->metadata_v1_disabled = true;
	for (size_t i = 0; err == 0 && i < sizeof(rows) / sizeof(rows[0]); i++)
		err = read_switch(settings, rows[i].variable, rows[i].key, rows[i].value, error);
	return err;
}

static int read_max_attempts(struct aws_settings *settings, struct buf *error)
{
	struct setting setting = {.variable = "AWS_MAX_ATTEMPTS", .key = "max_attempts"};
	int64_t number = MAX_ATTEMPTS_DEFAULT;

	if (setting_find(settings, &setting) && (units_parse_int(setting.value, &number) != 0 ||
							number < 1 || number > MAX_ATTEMPTS_LIMIT))
		return setting_refuse(settings, &setting, "a number from 1 to 100", error);
	settings->max_attempts = (unsigned)number;
	return 0;
}

static int read_metadata_endpoint(struct aws_settings *settings, struct buf *error)
{
	struct setting mode = {.variable = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
		.key = "ec2_metadata_service_endpoint_mode"};
	struct setting endpoint = {.variable = "AWS_EC2_METADATA_SERVICE_ENDPOINT",
		.key = "ec2_metadata_service_endpoint"};
	const char *text = "http://169.254.169.254";
	size_t len;

	if (setting_find(settings, &mode) && strcasecmp(mode.value, "IPv6") == 0)
		text = "http://[fd00:ec2::254]";
	else if (mode.value != NULL && strcasecmp(mode.value, "IPv4") != 0)
		return setting_refuse(settings, &mode, "IPv4 or IPv6", error);
	if (setting_find(settings, &endpoint))
		text = endpoint.value;
	len = strlen(text);
	while (len > 0 && text[len - 1] == '/')
		len--;
	settings->metadata_endpoint = strndup(text, len);
	return settings->metadata_endpoint != NULL ? 0 : ERR_NOMEM;
}

static char *format_origin(const char *kind, const char *name)
{
	size_t size = strlen(kind) + strlen(name) + 2;
	char *origin = malloc(size);

	if (origin != NULL)
		snprintf(origin, size, "%s %s", kind, name);
	return origin;
}

static int read_origins(struct aws_settings *settings)
{
	const char *services = aws_settings_profile_key(settings, "services");

	settings->profile_origin = format_origin("profile", settings->profile);
	if (services != NULL)
		settings->services_origin = format_origin("services", services);
	if (settings->profile_origin == NULL ||
		(services != NULL && settings->services_origin == NULL))
		return ERR_NOMEM;
	return 0;
}

static int read_files(struct aws_settings *settings, struct buf *error)
{
	int err = shared_files_read(settings->lookup, &settings->files, error);

	if (err != 0)
		return err == ERR_NOMEM ? err : ERR_CONFIG;
	shared_files_forget_keys(settings->files);
	if (!settings->is_named || shared_files_has_profile(settings->files, settings->profile))
		return 0;
	buf_appendf(error,
		"AWS_PROFILE names the profile \"%s\", which is in neither of the shared files",
		settings->profile);
	return ERR_CONFIG;
}

int aws_settings_load(aws_lookup *lookup, struct aws_settings **ret_settings, struct buf *error)
{
	struct aws_settings *settings = calloc(1, sizeof(*settings));
	int err;

	if (settings == NULL)
		return ERR_NOMEM;
	settings->lookup = lookup;
	settings->profile = aws_settings_variable(settings, "AWS_PROFILE");
	settings->is_named = settings->profile != NULL;
	if (!settings->is_named)
		settings->profile = "default";
	err = read_files(settings, error);
	if (err == 0)
		err = read_switches(settings, error);
	if (err == 0)
		err = read_max_attempts(settings, error);
	if (err == 0)
		err = read_metadata_endpoint(settings, error);
	if (err == 0)
		err = read_origins(settings);
	if (err != 0) {
		aws_settings_free(settings);
		return err;
	}
	*ret_settings = settings;
	return 0;
}

void aws_settings_free(struct aws_settings *settings)
{
	if (settings == NULL)
		return;
	shared_files_free(settings->files);
	free(settings->metadata_endpoint);
	free(settings->profile_origin);
	free(settings->services_origin);
	free(settings);
}

const char *aws_settings_profile(const struct aws_settings *settings)
{
	return settings->profile;
}

bool aws_settings_profile_is_named(const struct aws_settings *settings)
{
	return settings->is_named;
}

aws_lookup *aws_settings_lookup(const struct aws_settings *settings)
{
	return settings->lookup;
}

const char *aws_settings_region(const struct aws_settings *settings)
{
	const char *region = aws_settings_variable(settings, "AWS_REGION");

	if (region == NULL)
		region = aws_settings_variable(settings, "AWS_DEFAULT_REGION");
	return region != NULL ? region : aws_settings_profile_key(settings, "region");
}

static const char *endpoint_variable(const char *service)
{
	if (strcmp(service, "sqs") == 0)
		return "AWS_ENDPOINT_URL_SQS";
	return strcmp(service, "sts") == 0 ? "AWS_ENDPOINT_URL_STS"
					   : "AWS_ENDPOINT_URL_AUTO_SCALING";
}

const char *aws_settings_endpoint(
	const struct aws_settings *settings, const char *service, const char **ret_origin)
{
	const char *services = aws_settings_profile_key(settings, "services");
	const char *origin = endpoint_variable(service);
	const char *url = aws_settings_variable(settings, origin);

	if (settings->ignores_endpoints)
		return NULL;
	if (url == NULL) {
		origin = "AWS_ENDPOINT_URL";
		url = aws_settings_variable(settings, origin);
	}
	if (url == NULL && services != NULL) {
		origin = settings->services_origin;
		url = shared_files_get_service(settings->files, services, service, "endpoint_url");
	}
	if (url == NULL) {
		origin = settings->profile_origin;
		url = aws_settings_profile_key(settings, "endpoint_url");
	}
	if (url != NULL && ret_origin != NULL)
		*ret_origin = origin;
	return url;
}

bool aws_settings_fips(const struct aws_settings *settings)
{
	return settings->fips;
}

bool aws_settings_dual_stack(const struct aws_settings *settings)
{
	return settings->dual_stack;
}

const char *aws_settings_ca_bundle(const struct aws_settings *settings)
{
	struct setting setting = {.variable = "AWS_CA_BUNDLE", .key = "ca_bundle"};

	return setting_find(settings, &setting) ? setting.value : NULL;
}

unsigned aws_settings_max_attempts(const struct aws_settings *settings)
{
	return settings->max_attempts;
}

bool aws_settings_metadata_disabled(const struct aws_settings *settings)
{
	return settings->metadata_disabled;
}

bool aws_settings_metadata_v1_allowed(const struct aws_settings *settings)
{
	return !settings->metadata_v1_disabled;
}

const char *aws_settings_metadata_endpoint(const struct aws_settings *settings)
{
	return settings->metadata_endpoint;
}
