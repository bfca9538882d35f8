#include "cli/top/screen.h"

#include "cli/cli.h"
#include "cli/top/terminfo.h"

#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define ESCAPE_DELAY_MS 25

static struct {
	SCREEN *terminal;
	WINDOW *keys; /* a pad, since reading from stdscr would refresh it */
	bool ascii, coloured, suspended;
} screen;

bool screen_is_possible(void)
{
	const char *term = getenv("TERM");

	return cli_is_terminal(STDIN_FILENO) && cli_is_terminal(STDOUT_FILENO) && term && term[0] &&
	       strcmp(term, "dumb") != 0;
}

enum pair { PAIR_GOOD = 1, PAIR_WARNING, PAIR_BAD };

static void set_colours(void)
{
	const char *no_color = getenv("NO_COLOR");

	screen.coloured = !(no_color && no_color[0]) && has_colors() && start_color() != ERR;
	if (!screen.coloured)
		return;
	(void)use_default_colors();
	init_pair(PAIR_GOOD, COLOR_GREEN, -1);
	init_pair(PAIR_WARNING, COLOR_YELLOW, -1);
	init_pair(PAIR_BAD, COLOR_RED, -1);
}

/* Where nothing is said about characters, as in most containers, the terminal outside has UTF-8. */
static void set_locale(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	bool said = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);

		said |= value && value[0];
	}
	if (!setlocale(LC_CTYPE, said ? "" : "C.UTF-8"))
		setlocale(LC_CTYPE, "C");
}

bool screen_open(void)
{
	set_locale();
	screen.ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
	screen.terminal = terminfo_knows(STDOUT_FILENO) ? newterm(NULL, stdout, stdin) : NULL;
	if (!screen.terminal)
		return false;
	set_colours();
	cbreak();
	noecho();
	nonl();
	(void)curs_set(0);
	set_escdelay(ESCAPE_DELAY_MS);
	screen.keys = newpad(1, 1);
	if (screen.keys) {
		keypad(screen.keys, TRUE);
		nodelay(screen.keys, TRUE);
	}
	screen_resize();
	return true;
}

void screen_close(void)
{
	if (!screen.terminal)
		return;
	if (!screen.suspended)
		endwin();
	if (screen.keys)
		delwin(screen.keys);
	delscreen(screen.terminal);
	memset(&screen, 0, sizeof(screen));
}

void screen_suspend(void)
{
	endwin();
	screen.suspended = true;
}

void screen_resume(void)
{
	reset_prog_mode();
	clearok(curscr, TRUE);
	screen_resize();
}

void screen_resize(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0 &&
		(size.ws_row != LINES || size.ws_col != COLS))
		resizeterm(size.ws_row, size.ws_col);
}

int screen_canvas(struct canvas *canvas)
{
	return canvas_init(canvas, (unsigned)COLS, (unsigned)LINES, screen.ascii);
}

/* Said by words and marks too, so that nothing is lost without colours. */
static void style_of(enum style style, attr_t *ret_attributes, short *ret_pair)
{
	static const struct {
		attr_t attributes;
		short pair;
	} styles[STYLE_COUNT] = {
		[STYLE_PLAIN] = {A_NORMAL, 0},
		[STYLE_STRONG] = {A_BOLD, 0},
		[STYLE_FAINT] = {A_DIM, 0},
		[STYLE_HEADING] = {A_BOLD | A_UNDERLINE, 0},
		[STYLE_TITLE] = {A_REVERSE, 0},
		[STYLE_GOOD] = {A_BOLD, PAIR_GOOD},
		[STYLE_WARNING] = {A_BOLD, PAIR_WARNING},
		[STYLE_BAD] = {A_BOLD, PAIR_BAD},
	};

	*ret_attributes = styles[style].attributes;
	*ret_pair = screen.coloured ? styles[style].pair : 0;
}

static void draw_cell(const struct cell *cell, unsigned row, unsigned column)
{
	wchar_t characters[2 + CELL_MARKS_MAX] = {(wchar_t)cell->c};
	attr_t attributes;
	short pair;
	cchar_t drawn;

	for (unsigned i = 0; i < CELL_MARKS_MAX; i++)
		characters[1 + i] = (wchar_t)cell->marks[i];
	style_of(cell->style, &attributes, &pair);
	if (setcchar(&drawn, characters, attributes, pair, NULL) == OK)
		(void)mvadd_wch((int)row, (int)column, &drawn);
}

void screen_draw(const struct canvas *canvas)
{
	erase();
	for (unsigned row = 0; row < canvas->height; row++)
		for (unsigned column = 0; column < canvas->width; column++) {
			const struct cell *cell = canvas_cell(canvas, row, column);

			if (cell->columns > 0)
				draw_cell(cell, row, column);
		}
	screen.suspended = false;
	wnoutrefresh(stdscr);
	doupdate();
}

enum screen_key screen_key(void)
{
	switch (screen.keys ? wgetch(screen.keys) : ERR) {
	case ERR:
		return KEYS_NONE;
	case 'q':
	case 'Q':
		return KEYS_QUIT;
	case 'p':
	case 'P':
	case ' ':
		return KEYS_PAUSE;
	case '?':
	case 'h':
	case KEY_F(1):
		return KEYS_HELP;
	case 's':
	case 'S':
		return KEYS_SORT;
	case '\t':
	case KEY_RIGHT:
		return KEYS_NEXT;
	case KEY_BTAB:
	case KEY_LEFT:
		return KEYS_PREVIOUS;
	case KEY_UP:
		return KEYS_UP;
	case KEY_DOWN:
		return KEYS_DOWN;
	case KEY_PPAGE:
		return KEYS_PAGE_UP;
	case KEY_NPAGE:
		return KEYS_PAGE_DOWN;
	case KEY_HOME:
		return KEYS_FIRST;
	case KEY_END:
		return KEYS_LAST;
	default:
		return KEYS_OTHER;
	}
}
