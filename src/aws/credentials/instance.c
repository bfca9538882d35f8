/*
 * The role of the EC2 instance. Source: EC2 user guide, "Retrieve security credentials from
 * instance metadata". The extended paths, which newer services have, add the account's id.
 */
#include "aws/credentials/provider.h"
#include "aws/imds.h"
#include "base/json.h"
#include "bunshin/error.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXTENDED_PATH "/latest/meta-data/iam/security-credentials-extended/"
#define PLAIN_PATH "/latest/meta-data/iam/security-credentials/"
#define ROLE_MAX 64
#define CODE_MAX 64

struct instance {
	struct imds *imds;
	struct imds_call *call; /* NULL: no get() is under way */
	struct credentials_set *ret_set;
	credentials_done *done;
	void *arg;
	char role[ROLE_MAX + 1];
	bool plain;	   /* the extended paths are not there */
	bool listed_again; /* the role had gone between the two requests */
};

static void instance_finish(struct instance *instance, int err, const char *reason)
{
	if (err != 0)
		credentials_wipe(instance->ret_set);
	instance->done(instance->arg, err, reason);
}

/* Asks for the list of roles, or for the keys of the one in it. */
static int instance_ask(struct instance *instance, const char *role, imds_done *done)
{
	char path[sizeof(EXTENDED_PATH) + ROLE_MAX];

	snprintf(path, sizeof(path), "%s%s", instance->plain ? PLAIN_PATH : EXTENDED_PATH, role);
	return imds_get(instance->imds, path, done, instance, &instance->call);
}

static void instance_ask_or_finish(struct instance *instance, const char *role, imds_done *done)
{
	int err = instance_ask(instance, role, done);

	if (err != 0)
		instance_finish(instance, err, error_message(err));
}

/* IAM's names of roles: [\w+=,.@-]{1,64}. Only the first line is one, and there is no other. */
static bool role_take(struct instance *instance, const char *text)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_+=,.@-";
	size_t len = strcspn(text, "\r\n");

	if (len == 0 || len > ROLE_MAX || strspn(text, letters) != len)
		return false;
	memcpy(instance->role, text, len);
	instance->role[len] = '\0';
	return true;
}

/* The service says Success, or why there are no keys: with HTTP 200 too. */
static int code_check(const struct instance *instance, const char *text, size_t len,
	char reason[CREDENTIALS_REASON_MAX])
{
	struct json json = {0};
	const char *code = NULL;
	int err = json_parse(&json, text, len);

	if (err == 0)
		code = json_text(json_member(json_root(&json), "Code"));
	if (err == ERR_NOMEM) {
		snprintf(reason, CREDENTIALS_REASON_MAX, "%s", error_message(err));
	} else if (code != NULL && strcmp(code, "Success") != 0) {
		size_t printable = 0;

		while (printable < CODE_MAX && code[printable] > ' ' && code[printable] <= '~')
			printable++;
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"the instance metadata service has no keys for role %s: %.*s",
			instance->role, (int)printable, code);
		err = ERR_UNAVAILABLE;
	} else {
		err = 0; /* what is no JSON, credentials_read_json() tells */
	}
	if (json.strings != NULL)
		OPENSSL_cleanse(json.strings, json.strings_capacity);
	json_free(&json);
	return err;
}

static int keys_read(
	struct instance *instance, const char *body, char reason[CREDENTIALS_REASON_MAX])
{
	struct credentials_set *set = instance->ret_set;
	char wrong[CREDENTIALS_REASON_MAX / 2] = "";
	size_t len = strlen(body);
	int err = code_check(instance, body, len, reason);

	if (err != 0)
		return err;
	err = credentials_read_json(body, len, set, wrong, sizeof(wrong));
	if (err != 0)
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"the instance metadata service's answer for role %s: %s", instance->role,
			wrong);
	snprintf(set->principal, sizeof(set->principal), "instance role %s", instance->role);
	return err;
}

static void on_roles(void *arg, int err, int status, const char *body, const char *reason);

static void on_keys(void *arg, int err, int status, const char *body, const char *reason)
{
	struct instance *instance = arg;
	char wrong[CREDENTIALS_REASON_MAX] = "";

	instance->call = NULL;
	if (err == ERR_NOT_FOUND && status == 404) {
		if (!instance->listed_again) {
			instance->listed_again = true;
			instance_ask_or_finish(instance, "", on_roles);
			return;
		}
		snprintf(wrong, sizeof(wrong),
			"the instance metadata service has no keys for role %s (HTTP 404)",
			instance->role);
		instance_finish(instance, ERR_UNAVAILABLE, wrong);
		return;
	}
	if (err != 0) {
		instance_finish(instance, err, reason);
		return;
	}
	err = keys_read(instance, body, wrong);
	instance_finish(instance, err, wrong);
}

static void on_roles(void *arg, int err, int status, const char *body, const char *reason)
{
	struct instance *instance = arg;
	bool missing = err == ERR_NOT_FOUND && status == 404;

	instance->call = NULL;
	if (missing && !instance->plain) {
		instance->plain = true;
		instance_ask_or_finish(instance, "", on_roles);
	} else if (missing || (err == 0 && body[strspn(body, "\r\n")] == '\0')) {
		instance_finish(instance, ERR_NO_CREDENTIALS,
			"the EC2 instance has no role: attach an instance profile with one to it");
	} else if (err != 0) {
		instance_finish(instance, err, reason);
	} else if (!role_take(instance, body)) {
		instance_finish(instance, ERR_PROTOCOL,
			"the instance metadata service names a role that is no role's name");
	} else {
		instance_ask_or_finish(instance, instance->role, on_keys);
	}
}

static int instance_get(void *impl, struct credentials_set *ret_set, credentials_done *done,
	void *arg, char reason[CREDENTIALS_REASON_MAX])
{
	struct instance *instance = impl;
	int err;

	instance->ret_set = ret_set;
	instance->done = done;
	instance->arg = arg;
	instance->plain = false;
	instance->listed_again = false;
	err = instance_ask(instance, "", on_roles);
	if (err == 0)
		return CREDENTIALS_LATER;
	snprintf(reason, CREDENTIALS_REASON_MAX, "%s", error_message(err));
	return err;
}

static void instance_cancel(void *impl)
{
	struct instance *instance = impl;

	if (instance->call != NULL)
		imds_cancel(instance->call);
	instance->call = NULL;
}

static void instance_free(void *impl)
{
	struct instance *instance = impl;

	imds_free(instance->imds);
	free(instance);
}

int credentials_instance(
	const struct credentials_context *context, struct credentials_provider *ret_provider)
{
	struct instance *instance = calloc(1, sizeof(*instance));

	if (instance == NULL)
		return ERR_NOMEM;
	if (imds_new(context, &instance->imds) != 0) {
		free(instance);
		return ERR_NOMEM;
	}
	*ret_provider = (struct credentials_provider){
		.name = "instance metadata",
		.get = instance_get,
		.cancel = instance_cancel,
		.free = instance_free,
		.impl = instance,
		.outlives = true,
	};
	return 0;
}
