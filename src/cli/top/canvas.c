#include "cli/top/canvas.h"

#include "base/utf8.h"
#include "bunshin/error.h"
#include "cli/printable.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* Of one text so much is looked at; no row is longer. */
#define TEXT_MAX_BYTES 4096
#define ELLIPSIS 0x2026u

static const struct cell blank = {.c = ' ', .columns = 1};

int canvas_init(struct canvas *canvas, unsigned width, unsigned height, bool ascii)
{
	size_t count;

	width = width > CANVAS_WIDTH_MAX ? CANVAS_WIDTH_MAX : width > 0 ? width : 1;
	height = height > CANVAS_HEIGHT_MAX ? CANVAS_HEIGHT_MAX : height > 0 ? height : 1;
	*canvas = (struct canvas){width, height, ascii, NULL};
	count = (size_t)width * height;
	canvas->cells = malloc(count * sizeof(*canvas->cells));
	if (!canvas->cells)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++)
		canvas->cells[i] = blank;
	return 0;
}

void canvas_free(struct canvas *canvas)
{
	free(canvas->cells);
	canvas->cells = NULL;
}

static struct cell *cell_at(const struct canvas *canvas, unsigned row, unsigned column)
{
	return &canvas->cells[(size_t)row * canvas->width + column];
}

const struct cell *canvas_cell(const struct canvas *canvas, unsigned row, unsigned column)
{
	return cell_at(canvas, row, column);
}

/* ---- characters */

/* Joiners, variation selectors, tags: terminals do not agree on what they do to the width. */
static bool is_dropped(uint32_t c)
{
	return (c >= 0x200b && c <= 0x200f) || (c >= 0x2060 && c <= 0x206f) ||
	       (c >= 0xfe00 && c <= 0xfe0f) || c >= 0xe0000 || c == 0xad;
}

/*
 * Takes the next character with its combining marks off printable text. False at its end. A text
 * that begins with a mark has a blank under it.
 */
static bool next_cell(const struct canvas *canvas, const char **at, struct cell *cell)
{
	unsigned marks = 0;
	size_t step;

	*cell = (struct cell){.c = 0};
	while ((step = utf8_sequence(*at, strnlen(*at, UTF8_SEQUENCE_MAX))) > 0) {
		uint32_t c = utf8_decode(*at, step);
		int width = c < 0x80 ? 1 : canvas->ascii ? 1 : wcwidth((wchar_t)c);

		if (is_dropped(c)) {
			*at += step;
			continue;
		}
		if (cell->c && width != 0)
			break;
		*at += step;
		if (width == 0) {
			if (!cell->c)
				*cell = blank;
			if (marks < CELL_MARKS_MAX)
				cell->marks[marks++] = c;
		} else {
			cell->c = width < 0 || (canvas->ascii && c >= 0x80) ? '?' : c;
			cell->columns = width == 2 ? 2 : 1;
		}
	}
	return cell->c != 0;
}

static unsigned measure(const struct canvas *canvas, const char *text)
{
	unsigned columns = 0;
	struct cell cell;

	while (next_cell(canvas, &text, &cell))
		columns += cell.columns;
	return columns;
}

static void make_printable(struct buf *out, const char *text)
{
	printable_append(out, text, strlen(text), TEXT_MAX_BYTES);
}

unsigned canvas_measure(const struct canvas *canvas, const char *text)
{
	struct buf printable = BUF_INIT((size_t)8 * TEXT_MAX_BYTES);
	unsigned columns;

	make_printable(&printable, text);
	columns = measure(canvas, buf_string(&printable));
	buf_free(&printable);
	return columns;
}

/* ---- drawing */

static void put_cell(
	struct canvas *canvas, unsigned row, unsigned column, struct cell cell, enum style style)
{
	cell.style = (uint8_t)style;
	*cell_at(canvas, row, column) = cell;
	if (cell.columns == 2)
		*cell_at(canvas, row, column + 1) = (struct cell){.style = (uint8_t)style};
}

/* Printable text of at most `max` columns, which are there. */
static unsigned put(struct canvas *canvas, unsigned row, unsigned column, unsigned max,
	enum style style, const char *text)
{
	bool cut = measure(canvas, text) > max;
	unsigned room = cut ? max - 1 : max, used = 0;
	struct cell cell;

