#include "cli/run/session.h"

#include "base/log.h"
#include "bunshin/error.h"
#include "cli/cli.h"
#include "cli/run/worker.h"
#include "cli/run/worker_report.h"

#include <stdlib.h>

/* exit_when_empty: how often it asks, and how many answers in a row must say "empty". */
#define EMPTY_INTERVAL_US 1000000
#define EMPTY_ANSWERS 2
/* exit_when_empty: a script is not kept waiting longer for a queue that does not answer. */
#define UNREACHABLE_MAX_US 30000000ull

struct session {
	struct session_options options;
	const char *queue_url;
	struct metrics *metrics; /* on the board */
	struct counter *left;
	struct worker *worker;
	struct worker_report *report;
	bool connected; /* a receive has worked */
	bool stopping;
	int code;
	uint64_t failing_since_us; /* 0: the queue answers */
	struct clock_timer empty_timer, stop_timer;
	unsigned empty_answers;
};

static void drained(void *arg, size_t held)
{
	struct session *session = arg;

	if (held)
		log_warn("stopped before everything was settled; it will be received again",
			LOG_INT("messages", held));
	counter_add(session->left, held);
	session_show(session);
	session->options.ended(session->options.arg, session, session->code);
}

static void begin_drain(struct clock_timer *timer)
{
	struct session *session =
		(struct session *)(void *)((char *)timer - offsetof(struct session, stop_timer));

	worker_drain(session->worker, drained, session);
	session_show(session);
}

static void stop(struct session *session, int code)
{
	if (session->stopping)
		return;
	session->stopping = true;
	session->code = code;
	clock_timer_clear(session->options.clock, &session->empty_timer);
	/* By a timer: this may be inside a call from the worker. */
	clock_timer_after(session->options.clock, &session->stop_timer, 0);
}

void session_stop(struct session *session)
{
	stop(session, CLI_DONE);
}

/* A service stays and keeps trying; what can never work at the start, or a script, ends. */
static void receive_result(void *arg, int err, const char *detail)
{
	struct session *session = arg;
	uint64_t now_us = clock_monotonic_us(session->options.clock);
	enum error_class class = error_class(err);

	worker_report_receive_result(session->report, err, detail);
	if (!err) {
		session->connected = true;
		session->failing_since_us = 0;
		return;
	}
	if (!session->failing_since_us)
		session->failing_since_us = now_us;
	if (!session->connected && (class == ERROR_AUTH || class == ERROR_PERMANENT)) {
		cli_error("run", "queue %s: %s", session->queue_url, detail);
		stop(session, CLI_FAILED);
	} else if (session->options.exit_when_empty &&
		   now_us - session->failing_since_us > UNREACHABLE_MAX_US) {
		cli_error("run", "queue %s does not answer: %s", session->queue_url, detail);
		stop(session, cli_exit_code(err));
	}
}

static void left_known(void *arg, const struct worker_left *left)
{
	struct session *session = arg;
	enum error_class class = error_class(left->err);

	if (session->stopping)
		return;
	if (class == ERROR_AUTH || class == ERROR_PERMANENT) {
		cli_error("run", "--exit-when-empty: asking queue %s for its counts: %s",
			session->queue_url, left->detail);
		stop(session, CLI_FAILED);
		return;
	}
	if (left->err || left->in_queue || left->held)
		session->empty_answers = 0;
	else
		session->empty_answers++;
	if (session->empty_answers >= EMPTY_ANSWERS)
		stop(session, CLI_DONE);
	else
		clock_timer_after(session->options.clock, &session->empty_timer, EMPTY_INTERVAL_US);
}

static void ask_left(struct clock_timer *timer)
{
	struct session *session =
		(struct session *)(void *)((char *)timer - offsetof(struct session, empty_timer));

	if (worker_ask_left(session->worker, left_known, session))
		clock_timer_after(session->options.clock, &session->empty_timer, EMPTY_INTERVAL_US);
}

static void begun(void *arg)
{
	struct session *session = arg;

	session_show(session);
	if (session->options.begun)
		session->options.begun(session->options.arg);
}

static int open_metrics(struct session *session)
{
	const struct session_options *options = &session->options;

	session->metrics =
		metrics_new_in(board_metrics(options->board, options->place), BOARD_METRICS_BYTES);
	if (!session->metrics)
		return ERR_NOMEM;
	session->left = metrics_counter(session->metrics, "bunshin_messages_left_total",
		"Messages that a worker still held when it stopped; they come back by themselves.",
		"");
	return session->left ? 0 : ERR_NOMEM;
}

static int open_worker(struct session *session, struct buf *error)
{
	const struct session_options *options = &session->options;
	const struct worker_hooks hooks = {.receive_result = receive_result,
		.begun = begun,
		.arg = session,
		.interrupts = options->interrupts,
		.board = options->generation->workers_max > 1 ? options->board : NULL,
		.shown_on = options->generation->workers_max > 1 ? NULL : options->board};

	return worker_new(options->loop, options->clock, options->generation->config,
		&options->generation->host, session->metrics, &hooks, &session->worker, error);
}

int session_new(
	const struct session_options *options, struct session **ret_session, struct buf *error)
{
	struct session *session = calloc(1, sizeof(*session));
	int err;

	if (!session)
		return ERR_NOMEM;
	session->options = *options;
	session->queue_url = options->generation->config->queue.url;
	session->empty_timer.fire = ask_left;
	session->stop_timer.fire = begin_drain;
	err = open_metrics(session);
	if (!err)
		err = open_worker(session, error);
	if (!err)
		err = worker_report_new(options->clock, session->worker, options->board,
			options->place, &session->report);
	if (err) {
		if (error->len == 0)
			buf_append_string(error, error_message(err));
		session_close(session);
		return err;
	}
	*ret_session = session;
	return 0;
}

void session_start(struct session *session)
{
	worker_start(session->worker);
	if (session->options.exit_when_empty)
		clock_timer_after(session->options.clock, &session->empty_timer, EMPTY_INTERVAL_US);
}

void session_close(struct session *session)
{
	if (!session)
		return;
	clock_timer_clear(session->options.clock, &session->empty_timer);
	clock_timer_clear(session->options.clock, &session->stop_timer);
	worker_report_free(session->report);
	worker_close(session->worker);
	metrics_free(session->metrics);
	free(session);
}

size_t session_held(const struct session *session)
{
	return delivery_held(worker_delivery(session->worker));
}

void session_show(struct session *session)
{
	worker_report_now(session->report);
}

uint64_t session_progress_us(const struct session *session)
{
	struct board_report report;

	board_report_get(session->options.board, session->options.place, &report);
	return report.progress_us;
}
