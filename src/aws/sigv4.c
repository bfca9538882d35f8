#include "aws/sigv4.h"

#include "aws/digest.h"
#include "aws/sigv4_canonical.h"
#include "base/hex.h"
#include "bunshin/error.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define SCRATCH_MAX ((size_t)1 << 20)
#define DATE_BYTES 8 /* "20260102" */
#define NAME_MAX_BYTES 64
#define HASH_HEX_SIZE (2 * DIGEST_SHA256_BYTES + 1)

struct sigv4 {
	struct digest sha256;
	EVP_MAC *hmac;
	EVP_MAC_CTX *derive;
	EVP_MAC_CTX *sign; /* keyed with the cached signing key */
	struct buf canonical, to_sign, scratch;
	size_t names, names_bytes; /* where in `canonical` the signed headers' names are */
	uint64_t derivations;
	int64_t dated_s; /* the second that `dated` is the text of; meaningful when that is not ""
			  */
	char dated[SIGV4_DATE_SIZE];

	/* What the cached key was derived from; it is good while all of it is the same. */
	bool cached;
	uint64_t generation;
	char access_key_id[CREDENTIALS_KEY_MAX];
	char date[DATE_BYTES + 1];
	char region[NAME_MAX_BYTES];
	char service[NAME_MAX_BYTES];
};

int sigv4_new(struct sigv4 **ret_signer)
{
	struct sigv4 *signer = calloc(1, sizeof(*signer));

	if (signer == NULL)
		return ERR_NOMEM;
	buf_init(&signer->canonical, SCRATCH_MAX);
	buf_init(&signer->to_sign, SCRATCH_MAX);
	buf_init(&signer->scratch, SCRATCH_MAX);
	if (digest_init(&signer->sha256, "SHA256") != 0)
		goto fail;
	signer->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (signer->hmac == NULL)
		goto fail;
	signer->derive = EVP_MAC_CTX_new(signer->hmac);
	signer->sign = EVP_MAC_CTX_new(signer->hmac);
	if (signer->derive == NULL || signer->sign == NULL)
		goto fail;
	*ret_signer = signer;
	return 0;
fail:
	sigv4_free(signer);
	return ERR_NOMEM;
}

void sigv4_free(struct sigv4 *signer)
{
	if (signer == NULL)
		return;
	EVP_MAC_CTX_free(signer->derive);
	EVP_MAC_CTX_free(signer->sign);
	EVP_MAC_free(signer->hmac);
	digest_free(&signer->sha256);
	/* The canonical request holds the session token. */
	buf_wipe(&signer->canonical);
	buf_free(&signer->canonical);
	buf_free(&signer->to_sign);
	buf_free(&signer->scratch);
	OPENSSL_cleanse(signer, sizeof(*signer));
	free(signer);
}

