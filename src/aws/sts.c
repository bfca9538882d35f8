#include "aws/sts.h"

#include "aws/credentials/set.h"
#include "aws/http_date.h"
#include "aws/sigv4.h"
#include "aws/sts_codec.h"
#include "base/list.h"
#include "base/random.h"
#include "bunshin/error.h"
#include "http/client.h"

#include <inttypes.h>
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

struct sts {
	struct clock clock;
	struct http_client *http;
	struct sigv4 *signer;
	struct endpoint endpoint;
	char *region;
	struct buf authorization;
	struct list calls;
	int64_t offset_ms;    /* how far STS's clock is ahead, as signed by */
	uint64_t generations; /* one a call: whose keys they are is not known here */
};

struct sts_call {
	struct list node;
	struct sts *sts;
	enum sts_operation operation;
	struct credentials_set keys;	/* to sign with; wiped */
	struct buf form;		/* the request's body; wiped */
	size_t token_at;		/* in the form; 0: it holds none */
	struct http_exchange *exchange; /* NULL between two attempts */
	struct clock_timer timer;	/* to the next attempt */
	unsigned attempts;		/* that have failed */
	bool corrected;			/* signed again by the corrected time */
	struct credentials_set *ret_set;
	struct sts_identity *ret_identity;
	sts_done *done;
	void *arg;
	char reason[CREDENTIALS_REASON_MAX];
};

void sts_session_name(struct clock clock, char ret_name[STS_SESSION_NAME_SIZE])
{
	snprintf(ret_name, STS_SESSION_NAME_SIZE, "bunshin-%016" PRIx64, clock_random(clock));
}

int sts_new(uv_loop_t *loop, struct clock clock, const struct sts_options *options,
	struct sts **ret_sts)
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
	struct sts *sts = calloc(1, sizeof(*sts));
	int err = ERR_NOMEM;

	if (sts == NULL)
		return ERR_NOMEM;
	sts->clock = clock;
	sts->endpoint = *options->endpoint;
	list_init(&sts->calls);
	buf_init(&sts->authorization, AUTHORIZATION_MAX);
	sts->region = strdup(options->region);
	if (sts->region == NULL || (err = sigv4_new(&sts->signer)) != 0 ||
		(err = http_client_new(loop, &http, &sts->http)) != 0) {
		sts_close(sts);
		return err;
	}
	*ret_sts = sts;
	return 0;
}

static void call_free(struct sts_call *call)
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

void sts_cancel(struct sts_call *call)
{
	clock_timer_clear(call->sts->clock, &call->timer);
	if (call->exchange != NULL) {
		exchange_wipe(call->exchange);
		http_exchange_cancel(call->exchange);
	}
	call_free(call);
}

void sts_close(struct sts *sts)
{
	if (sts == NULL)
		return;
	list_for_each_safe (node, &sts->calls)
		sts_cancel(list_entry(node, struct sts_call, node));
	http_client_close(sts->http);
	sigv4_free(sts->signer);
	buf_free(&sts->authorization);
	free(sts->region);
	free(sts);
}

/* The last thing that is done to a call; `done` may close the sts. */
static void call_finish(struct sts_call *call, int err)
{
	list_remove(&call->node);
	if (err == 0)
		call->reason[0] = '\0';
	call->done(call->arg, err, call->reason);
	call_free(call);
}

__attribute__((format(printf, 2, 3))) static void reason_set(
	struct sts_call *call, const char *format, ...)
{
	const char *name = sts_operation_name(call->operation);
	int len = snprintf(call->reason, sizeof(call->reason), "%s: ", name);
	va_list args;

	va_start(args, format);
	vsnprintf(call->reason + len, sizeof(call->reason) - (size_t)len, format, args);
	va_end(args);
}

static int64_t wall_epoch_ms(const struct sts *sts)
{
	return clock_wall_epoch_ms(sts->clock) + sts->offset_ms;
}

/* ---- an attempt */

static int signature_add(
	struct sts_call *call, const struct sigv4_header headers[], size_t header_count)
{
	struct sts *sts = call->sts;
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

	buf_clear(&sts->authorization);
	err = sigv4_sign(sts->signer, &request, &call->keys, sts->region, "sts", wall_epoch_ms(sts),
		&sts->authorization, date);
	if (err == 0)
		err = http_exchange_add_header(call->exchange, "X-Amz-Date", date);
	if (err == 0 && call->keys.session_token[0] != '\0')
		err = http_exchange_add_header(
			call->exchange, "X-Amz-Security-Token", call->keys.session_token);
	if (err == 0)
		err = http_exchange_add_header(
			call->exchange, "Authorization", buf_string(&sts->authorization));
	return err;
}

