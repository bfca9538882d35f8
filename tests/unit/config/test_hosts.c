/*
 * Hosts that messages choose: request.allow_hosts, request.allow_addresses and what request.url may
 * be with them. Values, every mistake with its exact message, what is printed.
 */
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

/* One destination on one line; what is given starts in column 41. */
#define REQUEST(request) "destinations: [{name: d, request: {" request "}}]\n"
#define RAW "url: '{{{url}}}', "

static void test_values(void **state)
{
	struct config *config = fixture_load_valid(
		REQUEST(RAW "allow_hosts: [Hooks.example.com, '*.example.org:8443', "
			    "'http://${HOST}'], allow_addresses: [10.0.0.0/8, '::1']"));
	const struct config_destination *d = &config->destinations[0];

	assert_int_equal(d->request.allow_hosts.count, 3);
	assert_string_equal(d->request.allow_hosts.rows[0].name, "hooks.example.com");
	assert_true(d->request.allow_hosts.rows[1].subdomains);
	assert_int_equal(d->request.allow_hosts.rows[1].port, 8443);
	assert_string_equal(d->request.allow_hosts.rows[2].name, "api.example.com");
	assert_true(d->request.allow_hosts.rows[2].plain_http);
	assert_int_equal(d->request.allow_addresses.count, 2);
	assert_int_equal(d->request.allow_addresses.rows[0].bits, 8);
	assert_true(d->request.allow_addresses.rows[1].is_ipv6);
	config_free(config);
	/* One alone needs no brackets, and an empty one is left out. */
	config = fixture_load_valid(
		REQUEST(RAW "allow_hosts: hooks.example.com, allow_addresses: '${EMPTY}'"));
	assert_int_equal(config->destinations[0].request.allow_hosts.count, 1);
	assert_int_equal(config->destinations[0].request.allow_addresses.count, 0);
	config_free(config);
}

static void test_none(void **state)
{
	static const char *const yaml[] = {
		REQUEST("url: 'https://h/'"),
		REQUEST("url: 'https://h/', allow_hosts: [], allow_addresses: []"),
		REQUEST("url: 'https://h/', allow_hosts: , allow_addresses: null"),
		REQUEST("url: 'https://h/', allow_hosts: ['${EMPTY}']"),
	};

	for (size_t i = 0; i < COUNT(yaml); i++) {
		struct config *config = fixture_load_valid(yaml[i]);

		assert_int_equal(config->destinations[0].request.allow_hosts.count, 0);
		assert_int_equal(config->destinations[0].request.allow_addresses.count, 0);
		config_free(config);
	}
}

static void test_urls(void **state)
{
	static const char *const urls[] = {
		"{{{url}}}",
		"{{{url}}}/events?x={{x}}",
		"{{{url|https://hooks.example.com/a/../b}}}",
		"https://{{host}}",
		"https://{{host}}/hook/{{id}}#x",
		"https://{{tenant}}.example.com:{{port}}/",
		"http://{{host}}/",
		"https://{{{host}}}?q",
		"https://h:{{port}}/",
	};
	char yaml[256];

	for (size_t i = 0; i < COUNT(urls); i++) {
		struct config *config;

		snprintf(yaml, sizeof(yaml), REQUEST("url: '%s', allow_hosts: h.example"), urls[i]);
		config = fixture_load_valid(yaml);
		assert_string_equal(template_source(config->destinations[0].request.url), urls[i]);
		config_free(config);
	}
}

#define AT "t.yaml:1:"
#define URL_AT AT "41: destinations[0].request.url: "
#define HOST_EXPECTED "expected a host (like hooks.example.com or *.example.com), but "
#define ADDRESS_EXPECTED "expected an address or a range (like 10.0.0.0/8), but "
#define FIXED "is for a request.url with a variable in its host\n"

