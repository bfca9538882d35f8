/*
 * The journal with a process that dies, or a disk that fails, at each of its writes in turn: there
 * is no campaign or all of it, what was committed is there, and what was not can be noted again.
 */
#include "bunshin/error.h"
#include "journal_world.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#define PATH journal_world_path
#define ROWS JOURNAL_WORLD_ROWS
#define BATCHES 4
#define BATCH (ROWS / BATCHES)
#define NOW (JOURNAL_WORLD_BEGUN + 1000)

/* What a child has been told. */
static struct told {
	int begun, batches, finished;
} * told;

/* ---- a file system that ends at its k-th change */

enum fault { FAULT_NONE, FAULT_ERROR, FAULT_FULL, FAULT_DEATH, FAULT_TORN_DEATH };

static enum fault fault;
static long countdown;
static sqlite3_io_methods real, hooked[4]; /* a table each kind of file; they write alike */
static const sqlite3_io_methods *hooked_from[4];
static int (*real_open)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
static int (*real_delete)(sqlite3_vfs *, const char *, int);

/* Is this the change that fails? Does not return when it is a death. */
static bool is_faulty(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 at)
{
	if (fault == FAULT_NONE || (--countdown != 0 && (fault != FAULT_FULL || countdown > 0)))
		return false;
	if (fault == FAULT_TORN_DEATH && bytes)
		real.xWrite(file, bytes, count / 2, at);
	if (fault == FAULT_DEATH || fault == FAULT_TORN_DEATH)
		kill(getpid(), SIGKILL);
	return true;
}

static int hooked_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 at)
{
	return is_faulty(file, bytes, count, at) ? SQLITE_FULL
						 : real.xWrite(file, bytes, count, at);
}

static int hooked_sync(sqlite3_file *file, int flags)
{
	/* What was written outlives the process without it, and the sweep is quick. */
	return is_faulty(file, NULL, 0, 0) ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int hooked_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return is_faulty(file, NULL, 0, 0) ? SQLITE_IOERR_TRUNCATE : real.xTruncate(file, size);
}

static int hooked_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	return is_faulty(NULL, NULL, 0, 0) ? SQLITE_IOERR_DELETE : real_delete(vfs, name, sync);
}

static int hooked_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	int code = real_open(vfs, name, file, flags, out);
	size_t i = 0;

	if (code != SQLITE_OK)
		return code;
	while (hooked_from[i] != NULL && hooked_from[i] != file->pMethods)
		i++;
	hooked_from[i] = file->pMethods;
	real = hooked[i] = *file->pMethods;
	hooked[i].xWrite = hooked_write;
	hooked[i].xSync = hooked_sync;
	hooked[i].xTruncate = hooked_truncate;
	file->pMethods = &hooked[i];
	return code;
}

static int enter(void **state)
{
	static sqlite3_vfs vfs;

	vfs = *sqlite3_vfs_find(NULL);
	real_open = vfs.xOpen;
	real_delete = vfs.xDelete;
	vfs.xOpen = hooked_open;
	vfs.xDelete = hooked_delete;
	vfs.zName = "hooked";
	assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return told == MAP_FAILED ? -1 : journal_world_enter(state);
}

/* ---- a campaign */

static bool is_sent(uint64_t row)
{
	return row % 50 != 1;
}

static void note_batch(struct journal *journal, int batch)
{
	uint64_t first = (uint64_t)batch * BATCH + 1;

	for (uint64_t row = first; row < first + BATCH; row++)
		if (is_sent(row))
			assert_int_equal(journal_confirm(journal, row), 0);
		else
			assert_int_equal(journal_reject(journal, row, row + 1,
						 row % JOURNAL_REJECTS, "not this one"),
				0);
}

/* From that batch on. Stops at an error; what was noted stays noted. */
static int go_on(struct journal *journal, int from, struct buf *error)
{
	int rc = 0;

	for (int batch = from; batch < BATCHES && rc == 0; batch++) {
		note_batch(journal, batch);
		rc = journal_commit(journal, error);
		if (rc == 0)
			told->batches = batch + 1;
	}
	if (rc == 0)
		rc = journal_finish(journal, NOW, error);
	told->finished = rc == 0;
	return rc;
}

static int begin(struct journal **ret_journal, struct buf *error)
{
	struct journal_campaign campaign = journal_world_campaign();
	int rc = journal_world_begin_as(&campaign, JOURNAL_WORLD_BEGUN, ret_journal, error);

	told->begun = rc == 0;
	return rc;
}

/* How many batches are there, each of them whole? */
static int batches_in(struct journal *journal)
{
	struct journal_progress progress;
	enum journal_reject reject;
	const char *reason;
	int batches = 0;

	journal_world_assert_campaign(journal_campaign(journal));
	while (batches < BATCHES && journal_is_confirmed(journal, (uint64_t)batches * BATCH + 2))
		batches++;
	for (uint64_t row = 1; row <= ROWS; row++) {
		bool there = row <= (uint64_t)batches * BATCH;

		assert_int_equal(journal_is_confirmed(journal, row), there && is_sent(row));
		assert_int_equal(journal_find_reject(journal, row, &reject, &reason),
			there && !is_sent(row));
		if (there && !is_sent(row))
			assert_int_equal(reject, row % JOURNAL_REJECTS);
	}
	assert_int_equal(journal_progress(journal, &progress), 0);
	assert_int_equal(progress.begun_epoch_ms, JOURNAL_WORLD_BEGUN);
	if (progress.state == JOURNAL_FINISHED) {
		assert_int_equal(batches, BATCHES);
		assert_int_equal(progress.finished_epoch_ms, NOW);
	} else {
		assert_false(told->finished);
	}
	return batches;
}

