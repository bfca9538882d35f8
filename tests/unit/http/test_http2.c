/* HTTP/2 against nghttpd (package nghttp2-server): by prior knowledge, and by ALPN over TLS. */
#include "world.h"

#include "bunshin/error.h"
#include "tls_files.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct nghttpd {
	uv_process_t process;
	unsigned exited;
	char address[64];
};

static void on_exit_of_nghttpd(uv_process_t *process, int64_t status, int signal)
{
	struct nghttpd *nghttpd = process->data;

	nghttpd->exited++;
	uv_close((uv_handle_t *)process, NULL);
}

static int free_port(void)
{
	struct sockaddr_in name = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
	} address = {.v4 = name};
	socklen_t len = sizeof(address.v4);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, &address.any, len), 0);
	assert_int_equal(getsockname(fd, &address.any, &len), 0);
	close(fd);
	return ntohs(address.v4.sin_port);
}

/* Until it answers: another process may have taken the port in between, hence the tries. */
static bool answers(struct world *world, struct nghttpd *nghttpd, const char *scheme)
{
	for (int i = 0; i < 300 && !nghttpd->exited; i++) {
		struct http_exchange *exchange = http_exchange_new(world->client);
		unsigned calls = world->last.calls;

		buf_appendf(http_exchange_url(exchange), "%s://%s/", scheme, nghttpd->address);
		assert_int_equal(http_exchange_start(exchange, outcome_done, &world->last), 0);
		world_until(world, &world->last.calls, calls + 1);
		if (world->last.err == 0)
			return true;
		usleep(10000);
	}
	return false;
}

static void spawn(struct world *world, struct nghttpd *nghttpd, const struct tls_files *tls)
{
	char port[16];
	char *plain[] = {(char[]){"nghttpd"}, (char[]){"-a"}, (char[]){"127.0.0.1"},
		(char[]){"--echo-upload"}, (char[]){"-m"}, (char[]){"200"}, (char[]){"--no-tls"},
		port, NULL};
	char *secure[] = {plain[0], plain[1], plain[2], plain[3], plain[4], plain[5], port,
		tls ? strdup(tls->key) : NULL, tls ? strdup(tls->certificate) : NULL, NULL};
	uv_process_options_t options = {
		.file = "nghttpd", .args = tls ? secure : plain, .exit_cb = on_exit_of_nghttpd};
	int number = free_port();

	memset(nghttpd, 0, sizeof(*nghttpd));
	snprintf(port, sizeof(port), "%d", number);
	snprintf(nghttpd->address, sizeof(nghttpd->address), "%s:%d",
		tls ? "localhost" : "127.0.0.1", number);
	nghttpd->process.data = nghttpd;
	/* When it is missing: scripts/setup installs it. */
	assert_int_equal(uv_spawn(&world->loop, &nghttpd->process, &options), 0);
	free(secure[7]);
	free(secure[8]);
}

static void stop(struct world *world, struct nghttpd *nghttpd)
{
	if (!nghttpd->exited)
		uv_process_kill(&nghttpd->process, SIGKILL);
	world_until(world, &nghttpd->exited, 1);
}

static void run_100_streams(enum http_version version, const struct tls_files *tls)
{
	const struct http_client_options options = {
		.shard_connections = 128, .version = version, .ca_file = tls ? tls->ca : NULL};
	const char *scheme = tls ? "https" : "http";
	struct outcome *outcomes = calloc(100, sizeof(*outcomes));
	struct world world;
	struct nghttpd nghttpd;
	uint64_t opened;
	char body[32];

	assert_non_null(outcomes);
	world_open(&world);
	spawn(&world, &nghttpd, tls);
	world_client(&world, &options);
	assert_true(answers(&world, &nghttpd, scheme));
	opened = http_client_connections_opened(world.client);
	for (int round = 1; round <= 3; round++) {
		for (int i = 0; i < 100; i++) {
			struct http_exchange *exchange = http_exchange_new(world.client);

			buf_appendf(http_exchange_url(exchange), "%s://%s/%d", scheme,
				nghttpd.address, i);
			buf_appendf(http_exchange_body(exchange), "body %d", i);
			outcomes[i].header_name = "Server";
			assert_int_equal(
				http_exchange_start(exchange, outcome_done, &outcomes[i]), 0);
		}
		for (int i = 0; i < 100; i++) {
			world_until(&world, &outcomes[i].calls, (unsigned)round);
			snprintf(body, sizeof(body), "body %d", i);
			assert_int_equal(outcomes[i].err, 0);
			assert_int_equal(outcomes[i].status, 200);
			assert_string_equal(outcomes[i].body, body);
			assert_memory_equal(outcomes[i].header, "nghttpd", 7);
		}
	}
	/* One connection carries them all. */
	assert_int_equal(http_client_connections_opened(world.client), opened);
	for (int i = 0; i < 100; i++)
		outcome_free(&outcomes[i]);
	free(outcomes);
	stop(&world, &nghttpd);
	world_close(&world);
}

static void test_prior_knowledge(void **state)
{
	run_100_streams(HTTP_VERSION_2, NULL);
}

