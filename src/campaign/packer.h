/*
 * Packs: messages whose bodies are alike but for the recipient become one message with a list of
 * recipients (`campaign send --pack`). Pure but for memory.
 *
 * In a packed body the recipient's value is an array of those of all its rows, in the order of the
 * list; the rest is byte for byte what it was. Its attributes are theirs, and
 *  - RecipientKeys, Binary: their idempotency keys, 16 bytes each, in the order of the array;
 *  - IdempotencyKey: recipient_key_batch() of them.
 * One that has but one row is written in the same way. On a FIFO queue each is a group of its own.
 *
 * Several are open at a time, one for each content. One is given out when it has as many rows as
 * wanted; when one more would make it larger than PACKER_MESSAGE_MAX_BYTES; when it is the oldest
 * and too many, or too large, are open; and at the end of the list. The same rows in the same order
 * make the same packs. Nothing of what is open has been sent: when the process dies it was not.
 */
#ifndef CAMPAIGN_PACKER_H
#define CAMPAIGN_PACKER_H

#include "campaign/messages.h"

#include <stdbool.h>
#include <stddef.h>

#define PACKER_ROWS_MAX 10000 /* what workers take */
/* As SQS counts it; every region takes a message of it, whatever its quota is by now. */
#define PACKER_MESSAGE_MAX_BYTES ((size_t)256 << 10)
#define PACKER_OPEN_MAX 256
#define PACKER_OPEN_MAX_BYTES ((size_t)32 << 20) /* of their memory; one may be beyond it */

struct packer;

/* most: rows of a pack, 1 to PACKER_ROWS_MAX. 0 or ERR_NOMEM. */
int packer_new(unsigned most, struct packer **ret_packer);
void packer_free(struct packer *packer); /* NULL is fine */

/*
 * Adds a row's message, from a messages_next() with a pack_field; it is copied, but for the values
 * of its attributes, IdempotencyKey aside, which live as long as the messages. 0, or ERR_NOMEM and
 * the packer is only good for freeing.
 */
int packer_add(struct packer *packer, const struct campaign_message *message);
/*
 * The next pack that is to go out: 1 with *ret_message filled in, borrowed until the next call of
 * packer_take(); 0: there is none; ERR_NOMEM. With `all` also those that are open, oldest first.
 * To be called until it says 0 after each row.
 */
int packer_take(struct packer *packer, bool all, struct campaign_message *ret_message);
/*
 * As messages_next(), of packs: reads rows until there is one. RECIPIENTS_INVALID is of a row, and
 * the next call goes on.
 */
int packer_next(
	struct packer *packer, struct messages *messages, struct campaign_message *ret_message);
/* The first of the rows that were added and not taken; row 0: there is none. */
struct recipients_place packer_first(const struct packer *packer);

#endif
