/* The life of a call, from the pool through its attempts to its `done`. */
#include "aws/sqs_call.h"

#include "bunshin/error.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_BODY_BYTES ((size_t)16 << 10) /* a larger body's memory is not kept in the pool */
#define QUEUE_URL_BYTES 2048

#define TO(state) (1u << CALL_##state)

static const unsigned edges[CALL_STATES] = {
	[CALL_SPARE] = TO(READY),
	[CALL_READY] = TO(KEYS) | TO(SENT) | TO(PAUSED) | TO(ENDING) | TO(DONE) | TO(SPARE),
	[CALL_KEYS] = TO(SENT) | TO(DONE) | TO(SPARE),
	[CALL_SENT] = TO(READY) | TO(SPARE),
	[CALL_PAUSED] = TO(READY) | TO(SPARE),
	[CALL_ENDING] = TO(DONE) | TO(SPARE),
	[CALL_DONE] = TO(SPARE),
};

/* Gives up what the state it is in keeps under way. */
static void call_let_go(struct queue_call *call)
{
	switch (call->state) {
	case CALL_KEYS:
		credentials_unwait(&call->waiter);
		clock_timer_clear(call->client->clock, &call->timer);
		break;
	case CALL_SENT:
		if (call->exchange != NULL) /* NULL: it has just ended */
			http_exchange_cancel(call->exchange);
		call->exchange = NULL;
		break;
	case CALL_PAUSED:
	case CALL_ENDING:
		clock_timer_clear(call->client->clock, &call->timer);
		break;
	case CALL_SPARE:
	case CALL_READY:
	case CALL_DONE:
	case CALL_STATES:
		break;
	}
}

static void call_move(struct queue_call *call, enum call_state to)
{
	assert((edges[call->state] >> to) & 1);
	call_let_go(call);
	call->state = to;
}

static unsigned *in_flight_of(struct queue_call *call)
{
	return call->operation == SQS_RECEIVE ? &call->client->polls_in_flight
					      : &call->client->others_in_flight;
}

void sqs_call_free(struct queue_call *call)
{
	call_let_go(call);
	list_remove(&call->node);
	buf_free(&call->body);
	buf_free(&call->queue_url);
	free(call);
}

static void call_recycle(struct queue_call *call)
{
	call_move(call, CALL_SPARE);
	if (call->body.capacity > KEPT_BODY_BYTES)
		buf_free(&call->body);
	list_remove(&call->node);
	list_prepend(&call->client->spare, &call->node);
}

static void timer_fired(struct clock_timer *timer);
static void keys_fired(struct credentials_waiter *waiter);

static struct queue_call *call_create(struct sqs_client *client)
{
	struct queue_call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return NULL;
	call->client = client;
	call->timer.fire = timer_fired;
	call->waiter.fire = keys_fired;
	buf_init(&call->body, SQS_REQUEST_MAX);
	buf_init(&call->queue_url, QUEUE_URL_BYTES);
	list_append(&client->spare, &call->node);
	return call;
}

int sqs_call_new(struct sqs_client *client, enum sqs_operation operation, void *arg,
	struct queue_call **ret_call)
{
	struct list *spare = list_first(&client->spare);
	struct queue_call *call =
		spare != NULL ? list_entry(spare, struct queue_call, node) : call_create(client);

	if (call == NULL)
		return ERR_NOMEM;
	call->operation = operation;
	/* Counted here, not by the HTTP client: a call that pauses keeps its slot. */
	if (*in_flight_of(call) >= client->max_in_flight)
		return ERR_LIMIT;
	++*in_flight_of(call);
	call_move(call, CALL_READY);
	list_remove(&call->node);
	list_append(&client->calls, &call->node);
	call->arg = arg;
	call->count = 0;
	call->fifo = false;
	buf_clear(&call->body);
	buf_clear(&call->queue_url);
	call->id = (struct sqs_receive_id){.lost = false};
	call->timeout_ms = client->timeout_ms;
	call->invocation_id[0] = '\0';
	call->retry = (struct sqs_retry){0};
	call->requests = 0;
	call->resent = call->renewed = call->retimed = call->signs_again = false;
	*ret_call = call;
	return 0;
}

/* The end, with the verdict as it stands. answer: of a call that succeeded. */
static void call_finish(struct queue_call *call, const struct buf *answer)
{
	struct sqs_client *client = call->client;
	struct sqs_outcome outcome = {
		.err = call->verdict.err,
		.code = call->verdict.code,
		.detail = call->verdict.detail,
		.request_id = call->verdict.request_id,
		.server_epoch_ms = call->verdict.server_epoch_ms,
	};

	call_move(call, CALL_DONE);
	--*in_flight_of(call); /* `done` may start another in its place */
	client->completing = true;
	sqs_call_complete(call, &client->decoder, &outcome, answer);
	client->completing = false;
	client->stats.dropped += outcome.dropped;
	if (client->closed)
		sqs_client_destroy(client);
	else
		call_recycle(call);
}

static int keys_await(struct queue_call *call)
{
	struct sqs_client *client = call->client;
	int err = 0;

	/* One that waits already goes on doing so for the rest of its time. */
	if (call->state != CALL_KEYS) {
		err = clock_timer_after(
			client->clock, &call->timer, (uint64_t)call->timeout_ms * 1000);
		if (err == 0)
			call_move(call, CALL_KEYS);
	}
	if (err == 0)
		credentials_wait(client->credentials, &call->waiter);
	return err;
}

