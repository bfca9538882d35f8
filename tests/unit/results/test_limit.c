#include "results/limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define S UINT64_C(1000000)

/* Five seconds of a worker with 500 slots by configuration. */
static const struct result_load before = {.at_us = 100 * S,
	.busy_us = 1000 * S,
	.slots_us = 5000 * S,
	.ceiling_us = 5000 * S,
	.token_waits = 7,
	.polls = 40,
	.full_polls = 30};

static struct result_load after(uint64_t busy, uint64_t slots)
{
	struct result_load load = before;

	load.at_us += 5 * S;
	load.busy_us += busy * 5 * S;
	load.slots_us += slots * 5 * S;
	load.ceiling_us += 500 * 5 * S;
	return load;
}

static void expect(const struct result_load *load, enum result_limit limit)
{
	assert_string_equal(
		result_limit_name(result_limit_of(load, &before)), result_limit_name(limit));
}

static void slots(void **state)
{
	struct result_load load = after(450, 500);

	expect(&load, RESULT_LIMIT_CONCURRENCY);
	load = after(449, 500);
	expect(&load, RESULT_LIMIT_NONE);
	load = after(500, 500);
	expect(&load, RESULT_LIMIT_CONCURRENCY);
	/* The limiter went below what is configured. */
	load = after(449, 449);
	expect(&load, RESULT_LIMIT_PROVIDER);
	load = after(450, 450);
	expect(&load, RESULT_LIMIT_CONCURRENCY);
	load = after(20, 22);
	expect(&load, RESULT_LIMIT_PROVIDER);
	load = after(1, 1);
	expect(&load, RESULT_LIMIT_PROVIDER);
}

static void a_rate(void **state)
{
	struct result_load load = after(40, 500);

	load.token_waits++;
	load.polls += 10;
	load.full_polls += 10;
	expect(&load, RESULT_LIMIT_RATE);
	/* Slots that are all in use weigh more than a token now and then. */
	load = after(500, 500);
	load.token_waits++;
	expect(&load, RESULT_LIMIT_CONCURRENCY);
}

static void the_queue(void **state)
{
	struct result_load load = after(40, 500);

	load.polls += 10;
	load.full_polls += 5;
	expect(&load, RESULT_LIMIT_QUEUE);
	load.polls++;
	expect(&load, RESULT_LIMIT_NONE);
	load = after(0, 500);
	expect(&load, RESULT_LIMIT_NONE);
}

static void what_weighs_more(void **state)
{
	struct result_load load = after(500, 500);

	load.breaker_open = true;
	load.token_waits++;
	expect(&load, RESULT_LIMIT_BREAKER);
	load.quota_used_up = true;
	expect(&load, RESULT_LIMIT_QUOTA);
	load.paused = true;
	expect(&load, RESULT_LIMIT_PAUSED);
	load = after(0, 0);
	load.paused = true;
	expect(&load, RESULT_LIMIT_PAUSED);
}

static void nothing_was_counted(void **state)
{
	static const struct result_load nothing;

	expect(&before, RESULT_LIMIT_NONE);
	assert_int_equal(result_limit_of(&nothing, &nothing), RESULT_LIMIT_NONE);
	/* The first reading stands for all there was. */
	assert_int_equal(result_limit_of(&before, &nothing), RESULT_LIMIT_RATE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots),
		cmocka_unit_test(a_rate),
		cmocka_unit_test(the_queue),
		cmocka_unit_test(what_weighs_more),
		cmocka_unit_test(nothing_was_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
