/* What reads an instance's metadata and the ECS agent: no input crashes, and what is taken is sane.
 */
#include "fuzz.h"

#include "aws/instance/notices_codec.h"
#include "aws/instance/task_protection_codec.h"
#include "bunshin/error.h"

#include <stdlib.h>
#include <string.h>

static void check_names(const char *text)
{
	char id[INSTANCE_ID_SIZE], group[INSTANCE_GROUP_SIZE];

	if (instance_id_read(text, id))
		FUZZ_CHECK(strnlen(id, sizeof(id)) < sizeof(id) && strncmp(id, "i-", 2) == 0 &&
			   strspn(id + 2, "0123456789abcdef") == strlen(id) - 2);
	if (instance_group_read(text, group)) {
		FUZZ_CHECK(group[0] != '\0' && strnlen(group, sizeof(group)) < sizeof(group));
		FUZZ_CHECK(strpbrk(group, "\r\n\t") == NULL);
	}
}

static void check_uri(const char *text)
{
	char reason[TASK_PROTECTION_REASON_SIZE] = "";
	struct buf url = BUF_INIT(4096);
	int err = task_protection_uri(text, &url, reason);

	FUZZ_CHECK(err == 0 || err == ERR_CONFIG);
	FUZZ_CHECK((err == 0) == (reason[0] == '\0'));
	if (err == 0)
		FUZZ_CHECK(strpbrk(buf_string(&url), " \r\n?#") == NULL);
	buf_free(&url);
}

static void check_agent(int status, const char *text, size_t len, bool held)
{
	char reason[TASK_PROTECTION_REASON_SIZE];
	int err = task_protection_read(status, text, len, held, reason);

	FUZZ_CHECK(err <= 0 && err != ERR_NOMEM);
	FUZZ_CHECK((err == 0) == (reason[0] == '\0'));
	FUZZ_CHECK(err != 0 || status == 200);
	for (const char *p = reason; *p != '\0'; p++)
		FUZZ_CHECK(*p >= ' ' && *p <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct spot_notice notice;
	int64_t epoch_ms;
	bool terminating = false;
	char *string = strndup(text, size);

	if (spot_notice_read(text, size, &notice) == 0)
		FUZZ_CHECK(notice.action >= SPOT_TERMINATE && notice.action <= SPOT_HIBERNATE &&
			   size <= NOTICE_MAX_BYTES);
	rebalance_notice_read(text, size, &epoch_ms);
	if (lifecycle_state_read(text, size, &terminating) != 0)
		FUZZ_CHECK(!terminating);
	FUZZ_CHECK(!terminating || memmem(text, size, "Terminated", 10) != NULL);
	FUZZ_CHECK(string != NULL);
	check_names(string);
	check_uri(string);
	free(string);
	check_agent(200, text, size, true);
	check_agent(200, text, size, false);
	check_agent(500, text, size, true);
	return 0;
}
