/* What reads STS's answers: no input crashes, and what is handed on can be signed with. */
#include "fuzz.h"

#include "aws/credentials/set.h"
#include "aws/sts_codec.h"
#include "bunshin/error.h"

#include <string.h>

static void check_text(const char *text, size_t size)
{
	FUZZ_CHECK(strnlen(text, size) < size);
	FUZZ_CHECK(text[0] != '\0' && credentials_is_graphic(text));
}

static void check_keys(enum sts_operation operation, const char *text, size_t len)
{
	static struct credentials_set set;
	char problem[XML_PROBLEM_SIZE];
	int err = sts_answer_credentials(operation, text, len, &set, problem);

	FUZZ_CHECK((err == 0) == (problem[0] == '\0'));
	if (err != 0) {
		FUZZ_CHECK(err == ERR_PROTOCOL &&
			   strnlen(problem, XML_PROBLEM_SIZE) < XML_PROBLEM_SIZE);
		return;
	}
	check_text(set.access_key_id, sizeof(set.access_key_id));
	check_text(set.secret_access_key, sizeof(set.secret_access_key));
	check_text(set.session_token, sizeof(set.session_token));
	FUZZ_CHECK(set.expires_epoch_ms > 0);
	FUZZ_CHECK(credentials_is_graphic(set.principal));
	FUZZ_CHECK(set.account_id[0] == '\0' || strspn(set.account_id, "0123456789") == 12);
	/* No text without a DOCTYPE grows. */
	FUZZ_CHECK(strlen(set.access_key_id) + strlen(set.session_token) < len);
}

static void check_error(int status, const char *text, size_t len)
{
	struct query_failure failure;
	int err = query_answer_error(status, 0, text, len, sts_codes, STS_CODES, &failure);

	FUZZ_CHECK(err < 0 && err != ERR_NOMEM);
	FUZZ_CHECK(strnlen(failure.code, sizeof(failure.code)) < sizeof(failure.code));
	FUZZ_CHECK(strnlen(failure.message, sizeof(failure.message)) < sizeof(failure.message));
	for (const char *p = failure.message; *p != '\0'; p++)
		FUZZ_CHECK((unsigned char)*p >= 0x20 && *p != 0x7f);
	query_message_hide(failure.message, text, len);
	FUZZ_CHECK(strlen(failure.message) < 12 || memmem(text, len, failure.message, 12) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct sts_identity identity;
	char problem[XML_PROBLEM_SIZE];

	check_keys(STS_ASSUME_ROLE, text, size);
	check_keys(STS_ASSUME_WITH_WEB_IDENTITY, text, size);
	if (sts_answer_identity(text, size, &identity, problem) == 0) {
		check_text(identity.arn, sizeof(identity.arn));
		FUZZ_CHECK(strspn(identity.account_id, "0123456789") == 12);
	}
	check_error(400, text, size);
	check_error(503, text, size);
	return 0;
}
