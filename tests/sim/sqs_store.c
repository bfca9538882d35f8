/* What the queue holds, and what it does with a call that has arrived. */
#include "bunshin/error.h"
#include "sim.h"

#include <string.h>

#define STREAM_BACK 30
/* What cannot end goes round for so long once the faults are off; then it only costs time. */
#define HOPELESS_US (30 * S)

static struct sqs *queue_of(struct mail *mail)
{
	return &mail->sim->queue;
}

bool sqs_has_some(const struct sqs *queue)
{
	const struct plan *plan = &queue->sim->plan;

	if (queue->in_flight >= plan->in_flight_limit)
		return false;
	return !list_is_empty(plan->fifo ? &queue->ready : &queue->visible);
}

/* ---- into and out of sight */

static void group_settle(struct sqs *queue, struct group *group)
{
	list_remove(&group->node);
	if (!group->in_flight && !list_is_empty(&group->visible))
		list_append(&queue->ready, &group->node);
}

/* In the order of their numbers; nearly always at one of the ends. */
static void group_insert(struct group *group, struct mail *mail)
{
	struct list *node = group->visible.prev;

	while (node != &group->visible && list_entry(node, struct mail, node)->index > mail->index)
		node = node->prev;
	list_prepend(node, &mail->node);
}

/* Out of flight or out of sight. */
static void leave(struct mail *mail)
{
	struct sqs *queue = queue_of(mail);

	events_clear(&mail->sim->events, &mail->event);
	list_remove(&mail->node);
	if (mail->place == MAIL_IN_FLIGHT) {
		queue->in_flight--;
		if (mail->group)
			mail->group->in_flight--;
	}
	if (mail->group)
		group_settle(queue, mail->group);
}

/* Through a night a few go on, of those that wait for their hour. */
static bool is_given_up(const struct mail *mail)
{
	const struct plan *plan = &mail->sim->plan;

	if (!mail->hopeless || mail->sim->now_us <= plan->storm_us + HOPELESS_US)
		return false;
	return !plan->night_us || mail->destination != 0 || mail->index % 16;
}

void sqs_show(struct mail *mail)
{
	struct sim *sim = mail->sim;
	struct sqs *queue = queue_of(mail);

	leave(mail);
	if (is_given_up(mail)) {
		mail->place = MAIL_LEFT;
		return;
	}
	mail->place = MAIL_VISIBLE;
	if (mail->group) {
		group_insert(mail->group, mail);
		group_settle(queue, mail->group);
	} else if (fault_happens(&sim->faults, OUT_OF_ORDER,
			   chance_key(mail->index, mail->receive_count, 0, 0))) {
		list_prepend(&queue->visible, &mail->node);
	} else {
		list_append(&queue->visible, &mail->node);
	}
	sqs_wake(queue);
}

static void shown(struct event *event)
{
	struct mail *mail = list_entry(event, struct mail, event);

	sim_trace(mail->sim, TRACE_SHOWN, TRACE_NONE, mail->index, 0, 0);
	sqs_show(mail);
}

void sqs_put(struct mail *mail)
{
	struct sim *sim = mail->sim;

	mail->event.fire = shown;
	mail->sent_wall_ms = SIM_EPOCH_MS + (int64_t)(sim->now_us / MS);
	sim_trace(sim, TRACE_PUT, TRACE_NONE, mail->index, (uint64_t)(int64_t)mail->destination, 0);
	sqs_show(mail);
}

static void hide(struct mail *mail, uint64_t visible_us)
{
	leave(mail);
	mail->place = MAIL_IN_FLIGHT;
	queue_of(mail)->in_flight++;
	if (mail->group) {
		mail->group->in_flight++;
		group_settle(queue_of(mail), mail->group);
	}
	events_set(&mail->sim->events, &mail->event, visible_us);
}

static void end(struct mail *mail, enum mail_place place)
{
	leave(mail);
	mail->place = place;
	sim_mail_ended(mail);
}

/* ---- receiving */

static struct receipt *receipt_new(struct mail *mail, const struct queue_call *call)
{
	struct sim *sim = mail->sim;
	struct receipt *receipt = arena_alloc(&sim->memory, sizeof(*receipt));

	if (sim->receipt_count == sim->receipt_capacity) {
		size_t capacity = sim->receipt_capacity ? sim->receipt_capacity * 2 : 1024;
		struct receipt **grown =
			arena_alloc(&sim->memory, capacity * sizeof(struct receipt *));

		if (sim->receipt_count)
			memcpy(grown, sim->receipts, sim->receipt_count * sizeof(struct receipt *));
		sim->receipts = grown;
		sim->receipt_capacity = capacity;
	}
	*receipt = (struct receipt){.mail = mail,
		.index = (uint32_t)sim->receipt_count,
		.nth = ++mail->receive_count,
		.life = call->life,
		.worker = call->worker_index,
		.received_us = sim->now_us};
	list_init(&receipt->node);
	sim->receipts[sim->receipt_count++] = receipt;
	mail->latest = receipt;
	if (receipt->nth == 1)
		mail->first_wall_ms = SIM_EPOCH_MS + (int64_t)(sim->now_us / MS);
	return receipt;
}

