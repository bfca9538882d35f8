#include "aws/instance/task_protection.h"

#include "aws/instance/task_protection_codec.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_MS 5000 /* the agent asks the ECS API meanwhile */
#define URL_MAX_BYTES 4096

struct task_protection {
	struct http_client *http;
	struct buf url;
	struct http_exchange *exchange; /* NULL: none under way */
	bool held;			/* what it asks for */
	task_protection_done *done;
	void *arg;
};

int task_protection_new(const struct credentials_context *context,
	struct task_protection **ret_protection, struct buf *error)
{
	struct task_protection *protection = calloc(1, sizeof(*protection));
	char reason[TASK_PROTECTION_REASON_SIZE] = "";
	int err;

	if (protection == NULL)
		return ERR_NOMEM;
	protection->http = context->metadata;
	buf_init(&protection->url, URL_MAX_BYTES);
	err = task_protection_uri(aws_settings_variable(context->settings, "ECS_AGENT_URI"),
		&protection->url, reason);
	if (err != 0) {
		buf_append_string(error, reason);
		task_protection_close(protection);
		return err;
	}
	*ret_protection = protection;
	return 0;
}

void task_protection_cancel(struct task_protection *protection)
{
	if (protection->exchange != NULL)
		http_exchange_cancel(protection->exchange);
	protection->exchange = NULL;
}

void task_protection_close(struct task_protection *protection)
{
	if (protection == NULL)
		return;
	task_protection_cancel(protection);
	buf_free(&protection->url);
	free(protection);
}

static void on_answer(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct task_protection *protection = arg;
	char reason[TASK_PROTECTION_REASON_SIZE];
	int err = response->err;

	protection->exchange = NULL;
	if (err != 0)
		snprintf(reason, sizeof(reason), "the ECS agent does not answer: %s",
			response->detail[0] != '\0' ? response->detail : error_message(err));
	else
		err = task_protection_read(response->status, buf_string(response->body),
			response->body->len, protection->held, reason);
	protection->done(protection->arg, err, reason);
}

static int request_fill(struct http_exchange *exchange, const struct task_protection *protection)
{
	struct buf *url = http_exchange_url(exchange), *body = http_exchange_body(exchange);

	http_exchange_set_method(exchange, "PUT");
	http_exchange_set_timeout(exchange, TIMEOUT_MS);
	buf_append(url, protection->url.data, protection->url.len);
	if (protection->held)
		buf_appendf(body, "{\"ProtectionEnabled\":true,\"ExpiresInMinutes\":%d}",
			TASK_PROTECTION_MINUTES);
	else
		buf_append_string(body, "{\"ProtectionEnabled\":false}");
	if (url->err != 0 || body->err != 0)
		return ERR_NOMEM;
	return http_exchange_add_header(exchange, "Content-Type", "application/json");
}

int task_protection_set(
	struct task_protection *protection, bool held, task_protection_done *done, void *arg)
{
	struct http_exchange *exchange = http_exchange_new(protection->http);
	int err;

	if (exchange == NULL)
		return ERR_NOMEM;
	protection->held = held;
	protection->done = done;
	protection->arg = arg;
	err = request_fill(exchange, protection);
	if (err != 0) {
		http_exchange_discard(exchange);
		return err;
	}
	err = http_exchange_start(exchange, on_answer, protection);
	if (err == 0)
		protection->exchange = exchange;
	return err == ERR_ARGUMENT ? ERR_CONFIG : err;
}
