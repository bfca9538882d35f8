#include "localq/store_content.h"

#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct buf content = BUF_INIT(1 << 20);

static struct store_message sample(void)
{
	struct store_message message = {
		.body = "body",
		.body_bytes = 4,
		.attributes = "\0\0\1",
		.attributes_bytes = 3,
		.trace_header = "Root=1",
		.group_id = "g",
		.deduplication_id = "dd",
	};

	for (uint8_t i = 0; i < 16; i++) {
		message.message_id[i] = i;
		message.md5[i] = 0xf0 | i;
	}
	return message;
}

static int write(const struct store_message *message)
{
	buf_clear(&content);
	return store_content_write(message, &content);
}

static void exact_bytes(void **state)
{
	static const char expected[] =
		"\1"
		"\0\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe\xf"
		"\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff"
		"\7\0\2\0\3\0\3\0\0\0"
		"Root=1\0g\0dd\0"
		"\0\0\1"
		"body";
	struct store_message message = sample();

	assert_int_equal(write(&message), 0);
	assert_int_equal(content.len, sizeof(expected) - 1);
	assert_memory_equal(content.data, expected, content.len);
}

static void assert_text(const char *found, const char *expected)
{
	if (expected == NULL)
		assert_null(found);
	else
		assert_string_equal(found, expected);
}

/* Every part there or not. */
static void what_is_written_is_read(void **state)
{
	for (unsigned parts = 0; parts < 32; parts++) {
		struct store_message message = sample(), read = {.id = 7};

		if ((parts & 1) == 0)
			message.trace_header = NULL;
		if ((parts & 2) == 0)
			message.group_id = NULL;
		if ((parts & 4) == 0)
			message.deduplication_id = NULL;
		if ((parts & 8) == 0)
			message.attributes_bytes = 0;
		if ((parts & 16) == 0)
			message.body_bytes = 0;
		assert_int_equal(write(&message), 0);
		assert_true(store_content_read(content.data, content.len, &read));
		assert_memory_equal(read.message_id, message.message_id, 16);
		assert_memory_equal(read.md5, message.md5, 16);
		assert_text(read.trace_header, message.trace_header);
		assert_text(read.group_id, message.group_id);
		assert_text(read.deduplication_id, message.deduplication_id);
		assert_int_equal(read.attributes_bytes, message.attributes_bytes);
		if (message.attributes_bytes > 0)
			assert_memory_equal(read.attributes, message.attributes, 3);
		else
			assert_null(read.attributes);
		assert_int_equal(read.body_bytes, message.body_bytes);
		assert_memory_equal(read.body, message.body, message.body_bytes);
		assert_int_equal(read.id, 7);
	}
}

static void long_texts(void **state)
{
	struct store_message message = sample();
	char *text = malloc(70000);

	assert_non_null(text);
	memset(text, 'x', 70000);
	text[65534] = '\0';
	message.trace_header = text;
	assert_int_equal(write(&message), 0);
	text[65534] = 'x';
	text[65535] = '\0';
	assert_int_equal(write(&message), ERR_TOO_LARGE);
	free(text);
}

/* A damaged row is told from a good one, and nothing behind it is read (the sanitizer watches). */
static void every_prefix_and_every_byte(void **state)
{
	struct store_message message = sample(), read;
	size_t parts = content.len;

	message.body_bytes = 0;
	assert_int_equal(write(&message), 0);
	parts = content.len;
	for (size_t len = 0; len < parts; len++) {
		char *copy = malloc(len + (len == 0));

		assert_non_null(copy);
		memcpy(copy, content.data, len);
		assert_false(store_content_read(copy, len, &read));
		free(copy);
	}
	for (size_t at = 0; at < parts; at++) {
		char *copy = malloc(parts);

		assert_non_null(copy);
		memcpy(copy, content.data, parts);
		copy[at] = (char)(copy[at] ^ 0x55);
		if (store_content_read(copy, parts, &read))
			assert_true(at > 0);
		free(copy);
	}
	assert_false(store_content_read(NULL, 0, &read));
}

/* The number of the first row's first column, as an 8-byte prefix of hex: enough to compare. */
static void in_sql(void **state)
{
	struct store_message message = sample(), read;
	sqlite3_stmt *row;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(store_content_register(db), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(db,
			"SELECT content_with_id(content(x'000102030405060708090a0b0c0d0e0f',"
			"x'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff','Root=1',NULL,NULL,'body'),"
			"x'ffffffffffffffffffffffffffffffff')",
			-1, &row, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(row), SQLITE_ROW);
	assert_true(store_content_read(
		sqlite3_column_blob(row, 0), (size_t)sqlite3_column_bytes(row, 0), &read));
	memset(message.message_id, 0xff, 16);
	assert_memory_equal(read.message_id, message.message_id, 16);
	assert_memory_equal(read.md5, message.md5, 16);
	assert_string_equal(read.trace_header, "Root=1");
	assert_null(read.group_id);
	assert_null(read.attributes);
	assert_int_equal(read.body_bytes, 4);
	assert_memory_equal(read.body, "body", 4);
	sqlite3_finalize(row);
	assert_int_equal(sqlite3_exec(db, "SELECT content_with_id(x'01',x'02')", NULL, NULL, NULL),
		SQLITE_ERROR);
	sqlite3_close(db);
}

static int end(void **state)
{
	buf_free(&content);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_bytes),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(long_texts),
		cmocka_unit_test(every_prefix_and_every_byte),
		cmocka_unit_test(in_sql),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
