/* Many workers made into one answer. */
#include "admin/admin.h"
#include "base/utf8.h"
#include "cli/run/readiness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S UINT64_C(1000000)
#define NOW (1000 * S)
#define PLACES 12

static struct board *board;
static struct board_counts counts;

static int set_up(void **state)
{
	board = board_new(PLACES);
	counts = (struct board_counts){.wanted = 3};
	return board == NULL;
}

static int tear_down(void **state)
{
	board_free(board);
	return 0;
}

static void sit(unsigned place, enum board_state state)
{
	board_seat_set(board, place,
		&(struct board_seat){
			.state = state, .pid = 100, .number = place + 1, .since_us = NOW - S});
}

static void report(unsigned place, bool begun)
{
	board_report_set(board, place,
		&(struct board_report){.heartbeat_us = NOW - S,
			.progress_us = NOW - S,
			.begun = begun,
			.held = 10,
			.busy = 4,
			.slots = 50});
}

static void check(unsigned place, unsigned health, const char *detail)
{
	struct board_check checks[2];

	board_check_fill(&checks[0], "queue", health, detail);
	board_check_fill(&checks[1], "deletes", ADMIN_OK, "");
	board_checks_set(board, place, checks, 2);
}

static void worker(unsigned place, enum board_state state, unsigned health, const char *detail)
{
	sit(place, state);
	report(place, state != BOARD_STARTING);
	check(place, health, detail);
}

static void fine(unsigned place)
{
	worker(place, BOARD_RUNNING, ADMIN_OK, "");
}

static void assert_check(const char *name, unsigned health, const char *detail)
{
	struct board_check checks[READINESS_CHECKS_MAX];
	size_t count;

	board_counts_set(board, &counts);
	count = readiness_checks(board, NOW, checks);
	assert_string_equal(checks[0].name, "workers");
	for (size_t i = 0; i < count; i++) {
		if (strcmp(checks[i].name, name) != 0)
			continue;
		assert_string_equal(checks[i].detail, detail);
		assert_int_equal(checks[i].health, health);
		return;
	}
	fail_msg("no check %s", name);
}

static void all_well(void **state)
{
	struct board_check checks[READINESS_CHECKS_MAX];

	for (unsigned i = 0; i < 3; i++)
		fine(i);
	assert_check("workers", ADMIN_OK, "");
	assert_check("queue", ADMIN_OK, "");
	assert_check("deletes", ADMIN_OK, "");
	assert_int_equal(readiness_checks(board, NOW, checks), 3);
}

static void failed_only_when_all_have(void **state)
{
	fine(0);
	fine(1);
	worker(2, BOARD_RUNNING, ADMIN_FAILED, "gone");
	assert_check("queue", ADMIN_DEGRADED, "in 1 of 3 workers: gone");
	/* The worst words are told, the first of them. */
	worker(0, BOARD_RUNNING, ADMIN_DEGRADED, "full");
	assert_check("queue", ADMIN_DEGRADED, "in 2 of 3 workers: gone");
	worker(1, BOARD_RUNNING, ADMIN_FAILED, "refused");
	assert_check("queue", ADMIN_DEGRADED, "refused");
	worker(0, BOARD_RUNNING, ADMIN_FAILED, "late");
	assert_check("queue", ADMIN_FAILED, "late");
	assert_check("deletes", ADMIN_OK, "");
	assert_check("workers", ADMIN_OK, "");
}

static void one_worker_says_it_in_its_own_words(void **state)
{
	counts.wanted = 1;
	worker(5, BOARD_RUNNING, ADMIN_FAILED, "gone");
	assert_check("queue", ADMIN_FAILED, "gone");
	worker(5, BOARD_RUNNING, ADMIN_DEGRADED, "full");
	assert_check("queue", ADMIN_DEGRADED, "full");
}

