#include "admin/admin.h"

#include "bunshin/error.h"
#include "http/server.h"

#include <stdlib.h>
#include <string.h>

/* Few and small requests are all there is to expect here. */
#define REQUEST_MAX_BYTES 1024
#define CONNECTIONS_MAX 64
#define IDLE_TIMEOUT_S 20
#define ANSWER_MAX_BYTES ((size_t)16 << 20)

struct admin {
	struct admin_options options;
	struct http_server *server;
	struct buf answer; /* scratch */
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
		"/healthz  whether the process makes progress\n"
		"/readyz   whether it can deliver, and what keeps it from it\n");
	return (struct reply){200, TEXT};
}

static struct reply write_metrics(struct admin *admin)
{
	int err;

	if (admin->options.refresh != NULL)
		admin->options.refresh(admin->options.arg);
	err = exposition_write(admin->options.metrics, &admin->answer);
	if (err == 0)
		return (struct reply){200, "text/plain; version=0.0.4; charset=utf-8"};
	buf_clear(&admin->answer);
	buf_appendf(&admin->answer, "%s\n", error_message(err));
	return (struct reply){500, TEXT};
}

static struct reply write_health(struct admin *admin)
{
	buf_append_string(&admin->answer, "ok\n");
	return (struct reply){200, TEXT};
}

static void find_failed(void *arg, const struct admin_check *check)
{
	bool *ready = arg;

	*ready = *ready && check->health != ADMIN_FAILED;
}

static void write_text(struct buf *out, const char *text)
{
	buf_append_char(out, '"');
	buf_append_json(out, text, strlen(text));
	buf_append_char(out, '"');
}

static void write_check(void *arg, const struct admin_check *check)
{
	static const char *const words[] = {
		[ADMIN_OK] = "ok", [ADMIN_DEGRADED] = "degraded", [ADMIN_FAILED] = "failed"};
	struct buf *out = arg;

	if (out->data[out->len - 1] != '[')
		buf_append_char(out, ',');
	buf_append_string(out, "{\"name\":");
	write_text(out, check->name);
	buf_appendf(out, ",\"health\":\"%s\",\"detail\":", words[check->health]);
	write_text(out, check->detail);
	buf_append_char(out, '}');
}

static struct reply write_readiness(struct admin *admin)
{
	const struct admin_options *options = &admin->options;
	bool ready = true;

	options->each_check(options->arg, find_failed, &ready);
	buf_appendf(&admin->answer, "{\"ready\":%s,\"checks\":[", ready ? "true" : "false");
	if (admin->answer.err == 0)
		options->each_check(options->arg, write_check, &admin->answer);
	buf_append_string(&admin->answer, "]}\n");
	return (struct reply){ready ? 200 : 503, "application/json"};
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
	free(admin);
}
