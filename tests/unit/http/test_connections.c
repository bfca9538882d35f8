/*
 * What connections do between requests, together and when their other side goes; answers that are
 * secret.
 */
#include "world.h"

#include "bunshin/error.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

/* ---- stale */

static void request_twice(struct world *world, struct peer *peer, const char *body)
{
	world_request(world, peer->address, "/", body);
	assert_int_equal(world->last.err, 0);
	assert_false(world->last.stale);
	world_request(world, peer->address, "/", body);
}

static void test_kept_alive_connection_that_ends(void **state)
{
	static const struct {
		const char *second;
		int then, err;
		bool stale;
	} cases[] = {
		{"", PEER_CLOSE, ERR_NETWORK, true},
		{"", PEER_RESET, ERR_NETWORK, true},
		{"HTTP/1.1 200 OK\r\n", PEER_CLOSE, ERR_NETWORK, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", PEER_CLOSE, ERR_NETWORK, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", PEER_CLOSE, ERR_NETWORK,
			false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", PEER_RESET, ERR_NETWORK,
			false},
		{"HTTP/1.1 100 Continue\r\n\r\n", PEER_CLOSE, ERR_NETWORK, false},
		{"HTTP/1.1", PEER_CLOSE, ERR_NETWORK, true}, /* no line yet */
		{"SSH-2.0-x\r\n", PEER_CLOSE, ERR_PROTOCOL, false},
		{OK_EMPTY, PEER_CLOSE, 0, false},
	};
	static const char *const bodies[] = {NULL, "", "body"};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) * 3; i++) {
		const struct peer_answer answers[] = {{.text = OK_EMPTY},
			{.text = cases[i / 3].second, .then = cases[i / 3].then}};
		struct world world;
		struct peer peer;

		world_open(&world);
		world_client(&world, NULL);
		peer_open(&peer, &world, answers, 2);
		request_twice(&world, &peer, bodies[i % 3]);
		if (world.last.err != cases[i / 3].err || world.last.stale != cases[i / 3].stale)
			fail_msg("case %zu: %s, stale %d", i / 3, error_name(world.last.err),
				world.last.stale);
		assert_true(world.last.sent);
		assert_int_equal(peer.requests, 2); /* it was not sent once more */
		peer_close(&peer);
		world_close(&world);
	}
}

/* Nobody kept this one alive: the other side had it from the start, and gave it up. */
static void test_new_connection_that_ends_is_not_stale(void **state)
{
	static const struct peer_answer answers[] = {
		{.text = "", .then = PEER_CLOSE}, {.text = "", .then = PEER_RESET}};
	struct world world;
	struct peer peer;

	world_open(&world);
	world_client(&world, NULL);
	peer_open(&peer, &world, answers, 2);
	for (unsigned i = 0; i < 2; i++) {
		world_request(&world, peer.address, "/", "body");
		assert_int_equal(world.last.err, ERR_NETWORK);
		assert_true(world.last.sent);
		assert_false(world.last.stale);
	}
	peer_close(&peer);
	world_close(&world);
}

/* Closed while idle, which curl sees: a new connection is used and nothing has gone wrong. */
static void test_connection_closed_while_idle(void **state)
{
	static const struct peer_answer answer = {.text = OK_EMPTY, .then = PEER_CLOSE};
	struct world world;
	struct peer peer;

	world_open(&world);
	world_client(&world, NULL);
	peer_open(&peer, &world, &answer, 1);
	for (unsigned i = 1; i <= 3; i++) {
		world_request(&world, peer.address, "/", "body");
		assert_int_equal(world.last.err, 0);
		world_until(&world, &peer.closed, i);
		world_settle(&world);
	}
	assert_int_equal(peer.connections, 3);
	peer_close(&peer);
	world_close(&world);
}

