/* Lines packed into entries: how many, how large, and what is left out. */
#include "results/log_batch.h"

#include "bunshin/error.h"
#include "directory.h"
#include "results/log.h"
#include "results/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct log_batch batch;

static int set_up(void **state)
{
	batch = (struct log_batch){.bytes = malloc(LOG_BATCH_BYTES)};
	return batch.bytes ? 0 : -1;
}

static int tear_down(void **state)
{
	free(batch.bytes);
	return 0;
}

static size_t pack(const char *text, bool ended)
{
	memcpy(batch.bytes, text, strlen(text));
	return log_batch_pack(&batch, strlen(text), ended);
}

static void expect_entry(size_t i, const char *text)
{
	assert_true(i < batch.count);
	assert_int_equal(batch.entries[i].len, strlen(text));
	assert_memory_equal(batch.bytes + batch.entries[i].at, text, strlen(text));
}

#define A "{\"v\":1,\"outcome\":\"accepted\",\"key\":\"a\"}\n"
#define B "{\"v\":1,\"outcome\":\"expired\",\"key\":\"b\"}\n"
#define STATUS "{\"v\":1,\"worker\":\"h:1\",\"limit\":\"none\"}\n"

static void lines_make_one_entry(void **state)
{
	assert_int_equal(pack(A B STATUS, false), strlen(A B STATUS));
	assert_int_equal(batch.count, 1);
	expect_entry(0, A B STATUS);
	assert_int_equal(batch.records, 2);
	assert_int_equal(batch.broken, 0);
	assert_false(batch.full);
	assert_int_equal(pack("", false), 0);
	assert_int_equal(batch.count, 0);
	assert_int_equal(batch.records, 0);
}

static void an_unfinished_line_waits_unless_nothing_follows(void **state)
{
	assert_int_equal(pack(A "{\"v\":1,\"out", false), strlen(A));
	expect_entry(0, A);
	assert_int_equal(batch.broken, 0);
	assert_int_equal(pack(A "{\"v\":1,\"out", true), strlen(A) + 11);
	expect_entry(0, A);
	assert_int_equal(batch.broken, 1);
}

static void what_is_no_line_is_left_out(void **state)
{
	static const char *const broken[] = {
		"\n",
		"{}\n",
		"{\"v\":1}\n",
		"{\"v\":1,\n",
		"{\"v\":2,\"outcome\":\"accepted\",\"key\":\"a\"}\n",
		"{\"v\":1,\"outcome\":\"accep\n",
		"{\"v\":1,\"outcome\":\"accepted\",\"key\":\"a\x01\"}\n",
		"{\"v\":1,\"outcome\":\"accepted\",\"key\":\"a\x7f\"}\n",
		"{\"v\":1,\"outcome\":\"accepted\",\"key\":\"a\xff\"}\n",
		"{\"v\":1,\"outcome\":\"accepted\",\"key\":\"a\xef\xbf\xbe\"}\n",
		"\xe5\x88\x86\n",
	};

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		char text[512];

		batch.broken = 0;
		snprintf(text, sizeof(text), "%s%s%s", A, broken[i], B);
		assert_int_equal(pack(text, false), strlen(text));
		assert_int_equal(batch.count, 1);
		expect_entry(0, A B);
		if (batch.broken != 1)
			fail_msg("taken for a line: %s", broken[i]);
	}
}

static void damage_of_any_length_is_left_out(void **state)
{
	/* Zeros, as a machine that dies may leave them. */
	memset(batch.bytes, 0, 100000);
	memcpy(batch.bytes + 100000, "\n" A, strlen("\n" A));
	assert_int_equal(log_batch_pack(&batch, 100000, false), 100000);
	assert_int_equal(batch.count, 0);
	memset(batch.bytes, 0, 100000);
	memcpy(batch.bytes + 100000, "\n" A, strlen("\n" A));
	assert_int_equal(log_batch_pack(&batch, 100001 + strlen(A), false), 100001 + strlen(A));
	expect_entry(0, A);
}

/* Ten entries of sixty KiB at most, each of whole lines. */
static void a_full_batch(void **state)
{
	const size_t line = strlen(A), a_piece = LOG_ENTRY_BYTES / line * line;
	size_t len = LOG_BATCH_BYTES / line * line, done;

	for (size_t at = 0; at < len; at += line)
		memcpy(batch.bytes + at, A, line);
	done = log_batch_pack(&batch, len, false);
	assert_int_equal(batch.count, QUEUE_BATCH_MAX);
	for (size_t i = 0; i < batch.count; i++) {
		assert_int_equal(batch.entries[i].len, a_piece);
		assert_int_equal(batch.entries[i].at, i * a_piece);
	}
	assert_int_equal(done, QUEUE_BATCH_MAX * a_piece);
	assert_int_equal(batch.records, done / line);
	assert_true(batch.full);
}

