/*
 * Any template with any values: what is rendered for JSON is JSON, for a header one line, for a URL
 * visible ASCII; a failure leaves nothing behind. The first byte picks the context.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "base/json.h"
#include "bunshin/error.h"
#include "config/template.h"

#include <string.h>

#define OUTPUT_MAX ((size_t)16 << 20)

static const struct template_value values[] = {
	{.text = "Mei", .text_bytes = 3},
	{.text = "", .text_bytes = 0},
	{.text = "\"\\,{}[]:", .text_bytes = 8},
	{.text = "a\r\nb", .text_bytes = 4},
	{.text = "\0", .text_bytes = 1},
	{.text = "\xe2\x80\xa8\xf0\x9f\x8d\xa3", .text_bytes = 7},
	{.text = "caf\xe9", .text_bytes = 4},
	{.text = "../..", .text_bytes = 5},
	{.text = "..", .text_bytes = 2},
	{.text = "-1.5e3", .text_bytes = 6, .is_json = true},
	{.text = "null", .text_bytes = 4, .is_json = true},
	{.text = "{\"a\":[1,\"\\u2028\"]}", .text_bytes = 18, .is_json = true},
};

/* The name picks the value, or none. */
static bool lookup(void *arg, const char *name, struct template_value *ret_value)
{
	size_t sum = *(const size_t *)arg;

	for (; *name != '\0'; name++)
		sum = sum * 31 + (unsigned char)*name;
	sum %= sizeof(values) / sizeof(values[0]) + 1;
	if (sum == 0)
		return false;
	*ret_value = values[sum - 1];
	return true;
}

static void check_json(const struct buf *out)
{
	struct json json = {0};
	int err = json_parse(&json, buf_string(out), out->len);

	FUZZ_CHECK(err == 0 || err == ERR_TOO_LARGE);
	json_free(&json);
}

static bool is_visible_ascii(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return true;
}

static void check_output(const char *source, enum template_context context, const struct buf *out)
{
	if (context == TEMPLATE_JSON)
		check_json(out);
	if (context == TEMPLATE_HEADER) {
		FUZZ_CHECK(memchr(buf_string(out), '\r', out->len) == NULL);
		FUZZ_CHECK(memchr(buf_string(out), '\n', out->len) == NULL);
		FUZZ_CHECK(memchr(buf_string(out), '\0', out->len) == NULL);
	}
	if (context == TEMPLATE_URL && is_visible_ascii(source, strlen(source)))
		FUZZ_CHECK(is_visible_ascii(buf_string(out), out->len));
}

static void count_variable(void *arg, const char *name, bool has_default)
{
	(void)has_default;
	FUZZ_CHECK(name[0] != '\0');
	++*(size_t *)arg;
}

static void check_template(const struct template *template, enum template_context context)
{
	struct buf out = BUF_INIT(OUTPUT_MAX), reason = BUF_INIT(OUTPUT_MAX);
	size_t variables = 0;

	template_each_variable(template, count_variable, &variables);
	FUZZ_CHECK(template_is_constant(template) == (variables == 0));
	for (size_t salt = 0; salt < 13; salt++) {
		int err = template_render(template, lookup, &salt, &out, &reason);

		FUZZ_CHECK(err == 0 || err == ERR_TEMPLATE);
		FUZZ_CHECK((err == 0) == (reason.len == 0));
		if (err == 0)
			check_output(template_source(template), context, &out);
		else
			FUZZ_CHECK(out.len == 0);
		buf_clear(&out);
		buf_clear(&reason);
	}
	buf_free(&out);
	buf_free(&reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf text = BUF_INIT(OUTPUT_MAX), error = BUF_INIT(OUTPUT_MAX);
	enum template_context context;
	struct template *template = NULL;
	int err;

	if (size == 0)
		return 0;
	context = (enum template_context)(data[0] % (TEMPLATE_HEADER + 1));
	buf_append(&text, data + 1, size - 1);
	err = template_compile(buf_string(&text), context, &template, &error);
	FUZZ_CHECK(err == 0 || err == ERR_SYNTAX);
	FUZZ_CHECK((err == 0) == (error.len == 0));
	FUZZ_CHECK((err == 0) == (template != NULL));
	if (err == 0) {
		FUZZ_CHECK(strcmp(template_source(template), buf_string(&text)) == 0);
		check_template(template, context);
	}
	template_free(template);
	buf_free(&text);
	buf_free(&error);
	return 0;
}