/* More than the socket takes, so that the connection ends while curl still sends. */
static void test_stale_inside_of_a_large_body(void **state)
{
	static const struct peer_answer first = {.text = OK_EMPTY};
	const struct http_client_options options = {.max_request_bytes = (size_t)64 << 20};
	struct world world;
	struct peer peer;
	char *body = malloc((32 << 20) + 1);
	struct http_exchange *exchange;

	assert_non_null(body);
	memset(body, 'x', 32 << 20);
	body[32 << 20] = '\0';
	world_open(&world);
	world_client(&world, &options);
	peer_open(&peer, &world, &first, 1);
	world_request(&world, peer.address, "/", "x");
	exchange = world_exchange(&world, peer.address, "/");
	buf_append_string(http_exchange_body(exchange), body);
	assert_int_equal(http_exchange_start(exchange, outcome_done, &world.last), 0);
	uv_run(&world.loop, UV_RUN_NOWAIT);
	peer_close_links(&peer);
	world_until(&world, &world.last.calls, 2);
	assert_int_equal(world.last.err, ERR_NETWORK);
	assert_true(world.last.sent);
	assert_true(world.last.stale);
	free(body);
	peer_close(&peer);
	world_close(&world);
}

static void test_time_out_on_a_kept_alive_connection_is_not_stale(void **state)
{
	static const struct peer_answer answers[] = {
		{.text = OK_EMPTY}, {.text = "HTTP/1.1 100 Continue\r\n\r\n", .repeat = 1}};
	const struct http_client_options options = {.timeout_ms = 100};
	struct world world;
	struct peer peer;

	world_open(&world);
	world_client(&world, &options);
	peer_open(&peer, &world, answers, 2);
	request_twice(&world, &peer, "body");
	assert_int_equal(world.last.err, ERR_TIMEOUT);
	assert_false(world.last.stale);
	peer_close(&peer);
	world_close(&world);
}

/* ---- peers that go without a word */

/* The client's end of its connection to this port: the one whose other side has that port. */
static int find_client_socket(const char *address)
{
	unsigned port = (unsigned)atoi(strrchr(address, ':') + 1);

	for (int fd = 3; fd < 256; fd++) {
		struct sockaddr_in other;
		socklen_t size = sizeof(other);

		if (getpeername(fd, (struct sockaddr *)&other, &size) == 0 &&
			other.sin_family == AF_INET && ntohs(other.sin_port) == port)
			return fd;
	}
	fail_msg("no connection to %s", address);
	return -1;
}

static int option_of(int fd, int level, int option)
{
	int number = -1;
	socklen_t size = sizeof(number);

	assert_int_equal(getsockopt(fd, level, option, &number, &size), 0);
	return number;
}

static void test_keepalive_follows_dead_peer_ms(void **state)
{
	static const struct {
		int64_t dead_peer_ms;
		int user_timeout_ms, idle_s, interval_s, probes; /* 0: the system's */
	} cases[] = {
		{0, 0, 60, 15, 0},
		{1, 1, 1, 1, 5},
		{5000, 5000, 2, 1, 5},
		{20000, 20000, 10, 2, 5},
		{60000, 60000, 30, 6, 5},
		{INT64_MAX, 65534000, 32767, 6553, 5},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct http_client_options options = {.dead_peer_ms = cases[i].dead_peer_ms};
		struct world world;
		int fd;

		world_open(&world);
		world_client(&world, &options);
		world_echo_server(&world);
		world_request(&world, http_server_address(world.server), "/", "x");
		fd = find_client_socket(http_server_address(world.server));
		assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
		assert_int_equal(
			option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), cases[i].user_timeout_ms);
		assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), cases[i].idle_s);
		assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), cases[i].interval_s);
		if (cases[i].probes > 0)
			assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), cases[i].probes);
		world_close(&world);
	}
}

/* ---- proxies */

/* 0.0.0.0 is this machine, but not one of the names that never get a proxy. */
static void test_no_proxy_goes_direct(void **state)
{
	const struct http_client_options options = {.no_proxy = true};
	struct world world;
	char address[32];

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	unsetenv("no_proxy");
	unsetenv("NO_PROXY");
	for (int direct = 0; direct < 2; direct++) {
		world_open(&world);
		world_client(&world, direct ? &options : NULL);
		world_echo_server(&world);
		snprintf(address, sizeof(address), "0.0.0.0%s",
			strrchr(http_server_address(world.server), ':'));
		world_request(&world, address, "/", "direct");
		assert_int_equal(world.last.err, direct ? 0 : ERR_CONNECT);
		world_close(&world);
	}
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
}

/* ---- together */

#define ROW_CONNECTIONS 200

/* The other side of some connections, out of the loop: nothing happens there by itself. */
struct row {
	struct world *world;
	int listener, fds[ROW_CONNECTIONS], count;
	char address[64];
	unsigned answered;
	unsigned early; /* requests that were out when the last answer of the first ones was told */
};

