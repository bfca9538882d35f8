/*
 * Access tokens of Google, asked for by one worker of the host and shared by all; renewed in the
 * background, early, at an instant that differs from worker to worker. While that fails, the one
 * that is there serves to its end.
 */
#include "signing/google.h"

#include "base/log.h"
#include "base/log_secrets.h"
#include "base/random.h"
#include "bunshin/error.h"
#include "cli/auth/bearer.h"
#include "cli/auth/signers.h"
#include "delivery/backoff.h"
#include "http/client.h"

#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 10000
#define CLAIM_MS (TIMEOUT_MS + 5000)
/* While another asks for the first one; for the next one. */
#define POLL_FIRST_US 50000
#define POLL_US 1000000
/* How old a token is, at least, that is renewed because it was refused. */
#define REFUSED_AGE_MS INT64_C(300000)
#define ANSWER_MAX_BYTES ((size_t)64 << 10)
#define REASON_MAX_BYTES 2048

#define SCHEME "Bearer "

static const struct backoff again = {.base_ms = 1000, .cap_ms = 60000};

struct google_signer {
	struct auth_waiter waiter;
	struct clock clock;
	const struct config_destination *destination;
	const struct google_account *account;
	struct token_slot *slot;
	uint8_t identity[TOKEN_IDENTITY_BYTES];
	struct http_client *http;
	struct http_exchange *exchange; /* NULL: nothing is asked for */
	uint64_t claim;
	struct clock_timer timer;
	unsigned failures; /* in a row */
	struct buf reason; /* of the last, while they fail */
	struct token token;
	uint64_t version;	/* of `token` in the slot; 0: there is none */
	int64_t renew_epoch_ms; /* when this worker would ask for the next */
	struct bearer bearer;
};

static int64_t now_ms(const struct google_signer *signer)
{
	return clock_wall_epoch_ms(signer->clock);
}

/* Between 75 and 90 % of its life: another has it renewed before most would ask. */
static void set_renewal(struct google_signer *signer)
{
	int64_t life_ms = signer->token.ends_epoch_ms - signer->token.made_epoch_ms;

	signer->renew_epoch_ms =
		signer->token.made_epoch_ms + life_ms * 3 / 4 +
		(int64_t)random_below(clock_random(signer->clock), (uint64_t)life_ms * 3 / 20 + 1);
}

/* True: there is one that can be sent. */
static bool look(struct google_signer *signer)
{
	uint64_t version = token_version(signer->slot);

	if (signer->version && signer->version == version)
		return now_ms(signer) < signer->token.ends_epoch_ms;
	signer->version = 0;
	if (!token_read(signer->slot, signer->identity, now_ms(signer), &signer->token) ||
		bearer_set(&signer->bearer, signer->token.text))
		return false;
	signer->version = version;
	set_renewal(signer);
	return true;
}

static bool is_due(struct google_signer *signer)
{
	return !look(signer) || now_ms(signer) >= signer->renew_epoch_ms;
}

static void wake_after(struct google_signer *signer, uint64_t delay_us)
{
	/* Without memory for a timer the next attempt to send looks again. */
	clock_timer_after(signer->clock, &signer->timer, delay_us);
}

static void wake_for_renewal(struct google_signer *signer)
{
	int64_t left_ms = signer->renew_epoch_ms - now_ms(signer);

	wake_after(signer, left_ms > 0 ? (uint64_t)left_ms * 1000 : 0);
}

static void failed(struct google_signer *signer, int err)
{
	int64_t delay_ms =
		backoff_delay_ms(&again, signer->failures++, clock_random(signer->clock));

	if (delay_ms < again.base_ms)
		delay_ms = again.base_ms;
	token_unclaim(signer->slot, signer->claim);
	signer->claim = 0;
	signer->waiter.err = err;
	log_warn(look(signer) ? "a token cannot be renewed; the one that is there serves on"
			      : "no token for a destination: nothing can be sent to it",
		LOG_STR("destination", signer->destination->name), LOG_ERR(err),
		LOG_STR("reason", buf_string(&signer->reason)), LOG_INT("retry_in_ms", delay_ms));
	wake_after(signer, (uint64_t)delay_ms * 1000);
	auth_waiter_end(&signer->waiter);
}

static void succeeded(struct google_signer *signer, const struct token *token)
{
	token_publish(signer->slot, signer->identity, signer->claim, token);
	signer->claim = 0;
	signer->failures = 0;
	signer->waiter.err = 0;
	buf_clear(&signer->reason);
	look(signer);
	wake_for_renewal(signer);
	auth_waiter_end(&signer->waiter);
}

/* What the endpoint says may repeat what it was sent. */
static void set_reason(struct google_signer *signer, const struct buf *words)
{
	char shown[REASON_MAX_BYTES / 2];
	size_t len = redact_excerpt(
		&log_secrets_known, buf_string(words), words->len, false, shown, sizeof(shown));

	buf_clear(&signer->reason);
	buf_appendf(&signer->reason, "%s: %.*s", signer->account->token_uri, (int)len, shown);
}

static void answered(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct google_signer *signer = arg;
	struct token token = {.made_epoch_ms = 0};
	struct buf words = BUF_INIT(REASON_MAX_BYTES);
	int err = response->err;

	signer->exchange = NULL;
	if (err)
		buf_append_string(
			&words, response->detail[0] ? response->detail : error_message(err));
	else
		err = google_answer_read(response->status, buf_string(response->body),
			response->body->len, now_ms(signer), &token, &words);
	set_reason(signer, &words);
	buf_free(&words);
	if (err)
		failed(signer, err);
	else
		succeeded(signer, &token);
	explicit_bzero(&token, sizeof(token));
}

