/*
 * The floor of the benchmark: a bare libcurl and libuv loop that only POSTs. It shares no code with
 * src/, does what the documentation of both libraries shows, and nothing that it can leave out: its
 * CPU time per request is what the libraries cost, and what a worker's is measured against.
 *
 *	floor --url URL [--shard N] [--bytes N] [--concurrency N] [--requests N]
 */
#include <curl/curl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

struct shard {
	CURLM *multi;
	uv_timer_t timer;
};

struct watch {
	uv_poll_t poll;
	struct shard *shard;
	curl_socket_t fd;
};

static struct options {
	long shard, bytes, concurrency, requests;
	const char *url;
} options = {.shard = 64, .bytes = 300, .concurrency = 64, .requests = 100000};

static uv_loop_t loop;
static long started, finished, failed;

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "floor: %s failed\n", what);
	exit(1);
}

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
		finished++;
		failed += code != CURLE_OK || status < 200 || status > 299;
		curl_multi_remove_handle(shard->multi, easy);
		if (started < options.requests) {
			started++;
			curl_multi_add_handle(shard->multi, easy);
		}
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
		check(watch != NULL, "calloc");
		watch->shard = shard;
		watch->fd = fd;
		check(uv_poll_init_socket(&loop, &watch->poll, fd) == 0, "uv_poll_init_socket");
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
	check(shard->multi != NULL, "curl_multi_init");
	uv_timer_init(&loop, &shard->timer);
	shard->timer.data = shard;
	curl_multi_setopt(shard->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(shard->multi, CURLMOPT_SOCKETDATA, shard);
	curl_multi_setopt(shard->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(shard->multi, CURLMOPT_TIMERDATA, shard);
}

static CURL *easy_open(struct curl_slist *headers, const char *body)
{
	CURL *easy = curl_easy_init();

	check(easy != NULL, "curl_easy_init");
	curl_easy_setopt(easy, CURLOPT_URL, options.url);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, options.bytes);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 30000L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
	return easy;
}

/* The bench's message, {"to":"U...","text":"xxx"}; of fewer bytes than its frame: only x. */
static void fill_body(char *body, size_t bytes)
{
	static const char head[] = "{\"to\":\"U00000000000000000000000000000000\",\"text\":\"";
	static const char tail[] = "\"}";

	memset(body, 'x', bytes);
	if (bytes < sizeof(head) + sizeof(tail))
		return;
	memcpy(body, head, sizeof(head) - 1);
	memcpy(body + bytes - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
}

/* The headers of a LINE push message, as the worker's benchmark sends them. */
static struct curl_slist *make_headers(void)
{
	static const char *const lines[] = {
		"Content-Type: application/json",
		"Authorization: Bearer 0123456789012345678901234567890123456789",
		"X-Line-Retry-Key: 123e4567-e89b-12d3-a456-426614174000",
		"Expect:",
	};
	struct curl_slist *headers = NULL;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		headers = curl_slist_append(headers, lines[i]);
	return headers;
}

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void run(struct shard *shards, CURL **easies)
{
	double cpu = cpu_seconds();
	uint64_t begin = uv_hrtime();
	double seconds;

	for (long i = 0; i < options.concurrency && started < options.requests; i++) {
		started++;
		curl_multi_add_handle(shards[i / options.shard].multi, easies[i]);
	}
	while (finished < started)
		uv_run(&loop, UV_RUN_ONCE);
	seconds = (double)(uv_hrtime() - begin) / 1e9;
	cpu = cpu_seconds() - cpu;
	printf("requests %ld failed %ld seconds %.3f rate %.0f cpu_us_per_request %.2f\n", finished,
		failed, seconds, (double)finished / seconds, cpu * 1e6 / (double)finished);
}

static long parse_number(const char *text)
{
	char *end;
	long number = strtol(text, &end, 10);

	check(*text != '\0' && *end == '\0' && number > 0, "parsing a number");
	return number;
}

static void parse_options(int argc, char **argv)
{
	static const struct option table[] = {
		{"url", required_argument, NULL, 'u'},
		{"shard", required_argument, NULL, 's'},
		{"bytes", required_argument, NULL, 'b'},
		{"concurrency", required_argument, NULL, 'c'},
		{"requests", required_argument, NULL, 'n'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
		long *numbers[] = {['s'] = &options.shard,
			['b'] = &options.bytes,
			['c'] = &options.concurrency,
			['n'] = &options.requests};

		if (option == '?')
			exit(2);
		if (option == 'u')
			options.url = optarg;
		else
			*numbers[option] = parse_number(optarg);
	}
	if (options.url == NULL || optind != argc) {
		fprintf(stderr, "usage: floor --url URL [--shard N] [--bytes N] [--concurrency N] "
				"[--requests N]\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	long shard_count;
	struct shard *shards;
	CURL **easies;
	struct curl_slist *headers;
	char *body;

	parse_options(argc, argv);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	uv_loop_init(&loop);
	shard_count = (options.concurrency + options.shard - 1) / options.shard;
	shards = calloc((size_t)shard_count, sizeof(*shards));
	easies = calloc((size_t)options.concurrency, sizeof(CURL *));
	body = malloc((size_t)options.bytes);
	headers = make_headers();
	check(shards != NULL && easies != NULL && body != NULL && headers != NULL, "allocation");
	fill_body(body, (size_t)options.bytes);
	for (long i = 0; i < shard_count; i++)
		shard_open(&shards[i]);
	for (long i = 0; i < options.concurrency; i++)
		easies[i] = easy_open(headers, body);
	run(shards, easies);
	for (long i = 0; i < options.concurrency; i++)
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
	free(body);
	return failed == 0 ? 0 : 1;
}
