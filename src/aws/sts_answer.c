#include "aws/credentials/set.h"
#include "aws/sts_codec.h"

#include "base/units.h"
#include "bunshin/error.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCOUNT_DIGITS 12
#define HIDE_WINDOW 12 /* bytes of a secret that no message has by chance */
#define EXPIRATION_SIZE 64

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Codes of STS's own whose HTTP status, 400, does not say it. */
static const struct row {
	const char *code;
	int err;
} table[] = {
	{"IDPCommunicationError", ERR_UNAVAILABLE},
	{"InvalidIdentityToken", ERR_BAD_CREDENTIALS},
	{"NotAuthorized", ERR_ACCESS_DENIED},
};

const char *sts_operation_name(enum sts_operation operation)
{
	static const char *const names[] = {
		[STS_ASSUME_ROLE] = "AssumeRole",
		[STS_ASSUME_WITH_WEB_IDENTITY] = "AssumeRoleWithWebIdentity",
		[STS_GET_CALLER_IDENTITY] = "GetCallerIdentity",
	};

	return names[operation];
}

static bool is_account(const char *text, size_t len)
{
	return len == ACCOUNT_DIGITS && strspn(text, "0123456789") >= ACCOUNT_DIGITS;
}

static int result_read(enum sts_operation operation, const char *text, size_t len,
	const struct xml_field fields[], size_t count, char problem[XML_PROBLEM_SIZE])
{
	const char *name = sts_operation_name(operation);
	char prefix[96];

	snprintf(prefix, sizeof(prefix), "%sResponse/%sResult/", name, name);
	return xml_fields_read(text, len, prefix, fields, count, problem);
}

/* The first `required` fields must be there and graphic. */
static int fields_check(
	const struct xml_field fields[], size_t required, char problem[XML_PROBLEM_SIZE])
{
	for (size_t i = 0; i < required; i++) {
		if (fields[i].text[0] != '\0' && credentials_is_graphic(fields[i].text))
			continue;
		snprintf(problem, XML_PROBLEM_SIZE,
			fields[i].text[0] == '\0' ? "no %s" : "a blank or an odd character in %s",
			fields[i].path);
		return ERR_PROTOCOL;
	}
	return 0;
}

/* 0 would mean that the keys never expire. */
static int expiry_read(
	const char *text, struct credentials_set *set, char problem[XML_PROBLEM_SIZE])
{
	if (units_parse_rfc3339(text, &set->expires_epoch_ms) == 0 && set->expires_epoch_ms > 0)
		return 0;
	snprintf(problem, XML_PROBLEM_SIZE, "an Expiration that is no time after 1970");
	return ERR_PROTOCOL;
}

static int credentials_read(enum sts_operation operation, const char *text, size_t len,
	struct credentials_set *set, char problem[XML_PROBLEM_SIZE])
{
	char expiration[EXPIRATION_SIZE];
	const struct xml_field fields[] = {
		{"Credentials/AccessKeyId", set->access_key_id, sizeof(set->access_key_id), false},
		{"Credentials/SecretAccessKey", set->secret_access_key,
			sizeof(set->secret_access_key), false},
		{"Credentials/SessionToken", set->session_token, sizeof(set->session_token), false},
		{"Credentials/Expiration", expiration, sizeof(expiration), false},
		{"AssumedRoleUser/Arn", set->principal, sizeof(set->principal), false},
	};
	int err = result_read(operation, text, len, fields, COUNT_OF(fields), problem);

	if (err == 0)
		err = fields_check(fields, 4, problem);
	if (err == 0)
		err = expiry_read(expiration, set, problem);
	if (err != 0)
		return err;
	if (!credentials_is_graphic(set->principal))
		set->principal[0] = '\0';
	credentials_account_of_arn(set->principal, set->account_id);
	return 0;
}

int sts_answer_credentials(enum sts_operation operation, const char *text, size_t len,
	struct credentials_set *ret_set, char problem[XML_PROBLEM_SIZE])
{
	struct credentials_set *set = calloc(1, sizeof(*set));
	int err;

	problem[0] = '\0';
	if (set == NULL)
		return ERR_NOMEM;
	err = credentials_read(operation, text, len, set, problem);
	if (err == 0)
		*ret_set = *set;
	credentials_wipe(set);
	free(set);
	return err;
}

int sts_answer_identity(const char *text, size_t len, struct sts_identity *ret_identity,
	char problem[XML_PROBLEM_SIZE])
{
	struct sts_identity identity;
	const struct xml_field fields[] = {
		{"Account", identity.account_id, sizeof(identity.account_id), false},
		{"Arn", identity.arn, sizeof(identity.arn), false},
	};
	int err =
		result_read(STS_GET_CALLER_IDENTITY, text, len, fields, COUNT_OF(fields), problem);

	if (err == 0)
		err = fields_check(fields, 2, problem);
	if (err != 0)
		return err;
	if (!is_account(identity.account_id, strlen(identity.account_id))) {
		snprintf(problem, XML_PROBLEM_SIZE, "an Account that is not %d digits",
			ACCOUNT_DIGITS);
		return ERR_PROTOCOL;
	}
	*ret_identity = identity;
	return 0;
}

/* The first line that is not empty. */
static void message_clean(char message[STS_MESSAGE_SIZE])
{
	size_t from = strspn(message, " \t\r\n");
	size_t len = strcspn(message + from, "\r\n");

	memmove(message, message + from, len);
	message[len] = '\0';
	for (char *p = message; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	}
}

int sts_answer_error(
	int status, int64_t skew_ms, const char *text, size_t len, struct sts_failure *ret_failure)
{
	char problem[XML_PROBLEM_SIZE], code[AWS_ERROR_CODE_SIZE];
	const struct xml_field fields[] = {
		{"Code", code, sizeof(code), false},
		{"Message", ret_failure->message, sizeof(ret_failure->message), true},
	};
	int err = xml_fields_read(
		text, len, "ErrorResponse/Error/", fields, COUNT_OF(fields), problem);

	if (err == ERR_NOMEM)
		return err;
	aws_error_code_copy(code, ret_failure->code);
	message_clean(ret_failure->message);
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		if (strcmp(table[i].code, code) == 0)
			return table[i].err;
	}
	err = aws_error_of_code(code, skew_ms);
	return err != 0 ? err : aws_error_of_status(status);
}

void sts_message_hide(char *message, const char *secret, size_t len)
{
	size_t window = len < HIDE_WINDOW ? len : HIDE_WINDOW;

	if (window < 4)
		return; /* it would blot out ordinary words */
	for (; strlen(message) >= window; message++) {
		if (memmem(secret, len, message, window) != NULL) {
			message[0] = '\0';
			return;
		}
	}
}
