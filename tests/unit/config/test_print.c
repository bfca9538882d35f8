/* config_print(): read back, it is the same configuration; secrets never come out. */
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

/* What is printed of a destination without batches and auth. */
#define NO_AUTH                                                                 \
	"    batch:\n"                                                          \
	"      max: 1\n"                                                        \
	"      linger: 0s\n"                                                    \
	"      field: null\n"                                                   \
	"      format: list\n"                                                  \
	"    auth:\n"                                                           \
	"      type: none\n"                                                    \
	"      secrets: []\n"                                                   \
	"      header: null\n"                                                  \
	"      algorithm: sha256\n"                                             \
	"      encoding: hex\n"                                                 \
	"      prefix: null\n"                                                  \
	"      signed: body\n"                                                  \
	"      timestamp_header: null\n"                                        \
	"      key_file: null\n"                                                \
	"      key_id: null\n"                                                  \
	"      team_id: null\n"                                                 \
	"      renew: 50m\n"                                                    \
	"      service_account_file: null\n"                                    \
	"      scope: \"https://www.googleapis.com/auth/firebase.messaging\"\n" \
	"      service: null\n"                                                 \
	"      region: null\n"

static const char defaults[] = "queue:\n"
			       "  url: null\n"
			       "  endpoint: null\n"
			       "  failure_url: null\n"
			       "  results_url: null\n"
			       "  receivers: auto\n"
			       "  wait: 20s\n"
			       "  visibility: auto\n"
			       "  held: 64MiB\n"
			       "  unwrap: none\n"
			       "  allow_insecure_endpoint: false\n"
			       "destinations: []\n"
			       "retry:\n"
			       "  max_attempts: 10\n"
			       "  base: 1s\n"
			       "  cap: 5m\n"
			       "  jitter: full\n"
			       "workers: auto\n"
			       "watchdog: 1m\n"
			       "instance:\n"
			       "  notices: none\n"
			       "  lifecycle_hook: null\n"
			       "  autoscaling_group: null\n"
			       "  protection: none\n"
			       "fleet_hosts: 1\n"
			       "ledger:\n"
			       "  path: \"/var/lib/bunshin/ledger\"\n"
			       "  window: 1h\n"
			       "  size: 64MiB\n"
			       "outcomes:\n"
			       "  path: null\n"
			       "  size: 16MiB\n"
			       "  keep: 1GiB\n"
			       "admin:\n"
			       "  listen: \"127.0.0.1:9797\"\n"
			       "  token: null\n"
			       "  hosts: []\n"
			       "metrics:\n"
			       "  emf: off\n"
			       "  namespace: \"Bunshin\"\n"
			       "log:\n"
			       "  level: info\n"
			       "  format: auto\n"
			       "tracing:\n"
			       "  endpoint: null\n"
			       "  headers: {}\n"
			       "  sample: 0.01\n"
			       "  service_name: \"bunshin\"\n"
			       "  resource: {}\n"
			       "  batch: 512\n"
			       "  interval: 5s\n"
			       "  queue: 4MiB\n"
			       "  timeout: 10s\n"
			       "drain:\n"
			       "  grace: 30s\n";

static void load_and_print(const char *yaml, struct buf *out)
{
	struct buf errors = BUF_INIT(1 << 16);
	struct config *config = NULL;

	fixture_load(yaml, &config, &errors);
	assert_string_equal(buf_string(&errors), "");
	assert_non_null(config);
	buf_clear(out);
	assert_int_equal(config_print(config, out), 0);
	config_free(config);
	buf_free(&errors);
}

static void test_defaults(void **state)
{
	struct buf out = BUF_INIT(1 << 16);

	(void)state;
	load_and_print("", &out);
	assert_string_equal(buf_string(&out), defaults);
	load_and_print(defaults, &out);
	assert_string_equal(buf_string(&out), defaults);
	buf_free(&out);
}

