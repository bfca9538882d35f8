/*
 * src/http: requests over the loopback through client, server and target, libcurl's memory failing
 * like our own. An attempt may end with an error that calls for another one, never with one that
 * says it is useless, and all three work again when memory is back.
 */
#include "sweep.h"

#include "base/manual_clock.h"
#include "bunshin/error.h"
#include "http/client.h"
#include "http/http_target.h"
#include "http/server.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUESTS_MAX 9
#define TIMEOUT_MS 5000 /* nothing takes that long unless it hangs */
#define NOW_EPOCH_MS 1767323045000

/* An answer with a Retry-After and every header that the target looks at. */
static const char *const answer_headers[] = {"Retry-After", "7", "X-Line-Request-Id", "r-1", NULL};

/* ---- the server */

struct stage {
	uv_loop_t loop;
	struct http_server *server;
	bool keeps; /* answers on the next turn of the loop */
	struct http_call *kept[REQUESTS_MAX + 1];
	size_t kept_count;
};

static void reply(struct http_call *call)
{
	struct http_reply echo = {
		.status = 200, .content_type = "text/plain", .headers = answer_headers};

	echo.body = http_call_body(call, &echo.body_bytes);
	http_call_reply(call, &echo);
}

static void handle(void *arg, struct http_call *call)
{
	struct stage *stage = arg;

	if (!stage->keeps) {
		reply(call);
		return;
	}
	http_call_keep(call, NULL, NULL);
	stage->kept[stage->kept_count++] = call;
}

static int open_server(struct stage *stage)
{
	const struct http_server_options options = {
		.listen = "127.0.0.1:0", .handler = handle, .arg = stage};

	return http_server_new(&stage->loop, &options, &stage->server);
}

static void turn(struct stage *stage)
{
	uv_run(&stage->loop, UV_RUN_ONCE);
	while (stage->kept_count > 0)
		reply(stage->kept[--stage->kept_count]);
}

static void close_stage(struct stage *stage)
{
	http_server_close(stage->server);
	uv_run(&stage->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&stage->loop), 0);
}

/* What may come of want of memory: it is ours, or it looks as if the network broke. */
static void assert_another_try(int err)
{
	enum error_class class = error_class(err);

	if (err == ERR_TIMEOUT || (class != ERROR_LOCAL && class != ERROR_TRANSIENT))
		fail_msg("an attempt ended with %s", error_name(err));
}

/* ---- the client */

struct trip_case {
	unsigned requests;
	unsigned headers;
	size_t body_bytes;
	unsigned shard_connections; /* 0: the default */
	bool keeps;
	bool own_agent; /* so that curl writes the head */
	const char *method;
};

struct trip {
	const struct trip_case *c;
	struct stage stage;
	struct http_client *client;
	unsigned started, ended, answered;
	char *body;
};

static void arrived(void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct trip *trip = arg;

	trip->ended++;
	if (response->err) {
		assert_another_try(response->err);
		return;
	}
	trip->answered++;
	assert_int_equal(response->status, 200);
	assert_int_equal(response->body->len, trip->c->body_bytes);
	assert_string_equal(buf_string(response->body), trip->body);
	assert_string_equal(http_exchange_answer_header(exchange, "Retry-After"), "7");
}

static int send_one(struct trip *trip)
{
	struct http_exchange *exchange = http_exchange_new(trip->client);
	int err = 0;

	if (!exchange)
		return ERR_NOMEM;
	if (trip->c->own_agent)
		err = http_exchange_add_header(exchange, "User-Agent", "own");
	http_exchange_set_method(exchange, trip->c->method ? trip->c->method : "POST");
	buf_appendf(http_exchange_url(exchange), "http://%s/path?a=b",
		http_server_address(trip->stage.server));
	buf_append(http_exchange_body(exchange), trip->body, trip->c->body_bytes);
	for (unsigned i = 0; i < trip->c->headers && !err; i++) {
		char name[24];

		snprintf(name, sizeof(name), "X-Test-%u", i);
		err = http_exchange_add_header(exchange, name, i % 2 ? "value" : "");
	}
	if (err)
		http_exchange_discard(exchange);
	else
		err = http_exchange_start(exchange, arrived, trip);
	trip->started += !err;
	return err;
}

