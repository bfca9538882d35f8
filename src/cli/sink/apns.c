/*
 * Apple Push Notification service.
 *
 * developer.apple.com: "Sending notification requests to APNs" (path, headers, sizes), "Handling
 * notification responses from APNs" (statuses and reasons, the timestamp of a 410), "Establishing a
 * token-based connection to APNs" (a token is good for an hour).
 * "Establishing a connection to APNs": HTTP/2; one stream until a token was accepted; a GOAWAY has
 * a reason, as the body of an answer.
 *
 * Recipients: 64 hexadecimal digits or more. "dead0400..." is no token of the topic, "dead0410..."
 * is unregistered, "dead0429..." is throttled and "dead0500..." and "dead0503..." answered so once.
 * The bearer token "expired" has expired.
 */
#include "cli/sink/play.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PAYLOAD_MAX_BYTES = 4096, TOKEN_MIN = 64, TOKEN_MAX = 200 };

static const struct play_mark marks[] = {
	{"dead0400", 400, NULL, "BadDeviceToken", false},
	{"dead0410", 410, NULL, "Unregistered", false},
	{"dead0429", 429, NULL, "TooManyRequests", true},
	{"dead0500", 500, NULL, "InternalServerError", true},
	{"dead0503", 503, NULL, "ServiceUnavailable", true},
	{NULL, 0, NULL, NULL, false},
};

static void refuse(struct play_answer *answer, int status, const char *reason)
{
	play_refuse(answer, status);
	buf_appendf(&answer->body, "{\"reason\":\"%s\"}", reason);
}

/* What a provider token looks like: three parts with dots between. */
static bool is_jwt(const char *text)
{
	const char *first = strchr(text, '.'), *second = first ? strchr(first + 1, '.') : NULL;

	return second && first > text && second > first + 1 && second[1] &&
	       !strchr(second + 1, '.');
}

/* True: the credentials look right. */
static bool check_token(const struct play_request *request, struct play_answer *answer)
{
	const char *token = play_bearer(request);

	if (!token)
		refuse(answer, 403, "MissingProviderToken");
	else if (strcmp(token, "expired") == 0)
		refuse(answer, 403, "ExpiredProviderToken");
	else if (!is_jwt(token))
		refuse(answer, 403, "InvalidProviderToken");
	else
		return true;
	return false;
}

static void send_message(struct play *play, const struct play_request *request, const char *device,
	struct play_answer *answer)
{
	const char *topic = http_call_header(request->call, "apns-topic");
	size_t len = strlen(device);
	const struct json_value *body;
	const struct play_mark *mark;

	if (!topic || !*topic) {
		refuse(answer, 400, "MissingTopic");
		return;
	}
	if (request->body_bytes == 0) {
		refuse(answer, 400, "PayloadEmpty");
		return;
	}
	if (request->body_bytes > PAYLOAD_MAX_BYTES) {
		refuse(answer, 413, "PayloadTooLarge");
		return;
	}
	body = play_json(play, request);
	mark = &marks[0];
	if (len >= TOKEN_MIN && len <= TOKEN_MAX && play_is_hex(device, len))
		mark = play_mark(play, marks, device, 0);
	if (mark && mark->status == 410) {
		play_refuse(answer, 410);
		buf_appendf(&answer->body,
			"{\"reason\":\"Unregistered\",\"timestamp\":%" PRId64 "}",
			request->now_epoch_ms - 1000);
	} else if (mark) {
		refuse(answer, mark->status, mark->message);
	} else if (!body || body->kind != JSON_OBJECT) {
		refuse(answer, 400, "PayloadEmpty");
	} else {
		play_accept(answer, 200, 1);
		answer->content_type = NULL;
	}
}

static void answer_apns(
	struct play *play, const struct play_request *request, struct play_answer *answer)
{
	static const char start[] = "/3/device/";
	const char *given = http_call_header(request->call, "apns-id");
	char number[32], id[PLAY_UUID_SIZE];

	snprintf(number, sizeof(number), "%" PRIu64, play->requests);
	play_uuid(sink_key_of(number), id);
	play_header(answer, "apns-id", given && play_is_uuid(given) ? given : id);
	if (strncmp(request->path, start, strlen(start)) != 0)
		refuse(answer, 404, "BadPath");
	else if (strcmp(request->method, "POST") != 0)
		refuse(answer, 405, "MethodNotAllowed");
	else if (given && !play_is_uuid(given))
		refuse(answer, 400, "BadMessageId");
	else if (!check_token(request, answer))
		return;
	else if (request->path[strlen(start)] == '\0')
		refuse(answer, 400, "MissingDeviceToken");
	else if (!play_allows(play, &play->passed, play->options.rate_count, request->now_us)) {
		refuse(answer, 429, "TooManyRequests");
		answer->verdict = PLAY_THROTTLED;
	} else
		send_message(play, request, request->path + strlen(start), answer);
}

/* Apple publishes no limit. */
const struct play_provider play_apns = {
	.name = "apns",
	.rate_per_ms = 1000,
	.speaks_http2 = true,
	.first_streams = 1,
	.max_streams = 1000,
	.goaway_data = "{\"reason\":\"Shutdown\"}",
	.answer = answer_apns,
};
