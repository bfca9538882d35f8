/* bunshin dlq list: what lies in a failure queue, by reason. */
#include "base/units.h"
#include "bunshin/error.h"
#include "cli/dlq/dlq.h"
#include "cli/printable.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OUT_MAX ((size_t)16 << 20)
#define REASON_SHOWN 200

struct listing {
	struct failure_groups *groups;
	int64_t now_epoch_ms;
	int err;
};

static bool on_failure(void *arg, const struct failure *failure, struct failure_outgoing *outgoing,
	enum failure_wish *wish)
{
	struct listing *list = arg;
	int err = failure_groups_add(list->groups, failure, list->now_epoch_ms);

	if (err)
		list->err = err;
	return true;
}

static void append_times(struct buf *out, const struct failure_group *group)
{
	char first[UNITS_TEXT_MAX], last[UNITS_TEXT_MAX];

	if (group->last_ms == 0)
		return;
	units_format_rfc3339(group->first_ms, first);
	units_format_rfc3339(group->last_ms, last);
	if (group->first_ms == group->last_ms)
		buf_appendf(out, ", at %s", first);
	else
		buf_appendf(out, ", from %s to %s", first, last);
}

static void append_group(struct buf *out, const struct failure_group *group)
{
	char number[DLQ_NUMBER_MAX];

	buf_appendf(out, "\n%10s  ", dlq_number(group->count, number));
	printable_append(out, group->reason, strlen(group->reason), REASON_SHOWN);
	if (group->status)
		buf_appendf(out, " (status %d)", group->status);
	buf_append_string(out, "\n            campaign ");
	if (group->campaign[0])
		printable_append(out, group->campaign, strlen(group->campaign), REASON_SHOWN);
	else
		buf_append_char(out, '-');
	buf_append_string(out, ", destination ");
	if (group->destination[0])
		printable_append(out, group->destination, strlen(group->destination), REASON_SHOWN);
	else
		buf_append_char(out, '-');
	append_times(out, group);
	buf_append_char(out, '\n');
	if (group->recipients > group->count)
		buf_appendf(out, "            for %s recipients\n",
			dlq_number(group->recipients, number));
	if (group->past > 0)
		buf_appendf(out, "            past the deadline: %s\n",
			dlq_number(group->past, number));
	if (group->answer_bytes > 0) {
		buf_append_string(out, "            answer: ");
		printable_append(out, group->answer, group->answer_bytes, FAILURE_EXCERPT_MAX);
		buf_append_char(out, '\n');
	}
	buf_append_string(out, "            body:   ");
	printable_append(out, group->body, group->body_bytes, FAILURE_EXCERPT_MAX);
	buf_append_string(out, "\n            e.g.    --id ");
	printable_append(out, group->samples[0], strlen(group->samples[0]), 100);
	buf_append_char(out, '\n');
}

static void append_member(struct buf *out, const char *name, const char *text, size_t len)
{
	buf_appendf(out, ",\"%s\":", name);
	printable_append_json(out, text, len);
}

static void append_group_json(struct buf *out, const struct failure_group *group)
{
	static const char *const origins[] = {[FAILURE_COPIED] = "worker",
		[FAILURE_MOVED] = "redrive policy",
		[FAILURE_SENT] = "unknown"};

	buf_appendf(out,
		"{\"count\":%" PRIu64 ",\"recipients\":%" PRIu64 ",\"origin\":\"%s\",\"reason\":",
		group->count, group->recipients, origins[group->origin]);
	printable_append_json(out, group->reason, strlen(group->reason));
	if (group->status)
		buf_appendf(out, ",\"status\":%d", group->status);
	if (group->campaign[0])
		append_member(out, "campaign", group->campaign, strlen(group->campaign));
	if (group->destination[0])
		append_member(out, "destination", group->destination, strlen(group->destination));
	buf_appendf(out, ",\"past_deadline\":%" PRIu64, group->past);
	if (group->last_ms > 0)
		buf_appendf(out, ",\"first_epoch_ms\":%" PRId64 ",\"last_epoch_ms\":%" PRId64,
			group->first_ms, group->last_ms);
	append_member(out, "sample_body", group->body, group->body_bytes);
	if (group->answer_bytes > 0)
		append_member(out, "sample_answer", group->answer, group->answer_bytes);
	buf_append_string(out, ",\"message_ids\":[");
	for (size_t i = 0; i < group->sample_count; i++) {
		if (i > 0)
			buf_append_char(out, ',');
		printable_append_json(out, group->samples[i], strlen(group->samples[i]));
	}
	buf_append_string(out, "]}");
}

