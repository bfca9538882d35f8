#include "cli/queue_probe.h"

#include "bunshin/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define MADE_UP_HANDLE "bunshin-probe"

struct queue_probe {
	struct queue queue;
	enum queue_probe_extent extent;
	queue_probe_done *done;
	void *arg;
	struct queue_call *call; /* under way */
	struct queue_probe_result result;
};

static void finish(struct queue_probe *probe)
{
	probe->done(probe->arg, &probe->result);
	free(probe);
}

static void answer_set(struct queue_probe_answer *answer, int err, const char *action,
	const char *permission, const char *detail)
{
	answer->err = err;
	answer->words[0] = '\0';
	if (!err)
		return;
	if (!detail[0])
		detail = error_message(err);
	if (err == ERR_ACCESS_DENIED)
		snprintf(answer->words, sizeof(answer->words), "may not %s (%s): %s", action,
			permission, detail);
	else
		snprintf(answer->words, sizeof(answer->words), "cannot %s: %s", action, detail);
}

/* That the handle is no good was to be expected, and is said only to those who may use one. */
static int judge_handle(int err)
{
	return err == ERR_RECEIPT_INVALID || err == ERR_REFUSED ? 0 : err;
}

static void visibility_set(struct queue_probe *probe, int err, const char *detail)
{
	answer_set(&probe->result.visibility, judge_handle(err), "change visibility",
		"sqs:ChangeMessageVisibility", detail);
	finish(probe);
}

static void visibility_done(void *arg, const int results[], size_t count, const char *detail)
{
	struct queue_probe *probe = arg;

	probe->call = NULL;
	visibility_set(probe, results[0], detail);
}

static void delete_set(struct queue_probe *probe, int err, const char *detail)
{
	const struct queue_visibility entry = {.receipt_handle = MADE_UP_HANDLE};

	answer_set(&probe->result.delete, judge_handle(err), "delete", "sqs:DeleteMessage", detail);
	err = probe->queue.ops->change_visibility_batch(
		probe->queue.impl, &entry, 1, visibility_done, probe, &probe->call);
	if (err)
		visibility_set(probe, err, "");
}

static void delete_done(void *arg, const int results[], size_t count, const char *detail)
{
	struct queue_probe *probe = arg;

	probe->call = NULL;
	delete_set(probe, results[0], detail);
}

static void attributes_done(
	void *arg, int err, const struct queue_attributes *attributes, const char *detail)
{
	static const char *const handles[] = {MADE_UP_HANDLE};
	struct queue_probe *probe = arg;

	probe->call = NULL;
	answer_set(&probe->result.attributes, err, "read the attributes", "sqs:GetQueueAttributes",
		detail);
	if (!err)
		probe->result.counts = *attributes;
	if (probe->extent == QUEUE_PROBE_ATTRIBUTES || (err && err != ERR_ACCESS_DENIED)) {
		finish(probe);
		return;
	}
	err = probe->queue.ops->delete_batch(
		probe->queue.impl, handles, 1, delete_done, probe, &probe->call);
	if (err)
		delete_set(probe, err, "");
}

int queue_probe_start(struct queue queue, enum queue_probe_extent extent, queue_probe_done *done,
	void *arg, struct queue_probe **ret_probe)
{
	struct queue_probe *probe = calloc(1, sizeof(*probe));
	int err;

	if (!probe)
		return ERR_NOMEM;
	probe->queue = queue;
	probe->extent = extent;
	probe->done = done;
	probe->arg = arg;
	probe->result.delete.err = probe->result.visibility.err = ERR_PENDING;
	err = queue.ops->get_attributes(queue.impl, attributes_done, probe, &probe->call);
	if (err) {
		free(probe);
		return err;
	}
	*ret_probe = probe;
	return 0;
}

void queue_probe_cancel(struct queue_probe *probe)
{
	if (!probe)
		return;
	probe->queue.ops->cancel(probe->queue.impl, probe->call);
	free(probe);
}
