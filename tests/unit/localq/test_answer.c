#include "bunshin/error.h"
#include "localq/answer.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct answer answer;

static int start(void **state)
{
	memset(&answer, 0, sizeof(answer));
	answer.buf.max = ANSWER_MAX_BYTES;
	answer_begin(&answer);
	return 0;
}

static int end(void **state)
{
	buf_free(&answer.buf);
	return 0;
}

static void empty(void **state)
{
	answer_end(&answer);
	assert_string_equal(buf_string(&answer.buf), "{}");
}

static void every_shape(void **state)
{
	answer_open_list(&answer, "Messages");
	answer_open(&answer, NULL);
	answer_text(&answer, "Id", "a");
	answer_bool(&answer, "Yes", true);
	answer_bool(&answer, "No", false);
	answer_close(&answer);
	answer_open(&answer, NULL);
	answer_open_map(&answer, "Attributes");
	answer_int_text(&answer, "N", -12);
	answer_int_text(&answer, "Max", INT64_MAX);
	answer_close_map(&answer);
	answer_base64(&answer, "B", (const uint8_t *)"\xff\x00", 2);
	answer_close(&answer);
	answer_close_list(&answer);
	answer_open_list(&answer, "Names");
	answer_text(&answer, NULL, "x");
	answer_text(&answer, NULL, "y");
	answer_close_list(&answer);
	answer_end(&answer);
	assert_string_equal(buf_string(&answer.buf),
		"{\"Messages\":[{\"Id\":\"a\",\"Yes\":true,\"No\":false},"
		"{\"Attributes\":{\"N\":\"-12\",\"Max\":\"9223372036854775807\"},\"B\":\"/wA=\"}],"
		"\"Names\":[\"x\",\"y\"]}");
}

/* Written in one piece, they stand as any other text does. */
static void plain_texts_are_texts(void **state)
{
	answer_plain(&answer, "a", "1");
	answer_text(&answer, "b", "2");
	answer_plain(&answer, "c", "");
	answer_open_list(&answer, "d");
	answer_plain(&answer, NULL, "x");
	answer_plain(&answer, NULL, "y");
	answer_close_list(&answer);
	answer_plain(&answer, "e", "z");
	answer_end(&answer);
	assert_string_equal(buf_string(&answer.buf),
		"{\"a\":\"1\",\"b\":\"2\",\"c\":\"\",\"d\":[\"x\",\"y\"],\"e\":\"z\"}");
}

/* A text that ends in a bracket is no open container. */
static void a_value_that_looks_like_an_open_container(void **state)
{
	answer_text(&answer, "a", "{");
	answer_text(&answer, "b", "[");
	answer_end(&answer);
	assert_string_equal(buf_string(&answer.buf), "{\"a\":\"{\",\"b\":\"[\"}");
}

/* What cJSON reads back is what was written, whatever the byte and whatever is around it. */
static void every_byte_comes_back(void **state)
{
	for (unsigned c = 1; c < 0x80; c++) {
		const char text[] = {'a', (char)c, (char)c, 'b', (char)c, '\0'};
		cJSON *root;

		answer_begin(&answer);
		answer_text(&answer, "x", text);
		answer_end(&answer);
		root = cJSON_Parse(buf_string(&answer.buf));
		assert_non_null(root);
		assert_string_equal(cJSON_GetObjectItemCaseSensitive(root, "x")->valuestring, text);
		cJSON_Delete(root);
		for (size_t i = 0; i < answer.buf.len; i++)
			assert_true((uint8_t)answer.buf.data[i] >= 0x20);
	}
}

/* Whatever the distance from the start and the end, and next to each other. */
static void escapes_at_every_place(void **state)
{
	for (size_t len = 1; len < 40; len++) {
		for (size_t at = 0; at < len; at++) {
			static const char escaped[] = "\"\\\n\x01";

			for (const char *c = escaped; *c != '\0'; c++) {
				char text[41];
				cJSON *root;

				memset(text, 'a' + (char)(at % 26), len);
				text[len] = '\0';
				text[at] = *c;
				if (at > 0)
					text[at - 1] = escaped[at % 4];
				answer_begin(&answer);
				answer_text(&answer, "x", text);
				answer_end(&answer);
				root = cJSON_Parse(buf_string(&answer.buf));
				assert_non_null(root);
				assert_string_equal(
					cJSON_GetObjectItemCaseSensitive(root, "x")->valuestring,
					text);
				cJSON_Delete(root);
			}
		}
	}
}

static void nul_and_text_beyond_ascii(void **state)
{
	answer_bytes(&answer, "n", "a\0b", 3);
	answer_text(&answer, "j", "\xe5\x88\x86\xe8\xba\xab\xf0\x9f\x98\x80");
	answer_end(&answer);
	assert_string_equal(buf_string(&answer.buf),
		"{\"n\":\"a\\u0000b\",\"j\":\"\xe5\x88\x86\xe8\xba\xab\xf0\x9f\x98\x80\"}");
}

static void past_the_limit(void **state)
{
	char text[101];

	memset(text, 'x', 100);
	text[100] = '\0';
	buf_free(&answer.buf);
	answer.buf.max = 100;
	answer_begin(&answer);
	answer_text(&answer, "x", text);
	assert_int_equal(answer.buf.err, ERR_TOO_LARGE);
	answer_begin(&answer);
	answer_end(&answer);
	assert_int_equal(answer.buf.err, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
		T(empty),
		T(every_shape),
		T(plain_texts_are_texts),
		T(a_value_that_looks_like_an_open_container),
		T(every_byte_comes_back),
		T(escapes_at_every_place),
		T(nul_and_text_beyond_ascii),
		T(past_the_limit),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
