/* What SQS calls a blob: bytes in base64 (RFC 4648), with padding, strict both ways. */
#ifndef LOCALQ_BLOB_H
#define LOCALQ_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOB_ENCODED_BYTES(len) (((len) + 2) / 3 * 4) /* without a NUL */
#define BLOB_DECODED_MAX(len) ((len) / 4 * 3)

/* Writes BLOB_ENCODED_BYTES(len) bytes, no NUL. */
void blob_encode(const uint8_t *bytes, size_t len, char *ret);
/*
 * `ret` has room for BLOB_DECODED_MAX(len) bytes. False: a foreign character, a length that is
 * no multiple of four, padding elsewhere than at the end, or stray bits before it.
 */
bool blob_decode(const char *text, size_t len, uint8_t *ret, size_t *ret_len);

#endif
