#include "http/trust.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What a file was when it was read. */
struct version {
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec changed;
};

struct trust {
	struct trust *next;
	char *ca_file; /* NULL: the system's */
	struct version version;
	X509_STORE *store; /* NULL: nothing could be read yet */
};

static struct trust *all;
static char words[512];

const char *trust_words(void)
{
	return words;
}

static struct trust *find(const char *ca_file)
{
	struct trust *trust;

	for (trust = all; trust; trust = trust->next)
		if (trust->ca_file == ca_file ||
			(ca_file && trust->ca_file && strcmp(trust->ca_file, ca_file) == 0))
			return trust;
	trust = calloc(1, sizeof(*trust));
	if (!trust)
		return NULL;
	if (ca_file && !(trust->ca_file = strdup(ca_file))) {
		free(trust);
		return NULL;
	}
	trust->next = all;
	all = trust;
	return trust;
}

static struct version version_of(const char *path)
{
	struct stat info;

	if (!path || stat(path, &info) < 0)
		return (struct version){0};
	return (struct version){info.st_dev, info.st_ino, info.st_size, info.st_mtim};
}

static bool is_same(const struct version *a, const struct version *b)
{
	return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* The directory is looked into for single certificates as they are needed. */
static X509_STORE *load(const char *file, const char *directory)
{
	X509_STORE *store = X509_STORE_new();

	ERR_clear_error();
	if (store && (!file || X509_STORE_load_file(store, file)) &&
		(!directory || X509_STORE_load_path(store, directory))) {
		/* As libcurl has it: a chain may end in whatever the file holds. */
		X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
		return store;
	}
	X509_STORE_free(store);
	return NULL;
}

static void explain(const char *file)
{
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_GET_LIB(code) == ERR_LIB_SYS ? strerror(ERR_GET_REASON(code))
							      : ERR_reason_error_string(code);

	snprintf(words, sizeof(words), "cannot read the certificates in %s: %s",
		file ? file : "the system's directory", reason ? reason : "no memory");
	ERR_clear_error();
}

/* Reads it when it was not yet, or has changed. */
static void refresh(struct trust *trust)
{
	const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
	const char *file = trust->ca_file ? trust->ca_file : curl->cainfo;
	const char *directory = trust->ca_file || file ? NULL : curl->capath;
	struct version version = version_of(file);
	X509_STORE *store;

	if (trust->store && is_same(&version, &trust->version))
		return;
	store = load(file, directory);
	if (!store) {
		explain(file);
		return;
	}
	X509_STORE_free(trust->store);
	trust->store = store;
	trust->version = version;
}

void trust_prepare(const char *ca_file)
{
	struct trust *trust = find(ca_file);

	if (trust)
		refresh(trust);
}

CURLcode trust_apply(CURL *easy, void *ssl_ctx, void *ca_file)
{
	struct trust *trust = find(ca_file);

	(void)easy;
	if (!trust)
		return CURLE_OUT_OF_MEMORY;
	refresh(trust);
	if (!trust->store)
		return CURLE_SSL_CACERT_BADFILE;
	SSL_CTX_set1_cert_store(ssl_ctx, trust->store);
	return CURLE_OK;
}