	while (next_cell(canvas, &text, &cell) && used + cell.columns <= room) {
		put_cell(canvas, row, column + used, cell, style);
		used += cell.columns;
	}
	if (!cut)
		return used;
	cell = (struct cell){.c = canvas->ascii ? '~' : ELLIPSIS, .columns = 1};
	put_cell(canvas, row, column + used, cell, style);
	return used + 1;
}

unsigned canvas_put(struct canvas *canvas, unsigned row, unsigned column, unsigned max,
	enum style style, const char *text)
{
	struct buf printable = BUF_INIT((size_t)8 * TEXT_MAX_BYTES);
	unsigned used = 0;

	if (row >= canvas->height || column >= canvas->width)
		return 0;
	if (max > canvas->width - column)
		max = canvas->width - column;
	make_printable(&printable, text);
	if (max > 0)
		used = put(canvas, row, column, max, style, buf_string(&printable));
	buf_free(&printable);
	return used;
}

/* Where the row that starts at `text` ends: behind the last word that fits, or amid a long one. */
static const char *break_row(const struct canvas *canvas, const char *text, unsigned columns)
{
	const char *at = text, *space = NULL, *before;
	unsigned used = 0;
	struct cell cell;

	for (;;) {
		before = at;
		if (!next_cell(canvas, &at, &cell))
			return before;
		if (cell.c == ' ')
			space = before;
		used += cell.columns;
		if (used > columns)
			return space ? space : before;
	}
}

unsigned canvas_wrap(struct canvas *canvas, unsigned row, unsigned column, unsigned rows,
	enum style style, const char *text)
{
	struct buf printable = BUF_INIT((size_t)8 * TEXT_MAX_BYTES);
	unsigned columns = canvas->width > column + 1 ? canvas->width - column : 1;
	unsigned taken = 0;
	const char *at;

	make_printable(&printable, text);
	at = buf_string(&printable);
	do {
		const char *end = at + strlen(at);
		struct buf part = BUF_INIT((size_t)8 * TEXT_MAX_BYTES);

		if (taken + 1 < rows)
			end = break_row(canvas, at, columns);
		if (end == at && *at)
			end = at + utf8_sequence(at, strlen(at));
		buf_append(&part, at, (size_t)(end - at));
		if (row + taken < canvas->height && column < canvas->width)
			put(canvas, row + taken, column, columns, style, buf_string(&part));
		buf_free(&part);
		at = end + strspn(end, " ");
	} while (++taken < rows && *at);
	buf_free(&printable);
	return taken;
}

void canvas_style_row(struct canvas *canvas, unsigned row, enum style style)
{
	if (row >= canvas->height)
		return;
	for (unsigned column = 0; column < canvas->width; column++)
		cell_at(canvas, row, column)->style = (uint8_t)style;
}

void canvas_copy(struct canvas *to, unsigned to_row, const struct canvas *from, unsigned from_row,
	unsigned rows)
{
	for (unsigned i = 0; i < rows && to_row + i < to->height && from_row + i < from->height;
		i++)
		memcpy(cell_at(to, to_row + i, 0), cell_at(from, from_row + i, 0),
			to->width * sizeof(struct cell));
}

/* ---- as text */

static void print_character(struct buf *out, uint32_t c)
{
	char bytes[UTF8_SEQUENCE_MAX];

	buf_append(out, bytes, utf8_encode(c, bytes));
}

static unsigned row_length(const struct canvas *canvas, unsigned row)
{
	unsigned length = canvas->width;

	while (length > 0 && cell_at(canvas, row, length - 1)->c == ' ' &&
		cell_at(canvas, row, length - 1)->marks[0] == 0)
		length--;
	return length;
}

int canvas_print(const struct canvas *canvas, unsigned rows, struct buf *out)
{
	for (unsigned row = 0; row < rows && row < canvas->height; row++) {
		unsigned length = row_length(canvas, row);

		for (unsigned column = 0; column < length; column++) {
			const struct cell *cell = cell_at(canvas, row, column);

			if (cell->columns == 0)
				continue;
			print_character(out, cell->c);
			for (unsigned i = 0; i < CELL_MARKS_MAX && cell->marks[i]; i++)
				print_character(out, cell->marks[i]);
		}
		buf_append_char(out, '\n');
	}
	return out->err;
}
