/*
 * AWS Lambda: a function that reads the events of an SQS queue, behind its function URL or the
 * Invoke API (/2015-03-31/functions/NAME/invocations).
 *
 * docs.aws.amazon.com/lambda: "Using Lambda with Amazon SQS" (the event), "Handling errors for an
 * SQS event source" (batchItemFailures), "Invoking Lambda function URLs", "Control access to Lambda
 * function URLs" (403 without a signature), the API reference's Invoke (its errors, and
 * X-Amz-Function-Error with status 200), "Lambda quotas" (6 MB; 10 requests a second for each of
 * 1,000 concurrent executions).
 *
 * The function looks at each record's body. With "dead0400" in it the record fails each time, with
 * "dead0500" once: the function names it in batchItemFailures. With "dead0502" the function itself
 * fails once, with "dead0429" it is throttled once, and with "dead0404" it names once a message
 * that is none of the batch. What stands behind the mark in the body tells one from another.
 *
 * A record that is not complete is an error of the function, which says what is missing.
 */
#include "aws/digest.h"
#include "base/hex.h"
#include "cli/sink/play.h"

#include <stdio.h>
#include <string.h>

enum {
	PAYLOAD_MAX_BYTES = 6 << 20,
	RECORDS_MAX = 10000,
	ID_MAX_BYTES = 100,
	WHY_SIZE = 160,
};

/* Of the whole batch. */
static const struct play_mark batch_marks[] = {
	{"dead0404", 404, NULL, NULL, true},
	{"dead0429", 429, NULL, NULL, true},
	{"dead0502", 502, NULL, "the function failed, as a record asked it to", true},
	{NULL, 0, NULL, NULL, false},
};

/* Of one record. */
static const struct play_mark record_marks[] = {
	{"dead0400", 400, NULL, NULL, false},
	{"dead0500", 500, NULL, NULL, true},
	{NULL, 0, NULL, NULL, false},
};

/* The Invoke API; otherwise it is the function URL, which takes any path. */
static bool is_invoke(const struct play_request *request)
{
	static const char start[] = "/2015-03-31/functions/";
	const char *end = strrchr(request->path, '/');

	return strncmp(request->path, start, strlen(start)) == 0 &&
	       strcmp(end, "/invocations") == 0 && end > request->path + strlen(start);
}

static void refuse(const struct play_request *request, struct play_answer *answer, int status,
	const char *type, const char *message)
{
	play_refuse(answer, status);
	play_header(answer, "x-amzn-ErrorType", type);
	buf_appendf(&answer->body, "{\"%s\":\"%s\"}", is_invoke(request) ? "message" : "Message",
		message);
}

static void throttle(const struct play_request *request, struct play_answer *answer)
{
	refuse(request, answer, 429, "TooManyRequestsException", "Rate Exceeded.");
	play_header(answer, "Retry-After", "1");
}

/* The function has thrown: why is of our own words. */
static void fail(const struct play_request *request, struct play_answer *answer, const char *why)
{
	bool invoke = is_invoke(request);

	play_refuse(answer, invoke ? 200 : 502);
	if (invoke)
		play_header(answer, "X-Amz-Function-Error", "Unhandled");
	else
		buf_append_string(&answer->body, "{\"Message\":\"Internal Server Error\",");
	buf_append_string(&answer->body, invoke ? "{\"errorType\":\"Error\"," : "");
	buf_append_string(&answer->body, "\"errorMessage\":\"");
	buf_append_json(&answer->body, why, strlen(why));
	buf_append_string(&answer->body, "\"}");
}

/* Credentials. */

/* That there is a signature for Lambda, of the right form: nothing here knows the key. */
static bool is_signed(const struct play_request *request)
{
	static const char algorithm[] = "AWS4-HMAC-SHA256 Credential=";
	const char *value = http_call_header(request->call, "Authorization");
	const char *signature = value ? strstr(value, "Signature=") : NULL;

	return signature && strncmp(value, algorithm, strlen(algorithm)) == 0 &&
	       strstr(value, "/lambda/aws4_request") && strstr(value, "SignedHeaders=") &&
	       strlen(signature) >= 74 && play_is_hex(signature + 10, 64) &&
	       http_call_header(request->call, "X-Amz-Date");
}

