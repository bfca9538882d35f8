/* bunshin dlq show: single messages of a failure queue. */
#include "base/base64.h"
#include "base/units.h"
#include "bunshin/error.h"
#include "cli/dlq/dlq.h"
#include "cli/printable.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OUT_MAX ((size_t)16 << 20) /* of one message: a body of 1 MiB, every byte escaped */
#define SHOWN_DEFAULT 10
#define VALUE_MAX 1024
#define ONE_BODY_MAX ((size_t)64 << 10)

struct show {
	const struct dlq_options *options;
	struct buf out; /* of one message */
	int64_t now_epoch_ms;
	uint64_t shown;
};

static void append_line(struct buf *out, const char *name, const char *text, size_t len, size_t max)
{
	buf_appendf(out, "  %-16s ", name);
	printable_append(out, text, len, max);
	buf_append_char(out, '\n');
}

static void append_time(struct buf *out, const char *name, int64_t epoch_ms, const char *remark)
{
	char text[UNITS_TEXT_MAX];

	if (epoch_ms > 0)
		buf_appendf(
			out, "  %-16s %s%s\n", name, units_format_rfc3339(epoch_ms, text), remark);
}

static bool is_binary(const struct queue_attribute *attribute)
{
	return strncmp(attribute->type, "Binary", 6) == 0;
}

static void append_attribute(struct buf *out, const struct queue_attribute *attribute)
{
	buf_append_string(out, "  attribute        ");
	printable_append(out, attribute->name, strlen(attribute->name), VALUE_MAX);
	buf_append_string(out, " (");
	printable_append(out, attribute->type, strlen(attribute->type), VALUE_MAX);
	if (is_binary(attribute)) {
		buf_appendf(out, "): %zu bytes\n", attribute->value_bytes);
		return;
	}
	buf_append_string(out, "): ");
	printable_append(out, attribute->value, attribute->value_bytes, VALUE_MAX);
	buf_append_char(out, '\n');
}

static void write_text(struct show *show, const struct failure *failure)
{
	const struct queue_message *message = failure->message;
	bool one = show->options->filter.message_id != NULL;
	struct buf *out = &show->out;
	char words[FAILURE_REASON_MAX];

	failure_words(failure, words);
	buf_append_string(out, show->shown > 0 ? "\nmessage " : "message ");
	printable_append(out, message->message_id, strlen(message->message_id), VALUE_MAX);
	buf_append_char(out, '\n');
	append_line(out, "reason", words, strlen(words), VALUE_MAX);
	if (failure->status)
		buf_appendf(out, "  %-16s %d\n", "status", failure->status);
	if (failure->body.len > 0)
		append_line(out, "answer", failure->body.bytes, failure->body.len, 4 * VALUE_MAX);
	if (failure->packed)
		buf_appendf(out, "  %-16s %" PRIu64 "\n", "recipients", failure->recipients);
	if (failure->attempts > 0)
		buf_appendf(out, "  %-16s %" PRId64 "\n", "attempts", failure->attempts);
	append_time(out, "first received", failure->first_received_ms, "");
	append_time(out, "here since", message->sent_epoch_ms,
		failure->origin == FAILURE_COPIED ? "" : " (or sent then, and moved here later)");
	buf_appendf(out, "  %-16s %" PRIu32 " (this one included)\n", "receives here",
		message->receive_count);
	if (failure->deadline_epoch_ms != INT64_MAX)
		append_time(out, "deadline", failure->deadline_epoch_ms,
			failure_is_past(failure, show->now_epoch_ms) ? ", past" : "");
	if (message->group_id)
		append_line(out, "group", message->group_id, strlen(message->group_id), VALUE_MAX);
	for (size_t i = 0; i < message->attribute_count; i++)
		if (failure->origin != FAILURE_COPIED ||
			!failure_attribute_is_ours(message->attributes[i].name))
			append_attribute(out, &message->attributes[i]);
	append_line(
		out, "body", message->body, message->body_bytes, one ? ONE_BODY_MAX : VALUE_MAX);
}

static void append_member(struct buf *out, const char *name, const char *text, size_t len)
{
	buf_appendf(out, ",\"%s\":", name);
	printable_append_json(out, text, len);
}

static void append_attribute_json(struct buf *out, const struct queue_attribute *attribute)
{
	printable_append_json(out, attribute->name, strlen(attribute->name));
	buf_append_string(out, ":{\"type\":");
	printable_append_json(out, attribute->type, strlen(attribute->type));
	if (is_binary(attribute)) {
		buf_append_string(out, ",\"base64\":\"");
		base64_encode(out, attribute->value, attribute->value_bytes);
		buf_append_string(out, "\"}");
		return;
	}
	append_member(out, "value", attribute->value, attribute->value_bytes);
	buf_append_char(out, '}');
}

