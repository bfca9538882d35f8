/*
 * src/localq: every operation of the embedded queue, through its service in virtual time and
 * through its endpoint on a socket. The memory of SQLite, cJSON and OpenSSL fails like our own. A
 * call is answered, once: with what is right, or with a 500, which leaves open whether it has
 * happened, but all or nothing of it has. The next call works.
 */
#include "sweep.h"

#include "base/loop_clock.h"
#include "bunshin/error.h"
#include "localq/auth.h"
#include "localq/endpoint.h"
#include "reach_openssl.h"
#include "reach_sqlite.h"
#include "world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define Q "\"QueueUrl\":\"http://h/000000000000/q\""
#define MESSAGES 4

static int enter(void **state)
{
	return reach_openssl() && reach_sqlite() ? 0 : -1;
}

static int leave(void **state)
{
	return sqlite3_shutdown();
}

/* ---- the service */

/*
 * With a queue of four messages, every second one of a tenant and one of the others in flight, its
 * dead-letter queue, and an empty one.
 */
struct stage {
	struct world world;
	char handle[64]; /* of the message in flight */
};

static void open_stage(struct stage *stage)
{
	struct world *world = &stage->world;
	const cJSON *answer;

	world_open(world, NULL);
	world_create(world, "empty");
	world_create(world, "dead");
	world_ok(world, "CreateQueue",
		"{\"QueueName\":\"q\",\"Attributes\":{\"RedrivePolicy\":\"{\\\"maxReceiveCount\\\":"
		"3,\\\"deadLetterTargetArn\\\":\\\"arn:aws:sqs:us-east-1:000000000000:dead\\\"}\"}"
		"}");
	for (int i = 0; i < MESSAGES; i++) {
		world_ok(world, "SendMessage",
			"{" Q ",\"MessageBody\":\"message %d\",\"MessageAttributes\":{\"Deadline\":"
			"{\"DataType\":\"Number\",\"StringValue\":\"17\"}},"
			"\"MessageSystemAttributes\":{\"AWSTraceHeader\":{\"DataType\":\"String\","
			"\"StringValue\":\"Root=1\"}}%s}",
			i, i % 2 ? ",\"MessageGroupId\":\"g\"" : "");
		world_advance_ms(world, 1);
	}
	answer = world_ok(world, "ReceiveMessage", "{" Q ",\"VisibilityTimeout\":600}");
	world_handle(answer, 0, stage->handle);
}

struct operation_case {
	const char *operation;
	const char *request; /* '@' stands for the handle of the message in flight */
	int wait_ms;	     /* until it must be answered */
	/* What must be true of the answer; NULL: nothing. */
	void (*check)(const cJSON *answer);
	/* The counts of "q" once it has happened; NULL: not to be looked at (a batch: one more). */
	const char *after;
};

#define BEFORE "3 1 0"

static const cJSON *at(const cJSON *answer, const char *name, int index)
{
	return cJSON_GetArrayItem(cJSON_GetObjectItem(answer, name), index);
}

static const char *text_of(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItem(object, name);

	assert_true(cJSON_IsString(item));
	return item->valuestring;
}

static void check_message(const cJSON *answer)
{
	const cJSON *message = at(answer, "Messages", 0), *system, *attribute;

	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "Messages")), 3);
	assert_string_equal(text_of(message, "Body"), "message 1");
	assert_string_equal(text_of(message, "MD5OfBody"), "1db65a6a0a818fd39655b95e33ada11d");
	assert_int_equal(strlen(text_of(message, "MessageId")), 36);
	assert_string_not_equal(
		text_of(message, "MessageId"), "00000000-0000-0000-0000-000000000000");
	system = cJSON_GetObjectItem(message, "Attributes");
	assert_string_equal(text_of(system, "AWSTraceHeader"), "Root=1");
	assert_string_equal(text_of(system, "MessageGroupId"), "g");
	assert_string_equal(text_of(system, "ApproximateReceiveCount"), "1");
	attribute =
		cJSON_GetObjectItem(cJSON_GetObjectItem(message, "MessageAttributes"), "Deadline");
	assert_string_equal(text_of(attribute, "StringValue"), "17");
}

static void check_empty(const cJSON *answer)
{
	assert_null(cJSON_GetObjectItem(answer, "Messages"));
}

static void check_attributes(const cJSON *answer)
{
	const cJSON *map = cJSON_GetObjectItem(answer, "Attributes");

	assert_string_equal(text_of(map, "ApproximateNumberOfMessages"), "3");
	assert_non_null(strstr(text_of(map, "RedrivePolicy"), ":dead"));
}