/* The event. Each returns false with what is wrong in `why`. */

static bool wrong(char why[WHY_SIZE], size_t index, const char *path, const char *what)
{
	snprintf(why, WHY_SIZE, "Records[%zu].%s: %s", index, path, what);
	return false;
}

static bool is_text(const struct json_value *object, const char *name)
{
	const char *text = json_text(json_member(object, name));

	return text && *text;
}

static bool is_number(const struct json_value *object, const char *name)
{
	return is_text(object, name) &&
	       strspn(json_text(json_member(object, name)), "0123456789") ==
		       json_member(object, name)->string_bytes;
}

static bool is_empty_list(const struct json_value *object, const char *name)
{
	const struct json_value *list = json_member(object, name);

	return list && list->kind == JSON_ARRAY && list->count == 0;
}

static bool check_message_attributes(
	const struct json_value *record, size_t index, char why[WHY_SIZE])
{
	const struct json_value *map = json_member(record, "messageAttributes");

	if (!map || map->kind != JSON_OBJECT)
		return wrong(why, index, "messageAttributes", "missing");
	for (const struct json_value *one = json_first(map); one; one = json_next(map, one)) {
		const char *type = json_text(json_member(one, "dataType"));
		bool binary = type && strncmp(type, "Binary", 6) == 0;
		const struct json_value *value =
			json_member(one, binary ? "binaryValue" : "stringValue");

		if (!type || !value || value->kind != JSON_STRING ||
			!is_empty_list(one, "stringListValues") ||
			!is_empty_list(one, "binaryListValues"))
			return wrong(why, index, "messageAttributes", "one is not complete");
	}
	return true;
}

static bool check_attributes(const struct json_value *record, size_t index, char why[WHY_SIZE])
{
	static const char *const numbers[] = {
		"ApproximateReceiveCount", "SentTimestamp", "ApproximateFirstReceiveTimestamp"};
	const struct json_value *map = json_member(record, "attributes");

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!is_number(map, numbers[i]))
			return wrong(why, index, numbers[i], "missing in its attributes");
	return is_text(map, "SenderId")
		       ? true
		       : wrong(why, index, "SenderId", "missing in its attributes");
}

static bool check_body(
	struct digest *md5, const struct json_value *record, size_t index, char why[WHY_SIZE])
{
	const struct json_value *body = json_member(record, "body");
	const char *expected = json_text(json_member(record, "md5OfBody"));
	unsigned char hash[DIGEST_MD5_BYTES];
	char text[2 * DIGEST_MD5_BYTES + 1];

	if (!body || body->kind != JSON_STRING)
		return wrong(why, index, "body", "missing");
	if (digest_once(md5, body->string, body->string_bytes, hash) < 0)
		return wrong(why, index, "body", "out of memory");
	hex_print(hash, sizeof(hash), text);
	return expected && strcmp(expected, text) == 0
		       ? true
		       : wrong(why, index, "md5OfBody", "is not the body's");
}

static bool check_record(
	struct digest *md5, const struct json_value *record, size_t index, char why[WHY_SIZE])
{
	static const char *const texts[] = {"messageId", "receiptHandle", "awsRegion"};
	const char *source = json_text(json_member(record, "eventSource"));
	const char *arn = json_text(json_member(record, "eventSourceARN"));

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!is_text(record, texts[i]))
			return wrong(why, index, texts[i], "missing");
	if (json_member(record, "messageId")->string_bytes > ID_MAX_BYTES)
		return wrong(why, index, "messageId", "longer than SQS makes them");
	if (!source || strcmp(source, "aws:sqs") != 0)
		return wrong(why, index, "eventSource", "is not aws:sqs");
	if (!arn || strncmp(arn, "arn:", 4) != 0)
		return wrong(why, index, "eventSourceARN", "is no ARN");
	return check_body(md5, record, index, why) && check_attributes(record, index, why) &&
	       check_message_attributes(record, index, why);
}

