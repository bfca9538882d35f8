/* The server: what the handler sees, calls that are kept, limits, bad requests. */
#include "world.h"

#include "bunshin/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* A server whose handler only collects the calls. */
struct collector {
	struct http_call *calls[600];
	unsigned count;
	unsigned gone;
	struct http_call *gone_call;
};

static void collect_gone(void *arg, struct http_call *call)
{
	struct collector *collector = arg;

	collector->gone++;
	collector->gone_call = call;
}

static void collect(void *arg, struct http_call *call)
{
	struct collector *collector = arg;

	http_call_keep(call, collect_gone, collector);
	collector->calls[collector->count++] = call;
}

static void open_collector(struct world *world, struct collector *collector)
{
	const struct http_server_options options = {.listen = "127.0.0.1:0",
		.max_body_bytes = 1000,
		.handler = collect,
		.arg = collector};

	memset(collector, 0, sizeof(*collector));
	world_open(world);
	world_server(world, &options);
}

static void reply_text(struct http_call *call, const char *text)
{
	const struct http_reply reply = {.status = 200, .body = text, .body_bytes = strlen(text)};

	assert_int_equal(http_call_reply(call, &reply), 0);
}

static void count_header(void *arg, const char *name, const char *value)
{
	unsigned *count = arg;

	assert_non_null(value);
	*count += strncmp(name, "X-", 2) == 0 ? 1 : 0;
}

static void test_what_the_handler_sees(void **state)
{
	static const char request[] =
		"POST /a%20b/c?q=1%202&empty=&bare HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nx-two:  2"
		"\r\n"
		"X-One: again\r\nContent-Length: 4\r\n\r\na\0bc";
	struct world world;
	struct collector collector;
	struct raw raw;
	unsigned headers = 0;
	size_t len;

	open_collector(&world, &collector);
	raw_open(&raw, &world, http_server_address(world.server));
	raw_send(&raw, request, sizeof(request) - 1);
	world_until(&world, &collector.count, 1);
	assert_string_equal(http_call_method(collector.calls[0]), "POST");
	assert_string_equal(http_call_path(collector.calls[0]), "/a b/c");
	assert_string_equal(http_call_query(collector.calls[0], "q"), "1 2");
	assert_string_equal(http_call_query(collector.calls[0], "empty"), "");
	assert_null(http_call_query(collector.calls[0], "none"));
	assert_string_equal(http_call_header(collector.calls[0], "x-ONE"), "1");
	assert_string_equal(http_call_header(collector.calls[0], "X-Two"), "2");
	assert_null(http_call_header(collector.calls[0], "X-Three"));
	http_call_each_header(collector.calls[0], count_header, &headers);
	assert_int_equal(headers, 2); /* x-two is not "X-" */
	assert_memory_equal(http_call_body(collector.calls[0], &len), "a\0bc", 5);
	assert_int_equal(len, 4);
	assert_true(http_call_is_alive(collector.calls[0]));
	reply_text(collector.calls[0], "done");
	world_until(&world, &raw.answers, 1);
	assert_int_equal(collector.gone, 0);
	raw_close(&raw, &world);
	world_close(&world);
	assert_int_equal(collector.gone, 0);
}