static void write_json(struct show *show, const struct failure *failure)
{
	const struct queue_message *message = failure->message;
	struct buf *out = &show->out;
	char words[FAILURE_REASON_MAX];

	failure_words(failure, words);
	buf_append_string(out, "{\"message_id\":");
	printable_append_json(out, message->message_id, strlen(message->message_id));
	append_member(out, "reason", words, strlen(words));
	if (failure->status)
		buf_appendf(out, ",\"status\":%d", failure->status);
	if (failure->body.len > 0)
		append_member(out, "answer", failure->body.bytes, failure->body.len);
	if (failure->packed)
		buf_appendf(out, ",\"recipients\":%" PRIu64, failure->recipients);
	if (failure->attempts > 0)
		buf_appendf(out, ",\"attempts\":%" PRId64, failure->attempts);
	if (failure->first_received_ms > 0)
		buf_appendf(
			out, ",\"first_received_epoch_ms\":%" PRId64, failure->first_received_ms);
	if (message->sent_epoch_ms > 0)
		buf_appendf(out, ",\"sent_epoch_ms\":%" PRId64, message->sent_epoch_ms);
	buf_appendf(out, ",\"receives\":%" PRIu32, message->receive_count);
	if (failure->deadline_epoch_ms != INT64_MAX)
		buf_appendf(out, ",\"deadline_epoch_ms\":%" PRId64 ",\"past_deadline\":%s",
			failure->deadline_epoch_ms,
			failure_is_past(failure, show->now_epoch_ms) ? "true" : "false");
	if (message->group_id)
		append_member(out, "group_id", message->group_id, strlen(message->group_id));
	buf_append_string(out, ",\"attributes\":{");
	for (size_t i = 0; i < message->attribute_count; i++) {
		if (i > 0)
			buf_append_char(out, ',');
		append_attribute_json(out, &message->attributes[i]);
	}
	buf_append_char(out, '}');
	append_member(out, "body", message->body, message->body_bytes);
	buf_append_string(out, "}\n");
}

static bool on_failure(void *arg, const struct failure *failure, struct failure_outgoing *outgoing,
	enum failure_wish *wish)
{
	struct show *show = arg;

	buf_clear(&show->out);
	if (show->options->json)
		write_json(show, failure);
	else
		write_text(show, failure);
	if (show->out.err)
		cli_error(show->options->command, "message %s: %s", failure->message->message_id,
			error_message(show->out.err));
	else
		fputs(buf_string(&show->out), stdout);
	show->shown++;
	return true;
}

static int run(const struct dlq_options *options)
{
	struct dlq_session session = {.options = options};
	struct show show = {.options = options, .out = BUF_INIT(OUT_MAX)};
	struct dlq_scan scan = {.session = &session, .visit = on_failure, .arg = &show};
	int code = dlq_open(&session, options);

	if (code < 0) {
		show.now_epoch_ms = clock_wall_epoch_ms(session.runtime.clock);
		code = dlq_scan(&scan);
	}
	if (code < 0) {
		code = dlq_scan_code(&scan);
		fflush(stdout);
		if (!options->json || scan.matched == 0)
			dlq_print_seen(stderr, &scan);
		if (code == CLI_DONE && options->filter.message_id && scan.matched == 0) {
			cli_error(options->command, "message %s is not among them",
				options->filter.message_id);
			code = CLI_FAILED;
		}
	}
	buf_free(&show.out);
	dlq_close(&session);
	return code;
}

int dlq_show(int argc, char **argv)
{
	struct dlq_options o = {.command = "dlq show", .filter.status = -1, .limit = SHOWN_DEFAULT};
	const struct cli_option options[] = {
		DLQ_QUEUE_OPTIONS(&o),
		DLQ_FILTER_OPTIONS(&o),
		{"limit", 0, CLI_INT, "N", &o.limit, 1, 1000000000,
			"show no more than N messages [10]"},
		{0},
	};
	const struct cli_usage usage = {"dlq show", "--queue-url URL [options]",
		"Prints messages of a failure queue: why each failed, its attributes, its body. "
		"Of\n"
		"a body 1 KiB is shown, with --id 64 KiB, with --json all: one object a line. It\n"
		"only looks, as dlq list does.",
		options, 0, 0};
	int first, count;
	int code = cli_parse(&usage, argc, argv, &first, &count);

	if (code < 0)
		code = dlq_check_options(&o);
	if (code < 0 && o.filter.message_id)
		o.limit = 1;
	return code < 0 ? run(&o) : code;
}
