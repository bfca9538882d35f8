/*
 * `campaign watch` in parts: watch.c is the verb, watch_sources.c brings results in,
 * watch_view.c says where the campaign stands, watch_screen.c shows it on a terminal.
 */
#ifndef CLI_CAMPAIGN_WATCH_H
#define CLI_CAMPAIGN_WATCH_H

#include "base/buf.h"
#include "campaign/journal.h"
#include "campaign/results_db.h"
#include "campaign/tally_print.h"
#include "cli/runtime.h"

#include <stdbool.h>
#include <stdint.h>

#define WATCH_COMMAND "campaign watch"

/* ---- where results come from */

struct watch_sources;

struct watch_sources_options {
	const char *results_url; /* one of the two, or neither */
	const char *outcomes;
	const char *endpoint;
	bool allow_insecure;
	bool once; /* what is there, then `finished` */
	struct runtime *runtime;
	struct results_db *db;
	/* The queue has been read (once), or what was under way is done with (stopped). */
	void (*finished)(void *arg);
	/* Before something is written to stderr. */
	void (*interrupt)(void *arg);
	void *arg;
};

/*
 * Connects; may turn the loop until credentials are there. 0, or an error with a sentence in
 * `error`. watch_sources_close() is needed after any.
 */
int watch_sources_open(const struct watch_sources_options *options,
	struct watch_sources **ret_sources, struct buf *error);
/* Before runtime_close(). NULL is fine. */
void watch_sources_close(struct watch_sources *sources);
/* No more receives; `finished` follows, from the loop. */
void watch_sources_stop(struct watch_sources *sources);
/* Reads the logs for one turn. *ret_more: it is to be called again at once. */
void watch_sources_turn(struct watch_sources *sources, bool *ret_more);

/* "queue", "logs"; how many results made no sense. */
const char *watch_sources_name(const struct watch_sources *sources);
uint64_t watch_sources_unreadable(const struct watch_sources *sources);
/* What does not work just now: 0, or the error, and a sentence. */
int watch_sources_trouble(const struct watch_sources *sources, const char **ret_words);
/* Has it worked at all? */
bool watch_sources_worked(const struct watch_sources *sources);

/* ---- where the campaign stands */

/* Zeroed, then filled in by the owner. */
struct watch_view {
	const char *campaign;
	uint64_t total; /* --total; 0: not given */
	struct results_db *db;
	struct buf journal_path;
	struct journal *journal; /* NULL: there is none (yet); watch_view_close() closes it */
	struct tally_view shown;
};

/*
 * Opens the journal when it is there. 0, also when it is not; else an error with a sentence in
 * `error`.
 */
int watch_view_open(struct watch_view *view, const char *directory, struct buf *error);
void watch_view_close(struct watch_view *view);
/* Fills view->shown anew, but for source, unreadable and trouble. 0, ERR_IO, ERR_NOMEM; `error`. */
int watch_view_read(struct watch_view *view, int64_t now_epoch_ms, struct buf *error);

/* ---- the screen */

/* Zeroed to begin with. */
struct watch_screen {
	unsigned lines; /* shown at the moment */
	unsigned columns, rows;
};
/* Is standard output a terminal that can be rewritten? */
bool watch_screen_is_possible(void);
/* Shows it where the one before stood. 0, or ERR_IO: nobody reads it any more. ERR_NOMEM. */
int watch_screen_show(struct watch_screen *screen, const struct tally_view *view);
/* Takes it off, so that something else may be written. */
void watch_screen_clear(struct watch_screen *screen);

#endif
