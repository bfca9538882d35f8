/*
 * Adaptive concurrency in closed loops against models of providers: the goodput is compared with
 * the best that there is, and the rejected answers are counted.
 */
#include "closed_loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MS UINT64_C(1000)
#define S UINT64_C(1000000)

/* From wherever chance has taken it, a provider that is well brings it back to the ceiling. */
static void is_never_stuck(void **state)
{
	static struct closed_loop loop;
	static const struct provider well = {
		.kind = PROVIDER_QUEUE, .count = 800, .latency_us = 20 * MS};
	uint64_t slowest_us = 0;

	for (uint64_t seed = 1; seed <= 100; seed++) {
		uint64_t random = seed, begin_us;

		closed_loop_init(&loop, &well, 500, 1, seed);
		for (int i = 0; i < 10; i++) {
			struct provider ill = {
				.kind = (enum provider_kind)random_below(
					random_split_mix(&random), PROVIDER_NOISE + 1),
				.count = 1 + (unsigned)random_below(random_split_mix(&random), 100),
				.latency_us = random_below(random_split_mix(&random), 2 * S),
				.rejection_us = random_below(random_split_mix(&random), 100 * MS),
				.slow_us = random_below(random_split_mix(&random), 5 * S),
				.share =
					(double)random_below(random_split_mix(&random), 100) / 100};

			loop.provider = ill;
			loop.serving = 0;
			closed_loop_run(&loop,
				loop.now_us + random_below(random_split_mix(&random), 10 * S));
			if (random_below(random_split_mix(&random), 20) == 0)
				limiter_restart(&loop.limiters[0]);
		}
		loop.provider = well;
		memset(loop.free_at_us, 0, sizeof(loop.free_at_us));
		begin_us = loop.now_us;
		while (loop.limiters[0].limit < 500 && loop.now_us < begin_us + 300 * S)
			closed_loop_run(&loop, loop.now_us + 100 * MS);
		assert_true(loop.limiters[0].limit >= 500);
		if (loop.now_us - begin_us > slowest_us)
			slowest_us = loop.now_us - begin_us;
	}
	print_message("  back at the ceiling after %.1f s at most\n", (double)slowest_us / S);
	assert_true(slowest_us <= 60 * S);
}

struct row {
	const char *label;
	struct provider provider;
	unsigned ceiling, workers;
	double optimum;	       /* accepted a second */
	double goodput_min;    /* of the optimum */
	double rejected_max;   /* of all answers */
	double latency_max_us; /* mean; 0: does not matter */
};

static void print_result(const char *label, struct loop_result result, double optimum)
{
	print_message(
		"  %-34s %8.1f/s of %8.1f %5.1f %%  rejected %4.1f %%  %7.1f ms  limit %7.2f\n",
		label, result.goodput, optimum, 100 * result.goodput / optimum,
		100 * result.rejected, result.latency_us / MS, result.limit);
}

