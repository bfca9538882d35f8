#include "bunshin/error.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *name;
	int code;
} codes[] = {
#define X(name, value, class, message) {#name, name},
	ERROR_LIST(X)
#undef X
};

#define CODES (sizeof(codes) / sizeof(codes[0]))

/* Values appear in logs and test data; changing one is a break. */
static void values_are_stable(void **state)
{
	assert_int_equal(ERR_OK, 0);
	assert_int_equal(ERR_NOMEM, -1);
	assert_int_equal(ERR_CANCELLED, -2);
	assert_int_equal(ERR_ARGUMENT, -10);
	assert_int_equal(ERR_SYNTAX, -12);
	assert_int_equal(ERR_TIMEOUT, -23);
	assert_int_equal(ERR_THROTTLED, -30);
	assert_int_equal(ERR_NO_CREDENTIALS, -40);
	assert_int_equal(ERR_QUEUE_MISSING, -50);
	assert_int_equal(ERR_REFUSED, -52);
}

static void codes_are_negative_and_distinct(void **state)
{
	for (size_t i = 0; i < CODES; i++) {
		assert_true(codes[i].code < 0);
		assert_string_equal(error_name(codes[i].code), codes[i].name);
		assert_true(strlen(error_message(codes[i].code)) > 0);
		assert_int_not_equal(error_class(codes[i].code), ERROR_NONE);
		for (size_t j = 0; j < i; j++) {
			assert_int_not_equal(codes[i].code, codes[j].code);
			assert_string_not_equal(
				error_message(codes[i].code), error_message(codes[j].code));
		}
	}
}

static void classes_are_what_callers_act_on(void **state)
{
	assert_int_equal(error_class(ERR_OK), ERROR_NONE);
	assert_int_equal(error_class(ERR_NOMEM), ERROR_LOCAL);
	assert_int_equal(error_class(ERR_TEMPLATE), ERROR_PERMANENT);
	assert_int_equal(error_class(ERR_CONNECT), ERROR_TRANSIENT);
	assert_int_equal(error_class(ERR_OVER_LIMIT), ERROR_THROTTLED);
	assert_int_equal(error_class(ERR_CLOCK_SKEW), ERROR_AUTH);
	assert_int_equal(error_class(ERR_RECEIPT_INVALID), ERROR_PERMANENT);
}

static void any_int_is_taken(void **state)
{
	static const int strange[] = {1, 42, -7, -9, -60, -1000, INT_MIN, INT_MAX};

	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
		assert_int_equal(error_class(strange[i]), ERROR_LOCAL);
		assert_string_equal(error_name(strange[i]), "ERR_UNKNOWN");
		assert_string_equal(error_message(strange[i]), "unknown error");
	}
	assert_string_equal(error_name(ERR_OK), "ERR_OK");
	assert_string_equal(error_message(ERR_OK), "no error");
}

static void class_names(void **state)
{
	assert_string_equal(error_class_name(ERROR_NONE), "none");
	assert_string_equal(error_class_name(ERROR_TRANSIENT), "transient");
	assert_string_equal(error_class_name(ERROR_THROTTLED), "throttled");
	assert_string_equal(error_class_name(ERROR_AUTH), "auth");
	assert_string_equal(error_class_name(ERROR_PERMANENT), "permanent");
	assert_string_equal(error_class_name(ERROR_LOCAL), "local");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_stable),
		cmocka_unit_test(codes_are_negative_and_distinct),
		cmocka_unit_test(classes_are_what_callers_act_on),
		cmocka_unit_test(any_int_is_taken),
		cmocka_unit_test(class_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
