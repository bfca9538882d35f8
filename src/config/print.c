/*
 * config_print(): the table's rows in order, each written as config_load() reads it.
 */
#include "base/units.h"
#include "config/options.h"
#include "config/quote.h"
#include "config/reader.h"

#include <string.h>

/* At most two levels within a list's element: "request.headers". */
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

static void print_conditions(
	const struct config *config, const struct config_destination *destination, struct buf *out)
{
	if (destination->when_count == 0)
		buf_append_string(out, " null");
	for (size_t i = 0; i < destination->when_count; i++) {
		const struct config_condition *condition = &destination->when[i];

		buf_append_string(out, "\n      ");
		quote_append_yaml_key(out, condition->path, strlen(condition->path));
		buf_append_char(out, ':');
		for (size_t j = 0; j < condition->value_count; j++) {
			const char *shown = shown_find(config, &condition->values[j]);

			buf_append_string(out, j == 0 ? " [" : ", ");
			print_text(out, shown != NULL ? shown : condition->values[j]);
		}
		buf_append_char(out, ']');
	}
}

static void print_pairs(
	const struct option *option, const struct config_pairs *pairs, struct buf *out)
{
	if (pairs->count == 0)
		buf_append_string(out, " {}");
	for (size_t i = 0; i < pairs->count; i++) {
		buf_append_string(out, "\n    ");
		quote_append_yaml_key(out, pairs->rows[i].name, strlen(pairs->rows[i].name));
		buf_append_string(out, ": ");
		print_text(out, option->secret ? SUBSTITUTE_HIDDEN : pairs->rows[i].value);
	}
}

static void print_secrets(const struct config_secrets *secrets, struct buf *out)
{
	buf_append_char(out, '[');
	for (size_t i = 0; i < secrets->count; i++) {
		buf_append_string(out, i == 0 ? "" : ", ");
		print_text(out, SUBSTITUTE_HIDDEN);
	}
	buf_append_char(out, ']');
}

static void print_names(const struct config_names *names, struct buf *out)
{
	buf_append_char(out, '[');
	for (size_t i = 0; i < names->count; i++) {
		buf_append_string(out, i == 0 ? "" : ", ");
		print_text(out, names->rows[i]);
	}
	buf_append_char(out, ']');
}

static void print_hosts(const struct config_hosts *hosts, struct buf *out)
{
	buf_append_char(out, '[');
	for (size_t i = 0; i < hosts->count; i++) {
		buf_append_string(out, i == 0 ? "\"" : ", \"");
		host_rule_append(&hosts->rows[i], out);
		buf_append_char(out, '"');
	}
	buf_append_char(out, ']');
}

static void print_addresses(const struct config_addresses *addresses, struct buf *out)
{
	buf_append_char(out, '[');
	for (size_t i = 0; i < addresses->count; i++) {
		buf_append_string(out, i == 0 ? "\"" : ", \"");
		address_range_append(&addresses->rows[i], out);
		buf_append_char(out, '"');
	}
	buf_append_char(out, ']');
}

static void print_statuses(const struct config_status_set *set, struct buf *out)
{
	buf_append_char(out, '[');
	for (size_t i = 0; i < set->count; i++) {
		const struct config_status_range *range = &set->ranges[i];

		buf_appendf(out, "%s%d", i == 0 ? "" : ", ", range->first);
		if (range->last != range->first)
			buf_appendf(out, "-%d", range->last);
	}
	buf_append_char(out, ']');
}

static void print_rate(const struct config_rate *rate, struct buf *out)
{
	if (rate->count == 0)
		buf_append_string(out, "null");
	else
		buf_appendf(out, "%lld/%s", (long long)rate->count,
			rate->per_ms == 1000	? "s"
			: rate->per_ms == 60000 ? "m"
						: "h");
}

/* The types whose text is in the field itself. */
static void print_pointer(const struct option *option, const void *field, struct buf *out)
{
	struct template *template;
	char *string;

	if (option->type == OPTION_URL_TEMPLATE || option->type == OPTION_BODY) {
		memcpy(&template, field, sizeof(template));
		print_text(out, template == NULL ? NULL : template_source(template));
	} else {
		memcpy(&string, field, sizeof(string));
		print_text(out, string);
	}
}

static void print_number(const struct option *option, const void *field, struct buf *out)
{
	int64_t number;

	memcpy(&number, field, sizeof(number));
	if (number == 0 && option->zero_word != NULL)
		buf_append_string(out, option->zero_word);
	else
		option_append_number(option, number, out);
}

