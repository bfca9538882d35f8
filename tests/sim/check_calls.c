/* The invariants of the calls into the queue table. */
#include "base/utf8.h"
#include "bunshin/error.h"
#include "delivery/core.h"
#include "sim.h"

#include <string.h>

#define SEND_MAX_BYTES ((size_t)1024 * 1024) /* of one send (SQS quota) */

/*
 * Receives are for slots that are free, or will be when the answer comes. What waits for a
 * destination is little more than its slots, and what they take meanwhile, at most as many: by the
 * latencies of now, or of when it last was no more than that.
 */
static void check_room(struct worker *worker, unsigned asked)
{
	const struct delivery *delivery = worker->delivery;
	size_t slots = 0, taken = worker->asked_out + asked;

	for (size_t i = 0; i < delivery->lane_count; i++) {
		const struct lane *lane = &delivery->lanes[i];
		size_t most = lane->destination.concurrency;
		uint64_t answer_us = delivery->latency.mean_us + delivery->latency.deviation_us;
		size_t soon = lane->trip_us ? most * answer_us / lane->trip_us : 0;

		soon = soon < most ? soon : most;
		slots += most + soon + 9;
		most += 3 * QUEUE_BATCH_MAX;
		if (lane->waiting_count <= most + soon)
			worker->soon[i] = soon;
		else if (lane->waiting_count > most + worker->soon[i])
			invariant_broken(worker->sim, INV_BOUNDS, NULL,
				"worker %u has %zu messages waiting for destination %zu",
				worker->index, lane->waiting_count, i);
		if (delivery->lane_count == 1)
			taken += lane->waiting_count + lane->sending;
	}
	if (taken > slots)
		invariant_broken(worker->sim, INV_BOUNDS, NULL,
			"worker %u receives %u, which makes %zu for %zu slots", worker->index,
			asked, taken, slots);
}

void invariant_receive(struct worker *worker, const struct queue_receive *params)
{
	struct sim *sim = worker->sim;
	const struct plan *plan = &sim->plan;
	const struct delivery *delivery = worker->delivery;

	if (params->max_messages < 1 || params->max_messages > QUEUE_BATCH_MAX)
		invariant_broken(sim, INV_BOUNDS, NULL, "a receive of %u", params->max_messages);
	if (params->wait_s != plan->wait_s || params->visibility_s != plan->visibility_s)
		invariant_broken(sim, INV_BOUNDS, NULL,
			"a receive that waits %u s for a visibility of %u s", params->wait_s,
			params->visibility_s);
	if (worker->asked.paused)
		invariant_broken(sim, INV_CONTROL, NULL, "worker %u receives while it pauses",
			worker->index);
	if (worker->draining)
		invariant_broken(
			sim, INV_DRAIN, NULL, "worker %u receives while it stops", worker->index);
	/* Nothing is held yet while delivery_new has not returned. */
	if (!delivery)
		return;
	check_room(worker, params->max_messages);
	if (delivery->held_bytes > plan->held_bytes)
		invariant_broken(sim, INV_BOUNDS, NULL, "worker %u receives with %zu bytes held",
			worker->index, delivery->held_bytes);
}

void invariant_called_off(struct worker *worker, struct receipt *receipt)
{
	if (!operator_cancels(worker, receipt->mail))
		invariant_broken(worker->sim, INV_CONTROL, receipt->mail,
			"worker %u cancels message %u, whose campaign is not cancelled",
			worker->index, receipt->mail->index);
	receipt->called_off = receipt->mail->called_off = true;
}

void invariant_batch(struct worker *worker, enum table_op op, size_t count)
{
	if (count < 1 || count > QUEUE_BATCH_MAX)
		invariant_broken(
			worker->sim, INV_BOUNDS, NULL, "%s of %zu", table_op_name(op), count);
}

