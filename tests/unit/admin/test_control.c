/* Pause and resume over the admin port, and the two documents, over a raw connection. */
#include "world.h"

#include "admin/admin.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <string.h>

#define TOKEN "0123456789abcdef"
#define AUTHORIZED "Authorization: Bearer " TOKEN "\r\n"

struct stage {
	struct world world;
	struct admin *admin;
	const char *token;
	unsigned asked, refused;
	bool paused;
	int err, document_err;
	int64_t since_ms;
	char peer[64], why[64];
};

static int collect(void *arg, struct metrics *into)
{
	return 0;
}

static void each_check(
	void *arg, void (*visit)(void *visit_arg, const struct admin_check *check), void *visit_arg)
{
}

static int status(void *arg, struct buf *out)
{
	const struct stage *stage = arg;

	buf_append_string(out, "{\"half\":");
	if (stage->document_err)
		return stage->document_err;
	return buf_append_string(out, "1}\n");
}

static int history(void *arg, int64_t since_ms, struct buf *out)
{
	struct stage *stage = arg;

	stage->since_ms = since_ms;
	return buf_append_string(out, "{}\n");
}

static int set_paused(void *arg, bool paused, const char *peer)
{
	struct stage *stage = arg;

	stage->asked++;
	stage->paused = paused;
	snprintf(stage->peer, sizeof(stage->peer), "%s", peer);
	return stage->err;
}

static void refused(void *arg, const char *why, const char *peer)
{
	struct stage *stage = arg;

	stage->refused++;
	snprintf(stage->why, sizeof(stage->why), "%s", why);
}

static void stage_open(struct stage *stage, const char *token, bool documents)
{
	const struct admin_options options = {.listen = "127.0.0.1:0",
		.collect = collect,
		.each_check = each_check,
		.status = documents ? status : NULL,
		.history = documents ? history : NULL,
		.token = token,
		.pause_command = "bunshin pause \"it\"",
		.resume_command = "bunshin resume it",
		.set_paused = set_paused,
		.refused = refused,
		.arg = stage};

	memset(stage, 0, sizeof(*stage));
	world_open(&stage->world);
	assert_int_equal(admin_new(&stage->world.loop, &options, &stage->admin), 0);
}

static void stage_close(struct stage *stage)
{
	admin_close(stage->admin);
	world_close(&stage->world);
}

static void send_request(
	struct stage *stage, struct raw *raw, const char *request_line, const char *headers)
{
	char request[512];

	snprintf(request, sizeof(request),
		"%s HTTP/1.1\r\nHost: h:1\r\nContent-Length: 0\r\n%sConnection: close\r\n\r\n",
		request_line, headers);
	raw_open(raw, &stage->world, admin_address(stage->admin));
	raw_send_string(raw, request);
}

static void receive_answer(struct stage *stage, struct raw *raw, int status, const char *body)
{
	char expected[64];
	const char *answer, *end;

	world_until(&stage->world, &raw->ended, 1);
	answer = buf_string(&raw->received);
	snprintf(expected, sizeof(expected), "HTTP/1.1 %d ", status);
	assert_memory_equal(answer, expected, strlen(expected));
	assert_non_null(strstr(answer, "\r\nCache-Control: no-store\r\n"));
	assert_null(strstr(answer, "Access-Control"));
	assert_non_null(strstr(answer, "\r\nContent-Security-Policy: default-src 'none'; "));
	assert_non_null(strstr(answer, "\r\nX-Content-Type-Options: nosniff\r\n"));
	assert_non_null(strstr(answer, "\r\nReferrer-Policy: no-referrer\r\n"));
	end = strstr(answer, "\r\n\r\n");
	assert_non_null(end);
	assert_string_equal(end + 4, body);
	raw_close(raw, &stage->world);
}

static void assert_answer(struct stage *stage, const char *request_line, const char *headers,
	int status, const char *body)
{
	struct raw raw;

	send_request(stage, &raw, request_line, headers);
	receive_answer(stage, &raw, status, body);
}

static void documents(void **state)
{
	struct stage stage;

	stage_open(&stage, NULL, true);
	assert_answer(&stage, "GET /status.json", "", 200, "{\"half\":1}\n");
	stage.document_err = ERR_NOMEM;
	assert_answer(
		&stage, "GET /status.json", "", 503, "this cannot be had now: out of memory\n");
	assert_answer(&stage, "GET /history.json", "", 200, "{}\n");
	assert_int_equal(stage.since_ms, 0);
	assert_answer(&stage, "GET /history.json?since=1764144000000", "", 200, "{}\n");
	assert_int_equal(stage.since_ms, 1764144000000);
	assert_answer(&stage, "GET /history.json?since=-1", "", 200, "{}\n");
	assert_int_equal(stage.since_ms, 0);
	assert_answer(&stage, "GET /history.json?since=99999999999999999", "", 200, "{}\n");
	assert_int_equal(stage.since_ms, 99999999999999999);
	assert_answer(&stage, "GET /history.json?since=999999999999999999", "", 200, "{}\n");
	assert_int_equal(stage.since_ms, 0);
	assert_answer(&stage, "POST /status.json", "", 405, "GET and HEAD only\n");
	stage_close(&stage);
	stage_open(&stage, NULL, false);
	assert_answer(&stage, "GET /status.json", "", 503, "this cannot be had now: not found\n");
	assert_answer(&stage, "GET /history.json", "", 503, "this cannot be had now: not found\n");
	stage_close(&stage);
}

