#include "base/json.h"

#include "base/utf8.h"
#include "bunshin/error.h"

#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define FIRST_CAPACITY 64
#define VALUES_KEPT ((size_t)16384) /* room for values that outlives a document */

struct parser {
	struct json *json;
	const char *text, *end;
	const char *p;	  /* next byte to read */
	char *out;	  /* where the next string goes */
	const char *name; /* of the member whose value comes next; NULL in an array */
	size_t name_bytes;
	unsigned depth;
	uint32_t open[JSON_DEPTH_MAX]; /* indexes of the containers around p, outermost first */
};

static int refuse(struct parser *parser, const char *where)
{
	parser->json->error_offset = (size_t)(where - parser->text);
	return ERR_SYNTAX;
}

static void skip_space(struct parser *parser)
{
	const char *p = parser->p;

	while (p < parser->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	parser->p = p;
}

static bool next_is(const struct parser *parser, char c)
{
	return parser->p < parser->end && *parser->p == c;
}

/* Does the byte stand for itself, alone, inside a string? */
static bool is_plain(char c)
{
	return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

/*
 * Copies the run of plain bytes at *p. Whole blocks are stored even when only their start is
 * plain: the rest is overwritten later. The output never gets ahead of the input, so a block that
 * can be read can be written.
 */
static inline void copy_plain(const char **p, const char *end, char **out)
{
	const char *from = *p;
	char *to = *out;

#ifdef __SSE2__
	for (; end - from >= 16; from += 16, to += 16) {
		__m128i block = _mm_loadu_si128((const __m128i *)(const void *)from);
		__m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
		__m128i backslash = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));
		/* Signed: what is not ASCII is negative. */
		__m128i other = _mm_cmplt_epi8(block, _mm_set1_epi8(0x20));
		int special =
			_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), other));

		_mm_storeu_si128((__m128i *)(void *)to, block);
		if (special) {
			*p = from + __builtin_ctz((unsigned)special);
			*out = to + __builtin_ctz((unsigned)special);
			return;
		}
	}
#else
	for (; end - from >= 8; from += 8, to += 8) {
		const uint64_t ones = UINT64_C(0x0101010101010101), high = ones * 0x80;
		uint64_t block, quote, backslash;

		memcpy(&block, from, 8);
		quote = block ^ ones * '"';
		backslash = block ^ ones * '\\';
		/* Each term sets the high bit of a byte that is below 0x20, or zero; or an earlier
		 * byte was, so the answer "none" is always right. */
		if (((block - ones * 0x20) | (quote - ones) | (backslash - ones) | block) & high)
			break;
		memcpy(to, &block, 8);
	}
#endif
	while (from < end && is_plain(*from))
		*to++ = *from++;
	*p = from;
	*out = to;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits of \uXXXX, or -1. */
static int32_t hex4(const char *p, const char *end)
{
	int32_t value = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(p[i]);

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/* p is behind "\u". Returns the bytes read, or 0 for a bad digit or a lone surrogate. */
static size_t unescape_unicode(const char *p, const char *end, char **out)
{
	int32_t unit = hex4(p, end), low;

	if (unit < 0)
		return 0;
	if (unit < 0xD800 || unit > 0xDFFF) {
		*out += utf8_encode((uint32_t)unit, *out);
		return 4;
	}
	if (unit > 0xDBFF || end - p < 10 || p[4] != '\\' || p[5] != 'u')
		return 0;
	low = hex4(p + 6, end);
	if (low < 0xDC00 || low > 0xDFFF)
		return 0;
	*out += utf8_encode((uint32_t)(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)), *out);
	return 10;
}

/* p is at the backslash. Returns the bytes read, or 0 when it starts no escape. */
static inline size_t unescape(const char *p, const char *end, char **out)
{
	static const char letters[256] = {['"'] = '"',
		['\\'] = '\\',
		['/'] = '/',
		['b'] = '\b',
		['f'] = '\f',
		['n'] = '\n',
		['r'] = '\r',
		['t'] = '\t'};
	char letter;
	size_t n;

	if (end - p < 2)
		return 0;
	letter = letters[(unsigned char)p[1]];
	if (letter) {
		*(*out)++ = letter;
		return 2;
	}
	if (p[1] != 'u')
		return 0;
	n = unescape_unicode(p + 2, end, out);
	return n ? n + 2 : 0;
}

