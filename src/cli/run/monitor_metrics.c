#include "cli/run/monitor_metrics.h"

#include "admin/emf.h"
#include "aws/sqs_queue.h"
#include "bunshin/error.h"
#include "cli/run/readiness.h"
#include "cli/run/totals.h"

#include <stdio.h>
#include <string.h>

/* ---- /metrics */

static int set_gauge(
	struct metrics *into, const char *name, const char *help, const char *labels, int64_t value)
{
	struct gauge *gauge = metrics_gauge(into, name, help, labels);

	if (!gauge)
		return ERR_NOMEM;
	gauge_set(gauge, value);
	return 0;
}

static int set_counter(struct metrics *into, const char *name, const char *help, const char *labels,
	uint64_t value)
{
	struct counter *counter = metrics_counter(into, name, help, labels);

	if (!counter)
		return ERR_NOMEM;
	counter->value = value;
	return 0;
}

static int collect_states(const struct board *board, uint64_t now_us, struct metrics *into)
{
	struct readiness_sum sum;
	int err = 0;

	readiness_sum(board, now_us, &sum);

	const struct {
		const char *labels;
		unsigned count;
	} rows[] = {{"state=\"starting\"", sum.starting}, {"state=\"running\"", sum.receiving},
		{"state=\"stopping\"", sum.stopping}, {"state=\"waiting\"", sum.waiting},
		{"state=\"silent\"", sum.silent}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !err; i++)
		err = set_gauge(into, "bunshin_workers", "Worker processes, by state.",
			rows[i].labels, rows[i].count);
	return err;
}

static int collect_counts(const struct board *board, struct metrics *into)
{
	struct board_counts counts;
	int err;

	board_counts_get(board, &counts);

	const struct {
		const char *name, *help, *labels;
		uint64_t value;
	} rows[] = {
		{"bunshin_worker_starts_total", "Worker processes started.", "", counts.started},
		{"bunshin_worker_deaths_total",
			"Worker processes that ended without being told to.", "", counts.died},
		{"bunshin_worker_stalls_total",
			"Worker processes killed since they got nothing done.", "", counts.killed},
		{"bunshin_reloads_total", "Reloads of the configuration.", "result=\"ok\"",
			counts.reloads},
		{"bunshin_reloads_total", "Reloads of the configuration.", "result=\"failed\"",
			counts.reloads_failed}};

	err = set_gauge(into, "bunshin_workers_wanted", "Worker processes that there should be.",
		"", counts.wanted);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !err; i++)
		err = set_counter(into, rows[i].name, rows[i].help, rows[i].labels, rows[i].value);
	return err;
}

static int collect_backlog(const struct board *board, struct metrics *into)
{
	const char *name = "bunshin_queue_backlog";
	const char *help = "Messages in the queue, as it says.";
	struct board_backlog backlog;
	int err;

	board_backlog_get(board, &backlog);
	if (backlog.visible < 0)
		return 0;
	err = set_gauge(into, name, help, "state=\"visible\"", backlog.visible);
	if (!err)
		err = set_gauge(into, name, help, "state=\"in_flight\"", backlog.in_flight);
	if (!err)
		err = set_gauge(into, name, help, "state=\"delayed\"", backlog.delayed);
	return err;
}

int monitor_metrics_collect(const struct board *board, uint64_t now_us, struct metrics *into)
{
	int err = board_collect(board, into);

	if (!err)
		err = set_gauge(into, "bunshin_build_info", "1; which version this is.",
			"version=\"" BUNSHIN_VERSION "\"", 1);
	if (!err)
		err = collect_states(board, now_us, into);
	if (!err)
		err = collect_counts(board, into);
	if (!err)
		err = collect_backlog(board, into);
	return err;
}

/* ---- embedded metrics */

static bool read_totals(const struct board *board, uint64_t *ret_accepted, uint64_t *ret_failed)
{
	struct run_totals totals;

	if (run_totals_read(board, &totals))
		return false;
	*ret_accepted = totals.accepted;
	*ret_failed = totals.failed + totals.failed_left;
	return true;
}

void monitor_emf_init(struct monitor_emf *emf, const char *namespace, const char *queue_url,
	const struct board *board)
{
	struct sqs_queue_url url;

	*emf = (struct monitor_emf){.namespace = namespace};
	/* The configuration has checked it. */
	snprintf(emf->queue, sizeof(emf->queue), "%s",
		sqs_queue_url_parse(queue_url, &url) == 0 ? url.name : "unknown");
	read_totals(board, &emf->accepted, &emf->failed);
}

/* The values of a line, as they come. */
struct line {
	struct emf_metric metrics[8];
	size_t count;
};

/* More than that is a number that somebody has made up. */
#define VALUE_MAX INT64_C(1000000000000)

static void add(struct line *line, const char *name, int64_t value)
{
	if (value < 0 || value > VALUE_MAX)
		value = VALUE_MAX;
	line->metrics[line->count++] =
		(struct emf_metric){.name = name, .unit = "Count", .thousandths = value * 1000};
}

static void add_backlog(struct line *line, const struct board *board, unsigned workers)
{
	struct board_backlog backlog;

	board_backlog_get(board, &backlog);
	if (backlog.visible < 0)
		return;
	add(line, "Backlog", backlog.visible);
	add(line, "InFlight", backlog.in_flight);
	add(line, "BacklogPerWorker", backlog.visible);
	line->metrics[line->count - 1].thousandths /= workers > 0 ? workers : 1;
}

/* Between two lines counts only rise, unless the board was read while a worker died. */
static int64_t since(uint64_t *before, uint64_t now)
{
	uint64_t more = now > *before ? now - *before : 0;

	*before += more;
	return (int64_t)more;
}

int monitor_emf_line(struct monitor_emf *emf, const struct board *board, uint64_t now_us,
	int64_t epoch_ms, struct buf *out)
{
	struct line line = {.count = 0};
	struct readiness_sum sum;
	uint64_t accepted, failed;

	readiness_sum(board, now_us, &sum);
	add(&line, "Workers", (int64_t)sum.receiving);
	add(&line, "Busy", (int64_t)sum.busy);
	add(&line, "Slots", (int64_t)sum.slots);
	if (read_totals(board, &accepted, &failed)) {
		add(&line, "Accepted", since(&emf->accepted, accepted));
		add(&line, "Failed", since(&emf->failed, failed));
	}
	add_backlog(&line, board, sum.receiving);

	const struct emf_document document = {.epoch_ms = epoch_ms,
		.namespace = emf->namespace,
		.dimension = "Queue",
		.dimension_value = emf->queue,
		.metrics = line.metrics,
		.count = line.count};

	return emf_write(&document, out);
}
