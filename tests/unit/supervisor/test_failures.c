/* Groups of failures: found, added up, mended; and on the board, over workers that go. */
#include "supervisor/board.h"
#include "supervisor/failures.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

static struct failure_group group_of(const char *reason, uint64_t count, int64_t last_ms)
{
	struct failure_group group = {
		.outcome = FAILURE_FAILED, .status = 400, .count = count, .last_ms = last_ms};

	failure_text(group.destination, sizeof(group.destination), "line", 4);
	failure_text(group.reason, sizeof(group.reason), reason, strlen(reason));
	snprintf(group.message_id, sizeof(group.message_id), "m-%lld", (long long)last_ms);
	return group;
}

static struct failures *table_of(size_t count, const struct failure_group groups[])
{
	static struct failures table;

	memset(&table, 0, sizeof(table));
	table.count = count;
	memcpy(table.groups, groups, count * sizeof(groups[0]));
	return &table;
}

static void texts(void **state)
{
	char text[6] = "xxxxx";

	failure_text(text, sizeof(text), NULL, 3);
	assert_memory_equal(text, "\0\0\0\0\0", 6);
	failure_text(text, sizeof(text), "abcdefgh", 8);
	assert_string_equal(text, "abcde");
	failure_text(text, sizeof(text), "abcd\u00e9", 6);
	assert_memory_equal(text, "abcd\0", 6);
	failure_text(text, sizeof(text), "\u671d\u671d", 6);
	assert_memory_equal(text, "\u671d\0\0", 6);
}

static void groups(void **state)
{
	struct failures failures = {.count = 0};
	struct failure_group like = group_of("a", 5, 9), *group;

	assert_null(failures_find(&failures, &like));
	group = failures_get(&failures, &like);
	assert_int_equal(group->count, 0);
	group->count = 1;
	assert_ptr_equal(failures_get(&failures, &like), group);
	assert_int_equal(group->count, 1);
	like.status = 401;
	assert_null(failures_find(&failures, &like));
	like.status = 400;
	like.outcome = FAILURE_FAILED_LEFT;
	assert_null(failures_find(&failures, &like));
	like.outcome = FAILURE_FAILED;
	like.destination[0] = 'L';
	assert_null(failures_find(&failures, &like));
	like.destination[0] = 'l';
	like.class[0] = 'c';
	assert_null(failures_find(&failures, &like));
}

/* The group of which nothing was heard for longest is forgotten. */
static void full(void **state)
{
	struct failures failures = {.count = 0};
	struct failure_group like;
	char reason[16];

	for (int i = 0; i < FAILURES_MAX + 3; i++) {
		struct failure_group *group;

		snprintf(reason, sizeof(reason), "r%d", i);
		like = group_of(reason, 0, 0);
		group = failures_get(&failures, &like);
		group->count = 1;
		group->last_ms = 100 + i;
	}
	assert_int_equal(failures.count, FAILURES_MAX);
	like = group_of("r2", 0, 0);
	assert_null(failures_find(&failures, &like));
	like = group_of("r3", 0, 0);
	assert_non_null(failures_find(&failures, &like));
	failures_sort(&failures);
	assert_string_equal(failures.groups[0].reason, "r26");
	/* Adding: what is later has its room, what is older has not. */
	like = group_of("old", 7, 50);
	failures_add(&failures, table_of(1, &like));
	assert_null(failures_find(&failures, &like));
	like = group_of("new", 7, 500);
	failures_add(&failures, table_of(1, &like));
	assert_int_equal(failures_find(&failures, &like)->count, 7);
	assert_int_equal(failures.count, FAILURES_MAX);
}

static void added_up(void **state)
{
	const struct failure_group first[] = {group_of("a", 3, 10), group_of("b", 1, 11)};
	const struct failure_group second[] = {group_of("a", 4, 20), group_of("b", 2, 5)};
	struct failures sum = {.count = 0};

	failures_add(&sum, table_of(2, first));
	failures_add(&sum, table_of(2, second));
	assert_int_equal(sum.count, 2);
	assert_int_equal(sum.groups[0].count, 7);
	assert_string_equal(sum.groups[0].message_id, "m-20");
	assert_int_equal(sum.groups[1].count, 3);
	assert_string_equal(sum.groups[1].message_id, "m-11");
	assert_int_equal(sum.groups[1].last_ms, 11);
}

