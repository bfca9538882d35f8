#include "bunshin/error.h"
#include "http/client_impl.h"
#include "http/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Blank exchanges kept, and the largest buffer that each of them keeps. */
#define POOLED_MAX 4096
#define POOLED_BUFFER_BYTES ((size_t)16 << 10)

static void overwrite(struct buf *buf)
{
	if (buf->data != NULL)
		explicit_bzero(buf->data, buf->capacity + 1);
}

static void wipe_secrets(struct http_exchange *exchange)
{
	if (!exchange->client->options.secret_answers)
		return;
	overwrite(&exchange->url);
	overwrite(&exchange->set_url);
	exchange->set_url.len = 0;
	overwrite(&exchange->body);
	overwrite(&exchange->headers);
	overwrite(&exchange->answer);
}

void exchange_free(struct http_exchange *exchange)
{
	list_remove(&exchange->node);
	timeout_stop(exchange);
	channel_leave(exchange);
	if (exchange->shard != NULL)
		shard_remove(exchange->shard, exchange);
	if (exchange->easy != NULL)
		curl_easy_cleanup(exchange->easy);
	wipe_secrets(exchange);
	curl_url_cleanup(exchange->parsed);
	buf_free(&exchange->url);
	buf_free(&exchange->set_url);
	buf_free(&exchange->body);
	buf_free(&exchange->headers);
	buf_free(&exchange->head_start);
	buf_free(&exchange->answer);
	free(exchange->nodes);
	free(exchange);
}

static struct http_exchange *exchange_create(struct http_client *client)
{
	const struct http_client_options *options = &client->options;
	struct http_exchange *exchange = calloc(1, sizeof(*exchange));

	if (exchange == NULL)
		return NULL;
	exchange->client = client;
	list_init(&exchange->node);
	list_init(&exchange->waiting);
	list_init(&exchange->overdue);
	buf_init(&exchange->url, options->max_request_bytes);
	buf_init(&exchange->set_url, options->max_request_bytes);
	buf_init(&exchange->body, options->max_request_bytes);
	buf_init(&exchange->headers, REQUEST_HEADERS_MAX_BYTES);
	buf_init(&exchange->head_start, HEAD_START_MAX_BYTES(options));
	buf_init(&exchange->answer, options->max_answer_bytes);
	exchange->easy = curl_easy_init();
	if (exchange->easy == NULL || easy_set_up(exchange) != 0) {
		exchange_free(exchange);
		return NULL;
	}
	return exchange;
}

static void blank(struct buf *buf)
{
	if (buf->capacity > POOLED_BUFFER_BYTES)
		buf_free(buf);
	buf_clear(buf);
}

static void swap(struct buf *a, struct buf *b)
{
	struct buf c = *a;

	*a = *b;
	*b = c;
}

/*
 * URL and headers are written before the start and not needed after it. Most requests are filled
 * one after the other, and one memory, which stays in the processor's cache, serves all of them.
 */
static void take_spare(struct http_exchange *exchange)
{
	struct http_client *client = exchange->client;

	if (exchange->url.data == NULL)
		swap(&exchange->url, &client->spare_url);
	if (exchange->headers.data == NULL)
		swap(&exchange->headers, &client->spare_headers);
}

static void leave_spare(struct buf *buf, struct buf *spare)
{
	blank(buf);
	if (spare->data == NULL)
		swap(buf, spare);
	else
		buf_free(buf);
}

struct http_exchange *http_exchange_new(struct http_client *client)
{
	struct list *node = list_first(&client->pooled);
	struct http_exchange *exchange;

	if (node != NULL) {
		list_remove(node);
		client->pooled_count--;
		exchange = list_entry(node, struct http_exchange, node);
	} else {
		exchange = exchange_create(client);
		if (exchange == NULL)
			return NULL;
	}
	exchange->method = "POST";
	exchange->timeout_ms = client->options.timeout_ms;
	exchange->departs = NULL;
	take_spare(exchange);
	list_append(&client->filling, &exchange->node);
	return exchange;
}

