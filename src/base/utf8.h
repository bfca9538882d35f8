/*
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing past U+10FFFF.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_SEQUENCE_MAX 4
#define UTF8_REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* Length (1-4) of the well-formed sequence that starts the text; 0: none does, or len is 0. */
size_t utf8_sequence(const char *text, size_t len);

/* Is all of it well-formed? */
bool utf8_is_valid(const char *text, size_t len);

/* The code point of a well-formed sequence of so many bytes, as utf8_sequence() gave them. */
uint32_t utf8_decode(const char *sequence, size_t len);

/* Writes a code point (not a surrogate, at most U+10FFFF); returns how many bytes, 1-4. */
size_t utf8_encode(uint32_t code_point, char out[UTF8_SEQUENCE_MAX]);

#endif
