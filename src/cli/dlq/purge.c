/* bunshin dlq purge: failures are deleted, a selection or all. */
#include "base/buf.h"
#include "bunshin/error.h"
#include "cli/dlq/dlq.h"
#include "cli/printable.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OUT_MAX 65536

static bool leave(void *arg, const struct failure *failure, struct failure_outgoing *outgoing,
	enum failure_wish *wish)
{
	return true;
}

static bool drop(void *arg, const struct failure *failure, struct failure_outgoing *outgoing,
	enum failure_wish *wish)
{
	*wish = FAILURE_DELETE;
	return true;
}

/* ---- a selection */

/* -1: the second pass may follow. */
static int count_first(struct dlq_session *session)
{
	const struct dlq_options *options = session->options;
	struct dlq_scan scan = {.session = session, .visit = leave};
	struct buf question = BUF_INIT(OUT_MAX);
	char number[DLQ_NUMBER_MAX];
	int code = dlq_scan(&scan);

	if (code < 0 && (scan.err || scan.interrupted))
		code = dlq_scan_code(&scan);
	if (code < 0)
		dlq_print_seen(stderr, &scan);
	if (code < 0 && scan.matched == 0) {
		cli_error(options->command, "no message matches; nothing was deleted");
		code = CLI_DONE;
	}
	if (code < 0) {
		buf_appendf(&question,
			"%s %s to delete for good.\nType the queue's name, %s, to go on: ",
			dlq_number(scan.matched, number), dlq_messages(scan.matched),
			session->queue.name);
		code = dlq_confirm(options, buf_string(&question), session->queue.name);
	}
	buf_free(&question);
	return code;
}

static int purge_selection(struct dlq_session *session)
{
	struct dlq_scan scan = {.session = session, .visit = drop};
	struct buf out = BUF_INIT(OUT_MAX);
	char number[DLQ_NUMBER_MAX];
	int code = dlq_probe(session);

	if (code < 0 && !session->options->yes)
		code = count_first(session);
	if (code < 0)
		code = dlq_scan(&scan);
	if (code >= 0)
		return code;
	if (session->options->json) {
		dlq_json_begin(&out, &scan);
		buf_appendf(&out, ",\"deleted\":%" PRIu64 ",\"undeleted\":%" PRIu64 "}\n",
			scan.totals.deleted, scan.totals.undropped);
		fputs(buf_string(&out), stdout);
	} else {
		dlq_print_seen(stdout, &scan);
		printf("%s deleted\n", dlq_number(scan.totals.deleted, number));
		if (scan.totals.undropped > 0)
			printf("%s not deleted\n", dlq_number(scan.totals.undropped, number));
	}
	buf_free(&out);
	return dlq_scan_code(&scan);
}

/* ---- all of it */

struct purge {
	bool answered;
	int err;
	char detail[600];
};

static void on_purged(
	void *arg, const struct sqs_outcome *outcome, const struct sqs_redrive_answer *answer)
{
	struct purge *purge = arg;

	purge->answered = true;
	purge->err = outcome->err;
	snprintf(purge->detail, sizeof(purge->detail), "%s", outcome->detail);
}

static int call_purge(struct dlq_session *session)
{
	struct purge purge = {.answered = false};
	struct queue_call *call = NULL;
	int err = sqs_purge(
		session->connect.client, session->options->queue_url, on_purged, &purge, &call);

	if (!err)
		err = runtime_await(
			&session->runtime.loop, &purge.answered, &session->runtime.signal_count);
	if (err && call && !purge.answered)
		sqs_call_cancel(session->connect.client, call);
	if (err == ERR_CANCELLED && !purge.answered)
		cli_error(session->options->command,
			"interrupted; the queue may have been purged all the same");
	if (!err)
		err = purge.err;
	return err ? dlq_call_failed(session, "not purged", err, purge.detail) : -1;
}

static int purge_whole(struct dlq_session *session)
{
	const struct queue_attributes *counts = &session->queue.counts;
	uint64_t all = (uint64_t)(counts->visible + counts->in_flight + counts->delayed);
	struct buf text = BUF_INIT(OUT_MAX);
	char number[DLQ_NUMBER_MAX];
	int code;

	buf_appendf(&text,
		"About %s %s to delete for good, those in flight included.\nType the queue's name, "
		"%s, to go on: ",
		dlq_number(all, number), dlq_messages(all), session->queue.name);
	code = dlq_confirm(session->options, buf_string(&text), session->queue.name);
	if (code < 0)
		code = call_purge(session);
	buf_clear(&text);
	if (code < 0 && session->options->json) {
		buf_append_string(&text, "{\"queue\":");
		printable_append_json(&text, session->queue.url, strlen(session->queue.url));
		buf_appendf(&text, ",\"purged\":true,\"about\":%" PRIu64 "}\n", all);
		fputs(buf_string(&text), stdout);
	} else if (code < 0) {
		printf("%s: purged of about %s %s; it may take SQS a minute\n", session->queue.name,
			number, dlq_messages(all));
	}
	buf_free(&text);
	return code < 0 ? CLI_DONE : code;
}

/* ---- the verb */

static int run(const struct dlq_options *options)
{
	bool selects = !failure_filter_is_empty(&options->filter) || options->limit > 0;
	struct dlq_session session = {.options = options};
	int code = dlq_open(&session, options);

	if (code < 0)
		code = selects ? purge_selection(&session) : purge_whole(&session);
	dlq_close(&session);
	return code;
}

int dlq_purge(int argc, char **argv)
{
	struct dlq_options o = {.command = "dlq purge", .filter.status = -1};
	const struct cli_option options[] = {
		DLQ_QUEUE_OPTIONS(&o),
		DLQ_FILTER_OPTIONS(&o),
		{"limit", 0, CLI_INT, "N", &o.limit, 1, 1000000000,
			"delete no more than N messages [all]"},
		{"yes", 'y', CLI_FLAG, NULL, &o.yes, 0, 0, "do not ask"},
		{0},
	};
	const struct cli_usage usage = {"dlq purge", "--queue-url URL [options]",
		"Deletes what lies in a failure queue, or a selection of it, for good. Without a\n"
		"selection SQS empties the queue at once (PurgeQueue), with what is in flight; it\n"
		"does so once a minute at most. The name of the queue must be typed before.",
		options, 0, 0};
	int first, count;
	int code = cli_parse(&usage, argc, argv, &first, &count);

	if (code < 0)
		code = dlq_check_options(&o);
	if (code < 0)
		code = dlq_check_confirm(&o);
	return code < 0 ? run(&o) : code;
}
