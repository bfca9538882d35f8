#include "admin/admin.h"

#include "admin/control.h"
#include "admin/json_text.h"
#include "admin/page_files.h"
#include "bunshin/error.h"
#include "http/server.h"

#include <stdlib.h>
#include <string.h>

/* Few and small requests are all there is to expect here. */
#define REQUEST_MAX_BYTES 1024
#define CONNECTIONS_MAX 64
#define IDLE_TIMEOUT_S 20
#define ANSWER_MAX_BYTES ((size_t)16 << 20)
#define CHECKS_MAX_BYTES ((size_t)1 << 20)
#define SINCE_DIGITS_MAX 17

struct admin {
	struct admin_options options;
	uv_loop_t *loop;
	struct http_server *server;
	struct control_door door;
	struct buf answer, checks; /* scratch */
};

struct reply {
	int status;
	const char *content_type;
};

#define TEXT "text/plain; charset=utf-8"

static struct reply write_index(struct admin *admin, const struct http_call *call)
{
	buf_append_string(&admin->answer,
		"bunshin " BUNSHIN_VERSION "\n\n"
		"/metrics  for Prometheus\n"
		"/healthz  whether the workers make progress\n"
		"/readyz   whether they can deliver, and what keeps them from it\n"
		"/status.json   what is now: verdict, rates, failures, campaigns, workers\n"
		"/history.json  what was, a sample a second (?since=EPOCH_MS)\n"
		"/control/pause, /control/resume  POST with the token (admin.token)\n");
	return (struct reply){200, TEXT};
}

static struct reply write_metrics(struct admin *admin, const struct http_call *call)
{
	struct metrics *metrics = metrics_new();
	int err = metrics != NULL ? admin->options.collect(admin->options.arg, metrics) : ERR_NOMEM;

	if (err == 0)
		err = exposition_write(metrics, &admin->answer);
	metrics_free(metrics);
	if (err == 0)
		return (struct reply){200, "text/plain; version=0.0.4; charset=utf-8"};
	buf_clear(&admin->answer);
	buf_appendf(&admin->answer, "the metrics cannot be had now: %s\n", error_message(err));
	return (struct reply){503, TEXT};
}

struct verdict {
	struct buf *checks;
	bool ready;
};

static void write_check(void *arg, const struct admin_check *check)
{
	static const char *const words[] = {
		[ADMIN_OK] = "ok", [ADMIN_DEGRADED] = "degraded", [ADMIN_FAILED] = "failed"};
	struct verdict *verdict = arg;
	struct buf *out = verdict->checks;

	verdict->ready = verdict->ready && check->health != ADMIN_FAILED;
	if (out->len > 0)
		buf_append_char(out, ',');
	buf_append_string(out, "{\"name\":");
	json_text_write(out, check->name);
	buf_appendf(out, ",\"health\":\"%s\",\"detail\":", words[check->health]);
	json_text_write(out, check->detail);
	buf_append_char(out, '}');
}

/* "ok" and, where it is asked whether the port is ready, "ready" beside it say the same. */
static struct reply write_verdict(
	struct admin *admin, const struct verdict *verdict, const char *key)
{
	const char *word = verdict->ready ? "true" : "false";

	buf_append_char(&admin->answer, '{');
	if (key != NULL)
		buf_appendf(&admin->answer, "\"%s\":%s,", key, word);
	buf_appendf(&admin->answer, "\"ok\":%s,\"checks\":[", word);
	buf_append(&admin->answer, buf_string(&admin->checks), admin->checks.len);
	buf_append_string(&admin->answer, "]}\n");
	if (admin->checks.err != 0)
		admin->answer.err = admin->checks.err;
	return (struct reply){verdict->ready ? 200 : 503, "application/json"};
}

/* Liveness has one check: whoever asks restarts what has failed, and nothing else is a reason. */
static struct reply write_health(struct admin *admin, const struct http_call *call)
{
	bool (*is_alive)(void *arg, struct buf *words) = admin->options.is_alive;
	struct verdict verdict = {.checks = &admin->checks, .ready = true};
	struct buf words = BUF_INIT(CHECKS_MAX_BYTES);
	bool alive = is_alive == NULL || is_alive(admin->options.arg, &words);
	struct admin_check check = {.name = "progress",
		.health = alive ? ADMIN_OK : ADMIN_FAILED,
		.detail = alive ? "" : buf_string(&words)};

	buf_clear(&admin->checks);
	write_check(&verdict, &check);
	buf_free(&words);
	return write_verdict(admin, &verdict, NULL);
}

/* The checks are asked once: what they come to and what is written are of one moment. */
static struct reply write_readiness(struct admin *admin, const struct http_call *call)
{
	const struct admin_options *options = &admin->options;
	struct verdict verdict = {.checks = &admin->checks, .ready = true};

	buf_clear(&admin->checks);
	options->each_check(options->arg, write_check, &verdict);
	return write_verdict(admin, &verdict, "ready");
}

/* A document that somebody else writes. */
static struct reply finish_document(struct admin *admin, int err)
{
	if (err == 0)
		return (struct reply){200, "application/json"};
	buf_clear(&admin->answer);
	buf_appendf(&admin->answer, "this cannot be had now: %s\n", error_message(err));
	return (struct reply){503, TEXT};
}

static struct reply write_status(struct admin *admin, const struct http_call *call)
{
	const struct admin_options *options = &admin->options;

