/*
 * What an unknown key may have been meant to be.
 */
#include "config/options.h"

#include <string.h>

#define KEY_MAX_BYTES 31

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * How many insertions, deletions, replacements and swaps of neighbours part the two (optimal
 * string alignment); both at most KEY_MAX_BYTES long.
 */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][KEY_MAX_BYTES + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_len; j++)
		above[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *free_row = before;

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			row[j] = least(above[j], row[j - 1]) + 1;
			row[j] = least(row[j], above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
		before = above;
		above = row;
		row = free_row;
	}
	return above[b_len];
}

static bool is_near(const char *key, size_t key_len, const char *known, size_t known_len)
{
	if (key_len > KEY_MAX_BYTES || known_len > KEY_MAX_BYTES)
		return false;
	return distance(key, key_len, known, known_len) <= (known_len < 5 ? 1u : 2u);
}

/* An option somewhere else whose last step is the key. */
static const struct option *find_elsewhere(const char *key)
{
	for (size_t i = 0; i < option_count; i++) {
		const char *dot = strrchr(options[i].path, '.');

		if (dot != NULL && strcmp(dot + 1, key) == 0)
			return &options[i];
	}
	return NULL;
}

/* "; expected one of url, endpoint": the keys below the prefix, each once. */
static int append_known(const char *prefix, struct buf *out)
{
	const char *before = "", *separator = "; expected one of ";

	for (size_t i = 0; i < option_count; i++) {
		const char *step = options[i].path + strlen(prefix);
		size_t len;

		if (strncmp(options[i].path, prefix, strlen(prefix)) != 0)
			continue;
		len = strcspn(step, ".[");
		if (strncmp(before, step, len) != 0 || strcspn(before, ".[") != len)
			buf_appendf(out, "%s%.*s", separator, (int)len, step);
		before = step;
		separator = ", ";
	}
	return out->err;
}

int option_append_suggestion(const char *prefix, const char *key, struct buf *out)
{
	const struct option *elsewhere;

	for (size_t i = 0; i < option_count; i++) {
		const char *step = options[i].path + strlen(prefix);
		size_t len;

		if (strncmp(options[i].path, prefix, strlen(prefix)) != 0)
			continue;
		len = strcspn(step, ".[");
		if (is_near(key, strlen(key), step, len))
			return buf_appendf(out, "; did you mean \"%.*s\"?", (int)len, step);
	}
	elsewhere = find_elsewhere(key);
	if (elsewhere != NULL)
		return buf_appendf(out, "; there is %s", elsewhere->path);
	return append_known(prefix, out);
}
