#include "aws/sqs_client.h"

#include "aws/endpoint.h"
#include "aws/http_date.h"
#include "aws/sqs_call.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TIMEOUT_MS 10000
#define DEFAULT_MAX_IN_FLIGHT 1024
#define REQUEST_ID_SIZE 128
#define CONTENT_TYPE "application/x-amz-json-1.0"

/*
 * Ten messages come to 1 MiB each, and a character can take six bytes as a JSON escape. Only long
 * polls get that much; what batches answer is a few kilobytes.
 */
#define RECEIVE_ANSWER_MAX ((size_t)64 << 20)
#define OTHER_ANSWER_MAX ((size_t)1 << 20)
#define REQUEST_MAX ((size_t)4 << 20)
#define AUTHORIZATION_MAX 4096

struct sqs_client {
	struct clock clock;
	struct credentials *credentials;
	/* Two, so that long polls cannot take every slot from the deletes. */
	struct http_client *polls;
	struct http_client *others;
	struct sigv4 *signer;
	struct sqs_decoder decoder;
	struct endpoint endpoint;
	char region[64];
	int64_t timeout_ms;
	struct list calls; /* in flight */
	struct list spare; /* to be used again */
	struct buf authorization;
	uint64_t requests;
	uint64_t dropped;

	/* A `done` is running: what it borrows must live until it returns. */
	bool completing;
	bool closed;
	char code[SQS_CODE_SIZE];
	char detail[SQS_DETAIL_SIZE];
	char request_id[REQUEST_ID_SIZE];
};

static void call_free(struct queue_call *call)
{
	list_remove(&call->node);
	buf_free(&call->queue_url);
	free(call);
}

static void client_destroy(struct sqs_client *client)
{
	list_for_each_safe (node, &client->calls)
		call_free(list_entry(node, struct queue_call, node));
	list_for_each_safe (node, &client->spare)
		call_free(list_entry(node, struct queue_call, node));
	http_client_close(client->polls);
	http_client_close(client->others);
	sigv4_free(client->signer);
	sqs_decoder_free(&client->decoder);
	buf_free(&client->authorization);
	free(client);
}

static int endpoint_set(struct sqs_client *client, const struct sqs_client_options *options)
{
	struct endpoint regional;
	size_t len;
	int err = endpoint_of_region(options->region, &regional);

	if (err != 0)
		return err;
	snprintf(client->region, sizeof(client->region), "%s", options->region);
	client->endpoint = regional;
	if (options->endpoint == NULL)
		return 0;
	err = endpoint_parse(options->endpoint, &client->endpoint, &len);
	if (err == 0 && options->endpoint[len] == '/')
		len++;
	return err == 0 && options->endpoint[len] != '\0' ? ERR_ARGUMENT : err;
}

static int http_clients_open(
	struct sqs_client *client, uv_loop_t *loop, const struct sqs_client_options *options)
{
	struct http_client_options http = {
		.max_in_flight =
			options->max_in_flight > 0 ? options->max_in_flight : DEFAULT_MAX_IN_FLIGHT,
		.timeout_ms = client->timeout_ms,
		.max_answer_bytes = RECEIVE_ANSWER_MAX,
		.max_request_bytes = REQUEST_MAX,
		.version = HTTP_VERSION_1_1,
	};
	int err = http_client_new(loop, &http, &client->polls);

	if (err != 0)
		return err;
	http.max_answer_bytes = OTHER_ANSWER_MAX;
	return http_client_new(loop, &http, &client->others);
}

