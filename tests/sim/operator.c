#include "operator.h"

#include "chance.h"
#include "sim.h"

#define STREAM_OPERATOR 70
#define NEWS_MAX_US (6 * S)

const char *const operator_campaigns[OPERATOR_CAMPAIGNS] = {
	"morning", "noon", "\"the\nlast\" \\ one"};

static void set_control(struct worker *worker, void *arg)
{
	delivery_set_control(worker->delivery, arg);
}

/* From now on the worker acts by it. */
static void told(struct worker *worker)
{
	struct asked *asked = &worker->sim->operator.asked;

	sim_trace(worker->sim, TRACE_CONTROL, worker->index, TRACE_NONE, asked->paused,
		asked->cancelled);
	worker->asked = *asked;
}

static void news_fired(struct event *event)
{
	struct operator_news *news = list_entry(event, struct operator_news, event);
	struct worker *worker = news->worker;

	if (!worker->delivery)
		return;
	if (worker->stopped) {
		events_set(&worker->sim->events, event, worker->sim->now_us + S);
		return;
	}
	told(worker);
	worker_run(worker, set_control, &worker->asked.control);
}

static void spread(struct sim *sim, uint64_t which, uint64_t within_us)
{
	for (unsigned i = 0; i < sim->plan.workers; i++)
		events_set(&sim->events, &sim->operator.news[i].event,
			sim->now_us + chance_below(sim->plan.seed, STREAM_OPERATOR,
					      chance_key(which, i, 0, 1), within_us));
}

static void change_fired(struct event *event)
{
	struct operator_change *change = list_entry(event, struct operator_change, event);
	struct sim *sim = change->sim;
	struct asked *asked = &sim->operator.asked;
	struct chance chance = chance_of(sim->plan.seed, STREAM_OPERATOR, change->which);

	*asked = (struct asked){.paused = chance_hits(&chance, 400)};
	asked->control.paused = asked->paused;
	if (chance_hits(&chance, 300)) {
		asked->control.rate_count = CHANCE_ONE(&chance, 5, 50, 500);
		asked->control.rate_per_ms = 1000;
	}
	for (unsigned i = 0; i < OPERATOR_CAMPAIGNS; i++) {
		if (!chance_hits(&chance, 300))
			continue;
		asked->cancelled |= 1u << i;
		control_cancelled_add(
			asked->control.cancelled, operator_campaigns[i], asked->control.cancelled);
	}
	spread(sim, change->which, NEWS_MAX_US);
}

void operator_init(struct sim *sim)
{
	struct chance chance = chance_of(sim->plan.seed, STREAM_OPERATOR, 0);
	unsigned count = (unsigned)CHANCE_ONE(&chance, 0, 0, 1, 3, OPERATOR_CHANGES_MAX);

	for (unsigned i = 0; i < sim->plan.workers; i++)
		sim->operator.news[i] =(struct operator_news){
			.event.fire = news_fired, .worker = &sim->workers[i]};
	/* Whoever asks for a run without faults wants one without an operator. */
	for (unsigned i = 0; sim->options.classes && i < count; i++) {
		struct operator_change *change = &sim->operator.changes[i];

		*change = (struct operator_change){
			.event.fire = change_fired, .sim = sim, .which = 1 + i};
		events_set(&sim->events, &change->event, chance_draw(&chance, sim->plan.storm_us));
	}
}

void operator_heal(struct sim *sim)
{
	struct asked *asked = &sim->operator.asked;

	for (unsigned i = 0; i < OPERATOR_CHANGES_MAX; i++)
		events_clear(&sim->events, &sim->operator.changes[i].event);
	asked->paused = asked->control.paused = false;
	asked->control.rate_count = 0;
	asked->control.rate_per_ms = 0;
	spread(sim, OPERATOR_CHANGES_MAX + 1, S);
}

const struct control *operator_tell(struct worker *worker)
{
	told(worker);
	return &worker->asked.control;
}

bool operator_cancels(const struct worker *worker, const struct mail *mail)
{
	return mail->campaign < OPERATOR_CAMPAIGNS && worker->asked.cancelled >> mail->campaign & 1;
}
