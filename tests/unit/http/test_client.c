/* Client and server together: round trips, reuse, shards, limits on this side, cancel, close. */
#include "world.h"

#include "bunshin/error.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_round_trip(void **state)
{
	struct world world;

	world_open(&world);
	world_client(&world, NULL);
	world_echo_server(&world);
	world.last.header_name = "content-TYPE";
	world_request(&world, http_server_address(world.server), "/a?b=c", "hello");
	assert_int_equal(world.last.err, 0);
	assert_int_equal(world.last.status, 200);
	assert_string_equal(world.last.body, "hello");
	assert_int_equal(world.last.body_bytes, 5);
	assert_string_equal(world.last.header, "text/plain");
	assert_string_equal(world.last.detail, "");
	assert_int_equal(http_client_in_flight(world.client), 0);
	world_close(&world);
}

static void test_every_status_is_an_answer(void **state)
{
	static const int statuses[] = {200, 201, 301, 302, 307, 400, 401, 403, 404, 408, 409, 425,
		429, 500, 502, 503, 504, 599};
	struct world world;
	char path[32];

	world_open(&world);
	world_client(&world, NULL);
	world_echo_server(&world);
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		snprintf(path, sizeof(path), "/status/%d", statuses[i]);
		world_request(&world, http_server_address(world.server), path, "x");
		assert_int_equal(world.last.err, 0);
		assert_int_equal(world.last.status, statuses[i]);
	}
	assert_int_equal(http_client_connections_opened(world.client), 1);
	world_close(&world);
}

/* A listener that nobody accepts from, its backlog full: connecting to it takes for ever. */
struct deaf {
	int fds[8];
	char address[64];
};

static void deaf_open(struct deaf *deaf)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct sockaddr *any = (struct sockaddr *)&address;
	socklen_t size = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (size_t i = 0; i < sizeof(deaf->fds) / sizeof(deaf->fds[0]); i++) {
		deaf->fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		assert_true(deaf->fds[i] >= 0);
	}
	assert_int_equal(bind(deaf->fds[0], any, size), 0);
	assert_int_equal(listen(deaf->fds[0], 0), 0);
	assert_int_equal(getsockname(deaf->fds[0], any, &size), 0);
	for (size_t i = 1; i < sizeof(deaf->fds) / sizeof(deaf->fds[0]); i++)
		connect(deaf->fds[i], any, size);
	snprintf(deaf->address, sizeof(deaf->address), "127.0.0.1:%d", ntohs(address.sin_port));
}

static void deaf_close(struct deaf *deaf)
{
	for (size_t i = 0; i < sizeof(deaf->fds) / sizeof(deaf->fds[0]); i++)
		close(deaf->fds[i]);
}

/*
 * A connection was given up before it came about, and no later one worked: curl had closed its
 * socket unseen, and the next had the same number. By its time-out, and by a cancel.
 */
static void test_connections_work_after_one_that_never_came_about(void **state)
{
	const struct http_client_options options = {.connect_timeout_ms = 50};
	struct world world;
	struct deaf deaf;

	world_open(&world);
	world_client(&world, &options);
	world_echo_server(&world);
	deaf_open(&deaf);
	for (unsigned i = 0; i < 3; i++) {
		struct http_exchange *exchange = world_exchange(&world, deaf.address, "/");

		assert_int_equal(http_exchange_start(exchange, outcome_done, &world.last), 0);
		world_settle(&world);
		http_exchange_cancel(exchange);
		world_request(&world, deaf.address, "/", "x");
		assert_int_equal(world.last.err, ERR_TIMEOUT);
		world_request(&world, http_server_address(world.server), "/", "x");
		assert_int_equal(world.last.err, 0);
		http_client_close(world.client);
		world_client(&world, &options);
	}
	deaf_close(&deaf);
	world_close(&world);
}

