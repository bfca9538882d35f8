/* Every error code, so that a new one is not judged by chance. */
#include "campaign/call_result.h"

#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define X(name, value, class, message) name,
static const int all[] = {ERROR_LIST(X)};
#undef X

static const struct {
	int code;
	enum call_verdict verdict;
	bool may_have_arrived;
} rows[] = {
	{ERR_NOMEM, CALL_HOPELESS, false},
	{ERR_CANCELLED, CALL_HOPELESS, true},
	{ERR_IO, CALL_HOPELESS, false},
	{ERR_LIMIT, CALL_TRY_AGAIN, false},
	{ERR_STORE, CALL_HOPELESS, false},
	{ERR_PENDING, CALL_HOPELESS, false},
	{ERR_ARGUMENT, CALL_REFUSED, false},
	{ERR_TOO_LARGE, CALL_REFUSED, false},
	{ERR_SYNTAX, CALL_REFUSED, false},
	{ERR_TEMPLATE, CALL_REFUSED, false},
	{ERR_CONFIG, CALL_REFUSED, false},
	{ERR_NOT_FOUND, CALL_REFUSED, false},
	{ERR_NOT_ALLOWED, CALL_REFUSED, false},
	{ERR_DNS, CALL_TRY_AGAIN, false},
	{ERR_CONNECT, CALL_TRY_AGAIN, false},
	{ERR_TLS, CALL_TRY_AGAIN, false},
	{ERR_TIMEOUT, CALL_TRY_AGAIN, true},
	{ERR_NETWORK, CALL_TRY_AGAIN, true},
	{ERR_PROTOCOL, CALL_TRY_AGAIN, true},
	{ERR_ANSWER_TOO_LARGE, CALL_TRY_AGAIN, true},
	{ERR_UNAVAILABLE, CALL_TRY_AGAIN, true},
	{ERR_THROTTLED, CALL_TRY_AGAIN, false},
	{ERR_OVER_LIMIT, CALL_TRY_AGAIN, false},
	{ERR_NO_CREDENTIALS, CALL_HOPELESS, false},
	{ERR_BAD_CREDENTIALS, CALL_HOPELESS, false},
	{ERR_EXPIRED_CREDENTIALS, CALL_HOPELESS, false},
	{ERR_CLOCK_SKEW, CALL_HOPELESS, false},
	{ERR_ACCESS_DENIED, CALL_HOPELESS, false},
	{ERR_QUEUE_MISSING, CALL_HOPELESS, false},
	{ERR_RECEIPT_INVALID, CALL_REFUSED, false},
	{ERR_REFUSED, CALL_REFUSED, false},
};

static void each_code_has_its_verdict(void **state)
{
	assert_int_equal(COUNT(rows), COUNT(all));
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(rows[i].code, all[i]);
		assert_int_equal(call_judge(rows[i].code), rows[i].verdict);
		assert_int_equal(call_may_have_arrived(rows[i].code), rows[i].may_have_arrived);
	}
	assert_int_equal(call_judge(0), CALL_DONE);
	assert_false(call_may_have_arrived(0));
	assert_int_equal(call_judge(-9999), CALL_HOPELESS);
	assert_false(call_may_have_arrived(-9999));
}

static void a_call_failed_whole_when_all_have_one_reason(void **state)
{
	static const int same[] = {ERR_REFUSED, ERR_REFUSED, ERR_REFUSED};
	static const int one_went_well[] = {ERR_REFUSED, ERR_REFUSED, 0};
	static const int first_went_well[] = {0, ERR_REFUSED};
	static const int two_reasons[] = {ERR_REFUSED, ERR_TOO_LARGE};

	assert_true(call_failed_whole(same, 3));
	assert_true(call_failed_whole(same, 1));
	assert_false(call_failed_whole(one_went_well, 3));
	assert_true(call_failed_whole(one_went_well, 2));
	assert_false(call_failed_whole(first_went_well, 2));
	assert_false(call_failed_whole(two_reasons, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_code_has_its_verdict),
		cmocka_unit_test(a_call_failed_whole_when_all_have_one_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