/* Back to the pool, blank; the easy handle keeps its options. */
static void recycle(struct http_exchange *exchange)
{
	struct http_client *client = exchange->client;

	if (client->closing || exchange->spent || client->pooled_count >= POOLED_MAX) {
		exchange_free(exchange);
		return;
	}
	list_remove(&exchange->node);
	wipe_secrets(exchange);
	leave_spare(&exchange->url, &client->spare_url);
	leave_spare(&exchange->headers, &client->spare_headers);
	if (exchange->set_url.capacity > POOLED_BUFFER_BYTES) {
		blank(&exchange->set_url);
		blank(&exchange->head_start);
	}
	blank(&exchange->body);
	blank(&exchange->answer);
	exchange->header_count = 0;
	exchange->has_content_type = false;
	exchange->has_user_agent = false;
	exchange->has_accept = false;
	exchange->hosts = 0;
	exchange->sends = 0;
	exchange->resends = 0;
	exchange->refusals = 0;
	exchange->begins_anew = false;
	exchange->refused = false;
	exchange->reused = false;
	exchange->answer_header_bytes = 0;
	exchange->answer_initials = 0;
	exchange->headers_complete = false;
	exchange->dropped_bytes = 0;
	exchange->too_large = false;
	exchange->cut = false;
	exchange->given_up = false;
	exchange->late = false;
	exchange->refusal.problem = NULL;
	exchange->refusal.opened = false;
	exchange->error[0] = '\0';
	list_prepend(&client->pooled, &exchange->node);
	client->pooled_count++;
}

void http_exchange_discard(struct http_exchange *exchange)
{
	recycle(exchange);
}

struct buf *http_exchange_url(struct http_exchange *exchange)
{
	return &exchange->url;
}

struct buf *http_exchange_body(struct http_exchange *exchange)
{
	return &exchange->body;
}

void http_exchange_set_method(struct http_exchange *exchange, const char *method)
{
	exchange->method = method;
}

void http_exchange_set_timeout(struct http_exchange *exchange, int64_t timeout_ms)
{
	exchange->timeout_ms = timeout_ms;
}

void http_exchange_tell_departure(struct http_exchange *exchange, void (*departs)(void *arg))
{
	exchange->departs = departs;
}

/* Into flight and out of it. The loop has a reason to go on while something is. */
static void count_start(struct http_client *client)
{
	if (client->in_flight++ == 0)
		uv_ref((uv_handle_t *)&client->timer);
}

static void count_end(struct http_client *client)
{
	if (--client->in_flight == 0)
		uv_unref((uv_handle_t *)&client->timer);
}

static int buffer_error(const struct http_exchange *exchange)
{
	const struct buf *bufs[] = {&exchange->url, &exchange->body, &exchange->headers};

	for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
		if (bufs[i]->err != 0)
			return bufs[i]->err == ERR_NOMEM ? ERR_NOMEM : ERR_ARGUMENT;
	return 0;
}

static int start(struct http_exchange *exchange)
{
	struct http_client *client = exchange->client;
	struct shard *shard;
	int err;

	if (client->in_flight >= client->options.max_in_flight)
		return ERR_LIMIT;
	err = buffer_error(exchange);
	if (err == 0)
		err = easy_set_request(exchange);
	if (err == 0)
		err = shard_find(client, &shard);
	if (err == 0)
		err = timeout_start(exchange);
	if (err == 0)
		err = shard_add(shard, exchange);
	if (err != 0)
		timeout_stop(exchange);
	return err;
}

int http_exchange_start(struct http_exchange *exchange, http_done *done, void *arg)
{
	struct http_client *client = exchange->client;
	int err = start(exchange);

	if (err != 0) {
		recycle(exchange);
		return err;
	}
	if (!client->options.secret_answers) /* else they are wiped at the end */
		leave_spare(&exchange->url, &client->spare_url);
	if (exchange->has_target)
		leave_spare(&exchange->headers, &client->spare_headers);
	exchange->done = done;
	exchange->arg = arg;
	list_remove(&exchange->node);
	list_append(&client->running, &exchange->node);
	count_start(client);
	return 0;
}

void http_exchange_cancel(struct http_exchange *exchange)
{
	timeout_stop(exchange);
	shard_remove(exchange->shard, exchange);
	channel_leave(exchange);
	count_end(exchange->client);
	recycle(exchange);
}

/*
 * curl 7.88 calls a header line past its own limit (100 KiB) "Out of memory". Real shortage looks
 * different: it hits before an answer starts, or curl's callers in their own allocations.
 */
static bool is_endless_line(const struct http_exchange *exchange, CURLcode code)
{
	curl_off_t first_byte_us = 0;

	if (code != CURLE_OUT_OF_MEMORY)
		return false;
	curl_easy_getinfo(exchange->easy, CURLINFO_STARTTRANSFER_TIME_T, &first_byte_us);
	return first_byte_us > 0;
}

/*
 * A kept-alive connection that was closed before the answer's first line: by the other side's own
 * time-out, most often, while the request was on its way. curl then begins a second time, which
 * on_send() stops; or says that it could not send or receive.
 */