/* Copies the well-formed characters beyond ASCII at p. Returns their bytes. */
static size_t copy_wide(const char *p, const char *end, char **out)
{
	const char *start = p;

	while (p < end && (unsigned char)*p >= 0x80) {
		size_t n = utf8_sequence(p, (size_t)(end - p));

		if (n == 0)
			break;
		p += n;
	}
	memcpy(*out, start, (size_t)(p - start));
	*out += p - start;
	return (size_t)(p - start);
}

/* parser->p is at the quote. */
static int parse_string(struct parser *parser, const char **ret_string, size_t *ret_bytes)
{
	const char *p = parser->p + 1, *end = parser->end;
	char *out = parser->out;

	for (;;) {
		size_t n;

		copy_plain(&p, end, &out);
		if (p == end)
			return refuse(parser, p);
		if (*p == '"')
			break;
		if (*p == '\\') {
			n = unescape(p, end, &out);
			if (n > 2 && out[-1] == '\0')
				parser->json->has_nuls = true;
		} else {
			n = copy_wide(p, end, &out);
		}
		if (n == 0)
			return refuse(parser, p);
		p += n;
	}
	*ret_string = parser->out;
	*ret_bytes = (size_t)(out - parser->out);
	*out++ = '\0';
	parser->out = out;
	parser->p = p + 1;
	return 0;
}

static const char *skip_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

static int parse_number(struct parser *parser)
{
	const char *p = parser->p, *end = parser->end, *digits;

	p += *p == '-';
	digits = p;
	p = skip_digits(p, end);
	if (p == digits)
		return refuse(parser, p);
	if (*digits == '0' && p > digits + 1)
		return refuse(parser, digits + 1);
	if (p < end && *p == '.') {
		digits = ++p;
		p = skip_digits(p, end);
		if (p == digits)
			return refuse(parser, p);
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		p += p < end && (*p == '+' || *p == '-');
		digits = p;
		p = skip_digits(p, end);
		if (p == digits)
			return refuse(parser, p);
	}
	parser->p = p;
	return 0;
}

static int parse_literal(struct parser *parser, const char *literal, size_t len)
{
	if ((size_t)(parser->end - parser->p) < len || memcmp(parser->p, literal, len) != 0)
		return refuse(parser, parser->p);
	parser->p += len;
	return 0;
}

/* A member's name and the colon; its value comes next. */
static int parse_name(struct parser *parser)
{
	int err;

	skip_space(parser);
	if (!next_is(parser, '"'))
		return refuse(parser, parser->p);
	err = parse_string(parser, &parser->name, &parser->name_bytes);
	if (err)
		return err;
	skip_space(parser);
	if (!next_is(parser, ':'))
		return refuse(parser, parser->p);
	parser->p++;
	return 0;
}

static int grow_values(struct json *json)
{
	size_t capacity = json->capacity ? json->capacity * 2 : FIRST_CAPACITY;
	struct json_value *values = realloc(json->values, capacity * sizeof(*values));

	if (!values)
		return ERR_NOMEM;
	json->values = values;
	json->capacity = capacity;
	return 0;
}

/* Adds the value that starts at parser->p to the container around it. */
static int add_value(struct parser *parser, struct json_value **ret_value)
{
	struct json *json = parser->json;
	struct json_value *value;

	if (json->count == JSON_VALUES_MAX)
		return ERR_TOO_LARGE;
	if (json->count == json->capacity) {
		int err = grow_values(json);

		if (err)
			return err;
	}
	if (parser->depth)
		json->values[parser->open[parser->depth - 1]].count++;
	value = &json->values[json->count++];
	*value = (struct json_value){
		.span = 1,
		.name = parser->name,
		.name_bytes = (uint32_t)parser->name_bytes,
		.raw = parser->p,
	};
	parser->name = NULL;
	parser->name_bytes = 0;
	*ret_value = value;
	return 0;
}