static int mac_key(EVP_MAC_CTX *mac, const void *key, size_t key_bytes)
{
	char sha256[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_init(mac, key, key_bytes, params) == 1 ? 0 : ERR_NOMEM;
}

static int mac_finish(EVP_MAC_CTX *mac, const void *text, size_t len, unsigned char ret[32])
{
	size_t written;

	if (EVP_MAC_update(mac, text, len) != 1 || EVP_MAC_final(mac, ret, &written, 32) != 1)
		return ERR_NOMEM;
	return 0;
}

int sigv4_signing_key(struct sigv4 *signer, const char *secret, const char *date,
	const char *region, const char *service, unsigned char ret_key[SIGV4_KEY_BYTES])
{
	const char *const steps[] = {date, region, service, "aws4_request"};
	unsigned char key[SIGV4_KEY_BYTES];
	char first[4 + CREDENTIALS_KEY_MAX];
	size_t secret_bytes = strlen(secret);
	int err;

	if (secret_bytes >= CREDENTIALS_KEY_MAX)
		return ERR_ARGUMENT;
	memcpy(first, "AWS4", 4);
	memcpy(first + 4, secret, secret_bytes);
	err = mac_key(signer->derive, first, 4 + secret_bytes);
	OPENSSL_cleanse(first, sizeof(first));
	for (size_t i = 0; err == 0 && i < 4; i++) {
		if (i > 0)
			err = mac_key(signer->derive, key, sizeof(key));
		if (err == 0)
			err = mac_finish(signer->derive, steps[i], strlen(steps[i]), key);
	}
	if (err == 0)
		memcpy(ret_key, key, sizeof(key));
	OPENSSL_cleanse(key, sizeof(key));
	return err;
}

/* Makes signer->sign hold the key for this day, region and service. */
static int key_refresh(struct sigv4 *signer, const struct credentials_set *credentials,
	const char *date, const char *region, const char *service)
{
	unsigned char key[SIGV4_KEY_BYTES];
	int err;

	if (signer->cached && signer->generation == credentials->generation &&
		strcmp(signer->access_key_id, credentials->access_key_id) == 0 &&
		memcmp(signer->date, date, DATE_BYTES) == 0 &&
		strcmp(signer->region, region) == 0 && strcmp(signer->service, service) == 0)
		return 0;
	signer->cached = false;
	memcpy(signer->date, date, DATE_BYTES);
	err = sigv4_signing_key(
		signer, credentials->secret_access_key, signer->date, region, service, key);
	if (err == 0)
		err = mac_key(signer->sign, key, sizeof(key));
	OPENSSL_cleanse(key, sizeof(key));
	if (err != 0)
		return err;
	signer->derivations++;
	signer->generation = credentials->generation;
	memcpy(signer->access_key_id, credentials->access_key_id, CREDENTIALS_KEY_MAX);
	memcpy(signer->region, region, strlen(region) + 1);
	memcpy(signer->service, service, strlen(service) + 1);
	signer->cached = true;
	return 0;
}

/* Under load many requests are signed in a second. */
static int date_format(struct sigv4 *signer, int64_t epoch_ms, char ret_date[SIGV4_DATE_SIZE])
{
	time_t seconds = (time_t)(epoch_ms / 1000);
	struct tm utc;

	/* 253402300799 is the last second of the year 9999. */
	if (epoch_ms < 0 || seconds > 253402300799)
		return ERR_ARGUMENT;
	if (signer->dated[0] == '\0' || signer->dated_s != seconds) {
		signer->dated[0] = '\0';
		if (gmtime_r(&seconds, &utc) == NULL ||
			strftime(signer->dated, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &utc) !=
				SIGV4_DATE_SIZE - 1)
			return ERR_ARGUMENT;
		signer->dated_s = seconds;
	}
	memcpy(ret_date, signer->dated, SIGV4_DATE_SIZE);
	return 0;
}

static int hash_hex(struct sigv4 *signer, const void *bytes, size_t len, char ret[HASH_HEX_SIZE])
{
	unsigned char hash[DIGEST_SHA256_BYTES];
	int err = digest_once(&signer->sha256, bytes, len, hash);

	if (err == 0)
		hex_print(hash, sizeof(hash), ret);
	return err;
}

/* Host must be signed; what the signer adds itself must not come in a second time. */
static int headers_check(const struct sigv4_request *request)
{
	bool host = false;

	for (size_t i = 0; i < request->header_count; i++) {
		const char *name = request->headers[i].name;
		char first = name[0] | 0x20;

		if (first == 'x' && (strcasecmp(name, "x-amz-date") == 0 ||
					    strcasecmp(name, "x-amz-security-token") == 0))
			return ERR_ARGUMENT;
		if (first == 'h' && strcasecmp(name, "host") == 0)
			host = true;
	}
	return host ? 0 : ERR_ARGUMENT;
}

/* "20260102/us-east-1/sqs/aws4_request" */
static void scope_append(struct buf *out, const char *date, const char *region, const char *service)
{
	buf_append(out, date, DATE_BYTES);
	buf_append_char(out, '/');
	buf_append_string(out, region);
	buf_append_char(out, '/');
	buf_append_string(out, service);
	buf_append_string(out, "/aws4_request");
}

static int canonical_build(struct sigv4 *signer, const struct sigv4_request *request,
	const struct sigv4_signed_headers *set)
{
	struct buf *out = &signer->canonical;
	char body_hash[HASH_HEX_SIZE];
	int err;

	buf_clear(out);
	buf_append_string(out, request->method);
	buf_append_char(out, '\n');
	sigv4_canonical_path(out, request->path);
	buf_append_char(out, '\n');
	err = sigv4_canonical_query(out, &signer->scratch, request->query);
	if (err != 0)
		return err;
	buf_append_char(out, '\n');
	sigv4_canonical_headers(out, set);
	buf_append_char(out, '\n');
	signer->names = out->len;
	sigv4_signed_names(out, set);
	signer->names_bytes = out->len - signer->names;
	buf_append_char(out, '\n');
	err = hash_hex(signer, request->body, request->body_bytes, body_hash);
	return err != 0 ? err : buf_append_string(out, body_hash);
}

static int to_sign_build(
	struct sigv4 *signer, const char *date, const char *region, const char *service)
{
	char hash[HASH_HEX_SIZE];
	int err = hash_hex(signer, signer->canonical.data, signer->canonical.len, hash);

	if (err != 0)
		return err;
	buf_clear(&signer->to_sign);
	buf_append_string(&signer->to_sign, "AWS4-HMAC-SHA256\n");
	buf_append_string(&signer->to_sign, date);
	buf_append_char(&signer->to_sign, '\n');
	scope_append(&signer->to_sign, date, region, service);
	buf_append_char(&signer->to_sign, '\n');
	return buf_append(&signer->to_sign, hash, HASH_HEX_SIZE - 1);
}

int sigv4_sign(struct sigv4 *signer, const struct sigv4_request *request,
	const struct credentials_set *credentials, const char *region, const char *service,
	int64_t epoch_ms, struct buf *authorization, char ret_date[SIGV4_DATE_SIZE])
{
	char date[SIGV4_DATE_SIZE];
	const struct sigv4_header own[] = {
		{"x-amz-date", date}, {"x-amz-security-token", credentials->session_token}};
	struct sigv4_signed_headers set = {.count = 0};
	unsigned char signature[DIGEST_SHA256_BYTES];
	char signature_hex[HASH_HEX_SIZE];
	int err;

	if (strlen(region) >= NAME_MAX_BYTES || strlen(service) >= NAME_MAX_BYTES)
		return ERR_ARGUMENT;
	if ((err = headers_check(request)) != 0 || (err = date_format(signer, epoch_ms, date)) != 0)
		return err;
	err = sigv4_signed_headers_add(&set, request->headers, request->header_count);
	if (err == 0)
		err = sigv4_signed_headers_add(
			&set, own, credentials->session_token[0] != '\0' ? 2 : 1);
	if (err != 0 || (err = canonical_build(signer, request, &set)) != 0 ||
		(err = to_sign_build(signer, date, region, service)) != 0 ||
		(err = key_refresh(signer, credentials, date, region, service)) != 0)
		return err;
	/* No key: starts over with the one that the context has, its schedule included. */
	if (EVP_MAC_init(signer->sign, NULL, 0, NULL) != 1)
		return ERR_NOMEM;
	err = mac_finish(signer->sign, signer->to_sign.data, signer->to_sign.len, signature);
	if (err != 0)
		return err;
	hex_print(signature, sizeof(signature), signature_hex);
	buf_append_string(authorization, "AWS4-HMAC-SHA256 Credential=");
	buf_append_string(authorization, credentials->access_key_id);
	buf_append_char(authorization, '/');
	scope_append(authorization, date, region, service);
	buf_append_string(authorization, ", SignedHeaders=");
	buf_append(authorization, signer->canonical.data + signer->names, signer->names_bytes);
	buf_append_string(authorization, ", Signature=");
	buf_append_string(authorization, signature_hex);
	if (authorization->err == 0)
		memcpy(ret_date, date, sizeof(date));
	return authorization->err;
}

const struct buf *sigv4_canonical_request(const struct sigv4 *signer)
{
	return &signer->canonical;
}

const struct buf *sigv4_string_to_sign(const struct sigv4 *signer)
{
	return &signer->to_sign;
}

uint64_t sigv4_derivations(const struct sigv4 *signer)
{
	return signer->derivations;
}
