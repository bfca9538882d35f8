#include "fake_sqs.h"

#include "base/buf.h"
#include "base/random.h"
#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

struct connection {
	uv_tcp_t tcp;
	uv_timer_t timer;
	struct list node;
	struct fake_sqs *fake;
	const struct fake_step *step; /* being answered */
	struct buf in;
	unsigned handles;
	bool closing;
};

static void handle_closed(uv_handle_t *handle)
{
	struct connection *connection = handle->data;

	if (--connection->handles > 0)
		return;
	buf_free(&connection->in);
	free(connection);
}

static void connection_close(struct connection *connection)
{
	if (connection->closing)
		return;
	connection->closing = true;
	list_remove(&connection->node);
	uv_close((uv_handle_t *)&connection->tcp, handle_closed);
	uv_close((uv_handle_t *)&connection->timer, handle_closed);
}

struct write {
	uv_write_t request;
	struct connection *connection;
	bool close;
};

static void written(uv_write_t *request, int status)
{
	struct write *write = (struct write *)request;

	if (write->close || status != 0)
		connection_close(write->connection);
	free(write);
}

static void step_play(uv_timer_t *timer)
{
	struct connection *connection = timer->data;
	const struct fake_step *step = connection->step;
	struct write *write;
	uv_buf_t bytes;

	if (step->raw == NULL)
		return;
	failmalloc_pause();
	write = calloc(1, sizeof(*write));
	failmalloc_resume();
	assert_non_null(write);
	write->connection = connection;
	write->close = step->close;
	bytes = uv_buf_init(step->raw, (unsigned)step->raw_bytes);
	assert_int_equal(
		uv_write(&write->request, (uv_stream_t *)&connection->tcp, &bytes, 1, written), 0);
}

/* Takes one whole request off the start of the input; false: there is none yet. */
static bool request_take(struct connection *connection)
{
	struct fake_sqs *fake = connection->fake;
	const char *text = buf_string(&connection->in);
	const char *end = strstr(text, "\r\n\r\n");
	const char *length = end != NULL ? strcasestr(text, "\r\ncontent-length:") : NULL;
	struct fake_request *request = &fake->requests[fake->request_count];
	size_t head_bytes, rest;

	if (end == NULL)
		return false;
	assert_non_null(length);
	head_bytes = (size_t)(end + 4 - text);
	request->body_bytes = strtoul(length + 17, NULL, 10);
	if (connection->in.len < head_bytes + request->body_bytes)
		return false;
	assert_in_range(fake->request_count, 0,
		(fake->otherwise.raw != NULL ? FAKE_STEPS_MAX : fake->step_count) - 1);
	request->head = strndup(text, head_bytes);
	request->body = strndup(text + head_bytes, request->body_bytes);
	assert_non_null(request->head);
	assert_non_null(request->body);
	rest = connection->in.len - head_bytes - request->body_bytes;
	memmove(connection->in.data, connection->in.data + connection->in.len - rest, rest);
	buf_truncate(&connection->in, rest);
	connection->step = fake->request_count < fake->step_count
				   ? &fake->steps[fake->request_count]
				   : &fake->otherwise;
	fake->request_count++;
	uv_timer_start(&connection->timer, step_play, connection->step->delay_ms, 0);
	return true;
}

static void reserve(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct connection *connection = handle->data;

	failmalloc_pause();
	ret->base = buf_reserve(&connection->in, 65536);
	failmalloc_resume();
	assert_non_null(ret->base);
	ret->len = 65536;
}

static void arrived(uv_stream_t *stream, ssize_t count, const uv_buf_t *bytes)
{
	struct connection *connection = stream->data;

	if (count < 0) {
		connection_close(connection);
		return;
	}
	buf_advance(&connection->in, (size_t)count);
	failmalloc_pause();
	while (request_take(connection))
		;
	failmalloc_resume();
}

