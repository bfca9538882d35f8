/*
 * src/aws: the codec, and every call of the client from its start to its answer. The memory of
 * libcurl and of OpenSSL fails like our own; OpenSSL can do without some of it, and what comes of
 * that is compared with what should.
 */
#include "sweep.h"

#include "aws/sqs_client.h"
#include "aws/sqs_codec.h"
#include "aws/sqs_queue.h"
#include "bunshin/error.h"
#include "fake_sqs.h"
#include "reach_openssl.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_URL "https://sqs.eu-west-1.amazonaws.com/123456789012/q"
#define ENTRIES QUEUE_BATCH_MAX
/* uuid.uuid5(uuid.NAMESPACE_URL, QUEUE_URL + "m-0") */
#define FIRST_KEY "4b081f76-489f-531a-88c8-3e1d06ab01d0"

/* ---- what is sent and what comes */

static const char *handles[ENTRIES];
static struct queue_visibility visibilities[ENTRIES];
static struct queue_attribute attributes[QUEUE_ATTRIBUTES_MAX];
static struct queue_send small_sends[ENTRIES], large_sends[ENTRIES];
static const struct queue_receive receive_params = {10, 0, 30, false};
static char large_text[100001];

static struct buf small_answer = BUF_INIT((size_t)16 << 20);
static struct buf large_answer = BUF_INIT((size_t)16 << 20);
static struct buf batch_answer = BUF_INIT(1 << 16);
static struct buf send_answer = BUF_INIT(1 << 16);
static const char counts_answer[] =
	"{\"Attributes\":{\"ApproximateNumberOfMessages\":\"1\","
	"\"ApproximateNumberOfMessagesNotVisible\":\"2\","
	"\"ApproximateNumberOfMessagesDelayed\":\"3\",\"VisibilityTimeout\":\"30\"}}";
static const char url_answer[] = "{\"QueueUrl\":\"" QUEUE_URL "\"}";
static const char tags_answer[] = "{\"Tags\":{\"bunshin:rate\":\"500/s\"}}";
static const char error_answer[] =
	"{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"it is gone \\u304a\"}";

/* What comes of an operation undisturbed, taken before the sweep turns on. */
static struct buf expected = BUF_INIT((size_t)8 << 20);

static void build_requests(void)
{
	static char names[QUEUE_ATTRIBUTES_MAX][16];

	memset(large_text, '"', sizeof(large_text) - 1);
	for (size_t i = 0; i < QUEUE_ATTRIBUTES_MAX; i++) {
		static const char *const types[] = {"String", "Number", "Binary.x"};

		snprintf(names[i], sizeof(names[i]), "name-%zu", i);
		attributes[i] = (struct queue_attribute){
			names[i], types[i % 3], i % 3 == 1 ? "17" : "v\"\n", i % 3 == 1 ? 2 : 3};
	}
	for (size_t i = 0; i < ENTRIES; i++) {
		handles[i] = "AQEB+handle/of==";
		visibilities[i] = (struct queue_visibility){handles[i], 30};
		small_sends[i] = (struct queue_send){.body = "{\"to\":\"U1\"}",
			.body_bytes = 11,
			.attributes = attributes,
			.attribute_count = i % 3};
		large_sends[i] = (struct queue_send){.body = large_text,
			.body_bytes = sizeof(large_text) - 1,
			.attributes = attributes,
			.attribute_count = QUEUE_ATTRIBUTES_MAX};
	}
}

