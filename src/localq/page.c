#include "localq/page.h"

#include <string.h>

/* From page.html, page.js and page.css, by scripts/embed. */
extern const char page_html[], page_js[], page_css[];

static const char off_html[] =
	"<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
	"<meta name=\"viewport\" content=\"width=device-width\">"
	"<title>Bunshin queue</title><link rel=\"stylesheet\" href=\"_admin.css\">"
	"<main><h1>Bunshin queue</h1><p>This queue was started with --access-key and takes only "
	"signed requests. The admin page cannot sign, so it is off.</p>"
	"<p>Use a client that signs, such as <code>aws sqs list-queues</code>.</p></main></html>\n";

/* Nothing from elsewhere, nothing inline, in nobody's frame. */
static const char *const headers[] = {
	"Content-Security-Policy",
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
	"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"X-Frame-Options",
	"DENY",
	"X-Content-Type-Options",
	"nosniff",
	"Referrer-Policy",
	"no-referrer",
	"Cross-Origin-Opener-Policy",
	"same-origin",
	"Cross-Origin-Resource-Policy",
	"same-origin",
	"Cache-Control",
	"no-cache",
	NULL,
};

static const struct {
	const char *path, *type, *content;
} files[] = {
	{"/", "text/html; charset=utf-8", page_html},
	{"/_admin.js", "text/javascript; charset=utf-8", page_js},
	{"/_admin.css", "text/css; charset=utf-8", page_css},
};

bool page_serve(struct http_call *http, bool signed_only)
{
	const char *method = http_call_method(http);

	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return false;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct http_reply reply = {
			.status = 200,
			.content_type = files[i].type,
			.body = i == 0 && signed_only ? off_html : files[i].content,
			.headers = headers,
		};

		if (strcmp(http_call_path(http), files[i].path) != 0)
			continue;
		reply.body_bytes = strlen(reply.body);
		http_call_reply(http, &reply);
		return true;
	}
	return false;
}
