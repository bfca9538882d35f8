#include "delivery/inflight.h"

#include "bunshin/error.h"
#include "delivery/core.h"

#include <inttypes.h>
#include <stdio.h>

#define INTERVAL_MIN_US 60000000ull
#define INTERVAL_MAX_US 600000000ull

void inflight_init(struct inflight *inflight, struct delivery *delivery)
{
	*inflight = (struct inflight){.delivery = delivery, .interval_us = INTERVAL_MIN_US};
}

int inflight_open_metrics(struct inflight *inflight, struct metrics *metrics)
{
	const char *name = "bunshin_queue_messages";
	const char *help = "Messages in the queue as it said last, asked when receives are empty.";

	inflight->visible = metrics_gauge_max(metrics, name, help, "state=\"visible\"");
	inflight->in_flight = metrics_gauge_max(metrics, name, help, "state=\"in_flight\"");
	inflight->delayed = metrics_gauge_max(metrics, name, help, "state=\"delayed\"");
	inflight->reached_gauge =
		metrics_gauge_max(metrics, "bunshin_queue_in_flight_limit_reached",
			"1 while SQS hands nothing out since too many messages are in flight.", "");
	return inflight->visible && inflight->in_flight && inflight->delayed &&
			       inflight->reached_gauge
		       ? 0
		       : ERR_NOMEM;
}

static void set_reached(struct inflight *inflight, bool reached, const char *reason)
{
	if (inflight->reached == reached)
		return;
	inflight->reached = reached;
	gauge_set(inflight->reached_gauge, reached);
	core_notify(inflight->delivery,
		&(struct delivery_event){
			.kind = reached ? DELIVERY_QUEUE_FULL : DELIVERY_QUEUE_FLOWS,
			.operation = "receive",
			.reason = reason});
}

static void answered(
	void *arg, int err, const struct queue_attributes *attributes, const char *detail)
{
	struct inflight *inflight = arg;
	char reason[128];

	inflight->call = NULL;
	if (err) {
		inflight->denied = err == ERR_ACCESS_DENIED;
		core_queue_failed(inflight->delivery, "get attributes", err, detail);
		return;
	}
	gauge_set(inflight->visible, attributes->visible);
	gauge_set(inflight->in_flight, attributes->in_flight);
	gauge_set(inflight->delayed, attributes->delayed);
	snprintf(reason, sizeof(reason), "%" PRId64 " in flight, %" PRId64 " waiting",
		attributes->in_flight, attributes->visible);
	set_reached(inflight, attributes->in_flight >= INFLIGHT_NEAR && attributes->visible > 0,
		reason);
	if (inflight->reached)
		inflight->interval_us = INTERVAL_MIN_US;
}

static void ask(struct inflight *inflight)
{
	struct delivery *delivery = inflight->delivery;
	struct queue queue = delivery->options.queue;
	uint64_t now_us = clock_monotonic_us(delivery->clock);

	if (inflight->call || inflight->denied || delivery->drain)
		return;
	if (inflight->asked_us) {
		if (now_us < inflight->asked_us + inflight->interval_us)
			return;
		inflight->interval_us *= 2;
	}
	if (inflight->interval_us > INTERVAL_MAX_US)
		inflight->interval_us = INTERVAL_MAX_US;
	inflight->asked_us = now_us;
	/* What cannot be asked now is asked after a later receive. */
	queue.ops->get_attributes(queue.impl, answered, inflight, &inflight->call);
}

void inflight_received(struct inflight *inflight, size_t count)
{
	if (count == 0) {
		ask(inflight);
		return;
	}
	set_reached(inflight, false, "");
	inflight->interval_us = INTERVAL_MIN_US;
}

void inflight_refused(struct inflight *inflight, int err)
{
	if (err == ERR_OVER_LIMIT)
		set_reached(inflight, true, error_message(err));
}

void inflight_stop(struct inflight *inflight)
{
	struct queue queue = inflight->delivery->options.queue;

	if (inflight->call)
		queue.ops->cancel(queue.impl, inflight->call);
	inflight->call = NULL;
}
