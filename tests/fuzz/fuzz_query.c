/*
 * Any form of the Query protocol is refused, or becomes text that the reader of the JSON protocol
 * takes. What it says does not depend on the order of its parameters, nor on saying it twice, and
 * a value arrives as it was sent.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "localq/params.h"
#include "localq/query.h"

#include <stdbool.h>
#include <string.h>

#define TEXT_MAX ((size_t)8 << 20)
#define SENT_MAX 4096	/* bytes of a value that is sent whole */
#define REVERSED_MAX 64 /* parameters of a form that is turned round: comparing is quadratic */
#define ESCAPED_MAX 6	/* bytes that one byte of the form becomes: \u0001 */
#define AROUND_MAX 64	/* bytes of a member's name, brackets, quotes, commas */

struct decoded {
	enum fault fault;
	char action[QUERY_ACTION_MAX + 1];
	struct buf text;
	struct json json;
	const struct json_value *params; /* NULL: refused, by either */
};

/* How many parameters there are between the ampersands. */
static size_t count_parameters(const char *form, size_t len)
{
	size_t count = 0;

	for (size_t i = 0; i < len; i++)
		if (form[i] != '&' && (i == 0 || form[i - 1] == '&'))
			count++;
	return count;
}

static void check_refusal(enum fault fault, const struct problem *problem)
{
	FUZZ_CHECK(fault_is_senders(fault) && problem->fault == fault);
	FUZZ_CHECK(problem->message[0] != '\0');
	FUZZ_CHECK(utf8_is_valid(problem->message, strlen(problem->message)));
}

/* What was decoded is JSON but for bytes that are not UTF-8, and no string of it holds a NUL. */
static void parse(struct decoded *decoded)
{
	const struct buf *text = &decoded->text;
	struct problem problem = {0};
	enum fault fault =
		params_parse(&decoded->json, text->data, text->len, &decoded->params, &problem);

	FUZZ_CHECK((fault == FAULT_NONE) == utf8_is_valid(text->data, text->len));
	if (fault != FAULT_NONE) {
		FUZZ_CHECK(fault == FAULT_SERIALIZATION);
		check_refusal(fault, &problem);
		return;
	}
	for (size_t i = 0; i < decoded->json.count; i++) {
		const struct json_value *value = &decoded->json.values[i];

		FUZZ_CHECK(
			value->kind != JSON_STRING || strlen(value->string) == value->string_bytes);
	}
}

static void decode(const char *form, size_t len, struct decoded *ret)
{
	struct problem problem = {0};

	*ret = (struct decoded){.text = BUF_INIT(TEXT_MAX)};
	ret->fault = query_decode(form, len, ret->action, &ret->text, &problem);
	if (ret->fault != FAULT_NONE) {
		check_refusal(ret->fault, &problem);
		return;
	}
	FUZZ_CHECK(ret->action[0] != '\0' && strlen(ret->action) <= QUERY_ACTION_MAX);
	FUZZ_CHECK(count_parameters(form, len) <= QUERY_PARAMETERS_MAX);
	FUZZ_CHECK(ret->text.err == 0 && ret->text.data[ret->text.len] == '\0');
	FUZZ_CHECK(ret->text.len <=
		   ESCAPED_MAX * len + AROUND_MAX * (count_parameters(form, len) + 1));
	parse(ret);
}

static void decoded_free(struct decoded *decoded)
{
	json_free(&decoded->json);
	buf_free(&decoded->text);
}

static bool is_same(const struct json_value *a, const struct json_value *b);

/* Every name of `a` is in `b`, too; of those that are called alike the last counts. */
static bool has_members(const struct json_value *a, const struct json_value *b)
{
	const struct json_value *member;

	PARAMS_EACH(member, a)
	{
		const struct json_value *other = json_member(b, member->name);

		if (other == NULL || !is_same(json_member(a, member->name), other))
			return false;
	}
	return true;
}

static bool has_items(const struct json_value *a, const struct json_value *b)
{
	const struct json_value *item, *other = json_first(b);

	PARAMS_EACH(item, a)
	{
		if (other == NULL || !is_same(item, other))
			return false;
		other = json_next(b, other);
	}
	return other == NULL;
}

static bool is_same(const struct json_value *a, const struct json_value *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case JSON_STRING:
		return strcmp(a->string, b->string) == 0;
	case JSON_NUMBER:
		return a->raw_bytes == b->raw_bytes && memcmp(a->raw, b->raw, a->raw_bytes) == 0;
	case JSON_ARRAY:
		return has_items(a, b);
	case JSON_OBJECT:
		return has_members(a, b) && has_members(b, a);
	default:
		return false; /* neither null nor a truth is ever written */
	}
}

