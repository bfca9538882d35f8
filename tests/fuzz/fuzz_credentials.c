/* An answer with keys is refused whole and without a word of it, or read as its members say. */
#include "fuzz.h"

#include "aws/credentials/provider.h"
#include "base/json.h"
#include "base/units.h"
#include "bunshin/error.h"

#include <string.h>

static void check_text(const struct json *json, const char *name, const char *field)
{
	const struct json_value *value = json_member(json_root(json), name);

	FUZZ_CHECK(strcmp(json_text(value) != NULL ? json_text(value) : "", field) == 0);
}

static void check_read(const struct json *json, const struct credentials_set *set)
{
	const struct json_value *root = json_root(json);
	int64_t epoch_ms = 0;

	FUZZ_CHECK(set->access_key_id[0] != '\0' && set->secret_access_key[0] != '\0');
	check_text(json, "AccessKeyId", set->access_key_id);
	check_text(json, "SecretAccessKey", set->secret_access_key);
	check_text(json, "AccountId", set->account_id);
	check_text(json, json_text(json_member(root, "Token")) ? "Token" : "SessionToken",
		set->session_token);
	if (json_text(json_member(root, "Expiration")) == NULL) {
		FUZZ_CHECK(set->expires_epoch_ms == 0);
		return;
	}
	FUZZ_CHECK(units_parse_rfc3339(json_text(json_member(root, "Expiration")), &epoch_ms) == 0);
	FUZZ_CHECK(set->expires_epoch_ms == (epoch_ms > 0 ? epoch_ms : 1));
}

/* What a reason may consist of is known, but for the numbers in it. */
static void check_reason(const char *reason, size_t reason_bytes)
{
	static const char *const starts[] = {"the answer is not ", "AccessKeyId is ",
		"SecretAccessKey is ", "Token is ", "SessionToken is ", "Expiration is ",
		"AccountId is "};
	bool known = false;

	FUZZ_CHECK(memchr(reason, '\0', reason_bytes) != NULL);
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		known |= strncmp(reason, starts[i], strlen(starts[i])) == 0;
	FUZZ_CHECK(known && strlen(reason) < 80);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct credentials_set set, before;
	char reason[CREDENTIALS_REASON_MAX];
	struct json json = {0};
	int err;

	memset(&before, 0, sizeof(before));
	strcpy(before.principal, "role x");
	before.generation = 7;
	set = before;
	memset(reason, 'x', sizeof(reason));
	err = credentials_read_json((const char *)data, size, &set, reason, sizeof(reason));
	if (err != 0) {
		FUZZ_CHECK(err == ERR_PROTOCOL);
		FUZZ_CHECK(memcmp(&set, &before, sizeof(set)) == 0);
		check_reason(reason, sizeof(reason));
		return 0;
	}
	FUZZ_CHECK(strcmp(set.principal, "role x") == 0 && set.generation == 7);
	FUZZ_CHECK(json_parse(&json, (const char *)data, size) == 0);
	check_read(&json, &set);
	json_free(&json);
	return 0;
}
