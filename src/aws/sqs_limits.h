/* What SQS takes: quotas and character sets (SQS API reference, model 2012-11-05). */
#ifndef AWS_SQS_LIMITS_H
#define AWS_SQS_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

#define SQS_MESSAGE_ID_MAX 100
#define SQS_RECEIPT_HANDLE_MAX 1024
#define SQS_ATTRIBUTE_NAME_MAX 256
#define SQS_ATTRIBUTE_TYPE_MAX 256
#define SQS_GROUP_ID_MAX 128 /* the deduplication id's too */
#define SQS_TRACE_HEADER_MAX 512
#define SQS_SENDER_ID_MAX 512 /* ours; an account, or a role's id and a session's name */
#define SQS_QUEUE_NAME_MAX 80
#define SQS_QUEUE_URL_MAX 1024 /* ours; SQS's own are far shorter */
#define SQS_DELAY_MAX_S 900
#define SQS_WAIT_MAX_S 20
#define SQS_ARN_MAX 512		 /* ours; SQS's own are far shorter */
#define SQS_TASK_HANDLE_MAX 1024 /* the same */
#define SQS_MOVE_RATE_MAX 500

/* UTF-8 of U+9, U+A, U+D, U+20-U+D7FF, U+E000-U+FFFD, U+10000-U+10FFFF. */
bool sqs_text_is_valid(const char *text, size_t len);
/* A-Za-z0-9_.- with no dot first, last or doubled, and none of AWS's own prefixes. */
bool sqs_attribute_name_is_valid(const char *name);
/* String, Number or Binary, alone or followed by .label. */
bool sqs_attribute_type_is_valid(const char *type);
bool sqs_type_is_binary(const char *type);
/* 1-128 printable ASCII characters without blanks. */
bool sqs_group_id_is_valid(const char *id);
/* 1-512 printable ASCII characters without blanks: AWSTraceHeader, as far as it is looked at here.
 */
bool sqs_trace_header_is_valid(const char *header);
/* A-Za-z0-9_-, maybe followed by .fifo. */
bool sqs_queue_name_is_valid(const char *name);

#endif
