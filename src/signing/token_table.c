#include "signing/token_table.h"

#include "base/siphash.h"
#include "bunshin/error.h"

#include <stdatomic.h>
#include <string.h>

#define MAGIC UINT64_C(0x6E656B6F74736E62) /* "bnstoken", read as a little-endian number */
#define VERSION 1

#define FUTURE_MS 60000		  /* a clock may be so far ahead of another */
#define FORGOTTEN_MS (86400000LL) /* after its end a slot may go to another */
#define CLAIM_RANDOM_BITS 16

struct token_header {
	uint64_t magic;
	uint32_t version;
	uint32_t slots;
	uint64_t checksum; /* of the three above */
	uint8_t reserved[40];
};

struct token_copy {
	uint64_t checksum; /* of all that follows, keyed by the identity */
	int64_t made_epoch_ms, ends_epoch_ms;
	uint64_t len;
	char text[4008];
};

struct token_slot {
	_Atomic uint64_t name;	/* of the identity; 0: free */
	_Atomic uint64_t claim; /* until when, and whose; 0: nobody's */
	_Atomic uint64_t
		version; /* of the token in force, whose copy is version % 2; 0: none yet */
	uint8_t reserved[TOKEN_IDENTITY_BYTES + 8];
	struct token_copy copies[2];
};

struct token_table {
	struct token_header header;
	struct token_slot slots[TOKEN_SLOTS];
};

_Static_assert(sizeof(struct token_copy) == TOKEN_COPY_BYTES, "the layout of the file");
_Static_assert(sizeof(struct token_slot) == TOKEN_SLOT_BYTES, "the layout of the file");
_Static_assert(sizeof(struct token_table) == TOKEN_FILE_BYTES, "the layout of the file");
_Static_assert(TOKEN_TEXT_MAX < sizeof(((struct token_copy *)0)->text), "room for the NUL");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "shared between processes: no hidden lock");

static uint64_t header_checksum(const struct token_header *header)
{
	static const uint8_t key[SIPHASH_KEY_BYTES];
	uint64_t sum[2];

	siphash_128(key, header, offsetof(struct token_header, checksum), sum);
	return sum[0];
}

static int format(void *arg, void *memory, size_t bytes)
{
	struct token_table *table = memory;

	if (bytes < TOKEN_FILE_BYTES)
		return ERR_ARGUMENT;
	table->header =
		(struct token_header){.magic = MAGIC, .version = VERSION, .slots = TOKEN_SLOTS};
	table->header.checksum = header_checksum(&table->header);
	return 0;
}

static int check(void *arg, const void *memory, size_t bytes, struct buf *reason)
{
	struct token_header header;

	if (bytes < TOKEN_FILE_BYTES) {
		buf_appendf(reason, "%zu bytes, not %zu", bytes, TOKEN_FILE_BYTES);
		return ERR_SYNTAX;
	}
	memcpy(&header, memory, sizeof(header));
	if (header.magic != MAGIC)
		buf_append_string(reason, "not a file of tokens");
	else if (header.version != VERSION)
		buf_appendf(reason, "version %u, this program knows %u", header.version, VERSION);
	else if (header.slots != TOKEN_SLOTS)
		buf_appendf(reason, "%u slots, not %u", header.slots, TOKEN_SLOTS);
	else if (header.checksum != header_checksum(&header))
		buf_append_string(reason, "the checksum of its header is wrong");
	else
		return 0;
	return ERR_SYNTAX;
}

const struct mapped_file_kind token_file = {.format = format, .check = check};

static uint64_t name_of(const uint8_t identity[TOKEN_IDENTITY_BYTES])
{
	uint64_t name;

	memcpy(&name, identity, sizeof(name));
	return name + (name == 0);
}

static uint64_t checksum(const struct token_copy *copy, const uint8_t *identity)
{
	const uint8_t *bytes = (const uint8_t *)copy + sizeof(copy->checksum);
	uint64_t sum[2];

	siphash_128(identity, bytes, sizeof(*copy) - sizeof(copy->checksum), sum);
	return sum[0] ^ sum[1];
}

/* What the slot holds has ended for so long that nobody needs it; no claim is looked at. */
static bool is_forgotten(const struct token_slot *slot, int64_t now_epoch_ms)
{
	uint64_t version = atomic_load(&slot->version);
	int64_t ends_epoch_ms = slot->copies[version % 2].ends_epoch_ms;

	return version != 0 && ends_epoch_ms >= 0 && now_epoch_ms > FORGOTTEN_MS &&
	       ends_epoch_ms < now_epoch_ms - FORGOTTEN_MS;
}

