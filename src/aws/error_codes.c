#include "aws/error_codes.h"

#include "bunshin/error.h"

#include <stdbool.h>
#include <string.h>

/* The kind of a code decides, not the HTTP status: throttling arrives as a 400 or a 403. */
static const struct row {
	const char *code;
	int err;
	bool is_signature; /* wrong keys or a wrong clock, told apart by the Date header */
} table[] = {
	/* Retry classes of the AWS SDKs: throttling. */
	{"Throttling", ERR_THROTTLED, false},
	{"ThrottlingException", ERR_THROTTLED, false},
	{"ThrottledException", ERR_THROTTLED, false},
	{"RequestThrottled", ERR_THROTTLED, false},
	{"RequestThrottledException", ERR_THROTTLED, false},
	{"TooManyRequestsException", ERR_THROTTLED, false},
	{"RequestLimitExceeded", ERR_THROTTLED, false},
	{"BandwidthLimitExceeded", ERR_THROTTLED, false},
	{"LimitExceededException", ERR_THROTTLED, false},
	{"ProvisionedThroughputExceededException", ERR_THROTTLED, false},
	{"TransactionInProgressException", ERR_THROTTLED, false},
	{"SlowDown", ERR_THROTTLED, false},
	{"EC2ThrottledException", ERR_THROTTLED, false},

	/* The same: transient. */
	{"RequestTimeout", ERR_UNAVAILABLE, false},
	{"RequestTimeoutException", ERR_UNAVAILABLE, false},
	{"PriorRequestNotComplete", ERR_UNAVAILABLE, false},
	{"InternalError", ERR_UNAVAILABLE, false},
	{"InternalFailure", ERR_UNAVAILABLE, false},
	{"InternalServerError", ERR_UNAVAILABLE, false},
	{"InternalServiceError", ERR_UNAVAILABLE, false},
	{"ServiceUnavailable", ERR_UNAVAILABLE, false},
	{"ServiceUnavailableException", ERR_UNAVAILABLE, false},

	{"ExpiredToken", ERR_EXPIRED_CREDENTIALS, false},
	{"ExpiredTokenException", ERR_EXPIRED_CREDENTIALS, false},
	{"InvalidClientTokenId", ERR_BAD_CREDENTIALS, false},
	{"UnrecognizedClientException", ERR_BAD_CREDENTIALS, false},
	{"InvalidAccessKeyId", ERR_BAD_CREDENTIALS, false},
	{"MissingAuthenticationToken", ERR_BAD_CREDENTIALS, false},
	{"MissingAuthenticationTokenException", ERR_BAD_CREDENTIALS, false},
	{"IncompleteSignature", ERR_BAD_CREDENTIALS, false},
	{"IncompleteSignatureException", ERR_BAD_CREDENTIALS, false},
	{"SignatureDoesNotMatch", ERR_BAD_CREDENTIALS, true},
	{"InvalidSignatureException", ERR_BAD_CREDENTIALS, true},
	{"AuthFailure", ERR_BAD_CREDENTIALS, true},
	{"RequestTimeTooSkewed", ERR_CLOCK_SKEW, false},
	{"RequestExpired", ERR_CLOCK_SKEW, false},
	{"RequestInTheFuture", ERR_CLOCK_SKEW, false},

	{"AccessDenied", ERR_ACCESS_DENIED, false},
	{"AccessDeniedException", ERR_ACCESS_DENIED, false},
	{"OptInRequired", ERR_ACCESS_DENIED, false},

	{"RequestEntityTooLarge", ERR_TOO_LARGE, false},
	{"MissingParameter", ERR_REFUSED, false},
	{"UnknownOperationException", ERR_REFUSED, false},
	{"InvalidAction", ERR_REFUSED, false},
	{"SerializationException", ERR_REFUSED, false},
	{"MalformedInput", ERR_REFUSED, false},
	{"ValidationException", ERR_REFUSED, false},
	{"ValidationError", ERR_REFUSED, false},
};

void aws_error_code_copy(const char *text, char ret_code[AWS_ERROR_CODE_SIZE])
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	size_t len = strspn(text, letters);

	if (len >= AWS_ERROR_CODE_SIZE)
		len = AWS_ERROR_CODE_SIZE - 1;
	memcpy(ret_code, text, len);
	ret_code[len] = '\0';
}

int aws_error_of_code(const char *code, int64_t skew_ms)
{
	bool skewed = skew_ms > AWS_SKEW_TOLERATED_MS || skew_ms < -AWS_SKEW_TOLERATED_MS;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(table[i].code, code) == 0)
			return table[i].is_signature && skewed ? ERR_CLOCK_SKEW : table[i].err;
	}
	return 0;
}

int aws_error_of_status(int status)
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
