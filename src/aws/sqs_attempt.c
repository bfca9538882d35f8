/* One request of a call: its signature, and what its answer says. */
#include "aws/http_date.h"
#include "aws/sqs_call.h"
#include "aws/sqs_skew.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <string.h>

#define CONTENT_TYPE "application/x-amz-json-1.0"
#define SIGNABLE_EPOCH_MAX_MS INT64_C(253402300799999) /* the end of the year 9999 */
#define RETRY_AFTER_DIGITS 9
#define BILLED_BYTES ((size_t)64 << 10)

void sqs_attempts_words(const struct queue_call *call, char ret_words[SQS_ATTEMPTS_SIZE])
{
	ret_words[0] = '\0';
	if (call->requests > 1)
		snprintf(ret_words, SQS_ATTEMPTS_SIZE, ", %u attempts", call->requests);
}

static void verdict_clear(struct sqs_verdict *verdict, int err)
{
	verdict->err = err;
	verdict->code[0] = verdict->detail[0] = verdict->request_id[0] = '\0';
	verdict->server_epoch_ms = 0;
	verdict->retry_after_ms = -1;
	verdict->answered = false;
}

void sqs_verdict_set(struct queue_call *call, int err, const char *words)
{
	char attempts[SQS_ATTEMPTS_SIZE];

	verdict_clear(&call->verdict, err);
	sqs_attempts_words(call, attempts);
	sqs_detail_set(call->verdict.detail, "%s%s", words[0] != '\0' ? words : error_message(err),
		attempts);
}

static void clock_correct(struct sqs_client *client, int64_t offset_ms)
{
	client->stats.clock_offset_ms = offset_ms;
	if (client->clock_corrected != NULL)
		client->clock_corrected(client->arg, offset_ms);
}

/*
 * The wall clock may have been set by decades since the offset was measured; without this no
 * request could be signed any more, and no answer could put it right.
 */
static int64_t signing_epoch_ms(struct sqs_client *client, int64_t wall_epoch_ms)
{
	int64_t epoch_ms = wall_epoch_ms + client->stats.clock_offset_ms;

	if (epoch_ms >= 0 && epoch_ms <= SIGNABLE_EPOCH_MAX_MS)
		return epoch_ms;
	clock_correct(client, 0);
	return wall_epoch_ms;
}

/* The headers that are signed first, then what the signer made of them. */
static int attempt_sign(struct queue_call *call, const struct credentials_set *keys,
	struct http_exchange *exchange, int64_t epoch_ms)
{
	struct sqs_client *client = call->client;
	char date[SIGV4_DATE_SIZE];
	const struct sigv4_header headers[] = {
		{"Host", client->endpoint.host},
		{"Content-Type", CONTENT_TYPE},
		{"X-Amz-Target", sqs_operation_target(call->operation)},
		{"x-amzn-query-mode", "true"},
	};
	const struct sigv4_request request = {
		.method = "POST",
		.path = "/",
		.query = "",
		.headers = headers,
		.header_count = sizeof(headers) / sizeof(headers[0]),
		.body = call->body.data,
		.body_bytes = call->body.len,
	};
	int err;

	buf_clear(&client->authorization);
	err = sigv4_sign(client->signer, &request, keys, client->region, "sqs", epoch_ms,
		&client->authorization, date);
	for (size_t i = 0; err == 0 && i < request.header_count; i++)
		err = http_exchange_add_header(exchange, headers[i].name, headers[i].value);
	if (err == 0)
		err = http_exchange_add_header(exchange, "X-Amz-Date", date);
	if (err == 0 && keys->session_token[0] != '\0')
		err = http_exchange_add_header(
			exchange, "X-Amz-Security-Token", keys->session_token);
	if (err == 0)
		err = http_exchange_add_header(
			exchange, "Authorization", buf_string(&client->authorization));
	return err;
}

/*
 * Which repetition it is, for the service's own statistics; not signed, as in the SDKs. A request
 * that is none goes without: these are a sixth of the bytes of its headers.
 */
