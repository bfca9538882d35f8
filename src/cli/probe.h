/*
 * bunshin check --probe: asks AWS what the configuration comes to, changing nothing.
 */
#ifndef CLI_PROBE_H
#define CLI_PROBE_H

#include "aws/sts.h"
#include "cli/connect.h"
#include "cli/probe_destinations.h"
#include "cli/queue_probe.h"
#include "config/config.h"

#include <stdbool.h>

struct probe_queue {
	const char *url; /* NULL: none is configured */
	bool asked;
	struct queue_probe_result result;
};

/* What was found out. probe_print.c reads it. */
struct probe_findings {
	const char *path; /* of the configuration */
	struct connect connect;
	int connect_err;	  /* 0: there are credentials and a client */
	struct buf connect_words; /* why not */
	bool identity_known;
	struct sts_identity identity; /* as STS says */
	struct buf identity_words;    /* why it is not known, or not asked for; "" */
	struct probe_queue queue, failure_queue, results_queue;
	/* Of the first: its tags may be read. ERR_PENDING: not asked. */
	struct queue_probe_answer tags;
	struct probe_destinations destinations;
	int64_t now_epoch_ms;
};

/* The exit code: 0, 1 (something was refused), 2 (settings), 75 (something was not there). */
int probe_exit_code(const struct probe_findings *findings);
void probe_print_text(const struct probe_findings *findings);
void probe_print_json(const struct probe_findings *findings); /* one object */

/* Asks and prints, in one of the two forms. config->queue.url is set. Returns the exit code. */
int probe(const struct config *config, bool json);

#endif
