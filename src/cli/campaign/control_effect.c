/*
 * Who has taken a change over: workers say in their status lines by which control they act
 * (results/record.h), and `campaign watch`, or this process by --results-url, brings those into
 * results.db. Without that a pause can still be seen in the queue's own counts.
 */
#include "base/list.h"
#include "bunshin/error.h"
#include "campaign/results_db.h"
#include "campaign/tally.h"
#include "cli/campaign/control.h"
#include "cli/campaign/watch.h"

#include <string.h>
#include <unistd.h>

#define LOOK_US UINT64_C(200000)
#define COUNT_US UINT64_C(1000000)
/* A results queue that is only now being read tells of one worker after the other. */
#define QUIET_US UINT64_C(6000000)

struct waiting {
	struct control_command *command;
	struct control_effect *effect;
	char id[CONTROL_ID_SIZE];
	struct results_db *db;
	struct watch_sources *sources; /* NULL: another process fills the database */
	struct clock_timer look;
	uint64_t until_us;
	uint64_t news_us; /* a worker was heard of, or took it over, the latest */
	struct queue_call *counting;
	uint64_t counted_us;
	int err;
};

static uint64_t now_us(const struct waiting *waiting)
{
	return clock_monotonic_us(waiting->command->runtime.clock);
}

static double since_set_s(const struct waiting *waiting)
{
	return (double)(now_us(waiting) - waiting->command->set_us) / 1e6;
}

static void add_status(void *arg, const struct result_status *status)
{
	struct waiting *waiting = arg;
	struct control_effect *effect = waiting->effect;

	effect->workers++;
	if (strcmp(status->control, waiting->id) != 0)
		return;
	effect->in_force++;
	effect->in_flight += status->in_flight;
}

/* Brings the effect up to date. */
static int read_statuses(struct waiting *waiting)
{
	struct control_effect *effect = waiting->effect;
	unsigned workers = effect->workers, in_force = effect->in_force;
	int64_t now_ms = clock_wall_epoch_ms(waiting->command->runtime.clock);
	int err;

	effect->workers = effect->in_force = 0;
	effect->in_flight = 0;
	err = results_db_each_status(waiting->db, now_ms - TALLY_FRESH_MS, add_status, waiting);
	if (workers != effect->workers || in_force != effect->in_force)
		waiting->news_us = now_us(waiting);
	if (effect->workers > 0 && effect->in_force == effect->workers && effect->seconds < 0)
		effect->seconds = since_set_s(waiting);
	else if (effect->in_force < effect->workers)
		effect->seconds = -1;
	return err;
}

static bool all_have_it(const struct waiting *waiting)
{
	return waiting->effect->seconds >= 0 &&
	       (!waiting->sources || now_us(waiting) - waiting->news_us >= QUIET_US);
}

/* ---- the queue's own counts */

static void counted(
	void *arg, const struct sqs_outcome *outcome, const struct queue_attributes *attributes)
{
	struct waiting *waiting = arg;
	struct control_effect *effect = waiting->effect;

	waiting->counting = NULL;
	if (outcome->err)
		return;
	effect->queue_in_flight = attributes->in_flight;
	if (attributes->in_flight == 0 && effect->queue_empty_seconds < 0)
		effect->queue_empty_seconds = since_set_s(waiting);
}

static void count(struct waiting *waiting)
{
	struct control_command *command = waiting->command;

	if (waiting->counting || now_us(waiting) - waiting->counted_us < COUNT_US)
		return;
	waiting->counted_us = now_us(waiting);
	if (sqs_get_attributes(command->connect.client, command->queue_url, counted, waiting,
		    &waiting->counting))
		waiting->counting = NULL;
}

/* ---- waiting */

static void finish(void *arg)
{
	struct waiting *waiting = arg;

	uv_stop(&waiting->command->runtime.loop);
}

static void ignore(void *arg)
{
}

static bool is_over(struct waiting *waiting)
{
	const struct control_effect *effect = waiting->effect;

	if (waiting->db) {
		waiting->err = read_statuses(waiting);
		if (waiting->err || all_have_it(waiting))
			return true;
	} else {
		count(waiting);
		if (effect->queue_empty_seconds >= 0)
			return true;
	}
	return now_us(waiting) >= waiting->until_us;
}

static void look(struct clock_timer *timer)
{
	struct waiting *waiting = list_entry(timer, struct waiting, look);

	if (is_over(waiting) || clock_timer_after(waiting->command->runtime.clock, timer, LOOK_US))
		finish(waiting);
}

/* results.db, for writing when this process is to fill it. 0 with db NULL: there is none. */
static int open_db(struct waiting *waiting, struct buf *error)
{
	const struct control_command *command = waiting->command;
	struct buf path = BUF_INIT(8192);
	bool fills = command->results_url != NULL;
	int err = buf_appendf(&path, "%s/" RESULTS_DB_NAME, command->directory);

	if (!err)
		err = results_db_open(buf_string(&path), !fills, &waiting->db, error);
	if (err == ERR_PENDING) {
		/* `campaign watch` fills it. */
		buf_clear(error);
		fills = false;
		err = results_db_open(buf_string(&path), true, &waiting->db, error);
	}
	if (err == ERR_NOT_FOUND && !command->results_url) {
		buf_clear(error);
		err = 0;
	}
	buf_free(&path);
	if (!err && waiting->db && fills) {
		const struct watch_sources_options sources = {.results_url = command->results_url,
			.endpoint = command->endpoint,
			.allow_insecure = command->allow_insecure,
			.runtime = &waiting->command->runtime,
			.db = waiting->db,
			.finished = finish,
			.interrupt = ignore,
			.arg = waiting};

		err = watch_sources_open(&sources, &waiting->sources, error);
	}
	return err;
}

static int run(struct waiting *waiting)
{
	struct runtime *runtime = &waiting->command->runtime;
	int err = clock_timer_after(runtime->clock, &waiting->look, 0);

	if (err)
		return err;
	uv_run(&runtime->loop, UV_RUN_DEFAULT);
	clock_timer_clear(runtime->clock, &waiting->look);
	waiting->effect->interrupted = runtime->signal_count > 0;
	/* What was received is committed before it is deleted, and that takes a turn or two. */
	if (waiting->sources) {
		watch_sources_stop(waiting->sources);
		uv_run(&runtime->loop, UV_RUN_DEFAULT);
	}
	return waiting->err;
}

int control_effect_wait(struct control_command *command, unsigned max_s,
	struct control_effect *ret_effect, struct buf *error)
{
	struct waiting waiting = {.command = command, .effect = ret_effect, .look.fire = look};
	int err;

	*ret_effect = (struct control_effect){
		.seconds = -1, .queue_in_flight = -1, .queue_empty_seconds = -1};
	if (command->set_us == 0)
		command->set_us = now_us(&waiting);
	control_id(&command->control, waiting.id);
	waiting.until_us = now_us(&waiting) + max_s * UINT64_C(1000000);
	waiting.news_us = now_us(&waiting);
	err = open_db(&waiting, error);
	ret_effect->asked = !err && waiting.db;
	/* A rate or a cancelled campaign cannot be seen in the queue's counts. */
	if (!err && (waiting.db || (command->control.paused && max_s > 0)))
		err = run(&waiting);
	if (waiting.counting)
		sqs_call_cancel(command->connect.client, waiting.counting);
	watch_sources_close(waiting.sources);
	results_db_close(waiting.db);
	return err;
}
