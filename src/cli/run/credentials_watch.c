#include "cli/run/credentials_watch.h"

#include "base/log.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <time.h>

#define TIME_SIZE 32

/* "never", or "2026-11-25T08:00:00Z" */
static const char *write_time(int64_t epoch_ms, char text[TIME_SIZE])
{
	time_t seconds = (time_t)(epoch_ms / 1000);
	struct tm utc;

	if (epoch_ms == 0 || !gmtime_r(&seconds, &utc) ||
		!strftime(text, TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc))
		snprintf(text, TIME_SIZE, "never");
	return text;
}

static struct log_field field_of(const char *key, const char *text)
{
	return LOG_STR(key, text[0] ? text : NULL);
}

static const struct words {
	enum log_level level;
	const char *text;
} words[] = {
	[CREDENTIALS_SEARCHING] = {LOG_LEVEL_WARN,
		"AWS credentials cannot be had yet; they are asked for again"},
	[CREDENTIALS_READY] = {LOG_LEVEL_INFO, "AWS credentials"},
	[CREDENTIALS_STALE] = {LOG_LEVEL_WARN,
		"AWS credentials cannot be renewed; those in use serve on until they expire"},
	[CREDENTIALS_ENDED] = {LOG_LEVEL_ERROR,
		"AWS credentials have expired and cannot be renewed; nothing is received"},
	[CREDENTIALS_ABSENT] = {LOG_LEVEL_ERROR, "there are no AWS credentials"},
};

static void tell(struct credentials_watch *watch, const struct credentials_status *status)
{
	bool known = status->state == watch->told && watch->told_once;
	char expires[TIME_SIZE];

	/* A first search that is under way is nothing to tell; a renewal that worked is no news. */
	if (known || (status->state == CREDENTIALS_SEARCHING && status->failures == 0))
		return;
	watch->told = status->state;
	watch->told_once = true;
	const struct log_field fields[] = {
		LOG_STR("provider", status->source),
		field_of("account", status->account_id),
		field_of("principal", status->principal),
		LOG_STR("expires", write_time(status->expires_epoch_ms, expires)),
		field_of("reason", status->reason),
		{0},
	};
	if (log_enabled(words[status->state].level))
		log_write(words[status->state].level, words[status->state].text, fields);
}

static void changed(void *arg, const struct credentials_status *status)
{
	tell(arg, status);
}

void credentials_watch_show(struct credentials_watch *watch)
{
	const struct credentials_status *status = credentials_status(watch->credentials);
	bool usable = status->state == CREDENTIALS_READY || status->state == CREDENTIALS_STALE;

	watch->renewals->value = status->renewals;
	watch->failures->value = status->failures;
	gauge_set(watch->expiry_s, status->expires_epoch_ms / 1000);
	gauge_set(watch->usable, usable);
	gauge_set(watch->failing, status->failures_in_row);
}

int credentials_watch_open(
	struct credentials_watch *watch, struct credentials *credentials, struct metrics *metrics)
{
	*watch = (struct credentials_watch){.credentials = credentials};
	watch->renewals = metrics_counter(metrics, "bunshin_credentials_renewals_total",
		"Sets of AWS keys obtained, the first included.", "");
	watch->failures = metrics_counter(metrics, "bunshin_credentials_failures_total",
		"Attempts to obtain AWS keys that failed.", "");
	watch->expiry_s = metrics_gauge_min(metrics, "bunshin_credentials_expiry_timestamp_seconds",
		"When the AWS keys in use expire; 0: never.", "");
	watch->usable = metrics_gauge_min(metrics, "bunshin_credentials_usable",
		"1 while there are AWS keys to sign with.", "");
	watch->failing = metrics_gauge_max(metrics, "bunshin_credentials_failures_in_row",
		"Renewals that failed since the last that worked; 0: all is well.", "");
	if (!watch->renewals || !watch->failures || !watch->expiry_s || !watch->usable ||
		!watch->failing)
		return ERR_NOMEM;
	/* Others may read the metrics from now on: not usable is not to be what they see first. */
	credentials_watch_show(watch);
	credentials_observe(credentials, changed, watch);
	tell(watch, credentials_status(credentials));
	return 0;
}

enum credentials_health credentials_watch_health(
	const struct credentials_watch *watch, char ret_words[CREDENTIALS_WATCH_WORDS_SIZE])
{
	const struct credentials_status *status = credentials_status(watch->credentials);
	char expires[TIME_SIZE];

	ret_words[0] = '\0';
	switch (status->state) {
	case CREDENTIALS_READY:
		return CREDENTIALS_FINE;
	case CREDENTIALS_STALE:
		snprintf(ret_words, CREDENTIALS_WATCH_WORDS_SIZE,
			"they cannot be renewed; those in use expire %s: %s",
			write_time(status->expires_epoch_ms, expires), status->reason);
		return CREDENTIALS_FAILING;
	case CREDENTIALS_SEARCHING:
	case CREDENTIALS_ENDED:
	case CREDENTIALS_ABSENT:
	default:
		snprintf(ret_words, CREDENTIALS_WATCH_WORDS_SIZE, "%s%s%s",
			status->state == CREDENTIALS_ENDED ? "they have expired" : "there are none",
			status->reason[0] ? ": " : "", status->reason);
		return CREDENTIALS_GONE;
	}
}
