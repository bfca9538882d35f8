/*
 * The kinds of signers. Private to cli/auth.
 */
#ifndef CLI_AUTH_SIGNERS_H
#define CLI_AUTH_SIGNERS_H

#include "cli/auth/auth.h"

struct auth_signer {
	struct http_signer signer;
	void (*free)(void *impl); /* NULL: there is none */
};

/* standard_webhooks and hmac. As auth_new(). */
int auth_webhook_new(
	const struct config_destination *destination, struct auth_signer *ret, struct buf *error);

/*
 * apns. Reads or makes the first token, for which it waits at most three seconds: another process
 * may have died over it. As auth_new(); ERR_LIMIT: too many keys on this host.
 */
int auth_apns_new(const struct auth_options *options, const struct config_destination *destination,
	struct auth_signer *ret, struct buf *error);

#endif