/* What a new one, or an old one in a reload, says of itself is not what the others do. */
static void those_that_receive_are_asked_first(void **state)
{
	worker(0, BOARD_STOPPING, ADMIN_FAILED, "draining");
	assert_check("queue", ADMIN_FAILED, "draining");
	assert_check("workers", ADMIN_FAILED, "0 of 3 are receiving");
	worker(1, BOARD_STARTING, ADMIN_FAILED, "not asked yet");
	assert_check("queue", ADMIN_FAILED, "not asked yet");
	assert_check("workers", ADMIN_FAILED, "0 of 3 are receiving; 1 starting");
	fine(2);
	assert_check("queue", ADMIN_OK, "");
	assert_check("workers", ADMIN_DEGRADED, "1 of 3 is receiving; 1 starting");
	/* It has begun; the supervisor has not looked yet. */
	report(1, true);
	check(1, ADMIN_OK, "");
	assert_check("workers", ADMIN_DEGRADED, "2 of 3 are receiving");
}

static void fewer_than_there_should_be(void **state)
{
	counts.wanted = 8;
	for (unsigned i = 0; i < 7; i++)
		fine(i);
	sit(7, BOARD_WAITING);
	assert_check(
		"workers", ADMIN_DEGRADED, "7 of 8 are receiving; 1 died, to be started again");
	board_seat_set(board, 7,
		&(struct board_seat){.state = BOARD_WAITING, .number = 8, .failures_in_row = 5});
	assert_check("workers", ADMIN_DEGRADED,
		"7 of 8 are receiving; 1 died, to be started again; 1 in a crash loop");
	board_report_set(board, 0, &(struct board_report){.heartbeat_us = NOW - 11 * S});
	sit(7, BOARD_STARTING);
	assert_check("workers", ADMIN_DEGRADED, "6 of 8 are receiving; 1 starting; 1 silent");
	/* More than there should be, in a reload, are fine. */
	for (unsigned i = 0; i < 9; i++)
		fine(i);
	assert_check("workers", ADMIN_OK, "");
	counts.stopping = true;
	assert_check("workers", ADMIN_FAILED, "stopping");
}

static void nobody(void **state)
{
	struct board_check checks[READINESS_CHECKS_MAX];

	counts.wanted = 0;
	assert_check("workers", ADMIN_FAILED, "0 of 0 are receiving");
	assert_int_equal(readiness_checks(board, NOW, checks), 1);
}

/* 10 s old counts, a microsecond more does not. */
static void old_reports_do_not_count(void **state)
{
	struct readiness_sum sum;

	fine(0);
	board_report_set(board, 0,
		&(struct board_report){.heartbeat_us = NOW - 10 * S, .begun = true, .busy = 7});
	readiness_sum(board, NOW, &sum);
	assert_int_equal(sum.receiving, 1);
	assert_int_equal(sum.busy, 7);
	readiness_sum(board, NOW + 1, &sum);
	assert_int_equal(sum.receiving, 0);
	assert_int_equal(sum.silent, 1);
	assert_int_equal(sum.busy, 0);
	/* Written a moment after the reader looked at its clock. */
	readiness_sum(board, NOW - 20 * S, &sum);
	assert_int_equal(sum.receiving, 1);
}

static void sums(void **state)
{
	struct readiness_sum sum;

	fine(0);
	fine(1);
	worker(2, BOARD_STARTING, ADMIN_OK, "");
	worker(3, BOARD_STOPPING, ADMIN_OK, "");
	sit(4, BOARD_WAITING);
	sit(5, BOARD_STARTING); /* has not reported yet */
	readiness_sum(board, NOW, &sum);
	assert_int_equal(sum.receiving, 2);
	assert_int_equal(sum.starting, 2);
	assert_int_equal(sum.stopping, 1);
	assert_int_equal(sum.waiting, 1);
	assert_int_equal(sum.silent, 0);
	assert_int_equal(sum.busy, 16);
	assert_int_equal(sum.slots, 200);
	assert_int_equal(sum.held, 40);
}

