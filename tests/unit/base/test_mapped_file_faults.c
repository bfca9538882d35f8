/*
 * Files that are shared, whichever system call fails or is the last one, whoever else does the same
 * at the same time, and whoever is killed.
 */
#include "base/mapped_file.h"

#include "base/random.h"
#include "bunshin/error.h"
#include "mapped_world.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PROCESSES 8

int __real_flock(int fd, int operation);
int __real_unlink(const char *path);
int __real_nanosleep(const struct timespec *time, struct timespec *left);

static void every_call_that_fails(void **state)
{
	static const int errors[] = {EIO, ENOSPC, ENOMEM, EINTR, EEXIST, EOPNOTSUPP};
	unsigned long failures = 0;

	for (unsigned i = 0; i < 2 * BEFORE_COUNT * sizeof(errors) / sizeof(errors[0]); i++) {
		bool named = i % 2;
		enum before before = i / 2 % BEFORE_COUNT;
		bool reached = true;

		for (unsigned long k = 1; reached; k++) {
			struct mapped_file file = {0};
			int err;

			prepare(before, named);
			plan.on_nap = nap_never;
			plan.left = k;
			plan.err = errors[i / 2 / BEFORE_COUNT];
			err = open_file(&file);
			reached = plan.left == 0;
			plan.left = 0;
			failures += err != 0;
			assert_true(err == 0 || err == ERR_IO || err == ERR_NOMEM);
			if (err == ERR_IO)
				assert_non_null(strstr(buf_string(&place.reason), place.path));
			if (err == 0)
				assert_memory_equal(file.memory, "GOOD", 4);
			else
				assert_null(file.memory);
			mapped_file_close(&file);
			check_aftermath(before, named);
		}
	}
	assert_true(failures > 150);
}

static int open_and_exit(void)
{
	struct mapped_file file;
	int err = open_file(&file);

	return err ? 1 : 0;
}

/* The process ends right before its k-th system call, for each k. */
static void every_call_that_is_the_last(void **state)
{
	for (unsigned i = 0; i < 2 * BEFORE_COUNT; i++) {
		int status = 99;

		for (unsigned long k = 1; status == 99; k++) {
			prepare(i / 2, i % 2);
			plan.left = k;
			plan.err = 0;
			status = run_child(open_and_exit);
			assert_true(status == 99 || status == 0);
			assert_true(k < 100);
			check_aftermath(i / 2, i % 2);
		}
	}
}

/* Others at the same time. */

static int held = -1; /* a lock of somebody else */

static void release_at_the_third_nap(unsigned naps)
{
	if (naps == 3) {
		close(held);
		held = -1;
	}
}

static void hold(const char *path)
{
	held = open(path, O_RDWR | O_CLOEXEC);
	assert_true(held >= 0);
	assert_int_equal(__real_flock(held, LOCK_EX | LOCK_NB), 0);
}

static void a_living_creator_is_waited_for(void **state)
{
	plan.no_tmpfile = true;
	write_file(place.fresh, "GO", 2);
	hold(place.fresh);
	plan.on_nap = release_at_the_third_nap;
	expect_opened(true, false);
	assert_int_equal(plan.naps, 3);
	assert_int_equal(count_files(), 1);
}

static void a_living_replacer_is_waited_for(void **state)
{
	write_file(place.path, "x", 1);
	hold(place.path);
	plan.on_nap = release_at_the_third_nap;
	expect_opened(true, true);
	assert_int_equal(plan.naps, 3);
	expect_content(place.bad, "x", 1);
}

static void not_for_ever(void **state)
{
	plan.on_nap = nap_never;
	write_file(place.path, "x", 1);
	hold(place.path);
	fail_to_open_why("open", "another process has locked it");
	assert_int_equal(plan.naps, 1000);
	expect_content(place.path, "x", 1);
	unlink(place.path);
	close(held);
	plan.no_tmpfile = true;
	write_file(place.fresh, "GO", 2);
	hold(place.fresh);
	fail_to_open_why("open", "another process has locked it");
	close(held);
	expect_opened(true, false);
}

static void be_refused(void)
{
	struct mapped_file file;

	assert_int_equal(open_file(&file), ERR_IO);
	assert_string_equal(
		strrchr(buf_string(&place.reason), ':'), ": another process has locked it");
}

static void nobody_else_can_replace_between_look_and_rename(void **state)
{
	write_file(place.path, "x", 1);
	plan.on_nap = nap_never;
	plan.before_rename = be_refused;
	expect_opened(true, true);
	check_good(place.path);
	expect_content(place.bad, "x", 1);
}

static ino_t good_inode;

static void replace_first(void)
{
	expect_opened(true, true);
	buf_clear(&place.reason);
	good_inode = inode_of(place.path);
}

/* It is still the bad file that is open and locked, but the name is another's good one by then. */
static void a_good_file_is_not_renamed_by_who_saw_the_bad_one(void **state)
{
	for (int named = 0; named < 2; named++) {
		prepare(BAD_FILE, named);
		plan.before_lock = replace_first;
		expect_opened(false, false);
		assert_int_equal(inode_of(place.path), good_inode);
		expect_content(place.bad, "x", 1);
		assert_int_equal(count_files(), 2);
	}
}

