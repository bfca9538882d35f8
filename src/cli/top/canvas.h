/*
 * Rows of cells, as a terminal has them. Texts of others go in here and nowhere else: what comes
 * out has no control characters, no marks of the direction of writing, and nothing without a width
 * but combining characters behind a character of their own.
 *
 * Widths are wcwidth()'s, so the locale counts: LC_CTYPE must be of UTF-8, or the canvas ascii.
 */
#ifndef CLI_TOP_CANVAS_H
#define CLI_TOP_CANVAS_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CANVAS_WIDTH_MAX 1000
#define CANVAS_HEIGHT_MAX 4000
#define CELL_MARKS_MAX 2

enum style {
	STYLE_PLAIN,
	STYLE_STRONG,
	STYLE_FAINT,
	STYLE_HEADING, /* of a list */
	STYLE_TITLE,
	STYLE_GOOD,
	STYLE_WARNING,
	STYLE_BAD,
	STYLE_COUNT
};

struct cell {
	uint32_t c;			/* a printable character of one or two columns */
	uint32_t marks[CELL_MARKS_MAX]; /* combining characters; 0: none */
	uint8_t columns;		/* 1, 2, or 0: the right half of the one before */
	uint8_t style;
};

struct canvas {
	unsigned width, height;
	bool ascii; /* the terminal shows nothing else: all other characters become "?" */
	struct cell *cells;
};

/* Blank; a size is cut to the limits above. 0 or ERR_NOMEM. */
int canvas_init(struct canvas *canvas, unsigned width, unsigned height, bool ascii);
void canvas_free(struct canvas *canvas);
const struct cell *canvas_cell(const struct canvas *canvas, unsigned row, unsigned column);

/* Columns that the text takes once it is made printable. */
unsigned canvas_measure(const struct canvas *canvas, const char *text);
/*
 * Puts the text there, in at most `max` columns (and not past the edge); cut, it ends in an
 * ellipsis. A row below the last is not drawn. Returns the columns taken.
 */
unsigned canvas_put(struct canvas *canvas, unsigned row, unsigned column, unsigned max,
	enum style style, const char *text);
/*
 * The same over at most `rows` rows from `column` on, broken between words where it can be.
 * Returns the rows taken, at least 1.
 */
unsigned canvas_wrap(struct canvas *canvas, unsigned row, unsigned column, unsigned rows,
	enum style style, const char *text);
/* The row becomes one colour, its text staying. */
void canvas_style_row(struct canvas *canvas, unsigned row, enum style style);
/* Copies rows of `from`, which has the same width, as far as there are rows to take them. */
void canvas_copy(struct canvas *to, unsigned to_row, const struct canvas *from, unsigned from_row,
	unsigned rows);
/* The first `rows` rows as UTF-8, each without blanks at its end and with "\n". */
int canvas_print(const struct canvas *canvas, unsigned rows, struct buf *out);

#endif
