/*
 * A fair queue and its dead-letter queue against a model of them, by seed: the exact order of every
 * receive, and after each step what the rows of tenants say.
 */
#include "world.h"

#include "localq/store_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 10
#define STEPS 500
#define TENANTS 6 /* the first are the messages without a group */
#define MESSAGES 2000
#define VISIBILITY_MS 7000
#define MAX_RECEIVES 4

enum place { QUEUE, DEAD, GONE, PLACES };

static const char *const names[] = {"q", "dead"};

static struct message {
	enum place place;
	int tenant, received;
	bool delayed;
	int64_t visible_ms;
	char handle[64];
} messages[MESSAGES];

static struct queue {
	int64_t turn, turns[TENANTS];
} queues[2];

static struct world world;
static int count;
static char dir[64];
static uint64_t state;

static uint32_t draw(uint32_t below)
{
	/* xorshift64* */
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * UINT64_C(2685821657736338717)) >> 33) % below;
}

static int64_t now(void)
{
	return clock_wall_epoch_ms(world.service.clock);
}

static void send(void)
{
	/* One of them sends half of all. */
	int tenant = draw(2) == 0 ? 1 : (int)draw(TENANTS),
	    delay_s = draw(5) == 0 ? (int)draw(6) : 0;
	char group[32] = "";

	if (count == MESSAGES)
		return;
	if (tenant > 0)
		snprintf(group, sizeof(group), ",\"MessageGroupId\":\"g%d\"", tenant);
	world_ok(&world, "SendMessage",
		"{\"QueueUrl\":\"/q\",\"MessageBody\":\"%d\",\"DelaySeconds\":%d%s}", count,
		delay_s, group);
	messages[count++] = (struct message){.place = QUEUE,
		.tenant = tenant,
		.visible_ms = now() + 1000 * delay_s,
		.delayed = delay_s > 0};
}

static int64_t turn_of(const struct queue *queue, int tenant)
{
	return queue->turns[tenant] > queue->turn ? queue->turns[tenant] : queue->turn;
}

/* Compares as many numbers. */
static bool is_before(const int64_t a[], const int64_t b[], int numbers)
{
	int i = 0;

	while (i < numbers - 1 && a[i] == b[i])
		i++;
	return a[i] < b[i];
}

/* The first one of a tenant that is visible and not in `seen`; -1: none. */
static int head_of(enum place place, int tenant, const bool seen[])
{
	int64_t best[5] = {INT64_MAX};
	int head = -1;

	for (int i = 0; i < count; i++) {
		const struct message *m = &messages[i];
		/* Those without a group are read from two parts: store_walk.c, store_id(). */
		bool plain = tenant == 0, half = place == DEAD || m->delayed;
		int64_t key[] = {m->visible_ms, !(plain && !half && m->received == 0),
			plain ? m->received : 0, plain && half, i};

		if (m->place != place || m->tenant != tenant || m->visible_ms > now() || seen[i] ||
			!is_before(key, best, 5))
			continue;
		memcpy(best, key, sizeof(best));
		head = i;
	}
	return head;
}

/* Whose turn it is; -1: nobody has anything. */
static int next_message(enum place place, const bool seen[])
{
	int64_t best[3] = {INT64_MAX};
	int next = -1;

	for (int tenant = 0; tenant < TENANTS; tenant++) {
		int head = head_of(place, tenant, seen);
		int64_t key[] = {turn_of(&queues[place], tenant),
			head < 0 ? 0 : messages[head].visible_ms, head};

		if (head < 0 || !is_before(key, best, 3))
			continue;
		memcpy(best, key, sizeof(best));
		next = head;
	}
	return next;
}

static const char *text(const cJSON *object, const char *name)
{
	const char *found = cJSON_GetStringValue(cJSON_GetObjectItem(object, name));

	assert_non_null(found);
	return found;
}

static void check_received(const cJSON *got, int i)
{
	struct message *message = &messages[i];

	assert_non_null(got);
	assert_int_equal(atoi(text(got, "Body")), i);
	message->received++;
	assert_int_equal(
		atoi(text(cJSON_GetObjectItem(got, "Attributes"), "ApproximateReceiveCount")),
		message->received);
	snprintf(message->handle, sizeof(message->handle), "%s", text(got, "ReceiptHandle"));
}

