#include "localq/text.h"

#include <string.h>
#include <strings.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define FIFO_SUFFIX ".fifo"

/* Bytes of the character at `p`, or 0 when it is not UTF-8. The second byte's range depends on
 * the first (Unicode standard, table 3-7). */
static size_t character_bytes(const uint8_t *p, size_t left)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t need;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		need = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		need = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		need = 4;
	else
		return 0;
	if (need > left)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < need; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return need;
}

size_t text_valid_prefix(const char *bytes, size_t len)
{
	const uint8_t *p = (const uint8_t *)bytes;
	size_t at = 0;

	while (at < len) {
		uint64_t eight;
		size_t step;

		if (len - at >= sizeof(eight)) {
			memcpy(&eight, p + at, sizeof(eight));
			if ((eight & 0x8080808080808080u) == 0) {
				at += sizeof(eight);
				continue;
			}
		}
		step = character_bytes(p + at, len - at);
		if (step == 0)
			break;
		at += step;
	}
	return at;
}

/* No byte below 0x20 and none that U+FFFE and U+FFFF begin with. */
#ifdef __SSE2__
#define BLOCK 16

static bool block_is_plain(const uint8_t *p)
{
	__m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
	__m128i ef = _mm_cmpeq_epi8(block, _mm_set1_epi8((char)0xef));

	return _mm_movemask_epi8(_mm_or_si128(control, ef)) == 0;
}
#else
#define BLOCK 8
#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

static bool block_is_plain(const uint8_t *p) /* the classic zero-byte test */
{
	uint64_t x, ef;

	memcpy(&x, p, sizeof(x));
	ef = x ^ ONES * 0xef;
	return ((x - ONES * 0x20) & ~x & HIGHS) == 0 && ((ef - ONES) & ~ef & HIGHS) == 0;
}
#endif

bool text_is_message(const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text;

	for (size_t i = 0; i < len; i++) {
		while (len - i >= BLOCK && block_is_plain(p + i))
			i += BLOCK;
		/* The last piece as the end of a block that overlaps the one before. */
		if (i == len ||
			(len >= BLOCK && len - i < BLOCK && block_is_plain(p + len - BLOCK)))
			break;
		if (p[i] < 0x20 && p[i] != '\t' && p[i] != '\n' && p[i] != '\r')
			return false;
		/* U+FFFE and U+FFFF */
		if (p[i] == 0xef && len - i >= 3 && p[i + 1] == 0xbf && p[i + 2] >= 0xbe)
			return false;
	}
	return true;
}

static bool is_name_character(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

bool text_is_entry_id(const char *id, size_t len)
{
	if (len < 1 || len > TEXT_QUEUE_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_name_character(id[i]))
			return false;
	return true;
}

bool text_ends_in_fifo(const char *text, size_t len)
{
	size_t suffix = strlen(FIFO_SUFFIX);

	return len >= suffix && memcmp(text + len - suffix, FIFO_SUFFIX, suffix) == 0;
}

bool text_is_fifo_name(const char *name, size_t len)
{
	return len <= TEXT_QUEUE_NAME_MAX && text_ends_in_fifo(name, len) &&
	       text_is_entry_id(name, len - strlen(FIFO_SUFFIX));
}

bool text_is_queue_name(const char *name, size_t len)
{
	return text_is_entry_id(name, len) || text_is_fifo_name(name, len);
}

bool text_is_attribute_name(const char *name, size_t len)
{
	if (len < 1 || len > 256 || name[0] == '.' || name[len - 1] == '.')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_name_character(name[i]) && name[i] != '.')
			return false;
		if (name[i] == '.' && name[i - 1] == '.')
			return false;
	}
	return !(len >= 4 && strncasecmp(name, "AWS.", 4) == 0) &&
	       !(len >= 7 && strncasecmp(name, "Amazon.", 7) == 0);
}

bool text_is_group_id(const char *id, size_t len)
{
	if (len < 1 || len > 128)
		return false;
	for (size_t i = 0; i < len; i++)
		if (id[i] < '!' || id[i] > '~')
			return false;
	return true;
}

bool text_to_int(const char *text, int64_t *ret)
{
	int64_t value = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, *text - '0', &value))
			return false;
	}
	*ret = value;
	return true;
}
