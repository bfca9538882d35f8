/* The lists: tables whose columns are left out from the end where there is no room. */
#include "bunshin/error.h"
#include "cli/top/layout.h"
#include "cli/top/words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 12
#define MARK_COLUMNS                                                                \
	2u /* in front of each row: "! " is in trouble, "> " the arrows scroll this \
	    */
#define GAP_COLUMNS 2u
#define FLEXIBLE_MAX 120u
#define FIXED_MAX 24u
#define HEARTBEAT_LATE_MS 5000
#define CELL_MAX_BYTES ((size_t)16 << 10)

struct cell_text {
	struct buf text;
	enum style style;
};

/* What stands in a column of a row. `item` is an element of the list's array in status. */
typedef void write_cell(const struct status *status, const void *item, unsigned column,
	struct buf *text, enum style *style);

struct table {
	const char *name;
	size_t columns;
	const char *titles[COLUMNS_MAX];
	bool left[COLUMNS_MAX]; /* texts; figures stand at the right */
	size_t flexible;	/* the column that gives way, and takes what is left */
	unsigned least;		/* its columns, at most half of the screen */
	write_cell *write;
	bool (*in_trouble)(const void *item);
};

/* ---- destinations */

static void write_destination(const struct status *status, const void *item, unsigned column,
	struct buf *text, enum style *style)
{
	const struct status_destination *row = item;

	switch (column) {
	case 0:
		buf_append_string(text, row->name);
		break;
	case 1:
		words_state(text, row->breaker);
		*style = strcmp(row->breaker, "closed") == 0 ? STYLE_PLAIN : STYLE_BAD;
		break;
	case 2:
		words_count(text, row->busy);
		break;
	case 3:
		words_count(text, row->limit);
		*style = row->limit < row->configured ? STYLE_WARNING : STYLE_PLAIN;
		break;
	case 4:
		words_rate(text, row->accepted_per_second);
		break;
	case 5:
		words_rate(text, row->attempts_per_second);
		break;
	case 6:
		words_rate(text, row->rate);
		break;
	default:
		words_count(text, row->configured);
	}
}

static bool destination_in_trouble(const void *item)
{
	const struct status_destination *row = item;

	return row->breaker[0] && strcmp(row->breaker, "closed") != 0;
}

/* ---- campaigns */

static void write_campaign(const struct status *status, const void *item, unsigned column,
	struct buf *text, enum style *style)
{
	const struct status_campaign *row = item;
	const double counts[] = {row->accepted, row->failed, row->expired};
	const double rest[] = {row->retried, row->cancelled, row->suppressed};

	if (column == 0) {
		buf_append_string(text, row->name[0] ? row->name : "(none)");
	} else if (column <= 3) {
		words_count(text, counts[column - 1]);
		*style = column > 1 && counts[column - 1] > 0 ? STYLE_BAD : STYLE_PLAIN;
	} else if (column == 4) {
		words_rate(text, row->accepted_per_second);
	} else if (column == 5 && !isnan(row->deadline_ms) && row->deadline_ms <= status->now_ms) {
		buf_append_string(text, "over");
		*style = STYLE_WARNING;
	} else if (column == 5) {
		words_span(text, row->deadline_ms - status->now_ms);
	} else if (column == 6) {
		words_clock(text, row->deadline_ms);
	} else if (column <= 9) {
		words_count(text, rest[column - 7]);
	} else {
		words_span(text, status->now_ms - row->last_ms);
	}
}

static bool campaign_in_trouble(const void *item)
{
	const struct status_campaign *row = item;

	return row->expired > 0;
}

/* ---- failures */

/* What happened, and of one of them what the provider said and which it was. */
static void write_reason(const struct status_failure *row, struct buf *text)
{
	buf_append_string(text, row->reason[0] ? row->reason : "-");
	if (row->answer[0])
		buf_appendf(text, ": %s", row->answer);
	if (row->message_id[0])
		buf_appendf(text, " (message %s", row->message_id);
	if (row->message_id[0] && row->campaign[0])
		buf_appendf(text, ", campaign %s", row->campaign);
	if (row->message_id[0] && row->request_id[0])
		buf_appendf(text, ", request %s", row->request_id);
	if (row->message_id[0])
		buf_append_char(text, ')');
}

static void write_failure(const struct status *status, const void *item, unsigned column,
	struct buf *text, enum style *style)
{
	const struct status_failure *row = item;

