#include "base/buf.h"
#include "bunshin/error.h"
#include "failmalloc.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void starts_empty_and_owns_nothing(void **state)
{
	struct buf buf = BUF_INIT(100);

	assert_null(buf.data);
	assert_int_equal(buf.len, 0);
	assert_string_equal(buf_string(&buf), "");
	assert_int_equal(buf_append(&buf, NULL, 0), 0);
	assert_null(buf.data);
	buf_clear(&buf);
	buf_truncate(&buf, 0);
	buf_wipe(&buf);
	buf_free(&buf);
	buf_free(&buf);
	assert_int_equal(buf.max, 100);
}

static void appends_and_terminates(void **state)
{
	struct buf buf = BUF_INIT(1000);

	assert_int_equal(buf_append(&buf, "ab\0c", 4), 0);
	assert_int_equal(buf_append_string(&buf, "de"), 0);
	assert_int_equal(buf_append_char(&buf, 'f'), 0);
	assert_int_equal(buf_append_char(&buf, '\0'), 0);
	assert_int_equal(buf_appendf(&buf, "%d-%s", 42, "x"), 0);
	assert_int_equal(buf.len, 12);
	assert_memory_equal(buf.data,
		"ab\0cdef\0"
		"42-x",
		13);
	buf_truncate(&buf, 2);
	assert_int_equal(buf.len, 2);
	assert_string_equal(buf_string(&buf), "ab");
	buf_clear(&buf);
	assert_int_equal(buf.len, 0);
	assert_string_equal(buf_string(&buf), "");
	buf_free(&buf);
}

/* Every maximum and every split of it: full to the byte, and not a byte more. */
static void holds_max_and_not_more(void **state)
{
	for (size_t max = 0; max < 300; max++) {
		for (size_t step = 1; step < 40; step += 3) {
			struct buf buf = BUF_INIT(max);
			char piece[40];

			memset(piece, 'x', sizeof(piece));
			while (buf.len + step <= max) {
				assert_int_equal(buf_append(&buf, piece, step), 0);
				assert_true(buf.capacity <= max);
				assert_int_equal(strlen(buf_string(&buf)), buf.len);
			}
			assert_int_equal(buf_append(&buf, piece, max - buf.len), 0);
			assert_int_equal(buf.len, max);
			assert_int_equal(buf_append(&buf, NULL, 0), 0);
			assert_int_equal(buf_append_char(&buf, 'y'), ERR_TOO_LARGE);
			assert_int_equal(buf.len, max);
			assert_int_equal(strlen(buf_string(&buf)), max);
			buf_free(&buf);
		}
	}
}

static void first_failure_sticks(void **state)
{
	struct buf buf = BUF_INIT(4);

	assert_int_equal(buf_append_string(&buf, "abc"), 0);
	assert_int_equal(buf_append_string(&buf, "de"), ERR_TOO_LARGE);
	assert_int_equal(buf_append_char(&buf, 'd'), ERR_TOO_LARGE);
	assert_int_equal(buf_appendf(&buf, "%s", ""), ERR_TOO_LARGE);
	assert_int_equal(buf_append_json(&buf, "d", 1), ERR_TOO_LARGE);
	assert_null(buf_reserve(&buf, 1));
	assert_string_equal(buf_string(&buf), "abc");
	assert_int_equal(buf.err, ERR_TOO_LARGE);
	buf_clear(&buf);
	assert_int_equal(buf_append_string(&buf, "wxyz"), 0);
	assert_string_equal(buf_string(&buf), "wxyz");
	buf_free(&buf);
}

static void growth_is_geometric(void **state)
{
	struct buf buf = BUF_INIT(1 << 20);
	size_t capacity = 0;
	unsigned moves = 0;

	for (size_t i = 0; i < 1 << 20; i++) {
		assert_int_equal(buf_append_char(&buf, 'x'), 0);
		moves += buf.capacity != capacity;
		capacity = buf.capacity;
	}
	assert_true(moves <= 16);
	buf_free(&buf);
}

/* Lengths around every capacity, so that both the first and the second printing are met. */
static void formats_at_every_fill(void **state)
{
	for (size_t fill = 0; fill < 200; fill++) {
		for (int width = 1; width < 200; width += 7) {
			struct buf buf = BUF_INIT(400);
			char expected[400];

			memset(expected, '-', fill);
			memset(expected + fill, ' ', (size_t)width);
			expected[fill + (size_t)width - 1] = '7';
			for (size_t i = 0; i < fill; i++)
				buf_append_char(&buf, '-');
			assert_int_equal(buf_appendf(&buf, "%*d", width, 7), 0);
			assert_int_equal(buf.len, fill + (size_t)width);
			assert_memory_equal(buf.data, expected, buf.len);
			assert_int_equal(buf.data[buf.len], '\0');
			buf_free(&buf);
		}
	}
}

