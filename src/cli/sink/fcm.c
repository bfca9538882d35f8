/*
 * Firebase Cloud Messaging, HTTP v1.
 *
 * firebase.google.com: "ErrorCode" (the FcmError in error.details), "FCM Throttling and Quotas"
 * (600,000 a minute for each project, 429 with Retry-After), "Best practices when sending FCM
 * messages at scale".
 *
 * Recipients: message.token. One that begins with "dead0400" is no token, with "dead0404" the app
 * is not on that device any more, with "dead0403" it belongs to another sender; "dead0429" is
 * throttled, and "dead0500" and "dead0503" are answered so once.
 */
#include "cli/sink/play.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PAYLOAD_MAX_BYTES = 4096, TOKEN_MAX = 4096 };

static const struct play_mark marks[] = {
	{"dead0400", 400, "INVALID_ARGUMENT",
		"The registration token is not a valid FCM registration token", false},
	{"dead0403", 403, "SENDER_ID_MISMATCH", "SenderId mismatch", false},
	{"dead0404", 404, "UNREGISTERED", "Requested entity was not found.", false},
	{"dead0429", 429, "QUOTA_EXCEEDED", "Resource has been exhausted (e.g. check quota).",
		true},
	{"dead0500", 500, "INTERNAL", "Internal error encountered.", true},
	{"dead0503", 503, "UNAVAILABLE", "The service is currently unavailable.", true},
	{NULL, 0, NULL, NULL, false},
};

/* google.rpc.Code, by its HTTP status. */
static const char *status_name(int status)
{
	switch (status) {
	case 400:
		return "INVALID_ARGUMENT";
	case 401:
		return "UNAUTHENTICATED";
	case 403:
		return "PERMISSION_DENIED";
	case 404:
		return "NOT_FOUND";
	case 429:
		return "RESOURCE_EXHAUSTED";
	case 503:
		return "UNAVAILABLE";
	default:
		return "INTERNAL";
	}
}

/* code NULL: an error of the platform, which has no FcmError. */
static void refuse(struct play_answer *answer, int status, const char *code, const char *message)
{
	play_refuse(answer, status);
	buf_appendf(&answer->body, "{\"error\":{\"code\":%d,\"message\":\"%s\",\"status\":\"%s\"",
		status, message, status_name(status));
	if (code)
		buf_appendf(&answer->body,
			",\"details\":[{\"@type\":\"type.googleapis.com/"
			"google.firebase.fcm.v1.FcmError\",\"errorCode\":\"%s\"}]",
			code);
	buf_append_string(&answer->body, "}}");
}

static void refuse_mark(struct play_answer *answer, const struct play_mark *mark)
{
	refuse(answer, mark->status, mark->code, mark->message);
	if (mark->status == 429 || mark->status == 503)
		play_header(answer, "Retry-After", "1");
}

/*
 * The endpoint that a service account gets its tokens from ("Using OAuth 2.0 for Server to Server
 * Applications"): the form has to be one, the assertion to look like a JWT; nobody checks its
 * signature.
 */
