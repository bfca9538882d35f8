#include "localq/hasher.h"

#include "bunshin/error.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

struct hasher {
	EVP_MD *md5;
	EVP_MD *sha256;
	EVP_MD_CTX *context;
};

struct hasher *hasher_new(void)
{
	struct hasher *hasher = calloc(1, sizeof(*hasher));

	if (hasher == NULL)
		return NULL;
	hasher->md5 = EVP_MD_fetch(NULL, "MD5", NULL);
	hasher->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	hasher->context = EVP_MD_CTX_new();
	if (hasher->md5 == NULL || hasher->sha256 == NULL || hasher->context == NULL) {
		hasher_free(hasher);
		return NULL;
	}
	return hasher;
}

void hasher_free(struct hasher *hasher)
{
	if (hasher == NULL)
		return;
	EVP_MD_free(hasher->md5);
	EVP_MD_free(hasher->sha256);
	EVP_MD_CTX_free(hasher->context);
	free(hasher);
}

static int hash(
	struct hasher *hasher, const EVP_MD *kind, const void *bytes, size_t len, uint8_t *ret)
{
	if (EVP_DigestInit_ex2(hasher->context, kind, NULL) != 1 ||
		EVP_DigestUpdate(hasher->context, bytes, len) != 1 ||
		EVP_DigestFinal_ex(hasher->context, ret, NULL) != 1)
		return ERR_NOMEM;
	return 0;
}

int hasher_md5(struct hasher *hasher, const void *bytes, size_t len, uint8_t ret[HASHER_MD5_BYTES])
{
	return hash(hasher, hasher->md5, bytes, len, ret);
}

int hasher_sha256(
	struct hasher *hasher, const void *bytes, size_t len, uint8_t ret[HASHER_SHA256_BYTES])
{
	return hash(hasher, hasher->sha256, bytes, len, ret);
}

int hasher_hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len,
	uint8_t ret[HASHER_SHA256_BYTES])
{
	return HMAC(EVP_sha256(), key, (int)key_len, bytes, len, ret, NULL) != NULL ? 0 : ERR_NOMEM;
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static uint64_t little_endian(const uint8_t *p, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value |= (uint64_t)p[i] << (8 * i);
	return value;
}

uint64_t hasher_siphash(const uint8_t key[16], const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t k0 = little_endian(key, 8), k1 = little_endian(key + 8, 8);
	uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
		k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};

	for (size_t left = len;; p += 8, left -= 8) {
		uint64_t m = left >= 8 ? little_endian(p, 8)
				       : little_endian(p, left) | (uint64_t)len << 56;

		v[3] ^= m;
		sip_round(v);
		sip_round(v);
		v[0] ^= m;
		if (left < 8)
			break;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
