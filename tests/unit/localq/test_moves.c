/* Message move tasks through their operations, in virtual time. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define Q(name) "\"QueueUrl\":\"http://h/000000000000/" name "\""
#define ARN(name) "arn:aws:sqs:us-east-1:000000000000:" name
#define FROM(name) "\"SourceArn\":\"" ARN(name) "\""
#define TO(name) "\"DestinationArn\":\"" ARN(name) "\""
#define MISSING "The resource that you specified for the %s parameter doesn't exist."

static struct world world;

/* "dlq" is the dead-letter queue of "a" and of "b", which allow one receive. */
static void open_queues(void)
{
	world_create(&world, "dlq");
	world_create(&world, "other");
	for (const char *name = "a"; *name <= 'b'; name = *name == 'a' ? "b" : "c")
		world_ok(&world, "CreateQueue",
			"{\"QueueName\":\"%s\",\"Attributes\":{\"VisibilityTimeout\":\"1\","
			"\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"" ARN(
				"dlq") "\\\",\\\"maxReceiveCount\\\":1}\"}}",
			name);
}

static int start(void **state)
{
	world_open(&world, NULL);
	open_queues();
	return 0;
}

static int end(void **state)
{
	world_close(&world);
	return 0;
}

/* `count` messages of queue a or b, as its redrive policy puts them into the dead-letter queue. */
static void fail_messages(const char *name, int count)
{
	for (int i = 0; i < count; i++) {
		char body[32];

		snprintf(body, sizeof(body), "%s%d", name, i);
		world_send(&world, name, body);
	}
	for (int i = 0; i < count; i += 10)
		world_receive(&world, name);
	world_advance_ms(&world, 1000);
	assert_int_equal(world_receive(&world, name), 0);
}

static const cJSON *task(int index)
{
	const cJSON *answer =
		world_ok(&world, "ListMessageMoveTasks", "{" FROM("dlq") ",\"MaxResults\":10}");

	return cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "Results"), index);
}

static const char *text(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return item != NULL ? item->valuestring : "";
}

static int number(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsNumber(item) ? item->valueint : -1;
}

static void assert_task(const char *status, int moved, int to_move)
{
	const cJSON *last = task(0);

	assert_string_equal(text(last, "Status"), status);
	assert_int_equal(number(last, "ApproximateNumberOfMessagesMoved"), moved);
	assert_int_equal(number(last, "ApproximateNumberOfMessagesToMove"), to_move);
}

static void start_task(const char *parameters, char ret_handle[400])
{
	const cJSON *answer = world_ok(&world, "StartMessageMoveTask", "{%s}", parameters);

	snprintf(ret_handle, 400, "%s", text(answer, "TaskHandle"));
	assert_true(strlen(ret_handle) > 100);
}

static void back_to_where_each_came_from(void **state)
{
	char handle[400];
	const cJSON *last;

	fail_messages("a", 3);
	fail_messages("b", 2);
	assert_string_equal(world_counts(&world, "dlq"), "5 0 0");
	start_task(FROM("dlq"), handle);
	last = task(0);
	assert_string_equal(text(last, "Status"), "RUNNING");
	assert_string_equal(text(last, "TaskHandle"), handle);
	assert_string_equal(text(last, "SourceArn"), ARN("dlq"));
	assert_null(cJSON_GetObjectItem(last, "DestinationArn"));
	assert_null(cJSON_GetObjectItem(last, "MaxNumberOfMessagesPerSecond"));
	assert_true(cJSON_GetObjectItem(last, "StartedTimestamp")->valuedouble ==
		    (double)WORLD_START_MS + 2000);
	assert_task("RUNNING", 0, 5);
	world_advance_ms(&world, 2);
	assert_task("COMPLETED", 5, 5);
	assert_string_equal(text(task(0), "TaskHandle"), "");
	assert_string_equal(world_counts(&world, "dlq"), "0 0 0");
	assert_string_equal(world_counts(&world, "a"), "3 0 0");
	assert_string_equal(world_counts(&world, "b"), "2 0 0");
	/* nothing runs any more */
	world_advance_ms(&world, 60000);
	assert_task("COMPLETED", 5, 5);
}

