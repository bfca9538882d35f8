#include "supervisor/fleet.h"

#include "supervisor/seat.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define BUSY_STEP_US UINT64_C(50000) /* while something changes */
#define QUIET_STEP_US UINT64_C(1000000)
#define ASLEEP_US UINT64_C(5000000)

struct fleet *fleet_new(const struct fleet_options *options)
{
	struct fleet *fleet = calloc(1, sizeof(*fleet));

	if (!fleet)
		return NULL;
	fleet->seats = calloc(options->places, sizeof(*fleet->seats));
	fleet->taken = calloc(options->places + 1, sizeof(*fleet->taken));
	if (!fleet->seats || !fleet->taken) {
		fleet_free(fleet);
		return NULL;
	}
	fleet->ops = options->ops;
	fleet->places = options->places;
	fleet->until_done = options->until_done;
	fleet->plan = options->plan;
	fleet->coming = FLEET_NO_GENERATION;
	fleet->target = options->plan.min;
	fleet->monitor.is_monitor = true;
	scale_init(&fleet->scale, options->plan.min, options->plan.max);
	for (unsigned i = 0; i < fleet->places; i++)
		fleet->seats[i].place = i;
	return fleet;
}

void fleet_free(struct fleet *fleet)
{
	if (!fleet)
		return;
	free(fleet->seats);
	free(fleet->taken);
	free(fleet);
}

static void stop_generation(struct fleet *fleet, unsigned generation, uint64_t now_us)
{
	for (unsigned i = 0; i < fleet->places; i++)
		if (fleet->seats[i].generation == generation)
			seat_stop(fleet, &fleet->seats[i], now_us);
}

/* It is neither the current one nor the coming one any more. */
static void retire(struct fleet *fleet, unsigned generation, uint64_t now_us)
{
	if (fleet_has(fleet, generation))
		stop_generation(fleet, generation, now_us);
	else
		fleet->ops->unload(fleet->ops->arg, generation);
}

/* The new configuration goes as if it had never been. */
static void drop_coming(struct fleet *fleet, uint64_t now_us)
{
	unsigned generation = fleet->coming;

	fleet->coming = FLEET_NO_GENERATION;
	retire(fleet, generation, now_us);
}

static void abandon_reload(struct fleet *fleet, uint64_t now_us)
{
	drop_coming(fleet, now_us);
	fleet_tell(fleet, SUPERVISOR_RELOAD_FAILED, NULL, (struct supervisor_event){.delay_ms = 0});
}

/* What ends the whole run: a script's end, or a start that can never work. */
static bool ends_all(const struct fleet *fleet, int status)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 0)
		return false;
	return fleet->until_done || (!fleet->ever_begun && fleet->coming == FLEET_NO_GENERATION);
}

static void worker_exited(struct fleet *fleet, struct seat *seat, int status, uint64_t now_us)
{
	bool told = seat->state == BOARD_STOPPING;

	if (told || fleet->stopping > 0) {
		seat->pid = 0;
		seat_vacate(fleet, seat, now_us);
	} else if (fleet->until_done && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		seat->pid = 0;
		seat_vacate(fleet, seat, now_us);
		if (--fleet->target == 0)
			fleet_stop(fleet, 1, now_us);
	} else if (ends_all(fleet, status)) {
		seat->pid = 0;
		seat_vacate(fleet, seat, now_us);
		fleet->code = WEXITSTATUS(status);
		fleet_stop(fleet, 1, now_us);
	} else {
		bool is_coming = seat->generation == fleet->coming;

		seat_die(fleet, seat, status, now_us);
		if (is_coming)
			abandon_reload(fleet, now_us);
	}
}

/* The one that was told to go makes room for the one of the new generation. */
static void monitor_exited(struct fleet *fleet, int status, uint64_t now_us)
{
	struct seat *monitor = &fleet->monitor;

	if (monitor->state == BOARD_STOPPING) {
		monitor->pid = 0;
		seat_vacate(fleet, monitor, now_us);
	} else {
		seat_die(fleet, monitor, status, now_us);
	}
}

