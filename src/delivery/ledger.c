/*
 * Words and who may write them
 * ----------------------------
 * A slot is four words: key, key, meta, check. It holds an entry if and only if check is
 * check_of(key, meta); anything else is no entry, whatever it is. The check word is also the lock:
 *
 *	 0		free
 *	 a mark		somebody writes; until the mark's time. Marks look like any damage, and are
 *			only believed while their time is ahead, so a dead writer's slot comes free
 *	 check_of()	an entry
 *
 * It only ever changes by compare and swap:
 *
 *	take()		what was seen -> own mark, if it is free, past, damaged, or the oldest
 *	fill()		stores key and meta, then own mark -> check_of(): now it is an entry
 *	release		own claim's check -> 0
 *
 * No false acceptance
 * -------------------
 * Whoever says ACCEPTED has read words k, m, c with c = check_of(k, m) and "accepted" in m. If
 *fill() was called with (k, m), a provider did accept k. If not, then c is a mark, garbage, or the
 *check of another entry (k', m'), and equals check_of(k, m) by chance of 1 in 2^64 only; if just
 *one of the three words differs, not even that, since check_of() is a bijection in each of them. It
 *does not matter when each word was read or written, so none of the following can bring it about:
 *
 * - A reader in the middle of a write: the words are of two entries; no entry.
 * - A writer killed after any of its stores: before fill()'s swap the check word is its mark (no
 *   entry, free when its time is over); after it, a whole entry.
 * - Two writers at one slot: one wins the take(). The other goes and chooses again.
 * - A writer stopped for so long that its mark was over and another took the slot: its late stores
 *   tear the other's entry, which is then no entry; its swap fails, as the check word is no longer
 *   its mark, and it writes elsewhere. Should the check word be the same mark again (same time and
 *   nonce), the swap leaves either a torn slot or exactly what this writer meant to write.
 * - A crash of the machine, which may write back old and new words mixed: no entry, or an old one,
 *   which was true.
 *
 * At most one claim
 * -----------------
 * Two that claim one key both publish their claim, then both fence, then both look again. One of
 *the fences is first in the total order of sequentially consistent fences, and what is stored
 *before the first is seen by the loads after the second (C11 7.17.3): at least one sees the other,
 *and withdraws. If both do, both go round again; who finds the other's claim then answers busy.
 *
 * An acceptance replaces its claim in place: own claim's check -> mark, meta, mark -> check. The
 * mark says so ("accepting", until the claim's end), and the key words stay as they are all the
 * while, so a reader who meets it counts it as the claim. He reads the words again if the check
 *word has changed meanwhile, so he cannot take the old check with the new meta for no entry: the
 * fence after take() and the one in read_slot() order the two, as in a sequence lock.
 */
#include "delivery/ledger.h"

#include "base/random.h"
#include "bunshin/error.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

/* What runs for each of sixteen slots, twice a claim: a quarter of a claim's time. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

#define MAGIC UINT64_C(0x72656764656c6e42) /* "Bnledger" in the file of a little-endian machine */
#define VERSION 1

#define BUCKET_SLOTS 8
#define NOWHERE SIZE_MAX
#define ROUNDS 8	    /* of claiming while another does the same */
#define TRIES 64	    /* to take a slot, or to read one, that others keep changing */
#define MARK_LIFE_MS 1000   /* a writer needs nanoseconds, unless it was stopped */
#define SAMPLE_BUCKETS 128u /* of ledger_fill_permille() */

struct slot {
	_Atomic uint64_t key[2];
	_Atomic uint64_t meta;
	_Atomic uint64_t check;
};

struct header {
	uint64_t magic; /* native byte order: another machine's file is not ours */
	uint64_t version;
	uint64_t buckets;
	uint8_t hash_key[SIPHASH_KEY_BYTES];
	uint64_t checksum; /* of what is above */
};

struct ledger_table {
	struct header header;
	_Atomic uint64_t attached; /* how often: the start of each one's nonces */
	uint8_t unused[LEDGER_HEADER_BYTES - sizeof(struct header) - sizeof(uint64_t)];
	struct slot slots[];
};

_Static_assert(sizeof(struct slot) == LEDGER_SLOT_BYTES, "the file's layout");
_Static_assert(sizeof(struct ledger_table) == LEDGER_HEADER_BYTES, "the file's layout");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock would not be shared by processes");

