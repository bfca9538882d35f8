#include "world_checks.h"

#include "delivery/core.h"
#include "world.h"

#include <inttypes.h>
#include <string.h>

static void check_lists(
	struct world *world, const struct message *message, enum message_state state)
{
	const char *id = message->queued->message_id;

	if (message->state != state)
		world_fail(world, "%s is %s in the list of %s", id,
			message_state_name(message->state), message_state_name(state));
	if ((message->attempt != NULL) != (state == MESSAGE_SENDING && !message->follows))
		world_fail(world, "%s is %s %s an attempt", id, message_state_name(state),
			message->attempt ? "with" : "without");
	if (batcher_is_waiting(&message->extend) && !message_is_extendable(message))
		world_fail(
			world, "%s is %s, and an extension waits", id, message_state_name(state));
	if (!message->failure && (state == MESSAGE_FAILED || state == MESSAGE_COPIED))
		world_fail(world, "%s is %s for no reason", id, message_state_name(state));
}

/* Something must be going to happen to it by itself. */
static void check_alive(struct world *world, const struct message *message)
{
	bool settles = message->settle.batcher || clock_timer_is_set(&message->retry);
	const char *id = message->queued->message_id;

	if (message->state == MESSAGE_SENDING)
		return;
	if (message->state == MESSAGE_RECEIVED) {
		if (settles)
			world_fail(world, "%s waits for a slot and is being settled", id);
		if (!clock_timer_is_set(&message->keeper) && !world->short_of_memory)
			world_fail(world, "nobody watches over the visibility of %s", id);
		return;
	}
	if (message->state == MESSAGE_BACKING_OFF && message->extend.call)
		settles = true;
	if (!settles)
		world_fail(world, "%s is %s and nothing will move it", id,
			message_state_name(message->state));
	if (message->settle.batcher && clock_timer_is_set(&message->retry))
		world_fail(world, "%s is being settled twice", id);
}

static size_t check_list(struct world *world, const struct list *head, enum message_state state)
{
	size_t count = 0;

	list_for_each (node, head) {
		const struct message *message = list_entry(node, struct message, node);

		check_lists(world, message, state);
		check_alive(world, message);
		count++;
	}
	return count;
}

static size_t check_lane(struct world *world, struct lane *lane, unsigned out)
{
	size_t waiting = check_list(world, &lane->waiting, MESSAGE_RECEIVED);

	if (waiting != lane->waiting_count)
		world_fail(world, "%s: %zu wait, %zu counted", lane->destination.name, waiting,
			lane->waiting_count);
	if (lane->sending != out)
		world_fail(world, "%s: %u in flight, %u counted", lane->destination.name, out,
			lane->sending);
	if (lane->counts.limit->value != (int64_t)(lane->limiter.limit + 0.5))
		world_fail(world, "%s: the gauge of its limit has %" PRId64 ", the limiter %g",
			lane->destination.name, lane->counts.limit->value, lane->limiter.limit);
	return waiting;
}

static void check_batcher(struct world *world, const struct batcher *batcher)
{
	size_t waiting = 0, calls = 0;

	list_for_each (node, &batcher->waiting)
		waiting++;
	list_for_each (node, &batcher->calls)
		calls++;
	if (waiting != batcher->waiting_count || calls != batcher->call_count)
		world_fail(world, "%s: %zu waiting and %zu calls, %zu and %zu counted",
			batcher->operation, waiting, calls, batcher->waiting_count,
			batcher->call_count);
	if (waiting && !clock_timer_is_set(&batcher->linger) && !world->short_of_memory)
		world_fail(world, "%s: %zu wait for nothing", batcher->operation, waiting);
	if (clock_timer_is_set(&batcher->linger) &&
		batcher->linger.due_us > world_now_us(world) + CORE_LINGER_US)
		world_fail(world, "%s lingers for longer than 50 ms", batcher->operation);
}

static void check_counts(struct world *world)
{
	struct delivery *delivery = world->delivery;
	size_t counts[MESSAGE_END_FIRST] = {0}, held = 0, orphans = 0;

	for (size_t i = 0; i < delivery->lane_count; i++)
		counts[MESSAGE_RECEIVED] +=
			check_lane(world, &delivery->lanes[i], world->targets[i].out);
	for (int state = 0; state < MESSAGE_END_FIRST; state++) {
		counts[state] += check_list(world, &delivery->states[state], state);
		if (counts[state] != delivery->counts[state] ||
			(int64_t)counts[state] != delivery->metrics.states[state]->value)
			world_fail(world, "%zu %s, %zu counted, %lld on the gauge", counts[state],
				message_state_name(state), delivery->counts[state],
				(long long)delivery->metrics.states[state]->value);
		held += counts[state];
	}
	if (held != delivery_held(delivery))
		world_fail(world, "%zu held, %zu counted", held, delivery_held(delivery));
	if (!held && delivery->held_bytes)
		world_fail(world, "nothing held, but %zu bytes", delivery->held_bytes);
	list_for_each (node, &world->queue.orphans)
		orphans++;
	if (!held && world->live_batches > world->queue.calls_out[OP_RECEIVE] + orphans)
		world_fail(world, "nothing held, but %zu batches", world->live_batches);
}