static void take_for_dead(void)
{
	expect_opened(true, false);
	good_inode = inode_of(place.path);
}

/* Between open() and flock() of a creator of PATH.new. */
static void a_creator_that_was_taken_for_dead(void **state)
{
	prepare(NOTHING, true);
	plan.before_lock = take_for_dead;
	expect_opened(false, false);
	assert_int_equal(inode_of(place.path), good_inode);
	assert_int_equal(count_files(), 1);
}

static void another_creator_begins(void)
{
	unlink(place.fresh);
	write_file(place.fresh, "G", 1);
	hold(place.fresh);
	good_inode = inode_of(place.fresh);
}

static void look_at_the_third_nap(unsigned naps)
{
	assert_int_equal(inode_of(place.fresh), good_inode);
	release_at_the_third_nap(naps);
}

/* Between open() and flock() of who removes a dead creator's PATH.new. */
static void a_new_creator_is_not_taken_for_the_dead_one(void **state)
{
	prepare(STALE_FRESH, true);
	plan.before_lock = another_creator_begins;
	plan.on_nap = look_at_the_third_nap;
	expect_opened(true, false);
	assert_int_equal(plan.naps, 3);
	assert_int_equal(count_files(), 1);
}

static void fill_the_disk(void)
{
	expect_opened(true, false);
	plan.left = 1;
	plan.err = ENOSPC;
}

static void the_last_space_went_to_who_was_faster(void **state)
{
	plan.before_reserve = fill_the_disk;
	expect_opened(false, false);
	assert_int_equal(plan.left, 0);
}

/* Every process maps the file and adds one to the counter in it. */
static int open_and_count(int start)
{
	struct mapped_file file;
	struct content *content;
	char byte;
	int status;

	if (read(start, &byte, 1) != 0)
		return 9;
	if (open_file(&file) != 0)
		return 8;
	content = file.memory;
	atomic_fetch_add(&content->counter, 1);
	status = file.created + 2 * file.replaced;
	mapped_file_close(&file);
	return status;
}

static void race(bool bad)
{
	pid_t pids[PROCESSES];
	struct content *content;
	struct mapped_file file;
	int start[2], status;
	unsigned created = 0, replaced = 0;

	assert_int_equal(pipe(start), 0);
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			close(start[1]);
			_exit(open_and_count(start[0]));
		}
	}
	close(start[0]);
	close(start[1]);
	for (int i = 0; i < PROCESSES; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 4);
		created += WEXITSTATUS(status) & 1;
		replaced += WEXITSTATUS(status) >> 1;
	}
	assert_int_equal(created, 1);
	assert_int_equal(replaced, bad);
	assert_int_equal(open_file(&file), 0);
	content = file.memory;
	assert_int_equal(atomic_load(&content->counter), PROCESSES);
	mapped_file_close(&file);
	if (bad)
		expect_content(place.bad, "x", 1);
	assert_int_equal(count_files(), 1 + bad);
}

static void many_at_once_end_on_one_file(void **state)
{
	for (int i = 0; i < 100; i++) {
		bool bad = i / 2 % 2;

		prepare(bad ? BAD_FILE : NOTHING, i % 2);
		race(bad);
	}
}

/* Creates and removes for ever, until killed. */
static int create_for_ever(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct mapped_file file;
		int err = open_file(&file);

		if (err)
			return 1;
		mapped_file_close(&file);
		__real_unlink(place.path);
	}
}

static void killed_creators_leave_nothing_that_grows(void **state)
{
	struct random random;

	random_seed(&random, 3);
	for (int round = 0; round < 100; round++) {
		struct timespec delay = {
			.tv_nsec = (long)random_below(random_next(&random), 3000000)};
		pid_t pids[2];
		int status;

		plan.no_tmpfile = round % 2;
		for (int i = 0; i < 2; i++) {
			pids[i] = fork();
			assert_true(pids[i] >= 0);
			if (pids[i] == 0)
				_exit(create_for_ever());
		}
		__real_nanosleep(&delay, NULL);
		for (int i = 0; i < 2; i++) {
			kill(pids[i], SIGKILL);
			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			assert_true(WIFSIGNALED(status));
		}
		/* PATH and PATH.new at most, of however many there were. */
		assert_true(count_files() <= 2);
		expect_opened(!exists(place.path), false);
		check_good(place.path);
		assert_int_equal(count_files(), 1 + exists(place.fresh));
	}
	unlink(place.path);
	plan.no_tmpfile = true;
	expect_opened(true, false);
	assert_int_equal(count_files(), 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(every_call_that_fails),
		CASE(every_call_that_is_the_last),
		CASE(a_living_creator_is_waited_for),
		CASE(a_living_replacer_is_waited_for),
		CASE(not_for_ever),
		CASE(nobody_else_can_replace_between_look_and_rename),
		CASE(a_good_file_is_not_renamed_by_who_saw_the_bad_one),
		CASE(a_creator_that_was_taken_for_dead),
		CASE(a_new_creator_is_not_taken_for_the_dead_one),
		CASE(the_last_space_went_to_who_was_faster),
		CASE(many_at_once_end_on_one_file),
		CASE(killed_creators_leave_nothing_that_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
