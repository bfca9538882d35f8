/*
 * Passes over a failure queue in virtual time. Whatever goes wrong at whatever call, and wherever
 * the process dies: every message is in one of the two queues, and only what was chosen has moved.
 */
#include "campaign/failure_pass.h"

#include "bunshin/error.h"
#include "failmalloc.h"
#include "two_queues.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VISIBILITY_S 300
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct two_queues both;
static struct failure_pass *pass;
static struct failure_pass_options options;

/* What the visitor has seen and says. */
static struct {
	unsigned visits[STORED_MAX];
	unsigned visited;
	enum failure_wish odd, even;
	unsigned stop_after; /* 0: never */
	bool grows;
	unsigned told, told_sent;
	bool finished;
	int err;
	char reason[200];
} my;

static int start(void **state)
{
	two_queues_open(&both);
	memset(&my, 0, sizeof(my));
	options = (struct failure_pass_options){
		.source = two_queues_table(&both.failures),
		.target = two_queues_table(&both.source),
		.clock = both.clock,
		.slots = 3,
		.batch = 10,
		.visibility_s = VISIBILITY_S,
		.expected = 100,
		.left_max = 100000,
	};
	return 0;
}

static int end(void **state)
{
	failure_pass_free(pass);
	pass = NULL;
	two_queues_close(&both);
	return 0;
}

static void put(size_t count)
{
	for (size_t i = 0; i < count; i++)
		two_queues_put(&both.failures, NULL, 0);
}

static enum failure_wish on_visit(
	void *arg, const struct queue_message *message, struct failure_outgoing *outgoing)
{
	int number = atoi(message->body + 1);
	enum failure_wish wish = number % 2 ? my.odd : my.even;

	assert_false(my.finished);
	my.visits[number]++;
	my.visited++;
	if (my.grows)
		two_queues_put(&both.failures, NULL, 0);
	if (my.stop_after > 0 && my.visited >= my.stop_after)
		failure_pass_stop(pass);
	if (my.stop_after > 0 && my.visited > my.stop_after)
		return FAILURE_LEAVE;
	outgoing->send =
		(struct queue_send){.body = message->body, .body_bytes = message->body_bytes};
	return wish;
}

static void on_failed(void *arg, const struct queue_message *message, bool sent, const char *reason)
{
	assert_true(reason[0] != '\0');
	assert_int_equal(message->body[0], 'm');
	my.told++;
	my.told_sent += sent;
}

static void on_finished(void *arg, int err, const char *reason)
{
	assert_false(my.finished);
	my.finished = true;
	my.err = err;
	snprintf(my.reason, sizeof(my.reason), "%s", reason);
}

static void begin(void)
{
	const struct failure_pass_events events = {on_visit, on_failed, on_finished, NULL};

	assert_int_equal(failure_pass_new(&options, &events, &pass), 0);
	assert_int_equal(failure_pass_start(pass), 0);
}

static const struct failure_pass_totals *run(void)
{
	begin();
	while (!my.finished)
		assert_true(manual_clock_step(&both.manual));
	return failure_pass_totals(pass);
}

static void assert_sums(const struct failure_pass_totals *t)
{
	assert_int_equal(
		t->seen, t->left + t->sent + t->deleted + t->unsent + t->undeleted + t->undropped);
	assert_true(t->maybe_sent <= t->unsent);
}

static void looking_changes_nothing(void **state)
{
	const struct failure_pass_totals *t;

	put(237);
	t = run();
	assert_int_equal(my.err, 0);
	assert_int_equal(t->end, FAILURE_PASS_EMPTY);
	assert_int_equal(t->seen, 237);
	assert_int_equal(t->left, 237);
	assert_int_equal(t->repeats + t->unreleased, 0);
	for (size_t i = 0; i < 237; i++) {
		assert_int_equal(my.visits[i], 1);
		assert_int_equal(both.failures.stored[i].receives, 1);
	}
	assert_int_equal(two_queues_visible(&both.failures), 237);
	assert_int_equal(both.source.count, 0);
}

static void answers_of_a_few_at_a_time(void **state)
{
	both.receive_max = 3;
	put(50);
	assert_int_equal(run()->seen, 50);
	assert_int_equal(two_queues_visible(&both.failures), 50);
}

