/* The head of a request: which bytes it has, and that it is the same whoever writes it. */
#include "world.h"

#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct peer_answer answer = {.text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};

static unsigned count_of(const char *text, const char *part)
{
	unsigned count = 0;

	while ((text = strstr(text, part)) != NULL) {
		text += strlen(part);
		count++;
	}
	return count;
}

/* What the request looks like on the wire, byte for byte, for each method. */
static void test_request_bytes(void **state)
{
	static const struct {
		const char *method, *body, *type, *length_line;
	} cases[] = {
		{"POST", "a=1", "text/x", "Content-Length: 3\r\n"},
		{"POST", "", NULL, "Content-Length: 0\r\n"},
		{"GET", "", NULL, ""},
		{"HEAD", "", NULL, ""},
		{"DELETE", "", NULL, ""},
		{"PUT", "b", NULL, "Content-Length: 1\r\n"},
		{"GET", "b", NULL, "Content-Length: 1\r\n"},
		{"PATCH", "", NULL, "Content-Length: 0\r\n"},
	};
	const struct http_client_options options = {.user_agent = "tester"};
	struct world world;
	struct peer peer;
	char expected[512];

	world_open(&world);
	world_client(&world, &options);
	peer_open(&peer, &world, &answer, 1);
	/* Every method after every other: nothing of one request may stay on the handle. */
	for (size_t k = 0; k < 8 * 8 * 2; k++) {
		size_t i = k % 2 ? k / 2 % 8 : k / 16;
		struct http_exchange *exchange = world_exchange(&world, peer.address, "/p?q");
		const char *type = cases[i].type;
		unsigned calls = world.last.calls;

		http_exchange_set_method(exchange, cases[i].method);
		buf_append_string(http_exchange_body(exchange), cases[i].body);
		assert_int_equal(http_exchange_add_header(exchange, "X-Empty", ""), 0);
		if (type != NULL)
			assert_int_equal(
				http_exchange_add_header(exchange, "Content-Type", type), 0);
		assert_int_equal(http_exchange_start(exchange, outcome_done, &world.last), 0);
		world_until(&world, &world.last.calls, calls + 1);
		assert_int_equal(world.last.status, 200);
		snprintf(expected, sizeof(expected),
			"%s /p?q HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\nX-Empty:\r\n%s%s"
			"User-Agent: tester HTTP/1.1\r\n%s\r\n%s",
			cases[i].method, peer.address, type != NULL ? "Content-Type: text/x" : "",
			type != NULL ? "\r\n" : "", cases[i].length_line, cases[i].body);
		assert_string_equal(buf_string(&peer.request), expected);
	}
	assert_int_equal(peer.connections, 1);
	peer_close(&peer);
	world_close(&world);
}

static void test_user_agent_of_the_request_wins(void **state)
{
	const struct http_client_options options = {.user_agent = "tester"};
	static const char *const names[] = {NULL, "user-agent", NULL, "User-Agent"};

	/* With a proxy in the environment the line is curl's. */
	for (int proxy = 0; proxy < 2; proxy++) {
		struct world world;
		struct peer peer;

		if (proxy)
			setenv("http_proxy", "http://127.0.0.1:1", 1);
		world_open(&world);
		world_client(&world, &options);
		peer_open(&peer, &world, &answer, 1);
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			struct http_exchange *exchange = world_exchange(&world, peer.address, "/");
			unsigned calls = world.last.calls;

			if (names[i] != NULL)
				assert_int_equal(
					http_exchange_add_header(exchange, names[i], "own"), 0);
			assert_int_equal(
				http_exchange_start(exchange, outcome_done, &world.last), 0);
			world_until(&world, &world.last.calls, calls + 1);
			assert_int_equal(world.last.err, 0);
			assert_int_equal(count_of(buf_string(&peer.request), "-Agent: tester"),
				names[i] == NULL);
			assert_int_equal(
				count_of(buf_string(&peer.request), "-Agent: tester HTTP/1.1\r\n"),
				names[i] == NULL && !proxy);
			assert_int_equal(count_of(buf_string(&peer.request), "gent: own\r\n"),
				names[i] != NULL);
		}
		peer_close(&peer);
		world_close(&world);
		unsetenv("http_proxy");
	}
}

/* A peer behind a unix socket, to which any host may be named. */
struct stage {
	struct world world;
	struct peer peer;
	char directory[32], path[64];
};

static void stage_open(struct stage *stage, struct http_client_options options)
{
	snprintf(stage->directory, sizeof(stage->directory), "/tmp/bunshin-head-XXXXXX");
	assert_non_null(mkdtemp(stage->directory));
	snprintf(stage->path, sizeof(stage->path), "%s/peer", stage->directory);
	options.unix_path = stage->path;
	options.user_agent = "tester";
	world_open(&stage->world);
	world_client(&stage->world, &options);
	peer_open_unix(&stage->peer, &stage->world, stage->path, &answer, 1);
}

