/*
 * The service on a thread of its own, so that the loop that serves HTTP never waits for the
 * database.
 *
 * Calls go over together, once a turn of the outer loop, and come back together after the commit
 * that holds what they did; whatever arrives meanwhile shares the next transaction. A call belongs
 * to the engine from engine_submit() until its `reply` begins. All functions are the outer loop's;
 * `reply`, `failed` and `recovered` run there, too.
 *
 * If the process dies before the commit, nothing of the turn happened and nobody was told
 * otherwise; if it dies after it, what happened is kept and those who were not told ask again.
 */
#ifndef LOCALQ_ENGINE_H
#define LOCALQ_ENGINE_H

#include "localq/health.h"
#include "localq/service.h"

#include <uv.h>

struct engine;

struct engine_options {
	const char *dir; /* NULL: in memory */
	enum store_sync sync;
	const char *region;
	void (*reply)(void *arg, struct call *call);
	/* A transaction failed, for the log; the calls in it are answered with a 500. */
	void (*failed)(void *arg, const char *detail);
	/* After that one that wrote something has been committed. */
	void (*recovered)(void *arg);
	struct health *health; /* told of both, on the service's thread; outlives the engine */
	struct declarations *declarations; /* as service_options' */
	void *arg;
};

/*
 * Opens the store and starts the thread. The loop is borrowed and outlives the engine. Returns 0 or
 * what service_open returns, or ERR_IO (no thread, no loop); `detail` then says what is wrong.
 */
int engine_new(uv_loop_t *loop, const struct engine_options *options, struct engine **ret,
	char detail[STORE_DETAIL_MAX]);
/* A decoded call without a problem. */
void engine_submit(struct engine *engine, struct call *call);
/* From now on no receive waits; those that do are answered. */
void engine_drain(struct engine *engine);
/*
 * Ends the thread, which finishes what it has, replies to every call, and closes the store. Waits
 * for one transaction. `closed`
 * (may be NULL) runs when the memory is gone, on a later turn of the loop.
 */
void engine_close(struct engine *engine, void (*closed)(void *arg), void *arg);

#endif
