#include "provider.h"

#include "bunshin/error.h"
#include "chance.h"
#include "sim.h"

#include <string.h>

#define STREAM_ATTEMPT 40

/* ---- what a destination is configured with, and the answers that its rules are about */

static const struct status_range ok[] = {{200, 299}}, ok_and_known[] = {{200, 299}, {409, 409}};
static const struct status_range twohundreds[] = {{200, 299}}, badrequest[] = {{400, 400}};

static const struct outcome_rule rules[] = {
	{.statuses = {twohundreds, 1}, .path = "code", .equals = "LATER", .outcome = OUTCOME_RETRY},
	{.statuses = {twohundreds, 1},
		.path = "error.details.0.code",
		.equals = "GONE",
		.outcome = OUTCOME_PERMANENT},
	{.statuses = {badrequest, 1}, .path = "busy", .outcome = OUTCOME_THROTTLED},
	{.path = "fatal", .outcome = OUTCOME_PERMANENT},
	{.contains = "quota exceeded", .outcome = OUTCOME_REFUSED},
	{.statuses = {badrequest, 1}, .contains = "sent before", .outcome = OUTCOME_ACCEPTED},
};

static const struct {
	int status;
	const char *body;
	enum outcome meaning;
	bool accepts;
} odd_answers[] = {
	{200, "{\"code\":\"LATER\"}", OUTCOME_RETRY, false},
	{200, "{\"error\":{\"details\":[{\"code\":\"GONE\"}]}}", OUTCOME_PERMANENT, false},
	{400, "{\"busy\":true}", OUTCOME_THROTTLED, false},
	{500, "{\"fatal\":{\"why\":[1,2]}}", OUTCOME_PERMANENT, false},
	{200, "quota exceeded", OUTCOME_REFUSED, false},
	{400, "sent before", OUTCOME_ACCEPTED, true},
	{200, "{\"code\":\"FINE\"", OUTCOME_ACCEPTED, true},
};

static const struct {
	int status;
	enum outcome meaning;
} failures[] = {
	{500, OUTCOME_RETRY},
	{502, OUTCOME_RETRY},
	{504, OUTCOME_RETRY},
	{408, OUTCOME_RETRY},
	{425, OUTCOME_RETRY},
	{302, OUTCOME_RETRY},
	{503, OUTCOME_THROTTLED},
	{429, OUTCOME_THROTTLED},
	{429, OUTCOME_THROTTLED},
	{418, OUTCOME_PERMANENT},
};

struct outcome_table provider_outcomes(const struct plan_destination *plan)
{
	struct outcome_table table = {0};

	table.sets[OUTCOME_ACCEPTED] =
		plan->remembers ? (struct status_set){ok_and_known, 2} : (struct status_set){ok, 1};
	if (plan->looks) {
		table.rules = rules;
		table.rule_count = sizeof(rules) / sizeof(rules[0]);
	}
	return table;
}

/* ---- time */

/* exp(0.8 z) at every 32nd of the normal distribution, in thousandths: no libm, whose last bit
 * differs between machines. */
static const uint64_t log_normal[33] = {100, 225, 293, 348, 398, 446, 492, 537, 583, 629, 676, 725,
	775, 827, 882, 939, 1000, 1065, 1134, 1209, 1290, 1379, 1478, 1589, 1715, 1862, 2034, 2244,
	2510, 2870, 3412, 4441, 10003};

static uint64_t draw_latency_us(const struct plan_destination *plan, struct chance *chance)
{
	uint64_t us = plan->latency_us, at;

	switch (plan->latency) {
	case LATENCY_UNIFORM:
		return 1 + chance_draw(chance, 2 * us);
	case LATENCY_LOG_NORMAL:
		at = chance_draw(chance, 32000);
		return us *
		       (log_normal[at / 1000] * (1000 - at % 1000) +
			       log_normal[at / 1000 + 1] * (at % 1000)) /
		       1000000;
	case LATENCY_TWO_PEAKS:
		return chance_hits(chance, 50) ? us * 50 : us;
	case LATENCY_CONSTANT:
	default:
		return us;
	}
}

