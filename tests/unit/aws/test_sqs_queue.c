#include "aws/sqs_queue.h"
#include "aws/uuid.h"
#include "bunshin/error.h"
#include "fake_sqs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct sqs_client_options defaults = {.max_attempts = 1};
static const struct queue_receive params = {10, 0, 30, false};
static const char *const handles[] = {"r0", "r1"};

struct told {
	bool done;
	int err;
	struct queue_batch *batch;
	int results[QUEUE_BATCH_MAX];
	size_t count;
	char detail[600];
};

static void on_receive(void *arg, int err, struct queue_batch *batch, const char *detail)
{
	struct told *told = arg;

	assert_false(told->done);
	told->done = true;
	told->err = err;
	told->batch = batch;
	snprintf(told->detail, sizeof(told->detail), "%s", detail);
}

static void on_batch(void *arg, const int results[], size_t count, const char *detail)
{
	struct told *told = arg;

	assert_false(told->done);
	told->done = true;
	told->count = count;
	memcpy(told->results, results, count * sizeof(results[0]));
	snprintf(told->detail, sizeof(told->detail), "%s", detail);
}

struct table {
	struct world *world;
	struct sqs_queue *queue;
	struct queue ops;
};

static struct table table_open(const struct sqs_client_options *options)
{
	struct table table = {.world = world_open(options, NULL)};

	assert_int_equal(
		sqs_queue_new(table.world->client, table.world->queue_url, &table.queue), 0);
	table.ops = sqs_queue_table(table.queue);
	return table;
}

static void table_close(struct table *table)
{
	sqs_queue_free(table->queue);
	world_close(table->world);
}

static void receives(void **state)
{
	struct table table = table_open(&defaults);
	struct told told = {0};
	struct queue_call *call;
	char name[200];
	char uuid[UUID_TEXT_SIZE];

	fake_answer(&table.world->fake, 200, "",
		"{\"Messages\":[{\"MessageId\":\"m\",\"ReceiptHandle\":\"r\",\"Body\":\"b\"}]}");
	assert_int_equal(
		table.ops.ops->receive(table.ops.impl, &params, on_receive, &told, &call), 0);
	assert_false(told.done);
	world_run(table.world, &told.done);
	assert_int_equal(told.err, 0);
	assert_string_equal(told.detail, "");
	assert_int_equal(told.batch->count, 1);
	snprintf(name, sizeof(name), "%sm", table.world->queue_url);
	assert_int_equal(uuid_v5(uuid_namespace_url, name, strlen(name), "", 0, uuid), 0);
	assert_string_equal(told.batch->messages[0].idempotency_key, uuid);
	assert_non_null(strstr(table.world->fake.requests[0].body, table.world->queue_url));
	queue_batch_unref(told.batch);
	table_close(&table);
}

static void errors_come_with_words(void **state)
{
	struct table table = table_open(&defaults);
	struct told told = {0}, deleted = {0};
	struct queue_call *call;

	fake_answer(&table.world->fake, 400, "",
		"{\"__type\":\"QueueDoesNotExist\",\"message\":\"None.\"}");
	assert_int_equal(
		table.ops.ops->receive(table.ops.impl, &params, on_receive, &told, &call), 0);
	world_run(table.world, &told.done);
	assert_int_equal(told.err, ERR_QUEUE_MISSING);
	assert_null(told.batch);
	assert_string_equal(told.detail, "QueueDoesNotExist (HTTP 400, request id id-0): None.");
	fake_answer(&table.world->fake, 403, "", "{\"__type\":\"RequestThrottled\"}");
	assert_int_equal(
		table.ops.ops->delete_batch(table.ops.impl, handles, 2, on_batch, &deleted, &call),
		0);
	world_run(table.world, &deleted.done);
	assert_int_equal(deleted.count, 2);
	assert_int_equal(deleted.results[0], ERR_THROTTLED);
	assert_int_equal(deleted.results[1], ERR_THROTTLED);
	assert_string_equal(deleted.detail, "RequestThrottled (HTTP 403, request id id-1)");
	table_close(&table);
}

