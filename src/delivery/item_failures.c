#include "delivery/item_failures.h"

#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An id and where it stands, sorted by id: an answer may name each of 10,000. */
struct entry {
	const char *id;
	size_t index;
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->id, ((const struct entry *)b)->id);
}

static bool is_blank(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (memchr(" \t\r\n", text[i], 4) == NULL)
			return false;
	return true;
}

static struct entry *sorted(const char *const ids[], size_t count)
{
	struct entry *entries = malloc((count + 1) * sizeof(*entries));

	if (entries == NULL)
		return NULL;
	for (size_t i = 0; i < count; i++)
		entries[i] = (struct entry){.id = ids[i], .index = i};
	qsort(entries, count, sizeof(*entries), compare);
	return entries;
}

/* Marks all entries of this id; false: there is none. */
static bool mark(const struct entry *entries, size_t count, const char *id, bool failed[])
{
	const struct entry key = {.id = id};
	const struct entry *found = bsearch(&key, entries, count, sizeof(*entries), compare);

	if (found == NULL)
		return false;
	while (found > entries && strcmp(found[-1].id, id) == 0)
		found--;
	for (; found < entries + count && strcmp(found->id, id) == 0; found++)
		failed[found->index] = true;
	return true;
}

static int refuse(char reason[ITEM_FAILURES_REASON_SIZE], size_t index, const char *what)
{
	snprintf(reason, ITEM_FAILURES_REASON_SIZE, "batchItemFailures[%zu].itemIdentifier: %s",
		index, what);
	return ERR_SYNTAX;
}

static int read_list(const struct json_value *list, const struct entry *entries, size_t count,
	bool failed[], char reason[ITEM_FAILURES_REASON_SIZE])
{
	size_t index = 0;

	for (const struct json_value *item = json_first(list); item != NULL;
		item = json_next(list, item), index++) {
		const char *id = json_text(json_member(item, "itemIdentifier"));

		if (id == NULL || *id == '\0')
			return refuse(reason, index, "expected a message id");
		if (!mark(entries, count, id, failed))
			return refuse(reason, index, "is of none of the messages");
	}
	return 0;
}

static int fail(char reason[ITEM_FAILURES_REASON_SIZE], const char *why)
{
	snprintf(reason, ITEM_FAILURES_REASON_SIZE, "%s", why);
	return ERR_SYNTAX;
}

static int read_answer(struct json *json, const char *body, size_t body_bytes,
	const char *const ids[], size_t count, bool failed[],
	char reason[ITEM_FAILURES_REASON_SIZE])
{
	const struct json_value *answer, *list;
	struct entry *entries;
	int err;

	if (is_blank(body, body_bytes))
		return 0;
	err = json_parse(json, body, body_bytes);
	if (err == ERR_NOMEM)
		return err;
	if (err != 0)
		return fail(reason, "the answer is not JSON");
	answer = json_root(json);
	if (answer->kind == JSON_NULL)
		return 0;
	if (answer->kind != JSON_OBJECT)
		return fail(reason, "the answer is no JSON object");
	list = json_member(answer, "batchItemFailures");
	if (list == NULL && json_member(answer, "errorMessage") != NULL)
		return fail(reason, "the function failed");
	if (list == NULL || list->kind == JSON_NULL)
		return 0;
	if (list->kind != JSON_ARRAY)
		return fail(reason, "batchItemFailures: expected a list");
	if (list->count == 0)
		return 0;
	entries = sorted(ids, count);
	if (entries == NULL)
		return ERR_NOMEM;
	err = read_list(list, entries, count, failed, reason);
	free(entries);
	return err;
}

int item_failures_read(struct json *json, const char *body, size_t body_bytes, bool whole,
	const char *const ids[], size_t count, bool failed[],
	char ret_reason[ITEM_FAILURES_REASON_SIZE])
{
	int err;

	memset(failed, 0, count * sizeof(*failed));
	ret_reason[0] = '\0';
	if (!whole)
		err = fail(ret_reason, "the answer is longer than what is read of one");
	else
		err = read_answer(json, body, body_bytes, ids, count, failed, ret_reason);
	if (err == ERR_NOMEM)
		fail(ret_reason, error_message(ERR_NOMEM));
	for (size_t i = 0; err != 0 && i < count; i++)
		failed[i] = true;
	return err;
}