void invariant_delete(struct worker *worker, struct receipt *receipt)
{
	struct sim *sim = worker->sim;
	struct mail *mail = receipt->mail;
	const struct key_facts *facts = &mail->key->host[worker->host->index];

	sim_trace(sim, TRACE_DELETE, worker->index, mail->index, receipt->nth, 0);
	if (receipt->return_issued)
		invariant_broken(sim, INV_DELETE, mail, "worker %u deletes what it has put back",
			worker->index);
	if (invariant_has_expired(worker, mail))
		mail->expired_somewhere = true;
	else if (!receipt->accepted && !receipt->copied && !receipt->called_off &&
		 !(sim->plan.ledger != PLAN_NO_LEDGER && facts->ever_accepted))
		invariant_broken(sim, INV_DELETE, mail,
			"worker %u deletes message %u: not accepted, not expired, not cancelled, "
			"not copied",
			worker->index, mail->index);
	if (receipt->ended == 0 || receipt->ended > worker->kept)
		invariant_broken(sim, INV_RECORD, mail,
			"worker %u deletes message %u, whose outcome was not %s", worker->index,
			mail->index, receipt->ended ? "kept" : "told");
	if (receipt->attempts_out)
		invariant_broken(sim, INV_DELETE, mail,
			"worker %u deletes message %u while its attempt is out", worker->index,
			mail->index);
	receipt->delete_issued = true;
	list_remove(&receipt->node);
}

static bool is_in(const struct receipt *receipt, struct receipt *const receipts[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (receipts[i] == receipt)
			return true;
	return false;
}

void invariant_delete_order(struct worker *worker, struct receipt *const receipts[], size_t i)
{
	struct mail *mail = receipts[i]->mail;
	struct group *group = mail->group;

	/* What was not sent, such as an expired one, has no turn to wait for. */
	if (!group || !receipts[i]->accepted)
		return;
	while (group->undeleted->index < mail->index && group->undeleted->place >= MAIL_DELETED)
		group->undeleted = group->undeleted->group_next;
	for (struct mail *before = group->undeleted; before && before->index < mail->index;
		before = before->group_next) {
		const struct receipt *held = before->latest;

		if (before->place >= MAIL_DELETED || !held || held->worker != worker->index ||
			held->life != worker->life || held->lost || held->delete_told ||
			!held->accepted || held->accepted_us > receipts[i]->accepted_us ||
			is_in(held, receipts, i))
			continue;
		invariant_broken(worker->sim, INV_FIFO, mail,
			"worker %u deletes message %u before message %u of the same group",
			worker->index, mail->index, before->index);
	}
}

/* The 12 hours count from the receive; a late answer is not the worker's fault. */
static void check_twelve_hours(
	struct worker *worker, const struct receipt *receipt, unsigned visibility_s)
{
	uint64_t slack_us = receipt->arrived_us - receipt->received_us;
	uint64_t end_us = worker->sim->now_us + visibility_s * S;

	if (end_us > receipt->received_us + slack_us + QUEUE_VISIBILITY_MAX_S * S)
		invariant_broken(worker->sim, INV_BOUNDS, receipt->mail,
			"worker %u asks for %u s, beyond the 12 hours", worker->index,
			visibility_s);
}

void invariant_change(
	struct worker *worker, struct receipt *receipt, unsigned visibility_s, bool extends)
{
	struct sim *sim = worker->sim;
	struct mail *mail = receipt->mail;

	sim_trace(sim, extends ? TRACE_EXTEND : TRACE_RETURN, worker->index, mail->index,
		receipt->nth, visibility_s);
	if (visibility_s > QUEUE_VISIBILITY_MAX_S || (extends && visibility_s == 0))
		invariant_broken(sim, INV_BOUNDS, mail, "a visibility of %u s", visibility_s);
	check_twelve_hours(worker, receipt, visibility_s);
	if (receipt->delete_issued)
		invariant_broken(sim, INV_EXTEND, mail, "worker %u %s message %u after its delete",
			worker->index, extends ? "extends" : "puts back", mail->index);
	if (extends && receipt->return_issued)
		invariant_broken(sim, INV_EXTEND, mail,
			"worker %u extends message %u after its return", worker->index,
			mail->index);
	if (extends)
		return;
	if (receipt->extensions_out)
		invariant_broken(sim, INV_EXTEND, mail,
			"worker %u puts message %u back while its extension is out", worker->index,
			mail->index);
	if (receipt->attempts_out)
		invariant_broken(sim, INV_SENDS, mail,
			"worker %u puts message %u back while its attempt is out", worker->index,
			mail->index);
	receipt->return_issued = true;
	list_remove(&receipt->node);
}

void invariant_change_arrives(const struct queue_call *call, struct receipt *receipt)
{
	if (!call->extends)
		receipt->return_done = true;
	/* A call that was given up, or told as failed, may come late: that is nobody's doing. */
	else if (receipt->return_done && call->worker && !call->err)
		invariant_broken(call->queue->sim, INV_EXTEND, receipt->mail,
			"an extension of message %u arrives after its return",
			receipt->mail->index);
}

/* As SQS has it: no control characters but TAB, LF and CR; neither U+FFFE nor U+FFFF. */
static bool is_text(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 && c != '\t' && c != '\n' && c != '\r')
			return false;
		if (i + 2 < bytes && memcmp(text + i, "\xef\xbf", 2) == 0 &&
			(unsigned char)text[i + 2] >= 0xbe)
			return false;
	}
	return utf8_is_valid(text, bytes);
}