/* Each 20 s to find its level, and 100 s that count. */
static void check_rows(const struct row rows[], size_t count)
{
	static struct closed_loop loop;

	for (size_t i = 0; i < count; i++) {
		const struct row *row = &rows[i];
		struct loop_result result;

		closed_loop_init(&loop, &row->provider, row->ceiling, row->workers, 1);
		closed_loop_run(&loop, 20 * S);
		result = closed_loop_run(&loop, 120 * S);
		print_result(row->label, result, row->optimum);
		assert_true(result.goodput >= row->goodput_min * row->optimum);
		assert_true(result.rejected <= row->rejected_max);
		if (row->latency_max_us > 0)
			assert_true(result.latency_us <= row->latency_max_us);
	}
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

/* As many in flight as there are servers, and half again in the queue at most: no bufferbloat. */
static void servers_with_a_queue(void **state)
{
#define QUEUE(n, us)                                                 \
	{                                                            \
		.kind = PROVIDER_QUEUE, .count = n, .latency_us = us \
	}
	static const struct row rows[] = {
		/* One server: the baseline is taken with the first 16 in flight. */
		{"queue, 1 server", QUEUE(1, 50 * MS), 500, 1, 20, 0.9, 0, 1000 * MS},
		{"queue, 4 servers", QUEUE(4, 50 * MS), 500, 1, 80, 0.9, 0, 110 * MS},
		{"queue, 20 servers", QUEUE(20, 50 * MS), 500, 1, 400, 0.9, 0, 100 * MS},
		{"queue, 200 servers", QUEUE(200, 100 * MS), 1000, 1, 2000, 0.9, 0, 260 * MS},
		/* Each takes the others' queue for the provider's slowness: longer, but bounded. */
		{"queue, 20 servers, 3 workers", QUEUE(20, 50 * MS), 500, 3, 400, 0.9, 0,
			2000 * MS},
	};

	CHECK_ROWS(rows);
}

static void rate_limited_providers(void **state)
{
#define BUCKET(n, us)                                                                           \
	{                                                                                       \
		.kind = PROVIDER_BUCKET, .count = n, .latency_us = 30 * MS, .rejection_us = us, \
		.share = 0.1                                                                    \
	}
	static const struct row rows[] = {
		{"429 above 5/s", BUCKET(5, 30 * MS), 1000, 1, 5, 0.8, 0.08, 0},
		{"429 above 50/s", BUCKET(50, 30 * MS), 1000, 1, 50, 0.8, 0.08, 0},
		{"429 above 2,000/s", BUCKET(2000, 30 * MS), 1000, 1, 2000, 0.95, 0.05, 0},
		{"429 above 20,000/s", BUCKET(20000, 30 * MS), 1000, 1, 20000, 0.95, 0.08, 0},
		{"429 in 2 ms above 5/s", BUCKET(5, 2 * MS), 1000, 1, 5, 0.8, 0.08, 0},
		{"429 in 2 ms above 50/s", BUCKET(50, 2 * MS), 1000, 1, 50, 0.8, 0.08, 0},
		{"429 in 2 ms above 2,000/s", BUCKET(2000, 2 * MS), 1000, 1, 2000, 0.95, 0.05, 0},
		{"429 in 2 ms above 20,000/s", BUCKET(20000, 2 * MS), 1000, 1, 20000, 0.95, 0.08,
			0},
		{"429 above 50/s, 4 workers", BUCKET(50, 30 * MS), 1000, 4, 50, 0.9, 0.1, 0},
		/* What the others have too much of looks as if it had nothing to do with the load.
		 */
		{"429 above 2,000/s, 4 workers", BUCKET(2000, 30 * MS), 1000, 4, 2000, 0.95, 0.13,
			0},
	};

	CHECK_ROWS(rows);
}

/*
 * A budget a second of the wall clock: however many are in flight, when it is used up all are
 * rejected. What is left of a second then says how much there is too much; the cut was by a third
 * once, since all that were asked just then are rejected, and up to 40 % of the budget unused.
 */
static void providers_that_count_by_the_second(void **state)
{
#define SECOND(n, us)                                                                          \
	{                                                                                      \
		.kind = PROVIDER_SECOND, .count = n, .latency_us = 30 * MS, .rejection_us = us \
	}
	static const struct row rows[] = {
		{"429 after 5 a second", SECOND(5, 30 * MS), 1000, 1, 5, 0.9, 0.08, 0},
		{"429 after 50 a second", SECOND(50, 30 * MS), 1000, 1, 50, 0.65, 0.1, 0},
		{"429 after 2,000 a second", SECOND(2000, 30 * MS), 1000, 1, 2000, 0.95, 0.1, 0},
		{"429 after 20,000 a second", SECOND(20000, 30 * MS), 1000, 1, 20000, 0.95, 0.12,
			0},
		{"429 in 2 ms after 2,000 a second", SECOND(2000, 2 * MS), 1000, 1, 2000, 0.95, 0.1,
			0},
		{"429 after 2,000 a second, 4 workers", SECOND(2000, 30 * MS), 1000, 4, 2000, 0.95,
			0.12, 0},
	};

	CHECK_ROWS(rows);
}

static void providers_with_a_concurrency_cap(void **state)
{
#define CAP(n, us)                                                                          \
	{                                                                                   \
		.kind = PROVIDER_CAP, .count = n, .latency_us = 50 * MS, .rejection_us = us \
	}
	static const struct row rows[] = {
		{"503 above 1 at once", CAP(1, 50 * MS), 500, 1, 20, 0.8, 0.06, 0},
		{"503 above 3 at once", CAP(3, 50 * MS), 500, 1, 60, 0.8, 0.06, 0},
		{"503 above 20 at once", CAP(20, 50 * MS), 500, 1, 400, 0.85, 0.03, 0},
		{"503 above 200 at once", CAP(200, 50 * MS), 500, 1, 4000, 0.85, 0.03, 0},
		{"503 in 1 ms above 1 at once", CAP(1, MS), 500, 1, 20, 0.8, 0.06, 0},
		{"503 in 1 ms above 3 at once", CAP(3, MS), 500, 1, 60, 0.8, 0.06, 0},
		{"503 in 1 ms above 20 at once", CAP(20, MS), 500, 1, 400, 0.85, 0.03, 0},
		{"503 in 1 ms above 200 at once", CAP(200, MS), 500, 1, 4000, 0.85, 0.03, 0},
		{"503 above 20 at once, 4 workers", CAP(20, MS), 500, 4, 400, 0.85, 0.08, 0},
	};

	CHECK_ROWS(rows);
}

/* Nothing here depends on the load: the optimum is the ceiling. */
static void scattered_latencies_keep_the_ceiling(void **state)
{
#define MIX(x)                                                                               \
	{                                                                                    \
		.kind = PROVIDER_MIX, .latency_us = 20 * MS, .slow_us = 400 * MS, .share = x \
	}
#define TAIL(x)                                                          \
	{                                                                \
		.kind = PROVIDER_TAIL, .latency_us = 30 * MS, .share = x \
	}
	static const struct row rows[] = {
		{"20 ms, 1 % 400 ms", MIX(0.01), 200, 1, 8065, 0.95, 0, 0},
		{"20 ms, 5 % 400 ms", MIX(0.05), 200, 1, 5000, 0.95, 0, 0},
		{"20 ms, 20 % 400 ms", MIX(0.2), 200, 1, 2062, 0.95, 0, 0},
		{"20 ms, 50 % 400 ms", MIX(0.5), 200, 1, 948, 0.95, 0, 0},
		{"20 ms, 90 % 400 ms", MIX(0.9), 200, 1, 551, 0.95, 0, 0},
		{"20 ms, 20 % 400 ms, ceiling 8", MIX(0.2), 8, 1, 82.5, 0.85, 0, 0},
		{"20 ms, 50 % 400 ms, ceiling 8", MIX(0.5), 8, 1, 37.9, 0.85, 0, 0},
		{"log-normal, sigma 0.5", TAIL(0.5), 200, 1, 5642, 0.95, 0, 0},
		{"log-normal, sigma 1", TAIL(1), 200, 1, 3925, 0.95, 0, 0},
		{"log-normal, sigma 1.5", TAIL(1.5), 200, 1, 2129, 0.95, 0, 0},
		{"log-normal, sigma 2", TAIL(2), 200, 1, 896, 0.9, 0, 0},
		{"log-normal, sigma 1.5, ceiling 8", TAIL(1.5), 8, 1, 85, 0.85, 0, 0},
	};

	CHECK_ROWS(rows);
}

static void stray_503_keep_the_ceiling(void **state)
{
#define NOISE(x, us)                                                                     \
	{                                                                                \
		.kind = PROVIDER_NOISE, .latency_us = us, .rejection_us = us, .share = x \
	}
	static const struct row rows[] = {
		{"1 % 503", NOISE(0.01, 50 * MS), 200, 1, 3771, 0.95, 0.02, 0},
		{"2 % 503", NOISE(0.02, 50 * MS), 200, 1, 3733, 0.95, 0.03, 0},
		{"5 % 503", NOISE(0.05, 50 * MS), 200, 1, 3619, 0.85, 0.06, 0},
		{"2 % 503, each answer 1 s", NOISE(0.02, S), 200, 1, 187, 0.8, 0.03, 0},
	};

	CHECK_ROWS(rows);
}

/* Ten times slower for a minute, then as before. */
static void a_provider_that_slows_down_and_recovers(void **state)
{
	static const struct {
		unsigned servers;
		double fast, slow; /* optima: of the servers, or of the ceiling of 200 */
	} rows[] = {{50, 1250, 125}, {400, 4762, 495}};
	static struct closed_loop loop;

	for (size_t i = 0; i < 2; i++) {
		struct provider provider = {
			.kind = PROVIDER_QUEUE, .count = rows[i].servers, .latency_us = 40 * MS};
		struct loop_result before, during, after;

		closed_loop_init(&loop, &provider, 200, 1, 1);
		closed_loop_run(&loop, 20 * S);
		before = closed_loop_run(&loop, 60 * S);
		loop.provider.latency_us *= 10;
		during = closed_loop_run(&loop, 120 * S);
		loop.provider.latency_us /= 10;
		closed_loop_run(&loop, 125 * S);
		after = closed_loop_run(&loop, 180 * S);
		print_result("before a slow minute", before, rows[i].fast);
		print_result("the slow minute", during, rows[i].slow);
		print_result("5 s after a slow minute", after, rows[i].fast);
		assert_true(before.goodput >= 0.9 * rows[i].fast);
		assert_true(during.goodput >= 0.8 * rows[i].slow);
		assert_true(after.goodput >= 0.9 * rows[i].fast);
	}
}

/* 503 to everything for a minute, and back. */
static void a_provider_that_was_away(void **state)
{
	static struct closed_loop loop;
	struct provider well = {.kind = PROVIDER_QUEUE, .count = 1000, .latency_us = 40 * MS};
	struct provider away = {.kind = PROVIDER_NOISE, .rejection_us = 5 * MS, .share = 1};
	struct loop_result during, after;

	closed_loop_init(&loop, &well, 500, 1, 1);
	closed_loop_run(&loop, 20 * S);
	loop.provider = away;
	closed_loop_run(&loop, 25 * S);
	during = closed_loop_run(&loop, 80 * S);
	assert_int_equal((int)during.goodput, 0);
	/* One every 5 s asks whether it is back. */
	assert_true(loop.limiters[0].limit <= 0.02);
	loop.provider = well;
	closed_loop_run(&loop, 100 * S);
	after = closed_loop_run(&loop, 110 * S);
	print_result("20 s after an outage", after, 11905);
	assert_true(after.goodput >= 0.9 * 11905);
}

/* The ceiling at once: three windows after the first answer. */
static void a_fast_provider_gets_the_ceiling_at_once(void **state)
{
	static struct closed_loop loop;
	struct provider provider = {.kind = PROVIDER_QUEUE, .count = 1000, .latency_us = MS};

	closed_loop_init(&loop, &provider, 100, 1, 1);
	closed_loop_run(&loop, 302 * MS);
	assert_true(loop.limiters[0].limit >= 100);
	print_result("1 ms", closed_loop_run(&loop, 3 * S), 95000);
	assert_true(loop.limiters[0].limit >= 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_never_stuck),
		cmocka_unit_test(servers_with_a_queue),
		cmocka_unit_test(rate_limited_providers),
		cmocka_unit_test(providers_that_count_by_the_second),
		cmocka_unit_test(providers_with_a_concurrency_cap),
		cmocka_unit_test(scattered_latencies_keep_the_ceiling),
		cmocka_unit_test(stray_503_keep_the_ceiling),
		cmocka_unit_test(a_provider_that_slows_down_and_recovers),
		cmocka_unit_test(a_provider_that_was_away),
		cmocka_unit_test(a_fast_provider_gets_the_ceiling_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
