#include "aws/credentials/provider.h"

#include "base/json.h"
#include "base/units.h"
#include "bunshin/error.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

bool credentials_copy(char *field, size_t field_bytes, const char *text)
{
	size_t len = text != NULL ? strlen(text) : 0;

	if (len >= field_bytes)
		return false;
	if (len > 0)
		memcpy(field, text, len);
	field[len] = '\0';
	return true;
}

enum member { ID, SECRET, TOKEN, SESSION_TOKEN, EXPIRATION, ACCOUNT, MEMBERS };

static const struct {
	const char *name;
	size_t bytes_max; /* the NUL included */
} members[MEMBERS] = {
	[ID] = {"AccessKeyId", CREDENTIALS_KEY_MAX},
	[SECRET] = {"SecretAccessKey", CREDENTIALS_KEY_MAX},
	[TOKEN] = {"Token", CREDENTIALS_TOKEN_MAX},
	[SESSION_TOKEN] = {"SessionToken", CREDENTIALS_TOKEN_MAX},
	[EXPIRATION] = {"Expiration", 64},
	[ACCOUNT] = {"AccountId", sizeof(((struct credentials_set *)0)->account_id)},
};

/* What an answer says. */
struct answer {
	const char *texts[MEMBERS]; /* in the parser's memory; NULL: not said */
	int64_t expires_epoch_ms;
};

/* NULL when it is absent or null. False: it is there and not a text that fits. */
static bool take_text(const struct json *json, enum member member, const char **ret_text,
	char *reason, size_t reason_bytes)
{
	const struct json_value *value = json_member(json_root(json), members[member].name);

	*ret_text = json_text(value);
	if (value == NULL || value->kind == JSON_NULL)
		return true;
	if (*ret_text == NULL) {
		snprintf(reason, reason_bytes, "%s is not a text", members[member].name);
		return false;
	}
	if (strlen(*ret_text) < members[member].bytes_max)
		return true;
	snprintf(reason, reason_bytes, "%s is longer than %zu bytes", members[member].name,
		members[member].bytes_max - 1);
	return false;
}

static bool take_answer(
	const struct json *json, struct answer *answer, char *reason, size_t reason_bytes)
{
	const char *expiration;

	if (json_root(json)->kind != JSON_OBJECT) {
		snprintf(reason, reason_bytes, "the answer is not a JSON object");
		return false;
	}
	for (enum member member = 0; member < MEMBERS; member++) {
		if (!take_text(json, member, &answer->texts[member], reason, reason_bytes))
			return false;
	}
	for (enum member member = ID; member <= SECRET; member++) {
		if (answer->texts[member] != NULL && answer->texts[member][0] != '\0')
			continue;
		snprintf(reason, reason_bytes, "%s is missing", members[member].name);
		return false;
	}
	expiration = answer->texts[EXPIRATION];
	if (expiration == NULL)
		return true;
	if (units_parse_rfc3339(expiration, &answer->expires_epoch_ms) != 0) {
		snprintf(
			reason, reason_bytes, "Expiration is not a time like 2026-11-23T08:00:00Z");
		return false;
	}
	/* 0 would say that they never expire; 1970 is long past. */
	if (answer->expires_epoch_ms <= 0)
		answer->expires_epoch_ms = 1;
	return true;
}

static void set_fill(struct credentials_set *set, const struct answer *answer)
{
	const char *token = answer->texts[TOKEN];

	credentials_copy(set->access_key_id, sizeof(set->access_key_id), answer->texts[ID]);
	credentials_copy(
		set->secret_access_key, sizeof(set->secret_access_key), answer->texts[SECRET]);
	credentials_copy(set->session_token, sizeof(set->session_token),
		token != NULL ? token : answer->texts[SESSION_TOKEN]);
	credentials_copy(set->account_id, sizeof(set->account_id), answer->texts[ACCOUNT]);
	set->expires_epoch_ms = answer->expires_epoch_ms;
}

int credentials_read_json(const char *text, size_t len, struct credentials_set *ret_set,
	char *reason, size_t reason_bytes)
{
	struct json json = {0};
	struct answer answer = {0};
	int err = json_parse(&json, text, len);

	if (err == ERR_SYNTAX || err == ERR_TOO_LARGE) {
		snprintf(reason, reason_bytes, "the answer is not JSON (byte %zu)",
			json.error_offset);
		err = ERR_PROTOCOL;
	}
	if (err == 0 && !take_answer(&json, &answer, reason, reason_bytes))
		err = ERR_PROTOCOL;
	if (err == 0)
		set_fill(ret_set, &answer);
	/* It unescapes all texts into memory of its own. */
	if (json.strings != NULL)
		OPENSSL_cleanse(json.strings, json.strings_capacity);
	json_free(&json);
	return err;
}