static int ask(struct google_signer *signer)
{
	struct http_exchange *exchange = http_exchange_new(signer->http);
	struct buf *body;
	int err;

	if (!exchange)
		return ERR_NOMEM;
	buf_append_string(http_exchange_url(exchange), signer->account->token_uri);
	body = http_exchange_body(exchange);
	err = buf_reserve(body, GOOGLE_FORM_MAX) ? 0 : ERR_NOMEM; /* so that it never moves */
	if (!err)
		err = google_form_make(
			signer->account, signer->destination->auth.scope, now_ms(signer), body);
	if (!err)
		err = http_exchange_add_header(
			exchange, "Content-Type", "application/x-www-form-urlencoded");
	if (err) {
		http_exchange_discard(exchange);
		return err;
	}
	err = http_exchange_start(exchange, answered, signer);
	if (!err)
		signer->exchange = exchange;
	return err;
}

static void renew(struct google_signer *signer)
{
	int err;

	if (!is_due(signer)) {
		auth_waiter_end(&signer->waiter);
		wake_for_renewal(signer);
		return;
	}
	signer->claim = token_claim(signer->slot, now_ms(signer), now_ms(signer) + CLAIM_MS,
		clock_random(signer->clock));
	if (!signer->claim) {
		if (look(signer))
			auth_waiter_end(&signer->waiter);
		wake_after(signer, look(signer) ? POLL_US : POLL_FIRST_US);
		return;
	}
	/* Another may just have been quicker. */
	if (!is_due(signer)) {
		token_unclaim(signer->slot, signer->claim);
		signer->claim = 0;
		auth_waiter_end(&signer->waiter);
		wake_for_renewal(signer);
		return;
	}
	err = ask(signer);
	if (err) {
		buf_clear(&signer->reason);
		buf_append_string(&signer->reason, error_message(err));
		failed(signer, err);
	}
}

static void on_timer(struct clock_timer *timer)
{
	renew((struct google_signer *)(void *)((char *)timer -
					       offsetof(struct google_signer, timer)));
}

static int sign(void *impl, const struct http_signer_request *request, http_signer_add *add,
	void *arg, struct buf *reason)
{
	struct google_signer *signer = impl;

	if (look(signer))
		return add(arg, "Authorization", signer->bearer.value, SCHEME "[hidden]");
	if (!signer->exchange && !clock_timer_is_set(&signer->timer))
		wake_after(signer, 0);
	buf_append_string(reason, "no token to send with");
	if (signer->reason.len)
		buf_appendf(reason, ": %s", buf_string(&signer->reason));
	return ERR_NO_CREDENTIALS;
}

/*
 * A token may be withdrawn before it ends. The next is asked for at once, but not where this one
 * has just been got: then it is not the token that is refused.
 */
static void refused(void *impl, int64_t started_epoch_ms)
{
	struct google_signer *signer = impl;

	/* While renewals fail, the next is at its time. */
	if (signer->exchange || signer->failures > 0 || !look(signer) ||
		started_epoch_ms < signer->token.made_epoch_ms ||
		now_ms(signer) - signer->token.made_epoch_ms < REFUSED_AGE_MS)
		return;
	signer->renew_epoch_ms = now_ms(signer);
	wake_after(signer, 0);
}

static void google_free(void *impl)
{
	struct google_signer *signer = impl;

	clock_timer_clear(signer->clock, &signer->timer);
	http_client_close(signer->http);
	if (signer->claim)
		token_unclaim(signer->slot, signer->claim);
	bearer_wipe(&signer->bearer);
	buf_free(&signer->reason);
	explicit_bzero(signer, sizeof(*signer));
	free(signer);
}

static int open_client(struct google_signer *signer, uv_loop_t *loop)
{
	const struct http_client_options options = {.timeout_ms = TIMEOUT_MS,
		.connect_timeout_ms = TIMEOUT_MS / 2,
		.max_in_flight = 1,
		.max_answer_bytes = ANSWER_MAX_BYTES,
		.max_request_bytes = 2 * GOOGLE_FORM_MAX,
		.secret_answers = true};

	return http_client_new(loop, &options, &signer->http);
}

int auth_google_new(const struct auth_options *options,
	const struct config_destination *destination, struct auth_signer *ret, struct buf *error)
{
	static const struct http_signer_ops ops = {.sign = sign, .refused = refused};
	struct google_signer *signer;
	int err;

	if (!destination->auth.account) {
		buf_appendf(error, "destination %s: auth.service_account_file: there is no account",
			destination->name);
		return ERR_CONFIG;
	}
	signer = calloc(1, sizeof(*signer));
	if (!signer)
		return ERR_NOMEM;
	signer->clock = options->clock;
	signer->destination = destination;
	signer->account = destination->auth.account;
	signer->timer.fire = on_timer;
	buf_init(&signer->reason, REASON_MAX_BYTES);
	bearer_init(&signer->bearer, SCHEME);
	google_identity(signer->account, destination->auth.scope, signer->identity);
	signer->slot = token_slot_of(
		options->tokens->memory, options->tokens->bytes, signer->identity, now_ms(signer));
	err = signer->slot ? open_client(signer, options->loop) : ERR_LIMIT;
	if (err == ERR_LIMIT)
		buf_appendf(error, "destination %s: auth: too many keys for tokens on this host",
			destination->name);
	if (err) {
		buf_free(&signer->reason);
		free(signer);
		return err;
	}
	*ret = (struct auth_signer){.signer = {.ops = &ops, .impl = signer},
		.free = google_free,
		.waiter = &signer->waiter};
	signer->waiter.waiting = true;
	renew(signer);
	return 0;
}
