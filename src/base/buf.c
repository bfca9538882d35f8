#include "base/buf.h"

#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define FIRST_CAPACITY 64
#define JSON_PIECE ((size_t)512) /* bytes that are escaped at once */

void buf_init(struct buf *buf, size_t max_bytes)
{
	*buf = BUF_INIT(max_bytes);
}

void buf_free(struct buf *buf)
{
	free(buf->data);
	buf_init(buf, buf->max);
}

void buf_clear(struct buf *buf)
{
	buf->err = 0;
	buf_truncate(buf, 0);
}

static int fail(struct buf *buf, int err)
{
	buf->err = err;
	return err;
}

/* Room for `extra` more bytes and the NUL, which `capacity` does not count. */
static int make_room(struct buf *buf, size_t extra)
{
	size_t wanted, capacity;
	char *data;

	if (buf->err)
		return buf->err;
	if (buf->data && extra <= buf->capacity - buf->len)
		return 0;
	if (extra > buf->max - buf->len)
		return fail(buf, ERR_TOO_LARGE);
	wanted = buf->len + extra;
	capacity = buf->capacity < FIRST_CAPACITY / 2 ? FIRST_CAPACITY : buf->capacity;
	capacity = capacity <= SIZE_MAX / 2 ? capacity * 2 : SIZE_MAX;
	if (capacity < wanted)
		capacity = wanted;
	if (capacity > buf->max)
		capacity = buf->max;
	if (capacity == SIZE_MAX)
		return fail(buf, ERR_NOMEM);
	data = realloc(buf->data, capacity + 1);
	if (!data)
		return fail(buf, ERR_NOMEM);
	buf->data = data;
	buf->capacity = capacity;
	buf->data[buf->len] = '\0';
	return 0;
}

int buf_append(struct buf *buf, const void *bytes, size_t len)
{
	if (buf->err || len == 0)
		return buf->err;
	if (make_room(buf, len) != 0)
		return buf->err;
	memcpy(buf->data + buf->len, bytes, len);
	buf_advance(buf, len);
	return 0;
}

int buf_append_string(struct buf *buf, const char *string)
{
	return buf_append(buf, string, strlen(string));
}

int buf_append_uint(struct buf *buf, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + number % 10);
	while ((number /= 10) != 0);
	return buf_append(buf, digits + at, sizeof(digits) - at);
}

int buf_vappendf(struct buf *buf, const char *format, va_list args)
{
	va_list again;
	size_t room;
	int n;

	/* One byte of room at least, so that there is somewhere to print to. */
	if (make_room(buf, 0) != 0)
		return buf->err;
	room = buf->capacity - buf->len;
	va_copy(again, args);
	n = vsnprintf(buf->data + buf->len, room + 1, format, args);
	if (n < 0) {
		fail(buf, ERR_ARGUMENT);
	} else if ((size_t)n <= room) {
		buf->len += (size_t)n;
	} else if (make_room(buf, (size_t)n) == 0) {
		vsnprintf(buf->data + buf->len, (size_t)n + 1, format, again);
		buf->len += (size_t)n;
	}
	va_end(again);
	buf->data[buf->len] = '\0';
	return buf->err;
}

int buf_appendf(struct buf *buf, const char *format, ...)
{
	va_list args;
	int err;

	va_start(args, format);
	err = buf_vappendf(buf, format, args);
	va_end(args);
	return err;
}

/* How one byte stands inside a JSON string; 0: as it is. */
static size_t escape(unsigned char c, char out[6])
{
	static const char hex[] = "0123456789abcdef";
	static const char letters[0x20] = {
		['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
	char letter = c < 0x20 ? letters[c] : c == '"' || c == '\\' ? (char)c : '\0';

	if (letter) {
		out[0] = '\\';
		out[1] = letter;
		return 2;
	}
	if (c >= 0x20)
		return 0;
	memcpy(out, "\\u00", 4);
	out[4] = hex[c >> 4];
	out[5] = hex[c & 15];
	return 6;
}

#ifdef __SSE2__
/* A bit for each of sixteen bytes that is escaped. */
static unsigned escaped_of_sixteen(__m128i block)
{
	__m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
	__m128i backslash = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));
	__m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control));
}
#endif

/* Eight bytes none of which is escaped. */
static bool are_eight_plain(const char *bytes)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t block, quote, backslash, found;

	memcpy(&block, bytes, sizeof(block));
	quote = block ^ ones * '"';
	backslash = block ^ ones * '\\';
	/* "Determine if a word has a byte less than n" and "a zero byte" (Bit Twiddling Hacks). */
	found = ((block - ones * 0x20) & ~block) | ((quote - ones) & ~quote) |
		((backslash - ones) & ~backslash);
	return (found & ones * 0x80) == 0;
}

/* Straight into the buffer, which has room for six bytes of each. */
static void escape_into(struct buf *buf, const char *bytes, size_t len)
{
	char *out = buf->data + buf->len;
	size_t i = 0, n;

#ifdef __SSE2__
	/* Whole blocks are stored; what of them does not belong there is written over. */
	while (len - i >= 16) {
		__m128i block = _mm_loadu_si128((const __m128i *)(const void *)(bytes + i));
		unsigned escaped = escaped_of_sixteen(block);
		size_t plain = escaped ? (size_t)__builtin_ctz(escaped) : 16;

		_mm_storeu_si128((__m128i *)(void *)out, block);
		i += plain;
		out += plain;
		if (escaped)
			out += escape((unsigned char)bytes[i++], out);
	}
#endif
	while (i < len) {
		if (len - i >= 8 && are_eight_plain(bytes + i)) {
			memcpy(out, bytes + i, 8);
			i += 8;
			out += 8;
			continue;
		}
		n = escape((unsigned char)bytes[i], out);
		if (n == 0)
			*out = bytes[i];
		out += n ? n : 1;
		i++;
	}
	buf_advance(buf, (size_t)(out - buf->data) - buf->len);
}

/* Near the end of what the buffer may hold, where each byte counts. */
static int append_json_slowly(struct buf *buf, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len && !buf->err; i++) {
		char escaped[6];
		size_t n = escape((unsigned char)bytes[i], escaped);

		buf_append(buf, n ? escaped : bytes + i, n ? n : 1);
	}
	return buf->err;
}

int buf_append_json(struct buf *buf, const char *bytes, size_t len)
{
	while (len > 0 && !buf->err) {
		size_t piece = len < JSON_PIECE ? len : JSON_PIECE;

		if (buf->max - buf->len < 6 * piece)
			return append_json_slowly(buf, bytes, len);
		if (make_room(buf, 6 * piece) == 0)
			escape_into(buf, bytes, piece);
		bytes += piece;
		len -= piece;
	}
	return buf->err;
}

char *buf_reserve(struct buf *buf, size_t extra)
{
	if (make_room(buf, extra) != 0)
		return NULL;
	return buf->data + buf->len;
}

void buf_advance(struct buf *buf, size_t len)
{
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void buf_truncate(struct buf *buf, size_t len)
{
	if (!buf->data)
		return;
	buf->len = len;
	buf->data[len] = '\0';
}

const char *buf_string(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}

char *buf_take(struct buf *buf, size_t *ret_len)
{
	int err = buf->err;
	char *data = NULL;

	if (ret_len)
		*ret_len = err ? 0 : buf->len;
	if (!err && buf->len > 0) {
		data = buf->data;
		buf->data = NULL;
	}
	buf_free(buf);
	buf->err = err;
	return data;
}

void buf_wipe(struct buf *buf)
{
	if (buf->data)
		explicit_bzero(buf->data, buf->capacity + 1);
	buf_free(buf);
}
