/*
 * Takes gzip (RFC 1952) off a stream, in blocks: however much a few bytes unpack to, no more is
 * held than what is asked for. Members that follow each other are one stream, as gzip(1) has it;
 * anything else behind a member is an error.
 */
#ifndef CAMPAIGN_GUNZIP_H
#define CAMPAIGN_GUNZIP_H

#include "campaign/recipients.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gunzip;

/* The bytes begin a gzip stream. Pure. */
bool gunzip_is_gzip(const char *bytes, size_t len);

/* The input (its arg is borrowed, and outlives it) is read from where it stands. 0 or ERR_NOMEM. */
int gunzip_new(const struct recipients_input *input, struct gunzip **ret_gunzip);
void gunzip_free(struct gunzip *gunzip); /* NULL is fine */

/*
 * As recipients_input.read. ERR_SYNTAX: the data is corrupt, or ends in the middle, gunzip_reason()
 * says where; then, and after the input's own error, it is only good for freeing.
 */
int gunzip_read(struct gunzip *gunzip, char *bytes, size_t size, size_t *ret_len);
const char *gunzip_reason(const struct gunzip *gunzip); /* "" when nothing is wrong */

#endif
