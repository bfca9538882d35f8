#include "aws/sqs_limits.h"

#include "base/utf8.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static bool is_alphanumeric(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* The two noncharacters that SQS refuses and UTF-8 does not. */
static bool is_fffe_or_ffff(const char *sequence)
{
	return (unsigned char)sequence[0] == 0xef && (unsigned char)sequence[1] == 0xbf &&
	       ((unsigned char)sequence[2] & 0xfe) == 0xbe;
}

/* Plain ASCII a block at once, which is most of what is ever sent. */
#ifdef __SSE2__
#define BLOCK 16

static bool is_plain_block(const char *text)
{
	__m128i block = _mm_loadu_si128((const __m128i *)(const void *)text);

	/* Signed: what is not ASCII is negative. */
	return _mm_movemask_epi8(_mm_cmplt_epi8(block, _mm_set1_epi8(0x20))) == 0;
}
#else
#define BLOCK 8

static bool is_plain_block(const char *text)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t block;

	memcpy(&block, text, sizeof(block));
	return ((block | ((block - ones * 0x20) & ~block)) & ones * 0x80) == 0;
}
#endif

/* Bytes of the character at the start of the text; 0: none that SQS takes. */
static size_t character_bytes(const char *text, size_t len)
{
	unsigned char c = (unsigned char)text[0];
	size_t bytes;

	if (c < 0x80)
		return c >= 0x20 || c == '\t' || c == '\n' || c == '\r';
	bytes = utf8_sequence(text, len);
	return bytes == 3 && is_fffe_or_ffff(text) ? 0 : bytes;
}

bool sqs_text_is_valid(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len) {
		bool whole = len - i >= BLOCK;
		size_t step = BLOCK;

		/* The last piece as the end of a block that overlaps the one before. */
		if (!whole && len >= BLOCK && is_plain_block(text + len - BLOCK))
			return true;
		if (!whole || !is_plain_block(text + i))
			step = character_bytes(text + i, len - i);
		if (step == 0)
			return false;
		i += step;
	}
	return true;
}

bool sqs_attribute_name_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > SQS_ATTRIBUTE_NAME_MAX || name[0] == '.' || name[len - 1] == '.')
		return false;
	if (strncasecmp(name, "AWS.", 4) == 0 || strncasecmp(name, "Amazon.", 7) == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_alphanumeric(name[i]) && strchr("_.-", name[i]) == NULL)
			return false;
		if (name[i] == '.' && name[i + 1] == '.')
			return false;
	}
	return true;
}

/* Length of the type before its label; 0 when it is none of the three. */
static size_t base_type_bytes(const char *type)
{
	static const char *const names[] = {"String", "Number", "Binary"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = strlen(names[i]);

		if (strncmp(type, names[i], len) == 0 && (type[len] == '\0' || type[len] == '.'))
			return len;
	}
	return 0;
}

bool sqs_attribute_type_is_valid(const char *type)
{
	size_t len = strlen(type);

	return len <= SQS_ATTRIBUTE_TYPE_MAX && base_type_bytes(type) != 0 &&
	       sqs_text_is_valid(type, len);
}

bool sqs_type_is_binary(const char *type)
{
	return type[0] == 'B';
}

/* 1 to max printable ASCII characters without blanks. */
static bool is_visible(const char *text, size_t max)
{
	size_t len = strlen(text);

	if (len == 0 || len > max)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < 0x21 || text[i] > 0x7e)
			return false;
	}
	return true;
}

bool sqs_group_id_is_valid(const char *id)
{
	return is_visible(id, SQS_GROUP_ID_MAX);
}

bool sqs_trace_header_is_valid(const char *header)
{
	return is_visible(header, SQS_TRACE_HEADER_MAX);
}

bool sqs_queue_name_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > SQS_QUEUE_NAME_MAX)
		return false;
	if (len > 5 && strcmp(name + len - 5, ".fifo") == 0)
		len -= 5;
	for (size_t i = 0; i < len; i++) {
		if (!is_alphanumeric(name[i]) && name[i] != '_' && name[i] != '-')
			return false;
	}
	return true;
}
