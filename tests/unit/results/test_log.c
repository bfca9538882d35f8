/* The log: what is written and when, takeover, rotation, a disk that takes no more. */
#include "results/log.h"

#include "base/manual_clock.h"
#include "bunshin/error.h"
#include "directory.h"
#include "results/log_files.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	char path[DIRECTORY_PATH_SIZE];
	struct manual_clock clock;
	struct metrics *metrics;
	struct results_log_options options;
	struct buf text;
	unsigned troubles;
	int error;
};

static void trouble(void *arg, const char *what, int error)
{
	struct world *world = arg;

	assert_non_null(what);
	assert_true(error > 0);
	world->troubles++;
	world->error = error;
}

static int set_up(void **state)
{
	static struct world world;

	world = (struct world){.text = BUF_INIT((size_t)64 << 20)};
	directory_make(world.path);
	manual_clock_init(&world.clock, 1, 1700000000000);
	world.metrics = metrics_new();
	world.options = (struct results_log_options){.clock = manual_clock_table(&world.clock),
		.directory = world.path,
		.file_bytes = (uint64_t)1 << 20,
		.keep_bytes = (uint64_t)1 << 30,
		.metrics = world.metrics,
		.trouble = trouble,
		.arg = &world};
	*state = &world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	buf_free(&world->text);
	metrics_free(world->metrics);
	manual_clock_free(&world->clock);
	directory_remove(world->path);
	return 0;
}

static struct results_log *open_log(struct world *world)
{
	struct results_log *log = NULL;

	assert_int_equal(results_log_new(&world->options, &log), 0);
	return log;
}

static void append(struct results_log *log, unsigned key)
{
	char text[16];
	struct result_record record = {.outcome = RESULT_ACCEPTED,
		.key = text,
		.campaign = "",
		.destination = "",
		.message_id = "",
		.reason = "",
		.request_id = ""};

	snprintf(text, sizeof(text), "k%u", key);
	results_log_append(log, &record);
}

static uint64_t counted(struct world *world, const char *name)
{
	return metrics_counter(world->metrics, name, "", "")->value;
}

#define WRITTEN "bunshin_outcomes_written_total"
#define LOST "bunshin_outcomes_lost_total"

static const char *content(struct world *world, const char *name)
{
	if (!directory_read(world->path, name, &world->text))
		fail_msg("there is no %s", name);
	return buf_string(&world->text);
}

#define LINE(key) "{\"v\":1,\"outcome\":\"accepted\",\"key\":\"" key "\"}\n"

static void lines_are_there_once_flushed(void **state)
{
	struct world *world = *state;
	struct results_log *log = open_log(world);
	struct stat status;
	char path[256];

	append(log, 1);
	append(log, 2);
	assert_string_equal(content(world, "outcomes-0.jsonl"), "");
	assert_int_equal(results_log_waiting(log), 2 * strlen(LINE("k1")));
	results_log_flush(log);
	assert_string_equal(content(world, "outcomes-0.jsonl"), LINE("k1") LINE("k2"));
	assert_int_equal(results_log_waiting(log), 0);
	assert_int_equal(results_log_end(log), 2 * strlen(LINE("k1")));
	results_log_flush(log);
	append(log, 3);
	results_log_append_status(log, &(struct result_status){.worker = "h:1", .control = ""});
	results_log_free(log);
	assert_string_equal(content(world, "outcomes-0.jsonl"),
		LINE("k1") LINE("k2") LINE("k3") "{\"v\":1,\"worker\":\"h:1\",\"limit\":\"none\"}"
						 "\n");
	assert_int_equal(counted(world, WRITTEN), 4);
	assert_int_equal(counted(world, LOST), 0);
	assert_int_equal(world->troubles, 0);
	snprintf(path, sizeof(path), "%s/outcomes-0.jsonl", world->path);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777 & ~0640u, 0);
}

