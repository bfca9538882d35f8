#include "http/client.h"

#include "base/pieces.h"
#include "bunshin/error.h"
#include "http/client_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARD_CONNECTIONS_DEFAULT 64
#define MAX_IN_FLIGHT_DEFAULT 10000
#define CONNECT_TIMEOUT_DEFAULT_MS 5000
#define TIMEOUT_DEFAULT_MS 30000
#define MAX_ANSWER_DEFAULT ((size_t)1 << 20)
#define MAX_REQUEST_DEFAULT ((size_t)4 << 20)
/* Of more answers at a time than that the first ones would keep what they start waiting. */
#define ROW_MAX 64
#define PLAIN_HTTP2_REUSE_VERSION 0x080100
#define USER_AGENT_DEFAULT "bunshin/" BUNSHIN_VERSION

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define MEMORY_IS_WATCHED 1
#endif
#endif

/* With memory of its own, but where a sanitizer is to see each mistake with it. */
static CURLcode curl_init(void)
{
#if defined(MEMORY_IS_WATCHED) || defined(__SANITIZE_ADDRESS__)
	return curl_global_init(CURL_GLOBAL_DEFAULT);
#else
	pieces_keep();
	return curl_global_init_mem(CURL_GLOBAL_DEFAULT, pieces_get, pieces_give_back,
		pieces_resize, pieces_copy, pieces_get_zeroed);
#endif
}

int http_client_prepare(void)
{
	static bool done;

	if (!done && curl_init() != CURLE_OK)
		return ERR_NOMEM;
	done = true;
	return 0;
}

static bool environment_names_proxy(void)
{
	static const char *const names[] = {
		"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);

		if (value != NULL && value[0] != '\0')
			return true;
	}
	return false;
}

static char *header_line(const char *name, const char *value)
{
	size_t size = strlen(name) + strlen(value) + sizeof(": ");
	char *line = malloc(size);

	if (line != NULL)
		snprintf(line, size, "%s: %s", name, value);
	return line;
}

static int set_options(struct http_client *client, const struct http_client_options *given)
{
	struct http_client_options *options = &client->options;

	*options = *given;
	if (options->shard_connections == 0)
		options->shard_connections = SHARD_CONNECTIONS_DEFAULT;
	if (options->max_in_flight == 0)
		options->max_in_flight = MAX_IN_FLIGHT_DEFAULT;
	if (options->connect_timeout_ms == 0)
		options->connect_timeout_ms = CONNECT_TIMEOUT_DEFAULT_MS;
	if (options->timeout_ms == 0)
		options->timeout_ms = TIMEOUT_DEFAULT_MS;
	if (options->max_answer_bytes == 0)
		options->max_answer_bytes = MAX_ANSWER_DEFAULT;
	if (options->max_request_bytes == 0)
		options->max_request_bytes = MAX_REQUEST_DEFAULT;
	client->user_agent = strdup(given->user_agent ? given->user_agent : USER_AGENT_DEFAULT);
	if (given->ca_file != NULL)
		client->ca_file = strdup(given->ca_file);
	if (given->unix_path != NULL)
		client->unix_path = strdup(given->unix_path);
	if (client->user_agent == NULL)
		return ERR_NOMEM;
	client->user_agent_line = header_line("User-Agent", client->user_agent);
	if (client->user_agent_line == NULL ||
		(given->ca_file != NULL && client->ca_file == NULL) ||
		(given->unix_path != NULL && client->unix_path == NULL))
		return ERR_NOMEM;
	options->user_agent = client->user_agent;
	options->ca_file = client->ca_file;
	options->unix_path = client->unix_path;
	return 0;
}

/*
 * Each shard has a part of the connections that there may be, at least one, and room for its part
 * of the requests.
 */
static void divide_connections(struct http_client *client)
{
	struct http_client_options *options = &client->options;
	unsigned shards = (options->max_in_flight + options->shard_connections - 1) /
			  options->shard_connections;

	if (options->max_connections == 0)
		return;
	if (shards > options->max_connections)
		shards = options->max_connections;
	options->shard_connections = (options->max_in_flight + shards - 1) / shards;
	client->shards_max = shards;
}

static int new_share(struct http_client *client)
{
	client->share = curl_share_init();
	if (client->share == NULL)
		return ERR_NOMEM;
	if (curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) != CURLSHE_OK ||
		curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) !=
			CURLSHE_OK)
		return ERR_NOMEM;
	return 0;
}

/* Shards with a run due; `done` may kick them again, for the next turn. */
static void on_kick(uv_idle_t *kick)
{
	struct http_client *client = kick->data;
	struct list due, *node;

	client->row = 0;
	while ((node = list_first(&client->released)) != NULL) {
		list_remove(node);
		shard_start_again(list_entry(node, struct http_exchange, waiting));
		if (client->closing)
			return;
	}
	while ((node = list_first(&client->starting)) != NULL) {
		list_remove(node);
		shard_start(list_entry(node, struct http_exchange, waiting));
		if (client->closing)
			return;
	}
	list_init(&due);
	while ((node = list_first(&client->kicked)) != NULL) {
		list_remove(node);
		list_append(&due, node);
	}
	/* A close in `done` empties `due` too: it takes every shard off whatever list it is on. */
	while ((node = list_first(&due)) != NULL) {
		list_remove(node);
		shard_run(list_entry(node, struct shard, kicked), CURL_SOCKET_TIMEOUT, 0);
	}
	if (!client->closing && list_is_empty(&client->kicked) &&
		list_is_empty(&client->released) && list_is_empty(&client->starting) &&
		list_is_empty(&client->overdue))
		uv_idle_stop(kick);
}

