/*
 * What is sent when a failure goes back to its queue: pure.
 *
 * The same body and attributes, but for those that a worker's copy has added. The idempotency key
 * is the same, so that workers whose ledger has the key do not send again what was accepted. A
 * message that SQS moved has no attribute of it: its key was made of its queue's URL and its
 * message id, which SQS keeps on that way, and is now written into the attribute (the copy has an
 * id of its own).
 */
#ifndef CAMPAIGN_REDRIVE_H
#define CAMPAIGN_REDRIVE_H

#include "campaign/failure_pass.h"
#include "campaign/failures.h"

#include <stdbool.h>
#include <stdint.h>

struct redrive_options {
	const char *target_url; /* as the workers of that queue have it */
	bool target_fifo;
	bool drop_deadline; /* of this message: else workers expire what is past it */
};

/*
 * Borrows from the failure's message and options->target_url. With the ten attributes that SQS
 * allows there is no room for a key that was none: *ret_keyless is true then, and workers give the
 * message another. A FIFO queue gets the message's id as its deduplication id, and where there is
 * no group as its group, too. 0, or ERR_NOMEM.
 */
int redrive_prepare(const struct failure *failure, const struct redrive_options *options,
	struct failure_outgoing *ret_outgoing, bool *ret_keyless);

#endif