static void test_mistakes(void **state)
{
	static const struct fixture_bad_case cases[] = {
		/* Without the list. */
		{REQUEST("url: '{{{url}}}'"),
			URL_AT "no variable may stand in the scheme, host or port without "
			       "request.allow_hosts\n"},
		{REQUEST("url: '{{{url}}}', allow_hosts: ['${EMPTY}']"),
			URL_AT "no variable may stand in the scheme, host or port without "
			       "request.allow_hosts\n"},
		{REQUEST("url: '{{{url}}}', allow_addresses: [10.0.0.0/8]"),
			URL_AT "no variable may stand in the scheme, host or port without "
			       "request.allow_hosts\n"},
		{REQUEST("url: 'https://h/', allow_hosts: [h]"),
			AT "68: destinations[0].request.allow_hosts: " FIXED},
		{REQUEST("url: 'https://h/', allow_addresses: ['::1']"),
			AT "72: destinations[0].request.allow_addresses: " FIXED},
		{REQUEST("url: '{{{url}}}', allow_hosts: [h], headers: {host: x}"),
			AT "81: destinations[0].request.headers: Host is not for a URL whose host "
			   "messages choose\n"},
		/* What is no host and no address; the URL is not complained about, too. */
		{REQUEST(RAW "allow_hosts: 10.0.0.1"),
			AT "67: destinations[0].request.allow_hosts: " HOST_EXPECTED
			   "\"10.0.0.1\" has an address for a host; only names are allowed\n"},
		{REQUEST(RAW "allow_hosts: ['*', h, 'https://h/x']"),
			AT "68: destinations[0].request.allow_hosts[0]: " HOST_EXPECTED
			   "\"*\" names no host\n" AT
			   "76: destinations[0].request.allow_hosts[2]: " HOST_EXPECTED
			   "\"https://h/x\" has more than a host and a port\n"},
		{REQUEST(RAW "allow_hosts: h, allow_addresses: [h, 10.0.0.1/8]"),
			AT "88: destinations[0].request.allow_addresses[0]: " ADDRESS_EXPECTED
			   "\"h\" is no address\n" AT
			   "91: destinations[0].request.allow_addresses[1]: " ADDRESS_EXPECTED
			   "\"10.0.0.1/8\" has bits beyond its length\n"},
		{REQUEST(RAW "allow_hosts: {h: 1}"),
			AT "67: destinations[0].request.allow_hosts: expected a list of hosts, at "
			   "most 256, got a map\n"},
		{REQUEST(RAW "allow_hosts: [[h]]"),
			AT "68: destinations[0].request.allow_hosts[0]: expected a host (like "
			   "hooks.example.com or *.example.com), got a list\n"},
		/* URLs that could not be right. */
		{REQUEST("url: '{{url}}', allow_hosts: h"),
			URL_AT "begins with a variable that would be percent-encoded; {{{ }}} "
			       "leaves it as it is\n"},
		{REQUEST("url: 'ftp://{{h}}/', allow_hosts: h"),
			URL_AT "not an http or https URL with a host (like "
			       "https://api.example.com/send)\n"},
		{REQUEST("url: 'h{{h}}/', allow_hosts: h"),
			URL_AT "not an http or https URL (like https://{{host}}/hook), nor a "
			       "variable that holds one (like {{{url}}})\n"},
		{REQUEST("url: 'https://u@{{h}}/', allow_hosts: h"),
			URL_AT "no user, password or address may stand before the path\n"},
		{REQUEST("url: 'https://[{{h}}]/', allow_hosts: h"),
			URL_AT "no user, password or address may stand before the path\n"},
		{REQUEST("url: 'https://{{h}}/a b', allow_hosts: h"),
			URL_AT "holds a character that must be percent-encoded\n"},
		{REQUEST("url: 'https://{{h}}/../x', allow_hosts: h"),
			URL_AT "\".\" and \"..\" may not be steps of the path\n"},
	};

	assert_int_equal(fixture_check_bad(cases, COUNT(cases)), 0);
}

