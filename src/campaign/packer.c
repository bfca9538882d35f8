#include "campaign/packer.h"

#include "base/hash.h"
#include "base/list.h"
#include "base/recipient_key.h"
#include "bunshin/error.h"

#include <stdlib.h>
#include <string.h>

#define KEYS_NAME "RecipientKeys"
#define KEYS_TYPE "Binary"
#define BRACKETS 2
#define BODY_MAX_BYTES (2 * MESSAGE_MAX_BYTES)

struct pack {
	struct list node;	 /* in packer->ready */
	size_t fixed_bytes;	 /* of attributes that all packs have, as SQS counts */
	struct buf head, tail;	 /* the body before and behind the recipient's value */
	struct buf values;	 /* of the array, with commas */
	struct buf keys, places; /* struct recipient_key, struct recipients_place */
	size_t count;
	bool fifo;
};

struct packer {
	unsigned most;
	/* Open ones, the oldest first; hashes[i] is of the content of packs[i]. */
	struct pack *packs[PACKER_OPEN_MAX];
	uint64_t hashes[PACKER_OPEN_MAX];
	size_t open, open_bytes;
	size_t last; /* where the pack of the row before stood */
	struct list ready;
	struct pack *taken; /* lent out */
	bool ended;	    /* packer_next(): there are no more rows */
	struct buf body;
	char key[RECIPIENT_KEY_TEXT_SIZE];
	struct queue_attribute attributes[QUEUE_ATTRIBUTES_MAX];
	size_t attribute_count;
};

/* one pack */

static void pack_free(struct pack *pack)
{
	if (!pack)
		return;
	buf_free(&pack->head);
	buf_free(&pack->tail);
	buf_free(&pack->values);
	buf_free(&pack->keys);
	buf_free(&pack->places);
	free(pack);
}

static size_t pack_memory(const struct pack *pack)
{
	return sizeof(*pack) + pack->head.len + pack->tail.len + pack->values.len + pack->keys.len +
	       pack->places.len;
}

/* What the message would be, as SQS counts it, with one more recipient of so many bytes. */
static size_t bytes_with(const struct pack *pack, size_t value_bytes)
{
	return pack->fixed_bytes + pack->head.len + pack->tail.len + BRACKETS + pack->values.len +
	       (pack->count > 0) + value_bytes + pack->keys.len + RECIPIENT_KEY_BYTES;
}

static const char *tail_of(const struct campaign_message *message, size_t *ret_bytes)
{
	size_t at = message->field.at + message->field.bytes;

	*ret_bytes = message->body_bytes - at;
	return message->body + at;
}

static struct pack *pack_new(const struct campaign_message *message)
{
	struct pack *pack = calloc(1, sizeof(*pack));
	size_t tail_bytes;
	const char *tail = tail_of(message, &tail_bytes);

	if (!pack)
		return NULL;
	list_init(&pack->node);
	buf_init(&pack->head, BODY_MAX_BYTES);
	buf_init(&pack->tail, BODY_MAX_BYTES);
	buf_init(&pack->values, BODY_MAX_BYTES);
	buf_init(&pack->keys, PACKER_ROWS_MAX * RECIPIENT_KEY_BYTES);
	buf_init(&pack->places, PACKER_ROWS_MAX * sizeof(struct recipients_place));
	pack->fifo = message->deduplication_id != NULL;
	pack->fixed_bytes = message_bytes(0, message->attributes, message->attribute_count) +
			    strlen(KEYS_NAME) + strlen(KEYS_TYPE);
	buf_append(&pack->head, message->body, message->field.at);
	if (buf_append(&pack->tail, tail, tail_bytes) == 0 && pack->head.err == 0)
		return pack;
	pack_free(pack);
	return NULL;
}

static bool pack_is_alike(const struct pack *pack, const struct campaign_message *message)
{
	size_t tail_bytes;
	const char *tail = tail_of(message, &tail_bytes);

	return pack->head.len == message->field.at && pack->tail.len == tail_bytes &&
	       memcmp(buf_string(&pack->head), message->body, pack->head.len) == 0 &&
	       memcmp(buf_string(&pack->tail), tail, tail_bytes) == 0;
}