static void check_list(const cJSON *answer)
{
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "QueueUrls")), 3);
}

static void check_overview(const cJSON *answer)
{
	const cJSON *queues = cJSON_GetObjectItem(answer, "Queues");

	assert_int_equal(cJSON_GetArraySize(queues), 3);
	assert_string_equal(text_of(cJSON_GetArrayItem(queues, 2), "QueueName"), "q");
	assert_non_null(cJSON_GetObjectItem(cJSON_GetArrayItem(queues, 2), "OldestSentTimestamp"));
}

static void check_peek(const cJSON *answer)
{
	const cJSON *messages = cJSON_GetObjectItem(answer, "Messages");

	assert_int_equal(cJSON_GetArraySize(messages), 4);
	assert_string_equal(text_of(cJSON_GetArrayItem(messages, 0), "Body"), "message 1");
	assert_non_null(cJSON_GetObjectItem(cJSON_GetArrayItem(messages, 0), "MessageAttributes"));
}

static void check_batch(const cJSON *answer)
{
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "Successful")), 1);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "Failed")), 1);
}

static int successes(const cJSON *answer)
{
	return cJSON_GetArraySize(cJSON_GetObjectItem(answer, "Successful"));
}

static void run_call(struct stage *stage, const struct operation_case *c, struct world_call *call)
{
	const char *mark = strchr(c->request, '@');
	int before = mark ? (int)(mark - c->request) : (int)strlen(c->request);

	sweep_on();
	world_start(&stage->world, call, c->operation, "%.*s%s%s", before, c->request,
		mark ? stage->handle : "", mark ? mark + 1 : "");
	service_flush(&stage->world.service);
	if (c->wait_ms)
		world_advance_ms(&stage->world, c->wait_ms);
	sweep_off();
}

/* The queue does what it is for, whatever has failed: nothing is lost and nothing comes twice. */
static void check_service(struct stage *stage)
{
	struct world *world = &stage->world;

	assert_string_equal(world_counts(world, "empty"), "0 0 0");
	world_send(world, "empty", "still works");
	assert_int_equal(world_receive(world, "empty"), 1);
}

static void assert_all_or_nothing(
	struct stage *stage, const char *queue, const char *nothing, const char *all)
{
	const char *counts = world_counts(&stage->world, queue);

	if (strcmp(counts, nothing) != 0 && strcmp(counts, all) != 0)
		fail_msg("%s is %s, neither %s nor %s", queue, counts, nothing, all);
}

static int run_operation(const void *arg)
{
	const struct operation_case *c = arg;
	struct world_call call;
	struct stage stage;
	enum fault fault;

	open_stage(&stage);
	run_call(&stage, c, &call);
	assert_true(call.answered);
	fault = call.call.problem.fault;
	if (fault == FAULT_NONE) {
		if (c->check)
			c->check(call.answer);
		if (c->after)
			assert_string_equal(world_counts(&stage.world, "q"), c->after);
	} else if (fault == FAULT_INTERNAL) {
		assert_true(sweep_has_failed());
		if (c->after)
			assert_all_or_nothing(&stage, "q", BEFORE, c->after);
	} else {
		fail_msg("%s: %s", c->operation, call.call.problem.message);
	}
	check_service(&stage);
	world_end(&call);
	world_close(&stage.world);
	return fault == FAULT_NONE ? 0 : ERR_NOMEM;
}

/* Each entry of a batch fails for itself: as many have happened as are said to have. */
static int run_batch(const void *arg)
{
	const struct operation_case *c = arg;
	struct world_call call;
	struct stage stage;
	int done = 0;

	open_stage(&stage);
	run_call(&stage, c, &call);
	assert_true(call.answered);
	if (call.call.problem.fault == FAULT_NONE) {
		char counts[32];

		done = successes(call.answer);
		snprintf(counts, sizeof(counts), "%d 1 0", 3 + done);
		if (c->after)
			snprintf(counts, sizeof(counts), "%s", done ? c->after : BEFORE);
		assert_string_equal(world_counts(&stage.world, "q"), counts);
	} else {
		assert_int_equal(call.call.problem.fault, FAULT_INTERNAL);
	}
	if (!sweep_has_failed())
		c->check(call.answer);
	check_service(&stage);
	world_end(&call);
	world_close(&stage.world);
	return done ? 0 : ERR_NOMEM;
}

