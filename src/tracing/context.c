#include "tracing/context.h"

#include "bunshin/error.h"

#include <stdio.h>
#include <string.h>

#define MEMBERS_MAX 32 /* of a tracestate */
#define KEY_MAX 256    /* bytes of a member's key, and of its value */
#define TENANT_MAX 241
#define SYSTEM_MAX 14

/* Where the parts of a traceparent are. */
enum { VERSION_AT = 0, TRACE_ID_AT = 3, PARENT_ID_AT = 36, FLAGS_AT = 53, TRACEPARENT_LEN = 55 };

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False: not so many lower-case hexadecimal digits. */
static bool read_hex(const char *text, size_t bytes, uint8_t *ret)
{
	for (size_t i = 0; i < bytes; i++) {
		int high = hex_digit(text[2 * i]), low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

void trace_hex(const uint8_t *bytes, size_t count, char *ret)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < count; i++) {
		*ret++ = digits[bytes[i] >> 4];
		*ret++ = digits[bytes[i] & 15];
	}
	*ret = '\0';
}

static bool is_zero(const uint8_t *bytes, size_t count)
{
	uint8_t any = 0;

	for (size_t i = 0; i < count; i++)
		any |= bytes[i];
	return any == 0;
}

/* ---- traceparent */

int traceparent_parse(const char *text, size_t len, struct trace_context *ret)
{
	struct trace_context context = {.has_parent = true};
	uint8_t version, flags;

	if (len < TRACEPARENT_LEN || text[TRACE_ID_AT - 1] != '-' ||
		text[PARENT_ID_AT - 1] != '-' || text[FLAGS_AT - 1] != '-' ||
		!read_hex(text + VERSION_AT, 1, &version) || version == 0xff ||
		!read_hex(text + TRACE_ID_AT, TRACE_ID_BYTES, context.trace_id) ||
		!read_hex(text + PARENT_ID_AT, SPAN_ID_BYTES, context.parent_id) ||
		!read_hex(text + FLAGS_AT, 1, &flags))
		return ERR_SYNTAX;
	if (len > TRACEPARENT_LEN && (version == 0 || text[TRACEPARENT_LEN] != '-'))
		return ERR_SYNTAX;
	if (is_zero(context.trace_id, TRACE_ID_BYTES) || is_zero(context.parent_id, SPAN_ID_BYTES))
		return ERR_SYNTAX;
	context.flags = flags & (TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM);
	context.decision = flags & TRACE_FLAG_SAMPLED ? TRACE_SAMPLED : TRACE_NOT_SAMPLED;
	*ret = context;
	return 0;
}

void traceparent_format(const struct trace_context *context, const uint8_t span_id[SPAN_ID_BYTES],
	char ret[TRACEPARENT_SIZE])
{
	memcpy(ret, "00-", TRACE_ID_AT);
	trace_hex(context->trace_id, TRACE_ID_BYTES, ret + TRACE_ID_AT);
	ret[PARENT_ID_AT - 1] = '-';
	trace_hex(span_id, SPAN_ID_BYTES, ret + PARENT_ID_AT);
	ret[FLAGS_AT - 1] = '-';
	trace_hex(&context->flags, 1, ret + FLAGS_AT);
}

/* ---- tracestate */

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The characters of a key behind its first, without the @. */
static bool are_key_characters(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_lower(text[i]) && !is_digit(text[i]) && !memchr("_-*/", text[i], 4))
			return false;
	return true;
}

/* A simple key, or tenant@system (3.3.1.3.1). */
static bool is_key(const char *text, size_t len)
{
	const char *at = memchr(text, '@', len);
	size_t tenant = at ? (size_t)(at - text) : 0, system = at ? len - tenant - 1 : 0;

	if (!at)
		return len >= 1 && len <= KEY_MAX && is_lower(text[0]) &&
		       are_key_characters(text, len);
	return tenant >= 1 && tenant <= TENANT_MAX && (is_lower(text[0]) || is_digit(text[0])) &&
	       are_key_characters(text, tenant) && system >= 1 && system <= SYSTEM_MAX &&
	       is_lower(at[1]) && are_key_characters(at + 1, system);
}

/* Printable ASCII without comma and equals sign, not ended by a blank (3.3.1.3.2). */
static bool is_value(const char *text, size_t len)
{
	if (len < 1 || len > KEY_MAX || text[len - 1] == ' ')
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] > 0x7e || text[i] == ',' || text[i] == '=')
			return false;
	return true;
}