int sqs_client_new(uv_loop_t *loop, struct clock clock, struct credentials *credentials,
	const struct sqs_client_options *options, struct sqs_client **ret_client)
{
	struct sqs_client *client = calloc(1, sizeof(*client));
	int err;

	if (client == NULL)
		return ERR_NOMEM;
	client->clock = clock;
	client->credentials = credentials;
	client->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
	list_init(&client->calls);
	list_init(&client->spare);
	buf_init(&client->authorization, AUTHORIZATION_MAX);
	if ((err = endpoint_set(client, options)) != 0 || (err = sigv4_new(&client->signer)) != 0 ||
		(err = sqs_decoder_init(&client->decoder)) != 0 ||
		(err = http_clients_open(client, loop, options)) != 0) {
		client_destroy(client);
		return err;
	}
	*ret_client = client;
	return 0;
}

void sqs_client_close(struct sqs_client *client)
{
	if (client == NULL)
		return;
	if (client->completing)
		client->closed = true; /* call_done() does it when `done` is back */
	else
		client_destroy(client);
}

uint64_t sqs_client_requests(const struct sqs_client *client)
{
	return client->requests;
}

uint64_t sqs_client_dropped(const struct sqs_client *client)
{
	return client->dropped;
}

int64_t sqs_client_timeout_ms(const struct sqs_client *client)
{
	return client->timeout_ms;
}

struct digest *sqs_client_md5(struct sqs_client *client)
{
	return &client->decoder.md5;
}

static void call_recycle(struct queue_call *call)
{
	list_remove(&call->node);
	list_prepend(&call->client->spare, &call->node);
}

int sqs_call_new(struct sqs_client *client, enum sqs_operation operation, void *arg,
	struct queue_call **ret_call)
{
	struct http_client *http = operation == SQS_RECEIVE ? client->polls : client->others;
	struct list *spare = list_first(&client->spare);
	struct queue_call *call;

	if (spare == NULL) {
		call = calloc(1, sizeof(*call));
		if (call == NULL)
			return ERR_NOMEM;
		call->client = client;
		buf_init(&call->queue_url, 2048);
		list_append(&client->spare, &call->node);
	} else {
		call = list_entry(spare, struct queue_call, node);
	}
	call->exchange = http_exchange_new(http);
	if (call->exchange == NULL)
		return ERR_NOMEM;
	list_remove(&call->node);
	list_append(&client->calls, &call->node);
	call->operation = operation;
	call->arg = arg;
	call->count = 0;
	buf_clear(&call->queue_url);
	*ret_call = call;
	return 0;
}

static void copy_printable(char *out, size_t out_bytes, const char *text)
{
	size_t len = 0;

	for (; text != NULL && text[len] > 0x20 && text[len] < 0x7f && len + 1 < out_bytes; len++)
		out[len] = text[len];
	out[len] = '\0';
}

/* How far the server's clock is ahead; 0 when its Date is not of this exchange. */
static int64_t skew_of(
	const struct sqs_client *client, struct http_exchange *exchange, int64_t server_epoch_ms)
{
	if (server_epoch_ms == 0 || http_exchange_answer_header(exchange, "Age") != NULL)
		return 0;
	return server_epoch_ms - clock_wall_epoch_ms(client->clock);
}

static void error_read(struct sqs_client *client, const struct queue_call *call,
	struct http_exchange *exchange, const struct http_response *response,
	struct sqs_outcome *outcome)
{
	char words[SQS_DETAIL_SIZE];

	outcome->err = sqs_decode_error(&client->decoder, call->operation, response->status,
		http_exchange_answer_header(exchange, "x-amzn-query-error"),
		skew_of(client, exchange, outcome->server_epoch_ms), buf_string(response->body),
		response->body->len, client->code, words);
	sqs_detail_set(client->detail, "%s (HTTP %d%s%s)%s%s",
		client->code[0] != '\0' ? client->code : "no error code", response->status,
		client->request_id[0] != '\0' ? ", request id " : "", client->request_id,
		words[0] != '\0' ? ": " : "", words);
}

static void outcome_read(struct sqs_client *client, const struct queue_call *call,
	struct http_exchange *exchange, const struct http_response *response,
	struct sqs_outcome *outcome)
{
	const char *date;

