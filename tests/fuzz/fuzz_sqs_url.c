/* A queue URL that parses is put together again from its parts, and parses to the same. */
#include "fuzz.h"

#include "aws/http_date.h"
#include "aws/sqs_queue.h"

#include <string.h>

static void check_url(const char *text)
{
	struct sqs_queue_url parts, again;
	char url[600];

	if (sqs_queue_url_parse(text, &parts) != 0)
		return;
	FUZZ_CHECK(strncmp(parts.endpoint, "http", 4) == 0);
	FUZZ_CHECK(parts.account[0] != '\0' && parts.name[0] != '\0');
	snprintf(url, sizeof(url), "%s/%s/%s", parts.endpoint, parts.account, parts.name);
	FUZZ_CHECK(sqs_queue_url_parse(url, &again) == 0);
	FUZZ_CHECK(strcmp(parts.endpoint, again.endpoint) == 0);
	FUZZ_CHECK(strcmp(parts.region, again.region) == 0);
	FUZZ_CHECK(strcmp(parts.account, again.account) == 0);
	FUZZ_CHECK(strcmp(parts.name, again.name) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	int64_t epoch_ms = -1;

	FUZZ_CHECK(text);
	check_url(text);
	FUZZ_CHECK((http_date_parse(text, &epoch_ms) == 0) == (epoch_ms >= 0));
	free(text);
	return 0;
}
