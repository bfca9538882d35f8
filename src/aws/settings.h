/*
 * What every AWS tool is told by its surroundings: the AWS_* variables, and the profile of the
 * shared files behind them. A variable wins over its key in the profile; an empty one is not set.
 * Source: AWS SDKs and Tools Reference Guide, "Settings reference".
 *
 * The files are read once, by aws_settings_load(). Credentials are not settings: their providers
 * read the files again each time (credentials/profile.c).
 */
#ifndef AWS_SETTINGS_H
#define AWS_SETTINGS_H

#include "base/buf.h"

#include <stdbool.h>

struct aws_settings;
struct shared_files;

/* getenv, or a test's. Strings live as long as the settings do. */
typedef const char *aws_lookup(const char *name);

/*
 * Reads AWS_CONFIG_FILE (~/.aws/config) and AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials);
 * files that do not exist are empty. 0; ERR_NOMEM; ERR_CONFIG with a sentence for people in
 * `error`: a file that cannot be read or does not parse (with its line), AWS_PROFILE naming a
 * profile that is in neither file, a switch that is neither true nor false, a number that is none.
 */
int aws_settings_load(aws_lookup *lookup, struct aws_settings **ret_settings, struct buf *error);
void aws_settings_free(struct aws_settings *settings); /* NULL is fine */

/* The variable, NULL when unset or empty. */
const char *aws_settings_variable(const struct aws_settings *settings, const char *name);
/* The key in the profile in force, NULL when it is not there. */
const char *aws_settings_profile_key(const struct aws_settings *settings, const char *key);
const char *aws_settings_profile(const struct aws_settings *settings);	 /* its name: "default" */
bool aws_settings_profile_is_named(const struct aws_settings *settings); /* by AWS_PROFILE */
aws_lookup *aws_settings_lookup(const struct aws_settings *settings);

/* AWS_REGION, AWS_DEFAULT_REGION, `region`; NULL: none. */
const char *aws_settings_region(const struct aws_settings *settings);
/*
 * For service id "sqs", "sts" or "auto_scaling": AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL, then
 * `endpoint_url` of the service in the profile's services section, then the profile's own
 * `endpoint_url`; NULL: none, or AWS_IGNORE_CONFIGURED_ENDPOINT_URLS
 * (ignore_configured_endpoint_urls) is true. ret_origin (may be NULL) is set to what named it
 * ("AWS_ENDPOINT_URL_SQS", "profile work"), for messages.
 */
const char *aws_settings_endpoint(
	const struct aws_settings *settings, const char *service, const char **ret_origin);
bool aws_settings_fips(const struct aws_settings *settings);	   /* AWS_USE_FIPS_ENDPOINT */
bool aws_settings_dual_stack(const struct aws_settings *settings); /* AWS_USE_DUALSTACK_ENDPOINT */
const char *aws_settings_ca_bundle(const struct aws_settings *settings); /* AWS_CA_BUNDLE; NULL */
/* AWS_MAX_ATTEMPTS, max_attempts [3]; 1-100. */
unsigned aws_settings_max_attempts(const struct aws_settings *settings);

/* AWS_EC2_METADATA_DISABLED */
bool aws_settings_metadata_disabled(const struct aws_settings *settings);
/*
 * IMDSv1 may be asked when v2 gives no token: only when AWS_EC2_METADATA_V1_DISABLED
 * (ec2_metadata_v1_disabled) is there and false.
 */
bool aws_settings_metadata_v1_allowed(const struct aws_settings *settings);
/*
 * AWS_EC2_METADATA_SERVICE_ENDPOINT (ec2_metadata_service_endpoint), else by
 * AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE (IPv4 or IPv6): "http://169.254.169.254" or
 * "http://[fd00:ec2::254]". Without a '/' at its end.
 */
const char *aws_settings_metadata_endpoint(const struct aws_settings *settings);

#endif
