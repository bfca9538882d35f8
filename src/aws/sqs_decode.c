#include "aws/sqs_codec.h"
#include "aws/sqs_limits.h"
#include "base/utf8.h"
#include "bunshin/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * A value costs far more memory parsed than written, so an answer of tens of megabytes is counted
 * before it is parsed. The most that ten messages can hold is about 1,000 values.
 */
#define COUNT_FROM_BYTES ((size_t)1 << 20)
#define VALUES_MAX 65536
#define VALUES_KEPT 4096 /* a parser grown past this by an odd answer is not kept */

int sqs_decoder_init(struct sqs_decoder *decoder)
{
	decoder->pool = sqs_batch_pool_new();
	if (decoder->pool == NULL || digest_init(&decoder->md5, "MD5") != 0 ||
		digest_init(&decoder->sha1, "SHA1") != 0) {
		sqs_decoder_free(decoder);
		return ERR_NOMEM;
	}
	return 0;
}

void sqs_decoder_free(struct sqs_decoder *decoder)
{
	json_free(&decoder->json);
	json_free(&decoder->envelope);
	json_free(&decoder->inner);
	digest_free(&decoder->md5);
	digest_free(&decoder->sha1);
	sqs_batch_pool_release(decoder->pool);
	decoder->pool = NULL;
}

void sqs_detail_set(char detail[SQS_DETAIL_SIZE], const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(detail, SQS_DETAIL_SIZE, format, args);
	va_end(args);
	if (len < 0)
		detail[0] = '\0';
	for (char *p = detail; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	}
	/* A character that was cut in two is dropped; there are at most three bytes of it. */
	for (size_t end = strlen(detail); len >= SQS_DETAIL_SIZE && end > 0; end--) {
		size_t back = end - 1;

		if (((unsigned char)detail[back] & 0xc0) == 0x80)
			continue;
		if (utf8_sequence(detail + back, strlen(detail + back)) == 0)
			detail[back] = '\0';
		break;
	}
}

/* Counts commas and brackets outside strings: an upper bound of the values. */
static bool has_too_many_values(const char *text, size_t len)
{
	const char *end = text + len;
	size_t values = 0;

	for (const char *p = text; p < end && values <= VALUES_MAX; p++) {
		if (*p == ',' || *p == '[' || *p == '{')
			values++;
		if (*p != '"')
			continue;
		for (p++; p < end && *p != '"'; p++)
			p += *p == '\\';
	}
	return values > VALUES_MAX;
}

void sqs_json_trim(struct json *json)
{
	if (json->capacity > VALUES_KEPT || json->strings_capacity > SQS_BATCH_KEPT_BYTES)
		json_free(json);
}

int sqs_decoder_parse(struct sqs_decoder *decoder, const char *text, size_t len)
{
	struct json *json = &decoder->json;
	int err;

	sqs_json_trim(json);
	if (len > COUNT_FROM_BYTES && has_too_many_values(text, len))
		return ERR_PROTOCOL;
	err = json_parse(json, text, len);
	if (err == ERR_NOMEM)
		return err;
	return err == 0 && json_root(json)->kind == JSON_OBJECT ? 0 : ERR_PROTOCOL;
}

const struct json_value *sqs_member(const struct json_value *object, const char *name)
{
	const struct json_value *value = json_member(object, name);

	return value != NULL && value->kind != JSON_NULL ? value : NULL;
}

void sqs_members(const struct json_value *object, const struct json_name names[], size_t count,
	const struct json_value *ret[])
{
	json_members(object, names, count, ret);
	for (size_t i = 0; i < count; i++) {
		if (ret[i] != NULL && ret[i]->kind == JSON_NULL)
			ret[i] = NULL;
	}
}

static const char *text_member(const struct json_value *object, const char *name)
{
	return json_text(sqs_member(object, name));
}

static const char *or_empty(const char *text)
{
	return text != NULL ? text : "";
}

