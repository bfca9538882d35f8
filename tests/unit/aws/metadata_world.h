/*
 * A scripted HTTP service on loopback, in the test's loop, which keeps every request; around it
 * what providers of credentials need: settings out of a table, a clock in virtual time, the client.
 */
#ifndef TESTS_METADATA_WORLD_H
#define TESTS_METADATA_WORLD_H

#include "variables.h"

#include "aws/credentials/provider.h"
#include "base/manual_clock.h"
#include "http/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include <cmocka.h>

#define WORLD_STEPS_MAX 32
#define WORLD_EPOCH_MS 1767323045000 /* 2026-01-02T03:04:05Z */

struct world_request {
	char *method, *path;
	char *token, *ttl, *authorization; /* headers; NULL: absent */
	uint64_t came_us;		   /* by the clock in virtual time */
};

struct world {
	uv_loop_t loop;
	struct manual_clock clock;
	struct http_client *client;
	struct http_server *server;
	struct credentials_context context;
	struct aws_settings *settings;
	char endpoint[64]; /* "http://127.0.0.1:40123" */

	/* Instead of the script: status and body of the answer to any request for this path. */
	int (*respond)(const char *path, const char **ret_body);
	struct {
		enum { WORLD_ANSWER, WORLD_SILENCE, WORLD_CUT } kind;
		int status;
		const char *body; /* borrowed */
		const char *ttl;
	} steps[WORLD_STEPS_MAX]; /* request i gets step i */
	size_t step_count;
	struct world_request requests[WORLD_STEPS_MAX];
	size_t request_count;
};

/* AWS_EC2_METADATA_SERVICE_ENDPOINT is the service; there is no other variable, and no file. */
void world_open(struct world *world);
/* Reads the settings, before anything that uses the context. */
void world_load(struct world *world);
/* Demands that what was scripted was asked for, and that the loop closes clean. */
void world_close(struct world *world);

/* What the next request not yet scripted gets. */
void world_answer(struct world *world, int status, const char *body);
void world_token(struct world *world, const char *token, const char *ttl); /* 200 */
void world_silence(struct world *world);				   /* no answer, ever */
void world_cut(struct world *world); /* the connection is closed without an answer */

/* Goes on until *counter reaches the number; virtual time passes when nothing else happens. */
void world_until(struct world *world, const unsigned *counter, unsigned number);
/* The same until the service has had this many requests. */
void world_until_requests(struct world *world, size_t count);
/* Turns the loop, without waiting and without virtual time passing. */
void world_settle(struct world *world);

/* What came of a provider's get(). */
struct world_outcome {
	unsigned calls; /* of `done`, or 1 when get() itself ended it */
	int err;
	char reason[CREDENTIALS_REASON_MAX];
	struct credentials_set set;
};

/* get(), waited for. */
void world_get(struct world *world, const struct credentials_provider *provider,
	struct world_outcome *ret_outcome);
/*
 * The same with the k-th allocation failing, for every k until there is none more; each time with a
 * world and a provider of its own. What comes of it is 0, ERR_NOMEM, or what a connection that
 * could not be made or was cut looks like. Without a failure it must be 0.
 */
void world_sweep(int (*respond)(const char *path, const char **ret_body), const char *variable,
	int (*make)(const struct credentials_context *context,
		struct credentials_provider *ret_provider));
/* get() only; true: `done` will be called. */
bool world_get_start(
	const struct credentials_provider *provider, struct world_outcome *ret_outcome);

#endif
