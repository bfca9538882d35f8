/* config_load(): defaults, every option, what is taken and to where its range goes. */
#include "base/log.h"
#include "bunshin/error.h"
#include "config/options.h"
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define URL "https://sqs.eu-west-1.amazonaws.com/123456789012/name"

#define TOP_KEYS                                                                                   \
	"queue, destinations, retry, workers, watchdog, instance, fleet_hosts, ledger, outcomes, " \
	"admin, metrics, log, drain"

/* The smallest destination, on one line. */
#define DESTINATION(more) "destinations: [{name: d, request: {url: 'http://h/'" more "}}]\n"

static void assert_defaults(const struct config *config)
{
	assert_null(config->queue.url);
	assert_null(config->queue.endpoint);
	assert_null(config->queue.failure_url);
	assert_null(config->queue.results_url);
	assert_null(config->outcomes.path);
	assert_int_equal(config->outcomes.size_bytes, 16 << 20);
	assert_int_equal(config->outcomes.keep_bytes, 1 << 30);
	assert_int_equal(config->queue.receivers, 0);
	assert_int_equal(config->queue.wait_ms, 20000);
	assert_int_equal(config->queue.visibility_ms, 0);
	assert_int_equal(config->queue.held_bytes, 64 << 20);
	assert_int_equal(config->queue.unwrap, CONFIG_UNWRAP_NONE);
	assert_false(config->queue.allow_insecure_endpoint);
	assert_string_equal(config->admin.listen, "127.0.0.1:9797");
	assert_int_equal(config->destination_count, 0);
	assert_int_equal(config->retry.max_attempts, 10);
	assert_int_equal(config->retry.base_ms, 1000);
	assert_int_equal(config->retry.cap_ms, 300000);
	assert_int_equal(config->retry.jitter, CONFIG_JITTER_FULL);
	assert_int_equal(config->workers.min, 0);
	assert_int_equal(config->workers.max, 0);
	assert_int_equal(config->watchdog_ms, 60000);
	assert_int_equal(config->instance.notices, CONFIG_NOTICES_NONE);
	assert_null(config->instance.lifecycle_hook);
	assert_null(config->instance.autoscaling_group);
	assert_int_equal(config->instance.protection, CONFIG_PROTECTION_NONE);
	assert_int_equal(config->metrics.emf_ms, 0);
	assert_string_equal(config->metrics.namespace, "Bunshin");
	assert_int_equal(config->fleet_hosts, 1);
	assert_string_equal(config->ledger.path, "/var/lib/bunshin/ledger");
	assert_int_equal(config->ledger.window_ms, 3600000);
	assert_int_equal(config->ledger.size_bytes, 64 << 20);
	assert_int_equal(config->log.level, LOG_LEVEL_INFO);
	assert_int_equal(config->log.format, LOG_FORMAT_AUTO);
	assert_int_equal(config->drain.grace_ms, 30000);
}

static void test_defaults(void **state)
{
	static const char *const empty[] = {"", "# nothing\n", "---\n", "{}", "null", "~",
		"queue:\ndestinations:\nretry: {}\nlog: ~\ndrain: null\n", "destinations: []\n",
		"\xef\xbb\xbfqueue:\n"};
	struct buf errors = BUF_INIT(1 << 16);
	struct config *config = NULL;

	(void)state;
	assert_int_equal(config_load(NULL, &fixture_environment, NULL, 0, &config, &errors), 0);
	assert_null(config->path);
	assert_defaults(config);
	config_free(config);
	for (size_t i = 0; i < COUNT(empty); i++) {
		assert_int_equal(fixture_load(empty[i], &config, &errors), 0);
		assert_string_equal(config->path, "t.yaml");
		assert_defaults(config);
		config_free(config);
	}
	config_free(NULL);
	buf_free(&errors);
}

