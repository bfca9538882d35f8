/*
 * The SDKs' standard retry mode, 2026 revision: pure. Source: AWS SDKs and Tools Reference Guide,
 * "Retry behavior".
 *
 * Before repetition i (0, 1, ...) it waits a random part t of min(s * 2^i, 20 s), s = 50 ms, or 1 s
 * after a throttle. A time that the server names (x-amz-retry-after, ms) is kept to as far as it
 * lies between t and t + 5 s, and cut to that otherwise: no answer makes a call wait longer than 25
 * s. A repetition costs 14 tokens of a bucket of 500, 5 after a throttle; a success gives the cost
 * of its last repetition back, or 1 when it needed none. With too few tokens there is no repetition
 * (but the wait, so that a loop over calls does not spin).
 */
#ifndef AWS_SQS_RETRY_H
#define AWS_SQS_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct sqs_retry_bucket {
	unsigned tokens;
};

/* Of one call; zeroed at its start. */
struct sqs_retry {
	unsigned attempts; /* that have failed */
	unsigned cost;	   /* taken for the repetition under way */
};

struct sqs_retry_decision {
	bool again;	  /* repeat, after: */
	int64_t delay_ms; /* meaningful without `again`, too, when exhausted; else 0 */
	bool exhausted;	  /* not repeated for want of tokens */
};

void sqs_retry_bucket_init(struct sqs_retry_bucket *bucket);
/*
 * Whether the standard mode repeats this error of bunshin/error.h at all: what the transport
 * reports but for answers past a limit, ERR_UNAVAILABLE, ERR_THROTTLED. ERR_OVER_LIMIT is not among
 * them: too many messages in flight are not fewer a second later.
 */
bool sqs_retry_is_for(int err);
/* One more attempt has failed with err. retry_after_ms: -1, the server named none. */
struct sqs_retry_decision sqs_retry_failed(struct sqs_retry *retry, struct sqs_retry_bucket *bucket,
	int err, unsigned max_attempts, int64_t retry_after_ms, uint64_t random);
void sqs_retry_succeeded(struct sqs_retry *retry, struct sqs_retry_bucket *bucket);

#endif
