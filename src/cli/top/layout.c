#include "cli/top/layout.h"

#include "bunshin/error.h"
#include "cli/top/words.h"

#include <string.h>

#define TITLE_FROM_ROWS 16
#define LISTS_FROM_ROWS 10
#define FOOTER_FROM_ROWS 16
#define TALL_FROM_ROWS 30
#define ITEMS_FIRST 3 /* so many of each list, before one gets more */

/* How the rows are handed out. */
struct plan {
	unsigned head, head_drawn, footer;
	size_t items[LIST_COUNT], hidden[LIST_COUNT], shown[LIST_COUNT];
	bool in[LIST_COUNT];
};

/* Rows that a list takes which shows so many: a heading, they, and "... n more". */
static size_t rows_of(const struct plan *plan, enum top_list list, size_t shown)
{
	return 1 + shown + (shown < plan->items[list] + plan->hidden[list]);
}

static size_t rows_wanted(const struct plan *plan)
{
	size_t rows = 0;

	for (enum top_list list = 0; list < LIST_COUNT; list++)
		if (plan->items[list] > 0)
			rows += rows_of(plan, list, plan->items[list]);
	return rows;
}

/* As many more as there is room for, up to `most` in all. */
static void grow(struct plan *plan, enum top_list list, size_t most, size_t *left)
{
	while (plan->in[list] && plan->shown[list] < plan->items[list] &&
		plan->shown[list] < most) {
		size_t more = rows_of(plan, list, plan->shown[list] + 1) -
			      rows_of(plan, list, plan->shown[list]);

		if (more > *left)
			return;
		*left -= more;
		plan->shown[list]++;
	}
}

/*
 * The first lists come in with one item each, then each grows, then the chosen and the first.
 * Returns the rows that nobody could use.
 */
static size_t hand_out(struct plan *plan, enum top_list chosen, size_t left)
{
	size_t needed = 0;
	bool open = true;

	for (enum top_list list = 0; list < LIST_COUNT; list++)
		if (plan->items[list] > 0)
			needed += rows_of(plan, list, 1);
	/* A row that tells of what is left out. */
	if (needed > left && left > 0)
		left--;
	for (enum top_list list = 0; list < LIST_COUNT; list++) {
		if (plan->items[list] == 0)
			continue;
		open = open && rows_of(plan, list, 1) <= left;
		plan->in[list] = open;
		plan->shown[list] = open;
		if (open)
			left -= rows_of(plan, list, 1);
	}
	for (size_t most = 2; most <= ITEMS_FIRST; most++)
		for (enum top_list list = 0; list < LIST_COUNT; list++)
			grow(plan, list, most, &left);
	grow(plan, chosen, SIZE_MAX, &left);
	for (enum top_list list = 0; list < LIST_COUNT; list++)
		grow(plan, list, SIZE_MAX, &left);
	return left;
}

static void plan_lists(const struct top_view *view, struct plan *plan)
{
	for (enum top_list list = 0; list < LIST_COUNT; list++)
		plan->items[list] =
			view->status ? list_items(view->status, list, &plan->hidden[list]) : 0;
}

static void make_plan(const struct top_view *view, unsigned height, struct plan *plan)
{
	unsigned room;
	size_t lists;

	plan->footer = height >= FOOTER_FROM_ROWS;
	room = height - plan->footer;
	lists = rows_wanted(plan);
	/* The lists get a third at least, where there are rows enough for anything. */
	if (height < LISTS_FROM_ROWS)
		lists = 0;
	else if (lists > height / 3)
		lists = height / 3;
	plan->head_drawn = plan->head;
	if (plan->head_drawn + lists > room)
		plan->head_drawn = room - (unsigned)lists;
	/* Cut, it needs the row that says so, unless the lists have one. */
	if (plan->head_drawn < plan->head && plan->head_drawn == room && room > 1)
		plan->head_drawn--;
	lists = hand_out(plan, view->chosen, room - plan->head_drawn);
	while (lists-- > 0 && plan->head_drawn < plan->head && plan->head_drawn + 1 < room)
		plan->head_drawn++;
}

/* ---- drawing */

static void draw_footer(const struct top_view *view, struct canvas *canvas)
{
	struct buf text = BUF_INIT(256);

	buf_appendf(&text,
		"q quit  p %s  ? help  Tab next list  arrows scroll  s sort workers (%s)",
		view->paused_since_ms > 0 ? "go on" : "pause", sort_name(view->sort));
	canvas_put(canvas, canvas->height - 1, 0, canvas->width, STYLE_FAINT, buf_string(&text));
	buf_free(&text);
}

