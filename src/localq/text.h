/*
 * What text SQS takes: UTF-8, the characters of a message body, names.
 */
#ifndef LOCALQ_TEXT_H
#define LOCALQ_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_QUEUE_NAME_MAX 80
#define TEXT_GROUP_ID_MAX 128

/* Length of the longest prefix that is UTF-8 (RFC 3629: no surrogates, nothing overlong). */
size_t text_valid_prefix(const char *bytes, size_t len);

/*
 * Valid UTF-8 in, and nothing but U+9, U+A, U+D, U+20-U+D7FF, U+E000-U+FFFD and
 * U+10000-U+10FFFF (SQS API, SendMessage).
 */
bool text_is_message(const char *text, size_t len);

/* 1-80 of A-Z a-z 0-9 _ - : the Id of a batch's entry */
bool text_is_entry_id(const char *id, size_t len);
/* A name that is meant to be a FIFO queue's, right or wrong */
bool text_ends_in_fifo(const char *text, size_t len);
/* A batch entry's Id with .fifo behind it, which counts */
bool text_is_fifo_name(const char *name, size_t len);
/* Either of the two */
bool text_is_queue_name(const char *name, size_t len);
/* 1-256 of A-Z a-z 0-9 _ - . without a leading, trailing or doubled dot, not AWS. or Amazon. */
bool text_is_attribute_name(const char *name, size_t len);
/* 1-128 printable ASCII characters without the space: group and deduplication ids */
bool text_is_group_id(const char *id, size_t len);

/* Decimal digits, the whole string, 0..INT64_MAX. */
bool text_to_int(const char *text, int64_t *ret);

#endif
