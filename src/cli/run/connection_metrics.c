#include "cli/run/connection_metrics.h"

#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>

struct connection_row {
	struct gauge *open, *streams;
	struct counter *opened, *refused;
	struct http_target_connections shown;
};

static int open_row(struct connection_row *row, struct metrics *metrics, const char *labels)
{
	row->open = metrics_gauge(
		metrics, "bunshin_connections", "TCP connections open to providers.", labels);
	row->streams = metrics_gauge_max(metrics, "bunshin_connection_streams",
		"Requests at once on the busiest HTTP/2 connection of the last second; 0: no "
		"HTTP/2.",
		labels);
	row->opened = metrics_counter(metrics, "bunshin_connections_opened_total",
		"TCP connections opened to providers.", labels);
	row->refused = metrics_counter(metrics, "bunshin_requests_refused_total",
		"Requests that an HTTP/2 server refused unseen, and that were sent again at once.",
		labels);
	return row->open && row->streams && row->opened && row->refused ? 0 : ERR_NOMEM;
}

int connection_metrics_open(struct connection_metrics *connections, struct metrics *metrics,
	const struct config *config)
{
	char labels[128];
	int err = 0;

	connections->rows = calloc(config->destination_count, sizeof(*connections->rows));
	if (!connections->rows)
		return ERR_NOMEM;
	connections->count = config->destination_count;
	for (size_t i = 0; i < connections->count && err == 0; i++) {
		snprintf(
			labels, sizeof(labels), "destination=\"%s\"", config->destinations[i].name);
		err = open_row(&connections->rows[i], metrics, labels);
	}
	return err;
}

void connection_metrics_show(
	struct connection_metrics *connections, struct http_target *const *targets)
{
	for (size_t i = 0; i < connections->count; i++) {
		struct connection_row *row = &connections->rows[i];
		struct http_target_connections now;

		http_target_get_connections(targets[i], &now);
		gauge_set(row->open, now.open);
		gauge_set(row->streams, now.most_streams);
		counter_add(row->opened, now.opened - row->shown.opened);
		counter_add(row->refused, now.refused - row->shown.refused);
		row->shown = now;
	}
}

void connection_metrics_close(struct connection_metrics *connections)
{
	free(connections->rows);
	connections->rows = NULL;
	connections->count = 0;
}
