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

static int set_up_multi(struct shard *shard)
{
	long connections = (long)shard->client->options.shard_connections;
	CURLM *multi = shard->multi;
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

static int shard_new(struct http_client *client, struct shard **ret_shard)
{
	struct shard *shard = calloc(1, sizeof(*shard));

	if (shard == NULL)
		return ERR_NOMEM;
	shard->client = client;
	shard->index = client->shard_count;
	list_init(&shard->kicked);
	shard->multi = curl_multi_init();
	if (shard->multi == NULL || set_up_multi(shard) != 0 ||
		timer_heap_set(&client->timers, &shard->timer, SHARD_NO_TIMER) != 0) {
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

void shard_run(struct shard *shard, curl_socket_t fd, int events)
{
	struct http_client *client = shard->client;
	struct CURLMsg *message;
	int running, left;

	curl_multi_socket_action(shard->multi, fd, events, &running);
	while ((message = curl_multi_info_read(shard->multi, &left)) != NULL) {
		CURLcode code = message->data.result;
		char *exchange = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
		exchange_finish((struct http_exchange *)(void *)exchange, code);
		if (client->closing)
			return; /* the shard is gone */
	}
}
