#include "supervisor/fleet.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define BACKOFF_BASE_US UINT64_C(200000)
#define BACKOFF_CAP_US UINT64_C(30000000)
#define BUSY_STEP_US UINT64_C(50000) /* while something changes */
#define QUIET_STEP_US UINT64_C(1000000)
#define ASLEEP_US UINT64_C(5000000)

/* A worker or the monitor, or an empty chair. */
struct seat {
	enum board_state state;
	pid_t pid;
	unsigned place, number, generation;
	unsigned failures; /* deaths in a row soon after the start */
	uint64_t since_us;
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

static bool is_alive(const struct seat *seat)
{
	return seat->pid > 0;
}

/* Counts as one of its generation: it works, will soon, or will again. */
static bool is_active(const struct seat *seat)
{
	return seat->state == BOARD_STARTING || seat->state == BOARD_RUNNING ||
	       seat->state == BOARD_WAITING;
}

static const struct supervisor_plan *plan_of(const struct fleet *fleet, const struct seat *seat)
{
	return seat->generation == fleet->coming ? &fleet->coming_plan : &fleet->plan;
}

static void tell(struct fleet *fleet, enum supervisor_event_kind kind, const struct seat *seat,
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

static void move(struct fleet *fleet, struct seat *seat, enum board_state state, uint64_t now_us)
{
	seat->state = state;
	seat->since_us = now_us;
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

static bool has_process(const struct fleet *fleet, unsigned generation)
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
static void vacate(struct fleet *fleet, struct seat *seat, uint64_t now_us)
{
	unsigned generation = seat->generation;

	move(fleet, seat, BOARD_EMPTY, now_us);
	if (!seat->is_monitor)
		fleet->ops->clear(fleet->ops->arg, seat->place);
	seat->failures = 0;
	if (generation != fleet->generation && generation != fleet->coming &&
		!has_process(fleet, generation))
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
	move(fleet, seat, BOARD_WAITING, now_us);
}

static void start(struct fleet *fleet, struct seat *seat, uint64_t now_us)
{
	const struct fleet_ops *ops = fleet->ops;
	pid_t pid = seat->is_monitor
			    ? ops->start_monitor(ops->arg, seat->generation)
			    : ops->start(ops->arg, seat->place, seat->number, seat->generation);

	if (pid < 0) {
		seat->failures++;
		wait_for_start(fleet, seat, now_us);
		tell(fleet, SUPERVISOR_CANNOT_FORK, seat,
			(struct supervisor_event){.error = -(int)pid,
				.delay_ms = (int64_t)((seat->due_us - now_us) / 1000)});
		return;
	}
	seat->pid = pid;
	seat->started_us = now_us;
	seat->sign_us = 0;
	seat->killed = false;
	move(fleet, seat, seat->is_monitor ? BOARD_RUNNING : BOARD_STARTING, now_us);
	tell(fleet, SUPERVISOR_STARTED, seat, (struct supervisor_event){.delay_ms = 0});
}

static void stop_seat(struct fleet *fleet, struct seat *seat, uint64_t now_us)
{
	if (seat->state == BOARD_WAITING) {
		vacate(fleet, seat, now_us);
		return;
	}
	if (!is_alive(seat) || seat->state == BOARD_STOPPING)
		return;
	seat->due_us =
		now_us + (uint64_t)plan_of(fleet, seat)->grace_ms * 1000 + FLEET_KILL_AFTER_US;
	fleet->ops->signal(fleet->ops->arg, seat->pid, SIGTERM);
	move(fleet, seat, BOARD_STOPPING, now_us);
}

static void kill_seat(struct fleet *fleet, struct seat *seat, enum supervisor_event_kind why)
{
	if (seat->killed)
		return;
	seat->killed = true;
	tell(fleet, why, seat, (struct supervisor_event){.delay_ms = 0});
	fleet->ops->signal(fleet->ops->arg, seat->pid, SIGKILL);
}

static void stop_generation(struct fleet *fleet, unsigned generation, uint64_t now_us)
{
	for (unsigned i = 0; i < fleet->places; i++)
		if (fleet->seats[i].generation == generation)
			stop_seat(fleet, &fleet->seats[i], now_us);
}

/* It is neither the current one nor the coming one any more. */
static void retire(struct fleet *fleet, unsigned generation, uint64_t now_us)
{
	if (has_process(fleet, generation))
		stop_generation(fleet, generation, now_us);
	else
		fleet->ops->unload(fleet->ops->arg, generation);
}

/* The new configuration cannot work: as if it had never been. */
static void abandon_reload(struct fleet *fleet, uint64_t now_us)
{
	unsigned generation = fleet->coming;

	fleet->coming = FLEET_NO_GENERATION;
	tell(fleet, SUPERVISOR_RELOAD_FAILED, NULL, (struct supervisor_event){.delay_ms = 0});
	retire(fleet, generation, now_us);
}

static void die(struct fleet *fleet, struct seat *seat, int status, uint64_t now_us)
{
	struct supervisor_event event = {.wait_status = status};

	seat->failures = now_us - seat->started_us >= FLEET_PROVEN_US ? 0 : seat->failures + 1;
	if (!seat->is_monitor)
		fleet->ops->clear(fleet->ops->arg, seat->place);
	tell(fleet, SUPERVISOR_DIED, seat, event);
	if (seat->failures == BOARD_CRASH_LOOP)
		tell(fleet, SUPERVISOR_CRASH_LOOP, seat, event);
	seat->pid = 0;
	wait_for_start(fleet, seat, now_us);
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
		vacate(fleet, seat, now_us);
	} else if (fleet->until_done && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		seat->pid = 0;
		vacate(fleet, seat, now_us);
		if (--fleet->target == 0)
			fleet_stop(fleet, 1, now_us);
	} else if (ends_all(fleet, status)) {
		seat->pid = 0;
		vacate(fleet, seat, now_us);
		fleet->code = WEXITSTATUS(status);
		fleet_stop(fleet, 1, now_us);
	} else {
		bool is_coming = seat->generation == fleet->coming;

		die(fleet, seat, status, now_us);
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
		vacate(fleet, monitor, now_us);
	} else {
		die(fleet, monitor, status, now_us);
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
		abandon_reload(fleet, now_us);
	fleet->stopping = level;
	for (unsigned i = 0; i < fleet->places; i++) {
		struct seat *seat = &fleet->seats[i];

		/* A second signal makes a worker that drains leave at once. */
		if (level > 1 && seat->state == BOARD_STOPPING) {
			seat->due_us = now_us + FLEET_KILL_AFTER_US;
			fleet->ops->signal(fleet->ops->arg, seat->pid, SIGTERM);
		}
		stop_seat(fleet, seat, now_us);
	}
}

/* ---- watching */

/* What the worker says of itself; where that cannot be read, what it said before holds. */
static void note_sign(struct seat *seat, const struct board_report *report)
{
	uint64_t sign_us = report->heartbeat_us < report->progress_us ? report->heartbeat_us
								      : report->progress_us;

	if (report->heartbeat_us != 0)
		seat->sign_us = sign_us;
}

static bool is_stalled(const struct fleet *fleet, const struct seat *seat, uint64_t now_us)
{
	uint64_t stall_us = (uint64_t)plan_of(fleet, seat)->stall_ms * 1000;
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

static void watch(struct fleet *fleet, struct seat *seat, struct scale_load *load, uint64_t now_us)
{
	struct board_report report;

	fleet->ops->observe(fleet->ops->arg, seat->place, &report);
	fleet->reported = fleet->reported || report.heartbeat_us != 0;
	if (seat->state == BOARD_STARTING && report.begun) {
		fleet->ever_begun = true;
		move(fleet, seat, BOARD_RUNNING, now_us);
	}
	note_sign(seat, &report);
	if (is_stalled(fleet, seat, now_us))
		kill_seat(fleet, seat, SUPERVISOR_STALLED);
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

		if (!is_alive(seat))
			continue;
		if (seat->state == BOARD_STOPPING && now_us >= seat->due_us)
			kill_seat(fleet, seat, SUPERVISOR_GRACE_OVER);
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
		if (is_active(&fleet->seats[i]) && fleet->seats[i].generation == generation)
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
		if (is_active(&fleet->seats[i]) && fleet->seats[i].generation == generation)
			fleet->taken[fleet->seats[i].number] = true;
}

/* As many more as there are empty seats for; each has the least number that is free. */
static void add(struct fleet *fleet, unsigned generation, unsigned count, uint64_t now_us)
{
	unsigned number = 1;

	mark_numbers(fleet, generation);
	for (unsigned i = 0; i < fleet->places && count > 0; i++) {
		struct seat *seat = &fleet->seats[i];

		if (seat->state != BOARD_EMPTY)
			continue;
		while (fleet->taken[number])
			number++;
		seat->generation = generation;
		seat->number = number++;
		seat->failures = 0;
		wait_for_start(fleet, seat, now_us);
		count--;
	}
}

/* Workers past the number wanted: the last ones go first. */
static struct seat *last_of(struct fleet *fleet, unsigned generation)
{
	struct seat *last = NULL;

	for (unsigned i = 0; i < fleet->places; i++) {
		struct seat *seat = &fleet->seats[i];

		if (is_active(seat) && seat->generation == generation &&
			(!last || seat->number > last->number))
			last = seat;
	}
	return last;
}

static void reach(struct fleet *fleet, unsigned generation, unsigned wanted, uint64_t now_us)
{
	unsigned active = count_active(fleet, generation);

	for (; active > wanted; active--)
		stop_seat(fleet, last_of(fleet, generation), now_us);
	if (active < wanted)
		add(fleet, generation, wanted - active, now_us);
}

static void start_due(struct fleet *fleet, uint64_t now_us)
{
	unsigned starting = count_state(fleet, BOARD_STARTING);

	for (unsigned i = 0; i < fleet->places && starting < FLEET_STARTING_MAX; i++) {
		struct seat *seat = &fleet->seats[i];

		if (seat->state != BOARD_WAITING || now_us < seat->due_us)
			continue;
		start(fleet, seat, now_us);
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
		stop_seat(fleet, monitor, now_us);
	if (monitor->state == BOARD_STOPPING && now_us >= monitor->due_us)
		kill_seat(fleet, monitor, SUPERVISOR_GRACE_OVER);
	if (monitor->state == BOARD_EMPTY && wanted) {
		monitor->generation = fleet->generation;
		monitor->failures = 0;
		wait_for_start(fleet, monitor, now_us);
	}
	if (monitor->state == BOARD_WAITING && now_us >= monitor->due_us)
		start(fleet, monitor, now_us);
}

static void switch_generation(struct fleet *fleet, uint64_t now_us)
{
	unsigned before = fleet->generation;

	fleet->generation = fleet->coming;
	fleet->plan = fleet->coming_plan;
	fleet->coming = FLEET_NO_GENERATION;
	fleet->target = fleet->plan.min;
	scale_init(&fleet->scale, fleet->plan.min, fleet->plan.max);
	tell(fleet, SUPERVISOR_RELOADED, NULL, (struct supervisor_event){.workers = fleet->target});
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
	tell(fleet, SUPERVISOR_SCALED, NULL,
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
		reach(fleet, fleet->generation, fleet->target, now_us);
		if (fleet->coming != FLEET_NO_GENERATION)
			reach(fleet, fleet->coming, fleet->coming_plan.min, now_us);
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
			(is_alive(seat) && !is_stalled(fleet, seat, fleet->stepped_us));
	}
	status.progressing = status.progressing || status.wanted == 0;
	*ret_status = status;
}
