/* Metrics of the connections to each destination. */
#ifndef CLI_RUN_CONNECTION_METRICS_H
#define CLI_RUN_CONNECTION_METRICS_H

#include "base/metrics.h"
#include "config/config.h"
#include "http/http_target.h"

struct connection_metrics {
	struct connection_row *rows; /* one a destination */
	size_t count;
};

/* 0 or ERR_NOMEM; zeroed before. */
int connection_metrics_open(struct connection_metrics *connections, struct metrics *metrics,
	const struct config *config);
/* Once a second: `targets` are those of the destinations, in their order. */
void connection_metrics_show(
	struct connection_metrics *connections, struct http_target *const *targets);
void connection_metrics_close(struct connection_metrics *connections);

#endif