/* Body and attributes stay; message id, time and receive count are a new message's. */
static void a_moved_message_is_a_new_one(void **state)
{
	char handle[400], id[64], old_handle[64];
	const cJSON *message;

	world_ok(&world, "SendMessage",
		"{" Q("a") ",\"MessageBody\":\"x\",\"MessageAttributes\":{\"k\":{\"DataType\":"
			   "\"String\",\"StringValue\":\"v\"}}}");
	message = cJSON_GetArrayItem(
		cJSON_GetObjectItem(world_ok(&world, "ReceiveMessage", "{" Q("a") "}"), "Messages"),
		0);
	snprintf(id, sizeof(id), "%s", text(message, "MessageId"));
	snprintf(old_handle, sizeof(old_handle), "%s", text(message, "ReceiptHandle"));
	world_advance_ms(&world, 1000);
	assert_int_equal(world_receive(&world, "a"), 0);
	start_task(FROM("dlq"), handle);
	world_advance_ms(&world, 5);
	/* the handle of its former life fits no more */
	world_ok(&world, "DeleteMessage", "{" Q("a") ",\"ReceiptHandle\":\"%s\"}", old_handle);
	message = cJSON_GetArrayItem(
		cJSON_GetObjectItem(world_ok(&world, "ReceiveMessage",
					    "{" Q("a") ",\"MessageSystemAttributeNames\":[\"All\"],"
						       "\"MessageAttributeNames\":[\"All\"]}"),
			"Messages"),
		0);
	assert_string_equal(text(message, "Body"), "x");
	assert_string_not_equal(text(message, "MessageId"), id);
	assert_string_equal(
		text(cJSON_GetObjectItem(cJSON_GetObjectItem(message, "MessageAttributes"), "k"),
			"StringValue"),
		"v");
	message = cJSON_GetObjectItem(message, "Attributes");
	assert_string_equal(text(message, "ApproximateReceiveCount"), "1");
	assert_string_equal(text(message, "SentTimestamp"), "1767225601002");
	assert_string_equal(text(message, "ApproximateFirstReceiveTimestamp"), "1767225601005");
	assert_null(cJSON_GetObjectItem(message, "DeadLetterQueueSourceArn"));
}

static void to_a_queue_of_choice(void **state)
{
	char handle[400];

	fail_messages("a", 2);
	world_send(&world, "dlq", "sent there");
	start_task(FROM("dlq") "," TO("other"), handle);
	assert_string_equal(text(task(0), "DestinationArn"), ARN("other"));
	world_advance_ms(&world, 2);
	assert_task("COMPLETED", 3, 3);
	assert_string_equal(world_counts(&world, "other"), "3 0 0");
}

static void at_a_rate(void **state)
{
	char handle[400];

	fail_messages("a", 50);
	start_task(FROM("dlq") ",\"MaxNumberOfMessagesPerSecond\":10", handle);
	assert_int_equal(number(task(0), "MaxNumberOfMessagesPerSecond"), 10);
	world_advance_ms(&world, 90);
	assert_task("RUNNING", 0, 50);
	world_advance_ms(&world, 910);
	assert_int_equal(number(task(0), "ApproximateNumberOfMessagesMoved"), 9);
	world_advance_ms(&world, 2000);
	assert_int_equal(number(task(0), "ApproximateNumberOfMessagesMoved"), 29);
	assert_string_equal(world_counts(&world, "dlq"), "21 0 0");
	/* after a pause of the clock no more than a second's worth comes at once */
	world.clock.wall_epoch_ms += 3600000;
	world_advance_ms(&world, 30);
	assert_int_equal(number(task(0), "ApproximateNumberOfMessagesMoved"), 39);
	/* and a clock that goes back stops nothing */
	world.clock.wall_epoch_ms -= 1800000;
	world_advance_ms(&world, 2000);
	assert_task("COMPLETED", 50, 50);
}

/* Those in flight, delayed, or arriving later are not moved. */
static void only_what_is_visible_at_the_start(void **state)
{
	char handle[400];

	fail_messages("a", 15);
	assert_int_equal(world_receive(&world, "dlq"), 10);
	world_ok(&world, "SendMessage",
		"{" Q("dlq") ",\"MessageBody\":\"later\",\"DelaySeconds\":60}");
	start_task(FROM("dlq"), handle);
	world_advance_ms(&world, 2);
	assert_task("COMPLETED", 5, 5);
	assert_string_equal(world_counts(&world, "dlq"), "0 10 1");
	/* one that is empty from the start */
	start_task(FROM("dlq"), handle);
	world_advance_ms(&world, 2);
	assert_task("COMPLETED", 0, 0);
	/* what arrives while it runs waits for the next */
	fail_messages("b", 2);
	start_task(FROM("dlq") ",\"MaxNumberOfMessagesPerSecond\":1", handle);
	world_advance_ms(&world, 10);
	world_send(&world, "dlq", "new");
	world_advance_ms(&world, 5000);
	assert_task("COMPLETED", 2, 2);
}

