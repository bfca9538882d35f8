/*
 * The results database with a file system that fails, or a process that dies, at each of its
 * writes in turn: what was committed is there, what was not is not, and counts fit the rows.
 */
#include "bunshin/error.h"
#include "campaign/results_db.h"

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

#define NOW INT64_C(1767225600000)
#define BATCHES 4
#define BATCH 25

static char dir[64], path[128];
static int *committed; /* batches, told by a child */

/* ---- a file system that ends at its k-th change */

enum fault { FAULT_NONE, FAULT_ERROR, FAULT_DEATH, FAULT_TORN_DEATH };

static enum fault fault;
static long countdown, changes;
static sqlite3_io_methods real, hooked[4]; /* a table each kind of file; they write alike */
static const sqlite3_io_methods *hooked_from[4];
static int (*real_open)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);

/* Is this the change that fails? Does not return when it is a death. */
static bool is_faulty(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 at)
{
	changes++;
	if (fault == FAULT_NONE || --countdown != 0)
		return false;
	if (fault == FAULT_TORN_DEATH && bytes)
		real.xWrite(file, bytes, count / 2, at);
	if (fault != FAULT_ERROR)
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

static void hook(void)
{
	static sqlite3_vfs vfs;

	vfs = *sqlite3_vfs_find(NULL);
	real_open = vfs.xOpen;
	vfs.xOpen = hooked_open;
	vfs.zName = "hooked";
	assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

static int enter(void **state)
{
	strcpy(dir, "/tmp/bunshin-faults-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/results.db", dir);
	committed = mmap(NULL, sizeof(*committed), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	hook();
	return committed == MAP_FAILED ? -1 : 0;
}

static void remove_files(void)
{
	static const char *const endings[] = {"", "-wal", "-shm", "-journal", ".lock"};
	char name[160];

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", path, endings[i]);
		unlink(name);
	}
}

static int leave(void **state)
{
	remove_files();
	return rmdir(dir);
}

/* ---- what is written: each batch brings keys of its own, and ends those of the one before */

static int add_batch(struct results_db *db, int batch)
{
	struct results_position log = {1, 1, (uint64_t)batch + 1, 2, 3};
	int err = results_db_put_position(db, &log);

	for (int i = 0; i < 2 * BATCH && err == 0; i++) {
		bool ends = i >= BATCH;
		char key[32];
		struct result_record record = {
			.outcome = !ends   ? RESULT_RETRYING
				   : i % 3 ? RESULT_ACCEPTED
					   : RESULT_FAILED,
			.key = key,
			.campaign = "morning",
			.destination = "line",
			.message_id = "",
			.status = ends ? 200 : 503,
			.reason = ends && i % 3 ? "" : "unavailable",
			.request_id = "",
			.attempts = ends ? 2 : 1,
			.first_epoch_ms = NOW,
			.last_epoch_ms = NOW + i,
			.unanswered = i % 3 == 0,
		};

		if (ends && batch == 0)
			continue;
		snprintf(key, sizeof(key), "%d-%d", ends ? batch - 1 : batch, i % BATCH);
		err = results_db_add(db, &record);
	}
	return err;
}

/* Batches from `from` on; stops at an error. */
static int add_batches(struct results_db *db, int from, struct buf *words)
{
	int err = 0;

	for (int batch = from; batch < BATCHES && err == 0; batch++) {
		err = add_batch(db, batch);
		if (err == 0 || batch % 2) /* a commit after a failed add fails, too */
			err = results_db_commit(db, words);
		if (err == 0)
			*committed = batch + 1;
	}
	return err;
}

static void add_reason(void *arg, const struct results_reason *reason)
{
	*(uint64_t *)arg += reason->count;
}

/* Is exactly what so many batches have written there? */
static void check(struct results_db *db, int batches)
{
	uint64_t expected[RESULT_OUTCOMES] = {0}, uncertain = 0, reasons = 0;
	struct results_tally tally;
	struct result_record found;
	char key[32];

	for (int batch = 0; batch < BATCHES; batch++)
		for (int i = 0; i < BATCH; i++) {
			int err;

			snprintf(key, sizeof(key), "%d-%d", batch, i);
			err = results_db_find(db, key, &found);
			assert_int_equal(err, batch < batches ? 0 : ERR_NOT_FOUND);
			if (err)
				continue;
			if (batch == batches - 1)
				assert_int_equal(found.outcome, RESULT_RETRYING);
			else
				assert_int_equal(found.outcome,
					(i + BATCH) % 3 ? RESULT_ACCEPTED : RESULT_FAILED);
			expected[found.outcome]++;
			uncertain += found.outcome == RESULT_FAILED && found.unanswered;
		}
	assert_int_equal(results_db_tally(db, "morning", &tally), 0);
	assert_memory_equal(tally.by_outcome, expected, sizeof(expected));
	assert_int_equal(tally.uncertain, uncertain);
	assert_int_equal(results_db_each_reason(db, "morning", 9, add_reason, &reasons), 0);
	assert_int_equal(reasons, expected[RESULT_FAILED] + expected[RESULT_RETRYING]);
}

static int batches_in(struct results_db *db)
{
	struct results_position log = {.position = 0};
	int err = results_db_find_position(db, 1, 1, &log);

	assert_true(err == 0 || err == ERR_NOT_FOUND);
	return (int)log.position;
}

static struct results_db *open_or_fail(void)
{
	struct buf words = BUF_INIT(1000);
	struct results_db *db = NULL;

	if (results_db_open(path, false, &db, &words) != 0)
		fail_msg("%s", buf_string(&words));
	buf_free(&words);
	return db;
}

/* ---- death */

static void die_at(long k, enum fault how)
{
	struct buf words = BUF_INIT(1000);
	struct results_db *db;

	fault = how;
	countdown = k;
	if (results_db_open(path, false, &db, &words) == 0 && add_batches(db, 0, &words) == 0) {
		results_db_close(db);
		_exit(0);
	}
	_exit(1);
}

/* false: it ran to its end */
static bool death_at(long k, enum fault how)
{
	int status, batches;
	struct results_db *db;
	struct buf words = BUF_INIT(1000);
	pid_t pid;

	*committed = 0;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		die_at(k, how);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	db = open_or_fail();
	batches = batches_in(db);
	/* What was told to be committed is; the one that was under way, as a whole or not at all.
	 */
	assert_in_range(batches, *committed, *committed + 1);
	check(db, batches);
	/* The queue hands out again what was not deleted, and maybe all of it. */
	assert_int_equal(add_batches(db, k % 2 ? 0 : batches, &words), 0);
	results_db_close(db);
	db = open_or_fail();
	check(db, BATCHES);
	results_db_close(db);
	remove_files();
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
	assert_true(k > 40);
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

/* false: there was none */
static bool error_at(long k)
{
	struct buf words = BUF_INIT(1000);
	struct results_db *db = NULL;
	int err;

	*committed = 0;
	fault = FAULT_ERROR;
	countdown = k;
	err = results_db_open(path, false, &db, &words);
	if (err) {
		assert_int_equal(err, ERR_IO);
		assert_true(words.len > 0);
		fault = FAULT_NONE;
		db = open_or_fail();
	} else {
		err = add_batches(db, 0, &words);
		if (err) {
			/* A commit whose last sync failed is undone, or not: the next one says. */
			assert_int_equal(err, ERR_IO);
			fault = FAULT_NONE;
			check(db, batches_in(db));
			assert_in_range(batches_in(db), *committed, *committed + 1);
		}
	}
	fault = FAULT_NONE;
	buf_clear(&words);
	/* It goes on with what it has, as if nothing had been. */
	if (results_db_is_dirty(db))
		assert_int_equal(results_db_commit(db, &words), ERR_IO);
	buf_clear(&words);
	assert_int_equal(add_batches(db, batches_in(db), &words), 0);
	check(db, BATCHES);
	results_db_close(db);
	db = open_or_fail();
	check(db, BATCHES);
	results_db_close(db);
	remove_files();
	buf_free(&words);
	return countdown <= 0;
}

static void an_error_at_any_write(void **state)
{
	long k = 1;

	while (error_at(k))
		k++;
	print_message("failed at %ld places\n", k - 1);
	assert_true(k > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_death_at_any_write),
		cmocka_unit_test(a_death_in_the_middle_of_any_write),
		cmocka_unit_test(an_error_at_any_write),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
