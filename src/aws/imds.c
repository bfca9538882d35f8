#include "aws/imds.h"

#include "base/list.h"
#include "base/random.h"
#include "base/units.h"
#include "bunshin/error.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_PATH "/latest/api/token"
#define TOKEN_HEADER "X-aws-ec2-metadata-token"
#define TOKEN_TTL_HEADER "X-aws-ec2-metadata-token-ttl-seconds"
#define TOKEN_TTL_S 21600
#define TOKEN_MARGIN_S 120
#define TOKEN_SIZE 1024
#define WITHOUT_TOKEN_S 300 /* then one is asked for again */
#define ATTEMPTS_MAX 3
#define ATTEMPT_TIMEOUT_MS 1000
#define BACKOFF_BASE_US 500000
#define SECOND_US ((uint64_t)1000000)

/*
 * A call is in one list: fresh (imds_get() has just taken it; its timer is set to now), waiting
 * (for the token), served (the token's outcome is being handed out), asking (GET under way, or its
 * timer set to the next attempt).
 */
struct imds {
	const struct credentials_context *context;
	struct list fresh, waiting, served, asking;

	char token[TOKEN_SIZE]; /* "": version 1, no token at all */
	uint64_t token_until_us;
	uint64_t token_generation;
	struct http_exchange *put; /* NULL: none under way */
	uint64_t put_started_us;
	unsigned put_attempts;
	struct clock_timer put_timer; /* set: until the next attempt */

	bool met;     /* somebody was there: what fails now is the network */
	bool serving; /* calls_serve() runs, and is who frees it then */
	bool ended;   /* imds_free() was called meanwhile */
};

struct imds_call {
	struct list node;
	struct imds *imds;
	imds_done *done;
	void *arg;
	struct http_exchange *exchange; /* NULL: none under way */
	struct clock_timer timer;
	unsigned attempts;
	uint64_t token_generation; /* of the token it was sent with */
	bool renewed;		   /* a token was asked for because of this call's 401 */
	char path[];
};

static const char *endpoint_of(const struct imds *imds)
{
	return aws_settings_metadata_endpoint(imds->context->settings);
}

static void call_free(struct imds_call *call)
{
	struct imds *imds = call->imds;

	if (call->exchange != NULL)
		http_exchange_cancel(call->exchange);
	clock_timer_clear(imds->context->clock, &call->timer);
	list_remove(&call->node);
	free(call);
}

static void call_finish(
	struct imds_call *call, int err, int status, const char *body, const char *reason)
{
	imds_done *done = call->done;
	void *arg = call->arg;

	call_free(call);
	done(arg, err, status, body, reason);
}

/* ---- what an answer means, for both kinds of request */

/* Time-out, refusal or no route before there was a connection. */
static bool is_unconnected(const struct http_response *response)
{
	return response->err == ERR_CONNECT || response->err == ERR_DNS ||
	       (response->err == ERR_TIMEOUT && !response->sent);
}

static bool is_worth_repeating(const struct imds *imds, const struct http_response *response)
{
	if (is_unconnected(response))
		return imds->met;
	if (response->err != 0)
		return response->err == ERR_TIMEOUT || response->err == ERR_NETWORK ||
		       response->err == ERR_PROTOCOL;
	return response->status == 429 || response->status >= 500;
}

static void note_answer(struct imds *imds, const struct http_response *response)
{
	imds->met |= response->err == 0 || response->sent;
}

/* The err of a request without an answer. */
static int transport_error(const struct imds *imds, const struct http_response *response,
	const char *what, char reason[CREDENTIALS_REASON_MAX])
{
	const char *endpoint = endpoint_of(imds);
	int err = response->err;

	if (is_unconnected(response) && !imds->met) {
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"nobody answers at %s (%s): this is no EC2 instance", endpoint,
			response->detail);
		return ERR_NOT_FOUND;
	}
	snprintf(reason, CREDENTIALS_REASON_MAX,
		"the instance metadata service at %s does not answer %s: %s", endpoint, what,
		response->detail);
	if (is_unconnected(response))
		return ERR_NETWORK;
	return err == ERR_ANSWER_TOO_LARGE ? ERR_PROTOCOL : err;
}

