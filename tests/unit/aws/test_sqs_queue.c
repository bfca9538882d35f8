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

static const struct sqs_client_options defaults = {0};
static const struct queue_receive params = {10, 0, 30};
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
	static const struct queue_receive none = {0, 0, 0};
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(receives),
		cmocka_unit_test(errors_come_with_words),
		cmocka_unit_test(batches),
		cmocka_unit_test(refused_at_once),
		cmocka_unit_test(cancels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
