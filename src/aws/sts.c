#include "aws/sts.h"

#include "aws/query_call.h"
#include "aws/sts_codec.h"
#include "bunshin/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct sts {
	struct query_client *client;
};

void sts_session_name(struct clock clock, char ret_name[STS_SESSION_NAME_SIZE])
{
	snprintf(ret_name, STS_SESSION_NAME_SIZE, "bunshin-%016" PRIx64, clock_random(clock));
}

int sts_new(uv_loop_t *loop, struct clock clock, const struct sts_options *options,
	struct sts **ret_sts)
{
	const struct query_client_options query = {
		.service = "sts",
		.name = "STS",
		.endpoint = options->endpoint,
		.region = options->region,
		.ca_file = options->ca_file,
		.timeout_ms = options->timeout_ms,
	};
	struct sts *sts = calloc(1, sizeof(*sts));
	int err;

	if (sts == NULL)
		return ERR_NOMEM;
	err = query_client_new(loop, clock, &query, &sts->client);
	if (err != 0) {
		free(sts);
		return err;
	}
	*ret_sts = sts;
	return 0;
}

void sts_close(struct sts *sts)
{
	if (sts == NULL)
		return;
	query_client_close(sts->client);
	free(sts);
}

void sts_cancel(struct query_call *call)
{
	query_cancel(call);
}

/* ---- the operations */

static int read_role(void *result, const char *text, size_t len, char problem[XML_PROBLEM_SIZE])
{
	return sts_answer_credentials(STS_ASSUME_ROLE, text, len, result, problem);
}

static int read_web_identity(
	void *result, const char *text, size_t len, char problem[XML_PROBLEM_SIZE])
{
	return sts_answer_credentials(STS_ASSUME_WITH_WEB_IDENTITY, text, len, result, problem);
}

static int read_identity(void *result, const char *text, size_t len, char problem[XML_PROBLEM_SIZE])
{
	return sts_answer_identity(text, len, result, problem);
}

static const struct query_operation assume_role = {
	.name = "AssumeRole",
	.codes = sts_codes,
	.code_count = STS_CODES,
	.is_signed = true,
	.read = read_role,
};
static const struct query_operation assume_role_with_web_identity = {
	.name = "AssumeRoleWithWebIdentity",
	.codes = sts_codes,
	.code_count = STS_CODES,
	.repeated = "InvalidIdentityToken",
	.read = read_web_identity,
};
static const struct query_operation get_caller_identity = {
	.name = "GetCallerIdentity",
	.codes = sts_codes,
	.code_count = STS_CODES,
	.is_signed = true,
	.read = read_identity,
};

int sts_assume_role(struct sts *sts, const struct credentials_set *keys,
	const struct sts_role *role, struct credentials_set *ret_set, sts_done *done, void *arg,
	struct query_call **ret_call)
{
	struct query_call *call;
	int err = query_call_new(sts->client, &assume_role, ret_set, done, arg, &call);

	if (err != 0)
		return err;
	err = sts_form_assume_role(query_call_form(call), role);
	return query_call_send(call, keys, err, ret_call);
}

int sts_assume_role_with_web_identity(struct sts *sts, const struct sts_role *role,
	const char *token, struct credentials_set *ret_set, sts_done *done, void *arg,
	struct query_call **ret_call)
{
	struct query_call *call;
	size_t token_at = 0;
	int err = query_call_new(
		sts->client, &assume_role_with_web_identity, ret_set, done, arg, &call);

	if (err != 0)
		return err;
	err = sts_form_web_identity(query_call_form(call), role, token, &token_at);
	query_call_hide_from(call, token_at);
	return query_call_send(call, NULL, err, ret_call);
}

int sts_get_caller_identity(struct sts *sts, const struct credentials_set *keys,
	struct sts_identity *ret_identity, sts_done *done, void *arg, struct query_call **ret_call)
{
	struct query_call *call;
	int err = query_call_new(sts->client, &get_caller_identity, ret_identity, done, arg, &call);

	if (err != 0)
		return err;
	err = sts_form_identity(query_call_form(call));
	return query_call_send(call, keys, err, ret_call);
}
