/* UUIDs as 36-character lower-case text (RFC 9562). */
#ifndef AWS_UUID_H
#define AWS_UUID_H

#include "aws/digest.h"
#include "base/hex.h"

#include <stddef.h>
#include <stdint.h>

#define UUID_TEXT_SIZE HEX_UUID_SIZE

extern const unsigned char uuid_namespace_url[16]; /* 6ba7b811-9dad-11d1-80b4-00c04fd430c8 */

/*
 * Version 5: SHA-1 of namespace and name, the name being the parts one after the other. 0, or
 * ERR_NOMEM with ret_text untouched.
 */
int uuid_v5(const unsigned char space[16], const char *part1, size_t part1_bytes, const char *part2,
	size_t part2_bytes, char ret_text[UUID_TEXT_SIZE]);
/* The same with a "SHA1" digest of the caller's, for use once a message. */
int uuid_v5_with(struct digest *sha1, const unsigned char space[16], const char *part1,
	size_t part1_bytes, const char *part2, size_t part2_bytes, char ret_text[UUID_TEXT_SIZE]);
/* The 16 bytes of such a text, upper case too. 0, or ERR_SYNTAX. */
int uuid_parse(const char *text, unsigned char ret_bytes[16]);
/* Version 4 from 128 random bits. */
void uuid_v4(uint64_t random1, uint64_t random2, char ret_text[UUID_TEXT_SIZE]);

#endif
