/*
 * The head of a request: its first line and its headers.
 *
 * libcurl prints the headers that it is handed as a list byte by byte, which was a quarter of all
 * instructions that a worker executes for a message: 99 for each byte in 7.88. What it copies whole
 * is a request's target, "verbatim [...] without any filter or other safe guards. That includes
 * white space and control characters" (its page on CURLOPT_REQUEST_TARGET). So the head is put
 * there, as far as its user agent; what curl writes behind a target, " HTTP/1.1", then stands at
 * the end of that line, where it is one product more (RFC 9110, section 10.1.5).
 *
 * Curl gets the list where it has a say in the head: where it may be HTTP/2, through a proxy, with
 * a user in the URL or two hosts; and where the request has a user agent of its own, or is a secret
 * that shall not be copied more often than need be.
 */
#include "bunshin/error.h"
#include "http/client_impl.h"
#include "http/token.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* No version of curl asks to be expected for so little; 7.88 begins at 1 MiB. */
#define EXPECT_BODY_BYTES 1024

/* So that queries without a character count, which they do not by default from 8.8 on. */
#ifndef CURLU_GET_EMPTY
#define CURLU_GET_EMPTY 0
#endif

/* Most names are told apart by their lengths. */
static bool is_named(const char *name, size_t name_bytes, const char *known, size_t known_bytes)
{
	return name_bytes == known_bytes && strcasecmp(name, known) == 0;
}

#define IS_NAMED(name, name_bytes, literal) is_named(name, name_bytes, literal, sizeof(literal) - 1)

/* Lengths and codings are curl's to say: a second opinion lets requests be smuggled. */
static bool is_framing(const char *name, size_t name_bytes)
{
	return IS_NAMED(name, name_bytes, "Content-Length") ||
	       IS_NAMED(name, name_bytes, "Transfer-Encoding") ||
	       IS_NAMED(name, name_bytes, "Expect");
}

static bool has_line_break(const char *text, size_t len)
{
	return memchr(text, '\r', len) != NULL || memchr(text, '\n', len) != NULL;
}

static int append_line(struct buf *lines, const char *name, size_t name_bytes, const char *value,
	size_t value_bytes)
{
	char *line = buf_reserve(lines, name_bytes + value_bytes + sizeof(": \r\n") - 1);
	size_t len = name_bytes;

	if (line == NULL)
		return lines->err == ERR_NOMEM ? ERR_NOMEM : ERR_ARGUMENT;
	memcpy(line, name, name_bytes);
	line[len++] = ':';
	if (value_bytes > 0) {
		line[len++] = ' ';
		memcpy(line + len, value, value_bytes);
		len += value_bytes;
	}
	line[len++] = '\r';
	line[len++] = '\n';
	buf_advance(lines, len);
	return 0;
}

int http_exchange_add_header(struct http_exchange *exchange, const char *name, const char *value)
{
	size_t name_bytes = token_length(name), value_bytes = strlen(value);
	int err;

	if (name_bytes == 0 || is_framing(name, name_bytes) || has_line_break(value, value_bytes))
		return ERR_ARGUMENT;
	if (strspn(value, " \t") == value_bytes)
		value_bytes = 0;
	err = append_line(&exchange->headers, name, name_bytes, value, value_bytes);
	if (err != 0)
		return err;
	exchange->header_count++;
	if (IS_NAMED(name, name_bytes, "Content-Type"))
		exchange->has_content_type = true;
	else if (IS_NAMED(name, name_bytes, "User-Agent"))
		exchange->has_user_agent = true;
	else if (IS_NAMED(name, name_bytes, "Accept"))
		exchange->has_accept = true;
	else if (IS_NAMED(name, name_bytes, "Host"))
		exchange->hosts++;
	return 0;
}

/* A part of the URL; *ret_part: NULL, it has none. 0 or ERR_NOMEM. */
static int get_part(CURLU *url, CURLUPart part, unsigned flags, char **ret_part)
{
	CURLUcode code = curl_url_get(url, part, ret_part, flags);

	if (code != CURLUE_OK)
		*ret_part = NULL;
	return code == CURLUE_OUT_OF_MEMORY ? ERR_NOMEM : 0;
}

/* NULL: there is none. */
static int append_start(struct http_exchange *exchange, const char *path, const char *query,
	const char *host, const char *port)
{
	struct buf *start = &exchange->head_start;

	buf_append_string(start, path);
	if (query != NULL) {
		buf_append_char(start, '?');
		buf_append_string(start, query);
	}
	buf_append_string(start, " HTTP/1.1\r\n");
	exchange->first_line_bytes = start->len;
	buf_append_string(start, "Host: ");
	buf_append_string(start, host);
	if (port != NULL) {
		buf_append_char(start, ':');
		buf_append_string(start, port);
	}
	return buf_append_string(start, "\r\n");
}

