#include "fleet.h"

#include "chance.h"
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#define STREAM_FLEET 60
#define STREAM_HOST 61
#define STREAM_PHASE 62
#define STREAM_MEMORY 63

/* ---- starts and ends */

static void restart_fired(struct event *event)
{
	struct fleet_restart *restart = list_entry(event, struct fleet_restart, event);

	worker_start(restart->worker);
}

void fleet_restart(struct worker *worker)
{
	struct sim *sim = worker->sim;
	struct chance chance = chance_of(
		sim->plan.seed, STREAM_FLEET, chance_key(worker->index, worker->life, 0, 0));
	uint64_t pause_us = chance_draw(&chance, CHANCE_ONE(&chance, 1, 200 * MS, 2 * S, 20 * S));

	events_clear(&sim->events, &sim->fleet.resumes[worker->index].event);
	if (!sim->closing)
		events_set(&sim->events, &sim->fleet.restarts[worker->index].event,
			sim->now_us + pause_us);
}

static void resume_fired(struct event *event)
{
	worker_go_on(list_entry(event, struct fleet_restart, event)->worker);
}

/* ---- memory that runs out */

static unsigned long memory_gap(struct worker *worker)
{
	struct sim *sim = worker->sim;
	unsigned level = faults_level(&sim->faults, FAULT_MEMORY);

	if (!level || !sim->faults.ppm[ALLOCATION_FAILS] || sim->faults.healed)
		return 0;
	return 1 + chance_below(sim->plan.seed, STREAM_MEMORY,
			   chance_key(worker->index, ++worker->memory_gaps, 0, 0),
			   8000 / (level * level));
}

static bool memory_fails(struct arena *arena)
{
	struct worker *worker = list_entry(arena, struct worker, memory);

	arena->fail_in = memory_gap(worker);
	if (!fault_happens(&worker->sim->faults, ALLOCATION_FAILS,
		    chance_key(worker->index, worker->memory_gaps, 0, 5)))
		return false;
	worker->short_of_memory = true;
	return true;
}

void fleet_prepare(struct worker *worker)
{
	struct sim *sim = worker->sim;

	worker->short_of_memory = false;
	worker->memory.fails = memory_fails;
	worker->memory.fail_in = memory_gap(worker);
	worker->lag_us = 0;
	if (fault_happens(&sim->faults, LOOP_LAG, chance_key(worker->index, worker->life, 0, 0))) {
		struct chance chance = chance_of(sim->plan.seed, STREAM_FLEET,
			chance_key(worker->index, worker->life, 0, 1));

		worker->lag_us = chance_draw(&chance, CHANCE_ONE(&chance, 1, 1, 10 * MS, 500 * MS));
	}
	fleet_attach(worker);
}

/* ---- what happens to one of them */

static void arm(struct worker *worker, struct chance *chance)
{
	static const enum table_op ops[] = {OP_RECEIVE, OP_DELETE, OP_CHANGE, OP_SEND,
		OP_ATTRIBUTES, OP_START, OP_NOTIFY, OP_TIMER, OP_CLOCK};

	struct crash *crash = &worker->crash;

	/* Statements, since the parts of an expression may be drawn in any order. */
	crash->armed = true;
	crash->any = chance_hits(chance, 300);
	crash->op = ops[chance_draw(chance, sizeof(ops) / sizeof(ops[0]))];
	crash->calls = 1 + (unsigned)chance_draw(chance, CHANCE_ONE(chance, 1, 8, 100));
	crash->after = chance_hits(chance, 500);
	if (crash->op == OP_CLOCK || crash->op == OP_NOTIFY)
		crash->after = false;
}

static void reboot(struct host *host, struct sim *sim)
{
	sim_trace(sim, TRACE_REBOOT, TRACE_NONE, TRACE_NONE, host->index, 0);
	for (unsigned i = 0; i < sim->plan.workers; i++)
		if (sim->workers[i].host == host && sim->workers[i].delivery)
			worker_kill(&sim->workers[i]);
	host->boot_us = sim->now_us;
	for (unsigned i = 0; i < PLAN_DESTINATIONS_MAX; i++)
		memset(host->rings[i].at_us, 0, sizeof(host->rings[i].at_us));
}