static void row_open(struct row *row, struct world *world, int count)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct sockaddr *any = (struct sockaddr *)&address;
	socklen_t size = sizeof(address);

	*row = (struct row){.world = world, .count = count};
	row->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(row->listener >= 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(row->listener, any, size), 0);
	assert_int_equal(listen(row->listener, count), 0);
	assert_int_equal(getsockname(row->listener, any, &size), 0);
	snprintf(row->address, sizeof(row->address), "127.0.0.1:%d", ntohs(address.sin_port));
}

static void row_close(struct row *row)
{
	for (int i = 0; i < row->count; i++)
		close(row->fds[i]);
	close(row->listener);
}

static unsigned requests_out(const struct row *row)
{
	unsigned count = 0;
	char byte;

	for (int i = 0; i < row->count; i++)
		count += recv(row->fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
	return count;
}

static void start_in_row(struct row *row, http_done *done)
{
	struct http_exchange *exchange = world_exchange(row->world, row->address, "/");

	assert_int_equal(http_exchange_start(exchange, done, row), 0);
}

static void last_done(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct row *row = arg;

	row->answered++;
	assert_int_equal(response->err, 0);
}

static void first_done(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct row *row = arg;

	last_done(row, exchange, response);
	start_in_row(row, last_done);
	if (row->answered == (unsigned)row->count)
		row->early = requests_out(row);
}

static void answer_all(struct row *row)
{
	char request[1024];

	for (int i = 0; i < row->count; i++) {
		assert_true(recv(row->fds[i], request, sizeof(request), 0) > 0);
		assert_int_equal(
			send(row->fds[i], OK_EMPTY, strlen(OK_EMPTY), 0), (int)strlen(OK_EMPTY));
	}
}

/* All answers of a turn come first, then what is started by them goes out; at most 64 wait so. */
static void test_what_answers_start_is_sent_in_rows(void **state)
{
	static const struct {
		int count;
		unsigned early;
	} cases[] = {{6, 0}, {63, 0}, {ROW_CONNECTIONS, 192}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world;
		struct row row;

		world_open(&world);
		world_client(&world, NULL);
		row_open(&row, &world, cases[i].count);
		for (int k = 0; k < row.count; k++)
			start_in_row(&row, first_done);
		world_settle(&world);
		for (int k = 0; k < row.count; k++)
			row.fds[k] = accept(row.listener, NULL, NULL);
		/* What curl looks at by time is over, or some would be read then. */
		usleep(300000);
		world_settle(&world);
		answer_all(&row);
		uv_run(&world.loop, UV_RUN_NOWAIT);
		assert_int_equal(row.answered, row.count);
		assert_int_equal(row.early, cases[i].early);
		uv_run(&world.loop, UV_RUN_NOWAIT);
		assert_int_equal(requests_out(&row), row.count);
		answer_all(&row);
		world_until(&world, &row.answered, 2 * (unsigned)row.count);
		assert_int_equal(http_client_connections_opened(world.client), row.count);
		world_close(&world);
		row_close(&row);
	}
}

/* ---- departures */

static void request_told(struct world *world, const char *address, struct outcome *outcome)
{
	struct http_exchange *exchange = world_exchange(world, address, "/");

	http_exchange_tell_departure(exchange, outcome_departs);
	assert_int_equal(http_exchange_start(exchange, outcome_done, outcome), 0);
}

/* Before the answer, and not before there is a connection; a kept one is one. */
static void test_departure_is_told(void **state)
{
	static const struct peer_answer answers[] = {
		{.text = OK_EMPTY}, {.text = OK_EMPTY}, {.text = "", .then = PEER_CLOSE}};
	struct outcome outcomes[3] = {0}, untold = {0};
	struct world world;
	struct peer peer;

	world_open(&world);
	world_client(&world, NULL);
	peer_open(&peer, &world, answers, 3);
	for (int i = 0; i < 3; i++) {
		request_told(&world, peer.address, &outcomes[i]);
		assert_int_equal(outcomes[i].departures, 0);
		world_until(&world, &outcomes[i].departures, 1);
		world_until(&world, &outcomes[i].calls, 1);
		assert_int_equal(outcomes[i].departures, 1);
	}
	assert_true(outcomes[2].stale); /* libcurl would have sent it again */
	peer_close(&peer);
	request_told(&world, peer.address, &untold);
	world_until(&world, &untold.calls, 1);
	assert_int_equal(untold.err, ERR_CONNECT);
	assert_int_equal(untold.departures, 0);
	/* Whoever comes next in the same exchange is not told. */
	world_request(&world, peer.address, "/", NULL);
	assert_int_equal(untold.departures, 0);
	world_close(&world);
	for (int i = 0; i < 3; i++)
		outcome_free(&outcomes[i]);
	outcome_free(&untold);
}

/* ---- secrets */

struct peeker {
	const struct buf *answer;
	const char *bytes;
	size_t len;
	unsigned calls;
	int err;
};

static void peek(void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct peeker *peeker = arg;

	peeker->bytes = response->body->data;
	peeker->len = response->body->len;
	peeker->err = response->err;
	peeker->calls++;
}

static bool is_wiped(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != '\0')
			return false;
	return true;
}