static void append_message(struct buf *out, size_t i, const char *body)
{
	buf_appendf(out,
		"%s{\"MessageId\":\"m-%zu\",\"ReceiptHandle\":\"r+%zu==\",\"Attributes\":{"
		"\"ApproximateReceiveCount\":\"3\",\"SentTimestamp\":\"1767323045000\","
		"\"MessageGroupId\":\"g-1\",\"AWSTraceHeader\":\"Root=1\"},"
		"\"MessageAttributes\":{",
		i ? "," : "", i, i);
	for (int k = 0; k < QUEUE_ATTRIBUTES_MAX; k++) {
		static const char *const values[] = {
			"\"DataType\":\"String\",\"StringValue\":\"v\\n\"",
			"\"DataType\":\"Number\",\"StringValue\":\"17\"",
			"\"DataType\":\"Binary.x\",\"BinaryValue\":\"AP8i\""};

		buf_appendf(out, "%s\"a%d\":{%s}", k ? "," : "", k, values[k % 3]);
	}
	/* The last one is corrupt, and dropped. */
	buf_appendf(out, "},%s\"Body\":\"", i == 9 ? "\"MD5OfBody\":\"00\"," : "");
	buf_append_json(out, body, strlen(body));
	buf_append_string(out, "\"}");
}

static void build_answers(void)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		append_message(&small_answer, i, "{\"to\":\"U1\",\"text\":\"\xe3\x81\x8a\n\"}");
		append_message(&large_answer, i, large_text);
		if (i % 2)
			buf_appendf(&batch_answer, "%s{\"Id\":\"%zu\"}", i > 1 ? "," : "", i);
	}
}

static void wrap(struct buf *buf, const char *before, const char *after)
{
	struct buf whole = BUF_INIT((size_t)16 << 20);

	buf_append_string(&whole, before);
	buf_append(&whole, buf->data, buf->len);
	buf_append_string(&whole, after);
	buf_free(buf);
	*buf = whole;
	assert_int_equal(whole.err, 0);
}

/* What SQS answers to small_sends. */
static void build_send_answer(void)
{
	struct buf body = BUF_INIT(1 << 20);
	struct sqs_sent_digests digests;
	struct digest md5;

	assert_int_equal(digest_init(&md5, "MD5"), 0);
	assert_int_equal(
		sqs_encode_send_batch(&body, QUEUE_URL, small_sends, ENTRIES, &md5, &digests), 0);
	for (size_t i = 0; i < ENTRIES; i++) {
		buf_appendf(&send_answer,
			"%s{\"Id\":\"%zu\",\"MessageId\":\"m\","
			"\"MD5OfMessageBody\":\"%s\"",
			i ? "," : "", i, digests.body[i]);
		if (digests.attributes[i][0])
			buf_appendf(&send_answer, ",\"MD5OfMessageAttributes\":\"%s\"",
				digests.attributes[i]);
		buf_append_char(&send_answer, '}');
	}
	digest_free(&md5);
	buf_free(&body);
}

static int enter(void **state)
{
	assert_true(reach_openssl());
	/* Its functions are the wrapped ones; http_client_new() finds curl initialised. */
	assert_int_equal(
		curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, free, realloc, strdup, calloc),
		0);
	build_requests();
	build_answers();
	build_send_answer();
	wrap(&small_answer, "{\"Messages\":[", "]}");
	wrap(&large_answer, "{\"Messages\":[", "]}");
	wrap(&send_answer, "{\"Successful\":[", "]}");
	wrap(&batch_answer, "{\"Successful\":[",
		"],\"Failed\":[{\"Id\":\"0\",\"Code\":\"ReceiptHandleIsInvalid\",\"SenderFault\":"
		"true,\"Message\":\"no\"}]}");
	return 0;
}

static int leave(void **state)
{
	buf_free(&small_answer);
	buf_free(&large_answer);
	buf_free(&batch_answer);
	buf_free(&send_answer);
	buf_free(&expected);
	curl_global_cleanup();
	return 0;
}

/* ---- the codec */

enum kind { RECEIVE, DELETE, VISIBILITY, SEND, COUNTS, TAGS, URL, ERROR };

struct encode_case {
	enum kind kind;
	const struct queue_send *sends;
};

static const struct sqs_tag tag = {"bunshin:rate", "500/s"};

