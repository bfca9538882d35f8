/* The invariants of ends: of a drain, of a worker, of the run. */
#include "delivery/core.h"
#include "invariant.h"
#include "sim.h"

#define LATE_US (2 * MS) /* rounding of the grace time to milliseconds */
#define WISH_US (CORE_LINGER_US + 100 * MS)

/*
 * What was not started goes back, unless that could not be said in time; or it is deleted, for
 * which one of a FIFO group may have to wait for those before it.
 */
static void check_returned(struct worker *worker)
{
	struct sim *sim = worker->sim;
	uint64_t now_us = sim->now_us, wish_us = WISH_US + worker->lag_us;

	if (now_us - worker->drain_us < wish_us || worker->stopped_us || worker->calls_out >= 64 ||
		worker->short_of_memory)
		return;
	list_for_each (node, &worker->receipts) {
		const struct receipt *receipt = list_entry(node, struct receipt, node);

		if (receipt->unsent_delete && sim->plan.fifo)
			continue;
		if (!receipt->started && !receipt->extensions_out &&
			receipt->believed_us > now_us && now_us - receipt->arrived_us > wish_us &&
			now_us - receipt->extended_us > wish_us && !receipt->copy_issued)
			invariant_broken(sim, INV_DRAIN, receipt->mail,
				"worker %u has stopped, and message %u was neither started nor put "
				"back",
				worker->index, receipt->mail->index);
	}
}

void invariant_drained(struct worker *worker)
{
	struct sim *sim = worker->sim;
	uint64_t took_us = sim->now_us - worker->drain_us;
	uint64_t grace_us = (uint64_t)sim->plan.grace_ms * MS;

	if (worker->drained_held != delivery_held(worker->delivery))
		invariant_broken(sim, INV_DRAIN, NULL, "worker %u says %zu held, and holds %zu",
			worker->index, worker->drained_held, delivery_held(worker->delivery));
	if (took_us > grace_us + LATE_US + 4 * worker->lag_us + worker->stopped_us)
		invariant_broken(sim, INV_DRAIN, NULL,
			"worker %u took %llu ms to stop, with a grace of %lld ms", worker->index,
			(unsigned long long)(took_us / MS), (long long)sim->plan.grace_ms);
	/* Without memory for the timer of a phase, it ends at once. */
	if (worker->drained_held && took_us + LATE_US < grace_us && !worker->short_of_memory)
		invariant_broken(sim, INV_DRAIN, NULL,
			"worker %u stops with %zu held after %llu ms of %lld ms", worker->index,
			worker->drained_held, (unsigned long long)(took_us / MS),
			(long long)sim->plan.grace_ms);
	check_returned(worker);
}

void invariant_counters(struct worker *worker)
{
	struct sim *sim = worker->sim;
	struct delivery_stats stats;

	if (!worker->delivery)
		return;
	delivery_get_stats(worker->delivery, &stats);
	/* What was deleted with a handle that may be an old one is not known to be deleted. */
	if (stats.deleted < worker->told.deleted || stats.deleted > worker->told.maybe_deleted)
		invariant_broken(sim, INV_STALE, NULL,
			"worker %u counts %llu deleted, and was told so in time of %llu to %llu",
			worker->index, (unsigned long long)stats.deleted,
			(unsigned long long)worker->told.deleted,
			(unsigned long long)worker->told.maybe_deleted);
	if (stats.accepted != worker->told.accepted || stats.attempts != worker->told.started ||
		stats.received != worker->told.arrived)
		invariant_broken(sim, INV_STALE, NULL,
			"worker %u counts %llu received, %llu attempts, %llu accepted: %llu, %llu, "
			"%llu there were",
			worker->index, (unsigned long long)stats.received,
			(unsigned long long)stats.attempts, (unsigned long long)stats.accepted,
			(unsigned long long)worker->told.arrived,
			(unsigned long long)worker->told.started,
			(unsigned long long)worker->told.accepted);
}

void invariant_gone(struct worker *worker)
{
	unsigned out = 0;

	for (unsigned i = 0; i < PLAN_DESTINATIONS_MAX; i++)
		out += worker->out[i];
	if (worker->memory.count || worker->timers.count || worker->calls_out || out)
		invariant_broken(worker->sim, INV_END, NULL,
			"worker %u leaves %zu blocks of memory, %zu timers, %zu calls, %u attempts",
			worker->index, worker->memory.count, worker->timers.count,
			worker->calls_out, out);
}

/* The issue's own words: one send, and one more for each that nobody could know the end of. */
static void check_sends(struct sim *sim, const struct mail *mail)
{
	uint32_t excused = mail->cut + mail->failed_told + mail->cancelled + mail->outlived;

	if (mail->starts > 1 + excused && sim->plan.hosts == 1 && sim->hosts[0].ledger_is_whole &&
		!sim->faults.counts[CLOCK_STEPS] &&
		sim->plan.window_ms >= (int64_t)(sim->now_us / MS))
		invariant_broken(sim, INV_SENDS, mail,
			"message %u was sent %u times: %u cut off, %u failed, %u cancelled",
			mail->index, mail->starts, mail->cut, mail->failed_told, mail->cancelled);
}

static void check_end(struct sim *sim, const struct mail *mail)
{
	check_sends(sim, mail);
	if (mail->place == MAIL_REDRIVEN)
		return;
	if (mail->place == MAIL_DELETED && !mail->accepted_told && !mail->copies &&
		!mail->expired_somewhere && !mail->called_off && !mail->key->accepted)
		invariant_broken(
			sim, INV_END, mail, "message %u was deleted for no reason", mail->index);
	if (mail->copies_told > mail->copies)
		invariant_broken(sim, INV_END, mail,
			"the copy of message %u is not in the failure queue", mail->index);
	if (mail->place != MAIL_DELETED && !mail->hopeless)
		invariant_broken(sim, INV_LIVE, mail, "message %u has not ended", mail->index);
}

/* Nothing excuses a second send where nothing went wrong. */
static void check_calm(struct sim *sim, const struct mail *mail)
{
	for (int kind = 0; kind < FAULT_KINDS; kind++)
		if (fault_class_of(kind) != FAULT_MESSAGE && sim->faults.counts[kind])
			return;
	if (mail->accepted > 1 || mail->starts > 1)
		invariant_broken(sim, INV_SENDS, mail,
			"message %u was sent %u times, though nothing went wrong", mail->index,
			mail->starts);
}

void invariant_ended(struct sim *sim)
{
	struct sim_totals *totals = &sim->totals;

	for (size_t i = 0; i < sim->plan.messages; i++) {
		const struct mail *mail = sim->mails[i];

		if (!mail)
			continue;
		check_end(sim, mail);
		if (sim->options.classes == 0)
			check_calm(sim, mail);
		totals->lives++;
		totals->accepted += mail->accepted > 0;
		totals->duplicates += mail->accepted > 1 ? mail->accepted - 1 : 0;
		totals->copied += mail->copies > 0;
		totals->left += mail->place != MAIL_DELETED && mail->place != MAIL_REDRIVEN;
	}
}
