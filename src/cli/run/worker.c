#include "cli/run/worker.h"

#include "aws/sqs_queue.h"
#include "base/log.h"
#include "bunshin/error.h"
#include "cli/auth/auth.h"
#include "cli/connect.h"
#include "cli/destinations.h"
#include "cli/queue_probe.h"
#include "cli/run/connection_metrics.h"
#include "cli/run/event_log.h"
#include "cli/run/failure_notes.h"
#include "cli/run/outcomes.h"
#include "cli/run/sqs_metrics.h"
#include "cli/run/tracing.h"
#include "cli/run/worker_control.h"
#include "cli/run/worker_metrics.h"
#include "http/http_target.h"

#include <stdlib.h>
#include <string.h>

#define TRACING_FINISH_US UINT64_C(3000000)
#define VISIBILITY_UNKNOWN_S 60 /* for a queue whose own may not be read, or is 0 */

/* Until the queue has said what it is. */
static const struct backoff probe_backoff = {.base_ms = 200, .cap_ms = 20000};

struct worker {
	struct clock clock;
	const struct config *config;
	struct worker_hooks hooks;
	struct connect connect;
	struct credentials_watch credentials;
	struct sqs_queue *queue;
	struct sqs_queue *failure_queue;
	struct sqs_queue *results_queue;
	struct auth *auth;
	struct http_target **targets;
	struct metrics *metrics;
	struct host *host;
	struct destinations destinations;
	struct delivery *delivery;
	struct event_log events;
	struct failure_notes failures;
	struct outcomes *outcomes; /* NULL: they are not written down */
	struct tracing *tracing;   /* NULL: no spans are made */
	struct connection_metrics connections;
	struct counter *invalid_traces;
	uint64_t invalid_traces_shown;
	struct queue_call *asking;
	struct queue_probe *probe; /* before the first receive */
	struct clock_timer probe_again;
	unsigned probes_failed;
	struct worker_control *control;
	bool begun, stopped;
	bool may_begin; /* but for tokens that are still asked for */
	struct sqs_metrics sqs_metrics;
	struct worker_metrics own_metrics;
	void (*drain_done)(void *arg, size_t held);
	void *drain_arg;
	uint64_t drain_end_us;
	size_t drain_held;
	unsigned finishing; /* that what has drained waits for */
	void (*left_done)(void *arg, const struct worker_left *left);
	void *left_arg;
};

static void observe(void *arg, const struct delivery_event *event)
{
	struct worker *worker = arg;

	event_log_write(&worker->events, event);
	failure_notes_take(&worker->failures, event);
	if (worker->outcomes)
		outcomes_note(worker->outcomes, event);
	if (worker->tracing)
		tracing_note(worker->tracing, event);
	if (!worker->hooks.receive_result)
		return;
	if (event->kind == DELIVERY_QUEUE_FAILED && strcmp(event->operation, "receive") == 0)
		worker->hooks.receive_result(worker->hooks.arg, event->err, event->reason);
	else if (event->kind == DELIVERY_QUEUE_CONNECTED)
		worker->hooks.receive_result(worker->hooks.arg, 0, "");
}

static void left(void *arg, const struct queue_message *message, enum delivery_left how)
{
	const struct worker *worker = arg;

	tracing_left(worker->tracing, message, how);
}

static void before_delete(void *arg)
{
	const struct worker *worker = arg;

	outcomes_flush(worker->outcomes);
}

/* A record has all that SQS knows of a message (http/event_records.h). */
static bool sends_records(const struct config *config)
{
	for (size_t i = 0; i < config->destination_count; i++)
		if (config->destinations[i].batch.format == CONFIG_BATCH_RECORDS)
			return true;
	return false;
}