static int add_sdk_headers(struct queue_call *call, struct http_exchange *exchange)
{
	struct clock clock = call->client->clock;
	char which[48];
	int err;

	if (call->requests == 0)
		return 0;
	if (call->invocation_id[0] == '\0')
		uuid_v4(clock_random(clock), clock_random(clock), call->invocation_id);
	err = http_exchange_add_header(exchange, "amz-sdk-invocation-id", call->invocation_id);
	snprintf(which, sizeof(which), "attempt=%u; max=%u", call->retry.attempts + 1,
		call->client->max_attempts);
	return err != 0 ? err : http_exchange_add_header(exchange, "amz-sdk-request", which);
}

static int attempt_fill(struct queue_call *call, const struct credentials_set *keys,
	struct http_exchange *exchange, int64_t epoch_ms)
{
	struct buf *url = http_exchange_url(exchange);
	int err = call->body.err;

	if (err == 0)
		err = attempt_sign(call, keys, exchange, epoch_ms);
	if (err == 0)
		err = add_sdk_headers(call, exchange);
	if (err == 0)
		err = buf_append_string(url, call->client->endpoint.origin);
	if (err == 0)
		err = buf_append_char(url, '/');
	if (err == 0)
		err = buf_append(http_exchange_body(exchange), call->body.data, call->body.len);
	http_exchange_set_method(exchange, "POST");
	http_exchange_set_timeout(exchange, call->timeout_ms);
	return err;
}

/* What a payload makes of a request on the bill. */
static uint64_t billed(size_t payload_bytes)
{
	return payload_bytes > 0 ? (payload_bytes - 1) / BILLED_BYTES + 1 : 1;
}

static uint64_t *bill_of(const struct queue_call *call)
{
	struct sqs_client_stats *stats = &call->client->stats;

	return call->fifo ? &stats->billed_fifo : &stats->billed;
}

static void count(struct queue_call *call)
{
	struct sqs_client_stats *stats = &call->client->stats;

	stats->requests++;
	stats->by_operation[call->operation]++;
	*bill_of(call) += billed(call->body.len);
	if (call->signs_again)
		stats->renewed++;
	else if (call->requests > 0)
		stats->retries++;
	call->signs_again = false;
	call->requests++;
}

static void count_answer(const struct queue_call *call, size_t answer_bytes)
{
	uint64_t by_request = billed(call->body.len), by_answer = billed(answer_bytes);

	if (by_answer > by_request)
		*bill_of(call) += by_answer - by_request;
}

int sqs_attempt_start(struct queue_call *call, const struct credentials_set *keys)
{
	struct sqs_client *client = call->client;
	struct http_exchange *exchange =
		http_exchange_new(call->operation == SQS_RECEIVE ? client->polls : client->others);
	int64_t wall_epoch_ms = clock_wall_epoch_ms(client->clock);
	int64_t epoch_ms = signing_epoch_ms(client, wall_epoch_ms);
	int err;

	if (exchange == NULL)
		return ERR_NOMEM;
	err = attempt_fill(call, keys, exchange, epoch_ms);
	if (err != 0) {
		http_exchange_discard(exchange);
		return err;
	}
	err = http_exchange_start(exchange, sqs_call_attempted, call);
	if (err != 0)
		return err;
	call->exchange = exchange;
	call->generation = keys->generation;
	call->clock_offset_ms = epoch_ms - wall_epoch_ms;
	call->sent_epoch_ms = wall_epoch_ms;
	if (!call->id.lost)
		call->id.sent_us = clock_monotonic_us(client->clock);
	count(call);
	return 0;
}

static void copy_printable(char *out, size_t out_bytes, const char *text)
{
	size_t len = 0;

	for (; text != NULL && text[len] > 0x20 && text[len] < 0x7f && len + 1 < out_bytes; len++)
		out[len] = text[len];
	out[len] = '\0';
}

