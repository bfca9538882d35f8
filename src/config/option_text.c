/*
 * What an option's value is, in words.
 */
#include "base/units.h"
#include "config/options.h"

#include <string.h>

void option_append_number(const struct option *option, int64_t number, struct buf *out)
{
	char text[UNITS_TEXT_MAX];

	if (option->type == OPTION_DURATION)
		buf_append_string(out, units_format_duration_ms(number, text));
	else if (option->type == OPTION_BYTES)
		buf_append_string(out, units_format_bytes((uint64_t)number, text));
	else if (option->type == OPTION_SHARE)
		buf_append_string(out, units_format_share(number, text));
	else
		buf_appendf(out, "%lld", (long long)number);
}

/* "auto|text|json" as "auto, text or json". */
static void append_choices(const char *choices, struct buf *out)
{
	for (;;) {
		size_t n = strcspn(choices, "|");

		buf_append(out, choices, n);
		if (choices[n] == '\0')
			return;
		choices += n + 1;
		buf_append_string(out, strchr(choices, '|') != NULL ? ", " : " or ");
	}
}

/* Before the range. */
static const char *type_name(enum option_type type)
{
	static const char *const names[] = {
		[OPTION_INT] = "an integer",
		[OPTION_DURATION] = "a duration",
		[OPTION_BYTES] = "a size",
		[OPTION_SHARE] = "a share",
		[OPTION_RATE] = "a rate",
		[OPTION_WORKERS] = "a number",
		[OPTION_BOOL] = "",
		[OPTION_CHOICE] = "one of",
		[OPTION_WORD] = "one of",
		[OPTION_NAME] = "a name",
		[OPTION_TEXT] = "a text",
		[OPTION_JSON_PATH] = "a field's path",
		[OPTION_PATH] = "a file's path",
		[OPTION_LISTEN] = "an address and a port (like 127.0.0.1:9797) or an absolute "
				  "path of up to 107 bytes (like unix:/run/bunshin/admin.sock)",
		[OPTION_QUEUE_URL] = "a queue URL (like "
				     "https://sqs.eu-west-1.amazonaws.com/123456789012/name)",
		[OPTION_BASE_URL] = "an http or https URL without a query (like "
				    "http://127.0.0.1:4318)",
		[OPTION_ENDPOINT] = "an http or https URL without a path (like "
				    "http://127.0.0.1:9324)",
	};

	return names[type];
}

static void append_range(const struct option *option, struct buf *out)
{
	option_append_number(option, option->min, out);
	buf_append_string(out, " to ");
	option_append_number(option, option->max, out);
}

/* " letters, digits, _ . or -" */
static void append_characters(const char *marks, struct buf *out)
{
	size_t count = marks == NULL ? 0 : strlen(marks);

	if (marks == NULL) {
		buf_append_string(out, " printable ASCII characters, no blank or colon");
		return;
	}
	buf_append_string(out, " letters, digits,");
	for (size_t i = 0; i < count; i++)
		buf_appendf(out, "%s %c", i + 1 == count ? " or" : "", marks[i]);
	if (strchr(marks, ':') != NULL)
		buf_append_string(out, ", the first no colon");
}

static const char *example(const struct option *option)
{
	return option->inherits != NULL ? option_find(option->inherits)->fallback
					: option->fallback;
}

int option_append_expectation(const struct option *option, struct buf *out)
{
	if (option->zero_word != NULL)
		buf_appendf(
			out, option->type == OPTION_WORKERS ? "%s, " : "%s or ", option->zero_word);
	buf_append_string(out, type_name(option->type));
	switch (option->type) {
	case OPTION_INT:
	case OPTION_DURATION:
	case OPTION_BYTES:
	case OPTION_SHARE:
		buf_append_string(out, " from ");
		append_range(option, out);
		if (option->zero_word != NULL && strcmp(example(option), option->zero_word) == 0)
			return out->err;
		return buf_appendf(out, " (like %s)", example(option));
	case OPTION_RATE:
		buf_append_string(out, " of ");
		append_range(option, out);
		return buf_append_string(out, " each s, m or h (like 2000/s)");
	case OPTION_WORKERS:
		buf_append_string(out, " from ");
		append_range(option, out);
		return buf_append_string(out, ", or {min: N, max: N}");
	case OPTION_NAME:
		buf_append_string(out, " of ");
		append_range(option, out);
		append_characters(option->marks, out);
		break;
	case OPTION_TEXT:
		buf_append_string(out, " of ");
		append_range(option, out);
		return buf_append_string(out, " bytes");
	case OPTION_JSON_PATH:
		buf_append_string(out, " of ");
		append_range(option, out);
		return buf_append_string(out, " bytes (like user.lang)");
	case OPTION_BOOL:
		append_choices(option->choices, out);
		break;
	case OPTION_CHOICE:
	case OPTION_WORD:
		buf_append_char(out, ' ');
		append_choices(option->choices, out);
		break;
	default:
		break;
	}
	return out->err;
}
