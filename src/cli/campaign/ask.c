#include "cli/campaign/ask.h"

#include "aws/sqs_skew.h"
#include "base/buf.h"
#include "bunshin/error.h"
#include "cli/campaign/when.h"
#include "cli/runtime.h"

#include <stdio.h>
#include <string.h>

static void settle(struct campaign_ask *ask, int err, const char *detail)
{
	struct campaign_answer *answer = &ask->answer;

	ask->answered = true;
	answer->err = err;
	if (err == 0)
		return;
	if (!detail[0])
		detail = error_message(err);
	if (err == ERR_ACCESS_DENIED)
		snprintf(answer->words, sizeof(answer->words),
			"may not read the queue's attributes (sqs:GetQueueAttributes): %s", detail);
	else
		snprintf(answer->words, sizeof(answer->words), "cannot ask the queue: %s", detail);
}

static void on_attributes(
	void *arg, const struct sqs_outcome *outcome, const struct queue_attributes *attributes)
{
	struct campaign_ask *ask = arg;
	const struct sqs_skew_sample sample = {
		.sent_epoch_ms = ask->sent_epoch_ms,
		.received_epoch_ms = clock_wall_epoch_ms(ask->clock),
		.date_epoch_ms = outcome->server_epoch_ms,
	};

	ask->call = NULL;
	if (outcome->err == 0)
		ask->answer.counts = *attributes;
	ask->answer.offset_known =
		sqs_skew_bounds(&sample, &ask->answer.offset_least_ms, &ask->answer.offset_most_ms);
	settle(ask, outcome->err, outcome->detail);
}

void campaign_ask_start(struct campaign_ask *ask, struct sqs_client *client, struct clock clock,
	const char *queue_url)
{
	int err;

	*ask = (struct campaign_ask){
		.client = client, .clock = clock, .sent_epoch_ms = clock_wall_epoch_ms(clock)};
	err = sqs_get_attributes(client, queue_url, on_attributes, ask, &ask->call);
	if (err)
		settle(ask, err, "");
}

void campaign_ask_cancel(struct campaign_ask *ask)
{
	if (ask->call)
		sqs_call_cancel(ask->client, ask->call);
	ask->call = NULL;
}

int campaign_ask(struct runtime *runtime, struct sqs_client *client, const char *queue_url,
	struct campaign_answer *ret_answer)
{
	struct campaign_ask ask;
	int rc;

	for (int round = 0; round < 2; round++) {
		campaign_ask_start(&ask, client, runtime->clock, queue_url);
		rc = runtime_await(&runtime->loop, &ask.answered, &runtime->signal_count);
		if (rc < 0) {
			campaign_ask_cancel(&ask);
			return rc;
		}
		*ret_answer = ask.answer;
		if (ask.answer.err)
			break;
	}
	return 0;
}

bool campaign_answer_offset(const struct campaign_answer *answer, struct buf *out)
{
	int64_t middle_ms =
		answer->offset_least_ms + (answer->offset_most_ms - answer->offset_least_ms) / 2;
	int64_t size_ms = middle_ms < 0 ? -middle_ms : middle_ms;
	int64_t error_ms = (answer->offset_most_ms - answer->offset_least_ms + 1) / 2;

	if (!answer->offset_known || size_ms < CAMPAIGN_OFFSET_WARN_MS)
		return false;
	buf_appendf(out,
		"this machine's clock is %.1f s %s SQS's (give or take %.1f s), and --at goes by "
		"this machine's",
		(double)size_ms / 1000, middle_ms > 0 ? "behind" : "ahead of",
		(double)error_ms / 1000);
	return true;
}

bool campaign_answer_is_fatal(const struct campaign_answer *answer)
{
	return answer->err != 0 && answer->err != ERR_ACCESS_DENIED;
}