int head_set_url(struct http_exchange *exchange)
{
	char *user, *password = NULL, *path = NULL, *query = NULL, *host = NULL, *port = NULL;
	int err;

	buf_clear(&exchange->head_start);
	if (exchange->parsed == NULL || exchange->client->may_proxy ||
		exchange->client->options.secret_answers ||
		exchange->multiplexes != MULTIPLEXES_NEVER)
		return 0;
	err = get_part(exchange->parsed, CURLUPART_USER, 0, &user);
	if (err == 0)
		err = get_part(exchange->parsed, CURLUPART_PASSWORD, 0, &password);
	if (err == 0)
		err = get_part(exchange->parsed, CURLUPART_PATH, 0, &path);
	if (err == 0)
		err = get_part(exchange->parsed, CURLUPART_QUERY, CURLU_GET_EMPTY, &query);
	if (err == 0)
		err = get_part(exchange->parsed, CURLUPART_HOST, 0, &host);
	if (err == 0)
		err = get_part(exchange->parsed, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT, &port);
	if (err == 0 && user == NULL && password == NULL && path != NULL && host != NULL)
		err = append_start(exchange, path, query, host, port);
	curl_free(user);
	curl_free(password);
	curl_free(path);
	curl_free(query);
	curl_free(host);
	curl_free(port);
	return err;
}

/* What curl would write by itself and the head has, or shall not have. */
static struct curl_slist *without_its_own(bool expects)
{
	static char host[] = "Host:", accept[] = "Accept:", type[] = "Content-Type:";
	static char expect[] = "Expect:";
	static struct curl_slist list[] = {
		{expect, &list[1]}, {host, &list[2]}, {accept, &list[3]}, {type, NULL}};

	return expects ? &list[0] : &list[1];
}

static bool goes_whole(const struct http_exchange *exchange)
{
	return exchange->head_start.len > 0 && !exchange->has_user_agent && exchange->hosts <= 1;
}

static int set_whole(struct http_exchange *exchange)
{
	struct http_client *client = exchange->client;
	struct buf *head = &client->head;

	buf_clear(head);
	buf_append(head, exchange->head_start.data,
		exchange->hosts == 0 ? exchange->head_start.len : exchange->first_line_bytes);
	if (!exchange->has_accept)
		buf_append_string(head, "Accept: */*\r\n");
	buf_append(head, exchange->headers.data, exchange->headers.len);
	if (buf_append_string(head, client->user_agent_line) != 0)
		return ERR_NOMEM;
	SET(exchange->easy, CURLOPT_REQUEST_TARGET, head->data);
	exchange->has_target = true;
	SET(exchange->easy, CURLOPT_HTTPHEADER,
		without_its_own(exchange->body.len > EXPECT_BODY_BYTES));
	return 0;
}

/*
 * Makes a string of the line, as curl takes it: "Name;" is how it is told of a header without a
 * value. Returns where the next one begins.
 */
static char *cut_line(char *line)
{
	char *end = strchr(line, '\r');

	if (end[-1] == ':')
		end[-1] = ';';
	*end = '\0';
	return end + 2;
}

/* Links the header lines: no allocation once `nodes` has grown. */
static int set_list(struct http_exchange *exchange, bool with_body)
{
	static char no_expect[] = "Expect:", no_content_type[] = "Content-Type:";
	const struct http_client *client = exchange->client;
	size_t needed = exchange->header_count + 3, count = 0;
	char *line = exchange->headers.data;

	if (needed > exchange->node_capacity) {
		struct curl_slist *nodes = realloc(exchange->nodes, needed * sizeof(*nodes));

		if (nodes == NULL)
			return ERR_NOMEM;
		exchange->nodes = nodes;
		exchange->node_capacity = needed;
	}
	if (!client->may_proxy && !exchange->has_user_agent)
		exchange->nodes[count++].data = client->user_agent_line;
	for (size_t i = 0; i < exchange->header_count; i++) {
		exchange->nodes[count++].data = line;
		line = cut_line(line);
	}
	/* What curl would add by itself and the request shall not have. */
	if (exchange->body.len > EXPECT_BODY_BYTES)
		exchange->nodes[count++].data = no_expect;
	if (with_body && !exchange->has_content_type)
		exchange->nodes[count++].data = no_content_type;
	for (size_t i = 0; i < count; i++)
		exchange->nodes[i].next = i + 1 < count ? &exchange->nodes[i + 1] : NULL;
	if (exchange->has_target)
		SET(exchange->easy, CURLOPT_REQUEST_TARGET, (const char *)NULL);
	exchange->has_target = false;
	SET(exchange->easy, CURLOPT_HTTPHEADER, count > 0 ? exchange->nodes : NULL);
	return 0;
}

int head_set(struct http_exchange *exchange, bool with_body)
{
	return goes_whole(exchange) ? set_whole(exchange) : set_list(exchange, with_body);
}