static void stage_close(struct stage *stage)
{
	peer_close(&stage->peer);
	world_close(&stage->world);
	assert_int_equal(rmdir(stage->directory), 0); /* the socket is gone with its listener */
}

struct header {
	const char *name, *value;
};

/* GETs it; what arrived is in peer->request. */
static const char *get(struct stage *stage, const char *url, const struct header *headers)
{
	struct world *world = &stage->world;
	struct http_exchange *exchange = http_exchange_new(world->client);
	unsigned calls = world->last.calls;

	assert_non_null(exchange);
	buf_append_string(http_exchange_url(exchange), url);
	http_exchange_set_method(exchange, "GET");
	for (; headers != NULL && headers->name != NULL; headers++)
		assert_int_equal(
			http_exchange_add_header(exchange, headers->name, headers->value), 0);
	assert_int_equal(http_exchange_start(exchange, outcome_done, &world->last), 0);
	world_until(world, &world->last.calls, calls + 1);
	if (world->last.err != 0)
		print_message("%s: %s\n", url, world->last.detail);
	assert_int_equal(world->last.err, 0);
	return buf_string(&stage->peer.request);
}

/* What curl makes of a URL by itself, which is what it does for a request with a user agent. */
static void test_head_of_each_url_is_what_curl_makes_of_it(void **state)
{
	static const struct {
		const char *url, *target, *host;
	} cases[] = {
		{"http://h", "/", "h"},
		{"http://h/", "/", "h"},
		{"HTTP://h/", "/", "h"},
		{"http://h?q", "/?q", "h"},
		{"http://h/?q=1&r=%20", "/?q=1&r=%20", "h"},
		{"http://h/p#f", "/p", "h"},
		{"http://h/p?a#b?c", "/p?a", "h"},
		{"http://h/p?a?b", "/p?a?b", "h"},
		{"http://h//p", "//p", "h"},
		{"http://h/a/../b/./c", "/a/../b/./c", "h"},
		{"http://h/%2E%2E/%00%0D%0A", "/%2E%2E/%00%0D%0A", "h"},
		{"http://h/a;b,c|d\"e<f>", "/a;b,c|d\"e<f>", "h"},
		{"http://h/http://x:81/y@z", "/http://x:81/y@z", "h"},
		{"http://h:80/", "/", "h"},
		{"http://h:0080/", "/", "h"},
		{"http://h:443/", "/", "h:443"},
		{"http://h:08080/", "/", "h:8080"},
		{"http://host.example/", "/", "host.example"},
		{"http://host.example./", "/", "host.example."},
		{"http://%68%6fst/", "/", "host"},
		{"http://127.1/", "/", "127.0.0.1"},
		{"http://0x7f.1:8080/", "/", "127.0.0.1:8080"},
		{"http://[::1]/", "/", "[::1]"},
		{"http://[::1]:8080/", "/", "[::1]:8080"},
		{"http://[0:0::1]/", "/", "[::1]"},
		{"http://user@h/", "/", "h"},
		{"http://user:pass@h:81/p", "/p", "h:81"},
		{"http://:pass@h/", "/", "h"},
	};
	static const struct header own_agent[] = {{"User-Agent", "own"}, {NULL, NULL}};
	struct stage stage;
	char start[128];

	stage_open(&stage, (struct http_client_options){0});
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool has_user = strstr(cases[i].url, "@h") != NULL;
		const char *request;

		snprintf(start, sizeof(start), "GET %s HTTP/1.1\r\nHost: %s\r\n", cases[i].target,
			cases[i].host);
		request = get(&stage, cases[i].url, NULL);
		if (strncmp(request, start, strlen(start)) != 0)
			print_message("%s\n%s", cases[i].url, request);
		assert_memory_equal(request, start, strlen(start));
		assert_int_equal(count_of(request, "\r\nAuthorization: Basic "), has_user);
		assert_int_equal(count_of(request, "-Agent: tester HTTP/1.1\r\n\r\n"), !has_user);
		request = get(&stage, cases[i].url, own_agent);
		assert_memory_equal(request, start, strlen(start));
		assert_int_equal(count_of(request, "\r\nAuthorization: Basic "), has_user);
	}
	stage_close(&stage);
}

