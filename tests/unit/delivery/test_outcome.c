/* The outcome table: every status, every error code, the sets and rules of a destination. */
#include "bunshin/error.h"
#include "delivery/outcome.h"
#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum outcome classify(
	const struct target_result *result, const struct status_range accept[], size_t count)
{
	struct outcome_table rows = {.sets[OUTCOME_ACCEPTED] = {accept, count}};
	const struct outcome_rule *rule;

	return outcome_classify(&rows, result, NULL, &rule);
}

static enum outcome of_status(int status, const struct status_range accept[], size_t count)
{
	return classify(
		&(struct target_result){
			.status = status, .retry_after_ms = -1, .reason = "", .excerpt = ""},
		accept, count);
}

/* One letter a status: a accepted, r retry, t throttled, R refused, p permanent. */
static enum outcome expected(char letter)
{
	switch (letter) {
	case 'a':
		return OUTCOME_ACCEPTED;
	case 'r':
		return OUTCOME_RETRY;
	case 't':
		return OUTCOME_THROTTLED;
	case 'R':
		return OUTCOME_REFUSED;
	case 'p':
		return OUTCOME_PERMANENT;
	default:
		fail_msg("letter %c", letter);
		return OUTCOME_PERMANENT;
	}
}

/* Ten statuses a group. */
static const char *const table[] = {
	/* 100 */ "rrrrrrrrrr rrrrrrrrrr rrrrrrrrrr rrrrrrrrrr rrrrrrrrrr "
		  "rrrrrrrrrr rrrrrrrrrr rrrrrrrrrr rrrrrrrrrr rrrrrrrrrr",
	/* 200 */
	"aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa "
	"aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa",
	/* 300 */
	"rrrrrrrrrr rrrrrrrrrr rrrrrrrrrr rrrrrrrrrr rrrrrrrrrr "
	"rrrrrrrrrr rrrrrrrrrr rrrrrrrrrr rrrrrrrrrr rrrrrrrrrr",
	/* 400 */
	"pRpRppppra pppppppppp ppppprpppt pppppppppp pppppppppp "
	"pppppppppp pppppppppp pppppppppp pppppppppp pppppppppp",
	/* 500 */
	"rrrtrrrrrr rrrrrrrrrr rrrrrrrrrr rrrrrrrrrr rrrrrrrrrr "
	"rrrrrrrrrr rrrrrrrrrr rrrrrrrrrr rrrrrrrrrr rrrrrrrrrr",
};

static char letter_of(int status)
{
	int rest = status % 100;

	return table[status / 100 - 1][rest + rest / 10];
}

static void every_status(void **state)
{
	static const struct status_range accept[] = {{200, 299}, {409, 409}};

	for (int status = 100; status <= 599; status++)
		if (of_status(status, accept, 2) != expected(letter_of(status)))
			fail_msg("%d is %s", status, outcome_name(of_status(status, accept, 2)));
}

/* What the configuration accepts comes before the table, whatever the status. */
static void accept_comes_first(void **state)
{
	static const struct status_range all[] = {{100, 599}};

	for (int status = 100; status <= 599; status++) {
		struct status_range one = {status, status};

		assert_int_equal(of_status(status, &one, 1), OUTCOME_ACCEPTED);
		assert_int_equal(of_status(status, all, 1), OUTCOME_ACCEPTED);
	}
}

/* A 2xx that is not accepted is tried again: never a delete by default. */
static void nothing_accepted(void **state)
{
	for (int status = 200; status <= 299; status++)
		assert_int_equal(of_status(status, NULL, 0), OUTCOME_RETRY);
	assert_int_equal(of_status(409, NULL, 0), OUTCOME_PERMANENT);
}

static void range_bounds(void **state)
{
	static const struct status_range accept[] = {{404, 406}};

	assert_int_equal(of_status(403, accept, 1), OUTCOME_REFUSED);
	assert_int_equal(of_status(404, accept, 1), OUTCOME_ACCEPTED);
	assert_int_equal(of_status(406, accept, 1), OUTCOME_ACCEPTED);
	assert_int_equal(of_status(407, accept, 1), OUTCOME_PERMANENT);
}

