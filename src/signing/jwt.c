#include "signing/jwt.h"

#include "base/base64.h"
#include "base/sha256.h"
#include "bunshin/error.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#define P256_BYTES 32
#define SIGNATURE_MAX (JWT_RSA_BITS_MAX / 8)

struct jwt_key {
	enum jwt_algorithm algorithm;
	EVP_PKEY *pkey;
	uint8_t fingerprint[JWT_FINGERPRINT_BYTES];
};

/* Without it OpenSSL asks for a passphrase on the terminal. */
static int no_passphrase(char *text, int size, int for_writing, void *arg)
{
	return -1;
}

static EVP_PKEY *parse(const char *pem, size_t len)
{
	BIO *bio = len > INT32_MAX ? NULL : BIO_new_mem_buf(pem, (int)len);
	EVP_PKEY *pkey =
		bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);

	BIO_free(bio);
	/* Its words about a key that is none are of no use to anybody, and would pile up. */
	ERR_clear_error();
	return pkey;
}

static bool is_p256(EVP_PKEY *pkey)
{
	char curve[64];
	size_t len;

	return EVP_PKEY_is_a(pkey, "EC") &&
	       EVP_PKEY_get_utf8_string_param(
		       pkey, OSSL_PKEY_PARAM_GROUP_NAME, curve, sizeof(curve), &len) == 1 &&
	       strcmp(curve, SN_X9_62_prime256v1) == 0;
}

static bool is_of(enum jwt_algorithm algorithm, EVP_PKEY *pkey)
{
	int bits = EVP_PKEY_get_bits(pkey);

	if (algorithm == JWT_ES256)
		return is_p256(pkey);
	return EVP_PKEY_is_a(pkey, "RSA") && bits >= JWT_RSA_BITS_MIN && bits <= JWT_RSA_BITS_MAX;
}

static int take_fingerprint(struct jwt_key *key)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key->pkey, &der);

	if (len <= 0)
		return ERR_NOMEM;
	sha256(der, (size_t)len, key->fingerprint);
	OPENSSL_free(der);
	return 0;
}

int jwt_key_read(
	enum jwt_algorithm algorithm, const char *pem, size_t len, struct jwt_key **ret_key)
{
	struct jwt_key *key = calloc(1, sizeof(*key));
	int err;

	if (key == NULL)
		return ERR_NOMEM;
	key->algorithm = algorithm;
	key->pkey = parse(pem, len);
	if (key->pkey == NULL)
		err = ERR_SYNTAX;
	else if (!is_of(algorithm, key->pkey))
		err = ERR_ARGUMENT;
	else
		err = take_fingerprint(key);
	ERR_clear_error();
	if (err != 0) {
		jwt_key_free(key);
		return err;
	}
	*ret_key = key;
	return 0;
}

void jwt_key_free(struct jwt_key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

void jwt_key_fingerprint(const struct jwt_key *key, uint8_t ret[JWT_FINGERPRINT_BYTES])
{
	memcpy(ret, key->fingerprint, JWT_FINGERPRINT_BYTES);
}

/* RFC 4648, section 5, without padding. */
static int append_base64url(struct buf *out, const void *bytes, size_t len)
{
	size_t start = out->len;
	int err = base64_encode(out, bytes, len);

	for (size_t i = start; err == 0 && i < out->len; i++)
		if (out->data[i] == '+')
			out->data[i] = '-';
		else if (out->data[i] == '/')
			out->data[i] = '_';
	while (err == 0 && out->len > start && out->data[out->len - 1] == '=')
		buf_truncate(out, out->len - 1);
	return err;
}

/* RFC 7518, 3.4: R and S as 32 bytes each, in place of DER. */
static int to_jose(unsigned char *signature, size_t *len)
{
	const unsigned char *der = signature;
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)*len);
	int err = ERR_NOMEM;

	if (pair != NULL &&
		BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, P256_BYTES) == P256_BYTES &&
		BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + P256_BYTES, P256_BYTES) ==
			P256_BYTES) {
		*len = (size_t)2 * P256_BYTES;
		err = 0;
	}
	ECDSA_SIG_free(pair);
	return err;
}

static int make_signature(const struct jwt_key *key, const char *text, size_t text_bytes,
	unsigned char signature[SIGNATURE_MAX], size_t *ret_len)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int err = ERR_NOMEM;

	*ret_len = SIGNATURE_MAX;
	if (context != NULL &&
		EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, key->pkey, NULL) == 1 &&
		EVP_DigestSign(
			context, signature, ret_len, (const unsigned char *)text, text_bytes) == 1)
		err = key->algorithm == JWT_ES256 ? to_jose(signature, ret_len) : 0;
	EVP_MD_CTX_free(context);
	return err;
}

int jwt_sign(const struct jwt_key *key, const char *header, const char *claims, struct buf *out)
{
	unsigned char signature[SIGNATURE_MAX];
	size_t start = out->len, len;
	int err = append_base64url(out, header, strlen(header));

	if (err == 0)
		err = buf_append_char(out, '.');
	if (err == 0)
		err = append_base64url(out, claims, strlen(claims));
	if (err == 0)
		err = make_signature(key, out->data + start, out->len - start, signature, &len);
	if (err == 0)
		err = buf_append_char(out, '.');
	return err == 0 ? append_base64url(out, signature, len) : err;
}
