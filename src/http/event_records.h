/*
 * Messages as the event that AWS Lambda sends for a queue: {"Records": [...]}.
 *
 * AWS Lambda developer guide, "Using Lambda with Amazon SQS": "Example Amazon SQS message event"
 * and, for FIFO queues, the same with SequenceNumber, MessageGroupId and MessageDeduplicationId.
 * Pure: text out, no I/O. What it writes is read by cli/event_file.h, too.
 *
 * A record:
 *	messageId, receiptHandle, body	strings
 *	attributes			the system attributes, all strings: ApproximateReceiveCount,
 *					SentTimestamp, SenderId, ApproximateFirstReceiveTimestamp,
 *					and SequenceNumber, MessageGroupId, MessageDeduplicationId,
 *					AWSTraceHeader and DeadLetterQueueSourceArn of messages that
 *					have them. SenderId and the like are there when the queue
 *					was asked for them (all_attributes of struct queue_receive).
 *	messageAttributes		by name: stringValue, or binaryValue in base64 of a Binary
 *					one; stringListValues and binaryListValues, always [];
 *					dataType
 *	md5OfBody			32 hexadecimal digits of the body as it stands here
 *	eventSource			"aws:sqs"
 *	eventSourceARN, awsRegion	the queue's
 */
#ifndef HTTP_EVENT_RECORDS_H
#define HTTP_EVENT_RECORDS_H

#include "base/buf.h"
#include "bunshin/queue.h"

#include <stddef.h>

/*
 * Appends the event of these messages, in their order. Everything is copied. 0, ERR_NOMEM, or the
 * buffer's error, which sticks: `out` then ends with a part of an event.
 */
int event_records_append(struct buf *out, const struct queue_message *const *messages, size_t count,
	const char *queue_arn, const char *region);

#endif
