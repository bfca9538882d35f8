#include "aws/digest.h"

#include "bunshin/error.h"

#include <openssl/evp.h>

int digest_init(struct digest *digest, const char *name)
{
	digest->context = EVP_MD_CTX_new();
	digest->algorithm = EVP_MD_fetch(NULL, name, NULL);
	if (digest->context == NULL || digest->algorithm == NULL) {
		digest_free(digest);
		return ERR_NOMEM;
	}
	return 0;
}

void digest_free(struct digest *digest)
{
	EVP_MD_CTX_free(digest->context);
	EVP_MD_free(digest->algorithm);
	*digest = (struct digest){0};
}

int digest_begin(struct digest *digest)
{
	return EVP_DigestInit_ex2(digest->context, digest->algorithm, NULL) == 1 ? 0 : ERR_NOMEM;
}

int digest_update(struct digest *digest, const void *bytes, size_t len)
{
	return EVP_DigestUpdate(digest->context, bytes, len) == 1 ? 0 : ERR_NOMEM;
}

int digest_end(struct digest *digest, unsigned char *ret_hash)
{
	return EVP_DigestFinal_ex(digest->context, ret_hash, NULL) == 1 ? 0 : ERR_NOMEM;
}

int digest_once(struct digest *digest, const void *bytes, size_t len, unsigned char *ret_hash)
{
	if (digest_begin(digest) != 0 || digest_update(digest, bytes, len) != 0)
		return ERR_NOMEM;
	return digest_end(digest, ret_hash);
}