static void test_destination_defaults(void **state)
{
	struct buf errors = BUF_INIT(1 << 16);
	struct config *config = NULL;
	const struct config_destination *d;

	(void)state;
	assert_int_equal(fixture_load(DESTINATION(""), &config, &errors), 0);
	assert_int_equal(config->destination_count, 1);
	d = config_find_destination(config, "d");
	assert_ptr_equal(d, &config->destinations[0]);
	assert_null(config_find_destination(config, "D"));
	assert_string_equal(d->name, "d");
	assert_string_equal(d->request.method, "POST");
	assert_string_equal(template_source(d->request.url), "http://h/");
	assert_int_equal(d->request.header_count, 0);
	assert_null(d->request.body);
	assert_int_equal(d->timeout_ms, 10000);
	assert_int_equal(d->connect_timeout_ms, 5000);
	assert_int_equal(d->concurrency, 500);
	assert_int_equal(d->connections, 0);
	assert_int_equal(d->accept.count, 1);
	assert_int_equal(d->accept.ranges[0].first, 200);
	assert_int_equal(d->accept.ranges[0].last, 299);
	assert_int_equal(d->http_version, CONFIG_HTTP_AUTO);
	assert_null(d->ca_file);
	config_free(config);
	buf_free(&errors);
}

static const char everything[] =
	"queue:\n"
	"  url: " URL "\n"
	"  endpoint: http://127.0.0.1:9324\n"
	"  failure_url: http://[::1]:9324/000000000000/failed.fifo\n"
	"  receivers: 256\n"
	"  wait: 0s\n"
	"  visibility: 12h\n"
	"  held: 4GiB\n"
	"destinations:\n"
	"  - name: first.One_1-\n"
	"    request:\n"
	"      method: PUT\n"
	"      url: https://${HOST}:8443/{{to}}?a={{b|c}}\n"
	"      headers:\n"
	"        Authorization: Bearer ${LINE_TOKEN}\n"
	"        Content-Type: application/json; charset=utf-8\n"
	"        X-Line-Retry-Key: \"{{idempotency_key}}\"\n"
	"        X-Api-Key: \"{{key}}\"\n"
	"        X-Plain: 5\n"
	"      body: |\n"
	"        {\"to\": {{to}}, \"cost\": \"$$5\"}\n"
	"    timeout: 100ms\n"
	"    connect_timeout: 2m\n"
	"    concurrency: 10000\n"
	"    connections: 10000\n"
	"    accept: [200-204, 409, 599]\n"
	"    http_version: 1.1\n"
	"    ca_file: /etc/ca.pem\n"
	"  - {name: second, http_version: 2, request: {url: HTTP://h, body: 'a={{a}}'}}\n"
	"retry: {max_attempts: 1000, base: 15m, cap: 12h, jitter: decorrelated}\n"
	"workers: {min: 1, max: 1000}\n"
	"watchdog: 5s\n"
	"instance: {notices: ec2, lifecycle_hook: a/B_9-, autoscaling_group: '!g.(1)~', "
	"protection: ecs}\n"
	"admin: {listen: 'unix:/run/my app/a.sock'}\n"
	"metrics: {emf: 1h, namespace: Team/a_b.c#d:e-f}\n"
	"fleet_hosts: 100000\n"
	"ledger: {path: run/ledger, window: 168h, size: 16GiB}\n"
	"log: {level: debug, format: json}\n"
	"drain: {grace: 1h}\n";

static void assert_first_headers(const struct config_destination *d)
{
	static const struct {
		const char *name, *value;
		bool secret;
	} expected[] = {
		{"Authorization", "Bearer secret-line-token", true},
		{"Content-Type", "application/json; charset=utf-8", false},
		{"X-Line-Retry-Key", "{{idempotency_key}}", false},
		{"X-Api-Key", "{{key}}", true},
		{"X-Plain", "5", false},
	};

	assert_int_equal(d->request.header_count, COUNT(expected));
	for (size_t i = 0; i < COUNT(expected); i++) {
		assert_string_equal(d->request.headers[i].name, expected[i].name);
		assert_string_equal(
			template_source(d->request.headers[i].value), expected[i].value);
		assert_int_equal(d->request.headers[i].secret, expected[i].secret);
	}
}

