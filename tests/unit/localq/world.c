#include "world.h"

#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void wants_flush(void *arg)
{
	((struct world *)arg)->flushes_wanted++;
}

static void answered(void *arg, struct call *call);

static void failed(void *arg, const char *detail)
{
	struct world *world = arg;

	world->failures++;
	snprintf(world->failure, sizeof(world->failure), "%s", detail);
}

static void recovered(void *arg)
{
	((struct world *)arg)->recoveries++;
}

static void open_service(struct world *world, const char *dir)
{
	struct service_options options = {
		.dir = dir,
		.sync = world->sync,
		.region = "us-east-1",
		.clock = manual_clock_table(&world->clock),
		.wants_flush = wants_flush,
		.reply = answered,
		.failed = failed,
		.recovered = recovered,
		.declarations = world->declarations,
		.arg = world,
	};
	char detail[STORE_DETAIL_MAX];

	if (service_open(&world->service, &options, detail) != 0)
		fail_msg("%s", detail);
}

void world_open(struct world *world, const char *dir)
{
	memset(world, 0, sizeof(*world));
	manual_clock_init(&world->clock, 1, WORLD_START_MS);
	open_service(world, dir);
}

void world_close(struct world *world)
{
	world_end(&world->done);
	service_close(&world->service);
	assert_null(timer_heap_first(&world->clock.heap));
	manual_clock_free(&world->clock);
}

void world_reopen(struct world *world, const char *dir)
{
	service_close(&world->service);
	open_service(world, dir);
}

static void answered(void *arg, struct call *call)
{
	struct world_call *mine = list_entry(call, struct world_call, call);

	assert_false(mine->answered);
	mine->answered = true;
	failmalloc_pause(); /* to look at the answer takes memory too */
	/* Without memory an answer may be empty. */
	mine->answer = call->problem.fault == FAULT_INTERNAL && call->answer.buf.len == 0
			       ? cJSON_CreateObject()
			       : cJSON_ParseWithOpts(buf_string(&call->answer.buf), NULL, 1);
	failmalloc_resume();
	assert_non_null(mine->answer);
}

static bool is_alive(struct call *call)
{
	return !list_entry(call, struct world_call, call)->dead;
}

__attribute__((format(printf, 4, 0))) static void start(struct world *world,
	struct world_call *call, const char *operation, const char *format, va_list args)
{
	memset(call, 0, sizeof(*call));
	assert_true(vasprintf(&call->body, format, args) >= 0);
	call->world = world;
	call_init(&call->call, manual_clock_table(&world->clock));
	strcpy(call->call.host, "h");
	call->call.is_alive = is_alive;
	if (call_decode(&call->call, operation, call->body, strlen(call->body)) == FAULT_NONE) {
		service_handle(&world->service, &call->call);
		return;
	}
	call_refuse(&call->call);
	answered(world, &call->call);
}

void world_start(struct world *world, struct world_call *call, const char *operation,
	const char *format, ...)
{
	va_list args;

	va_start(args, format);
	start(world, call, operation, format, args);
	va_end(args);
}

void world_end(struct world_call *call)
{
	/* As nothing but a test does: one that waits is never answered. */
	if (call->world != NULL && !call->answered) {
		poller_remove(&call->call);
		list_remove(&call->call.node);
	}
	cJSON_Delete(call->answer);
	call->answer = NULL;
	free(call->body);
	call->body = NULL;
	call_free(&call->call);
}

__attribute__((format(printf, 3, 0))) static const cJSON *run(
	struct world *world, const char *operation, const char *format, va_list args)
{
	world_end(&world->done);
	start(world, &world->done, operation, format, args);
	service_flush(&world->service);
	assert_true(world->done.answered);
	return world->done.answer;
}

const cJSON *world_call(struct world *world, const char *operation, const char *format, ...)
{
	const cJSON *answer;
	va_list args;

	va_start(args, format);
	answer = run(world, operation, format, args);
	va_end(args);
	return answer;
}

const cJSON *world_ok(struct world *world, const char *operation, const char *format, ...)
{
	const cJSON *answer;
	va_list args;

	va_start(args, format);
	answer = run(world, operation, format, args);
	va_end(args);
	if (world->done.call.problem.fault != FAULT_NONE)
		fail_msg("%s: %s", operation, world->done.call.problem.message);
	return answer;
}

const char *world_refused(
	struct world *world, const char *code, const char *operation, const char *format, ...)
{
	const struct problem *problem = &world->done.call.problem;
	const cJSON *answer;
	va_list args;

	va_start(args, format);
	answer = run(world, operation, format, args);
	va_end(args);
	if (problem->fault == FAULT_NONE)
		fail_msg("%s is not refused (%s expected): %s", operation, code,
			buf_string(&world->done.call.answer.buf));
	if (strcmp(fault_row(problem->fault)->code, code) != 0)
		fail_msg("%s: %s instead of %s: %s", operation, fault_row(problem->fault)->code,
			code, problem->message);
	assert_string_equal(cJSON_GetObjectItem(answer, "__type")->valuestring,
		fault_row(problem->fault)->type);
	return cJSON_GetObjectItem(answer, "message")->valuestring;
}

void world_advance_ms(struct world *world, int64_t ms)
{
	manual_clock_advance(&world->clock, 1000 * (uint64_t)ms);
	service_flush(&world->service);
}

void world_create(struct world *world, const char *name)
{
	world_ok(world, "CreateQueue", "{\"QueueName\":\"%s\"}", name);
}

void world_send(struct world *world, const char *name, const char *body)
{
	world_ok(world, "SendMessage",
		"{\"QueueUrl\":\"http://h/000000000000/%s\",\"MessageBody\":\"%s\"}", name, body);
}

int world_receive(struct world *world, const char *name)
{
	const cJSON *answer = world_ok(world, "ReceiveMessage",
		"{\"QueueUrl\":\"http://h/000000000000/%s\",\"MaxNumberOfMessages\":10}", name);

	return cJSON_GetArraySize(cJSON_GetObjectItem(answer, "Messages"));
}

const char *world_bodies(const cJSON *answer)
{
	static char bodies[4096];
	const cJSON *message;

	*bodies = '\0';
	cJSON_ArrayForEach(message, cJSON_GetObjectItem(answer, "Messages"))
	{
		size_t len = strlen(bodies);

		snprintf(bodies + len, sizeof(bodies) - len, "%s%s", len > 0 ? " " : "",
			cJSON_GetObjectItem(message, "Body")->valuestring);
	}
	return bodies;
}

void world_handle(const cJSON *answer, int index, char ret[64])
{
	const cJSON *message = cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "Messages"), index);

	assert_non_null(message);
	snprintf(ret, 64, "%s", cJSON_GetObjectItem(message, "ReceiptHandle")->valuestring);
}

const char *world_counts(struct world *world, const char *name)
{
	static const char *const names[] = {"ApproximateNumberOfMessages",
		"ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"};
	static char counts[64];
	const cJSON *map = cJSON_GetObjectItem(
		world_ok(world, "GetQueueAttributes",
			"{\"QueueUrl\":\"http://h/000000000000/%s\",\"AttributeNames\":[\"All\"]}",
			name),
		"Attributes");

	*counts = '\0';
	for (size_t i = 0; i < 3; i++) {
		strcat(counts, i > 0 ? " " : "");
		strcat(counts, cJSON_GetObjectItem(map, names[i])->valuestring);
	}
	return counts;
}
