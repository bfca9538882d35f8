/* The admin port over a loop and a raw connection. */
#include "world.h"

#include "admin/admin.h"
#include "bunshin/error.h"
#include "failmalloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct stage {
	struct world world;
	struct admin *admin;
	unsigned scrapes, asked;
	int collect_err;
	const char *dead; /* why it is not alive; NULL: it is */
	struct admin_check checks[3];
	size_t check_count;
};

static int collect(void *arg, struct metrics *into)
{
	struct stage *stage = arg;
	struct counter *counter = metrics_counter(into, "scrapes_total", "Scrapes.", "");

	stage->scrapes++;
	if (counter)
		counter_add(counter, stage->scrapes);
	return stage->collect_err;
}

static bool is_alive(void *arg, struct buf *words)
{
	const struct stage *stage = arg;

	if (stage->dead)
		buf_append_string(words, stage->dead);
	return !stage->dead;
}

static void each_check(
	void *arg, void (*visit)(void *visit_arg, const struct admin_check *check), void *visit_arg)
{
	struct stage *stage = arg;

	stage->asked++;
	for (size_t i = 0; i < stage->check_count; i++)
		visit(visit_arg, &stage->checks[i]);
}

static struct admin_options options_of(struct stage *stage, const char *listen)
{
	return (struct admin_options){.listen = listen,
		.collect = collect,
		.is_alive = is_alive,
		.each_check = each_check,
		.arg = stage};
}

static void stage_open(struct stage *stage)
{
	struct admin_options options;

	memset(stage, 0, sizeof(*stage));
	world_open(&stage->world);
	options = options_of(stage, "127.0.0.1:0");
	assert_int_equal(admin_new(&stage->world.loop, &options, &stage->admin), 0);
}

static void stage_close(struct stage *stage)
{
	admin_close(stage->admin);
	world_close(&stage->world);
}

/* Sends one request and reads until the server closes. ret_answer: as it came. */
static void ask(struct stage *stage, const char *request_line, char ret_answer[4096])
{
	char request[256];
	struct raw raw;

	snprintf(request, sizeof(request), "%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		request_line);
	raw_open(&raw, &stage->world, admin_address(stage->admin));
	raw_send_string(&raw, request);
	world_until(&stage->world, &raw.ended, 1);
	snprintf(ret_answer, 4096, "%s", buf_string(&raw.received));
	raw_close(&raw, &stage->world);
}

static void assert_answer(struct stage *stage, const char *request_line, int status,
	const char *type, const char *body)
{
	char answer[4096], expected[128];
	const char *end;

	ask(stage, request_line, answer);
	snprintf(expected, sizeof(expected), "HTTP/1.1 %d ", status);
	assert_memory_equal(answer, expected, strlen(expected));
	snprintf(expected, sizeof(expected), "\r\nContent-Type: %s\r\n", type);
	assert_non_null(strstr(answer, expected));
	assert_non_null(strstr(answer, "\r\nCache-Control: no-store\r\n"));
	end = strstr(answer, "\r\n\r\n");
	assert_non_null(end);
	assert_string_equal(end + 4, body);
}

#define TEXT "text/plain; charset=utf-8"
#define JSON "application/json"
#define HEALTHY \
	"{\"ok\":true,\"checks\":[{\"name\":\"progress\",\"health\":\"ok\",\"detail\":\"\"}]}\n"
#define INDEX                                                                        \
	"bunshin " BUNSHIN_VERSION "\n\n"                                            \
	"/metrics  for Prometheus\n"                                                 \
	"/healthz  whether the workers make progress\n"                              \
	"/readyz   whether they can deliver, and what keeps them from it\n"          \
	"/status.json   what is now: verdict, rates, failures, campaigns, workers\n" \
	"/history.json  what was, a sample a second (?since=EPOCH_MS)\n"             \
	"/control/pause, /control/resume  POST with the token (admin.token)\n"

static void pages(void **state)
{
	struct stage stage;

	stage_open(&stage);
	assert_answer(&stage, "GET /", 200, TEXT, INDEX);
	assert_answer(&stage, "GET /healthz", 200, JSON, HEALTHY);
	for (int i = 1; i <= 2; i++) {
		char body[128];

		snprintf(body, sizeof(body),
			"# HELP scrapes_total Scrapes.\n# TYPE scrapes_total counter\n"
			"scrapes_total %d\n",
			i);
		assert_answer(&stage, i == 1 ? "GET /metrics" : "GET /metrics?x=1", 200,
			"text/plain; version=0.0.4; charset=utf-8", body);
	}
	stage_close(&stage);
}

static void head(void **state)
{
	char answer[4096], length[64];
	struct stage stage;

	stage_open(&stage);
	assert_answer(&stage, "HEAD /healthz", 200, JSON, "");
	ask(&stage, "HEAD /healthz", answer);
	snprintf(length, sizeof(length), "\r\nContent-Length: %zu\r\n", strlen(HEALTHY));
	assert_non_null(strstr(answer, length));
	assert_answer(&stage, "HEAD /nothing", 404, TEXT, "");
	stage_close(&stage);
}

static void other_paths_and_methods(void **state)
{
	static const char *const paths[] = {
		"GET /metrics/", "GET //", "GET /Metrics", "GET /metric", "POST /nothing"};
	static const char *const methods[] = {"POST /metrics", "PUT /healthz", "DELETE /readyz",
		"OPTIONS /", "PATCH /metrics", "get /healthz"};
	char answer[4096];
	struct stage stage;

	stage_open(&stage);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		assert_answer(&stage, paths[i], 404, TEXT, "no such page; / lists them\n");
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		assert_answer(&stage, methods[i], 405, TEXT, "GET and HEAD only\n");
		ask(&stage, methods[i], answer);
		assert_non_null(strstr(answer, "\r\nAllow: GET, HEAD\r\n"));
	}
	assert_int_equal(stage.scrapes, 0);
	stage_close(&stage);
}

