#include "aws/query_call.h"

#include "aws/credentials/set.h"
#include "aws/http_date.h"
#include "aws/sigv4.h"
#include "base/list.h"
#include "base/random.h"
#include "bunshin/error.h"
#include "http/client.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TIMEOUT_MS 5000
#define ATTEMPTS_MAX 3
#define DELAY_FIRST_US ((uint64_t)1000000) /* bound of the first delay; it doubles */
#define DELAY_CAP_US ((uint64_t)20000000)
#define CALLS_MAX 16
#define FORM_MAX \
	((size_t)128 << 10) /* a token has 20,000 bytes at most, encoded three times that */
#define AUTHORIZATION_MAX 4096
#define CONTENT_TYPE "application/x-www-form-urlencoded; charset=utf-8"

struct query_client {
	struct clock clock;
	const char *service, *name;
	struct http_client *http;
	struct sigv4 *signer;
	struct endpoint endpoint;
	char *region;
	struct buf authorization;
	struct list calls;
	int64_t offset_ms;    /* how far the service's clock is ahead, as signed by */
	uint64_t generations; /* one a call: whose keys they are is not known here */
};

struct query_call {
	struct list node;
	struct query_client *client;
	const struct query_operation *operation;
	void *result;
	struct credentials_set keys;	/* to sign with; wiped */
	struct buf form;		/* the request's body; wiped */
	size_t secret_at;		/* in the form; 0: it holds none */
	struct http_exchange *exchange; /* NULL between two attempts */
	struct clock_timer timer;	/* to the next attempt */
	unsigned attempts;		/* that have failed */
	bool corrected;			/* signed again by the corrected time */
	query_done *done;
	void *arg;
	char reason[CREDENTIALS_REASON_MAX];
};

int query_client_new(uv_loop_t *loop, struct clock clock,
	const struct query_client_options *options, struct query_client **ret_client)
{
	const struct http_client_options http = {
		.max_in_flight = CALLS_MAX,
		.timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : DEFAULT_TIMEOUT_MS,
		.max_answer_bytes = XML_DOCUMENT_MAX,
		.max_request_bytes = FORM_MAX,
		.version = HTTP_VERSION_1_1,
		.ca_file = options->ca_file,
		.secret_answers = true,
	};
	struct query_client *client = calloc(1, sizeof(*client));
	int err = ERR_NOMEM;

	if (client == NULL)
		return ERR_NOMEM;
	client->clock = clock;
	client->service = options->service;
	client->name = options->name;
	client->endpoint = *options->endpoint;
	list_init(&client->calls);
	buf_init(&client->authorization, AUTHORIZATION_MAX);
	client->region = strdup(options->region);
	if (client->region == NULL || (err = sigv4_new(&client->signer)) != 0 ||
		(err = http_client_new(loop, &http, &client->http)) != 0) {
		query_client_close(client);
		return err;
	}
	*ret_client = client;
	return 0;
}

static void call_free(struct query_call *call)
{
	list_remove(&call->node);
	credentials_wipe(&call->keys);
	buf_wipe(&call->form);
	free(call);
}

/* In place, since the client still points to it. The client itself only forgets it. */
static void exchange_wipe(struct http_exchange *exchange)
{
	struct buf *body = http_exchange_body(exchange);

	if (body->data != NULL)
		OPENSSL_cleanse(body->data, body->capacity);
}

void query_cancel(struct query_call *call)
{
	clock_timer_clear(call->client->clock, &call->timer);
	if (call->exchange != NULL) {
		exchange_wipe(call->exchange);
		http_exchange_cancel(call->exchange);
	}
	call_free(call);
}

void query_client_close(struct query_client *client)
{
	if (client == NULL)
		return;
	list_for_each_safe (node, &client->calls)
		query_cancel(list_entry(node, struct query_call, node));
	http_client_close(client->http);
	sigv4_free(client->signer);
	buf_free(&client->authorization);
	free(client->region);
	free(client);
}

/* The last thing that is done to a call; `done` may close the client. */
static void call_finish(struct query_call *call, int err)
{
	list_remove(&call->node);
	if (err == 0)
		call->reason[0] = '\0';
	call->done(call->arg, err, call->reason);
	call_free(call);
}

__attribute__((format(printf, 2, 3))) static void reason_set(
	struct query_call *call, const char *format, ...)
{
	const char *name = call->operation->name;
	int len = snprintf(call->reason, sizeof(call->reason), "%s: ", name);
	va_list args;

	va_start(args, format);
	vsnprintf(call->reason + len, sizeof(call->reason) - (size_t)len, format, args);
	va_end(args);
}

