/*
 * What libcurl says of a connection that carries many requests, since it has no code for it: which
 * stream a request is, a GOAWAY's last one, and that a stream was refused.
 *
 * Words cost. Of no exchange that goes out alone are they asked for, and not before it is about to
 * be sent. Most of them are the request's own headers, one by one, a tenth of all that a request
 * costs, so over TLS they are asked for when these are out, which the first write to the connection
 * shows (whoever reads from then on may read what is for others). Which stream it is was said by
 * then: so it is counted, from one that was heard on, while each is seen to go out. HTTP/2's
 * streams are numbered in the order in which they begin (RFC 9113, 5.1.1), libcurl 7 begins one for
 * each call of CURLOPT_PREREQFUNCTION, before it writes, and nothing in between. One that has
 * failed before it wrote ends the counting, until the next is heard.
 */
#include "http/client_impl.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 160
#define COUNTED_MAJOR 7 /* of libcurl: later ones write at other times */

static void ask(struct http_exchange *exchange, bool on)
{
	curl_easy_setopt(exchange->easy, CURLOPT_VERBOSE, (long)on);
}

void words_listen(struct channel *channel)
{
	if (channel->quiet != NULL)
		ask(channel->quiet, true);
}

static long on_bio(BIO *bio, int what, const char *bytes, size_t len, int argi, long argl, int ret,
	size_t *processed)
{
	struct channel *channel = (struct channel *)(void *)BIO_get_callback_arg(bio);

	if (what == BIO_CB_WRITE && channel->quiet != NULL) {
		words_listen(channel);
		channel->quiet = NULL;
	}
	return ret; /* it goes on */
}

void words_watch(struct http_exchange *exchange, struct channel *channel)
{
	SSL *tls = channel_tls(exchange);
	BIO *bio = tls != NULL ? SSL_get_wbio(tls) : NULL;

	channel->watched = bio != NULL &&
			   curl_version_info(CURLVERSION_NOW)->version_num >> 16 == COUNTED_MAJOR;
	if (!channel->watched)
		return;
	/* libcurl frees it before it closes the descriptor, until when the channel is there. */
	BIO_set_callback_arg(bio, (char *)channel);
	BIO_set_callback_ex(bio, on_bio);
}

/*
 * libcurl begins anew when a connection that was used before ends without an answer, and does not
 * look then whether the stream was refused; what it does not repeat for that is RTSP's RECEIVE.
 * HTTP does not look at that option, and a libcurl without RTSP has none: there a refused stream is
 * told from no other.
 */
static void keep_from_beginning_anew(struct http_exchange *exchange, bool on)
{
	curl_easy_setopt(exchange->easy, CURLOPT_RTSP_REQUEST,
		on ? CURL_RTSPREQ_RECEIVE : CURL_RTSPREQ_OPTIONS);
}

void words_begin(struct http_exchange *exchange)
{
	struct channel *channel = exchange->channel;
	bool counts = channel->next_stream > 0 && channel->quiet == NULL;

	keep_from_beginning_anew(exchange, true);
	exchange->stream_id = counts ? channel->next_stream : 0;
	words_listen(channel);
	channel->quiet = counts ? exchange : NULL;
	channel->next_stream = counts ? channel->next_stream + 2 : 0;
	if (!counts)
		ask(exchange, true);
}

void words_end(struct http_exchange *exchange)
{
	struct channel *channel = exchange->channel;

	if (channel->quiet == exchange) {
		channel->quiet = NULL;
		channel->next_stream = 0;
	}
	exchange->stream_id = 0;
	ask(exchange, false);
	keep_from_beginning_anew(exchange, false);
}

/* The number behind these words; -1: they are not there. */
static int64_t number_behind(const char *text, const char *words)
{
	const char *at = strstr(text, words);
	char *end;
	unsigned long long number;

	if (at == NULL)
		return -1;
	at += strlen(words);
	number = strtoull(at, &end, 10);
	return end == at || number > INT32_MAX ? -1 : (int64_t)number;
}

/*
 * "Using Stream ID: 5 (easy handle 0x55...)" of 7.88, "[HTTP/2] [5] OPENED stream for https://..."
 * of 8.2 and later; "recveived GOAWAY, error=0, last_stream=5", later without the slip of the pen;
 * "REFUSED_STREAM, retrying a fresh connect".
 */
static void hear(struct http_exchange *exchange, const char *text)
{
	int64_t stream_id = number_behind(text, "Using Stream ID: ");
	int64_t error = number_behind(text, "GOAWAY, error=");
	int64_t last = error >= 0 ? number_behind(text, "last_stream=") : -1;

	if (stream_id < 0 && strstr(text, "] OPENED stream for "))
		stream_id = number_behind(text, "[HTTP/2] [");
	if (stream_id > 0 && exchange->stream_id == 0) {
		exchange->stream_id = stream_id;
		exchange->client->tells_streams = true;
		if (exchange->channel->watched)
			exchange->channel->next_stream = stream_id + 2;
	}
	if (last >= 0)
		exchange->channel->last_stream = last;
	exchange->channel->failed |= error > 0;
	exchange->refused |= strncmp(text, "REFUSED_STREAM, retrying", 24) == 0;
}

int words_heard(CURL *easy, curl_infotype type, char *bytes, size_t len, void *arg)
{
	struct http_exchange *exchange = arg;
	char text[WORDS_MAX];

	/* Once it has begun anew it may read what came on another connection. */
	if (type != CURLINFO_TEXT || exchange->channel == NULL || exchange->sends != 1)
		return 0;
	if (memchr("Ur[RC", bytes[0], 5) == NULL)
		return 0;
	len = len < sizeof(text) ? len : sizeof(text) - 1;
	memcpy(text, bytes, len);
	text[len] = '\0';
	if (strncmp(text, "Connection died, retrying", 25) == 0)
		exchange->begins_anew = true;
	else if (!exchange->begins_anew)
		hear(exchange, text);
	return 0;
}
