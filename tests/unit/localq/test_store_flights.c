/*
 * Messages on their first receive, against a list, with nothing that looks at them in between (a
 * peek lets them land): sends, receives, deletes one by one and by ten, other times, purges,
 * sweeps, transactions that are rolled back, and restarts. By seed.
 */
#include "localq/store_private.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 4
#define STEPS 1000
#define MESSAGES_MAX 8192
#define START_MS INT64_C(1767225600000)

struct item {
	unsigned name;
	int64_t id, visible_ms;
	uint32_t receives;
	bool fresh; /* never received, and sent without a delay */
	bool delayed;
};

struct list {
	struct item items[MESSAGES_MAX];
	size_t count;
};

static struct list list, saved;
static char dir[64];
static struct store *store;
static struct store_queue *queue, *other;
static struct random source;
static int64_t now, visibility_ms;
static unsigned names;

static size_t below(uint64_t n)
{
	return (size_t)random_below(random_next(&source), n);
}

static void open_store(void)
{
	char detail[STORE_DETAIL_MAX];

	assert_int_equal(store_open(dir, STORE_SYNC_NORMAL, &store, detail), 0);
}

static void begin(void)
{
	assert_int_equal(store_begin(store), 0);
	queue = store_queue_find(store, "q");
	other = store_queue_find(store, "other");
	assert_non_null(queue);
	assert_non_null(other);
	saved = list;
}

static void create(const char *name)
{
	struct queue_attributes attributes = {{NULL}};
	struct store_queue *created;

	assert_int_equal(store_queue_create(store, name, &attributes, now, &created), 0);
}

static void send_to(struct store_queue *to, unsigned name, int64_t delay_ms)
{
	char body[16];
	struct store_message message = {
		.body = body, .sent_ms = now, .message_id = "0123456789abcde"};
	struct store_sent sent;

	message.body_bytes = (size_t)snprintf(body, sizeof(body), "%u", name);
	assert_int_equal(store_send(store, to, &message, now, delay_ms, &sent), 0);
}

static void send(int64_t delay_ms)
{
	if (list.count == MESSAGES_MAX)
		return;
	send_to(queue, ++names, delay_ms);
	list.items[list.count++] =
		(struct item){names, 0, now + delay_ms, 0, delay_ms == 0, delay_ms > 0};
}

static bool comes_first(const struct item *a, const struct item *b)
{
	if (a->visible_ms != b->visible_ms)
		return a->visible_ms < b->visible_ms;
	if (a->fresh != b->fresh)
		return a->fresh;
	if (a->receives != b->receives)
		return a->receives < b->receives;
	/* As their ids. */
	if (a->delayed != b->delayed)
		return b->delayed;
	return a->name < b->name;
}

static struct item *next_visible(void)
{
	struct item *first = NULL;

	for (size_t i = 0; i < list.count; i++) {
		struct item *item = &list.items[i];

		if (item->visible_ms <= now && (first == NULL || comes_first(item, first)))
			first = item;
	}
	return first;
}

/* What is received with no visibility is seen once a receive all the same. */
static int take(void *arg, const struct store_message *message)
{
	size_t *taken = arg;
	struct item *item = next_visible();

	assert_non_null(item);
	assert_int_equal(strtoul(message->body, NULL, 10), item->name);
	assert_int_equal(message->receives, item->receives + 1);
	item->id = message->id;
	item->receives++;
	item->fresh = false;
	item->visible_ms = INT64_MAX - 1;
	*taken += 1;
	return 0;
}

static void receive(void)
{
	struct store_received received;
	size_t taken = 0, max = 1 + below(10);
	bool rest;

	visibility_ms = (int64_t)below(4) * (int64_t)below(400);
	assert_int_equal(
		store_receive(store, queue, max, visibility_ms, now, take, &taken, &received), 0);
	rest = next_visible() != NULL;
	assert_int_equal(received.count, taken);
	assert_true(taken == max || received.more || !rest);
	for (size_t i = 0; i < list.count; i++)
		if (list.items[i].visible_ms == INT64_MAX - 1)
			list.items[i].visible_ms = now + visibility_ms;
}

static struct item *any_received(void)
{
	struct item *item = list.count > 0 ? &list.items[below(list.count)] : NULL;

	return item != NULL && item->receives > 0 ? item : NULL;
}

static struct handle handle_of(const struct item *item)
{
	return (struct handle){item->id, now, queue->lane, item->receives};
}

/* Twice at times, and with the handle of an earlier receive, which does nothing. */
static void delete_some(void)
{
	for (size_t i = below(25); i > 0; i--) {
		struct item *item = any_received();
		struct handle handle;
		bool expired;

		if (item == NULL)
			continue;
		handle = handle_of(item);
		if (item->receives > 1 && below(4) == 0) {
			handle.receives--;
			assert_int_equal(store_delete(store, queue, &handle, now, &expired), 0);
			continue;
		}
		for (size_t times = 1 + (below(8) == 0); times > 0; times--)
			assert_int_equal(store_delete(store, queue, &handle, now, &expired), 0);
		*item = list.items[--list.count];
		if (below(10) == 0)
			send_to(other, 0, 0);
	}
}

static void change(void)
{
	struct item *item = any_received();
	enum store_change change;
	struct handle handle;

	if (item == NULL)
		return;
	handle = handle_of(item);
	item->visible_ms = now + (int64_t)below(3) * (int64_t)below(300);
	assert_int_equal(
		store_change_visibility(store, queue, &handle, item->visible_ms, now, &change), 0);
	assert_int_equal(change, STORE_CHANGED);
}

