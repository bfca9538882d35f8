#include "localq/endpoint.h"

#include "base/list.h"
#include "bunshin/error.h"
#include "http/server.h"
#include "localq/auth.h"
#include "localq/engine.h"
#include "localq/health.h"
#include "localq/operations.h"
#include "localq/origin.h"
#include "localq/page.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTENT_TYPE "application/x-amz-json-1.0"
#define CONTENT_TYPE_XML "text/xml"
#define TARGET_PREFIX "AmazonSQS."
#define OWN_PREFIX "BunshinQueue." /* operations_page.c; part of the name there */
/* A batch of 1 MiB whose every character is an escape of six. */
#define BODY_MAX ((size_t)8 << 20)
/* SQS's clients send 1 to 2 KiB, and up to some more of a session token. */
#define HEADER_MEMORY_BYTES ((size_t)16 << 10)
#define CLOSE_GRACE_US 100000
/* Exchanges kept for reuse, and the largest answer that is kept with one. */
#define IDLE_EXCHANGES_MAX 256
#define IDLE_ANSWER_BYTES ((size_t)64 << 10)

struct endpoint {
	struct engine *engine;
	struct http_server *server;
	struct clock clock;
	struct hasher *hasher;
	struct clock_timer grace;
	enum { ENDPOINT_OPEN, ENDPOINT_DRAINING, ENDPOINT_CLOSED } state;
	void (*closed)(void *arg);
	void *closed_arg;
	void (*failed)(void *arg, const char *detail);
	void (*recovered)(void *arg);
	void *failed_arg;
	char *region, *access_key, *secret_key; /* no key: everybody may */
	char **page_hosts;			/* names by which browsers may reach us */
	size_t page_host_count;
	struct health health;
	struct list idle_exchanges;
	size_t idle_count;
};

/* A request of the HTTP server and the call of the service that it became. */
struct exchange {
	struct call call;
	struct endpoint *endpoint;
	struct http_call *http;
	struct list node; /* while idle */
};

static struct exchange *exchange_new(struct endpoint *endpoint, struct http_call *http)
{
	struct list *node = list_first(&endpoint->idle_exchanges);
	struct exchange *exchange;

	if (node != NULL) {
		list_remove(node);
		endpoint->idle_count--;
		exchange = list_entry(node, struct exchange, node);
	} else {
		exchange = calloc(1, sizeof(*exchange));
		if (exchange == NULL)
			return NULL;
		exchange->endpoint = endpoint;
		list_init(&exchange->node);
	}
	exchange->http = http;
	call_init(&exchange->call, endpoint->clock);
	return exchange;
}

static void exchange_release(struct exchange *exchange)
{
	struct endpoint *endpoint = exchange->endpoint;

	if (endpoint->idle_count >= IDLE_EXCHANGES_MAX) {
		call_free(&exchange->call);
		free(exchange);
		return;
	}
	call_recycle(&exchange->call, IDLE_ANSWER_BYTES);
	endpoint->idle_count++;
	list_prepend(&endpoint->idle_exchanges, &exchange->node);
}

static void free_idle_exchanges(struct endpoint *endpoint)
{
	list_for_each_safe (node, &endpoint->idle_exchanges) {
		struct exchange *exchange = list_entry(node, struct exchange, node);

		call_free(&exchange->call);
		free(exchange);
	}
	list_init(&endpoint->idle_exchanges);
	endpoint->idle_count = 0;
}