static void an_empty_queue(void **state)
{
	const struct failure_pass_totals *t = run();

	assert_int_equal(t->seen, 0);
	assert_int_equal(t->end, FAILURE_PASS_EMPTY);
	assert_int_equal(both.ops[2], 0);
	assert_int_equal(both.manual.now_us, 1000000); /* one wait */
}

static void what_is_chosen_moves(void **state)
{
	const struct failure_pass_totals *t;
	char body[24];

	my.odd = FAILURE_SEND;
	put(101);
	t = run();
	assert_sums(t);
	assert_int_equal(t->sent, 50);
	assert_int_equal(t->left, 51);
	for (int i = 0; i < 101; i++) {
		snprintf(body, sizeof(body), "m%d", i);
		assert_int_equal(two_queues_find(&both.source, body), i % 2);
		assert_int_equal(two_queues_find(&both.failures, body), 1 - i % 2);
	}
	assert_int_equal(two_queues_visible(&both.failures), 51);
	assert_int_equal(my.told, 0);
}

static void what_is_chosen_is_deleted(void **state)
{
	const struct failure_pass_totals *t;

	my.even = FAILURE_DELETE;
	options.target = (struct queue){0};
	put(101);
	t = run();
	assert_sums(t);
	assert_int_equal(t->deleted, 51);
	assert_int_equal(t->left, 50);
	assert_int_equal(two_queues_visible(&both.failures), 50);
	assert_int_equal(both.source.count, 0);
}

/* ---- faults */

#define FEW 25

static const int errors[] = {ERR_UNAVAILABLE, ERR_THROTTLED, ERR_TIMEOUT, ERR_LIMIT, ERR_REFUSED,
	ERR_TOO_LARGE, ERR_ACCESS_DENIED, ERR_QUEUE_MISSING, ERR_NOMEM};

static bool is_passing(int err)
{
	return err == ERR_LIMIT || error_class(err) == ERROR_TRANSIENT ||
	       error_class(err) == ERROR_THROTTLED;
}

/* Every message is somewhere, the even ones have never left, and nothing is there without end. */
static void assert_nothing_lost(const char *what)
{
	for (int i = 0; i < FEW; i++) {
		size_t here, there;
		char body[24];

		snprintf(body, sizeof(body), "m%d", i);
		here = two_queues_find(&both.failures, body);
		there = two_queues_find(&both.source, body);
		/* Three answers in a row that get lost are three copies. */
		if (here + there == 0 || here > 1 || there > 3 || (i % 2 == 0 && there > 0))
			fail_msg("%s: %s is there %zu and %zu times", what, body, here, there);
	}
}

static void assert_totals_are_true(const struct failure_pass_totals *t, const char *what)
{
	size_t duplicates = 0, moved = 0;

	for (int i = 1; i < FEW; i += 2) {
		char body[24];
		size_t here, there;

		snprintf(body, sizeof(body), "m%d", i);
		here = two_queues_find(&both.failures, body);
		there = two_queues_find(&both.source, body);
		moved += here == 0;
		duplicates += here > 0 && there > 0;
	}
	if (t->sent > moved || duplicates > t->undeleted + t->maybe_sent)
		fail_msg("%s: sent %zu of %zu, twice %zu of %zu and %zu", what, (size_t)t->sent,
			moved, duplicates, (size_t)t->undeleted, (size_t)t->maybe_sent);
}

/* Who says that it refused did nothing. */
static bool is_possible(enum fault_kind kind, int err)
{
	return kind != FAULT_LOST || err == ERR_UNAVAILABLE || err == ERR_TIMEOUT;
}

/* One pass with a fault. Returns how many calls it made. */
static unsigned long one_pass(
	unsigned long at, unsigned long until, enum fault_kind kind, int err, bool *ret_all_moved)
{
	const struct failure_pass_totals *t;
	unsigned long calls;
	char what[100];

	snprintf(what, sizeof(what), "call %lu to %lu, fault %d, error %d", at, until, kind, err);
	start(NULL);
	my.odd = FAILURE_SEND;
	both.fault_at = at;
	both.fault_until = until;
	both.fault = kind;
	both.fault_err = err;
	put(FEW);
	t = run();
	assert_nothing_lost(what);
	assert_totals_are_true(t, what);
	assert_sums(t);
	if (t->end == FAILURE_PASS_EMPTY && t->unreleased == 0 && t->undeleted == 0 &&
		(kind != FAULT_LOST || t->seen == FEW))
		assert_int_equal(
			two_queues_visible(&both.failures), two_queues_alive(&both.failures));
	assert_int_equal(my.told, t->unsent + t->undeleted);
	*ret_all_moved = t->sent == FEW / 2 && my.err == 0;
	calls = both.call_count;
	end(NULL);
	return calls;
}