static void every_error(void **state)
{
	static const struct {
		int err;
		char letter;
	} rows[] = {
		{ERR_NOMEM, 'r'},
		{ERR_CANCELLED, 'r'},
		{ERR_IO, 'r'},
		{ERR_LIMIT, 'r'},
		{ERR_STORE, 'r'},
		{ERR_PENDING, 'r'},
		{ERR_ARGUMENT, 'p'},
		{ERR_TOO_LARGE, 'p'},
		{ERR_SYNTAX, 'p'},
		{ERR_TEMPLATE, 'p'},
		{ERR_CONFIG, 'p'},
		{ERR_NOT_FOUND, 'p'},
		{ERR_NOT_ALLOWED, 'p'},
		{ERR_DNS, 'r'},
		{ERR_CONNECT, 'r'},
		{ERR_TLS, 'r'},
		{ERR_TIMEOUT, 'r'},
		{ERR_NETWORK, 'r'},
		{ERR_PROTOCOL, 'r'},
		{ERR_ANSWER_TOO_LARGE, 'r'},
		{ERR_UNAVAILABLE, 'r'},
		{ERR_THROTTLED, 't'},
		{ERR_OVER_LIMIT, 't'},
		{ERR_NO_CREDENTIALS, 'R'},
		{ERR_BAD_CREDENTIALS, 'R'},
		{ERR_EXPIRED_CREDENTIALS, 'R'},
		{ERR_CLOCK_SKEW, 'R'},
		{ERR_ACCESS_DENIED, 'R'},
		{ERR_QUEUE_MISSING, 'p'},
		{ERR_RECEIPT_INVALID, 'p'},
		{ERR_REFUSED, 'p'},
	};
	static const int all[] = {
#define X(name, value, class, message) name,
		ERROR_LIST(X)
#undef X
	};
	static const struct status_range accept[] = {{0, 599}};

	assert_int_equal(sizeof(rows) / sizeof(rows[0]), sizeof(all) / sizeof(all[0]));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* No answer arrived: nothing that the accept list says matters. */
		struct target_result result = {
			.err = rows[i].err, .status = 200, .retry_after_ms = -1, .reason = ""};

		assert_int_equal(rows[i].err, all[i]);
		if (classify(&result, accept, 1) != expected(rows[i].letter))
			fail_msg("%s", error_name(rows[i].err));
	}
}

static void names(void **state)
{
	assert_string_equal(outcome_name(OUTCOME_ACCEPTED), "accepted");
	assert_string_equal(outcome_name(OUTCOME_RETRY), "retry");
	assert_string_equal(outcome_name(OUTCOME_THROTTLED), "throttled");
	assert_string_equal(outcome_name(OUTCOME_REFUSED), "refused");
	assert_string_equal(outcome_name(OUTCOME_QUOTA), "quota");
	assert_string_equal(outcome_name(OUTCOME_PERMANENT), "permanent");
	assert_string_equal(outcome_name(OUTCOME_UNREGISTERED), "unregistered");
	assert_string_equal(outcome_name(OUTCOME_AMBIGUOUS), "ambiguous");
}

/* What went out and got no answer is ambiguous only where it is not sent again. */
static void no_answer_is_ambiguous_when_that_is_final(void **state)
{
	static const int errors[] = {ERR_TIMEOUT, ERR_NETWORK, ERR_PROTOCOL};
	struct target_result result = {.retry_after_ms = -1, .reason = ""};
	struct outcome_table rows = {0};
	const struct outcome_rule *rule;

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		for (unsigned bits = 0; bits < 4; bits++) {
			result.err = errors[i];
			result.unanswered = bits & 1;
			rows.ambiguous_is_final = bits & 2;
			assert_int_equal(outcome_classify(&rows, &result, NULL, &rule),
				bits == 3 ? OUTCOME_AMBIGUOUS : OUTCOME_RETRY);
		}
}

