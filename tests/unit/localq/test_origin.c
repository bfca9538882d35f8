/* Which requests of browsers are taken. */
#include "localq/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const own_names[] = {"queue.example.com", "other.example.com"};

static void check(const char *host, const char *origin, const char *site, const char *expected)
{
	const struct origin_request request = {host, origin, site};
	const char *refusal = origin_refusal(&request, own_names, 2);

	if (expected == NULL ? refusal != NULL
			     : refusal == NULL || strstr(refusal, expected) == NULL)
		fail_msg("host %s origin %s site %s: %s", host != NULL ? host : "-",
			origin != NULL ? origin : "-", site != NULL ? site : "-",
			refusal != NULL ? refusal : "taken");
}

static void test_programs_are_not_asked(void **state)
{
	check("evil.example:9324", NULL, NULL, NULL);
	check(NULL, NULL, NULL, NULL);
	check("", NULL, NULL, NULL);
}

static void test_the_page_itself(void **state)
{
	check("127.0.0.1:9324", "http://127.0.0.1:9324", "same-origin", NULL);
	check("127.0.0.1:9324", "http://127.0.0.1:9324", NULL, NULL);
	check("127.0.0.1:9324", NULL, "same-origin", NULL);
	check("127.0.0.1:9324", NULL, "none", NULL);
	check("[::1]:9324", "http://[::1]:9324", "same-origin", NULL);
	check("localhost:9324", "http://LOCALHOST:9324", "same-origin", NULL);
	check("queue:9324", "http://queue:9324", "same-origin", NULL);
	check("queue", "https://queue", "same-origin", NULL);
	check("build.local:9324", "http://build.local:9324", "same-origin", NULL);
	check("a.b.internal", "http://a.b.internal", "same-origin", NULL);
	check("app.localhost:1", "http://app.localhost:1", "same-origin", NULL);
	check("nas.home.arpa", "http://nas.home.arpa", "same-origin", NULL);
	check("Queue.Example.com:9324", "http://queue.example.com:9324", "same-origin", NULL);
}

static void test_foreign_pages(void **state)
{
	check("127.0.0.1:9324", "http://evil.example", "cross-site", "another origin");
	check("127.0.0.1:9324", "http://evil.example", NULL, "another origin");
	check("127.0.0.1:9324", NULL, "cross-site", "another origin");
	check("localhost:9324", "http://localhost:3000", "same-site", "another origin");
	check("localhost:9324", "http://localhost:3000", NULL, "another origin");
	check("localhost:9324", NULL, "same-site", "another origin");
	check("127.0.0.1:9324", "null", "same-origin", "another origin");
	check("127.0.0.1:9324", "", NULL, "another origin");
	check("127.0.0.1:9324", "file://127.0.0.1:9324", NULL, "another origin");
	check("127.0.0.1:9324", "http://127.0.0.1:93245", NULL, "another origin");
	check("127.0.0.1:9324", "http://127.0.0.1:9324/", NULL, "another origin");
	check("127.0.0.1:9324", "http://127.0.0.1", NULL, "another origin");
	check("127.0.0.1:9324", "127.0.0.1:9324", NULL, "another origin");
	check(NULL, "http://127.0.0.1:9324", NULL, "another origin");
	check("127.0.0.1:9324", NULL, "", "another origin");
}

/* The name leads here, and origin and host agree: DNS rebinding. */
static void test_names_of_strangers(void **state)
{
	static const char *const hosts[] = {"evil.example:9324", "evil.example",
		"127.0.0.1.evil.example:9324", "localhost.evil.example:9324", "local.evil:1",
		"queue.example.com.evil:9324", "xqueue.example.com:9324", "a.internal.evil",
		".local.evil:1", "localhost.:9324"};
	char origin[64];

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		strcpy(origin, "http://");
		strcat(origin, hosts[i]);
		check(hosts[i], origin, "same-origin", "--page-host");
	}
	check("evil.example:9324", NULL, "same-origin", "--page-host");
	check("[::1", "http://[::1", "same-origin", "--page-host");
	check("", "http://", "same-origin", "--page-host");
	check(".local", "http://.local", NULL, "--page-host");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_programs_are_not_asked),
		cmocka_unit_test(test_the_page_itself),
		cmocka_unit_test(test_foreign_pages),
		cmocka_unit_test(test_names_of_strangers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
