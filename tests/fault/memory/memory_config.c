/* src/config: compiling and rendering templates, loading and printing files. */
#include "sweep.h"

#include "base/log.h"
#include "bunshin/error.h"
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

/* Every variable's value. */
static const char *value = "a \"b&\xe3\x81\x8a";

static bool lookup(void *arg, const char *name, struct template_value *ret_value)
{
	*ret_value = (struct template_value){.text = value, .text_bytes = strlen(value)};
	return true;
}

struct template_case {
	const char *source;
	enum template_context context;
	int answer; /* undisturbed */
};

static int compile_and_render(const void *arg)
{
	const struct template_case *c = arg;
	struct buf out = BUF_INIT(1 << 20), text = BUF_INIT(1 << 16);
	struct template *template = NULL;
	int err;

	buf_append_string(&out, "head ");
	sweep_on();
	err = template_compile(c->source, c->context, &template, &text);
	if (!err)
		err = template_render(template, lookup, NULL, &out, &text);
	sweep_off();
	if (err) /* as long as it was */
		assert_string_equal(buf_string(&out), "head ");
	template_free(template);
	buf_free(&out);
	buf_free(&text);
	return sweep_has_failed() || err != c->answer ? err : 0;
}

static const struct template_case json_template = {
	"{\"a\":{{b}},\"c\":\"{{d|e}}{{f|}}\",\"g\":{{h|[0]}},\"i\":{{j|k}}}", TEMPLATE_JSON, 0};
static const struct template_case text_template = {
	"{{a}}{{b}}{{c}}{{d}}{{e}}{{f}}{{g}}{{h}}{{i}}{{j}}", TEMPLATE_TEXT, 0};
static const struct template_case url_template = {"https://h/{{a}}?{{b|c d}}", TEMPLATE_URL, 0};
static const struct template_case form_template = {"a={{a}}&{{{b}}}", TEMPLATE_FORM, 0};
static const struct template_case header_template = {"Bearer {{a|x}}", TEMPLATE_HEADER, 0};
static const struct template_case refused_templates[] = {
	{"\"{{{a}}}\"", TEMPLATE_JSON, ERR_TEMPLATE},
	{"{\"a\":", TEMPLATE_JSON, ERR_SYNTAX},
	{"{{a", TEMPLATE_TEXT, ERR_SYNTAX},
	{"{{#a}}", TEMPLATE_TEXT, ERR_SYNTAX},
	{"{{a|\n}}", TEMPLATE_HEADER, ERR_SYNTAX},
	{"https://h/{{{a}}}", TEMPLATE_URL, ERR_TEMPLATE},
};

/* 100 variables of 8 KB each, in every context. */
static int render_large(const void *arg)
{
	struct template_case large = *(const struct template_case *)arg;
	const char *usual = value;
	char text[8001], source[1300];
	size_t len = 0;
	int err;

	memset(text, large.context == TEMPLATE_JSON ? '"' : '&', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 100; i++) {
		memcpy(source + len, large.source, strlen(large.source));
		len += strlen(large.source);
	}
	source[len] = '\0';
	value = text;
	large.source = source;
	err = compile_and_render(&large);
	value = usual;
	return err;
}

static const struct template_case large_text = {"{{abcdefg}}", TEMPLATE_TEXT, 0};
static const struct template_case large_form = {"{{a}}&b=", TEMPLATE_FORM, ERR_TOO_LARGE};
static const struct template_case large_header = {"{{a}}", TEMPLATE_HEADER, 0};

struct load_case {
	const char *path;
	int answer; /* undisturbed */
};