static const char full[] =
	"queue: {url: 'http://h/a/b', endpoint: 'http://h', failure_url: 'http://h/a/c', "
	"results_url: 'http://h/a/d', receivers: 7,"
	" wait: 3s, visibility: 90s, held: 1048577}\n"
	"destinations:\n"
	"- name: one\n"
	"  request:\n"
	"    method: DELETE\n"
	"    url: https://h/$$(x)/{{y}}?z=$$\n"
	"    headers: {Authorization: secret-value, X-A: \"$${LINE_TOKEN} $$$$ '\\\"\\\\ #: x\", "
	"'!#$%&*+-.^_`|~': '', 'null': 'null', X: '{{a|~}}', Y: ' 1 '}\n"
	"    body: \"a\\tb\\n c\\r\\x7f\\x85\\u2028\\u2029\\ufeff\\e\\xa0\\u5206\\U0001f363 \\n\"\n"
	"  timeout: 1500ms\n"
	"  connect_timeout: 61s\n"
	"  concurrency: 1\n"
	"  connections: auto\n"
	"  accept: [200, 202-204]\n"
	"  when: {channel: line, 'a.$b.0': [ja, 5, true, '', '$${X}', ~null, \"\\n\"]}\n"
	"  rate: 90/m\n"
	"  adaptive: false\n"
	"  breaker: {failures: off}\n"
	"  outcomes:\n"
	"    retry: 408\n"
	"    throttle: [429, 503]\n"
	"    permanent: [400-404, 410]\n"
	"    when_body:\n"
	"    - {status: 429, contains: 'monthly $$ \"limit\"', outcome: breaker}\n"
	"    - {path: error.0, equals: '', outcome: permanent, status: [400, 500-599]}\n"
	"    - {path: 'null', contains: 'null', outcome: throttle}\n"
	"    - {path: ok, outcome: accept}\n"
	"  retry: {max_attempts: 1, jitter: full}\n"
	"  http_version: 1.1\n"
	"  trace: none\n"
	"  ca_file: 'null'\n"
	"- {name: two, request: {url: 'http://h', body: ''}, rate: 2000/s, retry: {cap: 3s}}\n"
	"retry: {max_attempts: 3, base: 250ms, cap: 2s, jitter: decorrelated}\n"
	"workers: {max: 16, min: 2}\n"
	"watchdog: off\n"
	"instance: {notices: ec2, lifecycle_hook: drain/it, autoscaling_group: '#a$$b', "
	"protection: ec2}\n"
	"fleet_hosts: 12\n"
	"admin: {listen: 'unix:/run/$$a.sock', token: 0123456789abcdef}\n"
	"metrics: {emf: 90s, namespace: 'null'}\n"
	"ledger: {path: ledger, window: 168h, size: 1536KiB}\n"
	"outcomes: {path: o/$$, size: 1MiB, keep: 3GiB}\n"
	"log: {level: error, format: text}\n"
	"tracing: {endpoint: 'https://h/otlp/', headers: {X-Token: 'secret-value-2'}, sample: 1,"
	" service_name: 'a \xe5\x88\x86$$', resource: {a.b: '$$\xe5\x88\x86', c: ''}, batch: 1, "
	"interval: 1m,"
	" queue: 1MiB, timeout: 250ms}\n"
	"drain: {grace: 0s}\n";