	return finish_document(admin, options->status != NULL
					      ? options->status(options->arg, &admin->answer)
					      : ERR_NOT_FOUND);
}

/* Digits, at most those of a time; anything else is from the beginning. */
static int64_t read_since(const char *text)
{
	int64_t since_ms = 0;

	if (text == NULL || strlen(text) > SINCE_DIGITS_MAX)
		return 0;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return 0;
		since_ms = since_ms * 10 + (*text - '0');
	}
	return since_ms;
}

static struct reply write_history(struct admin *admin, const struct http_call *call)
{
	const struct admin_options *options = &admin->options;
	int64_t since_ms = read_since(http_call_query(call, "since"));

	return finish_document(admin,
		options->history != NULL ? options->history(options->arg, since_ms, &admin->answer)
					 : ERR_NOT_FOUND);
}

static const struct page {
	const char *path;
	struct reply (*write)(struct admin *admin, const struct http_call *call);
} pages[] = {
	{"/", write_index},
	{"/metrics", write_metrics},
	{"/healthz", write_health},
	{"/readyz", write_readiness},
	{"/status.json", write_status},
	{"/history.json", write_history},
};

static const struct page *find_page(const char *path)
{
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (strcmp(pages[i].path, path) == 0)
			return &pages[i];
	}
	return NULL;
}

/* Browsers get a page at "/", all others the list of what there is. */
static const struct page_file *find_file(const struct http_call *call)
{
	const char *path = http_call_path(call);

	if (strcmp(path, "/") == 0 && !page_files_wanted(http_call_header(call, "Accept")))
		return NULL;
	return page_files_find(path);
}

static bool may_read(const struct admin *admin, const struct http_call *call)
{
	const struct guard_reader reader = {.host = http_call_header(call, "Host"),
		.origin = http_call_header(call, "Origin"),
		.sec_fetch_site = http_call_header(call, "Sec-Fetch-Site"),
		.accept_language = http_call_header(call, "Accept-Language"),
		.user_agent = http_call_header(call, "User-Agent")};

	return guard_may_read(&reader, admin->options.hosts, admin->options.host_count);
}

static struct reply answer(struct admin *admin, const struct http_call *call)
{
	const struct page_file *file = find_file(call);
	const struct page *page = find_page(http_call_path(call));
	const char *method = http_call_method(call);

	if (!may_read(admin, call)) {
		buf_append_string(&admin->answer,
			"Any web page could have this name lead here, and read what stands here. "
			"Open it by an IP address, as localhost, by a name without a dot, or by "
			"one that the configuration has in admin.hosts.\n");
		return (struct reply){403, TEXT};
	}
	if (page == NULL && file == NULL) {
		buf_append_string(&admin->answer, "no such page; / lists them\n");
		return (struct reply){404, TEXT};
	}
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		buf_append_string(&admin->answer, "GET and HEAD only\n");
		return (struct reply){405, TEXT};
	}
	if (file != NULL) {
		buf_append_string(&admin->answer, file->content);
		return (struct reply){200, file->content_type};
	}
	return page->write(admin, call);
}

static void handle(void *arg, struct http_call *call)
{
	static const char *const headers[] = {PAGE_FILES_HEADERS, NULL};
	static const char *const not_allowed[] = {PAGE_FILES_HEADERS, "Allow", "GET, HEAD", NULL};
	struct admin *admin = arg;
	struct reply reply;

	if (control_door_is_at(http_call_path(call))) {
		control_door_handle(&admin->door, call, uv_now(admin->loop));
		return;
	}
	buf_clear(&admin->answer);
	reply = answer(admin, call);
	if (admin->answer.err != 0) {
		http_call_abort(call);
		return;
	}
	http_call_reply(call, &(struct http_reply){.status = reply.status,
				      .content_type = reply.content_type,
				      .body = buf_string(&admin->answer),
				      .body_bytes = admin->answer.len,
				      .headers = reply.status == 405 ? not_allowed : headers});
}

int admin_new(uv_loop_t *loop, const struct admin_options *options, struct admin **ret_admin)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	const struct http_server_options server = {.listen = options->listen,
		.listen_fd = options->listen_fd,
		.max_body_bytes = REQUEST_MAX_BYTES,
		.max_connections = CONNECTIONS_MAX,
		.idle_timeout_s = IDLE_TIMEOUT_S,
		.handler = handle,
		.arg = admin};
	int err;

	if (admin == NULL)
		return ERR_NOMEM;
	admin->options = *options;
	admin->loop = loop;
	control_door_init(&admin->door, &admin->options);
	buf_init(&admin->answer, ANSWER_MAX_BYTES);
	buf_init(&admin->checks, CHECKS_MAX_BYTES);
	err = http_server_new(loop, &server, &admin->server);
	if (err != 0) {
		free(admin);
		return err;
	}
	*ret_admin = admin;
	return 0;
}

const char *admin_address(const struct admin *admin)
{
	return http_server_address(admin->server);
}

void admin_changed(struct admin *admin, const char *error)
{
	control_door_changed(&admin->door, error);
}

void admin_close(struct admin *admin)
{
	if (admin == NULL)
		return;
	/* No request reaches the handler any more; the server's memory goes by itself. */
	http_server_close(admin->server);
	buf_free(&admin->answer);
	buf_free(&admin->checks);
	free(admin);
}
