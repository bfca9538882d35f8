#include "cli/worker.h"

#include "aws/sqs_queue.h"
#include "bunshin/error.h"
#include "cli/connect.h"
#include "cli/destinations.h"
#include "cli/event_log.h"
#include "cli/host.h"
#include "http/http_target.h"

#include <stdlib.h>
#include <string.h>

struct worker {
	struct clock clock;
	const struct config *config;
	struct worker_hooks hooks;
	struct connect connect;
	struct sqs_queue *queue;
	struct sqs_queue *failure_queue;
	struct http_target **targets;
	struct metrics *metrics;
	struct host host;
	struct destinations destinations;
	struct delivery *delivery;
	struct event_log events;
	struct queue_call *asking;
	void (*left_done)(void *arg, const struct worker_left *left);
	void *left_arg;
};

static void observe(void *arg, const struct delivery_event *event)
{
	struct worker *worker = arg;

	event_log_write(&worker->events, event);
	if (!worker->hooks.receive_result)
		return;
	if (event->kind == DELIVERY_QUEUE_FAILED && strcmp(event->operation, "receive") == 0)
		worker->hooks.receive_result(worker->hooks.arg, event->err, event->reason);
	else if (event->kind == DELIVERY_QUEUE_CONNECTED)
		worker->hooks.receive_result(worker->hooks.arg, 0, "");
}

static int open_queues(struct worker *worker, uv_loop_t *loop, struct buf *error)
{
	const struct config *config = worker->config;
	int err;

	err = connect_open(&worker->connect, loop, worker->clock, config->queue.url,
		config->queue.endpoint, error);
	if (!err)
		err = sqs_queue_new(worker->connect.client, config->queue.url, &worker->queue);
	if (!err && config->queue.failure_url)
		err = sqs_queue_new(
			worker->connect.client, config->queue.failure_url, &worker->failure_queue);
	return err;
}

static int open_targets(struct worker *worker, uv_loop_t *loop)
{
	const struct config *config = worker->config;
	int err = 0;

	worker->targets = calloc(config->destination_count, sizeof(*worker->targets));
	if (!worker->targets)
		return ERR_NOMEM;
	for (size_t i = 0; !err && i < config->destination_count; i++)
		err = http_target_new(
			loop, worker->clock, &config->destinations[i], &worker->targets[i]);
	return err;
}

static int fill_destinations(struct worker *worker)
{
	const struct config *config = worker->config;
	int err = destinations_new(config, &worker->destinations);

	for (size_t i = 0; !err && i < config->destination_count; i++) {
		struct delivery_destination *row = &worker->destinations.rows[i];

		row->target = http_target_table(worker->targets[i]);
		err = host_rate(&worker->host, config, &config->destinations[i], &row->rate);
	}
	return err;
}

static bool is_fifo(const char *queue_url)
{
	static const char suffix[] = ".fifo";
	size_t n = strlen(queue_url), len = sizeof(suffix) - 1;

	return n > len && strcmp(queue_url + n - len, suffix) == 0;
}

static int open_delivery(struct worker *worker)
{
	const struct config *config = worker->config;
	struct delivery_options options = {.clock = worker->clock,
		.queue = sqs_queue_table(worker->queue),
		.destination_count = config->destination_count,
		.receivers = (unsigned)config->queue.receivers,
		.wait_s = (unsigned)(config->queue.wait_ms / 1000),
		.visibility_s = (unsigned)(config->queue.visibility_ms / 1000),
		.held_bytes = (size_t)config->queue.held_bytes,
		.fifo = is_fifo(config->queue.url),
		.ledger = &worker->host.ledger,
		.grace_ms = config->drain.grace_ms,
		.metrics = worker->metrics,
		.observer = {.notify = observe, .arg = worker}};
	int err;

	if (worker->failure_queue) {
		options.failure_queue = sqs_queue_table(worker->failure_queue);
		options.failure_fifo = is_fifo(config->queue.failure_url);
	}
	err = fill_destinations(worker);
	options.destinations = worker->destinations.rows;
	return err ? err : delivery_new(&options, &worker->delivery);
}

int worker_new(uv_loop_t *loop, struct clock clock, const struct config *config,
	const struct worker_hooks *hooks, struct worker **ret_worker, struct buf *error)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int err;

	if (!worker)
		return ERR_NOMEM;
	worker->clock = clock;
	worker->config = config;
	worker->hooks = *hooks;
	event_log_init(&worker->events, clock);
	worker->metrics = metrics_new();
	err = worker->metrics ? 0 : ERR_NOMEM;
	if (!err)
		err = open_queues(worker, loop, error);
	if (!err)
		err = open_targets(worker, loop);
	if (!err)
		err = host_open(&worker->host, config, error);
	if (!err)
		err = open_delivery(worker);
	if (err) {
		if (error->len == 0)
			buf_append_string(error, error_message(err));
		worker_close(worker);
		return err;
	}
	*ret_worker = worker;
	return 0;
}

void worker_start(struct worker *worker)
{
	delivery_start(worker->delivery);
}

void worker_drain(struct worker *worker, void (*done)(void *arg, size_t held), void *arg)
{
	delivery_drain(worker->delivery, done, arg);
}

void worker_close(struct worker *worker)
{
	if (!worker)
		return;
	if (worker->asking)
		sqs_call_cancel(worker->connect.client, worker->asking);
	delivery_free(worker->delivery);
	for (size_t i = 0; worker->targets && i < worker->config->destination_count; i++)
		http_target_close(worker->targets[i]);
	free(worker->targets);
	destinations_free(&worker->destinations);
	host_close(&worker->host);
	sqs_queue_free(worker->queue);
	sqs_queue_free(worker->failure_queue);
	connect_close(&worker->connect);
	metrics_free(worker->metrics);
	free(worker);
}

const struct delivery *worker_delivery(const struct worker *worker)
{
	return worker->delivery;
}

uint64_t worker_queue_requests(const struct worker *worker)
{
	return sqs_client_requests(worker->connect.client);
}

static void counted(void *arg, const struct sqs_outcome *outcome, const struct sqs_counts *counts)
{
	struct worker *worker = arg;
	struct worker_left left = {.err = outcome->err,
		.detail = outcome->detail,
		.held = delivery_held(worker->delivery)};

	worker->asking = NULL;
	if (!outcome->err)
		left.in_queue = counts->visible + counts->in_flight + counts->delayed;
	worker->left_done(worker->left_arg, &left);
}

int worker_ask_left(
	struct worker *worker, void (*done)(void *arg, const struct worker_left *left), void *arg)
{
	worker->left_done = done;
	worker->left_arg = arg;
	return sqs_get_counts(worker->connect.client, worker->config->queue.url, counted, worker,
		&worker->asking);
}