static bool has_tenants(enum place place)
{
	for (int i = 0; i < count; i++)
		if (messages[i].place == place && messages[i].tenant > 0)
			return true;
	return false;
}

static void receive(enum place place)
{
	bool counted = has_tenants(place); /* without tenants nobody's messages are */
	int max = 1 + (int)draw(10), visibility_s = draw(8) == 0 ? 0 : VISIBILITY_MS / 1000;
	struct queue *queue = &queues[place];
	bool seen[MESSAGES] = {false};
	const cJSON *list, *got;
	int taken = 0, i;

	list = cJSON_GetObjectItem(world_ok(&world, "ReceiveMessage",
					   "{\"QueueUrl\":\"/%s\",\"MaxNumberOfMessages\":%d,"
					   "\"VisibilityTimeout\":%d,\"AttributeNames\":[\"All\"]}",
					   names[place], max, visibility_s),
		"Messages");
	got = list != NULL ? list->child : NULL;
	while (taken < max && (i = next_message(place, seen)) >= 0) {
		struct message *message = &messages[i];

		seen[i] = true;
		if (place == QUEUE && message->received >= MAX_RECEIVES) {
			message->place = DEAD;
			message->visible_ms = now();
			continue;
		}
		if (counted) {
			queue->turn = turn_of(queue, message->tenant);
			queue->turns[message->tenant] = queue->turn + 1;
		}
		check_received(got, i);
		got = got->next;
		message->visible_ms = now() + 1000 * visibility_s;
		taken++;
	}
	assert_null(got);
}

/* One that was received at some time, wherever it is; -1: there is none. */
static int any_received(void)
{
	int start = count > 0 ? (int)draw((uint32_t)count) : 0;

	for (int i = 0; i < count; i++)
		if (messages[(start + i) % count].received > 0)
			return (start + i) % count;
	return -1;
}

static void delete_one(void)
{
	int i = any_received();

	if (i < 0 || messages[i].place == GONE)
		return;
	world_ok(&world, "DeleteMessage", "{\"QueueUrl\":\"/%s\",\"ReceiptHandle\":\"%s\"}",
		names[messages[i].place], messages[i].handle);
	/* A handle of the queue that it was moved from deletes nothing. */
	if (messages[i].place == QUEUE || messages[i].received > MAX_RECEIVES)
		messages[i].place = GONE;
}

static void change_one(void)
{
	int i = any_received(), seconds = draw(2) == 0 ? 0 : (int)draw(20);

	if (i < 0 || messages[i].place == GONE || messages[i].visible_ms <= now())
		return;
	world_ok(&world, "ChangeMessageVisibility",
		"{\"QueueUrl\":\"/%s\",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":%d}",
		names[messages[i].place], messages[i].handle, seconds);
	messages[i].visible_ms = now() + 1000 * seconds;
}

static void purge(enum place place)
{
	world_advance_ms(&world, 61000); /* SQS takes one a minute */
	world_ok(&world, "PurgeQueue", "{\"QueueUrl\":\"/%s\"}", names[place]);
	for (int i = 0; i < count; i++)
		if (messages[i].place == place)
			messages[i].place = GONE;
	queues[place] = (struct queue){.turn = 0};
}

/* What was kept in memory alone is forgotten. */
static void reopen(void)
{
	world_reopen(&world, dir);
	for (enum place place = QUEUE; place <= DEAD; place++)
		for (int tenant = 0; tenant < TENANTS; tenant++) {
			bool has_row = false;

			for (int i = 0; i < count; i++)
				has_row = has_row || (tenant > 0 && messages[i].place == place &&
							     messages[i].tenant == tenant);
			if (!has_row)
				queues[place].turns[tenant] = 0;
		}
}

static void compare_counts(enum place place)
{
	int visible = 0, in_flight = 0, delayed = 0;
	char expected[48];

	for (int i = 0; i < count; i++) {
		if (messages[i].place != place)
			continue;
		if (messages[i].visible_ms <= now())
			visible++;
		else if (messages[i].received > 0)
			in_flight++;
		else
			delayed++;
	}
	snprintf(expected, sizeof(expected), "%d %d %d", visible, in_flight, delayed);
	assert_string_equal(world_counts(&world, names[place]), expected);
}