void fleet_exited(struct fleet *fleet, pid_t pid, int wait_status, uint64_t now_us)
{
	if (pid == fleet->monitor.pid) {
		monitor_exited(fleet, wait_status, now_us);
		return;
	}
	for (unsigned i = 0; i < fleet->places; i++) {
		if (fleet->seats[i].pid != pid)
			continue;
		worker_exited(fleet, &fleet->seats[i], wait_status, now_us);
		return;
	}
}

void fleet_stop(struct fleet *fleet, unsigned level, uint64_t now_us)
{
	if (level <= fleet->stopping)
		return;
	if (fleet->coming != FLEET_NO_GENERATION)
		drop_coming(fleet, now_us);
	fleet->stopping = level;
	for (unsigned i = 0; i < fleet->places; i++) {
		struct seat *seat = &fleet->seats[i];

		/* A second signal makes a worker that drains leave at once. */
		if (level > 1 && seat->state == BOARD_STOPPING) {
			seat->due_us = now_us + FLEET_KILL_AFTER_US;
			fleet->ops->signal(fleet->ops->arg, seat->pid, SIGTERM);
		}
		seat_stop(fleet, seat, now_us);
	}
}

/* ---- watching */

static void watch(struct fleet *fleet, struct seat *seat, struct scale_load *load, uint64_t now_us)
{
	struct board_report report;

	fleet->ops->observe(fleet->ops->arg, seat->place, &report);
	fleet->reported = fleet->reported || report.heartbeat_us != 0;
	if (seat->state == BOARD_STARTING && report.begun) {
		fleet->ever_begun = true;
		seat_move(fleet, seat, BOARD_RUNNING, now_us);
	}
	seat_note_sign(seat, &report);
	if (seat_is_stalled(fleet, seat, now_us))
		seat_kill(fleet, seat, SUPERVISOR_STALLED);
	if (seat->generation != fleet->generation)
		return;
	if (seat->state == BOARD_STARTING)
		load->starting++;
	if (seat->state != BOARD_RUNNING)
		return;
	load->workers++;
	load->busy += report.busy;
	load->slots += report.slots;
	load->wanting += report.wanting;
}

static void watch_all(struct fleet *fleet, struct scale_load *load, uint64_t now_us)
{
	uint64_t wanting;

	for (unsigned i = 0; i < fleet->places; i++) {
		struct seat *seat = &fleet->seats[i];

		if (!seat_is_alive(seat))
			continue;
		if (seat->state == BOARD_STOPPING && now_us >= seat->due_us)
			seat_kill(fleet, seat, SUPERVISOR_GRACE_OVER);
		else if (seat->state != BOARD_STOPPING)
			watch(fleet, seat, load, now_us);
	}
	/* Counters of those at work; one that left took its own with it. */
	wanting = load->wanting;
	load->wanting = wanting > fleet->wanting ? wanting - fleet->wanting : 0;
	fleet->wanting = wanting;
	load->backlog = fleet->ops->backlog(fleet->ops->arg);
}

/* ---- how many */

static unsigned count_active(const struct fleet *fleet, unsigned generation)
{
	unsigned count = 0;

	for (unsigned i = 0; i < fleet->places; i++)
		if (seat_is_active(&fleet->seats[i]) && fleet->seats[i].generation == generation)
			count++;
	return count;
}

static unsigned count_begun(const struct fleet *fleet, unsigned generation)
{
	unsigned count = 0;

	for (unsigned i = 0; i < fleet->places; i++)
		if (fleet->seats[i].state == BOARD_RUNNING &&
			fleet->seats[i].generation == generation)
			count++;
	return count;
}

static unsigned count_state(const struct fleet *fleet, enum board_state state)
{
	unsigned count = 0;

	for (unsigned i = 0; i < fleet->places; i++)
		if (fleet->seats[i].state == state)
			count++;
	return count;
}

