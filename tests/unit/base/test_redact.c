/* What of a provider's answer may be shown. */
#include "base/redact.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#define SECRET "k/9+aB\"c=z"

static size_t run(const char *text, size_t len, size_t at)
{
	size_t n = sizeof(SECRET) - 1;

	return len - at >= n && memcmp(text + at, SECRET, n) == 0 ? at + n : at;
}

static size_t begun(const char *text, size_t len)
{
	for (size_t n = sizeof(SECRET) - 2; n > 0; n--)
		if (n <= len && memcmp(text + len - n, SECRET, n) == 0)
			return n;
	return 0;
}

static const struct redact_secrets known = {.run = run, .begun = begun};

static const struct row {
	const char *text, *shown;
} rows[] = {
	{"", ""},
	{"no such user", "no such user"},
	/* A known secret, as it is and in other clothes. */
	{"x" SECRET "y", "x[redacted]y"},
	{SECRET SECRET, "[redacted]"},
	{"\"k\\/9+aB\\\"c=z\"", "\"[redacted]\""},
	{"\"\\u006b/9\\u002baB\\u0022c=z\"", "\"[redacted]\""},
	{"?k=k%2F9%2BaB%22c%3Dz&x=1", "?k=[redacted]&x=1"},
	{"?k=k%2f9%2baB%22c%3dz", "?k=[redacted]"},
	{"k/9+aB\"c=", "k/9+aB\"c="}, /* not all of it, and the text is whole */
	/* Behind a scheme. */
	{"got Bearer abcdefgh12, sorry", "got Bearer [redacted], sorry"},
	{"got 'BEARER  abc.DEF-123_~+/=='", "got 'BEARER  [redacted]'"},
	{"h=Bearer%20abcdefgh&y", "h=Bearer%20[redacted]&y"},
	{"h=Bearer+abcdefgh&y", "h=Bearer+[redacted]&y"},
	{"Basic dXNlcjpwYXNz", "Basic [redacted]"},
	{"the bearer of it", "the bearer of it"},
	{"a Token is missing", "a Token is missing"},
	{"forbearer abcdefgh12", "forbearer abcdefgh12"},
	/* Behind a name. */
	{"{\"password\":\"a\",\"x\":\"b\"}", "{\"password\":\"[redacted]\",\"x\":\"b\"}"},
	{"{\"device_token\" : \"ab \\\" c\" }", "{\"device_token\" : \"[redacted]\" }"},
	{"{\\\"api-key\\\":\\\"abc\\\",\\\"n\\\":1}",
		"{\\\"api-key\\\":\\\"[redacted]\\\",\\\"n\\\":1}"},
	{"{\"apiKey\":\"abc", "{\"apiKey\":\"[redacted]"},
	{"client_secret=abcdefgh&x=1", "client_secret=[redacted]&x=1"},
	{"X-Api-Key: abcdefgh\r\nB: c", "X-Api-Key: [redacted]\r\nB: c"},
	{"Set-Cookie: sid=abcdefgh; Path=/", "Set-Cookie: [redacted]; Path=/"},
	{"Authorization: Bearer abcdefgh12", "Authorization: Bearer [redacted]"},
	{"{\"Authorization\":\"Key x y\"}", "{\"Authorization\":\"[redacted]\"}"},
	{"token: invalid", "token: invalid"},
	{"{\"token\":null,\"code\":4}", "{\"token\":null,\"code\":4}"},
	{"{\"tokens\":\"12\"}", "{\"tokens\":\"12\"}"},
	{"=abcdefghij", "=abcdefghij"},
	/* Long runs. */
	{"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_-1", "[redacted]"},
	{"the key is 0123456789abcdef01234567", "the key is [redacted]"},
	{"0123456789abcdef01234567", "0123456789abcdef01234567"},
	{"key of 2021-11-26", "key of 2021-11-26"},
	{"Invalid key: see /documentation", "Invalid key: see /documentation"},
	/* People. */
	{"to tanaka.taro+x@mail.example.co.jp.", "to t***@mail.example.co.jp."},
	{"<a@b.c>", "<***@b.c>"},
	{"a@b, @x, x@", "a@b, @x, x@"},
	{"+819012345678", "+81***78"},
	{"\"+1 (212) 555-0123\"", "\"+1 (2***23\""},
	{"090-1234-5678 and", "09***78 and"},
	{"09012345678", "09***78"},
	{"819012345678,", "81***78,"},
	{"id-819012345678 819012345678a", "id-819012345678 819012345678a"},
	{"1234567890123456", "1234567890123456"},
	{"2021-11-26 08:00:00", "2021-11-26 08:00:00"},
	{"10.0.0.1:8080 code 12345", "10.0.0.1:8080 code 12345"},
	{"+1234567", "+1234567"},
};

static void test_rows(void **state)
{
	char out[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = redact_excerpt(
			&known, rows[i].text, strlen(rows[i].text), false, out, sizeof(out) - 1);

		out[n] = '\0';
		assert_string_equal(out, rows[i].shown);
	}
}

/* Wherever the answer was cut, no part of the secret is left. */
static void test_cut_answers(void **state)
{
	static const char whole[] = "of " SECRET;
	char out[64];

	for (size_t len = 4; len < sizeof(whole); len++) {
		size_t n = redact_excerpt(&known, whole, len, true, out, sizeof(out) - 1);

		out[n] = '\0';
		assert_string_equal(out, "of [redacted]");
	}
	assert_int_equal(redact_excerpt(&known, "x@mail", 6, true, out, sizeof(out)), 8);
	assert_int_equal(redact_excerpt(&known, "xy@mail", 7, true, out, sizeof(out)), 9);
	assert_memory_equal(out, "x***@mail", 9);
}

/* Each size: between two characters, and no half of a mark. */
static void test_small_room(void **state)
{
	static const char text[] = "\xe5\x88\x86\xe8\xba\xab " SECRET " x";
	static const char shown[] = "\xe5\x88\x86\xe8\xba\xab [redacted] x";
	char out[64];

	for (size_t size = 0; size < sizeof(shown) + 4; size++) {
		size_t n = redact_excerpt(&known, text, sizeof(text) - 1, false, out, size);

		assert_true(n <= size && n < sizeof(shown));
		assert_memory_equal(out, shown, n);
		assert_true(utf8_is_valid(out, n));
		assert_true(n <= 7 || n >= 17);
	}
}

static void test_long_answers(void **state)
{
	static char text[2 * REDACT_INPUT_MAX], out[2 * REDACT_INPUT_MAX];

	memset(text, ' ', sizeof(text));
	memcpy(text + REDACT_INPUT_MAX - 3, SECRET, sizeof(SECRET) - 1);
	assert_int_equal(redact_excerpt(&known, text, sizeof(text), false, out, sizeof(out)),
		REDACT_INPUT_MAX - 3 + sizeof(REDACT_MARK) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_cut_answers),
		cmocka_unit_test(test_small_room),
		cmocka_unit_test(test_long_answers),
	};

	return cmocka_run_group_tests_name("base/redact", tests, NULL, NULL);
}
