/* `bunshin top`: asks, and shows what comes, on the screen or as text. */
#ifndef CLI_TOP_TOP_H
#define CLI_TOP_TOP_H

#include <stdbool.h>
#include <stdint.h>

#define TOP_COMMAND "top"

struct top_options {
	const char *address; /* as admin_address_find() gives it */
	bool once, plain, json;
	int64_t interval_ms; /* 0: what fits the output */
	int64_t timeout_ms;
};

/* Until it is told to end, or once. Returns the exit code; what went wrong has been said. */
int top_run(const struct top_options *options);

#endif
