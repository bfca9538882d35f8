/* A directory of its own for tests of the journal, and a campaign to put there. */
#ifndef TEST_JOURNAL_WORLD_H
#define TEST_JOURNAL_WORLD_H

#include "campaign/journal.h"

#define JOURNAL_WORLD_BEGUN INT64_C(1767225600000)
#define JOURNAL_WORLD_ROWS 10000

extern char journal_world_path[128]; /* DIR/morning.campaign */

/* For cmocka: a fresh directory, and that nothing but the journal is left in it. */
int journal_world_enter(void **state);
int journal_world_leave(void **state);
/* The journal and all that belongs to it. */
void journal_world_clean(void);

/* Every member filled in. */
struct journal_campaign journal_world_campaign(void);
void journal_world_assert_campaign(const struct journal_campaign *campaign);

/* Both steps; as journal_begin(), but that it is closed after a failure. */
int journal_world_begin_as(const struct journal_campaign *campaign, int64_t now_epoch_ms,
	struct journal **ret_journal, struct buf *error);
/* These fail with the sentence. */
struct journal *journal_world_begin(void);
struct journal *journal_world_open(bool to_send);

#endif
