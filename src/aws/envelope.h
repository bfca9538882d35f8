/*
 * Envelopes that other services put around a message. Pure, hostile input.
 * SNS: "Amazon SNS message and JSON formats" (Type, MessageId, TopicArn, Message, Timestamp, ...,
 * MessageAttributes {"n":{"Type","Value"}}). Extended client: a body that is a JSON array of a
 * class name and an object with s3BucketName and s3Key, and an attribute that says how long the
 * payload is.
 */
#ifndef AWS_ENVELOPE_H
#define AWS_ENVELOPE_H

#include "base/json.h"
#include "bunshin/queue.h"

#include <stdbool.h>
#include <stddef.h>

/* Which envelopes are taken off a body. */
enum sqs_unwrap { SQS_UNWRAP_NONE, SQS_UNWRAP_SNS };

/* Where the extended client put a body; the texts may hold NULs and live as long as in sns below.
 */
struct envelope_s3 {
	const char *bucket, *key;
	size_t bucket_bytes, key_bytes;
};

/*
 * A pointer of the SQS extended client: attribute ExtendedPayloadSize or SQSLargePayloadSize, and a
 * body of that shape, whatever the class is called. 0; ERR_NOT_FOUND: it is none; ERR_NOMEM.
 * `json` is scratch, and left alone when there is no such attribute.
 */
int envelope_read_s3(
	struct json *json, const struct queue_message *message, struct envelope_s3 *ret_pointer);

/*
 * What an SNS notification holds; the texts are decoded and live as long as `json` is not used
 * again. An attribute of type String.Array (lists of a filter policy) or another type that SQS has
 * not, or of a name that SQS would refuse, is left out. Past QUEUE_ATTRIBUTES_MAX the rest is left
 * out too, the ones that the worker itself reads (Deadline, ...) having been taken first. Of two of
 * one name the last one counts. Values are not empty; String and Number hold what SQS takes; Binary
 * ones are base64-decoded by the caller.
 */
struct envelope_sns {
	const char *message; /* text that SQS takes, not empty */
	size_t message_bytes;
	struct envelope_attribute {
		const char *name, *type, *value;
		size_t value_bytes;
	} attributes[QUEUE_ATTRIBUTES_MAX];
	size_t attribute_count;
};

/*
 * 0; ERR_NOT_FOUND: not a notification (not a JSON object, or its Type is another); ERR_SYNTAX: one
 * that lacks its Message or holds what is none; ERR_NOMEM.
 */
int envelope_read_sns(
	struct json *json, const char *body, size_t body_bytes, struct envelope_sns *ret_sns);

#endif