static int status_error(int status)
{
	if (status == 404)
		return ERR_NOT_FOUND;
	if (status == 400 || status == 401 || status == 403)
		return ERR_REFUSED;
	return status == 429 || status >= 500 ? ERR_UNAVAILABLE : ERR_PROTOCOL;
}

static int start_error(const struct imds *imds, int err, char reason[CREDENTIALS_REASON_MAX])
{
	if (err == ERR_ARGUMENT) {
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"the endpoint of the instance metadata service is no http URL: \"%s\"",
			endpoint_of(imds));
		return ERR_CONFIG;
	}
	snprintf(reason, CREDENTIALS_REASON_MAX, "%s", error_message(err));
	return err;
}

/* When to try again, after this many attempts. */
static int pause_before_next(struct imds *imds, struct clock_timer *timer, unsigned attempts)
{
	struct clock clock = imds->context->clock;
	uint64_t most_us = (uint64_t)BACKOFF_BASE_US << (attempts - 1);

	return clock_timer_after(clock, timer, random_below(clock_random(clock), most_us));
}

/* A request with everything but its own header; NULL: out of memory. */
static struct http_exchange *exchange_new(
	const struct imds *imds, const char *method, const char *path)
{
	struct http_exchange *exchange = http_exchange_new(imds->context->metadata);

	if (exchange == NULL)
		return NULL;
	http_exchange_set_method(exchange, method);
	http_exchange_set_timeout(exchange, ATTEMPT_TIMEOUT_MS);
	buf_append_string(http_exchange_url(exchange), endpoint_of(imds));
	buf_append_string(http_exchange_url(exchange), path);
	return exchange;
}

static int exchange_send(struct http_exchange *exchange, const char *name, const char *value,
	http_done *done, void *arg, struct http_exchange **ret_exchange)
{
	int err;

	if (exchange == NULL)
		return ERR_NOMEM;
	err = name != NULL ? http_exchange_add_header(exchange, name, value) : 0;
	if (err != 0) {
		http_exchange_discard(exchange);
		return err;
	}
	err = http_exchange_start(exchange, done, arg);
	if (err == 0)
		*ret_exchange = exchange;
	return err;
}

/* ---- GETs */

static void token_want(struct imds_call *call);
static void call_continue(struct imds_call *call);

/* err of a whole answer, 0 or a sentence in `reason`. */
static int answer_judge(const struct imds_call *call, const struct http_response *response,
	char reason[CREDENTIALS_REASON_MAX])
{
	int status = response->status;

	if (response->err != 0)
		return transport_error(call->imds, response, call->path, reason);
	if (status != 200) {
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"the instance metadata service answers %s with HTTP %d", call->path,
			status);
		return status_error(status);
	}
	if (response->body->len > IMDS_BODY_MAX_BYTES ||
		strlen(buf_string(response->body)) != response->body->len) {
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"the instance metadata service's answer to %s is too large or no text",
			call->path);
		return ERR_PROTOCOL;
	}
	return 0;
}

static void on_answer(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct imds_call *call = arg;
	struct imds *imds = call->imds;
	char reason[CREDENTIALS_REASON_MAX] = "";
	int err;

	call->exchange = NULL;
	note_answer(imds, response);
	if (response->status == 401 && !call->renewed) {
		if (call->token_generation == imds->token_generation)
			imds->token_until_us = 0;
		call->renewed = true;
		call_continue(call);
		return;
	}
	if (is_worth_repeating(imds, response) && call->attempts < ATTEMPTS_MAX &&
		pause_before_next(imds, &call->timer, call->attempts) == 0)
		return;
	err = answer_judge(call, response, reason);
	call_finish(
		call, err, response->status, err == 0 ? buf_string(response->body) : NULL, reason);
}

static int call_ask(struct imds_call *call)
{
	struct imds *imds = call->imds;
	bool with_token = imds->token[0] != '\0';

	list_remove(&call->node);
	list_append(&imds->asking, &call->node);
	call->attempts++;
	call->token_generation = imds->token_generation;
	return exchange_send(exchange_new(imds, "GET", call->path),
		with_token ? TOKEN_HEADER : NULL, imds->token, on_answer, call, &call->exchange);
}

/* The last thing that its caller does: `done` may run, and free everything. */
static void call_ask_or_finish(struct imds_call *call)
{
	char reason[CREDENTIALS_REASON_MAX];
	int err = call_ask(call);

	if (err != 0) {
		err = start_error(call->imds, err, reason);
		call_finish(call, err, 0, NULL, reason);
	}
}

