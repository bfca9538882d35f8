/*
 * The screen on a loop: keys, and the signals by which a terminal tells of its size and of job
 * control. SIGINT, SIGTERM and SIGHUP are the owner's, who has taken them already.
 */
#ifndef CLI_TOP_TERMINAL_H
#define CLI_TOP_TERMINAL_H

#include "cli/top/screen.h"

#include <uv.h>

struct terminal;

struct terminal_options {
	uv_loop_t *loop;
	/* All from the loop. */
	void (*key)(void *arg, enum screen_key key); /* never KEYS_NONE */
	void (*redraw)(void *arg);		     /* another size, or back in the foreground */
	void (*gone)(void *arg);		     /* nobody is there any more */
	void *arg;
};

/*
 * Takes the terminal over. 0, also when it cannot be driven: then *ret_terminal stays NULL, and
 * nothing has happened. ERR_NOMEM, ERR_IO.
 */
int terminal_open(const struct terminal_options *options, struct terminal **ret_terminal);
/* Gives it back as it was. The loop must turn once more, which frees the memory. NULL is fine. */
void terminal_close(struct terminal *terminal);

#endif