/* The handle of one exchange takes them all: what it was set to for one is not sent for another. */
static void test_urls_by_turns_on_one_handle(void **state)
{
	static const struct peer_answer answer = {
		.text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
	/* NULL: curl can take it apart no more than we can. */
	static const char *const paths[] = {
		"/a", "/a", "/b?c=%20d", NULL, "/a", "/a/../b", "/b", "/aa", NULL, NULL, "/a"};
	struct world world;
	struct peer peer;

	world_open(&world);
	world_client(&world, NULL);
	peer_open(&peer, &world, &answer, 1);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		char first[64];

		if (paths[i] == NULL) {
			world_request(&world, "127.0.0.1:99999", "/", "x");
			assert_int_equal(world.last.err, ERR_ARGUMENT);
			assert_string_equal(
				world.last.detail, "URL using bad/illegal format or missing URL");
			continue;
		}
		world_request(&world, peer.address, paths[i], "x");
		assert_int_equal(world.last.err, 0);
		snprintf(first, sizeof(first), "POST %s HTTP/1.1\r\n", paths[i]);
		assert_memory_equal(buf_string(&peer.request), first, strlen(first));
	}
	peer_close(&peer);
	world_close(&world);
}

static void test_body_of_a_megabyte_without_expect(void **state)
{
	const struct http_client_options options = {.max_answer_bytes = 2 << 20};
	struct world world;
	char *body = malloc((1 << 20) + 1);

	assert_non_null(body);
	memset(body, 'x', 1 << 20);
	body[1 << 20] = '\0';
	world_open(&world);
	world_client(&world, &options);
	world_echo_server(&world);
	world_request(&world, http_server_address(world.server), "/", body);
	assert_int_equal(world.last.err, 0);
	assert_int_equal(world.last.body_bytes, 1 << 20);
	assert_string_equal(world.last.body, body);
	free(body);
	world_close(&world);
}

static void test_keep_alive_is_reused(void **state)
{
	struct world world;

	world_open(&world);
	world_client(&world, NULL);
	world_echo_server(&world);
	for (unsigned i = 0; i < 50; i++) {
		world_request(&world, http_server_address(world.server), "/", "x");
		assert_int_equal(world.last.err, 0);
	}
	assert_int_equal(http_client_connections_opened(world.client), 1);
	world_close(&world);
}

/* Many requests, each started from the completion of another. */
struct crowd {
	struct world *world;
	unsigned started, finished, wanted;
	size_t most_in_flight;
};

static void crowd_done(
	void *arg, struct http_exchange *exchange, const struct http_response *response);

static void crowd_start(struct crowd *crowd)
{
	struct http_exchange *exchange =
		world_exchange(crowd->world, http_server_address(crowd->world->server), "/");

	buf_appendf(http_exchange_body(exchange), "%u", crowd->started++);
	assert_int_equal(http_exchange_start(exchange, crowd_done, crowd), 0);
	if (http_client_in_flight(crowd->world->client) > crowd->most_in_flight)
		crowd->most_in_flight = http_client_in_flight(crowd->world->client);
}

static void crowd_done(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct crowd *crowd = arg;

	assert_int_equal(response->err, 0);
	assert_int_equal(response->status, 200);
	assert_true(response->body->len >= 1);
	crowd->finished++;
	if (crowd->started < crowd->wanted)
		crowd_start(crowd);
}

static void test_2000_requests_300_in_flight_over_shards(void **state)
{
	const struct http_client_options options = {.shard_connections = 32};
	struct world world;
	struct crowd crowd = {.world = &world, .wanted = 2000};

	world_open(&world);
	world_client(&world, &options);
	world_echo_server(&world);
	for (int i = 0; i < 300; i++)
		crowd_start(&crowd);
	world_until(&world, &crowd.finished, 2000);
	assert_int_equal(world.handled, 2000);
	assert_int_equal(crowd.most_in_flight, 300);
	assert_in_range(http_client_connections_opened(world.client), 1, 300);
	world_close(&world);
}

static void test_limit_of_requests_in_flight(void **state)
{
	const struct http_client_options options = {.max_in_flight = 3};
	struct world world;
	struct crowd crowd = {.world = &world};
	struct http_exchange *exchange;

	world_open(&world);
	world_client(&world, &options);
	world_echo_server(&world);
	for (int i = 0; i < 3; i++)
		crowd_start(&crowd);
	exchange = world_exchange(&world, http_server_address(world.server), "/");
	assert_int_equal(http_exchange_start(exchange, outcome_done, &world.last), ERR_LIMIT);
	world_until(&world, &crowd.finished, 3);
	crowd_start(&crowd);
	world_until(&world, &crowd.finished, 4);
	assert_int_equal(world.last.calls, 0);
	world_close(&world);
}

