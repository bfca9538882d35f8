#include "cli/run/status_view.h"

#include "admin/status.h"
#include "aws/sqs_queue.h"
#include "base/hash.h"
#include "bunshin/error.h"
#include "cli/run/control_board.h"
#include "cli/run/monitor_metrics.h"
#include "cli/run/readiness.h"
#include "cli/run/trend.h"
#include "cli/run/verdict.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FAILING_SAMPLES 10

/* What a document is made of, for as long as it is being written. */
struct lists {
	struct status_destination destinations[STATUS_DESTINATIONS_MAX];
	struct status_campaign campaigns[FIGURES_CAMPAIGNS_MAX];
	struct status_failure failures[STATUS_FAILURES_MAX];
	struct status_worker workers[STATUS_WORKERS_MAX];
	struct board_check board_checks[READINESS_CHECKS_MAX];
	struct admin_check checks[READINESS_CHECKS_MAX];
	struct control_news control;
	struct verdict verdict;
	struct verdict_figures figures;
};

struct status_view {
	struct status_view_options options;
	struct trend *trend;
	struct figures figures;	  /* scratch of a sample */
	struct failures failures; /* as sampled last */
	struct failing_sample {
		uint64_t at_us;
		struct failing_count {
			uint64_t hash, count;
		} counts[FAILURES_MAX];
	} failing[FAILING_SAMPLES];
	unsigned failing_latest;
	const char *names[CONFIG_DESTINATIONS_MAX];
	struct sqs_queue_url url;
	char host[256];
	uint64_t looked_us; /* 0: never */
	struct lists lists;
};

static uint64_t now_us(const struct status_view *view)
{
	return clock_monotonic_us(view->options.clock);
}

static int64_t now_ms(const struct status_view *view)
{
	return clock_wall_epoch_ms(view->options.clock);
}

/* When it was by the wall clock, which may have been set since; -1: never. */
static int64_t wall_ms(const struct status_view *view, uint64_t then_us)
{
	uint64_t now = now_us(view);

	if (then_us == 0)
		return -1;
	return then_us < now ? now_ms(view) - (int64_t)((now - then_us) / 1000) : now_ms(view);
}

/* ---- samples */

static bool take_figures(struct status_view *view)
{
	struct metrics *metrics = metrics_new();
	bool taken = metrics && view->options.collect(view->options.arg, metrics) == 0;

	if (taken)
		figures_take(metrics, view->names, view->options.config->destination_count,
			&view->figures);
	metrics_free(metrics);
	return taken;
}

static int64_t bounded(uint64_t value)
{
	return value <= INT64_MAX / 16 ? (int64_t)value : -1;
}

static uint64_t hash_of(const struct failure_group *group)
{
	const size_t bytes = offsetof(struct failure_group, count);

	/* What they have in common, which the texts' zeros make the same bytes. */
	return hash_bytes((const char *)group, bytes);
}

static void sample_failures(struct status_view *view)
{
	struct failing_sample *sample;

	if (board_failures_collect(view->options.board, &view->failures))
		return;
	view->failing_latest = (view->failing_latest + 1) % FAILING_SAMPLES;
	sample = &view->failing[view->failing_latest];
	memset(sample, 0, sizeof(*sample));
	sample->at_us = now_us(view);
	for (size_t i = 0; i < view->failures.count; i++)
		sample->counts[i] =
			(struct failing_count){.hash = hash_of(&view->failures.groups[i]),
				.count = view->failures.groups[i].count};
}

void status_view_tick(struct status_view *view)
{
	struct board_backlog backlog;
	struct readiness_sum sum;
	struct trend_instant instant;
	bool taken = take_figures(view);

	board_backlog_get(view->options.board, &backlog);
	readiness_sum(view->options.board, now_us(view), &sum);
	instant = (struct trend_instant){.now_us = now_us(view),
		.now_ms = now_ms(view),
		.busy = bounded(sum.busy),
		.limit = bounded(sum.slots),
		.held = bounded(sum.held),
		.visible = backlog.visible,
		.in_flight = backlog.in_flight,
		.delayed = backlog.delayed,
		.asked_us = backlog.asked_us};
	sample_failures(view);
	trend_add(view->trend, taken ? &view->figures : NULL, &instant);
}

