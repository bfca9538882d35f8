/* The circuit breaker by itself: every opening and closing to the exact instant. */
#include "base/random.h"
#include "delivery/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S UINT64_C(1000000)

enum word { ANSWERED, FAILED, REFUSED };

/* What the breaker is told; true: it opened, or closed. */
static bool tell(struct breaker *breaker, enum word word, uint64_t now_us)
{
	switch (word) {
	case REFUSED:
		return breaker_refused(breaker, now_us);
	case FAILED:
		return breaker_failed(breaker, now_us);
	case ANSWERED:
	default:
		return breaker_answered(breaker);
	}
}

static void assert_open(struct breaker *breaker, uint64_t now_us, int64_t wait_ms)
{
	uint64_t probe_us = now_us + (uint64_t)wait_ms * 1000;

	assert_int_equal(breaker->state, BREAKER_OPEN);
	assert_int_equal(breaker_remaining_ms(breaker, now_us), wait_ms);
	assert_int_equal(breaker_allows(breaker, now_us, 500), 0);
	/* What was out when it opened: nothing new, whatever it is. */
	for (enum word word = ANSWERED; word <= REFUSED; word++)
		assert_false(tell(breaker, word, now_us + 1));
	assert_int_equal(breaker_remaining_ms(breaker, probe_us - 1), 1);
	assert_int_equal(breaker_allows(breaker, probe_us - 1, 500), 0);
	assert_int_equal(breaker->state, BREAKER_OPEN);
	assert_int_equal(breaker_remaining_ms(breaker, probe_us), 0);
	assert_false(breaker_is_news(breaker, now_us));
	assert_false(breaker_is_news(breaker, probe_us - 1));
	assert_true(breaker_is_news(breaker, probe_us));
}

static void assert_probe(struct breaker *breaker, uint64_t now_us)
{
	assert_int_equal(breaker_allows(breaker, now_us, 500), 1);
	assert_int_equal(breaker_allows(breaker, now_us, 0), 1);
	assert_int_equal(breaker->state, BREAKER_HALF_OPEN);
	assert_int_equal(breaker_remaining_ms(breaker, now_us), 0);
	/* A probe that said nothing: the next attempt is the probe. */
	assert_int_equal(breaker_allows(breaker, now_us + S, 500), 1);
}

static void closed_lets_all_through(void **state)
{
	struct breaker breaker;

	breaker_init(&breaker, 3);
	assert_int_equal(breaker.state, BREAKER_CLOSED);
	assert_int_equal(breaker_allows(&breaker, 0, 500), 500);
	assert_int_equal(breaker_allows(&breaker, 0, 0), 0);
	assert_int_equal(breaker_remaining_ms(&breaker, 0), 0);
	assert_false(breaker_answered(&breaker));
	assert_true(breaker_is_news(&breaker, 0));
}

/* Probe after probe ends in one way: the waits double up to a minute. */
static void waits_double_up_to_a_minute(void **state)
{
	static const struct {
		enum word word;
		int64_t waits_ms[9];
	} rows[] = {
		{REFUSED, {5000, 10000, 20000, 40000, 60000, 60000, 60000, 60000, 60000}},
		{FAILED, {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000}},
	};

	for (size_t row = 0; row < 2; row++) {
		struct breaker breaker;
		uint64_t now_us = 77;

		breaker_init(&breaker, 1);
		for (size_t i = 0; i < 9; i++) {
			assert_true(tell(&breaker, rows[row].word, now_us));
			assert_open(&breaker, now_us, rows[row].waits_ms[i]);
			now_us += (uint64_t)rows[row].waits_ms[i] * 1000;
			assert_probe(&breaker, now_us);
		}
	}
}

/* Every sequence of four ways to end, against the rule: the larger of the kind's least wait and
 * twice the wait before. */
static void the_two_kinds_mix(void **state)
{
	for (unsigned sequence = 0; sequence < 16; sequence++) {
		struct breaker breaker;
		uint64_t now_us = S;
		int64_t wait_ms = 0;

		breaker_init(&breaker, 1);
		for (unsigned i = 0; i < 4; i++) {
			enum word word = sequence >> i & 1 ? REFUSED : FAILED;
			int64_t least_ms = word == REFUSED ? 5000 : 1000;

			wait_ms = wait_ms * 2 > least_ms ? wait_ms * 2 : least_ms;
			assert_true(tell(&breaker, word, now_us));
			assert_open(&breaker, now_us, wait_ms);
			now_us += (uint64_t)wait_ms * 1000;
			assert_probe(&breaker, now_us);
		}
		assert_true(breaker_answered(&breaker));
		/* Closed, it has forgotten all of them. */
		assert_int_equal(breaker_allows(&breaker, now_us, 500), 500);
		assert_true(breaker_failed(&breaker, now_us));
		assert_open(&breaker, now_us, 1000);
	}
}