static void readiness(void **state)
{
	struct stage stage;

	stage_open(&stage);
	assert_answer(&stage, "GET /readyz", 200, "application/json",
		"{\"ready\":true,\"ok\":true,\"checks\":[]}\n");
	stage.checks[0] = (struct admin_check){"draining", ADMIN_OK, ""};
	stage.checks[1] = (struct admin_check){"destinations", ADMIN_DEGRADED, "line, \"sms\"\n"};
	stage.check_count = 2;
	assert_answer(&stage, "GET /readyz", 200, "application/json",
		"{\"ready\":true,\"ok\":true,\"checks\":["
		"{\"name\":\"draining\",\"health\":\"ok\",\"detail\":\"\"},"
		"{\"name\":\"destinations\",\"health\":\"degraded\","
		"\"detail\":\"line, \\\"sms\\\"\\n\"}]}\n");
	stage.checks[2] =
		(struct admin_check){"queue", ADMIN_FAILED, "[{gone \xe5\x88\x86\xe5\x88"};
	stage.check_count = 3;
	assert_answer(&stage, "GET /readyz", 503, "application/json",
		"{\"ready\":false,\"ok\":false,\"checks\":["
		"{\"name\":\"draining\",\"health\":\"ok\",\"detail\":\"\"},"
		"{\"name\":\"destinations\",\"health\":\"degraded\","
		"\"detail\":\"line, \\\"sms\\\"\\n\"},"
		"{\"name\":\"queue\",\"health\":\"failed\",\"detail\":\"[{gone "
		"\xe5\x88\x86??\"}]}\n");
	assert_int_equal(stage.asked, 3);
	/* Alive all the same. */
	assert_answer(&stage, "GET /healthz", 200, JSON, HEALTHY);
	stage_close(&stage);
}

static void not_alive(void **state)
{
	struct stage stage;

	stage_open(&stage);
	stage.dead = "none \"makes\" progress\xff";
	assert_answer(&stage, "GET /healthz", 503, JSON,
		"{\"ok\":false,\"checks\":[{\"name\":\"progress\",\"health\":\"failed\","
		"\"detail\":\"none \\\"makes\\\" progress?\"}]}\n");
	assert_answer(&stage, "HEAD /healthz", 503, JSON, "");
	stage.dead = NULL;
	assert_answer(&stage, "GET /healthz", 200, JSON, HEALTHY);
	stage_close(&stage);
}

/* Half of the metrics would look like all of them. */
/* Sends the lines as they are, and reads until the server closes. */
static void ask_with(struct stage *stage, const char *headers, char ret_answer[4096])
{
	char request[512];
	struct raw raw;

	snprintf(request, sizeof(request),
		"GET /status.json HTTP/1.1\r\n%sConnection: close\r\n\r\n", headers);
	raw_open(&raw, &stage->world, admin_address(stage->admin));
	raw_send_string(&raw, request);
	world_until(&stage->world, &raw.ended, 1);
	snprintf(ret_answer, 4096, "%s", buf_string(&raw.received));
	raw_close(&raw, &stage->world);
}