static void change(
	struct stage *stage, const char *path, const char *error, int status, const char *body)
{
	unsigned asked = stage->asked + 1;
	struct raw raw;

	send_request(stage, &raw, path, AUTHORIZED "Origin: http://h:1\r\n");
	world_until(&stage->world, &stage->asked, asked);
	admin_changed(stage->admin, error);
	receive_answer(stage, &raw, status, body);
}

static void changes(void **state)
{
	struct stage stage;

	stage_open(&stage, TOKEN, true);
	change(&stage, "POST /control/pause", NULL, 200,
		"{\"ok\":true,\"paused\":true,\"words\":\"paused: nothing of this queue is sent "
		"until it is resumed\"}\n");
	assert_true(stage.paused);
	assert_string_equal(stage.peer, "127.0.0.1");
	change(&stage, "POST /control/resume", NULL, 200,
		"{\"ok\":true,\"paused\":false,\"words\":\"resumed\"}\n");
	assert_false(stage.paused);
	change(&stage, "POST /control/pause", "no \"rights\" \xff", 502,
		"{\"ok\":false,\"error\":\"no \\\"rights\\\" ?\",\"command\":\"bunshin pause "
		"\\\"it\\\"\"}\n");
	/* One that nobody waits for. */
	admin_changed(stage.admin, NULL);
	stage.err = ERR_PENDING;
	assert_answer(&stage, "POST /control/resume", AUTHORIZED, 409,
		"{\"ok\":false,\"error\":\"another change is under way\",\"command\":\"bunshin "
		"resume it\"}\n");
	stage.err = ERR_NOMEM;
	assert_answer(&stage, "POST /control/resume", AUTHORIZED, 502,
		"{\"ok\":false,\"error\":\"out of memory\",\"command\":\"bunshin resume it\"}\n");
	assert_int_equal(stage.refused, 0);
	stage_close(&stage);
}

static void two_at_once(void **state)
{
	struct stage stage;
	struct raw first;

	stage_open(&stage, TOKEN, true);
	send_request(&stage, &first, "POST /control/pause", AUTHORIZED);
	world_until(&stage.world, &stage.asked, 1);
	assert_answer(&stage, "POST /control/resume", AUTHORIZED, 409,
		"{\"ok\":false,\"error\":\"another change is under way\",\"command\":\"bunshin "
		"resume it\"}\n");
	assert_int_equal(stage.asked, 1);
	admin_changed(stage.admin, NULL);
	receive_answer(&stage, &first, 200,
		"{\"ok\":true,\"paused\":true,\"words\":\"paused: nothing of this queue is sent "
		"until it is resumed\"}\n");
	/* Closed while one waits. */
	send_request(&stage, &first, "POST /control/pause", AUTHORIZED);
	world_until(&stage.world, &stage.asked, 2);
	admin_close(stage.admin);
	stage.admin = NULL;
	world_until(&stage.world, &first.ended, 1);
	raw_close(&first, &stage.world);
	stage_close(&stage);
}

static void refusals(void **state)
{
	struct stage stage;

	stage_open(&stage, TOKEN, true);
	assert_answer(&stage, "GET /control/pause", AUTHORIZED, 405,
		"{\"ok\":false,\"error\":\"POST only\",\"command\":\"bunshin pause "
		"\\\"it\\\"\"}\n");
	assert_answer(&stage, "OPTIONS /control/resume", "Origin: http://evil.example\r\n", 405,
		"{\"ok\":false,\"error\":\"POST only\",\"command\":\"bunshin resume it\"}\n");
	assert_answer(&stage, "POST /control/resume", "", 401,
		"{\"ok\":false,\"error\":\"the token (admin.token) is "
		"missing\",\"command\":\"bunshin resume it\"}\n");
	assert_int_equal(stage.refused, 0);
	assert_answer(&stage, "POST /control/resume", AUTHORIZED "Origin: http://evil.example\r\n",
		403,
		"{\"ok\":false,\"error\":\"requests from web pages of another origin are "
		"refused\",\"command\":\"bunshin resume it\"}\n");
	assert_string_equal(stage.why, "a web page of another origin");
	assert_answer(&stage, "POST /control/resume", "Authorization: Bearer x\r\n", 401,
		"{\"ok\":false,\"error\":\"this is not the token "
		"(admin.token)\",\"command\":\"bunshin resume it\"}\n");
	assert_string_equal(stage.why, "a wrong token");
	assert_int_equal(stage.refused, 2);
	assert_int_equal(stage.asked, 0);
	stage_close(&stage);
	stage_open(&stage, NULL, true);
	assert_answer(&stage, "POST /control/resume", AUTHORIZED, 403,
		"{\"ok\":false,\"error\":\"read-only: no admin.token is set in the "
		"configuration\",\"command\":\"bunshin resume it\"}\n");
	assert_int_equal(stage.asked + stage.refused, 0);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents),
		cmocka_unit_test(changes),
		cmocka_unit_test(two_at_once),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