static int request_write(struct sts_call *call)
{
	const struct sigv4_header headers[] = {
		{"Host", call->sts->endpoint.host},
		{"Content-Type", CONTENT_TYPE},
	};
	const size_t count = sizeof(headers) / sizeof(headers[0]);
	struct buf *url = http_exchange_url(call->exchange);
	struct buf *body = http_exchange_body(call->exchange);
	int err = 0;

	buf_append_string(url, call->sts->endpoint.origin);
	buf_append_char(url, '/');
	buf_append(body, call->form.data, call->form.len);
	if (url->err != 0 || body->err != 0)
		return ERR_NOMEM;
	for (size_t i = 0; err == 0 && i < count; i++)
		err = http_exchange_add_header(call->exchange, headers[i].name, headers[i].value);
	if (err == 0 && call->operation != STS_ASSUME_WITH_WEB_IDENTITY)
		err = signature_add(call, headers, count);
	return err;
}

static void answered(
	void *arg, struct http_exchange *exchange, const struct http_response *response);

/* 0, or the error with nothing under way. */
static int attempt_start(struct sts_call *call)
{
	int err;

	call->exchange = http_exchange_new(call->sts->http);
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
static void attempt_again(struct sts_call *call)
{
	int err = attempt_start(call);

	if (err == 0)
		return;
	reason_set(call, "%s", error_message(err));
	call_finish(call, err);
}

static void timer_fired(struct clock_timer *timer)
{
	attempt_again(list_entry(timer, struct sts_call, timer));
}

/* Full jitter: a random part of 1 s before the first repetition, of 2 s before the second. */
static void attempt_later(struct sts_call *call)
{
	uint64_t bound_us = DELAY_FIRST_US << (call->attempts - 1);
	uint64_t delay_us = random_below(
		clock_random(call->sts->clock), bound_us < DELAY_CAP_US ? bound_us : DELAY_CAP_US);

	call->timer.fire = timer_fired;
	if (clock_timer_after(call->sts->clock, &call->timer, delay_us) == 0)
		return;
	reason_set(call, "%s", error_message(ERR_NOMEM));
	call_finish(call, ERR_NOMEM);
}

/* ---- its answer */

struct verdict {
	int err;
	bool again;	 /* worth another attempt */
	int64_t skew_ms; /* STS's clock minus the one signed by; 0: not known */
};

static int64_t skew_of(const struct sts *sts, struct http_exchange *exchange)
{
	const char *date = http_exchange_answer_header(exchange, "Date");
	int64_t server_epoch_ms;

	if (date == NULL || http_date_parse(date, &server_epoch_ms) != 0 ||
		http_exchange_answer_header(exchange, "Age") != NULL)
		return 0;
	return server_epoch_ms - wall_epoch_ms(sts);
}

static void secrets_hide(const struct sts_call *call, char *text)
{
	const char *keys[] = {
		call->keys.access_key_id, call->keys.secret_access_key, call->keys.session_token};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		sts_message_hide(text, keys[i], strlen(keys[i]));
	if (call->token_at > 0)
		sts_message_hide(
			text, call->form.data + call->token_at, call->form.len - call->token_at);
}

static struct verdict failure_read(
	struct sts_call *call, struct http_exchange *exchange, const struct http_response *response)
{
	struct verdict verdict = {.skew_ms = skew_of(call->sts, exchange)};
	struct sts_failure failure = {0};

	verdict.err = sts_answer_error(response->status, verdict.skew_ms,
		buf_string(response->body), response->body->len, &failure);
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
			(call->operation == STS_ASSUME_WITH_WEB_IDENTITY &&
				strcmp(failure.code, "InvalidIdentityToken") == 0);
	return verdict;
}

static struct verdict answer_read(
	struct sts_call *call, struct http_exchange *exchange, const struct http_response *response)
{
	const char *text = buf_string(response->body);
	size_t len = response->body->len;
	char problem[XML_PROBLEM_SIZE];
	struct verdict verdict = {.err = response->err};

	if (response->err != 0) {
		reason_set(call, "%s: %.160s", call->sts->endpoint.origin,
			response->detail[0] != '\0' ? response->detail
						    : error_message(response->err));
		verdict.again = error_class(response->err) == ERROR_TRANSIENT;
		return verdict;
	}
	if (response->status < 200 || response->status > 299)
		return failure_read(call, exchange, response);
	if (call->operation == STS_GET_CALLER_IDENTITY)
		verdict.err = sts_answer_identity(text, len, call->ret_identity, problem);
	else
		verdict.err =
			sts_answer_credentials(call->operation, text, len, call->ret_set, problem);
	if (verdict.err == ERR_PROTOCOL)
		reason_set(call, "not an answer of STS (HTTP %d): %s", response->status, problem);
	else if (verdict.err != 0)
		reason_set(call, "%s", error_message(verdict.err));
	return verdict;
}

static void answered(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct sts_call *call = arg;
	struct verdict verdict;

	call->exchange = NULL;
	exchange_wipe(exchange);
	verdict = answer_read(call, exchange, response);
	if (verdict.err == ERR_CLOCK_SKEW && !call->corrected &&
		llabs(verdict.skew_ms) >= AWS_SKEW_TOLERATED_MS) {
		call->corrected = true;
		call->sts->offset_ms += verdict.skew_ms;
		attempt_again(call);
		return;
	}
	if (verdict.again && ++call->attempts < ATTEMPTS_MAX)
		attempt_later(call);
	else
		call_finish(call, verdict.err);
}

/* ---- the operations */

static int call_new(struct sts *sts, enum sts_operation operation, sts_done *done, void *arg,
	struct sts_call **ret)
{
	struct sts_call *call;
	size_t calls = 0;

	list_for_each (node, &sts->calls)
		calls++;
	if (calls >= CALLS_MAX)
		return ERR_LIMIT;
	call = calloc(1, sizeof(*call));
	if (call == NULL)
		return ERR_NOMEM;
	call->sts = sts;
	call->operation = operation;
	call->done = done;
	call->arg = arg;
	buf_init(&call->form, FORM_MAX);
	list_append(&sts->calls, &call->node);
	*ret = call;
	return 0;
}

static int keys_set(struct sts_call *call, const struct credentials_set *keys)
{
	if (keys->access_key_id[0] == '\0' || !credentials_is_graphic(keys->access_key_id) ||
		!credentials_is_graphic(keys->session_token))
		return ERR_ARGUMENT;
	call->keys = *keys;
	call->keys.generation = ++call->sts->generations;
	return 0;
}

/* Starts the call whose form is written, unless `err` is not 0; the call is gone on an error. */
static int call_send(struct sts_call *call, int err, struct sts_call **ret_call)
{
	if (err == 0)
		err = attempt_start(call);
	if (err != 0) {
		call_free(call);
		return err == ERR_TOO_LARGE ? ERR_LIMIT : err;
	}
	*ret_call = call;
	return 0;
}

int sts_assume_role(struct sts *sts, const struct credentials_set *keys,
	const struct sts_role *role, struct credentials_set *ret_set, sts_done *done, void *arg,
	struct sts_call **ret_call)
{
	struct sts_call *call;
	int err = call_new(sts, STS_ASSUME_ROLE, done, arg, &call);

	if (err != 0)
		return err;
	call->ret_set = ret_set;
	err = keys_set(call, keys);
	if (err == 0)
		err = sts_form_assume_role(&call->form, role);
	return call_send(call, err, ret_call);
}

int sts_assume_role_with_web_identity(struct sts *sts, const struct sts_role *role,
	const char *token, struct credentials_set *ret_set, sts_done *done, void *arg,
	struct sts_call **ret_call)
{
	struct sts_call *call;
	int err = call_new(sts, STS_ASSUME_WITH_WEB_IDENTITY, done, arg, &call);

	if (err != 0)
		return err;
	call->ret_set = ret_set;
	err = sts_form_web_identity(&call->form, role, token, &call->token_at);
	return call_send(call, err, ret_call);
}

int sts_get_caller_identity(struct sts *sts, const struct credentials_set *keys,
	struct sts_identity *ret_identity, sts_done *done, void *arg, struct sts_call **ret_call)
{
	struct sts_call *call;
	int err = call_new(sts, STS_GET_CALLER_IDENTITY, done, arg, &call);

	if (err != 0)
		return err;
	call->ret_identity = ret_identity;
	err = keys_set(call, keys);
	if (err == 0)
		err = sts_form_identity(&call->form);
	return call_send(call, err, ret_call);
}
