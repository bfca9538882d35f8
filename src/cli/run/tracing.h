/*
 * The spans of a worker's messages: from the delivery's events to the exporter, and over HTTP to
 * the collector. The way of a message waits for nothing of it.
 *
 * A span begins with the event that says what became of the message, and is finished when the
 * message is held no more; what of it is told earlier than that is kept meanwhile, for sampled
 * messages alone. A message that goes back without anything having come of it (a pause, a stop, its
 * NotBefore) has none.
 */
#ifndef CLI_RUN_TRACING_H
#define CLI_RUN_TRACING_H

#include "base/metrics.h"
#include "bunshin/clock.h"
#include "config/config.h"
#include "delivery/delivery.h"

#include <stdint.h>
#include <uv.h>

struct tracing;

/*
 * By config->tracing, whose endpoint is not NULL. queue_endpoint: the URL that SQS is asked at. All
 * is borrowed and outlives it. 0, ERR_NOMEM or ERR_IO.
 */
int tracing_new(uv_loop_t *loop, struct clock clock, const struct config *config,
	const char *queue_endpoint, struct metrics *metrics, struct tracing **ret_tracing);
/* Cancels what is under way; the memory of the client goes on later turns. NULL is fine. */
void tracing_free(struct tracing *tracing);

/* An event of the delivery. */
void tracing_note(struct tracing *tracing, const struct delivery_event *event);
/* The delivery's `left`. */
void tracing_left(
	struct tracing *tracing, const struct queue_message *message, enum delivery_left how);
/*
 * The delivery has drained: what is under construction is finished, and all that waits is sent
 * until until_us (monotonic). `done` runs once, and may free it.
 */
void tracing_finish(struct tracing *tracing, uint64_t until_us, void (*done)(void *arg), void *arg);

#endif