/* A list that is absent is NULL; one that is no list is ERR_PROTOCOL. */
static int list_member(
	const struct sqs_decoder *decoder, const char *name, const struct json_value **ret_list)
{
	const struct json_value *list = sqs_member(json_root(&decoder->json), name);

	if (list != NULL && list->kind != JSON_ARRAY)
		return ERR_PROTOCOL;
	*ret_list = list;
	return 0;
}

/* The position that an entry's id stands for, or `count` when it is none of ours. */
static size_t entry_position(const struct json_value *entry, size_t count)
{
	const char *id = text_member(entry, "Id");

	if (id == NULL || id[0] < '0' || id[0] > '9' || id[1] != '\0')
		return count;
	return (size_t)(id[0] - '0') < count ? (size_t)(id[0] - '0') : count;
}

static bool digest_is(const struct json_value *entry, const char *name, const char *expected)
{
	const struct json_value *value = sqs_member(entry, name);
	const char *text = json_text(value);

	if (expected[0] == '\0')
		return value == NULL;
	return text != NULL && strcmp(text, expected) == 0;
}

/* Did SQS store what was sent? */
static bool is_intact(const struct json_value *entry, const struct sqs_sent_digests *sent, size_t i)
{
	return digest_is(entry, "MD5OfMessageBody", sent->body[i]) &&
	       digest_is(entry, "MD5OfMessageAttributes", sent->attributes[i]);
}

/* The failure of an entry; `code` is what its code is in. */
static struct sqs_failure failure_of(const struct json_value *entry, char code[SQS_CODE_SIZE])
{
	const struct json_value *sender = sqs_member(entry, "SenderFault");

	sqs_error_normalise(or_empty(text_member(entry, "Code")), code);
	return (struct sqs_failure){
		.code = code,
		.legacy_code = "",
		.message = or_empty(text_member(entry, "Message")),
		.sender_fault = sender != NULL && sender->kind == JSON_TRUE,
	};
}

/* What the answer says of one entry. */
struct entry_answer {
	const struct json_value *failed; /* NULL: not among the failed */
	bool differs;			 /* it succeeded, with another digest */
};

static void entry_describe(
	const struct entry_answer *answer, size_t i, char detail[SQS_DETAIL_SIZE])
{
	char code[SQS_CODE_SIZE];

	if (answer->failed != NULL) {
		struct sqs_failure failure = failure_of(answer->failed, code);

		sqs_detail_set(detail, "entry %zu: %s: %s", i, code[0] != '\0' ? code : "no code",
			failure.message);
	} else if (answer->differs) {
		sqs_detail_set(
			detail, "entry %zu: the MD5 in the answer is not that of what was sent", i);
	} else {
		sqs_detail_set(detail, "entry %zu: not in the answer", i);
	}
}

int sqs_decode_batch(struct sqs_decoder *decoder, enum sqs_operation operation, const char *text,
	size_t len, const struct sqs_sent_digests *sent, size_t count, int results[],
	char detail[SQS_DETAIL_SIZE])
{
	struct entry_answer answers[QUEUE_BATCH_MAX] = {{.failed = NULL}};
	const struct json_value *successful, *failed;
	char code[SQS_CODE_SIZE];
	int err = sqs_decoder_parse(decoder, text, len);

	if (err != 0 || (err = list_member(decoder, "Successful", &successful)) != 0 ||
		(err = list_member(decoder, "Failed", &failed)) != 0)
		return err;
	for (size_t i = 0; i < count; i++)
		results[i] = ERR_PROTOCOL;
	for (const struct json_value *entry = json_first(successful); entry != NULL;
		entry = json_next(successful, entry)) {
		size_t i = entry_position(entry, count);

		if (i == count)
			continue;
		if (sent == NULL || is_intact(entry, sent, i))
			results[i] = 0;
		else
			answers[i].differs = true;
	}
	for (const struct json_value *entry = json_first(failed); entry != NULL;
		entry = json_next(failed, entry)) {
		size_t i = entry_position(entry, count);
		struct sqs_failure failure;

		if (i == count)
			continue;
		answers[i].failed = entry;
		failure = failure_of(entry, code);
		results[i] = sqs_error_of(operation, &failure);
	}
	detail[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		if (results[i] == 0)
			continue;
		entry_describe(&answers[i], i, detail);
		break;
	}
	return 0;
}

