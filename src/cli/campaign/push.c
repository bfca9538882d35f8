#include "cli/campaign/keeper.h"
#include "cli/campaign/send.h"
#include "cli/campaign/summary.h"

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
	struct packer *packer; /* NULL: a row is a message */
	struct producer *producer;
	struct campaign_keeper keeper;
	struct progress progress;
	struct clock_timer tick;
	bool terminal, bar_shown;
	uint64_t started_us;
	uint64_t unconfirmed; /* of the failed ones, those that may be in the queue all the same */
	uint64_t refused;     /* of the failed ones, for good */
	uint64_t first_failed_line, last_failed_line;
	uint64_t told; /* failures that have been shown, each with its line */
	uint64_t told_messages;
	bool finished;
	int err; /* what ended it early */
	char reason[2048];
};

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
	int event = send->packer ? packer_next(send->packer, send->messages, ret_message)
				 : messages_next(send->messages, ret_message);
	const unsigned char *sha256;

	if (event == RECIPIENTS_ROW)
		return 1;
	if (event < 0) {
		buf_append_string(reason, plan->list.reason);
		return event;
	}
	sha256 = list_file_sha256(&plan->list);
	if (event == RECIPIENTS_END && messages_place(send->messages).row == plan->check.rows &&
		sha256 && memcmp(sha256, plan->list_sha256, sizeof(plan->list_sha256)) == 0)
		return 0;
	buf_appendf(reason, "%s was changed while it was being sent", plan->list.name);
	return ERR_IO;
}

/* The queue's last word on one message; what fails together with everything else may yet be sent.
 */
static bool is_refused(const struct send *send, int err, bool unconfirmed)
{
	return error_class(err) == ERROR_PERMANENT && !unconfirmed &&
	       !producer_totals(send->producer)->failing;
}

static void note(struct send *send, const struct recipients_place *place, int err, bool unconfirmed,
	const char *reason)
{
	if (err == 0) {
		campaign_keeper_confirm(&send->keeper, *place);
		return;
	}
	if (is_refused(send, err, unconfirmed)) {
		send->refused++;
		campaign_keeper_refuse(&send->keeper, *place, reason);
	}
	send->unconfirmed += unconfirmed ? 1 : 0;
	if (send->first_failed_line == 0 || place->line < send->first_failed_line)
		send->first_failed_line = place->line;
	if (place->line > send->last_failed_line)
		send->last_failed_line = place->line;
}

static void on_settled(void *arg, const struct recipients_place *places, size_t count, int err,
	bool unconfirmed, const char *reason)
{
	struct send *send = arg;
	char others[64] = "";

	for (size_t i = 0; i < count; i++)
		note(send, &places[i], err, unconfirmed, reason);
	/* What fails together with everything else is told once, at the end. */
	if (err == 0 || producer_totals(send->producer)->failing ||
		send->told_messages++ >= CAMPAIGN_ERRORS_SHOWN)
		return;
	send->told += count;
	if (count > 1)
		snprintf(others, sizeof(others), ", with %zu more of its pack", count - 1);
	clear_bar(send);
	fprintf(stderr, "%s:%" PRIu64 ":1: %s%s: %s\n", send->plan->list.name, places[0].line,
		unconfirmed ? "not confirmed" : "not sent", others, reason);
}

static void on_finished(void *arg, int err, const char *reason)
{
	struct send *send = arg;

	send->finished = true;
	send->err = err;
	snprintf(send->reason, sizeof(send->reason), "%s", reason);
	uv_stop(&send->runtime.loop);
}

/* What cannot be noted is not sent. */
static void on_keeper_failed(void *arg)
{
	struct send *send = arg;

	if (!send->finished)
		producer_stop(send->producer);
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
	int rc;

	options.in_flight = (unsigned)plan->in_flight;
	/* Groups of a column; else each recipient is one, and there is no order to keep. */
	options.keep_group_order = plan->group_column && sqs_queue_url_is_fifo(plan->queue_url);
	campaign_when_pace(&plan->when, &options);
	rc = connect_open(&send->connect, &send->runtime.loop, clock, &connect, error);
	if (rc == 0)
		rc = sqs_queue_new(send->connect.client, plan->queue_url, &send->queue);
	if (rc == 0)
		rc = campaign_when_wait(
			&plan->when, &send->runtime, send->connect.client, plan->queue_url, error);
	if (rc == 0)
		rc = campaign_plan_pass(plan, &send->recipients, &send->messages);
	if (rc == 0)
		rc = campaign_plan_packer(plan, &send->packer);
	if (rc == 0)
		rc = producer_new(sqs_queue_table(send->queue), clock, &source, &events, &options,
			&send->producer);
	if (rc == 0)
		rc = campaign_keeper_start(
			&send->keeper, plan->resume.journal, clock, on_keeper_failed, send);
	if (rc == 0)
		rc = arm_tick(send);
	return rc == 0 ? producer_start(send->producer) : rc;
}

/* the end */

/* The first row that was not sent; row 0: there is none, or it is not known. */
static struct recipients_place find_next(struct send *send)
{
	const struct producer_totals *totals = producer_totals(send->producer);
	struct recipients_place next = totals->unsent, open = {0};
	struct campaign_message ignored;

	if (send->packer)
		open = packer_first(send->packer);
	if (next.row == 0 || (open.row != 0 && open.row < next.row))
		next = open;
	if (next.row != 0)
		return next;
	if (totals->source_ended || send->err == ERR_IO ||
		messages_next(send->messages, &ignored) <= RECIPIENTS_END)
		return (struct recipients_place){0};
	return messages_place(send->messages);
}

