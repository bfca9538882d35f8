/*
 * A child process of the demo: its standard output read line by line, its standard error in a
 * file.
 */
#ifndef CLI_CHILD_H
#define CLI_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define CHILD_LINE_MAX 65536

struct child {
	const char *name; /* for messages; borrowed */
	/* Both borrowed lines and may be NULL; called from the loop. */
	void (*on_line)(struct child *child, const char *line);
	/* Once: the process has ended and its output is read to the end. */
	void (*on_exit)(struct child *child);
	void *arg;
	/* Read only: */
	bool running;	/* started and not reaped */
	bool ended;	/* on_exit has been called, or the start failed */
	int64_t status; /* exit code, once ended */
	int signal;	/* that killed it, else 0 */
	/* Private: */
	uv_process_t process;
	uv_pipe_t output;
	unsigned open; /* what must still end before on_exit */
	char line[CHILD_LINE_MAX];
	size_t line_bytes;
};

/*
 * Starts argv (NULL-terminated, argv[0] is the file) with this process's environment. name,
 * callbacks and arg are filled in, the rest zeroed; the child stays where it is until on_exit and
 * the handles' closing. 0, or a libuv error: on_exit is not called then.
 */
int child_start(struct child *child, uv_loop_t *loop, char *argv[], const char *stderr_path);
/* Harmless on one that is not running. */
void child_kill(struct child *child, int signal);

#endif
