/*
 * destinations[].auth: which keys belong to which type, and whether a secret or a key is one.
 */
#include "base/log.h"
#include "bunshin/error.h"
#include "config/destination.h"
#include "config/document.h"
#include "config/file.h"
#include "config/quote.h"
#include "signing/google.h"
#include "signing/jwt.h"
#include "signing/webhook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PREFIX "destinations[].auth."
/* Of hmac, as text. */
#define SECRET_MIN_BYTES 8
#define SECRET_MAX_BYTES 1024
#define KEY_FILE_MAX_BYTES ((size_t)64 << 10)

_Static_assert(CONFIG_SECRETS_MAX == WEBHOOK_SECRETS_MAX, "as many as can sign");

/* The types that a key is for, as bits; what is in no row is for all. */
#define FOR(type) (1u << (type))

struct auth_key {
	const char *name;
	unsigned types;
	unsigned required; /* of them */
};

static const struct auth_key keys[] = {
	{"secrets", FOR(CONFIG_AUTH_STANDARD_WEBHOOKS) | FOR(CONFIG_AUTH_HMAC),
		FOR(CONFIG_AUTH_STANDARD_WEBHOOKS) | FOR(CONFIG_AUTH_HMAC)},
	{"header", FOR(CONFIG_AUTH_HMAC), FOR(CONFIG_AUTH_HMAC)},
	{"algorithm", FOR(CONFIG_AUTH_HMAC), 0},
	{"encoding", FOR(CONFIG_AUTH_HMAC), 0},
	{"prefix", FOR(CONFIG_AUTH_HMAC), 0},
	{"signed", FOR(CONFIG_AUTH_HMAC), 0},
	{"timestamp_header", FOR(CONFIG_AUTH_HMAC), 0},
	{"key_file", FOR(CONFIG_AUTH_APNS), FOR(CONFIG_AUTH_APNS)},
	{"key_id", FOR(CONFIG_AUTH_APNS), FOR(CONFIG_AUTH_APNS)},
	{"team_id", FOR(CONFIG_AUTH_APNS), FOR(CONFIG_AUTH_APNS)},
	{"renew", FOR(CONFIG_AUTH_APNS), 0},
	{"service_account_file", FOR(CONFIG_AUTH_GOOGLE), FOR(CONFIG_AUTH_GOOGLE)},
	{"scope", FOR(CONFIG_AUTH_GOOGLE), 0},
	{"service", FOR(CONFIG_AUTH_AWS), FOR(CONFIG_AUTH_AWS)},
	{"region", FOR(CONFIG_AUTH_AWS), 0},
};
#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

static const struct option *option_of(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), PREFIX "%s", name);
	return option_find(path);
}

static struct where where_in(const struct scope *scope, const char *name)
{
	return where_of(scope->wheres, option_of(name));
}

/* "destinations[0].auth.NAME: what", where the key stands, or the type when it does not. */
static int report(
	struct reader *reader, const struct scope *scope, const char *name, const char *what)
{
	struct where where = where_in(scope, name);
	char path[READER_PATH_MAX];

	if (!where_is_given(where))
		where = where_in(scope, "type");
	snprintf(path, sizeof(path), "%sauth.%s", scope->shown, name);
	return reader_report(reader, where, path, "%s", what);
}

/* ---- the secrets themselves */

static int add_secret(struct reader *reader, struct config_secrets *secrets, const char *path,
	const yaml_node_t *node)
{
	struct substitution value = {0};
	const char *text;
	bool fits;
	int err = reader_substitute(reader, node, path, "a secret", &value, &fits);

	if (err != 0 || !fits)
		goto out;
	text = buf_string(&value.text);
	/* ${NAME:-} of a secret that is not there, or not any more. */
	if (text[0] == '\0')
		goto out;
	if (strcmp(text, SUBSTITUTE_HIDDEN) != 0) {
		err = log_add_secret(text);
		if (err == 0 &&
			strncmp(text, WEBHOOK_SECRET_PREFIX, strlen(WEBHOOK_SECRET_PREFIX)) == 0)
			err = log_add_secret(text + strlen(WEBHOOK_SECRET_PREFIX));
	}
	if (err == 0) {
		secrets->rows[secrets->count] = strdup(text);
		if (secrets->rows[secrets->count] == NULL)
			err = ERR_NOMEM;
		else
			secrets->count++;
	}
out:
	substitution_free(&value);
	return err;
}

