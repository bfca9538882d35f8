/* The journal of a campaign: what is noted is there again, and one process sends. */
#include "bunshin/error.h"
#include "journal_world.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#define PATH journal_world_path
#define BEGUN JOURNAL_WORLD_BEGUN
#define ROWS JOURNAL_WORLD_ROWS

static struct journal_progress progress_of(struct journal *journal)
{
	struct journal_progress progress;

	assert_int_equal(journal_progress(journal, &progress), 0);
	return progress;
}

static void commit(struct journal *journal)
{
	struct buf error = BUF_INIT(1000);

	if (journal_commit(journal, &error) < 0)
		fail_msg("%s", buf_string(&error));
}

static void assert_refused(bool to_send, int code, const char *words)
{
	struct buf error = BUF_INIT(1000);
	struct journal *journal = NULL;

	assert_int_equal(journal_open(PATH, to_send, &journal, &error), code);
	assert_null(journal);
	if (!strstr(buf_string(&error), words))
		fail_msg("\"%s\" is not in: %s", words, buf_string(&error));
	buf_free(&error);
}

static bool exists(const char *ending)
{
	char name[160];

	snprintf(name, sizeof(name), "%s%s", PATH, ending);
	return access(name, F_OK) == 0;
}

static void paths(void **state)
{
	static const struct {
		const char *directory, *name, *path;
	} rows[] = {
		{"/lists", "morning", "/lists/morning.campaign"},
		{"/lists/", "A.z_0-9", "/lists/A.z_0-9.campaign"},
		{".", "a b/c", "./a%20b%2Fc.campaign"},
		{"/", "..", "/...campaign"},
		{"", "x", "x.campaign"},
		{"d", "朝#2", "d/%E6%9C%9D%232.campaign"},
		{"d", "%", "d/%25.campaign"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf path = BUF_INIT(1000);

		assert_int_equal(journal_path(rows[i].directory, rows[i].name, &path), 0);
		assert_string_equal(buf_string(&path), rows[i].path);
		buf_free(&path);
	}
}

static void reject_names(void **state)
{
	assert_string_equal(journal_reject_name(JOURNAL_REJECT_INVALID), "invalid");
	assert_string_equal(journal_reject_name(JOURNAL_REJECT_MALFORMED), "malformed");
	assert_string_equal(journal_reject_name(JOURNAL_REJECT_DUPLICATE), "duplicate");
	assert_string_equal(journal_reject_name(JOURNAL_REJECT_SUPPRESSED), "suppressed");
	assert_string_equal(journal_reject_name(JOURNAL_REJECT_REFUSED), "refused");
}

static void a_campaign_is_there_again(void **state)
{
	struct journal *journal = journal_world_begin();
	struct stat info;

	journal_world_assert_campaign(journal_campaign(journal));
	assert_int_equal(progress_of(journal).begun_epoch_ms, BEGUN);
	journal_close(journal);
	assert_int_equal(stat(PATH, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	assert_false(exists(".new") || exists(".lock") || exists("-wal") || exists("-shm"));
	for (int to_send = 0; to_send <= 1; to_send++) {
		struct journal_progress progress;

		journal = journal_world_open(to_send);
		journal_world_assert_campaign(journal_campaign(journal));
		progress = progress_of(journal);
		assert_int_equal(progress.state, JOURNAL_UNFINISHED);
		assert_int_equal(progress.confirmed, 0);
		assert_int_equal(progress.begun_epoch_ms, BEGUN);
		assert_int_equal(progress.finished_epoch_ms, 0);
		journal_close(journal);
	}
}

static void what_is_not_given_is_null(void **state)
{
	struct journal_campaign campaign = {
		.name = "", .list = "l", .list_format = "jsonl", .queue_url = "q"};
	struct buf error = BUF_INIT(1000);
	struct journal *journal;
	const struct journal_campaign *found;

	assert_int_equal(journal_world_begin_as(&campaign, 1, &journal, &error), 0);
	journal_close(journal);
	journal = journal_world_open(true);
	found = journal_campaign(journal);
	assert_string_equal(found->name, "");
	assert_null(found->template_file);
	assert_null(found->key_column);
	assert_null(found->group_column);
	assert_int_equal(found->pack, 0);
	assert_null(found->pack_field);
	assert_null(found->rules);
	assert_null(found->suppression);
	assert_null(found->destination);
	assert_null(found->endpoint);
	assert_false(found->skip_invalid);
	assert_int_equal(found->deadline_epoch_ms, 0);
	assert_int_equal(found->rows, 0);
	/* A list of nobody is done at once. */
	assert_int_equal(journal_finish(journal, 2, &error), 0);
	journal_close(journal);
}

static int64_t version_of_file(void)
{
	sqlite3_stmt *statement;
	sqlite3 *db;
	int64_t version;

	assert_int_equal(sqlite3_open_v2(PATH, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	version = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return version;
}

/* What an older program can read it reads; what it would send unpacked it refuses. */
static void packs_are_of_another_version(void **state)
{
	struct journal_campaign campaign = journal_world_campaign();
	struct buf error = BUF_INIT(1000);
	struct journal *journal = journal_world_begin();

	journal_close(journal);
	assert_int_equal(version_of_file(), 2);
	journal_world_clean();
	campaign.pack = 0;
	campaign.pack_field = NULL;
	assert_int_equal(journal_world_begin_as(&campaign, 1, &journal, &error), 0);
	journal_close(journal);
	assert_int_equal(version_of_file(), 1);
	journal = journal_world_open(false);
	assert_int_equal(journal_campaign(journal)->pack, 0);
	assert_null(journal_campaign(journal)->pack_field);
	journal_close(journal);
}

static void begun_twice(void **state)
{
	struct buf error = BUF_INIT(1000);
	struct journal *journal = journal_world_begin(), *other = NULL;

	assert_int_equal(journal_prepare(PATH, &other, &error), ERR_PENDING);
	assert_non_null(strstr(buf_string(&error), "another process is sending"));
	buf_clear(&error);
	journal_close(journal);
	assert_int_equal(journal_prepare(PATH, &other, &error), ERR_ARGUMENT);
	assert_non_null(strstr(buf_string(&error), "already"));
	assert_null(other);
	assert_false(exists(".lock") || exists(".new"));
	buf_free(&error);
}

/* Rows are rejected while the list is read; what it comes to is known at its end. */
static void prepared_with_rejects(void **state)
{
	struct journal_campaign campaign = journal_world_campaign();
	struct buf error = BUF_INIT(1000);
	struct journal *journal;
	enum journal_reject reject;
	const char *reason;

	assert_int_equal(journal_prepare(PATH, &journal, &error), 0);
	assert_false(exists(""));
	assert_true(exists(".lock") && exists(".new"));
	assert_refused(true, ERR_NOT_FOUND, "there is no");
	for (uint64_t row = 1; row <= 1000; row++) {
		assert_int_equal(
			journal_reject(journal, row, row, JOURNAL_REJECT_DUPLICATE, "twice"), 0);
		if (row % 300 == 0)
			commit(journal);
	}
	assert_int_equal(journal_begin(journal, &campaign, BEGUN, &error), 0);
	assert_int_equal(journal_uncommitted_rejects(journal), 0);
	assert_false(exists(".new"));
	assert_int_equal(progress_of(journal).rejects[JOURNAL_REJECT_DUPLICATE], 1000);
	assert_true(journal_find_reject(journal, 1000, &reject, &reason));
	assert_int_equal(journal_confirm(journal, 1001), 0);
	commit(journal);
	journal_close(journal);
	journal = journal_world_open(true);
	assert_int_equal(progress_of(journal).rejects[JOURNAL_REJECT_DUPLICATE], 1000);
	assert_int_equal(progress_of(journal).confirmed, 1);
	journal_close(journal);
}

static void prepared_and_given_up(void **state)
{
	struct buf error = BUF_INIT(1000);
	struct journal *journal, *other = NULL;

	for (int round = 0; round < 2; round++) {
		assert_int_equal(journal_prepare(PATH, &journal, &error), 0);
		assert_int_equal(journal_prepare(PATH, &other, &error), ERR_PENDING);
		assert_null(other);
		buf_clear(&error);
		assert_int_equal(journal_reject(journal, 1, 1, JOURNAL_REJECT_INVALID, "x"), 0);
		if (round == 0)
			commit(journal);
		journal_close(journal);
		assert_false(exists("") || exists(".new") || exists(".lock"));
	}
	buf_free(&error);
}

static void begun_and_discarded(void **state)
{
	struct journal *journal = journal_world_begin();

	journal_discard(journal);
	assert_false(exists("") || exists(".lock") || exists("-wal") || exists("-shm"));
	journal_close(journal_world_begin());
}

static void too_large(void **state)
{
	struct journal_campaign campaign = journal_world_campaign();
	struct buf error = BUF_INIT(1000);
	struct journal *journal = NULL;
	char *text = malloc(JOURNAL_TEXT_MAX + 2);

	campaign.rows = JOURNAL_ROWS_MAX + 1;
	assert_int_equal(journal_world_begin_as(&campaign, BEGUN, &journal, &error), ERR_TOO_LARGE);
	assert_true(error.len > 0);
	campaign.rows = 1;
	campaign.valid = 1;
	memset(text, 'x', JOURNAL_TEXT_MAX + 1);
	text[JOURNAL_TEXT_MAX + 1] = '\0';
	campaign.rules = text;
	assert_int_equal(journal_world_begin_as(&campaign, BEGUN, &journal, &error), ERR_TOO_LARGE);
	assert_false(exists(""));
	text[JOURNAL_TEXT_MAX] = '\0';
	assert_int_equal(journal_world_begin_as(&campaign, BEGUN, &journal, &error), 0);
	journal_close(journal);
	journal = journal_world_open(true);
	assert_string_equal(journal_campaign(journal)->rules, text);
	journal_close(journal);
	free(text);
	buf_free(&error);
}

static void rows_are_there_after_a_commit(void **state)
{
	static const uint64_t rows[] = {1, 17, 4096, 4097, 9999, 10000};
	struct journal *journal = journal_world_begin();

	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(journal_confirm(journal, rows[i]), 0);
		assert_true(journal_is_confirmed(journal, rows[i]));
		if (i % 2) {
			assert_int_equal(journal_uncommitted_rows(journal), 2);
			commit(journal);
			assert_int_equal(journal_uncommitted_rows(journal), 0);
		}
	}
	assert_int_equal(journal_confirm(journal, 2), 0);
	assert_int_equal(journal_confirm(journal, 0), ERR_ARGUMENT);
	assert_int_equal(journal_confirm(journal, ROWS + 1), ERR_ARGUMENT);
	assert_int_equal(progress_of(journal).confirmed, 7);
	journal_close(journal); /* commits nothing */
	journal = journal_world_open(true);
	assert_int_equal(progress_of(journal).confirmed, 6);
	for (size_t i = 0; i < 6; i++)
		assert_true(journal_is_confirmed(journal, rows[i]));
	assert_false(journal_is_confirmed(journal, 2));
	assert_false(journal_is_confirmed(journal, 0));
	assert_false(journal_is_confirmed(journal, UINT64_MAX));
	journal_close(journal);
}

static void rejects_are_there_after_a_commit(void **state)
{
	struct journal *journal = journal_world_begin();
	struct journal_progress progress;
	enum journal_reject reject;
	const char *reason;

	for (int i = 0; i < JOURNAL_REJECTS; i++)
		for (int j = 0; j <= i; j++)
			assert_int_equal(journal_reject(journal, (uint64_t)(10 * i + j + 1), 7,
						 (enum journal_reject)i, "because"),
				0);
	assert_int_equal(journal_reject(journal, 0, 1, 0, ""), ERR_ARGUMENT);
	assert_int_equal(journal_reject(journal, ROWS + 1, 1, 0, ""), ERR_ARGUMENT);
	assert_int_equal(journal_uncommitted_rejects(journal), 15);
	assert_false(journal_find_reject(journal, 1, &reject, &reason)); /* not yet */
	commit(journal);
	assert_int_equal(journal_uncommitted_rejects(journal), 0);
	assert_true(journal_find_reject(journal, 41, &reject, &reason));
	/* Refused in this run: whoever sends knows that itself. */
	assert_false(journal_is_settled(journal, 41));
	journal_close(journal);

	journal = journal_world_open(true);
	progress = progress_of(journal);
	for (int i = 0; i < JOURNAL_REJECTS; i++)
		assert_int_equal(progress.rejects[i], i + 1);
	assert_true(journal_find_reject(journal, 31, &reject, &reason));
	assert_int_equal(reject, JOURNAL_REJECT_SUPPRESSED);
	assert_string_equal(reason, "because");
	assert_false(journal_find_reject(journal, 35, &reject, &reason));
	assert_false(journal_find_reject(journal, 0, &reject, &reason));
	assert_false(journal_find_reject(journal, ROWS + 1, &reject, &reason));
	assert_false(journal_is_settled(journal, 31));
	assert_true(journal_is_settled(journal, 41));
	journal_close(journal);
}

static void a_confirmed_row_is_not_rejected(void **state)
{
	struct journal *journal = journal_world_begin();
	enum journal_reject reject;
	const char *reason;

	assert_int_equal(
		journal_reject(journal, 5, 6, JOURNAL_REJECT_SUPPRESSED, "was suppressed"), 0);
	commit(journal);
	assert_int_equal(journal_confirm(journal, 5), 0);
	assert_int_equal(journal_confirm(journal, 6), 0);
	assert_int_equal(journal_reject(journal, 6, 7, JOURNAL_REJECT_DUPLICATE, "x"), 0);
	assert_int_equal(journal_uncommitted_rejects(journal), 0);
	commit(journal);
	for (int again = 0; again < 2; again++) {
		assert_false(journal_find_reject(journal, 5, &reject, &reason));
		assert_false(journal_find_reject(journal, 6, &reject, &reason));
		assert_int_equal(progress_of(journal).rejects[JOURNAL_REJECT_SUPPRESSED], 0);
		assert_int_equal(progress_of(journal).confirmed, 2);
		journal_close(journal);
		journal = journal_world_open(again);
	}
	journal_close(journal);
}

static void a_reject_of_another_kind_replaces(void **state)
{
	struct journal *journal = journal_world_begin();
	enum journal_reject reject;
	const char *reason;

	assert_int_equal(journal_reject(journal, 5, 6, JOURNAL_REJECT_INVALID, "first"), 0);
	commit(journal);
	assert_int_equal(journal_reject(journal, 5, 6, JOURNAL_REJECT_SUPPRESSED, "second"), 0);
	commit(journal);
	assert_true(journal_find_reject(journal, 5, &reject, &reason));
	assert_int_equal(reject, JOURNAL_REJECT_SUPPRESSED);
	assert_string_equal(reason, "second");
	assert_int_equal(progress_of(journal).rejects[JOURNAL_REJECT_INVALID], 0);
	journal_close(journal);
}

static void a_long_reason_is_cut_at_a_character(void **state)
{
	struct journal *journal = journal_world_begin();
	char text[JOURNAL_REASON_MAX + 100];
	enum journal_reject reject;
	const char *reason;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	memcpy(text + JOURNAL_REASON_MAX - 2, "朝", 3);
	assert_int_equal(journal_reject(journal, 1, 1, JOURNAL_REJECT_INVALID, text), 0);
	commit(journal);
	assert_true(journal_find_reject(journal, 1, &reject, &reason));
	assert_int_equal(strlen(reason), JOURNAL_REASON_MAX - 2);
	assert_int_equal(strspn(reason, "x"), JOURNAL_REASON_MAX - 2);
	journal_close(journal);
}

static void finished_when_every_row_is_known(void **state)
{
	struct journal *journal = journal_world_begin();
	struct buf error = BUF_INIT(1000);
	struct journal_progress progress;

	for (uint64_t row = 1; row <= ROWS; row++) {
		if (row % 1000 == 7)
			assert_int_equal(
				journal_reject(journal, row, row, row % 5, "not this one"), 0);
		else if (row != 5000)
			assert_int_equal(journal_confirm(journal, row), 0);
	}
	assert_int_equal(journal_finish(journal, BEGUN + 5, &error), ERR_ARGUMENT);
	assert_non_null(strstr(buf_string(&error), "1 rows are neither"));
	assert_int_equal(progress_of(journal).state, JOURNAL_UNFINISHED);
	assert_int_equal(journal_uncommitted_rows(journal), 0);
	buf_clear(&error);
	assert_int_equal(journal_confirm(journal, 5000), 0);
	assert_int_equal(journal_finish(journal, BEGUN + 5, &error), 0);
	assert_int_equal(progress_of(journal).state, JOURNAL_FINISHED);
	assert_false(exists("-wal"));
	journal_close(journal);
	assert_false(exists("-wal") || exists("-shm") || exists("-journal"));
	for (int to_send = 0; to_send <= 1; to_send++) {
		journal = journal_world_open(to_send);
		progress = progress_of(journal);
		assert_int_equal(progress.state, JOURNAL_FINISHED);
		assert_int_equal(progress.finished_epoch_ms, BEGUN + 5);
		assert_int_equal(progress.confirmed, ROWS - 10);
		journal_world_assert_campaign(journal_campaign(journal));
		assert_false(exists("-wal") || exists("-shm"));
		journal_close(journal);
	}
	buf_free(&error);
}

static void the_deadline_can_be_changed(void **state)
{
	struct journal *journal = journal_world_begin();
	struct buf error = BUF_INIT(1000);

	assert_int_equal(journal_set_deadline(journal, 77, &error), 0);
	assert_int_equal(journal_campaign(journal)->deadline_epoch_ms, 77);
	journal_close(journal);
	journal = journal_world_open(false);
	assert_int_equal(journal_campaign(journal)->deadline_epoch_ms, 77);
	journal_close(journal);
}

static void a_reader_follows(void **state)
{
	struct journal *journal = journal_world_begin(), *reader = journal_world_open(false);
	const char *name = journal_campaign(reader)->name;
	struct buf error = BUF_INIT(1000);
	enum journal_reject reject;
	const char *reason;

	assert_int_equal(progress_of(reader).confirmed, 0);
	assert_int_equal(journal_confirm(journal, 1), 0);
	assert_int_equal(journal_reject(journal, 2, 3, JOURNAL_REJECT_REFUSED, "no"), 0);
	assert_int_equal(progress_of(reader).confirmed, 0);
	commit(journal);
	assert_int_equal(progress_of(reader).confirmed, 1);
	assert_int_equal(progress_of(reader).rejects[JOURNAL_REJECT_REFUSED], 1);
	assert_true(journal_is_confirmed(reader, 1));
	assert_true(journal_is_settled(reader, 2));
	assert_true(journal_find_reject(reader, 2, &reject, &reason));
	assert_int_equal(journal_set_deadline(journal, 5, &error), 0);
	for (uint64_t row = 3; row <= ROWS; row++)
		assert_int_equal(journal_confirm(journal, row), 0);
	/* Somebody who reads is not in the way of the end. */
	assert_int_equal(journal_finish(journal, 6, &error), 0);
	assert_int_equal(progress_of(reader).state, JOURNAL_FINISHED);
	assert_int_equal(progress_of(reader).confirmed, ROWS - 1);
	assert_int_equal(journal_campaign(reader)->deadline_epoch_ms, 5);
	assert_ptr_equal(journal_campaign(reader)->name, name);
	journal_close(journal);
	journal_close(reader);
	reader = journal_world_open(false);
	assert_int_equal(progress_of(reader).state, JOURNAL_FINISHED);
	journal_close(reader);
}

static void one_process_sends(void **state)
{
	struct journal *journal = journal_world_begin(), *reader;
	char words[64];

	assert_int_equal(journal_sender(PATH), getpid());
	snprintf(words, sizeof(words), "(process %ld)", (long)getpid());
	assert_refused(true, ERR_PENDING, words);
	reader = journal_world_open(false);
	journal_close(reader);
	assert_refused(true, ERR_PENDING, words); /* the reader took no lock away */
	commit(journal);
	journal_close(journal);
	assert_int_equal(journal_sender(PATH), 0);
	journal_close(journal_world_open(true));
}

static void the_lock_goes_with_the_process(void **state)
{
	int pipe_fds[2], status;
	char byte;
	pid_t pid;

	journal_close(journal_world_begin());
	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct journal *journal = journal_world_open(true);

		if (journal_confirm(journal, 9) == 0)
			commit(journal);
		if (write(pipe_fds[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	assert_int_equal(journal_sender(PATH), pid);
	assert_refused(true, ERR_PENDING, "another process");
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	assert_int_equal(journal_sender(PATH), 0);
	assert_true(exists(".lock")); /* what a dead process left is taken over */
	for (int to_send = 0; to_send <= 1; to_send++) {
		struct journal *journal = journal_world_open(to_send);

		assert_true(journal_is_confirmed(journal, 9));
		journal_close(journal);
	}
	assert_false(exists(".lock"));
}

/* Many open it to send at the same moment, over and over: never two of them at a time. */
static void a_crowd_at_the_lock(void **state)
{
	enum { PROCESSES = 4, ROUNDS = 150, UNDER_MEMCHECK = 10 };
	pid_t pids[PROCESSES];
	int fd, status, rounds = ROUNDS;
	char name[160];

	/* Who is refused tries again at once: that is what takes long there. */
	if (getenv("BUNSHIN_TEST_MEMCHECK") != NULL) {
		rounds = UNDER_MEMCHECK;
		print_message("under memcheck %d rounds only, not %d\n", rounds, ROUNDS);
	}
	journal_close(journal_world_begin());
	snprintf(name, sizeof(name), "%s.new", PATH); /* any file to stand alone in */
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] != 0)
			continue;
		for (int round = 0; round < rounds;) {
			struct buf error = BUF_INIT(1000);
			struct journal *journal;

			if (journal_open(PATH, true, &journal, &error) == 0) {
				fd = open(name, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
				if (fd < 0)
					_exit(3);
				close(fd);
				unlink(name);
				journal_close(journal);
				round++;
			} else if (!strstr(buf_string(&error), "another process")) {
				fprintf(stderr, "%s\n", buf_string(&error));
				_exit(4);
			}
			buf_free(&error);
		}
		_exit(0);
	}
	for (int i = 0; i < PROCESSES; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
}

/* what is no journal */

static void write_file(const char *bytes, size_t len)
{
	int fd = open(PATH, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void change(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(PATH, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void foreign_files(void **state)
{
	for (int to_send = 0; to_send <= 1; to_send++) {
		journal_world_clean();
		assert_refused(to_send, ERR_NOT_FOUND, "there is no ");
		write_file("", 0);
		assert_refused(to_send, ERR_IO, "it is no journal of a campaign");
		write_file("to,name\nU1,a\n", 13);
		assert_refused(to_send, ERR_IO, "file is not a database");
		journal_world_clean();
		change("CREATE TABLE x(y)");
		assert_refused(to_send, ERR_IO, "it is no journal of a campaign");
		journal_world_clean();
		assert_int_equal(mkdir(PATH, 0700), 0);
		assert_refused(to_send, ERR_IO, "cannot use ");
		assert_int_equal(rmdir(PATH), 0);
	}
}

static void what_others_have_changed(void **state)
{
	static const struct {
		const char *sql, *words;
	} rows[] = {
		{"PRAGMA user_version=3", "newer version of bunshin (version 3, this one knows 2)"},
		{"PRAGMA user_version=1", "its tables are not those of a journal"},
		{"PRAGMA user_version=0", "newer version of bunshin"},
		{"DROP TABLE packing", "its tables are not those of a journal"},
		{"DELETE FROM packing", "how it is packed is missing"},
		{"UPDATE packing SET id=2", "how it is packed is missing"},
		{"UPDATE packing SET most=400", "the checksum of how it is packed"},
		{"UPDATE packing SET most=1<<40", "the checksum of how it is packed"},
		{"UPDATE packing SET field='id'", "the checksum of how it is packed"},
		{"UPDATE packing SET field=''", "the checksum of how it is packed"},
		{"UPDATE packing SET field='to'||char(0)", "the checksum of how it is packed"},
		{"UPDATE packing SET field=hex(zeroblob(60000))",
			"the checksum of how it is packed"},
		{"PRAGMA application_id=1", "it is no journal"},
		{"CREATE TABLE x(y)", "its tables are not those of a journal"},
		{"DROP TABLE rejects", "its tables are not those"},
		{"CREATE INDEX i ON rejects(line)", "its tables are not those"},
		{"ALTER TABLE rejects ADD COLUMN z", "its tables are not those"},
		{"CREATE TRIGGER t AFTER INSERT ON rejects BEGIN SELECT 1; END",
			"its tables are not those"},
		{"DROP TABLE confirmed; CREATE VIEW confirmed AS WITH RECURSIVE c(n) AS (SELECT 1 "
		 "UNION ALL SELECT n+1 FROM c) SELECT n AS chunk, zeroblob(512) AS bits, 0 AS sum "
		 "FROM c",
			"its tables are not those"},
		{"DELETE FROM campaign", "the campaign is missing"},
		{"UPDATE campaign SET name='evening'", "checksum"},
		{"UPDATE campaign SET deadline=deadline+1", "checksum"},
		{"UPDATE campaign SET finished=1", "checksum"},
		{"UPDATE campaign SET list_rows=1<<62", "checksum"},
		{"UPDATE campaign SET template_file=NULL", "checksum"},
		{"UPDATE campaign SET list_sha256=x'00'", "checksum"},
		{"UPDATE campaign SET queue_url=x'00'", "checksum"},
		{"UPDATE campaign SET rules='a'||char(0)||'b'", "checksum"},
		{"UPDATE confirmed SET bits=zeroblob(512)", "checksum of a chunk"},
		{"UPDATE confirmed SET bits=zeroblob(511)", "a chunk of rows is malformed"},
		{"UPDATE confirmed SET bits=zeroblob(100000)", "a chunk of rows is malformed"},
		{"UPDATE confirmed SET chunk=1", "checksum of a chunk"},
		{"UPDATE confirmed SET chunk=-1", "a chunk of rows is malformed"},
		{"UPDATE rejects SET list_row=8", "checksum of a rejected row"},
		{"UPDATE rejects SET list_row=0", "a rejected row is malformed"},
		{"UPDATE rejects SET list_row=1<<62", "a rejected row is malformed"},
		{"UPDATE rejects SET reject=5", "a rejected row is malformed"},
		{"UPDATE rejects SET reject=-1", "a rejected row is malformed"},
		{"UPDATE rejects SET reason='other'", "checksum of a rejected row"},
		{"UPDATE rejects SET reason=hex(zeroblob(60000))", "a rejected row is malformed"},
		{"UPDATE rejects SET line=0", "checksum of a rejected row"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct journal *journal;

		journal_world_clean();
		journal = journal_world_begin();
		assert_int_equal(journal_confirm(journal, 1), 0);
		assert_int_equal(
			journal_reject(journal, 7, 8, JOURNAL_REJECT_REFUSED, "reason"), 0);
		commit(journal);
		journal_close(journal);
		change(rows[i].sql);
		assert_refused(i % 2, ERR_IO, rows[i].words);
		assert_refused(!(i % 2), ERR_IO, rows[i].words);
	}
}

/* A checksum that fits does not make rows that the list does not have. */
static void a_chunk_of_another_list(void **state)
{
	struct journal_campaign campaign = journal_world_campaign();
	struct buf error = BUF_INIT(1000);
	struct journal *journal = journal_world_begin();
	char other[160], sql[400];

	assert_int_equal(journal_confirm(journal, 10000), 0);
	commit(journal);
	journal_close(journal);
	snprintf(other, sizeof(other), "%s-other", PATH);
	assert_int_equal(rename(PATH, other), 0);
	campaign.rows = 9999;
	assert_int_equal(journal_world_begin_as(&campaign, 1, &journal, &error), 0);
	journal_close(journal);
	snprintf(sql, sizeof(sql),
		"ATTACH '%s' AS o; INSERT INTO confirmed SELECT * FROM o.confirmed; DETACH o",
		other);
	change(sql);
	assert_refused(true, ERR_IO, "rows that the list does not have");
	unlink(other);
	buf_free(&error);
}

static void where_it_cannot_be_made(void **state)
{
	struct buf error = BUF_INIT(8000);
	struct journal *journal = NULL;
	char path[5000] = "/tmp/";

	assert_int_equal(journal_prepare("/no/such/x.campaign", &journal, &error), ERR_IO);
	assert_non_null(strstr(buf_string(&error), "No such file or directory"));
	buf_clear(&error);
	memset(path + 5, 'x', 300);
	assert_int_equal(journal_prepare(path, &journal, &error), ERR_IO);
	assert_non_null(strstr(buf_string(&error), "File name too long"));
	buf_clear(&error);
	memset(path + 5, 'x', sizeof(path) - 6);
	assert_int_equal(journal_prepare(path, &journal, &error), ERR_IO);
	assert_non_null(strstr(buf_string(&error), "File name too long"));
	assert_null(journal);
	buf_free(&error);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, journal_world_enter, journal_world_leave)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(reject_names),
		TEST(a_campaign_is_there_again),
		TEST(what_is_not_given_is_null),
		TEST(packs_are_of_another_version),
		TEST(begun_twice),
		TEST(prepared_with_rejects),
		TEST(prepared_and_given_up),
		TEST(begun_and_discarded),
		TEST(too_large),
		TEST(rows_are_there_after_a_commit),
		TEST(rejects_are_there_after_a_commit),
		TEST(a_confirmed_row_is_not_rejected),
		TEST(a_reject_of_another_kind_replaces),
		TEST(a_long_reason_is_cut_at_a_character),
		TEST(finished_when_every_row_is_known),
		TEST(the_deadline_can_be_changed),
		TEST(a_reader_follows),
		TEST(one_process_sends),
		TEST(the_lock_goes_with_the_process),
		TEST(a_crowd_at_the_lock),
		TEST(foreign_files),
		TEST(what_others_have_changed),
		TEST(a_chunk_of_another_list),
		TEST(where_it_cannot_be_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
