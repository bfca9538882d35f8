/* The memory of the fake queue's messages, and of the batches that they are handed out in. */
#ifndef TESTS_DELIVERY_FAKE_MESSAGE_H
#define TESTS_DELIVERY_FAKE_MESSAGE_H

#include "fake_queue.h"

#define FAKE_TRACE_HEADER "Root=1-5759e988-bd862e3fe1be46a994272793" /* of every message */

/* Copies of everything; in no queue yet. */
struct fake_message *fake_message_make(struct fake_queue *queue, const char *body,
	size_t body_bytes, const struct queue_attribute attributes[], size_t attribute_count);
void fake_message_destroy(struct fake_message *message);
/* One block that holds copies of all that the messages say now; counted in world->live_batches. */
struct queue_batch *fake_message_batch(
	struct world *world, struct fake_message *const messages[], size_t count);

#endif
