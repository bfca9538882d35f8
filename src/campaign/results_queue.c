#include "campaign/results_queue.h"

#include "base/list.h"
#include "bunshin/error.h"
#include "campaign/results_lines.h"

#include <stdlib.h>
#include <string.h>

#define PAUSE_US ((uint64_t)1000000) /* after an error, before the next receive */
#define ONCE_WAIT_S 1
#define ONCE_WAITED_US                                                            \
	((uint64_t)700000) /* a poll that took so long had found nothing at first \
			    */
#define DELETES_MAX 8

struct poll {
	struct results_queue *queue;
	struct queue_call *call; /* under way */
	bool out;
	uint64_t started_us;
};

/* A message's way out: received, committed, being deleted. */
struct handle {
	struct list node;
	char text[];
};

struct deletion {
	struct results_queue *queue;
	struct queue_call *call;
	bool out;
};

struct results_queue {
	struct results_queue_options options;
	struct results_lines lines;
	struct poll polls[RESULTS_QUEUE_POLLS];
	struct deletion deletions[DELETES_MAX];
	struct list uncommitted, committed; /* handles */
	unsigned held;			    /* handles in both */
	struct clock_timer commit_timer;    /* set: there is something to commit */
	struct clock_timer pause_timer;	    /* set: no receives until then */
	struct clock_timer finish_timer;
	bool started, stopping, drained, troubled, finished;
	struct results_queue_counts counts;
};

static void proceed(struct results_queue *queue);

/* ---- trouble */

static void tell_trouble(struct results_queue *queue, int err, const char *words)
{
	if (err == 0 && !queue->troubled)
		return;
	queue->troubled = err != 0;
	queue->options.trouble(queue->options.arg, err, words);
}

static void pause_receives(struct results_queue *queue)
{
	/* Without memory for a timer they go on at once. */
	(void)clock_timer_after(queue->options.clock, &queue->pause_timer, PAUSE_US);
}

/* ---- handles */

static int hold(struct results_queue *queue, const char *text)
{
	size_t bytes = strlen(text) + 1;
	struct handle *handle = malloc(sizeof(*handle) + bytes);

	if (handle == NULL)
		return ERR_NOMEM;
	memcpy(handle->text, text, bytes);
	list_append(&queue->uncommitted, &handle->node);
	queue->held++;
	return 0;
}

static void drop_first(struct results_queue *queue, struct list *handles)
{
	struct handle *handle = list_entry(list_first(handles), struct handle, node);

	list_remove(&handle->node);
	free(handle);
	queue->held--;
}

static void drop_all(struct results_queue *queue, struct list *handles)
{
	while (!list_is_empty(handles))
		drop_first(queue, handles);
}

/* ---- deleting */

static void deleted(void *arg, const int results[], size_t count, const char *detail)
{
	struct deletion *deletion = arg;

	/* One that was not deleted comes again, and changes nothing. */
	deletion->call = NULL;
	deletion->out = false;
	proceed(deletion->queue);
}

/* 0, or why it could not be started. */
static int delete_some(struct results_queue *queue, struct deletion *deletion)
{
	const char *texts[QUEUE_BATCH_MAX];
	struct queue *table = &queue->options.queue;
	size_t count = 0;
	int err;

	list_for_each (node, &queue->committed) {
		if (count == QUEUE_BATCH_MAX)
			break;
		texts[count++] = list_entry(node, struct handle, node)->text;
	}
	err = table->ops->delete_batch(
		table->impl, texts, count, deleted, deletion, &deletion->call);
	queue->counts.deletes += err == 0;
	deletion->out = err == 0;
	/* They are copied; when it could not be started they come again. */
	while (count-- > 0)
		drop_first(queue, &queue->committed);
	return err;
}

static void delete_committed(struct results_queue *queue)
{
	for (int i = 0; i < DELETES_MAX && !list_is_empty(&queue->committed); i++)
		if (!queue->deletions[i].out)
			(void)delete_some(queue, &queue->deletions[i]);
}

/* ---- committing */

