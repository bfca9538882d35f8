/* The endpoint on a real loop: it answers, and it leaves nothing behind. */
#include "base/loop_clock.h"
#include "bunshin/error.h"
#include "localq/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static uv_loop_t loop;
static struct loop_clock *loop_clock;
static struct endpoint *endpoint;
static char detail[ENDPOINT_DETAIL_MAX];
static bool closed;

static int open_endpoint(const char *listen, const char *region)
{
	struct endpoint_options options = {.listen = listen, .region = region};

	return endpoint_new(&loop, loop_clock_table(loop_clock), &options, &endpoint, detail);
}

static int start(void **state)
{
	closed = false;
	endpoint = NULL;
	return uv_loop_init(&loop) < 0 || loop_clock_new(&loop, &loop_clock) < 0;
}

static int end(void **state)
{
	loop_clock_close(loop_clock);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static void on_closed(void *arg)
{
	assert_ptr_equal(arg, &loop);
	assert_false(closed);
	closed = true;
}

static void close_endpoint(void)
{
	endpoint_close(endpoint, on_closed, &loop);
	while (!closed)
		uv_run(&loop, UV_RUN_ONCE);
}

static int connect_to(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	const char *colon = strrchr(endpoint_address(endpoint), ':');
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_port = htons((uint16_t)atoi(colon + 1));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(
		connect(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)), 0);
	return fd;
}

static void post(int fd, const char *operation, const char *body)
{
	char request[1024];
	int len = snprintf(request, sizeof(request),
		"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: AmazonSQS.%s\r\n"
		"Content-Length: %zu\r\n\r\n%s",
		operation, strlen(body), body);

	assert_int_equal(send(fd, request, (size_t)len, MSG_NOSIGNAL), len);
}

/* Turns the loop until the answer's body (a JSON object, its last byte a brace) has come. */
static const char *answer(int fd)
{
	static char text[4096];
	size_t len = 0;

	for (;;) {
		ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, MSG_DONTWAIT);

		if (n > 0) {
			len += (size_t)n;
			text[len] = '\0';
			if (strstr(text, "\r\n\r\n") != NULL && text[len - 1] == '}')
				return text;
		} else if (n == 0) {
			return "closed";
		} else {
			assert_int_equal(errno, EAGAIN);
		}
		uv_run(&loop, UV_RUN_NOWAIT);
	}
}

/* What was posted before has been read when this, on another connection, is answered. */
static void let_it_arrive(void)
{
	int fd = connect_to();

	for (int i = 0; i < 2; i++) {
		post(fd, "ListQueues", "{}");
		answer(fd);
	}
	close(fd);
}

static void answers_and_closes(void **state)
{
	int fd;

	assert_int_equal(open_endpoint("127.0.0.1:0", "us-east-1"), 0);
	fd = connect_to();
	post(fd, "CreateQueue", "{\"QueueName\":\"q\"}");
	assert_non_null(strstr(answer(fd), "{\"QueueUrl\":\"http://h/000000000000/q\"}"));
	post(fd, "Nope", "{}");
	assert_non_null(strstr(answer(fd), "HTTP/1.1 400 "));
	close_endpoint();
	close(fd);
}

static void closes_without_a_single_request(void **state)
{
	assert_int_equal(open_endpoint("127.0.0.1:0", "us-east-1"), 0);
	close_endpoint();
}

static void a_long_poll_is_answered_before_the_end(void **state)
{
	int fd;

	assert_int_equal(open_endpoint("127.0.0.1:0", "us-east-1"), 0);
	fd = connect_to();
	post(fd, "CreateQueue", "{\"QueueName\":\"q\"}");
	answer(fd);
	post(fd, "ReceiveMessage", "{\"QueueUrl\":\"/q\",\"WaitTimeSeconds\":20}");
	let_it_arrive();
	endpoint_close(endpoint, on_closed, &loop);
	assert_non_null(strstr(answer(fd), "\r\n\r\n{}"));
	while (!closed)
		uv_run(&loop, UV_RUN_ONCE);
	close(fd);
}

static void a_second_close_does_not_wait(void **state)
{
	int fd;

	assert_int_equal(open_endpoint("127.0.0.1:0", "us-east-1"), 0);
	fd = connect_to();
	post(fd, "CreateQueue", "{\"QueueName\":\"q\"}");
	answer(fd);
	post(fd, "ReceiveMessage", "{\"QueueUrl\":\"/q\",\"WaitTimeSeconds\":20}");
	let_it_arrive();
	endpoint_close(endpoint, on_closed, &loop);
	endpoint_close(endpoint, on_closed, &loop);
	endpoint_close(endpoint, on_closed, &loop);
	while (!closed)
		uv_run(&loop, UV_RUN_ONCE);
	close(fd);
}

static void clients_that_leave_in_the_middle(void **state)
{
	static const char *const operations[] = {"ReceiveMessage", "SendMessage", "ListQueues"};

	assert_int_equal(open_endpoint("127.0.0.1:0", "us-east-1"), 0);
	for (int turns = 0; turns < 12; turns++) {
		for (size_t i = 0; i < 3; i++) {
			int fd = connect_to();

			post(fd, "CreateQueue", "{\"QueueName\":\"q\"}");
			answer(fd);
			post(fd, operations[i],
				"{\"QueueUrl\":\"/"
				"q\",\"WaitTimeSeconds\":20,\"MessageBody\":\"x\"}");
			for (int turn = 0; turn < turns; turn++)
				uv_run(&loop, UV_RUN_NOWAIT);
			close(fd);
		}
	}
	close_endpoint();
}

static void reasons_not_to_start(void **state)
{
	char region[128], address[64];
	struct endpoint *first;

	assert_int_equal(open_endpoint("nonsense", "us-east-1"), ERR_ARGUMENT);
	assert_non_null(strstr(detail, "nonsense"));
	memset(region, 'r', sizeof(region) - 1);
	region[sizeof(region) - 1] = '\0';
	assert_int_equal(open_endpoint("127.0.0.1:0", region), ERR_ARGUMENT);
	assert_non_null(strstr(detail, "region"));
	assert_int_equal(open_endpoint("127.0.0.1:0", "us-east-1"), 0);
	first = endpoint;
	snprintf(address, sizeof(address), "%s", endpoint_address(first));
	assert_int_equal(open_endpoint(address, "us-east-1"), ERR_IO);
	assert_non_null(strstr(detail, "in use"));
	endpoint = first;
	close_endpoint();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
		T(answers_and_closes),
		T(closes_without_a_single_request),
		T(a_long_poll_is_answered_before_the_end),
		T(a_second_close_does_not_wait),
		T(clients_that_leave_in_the_middle),
		T(reasons_not_to_start),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