static size_t check_attributes(struct worker *worker, const struct queue_send *entry)
{
	size_t bytes = 0;

	if (entry->attribute_count > QUEUE_ATTRIBUTES_MAX)
		invariant_broken(worker->sim, INV_BOUNDS, NULL, "a copy with %zu attributes",
			entry->attribute_count);
	for (size_t i = 0; i < entry->attribute_count; i++) {
		const struct queue_attribute *a = &entry->attributes[i];

		bytes += strlen(a->name) + strlen(a->type) + a->value_bytes;
		if (!a->value_bytes || !is_text(a->value, a->value_bytes))
			invariant_broken(worker->sim, INV_BOUNDS, NULL,
				"a copy whose attribute %s is no text that SQS takes", a->name);
	}
	return bytes;
}

void invariant_send(struct worker *worker, const struct queue_send entries[], size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += entries[i].body_bytes + check_attributes(worker, &entries[i]);
	if (bytes > SEND_MAX_BYTES)
		invariant_broken(
			worker->sim, INV_BOUNDS, NULL, "copies of %zu bytes in one call", bytes);
}

static const struct queue_attribute *attribute_of(const struct queue_send *entry, const char *name)
{
	for (size_t i = 0; i < entry->attribute_count; i++)
		if (strcmp(entry->attributes[i].name, name) == 0)
			return &entry->attributes[i];
	return NULL;
}

/* A FIFO queue wants a group and a deduplication id; another has no use for the latter. */
static void check_copy_group(
	struct worker *worker, const struct queue_send *entry, const struct mail *mail)
{
	bool fifo = worker->sim->plan.failure_fifo;
	const char *group = mail->group_id;

	if (fifo != (entry->deduplication_id != NULL))
		invariant_broken(worker->sim, INV_END, mail, "the copy's deduplication id");
	if (fifo && !group[0] ? !entry->group_id
			      : strcmp(entry->group_id ? entry->group_id : "", group) != 0)
		invariant_broken(worker->sim, INV_END, mail, "the copy is of another group");
}

struct receipt *invariant_copy(
	struct worker *worker, const struct queue_send *entry, const char *handle)
{
	struct sim *sim = worker->sim;
	struct receipt *receipt = sqs_receipt(sim, handle);
	struct mail *mail = receipt->mail;
	const struct queue_attribute *key = attribute_of(entry, "IdempotencyKey");

	sim_trace(sim, TRACE_COPY, worker->index, mail->index, receipt->nth, 0);
	receipt->copy_issued = true;
	if (entry->body_bytes != mail->body_bytes ||
		memcmp(entry->body, mail->body, mail->body_bytes) != 0)
		invariant_broken(sim, INV_END, mail, "the copy's body is another");
	for (size_t i = 0; i < mail->attribute_count; i++) {
		const struct queue_attribute *was = &mail->attributes[i];
		const struct queue_attribute *is = attribute_of(entry, was->name);

		if (was->value_bytes &&
			(!is || strcmp(is->type, was->type) != 0 ||
				is->value_bytes != was->value_bytes ||
				memcmp(is->value, was->value, was->value_bytes) != 0))
			invariant_broken(sim, INV_END, mail, "the copy's attribute %s is another",
				was->name);
	}
	if (!key || key->value_bytes != strlen(mail->idempotency_key) ||
		memcmp(key->value, mail->idempotency_key, key->value_bytes) != 0)
		invariant_broken(sim, INV_END, mail, "the copy has another idempotency key");
	check_copy_group(worker, entry, mail);
	return receipt;
}
