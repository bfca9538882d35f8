/*
 * Tokens, against RFC 7515: A.2 is deterministic and must come out byte for byte; of A.3, which is
 * random, the RFC's own signature and ours must both be verified by the same key.
 */
#include "base/base64.h"
#include "bunshin/error.h"
#include "keys.h"
#include "signing/jwt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <cmocka.h>

#define CLAIMS "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"
#define CLAIMS_64                                      \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAs" \
	"DQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define A2                                                                  \
	"eyJhbGciOiJSUzI1NiJ9." CLAIMS_64                                   \
	".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7" \
	"AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4"  \
	"BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"  \
	"0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"  \
	"hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB"  \
	"p0igcN_IoypGlUPQGe77Rw"
#define A3_TEXT "eyJhbGciOiJFUzI1NiJ9." CLAIMS_64
#define A3_SIGNATURE                                                       \
	"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA" \
	"pmWQxfKTUJqPP3-Kg6NU1Q"

static struct jwt_key *read_key(enum jwt_algorithm algorithm, const char *pem)
{
	struct jwt_key *key = NULL;

	assert_int_equal(jwt_key_read(algorithm, pem, strlen(pem), &key), 0);
	assert_non_null(key);
	return key;
}

static void test_rs256(void **state)
{
	static const char *const pems[] = {KEY_RFC_RSA, KEY_RFC_RSA_PKCS1};
	struct buf out = BUF_INIT(4096);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct jwt_key *key = read_key(JWT_RS256, pems[i]);

		buf_clear(&out);
		assert_int_equal(jwt_sign(key, "{\"alg\":\"RS256\"}", CLAIMS, &out), 0);
		assert_string_equal(buf_string(&out), A2);
		jwt_key_free(key);
	}
	buf_free(&out);
}

/* The 64 bytes of JOSE as DER, for OpenSSL. */
static bool verify(const char *text, const char *signature)
{
	static const char pem[] = KEY_PUBLIC;
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	ECDSA_SIG *pair = ECDSA_SIG_new();
	unsigned char *der = NULL;
	char raw[92];
	size_t len = 0;
	int der_len;
	bool good;

	assert_int_equal(strlen(signature), 86);
	for (size_t i = 0; i < 86; i++)
		raw[i] = signature[i] == '-' ? '+' : signature[i] == '_' ? '/' : signature[i];
	memcpy(raw + 86, "==", 2);
	assert_int_equal(base64_decode(raw, 88, &len), 0);
	assert_int_equal(len, 64);
	ECDSA_SIG_set0(pair, BN_bin2bn((unsigned char *)raw, 32, NULL),
		BN_bin2bn((unsigned char *)raw + 32, 32, NULL));
	der_len = i2d_ECDSA_SIG(pair, &der);
	assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key), 1);
	good = EVP_DigestVerify(context, der, (size_t)der_len, (const unsigned char *)text,
		       strlen(text)) == 1;
	OPENSSL_free(der);
	ECDSA_SIG_free(pair);
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	BIO_free(bio);
	ERR_clear_error();
	return good;
}

static void test_es256(void **state)
{
	static const char *const pems[] = {KEY_RFC_EC, KEY_RFC_EC_SEC1};
	struct buf out = BUF_INIT(4096);
	size_t count = 600;

	(void)state;
	assert_true(verify(A3_TEXT, A3_SIGNATURE));
	assert_false(verify(A3_TEXT "x", A3_SIGNATURE));
	if (getenv("BUNSHIN_TEST_MEMCHECK") != NULL) {
		print_message("under memcheck 60 signatures only, not %zu\n", count);
		count = 60;
	}
	/* Often enough for numbers that begin with zeros, which DER leaves out. */
	for (size_t i = 0; i < count; i++) {
		struct jwt_key *key = read_key(JWT_ES256, pems[i % 2]);

		buf_clear(&out);
		buf_append_string(&out, "before ");
		assert_int_equal(jwt_sign(key, "{\"alg\":\"ES256\"}", CLAIMS, &out), 0);
		assert_memory_equal(
			buf_string(&out), "before " A3_TEXT ".", strlen("before " A3_TEXT "."));
		assert_true(verify(A3_TEXT, buf_string(&out) + strlen("before " A3_TEXT ".")));
		jwt_key_free(key);
	}
	buf_free(&out);
}

static void test_keys_that_are_refused(void **state)
{
	static const struct {
		enum jwt_algorithm algorithm;
		const char *pem;
		int err;
	} cases[] = {
		{JWT_ES256, KEY_RFC_RSA, ERR_ARGUMENT},
		{JWT_ES256, KEY_P384, ERR_ARGUMENT},
		{JWT_RS256, KEY_RFC_EC, ERR_ARGUMENT},
		{JWT_RS256, KEY_RSA_1024, ERR_ARGUMENT},
		{JWT_ES256, KEY_ENCRYPTED, ERR_SYNTAX},
		{JWT_ES256, KEY_PUBLIC, ERR_SYNTAX},
		{JWT_ES256, "", ERR_SYNTAX},
		{JWT_ES256, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
			ERR_SYNTAX},
		{JWT_RS256, "no key at all", ERR_SYNTAX},
	};
	static const char whole[] = KEY_RFC_EC;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct jwt_key *key = NULL;

		assert_int_equal(
			jwt_key_read(cases[i].algorithm, cases[i].pem, strlen(cases[i].pem), &key),
			cases[i].err);
		assert_null(key);
		assert_int_equal(ERR_peek_error(), 0);
	}
	/* Cut anywhere, it is none; the last byte is a line break. */
	for (size_t len = 0; len < sizeof(whole) - 2; len++) {
		struct jwt_key *key = NULL;

		assert_int_equal(jwt_key_read(JWT_ES256, whole, len, &key), ERR_SYNTAX);
	}
}

static void test_fingerprints(void **state)
{
	struct jwt_key *rsa = read_key(JWT_RS256, KEY_RFC_RSA);
	struct jwt_key *ec = read_key(JWT_ES256, KEY_RFC_EC);
	struct jwt_key *same = read_key(JWT_ES256, KEY_RFC_EC_SEC1);
	uint8_t a[JWT_FINGERPRINT_BYTES], b[JWT_FINGERPRINT_BYTES], c[JWT_FINGERPRINT_BYTES];

	(void)state;
	jwt_key_fingerprint(rsa, a);
	jwt_key_fingerprint(ec, b);
	jwt_key_fingerprint(same, c);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_equal(b, c, sizeof(b));
	jwt_key_free(rsa);
	jwt_key_free(ec);
	jwt_key_free(same);
	jwt_key_free(NULL);
}

static void test_bounds(void **state)
{
	struct jwt_key *key = read_key(JWT_ES256, KEY_RFC_EC);

	(void)state;
	for (size_t max = 0; max < strlen(A3_TEXT) + 1 + 86; max += 7) {
		struct buf out = BUF_INIT(max);

		assert_int_equal(jwt_sign(key, "{\"alg\":\"ES256\"}", CLAIMS, &out), ERR_TOO_LARGE);
		buf_free(&out);
	}
	jwt_key_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rs256),
		cmocka_unit_test(test_es256),
		cmocka_unit_test(test_keys_that_are_refused),
		cmocka_unit_test(test_fingerprints),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