static int open_queues(struct worker *worker, uv_loop_t *loop, struct buf *error)
{
	const struct config *config = worker->config;
	const struct connect_options options = {.queue_url = config->queue.url,
		.endpoint = config->queue.endpoint,
		.allow_insecure = config->queue.allow_insecure_endpoint,
		.patient = true,
		.interrupts = worker->hooks.interrupts};
	int err = connect_open(&worker->connect, loop, worker->clock, &options, error);

	if (!err)
		err = sqs_queue_new(worker->connect.client, config->queue.url, &worker->queue);
	if (!err && config->queue.unwrap == CONFIG_UNWRAP_SNS)
		sqs_queue_set_unwrap(worker->queue, SQS_UNWRAP_SNS);
	if (!err)
		sqs_queue_set_all_attributes(worker->queue, sends_records(config));
	if (!err && config->queue.failure_url)
		err = sqs_queue_new(
			worker->connect.client, config->queue.failure_url, &worker->failure_queue);
	if (!err && config->queue.results_url)
		err = sqs_queue_new(
			worker->connect.client, config->queue.results_url, &worker->results_queue);
	return err;
}

static int open_outcomes(struct worker *worker)
{
	struct queue results = {0};

	if (!worker->config->outcomes.path)
		return 0;
	if (worker->results_queue)
		results = sqs_queue_table(worker->results_queue);
	return outcomes_new(
		worker->clock, worker->config, results, worker->metrics, &worker->outcomes);
}

static int open_tracing(struct worker *worker, uv_loop_t *loop)
{
	const struct config *config = worker->config;
	const char *endpoint = worker->connect.endpoint.endpoint.origin;

	worker->invalid_traces =
		metrics_counter(worker->metrics, "bunshin_trace_contexts_invalid_total",
			"Trace contexts of messages that were dropped for their form.", "");
	if (!worker->invalid_traces)
		return ERR_NOMEM;
	if (!config->tracing.endpoint)
		return 0;
	for (size_t i = 0; i < config->destination_count; i++)
		http_target_make_spans(worker->targets[i], (uint32_t)config->tracing.sample);
	return tracing_new(
		loop, worker->clock, config, endpoint, worker->metrics, &worker->tracing);
}

static int open_auth(struct worker *worker, uv_loop_t *loop, struct buf *error)
{
	const struct auth_options options = {.loop = loop,
		.clock = worker->clock,
		.config = worker->config,
		.tokens = &worker->host->token_file,
		.credentials = worker->connect.credentials,
		.region = worker->connect.endpoint.region};

	return auth_new(&options, &worker->auth, error);
}

static int open_targets(struct worker *worker, uv_loop_t *loop)
{
	const struct config *config = worker->config;
	const char *region = worker->connect.endpoint.region;
	char arn[SQS_QUEUE_ARN_SIZE] = "";
	int err = 0;

	sqs_queue_arn(config->queue.url, region, arn); /* of records; "" where the URL has none */

	worker->targets = calloc(config->destination_count, sizeof(*worker->targets));
	if (!worker->targets)
		return ERR_NOMEM;
	for (size_t i = 0; !err && i < config->destination_count; i++) {
		err = http_target_new(
			loop, worker->clock, &config->destinations[i], &worker->targets[i]);
		if (!err)
			http_target_set_signer(worker->targets[i], auth_signer(worker->auth, i));
		if (!err)
			err = http_target_set_queue(worker->targets[i], arn, region);
	}
	if (!err)
		err = connection_metrics_open(&worker->connections, worker->metrics, config);
	return err;
}

static int fill_destinations(struct worker *worker)
{
	const struct config *config = worker->config;
	int err = destinations_new(config, &worker->destinations);

	for (size_t i = 0; !err && i < config->destination_count; i++) {
		struct delivery_destination *row = &worker->destinations.rows[i];

		row->target = http_target_table(worker->targets[i]);
		row->control_cell = host_control_cell(worker->host, &config->destinations[i]);
		err = host_rate(worker->host, config, &config->destinations[i], &row->rate);
	}
	return err;
}

