#include "metadata_world.h"

#include "variables.h"

#include "bunshin/error.h"
#include "failmalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VARIABLES_MAX 16
#define PATIENCE_MS 60000

/* Made by the linker: --wrap=NAME turns calls of NAME into calls of __wrap_NAME. */
void __real_http_exchange_set_timeout(struct http_exchange *exchange, int64_t timeout_ms);
void __wrap_http_exchange_set_timeout(struct http_exchange *exchange, int64_t timeout_ms);

static const struct world *open_world;

/* What will be answered is waited for, however slow this machine is. */
void __wrap_http_exchange_set_timeout(struct http_exchange *exchange, int64_t timeout_ms)
{
	size_t i = open_world->request_count;
	bool answered = open_world->respond != NULL ||
			(i < open_world->step_count && open_world->steps[i].kind != WORLD_SILENCE);

	__real_http_exchange_set_timeout(exchange, answered ? PATIENCE_MS : timeout_ms);
}

static char *header_of(const struct http_call *call, const char *name)
{
	const char *value = http_call_header(call, name);

	return value != NULL ? strdup(value) : NULL;
}

static void on_request(void *arg, struct http_call *call)
{
	struct world *world = arg;
	size_t i = world->request_count;
	const char *body = "";
	const char *headers[] = {"X-aws-ec2-metadata-token-ttl-seconds", world->steps[i].ttl, NULL};
	struct http_reply reply = {.status = world->steps[i].status,
		.body = world->steps[i].body,
		.body_bytes = world->steps[i].body != NULL ? strlen(world->steps[i].body) : 0,
		.headers = world->steps[i].ttl != NULL ? headers : NULL};

	if (world->respond != NULL) {
		reply.status = world->respond(http_call_path(call), &body);
		reply.body = body;
		reply.body_bytes = strlen(body);
		http_call_reply(call, &reply);
		return;
	}
	if (i >= world->step_count)
		fail_msg("%s %s: not in the script", http_call_method(call), http_call_path(call));
	world->request_count++;
	world->requests[i] = (struct world_request){.method = strdup(http_call_method(call)),
		.path = strdup(http_call_path(call)),
		.token = header_of(call, "X-aws-ec2-metadata-token"),
		.ttl = header_of(call, "X-aws-ec2-metadata-token-ttl-seconds"),
		.authorization = header_of(call, "Authorization"),
		.came_us = world->clock.now_us};
	switch (world->steps[i].kind) {
	case WORLD_ANSWER:
		assert_int_equal(http_call_reply(call, &reply), 0);
		break;
	case WORLD_SILENCE:
		http_call_keep(call, NULL, NULL);
		break;
	case WORLD_CUT:
		http_call_abort(call);
		break;
	}
}