int destination_read_secrets(struct reader *reader, const struct scope *scope, const char *path,
	const struct option *option, const yaml_node_t *node)
{
	struct config_secrets *secrets =
		(struct config_secrets *)(void *)((char *)scope->base + option->offset);
	char item[READER_PATH_MAX + 24];
	size_t count;
	int err = 0;

	if (document_is_null(node))
		return 0;
	if (node->type == YAML_SCALAR_NODE)
		return add_secret(reader, secrets, path, node);
	if (node->type != YAML_SEQUENCE_NODE)
		return reader_report(reader, reader_where(node), path,
			"expected a list of secrets, got %s", document_kind(node));
	count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	if (count > CONFIG_SECRETS_MAX)
		return reader_report(reader, reader_where(node), path,
			"expected at most %d, got %zu", CONFIG_SECRETS_MAX, count);
	for (size_t i = 0; i < count && err == 0; i++) {
		snprintf(item, sizeof(item), "%s[%zu]", path, i);
		err = add_secret(reader, secrets, item, reader_item(reader, node, i));
	}
	return err;
}

static const char *webhook_secret_problem(const char *text)
{
	unsigned char key[WEBHOOK_SECRET_BYTES_MAX];
	size_t bytes;
	int err = webhook_secret_decode(text, key, &bytes);

	explicit_bzero(key, sizeof(key));
	if (err == ERR_LIMIT)
		return "expected whsec_ and the base64 of 24 to 64 bytes, got base64 of another "
		       "length";
	return err != 0 ? "expected whsec_ and the base64 of 24 to 64 bytes, got something that is "
			  "no base64"
			: NULL;
}

static const char *plain_secret_problem(const char *text)
{
	size_t len = strlen(text);

	return len < SECRET_MIN_BYTES || len > SECRET_MAX_BYTES
		       ? "expected a secret of 8 to 1024 bytes, got one of another length"
		       : NULL;
}

static int check_secrets(struct reader *reader, const struct scope *scope)
{
	const struct config_destination *destination = scope->base;
	const struct config_auth *auth = &destination->auth;
	int err = 0;

	/* Whoever has none of the secrets has something else in their place. */
	if (reader->environment->missing != NULL ||
		(auth->type != CONFIG_AUTH_STANDARD_WEBHOOKS && auth->type != CONFIG_AUTH_HMAC))
		return 0;
	/* All that are given are empty; what was refused for another reason has been reported. */
	if (auth->secrets.count == 0 && reader->error_count == 0)
		return report(reader, scope, "secrets", "empty; nothing would be signed");
	for (size_t i = 0; i < auth->secrets.count && err == 0; i++) {
		const char *text = auth->secrets.rows[i], *problem;
		char name[40];
		char path[READER_PATH_MAX];

		if (strcmp(text, SUBSTITUTE_HIDDEN) == 0)
			continue;
		problem = auth->type == CONFIG_AUTH_HMAC ? plain_secret_problem(text)
							 : webhook_secret_problem(text);
		if (problem == NULL)
			continue;
		snprintf(name, sizeof(name), "secrets[%zu]", i);
		snprintf(path, sizeof(path), "%sauth.%s", scope->shown, name);
		err = reader_report(reader, where_in(scope, "secrets"), path, "%s", problem);
	}
	return err;
}

/* ---- together */

