#include "supervisor/seat.h"

#include <signal.h>

#define BACKOFF_BASE_US UINT64_C(200000)
#define BACKOFF_CAP_US UINT64_C(30000000)

bool seat_is_alive(const struct seat *seat)
{
	return seat->pid > 0;
}

/* Counts as one of its generation: it works, will soon, or will again. */
bool seat_is_active(const struct seat *seat)
{
	return seat->state == BOARD_STARTING || seat->state == BOARD_RUNNING ||
	       seat->state == BOARD_WAITING;
}

void fleet_tell(struct fleet *fleet, enum supervisor_event_kind kind, const struct seat *seat,
	struct supervisor_event event)
{
	event.kind = kind;
	if (seat) {
		event.is_monitor = seat->is_monitor;
		event.number = seat->number;
		event.pid = seat->pid;
		event.failures_in_row = seat->failures;
	}
	fleet->ops->event(fleet->ops->arg, &event);
}

void seat_move(struct fleet *fleet, struct seat *seat, enum board_state state, uint64_t now_us)
{
	seat->state = state;
	if (seat->is_monitor)
		return;
	fleet->ops->seat(fleet->ops->arg, seat->place,
		&(struct board_seat){.state = state,
			.pid = seat->pid,
			.number = seat->number,
			.generation = seat->generation,
			.failures_in_row = seat->failures,
			.since_us = now_us});
}

bool fleet_has(const struct fleet *fleet, unsigned generation)
{
	if (fleet->monitor.state != BOARD_EMPTY && fleet->monitor.generation == generation)
		return true;
	for (unsigned i = 0; i < fleet->places; i++)
		if (fleet->seats[i].state != BOARD_EMPTY &&
			fleet->seats[i].generation == generation)
			return true;
	return false;
}

/* A generation that nothing needs any more is told of once: when its last seat is emptied. */
void seat_vacate(struct fleet *fleet, struct seat *seat, uint64_t now_us)
{
	unsigned generation = seat->generation;

	seat_move(fleet, seat, BOARD_EMPTY, now_us);
	if (!seat->is_monitor)
		fleet->ops->clear(fleet->ops->arg, seat->place);
	seat->failures = 0;
	if (generation != fleet->generation && generation != fleet->coming &&
		!fleet_has(fleet, generation))
		fleet->ops->unload(fleet->ops->arg, generation);
}

/* ---- starting and dying */

/* Full jitter, so that many that died of one cause do not come back as one. */
static uint64_t backoff_us(struct fleet *fleet, unsigned failures)
{
	uint64_t bound = BACKOFF_CAP_US;

	if (failures == 0)
		return 0;
	if (failures <= 8 && BACKOFF_BASE_US << (failures - 1) < bound)
		bound = BACKOFF_BASE_US << (failures - 1);
	return fleet->ops->random(fleet->ops->arg) % (bound + 1);
}

/* It waits for its next start. */
static void wait_for_start(struct fleet *fleet, struct seat *seat, uint64_t now_us)
{
	seat->due_us = now_us + backoff_us(fleet, seat->failures);
	seat_move(fleet, seat, BOARD_WAITING, now_us);
}

void seat_take(struct fleet *fleet, struct seat *seat, unsigned generation, unsigned number,
	const struct supervisor_plan *plan, uint64_t now_us)
{
	seat->generation = generation;
	seat->number = number;
	seat->plan = *plan;
	seat->failures = 0;
	wait_for_start(fleet, seat, now_us);
}

void seat_start(struct fleet *fleet, struct seat *seat, uint64_t now_us)
{
	const struct fleet_ops *ops = fleet->ops;
	pid_t pid = seat->is_monitor
			    ? ops->start_monitor(ops->arg, seat->generation)
			    : ops->start(ops->arg, seat->place, seat->number, seat->generation);

	if (pid < 0) {
		seat->failures++;
		wait_for_start(fleet, seat, now_us);
		fleet_tell(fleet, SUPERVISOR_CANNOT_FORK, seat,
			(struct supervisor_event){.error = -(int)pid,
				.delay_ms = (int64_t)((seat->due_us - now_us) / 1000)});
		return;
	}
	seat->pid = pid;
	seat->started_us = now_us;
	seat->sign_us = 0;
	seat->killed = false;
	seat_move(fleet, seat, seat->is_monitor ? BOARD_RUNNING : BOARD_STARTING, now_us);
	fleet_tell(fleet, SUPERVISOR_STARTED, seat, (struct supervisor_event){.delay_ms = 0});
}

void seat_stop(struct fleet *fleet, struct seat *seat, uint64_t now_us)
{
	if (seat->state == BOARD_WAITING) {
		seat_vacate(fleet, seat, now_us);
		return;
	}
	if (!seat_is_alive(seat) || seat->state == BOARD_STOPPING)
		return;
	seat->due_us = now_us + (uint64_t)seat->plan.grace_ms * 1000 + FLEET_KILL_AFTER_US;
	fleet->ops->signal(fleet->ops->arg, seat->pid, SIGTERM);
	seat_move(fleet, seat, BOARD_STOPPING, now_us);
}

void seat_kill(struct fleet *fleet, struct seat *seat, enum supervisor_event_kind why)
{
	if (seat->killed)
		return;
	seat->killed = true;
	fleet_tell(fleet, why, seat, (struct supervisor_event){.delay_ms = 0});
	fleet->ops->signal(fleet->ops->arg, seat->pid, SIGKILL);
}

void seat_die(struct fleet *fleet, struct seat *seat, int status, uint64_t now_us)
{
	struct supervisor_event event = {.wait_status = status};

	seat->failures = now_us - seat->started_us >= FLEET_PROVEN_US ? 0 : seat->failures + 1;
	if (!seat->is_monitor)
		fleet->ops->clear(fleet->ops->arg, seat->place);
	fleet_tell(fleet, SUPERVISOR_DIED, seat, event);
	if (seat->failures == BOARD_CRASH_LOOP)
		fleet_tell(fleet, SUPERVISOR_CRASH_LOOP, seat, event);
	seat->pid = 0;
	wait_for_start(fleet, seat, now_us);
}

/* What the worker says of itself; where that cannot be read, what it said before holds. */
void seat_note_sign(struct seat *seat, const struct board_report *report)
{
	uint64_t sign_us = report->heartbeat_us < report->progress_us ? report->heartbeat_us
								      : report->progress_us;

	if (report->heartbeat_us != 0)
		seat->sign_us = sign_us;
}

bool seat_is_stalled(const struct fleet *fleet, const struct seat *seat, uint64_t now_us)
{
	uint64_t stall_us = (uint64_t)seat->plan.stall_ms * 1000;
	uint64_t sign_us = seat->sign_us;

	if (stall_us == 0)
		return false;
	if (sign_us == 0) {
		sign_us = seat->started_us;
		stall_us += FLEET_START_MAX_US;
	}
	/* What this process slept through says nothing about the others. */
	if (sign_us < fleet->awake_us)
		sign_us = fleet->awake_us;
	return now_us > sign_us && now_us - sign_us > stall_us;
}
