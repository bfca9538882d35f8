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
	/* As it looks inside JSON, which is what a logged body or event is; NULL: the same. */
	char *escaped;
	size_t escaped_len;
	unsigned long adds; /* that have not been taken back */
};

static struct {
	struct secret *list;
	size_t count;
	size_t longest;
	bool starts[256]; /* does any secret start with this byte? */
} secrets;

static struct secret *find(const char *text, size_t len)
{
	for (size_t i = 0; i < secrets.count; i++)
		if (secrets.list[i].len == len && memcmp(secrets.list[i].text, text, len) == 0)
			return &secrets.list[i];
	return NULL;
}

static void wipe(char *text, size_t len)
{
	if (text)
		explicit_bzero(text, len);
	free(text);
}

static void note(const char *text, size_t len)
{
	if (!text)
		return;
	secrets.starts[(unsigned char)text[0]] = true;
	if (len > secrets.longest)
		secrets.longest = len;
}

static int copy(const char *text, size_t len, char **ret_copy)
{
	char *bytes = malloc(len);

	if (!bytes)
		return ERR_NOMEM;
	*ret_copy = memcpy(bytes, text, len);
	return 0;
}

static int add(const char *text, size_t len, const struct buf *escaped)
{
	struct secret *list, secret = {.len = len, .adds = 1};
	int err;

	list = realloc(secrets.list, (secrets.count + 1) * sizeof(*list));
	if (!list)
		return ERR_NOMEM;
	secrets.list = list;
	err = copy(text, len, &secret.text);
	if (!err && escaped->len != len) {
		secret.escaped_len = escaped->len;
		err = copy(escaped->data, escaped->len, &secret.escaped);
	}
	if (err) {
		wipe(secret.text, len);
		return err;
	}
	secrets.list[secrets.count++] = secret;
	note(secret.text, secret.len);
	note(secret.escaped, secret.escaped_len);
	return 0;
}

int log_add_secret(const char *text)
{
	size_t len = strlen(text);
	struct buf escaped = BUF_INIT(SIZE_MAX / 2);
	struct secret *known = find(text, len);
	int err;

	if (len < SECRET_MIN)
		return 0;
	if (known) {
		known->adds++;
		return 0;
	}
	buf_reserve(&escaped, len * 6);
	err = buf_append_json(&escaped, text, len);
	if (!err)
		err = add(text, len, &escaped);
	buf_wipe(&escaped);
	return err;
}

void log_remove_secret(const char *text)
{
	struct secret *secret = find(text, strlen(text));

	if (!secret || --secret->adds > 0)
		return;
	wipe(secret->text, secret->len);
	wipe(secret->escaped, secret->escaped_len);
	*secret = secrets.list[--secrets.count];
	secrets.longest = 0;
	memset(secrets.starts, 0, sizeof(secrets.starts));
	for (size_t i = 0; i < secrets.count; i++) {
		note(secrets.list[i].text, secrets.list[i].len);
		note(secrets.list[i].escaped, secrets.list[i].escaped_len);
	}
}

void log_clear_secrets(void)
{
	for (size_t i = 0; i < secrets.count; i++) {
		wipe(secrets.list[i].text, secrets.list[i].len);
		wipe(secrets.list[i].escaped, secrets.list[i].escaped_len);
	}
	free(secrets.list);
	memset(&secrets, 0, sizeof(secrets));
}

size_t log_secrets_longest(void)
{
	return secrets.longest;
}

static bool starts_with(const char *text, size_t len, const char *secret, size_t secret_len)
{
	return secret && secret_len <= len && memcmp(text, secret, secret_len) == 0;
}

/* The end of the longest secret that starts at text[at], or `at`. */
static size_t match(const char *text, size_t len, size_t at)
{
	size_t longest = 0;

	if (!secrets.starts[(unsigned char)text[at]])
		return at;
	for (size_t i = 0; i < secrets.count; i++) {
		const struct secret *s = &secrets.list[i];

		if (s->len > longest && starts_with(text + at, len - at, s->text, s->len))
			longest = s->len;
		if (s->escaped_len > longest &&
			starts_with(text + at, len - at, s->escaped, s->escaped_len))
			longest = s->escaped_len;
	}
	return at + longest;
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

/* How much of the secret the text ends in, all of it left out. */
static size_t begun(const char *text, size_t len, const char *secret, size_t secret_len)
{
	size_t most = secret && secret_len > 0 ? secret_len - 1 : 0;

	for (size_t n = most < len ? most : len; n > 0; n--)
		if (memcmp(text + len - n, secret, n) == 0)
			return n;
	return 0;
}

static size_t begun_any(const char *text, size_t len)
{
	size_t longest = 0;

	for (size_t i = 0; i < secrets.count; i++) {
		const struct secret *s = &secrets.list[i];
		size_t plain = begun(text, len, s->text, s->len);
		size_t escaped = begun(text, len, s->escaped, s->escaped_len);

		longest = plain > longest ? plain : longest;
		longest = escaped > longest ? escaped : longest;
	}
	return longest;
}

const struct redact_secrets log_secrets_known = {.run = log_secrets_run, .begun = begun_any};

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
