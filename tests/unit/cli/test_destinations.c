/* Destinations of the configuration as rows of the core: every field arrives, in its own row. */
#include "bunshin/error.h"
#include "cli/destinations.h"
#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

/* Two destinations in which no two numbers are the same, between two that are all zero. */
static struct config_status_range ranges[] = {
	{200, 299},
	{409, 409},
	{404, 404},
	{420, 421},
	{402, 402},
	{501, 501},
	{300, 399},
	{400, 400},
	{410, 411},
	{412, 412},
};
static char *first_values[] = {NULL, NULL, NULL};
static char *second_values[] = {NULL};
static struct config_condition conditions[2];
static struct config_rule rules[5];
static struct config_destination all[4];
static struct config config = {.destinations = all, .destination_count = 4};

static int set_up(void **state)
{
	static const enum config_outcome outcomes[] = {CONFIG_OUTCOME_ACCEPT, CONFIG_OUTCOME_RETRY,
		CONFIG_OUTCOME_THROTTLE, CONFIG_OUTCOME_BREAKER, CONFIG_OUTCOME_PERMANENT};

	first_values[0] = text("ja");
	first_values[1] = text("en");
	first_values[2] = text("3");
	second_values[0] = text("true");
	conditions[0] = (struct config_condition){text("user.lang"), first_values, 3};
	conditions[1] = (struct config_condition){text("vip"), second_values, 1};
	for (size_t i = 0; i < 5; i++)
		rules[i] = (struct config_rule){.outcome = outcomes[i]};
	rules[0].statuses = (struct config_status_set){&ranges[7], 2};
	rules[0].path = text("error.code");
	rules[0].equals = text("duplicate");
	rules[1].contains = text("busy");
	rules[2].path = text("error");
	rules[3].statuses = (struct config_status_set){&ranges[9], 1};
	rules[3].path = text("message");
	rules[3].contains = text("monthly limit");
	rules[4].path = text("gone");
	all[0] = (struct config_destination){.name = text("zero")};
	all[1] = (struct config_destination){.name = text("line"),
		.when = conditions,
		.when_count = 2,
		.timeout_ms = 11000,
		.connect_timeout_ms = 1234,
		.concurrency = 512,
		.adaptive = true,
		.rate = {.count = 77, .per_ms = 1000},
		.breaker_failures = 25,
		.accept = {&ranges[0], 2},
		.outcomes = {.retry = {&ranges[2], 1},
			.throttle = {&ranges[3], 1},
			.breaker = {&ranges[4], 1},
			.permanent = {&ranges[5], 2},
			.rules = rules,
			.rule_count = 5},
		.retry = {.max_attempts = 9,
			.base_ms = 1500,
			.cap_ms = 90000,
			.jitter = CONFIG_JITTER_DECORRELATED}};
	all[2] = (struct config_destination){.name = text("fcm"),
		.timeout_ms = 12000,
		.concurrency = 13,
		.breaker_failures = 1,
		.accept = {&ranges[1], 1},
		.outcomes = {.rules = &rules[4], .rule_count = 1},
		.retry = {.max_attempts = 14,
			.base_ms = 15,
			.cap_ms = 16,
			.jitter = CONFIG_JITTER_FULL}};
	all[3] = (struct config_destination){.name = text("last")};
	return 0;
}

static void expect_set(
	const struct status_set *set, const struct config_status_range from[], size_t count)
{
	assert_int_equal(set->count, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(set->ranges[i].first, from[i].first);
		assert_int_equal(set->ranges[i].last, from[i].last);
	}
}

static void expect_rule(
	const struct outcome_rule *rule, const struct config_rule *from, enum outcome outcome)
{
	expect_set(&rule->statuses, from->statuses.ranges, from->statuses.count);
	assert_ptr_equal(rule->path, from->path);
	assert_ptr_equal(rule->equals, from->equals);
	assert_ptr_equal(rule->contains, from->contains);
	assert_int_equal(rule->outcome, outcome);
}

