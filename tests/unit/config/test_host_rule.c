/* Which hosts a message may choose: rules as they are written, and URLs of every kind of trick. */
#include "config/host_rule.h"

#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define LABEL_63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

static const char *as_written(const struct host_rule *rule)
{
	static struct buf out = BUF_INIT(1000);

	buf_free(&out);
	assert_int_equal(host_rule_append(rule, &out), 0);
	return buf_string(&out);
}

static void test_rules(void **state)
{
	static const struct {
		const char *text, *written;
		bool subdomains, plain_http;
		int port;
	} cases[] = {
		{"hooks.example.com", "hooks.example.com", false, false, 443},
		{"HTTPS://Hooks.Example.com:443", "hooks.example.com", false, false, 443},
		{"*.example.com:8443", "*.example.com:8443", true, false, 8443},
		{"http://localhost", "http://localhost", false, true, 80},
		{"http://*.svc.cluster.local:80", "http://*.svc.cluster.local", true, true, 80},
		{"http://a:443", "http://a:443", false, true, 443},
		{"a:65535", "a:65535", false, false, 65535},
		{"my_app-1.example", "my_app-1.example", false, false, 443},
		{"xn--bcher-kva.example", "xn--bcher-kva.example", false, false, 443},
		{"1.2.3.4.example", "1.2.3.4.example", false, false, 443},
		{LABEL_63 ".example", LABEL_63 ".example", false, false, 443},
		{"0xg.0xfg", "0xg.0xfg", false, false, 443},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct host_rule rule, again;

		print_message("%s\n", cases[i].text);
		assert_null(host_rule_parse(cases[i].text, &rule));
		assert_string_equal(as_written(&rule), cases[i].written);
		assert_int_equal(rule.subdomains, cases[i].subdomains);
		assert_int_equal(rule.plain_http, cases[i].plain_http);
		assert_int_equal(rule.port, cases[i].port);
		assert_null(host_rule_parse(as_written(&rule), &again));
		assert_memory_equal(&rule, &again, sizeof(rule));
	}
}

#define IS_ADDRESS "has an address for a host; only names are allowed"
#define BAD_CHARACTER "has a character in its host that no host name has"
#define BAD_PORT "has a port that is not 1 to 65535"

