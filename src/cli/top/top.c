#include "cli/top/top.h"

#include "base/list.h"
#include "bunshin/error.h"
#include "cli/cli.h"
#include "cli/runtime.h"
#include "cli/top/layout.h"
#include "cli/top/poll.h"
#include "cli/top/screen.h"
#include "cli/top/terminal.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#define SCREEN_EVERY_MS 1000
#define TEXT_EVERY_MS 10000
#define TEXT_COLUMNS 240
#define TEXT_MAX_BYTES ((size_t)64 << 20)

struct top {
	const struct top_options *options;
	struct runtime runtime;
	struct poll *poll;
	struct terminal *terminal; /* NULL: text is printed */
	struct top_view view;
	struct top_shown shown; /* the last time */
	struct clock_timer tick;
	int64_t interval_ms;
	bool told; /* on stderr, that nobody answers */
	unsigned blocks;
	int err;
};

/* ---- showing */

static int show_screen(struct top *top)
{
	struct canvas canvas;
	int err = screen_canvas(&canvas);

	if (err == 0)
		err = layout_draw(&top->view, &canvas, &top->shown);
	if (err == 0)
		screen_draw(&canvas);
	canvas_free(&canvas);
	return err;
}

static int print_text(const char *text)
{
	return fputs(text, stdout) < 0 || fflush(stdout) < 0 ? ERR_IO : 0;
}

static int print_block(struct top *top)
{
	struct top_view view = top->view;
	struct buf text = BUF_INIT(TEXT_MAX_BYTES);
	int err;

	if (view.away_since_ms > 0)
		view.status = NULL; /* that has been printed */
	if (top->blocks++ > 0)
		buf_append_char(&text, '\n');
	err = layout_print(&view, TEXT_COLUMNS, &text);
	if (err == 0)
		err = print_text(buf_string(&text));
	buf_free(&text);
	return err;
}

/* Where stdout is for a program, or where there is no second time. */
static void tell_away(struct top *top)
{
	const char *error = top->view.away_words;

	if (error && !top->told)
		cli_error(TOP_COMMAND, "no status from %s: %s", top->options->address, error);
	else if (!error && top->told)
		cli_error(TOP_COMMAND, "%s answers again", top->options->address);
	top->told = error != NULL;
}

static int show_text(struct top *top)
{
	if (top->options->json || top->options->once) {
		tell_away(top);
		if (top->view.away_words)
			return 0;
	}
	if (top->options->json)
		return print_text(buf_string(poll_text(top->poll)));
	return print_block(top);
}

static void stop(struct top *top, int err)
{
	top->err = err;
	uv_stop(&top->runtime.loop);
}

static void show(struct top *top)
{
	int err;

	top->view.now_ms = (double)clock_wall_epoch_ms(top->runtime.clock);
	err = top->terminal ? show_screen(top) : show_text(top);
	if (err < 0)
		stop(top, err);
}

/* ---- asking */

static void on_answer(void *arg)
{
	struct top *top = arg;
	double now_ms = (double)clock_wall_epoch_ms(top->runtime.clock);
	const char *error = poll_error(top->poll);

	top->view.status = poll_status(top->poll);
	if (!error)
		top->view.away_since_ms = 0;
	else if (!(top->view.away_since_ms > 0))
		top->view.away_since_ms = now_ms;
	top->view.away_words = error;
	show(top);
	if (top->options->once)
		stop(top, top->err);
}

static void on_tick(struct clock_timer *timer)
{
	struct top *top = list_entry(timer, struct top, tick);
	int err = clock_timer_after(top->runtime.clock, timer, (uint64_t)top->interval_ms * 1000);

	if (err < 0)
		stop(top, err);
	else if (!(top->view.paused_since_ms > 0))
		poll_start(top->poll);
}

/* ---- what the terminal tells */

static void pause_display(struct top *top)
{
	if (top->view.paused_since_ms > 0) {
		top->view.paused_since_ms = 0;
		poll_start(top->poll);
	} else {
		top->view.paused_since_ms = (double)clock_wall_epoch_ms(top->runtime.clock);
	}
}

static void choose(struct top *top, unsigned step)
{
	for (unsigned i = 0; i < LIST_COUNT; i++) {
		top->view.chosen = (top->view.chosen + step) % LIST_COUNT;
		if (top->shown.items[top->view.chosen] > 0)
			return;
	}
}

