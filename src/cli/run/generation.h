/*
 * A generation: one configuration in force, with what was opened for it before any worker starts. A
 * reload makes the next one.
 */
#ifndef CLI_RUN_GENERATION_H
#define CLI_RUN_GENERATION_H

#include "base/buf.h"
#include "cli/run/admin_socket.h"
#include "cli/run/host.h"
#include "config/config.h"

#include <stdbool.h>

/* What the command line of `bunshin run` said; each reload reads the file with it again. */
struct run_request {
	const char *path;
	const char *url, *endpoint, *workers, *admin_listen; /* NULL: as the file says */
	bool exit_when_empty, json;
};

/* The admin port's socket, which a reload that does not change its address keeps open. */
struct listener {
	int fd; /* -1: none */
	char address[ADMIN_ADDRESS_SIZE];
	struct admin_file file;
	unsigned generations; /* that have it */
};

struct generation {
	unsigned number; /* 0, and one more with each reload */
	struct config *config;
	struct host host;
	struct listener *listener;
	unsigned workers_min, workers_max; /* equal: that many, always */
};

/*
 * Reads the configuration, opens ledger and rates, and listens on the admin port. before: the
 * generation that it replaces; NULL for the first. 0, or an error with whole lines for people in
 * `errors`: ERR_CONFIG for what the user has to mend, else ERR_IO, ERR_NOMEM. Blocks for tens of
 * milliseconds. The first one also says how to log.
 */
int generation_load(const struct run_request *request, unsigned number,
	const struct generation *before, struct generation **ret_generation, struct buf *errors);
/* NULL is fine. */
void generation_free(struct generation *generation);

#endif
