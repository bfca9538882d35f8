/*
 * What a message consists of and what no receive changes, as one value of a row: SQLite then packs
 * and unpacks few columns, which is most of what an insert or an update costs.
 *
 * Form 1: the byte 1; message id 16; MD5 of the body 16; the lengths of trace header, group id and
 * deduplication id, u16 each, their NUL included (0: there is none), and of the attributes, u32;
 * then these four and the body. Numbers are little-endian.
 */
#ifndef LOCALQ_STORE_CONTENT_H
#define LOCALQ_STORE_CONTENT_H

#include "base/buf.h"
#include "localq/store.h"

#include <sqlite3.h>

/* Numbers of 1 to 8 bytes in values of rows: little-endian. */
static inline void store_put(uint8_t *p, size_t bytes, uint64_t value)
{
	for (size_t i = 0; i < bytes; i++)
		p[i] = (uint8_t)(value >> (8 * i));
}

static inline uint64_t store_get(const uint8_t *p, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value |= (uint64_t)p[i] << (8 * i);
	return value;
}

/* Appends the message's content to an empty buffer. Returns 0, ERR_NOMEM or ERR_TOO_LARGE. */
int store_content_write(const struct store_message *message, struct buf *into);
/*
 * Fills in what the content holds, pointing into it. False: it is no content, the row is damaged.
 */
bool store_content_read(const void *content, size_t bytes, struct store_message *ret);
/*
 * Makes content_with_id(content, message id), a function of SQL that gives the same content another
 * id, and content(message id, md5, trace header, group id, attributes, body), for rows of before.
 * Returns 0 or an SQLite code.
 */
int store_content_register(sqlite3 *db);

#endif
