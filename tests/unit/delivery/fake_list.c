#include "fake_list.h"

#include "base/hash.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fake_list_init(struct fake_list *list, struct world *world)
{
	memset(list, 0, sizeof(*list));
	list->world = world;
}

void fake_list_free(struct fake_list *list)
{
	free(list->all);
	list->all = NULL;
}

static uint32_t *bucket_of(struct fake_list *list, const char *text, size_t bytes)
{
	return &list->buckets[hash_bytes(text, bytes) % FAKE_LIST_BUCKETS];
}

struct fake_recipient *fake_list_get(struct fake_list *list, const char *text, size_t bytes)
{
	uint32_t *bucket = bucket_of(list, text, bytes);
	struct fake_recipient *one;

	for (uint32_t i = *bucket; i > 0; i = one->next) {
		one = &list->all[i - 1];
		if (strlen(one->text) == bytes && memcmp(one->text, text, bytes) == 0)
			return one;
	}
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 64;

		list->all = world_grow(list->all, list->capacity * sizeof(*list->all),
			capacity * sizeof(*list->all));
		list->capacity = capacity;
	}
	one = &list->all[list->count++];
	memset(one, 0, sizeof(*one));
	if (bytes >= sizeof(one->text))
		world_fail(
			list->world, "recipient %.*s is too long for this test", (int)bytes, text);
	memcpy(one->text, text, bytes);
	one->next = *bucket;
	*bucket = (uint32_t)list->count;
	return one;
}

/* The elements of an array of plain strings and numbers; NULL after the last. */
static const char *element(const char *at, size_t *ret_bytes)
{
	while (*at == '[' || *at == ',' || *at == ' ' || *at == '\n')
		at++;
	*ret_bytes = strcspn(at, ", \n]");
	return *at == ']' || *at == '\0' ? NULL : at;
}

bool fake_list_has(const char *array, const char *text)
{
	size_t bytes;

	for (const char *at = array; (at = element(at, &bytes)); at += bytes)
		if (strlen(text) == bytes && memcmp(at, text, bytes) == 0)
			return true;
	return false;
}

size_t fake_list_length(const char *array)
{
	size_t count = 0, bytes;

	for (const char *at = array; (at = element(at, &bytes)); at += bytes)
		count++;
	return count;
}

void fake_list_tell(
	struct fake_list *list, const struct recipient_key *key, enum delivery_event_kind of)
{
	char text[RECIPIENT_KEY_TEXT_SIZE];

	recipient_key_print(key, text);
	for (size_t i = 0; i < list->count; i++) {
		struct fake_recipient *one;

		/* From the one behind that which was told of last: most come in their order. */
		list->at = (list->at + 1) % list->count;
		one = &list->all[list->at];
		if (strcmp(one->key, text) != 0)
			continue;
		one->told[of]++;
		return;
	}
	world_fail(list->world, "told of nobody: %s", text);
}

void fake_list_start(struct fake_list *list, const char *array)
{
	const struct world *world = list->world;
	size_t bytes;

	if (array[0] != '[' || fake_list_length(array) == 0)
		world_fail(world, "a request for %s", array);
	for (const char *at = array; (at = element(at, &bytes)); at += bytes) {
		struct fake_recipient *one = fake_list_get(list, at, bytes);

		if (one->out && !world->duplicates_are_fine)
			world_fail(world, "two requests for %s at once", one->text);
		if (one->accepted && world->options.ledger && !world->duplicates_are_fine)
			world_fail(world, "a request for %s, which was accepted before", one->text);
		one->requests++;
		one->out++;
	}
}

void fake_list_end(struct fake_list *list, const char *array, enum fake_list_end how)
{
	size_t bytes;

	for (const char *at = array; (at = element(at, &bytes)); at += bytes) {
		struct fake_recipient *one = fake_list_get(list, at, bytes);

		one->out--;
		one->accepted += how == FAKE_LIST_ACCEPTED;
		one->unclear += how == FAKE_LIST_CANCELLED;
	}
}

void fake_list_add(struct fake_list *list, const char *body, const char *message_key)
{
	struct recipient_key message = recipient_key_of_text(message_key), key;
	const char *array = strchr(body, '[');
	size_t bytes;

	for (const char *at = array; at && (at = element(at, &bytes)); at += bytes) {
		size_t quote = at[0] == '"';

		key = recipient_key_make(&message, at + quote, bytes - 2 * quote);
		recipient_key_print(&key, fake_list_get(list, at, bytes)->key);
	}
}

bool fake_list_is_accepted(struct fake_list *list, const char *body)
{
	const char *array = strchr(body, '[');
	size_t bytes;

	for (const char *at = array; at && (at = element(at, &bytes)); at += bytes)
		if (!fake_list_get(list, at, bytes)->accepted)
			return false;
	return array != NULL;
}