static void messages_taken_meanwhile_end_it(void **state)
{
	char handle[400];

	fail_messages("a", 10);
	start_task(FROM("dlq") ",\"MaxNumberOfMessagesPerSecond\":1", handle);
	world_advance_ms(&world, 2100);
	world_ok(&world, "PurgeQueue", "{" Q("dlq") "}");
	world_advance_ms(&world, 2000);
	assert_task("COMPLETED", 2, 10);
}

static void expired_messages_are_not_moved(void **state)
{
	char handle[400];

	world_ok(&world, "SetQueueAttributes",
		"{" Q("dlq") ",\"Attributes\":{\"MessageRetentionPeriod\":\"60\"}}");
	fail_messages("a", 2);
	world_advance_ms(&world, 58000);
	fail_messages("b", 1);
	start_task(FROM("dlq"), handle);
	world_advance_ms(&world, 2);
	assert_string_equal(world_counts(&world, "dlq"), "0 0 0");
	assert_string_equal(world_counts(&world, "a"), "0 0 0");
	assert_string_equal(world_counts(&world, "b"), "1 0 0");
}

static void a_message_without_a_source_fails_the_task(void **state)
{
	char handle[400];

	fail_messages("a", 2);
	world_advance_ms(&world, 10);
	world_send(&world, "dlq", "sent there");
	start_task(FROM("dlq"), handle);
	world_advance_ms(&world, 2);
	assert_task("FAILED", 2, 3);
	assert_string_equal(text(task(0), "FailureReason"), "CouldNotDetermineMessageSource");
	assert_string_equal(world_counts(&world, "dlq"), "1 0 0");
	/* and the next may start */
	start_task(FROM("dlq") "," TO("a"), handle);
	world_advance_ms(&world, 2);
	assert_task("COMPLETED", 1, 1);
	assert_string_equal(text(task(1), "Status"), "FAILED");
}

static void a_queue_that_is_gone_fails_the_task(void **state)
{
	char handle[400];

	fail_messages("a", 2);
	world_ok(&world, "DeleteQueue", "{" Q("a") "}");
	start_task(FROM("dlq"), handle);
	world_advance_ms(&world, 2);
	assert_task("FAILED", 0, 2);
	assert_string_equal(
		text(task(0), "FailureReason"), "AWS.SimpleQueueService.NonExistentQueue");
	start_task(FROM("dlq") "," TO("other"), handle);
	world_ok(&world, "DeleteQueue", "{" Q("other") "}");
	world_advance_ms(&world, 2);
	assert_task("FAILED", 0, 2);
	/* with the source the tasks go */
	start_task(FROM("dlq") "," TO("b") ",\"MaxNumberOfMessagesPerSecond\":1", handle);
	world_ok(&world, "DeleteQueue", "{" Q("dlq") "}");
	world_advance_ms(&world, 5000);
	world_refused(
		&world, "ResourceNotFoundException", "ListMessageMoveTasks", "{" FROM("dlq") "}");
	world_refused(&world, "ResourceNotFoundException", "CancelMessageMoveTask",
		"{\"TaskHandle\":\"%s\"}", handle);
}

static void cancelling(void **state)
{
	char handle[400], second[400];
	const cJSON *answer;

	fail_messages("a", 10);
	start_task(FROM("dlq") ",\"MaxNumberOfMessagesPerSecond\":2", handle);
	world_advance_ms(&world, 1100);
	answer = world_ok(&world, "CancelMessageMoveTask", "{\"TaskHandle\":\"%s\"}", handle);
	assert_int_equal(number(answer, "ApproximateNumberOfMessagesMoved"), 2);
	assert_task("CANCELLING", 2, 10);
	assert_string_equal(text(task(0), "TaskHandle"), "");
	assert_string_equal(world_refused(&world, "InvalidParameterValue", "CancelMessageMoveTask",
				    "{\"TaskHandle\":\"%s\"}", handle),
		"Only active tasks can be cancelled.");
	world_refused(&world, "InvalidParameterValue", "StartMessageMoveTask",
		"{" FROM("dlq") "}"); /* still active */
	world_advance_ms(&world, 20);
	assert_task("CANCELLED", 2, 10);
	assert_string_equal(world_counts(&world, "dlq"), "8 0 0");
	assert_string_equal(world_counts(&world, "a"), "2 0 0");
	start_task(FROM("dlq"), second);
	assert_string_not_equal(second, handle);
	world_refused(&world, "InvalidParameterValue", "CancelMessageMoveTask",
		"{\"TaskHandle\":\"%s\"}", handle);
}

