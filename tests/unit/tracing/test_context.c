/* Trace contexts as text: what is taken, what is not, what is written. */
#include "tracing/context.h"

#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"
#define XROOT "Root=1-5759e988-bd862e3fe1be46a994272793"

static int parse(const char *text, struct trace_context *ret)
{
	/* A copy without a NUL behind it: nothing past the length may be read. */
	size_t len = strlen(text);
	char *copy = malloc(len + 1);
	int err;

	memcpy(copy, text, len);
	copy[len] = 'f';
	err = traceparent_parse(copy, len, ret);
	free(copy);
	return err;
}

static void test_traceparent(void **state)
{
	struct trace_context context;
	char text[TRACEPARENT_SIZE], hex[33];
	const uint8_t span[SPAN_ID_BYTES] = {0, 1, 2, 3, 0xfc, 0xfd, 0xfe, 0xff};

	assert_int_equal(parse("00-" TRACE "-" PARENT "-01", &context), 0);
	trace_hex(context.trace_id, TRACE_ID_BYTES, hex);
	assert_string_equal(hex, TRACE);
	trace_hex(context.parent_id, SPAN_ID_BYTES, hex);
	assert_string_equal(hex, PARENT);
	assert_true(context.has_parent);
	assert_int_equal(context.flags, TRACE_FLAG_SAMPLED);
	assert_int_equal(context.decision, TRACE_SAMPLED);
	traceparent_format(&context, span, text);
	assert_string_equal(text, "00-" TRACE "-00010203fcfdfeff-01");
	assert_int_equal(parse("00-" TRACE "-" PARENT "-00", &context), 0);
	assert_int_equal(context.decision, TRACE_NOT_SAMPLED);
	/* Flags that nobody knows go no further. */
	assert_int_equal(parse("00-" TRACE "-" PARENT "-ff", &context), 0);
	traceparent_format(&context, context.parent_id, text);
	assert_string_equal(text, "00-" TRACE "-" PARENT "-03");
}

/* A later version is read as far as it is known, and goes on as version 00. */
static void test_traceparent_versions(void **state)
{
	struct trace_context context;
	char text[TRACEPARENT_SIZE];

	assert_int_equal(parse("cc-" TRACE "-" PARENT "-01", &context), 0);
	assert_int_equal(parse("cc-" TRACE "-" PARENT "-01-what-comes", &context), 0);
	traceparent_format(&context, context.parent_id, text);
	assert_string_equal(text, "00-" TRACE "-" PARENT "-01");
	assert_int_equal(parse("cc-" TRACE "-" PARENT "-01.what", &context), ERR_SYNTAX);
	assert_int_equal(parse("00-" TRACE "-" PARENT "-01-", &context), ERR_SYNTAX);
	assert_int_equal(parse("ff-" TRACE "-" PARENT "-01", &context), ERR_SYNTAX);
}

static void test_bad_traceparents(void **state)
{
	static const char *const bad[] = {"", "0", "00", "00-" TRACE "-" PARENT "-0",
		"00-" TRACE "-" PARENT "-011", "00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01",
		"00-" TRACE "-B7AD6B7169203331-01",
		"00-00000000000000000000000000000000-" PARENT "-01",
		"00-" TRACE "-0000000000000000-01", "00_" TRACE "-" PARENT "-01",
		"00-" TRACE "_" PARENT "-01", "00-" TRACE "-" PARENT "_01",
		"0g-" TRACE "-" PARENT "-01", "00-" TRACE "-b7ad6b716920333\n-01",
		"00-" TRACE "-" PARENT "-0g", " 00-" TRACE "-" PARENT "-01",
		"00-" TRACE "-" PARENT "-01 ", "00-" TRACE "-" PARENT "-\r\n"};
	struct trace_context context = {.flags = 77};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i], &context) != ERR_SYNTAX)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(context.flags, 77); /* untouched */
	assert_int_equal(
		traceparent_parse("00-" TRACE "-" PARENT "\0-01", 56, &context), ERR_SYNTAX);
}

static bool state_fits(const char *text)
{
	return tracestate_is_valid(text, strlen(text));
}

/* A member of so many bytes: "aaa...=v". */
static const char *member(char *text, size_t key_bytes, size_t value_bytes)
{
	memset(text, 'a', key_bytes);
	text[key_bytes] = '=';
	memset(text + key_bytes + 1, 'v', value_bytes);
	text[key_bytes + 1 + value_bytes] = '\0';
	return text;
}

