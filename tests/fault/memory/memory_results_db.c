/* Results of campaigns: the database, what fills it, what is shown of it. */
#include "reach_sqlite.h"
#include "sweep.h"

#include "base/manual_clock.h"
#include "bunshin/error.h"
#include "campaign/results_db.h"
#include "campaign/results_logs.h"
#include "campaign/results_queue.h"
#include "campaign/tally_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEYS 3

static char dir[64], path[96], log_path[96];
static const char lines[] =
	"{\"v\":1,\"outcome\":\"retrying\",\"key\":\"k0\",\"campaign\":\"c\",\"reason\":\"slow\"}\n"
	"{\"v\":1,\"outcome\":\"accepted\",\"key\":\"k1\",\"campaign\":\"c\",\"last\":5}\n"
	"nonsense\n"
	"{\"v\":1,\"worker\":\"h:1\",\"at\":7,\"limit\":\"rate\"}\n"
	"{\"v\":1,\"outcome\":\"failed\",\"key\":\"k0\",\"campaign\":\"c\",\"reason\":\"no\"}\n";

static int enter(void **state)
{
	FILE *file;

	strcpy(dir, "/tmp/bunshin-memory-XXXXXX");
	if (!reach_sqlite() || !sqlite_never_sync() || mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/results.db", dir);
	snprintf(log_path, sizeof(log_path), "%s/outcomes-0.jsonl", dir);
	file = fopen(log_path, "w");
	if (file == NULL)
		return -1;
	fputs(lines, file);
	return fclose(file);
}

static void remove_db(void)
{
	static const char *const endings[] = {"", "-wal", "-shm", ".lock"};
	char name[128];

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", path, endings[i]);
		unlink(name);
	}
}

static int leave(void **state)
{
	remove_db();
	unlink(log_path);
	if (rmdir(dir) < 0)
		return -1;
	return sqlite3_shutdown();
}

static struct results_db *open_undisturbed(void)
{
	struct buf words = BUF_INIT(1000);
	struct results_db *db = NULL;

	assert_int_equal(results_db_open(path, false, &db, &words), 0);
	buf_free(&words);
	return db;
}

static uint64_t keys_of(struct results_db *db)
{
	struct results_tally tally;
	uint64_t keys = 0;

	assert_int_equal(results_db_tally(db, "c", &tally), 0);
	for (int i = 0; i < RESULT_OUTCOMES; i++)
		keys += tally.by_outcome[i];
	return keys;
}

/* ---- the database */

static int fill(struct results_db *db, struct buf *words)
{
	int err = 0, committed;

	for (int i = 0; i < 2 * KEYS && err == 0; i++) {
		char key[16];
		struct result_record record = {
			.outcome = i < KEYS ? RESULT_RETRYING : RESULT_FAILED,
			.key = key,
			.campaign = "c",
			.destination = "line",
			.message_id = "",
			.reason = "no answer",
			.request_id = "r",
			.last_epoch_ms = i};

		snprintf(key, sizeof(key), "k%d", i % KEYS);
		err = results_db_add(db, &record);
	}
	committed = results_db_commit(db, words);
	assert_int_equal(err < 0 && committed == 0, false);
	return committed;
}

/* All or nothing, and then all. */
static int write_records(const void *arg)
{
	struct buf words = BUF_INIT(1000), again = BUF_INIT(1000);
	struct results_db *db = open_undisturbed();
	int err;

	sweep_on();
	err = fill(db, &words);
	sweep_off();
	assert_int_equal(keys_of(db), err == 0 ? KEYS : 0);
	assert_int_equal(fill(db, &again), 0);
	results_db_close(db);
	db = open_undisturbed();
	assert_int_equal(fill(db, &again), 0);
	assert_int_equal(keys_of(db), KEYS);
	results_db_close(db);
	buf_free(&words);
	buf_free(&again);
	remove_db();
	return err;
}

static void count_reasons(void *arg, const struct results_reason *reason)
{
	*(uint64_t *)arg += reason->count;
}

static int ask(struct results_db *db)
{
	struct results_tally tally;
	struct result_record record;
	uint64_t counted = 0, curve[3], other;
	int64_t median;
	int err = results_db_tally(db, "c", &tally);

	if (err == 0) {
		assert_int_equal(tally.by_outcome[RESULT_FAILED], KEYS);
		err = results_db_find(db, "k1", &record);
	}
	if (err == 0) {
		assert_string_equal(record.reason, "no answer");
		err = results_db_each_reason(db, "c", 5, count_reasons, &counted);
	}
	if (err == 0) {
		assert_int_equal(counted, KEYS);
		err = results_db_curve(db, "c", 0, 100, curve, 3);
	}
	if (err == 0)
		err = results_db_quantile(db, "c", 1, 2, &median);
	return err < 0 ? err : results_db_count_ended(db, "c", 0, 100, &counted, &other);
}

static int read_records(const void *arg)
{
	struct buf words = BUF_INIT(1000);
	struct results_db *db = open_undisturbed(), *reader = NULL;
	int err;

	assert_int_equal(fill(db, &words), 0);
	results_db_close(db);
	sweep_on();
	err = results_db_open(path, true, &reader, &words);
	if (err == 0)
		err = ask(reader);
	sweep_off();
	results_db_close(reader);
	buf_free(&words);
	remove_db();
	return err;
}

/* ---- what fills it */

