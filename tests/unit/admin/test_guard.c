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

static void readers(void **state)
{
	static const char *const ours[] = {"worker.example.com"};
	static const char mozilla[] = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101";
	static const struct {
		struct guard_reader reader;
		bool may;
	} rows[] = {
		/* Programs, by any name. */
		{{.host = "worker.other.example:9797"}, true},
		{{.host = "worker.other.example", .user_agent = "Prometheus/2.42.0"}, true},
		{{.host = "worker.other.example", .user_agent = "curl/7.88.1"}, true},
		{{.host = NULL}, true},
		/* Browsers, by names that no stranger can have. */
		{{.host = "127.0.0.1:9797", .user_agent = mozilla}, true},
		{{.host = "[::1]:9797", .user_agent = mozilla}, true},
		{{.host = "localhost:9797", .accept_language = "en"}, true},
		{{.host = "worker-1", .user_agent = mozilla}, true},
		{{.host = "ip-10-0-0-1.eu-west-1.compute.internal", .user_agent = mozilla}, true},
		{{.host = "WORKER.example.com:80", .user_agent = mozilla}, true},
		/* Rebinding: nothing but the name is wrong. */
		{{.host = "evil.example:9797", .user_agent = mozilla}, false},
		{{.host = "evil.example:9797", .accept_language = "en"}, false},
		/* A page can change what a browser says of itself, not leave it out. */
		{{.host = "evil.example", .accept_language = "", .user_agent = "curl"}, false},
		{{.host = "evil.example", .sec_fetch_site = "same-origin"}, false},
		{{.host = "evil.example", .origin = "http://evil.example"}, false},
		{{.host = "worker.example.com.evil.example", .user_agent = mozilla}, false},
		{{.host = "127.0.0.1.evil.example", .user_agent = mozilla}, false},
		{{.host = NULL, .user_agent = mozilla}, false},
		{{.host = "", .user_agent = mozilla}, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(guard_may_read(&rows[i].reader, ours, 1), rows[i].may);
	assert_false(guard_may_read(
		&(struct guard_reader){.host = ours[0], .user_agent = mozilla}, NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens),
		cmocka_unit_test(one_try_a_second),
		cmocka_unit_test(no_token),
		cmocka_unit_test(origins),
		cmocka_unit_test(readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
