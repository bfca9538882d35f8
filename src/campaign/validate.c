#include "campaign/validate.h"

#include "bunshin/error.h"

#include <errno.h>
#include <locale.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rule {
	char *column;
	const char *what; /* for people: "a LINE user id"; NULL: the expression says it */
	char *expression;
	regex_t regex;
};

struct validate {
	locale_t utf8; /* 0 before the first rule */
	struct rule rules[VALIDATE_RULES_MAX];
	size_t count;
	char value[VALIDATE_VALUE_MAX + 1]; /* scratch: NUL-terminated for regexec */
};

/*
 * LINE: user, group and room ids of the Messaging API ("U" and 32 hex digits, "C", "R"). Phone
 * numbers: ITU-T E.164, 15 digits with the country code, which does not begin with 0. FCM:
 * registration tokens are opaque, and at most 4 KiB long; those seen are base64url, most in two
 * parts with a colon between, the first of 11 or 22 characters, 140 to 170 in all.
 */
static const struct preset {
	const char *name, *expression, *what;
} presets[] = {
	{"line", "[UCR][0-9a-f]{32}", "a LINE id (U, C or R and 32 hex digits)"},
	{"e164", "[+][1-9][0-9]{1,14}", "a phone number as in +819012345678 (E.164)"},
	{"fcm", "[A-Za-z0-9_:-]{100,}", "an FCM registration token"},
};

int validate_new(struct validate **ret_validate)
{
	*ret_validate = calloc(1, sizeof(**ret_validate));
	return *ret_validate ? 0 : ERR_NOMEM;
}

void validate_free(struct validate *validate)
{
	if (!validate)
		return;
	for (size_t i = 0; i < validate->count; i++) {
		free(validate->rules[i].column);
		free(validate->rules[i].expression);
		regfree(&validate->rules[i].regex);
	}
	if (validate->utf8)
		freelocale(validate->utf8);
	free(validate);
}

static const struct preset *find_preset(const char *name)
{
	for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++)
		if (strcmp(presets[i].name, name) == 0)
			return &presets[i];
	return NULL;
}

static int unknown_preset(const char *rule, struct buf *error)
{
	buf_appendf(error, "\"%s\": no such preset; there are", rule);
	for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++)
		buf_appendf(error, "%s @%s", i > 0 ? "," : "", presets[i].name);
	return ERR_SYNTAX;
}

/* The program's own locale is C, where a character is a byte: ".{3}" would match "あ". */
static int open_locale(struct validate *validate, struct buf *error)
{
	if (validate->utf8)
		return 0;
	validate->utf8 = newlocale(LC_CTYPE_MASK | LC_COLLATE_MASK, "C.UTF-8", (locale_t)0);
	if (validate->utf8)
		return 0;
	if (errno == ENOMEM)
		return ERR_NOMEM;
	buf_append_string(error, "this system does not have the locale C.UTF-8");
	return ERR_SYNTAX;
}

/* What `expression` is with `before` and `behind` around it: 0, or regcomp()'s code. */
static int compile_within(
	const char *before, const char *expression, const char *behind, regex_t *regex)
{
	char whole[VALIDATE_RULE_MAX + 8];

	snprintf(whole, sizeof(whole), "%s%s%s", before, expression, behind);
	return regcomp(regex, whole, REG_EXTENDED | REG_NOSUB);
}

/*
 * Right within the parentheses that its anchors need, but only if it closes none of them: glibc
 * takes a parenthesis that nothing opened for a character.
 */
static int compile(const char *expression, regex_t *regex)
{
	int code = compile_within("", expression, "", regex);

	if (code != 0)
		return code;
	regfree(regex);
	if (compile_within("(", expression, "", regex) == 0) {
		regfree(regex);
		return REG_EPAREN;
	}
	return compile_within("^(", expression, ")$", regex);
}

