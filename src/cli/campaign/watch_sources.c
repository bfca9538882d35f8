#include "cli/campaign/watch.h"

#include "aws/sqs_queue.h"
#include "bunshin/error.h"
#include "campaign/results_logs.h"
#include "campaign/results_queue.h"
#include "cli/cli.h"
#include "cli/connect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_SHOWN 60

struct watch_sources {
	struct watch_sources_options options;
	struct connect connect;
	struct sqs_queue *sqs;
	struct results_queue *queue; /* NULL: none */
	struct results_logs *logs;   /* NULL: none */
	bool worked;
	int trouble;
	char words[1024];
};

static void set_trouble(struct watch_sources *sources, int err, const char *words)
{
	sources->trouble = err;
	snprintf(sources->words, sizeof(sources->words), "%s", words);
}

static void on_trouble(void *arg, int err, const char *words)
{
	set_trouble(arg, err, words);
}

static void on_finished(void *arg)
{
	struct watch_sources *sources = arg;

	sources->options.finished(sources->options.arg);
}

/* What is no result is shown so far that one sees whose it is. */
static void on_poisoned(void *arg, const char *message_id, const char *body, size_t body_bytes)
{
	struct watch_sources *sources = arg;
	char begin[BODY_SHOWN + 1];
	size_t len = body_bytes < BODY_SHOWN ? body_bytes : BODY_SHOWN;

	for (size_t i = 0; i < len; i++)
		begin[i] = body[i] >= 0x20 && body[i] < 0x7f ? body[i] : '?';
	begin[len] = '\0';
	sources->options.interrupt(sources->options.arg);
	cli_error(WATCH_COMMAND,
		"message %s of the results queue holds no results (\"%s%s\"); it, and others like "
		"it, are counted and deleted",
		message_id, begin, body_bytes > len ? "..." : "");
}

static int open_queue(struct watch_sources *sources, struct buf *error)
{
	const struct watch_sources_options *options = &sources->options;
	const struct connect_options connect = {.queue_url = options->results_url,
		.endpoint = options->endpoint,
		.allow_insecure = options->allow_insecure,
		.interrupts = &options->runtime->signal_count};
	struct results_queue_options queue = {.clock = options->runtime->clock,
		.db = options->db,
		.once = options->once,
		.trouble = on_trouble,
		.poisoned = on_poisoned,
		.finished = on_finished,
		.arg = sources};
	int err = connect_open(
		&sources->connect, &options->runtime->loop, queue.clock, &connect, error);

	if (err == 0)
		err = sqs_queue_new(sources->connect.client, options->results_url, &sources->sqs);
	if (err < 0)
		return err;
	queue.queue = sqs_queue_table(sources->sqs);
	err = results_queue_new(&queue, &sources->queue);
	if (err == 0)
		results_queue_start(sources->queue);
	return err;
}

int watch_sources_open(const struct watch_sources_options *options,
	struct watch_sources **ret_sources, struct buf *error)
{
	struct watch_sources *sources = calloc(1, sizeof(*sources));
	int err = 0;

	if (!sources)
		return ERR_NOMEM;
	sources->options = *options;
	*ret_sources = sources;
	if (options->results_url)
		err = open_queue(sources, error);
	else if (options->outcomes)
		err = results_logs_new(options->outcomes, options->db, &sources->logs);
	return err;
}

void watch_sources_close(struct watch_sources *sources)
{
	if (!sources)
		return;
	results_queue_free(sources->queue);
	results_logs_free(sources->logs);
	sqs_queue_free(sources->sqs);
	if (sources->options.results_url)
		connect_close(&sources->connect);
	free(sources);
}

void watch_sources_stop(struct watch_sources *sources)
{
	if (sources->queue)
		results_queue_stop(sources->queue);
	else
		sources->options.finished(sources->options.arg);
}

void watch_sources_turn(struct watch_sources *sources, bool *ret_more)
{
	struct buf error = BUF_INIT(1024);
	int err;

	*ret_more = false;
	if (!sources->logs)
		return;
	err = results_logs_read(sources->logs, ret_more, &error);
	sources->worked |= err == 0;
	set_trouble(
		sources, err, err < 0 && error.len == 0 ? error_message(err) : buf_string(&error));
	*ret_more &= err == 0;
	buf_free(&error);
}

const char *watch_sources_name(const struct watch_sources *sources)
{
	return sources->queue ? "queue" : "logs";
}

uint64_t watch_sources_unreadable(const struct watch_sources *sources)
{
	return sources->queue ? results_queue_counts(sources->queue).broken
			      : results_logs_broken(sources->logs);
}

int watch_sources_trouble(const struct watch_sources *sources, const char **ret_words)
{
	*ret_words = sources->words;
	return sources->trouble;
}

bool watch_sources_worked(const struct watch_sources *sources)
{
	return sources->queue ? results_queue_counts(sources->queue).answers > 0 : sources->worked;
}
