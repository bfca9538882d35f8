#include "cli/run/tracing.h"

#include "base/list.h"
#include "base/log.h"
#include "base/units.h"
#include "bunshin/error.h"
#include "cli/run/tracing_client.h"
#include "config/url.h"
#include "delivery/message.h"
#include "tracing/carrier.h"
#include "tracing/exporter.h"
#include "tracing/span.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUCKETS 1024
#define RESOURCE_OWN 5 /* attributes besides the configured ones */
/* Under construction at once: each takes less than this of what may wait to be sent. */
#define OPEN_BYTES 1024
#define TELL_US UINT64_C(60000000) /* trouble is logged so often */

/* A span under construction; what the message itself says is read when it is finished. */
struct open {
	struct list node; /* in its bucket */
	const struct queue_message *message;
	const char *outcome;
	bool failed;
	uint64_t received_us;
	const char *destination; /* the configuration's; "": none */
	const struct span_server *server;
	uint64_t attempt_us; /* 0: there was no attempt */
	uint64_t duration_us;
	int status;
	const char *error_class;
	char error_type[32];
	char words[SPAN_TEXT_SIZE], request_id[SPAN_TEXT_SIZE];
};

struct tracing {
	struct clock clock;
	const struct config *config;
	uint32_t share;
	struct tracing_client *client;
	struct exporter *exporter;
	struct span_source source;
	struct span_server *servers; /* of each destination */
	struct list buckets[BUCKETS];
	size_t open_count, open_max;
	bool told; /* of trouble, then */
	uint64_t told_us, left_out;
};

/* ---- under construction */

static struct list *bucket_of(struct tracing *tracing, const struct queue_message *message)
{
	/* Messages lie side by side, each a good hundred bytes long. */
	return &tracing->buckets[((uintptr_t)message * UINT64_C(0x9e3779b97f4a7c15)) >> 54];
}

static struct open *find(struct tracing *tracing, const struct queue_message *message)
{
	if (tracing->open_count == 0)
		return NULL;
	list_for_each (node, bucket_of(tracing, message)) {
		struct open *open = list_entry(node, struct open, node);

		if (open->message == message)
			return open;
	}
	return NULL;
}

static void find_destination(struct tracing *tracing, struct open *open, const char *name)
{
	open->destination = "";
	for (size_t i = 0; i < tracing->config->destination_count; i++) {
		if (strcmp(tracing->config->destinations[i].name, name) != 0)
			continue;
		open->destination = tracing->config->destinations[i].name;
		open->server = &tracing->servers[i];
		return;
	}
}

/* NULL: no memory, or no room; counted. */
static struct open *open_new(struct tracing *tracing, const struct delivery_event *event)
{
	bool is_full = tracing->open_count >= tracing->open_max;
	struct open *open = is_full ? NULL : calloc(1, sizeof(*open));

	if (!open) {
		exporter_miss(tracing->exporter, is_full);
		return NULL;
	}
	open->message = event->message;
	open->received_us = event->received_us;
	open->error_class = "";
	find_destination(tracing, open, event->destination);
	list_append(bucket_of(tracing, event->message), &open->node);
	tracing->open_count++;
	return open;
}

static void open_free(struct tracing *tracing, struct open *open)
{
	list_remove(&open->node);
	tracing->open_count--;
	free(open);
}

/* ---- from events */

static const struct row {
	const char *outcome; /* as bunshin_messages_total has it; NULL: it ends nothing */
	bool failed;
} rows[] = {
	[DELIVERY_ACCEPTED] = {"accepted", false},
	[DELIVERY_SUPPRESSED] = {"suppressed", false},
	[DELIVERY_ATTEMPT_FAILED] = {"retried", true},
	[DELIVERY_FAILED] = {"failed", true},
	[DELIVERY_FAILED_COPIED] = {"failed", true},
	[DELIVERY_FAILED_LEFT] = {"failed_left", true},
	[DELIVERY_EXPIRED] = {"expired", true},
	[DELIVERY_CANCELLED] = {"cancelled", false},
	[DELIVERY_LOST] = {"lost", true},
};

static const struct row *row_of(enum delivery_event_kind kind)
{
	return (size_t)kind < sizeof(rows) / sizeof(rows[0]) && rows[kind].outcome ? &rows[kind]
										   : NULL;
}

static void note_attempt(struct open *open, const struct delivery_event *event)
{
	const struct target_result *result = event->result;

	open->attempt_us = event->attempt_us;
	open->duration_us = result->duration_us;
	open->status = result->err ? 0 : result->status;
	open->error_class = result->err ? error_class_name(error_class(result->err)) : "";
	span_text(open->request_id, result->request_id, strlen(result->request_id));
}

static void note_failure(
	struct open *open, const struct row *row, const struct delivery_event *event)
{
	const struct target_result *result = event->result;
	int err = result ? result->err : event->err;
	char answer[48];