static int64_t retry_after(const char *body, int64_t header_ms)
{
	struct outcome_table rows = {.retry_after_path = "parameters.retry_after"};
	struct target_result result = {.status = 429,
		.retry_after_ms = header_ms,
		.reason = "",
		.excerpt = body,
		.excerpt_bytes = strlen(body)};
	struct json json = {0};
	int64_t ms = outcome_retry_after_ms(&rows, &result, &json);

	json_free(&json);
	return ms;
}

static void retry_time_in_the_body(void **state)
{
	static const struct {
		const char *number;
		int64_t ms;
	} rows[] = {
		{"35", 35000},
		{"0", 0},
		{"0.25", 250},
		{"1.0004", 1001},
		{"1.999999999999", 2000},
		{"43200", OUTCOME_RETRY_AFTER_MAX_MS},
		{"43200.5", OUTCOME_RETRY_AFTER_MAX_MS},
		{"99999999999999999999999999", OUTCOME_RETRY_AFTER_MAX_MS},
		{"-1", -1},
		{"1e3", -1},
		{"\"35\"", -1},
		{"null", -1},
		{"[35]", -1},
	};
	char body[128];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(body, sizeof(body), "{\"parameters\":{\"retry_after\":%s}}",
			rows[i].number);
		assert_int_equal(retry_after(body, -1), rows[i].ms);
		assert_int_equal(retry_after(body, 7000), 7000);
	}
	assert_int_equal(retry_after("{}", -1), -1);
	assert_int_equal(retry_after("busy", -1), -1);
	assert_int_equal(retry_after("", -1), -1);
}

/* ---- sets of statuses */

/* Each outcome's set decides for exactly its statuses; all others are as in the table. */
static void a_set_for_each_outcome(void **state)
{
	static const struct status_range ranges[] = {{200, 201}, {404, 404}, {500, 502}};
	static const struct status_range accept[] = {{202, 299}, {409, 409}};

	for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
		struct outcome_table rows = {.sets[OUTCOME_ACCEPTED] = {accept, 2}};
		const struct outcome_rule *rule;

		rows.sets[outcome] = (struct status_set){ranges, 3};
		for (int status = 100; status <= 599; status++) {
			struct target_result result = {.status = status,
				.retry_after_ms = -1,
				.reason = "",
				.excerpt = ""};
			bool in_set = status == 200 || status == 201 || status == 404 ||
				      (status >= 500 && status <= 502);
			enum outcome wanted =
				in_set ? (enum outcome)outcome : expected(letter_of(status));

			/* Its own set has taken the place of what was accepted. */
			if (outcome == OUTCOME_ACCEPTED && !in_set && wanted == OUTCOME_ACCEPTED)
				wanted = status == 409 ? OUTCOME_PERMANENT : OUTCOME_RETRY;
			if (outcome_classify(&rows, &result, NULL, &rule) != wanted)
				fail_msg("%s: %d", outcome_name(outcome), status);
			assert_null(rule);
		}
	}
}

/* All five at once, each status in one. */
static void all_sets_together(void **state)
{
	static const struct status_range accept[] = {{200, 299}},
					 retry[] = {{404, 404}, {410, 412}},
					 throttle[] = {{509, 509}}, refused[] = {{402, 402}},
					 permanent[] = {{501, 501}, {300, 399}};
	struct outcome_table rows = {.sets = {[OUTCOME_ACCEPTED] = {accept, 1},
					     [OUTCOME_RETRY] = {retry, 2},
					     [OUTCOME_THROTTLED] = {throttle, 1},
					     [OUTCOME_REFUSED] = {refused, 1},
					     [OUTCOME_PERMANENT] = {permanent, 2}}};
	static const struct {
		int status;
		enum outcome outcome;
	} cases[] = {{204, OUTCOME_ACCEPTED}, {404, OUTCOME_RETRY}, {409, OUTCOME_PERMANENT},
		{410, OUTCOME_RETRY}, {412, OUTCOME_RETRY}, {413, OUTCOME_PERMANENT},
		{509, OUTCOME_THROTTLED}, {402, OUTCOME_REFUSED}, {501, OUTCOME_PERMANENT},
		{299, OUTCOME_ACCEPTED}, {300, OUTCOME_PERMANENT}, {399, OUTCOME_PERMANENT},
		{400, OUTCOME_PERMANENT}, {401, OUTCOME_REFUSED}, {429, OUTCOME_THROTTLED},
		{500, OUTCOME_RETRY}, {503, OUTCOME_THROTTLED}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct target_result result = {.status = cases[i].status,
			.retry_after_ms = -1,
			.reason = "",
			.excerpt = ""};
		const struct outcome_rule *rule;

		if (outcome_classify(&rows, &result, NULL, &rule) != cases[i].outcome)
			fail_msg("%d", cases[i].status);
	}
}

