#include "aws/sqs_error.h"

#include "bunshin/error.h"

#include <string.h>

#define LEGACY_PREFIX "AWS.SimpleQueueService."

/* How a code is read once it was found. */
enum reading {
	ALWAYS,
	SIGNATURE, /* wrong keys or a wrong clock, told apart by the Date header */
	RECEIPT,   /* of an entry: about its receipt handle, most likely */
};

/*
 * Both protocols' codes in one table; the legacy ones without their "AWS.SimpleQueueService."
 * prefix. The kind of a code decides, not the HTTP status: throttling arrives as a 403, a missing
 * queue as a 400.
 */
static const struct row {
	const char *code;
	int err;
	enum reading reading;
} table[] = {
	{"QueueDoesNotExist", ERR_QUEUE_MISSING, ALWAYS},
	{"NonExistentQueue", ERR_QUEUE_MISSING, ALWAYS},

	/* Retry classes of the AWS SDKs: throttling. */
	{"Throttling", ERR_THROTTLED, ALWAYS},
	{"ThrottlingException", ERR_THROTTLED, ALWAYS},
	{"ThrottledException", ERR_THROTTLED, ALWAYS},
	{"RequestThrottled", ERR_THROTTLED, ALWAYS},
	{"RequestThrottledException", ERR_THROTTLED, ALWAYS},
	{"TooManyRequestsException", ERR_THROTTLED, ALWAYS},
	{"RequestLimitExceeded", ERR_THROTTLED, ALWAYS},
	{"BandwidthLimitExceeded", ERR_THROTTLED, ALWAYS},
	{"LimitExceededException", ERR_THROTTLED, ALWAYS},
	{"ProvisionedThroughputExceededException", ERR_THROTTLED, ALWAYS},
	{"TransactionInProgressException", ERR_THROTTLED, ALWAYS},
	{"SlowDown", ERR_THROTTLED, ALWAYS},
	{"EC2ThrottledException", ERR_THROTTLED, ALWAYS},
	{"KmsThrottled", ERR_THROTTLED, ALWAYS},
	{"KMS.ThrottlingException", ERR_THROTTLED, ALWAYS},
	{"PurgeQueueInProgress", ERR_THROTTLED, ALWAYS},
	{"OverLimit", ERR_OVER_LIMIT, ALWAYS},

	/* The same: transient. */
	{"RequestTimeout", ERR_UNAVAILABLE, ALWAYS},
	{"RequestTimeoutException", ERR_UNAVAILABLE, ALWAYS},
	{"PriorRequestNotComplete", ERR_UNAVAILABLE, ALWAYS},
	{"InternalError", ERR_UNAVAILABLE, ALWAYS},
	{"InternalFailure", ERR_UNAVAILABLE, ALWAYS},
	{"InternalServerError", ERR_UNAVAILABLE, ALWAYS},
	{"InternalServiceError", ERR_UNAVAILABLE, ALWAYS},
	{"ServiceUnavailable", ERR_UNAVAILABLE, ALWAYS},
	{"ServiceUnavailableException", ERR_UNAVAILABLE, ALWAYS},
	{"QueueDeletedRecently", ERR_UNAVAILABLE, ALWAYS}, /* its name is free after 60 s */

	{"ExpiredToken", ERR_EXPIRED_CREDENTIALS, ALWAYS},
	{"ExpiredTokenException", ERR_EXPIRED_CREDENTIALS, ALWAYS},
	{"InvalidClientTokenId", ERR_BAD_CREDENTIALS, ALWAYS},
	{"UnrecognizedClientException", ERR_BAD_CREDENTIALS, ALWAYS},
	{"InvalidAccessKeyId", ERR_BAD_CREDENTIALS, ALWAYS},
	{"InvalidSecurity", ERR_BAD_CREDENTIALS, ALWAYS},
	{"MissingAuthenticationToken", ERR_BAD_CREDENTIALS, ALWAYS},
	{"MissingAuthenticationTokenException", ERR_BAD_CREDENTIALS, ALWAYS},
	{"IncompleteSignature", ERR_BAD_CREDENTIALS, ALWAYS},
	{"IncompleteSignatureException", ERR_BAD_CREDENTIALS, ALWAYS},
	{"SignatureDoesNotMatch", ERR_BAD_CREDENTIALS, SIGNATURE},
	{"InvalidSignatureException", ERR_BAD_CREDENTIALS, SIGNATURE},
	{"AuthFailure", ERR_BAD_CREDENTIALS, SIGNATURE},
	{"RequestTimeTooSkewed", ERR_CLOCK_SKEW, ALWAYS},
	{"RequestExpired", ERR_CLOCK_SKEW, ALWAYS},
	{"RequestInTheFuture", ERR_CLOCK_SKEW, ALWAYS},

	{"AccessDenied", ERR_ACCESS_DENIED, ALWAYS},
	{"AccessDeniedException", ERR_ACCESS_DENIED, ALWAYS},
	{"OptInRequired", ERR_ACCESS_DENIED, ALWAYS},
	/* The queue's key cannot be used: nothing works until somebody changes that. */
	{"KmsAccessDenied", ERR_ACCESS_DENIED, ALWAYS},
	{"KmsDisabled", ERR_ACCESS_DENIED, ALWAYS},
	{"KmsInvalidKeyUsage", ERR_ACCESS_DENIED, ALWAYS},
	{"KmsInvalidState", ERR_ACCESS_DENIED, ALWAYS},
	{"KmsNotFound", ERR_ACCESS_DENIED, ALWAYS},
	{"KmsOptInRequired", ERR_ACCESS_DENIED, ALWAYS},
	{"KMS.AccessDeniedException", ERR_ACCESS_DENIED, ALWAYS},
	{"KMS.DisabledException", ERR_ACCESS_DENIED, ALWAYS},
	{"KMS.InvalidKeyUsageException", ERR_ACCESS_DENIED, ALWAYS},
	{"KMS.InvalidStateException", ERR_ACCESS_DENIED, ALWAYS},
	{"KMS.NotFoundException", ERR_ACCESS_DENIED, ALWAYS},
	{"KMS.OptInRequired", ERR_ACCESS_DENIED, ALWAYS},

	{"ReceiptHandleIsInvalid", ERR_RECEIPT_INVALID, ALWAYS},
	{"MessageNotInflight", ERR_RECEIPT_INVALID, ALWAYS},
	{"InvalidIdFormat", ERR_REFUSED, RECEIPT},
	{"InvalidParameterValue", ERR_REFUSED, RECEIPT},
	{"InvalidParameterValueException", ERR_REFUSED, RECEIPT},

	{"BatchRequestTooLong", ERR_TOO_LARGE, ALWAYS},
	{"RequestEntityTooLarge", ERR_TOO_LARGE, ALWAYS},
	{"UnsupportedOperation", ERR_REFUSED, ALWAYS},
	{"InvalidAddress", ERR_REFUSED, ALWAYS},
	{"InvalidAttributeName", ERR_REFUSED, ALWAYS},
	{"InvalidAttributeValue", ERR_REFUSED, ALWAYS},
	{"InvalidMessageContents", ERR_REFUSED, ALWAYS},
	{"EmptyBatchRequest", ERR_REFUSED, ALWAYS},
	{"TooManyEntriesInBatchRequest", ERR_REFUSED, ALWAYS},
	{"BatchEntryIdsNotDistinct", ERR_REFUSED, ALWAYS},
	{"InvalidBatchEntryId", ERR_REFUSED, ALWAYS},
	{"QueueNameExists", ERR_REFUSED, ALWAYS},
	{"QueueAlreadyExists", ERR_REFUSED, ALWAYS},
	{"ResourceNotFoundException", ERR_REFUSED, ALWAYS},
	{"MissingRequiredParameterException", ERR_REFUSED, ALWAYS},
	{"MissingParameter", ERR_REFUSED, ALWAYS},
	{"UnknownOperationException", ERR_REFUSED, ALWAYS},
	{"InvalidAction", ERR_REFUSED, ALWAYS},
	{"SerializationException", ERR_REFUSED, ALWAYS},
	{"MalformedInput", ERR_REFUSED, ALWAYS},
	{"ValidationException", ERR_REFUSED, ALWAYS},
};

