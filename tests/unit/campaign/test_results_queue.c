/*
 * The results queue into the results database, against a fake queue in virtual time. What is
 * deleted must be in the database by then, as another reader sees it.
 */
#include "base/manual_clock.h"
#include "bunshin/error.h"
#include "campaign/results_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#define MESSAGES_MAX 4000
#define CALLS_MAX 64
#define LATENCY_US 5000
#define S ((uint64_t)1000000)

struct message {
	char body[400], handle[32], id[32];
	uint64_t visible_us;
	bool deleted;
	int deletes, receives;
};

/* A receive that waits, or a delete. */
struct call {
	struct clock_timer timer;
	queue_receive_done *received;
	queue_batch_done *deleted;
	void *arg;
	unsigned visibility_s;
	uint64_t until_us;
	int handles[QUEUE_BATCH_MAX];
	size_t count;
	bool used;
};

static struct {
	struct manual_clock manual;
	struct clock clock;
	struct message *messages;
	int count;
	struct call calls[CALLS_MAX];
	unsigned receives_out, most_receives, deletes_out, cancelled, open_batches;
	int receive_error, delete_error, start_error;
	struct results_queue *queue;
	struct results_db *db, *reader;
	char dir[64], path[96];
	/* what the owner is told */
	int troubles, trouble, poisoned, finished;
	char words[256], poison[64];
} w;

/* ---- the fake */

static struct call *new_call(void (*fire)(struct clock_timer *), void *arg)
{
	for (int i = 0; i < CALLS_MAX; i++)
		if (!w.calls[i].used) {
			w.calls[i] = (struct call){.used = true, .arg = arg};
			w.calls[i].timer.fire = fire;
			return &w.calls[i];
		}
	fail_msg("too many calls");
	return NULL;
}

static struct call *call_of(struct clock_timer *timer)
{
	return (struct call *)(void *)((char *)timer - offsetof(struct call, timer));
}

static void free_batch(struct queue_batch *batch)
{
	w.open_batches--;
	free(batch->messages);
	free(batch);
}

static struct queue_batch *take_visible(unsigned visibility_s)
{
	struct queue_batch *batch = calloc(1, sizeof(*batch));

	batch->messages = calloc(QUEUE_BATCH_MAX, sizeof(*batch->messages));
	batch->references = 1;
	batch->free = free_batch;
	w.open_batches++;
	for (int i = 0; i < w.count && batch->count < QUEUE_BATCH_MAX; i++) {
		struct message *m = &w.messages[i];

		if (m->deleted || m->visible_us > w.manual.now_us)
			continue;
		m->visible_us = w.manual.now_us + visibility_s * S;
		m->receives++;
		batch->messages[batch->count++] = (struct queue_message){.message_id = m->id,
			.receipt_handle = m->handle,
			.body = m->body,
			.body_bytes = strlen(m->body)};
	}
	return batch;
}

static void receive_over(struct clock_timer *timer)
{
	struct call *call = call_of(timer);
	struct queue_batch *batch = NULL;

	if (w.receive_error == 0) {
		batch = take_visible(call->visibility_s);
		if (batch->count == 0 && w.manual.now_us < call->until_us) {
			queue_batch_unref(batch);
			assert_int_equal(clock_timer_after(w.clock, timer, S / 10), 0);
			return;
		}
	}
	call->used = false;
	w.receives_out--;
	call->received(call->arg, w.receive_error, batch, w.receive_error ? "its words" : "");
}

static int fake_receive(void *impl, const struct queue_receive *params, queue_receive_done *done,
	void *arg, struct queue_call **ret_call)
{
	struct call *call;

	if (w.start_error)
		return w.start_error;
	call = new_call(receive_over, arg);
	call->received = done;
	call->visibility_s = params->visibility_s;
	call->until_us = w.manual.now_us + params->wait_s * S;
	if (++w.receives_out > w.most_receives)
		w.most_receives = w.receives_out;
	*ret_call = (struct queue_call *)(void *)call;
	return clock_timer_after(w.clock, &call->timer, LATENCY_US);
}

static void assert_is_kept(const struct message *m)
{
	struct result_record record;
	char key[32];

	if (sscanf(m->body, "{\"v\":1,\"outcome\":\"accepted\",\"key\":\"%31[^\"]", key) != 1)
		return; /* poisoned */
	assert_int_equal(results_db_find(w.reader, key, &record), 0);
}

