/*
 * What the verbs pause, resume, rate, cancel and control have in common: the queue's tags read and
 * changed, what is set shown, and the time until it took effect (control_effect.c).
 */
#ifndef CLI_CAMPAIGN_CONTROL_H
#define CLI_CAMPAIGN_CONTROL_H

#include "aws/sqs_tags.h"
#include "base/buf.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/runtime.h"
#include "delivery/control.h"

#include <stdbool.h>
#include <stdint.h>

/* Workers that have work read the tags within that (cli/run/control_reader.h), and a little more
 * until all processes of a host have taken it over. */
#define CONTROL_READ_WITHIN_S 7
#define CONTROL_EFFECT_MAX_S 30
#define CONTROL_VALUE_SIZE (4 * SQS_TAG_VALUE_MAX + 1)

struct control_command {
	const char *name; /* "campaign pause" */
	/* from the command line */
	const char *queue_url, *directory, *results_url, *endpoint;
	bool allow_insecure, no_wait, json;
	/* what they lead to */
	struct runtime runtime;
	struct connect connect;
	/* the tags as they were read last; "": the queue does not have it */
	char paused[CONTROL_VALUE_SIZE], rate[CONTROL_VALUE_SIZE], cancelled[CONTROL_VALUE_SIZE];
	struct control control; /* what they ask of workers that knew of nothing before */
	char trouble[CONTROL_REASON_SIZE]; /* with a tag that does not read; "": none */
	bool changed;
	int64_t set_epoch_ms; /* when the latest change was confirmed */
	uint64_t set_us;      /* the same, monotonic */
};

/* The options of every one of them, in this order; the row behind them is the caller's. */
#define CONTROL_OPTIONS(command)                                                                 \
	{"queue-url", 0, CLI_STRING, "URL", &(command)->queue_url, 0, 0,                         \
		"the queue that the workers receive from"},                                      \
		{"dir", 0, CLI_STRING, "DIR", &(command)->directory, 0, 0,                       \
			"the campaign directory, where results.db says who took it over [.]"},   \
		{"results-url", 0, CLI_STRING, "URL", &(command)->results_url, 0, 0,             \
			"the workers' results queue: read into results.db meanwhile"},           \
		{"no-wait", 0, CLI_FLAG, NULL, &(command)->no_wait, 0, 0,                        \
			"do not wait until it has taken effect"},                                \
		{"endpoint", 0, CLI_STRING, "URL", &(command)->endpoint, 0, 0,                   \
			"the SQS endpoint [AWS_ENDPOINT_URL_SQS, or the queue URL's host]"},     \
		{"allow-insecure-endpoint", 0, CLI_FLAG, NULL, &(command)->allow_insecure, 0, 0, \
			"plain http to SQS on another machine, which can be read on the way"},   \
	{                                                                                        \
		"json", 0, CLI_FLAG, NULL, &(command)->json, 0, 0,                               \
			"print the result as one JSON object"                                    \
	}

/*
 * control.c. Checks the options, connects and reads the tags. -1 to go on, else the exit code, the
 * reason having been printed. control_close() is needed after either.
 */
int control_open(struct control_command *command);
void control_close(struct control_command *command);
/* Sets a tag, or takes it away (NULL), and reads all of them again. -1 or the exit code. */
int control_put(struct control_command *command, const char *key, const char *value);
/*
 * The last thing a verb does: prints what it did (`did`: a sentence without its full stop), waits
 * for the effect and prints that, or all of it as JSON. The exit code.
 */
int control_finish(struct control_command *command, const char *did);

/* control_effect.c: who has taken it over. */
struct control_effect {
	bool asked; /* there was something to ask: results.db, or the results queue */
	bool interrupted;
	unsigned workers;   /* heard of lately */
	unsigned in_force;  /* of them, those that act by it */
	uint64_t in_flight; /* attempts that those have out, as they said last */
	double seconds;	    /* until the last of them did; below 0: not all of them do */
	/* Without results, for a pause: the queue's own count of messages with somebody. */
	int64_t queue_in_flight;    /* below 0: not asked */
	double queue_empty_seconds; /* until it was 0; below 0: it was not */
};
/*
 * Waits up to max_s for all workers that are heard of to act by command->control. 0, or an error
 * with a sentence in `error`: results cannot be read.
 */
int control_effect_wait(struct control_command *command, unsigned max_s,
	struct control_effect *ret_effect, struct buf *error);

#endif