const char *sqs_operation_name(enum sqs_operation operation)
{
	static const char *const names[] = {
		[SQS_RECEIVE] = "ReceiveMessage",
		[SQS_DELETE_BATCH] = "DeleteMessageBatch",
		[SQS_VISIBILITY_BATCH] = "ChangeMessageVisibilityBatch",
		[SQS_SEND_BATCH] = "SendMessageBatch",
		[SQS_GET_ATTRIBUTES] = "GetQueueAttributes",
		[SQS_GET_URL] = "GetQueueUrl",
		[SQS_CREATE] = "CreateQueue",
	};

	return names[operation];
}

void sqs_error_normalise(const char *type, char ret_code[SQS_CODE_SIZE])
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	const char *hash = memchr(type, '#', strcspn(type, ":"));
	size_t len;

	if (hash != NULL)
		type = hash + 1;
	len = strspn(type, letters);
	if (len >= SQS_CODE_SIZE)
		len = SQS_CODE_SIZE - 1;
	memcpy(ret_code, type, len);
	ret_code[len] = '\0';
}

static const struct row *row_find(const char *code)
{
	if (strncmp(code, LEGACY_PREFIX, strlen(LEGACY_PREFIX)) == 0)
		code += strlen(LEGACY_PREFIX);
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

static int status_error(int status)
{
	switch (status) {
	case 401:
		return ERR_BAD_CREDENTIALS;
	case 403:
		return ERR_ACCESS_DENIED;
	case 408:
	case 425:
		return ERR_UNAVAILABLE;
	case 413:
		return ERR_TOO_LARGE;
	case 429:
		return ERR_THROTTLED;
	default:
		break;
	}
	if (status >= 500)
		return ERR_UNAVAILABLE;
	return status >= 400 ? ERR_REFUSED : ERR_PROTOCOL;
}

int sqs_error_of(enum sqs_operation operation, const struct sqs_failure *failure)
{
	const struct row *row = row_find(failure->code);
	bool skewed = failure->skew_ms > SQS_SKEW_TOLERATED_MS ||
		      failure->skew_ms < -SQS_SKEW_TOLERATED_MS;

	if (row == NULL)
		row = row_find(failure->legacy_code);
	if (row == NULL && failure->status == 0)
		return failure->sender_fault ? ERR_REFUSED : ERR_UNAVAILABLE;
	if (row == NULL)
		return status_error(failure->status);
	if (row->reading == SIGNATURE && skewed)
		return ERR_CLOCK_SKEW;
	if (row->reading == RECEIPT && failure->status == 0)
		return receipt_error(operation, failure);
	return row->err;
}