/* 0 or ERR_NOMEM. */
static int pack_append(struct pack *pack, const struct campaign_message *message)
{
	const struct recipient_key key = recipient_key_of_text(message->idempotency_key);

	if (pack->count > 0)
		buf_append_char(&pack->values, ',');
	buf_append(&pack->values, message->body + message->field.at, message->field.bytes);
	buf_append(&pack->keys, &key, sizeof(key));
	buf_append(&pack->places, &message->place, sizeof(message->place));
	pack->count++;
	return pack->values.err || pack->keys.err || pack->places.err ? ERR_NOMEM : 0;
}

/* all of them */

int packer_new(unsigned most, struct packer **ret_packer)
{
	struct packer *packer = calloc(1, sizeof(*packer));

	if (!packer)
		return ERR_NOMEM;
	packer->most = most;
	list_init(&packer->ready);
	buf_init(&packer->body, BODY_MAX_BYTES);
	*ret_packer = packer;
	return 0;
}

void packer_free(struct packer *packer)
{
	if (!packer)
		return;
	for (size_t i = 0; i < packer->open; i++)
		pack_free(packer->packs[i]);
	list_for_each_safe (node, &packer->ready)
		pack_free(list_entry(node, struct pack, node));
	pack_free(packer->taken);
	buf_free(&packer->body);
	free(packer);
}

/* It is open no more and goes out. */
static void close_pack(struct packer *packer, size_t index)
{
	struct pack *pack = packer->packs[index];
	size_t behind = packer->open - index - 1;

	packer->open_bytes -= pack_memory(pack);
	packer->open--;
	memmove(&packer->packs[index], &packer->packs[index + 1],
		behind * sizeof(packer->packs[0]));
	memmove(&packer->hashes[index], &packer->hashes[index + 1],
		behind * sizeof(packer->hashes[0]));
	list_append(&packer->ready, &pack->node);
}

static uint64_t hash_content(const struct campaign_message *message)
{
	size_t tail_bytes;
	const char *tail = tail_of(message, &tail_bytes);

	return hash_bytes(message->body, message->field.at) * UINT64_C(0x9e3779b97f4a7c15) ^
	       hash_bytes(tail, tail_bytes);
}

/* The open pack of the message's content, and its hash; packer->open: there is none. */
static size_t find(
	const struct packer *packer, const struct campaign_message *message, uint64_t *ret_hash)
{
	size_t index = packer->last;

	/* Mostly that of the row before: then there is nothing to hash. */
	if (index < packer->open && pack_is_alike(packer->packs[index], message)) {
		*ret_hash = packer->hashes[index];
		return index;
	}
	*ret_hash = hash_content(message);
	for (index = 0; index < packer->open; index++)
		if (packer->hashes[index] == *ret_hash &&
			pack_is_alike(packer->packs[index], message))
			break;
	return index;
}

/* What every pack has, IdempotencyKey and RecipientKeys in front, both filled in by take. */
static void keep_attributes(struct packer *packer, const struct campaign_message *message)
{
	size_t count = 2;

	for (size_t i = 0; i < message->attribute_count && count < QUEUE_ATTRIBUTES_MAX; i++)
		if (strcmp(message->attributes[i].name, "IdempotencyKey") != 0)
			packer->attributes[count++] = message->attributes[i];
	packer->attribute_count = count;
}

/* Makes one, behind all that are open. 0 or ERR_NOMEM. */
static int open_pack(struct packer *packer, uint64_t hash, const struct campaign_message *message)
{
	struct pack *pack = pack_new(message);

	if (!pack)
		return ERR_NOMEM;
	if (packer->open == PACKER_OPEN_MAX)
		close_pack(packer, 0);
	packer->packs[packer->open] = pack;
	packer->hashes[packer->open++] = hash;
	packer->open_bytes += pack_memory(pack);
	return 0;
}

