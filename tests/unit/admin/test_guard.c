/* Who may change something over the admin port. */
#include "admin/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#define TOKEN "0123456789abcdef"

static enum guard_verdict try(struct guard *guard, const char *authorization, uint64_t now_ms)
{
	const struct guard_request request = {.authorization = authorization};

	return guard_judge(guard, &request, now_ms);
}

static void tokens(void **state)
{
	static const char *const right[] = {
		"Bearer " TOKEN, "bearer " TOKEN, "BEARER   " TOKEN, "Bearer " TOKEN " \t"};
	static const char *const wrong[] = {"", "Bearer", "Bearer ", TOKEN, "Basic " TOKEN,
		"Bearer 0123456789abcde", "Bearer 0123456789abcdef0", "Bearer 0123456789abcdeF",
		"Bearer " TOKEN TOKEN, "Bearer " TOKEN " x", "Bearer x" TOKEN};

	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		struct guard guard = {.token = TOKEN};

		assert_int_equal(try(&guard, right[i], 0), GUARD_FINE);
		assert_false(guard.tried);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct guard guard = {.token = TOKEN};

		assert_int_equal(try(&guard, wrong[i], 0), GUARD_WRONG);
	}
}

static void one_try_a_second(void **state)
{
	struct guard guard = {.token = TOKEN};

	assert_int_equal(try(&guard, NULL, 5000), GUARD_MISSING);
	assert_int_equal(try(&guard, "Bearer x", 5000), GUARD_WRONG);
	assert_int_equal(try(&guard, "Bearer " TOKEN, 5000), GUARD_TOO_SOON);
	assert_int_equal(try(&guard, "Bearer y", 5999), GUARD_TOO_SOON);
	assert_int_equal(try(&guard, NULL, 5999), GUARD_MISSING);
	assert_int_equal(try(&guard, "Bearer y", 6000), GUARD_WRONG);
	assert_int_equal(try(&guard, "Bearer " TOKEN, 7000), GUARD_FINE);
	assert_int_equal(try(&guard, "Bearer " TOKEN, 7000), GUARD_FINE);
}

static void no_token(void **state)
{
	struct guard guard = {.token = NULL};

	assert_int_equal(try(&guard, NULL, 0), GUARD_READ_ONLY);
	assert_int_equal(try(&guard, "Bearer x", 0), GUARD_READ_ONLY);
}

static void origins(void **state)
{
	static const struct {
		struct origin_request origin;
		enum guard_verdict verdict;
	} rows[] = {
		{{"h:9797", "http://h:9797", "same-origin"}, GUARD_FINE},
		{{"worker.example.com:9797", "https://worker.example.com:9797", NULL}, GUARD_FINE},
		{{"h:9797", NULL, "none"}, GUARD_FINE},
		{{"h:9797", "http://evil.example", NULL}, GUARD_FOREIGN},
		{{"h:9797", "http://h", NULL}, GUARD_FOREIGN},
		{{"h:9797", "null", NULL}, GUARD_FOREIGN},
		{{"h:9797", NULL, "cross-site"}, GUARD_FOREIGN},
		{{"h:9797", NULL, "same-site"}, GUARD_FOREIGN},
		{{NULL, "http://h:9797", NULL}, GUARD_FOREIGN},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct guard guard = {.token = TOKEN};
		const struct guard_request request = {
			.origin = rows[i].origin, .authorization = "Bearer " TOKEN};

		assert_int_equal(guard_judge(&guard, &request, 0), rows[i].verdict);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens),
		cmocka_unit_test(one_try_a_second),
		cmocka_unit_test(no_token),
		cmocka_unit_test(origins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
