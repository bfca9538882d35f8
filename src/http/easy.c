#include "bunshin/error.h"
#include "http/client_impl.h"
#include "http/token.h"
#include "http/trust.h"

#include <stdlib.h>
#include <string.h>

/* Header lines of one exchange, interim answers and trailers included. */
#define ANSWER_HEADERS_MAX_BYTES ((size_t)64 << 10)
/*
 * curl's own are 16 and 64 KiB; 16 is the least that it takes for the second. With the byte that
 * curl adds to the first it is as large as a piece of base/pieces.h, no more.
 */
#define CUT_ANSWER_BUFFER_BYTES 1535L
#define CUT_ANSWER_UPLOAD_BYTES ((long)16 << 10)
/* Of a truncated answer so much is read and dropped to save the connection; then it is cut. */
#define ANSWER_DRAIN_MAX_BYTES ((size_t)256 << 10)

static size_t on_header(char *line, size_t size, size_t len, void *arg)
{
	struct http_exchange *exchange = arg;

	len *= size;
	exchange->answer_header_bytes += len;
	if (exchange->answer_header_bytes > ANSWER_HEADERS_MAX_BYTES) {
		exchange->too_large = true;
		return 0;
	}
	exchange->answer_initials |= header_initial(line[0]);
	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0)
		exchange->headers_complete = false; /* 1xx ones may have come before */
	else if (line[0] == '\r' || line[0] == '\n')
		exchange->headers_complete = true;
	return len;
}

/* realloc() would leave a copy of what had come so far behind. */
static int grow_secret(struct buf *answer, size_t extra)
{
	struct buf larger = BUF_INIT(answer->max);
	size_t room = answer->max - answer->len;

	if (answer->data != NULL && extra <= answer->capacity - answer->len)
		return 0;
	if (extra < answer->len)
		extra = answer->len;
	if (buf_reserve(&larger, answer->len + (extra < room ? extra : room)) == NULL) {
		answer->err = larger.err;
		return larger.err;
	}
	buf_append(&larger, answer->data, answer->len);
	buf_wipe(answer);
	*answer = larger;
	return 0;
}

static size_t on_body(char *bytes, size_t size, size_t len, void *arg)
{
	struct http_exchange *exchange = arg;
	const struct http_client_options *options = &exchange->client->options;
	size_t room = options->max_answer_bytes - exchange->answer.len;
	size_t taken;

	len *= size;
	taken = len < room ? len : room;
	if (options->secret_answers && grow_secret(&exchange->answer, taken) != 0)
		return 0;
	if (buf_append(&exchange->answer, bytes, taken) != 0)
		return 0;
	if (taken == len)
		return len;
	if (!options->truncate_answer) {
		exchange->too_large = true;
		return 0;
	}
	exchange->dropped_bytes += len - taken;
	if (exchange->dropped_bytes > ANSWER_DRAIN_MAX_BYTES) {
		exchange->cut = true;
		return 0;
	}
	return len;
}

/*
 * Runs before each time that curl sends the request. When a kept-alive connection closes before
 * an answer, curl would send it once more by itself, POSTs too, although the other side may have
 * acted on it: whether to send again is decided above, where attempts are counted.
 */
static int on_send(void *arg, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
	struct http_exchange *exchange = arg;
	long connects = 0;

	if (exchange->sends > 0) {
		exchange->sends++;
		return CURL_PREREQFUNC_ABORT;
	}
	exchange->late = timeout_is_over(exchange);
	if (exchange->late)
		return CURL_PREREQFUNC_ABORT;
	curl_easy_getinfo(exchange->easy, CURLINFO_NUM_CONNECTS, &connects);
	exchange->reused = connects == 0;
	if (!plain_http2_may_send(exchange) || !channel_enter(exchange, local_port))
		return CURL_PREREQFUNC_ABORT;
	exchange->sends++;
	if (exchange->departs != NULL)
		exchange->departs(exchange->arg);
	return CURL_PREREQFUNC_OK;
}

/*
 * curl has a buffer for each transfer that waits for its answer, and over TLS another for the
 * request. Where answers are cut anyway, the smaller ones hold most of them in one piece.
 */
static int set_buffers(CURL *easy)
{
	SET(easy, CURLOPT_BUFFERSIZE, CUT_ANSWER_BUFFER_BYTES);
	SET(easy, CURLOPT_UPLOAD_BUFFERSIZE, CUT_ANSWER_UPLOAD_BYTES);
	return 0;
}

