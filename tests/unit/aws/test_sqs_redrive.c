/* Dead-letter queues: what is asked, how the answers are read, and both over a scripted SQS. */
#include "aws/sqs_codec.h"
#include "aws/sqs_limits.h"
#include "bunshin/error.h"
#include "fake_sqs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define URL "https://sqs.us-east-1.amazonaws.com/123456789012/dlq"
#define ARN "arn:aws:sqs:us-east-1:123456789012:dlq"
#define TO "arn:aws:sqs:us-east-1:123456789012:morning"
#define COUNTS                                                                          \
	"\"ApproximateNumberOfMessages\":\"12\","                                       \
	"\"ApproximateNumberOfMessagesNotVisible\":\"3\",\"VisibilityTimeout\":\"30\"," \
	"\"ApproximateNumberOfMessagesDelayed\":\"1\""

static struct sqs_decoder decoder;

static int setup(void **state)
{
	return sqs_decoder_init(&decoder);
}

static int teardown(void **state)
{
	sqs_decoder_free(&decoder);
	return 0;
}

#define assert_encodes(call, expected)                            \
	do {                                                      \
		struct buf body = BUF_INIT((size_t)1 << 20);      \
		assert_int_equal(call, 0);                        \
		assert_string_equal(buf_string(&body), expected); \
		buf_free(&body);                                  \
	} while (0)

#define assert_refuses(call)                                 \
	do {                                                 \
		struct buf body = BUF_INIT((size_t)1 << 20); \
		assert_int_equal(call, ERR_ARGUMENT);        \
		assert_int_equal(body.len, 0);               \
		buf_free(&body);                             \
	} while (0)

static void requests(void **state)
{
	assert_encodes(sqs_encode_describe(&body, "a\"b"),
		"{\"QueueUrl\":\"a\\\"b\",\"AttributeNames\":[\"QueueArn\",\"RedrivePolicy\","
		"\"ApproximateNumberOfMessages\",\"ApproximateNumberOfMessagesNotVisible\","
		"\"ApproximateNumberOfMessagesDelayed\",\"VisibilityTimeout\"]}");
	assert_encodes(sqs_encode_list_sources(&body, URL),
		"{\"QueueUrl\":\"" URL "\",\"MaxResults\":10}");
	assert_encodes(sqs_encode_start_move(&body, ARN, NULL, 0), "{\"SourceArn\":\"" ARN "\"}");
	assert_encodes(sqs_encode_start_move(&body, ARN, TO, 500),
		"{\"SourceArn\":\"" ARN "\",\"DestinationArn\":\"" TO
		"\",\"MaxNumberOfMessagesPerSecond\":500}");
	assert_encodes(
		sqs_encode_list_moves(&body, ARN), "{\"SourceArn\":\"" ARN "\",\"MaxResults\":10}");
	assert_encodes(
		sqs_encode_cancel_move(&body, "aGFuZGxl=="), "{\"TaskHandle\":\"aGFuZGxl==\"}");
	assert_encodes(sqs_encode_purge(&body, URL), "{\"QueueUrl\":\"" URL "\"}");
}

static void what_sqs_would_not_take(void **state)
{
	char long_arn[SQS_ARN_MAX + 2], long_handle[SQS_TASK_HANDLE_MAX + 2];

	memset(long_arn, 'a', sizeof(long_arn));
	long_arn[sizeof(long_arn) - 1] = '\0';
	memset(long_handle, 'h', sizeof(long_handle));
	long_handle[sizeof(long_handle) - 1] = '\0';
	assert_refuses(sqs_encode_describe(&body, ""));
	assert_refuses(sqs_encode_list_sources(&body, "\xff"));
	assert_refuses(sqs_encode_purge(&body, ""));
	assert_refuses(sqs_encode_start_move(&body, "", NULL, 0));
	assert_refuses(sqs_encode_start_move(&body, ARN, "", 0));
	assert_refuses(sqs_encode_start_move(&body, ARN, NULL, 501));
	assert_refuses(sqs_encode_start_move(&body, long_arn, NULL, 0));
	assert_refuses(sqs_encode_start_move(&body, ARN, long_arn, 0));
	assert_refuses(sqs_encode_list_moves(&body, "\x01"));
	assert_refuses(sqs_encode_cancel_move(&body, ""));
	assert_refuses(sqs_encode_cancel_move(&body, long_handle));
}