/* A message that was received as often as allowed moves, or stays where it was. */
static int dead_letter(const void *arg)
{
	static const struct operation_case c = {.operation = "ReceiveMessage",
		.request = "{" Q ",\"MaxNumberOfMessages\":10,\"VisibilityTimeout\":0}"};
	struct world_call call;
	struct stage stage;
	bool moved, stayed;

	open_stage(&stage);
	for (int i = 0; i < 3; i++)
		world_ok(&stage.world, "ReceiveMessage",
			"{" Q ",\"MaxNumberOfMessages\":10,\"VisibilityTimeout\":0}");
	run_call(&stage, &c, &call);
	assert_true(call.answered);
	moved = call.call.problem.fault == FAULT_NONE;
	assert_all_or_nothing(&stage, "q", moved ? "0 1 0" : BEFORE, "0 1 0");
	stayed = strcmp(world_counts(&stage.world, "q"), BEFORE) == 0;
	assert_string_equal(world_counts(&stage.world, "dead"), stayed ? "0 0 0" : "3 0 0");
	world_end(&call);
	world_close(&stage.world);
	return moved ? 0 : ERR_NOMEM;
}

/* The same where no message has a group: one of the four is dead. */
static int plain_receive(const void *arg)
{
	static const struct operation_case c = {
		.operation = "ReceiveMessage", .request = "{" Q ",\"MaxNumberOfMessages\":10}"};
	struct world_call call;
	struct stage stage;
	bool received;

	open_stage(&stage);
	world_ok(&stage.world, "PurgeQueue", "{" Q "}");
	world_send(&stage.world, "q", "dead");
	for (int i = 0; i < 3; i++)
		world_ok(&stage.world, "ReceiveMessage", "{" Q ",\"VisibilityTimeout\":0}");
	for (int i = 0; i < 3; i++)
		world_send(&stage.world, "q", "x");
	run_call(&stage, &c, &call);
	assert_true(call.answered);
	received = call.call.problem.fault == FAULT_NONE;
	assert_all_or_nothing(&stage, "q", received ? "0 3 0" : "4 0 0", "0 3 0");
	if (strcmp(world_counts(&stage.world, "q"), "4 0 0") == 0) {
		assert_string_equal(world_counts(&stage.world, "dead"), "0 0 0");
		assert_int_equal(world_receive(&stage.world, "q"), 3);
	}
	assert_string_equal(world_counts(&stage.world, "dead"), "1 0 0");
	world_end(&call);
	world_close(&stage.world);
	return received ? 0 : ERR_NOMEM;
}

/* A message arrives for one that waits; if not by the wait then by another receive. */
static int arrival(const void *arg)
{
	static const char wait[] = "{\"QueueUrl\":\"/empty\",\"WaitTimeSeconds\":20}";
	struct world_call waiting, send;
	struct stage stage;
	bool sent, received;

	open_stage(&stage);
	sweep_on();
	world_start(&stage.world, &waiting, "ReceiveMessage", "%s", wait);
	service_flush(&stage.world.service);
	world_start(&stage.world, &send, "SendMessage",
		"{\"QueueUrl\":\"/empty\",\"MessageBody\":\"hello\"}");
	service_flush(&stage.world.service);
	sweep_off();
	world_advance_ms(&stage.world, 20000);
	assert_true(waiting.answered && send.answered);
	sent = send.call.problem.fault == FAULT_NONE;
	received = at(waiting.answer, "Messages", 0) != NULL;
	if (sent && !received)
		assert_int_equal(world_receive(&stage.world, "empty"), 1);
	world_end(&waiting);
	world_end(&send);
	world_close(&stage.world);
	return sent && received ? 0 : ERR_NOMEM;
}

/* A purged queue is swept in the background; what fails is done later. */
static int sweep_purged(const void *arg)
{
	struct stage stage;

	open_stage(&stage);
	world_ok(&stage.world, "PurgeQueue", "{" Q "}");
	sweep_on();
	world_advance_ms(&stage.world, 5000);
	sweep_off();
	world_advance_ms(&stage.world, 20000);
	assert_string_equal(world_counts(&stage.world, "q"), "0 0 0");
	world_close(&stage.world);
	return 0;
}

