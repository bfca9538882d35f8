#include "latency.h"

/* A time below 2^SLOT_BITS has a slot of its own; each doubling above has as many slots. */
static unsigned slot_of(uint64_t ns)
{
	unsigned shift;

	if (ns >> LATENCY_SLOT_BITS == 0)
		return (unsigned)ns;
	shift = 63 - LATENCY_SLOT_BITS - (unsigned)__builtin_clzll(ns);
	return (shift << LATENCY_SLOT_BITS) + (unsigned)(ns >> shift);
}

/* The longest time that falls into the slot. */
static uint64_t end_of(unsigned slot)
{
	unsigned shift = slot >> LATENCY_SLOT_BITS;

	if (shift <= 1)
		return slot;
	shift--;
	return (((uint64_t)(slot - (shift << LATENCY_SLOT_BITS)) + 1) << shift) - 1;
}

void latency_add(struct latency *latency, uint64_t took_ns)
{
	latency->count++;
	latency->slots[slot_of(took_ns)]++;
	if (took_ns > latency->worst_ns)
		latency->worst_ns = took_ns;
}

void latency_merge(struct latency *latency, const struct latency *from)
{
	latency->count += from->count;
	for (unsigned i = 0; i < LATENCY_SLOTS; i++)
		latency->slots[i] += from->slots[i];
	if (from->worst_ns > latency->worst_ns)
		latency->worst_ns = from->worst_ns;
}

double latency_ms(const struct latency *latency, double share)
{
	uint64_t wanted = (uint64_t)((double)latency->count * share), seen = 0;

	for (unsigned i = 0; i < LATENCY_SLOTS; i++) {
		seen += latency->slots[i];
		if (seen > 0 && seen >= wanted)
			return (double)(end_of(i) < latency->worst_ns ? end_of(i)
								      : latency->worst_ns) /
			       1e6;
	}
	return 0;
}

void latency_print(FILE *to, const char *name, const struct latency *latency)
{
	fprintf(to,
		"\"%s\":{\"count\":%llu,\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,"
		"\"p999_ms\":%.3f,\"max_ms\":%.3f}",
		name, (unsigned long long)latency->count, latency_ms(latency, .5),
		latency_ms(latency, .9), latency_ms(latency, .99), latency_ms(latency, .999),
		(double)latency->worst_ns / 1e6);
}
