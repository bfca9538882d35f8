#include "bunshin/error.h"
#include "http/http2_server_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What a field costs beside its text, so that empty ones are not free (RFC 9113, 6.5.2). */
#define FIELD_OVERHEAD_BYTES 32
/* A body that is too large is read and dropped so far past the limit, so that the 413 arrives. */
#define OVERSIZE_DRAIN_BYTES ((size_t)4 << 20)
#define REPLY_MAX_BYTES ((size_t)64 << 20)
#define REPLY_FIELDS_MAX 64
#define REPLY_TEXT_MAX_BYTES ((size_t)32 << 10)

static const struct http_call_ops call_ops;

/* Both begin with the call. */
static struct http2_request *request_of(struct http_call *call)
{
	return (struct http2_request *)(void *)call;
}

static const struct http2_request *request_of_const(const struct http_call *call)
{
	return (const struct http2_request *)(const void *)call;
}

/* The request as it comes in */

int http2_request_new(
	struct http2_link *link, int32_t stream_id, struct http2_request **ret_request)
{
	const struct http2_server_options *options = &link->server->options;
	struct http2_request *request = calloc(1, sizeof(*request));

	if (request == NULL)
		return ERR_NOMEM;
	request->base.ops = &call_ops;
	request->link = link;
	request->stream_id = stream_id;
	/* What was not sent is the text at the offset 0: the empty one. */
	buf_init(&request->text, 2 * options->header_memory_bytes + 2);
	buf_init(&request->body, options->max_body_bytes);
	buf_init(&request->reply, REPLY_MAX_BYTES);
	if (buf_append_char(&request->text, '\0') != 0) {
		free(request);
		return ERR_NOMEM;
	}
	list_append(&link->requests, &request->node);
	link->open++;
	*ret_request = request;
	return 0;
}

static int append(struct http2_request *request, const void *bytes, size_t len, uint32_t *ret_at)
{
	*ret_at = (uint32_t)request->text.len;
	buf_append(&request->text, bytes, len);
	return buf_append_char(&request->text, '\0') == 0 ? 0 : ERR_NOMEM;
}