static const char full_printed[] =
	"queue:\n"
	"  url: \"http://h/a/b\"\n"
	"  endpoint: \"http://h\"\n"
	"  failure_url: \"http://h/a/c\"\n"
	"  results_url: \"http://h/a/d\"\n"
	"  receivers: 7\n"
	"  wait: 3s\n"
	"  visibility: 90s\n"
	"  held: 1048577\n"
	"  unwrap: none\n"
	"  allow_insecure_endpoint: false\n"
	"destinations:\n"
	"  - name: \"one\"\n"
	"    when:\n"
	"      \"channel\": [\"line\"]\n"
	"      \"a.$b.0\": [\"ja\", \"5\", \"true\", \"\", \"$${X}\", \"~null\", \"\\n\"]\n"
	"    request:\n"
	"      method: \"DELETE\"\n"
	"      url: \"https://h/$$(x)/{{y}}?z=$$\"\n"
	"      allow_hosts: []\n"
	"      allow_addresses: []\n"
	"      headers:\n"
	"        \"Authorization\": \"[hidden]\"\n"
	"        \"X-A\": \"$${LINE_TOKEN} $$$$ '\\\"\\\\ #: x\"\n"
	"        \"!#$%&*+-.^_`|~\": \"\"\n"
	"        \"null\": \"null\"\n"
	"        \"X\": \"{{a|~}}\"\n"
	"        \"Y\": \" 1 \"\n"
	"      attribute_headers: null\n"
	"      body: \"a\\u0009b\\n c\\u000d\\u007f\\u0085\\u2028\\u2029\\ufeff\\u001b\xc2\xa0"
	"\xe5\x88\x86\xf0\x9f\x8d\xa3 \\n\"\n" NO_AUTH "    timeout: 1500ms\n"
	"    connect_timeout: 61s\n"
	"    concurrency: 1\n"
	"    connections: auto\n"
	"    adaptive: false\n"
	"    rate: 90/m\n"
	"    breaker:\n"
	"      failures: off\n"
	"    accept: [200, 202-204]\n"
	"    outcomes:\n"
	"      retry: [408]\n"
	"      throttle: [429, 503]\n"
	"      breaker: []\n"
	"      permanent: [400-404, 410]\n"
	"      quota: []\n"
	"      unregistered: []\n"
	"      ambiguous: []\n"
	"      when_body:\n"
	"        - status: [429]\n"
	"          path: null\n"
	"          equals: null\n"
	"          contains: \"monthly $$ \\\"limit\\\"\"\n"
	"          outcome: breaker\n"
	"        - status: [400, 500-599]\n"
	"          path: \"error.0\"\n"
	"          equals: \"\"\n"
	"          contains: null\n"
	"          outcome: permanent\n"
	"        - status: []\n"
	"          path: \"null\"\n"
	"          equals: null\n"
	"          contains: \"null\"\n"
	"          outcome: throttle\n"
	"        - status: []\n"
	"          path: \"ok\"\n"
	"          equals: null\n"
	"          contains: null\n"
	"          outcome: accept\n"
	"    retry:\n"
	"      max_attempts: 1\n"
	"      base: 250ms\n"
	"      cap: 2s\n"
	"      jitter: full\n"
	"      ambiguous: true\n"
	"    retry_after_path: null\n"
	"    http_version: \"1.1\"\n"
	"    trace: none\n"
	"    ca_file: \"null\"\n"
	"  - name: \"two\"\n"
	"    when: null\n"
	"    request:\n"
	"      method: \"POST\"\n"
	"      url: \"http://h\"\n"
	"      allow_hosts: []\n"
	"      allow_addresses: []\n"
	"      headers: {}\n"
	"      attribute_headers: null\n"
	"      body: \"\"\n" NO_AUTH "    timeout: 10s\n"
	"    connect_timeout: 5s\n"
	"    concurrency: 500\n"
	"    connections: auto\n"
	"    adaptive: true\n"
	"    rate: 2000/s\n"
	"    breaker:\n"
	"      failures: 50\n"
	"    accept: [200-299]\n"
	"    outcomes:\n"
	"      retry: []\n"
	"      throttle: []\n"
	"      breaker: []\n"
	"      permanent: []\n"
	"      quota: []\n"
	"      unregistered: []\n"
	"      ambiguous: []\n"
	"      when_body: []\n"
	"    retry:\n"
	"      max_attempts: 3\n"
	"      base: 250ms\n"
	"      cap: 3s\n"
	"      jitter: decorrelated\n"
	"      ambiguous: true\n"
	"    retry_after_path: null\n"
	"    http_version: auto\n"
	"    trace: pass\n"
	"    ca_file: null\n"
	"retry:\n"
	"  max_attempts: 3\n"
	"  base: 250ms\n"
	"  cap: 2s\n"
	"  jitter: decorrelated\n"
	"workers: {min: 2, max: 16}\n"
	"watchdog: off\n"
	"instance:\n"
	"  notices: ec2\n"
	"  lifecycle_hook: \"drain/it\"\n"
	"  autoscaling_group: \"#a$$b\"\n"
	"  protection: ec2\n"
	"fleet_hosts: 12\n"
	"ledger:\n"
	"  path: \"ledger\"\n"
	"  window: 168h\n"
	"  size: 1536KiB\n"
	"outcomes:\n"
	"  path: \"o/$$\"\n"
	"  size: 1MiB\n"
	"  keep: 3GiB\n"
	"admin:\n"
	"  listen: \"unix:/run/$$a.sock\"\n"
	"  token: \"[hidden]\"\n"
	"  hosts: []\n"
	"metrics:\n"
	"  emf: 90s\n"
	"  namespace: \"null\"\n"
	"log:\n"
	"  level: error\n"
	"  format: text\n"
	"tracing:\n"
	"  endpoint: \"https://h/otlp/\"\n"
	"  headers:\n"
	"    \"X-Token\": \"[hidden]\"\n"
	"  sample: 1\n"
	"  service_name: \"a \xe5\x88\x86$$\"\n"
	"  resource:\n"
	"    \"a.b\": \"$$\xe5\x88\x86\"\n"
	"    \"c\": \"\"\n"
	"  batch: 1\n"
	"  interval: 1m\n"
	"  queue: 1MiB\n"
	"  timeout: 250ms\n"
	"drain:\n"
	"  grace: 0s\n";

