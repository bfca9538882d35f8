/*
 * Idempotency keys where one message, or one request, is for many recipients: made here for the
 * producer, which packs them, and for the worker, which sends them, so that both make the same.
 *
 * A key is 16 bytes here, those of a UUID. Its text is 36 lower-case characters. Pure.
 *
 *  - Of a recipient: the one that the message's attribute RecipientKeys has for it, else
 *    recipient_key_make().
 *  - Of a message or a request for several: recipient_key_batch() of theirs. The same recipients in
 *    the same order have the same key, whatever else was in the message that brought them.
 *
 * Everything is UUIDv5 (RFC 9562) in one namespace, which is UUIDv5(URL namespace,
 * "bunshin:recipients"): another program can make the same keys.
 */
#ifndef BASE_RECIPIENT_KEY_H
#define BASE_RECIPIENT_KEY_H

#include <stddef.h>

#define RECIPIENT_KEY_BYTES 16
#define RECIPIENT_KEY_TEXT_SIZE 37 /* with the NUL */

/* Nothing but the bytes: an array of them is a value of RecipientKeys. */
struct recipient_key {
	unsigned char bytes[RECIPIENT_KEY_BYTES];
};

extern const struct recipient_key
	recipient_key_namespace; /* 5483ae8e-d31d-508b-9738-10d231a4a424 */

/*
 * An idempotency key, which may be any text, as bytes: of a UUID (upper case too) those it stands
 * for, of any other text UUIDv5(recipient_key_namespace, text).
 */
struct recipient_key recipient_key_of_text(const char *text);
/* The key of a recipient that came without: UUIDv5(the message's key as namespace, its text). */
struct recipient_key recipient_key_make(
	const struct recipient_key *message, const char *recipient, size_t recipient_bytes);
/*
 * The key of several recipients: UUIDv5(recipient_key_namespace, their keys one after the other);
 * of one, that recipient's own. count: at least 1.
 */
struct recipient_key recipient_key_batch(const struct recipient_key keys[], size_t count);
void recipient_key_print(const struct recipient_key *key, char ret_text[RECIPIENT_KEY_TEXT_SIZE]);

#endif
