/*
 * What the core may ask of a queue; each fails the test otherwise. They also note on the receipts
 * what was asked.
 */
#ifndef TESTS_DELIVERY_FAKE_QUEUE_CHECKS_H
#define TESTS_DELIVERY_FAKE_QUEUE_CHECKS_H

#include "fake_queue.h"

void fake_queue_check_count(struct fake_queue *queue, size_t count);
void fake_queue_check_receive(struct fake_queue *queue, const struct queue_receive *params);
void fake_queue_check_delete(struct fake_queue *queue, const struct call_record *call);
void fake_queue_check_change(struct fake_queue *queue, const struct call_record *call);
/* 0, or ERR_TOO_LARGE for a message that is too large by itself. */
int fake_queue_check_send(
	struct fake_queue *queue, const struct queue_send entries[], size_t count);
/* When the queue carries out entry i of a visibility change. */
void fake_queue_check_handled(struct fake_queue *queue, const struct call_record *call, size_t i);

#endif
