/* bunshin campaign rate. */
#include "cli/campaign/campaign.h"
#include "cli/campaign/control.h"

#include <stdio.h>
#include <string.h>

static int parse(struct control_command *command, int argc, char **argv, const char **ret_rate)
{
	const struct cli_option options[] = {CONTROL_OPTIONS(command), {0}};
	const struct cli_usage usage = {command->name, "N/s|N/m|N/h|off --queue-url URL [options]",
		"Limits the attempts of all workers of the queue together, for each destination;\n"
		"the rate of a destination's own holds beside it, so that the lower one counts.\n"
		"Each host takes its part: N divided by the configuration's fleet_hosts.",
		options, 1, 1};
	int first, count, code = cli_parse(&usage, argc, argv, &first, &count);
	uint64_t rate;
	int64_t per_ms;

	if (code >= 0)
		return code;
	*ret_rate = argv[first];
	if (strcmp(*ret_rate, "off") != 0 && control_rate_read(*ret_rate, &rate, &per_ms) != 0)
		return cli_usage_error(command->name,
			"expected a rate like 500/s, 100/m or 50/h, or off, got \"%s\"%s",
			*ret_rate,
			strncmp(*ret_rate, "0/", 2) == 0 ? "; `bunshin campaign pause` stops all"
							 : "");
	return code;
}

int campaign_rate(int argc, char **argv)
{
	struct control_command command = {.name = "campaign rate", .directory = "."};
	const char *rate = "";
	char did[160] = "", before[CONTROL_RATE_SIZE];
	bool is_off;
	int code = parse(&command, argc, argv, &rate);

	if (code < 0)
		code = control_open(&command);
	is_off = strcmp(rate, "off") == 0;
	control_rate_text(command.control.rate_count, command.control.rate_per_ms, before);
	if (code < 0 && strcmp(command.rate, is_off ? "" : rate) != 0)
		code = control_put(&command, CONTROL_TAG_RATE, is_off ? NULL : rate);
	if (is_off)
		snprintf(did, sizeof(did), "the fleet has no rate but the configured ones%s%s%s",
			before[0] ? " (before: " : "", before, before[0] ? ")" : "");
	else
		snprintf(did, sizeof(did), "at most %s%s%s%s", rate, before[0] ? " (before: " : "",
			before, before[0] ? ")" : "");
	if (code < 0)
		code = control_finish(&command, did);
	control_close(&command);
	return code;
}