/* SQS gives every attribute as a string of decimal digits. */
static int count_attribute(const struct json_value *attributes, const char *name, int64_t *ret)
{
	const char *text = text_member(attributes, name);
	int64_t number = 0;

	if (text == NULL || text[0] == '\0' || strlen(text) > 18)
		return ERR_PROTOCOL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return ERR_PROTOCOL;
		number = number * 10 + (*text - '0');
	}
	*ret = number;
	return 0;
}

int sqs_decode_attributes(struct sqs_decoder *decoder, const char *text, size_t len,
	struct queue_attributes *ret_attributes)
{
	const struct json_value *attributes;
	struct queue_attributes counts;
	int64_t visibility_s;
	int err = sqs_decoder_parse(decoder, text, len);

	if (err != 0)
		return err;
	attributes = sqs_member(json_root(&decoder->json), "Attributes");
	if (count_attribute(attributes, "ApproximateNumberOfMessages", &counts.visible) ||
		count_attribute(
			attributes, "ApproximateNumberOfMessagesNotVisible", &counts.in_flight) ||
		count_attribute(
			attributes, "ApproximateNumberOfMessagesDelayed", &counts.delayed) ||
		count_attribute(attributes, "VisibilityTimeout", &visibility_s) ||
		visibility_s > QUEUE_VISIBILITY_MAX_S)
		return ERR_PROTOCOL;
	counts.visibility_s = (unsigned)visibility_s;
	*ret_attributes = counts;
	return 0;
}

int sqs_decode_queue_url(
	struct sqs_decoder *decoder, const char *text, size_t len, const char **ret_url)
{
	const char *url;
	int err = sqs_decoder_parse(decoder, text, len);

	if (err != 0)
		return err;
	url = text_member(json_root(&decoder->json), "QueueUrl");
	if (url == NULL || url[0] == '\0' || strlen(url) > SQS_QUEUE_URL_MAX)
		return ERR_PROTOCOL;
	*ret_url = url;
	return 0;
}

int sqs_decode_error(struct sqs_decoder *decoder, enum sqs_operation operation, int status,
	const char *query_error, int64_t skew_ms, const char *text, size_t len,
	char ret_code[SQS_CODE_SIZE], char detail[SQS_DETAIL_SIZE])
{
	char legacy_code[SQS_CODE_SIZE];
	const char *type = "", *message = "";
	struct sqs_failure failure;
	int err = sqs_decoder_parse(decoder, text, len);

	if (err == ERR_NOMEM) {
		/* Judged by its status alone, a throttled call would be one that can never work. */
		ret_code[0] = detail[0] = '\0';
		return ERR_NOMEM;
	}
	if (err == 0) {
		const struct json_value *root = json_root(&decoder->json);

		type = or_empty(text_member(root, "__type"));
		message = text_member(root, "message");
		if (message == NULL)
			message = or_empty(text_member(root, "Message"));
	}
	sqs_error_normalise(or_empty(query_error), legacy_code);
	sqs_error_normalise(type, ret_code);
	failure = (struct sqs_failure){
		.code = ret_code,
		.legacy_code = legacy_code,
		.message = message,
		.status = status,
		.skew_ms = skew_ms,
	};
	err = sqs_error_of(operation, &failure);
	if (ret_code[0] == '\0')
		memcpy(ret_code, legacy_code, SQS_CODE_SIZE);
	sqs_detail_set(detail, "%s", message);
	return err;
}
