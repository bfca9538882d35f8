/*
 * The ledger: which idempotency keys a provider has accepted, and which are at a provider right
 * now, in memory shared by every worker of the host and surviving them (base/mapped_file.h maps
 * it; here is only what lies in it).
 *
 * A lock-free open-addressing table of fixed size: a key has two buckets of eight slots
 * (two-choice hashing: Azar, Broder, Karlin, Upfal 1994). A slot holds the 128-bit key, a word of
 * state and time, and a check word over all three, so that a slot torn by a writer's death or by
 * the disk is an empty one, never another key: the ledger may forget (a message is sent twice),
 * but it never invents (a message would be lost).
 *
 * An entry lives for the window: it counts while its age is below it. When both buckets are full of
 * younger ones the oldest accepted entry leaves early, which `cut_short` tells.
 *
 * Pure: time is an argument, wall time in epoch milliseconds, since entries outlive a boot (below 0
 * and above LEDGER_TIME_MAX_MS it is taken for those). An entry from the future (the clock was set
 * back) counts as new; one more than a window ahead of now is taken for damage and ignored.
 *
 * Any number of processes may use one table at once. One `struct ledger` is for one thread, and is
 * attached after the fork: each has a nonce of its own.
 */
#ifndef DELIVERY_LEDGER_H
#define DELIVERY_LEDGER_H

#include "base/buf.h"
#include "base/mapped_file.h"
#include "base/siphash.h"

#include <stddef.h>
#include <stdint.h>

#define LEDGER_SLOT_BYTES 32
#define LEDGER_HEADER_BYTES 4096
#define LEDGER_BYTES_MIN (2 * LEDGER_HEADER_BYTES) /* the smallest table: 128 slots */
#define LEDGER_WINDOW_MAX_MS (INT64_C(7) * 24 * 3600 * 1000)
/* A claim ends at most this far ahead; twice as long as SQS lets anybody hold a message. */
#define LEDGER_CLAIM_MAX_MS (INT64_C(24) * 3600 * 1000)
#define LEDGER_TIME_MAX_MS ((INT64_C(1) << 46) - 1)

struct ledger_table;

struct ledger {
	struct ledger_table *table; /* borrowed; NULL: no ledger, every claim succeeds */
	int64_t window_ms;	    /* 1..LEDGER_WINDOW_MAX_MS */
	/* Accepted entries younger than the window that this process pushed out or found no slot
	 * for. */
	uint64_t cut_short;
	int64_t cut_age_ms; /* of the latest of them, at least 1: the window in force; 0: none */
	uint64_t unwritten; /* claims that found both buckets full of live ones */
	/* Copied from the header, which other processes can write. */
	uint64_t buckets;
	uint64_t check_key[2];
	uint8_t hash_key[SIPHASH_KEY_BYTES];
	uint64_t nonce;
};

struct ledger_key {
	uint64_t word[2];
};

/* What was claimed, to release it; copy freely. */
struct ledger_claim {
	size_t slot;
	uint64_t meta; /* 0: nothing was written */
};

enum ledger_answer {
	LEDGER_CLAIMED,	 /* nobody has it: send */
	LEDGER_ACCEPTED, /* the provider has accepted it: do not send */
	LEDGER_BUSY,	 /* an attempt is out elsewhere, or died: not before *ret_until_ms */
};

/*
 * For mapped_file_open(): arg points to 16 random bytes, the hash key of a new file. Any size of at
 * least LEDGER_BYTES_MIN is used as far as whole buckets fit; below, format() says ERR_ARGUMENT.
 * check() refuses another magic, another version, a header whose checksum is wrong, and a bucket
 * count that does not fit the size.
 */
extern const struct mapped_file_kind ledger_file;

/*
 * memory: formatted or checked by ledger_file, borrowed. 0, or ERR_ARGUMENT: it is not, or is not
 * aligned to LEDGER_SLOT_BYTES, or the window is out of range.
 */
int ledger_attach(void *memory, size_t bytes, int64_t window_ms, struct ledger *ret);

/* The key of one message for one destination. */
struct ledger_key ledger_key_of(
	const struct ledger *ledger, const char *destination, const char *idempotency_key);

/*
 * Right before an attempt: claims the key until until_ms (the attempt has ended by then, whatever
 * happens), unless it is accepted or claimed. Of two that claim one key at the same instant at most
 * one succeeds; should both have seen the other at every try, both are told to come back a moment
 * later. It succeeds without being written down when both buckets are full of live claims, or when
 * until_ms is not ahead of now. *ret_claim is set with LEDGER_CLAIMED, *ret_until_ms with
 * LEDGER_BUSY, and is ahead of now.
 */
enum ledger_answer ledger_claim(struct ledger *ledger, struct ledger_key key, int64_t now_ms,
	int64_t until_ms, struct ledger_claim *ret_claim, int64_t *ret_until_ms);
/* The attempt ended without an acceptance: takes the claim back if it is still this one. */
void ledger_release(struct ledger *ledger, struct ledger_key key, struct ledger_claim claim);
/*
 * The provider accepted: in the claim's slot, or in any other if that is somebody else's by now.
 * Others see the key claimed or accepted, and at no instant in between as neither.
 */
void ledger_accept(
	struct ledger *ledger, struct ledger_key key, struct ledger_claim claim, int64_t now_ms);

/* Keys that the whole table has room for. */
uint64_t ledger_places(const struct ledger *ledger);

struct ledger_stats {
	uint64_t slots;	   /* in the whole table */
	uint64_t accepted; /* within the window */
	uint64_t claimed;  /* not yet past their end */
	uint64_t damaged;  /* whose check word is wrong (torn), or whose state or time is impossible
			    */
};
/*
 * Adds the next `slots` from *place on, which is 0 at first, to the stats, which are zeroed at
 * first (a million slots take tens of milliseconds). False: it was the last of them.
 */
bool ledger_count_some(const struct ledger *ledger, int64_t now_ms, uint64_t slots, uint64_t *place,
	struct ledger_stats *stats);
/* Reads the whole table. */
void ledger_count(const struct ledger *ledger, int64_t now_ms, struct ledger_stats *ret);
/*
 * Live share of 1,024 slots, in parts of a thousand: cheap. `random` picks the buckets; a table of
 * no more slots than that is read whole.
 */
unsigned ledger_fill_permille(const struct ledger *ledger, int64_t now_ms, uint64_t random);

#endif