static void test_bad_headers_are_refused(void **state)
{
	static const struct {
		const char *name, *value;
		int err;
	} cases[] = {
		{"X-A", "b\r\nX-B: c", ERR_ARGUMENT},
		{"X-A", "b\nc", ERR_ARGUMENT},
		{"X-A", "b\rc", ERR_ARGUMENT},
		{"X-A\r\nB", "c", ERR_ARGUMENT},
		{"X A", "c", ERR_ARGUMENT},
		{"X:", "c", ERR_ARGUMENT},
		{"", "c", ERR_ARGUMENT},
		{"Content-Length", "5", ERR_ARGUMENT},
		{"transfer-encoding", "chunked", ERR_ARGUMENT},
		{"Expect", "100-continue", ERR_ARGUMENT},
		{"X-A", "caf\xc3\xa9", 0},
		{"X-A", "", 0},
	};
	struct world world;
	struct http_exchange *exchange;

	world_open(&world);
	world_client(&world, NULL);
	exchange = world_exchange(&world, "127.0.0.1:1", "/");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(http_exchange_add_header(exchange, cases[i].name, cases[i].value),
			cases[i].err);
	http_exchange_discard(exchange);
	world_close(&world);
}

static void test_bad_urls_are_refused(void **state)
{
	static const char *const urls[] = {"", "ftp://a/", "file:///etc/passwd", "http", "//a/",
		"a", "http://a/b c", "http://a/\r\nX: y", "http://a/\x7f", "http://a/\xc3\xa9",
		"gopher://x", " http://a/"};
	struct world world;

	world_open(&world);
	world_client(&world, NULL);
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct http_exchange *exchange = http_exchange_new(world.client);

		buf_append_string(http_exchange_url(exchange), urls[i]);
		assert_int_equal(
			http_exchange_start(exchange, outcome_done, &world.last), ERR_ARGUMENT);
	}
	assert_int_equal(world.last.calls, 0);
	world_close(&world);
}

static void test_url_with_a_nul_or_too_long(void **state)
{
	const struct http_client_options options = {.max_request_bytes = 64};
	struct world world;
	struct http_exchange *exchange;

	world_open(&world);
	world_client(&world, &options);
	exchange = world_exchange(&world, "127.0.0.1:1", "/");
	buf_append_char(http_exchange_url(exchange), '\0');
	assert_int_equal(http_exchange_start(exchange, outcome_done, &world.last), ERR_ARGUMENT);
	exchange = world_exchange(&world, "127.0.0.1:1", "/");
	for (int i = 0; i < 65; i++)
		buf_append_char(http_exchange_body(exchange), 'x');
	assert_int_equal(http_exchange_start(exchange, outcome_done, &world.last), ERR_ARGUMENT);
	exchange = world_exchange(&world, "127.0.0.1:1", "/");
	http_exchange_set_method(exchange, "GET /x HTTP/1.1\r\nA: b\r\n");
	assert_int_equal(http_exchange_start(exchange, outcome_done, &world.last), ERR_ARGUMENT);
	assert_int_equal(http_client_in_flight(world.client), 0);
	world_close(&world);
}

/* Cancel k turns of the loop after the start: before the connect, in it, in the answer. */
static void test_cancel_at_every_stage(void **state)
{
	struct world world;
	unsigned finished = 0;

	world_open(&world);
	world_client(&world, NULL);
	world_echo_server(&world);
	for (int turns = 0; turns < 40; turns++) {
		struct outcome outcome = {0};
		struct http_exchange *exchange =
			world_exchange(&world, http_server_address(world.server), "/");

		buf_append_string(http_exchange_body(exchange), "body");
		assert_int_equal(http_exchange_start(exchange, outcome_done, &outcome), 0);
		for (int i = 0; i < turns && outcome.calls == 0; i++)
			uv_run(&world.loop, UV_RUN_NOWAIT);
		if (outcome.calls == 0)
			http_exchange_cancel(exchange);
		else
			finished++;
		assert_int_equal(http_client_in_flight(world.client), 0);
		world_settle(&world);
		assert_int_equal(
			outcome.calls, turns > 0 && outcome.err == 0 && outcome.status == 200);
		outcome_free(&outcome);
	}
	assert_in_range(finished, 1, 39); /* some were cancelled, some were not */
	world_close(&world);
}