static bool is_member(const char *text, size_t len)
{
	const char *equals = memchr(text, '=', len);

	return equals && is_key(text, (size_t)(equals - text)) &&
	       is_value(equals + 1, len - (size_t)(equals - text) - 1);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool tracestate_is_valid(const char *text, size_t len)
{
	size_t members = 0, at = 0;

	if (len > TRACESTATE_MAX_BYTES)
		return false;
	while (at <= len) {
		const char *comma = at < len ? memchr(text + at, ',', len - at) : NULL;
		size_t end = comma ? (size_t)(comma - text) : len, first = at, last = end;

		while (first < last && is_blank(text[first]))
			first++;
		while (last > first && is_blank(text[last - 1]))
			last--;
		if (last > first &&
			(!is_member(text + first, last - first) || ++members > MEMBERS_MAX))
			return false;
		at = end + 1;
	}
	return members > 0;
}

/* ---- X-Ray */

enum xray_field { XRAY_ROOT = 1, XRAY_PARENT = 2, XRAY_SAMPLED = 4 };

static bool is_named(const char *name, size_t len, const char *wanted)
{
	return len == strlen(wanted) && memcmp(name, wanted, len) == 0;
}

static bool read_root(const char *text, size_t len, uint8_t trace_id[TRACE_ID_BYTES])
{
	return len == 35 && memcmp(text, "1-", 2) == 0 && text[10] == '-' &&
	       read_hex(text + 2, 4, trace_id) && read_hex(text + 11, 12, trace_id + 4) &&
	       !is_zero(trace_id, TRACE_ID_BYTES);
}

static bool read_parent(const char *text, size_t len, struct trace_context *context)
{
	context->has_parent = len == 2 * SPAN_ID_BYTES &&
			      read_hex(text, SPAN_ID_BYTES, context->parent_id) &&
			      !is_zero(context->parent_id, SPAN_ID_BYTES);
	return context->has_parent;
}

static bool read_sampled(const char *text, size_t len, struct trace_context *context)
{
	if (len != 1 || !memchr("01?", text[0], 3))
		return false;
	if (text[0] != '?')
		context->decision = text[0] == '1' ? TRACE_SAMPLED : TRACE_NOT_SAMPLED;
	context->flags = text[0] == '1' ? TRACE_FLAG_SAMPLED : 0;
	return true;
}

static bool is_other_name(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_lower(name[i]) && !(name[i] >= 'A' && name[i] <= 'Z') &&
			!is_digit(name[i]) && !memchr("_.-", name[i], 3))
			return false;
	return len > 0;
}

static bool is_other_value(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (value[i] <= 0x20 || value[i] > 0x7e || value[i] == '=')
			return false;
	return true;
}

/* One "Name=value"; seen: enum xray_field of those before. */
static bool read_field(const char *text, size_t len, struct trace_context *context, unsigned *seen)
{
	const char *equals = memchr(text, '=', len);
	size_t name = equals ? (size_t)(equals - text) : 0, value = equals ? len - name - 1 : 0;
	unsigned field = is_named(text, name, "Root")	   ? XRAY_ROOT
			 : is_named(text, name, "Parent")  ? XRAY_PARENT
			 : is_named(text, name, "Sampled") ? XRAY_SAMPLED
							   : 0;

	if (!equals || (*seen & field))
		return false;
	*seen |= field;
	switch (field) {
	case XRAY_ROOT:
		return read_root(equals + 1, value, context->trace_id);
	case XRAY_PARENT:
		return read_parent(equals + 1, value, context);
	case XRAY_SAMPLED:
		return read_sampled(equals + 1, value, context);
	default:
		return is_other_name(text, name) && is_other_value(equals + 1, value);
	}
}

int xray_parse(const char *text, size_t len, struct trace_context *ret)
{
	struct trace_context context = {0};
	unsigned seen = 0;
	size_t at = 0;

	if (len > XRAY_MAX_BYTES)
		return ERR_SYNTAX;
	/* A semicolon at the end is common and harmless. */
	if (len > 0 && text[len - 1] == ';')
		len--;
	while (at <= len) {
		const char *semicolon = at < len ? memchr(text + at, ';', len - at) : NULL;
		size_t end = semicolon ? (size_t)(semicolon - text) : len;

		if (!read_field(text + at, end - at, &context, &seen))
			return ERR_SYNTAX;
		at = end + 1;
	}
	if (!(seen & XRAY_ROOT))
		return ERR_SYNTAX;
	*ret = context;
	return 0;
}

void xray_format(const struct trace_context *context, const uint8_t span_id[SPAN_ID_BYTES],
	char ret[XRAY_SIZE])
{
	char trace[2 * TRACE_ID_BYTES + 1], span[2 * SPAN_ID_BYTES + 1];

	trace_hex(context->trace_id, TRACE_ID_BYTES, trace);
	trace_hex(span_id, SPAN_ID_BYTES, span);
	snprintf(ret, XRAY_SIZE, "Root=1-%.8s-%s;Parent=%s;Sampled=%c", trace, trace + 8, span,
		context->flags & TRACE_FLAG_SAMPLED ? '1' : '0');
}
