#include "aws/sts_codec.h"

#include <string.h>

#define VERSION "2011-06-15"

static void form_begin(struct buf *form, enum sts_operation operation, size_t value_bytes)
{
	query_form_begin(form, sts_operation_name(operation), VERSION, value_bytes);
}

static size_t role_bytes(const struct sts_role *role)
{
	return strlen(role->role_arn) + strlen(role->session_name) +
	       (role->external_id != NULL ? strlen(role->external_id) : 0);
}

static void role_append(struct buf *form, const struct sts_role *role)
{
	query_form_pair(form, "RoleArn", role->role_arn);
	query_form_pair(form, "RoleSessionName", role->session_name);
	if (role->duration_s != 0)
		buf_appendf(form, "&DurationSeconds=%u", role->duration_s);
}

int sts_form_assume_role(struct buf *form, const struct sts_role *role)
{
	form_begin(form, STS_ASSUME_ROLE, role_bytes(role));
	role_append(form, role);
	if (role->external_id != NULL)
		query_form_pair(form, "ExternalId", role->external_id);
	return form->err;
}

int sts_form_web_identity(
	struct buf *form, const struct sts_role *role, const char *token, size_t *ret_token_at)
{
	form_begin(form, STS_ASSUME_WITH_WEB_IDENTITY, role_bytes(role) + strlen(token));
	role_append(form, role);
	buf_append_string(form, "&WebIdentityToken=");
	*ret_token_at = form->len;
	query_form_value(form, token);
	return form->err;
}

int sts_form_identity(struct buf *form)
{
	form_begin(form, STS_GET_CALLER_IDENTITY, 0);
	return form->err;
}
