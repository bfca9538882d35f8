/*
 * A sink that plays a provider (`bunshin sink --as NAME`): the provider's documented answers,
 * limits and errors. docs/providers.md says for each where they are documented, and which
 * recipients are refused.
 *
 * A request is judged in this order: path and method, credentials, the limit, the body, the
 * recipient. Whether credentials are right is not looked at, only that they look like some.
 */
#ifndef CLI_SINK_PLAY_H
#define CLI_SINK_PLAY_H

#include "base/buf.h"
#include "base/json.h"
#include "cli/sink/window.h"
#include "cli/sink_keys.h"
#include "http/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PLAY_HEADERS_MAX = 4,
	PLAY_HEADER_SIZE = 128,
	PLAY_UUID_SIZE = 37,
};

enum play_verdict {
	PLAY_REFUSED,
	PLAY_ACCEPTED,
	PLAY_REPEATED,	/* accepted before under the same key; not again */
	PLAY_THROTTLED, /* by the limit */
	PLAY_TOKEN,	/* no message: a token was asked for. In no count and no record */
};

struct play_answer {
	enum play_verdict verdict;
	int status;
	const char *content_type; /* NULL: no body */
	struct buf body;
	const char *headers[2 * PLAY_HEADERS_MAX + 1]; /* as in struct http_reply */
	size_t header_count;
	char values[PLAY_HEADERS_MAX][PLAY_HEADER_SIZE];
	uint64_t recipients; /* of an accepted one */
};

/* One request, borrowed. */
struct play_request {
	const struct http_call *call;
	const char *method, *path, *body;
	size_t body_bytes;
	int64_t now_epoch_ms;
	uint64_t now_us;
};

/*
 * What an id asks for: the text that follows where the provider's ids can hold one, without regard
 * to case. The table ends with a row whose text is NULL.
 */
struct play_mark {
	const char *text;
	int status;
	const char *code;    /* the provider's; may be NULL */
	const char *message; /* as the provider words it */
	bool once;	     /* the first request with this id only: the next is accepted */
};

struct play;

struct play_provider {
	const char *name;
	int64_t rate_count, rate_per_ms; /* the documented limit; count 0: there is none */
	bool has_quota;
	bool knows_recipients; /* it calls play_reach() */
	/* It speaks HTTP/2 and nothing else; then what it announces (http/http2_server.h). */
	bool speaks_http2;
	unsigned first_streams, max_streams;
	const char *goaway_data;
	void (*answer)(
		struct play *play, const struct play_request *request, struct play_answer *answer);
};

struct play_options {
	const struct play_provider *provider;
	/* The limit in force: per channel, bot, account or project, so the sink's own. Count 0:
	 * none. */
	int64_t rate_count, rate_per_ms;
	uint64_t quota; /* recipients after which a month's quota is used up; 0: never */
};

struct play_totals {
	uint64_t throttled;  /* refused by the limit */
	uint64_t most;	     /* requests that arrived within one second, at most */
	uint64_t recipients; /* of the accepted requests */
	/* Of them, those that an earlier one was accepted for; with knows_recipients. */
	uint64_t repeated;
};

struct play {
	struct play_options options;
	struct window arrivals;
	struct window passed, passed_other; /* by the limit; a provider may have two */
	struct sink_keys accepted, once, reached;
	struct play_totals totals;
	struct json json;
	uint64_t requests;
	bool broken; /* out of memory: what was accepted cannot be remembered */
};

/* By name; NULL: there is none. play_names() is "apns, fcm, ...", for messages; static. */
const struct play_provider *play_find(const char *name);
const char *play_names(void);

void play_init(struct play *play, const struct play_options *options);
void play_free(struct play *play);
/*
 * The answer; buf_free() its body. After ERR_NOMEM in `broken` no answer is to be trusted.
 */
void play_answer(struct play *play, const struct http_call *call, int64_t now_epoch_ms,
	uint64_t now_us, struct play_answer *answer);

/* For the providers. */

/*
 * One more request of the limit: false when it is past it, and counted as throttled then. Past is
 * what is over the rate and 2 % more, since no provider's count is sharp.
 */
bool play_allows(struct play *play, struct window *passed, int64_t count, uint64_t now_us);
/* Whole seconds after which the limit has room again, at least 1. */
int64_t play_wait_s(struct window *passed, uint64_t now_us);
/* The row whose text `id` begins with, behind `offset` bytes; NULL: accept it. */
const struct play_mark *play_mark(
	struct play *play, const struct play_mark *marks, const char *id, size_t offset);
/* Takes note of the idempotency key of what is accepted; NULL is fine. */
void play_remember(struct play *play, const char *key);
/* Takes note of one of an accepted request's recipients, whatever it is sent. */
void play_reach(struct play *play, const char *id);
/* Sets status and verdict; the body is then the provider's to write, as JSON. */
void play_refuse(struct play_answer *answer, int status);
void play_accept(struct play_answer *answer, int status, uint64_t recipients);
void play_header(struct play_answer *answer, const char *name, const char *value);
/* An UUID (version 4 by its looks) that is made of the key alone. */
void play_uuid(struct sink_key key, char ret_uuid[PLAY_UUID_SIZE]);
/* 8-4-4-4-12 hexadecimal digits. */
bool play_is_uuid(const char *text);
/* What follows "Bearer " in Authorization, whatever the case; NULL when there is none. */
const char *play_bearer(const struct play_request *request);
/* The body as JSON; NULL when it is none. Good until the next. */
const struct json_value *play_json(struct play *play, const struct play_request *request);
bool play_is_hex(const char *text, size_t len);

extern const struct play_provider play_apns, play_fcm, play_lambda, play_line, play_slack,
	play_telegram, play_twilio;

#endif
