#include "admin/control.h"

#include "admin/json_text.h"
#include "admin/page_files.h"
#include "base/buf.h"
#include "bunshin/error.h"

#include <string.h>

#define PAUSE "/control/pause"
#define RESUME "/control/resume"
#define ANSWER_MAX_BYTES ((size_t)16 << 10)

void control_door_init(struct control_door *door, const struct admin_options *options)
{
	*door = (struct control_door){.options = options, .guard = {.token = options->token}};
}

bool control_door_is_at(const char *path)
{
	return strcmp(path, PAUSE) == 0 || strcmp(path, RESUME) == 0;
}

/* ---- answers */

static void reply(struct http_call *call, int status, const char *const headers[], struct buf *body)
{
	buf_append_string(body, "}\n");
	if (body->err != 0)
		http_call_abort(call);
	else
		http_call_reply(call, &(struct http_reply){.status = status,
					      .content_type = "application/json",
					      .body = buf_string(body),
					      .body_bytes = body->len,
					      .headers = headers});
	buf_free(body);
}

static const char *const plain[] = {PAGE_FILES_HEADERS, NULL};

static void refuse(struct control_door *door, struct http_call *call, int status,
	const char *const headers[], const char *error)
{
	const struct admin_options *options = door->options;
	bool pausing = strcmp(http_call_path(call), PAUSE) == 0;
	struct buf body = BUF_INIT(ANSWER_MAX_BYTES);

	buf_append_string(&body, "{\"ok\":false,\"error\":");
	json_text_write(&body, error);
	buf_append_string(&body, ",\"command\":");
	json_text_write(&body, pausing ? options->pause_command : options->resume_command);
	reply(call, status, headers, &body);
}

static void accept_change(struct http_call *call, bool paused)
{
	struct buf body = BUF_INIT(ANSWER_MAX_BYTES);

	buf_appendf(&body, "{\"ok\":true,\"paused\":%s,\"words\":", paused ? "true" : "false");
	json_text_write(&body,
		paused ? "paused: nothing of this queue is sent until it is resumed" : "resumed");
	reply(call, 200, plain, &body);
}

/* ---- the request */

static void gone(void *arg, struct http_call *call)
{
	struct control_door *door = arg;

	door->waiting = NULL;
}

/* The change goes on when whoever asked for it has gone. */
static void change(struct control_door *door, struct http_call *call, const char *peer)
{
	const struct admin_options *options = door->options;
	int err;

	if (door->waiting != NULL) {
		refuse(door, call, 409, plain, "another change is under way");
		return;
	}
	door->pausing = strcmp(http_call_path(call), PAUSE) == 0;
	err = options->set_paused(options->arg, door->pausing, peer);
	if (err == ERR_PENDING) {
		refuse(door, call, 409, plain, "another change is under way");
	} else if (err != 0) {
		refuse(door, call, 502, plain, error_message(err));
	} else {
		door->waiting = call;
		http_call_keep(call, gone, door);
	}
}

static enum guard_verdict judge(
	struct control_door *door, const struct http_call *call, uint64_t now_ms)
{
	const struct guard_request request = {
		.origin = {.host = http_call_header(call, "Host"),
			.origin = http_call_header(call, "Origin"),
			.sec_fetch_site = http_call_header(call, "Sec-Fetch-Site")},
		.authorization = http_call_header(call, "Authorization")};

	return guard_judge(&door->guard, &request, now_ms);
}

void control_door_handle(struct control_door *door, struct http_call *call, uint64_t now_ms)
{
	static const char *const only_post[] = {PAGE_FILES_HEADERS, "Allow", "POST", NULL};
	static const char *const bearer[] = {
		PAGE_FILES_HEADERS, "WWW-Authenticate", "Bearer", NULL};
	static const char *const later[] = {PAGE_FILES_HEADERS, "Retry-After", "1", NULL};
	const struct admin_options *options = door->options;
	char peer[HTTP_PEER_SIZE];

	if (strcmp(http_call_method(call), "POST") != 0) {
		refuse(door, call, 405, only_post, "POST only");
		return;
	}
	http_call_peer(call, peer);
	switch (judge(door, call, now_ms)) {
	case GUARD_FINE:
		change(door, call, peer);
		break;
	case GUARD_FOREIGN:
		options->refused(options->arg, "a web page of another origin", peer);
		refuse(door, call, 403, plain,
			"requests from web pages of another origin are refused");
		break;
	case GUARD_READ_ONLY:
		refuse(door, call, 403, plain,
			"read-only: no admin.token is set in the configuration");
		break;
	case GUARD_MISSING:
		refuse(door, call, 401, bearer, "the token (admin.token) is missing");
		break;
	case GUARD_TOO_SOON:
		refuse(door, call, 429, later,
			"a wrong token was sent a moment ago: one try a second");
		break;
	case GUARD_WRONG:
	default:
		options->refused(options->arg, "a wrong token", peer);
		refuse(door, call, 401, bearer, "this is not the token (admin.token)");
		break;
	}
}

void control_door_changed(struct control_door *door, const char *error)
{
	struct http_call *call = door->waiting;

	door->waiting = NULL;
	if (call == NULL)
		return;
	if (error != NULL)
		refuse(door, call, 502, plain, error);
	else
		accept_change(call, door->pausing);
}
