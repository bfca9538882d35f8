/* src/cli/auth: signers of every type are made, sign, and are asked for their next token. */
#include "sweep.h"

#include "base/log.h"
#include "bunshin/error.h"
#include "http/client.h"
#include "token_world.h"

#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

static struct token_world world;

/* One destination of a type. */
static int make_and_sign(const void *arg)
{
	struct config_destination destination = {.auth.type = *(const enum config_auth_type *)arg};
	struct buf error = BUF_INIT(1000);
	struct auth_options options;
	struct auth *auth = NULL;
	char value[5000];
	int err, signed_err = 0;

	log_clear_secrets();
	token_world_open(&world, &destination, 1);
	options = token_world_options(&world);
	sweep_on();
	err = auth_new(&options, &auth, &error);
	if (!err) {
		token_world_settle(&world, auth);
		signed_err = token_world_sign(&world, auth, 0, value, sizeof(value));
	}
	sweep_off();
	assert_int_equal(auth == NULL, err != 0);
	if (signed_err) { /* for want of memory, or of the token that memory was wanted for */
		assert_true(sweep_has_failed());
		assert_true(signed_err == ERR_NOMEM || signed_err == ERR_NO_CREDENTIALS);
	}
	/* By itself all is well a minute later. */
	for (int i = 0; !err && i < 3; i++) {
		manual_clock_advance(&world.clock, 61000000);
		uv_run(&world.loop, UV_RUN_DEFAULT);
	}
	if (!err)
		assert_int_equal(token_world_sign(&world, auth, 0, value, sizeof(value)), 0);
	auth_free(auth);
	token_world_close(&world);
	buf_free(&error);
	return err ? err : signed_err == ERR_NO_CREDENTIALS ? ERR_NOMEM : signed_err;
}

/* The next token of Google, asked for because this one was refused. */
static int renew_a_refused_one(const void *arg)
{
	struct config_destination destination = {.auth.type = CONFIG_AUTH_GOOGLE};
	struct buf error = BUF_INIT(1000);
	struct auth_options options;
	struct auth *auth = NULL;
	struct http_signer signer;
	char value[5000];

	log_clear_secrets();
	token_world_open(&world, &destination, 1);
	options = token_world_options(&world);
	assert_int_equal(auth_new(&options, &auth, &error), 0);
	token_world_settle(&world, auth);
	manual_clock_advance(&world.clock, 600000000);
	signer = auth_signer(auth, 0);
	sweep_on();
	signer.ops->refused(signer.impl, TOKEN_WORLD_EPOCH_MS + 600000);
	manual_clock_advance(&world.clock, 1);
	uv_run(&world.loop, UV_RUN_DEFAULT);
	sweep_off();
	/* The one before serves on, or there is the next. */
	assert_int_equal(token_world_sign(&world, auth, 0, value, sizeof(value)), 0);
	for (int i = 0; i < 3; i++) {
		manual_clock_advance(&world.clock, 61000000);
		uv_run(&world.loop, UV_RUN_DEFAULT);
	}
	assert_true(atomic_load(&world.endpoint->asked) >= 2 || sweep_has_failed());
	assert_int_equal(token_world_sign(&world, auth, 0, value, sizeof(value)), 0);
	auth_free(auth);
	token_world_close(&world);
	buf_free(&error);
	return 0;
}

static int enter(void **state)
{
	token_world_start(&world);
	/* Its functions are the wrapped ones; http_client_new() finds curl initialised. */
	return curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, free, realloc, strdup, calloc);
}

static int leave(void **state)
{
	token_world_stop(&world);
	curl_global_cleanup();
	log_clear_secrets();
	return 0;
}

int main(void)
{
	static const enum config_auth_type webhooks = CONFIG_AUTH_STANDARD_WEBHOOKS,
					   hmac = CONFIG_AUTH_HMAC, apns = CONFIG_AUTH_APNS,
					   google = CONFIG_AUTH_GOOGLE;
	static const unsigned long once[] = {1, 0};
	static const struct sweep table[] = {
		SWEEP("auth: standard_webhooks", make_and_sign, .arg = &webhooks),
		SWEEP("auth: hmac", make_and_sign, .arg = &hmac),
		SWEEP("auth: apns", make_and_sign, .arg = &apns),
		SWEEP("auth: google", make_and_sign, .arg = &google, .degrades = true,
			.stretches = once),
		SWEEP("auth: a refused token of google", renew_a_refused_one, .degrades = true,
			.stretches = once),
	};

	return SWEEP_TABLE("auth", table, enter, leave);
}
