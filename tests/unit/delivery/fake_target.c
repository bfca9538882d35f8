#include "fake_target.h"

#include "bunshin/error.h"
#include "delivery/core.h"
#include "world.h"
#include "world_checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct target_attempt {
	struct list node;
	struct fake_target *target;
	struct fake_message *message;
	uint32_t receipt;
	struct answer answer;
	size_t record;
	struct clock_timer timer;
	target_done *done;
	void *arg;
};

static void end(struct target_attempt *attempt, bool cancelled)
{
	struct fake_target *target = attempt->target;

	target->log[attempt->record].ended_us = world_now_us(target->world);
	target->log[attempt->record].cancelled = cancelled;
	target->out--;
	if (attempt->receipt == attempt->message->receive_count)
		attempt->message->attempts_out--;
	list_remove(&attempt->node);
}

static void answered(struct clock_timer *timer)
{
	struct target_attempt *attempt = list_entry(timer, struct target_attempt, timer);
	struct fake_target *target = attempt->target;
	const struct answer *answer = &attempt->answer;
	const char *excerpt = answer->excerpt ? answer->excerpt : "";
	struct attempt_record *record = &target->log[attempt->record];
	/* As exact copies, so that reading past them is seen. */
	size_t bytes = answer->excerpt_bytes ? answer->excerpt_bytes : strlen(excerpt);
	char *copy = world_copy(excerpt, bytes);
	struct target_result result = {.err = answer->err,
		.status = answer->err	   ? 0
			  : answer->status ? answer->status
					   : 200,
		.retry_after_ms = answer->retry_after_ms == RETRY_AFTER_0 ? 0
				  : answer->retry_after_ms		  ? answer->retry_after_ms
									  : -1,
		.reason = answer->reason ? answer->reason : "",
		.request_id = answer->request_id ? answer->request_id : "",
		.excerpt = copy,
		.excerpt_bytes = bytes,
		.duration_us = answer->latency_us,
		.unanswered = answer->unanswered};

	world_timer_fired(target->world);
	end(attempt, false);
	record->accepted = !result.err && result.status >= 200 && result.status <= 299;
	record->accepted = (record->accepted || answer->accepted) && !answer->not_accepted;
	attempt->message->accepted_told += record->accepted;
	world_trace(target->world, "%s: %s answered %d %s", target->name, attempt->message->id,
		result.status, result.err ? error_name(result.err) : "");
	attempt->done(attempt->arg, &result);
	free(copy);
	free(attempt);
}

/* Nothing that came before it in its group is still to be sent. */
static void check_order(struct world *world, const struct fake_message *message)
{
	for (size_t i = 0; i < message->index; i++) {
		const struct fake_message *before = message->queue->messages[i];

		if (before->deleted || !fake_message_same_group(before, message))
			continue;
		if (before->attempts_out)
			world_fail(world, "attempt on %s while that on %s is out", message->id,
				before->id);
		if (!before->accepted_told && !before->accepted_elsewhere &&
			!before->cancelled_told && !before->copy_confirmed &&
			world_wall_ms(world) < before->deadline_epoch_ms)
			world_fail(world, "attempt on %s before %s", message->id, before->id);
	}
}

static void check(struct fake_target *target, struct fake_message *message)
{
	struct world *world = target->world;
	struct receipt *receipt = fake_message_receipt(message);

	if (message->deleted)
		world_fail(world, "attempt on %s, which is deleted", message->id);
	if (world_wall_ms(world) >= message->deadline_epoch_ms)
		world_fail(world, "attempt on %s past its deadline", message->id);
	if (world_now_us(world) >= message->visible_us)
		world_fail(world, "attempt on %s, whose visibility has run out", message->id);
	if (message->attempts_out)
		world_fail(world, "two attempts on %s at once", message->id);
	if (receipt->attempts)
		world_fail(world, "second attempt on %s within one receive", message->id);
	if (receipt->delete_issued || receipt->return_issued)
		world_fail(world, "attempt on %s after its receipt was settled", message->id);
	if (target->out >= target->concurrency)
		world_fail(world, "%s: more than %u in flight", target->name, target->concurrency);
	if (world->draining)
		world_fail(world, "attempt on %s while draining", message->id);
	world_check_control(world, message);
	if (world->options.ledger && !world->duplicates_are_fine &&
		(message->accepted_told || message->accepted_elsewhere))
		world_fail(world, "attempt on %s, which was accepted before", message->id);
	if (message->queue->fifo)
		check_order(world, message);
}

