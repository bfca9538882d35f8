/*
 * The kinds of signers. Private to cli/auth.
 */
#ifndef CLI_AUTH_SIGNERS_H
#define CLI_AUTH_SIGNERS_H

#include "cli/auth/auth.h"

/* Of a signer that cannot sign until somebody has answered. */
struct auth_waiter {
	bool waiting; /* for the first token, or the first failure */
	int err;      /* of the last that was asked for; 0: it came, or none has been */
	void (*ended)(void *arg);
	void *arg;
};
/* It waits no more. Harmless when it does not. From the loop or from inside auth_new(). */
void auth_waiter_end(struct auth_waiter *waiter);

struct auth_signer {
	struct http_signer signer;
	void (*free)(void *impl);   /* NULL: there is none */
	struct auth_waiter *waiter; /* NULL: it never waits */
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

/* google. Begins to ask for the first token, unless there is one. As auth_apns_new(), or ERR_IO. */
int auth_google_new(const struct auth_options *options,
	const struct config_destination *destination, struct auth_signer *ret, struct buf *error);

/* aws. As auth_new(). */
int auth_aws_new(const struct auth_options *options, const struct config_destination *destination,
	struct auth_signer *ret, struct buf *error);

#endif
