/*
 * How the figures of the status page change: rates and latencies of the last 10 s, the history of
 * the last 15 minutes, when campaigns were seen, and how fast the queue falls. Pure: whoever adds a
 * sample, one a second, says what time it is.
 *
 * A second that is missed, or an hour in which the machine slept, never shows as a spike: what was
 * counted between two samples is spread over the time between them, and not shown at all when that
 * is longer than TREND_GAP_US.
 */
#ifndef CLI_RUN_TREND_H
#define CLI_RUN_TREND_H

#include "admin/history.h"
#include "admin/status.h"
#include "cli/run/figures.h"

#include <stddef.h>
#include <stdint.h>

#define TREND_WINDOW_US UINT64_C(10500000) /* the samples that rates are made of */
#define TREND_GAP_US UINT64_C(5000000)
#define TREND_QUEUE_US UINT64_C(60000000) /* the answers of the queue that its fall is made of */

struct trend;

/* What is kept for the next monitor: board_notes(). All zero: nothing yet. */
struct trend_notes {
	int64_t started_ms; /* when the first monitor began */
	struct history history;
	struct trend_campaign {
		char name[CAMPAIGN_NAME_MAX + 1];
		uint64_t count;				/* of all its outcomes, as seen last */
		int64_t first_ms, last_ms, deadline_ms; /* deadline: below 0: none */
	} campaigns[FIGURES_CAMPAIGNS_MAX];
};

/* What a sample has beside the figures. */
struct trend_instant {
	uint64_t now_us;
	int64_t now_ms;
	int64_t busy, limit, held;
	int64_t visible, in_flight, delayed; /* as the queue said; below 0: not known */
	uint64_t asked_us;		     /* when it said so; 0: never */
};

/* notes: at least as long as its struct, aligned to 8 bytes, outlives it. NULL: out of memory. */
struct trend *trend_new(void *notes, int64_t now_ms);
void trend_free(struct trend *trend);

/* figures: copied. NULL: they cannot be had now, which is a gap. */
void trend_add(
	struct trend *trend, const struct figures *figures, const struct trend_instant *instant);

/* The latest; NULL: there is none yet. Borrowed until the next trend_add(). */
const struct figures *trend_figures(const struct trend *trend);
const struct trend_notes *trend_notes_of(const struct trend *trend);
/* What the notes have of a campaign; NULL: nothing. */
const struct trend_campaign *trend_campaign(const struct trend *trend, const char *name);

/* A second, over the window. NAN: not known. */
double trend_rate(const struct trend *trend, enum figure figure);
double trend_destination_attempts(const struct trend *trend, size_t destination);
double trend_destination_accepted(const struct trend *trend, size_t destination);
double trend_campaign_accepted(const struct trend *trend, const char *name);
void trend_attempt_ms(const struct trend *trend, struct status_latency *ret_latency);
void trend_acceptance_ms(const struct trend *trend, struct status_latency *ret_latency);
/*
 * Messages a second by which the queue's counts, all together, have fallen over the last minute
 * (the line that fits them best): NAN when they have not, or there are not three answers over ten
 * seconds. *ret_empty_us: when it is empty at that pace; 0: NAN, or it is empty, or in more than
 * thirty days.
 */
double trend_falling(const struct trend *trend, uint64_t now_us, uint64_t *ret_empty_us);

#endif
