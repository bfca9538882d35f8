#include "tls_files.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY_S (24L * 60 * 60)

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static X509 *make(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key, long days)
{
	X509 *certificate = X509_new();
	X509_NAME *subject = X509_get_subject_name(certificate);
	char alternative[128];

	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), issuer ? 2 : 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -30 * DAY_S);
	X509_gmtime_adj(X509_getm_notAfter(certificate), days * DAY_S);
	X509_set_pubkey(certificate, key);
	X509_NAME_add_entry_by_NID(
		subject, NID_commonName, MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(certificate, issuer ? X509_get_subject_name(issuer) : subject);
	if (issuer == NULL) {
		add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
		add_extension(certificate, certificate, NID_key_usage, "keyCertSign");
	} else {
		snprintf(alternative, sizeof(alternative), "DNS:%s", name);
		add_extension(certificate, issuer, NID_subject_alt_name, alternative);
	}
	assert_true(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);
	return certificate;
}

static void write_certificate(const char *path, X509 *certificate)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	fclose(file);
}

static void write_key(const char *path, EVP_PKEY *key)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
}

static void make_files(struct tls_files *files, const char *name, long days)
{
	EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
	X509 *ca, *certificate;

	snprintf(files->directory, sizeof(files->directory), "/tmp/bunshin-tls-XXXXXX");
	assert_non_null(mkdtemp(files->directory));
	snprintf(files->ca, sizeof(files->ca), "%s/ca.pem", files->directory);
	snprintf(files->certificate, sizeof(files->certificate), "%s/certificate.pem",
		files->directory);
	snprintf(files->key, sizeof(files->key), "%s/key.pem", files->directory);
	assert_non_null(ca_key);
	assert_non_null(key);
	ca = make(ca_key, "Test authority", NULL, ca_key, 30);
	certificate = make(key, name, ca, ca_key, days);
	write_certificate(files->ca, ca);
	write_certificate(files->certificate, certificate);
	write_key(files->key, key);
	X509_free(ca);
	X509_free(certificate);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
}

void tls_files_make(struct tls_files *files, const char *name)
{
	make_files(files, name, 30);
}

void tls_files_make_expired(struct tls_files *files, const char *name)
{
	make_files(files, name, -1);
}

void tls_files_remove(struct tls_files *files)
{
	unlink(files->ca);
	unlink(files->certificate);
	unlink(files->key);
	assert_int_equal(rmdir(files->directory), 0);
}