static void test_everything(void **state)
{
	struct buf errors = BUF_INIT(1 << 16);
	struct config *config = NULL;
	const struct config_destination *d;

	(void)state;
	assert_int_equal(fixture_load(everything, &config, &errors), 0);
	assert_string_equal(buf_string(&errors), "");
	assert_string_equal(config->queue.url, URL);
	assert_string_equal(config->queue.endpoint, "http://127.0.0.1:9324");
	assert_string_equal(
		config->queue.failure_url, "http://[::1]:9324/000000000000/failed.fifo");
	assert_int_equal(config->queue.receivers, 256);
	assert_int_equal(config->queue.wait_ms, 0);
	assert_int_equal(config->queue.visibility_ms, 43200000);
	assert_int_equal(config->queue.held_bytes, INT64_C(4) << 30);
	assert_int_equal(config->retry.max_attempts, 1000);
	assert_int_equal(config->retry.base_ms, 900000);
	assert_int_equal(config->retry.cap_ms, 43200000);
	assert_int_equal(config->retry.jitter, CONFIG_JITTER_DECORRELATED);
	assert_int_equal(config->workers.min, 1);
	assert_int_equal(config->workers.max, 1000);
	assert_int_equal(config->watchdog_ms, 5000);
	assert_int_equal(config->instance.notices, CONFIG_NOTICES_EC2);
	assert_string_equal(config->instance.lifecycle_hook, "a/B_9-");
	assert_string_equal(config->instance.autoscaling_group, "!g.(1)~");
	assert_int_equal(config->instance.protection, CONFIG_PROTECTION_ECS);
	assert_string_equal(config->admin.listen, "unix:/run/my app/a.sock");
	assert_int_equal(config->metrics.emf_ms, 3600000);
	assert_string_equal(config->metrics.namespace, "Team/a_b.c#d:e-f");
	assert_int_equal(config->fleet_hosts, 100000);
	assert_string_equal(config->ledger.path, "run/ledger");
	assert_int_equal(config->ledger.window_ms, 604800000);
	assert_int_equal(config->ledger.size_bytes, INT64_C(16) << 30);
	assert_int_equal(config->log.level, LOG_LEVEL_DEBUG);
	assert_int_equal(config->log.format, LOG_FORMAT_JSON);
	assert_int_equal(config->drain.grace_ms, 3600000);

	assert_int_equal(config->destination_count, 2);
	d = config_find_destination(config, "first.One_1-");
	assert_non_null(d);
	assert_string_equal(d->request.method, "PUT");
	assert_string_equal(
		template_source(d->request.url), "https://api.example.com:8443/{{to}}?a={{b|c}}");
	assert_first_headers(d);
	assert_string_equal(
		template_source(d->request.body), "{\"to\": {{to}}, \"cost\": \"$5\"}\n");
	assert_int_equal(d->timeout_ms, 100);
	assert_int_equal(d->connect_timeout_ms, 120000);
	assert_int_equal(d->concurrency, 10000);
	assert_int_equal(d->connections, 10000);
	assert_int_equal(d->accept.count, 3);
	assert_int_equal(d->accept.ranges[0].first, 200);
	assert_int_equal(d->accept.ranges[0].last, 204);
	assert_int_equal(d->accept.ranges[1].first, 409);
	assert_int_equal(d->accept.ranges[1].last, 409);
	assert_int_equal(d->accept.ranges[2].first, 599);
	assert_int_equal(d->http_version, CONFIG_HTTP_1_1);
	assert_string_equal(d->ca_file, "/etc/ca.pem");
	d = config_find_destination(config, "second");
	assert_non_null(d);
	assert_int_equal(d->http_version, CONFIG_HTTP_2);
	assert_string_equal(template_source(d->request.body), "a={{a}}");
	config_free(config);
	buf_free(&errors);
}

