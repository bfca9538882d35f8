/*
 * Lines of results (results/record.h) out of a block of text: a message of the results queue, or a
 * piece of an outcome log. The text may be anything; lines that make no sense are counted.
 */
#ifndef CAMPAIGN_RESULTS_LINES_H
#define CAMPAIGN_RESULTS_LINES_H

#include "base/json.h"
#include "campaign/results_db.h"
#include "results/record.h"

#include <stddef.h>
#include <stdint.h>

/* Zeroed to begin with; json_free(&lines.json) in the end. Counts since then. */
struct results_lines {
	struct json json;
	uint64_t records, statuses;
	uint64_t broken; /* neither; empty ones are not counted at all */
};

/* Where they go. Each returns 0 or an error, which ends the reading. */
struct results_lines_sink {
	int (*record)(void *arg, const struct result_record *record);
	int (*status)(void *arg, const struct result_status *status);
	void *arg;
};

/* The last line may lack its "\n". 0, ERR_NOMEM, or the sink's error: maybe some are in it. */
int results_lines_read(struct results_lines *lines, const char *text, size_t len,
	const struct results_lines_sink *sink);
/* The same into a database. */
int results_lines_add(
	struct results_lines *lines, const char *text, size_t len, struct results_db *db);

#endif
