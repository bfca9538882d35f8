/* The tags of a queue: what is asked, what is read, what is refused on either side. */
#include "aws/sqs_codec.h"
#include "aws/sqs_tags.h"
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
#define URL "http://h/1/q"

static const struct sqs_client_options defaults = {.max_attempts = 1};
static struct sqs_decoder decoder;

struct told {
	bool done;
	int err;
	char detail[600];
	size_t count;
	char first[2000]; /* "KEY=VALUE" */
};

static void on_tags(void *arg, const struct sqs_outcome *outcome, const struct sqs_tags *tags)
{
	struct told *told = arg;

	assert_false(told->done);
	assert_int_equal(tags == NULL, outcome->err != 0);
	told->done = true;
	told->err = outcome->err;
	snprintf(told->detail, sizeof(told->detail), "%s", outcome->detail);
	told->count = tags != NULL ? tags->count : 0;
	if (told->count > 0)
		snprintf(told->first, sizeof(told->first), "%s=%s", tags->tags[0].key,
			tags->tags[0].value);
}

static struct told list(struct world *world)
{
	struct told told = {0};
	struct queue_call *call;

	assert_int_equal(
		sqs_list_queue_tags(world->client, world->queue_url, on_tags, &told, &call), 0);
	assert_false(told.done);
	world_run(world, &told.done);
	return told;
}

static void assert_request(struct world *world, size_t i, const char *target, const char *rest)
{
	char expected[1000];

	assert_string_equal(fake_header(&world->fake, i, "X-Amz-Target"), target);
	snprintf(expected, sizeof(expected), "{\"QueueUrl\":\"%s\"%s}", world->queue_url, rest);
	assert_string_equal(world->fake.requests[i].body, expected);
}

static void tags_on_the_wire(void **state)
{
	static const struct sqs_tag tags[] = {{"bunshin:paused", "true"}, {"team a", ""}};
	static const char *const keys[] = {"bunshin:paused", "team a"};
	struct world *world = world_open(&defaults, NULL);
	struct told told, set = {0}, unset = {0};
	struct queue_call *call;

	fake_answer(&world->fake, 200, "",
		"{\"Tags\":{\"bunshin:paused\":\"true\",\"aws:x\":\"\\u00e9 \"}}");
	told = list(world);
	assert_request(world, 0, "AmazonSQS.ListQueueTags", "");
	assert_int_equal(told.err, 0);
	assert_int_equal(told.count, 2);
	assert_string_equal(told.first, "bunshin:paused=true");
	fake_answer(&world->fake, 200, "", "{}");
	assert_int_equal(list(world).count, 0);

	fake_answer(&world->fake, 200, "", "");
	assert_int_equal(sqs_tag_queue(world->client, world->queue_url, tags, COUNT_OF(tags),
				 on_tags, &set, &call),
		0);
	world_run(world, &set.done);
	assert_request(world, 2, "AmazonSQS.TagQueue",
		",\"Tags\":{\"bunshin:paused\":\"true\",\"team a\":\"\"}");
	assert_int_equal(set.err, 0);

	fake_answer(&world->fake, 200, "", "{}");
	assert_int_equal(sqs_untag_queue(world->client, world->queue_url, keys, COUNT_OF(keys),
				 on_tags, &unset, &call),
		0);
	world_run(world, &unset.done);
	assert_request(
		world, 3, "AmazonSQS.UntagQueue", ",\"TagKeys\":[\"bunshin:paused\",\"team a\"]");
	assert_int_equal(unset.err, 0);
	world_close(world);
}

static void failures(void **state)
{
	struct world *world = world_open(&defaults, NULL);
	struct told told;

	fake_answer(&world->fake, 403, "",
		"{\"__type\":\"com.amazon.coral.service#AccessDeniedException\",\"message\":\"No."
		"\"}");
	told = list(world);
	assert_int_equal(told.err, ERR_ACCESS_DENIED);
	assert_string_equal(told.detail, "AccessDeniedException (HTTP 403, request id id-0): No.");
	fake_answer(&world->fake, 400, "", "{\"__type\":\"com.amazonaws.sqs#RequestThrottled\"}");
	assert_int_equal(list(world).err, ERR_THROTTLED);
	fake_answer(&world->fake, 200, "", "{\"Tags\":[]}");
	told = list(world);
	assert_int_equal(told.err, ERR_PROTOCOL);
	assert_string_equal(
		told.detail, "11 bytes that are not an answer of ListQueueTags, request id id-2");
	world_close(world);
}

