#include "cli/run/sqs_metrics.h"

#include "bunshin/error.h"

#include <stdio.h>

static const enum sqs_operation operations[SQS_METRICS_OPERATIONS - 1] = {SQS_RECEIVE,
	SQS_DELETE_BATCH, SQS_VISIBILITY_BATCH, SQS_SEND_BATCH, SQS_GET_ATTRIBUTES, SQS_LIST_TAGS};

#define OTHER (SQS_METRICS_OPERATIONS - 1)

static int open_requests(struct sqs_metrics *sqs, struct metrics *metrics, const char *process)
{
	char labels[96];

	for (size_t i = 0; i < SQS_METRICS_OPERATIONS; i++) {
		snprintf(labels, sizeof(labels), "operation=\"%s\",process=\"%s\"",
			i == OTHER ? "other" : sqs_operation_name(operations[i]), process);
		sqs->requests[i] = metrics_counter(metrics, "bunshin_sqs_requests_total",
			"Requests sent to SQS, repetitions included.", labels);
		if (!sqs->requests[i])
			return ERR_NOMEM;
	}
	return 0;
}

static int open_counters(struct sqs_metrics *sqs, struct metrics *metrics, const char *labels)
{
	const struct {
		struct counter **counter;
		const char *name, *help;
	} rows[] = {
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
		*rows[i].counter = metrics_counter(metrics, rows[i].name, rows[i].help, labels);
		if (!*rows[i].counter)
			return ERR_NOMEM;
	}
	return 0;
}

int sqs_metrics_open(struct sqs_metrics *sqs, struct metrics *metrics, const char *process)
{
	char labels[48];
	int err = open_requests(sqs, metrics, process);

	snprintf(labels, sizeof(labels), "process=\"%s\"", process);
	if (!err)
		err = open_counters(sqs, metrics, labels);
	if (err)
		return err;
	sqs->cost = metrics_counter_scaled(metrics, "bunshin_sqs_cost_dollars_total",
		"What the requests to SQS have cost, by the list price of us-east-1.", labels, 9);
	sqs->clock_offset_s = metrics_gauge_max(metrics, "bunshin_clock_offset_seconds",
		"How far SQS's clock is ahead of this machine's; 0: within 4 minutes.", labels);
	return sqs->cost && sqs->clock_offset_s ? 0 : ERR_NOMEM;
}

static void show_requests(struct sqs_metrics *sqs, const struct sqs_client_stats *stats)
{
	uint64_t others = stats->requests;

	for (size_t i = 0; i < OTHER; i++) {
		sqs->requests[i]->value = stats->by_operation[operations[i]];
		others -= stats->by_operation[operations[i]];
	}
	sqs->requests[OTHER]->value = others;
}

void sqs_metrics_show(struct sqs_metrics *sqs, const struct sqs_client *client)
{
	const struct sqs_client_stats *stats = sqs_client_stats(client);

	show_requests(sqs, stats);
	sqs->cost->value = stats->billed * SQS_COST_NANODOLLARS +
			   stats->billed_fifo * SQS_COST_NANODOLLARS_FIFO;
	sqs->retries->value = stats->retries;
	sqs->throttled->value = stats->throttled;
	sqs->renewed->value = stats->renewed;
	sqs->exhausted->value = stats->exhausted;
	sqs->dropped->value = stats->dropped;
	gauge_set(sqs->clock_offset_s, stats->clock_offset_ms / 1000);
}
