#include "fake_queue_checks.h"

#include "base/utf8.h"
#include "bunshin/error.h"
#include "delivery/core.h"
#include "world.h"

#include <string.h>

#define SEND_MAX_BYTES ((size_t)1024 * 1024)

void fake_queue_check_count(struct fake_queue *queue, size_t count)
{
	if (count < 1 || count > QUEUE_BATCH_MAX)
		world_fail(queue->world, "a batch of %zu", count);
}

void fake_queue_check_receive(struct fake_queue *queue, const struct queue_receive *params)
{
	struct world *world = queue->world;
	const struct delivery *delivery = world->delivery;
	size_t room = 0;

	if (params->max_messages < 1 || params->max_messages > QUEUE_BATCH_MAX)
		world_fail(world, "a receive of %u", params->max_messages);
	if (params->wait_s != delivery->options.wait_s ||
		params->visibility_s != delivery->options.visibility_s)
		world_fail(world, "a receive that waits %u s for a visibility of %u s",
			params->wait_s, params->visibility_s);
	if (world->draining)
		world_fail(world, "a receive while draining");
	/* One lane's backlog takes nothing from the room of another. */
	for (size_t i = 0; i < delivery->lane_count; i++) {
		const struct lane *lane = &delivery->lanes[i];
		size_t taken = lane->sending + lane->waiting_count;
		size_t slots = lane->destination.concurrency;
		uint64_t answer_us = delivery->latency.mean_us + delivery->latency.deviation_us;
		size_t soon = lane->trip_us ? slots * answer_us / lane->trip_us : 0;

		/* And what is free when the answer comes. */
		slots += (soon < slots ? soon : slots) + 9;
		slots *= lane->gather ? 2 * lane->destination.batch_max : 1;
		room += taken < slots ? slots - taken : 0;
	}
	if (queue->asked_out + params->max_messages > room)
		world_fail(world, "a receive of %u with %zu asked for already and room for %zu",
			params->max_messages, queue->asked_out, room);
	if (delivery->held_bytes > delivery->options.held_bytes)
		world_fail(world, "a receive with %zu bytes held", delivery->held_bytes);
}

static void check_distinct(struct fake_queue *queue, const struct call_record *call, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (call->messages[k] == call->messages[i] &&
			call->receipts[k] == call->receipts[i])
			world_fail(queue->world, "%c%zu twice in one batch", queue->name,
				call->messages[i]);
}

static struct receipt *receipt_of(
	struct fake_queue *queue, const struct call_record *call, size_t i)
{
	return &queue->messages[call->messages[i]]->receipts[call->receipts[i] - 1];
}

void fake_queue_check_delete(struct fake_queue *queue, const struct call_record *call)
{
	struct world *world = queue->world;

	for (size_t i = 0; i < call->count; i++) {
		const struct fake_message *message = queue->messages[call->messages[i]];
		struct receipt *receipt = receipt_of(queue, call, i);

		check_distinct(queue, call, i);
		if (!message->accepted_told && !message->accepted_elsewhere &&
			!message->copy_confirmed && !message->cancelled_told &&
			world_wall_ms(world) < message->deadline_epoch_ms)
			world_fail(world,
				"delete of %s, neither accepted nor expired, cancelled nor copied",
				message->id);
		if (message->attempts_out && call->receipts[i] == message->receive_count)
			world_fail(world, "delete of %s with its attempt out", message->id);
		if (receipt->return_issued)
			world_fail(world, "delete of %s after its return", message->id);
		if (receipt->told == 0 || receipt->told > world->kept)
			world_fail(world, "delete of %s before its outcome was %s", message->id,
				receipt->told ? "kept" : "told");
		receipt->delete_issued = true;
	}
}

