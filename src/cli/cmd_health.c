/*
 * bunshin health: one question to the admin port of a running `bunshin run`, an exit code for
 * containers and scripts.
 */
#include "base/buf.h"
#include "base/json.h"
#include "base/utf8.h"
#include "bunshin/error.h"
#include "cli/admin_address.h"
#include "cli/cli.h"
#include "cli/run/admin_socket.h"
#include "config/config.h"
#include "http/get.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_MAX_BYTES ((size_t)64 << 10)

struct health {
	const char *path, *admin;
	bool ready, json;
	int64_t timeout_ms;
	const char *asked; /* the address */
};

/* ---- what is printed */

struct answer {
	int status; /* 0: nobody answered, the body says why */
	const char *body;
	size_t body_bytes;
	bool good;
};

/*
 * Whatever stands at that address has answered: without what a terminal would act upon, and on one
 * line. With json: as the inside of a string.
 */
static void append_clean(struct buf *out, const char *text, size_t len, bool json)
{
	size_t step;

	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	for (size_t i = 0; i < len; i += step) {
		step = utf8_sequence(text + i, len - i);
		if (step == 0 || (unsigned char)text[i] < ' ' || text[i] == 0x7f)
			buf_append_char(out, step == 0 ? '?' : ' ');
		else if (json)
			buf_append_json(out, text + i, step);
		else
			buf_append(out, text + i, step);
		step += step == 0;
	}
}

static void append_text(struct buf *out, const char *text)
{
	append_clean(out, text, strlen(text), false);
}

static bool has_checks(const struct json *json)
{
	return json_member(json_root(json), "checks") != NULL;
}

/* "; queue: gone" for each check of that health, and how many there were. */
static size_t append_checks(
	struct buf *out, const struct json *json, const char *health, const char *before)
{
	const struct json_value *checks = json_path(json_root(json), "checks");
	size_t count = 0;

	for (const struct json_value *check = json_first(checks); check;
		check = json_next(checks, check)) {
		const char *is = json_text(json_member(check, "health"));
		const char *name = json_text(json_member(check, "name"));
		const char *detail = json_text(json_member(check, "detail"));

		if (!is || !name || strcmp(is, health) != 0)
			continue;
		buf_append_string(out, count++ == 0 ? before : "; ");
		append_text(out, name);
		if (detail && *detail) {
			buf_append_string(out, ": ");
			append_text(out, detail);
		}
	}
	return count;
}

/* A line for people. */
static void write_line(const struct health *health, const struct answer *answer,
	const struct json *json, struct buf *out)
{
	const char *word = health->ready ? "ready" : "healthy";

	buf_appendf(out, answer->good ? "%s" : "not %s", word);
	if (has_checks(json)) {
		append_checks(out, json, "failed", ": ");
		append_checks(
			out, json, "degraded", answer->good ? ", degraded: " : "; degraded: ");
	} else if (!answer->good) {
		buf_append_string(out, ": ");
		append_clean(out, answer->body, answer->body_bytes, false);
	}
	if (!answer->good)
		buf_appendf(out, " (HTTP %d)", answer->status);
	buf_append_char(out, '\n');
}

/* As the port says it; what is not said by an admin port is wrapped. */
static void write_json(const struct health *health, const struct answer *answer,
	const struct json *json, struct buf *out)
{
	if (has_checks(json)) {
		append_clean(out, answer->body, answer->body_bytes, false);
	} else {
		if (health->ready)
			buf_appendf(out, "{\"ready\":%s,", answer->good ? "true" : "false");
		else
			buf_append_char(out, '{');
		buf_appendf(out, "\"ok\":%s,\"checks\":[],\"status\":%d,\"detail\":\"",
			answer->good ? "true" : "false", answer->status);
		append_clean(out, answer->body, answer->body_bytes, true);
		buf_append_string(out, "\"}");
	}
	buf_append_char(out, '\n');
}

static int report(const struct health *health, const struct answer *answer)
{
	struct buf out = BUF_INIT(4 * ANSWER_MAX_BYTES);
	struct json json = {.count = 0};

	if (json_parse(&json, answer->body, answer->body_bytes))
		json.count = 0;
	if (health->json)
		write_json(health, answer, &json, &out);
	else if (answer->status != 0)
		write_line(health, answer, &json, &out);
	else
		cli_error("health", "nobody answers at %s: %s", health->asked, answer->body);
	fputs(buf_string(&out), stdout);
	json_free(&json);
	buf_free(&out);
	return answer->good ? CLI_DONE : CLI_FAILED;
}

static int ask(struct health *health, const char *address)
{
	struct buf url = BUF_INIT(1024), body = BUF_INIT(ANSWER_MAX_BYTES);
	struct answer answer;
	int code;

	health->asked = address;
	admin_address_url(address, health->ready ? "/readyz" : "/healthz", &url);
	answer.status =
		http_get(buf_string(&url), admin_socket_path(address), health->timeout_ms, &body);
	answer.body = buf_string(&body);
	answer.body_bytes = body.len;
	answer.good = answer.status == 200;
	code = report(health, &answer);
	buf_free(&url);
	buf_free(&body);
	return code;
}

static int check(struct health *health)
{
	struct buf address = BUF_INIT(512), errors = BUF_INIT((size_t)1 << 20);
	int code = CLI_USAGE;
	int err = admin_address_find(health->path, health->admin, &address, &errors);

	if (err)
		fputs(errors.len > 0 ? buf_string(&errors) : error_message(err), stderr);
	else if (address.len == 0)
		cli_error(
			"health", "%s: admin.listen is null: there is nobody to ask", health->path);
	else
		code = ask(health, buf_string(&address));
	buf_free(&address);
	buf_free(&errors);
	return code;
}

int cmd_health(int argc, char **argv)
{
	struct health health = {.path = CONFIG_DEFAULT_PATH, .timeout_ms = 3000};
	const struct cli_option options[] = {
		{"config", 'c', CLI_STRING, "FILE", &health.path, 0, 0,
			"whose admin.listen to ask (default: " CONFIG_DEFAULT_PATH ")"},
		{"admin", 0, CLI_STRING, "URL", &health.admin, 0, 0,
			"the admin port, HOST:PORT, a URL or unix:PATH; wins over -c"},
		{"ready", 0, CLI_FLAG, NULL, &health.ready, 0, 0,
			"whether it can deliver, and what keeps it from it (/readyz)"},
		{"json", 0, CLI_FLAG, NULL, &health.json, 0, 0,
			"print one JSON object, whatever comes of it"},
		{"timeout", 0, CLI_DURATION, "DURATION", &health.timeout_ms, 100, 60000,
			"how long to wait for the answer (default: 3s)"},
		{0},
	};
	const struct cli_usage usage = {.command = "health",
		.arguments = "[options]",
		.description = "Asks a running `bunshin run` over its admin port whether its "
			       "workers make progress, and\nexits 0 when they do, 1 when not or "
			       "when nobody answers. For containers and scripts.\n\nThe "
			       "configuration is read as run reads it, secrets and all; --admin "
			       "needs none of it.",
		.options = options};
	int first, operands;
	int code = cli_parse(&usage, argc, argv, &first, &operands);

	return code >= 0 ? code : check(&health);
}