/* Whole or in curl's list, by turns on the handle of one exchange. */
static void test_own_headers(void **state)
{
	static const struct {
		const char *expected;
		struct header headers[5];
	} cases[] = {
		{"GET /p HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nA: 1\r\nb: 2\r\nA: 3\r\n"
		 "User-Agent: tester HTTP/1.1\r\n\r\n",
			{{"A", "1"}, {"b", "2"}, {"A", "3"}}},
		/* A value of blanks is none. */
		{"GET /p HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nA:\r\nB:\r\nC:  1 \r\n"
		 "User-Agent: tester HTTP/1.1\r\n\r\n",
			{{"A", ""}, {"B", " \t "}, {"C", " 1 "}}},
		{"GET /p HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nUser-Agent: own\r\nA:\r\nB:\r\n"
		 "C:  1 \r\n\r\n",
			{{"User-Agent", "own"}, {"A", ""}, {"B", " \t "}, {"C", " 1 "}}},
		{"GET /p HTTP/1.1\r\nHost: h\r\naccept: text/x\r\n"
		 "User-Agent: tester HTTP/1.1\r\n\r\n",
			{{"accept", "text/x"}}},
		{"GET /p HTTP/1.1\r\nAccept: */*\r\nA: 1\r\nhost: other\r\n"
		 "User-Agent: tester HTTP/1.1\r\n\r\n",
			{{"A", "1"}, {"host", "other"}}},
		/* Two would be two opinions on where the request goes: curl sends the first. */
		{"GET /p HTTP/1.1\r\nHost: one\r\nAccept: */*\r\nUser-Agent: tester\r\n\r\n",
			{{"Host", "one"}, {"Host", "two"}}},
		{"GET /p HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nUser-Agent: own\r\nA: 1\r\n\r\n",
			{{"User-Agent", "own"}, {"A", "1"}}},
		/* What has a meaning to curl in its list goes out all the same. */
		{"GET /p HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nConnection: keep-alive\r\n"
		 "Authorization: x\r\nCookie: a=b\r\nTE: trailers\r\n"
		 "User-Agent: tester HTTP/1.1\r\n\r\n",
			{{"Connection", "keep-alive"}, {"Authorization", "x"}, {"Cookie", "a=b"},
				{"TE", "trailers"}}},
	};
	const size_t count = sizeof(cases) / sizeof(cases[0]);
	struct stage stage;

	stage_open(&stage, (struct http_client_options){0});
	for (size_t k = 0; k < 2 * count * count; k++) {
		size_t i = k % 2 ? k / 2 % count : k / 2 / count;

		assert_string_equal(get(&stage, "http://h/p", cases[i].headers), cases[i].expected);
	}
	assert_int_equal(stage.peer.connections, 1);
	stage_close(&stage);
}

/* Of those no more copies are made than curl makes. */
static void test_secret_requests_are_in_curls_list(void **state)
{
	static const struct header secret[] = {{"Authorization", "secret"}, {NULL, NULL}};
	struct stage stage;

	stage_open(&stage, (struct http_client_options){.secret_answers = true});
	assert_string_equal(get(&stage, "http://h/p", secret),
		"GET /p HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nUser-Agent: tester\r\n"
		"Authorization: secret\r\n\r\n");
	stage_close(&stage);
}

/* The largest head that the limits admit, and the bytes that are refused. */
static void test_limits_of_headers(void **state)
{
	static const char *const bad_names[] = {
		"", "a b", "a:", "a\r", "content-length", "Transfer-Encoding", "EXPECT"};
	static const char *const bad_values[] = {"\r", "a\nb", "a\r\nHost: x", "\n"};
	static char value[(64 << 10) + 1];
	struct header large[] = {{"A", value}, {NULL, NULL}};
	struct http_exchange *exchange;
	struct stage stage;
	const char *request;

	stage_open(&stage, (struct http_client_options){0});
	memset(value, 'v', (64 << 10) - strlen("A: \r\n"));
	request = get(&stage, "http://h/p", large);
	assert_int_equal(count_of(request, value), 1);
	assert_int_equal(count_of(request, "\r\n"), 6);
	value[strlen(value)] = 'v';
	exchange = http_exchange_new(stage.world.client);
	assert_int_equal(http_exchange_add_header(exchange, "A", value), ERR_ARGUMENT);
	http_exchange_discard(exchange);
	exchange = http_exchange_new(stage.world.client);
	for (size_t i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++)
		assert_int_equal(
			http_exchange_add_header(exchange, bad_names[i], "1"), ERR_ARGUMENT);
	for (size_t i = 0; i < sizeof(bad_values) / sizeof(bad_values[0]); i++)
		assert_int_equal(
			http_exchange_add_header(exchange, "A", bad_values[i]), ERR_ARGUMENT);
	http_exchange_discard(exchange);
	assert_string_equal(get(&stage, "http://h/p", NULL),
		"GET /p HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nUser-Agent: tester HTTP/1.1\r\n\r\n");
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_bytes),
		cmocka_unit_test(test_user_agent_of_the_request_wins),
		cmocka_unit_test(test_head_of_each_url_is_what_curl_makes_of_it),
		cmocka_unit_test(test_own_headers),
		cmocka_unit_test(test_secret_requests_are_in_curls_list),
		cmocka_unit_test(test_limits_of_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