static void delete_over(struct clock_timer *timer)
{
	struct call *call = call_of(timer);
	int results[QUEUE_BATCH_MAX];

	for (size_t i = 0; i < call->count; i++) {
		struct message *m = &w.messages[call->handles[i]];

		results[i] = w.delete_error;
		m->deletes++;
		m->deleted |= w.delete_error == 0;
	}
	call->used = false;
	w.deletes_out--;
	call->deleted(call->arg, results, call->count, "");
}

static int fake_delete(void *impl, const char *const handles[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct call *call = new_call(delete_over, arg);

	assert_in_range(count, 1, QUEUE_BATCH_MAX);
	call->deleted = done;
	call->count = count;
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(sscanf(handles[i], "handle-%d", &call->handles[i]), 1);
		assert_is_kept(&w.messages[call->handles[i]]);
	}
	w.deletes_out++;
	*ret_call = (struct queue_call *)(void *)call;
	return clock_timer_after(w.clock, &call->timer, LATENCY_US);
}

static void fake_cancel(void *impl, struct queue_call *queue_call)
{
	struct call *call = (struct call *)(void *)queue_call;

	assert_true(call->used);
	clock_timer_clear(w.clock, &call->timer);
	call->used = false;
	w.cancelled++;
	if (call->received)
		w.receives_out--;
	else
		w.deletes_out--;
}

static void put(const char *body)
{
	struct message *m = &w.messages[w.count];

	assert_true(w.count < MESSAGES_MAX);
	*m = (struct message){.visible_us = w.manual.now_us};
	snprintf(m->body, sizeof(m->body), "%s", body);
	snprintf(m->handle, sizeof(m->handle), "handle-%d", w.count);
	snprintf(m->id, sizeof(m->id), "id-%d", w.count++);
}

static void put_records(int from, int to)
{
	char body[200];

	for (int i = from; i < to; i++) {
		snprintf(body, sizeof(body),
			"{\"v\":1,\"outcome\":\"accepted\",\"key\":\"k%d\",\"campaign\":\"c\"}\n",
			i);
		put(body);
	}
}

/* ---- the owner */

static void on_trouble(void *arg, int err, const char *words)
{
	w.troubles++;
	w.trouble = err;
	snprintf(w.words, sizeof(w.words), "%s", words);
}

static void on_poisoned(void *arg, const char *message_id, const char *body, size_t body_bytes)
{
	w.poisoned++;
	snprintf(w.poison, sizeof(w.poison), "%s %.*s", message_id, (int)body_bytes, body);
}

static void on_finished(void *arg)
{
	w.finished++;
}

static void open_db(void)
{
	struct buf words = BUF_INIT(1000);

	if (results_db_open(w.path, false, &w.db, &words) != 0 ||
		results_db_open(w.path, true, &w.reader, &words) != 0)
		fail_msg("%s", buf_string(&words));
	buf_free(&words);
}

static void start(bool once)
{
	static const struct queue_ops ops = {
		.receive = fake_receive, .delete_batch = fake_delete, .cancel = fake_cancel};
	const struct results_queue_options options = {.queue = {&ops, NULL},
		.clock = w.clock,
		.db = w.db,
		.once = once,
		.trouble = on_trouble,
		.poisoned = on_poisoned,
		.finished = on_finished};

	assert_int_equal(results_queue_new(&options, &w.queue), 0);
	results_queue_start(w.queue);
}

static int enter(void **state)
{
	memset(&w, 0, sizeof(w));
	strcpy(w.dir, "/tmp/bunshin-resultsq-XXXXXX");
	if (mkdtemp(w.dir) == NULL)
		return -1;
	snprintf(w.path, sizeof(w.path), "%s/results.db", w.dir);
	manual_clock_init(&w.manual, 1, 0);
	w.clock = manual_clock_table(&w.manual);
	w.messages = calloc(MESSAGES_MAX, sizeof(*w.messages));
	open_db();
	return 0;
}

static int leave(void **state)
{
	char command[128];

	results_queue_free(w.queue);
	assert_int_equal(w.receives_out + w.deletes_out, 0);
	assert_int_equal(w.open_batches, 0);
	assert_false(manual_clock_step(&w.manual)); /* no timer is left */
	manual_clock_free(&w.manual);
	results_db_close(w.db);
	results_db_close(w.reader);
	free(w.messages);
	snprintf(command, sizeof(command), "rm -r %s", w.dir);
	return system(command);
}

