/*
 * Signatures of webhooks. The time is that of the attempt, the id of Standard Webhooks the
 * message's idempotency key, the same with every attempt.
 */
#include "signing/webhook.h"
#include "bunshin/error.h"
#include "cli/auth/signers.h"
#include "config/substitute.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct webhook_signer {
	const struct config_auth *config;
	struct webhook_keys keys;
	struct buf signature; /* scratch */
};

static int add_time(int64_t now_epoch_ms, const char *name, http_signer_add *add, void *arg)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, now_epoch_ms / 1000);
	return add(arg, name, text, NULL);
}

static int sign_standard(void *impl, const struct http_signer_request *request,
	http_signer_add *add, void *arg, struct buf *reason)
{
	struct webhook_signer *signer = impl;
	const char *id = request->idempotency_key;
	int err;

	buf_clear(&signer->signature);
	err = webhook_sign(&signer->keys, id, request->now_epoch_ms / 1000,
		buf_string(request->body), request->body->len, &signer->signature);
	if (!err)
		err = add(arg, "webhook-id", id, NULL);
	if (err == ERR_ARGUMENT) {
		buf_append_string(reason,
			"the idempotency key cannot be a webhook-id: it is empty, "
			"or has a full stop or a line break in it");
		return ERR_TEMPLATE;
	}
	if (!err)
		err = add_time(request->now_epoch_ms, "webhook-timestamp", add, arg);
	return err ? err : add(arg, "webhook-signature", buf_string(&signer->signature), NULL);
}

static int sign_plain(void *impl, const struct http_signer_request *request, http_signer_add *add,
	void *arg, struct buf *reason)
{
	struct webhook_signer *signer = impl;
	const struct config_auth *config = signer->config;
	bool with_time = config->signed_parts == CONFIG_AUTH_TIMESTAMP_BODY;
	int err;

	buf_clear(&signer->signature);
	err = webhook_sign_plain(&signer->keys,
		config->encoding == CONFIG_AUTH_BASE64 ? WEBHOOK_BASE64 : WEBHOOK_HEX,
		config->prefix ? config->prefix : "", with_time ? request->now_epoch_ms / 1000 : -1,
		buf_string(request->body), request->body->len, &signer->signature);
	if (!err && config->timestamp_header)
		err = add_time(request->now_epoch_ms, config->timestamp_header, add, arg);
	return err ? err : add(arg, config->header, buf_string(&signer->signature), NULL);
}

static void webhook_free(void *impl)
{
	struct webhook_signer *signer = impl;

	webhook_keys_free(&signer->keys);
	buf_free(&signer->signature);
	free(signer);
}

static int add_key(struct webhook_signer *signer, const char *secret)
{
	struct hmac_key **key = &signer->keys.keys[signer->keys.count];
	unsigned char bytes[WEBHOOK_SECRET_BYTES_MAX];
	size_t len;
	int err;

	if (signer->config->type == CONFIG_AUTH_HMAC) {
		err = hmac_key_new(
			signer->config->algorithm == CONFIG_AUTH_SHA512 ? HMAC_SHA512 : HMAC_SHA256,
			secret, strlen(secret), key);
	} else {
		err = webhook_secret_decode(secret, bytes, &len);
		if (!err)
			err = hmac_key_new(HMAC_SHA256, bytes, len, key);
		explicit_bzero(bytes, sizeof(bytes));
	}
	if (!err)
		signer->keys.count++;
	return err;
}

int auth_webhook_new(
	const struct config_destination *destination, struct auth_signer *ret, struct buf *error)
{
	static const struct http_signer_ops standard = {.sign = sign_standard};
	static const struct http_signer_ops plain = {.sign = sign_plain};
	const struct config_auth *config = &destination->auth;
	struct webhook_signer *signer = calloc(1, sizeof(*signer));
	int err = 0;

	if (!signer)
		return ERR_NOMEM;
	signer->config = config;
	buf_init(&signer->signature, WEBHOOK_SIGNATURE_MAX);
	for (size_t i = 0; !err && i < config->secrets.count; i++) {
		if (strcmp(config->secrets.rows[i], SUBSTITUTE_HIDDEN) == 0) {
			buf_appendf(error, "destination %s: auth.secrets: the secret is hidden",
				destination->name);
			err = ERR_CONFIG;
		} else {
			err = add_key(signer, config->secrets.rows[i]);
		}
	}
	if (err) {
		webhook_free(signer);
		return err;
	}
	*ret = (struct auth_signer){
		.signer = {.ops = config->type == CONFIG_AUTH_HMAC ? &plain : &standard,
			.impl = signer},
		.free = webhook_free};
	return 0;
}
