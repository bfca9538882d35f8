#include "aws/credentials/set.h"
#include "aws/sts_codec.h"

#include "base/units.h"
#include "bunshin/error.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCOUNT_DIGITS 12
#define EXPIRATION_SIZE 64

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Codes of STS's own whose HTTP status, 400, does not say it. */
const struct query_code sts_codes[STS_CODES] = {
	{"IDPCommunicationError", NULL, ERR_UNAVAILABLE},
	{"InvalidIdentityToken", NULL, ERR_BAD_CREDENTIALS},
	{"NotAuthorized", NULL, ERR_ACCESS_DENIED},
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