/* From the loop only; as call_ask_or_finish(). */
static void call_continue(struct imds_call *call)
{
	struct imds *imds = call->imds;

	if (clock_monotonic_us(imds->context->clock) < imds->token_until_us)
		call_ask_or_finish(call);
	else
		token_want(call);
}

static void on_call_due(struct clock_timer *timer)
{
	struct imds_call *call = list_entry(timer, struct imds_call, timer);

	if (aws_settings_metadata_disabled(call->imds->context->settings))
		call_finish(call, ERR_NOT_FOUND, 0, NULL, "AWS_EC2_METADATA_DISABLED is true");
	else
		call_continue(call);
}

/* ---- the token */

/* Takes a token from the first line of the answer: it becomes a header, so nothing but ASCII. */
static bool token_take(
	struct imds *imds, struct http_exchange *exchange, const struct http_response *response)
{
	const char *text = buf_string(response->body);
	const char *ttl_text = http_exchange_answer_header(exchange, TOKEN_TTL_HEADER);
	size_t len = strcspn(text, "\r\n");
	int64_t ttl_s, margin_s;

	if (len == 0 || len >= sizeof(imds->token))
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x21 || text[i] > 0x7e)
			return false;
	if (ttl_text == NULL || units_parse_int(ttl_text, &ttl_s) != 0 || ttl_s < 1 ||
		ttl_s > TOKEN_TTL_S)
		ttl_s = TOKEN_TTL_S;
	margin_s = ttl_s > 2 * TOKEN_MARGIN_S ? TOKEN_MARGIN_S : ttl_s / 2;
	OPENSSL_cleanse(imds->token, sizeof(imds->token));
	memcpy(imds->token, text, len);
	imds->token[len] = '\0';
	imds->token_until_us = imds->put_started_us + (uint64_t)(ttl_s - margin_s) * SECOND_US;
	imds->token_generation++;
	return true;
}

/* 0 or what the calls that wait are told. */
static int token_judge(struct imds *imds, struct http_exchange *exchange,
	const struct http_response *response, char reason[CREDENTIALS_REASON_MAX])
{
	const char *endpoint = endpoint_of(imds);
	int status = response->status;

	if (response->err == ERR_TIMEOUT && response->sent) {
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"the instance metadata service at %s does not answer the request for a "
			"session token. In a container its answer's hop limit must be raised: aws "
			"ec2 modify-instance-metadata-options --instance-id ID "
			"--http-put-response-hop-limit 2",
			endpoint);
		return ERR_TIMEOUT;
	}
	if (response->err != 0)
		return transport_error(imds, response, "the request for a session token", reason);
	if (status == 403) {
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"the instance metadata service at %s is switched off for this instance "
			"(HTTP 403)",
			endpoint);
		return ERR_REFUSED;
	}
	if (status == 404 || status == 405) {
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"what answers at %s gives no session tokens (HTTP %d): it is not EC2's "
			"metadata service, version 2",
			endpoint, status);
		return ERR_NOT_FOUND;
	}
	if (status != 200) {
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"the instance metadata service at %s gives no session token (HTTP %d)",
			endpoint, status);
		return status_error(status);
	}
	if (token_take(imds, exchange, response))
		return 0;
	snprintf(reason, CREDENTIALS_REASON_MAX,
		"what answers at %s gives a session token that is none", endpoint);
	return ERR_PROTOCOL;
}

static bool can_do_without_token(const struct imds *imds, const struct http_response *response)
{
	int status = response->status;

	return (status == 403 || status == 404 || status == 405 ||
		       (response->err == ERR_TIMEOUT && response->sent)) &&
	       aws_settings_metadata_v1_allowed(imds->context->settings);
}

/*
 * Hands the token's outcome to those who wait for it now; who comes while they are told waits for
 * another. The last thing that its caller does.
 */
static void calls_serve(
	struct imds *imds, int err, int status, const char reason[CREDENTIALS_REASON_MAX])
{
	struct list *node;

	while ((node = list_first(&imds->waiting)) != NULL) {
		list_remove(node);
		list_append(&imds->served, node);
	}
	imds->serving = true;
	while ((node = list_first(&imds->served)) != NULL) {
		struct imds_call *call = list_entry(node, struct imds_call, node);

		if (err == 0)
			call_ask_or_finish(call);
		else
			call_finish(call, err, status, NULL, reason);
	}
	imds->serving = false;
	if (imds->ended)
		imds_free(imds);
}

