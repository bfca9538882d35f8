/*
 * The admin port: what the process says of itself over HTTP.
 *
 *	/		for browsers the status page (its files are below /page/), else a list
 *	/metrics	Prometheus text exposition; 503 and words when they cannot be collected
 *	/healthz	200 while progress is made, else 503; JSON with one check, "progress"
 *	/readyz		200 or 503; JSON with every check and its words
 *	/status.json	what is now (status.h)
 *	/history.json	what was (history.h); ?since=EPOCH_MS: what was after that
 *	/control/pause	POST with a token: pauses the queue; /control/resume: the other way
 *	(control.h)
 *
 * JSON of both: {"ok":BOOL,"checks":[{"name":..,"health":"ok|degraded|failed","detail":..}]}; that
 * of /readyz has "ready", which says the same as "ok", before it.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "base/buf.h"
#include "base/metrics.h"

#include <stdbool.h>
#include <stdint.h>
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
	/*
	 * Appends the document of /status.json, or that of /history.json with the rows after
	 * since_ms. 0 or an error code: 503. NULL: there is none, which is a 503 too.
	 */
	int (*status)(void *arg, struct buf *out);
	int (*history)(void *arg, int64_t since_ms, struct buf *out);
	/*
	 * POST /control/pause and /control/resume (control.h). token: what whoever asks has to
	 * send; NULL: nobody may. set_paused() begins the change and returns 0, and
	 * admin_changed() is called once, later; or an error code, ERR_PENDING when another is
	 * under way. refused(): somebody who may not has tried, for the log; at most once a second
	 * for a wrong token. peer: http_call_peer().
	 */
	const char *token;
	const char *const *hosts; /* by which browsers may reach the port (guard.h) */
	size_t host_count;
	const char *pause_command, *resume_command; /* what to run instead */
	int (*set_paused)(void *arg, bool paused, const char *peer);
	void (*refused)(void *arg, const char *why, const char *peer);
	void *arg;
};

/*
 * Everything is borrowed. 0, ERR_NOMEM, ERR_ARGUMENT (listen does not parse, or there is nothing to
 * listen on), ERR_IO (errno: EADDRINUSE, ...).
 */
int admin_new(uv_loop_t *loop, const struct admin_options *options, struct admin **ret_admin);
const char *admin_address(const struct admin *admin); /* "127.0.0.1:9797"; "" with a listen_fd */
/* The change has ended: error NULL, it is made; else why not, for people. */
void admin_changed(struct admin *admin, const char *error);
/* The memory goes on a later turn of the loop. NULL is fine. */
void admin_close(struct admin *admin);

/*
 * exposition.c: the text format (version 0.0.4), series of one name together under one HELP and
 * TYPE. Histograms in the registry's microseconds become seconds. 0 or the buffer's error.
 */
int exposition_write(const struct metrics *metrics, struct buf *out);

#endif
