/*
 * How far a campaign has come, as text for people: a bar for a terminal, a sentence for a log.
 * Pure; time comes in as an argument.
 */
#ifndef CAMPAIGN_PROGRESS_H
#define CAMPAIGN_PROGRESS_H

#include "base/buf.h"

#include <stdint.h>

#define PROGRESS_SAMPLES 32
#define PROGRESS_WINDOW_US ((uint64_t)5000000) /* the present rate is that of the last 5 s */

struct progress {
	uint64_t total, done;
	uint64_t start_us;
	struct {
		uint64_t at_us, done;
	} samples[PROGRESS_SAMPLES]; /* a ring, oldest overwritten */
	unsigned next, count;
};

void progress_start(struct progress *progress, uint64_t total, uint64_t now_us);
/* Takes note of how many are done now; call it a few times a second. */
void progress_update(struct progress *progress, uint64_t done, uint64_t now_us);
/* Done per second over the last seconds. */
uint64_t progress_rate(const struct progress *progress);
/* Seconds to the end at that rate; -1: nobody can tell. */
int64_t progress_left_s(const struct progress *progress);

/* "[=======>      ]  45%  4,520/10,000  3,100/s  ETA 2s", at most `columns` wide. */
void progress_bar(const struct progress *progress, unsigned columns, struct buf *out);
/* "4520 of 10000 (45%), 3100/s, about 2s left" */
void progress_sentence(const struct progress *progress, struct buf *out);

#endif
