#include "base/redact.h"

#include "base/utf8.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#define BARE_MIN 8    /* bytes of a bare value, and of what stands behind a scheme */
#define RUN_MIN 24    /* of base64 or hex beside a word */
#define WORD_REACH 40 /* bytes before such a run */
#define JWT_MIN 20
#define LOCAL_MAX 64	/* RFC 5321, 4.5.3.1.1 */
#define PHONE_DIGITS 15 /* E.164 */

/* What becomes of a byte. */
enum paint { KEEP, SHORTEN, HIDE };

struct canvas {
	const char *text;
	size_t len;
	bool cut;
	uint8_t paint[REDACT_INPUT_MAX];
};

static void paint(struct canvas *canvas, size_t from, size_t to, enum paint paint)
{
	for (size_t i = from; i < to; i++)
		if (canvas->paint[i] < paint)
			canvas->paint[i] = (uint8_t)paint;
}

/* Of ASCII, whatever the locale is. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_word(char c)
{
	return is_digit(c) || is_letter(c);
}

static bool is_base64(char c)
{
	return is_word(c) || (c != '\0' && strchr("+/=-_.~", c) != NULL);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static size_t run_end(const struct canvas *canvas, size_t at, bool (*is)(char c))
{
	while (at < canvas->len && is(canvas->text[at]))
		at++;
	return at;
}

/* ---- known secrets */

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* Of `count` hex digits; -1: they are not. */
static int hex_number(const char *text, size_t left, size_t count)
{
	int number = 0;

	if (left < count)
		return -1;
	for (size_t i = 0; i < count; i++) {
		int digit = hex_value(text[i]);

		if (digit < 0)
			return -1;
		number = number * 16 + digit;
	}
	return number;
}

/* One byte of what the escapes stand for; returns how many bytes say it. */
static size_t decode(const char *text, size_t left, char *ret_byte)
{
	int number = -1;

	*ret_byte = text[0];
	if (text[0] == '%') {
		number = hex_number(text + 1, left - 1, 2);
		*ret_byte = number >= 0 ? (char)number : '%';
		return number >= 0 ? 3 : 1;
	}
	if (text[0] != '\\' || left < 2)
		return 1;
	if (text[1] == 'u') {
		number = hex_number(text + 2, left - 2, 4);
		if (number < 0 || number > 0x7F)
			return 1;
		*ret_byte = (char)number;
		return 6;
	}
	if (strchr("/\"\\", text[1]) == NULL || text[1] == '\0')
		return 1;
	*ret_byte = text[1];
	return 2;
}

static void hide_in(struct canvas *canvas, const struct redact_secrets *secrets, const char *text,
	size_t len, const uint16_t *places)
{
	size_t begun;

	for (size_t i = 0; i < len; i++) {
		size_t end = secrets->run(text, len, i);

		if (end == i)
			continue;
		paint(canvas, places[i], places[end], HIDE);
		i = end - 1;
	}
	begun = canvas->cut ? secrets->begun(text, len) : 0;
	paint(canvas, places[len - begun], places[len], HIDE);
}

static void hide_secrets(struct canvas *canvas, const struct redact_secrets *secrets)
{
	char decoded[REDACT_INPUT_MAX];
	uint16_t places[REDACT_INPUT_MAX + 1];
	size_t count = 0;

	for (size_t i = 0; i <= canvas->len; i++)
		places[i] = (uint16_t)i;
	hide_in(canvas, secrets, canvas->text, canvas->len, places);
	for (size_t i = 0; i < canvas->len; count++) {
		places[count] = (uint16_t)i;
		i += decode(canvas->text + i, canvas->len - i, &decoded[count]);
	}
	places[count] = (uint16_t)canvas->len;
	if (count < canvas->len)
		hide_in(canvas, secrets, decoded, count, places);
}

/* ---- names and their values */

static const char *const names[] = {"password", "passwd", "pwd", "passphrase", "secret", "token",
	"authorization", "apikey", "accesskey", "privatekey", "credential", "credentials",
	"signature", "cookie", "session", "sessionid"};
static const char *const near_words[] = {
	"token", "secret", "key", "credential", "signature", "auth"};
static const char *const schemes[] = {"bearer", "basic", "digest", "token"};

#define NAME_MAX_BYTES 64
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Does what ends at `end` end in one of the names, '-', '_', '.' and single spaces left out? */
static bool is_name(const struct canvas *canvas, size_t end)
{
	char name[NAME_MAX_BYTES];
	size_t len = 0;

	for (size_t i = end; i > 0 && len < sizeof(name); i--) {
		char c = canvas->text[i - 1];

		if (is_word(c))
			name[sizeof(name) - ++len] = c;
		else if (c != '-' && c != '_' && c != '.' && c != ' ')
			break;
	}
	for (size_t i = 0; i < COUNT(names); i++) {
		size_t n = strlen(names[i]);

		if (n <= len && strncasecmp(name + sizeof(name) - n, names[i], n) == 0)
			return true;
	}
	return false;
}