static void send_answer(void *arg, struct call *call)
{
	struct exchange *exchange = list_entry(call, struct exchange, call);
	enum fault fault = call->problem.fault;
	const char *headers[5] = {"x-amzn-RequestId", call->request_id};
	struct http_reply reply = {
		.status = 200,
		.content_type = CONTENT_TYPE,
		.body = call->answer.buf.data,
		.body_bytes = call->answer.buf.len,
		.headers = headers,
		.close = exchange->endpoint->state != ENDPOINT_OPEN,
	};
	char legacy[96];

	if (call->protocol == PROTOCOL_QUERY)
		reply.content_type = CONTENT_TYPE_XML;
	if (fault != FAULT_NONE)
		reply.status = fault_row(fault)->status;
	if (fault != FAULT_NONE && call->protocol == PROTOCOL_JSON) {
		snprintf(legacy, sizeof(legacy), "%s;%s", fault_row(fault)->code,
			fault_is_senders(fault) ? "Sender" : "Receiver");
		headers[2] = "x-amzn-query-error";
		headers[3] = legacy;
	}
	/* Without memory for it the connection is cut, which says the same as a 500. */
	http_call_reply(exchange->http, &reply);
	exchange_release(exchange);
}

static bool client_is_alive(struct call *call)
{
	return http_call_is_alive(list_entry(call, struct exchange, call)->http);
}

struct header_list {
	struct auth_header headers[AUTH_HEADERS_MAX];
	size_t count;
};

static void add_header(void *arg, const char *name, const char *value)
{
	struct header_list *list = arg;

	if (list->count < AUTH_HEADERS_MAX)
		list->headers[list->count++] = (struct auth_header){name, value};
}

static enum fault check_auth(const struct endpoint *endpoint, const struct http_call *http,
	const char *body, size_t body_bytes, struct call *call)
{
	struct header_list list = {.count = 0};
	struct auth_key key = {endpoint->access_key, endpoint->secret_key, endpoint->region};
	struct auth_request request = {
		.method = http_call_method(http),
		.path = http_call_path(http),
		.headers = list.headers,
		.body = body,
		.body_bytes = body_bytes,
	};

	if (endpoint->access_key == NULL)
		return FAULT_NONE;
	http_call_each_header(http, add_header, &list);
	request.header_count = list.count;
	return auth_check(endpoint->hasher, &key, &request,
		clock_wall_epoch_ms(endpoint->clock) / 1000, &call->problem);
}

static enum fault check_origin(
	const struct endpoint *endpoint, const struct http_call *http, struct call *call)
{
	const struct origin_request request = {
		.host = http_call_header(http, "Host"),
		.origin = http_call_header(http, "Origin"),
		.sec_fetch_site = http_call_header(http, "Sec-Fetch-Site"),
	};
	const char *refusal = origin_refusal(
		&request, (const char *const *)endpoint->page_hosts, endpoint->page_host_count);

	if (refusal == NULL)
		return FAULT_NONE;
	return problem_set(&call->problem, FAULT_ACCESS_DENIED, "%s", refusal);
}

/* The name the client reached us by, for queue URLs; what is no host name is not repeated. */
static void set_host(struct call *call, const struct http_call *http, const char *fallback)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789.-_:[]";
	const char *host = http_call_header(http, "Host");

	if (host == NULL || *host == '\0' || strlen(host) >= sizeof(call->host) ||
		host[strspn(host, allowed)] != '\0')
		host = fallback;
	snprintf(call->host, sizeof(call->host), "%s", host);
}

/* Whoever names no target speaks the older protocol, unless what comes is said to be JSON. */
static enum protocol protocol_of(const struct http_call *http, const char *target)
{
	const char *type = http_call_header(http, "Content-Type");

	if (target != NULL || (type != NULL && strstr(type, "json") != NULL))
		return PROTOCOL_JSON;
	return PROTOCOL_QUERY;
}

/* Is it let in, and what does it ask for? */
static enum fault read_request(
	const struct endpoint *endpoint, const struct http_call *http, struct call *call)
{
	const char *target = http_call_header(http, "X-Amz-Target");
	size_t bytes;
	const char *body = http_call_body(http, &bytes);
	enum fault fault;

	call->protocol = protocol_of(http, target);
	fault = check_origin(endpoint, http, call);
	if (fault == FAULT_NONE)
		fault = check_auth(endpoint, http, body, bytes, call);
	if (fault != FAULT_NONE)
		return fault;
	if (target != NULL && strncmp(target, OWN_PREFIX, strlen(OWN_PREFIX)) == 0)
		return call_decode(call, target, body, bytes);
	if (call->protocol == PROTOCOL_QUERY)
		return call_decode_form(call, body, bytes);
	if (target == NULL || strncmp(target, TARGET_PREFIX, strlen(TARGET_PREFIX)) != 0)
		return problem_set(&call->problem, FAULT_UNKNOWN_OPERATION,
			"X-Amz-Target must name an operation of SQS's JSON protocol, such as "
			"AmazonSQS.SendMessage.");
	return call_decode(call, target + strlen(TARGET_PREFIX), body, bytes);
}