static void every_call_fails_in_turn(void **state)
{
	unsigned runs = 0;

	for (int kind = FAULT_SYNC; kind < FAULT_KINDS; kind++) {
		for (size_t e = 0; e < COUNT_OF(errors); e++) {
			unsigned long calls = is_possible((enum fault_kind)kind, errors[e]);

			for (unsigned long k = 1; k <= calls; k++) {
				bool moved;

				calls = one_pass(k, k, (enum fault_kind)kind, errors[e], &moved);
				runs++;
				/* A failure that passes costs nothing but time. */
				if (is_passing(errors[e]) && kind != FAULT_LOST && !moved)
					fail_msg("call %lu, fault %d, error %d: not all moved", k,
						kind, errors[e]);
			}
		}
	}
	print_message("%u passes\n", runs);
}

static void all_calls_fail_from_one_on(void **state)
{
	for (int kind = FAULT_SYNC; kind < FAULT_KINDS; kind++) {
		for (size_t e = 0; e < COUNT_OF(errors); e++) {
			unsigned long clean =
				is_possible((enum fault_kind)kind, errors[e]) ? 30 : 0;

			for (unsigned long k = 1; k <= clean; k++) {
				bool moved;

				one_pass(k, ULONG_MAX, (enum fault_kind)kind, errors[e], &moved);
			}
		}
	}
}

static void wherever_the_process_dies(void **state)
{
	bool finished = false;
	unsigned steps = 0;

	for (; !finished; steps++) {
		char what[40];

		snprintf(what, sizeof(what), "died after %u steps", steps);
		start(NULL);
		my.odd = FAILURE_SEND;
		put(FEW);
		begin();
		for (unsigned i = 0; i < steps && !my.finished; i++)
			assert_true(manual_clock_step(&both.manual));
		finished = my.finished;
		failure_pass_free(pass);
		assert_nothing_lost(what);
		/* what it held comes back by itself, and the next one does the rest */
		manual_clock_advance(&both.manual, UINT64_C(1000000) * VISIBILITY_S);
		assert_int_equal(
			two_queues_visible(&both.failures), two_queues_alive(&both.failures));
		memset(&my, 0, sizeof(my));
		my.odd = FAILURE_SEND;
		run();
		assert_nothing_lost(what);
		assert_int_equal(two_queues_alive(&both.failures), FEW - FEW / 2);
		end(NULL);
	}
	assert_true(steps > 10);
	print_message("%u instants\n", steps);
}

static void whatever_allocation_fails(void **state)
{
	unsigned long k = 1;
	bool failed = true;

	for (; failed; k++) {
		const struct failure_pass_events events = {on_visit, on_failed, on_finished, NULL};
		char what[40];
		int err;

		snprintf(what, sizeof(what), "allocation %lu", k);
		start(NULL);
		my.odd = FAILURE_SEND;
		put(FEW);
		failmalloc_arm(k);
		err = failure_pass_new(&options, &events, &pass);
		if (err == 0)
			err = failure_pass_start(pass);
		while (err == 0 && !my.finished && manual_clock_step(&both.manual))
			;
		failed = failmalloc_disarm() > 0;
		assert_true(my.finished || err == ERR_NOMEM);
		assert_nothing_lost(what);
		if (my.finished)
			assert_sums(failure_pass_totals(pass));
		end(NULL);
	}
	print_message("%lu allocations\n", k);
}

/* ---- limits */

static void at_a_rate(void **state)
{
	my.odd = my.even = FAILURE_SEND;
	options.rate = 5;
	put(50);
	assert_int_equal(run()->sent, 50);
	/* ten a two seconds, the first at once; then one empty wait, and another */
	assert_true(both.manual.now_us >= 9000000);
	assert_true(both.manual.now_us <= 12000000);
}