static int read_logs(const void *arg)
{
	struct buf words = BUF_INIT(1000);
	struct results_db *db = open_undisturbed();
	struct results_logs *logs = NULL;
	bool more = false;
	int err;

	sweep_on();
	err = results_logs_new(dir, db, &logs);
	if (err == 0)
		err = results_logs_read(logs, &more, &words);
	sweep_off();
	/* The directory is opened by libc, which says so in its own way. */
	if (err == ERR_IO && sweep_has_failed())
		err = ERR_NOMEM;
	results_logs_free(logs);
	logs = NULL;
	assert_int_equal(results_logs_new(dir, db, &logs), 0);
	assert_int_equal(results_logs_read(logs, &more, &words), 0);
	assert_int_equal(keys_of(db), 2);
	results_logs_free(logs);
	results_db_close(db);
	buf_free(&words);
	remove_db();
	return err;
}

/* A queue of one message that is handed out until it is deleted. */
static struct {
	struct manual_clock clock;
	struct clock_timer receive, delete;
	queue_receive_done *received;
	queue_batch_done *deleted;
	void *receive_arg, *delete_arg;
	size_t delete_count;
	struct queue_message message;
	struct queue_batch batch;
	bool gone;
	int trouble;
	bool finished;
} q;

static void free_batch(struct queue_batch *batch)
{
}

static void receive_over(struct clock_timer *timer)
{
	q.batch = (struct queue_batch){.messages = &q.message,
		.count = q.gone ? 0 : 1,
		.references = 1,
		.free = free_batch};
	q.received(q.receive_arg, 0, &q.batch, "");
}

static int fake_receive(void *impl, const struct queue_receive *params, queue_receive_done *done,
	void *arg, struct queue_call **ret_call)
{
	if (clock_timer_is_set(&q.receive))
		return ERR_LIMIT; /* one poll is enough here */
	q.received = done;
	q.receive_arg = arg;
	*ret_call = (struct queue_call *)(void *)&q.receive;
	return clock_timer_after(manual_clock_table(&q.clock), &q.receive, 1000);
}

static void delete_over(struct clock_timer *timer)
{
	static const int results[QUEUE_BATCH_MAX];

	q.gone = true;
	q.deleted(q.delete_arg, results, q.delete_count, "");
}

static int fake_delete(void *impl, const char *const handles[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	if (clock_timer_is_set(&q.delete))
		return ERR_LIMIT;
	q.delete_count = count;
	q.deleted = done;
	q.delete_arg = arg;
	*ret_call = (struct queue_call *)(void *)&q.delete;
	return clock_timer_after(manual_clock_table(&q.clock), &q.delete, 1000);
}

static void fake_cancel(void *impl, struct queue_call *call)
{
	clock_timer_clear(manual_clock_table(&q.clock), (struct clock_timer *)(void *)call);
}

static void on_trouble(void *arg, int err, const char *words)
{
	if (err == ERR_NOMEM)
		q.trouble = err;
}

static void on_poisoned(void *arg, const char *message_id, const char *body, size_t body_bytes)
{
	fail_msg("poison: %s", body);
}

static void on_finished(void *arg)
{
	q.finished = true;
}

static int read_queue(const void *arg)
{
	static const struct queue_ops ops = {
		.receive = fake_receive, .delete_batch = fake_delete, .cancel = fake_cancel};
	struct results_db *db = open_undisturbed();
	struct results_queue *queue = NULL;
	struct results_queue_options options = {.queue = {&ops, NULL},
		.db = db,
		.trouble = on_trouble,
		.poisoned = on_poisoned,
		.finished = on_finished};
	int err;

	memset(&q, 0, sizeof(q));
	manual_clock_init(&q.clock, 1, 0);
	options.clock = manual_clock_table(&q.clock);
	q.receive.fire = receive_over;
	q.delete.fire = delete_over;
	q.message = (struct queue_message){.message_id = "m",
		.receipt_handle = "h",
		.body = lines,
		.body_bytes = sizeof(lines) - 1};
	sweep_on();
	err = results_queue_new(&options, &queue);
	if (err == 0) {
		results_queue_start(queue);
		manual_clock_advance(&q.clock, 3000000);
	}
	sweep_off();
	/* Deleted is only what is in the database; and with memory it goes on. */
	if (q.gone)
		assert_int_equal(keys_of(db), 2);
	if (err == 0)
		err = q.trouble;
	results_queue_free(queue);
	while (manual_clock_step(&q.clock))
		;
	manual_clock_free(&q.clock);
	results_db_close(db);
	remove_db();
	return err;
}

/* ---- what is shown */

static int show(const void *arg)
{
	static const struct tally_view view = {.campaign = "c",
		.tally = {.total = 10, .accepted = 10, .workers = 1},
		.deadline_epoch_ms = 5,
		.has_journal = true,
		.source = "queue",
		.reason_count = 1};
	struct buf out = BUF_INIT(65536);
	int err;

	sweep_on();
	err = tally_print_screen(&view, 79, 30, true, &out);
	if (err == 0)
		err = tally_print_json(&view, &out);
	if (err == 0)
		err = tally_print_sentence(&view, &out);
	sweep_off();
	buf_free(&out);
	return err;
}

int main(void)
{
	/* One after the other is thousands of runs already. */
	static const unsigned long single[] = {1, 0};
	static const struct sweep table[] = {
		SWEEP("results: written", write_records, .degrades = true, .stretches = single),
		SWEEP("results: opened and read", read_records, .degrades = true,
			.stretches = single),
		SWEEP("results: from logs", read_logs, .degrades = true),
		SWEEP("results: from a queue", read_queue, .degrades = true),
		SWEEP("results: shown", show, .degrades = true),
	};

	return SWEEP_TABLE("results", table, enter, leave);
}
