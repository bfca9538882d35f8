/*
 * Signers with keys of their own, and a token endpoint in a process of its own: what that holds of
 * a token is in its memory, not in ours. Time is a manual clock's.
 */
#ifndef TESTS_CLI_TOKEN_WORLD_H
#define TESTS_CLI_TOKEN_WORLD_H

#include "base/manual_clock.h"
#include "base/mapped_file.h"
#include "cli/auth/auth.h"
#include "config/config.h"

#include <stdatomic.h>
#include <sys/types.h>
#include <uv.h>

#define TOKEN_WORLD_EPOCH_MS INT64_C(1800000000000)
#define TOKEN_WORLD_TEXT_BYTES 60 /* of each token */

/* Shared with the endpoint. */
struct token_endpoint {
	atomic_int asked;  /* requests that came, which number the tokens from 1 on */
	atomic_int status; /* what is answered: 200 and a token, or an error */
	atomic_int life_s;
};

struct token_world {
	uv_loop_t loop;
	struct manual_clock clock;
	struct mapped_file tokens;
	struct config config;
	struct token_endpoint *endpoint;
	pid_t server;
	int listener;
	char uri[64];
};

/* The endpoint alone; it ends with this process, or by the next. */
void token_world_start(struct token_world *world);
void token_world_stop(struct token_world *world);

/* A loop, a clock, and `destinations` (borrowed) of the types that they say, with their keys. */
void token_world_open(
	struct token_world *world, struct config_destination *destinations, size_t count);
void token_world_close(struct token_world *world);

/* In the caller's memory and nowhere else. */
void token_world_text(int number, char ret[TOKEN_WORLD_TEXT_BYTES + 1]);
struct auth_options token_world_options(struct token_world *world);
/* Turns the loop until no token is being asked for. */
void token_world_settle(struct token_world *world, const struct auth *auth);
/* Turns the loop until so many requests were answered. */
void token_world_until(struct token_world *world, int asked);
/* What a request is signed with: its Authorization, or "". The signer's error. */
int token_world_sign(struct token_world *world, const struct auth *auth, size_t index,
	char *ret_value, size_t size);

#endif
