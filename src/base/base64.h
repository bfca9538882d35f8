/* Base64 as RFC 4648 section 4 has it, padded, strict. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

#include <stddef.h>

/* Appends; 0 or the buffer's error. */
int base64_encode(struct buf *out, const void *bytes, size_t len);

/*
 * Decodes in place and returns 0, or ERR_SYNTAX with the text half overwritten: a character of
 * another alphabet, blanks, wrong padding, bits set that no byte holds.
 */
int base64_decode(char *text, size_t len, size_t *ret_bytes);

#endif