static void handle_operation(
	struct endpoint *endpoint, struct http_call *http, struct exchange *exchange)
{
	struct call *call = &exchange->call;

	call->queue_path = http_call_path(http);
	call->is_alive = client_is_alive;
	set_host(call, http, http_server_address(endpoint->server));
	if (read_request(endpoint, http, call) == FAULT_NONE) {
		/* Never gone before its reply: the connection is suspended meanwhile. */
		http_call_keep(http, NULL, NULL);
		engine_submit(endpoint->engine, call);
		return;
	}
	call_refuse(call);
	send_answer(endpoint, call);
}

static void reply_plain(struct http_call *http, int status, const char *body)
{
	struct http_reply reply = {
		.status = status,
		.content_type = "application/json",
		.body = body,
		.body_bytes = strlen(body),
	};

	http_call_reply(http, &reply);
}

/* What is no operation: the state of health, the admin page. */
static void handle_other(struct endpoint *endpoint, struct http_call *http)
{
	char report[HEALTH_TEXT_MAX];

	if (strcmp(http_call_path(http), "/_health") == 0) {
		int status = health_report(&endpoint->health, report);

		reply_plain(http, status, report);
	} else if (!page_serve(http, endpoint->access_key != NULL)) {
		reply_plain(http, 404, "{\"message\":\"not found\"}\n");
	}
}

static void handle_request(void *arg, struct http_call *http)
{
	struct endpoint *endpoint = arg;
	struct exchange *exchange;

	if (strcmp(http_call_method(http), "POST") != 0) {
		handle_other(endpoint, http);
		return;
	}
	exchange = exchange_new(endpoint, http);
	if (exchange == NULL) {
		http_call_abort(http);
		return;
	}
	handle_operation(endpoint, http, exchange);
}

static void store_failed(void *arg, const char *detail)
{
	struct endpoint *endpoint = arg;

	if (endpoint->failed != NULL)
		endpoint->failed(endpoint->failed_arg, detail);
}

static void store_recovered(void *arg)
{
	struct endpoint *endpoint = arg;

	if (endpoint->recovered != NULL)
		endpoint->recovered(endpoint->failed_arg);
}

static void endpoint_free(struct endpoint *endpoint)
{
	free_idle_exchanges(endpoint);
	hasher_free(endpoint->hasher);
	free(endpoint->region);
	free(endpoint->access_key);
	free(endpoint->secret_key);
	for (size_t i = 0; i < endpoint->page_host_count; i++)
		free(endpoint->page_hosts[i]);
	free(endpoint->page_hosts);
	health_destroy(&endpoint->health);
	free(endpoint);
}

static void engine_gone(void *arg)
{
	struct endpoint *endpoint = arg;
	void (*closed)(void *arg) = endpoint->closed;
	void *closed_arg = endpoint->closed_arg;

	endpoint_free(endpoint);
	if (closed != NULL)
		closed(closed_arg);
}

static void close_now(struct endpoint *endpoint)
{
	endpoint->state = ENDPOINT_CLOSED;
	clock_timer_clear(endpoint->clock, &endpoint->grace);
	/* What was accepted but not yet answered is still kept; the answer is lost. */
	engine_close(endpoint->engine, engine_gone, endpoint);
	http_server_close(endpoint->server);
}

static void grace_over(struct clock_timer *timer)
{
	close_now(list_entry(timer, struct endpoint, grace));
}

