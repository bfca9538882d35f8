/*
 * What SQS answers when it refuses: the modelled shapes, their older codes, their HTTP statuses.
 *
 * Validators return an enum fault (FAULT_NONE: fine) and leave the words in a struct problem, so
 * that the same check serves a whole call and one entry of a batch.
 */
#ifndef LOCALQ_FAULT_H
#define LOCALQ_FAULT_H

#include <stdbool.h>

#define FAULT_SQS "com.amazonaws.sqs#"
#define FAULT_CORAL "com.amazon.coral.service#"
#define FAULT_ASQ "AWS.SimpleQueueService."

/*
 * X(name, type, code, HTTP status). `type` goes into __type (JSON protocol), `code` into
 * x-amzn-query-error, into the entries of a batch's Failed list, and into the Query protocol.
 * Every fault below 500 is the sender's.
 */
#define FAULT_LIST(X)                                                                              \
	X(QUEUE_DOES_NOT_EXIST, FAULT_SQS "QueueDoesNotExist", FAULT_ASQ "NonExistentQueue", 400)  \
	X(QUEUE_NAME_EXISTS, FAULT_SQS "QueueNameExists", "QueueAlreadyExists", 400)               \
	X(QUEUE_DELETED_RECENTLY, FAULT_SQS "QueueDeletedRecently",                                \
		FAULT_ASQ "QueueDeletedRecently", 400)                                             \
	X(UNSUPPORTED_OPERATION, FAULT_SQS "UnsupportedOperation",                                 \
		FAULT_ASQ "UnsupportedOperation", 400)                                             \
	X(EMPTY_BATCH, FAULT_SQS "EmptyBatchRequest", FAULT_ASQ "EmptyBatchRequest", 400)          \
	X(IDS_NOT_DISTINCT, FAULT_SQS "BatchEntryIdsNotDistinct",                                  \
		FAULT_ASQ "BatchEntryIdsNotDistinct", 400)                                         \
	X(BATCH_TOO_LONG, FAULT_SQS "BatchRequestTooLong", FAULT_ASQ "BatchRequestTooLong", 400)   \
	X(INVALID_ENTRY_ID, FAULT_SQS "InvalidBatchEntryId", FAULT_ASQ "InvalidBatchEntryId", 400) \
	X(TOO_MANY_ENTRIES, FAULT_SQS "TooManyEntriesInBatchRequest",                              \
		FAULT_ASQ "TooManyEntriesInBatchRequest", 400)                                     \
	X(PURGE_IN_PROGRESS, FAULT_SQS "PurgeQueueInProgress", FAULT_ASQ "PurgeQueueInProgress",   \
		403)                                                                               \
	X(OVER_LIMIT, FAULT_SQS "OverLimit", "OverLimit", 403)                                     \
	X(RECEIPT_HANDLE_INVALID, FAULT_SQS "ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid",    \
		404)                                                                               \
	X(RESOURCE_NOT_FOUND, FAULT_SQS "ResourceNotFoundException", "ResourceNotFoundException",  \
		404)                                                                               \
	X(INVALID_ADDRESS, FAULT_SQS "InvalidAddress", "InvalidAddress", 404)                      \
	X(INVALID_ATTRIBUTE_NAME, FAULT_SQS "InvalidAttributeName", "InvalidAttributeName", 400)   \
	X(INVALID_ATTRIBUTE_VALUE, FAULT_SQS "InvalidAttributeValue", "InvalidAttributeValue",     \
		400)                                                                               \
	X(INVALID_MESSAGE_CONTENTS, FAULT_SQS "InvalidMessageContents", "InvalidMessageContents",  \
		400)                                                                               \
	X(INVALID_PARAMETER_VALUE, FAULT_CORAL "InvalidParameterValueException",                   \
		"InvalidParameterValue", 400)                                                      \
	X(MISSING_PARAMETER, FAULT_CORAL "MissingRequiredParameterException", "MissingParameter",  \
		400)                                                                               \
	X(UNKNOWN_OPERATION, FAULT_CORAL "UnknownOperationException", "InvalidAction", 400)        \
	X(MISSING_ACTION, FAULT_CORAL "MissingActionException", "MissingAction", 400)              \
	X(NO_SUCH_VERSION, FAULT_CORAL "NoSuchVersionException", "NoSuchVersion", 400)             \
	X(SERIALIZATION, FAULT_CORAL "SerializationException", "MalformedInput", 400)              \
	X(ACCESS_DENIED, FAULT_CORAL "AccessDeniedException", "AccessDenied", 403)                 \
	X(UNKNOWN_KEY, FAULT_CORAL "UnrecognizedClientException", "InvalidClientTokenId", 403)     \
	X(BAD_SIGNATURE, FAULT_CORAL "InvalidSignatureException", "SignatureDoesNotMatch", 403)    \
	X(INCOMPLETE_SIGNATURE, FAULT_CORAL "IncompleteSignatureException", "IncompleteSignature", \
		400)                                                                               \
	X(NO_SIGNATURE, FAULT_CORAL "MissingAuthenticationTokenException",                         \
		"MissingAuthenticationToken", 403)                                                 \
	X(INTERNAL, FAULT_CORAL "InternalFailure", "InternalFailure", 500)

enum fault {
	FAULT_NONE,
#define X(name, type, code, status) FAULT_##name,
	FAULT_LIST(X)
#undef X
};

struct fault_row {
	const char *type;
	const char *code;
	int status;
};

/* `fault` is not FAULT_NONE. Static. */
const struct fault_row *fault_row(enum fault fault);
static inline bool fault_is_senders(enum fault fault)
{
	return fault_row(fault)->status < 500;
}

#define PROBLEM_MESSAGE_MAX 512

/* Why something was refused. Zero it to begin with. */
struct problem {
	enum fault fault;
	char message[PROBLEM_MESSAGE_MAX]; /* UTF-8, cut when it is longer */
};

/* Fills it and returns `fault`. Bytes that are not UTF-8 become question marks. */
enum fault problem_set(struct problem *problem, enum fault fault, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
