/* What `bunshin check --probe` found out, as text or as one JSON object, and its exit code. */
#include "aws/credentials.h"
#include "base/log.h"
#include "base/units.h"
#include "bunshin/error.h"
#include "cli/cli.h"
#include "cli/probe.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES ((size_t)16 << 10)

/* ---- what is wrong, and what should be known */

typedef void visitor(void *arg, int err, const char *subject, const char *words);

static void visit_answer(const struct probe_queue *queue, const struct queue_probe_answer *answer,
	visitor *visit, void *arg)
{
	if (queue->asked && answer->err && answer->err != ERR_PENDING)
		visit(arg, answer->err, queue->url,
			answer->words[0] ? answer->words : error_message(answer->err));
}

/* A worker only sends to it, and may well not be allowed anything else. */
static bool is_closed(const struct probe_queue *queue)
{
	return queue->asked && queue->result.attributes.err == ERR_ACCESS_DENIED;
}

/* The queues that a worker sends to. */
#define SENT_TO 2

static const struct probe_queue *sent_to_of(const struct probe_findings *findings, size_t i)
{
	return i == 0 ? &findings->failure_queue : &findings->results_queue;
}

static void each_refusal(const struct probe_findings *findings, visitor *visit, void *arg)
{
	const struct probe_destinations *destinations = &findings->destinations;

	for (size_t i = 0; i < destinations->count; i++)
		if (destinations->rows[i].err)
			visit(arg, destinations->rows[i].err, destinations->rows[i].name,
				destinations->rows[i].words);
}

static void each_error(const struct probe_findings *findings, visitor *visit, void *arg)
{
	const struct queue_probe_result *queue = &findings->queue.result;

	if (findings->connect_err)
		visit(arg, findings->connect_err, NULL, buf_string(&findings->connect_words));
	visit_answer(&findings->queue, &queue->attributes, visit, arg);
	visit_answer(&findings->queue, &queue->delete, visit, arg);
	visit_answer(&findings->queue, &queue->visibility, visit, arg);
	for (size_t i = 0; i < SENT_TO; i++) {
		const struct probe_queue *sent_to = sent_to_of(findings, i);

		if (!is_closed(sent_to))
			visit_answer(sent_to, &sent_to->result.attributes, visit, arg);
	}
	each_refusal(findings, visit, arg);
}

static void each_note(const struct probe_findings *findings, visitor *visit, void *arg)
{
	if (findings->identity_words.len > 0)
		visit(arg, 0, "STS", buf_string(&findings->identity_words));
	/* A worker does without. */
	if (findings->tags.err && findings->tags.err != ERR_PENDING)
		visit(arg, 0, findings->queue.url, findings->tags.words);
	for (size_t i = 0; i < SENT_TO; i++) {
		const struct probe_queue *sent_to = sent_to_of(findings, i);

		if (is_closed(sent_to))
			visit_answer(sent_to, &sent_to->result.attributes, visit, arg);
	}
}

/* What was refused weighs more than what was not there. */
static void weigh(void *arg, int err, const char *subject, const char *words)
{
	int *code = arg;
	int own = cli_exit_code(err);

	if (*code == CLI_DONE || *code == CLI_TEMPORARY)
		*code = subject && own == CLI_USAGE ? CLI_FAILED : own;
}

int probe_exit_code(const struct probe_findings *findings)
{
	int code = CLI_DONE;

	each_error(findings, weigh, &code);
	return code;
}

/* ---- as text */