/* Whether these are the keys that were refused already. */
static bool is_refused(const struct queue_call *call, const struct credentials_set *keys)
{
	return call->renewed && keys->generation == call->refused;
}

/*
 * Sends the call, or lets it wait for keys. `woken`: a search for keys has just ended, and what it
 * did not bring will not come. Returns 0, or an error that the verdict holds, nothing being under
 * way then.
 */
static int call_try(struct queue_call *call, bool woken)
{
	struct sqs_client *client = call->client;
	char reason[CREDENTIALS_REASON_MAX] = "";
	const struct credentials_set *keys;
	int err = credentials_get(client->credentials, &keys, reason);

	if (err == 0 && is_refused(call, keys)) {
		if (woken)
			return call->verdict.err;
		err = ERR_PENDING;
	}
	if (err == ERR_PENDING) {
		err = keys_await(call);
		reason[0] = '\0';
	} else if (err == 0) {
		if (call->verdict.answered && call->id.text[0] != '\0')
			err = sqs_receive_renew_id(call);
		if (err == 0)
			err = sqs_attempt_start(call, keys);
		if (err == 0)
			call_move(call, CALL_SENT);
	}
	if (err != 0)
		sqs_verdict_set(call, err, reason);
	return err;
}

static void call_go_on(struct queue_call *call, bool woken)
{
	if (call_try(call, woken) != 0)
		call_finish(call, NULL);
}

static void keys_fired(struct credentials_waiter *waiter)
{
	call_go_on(list_entry(waiter, struct queue_call, waiter), true);
}

static void keys_late(struct queue_call *call)
{
	char reason[CREDENTIALS_REASON_MAX] = "", words[SQS_DETAIL_SIZE];
	const struct credentials_set *keys;

	if (credentials_get(call->client->credentials, &keys, reason) != ERR_PENDING) {
		call_go_on(call, true);
		return;
	}
	snprintf(words, sizeof(words), "no credentials within %lld ms%s%.400s",
		(long long)call->timeout_ms, reason[0] != '\0' ? ": " : "", reason);
	sqs_verdict_set(call, ERR_TIMEOUT, words);
	call_finish(call, NULL);
}

static void timer_fired(struct clock_timer *timer)
{
	struct queue_call *call = list_entry(timer, struct queue_call, timer);

	if (call->state == CALL_KEYS) {
		keys_late(call);
	} else if (call->state == CALL_PAUSED) {
		call_move(call, CALL_READY);
		call_go_on(call, false);
	} else {
		call_finish(call, NULL);
	}
}

int sqs_call_send(struct queue_call *call, int err, struct queue_call **ret_call)
{
	call->verdict.answered = false;
	if (err == 0)
		err = call_try(call, false);
	if (err != 0) {
		--*in_flight_of(call);
		call_recycle(call);
		return err;
	}
	*ret_call = call;
	return 0;
}

void sqs_call_cancel(struct sqs_client *client, struct queue_call *call)
{
	--*in_flight_of(call);
	call_recycle(call);
}

/* Keys that are not, or no longer, known; other refusals are not about the keys' age. */
static bool is_about_keys(const struct sqs_verdict *verdict)
{
	if (verdict->err == ERR_EXPIRED_CREDENTIALS)
		return true;
	return verdict->err == ERR_BAD_CREDENTIALS &&
	       (strcmp(verdict->code, "InvalidClientTokenId") == 0 ||
		       strcmp(verdict->code, "UnrecognizedClientException") == 0);
}

/* What is done once a call, at once, and does not count as an attempt. */
static bool is_free_of_charge(struct queue_call *call, const struct http_response *response)
{
	struct sqs_client *client = call->client;
	const struct sqs_verdict *verdict = &call->verdict;

	if (response->stale && !call->resent) {
		call->resent = true;
		return true;
	}
	if (verdict->err == ERR_CLOCK_SKEW && !call->retimed &&
		call->clock_offset_ms != client->stats.clock_offset_ms) {
		call->retimed = call->signs_again = true;
		return true;
	}
	if (!call->renewed && is_about_keys(verdict) &&
		credentials_refused(client->credentials, call->generation)) {
		call->renewed = call->signs_again = true;
		call->refused = call->generation;
		return true;
	}
	return false;
}

/* By the rules of sqs_retry.h. */
static void call_repeat(struct queue_call *call)
{
	struct sqs_client *client = call->client;
	struct sqs_retry_decision decision = sqs_retry_failed(&call->retry, &client->bucket,
		call->verdict.err, client->max_attempts, call->verdict.retry_after_ms,
		clock_random(client->clock));

	if (decision.exhausted)
		client->stats.exhausted++;
	if ((decision.again || decision.exhausted) &&
		clock_timer_after(
			client->clock, &call->timer, (uint64_t)decision.delay_ms * 1000) == 0)
		call_move(call, decision.again ? CALL_PAUSED : CALL_ENDING);
	else
		call_finish(call, NULL);
}

void sqs_call_attempted(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct queue_call *call = arg;

	call->exchange = NULL;
	call_move(call, CALL_READY);
	sqs_attempt_judge(call, exchange, response);
	call->id.lost = !call->verdict.answered && (call->id.lost || response->sent);
	if (call->verdict.err == 0) {
		sqs_retry_succeeded(&call->retry, &call->client->bucket);
		call_finish(call, response->body);
	} else if (is_free_of_charge(call, response)) {
		call_go_on(call, false);
	} else {
		call_repeat(call);
	}
}
