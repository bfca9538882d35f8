/*
 * The value of an Authorization header with a token that changes from time to time. The token, and
 * the one before, which may still be in an answer, appear in no line of the log.
 */
#ifndef CLI_AUTH_BEARER_H
#define CLI_AUTH_BEARER_H

#include "signing/token_table.h"

#include <stddef.h>

#define BEARER_SCHEME_MAX 8

struct bearer {
	char value[BEARER_SCHEME_MAX + TOKEN_TEXT_MAX + 1]; /* the scheme alone: no token yet */
	char former[TOKEN_TEXT_MAX + 1];		    /* "": none */
	size_t scheme_bytes;
};

/* The scheme is of at most BEARER_SCHEME_MAX bytes, "Bearer ". */
void bearer_init(struct bearer *bearer, const char *scheme);
/* A token of at most TOKEN_TEXT_MAX bytes. 0, or ERR_NOMEM and the token before is kept. */
int bearer_set(struct bearer *bearer, const char *token);
/* Wipes both. */
void bearer_wipe(struct bearer *bearer);

#endif
