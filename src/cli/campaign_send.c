#include "cli/campaign_send.h"

#include "aws/sqs_queue.h"
#include "base/list.h"
#include "bunshin/error.h"
#include "campaign/producer.h"
#include "campaign/progress.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/runtime.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COMMAND CAMPAIGN_COMMAND
#define BAR_EVERY_US ((uint64_t)200000)
#define LINE_EVERY_US ((uint64_t)10000000)

struct send {
	struct campaign_plan *plan;
	struct runtime runtime;
	struct connect connect;
	struct sqs_queue *queue;
	struct recipients *recipients; /* the second pass over the list */
	struct messages *messages;
	struct producer *producer;
	struct progress progress;
	struct clock_timer tick;
	bool terminal, bar_shown;
	uint64_t started_us;
	uint64_t unconfirmed; /* of the failed ones, those that may be in the queue all the same */
	uint64_t first_failed_line, last_failed_line;
	uint64_t told; /* failures that have been shown, each with its line */
	bool finished;
	int err; /* what ended it early */
	char reason[2048];
};

int campaign_plan_pass(struct campaign_plan *plan, const unsigned char run_id[16],
	struct recipients **ret_recipients, struct messages **ret_messages)
{
	struct recipients_input input = list_file_rewind(&plan->list);
	struct messages_options options = {
		.template = plan->template,
		.campaign = plan->name,
		.destination = plan->destination,
		.deadline_epoch_ms = plan->deadline_epoch_ms,
	};
	int rc = recipients_new(list_file_format(&plan->list), &input, ret_recipients);

	memcpy(options.run_id, run_id, sizeof(options.run_id));
	return rc < 0 ? rc : messages_new(*ret_recipients, &options, ret_messages);
}

/* progress on stderr */

static unsigned terminal_columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
		return size.ws_col - 1u; /* a full line would wrap */
	return 79;
}

static void show_progress(struct send *send)
{
	struct buf text = BUF_INIT(1024);

	progress_update(&send->progress, producer_totals(send->producer)->accepted,
		clock_monotonic_us(send->runtime.clock));
	if (send->terminal) {
		progress_bar(&send->progress, terminal_columns(), &text);
		fprintf(stderr, "\r\033[K%s", buf_string(&text));
		send->bar_shown = true;
	} else {
		progress_sentence(&send->progress, &text);
		fprintf(stderr, "bunshin " COMMAND ": %s\n", buf_string(&text));
	}
	buf_free(&text);
}

/* Before anything else is written to stderr. */
static void clear_bar(struct send *send)
{
	if (send->bar_shown)
		fprintf(stderr, "\r\033[K");
	send->bar_shown = false;
}

static int arm_tick(struct send *send)
{
	return clock_timer_after(
		send->runtime.clock, &send->tick, send->terminal ? BAR_EVERY_US : LINE_EVERY_US);
}

static void on_tick(struct clock_timer *timer)
{
	struct send *send = list_entry(timer, struct send, tick);

	show_progress(send);
	/* Without memory for a timer the sending goes on; only the bar stands still. */
	(void)arm_tick(send);
}

/* sending */

/* The second pass. It meets only what the first has seen, or the list was changed meanwhile. */
static int next_message(void *arg, struct campaign_message *ret_message, struct buf *reason)
{
	struct send *send = arg;
	struct campaign_plan *plan = send->plan;
	int event = messages_next(send->messages, ret_message);

	while (event == RECIPIENTS_INVALID && plan->skip_invalid &&
		!messages_error(send->messages)->fatal)
		event = messages_next(send->messages, ret_message);
	if (event == RECIPIENTS_ROW)
		return 1;
	if (event < 0) {
		buf_append_string(reason, plan->list.reason);
		return event;
	}
	if (event == RECIPIENTS_END && messages_place(send->messages).row == plan->check.rows)
		return 0;
	buf_appendf(reason, "%s was changed while it was being sent", plan->list.name);
	return ERR_IO;
}