static int open_control(struct worker *worker)
{
	const struct worker_control_options options = {.clock = worker->clock,
		.client = worker->connect.client,
		.queue_url = worker->config->queue.url,
		.board = worker->hooks.board,
		.shown_on = worker->hooks.shown_on,
		.metrics = worker->metrics,
		.changed = worker->outcomes ? outcomes_control_changed : NULL,
		.arg = worker->outcomes};

	return worker_control_new(&options, &worker->control);
}

static int open_delivery(struct worker *worker)
{
	const struct config *config = worker->config;
	struct delivery_options options = {.clock = worker->clock,
		.queue = sqs_queue_table(worker->queue),
		.destination_count = config->destination_count,
		.receivers = (unsigned)config->queue.receivers,
		.wait_s = (unsigned)(config->queue.wait_ms / 1000),
		.visibility_s = VISIBILITY_UNKNOWN_S, /* until the queue was asked */
		.held_bytes = (size_t)config->queue.held_bytes,
		.fifo = sqs_queue_url_is_fifo(config->queue.url),
		.ledger = &worker->host->ledger,
		.fleet_hosts = (unsigned)config->fleet_hosts,
		.grace_ms = config->drain.grace_ms,
		.metrics = worker->metrics,
		.observer = {.notify = observe, .arg = worker},
		.wants_control = worker_control_wanted,
		.wants_control_arg = worker->control};
	int err;

	if (worker->outcomes)
		options.observer.before_delete = before_delete;
	if (worker->tracing)
		options.observer.left = left;
	if (worker->failure_queue) {
		options.failure_queue = sqs_queue_table(worker->failure_queue);
		options.failure_fifo = sqs_queue_url_is_fifo(config->queue.failure_url);
	}
	err = fill_destinations(worker);
	options.destinations = worker->destinations.rows;
	return err ? err : delivery_new(&options, &worker->delivery);
}

/* ---- the start: what the queue is and what may be done with it, before the first receive */

static unsigned visibility_of(const struct worker *worker, const struct queue_probe_result *result)
{
	if (worker->config->queue.visibility_ms)
		return (unsigned)(worker->config->queue.visibility_ms / 1000);
	if (result->attributes.err || result->counts.visibility_s == 0)
		return VISIBILITY_UNKNOWN_S;
	return result->counts.visibility_s;
}

static void learn(struct worker *worker, const struct queue_probe_result *result)
{
	unsigned visibility_s = visibility_of(worker, result);

	if (result->attributes.err)
		log_warn("the queue's attributes cannot be read",
			LOG_STR("reason", result->attributes.words),
			LOG_INT("visibility_s", visibility_s));
	else
		log_info("the queue was asked", LOG_INT("visibility_s", visibility_s),
			LOG_INT("waiting", result->counts.visible),
			LOG_INT("in_flight", result->counts.in_flight),
			LOG_INT("delayed", result->counts.delayed));
	delivery_set_visibility(worker->delivery, visibility_s);
}

/* Messages that could not be sent for want of a token would go back with a receive spent. */
static void begin(void *arg)
{
	struct worker *worker = arg;

	if (!worker->may_begin || worker->begun || worker->stopped || auth_is_waiting(worker->auth))
		return;
	worker->begun = true;
	delivery_start(worker->delivery);
	if (worker->hooks.begun)
		worker->hooks.begun(worker->hooks.arg);
}

static bool is_refused(const struct queue_probe_answer *answer)
{
	enum error_class class = error_class(answer->err);

	return class == ERROR_AUTH || class == ERROR_PERMANENT;
}

/*
 * Attributes that may not be read can be done without. A delete or a change that fails for another
 * reason than a refusal is repeated when there is one to make.
 */
static const struct queue_probe_answer *obstacle(const struct queue_probe_result *result)
{
	if (result->attributes.err && result->attributes.err != ERR_ACCESS_DENIED)
		return &result->attributes;
	if (is_refused(&result->delete))
		return &result->delete;
	return is_refused(&result->visibility) ? &result->visibility : NULL;
}