/* Was each row that was to be sent confirmed, or refused for good? */
static bool is_complete(const struct send *send)
{
	const struct producer_totals *totals = producer_totals(send->producer);

	return send->finished && send->err == 0 && totals->source_ended &&
	       totals->accepted + send->refused == send->plan->check.valid;
}

static struct campaign_summary summarise(struct send *send, bool finished, uint64_t lost)
{
	const struct producer_totals *totals = producer_totals(send->producer);
	const struct campaign_check *check = &send->plan->check;
	uint64_t us = clock_monotonic_us(send->runtime.clock) - send->started_us;
	struct campaign_summary summary = {
		.recipients = check->rows,
		.sent = totals->accepted - lost,
		.messages = totals->messages,
		.sent_before = check->settled,
		.skipped = campaign_check_left_out(check),
		.failed = totals->failed + lost,
		.unconfirmed = send->unconfirmed + lost,
		.unsent = check->valid - totals->accepted - totals->failed,
		.requests = sqs_client_stats(send->connect.client)->requests,
		.seconds = (double)us / 1e6,
		.rate = us > 0 ? (double)totals->accepted * 1e6 / (double)us : 0,
		.interrupted = send->runtime.signal_count > 0,
		.finished = finished,
		.error = send->err != 0		   ? send->reason
			 : send->keeper.has_failed ? send->keeper.error
						   : NULL,
	};

	/* Given up at once: those under way are neither confirmed nor certainly unsent. */
	if (!send->finished) {
		uint64_t held =
			totals->pulled - totals->untried - totals->accepted - totals->failed;

		summary.unconfirmed += held;
		summary.failed += held;
		summary.unsent -= held;
	}
	summary.next = find_next(send);
	return summary;
}

static void tell_failures(const struct send *send, const struct campaign_summary *summary)
{
	const struct producer_totals *totals = producer_totals(send->producer);

	if (send->err != 0)
		cli_error(COMMAND, "%s", send->reason);
	if (send->keeper.has_failed)
		cli_error(COMMAND, "stopped, since what is sent cannot be noted: %s",
			send->keeper.error);
	if (totals->failed > send->told)
		cli_error(COMMAND, "%" PRIu64 " failed, between line %" PRIu64 " and line %" PRIu64,
			totals->failed, send->first_failed_line, send->last_failed_line);
	if (summary->unconfirmed > 0)
		cli_error(COMMAND,
			"%" PRIu64 " of the failed ones may be in the queue all the same",
			summary->unconfirmed);
	if (summary->unsent + summary->failed > 0)
		campaign_when_tell_hidden(
			&send->plan->when, summary->sent, clock_wall_epoch_ms(send->runtime.clock));
}

/* Can any of the campaign's rows be in the queue? */
static bool has_begun(const struct send *send, const struct campaign_summary *summary)
{
	return send->plan->resume.resume || summary->sent + summary->unconfirmed > 0;
}

/* What is left, and how to go on. */
static void tell_rest(struct send *send, const struct campaign_summary *summary)
{
	struct campaign_plan *plan = send->plan;
	struct buf command = BUF_INIT(16384);

	if (plan->name && summary->finished) {
		if (send->refused > 0)
			cli_error(COMMAND,
				"%" PRIu64 " were refused by the queue for good; the campaign is "
				"finished",
				send->refused);
	} else if (plan->name && has_begun(send, summary)) {
		campaign_resume_append_command(plan, &command);
		cli_error(COMMAND,
			"%" PRIu64 " of %" PRIu64 " rows are done; to go on with the rest: %s",
			summary->sent + summary->sent_before,
			plan->check.valid + plan->check.settled, buf_string(&command));
	} else if (plan->name) {
		campaign_resume_discard(plan);
		cli_error(COMMAND, "nothing was sent: the campaign has not begun");
	} else if (summary->next.row != 0) {
		cli_error(COMMAND, "%" PRIu64 " sent; the next is row %" PRIu64 ", line %" PRIu64,
			summary->sent, summary->next.row, summary->next.line);
	}
	buf_free(&command);
}

static int report(struct send *send)
{
	struct campaign_summary summary;
	uint64_t lost;
	bool finished = campaign_keeper_end(&send->keeper, is_complete(send), &lost);

	summary = summarise(send, finished, lost);
	clear_bar(send);
	tell_failures(send, &summary);
	tell_rest(send, &summary);
	campaign_summary_print(send->plan, &summary);
	if (send->err != 0)
		return cli_exit_code(send->err);
	if (send->keeper.has_failed)
		return CLI_TEMPORARY;
	return summary.sent == send->plan->check.valid ? CLI_DONE : CLI_FAILED;
}

/* Nothing was sent: a campaign that would have begun now has not. */
static int give_up(struct send *send, int rc, const struct buf *error)
{
	if (!send->plan->resume.resume)
		campaign_resume_discard(send->plan);
	if (rc == ERR_CANCELLED) {
		cli_error(COMMAND, "interrupted before anything was sent");
		return CLI_FAILED;
	}
	cli_error(COMMAND, "%s", error->len > 0 ? buf_string(error) : error_message(rc));
	return cli_exit_code(rc);
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
	} else {
		code = give_up(send, rc, &error);
	}
	buf_free(&error);
	return code;
}

int campaign_push(struct campaign_plan *plan)
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
	campaign_keeper_stop(&send.keeper);
	producer_free(send.producer);
	packer_free(send.packer);
	messages_free(send.messages);
	recipients_free(send.recipients);
	sqs_queue_free(send.queue);
	connect_close(&send.connect);
	clock_timer_clear(send.runtime.clock, &send.tick);
	runtime_close(&send.runtime);
	return code;
}