static int64_t retry_after_read(const char *text)
{
	size_t digits = text != NULL ? strspn(text, "0123456789") : 0;
	int64_t ms = 0;

	if (digits == 0 || digits > RETRY_AFTER_DIGITS || text[digits] != '\0')
		return -1;
	for (size_t i = 0; i < digits; i++)
		ms = ms * 10 + (text[i] - '0');
	return ms;
}

/* Under load many answers come in a second, and have the same date. 0 or ERR_SYNTAX. */
static int date_parse(struct sqs_client *client, const char *date, int64_t *ret_epoch_ms)
{
	size_t size = strlen(date) + 1;

	if (client->date[0] == '\0' || strcmp(client->date, date) != 0) {
		int err = http_date_parse(date, &client->date_epoch_ms);

		client->date[0] = '\0';
		if (err != 0)
			return err;
		if (size <= sizeof(client->date))
			memcpy(client->date, date, size);
	}
	*ret_epoch_ms = client->date_epoch_ms;
	return 0;
}

/*
 * Corrects the clock by what the answer's Date says, where it says anything. Returns how far the
 * server is ahead of the clock that the request was signed by; 0 when that is not known.
 */
static int64_t date_read(struct queue_call *call, struct http_exchange *exchange)
{
	struct sqs_client *client = call->client;
	struct sqs_verdict *verdict = &call->verdict;
	const char *date = http_exchange_answer_header(exchange, "Date");
	struct sqs_skew_sample sample = {
		.sent_epoch_ms = call->sent_epoch_ms,
		.received_epoch_ms = clock_wall_epoch_ms(client->clock),
	};
	int64_t measured_ms, offset_ms;

	if (date == NULL || date_parse(client, date, &verdict->server_epoch_ms) != 0)
		return 0;
	sample.date_epoch_ms = verdict->server_epoch_ms;
	sample.aged = http_exchange_answer_header(exchange, "Age") != NULL;
	if (!sqs_skew_measure(&sample, &measured_ms))
		return 0;
	offset_ms = sqs_skew_adopt(client->stats.clock_offset_ms, measured_ms);
	if (offset_ms != client->stats.clock_offset_ms)
		clock_correct(client, offset_ms);
	return measured_ms - call->clock_offset_ms;
}

static void error_read(struct queue_call *call, struct http_exchange *exchange,
	const struct http_response *response, int64_t skew_ms)
{
	struct sqs_client *client = call->client;
	struct sqs_verdict *verdict = &call->verdict;
	char words[SQS_DETAIL_SIZE], attempts[SQS_ATTEMPTS_SIZE];

	verdict->err = sqs_decode_error(&client->decoder, call->operation, response->status,
		http_exchange_answer_header(exchange, "x-amzn-query-error"), skew_ms,
		buf_string(response->body), response->body->len, verdict->code, words);
	verdict->retry_after_ms =
		retry_after_read(http_exchange_answer_header(exchange, "x-amz-retry-after"));
	if (error_class(verdict->err) == ERROR_THROTTLED)
		client->stats.throttled++;
	sqs_attempts_words(call, attempts);
	sqs_detail_set(verdict->detail, "%s (HTTP %d%s%s%s)%s%s",
		verdict->code[0] != '\0' ? verdict->code : "no error code", response->status,
		verdict->request_id[0] != '\0' ? ", request id " : "", verdict->request_id,
		attempts, words[0] != '\0' ? ": " : "", words);
}

void sqs_attempt_judge(struct queue_call *call, struct http_exchange *exchange,
	const struct http_response *response)
{
	struct sqs_verdict *verdict = &call->verdict;
	int64_t skew_ms;

	if (response->err != 0) {
		sqs_verdict_set(call, response->err, response->detail);
		return;
	}
	verdict_clear(verdict, 0);
	verdict->answered = true;
	count_answer(call, response->body->len);
	copy_printable(verdict->request_id, sizeof(verdict->request_id),
		http_exchange_answer_header(exchange, "x-amzn-RequestId"));
	skew_ms = date_read(call, exchange);
	if (response->status < 200 || response->status > 299)
		error_read(call, exchange, response, skew_ms);
}
