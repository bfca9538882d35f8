#include "aws/credentials.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct environment {
	const char *(*lookup)(const char *name);
};

/* 0; ERR_NOT_FOUND when unset or empty; ERR_NO_CREDENTIALS when it does not fit. */
static int variable_read(const struct environment *environment, const char *name, char *out,
	size_t out_bytes, char *reason, size_t reason_bytes)
{
	const char *value = environment->lookup(name);
	size_t len = value != NULL ? strlen(value) : 0;

	if (len == 0)
		return ERR_NOT_FOUND;
	if (len >= out_bytes) {
		snprintf(reason, reason_bytes, "%s is longer than %zu bytes", name, out_bytes - 1);
		return ERR_NO_CREDENTIALS;
	}
	memcpy(out, value, len + 1);
	return 0;
}

static int environment_get(
	void *impl, struct credentials_set *ret_set, char *reason, size_t reason_bytes)
{
	const struct environment *environment = impl;
	int err = variable_read(environment, "AWS_ACCESS_KEY_ID", ret_set->access_key_id,
		sizeof(ret_set->access_key_id), reason, reason_bytes);

	if (err != 0)
		return err;
	err = variable_read(environment, "AWS_SECRET_ACCESS_KEY", ret_set->secret_access_key,
		sizeof(ret_set->secret_access_key), reason, reason_bytes);
	if (err == ERR_NOT_FOUND) {
		snprintf(reason, reason_bytes,
			"AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not");
		return ERR_NO_CREDENTIALS;
	}
	if (err != 0)
		return err;
	err = variable_read(environment, "AWS_SESSION_TOKEN", ret_set->session_token,
		sizeof(ret_set->session_token), reason, reason_bytes);
	return err == ERR_NOT_FOUND ? 0 : err;
}

int credentials_environment(
	const char *(*lookup)(const char *name), struct credentials_provider *ret_provider)
{
	struct environment *environment = calloc(1, sizeof(*environment));

	if (environment == NULL)
		return ERR_NOMEM;
	environment->lookup = lookup;
	*ret_provider = (struct credentials_provider){
		.name = "environment", .get = environment_get, .free = free, .impl = environment};
	return 0;
}
