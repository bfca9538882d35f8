/* The store by itself: what it keeps, what it costs, what it refuses to open. */
#include "bunshin/error.h"
#include "localq/store_private.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW INT64_C(1767225600000)

static char dir[64];
static char detail[STORE_DETAIL_MAX];

static int make_dir(void **state)
{
	strcpy(dir, "/tmp/bunshin-store-XXXXXX");
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"queue.db", "queue.db-wal", "queue.db-shm", "lock"};
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

static struct store *open_store(const char *path)
{
	struct store *store = NULL;

	if (store_open(path, STORE_SYNC_NORMAL, &store, detail) != 0)
		fail_msg("%s", detail);
	assert_int_equal(store_begin(store), 0);
	return store;
}

static void commit(struct store *store)
{
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(store_begin(store), 0);
}

static struct store_queue *create(struct store *store, const char *name)
{
	struct queue_attributes attributes = {{NULL}};
	struct store_queue *queue = NULL;

	assert_int_equal(store_queue_create(store, name, &attributes, NOW, &queue), 0);
	return queue;
}

static void send_at(struct store *store, struct store_queue *queue, const char *body, int64_t now,
	int64_t delay_ms)
{
	struct store_message message = {
		.body = body, .body_bytes = strlen(body), .sent_ms = now, .message_id = "id"};
	struct store_sent sent;

	assert_int_equal(store_send(store, queue, &message, now, delay_ms, &sent), 0);
	assert_memory_equal(sent.message_id, message.message_id, 16);
}

struct taken {
	int64_t id;
	uint32_t receives;
	char body[16];
};

struct takings {
	struct taken taken[10];
	size_t count;
};

static int take(void *arg, const struct store_message *message)
{
	struct takings *takings = arg;
	struct taken *taken = &takings->taken[takings->count++];

	taken->id = message->id;
	taken->receives = message->receives;
	snprintf(taken->body, sizeof(taken->body), "%s", message->body);
	return 0;
}

static struct takings receive_at(
	struct store *store, struct store_queue *queue, size_t max, int64_t now)
{
	struct takings takings = {.count = 0};
	struct store_received received;

	assert_int_equal(
		store_receive(store, queue, max, 30000, now, take, &takings, &received), 0);
	assert_int_equal(received.count, takings.count);
	return takings;
}

static void assert_counts(struct store *store, struct store_queue *queue, int64_t now,
	int64_t visible, int64_t in_flight, int64_t delayed)
{
	struct store_counts counts;

	assert_int_equal(store_count(store, queue, now, &counts), 0);
	assert_int_equal(counts.visible, visible);
	assert_int_equal(counts.in_flight, in_flight);
	assert_int_equal(counts.delayed, delayed);
}

static void what_was_committed_is_there_again(void **state)
{
	struct queue_attributes attributes = {{NULL}};
	struct store *store = open_store(dir);
	struct store_queue *queue;
	uint8_t key[HANDLE_KEY_BYTES];
	uint32_t lane;

	queue_attribute_set(&attributes, QUEUE_ATTRIBUTE_VISIBILITY_TIMEOUT, "77");
	queue_attribute_set(&attributes, QUEUE_ATTRIBUTE_POLICY, "{}");
	assert_int_equal(store_queue_create(store, "q", &attributes, NOW, &queue), 0);
	assert_int_equal(store_queue_tag(store, queue, "a", "b"), 0);
	create(store, "r");
	for (int i = 0; i < 5; i++)
		send_at(store, queue, "x", NOW, i == 4 ? 10000 : 0);
	receive_at(store, queue, 2, NOW + 1);
	assert_int_equal(store_queue_purge(store, store_queue_find(store, "r"), NOW + 2), 0);
	lane = store_queue_find(store, "r")->lane;
	memcpy(key, store_handle_key(store), sizeof(key));
	commit(store);
	send_at(store, queue, "not committed", NOW, 0);
	store_close(store);

	store = open_store(dir);
	assert_memory_equal(store_handle_key(store), key, sizeof(key));
	queue = store_queue_find(store, "q");
	assert_non_null(queue);
	assert_int_equal(queue->created_ms, NOW);
	assert_int_equal(queue->visibility_ms, 77000);
	assert_string_equal(queue->attributes.set[QUEUE_ATTRIBUTE_POLICY], "{}");
	assert_counts(store, queue, NOW + 2, 2, 2, 1);
	queue = store_queue_find(store, "r");
	assert_int_equal(queue->lane, lane);
	assert_int_equal(queue->purged_ms, NOW + 2);
	store_close(store);
}

