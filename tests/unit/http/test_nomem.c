/* Each allocation of a whole round trip fails once: nothing crashes, leaks, hangs or lies. */
#include "world.h"

#include "bunshin/error.h"
#include "failmalloc.h"

#include <stdlib.h>
#include <string.h>

struct trip {
	struct http_client *client;
	struct http_server *server;
	int err;
	unsigned ends; /* answers and failures of the exchange */
	int answered;
};

static void echo(void *arg, struct http_call *call)
{
	struct http_reply reply = {.status = 200};

	reply.body = http_call_body(call, &reply.body_bytes);
	http_call_reply(call, &reply);
}

static void arrived(void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct trip *trip = arg;

	trip->ends++;
	trip->err = response->err;
	if (response->err != 0)
		return;
	trip->answered++;
	assert_int_equal(response->status, 200);
	assert_string_equal(buf_string(response->body), "hello");
}

static int send_one(struct trip *trip)
{
	struct http_exchange *exchange = http_exchange_new(trip->client);
	int err;

	if (exchange == NULL)
		return ERR_NOMEM;
	buf_appendf(http_exchange_url(exchange), "http://%s/", http_server_address(trip->server));
	buf_append_string(http_exchange_body(exchange), "hello");
	err = http_exchange_add_header(exchange, "X-Test", "value");
	if (err != 0) {
		http_exchange_discard(exchange);
		return err;
	}
	return http_exchange_start(exchange, arrived, trip);
}

static bool round_trip(uv_loop_t *loop, struct trip *trip)
{
	const struct http_client_options client = {.ca_file = "/nonexistent"};
	const struct http_server_options server = {.listen = "127.0.0.1:0", .handler = echo};

	trip->err = http_client_new(loop, &client, &trip->client);
	if (trip->err == 0)
		trip->err = http_server_new(loop, &server, &trip->server);
	if (trip->err == 0)
		trip->err = send_one(trip);
	while (trip->err == 0 && trip->ends == 0)
		uv_run(loop, UV_RUN_ONCE);
	return trip->answered > 0;
}

static void test_every_allocation(void **state)
{
	unsigned long failures = 0;
	bool happened = true;

	for (unsigned long k = 1; happened; k++) {
		struct trip trip = {0};
		uv_loop_t loop;
		bool answered;

		assert_int_equal(uv_loop_init(&loop), 0);
		failmalloc_arm(k);
		answered = round_trip(&loop, &trip);
		happened = failmalloc_disarm();
		print_message("%lu: %s\n", k, error_name(trip.err));
		failures += happened;
		assert_true(trip.ends <= 1);
		if (!happened)
			assert_true(answered);
		else if (!answered)
			assert_int_not_equal(trip.err, 0);
		http_client_close(trip.client);
		http_server_close(trip.server);
		uv_run(&loop, UV_RUN_DEFAULT);
		assert_int_equal(uv_loop_close(&loop), 0);
	}
	assert_true(failures >= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_allocation),
	};

	return cmocka_run_group_tests_name("http/nomem", tests, NULL, NULL);
}
