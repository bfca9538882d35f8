/*
 * Trace contexts as text: `traceparent` and `tracestate` of W3C Trace Context (Level 1, and the
 * flag random-trace-id of Level 2), and the tracing header of AWS X-Ray ("X-Ray Developer Guide",
 * Tracing header), which SQS calls AWSTraceHeader. Pure; every byte is looked at.
 */
#ifndef TRACING_CONTEXT_H
#define TRACING_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_ID_BYTES 16
#define SPAN_ID_BYTES 8

#define TRACE_FLAG_SAMPLED 0x01
#define TRACE_FLAG_RANDOM 0x02 /* Level 2: the trace id's last 7 bytes are random */

#define TRACEPARENT_SIZE 56	 /* of version 00, with NUL */
#define TRACESTATE_MAX_BYTES 512 /* 3.3.1.5; a longer one may be dropped whole */
#define XRAY_MAX_BYTES 512	 /* the document names no limit */
#define XRAY_SIZE 75		 /* of one that is made here, with NUL */

/* What those before us have decided: whether the trace is kept. */
enum trace_decision { TRACE_UNDECIDED, TRACE_NOT_SAMPLED, TRACE_SAMPLED };

struct trace_context {
	uint8_t trace_id[TRACE_ID_BYTES]; /* not all zeros */
	uint8_t parent_id[SPAN_ID_BYTES];
	bool has_parent; /* parent_id is not all zeros; always with a traceparent */
	uint8_t flags;	 /* TRACE_FLAG_*; others are dropped */
	enum trace_decision decision;
};

/*
 * "00-<32 hex>-<16 hex>-<2 hex>", lower case, no id of zeros. A version above 00 (not ff) is read
 * as 00: it may be longer, with a dash behind the flags (3.2.4). 0 or ERR_SYNTAX, *ret untouched.
 */
int traceparent_parse(const char *text, size_t len, struct trace_context *ret);
/* As version 00, with the flags of `context` and the given span as the parent. */
void traceparent_format(const struct trace_context *context, const uint8_t span_id[SPAN_ID_BYTES],
	char ret[TRACEPARENT_SIZE]);

/*
 * 3.3.1: up to 32 members, "key=value" with commas between, which may have blanks and tabs around
 * them and may be empty; at most TRACESTATE_MAX_BYTES, and at least one member.
 */
bool tracestate_is_valid(const char *text, size_t len);

/*
 * "Root=1-<8 hex>-<24 hex>;Parent=<16 hex>;Sampled=<0|1|?>" in any order, lower case; Root is
 * required, each of them is there once at most, and there may be other fields (Self, Lineage, a
 * service's own): a name of letters, digits, _ . and -, and a value of printable ASCII without a
 * blank, ; and =. The trace id is both parts of Root together. 0 or ERR_SYNTAX, *ret untouched.
 */
int xray_parse(const char *text, size_t len, struct trace_context *ret);
/* Root, Parent (the given span) and Sampled. */
void xray_format(const struct trace_context *context, const uint8_t span_id[SPAN_ID_BYTES],
	char ret[XRAY_SIZE]);

/* Two lower-case digits a byte, and a NUL behind them. */
void trace_hex(const uint8_t *bytes, size_t count, char *ret);

#endif