/*
 * The meta word and a mark: two bits of kind, 46 of time, 16 of a nonce. The nonce tells two claims
 * of one slot apart where nothing else does: the same key and the same end, which takes a clock
 * that was set back.
 */
enum kind {
	META_ACCEPTED = 1, /* when */
	META_CLAIMED = 2,  /* until when */
	MARK_WRITING = 1,  /* until when it is believed */
	MARK_ACCEPTING = 2,
};

#define NONCE_BITS 16
#define KIND_SHIFT 62

enum state {
	/* Free to take: */
	STATE_FREE,
	STATE_PAST, /* whole, but older than the window, or past its end */
	STATE_DAMAGED,
	/* Not: */
	STATE_WRITING,
	STATE_ACCEPTING,
	STATE_CLAIMED,
	STATE_ACCEPTED,
};

#define LAST_FREE_STATE STATE_DAMAGED

/* A slot's words as they stood together, and what they are. */
struct view {
	struct ledger_key key;
	uint64_t meta;
	uint64_t check;
	enum state state;
	int64_t time_ms; /* of acceptance, or the end of a claim or mark */
};

static uint64_t pack(enum kind kind, int64_t time_ms, uint64_t nonce)
{
	return (uint64_t)kind << KIND_SHIFT | (uint64_t)time_ms << NONCE_BITS |
	       (nonce & ((1 << NONCE_BITS) - 1));
}

static enum kind kind_of(uint64_t word)
{
	return (enum kind)(word >> KIND_SHIFT);
}

static int64_t time_of(uint64_t word)
{
	return (int64_t)(word << (64 - KIND_SHIFT) >> (64 - KIND_SHIFT + NONCE_BITS));
}

static int64_t clamp_time(int64_t time_ms)
{
	if (time_ms < 0)
		return 0;
	return time_ms < LEDGER_TIME_MAX_MS ? time_ms : LEDGER_TIME_MAX_MS;
}

/*
 * A change of any one word always changes it: every step is a bijection (odd multipliers, and
 * MurmurHash3's finalizer by Appleby at the end). Keyed by the file, so that a block of another
 * ledger that the disk left here fits nothing. It guards against accidents: who can write the file
 * can also read the key.
 */
static ALWAYS_INLINE uint64_t check_of(
	const struct ledger *ledger, struct ledger_key key, uint64_t meta)
{
	uint64_t x = (key.word[0] ^ ledger->check_key[0]) * UINT64_C(0x9e3779b97f4a7c15);

	x = ((x ^ x >> 32) + key.word[1]) * UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32 ^ ledger->check_key[1] ^ meta;
	x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
	x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ x >> 33;
}

/* Reading. */

static ALWAYS_INLINE struct view read_slot(const struct slot *slot)
{
	struct view view;

	for (int i = 0; i < TRIES; i++) {
		view.check = atomic_load_explicit(&slot->check, memory_order_acquire);
		view.key.word[0] = atomic_load_explicit(&slot->key[0], memory_order_relaxed);
		view.key.word[1] = atomic_load_explicit(&slot->key[1], memory_order_relaxed);
		view.meta = atomic_load_explicit(&slot->meta, memory_order_relaxed);
		/* Who has read a word stored after a take() sees that take() in the check word. */
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&slot->check, memory_order_relaxed) == view.check)
			break;
	}
	return view;
}

static enum state judge_entry(const struct ledger *ledger, uint64_t meta, int64_t now_ms)
{
	int64_t time_ms = time_of(meta), ahead_ms = time_ms - now_ms;

	switch (kind_of(meta)) {
	case META_ACCEPTED:
		if (ahead_ms > ledger->window_ms)
			return STATE_DAMAGED;
		return -ahead_ms < ledger->window_ms ? STATE_ACCEPTED : STATE_PAST;
	case META_CLAIMED:
		/* Twice what is ever written: the writer's clock may be ahead of this reader's. */
		if (ahead_ms > 2 * LEDGER_CLAIM_MAX_MS)
			return STATE_DAMAGED;
		return ahead_ms > 0 ? STATE_CLAIMED : STATE_PAST;
	default:
		return STATE_DAMAGED;
	}
}