static void commit(struct results_queue *queue)
{
	struct buf error = BUF_INIT(1024);
	int err;

	clock_timer_clear(queue->options.clock, &queue->commit_timer);
	err = results_db_commit(queue->options.db, &error);
	if (err < 0) {
		drop_all(queue, &queue->uncommitted);
		pause_receives(queue);
		tell_trouble(queue, err, error.len > 0 ? buf_string(&error) : error_message(err));
	}
	while (!list_is_empty(&queue->uncommitted)) {
		struct list *node = list_first(&queue->uncommitted);

		list_remove(node);
		list_append(&queue->committed, node);
	}
	buf_free(&error);
}

static void commit_due(struct clock_timer *timer)
{
	struct results_queue *queue = list_entry(timer, struct results_queue, commit_timer);

	commit(queue);
	proceed(queue);
}

static void commit_soon(struct results_queue *queue)
{
	if (queue->held < RESULTS_QUEUE_HELD / 2 && !queue->stopping &&
		(clock_timer_is_set(&queue->commit_timer) ||
			clock_timer_after(queue->options.clock, &queue->commit_timer,
				RESULTS_QUEUE_COMMIT_US) == 0))
		return;
	commit(queue);
}

/* ---- receiving */

static int take(struct results_queue *queue, const struct queue_message *message)
{
	struct results_lines *lines = &queue->lines;
	uint64_t good = lines->records + lines->statuses;
	int err = results_lines_add(lines, message->body, message->body_bytes, queue->options.db);

	if (err < 0)
		return err;
	queue->counts.messages++;
	if (lines->records + lines->statuses == good && queue->counts.poisoned++ == 0)
		queue->options.poisoned(queue->options.arg, message->message_id, message->body,
			message->body_bytes);
	return hold(queue, message->receipt_handle);
}

static void take_all(struct results_queue *queue, const struct queue_batch *batch)
{
	int err = 0;

	for (size_t i = 0; i < batch->count && err == 0; i++)
		err = take(queue, &batch->messages[i]);
	if (err < 0 && err != ERR_NOMEM)
		commit(queue); /* which fails, says why, and forgets all of it */
	else if (err < 0)
		tell_trouble(queue, err, error_message(err));
	else
		tell_trouble(queue, 0, "");
	if (!list_is_empty(&queue->uncommitted))
		commit_soon(queue);
}

static void received(void *arg, int err, struct queue_batch *batch, const char *detail)
{
	struct poll *poll = arg;
	struct results_queue *queue = poll->queue;
	uint64_t took_us = clock_monotonic_us(queue->options.clock) - poll->started_us;

	poll->call = NULL;
	poll->out = false;
	if (err < 0) {
		pause_receives(queue);
		tell_trouble(queue, err, detail[0] ? detail : error_message(err));
		queue->drained |= queue->options.once;
	} else {
		queue->counts.answers++;
		if (queue->options.once && (batch->count == 0 || took_us > ONCE_WAITED_US))
			queue->drained = true;
		/* One poll waits on an empty queue; the first message calls all of them. */
		queue->started = batch->count > 0;
		take_all(queue, batch);
		queue_batch_unref(batch);
	}
	proceed(queue);
}

static int start_poll(struct results_queue *queue, struct poll *poll)
{
	struct queue *table = &queue->options.queue;
	const struct queue_receive params = {.max_messages = QUEUE_BATCH_MAX,
		.wait_s = queue->options.once ? ONCE_WAIT_S : RESULTS_QUEUE_WAIT_S,
		.visibility_s = RESULTS_QUEUE_VISIBILITY_S};
	int err;

	poll->started_us = clock_monotonic_us(queue->options.clock);
	err = table->ops->receive(table->impl, &params, received, poll, &poll->call);
	queue->counts.receives += err == 0;
	poll->out = err == 0;
	return err;
}

static unsigned polls_out(const struct results_queue *queue)
{
	unsigned out = 0;

	for (int i = 0; i < RESULTS_QUEUE_POLLS; i++)
		out += queue->polls[i].out;
	return out;
}

