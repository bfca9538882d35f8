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

/* This shard's part of them; 0: no limit. */
static long connections_max(const struct shard *shard)
{
	const struct http_client *client = shard->client;
	size_t all = client->options.max_connections, shards = client->shards_max;

	return shards == 0 ? 0 : (long)(all / shards + (shard->index < all % shards));
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
	code |= curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections_max(shard));
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

static void on_due(struct clock_timer *timer)
{
	struct shard *shard = list_entry(timer, struct shard, timer);

	timer_heap_set(&shard->client->timers, timer, SHARD_NO_TIMER);
	shard_run(shard, CURL_SOCKET_TIMEOUT, 0);
}

static int shard_new(struct http_client *client, struct shard **ret_shard)
{
	struct shard *shard = calloc(1, sizeof(*shard));

	if (shard == NULL)
		return ERR_NOMEM;
	shard->client = client;
	shard->index = client->shard_count;
	list_init(&shard->channels);
	list_init(&shard->kicked);
	shard->timer.fire = on_due;
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
	channels_leave(shard);
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
	struct http_client *client = shard->client;

	if (shard->multi == NULL && open_multi(shard) != 0)
		return ERR_NOMEM;
	shard->in_flight++;
	exchange->shard = shard;
	list_append(&client->starting, &exchange->waiting);
	client->row++;
	client_start_kick(client);
	return 0;
}

void shard_start(struct http_exchange *exchange)
{
	struct shard *shard = exchange->shard;

	if (timeout_is_noted(exchange)) {
		exchange_time_out(exchange);
		return;
	}
	if (plain_http2_set(exchange, shard) == 0 &&
		(channel_holds(shard, exchange) ||
			curl_multi_add_handle(shard->multi, exchange->easy) == CURLM_OK))
		return;
	exchange->given_up = true;
	exchange_finish(exchange, CURLE_OUT_OF_MEMORY);
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
 * timers untold, so that only the exchange's time-out would end it; and 7.88 divides by zero once
 * it comes to note a socket of that number again. It does not say which transfer that is: all that
 * are under way are given up, and the CURLM with them.
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

void shard_start_again(struct http_exchange *exchange)
{
	struct shard *shard = exchange->shard;

	exchange->turn_due = false;
	exchange->error[0] = '\0';
	if (timeout_is_noted(exchange)) {
		exchange_time_out(exchange);
		return;
	}
	if ((shard->multi == NULL && open_multi(shard) != 0) || plain_http2_turn(exchange) != 0 ||
		curl_multi_add_handle(shard->multi, exchange->easy) != CURLM_OK)
		exchange_finish(exchange, CURLE_OUT_OF_MEMORY);
}

/* Curl has ended a transfer. */
static void end(struct shard *shard, struct http_exchange *exchange, CURLcode result)
{
	bool stopped = exchange->turn_due &&
		       (result == CURLE_ABORTED_BY_CALLBACK || result == CURLE_COULDNT_CONNECT);

	if (exchange->late) {
		exchange_time_out(exchange);
		return;
	}
	if (!stopped && !channel_may_resend(exchange, result)) {
		exchange_finish(exchange, result);
		return;
	}
	curl_multi_remove_handle(shard->multi, exchange->easy);
	if (!stopped)
		channel_resend(exchange);
	if (list_is_empty(&exchange->waiting)) /* else it starts when the wait is over */
		shard_start_again(exchange);
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
	channels_after_run(shard);
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
	else
		channels_count(shard);
}