static int open_trip(struct trip *trip)
{
	const struct http_client_options options = {.ca_file = "/nonexistent",
		.timeout_ms = TIMEOUT_MS,
		.shard_connections = trip->c->shard_connections};
	int err = http_client_new(&trip->stage.loop, &options, &trip->client);

	return err ? err : open_server(&trip->stage);
}

static void wait_for_all(struct trip *trip)
{
	while (trip->ended < trip->started)
		turn(&trip->stage);
	assert_int_equal(trip->ended, trip->started);
}

static int round_trips(const void *arg)
{
	struct trip trip = {.c = arg, .stage = {.keeps = ((const struct trip_case *)arg)->keeps}};
	int err;

	trip.body = calloc(1, trip.c->body_bytes + 1);
	assert_non_null(trip.body);
	memset(trip.body, 'x', trip.c->body_bytes);
	assert_int_equal(uv_loop_init(&trip.stage.loop), 0);
	sweep_on();
	err = open_trip(&trip);
	for (unsigned i = 0; i < trip.c->requests && !err; i++)
		err = send_one(&trip);
	wait_for_all(&trip);
	sweep_off();
	if (!sweep_has_failed())
		assert_int_equal(trip.answered, trip.c->requests);
	if (trip.client && trip.stage.server) {
		unsigned before = trip.answered;

		assert_int_equal(send_one(&trip), 0);
		wait_for_all(&trip);
		assert_int_equal(trip.answered, before + 1);
	}
	http_client_close(trip.client);
	close_stage(&trip.stage);
	free(trip.body);
	return err;
}

/* Three requests are out when the client goes. */
static int close_client(const void *arg)
{
	static const struct trip_case c = {.requests = 3, .headers = 2, .body_bytes = 12};
	static char body[] = "twelve bytes";
	struct trip trip = {.c = &c, .stage = {.keeps = true}, .body = body};
	int err;

	assert_int_equal(uv_loop_init(&trip.stage.loop), 0);
	sweep_on();
	err = open_trip(&trip);
	for (unsigned i = 0; i < c.requests && !err; i++)
		err = send_one(&trip);
	while (!err && trip.ended < trip.started && trip.stage.kept_count == 0)
		uv_run(&trip.stage.loop, UV_RUN_ONCE);
	http_client_close(trip.client);
	close_stage(&trip.stage);
	sweep_off();
	assert_int_equal(trip.answered, 0);
	return err;
}

/* ---- the target */

struct attempt_case {
	const char *path, *body; /* templates */
	enum template_context context;
	const char *headers[8]; /* name, template, ..., NULL */
	size_t message_bytes;
	bool chooses_host; /* as a message would, by name */
	int err;	   /* undisturbed */
};

struct scene {
	const struct attempt_case *c;
	struct stage stage;
	struct manual_clock clock;
	struct config_destination destination;
	struct host_rule host;
	struct http_target *target;
	struct buf message_body;
	unsigned calls;
	int err;
};

static struct template *compile(const char *text, enum template_context context)
{
	struct template *template = NULL;
	struct buf error = BUF_INIT(1000);

	assert_int_equal(template_compile(text, context, &template, &error), 0);
	buf_free(&error);
	return template;
}

/* The destination is there before memory becomes scarce, and so is the server. */
static void open_scene(struct scene *scene)
{
	const struct attempt_case *c = scene->c;
	struct config_destination *destination = &scene->destination;
	static struct config_header headers[4];
	char url[256];

	assert_int_equal(uv_loop_init(&scene->stage.loop), 0);
	assert_int_equal(open_server(&scene->stage), 0);
	manual_clock_init(&scene->clock, 1, NOW_EPOCH_MS);
	snprintf(
		url, sizeof(url), "http://%s%s", http_server_address(scene->stage.server), c->path);
	*destination = (struct config_destination){
		.timeout_ms = TIMEOUT_MS, .connect_timeout_ms = TIMEOUT_MS, .concurrency = 100};
	destination->request.method = strdup("POST");
	destination->request.url = compile(url, TEMPLATE_URL);
	destination->request.body = c->body ? compile(c->body, c->context) : NULL;
	if (c->chooses_host) {
		snprintf(url, sizeof(url), "http://localhost%s",
			strrchr(http_server_address(scene->stage.server), ':'));
		assert_null(host_rule_parse(url, &scene->host));
		template_free(destination->request.url);
		snprintf(url, sizeof(url), "http://{{host|localhost}}%s/",
			strrchr(http_server_address(scene->stage.server), ':'));
		destination->request.url = compile(url, TEMPLATE_URL);
		destination->request.allow_hosts = (struct config_hosts){&scene->host, 1};
	}
	destination->request.headers = headers;
	for (size_t i = 0; c->headers[2 * i]; i++) {
		headers[i].name = strdup(c->headers[2 * i]);
		headers[i].value = compile(c->headers[2 * i + 1], TEMPLATE_HEADER);
		destination->request.header_count++;
	}
	buf_init(&scene->message_body, (size_t)4 << 20);
	buf_append_string(&scene->message_body, "{\"to\":\"U1\",\"text\":\"");
	memset(buf_reserve(&scene->message_body, c->message_bytes), 'x', c->message_bytes);
	buf_advance(&scene->message_body, c->message_bytes);
	buf_append_string(&scene->message_body, "\"}");
	assert_int_equal(scene->message_body.err, 0);
}

