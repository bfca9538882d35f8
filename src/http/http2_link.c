#include "bunshin/error.h"
#include "http/http2_server_impl.h"

#include <stdlib.h>
#include <string.h>

/* What nghttp2 is asked for at a time; then it waits until that is written. */
#define WRITE_BYTES ((size_t)64 << 10)
/* With a frame's worth more, and what TLS adds. */
#define OUT_MAX_BYTES ((size_t)256 << 10)
/* Of a connection's requests half may be reset by the client; so many in any case. */
#define RESETS_FREE 1000

static void on_closed(uv_handle_t *handle)
{
	struct http2_link *link = handle->data;
	struct http2_server *server = link->server;

	buf_free(&link->out);
	buf_free(&link->writing);
	free(link);
	http2_server_link_closed(server);
}

void http2_link_close(struct http2_link *link)
{
	struct list *node;

	if (link->closing)
		return;
	link->closing = true;
	while ((node = list_first(&link->requests)) != NULL)
		http2_request_end(list_entry(node, struct http2_request, node));
	nghttp2_session_del(link->session);
	link->session = NULL;
	http2_tls_free(link->tls);
	link->tls = NULL;
	list_remove(&link->node);
	uv_close((uv_handle_t *)&link->tcp, on_closed);
}

void http2_link_break(struct http2_link *link)
{
	link->broken = true;
	if (!link->closing && !link->inside)
		uv_idle_start(&link->server->kick, http2_server_on_kick);
}

/* What it sends */

static int put(struct http2_link *link, const void *bytes, size_t len)
{
	if (link->tls != NULL)
		return http2_tls_write(link->tls, bytes, len, &link->out);
	return buf_append(&link->out, bytes, len);
}

static void gather(struct http2_link *link)
{
	const uint8_t *bytes;
	ssize_t n = 0;

	if (link->tls != NULL && !http2_tls_is_open(link->tls))
		return;
	link->inside = true;
	while (link->out.len < WRITE_BYTES &&
		(n = nghttp2_session_mem_send(link->session, &bytes)) > 0)
		if (put(link, bytes, (size_t)n) != 0)
			link->broken = true;
	link->inside = false;
	link->broken |= n < 0;
}

static void on_written(uv_write_t *write, int status)
{
	struct http2_link *link = write->data;

	if (link->closing)
		return;
	buf_clear(&link->writing);
	if (status < 0)
		http2_link_close(link);
	else
		http2_link_flush(link);
}

static void start_write(struct http2_link *link)
{
	struct buf written = link->writing;
	uv_buf_t bytes;

	link->writing = link->out;
	link->out = written;
	bytes = uv_buf_init(link->writing.data, (unsigned)link->writing.len);
	link->write.data = link;
	if (uv_write(&link->write, (uv_stream_t *)&link->tcp, &bytes, 1, on_written) != 0)
		link->broken = true;
}

static void on_shut_down(uv_shutdown_t *shutdown, int status)
{
}

/*
 * Everything is said. Were it closed now, what the client has under way would make the kernel reset
 * the connection, and the client might lose the last answers: so it is the client that closes.
 */
static void end(struct http2_link *link)
{
	link->ended = true;
	if (uv_shutdown(&link->shutdown, (uv_stream_t *)&link->tcp, on_shut_down) != 0)
		link->broken = true;
}

void http2_link_flush(struct http2_link *link)
{
	if (link->inside || link->closing)
		return;
	if (link->writing.len == 0 && !link->broken && !link->ended) {
		gather(link);
		if (link->out.len > 0 && !link->broken)
			start_write(link);
		else if (!nghttp2_session_want_read(link->session) &&
			 !nghttp2_session_want_write(link->session))
			end(link);
	}
	if (link->broken)
		http2_link_break(link);
}

/* What it is told by nghttp2 */

static struct http2_request *find(nghttp2_session *session, int32_t stream_id)
{
	return nghttp2_session_get_stream_user_data(session, stream_id);
}

static int refuse(struct http2_link *link, int32_t stream_id)
{
	return nghttp2_submit_rst_stream(
		link->session, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_REFUSED_STREAM);
}