static int undeleted(void)
{
	int left = 0;

	for (int i = 0; i < w.count; i++)
		left += !w.messages[i].deleted;
	return left;
}

static uint64_t accepted(void)
{
	struct results_tally tally;

	assert_int_equal(results_db_tally(w.reader, "c", &tally), 0);
	return tally.by_outcome[RESULT_ACCEPTED];
}

/* ---- tests */

static void what_comes_is_kept_then_deleted(void **state)
{
	put_records(0, 25);
	start(false);
	manual_clock_advance(&w.manual, 5 * S);
	assert_int_equal(accepted(), 25);
	assert_int_equal(undeleted(), 0);
	put_records(25, 26);
	manual_clock_advance(&w.manual, 5 * S);
	assert_int_equal(accepted(), 26);
	assert_int_equal(undeleted(), 0);
	assert_int_equal(results_queue_counts(w.queue).messages, 26);
	assert_int_equal(w.troubles, 0);
	assert_int_equal(w.finished, 0);
}

static void an_empty_queue_has_one_poll(void **state)
{
	start(false);
	manual_clock_advance(&w.manual, 100 * S);
	assert_int_equal(w.most_receives, 1);
	assert_in_range(results_queue_counts(w.queue).receives, 5, 6);
	put_records(0, 100);
	manual_clock_advance(&w.manual, 10 * S);
	assert_int_equal(w.most_receives, RESULTS_QUEUE_POLLS);
	assert_int_equal(undeleted(), 0);
	manual_clock_advance(&w.manual, 100 * S);
	assert_int_equal(w.receives_out, 1);
}

static void poison_is_counted_told_once_and_deleted(void **state)
{
	start(false);
	put("hello");
	put("");
	put("{\"v\":2}\n");
	put("nonsense\n{\"v\":1,\"outcome\":\"failed\",\"key\":\"x\",\"campaign\":\"c\"}");
	put_records(0, 1);
	manual_clock_advance(&w.manual, 5 * S);
	assert_int_equal(undeleted(), 0);
	assert_int_equal(w.poisoned, 1);
	assert_string_equal(w.poison, "id-0 hello");
	assert_int_equal(results_queue_counts(w.queue).poisoned, 3);
	assert_int_equal(results_queue_counts(w.queue).broken, 3);
	assert_int_equal(results_queue_counts(w.queue).records, 2);
}

static void a_delete_that_fails_is_made_again_after_the_next_receive(void **state)
{
	put_records(0, 15);
	start(false);
	w.delete_error = ERR_UNAVAILABLE;
	manual_clock_advance(&w.manual, 10 * S);
	assert_int_equal(undeleted(), 15);
	assert_int_equal(accepted(), 15);
	w.delete_error = 0;
	manual_clock_advance(&w.manual, 60 * S);
	assert_int_equal(undeleted(), 0);
	assert_int_equal(accepted(), 15);
	assert_true(w.messages[0].receives >= 2);
}

static void receives_that_fail_pause_and_go_on(void **state)
{
	w.receive_error = ERR_CONNECT;
	start(false);
	manual_clock_advance(&w.manual, 10 * S);
	assert_int_equal(w.trouble, ERR_CONNECT);
	assert_string_equal(w.words, "its words");
	assert_in_range(results_queue_counts(w.queue).receives, 5, 11);
	w.receive_error = 0;
	w.start_error = ERR_LIMIT;
	manual_clock_advance(&w.manual, 30 * S);
	assert_int_equal(w.trouble, ERR_LIMIT);
	w.start_error = 0;
	put_records(0, 3);
	manual_clock_advance(&w.manual, 30 * S);
	assert_int_equal(w.trouble, 0);
	assert_int_equal(undeleted(), 0);
}

static void once_ends_when_all_is_read(void **state)
{
	put_records(0, 333);
	start(true);
	manual_clock_advance(&w.manual, 20 * S);
	assert_int_equal(w.finished, 1);
	assert_int_equal(undeleted(), 0);
	assert_int_equal(accepted(), 333);
	assert_int_equal(w.receives_out, 0);
	put_records(333, 334);
	manual_clock_advance(&w.manual, 60 * S);
	assert_int_equal(undeleted(), 1);
	assert_int_equal(w.finished, 1);
}

