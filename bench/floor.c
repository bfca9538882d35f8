/*
 * The floor of the benchmark: a bare libcurl and libuv loop that only POSTs. It shares no code with
 * src/, does what the documentation of both libraries shows, and nothing that it can leave out: its
 * CPU time per request is what the libraries cost, and what a worker's is measured against. The
 * options and the line that it prints are in post.h.
 */
#include "post.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* Older ones cannot use a connection twice that HTTP/2 was begun on without TLS. */
#define PLAIN_HTTP2_REUSE_VERSION 0x080100

struct shard {
	CURLM *multi;
	uv_timer_t timer;
};

struct watch {
	uv_poll_t poll;
	struct shard *shard;
	curl_socket_t fd;
};

static const struct post_options *options;
static uv_loop_t loop;

static size_t discard(char *bytes, size_t size, size_t len, void *arg)
{
	return size * len;
}

static void drain(struct shard *shard)
{
	struct CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(shard->multi, &left)) != NULL) {
		CURL *easy = message->easy_handle;
		CURLcode code = message->data.result;
		long status = 0;

		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
		post_finish(code == CURLE_OK && status >= 200 && status <= 299);
		curl_multi_remove_handle(shard->multi, easy);
		if (post_start())
			curl_multi_add_handle(shard->multi, easy);
	}
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;
	struct shard *shard = watch->shard;
	int flags = status < 0 ? CURL_CSELECT_ERR : 0, running;

	flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
	flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
	curl_multi_socket_action(shard->multi, watch->fd, flags, &running);
	drain(shard);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *assigned)
{
	struct shard *shard = arg;
	struct watch *watch = assigned;
	int events =
		(what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);

	if (what == CURL_POLL_REMOVE) {
		if (watch != NULL)
			uv_close((uv_handle_t *)&watch->poll, on_closed);
		curl_multi_assign(shard->multi, fd, NULL);
		return 0;
	}
	if (watch == NULL) {
		watch = calloc(1, sizeof(*watch));
		post_check(watch != NULL, "calloc");
		watch->shard = shard;
		watch->fd = fd;
		post_check(
			uv_poll_init_socket(&loop, &watch->poll, fd) == 0, "uv_poll_init_socket");
		watch->poll.data = watch;
		curl_multi_assign(shard->multi, fd, watch);
	}
	uv_poll_start(&watch->poll, events, on_poll);
	return 0;
}

static void on_timer(uv_timer_t *timer)
{
	struct shard *shard = timer->data;
	int running;

	curl_multi_socket_action(shard->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	drain(shard);
}

static int on_timeout(CURLM *multi, long timeout_ms, void *arg)
{
	struct shard *shard = arg;

	if (timeout_ms < 0)
		uv_timer_stop(&shard->timer);
	else
		uv_timer_start(&shard->timer, on_timer, (uint64_t)timeout_ms, 0);
	return 0;
}

static void shard_open(struct shard *shard)
{
	shard->multi = curl_multi_init();
	post_check(shard->multi != NULL, "curl_multi_init");
	uv_timer_init(&loop, &shard->timer);
	shard->timer.data = shard;
	curl_multi_setopt(shard->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(shard->multi, CURLMOPT_SOCKETDATA, shard);
	curl_multi_setopt(shard->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(shard->multi, CURLMOPT_TIMERDATA, shard);
}

/* HTTP/2 as curl's examples have it: one connection that all wait for. */
static void set_http2(CURL *easy)
{
	bool reuses = curl_version_info(CURLVERSION_NOW)->version_num >= PLAIN_HTTP2_REUSE_VERSION;

	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	if (strncmp(options->url, "https:", 6) == 0) {
		curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
		return;
	}
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, reuses ? 0L : 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, reuses ? 0L : 1L);
}

static CURL *easy_open(struct curl_slist *headers)
{
	CURL *easy = curl_easy_init();

	post_check(easy != NULL, "curl_easy_init");
	curl_easy_setopt(easy, CURLOPT_URL, options->url);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, options->bytes);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, options->body);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 300000L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
	if (options->ca_file != NULL)
		curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
	if (options->http2)
		set_http2(easy);
	return easy;
}

static struct curl_slist *make_headers(void)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	char line[256];

	for (size_t i = 0; i < POST_HEADERS; i++) {
		snprintf(line, sizeof(line), "%s: %s", post_headers[i].name, post_headers[i].value);
		headers = curl_slist_append(headers, line);
	}
	return headers;
}

static void run(struct shard *shards, CURL **easies)
{
	for (long i = 0; i < options->concurrency && post_start(); i++)
		curl_multi_add_handle(shards[i / options->shard].multi, easies[i]);
	while (!post_is_done())
		uv_run(&loop, UV_RUN_ONCE);
}

int main(int argc, char **argv)
{
	long shard_count;
	struct shard *shards;
	CURL **easies;
	struct curl_slist *headers;
	int code;

	options = post_parse(argc, argv);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	uv_loop_init(&loop);
	shard_count = (options->concurrency + options->shard - 1) / options->shard;
	shards = calloc((size_t)shard_count, sizeof(*shards));
	easies = calloc((size_t)options->concurrency, sizeof(CURL *));
	headers = make_headers();
	post_check(shards != NULL && easies != NULL && headers != NULL, "allocation");
	post_begin();
	for (long i = 0; i < shard_count; i++)
		shard_open(&shards[i]);
	for (long i = 0; i < options->concurrency; i++)
		easies[i] = easy_open(headers);
	run(shards, easies);
	code = post_report();
	for (long i = 0; i < options->concurrency; i++)
		curl_easy_cleanup(easies[i]);
	for (long i = 0; i < shard_count; i++) {
		curl_multi_cleanup(shards[i].multi);
		uv_close((uv_handle_t *)&shards[i].timer, NULL);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	curl_slist_free_all(headers);
	free(shards);
	free(easies);
	return code;
}
