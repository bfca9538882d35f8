#include "worker.h"

#include "bunshin/error.h"
#include "chance.h"
#include "delivery/core.h"
#include "sim.h"

#include <string.h>

#define STREAM_WORKER 50
#define TABLE_CALLS_MAX 2000000 /* within one event: it spins */

const char *table_op_name(enum table_op op)
{
	static const char *const names[TABLE_OPS] = {
#define X(name, words) [name] = words,
		TABLE_OP_LIST(X)
#undef X
	};

	return names[op];
}

/* ---- the clock table */

int64_t worker_wall_ms(const struct worker *worker)
{
	int64_t wall_ms =
		SIM_EPOCH_MS + (int64_t)(worker->sim->now_us / MS) + worker->host->wall_offset_ms;

	if (worker->host->wall_max_ms < wall_ms)
		worker->host->wall_max_ms = wall_ms;
	return wall_ms;
}

static uint64_t monotonic_us(void *impl)
{
	struct worker *worker = impl;

	worker_point(worker, OP_CLOCK, false);
	return worker->sim->now_us - worker->host->boot_us;
}

static int64_t wall_epoch_ms(void *impl)
{
	worker_point(impl, OP_CLOCK, false);
	return worker_wall_ms(impl);
}

static uint64_t next_random(void *impl)
{
	worker_point(impl, OP_CLOCK, false);
	return random_split_mix(&((struct worker *)impl)->random);
}

static int timer_set(void *impl, struct clock_timer *timer, uint64_t due_us)
{
	struct worker *worker = impl;
	struct arena *arena;
	int err;

	worker_point(worker, OP_TIMER, false);
	if (!timer->fire)
		invariant_broken(worker->sim, INV_ASSERT, NULL, "a timer without its fire");
	if (!clock_timer_is_set(timer) &&
		fault_happens(&worker->sim->faults, TIMER_FAILS,
			chance_key(worker->index, ++worker->timers_ever, 0, 4))) {
		worker->short_of_memory = true;
		return ERR_NOMEM;
	}
	/* The heap is the loop's, not the core's: it outlives a crash here. */
	arena = arena_enter(NULL);
	err = timer_heap_set(&worker->timers, timer, due_us);
	arena_enter(arena);
	worker_point(worker, OP_TIMER, true);
	return err;
}

static void timer_clear(void *impl, struct clock_timer *timer)
{
	struct worker *worker = impl;

	worker_point(worker, OP_TIMER, false);
	timer_heap_clear(&worker->timers, timer);
	worker_point(worker, OP_TIMER, true);
}

static const struct clock_ops clock_ops = {.monotonic_us = monotonic_us,
	.wall_epoch_ms = wall_epoch_ms,
	.random = next_random,
	.timer_set = timer_set,
	.timer_clear = timer_clear};

uint64_t worker_due_us(const struct worker *worker)
{
	const struct clock_timer *first = timer_heap_first(&worker->timers);
	uint64_t due_us;

	if (!first || worker->stopped)
		return UINT64_MAX;
	due_us = first->due_us + worker->host->boot_us + worker->lag_us;
	return due_us > worker->sim->now_us ? due_us : worker->sim->now_us;
}

/* ---- the observer */

static void keep(void *arg)
{
	struct worker *worker = arg;

	worker_point(worker, OP_NOTIFY, false);
	worker->kept = worker->told_of;
}

static void observe(void *arg, const struct delivery_event *event)
{
	struct worker *worker = arg;
	struct receipt *receipt = NULL;

	worker_point(worker, OP_NOTIFY, false);
	if (event->message)
		receipt = sqs_receipt(worker->sim, event->message->receipt_handle);
	worker->told_of++;
	if (receipt && delivery_event_is_end(event->kind))
		receipt->ended = worker->told_of;
	if (event->kind == DELIVERY_LOST) {
		receipt->lost = true;
		list_remove(&receipt->node);
	}
	sim_trace(worker->sim, TRACE_EVENT, worker->index,
		receipt ? receipt->mail->index : TRACE_NONE, event->kind,
		(uint64_t)event->delay_ms);
	/* Not started, and not to be put back: its delete is wanted, and may have to wait. */
	if (event->kind == DELIVERY_SUPPRESSED || event->kind == DELIVERY_EXPIRED ||
		event->kind == DELIVERY_CANCELLED)
		receipt->unsent_delete = true;
	if (event->kind == DELIVERY_CANCELLED)
		invariant_called_off(worker, receipt);
	if (receipt)
		invariant_judged(worker, receipt, event->kind);
	worker->sim->totals.suppressed += event->kind == DELIVERY_SUPPRESSED;
	worker->sim->totals.expired += event->kind == DELIVERY_EXPIRED;
	worker->sim->totals.cancelled += event->kind == DELIVERY_CANCELLED;
}

/* ---- life and death */