static void what_sqs_does_not_take_is_not_sent(void **state)
{
	static const char *const bad_keys[] = {
		"", "aws:x", "AWS:x", "a,b", "a\"b", "a\nb", "caf\xc3\xa9", "a#"};
	static const char *const bad_values[] = {"a,b", "*", "\t", "caf\xc3\xa9"};
	struct sqs_tag tags[SQS_TAGS_MAX + 1] = {{NULL, NULL}};
	const char *keys[SQS_TAGS_MAX + 1];
	struct buf body = BUF_INIT(100000);
	char key[SQS_TAG_KEY_MAX + 2], value[SQS_TAG_VALUE_MAX + 2];

	memset(key, 'k', sizeof(key));
	memset(value, 'v', sizeof(value));
	key[SQS_TAG_KEY_MAX] = value[SQS_TAG_VALUE_MAX] = '\0';
	for (size_t i = 0; i <= SQS_TAGS_MAX; i++) {
		tags[i] = (struct sqs_tag){key, value};
		keys[i] = key;
	}
	assert_int_equal(sqs_encode_tag(&body, URL, tags, SQS_TAGS_MAX), 0);
	assert_int_equal(sqs_encode_untag(&body, URL, keys, SQS_TAGS_MAX), 0);
	buf_clear(&body);
	assert_int_equal(sqs_encode_tag(&body, URL, tags, SQS_TAGS_MAX + 1), ERR_ARGUMENT);
	assert_int_equal(sqs_encode_untag(&body, URL, keys, SQS_TAGS_MAX + 1), ERR_ARGUMENT);
	assert_int_equal(sqs_encode_tag(&body, URL, tags, 0), ERR_ARGUMENT);
	assert_int_equal(sqs_encode_untag(&body, URL, keys, 0), ERR_ARGUMENT);
	assert_int_equal(sqs_encode_list_tags(&body, ""), ERR_ARGUMENT);
	assert_int_equal(sqs_encode_tag(&body, "", tags, 1), ERR_ARGUMENT);
	assert_int_equal(sqs_encode_untag(&body, "", keys, 1), ERR_ARGUMENT);
	memcpy(key + SQS_TAG_KEY_MAX, "k", 2);
	assert_int_equal(sqs_encode_tag(&body, URL, tags, 1), ERR_ARGUMENT);
	key[SQS_TAG_KEY_MAX] = '\0';
	memcpy(value + SQS_TAG_VALUE_MAX, "v", 2);
	assert_int_equal(sqs_encode_tag(&body, URL, tags, 1), ERR_ARGUMENT);
	for (size_t i = 0; i < COUNT_OF(bad_keys); i++) {
		const struct sqs_tag tag = {bad_keys[i], "v"};

		assert_int_equal(sqs_encode_tag(&body, URL, &tag, 1), ERR_ARGUMENT);
		assert_int_equal(sqs_encode_untag(&body, URL, &bad_keys[i], 1), ERR_ARGUMENT);
	}
	for (size_t i = 0; i < COUNT_OF(bad_values); i++) {
		const struct sqs_tag tag = {"k", bad_values[i]};

		assert_int_equal(sqs_encode_tag(&body, URL, &tag, 1), ERR_ARGUMENT);
	}
	assert_int_equal(body.len, 0);
	buf_free(&body);
}

static int decode(const char *text, struct sqs_tags *ret_tags)
{
	return sqs_decode_list_tags(&decoder, text, strlen(text), ret_tags);
}

static void impossible_answers(void **state)
{
	static const char *const wrong[] = {"", "[]", "{\"Tags\":1}", "{\"Tags\":{\"a\":1}}",
		"{\"Tags\":{\"a\":null}}", "{\"Tags\":{\"\":\"a\"}}",
		"{\"Tags\":{\"a\\u0000\":\"a\"}}", "{\"Tags\":{\"a\":\"\\u0000\"}}",
		"{\"Tags\":{\"a\":[\"b\"]}}"};
	struct buf text = BUF_INIT(100000);
	struct sqs_tags tags;

	assert_int_equal(sqs_decoder_init(&decoder), 0);
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_int_equal(decode(wrong[i], &tags), ERR_PROTOCOL);
	/* The most that can be, and one more of each. */
	for (size_t keys = SQS_TAGS_MAX; keys <= SQS_TAGS_MAX + 1; keys++) {
		buf_clear(&text);
		buf_append_string(&text, "{\"Tags\":{");
		for (size_t i = 0; i < keys; i++)
			buf_appendf(&text, "%s\"%zu\":\"%zu\"", i > 0 ? "," : "", i, i);
		buf_append_string(&text, "}}");
		assert_int_equal(
			decode(buf_string(&text), &tags), keys <= SQS_TAGS_MAX ? 0 : ERR_PROTOCOL);
	}
	assert_int_equal(tags.count, SQS_TAGS_MAX);
	for (int longer = 0; longer < 4; longer++) {
		buf_clear(&text);
		buf_appendf(&text, "{\"Tags\":{\"%0*d\":\"%0*d\"}}",
			4 * SQS_TAG_KEY_MAX + (longer & 1), 0,
			4 * SQS_TAG_VALUE_MAX + (longer >> 1), 0);
		assert_int_equal(decode(buf_string(&text), &tags), longer ? ERR_PROTOCOL : 0);
	}
	assert_int_equal(decode("{\"Tags\":null}", &tags), 0);
	assert_int_equal(tags.count, 0);
	assert_null(sqs_tags_find(&tags, "a"));
	assert_int_equal(decode("{\"Tags\":{\"a\":\"1\",\"b\":\"2\"}}", &tags), 0);
	assert_string_equal(sqs_tags_find(&tags, "b"), "2");
	assert_null(sqs_tags_find(&tags, "c"));
	buf_free(&text);
	sqs_decoder_free(&decoder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tags_on_the_wire),
		cmocka_unit_test(failures),
		cmocka_unit_test(what_sqs_does_not_take_is_not_sent),
		cmocka_unit_test(impossible_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
