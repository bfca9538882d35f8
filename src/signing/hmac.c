#include "signing/hmac.h"

#include "bunshin/error.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>

struct hmac_key {
	EVP_MAC *hmac;
	EVP_MAC_CTX *context; /* keyed */
};

static int schedule(
	EVP_MAC_CTX *context, enum hmac_algorithm algorithm, const void *key, size_t key_bytes)
{
	char sha256[] = "SHA256", sha512[] = "SHA512";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
			OSSL_MAC_PARAM_DIGEST, algorithm == HMAC_SHA512 ? sha512 : sha256, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_init(context, key, key_bytes, params) == 1 ? 0 : ERR_NOMEM;
}

int hmac_key_new(
	enum hmac_algorithm algorithm, const void *key, size_t key_bytes, struct hmac_key **ret_key)
{
	struct hmac_key *made;
	int err = ERR_NOMEM;

	if (key_bytes == 0)
		return ERR_ARGUMENT;
	made = calloc(1, sizeof(*made));
	if (made == NULL)
		return ERR_NOMEM;
	made->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (made->hmac != NULL)
		made->context = EVP_MAC_CTX_new(made->hmac);
	if (made->context != NULL)
		err = schedule(made->context, algorithm, key, key_bytes);
	if (err != 0) {
		hmac_key_free(made);
		return err;
	}
	*ret_key = made;
	return 0;
}

void hmac_key_free(struct hmac_key *key)
{
	if (key == NULL)
		return;
	EVP_MAC_CTX_free(key->context);
	EVP_MAC_free(key->hmac);
	free(key);
}

int hmac_sign(struct hmac_key *key, const struct hmac_part *parts, size_t count,
	unsigned char ret_mac[HMAC_BYTES_MAX], size_t *ret_bytes)
{
	/* Without a key it begins anew with the one that is scheduled. */
	if (EVP_MAC_init(key->context, NULL, 0, NULL) != 1)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++)
		if (EVP_MAC_update(key->context, parts[i].bytes, parts[i].len) != 1)
			return ERR_NOMEM;
	return EVP_MAC_final(key->context, ret_mac, ret_bytes, HMAC_BYTES_MAX) == 1 ? 0 : ERR_NOMEM;
}