void worker_point(struct worker *worker, enum table_op op, bool after)
{
	struct crash *crash = &worker->crash;

	if (++worker->table_calls > TABLE_CALLS_MAX)
		invariant_broken(worker->sim, INV_LIVE, NULL, "worker %u spins", worker->index);
	if (!crash->armed || crash->after != after || (!crash->any && crash->op != op))
		return;
	if (--crash->calls > 0)
		return;
	crash->armed = false;
	sim_trace(worker->sim, TRACE_CRASH, worker->index, TRACE_NONE, op, after);
	longjmp(worker->killed, 1);
}

/* The process is gone, with everything that was in its memory. */
static void die(struct worker *worker)
{
	worker->timers.count = 0;
	worker->crash.armed = false;
	worker->delivery = NULL;
	worker->metrics = NULL;
	worker->stopped = worker->draining = worker->inside_drain = worker->drained = false;
	invariant_untold(worker);
	list_for_each_safe (node, &worker->attempts)
		provider_cut(list_entry(node, struct target_attempt, node));
	list_for_each_safe (node, &worker->calls)
		sqs_orphan(list_entry(node, struct queue_call, node));
	list_for_each_safe (node, &worker->receipts)
		list_remove(node);
	worker->asked_out = 0;
	arena_drop(&worker->memory);
	fleet_restart(worker);
}

/* Ends it in an orderly way: run as its own code. */
static void dispose(struct worker *worker, void *arg)
{
	delivery_free(worker->delivery);
	worker->delivery = NULL;
	metrics_free(worker->metrics);
	worker->metrics = NULL;
}

/* It has freed all it had, and may not have left anything out. */
static void retire(struct worker *worker)
{
	invariant_gone(worker);
	die(worker);
}

bool worker_run(struct worker *worker, worker_code *code, void *arg)
{
	arena_enter(&worker->memory);
	worker->sim->running = worker;
	worker->table_calls = 0;
	if (setjmp(worker->killed) == 0) {
		code(worker, arg);
		arena_enter(NULL);
		worker->sim->running = NULL;
		return true;
	}
	arena_enter(NULL);
	worker->sim->running = NULL;
	die(worker);
	return false;
}

static void set_options(struct worker *worker, struct delivery_options *options,
	struct delivery_destination destinations[])
{
	static const char *const kinds[] = {"kind0", "kind1", "kind2", "kind3"};
	static struct route_condition conditions[PLAN_DESTINATIONS_MAX];
	struct sim *sim = worker->sim;
	const struct plan *plan = &sim->plan;

	for (unsigned i = 0; i < plan->destinations; i++) {
		const struct plan_destination *d = &plan->destination[i];

		conditions[i] = (struct route_condition){
			.path = "kind", .values = &kinds[i], .value_count = 1};
		worker->ends[i] = (struct provider_end){&sim->providers[i], worker};
		destinations[i] = (struct delivery_destination){.name = d->name,
			.target = provider_table(&worker->ends[i]),
			.attempt_max_ms = d->attempt_max_ms,
			.concurrency = d->concurrency,
			.adaptive = d->adaptive,
			.rate = worker->host->rate[i],
			.breaker_failures = d->breaker_failures,
			.outcomes = provider_outcomes(d),
			.when = &conditions[i],
			.when_count = d->routes,
			.max_attempts = d->max_attempts,
			.backoff = d->backoff};
	}
	*options = (struct delivery_options){.clock = {.ops = &clock_ops, .impl = worker},
		.queue = sqs_table(worker),
		.failure_queue = plan->failure_queue ? sqs_table(worker) : (struct queue){0},
		.destinations = destinations,
		.destination_count = plan->destinations,
		.receivers = plan->receivers,
		.wait_s = plan->wait_s,
		.visibility_s = plan->visibility_s,
		.held_bytes = plan->held_bytes,
		.fifo = plan->fifo,
		.failure_fifo = plan->failure_fifo,
		.ledger = plan->ledger == PLAN_NO_LEDGER ? NULL : &worker->ledger,
		.grace_ms = plan->grace_ms,
		.metrics = worker->metrics,
		.observer = {.notify = observe, .before_delete = keep, .arg = worker}};
}

static void begin(struct worker *worker, void *arg)
{
	struct delivery_destination destinations[PLAN_DESTINATIONS_MAX];
	struct delivery_options options;

	worker->metrics = metrics_new();
	if (!worker->metrics)
		return;
	set_options(worker, &options, destinations);
	if (delivery_new(&options, &worker->delivery) == 0) {
		delivery_set_control(worker->delivery, operator_tell(worker));
		delivery_start(worker->delivery);
		return;
	}
	metrics_free(worker->metrics);
	worker->metrics = NULL;
}

void worker_start(struct worker *worker)
{
	worker->life++;
	worker->random =
		chance_bits(worker->sim->plan.seed, STREAM_WORKER + worker->index, worker->life);
	memset(&worker->told, 0, sizeof(worker->told));
	sim_trace(worker->sim, TRACE_UP, worker->index, TRACE_NONE, worker->life, 0);
	worker->sim->totals.worker_lives++;
	fleet_prepare(worker);
	/* Short of memory it exits with nothing left, and is started again. */
	if (worker_run(worker, begin, NULL) && !worker->delivery)
		retire(worker);
}

void worker_kill(struct worker *worker)
{
	sim_trace(worker->sim, TRACE_KILLED, worker->index, TRACE_NONE, 0, 0);
	die(worker);
}

