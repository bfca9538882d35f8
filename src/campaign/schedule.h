/*
 * When a campaign begins and until when it may be delivered: what people write, as an instant.
 *
 * An instant is written as RFC 3339 with its offset (2026-11-27T08:00:00+09:00; a space for the T,
 * and seconds left out, are taken too), as a local time with the name of its zone
 * (2026-11-27 08:00 Asia/Tokyo), or as seconds or milliseconds since 1970. A local time without a
 * zone is refused: nobody can tell whose morning is meant.
 *
 * Zones are those of the tz database (tzfile(5)), read by the C library: from $TZDIR, else
 * /usr/share/zoneinfo. Everything else here is pure. What reads a zone sets TZ for the time of the
 * call and puts it back: not while another thread reads or sets the environment or local times.
 */
#ifndef CAMPAIGN_SCHEDULE_H
#define CAMPAIGN_SCHEDULE_H

#include "base/buf.h"

#include <stdint.h>

#define SCHEDULE_DELAY_MAX_S 900 /* DelaySeconds of a message (SQS quota) */
#define SCHEDULE_PREFILL_MAX_MS ((int64_t)14 * 60 * 1000) /* leaves a minute for a clock step */
#define SCHEDULE_TEXT_MAX 40

struct schedule_instant {
	int64_t epoch_ms;
	int offset_s; /* east of UTC, at that instant, where it was written for; to show it by */
};

/*
 * 0, or with a sentence for people in `error`, *ret untouched: ERR_SYNTAX (no time, no zone, a date
 * that no calendar has); ERR_NOT_FOUND (no such zone); ERR_ARGUMENT: a change of the clocks skips
 * this local time or repeats it; ERR_NOMEM.
 */
int schedule_parse(const char *text, struct schedule_instant *ret_instant, struct buf *error);
/* The same, or "+90m": that long after `base` (shown by its offset). */
int schedule_parse_deadline(const char *text, struct schedule_instant base,
	struct schedule_instant *ret_instant, struct buf *error);

/* An instant by the offset of this machine's local time (TZ, /etc/localtime). */
struct schedule_instant schedule_local(int64_t epoch_ms);

/*
 * Pure. The DelaySeconds with which a message that is sent now becomes visible at an instant, or up
 * to a second after it: what is left, rounded up to whole seconds, 0 once it is past, at most
 * SCHEDULE_DELAY_MAX_S.
 */
unsigned schedule_delay_s(int64_t visible_epoch_ms, int64_t now_epoch_ms);

/* Pure. "2026-11-27 08:00:00 +09:00", and "08:00:00"; milliseconds are cut off. */
const char *schedule_format(struct schedule_instant instant, char text[SCHEDULE_TEXT_MAX]);
const char *schedule_format_time(struct schedule_instant instant, char text[SCHEDULE_TEXT_MAX]);
/* Pure. How long, to two units: "3h 12m", "2d 4h", "41s", "0s"; negative as 0. */
const char *schedule_format_span(int64_t ms, char text[SCHEDULE_TEXT_MAX]);

#endif
