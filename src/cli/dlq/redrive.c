/*
 * bunshin dlq redrive: failures go back to their queue. A selection, or all, message by message:
 * each is sent and then deleted (campaign/failure_pass.h says what dies where). With --whole SQS
 * moves the queue itself (move.c).
 */
#include "campaign/redrive.h"
#include "base/buf.h"
#include "bunshin/error.h"
#include "cli/dlq/dlq.h"
#include "cli/printable.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RATE_MAX 100000
#define OUT_MAX 65536

struct redrive {
	struct dlq_options o;
	const char *to, *rate_text;
	bool force, whole, tasks, cancel;
	int64_t rate;
	struct dlq_session session;
	struct dlq_queue target;
	struct redrive_options options;
	bool counting;	     /* the first of two passes: nothing is sent */
	uint64_t past;	     /* of those that match, past their deadline */
	uint64_t recipients; /* of those that are to be sent */
	uint64_t keyless;
	int err; /* of preparing one */
};

/* One that stays, past its deadline, does not count for the limit. */
static bool on_failure(void *arg, const struct failure *failure, struct failure_outgoing *outgoing,
	enum failure_wish *wish)
{
	struct redrive *redrive = arg;
	/* By the time of this moment: the scan may take a while. */
	int64_t now_ms = clock_wall_epoch_ms(redrive->session.runtime.clock);
	bool past = failure_is_past(failure, now_ms), keyless;
	int err;

	redrive->past += past;
	if (past && !redrive->force)
		return false;
	redrive->recipients += failure->recipients;
	if (redrive->counting)
		return true;
	redrive->options.drop_deadline = past;
	err = redrive_prepare(failure, &redrive->options, outgoing, &keyless);
	if (err) {
		redrive->err = err;
		return false;
	}
	redrive->keyless += keyless;
	*wish = FAILURE_SEND;
	return true;
}

/* ---- the target */

/* The one queue that has this one as its dead-letter queue. -1 with its URL, or the exit code. */
static int find_source(struct redrive *redrive, char ret_url[DLQ_URL_MAX])
{
	const char *command = redrive->o.command;
	struct dlq_sources sources = {.count = 0};
	int code = dlq_sources(&redrive->session, &sources);

	if (code >= 0)
		return code;
	if (sources.count == 1 && !sources.more) {
		memcpy(ret_url, sources.urls[0], DLQ_URL_MAX);
		return -1;
	}
	if (sources.count == 0)
		return cli_usage_error(command,
			"no queue has %s as its dead-letter queue (RedrivePolicy), so where its "
			"messages came from is not known: --to URL says it",
			redrive->session.queue.name);
	cli_error(command,
		"%s is the dead-letter queue of more than one queue; --to URL says which:",
		redrive->session.queue.name);
	for (size_t i = 0; i < sources.count; i++) {
		struct buf url = BUF_INIT(8 * DLQ_URL_MAX);

		printable_append(&url, sources.urls[i], strlen(sources.urls[i]), DLQ_URL_MAX);
		fprintf(stderr, "  %s\n", buf_string(&url));
		buf_free(&url);
	}
	if (sources.more)
		fprintf(stderr, "  and more\n");
	return CLI_USAGE;
}

static int find_target(struct redrive *redrive)
{
	char url[DLQ_URL_MAX];
	int code = -1;

	if (redrive->to)
		snprintf(url, sizeof(url), "%s", redrive->to);
	else
		code = find_source(redrive, url);
	if (code < 0)
		code = dlq_describe(&redrive->session, url, &redrive->target);
	if (code < 0 && strcmp(redrive->target.arn, redrive->session.queue.arn) == 0)
		code = cli_usage_error(redrive->o.command, "--to is the failure queue itself");
	if (code < 0)
		code = dlq_open_target(&redrive->session, url);
	redrive->options = (struct redrive_options){
		.target_url = redrive->target.url,
		.target_fifo = sqs_queue_url_is_fifo(redrive->target.url),
	};
	return code;
}

/* ---- message by message */

/* What the second pass would do, and whether it may. */
static int ask(struct redrive *redrive, const struct dlq_scan *counted)
{
	char number[DLQ_NUMBER_MAX], past[DLQ_NUMBER_MAX], recipients[DLQ_NUMBER_MAX];
	struct buf question = BUF_INIT(OUT_MAX);
	int code;

	buf_appendf(&question, "%s %s to send to %s", dlq_number(counted->taken, number),
		dlq_messages(counted->taken), redrive->target.name);
	if (redrive->recipients > counted->taken)
		buf_appendf(&question, ", for %s recipients",
			dlq_number(redrive->recipients, recipients));
	if (redrive->past > 0)
		buf_appendf(&question,
			redrive->force ? ", %s of them past the deadline, which is "
					 "taken off"
				       : "; %s past the deadline stay here",
			dlq_number(redrive->past, past));
	buf_appendf(&question, ".\nType the queue's name, %s, to go on: ", redrive->target.name);
	code = dlq_confirm(&redrive->o, buf_string(&question), redrive->target.name);
	buf_free(&question);
	return code;
}

