/*
 * The embedded queue as an HTTP endpoint: SQS's two protocols, AWS JSON 1.0 and Query, on POST /
 * and on the path of a queue, GET /_health for scripts, GET / for people (page.h; without keys
 * only).
 */
#ifndef LOCALQ_ENDPOINT_H
#define LOCALQ_ENDPOINT_H

#include "bunshin/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#define ENDPOINT_DETAIL_MAX 512

struct declarations;
struct endpoint;

/* All strings are copied. */
struct endpoint_options {
	const char *listen;	/* "127.0.0.1:9324"; port 0: any free one */
	const char *dir;	/* where the queues are kept; NULL: in memory */
	bool sync_full;		/* a commit survives the loss of power, too (store.h) */
	const char *region;	/* in ARNs and, with a key, in signatures */
	const char *access_key; /* NULL: any signature, or none, is taken */
	const char *secret_key; /* set if and only if access_key is */
	/* Names, beside the usual ones, by which a browser may reach it (origin.h). */
	const char *const *page_hosts;
	size_t page_host_count;
	struct declarations *declarations; /* as service_options'; NULL: none */
	/* A transaction failed and its requests got a 500; for the log. May be NULL. */
	void (*failed)(void *arg, const char *detail);
	/* After that one that wrote something has been committed. May be NULL. */
	void (*recovered)(void *arg);
	void *arg;
};

/*
 * Opens the store and listens. The loop and the clock are borrowed and outlive the endpoint.
 * Returns 0; or a negative code with the reason for people in `detail`: ERR_ARGUMENT (address or
 * region), ERR_IO, ERR_STORE, ERR_LIMIT (another process has the directory), ERR_CONFIG (database
 * of a newer version), ERR_REFUSED (a declaration, which says more itself), ERR_NOMEM.
 */
int endpoint_new(uv_loop_t *loop, struct clock clock, const struct endpoint_options *options,
	struct endpoint **ret, char detail[ENDPOINT_DETAIL_MAX]);
/* "127.0.0.1:9324", with the real port; borrowed. */
const char *endpoint_address(const struct endpoint *endpoint);
/*
 * Answers waiting receives with nothing, gives the answers a moment to leave, then drops the
 * connections and frees everything. `closed` (may be NULL) runs at the end, from the loop. A
 * second call does not give that moment.
 */
void endpoint_close(struct endpoint *endpoint, void (*closed)(void *arg), void *arg);

#endif
