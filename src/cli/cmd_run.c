#include "cli/cli.h"
#include "cli/run/run.h"
#include "config/config.h"

#include <stddef.h>

int cmd_run(int argc, char **argv)
{
	struct run_request request = {.path = CONFIG_DEFAULT_PATH};
	const struct cli_option options[] = {
		{"config", 'c', CLI_STRING, "FILE", &request.path, 0, 0,
			"configuration (default: " CONFIG_DEFAULT_PATH ")"},
		{"queue-url", 0, CLI_STRING, "URL", &request.url, 0, 0,
			"queue to receive from (queue.url)"},
		{"endpoint", 0, CLI_STRING, "URL", &request.endpoint, 0, 0,
			"SQS endpoint instead of the queue URL's host (queue.endpoint)"},
		{"workers", 'w', CLI_STRING, "N|auto", &request.workers, 0, 0,
			"processes (workers; default: auto, one a core)"},
		{"admin-listen", 0, CLI_STRING, "ADDR", &request.admin_listen, 0, 0,
			"address of the admin port, or unix:PATH (admin.listen)"},
		{"exit-when-empty", 0, CLI_FLAG, NULL, &request.exit_when_empty, 0, 0,
			"exit 0 once nothing is visible, in flight, delayed or held"},
		{"json", 0, CLI_FLAG, NULL, &request.json, 0, 0, "print the final counts as JSON"},
		{0},
	};
	const struct cli_usage usage = {.command = "run",
		.arguments = "[options]",
		.description =
			"Receives messages from an SQS queue, sends each to its destination "
			"and deletes it once\nthe destination has accepted it. SIGTERM stops "
			"cleanly; a second one stops at once.\nSIGHUP reloads the configuration.",
		.options = options};
	int first, operands;
	int code = cli_parse(&usage, argc, argv, &first, &operands);

	return code >= 0 ? code : run_as_configured(&request);
}
