#include "config/options.h"

#include "base/units.h"
#include "bunshin/error.h"
#include "config/url.h"

#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define MIB (INT64_C(1) << 20)

#define IN_CONFIG(field) .offset = offsetof(struct config, field)
#define IN_DESTINATION(field) .offset = offsetof(struct config_destination, field)

_Static_assert(sizeof(enum log_level) == sizeof(int), "enums are stored as int");
_Static_assert(sizeof(enum log_format) == sizeof(int), "enums are stored as int");
_Static_assert(sizeof(enum config_http_version) == sizeof(int), "enums are stored as int");

/* clang-format off */
const struct option options[] = {
	{"queue.url", OPTION_QUEUE_URL, IN_CONFIG(queue.url), .nullable = true,
		.help = "The queue to take messages from; AWS's URLs name the region."},
	{"queue.endpoint", OPTION_ENDPOINT, IN_CONFIG(queue.endpoint), .nullable = true,
		.help = "Where SQS answers, instead of the host in queue.url; null: "
			"AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL, then that host."},
	{"queue.failure_url", OPTION_QUEUE_URL, IN_CONFIG(queue.failure_url), .nullable = true,
		.help = "The queue that permanent failures are copied to; null: they are left to "
			"the redrive policy of the queue itself."},
	{"queue.receivers", OPTION_INT, IN_CONFIG(queue.receivers), .min = 1, .max = 256,
		.zero_word = "auto", .fallback = "auto",
		.help = "Long polls under way at the same time, at most."},
	{"queue.wait", OPTION_DURATION, IN_CONFIG(queue.wait_ms), .min = 0, .max = 20 * SECOND,
		.step = SECOND, .fallback = "20s",
		.help = "How long a poll of an empty queue waits for a message."},
	{"queue.visibility", OPTION_DURATION, IN_CONFIG(queue.visibility_ms), .min = SECOND,
		.max = 12 * HOUR, .step = SECOND, .fallback = "60s",
		.help = "How long a received message stays hidden from other workers; extended "
			"while it is held, and how soon it comes back after a crash."},
	{"queue.held", OPTION_BYTES, IN_CONFIG(queue.held_bytes), .min = MIB, .max = 4096 * MIB,
		.fallback = "64MiB",
		.help = "Bytes of messages held in memory, at most; no more are received past it."},

	{"destinations[].name", OPTION_NAME, IN_DESTINATION(name), .required = true,
		.help = "What messages, logs and metrics call it; unique."},
	{"destinations[].request.method", OPTION_WORD, IN_DESTINATION(request.method),
		.choices = "POST|PUT|PATCH|GET|DELETE", .fallback = "POST",
		.help = "The HTTP method."},
	{"destinations[].request.url", OPTION_URL_TEMPLATE, IN_DESTINATION(request.url),
		.required = true,
		.help = "Template of the URL; no variable in scheme, host or port."},
	{"destinations[].request.headers", OPTION_HEADERS, IN_DESTINATION(request.headers),
		.fallback = "{}",
		.help = "Templates of the header fields, by name."},
	{"destinations[].request.body", OPTION_BODY, IN_DESTINATION(request.body), .nullable = true,
		.help = "Template of the body; null: the message body as it is."},
	{"destinations[].timeout", OPTION_DURATION, IN_DESTINATION(timeout_ms), .min = 100 * MS,
		.max = 10 * MINUTE, .fallback = "10s",
		.help = "How long one attempt may take, connecting included."},
	{"destinations[].connect_timeout", OPTION_DURATION, IN_DESTINATION(connect_timeout_ms),
		.min = 100 * MS, .max = 2 * MINUTE, .fallback = "5s",
		.help = "How long name look-up, TCP and TLS together may take."},
	{"destinations[].concurrency", OPTION_INT, IN_DESTINATION(concurrency), .min = 1,
		.max = 10000, .fallback = "500",
		.help = "Attempts in flight at the same time, at most, per process."},
	{"destinations[].accept", OPTION_STATUSES, IN_DESTINATION(accept), .min = 200, .max = 599,
		.fallback = "[200-299]",
		.help = "Status codes, and ranges of them, that mean the message was accepted."},
	{"destinations[].http_version", OPTION_CHOICE, IN_DESTINATION(http_version),
		.choices = "auto|1.1|2", .fallback = "auto",
		.help = "auto: HTTP/2 where TLS offers it, else 1.1."},
	{"destinations[].ca_file", OPTION_PATH, IN_DESTINATION(ca_file), .nullable = true,
		.help = "PEM file of the authorities to trust; null: the system's."},

	{"retry.max_attempts", OPTION_INT, IN_CONFIG(retry.max_attempts), .min = 1, .max = 1000,
		.fallback = "10",
		.help = "Receives of a message after which a failure is permanent."},
	{"retry.base", OPTION_DURATION, IN_CONFIG(retry.base_ms), .min = 100 * MS,
		.max = 15 * MINUTE, .fallback = "1s",
		.help = "Upper bound of the first back-off; it doubles with each attempt."},
	{"retry.cap", OPTION_DURATION, IN_CONFIG(retry.cap_ms), .min = SECOND, .max = 12 * HOUR,
		.fallback = "5m",
		.help = "Upper bound of every back-off; at least retry.base."},

	{"log.level", OPTION_CHOICE, IN_CONFIG(log.level), .choices = "debug|info|warn|error",
		.fallback = "info",
		.help = "The least level that is logged."},
	{"log.format", OPTION_CHOICE, IN_CONFIG(log.format), .choices = "auto|text|json",
		.fallback = "auto",
		.help = "auto: text on a terminal, one JSON object a line otherwise."},

	{"drain.grace", OPTION_DURATION, IN_CONFIG(drain.grace_ms), .min = 0, .max = HOUR,
		.fallback = "30s",
		.help = "How long a stop waits for the attempts in flight."},
};
/* clang-format on */

