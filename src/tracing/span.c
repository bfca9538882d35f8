#include "tracing/span.h"

#include "base/log.h"
#include "base/utf8.h"
#include "bunshin/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Of the protocol's enums (opentelemetry/proto/trace/v1/trace.proto). */
#define SPAN_KIND_CONSUMER "5"
#define STATUS_CODE_ERROR "2"
/* Bits of a span's flags above the eight of the context. */
enum { FLAG_HAS_IS_REMOTE = 0x100, FLAG_IS_REMOTE = 0x200 };

/* ---- texts */

void span_text(char ret[SPAN_TEXT_SIZE], const char *text, size_t len)
{
	size_t n = 0, i = 0;

	while (i < len) {
		bool ascii = text[i] > 0;
		size_t step = ascii ? 1 : utf8_sequence(text + i, len - i);
		size_t bytes = step == 0 ? 1 : step;

		if (n + bytes >= SPAN_TEXT_SIZE)
			break;
		if (step == 0 || text[i] == '\0')
			ret[n] = '?';
		else
			memcpy(ret + n, text + i, bytes);
		n += bytes;
		i += bytes;
	}
	ret[n] = '\0';
	log_redact(ret);
}

static unsigned default_port(const char *url)
{
	return strncasecmp(url, "https:", 6) == 0 ? 443 : 80;
}

void span_server_of(const char *url, struct span_server *ret)
{
	const char *host = strstr(url, "://"), *end;
	size_t len;

	*ret = (struct span_server){.port = default_port(url)};
	if (!host)
		return;
	host += 3;
	if (host[0] == '[') {
		host++;
		end = host + strcspn(host, "]");
		len = (size_t)(end - host);
		end += *end == ']';
	} else {
		len = strcspn(host, ":/?#");
		end = host + len;
	}
	if (len >= sizeof(ret->address))
		len = sizeof(ret->address) - 1;
	memcpy(ret->address, host, len);
	if (*end == ':')
		ret->port = (unsigned)strtoul(end + 1, NULL, 10);
}

/* ---- attributes */

/* The comma between two elements: none behind the bracket of the list, or at the start. */
static void separate(struct buf *out)
{
	if (out->len > 0 && out->data[out->len - 1] != '[')
		buf_append_char(out, ',');
}

int span_append_string_attribute(
	struct buf *out, const char *key, const char *value, size_t value_bytes)
{
	separate(out);
	buf_append_string(out, "{\"key\":\"");
	buf_append_json(out, key, strlen(key));
	buf_append_string(out, "\",\"value\":{\"stringValue\":\"");
	buf_append_json(out, value, value_bytes);
	return buf_append_string(out, "\"}}");
}

/* `key` is our own and needs no escapes. */
static void begin(struct buf *out, const char *key)
{
	separate(out);
	buf_append_string(out, "{\"key\":\"");
	buf_append_string(out, key);
}

static void add_text(struct buf *out, const char *key, const char *value)
{
	if (!value[0])
		return;
	begin(out, key);
	buf_append_string(out, "\",\"value\":{\"stringValue\":\"");
	buf_append_json(out, value, strlen(value));
	buf_append_string(out, "\"}}");
}

/* Decimal; formatting by printf() would be a good part of a span's cost. */
static void append_number(struct buf *out, int64_t value)
{
	char digits[24];
	size_t at = sizeof(digits);
	uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do
		digits[--at] = (char)('0' + left % 10);
	while ((left /= 10) > 0);
	if (value < 0)
		digits[--at] = '-';
	buf_append(out, digits + at, sizeof(digits) - at);
}

static void add_int(struct buf *out, const char *key, int64_t value)
{
	begin(out, key);
	buf_append_string(out, "\",\"value\":{\"intValue\":\"");
	append_number(out, value);
	buf_append_string(out, "\"}}");
}

/* Milliseconds with three decimals, whatever the locale. */
static void add_duration(struct buf *out, const char *key, uint64_t us)
{
	begin(out, key);
	buf_appendf(out, "\",\"value\":{\"doubleValue\":%" PRIu64 ".%03u}}", us / 1000,
		(unsigned)(us % 1000));
}

static void add_server(struct buf *out, const struct span_server *server)
{
	if (!server || !server->address[0])
		return;
	add_text(out, "server.address", server->address);
	if (server->port)
		add_int(out, "server.port", server->port);
}

/* ---- the span */

