/*
 * The role of the ECS task or the EKS pod. Source: AWS SDKs and Tools Reference Guide, "Container
 * credential provider".
 */
#include "aws/credentials/container_uri.h"
#include "aws/credentials/provider.h"
#include "aws/credentials/set.h"
#include "base/json.h"
#include "base/random.h"
#include "bunshin/error.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOKEN_FILE_VARIABLE "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
#define TOKEN_VARIABLE "AWS_CONTAINER_AUTHORIZATION_TOKEN"
#define ATTEMPTS_MAX 3
#define ATTEMPT_TIMEOUT_MS 2000
/* Between attempts, on average a second. */
#define PAUSE_LEAST_US 500000
#define PAUSE_JITTER_US 1000000
#define TOKEN_MAX_BYTES 16384
#define BODY_MAX_BYTES ((size_t)64 << 10)
#define WORDS_SIZE 200 /* of the service's code, and of its message */

struct container {
	const struct credentials_context *context;
	struct http_exchange *exchange; /* NULL: none under way */
	struct clock_timer timer;	/* until the next attempt */
	unsigned attempts;
	struct credentials_set *ret_set;
	credentials_done *done;
	void *arg;
};

static void container_finish(struct container *container, int err, const char *reason)
{
	if (err != 0)
		credentials_wipe(container->ret_set);
	container->done(container->arg, err, reason);
}

static const char *variable(const struct container *container, const char *name)
{
	return aws_settings_variable(container->context->settings, name);
}

/* ---- the token */

/* 0, ERR_NOMEM, or ERR_IO and a sentence. A pipe that nobody writes to does not block. */
static int token_file_read(const char *path, struct buf *token, char reason[CREDENTIALS_REASON_MAX])
{
	char *to = buf_reserve(token, TOKEN_MAX_BYTES + 1);
	ssize_t count = -1;
	int fd;

	if (to == NULL)
		return ERR_NOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	while (fd >= 0 && (count = read(fd, to, TOKEN_MAX_BYTES + 1 - token->len)) > 0) {
		buf_advance(token, (size_t)count);
		to += count;
	}
	if (count < 0)
		snprintf(reason, CREDENTIALS_REASON_MAX, "%s: cannot read %.300s: %s",
			TOKEN_FILE_VARIABLE, path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return count < 0 ? ERR_IO : 0;
}

/* The token into the buffer, which stays empty when there is none. */
static int token_read(
	struct container *container, struct buf *token, char reason[CREDENTIALS_REASON_MAX])
{
	const char *path = variable(container, TOKEN_FILE_VARIABLE);
	const char *text = variable(container, TOKEN_VARIABLE);
	int err;

	if (path == NULL && text == NULL)
		return 0;
	err = path != NULL ? token_file_read(path, token, reason) : buf_append_string(token, text);
	if (err == ERR_NOMEM || err == ERR_IO)
		return err;
	if (err == 0 && token->len <= TOKEN_MAX_BYTES && strlen(token->data) == token->len &&
		container_token_is_valid(token->data))
		return 0;
	snprintf(reason, CREDENTIALS_REASON_MAX,
		"%s%.300s holds no token: it must be one line of printable ASCII without its line "
		"break, at most %d bytes",
		path != NULL ? TOKEN_FILE_VARIABLE ": " : TOKEN_VARIABLE, path != NULL ? path : "",
		TOKEN_MAX_BYTES);
	return ERR_CONFIG;
}

/* ---- answers */

static bool is_worth_repeating(const struct http_response *response)
{
	if (response->err != 0)
		return response->err != ERR_NOMEM && response->err != ERR_ANSWER_TOO_LARGE &&
		       response->err != ERR_ARGUMENT;
	return response->status == 429 || response->status >= 500;
}

static int status_error(int status)
{
	if (status == 401 || status == 403)
		return ERR_ACCESS_DENIED;
	if (status == 429)
		return ERR_THROTTLED;
	if (status >= 500)
		return ERR_UNAVAILABLE;
	return status >= 400 ? ERR_REFUSED : ERR_PROTOCOL;
}

/* A member of the answer, without what a terminal or a log would stumble over; "" without it. */
static void words_read(const struct json *json, const char *name, const char *other_name,
	char ret_words[WORDS_SIZE])
{
	const struct json_value *root = json_root(json);
	const char *text = json_text(json_member(root, name));
	size_t len = 0;

	if (text == NULL)
		text = json_text(json_member(root, other_name));
	for (; text != NULL && text[len] != '\0' && len + 1 < WORDS_SIZE; len++)
		ret_words[len] = text[len] >= ' ' && text[len] <= '~' ? text[len] : '?';
	ret_words[len] = '\0';
}

/* Both agents answer an error with a code and a message in JSON, though not always. */
static void refusal_read(const struct http_response *response, char reason[CREDENTIALS_REASON_MAX])
{
	struct json json = {0};
	char code[WORDS_SIZE] = "", words[WORDS_SIZE] = "";

	if (json_parse(&json, buf_string(response->body), response->body->len) == 0) {
		words_read(&json, "code", "Code", code);
		words_read(&json, "message", "Message", words);
	}
	json_free(&json);
	snprintf(reason, CREDENTIALS_REASON_MAX,
		"the container's credentials service: %s%sHTTP %d%s%s%s", code,
		code[0] != '\0' ? " (" : "", response->status, code[0] != '\0' ? ")" : "",
		words[0] != '\0' ? ": " : "", words);
}

/* ECS says whose keys they are by RoleArn, EKS by AccountId. */
static int principal_read(struct credentials_set *set, const char *text, size_t len)
{
	struct json json = {0};
	const char *arn = NULL;
	int err = json_parse(&json, text, len);

	if (err == 0)
		arn = json_text(json_member(json_root(&json), "RoleArn"));
	if (arn != NULL && credentials_copy(set->principal, sizeof(set->principal), arn) &&
		set->account_id[0] == '\0')
		credentials_account_of_arn(arn, set->account_id);
	if (json.strings != NULL)
		OPENSSL_cleanse(json.strings, json.strings_capacity);
	json_free(&json);
	return err;
}

static int keys_read(struct container *container, const struct http_response *response,
	char reason[CREDENTIALS_REASON_MAX])
{
	const struct buf *body = response->body;
	char wrong[CREDENTIALS_REASON_MAX / 2] = "";
	int err = credentials_read_json(
		buf_string(body), body->len, container->ret_set, wrong, sizeof(wrong));

	if (err == 0)
		err = principal_read(container->ret_set, buf_string(body), body->len);
	if (err != 0)
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"the container's credentials service's answer: %s",
			wrong[0] != '\0' ? wrong : error_message(err));
	return err;
}