int packer_add(struct packer *packer, const struct campaign_message *message)
{
	uint64_t hash;
	size_t index = find(packer, message, &hash);
	struct pack *pack;
	int err = 0;

	if (index < packer->open &&
		bytes_with(packer->packs[index], message->field.bytes) > PACKER_MESSAGE_MAX_BYTES) {
		close_pack(packer, index);
		index = packer->open;
	}
	if (index == packer->open) {
		err = open_pack(packer, hash, message);
		index = packer->open - 1;
	}
	if (err < 0)
		return err;
	packer->last = index;
	pack = packer->packs[index];
	packer->open_bytes -= pack_memory(pack);
	err = pack_append(pack, message);
	packer->open_bytes += pack_memory(pack);
	if (packer->attribute_count == 0)
		keep_attributes(packer, message);
	if (pack->count >= packer->most)
		close_pack(packer, index);
	while (packer->open > 1 && packer->open_bytes > PACKER_OPEN_MAX_BYTES)
		close_pack(packer, 0);
	return err;
}

static int write_body(struct packer *packer, const struct pack *pack)
{
	struct buf *body = &packer->body;

	buf_clear(body);
	buf_append(body, buf_string(&pack->head), pack->head.len);
	buf_append_char(body, '[');
	buf_append(body, buf_string(&pack->values), pack->values.len);
	buf_append_char(body, ']');
	return buf_append(body, buf_string(&pack->tail), pack->tail.len);
}

static void write_attributes(struct packer *packer, const struct pack *pack)
{
	const struct recipient_key *keys = (const struct recipient_key *)(void *)pack->keys.data;
	const struct recipient_key key = recipient_key_batch(keys, pack->count);

	recipient_key_print(&key, packer->key);
	packer->attributes[0] = (struct queue_attribute){
		"IdempotencyKey", "String", packer->key, sizeof(packer->key) - 1};
	packer->attributes[1] =
		(struct queue_attribute){KEYS_NAME, KEYS_TYPE, pack->keys.data, pack->keys.len};
}

int packer_take(struct packer *packer, bool all, struct campaign_message *ret_message)
{
	struct pack *pack;

	pack_free(packer->taken);
	packer->taken = NULL;
	if (list_is_empty(&packer->ready) && all && packer->open > 0)
		close_pack(packer, 0);
	if (list_is_empty(&packer->ready))
		return 0;
	pack = list_entry(list_first(&packer->ready), struct pack, node);
	if (write_body(packer, pack) < 0)
		return ERR_NOMEM;
	list_remove(&pack->node);
	packer->taken = pack;
	write_attributes(packer, pack);
	*ret_message = (struct campaign_message){
		.body = buf_string(&packer->body),
		.body_bytes = packer->body.len,
		.attributes = packer->attributes,
		.attribute_count = packer->attribute_count,
		.idempotency_key = packer->key,
		.group_id = pack->fifo ? packer->key : NULL,
		.deduplication_id = pack->fifo ? packer->key : NULL,
		.field = {pack->head.len, pack->values.len + BRACKETS},
		.places = (const struct recipients_place *)(void *)pack->places.data,
		.place_count = pack->count,
	};
	ret_message->place = ret_message->places[0];
	return 1;
}

int packer_next(
	struct packer *packer, struct messages *messages, struct campaign_message *ret_message)
{
	int taken, event;

	while ((taken = packer_take(packer, packer->ended, ret_message)) == 0 && !packer->ended) {
		event = messages_next(messages, ret_message);
		packer->ended = event == RECIPIENTS_END;
		if (event == RECIPIENTS_ROW)
			event = packer_add(packer, ret_message);
		if (event != 0)
			return event;
	}
	return taken > 0 ? RECIPIENTS_ROW : taken;
}

static void consider(struct recipients_place *first, const struct pack *pack)
{
	const struct recipients_place *place = (const void *)pack->places.data;

	if (first->row == 0 || place->row < first->row)
		*first = *place;
}

struct recipients_place packer_first(const struct packer *packer)
{
	struct recipients_place first = {0};

	list_for_each_safe (node, &packer->ready)
		consider(&first, list_entry(node, struct pack, node));
	for (size_t i = 0; i < packer->open; i++)
		consider(&first, packer->packs[i]);
	return first;
}