static int load_and_print(const void *arg)
{
	const struct load_case *c = arg;
	const struct config_override overrides[] = {
		{"queue.endpoint", "http://127.0.0.1:1", "--endpoint"}};
	struct buf errors = BUF_INIT(1 << 16), out = BUF_INIT(1 << 16);
	struct config *config = NULL;
	int err;

	log_clear_secrets();
	sweep_on();
	err = config_load(c->path, &fixture_environment, overrides, 1, &config, &errors);
	if (!err)
		err = config_print(config, &out);
	sweep_off();
	assert_true(config || err);
	config_free(config);
	buf_free(&errors);
	buf_free(&out);
	return sweep_has_failed() || err != c->answer ? err : 0;
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
	"- {name: three, request: {url: '{{{u}}}', allow_hosts: ['*.a.b:1', 'http://${HOST}'],\n"
	"    allow_addresses: [10.0.0.0/8, '::1']}}\n"
	"ledger: {path: '${file:secret}'}\n"
	"retry: {base: 2s}\n"
	"workers: {min: '${M:-2}', max: 8}\n"
	"instance: {notices: ec2, lifecycle_hook: '${credential:api}', autoscaling_group: g}\n"
	"admin: {listen: 'unix:/${file:secret}', hosts: [a.b, 'c']}\n"
	"metrics: {emf: 1m, namespace: '${credential:api}'}\n"
	"tracing: {endpoint: '${file:secret}', headers: {A: '${credential:api}', B: c d},\n"
	"  sample: 0.5, service_name: '${credential:api}', resource: {a: '${credential:api}', b: "
	"c}}\n";

static const char bad_yaml[] =
	"queue: {url: b, wiat: 1s, wait: '${GONE}', held: [1], url: c}\n"
	"retry: {base: 1h, cap: 1s}\n"
	"admin: {hosts: ['*.a.b', h, {}]}\n"
	"timeout: 5\n\"a b\": c\n"
	"workers: {min: 2, max: 1, min: 0, mid: 1, [a]: b}\n"
	"instance: {lifecycle_hook: h, autoscaling_group: 'a b'}\n"
	"metrics: {emf: 1s, namespace: ''}\n"
	"tracing: {headers: {'a b': 1, C: [], c: 2, C: 3}, resource: {service.name: x}, "
	"sample: 2}\n"
	"destinations:\n"
	"- {name: a, request: {url: 'http://{{x}}', headers: {A: \"\\n\", a "
	"b: c, TE: d}, body: '{'}}\n"
	"- {name: e, request: {url: '{{u}}', allow_hosts: ['*', '${GONE}', h], allow_addresses: "
	"[h]}}\n"
	"- {name: f, request: {url: 'http://h', allow_hosts: h, allow_addresses: [[]]}}\n"
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

static const struct load_case sample = {SOURCE_ROOT "/conf/bunshin.yaml", 0};
static const struct load_case line_push = {SOURCE_ROOT "/conf/destinations/line-push.yaml", 0};
static const struct load_case good = {"good.yaml", 0};
static const struct load_case bad = {"bad.yaml", ERR_CONFIG};
static const struct load_case broken = {"broken.yaml", ERR_CONFIG};
static const struct load_case alias = {"alias.yaml", ERR_CONFIG};
static const struct load_case gone = {"gone.yaml", ERR_IO};

static int enter(void **state)
{
	int err = fixture_enter(state);

	fixture_write("secret", "http://h\n", 9);
	fixture_write("credentials/api", "cred-secret", 11);
	fixture_write("good.yaml", good_yaml, strlen(good_yaml));
	fixture_write("bad.yaml", bad_yaml, strlen(bad_yaml));
	fixture_write("broken.yaml", "queue: [\n", 9);
	fixture_write("alias.yaml", "a: &x 1\nb: *x\n", 14);
	return err;
}

int main(void)
{
	static const struct sweep table[] = {
		SWEEP("template: JSON", compile_and_render, .arg = &json_template),
		SWEEP("template: text", compile_and_render, .arg = &text_template),
		SWEEP("template: URL", compile_and_render, .arg = &url_template),
		SWEEP("template: form", compile_and_render, .arg = &form_template),
		SWEEP("template: header", compile_and_render, .arg = &header_template),
		SWEEP("template: raw in JSON, refused", compile_and_render,
			.arg = &refused_templates[0]),
		SWEEP("template: JSON that never ends", compile_and_render,
			.arg = &refused_templates[1]),
		SWEEP("template: braces that never close", compile_and_render,
			.arg = &refused_templates[2]),
		SWEEP("template: a name that is none", compile_and_render,
			.arg = &refused_templates[3]),
		SWEEP("template: a default with a line break", compile_and_render,
			.arg = &refused_templates[4]),
		SWEEP("template: raw in a URL, refused", compile_and_render,
			.arg = &refused_templates[5]),
		SWEEP("template: 800 KB of text", render_large, .arg = &large_text),
		SWEEP("template: a form past the limit", render_large, .arg = &large_form),
		SWEEP("template: 800 KB of header", render_large, .arg = &large_header),
		SWEEP("load: conf/bunshin.yaml", load_and_print, .arg = &sample),
		SWEEP("load: conf/destinations/line-push.yaml", load_and_print, .arg = &line_push),
		SWEEP("load: files and credentials", load_and_print, .arg = &good),
		SWEEP("load: mistakes of every kind", load_and_print, .arg = &bad),
		SWEEP("load: no YAML", load_and_print, .arg = &broken),
		SWEEP("load: an alias", load_and_print, .arg = &alias),
		SWEEP("load: no file", load_and_print, .arg = &gone),
	};

	return SWEEP_TABLE("config", table, enter, fixture_leave);
}
