/* Outcome logs into the results database: each line once, wherever it was rotated to. */
#include "bunshin/error.h"
#include "campaign/results_logs.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], path[128];
static struct results_db *db;
static struct results_logs *logs;
static struct buf words = BUF_INIT(4096);

static void run(const char *command)
{
	char line[256];

	snprintf(line, sizeof(line), "cd %s && %s", dir, command);
	assert_int_equal(system(line), 0);
}

static void open_all(void)
{
	buf_clear(&words);
	assert_int_equal(results_db_open(path, false, &db, &words), 0);
	assert_int_equal(results_logs_new(dir, db, &logs), 0);
}

static void close_all(void)
{
	results_logs_free(logs);
	results_db_close(db);
	logs = NULL;
	db = NULL;
}

static int enter(void **state)
{
	strcpy(dir, "/tmp/bunshin-logs-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/results.db", dir);
	open_all();
	return 0;
}

static int leave(void **state)
{
	close_all();
	buf_free(&words);
	run("chmod -R u+rwX . && rm -rf ./*");
	return rmdir(dir);
}

static void append(const char *name, const char *text)
{
	char file[128];
	FILE *stream;

	snprintf(file, sizeof(file), "%s/%s", dir, name);
	stream = fopen(file, "a");
	assert_non_null(stream);
	assert_true(fputs(text, stream) >= 0);
	assert_int_equal(fclose(stream), 0);
}

static const char *line_of(int n)
{
	static char line[256];

	snprintf(line, sizeof(line),
		"{\"v\":1,\"outcome\":\"accepted\",\"key\":\"k%d\",\"campaign\":\"c\",\"last\":%d}"
		"\n",
		n, 1000 + n);
	return line;
}

static void read_all(void)
{
	bool more = true;

	buf_clear(&words);
	while (more)
		if (results_logs_read(logs, &more, &words) != 0)
			fail_msg("%s", buf_string(&words));
}

static unsigned accepted(void)
{
	struct results_tally tally;

	assert_int_equal(results_db_tally(db, "c", &tally), 0);
	return (unsigned)tally.by_outcome[RESULT_ACCEPTED];
}

static void lines_are_read_as_they_come(void **state)
{
	read_all();
	assert_int_equal(accepted(), 0);
	append("outcomes-0.jsonl", line_of(1));
	read_all();
	assert_int_equal(accepted(), 1);
	append("outcomes-0.jsonl", "{\"v\":1,\"outcome\":\"accepted\",\"key\":\"k2\",");
	append("outcomes-12.jsonl", line_of(3));
	read_all();
	assert_int_equal(accepted(), 2);
	append("outcomes-0.jsonl", "\"campaign\":\"c\"}\n"); /* the rest of it */
	read_all();
	assert_int_equal(accepted(), 3);
	assert_int_equal(results_logs_broken(logs), 0);
	append("outcomes-0.jsonl", "nonsense\n\n{}\n");
	read_all();
	assert_int_equal(results_logs_broken(logs), 2);
	assert_false(results_db_is_dirty(db));
}

static void a_rotated_file_is_the_same_file(void **state)
{
	append("outcomes-0.jsonl", line_of(1));
	read_all();
	append("outcomes-0.jsonl", line_of(2));
	run("mv outcomes-0.jsonl outcomes-0.jsonl.1");
	append("outcomes-0.jsonl", line_of(3));
	read_all();
	assert_int_equal(accepted(), 3);
	append("outcomes-0.jsonl.1", "nonsense\n");
	read_all();
	assert_int_equal(results_logs_broken(logs), 1); /* read once, from where it was */
	run("rm outcomes-0.jsonl.1");
	read_all();
	assert_int_equal(accepted(), 3);
}

static void another_reader_goes_on_where_this_one_was(void **state)
{
	append("outcomes-0.jsonl", "nonsense\n");
	append("outcomes-0.jsonl", line_of(1));
	read_all();
	assert_int_equal(results_logs_broken(logs), 1);
	close_all();
	open_all();
	append("outcomes-0.jsonl", line_of(2));
	read_all();
	assert_int_equal(results_logs_broken(logs), 0); /* not read again */
	assert_int_equal(accepted(), 2);
}

