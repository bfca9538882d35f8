#include "signing/google.h"

#include "base/json.h"
#include "base/sha256.h"
#include "bunshin/error.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIELD_MAX_BYTES 1024 /* of a file's texts */
#define TEXT_MAX 8192
#define WORDS_MAX 200 /* of an error of Google's */
#define FORM_START "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static bool is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

static bool is_token_uri(const char *uri)
{
	return is_printable(uri) && strchr(uri, '@') == NULL &&
	       ((starts_with(uri, "https://") && uri[strlen("https://")] != '\0') ||
		       starts_with(uri, "http://127.0.0.1:") ||
		       starts_with(uri, "http://localhost:") || starts_with(uri, "http://[::1]:"));
}

/* NULL: none, empty, too long or not printable. */
static const char *field(const struct json_value *root, const char *name)
{
	const char *text = json_text(json_member(root, name));

	return text != NULL && text[0] != '\0' && strlen(text) <= FIELD_MAX_BYTES &&
			       is_printable(text)
		       ? text
		       : NULL;
}

static int take_key(
	const struct json_value *root, struct google_account *account, const char **ret_problem)
{
	const char *pem = json_text(json_member(root, "private_key"));
	int err =
		pem == NULL ? ERR_SYNTAX : jwt_key_read(JWT_RS256, pem, strlen(pem), &account->key);

	if (err == ERR_SYNTAX)
		*ret_problem = "has no private_key in PEM";
	else if (err == ERR_ARGUMENT)
		*ret_problem = "has a private_key that is not RSA of 2048 to 8192 bits (RS256)";
	return err == ERR_ARGUMENT ? ERR_SYNTAX : err;
}

static int take_fields(
	const struct json_value *root, struct google_account *account, const char **ret_problem)
{
	const char *type = field(root, "type"), *email = field(root, "client_email");
	const char *key_id = field(root, "private_key_id"), *uri = field(root, "token_uri");

	*ret_problem = root == NULL || root->kind != JSON_OBJECT ? "holds no JSON object"
		       : type == NULL || strcmp(type, "service_account") != 0
			       ? "is not of the type service_account"
		       : email == NULL			   ? "has no client_email"
		       : uri == NULL || !is_token_uri(uri) ? "has no token_uri that is https"
							   : NULL;
	if (*ret_problem != NULL)
		return ERR_SYNTAX;
	account->client_email = strdup(email);
	account->key_id = strdup(key_id == NULL ? "" : key_id);
	account->token_uri = strdup(uri);
	if (account->client_email == NULL || account->key_id == NULL || account->token_uri == NULL)
		return ERR_NOMEM;
	return take_key(root, account, ret_problem);
}

/* The reader's memory held the key. */
static void wipe(struct json *json)
{
	if (json->strings != NULL)
		explicit_bzero(json->strings, json->strings_capacity);
	json_free(json);
}

int google_account_read(
	const char *text, size_t len, struct google_account **ret_account, const char **ret_problem)
{
	struct google_account *account = calloc(1, sizeof(*account));
	struct json json = {.values = NULL};
	int err = account == NULL ? ERR_NOMEM : json_parse(&json, text, len);

	if (err == 0)
		err = take_fields(json_root(&json), account, ret_problem);
	else if (err != ERR_NOMEM) {
		*ret_problem = "holds no JSON object";
		err = ERR_SYNTAX;
	}
	wipe(&json);
	if (err != 0) {
		google_account_free(account);
		return err;
	}
	*ret_account = account;
	return 0;
}

void google_account_free(struct google_account *account)
{
	if (account == NULL)
		return;
	free(account->client_email);
	free(account->key_id);
	free(account->token_uri);
	jwt_key_free(account->key);
	free(account);
}

void google_identity(
	const struct google_account *account, const char *scope, uint8_t ret[TOKEN_IDENTITY_BYTES])
{
	const char *const parts[] = {
		"google", account->client_email, account->key_id, account->token_uri, scope};
	uint8_t hashes[6][SHA256_BYTES];

	for (size_t i = 0; i < 5; i++)
		sha256(parts[i], strlen(parts[i]), hashes[i]);
	jwt_key_fingerprint(account->key, hashes[5]);
	sha256(hashes, sizeof(hashes), ret);
}

