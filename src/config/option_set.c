/*
 * From text to an option's field.
 */
#include "base/units.h"
#include "bunshin/error.h"
#include "config/options.h"
#include "config/url.h"

#include <stdlib.h>
#include <string.h>

#define UNSET (-1) /* null in a number or choice that inherits */

/* The index of word in "a|b|c", or -1. */
static int choice_index(const char *choices, const char *word)
{
	size_t len = strlen(word);

	for (int i = 0;; i++) {
		size_t n = strcspn(choices, "|");

		if (n == len && memcmp(choices, word, n) == 0)
			return i;
		if (choices[n] == '\0')
			return -1;
		choices += n + 1;
	}
}

static bool is_of_name(const struct option *option, char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	if (option->marks != NULL)
		return strchr(option->marks, c) != NULL;
	return c > ' ' && c <= '~' && c != ':';
}

/* CloudWatch takes no namespace that begins with a colon. */
static bool is_name(const struct option *option, const char *text)
{
	size_t len = 0;

	while (text[len] != '\0' && is_of_name(option, text[len]))
		len++;
	return text[len] == '\0' && text[0] != ':' && len >= (size_t)option->min &&
	       len <= (size_t)option->max;
}

/* Number and unit, in the stored unit, whatever the range. */
static int parse_unit(enum option_type type, const char *text, int64_t *ret)
{
	uint64_t bytes;
	int err;

	switch (type) {
	case OPTION_DURATION:
		return units_parse_duration_ms(text, ret);
	case OPTION_BYTES:
		err = units_parse_bytes(text, &bytes);
		if (err != 0 || bytes > INT64_MAX)
			return ERR_SYNTAX;
		*ret = (int64_t)bytes;
		return 0;
	case OPTION_SHARE:
		return units_parse_share(text, ret);
	default:
		return units_parse_int(text, ret);
	}
}

static int set_number(const struct option *option, const char *text, int64_t *field)
{
	int64_t number;

	if (text == NULL) {
		if (!option->nullable)
			return ERR_SYNTAX;
		*field = UNSET;
		return 0;
	}
	if (option->zero_word != NULL && strcmp(text, option->zero_word) == 0) {
		*field = 0;
		return 0;
	}
	if (parse_unit(option->type, text, &number) != 0 || number < option->min ||
		number > option->max)
		return ERR_SYNTAX;
	if (option->step != 0 && number % option->step != 0)
		return ERR_LIMIT;
	*field = number;
	return 0;
}

/* "2000/s" */
static int set_rate(const struct option *option, const char *text, struct config_rate *field)
{
	struct config_rate rate = {0};

	if (text != NULL && (units_parse_rate(text, &rate.count, &rate.per_ms) != 0 ||
				    rate.count < option->min || rate.count > option->max))
		return ERR_SYNTAX;
	*field = rate;
	return 0;
}

/* One number is both ends. */
static int set_workers(const struct option *option, const char *text, struct config_workers *field)
{
	int64_t number;
	int err = set_number(option, text, &number);

	if (err == 0)
		*field = (struct config_workers){number, number};
	return err;
}

static int set_bool(const struct option *option, const char *text, bool *field)
{
	int index = text == NULL ? -1 : choice_index(option->choices, text);

	if (index < 0)
		return ERR_SYNTAX;
	*field = index == 0;
	return 0;
}

/* Through memcpy(): the field is an enum, and which one only the table's row knows. */
static int set_choice(const struct option *option, const char *text, void *field)
{
	int index = text == NULL ? UNSET : choice_index(option->choices, text);

	if (index < 0 && (text != NULL || !option->nullable))
		return ERR_SYNTAX;
	memcpy(field, &index, sizeof(index));
	return 0;
}

bool option_is_json_path(const char *text)
{
	size_t len = strlen(text);

	return len >= 1 && len <= OPTION_JSON_PATH_MAX && text[0] != '.' && text[len - 1] != '.' &&
	       strstr(text, "..") == NULL;
}

/* Absolute, since every process of a host has to find it, and with room for the final NUL. */
static bool is_socket_path(const char *path)
{
	size_t len = strlen(path);

	return path[0] == '/' && path[len - 1] != '/' && len <= OPTION_SOCKET_PATH_MAX;
}

/* A host or an address, and a port; the server says whether it can listen there. */
static bool is_listen(const char *text)
{
	const char *colon = strrchr(text, ':');
	int64_t port;

	if (strncmp(text, "unix:", 5) == 0)
		return is_socket_path(text + 5);
	if (colon == NULL || colon == text || strpbrk(text, " \t/") != NULL)
		return false;
	return colon[1] >= '0' && colon[1] <= '9' && units_parse_int(colon + 1, &port) == 0 &&
	       port <= 65535;
}

