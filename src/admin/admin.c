#include "admin/admin.h"

#include "base/utf8.h"
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

struct admin {
	struct admin_options options;
	struct http_server *server;
	struct buf answer, checks; /* scratch */
};

struct reply {
	int status;
	const char *content_type;
};

#define TEXT "text/plain; charset=utf-8"

static struct reply write_index(struct admin *admin)
{
	buf_append_string(&admin->answer,
		"bunshin " BUNSHIN_VERSION "\n\n"
		"/metrics  for Prometheus\n"
		"/healthz  whether the workers make progress\n"
		"/readyz   whether they can deliver, and what keeps them from it\n");
	return (struct reply){200, TEXT};
}

static struct reply write_metrics(struct admin *admin)
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

static struct reply write_health(struct admin *admin)
{
	bool (*is_alive)(void *arg, struct buf *words) = admin->options.is_alive;

	if (is_alive != NULL && !is_alive(admin->options.arg, &admin->answer)) {
		buf_append_char(&admin->answer, '\n');
		return (struct reply){503, TEXT};
	}
	buf_append_string(&admin->answer, "ok\n");
	return (struct reply){200, TEXT};
}

/* It comes from another process, which may have gone mad: what is no UTF-8 becomes '?'. */
static void write_text(struct buf *out, const char *text)
{
	size_t len = strlen(text), step;

	buf_append_char(out, '"');
	for (size_t i = 0; i < len; i += step) {
		step = utf8_sequence(text + i, len - i);
		if (step > 0)
			buf_append_json(out, text + i, step);
		else
			buf_append_char(out, '?');
		step += step == 0;
	}
	buf_append_char(out, '"');
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
	write_text(out, check->name);
	buf_appendf(out, ",\"health\":\"%s\",\"detail\":", words[check->health]);
	write_text(out, check->detail);
	buf_append_char(out, '}');
}

/* The checks are asked once: what they come to and what is written are of one moment. */
static struct reply write_readiness(struct admin *admin)
{
	const struct admin_options *options = &admin->options;
	struct verdict verdict = {.checks = &admin->checks, .ready = true};

	buf_clear(&admin->checks);
	options->each_check(options->arg, write_check, &verdict);
	buf_appendf(&admin->answer, "{\"ready\":%s,\"checks\":[", verdict.ready ? "true" : "false");
	buf_append(&admin->answer, buf_string(&admin->checks), admin->checks.len);
	buf_append_string(&admin->answer, "]}\n");
	if (admin->checks.err != 0)
		admin->answer.err = admin->checks.err;
	return (struct reply){verdict.ready ? 200 : 503, "application/json"};
}

static const struct page {
	const char *path;
	struct reply (*write)(struct admin *admin);
} pages[] = {
	{"/", write_index},
	{"/metrics", write_metrics},
	{"/healthz", write_health},
	{"/readyz", write_readiness},
};

static const struct page *find_page(const char *path)
{
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (strcmp(pages[i].path, path) == 0)
			return &pages[i];
	}
	return NULL;
}

static struct reply answer(struct admin *admin, const struct http_call *call)
{
	const struct page *page = find_page(http_call_path(call));
	const char *method = http_call_method(call);

	if (page == NULL) {
		buf_append_string(&admin->answer, "no such page; / lists them\n");
		return (struct reply){404, TEXT};
	}
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		buf_append_string(&admin->answer, "GET and HEAD only\n");
		return (struct reply){405, TEXT};
	}
	return page->write(admin);
}

static void handle(void *arg, struct http_call *call)
{
	static const char *const headers[] = {"Cache-Control", "no-store", NULL};
	static const char *const not_allowed[] = {
		"Cache-Control", "no-store", "Allow", "GET, HEAD", NULL};
	struct admin *admin = arg;
	struct reply reply;

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
