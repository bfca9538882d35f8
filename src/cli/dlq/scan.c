#include "base/list.h"
#include "bunshin/error.h"
#include "cli/dlq/dlq.h"
#include "cli/printable.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SLOTS 8
/*
 * What is left must stay invisible until the pass ends. At 20 ms a receive of ten, in eight slots,
 * a pass sees 4,000 messages a second: fifty a second leaves room for a queue far away.
 */
#define VISIBILITY_MIN_S 120
#define SEEN_PER_S 50
#define LEFT_MAX 110000 /* SQS lets about 120,000 be in flight */
#define TOLD_MAX 20
#define BAR_EVERY_US UINT64_C(200000)
#define LINE_EVERY_US UINT64_C(10000000)

static unsigned visibility_s(const struct dlq_scan *scan, uint64_t expected)
{
	uint64_t s = VISIBILITY_MIN_S + expected / SEEN_PER_S;

	if (scan->rate > 0)
		s += expected / (uint64_t)scan->rate;
	return s < QUEUE_VISIBILITY_MAX_S ? (unsigned)s : QUEUE_VISIBILITY_MAX_S;
}

/* ---- progress on stderr */

static void clear_bar(struct dlq_scan *scan)
{
	if (scan->bar_shown)
		fprintf(stderr, "\r\033[K");
	scan->bar_shown = false;
}

static void show_progress(struct dlq_scan *scan)
{
	const struct failure_pass_totals *totals = failure_pass_totals(scan->session->pass);
	char seen[DLQ_NUMBER_MAX], all[DLQ_NUMBER_MAX], done[DLQ_NUMBER_MAX];
	bool terminal = cli_is_terminal(STDERR_FILENO);

	fprintf(stderr, "%s%s of about %s seen", terminal ? "\r\033[K" : "",
		dlq_number(totals->seen, seen),
		dlq_number((uint64_t)scan->session->queue.counts.visible, all));
	if (totals->sent + totals->deleted > 0)
		fprintf(stderr, ", %s %s", dlq_number(totals->sent + totals->deleted, done),
			totals->sent > 0 ? "sent" : "deleted");
	if (!terminal)
		fputc('\n', stderr);
	scan->bar_shown = terminal;
	fflush(stderr);
}

static int arm_tick(struct dlq_scan *scan)
{
	return clock_timer_after(scan->session->runtime.clock, &scan->tick,
		cli_is_terminal(STDERR_FILENO) ? BAR_EVERY_US : LINE_EVERY_US);
}

static void on_tick(struct clock_timer *timer)
{
	struct dlq_scan *scan = list_entry(timer, struct dlq_scan, tick);

	show_progress(scan);
	/* Without memory for a timer only the bar stands still. */
	(void)arm_tick(scan);
}

/* ---- what the pass says */

static enum failure_wish on_visit(
	void *arg, const struct queue_message *message, struct failure_outgoing *outgoing)
{
	struct dlq_scan *scan = arg;
	int64_t limit = scan->session->options->limit;
	enum failure_wish wish = FAILURE_LEAVE;
	struct failure failure;

	failure_read(message, &failure);
	if (!failure_matches(&failure, &scan->session->options->filter))
		return FAILURE_LEAVE;
	if (scan->limited)
		return FAILURE_LEAVE;
	scan->matched++;
	clear_bar(scan);
	scan->taken += scan->visit(scan->arg, &failure, outgoing, &wish);
	if (limit > 0 && scan->taken == (uint64_t)limit) {
		scan->limited = true;
		failure_pass_stop(scan->session->pass);
	}
	return wish;
}

static void on_failed(void *arg, const struct queue_message *message, bool sent, const char *reason)
{
	struct dlq_scan *scan = arg;
	struct buf words = BUF_INIT(4096);

	if (scan->told++ >= TOLD_MAX)
		return;
	clear_bar(scan);
	printable_append(&words, reason, strlen(reason), 1000);
	fprintf(stderr, "message %s: %s: %s\n", message->message_id,
		sent	      ? "sent, but not deleted here"
		: scan->moves ? "not sent"
			      : "not deleted",
		buf_string(&words));
	buf_free(&words);
}

static void on_finished(void *arg, int err, const char *reason)
{
	struct dlq_scan *scan = arg;

	scan->finished = true;
	scan->err = err;
	snprintf(scan->reason, sizeof(scan->reason), "%s", reason);
	uv_stop(&scan->session->runtime.loop);
}

static int start(struct dlq_scan *scan)
{
	struct dlq_session *session = scan->session;
	uint64_t expected = (uint64_t)session->queue.counts.visible;
	const struct failure_pass_events events = {on_visit, on_failed, on_finished, scan};
	struct failure_pass_options options = {
		.source = sqs_queue_table(session->source),
		.clock = session->runtime.clock,
		.slots = SLOTS,
		.batch = QUEUE_BATCH_MAX,
		.visibility_s = visibility_s(scan, expected),
		.expected = expected,
		.left_max = LEFT_MAX,
		.rate = scan->rate,
	};
	int err;

	if (session->target)
		options.target = sqs_queue_table(session->target);
	failure_pass_free(session->pass);
	session->pass = NULL;
	err = failure_pass_new(&options, &events, &session->pass);
	if (!err)
		err = failure_pass_start(session->pass);
	return err;
}