static void assert_none(const char *sql)
{
	sqlite3_stmt *statement;

	assert_int_equal(
		sqlite3_prepare_v2(world.service.store->db, sql, -1, &statement, NULL), SQLITE_OK);
	sqlite3_bind_int64(statement, 1, now());
	if (sqlite3_step(statement) != SQLITE_DONE)
		fail_msg("%s: row %lld", sql, (long long)sqlite3_column_int64(statement, 0));
	sqlite3_finalize(statement);
}

/* Rows of tenants and of messages agree. Lanes that a purge has left go with the sweep. */
static void compare_rows(void)
{
	assert_none("SELECT m.id FROM messages m JOIN lanes l ON l.id=-m.lane LEFT JOIN tenants t "
		    "ON t.id=m.tenant AND t.lane=-m.lane LEFT JOIN tenant_order o "
		    "ON o.tenant=m.tenant AND o.visible_ms=m.visible_ms AND o.id=m.id "
		    "WHERE l.queue IS NOT NULL AND (t.id IS NULL OR o.id IS NULL)");
	assert_none("SELECT id FROM messages WHERE (tenant IS NULL)<>(lane>0) OR NOT timed AND "
		    "tenant IS NOT NULL");
	assert_none("SELECT o.id FROM tenant_order o LEFT JOIN tenants t ON t.id=o.tenant "
		    "LEFT JOIN messages m ON m.id=o.id LEFT JOIN lanes l ON l.id=t.lane "
		    "WHERE t.id IS NULL OR l.queue IS NOT NULL AND m.tenant IS NOT o.tenant");
	assert_none(
		"SELECT t.id FROM tenants t JOIN lanes l ON l.id=t.lane WHERE l.queue IS NOT NULL "
		"AND (t.head_ms, t.head_id) IS NOT (SELECT visible_ms, id FROM messages m "
		"WHERE m.tenant=t.id ORDER BY visible_ms, id LIMIT 1)");
	assert_none("SELECT t.id FROM tenants t JOIN lanes l ON l.id=t.lane WHERE "
		    "t.ready=1 AND (t.head_ms>?1 OR t.turn<l.turn) OR t.turn>l.turn+1");
	for (enum place place = QUEUE; place <= DEAD; place++)
		assert_int_equal(store_queue_find(world.service.store, names[place])->has_tenants,
			has_tenants(place));
}

static void step(void)
{
	uint32_t what = draw(1000);

	if (what < 400)
		send();
	else if (what < 600)
		receive(QUEUE);
	else if (what < 640)
		receive(DEAD);
	else if (what < 790)
		delete_one();
	else if (what < 880)
		change_one();
	else if (what < 990)
		world_advance_ms(&world, draw(20) == 0 ? 20000 : draw(1500));
	else if (what < 992)
		purge(draw(2) == 0 ? QUEUE : DEAD);
	else if (*dir != '\0')
		reopen();
}

static void run(uint64_t seed)
{
	char command[128];

	state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	count = 0;
	memset(messages, 0, sizeof(messages));
	memset(queues, 0, sizeof(queues));
	*dir = '\0';
	if (seed % 3 == 0) {
		strcpy(dir, "/tmp/bunshin-fair-XXXXXX");
		assert_non_null(mkdtemp(dir));
	}
	world_open(&world, *dir != '\0' ? dir : NULL);
	world_create(&world, "dead");
	world_ok(&world, "CreateQueue",
		"{\"QueueName\":\"q\",\"Attributes\":{\"RedrivePolicy\":"
		"\"{\\\"deadLetterTargetArn\\\":\\\"arn:aws:sqs:us-east-1:000000000000:dead\\\","
		"\\\"maxReceiveCount\\\":%d}\"}}",
		MAX_RECEIVES);
	for (int i = 0; i < STEPS; i++) {
		step();
		compare_counts(QUEUE);
		compare_counts(DEAD);
		compare_rows();
	}
	world_close(&world);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	if (*dir != '\0')
		assert_int_equal(system(command), 0);
}

static void as_the_model(void **unused)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		print_message("seed %d\n", (int)seed);
		run(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(as_the_model)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
