/*
 * How far the service's clock is ahead of this machine's, from the Date headers of its answers:
 * pure. Source: the AWS SDKs' clock skew correction (offset = Date - midpoint of the exchange).
 */
#ifndef AWS_SQS_SKEW_H
#define AWS_SQS_SKEW_H

#include <stdbool.h>
#include <stdint.h>

/* One exchange; the first two by this machine's wall clock. */
struct sqs_skew_sample {
	int64_t sent_epoch_ms;
	int64_t received_epoch_ms;
	int64_t date_epoch_ms; /* of the Date header; 0: none */
	bool aged;	       /* there was an Age header: the answer comes out of a cache */
};

/*
 * False, *ret_offset_ms untouched, when the sample says nothing: no Date, an Age, or an exchange of
 * 15 minutes or of less than nothing (the clock was set, or the machine slept).
 */
bool sqs_skew_measure(const struct sqs_skew_sample *sample, int64_t *ret_offset_ms);
/*
 * Between which two the offset lies, given that a Date has whole seconds and was made at any moment
 * of the exchange. False as above.
 */
bool sqs_skew_bounds(
	const struct sqs_skew_sample *sample, int64_t *ret_least_ms, int64_t *ret_most_ms);
/*
 * The offset to sign by from now on, given the one in force: the measured one when they differ by
 * SQS_SKEW_TOLERATED_MS or more, 0 in its place when it is less than that itself.
 */
int64_t sqs_skew_adopt(int64_t in_force_ms, int64_t measured_ms);

#endif
