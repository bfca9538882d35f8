/* Every allocation of compiling, rendering, loading and printing fails once; nothing leaks. */
#include "base/log.h"
#include "bunshin/error.h"
#include "failmalloc.h"
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool lookup(void *arg, const char *name, struct template_value *ret_value)
{
	(void)arg;
	(void)name;
	*ret_value = (struct template_value){.text = "a \"b&", .text_bytes = 5};
	return true;
}

struct template_case {
	const char *source;
	enum template_context context;
};

static int compile_and_render(void *arg)
{
	const struct template_case *c = arg;
	struct buf out = BUF_INIT(1 << 16), text = BUF_INIT(1 << 16);
	struct template *template = NULL;
	int err = template_compile(c->source, c->context, &template, &text);

	if (err == 0) {
		err = template_render(template, lookup, NULL, &out, &text);
		template_free(template);
	} else {
		assert_null(template);
	}
	buf_free(&out);
	buf_free(&text);
	return err;
}

static void test_templates(void **state)
{
	static struct template_case cases[] = {
		{"{\"a\":{{b}},\"c\":\"{{d|e}}{{f|}}\",\"g\":{{h|[0]}},\"i\":{{j|k}}}",
			TEMPLATE_JSON},
		{"{{a}}{{b}}{{c}}{{d}}{{e}}{{f}}{{g}}{{h}}{{i}}{{j}}", TEMPLATE_TEXT},
		{"https://h/{{a}}?{{b|c d}}", TEMPLATE_URL},
		{"a={{a}}&{{{b}}}", TEMPLATE_FORM},
		{"Bearer {{a|x}}", TEMPLATE_HEADER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		failmalloc_sweep(compile_and_render, &cases[i]);
}

/* Fails with ERR_TEMPLATE or ERR_SYNTAX when memory suffices; the sweep wants 0 for that. */
static int refuse(void *arg)
{
	int err = compile_and_render(arg);

	return err == ERR_TEMPLATE || err == ERR_SYNTAX ? 0 : err;
}

static void test_refused_templates(void **state)
{
	static struct template_case cases[] = {
		{"\"{{{a}}}\"", TEMPLATE_JSON},
		{"{\"a\":", TEMPLATE_JSON},
		{"{{a", TEMPLATE_TEXT},
		{"{{#a}}", TEMPLATE_TEXT},
		{"{{a|\n}}", TEMPLATE_HEADER},
		{"https://h/{{{a}}}", TEMPLATE_URL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		failmalloc_sweep(refuse, &cases[i]);
}

static int load_and_print(void *arg)
{
	const struct config_override overrides[] = {
		{"queue.endpoint", "http://127.0.0.1:1", "--endpoint"}};
	struct buf errors = BUF_INIT(1 << 16), out = BUF_INIT(1 << 16);
	struct config *config = NULL;
	int err;

	log_clear_secrets();
	err = config_load(arg, &fixture_environment, overrides, 1, &config, &errors);
	if (err == 0)
		err = config_print(config, &out);
	config_free(config);
	buf_free(&errors);
	buf_free(&out);
	return err;
}

/* Is refused when memory suffices; the sweep wants 0 for that. */
static int refuse_to_load(void *arg)
{
	int err = load_and_print(arg);

	return err == ERR_CONFIG || err == ERR_IO ? 0 : err;
}

static const char good_yaml[] =
	"queue: {url: 'http://h/a/b', endpoint: '${file:secret}', failure_url: 'http://h/a/c'}\n"
	"destinations:\n"
	"- name: one\n"
	"  request:\n"
	"    url: https://${HOST}/bot${file:secret}/{{x}}\n"
	"    headers: {Authorization: 'Bearer ${LINE_TOKEN}', X: '${credential:api}', Y: '{{z}}'}\n"
	"    body: '{\"a\":{{b}}, \"c\":\"${file:secret}\"}'\n"
	"  accept: [200, 409]\n"
	"  ca_file: ${file:secret}\n"
	"  when: {channel: line, 'user.lang': [ja, '${file:secret}']}\n"
	"  rate: 5/m\n"
	"  adaptive: false\n"
	"  breaker: {failures: off}\n"
	"  outcomes:\n"
	"    retry: [408, 500-599]\n"
	"    throttle: 429\n"
	"    when_body:\n"
	"    - {status: [400, 404], path: a.0, equals: '${file:secret}', outcome: breaker}\n"
	"    - {contains: limit, outcome: permanent}\n"
	"  retry: {base: 100ms, jitter: decorrelated}\n"
	"- {name: two, request: {url: 'http://h'}}\n"
	"ledger: {path: '${file:secret}'}\n"
	"retry: {base: 2s}\n";

static const char bad_yaml[] = "queue: {url: b, wiat: 1s, wait: '${GONE}', held: [1], url: c}\n"
			       "retry: {base: 1h, cap: 1s}\n"
			       "timeout: 5\n\"a b\": c\n"
			       "destinations:\n"
			       "- {name: a, request: {url: 'http://{{x}}', headers: {A: \"\\n\", a "
			       "b: c, TE: d}, body: '{'}}\n"
			       "- {name: a, accept: [1, 2x], ca_file: '${file:gone}'}\n"
			       "- 5\n"
			       "- name: c\n"
			       "  when: {a: [], b: [[], c], 'd\"': 1, '.': 2, d: '${GONE}'}\n"
			       "  rate: 5\n"
			       "  outcomes:\n"
			       "    retry: [200, 2x]\n"
			       "    throttle: []\n"
			       "    breaker: x\n"
			       "    when_body:\n"
			       "    - {contains: a, equals: b, outcome: retry}\n"
			       "    - {path: a, contains: a, equals: b, outcome: retry}\n"
			       "    - {outcome: retry}\n"
			       "    - {contain: a}\n"
			       "    - 7\n"
			       "  retry: {base: 10m, cap: 1s}\n";

static void sweep_load(int (*load)(void *arg), const char *name, const char *yaml)
{
	char path[32];

	strcpy(path, name);
	if (yaml != NULL)
		fixture_write(name, yaml, strlen(yaml));
	failmalloc_sweep(load, path);
}

static void test_load(void **state)
{
	(void)state;
	fixture_write("secret", "http://h\n", 9);
	fixture_write("credentials/api", "cred-secret", 11);
	sweep_load(load_and_print, "good.yaml", good_yaml);
	sweep_load(refuse_to_load, "bad.yaml", bad_yaml);
	sweep_load(refuse_to_load, "broken.yaml", "queue: [\n");
	sweep_load(refuse_to_load, "alias.yaml", "a: &x 1\nb: *x\n");
	sweep_load(refuse_to_load, "gone.yaml", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_templates),
		cmocka_unit_test(test_refused_templates),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, fixture_enter, fixture_leave);
}