static void test_alpn(void **state)
{
	struct tls_files tls;

	tls_files_make(&tls, "localhost");
	run_100_streams(HTTP_VERSION_AUTO, &tls);
	run_100_streams(HTTP_VERSION_2, &tls);
	tls_files_remove(&tls);
}

/* Streams are cancelled one by one; the others do not notice. Then the server dies. */
static void cancel_streams_and_lose_the_server(const struct tls_files *tls)
{
	const char *scheme = tls ? "https" : "http";
	const struct http_client_options options = {
		.version = HTTP_VERSION_2, .ca_file = tls ? tls->ca : NULL};
	struct outcome outcomes[20] = {0};
	struct http_exchange *exchanges[20], *lost;
	struct world world;
	struct nghttpd nghttpd;

	world_open(&world);
	spawn(&world, &nghttpd, tls);
	world_client(&world, &options);
	assert_true(answers(&world, &nghttpd, scheme));
	for (int turns = 0; turns < 6; turns++) {
		memset(outcomes, 0, sizeof(outcomes));
		for (int i = 0; i < 20; i++) {
			exchanges[i] = http_exchange_new(world.client);
			buf_appendf(http_exchange_url(exchanges[i]), "%s://%s/", scheme,
				nghttpd.address);
			buf_append_string(http_exchange_body(exchanges[i]), "x");
			assert_int_equal(
				http_exchange_start(exchanges[i], outcome_done, &outcomes[i]), 0);
		}
		for (int i = 0; i < turns; i++)
			uv_run(&world.loop, UV_RUN_NOWAIT);
		for (int i = 0; i < 20; i += 2)
			if (outcomes[i].calls == 0)
				http_exchange_cancel(exchanges[i]);
		for (int i = 1; i < 20; i += 2) {
			world_until(&world, &outcomes[i].calls, 1);
			assert_int_equal(outcomes[i].err, 0);
		}
		for (int i = 0; i < 20; i++)
			outcome_free(&outcomes[i]);
	}
	stop(&world, &nghttpd);
	world_settle(&world);
	lost = http_exchange_new(world.client);
	buf_appendf(http_exchange_url(lost), "%s://%s/", scheme, nghttpd.address);
	assert_int_equal(http_exchange_start(lost, outcome_done, &world.last), 0);
	world_until(&world, &world.last.calls, world.last.calls + 1);
	/* libcurl 7.88 does not always see that the connection has ended before it uses it. */
	if (world.last.stale)
		assert_int_equal(world.last.err, ERR_NETWORK);
	else
		assert_int_equal(world.last.err, ERR_CONNECT);
	world_close(&world);
}

static void test_cancel_streams_and_lose_the_server(void **state)
{
	struct tls_files tls;

	tls_files_make(&tls, "localhost");
	cancel_streams_and_lose_the_server(&tls);
	cancel_streams_and_lose_the_server(NULL);
	tls_files_remove(&tls);
}

static void start_plain(struct world *world, const char *host, const struct nghttpd *nghttpd,
	struct outcome *outcome)
{
	struct http_exchange *exchange = http_exchange_new(world->client);

	buf_appendf(
		http_exchange_url(exchange), "http://%s%s/", host, strrchr(nghttpd->address, ':'));
	buf_append_string(http_exchange_body(exchange), "x");
	assert_int_equal(http_exchange_start(exchange, outcome_done, outcome), 0);
}

/*
 * All that can make the guess of plain_http2.c wrong, by turns: nobody has a connection yet, two
 * hosts in one shard, and a server that is gone and comes back.
 */
static void test_plain_connections_come_and_go(void **state)
{
	static const char *const hosts[] = {"127.0.0.1", "localhost"};
	const struct http_client_options options = {.version = HTTP_VERSION_2};
	struct outcome outcomes[60] = {0};
	struct world world;

	world_open(&world);
	world_client(&world, &options);
	for (unsigned server = 0; server < 3; server++) {
		struct nghttpd nghttpd;
		uint64_t opened;

		spawn(&world, &nghttpd, NULL);
		assert_true(answers(&world, &nghttpd, "http"));
		for (unsigned round = 0; round < 4; round++) {
			opened = http_client_connections_opened(world.client);
			for (unsigned i = 0; i < 60; i++) {
				outcomes[i].calls = 0;
				start_plain(&world, hosts[i % 2], &nghttpd, &outcomes[i]);
			}
			for (unsigned i = 0; i < 60; i++) {
				world_until(&world, &outcomes[i].calls, 1);
				assert_string_equal(outcomes[i].detail, "");
				assert_int_equal(outcomes[i].err, 0);
				assert_string_equal(outcomes[i].body, "x");
			}
		}
		/* The last round found connections for all of its requests. */
		assert_int_equal(http_client_connections_opened(world.client), opened);
		stop(&world, &nghttpd);
	}
	for (unsigned i = 0; i < 60; i++)
		outcome_free(&outcomes[i]);
	world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prior_knowledge),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_cancel_streams_and_lose_the_server),
		cmocka_unit_test(test_plain_connections_come_and_go),
	};

	return cmocka_run_group_tests_name("http/http2", tests, NULL, NULL);
}
