/*
 * The figures of the status page, out of the metrics of all workers at one moment
 * (monitor_metrics.h). Pure.
 *
 * Series are found by name and labels, so that it does not matter which others there are: a counter
 * with more labels than are asked for here is added up over them.
 */
#ifndef CLI_RUN_FIGURES_H
#define CLI_RUN_FIGURES_H

#include "base/metrics.h"
#include "delivery/campaign.h"
#include "delivery/delivery.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIGURES_CAMPAIGNS_MAX 80

enum figure {
	FIGURE_RECEIVED,
	FIGURE_ATTEMPTS,
	FIGURE_ACCEPTED,
	FIGURE_SUPPRESSED,
	FIGURE_RETRIED,
	FIGURE_FAILED,
	FIGURE_FAILED_LEFT,
	FIGURE_EXPIRED,
	FIGURE_CANCELLED,
	FIGURE_POSTPONED,
	FIGURE_LOST,
	FIGURE_SQS_REQUESTS,
	FIGURE_SQS_THROTTLED,
	FIGURE_SQS_ERRORS,
	FIGURE_TOTALS
};

/* Of one destination, in the order of the names that were given. */
struct figures_destination {
	uint64_t attempts, accepted;
	int64_t busy, limit, configured; /* below 0: not known */
	bool breaker_open;
};

struct figures_campaign {
	char name[CAMPAIGN_NAME_MAX + 1];
	uint64_t counts[CAMPAIGN_OUTCOMES];
	int64_t deadline_ms; /* the latest that a message of it had; below 0: none was seen */
};

struct figures {
	uint64_t totals[FIGURE_TOTALS];
	struct histogram attempt_us, acceptance_us;
	int64_t held_bytes;
	uint64_t cost_nanodollars; /* of the requests to SQS */
	struct figures_destination destinations[DELIVERY_DESTINATIONS_MAX];
	struct figures_campaign campaigns[FIGURES_CAMPAIGNS_MAX]; /* more are left out */
	size_t campaign_count;
};

/* names: those of the destinations, at most DELIVERY_DESTINATIONS_MAX. */
void figures_take(const struct metrics *metrics, const char *const names[], size_t name_count,
	struct figures *ret_figures);

/*
 * The value of a label in the text between the braces, unescaped; cut at size - 1 bytes. False:
 * there is no such label, or the text is not well formed up to it.
 */
bool figures_label(const char *labels, const char *name, char *ret_value, size_t size);

#endif
