#include "bunshin/error.h"
#include "http/client_impl.h"

#include <stdlib.h>

/* curl says when it wants to be run next; 0 is soon, but never from inside of this callback. */
static int timeout_changed(CURLM *multi, long timeout_ms, void *arg)
{
	struct shard *shard = arg;
	struct http_client *client = shard->client;
	uint64_t due_us = SHARD_NO_TIMER;

	if (client->closing)
		return 0;
	if (timeout_ms == 0) {
		list_remove(&shard->kicked);
		if (list_is_empty(&client->kicked))
			client_start_kick(client);
		list_append(&client->kicked, &shard->kicked);
	} else if (timeout_ms > 0) {
		due_us = (uv_now(client->loop) + (uint64_t)timeout_ms) * 1000;
	}
	timer_heap_set(&client->timers, &shard->timer, due_us); /* moves it: cannot fail */
	client_arm_timer(client);
	return 0;
}

static int set_up_multi(struct shard *shard, CURLM *multi)
{
	long connections = (long)shard->client->options.shard_connections;
	CURLMcode code = CURLM_OK;

	/* Each of these only stores a value. */
	code |= curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
	code |= curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, shard);
	code |= curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timeout_changed);
	code |= curl_multi_setopt(multi, CURLMOPT_TIMERDATA, shard);
	code |= curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	code |= curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections);
	code |= curl_multi_setopt(multi, CURLMOPT_MAX_CONCURRENT_STREAMS, connections);
	return code == CURLM_OK ? 0 : ERR_NOMEM;
}

static int open_multi(struct shard *shard)
{
	CURLM *multi = curl_multi_init();

	if (multi == NULL)
		return ERR_NOMEM;
	if (set_up_multi(shard, multi) != 0) {
		curl_multi_cleanup(multi);
		return ERR_NOMEM;
	}
	shard->multi = multi;
	shard->speaks_http2 = false;
	return 0;
}

static int shard_new(struct http_client *client, struct shard **ret_shard)
{
	struct shard *shard = calloc(1, sizeof(*shard));

	if (shard == NULL)
		return ERR_NOMEM;
	shard->client = client;
	shard->index = client->shard_count;
	list_init(&shard->kicked);
	if (timer_heap_set(&client->timers, &shard->timer, SHARD_NO_TIMER) != 0) {
		shard_free(shard);
		return ERR_NOMEM;
	}
	*ret_shard = shard;
	return 0;
}

void shard_free(struct shard *shard)
{
	list_remove(&shard->kicked);
	if (shard->multi != NULL)
		curl_multi_cleanup(shard->multi);
	timer_heap_clear(&shard->client->timers, &shard->timer);
	free(shard);
}

static int grow(struct http_client *client)
{
	size_t capacity = client->shard_capacity ? client->shard_capacity * 2 : 8;
	struct shard **shards;

	if (client->shard_count < client->shard_capacity)
		return 0;
	shards = realloc(client->shards, capacity * sizeof(struct shard *));
	if (shards == NULL)
		return ERR_NOMEM;
	client->shards = shards;
	client->shard_capacity = capacity;
	return 0;
}

static bool is_full(const struct shard *shard)
{
	return shard->in_flight >= shard->client->options.shard_connections;
}

int shard_find(struct http_client *client, struct shard **ret_shard)
{
	struct shard *shard;
	int err;

	while (client->roomy < client->shard_count && is_full(client->shards[client->roomy]))
		client->roomy++;
	if (client->roomy < client->shard_count) {
		*ret_shard = client->shards[client->roomy];
		return 0;
	}
	err = grow(client);
	if (err == 0)
		err = shard_new(client, &shard);
	if (err != 0)
		return err;
	client->shards[client->shard_count++] = shard;
	*ret_shard = shard;
	return 0;
}

int shard_add(struct shard *shard, struct http_exchange *exchange)
{
	if (shard->multi == NULL && open_multi(shard) != 0)
		return ERR_NOMEM;
	if (plain_http2_set(exchange, shard) != 0)
		return ERR_NOMEM;
	if (curl_multi_add_handle(shard->multi, exchange->easy) != CURLM_OK)
		return ERR_NOMEM;
	shard->in_flight++;
	exchange->shard = shard;
	return 0;
}

void shard_remove(struct shard *shard, struct http_exchange *exchange)
{
	curl_multi_remove_handle(shard->multi, exchange->easy);
	shard->in_flight--;
	exchange->shard = NULL;
	if (shard->index < shard->client->roomy)
		shard->client->roomy = shard->index;
}

static struct http_exchange *first_given_up(const struct shard *shard)
{
	list_for_each (node, &shard->client->running) {
		struct http_exchange *exchange = list_entry(node, struct http_exchange, node);

		if (exchange->shard == shard && exchange->given_up)
			return exchange;
	}
	return NULL;
}

/*
 * When it cannot note a socket for want of memory, curl leaves that transfer unwatched and its own
 * timers untold, so that not even its time-out would end it; and 7.88 divides by zero once it comes
 * to note a socket of that number again. It does not say which transfer that is: all that are under
 * way are given up, and the CURLM with them.
 */
static void give_up(struct shard *shard)
{
	struct http_client *client = shard->client;
	struct http_exchange *exchange;

	list_for_each (node, &client->running) {
		exchange = list_entry(node, struct http_exchange, node);
		if (exchange->shard != shard)
			continue;
		exchange->given_up = true;
		curl_multi_remove_handle(shard->multi, exchange->easy);
	}
	curl_multi_cleanup(shard->multi);
	shard->multi = NULL;
	sockets_close_unseen(client); /* curl has closed the descriptor and told nobody */
	/* `done` may start others, cancel some of these, or close the client. */
	while (!client->closing && (exchange = first_given_up(shard)) != NULL)
		exchange_finish(exchange, CURLE_OUT_OF_MEMORY);
}

/* Puts a transfer that curl has ended back to its start. */
static bool start_again(struct shard *shard, struct http_exchange *exchange)
{
	curl_multi_remove_handle(shard->multi, exchange->easy);
	return plain_http2_turn(exchange) == 0 &&
	       curl_multi_add_handle(shard->multi, exchange->easy) == CURLM_OK;
}

static void end(struct shard *shard, struct http_exchange *exchange, CURLcode result)
{
	if (result == CURLE_ABORTED_BY_CALLBACK && exchange->turn_due) {
		if (start_again(shard, exchange))
			return;
		result = CURLE_OUT_OF_MEMORY;
	}
	exchange_finish(exchange, result);
}

void shard_run(struct shard *shard, curl_socket_t fd, int events)
{
	struct http_client *client = shard->client;
	struct CURLMsg *message;
	CURLMcode code;
	int running, left;

	if (shard->multi == NULL)
		return;
	code = curl_multi_socket_action(shard->multi, fd, events, &running);
	while ((message = curl_multi_info_read(shard->multi, &left)) != NULL) {
		CURLcode result = message->data.result;
		char *exchange = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
		end(shard, (struct http_exchange *)(void *)exchange, result);
		if (client->closing)
			return; /* the shard is gone */
	}
	if (code != CURLM_OK)
		give_up(shard);
}
