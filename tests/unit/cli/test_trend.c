/* Rates, history and the queue's fall, to exact values, with times that are given. */
#include "cli/run/trend.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#define START_MS INT64_C(1764144000000)
#define SECOND UINT64_C(1000000)

static struct trend_notes *notes;
static struct trend *trend;
static struct figures figures;
static struct trend_instant instant;

static int set_up(void **state)
{
	notes = calloc(1, sizeof(*notes));
	trend = trend_new(notes, START_MS);
	memset(&figures, 0, sizeof(figures));
	instant = (struct trend_instant){
		.now_us = 100 * SECOND, .now_ms = START_MS, .visible = -1, .in_flight = -1};
	return !notes || !trend;
}

static int tear_down(void **state)
{
	trend_free(trend);
	free(notes);
	return 0;
}

static void after(uint64_t us, uint64_t accepted)
{
	instant.now_us += us;
	instant.now_ms += (int64_t)(us / 1000);
	figures.totals[FIGURE_ACCEPTED] += accepted;
	trend_add(trend, &figures, &instant);
}

static const struct history_row *row(uint64_t number)
{
	return &notes->history.rows[number];
}

static void assert_near(double value, double expected)
{
	assert_true(fabs(value - expected) < 1e-9);
}

static void rates(void **state)
{
	assert_null(trend_figures(trend));
	assert_true(isnan(trend_rate(trend, FIGURE_ACCEPTED)));
	after(0, 1000);
	assert_true(isnan(trend_rate(trend, FIGURE_ACCEPTED)));
	after(SECOND, 50);
	assert_near(trend_rate(trend, FIGURE_ACCEPTED), 50);
	for (int i = 0; i < 20; i++)
		after(SECOND, 10);
	assert_near(trend_rate(trend, FIGURE_ACCEPTED), 10);
	after(SECOND, 20);
	assert_near(trend_rate(trend, FIGURE_ACCEPTED), 11); /* 9 x 10 and 20, in 10 s */
	assert_near(trend_rate(trend, FIGURE_FAILED), 0);
	/* Counts that fall, since a worker was lost on the way, are none. */
	figures.totals[FIGURE_ACCEPTED] = 0;
	after(SECOND, 0);
	assert_near(trend_rate(trend, FIGURE_ACCEPTED), 0);
	assert_int_equal(notes->started_ms, START_MS);
}

/* A machine that slept, a process that was stopped: a gap, and no spike. */
static void gaps(void **state)
{
	after(0, 0);
	after(SECOND, 10);
	after(600 * SECOND, 1000000);
	assert_true(isnan(trend_rate(trend, FIGURE_ACCEPTED)));
	after(SECOND, 7);
	assert_near(trend_rate(trend, FIGURE_ACCEPTED), 7);
	after(3 * SECOND, 30);
	assert_int_equal(notes->history.next, 5);
	assert_int_equal(row(0)->tenths[HISTORY_ACCEPTED], HISTORY_UNKNOWN);
	assert_int_equal(row(1)->tenths[HISTORY_ACCEPTED], 100);
	assert_int_equal(row(2)->tenths[HISTORY_ACCEPTED], HISTORY_UNKNOWN);
	assert_int_equal(row(2)->t_ms, START_MS + 601000);
	assert_int_equal(row(3)->tenths[HISTORY_ACCEPTED], 70);
	assert_int_equal(row(4)->tenths[HISTORY_ACCEPTED], 100); /* a second, of the three */
	/* Figures that could not be had. */
	instant.now_us += SECOND;
	instant.now_ms += 1000;
	trend_add(trend, NULL, &instant);
	assert_int_equal(row(5)->tenths[HISTORY_ACCEPTED], HISTORY_UNKNOWN);
	after(SECOND, 8);
	assert_int_equal(row(6)->tenths[HISTORY_ACCEPTED], 40); /* of two seconds */
}

static void gauges(void **state)
{
	instant.busy = 3;
	instant.limit = 0;
	instant.held = INT64_MAX;
	instant.visible = 12;
	after(0, 0);
	assert_int_equal(row(0)->tenths[HISTORY_BUSY], 30);
	assert_int_equal(row(0)->tenths[HISTORY_LIMIT], 0);
	assert_int_equal(row(0)->tenths[HISTORY_HELD], HISTORY_UNKNOWN);
	assert_int_equal(row(0)->tenths[HISTORY_VISIBLE], 120);
	assert_int_equal(row(0)->tenths[HISTORY_IN_FLIGHT], HISTORY_UNKNOWN);
}

static void record(uint64_t us, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		histogram_record(&figures.attempt_us, us);
}