	if (err)
		snprintf(open->error_type, sizeof(open->error_type), "%s", error_name(err));
	else if (result)
		snprintf(open->error_type, sizeof(open->error_type), "%d", result->status);
	else
		snprintf(open->error_type, sizeof(open->error_type), "%s", row->outcome);
	if (event->reason[0]) {
		span_text(open->words, event->reason, strlen(event->reason));
	} else if (result) {
		snprintf(answer, sizeof(answer), "the provider answered %d", result->status);
		span_text(open->words, answer, strlen(answer));
	}
}

static void note_more(struct open *open, const struct row *row, const struct delivery_event *event)
{
	/* What was known before it was lost still holds, unless the copy of a failure was. */
	if (event->kind == DELIVERY_LOST && open->outcome && strcmp(open->outcome, "failed") != 0) {
		open->failed = true;
		if (!open->words[0])
			span_text(open->words, "its visibility ran out before its delete", 40);
		if (!open->error_type[0])
			strcpy(open->error_type, "lost");
		return;
	}
	open->outcome = row->outcome;
	open->failed = row->failed;
	/* Of a copied failure the attempt is known from before, and in full. */
	if (event->result && event->attempt_us && !open->attempt_us)
		note_attempt(open, event);
	if (row->failed && event->kind != DELIVERY_FAILED_COPIED)
		note_failure(open, row, event);
}

void tracing_note(struct tracing *tracing, const struct delivery_event *event)
{
	const struct row *row = row_of(event->kind);
	struct open *open;

	if (!row || !event->message)
		return;
	open = find(tracing, event->message);
	if (!open && !trace_is_sampled(event->message, tracing->share))
		return;
	if (!open)
		open = open_new(tracing, event);
	if (open)
		note_more(open, row, event);
}

/* ---- into a span */

static void read_campaign(const struct queue_message *message, char text[SPAN_TEXT_SIZE])
{
	const struct queue_attribute *campaign = message_attribute(message, "Campaign");

	text[0] = '\0';
	if (campaign)
		span_text(text, campaign->value, campaign->value_bytes);
}

/* All instants go back from one reading of both clocks. */
struct now {
	int64_t epoch_ns;
	uint64_t us;
};

static int64_t epoch_ns_of(struct now now, uint64_t at_us)
{
	return now.epoch_ns - (int64_t)(now.us - at_us) * 1000;
}

static void fill(const struct open *open, struct now now, struct span *span)
{
	const struct queue_message *message = open->message;
	struct trace_carrier carrier;
	struct trace_course course;

	trace_carrier_read(message, &carrier);
	trace_course_take(&carrier, message, TRACE_SAMPLE_ALL, &course);
	*span = (struct span){.context = course.context,
		.tracestate = carrier.tracestate,
		.tracestate_bytes = carrier.tracestate_bytes,
		.start_epoch_ns = epoch_ns_of(now, open->received_us),
		.end_epoch_ns = now.epoch_ns,
		.message_id = message->message_id,
		.destination = open->destination,
		.body_bytes = message->body_bytes,
		.receive_count = message->receive_count,
		.queue_wait_ms = -1,
		.outcome = open->outcome,
		.failed = open->failed,
		.words = open->words,
		.error_type = open->error_type,
		.attempted = open->attempt_us != 0,
		.attempt = {.start_epoch_ns = epoch_ns_of(now, open->attempt_us),
			.duration_us = open->duration_us,
			.status = open->status,
			.server = open->server,
			.error_type = open->error_type,
			.error_class = open->error_class,
			.request_id = open->request_id}};
	memcpy(span->id, course.span_id, SPAN_ID_BYTES);
	if (message->sent_epoch_ms > 0)
		span->queue_wait_ms = span->start_epoch_ns / 1000000 - message->sent_epoch_ms;
}

static void finish_span(struct tracing *tracing, struct open *open, const char *settled)
{
	const struct now now = {.epoch_ns = clock_wall_epoch_ms(tracing->clock) * 1000000,
		.us = clock_monotonic_us(tracing->clock)};
	char campaign[SPAN_TEXT_SIZE];
	struct span span;

	fill(open, now, &span);
	read_campaign(open->message, campaign);
	span.campaign = campaign;
	span.settled = settled;
	exporter_add(tracing->exporter, &span, &tracing->source);
	open_free(tracing, open);
}

void tracing_left(
	struct tracing *tracing, const struct queue_message *message, enum delivery_left how)
{
	static const char *const settled[] = {[DELIVERY_LEFT_DELETED] = "deleted",
		[DELIVERY_LEFT_RETURNED] = "returned",
		[DELIVERY_LEFT_LOST] = "lost",
		[DELIVERY_LEFT_DROPPED] = "held"};
	struct open *open = find(tracing, message);

	if (open)
		finish_span(tracing, open, settled[how]);
}

/* ---- life */

