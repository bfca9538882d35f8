/*
 * The terminal, by ncurses: what changed from one canvas to the next is written, nothing else. One
 * at a time.
 *
 * ncurses catches SIGINT, SIGTERM, SIGTSTP and SIGWINCH where nobody else does: whoever opens the
 * screen has taken them before.
 */
#ifndef CLI_TOP_SCREEN_H
#define CLI_TOP_SCREEN_H

#include "cli/top/canvas.h"

#include <stdbool.h>

enum screen_key {
	KEYS_NONE, /* no more for now */
	KEYS_OTHER,
	KEYS_QUIT,
	KEYS_PAUSE,
	KEYS_HELP,
	KEYS_SORT,
	KEYS_NEXT,
	KEYS_PREVIOUS,
	KEYS_UP,
	KEYS_DOWN,
	KEYS_PAGE_UP,
	KEYS_PAGE_DOWN,
	KEYS_FIRST,
	KEYS_LAST
};

/* Standard input and output are a terminal that can be written to at any place. */
bool screen_is_possible(void);
/*
 * Takes the terminal over. False: it is unknown to terminfo, and is as it was. Sets LC_CTYPE by the
 * environment, to UTF-8 where that says nothing.
 */
bool screen_open(void);
/* Gives it back as it was. */
void screen_close(void);
/* Gives it back for a time; the next screen_draw() takes it again and writes everything. */
void screen_suspend(void);
/* Somebody else may have written on it, or set it otherwise: the same. */
void screen_resume(void);
/* After SIGWINCH: the size is asked for again. */
void screen_resize(void);

/* A blank canvas of its size. 0 or ERR_NOMEM. */
int screen_canvas(struct canvas *canvas);
void screen_draw(const struct canvas *canvas);

/* The next key that was pressed; does not wait. */
enum screen_key screen_key(void);

#endif
