#include "cli/run/sqs_metrics.h"

#include "bunshin/error.h"

int sqs_metrics_open(struct sqs_metrics *sqs, struct metrics *metrics)
{
	const struct {
		struct counter **counter;
		const char *name, *help;
	} rows[] = {
		{&sqs->requests, "bunshin_sqs_requests_total",
			"Requests sent to SQS, repetitions included."},
		{&sqs->retries, "bunshin_sqs_retries_total", "Requests to SQS that were repeated."},
		{&sqs->throttled, "bunshin_sqs_throttled_total",
			"Answers of SQS that asked to slow down."},
		{&sqs->renewed, "bunshin_sqs_resigned_total",
			"Requests signed again with other keys, or by another time."},
		{&sqs->exhausted, "bunshin_sqs_retries_withheld_total",
			"Repetitions not made since too many had failed."},
		{&sqs->dropped, "bunshin_sqs_messages_dropped_total",
			"Messages received corrupt or malformed, and left to come again."},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		*rows[i].counter = metrics_counter(metrics, rows[i].name, rows[i].help, "");
		if (!*rows[i].counter)
			return ERR_NOMEM;
	}
	sqs->clock_offset_s = metrics_gauge_max(metrics, "bunshin_clock_offset_seconds",
		"How far SQS's clock is ahead of this machine's; 0: within 4 minutes.", "");
	return sqs->clock_offset_s ? 0 : ERR_NOMEM;
}

void sqs_metrics_show(struct sqs_metrics *sqs, const struct sqs_client *client)
{
	const struct sqs_client_stats *stats = sqs_client_stats(client);

	sqs->requests->value = stats->requests;
	sqs->retries->value = stats->retries;
	sqs->throttled->value = stats->throttled;
	sqs->renewed->value = stats->renewed;
	sqs->exhausted->value = stats->exhausted;
	sqs->dropped->value = stats->dropped;
	gauge_set(sqs->clock_offset_s, stats->clock_offset_ms / 1000);
}