static void test_full(void **state)
{
	struct buf out = BUF_INIT(1 << 16);

	(void)state;
	load_and_print(full, &out);
	assert_string_equal(buf_string(&out), full_printed);
	load_and_print(full_printed, &out);
	assert_string_equal(buf_string(&out), full_printed);
	buf_free(&out);
}

/* One number is shown as one, however it was written. */
static void test_workers(void **state)
{
	static const struct {
		const char *yaml, *shown;
	} cases[] = {
		{"workers: auto", "\nworkers: auto\n"},
		{"workers: 8", "\nworkers: 8\n"},
		{"workers: {min: 8, max: 8}", "\nworkers: 8\n"},
		{"workers: {min: 1, max: 1000}", "\nworkers: {min: 1, max: 1000}\n"},
	};
	struct buf out = BUF_INIT(1 << 16), again = BUF_INIT(1 << 16);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		load_and_print(cases[i].yaml, &out);
		assert_non_null(strstr(out.data, cases[i].shown));
		load_and_print(out.data, &again);
		assert_string_equal(buf_string(&out), buf_string(&again));
	}
	buf_free(&out);
	buf_free(&again);
}

/* Every character that YAML can hold in a key, in a condition's path. */
static void test_every_character_in_a_key(void **state)
{
	struct buf out = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20), yaml = BUF_INIT(1 << 20);

	(void)state;
	for (unsigned block = 0; block < 0x10000; block += 0x100) {
		if (block >= 0xd800 && block < 0xe000)
			continue;
		buf_clear(&yaml);
		buf_append_string(
			&yaml, "destinations: [{name: d, request: {url: 'http://h'}, when: {");
		for (unsigned c = block; c < block + 0x100; c++) {
			if (c % 16 == 0)
				buf_append_char(&yaml, '"');
			if (c != 0)
				buf_appendf(&yaml, "a\\u%04x", c);
			if (c % 16 == 15)
				buf_append_string(&yaml, "a\": b, ");
		}
		buf_append_string(&yaml, "}}]");
		load_and_print(yaml.data, &out);
		load_and_print(out.data, &again);
		assert_string_equal(buf_string(&out), buf_string(&again));
	}
	buf_free(&out);
	buf_free(&again);
	buf_free(&yaml);
}

/* Every character that YAML can hold at all, alone and between others, comes back the same. */
static void test_every_character(void **state)
{
	struct buf out = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20), yaml = BUF_INIT(1 << 20);

	(void)state;
	for (unsigned block = 0; block < 0x10000; block += 0x400) {
		if (block >= 0xd800 && block < 0xe000)
			continue;
		buf_clear(&yaml);
		buf_append_string(
			&yaml, "destinations: [{name: d, request: {url: 'http://h', body: \"");
		for (unsigned c = block; c < block + 0x400; c++)
			if (c != 0 && c != '{' && c != '[')
				buf_appendf(&yaml, " \\u%04x", c);
		buf_append_string(&yaml, "\"}}]");
		load_and_print(yaml.data, &out);
		load_and_print(out.data, &again);
		assert_string_equal(buf_string(&out), buf_string(&again));
		assert_true(out.len > 0x400);
	}
	buf_free(&out);
	buf_free(&again);
	buf_free(&yaml);
}

