#include "cli/run/totals.h"

#include "base/log.h"
#include "bunshin/error.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define MESSAGES "bunshin_messages_total"

/* In the order in which they are printed. */
static const struct {
	const char *key;
	size_t offset;
	const char *name, *labels;
} rows[] = {
#define ROW(field, name, labels)                                         \
	{                                                                \
#field, offsetof(struct run_totals, field), name, labels \
	}
	ROW(received, "bunshin_messages_received_total", ""),
	ROW(attempts, "bunshin_attempts_total", ""),
	ROW(accepted, MESSAGES, "outcome=\"accepted\""),
	ROW(suppressed, MESSAGES, "outcome=\"suppressed\""),
	ROW(retried, MESSAGES, "outcome=\"retried\""),
	ROW(failed, MESSAGES, "outcome=\"failed\""),
	ROW(failed_left, MESSAGES, "outcome=\"failed_left\""),
	ROW(expired, MESSAGES, "outcome=\"expired\""),
	ROW(cancelled, MESSAGES, "outcome=\"cancelled\""),
	ROW(postponed, MESSAGES, "outcome=\"postponed\""),
	ROW(crowded, MESSAGES, "outcome=\"crowded\""),
	ROW(deleted, "bunshin_messages_deleted_total", ""),
	ROW(returned, "bunshin_messages_returned_total", ""),
	ROW(lost, MESSAGES, "outcome=\"lost\""),
	ROW(extended, "bunshin_visibility_extended_total", ""),
	{"held", offsetof(struct run_totals, left), "bunshin_messages_left_total", ""},
	ROW(sqs_requests, "bunshin_sqs_requests_total", ""),
#undef ROW
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static uint64_t *field_of(struct run_totals *totals, size_t row)
{
	return (uint64_t *)(void *)((char *)totals + rows[row].offset);
}

/* Labels begin with the one that is asked for; what comes behind it is added up. */
static bool is_of(size_t row, const struct metric_series *series)
{
	return strcmp(series->name, rows[row].name) == 0 &&
	       strncmp(series->labels, rows[row].labels, strlen(rows[row].labels)) == 0;
}

static void take(void *arg, const struct metric_series *series)
{
	struct run_totals *totals = arg;

	if (series->histogram && strcmp(series->name, "bunshin_acceptance_latency_seconds") == 0)
		histogram_merge(&totals->latency_us, series->histogram);
	for (size_t i = 0; i < ROWS && series->counter; i++)
		if (is_of(i, series))
			*field_of(totals, i) += series->counter->value;
}

int run_totals_read(const struct board *board, struct run_totals *ret_totals)
{
	struct metrics *metrics = metrics_new();
	int err = metrics ? board_collect(board, metrics) : ERR_NOMEM;

	*ret_totals = (struct run_totals){.received = 0};
	if (!err)
		metrics_each(metrics, take, ret_totals);
	metrics_free(metrics);
	return err;
}

void run_totals_print_json(const struct run_totals *totals)
{
	struct run_totals copy = *totals;
	const struct histogram *latency = &totals->latency_us;

	putchar('{');
	for (size_t i = 0; i < ROWS; i++)
		printf("\"%s\":%" PRIu64 ",", rows[i].key, *field_of(&copy, i));
	printf("\"latency_ms\":{\"p50\":%" PRIu64 ",\"p95\":%" PRIu64 ",\"p99\":%" PRIu64 "}}\n",
		histogram_quantile(latency, 0.50) / 1000, histogram_quantile(latency, 0.95) / 1000,
		histogram_quantile(latency, 0.99) / 1000);
}

void run_totals_log(const struct run_totals *totals)
{
	log_info("stopped", LOG_INT("accepted", totals->accepted),
		LOG_INT("suppressed", totals->suppressed), LOG_INT("failed", totals->failed),
		LOG_INT("expired", totals->expired), LOG_INT("cancelled", totals->cancelled),
		LOG_INT("attempts", totals->attempts), LOG_INT("returned", totals->returned),
		LOG_INT("lost", totals->lost), LOG_INT("sqs_requests", totals->sqs_requests));
}