static void failures_in_a_row_open_it(void **state)
{
	for (unsigned failures_max = 1; failures_max <= 20; failures_max++) {
		struct breaker breaker;

		breaker_init(&breaker, failures_max);
		/* One less, and an answer: no row. */
		for (unsigned i = 1; i < failures_max; i++)
			assert_false(breaker_failed(&breaker, S));
		assert_false(breaker_answered(&breaker));
		for (unsigned i = 1; i < failures_max; i++)
			assert_false(breaker_failed(&breaker, S));
		assert_int_equal(breaker_allows(&breaker, S, 500), 500);
		assert_true(breaker_failed(&breaker, 2 * S));
		assert_open(&breaker, 2 * S, 1000);
		assert_probe(&breaker, 3 * S);
		/* Half open, one is enough. */
		assert_true(breaker_failed(&breaker, 4 * S));
		assert_open(&breaker, 4 * S, 2000);
		assert_probe(&breaker, 6 * S);
		assert_true(breaker_answered(&breaker));
		/* Closed again, the whole row is needed again. */
		for (unsigned i = 1; i < failures_max; i++)
			assert_false(breaker_failed(&breaker, 7 * S));
		assert_true(breaker_failed(&breaker, 7 * S));
		assert_open(&breaker, 7 * S, 1000);
	}
}

static void failures_never_open_it_when_told_so(void **state)
{
	struct breaker breaker;

	breaker_init(&breaker, 0);
	for (int i = 0; i < 100000; i++)
		assert_false(breaker_failed(&breaker, S));
	assert_int_equal(breaker_allows(&breaker, S, 500), 500);
	/* But a probe that found nobody is no answer either. */
	assert_true(breaker_refused(&breaker, S));
	assert_probe(&breaker, 6 * S);
	assert_true(breaker_failed(&breaker, 6 * S));
	assert_open(&breaker, 6 * S, 10000);
	/* The row that opened nothing has been forgotten. */
	assert_int_equal(breaker.failures, 0);
}

/* 200 attempts were out when it opened, and time out one by one: still one opening, of 1 s. */
static void what_was_out_does_not_double_the_wait(void **state)
{
	struct breaker breaker;
	uint64_t started_us = S, now_us = 10 * S;

	breaker_init(&breaker, 5);
	for (int i = 0; i < 5; i++)
		breaker_failed(&breaker, now_us);
	for (int i = 0; i < 200; i++, now_us += S / 10, started_us += 1000) {
		breaker_allows(&breaker, now_us, 200);
		if (breaker_is_news(&breaker, started_us))
			breaker_failed(&breaker, now_us);
	}
	assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
	assert_int_equal(breaker.wait_ms, 1000);
	assert_true(breaker_is_news(&breaker, now_us));
	assert_true(breaker_answered(&breaker));
	/* Nor does it count into the next row. */
	assert_false(breaker_is_news(&breaker, started_us));
}

/* Whatever it is told, and in whatever order: never longer than a minute without a slot. */
static void it_cannot_stay_open(void **state)
{
	uint64_t random = 1;

	for (int run = 0; run < 2000; run++) {
		struct breaker breaker;
		uint64_t now_us = random_split_mix(&random) >> 8, allowed_us = now_us;

		breaker_init(&breaker, (unsigned)random_below(random_split_mix(&random), 4));
		for (int i = 0; i < 300; i++) {
			now_us += random_below(random_split_mix(&random), 3 * S);
			if (breaker_allows(&breaker, now_us, 3) > 0)
				allowed_us = now_us;
			else
				assert_in_range(now_us - allowed_us, 0, 63 * S);
			tell(&breaker, (enum word)random_below(random_split_mix(&random), 3),
				now_us);
			assert_in_range(breaker_remaining_ms(&breaker, now_us), 0, 60000);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closed_lets_all_through),
		cmocka_unit_test(waits_double_up_to_a_minute),
		cmocka_unit_test(the_two_kinds_mix),
		cmocka_unit_test(failures_in_a_row_open_it),
		cmocka_unit_test(failures_never_open_it_when_told_so),
		cmocka_unit_test(what_was_out_does_not_double_the_wait),
		cmocka_unit_test(it_cannot_stay_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