/* Asked again, unless whoever holds the hook makes it the end and says so. */
static void hindered(struct worker *worker, int err, const char *words)
{
	enum error_class class = error_class(err);
	int64_t delay_ms = backoff_delay_ms(
		&probe_backoff, worker->probes_failed++, clock_random(worker->clock));

	if (delay_ms < probe_backoff.base_ms)
		delay_ms = probe_backoff.base_ms;
	if (class != ERROR_AUTH && class != ERROR_PERMANENT)
		log_warn("not receiving yet: the queue does not answer", LOG_ERR(err),
			LOG_STR("reason", words), LOG_INT("retry_in_ms", delay_ms));
	clock_timer_after(worker->clock, &worker->probe_again, (uint64_t)delay_ms * 1000);
	if (worker->hooks.receive_result)
		worker->hooks.receive_result(worker->hooks.arg, err, words);
}

static void control_known(void *arg, int err, const char *words)
{
	struct worker *worker = arg;

	if (worker->stopped)
		return;
	worker->may_begin = err == 0;
	if (err)
		hindered(worker, err, words);
	else
		begin(worker);
}

static void probed(void *arg, const struct queue_probe_result *result)
{
	const struct queue_probe_answer *answer = obstacle(result);
	struct worker *worker = arg;

	worker->probe = NULL;
	if (answer) {
		hindered(worker, answer->err, answer->words);
		return;
	}
	learn(worker, result);
	worker_control_begin(worker->control, worker->delivery, control_known, worker);
}

static void probe(struct worker *worker)
{
	int err = queue_probe_start(
		sqs_queue_table(worker->queue), QUEUE_PROBE_ALL, probed, worker, &worker->probe);

	if (err)
		hindered(worker, err, error_message(err));
}

static void probe_again(struct clock_timer *timer)
{
	probe((struct worker *)(void *)((char *)timer - offsetof(struct worker, probe_again)));
}

static void stop_probing(struct worker *worker)
{
	worker->stopped = true;
	queue_probe_cancel(worker->probe);
	worker->probe = NULL;
	clock_timer_clear(worker->clock, &worker->probe_again);
}

int worker_new(uv_loop_t *loop, struct clock clock, const struct config *config, struct host *host,
	struct metrics *metrics, const struct worker_hooks *hooks, struct worker **ret_worker,
	struct buf *error)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int err;

	if (!worker)
		return ERR_NOMEM;
	worker->clock = clock;
	worker->config = config;
	worker->host = host;
	worker->metrics = metrics;
	worker->hooks = *hooks;
	event_log_init(&worker->events, clock);
	failure_notes_init(&worker->failures, clock);
	err = open_queues(worker, loop, error);
	if (!err)
		err = credentials_watch_open(
			&worker->credentials, worker->connect.credentials, worker->metrics);
	if (!err)
		err = sqs_metrics_open(&worker->sqs_metrics, worker->metrics, "worker");
	if (!err)
		err = worker_metrics_open(
			&worker->own_metrics, worker->metrics, worker->clock, &host->ledger);
	if (!err)
		err = open_auth(worker, loop, error);
	if (!err)
		err = open_targets(worker, loop);
	if (!err)
		err = open_tracing(worker, loop);
	if (!err)
		err = open_outcomes(worker);
	if (!err)
		err = open_control(worker);
	if (!err)
		err = open_delivery(worker);
	if (!err && worker->outcomes)
		outcomes_watch(worker->outcomes, worker->delivery, config->destination_count);
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
	worker->probe_again.fire = probe_again;
	auth_observe(worker->auth, begin, worker);
	probe(worker);
}

static void finished(void *arg)
{
	struct worker *worker = arg;

	if (--worker->finishing == 0)
		worker->drain_done(worker->drain_arg, worker->drain_held);
}

/* The spans that wait are worth a moment of what is left of the grace. */
static void finish_tracing(struct worker *worker)
{
	uint64_t until_us = clock_monotonic_us(worker->clock) + TRACING_FINISH_US;

	if (until_us > worker->drain_end_us)
		until_us = worker->drain_end_us;
	worker->finishing++;
	tracing_finish(worker->tracing, until_us, finished, worker);
}

