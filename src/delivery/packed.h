/*
 * Packed messages: one message for a list of recipients, sent in requests of at most `batch.max` of
 * them, one request after the other. Private to delivery.
 *
 *	waits ---> its request is out ---> waits, when recipients are left --- ... ---> it has ended
 *
 * The message is RECEIVED while it waits and SENDING while its request is out, so that each request
 * has its slot and its token, and each stands behind the checks of lane_pump(): control, deadline,
 * visibility. It waits before all others of the lane.
 *
 * Each recipient has an idempotency key, a claim and an entry in the ledger of its own:
 *
 *  1. Those of the next range are claimed one by one. Accepted before: left out (suppressed). In an
 *     attempt elsewhere: left for later.
 *  2. What remains is sent, with a key that is made of theirs in their order.
 *  3. Accepted: each is written into the ledger before anything else. Refused for good, and there
 *     are several: each half is a range of its own, until the bad one is alone; then it has failed.
 *     Anything else: all of the request are left for later.
 *  4. With nothing left to send, the message ends: put back, when some are left for later, by the
 *     longest delay that was asked for; else copied to the failure queue with those that failed
 *     alone, and deleted; else deleted.
 *
 * If the process dies
 *  - before a claim is written: nothing has happened to that recipient; the message comes back.
 *  - between claims and request: nobody sends to those before the claims' end; then they are sent.
 *  - with the request out: the provider may have accepted it. When the message has come back, and
 *    the claims have ended, the same recipients make a request of the same key: a provider that
 *    remembers keys knows it. Else these are the duplicates that promise 3 allows.
 *  - while an acceptance is written, recipient by recipient: those that are written are known, the
 *    rest is as with the request out. They make another key then.
 *  - between two requests, halves too: what was accepted is known, and is left out when the message
 *    comes back; what failed is tried again then, and fails again; the rest is sent.
 *  - between the end and the delete's answer: the message comes back, the ledger knows those that
 *    were accepted. If its copy was confirmed there are two copies, unless those that failed are
 *    accepted after all.
 */
#ifndef DELIVERY_PACKED_H
#define DELIVERY_PACKED_H

#include "delivery/delivery.h"
#include "delivery/message.h"

#include <stdbool.h>

/* attempt_start() of a packed message: its next request, or its end. */
bool packed_start(struct message *message);
/* Its attempt ended without an acceptance: takes the claims back. */
void packed_unclaim(struct message *message);
/*
 * Tells of all recipients in the state. For core.c, where a message ends in another way than by its
 * own requests.
 */
void packed_tell_all(struct message *message, enum recipient_state state,
	enum delivery_event_kind of, const struct target_result *result, const char *reason);
/* Of those that failed, each with its own reason. */
void packed_tell_failed(struct message *message, enum delivery_event_kind of);
/* What has not ended yet has failed, all for this. 0 or ERR_NOMEM. */
int packed_fail_rest(
	struct message *message, const char *reason, const struct target_result *result);
/*
 * What has not ended yet ends unsent, as `of` says (EXPIRED, CANCELLED). True: some had failed
 * before, so that the message goes to the failure queue instead; that has been seen to.
 */
bool packed_end_unsent(struct message *message, enum delivery_event_kind of, const char *reason);

#endif
