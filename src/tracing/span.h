/*
 * The span of one message's stay with a worker, and its form in JSON as OTLP has it (OTLP 1.x,
 * "JSON Protobuf Encoding": ids in hex, 64-bit integers as strings, enums as numbers). Pure.
 *
 * By the OpenTelemetry semantic conventions for messaging 1.44.0 (in development there) it is a
 * `process` span of kind CONSUMER, whose parent is the context that the message was made in; by
 * those for AWS SQS, server.address and server.port are the queue's, error.type is there when it
 * failed. The attempt is an event, whose server.address is the provider's.
 *
 *	process morning                      kind 5, parent: the message's context
 *	  messaging.system aws_sqs  messaging.operation.name process  messaging.operation.type
 *process messaging.destination.name, messaging.message.id, messaging.message.body.size
 *	  aws.sqs.queue.url  server.address  server.port
 *	  http.response.status_code          of the attempt, when it was answered
 *	  error.type                         when it failed: the status, or the error's name
 *	  bunshin.outcome                    accepted, suppressed, retried, failed, failed_left,
 *	                                     expired, cancelled or lost
 *	  bunshin.settled                    deleted, returned, lost, or held when the worker
 *stopped bunshin.destination  bunshin.campaign  bunshin.receive_count  bunshin.queue_wait_ms event
 *attempt                      server.address  server.port  http.response.status_code
 *	                                     bunshin.duration_ms  error.type  bunshin.error_class
 *	                                     bunshin.request_id
 */
#ifndef TRACING_SPAN_H
#define TRACING_SPAN_H

#include "base/buf.h"
#include "tracing/context.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPAN_TEXT_SIZE 257	  /* of a text of others, NUL included; what is longer is cut */
#define SPAN_JSON_MAX_BYTES 32768 /* of one span; every text of it escaped is less */

/* One end of a connection, as attributes name it. */
struct span_server {
	char address[256]; /* "": not known */
	unsigned port;	   /* 0: not known */
};
/* Of "http(s)://HOST[:PORT]..."; an address in brackets without them, the scheme's default port. */
void span_server_of(const char *url, struct span_server *ret);

/* What all spans of a worker have in common. */
struct span_source {
	struct buf name;       /* "process QUEUE", escaped */
	struct buf attributes; /* those that are the same in each, as JSON */
};
/*
 * queue_name: messaging.destination.name; server: the queue's. 0 or ERR_NOMEM; to be freed in any
 * case.
 */
int span_source_init(struct span_source *ret, const char *queue_name, const char *queue_url,
	const struct span_server *server);
void span_source_free(struct span_source *source);

/* Texts are borrowed, UTF-8, and "" where there is none. */
struct span_attempt {
	int64_t start_epoch_ns;
	uint64_t duration_us;
	int status;			  /* 0: no answer */
	const struct span_server *server; /* NULL: not known */
	const char *error_type, *error_class;
	const char *request_id; /* the provider's */
};

struct span {
	struct trace_context context; /* its parent */
	uint8_t id[SPAN_ID_BYTES];
	const char *tracestate; /* printable ASCII, no NUL behind it */
	size_t tracestate_bytes;
	int64_t start_epoch_ns, end_epoch_ns;
	const char *message_id, *campaign, *destination;
	size_t body_bytes;
	unsigned receive_count;
	int64_t queue_wait_ms; /* from sent to received; below 0: not known */
	const char *outcome, *settled;
	bool failed;	   /* status ERROR, with the words */
	const char *words; /* for people */
	const char *error_type;
	bool attempted;
	struct span_attempt attempt;
};

/*
 * Copies at most SPAN_TEXT_SIZE - 1 bytes, cut between two characters; ill-formed UTF-8 becomes
 * question marks, registered secrets are redacted (base/log.h).
 */
void span_text(char ret[SPAN_TEXT_SIZE], const char *text, size_t len);

/* Appends the span as an object. 0 or the buffer's error. */
int span_append_json(const struct span *span, const struct span_source *source, struct buf *out);

/* Appends {"key":"...","value":{"stringValue":"..."}}, escaped; the texts are UTF-8. */
int span_append_string_attribute(
	struct buf *out, const char *key, const char *value, size_t value_bytes);

#endif
