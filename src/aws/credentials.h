/*
 * Credentials: a table of providers, tried in order.
 */
#ifndef AWS_CREDENTIALS_H
#define AWS_CREDENTIALS_H

#include <stddef.h>
#include <stdint.h>

#define CREDENTIALS_KEY_MAX 256
#define CREDENTIALS_TOKEN_MAX 8192

/* Wiped by credentials_wipe(); never logged. */
struct credentials_set {
	char access_key_id[CREDENTIALS_KEY_MAX];
	char secret_access_key[CREDENTIALS_KEY_MAX];
	char session_token[CREDENTIALS_TOKEN_MAX]; /* "" when there is none */
	int64_t expires_epoch_ms;		   /* 0: never */
	uint64_t generation;			   /* differs whenever the keys do; for caches */
};

/*
 * ret_set is zeroed before each call and `generation` is the chain's to set. A provider whose keys
 * expire is asked again at every use and keeps them itself; others are asked once.
 */
struct credentials_provider {
	const char *name; /* "static", "environment" */
	/*
	 * 0; ERR_NOT_FOUND: not configured here, try the next; any other code ends the search, with
	 * a reason for people (never a key).
	 */
	int (*get)(void *impl, struct credentials_set *ret_set, char *reason, size_t reason_bytes);
	void (*free)(void *impl);
	void *impl;
};

struct credentials;

/*
 * Takes the providers over (also on failure), copying the table. Tried in order at the first use;
 * the one that answered is kept. 0 or ERR_NOMEM.
 */
int credentials_new(const struct credentials_provider *providers, size_t count,
	struct credentials **ret_credentials);
void credentials_free(struct credentials *credentials); /* wipes; NULL is fine */

/*
 * The keys to sign with, borrowed until the next call. 0, or ERR_NO_CREDENTIALS (no provider has
 * any; reason, may be NULL, says what was tried) or the provider's own error with its reason.
 * Keys that no header can carry (empty, blanks, control characters) are ERR_NO_CREDENTIALS too.
 */
int credentials_get(struct credentials *credentials, const struct credentials_set **ret_set,
	char *reason, size_t reason_bytes);
/* Name of the provider that answered, or "none". */
const char *credentials_source(const struct credentials *credentials);

void credentials_wipe(struct credentials_set *set);

/*
 * credentials_static.c: fixed keys, copied. session_token may be NULL; without an id (NULL or "")
 * the provider is not configured. 0, ERR_NOMEM, or ERR_ARGUMENT: longer than a credentials_set
 * holds, or an id without a secret.
 */
int credentials_static(const char *access_key_id, const char *secret_access_key,
	const char *session_token, struct credentials_provider *ret_provider);

/*
 * credentials_environment.c: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, read
 * through `lookup` (getenv, or a test's) at the first use. An empty variable is not set; an id
 * without a secret is ERR_NO_CREDENTIALS, since a half-set environment is a mistake to be told of.
 * 0 or ERR_NOMEM.
 */
int credentials_environment(
	const char *(*lookup)(const char *name), struct credentials_provider *ret_provider);

#endif