static int scan_failed(struct dlq_scan *scan)
{
	if (!scan->finished)
		scan->err = ERR_CANCELLED;
	if (scan->err == 0 || scan->err == ERR_CANCELLED)
		return -1;
	dlq_call_failed(scan->session, scan->session->options->queue_url, scan->err, scan->reason);
	return -1;
}

int dlq_scan(struct dlq_scan *scan)
{
	struct dlq_session *session = scan->session;
	int err = start(scan);

	if (err)
		return dlq_call_failed(session, session->options->queue_url, err, "");
	scan->tick.fire = on_tick;
	(void)arm_tick(scan);
	uv_run(&session->runtime.loop, UV_RUN_DEFAULT);
	clock_timer_clear(session->runtime.clock, &scan->tick);
	clear_bar(scan);
	scan->totals = *failure_pass_totals(session->pass);
	scan->interrupted = session->runtime.signal_count > 0;
	if (scan->told > TOLD_MAX)
		fprintf(stderr, "and %" PRIu64 " more\n", scan->told - TOLD_MAX);
	if (!scan->finished)
		fprintf(stderr,
			"bunshin %s: ended at once: what was received becomes visible by itself "
			"within %u s\n",
			session->options->command,
			visibility_s(scan, (uint64_t)session->queue.counts.visible));
	return scan_failed(scan);
}

/* Did the pass see the queue to its end? */
static bool is_whole(const struct dlq_scan *scan)
{
	return scan->err == 0 && (scan->totals.end == FAILURE_PASS_EMPTY ||
					 scan->totals.end == FAILURE_PASS_REPEATED);
}

static const char *why_not_whole(const struct dlq_scan *scan)
{
	if (scan->err != 0 || scan->interrupted)
		return "interrupted";
	if (scan->limited)
		return "ended at the limit";
	if (scan->totals.end == FAILURE_PASS_FULL)
		return "as many as can be held at a time: SQS lets about 120,000 be in flight";
	return "ended: messages arrive as fast as they are seen";
}

void dlq_print_seen(FILE *stream, const struct dlq_scan *scan)
{
	const struct dlq_queue *queue = &scan->session->queue;
	char seen[DLQ_NUMBER_MAX], all[DLQ_NUMBER_MAX], number[DLQ_NUMBER_MAX];
	uint64_t about = (uint64_t)queue->counts.visible;

	fprintf(stream, "%s: %s of about %s %s seen", queue->name,
		dlq_number(scan->totals.seen, seen), dlq_number(about, all), dlq_messages(about));
	if (!is_whole(scan))
		fprintf(stream, " (%s)", why_not_whole(scan));
	fputc('\n', stream);
	if (queue->counts.in_flight > 0)
		fprintf(stream, "%s in flight, held by another reader: not seen\n",
			dlq_number((uint64_t)queue->counts.in_flight, number));
	if (queue->counts.delayed > 0)
		fprintf(stream, "%s delayed: not seen\n",
			dlq_number((uint64_t)queue->counts.delayed, number));
	if (sqs_queue_url_is_fifo(queue->url) && scan->totals.left > 0)
		fprintf(stream, "a FIFO queue shows ten messages of a group at a time, at most\n");
	if (scan->totals.unreleased > 0)
		fprintf(stream, "%s could not be made visible; they come back by themselves\n",
			dlq_number(scan->totals.unreleased, number));
}

void dlq_json_begin(struct buf *out, const struct dlq_scan *scan)
{
	const struct dlq_queue *queue = &scan->session->queue;

	buf_append_string(out, "{\"queue\":");
	printable_append_json(out, queue->url, strlen(queue->url));
	buf_appendf(out,
		",\"visible\":%" PRId64 ",\"in_flight\":%" PRId64 ",\"delayed\":%" PRId64
		",\"seen\":%" PRIu64 ",\"matched\":%" PRIu64 ",\"complete\":%s",
		queue->counts.visible, queue->counts.in_flight, queue->counts.delayed,
		scan->totals.seen, scan->matched, is_whole(scan) ? "true" : "false");
	if (scan->err) {
		buf_append_string(out, ",\"error\":");
		printable_append_json(out,
			scan->err == ERR_CANCELLED ? "interrupted" : scan->reason,
			strlen(scan->err == ERR_CANCELLED ? "interrupted" : scan->reason));
	}
}

int dlq_scan_code(const struct dlq_scan *scan)
{
	const struct failure_pass_totals *totals = &scan->totals;

	if (scan->err == ERR_CANCELLED || scan->interrupted)
		return CLI_FAILED;
	if (scan->err)
		return cli_exit_code(scan->err);
	if (totals->unsent + totals->undeleted + totals->undropped > 0)
		return CLI_FAILED;
	return is_whole(scan) || scan->limited ? CLI_DONE : CLI_FAILED;
}