static void on_settled(
	void *arg, struct recipients_place place, int err, bool unconfirmed, const char *reason)
{
	struct send *send = arg;

	if (err == 0)
		return;
	send->unconfirmed += unconfirmed ? 1 : 0;
	if (send->first_failed_line == 0 || place.line < send->first_failed_line)
		send->first_failed_line = place.line;
	if (place.line > send->last_failed_line)
		send->last_failed_line = place.line;
	/* What fails together with everything else is told once, at the end. */
	if (producer_totals(send->producer)->failing || send->told++ >= CAMPAIGN_ERRORS_SHOWN)
		return;
	clear_bar(send);
	fprintf(stderr, "%s:%" PRIu64 ":1: %s: %s\n", send->plan->list.name, place.line,
		unconfirmed ? "not confirmed" : "not sent", reason);
}

static void on_finished(void *arg, int err, const char *reason)
{
	struct send *send = arg;

	send->finished = true;
	send->err = err;
	snprintf(send->reason, sizeof(send->reason), "%s", reason);
	uv_stop(&send->runtime.loop);
}

static void on_signal(void *arg, unsigned count)
{
	struct send *send = arg;

	if (count == 1 && send->producer) {
		clear_bar(send);
		cli_error(COMMAND, "stopping; finishing what is under way (again to stop at once)");
		producer_stop(send->producer);
	} else {
		uv_stop(&send->runtime.loop);
	}
}

/* Everything that has to be there before the loop runs; the reason of a failure in `error`. */
static int open_all(struct send *send, struct buf *error)
{
	struct campaign_plan *plan = send->plan;
	struct producer_options options = producer_defaults;
	const struct producer_source source = {next_message, send};
	const struct producer_events events = {on_settled, on_finished, send};
	struct clock clock = send->runtime.clock;
	const struct connect_options connect = {.queue_url = plan->queue_url,
		.endpoint = plan->endpoint,
		.allow_insecure = plan->allow_insecure,
		.interrupts = &send->runtime.signal_count};
	const uint64_t run_id[2] = {clock_random(clock), clock_random(clock)};
	int rc;

	options.in_flight = (unsigned)plan->in_flight;
	rc = connect_open(&send->connect, &send->runtime.loop, clock, &connect, error);
	if (rc == 0)
		rc = sqs_queue_new(send->connect.client, plan->queue_url, &send->queue);
	if (rc == 0)
		rc = campaign_plan_pass(
			plan, (const unsigned char *)run_id, &send->recipients, &send->messages);
	if (rc == 0)
		rc = producer_new(sqs_queue_table(send->queue), clock, &source, &events, &options,
			&send->producer);
	if (rc == 0)
		rc = arm_tick(send);
	return rc == 0 ? producer_start(send->producer) : rc;
}

/* the end */

/* The first row that was not sent; row 0: there is none, or it is not known. */
static struct recipients_place find_next(struct send *send)
{
	const struct producer_totals *totals = producer_totals(send->producer);
	struct campaign_message ignored;

	if (totals->unsent.row != 0)
		return totals->unsent;
	if (totals->source_ended || send->err == ERR_IO ||
		messages_next(send->messages, &ignored) <= RECIPIENTS_END)
		return (struct recipients_place){0};
	return messages_place(send->messages);
}

static void append_json_text(struct buf *out, const char *text)
{
	buf_append_char(out, '"');
	buf_append_json(out, text, strlen(text));
	buf_append_char(out, '"');
}

struct summary {
	uint64_t recipients, sent, skipped, failed, unconfirmed, unsent, requests;
	double seconds, rate;
	bool interrupted;
	const char *error; /* NULL: none */
	struct recipients_place next;
};

static struct summary summarise(struct send *send)
{
	const struct producer_totals *totals = producer_totals(send->producer);
	const struct messages_check *check = &send->plan->check;
	uint64_t us = clock_monotonic_us(send->runtime.clock) - send->started_us;
	struct summary summary = {
		.recipients = check->rows,
		.sent = totals->accepted,
		.skipped = check->invalid,
		.failed = totals->failed,
		.unconfirmed = send->unconfirmed,
		.unsent = check->valid - totals->accepted - totals->failed,
		.requests = sqs_client_stats(send->connect.client)->requests,
		.seconds = (double)us / 1e6,
		.rate = us > 0 ? (double)totals->accepted * 1e6 / (double)us : 0,
		.interrupted = send->runtime.signal_count > 0,
		.error = send->err != 0 ? send->reason : NULL,
	};

	/* Given up at once: those under way are neither confirmed nor certainly unsent. */
	if (!send->finished) {
		uint64_t held = totals->pulled - totals->accepted - totals->failed;

		summary.unconfirmed += held;
		summary.failed += held;
		summary.unsent -= held;
	}
	summary.next = find_next(send);
	return summary;
}