static void accepted(uv_stream_t *listener, int status)
{
	struct fake_sqs *fake = listener->data;
	struct connection *connection;

	failmalloc_pause();
	connection = calloc(1, sizeof(*connection));
	failmalloc_resume();
	assert_int_equal(status, 0);
	assert_non_null(connection);
	connection->fake = fake;
	buf_init(&connection->in, (size_t)16 << 20);
	connection->handles = 2;
	assert_int_equal(uv_tcp_init(listener->loop, &connection->tcp), 0);
	assert_int_equal(uv_timer_init(listener->loop, &connection->timer), 0);
	connection->tcp.data = connection->timer.data = connection;
	list_append(&fake->connections, &connection->node);
	assert_int_equal(uv_accept(listener, (uv_stream_t *)&connection->tcp), 0);
	assert_int_equal(uv_read_start((uv_stream_t *)&connection->tcp, reserve, arrived), 0);
}

void fake_open(struct fake_sqs *fake, uv_loop_t *loop)
{
	struct sockaddr_in address;
	int size = sizeof(address);

	list_init(&fake->connections);
	assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &address), 0);
	assert_int_equal(uv_tcp_init(loop, &fake->listener), 0);
	fake->listener.data = fake;
	assert_int_equal(uv_tcp_bind(&fake->listener, (struct sockaddr *)&address, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&fake->listener, 16, accepted), 0);
	assert_int_equal(
		uv_tcp_getsockname(&fake->listener, (struct sockaddr *)&address, &size), 0);
	fake->port = ntohs(address.sin_port);
}

void fake_close(struct fake_sqs *fake)
{
	uv_close((uv_handle_t *)&fake->listener, NULL);
	while (!list_is_empty(&fake->connections))
		connection_close(list_entry(fake->connections.next, struct connection, node));
}

void fake_hang_up(struct fake_sqs *fake)
{
	connection_close(list_entry(fake->connections.next, struct connection, node));
}

void fake_free(struct fake_sqs *fake)
{
	for (size_t i = 0; i < fake->step_count; i++)
		free(fake->steps[i].raw);
	free(fake->otherwise.raw);
	for (size_t i = 0; i < fake->request_count; i++) {
		free(fake->requests[i].head);
		free(fake->requests[i].body);
	}
}

static void step_fill(struct fake_step *step, const char *raw, size_t raw_bytes)
{
	step->raw = malloc(raw_bytes + 1);
	assert_non_null(step->raw);
	memcpy(step->raw, raw, raw_bytes);
	step->raw_bytes = raw_bytes;
}

struct fake_step *fake_script(struct fake_sqs *fake, const char *raw, size_t raw_bytes)
{
	struct fake_step *step = &fake->steps[fake->step_count];

	assert_in_range(fake->step_count, 0, FAKE_STEPS_MAX - 1);
	fake->step_count++;
	step_fill(step, raw, raw_bytes);
	return step;
}

static void append_answer(
	struct buf *raw, int status, size_t id, const char *headers, const char *body)
{
	buf_appendf(raw,
		"HTTP/1.1 %d Whatever\r\nx-amzn-RequestId: id-%zu\r\n"
		"Date: Fri, 02 Jan 2026 03:04:05 GMT\r\n"
		"Content-Type: application/x-amz-json-1.0\r\n%sContent-Length: %zu\r\n\r\n",
		status, id, headers, strlen(body));
	buf_append_string(raw, body);
}

struct fake_step *fake_answer(
	struct fake_sqs *fake, int status, const char *headers, const char *body)
{
	struct buf raw = BUF_INIT((size_t)128 << 20);
	struct fake_step *step;

	append_answer(&raw, status, fake->step_count, headers, body);
	step = fake_script(fake, buf_string(&raw), raw.len);
	buf_free(&raw);
	return step;
}

void fake_otherwise(struct fake_sqs *fake, int status, const char *body)
{
	struct buf raw = BUF_INIT((size_t)128 << 20);

	append_answer(&raw, status, 0, "", body);
	free(fake->otherwise.raw);
	step_fill(&fake->otherwise, buf_string(&raw), raw.len);
	buf_free(&raw);
}

void fake_silence(struct fake_sqs *fake)
{
	assert_in_range(fake->step_count, 0, FAKE_STEPS_MAX - 1);
	fake->step_count++;
}

