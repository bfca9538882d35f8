/*
 * A queue URL that parses is put together again from its parts, and parses to the same; the
 * endpoint chosen for it is this machine's own, https or refused.
 */
#include "fuzz.h"

#include "aws/endpoint_choice.h"
#include "aws/http_date.h"
#include "aws/sqs_queue.h"

#include <string.h>

static void check_choice(const struct sqs_queue_url *parts)
{
	static const struct endpoint_wishes none;
	struct buf error = BUF_INIT(4096);
	struct endpoint_choice choice;
	struct endpoint again;
	size_t len;

	if (endpoint_choice_sqs(parts, &none, &choice, &error) == 0) {
		FUZZ_CHECK(strncmp(choice.endpoint.origin, "https://", 8) == 0 ||
			   endpoint_is_loopback(&choice.endpoint));
		FUZZ_CHECK(choice.region[0] != '\0');
		FUZZ_CHECK(endpoint_parse(choice.endpoint.origin, &again, &len) == 0);
		FUZZ_CHECK(strcmp(choice.endpoint.origin, again.origin) == 0);
	} else {
		FUZZ_CHECK(error.len > 0);
	}
	buf_free(&error);
}

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
	check_choice(&parts);
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