void world_open(struct world *world)
{
	const struct http_client_options client = {.connect_timeout_ms = PATIENCE_MS,
		.no_proxy = true,
		.secret_answers = true,
		.version = HTTP_VERSION_1_1};
	const struct http_server_options server = {
		.listen = "127.0.0.1:0", .handler = on_request, .arg = world};

	memset(world, 0, sizeof(*world));
	open_world = world;
	variables_clear();
	assert_int_equal(uv_loop_init(&world->loop), 0);
	manual_clock_init(&world->clock, 1, WORLD_EPOCH_MS);
	assert_int_equal(http_client_new(&world->loop, &client, &world->client), 0);
	assert_int_equal(http_server_new(&world->loop, &server, &world->server), 0);
	snprintf(world->endpoint, sizeof(world->endpoint), "http://%s",
		http_server_address(world->server));
	variables_set("AWS_CONFIG_FILE", "/nonexistent");
	variables_set("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
	variables_set("AWS_EC2_METADATA_SERVICE_ENDPOINT", world->endpoint);
	world->context = (struct credentials_context){.loop = &world->loop,
		.clock = manual_clock_table(&world->clock),
		.metadata = world->client};
}

void world_load(struct world *world)
{
	struct buf error = BUF_INIT(1024);

	if (aws_settings_load(variables_get, &world->settings, &error) != 0)
		fail_msg("%s", buf_string(&error));
	buf_free(&error);
	world->context.settings = world->settings;
}

void world_close(struct world *world)
{
	assert_int_equal(world->request_count, world->step_count);
	assert_false(manual_clock_step(&world->clock)); /* no timer is left */
	assert_int_equal(http_client_in_flight(world->client), 0);
	http_client_close(world->client);
	http_server_close(world->server);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	aws_settings_free(world->settings);
	manual_clock_free(&world->clock);
	for (size_t i = 0; i < world->request_count; i++) {
		free(world->requests[i].method);
		free(world->requests[i].path);
		free(world->requests[i].token);
		free(world->requests[i].ttl);
		free(world->requests[i].authorization);
	}
}

void world_answer(struct world *world, int status, const char *body)
{
	assert_in_range(world->step_count, 0, WORLD_STEPS_MAX - 1);
	world->steps[world->step_count].status = status;
	world->steps[world->step_count++].body = body;
}

void world_token(struct world *world, const char *token, const char *ttl)
{
	world_answer(world, 200, token);
	world->steps[world->step_count - 1].ttl = ttl;
}

void world_silence(struct world *world)
{
	world_answer(world, 0, NULL);
	world->steps[world->step_count - 1].kind = WORLD_SILENCE;
}

void world_cut(struct world *world)
{
	world_answer(world, 0, NULL);
	world->steps[world->step_count - 1].kind = WORLD_CUT;
}

static void turn(struct world *world)
{
	manual_clock_advance(&world->clock, 0);
	if (http_client_in_flight(world->client) > 0)
		uv_run(&world->loop, UV_RUN_ONCE);
	else
		manual_clock_step(&world->clock);
}

void world_until(struct world *world, const unsigned *counter, unsigned number)
{
	while (*counter < number) {
		turn(world);
		if (*counter < number && http_client_in_flight(world->client) == 0 &&
			timer_heap_first(&world->clock.heap) == NULL)
			fail_msg("nothing goes on any more");
	}
}

void world_until_requests(struct world *world, size_t count)
{
	while (world->request_count < count)
		turn(world);
}

void world_settle(struct world *world)
{
	manual_clock_advance(&world->clock, 0);
	for (int i = 0; i < 20; i++)
		uv_run(&world->loop, UV_RUN_NOWAIT);
}

static void on_get(void *arg, int err, const char *reason)
{
	struct world_outcome *outcome = arg;

	outcome->calls++;
	outcome->err = err;
	snprintf(outcome->reason, sizeof(outcome->reason), "%s", reason);
}

bool world_get_start(const struct credentials_provider *provider, struct world_outcome *outcome)
{
	int err;

	memset(outcome, 0, sizeof(*outcome));
	err = provider->get(provider->impl, &outcome->set, on_get, outcome, outcome->reason);
	assert_int_equal(outcome->calls, 0);
	if (err == CREDENTIALS_LATER)
		return true;
	outcome->calls = 1;
	outcome->err = err;
	return false;
}

void world_get(struct world *world, const struct credentials_provider *provider,
	struct world_outcome *outcome)
{
	if (world_get_start(provider, outcome))
		world_until(world, &outcome->calls, 1);
	assert_int_equal(outcome->calls, 1);
}

static bool is_shortage(int err)
{
	return err == ERR_NOMEM || err == ERR_NETWORK || err == ERR_CONNECT || err == ERR_NOT_FOUND;
}

/* The number of allocations that failed: 1, or 0 after the last. */
static unsigned long sweep_once(unsigned long k,
	int (*respond)(const char *path, const char **ret_body), const char *variable,
	int (*make)(const struct credentials_context *context,
		struct credentials_provider *ret_provider))
{
	struct world_outcome outcome = {0};
	struct credentials_provider provider;
	struct world world;
	unsigned long failed;
	int err;

	world_open(&world);
	world.respond = respond;
	if (variable != NULL)
		variables_set(variable, world.endpoint);
	world_load(&world);
	failmalloc_arm(k);
	err = make(&world.context, &provider);
	if (err == 0)
		world_get(&world, &provider, &outcome);
	failed = failmalloc_disarm();
	if (err != 0)
		assert_int_equal(err, ERR_NOMEM);
	else if (outcome.err != 0 && (failed == 0 || !is_shortage(outcome.err)))
		fail_msg("allocation %lu: %s \"%s\"", k, error_name(outcome.err), outcome.reason);
	if (err == 0)
		provider.free(provider.impl);
	world_close(&world);
	return failed;
}

void world_sweep(int (*respond)(const char *path, const char **ret_body), const char *variable,
	int (*make)(const struct credentials_context *context,
		struct credentials_provider *ret_provider))
{
	unsigned long k = 1;

	while (sweep_once(k, respond, variable, make) > 0)
		k++;
	print_message("%lu allocations failed in turn\n", k - 1);
	assert_true(k > 10);
}
