#include "cli/run/run.h"

#include "base/log.h"
#include "bunshin/error.h"
#include "cli/cli.h"
#include "cli/run/totals.h"

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

int run_as_configured(const struct run_request *request)
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
