/*
 * Where things stand on the screen: a pure function from what is known and a size to rows of cells
 * (but for the time zone and the locale, which are the process's).
 *
 * Above, what matters most first: the verdict, rates, charts, latency, backlog. Below, the lists:
 * destinations, campaigns, failures, workers; each gets what rows there are, the earlier ones and
 * the one that is chosen first. What has no room is left out from the end, and counted in a row
 * "... n more".
 */
#ifndef CLI_TOP_LAYOUT_H
#define CLI_TOP_LAYOUT_H

#include "cli/top/canvas.h"
#include "cli/top/status.h"

#include <stdbool.h>
#include <stddef.h>

enum top_list { LIST_DESTINATIONS, LIST_CAMPAIGNS, LIST_FAILURES, LIST_WORKERS, LIST_COUNT };

enum top_sort { SORT_NUMBER, SORT_BUSY, SORT_HELD, SORT_MEMORY, SORT_HEARTBEAT, SORT_COUNT };

/* What is shown, and how. Borrowed. */
struct top_view {
	const struct status *status;   /* NULL: none has come yet */
	const struct history *history; /* NULL: no charts */
	const char *address;	       /* which is asked */
	double now_ms;		       /* here */
	double away_since_ms;	       /* 0: it answers; else since when it does not */
	const char *away_words;	       /* why not */
	double paused_since_ms;	       /* of the display; 0: it goes on */
	bool help;		       /* the keys instead of the lists */
	enum top_list chosen;
	size_t scroll[LIST_COUNT]; /* rows of the list that are passed over */
	enum top_sort sort;	   /* of the workers */
};

/* What came of it; for the keys. */
struct top_shown {
	size_t items[LIST_COUNT];      /* that the list has */
	size_t rows[LIST_COUNT];       /* that are to be seen of it; 0: it is left out */
	size_t scroll_max[LIST_COUNT]; /* what is more in `scroll` counts as this */
};

/* Fills the canvas, which is blank. ret_shown may be NULL. 0 or ERR_NOMEM. */
int layout_draw(const struct top_view *view, struct canvas *canvas, struct top_shown *ret_shown);
/*
 * All of it one below the other, without charts, for a file or a pipe; at most `width` columns.
 * Appends rows that end in "\n". 0 or the buffer's error.
 */
int layout_print(const struct top_view *view, unsigned width, struct buf *out);

/* ---- its parts */

/*
 * The rows above the lists, from row 0 on. charts: with charts; tall: with totals and more; dated:
 * the title is for text that others follow; verdict and address in at most word_rows rows each.
 * Returns how many there are, drawn or below the edge.
 */
struct head_options {
	bool charts, tall, title, dated;
	unsigned word_rows;
};
unsigned head_draw(
	const struct top_view *view, const struct head_options *options, struct canvas *canvas);

/* How many items a list has. `hidden`: those beyond what was read. */
size_t list_items(const struct status *status, enum top_list list, size_t *ret_hidden);
const char *list_name(enum top_list list); /* "destinations" */
/*
 * A heading and `count` items from `first` on, from `row` on; marked: the arrows scroll it.
 * 0 or ERR_NOMEM.
 */
int list_draw(const struct top_view *view, enum top_list list, size_t first, size_t count,
	bool marked, struct canvas *canvas, unsigned row);
/* What the workers are sorted by: "busy". */
const char *sort_name(enum top_sort sort);

/* A chart of one row, `columns` wide. */
enum chart { CHART_ACCEPTED, CHART_ATTEMPT_P99 };
/*
 * Each column stands for so many seconds (returned) that `columns` of them show five minutes, or
 * as much as there is; the last one is the latest. *ret_max: the highest value; NAN: nothing is
 * known.
 */
unsigned chart_draw(const struct history *history, enum chart chart, struct canvas *canvas,
	unsigned row, unsigned column, unsigned columns, double *ret_max);

#endif
