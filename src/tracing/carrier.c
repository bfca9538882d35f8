#include "tracing/carrier.h"

#include "base/siphash.h"

#include <string.h>

/* Fixed for good: what made it differ would tear a message's trace apart. */
static const uint8_t trace_key[SIPHASH_KEY_BYTES] = "bunshin trace id";
static const uint8_t span_key[SIPHASH_KEY_BYTES] = "bunshin span id.";

#define RANDOM_BITS 56 /* of the trace id, that the sampler looks at */

static bool is_string(const struct queue_attribute *attribute)
{
	return strncmp(attribute->type, "String", 6) == 0 &&
	       (attribute->type[6] == '\0' || attribute->type[6] == '.');
}

static const struct queue_attribute *find(const struct queue_message *message, const char *name)
{
	for (size_t i = 0; i < message->attribute_count; i++)
		if (strcmp(message->attributes[i].name, name) == 0)
			return &message->attributes[i];
	return NULL;
}

static bool read_traceparent(
	const struct queue_message *message, struct trace_context *ret, unsigned *invalid)
{
	const struct queue_attribute *attribute = find(message, "traceparent");

	if (!attribute)
		return false;
	if (is_string(attribute) &&
		traceparent_parse(attribute->value, attribute->value_bytes, ret) == 0)
		return true;
	(*invalid)++;
	return false;
}

static bool read_xray(
	const struct queue_message *message, struct trace_context *ret, unsigned *invalid)
{
	if (!message->trace_header)
		return false;
	if (xray_parse(message->trace_header, strlen(message->trace_header), ret) == 0)
		return true;
	(*invalid)++;
	return false;
}

void trace_carrier_read(const struct queue_message *message, struct trace_carrier *ret)
{
	const struct queue_attribute *state;

	*ret = (struct trace_carrier){.xray_text = message->trace_header};
	ret->has_traceparent = read_traceparent(message, &ret->traceparent, &ret->invalid);
	ret->has_xray = read_xray(message, &ret->xray, &ret->invalid);
	if (!ret->has_traceparent)
		return; /* a tracestate means nothing without one (3.3) */
	state = find(message, "tracestate");
	if (!state)
		return;
	if (is_string(state) && tracestate_is_valid(state->value, state->value_bytes)) {
		ret->tracestate = state->value;
		ret->tracestate_bytes = state->value_bytes;
	} else {
		ret->invalid++;
	}
}

/* ---- what is done about it */

static void put_word(uint8_t *to, uint64_t word)
{
	for (int i = 0; i < 8; i++)
		to[i] = (uint8_t)(word >> (56 - 8 * i));
}

static void make_trace_id(const struct queue_message *message, uint8_t ret[TRACE_ID_BYTES])
{
	uint64_t words[2];

	siphash_128(trace_key, message->message_id, strlen(message->message_id), words);
	put_word(ret, words[0]);
	put_word(ret + 8, words[1] ? words[1] : 1);
}

static void make_span_id(const struct queue_message *message, uint8_t ret[SPAN_ID_BYTES])
{
	const char *receipt = message->receipt_handle ? message->receipt_handle : "";
	uint64_t words[2];

	siphash_128(span_key, receipt, strlen(receipt), words);
	put_word(ret, words[0] ? words[0] : 1);
}

static bool is_within(const uint8_t trace_id[TRACE_ID_BYTES], uint32_t share)
{
	uint64_t number = 0;

	for (int i = TRACE_ID_BYTES - RANDOM_BITS / 8; i < TRACE_ID_BYTES; i++)
		number = number << 8 | trace_id[i];
	/* 44 bits times a million fit into 64: the last 12 do not matter. */
	number >>= RANDOM_BITS - 44;
	return number * TRACE_SAMPLE_ALL >= (uint64_t)(TRACE_SAMPLE_ALL - share) << 44;
}

static bool decide(const struct trace_context *context, uint32_t share)
{
	if (context->decision != TRACE_UNDECIDED)
		return context->decision == TRACE_SAMPLED;
	return is_within(context->trace_id, share);
}

/* The context that holds. */
static void choose(const struct trace_carrier *carrier, const struct queue_message *message,
	struct trace_context *ret)
{
	if (carrier->has_traceparent) {
		*ret = carrier->traceparent;
	} else if (carrier->has_xray) {
		*ret = carrier->xray;
	} else {
		*ret = (struct trace_context){.flags = TRACE_FLAG_RANDOM};
		make_trace_id(message, ret->trace_id);
	}
}

void trace_course_take(const struct trace_carrier *carrier, const struct queue_message *message,
	uint32_t share, struct trace_course *ret)
{
	choose(carrier, message, &ret->context);
	ret->sampled = decide(&ret->context, share);
	if (!ret->sampled)
		return;
	ret->context.flags |= TRACE_FLAG_SAMPLED;
	make_span_id(message, ret->span_id);
}

bool trace_is_sampled(const struct queue_message *message, uint32_t share)
{
	struct trace_context context = {0};
	unsigned invalid = 0;

	if (!read_traceparent(message, &context, &invalid) &&
		!read_xray(message, &context, &invalid)) {
		if (share == 0)
			return false;
		context.decision = TRACE_UNDECIDED;
		make_trace_id(message, context.trace_id);
	}
	return decide(&context, share);
}

/* ---- what goes on */

static void add(struct trace_headers *headers, const char *name, const char *value, size_t bytes)
{
	headers->rows[headers->count++] = (struct trace_header){name, value, bytes};
}

static void add_xray(const struct trace_carrier *carrier, const struct trace_course *course,
	struct trace_headers *headers)
{
	const char *text = carrier->xray_text;

	if (!carrier->has_xray)
		return;
	if (course && course->sampled && !carrier->has_traceparent) {
		xray_format(&course->context, course->span_id, headers->xray);
		text = headers->xray;
	}
	add(headers, "X-Amzn-Trace-Id", text, strlen(text));
}

void trace_headers_make(const struct trace_carrier *carrier, const struct trace_course *course,
	struct trace_headers *ret)
{
	bool ours = course && course->sampled;

	ret->count = 0;
	if (ours)
		traceparent_format(&course->context, course->span_id, ret->traceparent);
	else if (carrier->has_traceparent)
		traceparent_format(
			&carrier->traceparent, carrier->traceparent.parent_id, ret->traceparent);
	if (ours || carrier->has_traceparent)
		add(ret, "traceparent", ret->traceparent, TRACEPARENT_SIZE - 1);
	if (carrier->tracestate)
		add(ret, "tracestate", carrier->tracestate, carrier->tracestate_bytes);
	add_xray(carrier, course, ret);
}