/* Three dead letters go home; a slice that fails is tried again, and none is in two queues. */
static int move_back(const void *arg)
{
	struct stage stage;
	bool gone;

	open_stage(&stage);
	for (int i = 0; i < 4; i++)
		world_ok(&stage.world, "ReceiveMessage",
			"{" Q ",\"MaxNumberOfMessages\":10,\"VisibilityTimeout\":0}");
	world_ok(&stage.world, "StartMessageMoveTask",
		"{\"SourceArn\":\"arn:aws:sqs:us-east-1:000000000000:dead\"}");
	sweep_on();
	world_advance_ms(&stage.world, 2);
	sweep_off();
	gone = strcmp(world_counts(&stage.world, "dead"), "0 0 0") == 0;
	assert_string_equal(world_counts(&stage.world, "q"), gone ? BEFORE : "0 1 0");
	world_advance_ms(&stage.world, 10000);
	assert_string_equal(world_counts(&stage.world, "dead"), "0 0 0");
	assert_string_equal(world_counts(&stage.world, "q"), BEFORE);
	world_close(&stage.world);
	return 0;
}

static int open_store(const void *arg)
{
	char detail[STORE_DETAIL_MAX];
	struct store *store = NULL;
	int err;

	sweep_on();
	err = store_open(NULL, STORE_SYNC_NORMAL, &store, detail);
	sweep_off();
	store_close(store);
	return err;
}

/* ---- the endpoint */

static void on_closed(void *arg)
{
	*(bool *)arg = true;
}

static int connect_to(const char *address)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)(const void *)&to, sizeof(to)), 0);
	return fd;
}

/* One request; the status, or 0 when the connection was closed without an answer. */
static int ask(uv_loop_t *loop, int fd, const char *operation, const char *body)
{
	char text[4096];
	size_t len;
	int status = 0;

	len = (size_t)snprintf(text, sizeof(text),
		"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: AmazonSQS.%s\r\n"
		"Content-Length: %zu\r\n\r\n%s",
		operation, strlen(body), body);
	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
	for (len = 0;;) {
		ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, MSG_DONTWAIT);

		if (n == 0)
			return 0;
		if (n < 0 && errno != EAGAIN)
			return 0;
		len += n > 0 ? (size_t)n : 0;
		text[len] = '\0';
		if (sscanf(text, "HTTP/1.1 %d", &status) == 1 && strstr(text, "\r\n\r\n"))
			return status;
		uv_run(loop, UV_RUN_NOWAIT);
	}
}

static void check_status(int status)
{
	if (status != 200 && status != 500 && status != 0)
		fail_msg("answered with %d", status);
	if (status != 200)
		assert_true(sweep_has_failed());
}

/* Without SQLite's memory, which the operations above have had their turn with. */
static int serve(const void *arg)
{
	const struct endpoint_options options = {.listen = "127.0.0.1:0", .region = "us-east-1"};
	char detail[ENDPOINT_DETAIL_MAX];
	struct loop_clock *clock;
	struct endpoint *endpoint = NULL;
	int statuses[3] = {200, 200, 200}, err, fd = -1;
	bool closed = false;
	uv_loop_t loop;

	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(loop_clock_new(&loop, &clock), 0);
	sqlite_is_spared = true;
	sweep_on();
	err = endpoint_new(&loop, loop_clock_table(clock), &options, &endpoint, detail);
	if (!err) {
		fd = connect_to(endpoint_address(endpoint));
		statuses[0] = ask(&loop, fd, "CreateQueue", "{\"QueueName\":\"q\"}");
		if (statuses[0] == 200)
			statuses[1] = ask(&loop, fd, "SendMessage",
				"{\"QueueUrl\":\"/q\",\"MessageBody\":\"hello\"}");
		if (statuses[1] == 200)
			statuses[2] = ask(&loop, fd, "ListQueues", "{}");
	}
	sweep_off();
	sqlite_is_spared = false;
	for (int i = 0; i < 3; i++)
		check_status(statuses[i]);
	if (!err) {
		close(fd);
		fd = connect_to(endpoint_address(endpoint));
		assert_int_equal(ask(&loop, fd, "CreateQueue", "{\"QueueName\":\"p\"}"), 200);
		close(fd);
		endpoint_close(endpoint, on_closed, &closed);
		endpoint_close(endpoint, on_closed, &closed); /* without its moment of grace */
		while (!closed)
			uv_run(&loop, UV_RUN_ONCE);
	}
	loop_clock_close(clock);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	return err;
}

