/* What a receive brought: routed to its lane, and ended at once where its attributes say so. */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "delivery/gather.h"

#include <stdio.h>
#include <string.h>

/* The first whose conditions the body fulfils; NULL: none. 0 or ERR_NOMEM. */
static int find_route(
	struct delivery *delivery, const struct queue_message *queued, struct lane **ret_lane)
{
	const struct json_value *body = NULL;
	int err;

	*ret_lane = &delivery->lanes[0];
	if (!delivery->has_routes)
		return 0;
	err = json_parse(&delivery->json, queued->body, queued->body_bytes);
	if (err == ERR_NOMEM)
		return err;
	/* A body that is no JSON has no fields. */
	if (!err)
		body = json_root(&delivery->json);
	for (size_t i = 0; i < delivery->lane_count; i++) {
		const struct delivery_destination *d = &delivery->lanes[i].destination;

		*ret_lane = &delivery->lanes[i];
		if (route_matches(d->when, d->when_count, body))
			return 0;
	}
	*ret_lane = NULL;
	return 0;
}

/* By name, else by what the body says. */
static int find_lane(
	struct delivery *delivery, const struct queue_message *queued, struct lane **ret_lane)
{
	const struct queue_attribute *wanted = message_attribute(queued, "Destination");

	if (!wanted)
		return find_route(delivery, queued, ret_lane);
	*ret_lane = NULL;
	for (size_t i = 0; i < delivery->lane_count && !*ret_lane; i++) {
		const char *name = delivery->lanes[i].name;

		if (strlen(name) == wanted->value_bytes &&
			memcmp(name, wanted->value, wanted->value_bytes) == 0)
			*ret_lane = &delivery->lanes[i];
	}
	return 0;
}

/* No destination is for it. */
static void fail_unroutable(struct message *message)
{
	const struct queue_attribute *wanted = message_attribute(message->queued, "Destination");
	char reason[160];

	if (!wanted) {
		core_fail(message, NULL, "the conditions (when) of no destination fit");
		return;
	}
	snprintf(reason, sizeof(reason), "attribute Destination: no destination \"%.*s\"",
		(int)(wanted->value_bytes < 64 ? wanted->value_bytes : 64), wanted->value);
	core_fail(message, NULL, reason);
}

/* What was found out about where a message is to go. */
enum entry { ENTRY_FOUND, ENTRY_NOWHERE, ENTRY_NO_MEMORY };

/* Puts it into its lane; one that has none goes into the first, to be ended there. */
static enum entry enter(struct message *message)
{
	struct lane *lane = NULL;
	int err = find_lane(message->delivery, message->queued, &lane);

	message_route(message, !err && lane ? lane : &message->delivery->lanes[0]);
	message->unrouted = !err && !lane;
	message->lane->came = true;
	keeper_watch(message);
	return err ? ENTRY_NO_MEMORY : lane ? ENTRY_FOUND : ENTRY_NOWHERE;
}

/* 0 with its recipients or what is wrong with them, or ERR_NOMEM. */
static int read_recipients(struct message *message, char ret_problem[RECIPIENT_LIST_PROBLEM_SIZE])
{
	struct delivery *delivery = message->delivery;
	struct recipient_list *recipients;
	int err = recipient_list_read(message->queued, message->lane->destination.batch_field,
		&delivery->json, &recipients, ret_problem);

	if (!err)
		message_set_recipients(message, recipients);
	return err == ERR_SYNTAX ? 0 : err;
}

/* Reads what the message asks for, and lets it wait for its slot unless that settles it already. */
static void admit(struct message *message, enum entry entry)
{
	struct delivery *delivery = message->delivery;
	int64_t wall_ms = clock_wall_epoch_ms(delivery->clock);
	char problem[RECIPIENT_LIST_PROBLEM_SIZE] = "";
	int64_t not_before_ms;

	if (entry == ENTRY_FOUND && message->lane->destination.batch_field &&
		read_recipients(message, problem))
		entry = ENTRY_NO_MEMORY;
	if (entry == ENTRY_NO_MEMORY) {
		core_return(message, core_backoff_ms(message));
	} else if (hold_cancels(message)) {
		core_cancel(message);
	} else if (message->queued->refused) {
		core_fail(message, NULL, message->queued->refused);
	} else if (message_instant(
			   message->queued, "Deadline", INT64_MAX, &message->deadline_epoch_ms)) {
		core_fail(message, NULL,
			"attribute Deadline is neither epoch milliseconds nor an RFC 3339 time");
	} else if (message_instant(message->queued, "NotBefore", INT64_MIN, &not_before_ms)) {
		core_fail(message, NULL,
			"attribute NotBefore is neither epoch milliseconds nor an RFC 3339 time");
	} else if (entry == ENTRY_NOWHERE) {
		fail_unroutable(message);
	} else if (problem[0]) {
		core_fail(message, NULL, problem);
	} else if (wall_ms >= message->deadline_epoch_ms) {
		core_expire(message);
	} else if (not_before_ms > wall_ms) {
		core_postpone(message, not_before_ms - wall_ms, "before its NotBefore");
	} else if (delivery->drain) {
		core_return(message, 0);
	} else if (delivery->hold.control.paused) {
		core_return(message, DELIVERY_PAUSE_MS);
	} else if (lane_is_full(message->lane)) {
		lane_crowd_out(message->lane, message);
	} else if (message->lane->gather && gather_add(message)) {
		core_return(message, core_backoff_ms(message));
	}
}

/* Of a group, one that is not held keeps those behind it out. */
static bool is_behind(
	const struct queue_message *message, const struct queue_message *const left_out[], size_t n)
{
	const char *id = message->group_id ? message->group_id : "";

	for (size_t i = 0; i < n; i++)
		if (strcmp(left_out[i]->group_id ? left_out[i]->group_id : "", id) == 0)
			return true;
	return false;
}

void intake_take(struct delivery *delivery, struct queue_batch *batch, uint64_t asked_us)
{
	uint64_t now_us = clock_monotonic_us(delivery->clock);
	uint64_t visible_us = keeper_visible_us(delivery, asked_us, now_us);
	const struct queue_message *left_out[QUEUE_BATCH_MAX];
	struct message *taken[QUEUE_BATCH_MAX];
	enum entry entries[QUEUE_BATCH_MAX];
	size_t count = 0, missing = 0;

	counter_add(delivery->metrics.received, batch->count);
	for (size_t i = 0; i < batch->count; i++) {
		struct message *message = NULL;

		if (!delivery->groups || !is_behind(&batch->messages[i], left_out, missing))
			message = message_new(delivery, batch, i, now_us, visible_us);
		/* Out of memory: it is not held, and comes back when its visibility runs out. */
		if (!message) {
			left_out[missing++] = &batch->messages[i];
			continue;
		}
		taken[count] = message;
		entries[count++] = enter(message);
	}
	/* With groups from the end: one that goes back takes those behind it along. */
	for (size_t i = 0; i < count; i++) {
		size_t at = delivery->groups ? count - 1 - i : i;

		admit(taken[at], entries[at]);
	}
	queue_batch_unref(batch);
	for (size_t i = 0; i < delivery->lane_count; i++)
		lane_pump(&delivery->lanes[i]);
}
