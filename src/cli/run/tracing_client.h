/*
 * The exporter's way to the collector: one POST of OTLP in JSON at a time, with the configured
 * header fields.
 */
#ifndef CLI_RUN_TRACING_CLIENT_H
#define CLI_RUN_TRACING_CLIENT_H

#include "bunshin/clock.h"
#include "config/config.h"
#include "tracing/exporter.h"

#include <uv.h>

struct tracing_client;

/* By config->tracing; all is borrowed and outlives it. 0, ERR_NOMEM or ERR_IO. */
int tracing_client_new(uv_loop_t *loop, struct clock clock, const struct config *config,
	struct tracing_client **ret_client);
/* Cancels what is under way. NULL is fine. */
void tracing_client_free(struct tracing_client *client);
struct exporter_transport tracing_client_transport(struct tracing_client *client);

#endif