static void nothing_of_an_aborted_turn_is_there(void **state)
{
	struct store *store = open_store(NULL);
	struct store_queue *queue = create(store, "q");

	send_at(store, queue, "a", NOW, 0);
	send_at(store, queue, "b", NOW, 0);
	create(store, "gone");
	commit(store);
	send_at(store, queue, "c", NOW, 0);
	receive_at(store, queue, 1, NOW);
	create(store, "new");
	assert_int_equal(store_queue_delete(store, store_queue_find(store, "gone"), NOW, 1), 0);
	assert_int_equal(store_queue_purge(store, queue, NOW), 0);
	store_abort(store);
	assert_int_equal(store_begin(store), 0);
	assert_null(store_queue_find(store, "new"));
	assert_non_null(store_queue_find(store, "gone"));
	queue = store_queue_find(store, "q");
	assert_counts(store, queue, NOW, 2, 0, 0);
	assert_int_equal(receive_at(store, queue, 10, NOW).count, 2);
	store_close(store);
}

/* An old handle must never fit a new message: neither after a delete nor after a restart. */
static void row_ids_are_never_given_out_twice(void **state)
{
	int64_t last = 0;

	for (int round = 0; round < 4; round++) {
		struct store *store = open_store(dir);
		struct store_queue *queue = store_queue_find(store, "q");

		if (queue == NULL)
			queue = create(store, "q");
		for (int i = 0; i < 3; i++) {
			struct takings takings;
			struct handle handle = {0};
			bool expired;

			send_at(store, queue, "x", NOW, 0);
			takings = receive_at(store, queue, 1, NOW);
			assert_int_equal(takings.count, 1);
			assert_true(takings.taken[0].id > last);
			last = takings.taken[0].id;
			handle = (struct handle){last, NOW, queue->lane, 1};
			assert_int_equal(store_delete(store, queue, &handle, NOW, &expired), 0);
			assert_counts(store, queue, NOW, 0, 0, 0);
			if (round == 1) {
				/* an aborted turn's ids are not used again either */
				commit(store);
				send_at(store, queue, "x", NOW, 0);
				store_abort(store);
				assert_int_equal(store_begin(store), 0);
				queue = store_queue_find(store, "q");
				last++;
			}
		}
		commit(store);
		store_close(store);
	}
}

static void a_second_process_gets_a_clear_error(void **state)
{
	struct store *store = open_store(dir), *second = NULL;

	assert_int_equal(store_open(dir, STORE_SYNC_NORMAL, &second, detail), ERR_LIMIT);
	assert_null(second);
	assert_non_null(strstr(detail, dir));
	assert_non_null(strstr(detail, "in use by another bunshin queue"));
	store_close(store);
	store_close(open_store(dir));
}

static void a_database_of_a_newer_version_is_left_alone(void **state)
{
	struct store *store = open_store(dir);

	commit(store);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(
		sqlite3_exec(store->db, "PRAGMA user_version=1000", NULL, NULL, NULL), SQLITE_OK);
	store_close(store);
	assert_int_equal(store_open(dir, STORE_SYNC_NORMAL, &store, detail), ERR_CONFIG);
	assert_non_null(strstr(detail, "newer version"));
}

