#include "fake_target.h"

#include "bunshin/error.h"
#include "delivery/core.h"
#include "fake_list.h"
#include "world.h"
#include "world_checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct target_attempt {
	struct list node;
	struct fake_target *target;
	struct fake_message **messages;
	uint32_t *receipts; /* theirs */
	size_t count;
	struct answer answer;
	size_t record;
	struct clock_timer timer, departure;
	target_done *done;
	target_departs *departs;
	void *arg;
};

/* The answer to records says so. */
static bool fails(const struct fake_target *target, const struct fake_message *message)
{
	for (size_t i = 0; target->failed_ids && target->failed_ids[i]; i++)
		if (strcmp(target->failed_ids[i], message->id) == 0)
			return true;
	return false;
}

static void end(struct target_attempt *attempt, bool cancelled)
{
	struct fake_target *target = attempt->target;

	target->log[attempt->record].ended_us = world_now_us(target->world);
	target->log[attempt->record].cancelled = cancelled;
	world_timer_clear(target->world, &attempt->departure);
	target->out--;
	for (size_t i = 0; i < attempt->count; i++)
		if (attempt->receipts[i] == attempt->messages[i]->receive_count)
			attempt->messages[i]->attempts_out--;
	list_remove(&attempt->node);
}

/* It has ended like this; of a packed message that is accepted, whether that was all of it. */
static void end_messages(struct target_attempt *attempt, enum fake_list_end how)
{
	struct fake_target *target = attempt->target;
	const char *recipients = target->log[attempt->record].recipients;

	if (recipients)
		fake_list_end(&target->world->list, recipients, how);
	for (size_t i = 0; i < attempt->count; i++) {
		struct fake_message *message = attempt->messages[i];

		if (!recipients || !strchr(message->body, '['))
			message->accepted_told +=
				how == FAKE_LIST_ACCEPTED && !fails(target, message);
		else if (!message->accepted_told)
			message->accepted_told =
				fake_list_is_accepted(&target->world->list, message->body);
	}
}

static void attempt_free(struct target_attempt *attempt)
{
	free(attempt->messages);
	free(attempt->receipts);
	free(attempt);
}

static void depart(struct target_attempt *attempt)
{
	struct fake_target *target = attempt->target;

	target->log[attempt->record].left_us = world_now_us(target->world);
	if (!target->tells_nothing)
		attempt->departs(attempt->arg);
}

static void departed(struct clock_timer *timer)
{
	struct target_attempt *attempt = list_entry(timer, struct target_attempt, departure);

	world_timer_fired(attempt->target->world);
	depart(attempt);
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
		.answer = copy,
		.answer_bytes = bytes,
		.answer_is_whole = !answer->cut,
		.duration_us = answer->latency_us,
		.unanswered = answer->unanswered};

	world_timer_fired(target->world);
	end(attempt, false);
	record->accepted = !result.err && result.status >= 200 && result.status <= 299;
	record->accepted = (record->accepted || answer->accepted) && !answer->not_accepted;
	end_messages(attempt, record->accepted ? FAKE_LIST_ACCEPTED : FAKE_LIST_REFUSED);
	world_trace(target->world, "%s: %s answered %d %s", target->name, attempt->messages[0]->id,
		result.status, result.err ? error_name(result.err) : "");
	attempt->done(attempt->arg, &result);
	free(copy);
	attempt_free(attempt);
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

static void check(struct fake_target *target, struct fake_message *message, bool is_batch)
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
	if (receipt->attempts && !is_batch)
		world_fail(world, "second attempt on %s within one receive", message->id);
	if (receipt->delete_issued || receipt->return_issued)
		world_fail(world, "attempt on %s after its receipt was settled", message->id);
	if (world->draining)
		world_fail(world, "attempt on %s while draining", message->id);
	world_check_control(world, message);
	if (world->options.ledger && !world->duplicates_are_fine && !is_batch &&
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
	for (size_t i = 0; target->recipients && target->bad && target->bad[i]; i++)
		if (fake_list_has(target->recipients, target->bad[i]))
			answer.status = 400;
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
		.ended_us = UINT64_MAX,
		.left_us = UINT64_MAX};
	return target->log_count++;
}