/* A quote of JSON, or one of JSON within JSON: \" */
static size_t quote_at(const struct canvas *canvas, size_t at)
{
	const char *text = canvas->text;

	if (at < canvas->len && (text[at] == '"' || text[at] == '\''))
		return 1;
	return at + 1 < canvas->len && text[at] == '\\' && text[at + 1] == '"' ? 2 : 0;
}

/* Where the value ends that `quote` bytes of quote at `at` open: at the same quote, or the text's
 * end. */
static size_t quoted_end(const struct canvas *canvas, size_t at, size_t quote)
{
	size_t i = at + quote;

	while (i < canvas->len) {
		if (canvas->len - i >= quote &&
			memcmp(canvas->text + i, canvas->text + at, quote) == 0)
			return i;
		/* \" within "...", or \\\" within \"...\" */
		i += canvas->text[i] == '\\' && i + 1 < canvas->len ? 2 : 1;
	}
	return canvas->len;
}

static bool is_bare(char c)
{
	return (unsigned char)c > ' ' && strchr(",;&}])>\"'", c) == NULL;
}

/* At ':' or '=': hides the value when the name asks for it. */
static void hide_value(struct canvas *canvas, size_t at)
{
	size_t name_end = at, value = at + 1, quote, end;

	while (name_end > 0 && is_space(canvas->text[name_end - 1]))
		name_end--;
	while (name_end > 0 &&
		(canvas->text[name_end - 1] == '"' || canvas->text[name_end - 1] == '\'' ||
			canvas->text[name_end - 1] == '\\'))
		name_end--;
	if (!is_name(canvas, name_end))
		return;
	value = run_end(canvas, value, is_space);
	quote = quote_at(canvas, value);
	if (quote > 0) {
		paint(canvas, value + quote, quoted_end(canvas, value, quote), HIDE);
		return;
	}
	end = run_end(canvas, value, is_bare);
	if (end - value >= BARE_MIN)
		paint(canvas, value, end, HIDE);
}

/* Where a word starts: what stands behind it, if it is a scheme. */
static void hide_scheme(struct canvas *canvas, size_t at)
{
	for (size_t i = 0; i < COUNT(schemes); i++) {
		size_t n = strlen(schemes[i]), from, end;

		if (canvas->len - at <= n || strncasecmp(canvas->text + at, schemes[i], n) != 0)
			continue;
		from = run_end(canvas, at + n, is_space);
		/* A form says Bearer+X or Bearer%20X. */
		if (from == at + n && canvas->text[from] == '+')
			from++;
		else if (from == at + n &&
			 strncmp(canvas->text + from, "%20",
				 canvas->len - from < 3 ? canvas->len - from : 3) == 0)
			from += canvas->len - from < 3 ? canvas->len - from : 3;
		else if (from == at + n)
			continue;
		end = run_end(canvas, from, is_base64);
		if (end > from && end - from >= BARE_MIN)
			paint(canvas, from, end, HIDE);
	}
}

/* ---- long runs */

static bool has_word_before(const struct canvas *canvas, size_t at)
{
	size_t from = at > WORD_REACH ? at - WORD_REACH : 0;

	for (size_t i = from; i < at; i++)
		for (size_t k = 0; k < COUNT(near_words); k++) {
			size_t n = strlen(near_words[k]);

			if (n <= at - i && strncasecmp(canvas->text + i, near_words[k], n) == 0)
				return true;
		}
	return false;
}

static void hide_run(struct canvas *canvas, size_t at, size_t end)
{
	const char *text = canvas->text + at;
	size_t len = end - at;
	bool digits = false, letters = false;

	for (size_t i = 0; i < len; i++) {
		digits |= is_digit(text[i]);
		letters |= is_letter(text[i]);
	}
	if (len >= JWT_MIN && memcmp(text, "eyJ", 3) == 0 && memchr(text, '.', len) != NULL)
		paint(canvas, at, end, HIDE);
	else if (len >= RUN_MIN && digits && letters && has_word_before(canvas, at))
		paint(canvas, at, end, HIDE);
}

/* ---- addresses and numbers */

static bool is_local(char c)
{
	return is_word(c) || (c != '\0' && strchr(".!#$%&'*+/=?^_`{|}~-", c) != NULL);
}

static bool is_domain(char c)
{
	return is_word(c) || c == '.' || c == '-';
}