static void trouble(void *arg, int err, int status, const char *words)
{
	struct tracing *tracing = arg;
	uint64_t now_us = clock_monotonic_us(tracing->clock);

	if (tracing->told && now_us - tracing->told_us < TELL_US) {
		tracing->left_out++;
		return;
	}
	tracing->told = true;
	tracing->told_us = now_us;
	log_warn("spans cannot be sent to the collector; deliveries go on",
		LOG_STR("endpoint", tracing->config->tracing.endpoint),
		err ? LOG_STR("error", error_name(err)) : LOG_INT("status", status),
		LOG_STR("reason", words[0] ? words : NULL), LOG_INT("left_out", tracing->left_out));
	tracing->left_out = 0;
}

static int open_exporter(struct tracing *tracing, struct metrics *metrics)
{
	const struct config *config = tracing->config;
	struct otlp_attribute resource[CONFIG_PAIRS_MAX + RESOURCE_OWN];
	size_t count = 0;
	char host[256] = "", instance[300], pid[16];

	gethostname(host, sizeof(host) - 1);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	snprintf(instance, sizeof(instance), "%s:%s", host, pid);
	/* The first of a name holds. */
	for (size_t i = 0; i < config->tracing.resource.count; i++) {
		const struct config_pair *pair = &config->tracing.resource.rows[i];

		resource[count++] = (struct otlp_attribute){pair->name, pair->value};
	}
	resource[count++] = (struct otlp_attribute){"service.name", config->tracing.service_name};
	resource[count++] = (struct otlp_attribute){"service.version", BUNSHIN_VERSION};
	resource[count++] = (struct otlp_attribute){"service.instance.id", instance};
	resource[count++] = (struct otlp_attribute){"host.name", host};
	return exporter_new(&(const struct exporter_options){.clock = tracing->clock,
				    .metrics = metrics,
				    .transport = tracing_client_transport(tracing->client),
				    .resource = resource,
				    .resource_count = count,
				    .batch_spans = (unsigned)config->tracing.batch,
				    .interval_ms = config->tracing.interval_ms,
				    .queue_bytes = (size_t)config->tracing.queue_bytes,
				    .trouble = trouble,
				    .arg = tracing},
		&tracing->exporter);
}

static int find_servers(struct tracing *tracing, const char *queue_endpoint)
{
	const struct config *config = tracing->config;
	const char *slash = strrchr(config->queue.url, '/');

	struct span_server queue;
	int err;

	span_server_of(queue_endpoint, &queue);
	err = span_source_init(
		&tracing->source, slash ? slash + 1 : config->queue.url, config->queue.url, &queue);
	if (err)
		return err;
	tracing->servers = calloc(config->destination_count, sizeof(*tracing->servers));
	if (!tracing->servers)
		return ERR_NOMEM;
	for (size_t i = 0; i < config->destination_count; i++) {
		const char *url = template_source(config->destinations[i].request.url);

		/* Each message may have another. */
		span_server_of(url_template_chooses_host(url) ? "" : url, &tracing->servers[i]);
	}
	return 0;
}

int tracing_new(uv_loop_t *loop, struct clock clock, const struct config *config,
	const char *queue_endpoint, struct metrics *metrics, struct tracing **ret_tracing)
{
	struct tracing *tracing = calloc(1, sizeof(*tracing));
	char share[UNITS_TEXT_MAX];
	int err;

	if (!tracing)
		return ERR_NOMEM;
	tracing->clock = clock;
	tracing->config = config;
	tracing->share = (uint32_t)config->tracing.sample;
	tracing->open_max = (size_t)config->tracing.queue_bytes / OPEN_BYTES;
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&tracing->buckets[i]);
	err = find_servers(tracing, queue_endpoint);
	if (!err)
		err = tracing_client_new(loop, clock, config, &tracing->client);
	if (!err)
		err = open_exporter(tracing, metrics);
	if (err) {
		tracing_free(tracing);
		return err;
	}
	log_info("spans go to a collector", LOG_STR("endpoint", config->tracing.endpoint),
		LOG_STR("sample", units_format_share(config->tracing.sample, share)));
	*ret_tracing = tracing;
	return 0;
}

static struct open *any_open(struct tracing *tracing)
{
	for (size_t i = 0; tracing->open_count > 0 && i < BUCKETS; i++)
		if (!list_is_empty(&tracing->buckets[i]))
			return list_entry(list_first(&tracing->buckets[i]), struct open, node);
	return NULL;
}

void tracing_finish(struct tracing *tracing, uint64_t until_us, void (*done)(void *arg), void *arg)
{
	struct open *open;

	while ((open = any_open(tracing)))
		finish_span(tracing, open, "held");
	exporter_finish(tracing->exporter, until_us, done, arg);
}

void tracing_free(struct tracing *tracing)
{
	struct open *open;

	if (!tracing)
		return;
	while ((open = any_open(tracing)))
		open_free(tracing, open);
	exporter_free(tracing->exporter);
	tracing_client_free(tracing->client);
	span_source_free(&tracing->source);
	free(tracing->servers);
	free(tracing);
}
