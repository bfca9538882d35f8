/*
 * The token of APNs, of which all workers of the host send the same.
 */
#include "signing/apns.h"

#include "bunshin/error.h"
#include "cli/auth/bearer.h"
#include "cli/auth/signers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Whoever makes one has it within a millisecond; whoever died over it holds others up for 2 s. */
#define FIRST_TRIES 3000
#define TRIES 20
#define PAUSE_NS 1000000

#define SCHEME "bearer "
#define SHOWN_MAX 1024

struct apns_signer {
	struct clock clock;
	struct apns_tokens tokens;
	struct bearer bearer;
	uint64_t version; /* of the token in it */
	struct buf shown; /* of the header, for people */
};

static int remember(struct apns_signer *signer, const struct token *token)
{
	int err = bearer_set(&signer->bearer, token->text);

	if (err)
		return err;
	buf_clear(&signer->shown);
	buf_append_string(&signer->shown, SCHEME);
	return apns_token_describe(signer->tokens.key_id, signer->tokens.team_id,
		token->made_epoch_ms, &signer->shown);
}

/* Blocks for as many milliseconds at most, and only while another is making the very first. */
static int get(struct apns_signer *signer, int tries)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	const struct token *token;
	int err;

	for (;;) {
		err = apns_tokens_get(&signer->tokens, clock_wall_epoch_ms(signer->clock),
			clock_random(signer->clock), &token);
		if (err != ERR_PENDING || --tries <= 0)
			break;
		nanosleep(&pause, NULL);
	}
	if (err || signer->version == signer->tokens.version)
		return err;
	err = remember(signer, token);
	if (!err)
		signer->version = signer->tokens.version;
	return err;
}

static int sign(void *impl, const struct http_signer_request *request, http_signer_add *add,
	void *arg, struct buf *reason)
{
	struct apns_signer *signer = impl;
	int err = get(signer, TRIES);

	if (err == ERR_PENDING) {
		buf_append_string(reason, "no token yet: another process is making it");
		return ERR_NO_CREDENTIALS;
	}
	return err ? err
		   : add(arg, "authorization", signer->bearer.value, buf_string(&signer->shown));
}

static void apns_free(void *impl)
{
	struct apns_signer *signer = impl;

	bearer_wipe(&signer->bearer);
	apns_tokens_wipe(&signer->tokens);
	buf_free(&signer->shown);
	explicit_bzero(signer, sizeof(*signer));
	free(signer);
}

int auth_apns_new(const struct auth_options *options, const struct config_destination *destination,
	struct auth_signer *ret, struct buf *error)
{
	static const struct http_signer_ops ops = {.sign = sign};
	const struct config_auth *config = &destination->auth;
	struct apns_signer *signer;
	int err;

	if (!config->key) {
		buf_appendf(
			error, "destination %s: auth.key_file: there is no key", destination->name);
		return ERR_CONFIG;
	}
	signer = calloc(1, sizeof(*signer));
	if (!signer)
		return ERR_NOMEM;
	signer->clock = options->clock;
	bearer_init(&signer->bearer, SCHEME);
	buf_init(&signer->shown, SHOWN_MAX);
	err = apns_tokens_init(&signer->tokens, config->key, config->key_id, config->team_id,
		config->renew_ms, options->tokens->memory, options->tokens->bytes,
		clock_wall_epoch_ms(options->clock));
	if (err)
		buf_appendf(error, "destination %s: auth: too many keys for tokens on this host",
			destination->name);
	else
		err = get(signer, FIRST_TRIES);
	if (err) {
		apns_free(signer);
		return err == ERR_PENDING ? ERR_LIMIT : err;
	}
	*ret = (struct auth_signer){.signer = {.ops = &ops, .impl = signer}, .free = apns_free};
	return 0;
}