/* A number of a file that is gone is given to the next one. */
static void a_file_of_an_old_inode_is_read_from_its_start(void **state)
{
	char file[128];
	int fd;

	append("outcomes-0.jsonl", line_of(1));
	append("outcomes-0.jsonl", line_of(2));
	read_all();
	snprintf(file, sizeof(file), "%s/outcomes-0.jsonl", dir);
	fd = open(file, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	close(fd);
	append("outcomes-0.jsonl", line_of(3)); /* shorter than it was */
	read_all();
	assert_int_equal(accepted(), 3);
	fd = open(file, O_WRONLY | O_TRUNC);
	close(fd);
	for (int i = 4; i < 9; i++) /* longer */
		append("outcomes-0.jsonl", line_of(i));
	read_all();
	assert_int_equal(accepted(), 8);
}

static void other_files_are_left_alone(void **state)
{
	append("outcomes-x.jsonl", line_of(1));
	append("outcomes-1.jsonl.gz", line_of(2));
	append("outcomes-1.jsonl.1x", line_of(3));
	append("outcomes-1.jsonl.", line_of(4));
	append("outcomes-.jsonl", line_of(5));
	append("outcomes-1.position", line_of(6));
	run("mkdir outcomes-2.jsonl && mkfifo outcomes-3.jsonl && ln -s /nowhere outcomes-4.jsonl");
	read_all();
	assert_int_equal(accepted(), 0);
	append("outcomes-7.jsonl.12", line_of(7));
	read_all();
	assert_int_equal(accepted(), 1);
}

static void a_file_that_cannot_be_read_holds_up_no_other(void **state)
{
	bool more;
	int err;

	append("outcomes-1.jsonl", line_of(1));
	append("outcomes-2.jsonl", line_of(2));
	append("outcomes-3.jsonl", line_of(3));
	run("mv outcomes-2.jsonl keep && ln -s outcomes-2.jsonl outcomes-2.jsonl"); /* ELOOP */
	buf_clear(&words);
	err = results_logs_read(logs, &more, &words);
	assert_int_equal(err, ERR_IO);
	assert_non_null(strstr(buf_string(&words), "outcomes-2.jsonl: "));
	assert_int_equal(accepted(), 2);
	run("rm outcomes-2.jsonl && mv keep outcomes-2.jsonl");
	read_all();
	assert_int_equal(accepted(), 3);
	close_all();
	assert_int_equal(results_db_open(path, false, &db, &words), 0);
	assert_int_equal(results_logs_new("/nowhere/at/all", db, &logs), 0);
	buf_clear(&words);
	assert_int_equal(results_logs_read(logs, &more, &words), ERR_IO);
	assert_string_equal(buf_string(&words),
		"cannot read the directory /nowhere/at/all: No such file or directory");
}

static void long_files_take_several_turns(void **state)
{
	char file[128];
	FILE *stream;
	bool more = true;
	unsigned turns = 0;

	snprintf(file, sizeof(file), "%s/outcomes-0.jsonl", dir);
	stream = fopen(file, "w");
	assert_non_null(stream);
	for (int i = 0; i < 300000; i++) /* no line feed for longer than a piece */
		fputc('x', stream);
	fputc('\n', stream);
	for (int i = 0; i < 2000; i++) {
		fputs(line_of(i), stream);
		for (int n = 0; n < 8000; n++)
			fputc(' ', stream);
		fputc('\n', stream);
	}
	assert_int_equal(fclose(stream), 0);
	for (; more; turns++)
		assert_int_equal(results_logs_read(logs, &more, &words), 0);
	assert_in_range(turns, 2, 4);
	assert_int_equal(accepted(), 2000);
	assert_int_equal(results_logs_broken(logs), 2); /* what was longer than a piece, its rest */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
	const struct CMUnitTest tests[] = {
		TEST(lines_are_read_as_they_come),
		TEST(a_rotated_file_is_the_same_file),
		TEST(another_reader_goes_on_where_this_one_was),
		TEST(a_file_of_an_old_inode_is_read_from_its_start),
		TEST(other_files_are_left_alone),
		TEST(a_file_that_cannot_be_read_holds_up_no_other),
		TEST(long_files_take_several_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