static void close_scene(struct scene *scene)
{
	struct config_destination *destination = &scene->destination;

	http_target_close(scene->target);
	close_stage(&scene->stage);
	for (size_t i = 0; i < destination->request.header_count; i++) {
		free(destination->request.headers[i].name);
		template_free(destination->request.headers[i].value);
	}
	free(destination->request.method);
	template_free(destination->request.url);
	template_free(destination->request.body);
	manual_clock_free(&scene->clock);
	buf_free(&scene->message_body);
}

static struct queue_message message_of(const struct scene *scene)
{
	static const struct queue_attribute attributes[] = {
		{"Campaign", "String", "spring", 6}, {"Count", "Number", "42", 2}};

	return (struct queue_message){.message_id = "m-1",
		.receipt_handle = "r",
		.body = scene->message_body.data,
		.body_bytes = scene->message_body.len,
		.attributes = attributes,
		.attribute_count = 2,
		.idempotency_key = "key-1",
		.receive_count = 3};
}

static void on_done(void *arg, const struct target_result *result)
{
	struct scene *scene = arg;

	scene->calls++;
	scene->err = result->err;
	if (result->err)
		return;
	assert_int_equal(result->status, 200);
	assert_int_equal(result->retry_after_ms, 7000);
	assert_string_equal(result->request_id, "r-1");
	assert_true(result->excerpt_bytes > 0);
}

/* One attempt up to its end; its error. */
static int attempt(struct scene *scene)
{
	struct target table = http_target_table(scene->target);
	const struct queue_message kept = message_of(scene), *message = &kept;
	const struct target_request request = target_request_for(&message);
	struct target_attempt *started;
	unsigned calls = scene->calls;
	int err = table.ops->start(table.impl, &request, on_done, scene, &started);

	if (err) {
		assert_int_equal(err, ERR_NOMEM);
		assert_int_equal(scene->calls, calls);
		return err;
	}
	while (scene->calls == calls)
		turn(&scene->stage);
	assert_int_equal(scene->calls, calls + 1);
	return scene->err;
}

static void check_attempt(const struct scene *scene, int err)
{
	if (err == scene->c->err)
		return;
	if (!sweep_has_failed())
		fail_msg("undisturbed: %s", error_name(err));
	assert_another_try(err);
}

static int make_attempts(const void *arg)
{
	struct scene scene = {.c = arg};
	int err, first = 0, second = 0;

	open_scene(&scene);
	sweep_on();
	err = http_target_new(&scene.stage.loop, manual_clock_table(&scene.clock),
		&scene.destination, &scene.target);
	if (!err) {
		first = attempt(&scene);
		second = attempt(&scene); /* with what the first one left in the pools */
	}
	sweep_off();
	if (!err) {
		check_attempt(&scene, first);
		check_attempt(&scene, second);
		assert_int_equal(attempt(&scene), scene.c->err);
	}
	close_scene(&scene);
	return err;
}

static int preview(const void *arg)
{
	struct scene scene = {.c = arg};
	struct buf out = BUF_INIT((size_t)4 << 20), reason = BUF_INIT(1024);
	struct queue_message kept;
	const struct queue_message *message = &kept;
	struct target_request request;
	int err;

	open_scene(&scene);
	kept = message_of(&scene);
	request = target_request_for(&message);
	assert_int_equal(http_target_new(&scene.stage.loop, manual_clock_table(&scene.clock),
				 &scene.destination, &scene.target),
		0);
	sweep_on();
	err = http_target_preview(scene.target, &request, &out, &reason);
	sweep_off();
	buf_free(&out);
	buf_free(&reason);
	close_scene(&scene);
	return err == scene.c->err ? 0 : err;
}

