/*
 * Keeps the journal while a campaign is pushed: notes what the queue has confirmed or refused, and
 * commits it five times a second, on the loop.
 *
 * A commit is a page or two into the page cache: of 2 million rows in commits of 2,000, on a
 * machine of 2 cores with a load of 15, half took 0.05 ms, 99 in 100 up to 0.16 ms. The disk is
 * waited for only when SQLite folds its log into the file, once in a thousand pages: 16 to 41 ms
 * there. So no thread is needed for it.
 *
 * Nothing counts as sent that is not committed. If the process dies between a confirmation and its
 * commit, the row is sent again on --resume, with the same key.
 */
#ifndef CLI_CAMPAIGN_KEEPER_H
#define CLI_CAMPAIGN_KEEPER_H

#include "base/buf.h"
#include "bunshin/clock.h"
#include "campaign/journal.h"
#include "campaign/recipients.h"

#include <stdbool.h>
#include <stdint.h>

#define CAMPAIGN_COMMIT_EVERY_US ((uint64_t)200000)

struct campaign_keeper {
	struct journal *journal; /* NULL: none is kept, and everything below does nothing */
	struct clock clock;
	struct clock_timer timer;
	void (*failed)(void *arg); /* once: a commit failed; nothing more should be pushed */
	void *arg;
	bool has_failed;
	uint64_t unnoted; /* confirmed by the queue, but there was no memory to note it */
	uint64_t refused;
	char error[1024]; /* of the commit that failed */
};

/* 0 or ERR_NOMEM. */
int campaign_keeper_start(struct campaign_keeper *keeper, struct journal *journal,
	struct clock clock, void (*failed)(void *arg), void *arg);
void campaign_keeper_stop(struct campaign_keeper *keeper);

void campaign_keeper_confirm(struct campaign_keeper *keeper, struct recipients_place place);
/* For good: it is not tried again by any run. */
void campaign_keeper_refuse(
	struct campaign_keeper *keeper, struct recipients_place place, const char *reason);

/*
 * The last commit; tried also when one has failed before. `complete`: every row is known, the
 * campaign is finished. Rows that are still not committed are counted in *ret_lost. True: finished.
 */
bool campaign_keeper_end(struct campaign_keeper *keeper, bool complete, uint64_t *ret_lost);

#endif
