#include "cli/child.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void part_ended(struct child *child)
{
	if (--child->open > 0)
		return;
	child->ended = true;
	if (child->on_exit)
		child->on_exit(child);
}

static void output_closed(uv_handle_t *handle)
{
	part_ended(handle->data);
}

static void process_closed(uv_handle_t *handle)
{
	part_ended(handle->data);
}

static void exited(uv_process_t *process, int64_t status, int signal)
{
	struct child *child = process->data;

	child->running = false;
	child->status = status;
	child->signal = signal;
	uv_close((uv_handle_t *)process, process_closed);
}

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
	struct child *child = handle->data;

	/* A line longer than the buffer is cut into several; room for the NUL is kept. */
	if (child->line_bytes == sizeof(child->line) - 1)
		child->line_bytes = 0;
	*ret_buf = uv_buf_init(child->line + child->line_bytes,
		(unsigned)(sizeof(child->line) - 1 - child->line_bytes));
}

static void take_lines(struct child *child)
{
	char *start = child->line, *end;

	child->line[child->line_bytes] = '\0';
	while ((end = strchr(start, '\n'))) {
		*end = '\0';
		if (child->on_line)
			child->on_line(child, start);
		start = end + 1;
	}
	child->line_bytes = strlen(start);
	memmove(child->line, start, child->line_bytes);
}

static void read_some(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct child *child = stream->data;

	if (n < 0) {
		uv_close((uv_handle_t *)stream, output_closed);
		return;
	}
	child->line_bytes += (size_t)n;
	take_lines(child);
}

int child_start(struct child *child, uv_loop_t *loop, char *argv[], const char *stderr_path)
{
	uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE}};
	uv_process_options_t options = {
		.file = argv[0], .args = argv, .exit_cb = exited, .stdio_count = 3, .stdio = stdio};
	int errors = open(stderr_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int err;

	if (errors < 0)
		return UV_EIO;
	uv_pipe_init(loop, &child->output, 0);
	child->output.data = child;
	child->process.data = child;
	stdio[1].flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
	stdio[1].data.stream = (uv_stream_t *)&child->output;
	stdio[2].flags = UV_INHERIT_FD;
	stdio[2].data.fd = errors;
	err = uv_spawn(loop, &child->process, &options);
	close(errors);
	if (err) {
		child->ended = true;
		uv_close((uv_handle_t *)&child->output, NULL);
		uv_close((uv_handle_t *)&child->process, NULL);
		return err;
	}
	child->running = true;
	child->open = 2;
	uv_read_start((uv_stream_t *)&child->output, allocate, read_some);
	return 0;
}

void child_kill(struct child *child, int signal)
{
	if (child->running)
		uv_process_kill(&child->process, signal);
}
