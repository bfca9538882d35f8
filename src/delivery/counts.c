#include "delivery/counts.h"

#include "bunshin/error.h"

#include <stddef.h>
#include <stdio.h>

#define LABELS_SIZE 160

static const char *const outcomes[COUNTS] = {
	[COUNT_ACCEPTED] = "accepted",
	[COUNT_SUPPRESSED] = "suppressed",
	[COUNT_RETRIED] = "retried",
	[COUNT_FAILED] = "failed",
	[COUNT_FAILED_LEFT] = "failed_left",
	[COUNT_EXPIRED] = "expired",
	[COUNT_CANCELLED] = "cancelled",
	[COUNT_POSTPONED] = "postponed",
	[COUNT_CROWDED] = "crowded",
	[COUNT_LOST] = "lost",
};

int counts_open_messages(struct counts *counts, struct metrics *metrics, const char *destination)
{
	char labels[LABELS_SIZE];

	for (size_t i = 0; i < COUNTS; i++) {
		snprintf(labels, sizeof(labels), "outcome=\"%s\",destination=\"%s\"", outcomes[i],
			destination);
		counts->messages[i] = metrics_counter(metrics, "bunshin_messages_total",
			"Messages by what became of them.", labels);
		if (!counts->messages[i])
			return ERR_NOMEM;
	}
	return 0;
}

int counts_open_recipients(struct counts *counts, struct metrics *metrics, const char *destination)
{
	static const char *const names[RECIPIENTS_COUNTS] = {
		[RECIPIENTS_ACCEPTED] = "accepted",
		[RECIPIENTS_SUPPRESSED] = "suppressed",
		[RECIPIENTS_RETRIED] = "retried",
		[RECIPIENTS_FAILED] = "failed",
		[RECIPIENTS_FAILED_LEFT] = "failed_left",
		[RECIPIENTS_EXPIRED] = "expired",
		[RECIPIENTS_CANCELLED] = "cancelled",
		[RECIPIENTS_POSTPONED] = "postponed",
	};
	char labels[LABELS_SIZE];

	for (size_t i = 0; i < RECIPIENTS_COUNTS; i++) {
		snprintf(labels, sizeof(labels), "outcome=\"%s\",destination=\"%s\"", names[i],
			destination);
		counts->recipients[i] = metrics_counter(metrics, "bunshin_recipients_total",
			"Recipients by what became of them, where requests are for several.",
			labels);
		if (!counts->recipients[i])
			return ERR_NOMEM;
	}
	snprintf(labels, sizeof(labels), "destination=\"%s\"", destination);
	counts->sent_recipients = metrics_counter(metrics, "bunshin_attempt_recipients_total",
		"Recipients of the requests started, where those are for several.", labels);
	return counts->sent_recipients ? 0 : ERR_NOMEM;
}

static int open_results(struct counts *counts, struct metrics *metrics, const char *destination)
{
	char labels[LABELS_SIZE];

	for (int i = 0; i < OUTCOME_COUNT; i++) {
		snprintf(labels, sizeof(labels), "result=\"%s\",destination=\"%s\"",
			outcome_name(i), destination);
		counts->results[i] = metrics_counter(metrics, "bunshin_attempt_results_total",
			"Attempts that have ended, by what the outcome table made of them.",
			labels);
		if (!counts->results[i])
			return ERR_NOMEM;
	}
	return 0;
}

static int open_counters(struct counts *counts, struct metrics *metrics, const char *labels)
{
	const struct {
		struct counter **counter;
		const char *name, *help;
	} rows[] = {
		{&counts->attempts, "bunshin_attempts_total", "Requests started to providers."},
		{&counts->unanswered, "bunshin_attempts_unanswered_total",
			"Attempts that ended without an answer: not connected, or timed out."},
		{&counts->opened, "bunshin_breaker_opened_total", "Times that the breaker opened."},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		*rows[i].counter = metrics_counter(metrics, rows[i].name, rows[i].help, labels);
		if (!*rows[i].counter)
			return ERR_NOMEM;
	}
	return 0;
}

static int open_gauges(struct counts *counts, struct metrics *metrics, const char *labels)
{
	const struct {
		struct gauge **gauge;
		const char *name, *help;
		enum metric_rule rule;
		unsigned decimals;
	} rows[] = {
		{&counts->limit, "bunshin_concurrency_limit", "Attempts that may be in flight now.",
			METRIC_SUM, 0},
		{&counts->configured, "bunshin_concurrency_configured",
			"Attempts that may be in flight at most.", METRIC_SUM, 0},
		{&counts->sending, "bunshin_attempts_in_flight",
			"Attempts in flight: slots that are busy.", METRIC_SUM, 0},
		{&counts->waiting, "bunshin_messages_waiting",
			"Messages held that wait for a slot.", METRIC_SUM, 0},
		{&counts->open, "bunshin_breaker_open", "1 while nothing but probes is sent.",
			METRIC_MAX, 0},
		{&counts->rate, "bunshin_rate_limit",
			"Attempts a second that the rates in force allow this host; 0: no limit.",
			METRIC_MAX, 3},
		{&counts->accepted_ms, "bunshin_last_accepted_timestamp_seconds",
			"When the provider accepted a message last; 0: not yet.", METRIC_MAX, 3},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		*rows[i].gauge = metrics_gauge_scaled(metrics, rows[i].name, rows[i].help, labels,
			rows[i].rule, rows[i].decimals);
		if (!*rows[i].gauge)
			return ERR_NOMEM;
	}
	return 0;
}

int counts_open(struct counts *counts, struct metrics *metrics, const char *destination)
{
	char labels[LABELS_SIZE];
	int err = counts_open_messages(counts, metrics, destination);

	snprintf(labels, sizeof(labels), "destination=\"%s\"", destination);
	if (!err)
		err = open_results(counts, metrics, destination);
	if (!err)
		err = open_counters(counts, metrics, labels);
	if (!err)
		err = open_gauges(counts, metrics, labels);
	if (err)
		return err;
	counts->latency_us = metrics_histogram(metrics, "bunshin_acceptance_latency_seconds",
		"From SentTimestamp to the provider's acceptance.", labels);
	counts->attempt_us = metrics_histogram(metrics, "bunshin_attempt_duration_seconds",
		"From start to end of an attempt.", labels);
	return counts->latency_us && counts->attempt_us ? 0 : ERR_NOMEM;
}
