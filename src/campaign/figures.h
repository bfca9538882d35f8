/* Figures as people read them, and members of JSON. Each returns 0 or the buffer's error. */
#ifndef CAMPAIGN_FIGURES_H
#define CAMPAIGN_FIGURES_H

#include "base/buf.h"

#include <stdint.h>

/* 1234567 as "1,234,567" */
int figures_append_count(struct buf *out, uint64_t count);
enum figures_time {
	FIGURES_CLOCK,	 /* "08:00:00" */
	FIGURES_DATE,	 /* "2026-11-27 (UTC+0900)" */
	FIGURES_INSTANT, /* "2026-11-27 08:00:00 (UTC+0900)" */
};
/* An instant in the process's time zone. */
int figures_append_time(struct buf *out, int64_t epoch_ms, enum figures_time what);
/* "0.4s", "59.9s", then as a duration, rounded; 0 or more */
int figures_append_span(struct buf *out, int64_t ms);
/* A member of a JSON object with its comma: ,"name":"text"; null for NULL. */
int figures_append_json(struct buf *out, const char *name, const char *text);
/* The same with an instant as RFC 3339 in UTC; null for 0. */
int figures_append_json_time(struct buf *out, const char *name, int64_t epoch_ms);
/* "59s", "2m05s", "3h07m"; 0 or more */
int figures_append_duration(struct buf *out, int64_t seconds);

#endif
