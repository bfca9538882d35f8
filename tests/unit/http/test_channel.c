/*
 * What an HTTP/2 server does with requests under way, and what becomes of them: nothing that it may
 * have acted on is sent again, everything that it has not looked at is.
 */
#include "http2_peer.h"
#include "tls_files.h"

#include "bunshin/error.h"
#include "http/http2_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERNS = 256 };

static void start(struct world *world, const char *scheme, const char *address, const char *body,
	struct outcome *outcome)
{
	struct http_exchange *exchange = http_exchange_new(world->client);

	buf_appendf(http_exchange_url(exchange), "%s://%s/", scheme, address);
	buf_append_string(http_exchange_body(exchange), body);
	http_exchange_tell_departure(exchange, outcome_departs);
	assert_int_equal(http_exchange_start(exchange, outcome_done, outcome), 0);
}

/* What may come of one request, given what was done with it. */
static void check(const struct script *script, const struct http2_peer *peer, int at,
	const struct outcome *outcome)
{
	bool acted = !peer->above[at], ok = outcome->err == 0;
	enum deed deed = peer->deed[at];

	assert_int_equal(outcome->calls, 1);
	assert_false(!ok && !outcome->sent); /* nobody refuses it thrice */
	if (ok)
		assert_int_equal(outcome->status, 200);
	if (acted && deed == DEED_INTERNAL)
		assert_false(ok);
	/* A reset takes with it what the client had not read; and it reads no answer to what is
	 * above the last stream. */
	if (script->end == END_RESET || script->broken)
		return;
	if (acted && deed != DEED_INTERNAL && deed != DEED_REFUSE) {
		assert_true(ok);
		assert_int_equal(peer->arrivals[at], 1);
	}
	if (!acted)
		assert_true(ok);
	/* Where the connection ends with it, libcurl makes no difference to INTERNAL_ERROR. */
	if (acted && deed == DEED_REFUSE && script->end == END_KEEP && script->goaway < 0)
		assert_true(ok);
	if (ok && (!acted || deed == DEED_REFUSE))
		assert_int_equal(peer->arrivals[at], 2);
}

static void run(const struct script *script, struct http2_tls_context *tls, const char *ca_file)
{
	const struct http_client_options options = {.version = HTTP_VERSION_2, .ca_file = ca_file};
	const char *scheme = tls ? "https" : "http";
	struct outcome outcomes[BATCH] = {0};
	struct world world;
	struct http2_peer peer;

	world_open(&world);
	world_client(&world, &options);
	http2_peer_open(&peer, &world, script, tls);
	start(&world, scheme, peer.address, "0", &world.last);
	world_until(&world, &world.last.calls, 1);
	assert_string_equal(world.last.detail, "");
	for (int i = 0; i < BATCH; i++)
		start(&world, scheme, peer.address, (char[]){(char)('a' + i), '\0'}, &outcomes[i]);
	for (int i = 0; i < BATCH; i++)
		world_until(&world, &outcomes[i].calls, 1);
	world_settle(&world);
	assert_false(peer.repeated);
	/* All four, and what ends the first; each request would be two or three. */
	assert_in_range(peer.segments, 1, 3);
	for (int i = 0; i < BATCH; i++) {
		check(script, &peer, i, &outcomes[i]);
		outcome_free(&outcomes[i]);
	}
	http2_peer_close(&peer);
	world_close(&world);
}

static void sweep(int step, struct http2_tls_context *tls, const char *ca_file)
{
	struct script script = {0};

	for (int pattern = 0; pattern < PATTERNS; pattern += step)
		for (script.goaway = -1; script.goaway <= BATCH; script.goaway++)
			for (int end = 0; end < END_COUNT; end++) {
				for (int i = 0; i < BATCH; i++)
					script.deeds[i] = pattern >> (2 * i) & 3;
				script.end = end;
				run(&script, tls, ca_file);
			}
}

