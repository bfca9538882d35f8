/*
 * SHA-256 (FIPS 180-4). Pure; for texts, where a library that may be out of memory would be in the
 * way. Not for secrets.
 */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32

void sha256(const void *data, size_t bytes, uint8_t ret[SHA256_BYTES]);

#endif