static void latencies(void **state)
{
	struct status_latency latency;

	trend_attempt_ms(trend, &latency);
	assert_true(isnan(latency.p50));
	record(1000000, 1000); /* of long ago */
	after(0, 0);
	record(10, 98);
	record(100000, 2);
	after(SECOND, 0);
	trend_attempt_ms(trend, &latency);
	assert_near(latency.p50, 0.01);
	assert_near(latency.p95, 0.01);
	assert_near(latency.p99, (double)histogram_bucket_bound(16 * 13 + 8) / 1000);
	assert_int_equal(row(1)->tenths[HISTORY_ATTEMPT_P50], 0);
	assert_int_equal(row(1)->tenths[HISTORY_ATTEMPT_P99],
		(int64_t)((double)histogram_bucket_bound(16 * 13 + 8) / 100 + 0.5));
	after(SECOND, 0);
	assert_int_equal(row(2)->tenths[HISTORY_ATTEMPT_P50], HISTORY_UNKNOWN);
	trend_acceptance_ms(trend, &latency);
	assert_true(isnan(latency.p99));
}

static void campaigns(void **state)
{
	const struct trend_campaign *spring;

	after(0, 0);
	figures.campaign_count = 1;
	figures.campaigns[0] = (struct figures_campaign){.name = "spring", .deadline_ms = -1};
	after(SECOND, 0);
	figures.campaigns[0].counts[CAMPAIGN_ACCEPTED] = 40;
	figures.campaigns[0].deadline_ms = START_MS + 5000;
	after(SECOND, 40);
	/* A gauge of a worker that died: the latest deadline stays known. */
	figures.campaigns[0].deadline_ms = -1;
	after(SECOND, 0);
	spring = trend_campaign(trend, "spring");
	assert_non_null(spring);
	assert_int_equal(spring->first_ms, START_MS + 1000);
	assert_int_equal(spring->last_ms, START_MS + 2000);
	assert_int_equal(spring->deadline_ms, START_MS + 5000);
	assert_near(trend_campaign_accepted(trend, "spring"), 40.0 / 3);
	assert_null(trend_campaign(trend, "autumn"));
	assert_null(trend_campaign(trend, ""));
}

/* What lies in the notes is whoever's: nothing outside of them is read. */
static void notes_of_others(void **state)
{
	trend_free(trend);
	memset(notes, 0xff, sizeof(*notes));
	trend = trend_new(notes, START_MS);
	assert_int_equal(notes->started_ms, START_MS);
	figures.campaign_count = 1;
	figures.campaigns[0] = (struct figures_campaign){.name = "spring", .deadline_ms = -1};
	after(0, 0);
	after(SECOND, 1);
	assert_non_null(trend_campaign(trend, "spring"));
	/* The next monitor goes on where this one was. */
	trend_free(trend);
	trend = trend_new(notes, START_MS + 60000);
	assert_int_equal(notes->started_ms, START_MS);
	assert_non_null(trend_campaign(trend, "spring"));
}

static void answer(uint64_t us, int64_t visible, int64_t in_flight)
{
	instant.visible = visible;
	instant.in_flight = in_flight;
	instant.asked_us = instant.now_us + us;
	after(us, 0);
}

static void falling(void **state)
{
	uint64_t empty_us = 1;

	assert_true(isnan(trend_falling(trend, instant.now_us, &empty_us)));
	assert_true(empty_us == 0);
	answer(0, 1000, 100);
	answer(5 * SECOND, 900, 100);
	assert_true(isnan(trend_falling(trend, instant.now_us, &empty_us)));
	answer(5 * SECOND, 800, 100);
	assert_near(trend_falling(trend, instant.now_us, &empty_us), 20);
	assert_true(empty_us == instant.now_us + 45 * SECOND);
	/* The same answer again is no other. */
	after(SECOND, 0);
	assert_near(trend_falling(trend, instant.now_us, &empty_us), 20);
	/* It grows. */
	answer(5 * SECOND, 5000, 100);
	assert_true(isnan(trend_falling(trend, instant.now_us, &empty_us)));
	assert_true(empty_us == 0);
	/* After a minute without an answer nobody knows. */
	after(61 * SECOND, 0);
	assert_true(isnan(trend_falling(trend, instant.now_us, &empty_us)));
	answer(SECOND, 30, 0);
	answer(10 * SECOND, 20, 0);
	answer(10 * SECOND, 0, 0);
	assert_true(trend_falling(trend, instant.now_us, &empty_us) > 0);
	assert_true(empty_us == 0); /* it is empty */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rates, set_up, tear_down),
		cmocka_unit_test_setup_teardown(gaps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(gauges, set_up, tear_down),
		cmocka_unit_test_setup_teardown(latencies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(campaigns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(notes_of_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(falling, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