static void print_text(const struct redrive *redrive, const struct dlq_scan *scan)
{
	const struct failure_pass_totals *totals = &scan->totals;
	uint64_t refused = redrive->force ? 0 : redrive->past;
	char number[DLQ_NUMBER_MAX];

	dlq_print_seen(stdout, scan);
	printf("%s sent to %s", dlq_number(totals->sent, number), redrive->target.name);
	if (redrive->recipients > scan->taken && totals->unsent == 0)
		printf(", for %s recipients", dlq_number(redrive->recipients, number));
	printf("\n");
	if (refused > 0)
		printf("%s past the deadline, left here: a worker would only expire them "
		       "(--force takes the deadline off)\n",
			dlq_number(refused, number));
	if (redrive->force && redrive->past > 0)
		printf("%s of them past the deadline, which was taken off\n",
			dlq_number(redrive->past, number));
	if (totals->unsent > 0)
		printf("%s not sent, left here\n", dlq_number(totals->unsent, number));
	if (totals->maybe_sent > 0)
		printf("%s of them may have been sent all the same: no answer said so\n",
			dlq_number(totals->maybe_sent, number));
	if (totals->undeleted > 0)
		printf("%s sent, and maybe still here: the next redrive sends them again, with the "
		       "same idempotency key\n",
			dlq_number(totals->undeleted, number));
	if (redrive->keyless > 0)
		printf("%s without an idempotency key, and without room for one: workers take them "
		       "for new ones\n",
			dlq_number(redrive->keyless, number));
	if (scan->totals.end == FAILURE_PASS_GREW || scan->totals.end == FAILURE_PASS_FULL)
		printf("there may be more: run it again\n");
}

static void print_json(const struct redrive *redrive, const struct dlq_scan *scan)
{
	const struct failure_pass_totals *totals = &scan->totals;
	struct buf out = BUF_INIT(OUT_MAX);

	dlq_json_begin(&out, scan);
	buf_append_string(&out, ",\"to\":");
	printable_append_json(&out, redrive->target.url, strlen(redrive->target.url));
	buf_appendf(&out,
		",\"sent\":%" PRIu64 ",\"recipients\":%" PRIu64 ",\"past_deadline\":%" PRIu64
		",\"refused\":%" PRIu64 ",\"unsent\":%" PRIu64 ",\"maybe_sent\":%" PRIu64
		",\"undeleted\":%" PRIu64 ",\"keyless\":%" PRIu64 "}\n",
		totals->sent, redrive->recipients, redrive->past,
		redrive->force ? 0 : redrive->past, totals->unsent, totals->maybe_sent,
		totals->undeleted, redrive->keyless);
	fputs(buf_string(&out), stdout);
	buf_free(&out);
}

/* Ends with code >= 0; -1: the second pass may follow. */
static int count_first(struct redrive *redrive)
{
	struct dlq_scan scan = {.session = &redrive->session, .visit = on_failure, .arg = redrive};
	int code;

	redrive->counting = true;
	code = dlq_scan(&scan);
	redrive->counting = false;
	if (code >= 0)
		return code;
	if (scan.err || scan.interrupted)
		return dlq_scan_code(&scan);
	dlq_print_seen(stderr, &scan);
	if (scan.matched == 0) {
		cli_error(redrive->o.command, "no message matches; nothing was sent");
		return CLI_DONE;
	}
	if (scan.taken == 0) {
		cli_error(redrive->o.command,
			"all %" PRIu64 " are past their deadline and stay: a worker would only "
			"expire them (--force takes the deadline off)",
			scan.matched);
		return CLI_FAILED;
	}
	code = ask(redrive, &scan);
	redrive->past = redrive->recipients = 0;
	return code;
}

static int send_all(struct redrive *redrive)
{
	struct dlq_scan scan = {.session = &redrive->session,
		.visit = on_failure,
		.arg = redrive,
		.moves = true,
		.rate = redrive->rate};
	int code = dlq_scan(&scan);

	if (code >= 0)
		return code;
	if (redrive->o.json)
		print_json(redrive, &scan);
	else
		print_text(redrive, &scan);
	if (redrive->err)
		cli_error(redrive->o.command, "%s", error_message(redrive->err));
	code = dlq_scan_code(&scan);
	if (code == CLI_DONE && (redrive->err || (!redrive->force && redrive->past > 0)))
		code = CLI_FAILED;
	return code;
}

static int run_selection(struct redrive *redrive)
{
	int code = find_target(redrive);

	if (code < 0)
		code = dlq_probe(&redrive->session);
	if (code < 0 && !redrive->o.yes)
		code = count_first(redrive);
	return code < 0 ? send_all(redrive) : code;
}

/* ---- as a whole */