	switch (column) {
	case 0:
		words_state(text, row->outcome);
		*style = strcmp(row->outcome, "retrying") == 0 ? STYLE_WARNING : STYLE_BAD;
		break;
	case 1:
		words_count(text, row->count);
		break;
	case 2:
		if (row->status > 0)
			buf_appendf(text, "%.0f", row->status);
		else
			buf_append_char(text, '-');
		break;
	case 3:
		write_reason(row, text);
		break;
	case 4:
		words_span(text, status->now_ms - row->last_ms);
		break;
	case 5:
		buf_append_string(text, row->destination);
		break;
	default:
		buf_append_string(text, row->class);
	}
}

/* ---- workers */

static void write_worker(const struct status *status, const void *item, unsigned column,
	struct buf *text, enum style *style)
{
	const struct status_worker *row = item;

	switch (column) {
	case 0:
		words_count(text, row->number);
		buf_append_char(text, ' ');
		words_state(text, row->state);
		break;
	case 1:
		words_count(text, row->busy);
		break;
	case 2:
		words_count(text, row->slots);
		break;
	case 3:
		words_count(text, row->held);
		break;
	case 4:
		words_bytes(text, row->memory_bytes);
		break;
	case 5:
		words_span(text, row->heartbeat_age_ms);
		*style = row->heartbeat_age_ms > HEARTBEAT_LATE_MS ? STYLE_BAD : STYLE_PLAIN;
		break;
	case 6:
		if (isnan(row->pid))
			buf_append_char(text, '-');
		else
			buf_appendf(text, "%.0f", row->pid);
		break;
	case 7:
		words_count(text, row->received);
		break;
	case 8:
		words_span(text, status->now_ms - row->since_ms);
		break;
	default:
		words_count(text, row->generation);
	}
}

/* "waiting": it died, and is to be started again. "silent": it has said nothing for a while. */
static bool worker_in_trouble(const void *item)
{
	const struct status_worker *row = item;

	return row->heartbeat_age_ms > HEARTBEAT_LATE_MS || strcmp(row->state, "waiting") == 0 ||
	       strcmp(row->state, "silent") == 0;
}

static const struct table tables[LIST_COUNT] = {
	[LIST_DESTINATIONS] = {"destinations", 8,
		{"DESTINATION", "breaker", "busy", "limit", "accepted/s", "attempts/s", "rate/s",
			"configured"},
		{true, true}, 0, 16, write_destination, destination_in_trouble},
	[LIST_CAMPAIGNS] = {"campaigns", 11,
		{"CAMPAIGN", "accepted", "failed", "expired", "acc./s", "left", "deadline",
			"retried", "cancelled", "suppressed", "last"},
		{true}, 0, 20, write_campaign, campaign_in_trouble},
	[LIST_FAILURES] = {"failures", 7,
		{"FAILURE", "count", "status", "reason", "last", "destination", "class"},
		{true, false, false, true, false, true, true}, 3, 32, write_failure, NULL},
	[LIST_WORKERS] = {"workers", 10,
		{"WORKER", "busy", "slots", "held", "memory", "heartbeat", "pid", "received", "up",
			"generation"},
		{true}, 0, 8, write_worker, worker_in_trouble},
};

const char *list_name(enum top_list list)
{
	return tables[list].name;
}

/* ---- what the lists hold */

size_t list_items(const struct status *status, enum top_list list, size_t *ret_hidden)
{
	const size_t counts[LIST_COUNT] = {status->destination_count, status->campaign_count,
		status->failure_count, status->worker_count};
	const size_t more[LIST_COUNT] = {status->destinations_more, status->campaigns_more,
		status->failures_more, status->workers_more};

	*ret_hidden = more[list];
	return counts[list];
}

const char *sort_name(enum top_sort sort)
{
	static const char *const names[SORT_COUNT] = {
		"number", "busy", "held", "memory", "heartbeat"};

	return names[sort];
}

static double sort_key(const struct status_worker *worker, enum top_sort sort)
{
	/* The largest first, but for the numbers. */
	const double keys[SORT_COUNT] = {-worker->number, worker->busy, worker->held,
		worker->memory_bytes, worker->heartbeat_age_ms};

	return isnan(keys[sort]) ? -INFINITY : keys[sort];
}

static int compare_workers(const void *a, const void *b, void *arg)
{
	const struct status_worker *left = *(const struct status_worker *const *)a;
	const struct status_worker *right = *(const struct status_worker *const *)b;
	const enum top_sort *sort = arg;
	double first = sort_key(left, *sort), second = sort_key(right, *sort);

	if (first != second)
		return first < second ? 1 : -1;
	return left < right ? -1 : left > right; /* as they came */
}

