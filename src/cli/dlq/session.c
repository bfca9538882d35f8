#include "bunshin/error.h"
#include "cli/campaign/confirm.h"
#include "cli/dlq/dlq.h"
#include "cli/printable.h"
#include "cli/queue_probe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The first ends what is under way in order, the second at once. */
static void on_signal(void *arg, unsigned count)
{
	struct dlq_session *session = arg;

	if (count == 1 && session->pass)
		failure_pass_stop(session->pass);
	else
		uv_stop(&session->runtime.loop);
}

int dlq_call_failed(
	const struct dlq_session *session, const char *what, int err, const char *detail)
{
	struct buf words = BUF_INIT(4096);

	if (err == ERR_CANCELLED)
		return CLI_FAILED; /* by the user, who knows */
	printable_append(&words, detail, strlen(detail), 2000);
	cli_error(session->options->command, "%s: %s", what,
		words.len > 0 ? buf_string(&words) : error_message(err));
	buf_free(&words);
	return cli_exit_code(err);
}

/* ---- one question at a time */

struct question {
	bool answered;
	int err;
	char detail[600];
	struct dlq_queue *queue;
	struct dlq_sources *sources;
};

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

static void copy_queue(const struct sqs_queue_description *from, struct dlq_queue *to)
{
	copy(to->arn, sizeof(to->arn), from->arn);
	copy(to->dead_letter_arn, sizeof(to->dead_letter_arn), from->dead_letter_arn);
	to->counts = from->attributes;
	to->max_receives = from->max_receives;
}

static void copy_sources(const struct sqs_sources *from, struct dlq_sources *to)
{
	for (size_t i = 0; i < from->count; i++)
		copy(to->urls[i], sizeof(to->urls[i]), from->urls[i]);
	to->count = from->count;
	to->more = from->more;
}

static void on_answer(
	void *arg, const struct sqs_outcome *outcome, const struct sqs_redrive_answer *answer)
{
	struct question *question = arg;

	question->answered = true;
	question->err = outcome->err;
	copy(question->detail, sizeof(question->detail), outcome->detail);
	if (!outcome->err && question->queue)
		copy_queue(&answer->queue, question->queue);
	if (!outcome->err && question->sources)
		copy_sources(&answer->sources, question->sources);
}

/* err: what starting the call came to. -1 to go on, else the exit code. */
static int await(struct dlq_session *session, struct question *question, struct queue_call *call,
	int err, const char *what)
{
	if (!err)
		err = runtime_await(&session->runtime.loop, &question->answered,
			&session->runtime.signal_count);
	if (err && call && !question->answered)
		sqs_call_cancel(session->connect.client, call);
	if (!err)
		err = question->err;
	return err ? dlq_call_failed(session, what, err, question->detail) : -1;
}

int dlq_describe(struct dlq_session *session, const char *url, struct dlq_queue *ret)
{
	struct question question = {.queue = ret};
	struct queue_call *call = NULL;
	struct sqs_queue_url parts;
	int err = sqs_queue_url_parse(url, &parts);

	if (err) {
		cli_error(session->options->command,
			"\"%s\" is not a queue URL (https://HOST/ACCOUNT/NAME)", url);
		return CLI_USAGE;
	}
	copy(ret->url, sizeof(ret->url), url);
	copy(ret->name, sizeof(ret->name), parts.name);
	err = sqs_describe_queue(session->connect.client, url, on_answer, &question, &call);
	return await(session, &question, call, err, url);
}

int dlq_sources(struct dlq_session *session, struct dlq_sources *ret)
{
	struct question question = {.sources = ret};
	struct queue_call *call = NULL;
	int err = sqs_list_sources(
		session->connect.client, session->options->queue_url, on_answer, &question, &call);

	return await(session, &question, call, err, "cannot list the queue's sources");
}

struct probe_question {
	bool answered;
	struct queue_probe_result result;
};