static int append_member(struct buf *out, const char *name, const char *value)
{
	buf_appendf(out, "\"%s\":\"", name);
	buf_append_json(out, value, strlen(value));
	return buf_append_char(out, '"');
}

static int append_assertion(const struct google_account *account, const char *scope,
	int64_t now_epoch_ms, struct buf *out)
{
	struct buf header = BUF_INIT(TEXT_MAX), claims = BUF_INIT(TEXT_MAX);
	int64_t now_s = now_epoch_ms / 1000;
	int err;

	buf_append_string(&header, "{\"alg\":\"RS256\",\"typ\":\"JWT\"");
	if (account->key_id[0] != '\0') {
		buf_append_char(&header, ',');
		append_member(&header, "kid", account->key_id);
	}
	buf_append_char(&header, '}');
	buf_append_char(&claims, '{');
	append_member(&claims, "iss", account->client_email);
	buf_append_char(&claims, ',');
	append_member(&claims, "scope", scope);
	buf_append_char(&claims, ',');
	append_member(&claims, "aud", account->token_uri);
	buf_appendf(&claims, ",\"iat\":%" PRId64 ",\"exp\":%" PRId64 "}", now_s,
		now_s + GOOGLE_ASSERTION_LIFE_S);
	err = header.err != 0 ? header.err : claims.err;
	if (err == 0)
		err = jwt_sign(account->key, buf_string(&header), buf_string(&claims), out);
	buf_free(&header);
	buf_free(&claims);
	return err;
}

int google_form_make(const struct google_account *account, const char *scope, int64_t now_epoch_ms,
	struct buf *out)
{
	int err = buf_append_string(out, FORM_START);

	/* A JWT has no character that a form would have to escape. */
	return err == 0 ? append_assertion(account, scope, now_epoch_ms, out) : err;
}

/* {"error":"invalid_grant","error_description":"..."}, whatever of it there is. */
static void append_error(const struct json_value *root, int status, struct buf *reason)
{
	const char *error = json_text(json_member(root, "error"));
	const char *words = json_text(json_member(root, "error_description"));

	buf_appendf(reason, "HTTP %d", status);
	if (error != NULL)
		buf_appendf(reason, ", %.*s", WORDS_MAX, error);
	if (words != NULL)
		buf_appendf(reason, ": %.*s", WORDS_MAX, words);
}

static int error_of(int status)
{
	if (status == 429)
		return ERR_THROTTLED;
	if (status == 400 || status == 401 || status == 403)
		return ERR_BAD_CREDENTIALS;
	return status >= 500 ? ERR_UNAVAILABLE : ERR_PROTOCOL;
}

static int take_token(const struct json_value *root, int64_t now_epoch_ms, struct token *ret)
{
	const char *text = json_text(json_member(root, "access_token"));
	const char *type = json_text(json_member(root, "token_type"));
	int64_t life_s;

	if (text == NULL || text[0] == '\0' || strlen(text) > TOKEN_TEXT_MAX ||
		!is_printable(text) || type == NULL || strcasecmp(type, "Bearer") != 0 ||
		json_int(json_member(root, "expires_in"), &life_s) != 0 ||
		life_s <= GOOGLE_TOKEN_SLACK_MS / 1000 || life_s > GOOGLE_TOKEN_LIFE_MAX_S)
		return ERR_PROTOCOL;
	ret->made_epoch_ms = now_epoch_ms;
	ret->ends_epoch_ms = now_epoch_ms + life_s * 1000 - GOOGLE_TOKEN_SLACK_MS;
	strcpy(ret->text, text);
	return 0;
}

int google_answer_read(int status, const char *body, size_t len, int64_t now_epoch_ms,
	struct token *ret, struct buf *reason)
{
	struct json json = {.values = NULL};
	int err = json_parse(&json, body, len);
	const struct json_value *root = err == 0 ? json_root(&json) : NULL;

	memset(ret, 0, sizeof(*ret));
	if (err == ERR_NOMEM) {
		buf_append_string(reason, error_message(err));
	} else if (status != 200) {
		append_error(root, status, reason);
		err = error_of(status);
	} else {
		err = take_token(root, now_epoch_ms, ret);
		if (err != 0)
			buf_append_string(reason, "an answer without access_token, token_type "
						  "Bearer and expires_in");
	}
	wipe(&json);
	return err;
}
