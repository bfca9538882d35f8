/*
 * The floor's requests through the client of src/http: what our own use of the libraries costs, and
 * saves, without queue, JSON and templates. The options and the line that it prints are in post.h.
 */
#include "post.h"

#include "http/client.h"

#include <uv.h>

static const struct post_options *options;
static struct http_client *client;

static void send_one(void);

static void on_answer(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	(void)arg, (void)exchange;
	post_finish(response->err == 0 && response->status <= 299);
	if (post_start())
		send_one();
}

static void send_one(void)
{
	struct http_exchange *exchange = http_exchange_new(client);
	int err = 0;

	post_check(exchange != NULL, "http_exchange_new");
	buf_append_string(http_exchange_url(exchange), options->url);
	for (size_t i = 0; i < POST_HEADERS && err == 0; i++)
		err = http_exchange_add_header(
			exchange, post_headers[i].name, post_headers[i].value);
	buf_append(http_exchange_body(exchange), options->body, (size_t)options->bytes);
	if (err == 0)
		err = http_exchange_start(exchange, on_answer, NULL);
	post_check(err == 0, "http_exchange_start");
}

int main(int argc, char **argv)
{
	struct http_client_options settings = {
		.version = HTTP_VERSION_1_1,
		.connect_timeout_ms = 300000, /* thousands open TLS at a time */
		.timeout_ms = 300000,
		.max_answer_bytes = 4096, /* about what http_target.c takes */
		.truncate_answer = true,
	};
	uv_loop_t loop;
	int code;

	options = post_parse(argc, argv);
	settings.shard_connections = (unsigned)options->shard;
	settings.max_in_flight = (unsigned)options->concurrency;
	settings.ca_file = options->ca_file;
	if (options->http2)
		settings.version = HTTP_VERSION_2;
	uv_loop_init(&loop);
	http_client_prepare();
	post_begin();
	post_check(http_client_new(&loop, &settings, &client) == 0, "http_client_new");
	for (long i = 0; i < options->concurrency && post_start(); i++)
		send_one();
	while (!post_is_done())
		uv_run(&loop, UV_RUN_ONCE);
	code = post_report();
	http_client_close(client);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	return code;
}