/* What is there after the death is what was told, and at most one commit more. */
static int check(bool to_send)
{
	struct journal *journal = journal_world_open(to_send);
	int batches = batches_in(journal);

	assert_in_range(batches, told->batches, told->batches + 1);
	journal_close(journal);
	return batches;
}

static void resume(int batches)
{
	struct buf error = BUF_INIT(2000);
	struct journal *journal = journal_world_open(true);
	struct journal_progress progress;

	assert_int_equal(journal_progress(journal, &progress), 0);
	if (progress.state == JOURNAL_UNFINISHED && go_on(journal, batches, &error) < 0)
		fail_msg("%s", buf_string(&error));
	journal_close(journal);
	told->finished = 1;
	journal = journal_world_open(false);
	assert_int_equal(batches_in(journal), BATCHES);
	journal_close(journal);
}

/* ---- death */

static void live(long k, enum fault how)
{
	struct buf error = BUF_INIT(2000);
	struct journal *journal;

	fault = how;
	countdown = k;
	if (begin(&journal, &error) < 0 || go_on(journal, 0, &error) < 0)
		_exit(1);
	journal_close(journal);
	_exit(0);
}

/* false: it ran to its end */
static bool death_at(long k, enum fault how)
{
	struct buf error = BUF_INIT(2000);
	struct journal *journal;
	int status;
	pid_t pid;

	*told = (struct told){.begun = 0};
	fault = FAULT_NONE;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		live(k, how);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (access(PATH, F_OK) < 0) {
		assert_false(told->begun);
		assert_int_equal(begin(&journal, &error), 0);
		journal_close(journal);
	}
	/* Who only reads must be able to, whatever the dead one has left. */
	resume(k % 2 ? check(false) : check(true));
	journal_world_clean();
	if (WIFSIGNALED(status))
		return true;
	assert_int_equal(status, 0);
	return false;
}

static void sweep_deaths(enum fault how)
{
	long k = 1;

	while (death_at(k, how))
		k++;
	print_message("died at %ld places\n", k - 1);
	assert_true(k > 30);
}

static void a_death_at_any_write(void **state)
{
	sweep_deaths(FAULT_DEATH);
}

static void a_death_in_the_middle_of_any_write(void **state)
{
	sweep_deaths(FAULT_TORN_DEATH);
}

/* ---- errors */

/* Noted before a commit failed: tried again, or found by a process that begins anew. */
static void after_the_error(struct journal *journal, bool again)
{
	struct buf error = BUF_INIT(2000);

	if (again) {
		if (journal_commit(journal, &error) < 0)
			fail_msg("%s", buf_string(&error));
		assert_int_equal(journal_uncommitted_rows(journal), 0);
		assert_int_equal(journal_uncommitted_rejects(journal), 0);
	}
	journal_close(journal);
	resume(check(false));
}

/* false: there was none */
static bool error_at(long k, enum fault how)
{
	struct buf error = BUF_INIT(2000);
	struct journal *journal = NULL;
	bool failed;
	int rc;

	*told = (struct told){.begun = 0};
	fault = how;
	countdown = k;
	rc = begin(&journal, &error);
	if (rc < 0) {
		assert_int_equal(rc, ERR_IO);
		assert_non_null(strstr(buf_string(&error), "cannot make"));
		assert_int_equal(access(PATH, F_OK), -1); /* no half campaign */
		fault = FAULT_NONE;
		buf_clear(&error);
		assert_int_equal(begin(&journal, &error), 0);
		rc = ERR_IO;
	} else {
		rc = go_on(journal, 0, &error);
		if (rc < 0) {
			assert_int_equal(rc, ERR_IO);
			assert_non_null(strstr(buf_string(&error), "cannot write"));
		}
	}
	failed = countdown <= 0;
	fault = FAULT_NONE;
	/* Some failures do not matter: of what is only tidied up. */
	assert_true(failed || rc == 0);
	after_the_error(journal, k % 2);
	journal_world_clean();
	buf_free(&error);
	return failed;
}

static void sweep_errors(enum fault how)
{
	long k = 1;

	while (error_at(k, how))
		k++;
	print_message("failed at %ld places\n", k - 1);
	assert_true(k > 30);
}

static void an_error_at_any_write(void **state)
{
	sweep_errors(FAULT_ERROR);
}

static void a_disk_that_is_full_from_any_write_on(void **state)
{
	sweep_errors(FAULT_FULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_death_at_any_write),
		cmocka_unit_test(a_death_in_the_middle_of_any_write),
		cmocka_unit_test(an_error_at_any_write),
		cmocka_unit_test(a_disk_that_is_full_from_any_write_on),
	};

	return cmocka_run_group_tests(tests, enter, journal_world_leave);
}