static void mended(void **state)
{
	struct failure_group rows[] = {group_of("a", 1, 1), group_of("b", 1, 1),
		group_of("c", 0, 1), group_of("d", UINT64_MAX, 1), group_of("e", 1, -1),
		group_of("f", 1, 1)};
	struct failures *table;

	rows[0].outcome = FAILURE_OUTCOMES;
	rows[5].status = -1;
	memset(rows[1].answer, 'x', sizeof(rows[1].answer));
	memset(rows[1].reason, 'y', sizeof(rows[1].reason));
	table = table_of(6, rows);
	failures_mend(table);
	assert_int_equal(table->count, 1);
	assert_int_equal(strlen(table->groups[0].answer), FAILURE_ANSWER_SIZE - 1);
	assert_int_equal(strlen(table->groups[0].reason), FAILURE_REASON_SIZE - 1);
	table->count = SIZE_MAX;
	failures_mend(table);
	assert_true(table->count <= FAILURES_MAX);
}

/* ---- on the board */

static struct board *board;

static int open_board(void **state)
{
	board = board_new(3);
	return board == NULL;
}

static int close_board(void **state)
{
	board_free(board);
	return 0;
}

static uint64_t count_on_board(size_t groups)
{
	struct failures failures;
	uint64_t count = 0;

	assert_int_equal(board_failures_collect(board, &failures), 0);
	assert_int_equal(failures.count, groups);
	for (size_t i = 0; i < failures.count; i++)
		count += failures.groups[i].count;
	return count;
}

static void put(unsigned place, const char *reason, uint64_t count, int64_t last_ms)
{
	const struct failure_group group = group_of(reason, count, last_ms);

	board_failures_set(board, place, table_of(1, &group));
}

static void workers_that_go(void **state)
{
	assert_int_equal(count_on_board(0), 0);
	put(0, "a", 3, 10);
	put(1, "a", 4, 20);
	put(2, "b", 1, 30);
	assert_int_equal(count_on_board(2), 8);
	board_clear(board, 1);
	assert_int_equal(count_on_board(2), 8);
	put(1, "c", 5, 40);
	board_clear(board, 1);
	board_clear(board, 0);
	board_clear(board, 2);
	assert_int_equal(count_on_board(3), 13);
	board_clear(board, 0);
	assert_int_equal(count_on_board(3), 13);
}

/* A full table of each, and the notes behind them: nothing lies over something else. */
static void places_do_not_overlap(void **state)
{
	struct failures table = {.count = FAILURES_MAX}, sum;
	unsigned char *notes = board_notes(board);

	memset(notes, 0x5a, BOARD_NOTES_BYTES);
	for (size_t i = 0; i < FAILURES_MAX; i++) {
		char reason[16];

		snprintf(reason, sizeof(reason), "r%zu", i);
		table.groups[i] = group_of(reason, 1, 100 + (int64_t)i);
		memset(table.groups[i].answer, 'x', FAILURE_ANSWER_SIZE - 1);
	}
	for (int round = 0; round < 3; round++) {
		for (unsigned place = 0; place < 3; place++)
			board_failures_set(board, place, &table);
		board_clear(board, (unsigned)round);
		board_failures_set(board, (unsigned)round, &table);
	}
	assert_int_equal(board_failures_collect(board, &sum), 0);
	assert_int_equal(sum.count, FAILURES_MAX);
	for (size_t i = 0; i < FAILURES_MAX; i++)
		assert_int_equal(sum.groups[i].count, 6);
	assert_string_equal(sum.groups[0].reason, "r23");
	for (size_t i = 0; i < BOARD_NOTES_BYTES; i++)
		assert_int_equal(notes[i], 0x5a);
}

/* Written by a worker in a process of its own, whole or as before, whenever it dies. */
static void killed_while_writing(void **state)
{
	for (int round = 0; round < 20; round++) {
		pid_t pid = fork();
		struct failures sum;
		int status;

		if (pid == 0) {
			for (uint64_t i = 1;; i++)
				put(0, i % 2 ? "odd" : "even", i, (int64_t)i);
		}
		usleep(2000);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(board_failures_collect(board, &sum), 0);
		for (size_t i = 0; i < sum.count; i++) {
			char id[32];

			snprintf(id, sizeof(id), "m-%lld", (long long)sum.groups[i].last_ms);
			assert_string_equal(sum.groups[i].message_id, id);
			assert_int_equal((sum.groups[i].last_ms % 2 != 0),
				(strcmp(sum.groups[i].reason, "odd") == 0));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(groups),
		cmocka_unit_test(full),
		cmocka_unit_test(added_up),
		cmocka_unit_test(mended),
		cmocka_unit_test_setup_teardown(workers_that_go, open_board, close_board),
		cmocka_unit_test_setup_teardown(places_do_not_overlap, open_board, close_board),
		cmocka_unit_test_setup_teardown(killed_while_writing, open_board, close_board),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
