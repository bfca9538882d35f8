/*
 * Any text as a rule, and as the value that it is for (behind the first line feed). A rule that is
 * none is told of; presets take what a check by hand takes; an expression takes what regexec(3)
 * finds as the longest match, if that is the whole; and the value, with its special characters
 * escaped, is an expression that takes itself and nothing longer.
 */
#include "fuzz.h"

#include "base/utf8.h"
#include "bunshin/error.h"
#include "campaign/validate.h"

#include <locale.h>
#include <regex.h>
#include <string.h>

struct source {
	const char *text;
	size_t len;
};

static int read_source(void *arg, char *bytes, size_t size, size_t *ret_len)
{
	struct source *source = arg;
	size_t len = source->len < size ? source->len : size;

	memcpy(bytes, source->text, len);
	source->text += len;
	source->len -= len;
	*ret_len = len;
	return 0;
}

/* As `to` of a row of JSON. */
static bool takes(struct validate *validate, const char *value, size_t len)
{
	struct buf row = BUF_INIT((size_t)1 << 20), reason = BUF_INIT((size_t)1 << 20);
	struct recipients *recipients;
	struct recipients_input input;
	struct source source;
	int taken;

	buf_append_string(&row, "{\"to\":\"");
	buf_append_json(&row, value, len);
	buf_append_string(&row, "\"}");
	source = (struct source){buf_string(&row), row.len};
	input = (struct recipients_input){read_source, &source};
	FUZZ_CHECK(recipients_new(RECIPIENTS_JSONL, &input, &recipients) == 0);
	FUZZ_CHECK(recipients_next(recipients) == RECIPIENTS_ROW);
	taken = validate_row(validate, recipients, &reason);
	FUZZ_CHECK(reason.err == 0 && taken == (reason.len == 0 ? 1 : 0));
	recipients_free(recipients);
	buf_free(&row);
	buf_free(&reason);
	return taken == 1;
}

/* what the presets are for, by hand */

static bool all_of(const char *text, size_t len, const char *set)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\0' || !strchr(set, text[i]))
			return false;
	return true;
}

static bool is_line(const char *text, size_t len)
{
	return len == 33 && all_of(text, 1, "UCR") && all_of(text + 1, 32, "0123456789abcdef");
}

static bool is_e164(const char *text, size_t len)
{
	return len >= 3 && len <= 16 && text[0] == '+' && text[1] != '0' &&
	       all_of(text + 1, len - 1, "0123456789");
}

static bool is_fcm(const char *text, size_t len)
{
	return len >= 100 && len <= VALIDATE_VALUE_MAX &&
	       all_of(text, len,
		       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_:-");
}

static struct preset {
	const char *rule;
	bool (*is)(const char *text, size_t len);
	struct validate *validate; /* NULL before the first input */
} presets[] = {{"to=@line", is_line, NULL}, {"to=@e164", is_e164, NULL}, {"to=@fcm", is_fcm, NULL}};

static void check_preset(struct preset *preset, const char *value, size_t len)
{
	struct buf error = BUF_INIT(4096);

	if (!preset->validate) {
		FUZZ_CHECK(validate_new(&preset->validate) == 0);
		FUZZ_CHECK(validate_add(preset->validate, preset->rule, &error) == 0);
	}
	FUZZ_CHECK(takes(preset->validate, value, len) == preset->is(value, len));
	buf_free(&error);
}

static void check_itself(const char *value, size_t len)
{
	struct buf rule = BUF_INIT((size_t)1 << 20), error = BUF_INIT(4096);
	struct buf longer = BUF_INIT((size_t)1 << 20);
	struct validate *validate;

	buf_append_string(&rule, "to=");
	for (size_t i = 0; i < len; i++) {
		if (strchr("\\^$.[]|()*+?{}", value[i]))
			buf_append_char(&rule, '\\');
		buf_append_char(&rule, value[i]);
	}
	if (len > 0 && rule.len <= VALIDATE_RULE_MAX && value[0] != '@') {
		FUZZ_CHECK(validate_new(&validate) == 0);
		FUZZ_CHECK(validate_add(validate, buf_string(&rule), &error) == 0);
		FUZZ_CHECK(takes(validate, value, len));
		buf_append(&longer, value, len);
		buf_append_char(&longer, '\n');
		FUZZ_CHECK(!takes(validate, buf_string(&longer), longer.len));
		validate_free(validate);
	}
	buf_free(&rule);
	buf_free(&longer);
	buf_free(&error);
}

/* any rule */

/*
 * What the C library must be spared: repetitions of repetitions take memory without bound, and
 * back references time; both are for whoever types them to know.
 */
static bool is_spared(const char *rule)
{
	return strlen(rule) > 100 || strchr(rule, '{') || strpbrk(rule, "\\");
}

static void check_expression(
	struct validate *validate, const char *expression, const char *value, size_t len)
{
	static locale_t utf8;
	char text[256];
	locale_t before;
	regmatch_t match;
	regex_t regex;
	bool whole;

	if (!utf8)
		FUZZ_CHECK((utf8 = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0)));
	if (len < sizeof(text)) {
		memcpy(text, value, len);
		text[len] = '\0';
		before = uselocale(utf8);
		FUZZ_CHECK(regcomp(&regex, expression, REG_EXTENDED) == 0);
		whole = regexec(&regex, text, 1, &match, 0) == 0 && match.rm_so == 0 &&
			match.rm_eo == (regoff_t)len;
		regfree(&regex);
		uselocale(before);
		FUZZ_CHECK(takes(validate, value, len) == whole);
	}
}

static void check_rule(const char *rule, const char *value, size_t len)
{
	const char *equals = strchr(rule, '=');
	struct buf error = BUF_INIT(4096);
	struct validate *validate;
	int err;

	if (is_spared(rule))
		return;
	FUZZ_CHECK(validate_new(&validate) == 0);
	err = validate_add(validate, rule, &error);
	FUZZ_CHECK(err == 0 || err == ERR_SYNTAX);
	FUZZ_CHECK((err == 0) == (error.len == 0) && error.err == 0);
	if (err == 0) {
		FUZZ_CHECK(equals && equals > rule && equals[1]);
		if (strncmp(rule, "to=", 3) == 0 && equals[1] != '@')
			check_expression(validate, equals + 1, value, len);
	}
	validate_free(validate);
	buf_free(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *end = memchr(text, '\n', size);
	size_t rule_len = end ? (size_t)(end - text) : size;
	const char *value = end ? end + 1 : text + size;
	size_t len = size - (size_t)(value - text);
	char *rule = strndup(text, rule_len);

	FUZZ_CHECK(rule);
	/* Rows are UTF-8, and a NUL is another test's. */
	if (utf8_is_valid(value, len) && !memchr(value, '\0', len)) {
		for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++)
			check_preset(&presets[i], value, len);
		check_itself(value, len);
		check_rule(rule, value, len);
	}
	free(rule);
	return 0;
}
