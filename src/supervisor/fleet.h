/*
 * The fleet: which processes there should be and what is to be done about it. Pure decisions: time,
 * random bits, what the workers say and the doing come in from outside, so that a test runs it in
 * virtual time without a process. supervisor.c runs it with real ones.
 *
 * Times are monotonic microseconds and never go back.
 */
#ifndef SUPERVISOR_FLEET_H
#define SUPERVISOR_FLEET_H

#include "supervisor/scale.h"
#include "supervisor/supervisor.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define FLEET_STARTING_MAX 64		   /* workers that start at the same time */
#define FLEET_PROVEN_US UINT64_C(60000000) /* after so much work a death is no failure to start */
#define FLEET_START_MAX_US UINT64_C(300000000) /* without a first sign of life */
#define FLEET_KILL_AFTER_US UINT64_C(10000000) /* after the grace of a drain */
#define FLEET_NO_GENERATION UINT32_MAX

struct fleet;

/* What the fleet has others do. None may call the fleet. */
struct fleet_ops {
	/* The child's pid, or a negative errno. */
	pid_t (*start)(void *arg, unsigned place, unsigned number, unsigned generation);
	pid_t (*start_monitor)(void *arg, unsigned generation);
	void (*signal)(void *arg, pid_t pid, int number);
	/* As board_report_get(). */
	void (*observe)(void *arg, unsigned place, struct board_report *ret_report);
	int64_t (*backlog)(void *arg); /* visible messages; -1: not known */
	/* The worker of this place is gone, its counters are to be kept and the place emptied. */
	void (*clear)(void *arg, unsigned place);
	void (*seat)(void *arg, unsigned place, const struct board_seat *seat);
	/* No process of this generation is left, nor will be. */
	void (*unload)(void *arg, unsigned generation);
	void (*event)(void *arg, const struct supervisor_event *event);
	uint64_t (*random)(void *arg);
	void *arg;
};

struct fleet_options {
	unsigned places;
	struct supervisor_plan plan; /* of generation 0 */
	bool until_done;
	const struct fleet_ops *ops; /* borrowed */
};

/* Starts nothing. NULL: out of memory. */
struct fleet *fleet_new(const struct fleet_options *options);
void fleet_free(struct fleet *fleet);

/* Does what is due. Returns the time of the next step at the latest. */
uint64_t fleet_step(struct fleet *fleet, uint64_t now_us);
/* A child has ended; wait_status as of waitpid(). An unknown pid is ignored. A step must follow. */
void fleet_exited(struct fleet *fleet, pid_t pid, int wait_status, uint64_t now_us);
/* Level 1 drains, 2 is at once; a lower one than before changes nothing. A step must follow. */
void fleet_stop(struct fleet *fleet, unsigned level, uint64_t now_us);

/* No reload is under way, nothing stops, and there are places for the plan's min workers. */
bool fleet_can_reload(const struct fleet *fleet, unsigned min);
/* The next generation, one more than the last that was tried; fleet_can_reload() was true. */
void fleet_reload(struct fleet *fleet, unsigned generation, const struct supervisor_plan *plan);

/* Nothing runs any more and nothing will be started; *ret_code is what to end with. */
bool fleet_is_over(const struct fleet *fleet, int *ret_code);

struct fleet_status {
	unsigned wanted, starting, running, stopping, waiting; /* workers */
	unsigned crash_loops;
	bool progressing; /* one at least, or none is needed */
	bool reported;	  /* a worker has shown a sign of life since the start */
};
void fleet_get_status(const struct fleet *fleet, struct fleet_status *ret_status);

#endif