/* ---- reading */

struct reading {
	char path[DIRECTORY_PATH_SIZE];
	int directory;
	struct log_number number;
	struct log_reader reader;
	struct log_position end;
};

static void begin_reading(struct reading *reading)
{
	directory_make(reading->path);
	reading->directory = log_files_open(reading->path);
	assert_true(reading->directory >= 0);
}

static void take(struct reading *reading)
{
	assert_int_equal(log_files_take(reading->directory, &reading->number), 0);
	log_reader_open(&reading->reader, &reading->number);
}

static void end_reading(struct reading *reading)
{
	log_reader_close(&reading->reader);
	log_files_release(&reading->number);
	close(reading->directory);
	directory_remove(reading->path);
}

static void fill(struct reading *reading, bool written)
{
	assert_int_equal(log_reader_fill(&reading->reader, &batch, written, &reading->end), 0);
}

static void put(struct reading *reading, const char *name, const char *text)
{
	directory_write(reading->path, name, text, strlen(text));
}

static void files_are_read_in_their_order(void **state)
{
	struct reading reading;

	begin_reading(&reading);
	put(&reading, "outcomes-0.jsonl.3", A);
	put(&reading, "outcomes-0.jsonl.10", B); /* those between are gone */
	put(&reading, "outcomes-0.jsonl", A "{\"v\":1,\"torn");
	put(&reading, "outcomes-1.jsonl.4", STATUS); /* another's */
	take(&reading);
	assert_int_equal(reading.number.sequence, 11);
	assert_int_equal(log_files_unsent(&reading.number), 3 * strlen(A) - 1 + 12);
	fill(&reading, false);
	expect_entry(0, A);
	assert_int_equal(reading.end.sequence, 3);
	/* Not confirmed: the same again. */
	fill(&reading, false);
	expect_entry(0, A);
	reading.reader.at = reading.end;
	fill(&reading, false);
	expect_entry(0, B);
	assert_int_equal(reading.end.sequence, 10);
	reading.reader.at = reading.end;
	fill(&reading, false);
	expect_entry(0, A);
	assert_int_equal(reading.end.sequence, 11);
	assert_int_equal(reading.end.offset, strlen(A));
	reading.reader.at = reading.end;
	fill(&reading, false);
	assert_int_equal(batch.count, 0);
	assert_int_equal(reading.end.offset, strlen(A));
	/* Nobody will go on with it: what is torn is done with. */
	fill(&reading, true);
	assert_int_equal(batch.count, 0);
	assert_int_equal(reading.end.offset, strlen(A) + 12);
	end_reading(&reading);
}

static void it_follows_a_rotation(void **state)
{
	struct reading reading;

	begin_reading(&reading);
	put(&reading, "outcomes-0.jsonl", A);
	take(&reading);
	fill(&reading, false);
	reading.reader.at = reading.end;
	assert_int_equal(log_files_rotate(&reading.number), 0);
	put(&reading, "outcomes-0.jsonl", B);
	fill(&reading, false);
	expect_entry(0, B);
	assert_int_equal(reading.end.sequence, 2);
	/* Two of them while nothing was read, of which one is deleted meanwhile. */
	reading.reader.at = reading.end;
	assert_int_equal(log_files_rotate(&reading.number), 0);
	put(&reading, "outcomes-0.jsonl", B);
	assert_int_equal(log_files_rotate(&reading.number), 0);
	put(&reading, "outcomes-0.jsonl", A STATUS);
	directory_delete(reading.path, "outcomes-0.jsonl.3");
	fill(&reading, false);
	expect_entry(0, A STATUS);
	assert_int_equal(reading.end.sequence, 4);
	end_reading(&reading);
}

static void a_file_that_is_not_there(void **state)
{
	struct reading reading;

	begin_reading(&reading);
	take(&reading);
	fill(&reading, false);
	assert_int_equal(batch.count, 0);
	/* One that is shorter than what was read of it is another one. */
	put(&reading, "outcomes-0.jsonl", A);
	reading.reader.at = (struct log_position){1, 5000};
	fill(&reading, false);
	expect_entry(0, A);
	assert_int_equal(reading.end.offset, strlen(A));
	end_reading(&reading);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines_make_one_entry),
		TEST(an_unfinished_line_waits_unless_nothing_follows),
		TEST(what_is_no_line_is_left_out),
		TEST(damage_of_any_length_is_left_out),
		TEST(a_full_batch),
		TEST(files_are_read_in_their_order),
		TEST(it_follows_a_rotation),
		TEST(a_file_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
