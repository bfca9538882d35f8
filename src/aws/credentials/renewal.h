/*
 * When keys are asked for again: pure. Times are in milliseconds; `random` is 64 uniformly random
 * bits.
 */
#ifndef AWS_CREDENTIALS_RENEWAL_H
#define AWS_CREDENTIALS_RENEWAL_H

#include <stdint.h>

/*
 * From the arrival of keys that have left_ms to their expiry. They have a window of 15 minutes or
 * half of left_ms, whichever is less; the renewal is due between its beginning and its middle, but
 * never before a second or a quarter of left_ms has passed, whichever is more. With nothing left
 * (one of the two clocks is wrong): between 45 and 75 s. More than a year counts as a year.
 */
int64_t credentials_renewal_delay_ms(int64_t left_ms, uint64_t random);

/*
 * After the failures-th failure in a row (1 the first): between 0 and 1 s, then 2 s, 4 s, up to 1
 * minute, but never less than 250 ms.
 */
int64_t credentials_retry_delay_ms(unsigned failures, uint64_t random);

/* The same for keys that serve past their expiry: between 2 and 10 minutes. */
int64_t credentials_outlived_delay_ms(uint64_t random);

#endif
