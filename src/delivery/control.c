#include "delivery/control.h"

#include "base/sha256.h"
#include "base/units.h"
#include "bunshin/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PLAIN_MAX 32	/* a longer name takes less room as its hash */
#define TOKEN_BYTES 257 /* of one name in the tag, with its NUL */
#define HASH_DIGITS 16
/* What SQS takes in a tag, but for the blank ("Tag restrictions"). */
#define TAG_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/=+-@"

static void hash_digits(const void *data, size_t bytes, char ret[HASH_DIGITS + 1])
{
	uint8_t hash[SHA256_BYTES];

	sha256(data, bytes, hash);
	for (size_t i = 0; i < HASH_DIGITS / 2; i++)
		snprintf(ret + 2 * i, 3, "%02x", hash[i]);
}

/* ---- the three values */

static int read_paused(const char *text, struct control *control)
{
	if (text && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return ERR_SYNTAX;
	control->paused = text && strcmp(text, "true") == 0;
	return 0;
}

int control_rate_read(const char *text, uint64_t *ret_count, int64_t *ret_per_ms)
{
	int64_t count, per_ms;

	if (units_parse_rate(text, &count, &per_ms) != 0 || count > CONTROL_RATE_MAX)
		return ERR_SYNTAX;
	*ret_count = (uint64_t)count;
	*ret_per_ms = per_ms;
	return 0;
}

static int read_rate(const char *text, struct control *control)
{
	if (text)
		return control_rate_read(text, &control->rate_count, &control->rate_per_ms);
	control->rate_count = 0;
	control->rate_per_ms = 0;
	return 0;
}

static int read_cancelled(const char *text, struct control *control)
{
	size_t len = text ? strnlen(text, CONTROL_TAG_MAX + 1) : 0;

	if (len > CONTROL_TAG_MAX)
		return ERR_SYNTAX;
	memset(control->cancelled, 0, sizeof(control->cancelled));
	if (text)
		memcpy(control->cancelled, text, len);
	return 0;
}

int control_read(
	const struct control_tags *tags, struct control *control, char reason[CONTROL_REASON_SIZE])
{
	const struct {
		const char *name, *text, *expected;
		int (*read)(const char *text, struct control *control);
	} rows[] = {
		{CONTROL_TAG_PAUSED, tags->paused, "true or false", read_paused},
		{CONTROL_TAG_RATE, tags->rate, "a rate like 500/s", read_rate},
		{CONTROL_TAG_CANCELLED, tags->cancelled, "256 bytes at most", read_cancelled},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].read(rows[i].text, control) == 0)
			continue;
		if (err == 0)
			snprintf(reason, CONTROL_REASON_SIZE,
				"tag %s: expected %s, got \"%.40s\"; what was in force stays",
				rows[i].name, rows[i].expected, rows[i].text);
		err = ERR_SYNTAX;
	}
	return err;
}

void control_rate_text(uint64_t count, int64_t per_ms, char ret[CONTROL_RATE_SIZE])
{
	ret[0] = '\0';
	if (count > 0)
		snprintf(ret, CONTROL_RATE_SIZE, "%" PRIu64 "/%c", count,
			per_ms == 1000	  ? 's'
			: per_ms == 60000 ? 'm'
					  : 'h');
}

bool control_equal(const struct control *a, const struct control *b)
{
	return a->paused == b->paused && a->rate_count == b->rate_count &&
	       a->rate_per_ms == b->rate_per_ms && strcmp(a->cancelled, b->cancelled) == 0;
}

void control_id(const struct control *control, char ret_id[CONTROL_ID_SIZE])
{
	char text[CONTROL_TAG_MAX + 64];
	int len = snprintf(text, sizeof(text), "%d %" PRIu64 " %" PRId64 " %s", control->paused,
		control->rate_count, control->rate_per_ms, control->cancelled);

	hash_digits(text, (size_t)len, ret_id);
}

/* ---- names of campaigns */

/* The next of the names from *from on; false: there is none. */
static bool next_name(const char **from, const char **ret_name, size_t *ret_bytes)
{
	const char *name = *from + strspn(*from, " ");

	*ret_name = name;
	*ret_bytes = strcspn(name, " ");
	*from = name + *ret_bytes;
	return *ret_bytes > 0;
}

/* A campaign's name in its two forms; the hash only when it is asked for. */
struct named {
	const char *campaign;
	size_t bytes;
	char hash[1 + HASH_DIGITS + 1]; /* "": not made yet */
};

static bool is_named(struct named *named, const char *name, size_t bytes)
{
	/* A name that itself begins so is never written as it is. */
	if (name[0] != '=')
		return bytes == named->bytes && memcmp(name, named->campaign, bytes) == 0;
	if (bytes != 1 + HASH_DIGITS)
		return false;
	if (named->hash[0] == '\0') {
		named->hash[0] = '=';
		hash_digits(named->campaign, named->bytes, named->hash + 1);
	}
	return memcmp(name, named->hash, bytes) == 0;
}

bool control_cancels(const struct control *control, const char *campaign, size_t bytes)
{
	struct named named = {.campaign = campaign, .bytes = bytes};
	const char *from = control->cancelled, *name;
	size_t name_bytes;

	if (bytes == 0)
		return false;
	while (next_name(&from, &name, &name_bytes))
		if (is_named(&named, name, name_bytes))
			return true;
	return false;
}

int control_cancelled_add(const char *value, const char *campaign, char ret[CONTROL_TAG_MAX + 1])
{
	struct control control = {.paused = false};
	size_t bytes = strlen(campaign), len;
	char name[TOKEN_BYTES];

	if (bytes == 0 || read_cancelled(value, &control) != 0)
		return ERR_ARGUMENT;
	if (!control_cancels(&control, campaign, bytes)) {
		bool is_plain = bytes <= PLAIN_MAX && campaign[0] != '=' &&
				strspn(campaign, TAG_CHARACTERS) == bytes;

		if (is_plain) {
			memcpy(name, campaign, bytes + 1);
		} else {
			name[0] = '=';
			hash_digits(campaign, bytes, name + 1);
		}
		len = strlen(control.cancelled);
		if (len + (len > 0) + strlen(name) > CONTROL_TAG_MAX)
			return ERR_LIMIT;
		if (len > 0)
			control.cancelled[len++] = ' ';
		memcpy(control.cancelled + len, name, strlen(name) + 1);
	}
	memcpy(ret, control.cancelled, sizeof(control.cancelled));
	return 0;
}

int control_cancelled_remove(const char *value, const char *campaign, char ret[CONTROL_TAG_MAX + 1])
{
	struct named named = {.campaign = campaign, .bytes = strlen(campaign)};
	struct control control = {.paused = false};
	const char *from = control.cancelled, *name;
	char left[CONTROL_TAG_MAX + 1];
	size_t bytes, len = 0;
	bool found = false;

	if (read_cancelled(value, &control) != 0)
		return ERR_ARGUMENT;
	while (next_name(&from, &name, &bytes)) {
		if (is_named(&named, name, bytes)) {
			found = true;
			continue;
		}
		if (len > 0)
			left[len++] = ' ';
		memcpy(left + len, name, bytes);
		len += bytes;
	}
	left[len] = '\0';
	if (!found)
		return ERR_NOT_FOUND;
	memcpy(ret, left, len + 1);
	return 0;
}
