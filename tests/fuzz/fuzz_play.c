/*
 * The providers that the sink plays, for any request: an input is "PROVIDER METHOD PATH", lines of
 * "Name: value", an empty line, the body. It is played three times, one right after the other, so
 * that what is answered once, under one key or within the limit comes to its second time, too.
 *
 * The requests are not the server's: its functions that the providers call are in this file.
 */
#include "fuzz.h"

#include "base/json.h"
#include "cli/sink/play.h"

#include <string.h>
#include <strings.h>

enum { HEADERS_MAX = 16 };

struct http_call {
	char *method, *path, *body;
	size_t body_bytes;
	char *names[HEADERS_MAX], *values[HEADERS_MAX];
	size_t header_count;
};

const char *http_call_method(const struct http_call *call)
{
	return call->method;
}

const char *http_call_path(const struct http_call *call)
{
	return call->path;
}

const char *http_call_header(const struct http_call *call, const char *name)
{
	for (size_t i = 0; i < call->header_count; i++)
		if (strcasecmp(call->names[i], name) == 0)
			return call->values[i];
	return NULL;
}

const char *http_call_body(const struct http_call *call, size_t *ret_len)
{
	*ret_len = call->body_bytes;
	return call->body;
}

/* Up to the separator, which becomes its end; "" and unmoved where there is none. */
static char *cut(char **at, char separator)
{
	char *start = *at, *end = strchr(start, separator);

	if (end == NULL)
		return start + strlen(start);
	*end = '\0';
	*at = end + 1;
	return start;
}

/* Takes `text` apart, which has a NUL behind its `size` bytes; false: it is no request. */
static bool read_call(char *text, size_t size, const char **ret_provider, struct http_call *call)
{
	char *at = text, *line = cut(&at, '\n');

	*call = (struct http_call){.body = at};
	*ret_provider = cut(&line, ' ');
	call->method = cut(&line, ' ');
	call->path = line;
	while (call->header_count < HEADERS_MAX && *at != '\n' && *at != '\0') {
		line = cut(&at, '\n');
		call->names[call->header_count] = cut(&line, ':');
		call->values[call->header_count++] = line + strspn(line, " ");
	}
	at += *at == '\n';
	call->body = at;
	call->body_bytes = size - (size_t)(at - text);
	/* As the server has it: a method and a path are there. */
	return call->method[0] != '\0' && call->path[0] == '/';
}

static bool is_json(const struct buf *body)
{
	struct json json = {0};
	int err = json_parse(&json, buf_string(body), body->len);

	json_free(&json);
	return err == 0;
}

static void check_answer(const struct play_answer *answer)
{
	FUZZ_CHECK(answer->status >= 200 && answer->status <= 599);
	FUZZ_CHECK(answer->verdict != PLAY_ACCEPTED || answer->status <= 299);
	FUZZ_CHECK(answer->verdict == PLAY_ACCEPTED || answer->recipients == 0);
	FUZZ_CHECK(answer->recipients <= 10000);
	FUZZ_CHECK(answer->header_count <= PLAY_HEADERS_MAX);
	for (size_t i = 0; i < answer->header_count; i++)
		FUZZ_CHECK(strpbrk(answer->headers[2 * i + 1], "\r\n") == NULL);
	FUZZ_CHECK(answer->headers[2 * answer->header_count] == NULL);
	if (answer->content_type != NULL && strcmp(answer->content_type, "application/json") == 0 &&
		answer->body.len > 0)
		FUZZ_CHECK(is_json(&answer->body));
}

static void play_call(const struct play_provider *provider, const struct http_call *call)
{
	const struct play_options options = {.provider = provider,
		.rate_count = 2,
		.rate_per_ms = 1000,
		.quota = provider->has_quota ? 2 : 0};
	uint64_t recipients = 0;
	struct play play;

	play_init(&play, &options);
	for (uint64_t i = 0; i < 3; i++) {
		struct play_answer answer;

		/* The third comes a second later than the others. */
		play_answer(&play, call, 1700000000000, i / 2 * 1000000 + i, &answer);
		FUZZ_CHECK(!play.broken);
		check_answer(&answer);
		if (answer.verdict == PLAY_ACCEPTED)
			recipients += answer.recipients;
		buf_free(&answer.body);
	}
	FUZZ_CHECK(play.totals.recipients == recipients);
	play_free(&play);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	const struct play_provider *provider = NULL;
	const char *name;
	struct http_call call;

	FUZZ_CHECK(text);
	memcpy(text, data, size);
	text[size] = '\0';
	if (read_call(text, size, &name, &call))
		provider = play_find(name);
	if (provider != NULL)
		play_call(provider, &call);
	free(text);
	return 0;
}
