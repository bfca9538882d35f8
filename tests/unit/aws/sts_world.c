#include "sts_world.h"

#include "aws/sigv4.h"
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct sts_world *sts_world_open(void)
{
	struct sts_world *world = calloc(1, sizeof(*world));
	struct endpoint endpoint;
	struct sts_options options = {
		.endpoint = &endpoint, .region = STS_WORLD_REGION, .timeout_ms = 600000};
	char text[64];
	size_t len;

	assert_non_null(world);
	assert_int_equal(uv_loop_init(&world->loop), 0);
	manual_clock_init(&world->clock, 1, WORLD_EPOCH_MS);
	fake_open(&world->fake, &world->loop);
	snprintf(text, sizeof(text), "http://127.0.0.1:%d", world->fake.port);
	assert_int_equal(endpoint_parse(text, &endpoint, &len), 0);
	assert_int_equal(
		sts_new(&world->loop, manual_clock_table(&world->clock), &options, &world->sts), 0);
	return world;
}

void sts_world_close(struct sts_world *world)
{
	sts_close(world->sts);
	assert_null(timer_heap_first(&world->clock.heap));
	fake_close(&world->fake);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	/* Nothing was asked that no answer was scripted for, and the other way round. */
	assert_int_equal(world->fake.request_count, world->fake.step_count);
	fake_free(&world->fake);
	manual_clock_free(&world->clock);
	free(world);
}

void sts_world_run(struct sts_world *world, const bool *flag)
{
	while (!*flag)
		assert_int_not_equal(uv_run(&world->loop, UV_RUN_ONCE), 0);
}

void sts_world_run_requests(struct sts_world *world, size_t count)
{
	while (world->fake.request_count < count)
		assert_int_not_equal(uv_run(&world->loop, UV_RUN_ONCE), 0);
}

uint64_t sts_world_run_timer(struct sts_world *world)
{
	const struct clock_timer *timer;

	while ((timer = timer_heap_first(&world->clock.heap)) == NULL)
		assert_int_not_equal(uv_run(&world->loop, UV_RUN_ONCE), 0);
	return timer->due_us - world->clock.now_us;
}

struct fake_step *sts_world_answer_at(
	struct sts_world *world, int status, const char *headers, const char *body)
{
	struct buf raw = BUF_INIT((size_t)32 << 20);
	struct fake_step *step;

	buf_appendf(&raw,
		"HTTP/1.1 %d Whatever\r\nx-amzn-RequestId: c6104cbe-af31-11e0-8154-cbc7ccf896c7\r\n"
		"Content-Type: text/xml\r\n%sContent-Length: %zu\r\n\r\n",
		status, headers, strlen(body));
	buf_append_string(&raw, body);
	assert_int_equal(raw.err, 0);
	step = fake_script(&world->fake, buf_string(&raw), raw.len);
	buf_free(&raw);
	return step;
}

struct fake_step *sts_world_answer(struct sts_world *world, int status, const char *body)
{
	return sts_world_answer_at(world, status, "Date: Fri, 02 Jan 2026 03:04:05 GMT\r\n", body);
}

void sts_world_answer_keys(struct sts_world *world, const char *operation, int n)
{
	char body[2048];

	snprintf(body, sizeof(body),
		"<%sResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"
		"  <%sResult>\n"
		"  <AssumedRoleUser>\n"
		"    <AssumedRoleId>ARO123EXAMPLE123:session</AssumedRoleId>\n"
		"    <Arn>arn:aws:sts::123456789012:assumed-role/demo-%d/session</Arn>\n"
		"  </AssumedRoleUser>\n"
		"  <Credentials>\n"
		"    <AccessKeyId>AKID%d</AccessKeyId>\n"
		"    <SecretAccessKey>secret-%d</SecretAccessKey>\n"
		"    <SessionToken>token-%d</SessionToken>\n"
		"    <Expiration>2026-01-02T04:04:05Z</Expiration>\n"
		"  </Credentials>\n"
		"  </%sResult>\n"
		"  <ResponseMetadata><RequestId>c6104cbe</RequestId></ResponseMetadata>\n"
		"</%sResponse>\n",
		operation, operation, n, n, n, n, operation, operation);
	sts_world_answer(world, 200, body);
}

void sts_world_answer_error(
	struct sts_world *world, int status, const char *code, const char *message)
{
	struct buf body = BUF_INIT((size_t)1 << 20);

	buf_appendf(&body,
		"<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"
		"  <Error>\n    <Type>Sender</Type>\n    <Code>%s</Code>\n"
		"    <Message>%s</Message>\n  </Error>\n"
		"  <RequestId>c6104cbe</RequestId>\n</ErrorResponse>\n",
		code, message);
	sts_world_answer(world, status, buf_string(&body));
	buf_free(&body);
}

/* What the signer makes of what arrived. */
static void assert_signed(
	struct sts_world *world, size_t i, const struct credentials_set *keys, int64_t epoch_ms)
{
	const struct fake_request *arrived = &world->fake.requests[i];
	char host[64], date[SIGV4_DATE_SIZE];
	const struct sigv4_header headers[] = {
		{"Host", host},
		{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
	};
	const struct sigv4_request request = {.method = "POST",
		.path = "/",
		.query = "",
		.headers = headers,
		.header_count = 2,
		.body = arrived->body,
		.body_bytes = arrived->body_bytes};
	struct buf authorization = BUF_INIT(4096);
	struct sigv4 *signer;

	snprintf(host, sizeof(host), "127.0.0.1:%d", world->fake.port);
	assert_int_equal(sigv4_new(&signer), 0);
	assert_int_equal(sigv4_sign(signer, &request, keys, STS_WORLD_REGION, "sts", epoch_ms,
				 &authorization, date),
		0);
	assert_string_equal(fake_header(&world->fake, i, "X-Amz-Date"), date);
	assert_string_equal(
		fake_header(&world->fake, i, "Authorization"), buf_string(&authorization));
	buf_free(&authorization);
	sigv4_free(signer);
}

void sts_world_assert_request(struct sts_world *world, size_t i, const char *form,
	const struct credentials_set *keys, int64_t epoch_ms)
{
	static const char line[] = "POST / HTTP/1.1\r\n";
	const struct fake_sqs *fake = &world->fake;
	const char *token;

	assert_memory_equal(fake->requests[i].head, line, sizeof(line) - 1);
	assert_string_equal(fake_header(fake, i, "Content-Type"),
		"application/x-www-form-urlencoded; charset=utf-8");
	assert_null(fake_header(fake, i, "Expect"));
	assert_null(fake_header(fake, i, "Transfer-Encoding"));
	assert_string_equal(fake->requests[i].body, form);
	if (keys == NULL) {
		assert_null(fake_header(fake, i, "Authorization"));
		assert_null(fake_header(fake, i, "X-Amz-Date"));
		assert_null(fake_header(fake, i, "X-Amz-Security-Token"));
		return;
	}
	token = fake_header(fake, i, "X-Amz-Security-Token");
	if (keys->session_token[0] == '\0')
		assert_null(token);
	else
		assert_string_equal(token, keys->session_token);
	assert_signed(world, i, keys, epoch_ms);
}

void sts_world_told(void *arg, int err, const char *reason)
{
	struct sts_told *told = arg;

	assert_false(told->done);
	told->done = true;
	told->err = err;
	snprintf(told->reason, sizeof(told->reason), "%s", reason);
	sts_close(told->close);
	/* Closed or not, what is borrowed stays until the end of the callback. */
	assert_string_equal(told->reason, reason);
}