static void start_polls(struct results_queue *queue)
{
	unsigned wanted = queue->started ? RESULTS_QUEUE_POLLS : 1;
	unsigned out = polls_out(queue);
	int err = 0;

	if (queue->held >= RESULTS_QUEUE_HELD || clock_timer_is_set(&queue->pause_timer))
		return;
	for (int i = 0; i < RESULTS_QUEUE_POLLS && out < wanted && err == 0; i++) {
		if (queue->polls[i].out)
			continue;
		err = start_poll(queue, &queue->polls[i]);
		out++;
	}
	if (err < 0) {
		pause_receives(queue);
		tell_trouble(queue, err, error_message(err));
	}
}

static void pause_over(struct clock_timer *timer)
{
	proceed(list_entry(timer, struct results_queue, pause_timer));
}

/* ---- the whole */

static bool is_empty(const struct results_queue *queue)
{
	for (int i = 0; i < DELETES_MAX; i++)
		if (queue->deletions[i].out)
			return false;
	return queue->held == 0 && polls_out(queue) == 0;
}

static void finish(struct clock_timer *timer)
{
	struct results_queue *queue = list_entry(timer, struct results_queue, finish_timer);

	if (queue->finished)
		return;
	queue->finished = true;
	queue->options.finished(queue->options.arg);
}

/* Whatever can be begun is. */
static void proceed(struct results_queue *queue)
{
	bool ending = queue->stopping || queue->drained;

	if (ending && polls_out(queue) == 0 && !list_is_empty(&queue->uncommitted))
		commit(queue);
	delete_committed(queue);
	if (!ending)
		start_polls(queue);
	else if (is_empty(queue) && !queue->finished)
		(void)clock_timer_after(queue->options.clock, &queue->finish_timer, 0);
}

int results_queue_new(const struct results_queue_options *options, struct results_queue **ret_queue)
{
	struct results_queue *queue = calloc(1, sizeof(*queue));

	if (queue == NULL)
		return ERR_NOMEM;
	queue->options = *options;
	queue->commit_timer.fire = commit_due;
	queue->pause_timer.fire = pause_over;
	queue->finish_timer.fire = finish;
	list_init(&queue->uncommitted);
	list_init(&queue->committed);
	for (int i = 0; i < RESULTS_QUEUE_POLLS; i++)
		queue->polls[i].queue = queue;
	for (int i = 0; i < DELETES_MAX; i++)
		queue->deletions[i].queue = queue;
	queue->started = options->once;
	*ret_queue = queue;
	return 0;
}

static void cancel(struct results_queue *queue, struct queue_call **call, bool *out)
{
	if (*out)
		queue->options.queue.ops->cancel(queue->options.queue.impl, *call);
	*call = NULL;
	*out = false;
}

static void cancel_polls(struct results_queue *queue)
{
	for (int i = 0; i < RESULTS_QUEUE_POLLS; i++)
		cancel(queue, &queue->polls[i].call, &queue->polls[i].out);
}

void results_queue_free(struct results_queue *queue)
{
	if (queue == NULL)
		return;
	cancel_polls(queue);
	for (int i = 0; i < DELETES_MAX; i++)
		cancel(queue, &queue->deletions[i].call, &queue->deletions[i].out);
	clock_timer_clear(queue->options.clock, &queue->commit_timer);
	clock_timer_clear(queue->options.clock, &queue->pause_timer);
	clock_timer_clear(queue->options.clock, &queue->finish_timer);
	drop_all(queue, &queue->uncommitted);
	drop_all(queue, &queue->committed);
	json_free(&queue->lines.json);
	free(queue);
}

void results_queue_start(struct results_queue *queue)
{
	proceed(queue);
}

void results_queue_stop(struct results_queue *queue)
{
	queue->stopping = true;
	cancel_polls(queue);
	proceed(queue);
}

struct results_queue_counts results_queue_counts(const struct results_queue *queue)
{
	struct results_queue_counts counts = queue->counts;

	counts.records = queue->lines.records;
	counts.broken = queue->lines.broken;
	return counts;
}