/* ---- rules */

static struct json json;

/* The index of the rule that decides, or -1; the excerpt is an exact copy on the heap. */
static int decide(const struct outcome_rule rules[], size_t count, int status, const char *body,
	size_t bytes, enum outcome *ret_outcome)
{
	static const struct status_range accept[] = {{200, 299}};
	struct outcome_table rows = {
		.sets[OUTCOME_ACCEPTED] = {accept, 1}, .rules = rules, .rule_count = count};
	char *copy = malloc(bytes + (bytes == 0));
	struct target_result result = {.status = status,
		.retry_after_ms = -1,
		.reason = "",
		.excerpt = copy,
		.excerpt_bytes = bytes};
	const struct outcome_rule *rule = rules;

	assert_non_null(copy);
	memcpy(copy, body, bytes);
	*ret_outcome = outcome_classify(&rows, &result, &json, &rule);
	free(copy);
	return rule ? (int)(rule - rules) : -1;
}

static bool fits(struct outcome_rule rule, const char *body, size_t bytes)
{
	enum outcome outcome;
	int index;

	rule.outcome = OUTCOME_THROTTLED;
	index = decide(&rule, 1, 400, body, bytes, &outcome);
	assert_int_equal(outcome, index == 0 ? OUTCOME_THROTTLED : OUTCOME_PERMANENT);
	return index == 0;
}

static bool fits_text(const char *path, const char *equals, const char *contains, const char *body)
{
	return fits((struct outcome_rule){.path = path, .equals = equals, .contains = contains},
		body, strlen(body));
}

