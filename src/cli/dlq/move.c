/* SQS's own move tasks: one is started and followed, the last are listed, one is cancelled. */
#include "base/list.h"
#include "base/units.h"
#include "bunshin/error.h"
#include "cli/dlq/dlq.h"
#include "cli/printable.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define POLL_EVERY_US UINT64_C(1000000)
#define LINE_EVERY_POLLS 10
#define FAILURES_MAX 30 /* polls in a row that fail: half a minute */
#define OUT_MAX 65536

/* One answer, copied. */
struct asked {
	bool answered;
	int err;
	char detail[600];
	struct sqs_move moves[SQS_MOVES_MAX];
	size_t count;
	int64_t moved;
	struct {
		char handle[1025], destination[DLQ_ARN_MAX], failure[200];
	} texts[SQS_MOVES_MAX];
};

static void on_answer(
	void *arg, const struct sqs_outcome *outcome, const struct sqs_redrive_answer *answer)
{
	struct asked *asked = arg;

	asked->answered = true;
	asked->err = outcome->err;
	snprintf(asked->detail, sizeof(asked->detail), "%s", outcome->detail);
	if (!answer)
		return;
	asked->moved = answer->moved;
	asked->count = answer->move_count;
	for (size_t i = 0; i < asked->count; i++) {
		struct sqs_move *move = &asked->moves[i];

		*move = answer->moves[i];
		snprintf(
			asked->texts[i].handle, sizeof(asked->texts[i].handle), "%s", move->handle);
		snprintf(asked->texts[i].destination, sizeof(asked->texts[i].destination), "%s",
			move->destination_arn);
		snprintf(asked->texts[i].failure, sizeof(asked->texts[i].failure), "%s",
			move->failure);
		move->handle = asked->texts[i].handle;
		move->destination_arn = asked->texts[i].destination;
		move->failure = asked->texts[i].failure;
	}
}

/* The end of a call; `err` is what starting it came to. */
static int await(struct dlq_session *session, struct asked *asked, struct queue_call *call, int err)
{
	if (!err)
		err = runtime_await(
			&session->runtime.loop, &asked->answered, &session->runtime.signal_count);
	if (err && call && !asked->answered)
		sqs_call_cancel(session->connect.client, call);
	return err ? err : asked->err;
}

static int ask_moves(struct dlq_session *session, struct asked *asked)
{
	struct queue_call *call = NULL;
	int err;

	memset(asked, 0, sizeof(*asked));
	err = sqs_list_moves(session->connect.client, session->queue.arn, on_answer, asked, &call);
	return await(session, asked, call, err);
}

static bool is_active(const struct sqs_move *move)
{
	return move->status == SQS_MOVE_RUNNING || move->status == SQS_MOVE_CANCELLING;
}

static const char *status_word(enum sqs_move_status status)
{
	static const char *const words[] = {
		[SQS_MOVE_RUNNING] = "running",
		[SQS_MOVE_CANCELLING] = "cancelling",
		[SQS_MOVE_COMPLETED] = "completed",
		[SQS_MOVE_CANCELLED] = "cancelled",
		[SQS_MOVE_FAILED] = "failed",
	};

	return words[status];
}

/* "5,000 of about 12,400 moved" */
static void append_progress(struct buf *out, const struct sqs_move *move)
{
	char moved[DLQ_NUMBER_MAX], all[DLQ_NUMBER_MAX];

	buf_append_string(out, dlq_number((uint64_t)move->moved, moved));
	if (move->to_move >= 0)
		buf_appendf(out, " of about %s", dlq_number((uint64_t)move->to_move, all));
	buf_append_string(out, " moved");
}

static void append_destination(struct buf *out, const struct sqs_move *move)
{
	const char *name = strrchr(move->destination_arn, ':');

	buf_append_string(out, " to ");
	if (name)
		printable_append(out, name + 1, strlen(name + 1), 100);
	else
		buf_append_string(out, "the queues they came from");
}

static void append_failure(struct buf *out, const struct sqs_move *move)
{
	buf_append_string(out, ": ");
	printable_append(out, move->failure, strlen(move->failure), 200);
	if (strcmp(move->failure, "CouldNotDetermineMessageSource") == 0)
		buf_append_string(out,
			" (SQS does not know where a message came from that was sent "
			"here, a worker's copy: --to URL says it)");
}

static void append_json(struct buf *out, const struct sqs_move *move)
{
	buf_appendf(out, "{\"status\":\"%s\",\"moved\":%" PRId64, status_word(move->status),
		move->moved);
	if (move->to_move >= 0)
		buf_appendf(out, ",\"to_move\":%" PRId64, move->to_move);
	if (move->started_epoch_ms > 0)
		buf_appendf(out, ",\"started_epoch_ms\":%" PRId64, move->started_epoch_ms);
	if (move->messages_per_s > 0)
		buf_appendf(out, ",\"rate\":%u", move->messages_per_s);
	if (move->destination_arn[0]) {
		buf_append_string(out, ",\"destination_arn\":");
		printable_append_json(out, move->destination_arn, strlen(move->destination_arn));
	}
	if (move->failure[0]) {
		buf_append_string(out, ",\"failure\":");
		printable_append_json(out, move->failure, strlen(move->failure));
	}
	buf_append_char(out, '}');
}

/* ---- following one */

struct wait {
	struct clock_timer timer;
	bool over;
};

static void wait_over(struct clock_timer *timer)
{
	list_entry(timer, struct wait, timer)->over = true;
}

static int sleep_a_poll(struct dlq_session *session)
{
	struct wait wait = {.timer.fire = wait_over};
	int err = clock_timer_after(session->runtime.clock, &wait.timer, POLL_EVERY_US);

	if (!err)
		err = runtime_await(
			&session->runtime.loop, &wait.over, &session->runtime.signal_count);
	clock_timer_clear(session->runtime.clock, &wait.timer);
	return err;
}

