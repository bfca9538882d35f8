/*
 * The time-outs of requests. They are not curl's: curl looks at the time before it looks at the
 * connection, as libuv runs its timers before it polls. In a process that has not run for a while
 * (stopped, its container's share of the processor used up, its machine moved) all answers that
 * came meanwhile would be thrown away, and what the other side has done would be done again.
 *
 * So a request whose time is over is only noted. It ends after the loop has polled, if all that
 * there was to read for it was not the answer. What has not been sent by then is not sent: that is
 * asked by the clock, right before, for the process may have been stopped in any place.
 */
#include "http/client_impl.h"

#include <stdio.h>

/* Behind the poll of the same turn. */
static void on_polled(uv_check_t *check)
{
	struct http_client *client = check->data;
	struct list *node;

	while ((node = list_first(&client->overdue)) != NULL) {
		exchange_time_out(list_entry(node, struct http_exchange, overdue));
		if (client->closing)
			return;
	}
	uv_check_stop(check);
}

static void on_due(struct clock_timer *timer)
{
	struct http_exchange *exchange = list_entry(timer, struct http_exchange, timer);
	struct http_client *client = exchange->client;

	timer_heap_clear(&client->timers, timer);
	list_append(&client->overdue, &exchange->overdue);
	uv_check_start(&client->polled, on_polled);
	client_start_kick(client); /* the poll is not to wait */
}

void timeouts_init(struct http_client *client)
{
	list_init(&client->overdue);
	uv_check_init(client->loop, &client->polled);
	client->polled.data = client;
	uv_unref((uv_handle_t *)&client->polled);
}

int timeout_start(struct http_exchange *exchange)
{
	struct http_client *client = exchange->client;
	uint64_t due_us;
	int err;

	exchange->started_ns = uv_hrtime();
	due_us = exchange->started_ns / 1000 + (uint64_t)exchange->timeout_ms * 1000;
	exchange->timer.fire = on_due;
	err = timer_heap_set(&client->timers, &exchange->timer, due_us);
	if (err == 0)
		client_arm_timer(client);
	return err;
}

bool timeout_is_noted(const struct http_exchange *exchange)
{
	return !clock_timer_is_set(&exchange->timer);
}

bool timeout_is_over(const struct http_exchange *exchange)
{
	return timeout_is_noted(exchange) || uv_hrtime() / 1000 >= exchange->timer.due_us;
}

void timeout_stop(struct http_exchange *exchange)
{
	timer_heap_clear(&exchange->client->timers, &exchange->timer);
	list_remove(&exchange->overdue);
}
