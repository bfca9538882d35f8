/*
 * An SQS event as a file: Lambda's `Records` shape, or a bare message body.
 * Source of the shape: AWS Lambda developer guide, "Using Lambda with Amazon SQS".
 */
#ifndef CLI_EVENT_FILE_H
#define CLI_EVENT_FILE_H

#include "base/buf.h"
#include "bunshin/queue.h"

#include <stddef.h>
#include <stdint.h>

#define EVENT_FILE_MAX_BYTES ((size_t)16 << 20)
#define EVENT_FILE_RECORDS_MAX 10000

struct event_file;

/*
 * Parses the text (copied). A JSON object with an array "Records" is an event; everything else is
 * one body, its last newline dropped. What a record does not say gets a default: message id from
 * its number, receive count 1, sent at now_epoch_ms. 0; ERR_SYNTAX, ERR_TOO_LARGE with what is
 * wrong and where in `error`; ERR_NOMEM.
 */
int event_file_parse(const char *text, size_t len, int64_t now_epoch_ms,
	struct event_file **ret_file, struct buf *error);
void event_file_free(struct event_file *file);
size_t event_file_count(const struct event_file *file);
/* Borrowed from the file. */
const struct queue_message *event_file_message(const struct event_file *file, size_t index);

#endif
