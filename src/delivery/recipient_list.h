/*
 * The recipients of one message, where its destination has batches: one, or the list of a packed
 * message, and how far each of them has come. Pure: what is done about them is in packed.h.
 *
 * A packed message's body is a JSON object in which a field, named by the configuration, is an
 * array of strings or numbers. The attribute RecipientKeys, of type Binary, has their idempotency
 * keys, 16 bytes each in the order of the array; without it they are made of the message's own key
 * and the recipient's text (base/recipient_key.h).
 */
#ifndef DELIVERY_RECIPIENT_LIST_H
#define DELIVERY_RECIPIENT_LIST_H

#include "base/buf.h"
#include "base/json.h"
#include "base/recipient_key.h"
#include "bunshin/queue.h"
#include "delivery/failure.h"
#include "delivery/ledger.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECIPIENT_LIST_MAX 10000 /* of one message */
#define RECIPIENT_LIST_KEYS "RecipientKeys"
#define RECIPIENT_LIST_PROBLEM_SIZE 192
/* Ranges of recipients that wait: halving leaves one at each step, fourteen of 10,000. */
#define RECIPIENT_LIST_RANGES_MAX 20

enum recipient_state {
	RECIPIENT_WAITING,    /* in no request yet, or in one that was split */
	RECIPIENT_SENDING,    /* claimed: in the request that is out or about to be */
	RECIPIENT_ACCEPTED,   /* the provider has taken it */
	RECIPIENT_SUPPRESSED, /* the ledger knows that it had before */
	RECIPIENT_LATER,      /* to be tried again when the message comes again */
	RECIPIENT_FAILED,     /* for good */
	RECIPIENT_UNSENT,     /* expired or cancelled */
	RECIPIENT_STATES
};

struct recipient {
	const char *raw; /* its JSON value, of the message's body */
	uint32_t raw_bytes;
	enum recipient_state state; /* by recipient_list_move() alone */
	struct recipient_key key;
	struct ledger_claim claim; /* SENDING */
	struct failure *failure;   /* FAILED: one reference */
};

/* From the first to before the last. */
struct recipient_range {
	uint32_t from, to;
};

struct recipient_list {
	bool packed;	  /* the field is a list; else it is one value, and count is 1 */
	const char *list; /* the field's JSON value, of the message's body */
	size_t list_bytes;
	size_t counts[RECIPIENT_STATES];
	/* What is still to be sent, the next at the end; `out` is what is being sent. */
	struct recipient_range ranges[RECIPIENT_LIST_RANGES_MAX], out;
	size_t range_count;
	int64_t delay_ms;	     /* of those that are LATER, the longest that was asked for */
	bool retried;		     /* one of them was in an attempt that failed */
	char *copy_body, *copy_keys; /* recipient_list_make_copy() */
	size_t copy_body_bytes, copy_keys_bytes;
	size_t bytes;		    /* memory of all this */
	struct recipient_key *keys; /* scratch: room for all of them */
	size_t count;
	struct recipient all[];
};

/*
 * What the message's body and RecipientKeys say. `json` is scratch, of which nothing is kept; the
 * message outlives the result. 0; ERR_NOMEM; or ERR_SYNTAX with a sentence in ret_problem: the body
 * is no JSON object, the field is missing, neither text nor number nor list of those, empty, longer
 * than RECIPIENT_LIST_MAX, or RecipientKeys does not have 16 bytes for each.
 */
int recipient_list_read(const struct queue_message *message, const char *field, struct json *json,
	struct recipient_list **ret_recipients, char ret_problem[RECIPIENT_LIST_PROBLEM_SIZE]);
/* NULL is fine. */
void recipient_list_free(struct recipient_list *recipients);

/* Leaves its failure and its claim behind, which are the caller's to set with the new state. */
void recipient_list_move(
	struct recipient_list *recipients, struct recipient *recipient, enum recipient_state to);

/*
 * Takes the next `max` that are still to be sent out of what waits, into `out`; false: none are.
 * Some of them may be no longer WAITING.
 */
bool recipient_list_next(struct recipient_list *recipients, size_t max);
/* Puts `out` back, to be the next again. */
void recipient_list_put_back(struct recipient_list *recipients);
/*
 * Puts `out` back as two, with half of those that are SENDING in each; they are WAITING again. At
 * least two must be.
 */
void recipient_list_split(struct recipient_list *recipients);

/* Keys of those in the range and state, in `keys`; how many. */
size_t recipient_list_keys(struct recipient_list *recipients, struct recipient_range range,
	enum recipient_state state);
static inline struct recipient_range recipient_list_all(const struct recipient_list *recipients)
{
	return (struct recipient_range){0, (uint32_t)recipients->count};
}
/* Those in the range and state as a JSON array; 0 or the buffer's error. */
int recipient_list_print(const struct recipient_list *recipients, struct recipient_range range,
	enum recipient_state state, struct buf *out);

/*
 * The message with its FAILED recipients alone: copy_body, and copy_keys where it has
 * RecipientKeys. 0 or ERR_NOMEM.
 */
int recipient_list_make_copy(
	struct recipient_list *recipients, const struct queue_message *message);

#endif