static void each_takes_the_lowest_free_number(void **state)
{
	struct world *world = *state;
	struct results_log *logs[4];

	for (unsigned i = 0; i < 4; i++) {
		logs[i] = open_log(world);
		assert_int_equal(results_log_number(logs[i])->number, i);
	}
	results_log_free(logs[1]);
	results_log_free(logs[2]);
	logs[2] = open_log(world);
	assert_int_equal(results_log_number(logs[2])->number, 1);
	logs[1] = open_log(world);
	assert_int_equal(results_log_number(logs[1])->number, 2);
	for (unsigned i = 0; i < 4; i++)
		results_log_free(logs[i]);
}

static void the_next_one_goes_on_with_the_file(void **state)
{
	struct world *world = *state;
	struct results_log *log = open_log(world);

	append(log, 1);
	results_log_free(log);
	log = open_log(world);
	append(log, 2);
	results_log_free(log);
	assert_string_equal(content(world, "outcomes-0.jsonl"), LINE("k1") LINE("k2"));
}

/* At every byte at which a kill may have cut the last line. */
static void a_torn_line_is_ended(void **state)
{
	struct world *world = *state;
	const char *before = LINE("k1") LINE("k2");
	size_t whole = strlen(LINE("k1")), len = strlen(before);

	for (size_t cut = whole; cut <= len; cut++) {
		char wanted[512];
		struct results_log *log;

		directory_write(world->path, "outcomes-0.jsonl", before, cut);
		log = open_log(world);
		append(log, 3);
		results_log_free(log);
		snprintf(wanted, sizeof(wanted), "%.*s%s%s", (int)cut, before,
			cut == whole || cut == len ? "" : "\n", LINE("k3"));
		assert_string_equal(content(world, "outcomes-0.jsonl"), wanted);
	}
}

/* Writes until it is killed; of every seven lines that wait, one flush. */
_Noreturn static void write_for_ever(struct world *world, unsigned life)
{
	struct results_log *log = NULL;

	if (results_log_new(&world->options, &log))
		_exit(1);
	for (unsigned i = 0;; i++) {
		append(log, life * 1000000 + i);
		if (i % 7 == 0)
			results_log_flush(log);
	}
}

/* How many lines of a file are none; all of it ends in a line feed. */
static void count_lines(struct world *world, const char *text, unsigned *whole, unsigned *torn)
{
	struct json json = {0};
	struct result_record record;
	struct result_status status;
	enum result_line kind;

	for (const char *line = text, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		assert_non_null(end);
		if (result_line_read(&json, line, (size_t)(end - line), &kind, &record, &status) ==
			0)
			(*whole)++;
		else
			(*torn)++;
	}
	json_free(&json);
}