static void test_secrets_are_hidden(void **state)
{
	static const char yaml[] =
		"queue: {url: '${file:queue}'}\n"
		"destinations:\n"
		"- name: one\n"
		"  request:\n"
		"    url: https://h/bot${file:token}/send\n"
		"    headers: {Authorization: 'Bearer ${LINE_TOKEN}', Cookie: abc, X-Api-Key: def, "
		"x-access-TOKEN: ghi, X-Plain: '${file:token}', X-Two: 'a ${credential:c} b'}\n"
		"    body: '{\"t\":\"${file:token}\",\"h\":\"${HOST}\"}'\n"
		"  timeout: ${file:timeout}\n"
		"  when: {'${file:token}': [a, '${file:token}']}\n"
		"  outcomes: {when_body: [{path: 'x${file:path}', equals: '${file:token}', "
		"outcome: "
		"retry}, {contains: 'y${file:token}', outcome: retry}]}\n"
		"ledger: {path: '/x/${file:token}'}\n";
	static const char *const expected[] = {
		"  url: \"[hidden]\"\n",
		"      url: \"https://h/bot[hidden]/send\"\n",
		"        \"Authorization\": \"[hidden]\"\n",
		"        \"Cookie\": \"[hidden]\"\n",
		"        \"X-Api-Key\": \"[hidden]\"\n",
		"        \"x-access-TOKEN\": \"[hidden]\"\n",
		"        \"X-Plain\": \"[hidden]\"\n",
		"        \"X-Two\": \"[hidden]\"\n",
		"      body: \"{\\\"t\\\":\\\"[hidden]\\\",\\\"h\\\":\\\"api.example.com\\\"}\"\n",
		"    timeout: 7s\n",
		"      \"${file:token}\": [\"a\", \"[hidden]\"]\n",
		"          path: \"x[hidden]\"\n",
		"          equals: \"[hidden]\"\n",
		"          contains: \"y[hidden]\"\n",
		"  path: \"/x/[hidden]\"\n",
	};
	static const char *const secrets[] = {
		"my-queue", "123:AAA", "secret-line-token", "abc", "def", "ghi", "cred", "jkl"};
	struct buf out = BUF_INIT(1 << 16);

	(void)state;
	fixture_write("queue", "http://h/a/my-queue\n", 20);
	fixture_write("token", "123:AAA\n", 8);
	fixture_write("timeout", "7s", 2);
	fixture_write("path", "jkl.m", 5);
	fixture_write("credentials/c", "cred", 4);
	load_and_print(yaml, &out);
	for (size_t i = 0; i < COUNT(expected); i++)
		assert_non_null(strstr(out.data, expected[i]));
	for (size_t i = 0; i < COUNT(secrets); i++)
		assert_null(strstr(out.data, secrets[i]));
	buf_free(&out);
}

/* What the command line set over a hidden value is no secret. */
static void test_override_is_shown(void **state)
{
	const struct config_override override = {"queue.url", "http://h/a/plain", "--queue-url"};
	struct buf out = BUF_INIT(1 << 16);
	struct config *config = NULL;

	(void)state;
	fixture_write("queue", "http://h/a/my-queue\n", 20);
	fixture_write("t.yaml", "queue: {url: '${file:queue}'}", 29);
	assert_int_equal(
		config_load("t.yaml", &fixture_environment, &override, 1, &config, &out), 0);
	assert_int_equal(config_print(config, &out), 0);
	assert_non_null(strstr(out.data, "  url: \"http://h/a/plain\"\n"));
	config_free(config);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_workers),
		cmocka_unit_test(test_every_character),
		cmocka_unit_test(test_every_character_in_a_key),
		cmocka_unit_test(test_secrets_are_hidden),
		cmocka_unit_test(test_override_is_shown),
	};

	return cmocka_run_group_tests(tests, fixture_enter, fixture_leave);
}