void client_start_kick(struct http_client *client)
{
	uv_idle_start(&client->kick, on_kick);
}

void client_end_row(struct http_client *client)
{
	if (!client->closing && client->row >= ROW_MAX)
		on_kick(&client->kick);
}

static void on_timer(uv_timer_t *handle)
{
	struct http_client *client = handle->data;
	uint64_t now_us = uv_now(client->loop) * 1000;

	client->timer_due_us = SHARD_NO_TIMER;
	while (!client->closing) {
		struct clock_timer *first = timer_heap_first(&client->timers);

		if (first == NULL || first->due_us > now_us)
			break;
		first->fire(first);
		client_end_row(client);
	}
	if (!client->closing)
		client_arm_timer(client);
}

/*
 * One libuv timer for all. It is never moved to a later instant: nearly every request would do
 * that. It then fires early once, and is set to what is really next.
 */
void client_arm_timer(struct http_client *client)
{
	struct clock_timer *first = timer_heap_first(&client->timers);
	uint64_t now_us = uv_now(client->loop) * 1000;
	uint64_t delay_us;

	if (first == NULL || first->due_us >= client->timer_due_us)
		return;
	delay_us = first->due_us > now_us ? first->due_us - now_us : 0;
	client->timer_due_us = first->due_us;
	uv_timer_start(&client->timer, on_timer, (delay_us + 999) / 1000, 0);
}

static void client_free(struct http_client *client)
{
	if (client->share != NULL)
		curl_share_cleanup(client->share);
	timer_heap_free(&client->timers);
	free(client->shards);
	free(client->sockets);
	buf_free(&client->head);
	buf_free(&client->spare_url);
	buf_free(&client->spare_headers);
	free(client->ca_file);
	free(client->user_agent);
	free(client->user_agent_line);
	free(client->unix_path);
	free(client);
}

int http_client_new(
	uv_loop_t *loop, const struct http_client_options *options, struct http_client **ret_client)
{
	struct http_client *client;
	int err = http_client_prepare();

	if (err != 0)
		return err;
	client = calloc(1, sizeof(*client));
	if (client == NULL)
		return ERR_NOMEM;
	client->loop = loop;
	list_init(&client->kicked);
	list_init(&client->released);
	list_init(&client->starting);
	list_init(&client->pooled);
	list_init(&client->filling);
	list_init(&client->running);
	client->timer_due_us = SHARD_NO_TIMER;
	client->reuses_plain_http2 =
		curl_version_info(CURLVERSION_NOW)->version_num >= PLAIN_HTTP2_REUSE_VERSION;
	client->may_proxy = !options->no_proxy && !options->unix_path && !options->guard &&
			    environment_names_proxy();
	err = set_options(client, options);
	divide_connections(client);
	buf_init(&client->head, SIZE_MAX); /* its parts have limits */
	buf_init(&client->spare_url, client->options.max_request_bytes);
	buf_init(&client->spare_headers, REQUEST_HEADERS_MAX_BYTES);
	if (err == 0)
		err = new_share(client);
	if (err != 0) {
		client_free(client);
		return err;
	}
	uv_timer_init(loop, &client->timer);
	client->timer.data = client;
	uv_unref((uv_handle_t *)&client->timer);
	uv_idle_init(loop, &client->kick);
	client->kick.data = client;
	uv_timer_init(loop, &client->hold);
	client->hold.data = client;
	uv_unref((uv_handle_t *)&client->hold);
	timeouts_init(client);
	client->open_handles = 4;
	*ret_client = client;
	return 0;
}

void client_handle_closed(struct http_client *client)
{
	if (--client->open_handles == 0)
		client_free(client);
}

static void on_handle_closed(uv_handle_t *handle)
{
	client_handle_closed(handle->data);
}

static void free_all(struct list *exchanges)
{
	list_for_each_safe (node, exchanges)
		exchange_free(list_entry(node, struct http_exchange, node));
}

void http_client_close(struct http_client *client)
{
	if (client == NULL || client->closing)
		return;
	client->closing = true;
	free_all(&client->running);
	free_all(&client->filling);
	free_all(&client->pooled);
	for (size_t i = 0; i < client->shard_count; i++)
		shard_free(client->shards[i]);
	client->shard_count = 0;
	sockets_close_all(client);
	uv_close((uv_handle_t *)&client->timer, on_handle_closed);
	uv_close((uv_handle_t *)&client->kick, on_handle_closed);
	uv_close((uv_handle_t *)&client->hold, on_handle_closed);
	uv_close((uv_handle_t *)&client->polled, on_handle_closed);
}

size_t http_client_in_flight(const struct http_client *client)
{
	return client->in_flight;
}

unsigned http_client_connections(const struct http_client *client)
{
	return client->connections;
}

unsigned http_client_take_most_streams(struct http_client *client)
{
	unsigned most = client->most_streams;

	client->most_streams = 0;
	return most;
}

uint64_t http_client_requests_refused(const struct http_client *client)
{
	return client->requests_refused;
}

uint64_t http_client_connections_opened(const struct http_client *client)
{
	return client->connections_opened;
}
