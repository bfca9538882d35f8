/*
 * What a person looks at before a campaign is sent, and --dry-run prints: how many, three messages,
 * when it will be done, what it costs. On a terminal the campaign's name, or the number of messages
 * of a campaign without one, must be typed.
 *
 * Nothing is sent, written or changed by it: the process may die at any line of it.
 */
#ifndef CLI_CAMPAIGN_PREFLIGHT_H
#define CLI_CAMPAIGN_PREFLIGHT_H

#include "campaign/forecast.h"
#include "cli/campaign/ask.h"
#include "cli/campaign/fleet.h"
#include "cli/campaign/samples.h"

#include <stdbool.h>
#include <stdint.h>

struct campaign_plan;

struct campaign_preflight {
	/* from the command line; borrowed from argv */
	const char *config_path, *price_text, *sqs_price_text; /* NULL: not given */
	int64_t latency_ms;				       /* 0: not given */
	bool yes;
	/* what they lead to */
	struct campaign_fleet fleet; /* with config_path */
	double price, sqs_price;     /* 0: not known; sqs_price -1: SQS's own */
	const char *currency, *sqs_currency;
};

/* Rows of the option table; `p` is a struct campaign_preflight. */
#define CAMPAIGN_PREFLIGHT_OPTIONS(p)                                                   \
	{"config", 'c', CLI_STRING, "FILE", &(p).config_path, 0, 0,                     \
		"the workers' configuration, for its rate: when will it be done"},      \
		{"latency", 0, CLI_DURATION, "TIME", &(p).latency_ms, 1, 600000,        \
			"of an answer of the provider; with --config: a second bound"}, \
		{"price-per-message", 0, CLI_STRING, "PRICE", &(p).price_text, 0, 0,    \
			"what the provider takes, maybe with its currency: \"3 JPY\""}, \
		{"sqs-price", 0, CLI_STRING, "PRICE", &(p).sqs_price_text, 0, 0,        \
			"of a million SQS requests [0.40 USD; FIFO 0.50 USD]"},         \
	{                                                                               \
		"yes", 'y', CLI_FLAG, NULL, &(p).yes, 0, 0,                             \
			"send without the question that is asked on a terminal"         \
	}

/* Reads prices and the configuration. -1 to go on; else the exit code, the reason printed. */
int campaign_preflight_check(struct campaign_preflight *preflight, const char *destination);

/* Everything that is known before the start. */
struct preflight_facts {
	const struct campaign_plan *plan;
	int64_t now_epoch_ms;
	struct forecast_input input;
	struct forecast forecast;
	struct forecast_price price;
	bool asked;
	struct campaign_answer answer; /* of the queue, when it was asked */
	struct campaign_sample samples[CAMPAIGN_SAMPLES];
	size_t sample_count; /* 0: they are not to be shown */
};

/*
 * The list has been checked. --dry-run: prints all of it on standard output, also as --json, and
 * asks the queue when there is one. On a terminal: prints it on standard error and, without --yes,
 * asks a person. Otherwise: a few lines on standard error.
 *
 * -1: send it. Else the exit code: of the dry run; CLI_FAILED when the person says no.
 */
int campaign_preflight(struct campaign_plan *plan);

/* preflight_print.c: pure but for the memory. */
void preflight_append(const struct preflight_facts *facts, bool colour, struct buf *out);
void preflight_append_brief(const struct preflight_facts *facts, struct buf *out);
void preflight_append_json(const struct preflight_facts *facts, struct buf *out);

#endif