static int set_transport(CURL *easy, const struct http_client *client)
{
	const struct http_client_options *options = &client->options;

	SET(easy, CURLOPT_SHARE, client->share);
	SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
	SET(easy, CURLOPT_PATH_AS_IS, 1L);
	SET(easy, CURLOPT_NOSIGNAL, 1L);
	SET(easy, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name look-up that was given up */
	SET(easy, CURLOPT_UNIX_SOCKET_PATH, options->unix_path);
	SET(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms);
	SET(easy, CURLOPT_TCP_NODELAY, 1L);
	SET(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	SET(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* What is trusted comes from trust_apply() alone. */
	SET(easy, CURLOPT_CAINFO, (const char *)NULL);
	SET(easy, CURLOPT_CAPATH, (const char *)NULL);
	SET(easy, CURLOPT_SSL_CTX_FUNCTION, trust_apply);
	SET(easy, CURLOPT_SSL_CTX_DATA, client->ca_file);
	SET(easy, CURLOPT_PIPEWAIT, 1L); /* counts for HTTP/2 only */
	/* Without a proxy to find there curl need not search the environment for every request,
	 * nor copy the names of what its certificates are looked up in. */
	if (!client->may_proxy) {
		SET(easy, CURLOPT_NOPROXY, "*");
		SET(easy, CURLOPT_PROXY_CAINFO, (const char *)NULL);
		SET(easy, CURLOPT_PROXY_CAPATH, (const char *)NULL);
	}
	SET(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	return 0;
}

int easy_set_up(struct http_exchange *exchange)
{
	struct http_client *client = exchange->client;
	CURL *easy = exchange->easy;

	SET(easy, CURLOPT_PRIVATE, exchange);
	SET(easy, CURLOPT_ERRORBUFFER, exchange->error);
	SET(easy, CURLOPT_OPENSOCKETFUNCTION, socket_open);
	SET(easy, CURLOPT_OPENSOCKETDATA, exchange);
	SET(easy, CURLOPT_CLOSESOCKETFUNCTION, socket_close);
	SET(easy, CURLOPT_CLOSESOCKETDATA, client);
	SET(easy, CURLOPT_HEADERFUNCTION, on_header);
	SET(easy, CURLOPT_HEADERDATA, exchange);
	SET(easy, CURLOPT_WRITEFUNCTION, on_body);
	SET(easy, CURLOPT_WRITEDATA, exchange);
	SET(easy, CURLOPT_PREREQFUNCTION, on_send);
	SET(easy, CURLOPT_PREREQDATA, exchange);
	SET(easy, CURLOPT_DEBUGFUNCTION, words_heard);
	SET(easy, CURLOPT_DEBUGDATA, exchange);
	/* Else it is one of the request's own headers, which curl writes once, not twice. */
	if (client->may_proxy)
		SET(easy, CURLOPT_USERAGENT, client->options.user_agent);
	if (client->options.truncate_answer && set_buffers(easy) != 0)
		return ERR_NOMEM;
	return set_transport(easy, client);
}

static bool sends_body(const struct http_exchange *exchange)
{
	const char *method = exchange->method;

	return exchange->body.len > 0 || strcmp(method, "POST") == 0 ||
	       strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
}

static int set_method(struct http_exchange *exchange, bool with_body)
{
	const char *method = exchange->method;
	const char *plain = with_body ? "POST" : "GET";
	CURL *easy = exchange->easy;

	if (with_body) {
		SET(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->body.len);
		SET(easy, CURLOPT_POSTFIELDS, buf_string(&exchange->body));
	}
	if (method == exchange->set_method && with_body == exchange->set_with_body)
		return 0;
	if (token_length(method) == 0)
		return ERR_ARGUMENT;
	exchange->set_method = NULL; /* until all of it is set */
	if (with_body)
		SET(easy, CURLOPT_POST, 1L);
	else if (strcmp(method, "HEAD") == 0)
		SET(easy, CURLOPT_NOBODY, 1L);
	else
		SET(easy, CURLOPT_HTTPGET, 1L);
	if (strcmp(method, plain) == 0 || (!with_body && strcmp(method, "HEAD") == 0))
		SET(easy, CURLOPT_CUSTOMREQUEST, (const char *)NULL);
	else
		SET(easy, CURLOPT_CUSTOMREQUEST, method);
	exchange->set_method = method;
	exchange->set_with_body = with_body;
	return 0;
}

int easy_set_request(struct http_exchange *exchange)
{
	bool with_body = sends_body(exchange);
	int err = easy_set_url(exchange);

	if (err == 0)
		err = set_method(exchange, with_body);
	if (err == 0)
		err = head_set(exchange, with_body);
	return err;
}

int easy_error(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
		return ERR_DNS;
	case CURLE_COULDNT_CONNECT:
	case CURLE_PROXY:
		return ERR_CONNECT;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_ENGINE_NOTFOUND:
	case CURLE_SSL_ENGINE_SETFAILED:
	case CURLE_SSL_ENGINE_INITFAILED:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_USE_SSL_FAILED:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CRL_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_SSL_CLIENTCERT:
		return ERR_TLS;
	case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9, that is: no HTTP at all */
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_HTTP2:
		return ERR_PROTOCOL;
	case CURLE_FILESIZE_EXCEEDED:
		return ERR_ANSWER_TOO_LARGE;
	case CURLE_URL_MALFORMAT:
		return ERR_ARGUMENT;
	case CURLE_OUT_OF_MEMORY:
		return ERR_NOMEM;
	default: /* broken, reset or closed early in all its spellings */
		return ERR_NETWORK;
	}
}
