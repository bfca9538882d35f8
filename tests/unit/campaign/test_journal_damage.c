/*
 * A journal that is cut off, or has bytes changed: it is refused with a sentence, or says what it
 * said before. It never says that a row is in the queue that is not.
 */
#include "bunshin/error.h"
#include "journal_world.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PATH journal_world_path
#define ROWS JOURNAL_WORLD_ROWS

struct bytes {
	unsigned char *data;
	size_t len;
};

static void name_of(const char *ending, char name[160])
{
	snprintf(name, 160, "%s%s", PATH, ending);
}

static struct bytes read_bytes(const char *ending)
{
	struct bytes bytes = {malloc(1 << 20), 0};
	char name[160];
	FILE *file;

	name_of(ending, name);
	file = fopen(name, "rb");
	assert_non_null(file);
	bytes.len = fread(bytes.data, 1, 1 << 20, file);
	assert_true(bytes.len > 0 && bytes.len < 1 << 20);
	fclose(file);
	return bytes;
}

static void write_bytes(const char *ending, const struct bytes *bytes, size_t len)
{
	char name[160];
	int fd;

	name_of(ending, name);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes->data, len), len);
	close(fd);
}

static bool is_sent(uint64_t row)
{
	return row % 100 != 1;
}

static void fill(struct journal *journal)
{
	struct buf error = BUF_INIT(1000);

	for (uint64_t row = 1; row <= ROWS; row++) {
		if (is_sent(row))
			assert_int_equal(journal_confirm(journal, row), 0);
		else
			assert_int_equal(journal_reject(journal, row, row + 1,
						 row % JOURNAL_REJECTS, "not this one"),
				0);
		if (row % 2500 == 0)
			assert_int_equal(journal_commit(journal, &error), 0);
	}
}

/* Is what it says true, and with `whole` all there is? */
static void check_content(struct journal *journal, bool whole)
{
	struct journal_progress progress;
	enum journal_reject reject;
	const char *reason;

	journal_world_assert_campaign(journal_campaign(journal));
	assert_int_equal(journal_progress(journal, &progress), 0);
	assert_int_equal(progress.begun_epoch_ms, JOURNAL_WORLD_BEGUN);
	if (whole)
		assert_int_equal(progress.confirmed, ROWS - ROWS / 100);
	for (uint64_t row = 1; row <= ROWS; row++) {
		if (journal_is_confirmed(journal, row))
			assert_true(is_sent(row));
		if (is_sent(row))
			continue;
		if (!journal_find_reject(journal, row, &reject, &reason))
			assert_false(whole);
		else
			assert_true(reject == row % JOURNAL_REJECTS &&
				    strcmp(reason, "not this one") == 0);
	}
}

/* True: it was refused. */
static bool try_open(bool to_send, bool whole)
{
	struct buf error = BUF_INIT(2000);
	struct journal *journal = NULL;
	int rc = journal_open(PATH, to_send, &journal, &error);

	if (rc == 0) {
		check_content(journal, whole);
		journal_close(journal);
	} else {
		assert_int_equal(rc, ERR_IO);
		assert_null(journal);
		assert_non_null(strstr(buf_string(&error), PATH));
		assert_true(error.len > strlen(PATH) + 20);
	}
	buf_free(&error);
	return rc < 0;
}

static struct bytes make_finished(void)
{
	struct buf error = BUF_INIT(1000);
	struct journal *journal = journal_world_begin();

	fill(journal);
	assert_int_equal(journal_finish(journal, 5, &error), 0);
	journal_close(journal);
	return read_bytes("");
}

/* What a process leaves that dies before the end: the file, and its log with the commits. */
static void make_unfinished(struct bytes *ret_file, struct bytes *ret_log)
{
	struct journal *journal = journal_world_begin();

	fill(journal);
	*ret_file = read_bytes("");
	*ret_log = read_bytes("-wal");
	journal_close(journal);
	journal_world_clean();
}

static void put(const struct bytes *file, const struct bytes *log)
{
	journal_world_clean();
	write_bytes("", file, file->len);
	if (log)
		write_bytes("-wal", log, log->len);
}

static void cut_off(void **state)
{
	struct bytes file = make_finished();
	unsigned refused = 0;

	assert_int_equal(file.len % 4096, 0);
	for (size_t len = 0; len < file.len; len += 512)
		for (int to_send = 0; to_send <= 1; to_send++) {
			put(&file, NULL);
			write_bytes("", &file, len);
			refused += try_open(to_send, true);
		}
	/* The end of the last page alone may be missed by one who only reads. */
	assert_true(refused >= 2 * (file.len / 512 - 8));
	put(&file, NULL);
	assert_false(try_open(true, true));
	free(file.data);
}

static bool is_dull(const struct bytes *bytes, size_t at)
{
	return bytes->data[at] == 0 && at > 0 && bytes->data[at - 1] == 0 && at % 16 != 3;
}

static void flip_each(struct bytes *file, struct bytes *log, struct bytes *flipped, bool whole)
{
	static const unsigned char masks[] = {0xff, 0x01, 0x80};
	unsigned refused = 0, tried = 0;

	for (size_t at = 0; at < flipped->len; at++) {
		unsigned char mask = masks[at % 3];

		if (is_dull(flipped, at))
			continue;
		flipped->data[at] ^= mask;
		put(file, log);
		tried++;
		refused += try_open(at % 5 == 0, whole);
		flipped->data[at] ^= mask;
	}
	print_message("%u bytes changed, %u times refused\n", tried, refused);
	assert_true(refused > 0 && refused < tried);
}

static void bytes_changed(void **state)
{
	struct bytes file = make_finished();

	flip_each(&file, NULL, &file, true);
	put(&file, NULL);
	assert_false(try_open(true, true));
	free(file.data);
}

/* A log ends where its checksums do not fit: what came before holds. */
static void a_log_cut_off(void **state)
{
	struct bytes file, log;

	make_unfinished(&file, &log);
	for (size_t len = 0; len <= log.len; len += 256) {
		put(&file, NULL);
		write_bytes("-wal", &log, len);
		assert_false(try_open(len / 256 % 2, len == log.len));
	}
	free(file.data);
	free(log.data);
}

static void a_log_with_bytes_changed(void **state)
{
	struct bytes file, log;
	size_t whole;

	make_unfinished(&file, &log);
	whole = log.len;
	for (size_t at = 0; at < whole; at += at < 64 ? 1 : 37) {
		log.data[at] ^= 0x10;
		put(&file, &log);
		assert_false(try_open(at % 2, false));
		log.data[at] ^= 0x10;
	}
	free(file.data);
	free(log.data);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, journal_world_enter, journal_world_leave)
	const struct CMUnitTest tests[] = {
		TEST(cut_off),
		TEST(bytes_changed),
		TEST(a_log_cut_off),
		TEST(a_log_with_bytes_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