static const struct phase *phase_now(const struct provider *provider)
{
	const struct sim *sim = provider->sim;

	for (unsigned i = 0; i < PROVIDER_PHASES_MAX && !sim->faults.healed; i++)
		if (sim->now_us >= provider->phases[i].from_us &&
			sim->now_us < provider->phases[i].until_us)
			return &provider->phases[i];
	return NULL;
}

static bool is_over_limit(struct provider *provider, uint64_t limit_per_s)
{
	uint64_t second = provider->sim->now_us / S;

	if (second != provider->second) {
		provider->second = second;
		provider->requests_in_second = 0;
	}
	return limit_per_s && ++provider->requests_in_second > limit_per_s;
}

/* ---- the answer */

static void answers(struct target_attempt *attempt, int status, enum outcome meaning)
{
	attempt->result.err = 0;
	attempt->result.status = status;
	attempt->meaning = meaning;
	attempt->accepts = meaning == OUTCOME_ACCEPTED;
}

static void fails(struct target_attempt *attempt, int err, bool accepts)
{
	attempt->result.err = err;
	attempt->result.status = 0;
	attempt->result.reason = "a fault of the run";
	attempt->meaning = OUTCOME_RETRY;
	attempt->accepts = accepts;
}

static void never_answers(struct target_attempt *attempt, bool accepts)
{
	fails(attempt, ERR_TIMEOUT, accepts);
	attempt->ends_us = UINT64_MAX;
}

/* When to come back; once in a while longer than a message may be put back for. */
static void say_when(struct target_attempt *attempt, struct chance *chance, bool says)
{
	if (!says || chance_hits(chance, 200))
		return;
	attempt->result.retry_after_ms = (int64_t)chance_draw(chance, 5000);
	if (chance_hits(chance, 20) && !attempt->provider->sim->faults.healed)
		attempt->result.retry_after_ms = 86400000;
}

static void answer_in_phase(struct target_attempt *attempt, const struct phase *phase,
	struct chance *chance, const struct plan_destination *plan)
{
	switch (phase->kind) {
	case PHASE_SILENT:
		never_answers(attempt, false);
		break;
	case PHASE_AWAY:
		fails(attempt, ERR_CONNECT, false);
		break;
	case PHASE_UNAUTHORIZED:
		answers(attempt, chance_hits(chance, 500) ? 401 : 403, OUTCOME_REFUSED);
		break;
	case PHASE_UNAVAILABLE:
		answers(attempt, 503, OUTCOME_THROTTLED);
		say_when(attempt, chance, plan->retry_after);
		break;
	case PHASE_BUSY:
		answers(attempt, 429, OUTCOME_THROTTLED);
		say_when(attempt, chance, plan->retry_after);
		break;
	case PHASE_BROKEN:
		answers(attempt, 500, OUTCOME_RETRY);
		break;
	case PHASE_SLOWING:
	case PHASE_KINDS:
	default:
		break;
	}
}

/* What this one attempt meets, the provider itself being in order. */
static void answer_with_faults(struct target_attempt *attempt, uint64_t key, struct chance *chance)
{
	struct sim *sim = attempt->provider->sim;
	const struct plan_destination *plan = &sim->plan.destination[attempt->provider->index];
	bool accepts = attempt->accepts && chance_hits(chance, 500);
	size_t i;

	if (fault_happens(&sim->faults, PROVIDER_HANGS, key)) {
		never_answers(attempt, accepts);
	} else if (fault_happens(&sim->faults, PROVIDER_RESET, key)) {
		fails(attempt, chance_hits(chance, 800) ? ERR_NETWORK : ERR_PROTOCOL, accepts);
	} else if (fault_happens(&sim->faults, PROVIDER_STATUS, key)) {
		i = chance_draw(chance, sizeof(failures) / sizeof(failures[0]));
		answers(attempt, failures[i].status, failures[i].meaning);
		if (failures[i].meaning == OUTCOME_THROTTLED)
			say_when(attempt, chance, plan->retry_after);
	} else if (plan->looks && fault_happens(&sim->faults, PROVIDER_ODD, key)) {
		i = chance_draw(chance, sizeof(odd_answers) / sizeof(odd_answers[0]));
		answers(attempt, odd_answers[i].status, odd_answers[i].meaning);
		attempt->accepts = odd_answers[i].accepts;
		attempt->result.excerpt = odd_answers[i].body;
		attempt->result.excerpt_bytes = strlen(odd_answers[i].body);
	}
}