static void test_tracestates(void **state)
{
	static const char *const good[] = {"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
		"rojo=00f067aa0ba902b7 , congo=t61rcWkgMzE", "a=1,,b=2", "a=1,", ",a=1",
		"\t a=1 \t", "1tenant@sys=x", "a-_*/0=~!\"#$%&'()*+-./:;<>?@[]^_`{|}", "a= b",
		"a=1,a=1"};
	static const char *const bad[] = {"", " ", ",", "a", "=", "a=", "=1", "A=1", "1=1", "a=b=c",
		"a=\x01", "a=\xc3\xa9", "a=1\r\nX: y", "a b=1", "a@=1", "@b=1", "a@1=1", "a@b@c=1",
		"a=1;b=2,\x7f=1", "a@abcdefghijklmno=1"};
	char text[600];
	size_t len = 0;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!state_fits(good[i]))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (state_fits(bad[i]))
			fail_msg("taken: %s", bad[i]);
	assert_false(tracestate_is_valid("a=1\0", 4));
	assert_true(state_fits(member(text, 256, 1)));
	assert_false(state_fits(member(text, 257, 1)));
	assert_true(state_fits(member(text, 1, 256)));
	assert_false(state_fits(member(text, 1, 257)));
	assert_false(state_fits(member(text, 256, 256))); /* 513 bytes */
	assert_true(state_fits(member(text, 256, 255)));
	for (int i = 0; i < 32; i++)
		len += (size_t)sprintf(text + len, "%sa=%d", i ? "," : "", i);
	assert_true(state_fits(text));
	strcpy(text + len, ",a=32");
	assert_false(state_fits(text));
}

static int parse_xray(const char *text, struct trace_context *ret)
{
	return xray_parse(text, strlen(text), ret);
}

static void test_xray(void **state)
{
	struct trace_context context;
	char hex[33], text[XRAY_SIZE];
	const uint8_t span[SPAN_ID_BYTES] = {0, 1, 2, 3, 4, 5, 6, 7};

	assert_int_equal(parse_xray(XROOT ";Parent=53995c3f42cd8ad8;Sampled=1", &context), 0);
	trace_hex(context.trace_id, TRACE_ID_BYTES, hex);
	assert_string_equal(hex, "5759e988bd862e3fe1be46a994272793");
	trace_hex(context.parent_id, SPAN_ID_BYTES, hex);
	assert_string_equal(hex, "53995c3f42cd8ad8");
	assert_true(context.has_parent);
	assert_int_equal(context.decision, TRACE_SAMPLED);
	xray_format(&context, span, text);
	assert_string_equal(text, XROOT ";Parent=0001020304050607;Sampled=1");
	assert_int_equal(strlen(text), XRAY_SIZE - 1);
	assert_int_equal(parse_xray("Sampled=0;" XROOT, &context), 0);
	assert_false(context.has_parent);
	assert_int_equal(context.decision, TRACE_NOT_SAMPLED);
	assert_int_equal(parse_xray(XROOT ";Sampled=?", &context), 0);
	assert_int_equal(context.decision, TRACE_UNDECIDED);
	assert_int_equal(parse_xray(XROOT ";", &context), 0);
	assert_int_equal(context.decision, TRACE_UNDECIDED);
	assert_int_equal(parse_xray("Self=1-67891234-12456789abcdef012345678;" XROOT
				    ";Lineage=a87bd80c:1|68fd508a:5|c512fbe3:2;CalledFrom=app",
				 &context),
		0);
}

static void test_bad_xrays(void **state)
{
	static const char *const bad[] = {"", ";", "Root", "Root=", "Root=1",
		"Parent=53995c3f42cd8ad8", XROOT ";;", ";" XROOT, XROOT ";" XROOT, XROOT "0",
		"root=1-5759e988-bd862e3fe1be46a994272793",
		"Root=2-5759e988-bd862e3fe1be46a994272793",
		"Root=1-5759E988-bd862e3fe1be46a994272793",
		"Root=1-5759e98-8bd862e3fe1be46a994272793",
		"Root=1-00000000-000000000000000000000000",
		"Root=1-5759e988-bd862e3fe1be46a99427279g",
		XROOT ";Parent=", XROOT ";Parent=53995c3f42cd8ad", XROOT ";Parent=0000000000000000",
		XROOT ";Sampled=", XROOT ";Sampled=2", XROOT ";Sampled=1;Sampled=1",
		XROOT " ;Sampled=1", XROOT ";Sampled=11", XROOT ";x", XROOT ";=y", XROOT ";x=a b",
		XROOT ";x=\r\nY: z", XROOT ";x=a=b", XROOT ";x=\xc3\xa9", XROOT ";x y=1"};
	struct trace_context context = {.flags = 77};
	char text[600] = XROOT ";x=";

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse_xray(bad[i], &context) != ERR_SYNTAX)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(context.flags, 77);
	memset(text + strlen(text), 'a', XRAY_MAX_BYTES - strlen(text));
	assert_int_equal(xray_parse(text, XRAY_MAX_BYTES, &context), 0);
	text[XRAY_MAX_BYTES] = 'a';
	assert_int_equal(xray_parse(text, XRAY_MAX_BYTES + 1, &context), ERR_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_traceparent),
		cmocka_unit_test(test_traceparent_versions),
		cmocka_unit_test(test_bad_traceparents),
		cmocka_unit_test(test_tracestates),
		cmocka_unit_test(test_xray),
		cmocka_unit_test(test_bad_xrays),
	};

	return cmocka_run_group_tests_name("tracing/context", tests, NULL, NULL);
}
