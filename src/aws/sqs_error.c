#include "aws/sqs_error.h"

#include "bunshin/error.h"

#include <string.h>

#define TARGET "AmazonSQS."
#define LEGACY_PREFIX "AWS.SimpleQueueService."

/*
 * SQS's own codes, of both protocols, in one table; the legacy ones without their
 * "AWS.SimpleQueueService." prefix. Those that all services share are in error_codes.c. The kind of
 * a code decides, not the HTTP status: throttling arrives as a 403, a missing queue as a 400.
 */
static const struct row {
	const char *code;
	int err;
	bool is_receipt; /* of an entry: about its receipt handle, most likely */
} table[] = {
	{"QueueDoesNotExist", ERR_QUEUE_MISSING, false},
	{"NonExistentQueue", ERR_QUEUE_MISSING, false},

	{"KmsThrottled", ERR_THROTTLED, false},
	{"KMS.ThrottlingException", ERR_THROTTLED, false},
	{"PurgeQueueInProgress", ERR_THROTTLED, false},
	{"OverLimit", ERR_OVER_LIMIT, false},
	{"QueueDeletedRecently", ERR_UNAVAILABLE, false}, /* its name is free after 60 s */
	{"InvalidSecurity", ERR_BAD_CREDENTIALS, false},

	/* The queue's key cannot be used: nothing works until somebody changes that. */
	{"KmsAccessDenied", ERR_ACCESS_DENIED, false},
	{"KmsDisabled", ERR_ACCESS_DENIED, false},
	{"KmsInvalidKeyUsage", ERR_ACCESS_DENIED, false},
	{"KmsInvalidState", ERR_ACCESS_DENIED, false},
	{"KmsNotFound", ERR_ACCESS_DENIED, false},
	{"KmsOptInRequired", ERR_ACCESS_DENIED, false},
	{"KMS.AccessDeniedException", ERR_ACCESS_DENIED, false},
	{"KMS.DisabledException", ERR_ACCESS_DENIED, false},
	{"KMS.InvalidKeyUsageException", ERR_ACCESS_DENIED, false},
	{"KMS.InvalidStateException", ERR_ACCESS_DENIED, false},
	{"KMS.NotFoundException", ERR_ACCESS_DENIED, false},
	{"KMS.OptInRequired", ERR_ACCESS_DENIED, false},

	{"ReceiptHandleIsInvalid", ERR_RECEIPT_INVALID, false},
	{"MessageNotInflight", ERR_RECEIPT_INVALID, false},
	{"InvalidIdFormat", ERR_REFUSED, true},
	{"InvalidParameterValue", ERR_REFUSED, true},
	{"InvalidParameterValueException", ERR_REFUSED, true},

	{"BatchRequestTooLong", ERR_TOO_LARGE, false},
	{"UnsupportedOperation", ERR_REFUSED, false},
	{"InvalidAddress", ERR_REFUSED, false},
	{"InvalidAttributeName", ERR_REFUSED, false},
	{"InvalidAttributeValue", ERR_REFUSED, false},
	{"InvalidMessageContents", ERR_REFUSED, false},
	{"EmptyBatchRequest", ERR_REFUSED, false},
	{"TooManyEntriesInBatchRequest", ERR_REFUSED, false},
	{"BatchEntryIdsNotDistinct", ERR_REFUSED, false},
	{"InvalidBatchEntryId", ERR_REFUSED, false},
	{"QueueNameExists", ERR_REFUSED, false},
	{"QueueAlreadyExists", ERR_REFUSED, false},
	{"ResourceNotFoundException", ERR_REFUSED, false},
	{"MissingRequiredParameterException", ERR_REFUSED, false},
};

const char *sqs_operation_target(enum sqs_operation operation)
{
	static const char *const targets[] = {
		[SQS_RECEIVE] = TARGET "ReceiveMessage",
		[SQS_DELETE_BATCH] = TARGET "DeleteMessageBatch",
		[SQS_VISIBILITY_BATCH] = TARGET "ChangeMessageVisibilityBatch",
		[SQS_SEND_BATCH] = TARGET "SendMessageBatch",
		[SQS_GET_ATTRIBUTES] = TARGET "GetQueueAttributes",
		[SQS_GET_URL] = TARGET "GetQueueUrl",
		[SQS_CREATE] = TARGET "CreateQueue",
		[SQS_DESCRIBE] = TARGET "GetQueueAttributes",
		[SQS_LIST_SOURCES] = TARGET "ListDeadLetterSourceQueues",
		[SQS_START_MOVE] = TARGET "StartMessageMoveTask",
		[SQS_LIST_MOVES] = TARGET "ListMessageMoveTasks",
		[SQS_CANCEL_MOVE] = TARGET "CancelMessageMoveTask",
		[SQS_PURGE] = TARGET "PurgeQueue",
		[SQS_LIST_TAGS] = TARGET "ListQueueTags",
		[SQS_TAG] = TARGET "TagQueue",
		[SQS_UNTAG] = TARGET "UntagQueue",
	};

	return targets[operation];
}

const char *sqs_operation_name(enum sqs_operation operation)
{
	return sqs_operation_target(operation) + sizeof(TARGET) - 1;
}

void sqs_error_normalise(const char *type, char ret_code[SQS_CODE_SIZE])
{
	const char *hash = memchr(type, '#', strcspn(type, ":"));

	aws_error_code_copy(hash != NULL ? hash + 1 : type, ret_code);
}

static const struct row *row_find(const char *code)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(table[i].code, code) == 0)
			return &table[i];
	}
	return NULL;
}

/*
 * InvalidParameterValue is SQS's word for a receipt handle that has expired or whose message is
 * gone, but also for a visibility timeout that is out of range or would pass 12 hours.
 */
static int receipt_error(enum sqs_operation operation, const struct sqs_failure *failure)
{
	if (operation == SQS_DELETE_BATCH)
		return ERR_RECEIPT_INVALID;
	if (operation == SQS_VISIBILITY_BATCH &&
		strstr(failure->message, "parameter VisibilityTimeout") == NULL &&
		strstr(failure->message, "Total VisibilityTimeout") == NULL)
		return ERR_RECEIPT_INVALID;
	return ERR_REFUSED;
}

/* 0: a code of neither table. */
static int code_error(
	enum sqs_operation operation, const struct sqs_failure *failure, const char *code)
{
	const struct row *row;

	if (strncmp(code, LEGACY_PREFIX, strlen(LEGACY_PREFIX)) == 0)
		code += strlen(LEGACY_PREFIX);
	row = row_find(code);
	if (row == NULL)
		return aws_error_of_code(code, failure->skew_ms);
	if (row->is_receipt && failure->status == 0)
		return receipt_error(operation, failure);
	return row->err;
}

int sqs_error_of(enum sqs_operation operation, const struct sqs_failure *failure)
{
	int err = code_error(operation, failure, failure->code);

	if (err == 0)
		err = code_error(operation, failure, failure->legacy_code);
	if (err != 0)
		return err;
	if (failure->status == 0)
		return failure->sender_fault ? ERR_REFUSED : ERR_UNAVAILABLE;
	return aws_error_of_status(failure->status);
}