/* False: it went to the dead-letter queue instead. */
static bool give(struct mail *mail, struct queue_call *call)
{
	struct sim *sim = mail->sim;
	struct receipt *receipt;
	bool twice;

	if (sim->plan.redrive && mail->receive_count >= sim->plan.redrive) {
		sim_trace(sim, TRACE_REDRIVEN, TRACE_NONE, mail->index, mail->receive_count, 0);
		sim->totals.redriven++;
		end(mail, MAIL_REDRIVEN);
		return false;
	}
	receipt = receipt_new(mail, call);
	call->receipts[call->count++] = receipt;
	sim->totals.receives++;
	twice = !mail->group && fault_happens(&sim->faults, SEEN_TWICE, receipt->index);
	mail->seen_twice = twice;
	if (twice) {
		list_remove(&mail->node);
		list_append(&sim->queue.visible, &mail->node);
		sim_trace(sim, TRACE_TWICE, call->worker_index, mail->index, receipt->nth, 0);
		return true;
	}
	hide(mail, sim->now_us + call->params.visibility_s * S);
	sim_trace(sim, TRACE_GIVEN, call->worker_index, mail->index, receipt->nth,
		call->params.visibility_s);
	return true;
}

static void take_standard(struct sqs *queue, struct queue_call *call, size_t max)
{
	while (call->count < max && sqs_has_some(queue)) {
		struct mail *mail = list_entry(list_first(&queue->visible), struct mail, node);

		/* One receive does not bring a message twice. */
		if (mail->latest && call->count && call->receipts[call->count - 1]->mail == mail)
			break;
		give(mail, call);
		if (mail->seen_twice)
			break;
	}
}

/* As many of a group as fit, in order; then the next group. */
static void take_fifo(struct sqs *queue, struct queue_call *call, size_t max)
{
	while (call->count < max && sqs_has_some(queue)) {
		struct group *group = list_entry(list_first(&queue->ready), struct group, node);
		struct list *first;

		while (call->count < max && (first = list_first(&group->visible)) &&
			queue->in_flight < queue->sim->plan.in_flight_limit)
			give(list_entry(first, struct mail, node), call);
		group_settle(queue, group);
	}
}

bool sqs_take(struct sqs *queue, struct queue_call *call)
{
	struct sim *sim = queue->sim;
	size_t max = call->params.max_messages;

	if (fault_happens(&sim->faults, RECEIVE_SHORT, call->key))
		max = 1 + chance_below(sim->plan.seed, STREAM_BACK, call->key, max);
	if (sim->plan.fifo)
		take_fifo(queue, call, max);
	else
		take_standard(queue, call, max);
	return call->count > 0;
}

/* ---- deleting and changing */

static void take_out(struct mail *mail)
{
	struct sim *sim = mail->sim;

	if (!mail->group && !mail->came_back &&
		fault_happens(&sim->faults, DELETED_COMES_BACK, mail->index)) {
		mail->came_back = true;
		mail->latest = NULL;
		hide(mail, sim->now_us + S +
				   chance_below(sim->plan.seed, STREAM_BACK, mail->index, 60 * S));
		sim_trace(sim, TRACE_BACK, TRACE_NONE, mail->index, 0, 0);
		return;
	}
	end(mail, MAIL_DELETED);
	sqs_wake(&sim->queue);
}

/*
 * Whether a handle that is not the newest (standard queues), or whose time is over (FIFO), does
 * something. Otherwise *ret_err is what the caller is told.
 */
static bool stale_works(const struct receipt *receipt, int *ret_err)
{
	struct sim *sim = receipt->mail->sim;

	*ret_err = sim->plan.fifo || sim->plan.stale_is_told ? ERR_RECEIPT_INVALID : 0;
	return !sim->plan.fifo && fault_happens(&sim->faults, STALE_TAKES_EFFECT,
					  chance_key(receipt->index, sim->now_us, 0, 0));
}

int sqs_delete(struct receipt *receipt)
{
	struct mail *mail = receipt->mail;
	bool stale = receipt != mail->latest || (mail->group && mail->place == MAIL_VISIBLE);
	int err;

	if (mail->place >= MAIL_DELETED)
		return 0;
	if (stale && !stale_works(receipt, &err))
		return err;
	take_out(mail);
	return 0;
}

int sqs_change(struct receipt *receipt, unsigned visibility_s)
{
	struct mail *mail = receipt->mail;
	struct sim *sim = mail->sim;
	uint64_t visible_us = sim->now_us + visibility_s * S;
	int err;

	if (mail->place >= MAIL_DELETED)
		return ERR_RECEIPT_INVALID;
	if (receipt != mail->latest && !stale_works(receipt, &err))
		return err;
	/* "Message not in flight". */
	if (mail->place == MAIL_VISIBLE && !mail->seen_twice)
		return ERR_RECEIPT_INVALID;
	/* "Total VisibilityTimeout for the message is beyond the limit". */
	if (visible_us > receipt->received_us + QUEUE_VISIBILITY_MAX_S * S)
		return ERR_REFUSED;
	if (visibility_s)
		hide(mail, visible_us);
	else
		sqs_show(mail);
	return 0;
}
