/*
 * The requests of a load on a queue and what their answers must say: one connection's steps, send,
 * receive, delete, in SQS's JSON protocol, as batches or (a batch of 1) as single operations.
 *
 * What is left to do is counted in claims: a step takes what it will do off `to_send` or
 * `to_receive`, and what it did not get goes back, so no connection waits for a message that
 * another one has.
 */
#ifndef BENCH_QUEUE_STEPS_H
#define BENCH_QUEUE_STEPS_H

#include "latency.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BATCH_MAX 10
#define BODY_MAX 4096
#define HANDLE_MAX 1024
#define NUMBER_DIGITS 10 /* what each body begins with */

enum step { STEP_SEND, STEP_RECEIVE, STEP_DELETE, STEP_COUNT };

/* What the steps of all connections share. */
struct traffic {
	struct wire_address address;
	const char *queue_url;
	size_t batch, body_bytes;
	size_t numbers;		    /* bodies are numbered 0 to this */
	size_t next_number;	    /* of the next body */
	size_t to_send, to_receive; /* not claimed yet */
	bool receives_sent;	    /* what was sent is to be received, too */
	size_t sent, received, deleted, requests, empty, twice;
	size_t sending;	       /* connections that are */
	size_t empty_in_a_row; /* since anything else was answered */
	uint8_t *seen;	       /* a bit a number; NULL: numbers are not looked at */
	struct latency took[STEP_COUNT];
	char *filler, *request;
};

struct connection {
	struct wire wire;
	enum step step;
	uint64_t began_ns;
	size_t held;  /* of a batch: what was sent, or received and is not deleted */
	size_t asked; /* of a receive */
	char handles[BATCH_MAX][HANDLE_MAX];
};

/* The fields above `numbers` are set. */
void traffic_init(struct traffic *traffic);

/* Each makes one request, of what is claimed: `to_send`, `to_receive` must not be 0. */
void step_send(struct traffic *traffic, struct connection *connection);
void step_receive(struct traffic *traffic, struct connection *connection);
/* Of what the last receive got. */
void step_delete(struct traffic *traffic, struct connection *connection);

/* Takes the answer of the step under way; an entry that failed ends the program. */
void step_finish(struct traffic *traffic, struct connection *connection, const char *body);

#endif