/* All that it asks of the world is right. */
static void check_request(struct fake_target *target, const struct target_request *request)
{
	struct world *world = target->world;
	bool is_batch = world->delivery->lanes[target - world->targets].gather != NULL;

	if (target->out >= target->concurrency)
		world_fail(world, "%s: more than %u in flight", target->name, target->concurrency);
	for (size_t i = 0; i < request->message_count; i++) {
		struct fake_message *message =
			fake_queue_find(&world->queue, request->messages[i]->message_id);

		check(target, message, is_batch);
		check_handle(target, request->messages[i], message);
	}
}

static struct target_attempt *attempt_new(
	struct fake_target *target, const struct target_request *request)
{
	struct target_attempt *attempt = world_alloc(sizeof(*attempt));
	size_t count = request->message_count;

	*attempt = (struct target_attempt){.target = target,
		.count = count,
		.messages = world_alloc(count * sizeof(attempt->messages[0])),
		.receipts = world_alloc(count * sizeof(attempt->receipts[0]))};
	for (size_t i = 0; i < count; i++) {
		struct fake_message *message =
			fake_queue_find(&target->world->queue, request->messages[i]->message_id);

		message->attempts++;
		message->attempts_out++;
		fake_message_receipt(message)->attempts++;
		attempt->messages[i] = message;
		attempt->receipts[i] = message->receive_count;
	}
	return attempt;
}

static void log_request(
	struct attempt_record *record, const struct target_request *request, char *recipients)
{
	record->recipients = recipients;
	record->count = request->message_count;
	snprintf(record->key, sizeof(record->key), "%s", request->idempotency_key);
}

static int start(void *impl, const struct target_request *request, target_done *done, void *arg,
	struct target_attempt **ret_attempt)
{
	struct fake_target *target = impl;
	struct world *world = target->world;
	struct fake_message *first =
		fake_queue_find(&world->queue, request->messages[0]->message_id);
	struct target_attempt *attempt;
	struct answer answer;
	char *recipients;

	check_request(target, request);
	target->recipients = recipients =
		request->recipients ? world_copy(request->recipients, request->recipients_bytes)
				    : NULL;
	answer = choose(target, first);
	target->recipients = NULL;
	if (answer.start_err) {
		free(recipients);
		world_trace(world, "%s: %s cannot start", target->name, first->id);
		return answer.start_err;
	}
	attempt = attempt_new(target, request);
	attempt->answer = answer;
	attempt->done = done;
	attempt->departs = request->departs;
	attempt->arg = arg;
	attempt->record = log_new(target, first);
	log_request(&target->log[attempt->record], request, recipients);
	if (recipients)
		fake_list_start(&world->list, recipients);
	attempt->timer.fire = answered;
	attempt->departure.fire = departed;
	list_append(&target->attempts, &attempt->node);
	if (++target->out > target->out_most)
		target->out_most = target->out;
	/* Really it is never from inside of start(), which would be one timer more for each. */
	if (answer.leaves_us > 0)
		world_timer_set(world, &attempt->departure, world_now_us(world) + answer.leaves_us);
	else
		depart(attempt);
	if (!answer.never)
		world_timer_set(world, &attempt->timer, world_now_us(world) + answer.latency_us);
	world_trace(world, "%s: attempt %u on %s %s", target->name, first->attempts, first->id,
		recipients ? recipients : "");
	*ret_attempt = attempt;
	return 0;
}

static void cancel(void *impl, struct target_attempt *attempt)
{
	struct fake_target *target = impl;

	world_trace(target->world, "%s: %s cancelled", target->name, attempt->messages[0]->id);
	world_timer_clear(target->world, &attempt->timer);
	end_messages(attempt, FAKE_LIST_CANCELLED);
	end(attempt, true);
	attempt_free(attempt);
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
	for (size_t i = 0; i < target->log_count; i++)
		free(target->log[i].recipients);
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
