#include "localq/endpoint.h"

#include "base/list.h"
#include "bunshin/error.h"
#include "http/server.h"
#include "localq/auth.h"
#include "localq/service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTENT_TYPE "application/x-amz-json-1.0"
#define TARGET_PREFIX "AmazonSQS."
/* A batch of 1 MiB whose every character is an escape of six. */
#define BODY_MAX ((size_t)8 << 20)
#define CLOSE_GRACE_US 100000
/* Exchanges kept for reuse, and the largest answer that is kept with one. */
#define IDLE_EXCHANGES_MAX 256
#define IDLE_ANSWER_BYTES ((size_t)64 << 10)

struct endpoint {
	struct service service;
	struct http_server *server;
	uv_prepare_t prepare; /* before the loop sleeps, and after it looked at its sockets: */
	uv_check_t check;     /* the end of a turn */
	uv_idle_t idle;	      /* keeps the loop from sleeping on answers that are not flushed */
	struct clock_timer grace;
	unsigned open_handles;
	enum { ENDPOINT_OPEN, ENDPOINT_DRAINING, ENDPOINT_CLOSED } state;
	void (*closed)(void *arg);
	void *closed_arg;
	void (*failed)(void *arg, const char *detail);
	void *failed_arg;
	char *access_key, *secret_key; /* NULL: everybody may */
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
	call_init(&exchange->call, &endpoint->service);
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

static void send_answer(struct call *call)
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