static void one_task_a_source(void **state)
{
	char handle[400];

	fail_messages("a", 10);
	start_task(FROM("dlq") ",\"MaxNumberOfMessagesPerSecond\":1", handle);
	assert_string_equal(world_refused(&world, "InvalidParameterValue", "StartMessageMoveTask",
				    "{" FROM("dlq") "}"),
		"There is already a task running. Only one active task is allowed for a source "
		"queue arn at a given time.");
	assert_null(task(1));
}

static void only_the_last_ten_are_kept(void **state)
{
	char handle[400];
	const cJSON *answer;

	for (int i = 1; i <= 12; i++) {
		fail_messages("a", i);
		start_task(FROM("dlq"), handle);
		world_advance_ms(&world, 2);
		world_ok(&world, "PurgeQueue", "{" Q("a") "}");
		world_advance_ms(&world, 60000);
	}
	assert_int_equal(number(task(0), "ApproximateNumberOfMessagesMoved"), 12);
	assert_int_equal(number(task(9), "ApproximateNumberOfMessagesMoved"), 3);
	assert_null(task(10));
	answer = world_ok(&world, "ListMessageMoveTasks", "{" FROM("dlq") "}");
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "Results")), 1);
	assert_null(cJSON_GetObjectItem(
		world_ok(&world, "ListMessageMoveTasks", "{" FROM("other") "}"), "Results"));
}

static void refusals(void **state)
{
	char words[200];

	snprintf(words, sizeof(words), MISSING, "SourceArn");
	assert_string_equal(world_refused(&world, "ResourceNotFoundException",
				    "StartMessageMoveTask", "{" FROM("nope") "}"),
		words);
	world_refused(&world, "ResourceNotFoundException", "StartMessageMoveTask",
		"{\"SourceArn\":\"dlq\"}");
	snprintf(words, sizeof(words), MISSING, "DestinationArn");
	assert_string_equal(world_refused(&world, "ResourceNotFoundException",
				    "StartMessageMoveTask", "{" FROM("dlq") "," TO("nope") "}"),
		words);
	assert_string_equal(world_refused(&world, "InvalidParameterValue", "StartMessageMoveTask",
				    "{" FROM("other") "}"),
		"Source queue must be configured as a Dead Letter Queue.");
	world_refused(&world, "InvalidParameterValue", "StartMessageMoveTask",
		"{" FROM("dlq") "," TO("dlq") "}");
	world_refused(&world, "InvalidParameterValue", "StartMessageMoveTask",
		"{" FROM("dlq") ",\"MaxNumberOfMessagesPerSecond\":501}");
	world_refused(&world, "InvalidParameterValue", "StartMessageMoveTask",
		"{" FROM("dlq") ",\"MaxNumberOfMessagesPerSecond\":0}");
	world_refused(&world, "MissingParameter", "StartMessageMoveTask", "{}");
	world_refused(&world, "MissingParameter", "ListMessageMoveTasks", "{}");
	world_refused(&world, "InvalidParameterValue", "ListMessageMoveTasks",
		"{" FROM("dlq") ",\"MaxResults\":11}");
	world_refused(&world, "MissingParameter", "CancelMessageMoveTask", "{}");
	world_refused(&world, "InvalidParameterValue", "CancelMessageMoveTask",
		"{\"TaskHandle\":\"garbage\"}");
	/* {"taskId":7} and {} */
	world_refused(&world, "InvalidParameterValue", "CancelMessageMoveTask",
		"{\"TaskHandle\":\"eyJ0YXNrSWQiOjd9\"}");
	world_refused(&world, "InvalidParameterValue", "CancelMessageMoveTask",
		"{\"TaskHandle\":\"e30=\"}");
	assert_null(task(0));
}

