#include "bunshin/error.h"
#include "http/client_impl.h"

#include <string.h>
#include <strings.h>

static bool is_loopback(const char *host)
{
	size_t len = strlen(host);

	if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	if (len > 10 && strcasecmp(host + len - 10, ".localhost") == 0)
		return true;
	return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len;
}

/* A proxy cannot reach this machine's loopback, whatever NO_PROXY says. */
static int set_proxy(struct http_exchange *exchange)
{
	char *host = NULL;
	bool loopback;

	if (curl_url_get(exchange->parsed, CURLUPART_HOST, &host, 0) == CURLUE_OUT_OF_MEMORY)
		return ERR_NOMEM;
	loopback = host != NULL && is_loopback(host);
	curl_free(host);
	SET(exchange->easy, CURLOPT_NOPROXY, loopback ? "*" : (const char *)NULL);
	return 0;
}

/*
 * Plain http has no ALPN to wait for, so there `auto` is 1.1 and 2 is prior knowledge, which
 * libcurl before 8.1 uses up on a connection: see plain_http2.c. A proxy knows nothing of it, and
 * there each request gets a connection of its own.
 */
static int set_version(struct http_exchange *exchange, bool tls)
{
	CURL *easy = exchange->easy;
	const struct http_client *client = exchange->client;
	enum http_version version = client->options.version;
	long option = CURL_HTTP_VERSION_2TLS;
	long fresh = 0;

	exchange->plain_http2 = false;
	exchange->multiplexes = MULTIPLEXES_BY_ALPN;
	if (version == HTTP_VERSION_1_1 || (version == HTTP_VERSION_AUTO && !tls)) {
		option = CURL_HTTP_VERSION_1_1;
		exchange->multiplexes = MULTIPLEXES_NEVER;
	} else if (!tls) {
		exchange->multiplexes = MULTIPLEXES_ALWAYS;
		option = CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
		fresh = client->may_proxy && !client->reuses_plain_http2;
		exchange->plain_http2 = !client->may_proxy && !client->reuses_plain_http2;
	}
	SET(easy, CURLOPT_HTTP_VERSION, option);
	SET(easy, CURLOPT_FRESH_CONNECT, fresh);
	SET(easy, CURLOPT_FORBID_REUSE, fresh);
	return 0;
}

/* Printable ASCII only, so that nothing in it can end the request line. */
static int check_url(const struct buf *url, bool *ret_tls)
{
	const char *text = buf_string(url);
	bool tls = strncasecmp(text, "https://", 8) == 0;

	if (!tls && strncasecmp(text, "http://", 7) != 0)
		return ERR_ARGUMENT;
	for (size_t i = 0; i < url->len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return ERR_ARGUMENT;
	*ret_tls = tls;
	return 0;
}

/*
 * curl takes the text apart for each request anew, unless it is given the parts. A text that has
 * none is left to it: it has words for what is wrong.
 */
static int parse(struct http_exchange *exchange)
{
	const char *text = buf_string(&exchange->url);
	CURLUcode code;

	if (exchange->parsed == NULL && (exchange->parsed = curl_url()) == NULL)
		return ERR_NOMEM;
	code = curl_url_set(exchange->parsed, CURLUPART_URL, text, CURLU_PATH_AS_IS);
	if (code == CURLUE_OUT_OF_MEMORY)
		return ERR_NOMEM;
	SET(exchange->easy, CURLOPT_CURLU, code == CURLUE_OK ? exchange->parsed : NULL);
	SET(exchange->easy, CURLOPT_URL, text);
	if (code != CURLUE_OK) {
		curl_url_cleanup(exchange->parsed);
		exchange->parsed = NULL;
	}
	return 0;
}

static bool is_set(const struct http_exchange *exchange)
{
	const struct buf *url = &exchange->url, *set = &exchange->set_url;

	return set->len > 0 && set->len == url->len && memcmp(set->data, url->data, url->len) == 0;
}

int easy_set_url(struct http_exchange *exchange)
{
	bool tls;
	int err;

	if (is_set(exchange))
		return 0;
	buf_clear(&exchange->set_url);
	err = check_url(&exchange->url, &tls);
	if (err == 0)
		err = parse(exchange);
	if (err == 0 && exchange->client->may_proxy)
		err = set_proxy(exchange);
	if (err == 0)
		err = set_version(exchange, tls);
	if (err == 0)
		err = head_set_url(exchange);
	if (err == 0)
		err = buf_append(&exchange->set_url, exchange->url.data, exchange->url.len);
	return err;
}
