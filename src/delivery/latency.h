/*
 * How long the queue's answers take, smoothed, and a bound that nearly all of them keep: the
 * retransmission timer's estimator (RFC 6298, section 2). Pure.
 */
#ifndef DELIVERY_LATENCY_H
#define DELIVERY_LATENCY_H

#include <stdint.h>

struct latency {
	uint64_t mean_us;      /* 0: nothing measured yet */
	uint64_t deviation_us; /* mean deviation */
};

void latency_record(struct latency *latency, uint64_t us);
/* Mean and four deviations, at least 10 ms; 1 s while nothing has been measured. */
uint64_t latency_bound_us(const struct latency *latency);

#endif