static void sources(void **state)
{
	const cJSON *answer = world_ok(&world, "ListDeadLetterSourceQueues", "{" Q("dlq") "}");
	const cJSON *urls = cJSON_GetObjectItemCaseSensitive(answer, "queueUrls");
	char token[64];

	assert_int_equal(cJSON_GetArraySize(urls), 2);
	assert_string_equal(cJSON_GetArrayItem(urls, 0)->valuestring, "http://h/000000000000/a");
	assert_string_equal(cJSON_GetArrayItem(urls, 1)->valuestring, "http://h/000000000000/b");
	assert_null(cJSON_GetObjectItem(answer, "NextToken"));
	answer = world_ok(&world, "ListDeadLetterSourceQueues", "{" Q("dlq") ",\"MaxResults\":1}");
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "queueUrls")), 1);
	snprintf(token, sizeof(token), "%s", text(answer, "NextToken"));
	answer = world_ok(&world, "ListDeadLetterSourceQueues",
		"{" Q("dlq") ",\"MaxResults\":1,\"NextToken\":\"%s\"}", token);
	urls = cJSON_GetObjectItem(answer, "queueUrls");
	assert_string_equal(cJSON_GetArrayItem(urls, 0)->valuestring, "http://h/000000000000/b");
	assert_null(cJSON_GetObjectItem(answer, "NextToken"));
	assert_null(cJSON_GetObjectItem(
		world_ok(&world, "ListDeadLetterSourceQueues", "{" Q("a") "}"), "queueUrls"));
	world_refused(&world, "AWS.SimpleQueueService.NonExistentQueue",
		"ListDeadLetterSourceQueues", "{" Q("nope") "}");
}

static void a_waiting_receive_is_woken(void **state)
{
	struct world_call poll;
	char handle[400];

	fail_messages("a", 1);
	world_start(&world, &poll, "ReceiveMessage", "{" Q("a") ",\"WaitTimeSeconds\":20}");
	service_flush(&world.service);
	assert_false(poll.answered);
	start_task(FROM("dlq"), handle);
	world_advance_ms(&world, 2);
	assert_true(poll.answered);
	assert_string_equal(world_bodies(poll.answer), "a0");
	world_end(&poll);
}

/* At whatever slice the process dies: each message is in one of the two, and the task goes on. */
static void it_goes_on_after_a_restart(void **state)
{
	char dir[] = "/tmp/bunshin-moves-XXXXXX", command[64], handle[400];

	assert_non_null(mkdtemp(dir));
	world_close(&world);
	world_open(&world, dir);
	open_queues();
	fail_messages("a", 40);
	start_task(FROM("dlq") ",\"MaxNumberOfMessagesPerSecond\":100", handle);
	for (int i = 0; i < 8; i++) {
		int in_dlq, in_a;

		world_advance_ms(&world, 50);
		world_reopen(&world, dir);
		in_dlq = atoi(world_counts(&world, "dlq"));
		in_a = atoi(world_counts(&world, "a"));
		assert_int_equal(in_dlq + in_a, 40);
		assert_int_equal(number(task(0), "ApproximateNumberOfMessagesMoved"), in_a);
	}
	world_advance_ms(&world, 1000);
	assert_task("COMPLETED", 40, 40);
	world_close(&world);
	snprintf(command, sizeof(command), "%s/queue.db", dir);
	unlink(command);
	snprintf(command, sizeof(command), "%s/lock", dir);
	unlink(command);
	assert_int_equal(rmdir(dir), 0);
	world_open(&world, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(back_to_where_each_came_from, start, end),
		cmocka_unit_test_setup_teardown(a_moved_message_is_a_new_one, start, end),
		cmocka_unit_test_setup_teardown(to_a_queue_of_choice, start, end),
		cmocka_unit_test_setup_teardown(at_a_rate, start, end),
		cmocka_unit_test_setup_teardown(only_what_is_visible_at_the_start, start, end),
		cmocka_unit_test_setup_teardown(messages_taken_meanwhile_end_it, start, end),
		cmocka_unit_test_setup_teardown(expired_messages_are_not_moved, start, end),
		cmocka_unit_test_setup_teardown(
			a_message_without_a_source_fails_the_task, start, end),
		cmocka_unit_test_setup_teardown(a_queue_that_is_gone_fails_the_task, start, end),
		cmocka_unit_test_setup_teardown(cancelling, start, end),
		cmocka_unit_test_setup_teardown(one_task_a_source, start, end),
		cmocka_unit_test_setup_teardown(only_the_last_ten_are_kept, start, end),
		cmocka_unit_test_setup_teardown(refusals, start, end),
		cmocka_unit_test_setup_teardown(sources, start, end),
		cmocka_unit_test_setup_teardown(a_waiting_receive_is_woken, start, end),
		cmocka_unit_test_setup_teardown(it_goes_on_after_a_restart, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
