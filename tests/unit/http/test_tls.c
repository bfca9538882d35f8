/* TLS is always verified: the chain, the name, the dates. */
#include "world.h"

#include "bunshin/error.h"
#include "http/trust.h"
#include "tls_files.h"

#include <microhttpd.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *bytes, size_t *len, void **request)
{
	static char text[] = "secure";
	struct MHD_Response *response;
	enum MHD_Result queued;

	if (*request == NULL) {
		*request = text;
		return MHD_YES;
	}
	*len = 0;
	if (bytes != NULL)
		return MHD_YES;
	response = MHD_create_response_from_buffer(sizeof(text) - 1, text, MHD_RESPMEM_PERSISTENT);
	queued = MHD_queue_response(connection, 200, response);
	MHD_destroy_response(response);
	return queued;
}

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 10000);

	assert_non_null(file);
	assert_non_null(text);
	assert_true(fread(text, 1, 9999, file) > 0);
	fclose(file);
	return text;
}

struct https {
	struct MHD_Daemon *daemon;
	char *key, *certificate;
	int port;
};

static void https_open(struct https *https, const struct tls_files *files)
{
	https->key = read_file(files->key);
	https->certificate = read_file(files->certificate);
	https->daemon = MHD_start_daemon(MHD_USE_TLS | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL,
		NULL, answer, NULL, MHD_OPTION_HTTPS_MEM_KEY, https->key, MHD_OPTION_HTTPS_MEM_CERT,
		https->certificate, MHD_OPTION_END);
	assert_non_null(https->daemon);
	https->port = MHD_get_daemon_info(https->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

static void https_close(struct https *https)
{
	MHD_stop_daemon(https->daemon);
	free(https->key);
	free(https->certificate);
}

static void get(struct world *world, const struct https *https, const char *host)
{
	struct http_exchange *exchange = http_exchange_new(world->client);
	unsigned calls = world->last.calls;

	buf_appendf(http_exchange_url(exchange), "https://%s:%d/", host, https->port);
	buf_append_string(http_exchange_body(exchange), "body");
	assert_int_equal(http_exchange_start(exchange, outcome_done, &world->last), 0);
	world_until(world, &world->last.calls, calls + 1);
}

static void test_own_authority(void **state)
{
	static const enum http_version versions[] = {
		HTTP_VERSION_AUTO, HTTP_VERSION_1_1, HTTP_VERSION_2};
	struct tls_files files;
	struct https https;

	tls_files_make(&files, "localhost");
	https_open(&https, &files);
	for (size_t i = 0; i < 3; i++) {
		const struct http_client_options options = {
			.ca_file = files.ca, .version = versions[i]};
		struct world world;

		world_open(&world);
		world_client(&world, &options);
		for (int k = 0; k < 3; k++) {
			get(&world, &https, "localhost");
			assert_int_equal(world.last.err, 0);
			assert_string_equal(world.last.body, "secure");
		}
		world_close(&world);
	}
	https_close(&https);
	tls_files_remove(&files);
}

/* A server without HTTP/2 gets as many connections as it needs, all at once. */
static void test_auto_without_http2(void **state)
{
	struct tls_files files;
	struct https https;
	struct world world;
	struct outcome outcomes[20] = {0};
	struct http_client_options options = {0};

	tls_files_make(&files, "localhost");
	https_open(&https, &files);
	options.ca_file = files.ca;
	world_open(&world);
	world_client(&world, &options);
	for (int i = 0; i < 20; i++) {
		struct http_exchange *exchange = http_exchange_new(world.client);

		buf_appendf(http_exchange_url(exchange), "https://localhost:%d/", https.port);
		assert_int_equal(http_exchange_start(exchange, outcome_done, &outcomes[i]), 0);
	}
	for (int i = 0; i < 20; i++) {
		world_until(&world, &outcomes[i].calls, 1);
		assert_int_equal(outcomes[i].err, 0);
		outcome_free(&outcomes[i]);
	}
	world_close(&world);
	https_close(&https);
	tls_files_remove(&files);
}

/* Bundles that were read. */
static unsigned loads;
int __real_X509_STORE_load_file(X509_STORE *store, const char *file);
int __wrap_X509_STORE_load_file(X509_STORE *store, const char *file);

int __wrap_X509_STORE_load_file(X509_STORE *store, const char *file)
{
	loads++;
	return __real_X509_STORE_load_file(store, file);
}

/* However many connections, shards and clients: one reading. */
static void test_bundle_is_read_once(void **state)
{
	struct tls_files files;
	struct https https;
	struct http_client_options options = {.shard_connections = 1};

	tls_files_make(&files, "localhost");
	https_open(&https, &files);
	options.ca_file = files.ca;
	loads = 0;
	trust_prepare(files.ca);
	assert_int_equal(loads, 1);
	for (int client = 0; client < 2; client++) {
		struct outcome outcomes[5] = {0};
		struct world world;

		world_open(&world);
		world_client(&world, &options);
		for (int i = 0; i < 5; i++) {
			struct http_exchange *exchange = http_exchange_new(world.client);

			buf_appendf(
				http_exchange_url(exchange), "https://localhost:%d/", https.port);
			assert_int_equal(
				http_exchange_start(exchange, outcome_done, &outcomes[i]), 0);
		}
		for (int i = 0; i < 5; i++) {
			world_until(&world, &outcomes[i].calls, 1);
			assert_int_equal(outcomes[i].err, 0);
			outcome_free(&outcomes[i]);
		}
		assert_int_equal(http_client_connections_opened(world.client), 5);
		world_close(&world);
	}
	assert_int_equal(loads, 1);
	https_close(&https);
	tls_files_remove(&files);
}

static void copy_file(const char *from, const char *to)
{
	char *text = read_file(from);
	FILE *file = fopen(to, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	free(text);
}

static void get_anew(const struct https *https, const char *ca_file, int err, const char *words)
{
	const struct http_client_options options = {.ca_file = ca_file};
	struct world world;

	world_open(&world);
	world_client(&world, &options);
	get(&world, https, "localhost");
	assert_int_equal(world.last.err, err);
	assert_non_null(strstr(world.last.detail, words));
	world_close(&world);
}

/* A bundle that is renewed while the process runs counts for the next connection. */
static void test_bundle_is_renewed(void **state)
{
	struct tls_files files, others;
	struct https https;
	char bundle[128];

	tls_files_make(&files, "localhost");
	tls_files_make(&others, "localhost");
	https_open(&https, &files);
	snprintf(bundle, sizeof(bundle), "%s/bundle.pem", others.directory);
	get_anew(&https, bundle, ERR_TLS, bundle);
	get_anew(&https, bundle, ERR_TLS, "No such file or directory");
	copy_file(others.ca, bundle);
	get_anew(&https, bundle, ERR_TLS, "");
	assert_int_equal(unlink(bundle), 0);
	copy_file(files.ca, bundle);
	get_anew(&https, bundle, 0, "");
	/* While it is being replaced, what was read last counts. */
	assert_int_equal(unlink(bundle), 0);
	get_anew(&https, bundle, 0, "");
	copy_file(files.key, bundle);
	get_anew(&https, bundle, 0, "");
	copy_file(others.ca, bundle);
	get_anew(&https, bundle, ERR_TLS, "");
	assert_int_equal(unlink(bundle), 0);
	https_close(&https);
	tls_files_remove(&files);
	tls_files_remove(&others);
}

static void refused(const struct tls_files *files, const char *ca_file, const char *host, bool sent)
{
	const struct http_client_options options = {.ca_file = ca_file};
	struct https https;
	struct world world;

	https_open(&https, files);
	world_open(&world);
	world_client(&world, &options);
	get(&world, &https, host);
	print_message("%s\n", world.last.detail);
	assert_int_equal(world.last.err, ERR_TLS);
	assert_int_equal(world.last.sent, sent);
	assert_int_not_equal(world.last.detail[0], '\0');
	world_close(&world);
	https_close(&https);
}

static void test_what_is_refused(void **state)
{
	struct tls_files files, others, expired;

	tls_files_make(&files, "localhost");
	tls_files_make(&others, "localhost");
	tls_files_make_expired(&expired, "localhost");
	refused(&files, NULL, "localhost", false); /* the system's authorities do not know it */
	refused(&files, others.ca, "localhost", false);	   /* another authority of the same name */
	refused(&files, files.ca, "127.0.0.1", false);	   /* another host name */
	refused(&expired, expired.ca, "localhost", false); /* out of date */
	refused(&files, "/nonexistent/ca.pem", "localhost", false);
	refused(&files, files.key, "localhost", false); /* no certificate in it */
	tls_files_remove(&files);
	tls_files_remove(&others);
	tls_files_remove(&expired);
}

/* Plain HTTP where TLS is expected. */
static void test_no_tls_at_all(void **state)
{
	struct world world;
	struct http_exchange *exchange;

	world_open(&world);
	world_client(&world, NULL);
	world_echo_server(&world);
	exchange = http_exchange_new(world.client);
	buf_appendf(http_exchange_url(exchange), "https://%s/", http_server_address(world.server));
	assert_int_equal(http_exchange_start(exchange, outcome_done, &world.last), 0);
	world_until(&world, &world.last.calls, 1);
	assert_int_equal(world.last.err, ERR_TLS);
	assert_false(world.last.sent);
	world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_authority),
		cmocka_unit_test(test_auto_without_http2),
		cmocka_unit_test(test_bundle_is_read_once),
		cmocka_unit_test(test_bundle_is_renewed),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_no_tls_at_all),
	};

	return cmocka_run_group_tests_name("http/tls", tests, NULL, NULL);
}