static enum state judge_mark(uint64_t mark, int64_t now_ms)
{
	int64_t ahead_ms = time_of(mark) - now_ms;

	if (kind_of(mark) == MARK_WRITING && ahead_ms > 0 && ahead_ms <= 2 * MARK_LIFE_MS)
		return STATE_WRITING;
	if (kind_of(mark) == MARK_ACCEPTING && ahead_ms > 0 && ahead_ms <= 2 * LEDGER_CLAIM_MAX_MS)
		return STATE_ACCEPTING;
	return STATE_DAMAGED;
}

static ALWAYS_INLINE struct view examine(const struct ledger *ledger, size_t slot, int64_t now_ms)
{
	struct view view = read_slot(&ledger->table->slots[slot]);

	if (view.check == 0) {
		view.state = STATE_FREE;
		view.time_ms = 0;
	} else if (view.check == check_of(ledger, view.key, view.meta)) {
		view.state = judge_entry(ledger, view.meta, now_ms);
		view.time_ms = time_of(view.meta);
	} else {
		view.state = judge_mark(view.check, now_ms);
		view.time_ms = time_of(view.check);
	}
	return view;
}

/* The first slots of the key's two buckets, on their way into the cache. */
static void find_buckets(const struct ledger *ledger, struct ledger_key key, size_t ret_first[2])
{
	uint64_t one = random_below(key.word[0], ledger->buckets);
	uint64_t other = random_below(key.word[1], ledger->buckets);

	if (other == one)
		other = (one + 1) % ledger->buckets;
	ret_first[0] = (size_t)one * BUCKET_SLOTS;
	ret_first[1] = (size_t)other * BUCKET_SLOTS;
	for (int i = 0; i < 2; i++)
		for (size_t k = 0; k < BUCKET_SLOTS; k += 2)
			__builtin_prefetch(&ledger->table->slots[ret_first[i] + k]);
}

/* Cheap, and right for every claim and acceptance that was there before this call's fence. */
static bool may_hold(const struct slot *slot, struct ledger_key key)
{
	return atomic_load_explicit(&slot->key[0], memory_order_relaxed) == key.word[0] &&
	       atomic_load_explicit(&slot->key[1], memory_order_relaxed) == key.word[1];
}

/* What the table says of the key, one slot left out. *ret_end_ms is set with LEDGER_BUSY. */
static enum ledger_answer look(const struct ledger *ledger, const size_t first[2],
	struct ledger_key key, int64_t now_ms, size_t except, int64_t *ret_end_ms)
{
	int64_t end_ms = 0;

	for (size_t i = 0; i < 2 * BUCKET_SLOTS; i++) {
		size_t slot = first[i / BUCKET_SLOTS] + i % BUCKET_SLOTS;
		struct view view;

		if (slot == except || !may_hold(&ledger->table->slots[slot], key))
			continue;
		view = examine(ledger, slot, now_ms);
		if (memcmp(&view.key, &key, sizeof(key)) != 0)
			continue;
		if (view.state == STATE_ACCEPTED)
			return LEDGER_ACCEPTED;
		if ((view.state == STATE_CLAIMED || view.state == STATE_ACCEPTING) &&
			view.time_ms > end_ms)
			end_ms = view.time_ms;
	}
	if (end_ms == 0)
		return LEDGER_CLAIMED;
	*ret_end_ms = end_ms;
	return LEDGER_BUSY;
}

/* Writing. */

static bool take(struct slot *slot, uint64_t seen, uint64_t mark)
{
	bool taken = atomic_compare_exchange_strong_explicit(
		&slot->check, &seen, mark, memory_order_acq_rel, memory_order_relaxed);

	/* Before the stores of fill(), for read_slot(). */
	atomic_thread_fence(memory_order_release);
	return taken;
}

/* False: it took so long that somebody else has taken the slot. */
static bool fill(const struct ledger *ledger, struct slot *slot, uint64_t mark,
	struct ledger_key key, uint64_t meta)
{
	atomic_store_explicit(&slot->key[0], key.word[0], memory_order_relaxed);
	atomic_store_explicit(&slot->key[1], key.word[1], memory_order_relaxed);
	atomic_store_explicit(&slot->meta, meta, memory_order_relaxed);
	return atomic_compare_exchange_strong_explicit(&slot->check, &mark,
		check_of(ledger, key, meta), memory_order_release, memory_order_relaxed);
}