static int64_t wall_epoch_ms(const struct query_client *client)
{
	return clock_wall_epoch_ms(client->clock) + client->offset_ms;
}

/* ---- an attempt */

static int signature_add(
	struct query_call *call, const struct sigv4_header headers[], size_t header_count)
{
	struct query_client *client = call->client;
	const struct buf *body = http_exchange_body(call->exchange);
	const struct sigv4_request request = {
		.method = "POST",
		.path = "/",
		.query = "",
		.headers = headers,
		.header_count = header_count,
		.body = body->data,
		.body_bytes = body->len,
	};
	char date[SIGV4_DATE_SIZE];
	int err;

	buf_clear(&client->authorization);
	err = sigv4_sign(client->signer, &request, &call->keys, client->region, client->service,
		wall_epoch_ms(client), &client->authorization, date);
	if (err == 0)
		err = http_exchange_add_header(call->exchange, "X-Amz-Date", date);
	if (err == 0 && call->keys.session_token[0] != '\0')
		err = http_exchange_add_header(
			call->exchange, "X-Amz-Security-Token", call->keys.session_token);
	if (err == 0)
		err = http_exchange_add_header(
			call->exchange, "Authorization", buf_string(&client->authorization));
	return err;
}

static int request_write(struct query_call *call)
{
	const struct sigv4_header headers[] = {
		{"Host", call->client->endpoint.host},
		{"Content-Type", CONTENT_TYPE},
	};
	const size_t count = sizeof(headers) / sizeof(headers[0]);
	struct buf *url = http_exchange_url(call->exchange);
	struct buf *body = http_exchange_body(call->exchange);
	int err = 0;

	buf_append_string(url, call->client->endpoint.origin);
	buf_append_char(url, '/');
	buf_append(body, call->form.data, call->form.len);
	if (url->err != 0 || body->err != 0)
		return ERR_NOMEM;
	for (size_t i = 0; err == 0 && i < count; i++)
		err = http_exchange_add_header(call->exchange, headers[i].name, headers[i].value);
	if (err == 0 && call->operation->is_signed)
		err = signature_add(call, headers, count);
	return err;
}

static void answered(
	void *arg, struct http_exchange *exchange, const struct http_response *response);

/* 0, or the error with nothing under way. */
static int attempt_start(struct query_call *call)
{
	int err;

	call->exchange = http_exchange_new(call->client->http);
	if (call->exchange == NULL)
		return ERR_NOMEM;
	err = request_write(call);
	if (err == 0) {
		err = http_exchange_start(call->exchange, answered, call);
	} else {
		exchange_wipe(call->exchange);
		http_exchange_discard(call->exchange);
	}
	if (err != 0)
		call->exchange = NULL;
	return err;
}

/* From the loop: what cannot start ends the call. */
static void attempt_again(struct query_call *call)
{
	int err = attempt_start(call);

	if (err == 0)
		return;
	reason_set(call, "%s", error_message(err));
	call_finish(call, err);
}

static void timer_fired(struct clock_timer *timer)
{
	attempt_again(list_entry(timer, struct query_call, timer));
}

/* Full jitter: a random part of 1 s before the first repetition, of 2 s before the second. */
static void attempt_later(struct query_call *call)
{
	uint64_t bound_us = DELAY_FIRST_US << (call->attempts - 1);
	uint64_t delay_us = random_below(clock_random(call->client->clock),
		bound_us < DELAY_CAP_US ? bound_us : DELAY_CAP_US);

	call->timer.fire = timer_fired;
	if (clock_timer_after(call->client->clock, &call->timer, delay_us) == 0)
		return;
	reason_set(call, "%s", error_message(ERR_NOMEM));
	call_finish(call, ERR_NOMEM);
}

/* ---- its answer */

struct verdict {
	int err;
	bool again;	 /* worth another attempt */
	int64_t skew_ms; /* the service's clock minus the one signed by; 0: not known */
};

static int64_t skew_of(const struct query_client *client, struct http_exchange *exchange)
{
	const char *date = http_exchange_answer_header(exchange, "Date");
	int64_t server_epoch_ms;

	if (date == NULL || http_date_parse(date, &server_epoch_ms) != 0 ||
		http_exchange_answer_header(exchange, "Age") != NULL)
		return 0;
	return server_epoch_ms - wall_epoch_ms(client);
}

static void secrets_hide(const struct query_call *call, char *text)
{
	const char *keys[] = {
		call->keys.access_key_id, call->keys.secret_access_key, call->keys.session_token};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		query_message_hide(text, keys[i], strlen(keys[i]));
	if (call->secret_at > 0)
		query_message_hide(
			text, call->form.data + call->secret_at, call->form.len - call->secret_at);
}

