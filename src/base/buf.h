/*
 * A growable byte buffer with a hard maximum.
 *
 * Writers chain appends and check once: the first failure sticks in `err` (ERR_NOMEM, or
 * ERR_TOO_LARGE past `max`), and every later append is a no-op that returns it. The content is
 * always NUL-terminated (the NUL is not counted), so buf_string() is never NULL.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* NULL until the first append */
	size_t len;
	size_t capacity;
	size_t max;
	int err;
};

/* An empty buffer that never grows past max_bytes. Allocates nothing. */
#define BUF_INIT(max_bytes) ((struct buf){.max = (max_bytes)})
void buf_init(struct buf *buf, size_t max_bytes);

/* Frees the memory; the buffer is empty and usable again. Harmless on an empty one. */
void buf_free(struct buf *buf);

/* Empties it, forgets the error, keeps the memory. */
void buf_clear(struct buf *buf);

/* Each returns 0, or the buffer's (sticky) error. Sources are copied. */
int buf_append(struct buf *buf, const void *bytes, size_t len);
int buf_append_string(struct buf *buf, const char *string);
int buf_appendf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buf_append_uint(struct buf *buf, uint64_t number); /* in decimal */
int buf_vappendf(struct buf *buf, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));
/* As the inside of a JSON string: escapes ", \ and control characters, nothing else. */
int buf_append_json(struct buf *buf, const char *bytes, size_t len);

/*
 * Makes room for `extra` more bytes and returns where they go, or NULL (err set). What was
 * written there is then claimed with buf_advance().
 */
char *buf_reserve(struct buf *buf, size_t extra);
void buf_advance(struct buf *buf, size_t len);

/* Drops everything past `len` (at most the present length). */
void buf_truncate(struct buf *buf, size_t len);

/* buf_append() of one byte, which mostly finds room. */
static inline int buf_append_char(struct buf *buf, char c)
{
	if (buf->err || !buf->data || buf->len == buf->capacity)
		return buf_append(buf, &c, 1);
	buf->data[buf->len++] = c;
	buf->data[buf->len] = '\0';
	return 0;
}

/* Borrowed until the next append; "" when empty. */
const char *buf_string(const struct buf *buf);

/*
 * Moves the memory out (free() it); the buffer is empty afterwards. NULL when it was empty, or
 * failed: half a content escapes nobody, and `err` stays. ret_len may be NULL.
 */
char *buf_take(struct buf *buf, size_t *ret_len);

/*
 * Frees the memory after overwriting it; for secrets. What growing left behind is out of reach, so
 * reserve the whole length before the first append.
 */
void buf_wipe(struct buf *buf);

#endif