/* Neither a secret nor anything that drives a terminal. */
static void clean(char *text)
{
	log_redact(text);
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

static void print_line(FILE *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void print_line(FILE *stream, const char *format, ...)
{
	struct buf line = BUF_INIT(LINE_MAX_BYTES);
	va_list args;

	va_start(args, format);
	buf_vappendf(&line, format, args);
	va_end(args);
	if (line.len > 0)
		clean(line.data);
	fprintf(stream, "%s\n", buf_string(&line));
	buf_free(&line);
}

#define ROW(label, format, ...) print_line(stdout, "%-18s " format, label, __VA_ARGS__)

/* "in 5h59m", "in 12m", "in 40s", "12m ago" */
static void span_text(int64_t ms, char text[64])
{
	int64_t s = (ms < 0 ? -ms : ms) / 1000;
	char span[48];

	if (s >= 3600)
		snprintf(span, sizeof(span), "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
	else if (s >= 60)
		snprintf(span, sizeof(span), "%" PRId64 "m", s / 60);
	else
		snprintf(span, sizeof(span), "%" PRId64 "s", s);
	snprintf(text, 64, ms < 0 ? "%s ago" : "in %s", span);
}

static void print_credentials(const struct probe_findings *findings)
{
	const struct credentials_status *status = credentials_status(findings->connect.credentials);
	char time[UNITS_TEXT_MAX], span[64];

	ROW("credentials", "from: %s", status->source);
	if (status->account_id[0])
		ROW("account", "%s", status->account_id);
	if (status->principal[0])
		ROW("principal", "%s", status->principal);
	if (status->expires_epoch_ms) {
		span_text(status->expires_epoch_ms - findings->now_epoch_ms, span);
		ROW("good until", "%s (%s)", units_format_rfc3339(status->expires_epoch_ms, time),
			span);
	} else {
		ROW("good until", "%s", "they do not expire");
	}
	if (findings->identity_known)
		ROW("confirmed by STS", "account %s, %s", findings->identity.account_id,
			findings->identity.arn);
}

static const char *permission_text(const struct queue_probe_answer *answer)
{
	return !answer->err ? "permitted" : answer->err == ERR_PENDING ? "not asked" : "NO";
}

static void print_queue(const char *label, const struct probe_queue *queue)
{
	const struct queue_attributes *counts = &queue->result.counts;

	ROW(label, "%s", queue->url);
	if (!queue->asked || queue->result.attributes.err)
		return;
	ROW("", "%" PRId64 " visible, %" PRId64 " in flight, %" PRId64 " delayed", counts->visible,
		counts->in_flight, counts->delayed);
	ROW("", "visibility timeout %us", counts->visibility_s);
}

struct printer {
	const char *path;
};

static void print_error(void *arg, int err, const char *subject, const char *words)
{
	const struct printer *printer = arg;

	print_line(stderr, "%s: %s%s%s", printer->path, subject ? subject : "", subject ? ": " : "",
		words);
}

static void print_note(void *arg, int err, const char *subject, const char *words)
{
	const struct printer *printer = arg;

	print_line(stderr, "%s: note: %s: %s", printer->path, subject, words);
}

void probe_print_text(const struct probe_findings *findings)
{
	const struct endpoint_choice *endpoint = &findings->connect.endpoint;
	struct printer printer = {findings->path};

	if (!findings->connect_err)
		print_credentials(findings);
	if (endpoint->named_by) {
		ROW("region", "%s (%s)", endpoint->region, endpoint->region_named_by);
		ROW("endpoint", "%s (%s)", endpoint->endpoint.origin, endpoint->named_by);
	}
	print_queue("queue", &findings->queue);
	if (findings->queue.asked) {
		ROW("delete", "%s", permission_text(&findings->queue.result.delete));
		ROW("change visibility", "%s", permission_text(&findings->queue.result.visibility));
		ROW("read tags", "%s", permission_text(&findings->tags));
	}
	if (findings->failure_queue.url)
		print_queue("failure queue", &findings->failure_queue);
	if (findings->results_queue.url)
		print_queue("results queue", &findings->results_queue);
	for (size_t i = 0; i < findings->destinations.count; i++) {
		const struct probe_destination *row = &findings->destinations.rows[i];

		ROW("destination", "%s: %s %s", row->name, row->auth,
			row->err ? "does NOT sign" : "signs");
	}
	fflush(stdout);
	each_error(findings, print_error, &printer);
	each_note(findings, print_note, &printer);
	if (probe_exit_code(findings) == CLI_DONE)
		print_line(stderr, "%s: OK", findings->path);
}

/* ---- as JSON; what memory is too short for is left out */

static void add_text(cJSON *object, const char *key, const char *text)
{
	char *copy = text && text[0] ? strdup(text) : NULL;

	if (copy) {
		clean(copy);
		cJSON_AddStringToObject(object, key, copy);
	} else {
		cJSON_AddNullToObject(object, key);
	}
	free(copy);
}

/* As in the verdict without --probe: a text each. */
static void add_complaint(void *arg, int err, const char *subject, const char *words)
{
	struct buf text = BUF_INIT(LINE_MAX_BYTES);

	buf_appendf(&text, "%s%s%s", subject ? subject : "", subject ? ": " : "", words);
	if (text.len > 0)
		clean(text.data);
	cJSON_AddItemToArray(arg, cJSON_CreateString(buf_string(&text)));
	buf_free(&text);
}

static void add_credentials(cJSON *root, const struct probe_findings *findings)
{
	cJSON *object = cJSON_AddObjectToObject(root, "credentials");
	const struct credentials_status *status = credentials_status(findings->connect.credentials);
	char time[UNITS_TEXT_MAX];

	add_text(object, "source", status->source);
	add_text(object, "account", status->account_id);
	add_text(object, "principal", status->principal);
	add_text(object, "expires",
		status->expires_epoch_ms ? units_format_rfc3339(status->expires_epoch_ms, time)
					 : NULL);
	if (!findings->identity_known) {
		cJSON_AddNullToObject(object, "sts");
		return;
	}
	object = cJSON_AddObjectToObject(object, "sts");
	add_text(object, "account", findings->identity.account_id);
	add_text(object, "arn", findings->identity.arn);
}

static void add_permission(cJSON *object, const char *key, const struct queue_probe_answer *answer)
{
	if (answer->err == ERR_PENDING)
		cJSON_AddNullToObject(object, key);
	else
		cJSON_AddBoolToObject(object, key, !answer->err);
}

static void add_queue(cJSON *root, const char *key, const struct probe_queue *queue)
{
	const struct queue_probe_result *result = &queue->result;
	cJSON *object = cJSON_AddObjectToObject(root, key);

	add_text(object, "url", queue->url);
	if (!queue->asked)
		return;
	add_permission(object, "attributes", &result->attributes);
	add_permission(object, "delete", &result->delete);
	add_permission(object, "change_visibility", &result->visibility);
	if (result->attributes.err)
		return;
	cJSON_AddNumberToObject(object, "visible", (double)result->counts.visible);
	cJSON_AddNumberToObject(object, "in_flight", (double)result->counts.in_flight);
	cJSON_AddNumberToObject(object, "delayed", (double)result->counts.delayed);
	cJSON_AddNumberToObject(object, "visibility_s", result->counts.visibility_s);
}

static void add_choice(cJSON *root, const char *key, const char *value, const char *named_by)
{
	cJSON *object = cJSON_AddObjectToObject(root, key);

	add_text(object, key, value);
	add_text(object, "named_by", named_by);
}

static void add_destinations(cJSON *root, const struct probe_destinations *destinations)
{
	cJSON *list = cJSON_AddArrayToObject(root, "destinations");

	for (size_t i = 0; i < destinations->count; i++) {
		cJSON *object = cJSON_CreateObject();

		add_text(object, "name", destinations->rows[i].name);
		add_text(object, "auth", destinations->rows[i].auth);
		cJSON_AddBoolToObject(object, "signs", !destinations->rows[i].err);
		cJSON_AddItemToArray(list, object);
	}
}

void probe_print_json(const struct probe_findings *findings)
{
	const struct endpoint_choice *endpoint = &findings->connect.endpoint;
	cJSON *root = cJSON_CreateObject();
	char *text;

	cJSON_AddBoolToObject(root, "ok", probe_exit_code(findings) == CLI_DONE);
	each_error(findings, add_complaint, cJSON_AddArrayToObject(root, "errors"));
	each_note(findings, add_complaint, cJSON_AddArrayToObject(root, "notes"));
	if (!findings->connect_err)
		add_credentials(root, findings);
	if (endpoint->named_by) {
		add_choice(root, "region", endpoint->region, endpoint->region_named_by);
		add_choice(root, "endpoint", endpoint->endpoint.origin, endpoint->named_by);
	}
	add_queue(root, "queue", &findings->queue);
	add_permission(root, "read_tags", &findings->tags);
	if (findings->failure_queue.url)
		add_queue(root, "failure_queue", &findings->failure_queue);
	if (findings->results_queue.url)
		add_queue(root, "results_queue", &findings->results_queue);
	add_destinations(root, &findings->destinations);
	text = cJSON_PrintUnformatted(root);
	if (text)
		puts(text);
	free(text);
	cJSON_Delete(root);
}
