/*
 * The first request that a worker would make of one message, where the destination has batches: for
 * `invoke`, which has no queue.
 */
#ifndef CLI_BATCH_REQUEST_H
#define CLI_BATCH_REQUEST_H

#include "base/buf.h"
#include "base/json.h"
#include "bunshin/target.h"
#include "config/config.h"
#include "delivery/recipient_list.h"

/* What the request borrows. Zero it but for `list`. */
struct batch_request {
	struct target_request request;
	struct recipient_list *recipients; /* NULL: the destination has no lists */
	struct buf list;
	char key[RECIPIENT_KEY_TEXT_SIZE];
	char problem[RECIPIENT_LIST_PROBLEM_SIZE];
};

/*
 * By the message that *message points to, which the request borrows; of a list with more than the
 * destination's `batch.max` those at its beginning. 0, ERR_NOMEM, or ERR_SYNTAX with what is wrong
 * in `problem`. batch_request_free() is needed after each.
 */
int batch_request_make(struct batch_request *batch, const struct config_destination *destination,
	const struct queue_message *const *message, struct json *json);
void batch_request_free(struct batch_request *batch);

#endif