/* A signed request is let in, or refused for want of memory; a wrong one never gets in. */
static int check_signature(const void *arg)
{
	static const struct auth_header headers[] = {{"Host", "h"},
		{"X-Amz-Date", "20260101T000000Z"},
		{"Authorization",
			"AWS4-HMAC-SHA256 "
			"Credential=id/20260101/us-east-1/sqs/aws4_request,"
			"SignedHeaders=host;x-amz-date,Signature="
			"9e9e835310a8900e060e7b92aae58d74670c2b5556faa03ecfa9b669cfe6ad2b"}};
	static const struct auth_key key = {"id", "secret", "us-east-1"};
	const struct auth_request request = {.method = "POST",
		.path = "/",
		.headers = headers,
		.header_count = 3,
		.body = "{}",
		.body_bytes = 2};
	struct auth_key wrong = key;
	struct problem problem;
	struct hasher *hasher;
	enum fault right_fault = FAULT_INTERNAL, wrong_fault = FAULT_INTERNAL;

	wrong.secret_key = "another";
	sweep_on();
	hasher = hasher_new();
	if (hasher) {
		right_fault = auth_check(hasher, &key, &request, 1767225600, &problem);
		wrong_fault = auth_check(hasher, &wrong, &request, 1767225600, &problem);
	}
	sweep_off();
	assert_true(right_fault == FAULT_NONE || right_fault == FAULT_INTERNAL);
	assert_true(wrong_fault == FAULT_BAD_SIGNATURE || wrong_fault == FAULT_INTERNAL);
	hasher_free(hasher);
	return right_fault || wrong_fault == FAULT_INTERNAL ? ERR_NOMEM : 0;
}

/* ---- the table */

static char large_send[400000], large_batch[200000];

static void build_large(void)
{
	size_t len;

	strcpy(large_send, "{" Q ",\"MessageBody\":\"");
	len = strlen(large_send);
	memset(large_send + len, 'x', 300000);
	strcpy(large_send + len + 300000, "\"}");
	strcpy(large_batch, "{" Q ",\"Entries\":[{\"Id\":\"0\",\"MessageBody\":\"\"}");
	len = strlen(large_batch);
	for (int i = 1; i < 10; i++) {
		len += (size_t)snprintf(large_batch + len, sizeof(large_batch) - len,
			",{\"Id\":\"%d\",\"MessageBody\":\"", i);
		memset(large_batch + len, 'y', 15000);
		len += 15000;
		len += (size_t)snprintf(large_batch + len, sizeof(large_batch) - len, "\"}");
	}
	strcpy(large_batch + len, "]}");
}

static void check_nine(const cJSON *answer)
{
	assert_int_equal(successes(answer), 9);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "Failed")), 1);
}

static const struct operation_case cases[] = {
	{"CreateQueue",
		"{\"QueueName\":\"new\",\"Attributes\":{\"DelaySeconds\":\"1\",\"Policy\":"
		"\"{\\\"a\\\":[1]}\"},\"tags\":{\"a\":\"b\"}}",
		.after = BEFORE},
	{"DeleteQueue", "{" Q "}", .after = NULL},
	{"PurgeQueue", "{" Q "}", .after = "0 0 0"},
	{"GetQueueUrl", "{\"QueueName\":\"q\"}", .after = BEFORE},
	{"GetQueueAttributes", "{" Q ",\"AttributeNames\":[\"All\"]}", .check = check_attributes},
	{"SetQueueAttributes",
		"{" Q ",\"Attributes\":{\"Policy\":\"{}\",\"RedrivePolicy\":"
		"\"{\\\"maxReceiveCount\\\":5,\\\"deadLetterTargetArn\\\":"
		"\\\"arn:aws:sqs:us-east-1:000000000000:dead\\\"}\"}}",
		.after = BEFORE},
	{"ListQueues", "{}", .check = check_list},
	{"SendMessage", "{" Q ",\"MessageBody\":\"\\u0041x\"}", .after = "4 1 0"},
	{"SendMessage", large_send, .after = "4 1 0"},
	{"ReceiveMessage",
		"{" Q ",\"MaxNumberOfMessages\":10,\"MessageAttributeNames\":[\"All\"],"
		"\"AttributeNames\":[\"All\"],\"VisibilityTimeout\":60}",
		.check = check_message, .after = "0 4 0"},
	{"ReceiveMessage", "{\"QueueUrl\":\"/empty\",\"WaitTimeSeconds\":1}", .wait_ms = 1000,
		.check = check_empty, .after = BEFORE},
	{"DeleteMessage", "{" Q ",\"ReceiptHandle\":\"@\"}", .after = "3 0 0"},
	{"ChangeMessageVisibility", "{" Q ",\"ReceiptHandle\":\"@\",\"VisibilityTimeout\":0}",
		.after = "4 0 0"},
	{"SendMessageBatch",
		"{" Q ",\"Entries\":[{\"Id\":\"a\",\"MessageBody\":\"x\",\"MessageAttributes\":"
		"{\"b\":{\"DataType\":\"Binary\",\"BinaryValue\":\"YQ==\"}}},"
		"{\"Id\":\"b\",\"MessageBody\":\"\"}]}",
		.check = check_batch},
	{"SendMessageBatch", large_batch, .check = check_nine},
	{"DeleteMessageBatch",
		"{" Q ",\"Entries\":[{\"Id\":\"a\",\"ReceiptHandle\":\"@\"},"
		"{\"Id\":\"b\",\"ReceiptHandle\":\"no\"}]}",
		.check = check_batch, .after = "3 0 0"},
	{"ChangeMessageVisibilityBatch",
		"{" Q ",\"Entries\":[{\"Id\":\"a\",\"ReceiptHandle\":\"@\","
		"\"VisibilityTimeout\":0},{\"Id\":\"b\",\"ReceiptHandle\":\"no\","
		"\"VisibilityTimeout\":0}]}",
		.check = check_batch, .after = "4 0 0"},
	{"ListDeadLetterSourceQueues", "{\"QueueUrl\":\"/dead\"}", .after = BEFORE},
	{"StartMessageMoveTask", "{\"SourceArn\":\"arn:aws:sqs:us-east-1:000000000000:dead\"}",
		.after = BEFORE},
	{"ListMessageMoveTasks", "{\"SourceArn\":\"arn:aws:sqs:us-east-1:000000000000:dead\"}",
		.after = BEFORE},
	{"TagQueue", "{" Q ",\"Tags\":{\"a\":\"b\",\"c\":\"\"}}", .after = BEFORE},
	{"ListQueueTags", "{" Q "}", .after = BEFORE},
	{"UntagQueue", "{" Q ",\"TagKeys\":[\"a\"]}", .after = BEFORE},
	{"BunshinQueue.Overview", "{}", .check = check_overview, .after = BEFORE},
	{"BunshinQueue.PeekMessages", "{" Q "}", .check = check_peek, .after = BEFORE},
};

