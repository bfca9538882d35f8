#include "aws/sts_codec.h"

#include <stdio.h>
#include <string.h>

#define FIXED_BYTES 256 /* names, version, duration */

static void value_append(struct buf *form, const char *value)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-._~";

	for (; *value != '\0'; value++) {
		if (strchr(unreserved, *value) != NULL)
			buf_append_char(form, *value);
		else
			buf_appendf(form, "%%%02X", (unsigned)(unsigned char)*value);
	}
}

static void pair_append(struct buf *form, const char *name, const char *value)
{
	buf_appendf(form, "&%s=", name);
	value_append(form, value);
}

static void form_begin(struct buf *form, enum sts_operation operation, size_t value_bytes)
{
	buf_reserve(form, FIXED_BYTES + 3 * value_bytes);
	buf_appendf(form, "Action=%s&Version=2011-06-15", sts_operation_name(operation));
}

static size_t role_bytes(const struct sts_role *role)
{
	return strlen(role->role_arn) + strlen(role->session_name) +
	       (role->external_id != NULL ? strlen(role->external_id) : 0);
}

static void role_append(struct buf *form, const struct sts_role *role)
{
	pair_append(form, "RoleArn", role->role_arn);
	pair_append(form, "RoleSessionName", role->session_name);
	if (role->duration_s != 0)
		buf_appendf(form, "&DurationSeconds=%u", role->duration_s);
}

int sts_form_assume_role(struct buf *form, const struct sts_role *role)
{
	form_begin(form, STS_ASSUME_ROLE, role_bytes(role));
	role_append(form, role);
	if (role->external_id != NULL)
		pair_append(form, "ExternalId", role->external_id);
	return form->err;
}

int sts_form_web_identity(
	struct buf *form, const struct sts_role *role, const char *token, size_t *ret_token_at)
{
	form_begin(form, STS_ASSUME_WITH_WEB_IDENTITY, role_bytes(role) + strlen(token));
	role_append(form, role);
	buf_append_string(form, "&WebIdentityToken=");
	*ret_token_at = form->len;
	value_append(form, token);
	return form->err;
}

int sts_form_identity(struct buf *form)
{
	form_begin(form, STS_GET_CALLER_IDENTITY, 0);
	return form->err;
}
