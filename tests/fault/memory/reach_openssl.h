/* Gives OpenSSL the wrapped allocator, so that the sweep reaches its memory too. */
#ifndef TESTS_FAULT_REACH_OPENSSL_H
#define TESTS_FAULT_REACH_OPENSSL_H

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <stdlib.h>

static void *openssl_malloc(size_t size, const char *file, int line)
{
	return malloc(size);
}

static void *openssl_realloc(void *old, size_t size, const char *file, int line)
{
	return realloc(old, size);
}

static void openssl_free(void *memory, const char *file, int line)
{
	free(memory);
}

/* Before anything else of OpenSSL. What it keeps for ever, it allocates here and now. */
static bool reach_openssl(void)
{
	return CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) == 1 &&
	       OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL) == 1;
}

#endif