static bool is_stale(const struct http_exchange *exchange, CURLcode code)
{
	if (!exchange->reused || exchange->answer_header_bytes > 0)
		return false;
	return exchange->sends > 1 || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR ||
	       code == CURLE_GOT_NOTHING;
}

/* No address that it could have gone to may be connected to. */
static int refused(struct http_exchange *exchange, struct http_response *response)
{
	snprintf(exchange->error, sizeof(exchange->error),
		"the host's address %s is %s, which request.allow_addresses does not have",
		exchange->refusal.address, exchange->refusal.problem);
	response->detail = exchange->error;
	return ERR_NOT_ALLOWED;
}

/* What curl's code means, given what the callbacks and the handle know. */
static void judge(struct http_exchange *exchange, CURLcode code, struct http_response *response)
{
	long status = 0, request_bytes = 0;
	bool unprocessed = channel_is_unprocessed(exchange);

	curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
	/* Of one that curl was not even given it has the last request's. */
	if (exchange->sends == 0 && !exchange->given_up && !exchange->late)
		curl_easy_getinfo(exchange->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
	response->sent = (request_bytes > 0 || exchange->sends > 0) && !unprocessed;
	response->detail = exchange->error[0] ? exchange->error : curl_easy_strerror(code);
	response->err = easy_error(code);
	if (code == CURLE_SSL_CACERT_BADFILE)
		response->detail = trust_words();
	if (exchange->refusal.problem != NULL && !exchange->refusal.opened && !response->sent)
		response->err = refused(exchange, response);
	if (exchange->answer.err == ERR_NOMEM || exchange->given_up) {
		response->err = ERR_NOMEM;
	} else if (exchange->too_large || is_endless_line(exchange, code)) {
		response->err = ERR_ANSWER_TOO_LARGE;
		response->detail = error_message(ERR_ANSWER_TOO_LARGE);
	} else if (exchange->cut) {
		response->err = 0;
	}
	if (unprocessed && (code == CURLE_OK || response->err == ERR_NETWORK ||
				   response->err == ERR_PROTOCOL || exchange->sends > 1)) {
		response->err = ERR_NETWORK;
		response->detail = "the server refused to look at it";
	} else if (exchange->sends > 1) {
		response->err = ERR_NETWORK;
		response->detail = "the connection was closed before an answer";
	} else if (response->err == 0 && !exchange->headers_complete) {
		/* curl takes a connection that closes inside of the headers for a good answer. */
		response->err = ERR_NETWORK;
		response->detail = "the connection was closed inside of the answer's headers";
	} else if (response->err == 0 && (status < 200 || status > 599)) {
		response->err = ERR_PROTOCOL;
		response->detail = "the answer's status is not one of 200 to 599";
	}
	response->stale = response->err != 0 && is_stale(exchange, code);
	if (response->err == 0) {
		response->status = (int)status;
		response->detail = "";
	}
}

void exchange_finish(struct http_exchange *exchange, CURLcode code)
{
	struct http_client *client = exchange->client;
	struct http_response response = {
		.body = &exchange->answer,
		.duration_us = (uv_hrtime() - exchange->started_ns) / 1000,
	};

	/* First out of the way, so that `done` can start the next one in its place. */
	timeout_stop(exchange);
	shard_remove(exchange->shard, exchange);
	list_remove(&exchange->node);
	count_end(client);
	judge(exchange, code, &response);
	/* curl may remember a refused stream until the next time that it begins anew. */
	exchange->spent = exchange->channel != NULL && response.err != 0;
	exchange->done(exchange->arg, exchange, &response);
	channel_leave(exchange);
	recycle(exchange);
}

void exchange_time_out(struct http_exchange *exchange)
{
	size_t answer_bytes = exchange->answer_header_bytes + exchange->answer.len;

	exchange->late = exchange->sends == 0;
	if (exchange->late)
		snprintf(exchange->error, sizeof(exchange->error), "Timed out before it was sent");
	else
		snprintf(exchange->error, sizeof(exchange->error),
			"Timed out after %lld ms, with %zu bytes of the answer",
			(long long)exchange->timeout_ms, answer_bytes);
	exchange_finish(exchange, CURLE_OPERATION_TIMEDOUT);
}

const char *http_exchange_answer_header(struct http_exchange *exchange, const char *name)
{
	struct curl_header *header;

	/* Most that are asked for are not there, and curl would compare them with all that are. */
	if ((exchange->answer_initials & header_initial(name[0])) == 0)
		return NULL;
	/* -1: of the last answer, so not of a 1xx before it. */
	if (curl_easy_header(exchange->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}