/* Not as null, an empty list or its default, which is what config_print() writes of all keys. */
static bool is_given(const struct scope *scope, const char *name)
{
	const struct option *option = option_of(name);
	struct where where = where_in(scope, name);
	const char *text;

	if (!where_is_given(where) || document_is_null(where.node))
		return false;
	if (where.node->type == YAML_SEQUENCE_NODE)
		return where.node->data.sequence.items.top != where.node->data.sequence.items.start;
	text = document_text(where.node);
	return text == NULL || option->fallback == NULL || strcmp(text, option->fallback) != 0;
}

const char *config_auth_type_name(enum config_auth_type type)
{
	static const char *const names[] = {
		[CONFIG_AUTH_NONE] = "none",
		[CONFIG_AUTH_STANDARD_WEBHOOKS] = "standard_webhooks",
		[CONFIG_AUTH_HMAC] = "hmac",
		[CONFIG_AUTH_APNS] = "apns",
		[CONFIG_AUTH_GOOGLE] = "google",
		[CONFIG_AUTH_AWS] = "aws",
	};

	return names[type];
}

static int check_keys(struct reader *reader, const struct scope *scope, enum config_auth_type type)
{
	char what[128];
	int err = 0;

	for (size_t i = 0; i < KEY_COUNT && err == 0; i++) {
		const struct auth_key *key = &keys[i];
		bool given = is_given(scope, key->name);

		if (given && !(key->types & FOR(type))) {
			snprintf(what, sizeof(what), "does not belong to auth.type %s",
				config_auth_type_name(type));
			err = report(reader, scope, key->name, what);
		} else if (!given && (key->required & FOR(type))) {
			snprintf(what, sizeof(what), "missing; auth.type %s needs it",
				config_auth_type_name(type));
			err = report(reader, scope, key->name, what);
		}
	}
	return err;
}

/* A header that signing makes must not be there already, nor be the client's own. */
static int check_header(
	struct reader *reader, const struct scope *scope, const char *key, const char *header)
{
	const char *problem = destination_header_problem(header);
	char what[256];

	if (problem == NULL && !destination_has_header(scope->base, header))
		return 0;
	if (problem != NULL)
		snprintf(what, sizeof(what), "\"%s\" is %s", header, problem);
	else
		snprintf(what, sizeof(what), "makes the header %s, which request.headers has too",
			header);
	return report(reader, scope, key, what);
}

/* The headers that a type makes by itself, up to a NULL. */
static int check_made_headers(
	struct reader *reader, const struct scope *scope, enum config_auth_type type)
{
	static const char *const made[][4] = {
		[CONFIG_AUTH_STANDARD_WEBHOOKS] = {"webhook-id", "webhook-timestamp",
			"webhook-signature"},
		[CONFIG_AUTH_HMAC] = {NULL},
		[CONFIG_AUTH_APNS] = {"authorization"},
		[CONFIG_AUTH_GOOGLE] = {"authorization"},
		[CONFIG_AUTH_AWS] = {"Authorization", "X-Amz-Date", "X-Amz-Security-Token"},
	};
	int err = 0;

	for (size_t i = 0; made[type][i] != NULL && err == 0; i++)
		err = check_header(reader, scope, "type", made[type][i]);
	return err;
}

static int check_hmac(struct reader *reader, const struct scope *scope)
{
	const struct config_destination *destination = scope->base;
	const struct config_auth *auth = &destination->auth;
	int err = 0;

	if (auth->header != NULL)
		err = check_header(reader, scope, "header", auth->header);
	if (err == 0 && auth->timestamp_header != NULL)
		err = check_header(reader, scope, "timestamp_header", auth->timestamp_header);
	if (err == 0 && auth->signed_parts == CONFIG_AUTH_TIMESTAMP_BODY &&
		auth->timestamp_header == NULL)
		err = report(reader, scope, "timestamp_header",
			"missing; with auth.signed timestamp.body nobody could check the "
			"signature without the time");
	if (err == 0 && auth->header != NULL && auth->timestamp_header != NULL &&
		strcasecmp(auth->header, auth->timestamp_header) == 0)
		err = report(reader, scope, "timestamp_header", "the same as auth.header");
	return err;
}