static void show_progress(const struct sqs_move *move, unsigned polls)
{
	bool terminal = cli_is_terminal(STDERR_FILENO);
	struct buf out = BUF_INIT(OUT_MAX);

	if (!terminal && polls % LINE_EVERY_POLLS != 0)
		return;
	append_progress(&out, move);
	fprintf(stderr, "%s%s%s", terminal ? "\r\033[K" : "", buf_string(&out),
		terminal ? "" : "\n");
	fflush(stderr);
	buf_free(&out);
}

static void clear_progress(void)
{
	if (cli_is_terminal(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

static int print_end(const struct dlq_session *session, const struct sqs_move *move)
{
	struct buf out = BUF_INIT(OUT_MAX);

	if (session->options->json) {
		append_json(&out, move);
	} else {
		buf_appendf(&out, "%s: ", status_word(move->status));
		append_progress(&out, move);
		append_destination(&out, move);
		if (move->status == SQS_MOVE_FAILED)
			append_failure(&out, move);
	}
	printf("%s\n", buf_string(&out));
	buf_free(&out);
	return move->status == SQS_MOVE_COMPLETED ? CLI_DONE : CLI_FAILED;
}

static int let_go(const struct dlq_session *session)
{
	const char *url = session->options->queue_url;

	fprintf(stderr,
		"the move goes on without us; to see how far it is, and to end it:\n"
		"  bunshin dlq redrive --queue-url %s --tasks\n"
		"  bunshin dlq redrive --queue-url %s --cancel\n",
		url, url);
	return CLI_FAILED;
}

static int follow(struct dlq_session *session)
{
	unsigned polls = 0, failures = 0;
	struct asked asked;

	for (;; polls++) {
		int err = ask_moves(session, &asked);

		if (!err && asked.count > 0 && !is_active(&asked.moves[0])) {
			clear_progress();
			return print_end(session, &asked.moves[0]);
		}
		if (!err && asked.count > 0)
			show_progress(&asked.moves[0], polls);
		failures = err ? failures + 1 : 0;
		if (err != ERR_CANCELLED && failures < FAILURES_MAX)
			err = sleep_a_poll(session);
		if (!err)
			continue;
		clear_progress();
		if (err != ERR_CANCELLED)
			dlq_call_failed(session, "the move cannot be followed", err, asked.detail);
		return let_go(session);
	}
}

int dlq_move_start(struct dlq_session *session, const char *destination_arn, int64_t rate)
{
	struct asked asked = {.answered = false};
	struct queue_call *call = NULL;
	int err = sqs_start_move(session->connect.client, session->queue.arn, destination_arn,
		(unsigned)rate, on_answer, &asked, &call);

	err = await(session, &asked, call, err);
	if (err == ERR_CANCELLED) {
		cli_error(session->options->command,
			"interrupted; the move may have been started all the same (--tasks)");
		return CLI_FAILED;
	}
	if (err)
		return dlq_call_failed(session, "not started", err, asked.detail);
	return follow(session);
}

/* ---- the last ones */

int dlq_move_list(struct dlq_session *session)
{
	struct buf out = BUF_INIT(OUT_MAX);
	struct asked asked;
	char time[UNITS_TEXT_MAX];
	int err = ask_moves(session, &asked);

	if (err)
		return dlq_call_failed(session, "cannot list the moves", err, asked.detail);
	if (session->options->json)
		buf_append_string(&out, "{\"tasks\":[");
	for (size_t i = 0; i < asked.count; i++) {
		const struct sqs_move *move = &asked.moves[i];

		if (session->options->json) {
			buf_append_string(&out, i > 0 ? "," : "");
			append_json(&out, move);
			continue;
		}
		if (move->started_epoch_ms > 0)
			buf_appendf(
				&out, "%s  ", units_format_rfc3339(move->started_epoch_ms, time));
		buf_appendf(&out, "%-10s  ", status_word(move->status));
		append_progress(&out, move);
		append_destination(&out, move);
		if (move->status == SQS_MOVE_FAILED)
			append_failure(&out, move);
		buf_append_char(&out, '\n');
	}
	if (session->options->json)
		buf_append_string(&out, "]}\n");
	else if (asked.count == 0)
		buf_appendf(&out, "%s: no move is known\n", session->queue.name);
	fputs(buf_string(&out), stdout);
	buf_free(&out);
	return CLI_DONE;
}

int dlq_move_cancel(struct dlq_session *session)
{
	char handle[sizeof(((struct asked *)0)->texts[0].handle)], number[DLQ_NUMBER_MAX];
	struct queue_call *call = NULL;
	struct asked asked;
	int err = ask_moves(session, &asked);

	if (err)
		return dlq_call_failed(session, "cannot list the moves", err, asked.detail);
	if (asked.count == 0 || asked.moves[0].status != SQS_MOVE_RUNNING) {
		cli_error(
			session->options->command, "%s: no move is under way", session->queue.name);
		return CLI_FAILED;
	}
	memcpy(handle, asked.texts[0].handle, sizeof(handle));
	memset(&asked, 0, sizeof(asked));
	err = sqs_cancel_move(session->connect.client, handle, on_answer, &asked, &call);
	err = await(session, &asked, call, err);
	if (err)
		return dlq_call_failed(session, "not cancelled", err, asked.detail);
	if (session->options->json)
		printf("{\"cancelled\":true,\"moved\":%" PRId64 "}\n", asked.moved);
	else
		printf("cancelled; about %s moved before\n",
			dlq_number((uint64_t)asked.moved, number));
	return CLI_DONE;
}