static void stop(struct worker *worker, struct chance *chance)
{
	struct sim *sim = worker->sim;

	worker_stop(worker);
	events_set(&sim->events, &sim->fleet.resumes[worker->index].event,
		sim->now_us + 1 +
			chance_draw(chance, CHANCE_ONE(chance, 50 * MS, 3 * S, 30 * S, 120 * S)));
}

static void befall_worker(struct worker *worker, enum fault_kind kind, struct chance *chance)
{
	switch (kind) {
	case CRASH_WORKER:
		if (chance_hits(chance, 300))
			worker_kill(worker);
		else
			arm(worker, chance);
		break;
	case DRAIN_WORKER:
		if (!worker->draining && !worker->stopped)
			worker_drain(worker);
		break;
	case QUIT_WORKER:
		if (!worker->stopped)
			worker_quit(worker);
		break;
	case STOP_WORKER:
		if (!worker->stopped)
			stop(worker, chance);
		break;
	default:
		break;
	}
}

static void befall_host(
	struct host *host, struct sim *sim, enum fault_kind kind, struct chance *chance)
{
	int64_t range_ms, step_ms, wall_ms;

	if (kind == CRASH_HOST) {
		reboot(host, sim);
	} else if (kind == CLOCK_STEPS) {
		range_ms = (int64_t)CHANCE_ONE(chance, 100, 5000, 60000, 3600000);
		step_ms = (int64_t)chance_draw(chance, (uint64_t)(2 * range_ms)) - range_ms;
		sim_trace(sim, TRACE_STEP, TRACE_NONE, TRACE_NONE, host->index, (uint64_t)step_ms);
		host->wall_offset_ms += step_ms;
		wall_ms = SIM_EPOCH_MS + (int64_t)(sim->now_us / MS) + host->wall_offset_ms;
		if (step_ms < 0 && host->wall_min_ms > wall_ms)
			host->wall_min_ms = wall_ms;
	} else if (kind == LEDGER_DAMAGED) {
		fleet_damage(host, sim, chance);
	}
}

static void befall(struct event *event)
{
	struct fleet_event *what = list_entry(event, struct fleet_event, event);
	struct sim *sim = what->sim;
	struct chance chance = chance_of(sim->plan.seed, STREAM_FLEET, what->key);
	struct worker *worker = &sim->workers[chance_draw(&chance, sim->plan.workers)];
	enum fault_class class = fault_class_of(what->kind);
	bool of_host = class == FAULT_CLOCK || class == FAULT_LEDGER || what->kind == CRASH_HOST;

	if (!of_host && !worker->delivery)
		return;
	if (!fault_happens(&sim->faults, what->kind, what->key))
		return;
	if (of_host)
		befall_host(worker->host, sim, what->kind, &chance);
	else
		befall_worker(worker, what->kind, &chance);
}

static void schedule(struct sim *sim, enum fault_kind kind, unsigned count)
{
	for (unsigned i = 0; i < count && sim->faults.ppm[kind]; i++) {
		uint64_t key = chance_key(kind, i, 0, 6);
		struct fleet_event *what;

		if (sim->fleet.count == FLEET_EVENTS_MAX)
			return;
		what = &sim->fleet.events[sim->fleet.count++];
		*what = (struct fleet_event){
			.event.fire = befall, .sim = sim, .kind = kind, .key = key};
		events_set(&sim->events, &what->event,
			chance_below(sim->plan.seed, STREAM_FLEET, key + 1, sim->plan.storm_us));
	}
}