static uint64_t make_mark(struct ledger *ledger, enum kind kind, int64_t end_ms)
{
	return pack(kind, clamp_time(end_ms), ledger->nonce++);
}

/* A slot to write to. */
struct choice {
	size_t slot; /* NOWHERE: none */
	uint64_t check;
	int64_t time_ms; /* of what is in it */
};

/*
 * Slots free to take in one bucket, the one of them to take, and the oldest acceptance so far. Of
 * free ones the emptiest, then the oldest: what is past for this worker's clock may not be for
 * another's, and nobody needs it overwritten while there is room.
 */
static unsigned survey(const struct ledger *ledger, size_t first, int64_t now_ms,
	struct choice *ret_free, struct choice *oldest)
{
	unsigned count = 0;

	for (size_t slot = first; slot < first + BUCKET_SLOTS; slot++) {
		struct view view = examine(ledger, slot, now_ms);
		struct choice this = {slot, view.check, view.time_ms};

		if (view.state <= LAST_FREE_STATE &&
			(count++ == 0 || view.time_ms < ret_free->time_ms))
			*ret_free = this;
		if (view.state == STATE_ACCEPTED &&
			(oldest->slot == NOWHERE || view.time_ms < oldest->time_ms))
			*oldest = this;
	}
	return count;
}

/* In the bucket with more room; with none in both, in place of their oldest acceptance. */
static struct choice choose(
	const struct ledger *ledger, const size_t first[2], int64_t now_ms, bool *ret_cut)
{
	struct choice free_slot[2] = {{.slot = NOWHERE}, {.slot = NOWHERE}};
	struct choice oldest = {.slot = NOWHERE};
	unsigned room = survey(ledger, first[0], now_ms, &free_slot[0], &oldest);
	unsigned other_room = survey(ledger, first[1], now_ms, &free_slot[1], &oldest);
	bool pick;

	*ret_cut = room == 0 && other_room == 0 && oldest.slot != NOWHERE;
	if (*ret_cut)
		return oldest;
	pick = other_room > room;
	if (free_slot[!pick].slot != NOWHERE && free_slot[!pick].time_ms == 0 &&
		free_slot[pick].time_ms != 0)
		pick = !pick;
	return free_slot[pick];
}

static void count_cut(struct ledger *ledger, int64_t age_ms)
{
	ledger->cut_short++;
	ledger->cut_age_ms = age_ms > 1 ? age_ms : 1;
}

/* The slot that now holds it, or NOWHERE. */
static size_t insert(struct ledger *ledger, const size_t first[2], struct ledger_key key,
	uint64_t meta, int64_t now_ms)
{
	for (int i = 0; i < TRIES; i++) {
		bool cut;
		struct choice choice = choose(ledger, first, now_ms, &cut);
		uint64_t mark;

		if (choice.slot == NOWHERE)
			break;
		mark = make_mark(ledger, MARK_WRITING, now_ms + MARK_LIFE_MS);
		if (!take(&ledger->table->slots[choice.slot], choice.check, mark))
			continue;
		if (cut)
			count_cut(ledger, now_ms - choice.time_ms);
		if (fill(ledger, &ledger->table->slots[choice.slot], mark, key, meta))
			return choice.slot;
	}
	return NOWHERE;
}

/* The claim's slot if it is one at all; the claim is the caller's word, not the file's. */
static struct slot *slot_of(const struct ledger *ledger, struct ledger_claim claim)
{
	if (!ledger->table || claim.meta == 0)
		return NULL;
	assert(claim.slot < ledger->buckets * BUCKET_SLOTS);
	return &ledger->table->slots[claim.slot];
}

/* LEDGER_CLAIMED; or what another was seen to have, and then nothing is left of the claim. */
static enum ledger_answer write_claim(struct ledger *ledger, const size_t first[2],
	struct ledger_key key, int64_t now_ms, int64_t until_ms, struct ledger_claim *ret_claim)
{
	struct ledger_claim claim = {.meta = pack(META_CLAIMED, until_ms, ledger->nonce++)};
	enum ledger_answer answer;
	int64_t end_ms;