/* The last of those that are called alike counts, so a form after itself says the same. */
static void check_twice(const char *form, size_t len, const struct decoded *once)
{
	struct buf buf = BUF_INIT(2 * len + 1);
	struct decoded twice;

	if (2 * count_parameters(form, len) > QUERY_PARAMETERS_MAX)
		return;
	buf_append(&buf, form, len);
	buf_append_char(&buf, '&');
	FUZZ_CHECK(buf_append(&buf, form, len) == 0);
	decode(buf.data, buf.len, &twice);
	FUZZ_CHECK(twice.fault == once->fault && strcmp(twice.action, once->action) == 0);
	FUZZ_CHECK((twice.params == NULL) == (once->params == NULL));
	if (once->params != NULL)
		FUZZ_CHECK(is_same(once->params, twice.params));
	decoded_free(&twice);
	buf_free(&buf);
}

struct slice {
	const char *text;
	size_t len, name_bytes;
};

/* How many there are; 0: too many, or some are, or may be, called alike. */
static size_t split_distinct(const char *form, size_t len, struct slice slices[REVERSED_MAX])
{
	const char *end = form + len, *stop, *equals;
	size_t count = 0;

	for (const char *at = form; at < end; at = stop + 1) {
		stop = memchr(at, '&', (size_t)(end - at));
		stop = stop != NULL ? stop : end;
		equals = memchr(at, '=', (size_t)(stop - at));
		equals = equals != NULL ? equals : stop;
		if (count == REVERSED_MAX || memchr(at, '%', (size_t)(equals - at)) != NULL ||
			memchr(at, '+', (size_t)(equals - at)) != NULL ||
			memmem(at, (size_t)(equals - at), ".member", strlen(".member")) != NULL)
			return 0;
		slices[count++] = (struct slice){at, (size_t)(stop - at), (size_t)(equals - at)};
		for (size_t i = 0; i + 1 < count; i++)
			if (slices[i].name_bytes == slices[count - 1].name_bytes &&
				memcmp(slices[i].text, at, slices[i].name_bytes) == 0)
				return 0;
	}
	return count;
}

static void check_reversed(const char *form, size_t len, const struct decoded *forwards)
{
	struct slice slices[REVERSED_MAX];
	struct buf buf = BUF_INIT(len + 1);
	struct decoded backwards;

	for (size_t i = split_distinct(form, len, slices); i > 0; i--) {
		buf_append(&buf, slices[i - 1].text, slices[i - 1].len);
		FUZZ_CHECK(buf_append_char(&buf, '&') == 0);
	}
	if (buf.len > 0) {
		decode(buf.data, buf.len, &backwards);
		FUZZ_CHECK(backwards.fault == forwards->fault);
		FUZZ_CHECK(strcmp(backwards.action, forwards->action) == 0);
		if (backwards.fault == FAULT_NONE)
			FUZZ_CHECK(strcmp(backwards.text.data, forwards->text.data) == 0);
		decoded_free(&backwards);
	}
	buf_free(&buf);
}

static void append_escaped(struct buf *buf, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == ' ')
			buf_append_char(buf, '+');
		else
			buf_appendf(buf, "%%%02X", (unsigned char)text[i]);
}

static void append_value(struct buf *buf, const char *name, const char *value, size_t len)
{
	buf_appendf(buf, "&%s=", name);
	append_escaped(buf, value, len);
}

/* The bytes that were sent, but U+0001 for a NUL (params.h). */
static void check_text(const struct json_value *value, const char *sent, size_t len)
{
	FUZZ_CHECK(value != NULL && value->kind == JSON_STRING && value->string_bytes == len);
	for (size_t i = 0; i < len; i++)
		FUZZ_CHECK(value->string[i] == (sent[i] != '\0' ? sent[i] : '\1'));
}

/*
 * The input as a text, as a map's value and as the name of one of its entries. What was said of
 * them before does not count.
 */
