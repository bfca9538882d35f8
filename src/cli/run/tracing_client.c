#include "cli/run/tracing_client.h"

#include "bunshin/error.h"
#include "http/client.h"
#include "http/http_target.h"

#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 5000
#define ANSWER_MAX_BYTES ((size_t)64 << 10)
#define REQUEST_MAX_BYTES ((size_t)8 << 20) /* more than the exporter makes */

struct tracing_client {
	struct clock clock;
	const struct config *config;
	struct http_client *http;
	struct http_exchange *exchange; /* NULL: none is under way */
	exporter_answered *done;
	void *arg;
};

static void on_answer(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct tracing_client *client = arg;
	struct exporter_answer answer = {.err = response->err,
		.status = response->status,
		.retry_after_ms = -1,
		.detail = response->detail,
		.body = buf_string(response->body),
		.body_bytes = response->body->len};
	const char *after =
		response->err ? NULL : http_exchange_answer_header(exchange, "Retry-After");

	client->exchange = NULL;
	if (after)
		answer.retry_after_ms =
			http_retry_after_ms(after, clock_wall_epoch_ms(client->clock));
	client->done(client->arg, &answer);
}

/* PATH/v1/traces behind what is configured, with or without a slash at its end. */
static int fill(const struct tracing_client *client, struct http_exchange *exchange,
	const char *body, size_t bytes)
{
	const char *endpoint = client->config->tracing.endpoint;
	const struct config_pairs *headers = &client->config->tracing.headers;
	size_t len = strlen(endpoint);
	int err;

	len -= endpoint[len - 1] == '/';
	buf_append(http_exchange_url(exchange), endpoint, len);
	buf_append_string(http_exchange_url(exchange), OTLP_TRACES_PATH);
	err = http_exchange_add_header(exchange, "Content-Type", "application/json");
	for (size_t i = 0; !err && i < headers->count; i++)
		err = http_exchange_add_header(
			exchange, headers->rows[i].name, headers->rows[i].value);
	return err ? err : buf_append(http_exchange_body(exchange), body, bytes);
}

static int start(void *impl, const char *body, size_t bytes, exporter_answered *done, void *arg)
{
	struct tracing_client *client = impl;
	struct http_exchange *exchange = http_exchange_new(client->http);
	int err;

	if (!exchange)
		return ERR_NOMEM;
	err = fill(client, exchange, body, bytes);
	if (err) {
		http_exchange_discard(exchange);
		return err;
	}
	client->done = done;
	client->arg = arg;
	err = http_exchange_start(exchange, on_answer, client);
	if (!err)
		client->exchange = exchange;
	return err;
}

static void cancel(void *impl)
{
	struct tracing_client *client = impl;

	http_exchange_cancel(client->exchange);
	client->exchange = NULL;
}

struct exporter_transport tracing_client_transport(struct tracing_client *client)
{
	return (struct exporter_transport){.start = start, .cancel = cancel, .impl = client};
}

int tracing_client_new(uv_loop_t *loop, struct clock clock, const struct config *config,
	struct tracing_client **ret_client)
{
	const struct http_client_options options = {.max_in_flight = 1,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS < config->tracing.timeout_ms
					      ? CONNECT_TIMEOUT_MS
					      : config->tracing.timeout_ms,
		.timeout_ms = config->tracing.timeout_ms,
		.max_answer_bytes = ANSWER_MAX_BYTES,
		.truncate_answer = true,
		.max_request_bytes = REQUEST_MAX_BYTES};
	struct tracing_client *client = calloc(1, sizeof(*client));
	int err;

	if (!client)
		return ERR_NOMEM;
	client->clock = clock;
	client->config = config;
	err = http_client_new(loop, &options, &client->http);
	if (err) {
		free(client);
		return err;
	}
	*ret_client = client;
	return 0;
}

void tracing_client_free(struct tracing_client *client)
{
	if (!client)
		return;
	http_client_close(client->http);
	free(client);
}
