#include "admin/guard.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define SCHEME "Bearer "

/* Blanks behind a header's value are kept. */
static size_t trimmed_length(const char *text)
{
	size_t len = strlen(text);

	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	return len;
}

/* As many steps as what was sent is long, whatever it is. */
static bool is_token(const char *token, const char *sent, size_t sent_len)
{
	size_t token_len = strlen(token);
	volatile unsigned difference = token_len != sent_len;

	for (size_t i = 0; i < sent_len; i++)
		difference |= (unsigned char)sent[i] ^ (unsigned char)token[i % (token_len + 1)];
	return difference == 0 && token_len > 0;
}

enum guard_verdict guard_judge(
	struct guard *guard, const struct guard_request *request, uint64_t now_ms)
{
	const char *sent = request->authorization;

	if (origin_judge(&request->origin, NULL, 0) == ORIGIN_FOREIGN)
		return GUARD_FOREIGN;
	if (guard->token == NULL)
		return GUARD_READ_ONLY;
	if (sent == NULL)
		return GUARD_MISSING;
	if (guard->tried && now_ms - guard->tried_ms < GUARD_TRY_MS)
		return GUARD_TOO_SOON;
	if (strncasecmp(sent, SCHEME, strlen(SCHEME)) == 0) {
		sent += strlen(SCHEME);
		sent += strspn(sent, " ");
		if (is_token(guard->token, sent, trimmed_length(sent)))
			return GUARD_FINE;
	}
	guard->tried = true;
	guard->tried_ms = now_ms;
	return GUARD_WRONG;
}

static bool is_browser(const struct guard_reader *reader)
{
	return reader->origin != NULL || reader->sec_fetch_site != NULL ||
	       reader->accept_language != NULL ||
	       (reader->user_agent != NULL && strncasecmp(reader->user_agent, "Mozilla/", 8) == 0);
}

bool guard_may_read(const struct guard_reader *reader, const char *const hosts[], size_t host_count)
{
	return !is_browser(reader) || origin_is_safe_host(reader->host, hosts, host_count);
}