/* "PATH" and what is wrong with it. */
static int report_file(struct reader *reader, const struct scope *scope, const char *key,
	const char *path, const char *problem)
{
	struct buf what = BUF_INIT(1024);
	int err = quote_append(&what, path, strlen(path));

	buf_appendf(&what, " %s", problem);
	err = err == ERR_NOMEM ? err : report(reader, scope, key, buf_string(&what));
	buf_free(&what);
	return err;
}

/* Makes the file's content something; ERR_SYNTAX with what is wrong in *ret_problem. */
typedef int take_file(
	struct config_auth *auth, const struct buf *content, const char **ret_problem);

static int take_key(struct config_auth *auth, const struct buf *content, const char **ret_problem)
{
	int err = jwt_key_read(JWT_ES256, buf_string(content), content->len, &auth->key);

	*ret_problem = err == ERR_ARGUMENT ? "holds a key that is not for P-256 (ES256)"
					   : "holds no private key in PEM without a passphrase";
	return err == ERR_ARGUMENT ? ERR_SYNTAX : err;
}

static int take_account(
	struct config_auth *auth, const struct buf *content, const char **ret_problem)
{
	return google_account_read(buf_string(content), content->len, &auth->account, ret_problem);
}

/* What is wrong with the file is reported at its option. */
static int read_key_file(struct reader *reader, const struct scope *scope, const char *option,
	const char *path, take_file *take)
{
	struct config_destination *destination = scope->base;
	struct buf content = BUF_INIT(KEY_FILE_MAX_BYTES);
	const char *problem = "";
	char words[256];
	int err;

	if (reader->environment->missing != NULL || path == NULL)
		return 0;
	/* So that it never moves, and all of it is wiped. */
	err = buf_reserve(&content, KEY_FILE_MAX_BYTES - 1) != NULL ? 0 : ERR_NOMEM;
	if (err == 0)
		err = file_read(path, true, &content);
	if (err == ERR_IO) {
		snprintf(words, sizeof(words), "cannot be read: %s", strerror(errno));
		problem = words;
	} else if (err == ERR_TOO_LARGE) {
		problem = "is larger than 64KiB";
	} else if (err == 0) {
		err = take(&destination->auth, &content, &problem);
	}
	buf_wipe(&content);
	return err == 0 || err == ERR_NOMEM ? err
					    : report_file(reader, scope, option, path, problem);
}

int destination_check_auth(struct reader *reader, const struct scope *scope)
{
	const struct config_destination *destination = scope->base;
	enum config_auth_type type = destination->auth.type;
	size_t errors = reader->error_count;
	int err = check_keys(reader, scope, type);

	if (err != 0 || reader->error_count != errors || type == CONFIG_AUTH_NONE)
		return err;
	err = check_secrets(reader, scope);
	if (err == 0)
		err = check_made_headers(reader, scope, type);
	if (err == 0 && type == CONFIG_AUTH_HMAC)
		err = check_hmac(reader, scope);
	if (err == 0 && type == CONFIG_AUTH_APNS)
		err = read_key_file(
			reader, scope, "key_file", destination->auth.key_file, take_key);
	if (err == 0 && type == CONFIG_AUTH_GOOGLE)
		err = read_key_file(reader, scope, "service_account_file",
			destination->auth.service_account_file, take_account);
	return err;
}

void destination_free_auth(struct config_auth *auth)
{
	for (size_t i = 0; i < auth->secrets.count; i++) {
		explicit_bzero(auth->secrets.rows[i], strlen(auth->secrets.rows[i]));
		free(auth->secrets.rows[i]);
	}
	free(auth->header);
	free(auth->prefix);
	free(auth->timestamp_header);
	free(auth->key_file);
	free(auth->key_id);
	free(auth->team_id);
	free(auth->service_account_file);
	free(auth->scope);
	free(auth->service);
	free(auth->region);
	jwt_key_free(auth->key);
	google_account_free(auth->account);
}