static void format_too_large_leaves_nothing_behind(void **state)
{
	struct buf buf = BUF_INIT(5);

	assert_int_equal(buf_append_string(&buf, "abc"), 0);
	assert_int_equal(buf_appendf(&buf, "%d", 12345), ERR_TOO_LARGE);
	assert_string_equal(buf_string(&buf), "abc");
	assert_int_equal(buf.len, 3);
	buf_clear(&buf);
	assert_int_equal(buf_appendf(&buf, "%d", 12345), 0);
	assert_string_equal(buf_string(&buf), "12345");
	buf_free(&buf);
}

static void appends_numbers(void **state)
{
	static const uint64_t numbers[] = {0, 9, 10, 99, 100, 1234567890, UINT64_MAX};
	struct buf one = BUF_INIT(1000), other = BUF_INIT(1000);

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		assert_int_equal(buf_append_uint(&one, numbers[i]), 0);
		buf_appendf(&other, "%" PRIu64, numbers[i]);
		assert_string_equal(buf_string(&one), buf_string(&other));
	}
	buf_free(&one);
	buf_free(&other);
	one.max = 2;
	assert_int_equal(buf_append_uint(&one, 123), ERR_TOO_LARGE);
	buf_free(&one);
}

static void escapes_every_byte_for_json(void **state)
{
	static const char letters[256] = {['"'] = '"',
		['\\'] = '\\',
		['\b'] = 'b',
		['\f'] = 'f',
		['\n'] = 'n',
		['\r'] = 'r',
		['\t'] = 't'};

	for (int c = 0; c < 256; c++) {
		struct buf buf = BUF_INIT(100);
		char byte = (char)c, expected[16] = {0};

		if (letters[c])
			snprintf(expected, sizeof(expected), "<\\%c>", letters[c]);
		else if (c < 0x20)
			snprintf(expected, sizeof(expected), "<\\u%04x>", (unsigned)c);
		else
			snprintf(expected, sizeof(expected), "<%c>", c);
		buf_append_char(&buf, '<');
		buf_append_json(&buf, &byte, 1);
		buf_append_char(&buf, '>');
		assert_string_equal(buf_string(&buf), expected);
		buf_free(&buf);
	}
}

/* Each byte at each place among others, of every length around the pieces that are taken at once.
 */
static void escapes_anywhere_for_json(void **state)
{
	static const unsigned char specials[] = {0, 0x1f, '"', '\\', 0x20, 0x7f, 0x80, 0xff, '\n'};
	char text[1100], one[2];

	for (size_t s = 0; s < sizeof(specials); s++) {
		for (size_t at = 0; at < 24; at++) {
			struct buf whole = BUF_INIT(100000), parts = BUF_INIT(100000);

			memset(text, at % 2 ? 'x' : 0xe3, sizeof(text));
			text[at] = text[510 + at] = (char)specials[s];
			buf_append_json(&whole, text, sizeof(text) - at);
			for (size_t i = 0; i < sizeof(text) - at; i++) {
				one[0] = text[i];
				buf_append_json(&parts, one, 1);
			}
			assert_int_equal(whole.len, parts.len);
			assert_memory_equal(whole.data, parts.data, whole.len);
			buf_free(&whole);
			buf_free(&parts);
		}
	}
}

/* To the last byte that it may hold, and not one more. */
static void json_fills_a_buffer(void **state)
{
	const char *text = "0123456789\"0123456789\x01xyz";
	const size_t escaped = 10 + 2 + 10 + 6 + 3;

	for (size_t max = 0; max < escaped + 3; max++) {
		struct buf buf = BUF_INIT(max);

		assert_int_equal(buf_append_json(&buf, text, strlen(text)),
			max < escaped ? ERR_TOO_LARGE : 0);
		if (max >= escaped)
			assert_string_equal(buf_string(&buf), "0123456789\\\"0123456789\\u0001xyz");
		buf_free(&buf);
	}
}

