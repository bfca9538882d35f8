#include "aws/sigv4_canonical.h"

#include "bunshin/error.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool is_unreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static void percent_encode(struct buf *out, unsigned char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char encoded[3] = {'%', digits[c >> 4], digits[c & 15]};

	if (is_unreserved(c))
		buf_append_char(out, (char)c);
	else
		buf_append(out, encoded, sizeof(encoded));
}

/* Drops the last "/segment", which a ".." takes back; `start` is where the path begins. */
static void path_pop(struct buf *out, size_t start)
{
	size_t len = out->len;

	while (len > start && out->data[len - 1] != '/')
		len--;
	if (len > start)
		len--;
	buf_truncate(out, len);
}

int sigv4_canonical_path(struct buf *out, const char *path)
{
	size_t start = out->len;
	const char *segment = path;
	const char *end;

	for (; *segment != '\0'; segment = end) {
		size_t len;

		segment += strspn(segment, "/");
		len = strcspn(segment, "/");
		end = segment + len;
		if (len == 0 || (len == 1 && segment[0] == '.'))
			continue;
		if (len == 2 && segment[0] == '.' && segment[1] == '.') {
			path_pop(out, start);
			continue;
		}
		buf_append_char(out, '/');
		for (; segment < end; segment++)
			percent_encode(out, (unsigned char)*segment);
	}
	if (out->len == start || path[strlen(path) - 1] == '/')
		buf_append_char(out, '/');
	return out->err;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* A '%' that is not followed by two hex digits stands for itself. */
static void reencode(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int high = -1, low = -1;

		if (text[i] == '%' && i + 2 < len) {
			high = hex_digit(text[i + 1]);
			low = hex_digit(text[i + 2]);
		}
		if (high >= 0 && low >= 0) {
			percent_encode(out, (unsigned char)(high << 4 | low));
			i += 2;
		} else {
			percent_encode(out, (unsigned char)text[i]);
		}
	}
}

/*
 * Parameters are compared by name, then by value. Both end in a NUL in the scratch buffer, which
 * sorts below every encoded character, so one strcmp() of "name\0" does for each.
 */
static int parameter_compare(const char *a, const char *b)
{
	int order = strcmp(a, b);

	return order != 0 ? order : strcmp(a + strlen(a) + 1, b + strlen(b) + 1);
}

static const char *parameter_next(const char *parameter)
{
	const char *value = parameter + strlen(parameter) + 1;

	return value + strlen(value) + 1;
}

/* The smallest parameter above `last` (NULL: of all); a repeated one counts `ret_times` times. */
static const char *parameter_after(const struct buf *all, const char *last, size_t *ret_times)
{
	const char *best = NULL;
	const char *end = all->data + all->len;

	for (const char *p = all->data; p < end; p = parameter_next(p)) {
		if (last != NULL && parameter_compare(p, last) <= 0)
			continue;
		if (best == NULL || parameter_compare(p, best) < 0) {
			best = p;
			*ret_times = 1;
		} else if (parameter_compare(p, best) == 0) {
			(*ret_times)++;
		}
	}
	return best;
}

int sigv4_canonical_query(struct buf *out, struct buf *scratch, const char *query)
{
	const char *parameter = NULL;
	const char *separator = "";
	size_t times = 0;

	buf_clear(scratch);
	while (*query != '\0') {
		size_t len = strcspn(query, "&");
		const char *equals = memchr(query, '=', len);
		size_t name_len = equals != NULL ? (size_t)(equals - query) : len;

		if (len > 0) {
			reencode(scratch, query, name_len);
			buf_append_char(scratch, '\0');
			if (equals != NULL)
				reencode(scratch, equals + 1, len - name_len - 1);
			buf_append_char(scratch, '\0');
		}
		query += len;
		query += *query == '&';
	}
	if (scratch->err != 0)
		return scratch->err;
	if (scratch->len == 0)
		return out->err;
	/* A selection sort: requests to AWS have a handful of parameters, SQS's none. */
	while ((parameter = parameter_after(scratch, parameter, &times)) != NULL) {
		for (; times > 0; times--) {
			buf_append_string(out, separator);
			buf_append_string(out, parameter);
			buf_append_char(out, '=');
			buf_append_string(out, parameter + strlen(parameter) + 1);
			separator = "&";
		}
	}
	return out->err;
}

static char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* In the order of their first letters, which few names share. */
static bool is_signed(const char *name)
{
	static const char *const never[] = {"authorization", "connection", "expect", "keep-alive",
		"te", "trailer", "transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id"};
	char first = to_lower(name[0]);

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		if (never[i][0] == first && strcasecmp(name, never[i]) == 0)
			return false;
	}
	return first != 'p' || strncasecmp(name, "proxy-", 6) != 0;
}

/* Insertion keeps the order of equal names, which the joined value depends on. */
int sigv4_signed_headers_add(
	struct sigv4_signed_headers *set, const struct sigv4_header *headers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t place = set->count;

		if (!is_signed(headers[i].name))
			continue;
		if (set->count == SIGV4_HEADERS_MAX)
			return ERR_ARGUMENT;
		while (place > 0 && strcasecmp(set->sorted[place - 1]->name, headers[i].name) > 0) {
			set->sorted[place] = set->sorted[place - 1];
			place--;
		}
		set->sorted[place] = &headers[i];
		set->count++;
	}
	return 0;
}

static void append_lower(struct buf *out, const char *name)
{
	size_t len = strlen(name);
	char *to = buf_reserve(out, len);

	if (to == NULL)
		return;
	for (size_t i = 0; i < len; i++)
		to[i] = to_lower(name[i]);
	buf_advance(out, len);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void append_value(struct buf *out, const char *value)
{
	char *start = buf_reserve(out, strlen(value)), *to = start;

	if (start == NULL)
		return;
	for (; *value != '\0'; value++) {
		if (!is_blank(*value))
			*to++ = *value;
		else if (to > start && to[-1] != ' ')
			*to++ = ' ';
	}
	if (to > start && to[-1] == ' ')
		to--;
	buf_advance(out, (size_t)(to - start));
}

/* True when header i has the name of the one before it. */
static bool repeats(const struct sigv4_signed_headers *set, size_t i)
{
	return i > 0 && strcasecmp(set->sorted[i]->name, set->sorted[i - 1]->name) == 0;
}

int sigv4_canonical_headers(struct buf *out, const struct sigv4_signed_headers *set)
{
	for (size_t i = 0; i < set->count; i++) {
		if (repeats(set, i)) {
			buf_append_char(out, ',');
		} else {
			if (i > 0)
				buf_append_char(out, '\n');
			append_lower(out, set->sorted[i]->name);
			buf_append_char(out, ':');
		}
		append_value(out, set->sorted[i]->value);
	}
	return set->count > 0 ? buf_append_char(out, '\n') : out->err;
}

int sigv4_signed_names(struct buf *out, const struct sigv4_signed_headers *set)
{
	for (size_t i = 0; i < set->count; i++) {
		if (repeats(set, i))
			continue;
		if (i > 0)
			buf_append_char(out, ';');
		append_lower(out, set->sorted[i]->name);
	}
	return out->err;
}