static void peek_once(struct world *world, const char *address, size_t body_bytes,
	struct peeker *peeker, const char **ret_request, const char **ret_url)
{
	struct http_exchange *exchange = world_exchange(world, address, "/?secret");
	struct buf *body = http_exchange_body(exchange);
	unsigned calls = peeker->calls;

	memset(buf_reserve(body, body_bytes), 's', body_bytes);
	buf_advance(body, body_bytes);
	*ret_request = body->data;
	*ret_url = buf_string(http_exchange_url(exchange));
	assert_int_equal(http_exchange_start(exchange, peek, peeker), 0);
	world_until(world, &peeker->calls, calls + 1);
	assert_int_equal(peeker->err, 0);
	assert_int_equal(peeker->len, body_bytes);
}

/* The pool keeps the memory of small exchanges, so it can be looked at here. */
static void test_secret_answers_are_wiped(void **state)
{
	for (int secret = 0; secret < 2; secret++) {
		const struct http_client_options options = {.secret_answers = secret};
		struct world world;
		struct peeker peeker = {0};
		const char *request, *url;

		world_open(&world);
		world_client(&world, &options);
		world_echo_server(&world);
		peek_once(
			&world, http_server_address(world.server), 10000, &peeker, &request, &url);
		/* An empty buffer ends with a NUL at its start in either case. */
		assert_int_equal(is_wiped(peeker.bytes + 1, 9999), secret);
		assert_int_equal(is_wiped(request + 1, 9999), secret);
		assert_int_equal(is_wiped(url + 1, 20), secret);
		world_close(&world);
	}
}

/* Answers that come in pieces, larger than what is kept, up to the limit and past it. */
static void test_secret_answers_of_every_size(void **state)
{
	const struct http_client_options options = {
		.secret_answers = true, .max_answer_bytes = 300000};
	static const size_t sizes[] = {1, 63, 64, 65, 16384, 100000, 300000};
	struct world world;
	char *body = malloc(300002);

	assert_non_null(body);
	world_open(&world);
	world_client(&world, &options);
	world_echo_server(&world);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		memset(body, 'a' + (int)i, sizes[i]);
		body[sizes[i]] = '\0';
		world_request(&world, http_server_address(world.server), "/", body);
		assert_int_equal(world.last.err, 0);
		assert_string_equal(world.last.body, body);
	}
	memset(body, 'x', 300001);
	body[300001] = '\0';
	world_request(&world, http_server_address(world.server), "/", body);
	assert_int_equal(world.last.err, ERR_ANSWER_TOO_LARGE);
	free(body);
	world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_alive_connection_that_ends),
		cmocka_unit_test(test_new_connection_that_ends_is_not_stale),
		cmocka_unit_test(test_connection_closed_while_idle),
		cmocka_unit_test(test_stale_inside_of_a_large_body),
		cmocka_unit_test(test_time_out_on_a_kept_alive_connection_is_not_stale),
		cmocka_unit_test(test_keepalive_follows_dead_peer_ms),
		cmocka_unit_test(test_no_proxy_goes_direct),
		cmocka_unit_test(test_what_answers_start_is_sent_in_rows),
		cmocka_unit_test(test_departure_is_told),
		cmocka_unit_test(test_secret_answers_are_wiped),
		cmocka_unit_test(test_secret_answers_of_every_size),
	};

	return cmocka_run_group_tests_name("http/connections", tests, NULL, NULL);
}
