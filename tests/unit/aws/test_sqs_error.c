#include "aws/sqs_codec.h"
#include "aws/sqs_error.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void codes_are_normalised(void **state)
{
	static const char *const cases[][2] = {
		{"com.amazonaws.sqs#QueueDoesNotExist", "QueueDoesNotExist"},
		{"QueueDoesNotExist:http://internal.amazon.com/coral/x#y", "QueueDoesNotExist"},
		{"a#Throttling:b#c", "Throttling"},
		{"Throttling", "Throttling"},
		{"AWS.SimpleQueueService.NonExistentQueue;Sender",
			"AWS.SimpleQueueService.NonExistentQueue"},
		{"", ""},
		{"#", ""},
		{":", ""},
		{"ns#", ""},
		{"<script>", ""},
		{"A B", "A"},
		{"A\nB", "A"},
	};
	char code[SQS_CODE_SIZE], longer[300];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		sqs_error_normalise(cases[i][0], code);
		assert_string_equal(code, cases[i][1]);
	}
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	sqs_error_normalise(longer, code);
	assert_int_equal(strlen(code), SQS_CODE_SIZE - 1);
}

/* Every row of the reference's tables: shape, legacy code, HTTP status as SQS sends it. */
static const struct {
	const char *shape, *legacy;
	int status, err;
} answers[] = {
	{"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", 400, ERR_QUEUE_MISSING},
	{"QueueNameExists", "QueueAlreadyExists", 400, ERR_REFUSED},
	{"QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently", 400,
		ERR_UNAVAILABLE},
	{"UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", 400, ERR_REFUSED},
	{"MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", 400,
		ERR_RECEIPT_INVALID},
	{"EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", 400, ERR_REFUSED},
	{"BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", 400,
		ERR_REFUSED},
	{"BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong", 400, ERR_TOO_LARGE},
	{"InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId", 400, ERR_REFUSED},
	{"TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", 400,
		ERR_REFUSED},
	{"PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress", 403, ERR_THROTTLED},
	{"OverLimit", "OverLimit", 403, ERR_OVER_LIMIT},
	{"RequestThrottled", "RequestThrottled", 403, ERR_THROTTLED},
	{"InvalidSecurity", "InvalidSecurity", 403, ERR_BAD_CREDENTIALS},
	{"ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 404, ERR_RECEIPT_INVALID},
	{"InvalidAddress", "InvalidAddress", 404, ERR_REFUSED},
	{"ResourceNotFoundException", "ResourceNotFoundException", 404, ERR_REFUSED},
	{"InvalidAttributeName", "InvalidAttributeName", 400, ERR_REFUSED},
	{"InvalidAttributeValue", "InvalidAttributeValue", 400, ERR_REFUSED},
	{"InvalidMessageContents", "InvalidMessageContents", 400, ERR_REFUSED},
	{"InvalidIdFormat", "InvalidIdFormat", 400, ERR_REFUSED},
	{"KmsAccessDenied", "KMS.AccessDeniedException", 400, ERR_ACCESS_DENIED},
	{"KmsDisabled", "KMS.DisabledException", 400, ERR_ACCESS_DENIED},
	{"KmsInvalidKeyUsage", "KMS.InvalidKeyUsageException", 400, ERR_ACCESS_DENIED},
	{"KmsInvalidState", "KMS.InvalidStateException", 400, ERR_ACCESS_DENIED},
	{"KmsNotFound", "KMS.NotFoundException", 400, ERR_ACCESS_DENIED},
	{"KmsThrottled", "KMS.ThrottlingException", 400, ERR_THROTTLED},
	{"KmsOptInRequired", "KMS.OptInRequired", 403, ERR_ACCESS_DENIED},
	{"InvalidParameterValueException", "InvalidParameterValue", 400, ERR_REFUSED},
	{"MissingRequiredParameterException", "MissingParameter", 400, ERR_REFUSED},
	{"UnknownOperationException", "InvalidAction", 400, ERR_REFUSED},
	{"SerializationException", "MalformedInput", 400, ERR_REFUSED},
	{"Throttling", "Throttling", 400, ERR_THROTTLED},
	{"ThrottlingException", "ThrottlingException", 400, ERR_THROTTLED},
	{"ThrottledException", "ThrottledException", 400, ERR_THROTTLED},
	{"RequestThrottledException", "RequestThrottledException", 400, ERR_THROTTLED},
	{"TooManyRequestsException", "TooManyRequestsException", 400, ERR_THROTTLED},
	{"RequestLimitExceeded", "RequestLimitExceeded", 503, ERR_THROTTLED},
	{"BandwidthLimitExceeded", "BandwidthLimitExceeded", 509, ERR_THROTTLED},
	{"LimitExceededException", "LimitExceededException", 400, ERR_THROTTLED},
	{"ProvisionedThroughputExceededException", "ProvisionedThroughputExceededException", 400,
		ERR_THROTTLED},
	{"TransactionInProgressException", "TransactionInProgressException", 400, ERR_THROTTLED},
	{"SlowDown", "SlowDown", 503, ERR_THROTTLED},
	{"EC2ThrottledException", "EC2ThrottledException", 400, ERR_THROTTLED},
	{"RequestTimeout", "RequestTimeout", 400, ERR_UNAVAILABLE},
	{"RequestTimeoutException", "RequestTimeoutException", 400, ERR_UNAVAILABLE},
	{"PriorRequestNotComplete", "PriorRequestNotComplete", 400, ERR_UNAVAILABLE},
	{"InternalError", "InternalError", 500, ERR_UNAVAILABLE},
	{"InternalFailure", "InternalFailure", 500, ERR_UNAVAILABLE},
	{"ServiceUnavailable", "ServiceUnavailable", 503, ERR_UNAVAILABLE},
	{"ExpiredToken", "ExpiredToken", 403, ERR_EXPIRED_CREDENTIALS},
	{"ExpiredTokenException", "ExpiredTokenException", 400, ERR_EXPIRED_CREDENTIALS},
	{"InvalidClientTokenId", "InvalidClientTokenId", 403, ERR_BAD_CREDENTIALS},
	{"UnrecognizedClientException", "UnrecognizedClientException", 403, ERR_BAD_CREDENTIALS},
	{"SignatureDoesNotMatch", "SignatureDoesNotMatch", 403, ERR_BAD_CREDENTIALS},
	{"InvalidSignatureException", "InvalidSignatureException", 403, ERR_BAD_CREDENTIALS},
	{"AuthFailure", "AuthFailure", 401, ERR_BAD_CREDENTIALS},
	{"IncompleteSignature", "IncompleteSignature", 400, ERR_BAD_CREDENTIALS},
	{"MissingAuthenticationToken", "MissingAuthenticationToken", 403, ERR_BAD_CREDENTIALS},
	{"RequestTimeTooSkewed", "RequestTimeTooSkewed", 403, ERR_CLOCK_SKEW},
	{"RequestExpired", "RequestExpired", 400, ERR_CLOCK_SKEW},
	{"RequestInTheFuture", "RequestInTheFuture", 403, ERR_CLOCK_SKEW},
	{"AccessDenied", "AccessDenied", 403, ERR_ACCESS_DENIED},
	{"AccessDeniedException", "AccessDeniedException", 400, ERR_ACCESS_DENIED},
	{"OptInRequired", "OptInRequired", 403, ERR_ACCESS_DENIED},
};

static int error_of(enum sqs_operation operation, const char *code, const char *legacy, int status,
	int64_t skew_ms)
{
	const struct sqs_failure failure = {.code = code,
		.legacy_code = legacy,
		.message = "",
		.sender_fault = true,
		.status = status,
		.skew_ms = skew_ms};

	return sqs_error_of(operation, &failure);
}

/* Either code alone is enough, and for a whole call the operation changes nothing. */
static void codes_of_both_protocols(void **state)
{
	for (size_t i = 0; i < COUNT_OF(answers); i++) {
		for (int op = SQS_RECEIVE; op <= SQS_UNTAG; op++) {
			const char *shape = answers[i].shape, *legacy = answers[i].legacy;
			int status = answers[i].status;

			assert_int_equal(error_of(op, shape, "", status, 0), answers[i].err);
			assert_int_equal(error_of(op, "", legacy, status, 0), answers[i].err);
			assert_int_equal(error_of(op, legacy, "", status, 0), answers[i].err);
			assert_int_equal(error_of(op, shape, legacy, status, 0), answers[i].err);
			assert_int_equal(error_of(op, "New", legacy, status, 0), answers[i].err);
		}
	}
}

static void entries_about_receipts(void **state)
{
	static const struct {
		enum sqs_operation operation;
		const char *code, *message;
		bool sender_fault;
		int err;
	} cases[] = {
		{SQS_DELETE_BATCH, "InvalidParameterValue",
			"Value x for parameter ReceiptHandle is invalid. Reason: The receipt "
			"handle "
			"has expired.",
			true, ERR_RECEIPT_INVALID},
		{SQS_DELETE_BATCH, "ReceiptHandleIsInvalid", "", true, ERR_RECEIPT_INVALID},
		{SQS_DELETE_BATCH, "InvalidIdFormat", "", true, ERR_RECEIPT_INVALID},
		{SQS_DELETE_BATCH, "InternalError", "", false, ERR_UNAVAILABLE},
		{SQS_DELETE_BATCH, "AccessDenied", "", true, ERR_ACCESS_DENIED},
		{SQS_DELETE_BATCH, "Something", "", true, ERR_REFUSED},
		{SQS_DELETE_BATCH, "Something", "", false, ERR_UNAVAILABLE},
		{SQS_DELETE_BATCH, "", "", true, ERR_REFUSED},
		{SQS_DELETE_BATCH, "", "", false, ERR_UNAVAILABLE},
		{SQS_VISIBILITY_BATCH, "InvalidParameterValueException",
			"Value x for parameter ReceiptHandle is invalid. Reason: Message does not "
			"exist or is not available for visibility timeout change.",
			true, ERR_RECEIPT_INVALID},
		{SQS_VISIBILITY_BATCH, "InvalidParameterValue", "", true, ERR_RECEIPT_INVALID},
		{SQS_VISIBILITY_BATCH, "InvalidParameterValue",
			"Value 43201 for parameter VisibilityTimeout is invalid. Reason: Must be "
			"between 0 and 43200.",
			true, ERR_REFUSED},
		{SQS_VISIBILITY_BATCH, "InvalidParameterValue",
			"Value 43200 is invalid. Reason: Total VisibilityTimeout for the message "
			"is "
			"beyond the limit [43200 seconds].",
			true, ERR_REFUSED},
		{SQS_VISIBILITY_BATCH, "MessageNotInflight", "", true, ERR_RECEIPT_INVALID},
		{SQS_SEND_BATCH, "InvalidParameterValue", "", true, ERR_REFUSED},
		{SQS_SEND_BATCH, "RequestThrottled", "", true, ERR_THROTTLED},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct sqs_failure failure = {.code = cases[i].code,
			.legacy_code = "",
			.message = cases[i].message,
			.sender_fault = cases[i].sender_fault};

		assert_int_equal(sqs_error_of(cases[i].operation, &failure), cases[i].err);
	}
}

static void a_wrong_clock_explains_a_wrong_signature(void **state)
{
	static const char *const codes[] = {
		"SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure"};

	for (size_t i = 0; i < COUNT_OF(codes); i++) {
		assert_int_equal(
			error_of(SQS_RECEIVE, codes[i], "", 403, 240000), ERR_BAD_CREDENTIALS);
		assert_int_equal(error_of(SQS_RECEIVE, codes[i], "", 403, 240001), ERR_CLOCK_SKEW);
		assert_int_equal(error_of(SQS_RECEIVE, codes[i], "", 403, -240001), ERR_CLOCK_SKEW);
	}
	assert_int_equal(error_of(SQS_RECEIVE, "UnrecognizedClientException", "", 403, 999999),
		ERR_BAD_CREDENTIALS);
}

static void status_decides_without_a_known_code(void **state)
{
	for (int status = 100; status < 600; status++) {
		int err = status >= 500	  ? ERR_UNAVAILABLE
			  : status >= 400 ? ERR_REFUSED
					  : ERR_PROTOCOL;

		if (status == 401)
			err = ERR_BAD_CREDENTIALS;
		if (status == 403)
			err = ERR_ACCESS_DENIED;
		if (status == 408 || status == 425)
			err = ERR_UNAVAILABLE;
		if (status == 413)
			err = ERR_TOO_LARGE;
		if (status == 429)
			err = ERR_THROTTLED;
		assert_int_equal(error_of(SQS_RECEIVE, "", "", status, 0), err);
		assert_int_equal(error_of(SQS_RECEIVE, "Unheard", "Of", status, 0), err);
	}
}

static void error_bodies(void **state)
{
	static const struct {
		const char *body, *query_error;
		int status, err;
		const char *code, *detail;
	} cases[] = {
		{"{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"It is gone.\"}",
			"AWS.SimpleQueueService.NonExistentQueue;Sender", 400, ERR_QUEUE_MISSING,
			"QueueDoesNotExist", "It is gone."},
		{"{\"__type\":\"com.amazon.coral.service#RequestThrottled\",\"Message\":\"Slow\"}",
			"RequestThrottled;Sender", 403, ERR_THROTTLED, "RequestThrottled", "Slow"},
		{"{}", "AWS.SimpleQueueService.NonExistentQueue;Sender", 400, ERR_QUEUE_MISSING,
			"AWS.SimpleQueueService.NonExistentQueue", ""},
		{"", "KMS.ThrottlingException;Sender", 400, ERR_THROTTLED,
			"KMS.ThrottlingException", ""},
		{"{\"__type\":\"x#Unheard\",\"message\":\"m\"}",
			"AWS.SimpleQueueService.NonExistentQueue;Sender", 400, ERR_QUEUE_MISSING,
			"Unheard", "m"},
		{"<html>502 Bad Gateway</html>", NULL, 502, ERR_UNAVAILABLE, "", ""},
		{"{\"__type\":7,\"message\":[]}", NULL, 400, ERR_REFUSED, "", ""},
		{"{\"__type\":null,\"message\":null,\"Message\":\"M\"}", ";", 503, ERR_UNAVAILABLE,
			"", "M"},
		{"[]", "", 403, ERR_ACCESS_DENIED, "", ""},
		{"{\"__type\":\"AccessDenied\",\"message\":\"a\\r\\n\\u0007b\"}", NULL, 403,
			ERR_ACCESS_DENIED, "AccessDenied", "a   b"},
		{"", NULL, 301, ERR_PROTOCOL, "", ""},
	};
	struct sqs_decoder decoder = {0};

	assert_int_equal(sqs_decoder_init(&decoder), 0);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char code[SQS_CODE_SIZE], detail[SQS_DETAIL_SIZE];

		assert_int_equal(sqs_decode_error(&decoder, SQS_RECEIVE, cases[i].status,
					 cases[i].query_error, 0, cases[i].body,
					 strlen(cases[i].body), code, detail),
			cases[i].err);
		assert_string_equal(code, cases[i].code);
		assert_string_equal(detail, cases[i].detail);
	}
	sqs_decoder_free(&decoder);
}

/* Cut where it does not fit, and never inside a character. */
static void details_are_cut_at_a_character(void **state)
{
	char text[2 * SQS_DETAIL_SIZE], detail[SQS_DETAIL_SIZE];

	for (size_t lead = 0; lead < 8; lead++) {
		size_t len;

		memset(text, 'a', lead);
		for (size_t i = lead; i + 4 < sizeof(text); i += 4)
			memcpy(text + i, "\xf0\x9f\x91\x8b", 5);
		sqs_detail_set(detail, "%s", text);
		len = strlen(detail);
		assert_int_equal((len - lead) % 4, 0);
		assert_true(len >= SQS_DETAIL_SIZE - 4);
		assert_memory_equal(detail, text, len);
	}
	sqs_detail_set(detail, "%s", "a\tb\x7f\xc3\xa9");
	assert_string_equal(detail, "a b \xc3\xa9");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_are_normalised),
		cmocka_unit_test(codes_of_both_protocols),
		cmocka_unit_test(entries_about_receipts),
		cmocka_unit_test(a_wrong_clock_explains_a_wrong_signature),
		cmocka_unit_test(status_decides_without_a_known_code),
		cmocka_unit_test(error_bodies),
		cmocka_unit_test(details_are_cut_at_a_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