static void on_token(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct imds *imds = arg;
	char reason[CREDENTIALS_REASON_MAX] = "";
	int err, status = 0;

	imds->put = NULL;
	note_answer(imds, response);
	if (is_worth_repeating(imds, response) && imds->put_attempts < ATTEMPTS_MAX &&
		!list_is_empty(&imds->waiting) &&
		pause_before_next(imds, &imds->put_timer, imds->put_attempts) == 0)
		return;
	if (can_do_without_token(imds, response)) {
		OPENSSL_cleanse(imds->token, sizeof(imds->token));
		imds->token_until_us =
			clock_monotonic_us(imds->context->clock) + WITHOUT_TOKEN_S * SECOND_US;
		imds->token_generation++;
		calls_serve(imds, 0, 0, reason);
		return;
	}
	err = token_judge(imds, exchange, response, reason);
	/* A 404 here says nothing about the path that was asked for. */
	if (response->status != 404)
		status = response->status;
	calls_serve(imds, err, status, reason);
}

static void put_start(struct imds *imds)
{
	char ttl[16], reason[CREDENTIALS_REASON_MAX];
	int err;

	snprintf(ttl, sizeof(ttl), "%d", TOKEN_TTL_S);
	imds->put_attempts++;
	imds->put_started_us = clock_monotonic_us(imds->context->clock);
	err = exchange_send(exchange_new(imds, "PUT", TOKEN_PATH), TOKEN_TTL_HEADER, ttl, on_token,
		imds, &imds->put);
	if (err != 0) {
		err = start_error(imds, err, reason);
		calls_serve(imds, err, 0, reason);
	}
}

static void on_put_due(struct clock_timer *timer)
{
	put_start(list_entry(timer, struct imds, put_timer));
}

/* The call waits for a token, which is asked for unless that is under way. As calls_serve(). */
static void token_want(struct imds_call *call)
{
	struct imds *imds = call->imds;

	list_remove(&call->node);
	list_append(&imds->waiting, &call->node);
	if (imds->put != NULL || clock_timer_is_set(&imds->put_timer))
		return;
	imds->put_attempts = 0;
	put_start(imds);
}

/* ---- */

int imds_new(const struct credentials_context *context, struct imds **ret_imds)
{
	struct imds *imds = calloc(1, sizeof(*imds));

	if (imds == NULL)
		return ERR_NOMEM;
	imds->context = context;
	list_init(&imds->fresh);
	list_init(&imds->waiting);
	list_init(&imds->served);
	list_init(&imds->asking);
	imds->put_timer.fire = on_put_due;
	*ret_imds = imds;
	return 0;
}

static void calls_free(struct list *calls)
{
	list_for_each_safe (node, calls)
		call_free(list_entry(node, struct imds_call, node));
}

void imds_free(struct imds *imds)
{
	if (imds == NULL)
		return;
	calls_free(&imds->fresh);
	calls_free(&imds->waiting);
	calls_free(&imds->served);
	calls_free(&imds->asking);
	if (imds->put != NULL)
		http_exchange_cancel(imds->put);
	clock_timer_clear(imds->context->clock, &imds->put_timer);
	imds->put = NULL;
	OPENSSL_cleanse(imds->token, sizeof(imds->token));
	imds->ended = true;
	if (!imds->serving)
		free(imds);
}

int imds_get(struct imds *imds, const char *path, imds_done *done, void *arg,
	struct imds_call **ret_call)
{
	size_t path_bytes = strlen(path) + 1;
	struct imds_call *call = calloc(1, sizeof(*call) + path_bytes);

	if (call == NULL)
		return ERR_NOMEM;
	call->imds = imds;
	call->done = done;
	call->arg = arg;
	memcpy(call->path, path, path_bytes);
	call->timer.fire = on_call_due;
	if (clock_timer_after(imds->context->clock, &call->timer, 0) != 0) {
		free(call);
		return ERR_NOMEM;
	}
	list_append(&imds->fresh, &call->node);
	*ret_call = call;
	return 0;
}

void imds_cancel(struct imds_call *call)
{
	call_free(call);
}
