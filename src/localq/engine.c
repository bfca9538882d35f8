#include "localq/engine.h"

#include "base/loop_clock.h"
#include "base/wakeup.h"
#include "bunshin/error.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In one transaction, at least, when as many are there. */
#define CALLS_A_TURN 64

/* Runs `end` at the end of each turn of a loop: before it sleeps, and after it looked at its
 * sockets. */
struct turn {
	uv_prepare_t prepare;
	uv_check_t check;
	void (*end)(struct engine *engine);
};

struct engine {
	/* Of the thread. */
	uv_thread_t thread;
	uv_loop_t loop;
	struct loop_clock *clock;
	struct service service;
	struct turn inner;
	uv_idle_t unflushed; /* keeps the loop from sleeping on calls that are not flushed */
	struct wakeup arrived;
	struct list replied; /* by the flush under way */

	/* Of the outer loop. */
	struct turn outer;
	struct wakeup returned;
	struct list collected; /* in this turn */
	unsigned open_handles;
	void (*reply)(void *arg, struct call *call);
	void (*failed)(void *arg, const char *detail);
	void (*recovered)(void *arg);
	struct health *health;
	void *arg;
	void (*closed)(void *arg);
	void *closed_arg;

	/* Of both, under the lock. */
	uv_mutex_t lock;
	struct list submitted, finished; /* on the way in, on the way back */
	bool draining, stopping;
	char failure[STORE_DETAIL_MAX]; /* "": none that was not told yet */
	bool has_recovered;		/* since the last failure, and that was not told yet */
};

static void on_prepare(uv_prepare_t *prepare)
{
	struct turn *turn = list_entry(prepare, struct turn, prepare);

	turn->end(prepare->data);
}

static void on_check(uv_check_t *check)
{
	struct turn *turn = list_entry(check, struct turn, check);

	turn->end(check->data);
}

static void turn_start(uv_loop_t *loop, struct turn *turn, struct engine *engine,
	void (*end)(struct engine *engine))
{
	turn->end = end;
	uv_prepare_init(loop, &turn->prepare);
	uv_check_init(loop, &turn->check);
	turn->prepare.data = turn->check.data = engine;
	uv_prepare_start(&turn->prepare, on_prepare);
	uv_check_start(&turn->check, on_check);
}

/* The thread's side. */

static void reply(void *arg, struct call *call)
{
	struct engine *engine = arg;

	list_append(&engine->replied, &call->node);
}

static void on_unflushed(uv_idle_t *idle)
{
	(void)idle; /* that it is active is its whole work */
}

static void wants_flush(void *arg)
{
	struct engine *engine = arg;

	uv_idle_start(&engine->unflushed, on_unflushed);
}

static void store_failed(void *arg, const char *detail)
{
	struct engine *engine = arg;

	uv_mutex_lock(&engine->lock);
	snprintf(engine->failure, sizeof(engine->failure), "%s", detail);
	engine->has_recovered = false;
	uv_mutex_unlock(&engine->lock);
	health_failed(engine->health, detail, clock_wall_epoch_ms(engine->service.clock));
	wakeup_send(&engine->returned);
}

static void store_recovered(void *arg)
{
	struct engine *engine = arg;

	uv_mutex_lock(&engine->lock);
	engine->has_recovered = true;
	uv_mutex_unlock(&engine->lock);
	health_recovered(engine->health);
	wakeup_send(&engine->returned);
}

static void flush(struct engine *engine)
{
	if (!uv_is_active((uv_handle_t *)&engine->unflushed))
		return;
	uv_idle_stop(&engine->unflushed);
	service_flush(&engine->service);
	if (list_is_empty(&engine->replied))
		return;
	uv_mutex_lock(&engine->lock);
	list_splice(&engine->replied, &engine->finished);
	uv_mutex_unlock(&engine->lock);
	wakeup_send(&engine->returned);
}