bool status_view_is_looked_at(const struct status_view *view)
{
	return view->looked_us != 0 && now_us(view) - view->looked_us <= STATUS_VIEW_LOOKED_US;
}

/* ---- the document, part by part */

static void fill_totals(const struct status_view *view, struct status *status)
{
	const struct figures *figures = trend_figures(view->trend);
	const struct {
		int64_t *to;
		enum figure figure;
	} rows[] = {
		{&status->totals.received, FIGURE_RECEIVED},
		{&status->totals.accepted, FIGURE_ACCEPTED},
		{&status->totals.suppressed, FIGURE_SUPPRESSED},
		{&status->totals.failed, FIGURE_FAILED},
		{&status->totals.failed_left, FIGURE_FAILED_LEFT},
		{&status->totals.expired, FIGURE_EXPIRED},
		{&status->totals.cancelled, FIGURE_CANCELLED},
		{&status->totals.retried, FIGURE_RETRIED},
		{&status->totals.postponed, FIGURE_POSTPONED},
		{&status->totals.lost, FIGURE_LOST},
		{&status->totals.attempts, FIGURE_ATTEMPTS},
		{&status->totals.sqs_requests, FIGURE_SQS_REQUESTS},
		{&status->sqs.throttled, FIGURE_SQS_THROTTLED},
		{&status->sqs.errors, FIGURE_SQS_ERRORS},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		*rows[i].to = figures ? bounded(figures->totals[rows[i].figure]) : -1;
	status->slots.held_bytes = figures ? figures->held_bytes : -1;
	status->sqs.cost_usd = figures ? (double)figures->cost_nanodollars / 1e9 : NAN;
}

static void fill_rates(const struct status_view *view, struct status *status)
{
	const struct trend *trend = view->trend;

	status->rates.received = trend_rate(trend, FIGURE_RECEIVED);
	status->rates.accepted = trend_rate(trend, FIGURE_ACCEPTED);
	status->rates.failed =
		trend_rate(trend, FIGURE_FAILED) + trend_rate(trend, FIGURE_FAILED_LEFT);
	status->rates.retried = trend_rate(trend, FIGURE_RETRIED);
	status->rates.expired = trend_rate(trend, FIGURE_EXPIRED);
	status->rates.attempts = trend_rate(trend, FIGURE_ATTEMPTS);
	status->sqs.requests_per_second = trend_rate(trend, FIGURE_SQS_REQUESTS);
	trend_attempt_ms(trend, &status->attempt_ms);
	trend_acceptance_ms(trend, &status->acceptance_ms);
}

/* In the last seconds some messages came to an end here. The counts are of a whole minute. */
static bool is_moving(const struct status *status)
{
	return status->rates.accepted > 0 || status->rates.failed > 0 || status->rates.expired > 0;
}

static void fill_queue(const struct status_view *view, struct status *status)
{
	struct board_backlog backlog;
	uint64_t empty_us;

	board_backlog_get(view->options.board, &backlog);
	status->queue.url = view->options.config->queue.url;
	status->queue.name = view->url.name;
	status->queue.visible = backlog.visible;
	status->queue.in_flight = backlog.in_flight;
	status->queue.delayed = backlog.delayed;
	status->queue.asked_ms = backlog.visible >= 0 ? wall_ms(view, backlog.asked_us) : -1;
	status->queue.falling_per_second = trend_falling(view->trend, now_us(view), &empty_us);
	status->queue.empty_ms = -1;
	if (empty_us > now_us(view) && is_moving(status))
		status->queue.empty_ms = now_ms(view) + (int64_t)((empty_us - now_us(view)) / 1000);
}

static double per_second(uint64_t count, int64_t per_ms)
{
	return count > 0 && per_ms > 0 ? (double)count * 1000 / (double)per_ms : NAN;
}

static void fill_control(struct status_view *view, struct status *status)
{
	struct control_news *news = &view->lists.control;

	status->control.rate_per_second = NAN;
	status->control.read_ms = -1;
	if (!control_board_get(view->options.board, view->options.config->queue.url, news))
		return;
	status->control.paused =
		news->readable || news->read_us != 0 ? &news->control.paused : NULL;
	status->control.rate_per_second =
		per_second(news->control.rate_count, news->control.rate_per_ms);
	status->control.cancelled = news->control.cancelled;
	status->control.read_ms = wall_ms(view, news->read_us);
}

/* What is in force on this host: of configuration and control the lower one. */
static double rate_of(const struct status_view *view, const struct config_destination *destination,
	const struct status *status)
{
	double hosts = (double)view->options.config->fleet_hosts;
	double own = per_second((uint64_t)destination->rate.count, destination->rate.per_ms);
	double rate = fmin(own, status->control.rate_per_second); /* of NAN and a number: that */

	return hosts > 1 ? rate / hosts : rate;
}

static void fill_destinations(
	struct status_view *view, const struct readiness_sum *sum, struct status *status)
{
	const struct config *config = view->options.config;
	const struct figures *figures = trend_figures(view->trend);
	bool only = config->destination_count == 1;

	for (size_t i = 0; i < config->destination_count && i < STATUS_DESTINATIONS_MAX; i++) {
		struct status_destination *row = &view->lists.destinations[i];
		bool open = figures && figures->destinations[i].breaker_open;

		*row = (struct status_destination){.name = config->destinations[i].name,
			.busy = only	  ? bounded(sum->busy)
				: figures ? figures->destinations[i].busy
					  : -1,
			.limit = figures ? figures->destinations[i].limit : -1,
			.configured = figures ? figures->destinations[i].configured : -1,
			.rate = rate_of(view, &config->destinations[i], status),
			.breaker = !figures ? NULL
				   : open   ? "open"
					    : "closed",
			.attempts_per_second = trend_destination_attempts(view->trend, i),
			.accepted_per_second = trend_destination_accepted(view->trend, i)};
		status->destination_count = i + 1;
	}
	status->destinations = view->lists.destinations;
}

static const char *or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

static void fill_failures(struct status_view *view, struct status *status)
{
	const struct failures *failures = &view->failures;

	for (size_t i = 0; i < failures->count && i < STATUS_FAILURES_MAX; i++) {
		const struct failure_group *from = &failures->groups[i];

		view->lists.failures[i] = (struct status_failure){
			.outcome = failure_outcome_name((enum failure_outcome)from->outcome),
			.destination = or_null(from->destination),
			.class = from->class,
			.reason = from->reason,
			.status = from->status > 0 ? from->status : -1,
			.count = bounded(from->count),
			.last_ms = from->last_ms,
			.message_id = or_null(from->message_id),
			.campaign = or_null(from->campaign),
			.request_id = or_null(from->request_id),
			.answer = or_null(from->answer),
			.attempt = from->attempt};
		status->failure_count = i + 1;
	}
	status->failures = view->lists.failures;
}

static int by_latest(const void *a, const void *b)
{
	const struct status_campaign *left = a, *right = b;

	if (left->last_ms != right->last_ms)
		return left->last_ms > right->last_ms ? -1 : 1;
	return strcmp(left->name, right->name);
}

static void fill_campaigns(struct status_view *view, struct status *status)
{
	const struct figures *figures = trend_figures(view->trend);

	for (size_t i = 0; figures && i < figures->campaign_count; i++) {
		const struct figures_campaign *from = &figures->campaigns[i];
		const struct trend_campaign *times = trend_campaign(view->trend, from->name);

		view->lists.campaigns[i] = (struct status_campaign){.name = from->name,
			.accepted = bounded(from->counts[CAMPAIGN_ACCEPTED]),
			.failed = bounded(from->counts[CAMPAIGN_FAILED]),
			.expired = bounded(from->counts[CAMPAIGN_EXPIRED]),
			.cancelled = bounded(from->counts[CAMPAIGN_CANCELLED]),
			.suppressed = bounded(from->counts[CAMPAIGN_SUPPRESSED]),
			.retried = bounded(from->counts[CAMPAIGN_RETRIED]),
			.accepted_per_second = trend_campaign_accepted(view->trend, from->name),
			.first_ms = times ? times->first_ms : -1,
			.last_ms = times ? times->last_ms : -1,
			.deadline_ms = times ? times->deadline_ms : -1};
		status->campaign_count = i + 1;
	}
	qsort(view->lists.campaigns, status->campaign_count, sizeof(view->lists.campaigns[0]),
		by_latest);
	status->campaigns = view->lists.campaigns;
}

/* Resident, as the kernel says (proc(5), statm: pages, the second number); -1: it does not. */
static int64_t memory_of(pid_t pid)
{
	char path[64], text[128];
	long long pages = -1;
	FILE *file;

	if (pid <= 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (!fgets(text, sizeof(text), file) || sscanf(text, "%*s %lld", &pages) != 1)
		pages = -1;
	fclose(file);
	return pages < 0 ? -1 : (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static const char *state_of(
	const struct board_seat *seat, const struct board_report *report, uint64_t age_us)
{
	if (seat->state != BOARD_WAITING && report->heartbeat_us != 0 &&
		age_us > READINESS_FRESH_US)
		return "silent";
	switch (seat->state) {
	case BOARD_RUNNING:
		return "running";
	case BOARD_STARTING:
		return report->begun ? "running" : "starting";
	case BOARD_STOPPING:
		return "stopping";
	case BOARD_WAITING:
	case BOARD_EMPTY:
	default:
		return "waiting";
	}
}

static void fill_worker(struct status_view *view, const struct board_seat *seat,
	const struct board_report *report, struct status_worker *row)
{
	uint64_t now = now_us(view);
	uint64_t age_us = report->heartbeat_us != 0 && report->heartbeat_us < now
				  ? now - report->heartbeat_us
				  : 0;

	*row = (struct status_worker){.number = seat->number,
		.pid = seat->pid > 0 ? seat->pid : -1,
		.state = state_of(seat, report, age_us),
		.generation = seat->generation,
		.memory_bytes = memory_of(seat->pid),
		.busy = bounded(report->busy),
		.slots = bounded(report->slots),
		.held = bounded(report->held),
		.received = bounded(report->received),
		.since_ms = wall_ms(view, seat->since_us),
		.heartbeat_age_ms = report->heartbeat_us != 0 ? (int64_t)(age_us / 1000) : -1};
}

static void fill_workers(struct status_view *view, struct status *status)
{
	const struct board *board = view->options.board;
	struct board_report report;
	struct board_seat seat;

	for (unsigned place = 0;
		place < board_places(board) && status->worker_count < STATUS_WORKERS_MAX; place++) {
		board_seat_get(board, place, &seat);
		if (seat.state == BOARD_EMPTY)
			continue;
		board_report_get(board, place, &report);
		fill_worker(view, &seat, &report, &view->lists.workers[status->worker_count++]);
	}
	status->workers = view->lists.workers;
}

static void fill_checks(struct status_view *view, struct status *status)
{
	struct lists *lists = &view->lists;

	status->check_count =
		readiness_checks(view->options.board, now_us(view), lists->board_checks);
	for (size_t i = 0; i < status->check_count; i++)
		lists->checks[i] = (struct admin_check){.name = lists->board_checks[i].name,
			.health = lists->board_checks[i].health,
			.detail = lists->board_checks[i].detail};
	status->checks = lists->checks;
}

/* ---- the verdict */

static int64_t utc_offset_s(int64_t epoch_ms)
{
	time_t seconds = (time_t)(epoch_ms / 1000);
	struct tm tm;

	return localtime_r(&seconds, &tm) ? tm.tm_gmtoff : 0;
}

/* The next deadline ahead, of a campaign that something was heard of lately. */
static void find_deadline(const struct status *status, struct verdict_figures *figures)
{
	figures->deadline_ms = -1;
	for (size_t i = 0; i < status->campaign_count; i++) {
		const struct status_campaign *row = &status->campaigns[i];

		if (row->deadline_ms <= status->now_ms ||
			(figures->deadline_ms >= 0 && row->deadline_ms >= figures->deadline_ms))
			continue;
		figures->deadline_ms = row->deadline_ms;
		figures->deadline_of = row->name;
	}
}

static void find_breakers(const struct status *status, struct verdict_figures *figures)
{
	figures->destinations = (unsigned)status->destination_count;
	figures->rate = NAN;
	for (size_t i = 0; i < status->destination_count; i++) {
		const struct status_destination *row = &status->destinations[i];

		figures->configured += row->configured > 0 ? row->configured : 0;
		if (!isnan(row->rate))
			figures->rate =
				isnan(figures->rate) ? row->rate : figures->rate + row->rate;
		if (!row->breaker || strcmp(row->breaker, "open") != 0)
			continue;
		if (figures->open++ == 0)
			figures->open_name = row->name;
	}
}

/* Attempts by their kinds of failure, over the samples of the window. */
static uint64_t count_before(const struct failing_sample *sample, uint64_t hash)
{
	for (size_t i = 0; i < FAILURES_MAX; i++)
		if (sample->counts[i].hash == hash)
			return sample->counts[i].count;
	return 0;
}

static bool is_of_attempts(const struct failure_group *group)
{
	return group->outcome == FAILURE_RETRYING || group->outcome == FAILURE_FAILED ||
	       group->outcome == FAILURE_FAILED_LEFT;
}

/* The oldest sample that is not older than the window; NULL: there is only the latest. */
static const struct failing_sample *first_failing(const struct status_view *view)
{
	const struct failing_sample *latest = &view->failing[view->failing_latest], *first = NULL;

	for (unsigned back = 1; back < FAILING_SAMPLES; back++) {
		const struct failing_sample *sample =
			&view->failing[(view->failing_latest + FAILING_SAMPLES - back) %
				       FAILING_SAMPLES];

		if (sample->at_us == 0 || latest->at_us - sample->at_us > TREND_WINDOW_US)
			break;
		first = sample;
	}
	return first;
}

/* What it was that opened the breaker, as far as the failures tell. */
static void find_open_reason(const struct status_view *view, struct verdict_figures *figures)
{
	for (size_t i = 0; i < view->failures.count && figures->open_name; i++) {
		const struct failure_group *group = &view->failures.groups[i];

		if (!is_of_attempts(group) || strcmp(group->destination, figures->open_name) != 0)
			continue;
		figures->open_status = group->status;
		figures->open_reason = group->reason;
		return;
	}
}

static void find_failing(const struct status_view *view, struct verdict_figures *figures)
{
	const struct failing_sample *first = first_failing(view);
	double seconds, all = 0;

	find_open_reason(view, figures);
	if (!first || !(figures->attempts > 0))
		return;
	seconds = (double)(view->failing[view->failing_latest].at_us - first->at_us) / 1e6;
	figures->attempts_in_window = figures->attempts * seconds;
	for (size_t i = 0; i < view->failures.count; i++) {
		const struct failure_group *group = &view->failures.groups[i];
		uint64_t before = count_before(first, hash_of(group));
		double share = group->count > before ? (double)(group->count - before) /
							       figures->attempts_in_window
						     : 0;

		if (!is_of_attempts(group))
			continue;
		share = share < 1 ? share : 1;
		all += share;
		if (share <= figures->failing.share)
			continue;
		figures->failing = (struct verdict_failing){.destination = group->destination,
			.status = group->status,
			.reason = group->reason,
			.share = share};
	}
	figures->failing_share = all < 1 ? all : 1;
}

static void fill_verdict(
	struct status_view *view, const struct readiness_sum *sum, struct status *status)
{
	struct verdict_figures *figures = &view->lists.figures;
	struct board_counts counts;

	board_counts_get(view->options.board, &counts);
	*figures = (struct verdict_figures){.now_ms = status->now_ms,
		.utc_offset_s = utc_offset_s(status->now_ms),
		.stopping = counts.stopping,
		.paused = status->control.paused && *status->control.paused,
		.wanted = counts.wanted,
		.receiving = sum->receiving,
		.starting = sum->starting,
		.died = sum->waiting,
		.silent = sum->silent,
		.checks = status->checks,
		.check_count = status->check_count,
		.received = status->rates.received,
		.attempts = status->rates.attempts,
		.accepted = status->rates.accepted,
		.expired = status->rates.expired,
		.limit = status->slots.limit,
		.sqs_throttled = trend_rate(view->trend, FIGURE_SQS_THROTTLED),
		.sqs_errors = trend_rate(view->trend, FIGURE_SQS_ERRORS),
		.busy = status->slots.busy,
		.held = status->slots.held,
		.visible = status->queue.visible,
		.in_flight = status->queue.in_flight,
		.delayed = status->queue.delayed,
		.empty_ms = status->queue.empty_ms};
	find_deadline(status, figures);
	find_breakers(status, figures);
	find_failing(view, figures);
	verdict_of(figures, &view->lists.verdict);
	status->verdict.health = view->lists.verdict.health;
	status->verdict.state = verdict_state_name(view->lists.verdict.state);
	status->verdict.words = view->lists.verdict.words;
}

/* ---- */

int status_view_write(struct status_view *view, struct buf *out)
{
	struct status status = {.version = BUNSHIN_VERSION,
		.host = view->host,
		.now_ms = now_ms(view),
		.control = {.writable = view->options.config->admin.token != NULL},
		.started_ms = trend_notes_of(view->trend)->started_ms};
	struct readiness_sum sum;

	view->looked_us = now_us(view);
	readiness_sum(view->options.board, now_us(view), &sum);
	status.slots.busy = bounded(sum.busy);
	status.slots.limit = bounded(sum.slots);
	status.slots.held = bounded(sum.held);
	fill_totals(view, &status);
	fill_rates(view, &status);
	fill_queue(view, &status);
	fill_control(view, &status);
	fill_destinations(view, &sum, &status);
	fill_campaigns(view, &status);
	fill_failures(view, &status);
	fill_workers(view, &status);
	fill_checks(view, &status);
	fill_verdict(view, &sum, &status);
	return status_write(&status, out);
}

int status_view_write_history(struct status_view *view, int64_t since_ms, struct buf *out)
{
	view->looked_us = now_us(view);
	return history_write(&trend_notes_of(view->trend)->history, since_ms, now_ms(view), out);
}

int status_view_new(const struct status_view_options *options, struct status_view **ret_view)
{
	struct status_view *view = calloc(1, sizeof(*view));
	const struct config *config = options->config;

	if (!view)
		return ERR_NOMEM;
	view->options = *options;
	view->trend = trend_new(board_notes(options->board), clock_wall_epoch_ms(options->clock));
	if (!view->trend) {
		free(view);
		return ERR_NOMEM;
	}
	for (size_t i = 0; i < config->destination_count; i++)
		view->names[i] = config->destinations[i].name;
	gethostname(view->host, sizeof(view->host) - 1);
	(void)sqs_queue_url_parse(config->queue.url, &view->url);
	*ret_view = view;
	return 0;
}

void status_view_free(struct status_view *view)
{
	if (!view)
		return;
	trend_free(view->trend);
	free(view);
}

_Static_assert(sizeof(struct trend_notes) <= BOARD_NOTES_BYTES, "its place on the board");