static void check_stats(struct world *world)
{
	struct delivery_stats stats = world_stats(world);
	uint64_t ended = stats.deleted + stats.returned + stats.lost;
	uint64_t attempts = 0;

	stats.attempts += world->attempts_before;
	if (stats.received != ended + delivery_held(world->delivery) + world->forgotten &&
		!world->short_of_memory)
		world_fail(world, "%llu received, %llu ended, %zu held",
			(unsigned long long)stats.received, (unsigned long long)ended,
			delivery_held(world->delivery));
	for (unsigned i = 0; i < world->options.lanes; i++)
		attempts += world->targets[i].log_count;
	if (stats.attempts != attempts)
		world_fail(world, "%llu attempts, %llu counted", (unsigned long long)attempts,
			(unsigned long long)stats.attempts);
}

/* Whoever listens to `left` is told of each message once, and how it was. */
static void check_left(struct world *world)
{
	const struct core_metrics *m = &world->delivery->metrics;
	uint64_t lost = core_counted(world->delivery, COUNT_LOST);

	if (world->left[DELIVERY_LEFT_DELETED] != m->deleted->value ||
		world->left[DELIVERY_LEFT_RETURNED] != m->returned->value ||
		world->left[DELIVERY_LEFT_LOST] != lost || world->left[DELIVERY_LEFT_DROPPED] != 0)
		world_fail(world, "what left is not what was counted");
}

void world_check(struct world *world)
{
	struct delivery *delivery = world->delivery;

	if (!delivery)
		return;
	check_counts(world);
	check_stats(world);
	check_left(world);
	check_batcher(world, &delivery->deleter);
	check_batcher(world, &delivery->returner);
	check_batcher(world, &delivery->extender);
	check_batcher(world, &delivery->copier);
	if (delivery->receiver.poll_count != world->queue.calls_out[OP_RECEIVE] ||
		delivery->receiver.reserved != world->queue.asked_out)
		world_fail(world, "%zu receives out for %zu, %u for %zu counted",
			world->queue.calls_out[OP_RECEIVE], world->queue.asked_out,
			delivery->receiver.poll_count, delivery->receiver.reserved);
	if (delivery_is_receiving(delivery) != (world->queue.calls_out[OP_RECEIVE] > 0))
		world_fail(world, "delivery_is_receiving is wrong");
}

/* Its campaign is in the list, by the test's own reading of it: names there are as they are. */
static bool is_cancelled(const struct world *world, const struct fake_message *message)
{
	const char *list = world->control.cancelled;

	for (size_t i = 0; i < message->attribute_count; i++) {
		const struct queue_attribute *a = &message->attributes[i];
		const char *at;

		if (strcmp(a->name, "Campaign") != 0)
			continue;
		for (at = list; *at; at += strcspn(at, " "), at += *at == ' ')
			if (strcspn(at, " ") == a->value_bytes &&
				memcmp(at, a->value, a->value_bytes) == 0)
				return true;
	}
	return false;
}

void world_check_control(struct world *world, const struct fake_message *message)
{
	if (world->control.paused)
		world_fail(world, "attempt on %s while paused", message->id);
	if (world->doubted)
		world_fail(world, "attempt on %s with control in doubt", message->id);
	if (is_cancelled(world, message))
		world_fail(world, "attempt on %s, whose campaign is cancelled", message->id);
}

void world_check_cancelled(struct world *world, const struct fake_message *message)
{
	if (!is_cancelled(world, message))
		world_fail(world, "%s is cancelled, and its campaign is not", message->id);
}

void world_check_gone(struct world *world)
{
	const struct fake_queue *queues[] = {&world->queue, &world->failure_queue};

	for (size_t i = 0; i < 2; i++)
		for (int op = 0; op < OP_COUNT; op++)
			if (queues[i]->calls_out[op])
				world_fail(world, "a call of kind %d outlives the core", op);
	for (unsigned i = 0; i < WORLD_LANES_MAX; i++)
		if (world->targets[i].out)
			world_fail(world, "an attempt outlives the core");
	if (world->clock.heap.count != world->world_timers)
		world_fail(world, "a timer outlives the core");
}