static void once_ends_although_results_keep_coming(void **state)
{
	start(true);
	for (int i = 0; i < 200 && !w.finished; i++) {
		manual_clock_advance(&w.manual, 900000);
		put_records(i, i + 1);
	}
	assert_int_equal(w.finished, 1);
	assert_true(w.count < 10);
}

static void once_ends_when_it_cannot_be_read(void **state)
{
	w.receive_error = ERR_QUEUE_MISSING;
	start(true);
	manual_clock_advance(&w.manual, 5 * S);
	assert_int_equal(w.finished, 1);
	assert_int_equal(w.trouble, ERR_QUEUE_MISSING);
}

static void a_stop_keeps_what_was_received(void **state)
{
	put_records(0, 30);
	start(false);
	manual_clock_advance(&w.manual, LATENCY_US + 1); /* received, not committed */
	assert_int_equal(accepted(), 0);
	results_queue_stop(w.queue);
	assert_int_equal(w.finished, 0); /* not from inside the call */
	manual_clock_advance(&w.manual, S);
	assert_int_equal(w.finished, 1);
	assert_int_equal(accepted(), 30 - undeleted());
	assert_true(accepted() >= 10);
}

static void a_stop_of_an_idle_one_ends_at_once(void **state)
{
	start(false);
	manual_clock_advance(&w.manual, 3 * S);
	results_queue_stop(w.queue);
	manual_clock_advance(&w.manual, 1);
	assert_int_equal(w.finished, 1);
	assert_int_equal(w.cancelled, 1);
}

/* As of a process that dies: nothing is committed, nothing deleted; it all comes again. */
static void what_was_not_committed_comes_again(void **state)
{
	put_records(0, 30);
	start(false);
	manual_clock_advance(&w.manual, LATENCY_US + 1);
	results_queue_free(w.queue);
	results_db_close(w.db);
	results_db_close(w.reader);
	open_db();
	assert_int_equal(accepted(), 0);
	assert_int_equal(undeleted(), 30);
	start(false);
	manual_clock_advance(&w.manual, 60 * S);
	assert_int_equal(accepted(), 30);
	assert_int_equal(undeleted(), 0);
}

/* Another process holds the database's write lock: nothing is deleted meanwhile. */
static void what_cannot_be_committed_is_not_deleted(void **state)
{
	sqlite3 *other;

	put_records(0, 5);
	assert_int_equal(sqlite3_open(w.path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	start(false);
	manual_clock_advance(&w.manual, S / 2); /* a real wait: the busy timeout */
	assert_int_equal(w.trouble, ERR_IO);
	assert_string_equal(w.words, "cannot write the results: database is locked");
	assert_int_equal(undeleted(), 5);
	sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(other);
	manual_clock_advance(&w.manual, 60 * S);
	assert_int_equal(w.trouble, 0);
	assert_int_equal(accepted(), 5);
	assert_int_equal(undeleted(), 0);
}

static void many_messages_stay_within_bounds(void **state)
{
	put_records(0, 3000);
	start(false);
	manual_clock_advance(&w.manual, 60 * S);
	assert_int_equal(undeleted(), 0);
	assert_int_equal(accepted(), 3000);
	for (int i = 0; i < w.count; i++)
		assert_int_equal(w.messages[i].receives, 1);
	assert_int_equal(results_queue_counts(w.queue).deletes, 300);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
	const struct CMUnitTest tests[] = {
		TEST(what_comes_is_kept_then_deleted),
		TEST(an_empty_queue_has_one_poll),
		TEST(poison_is_counted_told_once_and_deleted),
		TEST(a_delete_that_fails_is_made_again_after_the_next_receive),
		TEST(receives_that_fail_pause_and_go_on),
		TEST(once_ends_when_all_is_read),
		TEST(once_ends_although_results_keep_coming),
		TEST(once_ends_when_it_cannot_be_read),
		TEST(a_stop_keeps_what_was_received),
		TEST(a_stop_of_an_idle_one_ends_at_once),
		TEST(what_was_not_committed_comes_again),
		TEST(what_cannot_be_committed_is_not_deleted),
		TEST(many_messages_stay_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