static void print_workers(
	const struct option *option, const struct config_workers *workers, struct buf *out)
{
	if (workers->min == workers->max)
		print_number(option, &workers->min, out);
	else
		buf_appendf(out, "{min: %lld, max: %lld}", (long long)workers->min,
			(long long)workers->max);
}

static void print_value(
	const struct config *config, const struct option *option, const void *base, struct buf *out)
{
	const void *field = (const char *)base + option->offset;
	const char *shown = shown_find(config, field);
	int index;

	if (shown != NULL) {
		print_text(out, shown);
		return;
	}
	switch (option->type) {
	case OPTION_INT:
	case OPTION_DURATION:
	case OPTION_BYTES:
	case OPTION_SHARE:
		print_number(option, field, out);
		break;
	case OPTION_RATE:
		print_rate(field, out);
		break;
	case OPTION_WORKERS:
		print_workers(option, field, out);
		break;
	case OPTION_BOOL:
		buf_append_string(out, *(const bool *)field ? "true" : "false");
		break;
	case OPTION_CHOICE:
		memcpy(&index, field, sizeof(index));
		print_choice(option, index, out);
		break;
	case OPTION_HEADERS:
		print_headers(base, out);
		break;
	case OPTION_PAIRS:
		print_pairs(option, field, out);
		break;
	case OPTION_STATUSES:
		print_statuses(field, out);
		break;
	case OPTION_SECRETS:
		print_secrets(field, out);
		break;
	case OPTION_NAMES:
		print_names(field, out);
		break;
	case OPTION_HOSTS:
		print_hosts(field, out);
		break;
	case OPTION_ADDRESSES:
		print_addresses(field, out);
		break;
	case OPTION_CONDITIONS:
		print_conditions(config, base, out);
		break;
	default:
		print_pointer(option, field, out);
		break;
	}
}

/* The struct that rows are printed of, and the lines that lead up to them. */
struct element {
	enum option_place place;
	const void *base;
	int depth;	 /* spaces */
	bool is_started; /* the "- " of a list's element is out */
	char section[SECTION_MAX];
};

/* "request.url" as "request:" once, then "  url: ..."; `path` is the rest below the place. */
static void print_key(struct element *element, const char *path, struct buf *out)
{
	size_t section_bytes = strcspn(path, ".[");
	int depth = element->depth;

	if (path[section_bytes] == '.') {
		if (strncmp(element->section, path, section_bytes) != 0 ||
			element->section[section_bytes] != '\0') {
			memcpy(element->section, path, section_bytes);
			element->section[section_bytes] = '\0';
			buf_appendf(out, "%*s%s:\n", depth, "", element->section);
		}
		depth += 2;
		path += section_bytes + 1;
	}
	if (element->place != OPTION_IN_CONFIG && !element->is_started)
		buf_appendf(out, "%*s- ", depth - 2, "");
	else
		buf_appendf(out, "%*s", depth, "");
	element->is_started = true;
	buf_appendf(out, "%.*s:", (int)strcspn(path, "["), path);
}

static void print_element(const struct config *config, struct element element, struct buf *out);

/* The elements of the list in an element's struct; options of them come next in the table. */
static void print_list(const struct config *config, const struct element *around, struct buf *out)
{
	bool is_config = around->place == OPTION_IN_CONFIG;
	const struct config_destination *destination = around->base;
	size_t count = is_config ? config->destination_count : destination->outcomes.rule_count;

	buf_append_string(out, count == 0 ? " []\n" : "\n");
	for (size_t i = 0; i < count; i++) {
		struct element element = {.place = around->place + 1};

		if (is_config)
			element.base = &config->destinations[i];
		else
			element.base = &destination->outcomes.rules[i];
		element.depth = is_config ? 4 : 10;
		print_element(config, element, out);
	}
}

/* The rows of one place, and at the first row of the list below it that list. */
static void print_element(const struct config *config, struct element element, struct buf *out)
{
	size_t prefix = strlen(option_prefix(element.place));
	bool list_done = false;

	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &options[i];
		enum option_place place = option_place(option);

		if (place < element.place || (place > element.place && list_done))
			continue;
		print_key(&element, option->path + prefix, out);
		if (place > element.place) {
			list_done = true;
			print_list(config, &element, out);
			continue;
		}
		if (option->type != OPTION_HEADERS && option->type != OPTION_CONDITIONS &&
			option->type != OPTION_PAIRS)
			buf_append_char(out, ' ');
		print_value(config, option, element.base, out);
		buf_append_char(out, '\n');
	}
}

int config_print(const struct config *config, struct buf *out)
{
	struct element whole = {.place = OPTION_IN_CONFIG, .base = config};

	print_element(config, whole, out);
	return out->err;
}