static bool has_assertion(const struct play_request *request)
{
	static const char start[] =
		"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
	static const char base64url[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *at = request->body + strlen(start), *end = request->body + request->body_bytes;
	size_t dots = 0, len = 0; /* of the part that `at` is in */

	if (request->body_bytes < strlen(start) || memcmp(request->body, start, strlen(start)) != 0)
		return false;
	for (; at < end; at++) {
		if (*at == '.' && len > 0 && dots < 2) {
			dots++;
			len = 0;
		} else if (*at != '\0' && strchr(base64url, *at)) {
			len++;
		} else {
			return false;
		}
	}
	return dots == 2 && len > 0;
}

static void give_token(
	struct play *play, const struct play_request *request, struct play_answer *answer)
{
	answer->verdict = PLAY_TOKEN;
	answer->status = 400;
	if (strcmp(request->method, "POST") != 0 || !has_assertion(request)) {
		buf_append_string(&answer->body,
			"{\"error\":\"invalid_grant\",\"error_description\":\"Bad Request\"}");
		return;
	}
	answer->status = 200;
	buf_appendf(&answer->body,
		"{\"access_token\":\"ya29.sink-%" PRId64 "-%" PRIu64
		"\",\"expires_in\":3599,\"token_type\":\"Bearer\"}",
		request->now_epoch_ms, play->requests);
}

/* "/v1/projects/P/messages:send": the length of P; 0: another path. */
static size_t project_of(const char *path, const char **ret_project)
{
	static const char start[] = "/v1/projects/";
	size_t len;

	if (strncmp(path, start, strlen(start)) != 0)
		return 0;
	*ret_project = path + strlen(start);
	/* It goes into the answer, so nothing that JSON would not take. */
	len = strspn(*ret_project, "abcdefghijklmnopqrstuvwxyz0123456789-.:");
	return strcmp(*ret_project + len, "/messages:send") == 0 ? len : 0;
}

static bool is_token(const char *token)
{
	size_t len = strlen(token);

	return len > 0 && len <= TOKEN_MAX &&
	       strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-:") ==
		       len;
}

static void send_message(struct play *play, const struct play_request *request, const char *project,
	size_t project_bytes, struct play_answer *answer)
{
	const struct json_value *message = json_member(play_json(play, request), "message");
	const char *token = json_text(json_member(message, "token"));
	const struct play_mark *mark;

	if (!message || message->kind != JSON_OBJECT) {
		refuse(answer, 400, NULL, "Invalid JSON payload received.");
		return;
	}
	if (!token) {
		refuse(answer, 400, "INVALID_ARGUMENT", "Recipient of the message is not set.");
		return;
	}
	if (message->raw_bytes > PAYLOAD_MAX_BYTES + strlen(token)) {
		refuse(answer, 400, "INVALID_ARGUMENT", "Android message is too big");
		return;
	}
	mark = is_token(token) ? play_mark(play, marks, token, 0) : &marks[0];
	if (mark) {
		refuse_mark(answer, mark);
		return;
	}
	play_accept(answer, 200, 1);
	buf_append_string(&answer->body, "{\"name\":\"projects/");
	buf_append_json(&answer->body, project, project_bytes);
	buf_appendf(&answer->body, "/messages/0:%" PRId64 "%%%" PRIx64 "\"}",
		request->now_epoch_ms * 1000, play->requests);
}

static void answer_fcm(
	struct play *play, const struct play_request *request, struct play_answer *answer)
{
	const char *project;
	size_t project_bytes = project_of(request->path, &project);
	char wait[24];

	if (strcmp(request->path, "/token") == 0) {
		give_token(play, request, answer);
	} else if (project_bytes == 0 || strcmp(request->method, "POST") != 0) {
		refuse(answer, 404, NULL, "Requested entity was not found.");
	} else if (!play_bearer(request)) {
		refuse(answer, 401, NULL,
			"Request is missing required authentication credential. Expected OAuth 2 "
			"access token, login cookie or other valid authentication credential.");
		play_header(answer, "WWW-Authenticate",
			"Bearer realm=\"https://accounts.google.com/\"");
	} else if (!play_allows(play, &play->passed, play->options.rate_count, request->now_us)) {
		refuse(answer, 429, "QUOTA_EXCEEDED", marks[3].message);
		answer->verdict = PLAY_THROTTLED;
		snprintf(wait, sizeof(wait), "%" PRId64,
			play_wait_s(&play->passed, request->now_us));
		play_header(answer, "Retry-After", wait);
	} else {
		send_message(play, request, project, project_bytes, answer);
	}
}

const struct play_provider play_fcm = {
	.name = "fcm",
	.rate_count = 600000,
	.rate_per_ms = 60000,
	.answer = answer_fcm,
};
