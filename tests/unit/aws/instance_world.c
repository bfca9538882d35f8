#include "instance_world.h"

#include "variables.h"

#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPOCH_MS 1767323045000

static void say(struct instance_world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct instance_world *world, const char *format, ...)
{
	va_list args;

	buf_appendf(&world->transcript, "%llu ", (unsigned long long)world->clock.now_us / 1000);
	va_start(args, format);
	buf_vappendf(&world->transcript, format, args);
	va_end(args);
	buf_append_char(&world->transcript, '\n');
}

/* ---- the server */

static void reply(struct http_call *call, int status, const char *body)
{
	const struct http_reply answer = {
		.status = status, .body = body, .body_bytes = strlen(body)};

	http_call_reply(call, &answer);
}

/* True: the fault has dealt with it. */
static bool misbehave(struct instance_fault *fault, struct http_call *call)
{
	if (fault->kind == FAULT_NONE || fault->times == 0)
		return false;
	fault->times--;
	if (fault->kind == FAULT_SILENCE)
		http_call_keep(call, NULL, NULL);
	else if (fault->kind == FAULT_CUT)
		http_call_abort(call);
	else
		reply(call, fault->status, fault->body != NULL ? fault->body : "");
	return true;
}

static void on_metadata(struct instance_world *world, struct http_call *call)
{
	const struct {
		const char *path, *body;
	} table[] = {
		{"/latest/api/token", "TOKEN"},
		{"/latest/meta-data/instance-id", "i-0123456789abcdef0"},
		{"/latest/meta-data/placement/region", "eu-west-1\n"},
		{"/latest/meta-data/tags/instance/aws:autoscaling:groupName", world->tag},
		{"/latest/meta-data/autoscaling/target-lifecycle-state", world->lifecycle},
		{"/latest/meta-data/spot/instance-action", world->spot},
		{"/latest/meta-data/events/recommendations/rebalance", world->rebalance},
	};
	const char *path = http_call_path(call);

	if (strstr(path, "target-lifecycle-state") != NULL)
		world->rounds++;
	if (strcmp(path, table[0].path) != 0)
		assert_string_equal(http_call_header(call, "X-aws-ec2-metadata-token"), "TOKEN");
	if (misbehave(&world->metadata, call))
		return;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(path, table[i].path) == 0 && table[i].body != NULL) {
			reply(call, 200, table[i].body);
			return;
		}
	}
	reply(call, 404, "<html>404</html>");
}

static void on_api(struct instance_world *world, struct http_call *call)
{
	const char *authorization = http_call_header(call, "Authorization");
	char action[64], answer[512];
	size_t len;
	const char *form = http_call_body(call, &len), *rest;

	assert_non_null(authorization);
	assert_non_null(strstr(authorization, "/eu-west-1/autoscaling/aws4_request"));
	assert_int_equal(sscanf(form, "Action=%63[A-Za-z]", action), 1);
	rest = strstr(form, "&Version=2011-01-01&");
	assert_non_null(rest);
	say(world, "%s %s", action, strchr(rest + 1, '&') + 1);
	if (misbehave(&world->api, call))
		return;
	snprintf(answer, sizeof(answer),
		"<%sResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"><%sResult/>"
		"<ResponseMetadata><RequestId>7c6e177f-f082-11e1-ac58-3714bEXAMPLE</RequestId>"
		"</ResponseMetadata></%sResponse>",
		action, action, action);
	reply(call, 200, answer);
}

static void on_agent(struct instance_world *world, struct http_call *call)
{
	size_t len;
	const char *body = http_call_body(call, &len);
	char answer[256];

	assert_string_equal(http_call_method(call), "PUT");
	assert_string_equal(http_call_header(call, "Content-Type"), "application/json");
	say(world, "task %s", body);
	if (misbehave(&world->agent, call))
		return;
	snprintf(answer, sizeof(answer),
		"{\"protection\":{\"ExpirationDate\":null,\"ProtectionEnabled\":%s,"
		"\"TaskArn\":\"arn:aws:ecs:us-west-2:111122223333:task/1234\"}}",
		strstr(body, ":true") != NULL ? "true" : "false");
	reply(call, 200, answer);
}

static void on_request(void *arg, struct http_call *call)
{
	struct instance_world *world = arg;
	const char *path = http_call_path(call);

	if (strncmp(path, "/latest/", 8) == 0)
		on_metadata(world, call);
	else if (strcmp(path, "/agent/task-protection/v1/state") == 0)
		on_agent(world, call);
	else
		on_api(world, call);
}

/* ---- callbacks */

static void on_done(void *arg)
{
	struct instance_world *world = arg;

	world->dones++;
	say(world, "done");
	/* As a monitor may: there is nothing more to wait for. */
	instance_close(world->instance);
	world->instance = NULL;
}

static void on_leave(void *arg, const char *why)
{
	struct instance_world *world = arg;

	world->leaves++;
	say(world, "leave: %s", why);
	if (world->finish_on_leave)
		instance_finish(world->instance, on_done, world);
}

static void on_trouble(void *arg, const char *part, const char *reason)
{
	say(arg, "trouble %s: %s", part, reason != NULL ? reason : "ended");
}

