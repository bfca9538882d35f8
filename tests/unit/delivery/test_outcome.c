/* The outcome table: every status and every error code. */
#include "bunshin/error.h"
#include "delivery/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
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
		{ERR_ARGUMENT, 'p'},
		{ERR_TOO_LARGE, 'p'},
		{ERR_SYNTAX, 'p'},
		{ERR_TEMPLATE, 'p'},
		{ERR_CONFIG, 'p'},
		{ERR_NOT_FOUND, 'p'},
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
	assert_string_equal(outcome_name(OUTCOME_PERMANENT), "permanent");
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