/* What a page of evil.example sends whose name leads here. */
static void rebound_names_are_refused(void **state)
{
	static const char *const ours[] = {"worker.example.com"};
	static const char *const refused[] = {
		"Host: evil.example:9797\r\nAccept-Language: en\r\n",
		/* A page may set it to nothing, which is not the same as leaving it out. */
		"Host: evil.example:9797\r\nAccept-Language:\r\nUser-Agent: curl\r\n",
		"Host: evil.example:9797\r\nUser-Agent: Mozilla/5.0\r\n",
	};
	static const char *const answered[] = {
		"Host: worker.example.com:9797\r\nAccept-Language: en\r\n",
		"Host: 127.0.0.1\r\nUser-Agent: Mozilla/5.0\r\n",
		"Host: anything.example\r\nUser-Agent: Prometheus/2\r\n",
	};
	char text[4096];
	struct stage stage = {.asked = 0};
	struct admin_options options = options_of(&stage, "127.0.0.1:0");

	options.hosts = ours;
	options.host_count = 1;
	world_open(&stage.world);
	assert_int_equal(admin_new(&stage.world.loop, &options, &stage.admin), 0);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		ask_with(&stage, refused[i], text);
		assert_non_null(strstr(text, "HTTP/1.1 403 "));
		assert_non_null(strstr(text, "admin.hosts"));
		assert_null(strstr(text, "evil"));
	}
	for (size_t i = 0; i < sizeof(answered) / sizeof(answered[0]); i++) {
		ask_with(&stage, answered[i], text);
		assert_null(strstr(text, "HTTP/1.1 403 "));
	}
	admin_close(stage.admin);
	world_close(&stage.world);
}

static void a_collection_that_fails(void **state)
{
	struct stage stage;

	stage_open(&stage);
	stage.collect_err = ERR_NOMEM;
	assert_answer(&stage, "GET /metrics", 503, TEXT,
		"the metrics cannot be had now: out of memory\n");
	stage.collect_err = 0;
	assert_answer(&stage, "GET /metrics", 200, "text/plain; version=0.0.4; charset=utf-8",
		"# HELP scrapes_total Scrapes.\n# TYPE scrapes_total counter\n"
		"scrapes_total 2\n");
	stage_close(&stage);
}

static void where_it_cannot_listen(void **state)
{
	struct admin_options options;
	struct admin *second = NULL;
	struct stage stage;

	stage_open(&stage);
	options = options_of(&stage, admin_address(stage.admin));
	errno = 0;
	assert_int_equal(admin_new(&stage.world.loop, &options, &second), ERR_IO);
	assert_int_equal(errno, EADDRINUSE);
	options = options_of(&stage, "unix:/run/bunshin.sock");
	assert_int_equal(admin_new(&stage.world.loop, &options, &second), ERR_ARGUMENT);
	options = options_of(&stage, "192.0.2.1:0"); /* TEST-NET-1: nobody's */
	assert_int_equal(admin_new(&stage.world.loop, &options, &second), ERR_IO);
	assert_int_equal(errno, EADDRNOTAVAIL);
	assert_null(second);
	admin_close(NULL);
	stage_close(&stage);
}

static int open_and_close(void *arg)
{
	struct stage *stage = arg;
	struct admin_options options = options_of(stage, "127.0.0.1:0");
	struct admin *admin = NULL;
	int err = admin_new(&stage->world.loop, &options, &admin);

	assert_int_equal(admin == NULL, err != 0);
	admin_close(admin);
	failmalloc_pause();
	world_settle(&stage->world);
	failmalloc_resume();
	return err;
}

static void out_of_memory(void **state)
{
	struct stage stage;

	stage_open(&stage);
	assert_true(failmalloc_sweep(open_and_close, &stage) >= 2);
	stage_close(&stage);
}

/* Closed with a connection open and a request half sent. */
static void closed_in_the_middle(void **state)
{
	struct stage stage;
	struct raw raw;

	stage_open(&stage);
	raw_open(&raw, &stage.world, admin_address(stage.admin));
	raw_send_string(&raw, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\nGET /me");
	world_until(&stage.world, &raw.answers, 1);
	admin_close(stage.admin);
	stage.admin = NULL;
	world_until(&stage.world, &raw.ended, 1);
	raw_close(&raw, &stage.world);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages),
		cmocka_unit_test(head),
		cmocka_unit_test(other_paths_and_methods),
		cmocka_unit_test(readiness),
		cmocka_unit_test(not_alive),
		cmocka_unit_test(rebound_names_are_refused),
		cmocka_unit_test(a_collection_that_fails),
		cmocka_unit_test(where_it_cannot_listen),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(closed_in_the_middle),
	};

	return cmocka_run_group_tests_name("admin", tests, NULL, NULL);
}
