/* An answer to a batch is whatever the other side sends. */
#include "fuzz.h"

#include "bunshin/error.h"
#include "delivery/item_failures.h"

#include <string.h>

enum { COUNT = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const ids[COUNT] = {"m-1", "m-2", "m-3", "m-1"};
	static struct json json;
	bool failed[COUNT], whole = size == 0 || data[0] != '#';
	char reason[ITEM_FAILURES_REASON_SIZE];
	int err = item_failures_read(
		&json, (const char *)data, size, whole, ids, COUNT, failed, reason);

	FUZZ_CHECK(err == 0 || (err == ERR_SYNTAX && reason[0] != '\0'));
	FUZZ_CHECK(failed[0] == failed[3]);
	for (size_t i = 0; i < COUNT; i++)
		FUZZ_CHECK(err == 0 || failed[i]);
	/* None is said to have failed that the answer does not name. */
	for (size_t i = 0; err == 0 && i < COUNT; i++)
		FUZZ_CHECK(!failed[i] || memchr(data, '{', size));
	return 0;
}