void worker_quit(struct worker *worker)
{
	sim_trace(worker->sim, TRACE_QUIT, worker->index, TRACE_NONE, 0, 0);
	if (worker_run(worker, dispose, NULL))
		retire(worker);
}

/* ---- a clean stop */

static void drained(void *arg, size_t held)
{
	struct worker *worker = arg;

	if (worker->inside_drain || worker->drained)
		invariant_broken(worker->sim, INV_DRAIN, NULL, "worker %u is done %s",
			worker->index, worker->drained ? "twice" : "from inside the drain");
	worker->drained = true;
	worker->drained_held = held;
	sim_trace(worker->sim, TRACE_DRAINED, worker->index, TRACE_NONE, held, 0);
	invariant_drained(worker);
	invariant_counters(worker);
	if (worker->life & 1)
		dispose(worker, NULL);
}

static void drain(struct worker *worker, void *arg)
{
	worker->inside_drain = true;
	delivery_drain(worker->delivery, drained, worker);
	worker->inside_drain = false;
}

void worker_drain(struct worker *worker)
{
	sim_trace(worker->sim, TRACE_DRAIN, worker->index, TRACE_NONE,
		(uint64_t)worker->sim->plan.grace_ms, 0);
	worker->draining = true;
	worker->drain_us = worker->sim->now_us;
	worker->stopped_us = 0;
	worker_run(worker, drain, NULL);
}

/* After its code has run: a drain may have ended in it. */
static void look_after(struct worker *worker)
{
	if (!worker->drained)
		return;
	if (!worker->delivery || worker_run(worker, dispose, NULL))
		retire(worker);
}

/* ---- what wakes it */

static void fire(struct worker *worker, void *arg)
{
	struct clock_timer *timer = arg;

	timer->fire(timer);
}

void worker_fire(struct worker *worker)
{
	struct clock_timer *timer = timer_heap_first(&worker->timers);

	timer_heap_clear(&worker->timers, timer);
	sim_trace(worker->sim, TRACE_TIMER, worker->index, TRACE_NONE, timer->due_us, 0);
	worker_run(worker, fire, timer);
	look_after(worker);
}

static void deliver(struct worker *worker, void *arg)
{
	struct answer *answer = arg;

	answer->deliver(worker, answer);
}

void worker_answered(struct worker *worker, struct answer *answer)
{
	if (worker->stopped) {
		answer->waiting = true;
		list_append(&worker->inbox, &answer->node);
		return;
	}
	worker_run(worker, deliver, answer);
	look_after(worker);
}

void worker_stop(struct worker *worker)
{
	sim_trace(worker->sim, TRACE_STOP, worker->index, TRACE_NONE, 0, 0);
	worker->stopped = true;
	worker->stop_us = worker->sim->now_us;
}

/* The answers that came meanwhile first, or the timers, as a loop that was stopped may. */
void worker_go_on(struct worker *worker)
{
	struct list *first;

	sim_trace(worker->sim, TRACE_GOES_ON, worker->index, TRACE_NONE, 0, 0);
	worker->stopped = false;
	worker->stopped_us += worker->sim->now_us - worker->stop_us;
	if (chance_below(worker->sim->plan.seed, STREAM_WORKER, worker->sim->now_us, 2))
		while (worker_due_us(worker) <= worker->sim->now_us)
			worker_fire(worker);
	while ((first = list_first(&worker->inbox))) {
		struct answer *answer = list_entry(first, struct answer, node);

		list_remove(&answer->node);
		answer->waiting = false;
		worker_run(worker, deliver, answer);
		look_after(worker);
	}
}

void worker_holds(
	struct worker *worker, struct receipt *receipt, unsigned visibility_s, uint64_t asked_us)
{
	struct sim *sim = worker->sim;
	uint64_t wait_us = sim->plan.wait_s * S, took_us = sim->now_us - asked_us;

	receipt->arrived_us = sim->now_us;
	/* What the answer took beyond the wait, the visibility has been running. */
	receipt->believed_us = sim->now_us + visibility_s * S;
	if (took_us > wait_us)
		receipt->believed_us -= took_us - wait_us;
	list_append(&worker->receipts, &receipt->node);
	worker->told.arrived++;
	sim_trace(sim, TRACE_ARRIVED, worker->index, receipt->mail->index, receipt->nth, 0);
}

bool worker_call_extends(const void *arg)
{
	const struct batch_call *call = arg;

	return call->batcher == &call->batcher->delivery->extender;
}

const char *worker_call_handle(const void *arg, size_t i)
{
	const struct batch_call *call = arg;

	return call->messages[i]->queued->receipt_handle;
}

void worker_init(struct worker *worker, struct sim *sim, unsigned index)
{
	*worker = (struct worker){.sim = sim, .index = index};
	list_init(&worker->calls);
	list_init(&worker->attempts);
	list_init(&worker->inbox);
	list_init(&worker->receipts);
}

void worker_free(struct worker *worker)
{
	worker->timers.count = 0;
	timer_heap_free(&worker->timers);
	arena_drop(&worker->memory);
}
