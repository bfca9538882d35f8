#include "world.h"

#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 10

void world_open(struct world *world)
{
	memset(world, 0, sizeof(*world));
	assert_int_equal(uv_loop_init(&world->loop), 0);
	uv_timer_init(&world->loop, &world->tick);
	uv_unref((uv_handle_t *)&world->tick);
}

void world_client(struct world *world, const struct http_client_options *options)
{
	static const struct http_client_options defaults;

	assert_int_equal(
		http_client_new(&world->loop, options ? options : &defaults, &world->client), 0);
}

void world_server(struct world *world, const struct http_server_options *options)
{
	assert_int_equal(http_server_new(&world->loop, options, &world->server), 0);
}

void world_echo(void *arg, struct http_call *call)
{
	struct world *world = arg;
	struct http_reply reply = {.status = 200, .content_type = "text/plain"};
	int status;

	reply.body = http_call_body(call, &reply.body_bytes);
	if (sscanf(http_call_path(call), "/status/%d", &status) == 1)
		reply.status = status;
	world->handled++;
	assert_int_equal(http_call_reply(call, &reply), 0);
}

void world_echo_server(struct world *world)
{
	const struct http_server_options options = {
		.listen = "127.0.0.1:0", .handler = world_echo, .arg = world};

	world_server(world, &options);
}

void world_close(struct world *world)
{
	http_client_close(world->client);
	http_server_close(world->server);
	uv_close((uv_handle_t *)&world->tick, NULL);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	outcome_free(&world->last);
}

static void on_tick(uv_timer_t *tick)
{
}

void world_until(struct world *world, const unsigned *counter, unsigned number)
{
	/* What it waits for may come before the loop polls, which would wait for something else. */
	uv_timer_start(&world->tick, on_tick, TICK_MS, TICK_MS);
	while (*counter < number)
		assert_int_not_equal(
			uv_run(&world->loop, UV_RUN_ONCE) == 0 && *counter < number, 1);
	uv_timer_stop(&world->tick);
}

void world_settle(struct world *world)
{
	for (int i = 0; i < 20; i++)
		uv_run(&world->loop, UV_RUN_NOWAIT);
}

void outcome_done(void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct outcome *outcome = arg;
	const char *value = NULL;

	outcome->calls++;
	outcome->err = response->err;
	outcome->status = response->status;
	outcome->sent = response->sent;
	outcome->stale = response->stale;
	snprintf(outcome->detail, sizeof(outcome->detail), "%s", response->detail);
	if (outcome->header_name != NULL)
		value = http_exchange_answer_header(exchange, outcome->header_name);
	snprintf(outcome->header, sizeof(outcome->header), "%s", value ? value : "(none)");
	free(outcome->body);
	outcome->body = buf_take(response->body, &outcome->body_bytes);
}

void outcome_departs(void *arg)
{
	struct outcome *outcome = arg;

	assert_int_equal(outcome->calls, 0);
	outcome->departures++;
}

void outcome_free(struct outcome *outcome)
{
	free(outcome->body);
	outcome->body = NULL;
}

struct http_exchange *world_exchange(struct world *world, const char *address, const char *path)
{
	struct http_exchange *exchange = http_exchange_new(world->client);

	assert_non_null(exchange);
	assert_int_equal(buf_appendf(http_exchange_url(exchange), "http://%s%s", address, path), 0);
	return exchange;
}

void world_request(struct world *world, const char *address, const char *path, const char *body)
{
	struct http_exchange *exchange = world_exchange(world, address, path);
	unsigned calls = world->last.calls;

	if (body != NULL)
		buf_append_string(http_exchange_body(exchange), body);
	else
		http_exchange_set_method(exchange, "GET");
	assert_int_equal(http_exchange_start(exchange, outcome_done, &world->last), 0);
	assert_int_equal(world->last.calls, calls);
	world_until(world, &world->last.calls, calls + 1);
}
