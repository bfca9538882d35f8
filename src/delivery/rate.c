#include "delivery/rate.h"

#include "bunshin/error.h"

#include <stdatomic.h>
#include <string.h>

#define MAGIC UINT64_C(0x6574617262736E62) /* "bnsbrate", read as a little-endian number */
#define VERSION 2

#define BURST_NS 50000000
#define EARLY_NS 1000000
#define PAUSE_NS UINT64_C(1000000000)
#define DEBT_NS UINT64_C(1000000000)	 /* providers count by the second */
#define HELD_UP_NS UINT64_C(10000000000) /* and the debt is within it */
/* 31 years: what keeps every sum below from overflowing, whatever the configuration says. */
#define INTERVAL_MAX_NS UINT64_C(1000000000000000000)

struct rate_header {
	uint64_t magic; /* also tells another byte order */
	uint32_t version;
	uint32_t cells;
	uint64_t checksum; /* of the three above */
	uint8_t reserved[40];
};

struct rate_table {
	struct rate_header header;
	struct rate_cell cells[RATE_CELLS];
};

_Static_assert(sizeof(struct rate_table) == RATE_FILE_BYTES, "the layout of the file");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "shared between processes: no hidden lock");

/* FNV-1a, and MurmurHash3's finalizer so that the low bits depend on every byte. */
static uint64_t hash(const void *bytes, size_t count)
{
	const uint8_t *byte = bytes;
	uint64_t h = UINT64_C(0xCBF29CE484222325);

	for (size_t i = 0; i < count; i++)
		h = (h ^ byte[i]) * UINT64_C(0x100000001B3);
	h = (h ^ h >> 33) * UINT64_C(0xFF51AFD7ED558CCD);
	h = (h ^ h >> 33) * UINT64_C(0xC4CEB9FE1A85EC53);
	return h ^ h >> 33;
}

static uint64_t checksum(const struct rate_header *header)
{
	return hash(header, offsetof(struct rate_header, checksum));
}

static int format(void *arg, void *memory, size_t bytes)
{
	struct rate_table *table = memory;

	if (bytes < RATE_FILE_BYTES)
		return ERR_ARGUMENT;
	table->header =
		(struct rate_header){.magic = MAGIC, .version = VERSION, .cells = RATE_CELLS};
	table->header.checksum = checksum(&table->header);
	return 0;
}

static int check(void *arg, const void *memory, size_t bytes, struct buf *reason)
{
	struct rate_header header;

	if (bytes < RATE_FILE_BYTES) {
		buf_appendf(reason, "%zu bytes, not %zu", bytes, RATE_FILE_BYTES);
		return ERR_SYNTAX;
	}
	memcpy(&header, memory, sizeof(header));
	if (header.magic != MAGIC)
		buf_append_string(reason, "not a file of rates");
	else if (header.version != VERSION)
		buf_appendf(reason, "version %u, this program knows %u", header.version, VERSION);
	else if (header.cells != RATE_CELLS)
		buf_appendf(reason, "%u cells, not %u", header.cells, RATE_CELLS);
	else if (header.checksum != checksum(&header))
		buf_append_string(reason, "the checksum of its header is wrong");
	else
		return 0;
	return ERR_SYNTAX;
}

const struct mapped_file_kind rate_file = {.format = format, .check = check};

struct rate_cell *rate_cell_of(void *memory, size_t bytes, const char *destination)
{
	struct rate_table *table = memory;
	uint64_t name = hash(destination, strlen(destination));

	if (bytes < RATE_FILE_BYTES)
		return NULL;
	name += name == 0;
	for (size_t i = 0; i < RATE_CELLS; i++) {
		struct rate_cell *cell = &table->cells[(name + i) % RATE_CELLS];
		uint64_t found = 0;

		/* Whoever comes second finds what the first has put there. */
		if (atomic_compare_exchange_strong(&cell->name, &found, name) || found == name)
			return cell;
	}
	return NULL;
}

struct rate rate_make(struct rate_cell *cell, uint64_t count, int64_t per_ms, uint64_t hosts)
{
	unsigned __int128 span_ns = (unsigned __int128)(uint64_t)per_ms * 1000000;
	unsigned __int128 interval_ns;
	struct rate rate = {.cell = cell, .burst_ns = EARLY_NS};

	/* per_ms * 10^6 takes 83 bits at most; in two steps the product of the three fits. */
	interval_ns = span_ns > INTERVAL_MAX_NS ? INTERVAL_MAX_NS : span_ns;
	interval_ns = (interval_ns * hosts + count - 1) / count;
	rate.interval_ns = interval_ns > INTERVAL_MAX_NS ? INTERVAL_MAX_NS : (uint64_t)interval_ns;
	if (rate.interval_ns < BURST_NS - EARLY_NS)
		rate.burst_ns = BURST_NS - rate.interval_ns;
	return rate;
}

/* The burst is more than one token; else departures are not looked at. */
static bool counts_departures(const struct rate *rate)
{
	return rate->burst_ns > EARLY_NS;
}