/* Both ends of every range are taken, and one step beyond is refused. */
static void test_every_range(void **state)
{
	static const char *const suffixes[] = {[OPTION_INT] = "",
		[OPTION_DURATION] = "ms",
		[OPTION_BYTES] = "",
		[OPTION_RATE] = "/s",
		[OPTION_WORKERS] = ""};
	union {
		struct config config;
		struct config_destination destination;
		struct config_rule rule;
	} base = {0};
	size_t seen = 0;

	(void)state;
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &options[i];
		int64_t step = o->step != 0 ? o->step : 1, value;
		char text[64];

		if (o->type > OPTION_WORKERS || o->type == OPTION_SHARE)
			continue;
		seen++;
		assert_int_equal(option_set(o, NULL, &base), o->nullable ? 0 : ERR_SYNTAX);
		for (int end = 0; end < 4; end++) {
			value = end == 0   ? o->min - step
				: end == 1 ? o->min
				: end == 2 ? o->max
					   : o->max + step;
			snprintf(text, sizeof(text), "%lld%s", (long long)value, suffixes[o->type]);
			assert_int_equal(
				option_set(o, text, &base), end == 0 || end == 3 ? ERR_SYNTAX : 0);
		}
		if (o->step > 1) {
			snprintf(text, sizeof(text), "%lldms", (long long)o->min + 1);
			assert_int_equal(option_set(o, text, &base), ERR_LIMIT);
		}
	}
	assert_int_equal(seen, 32);
}

static void test_limits(void **state)
{
	struct buf errors = BUF_INIT(1 << 20), yaml = BUF_INIT(4 << 20);
	struct config *config = NULL;

	(void)state;
	buf_append_string(&yaml, "destinations: [{name: d, request: {url: 'http://h/', headers: {");
	for (int i = 0; i <= CONFIG_HEADERS_MAX; i++)
		buf_appendf(&yaml, "h%d: x, ", i);
	buf_append_string(&yaml, "}}}]\n");
	assert_int_equal(fixture_load(yaml.data, &config, &errors), ERR_CONFIG);
	assert_string_equal(buf_string(&errors),
		"t.yaml:1:63: destinations[0].request.headers: expected at most 64, got 65\n");

	buf_clear(&yaml);
	buf_append_string(&yaml, "destinations:\n");
	for (int i = 0; i <= CONFIG_DESTINATIONS_MAX; i++)
		buf_appendf(&yaml, "  - {name: d%d, request: {url: 'http://h/'}}\n", i);
	assert_int_equal(fixture_load(yaml.data, &config, &errors), ERR_CONFIG);
	assert_string_equal(
		buf_string(&errors), "t.yaml:2:3: destinations: expected at most 64, got 65\n");

	buf_clear(&yaml);
	for (size_t i = 0; i < CONFIG_FILE_MAX_BYTES; i++)
		buf_append_char(&yaml, '#');
	assert_int_equal(fixture_load(yaml.data, &config, &errors), 0);
	config_free(config);
	buf_append_char(&yaml, '#');
	assert_int_equal(fixture_load(yaml.data, &config, &errors), ERR_CONFIG);
	assert_string_equal(buf_string(&errors), "t.yaml: larger than 1MiB\n");
	buf_free(&errors);
	buf_free(&yaml);
}

/* A hundred thousand nested lists must neither crash nor take long. */
static void test_deep_nesting(void **state)
{
	struct buf errors = BUF_INIT(1 << 20), yaml = BUF_INIT(4 << 20);
	struct config *config = NULL;

	(void)state;
	for (int i = 0; i < 100000; i++)
		buf_append_char(&yaml, '[');
	assert_int_equal(fixture_load(yaml.data, &config, &errors), ERR_CONFIG);
	assert_string_equal(buf_string(&errors), "t.yaml:1:17: lists and maps nested too deep\n");
	buf_free(&errors);
	buf_free(&yaml);
}

static void test_unreadable(void **state)
{
	struct buf errors = BUF_INIT(1 << 16);
	struct config *config = NULL;

	(void)state;
	assert_int_equal(
		config_load("gone.yaml", &fixture_environment, NULL, 0, &config, &errors), ERR_IO);
	assert_string_equal(
		buf_string(&errors), "gone.yaml: cannot be read: No such file or directory\n");
	buf_clear(&errors);
	assert_int_equal(
		config_load("credentials", &fixture_environment, NULL, 0, &config, &errors),
		ERR_IO);
	assert_string_equal(buf_string(&errors), "credentials: cannot be read: Is a directory\n");
	buf_free(&errors);
}