static void every_field_arrives(void **state)
{
	static const enum outcome outcomes[] = {OUTCOME_ACCEPTED, OUTCOME_RETRY, OUTCOME_THROTTLED,
		OUTCOME_REFUSED, OUTCOME_PERMANENT};
	struct destinations made;
	const struct delivery_destination *row;

	assert_int_equal(destinations_new(&config, &made), 0);
	assert_int_equal(made.count, 4);
	row = &made.rows[1];
	assert_ptr_equal(row->name, all[1].name);
	assert_null(row->target.ops); /* the caller's to fill in */
	assert_null(row->rate.cell);
	assert_int_equal(row->attempt_max_ms, 11000);
	assert_int_equal(row->concurrency, 512);
	assert_true(row->adaptive);
	assert_int_equal(row->breaker_failures, 25);
	assert_int_equal(row->max_attempts, 9);
	assert_int_equal(row->backoff.base_ms, 1500);
	assert_int_equal(row->backoff.cap_ms, 90000);
	assert_int_equal(row->backoff.jitter, BACKOFF_DECORRELATED);
	expect_set(&row->outcomes.sets[OUTCOME_ACCEPTED], &ranges[0], 2);
	expect_set(&row->outcomes.sets[OUTCOME_RETRY], &ranges[2], 1);
	expect_set(&row->outcomes.sets[OUTCOME_THROTTLED], &ranges[3], 1);
	expect_set(&row->outcomes.sets[OUTCOME_REFUSED], &ranges[4], 1);
	expect_set(&row->outcomes.sets[OUTCOME_PERMANENT], &ranges[5], 2);
	assert_int_equal(row->outcomes.rule_count, 5);
	for (size_t i = 0; i < 5; i++)
		expect_rule(&row->outcomes.rules[i], &rules[i], outcomes[i]);
	assert_int_equal(row->when_count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_ptr_equal(row->when[i].path, conditions[i].path);
		assert_int_equal(row->when[i].value_count, conditions[i].value_count);
		for (size_t k = 0; k < conditions[i].value_count; k++)
			assert_ptr_equal(row->when[i].values[k], conditions[i].values[k]);
	}
	destinations_free(&made);
}

/* The one after it begins where the first has ended. */
static void rows_do_not_share(void **state)
{
	struct destinations made;
	const struct delivery_destination *row;

	assert_int_equal(destinations_new(&config, &made), 0);
	row = &made.rows[2];
	assert_string_equal(row->name, "fcm");
	assert_int_equal(row->attempt_max_ms, 12000);
	assert_int_equal(row->concurrency, 13);
	assert_false(row->adaptive);
	assert_int_equal(row->breaker_failures, 1);
	assert_int_equal(row->max_attempts, 14);
	assert_int_equal(row->backoff.base_ms, 15);
	assert_int_equal(row->backoff.cap_ms, 16);
	assert_int_equal(row->backoff.jitter, BACKOFF_FULL);
	assert_int_equal(row->when_count, 0);
	expect_set(&row->outcomes.sets[OUTCOME_ACCEPTED], &ranges[1], 1);
	for (int outcome = OUTCOME_ACCEPTED + 1; outcome < OUTCOME_COUNT; outcome++)
		assert_int_equal(row->outcomes.sets[outcome].count, 0);
	assert_int_equal(row->outcomes.rule_count, 1);
	expect_rule(&row->outcomes.rules[0], &rules[4], OUTCOME_PERMANENT);
	for (size_t i = 0; i < 4; i += 3) {
		row = &made.rows[i];
		assert_string_equal(row->name, i ? "last" : "zero");
		assert_int_equal(row->when_count, 0);
		assert_int_equal(row->outcomes.rule_count, 0);
		for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
			assert_int_equal(row->outcomes.sets[outcome].count, 0);
		assert_int_equal(row->backoff.jitter, BACKOFF_FULL);
	}
	destinations_free(&made);
}

static int make(void *arg)
{
	struct destinations made;
	int err = destinations_new(arg, &made);

	if (!err)
		destinations_free(&made);
	return err;
}

static void allocations(void **state)
{
	assert_int_equal(failmalloc_sweep(make, &config), 4);
}

static void none_at_all(void **state)
{
	struct config empty = {0};
	struct destinations made, zeroed = {0};

	assert_int_equal(destinations_new(&empty, &made), 0);
	assert_int_equal(made.count, 0);
	destinations_free(&made);
	assert_null(made.rows);
	destinations_free(&made);
	destinations_free(&zeroed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_arrives),
		cmocka_unit_test(rows_do_not_share),
		cmocka_unit_test(allocations),
		cmocka_unit_test(none_at_all),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