static void batches(void **state)
{
	static const struct queue_visibility visibility[] = {{"r0", 5}, {"r1", 0}};
	static const struct queue_send sends[] = {{.body = "x", .body_bytes = 1}};
	struct table table = table_open(&defaults);
	struct told deleted = {0}, changed = {0}, sent = {0};
	struct queue_call *call;

	fake_answer(&table.world->fake, 200, "", "{\"Successful\":[{\"Id\":\"1\"}]}");
	assert_int_equal(
		table.ops.ops->delete_batch(table.ops.impl, handles, 2, on_batch, &deleted, &call),
		0);
	world_run(table.world, &deleted.done);
	fake_answer(&table.world->fake, 200, "",
		"{\"Failed\":[{\"Id\":\"0\",\"Code\":\"InvalidParameterValue\"}],"
		"\"Successful\":[{\"Id\":\"1\"}]}");
	assert_int_equal(table.ops.ops->change_visibility_batch(
				 table.ops.impl, visibility, 2, on_batch, &changed, &call),
		0);
	world_run(table.world, &changed.done);
	fake_answer(&table.world->fake, 200, "",
		"{\"Successful\":[{\"Id\":\"0\",\"MD5OfMessageBody\":"
		"\"9dd4e461268c8034f5c8564e155c67a6\"}]}");
	assert_int_equal(
		table.ops.ops->send_batch(table.ops.impl, sends, 1, on_batch, &sent, &call), 0);
	world_run(table.world, &sent.done);
	assert_int_equal(deleted.results[0], ERR_PROTOCOL);
	assert_int_equal(deleted.results[1], 0);
	assert_string_equal(deleted.detail, "entry 0: not in the answer");
	assert_int_equal(changed.results[0], ERR_RECEIPT_INVALID);
	assert_int_equal(changed.results[1], 0);
	assert_int_equal(sent.count, 1);
	assert_int_equal(sent.results[0], 0);
	assert_string_equal(sent.detail, "");
	table_close(&table);
}

static void refused_at_once(void **state)
{
	static const struct queue_receive none = {0, 0, 0, false};
	struct table table = table_open(&defaults);
	struct told told = {0};
	struct queue_call *call;

	assert_int_equal(table.ops.ops->receive(table.ops.impl, &none, on_receive, &told, &call),
		ERR_ARGUMENT);
	assert_int_equal(
		table.ops.ops->delete_batch(table.ops.impl, handles, 0, on_batch, &told, &call),
		ERR_ARGUMENT);
	table_close(&table);
	assert_false(told.done);
}

static void cancels(void **state)
{
	struct table table = table_open(&defaults);
	struct told told[4] = {0}, last = {0};
	struct queue_call *calls[4], *call;

	for (size_t i = 0; i < 4; i++) {
		fake_silence(&table.world->fake);
		assert_int_equal(table.ops.ops->receive(
					 table.ops.impl, &params, on_receive, &told[i], &calls[i]),
			0);
	}
	world_run_requests(table.world, 4);
	table.ops.ops->cancel(table.ops.impl, calls[2]);
	table.ops.ops->cancel(table.ops.impl, calls[0]);
	fake_answer(&table.world->fake, 200, "", "{}");
	assert_int_equal(
		table.ops.ops->receive(table.ops.impl, &params, on_receive, &last, &call), 0);
	world_run(table.world, &last.done);
	assert_int_equal(last.err, 0);
	queue_batch_unref(last.batch);
	table.ops.ops->cancel(table.ops.impl, calls[1]);
	table.ops.ops->cancel(table.ops.impl, calls[3]);
	table_close(&table);
	for (size_t i = 0; i < 4; i++)
		assert_false(told[i].done);
}

/* ---- ReceiveRequestAttemptId */

static struct table fifo_open(const struct sqs_client_options *options)
{
	struct table table = {.world = world_open(options, NULL)};
	char url[120];

	snprintf(url, sizeof(url), "%s.fifo", table.world->queue_url);
	assert_int_equal(sqs_queue_new(table.world->client, url, &table.queue), 0);
	table.ops = sqs_queue_table(table.queue);
	return table;
}

