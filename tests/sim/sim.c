#include "sim.h"

#include "chance.h"

#include <string.h>

void sim_mail_ended(struct mail *mail)
{
	if (mail->ended)
		return;
	mail->ended = true;
	if (!mail->hopeless)
		mail->sim->open--;
}

static void put_fired(struct event *event)
{
	sqs_put(list_entry(event, struct mail, event));
}

static void make_mails(struct sim *sim)
{
	sim->mails = arena_alloc(&sim->memory, sim->plan.messages * sizeof(struct mail *));
	if (sim->plan.groups)
		sim->groups = arena_alloc(&sim->memory, sim->plan.groups * sizeof(struct group));
	for (unsigned i = 0; i < sim->plan.groups; i++) {
		list_init(&sim->groups[i].visible);
		list_init(&sim->groups[i].node);
	}
	for (uint32_t i = 0; i < sim->plan.messages; i++) {
		if (sim->options.only_mails && !fault_set_has(sim->options.only_mails, i))
			continue;
		mail_make(sim, i);
		sim->open += !sim->mails[i]->hopeless;
		sim->mails[i]->event.fire = put_fired;
		events_set(&sim->events, &sim->mails[i]->event, mail_put_us(sim, i));
	}
}

static void build(struct sim *sim, const struct sim_options *options)
{
	sim->options = *options;
	sim->trace.keeping = options->keep_trace;
	faults_init(&sim->faults, options->seed, options->classes, options->only_faults,
		options->record_faults);
	plan_draw(&sim->plan, options->seed, options->messages, &sim->faults);
	sqs_init(&sim->queue, sim);
	sqs_init(&sim->failure_queue, sim);
	for (unsigned i = 0; i < sim->plan.destinations; i++)
		provider_init(&sim->providers[i], sim, i);
	make_mails(sim);
	fleet_init(sim);
	operator_init(sim);
}

/* Who comes first at one instant: the world outside, or one of the workers, by chance. */
static struct worker *earliest(struct sim *sim, uint64_t *ret_due_us)
{
	struct worker *first = NULL;
	uint64_t due_us = events_due_us(&sim->events);
	bool yields = chance_mix(sim->now_us ^ sim->plan.seed) & 1;

	for (unsigned i = 0; i < sim->plan.workers; i++) {
		uint64_t timer_us = worker_due_us(&sim->workers[i]);

		if (timer_us < due_us || (timer_us == due_us && yields && due_us != UINT64_MAX)) {
			due_us = timer_us;
			first = &sim->workers[i];
		}
	}
	*ret_due_us = due_us;
	return first;
}

static bool step(struct sim *sim, uint64_t until_us)
{
	uint64_t due_us;
	struct worker *worker = earliest(sim, &due_us);

	if (due_us == UINT64_MAX || due_us > until_us)
		return false;
	/* A timer that was due while its worker was stopped, or before a lag ended. */
	if (due_us > sim->now_us)
		sim->now_us = due_us;
	sim->totals.events++;
	if (worker)
		worker_fire(worker);
	else
		events_fire(&sim->events);
	return true;
}

static void find_open(struct sim *sim)
{
	for (size_t i = 0; i < sim->plan.messages; i++) {
		const struct mail *mail = sim->mails[i];

		if (mail && !mail->ended && !mail->hopeless)
			invariant_broken(sim, INV_LIVE, mail,
				"message %zu has not ended after %llu s; %zu have not", i,
				(unsigned long long)(sim->plan.limit_us / S), sim->open);
	}
}

/* Every worker stops cleanly; nothing goes wrong any more. */
static void close_all(struct sim *sim)
{
	uint64_t end_us;

	sim_trace(sim, TRACE_CLOSING, TRACE_NONE, TRACE_NONE, 0, 0);
	sim->closing = true;
	for (unsigned i = 0; i < sim->plan.workers; i++) {
		events_clear(&sim->events, &sim->fleet.restarts[i].event);
		if (sim->workers[i].delivery && !sim->workers[i].draining)
			worker_drain(&sim->workers[i]);
	}
	end_us = sim->now_us + (uint64_t)sim->plan.grace_ms * MS + 10 * S;
	while (step(sim, end_us))
		;
	for (unsigned i = 0; i < sim->plan.workers; i++)
		if (sim->workers[i].delivery)
			invariant_broken(sim, INV_DRAIN, NULL, "worker %u does not stop", i);
}

static void live(struct sim *sim)
{
	while (step(sim, sim->plan.storm_us))
		;
	sim->now_us = sim->plan.storm_us;
	fleet_heal(sim);
	operator_heal(sim);
	while (sim->open && step(sim, sim->plan.limit_us))
		;
	find_open(sim);
	while (step(sim, sim->plan.night_us))
		;
	close_all(sim);
	invariant_ended(sim);
}

void sim_run(struct sim *sim, const struct sim_options *options)
{
	memset(sim, 0, sizeof(*sim));
	invariant_watch(sim);
	if (setjmp(sim->broken) == 0) {
		build(sim, options);
		live(sim);
	} else {
		arena_enter(NULL);
		sim->running = NULL;
	}
	invariant_watch(NULL);
	for (int kind = 0; kind < FAULT_KINDS; kind++)
		sim->totals.faults[fault_class_of(kind)] += sim->faults.counts[kind];
}

void sim_end(struct sim *sim)
{
	fleet_free(sim);
	events_free(&sim->events);
	arena_drop(&sim->memory);
	trace_free(&sim->trace);
	faults_free(&sim->faults);
}