static int parse_scalar(struct parser *parser, struct json_value *value)
{
	int err;

	switch (*parser->p) {
	case '"':
		value->kind = JSON_STRING;
		err = parse_string(parser, &value->string, &value->string_bytes);
		break;
	case 't':
		value->kind = JSON_TRUE;
		err = parse_literal(parser, "true", 4);
		break;
	case 'f':
		value->kind = JSON_FALSE;
		err = parse_literal(parser, "false", 5);
		break;
	case 'n':
		value->kind = JSON_NULL;
		err = parse_literal(parser, "null", 4);
		break;
	default:
		value->kind = JSON_NUMBER;
		err = parse_number(parser);
	}
	value->raw_bytes = (size_t)(parser->p - value->raw);
	return err;
}

/* Reads one scalar, or the opening bracket of a container with its first name. */
static int parse_value(struct parser *parser, bool *ret_empty_container)
{
	struct json_value *value;
	bool is_object;
	int err;

	*ret_empty_container = false;
	skip_space(parser);
	if (parser->p == parser->end)
		return refuse(parser, parser->p);
	err = add_value(parser, &value);
	if (err)
		return err;
	is_object = *parser->p == '{';
	if (!is_object && *parser->p != '[')
		return parse_scalar(parser, value);
	if (parser->depth == JSON_DEPTH_MAX)
		return ERR_TOO_LARGE;
	value->kind = is_object ? JSON_OBJECT : JSON_ARRAY;
	parser->open[parser->depth++] = (uint32_t)(value - parser->json->values);
	parser->p++;
	skip_space(parser);
	*ret_empty_container = next_is(parser, is_object ? '}' : ']');
	return is_object && !*ret_empty_container ? parse_name(parser) : 0;
}

static void close_container(struct parser *parser)
{
	struct json *json = parser->json;
	struct json_value *container = &json->values[parser->open[--parser->depth]];

	parser->p++;
	container->span = (uint32_t)(json->values + json->count - container);
	container->raw_bytes = (size_t)(parser->p - container->raw);
}

/* After a value: closes what ends here, up to a comma or the end of the document. */
static int parse_after_value(struct parser *parser)
{
	while (parser->depth) {
		bool in_object =
			parser->json->values[parser->open[parser->depth - 1]].kind == JSON_OBJECT;

		skip_space(parser);
		if (next_is(parser, ',')) {
			parser->p++;
			return in_object ? parse_name(parser) : 0;
		}
		if (!next_is(parser, in_object ? '}' : ']'))
			return refuse(parser, parser->p);
		close_container(parser);
	}
	skip_space(parser);
	return parser->p == parser->end ? 0 : refuse(parser, parser->p);
}

static int parse_document(struct parser *parser)
{
	do {
		size_t depth = parser->depth;
		bool empty_container;
		int err = parse_value(parser, &empty_container);

		if (err)
			return err;
		/* Inside a container that was just opened, its first value comes next. */
		if (parser->depth > depth && !empty_container)
			continue;
		err = parse_after_value(parser);
		if (err)
			return err;
	} while (parser->depth);
	return 0;
}

/* One document of many values must not hold its memory for good: values are 40 times their text. */
static void shrink_values(struct json *json)
{
	if (json->capacity <= VALUES_KEPT)
		return;
	free(json->values);
	json->values = NULL;
	json->capacity = 0;
}

static int reserve_strings(struct json *json, size_t len)
{
	char *strings;

	if (json->strings_capacity > len)
		return 0;
	strings = malloc(len + 1);
	if (!strings)
		return ERR_NOMEM;
	free(json->strings);
	json->strings = strings;
	json->strings_capacity = len + 1;
	return 0;
}

int json_parse(struct json *json, const char *text, size_t len)
{
	struct parser parser;
	int err;

	json->count = 0;
	json->error_offset = 0;
	json->has_nuls = false;
	if (len > UINT32_MAX / 2)
		return ERR_TOO_LARGE;
	shrink_values(json);
	err = reserve_strings(json, len);
	if (err)
		return err;
	parser.json = json;
	parser.text = parser.p = text;
	parser.end = text + len;
	parser.out = json->strings;
	parser.name = NULL;
	parser.name_bytes = 0;
	parser.depth = 0;
	err = parse_document(&parser);
	if (err)
		json->count = 0;
	return err;
}