typedef int decode_fn(struct sqs_decoder *, const char *, size_t, struct sqs_redrive_answer *);

static struct sqs_redrive_answer decoded(decode_fn *decode, const char *text)
{
	struct sqs_redrive_answer answer = {.task_handle = ""};

	assert_int_equal(decode(&decoder, text, strlen(text), &answer), 0);
	return answer;
}

static void queues_are_described(void **state)
{
	struct sqs_redrive_answer answer = decoded(
		sqs_decode_describe, "{\"Attributes\":{\"QueueArn\":\"" ARN "\"," COUNTS "}}");

	assert_string_equal(answer.queue.arn, ARN);
	assert_int_equal(answer.queue.attributes.visible, 12);
	assert_int_equal(answer.queue.attributes.in_flight, 3);
	assert_int_equal(answer.queue.attributes.delayed, 1);
	assert_int_equal(answer.queue.attributes.visibility_s, 30);
	assert_int_equal(answer.queue.max_receives, 0);
	assert_string_equal(answer.queue.dead_letter_arn, "");
	answer = decoded(sqs_decode_describe,
		"{\"Attributes\":{\"QueueArn\":\"" ARN "\"," COUNTS
		",\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"" TO
		"\\\",\\\"maxReceiveCount\\\":5}\"}}");
	assert_int_equal(answer.queue.max_receives, 5);
	assert_string_equal(answer.queue.dead_letter_arn, TO);
	answer = decoded(sqs_decode_describe,
		"{\"Attributes\":{\"QueueArn\":\"" ARN "\"," COUNTS
		",\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"" TO
		"\\\",\\\"maxReceiveCount\\\":\\\"1000\\\"}\"}}");
	assert_int_equal(answer.queue.max_receives, 1000);
	/* a policy that was taken away */
	answer = decoded(sqs_decode_describe,
		"{\"Attributes\":{\"QueueArn\":\"" ARN "\"," COUNTS ",\"RedrivePolicy\":\"\"}}");
	assert_int_equal(answer.queue.max_receives, 0);
}

static void sources_are_listed(void **state)
{
	static const char eleven[] =
		"{\"queueUrls\":[\"u0\",\"u1\",\"u2\",\"u3\",\"u4\",\"u5\",\"u6\",\"u7\",\"u8\","
		"\"u9\",\"u10\"]}";
	struct sqs_redrive_answer answer = decoded(sqs_decode_list_sources, "{}");

	assert_int_equal(answer.sources.count, 0);
	assert_false(answer.sources.more);
	answer = decoded(sqs_decode_list_sources, "{\"queueUrls\":[\"" URL "\",\"b\"]}");
	assert_int_equal(answer.sources.count, 2);
	assert_string_equal(answer.sources.urls[0], URL);
	assert_string_equal(answer.sources.urls[1], "b");
	assert_false(answer.sources.more);
	answer = decoded(sqs_decode_list_sources, "{\"queueUrls\":[\"a\"],\"NextToken\":\"t\"}");
	assert_true(answer.sources.more);
	answer = decoded(sqs_decode_list_sources, eleven);
	assert_int_equal(answer.sources.count, 10);
	assert_string_equal(answer.sources.urls[9], "u9");
	assert_true(answer.sources.more);
}