const char *fake_header(const struct fake_sqs *fake, size_t i, const char *name)
{
	static char value[16384];
	const char *line = fake->requests[i].head;
	size_t len = strlen(name);

	while ((line = strstr(line, "\r\n")) != NULL) {
		line += 2;
		if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
			line += len + 1;
			line += strspn(line, " ");
			snprintf(value, sizeof(value), "%.*s", (int)strcspn(line, "\r"), line);
			return value;
		}
	}
	return NULL;
}

struct world *world_open(const struct sqs_client_options *options, const char *session_token)
{
	struct world *world = calloc(1, sizeof(*world));
	struct sqs_client_options settings = *options;
	struct credentials_provider provider;

	assert_non_null(world);
	assert_int_equal(uv_loop_init(&world->loop), 0);
	manual_clock_init(&world->clock, 1, WORLD_EPOCH_MS);
	fake_open(&world->fake, &world->loop);
	snprintf(world->endpoint, sizeof(world->endpoint), "http://127.0.0.1:%d", world->fake.port);
	snprintf(world->queue_url, sizeof(world->queue_url), "%s/000000000000/q", world->endpoint);
	assert_int_equal(credentials_static("AKIDEXAMPLE", "secret", session_token, &provider), 0);
	assert_int_equal(credentials_new(manual_clock_table(&world->clock), &provider, 1,
				 &world->credentials),
		0);
	if (settings.endpoint == NULL)
		settings.endpoint = world->endpoint;
	if (settings.region == NULL)
		settings.region = "eu-west-1";
	assert_int_equal(sqs_client_new(&world->loop, manual_clock_table(&world->clock),
				 world->credentials, &settings, &world->client),
		0);
	return world;
}

void world_run(struct world *world, const bool *flag)
{
	while (!*flag) {
		bool stepped = manual_clock_step(&world->clock);

		assert_true(uv_run(&world->loop, stepped ? UV_RUN_NOWAIT : UV_RUN_ONCE) || stepped);
	}
}

void world_run_requests(struct world *world, size_t count)
{
	while (world->fake.request_count < count)
		assert_int_not_equal(uv_run(&world->loop, UV_RUN_ONCE), 0);
}

uint64_t world_run_to_timer(struct world *world)
{
	const struct clock_timer *timer;

	while ((timer = timer_heap_first(&world->clock.heap)) == NULL)
		assert_int_not_equal(uv_run(&world->loop, UV_RUN_ONCE), 0);
	return timer->due_us - world->clock.now_us;
}

uint64_t world_next_random(const struct world *world)
{
	uint64_t state = world->clock.random_state;

	return random_split_mix(&state);
}

void world_close(struct world *world)
{
	sqs_client_close(world->client);
	fake_close(&world->fake);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	/* Nothing was asked that no answer was scripted for, and the other way round. */
	if (world->fake.otherwise.raw == NULL)
		assert_int_equal(world->fake.request_count, world->fake.step_count);
	fake_free(&world->fake);
	credentials_free(world->credentials);
	manual_clock_free(&world->clock);
	free(world);
}

static void ending_set(struct ending *ending, const struct sqs_outcome *outcome)
{
	assert_false(ending->done);
	ending->done = true;
	ending->err = outcome->err;
	snprintf(ending->detail, sizeof(ending->detail), "%s", outcome->detail);
	sqs_client_close(ending->close);
}

void ending_of_receive(void *arg, const struct sqs_outcome *outcome, struct queue_batch *batch)
{
	struct ending *ending = arg;

	assert_int_equal(batch == NULL, outcome->err != 0);
	ending->messages = batch != NULL ? batch->count : 0;
	if (batch != NULL)
		queue_batch_unref(batch);
	ending_set(ending, outcome);
}

void ending_of_batch(
	void *arg, const struct sqs_outcome *outcome, const int results[], size_t count)
{
	for (size_t i = 0; outcome->err != 0 && i < count; i++)
		assert_int_equal(results[i], outcome->err);
	ending_set(arg, outcome);
}