static void what_is_no_database(void **state)
{
	struct store *store = NULL;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/queue.db", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	for (int i = 0; i < 1000; i++)
		fputs("this is not a database\n", file);
	fclose(file);
	assert_int_equal(store_open(dir, STORE_SYNC_NORMAL, &store, detail), ERR_STORE);
	assert_non_null(strstr(detail, "not a database"));
	assert_int_equal(store_open("/proc/nope/dir", STORE_SYNC_NORMAL, &store, detail), ERR_IO);
	assert_non_null(strstr(detail, "/proc/nope/dir"));
	for (size_t len = PATH_MAX - 20; len < PATH_MAX + 5; len++) {
		char *deep = test_malloc(len + 1);

		memset(deep, '/', len);
		deep[len] = '\0';
		memcpy(deep, "/proc", 5);
		assert_int_equal(store_open(deep, STORE_SYNC_NORMAL, &store, detail), ERR_IO);
		test_free(deep);
	}
	assert_null(store);
}

/* No statement reads more of the messages than it needs. */
static void every_statement_on_messages_uses_an_index(void **state)
{
	static const char *const names[] = {
#define X(id, sql) #id,
		STORE_STATEMENT_LIST(X)
#undef X
	};
	struct store *store = open_store(NULL);
	int checked = 0;

	for (int i = 0; i < STORE_STATEMENTS; i++) {
		const char *sql = sqlite3_sql(store->statements[i]);
		char explain[1024];
		sqlite3_stmt *plan;

		if (strstr(sql, " messages ") == NULL || i == STORE_MESSAGE_INSERT)
			continue;
		snprintf(explain, sizeof(explain), "EXPLAIN QUERY PLAN %s", sql);
		assert_int_equal(
			sqlite3_prepare_v2(store->db, explain, -1, &plan, NULL), SQLITE_OK);
		while (sqlite3_step(plan) == SQLITE_ROW) {
			const char *step = (const char *)sqlite3_column_text(plan, 3);

			if (strncmp(step, "SCAN messages", 13) == 0 ||
				strstr(step, "TEMP B-TREE") != NULL)
				fail_msg("%s: %s", names[i], step);
		}
		sqlite3_finalize(plan);
		checked++;
	}
	assert_true(checked >= 9);
	store_close(store);
}

static void counts_of_every_state(void **state)
{
	struct store *store = open_store(NULL);
	struct store_queue *queue = create(store, "q"), *other = create(store, "r");
	struct takings takings;
	struct handle handle;
	enum store_change change;

	for (int i = 0; i < 7; i++)
		send_at(store, queue, "x", NOW, i < 2 ? 5000 : 0);
	send_at(store, other, "x", NOW, 0);
	assert_counts(store, queue, NOW, 5, 0, 2);
	takings = receive_at(store, queue, 3, NOW);
	assert_counts(store, queue, NOW, 2, 3, 2);
	assert_counts(store, queue, NOW + 5000, 4, 3, 0);
	assert_counts(store, queue, NOW + 30000, 7, 0, 0);
	handle = (struct handle){takings.taken[0].id, NOW, queue->lane, 1};
	assert_int_equal(store_change_visibility(store, queue, &handle, NOW, NOW, &change), 0);
	assert_int_equal(change, STORE_CHANGED);
	assert_counts(store, queue, NOW, 3, 2, 2);
	assert_int_equal(store_change_visibility(store, queue, &handle, NOW + 1, NOW, &change), 0);
	assert_int_equal(change, STORE_CHANGED);
	assert_counts(store, queue, NOW, 2, 3, 2);
	handle.receives = 2;
	assert_int_equal(store_change_visibility(store, queue, &handle, NOW, NOW, &change), 0);
	assert_int_equal(change, STORE_CHANGE_GONE);
	assert_counts(store, other, NOW, 1, 0, 0);
	store_close(store);
}

/* As when there is no memory to write the second message. */
static int take_one(void *arg, const struct store_message *message)
{
	struct takings *takings = arg;

	return takings->count > 0 ? ERR_NOMEM : take(arg, message);
}