/* Streams that were begun before the client knows of it are closed by nghttp2, and not answered. */
static int go_away(struct http2_link *link, int32_t last_id)
{
	const char *data = link->server->goaway_data;

	link->goes_away = true;
	link->last_id = last_id;
	link->server->totals.goaways++;
	return nghttp2_submit_goaway(link->session, NGHTTP2_FLAG_NONE, last_id, NGHTTP2_NO_ERROR,
		(const uint8_t *)data, data != NULL ? strlen(data) : 0);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http2_link *link = arg;
	const struct http2_server_options *options = &link->server->options;
	struct http2_request *request;
	int32_t stream_id = frame->hd.stream_id;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST ||
		link->goes_away)
		return 0;
	if (options->refuses != NULL && options->refuses(options->arg))
		return refuse(link, stream_id);
	if (http2_request_new(link, stream_id, &request) != 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	nghttp2_session_set_stream_user_data(session, stream_id, request);
	if (link->open > link->server->totals.most_streams)
		link->server->totals.most_streams = link->open;
	if (++link->taken == options->goaway_after)
		return go_away(link, stream_id);
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags, void *arg)
{
	struct http2_request *request = find(session, frame->hd.stream_id);

	if (request == NULL || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0; /* trailers */
	if (http2_request_add_field(request, name, name_bytes, value, value_bytes) != 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *bytes,
	size_t len, void *arg)
{
	struct http2_request *request = find(session, stream_id);

	if (request != NULL && !http2_request_add_body(request, bytes, len))
		return nghttp2_submit_rst_stream(
			session, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_ENHANCE_YOUR_CALM);
	return 0;
}

/* Requests that are reset before they are answered cost work (CVE-2023-44487). */
static int on_reset(struct http2_link *link)
{
	if (++link->resets <= RESETS_FREE || link->resets <= link->taken / 2)
		return 0;
	return nghttp2_session_terminate_session(link->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http2_request *request;

	if (frame->hd.type == NGHTTP2_RST_STREAM)
		return find(session, frame->hd.stream_id) != NULL ? on_reset(arg) : 0;
	if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
		(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
		return 0;
	request = find(session, frame->hd.stream_id);
	if (request != NULL)
		http2_request_complete(request);
	return 0;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http2_link *link = arg;

	link->server->totals.refused += frame->hd.type == NGHTTP2_RST_STREAM &&
					frame->rst_stream.error_code == NGHTTP2_REFUSED_STREAM;
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t code, void *arg)
{
	struct http2_request *request = find(session, stream_id);

	if (request != NULL)
		http2_request_end(request);
	return 0;
}

/*
 * nghttp2 counts streams that are reset, those that have ended too, which libcurl 7.88 resets one
 * and all; and it acts on what it has read above the last stream of the GOAWAY that it then sends.
 * It is counted here instead, in on_reset().
 */
static int new_session(nghttp2_session_callbacks *callbacks, struct http2_link *link)
{
	nghttp2_option *option;
	int err;

	if (nghttp2_option_new(&option) != 0)
		return ERR_NOMEM;
#if HAVE_STREAM_RESET_RATE_LIMIT
	nghttp2_option_set_stream_reset_rate_limit(option, UINT32_MAX, UINT32_MAX);
#endif
	err = nghttp2_session_server_new2(&link->session, callbacks, link, option);
	nghttp2_option_del(option);
	return err == 0 ? 0 : ERR_NOMEM;
}

static int set_callbacks(nghttp2_session_callbacks *callbacks, struct http2_link *link)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	return new_session(callbacks, link);
}

static int open_session(struct http2_link *link)
{
	const struct http2_server_options *options = &link->server->options;
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options->first_streams},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)options->header_memory_bytes},
	};
	nghttp2_session_callbacks *callbacks;
	int err;

	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return ERR_NOMEM;
	err = set_callbacks(callbacks, link);
	nghttp2_session_callbacks_del(callbacks);
	if (err == 0 && nghttp2_submit_settings(link->session, NGHTTP2_FLAG_NONE, settings, 2) != 0)
		err = ERR_NOMEM;
	link->trusted = options->first_streams == options->max_streams;
	return err;
}

/* What it is sent */

static int take_plain(struct http2_link *link, const void *bytes, size_t len)
{
	ssize_t n;

	link->inside = true;
	n = nghttp2_session_mem_recv(link->session, bytes, len);
	link->inside = false;
	return n < 0 ? ERR_PROTOCOL : 0;
}

static int take_sealed(struct http2_link *link, const void *bytes, size_t len)
{
	char plain[16 << 10];
	int err = http2_tls_take(link->tls, bytes, len, &link->out);
	long n = 0;

	while (err == 0 && (n = http2_tls_read(link->tls, plain, sizeof(plain), &link->out)) > 0)
		err = take_plain(link, plain, (size_t)n);
	return err == 0 && n < 0 ? ERR_TLS : err;
}

static void take(struct http2_link *link, const void *bytes, size_t len)
{
	int err;

	link->active_ms = uv_now(link->server->loop);
	if (link->ended)
		return; /* of what is still under way nothing is looked at */
	err = link->tls != NULL ? take_sealed(link, bytes, len) : take_plain(link, bytes, len);
	if (err != 0)
		link->broken = true;
	if (link->broken && link->out.len > 0 && link->writing.len == 0) {
		/* TLS says why it ends, if the socket takes that at once. */
		uv_buf_t alert = uv_buf_init(link->out.data, (unsigned)link->out.len);

		uv_try_write((uv_stream_t *)&link->tcp, &alert, 1);
	}
	if (link->broken)
		http2_link_close(link);
	else
		http2_link_flush(link);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
	struct http2_link *link = handle->data;

	*ret_buf = uv_buf_init(link->server->read, sizeof(link->server->read));
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
	struct http2_link *link = stream->data;

	if (len < 0)
		http2_link_close(link);
	else if (len > 0)
		take(link, buf->base, (size_t)len);
}

static int set_up(struct http2_link *link)
{
	struct http2_server *server = link->server;

	if (server->tls != NULL && (link->tls = http2_tls_new(server->tls)) == NULL)
		return ERR_NOMEM;
	if (open_session(link) != 0)
		return ERR_NOMEM;
	uv_tcp_nodelay(&link->tcp, 1);
	return uv_read_start((uv_stream_t *)&link->tcp, on_alloc, on_read) == 0 ? 0 : ERR_IO;
}

void http2_link_accept(struct http2_server *server)
{
	struct http2_link *link = calloc(1, sizeof(*link));

	if (link == NULL)
		return;
	link->server = server;
	buf_init(&link->out, OUT_MAX_BYTES);
	buf_init(&link->writing, OUT_MAX_BYTES);
	list_init(&link->requests);
	link->active_ms = uv_now(server->loop);
	uv_tcp_init(server->loop, &link->tcp);
	link->tcp.data = link;
	list_append(&server->links, &link->node);
	server->open_handles++;
	server->link_count++;
	if (uv_accept((uv_stream_t *)&server->listener, (uv_stream_t *)&link->tcp) != 0 ||
		set_up(link) != 0) {
		http2_link_close(link);
		return;
	}
	server->totals.connections++;
	http2_link_flush(link);
}
