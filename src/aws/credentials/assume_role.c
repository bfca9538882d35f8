#include "aws/credentials/provider.h"
#include "aws/sts.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is under way. */
enum phase {
	IDLE,
	SOURCE, /* the keys to assume the role with */
	STS,
};

struct assume_role {
	struct sts *sts;
	struct credentials_provider source;
	char *role_arn, *session_name, *external_id;
	unsigned duration_s;
	char made_up[STS_SESSION_NAME_SIZE]; /* one name a process, for those who read the trail */

	enum phase phase;
	bool again;		     /* the source has been asked a second time */
	struct credentials_set keys; /* the source's; wiped when done */
	struct query_call *call;
	struct credentials_set *ret_set;
	credentials_done *done;
	void *arg;
};

static void answered(void *arg, int err, const char *reason);
static void source_done(void *arg, int err, const char *reason);

static void reset(struct assume_role *assume)
{
	assume->phase = IDLE;
	assume->call = NULL;
	credentials_wipe(&assume->keys);
}

/* The source has keys. CREDENTIALS_LATER, or an error. */
static int sts_ask(struct assume_role *assume, char reason[CREDENTIALS_REASON_MAX])
{
	const struct sts_role role = {
		.role_arn = assume->role_arn,
		.session_name =
			assume->session_name != NULL ? assume->session_name : assume->made_up,
		.external_id = assume->external_id,
		.duration_s = assume->duration_s,
	};
	int err = sts_assume_role(assume->sts, &assume->keys, &role, assume->ret_set, answered,
		assume, &assume->call);

	credentials_wipe(&assume->keys);
	assume->phase = err == 0 ? STS : IDLE;
	if (err == 0)
		return CREDENTIALS_LATER;
	if (err == ERR_ARGUMENT) {
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"role %.256s: the keys of %s to assume it with cannot be signed with",
			assume->role_arn, assume->source.name);
		return ERR_NO_CREDENTIALS;
	}
	snprintf(reason, CREDENTIALS_REASON_MAX, "AssumeRole: %s", error_message(err));
	return err;
}

/* What the source's error is to those who wanted the role. Other providers are no answer to that.
 */
static int source_error(
	const struct assume_role *assume, int err, char reason[CREDENTIALS_REASON_MAX])
{
	if (err != ERR_NOT_FOUND)
		return err;
	snprintf(reason, CREDENTIALS_REASON_MAX, "role %.256s: no keys in %s to assume it with",
		assume->role_arn, assume->source.name);
	return ERR_NO_CREDENTIALS;
}

/* CREDENTIALS_LATER, or an error. */
static int source_ask(struct assume_role *assume, char reason[CREDENTIALS_REASON_MAX])
{
	int err;

	memset(&assume->keys, 0, sizeof(assume->keys));
	assume->phase = SOURCE;
	err = assume->source.get(assume->source.impl, &assume->keys, source_done, assume, reason);
	if (err == CREDENTIALS_LATER)
		return err;
	if (err == 0)
		return sts_ask(assume, reason);
	reset(assume);
	return source_error(assume, err, reason);
}

/* What follows in the loop; an error ends it. */
static void go_on(
	struct assume_role *assume, int (*step)(struct assume_role *assume, char reason[]))
{
	char reason[CREDENTIALS_REASON_MAX] = "";
	int err = step(assume, reason);

	if (err != CREDENTIALS_LATER)
		assume->done(assume->arg, err, reason);
}

static void source_done(void *arg, int err, const char *reason)
{
	struct assume_role *assume = arg;
	char missing[CREDENTIALS_REASON_MAX];

	if (err == 0) {
		go_on(assume, sts_ask);
		return;
	}
	reset(assume);
	if (err == ERR_NOT_FOUND) {
		err = source_error(assume, err, missing);
		reason = missing;
	}
	assume->done(assume->arg, err, reason);
}

static void answered(void *arg, int err, const char *reason)
{
	struct assume_role *assume = arg;

	reset(assume);
	if (err == ERR_EXPIRED_CREDENTIALS && !assume->again) {
		assume->again = true;
		go_on(assume, source_ask);
		return;
	}
	assume->done(assume->arg, err, reason);
}

static int assume_role_get(void *impl, struct credentials_set *ret_set, credentials_done *done,
	void *arg, char reason[CREDENTIALS_REASON_MAX])
{
	struct assume_role *assume = impl;

	assume->again = false;
	assume->ret_set = ret_set;
	assume->done = done;
	assume->arg = arg;
	return source_ask(assume, reason);
}

static void assume_role_cancel(void *impl)
{
	struct assume_role *assume = impl;

	if (assume->phase == SOURCE)
		assume->source.cancel(assume->source.impl);
	else if (assume->phase == STS)
		sts_cancel(assume->call);
	reset(assume);
}

static void assume_role_free(void *impl)
{
	struct assume_role *assume = impl;

	assume_role_cancel(assume);
	assume->source.free(assume->source.impl);
	free(assume->role_arn);
	free(assume->session_name);
	free(assume->external_id);
	free(assume);
}

/* *ret is NULL for NULL. */
static int copy(const char *text, char **ret)
{
	*ret = text != NULL ? strdup(text) : NULL;
	return text != NULL && *ret == NULL ? ERR_NOMEM : 0;
}

int credentials_assume_role(const struct credentials_context *context,
	const struct credentials_role *role, struct credentials_provider source,
	struct credentials_provider *ret_provider)
{
	struct assume_role *assume = calloc(1, sizeof(*assume));

	if (assume == NULL) {
		source.free(source.impl);
		return ERR_NOMEM;
	}
	assume->sts = context->sts;
	assume->source = source;
	assume->duration_s = role->duration_s;
	sts_session_name(context->clock, assume->made_up);
	if (copy(role->role_arn, &assume->role_arn) != 0 ||
		copy(role->session_name, &assume->session_name) != 0 ||
		copy(role->external_id, &assume->external_id) != 0) {
		assume_role_free(assume);
		return ERR_NOMEM;
	}
	*ret_provider = (struct credentials_provider){.name = "assumed role",
		.get = assume_role_get,
		.cancel = assume_role_cancel,
		.free = assume_role_free,
		.impl = assume};
	return 0;
}