static int encode_one(const struct encode_case *c, struct buf *body, struct digest *md5)
{
	struct sqs_sent_digests digests;
	int err;

	switch (c->kind) {
	case RECEIVE:
		return sqs_encode_receive(body, QUEUE_URL, &receive_params, "an-id");
	case DELETE:
		return sqs_encode_delete_batch(body, QUEUE_URL, handles, ENTRIES);
	case VISIBILITY:
		return sqs_encode_visibility_batch(body, QUEUE_URL, visibilities, ENTRIES);
	case SEND:
		err = sqs_encode_send_batch(body, QUEUE_URL, c->sends, ENTRIES, md5, &digests);
		for (size_t i = 0; i < ENTRIES && !err; i++)
			err = buf_appendf(body, "\n%s %s", digests.body[i], digests.attributes[i]);
		return err;
	case COUNTS:
		return sqs_encode_get_attributes(body, QUEUE_URL);
	case TAGS:
		return sqs_encode_tag(body, QUEUE_URL, &tag, 1);
	case URL:
	case ERROR:
		break;
	}
	return sqs_encode_queue_name(body, "q");
}

static int encode(const void *arg)
{
	const struct encode_case *c = arg;
	struct buf body = BUF_INIT((size_t)8 << 20);
	struct digest md5;
	int err;

	assert_int_equal(digest_init(&md5, "MD5"), 0);
	buf_clear(&expected);
	assert_int_equal(encode_one(c, &expected, &md5), 0);
	sweep_on();
	err = encode_one(c, &body, &md5);
	sweep_off();
	if (!err)
		assert_string_equal(buf_string(&body), buf_string(&expected));
	buf_free(&body);
	digest_free(&md5);
	return err;
}

struct decode_case {
	enum kind kind;
	const struct buf *answer; /* NULL: `text` */
	const char *text;
};

static int decode_one(const struct decode_case *c, struct sqs_decoder *decoder)
{
	const char *text = c->answer ? c->answer->data : c->text, *url;
	char code[SQS_CODE_SIZE], detail[SQS_DETAIL_SIZE];
	size_t len = c->answer ? c->answer->len : strlen(c->text);
	struct queue_batch *batch = NULL;
	struct sqs_dropped dropped;
	struct queue_attributes counts;
	struct sqs_tags tags;
	int results[ENTRIES], err;

	switch (c->kind) {
	case RECEIVE:
		err = sqs_decode_receive(
			decoder, QUEUE_URL, SQS_UNWRAP_SNS, text, len, &batch, &dropped);
		if (err)
			return err;
		assert_int_equal(batch->count, 9);
		assert_int_equal(dropped.corrupted, 1);
		assert_int_equal(batch->messages[8].attribute_count, QUEUE_ATTRIBUTES_MAX);
		assert_string_equal(batch->messages[0].idempotency_key, FIRST_KEY);
		queue_batch_unref(batch);
		return 0;
	case DELETE:
	case VISIBILITY:
	case SEND:
		err = sqs_decode_batch(
			decoder, SQS_DELETE_BATCH, text, len, NULL, ENTRIES, results, detail);
		if (err)
			return err;
		assert_int_equal(results[0], ERR_RECEIPT_INVALID);
		assert_int_equal(results[1], 0);
		assert_int_equal(results[2], ERR_PROTOCOL);
		return 0;
	case COUNTS:
		return sqs_decode_attributes(decoder, text, len, &counts);
	case TAGS:
		return sqs_decode_list_tags(decoder, text, len, &tags);
	case URL:
		return sqs_decode_queue_url(decoder, text, len, &url);
	case ERROR:
		break;
	}
	err = sqs_decode_error(decoder, SQS_RECEIVE, 400, NULL, 0, text, len, code, detail);
	return err == ERR_QUEUE_MISSING ? 0 : err;
}

static int decode(const void *arg)
{
	const struct decode_case *c = arg;
	struct sqs_decoder decoder = {0};
	int err;

	sweep_on();
	err = sqs_decoder_init(&decoder);
	if (!err)
		err = decode_one(c, &decoder);
	sweep_off();
	/* A decoder that failed is as good as new. */
	if (decoder.pool)
		assert_int_equal(decode_one(c, &decoder), 0);
	sqs_decoder_free(&decoder);
	return err;
}