	claim.slot = until_ms > now_ms ? insert(ledger, first, key, claim.meta, now_ms) : NOWHERE;
	if (claim.slot == NOWHERE) {
		ledger->unwritten += until_ms > now_ms;
		*ret_claim = (struct ledger_claim){0};
		return LEDGER_CLAIMED;
	}
	atomic_thread_fence(memory_order_seq_cst);
	answer = look(ledger, first, key, now_ms, claim.slot, &end_ms);
	if (answer == LEDGER_CLAIMED)
		*ret_claim = claim;
	else
		ledger_release(ledger, key, claim);
	return answer;
}

enum ledger_answer ledger_claim(struct ledger *ledger, struct ledger_key key, int64_t now_ms,
	int64_t until_ms, struct ledger_claim *ret_claim, int64_t *ret_until_ms)
{
	enum ledger_answer answer;
	int64_t end_ms;
	size_t first[2];

	now_ms = clamp_time(now_ms);
	until_ms = clamp_time(until_ms);
	if (until_ms - now_ms > LEDGER_CLAIM_MAX_MS)
		until_ms = now_ms + LEDGER_CLAIM_MAX_MS;
	if (!ledger->table) {
		*ret_claim = (struct ledger_claim){0};
		return LEDGER_CLAIMED;
	}
	find_buckets(ledger, key, first);
	for (int i = 0; i < ROUNDS; i++) {
		answer = look(ledger, first, key, now_ms, NOWHERE, &end_ms);
		if (answer == LEDGER_BUSY)
			*ret_until_ms = end_ms;
		if (answer != LEDGER_CLAIMED)
			return answer;
		answer = write_claim(ledger, first, key, now_ms, until_ms, ret_claim);
		if (answer != LEDGER_BUSY)
			return answer;
	}
	*ret_until_ms = now_ms + 1;
	return LEDGER_BUSY;
}

void ledger_release(struct ledger *ledger, struct ledger_key key, struct ledger_claim claim)
{
	struct slot *slot = slot_of(ledger, claim);
	uint64_t check = check_of(ledger, key, claim.meta);

	/* The check word stands for the whole entry, so this is it or it is not there. */
	if (slot)
		atomic_compare_exchange_strong_explicit(
			&slot->check, &check, 0, memory_order_release, memory_order_relaxed);
}

void ledger_accept(
	struct ledger *ledger, struct ledger_key key, struct ledger_claim claim, int64_t now_ms)
{
	struct slot *slot = slot_of(ledger, claim);
	size_t first[2];
	uint64_t meta;

	if (!ledger->table)
		return;
	now_ms = clamp_time(now_ms);
	meta = pack(META_ACCEPTED, now_ms, ledger->nonce++);
	if (slot) {
		int64_t claim_end_ms = time_of(claim.meta), end_ms = now_ms + MARK_LIFE_MS;
		uint64_t mark = make_mark(
			ledger, MARK_ACCEPTING, claim_end_ms > end_ms ? claim_end_ms : end_ms);

		if (take(slot, check_of(ledger, key, claim.meta), mark) &&
			fill(ledger, slot, mark, key, meta))
			return;
	}
	find_buckets(ledger, key, first);
	if (insert(ledger, first, key, meta, now_ms) == NOWHERE)
		count_cut(ledger, 0);
}

/* The file. */

static uint64_t checksum(const struct header *header)
{
	uint64_t hash[2];

	siphash_128(header->hash_key, header, offsetof(struct header, checksum), hash);
	return hash[0];
}

static uint64_t buckets_of(size_t bytes)
{
	return (bytes - LEDGER_HEADER_BYTES) / (BUCKET_SLOTS * LEDGER_SLOT_BYTES);
}

static int format(void *arg, void *memory, size_t bytes)
{
	struct header header = {.magic = MAGIC, .version = VERSION};

	if (bytes < LEDGER_BYTES_MIN)
		return ERR_ARGUMENT;
	header.buckets = buckets_of(bytes);
	memcpy(header.hash_key, arg, sizeof(header.hash_key));
	header.checksum = checksum(&header);
	memcpy(memory, &header, sizeof(header));
	return 0;
}