static const struct attempt_case line_push = {.path = "/v2/bot/message/push",
	.body = "{\"to\":\"{{to}}\",\"messages\":[{\"type\":\"text\",\"text\":\"{{text}}\"}]}",
	.context = TEMPLATE_JSON,
	.headers = {"Authorization", "Bearer token", "Content-Type", "application/json",
		"X-Line-Retry-Key", "{{idempotency_key}}"},
	.message_bytes = 100};
static const struct attempt_case large_push = {.path = "/{{to}}?c={{attributes.Campaign}}",
	.body = "text={{text}}&n={{attributes.Count}}",
	.context = TEMPLATE_FORM,
	.headers = {"X-Count", "{{receive_count}}"},
	.message_bytes = 100000};
static const struct attempt_case body_as_it_is = {.path = "/", .message_bytes = 300000};
static const struct attempt_case missing_variable = {.path = "/",
	.body = "{\"to\":{{nobody}}}",
	.context = TEMPLATE_JSON,
	.message_bytes = 100,
	.err = ERR_TEMPLATE};

/* The server's address is this machine's. */
static const struct attempt_case refused_address = {
	.path = "/", .message_bytes = 100, .chooses_host = true, .err = ERR_NOT_ALLOWED};

static int enter(void **state)
{
	/* Its functions are the wrapped ones; http_client_new() finds curl initialised. */
	return curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, free, realloc, strdup, calloc);
}

static int leave(void **state)
{
	curl_global_cleanup();
	return 0;
}

/* Where the runs take tens of milliseconds. */
static const unsigned long once[] = {1, 0};

int main(void)
{
	static const struct trip_case one = {.requests = 1, .headers = 1, .body_bytes = 5};
	static const struct trip_case get = {.requests = 2, .headers = 3, .method = "GET"};
	static const struct trip_case listed = {
		.requests = 2, .headers = 3, .body_bytes = 5, .own_agent = true};
	static const struct trip_case large = {.requests = 1, .body_bytes = 1 << 20};
	static const struct trip_case wide = {.requests = 1, .headers = 60, .body_bytes = 5};
	static const struct trip_case kept = {
		.requests = 3, .headers = 1, .body_bytes = 100, .keeps = true};
	static const struct trip_case shards = {
		.requests = REQUESTS_MAX, .body_bytes = 5, .shard_connections = 1};
	static const struct sweep table[] = {
		SWEEP("client and server: a request", round_trips, .arg = &one, .degrades = true),
		SWEEP("client and server: GET twice", round_trips, .arg = &get, .degrades = true),
		SWEEP("client and server: headers in curl's list, twice", round_trips,
			.arg = &listed, .degrades = true),
		SWEEP("client and server: 1 MiB there and back", round_trips, .arg = &large,
			.degrades = true, .stretches = once),
		SWEEP("client and server: 60 headers", round_trips, .arg = &wide, .degrades = true),
		SWEEP("client and server: long polls", round_trips, .arg = &kept, .degrades = true),
		SWEEP("client and server: 9 requests on 9 shards", round_trips, .arg = &shards,
			.degrades = true, .stretches = once),
		SWEEP("client closed with requests out", close_client, .degrades = true),
		SWEEP("target: a LINE push, twice", make_attempts, .arg = &line_push,
			.degrades = true),
		SWEEP("target: a form of 100 KB, twice", make_attempts, .arg = &large_push,
			.degrades = true),
		SWEEP("target: the body as it is, twice", make_attempts, .arg = &body_as_it_is,
			.degrades = true),
		SWEEP("target: a missing variable, twice", make_attempts, .arg = &missing_variable,
			.degrades = true),
		SWEEP("target: a refused address, twice", make_attempts, .arg = &refused_address,
			.degrades = true),
		SWEEP("preview: a LINE push", preview, .arg = &line_push),
		SWEEP("preview: a form of 100 KB", preview, .arg = &large_push),
		SWEEP("preview: a missing variable", preview, .arg = &missing_variable,
			.degrades = true),
	};

	return SWEEP_TABLE("http", table, enter, leave);
}