struct token_slot *token_slot_of(void *memory, size_t bytes,
	const uint8_t identity[TOKEN_IDENTITY_BYTES], int64_t now_epoch_ms)
{
	struct token_table *table = memory;
	uint64_t name = name_of(identity);

	if (bytes < TOKEN_FILE_BYTES)
		return NULL;
	for (size_t i = 0; i < TOKEN_SLOTS; i++) {
		struct token_slot *slot = &table->slots[(name + i) % TOKEN_SLOTS];
		uint64_t found = 0;

		/* Whoever comes second finds what the first has put there. */
		if (atomic_compare_exchange_strong(&slot->name, &found, name) || found == name)
			return slot;
	}
	for (size_t i = 0; i < TOKEN_SLOTS; i++) {
		struct token_slot *slot = &table->slots[(name + i) % TOKEN_SLOTS];
		uint64_t found = atomic_load(&slot->name);

		if (is_forgotten(slot, now_epoch_ms) &&
			atomic_compare_exchange_strong(&slot->name, &found, name))
			return slot;
	}
	return NULL;
}

uint64_t token_version(const struct token_slot *slot)
{
	return atomic_load_explicit(&slot->version, memory_order_acquire);
}

static bool is_printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return len > 0;
}

static bool is_good(const struct token_copy *copy, const uint8_t *identity, int64_t now_epoch_ms)
{
	return copy->len <= TOKEN_TEXT_MAX && copy->checksum == checksum(copy, identity) &&
	       copy->made_epoch_ms >= 0 && copy->made_epoch_ms - FUTURE_MS <= now_epoch_ms &&
	       copy->ends_epoch_ms > now_epoch_ms && is_printable(copy->text, (size_t)copy->len);
}

bool token_read(const struct token_slot *slot, const uint8_t identity[TOKEN_IDENTITY_BYTES],
	int64_t now_epoch_ms, struct token *ret)
{
	struct token_copy copy;
	bool good = false;

	/* A copy is written anew only once the other one is in force. */
	for (uint64_t version = token_version(slot), before = 0; version != before;
		version = token_version(slot)) {
		before = version;
		memcpy(&copy, &slot->copies[version % 2], sizeof(copy));
		atomic_thread_fence(memory_order_acquire);
		good = version != 0 && is_good(&copy, identity, now_epoch_ms);
	}
	explicit_bzero(ret, sizeof(*ret));
	if (good) {
		ret->made_epoch_ms = copy.made_epoch_ms;
		ret->ends_epoch_ms = copy.ends_epoch_ms;
		memcpy(ret->text, copy.text, (size_t)copy.len);
	}
	explicit_bzero(&copy, sizeof(copy));
	return good;
}

/* Until when a claim is good; one further ahead than any can be is none. */
static bool is_claimed(uint64_t claim, int64_t now_epoch_ms)
{
	int64_t until_epoch_ms = (int64_t)(claim >> CLAIM_RANDOM_BITS);

	return claim != 0 && until_epoch_ms > now_epoch_ms &&
	       until_epoch_ms <= now_epoch_ms + TOKEN_CLAIM_MAX_MS;
}

uint64_t token_claim(
	struct token_slot *slot, int64_t now_epoch_ms, int64_t until_epoch_ms, uint64_t random)
{
	uint64_t seen = atomic_load(&slot->claim);
	uint64_t claim = (uint64_t)until_epoch_ms << CLAIM_RANDOM_BITS |
			 (random & ((UINT64_C(1) << CLAIM_RANDOM_BITS) - 1));

	if (is_claimed(seen, now_epoch_ms) || claim == seen)
		return 0;
	return atomic_compare_exchange_strong(&slot->claim, &seen, claim) ? claim : 0;
}

bool token_publish(struct token_slot *slot, const uint8_t identity[TOKEN_IDENTITY_BYTES],
	uint64_t claim, const struct token *token)
{
	uint64_t version = atomic_load(&slot->version);
	struct token_copy *copy = &slot->copies[(version + 1) % 2];

	if (atomic_load(&slot->claim) != claim)
		return false;
	memset(copy, 0, sizeof(*copy));
	copy->made_epoch_ms = token->made_epoch_ms;
	copy->ends_epoch_ms = token->ends_epoch_ms;
	copy->len = strlen(token->text);
	memcpy(copy->text, token->text, (size_t)copy->len);
	copy->checksum = checksum(copy, identity);
	/* Whoever took the claim meanwhile has not seen this version change: one of the two wins.
	 */
	if (!atomic_compare_exchange_strong(&slot->version, &version, version + 1))
		return false;
	token_unclaim(slot, claim);
	return true;
}

void token_unclaim(struct token_slot *slot, uint64_t claim)
{
	atomic_compare_exchange_strong(&slot->claim, &claim, 0);
}
