#include "cli/top/terminal.h"

#include "bunshin/error.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { ON_RESIZE, ON_STOP, ON_CONTINUE, SIGNALS };

struct terminal {
	struct terminal_options options;
	int fd; /* of the same terminal, opened anew */
	uv_poll_t keys;
	uv_signal_t signals[SIGNALS];
	unsigned open_handles;
};

/*
 * libuv makes what it watches non-blocking, for everybody who has it open: the shell too, and our
 * own output. So it gets an open file of its own.
 */
static int open_again(void)
{
	char path[256];

	if (ttyname_r(STDIN_FILENO, path, sizeof(path)) != 0)
		return -1;
	return open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
}

static bool is_hung_up(void)
{
	struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&fd, 1, 0) < 0 || (fd.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static void on_keys(uv_poll_t *handle, int status, int events)
{
	struct terminal *terminal = handle->data;
	enum screen_key key;

	if (status < 0 || is_hung_up()) {
		uv_poll_stop(handle);
		terminal->options.gone(terminal->options.arg);
		return;
	}
	while (!uv_is_closing((uv_handle_t *)handle) && (key = screen_key()) != KEYS_NONE)
		terminal->options.key(terminal->options.arg, key);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct terminal *terminal = handle->data;

	if (number == SIGTSTP) {
		screen_suspend();
		raise(SIGSTOP);
		return; /* SIGCONT has its own */
	}
	if (number == SIGCONT)
		screen_resume();
	else
		screen_resize();
	terminal->options.redraw(terminal->options.arg);
}

static void on_closed(uv_handle_t *handle)
{
	struct terminal *terminal = handle->data;

	if (--terminal->open_handles > 0)
		return;
	close(terminal->fd);
	free(terminal);
}

/* Before ncurses is there, which would take them. */
static int start(struct terminal *terminal)
{
	static const int numbers[SIGNALS] = {SIGWINCH, SIGTSTP, SIGCONT};
	int err = uv_poll_init(terminal->options.loop, &terminal->keys, terminal->fd);

	if (err)
		return ERR_IO;
	terminal->keys.data = terminal;
	terminal->open_handles = 1;
	for (size_t i = 0; i < SIGNALS; i++) {
		if (uv_signal_init(terminal->options.loop, &terminal->signals[i]))
			return ERR_IO;
		terminal->signals[i].data = terminal;
		terminal->open_handles++;
		if (uv_signal_start(&terminal->signals[i], on_signal, numbers[i]))
			return ERR_IO;
	}
	return uv_poll_start(&terminal->keys, UV_READABLE, on_keys) ? ERR_IO : 0;
}

static void close_all(struct terminal *terminal)
{
	if (terminal->open_handles == 0) {
		close(terminal->fd);
		free(terminal);
		return;
	}
	uv_close((uv_handle_t *)&terminal->keys, on_closed);
	for (size_t i = 0; i < SIGNALS; i++)
		if (terminal->signals[i].data)
			uv_close((uv_handle_t *)&terminal->signals[i], on_closed);
}

int terminal_open(const struct terminal_options *options, struct terminal **ret_terminal)
{
	struct terminal *terminal = calloc(1, sizeof(*terminal));
	int err;

	if (!terminal)
		return ERR_NOMEM;
	terminal->options = *options;
	terminal->fd = open_again();
	if (terminal->fd < 0) {
		free(terminal);
		return 0;
	}
	err = start(terminal);
	if (err == 0 && screen_open()) {
		*ret_terminal = terminal;
		return 0;
	}
	close_all(terminal);
	return err;
}

void terminal_close(struct terminal *terminal)
{
	if (!terminal)
		return;
	screen_close();
	close_all(terminal);
}
