#include "cli/dlq/dlq.h"

#include "base/units.h"
#include "campaign/messages.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *dlq_number(uint64_t number, char ret[DLQ_NUMBER_MAX])
{
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, number), n = 0;

	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			ret[n++] = ',';
		ret[n++] = digits[i];
	}
	ret[n] = '\0';
	return ret;
}

const char *dlq_messages(uint64_t count)
{
	return count == 1 ? "message" : "messages";
}

int dlq_check_options(const struct dlq_options *options)
{
	struct sqs_queue_url parts;

	if (!options->queue_url)
		return cli_usage_error(options->command, "--queue-url is missing");
	if (sqs_queue_url_parse(options->queue_url, &parts) != 0)
		return cli_usage_error(options->command,
			"--queue-url: \"%s\" is not a queue URL (https://HOST/ACCOUNT/NAME)",
			options->queue_url);
	return -1;
}

int dlq_parse_rate(const char *command, const char *text, int64_t max, int64_t *ret)
{
	char digits[24];
	size_t len = strlen(text);
	int64_t rate;

	if (len > 2 && strcmp(text + len - 2, "/s") == 0)
		len -= 2;
	if (len >= sizeof(digits))
		len = sizeof(digits) - 1;
	memcpy(digits, text, len);
	digits[len] = '\0';
	if (units_parse_int(digits, &rate) != 0 || rate < 1 || rate > max)
		return cli_usage_error(command,
			"--rate: expected messages a second from 1/s to %" PRId64 "/s, got \"%s\"",
			max, text);
	*ret = rate;
	return -1;
}
