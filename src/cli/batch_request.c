#include "cli/batch_request.h"

#include "bunshin/error.h"

int batch_request_make(struct batch_request *batch, const struct config_destination *destination,
	const struct queue_message *const *message, struct json *json)
{
	struct recipient_list *recipients;
	struct recipient_key key;
	int err;

	batch->request = target_request_for(message);
	if (destination->batch.max <= 1 || !destination->batch.field)
		return 0;
	err = recipient_list_read(
		*message, destination->batch.field, json, &batch->recipients, batch->problem);
	if (err)
		return err;
	recipients = batch->recipients;
	recipient_list_next(recipients, (size_t)destination->batch.max);
	if (recipient_list_print(recipients, recipients->out, RECIPIENT_WAITING, &batch->list))
		return ERR_NOMEM;
	batch->request.recipients = buf_string(&batch->list);
	batch->request.recipients_bytes = batch->list.len;
	if (!recipients->packed)
		return 0;
	key = recipient_key_batch(recipients->keys,
		recipient_list_keys(recipients, recipients->out, RECIPIENT_WAITING));
	recipient_key_print(&key, batch->key);
	batch->request.idempotency_key = batch->key;
	return 0;
}

void batch_request_free(struct batch_request *batch)
{
	recipient_list_free(batch->recipients);
	batch->recipients = NULL;
	buf_free(&batch->list);
}
