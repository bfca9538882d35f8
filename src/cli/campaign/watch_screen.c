#include "cli/campaign/watch.h"

#include "bunshin/error.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS 80
#define ROWS 24
#define CLEAR_LINE "\033[K"
#define CLEAR_BELOW "\033[J"
#define CLEAR_ALL "\033[H\033[2J"

bool watch_screen_is_possible(void)
{
	const char *term = getenv("TERM");

	return cli_is_terminal(STDOUT_FILENO) && term && term[0] && strcmp(term, "dumb") != 0;
}

static bool is_coloured(void)
{
	const char *no_color = getenv("NO_COLOR");

	return !no_color || !no_color[0];
}

static void read_size(unsigned *ret_columns, unsigned *ret_rows)
{
	struct winsize size;

	*ret_columns = COLUMNS;
	*ret_rows = ROWS;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return;
	if (size.ws_col > 0)
		*ret_columns = size.ws_col;
	if (size.ws_row > 0)
		*ret_rows = size.ws_row;
}

static int write_all(const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t wrote = write(STDOUT_FILENO, bytes, len);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return ERR_IO;
		bytes += wrote;
		len -= (size_t)wrote;
	}
	return 0;
}

/* To where the last one began. */
static void append_way_back(struct buf *out, unsigned lines)
{
	buf_append_char(out, '\r');
	if (lines > 0)
		buf_appendf(out, "\033[%uA", lines);
}

int watch_screen_show(struct watch_screen *screen, const struct tally_view *view)
{
	struct buf text = BUF_INIT(65536), out = BUF_INIT(131072);
	unsigned columns, rows, lines = 0;
	int err;

	read_size(&columns, &rows);
	/* A full line would wrap, and the cursor stands on a line of its own below. */
	err = tally_print_screen(
		view, columns > 1 ? columns - 1 : 1, rows > 1 ? rows - 1 : 1, is_coloured(), &text);
	/* Where the lines of another size have gone nobody knows. */
	if (screen->lines > 0 && (screen->columns != columns || screen->rows != rows))
		buf_append_string(&out, CLEAR_ALL);
	else
		append_way_back(&out, screen->lines);
	for (const char *at = buf_string(&text), *feed; (feed = strchr(at, '\n')); at = feed + 1) {
		buf_append(&out, at, (size_t)(feed - at));
		buf_append_string(&out, CLEAR_LINE "\r\n");
		lines++;
	}
	buf_append_string(&out, CLEAR_BELOW);
	if (err == 0)
		err = out.err;
	if (err == 0)
		err = write_all(out.data, out.len);
	*screen = (struct watch_screen){lines, columns, rows};
	buf_free(&text);
	buf_free(&out);
	return err;
}

void watch_screen_clear(struct watch_screen *screen)
{
	struct buf out = BUF_INIT(64);

	if (screen->lines == 0)
		return;
	append_way_back(&out, screen->lines);
	buf_append_string(&out, CLEAR_BELOW);
	(void)write_all(buf_string(&out), out.len);
	screen->lines = 0;
	buf_free(&out);
}
