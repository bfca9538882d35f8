/*
 * Files that are shared: made whole or not at all, whatever is in their place and whatever the
 * system refuses. test_mapped_file_faults.c has each call that fails, and others at the same time.
 */
#include "base/mapped_file.h"

#include "bunshin/error.h"
#include "failmalloc.h"
#include "mapped_world.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The ordinary ways. */

static void created_whole(void **state)
{
	static const mode_t masks[] = {0, 022, 077, 0777};

	for (int named = 0; named < 2; named++) {
		plan.no_tmpfile = named;
		for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
			mode_t before = umask(masks[i]);

			expect_opened(true, false);
			umask(before);
			check_good(place.path);
			assert_int_equal(count_files(), 1);
			unlink(place.path);
		}
	}
}

static void shared_and_lasting(void **state)
{
	struct mapped_file first, second;
	struct content *content;

	assert_int_equal(open_file(&first), 0);
	assert_true(first.created);
	/* Another size is asked for: what is there stays as it is. */
	assert_int_equal(mapped_file_open(place.path, 99, &kind, NULL, &second, &place.reason), 0);
	assert_false(second.created);
	assert_int_equal(second.bytes, BYTES);
	content = first.memory;
	atomic_store(&content->counter, 42);
	content = second.memory;
	assert_int_equal(atomic_load(&content->counter), 42);
	mapped_file_close(&first);
	mapped_file_close(&first);
	mapped_file_close(&second);
	assert_int_equal(open_file(&first), 0);
	content = first.memory;
	assert_int_equal(atomic_load(&content->counter), 42);
	mapped_file_close(&first);
	assert_int_equal(count_files(), 1);
}

static void relative_paths(void **state)
{
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct mapped_file file;

	assert_true(here >= 0);
	assert_int_equal(chdir(place.directory), 0);
	assert_int_equal(mapped_file_open("file", BYTES, &kind, NULL, &file, &place.reason), 0);
	assert_true(file.created);
	mapped_file_close(&file);
	assert_int_equal(fchdir(here), 0);
	close(here);
	check_good(place.path);
	expect_opened(false, false);
}

static void anonymous(void **state)
{
	struct mapped_file file = {.bytes = 77};
	int err = ERR_STORE;

	assert_int_equal(mapped_file_anonymous(BYTES, &kind, &err, &file), ERR_STORE);
	assert_int_equal(mapped_file_anonymous(SIZE_MAX / 2, &kind, NULL, &file), ERR_NOMEM);
	assert_int_equal(file.bytes, 77);
	assert_int_equal(mapped_file_anonymous(BYTES, &kind, NULL, &file), 0);
	assert_memory_equal(file.memory, "GOOD", 4);
	assert_int_equal(file.bytes, BYTES);
	assert_true(file.created);
	assert_false(file.replaced);
	mapped_file_close(&file);
	assert_null(file.memory);
}

static void codes_of_the_kind_come_through(void **state)
{
	struct mapped_file file;
	int err = ERR_ARGUMENT;
	char sentence[PATH_BYTES * 2];

	assert_int_equal(mapped_file_open(place.path, BYTES, &kind, &err, &file, &place.reason),
		ERR_ARGUMENT);
	snprintf(sentence, sizeof(sentence), "cannot create %s: invalid argument", place.path);
	assert_string_equal(buf_string(&place.reason), sentence);
	assert_int_equal(count_files(), 0);
	expect_opened(true, false);
	assert_int_equal(mapped_file_open(place.path, BYTES, &kind, &err, &file, &place.reason),
		ERR_ARGUMENT);
	check_good(place.path);
	assert_int_equal(count_files(), 1);
}

/* What may be in its place. */

static void bad_files_are_replaced(void **state)
{
	static const char zeros[BYTES];
	static const struct {
		const char *content;
		size_t bytes;
		const char *why;
	} rows[] = {
		{"", 0, "it is empty"},
		{"x", 1, "1 bytes of something else"},
		{"GOO", 3, "3 bytes of something else"},
		{zeros, 4096, "4096 bytes of something else"},
		{zeros, BYTES, "20000 bytes of something else"},
		{"text, which somebody may miss\n", 30, "30 bytes of something else"},
	};

	for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		char sentence[PATH_BYTES * 3];
		ino_t inode;

		plan.no_tmpfile = i % 2;
		write_file(place.path, rows[i / 2].content, rows[i / 2].bytes);
		inode = inode_of(place.path);
		expect_opened(true, true);
		snprintf(sentence, sizeof(sentence), "cannot use %s: %s; it is now %s", place.path,
			rows[i / 2].why, place.bad);
		assert_string_equal(buf_string(&place.reason), sentence);
		/* Over that of the round before. */
		assert_int_equal(inode_of(place.bad), inode);
		expect_content(place.bad, rows[i / 2].content, rows[i / 2].bytes);
		check_good(place.path);
		assert_int_equal(count_files(), 2);
		expect_opened(false, false);
		unlink(place.path);
	}
}

static void a_bad_file_that_cannot_be_moved(void **state)
{
	write_file(place.path, "x", 1);
	assert_int_equal(mkdir(place.bad, 0700), 0);
	fail_to_open_why("replace", "Is a directory");
	expect_content(place.path, "x", 1);
}