/* ---- the client, from a call's start to its answer */

struct call_case {
	enum kind kind;
	const struct buf *answer; /* NULL: `text` */
	const char *text;
	int status, err; /* undisturbed */
	const char *token;
	bool repeated; /* the first attempt of all is answered with a 500 */
};

struct told {
	bool done;
	int err;
};

static void tell(struct told *told, const struct sqs_outcome *outcome)
{
	assert_false(told->done);
	told->done = true;
	told->err = outcome->err;
	assert_non_null(outcome->detail);
}

static void on_receive(void *arg, const struct sqs_outcome *outcome, struct queue_batch *batch)
{
	assert_int_equal(!batch, outcome->err != 0);
	if (batch) {
		assert_int_equal(batch->count, 9);
		queue_batch_unref(batch);
	}
	tell(arg, outcome);
}

static void on_batch(
	void *arg, const struct sqs_outcome *outcome, const int results[], size_t count)
{
	assert_int_equal(count, ENTRIES);
	for (size_t i = 0; i < count; i++)
		if (outcome->err)
			assert_int_equal(results[i], outcome->err);
	tell(arg, outcome);
}

static void on_counts(
	void *arg, const struct sqs_outcome *outcome, const struct queue_attributes *counts)
{
	assert_int_equal(!counts, outcome->err != 0);
	tell(arg, outcome);
}

static void on_tags(void *arg, const struct sqs_outcome *outcome, const struct sqs_tags *tags)
{
	assert_int_equal(!tags, outcome->err != 0);
	tell(arg, outcome);
}

static void on_url(void *arg, const struct sqs_outcome *outcome, const char *url)
{
	assert_int_equal(!url, outcome->err != 0);
	tell(arg, outcome);
}

static int start(struct world *world, struct sqs_client *client, enum kind kind, struct told *told)
{
	struct queue_call *call;

	switch (kind) {
	case RECEIVE:
	case ERROR:
		return sqs_receive(
			client, world->queue_url, &receive_params, on_receive, told, &call);
	case DELETE:
		return sqs_delete_batch(
			client, world->queue_url, handles, ENTRIES, on_batch, told, &call);
	case VISIBILITY:
		return sqs_change_visibility_batch(
			client, world->queue_url, visibilities, ENTRIES, on_batch, told, &call);
	case SEND:
		return sqs_send_batch(
			client, world->queue_url, small_sends, ENTRIES, on_batch, told, &call);
	case COUNTS:
		return sqs_get_attributes(client, world->queue_url, on_counts, told, &call);
	case TAGS:
		return sqs_list_queue_tags(client, world->queue_url, on_tags, told, &call);
	case URL:
		break;
	}
	return sqs_get_queue_url(client, "q", on_url, told, &call);
}

/* One call up to its end; what it came to. */
static int call(struct world *world, struct sqs_client *client, const struct call_case *c)
{
	struct told told = {0};
	int err;

	err = start(world, client, c->kind, &told);
	if (err) {
		assert_int_equal(err, ERR_NOMEM);
		assert_false(told.done);
		return err;
	}
	world_run(world, &told.done);
	return told.err;
}

/* Want of memory is ours, or it looks as if the network broke; it says nothing of the queue. */
static void check_outcome(const struct call_case *c, int err)
{
	enum error_class class = error_class(err);

	if (err == c->err)
		return;
	if (!sweep_has_failed())
		fail_msg("undisturbed: %s", error_name(err));
	if (err == ERR_TIMEOUT || (class != ERROR_LOCAL && class != ERROR_TRANSIENT))
		fail_msg("the call ended with %s", error_name(err));
}

