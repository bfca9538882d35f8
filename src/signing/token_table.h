/*
 * Tokens that the workers of a host share, in memory that they map (base/mapped_file.h): one slot
 * an identity (a key and what is claimed with it), a whole token in it or none, and a claim by
 * which exactly one worker at a time makes the next. Lock-free, and pure: time is an argument, in
 * milliseconds since 1970, so that a token outlives a restart.
 *
 * A worker that dies
 *  - before the claim: nothing has happened.
 *  - with the claim: the former token is read on; the claim ends by itself, then another makes one.
 *  - while it writes: it writes into the copy that nobody reads. The same.
 *  - after the new copy is in force: the token is there; the claim ends by itself.
 * Two writers at once, which a writer takes that slept through its claim, may leave a copy that is
 * neither's: its checksum says so, and there is no token until the next is made.
 *
 * What lies here is not trusted: lengths are bounded, a token is printable ASCII, times that cannot
 * be are none. Whoever can write to the memory can read the token anyway.
 */
#ifndef SIGNING_TOKEN_TABLE_H
#define SIGNING_TOKEN_TABLE_H

#include "base/mapped_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_SLOTS 64
#define TOKEN_TEXT_MAX 4000 /* bytes; Google's have 2,048 at most ("Using OAuth 2.0", size) */
#define TOKEN_IDENTITY_BYTES 32
#define TOKEN_CLAIM_MAX_MS 60000

struct token {
	int64_t made_epoch_ms;
	int64_t ends_epoch_ms; /* not to be used from then on */
	char text[TOKEN_TEXT_MAX + 1];
};

struct token_slot;

#define TOKEN_COPY_BYTES (32 + 4008)
#define TOKEN_SLOT_BYTES (24 + TOKEN_IDENTITY_BYTES + 8 + 2 * TOKEN_COPY_BYTES)
#define TOKEN_FILE_BYTES ((size_t)64 + TOKEN_SLOTS * TOKEN_SLOT_BYTES)

/* For mapped_file_open(); arg NULL. As delivery/rate.h's. */
extern const struct mapped_file_kind token_file;

/*
 * The slot of an identity, found or taken; two processes that name the same get the same, and whose
 * token has ended for a day may lose theirs to another. NULL: all are in use. memory: formatted or
 * checked by token_file.
 */
struct token_slot *token_slot_of(void *memory, size_t bytes,
	const uint8_t identity[TOKEN_IDENTITY_BYTES], int64_t now_epoch_ms);

/* Changes whenever another token is in force: for those who keep a copy. */
uint64_t token_version(const struct token_slot *slot);
/*
 * The token in force. False, and *ret wiped: there is none, it has ended, it was made for another
 * identity, or later than in a minute from now, when a clock was wrong.
 */
bool token_read(const struct token_slot *slot, const uint8_t identity[TOKEN_IDENTITY_BYTES],
	int64_t now_epoch_ms, struct token *ret);

/*
 * The right to make the next token, until then (at most TOKEN_CLAIM_MAX_MS from now); 0: another
 * has it. `random`: anything that differs between claims. Read the token again before making one:
 * another may just have.
 */
uint64_t token_claim(
	struct token_slot *slot, int64_t now_epoch_ms, int64_t until_epoch_ms, uint64_t random);
/* Puts the token in force and gives the claim back. False: the claim was lost, nothing is changed.
 */
bool token_publish(struct token_slot *slot, const uint8_t identity[TOKEN_IDENTITY_BYTES],
	uint64_t claim, const struct token *token);
/* Gives it back without one. */
void token_unclaim(struct token_slot *slot, uint64_t claim);

#endif
