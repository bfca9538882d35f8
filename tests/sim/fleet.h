/*
 * What befalls processes and machines: starts, kills, clean stops, SIGSTOP, reboots, clocks that
 * jump, a ledger that the disk spoils, outages of the queue and of destinations.
 */
#ifndef SIM_FLEET_H
#define SIM_FLEET_H

#include "chance.h"
#include "events.h"
#include "plan.h"
#include "worker.h"

#include <stdint.h>

#define FLEET_EVENTS_MAX 256
#define FLEET_OUTAGES_MAX 3

struct fleet_event {
	struct event event;
	struct sim *sim;
	enum fault_kind kind;
	uint64_t key;
};

struct fleet_restart {
	struct event event;
	struct worker *worker;
};

struct fleet {
	struct fleet_event events[FLEET_EVENTS_MAX];
	size_t count;
	struct fleet_restart restarts[PLAN_WORKERS_MAX], resumes[PLAN_WORKERS_MAX];
	uint64_t outage_from_us[FLEET_OUTAGES_MAX], outage_until_us[FLEET_OUTAGES_MAX];
};

/* Hosts and workers, and what will happen to them. */
void fleet_init(struct sim *sim);
void fleet_free(struct sim *sim);
/* A worker is about to start: attaches the ledger, decides how its memory fails. */
void fleet_prepare(struct worker *worker);
/* A worker has ended: it starts again after a while, unless the run is closing. */
void fleet_restart(struct worker *worker);
/* host.c: the shared memory: made, attached by a worker that starts, spoilt. */
void fleet_map(struct host *host, struct sim *sim);
void fleet_attach(struct worker *worker);
void fleet_damage(struct host *host, struct sim *sim, struct chance *chance);
/* Faults are off from here on. */
void fleet_heal(struct sim *sim);

#endif