/* What is sent is read back from the log: with a results queue there is one. */
static void test_outcomes(void **state)
{
	struct buf errors = BUF_INIT(1 << 16);
	struct config *config = NULL;

	assert_int_equal(fixture_load("queue: {results_url: " URL "}\n", &config, &errors), 0);
	assert_string_equal(config->queue.results_url, URL);
	assert_string_equal(config->outcomes.path, "/var/lib/bunshin/outcomes");
	config_free(config);
	assert_int_equal(fixture_load("queue: {results_url: " URL "}\n"
				      "outcomes: {path: /x, size: 5MiB, keep: 5MiB}\n",
				 &config, &errors),
		0);
	assert_string_equal(config->outcomes.path, "/x");
	assert_int_equal(config->outcomes.size_bytes, 5 << 20);
	assert_int_equal(config->outcomes.keep_bytes, 5 << 20);
	config_free(config);
	buf_free(&errors);
}

static void test_overrides(void **state)
{
	const struct config_override good[] = {
		{"queue.url", "http://127.0.0.1:1/a/b", "--queue-url"},
		{"queue.endpoint", NULL, "--endpoint"},
		{"queue.failure_url", "", "--failure-url"},
		{"log.level", "warn", "--log-level"},
	};
	const struct config_override bad[] = {
		{"queue.url", "b", "--queue-url"},
		{"queue.wait", "1500ms", "--wait"},
		{"retry.cap", "1s", "--cap"},
		{"retry.base", "2s", "--base"},
	};
	const struct config_override same[] = {{"queue.failure_url", URL, "--failure-url"}};
	const struct config_override unknown[] = {{"queue.wiat", "1s", "--wait"}};
	const struct config_override nested[] = {{"destinations[].timeout", "1s", "--timeout"}};
	struct buf errors = BUF_INIT(1 << 16);
	struct config *config = NULL;

	(void)state;
	assert_int_equal(
		fixture_load("queue: {endpoint: 'http://h', url: " URL "}", &config, &errors), 0);
	config_free(config);
	assert_int_equal(
		config_load("t.yaml", &fixture_environment, good, COUNT(good), &config, &errors),
		0);
	assert_string_equal(config->queue.url, "http://127.0.0.1:1/a/b");
	assert_string_equal(config->queue.endpoint, "http://h");
	assert_null(config->queue.failure_url);
	assert_int_equal(config->log.level, LOG_LEVEL_WARN);
	config_free(config);

	assert_int_equal(
		config_load("t.yaml", &fixture_environment, bad, COUNT(bad), &config, &errors),
		ERR_CONFIG);
	assert_string_equal(buf_string(&errors),
		"--queue-url: queue.url: expected a queue URL (like "
		"https://sqs.eu-west-1.amazonaws.com/123456789012/name), got \"b\"\n"
		"--wait: queue.wait: expected whole seconds, got \"1500ms\"\n"
		"--base: retry.base: retry.base is longer than retry.cap\n");
	buf_clear(&errors);
	assert_int_equal(
		config_load("t.yaml", &fixture_environment, same, 1, &config, &errors), ERR_CONFIG);
	assert_string_equal(buf_string(&errors),
		"--failure-url: queue.failure_url: the same queue as queue.url\n");
	assert_int_equal(config_load(NULL, &fixture_environment, unknown, 1, &config, &errors),
		ERR_ARGUMENT);
	assert_int_equal(
		config_load(NULL, &fixture_environment, nested, 1, &config, &errors), ERR_ARGUMENT);
	buf_free(&errors);
}

static void assert_redacted(const char *text, const char *expected)
{
	char copy[200];

	snprintf(copy, sizeof(copy), "%s", text);
	log_redact(copy);
	assert_string_equal(copy, expected);
}