static void scroll(struct top *top, enum screen_key key)
{
	enum top_list list = top->view.chosen;
	size_t max = top->shown.scroll_max[list], page = top->shown.rows[list];
	size_t *at = &top->view.scroll[list];

	if (*at > max)
		*at = max;
	if (key == KEYS_UP)
		*at -= *at > 0;
	else if (key == KEYS_DOWN)
		*at += *at < max;
	else if (key == KEYS_PAGE_UP)
		*at -= *at < page ? *at : page;
	else if (key == KEYS_PAGE_DOWN)
		*at += max - *at < page ? max - *at : page;
	else
		*at = key == KEYS_FIRST ? 0 : max;
}

static void on_key(void *arg, enum screen_key key)
{
	struct top *top = arg;

	if (key == KEYS_QUIT) {
		stop(top, 0);
		return;
	}
	if (top->view.help)
		top->view.help = false;
	else if (key == KEYS_HELP)
		top->view.help = true;
	else if (key == KEYS_PAUSE)
		pause_display(top);
	else if (key == KEYS_SORT)
		top->view.sort = (top->view.sort + 1) % SORT_COUNT;
	else if (key == KEYS_NEXT || key == KEYS_PREVIOUS)
		choose(top, key == KEYS_NEXT ? 1 : LIST_COUNT - 1);
	else if (key >= KEYS_UP)
		scroll(top, key);
	show(top);
}

static void on_redraw(void *arg)
{
	show(arg);
}

static void on_gone(void *arg)
{
	stop(arg, 0);
}

/* ---- from the beginning to the end */

static void on_signal(void *arg, unsigned count)
{
	stop(arg, 0);
}

static void on_hangup(void *arg)
{
	stop(arg, 0);
}

static int open_terminal(struct top *top)
{
	const struct terminal_options options = {.loop = &top->runtime.loop,
		.key = on_key,
		.redraw = on_redraw,
		.gone = on_gone,
		.arg = top};

	if (top->options->once || top->options->plain || top->options->json ||
		!screen_is_possible())
		return 0;
	return terminal_open(&options, &top->terminal);
}

static int open_all(struct top *top)
{
	struct poll_options options = {.loop = &top->runtime.loop,
		.address = top->options->address,
		.timeout_ms = top->options->timeout_ms,
		.done = on_answer,
		.arg = top};
	int err = runtime_watch_hangup(&top->runtime, on_hangup);

	if (err == 0)
		err = open_terminal(top);
	if (err < 0)
		return err;
	/* Text is UTF-8, whatever the locale says, as everything that bunshin prints. */
	if (!top->terminal)
		setlocale(LC_CTYPE, "C.UTF-8");
	options.with_history = top->terminal != NULL;
	err = poll_open(&options, &top->poll);
	if (err < 0)
		return err;
	if (top->terminal)
		top->view.history = poll_history(top->poll);
	top->interval_ms = top->options->interval_ms;
	if (top->interval_ms == 0)
		top->interval_ms = top->terminal ? SCREEN_EVERY_MS : TEXT_EVERY_MS;
	return clock_timer_after(top->runtime.clock, &top->tick, 0);
}

static int exit_code(const struct top *top)
{
	const struct status *status = top->view.status;

	if (top->err < 0)
		return CLI_FAILED;
	if (!top->options->once)
		return CLI_DONE;
	if (top->view.away_words || !status)
		return CLI_FAILED;
	return strcmp(status->health, "ok") == 0 || strcmp(status->health, "degraded") == 0
		       ? CLI_DONE
		       : CLI_FAILED;
}

int top_run(const struct top_options *options)
{
	struct top top = {.options = options, .view = {.address = options->address}};
	int code;

	top.err = runtime_open(&top.runtime, on_signal, &top);
	if (top.err < 0) {
		cli_error(TOP_COMMAND, "%s", error_message(top.err));
		return CLI_FAILED;
	}
	top.tick.fire = on_tick;
	top.err = open_all(&top);
	if (top.err == 0)
		uv_run(&top.runtime.loop, UV_RUN_DEFAULT);
	terminal_close(top.terminal);
	code = exit_code(&top);
	/* ERR_IO: nobody reads the text any more. */
	if (top.err < 0 && top.err != ERR_IO)
		cli_error(TOP_COMMAND, "%s", error_message(top.err));
	clock_timer_clear(top.runtime.clock, &top.tick);
	poll_close(top.poll);
	runtime_close(&top.runtime);
	return code;
}