/* As nghttp2's servers do when they are flooded, see http2_link.c. */
static void test_a_goaway_that_is_not_kept(void **state)
{
	struct script script = {.broken = true};

	for (int pattern = 0; pattern < PATTERNS; pattern += 5)
		for (script.goaway = 0; script.goaway <= BATCH; script.goaway++) {
			for (int i = 0; i < BATCH; i++)
				script.deeds[i] = pattern >> (2 * i) & 3;
			script.end = pattern % END_COUNT;
			run(&script, NULL, NULL);
		}
}

static void test_whatever_becomes_of_streams(void **state)
{
	sweep(7, NULL, NULL);
}

static void test_whatever_becomes_of_streams_over_tls(void **state)
{
	struct tls_files files;
	struct http2_tls_context *tls;
	char error[256];

	tls_files_make(&files, "localhost");
	assert_int_equal(
		http2_tls_context_new(files.certificate, files.key, error, sizeof(error), &tls), 0);
	sweep(29, tls, files.ca); /* handshakes take their time */
	http2_tls_context_free(tls);
	tls_files_remove(&files);
}

/* Against the server: what arrives and what comes of it, by number. */

enum { MANY = 60, ROUNDS = 60 };

struct counted {
	struct world world;
	const struct tls_files *tls; /* NULL: clear */
	struct http2_server *server;
	unsigned arrived[MANY * ROUNDS];
	unsigned refuse_each, asked; /* 0: none */
	unsigned max_connections;    /* 0: as many as are needed */
	unsigned most_connections;   /* at once, as the client counts them */
	unsigned cut_at, handled;    /* this one, the first being 1; 0: none */
	int64_t timeout_ms;	     /* of each; 0: the client's default */
	unsigned unsent;	     /* of those that failed */
	unsigned departures;	     /* told of */
	unsigned late_ms;	     /* after that the very first is answered; 0: at once */
	uv_timer_t late;
	struct http_call *first;
	unsigned handled_before; /* it was answered, the first among them */
};

static void answer_first(uv_timer_t *late)
{
	struct counted *counted = late->data;

	counted->handled_before = counted->handled;
	http_call_reply(counted->first, &(struct http_reply){.status = 200});
	uv_close((uv_handle_t *)late, NULL);
}

static void on_first_gone(void *arg, struct http_call *call)
{
	struct counted *counted = arg;

	uv_close((uv_handle_t *)&counted->late, NULL);
}

static void keep_first(struct counted *counted, struct http_call *call)
{
	counted->first = call;
	http_call_keep(call, on_first_gone, counted);
	uv_timer_init(&counted->world.loop, &counted->late);
	counted->late.data = counted;
	uv_timer_start(&counted->late, answer_first, counted->late_ms, 0);
}

static void on_call(void *arg, struct http_call *call)
{
	struct counted *counted = arg;
	size_t len;
	int number = (int)strtol(http_call_body(call, &len), NULL, 10);

	assert_in_range(number, 0, MANY * ROUNDS - 1);
	counted->arrived[number]++;
	if (http_client_connections(counted->world.client) > counted->most_connections)
		counted->most_connections = http_client_connections(counted->world.client);
	if (++counted->handled == counted->cut_at)
		http_call_abort(call);
	else if (counted->handled == 1 && counted->late_ms > 0)
		keep_first(counted, call);
	else
		http_call_reply(call, &(struct http_reply){.status = 200});
}

static bool refuses(void *arg)
{
	struct counted *counted = arg;

	return counted->refuse_each != 0 && counted->asked++ % counted->refuse_each == 0;
}