static int hex(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit |= 0x20;
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* What is no escape stays as it is. A NUL is none that a text can hold. */
static int append_decoded(struct http2_request *request, const char *text, size_t len,
	bool plus_is_blank, uint32_t *ret_at)
{
	*ret_at = (uint32_t)request->text.len;
	for (size_t i = 0; i < len; i++) {
		int high = text[i] == '%' && i + 2 < len ? hex(text[i + 1]) : -1;
		int low = high >= 0 ? hex(text[i + 2]) : -1;
		char c = low >= 0 ? (char)(high * 16 + low) : text[i];

		if (low >= 0)
			i += 2;
		else if (plus_is_blank && c == '+')
			c = ' ';
		request->bad_path |= c == '\0';
		buf_append_char(&request->text, c);
	}
	return buf_append_char(&request->text, '\0') == 0 ? 0 : ERR_NOMEM;
}

/* Decoded: a name and a value each, and an empty name behind the last. */
static int add_query(struct http2_request *request, const char *text, size_t len)
{
	const char *end = text + len;
	uint32_t at;
	int err = 0;

	request->query = (uint32_t)request->text.len;
	while (text < end && err == 0) {
		const char *stop = memchr(text, '&', (size_t)(end - text));
		const char *part_end = stop != NULL ? stop : end;
		const char *equals = memchr(text, '=', (size_t)(part_end - text));
		size_t name_bytes = (size_t)((equals != NULL ? equals : part_end) - text);

		if (name_bytes > 0 && equals != NULL) {
			err = append_decoded(request, text, name_bytes, true, &at);
			if (err == 0)
				err = append_decoded(request, equals + 1,
					(size_t)(part_end - equals - 1), true, &at);
		}
		text = part_end + 1;
	}
	return err == 0 ? append(request, "", 0, &at) : err;
}

static int add_path(struct http2_request *request, const char *text, size_t len)
{
	const char *mark = memchr(text, '?', len);
	size_t path_len = mark != NULL ? (size_t)(mark - text) : len;
	int err = append_decoded(request, text, path_len, false, &request->path);

	if (err == 0 && mark != NULL)
		err = add_query(request, mark + 1, len - path_len - 1);
	return err;
}

static bool is(const uint8_t *name, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(name, text, len) == 0;
}

/* nghttp2 has looked at both: no pseudo field twice, no control character. */
int http2_request_add_field(struct http2_request *request, const uint8_t *name, size_t name_bytes,
	const uint8_t *value, size_t value_bytes)
{
	size_t limit = request->link->server->options.header_memory_bytes;
	size_t used = request->text.len + request->field_count * FIELD_OVERHEAD_BYTES;
	struct http2_field *field = &request->fields[request->field_count];
	int err;

	if (request->field_count == HTTP2_FIELDS_MAX ||
		name_bytes + value_bytes + FIELD_OVERHEAD_BYTES > limit ||
		used > limit - name_bytes - value_bytes - FIELD_OVERHEAD_BYTES)
		request->fields_too_large = true;
	if (request->fields_too_large)
		return 0;
	if (is(name, name_bytes, ":method"))
		return append(request, value, value_bytes, &request->method);
	if (is(name, name_bytes, ":path"))
		return add_path(request, (const char *)value, value_bytes);
	if (is(name, name_bytes, ":authority"))
		err = append(request, "host", 4, &field->name);
	else if (name_bytes > 0 && name[0] == ':')
		return 0;
	else
		err = append(request, name, name_bytes, &field->name);
	if (err == 0)
		err = append(request, value, value_bytes, &field->value);
	request->field_count += err == 0;
	return err;
}

bool http2_request_add_body(struct http2_request *request, const uint8_t *bytes, size_t len)
{
	request->body_too_large =
		request->body_too_large || len > request->body.max - request->body.len;
	if (!request->body_too_large)
		return buf_append(&request->body, bytes, len) == 0;
	buf_free(&request->body);
	request->dropped_bytes += len;
	return request->dropped_bytes <= request->body.max + OVERSIZE_DRAIN_BYTES;
}

static void refuse(struct http2_request *request, int status)
{
	http_call_reply(&request->base, &(struct http_reply){.status = status});
}

void http2_request_complete(struct http2_request *request)
{
	const struct http2_server *server = request->link->server;

	if (request->state != HTTP2_READING)
		return;
	request->state = HTTP2_HANDED;
	if (request->fields_too_large)
		refuse(request, 431);
	else if (request->body_too_large)
		refuse(request, 413);
	else if (request->bad_path)
		refuse(request, 400);
	else
		server->options.handler(server->options.arg, &request->base);
}

void http2_request_end(struct http2_request *request)
{
	if (request->state == HTTP2_HANDED && request->base.gone != NULL) {
		request->state = HTTP2_REPLIED;
		request->base.gone(request->base.gone_arg, &request->base);
	}
	list_remove(&request->node);
	request->link->open--;
	buf_free(&request->text);
	buf_free(&request->body);
	buf_free(&request->reply);
	free(request);
}

/* The call */

static const char *request_method(const struct http_call *call)
{
	const struct http2_request *request = request_of_const(call);

	return request->text.data + request->method;
}

static const char *request_path(const struct http_call *call)
{
	const struct http2_request *request = request_of_const(call);

	return request->text.data + request->path;
}

static const char *request_query(const struct http_call *call, const char *name)
{
	const struct http2_request *request = request_of_const(call);
	const char *at = request->text.data + request->query;

	while (at[0] != '\0') {
		const char *value = at + strlen(at) + 1;

		if (strcmp(at, name) == 0)
			return value;
		at = value + strlen(value) + 1;
	}
	return NULL;
}

static const char *request_header(const struct http_call *call, const char *name)
{
	const struct http2_request *request = request_of_const(call);

	for (size_t i = 0; i < request->field_count; i++)
		if (strcasecmp(request->text.data + request->fields[i].name, name) == 0)
			return request->text.data + request->fields[i].value;
	return NULL;
}

static const char *request_body(const struct http_call *call, size_t *ret_len)
{
	const struct http2_request *request = request_of_const(call);

	*ret_len = request->body.len;
	return buf_string(&request->body);
}

static void request_each_header(const struct http_call *call,
	void (*visit)(void *arg, const char *name, const char *value), void *arg)
{
	const struct http2_request *request = request_of_const(call);

	for (size_t i = 0; i < request->field_count; i++)
		visit(arg, request->text.data + request->fields[i].name,
			request->text.data + request->fields[i].value);
}

static int socket_of(const struct http_call *call)
{
	uv_os_fd_t fd = -1;

	uv_fileno((const uv_handle_t *)&request_of_const(call)->link->tcp, &fd);
	return fd;
}

static void request_peer(const struct http_call *call, char ret_peer[HTTP_PEER_SIZE])
{
	http_call_peer_of(socket_of(call), ret_peer);
}

/* Unlike one over HTTP/1.1 it is watched: `gone` would have run. */
static bool request_is_alive(const struct http_call *call)
{
	return request_of_const(call)->state == HTTP2_HANDED;
}

/* The answer */

static ssize_t read_reply(nghttp2_session *session, int32_t stream_id, uint8_t *out, size_t size,
	uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct http2_request *request = source->ptr;
	size_t left = request->reply.len - request->reply_sent;
	size_t len = left < size ? left : size;

	memcpy(out, request->reply.data + request->reply_sent, len);
	request->reply_sent += len;
	if (request->reply_sent == request->reply.len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)len;
}

/* The fields of an answer, with names in lower case. */
struct reply_fields {
	struct buf text;
	struct http2_field rows[REPLY_FIELDS_MAX];
	size_t count;
	bool bad;
};

static void add(struct reply_fields *fields, const char *name, const char *value)
{
	struct http2_field *row = &fields->rows[fields->count];

	if (fields->count == REPLY_FIELDS_MAX || name[0] == '\0' ||
		strpbrk(value, "\r\n") != NULL) {
		fields->bad = true;
		return;
	}
	fields->count++;
	row->name = (uint32_t)fields->text.len;
	for (; *name != '\0'; name++)
		buf_append_char(
			&fields->text, *name >= 'A' && *name <= 'Z' ? (char)(*name | 0x20) : *name);
	buf_append_char(&fields->text, '\0');
	row->value = (uint32_t)fields->text.len;
	buf_append(&fields->text, value, strlen(value) + 1);
}

static void add_all(struct reply_fields *fields, const struct http_reply *reply)
{
	char number[24];

	snprintf(number, sizeof(number), "%03d", reply->status);
	add(fields, ":status", number);
	if (reply->content_type != NULL)
		add(fields, "content-type", reply->content_type);
	if (reply->status != 204 && reply->status != 304) {
		snprintf(number, sizeof(number), "%zu", reply->body_bytes);
		add(fields, "content-length", number);
	}
	for (const char *const *pair = reply->headers; pair != NULL && pair[0] != NULL; pair += 2)
		add(fields, pair[0], pair[1]);
}

static int submit(struct http2_request *request, struct reply_fields *fields, bool has_body)
{
	nghttp2_nv nv[REPLY_FIELDS_MAX];
	nghttp2_data_provider body = {.source.ptr = request, .read_callback = read_reply};
	int code;

	for (size_t i = 0; i < fields->count; i++) {
		char *name = fields->text.data + fields->rows[i].name;
		char *value = fields->text.data + fields->rows[i].value;

		nv[i] = (nghttp2_nv){.name = (uint8_t *)name,
			.value = (uint8_t *)value,
			.namelen = strlen(name),
			.valuelen = strlen(value)};
	}
	code = nghttp2_submit_response(request->link->session, request->stream_id, nv,
		fields->count, has_body ? &body : NULL);
	return code == 0 ? 0 : ERR_NOMEM;
}

/* From now on the client may do what the server allows those that it trusts. */
static void trust(struct http2_link *link, int status)
{
	const nghttp2_settings_entry entry = {
		.settings_id = NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
		.value = link->server->options.max_streams};

	if (link->trusted || status == 401 || status == 403)
		return;
	link->trusted = true;
	nghttp2_submit_settings(link->session, NGHTTP2_FLAG_NONE, &entry, 1);
}

static void request_abort(struct http_call *call)
{
	struct http2_request *request = request_of(call);

	request->state = HTTP2_REPLIED;
	http2_link_break(request->link);
}

static int request_reply(struct http_call *call, const struct http_reply *reply)
{
	struct http2_request *request = request_of(call);
	struct reply_fields fields = {.text = BUF_INIT(REPLY_TEXT_MAX_BYTES)};
	bool has_body = reply->body_bytes > 0 && strcmp(request_method(call), "HEAD") != 0;
	int err = 0;

	request->state = HTTP2_REPLIED;
	add_all(&fields, reply);
	if (fields.bad)
		err = ERR_ARGUMENT;
	else if (fields.text.err != 0 ||
		 (has_body && buf_append(&request->reply, reply->body, reply->body_bytes) != 0))
		err = ERR_NOMEM;
	if (err == 0) {
		trust(request->link, reply->status);
		err = submit(request, &fields, has_body);
	}
	buf_free(&fields.text);
	if (err != 0)
		http2_link_break(request->link);
	else
		http2_link_flush(request->link);
	return err;
}

static const struct http_call_ops call_ops = {
	.method = request_method,
	.path = request_path,
	.query = request_query,
	.header = request_header,
	.body = request_body,
	.each_header = request_each_header,
	.peer = request_peer,
	.reply = request_reply,
	.abort = request_abort,
	.is_alive = request_is_alive,
};
