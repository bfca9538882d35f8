/*
 * Hostile answers of an admin port: a status and a history are refused, or shown at any size
 * without a byte that a terminal acts upon, each row as wide as the screen at most.
 */
#include "fuzz.h"

#include "base/utf8.h"
#include "bunshin/error.h"
#include "cli/printable.h"
#include "cli/top/layout.h"

#include <locale.h>
#include <math.h>

static struct status status;
static struct history history;

static void check_cell(const struct canvas *canvas, unsigned row, unsigned column)
{
	const struct cell *cell = canvas_cell(canvas, row, column);

	FUZZ_CHECK(cell->columns <= 2 && cell->style < STYLE_COUNT);
	if (cell->columns == 0) {
		FUZZ_CHECK(column > 0 && canvas_cell(canvas, row, column - 1)->columns == 2);
		return;
	}
	FUZZ_CHECK(column + cell->columns <= canvas->width);
	FUZZ_CHECK(!printable_acts(cell->c) && (!canvas->ascii || cell->c < 0x7f));
	for (unsigned i = 0; i < CELL_MARKS_MAX; i++)
		FUZZ_CHECK(cell->marks[i] == 0 || !printable_acts(cell->marks[i]));
}

static void check_screen(struct top_view *view, unsigned width, unsigned height, bool ascii)
{
	struct top_shown shown;
	struct canvas canvas;

	FUZZ_CHECK(canvas_init(&canvas, width, height, ascii) == 0);
	FUZZ_CHECK(layout_draw(view, &canvas, &shown) == 0);
	for (unsigned row = 0; row < canvas.height; row++)
		for (unsigned column = 0; column < canvas.width; column++)
			check_cell(&canvas, row, column);
	for (unsigned list = 0; list < LIST_COUNT; list++)
		FUZZ_CHECK(shown.rows[list] == 0 ||
			   shown.rows[list] + shown.scroll_max[list] == shown.items[list]);
	canvas_free(&canvas);
}

static void check_text(const struct top_view *view)
{
	struct buf out = BUF_INIT((size_t)64 << 20);

	FUZZ_CHECK(layout_print(view, 240, &out) == 0);
	FUZZ_CHECK(utf8_is_valid(buf_string(&out), out.len));
	for (size_t i = 0; i < out.len; i++)
		FUZZ_CHECK(out.data[i] == '\n' ||
			   ((unsigned char)out.data[i] >= 0x20 && out.data[i] != 0x7f));
	buf_free(&out);
}

static void check_history(void)
{
	FUZZ_CHECK(history.count <= HISTORY_ROWS_MAX);
	for (size_t i = 0; i < history.count; i++) {
		FUZZ_CHECK(!isnan(history.rows[i].t_ms));
		FUZZ_CHECK(i == 0 || history.rows[i].t_ms > history.rows[i - 1].t_ms);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct buf error = BUF_INIT(1024);
	struct top_view view = {.status = &status, .history = &history, .address = "a"};
	int err;

	setlocale(LC_CTYPE, "C.UTF-8");
	err = history_read(&history, text, size, &error);
	FUZZ_CHECK(err == 0 || error.len > 0);
	check_history();
	buf_clear(&error);
	err = status_read(&status, text, size, &error);
	FUZZ_CHECK(err == 0 || error.len > 0);
	buf_free(&error);
	if (err < 0)
		return 0;
	check_screen(&view, 80, 24, false);
	view.chosen = LIST_WORKERS;
	view.scroll[LIST_WORKERS] = size;
	view.sort = size % SORT_COUNT;
	check_screen(&view, 1 + size % 50, 1 + size % 30, size % 2);
	check_text(&view);
	return 0;
}