/* Returns how many did not go well; of those it may be that they have arrived. */
static unsigned run_many(struct counted *counted, struct http2_server_options options)
{
	const struct http_client_options client = {.version = HTTP_VERSION_2,
		.shard_connections = 16,
		.max_in_flight = MANY,
		.max_connections = counted->max_connections,
		.timeout_ms = counted->timeout_ms,
		.ca_file = counted->tls ? counted->tls->ca : NULL};
	struct outcome outcomes[MANY] = {0};
	unsigned failed = 0;
	char error[256], body[8], address[32];

	options.listen = "127.0.0.1:0";
	options.handler = on_call;
	options.refuses = refuses;
	options.arg = counted;
	if (counted->tls) {
		options.certificate = counted->tls->certificate;
		options.key = counted->tls->key;
	}
	memset(counted->arrived, 0, sizeof(counted->arrived));
	counted->asked = counted->handled = counted->most_connections = counted->unsent = 0;
	counted->departures = 0;
	world_open(&counted->world);
	world_client(&counted->world, &client);
	assert_int_equal(http2_server_new(&counted->world.loop, &options, error, sizeof(error),
				 &counted->server),
		0);
	snprintf(address, sizeof(address), "localhost%s",
		strrchr(http2_server_address(counted->server), ':'));
	for (int i = 0; i < MANY; i++) {
		snprintf(body, sizeof(body), "%d", i);
		start(&counted->world, counted->tls ? "https" : "http", address, body,
			&outcomes[i]);
	}
	for (int i = 0; i < MANY; i++) {
		world_until(&counted->world, &outcomes[i].calls, 1);
		assert_true(counted->arrived[i] <= 1);
		if (outcomes[i].err == 0 || !outcomes[i].sent)
			assert_int_equal(counted->arrived[i], outcomes[i].err == 0);
		failed += outcomes[i].err != 0;
		counted->unsent += outcomes[i].err != 0 && !outcomes[i].sent;
		counted->departures += outcomes[i].departures;
		outcome_free(&outcomes[i]);
	}
	return failed;
}

static void end_many(struct counted *counted)
{
	http2_server_close(counted->server);
	world_close(&counted->world);
}

static void goaway_after_each_number(const struct tls_files *tls)
{
	struct counted counted = {.tls = tls};

	for (unsigned after = 1; after <= 20; after++) {
		assert_int_equal(
			run_many(&counted, (struct http2_server_options){.goaway_after = after}),
			0);
		end_many(&counted);
	}
}

static void test_goaway_after_each_number(void **state)
{
	goaway_after_each_number(NULL);
}

static void test_streams_are_learned(void **state)
{
	static const unsigned limits[] = {1, 2, 3, 7, 15, 16, 100};
	struct counted counted = {0};
	struct http2_server_totals totals;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		assert_int_equal(
			run_many(&counted, (struct http2_server_options){.max_streams = limits[i]}),
			0);
		http2_server_totals(counted.server, &totals);
		assert_true(totals.most_streams <= limits[i]);
		assert_int_equal(totals.refused, 0);
		assert_int_equal(http_client_requests_refused(counted.world.client), 0);
		end_many(&counted);
	}
}

/* As APNs does: one before it trusts, then many. No connection beside the four is opened for it. */
static void test_one_stream_before_the_first_answer(void **state)
{
	struct counted counted = {0};
	struct http2_server_totals totals;

	assert_int_equal(run_many(&counted, (struct http2_server_options){.max_streams = 1000,
						    .first_streams = 1}),
		0);
	http2_server_totals(counted.server, &totals);
	assert_int_equal(totals.connections, (MANY + 15) / 16);
	assert_int_equal(totals.refused, 0);
	end_many(&counted);
}

/*
 * Three seconds go by without the first answer of one of the four. One of those that wait there
 * tries: it is given that connection, and they follow.
 */
static void test_a_late_first_answer_keeps_nobody(void **state)
{
	struct counted counted = {.late_ms = 3500};
	struct http2_server_totals totals;

	assert_int_equal(run_many(&counted, (struct http2_server_options){.max_streams = 100}), 0);
	assert_int_equal(counted.handled_before, MANY);
	http2_server_totals(counted.server, &totals);
	assert_int_equal(totals.connections, (MANY + 15) / 16);
	end_many(&counted);
}

/*
 * It is given one of its own (in clear after another was opened in vain, see plain_http2.c), and
 * they follow it there.
 */
