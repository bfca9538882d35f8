/* The wait of `campaign send --at`. */
#include "base/list.h"
#include "bunshin/error.h"
#include "campaign/countdown.h"
#include "cli/campaign/ask.h"
#include "cli/campaign/send.h"
#include "cli/campaign/when.h"
#include "cli/cli.h"
#include "cli/runtime.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COMMAND CAMPAIGN_COMMAND
#define LINE_EVERY_MS ((int64_t)10 * 60 * 1000) /* where there is no terminal */
#define LAST_LINE_MS ((int64_t)60 * 1000)
/* A kept-alive connection is closed when nothing is asked for a while, so it is opened anew. */
#define WARM_UP_MS ((int64_t)10 * 1000)
#define WARM_UP_WORTH_MS ((int64_t)15 * 1000)

struct waiting {
	const struct campaign_when *when;
	struct runtime *runtime;
	struct sqs_client *client;
	const char *queue_url;
	bool terminal;
	bool warmed;	      /* or not worth it */
	bool told_warm_up;    /* its failure */
	int64_t next_line_ms; /* a line when no more than this is left */
	struct campaign_ask ask;
	struct countdown countdown;
	bool due;
	int64_t late_ms;
};

static void clear_line(const struct waiting *waiting)
{
	if (waiting->terminal)
		fprintf(stderr, "\r\033[K");
}

static void show_left(struct waiting *waiting, int64_t left_ms)
{
	const struct schedule_instant until = {
		waiting->countdown.until_epoch_ms, waiting->when->at.offset_s};
	char span[SCHEDULE_TEXT_MAX], at[SCHEDULE_TEXT_MAX];

	schedule_format_span(left_ms + 999, span);
	schedule_format(until, at);
	if (waiting->terminal) {
		fprintf(stderr, "\r\033[K%s left until %s (Ctrl-C: nothing is sent)", span, at);
		return;
	}
	if (left_ms > waiting->next_line_ms)
		return;
	cli_error(COMMAND, "%s left until %s", span, at);
	waiting->next_line_ms = left_ms > LINE_EVERY_MS	 ? left_ms - LINE_EVERY_MS
				: left_ms > LAST_LINE_MS ? LAST_LINE_MS
							 : 0;
}

/* The answer matters no more: what is wrong now, the push will meet and try again. */
static void warm_up(struct waiting *waiting, int64_t left_ms)
{
	if (!waiting->warmed && left_ms <= WARM_UP_MS) {
		waiting->warmed = true;
		campaign_ask_start(&waiting->ask, waiting->client, waiting->runtime->clock,
			waiting->queue_url);
	}
	if (!waiting->ask.answered || waiting->told_warm_up)
		return;
	waiting->told_warm_up = true;
	if (campaign_answer_is_fatal(&waiting->ask.answer)) {
		clear_line(waiting);
		cli_error(COMMAND, "%s; trying all the same", waiting->ask.answer.words);
	}
}

static void on_tick(void *arg, int64_t left_ms, int64_t jumped_ms)
{
	struct waiting *waiting = arg;
	char span[SCHEDULE_TEXT_MAX];

	if (jumped_ms != 0) {
		clear_line(waiting);
		cli_error(COMMAND, "%s by %s",
			jumped_ms > 0 ? "the clock was put forward, or this machine slept,"
				      : "the clock was put back",
			schedule_format_span(jumped_ms > 0 ? jumped_ms : -jumped_ms, span));
		if (waiting->next_line_ms < left_ms)
			waiting->next_line_ms = left_ms;
	}
	warm_up(waiting, left_ms);
	show_left(waiting, left_ms);
}

static void on_due(void *arg, int64_t late_ms)
{
	struct waiting *waiting = arg;

	waiting->due = true;
	waiting->late_ms = late_ms;
}

/* Waits for an instant up to which the messages are not to be there. 0 or ERR_CANCELLED. */
static int wait_until(struct waiting *waiting, int64_t epoch_ms)
{
	const struct countdown_events events = {on_tick, on_due, waiting};
	int64_t left_ms = epoch_ms - clock_wall_epoch_ms(waiting->runtime->clock);
	int rc = countdown_start(&waiting->countdown, waiting->runtime->clock, epoch_ms, &events);

	waiting->warmed = left_ms < WARM_UP_WORTH_MS;
	waiting->next_line_ms = INT64_MAX;
	if (left_ms > 0)
		show_left(waiting, left_ms);
	if (rc == 0)
		rc = runtime_await(
			&waiting->runtime->loop, &waiting->due, &waiting->runtime->signal_count);
	countdown_stop(&waiting->countdown);
	campaign_ask_cancel(&waiting->ask);
	clear_line(waiting);
	return rc;
}

/* A machine that slept, or a clock that was put forward, must not make a campaign late. */
static int check_lateness(const struct campaign_when *when, int64_t now_epoch_ms, struct buf *error)
{
	int64_t late_ms = now_epoch_ms - when->at.epoch_ms;
	char span[SCHEDULE_TEXT_MAX];

	if (when->deadline.epoch_ms != 0 && now_epoch_ms >= when->deadline.epoch_ms)
		buf_append_string(error, "the deadline has passed meanwhile; nothing was sent");
	else if (when->deadline.epoch_ms == 0 && late_ms > CAMPAIGN_LATE_MAX_MS)
		buf_appendf(error,
			"--at was missed by %s (did this machine sleep?) and there is no "
			"--deadline; nothing was sent",
			schedule_format_span(late_ms, span));
	else
		return 0;
	return ERR_LIMIT;
}

static int ask_beforehand(struct waiting *waiting, struct buf *error)
{
	struct campaign_answer answer;
	struct buf warning = BUF_INIT(400);
	int rc = campaign_ask(waiting->runtime, waiting->client, waiting->queue_url, &answer);

	if (rc < 0)
		return rc;
	if (campaign_answer_is_fatal(&answer)) {
		buf_append_string(error, answer.words);
		return answer.err;
	}
	if (answer.err)
		cli_error(COMMAND, "%s; whether it may be sent to, is seen at the start",
			answer.words);
	if (campaign_answer_offset(&answer, &warning))
		cli_error(COMMAND, "warning: %s", buf_string(&warning));
	buf_free(&warning);
	return 0;
}

int campaign_when_wait(const struct campaign_when *when, struct runtime *runtime,
	struct sqs_client *client, const char *queue_url, struct buf *error)
{
	struct waiting waiting = {.when = when,
		.runtime = runtime,
		.client = client,
		.queue_url = queue_url,
		.terminal = cli_is_terminal(STDERR_FILENO)};
	int rc;

	if (!when->at_text)
		return 0;
	rc = ask_beforehand(&waiting, error);
	if (rc == 0)
		rc = wait_until(&waiting,
			when->at.epoch_ms - (when->prefill_ms > 0 ? when->prefill_ms : 0));
	return rc == 0 ? check_lateness(when, clock_wall_epoch_ms(runtime->clock), error) : rc;
}
