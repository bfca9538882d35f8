/*
 * A request of the OpenTelemetry protocol over HTTP, in JSON, around spans (OTLP 1.x, OTLP/HTTP:
 * POST PATH/v1/traces, Content-Type application/json), and its answer. Pure.
 */
#ifndef TRACING_OTLP_H
#define TRACING_OTLP_H

#include "base/buf.h"
#include "base/json.h"

#include <stddef.h>
#include <stdint.h>

#define OTLP_TRACES_PATH "/v1/traces"

/* An attribute of the resource; UTF-8 texts, borrowed. */
struct otlp_attribute {
	const char *name, *value;
};

/*
 * What stands before the first span: the resource with its attributes (a name is there once: the
 * first of several holds), the scope. Behind the last stands OTLP_TAIL, between two a comma. 0 or
 * the buffer's error.
 */
int otlp_append_head(struct buf *out, const struct otlp_attribute attributes[], size_t count);
#define OTLP_TAIL "]}]}]}"

/*
 * Of an answer of status 2xx: how many spans of `sent` the collector refused (partialSuccess). An
 * answer that is not to be understood means none, as the protocol's empty one does. *ret_words, for
 * people, is borrowed from `json`, or "".
 */
uint64_t otlp_rejected(
	struct json *json, const char *body, size_t len, uint64_t sent, const char **ret_words);

#endif
