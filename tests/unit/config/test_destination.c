/*
 * What a destination says of its messages and answers: when, rate, adaptive, breaker, outcomes,
 * retry. Values, defaults, every mistake with its exact message.
 */
#include "base/log.h"
#include "bunshin/error.h"
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One destination on one line; what is given starts in column 26. */
#define DESTINATION(more) "destinations: [{name: d, " more ", request: {url: 'http://h/'}}]\n"
#define RULE(rule) DESTINATION("outcomes: {when_body: [" rule "]}")

static void assert_set(
	const struct config_status_set *set, const struct config_status_range *ranges, size_t count)
{
	assert_int_equal(set->count, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(set->ranges[i].first, ranges[i].first);
		assert_int_equal(set->ranges[i].last, ranges[i].last);
	}
}

#define assert_ranges(set, ...)                                            \
	assert_set(set, (const struct config_status_range[]){__VA_ARGS__}, \
		COUNT(((const struct config_status_range[]){__VA_ARGS__})))

static void test_defaults(void **state)
{
	static const char *const yaml[] = {
		DESTINATION("when: null"),
		DESTINATION(
			"when: , rate: , retry: {max_attempts: , base: null, cap: ~, jitter: }"),
		DESTINATION("breaker: , outcomes: , retry: "),
		DESTINATION("outcomes: {retry: [], throttle: [], breaker: [], permanent: [], "
			    "when_body: []}"),
		DESTINATION("outcomes: {when_body: }"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(yaml); i++) {
		struct config *config = fixture_load_valid(yaml[i]);
		const struct config_destination *d = &config->destinations[0];

		assert_int_equal(d->when_count, 0);
		assert_int_equal(d->rate.count, 0);
		assert_true(d->adaptive);
		assert_int_equal(d->breaker_failures, 50);
		assert_ranges(&d->accept, {200, 299});
		assert_int_equal(d->outcomes.retry.count, 0);
		assert_int_equal(d->outcomes.throttle.count, 0);
		assert_int_equal(d->outcomes.breaker.count, 0);
		assert_int_equal(d->outcomes.permanent.count, 0);
		assert_int_equal(d->outcomes.rule_count, 0);
		assert_int_equal(d->retry.max_attempts, 10);
		assert_int_equal(d->retry.base_ms, 1000);
		assert_int_equal(d->retry.cap_ms, 300000);
		assert_int_equal(d->retry.jitter, CONFIG_JITTER_FULL);
		config_free(config);
	}
}

static void test_rates(void **state)
{
	static const struct {
		const char *yaml;
		int64_t count, per_ms;
	} cases[] = {
		{DESTINATION("rate: 2000/s"), 2000, 1000},
		{DESTINATION("rate: 1/s"), 1, 1000},
		{DESTINATION("rate: 90/m"), 90, 60000},
		{DESTINATION("rate: 1000000000/h"), 1000000000, 3600000},
		{DESTINATION("rate: '${GONE:-7}/m'"), 7, 60000},
		{DESTINATION("rate: null"), 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config *config = fixture_load_valid(cases[i].yaml);

		assert_int_equal(config->destinations[0].rate.count, cases[i].count);
		assert_int_equal(config->destinations[0].rate.per_ms, cases[i].per_ms);
		config_free(config);
	}
}

static void test_adaptive_and_breaker(void **state)
{
	struct config *config =
		fixture_load_valid(DESTINATION("adaptive: false, breaker: {failures: off}"));

	(void)state;
	assert_false(config->destinations[0].adaptive);
	assert_int_equal(config->destinations[0].breaker_failures, 0);
	config_free(config);
	config = fixture_load_valid(DESTINATION("adaptive: true, breaker: {failures: 100000}"));
	assert_true(config->destinations[0].adaptive);
	assert_int_equal(config->destinations[0].breaker_failures, 100000);
	config_free(config);
}

static void assert_condition(
	const struct config_condition *condition, const char *path, const char *const values[])
{
	size_t count = 0;

	assert_string_equal(condition->path, path);
	for (; values[count] != NULL; count++) {
		assert_true(count < condition->value_count);
		assert_string_equal(condition->values[count], values[count]);
	}
	assert_int_equal(condition->value_count, count);
}

static void test_conditions(void **state)
{
	static const char *const lines[] = {"line", NULL}, *const languages[] = {"ja", "en", NULL};
	static const char *const scalars[] = {
		"1", "1.50", "true", "null", "", "api.example.com", "$", NULL};
	struct config *config =
		fixture_load_valid("destinations:\n"
				   "  - name: d\n"
				   "    request: {url: 'http://h/'}\n"
				   "    when:\n"
				   "      channel: line\n"
				   "      user.lang: [ja, en]\n"
				   "      \"a.0.$x ${HOST}.\\u5206\\n\": [1, 1.50, true, 'null', "
				   "'', '${HOST}', $$]\n");
	const struct config_destination *d = &config->destinations[0];

	(void)state;
	assert_int_equal(d->when_count, 3);
	assert_condition(&d->when[0], "channel", lines);
	assert_condition(&d->when[1], "user.lang", languages);
	assert_condition(&d->when[2], "a.0.$x ${HOST}.\xe5\x88\x86\n", scalars);
	config_free(config);
}

static void test_outcomes(void **state)
{
	struct config *config = fixture_load_valid(
		DESTINATION("accept: [200-299, 409], outcomes: {retry: [408, 425, 500-502, "
			    "504-599], throttle: [429, 503], breaker: [401, 403], permanent: "
			    "[400, 404-407]}"));
	const struct config_destination *d = &config->destinations[0];

	(void)state;
	assert_ranges(&d->accept, {200, 299}, {409, 409});
	assert_ranges(&d->outcomes.retry, {408, 408}, {425, 425}, {500, 502}, {504, 599});
	assert_ranges(&d->outcomes.throttle, {429, 429}, {503, 503});
	assert_ranges(&d->outcomes.breaker, {401, 401}, {403, 403});
	assert_ranges(&d->outcomes.permanent, {400, 400}, {404, 407});
	config_free(config);

	/* One alone; what accept no longer holds is free; both ends of the range. */
	config = fixture_load_valid(
		DESTINATION("accept: 204, outcomes: {retry: 200-203, permanent: [100-199, "
			    "205-599]}"));
	d = &config->destinations[0];
	assert_ranges(&d->accept, {204, 204});
	assert_ranges(&d->outcomes.retry, {200, 203});
	assert_ranges(&d->outcomes.permanent, {100, 199}, {205, 599});
	config_free(config);

	/* Within one set a repetition does no harm. */
	config = fixture_load_valid(
		DESTINATION("accept: [200-299, 204], outcomes: {retry: [500, 500-599]}"));
	assert_int_equal(config->destinations[0].accept.count, 2);
	assert_int_equal(config->destinations[0].outcomes.retry.count, 2);
	config_free(config);
}

static void test_rules(void **state)
{
	struct config *config = fixture_load_valid(
		"destinations:\n"
		"  - name: d\n"
		"    request: {url: 'http://h/'}\n"
		"    outcomes:\n"
		"      when_body:\n"
		"        - {status: [429], contains: monthly limit, outcome: breaker}\n"
		"        - {status: [400-403, 404], path: error.details.0.errorCode,\n"
		"           equals: UNREGISTERED, outcome: permanent}\n"
		"        - {path: error.code, contains: '${HOST}', outcome: throttle}\n"
		"        - {path: ok, status: 200-299, outcome: accept}\n"
		"        - {path: again, equals: '', contains: null, status: [], outcome: "
		"retry}\n");
	const struct config_destination *d = &config->destinations[0];
	const struct config_rule *rules = d->outcomes.rules;

	(void)state;
	assert_int_equal(d->outcomes.rule_count, 5);
	assert_ranges(&rules[0].statuses, {429, 429});
	assert_null(rules[0].path);
	assert_null(rules[0].equals);
	assert_string_equal(rules[0].contains, "monthly limit");
	assert_int_equal(rules[0].outcome, CONFIG_OUTCOME_BREAKER);
	assert_ranges(&rules[1].statuses, {400, 403}, {404, 404});
	assert_string_equal(rules[1].path, "error.details.0.errorCode");
	assert_string_equal(rules[1].equals, "UNREGISTERED");
	assert_null(rules[1].contains);
	assert_int_equal(rules[1].outcome, CONFIG_OUTCOME_PERMANENT);
	assert_int_equal(rules[2].statuses.count, 0);
	assert_string_equal(rules[2].path, "error.code");
	assert_string_equal(rules[2].contains, "api.example.com");
	assert_int_equal(rules[2].outcome, CONFIG_OUTCOME_THROTTLE);
	assert_ranges(&rules[3].statuses, {200, 299});
	assert_null(rules[3].equals);
	assert_null(rules[3].contains);
	assert_int_equal(rules[3].outcome, CONFIG_OUTCOME_ACCEPT);
	assert_string_equal(rules[4].equals, "");
	assert_null(rules[4].contains);
	assert_int_equal(rules[4].outcome, CONFIG_OUTCOME_RETRY);
	config_free(config);
}

/* What providers have beyond the table: lists, rules, the time in the body, what is not repeated.
 */
static void test_provider_knowledge(void **state)
{
	struct config *config =
		fixture_load_valid("destinations:\n"
				   "  - name: d\n"
				   "    request: {url: 'http://h/', attribute_headers: X-Attr_}\n"
				   "    retry: {ambiguous: false}\n"
				   "    retry_after_path: parameters.retry_after\n"
				   "    outcomes:\n"
				   "      quota: 402\n"
				   "      unregistered: [404, 410]\n"
				   "      ambiguous: [500, 502-504]\n"
				   "      when_body:\n"
				   "        - {path: a, outcome: quota}\n"
				   "        - {path: a, outcome: unregistered}\n"
				   "        - {path: a, outcome: ambiguous}\n"
				   "  - name: plain\n"
				   "    request: {url: 'http://h/'}\n");
	const struct config_destination *d = &config->destinations[0];

	(void)state;
	assert_string_equal(d->request.attribute_headers, "X-Attr_");
	assert_false(d->retry.ambiguous);
	assert_string_equal(d->retry_after_path, "parameters.retry_after");
	assert_ranges(&d->outcomes.quota, {402, 402});
	assert_ranges(&d->outcomes.unregistered, {404, 404}, {410, 410});
	assert_ranges(&d->outcomes.ambiguous, {500, 500}, {502, 504});
	assert_int_equal(d->outcomes.rules[0].outcome, CONFIG_OUTCOME_QUOTA);
	assert_int_equal(d->outcomes.rules[1].outcome, CONFIG_OUTCOME_UNREGISTERED);
	assert_int_equal(d->outcomes.rules[2].outcome, CONFIG_OUTCOME_AMBIGUOUS);
	assert_null(d[1].request.attribute_headers);
	assert_true(d[1].retry.ambiguous);
	assert_null(d[1].retry_after_path);
	config_free(config);
}

struct retry {
	int64_t max_attempts, base_ms, cap_ms;
	enum config_jitter jitter;
};

static void assert_retry(const struct config *config, size_t index, struct retry expected)
{
	const struct config_destination *d = &config->destinations[index];

	assert_int_equal(d->retry.max_attempts, expected.max_attempts);
	assert_int_equal(d->retry.base_ms, expected.base_ms);
	assert_int_equal(d->retry.cap_ms, expected.cap_ms);
	assert_int_equal(d->retry.jitter, expected.jitter);
}

/* What a destination does not set is the top level's, wherever that stands, or the command line's.
 */
static void test_retry_is_inherited(void **state)
{
	static const char yaml[] =
		"destinations:\n"
		"  - {name: a, request: {url: 'http://h/'}}\n"
		"  - {name: b, request: {url: 'http://h/'}, retry: {max_attempts: 3, cap: 20s}}\n"
		"  - {name: c, request: {url: 'http://h/'}, retry: {base: 100ms, jitter: full}}\n"
		"retry: {max_attempts: 5, base: 2s, cap: 1m, jitter: decorrelated}\n";
	const struct config_override overrides[] = {
		{"retry.base", "3s", "--base"}, {"retry.jitter", "full", "--jitter"}};
	struct buf errors = BUF_INIT(1 << 16);
	struct config *config = fixture_load_valid(yaml);

	(void)state;
	assert_retry(config, 0, (struct retry){5, 2000, 60000, CONFIG_JITTER_DECORRELATED});
	assert_retry(config, 1, (struct retry){3, 2000, 20000, CONFIG_JITTER_DECORRELATED});
	assert_retry(config, 2, (struct retry){5, 100, 60000, CONFIG_JITTER_FULL});
	config_free(config);
	assert_int_equal(
		config_load("t.yaml", &fixture_environment, overrides, 2, &config, &errors), 0);
	assert_retry(config, 0, (struct retry){5, 3000, 60000, CONFIG_JITTER_FULL});
	assert_retry(config, 1, (struct retry){3, 3000, 20000, CONFIG_JITTER_FULL});
	assert_retry(config, 2, (struct retry){5, 100, 60000, CONFIG_JITTER_FULL});
	config_free(config);
	buf_free(&errors);
}

#define RATE_EXPECTED                                                                           \
	"t.yaml:1:32: destinations[0].rate: expected a rate of 1 to 1000000000 each s, m or h " \
	"(like 2000/s), got "

static const struct fixture_bad_case bad_numbers[] = {
	{DESTINATION("rate: 2000"), RATE_EXPECTED "\"2000\"\n"},
	{DESTINATION("rate: 0/s"), RATE_EXPECTED "\"0/s\"\n"},
	{DESTINATION("rate: -1/s"), RATE_EXPECTED "\"-1/s\"\n"},
	{DESTINATION("rate: 1000000001/s"), RATE_EXPECTED "\"1000000001/s\"\n"},
	{DESTINATION("rate: 99999999999999999999/s"), RATE_EXPECTED "\"99999999999999999999/s\"\n"},
	{DESTINATION("rate: 5/d"), RATE_EXPECTED "\"5/d\"\n"},
	{DESTINATION("rate: 5/ s"), RATE_EXPECTED "\"5/ s\"\n"},
	{DESTINATION("rate: 5 /s"), RATE_EXPECTED "\"5 /s\"\n"},
	{DESTINATION("rate: 5/s/s"), RATE_EXPECTED "\"5/s/s\"\n"},
	{DESTINATION("rate: 5/"), RATE_EXPECTED "\"5/\"\n"},
	{DESTINATION("rate: /s"), RATE_EXPECTED "\"/s\"\n"},
	{DESTINATION("rate: 1.5/s"), RATE_EXPECTED "\"1.5/s\"\n"},
	{DESTINATION("rate: ''"), RATE_EXPECTED "\"\"\n"},
	{DESTINATION("rate: {count: 5}"), RATE_EXPECTED "a map\n"},
	{DESTINATION("adaptive: yes"),
		"t.yaml:1:36: destinations[0].adaptive: expected true or false, got \"yes\"\n"},
	{DESTINATION("adaptive: "),
		"t.yaml:1:36: destinations[0].adaptive: expected true or false, got nothing\n"},
	{DESTINATION("adaptive: [true]"),
		"t.yaml:1:36: destinations[0].adaptive: expected true or false, got a list\n"},
	{DESTINATION("breaker: off"),
		"t.yaml:1:35: destinations[0].breaker: expected a map of options, got a text\n"},
	{DESTINATION("breaker: {failures: 0}"),
		"t.yaml:1:46: destinations[0].breaker.failures: expected off or an integer from 1 "
		"to 100000 (like 50), got \"0\"\n"},
	{DESTINATION("breaker: {failures: }"),
		"t.yaml:1:46: destinations[0].breaker.failures: expected off or an integer from 1 "
		"to 100000 (like 50), got nothing\n"},
	{DESTINATION("breaker: {failure: 5}"),
		"t.yaml:1:36: destinations[0].breaker.failure: unknown key; did you mean "
		"\"failures\"?\n"},
};

#define VALUES_65                                                                                 \
	"1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, " \
	"1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, " \
	"1, 1, 1, 1, 1, 1, 1"
#define TEXT_32 "abcdefghijklmnopqrstuvwxyzabcdef"

static const struct fixture_bad_case bad_conditions[] = {
	{DESTINATION("when: line"),
		"t.yaml:1:32: destinations[0].when: expected a map of 1 to 16 conditions (like "
		"{user.lang: [ja, en]}), got a text\n"},
	{DESTINATION("when: [a]"),
		"t.yaml:1:32: destinations[0].when: expected a map of 1 to 16 conditions (like "
		"{user.lang: [ja, en]}), got a list\n"},
	{DESTINATION("when: {}"),
		"t.yaml:1:32: destinations[0].when: expected a map of 1 to 16 conditions (like "
		"{user.lang: [ja, en]}), got an empty map\n"},
	{DESTINATION("when: {a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: 1, j: 1, k: 1, "
		     "l: 1, m: 1, n: 1, o: 1, p: 1, q: 1}"),
		"t.yaml:1:32: destinations[0].when: expected a map of 1 to 16 conditions (like "
		"{user.lang: [ja, en]}), got a larger map\n"},
	{DESTINATION("when: {a: }"), "t.yaml:1:36: destinations[0].when.a: expected a text, a "
				     "number, true or false, got nothing\n"},
	{DESTINATION("when: {a: {b: c}}"), "t.yaml:1:36: destinations[0].when.a: expected a text, "
					   "a number, true or false, got a map\n"},
	{DESTINATION("when: {a: []}"),
		"t.yaml:1:36: destinations[0].when.a: expected a value or a list of 1 to 64 (like "
		"[ja, en]), got an empty list\n"},
	{DESTINATION("when: {a: [" VALUES_65 "]}"),
		"t.yaml:1:36: destinations[0].when.a: expected a value or a list of 1 to 64 (like "
		"[ja, en]), got a longer list\n"},
	{DESTINATION("when: {a: [b, [c], null, {}, '${GONE}', \"\\0\"]}"),
		"t.yaml:1:40: destinations[0].when.a[1]: expected a text, a number, true or "
		"false, got a list\n"
		"t.yaml:1:45: destinations[0].when.a[2]: expected a text, a number, true or "
		"false, got nothing\n"
		"t.yaml:1:51: destinations[0].when.a[3]: expected a text, a number, true or "
		"false, got a map\n"
		"t.yaml:1:55: destinations[0].when.a[4]: environment variable GONE is not set\n"
		"t.yaml:1:66: destinations[0].when.a[5]: expected a text, a number, true or "
		"false, got a text with a NUL character\n"},
	{DESTINATION("when: {'': a, .b: a, c.: a, d..e: a, .: a}"),
		"t.yaml:1:33: destinations[0].when.\"\": expected a field's path of 1 to 128 bytes "
		"(like user.lang)\n"
		"t.yaml:1:40: destinations[0].when.\".b\": expected a field's path of 1 to 128 "
		"bytes (like user.lang)\n"
		"t.yaml:1:47: destinations[0].when.\"c.\": expected a field's path of 1 to 128 "
		"bytes (like user.lang)\n"
		"t.yaml:1:54: destinations[0].when.\"d..e\": expected a field's path of 1 to 128 "
		"bytes (like user.lang)\n"
		"t.yaml:1:63: destinations[0].when.\".\": expected a field's path of 1 to 128 "
		"bytes (like user.lang)\n"},
	{DESTINATION("when: {" TEXT_32 TEXT_32 TEXT_32 TEXT_32
		     ": a, " TEXT_32 TEXT_32 TEXT_32 TEXT_32 "g: a}"),
		"t.yaml:1:166: destinations[0].when.\"" TEXT_32 "abcdefghijklmnopqrstuvwxyzab"
		"...\": expected a field's path of 1 to 128 bytes (like user.lang)\n"},
	{DESTINATION("when: {a.b: 1, \"a.b\": 2, [c]: 3, \"d\\0\": 4}"),
		"t.yaml:1:41: destinations[0].when.\"a.b\": given twice\n"
		"t.yaml:1:51: expected a key, got a list\n"
		"t.yaml:1:59: a key with a NUL character\n"},
};

static const struct fixture_bad_case bad_sets[] = {
	{DESTINATION("outcomes: [retry]"),
		"t.yaml:1:36: destinations[0].outcomes: expected a map of options, got a list\n"},
	{DESTINATION("outcomes: {throtle: [429], accept: [200]}"),
		"t.yaml:1:37: destinations[0].outcomes.throtle: unknown key; did you mean "
		"\"throttle\"?\n"
		"t.yaml:1:53: destinations[0].outcomes.accept: unknown key; there is "
		"destinations[].accept\n"},
	{DESTINATION("outcomes: {retry: }"),
		"t.yaml:1:44: destinations[0].outcomes.retry: expected a list of at most 64 "
		"status codes and ranges (like [200-299, 409]), got nothing\n"},
	{DESTINATION("outcomes: {breaker: {a: b}}"),
		"t.yaml:1:46: destinations[0].outcomes.breaker: expected a list of at most 64 "
		"status codes and ranges (like [200-299, 409]), got a map\n"},
	{DESTINATION("outcomes: {retry: [" VALUES_65 "]}"),
		"t.yaml:1:44: destinations[0].outcomes.retry: expected a list of at most 64 "
		"status codes and ranges (like [200-299, 409]), got a longer list\n"},
	{DESTINATION("outcomes: {retry: [99, 600, 503-500], permanent: 4xx}"),
		"t.yaml:1:45: destinations[0].outcomes.retry[0]: expected a status code or a "
		"range from 100 to 599 (like 200-299), got \"99\"\n"
		"t.yaml:1:49: destinations[0].outcomes.retry[1]: expected a status code or a "
		"range from 100 to 599 (like 200-299), got \"600\"\n"
		"t.yaml:1:54: destinations[0].outcomes.retry[2]: expected a status code or a "
		"range from 100 to 599 (like 200-299), got \"503-500\"\n"
		"t.yaml:1:75: destinations[0].outcomes.permanent: expected a status code or a "
		"range from 100 to 599 (like 200-299), got \"4xx\"\n"},
	{DESTINATION("outcomes: {throttle: [429, 503], retry: [500-599]}"),
		"t.yaml:1:53: destinations[0].outcomes.throttle[1]: 503 is in "
		"destinations[0].outcomes.retry, too\n"},
	{DESTINATION("outcomes: {permanent: 400-499, breaker: [401-403]}, accept: [200, 409]"),
		"t.yaml:1:48: destinations[0].outcomes.permanent: 409 is in "
		"destinations[0].accept, too\n"
		"t.yaml:1:48: destinations[0].outcomes.permanent: 401-403 is in "
		"destinations[0].outcomes.breaker, too\n"},
	{DESTINATION("outcomes: {retry: [100-203]}"),
		"t.yaml:1:45: destinations[0].outcomes.retry[0]: 200-203 is in "
		"destinations[0].accept, by default [200-299], too\n"},
	/* Every pair, once; what is wrong by itself is not compared. */
	{DESTINATION("accept: [500, 501], outcomes: {retry: [500, 501], throttle: [500], breaker: "
		     "[500], permanent: [2x, 500]}"),
		"t.yaml:1:121: destinations[0].outcomes.permanent[0]: expected a status code or a "
		"range from 100 to 599 (like 200-299), got \"2x\"\n"
		"t.yaml:1:65: destinations[0].outcomes.retry[0]: 500 is in "
		"destinations[0].accept, too\n"
		"t.yaml:1:87: destinations[0].outcomes.throttle[0]: 500 is in "
		"destinations[0].accept, too\n"
		"t.yaml:1:87: destinations[0].outcomes.throttle[0]: 500 is in "
		"destinations[0].outcomes.retry, too\n"
		"t.yaml:1:103: destinations[0].outcomes.breaker[0]: 500 is in "
		"destinations[0].accept, too\n"
		"t.yaml:1:103: destinations[0].outcomes.breaker[0]: 500 is in "
		"destinations[0].outcomes.retry, too\n"
		"t.yaml:1:103: destinations[0].outcomes.breaker[0]: 500 is in "
		"destinations[0].outcomes.throttle, too\n"
		"t.yaml:1:125: destinations[0].outcomes.permanent[1]: 500 is in "
		"destinations[0].accept, too\n"
		"t.yaml:1:125: destinations[0].outcomes.permanent[1]: 500 is in "
		"destinations[0].outcomes.retry, too\n"
		"t.yaml:1:125: destinations[0].outcomes.permanent[1]: 500 is in "
		"destinations[0].outcomes.throttle, too\n"
		"t.yaml:1:125: destinations[0].outcomes.permanent[1]: 500 is in "
		"destinations[0].outcomes.breaker, too\n"},
};

/* A rule starts in column 49. */
static const struct fixture_bad_case bad_rules[] = {
	{DESTINATION("outcomes: {when_body: {status: 429}}"),
		"t.yaml:1:48: destinations[0].outcomes.when_body: expected a list of maps, got a "
		"map\n"},
	{RULE("429"), "t.yaml:1:49: destinations[0].outcomes.when_body[0]: expected a map of "
		      "options, got a text\n"},
	{RULE("{}, null"),
		"t.yaml:1:49: destinations[0].outcomes.when_body[0].outcome: missing, but "
		"required\n"
		"t.yaml:1:53: destinations[0].outcomes.when_body[1].outcome: missing, but "
		"required\n"},
	{RULE("{outcome: retry}"), "t.yaml:1:49: destinations[0].outcomes.when_body[0].path: "
				   "missing; a rule needs path, contains or both\n"},
	{RULE("{outcome: retry, status: 400, equals: a}"),
		"t.yaml:1:87: destinations[0].outcomes.when_body[0].equals: only together with "
		"path\n"},
	{RULE("{outcome: retry, contains: b, equals: a}"),
		"t.yaml:1:87: destinations[0].outcomes.when_body[0].equals: only together with "
		"path\n"},
	{RULE("{outcome: retry, contains: b, equals: a, path: c}"),
		"t.yaml:1:76: destinations[0].outcomes.when_body[0].contains: not together with "
		"equals\n"},
	{RULE("{outcome: accepted, contains: a}"),
		"t.yaml:1:59: destinations[0].outcomes.when_body[0].outcome: expected one of "
		"accept, retry, throttle, breaker, permanent, quota, unregistered or ambiguous, "
		"got \"accepted\"\n"},
	{RULE("{outcome: , contains: a}"),
		"t.yaml:1:59: destinations[0].outcomes.when_body[0].outcome: expected one of "
		"accept, retry, throttle, breaker, permanent, quota, unregistered or ambiguous, "
		"got nothing\n"},
	{RULE("{outcome: retry, contains: ''}"),
		"t.yaml:1:76: destinations[0].outcomes.when_body[0].contains: expected a text of "
		"1 to 1024 bytes, got \"\"\n"},
	{RULE("{outcome: retry, path: a..b, equals: {}}"),
		"t.yaml:1:72: destinations[0].outcomes.when_body[0].path: expected a field's path "
		"of 1 to 128 bytes (like user.lang), got \"a..b\"\n"
		"t.yaml:1:86: destinations[0].outcomes.when_body[0].equals: expected a text of 0 "
		"to 1024 bytes, got a map\n"},
	{RULE("{outcome: retry, path: ''}"),
		"t.yaml:1:72: destinations[0].outcomes.when_body[0].path: expected a field's path "
		"of 1 to 128 bytes (like user.lang), got \"\"\n"},
	{RULE("{outcome: retry, path: a, status: [42]}, {outcome: retry, path: a, status: }"),
		"t.yaml:1:84: destinations[0].outcomes.when_body[0].status[0]: expected a status "
		"code or a range from 100 to 599 (like 200-299), got \"42\"\n"
		"t.yaml:1:124: destinations[0].outcomes.when_body[1].status: expected a list of "
		"at most 64 status codes and ranges (like [200-299, 409]), got nothing\n"},
	{RULE("{outcome: retry, contain: a}, {outcome: retry, path: a, path: b}"),
		"t.yaml:1:66: destinations[0].outcomes.when_body[0].contain: unknown key; did you "
		"mean \"contains\"?\n"
		"t.yaml:1:105: destinations[0].outcomes.when_body[1].path: given twice; the first "
		"is on line 1\n"},
	{RULE("{outcome: retry, reason: a}"),
		"t.yaml:1:66: destinations[0].outcomes.when_body[0].reason: unknown key; expected "
		"one of status, path, equals, contains, outcome\n"},
};

static const struct fixture_bad_case bad_retries[] = {
	{DESTINATION("retry: {base: 10s, cap: 5s}"),
		"t.yaml:1:40: destinations[0].retry.base: 10s is longer than the cap, 5s\n"},
	{DESTINATION("retry: {base: 6m}"),
		"t.yaml:1:40: destinations[0].retry.base: 6m is longer than the cap, 5m\n"},
	{DESTINATION("retry: {base: null, cap: 1s}") "retry: {base: 2s}\n",
		"t.yaml:1:51: destinations[0].retry.cap: 1s is shorter than the base, 2s\n"},
	/* Inherited as a whole, it is wrong once. */
	{DESTINATION("retry: {max_attempts: 1}") "retry: {base: 2s, cap: 1s}\n",
		"t.yaml:2:15: retry.base: retry.base is longer than retry.cap\n"},
	{DESTINATION("retry: {max_attempts: 0, base: 99ms, cap: 13h, jitter: equal}"),
		"t.yaml:1:48: destinations[0].retry.max_attempts: expected an integer from 1 to "
		"1000 (like 10), got \"0\"\n"
		"t.yaml:1:57: destinations[0].retry.base: expected a duration from 100ms to 15m "
		"(like 1s), got \"99ms\"\n"
		"t.yaml:1:68: destinations[0].retry.cap: expected a duration from 1s to 12h (like "
		"5m), got \"13h\"\n"
		"t.yaml:1:81: destinations[0].retry.jitter: expected one of full or decorrelated, "
		"got \"equal\"\n"},
	{DESTINATION("retry: 5"),
		"t.yaml:1:33: destinations[0].retry: expected a map of options, got a text\n"},
};

static void test_bad_input(void **state)
{
	size_t different = 0;

	(void)state;
	different += fixture_check_bad(bad_numbers, COUNT(bad_numbers));
	different += fixture_check_bad(bad_conditions, COUNT(bad_conditions));
	different += fixture_check_bad(bad_sets, COUNT(bad_sets));
	different += fixture_check_bad(bad_rules, COUNT(bad_rules));
	different += fixture_check_bad(bad_retries, COUNT(bad_retries));
	assert_int_equal(different, 0);
}

static void append_rules(struct buf *yaml, int count)
{
	buf_clear(yaml);
	buf_append_string(yaml, "destinations: [{name: d, outcomes: {when_body: [");
	for (int i = 0; i < count; i++)
		buf_append_string(yaml, "{contains: a, outcome: retry}, ");
	buf_append_string(yaml, "]}, request: {url: 'http://h/'}}]\n");
}

static void test_rules_are_bounded(void **state)
{
	struct buf errors = BUF_INIT(1 << 16), yaml = BUF_INIT(1 << 16);
	struct config *config = NULL;

	(void)state;
	append_rules(&yaml, CONFIG_RULES_MAX);
	assert_int_equal(fixture_load(yaml.data, &config, &errors), 0);
	assert_int_equal(config->destinations[0].outcomes.rule_count, CONFIG_RULES_MAX);
	config_free(config);
	append_rules(&yaml, CONFIG_RULES_MAX + 1);
	assert_int_equal(fixture_load(yaml.data, &config, &errors), ERR_CONFIG);
	assert_string_equal(buf_string(&errors),
		"t.yaml:1:48: destinations[0].outcomes.when_body: expected at most 64, got 65\n");
	buf_free(&errors);
	buf_free(&yaml);
}

/* A text is as long as its bytes, and a path as long as JSON_PATH allows. */
static void test_texts_are_bounded(void **state)
{
	static const struct {
		const char *key;
		int max;
	} cases[] = {{"path", 128}, {"equals", 1024}, {"contains", 1024}};
	struct buf errors = BUF_INIT(1 << 16), yaml = BUF_INIT(1 << 16);

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(cases); i++) {
		const char *key = cases[i / 2].key;
		int bytes = cases[i / 2].max + (i % 2 == 1);
		struct config *config = NULL;

		buf_clear(&yaml);
		buf_append_string(&yaml,
			"destinations: [{name: d, request: {url: 'http://h/'}, outcomes: "
			"{when_body: [{outcome: retry, ");
		if (strcmp(key, "equals") == 0)
			buf_append_string(&yaml, "path: a, ");
		buf_appendf(&yaml, "%s: ", key);
		for (int byte = 0; byte < bytes; byte++)
			buf_append_char(&yaml, 'x');
		buf_append_string(&yaml, "}]}}]\n");
		assert_int_equal(
			fixture_load(yaml.data, &config, &errors), i % 2 == 1 ? ERR_CONFIG : 0);
		config_free(config);
	}
	buf_free(&errors);
	buf_free(&yaml);
}

/* A key of nothing but escapes must not be cut in the middle of a character in messages. */
static void test_long_keys_stay_text(void **state)
{
	struct buf errors = BUF_INIT(1 << 16), yaml = BUF_INIT(1 << 16), expected = BUF_INIT(1024);
	struct config *config = NULL;

	(void)state;
	buf_append_string(&yaml, "destinations: [{name: d, when: {\"");
	buf_append_string(&expected, "t.yaml:1:33: destinations[0].when.\"");
	for (int i = 0; i < 50; i++) {
		buf_append_string(&yaml, "\\x01");
		buf_append_string(&expected, "\\u0001");
	}
	for (int i = 0; i < 3; i++) {
		buf_append_string(&yaml, "\xe5\x88\x86");
		buf_append_string(&expected, "\xe5\x88\x86");
	}
	buf_append_string(&yaml, ".\": a}, request: {url: 'http://h/'}}]\n");
	buf_append_string(
		&expected, ".\": expected a field's path of 1 to 128 bytes (like user.lang)\n");
	assert_int_equal(fixture_load(yaml.data, &config, &errors), ERR_CONFIG);
	assert_string_equal(buf_string(&errors), buf_string(&expected));
	buf_free(&errors);
	buf_free(&yaml);
	buf_free(&expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_adaptive_and_breaker),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_provider_knowledge),
		cmocka_unit_test(test_retry_is_inherited),
		cmocka_unit_test(test_bad_input),
		cmocka_unit_test(test_rules_are_bounded),
		cmocka_unit_test(test_texts_are_bounded),
		cmocka_unit_test(test_long_keys_stay_text),
	};

	return cmocka_run_group_tests(tests, fixture_enter, fixture_leave);
}