static int confirm_whole(struct redrive *redrive, const char *where)
{
	uint64_t visible = (uint64_t)redrive->session.queue.counts.visible;
	char number[DLQ_NUMBER_MAX];
	struct buf question = BUF_INIT(OUT_MAX);
	int code;

	buf_appendf(&question,
		"About %s %s to move to %s; deadlines are not looked at.\nType the failure "
		"queue's name, %s, to go on: ",
		dlq_number(visible, number), dlq_messages(visible), where,
		redrive->session.queue.name);
	code = dlq_confirm(&redrive->o, buf_string(&question), redrive->session.queue.name);
	buf_free(&question);
	return code;
}

static int run_whole(struct redrive *redrive)
{
	struct dlq_sources sources = {.count = 0};
	const char *url = redrive->to;
	int code = dlq_sources(&redrive->session, &sources);

	if (code >= 0)
		return code;
	if (sources.count == 0)
		return cli_usage_error(redrive->o.command,
			"--whole: SQS moves only from a queue that is the dead-letter queue of "
			"another, by its redrive policy, and %s is none; without --whole, and with "
			"--to URL, its messages are sent one by one",
			redrive->session.queue.name);
	/* With a destination, since SQS does not know where a worker's copy came from. */
	if (!url && sources.count == 1 && !sources.more)
		url = sources.urls[0];
	if (url)
		code = dlq_describe(&redrive->session, url, &redrive->target);
	if (code < 0)
		code = confirm_whole(
			redrive, url ? redrive->target.name : "the queues they came from");
	if (code >= 0)
		return code;
	return dlq_move_start(&redrive->session, url ? redrive->target.arn : NULL, redrive->rate);
}

/* ---- the verb */

static int check_options(struct redrive *redrive)
{
	const char *command = redrive->o.command;
	bool selects = !failure_filter_is_empty(&redrive->o.filter) || redrive->o.limit > 0;
	int modes = redrive->whole + redrive->tasks + redrive->cancel;
	int code = dlq_check_options(&redrive->o);

	if (code >= 0)
		return code;
	if (modes > 1)
		return cli_usage_error(command, "--whole, --tasks and --cancel exclude each other");
	if (modes > 0 && selects)
		return cli_usage_error(command,
			"--%s is about the whole queue: it takes no selection",
			redrive->whole	 ? "whole"
			: redrive->tasks ? "tasks"
					 : "cancel");
	if (modes > 0 && redrive->force)
		return cli_usage_error(command,
			"--force: SQS moves messages as they are, their deadline included; without "
			"--whole it is taken off");
	if (redrive->rate_text)
		code = dlq_parse_rate(command, redrive->rate_text, redrive->whole ? 500 : RATE_MAX,
			&redrive->rate);
	if (code >= 0 || redrive->tasks || redrive->cancel)
		return code;
	return dlq_check_confirm(&redrive->o);
}

static int run(struct redrive *redrive)
{
	int code = dlq_open(&redrive->session, &redrive->o);

	if (code < 0 && redrive->tasks)
		code = dlq_move_list(&redrive->session);
	else if (code < 0 && redrive->cancel)
		code = dlq_move_cancel(&redrive->session);
	else if (code < 0)
		code = redrive->whole ? run_whole(redrive) : run_selection(redrive);
	dlq_close(&redrive->session);
	return code;
}

int dlq_redrive(int argc, char **argv)
{
	struct redrive r = {.o = {.command = "dlq redrive", .filter.status = -1}};
	const struct cli_option options[] = {
		DLQ_QUEUE_OPTIONS(&r.o),
		{"to", 0, CLI_STRING, "URL", &r.to, 0, 0,
			"the queue they go to [the one whose dead-letter queue it is]"},
		DLQ_FILTER_OPTIONS(&r.o),
		{"limit", 0, CLI_INT, "N", &r.o.limit, 1, 1000000000,
			"no more than N messages [all]"},
		{"force", 0, CLI_FLAG, NULL, &r.force, 0, 0,
			"those past their deadline, too, which is taken off"},
		{"rate", 0, CLI_STRING, "N/s", &r.rate_text, 0, 0,
			"messages a second at most [no limit]"},
		{"whole", 0, CLI_FLAG, NULL, &r.whole, 0, 0,
			"SQS moves all of the queue itself (StartMessageMoveTask)"},
		{"tasks", 0, CLI_FLAG, NULL, &r.tasks, 0, 0,
			"show the last of those moves, do nothing else"},
		{"cancel", 0, CLI_FLAG, NULL, &r.cancel, 0, 0,
			"end the move under way; what was moved stays moved"},
		{"yes", 'y', CLI_FLAG, NULL, &r.o.yes, 0, 0, "do not ask"},
		{0},
	};
	const struct cli_usage usage = {"dlq redrive", "--queue-url URL [--to URL] [options]",
		"Sends the messages of a failure queue, or a selection of them, back to the queue\n"
		"they came from, each with the idempotency key it had, and deletes each here once\n"
		"the other queue has it. Messages past their deadline stay, unless --force. "
		"Before\n"
		"anything is sent they are counted, and the name of the queue must be typed.",
		options, 0, 0};
	int first, count;
	int code = cli_parse(&usage, argc, argv, &first, &count);

	if (code < 0)
		code = check_options(&r);
	return code < 0 ? run(&r) : code;
}