/* One receive, to its end. */
static int receive_once(struct table *table, unsigned visibility_s)
{
	const struct queue_receive with = {.max_messages = 10, .visibility_s = visibility_s};
	struct told told = {0};
	struct queue_call *call;

	assert_int_equal(
		table->ops.ops->receive(table->ops.impl, &with, on_receive, &told, &call), 0);
	world_run(table->world, &told.done);
	if (told.batch != NULL)
		queue_batch_unref(told.batch);
	return told.err;
}

/* A receive whose answer does not come, a connection's end in its place. */
static void lose_one(struct table *table, unsigned visibility_s)
{
	fake_script(&table->world->fake, "HTTP/1.1 200 OK\r\n", 17)->close = true;
	assert_int_equal(receive_once(table, visibility_s), ERR_NETWORK);
}

static void answer_one(struct table *table, unsigned visibility_s)
{
	fake_answer(&table->world->fake, 200, "", "{}");
	assert_int_equal(receive_once(table, visibility_s), 0);
}

/* Of request i; "" when it had none. Valid until the next but three. */
static const char *id_of(const struct table *table, size_t i)
{
	static const char name[] = "\"ReceiveRequestAttemptId\":\"";
	static char ids[4][UUID_TEXT_SIZE];
	static size_t turn;
	const char *found = strstr(table->world->fake.requests[i].body, name);
	char *id = ids[turn++ % 4];

	snprintf(id, UUID_TEXT_SIZE, "%.36s", found != NULL ? found + strlen(name) : "");
	return id;
}

static void assert_id(const struct table *table, size_t i, size_t same_as)
{
	assert_int_equal(strlen(id_of(table, i)), 36);
	assert_string_equal(id_of(table, i), id_of(table, same_as));
}

static void assert_fresh_id(const struct table *table, size_t i)
{
	assert_int_equal(strlen(id_of(table, i)), 36);
	for (size_t k = 0; k < i; k++)
		assert_string_not_equal(id_of(table, i), id_of(table, k));
}

static void each_receive_of_a_fifo_queue_has_an_id(void **state)
{
	struct table table = fifo_open(&defaults);
	struct table standard = table_open(&defaults);

	for (size_t i = 0; i < 3; i++) {
		answer_one(&table, 30);
		assert_fresh_id(&table, i);
	}
	answer_one(&standard, 30);
	assert_string_equal(id_of(&standard, 0), "");
	table_close(&standard);
	table_close(&table);
}

static void a_repetition_keeps_the_id_of_a_lost_answer(void **state)
{
	const struct sqs_client_options options = {.max_attempts = 6};
	struct table table = fifo_open(&options);
	struct fake_sqs *fake = &table.world->fake;

	fake_script(fake, "", 0)->close = true;
	fake_script(fake, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", 41)->close = true;
	fake_answer(fake, 500, "", ""); /* an answer: the end of that id */
	fake_script(fake, "", 0)->close = true;
	fake_answer(fake, 403, "", "{\"__type\":\"RequestThrottled\"}");
	answer_one(&table, 30);
	assert_fresh_id(&table, 0);
	assert_id(&table, 1, 0);
	assert_id(&table, 2, 0);
	assert_fresh_id(&table, 3);
	assert_id(&table, 4, 3);
	assert_fresh_id(&table, 5);
	/* That one was answered, so there is none left of before. */
	answer_one(&table, 30);
	assert_fresh_id(&table, 6);
	table_close(&table);
}

static void the_next_receive_takes_a_lost_id_up(void **state)
{
	struct table table = fifo_open(&defaults);

	lose_one(&table, 30);
	lose_one(&table, 30); /* the same, lost again */
	answer_one(&table, 30);
	answer_one(&table, 30);
	assert_id(&table, 1, 0);
	assert_id(&table, 2, 0);
	assert_fresh_id(&table, 3);
	/* Every answer is one, a refusal too, or one that cannot be read. */
	lose_one(&table, 30);
	fake_answer(&table.world->fake, 400, "", "{\"__type\":\"InvalidAddress\"}");
	assert_int_equal(receive_once(&table, 30), ERR_REFUSED);
	fake_answer(&table.world->fake, 200, "", "[]");
	assert_int_equal(receive_once(&table, 30), ERR_PROTOCOL);
	answer_one(&table, 30);
	assert_id(&table, 5, 4);
	assert_fresh_id(&table, 6);
	assert_fresh_id(&table, 7);
	table_close(&table);
}

/* From the first time that it was sent; a microsecond decides. */
static void a_lost_id_lives_as_long_as_the_messages_are_hidden(void **state)
{
	static const struct {
		unsigned visibility_s;
		uint64_t life_s; /* 0: none */
	} cases[] = {{30, 29}, {2, 1}, {1, 0}, {0, 0}, {300, 299}, {301, 299}, {43200, 299}};
	struct table table = fifo_open(&defaults);
	struct manual_clock *clock = &table.world->clock;
	size_t i = 0;

	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		uint64_t life_us = cases[c].life_s * 1000000;

		lose_one(&table, cases[c].visibility_s);
		manual_clock_advance(clock, life_us);
		answer_one(&table, 30);
		assert_fresh_id(&table, i);
		assert_fresh_id(&table, i + 1);
		i += 2;
		if (life_us == 0)
			continue;
		/* Taken up in time, and lost once more, it lives no longer for that. */
		lose_one(&table, cases[c].visibility_s);
		manual_clock_advance(clock, life_us - 1);
		lose_one(&table, cases[c].visibility_s);
		manual_clock_advance(clock, 1);
		answer_one(&table, 30);
		assert_id(&table, i + 1, i);
		assert_fresh_id(&table, i + 2);
		i += 3;
	}
	table_close(&table);
}

