/*
 * SQS's error codes as ours: what error_codes.h has, and SQS's own, with the codes of the JSON
 * protocol and the legacy ones of the query protocol, which clients that ask for x-amzn-query-mode
 * still get beside them.
 */
#ifndef AWS_SQS_ERROR_H
#define AWS_SQS_ERROR_H

#include "aws/error_codes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SQS_CODE_SIZE AWS_ERROR_CODE_SIZE
#define SQS_SKEW_TOLERATED_MS AWS_SKEW_TOLERATED_MS

enum sqs_operation {
	SQS_RECEIVE,
	SQS_DELETE_BATCH,
	SQS_VISIBILITY_BATCH,
	SQS_SEND_BATCH,
	SQS_GET_ATTRIBUTES,
	SQS_GET_URL,
	SQS_CREATE,
	SQS_DESCRIBE, /* GetQueueAttributes, too: what sqs_redrive.h wants to know */
	SQS_LIST_SOURCES,
	SQS_START_MOVE,
	SQS_LIST_MOVES,
	SQS_CANCEL_MOVE,
	SQS_PURGE,
	SQS_LIST_TAGS,
	SQS_TAG,
	SQS_UNTAG,
};
#define SQS_OPERATIONS (SQS_UNTAG + 1)

/* "ReceiveMessage"; static. */
const char *sqs_operation_name(enum sqs_operation operation);
/* "AmazonSQS.ReceiveMessage", the value of X-Amz-Target; static. */
const char *sqs_operation_target(enum sqs_operation operation);

/*
 * "com.amazonaws.sqs#QueueDoesNotExist:http://..." -> "QueueDoesNotExist"; also a header's
 * "Code;Sender" -> "Code". What is left are letters, digits, '.', '_' and '-'; maybe none.
 */
void sqs_error_normalise(const char *type, char ret_code[SQS_CODE_SIZE]);

/* What an answer says about a failed call or entry; every text borrowed and never NULL. */
struct sqs_failure {
	const char *code;	 /* normalised __type, or "" */
	const char *legacy_code; /* of x-amzn-query-error, or "" */
	const char *message;	 /* the service's words, or "" */
	bool sender_fault; /* of an entry: the service blames the request; for unknown codes */
	int status;	   /* of the HTTP answer; 0 for an entry of a batch */
	int64_t skew_ms;   /* server's clock minus ours; 0 when unknown */
};

/* Never 0. A code that the table does not have is judged by status, an entry's by sender_fault. */
int sqs_error_of(enum sqs_operation operation, const struct sqs_failure *failure);

#endif
