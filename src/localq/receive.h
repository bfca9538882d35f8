/* ReceiveMessage, at once or as a long poll. */
#ifndef LOCALQ_RECEIVE_H
#define LOCALQ_RECEIVE_H

#include "localq/fault.h"
#include "localq/store.h"

struct call;

/* The operation; parks the call (call->watch is set) when there is nothing and it may wait. */
enum fault receive_message(struct call *call);

/*
 * Takes messages for call->receive and writes the answer. FAULT_NONE with count 0: the answer is
 * still the empty one. On a fault call->problem is filled.
 */
enum fault receive_run(struct call *call, struct store_received *ret);

#endif
