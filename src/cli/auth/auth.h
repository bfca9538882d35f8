/*
 * What signs the requests of a configuration's destinations (destinations[].auth): one signer each.
 */
#ifndef CLI_AUTH_AUTH_H
#define CLI_AUTH_AUTH_H

#include "aws/credentials.h"
#include "base/buf.h"
#include "base/mapped_file.h"
#include "bunshin/clock.h"
#include "config/config.h"
#include "http/signer.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct auth;

/* Borrowed; outlives the auth. */
struct auth_options {
	uv_loop_t *loop;
	struct clock clock;
	const struct config *config;
	const struct mapped_file
		*tokens; /* of token_memory_open(); needed where a token is shared */
	struct credentials *credentials; /* of AWS, for those that sign with them; NULL: none */
	const char *region;		 /* the queue's; NULL: not known */
};

/* Any destination whose token lies in memory that workers share. */
bool auth_shares_tokens(const struct config *config);

/* 0; ERR_NOMEM; or ERR_CONFIG with a sentence in `error` (a secret is "[hidden]"). */
int auth_new(const struct auth_options *options, struct auth **ret_auth, struct buf *error);
/*
 * Wipes all keys; the targets that it signs for are closed by then, and handles close on the next
 * turns of the loop. NULL is fine.
 */
void auth_free(struct auth *auth);

/*
 * A token is being asked for that no answer has come to yet, good or bad: what is sent meanwhile
 * fails. It ends by itself, within half a minute.
 */
bool auth_is_waiting(const struct auth *auth);
/* Why the last token that was asked for did not come; 0: it did, or none was asked for. */
int auth_failure(const struct auth *auth, size_t index);
/* `ended` is called, from the loop, whenever one of them has ended. One observer. */
void auth_observe(struct auth *auth, void (*ended)(void *arg), void *arg);

/* By the destination's place in the configuration; ops NULL: its requests are not signed. */
struct http_signer auth_signer(const struct auth *auth, size_t index);

#endif