static void check_arrives(const char *sent, size_t len)
{
	struct buf form = BUF_INIT(TEXT_MAX);
	struct decoded decoded;
	bool is_name = memchr(sent, '\0', len) == NULL;

	buf_append_string(&form, "Action=SendMessage&MessageBody=before&Tag.1.Value=before");
	append_value(&form, "MessageBody", sent, len);
	append_value(&form, "MessageAttribute.1.Name", "a", 1);
	append_value(&form, "MessageAttribute.member.1.Value.StringValue", sent, len);
	append_value(&form, "Tag.1.Value", "v", 1);
	append_value(&form, "Tag.1.Key", sent, len);
	FUZZ_CHECK(form.err == 0);
	decode(form.data, form.len, &decoded);
	FUZZ_CHECK(decoded.fault == (is_name ? FAULT_NONE : FAULT_SERIALIZATION));
	FUZZ_CHECK((decoded.params != NULL) == (is_name && utf8_is_valid(sent, len)));
	if (decoded.params != NULL) {
		const struct json_value *tags = json_member(decoded.params, "Tags");

		check_text(json_member(decoded.params, "MessageBody"), sent, len);
		check_text(json_path(decoded.params, "MessageAttributes.a.StringValue"), sent, len);
		FUZZ_CHECK(tags != NULL && tags->count == 1 && json_first(tags)->name_bytes == len);
		FUZZ_CHECK(memcmp(json_first(tags)->name, sent, len) == 0);
		check_text(json_first(tags), "v", 1);
	}
	decoded_free(&decoded);
	buf_free(&form);
}

/* An operation, or a version, is taken whole or not at all. */
static void check_action(const char *sent, size_t len)
{
	struct buf form = BUF_INIT(TEXT_MAX);
	struct decoded decoded;
	bool is_action = len > 0 && len <= QUERY_ACTION_MAX && memchr(sent, '\0', len) == NULL;

	append_value(&form, "Action", sent, len);
	decode(form.data, form.len, &decoded);
	FUZZ_CHECK((decoded.fault == FAULT_NONE) == is_action);
	FUZZ_CHECK(!is_action || memcmp(decoded.action, sent, len) == 0);
	FUZZ_CHECK(!is_action || decoded.action[len] == '\0');
	decoded_free(&decoded);
	buf_clear(&form);
	buf_append_string(&form, "Action=ListQueues");
	append_value(&form, "Version", sent, len);
	decode(form.data, form.len, &decoded);
	FUZZ_CHECK(decoded.fault == FAULT_NO_SUCH_VERSION ||
		   (decoded.fault == FAULT_NONE && len == strlen("2012-11-05")));
	decoded_free(&decoded);
	buf_free(&form);
}

static bool is_integer(const char *text, size_t len)
{
	size_t sign = len > 0 && text[0] == '-', digits = sign;

	while (digits < len && text[digits] >= '0' && text[digits] <= '9')
		digits++;
	return digits == len && digits > sign && digits - sign <= 18;
}

/* It is one that a parameter may be, with the value it says, or it is refused. */
static void check_integer(const char *sent, size_t len)
{
	struct buf form = BUF_INIT(TEXT_MAX);
	struct decoded decoded;
	int64_t value;

	buf_append_string(&form, "Action=ReceiveMessage");
	append_value(&form, "WaitTimeSeconds", sent, len);
	decode(form.data, form.len, &decoded);
	FUZZ_CHECK(decoded.fault ==
		   (is_integer(sent, len) ? FAULT_NONE : FAULT_INVALID_PARAMETER_VALUE));
	if (decoded.fault == FAULT_NONE) {
		char text[32] = "";

		memcpy(text, sent, len);
		FUZZ_CHECK(json_int(json_member(decoded.params, "WaitTimeSeconds"), &value) == 0);
		FUZZ_CHECK(value == strtoll(text, NULL, 10));
	}
	decoded_free(&decoded);
	buf_free(&form);
}

/* A name with a NUL is refused: what stands behind it is not cut off. */
static void check_name(const char *sent, size_t len)
{
	struct buf form = BUF_INIT(TEXT_MAX);
	struct decoded decoded;

	buf_append_string(&form, "Action=ListQueues&Unknown.");
	append_escaped(&form, sent, len);
	decode(form.data, form.len, &decoded);
	FUZZ_CHECK(decoded.fault == FAULT_NONE || decoded.fault == FAULT_SERIALIZATION);
	FUZZ_CHECK(decoded.fault != FAULT_NONE || memchr(sent, '\0', len) == NULL);
	decoded_free(&decoded);
	buf_free(&form);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *form = (const char *)data;
	size_t sent = size < SENT_MAX ? size : SENT_MAX;
	struct decoded decoded;

	decode(form, size, &decoded);
	check_twice(form, size, &decoded);
	check_reversed(form, size, &decoded);
	check_arrives(form, sent);
	check_action(form, sent);
	check_integer(form, sent);
	check_name(form, sent);
	decoded_free(&decoded);
	return 0;
}
