/*
 * LINE Messaging API, push and multicast.
 *
 * developers.line.biz: "Messaging API reference" (status codes, error responses, rate limits),
 * "Retry failed API requests" (the retry key, 409). 2,000 requests a second for push, 200 for
 * multicast; --rate is push's, and multicast has a tenth of it.
 *
 * Recipients: U or C or R and 32 hexadecimal digits, in small letters. "Udead0400..." is refused,
 * "Udead0429..." throttled and "Udead0500..." answered with a 500 once.
 */
#include "cli/sink/play.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
	ID_BYTES = 33,
	TO_MAX = 500,
	MESSAGES_MAX = 5,
	BODY_MAX_BYTES = 2 << 20,
	MULTICAST_SHARE = 10,
};

static const struct play_mark marks[] = {
	{"dead0400", 400, NULL,
		"The property, 'to', in the request body is invalid (line: -, column: -)", false},
	{"dead0429", 429, NULL, "The API rate limit has been exceeded. Try again later.", true},
	{"dead0500", 500, NULL, "Internal server error", true},
	{NULL, 0, NULL, NULL, false},
};

static void refuse(struct play_answer *answer, int status, const char *message)
{
	play_refuse(answer, status);
	buf_appendf(&answer->body, "{\"message\":\"%s\"}", message);
}

/* A message of the body is wrong. */
static void refuse_detail(struct play_answer *answer, const char *property, const char *message)
{
	play_refuse(answer, 400);
	buf_appendf(&answer->body,
		"{\"message\":\"The request body has 1 error(s)\",\"details\":"
		"[{\"message\":\"%s\",\"property\":\"%s\"}]}",
		message, property);
}

static bool is_id(const struct json_value *value)
{
	const char *text = json_text(value);

	return text && value->string_bytes == ID_BYTES && strchr("UCR", text[0]) &&
	       strspn(text + 1, "0123456789abcdef") == ID_BYTES - 1;
}

/* True: every message has what it needs. */
static bool check_messages(const struct json_value *body, struct play_answer *answer)
{
	const struct json_value *messages = json_member(body, "messages");
	char property[64];
	size_t index = 0;

	if (!messages || messages->kind != JSON_ARRAY || messages->count == 0 ||
		messages->count > MESSAGES_MAX) {
		refuse_detail(answer, "messages", "Size must be between 1 and 5");
		return false;
	}
	for (const struct json_value *message = json_first(messages); message;
		message = json_next(messages, message), index++) {
		const char *type = json_text(json_member(message, "type"));
		const char *text = json_text(json_member(message, "text"));

		snprintf(property, sizeof(property), "messages[%zu].%s", index,
			type ? "text" : "type");
		if (!type || (strcmp(type, "text") == 0 && (!text || !*text))) {
			refuse_detail(
				answer, property, type ? "May not be empty" : "Must be specified");
			return false;
		}
	}
	return true;
}

/* What becomes of one recipient; NULL: it is accepted. */
static const struct play_mark *judge(struct play *play, const struct json_value *id)
{
	return is_id(id) ? play_mark(play, marks, json_text(id), 1) : &marks[0];
}

/* Of several, the one that stays refused is what the request is answered. */
static const struct play_mark *judge_all(struct play *play, const struct json_value *to)
{
	const struct play_mark *mark = NULL;

	for (const struct json_value *id = json_first(to); id; id = json_next(to, id)) {
		const struct play_mark *found = judge(play, id);

		if (found && (!mark || mark->once))
			mark = found;
	}
	return mark;
}

/* The recipients' number; 0: refused, and the answer says so. */
static uint64_t check_recipients(struct play *play, const struct json_value *to, bool is_multicast,
	struct play_answer *answer)
{
	const struct play_mark *mark;

	if (is_multicast &&
		(!to || to->kind != JSON_ARRAY || to->count == 0 || to->count > TO_MAX)) {
		refuse_detail(answer, "to", "Size must be between 1 and 500");
		return 0;
	}
	mark = is_multicast ? judge_all(play, to) : judge(play, to);
	if (!mark)
		return is_multicast ? to->count : 1;
	refuse(answer, mark->status, mark->message);
	return 0;
}

/* Those of a request that is being accepted. */
static void reach(struct play *play, const struct json_value *to)
{
	if (to->kind == JSON_STRING)
		play_reach(play, json_text(to));
	for (const struct json_value *id = json_first(to); id; id = json_next(to, id))
		play_reach(play, json_text(id));
}

