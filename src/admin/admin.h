/*
 * The admin port: what the process says of itself over HTTP.
 *
 *	/metrics	Prometheus text exposition; 503 and words when they cannot be collected
 *	/healthz	200 while progress is made; 503 and words when not
 *	/readyz		200 or 503; JSON with every check and its words
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "base/buf.h"
#include "base/metrics.h"

#include <stdbool.h>
#include <uv.h>

struct admin;

/* How one thing that readiness depends on is doing. */
enum admin_health {
	ADMIN_OK,
	ADMIN_DEGRADED, /* works, but somebody should look: /readyz still answers 200 */
	ADMIN_FAILED,	/* /readyz answers 503 */
};

struct admin_check {
	const char *name; /* "credentials", "queue", ...; static */
	enum admin_health health;
	const char
		*detail; /* for people, "" when there is nothing to say; borrowed for the visit */
};

struct admin_options {
	/* As those of struct http_server_options. */
	const char *listen;
	int listen_fd;
	/* For each scrape: adds the metrics to an empty registry. 0 or an error code: 503. */
	int (*collect)(void *arg, struct metrics *into);
	/*
	 * Whether whoever the port speaks for makes progress; if not, why, appended to `words`.
	 * NULL: whoever gets an answer has seen it.
	 */
	bool (*is_alive)(void *arg, struct buf *words);
	/* Calls visit for every check, in order; from inside. Once for each answer. */
	void (*each_check)(void *arg,
		void (*visit)(void *visit_arg, const struct admin_check *check), void *visit_arg);
	void *arg;
};

/*
 * Everything is borrowed. 0, ERR_NOMEM, ERR_ARGUMENT (listen does not parse, or there is nothing to
 * listen on), ERR_IO (errno: EADDRINUSE, ...).
 */
int admin_new(uv_loop_t *loop, const struct admin_options *options, struct admin **ret_admin);
const char *admin_address(const struct admin *admin); /* "127.0.0.1:9797"; "" with a listen_fd */
/* The memory goes on a later turn of the loop. NULL is fine. */
void admin_close(struct admin *admin);

/*
 * exposition.c: the text format (version 0.0.4), series of one name together under one HELP and
 * TYPE. Histograms in the registry's microseconds become seconds. 0 or the buffer's error.
 */
int exposition_write(const struct metrics *metrics, struct buf *out);

#endif