/* Also that the message which the core holds is of the current receive. */
static void check_handle(struct fake_target *target, const struct queue_message *queued,
	const struct fake_message *message)
{
	char handle[48];

	snprintf(handle, sizeof(handle), "%c-%zu-%u", message->queue->name, message->index,
		message->receive_count);
	if (strcmp(handle, queued->receipt_handle) != 0)
		world_fail(target->world, "attempt with handle %s, while %s is the newest",
			queued->receipt_handle, handle);
	if (queued->body_bytes != message->body_bytes ||
		memcmp(queued->body, message->body, message->body_bytes) != 0)
		world_fail(target->world, "%s: the body has changed", message->id);
	if (strcmp(queued->idempotency_key, message->key) != 0)
		world_fail(target->world, "%s: another idempotency key", message->id);
}

static struct answer choose(struct fake_target *target, const struct fake_message *message)
{
	struct answer answer = target->otherwise;

	if (target->script_next < target->script_count)
		answer = target->script[target->script_next++];
	if (answer.latency_us == 0)
		answer.latency_us = target->latency_us;
	if (target->plan)
		target->plan(target, message, &answer);
	return answer;
}

static size_t log_new(struct fake_target *target, const struct fake_message *message)
{
	if (target->log_count == target->log_capacity) {
		size_t capacity = target->log_capacity ? target->log_capacity * 2 : 32;

		target->log = world_grow(target->log, target->log_capacity * sizeof(*target->log),
			capacity * sizeof(*target->log));
		target->log_capacity = capacity;
	}
	target->log[target->log_count] = (struct attempt_record){.message = message->index,
		.nth = message->attempts,
		.at_us = world_now_us(target->world),
		.ended_us = UINT64_MAX};
	return target->log_count++;
}

static int start(void *impl, const struct queue_message *queued, target_done *done, void *arg,
	struct target_attempt **ret_attempt)
{
	struct fake_target *target = impl;
	struct world *world = target->world;
	struct fake_message *message = fake_queue_find(&world->queue, queued->message_id);
	struct target_attempt *attempt;
	struct answer answer;

	check(target, message);
	check_handle(target, queued, message);
	answer = choose(target, message);
	if (answer.start_err) {
		world_trace(world, "%s: %s cannot start", target->name, message->id);
		return answer.start_err;
	}
	message->attempts++;
	message->attempts_out++;
	fake_message_receipt(message)->attempts++;
	attempt = world_alloc(sizeof(*attempt));
	*attempt = (struct target_attempt){.target = target,
		.message = message,
		.receipt = message->receive_count,
		.answer = answer,
		.done = done,
		.arg = arg};
	attempt->record = log_new(target, message);
	attempt->timer.fire = answered;
	list_append(&target->attempts, &attempt->node);
	if (++target->out > target->out_most)
		target->out_most = target->out;
	if (!answer.never)
		world_timer_set(world, &attempt->timer, world_now_us(world) + answer.latency_us);
	world_trace(world, "%s: attempt %u on %s", target->name, message->attempts, message->id);
	*ret_attempt = attempt;
	return 0;
}

static void cancel(void *impl, struct target_attempt *attempt)
{
	struct fake_target *target = impl;

	world_trace(target->world, "%s: %s cancelled", target->name, attempt->message->id);
	world_timer_clear(target->world, &attempt->timer);
	end(attempt, true);
	free(attempt);
}

void fake_target_init(
	struct fake_target *target, struct world *world, const char *name, unsigned concurrency)
{
	*target = (struct fake_target){
		.world = world, .concurrency = concurrency, .latency_us = 10 * MS};
	snprintf(target->name, sizeof(target->name), "%s", name);
	list_init(&target->attempts);
}

void fake_target_free(struct fake_target *target)
{
	free(target->log);
}

struct target fake_target_table(struct fake_target *target)
{
	static const struct target_ops ops = {.start = start, .cancel = cancel};

	return (struct target){.ops = &ops, .impl = target};
}

void fake_target_answer(struct fake_target *target, unsigned times, struct answer answer)
{
	while (times-- > 0) {
		if (target->script_count == ANSWERS_MAX)
			world_fail(target->world, "the script is full");
		target->script[target->script_count++] = answer;
	}
}
