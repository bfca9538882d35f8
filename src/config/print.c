/*
 * config_print(): the table's rows in order, each written as config_load() reads it.
 */
#include "base/units.h"
#include "config/options.h"
#include "config/quote.h"
#include "config/reader.h"

#include <string.h>

/* At most two levels: "destinations[].request". */
#define SECTION_MAX 64

static void print_text(struct buf *out, const char *text)
{
	if (text == NULL)
		buf_append_string(out, "null");
	else
		quote_append_yaml(out, text, strlen(text));
}

static void print_choice(const struct option *option, int index, struct buf *out)
{
	const char *choice = option->choices;

	while (index-- > 0)
		choice = strchr(choice, '|') + 1;
	if (strspn(choice, "0123456789.") == strcspn(choice, "|"))
		buf_appendf(out, "\"%.*s\"", (int)strcspn(choice, "|"), choice);
	else
		buf_append(out, choice, strcspn(choice, "|"));
}

static void print_headers(const struct config_destination *destination, struct buf *out)
{
	if (destination->request.header_count == 0)
		buf_append_string(out, " {}");
	for (size_t i = 0; i < destination->request.header_count; i++) {
		const struct config_header *header = &destination->request.headers[i];

		/* A token needs no escapes, and in a key a $ is just that. */
		buf_appendf(out, "\n        \"%s\": ", header->name);
		print_text(
			out, header->secret ? SUBSTITUTE_HIDDEN : template_source(header->value));
	}
}

static void print_statuses(const struct config_destination *destination, struct buf *out)
{
	for (size_t i = 0; i < destination->accept_count; i++) {
		const struct config_status_range *range = &destination->accept[i];

		buf_append_string(out, i == 0 ? "[" : ", ");
		buf_appendf(out, "%d", range->first);
		if (range->last != range->first)
			buf_appendf(out, "-%d", range->last);
	}
	buf_append_char(out, ']');
}

static void print_value(
	const struct config *config, const struct option *option, const void *base, struct buf *out)
{
	const void *field = (const char *)base + option->offset;
	const char *shown = shown_find(config, field);
	char text[UNITS_TEXT_MAX];
	struct template *template = NULL;
	int64_t number = 0;
	char *string = NULL;
	int index = 0;

	if (shown != NULL) {
		print_text(out, shown);
		return;
	}
	switch (option->type) {
	case OPTION_INT:
	case OPTION_DURATION:
	case OPTION_BYTES:
		memcpy(&number, field, sizeof(number));
		if (number == 0 && option->zero_word != NULL)
			buf_append_string(out, option->zero_word);
		else if (option->type == OPTION_DURATION)
			buf_append_string(out, units_format_duration_ms(number, text));
		else if (option->type == OPTION_BYTES)
			buf_append_string(out, units_format_bytes((uint64_t)number, text));
		else
			buf_appendf(out, "%lld", (long long)number);
		break;
	case OPTION_CHOICE:
		memcpy(&index, field, sizeof(index));
		print_choice(option, index, out);
		break;
	case OPTION_URL_TEMPLATE:
	case OPTION_BODY:
		memcpy(&template, field, sizeof(template));
		print_text(out, template == NULL ? NULL : template_source(template));
		break;
	case OPTION_HEADERS:
		print_headers(base, out);
		break;
	case OPTION_STATUSES:
		print_statuses(base, out);
		break;
	default:
		memcpy(&string, field, sizeof(string));
		print_text(out, string);
		break;
	}
}

/*
 * "queue.wait" as "queue:" once, then "  wait: 20s"; `before` is the section of the row before.
 * first_indent is what the first line of a list's item starts with.
 */
static void print_row(const struct config *config, const struct option *option, const void *base,
	char before[SECTION_MAX], struct buf *out)
{
	bool in_destination = option_is_in_destination(option);
	const char *path = option->path + (in_destination ? strlen(OPTIONS_LIST_PREFIX) : 0);
	const char *dot = strchr(path, '.');
	int depth = in_destination ? 4 : 0;

	if (dot != NULL &&
		(strncmp(before, path, (size_t)(dot - path)) != 0 || before[dot - path] != '\0')) {
		memcpy(before, path, (size_t)(dot - path));
		before[dot - path] = '\0';
		buf_appendf(out, "%*s%s:\n", depth, "", before);
	}
	if (dot != NULL)
		depth += 2;
	if (in_destination && strcmp(path, "name") == 0)
		buf_append_string(out, "  - ");
	else
		buf_appendf(out, "%*s", depth, "");
	buf_appendf(out, "%s:", dot != NULL ? dot + 1 : path);
	if (option->type != OPTION_HEADERS)
		buf_append_char(out, ' ');
	print_value(config, option, base, out);
	buf_append_char(out, '\n');
}

static void print_destinations(const struct config *config, struct buf *out)
{
	buf_append_string(
		out, config->destination_count == 0 ? "destinations: []\n" : "destinations:\n");
	for (size_t i = 0; i < config->destination_count; i++) {
		char section[SECTION_MAX] = "";

		for (size_t j = 0; j < option_count; j++)
			if (option_is_in_destination(&options[j]))
				print_row(config, &options[j], &config->destinations[i], section,
					out);
	}
}

int config_print(const struct config *config, struct buf *out)
{
	char section[SECTION_MAX] = "";
	bool destinations_done = false;

	for (size_t i = 0; i < option_count; i++) {
		if (!option_is_in_destination(&options[i])) {
			print_row(config, &options[i], config, section, out);
		} else if (!destinations_done) {
			print_destinations(config, out);
			destinations_done = true;
		}
	}
	return out->err;
}