static void test_close_at_every_stage(void **state)
{
	for (int turns = 0; turns < 25; turns++) {
		struct world world;
		struct outcome outcomes[70] = {0};

		world_open(&world);
		world_client(&world, NULL);
		world_echo_server(&world);
		for (int i = 0; i < 70; i++) {
			struct http_exchange *exchange =
				world_exchange(&world, http_server_address(world.server), "/");

			assert_int_equal(
				http_exchange_start(exchange, outcome_done, &outcomes[i]), 0);
		}
		assert_non_null(
			http_exchange_new(world.client)); /* never started: freed all the same */
		for (int i = 0; i < turns; i++)
			uv_run(&world.loop, UV_RUN_NOWAIT);
		world_close(&world);
		for (int i = 0; i < 70; i++)
			outcome_free(&outcomes[i]);
	}
}

struct canceller {
	struct world *world;
	struct http_exchange *others[8];
	unsigned calls;
	bool close;
};

static void cancel_others(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct canceller *canceller = arg;

	canceller->calls++;
	if (canceller->close) {
		http_client_close(canceller->world->client);
		canceller->world->client = NULL;
		return;
	}
	for (int i = 0; i < 8; i++)
		if (canceller->others[i] != exchange)
			http_exchange_cancel(canceller->others[i]);
}

/* The first of eight to finish cancels the others, or closes the client. */
static void test_cancel_and_close_inside_done(void **state)
{
	for (int close = 0; close < 2; close++) {
		struct world world;
		struct canceller canceller = {.world = &world, .close = close};

		world_open(&world);
		world_client(&world, NULL);
		world_echo_server(&world);
		for (int i = 0; i < 8; i++) {
			canceller.others[i] =
				world_exchange(&world, http_server_address(world.server), "/");
			assert_int_equal(
				http_exchange_start(canceller.others[i], cancel_others, &canceller),
				0);
		}
		world_until(&world, &canceller.calls, 1);
		world_settle(&world);
		assert_int_equal(canceller.calls, 1);
		world_close(&world);
	}
}

/* An idle client is no reason for the loop to go on. */
static void test_idle_connections_do_not_hold_the_loop(void **state)
{
	static const struct peer_answer answer = {
		.text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
	struct world world;
	struct peer peer;

	world_open(&world);
	world_client(&world, NULL);
	peer_open(&peer, &world, &answer, 1);
	world_request(&world, peer.address, "/", "x");
	uv_unref((uv_handle_t *)&peer.listener);
	peer_unref_links(&peer);
	assert_int_equal(uv_run(&world.loop, UV_RUN_DEFAULT), 0);
	peer_close(&peer);
	world_close(&world);
}

static void test_proxy_is_never_used_for_loopback(void **state)
{
	struct world world;

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	unsetenv("no_proxy");
	world_open(&world);
	world_client(&world, NULL);
	world_echo_server(&world);
	world_request(&world, http_server_address(world.server), "/", "direct");
	assert_int_equal(world.last.err, 0);
	assert_string_equal(world.last.body, "direct");
	/* Not resolved here: that would be the proxy's business, and nobody listens there. */
	world_request(&world, "name.invalid", "/", "x");
	assert_int_equal(world.last.err, ERR_CONNECT);
	assert_false(world.last.sent);
	unsetenv("http_proxy");
	world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_every_status_is_an_answer),
		cmocka_unit_test(test_connections_work_after_one_that_never_came_about),
		cmocka_unit_test(test_urls_by_turns_on_one_handle),
		cmocka_unit_test(test_body_of_a_megabyte_without_expect),
		cmocka_unit_test(test_keep_alive_is_reused),
		cmocka_unit_test(test_2000_requests_300_in_flight_over_shards),
		cmocka_unit_test(test_limit_of_requests_in_flight),
		cmocka_unit_test(test_bad_headers_are_refused),
		cmocka_unit_test(test_bad_urls_are_refused),
		cmocka_unit_test(test_url_with_a_nul_or_too_long),
		cmocka_unit_test(test_cancel_at_every_stage),
		cmocka_unit_test(test_close_at_every_stage),
		cmocka_unit_test(test_cancel_and_close_inside_done),
		cmocka_unit_test(test_idle_connections_do_not_hold_the_loop),
		cmocka_unit_test(test_proxy_is_never_used_for_loopback),
	};

	return cmocka_run_group_tests_name("http/client", tests, NULL, NULL);
}