static void append_ids(const struct span *span, struct buf *out)
{
	char trace[2 * TRACE_ID_BYTES + 1], id[2 * SPAN_ID_BYTES + 1];
	unsigned flags = span->context.flags;

	trace_hex(span->context.trace_id, TRACE_ID_BYTES, trace);
	trace_hex(span->id, SPAN_ID_BYTES, id);
	buf_append_string(out, "{\"traceId\":\"");
	buf_append_string(out, trace);
	buf_append_string(out, "\",\"spanId\":\"");
	buf_append_string(out, id);
	buf_append_char(out, '"');
	if (span->tracestate_bytes) {
		buf_append_string(out, ",\"traceState\":\"");
		buf_append_json(out, span->tracestate, span->tracestate_bytes);
		buf_append_char(out, '"');
	}
	if (span->context.has_parent) {
		trace_hex(span->context.parent_id, SPAN_ID_BYTES, id);
		buf_append_string(out, ",\"parentSpanId\":\"");
		buf_append_string(out, id);
		buf_append_char(out, '"');
		flags |= FLAG_HAS_IS_REMOTE | FLAG_IS_REMOTE;
	}
	buf_append_string(out, ",\"flags\":");
	append_number(out, flags);
}

static void append_attributes(
	const struct span *span, const struct span_source *source, struct buf *out)
{
	buf_append_string(out, ",\"attributes\":[");
	buf_append(out, source->attributes.data, source->attributes.len);
	add_text(out, "messaging.message.id", span->message_id);
	add_int(out, "messaging.message.body.size", (int64_t)span->body_bytes);
	if (span->attempted && span->attempt.status)
		add_int(out, "http.response.status_code", span->attempt.status);
	add_text(out, "error.type", span->error_type);
	add_text(out, "bunshin.outcome", span->outcome);
	add_text(out, "bunshin.settled", span->settled);
	add_text(out, "bunshin.destination", span->destination);
	add_text(out, "bunshin.campaign", span->campaign);
	add_int(out, "bunshin.receive_count", span->receive_count);
	if (span->queue_wait_ms >= 0)
		add_int(out, "bunshin.queue_wait_ms", span->queue_wait_ms);
	buf_append_char(out, ']');
}

static void append_attempt(const struct span_attempt *attempt, struct buf *out)
{
	buf_append_string(out, ",\"events\":[{\"timeUnixNano\":\"");
	append_number(out, attempt->start_epoch_ns);
	buf_append_string(out, "\",\"name\":\"attempt\",\"attributes\":[");
	add_server(out, attempt->server);
	if (attempt->status)
		add_int(out, "http.response.status_code", attempt->status);
	add_duration(out, "bunshin.duration_ms", attempt->duration_us);
	add_text(out, "error.type", attempt->error_type);
	add_text(out, "bunshin.error_class", attempt->error_class);
	add_text(out, "bunshin.request_id", attempt->request_id);
	buf_append_string(out, "]}]");
}

static void append_status(const struct span *span, struct buf *out)
{
	if (!span->failed)
		return;
	buf_append_string(out, ",\"status\":{");
	if (span->words[0]) {
		buf_append_string(out, "\"message\":\"");
		buf_append_json(out, span->words, strlen(span->words));
		buf_append_string(out, "\",");
	}
	buf_append_string(out, "\"code\":" STATUS_CODE_ERROR "}");
}

int span_append_json(const struct span *span, const struct span_source *source, struct buf *out)
{
	append_ids(span, out);
	buf_append_string(out, ",\"name\":\"");
	buf_append(out, source->name.data, source->name.len);
	buf_append_string(out, "\",\"kind\":" SPAN_KIND_CONSUMER ",\"startTimeUnixNano\":\"");
	append_number(out, span->start_epoch_ns);
	buf_append_string(out, "\",\"endTimeUnixNano\":\"");
	append_number(out, span->end_epoch_ns);
	buf_append_char(out, '"');
	append_attributes(span, source, out);
	if (span->attempted)
		append_attempt(&span->attempt, out);
	append_status(span, out);
	return buf_append_char(out, '}');
}

/* ---- what spans have in common */

int span_source_init(struct span_source *ret, const char *queue_name, const char *queue_url,
	const struct span_server *server)
{
	struct buf *out = &ret->attributes;

	buf_init(&ret->name, SPAN_JSON_MAX_BYTES / 8);
	buf_init(&ret->attributes, SPAN_JSON_MAX_BYTES / 4);
	buf_append_string(&ret->name, "process ");
	buf_append_json(&ret->name, queue_name, strlen(queue_name));
	add_text(out, "messaging.system", "aws_sqs");
	add_text(out, "messaging.operation.name", "process");
	add_text(out, "messaging.operation.type", "process");
	add_text(out, "messaging.destination.name", queue_name);
	add_text(out, "aws.sqs.queue.url", queue_url);
	add_server(out, server);
	return ret->name.err || out->err ? ERR_NOMEM : 0;
}

void span_source_free(struct span_source *source)
{
	buf_free(&source->name);
	buf_free(&source->attributes);
}