/* Pointers to the elements, in the order to show; `items` has room for them. */
static void order_items(const struct top_view *view, enum top_list list, const void **items)
{
	const struct status *status = view->status;
	enum top_sort sort = view->sort;
	size_t ignored, count = list_items(status, list, &ignored);

	for (size_t i = 0; i < count; i++) {
		const void *const at[LIST_COUNT] = {
			&status->destinations[i % STATUS_DESTINATIONS_MAX],
			&status->campaigns[i % STATUS_CAMPAIGNS_MAX],
			&status->failures[i % STATUS_FAILURES_MAX], &status->workers[i]};

		items[i] = at[list];
	}
	if (list == LIST_WORKERS)
		qsort_r(items, count, sizeof(*items), compare_workers, &sort);
}

/* ---- drawing */

static unsigned min_unsigned(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* As wide as the widest, heading included. */
static void measure_columns(const struct top_view *view, const struct table *table,
	const struct canvas *canvas, const void *const *items, size_t count,
	unsigned widths[COLUMNS_MAX])
{
	struct buf text = BUF_INIT(CELL_MAX_BYTES);
	enum style style;

	for (unsigned column = 0; column < table->columns; column++) {
		unsigned max = column == table->flexible ? FLEXIBLE_MAX : FIXED_MAX;

		widths[column] = (unsigned)strlen(table->titles[column]);
		for (size_t i = 0; i < count && widths[column] < max; i++) {
			unsigned width;

			buf_clear(&text);
			table->write(view->status, items[i], column, &text, &style);
			width = canvas_measure(canvas, buf_string(&text));
			if (width > widths[column])
				widths[column] = min_unsigned(width, max);
		}
	}
	buf_free(&text);
}

/* Sets the widths of those without room to 0, and lets the flexible one give way. */
static void fit_columns(const struct table *table, unsigned available, unsigned widths[COLUMNS_MAX])
{
	unsigned wanted = widths[table->flexible];
	unsigned least = min_unsigned(wanted, min_unsigned(table->least, available / 2));
	unsigned used = least;
	bool fits = true;

	for (size_t i = 0; i < table->columns; i++) {
		if (i == table->flexible)
			continue;
		fits = fits && used + GAP_COLUMNS + widths[i] <= available;
		if (fits)
			used += GAP_COLUMNS + widths[i];
		else
			widths[i] = 0;
	}
	widths[table->flexible] = least;
	if (available > used)
		widths[table->flexible] = min_unsigned(wanted, least + available - used);
}

static void put_cell(struct canvas *canvas, unsigned row, unsigned column, unsigned width,
	bool left, enum style style, const char *text)
{
	unsigned takes = left ? 0 : canvas_measure(canvas, text);

	if (!left && takes < width)
		column += width - takes;
	canvas_put(canvas, row, column, left || takes > width ? width : takes, style, text);
}

static void draw_row(const struct top_view *view, const struct table *table,
	const unsigned widths[COLUMNS_MAX], const void *item, struct canvas *canvas, unsigned row)
{
	struct buf text = BUF_INIT(CELL_MAX_BYTES);
	unsigned at = MARK_COLUMNS;

	for (unsigned column = 0; column < table->columns; column++) {
		enum style style = item ? STYLE_PLAIN : STYLE_HEADING;

		if (widths[column] == 0)
			continue;
		buf_clear(&text);
		if (item)
			table->write(view->status, item, column, &text, &style);
		put_cell(canvas, row, at, widths[column], table->left[column], style,
			item ? buf_string(&text) : table->titles[column]);
		at += widths[column] + GAP_COLUMNS;
	}
	buf_free(&text);
}

int list_draw(const struct top_view *view, enum top_list list, size_t first, size_t count,
	bool marked, struct canvas *canvas, unsigned row)
{
	const struct table *table = &tables[list];
	unsigned widths[COLUMNS_MAX] = {0};
	size_t ignored, items_count = list_items(view->status, list, &ignored);
	const void **items = calloc(items_count + 1, sizeof(*items));

	if (!items)
		return ERR_NOMEM;
	order_items(view, list, items);
	measure_columns(view, table, canvas, items, items_count, widths);
	fit_columns(table, canvas->width > MARK_COLUMNS ? canvas->width - MARK_COLUMNS : 0, widths);
	draw_row(view, table, widths, NULL, canvas, row);
	canvas_style_row(canvas, row, STYLE_HEADING);
	if (marked)
		canvas_put(canvas, row, 0, 1, STYLE_HEADING, ">");
	for (size_t i = 0; i < count && first + i < items_count; i++) {
		unsigned at = row + 1 + (unsigned)i;

		draw_row(view, table, widths, items[first + i], canvas, at);
		if (table->in_trouble && table->in_trouble(items[first + i]))
			canvas_put(canvas, at, 0, 1, STYLE_BAD, "!");
	}
	free(items);
	return 0;
}
