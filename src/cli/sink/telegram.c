/*
 * Telegram Bot API, sendMessage.
 *
 * core.telegram.org/bots/api: "Making requests" (the answer's shape, error_code, description),
 * "ResponseParameters" (retry_after stands in the body; there is no Retry-After);
 * core.telegram.org/bots/faq: 30 messages a second. The token is a part of the path.
 *
 * Recipients: a number, or "@channel". Numbers that begin with 9990400 are unknown, with 9990403
 * they have blocked the bot, with 9990410 their account is gone, 9990429 is throttled and 9990500
 * answered with a 500 once.
 */
#include "cli/sink/play.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { TEXT_MAX = 4096, SECRET_BYTES = 35, ID_MAX = 64 };

static const struct play_mark marks[] = {
	{"9990400", 400, NULL, "Bad Request: chat not found", false},
	{"9990403", 403, NULL, "Forbidden: bot was blocked by the user", false},
	{"9990410", 403, NULL, "Forbidden: user is deactivated", false},
	{"9990429", 429, NULL, NULL, true},
	{"9990500", 500, NULL, "Internal Server Error", true},
	{NULL, 0, NULL, NULL, false},
};

static void refuse(struct play_answer *answer, int status, const char *description)
{
	play_refuse(answer, status);
	buf_appendf(&answer->body, "{\"ok\":false,\"error_code\":%d,\"description\":\"%s\"}",
		status, description);
}

static void throttle(struct play_answer *answer, int64_t wait_s)
{
	play_refuse(answer, 429);
	buf_appendf(&answer->body,
		"{\"ok\":false,\"error_code\":429,\"description\":\"Too Many Requests: retry after "
		"%" PRId64 "\",\"parameters\":{\"retry_after\":%" PRId64 "}}",
		wait_s, wait_s);
}

/* "/bot123:ABC.../sendMessage": what follows the token; NULL: no token. */
static const char *method_of(const char *path)
{
	size_t digits, secret;

	if (strncmp(path, "/bot", 4) != 0)
		return NULL;
	path += 4;
	digits = strspn(path, "0123456789");
	if (digits == 0 || path[digits] != ':')
		return NULL;
	path += digits + 1;
	secret = strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
	return secret == SECRET_BYTES && path[secret] == '/' ? path + secret + 1 : NULL;
}

/* Characters of UTF-8 text, which the parser has checked. */
static size_t characters(const char *text, size_t bytes)
{
	size_t count = 0;

	for (size_t i = 0; i < bytes; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

/* The chat as text; false: there is none. */
static bool chat_of(const struct json_value *body, char ret_chat[ID_MAX])
{
	const struct json_value *value = json_member(body, "chat_id");
	const char *text = json_text(value);
	int64_t number;

	if (json_int(value, &number) == 0)
		snprintf(ret_chat, ID_MAX, "%" PRId64, number);
	else if (text && *text && strlen(text) < ID_MAX)
		snprintf(ret_chat, ID_MAX, "%s", text);
	else
		return false;
	return true;
}

static bool is_chat(const char *chat)
{
	size_t sign = *chat == '-';

	if (*chat == '@')
		return chat[1] != '\0';
	return chat[sign] != '\0' && strspn(chat + sign, "0123456789") == strlen(chat + sign);
}

static void send_message(
	struct play *play, const struct play_request *request, struct play_answer *answer)
{
	const struct json_value *body = play_json(play, request);
	const struct json_value *text = json_member(body, "text");
	const struct play_mark *mark;
	char chat[ID_MAX];

	if (!chat_of(body, chat)) {
		refuse(answer, 400, "Bad Request: chat_id is empty");
		return;
	}
	if (!text || text->kind != JSON_STRING || text->string_bytes == 0) {
		refuse(answer, 400, "Bad Request: message text is empty");
		return;
	}
	if (characters(text->string, text->string_bytes) > TEXT_MAX) {
		refuse(answer, 400, "Bad Request: message is too long");
		return;
	}
	mark = is_chat(chat) ? play_mark(play, marks, chat, 0) : &marks[0];
	if (mark && mark->status == 429) {
		throttle(answer, 1);
		return;
	}
	if (mark) {
		refuse(answer, mark->status, mark->message);
		return;
	}
	play_accept(answer, 200, 1);
	buf_appendf(&answer->body,
		"{\"ok\":true,\"result\":{\"message_id\":%" PRIu64 ",\"date\":%" PRId64
		",\"chat\":{\"id\":",
		play->requests, request->now_epoch_ms / 1000);
	if (*chat == '@')
		buf_appendf(&answer->body, "-100%" PRIu64 ",\"type\":\"channel\"}", play->requests);
	else
		buf_appendf(&answer->body, "%s,\"type\":\"private\"}", chat);
	buf_append_string(&answer->body, ",\"text\":\"");
	buf_append_json(&answer->body, text->string, text->string_bytes);
	buf_append_string(&answer->body, "\"}}");
}

static void answer_telegram(
	struct play *play, const struct play_request *request, struct play_answer *answer)
{
	const char *method = method_of(request->path);

	if (!method)
		refuse(answer, strncmp(request->path, "/bot", 4) == 0 ? 401 : 404,
			strncmp(request->path, "/bot", 4) == 0 ? "Unauthorized" : "Not Found");
	else if (strcasecmp(method, "sendMessage") != 0)
		refuse(answer, 404, "Not Found: method not found");
	else if (strcmp(request->method, "POST") != 0 && strcmp(request->method, "GET") != 0)
		refuse(answer, 405, "Method Not Allowed");
	else if (!play_allows(play, &play->passed, play->options.rate_count, request->now_us)) {
		throttle(answer, play_wait_s(&play->passed, request->now_us));
		answer->verdict = PLAY_THROTTLED;
	} else
		send_message(play, request, answer);
}

const struct play_provider play_telegram = {
	.name = "telegram",
	.rate_count = 30,
	.rate_per_ms = 1000,
	.answer = answer_telegram,
};