/* When the latest request could have left at the earliest; 0: that holds nothing up. */
static uint64_t departure_ns(const struct rate *rate, uint64_t now_ns)
{
	uint64_t latest_ns;

	if (!counts_departures(rate))
		return 0;
	latest_ns = atomic_load_explicit(&rate->cell->departure_ns, memory_order_relaxed);
	/* An earlier boot's, or of a taker that was held up after it had read the clock. */
	return latest_ns > now_ns + HELD_UP_NS ? 0 : latest_ns;
}

/* When the next token is due, as it can be seen at now_ns: never before. */
static uint64_t due_ns(const struct rate *rate, uint64_t arrival_ns, uint64_t now_ns)
{
	uint64_t honest_ns = now_ns + rate->burst_ns + rate->interval_ns + HELD_UP_NS;
	uint64_t latest_ns = departure_ns(rate, now_ns);

	if (arrival_ns == 0 || arrival_ns + PAUSE_NS < now_ns || arrival_ns > honest_ns)
		arrival_ns = now_ns + rate->burst_ns - EARLY_NS;
	if (arrival_ns < latest_ns)
		arrival_ns = latest_ns;
	return arrival_ns < now_ns ? now_ns : arrival_ns;
}

bool rate_take(const struct rate *rate, uint64_t now_us, uint64_t *ret_wait_us)
{
	uint64_t now_ns = now_us * 1000;
	uint64_t arrival_ns, next_ns;

	if (!rate->cell)
		return true;
	/* Relaxed: the number stands for itself, nothing else is published by it. */
	arrival_ns = atomic_load_explicit(&rate->cell->arrival_ns, memory_order_relaxed);
	do {
		next_ns = due_ns(rate, arrival_ns, now_ns);
		if (next_ns - now_ns > rate->burst_ns) {
			*ret_wait_us = (next_ns - now_ns - rate->burst_ns + 999) / 1000;
			return false;
		}
		next_ns += rate->interval_ns;
	} while (!atomic_compare_exchange_weak_explicit(&rate->cell->arrival_ns, &arrival_ns,
		next_ns, memory_order_relaxed, memory_order_relaxed));
	return true;
}

void rate_depart(const struct rate *rate, uint64_t now_us)
{
	uint64_t now_ns = now_us * 1000;
	uint64_t latest_ns, next_ns;

	if (!rate->cell || !counts_departures(rate))
		return;
	latest_ns = atomic_load_explicit(&rate->cell->departure_ns, memory_order_relaxed);
	do {
		next_ns = latest_ns + rate->interval_ns;
		if (next_ns < now_ns || latest_ns > now_ns + HELD_UP_NS)
			next_ns = now_ns;
		else if (next_ns > now_ns + DEBT_NS)
			next_ns = now_ns + DEBT_NS;
	} while (!atomic_compare_exchange_weak_explicit(&rate->cell->departure_ns, &latest_ns,
		next_ns, memory_order_relaxed, memory_order_relaxed));
}

bool rate_has(const struct rate *rate, uint64_t now_us, uint64_t *ret_wait_us)
{
	uint64_t now_ns = now_us * 1000, next_ns;

	if (!rate->cell)
		return true;
	next_ns = due_ns(rate, rate_arrival_ns(rate), now_ns);
	if (next_ns - now_ns <= rate->burst_ns)
		return true;
	*ret_wait_us = (next_ns - now_ns - rate->burst_ns + 999) / 1000;
	return false;
}

uint64_t rate_arrival_ns(const struct rate *rate)
{
	return rate->cell ? atomic_load_explicit(&rate->cell->arrival_ns, memory_order_relaxed) : 0;
}

bool rate_rein(const struct rate *rate, uint64_t arrival_ns, uint64_t now_us)
{
	uint64_t furthest_ns = now_us * 1000 + rate->burst_ns + rate->interval_ns;

	if (!rate->cell || arrival_ns <= furthest_ns)
		return true;
	return atomic_compare_exchange_strong_explicit(&rate->cell->arrival_ns, &arrival_ns,
		furthest_ns, memory_order_relaxed, memory_order_relaxed);
}

uint64_t rate_burst(const struct rate *rate)
{
	return rate->cell ? 1 + rate->burst_ns / rate->interval_ns : UINT64_MAX;
}

uint64_t rate_within(const struct rate *rate, uint64_t now_us, uint64_t horizon_us)
{
	uint64_t now_ns = now_us * 1000;
	uint64_t ahead_ns;
	unsigned __int128 reach_ns = (unsigned __int128)horizon_us * 1000 + rate->burst_ns;

	if (!rate->cell)
		return UINT64_MAX;
	ahead_ns = due_ns(rate, atomic_load_explicit(&rate->cell->arrival_ns, memory_order_relaxed),
			   now_ns) -
		   now_ns;
	if (reach_ns < ahead_ns)
		return 0;
	reach_ns = (reach_ns - ahead_ns) / rate->interval_ns;
	return reach_ns >= UINT64_MAX ? UINT64_MAX : (uint64_t)reach_ns + 1;
}