static void print_text(const struct dlq_scan *scan, struct listing *list)
{
	size_t count;
	const struct failure_group *const *groups = failure_groups_sorted(list->groups, &count);
	uint64_t others = failure_groups_others(list->groups);
	struct buf out = BUF_INIT(OUT_MAX);
	char number[DLQ_NUMBER_MAX];

	dlq_print_seen(stdout, scan);
	if (!failure_filter_is_empty(&scan->session->options->filter))
		printf("%s %s\n", dlq_number(scan->matched, number),
			scan->matched == 1 ? "matches" : "match");
	for (size_t i = 0; i < count; i++)
		append_group(&out, groups[i]);
	if (others > 0)
		buf_appendf(&out, "\n%10s  of other reasons, which were not told apart\n",
			dlq_number(others, number));
	fputs(buf_string(&out), stdout);
	buf_free(&out);
}

static void print_json(const struct dlq_scan *scan, struct listing *list)
{
	size_t count;
	const struct failure_group *const *groups = failure_groups_sorted(list->groups, &count);
	struct buf out = BUF_INIT(OUT_MAX);

	dlq_json_begin(&out, scan);
	buf_append_string(&out, ",\"groups\":[");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_append_char(&out, ',');
		append_group_json(&out, groups[i]);
	}
	buf_appendf(&out, "],\"others\":%" PRIu64 "}\n", failure_groups_others(list->groups));
	fputs(buf_string(&out), stdout);
	buf_free(&out);
}

static int run(const struct dlq_options *options)
{
	struct dlq_session session = {.options = options};
	struct listing list = {.groups = NULL};
	struct dlq_scan scan = {.session = &session, .visit = on_failure, .arg = &list};
	int code = dlq_open(&session, options);

	if (code < 0 && failure_groups_new(&list.groups)) {
		cli_error(options->command, "%s", error_message(ERR_NOMEM));
		code = CLI_FAILED;
	}
	if (code < 0) {
		list.now_epoch_ms = clock_wall_epoch_ms(session.runtime.clock);
		code = dlq_scan(&scan);
	}
	if (code < 0) {
		if (options->json)
			print_json(&scan, &list);
		else
			print_text(&scan, &list);
		if (list.err)
			cli_error(options->command, "not all were counted: %s",
				error_message(list.err));
		code = list.err ? CLI_FAILED : dlq_scan_code(&scan);
	}
	failure_groups_free(list.groups);
	dlq_close(&session);
	return code;
}

int dlq_list(int argc, char **argv)
{
	struct dlq_options o = {.command = "dlq list", .filter.status = -1};
	const struct cli_option options[] = {
		DLQ_QUEUE_OPTIONS(&o),
		DLQ_FILTER_OPTIONS(&o),
		{"limit", 0, CLI_INT, "N", &o.limit, 1, 1000000000,
			"count no more than N messages [all]"},
		{0},
	};
	const struct cli_usage usage = {"dlq list", "--queue-url URL [options]",
		"Says what lies in a failure queue: how many messages of which reason, campaign\n"
		"and destination, with a sample of each. It only looks: every message is received\n"
		"once, which counts as a receive, and made visible again at the end. Ctrl-C ends\n"
		"it early.",
		options, 0, 0};
	int first, count;
	int code = cli_parse(&usage, argc, argv, &first, &count);

	if (code < 0)
		code = dlq_check_options(&o);
	return code < 0 ? run(&o) : code;
}