static void test_too_many(void **state)
{
	struct buf yaml = BUF_INIT(1 << 16), errors = BUF_INIT(1 << 16);
	struct config *config = NULL;

	buf_append_string(
		&yaml, "destinations: [{name: d, request: {url: '{{{u}}}', allow_hosts: [");
	for (int i = 0; i < 256; i++)
		buf_appendf(&yaml, "h%d, ", i);
	buf_append_string(&yaml, "]}}]");
	config = fixture_load_valid(buf_string(&yaml));
	assert_int_equal(config->destinations[0].request.allow_hosts.count, 256);
	config_free(config);
	buf_truncate(&yaml, yaml.len - strlen("]}}]"));
	buf_append_string(&yaml, "h]}}]");
	assert_int_equal(fixture_load(buf_string(&yaml), &config, &errors), ERR_CONFIG);
	assert_non_null(strstr(
		buf_string(&errors), "expected a list of hosts, at most 256, got a longer one"));
	buf_free(&yaml);
	buf_free(&errors);
}

/* Printed, read back and printed again: the same. */
static void test_printed(void **state)
{
	struct config *config = fixture_load_valid(REQUEST(
		RAW "allow_hosts: ['https://A.example', '*.B.example:8443', 'http://c:80'], "
		    "allow_addresses: ['FD00::/8', 10.0.0.1/32]"));
	struct buf first = BUF_INIT(1 << 16), second = BUF_INIT(1 << 16);

	assert_int_equal(config_print(config, &first), 0);
	config_free(config);
	assert_non_null(strstr(buf_string(&first),
		"allow_hosts: [\"a.example\", \"*.b.example:8443\", \"http://c\"]\n"));
	assert_non_null(
		strstr(buf_string(&first), "allow_addresses: [\"fd00::/8\", \"10.0.0.1\"]\n"));
	config = fixture_load_valid(buf_string(&first));
	assert_int_equal(config_print(config, &second), 0);
	assert_string_equal(buf_string(&first), buf_string(&second));
	config_free(config);
	buf_free(&first);
	buf_free(&second);
}

static void test_names_of_the_admin_port(void **state)
{
	static const struct fixture_bad_case cases[] = {
		{"admin: {hosts: ['*.example.com', a.b, 'a.b:80', 10.0.0.1]}\n",
			"t.yaml:1:17: admin.hosts[0]: expected a host's name (like "
			"worker.example.com), but \"*.example.com\" has more than a name\n"
			"t.yaml:1:39: admin.hosts[2]: expected a host's name (like "
			"worker.example.com), but \"a.b:80\" has more than a name\n"
			"t.yaml:1:49: admin.hosts[3]: expected a host's name (like "
			"worker.example.com), but \"10.0.0.1\" has an address for a host; only "
			"names are allowed\n"},
		{"admin: {hosts: {a: b}}\n",
			"t.yaml:1:16: admin.hosts: expected a list of names, at most 32, got a "
			"map\n"},
	};
	struct config *config =
		fixture_load_valid("admin: {hosts: [Worker.example.com, '${EMPTY}', w]}\n");
	struct buf printed = BUF_INIT(1 << 16);

	assert_int_equal(config->admin.hosts.count, 2);
	assert_string_equal(config->admin.hosts.rows[0], "Worker.example.com");
	assert_int_equal(config_print(config, &printed), 0);
	assert_non_null(strstr(buf_string(&printed), "hosts: [\"Worker.example.com\", \"w\"]\n"));
	buf_free(&printed);
	config_free(config);
	config = fixture_load_valid("admin: {hosts: w.example}\n");
	assert_int_equal(config->admin.hosts.count, 1);
	config_free(config);
	assert_int_equal(fixture_check_bad(cases, COUNT(cases)), 0);
}

/* For who has none of the environment's values. */
static void test_missing_values(void **state)
{
	struct config_environment environment = fixture_environment;
	struct buf errors = BUF_INIT(1 << 16);
	struct config *config = NULL;

	environment.missing = "missing";
	fixture_write("t.yaml", REQUEST(RAW "allow_hosts: '${H}', allow_addresses: '${A}'"),
		strlen(REQUEST(RAW "allow_hosts: '${H}', allow_addresses: '${A}'")));
	assert_int_equal(config_load("t.yaml", &environment, NULL, 0, &config, &errors), 0);
	config_free(config);
	buf_free(&errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_printed),
		cmocka_unit_test(test_names_of_the_admin_port),
		cmocka_unit_test(test_missing_values),
	};

	return cmocka_run_group_tests_name("config/hosts", tests, fixture_enter, fixture_leave);
}