	client->code[0] = client->detail[0] = client->request_id[0] = '\0';
	*outcome = (struct sqs_outcome){.err = response->err,
		.code = client->code,
		.detail = client->detail,
		.request_id = client->request_id};
	if (response->err != 0) {
		sqs_detail_set(client->detail, "%s", response->detail);
		return;
	}
	copy_printable(client->request_id, sizeof(client->request_id),
		http_exchange_answer_header(exchange, "x-amzn-RequestId"));
	date = http_exchange_answer_header(exchange, "Date");
	if (date != NULL)
		http_date_parse(date, &outcome->server_epoch_ms);
	if (response->status < 200 || response->status > 299)
		error_read(client, call, exchange, response, outcome);
}

static void call_done(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct queue_call *call = arg;
	struct sqs_client *client = call->client;
	struct sqs_outcome outcome;

	call->exchange = NULL;
	client->completing = true;
	outcome_read(client, call, exchange, response, &outcome);
	sqs_call_complete(call, &client->decoder, &outcome, response->body);
	client->completing = false;
	client->dropped += outcome.dropped;
	if (client->closed)
		client_destroy(client);
	else
		call_recycle(call);
}

/* The headers that are signed first, then what the signer made of them. */
static int call_sign(struct queue_call *call)
{
	struct sqs_client *client = call->client;
	const struct buf *body = http_exchange_body(call->exchange);
	const struct credentials_set *keys;
	char target[64], date[SIGV4_DATE_SIZE];
	const struct sigv4_header headers[] = {
		{"Host", client->endpoint.host},
		{"Content-Type", CONTENT_TYPE},
		{"X-Amz-Target", target},
		{"x-amzn-query-mode", "true"},
	};
	struct sigv4_request request = {
		.method = "POST",
		.path = "/",
		.query = "",
		.headers = headers,
		.header_count = sizeof(headers) / sizeof(headers[0]),
		.body = body->data,
		.body_bytes = body->len,
	};
	int err = credentials_get(client->credentials, &keys, NULL, 0);

	if (err != 0)
		return err;
	snprintf(target, sizeof(target), "AmazonSQS.%s", sqs_operation_name(call->operation));
	buf_clear(&client->authorization);
	err = sigv4_sign(client->signer, &request, keys, client->region, "sqs",
		clock_wall_epoch_ms(client->clock), &client->authorization, date);
	for (size_t i = 0; err == 0 && i < request.header_count; i++)
		err = http_exchange_add_header(call->exchange, headers[i].name, headers[i].value);
	if (err == 0)
		err = http_exchange_add_header(call->exchange, "X-Amz-Date", date);
	if (err == 0 && keys->session_token[0] != '\0')
		err = http_exchange_add_header(
			call->exchange, "X-Amz-Security-Token", keys->session_token);
	if (err == 0)
		err = http_exchange_add_header(
			call->exchange, "Authorization", buf_string(&client->authorization));
	return err;
}

int sqs_call_send(struct queue_call *call, int err, struct queue_call **ret_call)
{
	struct sqs_client *client = call->client;

	if (err == 0)
		err = call_sign(call);
	if (err == 0)
		err = buf_append_string(http_exchange_url(call->exchange), client->endpoint.origin);
	if (err == 0)
		err = buf_append_char(http_exchange_url(call->exchange), '/');
	if (err != 0) {
		http_exchange_discard(call->exchange);
		call_recycle(call);
		return err;
	}
	http_exchange_set_method(call->exchange, "POST");
	err = http_exchange_start(call->exchange, call_done, call);
	if (err != 0) {
		call_recycle(call);
		return err;
	}
	client->requests++;
	*ret_call = call;
	return 0;
}

void sqs_call_cancel(struct sqs_client *client, struct queue_call *call)
{
	http_exchange_cancel(call->exchange);
	call->exchange = NULL;
	call_recycle(call);
}