static void test_reply_headers(void **state)
{
	static const char *const headers[] = {"X-A", "1", "X-B", "2", NULL};
	static const char *const bad[] = {"X-A", "1\r\nX-B: 2", NULL};
	const struct http_reply reply = {.status = 418,
		.content_type = "text/x",
		.body = "tea",
		.body_bytes = 3,
		.headers = headers,
		.close = true};
	const struct http_reply bad_reply = {.status = 200, .headers = bad};
	struct world world;
	struct collector collector;
	struct raw raw;

	open_collector(&world, &collector);
	raw_open(&raw, &world, http_server_address(world.server));
	raw_send_string(&raw, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	world_until(&world, &collector.count, 1);
	assert_int_equal(http_call_reply(collector.calls[0], &reply), 0);
	world_until(&world, &raw.ended, 1);
	assert_non_null(strstr(buf_string(&raw.received), "HTTP/1.1 418 "));
	assert_non_null(strstr(buf_string(&raw.received), "\r\nContent-Type: text/x\r\n"));
	assert_non_null(strstr(buf_string(&raw.received), "\r\nX-A: 1\r\nX-B: 2\r\n"));
	assert_non_null(strstr(buf_string(&raw.received), "\r\nContent-Length: 3\r\n"));
	assert_non_null(strstr(buf_string(&raw.received), "\r\nConnection: close\r\n"));
	assert_non_null(strstr(buf_string(&raw.received), "\r\n\r\ntea"));
	raw_close(&raw, &world);

	raw_open(&raw, &world, http_server_address(world.server));
	raw_send_string(&raw, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	world_until(&world, &collector.count, 2);
	assert_int_equal(http_call_reply(collector.calls[1], &bad_reply), ERR_ARGUMENT);
	world_until(&world, &raw.ended, 1);
	assert_int_equal(raw.received.len, 0);
	raw_close(&raw, &world);
	assert_int_equal(collector.gone, 0);
	world_close(&world);
}

static void test_listen_strings(void **state)
{
	static const struct {
		const char *listen;
		int err;
		const char *prefix;
	} cases[] = {
		{"127.0.0.1:0", 0, "127.0.0.1:"},
		{"localhost:0", 0, "127.0.0.1:"},
		{"0.0.0.0:0", 0, "0.0.0.0:"},
		{"[::1]:0", 0, "[::1]:"},
		{NULL, ERR_ARGUMENT, NULL},
		{"", ERR_ARGUMENT, NULL},
		{"127.0.0.1", ERR_ARGUMENT, NULL},
		{":80", ERR_ARGUMENT, NULL},
		{"127.0.0.1:", ERR_ARGUMENT, NULL},
		{"127.0.0.1:65536", ERR_ARGUMENT, NULL},
		{"127.0.0.1:-1", ERR_ARGUMENT, NULL},
		{"127.0.0.1:+1", ERR_ARGUMENT, NULL},
		{"127.0.0.1:0x50", ERR_ARGUMENT, NULL},
		{"127.0.0.1:80 ", ERR_ARGUMENT, NULL},
		{"127.0.0.1:123456", ERR_ARGUMENT, NULL},
		{"127.0.0.256:0", ERR_ARGUMENT, NULL},
		{"example.com:0", ERR_ARGUMENT, NULL},
		{"::1:0", ERR_ARGUMENT, NULL},
		{"[::1:0", ERR_ARGUMENT, NULL},
		{"[::1]", ERR_ARGUMENT, NULL},
		{"[]:0", ERR_ARGUMENT, NULL},
		{"[:0", ERR_ARGUMENT, NULL},
		{"192.0.2.1:0", ERR_IO, NULL}, /* not an address of this machine */
		{"127.0.0.1000000000000000000000000000000000000000000000000000000000000000:0",
			ERR_ARGUMENT, NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world;
		struct http_server_options options = {
			.listen = cases[i].listen, .handler = world_echo, .arg = &world};

		world_open(&world);
		assert_int_equal(
			http_server_new(&world.loop, &options, &world.server), cases[i].err);
		if (cases[i].err == 0) {
			const char *address = http_server_address(world.server);

			assert_memory_equal(address, cases[i].prefix, strlen(cases[i].prefix));
			assert_int_not_equal(atoi(strrchr(address, ':') + 1), 0);
		} else {
			assert_null(world.server);
		}
		world_close(&world);
	}
}

static void test_address_in_use(void **state)
{
	struct world world;
	struct http_server *second = NULL;
	struct http_server_options options = {.handler = world_echo, .arg = &world};

	world_open(&world);
	world_echo_server(&world);
	options.listen = http_server_address(world.server);
	assert_int_equal(http_server_new(&world.loop, &options, &second), ERR_IO);
	assert_int_equal(errno, EADDRINUSE);
	assert_null(second);
	world_close(&world);
}

static void test_ipv6(void **state)
{
	struct world world;
	const struct http_server_options options = {
		.listen = "[::1]:0", .handler = world_echo, .arg = &world};

	world_open(&world);
	world_client(&world, NULL);
	world_server(&world, &options);
	world_request(&world, http_server_address(world.server), "/", "six");
	assert_int_equal(world.last.err, 0);
	assert_string_equal(world.last.body, "six");
	world_close(&world);
}

/* The second request of a pipeline waits for the answer to the first. */
static void test_pipelined_requests(void **state)
{
	struct world world;
	struct collector collector;
	struct raw raw;

	open_collector(&world, &collector);
	raw_open(&raw, &world, http_server_address(world.server));
	raw_send_string(&raw, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
			      "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\ntwo"
			      "GET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
	for (unsigned i = 0; i < 3; i++) {
		char text[16];

		world_until(&world, &collector.count, i + 1);
		world_settle(&world);
		assert_int_equal(collector.count, i + 1);
		assert_int_equal(http_call_path(collector.calls[i])[1], '1' + i);
		assert_true(http_call_is_alive(collector.calls[i]));
		snprintf(text, sizeof(text), "answer %u", i);
		reply_text(collector.calls[i], text);
		world_until(&world, &raw.answers, i + 1);
		assert_non_null(strstr(buf_string(&raw.received), text));
	}
	raw_close(&raw, &world);
	world_close(&world);
}

static void test_pipelined_requests_answered_at_once(void **state)
{
	struct world world;
	struct raw raw;

	world_open(&world);
	world_echo_server(&world);
	raw_open(&raw, &world, http_server_address(world.server));
	for (int i = 0; i < 300; i++)
		raw_send_string(&raw, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
	world_until(&world, &raw.answers, 300);
	assert_int_equal(world.handled, 300);
	raw_close(&raw, &world);
	world_close(&world);
}

/* One byte at a time: no split of the input may matter. */
static void test_request_in_single_bytes(void **state)
{
	static const char request[] = "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
				      "chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
	struct world world;
	struct raw raw;

	world_open(&world);
	world_echo_server(&world);
	raw_open(&raw, &world, http_server_address(world.server));
	for (size_t i = 0; i < sizeof(request) - 1; i++) {
		raw_send(&raw, &request[i], 1);
		uv_run(&world.loop, UV_RUN_NOWAIT);
	}
	world_until(&world, &raw.answers, 1);
	assert_non_null(strstr(buf_string(&raw.received), "\r\n\r\nab"));
	raw_close(&raw, &world);
	world_close(&world);
}

static void test_client_leaves_while_suspended(void **state)
{
	for (int how = 0; how < 3; how++) {
		struct world world;
		struct collector collector;
		struct raw raw;

		open_collector(&world, &collector);
		raw_open(&raw, &world, http_server_address(world.server));
		/* With a pipelined request behind it, a look at the next byte would say "alive". */
		raw_send_string(&raw, "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\n");
		world_until(&world, &collector.count, 1);
		assert_true(http_call_is_alive(collector.calls[0]));
		if (how == 0)
			raw_shutdown(&raw);
		else
			raw_close(&raw, &world);
		assert_false(http_call_is_alive(collector.calls[0]));
		if (how < 2)
			reply_text(collector.calls[0], "nobody hears this");
		else
			http_call_abort(collector.calls[0]);
		world_settle(&world);
		assert_int_equal(collector.gone, 0);
		if (how == 0)
			raw_close(&raw, &world);
		world_close(&world);
		assert_int_equal(collector.gone, 0);
	}
}

static void test_server_closes_with_kept_calls(void **state)
{
	struct world world;
	struct collector collector;
	struct raw raws[3];

	open_collector(&world, &collector);
	for (int i = 0; i < 3; i++) {
		raw_open(&raws[i], &world, http_server_address(world.server));
		raw_send_string(&raws[i], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	}
	world_until(&world, &collector.count, 3);
	reply_text(collector.calls[1], "just in time"); /* not sent any more, but ended */
	http_server_close(world.server);
	world.server = NULL;
	assert_int_equal(collector.gone, 2);
	for (int i = 0; i < 3; i++) {
		world_until(&world, &raws[i].ended, 1);
		raw_close(&raws[i], &world);
	}
	world_close(&world);
}

/* A call's `gone` answers another call: what a queue does that hands a message on. */
static void reply_to_other(void *arg, struct http_call *call)
{
	struct collector *collector = arg;

	collector->gone++;
	for (unsigned i = 0; i < collector->count; i++)
		if (collector->calls[i] != call && collector->gone == 1)
			reply_text(collector->calls[i], "yours now");
}

static void test_reply_inside_gone(void **state)
{
	struct world world;
	struct collector collector;
	struct raw raws[2];

	open_collector(&world, &collector);
	for (int i = 0; i < 2; i++) {
		raw_open(&raws[i], &world, http_server_address(world.server));
		raw_send_string(&raws[i], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
		world_until(&world, &collector.count, (unsigned)i + 1);
		http_call_keep(collector.calls[i], reply_to_other, &collector);
	}
	http_server_close(world.server);
	world.server = NULL;
	assert_int_equal(collector.gone, 1);
	for (int i = 0; i < 2; i++)
		raw_close(&raws[i], &world);
	world_close(&world);
}

static void test_abort(void **state)
{
	struct world world;
	struct collector collector;
	struct raw raw;

	open_collector(&world, &collector);
	raw_open(&raw, &world, http_server_address(world.server));
	raw_send_string(&raw, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	world_until(&world, &collector.count, 1);
	http_call_abort(collector.calls[0]);
	world_until(&world, &raw.ended, 1);
	assert_int_equal(raw.received.len, 0);
	assert_int_equal(collector.gone, 0);
	raw_close(&raw, &world);
	world_close(&world);
}

/* The handler of the last call answers the 499 that wait, the latest first. */
static void reply_to_all(void *arg, struct http_call *call)
{
	struct collector *collector = arg;

	collect(arg, call);
	if (collector->count < 500)
		return;
	for (unsigned i = 500; i-- > 0;)
		reply_text(collector->calls[i], http_call_path(collector->calls[i]));
}

struct poller {
	struct outcome outcome;
	char path[16];
};

/* Both ends of 500 connections are here, and 1024 descriptors are a common soft limit. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_500_long_polls(void **state)
{
	struct world world;
	struct collector collector = {0};
	const struct http_server_options options = {
		.listen = "127.0.0.1:0", .handler = reply_to_all, .arg = &collector};
	struct poller *pollers = calloc(500, sizeof(*pollers));

	assert_non_null(pollers);
	raise_descriptor_limit();
	world_open(&world);
	world_client(&world, NULL);
	world_server(&world, &options);
	for (int round = 0; round < 2; round++) {
		collector.count = 0;
		for (int i = 0; i < 500; i++) {
			struct http_exchange *exchange;

			snprintf(pollers[i].path, sizeof(pollers[i].path), "/%d/%d", round, i);
			exchange = world_exchange(
				&world, http_server_address(world.server), pollers[i].path);
			assert_int_equal(
				http_exchange_start(exchange, outcome_done, &pollers[i].outcome),
				0);
		}
		for (int i = 0; i < 500; i++) {
			world_until(&world, &pollers[i].outcome.calls, (unsigned)round + 1);
			assert_int_equal(pollers[i].outcome.status, 200);
			assert_string_equal(pollers[i].outcome.body, pollers[i].path);
		}
	}
	assert_int_equal(http_client_connections_opened(world.client), 500);
	for (int i = 0; i < 500; i++)
		outcome_free(&pollers[i].outcome);
	free(pollers);
	world_close(&world);
}

static void send_body(struct raw *raw, size_t announced, size_t sent, bool chunked)
{
	char head[128];
	char *body = malloc(sent + 1);

	assert_non_null(body);
	memset(body, 'x', sent);
	if (chunked)
		snprintf(head, sizeof(head),
			"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n",
			sent);
	else
		snprintf(head, sizeof(head),
			"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", announced);
	raw_send_string(raw, head);
	raw_send(raw, body, sent);
	if (chunked)
		raw_send_string(raw, "\r\n0\r\n\r\n");
	free(body);
}

static void test_body_limit(void **state)
{
	static const struct {
		size_t bytes;
		bool chunked, fits;
	} cases[] = {
		{0, false, true},
		{999, false, true},
		{1000, false, true},
		{1001, false, false},
		{100000, false, false},
		{999, true, true},
		{1000, true, true},
		{1001, true, false},
		{100000, true, false},
		{4000000, true, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world;
		struct raw raw;
		const struct http_server_options options = {.listen = "127.0.0.1:0",
			.max_body_bytes = 1000,
			.handler = world_echo,
			.arg = &world};

		world_open(&world);
		world_server(&world, &options);
		raw_open(&raw, &world, http_server_address(world.server));
		send_body(&raw, cases[i].bytes, cases[i].bytes, cases[i].chunked);
		world_until(&world, &raw.answers, 1);
		assert_int_equal(world.handled, cases[i].fits);
		if (cases[i].fits) {
			assert_non_null(strstr(buf_string(&raw.received), "HTTP/1.1 200 "));
		} else {
			assert_non_null(strstr(buf_string(&raw.received), "HTTP/1.1 413 "));
			world_until(&world, &raw.ended, 1);
		}
		raw_close(&raw, &world);
		world_close(&world);
	}
}

/* Nothing of it needs to arrive: the announcement is enough for the answer. */
static void test_huge_content_length(void **state)
{
	struct world world;
	struct raw raw;

	world_open(&world);
	world_echo_server(&world);
	raw_open(&raw, &world, http_server_address(world.server));
	send_body(&raw, 1000000000000, 10, false);
	world_until(&world, &raw.ended, 1);
	assert_non_null(strstr(buf_string(&raw.received), "HTTP/1.1 413 "));
	assert_int_equal(world.handled, 0);
	raw_close(&raw, &world);
	world_close(&world);
}

static void test_endless_chunks_are_cut(void **state)
{
	static const char head[] =
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
	static char chunk[65536 + 9];
	struct world world;
	struct raw raw;

	memset(chunk, 'x', sizeof(chunk));
	memcpy(chunk, "10000\r\n", 7);
	memcpy(chunk + sizeof(chunk) - 2, "\r\n", 2);
	world_open(&world);
	world_echo_server(&world);
	raw_open(&raw, &world, http_server_address(world.server));
	raw_send_string(&raw, head);
	for (int i = 0; i < 200 && raw.ended == 0; i++) {
		raw_send(&raw, chunk, sizeof(chunk));
		uv_run(&world.loop, UV_RUN_NOWAIT);
	}
	world_until(&world, &raw.ended, 1);
	assert_int_equal(world.handled, 0);
	raw_close(&raw, &world);
	world_close(&world);
}

static void test_bad_requests(void **state)
{
	static const char *const requests[] = {
		"\r\n\r\n\r\n garbage \r\n\r\n",
		"\x16\x03\x01\x02 hello\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n", /* no Host */
		"GET / HTTP/9.9\r\nHost: h\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1x\r\n\r\na",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\na",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "fffffffffffffffff\r\n"),
	};

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct world world;
		struct raw raw;

		world_open(&world);
		world_echo_server(&world);
		raw_open(&raw, &world, http_server_address(world.server));
		raw_send_string(&raw, requests[i]);
		world_settle(&world);
		raw_shutdown(&raw);
		world_until(&world, &raw.ended, 1);
		print_message("%zu: %.20s\n", i, buf_string(&raw.received));
		assert_int_equal(world.handled, 0);
		raw_close(&raw, &world);
		world_close(&world);
	}
}

static void test_endless_header(void **state)
{
	struct world world;
	struct raw raw;

	world_open(&world);
	world_echo_server(&world);
	raw_open(&raw, &world, http_server_address(world.server));
	raw_send_string(&raw, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
	for (int i = 0; i < 10000 && raw.ended == 0; i++) {
		raw_send_string(&raw, "0123456789012345678901234567890123456789");
		uv_run(&world.loop, UV_RUN_NOWAIT);
	}
	world_until(&world, &raw.ended, 1);
	assert_int_equal(world.handled, 0);
	raw_close(&raw, &world);
	world_close(&world);
}

static void test_connection_rules(void **state)
{
	static const struct {
		const char *request;
		bool ends;
		const char *found;
	} cases[] = {
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", false, "\r\n\r\nhi"},
		{"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
			true, "\r\nConnection: close\r\n"},
		{"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", true, "\r\n\r\nhi"},
		{"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", false, "\r\nContent-Length: 0\r\n"},
		{"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: "
		 "2\r\n\r\nhi",
			false, "HTTP/1.1 200 "},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world;
		struct raw raw;

		world_open(&world);
		world_echo_server(&world);
		raw_open(&raw, &world, http_server_address(world.server));
		raw_send_string(&raw, cases[i].request);
		if (cases[i].ends)
			world_until(&world, &raw.ended, 1);
		while (strstr(buf_string(&raw.received), cases[i].found) == NULL)
			uv_run(&world.loop, UV_RUN_ONCE);
		world_settle(&world);
		assert_int_equal(raw.ended, cases[i].ends);
		assert_int_equal(world.handled, 1);
		raw_close(&raw, &world);
		world_close(&world);
	}
}

static void test_idle_connections_end(void **state)
{
	struct world world;
	struct raw raws[3];
	const struct http_server_options options = {
		.listen = "127.0.0.1:0", .idle_timeout_s = 1, .handler = world_echo, .arg = &world};

	world_open(&world);
	world_server(&world, &options);
	for (int i = 0; i < 3; i++)
		raw_open(&raws[i], &world, http_server_address(world.server));
	raw_send_string(&raws[1], "GET / HTTP/1.1\r\nHo");
	raw_send_string(&raws[2], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	for (int i = 0; i < 3; i++)
		world_until(&world, &raws[i].ended, 1);
	assert_int_equal(raws[2].answers, 1);
	for (int i = 0; i < 3; i++)
		raw_close(&raws[i], &world);
	world_close(&world);
}

static void test_connections_over_the_limit_wait(void **state)
{
	struct world world;
	struct raw raws[3];
	const struct http_server_options options = {.listen = "127.0.0.1:0",
		.max_connections = 2,
		.handler = world_echo,
		.arg = &world};

	world_open(&world);
	world_server(&world, &options);
	for (int i = 0; i < 3; i++) {
		raw_open(&raws[i], &world, http_server_address(world.server));
		raw_send_string(&raws[i], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	}
	world_until(&world, &raws[0].answers, 1);
	world_until(&world, &raws[1].answers, 1);
	world_settle(&world);
	assert_int_equal(raws[2].answers, 0);
	raw_close(&raws[0], &world);
	world_until(&world, &raws[2].answers, 1);
	raw_close(&raws[1], &world);
	raw_close(&raws[2], &world);
	world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_handler_sees),
		cmocka_unit_test(test_reply_headers),
		cmocka_unit_test(test_listen_strings),
		cmocka_unit_test(test_address_in_use),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_pipelined_requests),
		cmocka_unit_test(test_pipelined_requests_answered_at_once),
		cmocka_unit_test(test_request_in_single_bytes),
		cmocka_unit_test(test_client_leaves_while_suspended),
		cmocka_unit_test(test_server_closes_with_kept_calls),
		cmocka_unit_test(test_reply_inside_gone),
		cmocka_unit_test(test_abort),
		cmocka_unit_test(test_500_long_polls),
		cmocka_unit_test(test_body_limit),
		cmocka_unit_test(test_huge_content_length),
		cmocka_unit_test(test_endless_chunks_are_cut),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_endless_header),
		cmocka_unit_test(test_connection_rules),
		cmocka_unit_test(test_idle_connections_end),
		cmocka_unit_test(test_connections_over_the_limit_wait),
	};

	return cmocka_run_group_tests_name("http/server", tests, NULL, NULL);
}