static void schedule_all(struct sim *sim)
{
	static const struct {
		enum fault_kind kind;
		unsigned counts[4]; /* by level */
	} rows[] = {
		{CRASH_WORKER, {0, 2, 8, 40}},
		{CRASH_HOST, {0, 0, 1, 3}},
		{DRAIN_WORKER, {0, 2, 6, 20}},
		{QUIT_WORKER, {0, 0, 2, 4}},
		{STOP_WORKER, {0, 1, 4, 15}},
		{CLOCK_STEPS, {0, 1, 3, 10}},
		{LEDGER_DAMAGED, {0, 1, 3, 10}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned level = faults_level(&sim->faults, fault_class_of(rows[i].kind));

		schedule(sim, rows[i].kind, rows[i].counts[level]);
	}
}

/* ---- times at which something is out of order */

static void draw_phases(struct sim *sim)
{
	unsigned level = faults_level(&sim->faults, FAULT_PROVIDER);

	for (unsigned i = 0; i < sim->plan.destinations; i++) {
		struct chance chance = chance_of(sim->plan.seed, STREAM_PHASE, i);
		unsigned count = level ? (unsigned)chance_draw(&chance, level + 2) : 0;

		for (unsigned k = 0; k < count && k < PROVIDER_PHASES_MAX; k++) {
			struct phase phase;

			phase.kind = (enum phase_kind)chance_draw(&chance, PHASE_KINDS);
			phase.from_us = chance_draw(&chance, sim->plan.storm_us);
			phase.until_us =
				phase.from_us + chance_draw(&chance, sim->plan.storm_us / 2);
			if (fault_happens(&sim->faults, PROVIDER_PHASE, chance_key(i, k, 0, 7)))
				sim->providers[i].phases[k] = phase;
		}
	}
}

static void draw_outages(struct sim *sim)
{
	unsigned level = faults_level(&sim->faults, FAULT_QUEUE);

	for (unsigned i = 0; i + 1 < level && i < FLEET_OUTAGES_MAX; i++) {
		struct chance chance = chance_of(sim->plan.seed, STREAM_PHASE, 100 + i);

		if (!fault_happens(&sim->faults, QUEUE_OUTAGE, i))
			continue;
		sim->fleet.outage_from_us[i] = chance_draw(&chance, sim->plan.storm_us);
		sim->fleet.outage_until_us[i] =
			sim->fleet.outage_from_us[i] + chance_draw(&chance, 30 * S);
	}
}

/* ---- all of it */

static void host_init(struct host *host, struct sim *sim, unsigned index)
{
	struct chance chance = chance_of(sim->plan.seed, STREAM_HOST, index);

	host->index = index;
	host->wall_max_ms = INT64_MIN;
	host->wall_min_ms = INT64_MAX / 2;
	if (fault_happens(&sim->faults, CLOCK_OFF, index)) {
		int64_t range_ms = (int64_t)CHANCE_ONE(&chance, 10, 1000, 30000);

		host->wall_offset_ms =
			(int64_t)chance_draw(&chance, (uint64_t)(2 * range_ms)) - range_ms;
	}
	fleet_map(host, sim);
}

void fleet_init(struct sim *sim)
{
	for (unsigned i = 0; i < sim->plan.hosts; i++)
		host_init(&sim->hosts[i], sim, i);
	for (unsigned i = 0; i < sim->plan.workers; i++) {
		struct fleet *fleet = &sim->fleet;

		worker_init(&sim->workers[i], sim, i);
		sim->workers[i].host = &sim->hosts[i % sim->plan.hosts];
		fleet->restarts[i] = (struct fleet_restart){
			.event.fire = restart_fired, .worker = &sim->workers[i]};
		fleet->resumes[i] = (struct fleet_restart){
			.event.fire = resume_fired, .worker = &sim->workers[i]};
		events_set(&sim->events, &fleet->restarts[i].event,
			chance_below(sim->plan.seed, STREAM_FLEET, i, S));
	}
	schedule_all(sim);
	draw_phases(sim);
	draw_outages(sim);
}

void fleet_heal(struct sim *sim)
{
	sim_trace(sim, TRACE_HEALED, TRACE_NONE, TRACE_NONE, 0, 0);
	sim->faults.healed = true;
	for (unsigned i = 0; i < sim->plan.workers; i++) {
		struct worker *worker = &sim->workers[i];

		worker->crash.armed = false;
		worker->memory.fail_in = 0;
		if (worker->stopped) {
			events_clear(&sim->events, &sim->fleet.resumes[i].event);
			worker_go_on(worker);
		}
	}
}

void fleet_free(struct sim *sim)
{
	for (unsigned i = 0; i < PLAN_WORKERS_MAX; i++)
		worker_free(&sim->workers[i]);
	for (unsigned i = 0; i < PLAN_HOSTS_MAX; i++) {
		mapped_file_close(&sim->hosts[i].ledger);
		mapped_file_close(&sim->hosts[i].rates);
	}
}