/* Fills `taken`, by number, with those that workers of the generation have. */
static void mark_numbers(const struct fleet *fleet, unsigned generation)
{
	memset(fleet->taken, 0, fleet->places + 1);
	for (unsigned i = 0; i < fleet->places; i++)
		if (seat_is_active(&fleet->seats[i]) && fleet->seats[i].generation == generation)
			fleet->taken[fleet->seats[i].number] = true;
}

/* As many more as there are empty seats for; each has the least number that is free. */
static void add(struct fleet *fleet, unsigned generation, const struct supervisor_plan *plan,
	unsigned count, uint64_t now_us)
{
	unsigned number = 1;

	mark_numbers(fleet, generation);
	for (unsigned i = 0; i < fleet->places && count > 0; i++) {
		struct seat *seat = &fleet->seats[i];

		if (seat->state != BOARD_EMPTY)
			continue;
		while (fleet->taken[number])
			number++;
		seat_take(fleet, seat, generation, number++, plan, now_us);
		count--;
	}
}

/* Workers past the number wanted: the last ones go first. */
static struct seat *last_of(struct fleet *fleet, unsigned generation)
{
	struct seat *last = NULL;

	for (unsigned i = 0; i < fleet->places; i++) {
		struct seat *seat = &fleet->seats[i];

		if (seat_is_active(seat) && seat->generation == generation &&
			(!last || seat->number > last->number))
			last = seat;
	}
	return last;
}

static void reach(struct fleet *fleet, unsigned generation, const struct supervisor_plan *plan,
	unsigned wanted, uint64_t now_us)
{
	unsigned active = count_active(fleet, generation);

	for (; active > wanted; active--)
		seat_stop(fleet, last_of(fleet, generation), now_us);
	if (active < wanted)
		add(fleet, generation, plan, wanted - active, now_us);
}

static void start_due(struct fleet *fleet, uint64_t now_us)
{
	unsigned starting = count_state(fleet, BOARD_STARTING);

	for (unsigned i = 0; i < fleet->places && starting < FLEET_STARTING_MAX; i++) {
		struct seat *seat = &fleet->seats[i];

		if (seat->state != BOARD_WAITING || now_us < seat->due_us)
			continue;
		seat_start(fleet, seat, now_us);
		starting++;
	}
}

static void settle_monitor(struct fleet *fleet, uint64_t now_us)
{
	struct seat *monitor = &fleet->monitor;
	bool wanted = fleet->plan.has_monitor;

	/* It outlives the workers, since it tells what became of them. */
	if (fleet->stopping > 0)
		wanted = wanted && monitor->state != BOARD_EMPTY &&
			 (count_state(fleet, BOARD_EMPTY) < fleet->places);
	if (monitor->state != BOARD_EMPTY && (!wanted || monitor->generation != fleet->generation))
		seat_stop(fleet, monitor, now_us);
	if (monitor->state == BOARD_STOPPING && now_us >= monitor->due_us)
		seat_kill(fleet, monitor, SUPERVISOR_GRACE_OVER);
	if (monitor->state == BOARD_EMPTY && wanted)
		seat_take(fleet, monitor, fleet->generation, 0, &fleet->plan, now_us);
	if (monitor->state == BOARD_WAITING && now_us >= monitor->due_us)
		seat_start(fleet, monitor, now_us);
}

static void switch_generation(struct fleet *fleet, uint64_t now_us)
{
	unsigned before = fleet->generation;

	fleet->generation = fleet->coming;
	fleet->plan = fleet->coming_plan;
	fleet->coming = FLEET_NO_GENERATION;
	fleet->target = fleet->plan.min;
	scale_init(&fleet->scale, fleet->plan.min, fleet->plan.max);
	fleet_tell(fleet, SUPERVISOR_RELOADED, NULL,
		(struct supervisor_event){.workers = fleet->target});
	retire(fleet, before, now_us);
}

