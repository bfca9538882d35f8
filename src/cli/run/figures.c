#include "cli/run/figures.h"

#include <string.h>

#define VALUE_SIZE 80 /* longer than a destination's name and a campaign's */

/* One escaped value, from behind its opening quote. Returns what follows the closing one. */
static const char *read_value(const char *from, char *to, size_t size)
{
	size_t len = 0;

	for (; *from != '"'; from++) {
		char c = *from;

		if (c == '\\')
			c = *++from == 'n' ? '\n' : *from;
		if (*from == '\0')
			return NULL;
		if (len + 1 < size)
			to[len++] = c;
	}
	to[len] = '\0';
	return from + 1;
}

bool figures_label(const char *labels, const char *name, char *ret_value, size_t size)
{
	size_t name_len = strlen(name);

	while (labels && *labels != '\0') {
		size_t len = strcspn(labels, "=");
		bool found = len == name_len && memcmp(labels, name, len) == 0;

		if (labels[len] != '=' || labels[len + 1] != '"')
			return false;
		labels = read_value(labels + len + 2, ret_value, size);
		if (found)
			return labels != NULL;
		if (labels && *labels == ',')
			labels++;
	}
	return false;
}

static const struct {
	const char *name, *outcome; /* NULL: any */
} totals[FIGURE_TOTALS] = {
	[FIGURE_RECEIVED] = {"bunshin_messages_received_total", NULL},
	[FIGURE_ATTEMPTS] = {"bunshin_attempts_total", NULL},
	[FIGURE_ACCEPTED] = {"bunshin_messages_total", "accepted"},
	[FIGURE_SUPPRESSED] = {"bunshin_messages_total", "suppressed"},
	[FIGURE_RETRIED] = {"bunshin_messages_total", "retried"},
	[FIGURE_FAILED] = {"bunshin_messages_total", "failed"},
	[FIGURE_FAILED_LEFT] = {"bunshin_messages_total", "failed_left"},
	[FIGURE_EXPIRED] = {"bunshin_messages_total", "expired"},
	[FIGURE_CANCELLED] = {"bunshin_messages_total", "cancelled"},
	[FIGURE_POSTPONED] = {"bunshin_messages_total", "postponed"},
	[FIGURE_LOST] = {"bunshin_messages_total", "lost"},
	[FIGURE_SQS_REQUESTS] = {"bunshin_sqs_requests_total", NULL},
	[FIGURE_SQS_THROTTLED] = {"bunshin_sqs_throttled_total", NULL},
	[FIGURE_SQS_ERRORS] = {"bunshin_queue_errors_total", NULL},
};

static const char *const outcomes[CAMPAIGN_OUTCOMES] = {
	[CAMPAIGN_ACCEPTED] = "accepted",
	[CAMPAIGN_SUPPRESSED] = "suppressed",
	[CAMPAIGN_FAILED] = "failed",
	[CAMPAIGN_EXPIRED] = "expired",
	[CAMPAIGN_CANCELLED] = "cancelled",
	[CAMPAIGN_RETRIED] = "retried",
};

struct taking {
	const char *const *names;
	size_t name_count;
	struct figures *figures;
};

static void take_total(struct taking *taking, const struct metric_series *series)
{
	char outcome[VALUE_SIZE] = "";

	figures_label(series->labels, "outcome", outcome, sizeof(outcome));
	for (size_t i = 0; i < FIGURE_TOTALS; i++)
		if (strcmp(totals[i].name, series->name) == 0 &&
			(!totals[i].outcome || strcmp(totals[i].outcome, outcome) == 0))
			taking->figures->totals[i] += series->counter->value;
}

/* NULL: the series is about none of them. */
static struct figures_destination *destination_of(
	struct taking *taking, const struct metric_series *series)
{
	char name[VALUE_SIZE];

	if (!figures_label(series->labels, "destination", name, sizeof(name)))
		return NULL;
	for (size_t i = 0; i < taking->name_count; i++)
		if (strcmp(taking->names[i], name) == 0)
			return &taking->figures->destinations[i];
	return NULL;
}