static int make_calls(const void *arg)
{
	const struct call_case *c = arg;
	struct world *world = world_open(&(struct sqs_client_options){0}, c->token);
	const struct sqs_client_options options = {
		.endpoint = world->endpoint, .region = "eu-west-1"};
	struct sqs_client *client = NULL;
	int err, first = 0, second = 0;

	if (c->repeated)
		fake_answer(&world->fake, 500, "", "{\"__type\":\"InternalError\"}");
	fake_otherwise(&world->fake, c->status, c->answer ? buf_string(c->answer) : c->text);
	sweep_on();
	err = sqs_client_new(&world->loop, manual_clock_table(&world->clock), world->credentials,
		&options, &client);
	if (!err) {
		first = call(world, client, c);
		second = call(world, client, c); /* with what the first one left in the pools */
	}
	sweep_off();
	if (!err) {
		check_outcome(c, first);
		check_outcome(c, second);
		/* Keys that memory failed are looked for again within a second. */
		manual_clock_advance(&world->clock, 1000000);
		assert_int_equal(call(world, client, c), c->err);
	}
	sqs_client_close(client);
	world_close(world);
	return err;
}

/* Through the queue table: one call of each kind, all under way at once, and taken back. */
static int cancel_calls(const void *arg)
{
	struct world *world = world_open(&(struct sqs_client_options){0}, NULL);
	struct sqs_queue *sqs = NULL;
	struct queue_call *calls[4];
	struct queue queue;
	size_t count = 0;
	int err;

	sweep_on();
	err = sqs_queue_new(world->client, world->queue_url, &sqs);
	if (!err) {
		queue = sqs_queue_table(sqs);
		err = queue.ops->receive(queue.impl, &receive_params, NULL, NULL, &calls[count]);
		count += !err;
	}
	if (!err) {
		err = queue.ops->delete_batch(
			queue.impl, handles, ENTRIES, NULL, NULL, &calls[count]);
		count += !err;
	}
	if (!err) {
		err = queue.ops->change_visibility_batch(
			queue.impl, visibilities, ENTRIES, NULL, NULL, &calls[count]);
		count += !err;
	}
	if (!err) {
		err = queue.ops->send_batch(
			queue.impl, small_sends, ENTRIES, NULL, NULL, &calls[count]);
		count += !err;
	}
	while (count > 0)
		queue.ops->cancel(queue.impl, calls[--count]);
	sweep_off();
	sqs_queue_free(sqs);
	world_close(world);
	return err;
}

struct told_by_table {
	bool done;
	int err;
};

static void on_table_receive(void *arg, int err, struct queue_batch *batch, const char *detail)
{
	*(struct told_by_table *)arg = (struct told_by_table){.done = true, .err = err};
	if (batch)
		queue_batch_unref(batch);
}

static int receive_from(struct world *world, struct queue queue)
{
	struct told_by_table told = {.done = false};
	struct queue_call *call;
	int err = queue.ops->receive(queue.impl, &receive_params, on_table_receive, &told, &call);

	if (err)
		return err;
	world_run(world, &told.done);
	return told.err;
}

/* A FIFO queue: two answers that are lost in one call and one in the next, then one that is not. */
static int receive_again(const void *arg)
{
	struct world *world = world_open(&(struct sqs_client_options){.max_attempts = 2}, NULL);
	struct sqs_queue *sqs = NULL;
	char url[120];
	int err, first = 0, second = 0;

	for (int i = 0; i < 3; i++)
		fake_script(&world->fake, "", 0)->close = true;
	fake_otherwise(&world->fake, 200, "{}");
	snprintf(url, sizeof(url), "%s.fifo", world->queue_url);
	sweep_on();
	err = sqs_queue_new(world->client, url, &sqs);
	if (!err) {
		first = receive_from(world, sqs_queue_table(sqs));
		second = receive_from(world, sqs_queue_table(sqs));
	}
	sweep_off();
	if (!err && !sweep_has_failed()) {
		assert_int_equal(first, ERR_NETWORK);
		assert_int_equal(second, 0);
	}
	/* Keys that memory failed are looked for again within a second. */
	while (!err && world->fake.request_count < 4) {
		manual_clock_advance(&world->clock, 1000000);
		receive_from(world, sqs_queue_table(sqs));
	}
	if (!err)
		assert_int_equal(receive_from(world, sqs_queue_table(sqs)), 0);
	sqs_queue_free(sqs);
	world_close(world);
	return err;
}

