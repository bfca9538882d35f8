/*
 * Gathering: several messages of one lane in one request. Private to delivery.
 *
 * A bundle is messages that go together. It is made by the first, takes others that are like it
 * until it is full, and waits for its turn: full at once, else when its first has waited for the
 * linger time. Alike are, with a list of recipients, messages that are the same but for the
 * recipient: the bytes of the body around it, and the Campaign; with records, all. In a FIFO queue
 * each message is a bundle of its own, since those behind it must not go along.
 *
 *	open ---> ready ---> its request is out ---> ended: each message by itself
 *	            ^                   |
 *	            `---- two halves ---'  refused for good, and there are several
 *
 * The messages stay what they are: each is RECEIVED while its bundle waits and SENDING while the
 * request is out, has its own claim, deadline and visibility, and its own end. One that ends or
 * goes back in another way leaves its bundle; an empty bundle is gone.
 *
 * If the process dies, each message is where it would be alone (attempt.c): before its claim, with
 * its claim, with the request out, accepted and written down, or not. What differs is that
 *  - the request that was out was for several: the provider may have accepted all of them.
 *  - when they come back they may be gathered with others. They make a request of the same key only
 *    when the same messages come together in the same order; else these are duplicates, at most of
 *    what was out when the process died, that a provider does not know by their key.
 *  - between two halves: the accepted one is in the ledger, message by message; the others come
 *    back and are gathered anew.
 *
 * Packed messages of the lane wait beside the bundles and take turns with them.
 */
#ifndef DELIVERY_GATHER_H
#define DELIVERY_GATHER_H

#include "base/list.h"
#include "delivery/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATHER_BUCKETS 256

struct lane;
struct bundle;

struct gather {
	struct list open;   /* bundles that take more, in the order of their first messages */
	struct list ready;  /* those that do not: halves, then the full ones */
	struct list packed; /* packed messages that wait, by `mate` */
	struct list buckets[GATHER_BUCKETS]; /* open bundles by what is alike */
	bool packed_went;		     /* the latest turn was a packed message's */
	double packed_share;		     /* of the messages that came of late */
};

/* NULL: out of memory. */
struct gather *gather_new(void);
/* No message of its lane is held any more. */
void gather_free(struct gather *gather);

/* A message of the lane begins to wait. 0, or ERR_NOMEM. */
int gather_add(struct message *message);
/* By message_move() and message_free(): it leaves for that state; MESSAGE_STATES: for good. */
void gather_moved(struct message *message, enum message_state to);
/*
 * Whose turn it is: a packed message, or the first of a bundle. NULL: nobody's yet; when a linger
 * time is waited for, its end has been seen to.
 */
struct message *gather_next(struct lane *lane, uint64_t now_us);
/* attempt_start() of the first of a bundle, for all of it. */
bool gather_start(struct message *first);
/*
 * By what came of late: messages that a request may make use of; and how many requests, with so
 * many slots, are worth being received for while the slots are busy: what is gathered comes ten by
 * ten.
 */
size_t gather_per_request(const struct lane *lane);
size_t gather_ahead(const struct lane *lane, size_t slots);

#endif
