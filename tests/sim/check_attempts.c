/* The invariants of attempts: their start, their end, and what the host knows of both. */
#include "sim.h"

#include <string.h>

/*
 * What the host's ledger must know. An entry that has once been past its end, or so far in the
 * future that it looked like damage, may be gone, wherever the clock was set since.
 */
static void check_ledger(struct worker *worker, const struct mail *mail)
{
	struct sim *sim = worker->sim;
	const struct host *host = worker->host;
	const struct key_facts *facts = &mail->key->host[host->index];
	int64_t wall_ms = worker_wall_ms(worker), window_ms = sim->plan.window_ms - 1000;
	int64_t age_ms = wall_ms - facts->accepted_wall_ms;
	int64_t oldest_ms = host->wall_max_ms - facts->accepted_wall_ms;

	if (!host->ledger_is_whole)
		return;
	if (facts->accepted && facts->accepted_wall_ms < host->wall_min_ms + window_ms &&
		oldest_ms < window_ms)
		invariant_broken(sim, INV_SENDS, mail,
			"worker %u sends message %u, whose key was accepted %lld ms ago here",
			worker->index, mail->index, (long long)age_ms);
	if (facts->claimed_wall_ms > host->wall_max_ms &&
		facts->claimed_wall_ms < host->wall_min_ms + window_ms)
		invariant_broken(sim, INV_SENDS, mail,
			"worker %u sends message %u, whose key may be at the provider for %lld ms",
			worker->index, mail->index, (long long)(facts->claimed_wall_ms - wall_ms));
}

/* Its turn is over for good: accepted, copied, or no longer in the queue. */
static bool is_settled(const struct mail *mail)
{
	return mail->accepted_told || mail->copies_told || mail->place >= MAIL_DELETED;
}

static void check_order(struct worker *worker, const struct mail *mail)
{
	struct group *group = mail->group;
	struct mail *before;

	if (!group)
		return;
	while (group->unsettled->index < mail->index && is_settled(group->unsettled))
		group->unsettled = group->unsettled->group_next;
	for (before = group->unsettled; before && before->index < mail->index;
		before = before->group_next)
		if (!is_settled(before) && !before->called_off &&
			!invariant_has_expired(worker, before) &&
			!before->key->host[worker->host->index].ever_accepted)
			invariant_broken(worker->sim, INV_FIFO, mail,
				"worker %u sends message %u before message %u of the same group is "
				"over",
				worker->index, mail->index, before->index);
}

static void check_receipt(struct worker *worker, const struct receipt *receipt)
{
	struct sim *sim = worker->sim;
	const struct mail *mail = receipt->mail;

	if (receipt->worker != worker->index || receipt->life != worker->life)
		invariant_broken(sim, INV_STALE, mail, "worker %u sends what worker %u received",
			worker->index, receipt->worker);
	if (receipt->started)
		invariant_broken(sim, INV_SENDS, mail,
			"worker %u sends message %u a second time within one receive",
			worker->index, mail->index);
	if (receipt->delete_issued || receipt->return_issued || receipt->lost)
		invariant_broken(sim, INV_HELD, mail,
			"worker %u sends message %u, which it has settled or given up",
			worker->index, mail->index);
	if (sim->now_us >= receipt->believed_us)
		invariant_broken(sim, INV_HELD, mail,
			"worker %u sends message %u, whose visibility ran out %llu ms ago",
			worker->index, mail->index,
			(unsigned long long)((sim->now_us - receipt->believed_us) / MS));
}

struct receipt *invariant_start(
	struct worker *worker, unsigned destination, const struct queue_message *message)
{
	struct sim *sim = worker->sim;
	struct receipt *receipt = sqs_receipt(sim, message->receipt_handle);
	const struct mail *mail = receipt->mail;
	int64_t wall_ms = worker_wall_ms(worker);

	check_receipt(worker, receipt);
	if (mail->malformed || mail->destination != (int)destination)
		invariant_broken(sim, INV_ROUTE, mail,
			"message %u of destination %d is sent to destination %u", mail->index,
			mail->malformed ? -1 : mail->destination, destination);
	if (message->body_bytes != mail->body_bytes ||
		memcmp(message->body, mail->body, mail->body_bytes) != 0 ||
		strcmp(message->idempotency_key, mail->idempotency_key) != 0)
		invariant_broken(sim, INV_END, mail, "message %u has changed", mail->index);
	if (wall_ms >= mail->deadline_wall_ms)
		invariant_broken(sim, INV_DEADLINE, mail,
			"worker %u sends message %u %lld ms past its deadline", worker->index,
			mail->index, (long long)(wall_ms - mail->deadline_wall_ms));
	if (worker->asked.paused || operator_cancels(worker, mail))
		invariant_broken(sim, INV_CONTROL, mail, "worker %u sends message %u, %s",
			worker->index, mail->index,
			worker->asked.paused ? "though it was told to pause"
					     : "whose campaign is cancelled");
	if (worker->host->wall_max_ms < mail->not_before_wall_ms)
		invariant_broken(sim, INV_EARLY, mail, "worker %u sends message %u before its time",
			worker->index, mail->index);
	if (worker->draining)
		invariant_broken(sim, INV_DRAIN, mail, "worker %u sends message %u while it stops",
			worker->index, mail->index);
	if (worker->out[destination] >= sim->plan.destination[destination].concurrency)
		invariant_broken(sim, INV_BOUNDS, mail, "worker %u has %u attempts out",
			worker->index, worker->out[destination] + 1);
	check_ledger(worker, mail);
	check_order(worker, mail);
	return receipt;
}