static void on_probe(void *arg, const struct queue_probe_result *result)
{
	struct probe_question *question = arg;

	question->answered = true;
	question->result = *result;
}

int dlq_probe(struct dlq_session *session)
{
	struct probe_question question = {.answered = false};
	const struct queue_probe_answer *answer;
	struct queue_probe *probe = NULL;
	int err = queue_probe_start(
		sqs_queue_table(session->source), QUEUE_PROBE_ALL, on_probe, &question, &probe);

	if (!err)
		err = runtime_await(
			&session->runtime.loop, &question.answered, &session->runtime.signal_count);
	if (err) {
		if (!question.answered)
			queue_probe_cancel(probe);
		return dlq_call_failed(session, session->options->queue_url, err, "");
	}
	answer = question.result.delete.err ? &question.result.delete : &question.result.visibility;
	if (!answer->err || answer->err == ERR_PENDING)
		return -1;
	return dlq_call_failed(session, session->options->queue_url, answer->err, answer->words);
}

int dlq_open_target(struct dlq_session *session, const char *url)
{
	int err = sqs_queue_new(session->connect.client, url, &session->target);

	return err ? dlq_call_failed(session, url, err, "") : -1;
}

/* ---- the session */

static void warn_of_redrive(const struct dlq_session *session)
{
	const struct dlq_queue *queue = &session->queue;
	const char *name = strrchr(queue->dead_letter_arn, ':');

	if (queue->max_receives == 0)
		return;
	fprintf(stderr,
		"bunshin %s: warning: %s has a redrive policy itself: what is received more than "
		"%u "
		"times, by looking too, moves on to %s\n",
		session->options->command, queue->name, queue->max_receives,
		name ? name + 1 : queue->dead_letter_arn);
}

int dlq_open(struct dlq_session *session, const struct dlq_options *options)
{
	struct buf error = BUF_INIT(4096);
	int code = -1, err;

	session->options = options;
	err = runtime_open(&session->runtime, on_signal, session);
	if (err) {
		cli_error(options->command, "%s", error_message(err));
		return CLI_FAILED;
	}
	session->opened = true;
	err = connect_open(&session->connect, &session->runtime.loop, session->runtime.clock,
		&(struct connect_options){.queue_url = options->queue_url,
			.endpoint = options->endpoint,
			.allow_insecure = options->allow_insecure,
			.interrupts = &session->runtime.signal_count},
		&error);
	if (!err)
		err = sqs_queue_new(session->connect.client, options->queue_url, &session->source);
	if (err)
		code = dlq_call_failed(session, "cannot connect", err, buf_string(&error));
	buf_free(&error);
	if (code < 0)
		code = dlq_describe(session, options->queue_url, &session->queue);
	if (code < 0)
		warn_of_redrive(session);
	return code;
}

void dlq_close(struct dlq_session *session)
{
	if (!session->opened)
		return;
	failure_pass_free(session->pass);
	session->pass = NULL;
	sqs_queue_free(session->source);
	sqs_queue_free(session->target);
	connect_close(&session->connect);
	runtime_close(&session->runtime);
}

/* ---- being sure */

int dlq_check_confirm(const struct dlq_options *options)
{
	int terminal;

	if (options->yes)
		return -1;
	terminal = campaign_confirm_open();
	if (terminal < 0)
		return cli_usage_error(options->command,
			"there is no terminal to confirm it at; --yes goes on without");
	close(terminal);
	return -1;
}

int dlq_confirm(const struct dlq_options *options, const char *question, const char *word)
{
	int terminal, code = -1;

	if (options->yes)
		return -1;
	terminal = campaign_confirm_open();
	if (terminal < 0)
		return dlq_check_confirm(options);
	if (!campaign_confirm(terminal, question, word)) {
		cli_error(options->command, "not confirmed; nothing was changed");
		code = CLI_FAILED;
	}
	close(terminal);
	return code;
}