static void step(void)
{
	bool more;

	now += (int64_t)below(3) * (int64_t)below(30);
	switch (below(24)) {
	case 0 ... 6:
		for (size_t n = below(40); n > 0; n--)
			send(0);
		break;
	case 7:
		send(1 + (int64_t)below(300));
		break;
	case 8 ... 15:
		receive();
		break;
	case 16 ... 20:
		delete_some();
		break;
	case 21:
	case 22:
		change();
		break;
	default:
		assert_int_equal(store_sweep(store, now, 1 + below(100), &more), 0);
		if (below(20) > 0)
			break;
		assert_int_equal(store_queue_purge(store, queue, now), 0);
		list.count = 0;
		break;
	}
}

static void check(void)
{
	struct store_counts counts;
	int64_t visible = 0, in_flight = 0, next = INT64_MAX, found;

	for (size_t i = 0; i < list.count; i++) {
		const struct item *item = &list.items[i];

		visible += item->visible_ms <= now;
		in_flight += item->visible_ms > now && item->receives > 0;
		if (item->visible_ms > now && item->visible_ms < next)
			next = item->visible_ms;
	}
	assert_int_equal(store_count(store, queue, now, &counts), 0);
	assert_int_equal(counts.visible, visible);
	assert_int_equal(counts.in_flight, in_flight);
	assert_int_equal(counts.delayed, (int64_t)list.count - visible - in_flight);
	assert_int_equal(store_next_visible(store, queue, now, &found), 0);
	assert_int_equal(found, next);
	assert_true(queue->in_flight_bound >= in_flight);
}

static void assert_none(const char *sql)
{
	sqlite3_stmt *statement;

	assert_int_equal(sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
	sqlite3_finalize(statement);
}

/* What the tables promise each other, in every transaction that was kept. */
static void check_tables(void)
{
	assert_none("SELECT id FROM flights f WHERE NOT EXISTS(SELECT 1 FROM messages m "
		    "WHERE m.id>=f.id AND m.id<=f.last_id AND NOT m.timed)");
	assert_none("SELECT m.id FROM messages m JOIN lanes l ON l.id=m.lane WHERE NOT m.timed "
		    "AND l.queue IS NOT NULL AND (m.id<l.fresh_id)<>EXISTS(SELECT 1 FROM flights f "
		    "WHERE f.id<=m.id AND f.last_id>=m.id)");
	assert_none("SELECT f.id FROM flights f JOIN flights g ON g.id>f.id AND g.id<=f.last_id");
	assert_none("SELECT l.id FROM lanes l WHERE l.queue IS NOT NULL AND l.messages<>"
		    "(SELECT count(*) FROM messages m WHERE m.lane=l.id)");
}

static void run(uint64_t seed)
{
	random_seed(&source, seed);
	now = START_MS;
	list.count = 0;
	open_store();
	assert_int_equal(store_begin(store), 0);
	create("q");
	create("other");
	assert_int_equal(store_commit(store), 0);
	for (int i = 0; i < STEPS; i++) {
		begin();
		for (size_t steps = 1 + below(4); steps > 0; steps--)
			step();
		if (below(3) > 0)
			check();
		if (below(12) == 0) {
			store_abort(store);
			list = saved;
		} else {
			assert_int_equal(store_commit(store), 0);
			if (below(20) == 0)
				check_tables();
		}
		if (below(100) == 0) {
			store_close(store);
			open_store();
		}
	}
	store_close(store);
}

static void the_store_is_as_the_list(void **state)
{
	char command[128];

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		strcpy(dir, "/tmp/bunshin-flights-XXXXXX");
		assert_non_null(mkdtemp(dir));
		run(seed);
		snprintf(command, sizeof(command), "rm -r %s", dir);
		assert_int_equal(system(command), 0);
	}
}

static size_t flights(void)
{
	sqlite3_stmt *statement;
	size_t count;

	assert_int_equal(
		sqlite3_prepare_v2(store->db, "SELECT count(*) FROM flights", -1, &statement, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	count = (size_t)sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return count;
}

/* One message that nobody deletes does not keep the others' flights, in memory or on the disk. */
static void a_flight_goes_with_its_last_message(void **state)
{
	struct store_received received;
	char detail[STORE_DETAIL_MAX];
	bool expired;

	now = START_MS;
	list.count = 0;
	assert_int_equal(store_open(NULL, STORE_SYNC_NORMAL, &store, detail), 0);
	assert_int_equal(store_begin(store), 0);
	create("q");
	create("other");
	begin();
	for (int round = 0; round < 2000; round++) {
		size_t taken = 0;

		for (int i = 0; i < 4; i++)
			send(0);
		assert_int_equal(
			store_receive(store, queue, 4, 43200000, now, take, &taken, &received), 0);
		assert_int_equal(taken, 4);
		while (list.count > 1) {
			struct handle handle = handle_of(&list.items[--list.count]);

			assert_int_equal(store_delete(store, queue, &handle, now, &expired), 0);
		}
		list.items[0].visible_ms = now + 43200000;
	}
	assert_int_equal(store_settle(store), 0);
	assert_int_equal(flights(), 1);
	assert_true(queue->flights.capacity <= 256);
	check();
	assert_int_equal(store_commit(store), 0);
	check_tables();
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_store_is_as_the_list),
		cmocka_unit_test(a_flight_goes_with_its_last_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
