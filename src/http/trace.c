#include "http/trace.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define AMZN_MAX_BYTES 256
#define TRACESTATE_MAX_BYTES 512 /* W3C Trace Context, 3.3.1.5 */
#define TRACEPARENT_BYTES 55
#define TRACE_ID_AT 3
#define PARENT_ID_AT 36
#define FLAGS_AT 53

static bool is_printable(const char *text, size_t len, char lowest)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] < lowest || text[i] > 0x7e)
			return false;
	}
	return len > 0;
}

/* Lower-case hexadecimal digits, not all of them zeros unless that is allowed. */
static bool is_hex(const char *text, size_t len, bool zeros_allowed)
{
	bool zeros = true;

	for (size_t i = 0; i < len; i++) {
		bool digit = text[i] >= '0' && text[i] <= '9';

		if (!digit && !(text[i] >= 'a' && text[i] <= 'f'))
			return false;
		zeros = zeros && text[i] == '0';
	}
	return zeros_allowed || !zeros;
}

/* W3C Trace Context, 3.2.2; version ff is none. */
static bool is_traceparent(const char *text, size_t len)
{
	return len == TRACEPARENT_BYTES && is_hex(text, 2, true) && memcmp(text, "ff", 2) != 0 &&
	       text[TRACE_ID_AT - 1] == '-' && is_hex(text + TRACE_ID_AT, 32, false) &&
	       text[PARENT_ID_AT - 1] == '-' && is_hex(text + PARENT_ID_AT, 16, false) &&
	       text[FLAGS_AT - 1] == '-' && is_hex(text + FLAGS_AT, 2, true);
}

static bool is_tracestate(const char *text, size_t len)
{
	return len <= TRACESTATE_MAX_BYTES && is_printable(text, len, 0x20);
}

static bool is_string(const struct queue_attribute *attribute)
{
	return strncmp(attribute->type, "String", 6) == 0;
}

static bool is_set(const struct config_destination *destination, const char *name)
{
	for (size_t i = 0; i < destination->request.header_count; i++) {
		if (strcasecmp(destination->request.headers[i].name, name) == 0)
			return true;
	}
	return false;
}

size_t trace_headers(const struct config_destination *destination,
	const struct queue_message *message, struct trace_header ret_headers[TRACE_HEADERS_MAX])
{
	const char *amzn = message->trace_header;
	size_t count = 0;

	if (amzn != NULL && strlen(amzn) <= AMZN_MAX_BYTES &&
		is_printable(amzn, strlen(amzn), 0x21) && !is_set(destination, "X-Amzn-Trace-Id"))
		ret_headers[count++] = (struct trace_header){"X-Amzn-Trace-Id", amzn, strlen(amzn)};
	for (size_t i = 0; i < message->attribute_count && count < TRACE_HEADERS_MAX; i++) {
		const struct queue_attribute *a = &message->attributes[i];
		bool fits = false;

		if (strcmp(a->name, "traceparent") == 0)
			fits = is_traceparent(a->value, a->value_bytes);
		else if (strcmp(a->name, "tracestate") == 0)
			fits = is_tracestate(a->value, a->value_bytes);
		if (fits && is_string(a) && !is_set(destination, a->name))
			ret_headers[count++] =
				(struct trace_header){a->name, a->value, a->value_bytes};
	}
	return count;
}
