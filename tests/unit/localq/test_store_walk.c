/*
 * The store against a list: whatever is sent, received, changed, deleted, expired, moved to a
 * dead-letter queue, rolled back or read again after a restart, order, counts and ages are those of
 * a plain array. By seed.
 */
#include "bunshin/error.h"
#include "localq/store.h"

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
#define STEPS 700
#define MESSAGES_MAX 4096
#define START_MS INT64_C(1767225600000)
#define RECEIVES_MAX 3 /* then it is moved */
#define RETENTION_MS 60000

struct item {
	unsigned name;
	int64_t visible_ms, sent_ms;
	uint32_t receives;
	bool timed;
	int64_t id; /* as last received */
};

/* A queue of the model; `order` counts what entered, so that equal times have an order. */
struct list {
	struct item items[MESSAGES_MAX];
	size_t count;
};

static struct list main_list, dead_list, saved_main, saved_dead;
static char dir[64];
static struct store *store;
static struct store_queue *queue, *dead;
static struct random source;
static int64_t now;
static unsigned names, saved_names;

static uint64_t below(uint64_t n)
{
	return random_below(random_next(&source), n);
}

static void find_queues(void)
{
	queue = store_queue_find(store, "q");
	dead = store_queue_find(store, "dead");
	assert_non_null(queue);
	assert_non_null(dead);
}

static void begin(void)
{
	assert_int_equal(store_begin(store), 0);
	find_queues();
	saved_main = main_list;
	saved_dead = dead_list;
	saved_names = names;
}

static void open_store(void)
{
	char detail[STORE_DETAIL_MAX];

	assert_int_equal(store_open(dir, STORE_SYNC_NORMAL, &store, detail), 0);
}

static struct store_queue *create(const char *name, const char *redrive)
{
	struct queue_attributes attributes = {{NULL}};
	struct store_queue *created;

	queue_attribute_set(&attributes, QUEUE_ATTRIBUTE_RETENTION_PERIOD, "60");
	if (redrive != NULL)
		queue_attribute_set(&attributes, QUEUE_ATTRIBUTE_REDRIVE_POLICY, redrive);
	assert_int_equal(store_queue_create(store, name, &attributes, now, &created), 0);
	return created;
}

/* The order of the next receive: by time, fresh ones first, then by receives, then by age. */
static int compare(const void *x, const void *y)
{
	const struct item *a = x, *b = y;

	if (a->visible_ms != b->visible_ms)
		return a->visible_ms < b->visible_ms ? -1 : 1;
	if (a->timed != b->timed)
		return a->timed ? 1 : -1;
	if (a->receives != b->receives)
		return a->receives < b->receives ? -1 : 1;
	return 0;
}

static struct item *find(struct list *list, unsigned name)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].name == name)
			return &list->items[i];
	return NULL;
}

static void drop(struct list *list, struct item *item)
{
	*item = list->items[--list->count];
}

static unsigned name_of(const struct store_message *message)
{
	char text[16] = "";

	memcpy(text, message->body, message->body_bytes < 15 ? message->body_bytes : 15);
	return (unsigned)strtoul(text, NULL, 10);
}

static void send(struct store_queue *to, struct list *list, int64_t delay_ms)
{
	char body[16];
	struct store_message message = {
		.body = body, .sent_ms = now, .message_id = "0123456789abcde"};
	struct store_sent sent;

	message.body_bytes = (size_t)snprintf(body, sizeof(body), "%u", ++names);
	assert_int_equal(store_send(store, to, &message, now, delay_ms, &sent), 0);
	assert_true(list->count < MESSAGES_MAX);
	list->items[list->count++] = (struct item){names, now + delay_ms, now, 0, delay_ms > 0, 0};
}

/* What the model says is next among the visible: past ones go, dead ones are moved. */
struct expected {
	int64_t visibility_ms;
	size_t taken;
};