/* glibc has no order for other characters in C.UTF-8, and a word for it that nobody understands. */
static void explain(int code, const regex_t *regex, char *words, size_t size)
{
	if (code == REG_ECOLLATE)
		snprintf(words, size, "a range in brackets can be of ASCII characters only");
	else
		regerror(code, regex, words, size);
}

static int add_expression(
	struct validate *validate, struct rule *rule, const char *text, struct buf *error)
{
	char words[200];
	locale_t before;
	int code, err = open_locale(validate, error);

	if (err)
		return err;
	before = uselocale(validate->utf8);
	code = compile(rule->expression, &rule->regex);
	if (code != 0)
		explain(code, &rule->regex, words, sizeof(words));
	uselocale(before);
	if (code == 0)
		return 0;
	if (code == REG_ESPACE)
		return ERR_NOMEM;
	buf_appendf(error, "\"%s\": not a regular expression: %s", text, words);
	return ERR_SYNTAX;
}

int validate_add(struct validate *validate, const char *text, struct buf *error)
{
	const char *equals = strchr(text, '=');
	const struct preset *preset = NULL;
	struct rule rule = {0};
	int err;

	if (validate->count == VALIDATE_RULES_MAX) {
		buf_appendf(error, "more than %d rules", VALIDATE_RULES_MAX);
		return ERR_SYNTAX;
	}
	if (strlen(text) > VALIDATE_RULE_MAX) {
		buf_appendf(error, "a rule is longer than %d bytes", VALIDATE_RULE_MAX);
		return ERR_SYNTAX;
	}
	if (!equals || equals == text || !equals[1]) {
		buf_appendf(error, "\"%s\": expected COLUMN=REGEX or COLUMN=@PRESET", text);
		return ERR_SYNTAX;
	}
	if (equals[1] == '@' && !(preset = find_preset(equals + 2)))
		return unknown_preset(text, error);
	rule.column = strndup(text, (size_t)(equals - text));
	rule.expression = strdup(preset ? preset->expression : equals + 1);
	rule.what = preset ? preset->what : NULL;
	err = rule.column && rule.expression ? add_expression(validate, &rule, text, error)
					     : ERR_NOMEM;
	if (err) {
		free(rule.column);
		free(rule.expression);
		return err;
	}
	validate->rules[validate->count++] = rule;
	return 0;
}

const char *validate_missing_column(
	const struct validate *validate, const struct recipients *recipients)
{
	for (size_t i = 0; i < validate->count; i++)
		if (!recipients_may_have(recipients, validate->rules[i].column))
			return validate->rules[i].column;
	return NULL;
}

/* 1, 0, or ERR_NOMEM. */
static int matches(struct validate *validate, const struct rule *rule, const char *text, size_t len)
{
	if (len > VALIDATE_VALUE_MAX || memchr(text, '\0', len))
		return 0;
	memcpy(validate->value, text, len);
	validate->value[len] = '\0';
	switch (regexec(&rule->regex, validate->value, 0, NULL, 0)) {
	case 0:
		return 1;
	case REG_ESPACE:
		return ERR_NOMEM;
	default:
		return 0;
	}
}

static int keeps(struct validate *validate, const struct rule *rule, struct recipients *recipients,
	struct buf *reason)
{
	struct template_value value;
	int answer;

	if (!recipients_lookup(recipients, rule->column, &value)) {
		buf_appendf(reason, "%s is missing", rule->column);
		return 0;
	}
	answer = matches(validate, rule, value.text, value.text_bytes);
	if (answer != 0)
		return answer;
	if (rule->what)
		buf_appendf(reason, "%s is not %s", rule->column, rule->what);
	else
		buf_appendf(reason, "%s does not match %s", rule->column, rule->expression);
	return 0;
}

int validate_row(struct validate *validate, struct recipients *recipients, struct buf *reason)
{
	locale_t before = uselocale(validate->utf8);
	int answer = 1;

	for (size_t i = 0; i < validate->count && answer > 0; i++)
		answer = keeps(validate, &validate->rules[i], recipients, reason);
	uselocale(before);
	return answer;
}
