#include "aws/sqs_queue.h"
#include "bunshin/error.h"
#include "cli/queue_probe.h"
#include "fake_sqs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ATTRIBUTES                                                \
	"{\"Attributes\":{\"ApproximateNumberOfMessages\":\"7\"," \
	"\"ApproximateNumberOfMessagesNotVisible\":\"5\","        \
	"\"ApproximateNumberOfMessagesDelayed\":\"3\",\"VisibilityTimeout\":\"45\"}}"
#define FAILED(code)                                                                         \
	"{\"Failed\":[{\"Id\":\"0\",\"SenderFault\":true,\"Code\":\"" code "\",\"Message\":" \
	"\"The input receipt handle is invalid.\"}]}"
#define DENIED "{\"__type\":\"com.amazon.coral.service#AccessDeniedException\",\"message\":\"no\"}"
#define DENIED_AS(id) "AccessDeniedException (HTTP 400, request id id-" id "): no"
#define MISSING "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"none\"}"

static const struct sqs_client_options defaults = {0};

struct probed {
	struct world *world;
	struct sqs_queue *queue;
	struct queue_probe *probe;
	bool done;
	struct queue_probe_result result;
};

static void on_done(void *arg, const struct queue_probe_result *result)
{
	struct probed *probed = arg;

	assert_false(probed->done);
	probed->done = true;
	probed->result = *result;
}

static void probe_open(struct probed *probed)
{
	*probed = (struct probed){.world = world_open(&defaults, NULL)};
	assert_int_equal(
		sqs_queue_new(probed->world->client, probed->world->queue_url, &probed->queue), 0);
}

static void probe_start(struct probed *probed, enum queue_probe_extent extent)
{
	assert_int_equal(queue_probe_start(sqs_queue_table(probed->queue), extent, on_done, probed,
				 &probed->probe),
		0);
	assert_false(probed->done);
}

static void probe_close(struct probed *probed)
{
	sqs_queue_free(probed->queue);
	world_close(probed->world);
}

static void assert_target(const struct probed *probed, size_t i, const char *operation)
{
	assert_string_equal(fake_header(&probed->world->fake, i, "X-Amz-Target"), operation);
}

static void all_is_permitted(void **state)
{
	static const char *const handle_answers[][2] = {
		{FAILED("ReceiptHandleIsInvalid"), FAILED("InvalidParameterValue")},
		{FAILED("InvalidParameterValue"), FAILED("MessageNotInflight")},
		{"{\"Successful\":[{\"Id\":\"0\"}]}", "{\"Successful\":[{\"Id\":\"0\"}]}"},
	};

	for (size_t i = 0; i < 3; i++) {
		struct probed probed;

		probe_open(&probed);
		fake_answer(&probed.world->fake, 200, "", ATTRIBUTES);
		fake_answer(&probed.world->fake, 200, "", handle_answers[i][0]);
		fake_answer(&probed.world->fake, 200, "", handle_answers[i][1]);
		probe_start(&probed, QUEUE_PROBE_ALL);
		world_run(probed.world, &probed.done);
		assert_int_equal(probed.result.attributes.err, 0);
		assert_int_equal(probed.result.delete.err, 0);
		assert_int_equal(probed.result.visibility.err, 0);
		assert_string_equal(probed.result.delete.words, "");
		assert_int_equal(probed.result.counts.visible, 7);
		assert_int_equal(probed.result.counts.in_flight, 5);
		assert_int_equal(probed.result.counts.delayed, 3);
		assert_int_equal(probed.result.counts.visibility_s, 45);
		assert_int_equal(probed.world->fake.request_count, 3);
		assert_target(&probed, 0, "AmazonSQS.GetQueueAttributes");
		assert_target(&probed, 1, "AmazonSQS.DeleteMessageBatch");
		assert_target(&probed, 2, "AmazonSQS.ChangeMessageVisibilityBatch");
		probe_close(&probed);
	}
}

static void nothing_is_permitted(void **state)
{
	struct probed probed;

	probe_open(&probed);
	for (int i = 0; i < 3; i++)
		fake_answer(&probed.world->fake, 400, "", DENIED);
	probe_start(&probed, QUEUE_PROBE_ALL);
	world_run(probed.world, &probed.done);
	assert_int_equal(probed.result.attributes.err, ERR_ACCESS_DENIED);
	assert_string_equal(probed.result.attributes.words,
		"may not read the attributes (sqs:GetQueueAttributes): " DENIED_AS("0"));
	assert_int_equal(probed.result.delete.err, ERR_ACCESS_DENIED);
	assert_string_equal(
		probed.result.delete.words, "may not delete (sqs:DeleteMessage): " DENIED_AS("1"));
	assert_int_equal(probed.result.visibility.err, ERR_ACCESS_DENIED);
	assert_string_equal(probed.result.visibility.words,
		"may not change visibility (sqs:ChangeMessageVisibility): " DENIED_AS("2"));
	probe_close(&probed);
}

static void a_missing_queue_is_asked_once(void **state)
{
	struct probed probed;

	probe_open(&probed);
	fake_answer(&probed.world->fake, 400, "", MISSING);
	probe_start(&probed, QUEUE_PROBE_ALL);
	world_run(probed.world, &probed.done);
	assert_int_equal(probed.result.attributes.err, ERR_QUEUE_MISSING);
	assert_string_equal(probed.result.attributes.words,
		"cannot read the attributes: QueueDoesNotExist (HTTP 400, request id id-0): none");
	assert_int_equal(probed.result.delete.err, ERR_PENDING);
	assert_int_equal(probed.result.visibility.err, ERR_PENDING);
	assert_int_equal(probed.world->fake.request_count, 1);
	probe_close(&probed);
}

static void attributes_alone(void **state)
{
	struct probed probed;

	probe_open(&probed);
	fake_answer(&probed.world->fake, 200, "", ATTRIBUTES);
	probe_start(&probed, QUEUE_PROBE_ATTRIBUTES);
	world_run(probed.world, &probed.done);
	assert_int_equal(probed.result.attributes.err, 0);
	assert_int_equal(probed.result.delete.err, ERR_PENDING);
	assert_int_equal(probed.world->fake.request_count, 1);
	probe_close(&probed);
}

/* Given up while each of its requests is under way. */
static void cancelled(void **state)
{
	for (size_t answered = 0; answered < 3; answered++) {
		struct probed probed;

		probe_open(&probed);
		for (size_t i = 0; i < answered; i++)
			fake_answer(&probed.world->fake, 200, "",
				i == 0 ? ATTRIBUTES : FAILED("ReceiptHandleIsInvalid"));
		fake_silence(&probed.world->fake);
		probe_start(&probed, QUEUE_PROBE_ALL);
		world_run_requests(probed.world, answered + 1);
		queue_probe_cancel(probed.probe);
		assert_false(probed.done);
		probe_close(&probed);
	}
	queue_probe_cancel(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_permitted),
		cmocka_unit_test(nothing_is_permitted),
		cmocka_unit_test(a_missing_queue_is_asked_once),
		cmocka_unit_test(attributes_alone),
		cmocka_unit_test(cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
