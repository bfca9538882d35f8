#include "aws/sqs_skew.h"

#include "aws/sqs_error.h"

#define EXCHANGE_MAX_MS ((int64_t)15 * 60 * 1000)

static bool is_tolerable(int64_t ms)
{
	return ms < SQS_SKEW_TOLERATED_MS && ms > -SQS_SKEW_TOLERATED_MS;
}

bool sqs_skew_measure(const struct sqs_skew_sample *sample, int64_t *ret_offset_ms)
{
	int64_t took_ms = sample->received_epoch_ms - sample->sent_epoch_ms;

	if (sample->date_epoch_ms == 0 || sample->aged || took_ms < 0 || took_ms >= EXCHANGE_MAX_MS)
		return false;
	*ret_offset_ms = sample->date_epoch_ms - (sample->sent_epoch_ms + took_ms / 2);
	return true;
}

bool sqs_skew_bounds(
	const struct sqs_skew_sample *sample, int64_t *ret_least_ms, int64_t *ret_most_ms)
{
	int64_t midpoint_ms;

	if (!sqs_skew_measure(sample, &midpoint_ms))
		return false;
	*ret_least_ms = sample->date_epoch_ms - sample->received_epoch_ms;
	*ret_most_ms = sample->date_epoch_ms + 999 - sample->sent_epoch_ms;
	return true;
}

int64_t sqs_skew_adopt(int64_t in_force_ms, int64_t measured_ms)
{
	if (is_tolerable(measured_ms - in_force_ms))
		return in_force_ms;
	return is_tolerable(measured_ms) ? 0 : measured_ms;
}
