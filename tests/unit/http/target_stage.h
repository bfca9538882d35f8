/* A real target before a peer that is played, and what came of the last attempt. */
#ifndef TESTS_HTTP_TARGET_STAGE_H
#define TESTS_HTTP_TARGET_STAGE_H

#include "world.h"

#include "base/manual_clock.h"
#include "http/http_target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW_EPOCH_MS 784111770000 /* seven seconds before RFC 9110's example date */

/* A result, copied. */
struct attempt {
	unsigned calls, departures;
	int err, status;
	int64_t retry_after_ms;
	bool unanswered;
	char reason[512], request_id[128], excerpt[TARGET_EXCERPT_MAX + 1];
	size_t excerpt_bytes;
	struct target_attempt *handle;
};

struct stage {
	struct world world;
	struct manual_clock clock;
	struct config_destination destination;
	struct http_target *target;
	struct peer peer;
	struct attempt attempt;
};

static const struct peer_answer ok = {.text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"};

static inline struct template *compile(const char *text, enum template_context context)
{
	struct template *template = NULL;
	struct buf error = BUF_INIT(1000);

	assert_int_equal(template_compile(text, context, &template, &error), 0);
	buf_free(&error);
	return template;
}

/* The URL is "http://PEER" and the path. */
static inline void stage_open(struct stage *stage, const char *path, const char *body,
	enum template_context context, const struct peer_answer *answers, size_t count)
{
	char url[256];

	memset(stage, 0, sizeof(*stage));
	world_open(&stage->world);
	manual_clock_init(&stage->clock, 1, NOW_EPOCH_MS);
	peer_open(&stage->peer, &stage->world, answers, count);
	snprintf(url, sizeof(url), "http://%s%s", stage->peer.address, path);
	stage->destination.name = strdup("test");
	stage->destination.request.method = strdup("POST");
	stage->destination.request.url = compile(url, TEMPLATE_URL);
	stage->destination.request.body = body ? compile(body, context) : NULL;
	stage->destination.request.headers = calloc(8, sizeof(struct config_header));
	stage->destination.timeout_ms = 1000;
	stage->destination.connect_timeout_ms = 1000;
	stage->destination.concurrency = 100;
	assert_int_equal(http_target_new(&stage->world.loop, manual_clock_table(&stage->clock),
				 &stage->destination, &stage->target),
		0);
}

static inline void stage_header(struct stage *stage, const char *name, const char *value)
{
	struct config_header *header =
		&stage->destination.request.headers[stage->destination.request.header_count++];

	header->name = strdup(name);
	header->value = compile(value, TEMPLATE_HEADER);
}

static inline void stage_close(struct stage *stage)
{
	struct config_destination *destination = &stage->destination;

	http_target_close(stage->target);
	peer_close(&stage->peer);
	world_close(&stage->world);
	for (size_t i = 0; i < destination->request.header_count; i++) {
		free(destination->request.headers[i].name);
		template_free(destination->request.headers[i].value);
	}
	free(destination->request.headers);
	free(destination->name);
	free(destination->request.method);
	template_free(destination->request.url);
	template_free(destination->request.body);
	manual_clock_free(&stage->clock);
}

static inline void on_done(void *arg, const struct target_result *result)
{
	struct attempt *attempt = arg;

	attempt->calls++;
	attempt->err = result->err;
	attempt->status = result->status;
	attempt->retry_after_ms = result->retry_after_ms;
	attempt->unanswered = result->unanswered;
	assert_true(result->excerpt_bytes <= TARGET_EXCERPT_MAX);
	snprintf(attempt->reason, sizeof(attempt->reason), "%s", result->reason);
	snprintf(attempt->request_id, sizeof(attempt->request_id), "%s", result->request_id);
	memcpy(attempt->excerpt, result->excerpt, result->excerpt_bytes);
	attempt->excerpt[result->excerpt_bytes] = '\0';
	attempt->excerpt_bytes = result->excerpt_bytes;
}

static inline void on_departure(void *arg)
{
	struct attempt *attempt = arg;

	attempt->departures++;
}

static inline struct queue_message message_of(const char *body)
{
	static const struct queue_attribute attributes[] = {
		{"Campaign", "String", "spring", 6},
		{"Count", "Number.int", "42", 2},
		{"Odd", "Number", "+1", 2},
		{"Code", "String", "007", 3},
	};

	return (struct queue_message){.message_id = "m-1",
		.receipt_handle = "r",
		.body = body,
		.body_bytes = strlen(body),
		.attributes = attributes,
		.attribute_count = 4,
		.idempotency_key = "key-1",
		.receive_count = 3,
		.sent_epoch_ms = 1700000000123};
}

/* Good until the next. */
static inline const struct target_request *request_for(const struct queue_message *message)
{
	static const struct queue_message *kept;
	static struct target_request request;

	kept = message;
	request = target_request_for(&kept);
	request.departs = on_departure;
	return &request;
}

static inline void start(struct stage *stage, const struct queue_message *message)
{
	struct target table = http_target_table(stage->target);
	unsigned calls = stage->attempt.calls;

	assert_int_equal(table.ops->start(table.impl, request_for(message), on_done,
				 &stage->attempt, &stage->attempt.handle),
		0);
	assert_int_equal(stage->attempt.calls, calls); /* never from inside */
}

#endif
