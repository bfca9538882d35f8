/*
 * How long requests took, in slots whose width grows with the time: bounded memory whatever their
 * number, and at most 1.6 % off.
 */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <stdint.h>
#include <stdio.h>

#define LATENCY_SLOT_BITS 6
#define LATENCY_SLOTS ((64 - LATENCY_SLOT_BITS + 1) << LATENCY_SLOT_BITS)

/* All zero: none yet. */
struct latency {
	uint64_t count, worst_ns;
	uint32_t slots[LATENCY_SLOTS];
};

void latency_add(struct latency *latency, uint64_t took_ns);

/* Adds what `from` has. */
void latency_merge(struct latency *latency, const struct latency *from);

/* The time that `share` (0 to 1) of them were not longer than; 0 when there are none. */
double latency_ms(const struct latency *latency, double share);

/* A member of a JSON object: "name":{"count":N,"p50_ms":...}, without a comma. */
void latency_print(FILE *to, const char *name, const struct latency *latency);

#endif