int main(void)
{
	static const struct encode_case receive = {.kind = RECEIVE}, deletes = {.kind = DELETE},
					visibility = {.kind = VISIBILITY},
					counts = {.kind = COUNTS}, url = {.kind = URL},
					tags = {.kind = TAGS}, sends = {SEND, small_sends},
					megabyte = {SEND, large_sends};
	static const struct decode_case received = {RECEIVE, &small_answer, NULL},
					large = {RECEIVE, &large_answer, NULL},
					deleted = {DELETE, &batch_answer, NULL},
					counted = {COUNTS, NULL, counts_answer},
					tagged = {TAGS, NULL, tags_answer},
					named = {URL, NULL, url_answer},
					failed = {ERROR, NULL, error_answer};
	static const struct call_case calls[] = {
		{RECEIVE, &small_answer, NULL, 200, 0, NULL, false},
		{RECEIVE, &small_answer, NULL, 200, 0, "token", false},
		{DELETE, &batch_answer, NULL, 200, 0, NULL, false},
		{VISIBILITY, &batch_answer, NULL, 200, 0, NULL, false},
		{SEND, &send_answer, NULL, 200, 0, NULL, false},
		{COUNTS, NULL, counts_answer, 200, 0, NULL, false},
		{URL, NULL, url_answer, 200, 0, NULL, false},
		{TAGS, NULL, tags_answer, 200, 0, NULL, false},
		{ERROR, NULL, error_answer, 400, ERR_QUEUE_MISSING, NULL, false},
		{RECEIVE, &small_answer, NULL, 200, 0, NULL, true},
		{SEND, &send_answer, NULL, 200, 0, NULL, true},
	};
#define CALL(what, i) \
	SWEEP("client: " what ", twice", make_calls, .arg = &calls[i], .degrades = true)
	static const struct sweep table[] = {
		SWEEP("encode: ReceiveMessage", encode, .arg = &receive),
		SWEEP("encode: DeleteMessageBatch", encode, .arg = &deletes),
		SWEEP("encode: ChangeMessageVisibilityBatch", encode, .arg = &visibility),
		SWEEP("encode: SendMessageBatch", encode, .arg = &sends, .degrades = true),
		SWEEP("encode: SendMessageBatch of 1 MB", encode, .arg = &megabyte,
			.degrades = true),
		SWEEP("encode: GetQueueAttributes", encode, .arg = &counts),
		SWEEP("encode: GetQueueUrl", encode, .arg = &url),
		SWEEP("encode: TagQueue", encode, .arg = &tags),
		SWEEP("decode: ReceiveMessage, every attribute type", decode, .arg = &received,
			.degrades = true),
		SWEEP("decode: ReceiveMessage of 2 MB", decode, .arg = &large, .degrades = true),
		SWEEP("decode: DeleteMessageBatch", decode, .arg = &deleted, .degrades = true),
		SWEEP("decode: GetQueueAttributes", decode, .arg = &counted, .degrades = true),
		SWEEP("decode: GetQueueUrl", decode, .arg = &named, .degrades = true),
		SWEEP("decode: ListQueueTags", decode, .arg = &tagged, .degrades = true),
		SWEEP("decode: an error", decode, .arg = &failed, .degrades = true),
		CALL("ReceiveMessage", 0),
		CALL("ReceiveMessage with a session token", 1),
		CALL("DeleteMessageBatch", 2),
		CALL("ChangeMessageVisibilityBatch", 3),
		CALL("SendMessageBatch", 4),
		CALL("GetQueueAttributes", 5),
		CALL("GetQueueUrl", 6),
		CALL("ListQueueTags", 7),
		CALL("an error", 8),
		CALL("ReceiveMessage, repeated", 9),
		CALL("SendMessageBatch, repeated", 10),
		SWEEP("queue: an id that was lost, taken up", receive_again, .degrades = true),
		SWEEP("queue: a call of each kind, cancelled", cancel_calls, .degrades = true),
	};

	return SWEEP_TABLE("aws", table, enter, leave);
}