static void check_rate(struct worker *worker, unsigned destination, const struct mail *mail)
{
	struct rate_ring *ring = &worker->host->rings[destination];
	uint64_t now_us = worker->sim->now_us, oldest_us;

	if (!ring->size)
		return;
	oldest_us = ring->at_us[ring->next];
	if (oldest_us && now_us - (oldest_us - 1) < S)
		invariant_broken(worker->sim, INV_RATE, mail,
			"%u attempts at destination %u within %llu us", ring->size, destination,
			(unsigned long long)(now_us - (oldest_us - 1)));
	ring->at_us[ring->next] = now_us + 1; /* 0: none */
	ring->next = (ring->next + 1) % ring->size;
}

void invariant_started(struct worker *worker, unsigned destination, struct receipt *receipt)
{
	struct mail *mail = receipt->mail;
	struct sim *sim = worker->sim;
	int64_t max_ms = sim->plan.destination[destination].attempt_max_ms;

	check_rate(worker, destination, mail);
	mail->starts++;
	sim->totals.sends++;
	worker->out[destination]++;
	worker->told.started++;
	receipt->started = true;
	receipt->attempts_out++;
	mail->key->host[worker->host->index].claimed_wall_ms = worker_wall_ms(worker) + max_ms;
	sim_trace(sim, TRACE_START, worker->index, mail->index, destination, receipt->nth);
}

static void unclaim(struct worker *worker, const struct target_attempt *attempt)
{
	struct key_facts *facts = &attempt->receipt->mail->key->host[worker->host->index];

	if (facts->claimed_wall_ms == attempt->claimed_wall_ms)
		facts->claimed_wall_ms = INT64_MIN;
}

void invariant_told(struct worker *worker, struct target_attempt *attempt, bool accepted)
{
	struct mail *mail = attempt->receipt->mail;
	struct key_facts *facts = &mail->key->host[worker->host->index];

	worker->telling = (struct telling){
		.receipt = attempt->receipt, .before = *facts, .accepted = accepted};
	if (!accepted) {
		mail->failed_told++;
		unclaim(worker, attempt);
		return;
	}
	mail->accepted_told++;
	worker->told.accepted++;
	attempt->receipt->accepted = true;
	attempt->receipt->accepted_us = worker->sim->now_us;
	facts->accepted = facts->ever_accepted = true;
	facts->accepted_wall_ms = worker_wall_ms(worker);
	facts->claimed_wall_ms = INT64_MIN;
}

/* The worker had no memory to read the answer with: it is as good as none. */
static void take_back(struct worker *worker)
{
	struct receipt *receipt = worker->telling.receipt;
	struct mail *mail = receipt->mail;
	struct key_facts *facts = &mail->key->host[worker->host->index];

	mail->accepted_told--;
	mail->failed_told++;
	worker->told.accepted--;
	receipt->accepted = false;
	*facts = worker->telling.before;
	facts->claimed_wall_ms = INT64_MIN;
	worker->telling.accepted = false;
}

void invariant_judged(struct worker *worker, struct receipt *receipt, enum delivery_event_kind kind)
{
	bool accepted = kind == DELIVERY_ACCEPTED;
	struct telling *telling = &worker->telling;

	if (telling->receipt != receipt || telling->judged ||
		(!accepted && kind != DELIVERY_ATTEMPT_FAILED && kind != DELIVERY_FAILED &&
			kind != DELIVERY_FAILED_LEFT))
		return;
	telling->judged = true;
	if (accepted == telling->accepted)
		return;
	if (accepted || !worker->short_of_memory)
		invariant_broken(worker->sim, INV_OUTCOME, receipt->mail,
			"worker %u takes the answer to message %u for %s", worker->index,
			receipt->mail->index, accepted ? "an acceptance" : "a failure");
	take_back(worker);
}

void invariant_cancelled(struct worker *worker, struct target_attempt *attempt)
{
	unclaim(worker, attempt);
}

void invariant_untold(struct worker *worker)
{
	const struct telling *telling = &worker->telling;
	struct key_facts *facts;

	if (!telling->receipt)
		return;
	/* An acceptance is written down, or its claim still stands; a claim is released, or not. */
	facts = &telling->receipt->mail->key->host[worker->host->index];
	if (telling->accepted) {
		facts->accepted = telling->before.accepted;
		facts->accepted_wall_ms = telling->before.accepted_wall_ms;
		facts->claimed_wall_ms = telling->before.claimed_wall_ms;
	}
	telling->receipt->mail->cut++;
	worker->telling.receipt = NULL;
}