static bool extension_is_out(const struct fake_queue *queue, size_t message, uint32_t receipt)
{
	if (!queue->calls_out[OP_CHANGE])
		return false;
	for (size_t n = queue->log_count; n-- > 0;) {
		const struct call_record *call = &queue->log[n];

		if (!call->is_extension || call->answered_us != UINT64_MAX || call->cancelled ||
			call->err)
			continue;
		for (size_t i = 0; i < call->count; i++)
			if (call->messages[i] == message && call->receipts[i] == receipt)
				return true;
	}
	return false;
}

static void check_return(struct fake_queue *queue, const struct call_record *call, size_t i)
{
	struct world *world = queue->world;
	const struct fake_message *message = queue->messages[call->messages[i]];

	if (extension_is_out(queue, call->messages[i], call->receipts[i]))
		world_fail(world, "return of %s while its extension is out", message->id);
	if (message->attempts_out && call->receipts[i] == message->receive_count)
		world_fail(world, "return of %s with its attempt out", message->id);
	receipt_of(queue, call, i)->return_issued = true;
}

void fake_queue_check_change(struct fake_queue *queue, const struct call_record *call)
{
	struct world *world = queue->world;

	for (size_t i = 0; i < call->count; i++) {
		const struct receipt *receipt = receipt_of(queue, call, i);
		const char *id = queue->messages[call->messages[i]]->id;

		check_distinct(queue, call, i);
		if (call->visibility_s[i] > QUEUE_VISIBILITY_MAX_S)
			world_fail(world, "%s: %u s of visibility", id, call->visibility_s[i]);
		if (receipt->delete_issued)
			world_fail(world, "visibility change of %s after its delete", id);
		if (!call->is_extension) {
			check_return(queue, call, i);
			continue;
		}
		if (receipt->return_issued)
			world_fail(world, "extension of %s after its return", id);
		if (call->visibility_s[i] == 0)
			world_fail(world, "extension of %s by nothing", id);
	}
}

void fake_queue_check_handled(struct fake_queue *queue, const struct call_record *call, size_t i)
{
	struct receipt *receipt = receipt_of(queue, call, i);

	if (!call->is_extension)
		receipt->return_handled = true;
	else if (receipt->return_handled)
		world_fail(queue->world, "%s: an extension arrived after the return",
			queue->messages[call->messages[i]]->id);
}

/* As SQS has it: no control characters but TAB, LF and CR; neither U+FFFE nor U+FFFF. */
static bool text_is_valid(const char *text, size_t bytes)
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

static size_t check_attributes(struct fake_queue *queue, const struct queue_send *entry)
{
	size_t bytes = 0;

	if (entry->attribute_count > QUEUE_ATTRIBUTES_MAX)
		world_fail(queue->world, "a copy with %zu attributes", entry->attribute_count);
	for (size_t i = 0; i < entry->attribute_count; i++) {
		const struct queue_attribute *attribute = &entry->attributes[i];

		for (size_t k = 0; k < i; k++)
			if (strcmp(entry->attributes[k].name, attribute->name) == 0)
				world_fail(queue->world, "attribute %s twice", attribute->name);
		if (attribute->value_bytes == 0)
			world_fail(queue->world, "attribute %s is empty", attribute->name);
		if (strncmp(attribute->type, "Binary", strlen("Binary")) != 0 &&
			!text_is_valid(attribute->value, attribute->value_bytes))
			world_fail(queue->world, "attribute %s: not a text that SQS takes",
				attribute->name);
		bytes += strlen(attribute->name) + strlen(attribute->type) + attribute->value_bytes;
	}
	return bytes;
}

int fake_queue_check_send(struct fake_queue *queue, const struct queue_send entries[], size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++) {
		if (entries[i].body_bytes == 0)
			world_fail(queue->world, "a copy without a body");
		bytes += entries[i].body_bytes + check_attributes(queue, &entries[i]);
	}
	if (bytes <= SEND_MAX_BYTES)
		return 0;
	if (count > 1)
		world_fail(queue->world, "a batch of %zu bytes", bytes);
	return ERR_TOO_LARGE;
}
