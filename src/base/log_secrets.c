#include "base/log_secrets.h"

#include "base/buf.h"
#include "base/log.h"
#include "bunshin/error.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_MIN 4

struct secret {
	char *text;
	size_t len;
};

static struct {
	struct secret *list;
	size_t count;
	size_t longest;
	bool starts[256]; /* does any secret start with this byte? */
} secrets;

static bool is_known(const char *text, size_t len)
{
	for (size_t i = 0; i < secrets.count; i++)
		if (secrets.list[i].len == len && memcmp(secrets.list[i].text, text, len) == 0)
			return true;
	return false;
}

static int add(const char *text, size_t len)
{
	struct secret *list;
	char *copy;

	if (is_known(text, len))
		return 0;
	list = realloc(secrets.list, (secrets.count + 1) * sizeof(*list));
	if (!list)
		return ERR_NOMEM;
	secrets.list = list;
	copy = malloc(len);
	if (!copy)
		return ERR_NOMEM;
	memcpy(copy, text, len);
	secrets.list[secrets.count++] = (struct secret){.text = copy, .len = len};
	secrets.starts[(unsigned char)text[0]] = true;
	if (len > secrets.longest)
		secrets.longest = len;
	return 0;
}

int log_add_secret(const char *secret)
{
	size_t len = strlen(secret);
	struct buf escaped = BUF_INIT(SIZE_MAX / 2);
	int err;

	if (len < SECRET_MIN)
		return 0;
	/* Also as it looks inside JSON, which is what a logged body or event is. */
	buf_reserve(&escaped, len * 6);
	err = buf_append_json(&escaped, secret, len);
	if (!err)
		err = add(secret, len);
	if (!err)
		err = add(escaped.data, escaped.len);
	buf_wipe(&escaped);
	return err;
}

void log_clear_secrets(void)
{
	for (size_t i = 0; i < secrets.count; i++) {
		explicit_bzero(secrets.list[i].text, secrets.list[i].len);
		free(secrets.list[i].text);
	}
	free(secrets.list);
	memset(&secrets, 0, sizeof(secrets));
}

size_t log_secrets_longest(void)
{
	return secrets.longest;
}

/* The end of the longest secret that starts at text[at], or `at`. */
static size_t match(const char *text, size_t len, size_t at)
{
	size_t end = at;

	if (!secrets.starts[(unsigned char)text[at]])
		return at;
	for (size_t i = 0; i < secrets.count; i++) {
		const struct secret *secret = &secrets.list[i];

		if (secret->len <= len - at && at + secret->len > end &&
			memcmp(text + at, secret->text, secret->len) == 0)
			end = at + secret->len;
	}
	return end;
}

size_t log_secrets_run(const char *text, size_t len, size_t at)
{
	size_t end = at;

	for (size_t i = at; i <= end && i < len; i++) {
		size_t match_end = match(text, len, i);

		if (match_end > i && match_end > end)
			end = match_end;
	}
	return end;
}

void log_redact(char *text)
{
	const size_t mark_len = sizeof(LOG_SECRETS_MARK) - 1;
	size_t len = strlen(text), to = 0;

	for (size_t i = 0; i < len;) {
		size_t end = log_secrets_run(text, len, i);

		if (end == i) {
			text[to++] = text[i++];
		} else if (end - i >= mark_len) {
			memcpy(text + to, LOG_SECRETS_MARK, mark_len);
			to += mark_len;
			i = end;
		} else {
			memset(text + to, '*', end - i);
			to += end - i;
			i = end;
		}
	}
	text[to] = '\0';
}
