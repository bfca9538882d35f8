/*
 * What a ledger that was there at the start holds, for the log: how many keys, and how many
 * entries are damaged. Reading 64 MiB takes as long as everything else of a start, so it is done
 * after it, a piece at a time between the loop's other work; no message waits for it, since an
 * entry that is met before is judged then all the same.
 */
#ifndef CLI_RUN_LEDGER_SURVEY_H
#define CLI_RUN_LEDGER_SURVEY_H

#include "bunshin/clock.h"
#include "delivery/ledger.h"

#include <stdint.h>

#define LEDGER_SURVEY_SLOTS 8192	 /* a piece: a quarter of a MiB, a tenth of a millisecond */
#define LEDGER_SURVEY_US UINT64_C(10000) /* between two of them */

struct ledger_survey {
	struct clock clock;
	const struct ledger *ledger;
	const char *path;
	uint64_t place;
	struct ledger_stats stats;
	struct clock_timer timer;
};

/*
 * ledger and path are borrowed until ledger_survey_stop() or the end of it, when one line is
 * logged, and a second one when there is damage. Without memory for a timer nothing is told.
 */
void ledger_survey_start(struct ledger_survey *survey, struct clock clock,
	const struct ledger *ledger, const char *path);
/* At any time; one that is zeroed, or over, is fine. */
void ledger_survey_stop(struct ledger_survey *survey);
/* The lines for the log. */
void ledger_survey_tell(const struct ledger_stats *stats, const char *path);

#endif
