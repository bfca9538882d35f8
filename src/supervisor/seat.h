/*
 * The seats of a fleet: what one process goes through, from its start to its death. Private to the
 * fleet.
 */
#ifndef SUPERVISOR_SEAT_H
#define SUPERVISOR_SEAT_H

#include "supervisor/fleet.h"

/* A worker or the monitor, or an empty chair. */
struct seat {
	enum board_state state;
	pid_t pid;
	unsigned place, number, generation;
	struct supervisor_plan plan; /* of its generation */
	unsigned failures;	     /* deaths in a row soon after the start */
	uint64_t started_us;
	uint64_t sign_us; /* of life and progress, the last that was seen; 0: none yet */
	uint64_t due_us;  /* WAITING: of the next start; STOPPING: of the kill */
	bool killed;	  /* for want of progress, or past its grace */
	bool is_monitor;
};

struct fleet {
	const struct fleet_ops *ops;
	unsigned places;
	bool until_done;
	struct seat *seats; /* one a place */
	bool *taken;	    /* scratch: numbers, 1 to places */
	struct seat monitor;
	struct supervisor_plan plan, coming_plan;
	unsigned generation, coming; /* coming: FLEET_NO_GENERATION when there is no reload */
	struct scale scale;
	unsigned target;   /* workers of the current generation */
	uint64_t wanting;  /* what the last step saw */
	unsigned stopping; /* level */
	int code;
	bool ever_begun, reported;
	uint64_t stepped_us; /* the last step */
	uint64_t awake_us;   /* since then this process has run without a break */
};

/* Its process runs. */
bool seat_is_alive(const struct seat *seat);
/* Counts as one of its generation: it works, will soon, or will again. */
bool seat_is_active(const struct seat *seat);
/* seat NULL: of nobody in particular. */
void fleet_tell(struct fleet *fleet, enum supervisor_event_kind kind, const struct seat *seat,
	struct supervisor_event event);
/* Into a state, and onto the board. */
void seat_move(struct fleet *fleet, struct seat *seat, enum board_state state, uint64_t now_us);
/* A seat of that generation is not empty, the monitor's included. */
bool fleet_has(const struct fleet *fleet, unsigned generation);
/* Empties it; unloads its generation when that was the last of one that nothing needs any more. */
void seat_vacate(struct fleet *fleet, struct seat *seat, uint64_t now_us);
/* An empty one is taken by a worker, or the monitor, of a generation; it starts at the next step.
 */
void seat_take(struct fleet *fleet, struct seat *seat, unsigned generation, unsigned number,
	const struct supervisor_plan *plan, uint64_t now_us);
/* Forks it; where that fails it waits. */
void seat_start(struct fleet *fleet, struct seat *seat, uint64_t now_us);
/* Tells it to stop, and when it is to be killed. One that waits is emptied. */
void seat_stop(struct fleet *fleet, struct seat *seat, uint64_t now_us);
/* Once; the event says why. */
void seat_kill(struct fleet *fleet, struct seat *seat, enum supervisor_event_kind why);
/* It ended without being told to: it will be started again. */
void seat_die(struct fleet *fleet, struct seat *seat, int status, uint64_t now_us);
/* What the worker says of itself; where that cannot be read, what it said before holds. */
void seat_note_sign(struct seat *seat, const struct board_report *report);
/* It has given no sign of life and progress for its plan's stall_ms. */
bool seat_is_stalled(const struct fleet *fleet, const struct seat *seat, uint64_t now_us);

#endif