static int answer_judge(struct container *container, const struct http_response *response,
	char reason[CREDENTIALS_REASON_MAX])
{
	if (response->err != 0) {
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"the container's credentials service does not answer: %s",
			response->detail);
		return response->err;
	}
	if (response->body->len > BODY_MAX_BYTES) {
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"the container's credentials service's answer is larger than %zu bytes",
			BODY_MAX_BYTES);
		return ERR_PROTOCOL;
	}
	if (response->status == 200)
		return keys_read(container, response, reason);
	refusal_read(response, reason);
	return status_error(response->status);
}

static int pause_before_next(struct container *container)
{
	struct clock clock = container->context->clock;

	return clock_timer_after(clock, &container->timer,
		PAUSE_LEAST_US + random_below(clock_random(clock), PAUSE_JITTER_US));
}

static void on_answer(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct container *container = arg;
	char reason[CREDENTIALS_REASON_MAX] = "";
	int err;

	container->exchange = NULL;
	if (is_worth_repeating(response) && container->attempts < ATTEMPTS_MAX &&
		pause_before_next(container) == 0)
		return;
	err = answer_judge(container, response, reason);
	container_finish(container, err, reason);
}

/* ---- requests */

static int exchange_fill(struct container *container, struct http_exchange *exchange,
	char reason[CREDENTIALS_REASON_MAX])
{
	struct buf token = BUF_INIT(TOKEN_MAX_BYTES + 1);
	int err = container_uri(variable(container, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
		variable(container, "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
		http_exchange_url(exchange), reason);

	if (err == 0)
		err = token_read(container, &token, reason);
	if (err == 0 && token.len > 0)
		err = http_exchange_add_header(exchange, "Authorization", token.data);
	if (err == 0)
		err = http_exchange_add_header(exchange, "Accept", "application/json");
	buf_wipe(&token);
	http_exchange_set_method(exchange, "GET");
	http_exchange_set_timeout(exchange, ATTEMPT_TIMEOUT_MS);
	return err;
}

/* The variables and the token's file are read anew at each attempt. */
static int container_ask(struct container *container, char reason[CREDENTIALS_REASON_MAX])
{
	struct http_exchange *exchange = http_exchange_new(container->context->metadata);
	int err;

	if (exchange == NULL) {
		snprintf(reason, CREDENTIALS_REASON_MAX, "%s", error_message(ERR_NOMEM));
		return ERR_NOMEM;
	}
	reason[0] = '\0';
	err = exchange_fill(container, exchange, reason);
	if (err != 0) {
		http_exchange_discard(exchange);
	} else {
		container->attempts++;
		err = http_exchange_start(exchange, on_answer, container);
		if (err == ERR_ARGUMENT)
			err = ERR_CONFIG; /* what container_uri() takes and curl does not */
	}
	if (err == 0)
		container->exchange = exchange;
	else if (reason[0] == '\0')
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"the container's credentials service cannot be asked: %s",
			error_message(err));
	return err;
}

static void on_due(struct clock_timer *timer)
{
	struct container *container = list_entry(timer, struct container, timer);
	char reason[CREDENTIALS_REASON_MAX];
	int err = container_ask(container, reason);

	if (err != 0)
		container_finish(container, err, reason);
}

static int container_get(void *impl, struct credentials_set *ret_set, credentials_done *done,
	void *arg, char reason[CREDENTIALS_REASON_MAX])
{
	struct container *container = impl;
	int err;

	container->ret_set = ret_set;
	container->done = done;
	container->arg = arg;
	container->attempts = 0;
	err = container_ask(container, reason);
	return err != 0 ? err : CREDENTIALS_LATER;
}

static void container_cancel(void *impl)
{
	struct container *container = impl;

	if (container->exchange != NULL)
		http_exchange_cancel(container->exchange);
	container->exchange = NULL;
	clock_timer_clear(container->context->clock, &container->timer);
}

static void container_free(void *impl)
{
	container_cancel(impl);
	free(impl);
}

int credentials_container(
	const struct credentials_context *context, struct credentials_provider *ret_provider)
{
	struct container *container = calloc(1, sizeof(*container));

	if (container == NULL)
		return ERR_NOMEM;
	container->context = context;
	container->timer.fire = on_due;
	*ret_provider = (struct credentials_provider){
		.name = "container",
		.get = container_get,
		.cancel = container_cancel,
		.free = container_free,
		.impl = container,
	};
	return 0;
}
