/*
 * The recipients of a message are whatever a producer put there: the first byte says how many keys
 * the message has of its own, and how many recipients make a request; the rest is the body.
 */
#include "fuzz.h"

#include "bunshin/error.h"
#include "delivery/recipient_list.h"

#include <string.h>

enum { KEYS_MAX = 7 };

static struct json json;

static size_t count_of(const struct recipient_list *list, enum recipient_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++)
		count += list->all[i].state == state;
	return count;
}

static void move_out(
	struct recipient_list *list, enum recipient_state from, enum recipient_state to)
{
	for (uint32_t i = list->out.from; i < list->out.to; i++)
		if (list->all[i].state == from)
			recipient_list_move(list, &list->all[i], to);
}

/* What is refused is halved until it is alone; every third alone is refused for good. */
static void send_all(struct recipient_list *list, size_t max)
{
	size_t turn = 0;

	while (recipient_list_next(list, max)) {
		FUZZ_CHECK(list->out.to > list->out.from && list->out.to <= list->count);
		FUZZ_CHECK(list->out.to - list->out.from <= max);
		move_out(list, RECIPIENT_WAITING, RECIPIENT_SENDING);
		if (list->counts[RECIPIENT_SENDING] > 1 && turn++ % 2 == 0)
			recipient_list_split(list);
		else if (list->counts[RECIPIENT_SENDING] == 1 && turn++ % 3 == 0)
			move_out(list, RECIPIENT_SENDING, RECIPIENT_FAILED);
		else
			move_out(list, RECIPIENT_SENDING, RECIPIENT_ACCEPTED);
	}
}

/* The copy is a message of the same field, with those that failed in it and no others. */
static void check_copy(struct recipient_list *list, struct queue_message *message)
{
	size_t failed = count_of(list, RECIPIENT_FAILED);
	char problem[RECIPIENT_LIST_PROBLEM_SIZE];
	struct queue_attribute attribute;
	struct recipient_list *copy;
	size_t at = 0;

	if (!list->packed || failed == 0)
		return;
	FUZZ_CHECK(recipient_list_make_copy(list, message) == 0);
	message->body = list->copy_body;
	message->body_bytes = list->copy_body_bytes;
	if (list->copy_keys) {
		attribute = message->attributes[0];
		attribute.value = list->copy_keys;
		attribute.value_bytes = list->copy_keys_bytes;
		message->attributes = &attribute;
	}
	FUZZ_CHECK(recipient_list_read(message, "to", &json, &copy, problem) == 0);
	FUZZ_CHECK(copy->count == failed);
	for (size_t i = 0; i < list->count; i++)
		if (list->all[i].state == RECIPIENT_FAILED)
			FUZZ_CHECK(memcmp(&list->all[i].key, &copy->all[at++].key,
					   sizeof(copy->all[0].key)) == 0);
	recipient_list_free(copy);
}

static void use(struct recipient_list *list, struct queue_message *message, size_t max)
{
	FUZZ_CHECK(list->count >= 1 && list->count <= RECIPIENT_LIST_MAX);
	for (size_t i = 0; i < list->count; i++) {
		const struct recipient *one = &list->all[i];

		FUZZ_CHECK(one->raw >= message->body && one->raw_bytes > 0);
		FUZZ_CHECK(one->raw + one->raw_bytes <= message->body + message->body_bytes);
	}
	send_all(list, max);
	FUZZ_CHECK(count_of(list, RECIPIENT_ACCEPTED) + count_of(list, RECIPIENT_FAILED) ==
		   list->count);
	FUZZ_CHECK(count_of(list, RECIPIENT_FAILED) == list->counts[RECIPIENT_FAILED]);
	check_copy(list, message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char keys[16 * KEYS_MAX] = "sixteen bytes: 0sixteen bytes: 1sixteen "
							 "bytes: 2sixteen bytes: 3";
	struct queue_attribute attribute = {.name = RECIPIENT_LIST_KEYS,
		.type = "Binary",
		.value = (const char *)keys,
		.value_bytes = size > 0 ? 16 * (size_t)(data[0] % (KEYS_MAX + 1)) : 0};
	char problem[RECIPIENT_LIST_PROBLEM_SIZE] = "";
	struct recipient_list *list = NULL;
	struct queue_message message = {.message_id = "m",
		.idempotency_key = "1fb5b3a0-7a3c-5b43-9a39-2a3f6f1c2c53",
		.attributes = &attribute};
	char *body;
	int err;

	if (size == 0)
		return 0;
	body = malloc(size); /* of its size, so that a byte too far is seen */
	FUZZ_CHECK(body != NULL);
	memcpy(body, data + 1, size - 1);
	body[size - 1] = '\0';
	message.body = body;
	message.body_bytes = size - 1;
	message.attribute_count = attribute.value_bytes > 0;
	err = recipient_list_read(&message, "to", &json, &list, problem);
	FUZZ_CHECK(err == 0 || (err == ERR_SYNTAX && problem[0] != '\0'));
	if (err == 0)
		use(list, &message, 1 + data[0] / (KEYS_MAX + 1));
	recipient_list_free(list);
	free(body);
	return 0;
}