/* This message, for good, with whatever bytes a provider may find right to say so. */
static void refuses(struct target_attempt *attempt, struct chance *chance)
{
	static const char *const words[] = {
		"no such user", "\xff\xfe no text", "\xef\xbf\xbf", "a\001b\tc", "\xe2\x82", ""};
	const char *said = words[chance_draw(chance, sizeof(words) / sizeof(words[0]))];

	answers(attempt, chance_hits(chance, 500) ? 400 : 422, OUTCOME_PERMANENT);
	attempt->result.excerpt = said;
	attempt->result.excerpt_bytes = strlen(said);
}

/* Decides what will come of it, and when. */
static void decide(struct target_attempt *attempt, const struct mail *mail)
{
	struct provider *provider = attempt->provider;
	struct sim *sim = provider->sim;
	const struct plan_destination *plan = &sim->plan.destination[provider->index];
	const struct phase *phase = phase_now(provider);
	uint64_t key = chance_key(mail->index, mail->starts, provider->index, 1);
	struct chance chance = chance_of(sim->plan.seed, STREAM_ATTEMPT, key);
	uint64_t latency_us = draw_latency_us(plan, &chance);
	uint64_t max_us = (uint64_t)plan->attempt_max_ms * MS;

	answers(attempt, 200, OUTCOME_ACCEPTED);
	if (mail->refused)
		refuses(attempt, &chance);
	else if (plan->remembers && mail->key->accepted) {
		answers(attempt, 409, OUTCOME_ACCEPTED);
		attempt->accepts = false;
	}
	if (plan->dead) {
		never_answers(attempt, false);
	} else if (phase && phase->kind == PHASE_SLOWING) {
		latency_us <<= (sim->now_us - phase->from_us) / (5 * S) & 31;
	} else if (phase) {
		answer_in_phase(attempt, phase, &chance, plan);
	} else if (is_over_limit(provider, plan->limit_per_s)) {
		answers(attempt, 429, OUTCOME_THROTTLED);
		say_when(attempt, &chance, plan->retry_after);
	} else {
		answer_with_faults(attempt, key, &chance);
	}
	if (!phase && latency_us >= max_us && !fault_happens(&sim->faults, PROVIDER_LATE, key))
		latency_us = max_us - 1;
	/* An attempt never lasts longer; what was accepted stays so. */
	if (attempt->ends_us == UINT64_MAX || latency_us >= max_us) {
		fails(attempt, ERR_TIMEOUT, attempt->accepts);
		latency_us = max_us;
	}
	attempt->ends_us = sim->now_us + latency_us;
	attempt->result.duration_us = latency_us;
}

/* ---- its end */

static void attempt_put(struct target_attempt *attempt)
{
	struct provider *provider = attempt->provider;

	list_remove(&attempt->node);
	events_clear(&provider->sim->events, &attempt->event);
	attempt->pool_next = provider->pool;
	provider->pool = attempt;
}

static void accepted_for_real(struct target_attempt *attempt)
{
	struct mail *mail = attempt->receipt->mail;

	mail->accepted++;
	mail->key->accepted++;
}

/* Nobody will be told. Halfway through the provider has got it; before, that is drawn. */
static void given_up(struct target_attempt *attempt, enum trace_kind how)
{
	struct sim *sim = attempt->provider->sim;
	struct mail *mail = attempt->receipt->mail;
	bool arrived = sim->now_us - attempt->started_us >= attempt->result.duration_us / 2 ||
		       chance_below(sim->plan.seed, STREAM_ATTEMPT,
			       chance_key(mail->index, mail->starts, 0, 2), 2);

	attempt->accepts &= arrived;
	if (attempt->accepts)
		accepted_for_real(attempt);
	attempt->worker->out[attempt->provider->index]--;
	attempt->receipt->attempts_out--;
	if (attempt->answer.waiting)
		list_remove(&attempt->answer.node);
	sim_trace(sim, how, attempt->worker->index, mail->index, 0, attempt->accepts);
}

