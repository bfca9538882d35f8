/* Text inside HTML: every byte, every pair of bytes, and what is no UTF-8. */
#include "base/html.h"

#include "base/utf8.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *text, const char *expected)
{
	struct buf out = BUF_INIT(10000);

	assert_int_equal(html_append(&out, text), 0);
	assert_string_equal(buf_string(&out), expected);
	buf_free(&out);
}

static void texts(void **state)
{
	(void)state;
	expect("", "");
	expect("good morning", "good morning");
	expect("<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;");
	expect("\" onload=\"x", "&quot; onload=&quot;x");
	expect("&lt;&#60;&amp", "&amp;lt;&amp;#60;&amp;amp");
	expect("-->]]><!--", "--&gt;]]&gt;&lt;!--");
	expect("a\tb\nc\rd\x01\x7f", "a b c d  ");
	expect("\xe3\x81\x8a\xe3\x81\xaf \xf0\x9f\x8c\x85",
		"\xe3\x81\x8a\xe3\x81\xaf \xf0\x9f\x8c\x85");
	expect("\xc2\x80\xc2\x9f\xc2\xa0", "  \xc2\xa0");
}

static void what_is_no_utf8(void **state)
{
	(void)state;
	expect("\xff", "\xef\xbf\xbd");
	expect("a\xc3", "a\xef\xbf\xbd");
	expect("\xc0\xbc", "\xef\xbf\xbd\xef\xbf\xbd");			     /* "<" in two bytes */
	expect("\xe0\x80\xbc<", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd&lt;"); /* in three */
	expect("\xe3<", "\xef\xbf\xbd&lt;"); /* a sequence does not swallow what follows it */
	expect("\xf0\x9f\x8c<", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd&lt;");
}

/* Nothing but references, and no character that HTML has no place for. */
static void assert_is_text(const char *html, size_t len)
{
	static const char *const references[] = {"&lt;", "&gt;", "&amp;", "&quot;", "&#39;"};

	assert_true(utf8_is_valid(html, len));
	for (size_t i = 0; i < len; i++) {
		bool known = html[i] != '&';

		assert_null(memchr("<>\"'", html[i], 4));
		assert_true((unsigned char)html[i] >= 0x20 && html[i] != 0x7f);
		for (size_t j = 0; j < 5; j++)
			known = known ||
				strncmp(html + i, references[j], strlen(references[j])) == 0;
		assert_true(known);
	}
}

static void every_three_bytes(void **state)
{
	static const unsigned char third[] = {0, '<', '"', ';', 0x80, 0x9f, 0xbc, 0xe3};
	struct buf out = BUF_INIT(10000);

	(void)state;
	for (int first = 1; first < 256; first++)
		for (int second = 0; second < 256; second++)
			for (size_t i = 0; i < sizeof(third); i++) {
				char text[] = {(char)first, (char)second, (char)third[i], '\0'};

				buf_clear(&out);
				assert_int_equal(html_append(&out, text), 0);
				assert_is_text(buf_string(&out), out.len);
			}
	buf_free(&out);
}

static void a_full_buffer(void **state)
{
	struct buf out = BUF_INIT(5);

	(void)state;
	assert_int_equal(html_append(&out, "<<"), ERR_TOO_LARGE);
	assert_int_equal(html_append(&out, "a"), ERR_TOO_LARGE);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(what_is_no_utf8),
		cmocka_unit_test(every_three_bytes),
		cmocka_unit_test(a_full_buffer),
	};

	return cmocka_run_group_tests_name("base/html", tests, NULL, NULL);
}
