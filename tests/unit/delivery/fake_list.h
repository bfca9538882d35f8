/*
 * The recipients of all messages that go to targets which take lists, and what became of each: what
 * must be true of one message of one recipient must be true of each of these. A check that fails
 * fails the test.
 */
#ifndef TESTS_DELIVERY_FAKE_LIST_H
#define TESTS_DELIVERY_FAKE_LIST_H

#include "bunshin/target.h"
#include "delivery/delivery.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_LIST_BUCKETS 4096

struct world;

struct fake_recipient {
	char text[32];	   /* its JSON value */
	unsigned requests; /* that it was in */
	unsigned out;	   /* of them, in flight */
	unsigned accepted; /* told to the core */
	unsigned unclear;  /* requests that were cancelled: the provider may have it */
	unsigned told[DELIVERY_RECIPIENTS]; /* by DELIVERY_RECIPIENTS, by `of` */
	char key[40];			    /* that it is told by */
	uint32_t next;			    /* in its bucket, counted from 1 */
};

struct fake_list {
	struct world *world;
	struct fake_recipient *all;
	size_t count, capacity;
	uint32_t buckets[FAKE_LIST_BUCKETS];
	size_t at; /* what was told of last */
};

void fake_list_init(struct fake_list *list, struct world *world);
void fake_list_free(struct fake_list *list);
/* By its JSON value: "\"a\"". Made when it was not there. */
struct fake_recipient *fake_list_get(struct fake_list *list, const char *text, size_t bytes);
/* The text of a JSON array has this element. */
bool fake_list_has(const char *array, const char *text);
size_t fake_list_length(const char *array);

enum fake_list_end { FAKE_LIST_ACCEPTED, FAKE_LIST_REFUSED, FAKE_LIST_CANCELLED };
/* Makes all that are in the array of the message's body, with the keys that they have by its own.
 */
void fake_list_add(struct fake_list *list, const char *body, const char *message_key);
/* Told of the one with this key. */
void fake_list_tell(
	struct fake_list *list, const struct recipient_key *key, enum delivery_event_kind of);
/* A request for this array begins; ends. */
void fake_list_start(struct fake_list *list, const char *array);
void fake_list_end(struct fake_list *list, const char *array, enum fake_list_end how);
/* All in the array that begins in the message's body were accepted. */
bool fake_list_is_accepted(struct fake_list *list, const char *body);

#endif