static bool check_event(const struct json_value *records, char why[WHY_SIZE])
{
	struct digest md5;
	size_t index = 0;
	bool good = true;

	if (!records || records->kind != JSON_ARRAY || records->count == 0 ||
		records->count > RECORDS_MAX) {
		snprintf(why, WHY_SIZE, "Records: expected a list of 1 to %d", RECORDS_MAX);
		return false;
	}
	if (digest_init(&md5, "MD5") < 0) {
		snprintf(why, WHY_SIZE, "out of memory");
		return false;
	}
	for (const struct json_value *record = json_first(records); record && good;
		record = json_next(records, record))
		good = check_record(&md5, record, index++, why);
	digest_free(&md5);
	return good;
}

/* The function. */

static const struct play_mark *mark_of(
	struct play *play, const struct play_mark *marks, const struct json_value *record)
{
	const char *at = strcasestr(json_member(record, "body")->string, "dead0");

	return at ? play_mark(play, marks, at, 0) : NULL;
}

/* What the first record with such a mark asks for; NULL: none does. */
static const struct play_mark *mark_of_batch(struct play *play, const struct json_value *records)
{
	const struct play_mark *mark = NULL;

	for (const struct json_value *record = json_first(records); record && !mark;
		record = json_next(records, record))
		mark = mark_of(play, batch_marks, record);
	return mark;
}

static void append_failure(struct buf *out, bool first, const char *id)
{
	buf_append_string(out, first ? "{\"itemIdentifier\":\"" : ",{\"itemIdentifier\":\"");
	buf_append_json(out, id, strlen(id));
	buf_append_string(out, "\"}");
}

static void process(struct play *play, const struct json_value *records, struct play_answer *answer)
{
	uint64_t failed = 0;

	buf_append_string(&answer->body, "{\"batchItemFailures\":[");
	for (const struct json_value *record = json_first(records); record;
		record = json_next(records, record))
		if (mark_of(play, record_marks, record))
			append_failure(&answer->body, failed++ == 0,
				json_text(json_member(record, "messageId")));
	buf_append_string(&answer->body, "]}");
	play_accept(answer, 200, records->count - failed);
}

static void call_function(
	struct play *play, const struct play_request *request, struct play_answer *answer)
{
	const struct json_value *records = json_member(play_json(play, request), "Records");
	const struct play_mark *mark;
	char why[WHY_SIZE];

	if (strcmp(request->method, "POST") != 0) {
		fail(request, answer, "no event: the method is not POST");
		return;
	}
	if (!check_event(records, why)) {
		fail(request, answer, why);
		return;
	}
	mark = mark_of_batch(play, records);
	if (!mark) {
		process(play, records, answer);
	} else if (mark->status == 429) {
		throttle(request, answer);
	} else if (mark->status == 502) {
		fail(request, answer, mark->message);
	} else {
		play_refuse(answer, 200);
		buf_append_string(&answer->body, "{\"batchItemFailures\":[");
		append_failure(&answer->body, true, "00000000-0000-0000-0000-000000000000");
		buf_append_string(&answer->body, "]}");
	}
}

static void answer_lambda(
	struct play *play, const struct play_request *request, struct play_answer *answer)
{
	char id[PLAY_UUID_SIZE], number[32];

	snprintf(number, sizeof(number), "%llu", (unsigned long long)play->requests);
	play_uuid(sink_key_of(number), id);
	play_header(answer, "x-amzn-RequestId", id);
	if (!is_signed(request)) {
		refuse(request, answer, 403, "AccessDeniedException", "Forbidden");
	} else if (!play_allows(play, &play->passed, play->options.rate_count, request->now_us)) {
		throttle(request, answer);
		answer->verdict = PLAY_THROTTLED;
	} else if (request->body_bytes > PAYLOAD_MAX_BYTES) {
		refuse(request, answer, 413, "RequestTooLargeException",
			"Request must be smaller than 6291456 bytes for the InvokeFunction "
			"operation");
	} else if (is_invoke(request) && !play_json(play, request)) {
		refuse(request, answer, 400, "InvalidRequestContentException",
			"Could not parse request body into json");
	} else {
		call_function(play, request, answer);
	}
}

const struct play_provider play_lambda = {
	.name = "lambda",
	.rate_count = 10000,
	.rate_per_ms = 1000,
	.answer = answer_lambda,
};
