#include "aws/credentials/provider.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>

struct environment {
	aws_lookup *lookup;
};

/* 0; ERR_NOT_FOUND when unset or empty; ERR_NO_CREDENTIALS when it does not fit. */
static int variable_read(const struct environment *environment, const char *name, char *field,
	size_t field_bytes, char reason[CREDENTIALS_REASON_MAX])
{
	const char *value = environment->lookup(name);

	if (value == NULL || value[0] == '\0')
		return ERR_NOT_FOUND;
	if (credentials_copy(field, field_bytes, value))
		return 0;
	snprintf(reason, CREDENTIALS_REASON_MAX, "%s is longer than %zu bytes", name,
		field_bytes - 1);
	return ERR_NO_CREDENTIALS;
}

static int environment_get(void *impl, struct credentials_set *ret_set, credentials_done *done,
	void *arg, char reason[CREDENTIALS_REASON_MAX])
{
	const struct environment *environment = impl;
	int err = variable_read(environment, "AWS_ACCESS_KEY_ID", ret_set->access_key_id,
		sizeof(ret_set->access_key_id), reason);

	if (err != 0)
		return err;
	err = variable_read(environment, "AWS_SECRET_ACCESS_KEY", ret_set->secret_access_key,
		sizeof(ret_set->secret_access_key), reason);
	if (err == ERR_NOT_FOUND) {
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not");
		return ERR_NO_CREDENTIALS;
	}
	if (err != 0)
		return err;
	err = variable_read(environment, "AWS_SESSION_TOKEN", ret_set->session_token,
		sizeof(ret_set->session_token), reason);
	return err == ERR_NOT_FOUND ? 0 : err;
}

int credentials_environment(
	const struct credentials_context *context, struct credentials_provider *ret_provider)
{
	struct environment *environment = calloc(1, sizeof(*environment));

	if (environment == NULL)
		return ERR_NOMEM;
	environment->lookup = aws_settings_lookup(context->settings);
	*ret_provider = (struct credentials_provider){
		.name = "environment", .get = environment_get, .free = free, .impl = environment};
	return 0;
}
