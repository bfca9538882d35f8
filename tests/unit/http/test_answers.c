/* The client against a peer that breaks the rules. */
#include "world.h"

#include "bunshin/error.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define ANY_STATUS 0

struct answer_case {
	const char *name;
	struct peer_answer answer;
	int err, status;
	const char *body; /* NULL: not looked at */
	const char *header;
};

static const struct answer_case cases[] = {
	{"length", {.text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"}, 0, 200, "hi", NULL},
	{"chunked",
		{.text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			 "2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n"},
		0, 200, "hi!", NULL},
	{"chunked with a trailer",
		{.text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Test: head\r\n\r\n"
			 "2\r\nhi\r\n0\r\nX-Test: trailer\r\n\r\n"},
		0, 200, "hi", "head"},
	{"until the end", {.text = "HTTP/1.0 200 OK\r\n\r\nhi", .then = PEER_CLOSE}, 0, 200, "hi",
		NULL},
	{"1xx then final",
		{.text = "HTTP/1.1 100 Continue\r\nX-Test: no\r\n\r\nHTTP/1.1 103 Early Hints\r\n"
			 "X-Test: no\r\n\r\nHTTP/1.1 201 Created\r\nX-Test: yes\r\nContent-Length: "
			 "1\r\n\r\nx"},
		0, 201, "x", "yes"},
	{"1xx without a header, then a final one",
		{.text = "HTTP/1.1 103 Early Hints\r\nX-Test: no\r\n\r\n" OK_EMPTY}, 0, 200, "",
		"(none)"},
	{"no content", {.text = "HTTP/1.1 204 No Content\r\n\r\n"}, 0, 204, "", NULL},
	{"redirect is not followed",
		{.text = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: "
			 "0\r\n\r\n"},
		0, 302, "", NULL},
	{"bare line feeds", {.text = "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi"}, 0, 200, "hi",
		NULL},
	{"more than announced", {.text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi there"}, 0,
		200, "hi", NULL},
	{"status line only", {.text = "HTTP/1.1 200 OK\r\n\r\n", .then = PEER_CLOSE}, 0, 200, "",
		NULL},

	{"closes before a byte", {.text = "", .then = PEER_CLOSE}, ERR_NETWORK, 0, NULL, NULL},
	{"resets before a byte", {.text = "", .then = PEER_RESET}, ERR_NETWORK, 0, NULL, NULL},
	{"closes in the status line", {.text = "HTTP/1.1 2", .then = PEER_CLOSE}, ERR_NETWORK, 0,
		NULL, NULL},
	{"closes in the headers", {.text = "HTTP/1.1 200 OK\r\nContent-Le", .then = PEER_CLOSE},
		ERR_NETWORK, 0, NULL, NULL},
	{"closes behind a header", {.text = "HTTP/1.1 200 OK\r\nX-Test: a\r\n", .then = PEER_CLOSE},
		ERR_NETWORK, 0, NULL, NULL},
	{"closes behind a 1xx", {.text = "HTTP/1.1 103 Early Hints\r\n\r\n", .then = PEER_CLOSE},
		ERR_NETWORK, 0, NULL, NULL},
	{"closes in the headers behind a 1xx",
		{.text = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n", .then = PEER_CLOSE},
		ERR_NETWORK, 0, NULL, NULL},
	{"closes in the body",
		{.text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", .then = PEER_CLOSE},
		ERR_NETWORK, 0, NULL, NULL},
	{"resets in the body",
		{.text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", .then = PEER_RESET},
		ERR_NETWORK, 0, NULL, NULL},
	{"closes in a chunk",
		{.text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi",
			.then = PEER_CLOSE},
		ERR_NETWORK, 0, NULL, NULL},
	{"closes between chunks",
		{.text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
			.then = PEER_CLOSE},
		ERR_NETWORK, 0, NULL, NULL},
	{"no chunk size",
		{.text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n"},
		ERR_NETWORK, 0, NULL, NULL},

	{"garbage", {.text = "\x16\x03\x01 what is this\r\n\r\n", .then = PEER_CLOSE}, ERR_PROTOCOL,
		0, NULL, NULL},
	{"no number", {.text = "HTTP/1.1 abc OK\r\n\r\n", .then = PEER_CLOSE}, ERR_PROTOCOL, 0,
		NULL, NULL},
	{"status 0", {.text = "HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n"}, ERR_PROTOCOL, 0,
		NULL, NULL},
	{"status 99", {.text = "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"}, ERR_PROTOCOL, 0,
		NULL, NULL},
	{"status 600", {.text = "HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n"}, ERR_PROTOCOL, 0,
		NULL, NULL},
	{"status 999", {.text = "HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n"}, ERR_PROTOCOL, 0,
		NULL, NULL},
	{"status 101", {.text = "HTTP/1.1 101 Switching\r\n\r\n", .then = PEER_CLOSE}, ERR_NETWORK,
		0, NULL, NULL},
	{"bad length",
		{.text = "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhi", .then = PEER_CLOSE},
		ERR_PROTOCOL, 0, NULL, NULL},
	{"NUL in a header",
		{.text = "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
			.text_bytes = 45},
		ERR_PROTOCOL, 0, NULL, NULL},

	{"no end and no body", {.text = "HTTP/1.1 200 OK\r\n\r\n", .then = PEER_KEEP}, ERR_TIMEOUT,
		0, NULL, NULL},
};

static void test_every_answer(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct answer_case *c = &cases[i];
		/* Under valgrind, on a busy machine, an answer takes its time. */
		const struct http_client_options options = {
			.timeout_ms = c->err == ERR_TIMEOUT ? 300 : 30000};
		struct world world;
		struct peer peer;

		world_open(&world);
		world_client(&world, &options);
		peer_open(&peer, &world, &c->answer, 1);
		world.last.header_name = "x-test";
		world_request(&world, peer.address, "/", "request");
		print_message("%s: %s %d %s\n", c->name, error_name(world.last.err),
			world.last.status, world.last.detail);
		assert_int_equal(world.last.err, c->err);
		assert_int_equal(world.last.status, c->status);
		assert_int_equal(world.last.detail[0] == '\0', c->err == 0);
		if (c->err != 0)
			assert_true(world.last.sent);
		if (c->body != NULL)
			assert_string_equal(world.last.body ? world.last.body : "", c->body);
		if (c->header != NULL)
			assert_string_equal(world.last.header, c->header);
		assert_int_equal(peer.requests, 1);
		peer_close(&peer);
		world_close(&world);
	}
}

#define OK_LINE "HTTP/1.1 200 OK\r\n"

static void test_endless_headers(void **state)
{
	static const struct peer_answer answers[] = {
		{.head = OK_LINE, .text = "X-Test: endless\r\n", .repeat = SIZE_MAX},
		{.head = OK_LINE, .text = "X-Test: this line has no end ", .repeat = SIZE_MAX},
		{.text = "HTTP/1.1 200 and this status line neither ", .repeat = SIZE_MAX},
		{.head = OK_LINE "X-Test:", .text = " folded\r\n", .repeat = SIZE_MAX},
		{.text = "HTTP/1.1 103 Early Hints\r\nX-Test: endless\r\n\r\n", .repeat = SIZE_MAX},
		{.head = OK_LINE "Transfer-Encoding: chunked\r\n\r\n0\r\n",
			.text = "X-Test: endless\r\n",
			.repeat = SIZE_MAX},
	};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct world world;
		struct peer peer;

		world_open(&world);
		world_client(&world, NULL);
		peer_open(&peer, &world, &answers[i], 1);
		world_request(&world, peer.address, "/", "request");
		print_message("%zu: %s\n", i, world.last.detail);
		assert_int_equal(world.last.err, ERR_ANSWER_TOO_LARGE);
		assert_true(world.last.sent);
		assert_int_equal(peer.requests, 1);
		peer_close(&peer);
		world_close(&world);
	}
}

static const struct peer_answer endless_body = {.head = OK_LINE "\r\n",
	.text = "0123456789012345678901234567890123456789",
	.repeat = SIZE_MAX};

static void test_endless_body(void **state)
{
	const struct http_client_options options = {.max_answer_bytes = 1000};
	struct world world;
	struct peer peer;

	world_open(&world);
	world_client(&world, &options);
	peer_open(&peer, &world, &endless_body, 1);
	world_request(&world, peer.address, "/", "request");
	assert_int_equal(world.last.err, ERR_ANSWER_TOO_LARGE);
	assert_int_equal(world.last.status, 0);
	peer_close(&peer);
	world_close(&world);
}

static void test_endless_body_cut(void **state)
{
	const struct http_client_options options = {
		.max_answer_bytes = 1000, .truncate_answer = true};
	struct world world;
	struct peer peer;

	world_open(&world);
	world_client(&world, &options);
	peer_open(&peer, &world, &endless_body, 1);
	world_request(&world, peer.address, "/", "request");
	assert_int_equal(world.last.err, 0);
	assert_int_equal(world.last.status, 200);
	assert_int_equal(world.last.body_bytes, 1000);
	peer_close(&peer);
	world_close(&world);
}

/* At the limit, one below, one above; what is dropped does not cost the connection. */
static void test_body_around_the_limit(void **state)
{
	for (int truncate = 0; truncate < 2; truncate++) {
		const struct http_client_options options = {
			.max_answer_bytes = 10, .truncate_answer = truncate};
		struct world world;

		world_open(&world);
		world_client(&world, &options);
		world_echo_server(&world);
		world_request(&world, http_server_address(world.server), "/", "012345678");
		assert_int_equal(world.last.err, 0);
		assert_string_equal(world.last.body, "012345678");
		world_request(&world, http_server_address(world.server), "/", "0123456789");
		assert_int_equal(world.last.err, 0);
		assert_string_equal(world.last.body, "0123456789");
		world_request(&world, http_server_address(world.server), "/", "0123456789a");
		assert_int_equal(world.last.err, truncate ? 0 : ERR_ANSWER_TOO_LARGE);
		if (truncate)
			assert_string_equal(world.last.body, "0123456789");
		world_request(&world, http_server_address(world.server), "/", "0");
		assert_int_equal(world.last.err, 0);
		assert_string_equal(world.last.body, "0");
		assert_int_equal(http_client_connections_opened(world.client), truncate ? 1 : 2);
		world_close(&world);
	}
}

static void test_never_answers(void **state)
{
	static const struct peer_answer answers[] = {
		{.text = ""},
		{.text = "HTTP/1.1 200"},
		{.text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi"},
		{.text = "HTTP/1.1 102 Processing\r\n\r\n"},
	};
	const struct http_client_options options = {.timeout_ms = 100};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct world world;
		struct peer peer;

		world_open(&world);
		world_client(&world, &options);
		peer_open(&peer, &world, &answers[i], 1);
		world_request(&world, peer.address, "/", "request");
		assert_int_equal(world.last.err, ERR_TIMEOUT);
		assert_true(world.last.sent);
		assert_int_equal(peer.connections, 1);
		peer_close(&peer);
		world_close(&world);
	}
}

/* Two exchanges of one client with time-outs of their own. */
static void test_timeout_of_an_exchange(void **state)
{
	static const struct peer_answer silence = {.text = ""};
	struct world world;
	struct peer peer;
	struct outcome slow = {0}, fast = {0};
	struct http_exchange *exchange, *kept;

	world_open(&world);
	world_client(&world, NULL);
	peer_open(&peer, &world, &silence, 1);
	kept = world_exchange(&world, peer.address, "/");
	assert_int_equal(http_exchange_start(kept, outcome_done, &slow), 0);
	exchange = world_exchange(&world, peer.address, "/");
	http_exchange_set_timeout(exchange, 50);
	assert_int_equal(http_exchange_start(exchange, outcome_done, &fast), 0);
	world_until(&world, &fast.calls, 1);
	assert_int_equal(fast.err, ERR_TIMEOUT);
	assert_int_equal(slow.calls, 0);
	assert_int_equal(http_client_in_flight(world.client), 1);
	http_exchange_cancel(kept);
	peer_close(&peer);
	world_close(&world);
}

/* A bound port that nobody listens on. */
static void test_connection_refused(void **state)
{
	struct sockaddr_in name = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
	} address = {.v4 = name};
	socklen_t len = sizeof(address.v4);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char text[64];
	struct world world;

	assert_int_equal(bind(fd, &address.any, len), 0);
	assert_int_equal(getsockname(fd, &address.any, &len), 0);
	snprintf(text, sizeof(text), "127.0.0.1:%d", ntohs(address.v4.sin_port));
	world_open(&world);
	world_client(&world, NULL);
	for (int i = 0; i < 3; i++) {
		world_request(&world, text, "/", "request");
		assert_int_equal(world.last.err, ERR_CONNECT);
		assert_false(world.last.sent);
		assert_non_null(strstr(world.last.detail, strchr(text, ':') + 1));
	}
	close(fd);
	world_close(&world);
}

static void test_name_that_does_not_resolve(void **state)
{
	struct world world;

	world_open(&world);
	world_client(&world, NULL);
	world_request(&world, "name.invalid", "/", "request");
	assert_int_equal(world.last.err, ERR_DNS);
	assert_false(world.last.sent);
	assert_non_null(strstr(world.last.detail, "name.invalid"));
	world_close(&world);
}

static void test_close_during_a_look_up(void **state)
{
	for (int turns = 0; turns < 4; turns++) {
		struct world world;
		struct outcome outcome = {0};

		world_open(&world);
		world_client(&world, NULL);
		assert_int_equal(http_exchange_start(world_exchange(&world, "name.invalid", "/"),
					 outcome_done, &outcome),
			0);
		for (int i = 0; i < turns; i++)
			uv_run(&world.loop, UV_RUN_NOWAIT);
		world_close(&world);
		outcome_free(&outcome);
	}
}

/* The peer closes an idle connection, and the client has had the time to see it. */
static void test_stale_connection_seen(void **state)
{
	static const struct peer_answer answers[] = {
		{.text = OK_EMPTY, .then = PEER_CLOSE}, {.text = OK_EMPTY}};
	struct world world;
	struct peer peer;

	world_open(&world);
	world_client(&world, NULL);
	peer_open(&peer, &world, answers, 2);
	world_request(&world, peer.address, "/", "one");
	assert_int_equal(world.last.err, 0);
	world_until(&world, &peer.closed, 1);
	world_settle(&world);
	world_request(&world, peer.address, "/", "two");
	assert_int_equal(world.last.err, 0);
	assert_int_equal(peer.connections, 2);
	assert_int_equal(peer.requests, 2);
	peer_close(&peer);
	world_close(&world);
}

/*
 * The peer closes a kept-alive connection when the next request is already on its way. It may have
 * acted on it, so it is not sent again, wherever the answer broke off.
 */
static void test_stale_connection_unseen(void **state)
{
	static const struct peer_answer answers[] = {
		{.text = OK_EMPTY}, {.text = "", .then = PEER_CLOSE}, {.text = OK_EMPTY}};
	static const struct peer_answer resets[] = {
		{.text = OK_EMPTY}, {.text = "", .then = PEER_RESET}, {.text = OK_EMPTY}};
	static const struct peer_answer partial[] = {
		{.text = OK_EMPTY}, {.text = "HTTP/1.1 2", .then = PEER_CLOSE}, {.text = OK_EMPTY}};
	static const struct peer_answer late[] = {
		{.text = OK_EMPTY}, {.text = OK_LINE, .then = PEER_CLOSE}, {.text = OK_EMPTY}};
	const struct {
		const struct peer_answer *answers;
		unsigned requests;
		int err;
	} scripts[] = {{answers, 2, ERR_NETWORK}, {resets, 2, ERR_NETWORK},
		{partial, 2, ERR_NETWORK}, {late, 2, ERR_NETWORK}};

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		struct world world;
		struct peer peer;

		world_open(&world);
		world_client(&world, NULL);
		peer_open(&peer, &world, scripts[i].answers, 3);
		world_request(&world, peer.address, "/", "one");
		assert_int_equal(world.last.err, 0);
		world_request(&world, peer.address, "/", "two");
		print_message(
			"%zu: %s, %u requests\n", i, error_name(world.last.err), peer.requests);
		assert_int_equal(world.last.err, scripts[i].err);
		assert_int_equal(peer.requests, scripts[i].requests);
		assert_true(world.last.sent);
		peer_close(&peer);
		world_close(&world);
	}
}

/* An answer that nobody asked for must not be taken for the next request's. */
static void test_unsolicited_answer(void **state)
{
	static const struct peer_answer answers[] = {
		{.text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
			 "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"},
		{.text = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"}};
	struct world world;
	struct peer peer;

	world_open(&world);
	world_client(&world, NULL);
	peer_open(&peer, &world, answers, 2);
	world_request(&world, peer.address, "/", "one");
	assert_string_equal(world.last.body, "hi");
	world_settle(&world);
	world_request(&world, peer.address, "/", "two");
	assert_int_equal(world.last.err, 0);
	assert_string_equal(world.last.body, "good");
	peer_close(&peer);
	world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_answer),
		cmocka_unit_test(test_endless_headers),
		cmocka_unit_test(test_endless_body),
		cmocka_unit_test(test_endless_body_cut),
		cmocka_unit_test(test_body_around_the_limit),
		cmocka_unit_test(test_never_answers),
		cmocka_unit_test(test_timeout_of_an_exchange),
		cmocka_unit_test(test_connection_refused),
		cmocka_unit_test(test_name_that_does_not_resolve),
		cmocka_unit_test(test_close_during_a_look_up),
		cmocka_unit_test(test_stale_connection_seen),
		cmocka_unit_test(test_stale_connection_unseen),
		cmocka_unit_test(test_unsolicited_answer),
	};

	return cmocka_run_group_tests_name("http/answers", tests, NULL, NULL);
}
