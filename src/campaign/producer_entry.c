/* The producer's entries: what is held of a message, and how it ends. */
#include "bunshin/error.h"
#include "campaign/call_result.h"
#include "campaign/producer_private.h"

#include <stdlib.h>
#include <string.h>

/* entries */

static char *put(char **cursor, const char *bytes, size_t len)
{
	char *copy = *cursor;

	memcpy(copy, bytes, len);
	copy[len] = '\0';
	*cursor += len + 1;
	return copy;
}

static size_t text_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static const char *put_text(char **cursor, const char *text)
{
	return text ? put(cursor, text, strlen(text)) : NULL;
}

/* One block: the struct, its attributes, its places, and all the bytes they point to. */
struct entry *producer_entry_new(const struct campaign_message *message)
{
	size_t text =
		message_bytes(message->body_bytes, message->attributes, message->attribute_count);
	size_t recipients = campaign_message_recipients(message);
	size_t size = sizeof(struct entry) +
		      message->attribute_count * sizeof(struct queue_attribute) +
		      recipients * sizeof(struct recipients_place) + text + 1 +
		      3 * message->attribute_count + text_size(message->group_id) +
		      text_size(message->deduplication_id);
	struct entry *entry = malloc(size);
	struct recipients_place *places;
	char *cursor;

	if (!entry)
		return NULL;
	places = (struct recipients_place *)(void *)&entry->attributes[message->attribute_count];
	memcpy(places, message->place_count > 0 ? message->places : &message->place,
		recipients * sizeof(*places));
	*entry = (struct entry){
		.places = places,
		.recipients = recipients,
		.bytes = text,
		.held = size,
		.body_bytes = message->body_bytes,
		.attribute_count = message->attribute_count,
	};
	list_init(&entry->node);
	cursor = (char *)&places[recipients];
	entry->body = put(&cursor, message->body, message->body_bytes);
	for (size_t i = 0; i < message->attribute_count; i++) {
		const struct queue_attribute *from = &message->attributes[i];
		struct queue_attribute *to = &entry->attributes[i];

		to->name = put(&cursor, from->name, strlen(from->name));
		to->type = put(&cursor, from->type, strlen(from->type));
		to->value = put(&cursor, from->value, from->value_bytes);
		to->value_bytes = from->value_bytes;
	}
	entry->group_id = put_text(&cursor, message->group_id);
	entry->deduplication_id = put_text(&cursor, message->deduplication_id);
	return entry;
}

static void entry_free(struct producer *producer, struct entry *entry)
{
	producer->held_bytes -= entry->held;
	free(entry);
}

void producer_ready_append(struct producer *producer, struct entry *entry)
{
	list_append(&producer->ready, &entry->node);
	producer->ready_count++;
}

struct entry *producer_ready_first(const struct producer *producer)
{
	struct list *node = list_first(&producer->ready);

	return node ? list_entry(node, struct entry, node) : NULL;
}

void producer_ready_remove(struct producer *producer, struct entry *entry)
{
	list_remove(&entry->node);
	producer->ready_count--;
}

/* the end of an entry */

void producer_give_back(struct producer *producer, struct entry *entry)
{
	struct recipients_place *unsent = &producer->totals.unsent;

	if (unsent->row == 0 || entry->places[0].row < unsent->row)
		*unsent = entry->places[0];
	producer->totals.untried += entry->recipients;
	entry_free(producer, entry);
}

void producer_give_back_held(struct producer *producer, bool all)
{
	struct group_item *item;

	while (producer->order && (item = group_order_take(producer->order, all)))
		producer_give_back(producer, list_entry(item, struct entry, item));
}

/* The next of its group may go; or none, when this one would come behind them. */
static void leave_group(struct producer *producer, struct entry *entry, int err)
{
	struct group_item *next;

	if (!producer->order || !entry->item.group)
		return;
	if (err == 0 || call_judge(err) == CALL_REFUSED) {
		next = group_order_next(producer->order, &entry->item);
		if (next)
			producer_ready_append(producer, list_entry(next, struct entry, item));
		return;
	}
	group_order_block(producer->order, &entry->item);
	producer_give_back_held(producer, false);
}

void producer_settle(struct producer *producer, struct entry *entry, int err, const char *reason)
{
	if (err == 0)
		producer->totals.accepted += entry->recipients;
	else
		producer->totals.failed += entry->recipients;
	producer->totals.messages += err == 0;
	if (producer->events.settled)
		producer->events.settled(producer->events.arg, entry->places, entry->recipients,
			err, err != 0 && entry->unconfirmed, reason);
	leave_group(producer, entry, err);
	entry_free(producer, entry);
}

/* stopping */

void producer_give_up(struct producer *producer, struct entry *entry)
{
	if (entry->attempts > 0)
		producer_settle(producer, entry, producer->err, buf_string(&producer->reason));
	else
		producer_give_back(producer, entry);
}

static void give_up_flight(struct producer *producer, struct flight *flight)
{
	clock_timer_clear(producer->clock, &flight->retry);
	for (size_t i = 0; i < flight->count; i++)
		producer_give_up(producer, flight->entries[i]);
	list_remove(&flight->node);
	free(flight);
}

void producer_fail(struct producer *producer, int err, const char *reason)
{
	struct entry *entry;

	if (producer->err != 0)
		return;
	producer->err = err;
	producer->stopping = true;
	producer->totals.failing = true;
	buf_append_string(&producer->reason, *reason ? reason : error_message(err));
	producer_give_back_held(producer, true);
	while ((entry = producer_ready_first(producer))) {
		producer_ready_remove(producer, entry);
		producer_give_up(producer, entry);
	}
	list_for_each_safe (node, &producer->waiting)
		give_up_flight(producer, list_entry(node, struct flight, node));
	producer->totals.waiting = 0;
}