static void print_json(const struct summary *summary)
{
	struct buf out = BUF_INIT(32768);

	buf_appendf(&out,
		"{\"recipients\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"skipped\":%" PRIu64
		",\"failed\":%" PRIu64 ",\"unconfirmed\":%" PRIu64 ",\"unsent\":%" PRIu64,
		summary->recipients, summary->sent, summary->skipped, summary->failed,
		summary->unconfirmed, summary->unsent);
	buf_appendf(&out, ",\"seconds\":%.3f,\"rate\":%.1f,\"sqs_requests\":%" PRIu64,
		summary->seconds, summary->rate, summary->requests);
	if (summary->next.row != 0)
		buf_appendf(&out, ",\"next\":{\"row\":%" PRIu64 ",\"line\":%" PRIu64 "}",
			summary->next.row, summary->next.line);
	else
		buf_append_string(&out, ",\"next\":null");
	buf_appendf(
		&out, ",\"interrupted\":%s,\"error\":", summary->interrupted ? "true" : "false");
	if (summary->error)
		append_json_text(&out, summary->error);
	else
		buf_append_string(&out, "null");
	printf("%s}\n", buf_string(&out));
	buf_free(&out);
}

static void print_text(const struct summary *summary)
{
	printf("recipients %" PRIu64 ", sent %" PRIu64 ", skipped %" PRIu64 ", failed %" PRIu64
	       ", unsent %" PRIu64 "\n",
		summary->recipients, summary->sent, summary->skipped, summary->failed,
		summary->unsent);
	printf("%.1f s, %.0f/s, %" PRIu64 " SQS requests\n", summary->seconds, summary->rate,
		summary->requests);
}

static int report(struct send *send)
{
	const struct producer_totals *totals = producer_totals(send->producer);
	struct summary summary = summarise(send);

	clear_bar(send);
	if (summary.error)
		cli_error(COMMAND, "%s", summary.error);
	if (totals->failed > send->told || send->told > CAMPAIGN_ERRORS_SHOWN)
		cli_error(COMMAND, "%" PRIu64 " failed, between line %" PRIu64 " and line %" PRIu64,
			totals->failed, send->first_failed_line, send->last_failed_line);
	if (summary.unconfirmed > 0)
		cli_error(COMMAND,
			"%" PRIu64 " of the failed ones may be in the queue all the same",
			summary.unconfirmed);
	if (summary.next.row != 0)
		cli_error(COMMAND, "%" PRIu64 " sent; the next is row %" PRIu64 ", line %" PRIu64,
			summary.sent, summary.next.row, summary.next.line);
	if (send->plan->json)
		print_json(&summary);
	else
		print_text(&summary);
	if (send->err != 0)
		return cli_exit_code(send->err);
	return summary.sent == send->plan->check.valid ? CLI_DONE : CLI_FAILED;
}

static int run(struct send *send)
{
	struct buf error = BUF_INIT(2048);
	int rc = open_all(send, &error);
	int code;

	if (rc == 0) {
		send->started_us = clock_monotonic_us(send->runtime.clock);
		progress_start(&send->progress, send->plan->check.valid, send->started_us);
		uv_run(&send->runtime.loop, UV_RUN_DEFAULT);
		code = report(send);
	} else if (rc == ERR_CANCELLED) {
		cli_error(COMMAND, "interrupted before anything was sent");
		code = CLI_FAILED;
	} else {
		cli_error(COMMAND, "%s", error.len > 0 ? buf_string(&error) : error_message(rc));
		code = cli_exit_code(rc);
	}
	buf_free(&error);
	return code;
}

int campaign_send(struct campaign_plan *plan)
{
	struct send send = {.plan = plan, .terminal = cli_is_terminal(STDERR_FILENO)};
	int rc = runtime_open(&send.runtime, on_signal, &send);
	int code;

	if (rc < 0) {
		cli_error(COMMAND, "%s", error_message(rc));
		return CLI_FAILED;
	}
	send.tick.fire = on_tick;
	code = run(&send);
	producer_free(send.producer);
	messages_free(send.messages);
	recipients_free(send.recipients);
	sqs_queue_free(send.queue);
	connect_close(&send.connect);
	clock_timer_clear(send.runtime.clock, &send.tick);
	runtime_close(&send.runtime);
	return code;
}