	if (fault != FAULT_NONE) {
		reply.status = fault_row(fault)->status;
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

static void client_gone(void *arg, struct http_call *http)
{
	struct exchange *exchange = arg;

	(void)http;
	service_forget(&exchange->endpoint->service, &exchange->call);
	exchange_release(exchange);
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

static enum fault check_auth(
	const struct endpoint *endpoint, const struct http_call *http, struct call *call)
{
	struct header_list list = {.count = 0};
	struct auth_key key = {
		endpoint->access_key, endpoint->secret_key, endpoint->service.region};
	struct auth_request request = {
		.method = http_call_method(http),
		.path = http_call_path(http),
		.headers = list.headers,
		.body = call->body,
		.body_bytes = call->body_bytes,
	};

	if (endpoint->access_key == NULL)
		return FAULT_NONE;
	http_call_each_header(http, add_header, &list);
	request.header_count = list.count;
	return auth_check(endpoint->service.hasher, &key, &request,
		clock_wall_epoch_ms(endpoint->service.clock) / 1000, &call->problem);
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

static void handle_operation(
	struct endpoint *endpoint, struct http_call *http, struct exchange *exchange)
{
	struct call *call = &exchange->call;
	const char *target = http_call_header(http, "X-Amz-Target");

	call->body = http_call_body(http, &call->body_bytes);
	call->queue_path = http_call_path(http);
	call->reply = send_answer;
	call->is_alive = client_is_alive;
	set_host(call, http, http_server_address(endpoint->server));
	http_call_keep(http, client_gone, exchange);
	if (check_auth(endpoint, http, call) != FAULT_NONE) {
		service_refuse(&endpoint->service, call);
		return;
	}
	if (target == NULL || strncmp(target, TARGET_PREFIX, strlen(TARGET_PREFIX)) != 0) {
		problem_set(&call->problem, FAULT_UNKNOWN_OPERATION,
			"X-Amz-Target must name an operation of SQS's JSON protocol, such as "
			"AmazonSQS.SendMessage; the older Query protocol is not spoken here.");
		service_refuse(&endpoint->service, call);
		return;
	}
	call->operation_name = target + strlen(TARGET_PREFIX);
	service_handle(&endpoint->service, call);
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

static void handle_request(void *arg, struct http_call *http)
{
	struct endpoint *endpoint = arg;
	struct exchange *exchange;

	if (strcmp(http_call_method(http), "POST") != 0) {
		bool health = strcmp(http_call_path(http), "/_health") == 0;

		reply_plain(http, health ? 200 : 404,
			health ? "{\"status\":\"ok\"}\n" : "{\"message\":\"not found\"}\n");
		return;
	}
	exchange = exchange_new(endpoint, http);
	if (exchange == NULL) {
		http_call_abort(http);
		return;
	}
	handle_operation(endpoint, http, exchange);
}

static void on_idle(uv_idle_t *idle)
{
	(void)idle; /* that it is active is its whole work */
}

static void wants_flush(void *arg)
{
	struct endpoint *endpoint = arg;

	uv_idle_start(&endpoint->idle, on_idle);
}

static void end_turn(struct endpoint *endpoint)
{
	if (!uv_is_active((uv_handle_t *)&endpoint->idle))
		return;
	uv_idle_stop(&endpoint->idle);
	service_flush(&endpoint->service);
}

static void on_prepare(uv_prepare_t *prepare)
{
	end_turn(prepare->data);
}

static void on_check(uv_check_t *check)
{
	end_turn(check->data);
}

static void store_failed(void *arg, const char *detail)
{
	struct endpoint *endpoint = arg;

	if (endpoint->failed != NULL)
		endpoint->failed(endpoint->failed_arg, detail);
}

static void endpoint_free(struct endpoint *endpoint)
{
	free_idle_exchanges(endpoint);
	free(endpoint->access_key);
	free(endpoint->secret_key);
	free(endpoint);
}

static void on_closed(uv_handle_t *handle)
{
	struct endpoint *endpoint = handle->data;
	void (*closed)(void *arg) = endpoint->closed;
	void *arg = endpoint->closed_arg;

	if (--endpoint->open_handles > 0)
		return;
	endpoint_free(endpoint);
	if (closed != NULL)
		closed(arg);
}

static void open_handles(uv_loop_t *loop, struct endpoint *endpoint)
{
	uv_prepare_init(loop, &endpoint->prepare);
	uv_check_init(loop, &endpoint->check);
	uv_idle_init(loop, &endpoint->idle);
	endpoint->prepare.data = endpoint->check.data = endpoint->idle.data = endpoint;
	endpoint->open_handles = 3;
	uv_prepare_start(&endpoint->prepare, on_prepare);
	uv_check_start(&endpoint->check, on_check);
}

static void close_now(struct endpoint *endpoint)
{
	endpoint->state = ENDPOINT_CLOSED;
	clock_timer_clear(endpoint->service.clock, &endpoint->grace);
	/* What was accepted but not yet answered is still kept; the answer is lost. */
	service_flush(&endpoint->service);
	http_server_close(endpoint->server);
	service_close(&endpoint->service);
	uv_close((uv_handle_t *)&endpoint->prepare, on_closed);
	uv_close((uv_handle_t *)&endpoint->check, on_closed);
	uv_close((uv_handle_t *)&endpoint->idle, on_closed);
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
		service_drain(&endpoint->service);
		if (clock_timer_after(endpoint->service.clock, &endpoint->grace, CLOSE_GRACE_US) ==
			0)
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
		.handler = handle_request,
		.arg = endpoint,
	};
	int err = http_server_new(loop, &options, &endpoint->server);

	if (err < 0)
		snprintf(detail, ENDPOINT_DETAIL_MAX, "cannot listen on %s: %s", listen,
			err == ERR_IO ? strerror(errno) : error_message(err));
	return err;
}

static int copy_key(struct endpoint *endpoint, const struct endpoint_options *options)
{
	if (options->access_key == NULL)
		return 0;
	endpoint->access_key = strdup(options->access_key);
	endpoint->secret_key = strdup(options->secret_key);
	return endpoint->access_key != NULL && endpoint->secret_key != NULL ? 0 : ERR_NOMEM;
}

int endpoint_new(uv_loop_t *loop, struct clock clock, const struct endpoint_options *options,
	struct endpoint **ret, char detail[ENDPOINT_DETAIL_MAX])
{
	struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
	struct service_options service_options = {
		.dir = options->dir,
		.region = options->region,
		.clock = clock,
		.wants_flush = wants_flush,
		.failed = store_failed,
		.arg = endpoint,
	};
	int err;

	snprintf(detail, ENDPOINT_DETAIL_MAX, "%s", error_message(ERR_NOMEM));
	if (endpoint == NULL)
		return ERR_NOMEM;
	list_init(&endpoint->idle_exchanges);
	endpoint->failed = options->failed;
	endpoint->failed_arg = options->arg;
	err = copy_key(endpoint, options);
	if (err == 0)
		err = service_open(&endpoint->service, &service_options, detail);
	if (err < 0)
		goto fail;
	err = start_server(loop, endpoint, options->listen, detail);
	if (err < 0) {
		service_close(&endpoint->service);
		goto fail;
	}
	open_handles(loop, endpoint);
	*ret = endpoint;
	return 0;
fail:
	endpoint_free(endpoint);
	return err;
}