static void long_words_are_cut_between_characters(void **state)
{
	char words[BOARD_CHECK_DETAIL_SIZE];
	struct board_check checks[READINESS_CHECKS_MAX];
	size_t count;

	for (size_t shift = 0; shift < 4; shift++) {
		memset(words, 0, sizeof(words));
		memset(words, 'x', shift);
		for (size_t i = shift; i + 3 < sizeof(words); i += 3)
			memcpy(words + i, "\xe5\x88\x86", 3);
		fine(0);
		worker(1, BOARD_RUNNING, ADMIN_FAILED, words);
		count = readiness_checks(board, NOW, checks);
		assert_int_equal(count, 3);
		assert_memory_equal(checks[1].detail, "in 1 of 2 workers: ", 19);
		assert_in_range(strlen(checks[1].detail), 250, 255);
		for (size_t i = 0, step; i < strlen(checks[1].detail); i += step) {
			step = utf8_sequence(checks[1].detail + i, strlen(checks[1].detail) - i);
			assert_in_range(step, 1, 4);
		}
	}
}

/* Whoever writes twelve names of its own leaves no room for the others', and breaks nothing. */
static void more_names_than_there_is_room_for(void **state)
{
	struct board_check own[BOARD_CHECKS_MAX], checks[READINESS_CHECKS_MAX];

	for (unsigned i = 0; i < BOARD_CHECKS_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "own%u", i);
		board_check_fill(&own[i], name, ADMIN_FAILED, "x");
	}
	fine(0);
	fine(1);
	board_checks_set(board, 0, own, BOARD_CHECKS_MAX);
	assert_int_equal(readiness_checks(board, NOW, checks), READINESS_CHECKS_MAX);
	assert_string_equal(checks[1].name, "own0");
	assert_string_equal(checks[1].detail, "in 1 of 2 workers: x");
}

static void assert_alive(bool expected, const char *words)
{
	struct buf text = BUF_INIT(1000);

	assert_int_equal(readiness_is_alive(board, NOW, &text), expected);
	assert_string_equal(buf_string(&text), words);
	buf_free(&text);
}

static void alive(unsigned place, uint64_t heartbeat_us, uint64_t progress_us)
{
	sit(place, BOARD_RUNNING);
	board_report_set(board, place,
		&(struct board_report){
			.heartbeat_us = heartbeat_us, .progress_us = progress_us, .begun = true});
}

static void liveness(void **state)
{
	assert_alive(true, "");
	alive(0, NOW - S, NOW - 60 * S);
	assert_alive(true, "");
	alive(0, NOW - S, NOW - 60 * S - 1);
	assert_alive(false, "none of 1 workers makes progress");
	alive(0, NOW - 61 * S, NOW - 61 * S);
	alive(1, NOW - 61 * S, NOW - 1);
	assert_alive(false, "none of 2 workers makes progress");
	/* One is enough. */
	alive(2, NOW, NOW);
	assert_alive(true, "");
}

static void liveness_of_the_new_and_the_dead(void **state)
{
	struct board_seat seat = {.state = BOARD_STARTING, .pid = 1, .since_us = NOW - 60 * S};

	board_seat_set(board, 0, &seat);
	assert_alive(true, "");
	seat.since_us--;
	board_seat_set(board, 0, &seat);
	assert_alive(false, "none of 1 workers makes progress");
	seat = (struct board_seat){
		.state = BOARD_WAITING, .since_us = NOW - S, .failures_in_row = 4};
	board_seat_set(board, 0, &seat);
	assert_alive(true, "");
	seat.failures_in_row = 5;
	board_seat_set(board, 0, &seat);
	assert_alive(false, "none of 1 workers makes progress");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(all_well),
		TEST(failed_only_when_all_have),
		TEST(one_worker_says_it_in_its_own_words),
		TEST(those_that_receive_are_asked_first),
		TEST(fewer_than_there_should_be),
		TEST(nobody),
		TEST(old_reports_do_not_count),
		TEST(sums),
		TEST(long_words_are_cut_between_characters),
		TEST(more_names_than_there_is_room_for),
		TEST(liveness),
		TEST(liveness_of_the_new_and_the_dead),
	};

	return cmocka_run_group_tests_name("readiness", tests, NULL, NULL);
}
