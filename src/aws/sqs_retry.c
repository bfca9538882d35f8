#include "aws/sqs_retry.h"

#include "base/random.h"
#include "bunshin/error.h"

#define BUCKET_TOKENS 500
#define COST 14
#define COST_THROTTLED 5
#define BASE_MS 50
#define BASE_THROTTLED_MS 1000
#define CAP_MS 20000
#define RETRY_AFTER_SLACK_MS 5000

void sqs_retry_bucket_init(struct sqs_retry_bucket *bucket)
{
	bucket->tokens = BUCKET_TOKENS;
}

bool sqs_retry_is_for(int err)
{
	switch (err) {
	case ERR_DNS:
	case ERR_CONNECT:
	case ERR_TLS:
	case ERR_TIMEOUT:
	case ERR_NETWORK:
	case ERR_PROTOCOL:
	case ERR_UNAVAILABLE:
	case ERR_THROTTLED:
		return true;
	default:
		return false;
	}
}

static int64_t delay_of(int err, unsigned repetition, int64_t retry_after_ms, uint64_t random)
{
	uint64_t bound_ms = err == ERR_THROTTLED ? BASE_THROTTLED_MS : BASE_MS;
	int64_t delay_ms;

	while (repetition-- > 0 && bound_ms < CAP_MS)
		bound_ms *= 2;
	delay_ms = (int64_t)random_below(random, bound_ms < CAP_MS ? bound_ms : CAP_MS);
	if (retry_after_ms > delay_ms + RETRY_AFTER_SLACK_MS)
		return delay_ms + RETRY_AFTER_SLACK_MS;
	return retry_after_ms > delay_ms ? retry_after_ms : delay_ms;
}

struct sqs_retry_decision sqs_retry_failed(struct sqs_retry *retry, struct sqs_retry_bucket *bucket,
	int err, unsigned max_attempts, int64_t retry_after_ms, uint64_t random)
{
	struct sqs_retry_decision decision = {0};
	unsigned cost = err == ERR_THROTTLED ? COST_THROTTLED : COST;

	retry->attempts++;
	retry->cost = 0; /* the repetition that failed does not get its tokens back */
	if (!sqs_retry_is_for(err) || retry->attempts >= max_attempts)
		return decision;
	decision.delay_ms = delay_of(err, retry->attempts - 1, retry_after_ms, random);
	decision.again = bucket->tokens >= cost;
	decision.exhausted = !decision.again;
	if (decision.again) {
		bucket->tokens -= cost;
		retry->cost = cost;
	}
	return decision;
}

void sqs_retry_succeeded(struct sqs_retry *retry, struct sqs_retry_bucket *bucket)
{
	bucket->tokens += retry->cost > 0 ? retry->cost : 1;
	if (bucket->tokens > BUCKET_TOKENS)
		bucket->tokens = BUCKET_TOKENS;
	retry->cost = 0;
}