void json_free(struct json *json)
{
	free(json->values);
	free(json->strings);
	*json = (struct json){0};
}

const struct json_value *json_root(const struct json *json)
{
	return json->count ? &json->values[0] : NULL;
}

const struct json_value *json_first(const struct json_value *container)
{
	if (!container || container->count == 0 || container->kind < JSON_ARRAY)
		return NULL;
	return container + 1;
}

const struct json_value *json_next(
	const struct json_value *container, const struct json_value *child)
{
	const struct json_value *next = child + child->span;

	return next < container + container->span ? next : NULL;
}

static const struct json_value *find_member(
	const struct json_value *object, const char *name, size_t name_bytes)
{
	const struct json_value *found = NULL;

	if (!object || object->kind != JSON_OBJECT)
		return NULL;
	for (const struct json_value *member = json_first(object); member;
		member = json_next(object, member))
		if (member->name_bytes == name_bytes && memcmp(member->name, name, name_bytes) == 0)
			found = member;
	return found;
}

const struct json_value *json_member(const struct json_value *object, const char *name)
{
	return find_member(object, name, strlen(name));
}

static bool is_named(const struct json_value *member, const struct json_name *name)
{
	return member->name_bytes == name->bytes &&
	       memcmp(member->name, name->text, name->bytes) == 0;
}

void json_members(const struct json_value *object, const struct json_name names[], size_t count,
	const struct json_value *ret[])
{
	const struct json_value *member, *end;
	size_t next = 0; /* what comes after the member found last */

	for (size_t i = 0; i < count; i++)
		ret[i] = NULL;
	if (!object || object->kind != JSON_OBJECT)
		return;
	end = object + object->span;
	for (member = object + 1; member < end; member += member->span) {
		for (size_t tries = 0, i = next; tries < count; tries++, i++) {
			if (i == count)
				i = 0;
			if (!is_named(member, &names[i]))
				continue;
			ret[i] = member;
			next = i + 1;
			break;
		}
	}
}

const struct json_value *json_element(const struct json_value *array, size_t index)
{
	const struct json_value *element;

	if (!array || array->kind != JSON_ARRAY || index >= array->count)
		return NULL;
	element = json_first(array);
	while (index-- > 0)
		element = json_next(array, element);
	return element;
}

/* "0", "17": decimal, no leading zeros, so that every element has one name. */
static const struct json_value *find_element(
	const struct json_value *array, const char *digits, size_t len)
{
	size_t index = 0;

	if (len == 0 || len > 9 || (digits[0] == '0' && len > 1))
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return NULL;
		index = index * 10 + (size_t)(digits[i] - '0');
	}
	return json_element(array, index);
}

const struct json_value *json_path(const struct json_value *value, const char *path)
{
	for (;;) {
		size_t len = strcspn(path, ".");

		if (!value)
			return NULL;
		if (value->kind == JSON_ARRAY)
			value = find_element(value, path, len);
		else
			value = find_member(value, path, len);
		if (path[len] == '\0')
			return value;
		path += len + 1;
	}
}

const char *json_text(const struct json_value *value)
{
	if (!value || value->kind != JSON_STRING ||
		memchr(value->string, '\0', value->string_bytes))
		return NULL;
	return value->string;
}

int json_int(const struct json_value *value, int64_t *ret)
{
	bool negative;
	int64_t number = 0;

	if (!value || value->kind != JSON_NUMBER)
		return ERR_SYNTAX;
	negative = value->raw[0] == '-';
	for (size_t i = negative; i < value->raw_bytes; i++) {
		int digit = value->raw[i] - '0';

		if (digit < 0 || digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
			__builtin_sub_overflow(number, digit, &number))
			return ERR_SYNTAX;
	}
	/* Summed up as a negative number, whose range is larger by one. */
	if (!negative && __builtin_sub_overflow(0, number, &number))
		return ERR_SYNTAX;
	*ret = number;
	return 0;
}
