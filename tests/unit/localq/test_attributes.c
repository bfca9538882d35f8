#include "base/hex.h"
#include "localq/attributes.h"
#include "localq/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

static struct problem problem;
/* Reused from text to text, as a call's is. */
static struct json tree;

static const struct json_value *parse(const char *text)
{
	assert_int_equal(json_parse(&tree, text, strlen(text)), 0);
	return json_root(&tree);
}
static struct hasher *hasher;
static struct buf canonical = BUF_INIT(1 << 20), scratch = BUF_INIT(1 << 20);
static struct answer answer;

static int open_all(void **state)
{
	hasher = hasher_new();
	answer.buf.max = ANSWER_MAX_BYTES;
	return hasher == NULL ? -1 : 0;
}

static int close_all(void **state)
{
	hasher_free(hasher);
	buf_free(&canonical);
	buf_free(&scratch);
	buf_free(&answer.buf);
	return 0;
}

static enum fault encode(const char *text)
{
	const struct json_value *map = parse(text);
	enum fault fault;

	buf_clear(&canonical);
	fault = attributes_encode(map, &canonical, &problem);
	assert_int_equal(canonical.err, 0);
	return fault;
}

static void assert_md5(const struct buf *bytes, const char *expected)
{
	uint8_t md5[16];
	char hex[33];

	assert_int_equal(hasher_md5(hasher, bytes->data, bytes->len, md5), 0);
	hex_print(md5, 16, hex);
	assert_string_equal(hex, expected);
}