static int take(void *arg, const struct store_message *message)
{
	struct expected *expected = arg;
	struct item *item = find(&main_list, name_of(message)), *first = NULL;

	assert_non_null(item);
	for (size_t i = 0; i < main_list.count; i++) {
		struct item *other = &main_list.items[i];

		if (other->visible_ms > now || other->sent_ms + RETENTION_MS <= now ||
			other->receives >= RECEIVES_MAX || other->id == -1)
			continue;
		if (first == NULL || compare(other, first) < 0)
			first = other;
	}
	assert_non_null(first);
	assert_int_equal(compare(item, first), 0); /* none comes before it */
	assert_int_equal(message->receives, item->receives + 1);
	assert_int_equal(message->sent_ms, item->sent_ms);
	item->id = -1; /* taken in this receive */
	item->receives++;
	item->timed = true;
	item->visible_ms = now + expected->visibility_ms;
	expected->taken++;
	return 0;
}

static int note_id(void *arg, const struct store_peeked *peeked)
{
	struct list *list = arg;
	struct item *item = find(list, name_of(&peeked->message));

	assert_non_null(item);
	item->id = peeked->message.id;
	return 0;
}

static void read_ids(void)
{
	static const struct store_position all;

	assert_int_equal(store_peek(store, queue, &all, note_id, &main_list), 0);
	assert_int_equal(store_peek(store, dead, &all, note_id, &dead_list), 0);
}

/* A receive of all that it may take clears away what is in front only, so all that is left over. */
static void receive(size_t max)
{
	struct expected expected = {.visibility_ms = 1 + (int64_t)below(3000)};
	struct store_received received;
	size_t available = 0;

	for (size_t i = 0; i < main_list.count; i++) {
		main_list.items[i].id = 0;
		available += main_list.items[i].visible_ms <= now &&
			     main_list.items[i].sent_ms + RETENTION_MS > now &&
			     main_list.items[i].receives < RECEIVES_MAX;
	}
	assert_int_equal(store_receive(store, queue, max, expected.visibility_ms, now, take,
				 &expected, &received),
		0);
	assert_int_equal(received.count, expected.taken);
	if (!received.more)
		assert_int_equal(expected.taken, available < max ? available : max);
}

/* Which messages left the queue is seen by a peek; each of them must have been allowed to. */
struct present {
	bool names[MESSAGES_MAX * 4];
	struct item last;
	size_t count;
	struct list *list;
	size_t limit;
	struct store_position next;
	bool stopped;
};

static int see(void *arg, const struct store_peeked *peeked)
{
	struct present *present = arg;
	unsigned name = name_of(&peeked->message);
	struct item *item = find(present->list, name);

	if (present->limit == 0) {
		present->next = peeked->position;
		present->stopped = true;
		return 1;
	}
	present->limit--;
	assert_non_null(item);
	assert_false(present->names[name]);
	present->names[name] = true;
	assert_int_equal(peeked->visible_ms, item->visible_ms);
	assert_int_equal(peeked->message.receives, item->receives);
	if (present->count++ > 0)
		assert_true(compare(&present->last, item) <= 0);
	present->last = *item;
	return 0;
}

/* By pages of a random size, each from where the one before ended. */
static void look(struct store_queue *at, struct list *list, struct present *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->list = list;
	do {
		struct store_position from = ret->next;

		ret->stopped = false;
		ret->limit = 1 + below(50);
		assert_int_equal(store_peek(store, at, &from, see, ret), 0);
	} while (ret->stopped);
}

/* Moves what a receive has moved, drops what it or a sweep has dropped. */
static void follow(void)
{
	static struct present present, present_dead;
	static struct list both;
	size_t known = dead_list.count;

	both = dead_list;

	for (size_t i = main_list.count; i-- > 0;) {
		struct item *item = &main_list.items[i];

		if (item->receives < RECEIVES_MAX || item->visible_ms > now)
			continue;
		both.items[both.count] = *item;
		both.items[both.count].visible_ms = now;
		both.items[both.count++].timed = true;
	}
	look(dead, &both, &present_dead);
	look(queue, &main_list, &present);
	for (size_t i = known; i < both.count; i++) {
		unsigned name = both.items[i].name;

		assert_false(present.names[name] && present_dead.names[name]);
		if (present_dead.names[name]) {
			dead_list.items[dead_list.count++] = both.items[i];
			drop(&main_list, find(&main_list, name));
		}
	}
	for (size_t i = main_list.count; i-- > 0;) {
		struct item *item = &main_list.items[i];

		if (present.names[item->name])
			continue;
		assert_true(item->sent_ms + RETENTION_MS <= now);
		drop(&main_list, item);
	}
	for (size_t i = dead_list.count; i-- > 0;) {
		struct item *item = &dead_list.items[i];

		if (present_dead.names[item->name])
			continue;
		assert_true(item->sent_ms + RETENTION_MS <= now);
		drop(&dead_list, item);
	}
	assert_int_equal(present.count, main_list.count);
	assert_int_equal(present_dead.count, dead_list.count);
}