/* At '@'. */
static void shorten_address(struct canvas *canvas, size_t at)
{
	size_t from = at, end = run_end(canvas, at + 1, is_domain);
	const char *domain = canvas->text + at + 1;

	while (from > 0 && at - from < LOCAL_MAX && is_local(canvas->text[from - 1]))
		from--;
	if (from == at || end == at + 1)
		return;
	if (memchr(domain, '.', end - at - 1) == NULL && !(canvas->cut && end == canvas->len))
		return;
	paint(canvas, from + (at - from > 1), at, SHORTEN);
}

struct number {
	size_t digits[PHONE_DIGITS + 1]; /* where they stand */
	size_t count, end;
	bool separated;
};

static bool is_separator(char c)
{
	return c == ' ' || c == '-' || c == '.' || c == '(' || c == ')';
}

static void read_number(const struct canvas *canvas, size_t at, struct number *number)
{
	const char *text = canvas->text;

	*number = (struct number){.end = at};
	for (size_t i = at; i < canvas->len; i++) {
		if (is_digit(text[i])) {
			if (number->count <= PHONE_DIGITS)
				number->digits[number->count++] = i;
			number->end = i + 1;
			continue;
		}
		/* Two beside each other only where a parenthesis is one of them. */
		if (!is_separator(text[i]) ||
			(i > at && !is_digit(text[i - 1]) && text[i] != '(' && text[i - 1] != ')'))
			break;
		if (i + 1 < canvas->len && (is_digit(text[i + 1]) || is_separator(text[i + 1])))
			number->separated = true;
	}
}

static bool stands_alone(const struct canvas *canvas, size_t at, size_t end)
{
	char before = at > 0 ? canvas->text[at - 1] : ' ';
	char after = end < canvas->len ? canvas->text[end] : ' ';

	return !is_word(before) && strchr("-_.", before) == NULL && !is_word(after) &&
	       strchr("-_", after) == NULL;
}

static size_t shorten_number(struct canvas *canvas, size_t at)
{
	bool plus = at > 0 && canvas->text[at - 1] == '+';
	size_t plain = run_end(canvas, at, is_digit), count;
	struct number number;

	read_number(canvas, at, &number);
	/* Without a '+' or a 0, digits beside other digits are two numbers, or a date. */
	if (!plus && canvas->text[at] != '0' && plain < number.end) {
		number.count = plain - at;
		for (size_t i = 0; i < number.count && i <= PHONE_DIGITS; i++)
			number.digits[i] = at + i;
		number.separated = false;
		number.end = plain;
	}
	count = number.count;
	if (count > PHONE_DIGITS || !stands_alone(canvas, plus ? at - 1 : at, number.end))
		return plain;
	if (!(plus ? count >= 8 : number.separated ? count >= 9 && count <= 11 : count >= 10))
		return plain;
	paint(canvas, number.digits[2], number.digits[count - 2], SHORTEN);
	return number.end;
}

/* ---- all of it */

static void look(struct canvas *canvas)
{
	const char *text = canvas->text;
	size_t run_from = 0, number_from = 0;

	for (size_t i = 0; i < canvas->len; i++) {
		bool starts_word = is_word(text[i]) && (i == 0 || !is_word(text[i - 1]));

		if (text[i] == ':' || text[i] == '=')
			hide_value(canvas, i);
		if (text[i] == '@')
			shorten_address(canvas, i);
		if (starts_word)
			hide_scheme(canvas, i);
		if (i >= run_from && is_base64(text[i])) {
			run_from = run_end(canvas, i, is_base64);
			hide_run(canvas, i, run_from);
		}
		if (i >= number_from && is_digit(text[i]))
			number_from = shorten_number(canvas, i);
	}
}

static size_t write_out(const struct canvas *canvas, char *out, size_t size)
{
	static const char *const marks[] = {[SHORTEN] = REDACT_STARS, [HIDE] = REDACT_MARK};
	size_t len = 0, step;

	for (size_t i = 0; i < canvas->len; i += step) {
		enum paint is = canvas->paint[i];
		const char *what = canvas->text + i;
		size_t bytes;

		step = 1;
		if (is == KEEP) {
			bytes = utf8_sequence(what, canvas->len - i);
			while (step < bytes && canvas->paint[i + step] == KEEP)
				step++;
			bytes = step;
		} else {
			while (i + step < canvas->len && canvas->paint[i + step] == (uint8_t)is)
				step++;
			what = marks[is];
			bytes = strlen(what);
		}
		if (bytes > size - len)
			break;
		memcpy(out + len, what, bytes);
		len += bytes;
	}
	return len;
}

size_t redact_excerpt(const struct redact_secrets *secrets, const char *text, size_t len, bool cut,
	char *out, size_t size)
{
	struct canvas canvas = {.text = text,
		.len = len < REDACT_INPUT_MAX ? len : REDACT_INPUT_MAX,
		.cut = cut || len > REDACT_INPUT_MAX};

	hide_secrets(&canvas, secrets);
	look(&canvas);
	return write_out(&canvas, out, size);
}