/* Digests that AWS itself answered for these attributes. */
static void md5_vectors(void **state)
{
	static const char *const table[][2] = {
		{"{\"Hello\":{\"DataType\":\"String\",\"StringValue\":\"There\"}}",
			"a311262e065454b75da111d535b8dacd"},
		{"{\"my_attribute_name_2\":{\"DataType\":\"String\","
		 "\"StringValue\":\"my_attribute_value_2\"},"
		 "\"my_attribute_name_1\":{\"DataType\":\"String\","
		 "\"StringValue\":\"my_attribute_value_1\"}}",
			"c48838208d2b4e14e3ca0093a8443f09"},
		/* traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01 */
		{"{\"attr1\":{\"DataType\":\"Binary\",\"BinaryValue\":"
		 "\"dHJhY2VwYXJlbnQeMDAtNzc0MDYyZDZjMzcwODFhNWEwYjliNWI4OGUzMDYyN2MtMmQyNDgyMjExZjY"
		 "0ODlkYS0wMQ==\"}}",
			"8cbe4db156db8a94db8b801b7addb984"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(encode(table[i][0]), FAULT_NONE);
		assert_md5(&canonical, table[i][1]);
	}
}

static void canonical_bytes(void **state)
{
	static const char expected[] = "\0\0\0\5Hello\0\0\0\6String\1\0\0\0\5There";

	assert_int_equal(encode("{\"Hello\":{\"DataType\":\"String\",\"StringValue\":\"There\"}}"),
		FAULT_NONE);
	assert_int_equal(canonical.len, sizeof(expected) - 1);
	assert_memory_equal(canonical.data, expected, sizeof(expected) - 1);
}

static void trace_header(void **state)
{
	const struct json_value *map = parse(
		"{\"AWSTraceHeader\":{\"DataType\":\"String\",\"StringValue\":\"Root=1-5759e988-"
		"bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1\"}}");
	const char *value;

	buf_clear(&canonical);
	assert_int_equal(attributes_trace_header(map, &canonical, &value, &problem), FAULT_NONE);
	assert_non_null(strstr(value, "Sampled=1"));
	assert_md5(&canonical, "5ae4d5d7636402d80f4eb6d213245a88");
}

/* A longer one would have no place in a row, and would take the others of its turn with it. */
static void trace_headers_that_are_too_long(void **state)
{
	char text[5000];
	struct buf into = BUF_INIT(10000);
	const char *value;

	for (int bytes = 4096; bytes <= 4097; bytes++) {
		const struct json_value *map;

		snprintf(text, sizeof(text),
			"{\"AWSTraceHeader\":{\"DataType\":\"String\",\"StringValue\":\"%0*d\"}}",
			bytes, 1);
		map = parse(text);
		assert_int_equal(attributes_trace_header(map, &into, &value, &problem),
			bytes == 4096 ? FAULT_NONE : FAULT_INVALID_PARAMETER_VALUE);
	}
	assert_non_null(strstr(problem.message, "'AWSTraceHeader' is longer than 4096 bytes."));
	buf_free(&into);
}

static void trace_header_refusals(void **state)
{
	static const char *const table[] = {
		"{\"Other\":{\"DataType\":\"String\",\"StringValue\":\"x\"}}",
		"{\"AWSTraceHeader\":{\"DataType\":\"Number\",\"StringValue\":\"1\"}}",
		"{\"AWSTraceHeader\":{\"DataType\":\"Binary\",\"BinaryValue\":\"YQ==\"}}",
		"{\"AWSTraceHeader\":{\"DataType\":\"String\",\"StringValue\":\"\"}}",
		("{\"AWSTraceHeader\":{\"DataType\":\"String\",\"StringValue\":\"x\"},"
		 "\"AWSTraceHeader\":{\"DataType\":\"String\",\"StringValue\":\"x\"}}"),
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct json_value *map = parse(table[i]);
		const char *value;

		buf_clear(&canonical);
		if (attributes_trace_header(map, &canonical, &value, &problem) !=
			FAULT_INVALID_PARAMETER_VALUE)
			fail_msg("%s is taken", table[i]);
	}
}

static void refusals(void **state)
{
#define STRING(value) "{\"DataType\":\"String\",\"StringValue\":\"" value "\"}"
#define NUMBER(value) "{\"DataType\":\"Number\",\"StringValue\":\"" value "\"}"
	static const struct {
		const char *json;
		enum fault fault;
	} table[] = {
		{"{\"a\":" STRING("x") "}", FAULT_NONE},
		{"{\"a\":{\"DataType\":\"String.label\",\"StringValue\":\"x\"}}", FAULT_NONE},
		{"{\"a\":{\"DataType\":\"Binary.png\",\"BinaryValue\":\"YQ==\"}}", FAULT_NONE},
		{"{\"a\":{\"DataType\":\"String\",\"StringValue\":\"x\",\"BinaryValue\":null}}",
			FAULT_NONE},
		{"{\"a\":" NUMBER("0") "}", FAULT_NONE},
		{"{\"a\":" NUMBER("-12.50") "}", FAULT_NONE},
		{"{\"a\":" NUMBER("1e10") "}", FAULT_NONE},
		{"{\"a\":" NUMBER("1E-7") "}", FAULT_NONE},
		{"{\"a\":" NUMBER("12345678901234567890123456789012345678") "}", FAULT_NONE},
		{"{\"a\":{\"DataType\":\"Number.int\",\"StringValue\":\"7\"}}", FAULT_NONE},
		{"{\"a\":" NUMBER("123456789012345678901234567890123456789") "}",
			FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":" NUMBER("9.9e126") "}", FAULT_NONE},
		{"{\"a\":" NUMBER("0.0099e128") "}", FAULT_NONE},
		{"{\"a\":" NUMBER("1e127") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":" NUMBER("10e126") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":" NUMBER("-1e-128") "}", FAULT_NONE},
		{"{\"a\":" NUMBER("100e-130") "}", FAULT_NONE},
		{"{\"a\":" NUMBER("1e-129") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":" NUMBER("0.1e-128") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":" NUMBER("0.00e999") "}", FAULT_NONE},
		{"{\"a\":" NUMBER("1e99999999999999999999") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":{\"DataType\":\"String\",\"StringListValues\":[\"x\"]}}",
			FAULT_UNSUPPORTED_OPERATION},
		{"{\"a\":{\"DataType\":\"String\",\"StringValue\":\"x\",\"BinaryListValues\":"
		 "[\"YQ==\"]}}",
			FAULT_UNSUPPORTED_OPERATION},
		{"{\"a\":{\"DataType\":\"String\",\"StringValue\":\"x\",\"StringListValues\":[]}}",
			FAULT_NONE},
		{"{\"a\":" NUMBER("x") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":" NUMBER("-") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":" NUMBER(".") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":" NUMBER("1.2.3") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":" NUMBER("1e") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":" NUMBER("1e+") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":" NUMBER("1 ") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":" NUMBER("0x1") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":" NUMBER("nan") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":" STRING("") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":" STRING("\\u0001") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":" STRING("\\uffff") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a.\":" STRING("x") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"AWS.a\":" STRING("x") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"\":" STRING("x") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a b\":" STRING("x") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":" STRING("x") ",\"a\":" STRING("y") "}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":{\"StringValue\":\"x\"}}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":{\"DataType\":\"\",\"StringValue\":\"x\"}}",
			FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":{\"DataType\":\"string\",\"StringValue\":\"x\"}}",
			FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":{\"DataType\":\"Stringy\",\"StringValue\":\"x\"}}",
			FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":{\"DataType\":\"String\"}}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":{\"DataType\":\"String\",\"BinaryValue\":\"YQ==\"}}",
			FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":{\"DataType\":\"String\",\"StringValue\":\"x\",\"BinaryValue\":\"YQ==\"}}",
			FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":{\"DataType\":\"Binary\",\"StringValue\":\"x\"}}",
			FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":{\"DataType\":\"Binary\",\"BinaryValue\":\"\"}}",
			FAULT_INVALID_PARAMETER_VALUE},
		{"{\"a\":{\"DataType\":\"Binary\",\"BinaryValue\":\"!!!!\"}}", FAULT_SERIALIZATION},
		{"{\"a\":{\"DataType\":1,\"StringValue\":\"x\"}}", FAULT_SERIALIZATION},
		{"{\"a\":{\"DataType\":\"String\",\"StringValue\":1}}", FAULT_SERIALIZATION},
		{"{\"a\":\"x\"}", FAULT_SERIALIZATION},
	};
#undef STRING
#undef NUMBER

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (encode(table[i].json) != table[i].fault)
			fail_msg("%s: %s", table[i].json, problem.message);
}

static void ten_and_no_more(void **state)
{
	char json[2048] = "{";

	for (int i = 0; i < 11; i++) {
		size_t len = strlen(json);

		snprintf(json + len, sizeof(json) - len,
			"%s\"n%d\":{\"DataType\":\"String\",\"StringValue\":\"x\"}",
			i > 0 ? "," : "", i);
		if (i >= 9) {
			strcat(json, "}");
			assert_int_equal(
				encode(json), i == 9 ? FAULT_NONE : FAULT_INVALID_PARAMETER_VALUE);
			json[strlen(json) - 1] = '\0';
		}
	}
	assert_string_equal(problem.message,
		"Number of message attributes [11] exceeds the allowed maximum [10].");
}

static void sizes(void **state)
{
	static const struct {
		const char *json;
		size_t size;
	} table[] = {
		{"{}", 0},
		{"{\"ab\":{\"DataType\":\"String\",\"StringValue\":\"xyz\"}}", 11},
		{"{\"ab\":{\"DataType\":\"Binary\",\"BinaryValue\":\"YQ==\"}}", 9},
		{"{\"ab\":{\"DataType\":\"Binary\",\"BinaryValue\":\"YWI=\"}}", 10},
		{"{\"ab\":{\"DataType\":\"Binary\",\"BinaryValue\":\"YWJj\"},"
		 "\"c\":{\"DataType\":\"Number\",\"StringValue\":\"1\"}}",
			19},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct json_value *map = parse(table[i].json);

		assert_int_equal(attributes_size(map), table[i].size);
	}
}

/* names -> what a message with the attributes Help.Me, Hello, General and B (binary) shows */
static void filters(void **state)
{
	static const char *const table[][2] = {
		{"[]", ""},
		{"[\"None\"]", ""},
		{"[\"Hello\"]", "Hello"},
		{"[\"hello\"]", ""},
		{"[\"Hel\"]", ""},
		{"[\"Hel.*\"]", "Hello Help.Me"},
		{"[\"Help.*\"]", "Help.Me"},
		{"[\"Help.Me.*\"]", "Help.Me"},
		{"[\"Help.Me.x.*\"]", ""},
		{"[\"All\"]", "B General Hello Help.Me"},
		{"[\".*\"]", "B General Hello Help.Me"},
		{"[\"x\",\"General\",\"B\"]", "B General"},
	};

	assert_int_equal(encode("{\"Help.Me\":{\"DataType\":\"String\",\"StringValue\":\"1\"},"
				"\"Hello\":{\"DataType\":\"Number.x\",\"StringValue\":\"2\"},"
				"\"General\":{\"DataType\":\"String\",\"StringValue\":\"3\"},"
				"\"B\":{\"DataType\":\"Binary\",\"BinaryValue\":\"/wA=\"}}"),
		FAULT_NONE);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct json_value *names = parse(table[i][0]);
		cJSON *root;
		char shown[64] = "";
		const cJSON *item;

		answer_begin(&answer);
		assert_int_equal(attributes_answer(&answer, hasher, &scratch, names, canonical.data,
					 canonical.len),
			0);
		answer_end(&answer);
		root = cJSON_Parse(buf_string(&answer.buf));
		cJSON_ArrayForEach(item, cJSON_GetObjectItem(root, "MessageAttributes"))
		{
			strcat(shown, *shown != '\0' ? " " : "");
			strcat(shown, item->string);
		}
		assert_string_equal(shown, table[i][1]);
		assert_int_equal(
			cJSON_HasObjectItem(root, "MD5OfMessageAttributes"), *table[i][1] != '\0');
		cJSON_Delete(root);
	}
}

static void answer_of_a_selection(void **state)
{
	const struct json_value *names;

	assert_int_equal(encode("{\"Hello\":{\"DataType\":\"String\",\"StringValue\":\"There\"},"
				"\"Other\":{\"DataType\":\"String\",\"StringValue\":\"x\"}}"),
		FAULT_NONE);
	names = parse("[\"Hello\",\"Bin\"]"); /* in the tree that the attributes were in */
	answer_begin(&answer);
	assert_int_equal(
		attributes_answer(&answer, hasher, &scratch, names, canonical.data, canonical.len),
		0);
	answer_end(&answer);
	/* The digest is over what is shown, not over what was sent. */
	assert_string_equal(buf_string(&answer.buf),
		"{\"MD5OfMessageAttributes\":\"a311262e065454b75da111d535b8dacd\","
		"\"MessageAttributes\":{\"Hello\":{\"DataType\":\"String\",\"StringValue\":"
		"\"There\"}}}");
}

/* Every prefix of a canonical form ends early, none reads past its end (the sanitizer watches). */
static void broken_canonical_forms(void **state)
{
	struct attribute attribute;

	assert_int_equal(encode("{\"Hello\":{\"DataType\":\"String\",\"StringValue\":\"There\"}}"),
		FAULT_NONE);
	for (size_t len = 0; len < canonical.len; len++) {
		char *copy = memcpy(test_malloc(len + 1), canonical.data, len);
		const char *rest = copy;
		size_t left = len;

		assert_false(attributes_next(&rest, &left, &attribute));
		test_free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(md5_vectors),
		cmocka_unit_test(canonical_bytes),
		cmocka_unit_test(trace_header),
		cmocka_unit_test(trace_headers_that_are_too_long),
		cmocka_unit_test(trace_header_refusals),
		cmocka_unit_test(refusals),
		cmocka_unit_test(ten_and_no_more),
		cmocka_unit_test(sizes),
		cmocka_unit_test(filters),
		cmocka_unit_test(answer_of_a_selection),
		cmocka_unit_test(broken_canonical_forms),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
