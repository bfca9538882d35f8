/*
 * Access tokens of Google for a service account ("Using OAuth 2.0 for Server to Server
 * Applications", HTTP/REST; RFC 7523): a JWT by RS256 is the proof, POSTed as a form to the
 * account's token_uri, whose answer is a token and how long it is good. Pure: what is sent and what
 * came are texts, time is an argument.
 */
#ifndef SIGNING_GOOGLE_H
#define SIGNING_GOOGLE_H

#include "base/buf.h"
#include "signing/jwt.h"
#include "signing/token_table.h"

#define GOOGLE_FORM_MAX 16384
#define GOOGLE_ASSERTION_LIFE_S 3600 /* "a maximum of 1 hour after the issued time" */
/* A token ends for us before it does for Google, whose clock is not ours. */
#define GOOGLE_TOKEN_SLACK_MS INT64_C(60000)
#define GOOGLE_TOKEN_LIFE_MAX_S 86400

struct google_account {
	char *client_email;
	char *key_id; /* "" when the file has none */
	char *token_uri;
	struct jwt_key *key;
};

/*
 * The service account's file, JSON. 0; ERR_NOMEM; or ERR_SYNTAX with what is wrong in *ret_problem,
 * static: "holds no JSON object". token_uri is https, or http on this machine.
 */
int google_account_read(const char *text, size_t len, struct google_account **ret_account,
	const char **ret_problem);
/* Wipes the key; NULL is fine. */
void google_account_free(struct google_account *account);

/* Which token it is: of account, key and scope. */
void google_identity(
	const struct google_account *account, const char *scope, uint8_t ret[TOKEN_IDENTITY_BYTES]);
/* Appends the form to POST as application/x-www-form-urlencoded. It is a secret. 0 or ERR_NOMEM. */
int google_form_make(const struct google_account *account, const char *scope, int64_t now_epoch_ms,
	struct buf *out);
/*
 * Reads the answer to it. 0; otherwise with a phrase appended to `reason` that has nothing of a
 * token in it: ERR_BAD_CREDENTIALS (400, 401, 403: the account, its key or its scope),
 * ERR_THROTTLED (429), ERR_UNAVAILABLE (5xx), ERR_PROTOCOL (no such answer), ERR_NOMEM. *ret is
 * zeroed then.
 */
int google_answer_read(int status, const char *body, size_t len, int64_t now_epoch_ms,
	struct token *ret, struct buf *reason);

#endif