static void drained(void *arg, size_t held)
{
	struct worker *worker = arg;

	worker->drain_held = held;
	worker->finishing = 1; /* this function */
	if (worker->outcomes) {
		worker->finishing++;
		outcomes_finish(worker->outcomes, worker->drain_end_us, finished, worker);
	}
	if (worker->tracing)
		finish_tracing(worker);
	finished(worker);
}

void worker_drain(struct worker *worker, void (*done)(void *arg, size_t held), void *arg)
{
	worker->drain_done = done;
	worker->drain_arg = arg;
	worker->drain_end_us =
		clock_monotonic_us(worker->clock) + (uint64_t)worker->config->drain.grace_ms * 1000;
	stop_probing(worker);
	delivery_drain(worker->delivery, drained, worker);
}

void worker_close(struct worker *worker)
{
	if (!worker)
		return;
	stop_probing(worker);
	if (worker->asking)
		sqs_call_cancel(worker->connect.client, worker->asking);
	worker_control_free(worker->control);
	delivery_free(worker->delivery);
	event_log_close(&worker->events);
	tracing_free(worker->tracing);
	outcomes_free(worker->outcomes);
	connection_metrics_close(&worker->connections);
	for (size_t i = 0; worker->targets && i < worker->config->destination_count; i++)
		http_target_close(worker->targets[i]);
	free(worker->targets);
	auth_free(worker->auth);
	destinations_free(&worker->destinations);
	sqs_queue_free(worker->queue);
	sqs_queue_free(worker->failure_queue);
	sqs_queue_free(worker->results_queue);
	connect_close(&worker->connect);
	free(worker);
}

const struct delivery *worker_delivery(const struct worker *worker)
{
	return worker->delivery;
}

void worker_get_work(struct worker *worker, struct delivery_work *ret_work)
{
	delivery_get_work(worker->delivery, ret_work);
}

static void show_traces(struct worker *worker)
{
	uint64_t invalid = 0;

	for (size_t i = 0; i < worker->config->destination_count; i++)
		invalid += http_target_invalid_traces(worker->targets[i]);
	counter_add(worker->invalid_traces, invalid - worker->invalid_traces_shown);
	worker->invalid_traces_shown = invalid;
}

void worker_show(struct worker *worker)
{
	delivery_show(worker->delivery);
	worker_control_show(worker->control);
	credentials_watch_show(&worker->credentials);
	sqs_metrics_show(&worker->sqs_metrics, worker->connect.client);
	worker_metrics_show(&worker->own_metrics);
	connection_metrics_show(&worker->connections, worker->targets);
	show_traces(worker);
	if (worker->outcomes)
		outcomes_show(worker->outcomes);
}

const struct credentials_watch *worker_credentials(const struct worker *worker)
{
	return &worker->credentials;
}

const struct failures *worker_new_failures(struct worker *worker)
{
	bool changed = worker->failures.changed;

	worker->failures.changed = false;
	return changed ? &worker->failures.failures : NULL;
}

bool worker_has_begun(const struct worker *worker)
{
	return worker->begun;
}

size_t worker_open_breakers(const struct worker *worker, struct buf *names)
{
	size_t open = 0;

	for (size_t i = 0; i < worker->config->destination_count; i++) {
		if (!delivery_breaker_is_open(worker->delivery, i))
			continue;
		buf_appendf(names, "%s%s%s", open > 0 ? ", " : "",
			worker->config->destinations[i].name,
			delivery_quota_is_used_up(worker->delivery, i) ? " (its quota is used up)"
								       : "");
		open++;
	}
	return open;
}

static void counted(
	void *arg, const struct sqs_outcome *outcome, const struct queue_attributes *counts)
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
	return sqs_get_attributes(worker->connect.client, worker->config->queue.url, counted,
		worker, &worker->asking);
}
