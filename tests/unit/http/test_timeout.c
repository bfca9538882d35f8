/* The time-outs of requests, where the process did not run for a while. */
#include "bunshin/error.h"
#include "world.h"

#include <unistd.h>

#define MANY 70 /* more than one row, and than one CURLM */
#define AMPLE_MS 3000
#define SHORT_MS 50

static const struct peer_answer good = {.text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"};
static const struct peer_answer silence = {.text = ""};

static void stop_for_longer_than(int64_t timeout_ms)
{
	usleep((useconds_t)(timeout_ms + 20) * 1000);
}

static void start(
	struct world *world, const char *address, int64_t timeout_ms, http_done *done, void *arg)
{
	struct http_exchange *exchange = world_exchange(world, address, "/");

	http_exchange_set_timeout(exchange, timeout_ms);
	assert_int_equal(http_exchange_start(exchange, done, arg), 0);
}

/* What has been done is not to be done again because nobody looked. */
static void test_answers_that_are_there_count(void **state)
{
	static struct outcome outcomes[MANY];
	struct world world;
	struct peer peer;
	unsigned read = 0;

	world_open(&world);
	world_client(&world, NULL);
	peer_open(&peer, &world, &good, 1);
	for (int i = 0; i < MANY; i++)
		start(&world, peer.address, AMPLE_MS, outcome_done, &outcomes[i]);
	world_until(&world, &peer.requests, MANY);
	for (int i = 0; i < MANY; i++)
		read += outcomes[i].calls;
	assert_in_range(read, 0, MANY - 1);
	stop_for_longer_than(AMPLE_MS);
	for (int i = 0; i < MANY; i++) {
		world_until(&world, &outcomes[i].calls, 1);
		assert_int_equal(outcomes[i].err, 0);
		assert_string_equal(outcomes[i].body, "hi");
		outcome_free(&outcomes[i]);
	}
	peer_close(&peer);
	world_close(&world);
}

/* The rest of this one is not there, though its beginning is. */
static void test_half_an_answer_does_not_count(void **state)
{
	static const struct peer_answer half = {
		.text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi"};
	struct world world;
	struct peer peer;

	world_open(&world);
	world_client(&world, NULL);
	peer_open(&peer, &world, &half, 1);
	start(&world, peer.address, AMPLE_MS, outcome_done, &world.last);
	world_until(&world, &peer.requests, 1);
	stop_for_longer_than(AMPLE_MS);
	world_until(&world, &world.last.calls, 1);
	assert_int_equal(world.last.err, ERR_TIMEOUT);
	assert_true(world.last.sent);
	assert_string_equal(
		world.last.detail, "Timed out after 3000 ms, with 40 bytes of the answer");
	peer_close(&peer);
	world_close(&world);
}

static void assert_unsent(const struct world *world)
{
	assert_int_equal(world->last.err, ERR_TIMEOUT);
	assert_int_equal(world->last.status, 0);
	assert_false(world->last.sent);
	assert_string_equal(world->last.detail, "Timed out before it was sent");
}

/* Stopped between its start and the turn of the loop in which it would have been sent. */
static void test_what_was_not_sent_in_time_is_not_sent(void **state)
{
	struct world world;
	struct peer peer;

	world_open(&world);
	world_client(&world, NULL);
	peer_open(&peer, &world, &good, 1);
	for (unsigned connections = 0; connections <= 1; connections++) {
		unsigned calls = world.last.calls, requests = peer.requests;

		start(&world, peer.address, SHORT_MS, outcome_done, &world.last);
		stop_for_longer_than(SHORT_MS);
		world_until(&world, &world.last.calls, calls + 1);
		world_settle(&world);
		assert_unsent(&world);
		assert_int_equal(peer.requests, requests);
		assert_int_equal(http_client_connections(world.client), connections);
		world_request(&world, peer.address, "/", "x"); /* for the next round */
		assert_int_equal(world.last.err, 0);
	}
	peer_close(&peer);
	world_close(&world);
}

struct stopper {
	struct world *world;
	const char *address;
	unsigned calls;
};

static void start_another_and_stop(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct stopper *stopper = arg;

	assert_int_equal(response->err, 0);
	start(stopper->world, stopper->address, SHORT_MS, outcome_done, &stopper->world->last);
	stop_for_longer_than(SHORT_MS);
	stopper->calls++;
}

/* Stopped in the turn in which it would have been sent, when its timers have run already. */
static void test_what_was_not_sent_in_time_within_a_turn(void **state)
{
	struct world world;
	struct peer peer;
	struct stopper stopper = {.world = &world, .address = peer.address};

	world_open(&world);
	world_client(&world, NULL);
	peer_open(&peer, &world, &good, 1);
	for (unsigned round = 1; round <= 2; round++) {
		start(&world, peer.address, AMPLE_MS, start_another_and_stop, &stopper);
		world_until(&world, &world.last.calls, round);
		world_settle(&world);
		assert_unsent(&world);
		assert_int_equal(stopper.calls, round);
		assert_int_equal(peer.requests, round);
	}
	peer_close(&peer);
	world_close(&world);
}

static void test_waits_for_a_connection_no_longer_than_its_time(void **state)
{
	const struct http_client_options options = {.max_connections = 1};
	struct world world;
	struct peer peer;
	struct outcome first = {0};
	struct http_exchange *exchange;

	world_open(&world);
	world_client(&world, &options);
	peer_open(&peer, &world, &silence, 1);
	exchange = world_exchange(&world, peer.address, "/");
	assert_int_equal(http_exchange_start(exchange, outcome_done, &first), 0);
	world_until(&world, &peer.requests, 1);
	start(&world, peer.address, SHORT_MS, outcome_done, &world.last);
	world_until(&world, &world.last.calls, 1);
	assert_unsent(&world);
	assert_int_equal(first.calls, 0);
	http_exchange_cancel(exchange);
	peer_close(&peer);
	world_close(&world);
}

struct closer {
	struct world *world;
	unsigned calls;
};

static void close_client(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct closer *closer = arg;

	assert_int_equal(response->err, ERR_TIMEOUT);
	closer->calls++;
	http_client_close(closer->world->client);
	closer->world->client = NULL;
}

/* Of many that time out at once the first one closes the client: no other is heard of. */
static void test_close_of_the_client_by_one_that_timed_out(void **state)
{
	struct world world;
	struct closer closer = {.world = &world};
	struct peer peer;

	world_open(&world);
	world_client(&world, NULL);
	peer_open(&peer, &world, &silence, 1);
	for (int i = 0; i < MANY; i++)
		start(&world, peer.address, SHORT_MS, close_client, &closer);
	world_until(&world, &closer.calls, 1);
	world_settle(&world);
	assert_int_equal(closer.calls, 1);
	peer_close(&peer);
	world_close(&world);
}

/* Or cancels all the others. */
struct canceller {
	struct http_exchange *exchanges[MANY];
	unsigned calls;
};

static void cancel_others(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct canceller *canceller = arg;

	assert_int_equal(response->err, ERR_TIMEOUT);
	canceller->calls++;
	for (int i = 0; i < MANY; i++)
		if (canceller->exchanges[i] != exchange)
			http_exchange_cancel(canceller->exchanges[i]);
}

static void test_cancel_of_others_by_one_that_timed_out(void **state)
{
	struct world world;
	struct canceller canceller = {.calls = 0};
	struct peer peer;

	world_open(&world);
	world_client(&world, NULL);
	peer_open(&peer, &world, &silence, 1);
	for (int i = 0; i < MANY; i++) {
		canceller.exchanges[i] = world_exchange(&world, peer.address, "/");
		http_exchange_set_timeout(canceller.exchanges[i], SHORT_MS);
		assert_int_equal(
			http_exchange_start(canceller.exchanges[i], cancel_others, &canceller), 0);
	}
	world_until(&world, &canceller.calls, 1);
	world_settle(&world);
	assert_int_equal(canceller.calls, 1);
	assert_int_equal(http_client_in_flight(world.client), 0);
	peer_close(&peer);
	world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_that_are_there_count),
		cmocka_unit_test(test_half_an_answer_does_not_count),
		cmocka_unit_test(test_what_was_not_sent_in_time_is_not_sent),
		cmocka_unit_test(test_what_was_not_sent_in_time_within_a_turn),
		cmocka_unit_test(test_waits_for_a_connection_no_longer_than_its_time),
		cmocka_unit_test(test_close_of_the_client_by_one_that_timed_out),
		cmocka_unit_test(test_cancel_of_others_by_one_that_timed_out),
	};

	return cmocka_run_group_tests_name("http/timeout", tests, NULL, NULL);
}
