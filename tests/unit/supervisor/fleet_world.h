/*
 * A world for the fleet: processes that do as the test says, in virtual time.
 */
#ifndef FLEET_WORLD_H
#define FLEET_WORLD_H

#include "supervisor/fleet.h"

#define WORLD_PROCESSES 4096
#define WORLD_PLACES 64
#define SECOND UINT64_C(1000000)
#define START_US (100 * SECOND)

struct fleet_process {
	bool alive, is_monitor;
	unsigned place, number, generation;
	unsigned terms; /* SIGTERMs that it got */
	bool killed;
	struct board_report report;
};

struct fleet_world {
	struct fleet *fleet;
	struct fleet_ops ops;
	uint64_t now_us;
	struct fleet_process processes[WORLD_PROCESSES]; /* the pid is the index and 1 */
	unsigned process_count;
	int occupant[WORLD_PLACES]; /* pid; 0: nobody */
	unsigned cleared[WORLD_PLACES];
	unsigned unloaded[64]; /* by generation: how often */
	unsigned events[SUPERVISOR_STOPPING_AT_ONCE + 1];
	struct supervisor_event last; /* of any kind */
	int64_t backlog;
	uint64_t random; /* what the next draw is; 0 draws nothing */
	bool forks_fail;
	bool lively; /* processes report a sign of life by themselves */
};

void world_open(struct fleet_world *world, unsigned places, const struct supervisor_plan *plan,
	bool until_done);
void world_close(struct fleet_world *world);

/* Steps the fleet as often as it wants to, until that much time has passed. */
void world_run(struct fleet_world *world, uint64_t us);
/* Every process that lives begins to receive. */
void world_begin(struct fleet_world *world);
/* It ends; status as of waitpid(). */
void world_end(struct fleet_world *world, int pid, int status);
/* Whoever was told to stop ends with 0, whoever was killed by SIGKILL. */
void world_obey(struct fleet_world *world);

/* Workers of that generation that live. */
unsigned world_alive(const struct fleet_world *world, unsigned generation);
/* The pid of the newest living worker with that number; 0: there is none. */
int world_worker(const struct fleet_world *world, unsigned number);
int world_monitor(const struct fleet_world *world);

#define EXITED(code) ((code) << 8)
#define SIGNALLED(number) (number)

#endif