static void adapt(struct fleet *fleet, const struct scale_load *load, uint64_t now_us)
{
	unsigned wanted;

	/* In a script workers end one by one, and none is started in the place of one that did. */
	if (fleet->until_done || fleet->coming != FLEET_NO_GENERATION)
		return;
	wanted = scale_step(&fleet->scale, load, now_us);
	if (wanted == fleet->target)
		return;
	fleet_tell(fleet, SUPERVISOR_SCALED, NULL,
		(struct supervisor_event){.workers = wanted, .workers_before = fleet->target});
	fleet->target = wanted;
}

/* While something is about to change; quietly otherwise. */
static uint64_t next_step(const struct fleet *fleet, uint64_t now_us)
{
	bool busy = fleet->coming != FLEET_NO_GENERATION || fleet->stopping > 0 ||
		    fleet->monitor.state == BOARD_WAITING || fleet->monitor.state == BOARD_STOPPING;
	uint64_t next = now_us + QUIET_STEP_US;

	for (unsigned i = 0; i < fleet->places; i++) {
		const struct seat *seat = &fleet->seats[i];

		busy = busy || seat->state == BOARD_STARTING;
		if ((seat->state == BOARD_WAITING || seat->state == BOARD_STOPPING) &&
			seat->due_us < next)
			next = seat->due_us > now_us ? seat->due_us : now_us + 1000;
	}
	if (busy && now_us + BUSY_STEP_US < next)
		next = now_us + BUSY_STEP_US;
	return next;
}

uint64_t fleet_step(struct fleet *fleet, uint64_t now_us)
{
	struct scale_load load = {.workers = 0};

	if (now_us - fleet->stepped_us > ASLEEP_US)
		fleet->awake_us = now_us;
	fleet->stepped_us = now_us;
	watch_all(fleet, &load, now_us);
	if (fleet->coming != FLEET_NO_GENERATION &&
		count_begun(fleet, fleet->coming) >= fleet->coming_plan.min)
		switch_generation(fleet, now_us);
	if (fleet->stopping == 0) {
		adapt(fleet, &load, now_us);
		reach(fleet, fleet->generation, &fleet->plan, fleet->target, now_us);
		if (fleet->coming != FLEET_NO_GENERATION)
			reach(fleet, fleet->coming, &fleet->coming_plan, fleet->coming_plan.min,
				now_us);
		start_due(fleet, now_us);
	}
	settle_monitor(fleet, now_us);
	return next_step(fleet, now_us);
}

/* ---- asked from outside */

bool fleet_can_reload(const struct fleet *fleet, unsigned min)
{
	return fleet->coming == FLEET_NO_GENERATION && fleet->stopping == 0 &&
	       count_state(fleet, BOARD_EMPTY) >= min;
}

void fleet_reload(struct fleet *fleet, unsigned generation, const struct supervisor_plan *plan)
{
	fleet->coming = generation;
	fleet->coming_plan = *plan;
}

bool fleet_is_over(const struct fleet *fleet, int *ret_code)
{
	if (fleet->stopping == 0 || count_state(fleet, BOARD_EMPTY) < fleet->places ||
		fleet->monitor.state != BOARD_EMPTY)
		return false;
	*ret_code = fleet->code;
	return true;
}

void fleet_get_status(const struct fleet *fleet, struct fleet_status *ret_status)
{
	struct fleet_status status = {.wanted = fleet->stopping > 0 ? 0 : fleet->target,
		.starting = count_state(fleet, BOARD_STARTING),
		.running = count_state(fleet, BOARD_RUNNING),
		.stopping = count_state(fleet, BOARD_STOPPING),
		.waiting = count_state(fleet, BOARD_WAITING),
		.reported = fleet->reported};

	for (unsigned i = 0; i < fleet->places; i++) {
		const struct seat *seat = &fleet->seats[i];

		if (seat->failures >= BOARD_CRASH_LOOP)
			status.crash_loops++;
		status.progressing =
			status.progressing ||
			(seat_is_alive(seat) && !seat_is_stalled(fleet, seat, fleet->stepped_us));
	}
	status.progressing = status.progressing || status.wanted == 0;
	*ret_status = status;
}