/* A receive that could not give its messages away has passed none of them. */
static void a_receive_that_fails_loses_nothing(void **state)
{
	struct store *store = open_store(NULL);
	struct store_queue *queue = create(store, "q");
	struct takings takings = {.count = 0};
	struct store_received received;

	for (int i = 0; i < 3; i++)
		send_at(store, queue, (const char *[]){"a", "b", "c"}[i], NOW, 0);
	assert_int_equal(store_receive(store, queue, 10, 30000, NOW, take_one, &takings, &received),
		ERR_NOMEM);
	assert_counts(store, queue, NOW, 3, 0, 0);
	takings = receive_at(store, queue, 10, NOW);
	assert_int_equal(takings.count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(takings.taken[i].body[0], "abc"[i]);
	store_close(store);
}

/* One that is hidden again is in flight again, whenever they were counted. */
static void hidden_again_counts_for_the_limit(void **state)
{
	struct store *store = open_store(NULL);
	struct store_queue *queue = create(store, "q");
	struct takings takings;
	struct handle handle;
	enum store_change change;
	bool over;

	send_at(store, queue, "x", NOW, 0);
	takings = receive_at(store, queue, 1, NOW);
	assert_int_equal(store_is_over_limit(store, queue, 1, NOW + 30000, &over), 0);
	assert_false(over);
	handle = (struct handle){takings.taken[0].id, NOW, queue->lane, 1};
	assert_int_equal(
		store_change_visibility(store, queue, &handle, NOW + 40000, NOW + 30000, &change),
		0);
	assert_int_equal(store_is_over_limit(store, queue, 1, NOW + 39999, &over), 0);
	assert_true(over);
	store_close(store);
}

static void next_visible(void **state)
{
	struct store *store = open_store(NULL);
	struct store_queue *queue = create(store, "q");
	int64_t next;

	assert_int_equal(store_next_visible(store, queue, NOW, &next), 0);
	assert_true(next == INT64_MAX);
	send_at(store, queue, "x", NOW, 0);
	assert_int_equal(store_next_visible(store, queue, NOW, &next), 0);
	assert_true(next == INT64_MAX);
	send_at(store, queue, "x", NOW, 9000);
	send_at(store, queue, "x", NOW, 5000);
	assert_int_equal(store_next_visible(store, queue, NOW, &next), 0);
	assert_true(next == NOW + 5000);
	assert_int_equal(store_next_visible(store, queue, NOW + 5000, &next), 0);
	assert_true(next == NOW + 9000);
	store_close(store);
}

static int64_t rows(struct store *store)
{
	sqlite3_stmt *statement;
	int64_t count;

	assert_int_equal(store_settle(store), 0);
	assert_int_equal(sqlite3_prepare_v2(
				 store->db, "SELECT count(*) FROM messages", -1, &statement, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	count = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return count;
}

static void sweeping_is_done_in_slices(void **state)
{
	struct store *store = open_store(NULL);
	struct store_queue *queue = create(store, "q"), *kept = create(store, "kept");
	int64_t left = 1000;
	bool more = true;

	for (int i = 0; i < 1000; i++)
		send_at(store, queue, "x", NOW, 0);
	send_at(store, kept, "x", NOW, 0);
	assert_int_equal(store_queue_purge(store, queue, NOW), 0);
	send_at(store, queue, "after", NOW, 0);
	assert_int_equal(rows(store), 1002);
	while (left > 0) {
		assert_true(more);
		assert_int_equal(store_sweep(store, NOW, 300, &more), 0);
		left = left > 300 ? left - 300 : 0;
		assert_int_equal(rows(store), left + 2);
	}
	while (more)
		assert_int_equal(store_sweep(store, NOW, 300, &more), 0);
	assert_int_equal(rows(store), 2);
	assert_counts(store, queue, NOW, 1, 0, 0);
	assert_int_equal(store_queue_delete(store, queue, NOW, 60000), 0);
	do
		assert_int_equal(store_sweep(store, NOW, 300, &more), 0);
	while (more);
	assert_int_equal(rows(store), 1);
	store_close(store);
}

static void sweeping_finds_the_expired(void **state)
{
	struct store *store = open_store(NULL);
	struct store_queue *queue = create(store, "q");
	int64_t end = NOW + queue->retention_ms;
	bool more;

	for (int i = 0; i < 5; i++)
		send_at(store, queue, "x", NOW + i, 0);
	assert_int_equal(store_sweep(store, end - 1, 100, &more), 0);
	assert_counts(store, queue, end - 1, 5, 0, 0);
	assert_int_equal(store_sweep(store, end + 2, 2, &more), 0);
	assert_true(more);
	assert_counts(store, queue, end, 3, 0, 0);
	assert_int_equal(store_sweep(store, end + 2, 2, &more), 0);
	assert_false(more);
	assert_counts(store, queue, end, 2, 0, 0);
	store_close(store);
}

static void limit_of_messages_in_flight(void **state)
{
	struct store *store = open_store(NULL);
	struct store_queue *queue = create(store, "q");
	struct handle handle;
	bool expired;
	struct takings takings;
	bool over;

	for (int i = 0; i < 30; i++)
		send_at(store, queue, "x", NOW, 0);
	for (int i = 0; i < 2; i++) {
		takings = receive_at(store, queue, 10, NOW);
		assert_int_equal(store_is_over_limit(store, queue, 21, NOW, &over), 0);
		assert_false(over);
	}
	assert_int_equal(store_is_over_limit(store, queue, 20, NOW, &over), 0);
	assert_true(over);
	handle = (struct handle){takings.taken[0].id, NOW, queue->lane, 1};
	assert_int_equal(store_delete(store, queue, &handle, NOW, &expired), 0);
	assert_int_equal(store_is_over_limit(store, queue, 20, NOW, &over), 0);
	assert_false(over);
	/* what becomes visible by itself is noticed, too */
	receive_at(store, queue, 10, NOW + 1);
	assert_int_equal(store_is_over_limit(store, queue, 20, NOW + 29999, &over), 0);
	assert_true(over);
	assert_int_equal(store_is_over_limit(store, queue, 20, NOW + 30100, &over), 0);
	assert_false(over);
	store_close(store);
}

static void nothing_works_outside_a_transaction(void **state)
{
	struct store *store = open_store(NULL);
	struct store_queue *queue = create(store, "q");
	struct store_message message = {.body = "x", .body_bytes = 1};
	struct store_sent sent;
	struct store_received received;
	struct takings takings = {.count = 0};

	assert_int_equal(store_commit(store), 0);
	assert_int_equal(store_send(store, queue, &message, NOW, 0, &sent), ERR_STORE);
	assert_int_equal(
		store_receive(store, queue, 1, 0, NOW, take, &takings, &received), ERR_STORE);
	assert_int_equal(store_commit(store), 0);
	store_close(store);
}

/* A copy that runs beside the writer never finds everything copied: it must hold the writer back.
 */
static void the_log_begins_anew_under_constant_writing(void **state)
{
	struct store *store = open_store(dir);
	struct store_queue *queue = create(store, "q");
	static char body[3000];
	int longest = 0, anew = 0;

	memset(body, 'x', sizeof(body) - 1);
	commit(store);
	while (anew < 3) {
		int before = store->log_frames;

		for (int i = 0; i < 20; i++)
			send_at(store, queue, body, NOW, 0);
		commit(store);
		anew += store->log_frames < before;
		longest = store->log_frames > longest ? store->log_frames : longest;
		assert_true(longest < 200000);
	}
	assert_true(longest > 1000);
	store_close(store);
	/* All of it is in the database. */
	store = open_store(dir);
	assert_true(store_queue_find(store, "q")->messages > 3 * 1000);
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test(name)
#define D(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
		D(what_was_committed_is_there_again),
		T(nothing_of_an_aborted_turn_is_there),
		D(row_ids_are_never_given_out_twice),
		D(the_log_begins_anew_under_constant_writing),
		D(a_second_process_gets_a_clear_error),
		D(a_database_of_a_newer_version_is_left_alone),
		D(what_is_no_database),
		T(every_statement_on_messages_uses_an_index),
		T(counts_of_every_state),
		T(a_receive_that_fails_loses_nothing),
		T(hidden_again_counts_for_the_limit),
		T(next_visible),
		T(sweeping_is_done_in_slices),
		T(sweeping_finds_the_expired),
		T(limit_of_messages_in_flight),
		T(nothing_works_outside_a_transaction),
#undef T
#undef D
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
