/* The figures of the status page, out of metrics. */
#include "cli/run/figures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

static const char *const names[] = {"line", "sms"};
static struct metrics *metrics;
static struct figures figures;

static int set_up(void **state)
{
	metrics = metrics_new();
	return metrics == NULL;
}

static int tear_down(void **state)
{
	metrics_free(metrics);
	return 0;
}

static void count(const char *name, const char *labels, uint64_t value)
{
	counter_add(metrics_counter(metrics, name, "C.", labels), value);
}

static void take(void)
{
	figures_take(metrics, names, 2, &figures);
}

static void totals(void **state)
{
	take();
	assert_int_equal(figures.totals[FIGURE_ACCEPTED], 0);
	assert_int_equal(figures.held_bytes, -1);
	count("bunshin_messages_total", "outcome=\"accepted\"", 5);
	count("bunshin_messages_total", "outcome=\"accepted\",destination=\"line\"", 7);
	count("bunshin_messages_total", "destination=\"sms\",outcome=\"failed_left\"", 2);
	count("bunshin_messages_total", "outcome=\"unheard_of\"", 9);
	count("bunshin_messages_received_total", "", 20);
	count("bunshin_sqs_throttled_total", "process=\"worker\"", 2);
	count("bunshin_sqs_throttled_total", "process=\"monitor\"", 1);
	counter_add(metrics_counter_scaled(metrics, "bunshin_sqs_cost_dollars_total", "C.",
			    "process=\"worker\"", 9),
		8000);
	gauge_set(metrics_gauge(metrics, "bunshin_held_bytes", "G.", ""), 77);
	histogram_record(metrics_histogram(metrics, "bunshin_attempt_duration_seconds", "H.",
				 "destination=\"line\""),
		1000);
	histogram_record(metrics_histogram(metrics, "bunshin_attempt_duration_seconds", "H.",
				 "destination=\"sms\""),
		2000);
	take();
	assert_int_equal(figures.totals[FIGURE_ACCEPTED], 12);
	assert_int_equal(figures.totals[FIGURE_FAILED], 0);
	assert_int_equal(figures.totals[FIGURE_FAILED_LEFT], 2);
	assert_int_equal(figures.totals[FIGURE_RECEIVED], 20);
	assert_int_equal(figures.totals[FIGURE_SQS_THROTTLED], 3);
	assert_int_equal(figures.held_bytes, 77);
	assert_int_equal(figures.cost_nanodollars, 8000);
	assert_int_equal(figures.attempt_us.count, 2);
	assert_int_equal(figures.acceptance_us.count, 0);
	assert_int_equal(figures.destinations[0].accepted, 7);
	assert_int_equal(figures.destinations[1].accepted, 0);
}

static void destinations(void **state)
{
	gauge_set(metrics_gauge(metrics, "bunshin_concurrency_limit", "G.", "destination=\"sms\""),
		250);
	gauge_set(metrics_gauge(metrics, "bunshin_breaker_open", "G.", "destination=\"line\""), 1);
	gauge_set(metrics_gauge(metrics, "bunshin_breaker_open", "G.", "destination=\"other\""), 1);
	gauge_set(metrics_gauge(metrics, "bunshin_attempts_in_flight", "G.", "destination=\"sms\""),
		40);
	gauge_set(metrics_gauge(
			  metrics, "bunshin_concurrency_configured", "G.", "destination=\"sms\""),
		500);
	count("bunshin_attempts_total", "destination=\"sms\"", 4);
	take();
	assert_int_equal(figures.destinations[0].limit, -1);
	assert_true(figures.destinations[0].breaker_open);
	assert_int_equal(figures.destinations[1].limit, 250);
	assert_int_equal(figures.destinations[1].busy, 40);
	assert_int_equal(figures.destinations[1].configured, 500);
	assert_int_equal(figures.destinations[0].busy, -1);
	assert_false(figures.destinations[1].breaker_open);
	assert_int_equal(figures.destinations[1].attempts, 4);
	assert_int_equal(figures.totals[FIGURE_ATTEMPTS], 4);
}

static void campaigns(void **state)
{
	char labels[64];

	count("bunshin_campaign_messages_total",
		"campaign=\"sp\\\"ri\\nng\\\\ \u671d\",outcome=\"accepted\"", 3);
	count("bunshin_campaign_messages_total",
		"campaign=\"sp\\\"ri\\nng\\\\ \u671d\",outcome=\"retried\"", 4);
	gauge_set(metrics_gauge_max(metrics, CAMPAIGN_DEADLINE_METRIC, "G.",
			  "campaign=\"sp\\\"ri\\nng\\\\ \u671d\""),
		1764147600);
	take();
	assert_int_equal(figures.campaign_count, 1);
	assert_string_equal(figures.campaigns[0].name, "sp\"ri\nng\\ \u671d");
	assert_int_equal(figures.campaigns[0].counts[CAMPAIGN_ACCEPTED], 3);
	assert_int_equal(figures.campaigns[0].counts[CAMPAIGN_RETRIED], 4);
	assert_int_equal(figures.campaigns[0].deadline_ms, 1764147600000);
	gauge_set(metrics_gauge_max(metrics, CAMPAIGN_DEADLINE_METRIC, "G.",
			  "campaign=\"sp\\\"ri\\nng\\\\ \u671d\""),
		INT64_MAX);
	for (int i = 0; i < 2 * FIGURES_CAMPAIGNS_MAX; i++) {
		snprintf(labels, sizeof(labels), "campaign=\"c%d\",outcome=\"failed\"", i);
		count("bunshin_campaign_messages_total", labels, 1);
	}
	take();
	assert_int_equal(figures.campaign_count, FIGURES_CAMPAIGNS_MAX);
	assert_int_equal(figures.campaigns[0].deadline_ms, -1);
	assert_int_equal(figures.campaigns[1].deadline_ms, -1);
	assert_int_equal(figures.campaigns[1].counts[CAMPAIGN_FAILED], 1);
}

static void labels(void **state)
{
	char value[8];

	assert_true(figures_label("a=\"1\",b=\"2\"", "b", value, sizeof(value)));
	assert_string_equal(value, "2");
	assert_true(figures_label("a=\"x,b=\\\"2\\\"\",b=\"3\"", "b", value, sizeof(value)));
	assert_string_equal(value, "3");
	assert_true(figures_label("a=\"123456789\"", "a", value, sizeof(value)));
	assert_string_equal(value, "1234567");
	assert_false(figures_label("", "a", value, sizeof(value)));
	assert_false(figures_label("a", "a", value, sizeof(value)));
	assert_false(figures_label("a=", "a", value, sizeof(value)));
	assert_false(figures_label("a=\"x", "a", value, sizeof(value)));
	assert_false(figures_label("a=\"x\\", "a", value, sizeof(value)));
	assert_false(figures_label("aa=\"x\"", "a", value, sizeof(value)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(totals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(destinations, set_up, tear_down),
		cmocka_unit_test_setup_teardown(campaigns, set_up, tear_down),
		cmocka_unit_test(labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