static void take_destination(struct taking *taking, const struct metric_series *series)
{
	struct figures_destination *row = destination_of(taking, series);
	char outcome[VALUE_SIZE] = "";

	if (!row)
		return;
	if (strcmp(series->name, "bunshin_concurrency_limit") == 0 && series->gauge)
		row->limit = series->gauge->value;
	else if (strcmp(series->name, "bunshin_concurrency_configured") == 0 && series->gauge)
		row->configured = series->gauge->value;
	else if (strcmp(series->name, "bunshin_attempts_in_flight") == 0 && series->gauge)
		row->busy = series->gauge->value;
	else if (strcmp(series->name, "bunshin_breaker_open") == 0 && series->gauge)
		row->breaker_open = series->gauge->value != 0;
	else if (strcmp(series->name, "bunshin_attempts_total") == 0 && series->counter)
		row->attempts += series->counter->value;
	else if (strcmp(series->name, "bunshin_messages_total") == 0 && series->counter &&
		 figures_label(series->labels, "outcome", outcome, sizeof(outcome)) &&
		 strcmp(outcome, "accepted") == 0)
		row->accepted += series->counter->value;
}

static struct figures_campaign *campaign_of(struct figures *figures, const char *labels)
{
	char name[CAMPAIGN_NAME_MAX + 1];
	struct figures_campaign *added;

	if (!figures_label(labels, "campaign", name, sizeof(name)) || name[0] == '\0')
		return NULL;
	for (size_t i = 0; i < figures->campaign_count; i++)
		if (strcmp(figures->campaigns[i].name, name) == 0)
			return &figures->campaigns[i];
	if (figures->campaign_count == FIGURES_CAMPAIGNS_MAX)
		return NULL;
	added = &figures->campaigns[figures->campaign_count++];
	*added = (struct figures_campaign){.deadline_ms = -1};
	memcpy(added->name, name, sizeof(name));
	return added;
}

static void take_campaign(struct figures *figures, const struct metric_series *series)
{
	struct figures_campaign *row = campaign_of(figures, series->labels);
	char outcome[VALUE_SIZE] = "";

	if (!row)
		return;
	if (series->gauge) {
		if (series->gauge->value > 0 && series->gauge->value < INT64_MAX / 1000)
			row->deadline_ms = series->gauge->value * 1000;
		return;
	}
	figures_label(series->labels, "outcome", outcome, sizeof(outcome));
	for (size_t i = 0; i < CAMPAIGN_OUTCOMES; i++)
		if (strcmp(outcomes[i], outcome) == 0)
			row->counts[i] += series->counter->value;
}

static void take(void *arg, const struct metric_series *series)
{
	struct taking *taking = arg;
	struct figures *figures = taking->figures;

	if (series->counter)
		take_total(taking, series);
	if (strstr(series->labels, "destination=\""))
		take_destination(taking, series);
	if (strcmp(series->name, series->gauge ? CAMPAIGN_DEADLINE_METRIC
					       : "bunshin_campaign_messages_total") == 0 &&
		!series->histogram)
		take_campaign(figures, series);
	if (strcmp(series->name, "bunshin_held_bytes") == 0 && series->gauge)
		figures->held_bytes = series->gauge->value;
	if (strcmp(series->name, "bunshin_sqs_cost_dollars_total") == 0 && series->counter)
		figures->cost_nanodollars += series->counter->value;
	/* Of several destinations or outcomes: all of them. */
	if (strcmp(series->name, "bunshin_attempt_duration_seconds") == 0 && series->histogram)
		histogram_merge(&figures->attempt_us, series->histogram);
	if (strcmp(series->name, "bunshin_acceptance_latency_seconds") == 0 && series->histogram)
		histogram_merge(&figures->acceptance_us, series->histogram);
}

void figures_take(const struct metrics *metrics, const char *const names[], size_t name_count,
	struct figures *ret_figures)
{
	struct taking taking = {.names = names, .name_count = name_count, .figures = ret_figures};

	memset(ret_figures, 0, sizeof(*ret_figures));
	ret_figures->held_bytes = -1;
	for (size_t i = 0; i < DELIVERY_DESTINATIONS_MAX; i++)
		ret_figures->destinations[i] =
			(struct figures_destination){.busy = -1, .limit = -1, .configured = -1};
	metrics_each(metrics, take, &taking);
}