static void other_things_are_left_alone(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	assert_int_equal(mkdir(place.path, 0700), 0);
	fail_to_open_why("open", "not a regular file");
	assert_int_equal(rmdir(place.path), 0);

	assert_int_equal(mkfifo(place.path, 0600), 0);
	fail_to_open_why("open", "not a regular file");
	unlink(place.path);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/file", place.directory);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	fail_to_open_why("open", "not a regular file");
	unlink(place.path);

	/* A good file at the other end of a link, a bad one, none. */
	set_path("target");
	expect_opened(true, false);
	set_path("file");
	assert_int_equal(symlink("target", place.path), 0);
	fail_to_open_why("open", "a symbolic link, which is not followed");
	set_path("target");
	write_file(place.path, "x", 1);
	set_path("file");
	fail_to_open_why("open", "a symbolic link, which is not followed");
	set_path("target");
	expect_content(place.path, "x", 1);
	unlink(place.path);
	set_path("file");
	fail_to_open_why("open", "a symbolic link, which is not followed");
	assert_int_equal(count_files(), 1);

	strcpy(place.path, "/dev/null");
	fail_to_open_why("open", "not a regular file");
	strcpy(place.path, "/");
	fail_to_open_why("open", "not a regular file");
	strcpy(place.path, "");
	fail_to_open_why("create", "No such file or directory");
}

static void missing_directories(void **state)
{
	char sentence[PATH_BYTES * 3];

	set_path("no/file");
	snprintf(sentence, sizeof(sentence), "cannot create %s: %s/no: No such file or directory",
		place.path, place.directory);
	fail_to_open(sentence);
	set_path("file");
	write_file(place.path, "x", 1);
	set_path("file/file");
	fail_to_open_why("open", "Not a directory");
}

static void holes_are_filled(void **state)
{
	struct stat status;

	write_file(place.path, "GOOD", 4);
	assert_int_equal(truncate(place.path, BYTES - 1), 0);
	assert_int_equal(stat(place.path, &status), 0);
	assert_true(status.st_blocks * 512 < BYTES);
	{
		struct mapped_file file;

		assert_int_equal(open_file(&file), 0);
		assert_int_equal(file.bytes, BYTES - 1);
		mapped_file_close(&file);
	}
	assert_int_equal(stat(place.path, &status), 0);
	assert_true(status.st_blocks * 512 >= BYTES);
	assert_int_equal(status.st_size, BYTES - 1);
}

/* What the system may refuse. */

static int open_with_no_rights(void)
{
	struct mapped_file file;

	if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
		return 1;
	if (open_file(&file) != ERR_IO)
		return 2;
	fputs(buf_string(&place.reason), fdopen(3, "w"));
	fflush(NULL);
	return 0;
}

static void no_permission(void **state)
{
	char sentence[PATH_BYTES * 2], said[PATH_BYTES * 2] = "";
	int ends[2], status;
	pid_t pid;

	/* A file of somebody else, or of nobody. */
	write_file(place.path, "GOOD", 4);
	assert_int_equal(chmod(place.path, 0), 0);
	assert_int_equal(chmod(place.directory, 0755), 0);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(pipe(ends), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			dup2(ends[1], 3);
			_exit(open_with_no_rights());
		}
		close(ends[1]);
		memset(said, 0, sizeof(said));
		assert_true(read(ends[0], said, sizeof(said) - 1) > 0);
		close(ends[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		snprintf(sentence, sizeof(sentence), "cannot %s %s: Permission denied",
			round == 0 ? "open" : "create", place.path);
		assert_string_equal(said, sentence);
		/* Then a directory that cannot be written to. */
		unlink(place.path);
		assert_int_equal(chmod(place.directory, 0555), 0);
	}
	assert_int_equal(chmod(place.directory, 0700), 0);
	assert_int_equal(count_files(), 0);
}

static int open_with_a_limit(void)
{
	struct rlimit limit = {BYTES - 1, BYTES - 1};
	char sentence[PATH_BYTES * 2];
	struct mapped_file file;

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 1;
	snprintf(sentence, sizeof(sentence), "cannot create %s: File too large", place.path);
	for (int named = 0; named < 2; named++) {
		plan.no_tmpfile = named;
		if (open_file(&file) != ERR_IO)
			return 2;
		if (strcmp(buf_string(&place.reason), sentence) != 0)
			return 3;
	}
	return 0;
}

static void no_space_is_an_error_and_not_a_signal(void **state)
{
	assert_int_equal(run_child(open_with_a_limit), 0);
	assert_int_equal(count_files(), 0);
	expect_opened(true, false);
}

static int open_twice(void *arg)
{
	struct mapped_file file;
	int err;

	write_file(place.path, "x", 1);
	err = open_file(&file);
	if (!err)
		mapped_file_close(&file);
	/* The file is there then, only the sentence is missing. */
	return err ? err : place.reason.err;
}

static void no_memory(void **state)
{
	failmalloc_sweep(open_twice, NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(created_whole),
		CASE(shared_and_lasting),
		CASE(relative_paths),
		CASE(anonymous),
		CASE(codes_of_the_kind_come_through),
		CASE(bad_files_are_replaced),
		CASE(a_bad_file_that_cannot_be_moved),
		CASE(other_things_are_left_alone),
		CASE(missing_directories),
		CASE(holes_are_filled),
		CASE(no_permission),
		CASE(no_space_is_an_error_and_not_a_signal),
		CASE(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