#define KEPT 16

/* All lost at once, as when a network goes: the oldest of the last 16 first. */
static void no_more_than_16_lost_ids_are_kept(void **state)
{
	struct table table = fifo_open(&defaults);
	struct told told[KEPT + 2] = {0};
	struct queue_call *call;

	for (size_t i = 0; i < KEPT + 2; i++) {
		fake_silence(&table.world->fake);
		assert_int_equal(table.ops.ops->receive(
					 table.ops.impl, &params, on_receive, &told[i], &call),
			0);
		world_run_requests(table.world, i + 1);
	}
	for (size_t i = 0; i < KEPT + 2; i++) {
		fake_hang_up(&table.world->fake);
		world_run(table.world, &told[i].done);
		assert_int_equal(told[i].err, ERR_NETWORK);
	}
	for (size_t i = 0; i < KEPT + 1; i++)
		answer_one(&table, 30);
	for (size_t i = 0; i < KEPT; i++)
		assert_id(&table, KEPT + 2 + i, 2 + i);
	assert_fresh_id(&table, 2 * KEPT + 2);
	table_close(&table);
}

/* A receive that cannot be started leaves the id for the next. */
static void a_lost_id_is_not_lost_to_a_full_client(void **state)
{
	const struct sqs_client_options options = {.max_attempts = 1, .max_in_flight = 1};
	struct table table = fifo_open(&options);
	struct told told = {0};
	struct queue_call *call, *other;

	lose_one(&table, 30);
	fake_silence(&table.world->fake);
	assert_int_equal(sqs_receive(table.world->client, table.world->queue_url, &params,
				 ending_of_receive, &(struct ending){.done = false}, &other),
		0);
	world_run_requests(table.world, 2);
	assert_int_equal(table.ops.ops->receive(table.ops.impl, &params, on_receive, &told, &call),
		ERR_LIMIT);
	sqs_call_cancel(table.world->client, other);
	answer_one(&table, 30);
	assert_id(&table, 2, 0);
	table_close(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(receives),
		cmocka_unit_test(errors_come_with_words),
		cmocka_unit_test(batches),
		cmocka_unit_test(refused_at_once),
		cmocka_unit_test(cancels),
		cmocka_unit_test(each_receive_of_a_fifo_queue_has_an_id),
		cmocka_unit_test(a_repetition_keeps_the_id_of_a_lost_answer),
		cmocka_unit_test(the_next_receive_takes_a_lost_id_up),
		cmocka_unit_test(a_lost_id_lives_as_long_as_the_messages_are_hidden),
		cmocka_unit_test(no_more_than_16_lost_ids_are_kept),
		cmocka_unit_test(a_lost_id_is_not_lost_to_a_full_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