static unsigned draw_help(struct canvas *canvas, unsigned row)
{
	static const char *const lines[] = {
		"q         quit",
		"p         pause the display, or go on",
		"Tab       choose the next list; its heading has a >",
		"Up, Down  scroll it by a row",
		"PgUp PgDn scroll it by what is to be seen of it",
		"Home End  its beginning, its end",
		"s         sort the workers: number, busy, held, memory, heartbeat",
		"?         this; any key goes back",
		"",
		"Rates and latency are of the last ten seconds; each column of a chart is of some",
		"seconds, the latest at the right. \"!\" marks what is in trouble.",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		canvas_put(canvas, row++, 0, canvas->width, STYLE_PLAIN, lines[i]);
	return row;
}

static void draw_more(const struct plan *plan, enum top_list list, size_t first,
	struct canvas *canvas, unsigned row)
{
	size_t after = plan->items[list] + plan->hidden[list] - plan->shown[list] - first;
	struct buf text = BUF_INIT(128);

	if (first == 0)
		buf_appendf(&text, "... %zu more", after);
	else if (after > 0)
		buf_appendf(&text, "... %zu more, %zu above", after, first);
	else
		buf_appendf(&text, "... %zu above", first);
	canvas_put(canvas, row, 2, canvas->width, STYLE_FAINT, buf_string(&text));
	buf_free(&text);
}

/* "... 14 more: failures 6, workers 8", rows of the head counted in. */
static void draw_left_out(const struct plan *plan, struct canvas *canvas, unsigned row)
{
	size_t count = plan->head - plan->head_drawn;
	struct buf names = BUF_INIT(256), text = BUF_INIT(512);

	for (enum top_list list = 0; list < LIST_COUNT; list++) {
		size_t items = plan->items[list] + plan->hidden[list];

		if (items == 0 || plan->in[list])
			continue;
		count += items;
		buf_appendf(
			&names, "%s%s %zu", names.len > 0 ? ", " : ": ", list_name(list), items);
	}
	buf_appendf(&text, "... %zu more%s", count, buf_string(&names));
	if (count > 0)
		canvas_put(canvas, row, 0, canvas->width, STYLE_FAINT, buf_string(&text));
	buf_free(&names);
	buf_free(&text);
}

static bool is_cut(const struct plan *plan, enum top_list list)
{
	return plan->shown[list] < plan->items[list] + plan->hidden[list];
}

static int draw_lists(const struct top_view *view, const struct plan *plan, bool marks,
	struct canvas *canvas, unsigned *row, struct top_shown *shown)
{
	for (enum top_list list = 0; list < LIST_COUNT; list++) {
		size_t most = plan->items[list] - plan->shown[list];
		size_t first = view->scroll[list] < most ? view->scroll[list] : most;
		int err;

		shown->items[list] = plan->items[list];
		if (!plan->in[list])
			continue;
		shown->rows[list] = plan->shown[list];
		shown->scroll_max[list] = most;
		err = list_draw(view, list, first, plan->shown[list],
			marks && list == view->chosen && is_cut(plan, list), canvas, *row);
		if (err < 0)
			return err;
		*row += 1 + (unsigned)plan->shown[list];
		if (is_cut(plan, list))
			draw_more(plan, list, first, canvas, (*row)++);
	}
	return 0;
}

/* The head is drawn aside first: how many rows it has shows then. */
static int draw_head(const struct top_view *view, struct plan *plan, struct canvas *canvas)
{
	const struct head_options options = {.charts = view->history != NULL,
		.tall = canvas->height >= TALL_FROM_ROWS,
		.title = canvas->height >= TITLE_FROM_ROWS,
		.word_rows = canvas->height >= LISTS_FROM_ROWS ? 2 : 1};
	struct canvas aside;
	int err = canvas_init(&aside, canvas->width, 64, canvas->ascii);

	if (err < 0)
		return err;
	plan->head = head_draw(view, &options, &aside);
	make_plan(view, canvas->height, plan);
	canvas_copy(canvas, 0, &aside, 0, plan->head_drawn);
	canvas_free(&aside);
	return 0;
}

int layout_draw(const struct top_view *view, struct canvas *canvas, struct top_shown *ret_shown)
{
	struct top_shown shown = {.items = {0}};
	struct plan plan = {.head = 0};
	unsigned row;
	int err;

	plan_lists(view, &plan);
	err = draw_head(view, &plan, canvas);
	if (err < 0)
		return err;
	row = plan.head_drawn;
	if (view->help) {
		draw_help(canvas, row);
	} else {
		err = draw_lists(view, &plan, true, canvas, &row, &shown);
		draw_left_out(&plan, canvas, row);
	}
	if (plan.footer > 0)
		draw_footer(view, canvas);
	if (ret_shown)
		*ret_shown = shown;
	return err;
}

int layout_print(const struct top_view *view, unsigned width, struct buf *out)
{
	const struct head_options options = {
		.tall = true, .title = true, .dated = true, .word_rows = 4};
	struct top_shown shown = {.items = {0}};
	struct plan plan = {.head = 0};
	struct canvas canvas;
	unsigned row;
	int err;

	plan_lists(view, &plan);
	err = canvas_init(&canvas, width, 64 + (unsigned)rows_wanted(&plan), false);
	if (err < 0)
		return err;
	row = head_draw(view, &options, &canvas);
	for (enum top_list list = 0; list < LIST_COUNT; list++) {
		plan.in[list] = plan.items[list] > 0;
		plan.shown[list] = plan.items[list];
	}
	err = draw_lists(view, &plan, false, &canvas, &row, &shown);
	if (err == 0)
		err = canvas_print(&canvas, row, out);
	canvas_free(&canvas);
	return err;
}