static void nothing_is_sent_that_is_visible_again(void **state)
{
	const struct failure_pass_totals *t;

	my.odd = my.even = FAILURE_SEND;
	options.visibility_s = 5;
	put(10);
	t = run();
	assert_int_equal(t->unsent, 10);
	assert_int_equal(both.ops[3], 0);
	assert_int_equal(my.told, 10);
	assert_int_equal(two_queues_visible(&both.failures), 10);
}

static void what_comes_again_ends_it(void **state)
{
	const struct failure_pass_totals *t;

	options.visibility_s = 0;
	put(30);
	t = run();
	assert_int_equal(t->end, FAILURE_PASS_REPEATED);
	assert_true(t->seen <= 30);
	assert_true(t->repeats > 20);
}

static void a_queue_that_grows_is_not_followed_for_ever(void **state)
{
	const struct failure_pass_totals *t;

	my.grows = true;
	put(1);
	options.expected = 1;
	t = run();
	assert_int_equal(t->end, FAILURE_PASS_GREW);
	assert_in_range(t->seen, 1000, 1100);
}

static void a_full_hand(void **state)
{
	const struct failure_pass_totals *t;

	options.left_max = 20;
	put(100);
	t = run();
	assert_int_equal(t->end, FAILURE_PASS_FULL);
	assert_in_range(t->seen, 20, 50);
	assert_int_equal(two_queues_visible(&both.failures), 100);
}

static void in_flight_limit_of_the_queue(void **state)
{
	both.fault_at = 3;
	both.fault_until = 3;
	both.fault = FAULT_REFUSED;
	both.fault_err = ERR_OVER_LIMIT;
	put(100);
	assert_int_equal(run()->end, FAILURE_PASS_FULL);
	assert_int_equal(my.err, 0);
	assert_int_equal(two_queues_visible(&both.failures), 100);
}

/* What was chosen before the stop is still sent. */
static void stopping(void **state)
{
	const struct failure_pass_totals *t;

	my.odd = my.even = FAILURE_SEND;
	my.stop_after = 15;
	put(100);
	t = run();
	assert_int_equal(t->end, FAILURE_PASS_STOPPED);
	assert_int_equal(t->sent, 15);
	assert_int_equal(t->left, t->seen - 15);
	assert_int_equal(two_queues_visible(&both.failures), 85);
	assert_int_equal(my.err, 0);
}

static void what_stops_it_is_told(void **state)
{
	both.fault_at = 1;
	both.fault_until = ULONG_MAX;
	both.fault = FAULT_REFUSED;
	both.fault_err = ERR_ACCESS_DENIED;
	put(10);
	assert_int_equal(run()->end, FAILURE_PASS_FAILED);
	assert_int_equal(my.err, ERR_ACCESS_DENIED);
	assert_string_equal(my.reason, "scripted");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(looking_changes_nothing, start, end),
		cmocka_unit_test_setup_teardown(answers_of_a_few_at_a_time, start, end),
		cmocka_unit_test_setup_teardown(an_empty_queue, start, end),
		cmocka_unit_test_setup_teardown(what_is_chosen_moves, start, end),
		cmocka_unit_test_setup_teardown(what_is_chosen_is_deleted, start, end),
		cmocka_unit_test(every_call_fails_in_turn),
		cmocka_unit_test(all_calls_fail_from_one_on),
		cmocka_unit_test(wherever_the_process_dies),
		cmocka_unit_test(whatever_allocation_fails),
		cmocka_unit_test_setup_teardown(at_a_rate, start, end),
		cmocka_unit_test_setup_teardown(nothing_is_sent_that_is_visible_again, start, end),
		cmocka_unit_test_setup_teardown(what_comes_again_ends_it, start, end),
		cmocka_unit_test_setup_teardown(
			a_queue_that_grows_is_not_followed_for_ever, start, end),
		cmocka_unit_test_setup_teardown(a_full_hand, start, end),
		cmocka_unit_test_setup_teardown(in_flight_limit_of_the_queue, start, end),
		cmocka_unit_test_setup_teardown(stopping, start, end),
		cmocka_unit_test_setup_teardown(what_stops_it_is_told, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