static bool text_fits(const struct option *option, const char *text)
{
	size_t len = strlen(text);

	switch (option->type) {
	case OPTION_WORD:
		return choice_index(option->choices, text) >= 0;
	case OPTION_NAME:
		return is_name(option, text);
	case OPTION_TEXT:
		return len >= (size_t)option->min && len <= (size_t)option->max;
	case OPTION_JSON_PATH:
		return option_is_json_path(text);
	case OPTION_LISTEN:
		return is_listen(text);
	case OPTION_QUEUE_URL:
		return url_is_queue(text);
	case OPTION_BASE_URL:
		return url_is_base(text);
	case OPTION_ENDPOINT:
		return url_is_endpoint(text);
	default:
		return true;
	}
}

static int set_text(const struct option *option, const char *text, char **field)
{
	char *copy = NULL;

	if (text != NULL && text[0] == '\0' && option->type >= OPTION_PATH)
		text = NULL;
	if (text == NULL && !option->nullable)
		return ERR_SYNTAX;
	if (text != NULL) {
		if (!text_fits(option, text))
			return ERR_SYNTAX;
		copy = strdup(text);
		if (copy == NULL)
			return ERR_NOMEM;
	}
	free(*field);
	*field = copy;
	return 0;
}

int option_set(const struct option *option, const char *text, void *base)
{
	void *field = (char *)base + option->offset;

	switch (option->type) {
	case OPTION_INT:
	case OPTION_DURATION:
	case OPTION_BYTES:
	case OPTION_SHARE:
		return set_number(option, text, field);
	case OPTION_RATE:
		return set_rate(option, text, field);
	case OPTION_WORKERS:
		return set_workers(option, text, field);
	case OPTION_BOOL:
		return set_bool(option, text, field);
	case OPTION_CHOICE:
		return set_choice(option, text, field);
	default:
		return set_text(option, text, field);
	}
}

int option_parse_statuses(
	const struct option *option, const char *text, struct config_status_range *ret_range)
{
	const char *dash = strchr(text, '-');
	char first_text[8];
	int64_t first, last;
	size_t len = dash == NULL ? strlen(text) : (size_t)(dash - text);

	if (len >= sizeof(first_text))
		return ERR_SYNTAX;
	memcpy(first_text, text, len);
	first_text[len] = '\0';
	if (units_parse_int(first_text, &first) != 0 ||
		units_parse_int(dash == NULL ? first_text : dash + 1, &last) != 0 ||
		first < option->min || last > option->max || first > last)
		return ERR_SYNTAX;
	*ret_range = (struct config_status_range){(int)first, (int)last};
	return 0;
}

/* "[200-299]" or "[]" */
static int set_default_statuses(const struct option *option, struct config_status_set *set)
{
	char text[16];
	size_t len = strlen(option->fallback) - 2;

	if (len == 0)
		return 0;
	set->ranges = calloc(1, sizeof(*set->ranges));
	if (set->ranges == NULL)
		return ERR_NOMEM;
	set->count = 1;
	memcpy(text, option->fallback + 1, len);
	text[len] = '\0';
	return option_parse_statuses(option, text, set->ranges);
}

static int set_default(const struct option *option, void *base)
{
	void *field = (char *)base + option->offset;

	if (option->type == OPTION_STATUSES)
		return set_default_statuses(option, field);
	if (option->type > OPTION_SCALAR_LAST || option->required)
		return 0;
	return option_set(option, option->fallback, base);
}

int option_set_defaults(enum option_place place, void *base)
{
	int err = 0;

	for (size_t i = 0; i < option_count && err == 0; i++)
		if (option_place(&options[i]) == place)
			err = set_default(&options[i], base);
	return err;
}

static bool is_unset(const struct option *option, const void *field)
{
	int64_t number;
	int index;

	if (option->type == OPTION_CHOICE) {
		memcpy(&index, field, sizeof(index));
		return index == UNSET;
	}
	memcpy(&number, field, sizeof(number));
	return number == UNSET;
}

void option_inherit(const struct config *config, struct config_destination *destination)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &options[i];
		char *field = (char *)destination + option->offset;
		const struct option *from;

		if (option->inherits == NULL || !is_unset(option, field))
			continue;
		from = option_find(option->inherits);
		memcpy(field, (const char *)config + from->offset,
			option->type == OPTION_CHOICE ? sizeof(int) : sizeof(int64_t));
	}
}