/* A request with this key was accepted before: the answer names it. */
static void refuse_repeated(const char *key, struct play_answer *answer)
{
	char id[PLAY_UUID_SIZE];

	play_uuid(sink_key_of(key), id);
	play_header(answer, "x-line-accepted-request-id", id);
	refuse(answer, 409, "The retry key is already accepted");
	answer->verdict = PLAY_REPEATED;
}

/* True: the limit and the month's quota leave room. */
static bool check_limits(struct play *play, const struct play_request *request, bool is_multicast,
	struct play_answer *answer)
{
	int64_t count = play->options.rate_count;

	if (is_multicast && count != 0)
		count = count < MULTICAST_SHARE ? 1 : count / MULTICAST_SHARE;
	if (!play_allows(play, is_multicast ? &play->passed_other : &play->passed, count,
		    request->now_us)) {
		refuse(answer, 429, marks[1].message);
		answer->verdict = PLAY_THROTTLED;
		return false;
	}
	if (play->options.quota != 0 && play->totals.recipients >= play->options.quota) {
		refuse(answer, 429, "You have reached your monthly limit.");
		return false;
	}
	return true;
}

static void send_message(struct play *play, const struct play_request *request, bool is_multicast,
	struct play_answer *answer)
{
	const char *key = http_call_header(request->call, "X-Line-Retry-Key");
	const char *type = http_call_header(request->call, "Content-Type");
	const struct json_value *body;
	uint64_t recipients;

	if (key && !play_is_uuid(key)) {
		refuse(answer, 400, "The value for the 'X-Line-Retry-Key' header is invalid");
		return;
	}
	if (!check_limits(play, request, is_multicast, answer))
		return;
	if (request->body_bytes > BODY_MAX_BYTES) {
		refuse(answer, 413, "Request body too large");
		return;
	}
	if (!type || strncasecmp(type, "application/json", 16) != 0) {
		refuse(answer, 415, "Unsupported media type");
		return;
	}
	body = play_json(play, request);
	if (!body || body->kind != JSON_OBJECT) {
		refuse(answer, 400,
			"The request body could not be parsed as JSON (line: 1, column: 1)");
		return;
	}
	if (!check_messages(body, answer))
		return;
	if (key && sink_keys_has(&play->accepted, sink_key_of(key))) {
		refuse_repeated(key, answer);
		return;
	}
	recipients = check_recipients(play, json_member(body, "to"), is_multicast, answer);
	if (recipients == 0)
		return;
	play_remember(play, key);
	reach(play, json_member(body, "to"));
	play_accept(answer, 200, recipients);
	if (is_multicast)
		buf_append_string(&answer->body, "{}");
	else
		buf_appendf(&answer->body, "{\"sentMessages\":[{\"id\":\"%018llu\"}]}",
			460000000000000000ULL + (unsigned long long)play->requests);
}

static void answer_line(
	struct play *play, const struct play_request *request, struct play_answer *answer)
{
	bool is_push = strcmp(request->path, "/v2/bot/message/push") == 0;
	bool is_multicast = strcmp(request->path, "/v2/bot/message/multicast") == 0;
	const char *key = http_call_header(request->call, "X-Line-Retry-Key");
	char number[32], id[PLAY_UUID_SIZE];

	if (!is_push && !is_multicast)
		refuse(answer, 404, "Not found");
	else if (strcmp(request->method, "POST") != 0)
		refuse(answer, 405, "Method not allowed");
	else if (!play_bearer(request))
		refuse(answer, 401,
			"Authentication failed due to the following reason: invalid token. Confirm "
			"that the access token in the authorization header is valid.");
	else
		send_message(play, request, is_multicast, answer);
	/* The id of what is accepted is made of the key, so that a repetition can name it. */
	snprintf(number, sizeof(number), "%llu", (unsigned long long)play->requests);
	play_uuid(sink_key_of(answer->verdict == PLAY_ACCEPTED && key ? key : number), id);
	play_header(answer, "x-line-request-id", id);
}

const struct play_provider play_line = {
	.name = "line",
	.rate_count = 2000,
	.rate_per_ms = 1000,
	.has_quota = true,
	.knows_recipients = true,
	.answer = answer_line,
};