void endpoint_close(struct endpoint *endpoint, void (*closed)(void *arg), void *arg)
{
	endpoint->closed = closed;
	endpoint->closed_arg = arg;
	if (endpoint->state == ENDPOINT_OPEN) {
		endpoint->state = ENDPOINT_DRAINING;
		endpoint->grace.fire = grace_over;
		engine_drain(endpoint->engine);
		if (clock_timer_after(endpoint->clock, &endpoint->grace, CLOSE_GRACE_US) == 0)
			return;
	}
	if (endpoint->state == ENDPOINT_DRAINING)
		close_now(endpoint);
}

const char *endpoint_address(const struct endpoint *endpoint)
{
	return http_server_address(endpoint->server);
}

static int start_server(uv_loop_t *loop, struct endpoint *endpoint, const char *listen,
	char detail[ENDPOINT_DETAIL_MAX])
{
	struct http_server_options options = {
		.listen = listen,
		.max_body_bytes = BODY_MAX,
		.header_memory_bytes = HEADER_MEMORY_BYTES,
		.handler = handle_request,
		.arg = endpoint,
	};
	int err = http_server_new(loop, &options, &endpoint->server);

	if (err < 0)
		snprintf(detail, ENDPOINT_DETAIL_MAX, "cannot listen on %s: %s", listen,
			err == ERR_IO ? strerror(errno) : error_message(err));
	return err;
}

static int prepare_auth(struct endpoint *endpoint, const struct endpoint_options *options)
{
	endpoint->hasher = hasher_new();
	endpoint->region = strdup(options->region);
	if (endpoint->hasher == NULL || endpoint->region == NULL)
		return ERR_NOMEM;
	if (options->access_key == NULL)
		return 0;
	endpoint->access_key = strdup(options->access_key);
	endpoint->secret_key = strdup(options->secret_key);
	return endpoint->access_key != NULL && endpoint->secret_key != NULL ? 0 : ERR_NOMEM;
}

static int copy_page_hosts(struct endpoint *endpoint, const struct endpoint_options *options)
{
	endpoint->page_hosts = calloc(options->page_host_count + 1, sizeof(char *));
	if (endpoint->page_hosts == NULL)
		return ERR_NOMEM;
	while (endpoint->page_host_count < options->page_host_count) {
		char *copy = strdup(options->page_hosts[endpoint->page_host_count]);

		if (copy == NULL)
			return ERR_NOMEM;
		endpoint->page_hosts[endpoint->page_host_count++] = copy;
	}
	return 0;
}

int endpoint_new(uv_loop_t *loop, struct clock clock, const struct endpoint_options *options,
	struct endpoint **ret, char detail[ENDPOINT_DETAIL_MAX])
{
	struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
	struct engine_options engine_options = {
		.dir = options->dir,
		.sync = options->sync_full ? STORE_SYNC_FULL : STORE_SYNC_NORMAL,
		.region = options->region,
		.reply = send_answer,
		.failed = store_failed,
		.recovered = store_recovered,
		.declarations = options->declarations,
		.arg = endpoint,
	};
	int err;

	snprintf(detail, ENDPOINT_DETAIL_MAX, "%s", error_message(ERR_NOMEM));
	if (endpoint == NULL)
		return ERR_NOMEM;
	if (health_init(&endpoint->health) < 0) {
		free(endpoint);
		return ERR_NOMEM;
	}
	engine_options.health = &endpoint->health;
	list_init(&endpoint->idle_exchanges);
	endpoint->clock = clock;
	endpoint->failed = options->failed;
	endpoint->recovered = options->recovered;
	endpoint->failed_arg = options->arg;
	err = prepare_auth(endpoint, options);
	if (err == 0)
		err = copy_page_hosts(endpoint, options);
	if (err == 0)
		err = start_server(loop, endpoint, options->listen, detail);
	if (err < 0)
		goto fail;
	err = engine_new(loop, &engine_options, &endpoint->engine, detail);
	if (err < 0) {
		http_server_close(endpoint->server);
		goto fail;
	}
	*ret = endpoint;
	return 0;
fail:
	endpoint_free(endpoint);
	return err;
}