static void moves_are_listed(void **state)
{
	struct sqs_redrive_answer answer = decoded(sqs_decode_list_moves,
		"{\"Results\":[{\"TaskHandle\":\"h\",\"Status\":\"RUNNING\",\"SourceArn\":\"" ARN
		"\",\"DestinationArn\":\"" TO "\",\"MaxNumberOfMessagesPerSecond\":20,"
		"\"ApproximateNumberOfMessagesMoved\":50,"
		"\"ApproximateNumberOfMessagesToMove\":120,\"StartedTimestamp\":1684429053010},"
		"{\"Status\":\"FAILED\",\"SourceArn\":\"" ARN
		"\",\"FailureReason\":\"CouldNotDetermineMessageSource\"},"
		"{\"Status\":\"CANCELLING\"},{\"Status\":\"CANCELLED\"},"
		"{\"Status\":\"COMPLETED\"}]}");

	assert_int_equal(answer.move_count, 5);
	assert_int_equal(answer.moves[0].status, SQS_MOVE_RUNNING);
	assert_string_equal(answer.moves[0].handle, "h");
	assert_string_equal(answer.moves[0].destination_arn, TO);
	assert_string_equal(answer.moves[0].failure, "");
	assert_int_equal(answer.moves[0].moved, 50);
	assert_int_equal(answer.moves[0].to_move, 120);
	assert_int_equal(answer.moves[0].started_epoch_ms, 1684429053010);
	assert_int_equal(answer.moves[0].messages_per_s, 20);
	assert_int_equal(answer.moves[1].status, SQS_MOVE_FAILED);
	assert_string_equal(answer.moves[1].handle, "");
	assert_string_equal(answer.moves[1].destination_arn, "");
	assert_string_equal(answer.moves[1].failure, "CouldNotDetermineMessageSource");
	assert_int_equal(answer.moves[1].moved, 0);
	assert_int_equal(answer.moves[1].to_move, -1);
	assert_int_equal(answer.moves[2].status, SQS_MOVE_CANCELLING);
	assert_int_equal(answer.moves[3].status, SQS_MOVE_CANCELLED);
	assert_int_equal(answer.moves[4].status, SQS_MOVE_COMPLETED);
	assert_int_equal(decoded(sqs_decode_list_moves, "{}").move_count, 0);
	assert_string_equal(
		decoded(sqs_decode_start_move, "{\"TaskHandle\":\"x\"}").task_handle, "x");
	assert_int_equal(
		decoded(sqs_decode_cancel_move, "{\"ApproximateNumberOfMessagesMoved\":7}").moved,
		7);
	assert_int_equal(decoded(sqs_decode_cancel_move, "{}").moved, 0);
}