static void test_secrets_are_registered(void **state)
{
	struct buf errors = BUF_INIT(1 << 16);
	struct config *config = NULL;

	(void)state;
	log_clear_secrets();
	fixture_write("secret", "file-secret\n", 12);
	fixture_write("credentials/api", "cred-secret", 11);
	assert_int_equal(
		fixture_load(
			DESTINATION(", headers: {Authorization: 'Bearer abcdefgh12', X-Key: "
				    "'k=${LINE_TOKEN}', X-Plain: '${HOST} visible-word', X-Cred: "
				    "'${credential:api}', X-Other-Key: '{{idempotency_key}}', "
				    "X-Third-Key: '{{message_secret_key}}'}, body: "
				    "'x ${file:secret}'"),
			&config, &errors),
		0);
	assert_redacted("abcdefgh12", "[redacted]");
	assert_redacted("secret-line-token", "[redacted]");
	assert_redacted("file-secret", "[redacted]");
	assert_redacted("cred-secret", "[redacted]");
	assert_redacted("api.example.com visible-word", "api.example.com visible-word");
	assert_redacted("idempotency_key message_secret_key", "idempotency_key message_secret_key");
	assert_false(config->destinations[0].request.headers[2].secret);
	assert_true(config->destinations[0].request.headers[3].secret);
	assert_false(config->destinations[0].request.headers[4].secret);
	assert_true(config->destinations[0].request.headers[5].secret);
	config_free(config);
	buf_free(&errors);
}

struct context_case {
	const char *headers, *body;
	const char *rendered; /* with every variable: a "b& */
};

static bool hostile_lookup(void *arg, const char *name, struct template_value *ret_value)
{
	(void)arg;
	(void)name;
	*ret_value = (struct template_value){.text = "a \"b&", .text_bytes = 5};
	return true;
}

static void test_body_context(void **state)
{
	static const struct context_case cases[] = {
		{"Content-Type: application/json", "\"{{x}}\"", "\"a \\\"b&\""},
		{"content-TYPE: APPLICATION/JSON;charset=x", "{{x}}", "\"a \\\"b&\""},
		{"Content-Type: application/vnd.api+json", "{{x}}", "\"a \\\"b&\""},
		{"Content-Type: application/x-www-form-urlencoded", "x={{x}}", "x=a+%22b%26"},
		{"Content-Type: application/x-www-form-urlencoded; y", "x={{x}}", "x=a+%22b%26"},
		{"Content-Type: text/plain", "{\"{{x}}", "{\"a \"b&"},
		{"Content-Type: application/x-ndjson", "{\"{{x}}", "{\"a \"b&"},
		{"Content-Type: application/jsonp", "{\"{{x}}", "{\"a \"b&"},
		{"X-Other: application/json", "{{x}}", "a \"b&"},
		{"X-Other: y", " \n\t{\"x\":{{x}}}", " \n\t{\"x\":\"a \\\"b&\"}"},
		{"X-Other: y", "[{{x}}]", "[\"a \\\"b&\"]"},
		{"X-Other: y", "{ \"x\":{{x}}}", "{ \"x\":\"a \\\"b&\"}"},
		{"X-Other: y", "{{{x}}} [", "a \"b& ["},
		{"X-Other: y", "x={{x}}", "x=a \"b&"},
		{"X-Other: y", "", ""},
	};
	struct buf errors = BUF_INIT(1 << 16), yaml = BUF_INIT(1 << 16), out = BUF_INIT(1024);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config *config = NULL;

		buf_clear(&yaml);
		buf_appendf(&yaml,
			"destinations:\n  - name: d\n    request:\n      url: http://h/\n"
			"      body: \"");
		buf_append_json(&yaml, cases[i].body, strlen(cases[i].body));
		buf_appendf(&yaml, "\"\n      headers:\n        %s\n", cases[i].headers);
		print_message("%s", yaml.data);
		assert_int_equal(fixture_load(yaml.data, &config, &errors), 0);
		buf_clear(&out);
		assert_int_equal(template_render(config->destinations[0].request.body,
					 hostile_lookup, NULL, &out, &errors),
			0);
		assert_string_equal(buf_string(&out), cases[i].rendered);
		config_free(config);
	}
	buf_free(&errors);
	buf_free(&yaml);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_destination_defaults),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_every_range),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_deep_nesting),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_overrides),
		cmocka_unit_test(test_secrets_are_registered),
		cmocka_unit_test(test_body_context),
	};

	return cmocka_run_group_tests(tests, fixture_enter, fixture_leave);
}
