#include "base/log.h"
#include "bunshin/error.h"
#include "cli/cli.h"
#include "cli/run.h"
#include "cli/run_totals.h"

#include <stdio.h>
#include <string.h>

#define ERRORS_MAX_BYTES ((size_t)1 << 20)

void run_log_errors(const char *message, const struct buf *errors)
{
	const char *line = buf_string(errors);

	while (*line) {
		size_t len = strcspn(line, "\n");

		if (len > 0)
			log_error(message, LOG_BYTES("reason", line, len));
		line += len + (line[len] == '\n');
	}
}

void run_log_started(const struct generation *generation)
{
	const struct config *config = generation->config;

	log_info("started", LOG_STR("version", BUNSHIN_VERSION),
		LOG_STR("queue", config->queue.url),
		LOG_STR("destination", config->destinations[0].name),
		LOG_INT("destinations", config->destination_count),
		LOG_INT("workers", generation->workers_min));
}

void run_report(const struct run_request *request, const struct board *board)
{
	struct run_totals totals;

	if (run_totals_read(board, &totals))
		log_error("the final counts could not be read", LOG_ERR(ERR_NOMEM));
	run_totals_log(&totals);
	if (request->json)
		run_totals_print_json(&totals);
	else if (request->exit_when_empty)
		printf("accepted %llu, failed %llu, expired %llu\n",
			(unsigned long long)totals.accepted,
			(unsigned long long)(totals.failed + totals.failed_left),
			(unsigned long long)totals.expired);
	fflush(stdout);
}

static int run(const struct run_request *request)
{
	struct buf errors;
	struct generation *generation;
	int err;

	buf_init(&errors, ERRORS_MAX_BYTES);
	err = generation_load(request, 0, NULL, &generation, &errors);
	if (err)
		fputs(errors.len > 0 ? buf_string(&errors) : error_message(err), stderr);
	buf_free(&errors);
	if (err)
		return err == ERR_CONFIG ? CLI_USAGE : CLI_FAILED;
	return generation->workers_max == 1 ? run_alone(request, generation)
					    : run_many(request, generation);
}

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

	return code >= 0 ? code : run(&request);
}