static void impossible_answers(void **state)
{
	static const struct {
		decode_fn *decode;
		const char *text;
	} cases[] = {
		{sqs_decode_describe, "{\"Attributes\":{" COUNTS "}}"},
		{sqs_decode_describe, "{\"Attributes\":{\"QueueArn\":\"" ARN "\"}}"},
		{sqs_decode_describe, "{\"Attributes\":{\"QueueArn\":\"\"," COUNTS "}}"},
		{sqs_decode_describe,
			"{\"Attributes\":{\"QueueArn\":\"a\",\"RedrivePolicy\":7," COUNTS "}}"},
		{sqs_decode_describe,
			"{\"Attributes\":{\"QueueArn\":\"a\",\"RedrivePolicy\":\"x\"," COUNTS "}}"},
		{sqs_decode_describe,
			"{\"Attributes\":{\"QueueArn\":\"a\",\"RedrivePolicy\":\"{}\"," COUNTS
			"}}"},
		{sqs_decode_describe,
			"{\"Attributes\":{\"QueueArn\":\"a\",\"RedrivePolicy\":\"{"
			"\\\"deadLetterTargetArn\\\":\\\"b\\\",\\\"maxReceiveCount\\\":0}\"," COUNTS
			"}}"},
		{sqs_decode_describe,
			"{\"Attributes\":{\"QueueArn\":\"a\",\"RedrivePolicy\":\"{"
			"\\\"deadLetterTargetArn\\\":\\\"b\\\",\\\"maxReceiveCount\\\":\\\"5x"
			"\\\"}\"," COUNTS "}}"},
		{sqs_decode_describe,
			"{\"Attributes\":{\"QueueArn\":\"a\",\"RedrivePolicy\":\"{"
			"\\\"deadLetterTargetArn\\\":\\\"b\\\",\\\"maxReceiveCount\\\":\\\""
			"99999999999999999999\\\"}\"," COUNTS "}}"},
		{sqs_decode_describe, "{\"Attributes\":{\"QueueArn\":\"a\",\"RedrivePolicy\":\"{"
				      "\\\"maxReceiveCount\\\":5}\"," COUNTS "}}"},
		{sqs_decode_list_sources, "{\"queueUrls\":\"a\"}"},
		{sqs_decode_list_sources, "{\"queueUrls\":[1]}"},
		{sqs_decode_list_sources, "{\"queueUrls\":[\"\"]}"},
		{sqs_decode_list_sources, "[]"},
		{sqs_decode_start_move, "{}"},
		{sqs_decode_start_move, "{\"TaskHandle\":\"\"}"},
		{sqs_decode_start_move, "{\"TaskHandle\":7}"},
		{sqs_decode_list_moves, "{\"Results\":{}}"},
		{sqs_decode_list_moves, "{\"Results\":[\"RUNNING\"]}"},
		{sqs_decode_list_moves, "{\"Results\":[{}]}"},
		{sqs_decode_list_moves, "{\"Results\":[{\"Status\":\"DONE\"}]}"},
		{sqs_decode_list_moves, "{\"Results\":[{\"Status\":\"RUNNING\","
					"\"ApproximateNumberOfMessagesMoved\":-1}]}"},
		{sqs_decode_list_moves, "{\"Results\":[{\"Status\":\"RUNNING\","
					"\"ApproximateNumberOfMessagesToMove\":1e99}]}"},
		{sqs_decode_list_moves,
			"{\"Results\":[{\"Status\":\"RUNNING\",\"StartedTimestamp\":\"now\"}]}"},
		{sqs_decode_list_moves, "{\"Results\":[{\"Status\":\"RUNNING\","
					"\"MaxNumberOfMessagesPerSecond\":501}]}"},
		{sqs_decode_list_moves, "{\"Results\":[{},{},{},{},{},{},{},{},{},{},{}]}"},
		{sqs_decode_cancel_move, "{\"ApproximateNumberOfMessagesMoved\":\"7\"}"},
		{sqs_decode_cancel_move, "7"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sqs_redrive_answer answer = {.task_handle = "untouched"};
		int err = cases[i].decode(&decoder, cases[i].text, strlen(cases[i].text), &answer);

		if (err != ERR_PROTOCOL)
			fail_msg("%d: %s", err, cases[i].text);
		assert_string_equal(answer.task_handle, "untouched");
		assert_int_equal(answer.move_count, 0);
	}
}

/* ---- over a scripted SQS */

static const struct sqs_client_options once = {.max_attempts = 1};

struct told {
	bool done;
	int err;
	char detail[600], text[200];
	size_t count;
	int64_t number;
};

static void on_answer(
	void *arg, const struct sqs_outcome *outcome, const struct sqs_redrive_answer *answer)
{
	struct told *told = arg;

	assert_false(told->done);
	assert_int_equal(answer == NULL, outcome->err != 0);
	told->done = true;
	told->err = outcome->err;
	snprintf(told->detail, sizeof(told->detail), "%s", outcome->detail);
	if (answer == NULL)
		return;
	if (answer->queue.arn != NULL)
		snprintf(told->text, sizeof(told->text), "%s", answer->queue.arn);
	else if (answer->sources.count > 0)
		snprintf(told->text, sizeof(told->text), "%s", answer->sources.urls[0]);
	else
		snprintf(told->text, sizeof(told->text), "%s", answer->task_handle);
	told->count = answer->move_count;
	told->number = answer->moved;
}

static void expect(struct world *world, size_t i, const char *target, const char *body)
{
	const char *header = fake_header(&world->fake, i, "X-Amz-Target");

	assert_non_null(header);
	assert_string_equal(header, target);
	assert_string_equal(world->fake.requests[i].body, body);
}

static void all_the_way(void **state)
{
	struct world *world = world_open(&once, NULL);
	struct told told[6] = {{0}};
	struct queue_call *call;
	char body[200];

	fake_answer(
		&world->fake, 200, "", "{\"Attributes\":{\"QueueArn\":\"" ARN "\"," COUNTS "}}");
	fake_answer(&world->fake, 200, "", "{\"queueUrls\":[\"http://h/1/q\"]}");
	fake_answer(&world->fake, 200, "", "{\"TaskHandle\":\"h\"}");
	fake_answer(&world->fake, 200, "", "{\"Results\":[{\"Status\":\"RUNNING\"}]}");
	fake_answer(&world->fake, 200, "", "{\"ApproximateNumberOfMessagesMoved\":7}");
	fake_answer(&world->fake, 200, "", "");
	assert_int_equal(
		sqs_describe_queue(world->client, world->queue_url, on_answer, &told[0], &call), 0);
	world_run(world, &told[0].done);
	assert_int_equal(
		sqs_list_sources(world->client, world->queue_url, on_answer, &told[1], &call), 0);
	world_run(world, &told[1].done);
	assert_int_equal(sqs_start_move(world->client, ARN, TO, 5, on_answer, &told[2], &call), 0);
	world_run(world, &told[2].done);
	assert_int_equal(sqs_list_moves(world->client, ARN, on_answer, &told[3], &call), 0);
	world_run(world, &told[3].done);
	assert_int_equal(sqs_cancel_move(world->client, "h", on_answer, &told[4], &call), 0);
	world_run(world, &told[4].done);
	assert_int_equal(sqs_purge(world->client, world->queue_url, on_answer, &told[5], &call), 0);
	world_run(world, &told[5].done);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(told[i].err, 0);
	assert_string_equal(told[0].text, ARN);
	assert_string_equal(told[1].text, "http://h/1/q");
	assert_string_equal(told[2].text, "h");
	assert_int_equal(told[3].count, 1);
	assert_int_equal(told[4].number, 7);
	snprintf(body, sizeof(body), "{\"QueueUrl\":\"%s\"}", world->queue_url);
	expect(world, 2, "AmazonSQS.StartMessageMoveTask",
		"{\"SourceArn\":\"" ARN "\",\"DestinationArn\":\"" TO
		"\",\"MaxNumberOfMessagesPerSecond\":5}");
	expect(world, 3, "AmazonSQS.ListMessageMoveTasks",
		"{\"SourceArn\":\"" ARN "\",\"MaxResults\":10}");
	expect(world, 4, "AmazonSQS.CancelMessageMoveTask", "{\"TaskHandle\":\"h\"}");
	expect(world, 5, "AmazonSQS.PurgeQueue", body);
	assert_string_equal(
		fake_header(&world->fake, 0, "X-Amz-Target"), "AmazonSQS.GetQueueAttributes");
	assert_string_equal(fake_header(&world->fake, 1, "X-Amz-Target"),
		"AmazonSQS.ListDeadLetterSourceQueues");
	world_close(world);
}

static void errors_are_told(void **state)
{
	struct world *world = world_open(&once, NULL);
	struct told told[4] = {{0}};
	struct queue_call *call;

	fake_answer(&world->fake, 400, "",
		"{\"__type\":\"com.amazon.coral.service#InvalidParameterValueException\","
		"\"message\":\"There is already a task running.\"}");
	fake_answer(&world->fake, 404, "",
		"{\"__type\":\"com.amazonaws.sqs#ResourceNotFoundException\","
		"\"message\":\"Task does not exist.\"}");
	fake_answer(&world->fake, 403, "",
		"{\"__type\":\"com.amazonaws.sqs#PurgeQueueInProgress\",\"message\":\"Only "
		"one.\"}");
	fake_answer(&world->fake, 200, "", "<html>");
	assert_int_equal(
		sqs_start_move(world->client, ARN, NULL, 0, on_answer, &told[0], &call), 0);
	world_run(world, &told[0].done);
	assert_int_equal(sqs_cancel_move(world->client, "h", on_answer, &told[1], &call), 0);
	world_run(world, &told[1].done);
	assert_int_equal(sqs_purge(world->client, world->queue_url, on_answer, &told[2], &call), 0);
	world_run(world, &told[2].done);
	assert_int_equal(sqs_list_moves(world->client, ARN, on_answer, &told[3], &call), 0);
	world_run(world, &told[3].done);
	assert_int_equal(told[0].err, ERR_REFUSED);
	assert_non_null(strstr(told[0].detail, "already a task running"));
	assert_int_equal(told[1].err, ERR_REFUSED);
	assert_int_equal(told[2].err, ERR_THROTTLED);
	assert_int_equal(told[3].err, ERR_PROTOCOL);
	assert_non_null(strstr(told[3].detail, "not an answer of ListMessageMoveTasks"));
	assert_int_equal(sqs_start_move(world->client, "", NULL, 0, on_answer, &told[0], &call),
		ERR_ARGUMENT);
	world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(what_sqs_would_not_take),
		cmocka_unit_test(queues_are_described),
		cmocka_unit_test(sources_are_listed),
		cmocka_unit_test(moves_are_listed),
		cmocka_unit_test(impossible_answers),
		cmocka_unit_test(all_the_way),
		cmocka_unit_test(errors_are_told),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