static void test_a_late_first_answer_where_one_stream_is_allowed(void **state)
{
	struct counted counted = {.late_ms = 3500};
	struct http2_server_totals totals;

	assert_int_equal(run_many(&counted, (struct http2_server_options){.max_streams = 100,
						    .first_streams = 1}),
		0);
	assert_int_equal(counted.handled_before, MANY);
	http2_server_totals(counted.server, &totals);
	assert_in_range(totals.connections, (MANY + 15) / 16 + 1, (MANY + 15) / 16 + 2);
	assert_int_equal(totals.refused, 0);
	end_many(&counted);
}

/* Nor is one that has waited for too long sent late. */
static void test_a_first_answer_that_never_comes(void **state)
{
	struct counted counted = {.late_ms = 60000, .timeout_ms = 500};

	assert_int_equal(run_many(&counted, (struct http2_server_options){.max_streams = 100}), 16);
	/* Those that began a little later than the first of all may have had a little time left. */
	assert_in_range(counted.unsent, 1, 15);
	assert_int_equal(counted.handled, MANY - counted.unsent);
	end_many(&counted);
}

/* Whatever its handle was used for before, what was not sent is said to be unsent. */
static void test_what_was_too_late_is_unsent(void **state)
{
	enum { COUNT = 16 };
	const struct http_client_options client = {.version = HTTP_VERSION_2, .timeout_ms = 500};
	struct counted counted = {0};
	struct http2_server_options options = {
		.listen = "127.0.0.1:0", .handler = on_call, .refuses = refuses, .arg = &counted};
	struct outcome outcomes[2 * COUNT] = {0};
	char error[256], address[64];
	const char *own;

	world_open(&counted.world);
	world_client(&counted.world, &client);
	assert_int_equal(http2_server_new(&counted.world.loop, &options, error, sizeof(error),
				 &counted.server),
		0);
	own = http2_server_address(counted.server);
	snprintf(address, sizeof(address), "localhost%s", strchr(own, ':'));
	for (int i = 0; i < COUNT; i++)
		start(&counted.world, "http", own, "0", &outcomes[i]);
	for (int i = 0; i < COUNT; i++)
		world_until(&counted.world, &outcomes[i].calls, 1);
	/* By another name it is another connection; its first request gets no answer. */
	counted.late_ms = 60000;
	counted.handled = 0;
	for (int i = COUNT; i < 2 * COUNT; i++)
		start(&counted.world, "http", address, "0", &outcomes[i]);
	for (int i = COUNT; i < 2 * COUNT; i++) {
		world_until(&counted.world, &outcomes[i].calls, 1);
		assert_int_equal(outcomes[i].err, ERR_TIMEOUT);
		assert_int_equal(outcomes[i].status, 0);
		assert_int_equal(outcomes[i].sent, i == COUNT);
	}
	assert_int_equal(counted.handled, 1);
	for (int i = 0; i < 2 * COUNT; i++)
		outcome_free(&outcomes[i]);
	end_many(&counted);
}

/* However many streams the server allows: what finds no room waits. */
static void test_connections_are_limited(void **state)
{
	static const unsigned limits[] = {1, 2, 3, 5};
	struct counted counted = {0};
	struct http2_server_totals totals;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		for (unsigned streams = 1; streams <= 100; streams *= 10) {
			counted.max_connections = limits[i];
			assert_int_equal(
				run_many(&counted,
					(struct http2_server_options){.max_streams = streams}),
				0);
			http2_server_totals(counted.server, &totals);
			assert_in_range(totals.most_streams, 1, streams);
			assert_in_range(counted.most_connections, 1, limits[i]);
			assert_in_range(
				http_client_take_most_streams(counted.world.client), 1, streams);
			assert_int_equal(http_client_take_most_streams(counted.world.client), 0);
			end_many(&counted);
		}
}

static void refuse_each_number(const struct tls_files *tls)
{
	struct counted counted = {.tls = tls};

	for (counted.refuse_each = 3; counted.refuse_each <= 12; counted.refuse_each++) {
		run_many(&counted, (struct http2_server_options){0});
		assert_true(http_client_requests_refused(counted.world.client) > 0);
		assert_int_equal(counted.departures,
			counted.handled + counted.unsent +
				http_client_requests_refused(counted.world.client));
		end_many(&counted);
	}
}