static int check(void *arg, const void *memory, size_t bytes, struct buf *reason)
{
	struct header header;

	if (bytes < LEDGER_BYTES_MIN) {
		buf_appendf(
			reason, "%zu bytes, and a ledger has at least %d", bytes, LEDGER_BYTES_MIN);
		return ERR_SYNTAX;
	}
	memcpy(&header, memory, sizeof(header));
	if (header.magic != MAGIC)
		buf_append_string(reason, "not a ledger");
	else if (header.version != VERSION)
		buf_appendf(reason, "version %" PRIu64 ", this program knows %d", header.version,
			VERSION);
	else if (header.checksum != checksum(&header))
		buf_append_string(reason, "its header is damaged");
	else if (header.buckets != buckets_of(bytes))
		buf_appendf(reason,
			"made for %" PRIu64 " buckets, and its size is that of %" PRIu64,
			header.buckets, buckets_of(bytes));
	else
		return 0;
	return ERR_SYNTAX;
}

const struct mapped_file_kind ledger_file = {.format = format, .check = check};

int ledger_attach(void *memory, size_t bytes, int64_t window_ms, struct ledger *ret)
{
	struct buf reason = BUF_INIT(0);
	struct ledger_table *table = memory;
	int err = check(NULL, memory, bytes, &reason);

	buf_free(&reason);
	if (err || window_ms < 1 || window_ms > LEDGER_WINDOW_MAX_MS ||
		(uintptr_t)memory % LEDGER_SLOT_BYTES)
		return ERR_ARGUMENT;
	*ret = (struct ledger){
		.table = table,
		.window_ms = window_ms,
		.buckets = buckets_of(bytes),
	};
	memcpy(ret->hash_key, table->header.hash_key, sizeof(ret->hash_key));
	memcpy(ret->check_key, ret->hash_key, sizeof(ret->check_key));
	/* An odd step: the nonces of those that attach one after another begin far apart. */
	ret->nonce = atomic_fetch_add_explicit(&table->attached, 1, memory_order_relaxed) *
		     UINT64_C(0x9E37);
	return 0;
}

struct ledger_key ledger_key_of(
	const struct ledger *ledger, const char *destination, const char *idempotency_key)
{
	/* A key of its own for each destination: no two pairs are one text when put together. */
	uint8_t own[SIPHASH_KEY_BYTES];
	struct ledger_key key;
	uint64_t hash[2];

	siphash_128(ledger->hash_key, destination, strlen(destination), hash);
	memcpy(own, hash, sizeof(own));
	siphash_128(own, idempotency_key, strlen(idempotency_key), key.word);
	return key;
}

/* Numbers. */

uint64_t ledger_places(const struct ledger *ledger)
{
	return ledger->buckets * BUCKET_SLOTS;
}

bool ledger_count_some(const struct ledger *ledger, int64_t now_ms, uint64_t slots, uint64_t *place,
	struct ledger_stats *stats)
{
	uint64_t end;

	stats->slots = ledger->table ? ledger_places(ledger) : 0;
	end = slots < stats->slots - *place ? *place + slots : stats->slots;
	for (; *place < end; ++*place) {
		enum state state = examine(ledger, *place, clamp_time(now_ms)).state;

		stats->accepted += state == STATE_ACCEPTED;
		stats->claimed += state == STATE_CLAIMED || state == STATE_ACCEPTING;
		stats->damaged += state == STATE_DAMAGED;
	}
	return end < stats->slots;
}

void ledger_count(const struct ledger *ledger, int64_t now_ms, struct ledger_stats *ret)
{
	struct ledger_stats stats = {0};
	uint64_t place = 0;

	ledger_count_some(ledger, now_ms, UINT64_MAX, &place, &stats);
	*ret = stats;
}

unsigned ledger_fill_permille(const struct ledger *ledger, int64_t now_ms, uint64_t random)
{
	bool all = ledger->buckets <= SAMPLE_BUCKETS;
	uint64_t buckets = all ? ledger->buckets : SAMPLE_BUCKETS, live = 0;

	if (!ledger->table)
		return 0;
	for (uint64_t i = 0; i < buckets; i++) {
		uint64_t bucket =
			all ? i : random_below(random_split_mix(&random), ledger->buckets);

		for (size_t k = 0; k < BUCKET_SLOTS; k++)
			live += examine(ledger, bucket * BUCKET_SLOTS + k, clamp_time(now_ms))
					.state > LAST_FREE_STATE;
	}
	return (unsigned)(live * 1000 / (buckets * BUCKET_SLOTS));
}
