#include "cli/run/worker_report.h"

#include "bunshin/error.h"
#include "cli/run/worker_checks.h"

#include <stdlib.h>

#define INTERVAL_US 1000000

struct worker_report {
	struct clock clock;
	struct worker *worker;
	struct board *board;
	unsigned place;
	struct worker_trouble trouble;
	struct clock_timer timer;
};

void worker_report_now(struct worker_report *report)
{
	struct worker *worker = report->worker;
	struct board_check checks[BOARD_CHECKS_MAX];
	struct delivery_health health;
	struct delivery_stats stats;
	struct delivery_work work;
	const struct failures *failures = worker_new_failures(worker);

	if (failures)
		board_failures_set(report->board, report->place, failures);
	worker_show(worker);
	worker_get_work(worker, &work);
	delivery_get_health(worker_delivery(worker), &health);
	delivery_get_stats(worker_delivery(worker), &stats);
	board_checks_set(report->board, report->place, checks,
		worker_checks(worker, &report->trouble, checks));
	board_report_set(report->board, report->place,
		&(struct board_report){.heartbeat_us = clock_monotonic_us(report->clock),
			.progress_us = work.progress_us,
			.begun = worker_has_begun(worker),
			.draining = health.draining,
			.held = delivery_held(worker_delivery(worker)),
			.busy = work.busy,
			.slots = work.slots,
			.wanting = work.full_polls,
			.received = stats.received});
}

static void fire(struct clock_timer *timer)
{
	struct worker_report *report =
		(struct worker_report *)(void *)((char *)timer -
						 offsetof(struct worker_report, timer));

	clock_timer_after(report->clock, timer, INTERVAL_US);
	worker_report_now(report);
}

int worker_report_new(struct clock clock, struct worker *worker, struct board *board,
	unsigned place, struct worker_report **ret_report)
{
	struct worker_report *report = calloc(1, sizeof(*report));

	if (!report)
		return ERR_NOMEM;
	report->clock = clock;
	report->worker = worker;
	report->board = board;
	report->place = place;
	report->timer.fire = fire;
	if (clock_timer_after(clock, &report->timer, INTERVAL_US)) {
		free(report);
		return ERR_NOMEM;
	}
	worker_report_now(report);
	*ret_report = report;
	return 0;
}

void worker_report_free(struct worker_report *report)
{
	if (!report)
		return;
	clock_timer_clear(report->clock, &report->timer);
	free(report);
}

void worker_report_receive_result(struct worker_report *report, int err, const char *detail)
{
	if (report)
		worker_trouble_set(&report->trouble, err, detail);
}
