/*
 * A queue service without HTTP, in virtual time: calls go in as JSON, answers come back parsed.
 */
#ifndef LOCALQ_WORLD_H
#define LOCALQ_WORLD_H

#include "base/manual_clock.h"
#include "localq/service.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

#define WORLD_START_MS INT64_C(1767225600000) /* 2026-01-01 */

/* One call, from its start on. */
struct world_call {
	struct call call;
	struct world *world;
	bool answered;
	bool dead; /* the client has gone, and nobody knows */
	char *body;
	cJSON *answer;
};

struct world {
	struct manual_clock clock;
	struct service service;
	unsigned flushes_wanted;
	unsigned failures; /* transactions */
	unsigned recoveries;
	struct declarations *declarations; /* for world_reopen; NULL: none */
	enum store_sync sync;		   /* for world_reopen */
	char failure[STORE_DETAIL_MAX];
	struct world_call done; /* of world_call() */
};

/* dir NULL: in memory. */
void world_open(struct world *world, const char *dir);
void world_close(struct world *world);
/* Closes and opens the store again, the clock going on. */
void world_reopen(struct world *world, const char *dir);

/* Runs an operation and a flush; the answer, good until the next world_call. */
const cJSON *world_call(struct world *world, const char *operation, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same, which must not be refused. */
const cJSON *world_ok(struct world *world, const char *operation, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same, which must be refused with this older code; returns the message. */
const char *world_refused(struct world *world, const char *code, const char *operation,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Starts a call that may wait; no flush. End it with world_end. */
void world_start(struct world *world, struct world_call *call, const char *operation,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Frees its memory; one that still waits is forgotten. */
void world_end(struct world_call *call);

/* Moves virtual time, firing timers, then flushes. */
void world_advance_ms(struct world *world, int64_t ms);

/* Shorthands, for the queue URL http://h/000000000000/NAME. */
void world_create(struct world *world, const char *name);
void world_send(struct world *world, const char *name, const char *body);
/* Receives up to ten; the number, and their bodies joined by spaces in world_bodies. */
int world_receive(struct world *world, const char *name);
const char *world_bodies(const cJSON *answer);
/* The receipt handle of message `index` of an answer, copied into `ret`. */
void world_handle(const cJSON *answer, int index, char ret[64]);
/* "visible in-flight delayed" */
const char *world_counts(struct world *world, const char *name);

#endif