void provider_cut(struct target_attempt *attempt)
{
	attempt->receipt->mail->cut++;
	given_up(attempt, TRACE_CUT);
	attempt_put(attempt);
}

static void fired(struct event *event)
{
	struct target_attempt *attempt = list_entry(event, struct target_attempt, event);

	worker_answered(attempt->worker, &attempt->answer);
}

static void deliver(struct worker *worker, struct answer *answer)
{
	struct target_attempt *attempt = list_entry(answer, struct target_attempt, answer);
	struct sim *sim = worker->sim;
	struct mail *mail = attempt->receipt->mail;
	struct target_result result = attempt->result;
	bool accepted = attempt->meaning == OUTCOME_ACCEPTED;

	list_remove(&attempt->node);
	worker->out[attempt->provider->index]--;
	attempt->receipt->attempts_out--;
	if (attempt->accepts)
		accepted_for_real(attempt);
	if (result.err)
		sim_trace(sim, TRACE_ERROR, worker->index, mail->index,
			(uint64_t)(int64_t)result.err, attempt->accepts);
	else
		sim_trace(sim, TRACE_STATUS, worker->index, mail->index, (uint64_t)result.status,
			attempt->meaning);
	/* Its worker was stopped for longer than the claim holds. */
	mail->outlived += sim->now_us > attempt->ends_us;
	invariant_told(worker, attempt, accepted);
	attempt->done(attempt->arg, &result);
	worker->telling.receipt = NULL;
	attempt_put(attempt);
}

/* ---- the table */

static struct target_attempt *attempt_get(struct provider *provider)
{
	struct target_attempt *attempt = provider->pool;

	if (attempt)
		provider->pool = attempt->pool_next;
	else
		attempt = arena_alloc(&provider->sim->memory, sizeof(*attempt));
	return attempt;
}

static int start(void *impl, const struct target_request *request, target_done *done, void *arg,
	struct target_attempt **ret_attempt)
{
	struct provider_end *end = impl;
	struct worker *worker = end->worker;
	struct sim *sim = worker->sim;
	struct provider *provider = end->provider;
	struct target_attempt *attempt;
	struct receipt *receipt;

	worker_point(worker, OP_START, false);
	receipt = invariant_start(worker, provider->index, request->messages[0]);
	if (fault_happens(&sim->faults, START_FAILS,
		    chance_key(worker->index, ++worker->calls_ever[OP_START], 0, 3))) {
		sim_trace(sim, TRACE_NOT_STARTED, worker->index, receipt->mail->index,
			provider->index, (uint64_t)(int64_t)ERR_LIMIT);
		return ERR_LIMIT;
	}
	invariant_started(worker, provider->index, receipt);
	attempt = attempt_get(provider);
	*attempt = (struct target_attempt){.provider = provider,
		.worker = worker,
		.receipt = receipt,
		.started_us = sim->now_us,
		.claimed_wall_ms = receipt->mail->key->host[worker->host->index].claimed_wall_ms,
		.result = {.retry_after_ms = -1, .reason = "", .request_id = "", .excerpt = ""},
		.done = done,
		.arg = arg};
	attempt->event.fire = fired;
	attempt->answer.deliver = deliver;
	list_init(&attempt->node);
	list_append(&worker->attempts, &attempt->node);
	decide(attempt, receipt->mail);
	events_set(&sim->events, &attempt->event, attempt->ends_us);
	request->departs(arg);
	*ret_attempt = attempt;
	worker_point(worker, OP_START, true);
	return 0;
}

static void cancel(void *impl, struct target_attempt *attempt)
{
	struct provider_end *end = impl;

	worker_point(end->worker, OP_CANCEL_ATTEMPT, false);
	attempt->receipt->mail->cancelled++;
	invariant_cancelled(end->worker, attempt);
	given_up(attempt, TRACE_CANCELLED);
	attempt_put(attempt);
	worker_point(end->worker, OP_CANCEL_ATTEMPT, true);
}

void provider_init(struct provider *provider, struct sim *sim, unsigned index)
{
	*provider = (struct provider){.sim = sim, .index = index};
}

struct target provider_table(struct provider_end *end)
{
	static const struct target_ops ops = {.start = start, .cancel = cancel};

	return (struct target){.ops = &ops, .impl = end};
}