static struct verdict failure_read(struct query_call *call, struct http_exchange *exchange,
	const struct http_response *response)
{
	struct verdict verdict = {.skew_ms = skew_of(call->client, exchange)};
	struct query_failure failure = {0};

	verdict.err = query_answer_error(response->status, verdict.skew_ms,
		buf_string(response->body), response->body->len, call->operation->codes,
		call->operation->code_count, &failure);
	if (verdict.err == ERR_NOMEM) {
		reason_set(call, "%s", error_message(ERR_NOMEM));
		return verdict;
	}
	secrets_hide(call, failure.code);
	secrets_hide(call, failure.message);
	reason_set(call, "%s (HTTP %d)%s%s",
		failure.code[0] != '\0' ? failure.code : "no error code", response->status,
		failure.message[0] != '\0' ? ": " : "", failure.message);
	verdict.again = verdict.err == ERR_THROTTLED || verdict.err == ERR_UNAVAILABLE ||
			(call->operation->repeated != NULL &&
				strcmp(failure.code, call->operation->repeated) == 0);
	return verdict;
}

static struct verdict answer_read(struct query_call *call, struct http_exchange *exchange,
	const struct http_response *response)
{
	char problem[XML_PROBLEM_SIZE];
	struct verdict verdict = {.err = response->err};

	if (response->err != 0) {
		reason_set(call, "%s: %.160s", call->client->endpoint.origin,
			response->detail[0] != '\0' ? response->detail
						    : error_message(response->err));
		verdict.again = error_class(response->err) == ERROR_TRANSIENT;
		return verdict;
	}
	if (response->status < 200 || response->status > 299)
		return failure_read(call, exchange, response);
	verdict.err = call->operation->read(
		call->result, buf_string(response->body), response->body->len, problem);
	if (verdict.err == ERR_PROTOCOL)
		reason_set(call, "not an answer of %s (HTTP %d): %s", call->client->name,
			response->status, problem);
	else if (verdict.err != 0)
		reason_set(call, "%s", error_message(verdict.err));
	return verdict;
}

static void answered(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct query_call *call = arg;
	struct verdict verdict;

	call->exchange = NULL;
	exchange_wipe(exchange);
	verdict = answer_read(call, exchange, response);
	if (verdict.err == ERR_CLOCK_SKEW && !call->corrected &&
		llabs(verdict.skew_ms) >= AWS_SKEW_TOLERATED_MS) {
		call->corrected = true;
		call->client->offset_ms += verdict.skew_ms;
		attempt_again(call);
		return;
	}
	if (verdict.again && ++call->attempts < ATTEMPTS_MAX)
		attempt_later(call);
	else
		call_finish(call, verdict.err);
}

/* ---- calls */

int query_call_new(struct query_client *client, const struct query_operation *operation,
	void *result, query_done *done, void *arg, struct query_call **ret_call)
{
	struct query_call *call;
	size_t calls = 0;

	list_for_each (node, &client->calls)
		calls++;
	if (calls >= CALLS_MAX)
		return ERR_LIMIT;
	call = calloc(1, sizeof(*call));
	if (call == NULL)
		return ERR_NOMEM;
	call->client = client;
	call->operation = operation;
	call->result = result;
	call->done = done;
	call->arg = arg;
	buf_init(&call->form, FORM_MAX);
	list_append(&client->calls, &call->node);
	*ret_call = call;
	return 0;
}

struct buf *query_call_form(struct query_call *call)
{
	return &call->form;
}

void query_call_hide_from(struct query_call *call, size_t at)
{
	call->secret_at = at;
}

static int keys_set(struct query_call *call, const struct credentials_set *keys)
{
	if (keys->access_key_id[0] == '\0' || !credentials_is_graphic(keys->access_key_id) ||
		!credentials_is_graphic(keys->session_token))
		return ERR_ARGUMENT;
	call->keys = *keys;
	call->keys.generation = ++call->client->generations;
	return 0;
}

int query_call_send(struct query_call *call, const struct credentials_set *keys, int err,
	struct query_call **ret_call)
{
	if (err == 0 && call->operation->is_signed)
		err = keys_set(call, keys);
	if (err == 0)
		err = call->form.err;
	if (err == 0)
		err = attempt_start(call);
	if (err != 0) {
		call_free(call);
		return err == ERR_TOO_LARGE ? ERR_LIMIT : err;
	}
	*ret_call = call;
	return 0;
}
