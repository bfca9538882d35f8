/*
 * SQS's operations: one function each, in one table.
 *
 * An operation reads call->params, works on call->service and writes call->answer (already begun;
 * it is ended by the service). On a fault it fills call->problem; what it wrote is dropped. The
 * store's transaction is open.
 */
#ifndef LOCALQ_OPERATIONS_H
#define LOCALQ_OPERATIONS_H

#include "localq/fault.h"
#include "localq/service.h"

#include "base/json.h"
#include <stddef.h>

struct operation {
	const char *name; /* "SendMessage" */
	enum fault (*run)(struct call *call);
	bool has_result; /* the Query protocol has an element for its output */
};

/* NULL: there is none of this name. */
const struct operation *operation_find(const char *name);

/* operations_queues.c */
enum fault create_queue(struct call *call);
enum fault delete_queue(struct call *call);
enum fault purge_queue(struct call *call);
enum fault get_queue_url(struct call *call);
enum fault get_queue_attributes(struct call *call);
enum fault set_queue_attributes(struct call *call);
enum fault list_queues(struct call *call);
enum fault list_dead_letter_source_queues(struct call *call);

/* operations_moves.c */
enum fault start_message_move_task(struct call *call);
enum fault list_message_move_tasks(struct call *call);
enum fault cancel_message_move_task(struct call *call);

/* operations_tags.c */
enum fault list_queue_tags(struct call *call);
enum fault tag_queue(struct call *call);
enum fault untag_queue(struct call *call);

/* operations_page.c */
enum fault overview_queues(struct call *call);
enum fault peek_messages(struct call *call);

/* operations_permissions.c */
enum fault add_permission(struct call *call);
enum fault remove_permission(struct call *call);

/* operations_messages.c */
enum fault send_message(struct call *call);
enum fault send_message_batch(struct call *call);
enum fault delete_message(struct call *call);
enum fault delete_message_batch(struct call *call);
enum fault change_message_visibility(struct call *call);
enum fault change_message_visibility_batch(struct call *call);

/*
 * What operations share. Each returns the fault, with the problem filled.
 */

static inline int64_t operation_now_ms(const struct call *call)
{
	return clock_wall_epoch_ms(call->service->clock);
}
/* The queue that the request names. */
enum fault operation_queue(struct call *call, struct store_queue **ret);
/* The ARN of a queue of this name. */
#define OPERATION_ARN_MAX (SERVICE_REGION_MAX + TEXT_QUEUE_NAME_MAX + 32)
const char *operation_arn(const struct call *call, const char *name, char ret[OPERATION_ARN_MAX]);
/* Gives a queue's attribute another value; "" takes it away. */
enum fault operation_set_attribute(struct call *call, struct store_queue *queue,
	enum queue_attribute attribute, const char *value);
/* For an error of the store or of memory; FAULT_NONE for 0. */
enum fault operation_failed(struct problem *problem, int err);

/*
 * Runs a batch: checks Entries as a whole, then runs every entry and writes Successful and Failed.
 * `run` writes the members of its result besides Id; on a fault what it wrote is dropped and
 * `problem` becomes the entry's failure.
 */
enum fault operation_batch(struct call *call, const char *entry_kind, struct store_queue *queue,
	enum fault (*run)(struct call *call, struct store_queue *queue,
		const struct json_value *entry, struct problem *problem));

#endif