/* Where there are thousands of them. */
static const unsigned long once[] = {1, 0};

int main(void)
{
#define CALL(what, run, i) SWEEP(what, run, .arg = &cases[i], .degrades = true)
	static const struct sweep table[] = {
		SWEEP("store: opened", open_store, .degrades = true, .stretches = once),
		CALL("CreateQueue", run_operation, 0),
		CALL("DeleteQueue", run_operation, 1),
		CALL("PurgeQueue", run_operation, 2),
		CALL("GetQueueUrl", run_operation, 3),
		CALL("GetQueueAttributes", run_operation, 4),
		CALL("SetQueueAttributes", run_operation, 5),
		CALL("ListQueues", run_operation, 6),
		CALL("SendMessage", run_operation, 7),
		CALL("SendMessage of 300 KB", run_operation, 8),
		CALL("ReceiveMessage: three messages", run_operation, 9),
		CALL("ReceiveMessage: a long poll of nothing", run_operation, 10),
		CALL("DeleteMessage", run_operation, 11),
		CALL("ChangeMessageVisibility", run_operation, 12),
		CALL("SendMessageBatch", run_batch, 13),
		CALL("SendMessageBatch of 150 KB", run_batch, 14),
		CALL("DeleteMessageBatch", run_batch, 15),
		CALL("ChangeMessageVisibilityBatch", run_batch, 16),
		CALL("ListDeadLetterSourceQueues", run_operation, 17),
		CALL("StartMessageMoveTask", run_operation, 18),
		CALL("ListMessageMoveTasks", run_operation, 19),
		CALL("TagQueue", run_operation, 20),
		CALL("ListQueueTags", run_operation, 21),
		CALL("UntagQueue", run_operation, 22),
		CALL("Overview", run_operation, 23),
		CALL("PeekMessages", run_operation, 24),
		SWEEP("a receive that moves three dead letters", dead_letter, .degrades = true),
		SWEEP("a receive of messages without a group", plain_receive, .degrades = true),
		SWEEP("an arrival for a long poll", arrival, .degrades = true),
		SWEEP("the sweep of a purged queue", sweep_purged, .degrades = true),
		SWEEP("a move task", move_back, .degrades = true),
		SWEEP("signatures, right and wrong", check_signature, .degrades = true),
		SWEEP("endpoint: three requests on a socket", serve, .degrades = true),
	};

	build_large();
	return SWEEP_TABLE("localq", table, enter, leave);
}
