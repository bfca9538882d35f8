/*
 * What of a provider's answer may be shown in a log. Pure: the secrets are an argument.
 *
 * Replaced by [redacted]:
 *  - every secret that is known, as it is, and as it looks with JSON escapes (\/, \u002b) or
 *    percent-encoding;
 *  - what stands behind Bearer, Basic, Digest or Token, when it is at least 8 bytes of base64;
 *  - the value of a member, header or parameter (name, ':' or '=', value) whose name ends in
 *    password, passwd, pwd, passphrase, secret, token, authorization, api key, access key, private
 *    key, credential, credentials, signature, cookie, session or session id, whatever stands before
 *    it and however its words are joined; quoted, all of it; bare, when it is at least 8 bytes;
 *  - JSON Web Tokens;
 *  - runs of at least 24 bytes of base64 or hex, with a digit and a letter, that have one of the
 *    words token, secret, key, credential, signature, auth in the 40 bytes before them.
 * Shortened with ***:
 *  - e-mail addresses, to their first character (where there are more) and the domain;
 *  - phone numbers, to their first two and last two digits: 10 to 15 digits that stand alone, or 8
 *    to 15 behind a '+', or 9 to 11 with single spaces, dashes or parentheses where the first is 0.
 *
 * It knows no names, postal addresses or ids of people, no secret that is neither known nor near
 * a word that says so, and none that is encoded in another way. docs/logs.md tells that to users.
 */
#ifndef BASE_REDACT_H
#define BASE_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#define REDACT_INPUT_MAX 4096 /* bytes that are looked at; of a longer text, its beginning */
#define REDACT_MARK "[redacted]"
#define REDACT_STARS "***"

struct redact_secrets {
	/* The end of the run of secrets that starts at text[at]; `at`: none does. */
	size_t (*run)(const char *text, size_t len, size_t at);
	/* How many bytes at the end of the text are the beginning of a secret, and not all of it.
	 */
	size_t (*begun)(const char *text, size_t len);
};

/*
 * Writes at most `size` bytes to out (no NUL) and returns how many. It ends between two characters
 * and not inside a mark; ill-formed UTF-8 and control characters pass as they are. `cut`: the text
 * is the beginning of a longer one, so that a secret may have lost its end.
 */
size_t redact_excerpt(const struct redact_secrets *secrets, const char *text, size_t len, bool cut,
	char *out, size_t size);

#endif
