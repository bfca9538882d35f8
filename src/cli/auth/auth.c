#include "cli/auth/auth.h"

#include "bunshin/error.h"
#include "cli/auth/signers.h"

#include <stdlib.h>

struct auth {
	struct auth_signer *signers; /* one a destination */
	size_t count;
};

static int open_signer(const struct auth_options *options, size_t index, struct auth_signer *ret,
	struct buf *error)
{
	const struct config_destination *destination = &options->config->destinations[index];

	switch (destination->auth.type) {
	case CONFIG_AUTH_STANDARD_WEBHOOKS:
	case CONFIG_AUTH_HMAC:
		return auth_webhook_new(destination, ret, error);
	case CONFIG_AUTH_APNS:
		return auth_apns_new(options, destination, ret, error);
	case CONFIG_AUTH_GOOGLE:
		return auth_google_new(options, destination, ret, error);
	case CONFIG_AUTH_AWS:
		return auth_aws_new(options, destination, ret, error);
	case CONFIG_AUTH_NONE:
	default:
		return 0;
	}
}

bool auth_shares_tokens(const struct config *config)
{
	for (size_t i = 0; i < config->destination_count; i++)
		if (config->destinations[i].auth.type == CONFIG_AUTH_APNS ||
			config->destinations[i].auth.type == CONFIG_AUTH_GOOGLE)
			return true;
	return false;
}

void auth_waiter_end(struct auth_waiter *waiter)
{
	if (!waiter->waiting)
		return;
	waiter->waiting = false;
	if (waiter->ended)
		waiter->ended(waiter->arg);
}

bool auth_is_waiting(const struct auth *auth)
{
	for (size_t i = 0; i < auth->count; i++)
		if (auth->signers[i].waiter && auth->signers[i].waiter->waiting)
			return true;
	return false;
}

int auth_failure(const struct auth *auth, size_t index)
{
	const struct auth_waiter *waiter = auth->signers[index].waiter;

	return waiter ? waiter->err : 0;
}

void auth_observe(struct auth *auth, void (*ended)(void *arg), void *arg)
{
	for (size_t i = 0; i < auth->count; i++) {
		if (!auth->signers[i].waiter)
			continue;
		auth->signers[i].waiter->ended = ended;
		auth->signers[i].waiter->arg = arg;
	}
}

int auth_new(const struct auth_options *options, struct auth **ret_auth, struct buf *error)
{
	struct auth *auth = calloc(1, sizeof(*auth));
	int err = 0;

	if (!auth)
		return ERR_NOMEM;
	/* One more: nothing is asked for with a size of 0. */
	auth->signers = calloc(options->config->destination_count + 1, sizeof(*auth->signers));
	if (!auth->signers)
		err = ERR_NOMEM;
	while (!err && auth->count < options->config->destination_count) {
		err = open_signer(options, auth->count, &auth->signers[auth->count], error);
		if (!err)
			auth->count++;
	}
	if (err) {
		auth_free(auth);
		return err;
	}
	*ret_auth = auth;
	return 0;
}

void auth_free(struct auth *auth)
{
	if (!auth)
		return;
	for (size_t i = 0; i < auth->count; i++)
		if (auth->signers[i].free)
			auth->signers[i].free(auth->signers[i].signer.impl);
	free(auth->signers);
	free(auth);
}

struct http_signer auth_signer(const struct auth *auth, size_t index)
{
	return auth->signers[index].signer;
}