static void test_refused_streams_are_sent_again(void **state)
{
	refuse_each_number(NULL);
}

static void test_what_is_always_refused_fails_unsent(void **state)
{
	struct counted counted = {.refuse_each = 1};

	assert_int_equal(run_many(&counted, (struct http2_server_options){0}), MANY);
	assert_int_equal(counted.handled, 0);
	assert_int_equal(http_client_requests_refused(counted.world.client), 3 * MANY);
	assert_int_equal(counted.departures, 4 * MANY);
	end_many(&counted);
}

static void cut_at_each_request(const struct tls_files *tls)
{
	struct counted counted = {.tls = tls};

	for (counted.cut_at = 1; counted.cut_at <= 20; counted.cut_at++) {
		unsigned failed = run_many(&counted, (struct http2_server_options){0});

		assert_in_range(failed, 1, 16);
		end_many(&counted);
	}
}

static void test_a_cut_at_each_request(void **state)
{
	cut_at_each_request(NULL);
}

/* There streams are counted, and not heard but for the first one. */
static void test_the_same_over_tls(void **state)
{
	struct tls_files files;

	tls_files_make(&files, "localhost");
	goaway_after_each_number(&files);
	refuse_each_number(&files);
	cut_at_each_request(&files);
	tls_files_remove(&files);
}

/*
 * libcurl 7.88 resets each stream once it is over. Servers count that (against CVE-2023-44487), and
 * nghttp2's end a connection after the thousandth, with a GOAWAY that they do not keep.
 */
static void test_a_long_life(void **state)
{
	static struct outcome outcomes[MANY * ROUNDS];
	const struct http_client_options client = {.version = HTTP_VERSION_2};
	struct counted counted = {0};
	struct http2_server_options options = {
		.listen = "127.0.0.1:0", .handler = on_call, .refuses = refuses, .arg = &counted};
	struct http2_server_totals totals;
	char error[256], body[8];

	world_open(&counted.world);
	world_client(&counted.world, &client);
	assert_int_equal(http2_server_new(&counted.world.loop, &options, error, sizeof(error),
				 &counted.server),
		0);
	for (int i = 0; i < MANY * ROUNDS; i++) {
		snprintf(body, sizeof(body), "%d", i);
		start(&counted.world, "http", http2_server_address(counted.server), body,
			&outcomes[i]);
		if (i >= MANY)
			world_until(&counted.world, &outcomes[i - MANY].calls, 1);
	}
	for (int i = 0; i < MANY * ROUNDS; i++) {
		world_until(&counted.world, &outcomes[i].calls, 1);
		assert_int_equal(outcomes[i].err, 0);
		assert_int_equal(counted.arrived[i], 1);
		outcome_free(&outcomes[i]);
	}
	http2_server_totals(counted.server, &totals);
	assert_int_equal(totals.connections, 1);
	end_many(&counted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whatever_becomes_of_streams),
		cmocka_unit_test(test_whatever_becomes_of_streams_over_tls),
		cmocka_unit_test(test_a_goaway_that_is_not_kept),
		cmocka_unit_test(test_goaway_after_each_number),
		cmocka_unit_test(test_streams_are_learned),
		cmocka_unit_test(test_one_stream_before_the_first_answer),
		cmocka_unit_test(test_a_late_first_answer_keeps_nobody),
		cmocka_unit_test(test_a_late_first_answer_where_one_stream_is_allowed),
		cmocka_unit_test(test_a_first_answer_that_never_comes),
		cmocka_unit_test(test_what_was_too_late_is_unsent),
		cmocka_unit_test(test_connections_are_limited),
		cmocka_unit_test(test_refused_streams_are_sent_again),
		cmocka_unit_test(test_what_is_always_refused_fails_unsent),
		cmocka_unit_test(test_a_cut_at_each_request),
		cmocka_unit_test(test_the_same_over_tls),
		cmocka_unit_test(test_a_long_life),
	};

	return cmocka_run_group_tests_name("http/channel", tests, NULL, NULL);
}