static void path_and_equals(void **state)
{
	static const struct {
		const char *path, *equals, *body;
		bool fits;
	} cases[] = {
		{"a", "x", "{\"a\":\"x\"}", true},
		{"a", "x", "{\"a\":\"X\"}", false},
		{"a", "x", "{\"a\":\"xx\"}", false},
		{"a", "x", "{\"a\":\"\"}", false},
		{"a", "", "{\"a\":\"\"}", true},
		{"a", "", "{\"a\":null}", false},
		{"a", "x", "{\"b\":\"x\"}", false},
		{"a", "x", "[\"x\"]", false},
		{"0", "x", "[\"x\"]", true},
		{"1", "x", "[\"x\"]", false},
		{"a.b.0.c", "x", "{\"a\":{\"b\":[{\"c\":\"x\"}]}}", true},
		{"a.b.1.c", "x", "{\"a\":{\"b\":[{\"c\":\"x\"}]}}", false},
		{"a.b", "x", "{\"a\":\"x\"}", false},
		/* Escaped in the body, not in the rule. */
		{"a", "\xe5\x88\x86", "{\"a\":\"\\u5206\"}", true},
		{"\xe5\x88\x86", "x", "{\"\\u5206\":\"x\"}", true},
		{"a", "x\ny", "{\"a\":\"x\\ny\"}", true},
		/* A NUL ends nothing. */
		{"a", "x", "{\"a\":\"x\\u0000\"}", false},
		{"a", "x", "{\"a\":\"x\\u0000y\"}", false},
		/* A name twice: the last one counts. */
		{"a", "x", "{\"a\":\"x\",\"a\":\"y\"}", false},
		{"a", "y", "{\"a\":\"x\",\"a\":\"y\"}", true},
		/* Numbers and literals as they are written. */
		{"a", "404", "{\"a\":404}", true},
		{"a", "404", "{\"a\":\"404\"}", true},
		{"a", "404", "{\"a\":404.0}", false},
		{"a", "4e2", "{\"a\":400}", false},
		{"a", "4e2", "{\"a\":4e2}", true},
		{"a", "-0", "{\"a\":-0}", true},
		{"a", "0", "{\"a\":-0}", false},
		{"a", "true", "{\"a\":true}", true},
		{"a", "true", "{\"a\": \n true }", true},
		{"a", "false", "{\"a\":false}", true},
		{"a", "false", "{\"a\":true}", false},
		{"a", "null", "{\"a\":null}", true},
		/* A container is no text. */
		{"a", "{}", "{\"a\":{}}", false},
		{"a", "[]", "{\"a\":[]}", false},
		{"a", "x", "{\"a\":[\"x\"]}", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (fits_text(cases[i].path, cases[i].equals, NULL, cases[i].body) != cases[i].fits)
			fail_msg("%s: %s", cases[i].path, cases[i].body);
}

static void path_and_contains(void **state)
{
	static const struct {
		const char *contains, *body;
		bool fits;
	} cases[] = {
		{"quota", "{\"a\":\"quota\"}", true},
		{"quota", "{\"a\":\"your quota is used up\"}", true},
		{"quota", "{\"a\":\"Quota\"}", false},
		{"quota", "{\"a\":\"quot\"}", false},
		{"quota", "{\"b\":\"quota\",\"a\":\"\"}", false},
		{"", "{\"a\":\"\"}", true},
		{"40", "{\"a\":1404}", true},
		{"rue", "{\"a\":true}", true},
		{"ul", "{\"a\":null}", true},
		{"x", "{\"a\":[\"x\"]}", false},
		{"x", "{\"a\":{\"x\":\"x\"}}", false},
		{"y", "{\"a\":\"x\\u0000y\"}", true},
		/* The quotes are not part of it. */
		{"\"", "{\"a\":\"x\"}", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (fits_text("a", NULL, cases[i].contains, cases[i].body) != cases[i].fits)
			fail_msg("%s: %s", cases[i].contains, cases[i].body);
}

/* It is there at all, whatever it is. */
static void path_alone(void **state)
{
	static const char *const there[] = {"{\"a\":0}", "{\"a\":\"\"}", "{\"a\":null}",
		"{\"a\":false}", "{\"a\":[]}", "{\"a\":{}}", "{\"a\":[1]}"};
	static const char *const not_there[] = {
		"{}", "{\"b\":0}", "[]", "\"a\"", "null", "{\"A\":0}", "{\"a \":0}", ""};

	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		assert_true(fits_text("a", NULL, NULL, there[i]));
	for (size_t i = 0; i < sizeof(not_there) / sizeof(not_there[0]); i++)
		assert_false(fits_text("a", NULL, NULL, not_there[i]));
}

/* The body is any text, JSON or not. */
static void contains_alone(void **state)
{
	assert_true(fits_text(NULL, NULL, "limit", "monthly limit"));
	assert_true(fits_text(NULL, NULL, "limit", "limit"));
	assert_true(fits_text(NULL, NULL, "\"a\":1", "{\"a\":1}"));
	assert_false(fits_text(NULL, NULL, "limit", "Limit"));
	assert_false(fits_text(NULL, NULL, "limit", "limi"));
	assert_false(fits_text(NULL, NULL, "limit", ""));
	/* Behind a NUL, and across bytes that are no text. */
	assert_true(fits((struct outcome_rule){.contains = "limit"}, "\0limit", 6));
	assert_true(fits((struct outcome_rule){.contains = "limit"}, "\xff\xfelimit\0", 8));
	assert_false(fits((struct outcome_rule){.contains = "limit"}, "limi\0t", 6));
}

/* No text in it: the statuses alone. */
static void rules_by_status(void **state)
{
	static const struct status_range ranges[] = {{300, 302}, {404, 404}, {500, 500}};
	struct outcome_rule rule = {
		.statuses = {ranges, 3}, .contains = "x", .outcome = OUTCOME_REFUSED};

	for (int status = 100; status <= 599; status++) {
		bool in = (status >= 300 && status <= 302) || status == 404 || status == 500;
		enum outcome outcome;

		assert_int_equal(decide(&rule, 1, status, "x", 1, &outcome), in ? 0 : -1);
		assert_int_equal(decide(&rule, 1, status, "y", 1, &outcome), -1);
	}
}

/* In their order, whatever they look at; and before what is accepted. */
static void the_first_that_fits(void **state)
{
	static const struct status_range ok[] = {{200, 200}};
	const struct outcome_rule rules[] = {
		{.path = "code", .equals = "1", .outcome = OUTCOME_RETRY},
		{.contains = "slow", .outcome = OUTCOME_THROTTLED},
		{.statuses = {ok, 1}, .path = "error", .outcome = OUTCOME_PERMANENT},
		{.path = "code", .outcome = OUTCOME_REFUSED},
	};
	static const struct {
		int status, rule;
		const char *body;
		enum outcome outcome;
	} cases[] = {
		{200, 0, "{\"code\":1,\"x\":\"slow\",\"error\":1}", OUTCOME_RETRY},
		{200, 1, "{\"code\":2,\"x\":\"slow\",\"error\":1}", OUTCOME_THROTTLED},
		{200, 2, "{\"code\":2,\"error\":1}", OUTCOME_PERMANENT},
		{201, 3, "{\"code\":2,\"error\":1}", OUTCOME_REFUSED},
		{201, -1, "{\"error\":1}", OUTCOME_ACCEPTED},
		{200, -1, "", OUTCOME_ACCEPTED},
		{503, -1, "no", OUTCOME_THROTTLED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum outcome outcome;
		int rule = decide(
			rules, 4, cases[i].status, cases[i].body, strlen(cases[i].body), &outcome);

		if (rule != cases[i].rule || outcome != cases[i].outcome)
			fail_msg("case %zu: rule %d, %s", i, rule, outcome_name(outcome));
	}
}

/* A rule may also accept what no list accepts. */
static void a_rule_may_accept(void **state)
{
	const struct outcome_rule rule = {
		.path = "error", .equals = "duplicate", .outcome = OUTCOME_ACCEPTED};
	enum outcome outcome;

	assert_int_equal(decide(&rule, 1, 400, "{\"error\":\"duplicate\"}", 21, &outcome), 0);
	assert_int_equal(outcome, OUTCOME_ACCEPTED);
	assert_int_equal(decide(&rule, 1, 400, "{\"error\":\"other\"}", 17, &outcome), -1);
	assert_int_equal(outcome, OUTCOME_PERMANENT);
}

/* Without an answer there is no body to look into. */
static void no_rule_for_an_error(void **state)
{
	const struct outcome_rule rule = {.contains = "", .outcome = OUTCOME_ACCEPTED};
	struct outcome_table rows = {.rules = &rule, .rule_count = 1};
	struct target_result result = {.err = ERR_TIMEOUT, .reason = "", .excerpt = ""};
	const struct outcome_rule *found = &rule;

	assert_int_equal(outcome_classify(&rows, &result, &json, &found), OUTCOME_RETRY);
	assert_null(found);
}

/* Not JSON, or cut short: no path is there; the text is. */
static void bodies_that_are_no_json(void **state)
{
	static const char *const bodies[] = {"", " ", "x", "{\"a\":\"x\"", "{\"a\":\"x\"} x",
		"{\"a\":\"x\",}", "{'a':'x'}", "{\"a\":\"x", "\xff{\"a\":\"x\"}",
		"{\"a\":\"x\",\"b\":\"\xff\"}", "{\"a\":\"x\",\"b\":\"\\ud800\"}",
		"{\"a\":\"x\",\"b\":01}", "{\"a\":\"x\"}{}", "<html>a x</html>"};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		assert_false(fits_text("a", NULL, NULL, bodies[i]));
		assert_false(fits_text("a", "x", NULL, bodies[i]));
		assert_int_equal(
			fits_text(NULL, NULL, "x", bodies[i]), strchr(bodies[i], 'x') != NULL);
	}
	assert_false(fits((struct outcome_rule){.path = "a"}, "{\"a\":\"x\"}\0", 10));
	assert_false(fits((struct outcome_rule){.path = "a"}, "{\"a\":\"\0\"}", 9));
}

/* The longest body that is seen whole, and one that the excerpt cuts. */
static void the_longest_excerpt(void **state)
{
	static const char head[] = "{\"a\":\"x\",\"b\":\"", tail[] = "\"}";
	char body[TARGET_EXCERPT_MAX + 1];
	struct outcome_rule by_path = {.path = "a", .equals = "x"};
	struct outcome_rule by_text = {.contains = "yyyy\"}"};

	memset(body, 'y', sizeof(body));
	memcpy(body, head, strlen(head));
	memcpy(body + TARGET_EXCERPT_MAX - strlen(tail), tail, strlen(tail));
	assert_true(fits(by_path, body, TARGET_EXCERPT_MAX));
	assert_true(fits(by_text, body, TARGET_EXCERPT_MAX));
	/* One byte more, of which the excerpt has all but the last. */
	memset(body + strlen(head), 'y', sizeof(body) - strlen(head));
	memcpy(body + TARGET_EXCERPT_MAX + 1 - strlen(tail), tail, strlen(tail));
	assert_false(fits(by_path, body, TARGET_EXCERPT_MAX));
	assert_false(fits(by_text, body, TARGET_EXCERPT_MAX));
}

/* As deep as the reader goes, and one deeper; then as deep as an excerpt can be. */
static void nested(void **state)
{
	char body[TARGET_EXCERPT_MAX];
	size_t depths[] = {JSON_DEPTH_MAX - 2, JSON_DEPTH_MAX - 1, JSON_DEPTH_MAX, 2000};
	static const bool seen[] = {true, true, false, false};

	for (size_t i = 0; i < 4; i++) {
		size_t n = (size_t)sprintf(body, "{\"a\":\"x\",\"b\":");

		memset(body + n, '[', depths[i]);
		memset(body + n + depths[i], ']', depths[i]);
		n += 2 * depths[i];
		body[n++] = '}';
		assert_int_equal(fits((struct outcome_rule){.path = "a"}, body, n), seen[i]);
		assert_true(fits((struct outcome_rule){.contains = "[[["}, body, n));
	}
}

/* One scratch for all: nothing of a body is left for the next. */
static void the_scratch_is_forgotten(void **state)
{
	assert_true(fits_text("a", NULL, NULL, "{\"a\":1}"));
	assert_false(fits_text("a", NULL, NULL, "not json"));
	assert_false(fits_text("a", NULL, NULL, "{}"));
	assert_true(fits_text("a", NULL, NULL, "{\"a\":1}"));
	assert_false(fits_text("a", NULL, NULL, ""));
}

/* Whether it is accepted cannot be known: it is tried again, even where another rule would fit. */
static void no_memory_to_look(void **state)
{
	const struct outcome_rule rules[] = {
		{.path = "error", .outcome = OUTCOME_PERMANENT},
		{.contains = "a", .outcome = OUTCOME_ACCEPTED},
	};
	unsigned long k = 0;
	enum outcome outcome;

	for (;;) {
		int rule;

		json_free(&json);
		json = (struct json){0};
		failmalloc_arm(++k + 1); /* after the copy of the body */
		rule = decide(rules, 2, 200, "{\"a\":[1,2,3]}", 13, &outcome);
		if (!failmalloc_disarm()) {
			assert_int_equal(rule, 1);
			assert_int_equal(outcome, OUTCOME_ACCEPTED);
			break;
		}
		assert_int_equal(rule, -1);
		assert_int_equal(outcome, OUTCOME_RETRY);
	}
	assert_true(k > 1);
}

/* ---- real providers */

/* LINE answers 429 for its rate, which passes, and for the month's quota, which does not. */
static void line_429(void **state)
{
	static const char rate[] = "{\"message\":\"The API rate limit has been exceeded. "
				   "Try again later.\"}";
	static const char month[] = "{\"message\":\"You have reached your monthly limit.\"}";
	static const struct status_range s429[] = {{429, 429}};
	const struct outcome_rule rule = {.statuses = {s429, 1},
		.path = "message",
		.contains = "monthly limit",
		.outcome = OUTCOME_REFUSED};
	enum outcome outcome;

	assert_int_equal(decide(&rule, 1, 429, rate, strlen(rate), &outcome), -1);
	assert_int_equal(outcome, OUTCOME_THROTTLED);
	assert_int_equal(decide(&rule, 1, 429, month, strlen(month), &outcome), 0);
	assert_int_equal(outcome, OUTCOME_REFUSED);
	assert_int_equal(decide(&rule, 1, 400, month, strlen(month), &outcome), -1);
	assert_int_equal(outcome, OUTCOME_PERMANENT);
}

/* FCM: a token that is gone, a message of another sender, and our own credentials. */
static void fcm(void **state)
{
	static const struct status_range s403[] = {{403, 403}}, s404[] = {{404, 404}};
	const struct outcome_rule rules[] = {
		{.statuses = {s404, 1},
			.path = "error.details.0.errorCode",
			.equals = "UNREGISTERED",
			.outcome = OUTCOME_PERMANENT},
		{.statuses = {s404, 1}, .contains = "", .outcome = OUTCOME_REFUSED},
		{.statuses = {s403, 1},
			.path = "error.details.0.errorCode",
			.equals = "SENDER_ID_MISMATCH",
			.outcome = OUTCOME_PERMANENT},
	};
	static const char body[] =
		"{\n  \"error\": {\n    \"code\": %d,\n    \"message\": \"m\",\n"
		"    \"status\": \"s\",\n    \"details\": [\n      {\n        \"@type\": "
		"\"type.googleapis.com/google.firebase.fcm.v1.FcmError\",\n"
		"        \"errorCode\": \"%s\"\n      }\n    ]\n  }\n}\n";
	static const struct {
		int status;
		const char *code;
		int rule;
		enum outcome outcome;
	} cases[] = {
		{404, "UNREGISTERED", 0, OUTCOME_PERMANENT},
		{404, "NOT_FOUND", 1, OUTCOME_REFUSED}, /* the project */
		{403, "SENDER_ID_MISMATCH", 2, OUTCOME_PERMANENT},
		{403, "THIRD_PARTY_AUTH_ERROR", -1, OUTCOME_REFUSED},
		{429, "QUOTA_EXCEEDED", -1, OUTCOME_THROTTLED},
		{503, "UNAVAILABLE", -1, OUTCOME_THROTTLED},
		{500, "INTERNAL", -1, OUTCOME_RETRY},
		{400, "INVALID_ARGUMENT", -1, OUTCOME_PERMANENT},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512];
		enum outcome outcome;
		int n = snprintf(text, sizeof(text), body, cases[i].status, cases[i].code);
		int rule = decide(rules, 3, cases[i].status, text, (size_t)n, &outcome);

		if (rule != cases[i].rule || outcome != cases[i].outcome)
			fail_msg("%s: rule %d, %s", cases[i].code, rule, outcome_name(outcome));
	}
}

static int free_scratch(void **state)
{
	json_free(&json);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status),
		cmocka_unit_test(accept_comes_first),
		cmocka_unit_test(nothing_accepted),
		cmocka_unit_test(range_bounds),
		cmocka_unit_test(every_error),
		cmocka_unit_test(names),
		cmocka_unit_test(no_answer_is_ambiguous_when_that_is_final),
		cmocka_unit_test(retry_time_in_the_body),
		cmocka_unit_test(a_set_for_each_outcome),
		cmocka_unit_test(all_sets_together),
		cmocka_unit_test(path_and_equals),
		cmocka_unit_test(path_and_contains),
		cmocka_unit_test(path_alone),
		cmocka_unit_test(contains_alone),
		cmocka_unit_test(rules_by_status),
		cmocka_unit_test(the_first_that_fits),
		cmocka_unit_test(a_rule_may_accept),
		cmocka_unit_test(no_rule_for_an_error),
		cmocka_unit_test(bodies_that_are_no_json),
		cmocka_unit_test(the_longest_excerpt),
		cmocka_unit_test(nested),
		cmocka_unit_test(the_scratch_is_forgotten),
		cmocka_unit_test(no_memory_to_look),
		cmocka_unit_test(line_429),
		cmocka_unit_test(fcm),
	};

	return cmocka_run_group_tests(tests, NULL, free_scratch);
}
