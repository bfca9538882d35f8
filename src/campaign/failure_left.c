#include "campaign/failure_left.h"

#include "bunshin/error.h"

#include <stdlib.h>
#include <string.h>

int failure_left_add(struct failure_left *left, const char *receipt_handle, uint64_t visible_us)
{
	char *copy;

	if (left->count == left->capacity) {
		size_t capacity = left->capacity ? 2 * left->capacity : 256;
		struct failure_left_entry *entries =
			realloc(left->entries, capacity * sizeof(*entries));

		if (!entries)
			return ERR_NOMEM;
		left->entries = entries;
		left->capacity = capacity;
	}
	copy = strdup(receipt_handle);
	if (!copy)
		return ERR_NOMEM;
	left->entries[left->count++] =
		(struct failure_left_entry){.receipt_handle = copy, .visible_us = visible_us};
	return 0;
}

static void advance(struct failure_left *left);

static void count_failures(struct failure_left *left, const int results[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		left->failed += results[i] != 0 && results[i] != ERR_RECEIPT_INVALID;
}

static void call_done(void *arg, const int results[], size_t count, const char *detail)
{
	struct failure_left_call *call = arg;
	struct failure_left *left = call->left;

	call->call = NULL;
	left->calls_out--;
	count_failures(left, results, count);
	advance(left);
	if (left->calls_out == 0)
		left->done(left->arg);
}

/* The next ten, without those that are visible by now. */
static size_t take(struct failure_left *left, struct queue_visibility entries[QUEUE_BATCH_MAX])
{
	uint64_t now_us = clock_monotonic_us(left->clock);
	size_t n = 0;

	while (n < QUEUE_BATCH_MAX && left->next < left->count) {
		const struct failure_left_entry *entry = &left->entries[left->next++];

		if (now_us < entry->visible_us)
			entries[n++] = (struct queue_visibility){entry->receipt_handle, 0};
	}
	return n;
}

/* As many calls as may be under way. */
static void advance(struct failure_left *left)
{
	for (size_t i = 0; i < FAILURE_LEFT_CALLS_MAX && left->next < left->count; i++) {
		struct failure_left_call *call = &left->calls[i];
		struct queue_visibility entries[QUEUE_BATCH_MAX];
		size_t n;

		if (call->call)
			continue;
		n = take(left, entries);
		if (n == 0)
			break;
		call->left = left;
		if (left->queue.ops->change_visibility_batch(
			    left->queue.impl, entries, n, call_done, call, &call->call) == 0) {
			left->calls_out++;
		} else {
			call->call = NULL;
			left->failed += n;
			i--; /* the same place for the next ten */
		}
	}
}

bool failure_left_release(struct failure_left *left, void (*done)(void *arg), void *arg)
{
	left->done = done;
	left->arg = arg;
	advance(left);
	return left->calls_out > 0;
}

void failure_left_free(struct failure_left *left)
{
	for (size_t i = 0; i < FAILURE_LEFT_CALLS_MAX; i++)
		if (left->calls[i].call)
			left->queue.ops->cancel(left->queue.impl, left->calls[i].call);
	for (size_t i = 0; i < left->count; i++)
		free(left->entries[i].receipt_handle);
	free(left->entries);
	left->entries = NULL;
	left->count = left->capacity = 0;
}