const size_t option_count = sizeof(options) / sizeof(options[0]);

const struct option *option_find(const char *path)
{
	for (size_t i = 0; i < option_count; i++)
		if (strcmp(options[i].path, path) == 0)
			return &options[i];
	return NULL;
}

bool option_is_section(const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; len > 0 && i < option_count; i++)
		if (strncmp(options[i].path, path, len) == 0 && options[i].path[len] == '.')
			return true;
	return false;
}

bool option_is_in_destination(const struct option *option)
{
	return strncmp(option->path, OPTIONS_LIST_PREFIX, strlen(OPTIONS_LIST_PREFIX)) == 0;
}

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

static bool is_name(const char *text)
{
	size_t len =
		strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	return text[len] == '\0' && len >= 1 && len <= 64;
}

static int parse_number(const struct option *option, const char *text, int64_t *ret)
{
	int64_t number = 0;
	uint64_t bytes = 0;
	int err;

	if (option->zero_word != NULL && strcmp(text, option->zero_word) == 0) {
		*ret = 0;
		return 0;
	}
	if (option->type == OPTION_DURATION) {
		err = units_parse_duration_ms(text, &number);
	} else if (option->type == OPTION_BYTES) {
		err = units_parse_bytes(text, &bytes);
		if (err == 0 && bytes > INT64_MAX)
			return ERR_SYNTAX;
		number = (int64_t)bytes;
	} else {
		err = units_parse_int(text, &number);
	}
	if (err != 0 || number < option->min || number > option->max)
		return ERR_SYNTAX;
	if (option->step != 0 && number % option->step != 0)
		return ERR_LIMIT;
	*ret = number;
	return 0;
}

static bool text_fits(const struct option *option, const char *text)
{
	switch (option->type) {
	case OPTION_WORD:
		return choice_index(option->choices, text) >= 0;
	case OPTION_NAME:
		return is_name(text);
	case OPTION_QUEUE_URL:
		return url_is_queue(text);
	case OPTION_ENDPOINT:
		return url_is_endpoint(text);
	default:
		return true;
	}
}

static int set_text(const struct option *option, const char *text, char **field)
{
	bool is_name_or_word = option->type == OPTION_NAME || option->type == OPTION_WORD;
	char *copy = NULL;

	if (text != NULL && text[0] == '\0' && !is_name_or_word)
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
	int index;

	switch (option->type) {
	case OPTION_INT:
	case OPTION_DURATION:
	case OPTION_BYTES:
		return text == NULL ? ERR_SYNTAX : parse_number(option, text, field);
	case OPTION_CHOICE:
		index = text == NULL ? -1 : choice_index(option->choices, text);
		if (index < 0)
			return ERR_SYNTAX;
		memcpy(field, &index, sizeof(index));
		return 0;
	default:
		return set_text(option, text, field);
	}
}

int option_set_defaults(bool in_destination, void *base)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &options[i];

		if (option_is_in_destination(option) != in_destination ||
			option->type > OPTION_ENDPOINT || option->fallback == NULL)
			continue;
		int err = option_set(option, option->fallback, base);
		if (err != 0)
			return err;
	}
	return 0;
}

int option_parse_statuses(const char *text, struct config_status_range *ret_range)
{
	const char *dash = strchr(text, '-');
	const struct option *option = option_find("destinations[].accept");
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

static void append_number(const struct option *option, int64_t number, struct buf *out)
{
	char text[UNITS_TEXT_MAX];

	if (option->type == OPTION_DURATION)
		buf_append_string(out, units_format_duration_ms(number, text));
	else if (option->type == OPTION_BYTES)
		buf_append_string(out, units_format_bytes((uint64_t)number, text));
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
		[OPTION_CHOICE] = "one of",
		[OPTION_WORD] = "one of",
		[OPTION_NAME] = "a name of 1 to 64 letters, digits, _ . or -",
		[OPTION_PATH] = "a file's path",
		[OPTION_QUEUE_URL] = "a queue URL (like "
				     "https://sqs.eu-west-1.amazonaws.com/123456789012/name)",
		[OPTION_ENDPOINT] = "an http or https URL without a path (like "
				    "http://127.0.0.1:9324)",
		[OPTION_URL_TEMPLATE] = "an http or https URL (like https://api.example.com/send)",
		[OPTION_BODY] = "a text",
		[OPTION_HEADERS] = "a map of header names to values",
		[OPTION_STATUSES] = "a list of status codes and ranges",
	};

	return names[type];
}

int option_append_expectation(const struct option *option, struct buf *out)
{
	if (option->zero_word != NULL)
		buf_appendf(out, "%s or ", option->zero_word);
	buf_append_string(out, type_name(option->type));
	switch (option->type) {
	case OPTION_INT:
	case OPTION_DURATION:
	case OPTION_BYTES:
	case OPTION_STATUSES:
		buf_append_string(out, " from ");
		append_number(option, option->min, out);
		buf_append_string(out, " to ");
		append_number(option, option->max, out);
		return buf_appendf(out, " (like %s)", option->fallback);
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