static void escapes_runs_for_json(void **state)
{
	static const char text[] = "分身 says \"hi\"\n\tC:\\x\x01\0end";
	struct buf buf = BUF_INIT(100);

	assert_int_equal(buf_append_json(&buf, text, sizeof(text) - 1), 0);
	assert_string_equal(buf_string(&buf), "分身 says \\\"hi\\\"\\n\\tC:\\\\x\\u0001\\u0000end");
	assert_int_equal(buf_append_json(&buf, NULL, 0), 0);
	buf_free(&buf);
}

static void reserves_and_advances(void **state)
{
	struct buf buf = BUF_INIT(10);
	char *room = buf_reserve(&buf, 10);

	assert_non_null(room);
	memcpy(room, "0123456789", 10);
	buf_advance(&buf, 7);
	assert_string_equal(buf_string(&buf), "0123456");
	assert_ptr_equal(buf_reserve(&buf, 3), buf.data + 7);
	assert_non_null(buf_reserve(&buf, 0));
	assert_null(buf_reserve(&buf, 4));
	assert_int_equal(buf.err, ERR_TOO_LARGE);
	buf_free(&buf);
	assert_null(buf_reserve(&buf, SIZE_MAX));
	assert_int_equal(buf.err, ERR_TOO_LARGE);
	buf_free(&buf);
}

static void an_unlimited_one_does_not_overflow(void **state)
{
	struct buf buf = BUF_INIT(SIZE_MAX);

	assert_int_equal(buf_append_string(&buf, "x"), 0);
	assert_null(buf_reserve(&buf, SIZE_MAX - 1));
	assert_int_equal(buf.err, ERR_NOMEM);
	assert_string_equal(buf_string(&buf), "x");
	buf_clear(&buf);
	assert_null(buf_reserve(&buf, SIZE_MAX));
	buf_clear(&buf);
	assert_int_equal(buf_append_string(&buf, "y"), 0);
	buf_free(&buf);
}

static void takes_the_memory(void **state)
{
	struct buf buf = BUF_INIT(10);
	size_t len = 99;
	char *data;

	assert_null(buf_take(&buf, &len));
	assert_int_equal(len, 0);
	buf_append_string(&buf, "abc");
	data = buf_take(&buf, &len);
	assert_string_equal(data, "abc");
	assert_int_equal(len, 3);
	assert_null(buf.data);
	assert_int_equal(buf.max, 10);
	free(data);
	buf_append_string(&buf, "de");
	data = buf_take(&buf, NULL);
	assert_string_equal(data, "de");
	free(data);
	buf_append_string(&buf, "x");
	buf_truncate(&buf, 0);
	assert_null(buf_take(&buf, NULL));
	assert_null(buf.data);
}

static void a_failed_content_is_not_given_away(void **state)
{
	struct buf buf = BUF_INIT(3);
	size_t len = 99;

	buf_append_string(&buf, "abc");
	buf_append_string(&buf, "d");
	assert_null(buf_take(&buf, &len));
	assert_int_equal(len, 0);
	assert_int_equal(buf.err, ERR_TOO_LARGE);
	buf_free(&buf);
	assert_int_equal(buf.err, 0);
}

static void keeps_its_content_when_memory_runs_out(void **state)
{
	struct buf buf = BUF_INIT(100000);
	char large[5000];

	memset(large, 'x', sizeof(large));
	assert_int_equal(buf_append_string(&buf, "abc"), 0);
	failmalloc_arm(1);
	assert_int_equal(buf_append(&buf, large, sizeof(large)), ERR_NOMEM);
	assert_true(failmalloc_disarm());
	assert_string_equal(buf_string(&buf), "abc");
	assert_int_equal(buf_append_char(&buf, 'd'), ERR_NOMEM);
	buf_free(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_empty_and_owns_nothing),
		cmocka_unit_test(appends_and_terminates),
		cmocka_unit_test(holds_max_and_not_more),
		cmocka_unit_test(first_failure_sticks),
		cmocka_unit_test(growth_is_geometric),
		cmocka_unit_test(formats_at_every_fill),
		cmocka_unit_test(format_too_large_leaves_nothing_behind),
		cmocka_unit_test(appends_numbers),
		cmocka_unit_test(escapes_every_byte_for_json),
		cmocka_unit_test(escapes_anywhere_for_json),
		cmocka_unit_test(json_fills_a_buffer),
		cmocka_unit_test(escapes_runs_for_json),
		cmocka_unit_test(reserves_and_advances),
		cmocka_unit_test(an_unlimited_one_does_not_overflow),
		cmocka_unit_test(takes_the_memory),
		cmocka_unit_test(a_failed_content_is_not_given_away),
		cmocka_unit_test(keeps_its_content_when_memory_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