/* What has come over since. Returns whether there is something. */
static bool take_submitted(struct engine *engine, struct list *calls)
{
	uv_mutex_lock(&engine->lock);
	list_splice(&engine->submitted, calls);
	uv_mutex_unlock(&engine->lock);
	return !list_is_empty(calls);
}

static void on_arrived(void *arg)
{
	struct engine *engine = arg;
	unsigned handled = 0;
	struct list calls;
	bool draining, stopping;

	list_init(&calls);
	uv_mutex_lock(&engine->lock);
	draining = engine->draining;
	stopping = engine->stopping;
	uv_mutex_unlock(&engine->lock);
	/* What arrives while others are handled shares their transaction. */
	while ((stopping || handled < CALLS_A_TURN) && take_submitted(engine, &calls))
		for (; !list_is_empty(&calls); handled++) {
			struct call *call = list_entry(list_first(&calls), struct call, node);

			list_remove(&call->node);
			service_handle(&engine->service, call);
		}
	if (handled >= CALLS_A_TURN)
		wakeup_send(&engine->arrived);
	if (draining)
		service_drain(&engine->service);
	if (stopping)
		uv_stop(&engine->loop);
}

static void run_thread(void *arg)
{
	struct engine *engine = arg;
	sigset_t all;

	/* Signals are the outer loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	uv_run(&engine->loop, UV_RUN_DEFAULT);
	/* What the last turn left. */
	flush(engine);
}

/* The outer loop's side. */

void engine_submit(struct engine *engine, struct call *call)
{
	list_append(&engine->collected, &call->node);
}

static void hand_over(struct engine *engine)
{
	if (list_is_empty(&engine->collected))
		return;
	uv_mutex_lock(&engine->lock);
	list_splice(&engine->collected, &engine->submitted);
	uv_mutex_unlock(&engine->lock);
	wakeup_send(&engine->arrived);
}

static void take_back(struct engine *engine)
{
	char failure[STORE_DETAIL_MAX] = "";
	struct list calls;
	bool has_recovered;

	list_init(&calls);
	uv_mutex_lock(&engine->lock);
	list_splice(&engine->finished, &calls);
	has_recovered = engine->has_recovered;
	engine->has_recovered = false;
	if (engine->failure[0] != '\0') {
		memcpy(failure, engine->failure, sizeof(failure));
		engine->failure[0] = '\0';
	}
	uv_mutex_unlock(&engine->lock);
	if (failure[0] != '\0')
		engine->failed(engine->arg, failure);
	if (has_recovered)
		engine->recovered(engine->arg);
	while (!list_is_empty(&calls)) {
		struct call *call = list_entry(list_first(&calls), struct call, node);

		list_remove(&call->node);
		engine->reply(engine->arg, call);
	}
}

static void on_returned(void *arg)
{
	take_back(arg);
}

void engine_drain(struct engine *engine)
{
	hand_over(engine);
	uv_mutex_lock(&engine->lock);
	engine->draining = true;
	uv_mutex_unlock(&engine->lock);
	wakeup_send(&engine->arrived);
}

static void close_inner(struct engine *engine)
{
	uv_close((uv_handle_t *)&engine->inner.prepare, NULL);
	uv_close((uv_handle_t *)&engine->inner.check, NULL);
	uv_close((uv_handle_t *)&engine->unflushed, NULL);
	wakeup_close(&engine->arrived, NULL);
	loop_clock_close(engine->clock);
	uv_run(&engine->loop, UV_RUN_DEFAULT);
	uv_loop_close(&engine->loop);
}

static void on_closed(void *arg)
{
	struct engine *engine = arg;
	void (*closed)(void *closed_arg) = engine->closed;
	void *closed_arg = engine->closed_arg;

	if (--engine->open_handles > 0)
		return;
	uv_mutex_destroy(&engine->lock);
	free(engine);
	if (closed != NULL)
		closed(closed_arg);
}

static void on_turn_closed(uv_handle_t *handle)
{
	on_closed(handle->data);
}

