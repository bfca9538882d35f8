/*
 * Slack: chat.postMessage, and incoming webhooks.
 *
 * docs.slack.dev: "chat.postMessage" (an error comes with status 200 and "ok":false), "Rate limits"
 * (one message a second for a channel; 429 with Retry-After), "Sending messages using incoming
 * webhooks" (plain text answers).
 *
 * Channels: C, D, G or U and capital letters and digits. "CDEAD0404..." is unknown, "CDEAD0410..."
 * archived, "CDEAD0403..." one that the bot is not in; "CDEAD0429..." is throttled and
 * "CDEAD0500..." answered with an internal error once. --rate is for all channels together.
 */
#include "cli/sink/play.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 40000, ID_MIN = 9, ID_MAX = 32 };

static const struct play_mark marks[] = {
	{"dead0404", 200, "channel_not_found", NULL, false},
	{"dead0410", 200, "is_archived", NULL, false},
	{"dead0403", 200, "not_in_channel", NULL, false},
	{"dead0429", 429, "ratelimited", NULL, true},
	{"dead0500", 200, "internal_error", NULL, true},
	{NULL, 0, NULL, NULL, false},
};

static void refuse(struct play_answer *answer, int status, const char *error)
{
	play_refuse(answer, status);
	buf_appendf(&answer->body, "{\"ok\":false,\"error\":\"%s\"}", error);
}

static void throttle(struct play *play, const struct play_request *request,
	struct play_answer *answer, const char *body)
{
	char wait[24];

	play_refuse(answer, 429);
	answer->verdict = PLAY_THROTTLED;
	snprintf(wait, sizeof(wait), "%" PRId64, play_wait_s(&play->passed, request->now_us));
	play_header(answer, "Retry-After", wait);
	buf_append_string(&answer->body, body);
}

static bool allows(struct play *play, const struct play_request *request)
{
	return play_allows(play, &play->passed, play->options.rate_count, request->now_us);
}

static bool is_channel(const char *text)
{
	size_t len = strlen(text);

	return len >= ID_MIN && len <= ID_MAX && strchr("CDGU", text[0]) &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == len;
}

static void post_message(
	struct play *play, const struct play_request *request, struct play_answer *answer)
{
	const struct json_value *body, *text;
	const struct play_mark *mark;
	const char *channel;

	if (!play_bearer(request)) {
		refuse(answer, 200, "not_authed");
		return;
	}
	if (strncmp(play_bearer(request), "xox", 3) != 0) {
		refuse(answer, 200, "invalid_auth");
		return;
	}
	if (!allows(play, request)) {
		throttle(play, request, answer, "{\"ok\":false,\"error\":\"ratelimited\"}");
		return;
	}
	body = play_json(play, request);
	if (!body || body->kind != JSON_OBJECT) {
		refuse(answer, 200, "invalid_json");
		return;
	}
	channel = json_text(json_member(body, "channel"));
	mark = channel && is_channel(channel) ? play_mark(play, marks, channel, 1) : &marks[0];
	if (mark) {
		refuse(answer, mark->status, mark->code);
		if (mark->status == 429)
			play_header(answer, "Retry-After", "1");
		return;
	}
	text = json_member(body, "text");
	if (!json_member(body, "blocks") && (!text || text->string_bytes == 0)) {
		refuse(answer, 200, "no_text");
		return;
	}
	if (text && text->string_bytes > TEXT_MAX) {
		refuse(answer, 200, "msg_too_long");
		return;
	}
	play_accept(answer, 200, 1);
	buf_appendf(&answer->body,
		"{\"ok\":true,\"channel\":\"%s\",\"ts\":\"%" PRId64 ".%06" PRIu64 "\"}", channel,
		request->now_epoch_ms / 1000, play->requests % 1000000);
}

static void webhook(
	struct play *play, const struct play_request *request, struct play_answer *answer)
{
	const struct json_value *body;

	answer->content_type = "text/plain";
	if (!allows(play, request)) {
		throttle(play, request, answer, "rate_limited");
		return;
	}
	body = play_json(play, request);
	play_refuse(answer, 400);
	if (!body || body->kind != JSON_OBJECT) {
		buf_append_string(&answer->body, "invalid_payload");
	} else if (!json_member(body, "text") && !json_member(body, "blocks")) {
		buf_append_string(&answer->body, "no_text");
	} else {
		play_accept(answer, 200, 1);
		buf_append_string(&answer->body, "ok");
	}
}

static void answer_slack(
	struct play *play, const struct play_request *request, struct play_answer *answer)
{
	bool is_webhook = strncmp(request->path, "/services/", 10) == 0;

	if (strcmp(request->method, "POST") != 0) {
		refuse(answer, 405, "method_not_allowed");
	} else if (is_webhook) {
		webhook(play, request, answer);
	} else if (strcmp(request->path, "/api/chat.postMessage") == 0) {
		post_message(play, request, answer);
	} else if (strncmp(request->path, "/api/", 5) == 0) {
		refuse(answer, 200, "unknown_method");
	} else {
		refuse(answer, 404, "not_found");
	}
}

const struct play_provider play_slack = {
	.name = "slack",
	.rate_count = 1,
	.rate_per_ms = 1000,
	.answer = answer_slack,
};
