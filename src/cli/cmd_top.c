/* bunshin top: the status of a running `bunshin run`, live in the terminal or as text. */
#include "bunshin/error.h"
#include "cli/admin_address.h"
#include "cli/cli.h"
#include "cli/top/top.h"
#include "config/config.h"

#include <stdio.h>

static int run(const char *path, const char *admin, struct top_options *options)
{
	struct buf address = BUF_INIT(512), errors = BUF_INIT((size_t)1 << 20);
	int code = CLI_USAGE;
	int err = admin_address_find(path, admin, &address, &errors);

	options->address = buf_string(&address);
	if (err)
		fputs(errors.len > 0 ? buf_string(&errors) : error_message(err), stderr);
	else if (address.len == 0 && admin)
		code = cli_usage_error(TOP_COMMAND, "--admin: an address is missing");
	else if (address.len == 0)
		cli_error(TOP_COMMAND, "%s: admin.listen is null: there is nobody to ask", path);
	else
		code = top_run(options);
	buf_free(&address);
	buf_free(&errors);
	return code;
}

int cmd_top(int argc, char **argv)
{
	struct top_options top = {.timeout_ms = 3000};
	const char *path = CONFIG_DEFAULT_PATH, *admin = NULL;
	const struct cli_option options[] = {
		{"config", 'c', CLI_STRING, "FILE", &path, 0, 0,
			"whose admin.listen to ask (default: " CONFIG_DEFAULT_PATH ")"},
		{"admin", 0, CLI_STRING, "URL", &admin, 0, 0,
			"the admin port, HOST:PORT, a URL or unix:PATH; wins over -c"},
		{"interval", 0, CLI_DURATION, "DURATION", &top.interval_ms, 100, 3600000,
			"how often to ask (default: 1s on a terminal, else 10s)"},
		{"plain", 0, CLI_FLAG, NULL, &top.plain, 0, 0,
			"text, a block each time, on a terminal too"},
		{"once", 0, CLI_FLAG, NULL, &top.once, 0, 0,
			"print it once; exit with 0, or 1 when sending has failed or nobody "
			"answers"},
		{"json", 0, CLI_FLAG, NULL, &top.json, 0, 0,
			"print what /status.json says, a line each time"},
		{"timeout", 0, CLI_DURATION, "DURATION", &top.timeout_ms, 100, 60000,
			"how long to wait for an answer (default: 3s)"},
		{0},
	};
	const struct cli_usage usage = {.command = TOP_COMMAND,
		.arguments = "[options]",
		.description =
			"Shows whether a running `bunshin run` is on time, and if not why: rates, "
			"latency,\nbacklog, destinations, campaigns, failures, workers, all "
			"workers "
			"of the host\ntogether. In a terminal the screen is live (press ? for the "
			"keys); elsewhere a block\nof text is printed each time.\n\nThe "
			"configuration "
			"is read as run reads it, secrets and all; --admin needs none of it.",
		.options = options};
	int first, operands;
	int code = cli_parse(&usage, argc, argv, &first, &operands);

	if (code >= 0)
		return code;
	if (top.json && top.plain)
		return cli_usage_error(TOP_COMMAND, "--json and --plain exclude each other");
	return run(path, admin, &top);
}