/* Gone with the last handle. */
static void close_outer(struct engine *engine)
{
	uv_close((uv_handle_t *)&engine->outer.prepare, on_turn_closed);
	uv_close((uv_handle_t *)&engine->outer.check, on_turn_closed);
	wakeup_close(&engine->returned, on_closed);
}

void engine_close(struct engine *engine, void (*closed)(void *arg), void *arg)
{
	engine->closed = closed;
	engine->closed_arg = arg;
	hand_over(engine);
	uv_mutex_lock(&engine->lock);
	engine->draining = engine->stopping = true;
	uv_mutex_unlock(&engine->lock);
	wakeup_send(&engine->arrived);
	uv_thread_join(&engine->thread);
	take_back(engine);
	service_close(&engine->service);
	close_inner(engine);
	close_outer(engine);
}

/* Beginnings. */

static int open_inner(struct engine *engine, char detail[STORE_DETAIL_MAX])
{
	int err;

	snprintf(detail, STORE_DETAIL_MAX, "the event loop cannot start");
	if (uv_loop_init(&engine->loop) < 0)
		return ERR_IO;
	err = loop_clock_new(&engine->loop, &engine->clock);
	if (err == 0) {
		err = wakeup_open(&engine->loop, &engine->arrived, on_arrived, engine);
		if (err < 0)
			loop_clock_close(engine->clock);
	}
	if (err < 0) {
		uv_run(&engine->loop, UV_RUN_DEFAULT);
		uv_loop_close(&engine->loop);
		return err;
	}
	turn_start(&engine->loop, &engine->inner, engine, flush);
	uv_idle_init(&engine->loop, &engine->unflushed);
	return 0;
}

static int open_service(
	struct engine *engine, const struct engine_options *options, char detail[STORE_DETAIL_MAX])
{
	struct service_options service_options = {
		.dir = options->dir,
		.sync = options->sync,
		.region = options->region,
		.clock = loop_clock_table(engine->clock),
		.wants_flush = wants_flush,
		.reply = reply,
		.failed = store_failed,
		.recovered = store_recovered,
		.declarations = options->declarations,
		.arg = engine,
	};

	return service_open(&engine->service, &service_options, detail);
}

static int start_thread(struct engine *engine, char detail[STORE_DETAIL_MAX])
{
	if (uv_thread_create(&engine->thread, run_thread, engine) == 0)
		return 0;
	snprintf(detail, STORE_DETAIL_MAX, "no thread can be started");
	service_close(&engine->service);
	return ERR_IO;
}

int engine_new(uv_loop_t *loop, const struct engine_options *options, struct engine **ret,
	char detail[STORE_DETAIL_MAX])
{
	struct engine *engine = calloc(1, sizeof(*engine));
	int err;

	snprintf(detail, STORE_DETAIL_MAX, "%s", error_message(ERR_NOMEM));
	if (engine == NULL)
		return ERR_NOMEM;
	list_init(&engine->replied);
	list_init(&engine->collected);
	list_init(&engine->submitted);
	list_init(&engine->finished);
	engine->reply = options->reply;
	engine->failed = options->failed;
	engine->recovered = options->recovered;
	engine->health = options->health;
	engine->arg = options->arg;
	err = open_inner(engine, detail);
	if (err < 0)
		goto fail;
	/* Before the service, which may fail as it opens; after it only the thread can. */
	err = wakeup_open(loop, &engine->returned, on_returned, engine);
	if (err < 0) {
		close_inner(engine);
		goto fail;
	}
	uv_mutex_init(&engine->lock);
	turn_start(loop, &engine->outer, engine, hand_over);
	engine->open_handles = 3;
	err = open_service(engine, options, detail);
	if (err == 0)
		err = start_thread(engine, detail);
	if (err < 0)
		goto fail_inner;
	*ret = engine;
	return 0;
fail_inner:
	close_inner(engine);
	close_outer(engine);
	return err;
fail:
	free(engine);
	return err;
}