static void test_what_is_no_rule(void **state)
{
	static const char *const cases[][2] = {
		{"", "has no host"},
		{"https://", "has no host"},
		{":443", "has no host"},
		{"*", "names no host"},
		{"*:443", "names no host"},
		{"*example.com", "names no host"},
		{"*.com", "has fewer than two labels behind its *"},
		{"*.", "has no host"},
		{"*.*.com", BAD_CHARACTER},
		{"a.*.com", BAD_CHARACTER},
		{"ftp://h", "has more than a host and a port"},
		{"//h", "has more than a host and a port"},
		{"h/", "has more than a host and a port"},
		{"https://h/hook", "has more than a host and a port"},
		{"h?", "has more than a host and a port"},
		{"h#", "has more than a host and a port"},
		{"u@h", "has a user before its host"},
		{"h:0", BAD_PORT},
		{"h:", BAD_PORT},
		{"h:080", BAD_PORT},
		{"h:65536", BAD_PORT},
		{"h:99999999999", BAD_PORT},
		{"h:80x", BAD_PORT},
		{"h:*", BAD_PORT},
		{"h.", "has a dot at the end of its host"},
		{".h", "has an empty label in its host"},
		{"a..b", "has an empty label in its host"},
		{"-a.b", "has a label that begins or ends with - in its host"},
		{"a-.b", "has a label that begins or ends with - in its host"},
		{LABEL_63 "x.b", "has a label of more than 63 bytes in its host"},
		{LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63,
			"has a host of more than 253 bytes"},
		{"127.0.0.1", IS_ADDRESS},
		{"*.0.0.1", IS_ADDRESS},
		{"[::1]", IS_ADDRESS},
		{"[::1]:443", IS_ADDRESS},
		{"2130706433", IS_ADDRESS},
		{"0x7f.0x1", IS_ADDRESS},
		{"b\xc3\xbc"
		 "cher.example",
			BAD_CHARACTER},
		{"a b", BAD_CHARACTER},
		{"a%2eb", "has a percent-encoded host"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct host_rule rule = {.port = 7};
		const char *problem = host_rule_parse(cases[i][0], &rule);

		print_message("%s\n", cases[i][0]);
		assert_non_null(problem);
		assert_string_equal(problem, cases[i][1]);
		assert_int_equal(rule.port, 7);
	}
}

/* What the rules of most tests below are. */
static int check(const char *url, struct buf *reason)
{
	static const char *const texts[] = {"hooks.example.com", "*.customers.example.com",
		"*.example.net:8443", "http://localhost:8080", "xn--bcher-kva.example"};
	struct host_rule rules[COUNT(texts)];

	for (size_t i = 0; i < COUNT(texts); i++)
		assert_null(host_rule_parse(texts[i], &rules[i]));
	return host_rules_check(rules, COUNT(rules), url, reason);
}

static void test_allowed(void **state)
{
	static const char *const urls[] = {
		"https://hooks.example.com",
		"https://hooks.example.com/",
		"HTTPS://HOOKS.example.COM:443/x@y:z?a[b]#c",
		"https://hooks.example.com?u=https://evil.example",
		"https://hooks.example.com#@evil.example",
		"https://a.customers.example.com/in",
		"https://a.b.c.Customers.example.com/in",
		"https://127.0.0.1.customers.example.com/in",
		"https://a.example.net:8443/",
		"http://localhost:8080/",
		"https://xn--bcher-kva.example/",
	};

	for (size_t i = 0; i < COUNT(urls); i++) {
		struct buf reason = BUF_INIT(1000);

		print_message("%s\n", urls[i]);
		assert_int_equal(check(urls[i], &reason), 0);
		assert_int_equal(reason.len, 0);
		buf_free(&reason);
	}
}

static void test_refused(void **state)
{
	static const char *const cases[][2] = {
		/* Of nobody's rule. */
		{"https://evil.example/", "request.allow_hosts has no https://evil.example:443"},
		{"https://example.com/", "request.allow_hosts has no https://example.com:443"},
		{"https://xhooks.example.com/",
			"request.allow_hosts has no https://xhooks.example.com:443"},
		{"https://a.hooks.example.com/",
			"request.allow_hosts has no https://a.hooks.example.com:443"},
		{"https://hooks.example.com.evil.example/",
			"request.allow_hosts has no https://hooks.example.com.evil.example:443"},
		{"https://customers.example.com/",
			"request.allow_hosts has no https://customers.example.com:443"},
		{"https://evilcustomers.example.com/",
			"request.allow_hosts has no https://evilcustomers.example.com:443"},
		{"https://localhost/", "request.allow_hosts has no https://localhost:443"},
		/* Another port, another scheme. */
		{"https://hooks.example.com:22/",
			"request.allow_hosts has no https://hooks.example.com:22"},
		{"https://a.example.net/", "request.allow_hosts has no https://a.example.net:443"},
		{"http://hooks.example.com/",
			"request.allow_hosts has no http://hooks.example.com:80"},
		{"http://hooks.example.com:443/",
			"request.allow_hosts has no http://hooks.example.com:443"},
		{"https://localhost:8080/", "request.allow_hosts has no https://localhost:8080"},
		{"http://localhost/", "request.allow_hosts has no http://localhost:80"},
		{"ftp://hooks.example.com/", "the URL is not an https URL"},
		{"file:///etc/passwd", "the URL is not an https URL"},
		{"gopher://hooks.example.com/", "the URL is not an https URL"},
		{"hooks.example.com/", "the URL is not an https URL"},
		{"//hooks.example.com/", "the URL is not an https URL"},
		{"https:hooks.example.com", "the URL is not an https URL"},
		{"https:/hooks.example.com", "the URL is not an https URL"},
		{" https://hooks.example.com", "the URL is not an https URL"},
		{"", "the URL is not an https URL"},
		{"https://", "the URL has no host"},
		{"https:///hooks.example.com", "the URL has no host"},
		{"https://:443/", "the URL has no host"},
		{"https://?hooks.example.com", "the URL has no host"},
		/* A user. */
		{"https://hooks.example.com@evil.example/", "the URL has a user before its host"},
		{"https://u:p@hooks.example.com/", "the URL has a user before its host"},
		{"https://@hooks.example.com/", "the URL has a user before its host"},
		{"https://evil.example:443@hooks.example.com/",
			"the URL has a user before its host"},
		/* What other parsers end a host at, or read as something else. */
		{"https://evil.example\\.hooks.example.com/", "the URL " BAD_CHARACTER},
		{"https://evil.example\\@hooks.example.com/", "the URL has a user before its host"},
		{"https://evil.example;hooks.example.com/", "the URL " BAD_CHARACTER},
		{"https://evil.example hooks.example.com/", "the URL " BAD_CHARACTER},
		{"https://evil.example\thooks.example.com/", "the URL " BAD_CHARACTER},
		{"https://hooks.example.com,evil.example/", "the URL " BAD_CHARACTER},
		{"https://hooks.example.com%2f@evil.example/",
			"the URL has a user before its host"},
		{"https://evil.example%2fhooks.example.com/", "the URL has a percent-encoded host"},
		{"https://hooks%2eexample.com/", "the URL has a percent-encoded host"},
		{"https://evil.example%00.customers.example.com/",
			"the URL has a percent-encoded host"},
		/* Dots. */
		{"https://hooks.example.com./", "the URL has a dot at the end of its host"},
		{"https://hooks..example.com/", "the URL has an empty label in its host"},
		{"https://.customers.example.com/", "the URL has an empty label in its host"},
		{"https://./", "the URL has a dot at the end of its host"},
		/* Ports. */
		{"https://hooks.example.com:/", "the URL " BAD_PORT},
		{"https://hooks.example.com:0443/", "the URL " BAD_PORT},
		{"https://hooks.example.com:+443/", "the URL " BAD_PORT},
		{"https://hooks.example.com:65979/", "the URL " BAD_PORT}, /* 443 in 16 bits */
		{"https://hooks.example.com:443:80/", "the URL " BAD_PORT},
		{"https://hooks.example.com:443evil/", "the URL " BAD_PORT},
		/* Addresses in any notation. */
		{"https://127.0.0.1/", "the URL " IS_ADDRESS},
		{"https://127.1/", "the URL " IS_ADDRESS},
		{"https://2130706433/", "the URL " IS_ADDRESS},
		{"https://017700000001/", "the URL " IS_ADDRESS},
		{"https://0177.0.0.1/", "the URL " IS_ADDRESS},
		{"https://0x7f000001/", "the URL " IS_ADDRESS},
		{"https://0x7f.0.0.0x1/", "the URL " IS_ADDRESS},
		{"https://0X7F.1/", "the URL " IS_ADDRESS},
		{"https://0x/", "the URL " IS_ADDRESS},
		{"https://1.1.1.1/", "the URL " IS_ADDRESS},
		{"https://customers.example.com.1/", "the URL " IS_ADDRESS},
		{"https://[::1]/", "the URL " IS_ADDRESS},
		{"https://[::ffff:127.0.0.1]:443/", "the URL " IS_ADDRESS},
		{"https://[fe80::1%25eth0]/", "the URL " IS_ADDRESS},
		{"https://[hooks.example.com]/", "the URL " IS_ADDRESS},
		{"https://::1/", "the URL has no host"},
		/* Other scripts: full stops, full-width letters, circled digits, a soft hyphen. */
		{"https://hooks\xe3\x80\x82"
		 "example.com/",
			"the URL " BAD_CHARACTER},
		{"https://hooks.example\xef\xbc\x8e"
		 "com/",
			"the URL " BAD_CHARACTER},
		{"https://\xef\xbd\x88ooks.example.com/", "the URL " BAD_CHARACTER},
		{"https://\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1/", "the URL " BAD_CHARACTER},
		{"https://hooks.exam\xc2\xadple.com/", "the URL " BAD_CHARACTER},
		{"https://b\xc3\xbc"
		 "cher.example/",
			"the URL " BAD_CHARACTER},
		{"https://xn--a.customers.example.co/",
			"request.allow_hosts has no https://xn--a.customers.example.co:443"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf reason = BUF_INIT(1000);

		print_message("%s\n", cases[i][0]);
		assert_int_equal(check(cases[i][0], &reason), ERR_NOT_ALLOWED);
		assert_string_equal(buf_string(&reason), cases[i][1]);
		buf_free(&reason);
	}
}

/* Names as long as names may be, on both sides of the star. */
static void test_long_names(void **state)
{
	char url[400], long_label[] = LABEL_63;
	struct host_rule rule;
	struct buf reason = BUF_INIT(1000);

	assert_null(host_rule_parse("*." LABEL_63 "." LABEL_63 "." LABEL_63, &rule));
	/* 191 bytes behind the star: 61 fit before its dot. */
	long_label[61] = '\0';
	snprintf(url, sizeof(url), "https://%s.%s/", long_label, rule.name);
	assert_int_equal(host_rules_check(&rule, 1, url, &reason), 0);
	snprintf(url, sizeof(url), "https://x%s.%s/", long_label, rule.name);
	assert_int_equal(host_rules_check(&rule, 1, url, &reason), ERR_NOT_ALLOWED);
	assert_string_equal(buf_string(&reason), "the URL has a host of more than 253 bytes");
	buf_free(&reason);
	assert_int_equal(host_rules_check(NULL, 0, "https://h/", &reason), ERR_NOT_ALLOWED);
	buf_free(&reason);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_what_is_no_rule),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_long_names),
	};

	return cmocka_run_group_tests_name("config/host_rule", tests, NULL, NULL);
}
