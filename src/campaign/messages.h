/*
 * Recipients x template -> SQS messages, one at a time. Pure but for what the recipient list
 * reads: the same list, run and template give the same messages.
 *
 * A body is the template filled with the row, or without a template the row as a JSON object.
 * Every message carries the attribute IdempotencyKey, UUIDv5 of a namespace and the recipient's
 * key, so that however often it has to be sent, in this run or a later one, workers can tell that
 * it is one message.
 */
#ifndef CAMPAIGN_MESSAGES_H
#define CAMPAIGN_MESSAGES_H

#include "bunshin/queue.h"
#include "campaign/pack_field.h"
#include "campaign/recipients.h"
#include "config/template.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_MAX_BYTES ((size_t)1 << 20)	/* body and attributes together (SQS quota) */
#define MESSAGES_CHUNK_BYTES ((size_t)64 << 10) /* of a request, billed as one (SQS pricing) */
#define MESSAGES_NAME_MAX 256			/* bytes of a campaign's or destination's name */

/* What a recipient is known by. */
enum messages_key {
	MESSAGES_KEY_NUMBER, /* nothing: the row's number; campaign_message.key is then NULL */
	MESSAGES_KEY_ROW,    /* the whole row, as JSON */
	MESSAGES_KEY_COLUMN,
};

struct messages_options {
	const struct template *template; /* borrowed; NULL: the row as JSON */
	const char *campaign;		 /* attribute Campaign; NULL: none */
	const char *destination;	 /* attribute Destination; NULL: none */
	const char *traceparent;	 /* attribute traceparent; NULL: none; borrowed */
	int64_t deadline_epoch_ms;	 /* attribute Deadline; 0: none */
	unsigned char key_space[16];	 /* a campaign's (campaign_key_space), or random bytes */
	enum messages_key key;
	const char *key_column;	  /* of MESSAGES_KEY_COLUMN */
	const char *group_column; /* MessageGroupId; NULL: see `fifo` */
	/*
	 * The queue is a FIFO one: each message has a MessageDeduplicationId, its idempotency key,
	 * and a MessageGroupId, without a column for it the recipient's key where it can be one,
	 * else the idempotency key.
	 */
	bool fifo;
	const char *pack_field; /* the bodies' member that is to be packed (packer.h); NULL: none */
	/* Rows that are passed over as if they were not there; NULL: none. */
	bool (*skip)(void *arg, uint64_t row);
	void *skip_arg;
};

/* UUIDv5(URL namespace, "bunshin:campaign:" NAME), as bytes. Pure. 0 or ERR_NOMEM. */
int campaign_key_space(const char *name, unsigned char ret_space[16]);

/*
 * Borrowed until the next messages_next; the values of attributes but that of IdempotencyKey are
 * the same for all, and live as long as the messages.
 */
struct campaign_message {
	const char *body;
	size_t body_bytes;
	const struct queue_attribute *attributes;
	size_t attribute_count;
	struct recipients_place place;
	const char *key; /* the recipient's, maybe holding NULs in JSON escapes only; or NULL */
	size_t key_bytes;
	const char *idempotency_key;		 /* as in the attributes */
	const char *group_id, *deduplication_id; /* NULL: none */
	struct pack_field field; /* with a pack_field: the recipient, or of a pack all of them */
	/* Of a pack: the rows it is made of, in their order; else NULL and 0, and it is one. */
	const struct recipients_place *places;
	size_t place_count;
};

static inline size_t campaign_message_recipients(const struct campaign_message *message)
{
	return message->place_count > 0 ? message->place_count : 1;
}

struct messages;

/* recipients: borrowed, outlives the messages. The strings are copied, but for traceparent. 0 or
 * ERR_NOMEM. */
int messages_new(struct recipients *recipients, const struct messages_options *options,
	struct messages **ret_messages);
void messages_free(struct messages *messages); /* NULL is fine */
/*
 * From the next message on all have the nil UUID as their idempotency key, which is as long as any:
 * for a pass that counts messages and sends none.
 */
void messages_leave_keys_out(struct messages *messages);

/*
 * As recipients_next: RECIPIENTS_ROW with *ret_message filled in; RECIPIENTS_INVALID when the row,
 * or what the template makes of it, is no message, or its key is missing or empty,
 * or its group no MessageGroupId, or there is nothing to pack (messages_error() says why);
 * RECIPIENTS_END; or a negative code. A
 * CSV list without a column that the template, the key or the group needs is a fatal error.
 */
int messages_next(struct messages *messages, struct campaign_message *ret_message);
const struct recipients_error *messages_error(const struct messages *messages);
struct recipients_place messages_place(const struct messages *messages);

/* What SQS counts: the body, and every attribute's name, type and value. */
size_t message_bytes(size_t body_bytes, const struct queue_attribute *attributes, size_t count);

/*
 * Pure. True when SQS takes the text: not empty, and valid UTF-8 of U+9, U+A, U+D, U+20-D7FF,
 * U+E000-FFFD and U+10000-10FFFF only. Otherwise *ret_reason says what it holds (static).
 */
bool message_text_fits(const char *text, size_t len, const char **ret_reason);

/*
 * Pure. Compiles a message template's file: one line break at its end and a byte order mark are
 * dropped; a text that starts with "{" (but not "{{") or "[" must be JSON, and its variables are
 * escaped for it. Errors as template_compile.
 */
int message_template_compile(
	const char *text, size_t len, struct template **ret_template, struct buf *error);

#endif