/* Killed for real, again and again: at most one line of each life is torn, and it is ended. */
static void a_killed_writer_leaves_whole_lines(void **state)
{
	struct world *world = *state;
	unsigned whole = 0, torn = 0;
	struct results_log *log;

	for (unsigned life = 1; life <= 20; life++) {
		pid_t pid = fork();

		if (pid == 0)
			write_for_ever(world, life);
		assert_true(pid > 0);
		usleep(1000 + life * 500);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	log = open_log(world);
	append(log, 0);
	results_log_free(log);
	count_lines(world, content(world, "outcomes-0.jsonl"), &whole, &torn);
	for (unsigned sequence = 1; sequence < 10000; sequence++) {
		char name[LOG_NAME_SIZE];

		snprintf(name, sizeof(name), "outcomes-0.jsonl.%u", sequence);
		if (!directory_has(world->path, name))
			break;
		count_lines(world, content(world, name), &whole, &torn);
	}
	assert_true(whole > 20);
	assert_true(torn <= 20);
}

static void files_rotate_at_their_size(void **state)
{
	struct world *world = *state;
	struct results_log *log;

	world->options.file_bytes = 2 * strlen(LINE("k1"));
	log = open_log(world);
	for (unsigned i = 1; i <= 5; i++) {
		append(log, i);
		results_log_flush(log);
	}
	assert_string_equal(content(world, "outcomes-0.jsonl.1"), LINE("k1") LINE("k2"));
	assert_string_equal(content(world, "outcomes-0.jsonl.2"), LINE("k3") LINE("k4"));
	assert_string_equal(content(world, "outcomes-0.jsonl"), LINE("k5"));
	results_log_free(log);
	/* The count goes on. */
	log = open_log(world);
	append(log, 6);
	results_log_flush(log);
	append(log, 7);
	results_log_free(log);
	assert_string_equal(content(world, "outcomes-0.jsonl.3"), LINE("k5") LINE("k6"));
	assert_string_equal(content(world, "outcomes-0.jsonl"), LINE("k7"));
}

static void the_oldest_files_go(void **state)
{
	struct world *world = *state;
	struct results_log *log;

	world->options.file_bytes = strlen(LINE("k1"));
	world->options.keep_bytes = 3 * strlen(LINE("k1"));
	log = open_log(world);
	for (unsigned i = 1; i <= 9; i++) {
		append(log, i);
		results_log_flush(log);
	}
	results_log_free(log);
	assert_int_equal(directory_count(world->path, "outcomes-0.jsonl."), 3);
	assert_string_equal(content(world, "outcomes-0.jsonl.8"), LINE("k8"));
	assert_string_equal(content(world, "outcomes-0.jsonl.6"), LINE("k6"));
	assert_string_equal(content(world, "outcomes-0.jsonl"), LINE("k9"));
}

/* Of another number too; and what has not been sent goes last. */
static void what_was_sent_goes_first(void **state)
{
	struct world *world = *state;
	struct results_log *a, *b;
	size_t line = strlen(LINE("k1"));

	world->options.file_bytes = line;
	world->options.keep_bytes = 4 * line;
	world->options.shipped = true;
	a = open_log(world);
	b = open_log(world);
	for (unsigned i = 1; i <= 3; i++) { /* 1 and 2 are former files */
		append(a, i);
		results_log_flush(a);
	}
	/* b has sent what it has, a has not. */
	for (unsigned i = 4; i <= 6; i++) {
		append(b, i);
		results_log_flush(b);
		assert_int_equal(log_files_set_sent(
					 results_log_number(b), (struct log_position){i - 3, line}),
			0);
	}
	append(b, 7);
	results_log_flush(b);
	assert_true(directory_has(world->path, "outcomes-0.jsonl.1"));
	assert_true(directory_has(world->path, "outcomes-0.jsonl.2"));
	assert_false(directory_has(world->path, "outcomes-1.jsonl.1"));
	assert_true(directory_has(world->path, "outcomes-1.jsonl.2"));
	assert_int_equal(counted(world, "bunshin_outcomes_unsent_deleted_bytes_total"), 0);
	/* Nothing else is left to go. */
	for (unsigned i = 8; i <= 13; i++) {
		append(a, i);
		results_log_flush(a);
	}
	assert_false(directory_has(world->path, "outcomes-1.jsonl.2"));
	assert_false(directory_has(world->path, "outcomes-0.jsonl.1"));
	assert_true(counted(world, "bunshin_outcomes_unsent_deleted_bytes_total") >= line);
	results_log_free(a);
	results_log_free(b);
}

/* The limit on file sizes is an error like a full disk. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Full at every byte of the first ten lines, then not any more: nothing is torn, nothing lost. */
static void a_full_disk(void **state)
{
	struct world *world = *state;
	size_t line = strlen(LINE("k1"));

	signal(SIGXFSZ, SIG_IGN);
	for (size_t full = 0; full < 10 * line; full++) {
		struct results_log *log = open_log(world);
		unsigned before = world->troubles;

		limit_files(full);
		for (unsigned i = 0; i < 10; i++) {
			append(log, i);
			results_log_flush(log);
		}
		assert_true(world->troubles > before);
		assert_int_equal(world->error, EFBIG);
		assert_int_equal(results_log_end(log), full);
		limit_files(RLIM_INFINITY);
		results_log_flush(log);
		results_log_free(log);
		assert_string_equal(content(world, "outcomes-0.jsonl"),
			LINE("k0") LINE("k1") LINE("k2") LINE("k3") LINE("k4") LINE("k5") LINE("k6")
				LINE("k7") LINE("k8") LINE("k9"));
		directory_delete(world->path, "outcomes-0.jsonl");
	}
	assert_int_equal(counted(world, WRITTEN), 10 * 10 * line);
	assert_int_equal(counted(world, LOST), 0);
}

/* It stays full: what waits is bounded, the rest is counted, and no line is counted twice. */
static void a_disk_that_stays_full(void **state)
{
	struct world *world = *state;
	struct results_log *log = open_log(world);
	const unsigned all = 60000; /* 2.5 MB */
	uint64_t written;
	size_t lines = 0;

	limit_files(100000);
	for (unsigned i = 0; i < all; i++) {
		append(log, i);
		if (i % 10 == 9)
			results_log_flush(log);
		assert_true(results_log_waiting(log) <= LOG_WAITING_MAX);
	}
	assert_int_equal(results_log_end(log), 100000);
	results_log_free(log);
	limit_files(RLIM_INFINITY);
	content(world, "outcomes-0.jsonl");
	for (const char *p = buf_string(&world->text); (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	written = counted(world, WRITTEN);
	assert_int_equal(written, lines);
	assert_int_equal(written + counted(world, LOST), all);
}

static void a_directory_that_is_not_there_yet(void **state)
{
	struct world *world = *state;
	struct results_log *log;
	char path[256];

	/* Made, when only it is missing. */
	snprintf(path, sizeof(path), "%s/outcomes-made", world->path);
	world->options.directory = path;
	log = open_log(world);
	append(log, 1);
	results_log_free(log);
	assert_int_equal(world->troubles, 0);
	assert_string_equal(content(world, "outcomes-made/outcomes-0.jsonl"), LINE("k1"));
	directory_remove(path);

	/* Else it is waited for; a try a second. */
	snprintf(path, sizeof(path), "%s/a/b", world->path);
	log = open_log(world);
	assert_null(results_log_number(log));
	assert_int_equal(world->troubles, 1);
	assert_int_equal(world->error, ENOENT);
	append(log, 1);
	results_log_flush(log);
	results_log_flush(log);
	assert_int_equal(world->troubles, 1);
	manual_clock_advance(&world->clock, 1000000);
	results_log_flush(log);
	assert_int_equal(world->troubles, 2);
	snprintf(path, sizeof(path), "%s/a", world->path);
	assert_int_equal(mkdir(path, 0700), 0);
	manual_clock_advance(&world->clock, 1000000);
	results_log_flush(log);
	assert_int_equal(world->troubles, 2);
	assert_string_equal(content(world, "a/b/outcomes-0.jsonl"), LINE("k1"));
	results_log_free(log);
	snprintf(path, sizeof(path), "%s/a/b", world->path);
	directory_remove(path);
	snprintf(path, sizeof(path), "%s/a", world->path);
	rmdir(path);
}

static void what_is_no_directory(void **state)
{
	struct world *world = *state;
	struct results_log *log;
	char path[256];

	directory_write(world->path, "outcomes-file", "x", 1);
	snprintf(path, sizeof(path), "%s/outcomes-file", world->path);
	world->options.directory = path;
	log = open_log(world);
	append(log, 1);
	results_log_free(log);
	assert_int_equal(world->error, ENOTDIR);
	assert_int_equal(counted(world, LOST), 1);
	assert_int_equal(counted(world, WRITTEN), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines_are_there_once_flushed),
		TEST(each_takes_the_lowest_free_number),
		TEST(the_next_one_goes_on_with_the_file),
		TEST(a_torn_line_is_ended),
		TEST(a_killed_writer_leaves_whole_lines),
		TEST(files_rotate_at_their_size),
		TEST(the_oldest_files_go),
		TEST(what_was_sent_goes_first),
		TEST(a_full_disk),
		TEST(a_disk_that_stays_full),
		TEST(a_directory_that_is_not_there_yet),
		TEST(what_is_no_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