static void check_counts(struct store_queue *of, const struct list *list)
{
	struct store_counts counts;
	int64_t visible = 0, in_flight = 0, oldest = 0, found;

	for (size_t i = 0; i < list->count; i++) {
		const struct item *item = &list->items[i];

		visible += item->visible_ms <= now;
		in_flight += item->visible_ms > now && item->receives > 0;
		if (oldest == 0 || item->sent_ms < oldest)
			oldest = item->sent_ms;
	}
	assert_int_equal(store_count(store, of, now, &counts), 0);
	assert_int_equal(counts.visible, visible);
	assert_int_equal(counts.in_flight, in_flight);
	assert_int_equal(counts.delayed, (int64_t)list->count - visible - in_flight);
	assert_int_equal(store_oldest_sent(store, of, &found), 0);
	assert_int_equal(found, oldest);
}

static void touch(bool delete)
{
	struct item *item;
	struct handle handle;
	enum store_change change;
	bool expired;

	if (main_list.count == 0)
		return;
	read_ids();
	item = &main_list.items[below(main_list.count)];
	handle = (struct handle){item->id, now, queue->lane, item->receives};
	if (item->receives == 0)
		return;
	if (delete) {
		assert_int_equal(store_delete(store, queue, &handle, now, &expired), 0);
		drop(&main_list, item);
	} else if (item->visible_ms > now) {
		int64_t visible_ms = now + (int64_t)below(2) * (int64_t)below(5000);

		assert_int_equal(
			store_change_visibility(store, queue, &handle, visible_ms, now, &change),
			0);
		assert_int_equal(change, STORE_CHANGED);
		item->visible_ms = visible_ms;
	}
}

static void step(void)
{
	bool more;

	now += below(3) > 0 ? (int64_t)below(200) : 0;
	switch (below(12)) {
	case 0 ... 2:
		for (uint64_t n = 1 + below(20); n > 0; n--)
			send(queue, &main_list, 0);
		break;
	case 3:
		send(queue, &main_list, (int64_t)below(3000));
		send(dead, &dead_list, 0);
		break;
	case 4 ... 6:
		receive(1 + below(10));
		break;
	case 7 ... 9:
		touch(true);
		break;
	case 10:
		touch(false);
		break;
	default:
		if (below(40) == 0)
			now += RETENTION_MS / 2;
		assert_int_equal(store_sweep(store, now, 1 + below(100), &more), 0);
		break;
	}
}

static void restart(void)
{
	store_close(store);
	open_store();
}

static void run(uint64_t seed)
{
	char redrive[128];

	random_seed(&source, seed);
	now = START_MS;
	names = 0;
	main_list.count = dead_list.count = 0;
	open_store();
	assert_int_equal(store_begin(store), 0);
	snprintf(redrive, sizeof(redrive),
		"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:dead\","
		"\"maxReceiveCount\":%d}",
		RECEIVES_MAX);
	dead = create("dead", NULL);
	queue = create("q", redrive);
	assert_int_equal(store_commit(store), 0);
	for (int i = 0; i < STEPS && names < MESSAGES_MAX * 4 - 50; i++) {
		begin();
		step();
		follow();
		check_counts(queue, &main_list);
		check_counts(dead, &dead_list);
		if (below(10) == 0) {
			store_abort(store);
			main_list = saved_main;
			dead_list = saved_dead;
			names = saved_names;
		} else {
			assert_int_equal(store_commit(store), 0);
		}
		if (below(100) == 0)
			restart();
	}
	store_close(store);
}

static void the_store_is_as_the_list(void **state)
{
	char command[128];

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		strcpy(dir, "/tmp/bunshin-walk-XXXXXX");
		assert_non_null(mkdtemp(dir));
		run(seed);
		snprintf(command, sizeof(command), "rm -r %s", dir);
		assert_int_equal(system(command), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_store_is_as_the_list)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