static void on_event(void *arg, const char *what)
{
	say(arg, "event: %s", what);
}

/* ---- */

void instance_world_open(struct instance_world *world)
{
	const struct http_client_options client = {.connect_timeout_ms = 1000,
		.no_proxy = true,
		.secret_answers = true,
		.version = HTTP_VERSION_1_1};
	const struct http_server_options server = {
		.listen = "127.0.0.1:0", .handler = on_request, .arg = world};
	struct credentials_provider provider;
	static char agent[96];

	memset(world, 0, sizeof(*world));
	variables_clear();
	buf_init(&world->transcript, 1 << 20);
	assert_int_equal(uv_loop_init(&world->loop), 0);
	manual_clock_init(&world->clock, 1, EPOCH_MS);
	assert_int_equal(http_client_new(&world->loop, &client, &world->client), 0);
	assert_int_equal(http_server_new(&world->loop, &server, &world->server), 0);
	snprintf(world->endpoint, sizeof(world->endpoint), "http://%s",
		http_server_address(world->server));
	snprintf(agent, sizeof(agent), "%s/agent", world->endpoint);
	variables_set("AWS_CONFIG_FILE", "/nonexistent");
	variables_set("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
	variables_set("AWS_EC2_METADATA_SERVICE_ENDPOINT", world->endpoint);
	variables_set("AWS_ENDPOINT_URL_AUTO_SCALING", world->endpoint);
	variables_set("ECS_AGENT_URI", agent);
	assert_int_equal(credentials_static("AKID", "secret", NULL, &provider), 0);
	assert_int_equal(credentials_new(manual_clock_table(&world->clock), &provider, 1,
				 &world->credentials),
		0);
	world->context = (struct credentials_context){.loop = &world->loop,
		.clock = manual_clock_table(&world->clock),
		.metadata = world->client};
	world->options = (struct instance_options){.context = &world->context,
		.credentials = world->credentials,
		.leave = on_leave,
		.trouble = on_trouble,
		.event = on_event,
		.arg = world};
	world->lifecycle = "InService";
	world->tag = "workers";
}

int instance_world_start(struct instance_world *world, struct buf *error)
{
	struct buf own = BUF_INIT(1024);

	int err = aws_settings_load(variables_get, &world->settings, &own);

	if (err == ERR_NOMEM)
		return err;
	if (err != 0)
		fail_msg("%s", buf_string(&own));
	buf_free(&own);
	world->context.settings = world->settings;
	return instance_new(&world->options, &world->instance, error);
}

void instance_world_close(struct instance_world *world)
{
	instance_close(world->instance);
	credentials_free(world->credentials);
	assert_false(manual_clock_step(&world->clock)); /* no timer is left */
	http_client_close(world->client);
	http_server_close(world->server);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	aws_settings_free(world->settings);
	manual_clock_free(&world->clock);
	buf_free(&world->transcript);
}

static void count_poll(uv_handle_t *handle, void *arg)
{
	unsigned *count = arg;

	if (uv_handle_get_type(handle) == UV_POLL && uv_is_active(handle) && uv_has_ref(handle) &&
		!uv_is_closing(handle))
		++*count;
}

/* The server watches one descriptor; each request in flight one more, and idle connections none. */
static bool is_quiet(struct instance_world *world)
{
	unsigned count = 0;

	uv_walk(&world->loop, count_poll, &count);
	return count <= 1 && http_client_in_flight(world->client) == 0;
}

/* All that happens at this instant happens. */
static void settle(struct instance_world *world)
{
	do {
		manual_clock_advance(&world->clock, 0);
		for (int i = 0; i < 8; i++)
			uv_run(&world->loop, UV_RUN_NOWAIT);
		while (!world->keep_silent && !is_quiet(world))
			uv_run(&world->loop, UV_RUN_ONCE);
	} while (timer_heap_first(&world->clock.heap) != NULL &&
		 timer_heap_first(&world->clock.heap)->due_us <= world->clock.now_us);
}

void instance_world_pass(struct instance_world *world, uint64_t ms)
{
	uint64_t end_us = world->clock.now_us + ms * 1000;

	settle(world);
	for (;;) {
		struct clock_timer *timer = timer_heap_first(&world->clock.heap);

		if (timer == NULL || timer->due_us > end_us)
			break;
		manual_clock_step(&world->clock);
		settle(world);
	}
	manual_clock_advance(&world->clock, end_us - world->clock.now_us);
	settle(world);
}

void instance_world_finish(struct instance_world *world)
{
	instance_finish(world->instance, on_done, world);
}

void instance_world_assert(struct instance_world *world, const char *transcript)
{
	assert_string_equal(buf_string(&world->transcript), transcript);
	buf_clear(&world->transcript);
}

void instance_world_assert_untimed(struct instance_world *world, const char *transcript)
{
	char *text = strdup(buf_string(&world->transcript));
	char *to = text;

	assert_non_null(text);
	for (char *line = text; *line != '\0';) {
		char *from = strchr(line, ' ') + 1;
		size_t len = strcspn(from, "\n") + 1;

		memmove(to, from, len);
		to += len;
		line = from + len;
	}
	*to = '\0';
	assert_string_equal(text, transcript);
	free(text);
	buf_clear(&world->transcript);
}
