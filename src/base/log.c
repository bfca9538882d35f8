#include "base/log.h"

#include "base/log_journal.h"
#include "base/log_secrets.h"
#include "base/units.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WRITE_WAIT_MS 100

static struct {
	enum log_level level;
	int fd;
	bool decided; /* json and colour are known */
	bool json;
	bool colour;
	bool half_written; /* the last line stopped in its middle */
	bool has_clock;
	struct clock clock;
	unsigned worker;
	int journal; /* socket; -1: lines go to fd */
} state = {.level = LOG_LEVEL_INFO, .fd = STDERR_FILENO, .journal = -1};

static const struct {
	const char *name;
	const char *padded;
	const char *colour;
	char priority; /* of syslog(3) */
} levels[] = {
	[LOG_LEVEL_DEBUG] = {"debug", "DEBUG", "\033[2m", '7'},
	[LOG_LEVEL_INFO] = {"info", "INFO ", "\033[32m", '6'},
	[LOG_LEVEL_WARN] = {"warn", "WARN ", "\033[33m", '4'},
	[LOG_LEVEL_ERROR] = {"error", "ERROR", "\033[31m", '3'},
};

#define COLOUR_END "\033[0m"
#define JSON_TRUNCATED ",\"truncated\":true"
#define TEXT_TRUNCATED " truncated=true"
#define LINE_END_MAX (sizeof(JSON_TRUNCATED "}\n") - 1)

/* The line being built; what ends it always has room behind `limit`. */
static struct {
	char text[3 * LOG_LINE_MAX]; /* more than LOG_LINE_MAX: an entry of the journal */
	size_t len;
	size_t limit;
	bool truncated;
} line;

#define ESCAPE_MAX 6 /* \u0000 */

/* One value on its way to the line. Longer than a line is never needed. */
static struct {
	char raw[LOG_LINE_MAX]; /* redacted */
	size_t raw_len;
	bool cut; /* `raw` is only its beginning */
	char escaped[LOG_LINE_MAX * ESCAPE_MAX];
	uint8_t flags[LOG_LINE_MAX * ESCAPE_MAX]; /* of each byte of `escaped` */
	size_t escaped_len;
} value;

#define STARTS_UNIT 1 /* first byte of a character or an escape, which is never split */
#define IS_SECRET 2

static void choose_journal(bool wanted)
{
	wanted = wanted && log_journal_is(state.fd, getenv("JOURNAL_STREAM"));
	if (wanted && state.journal < 0)
		state.journal = log_journal_open();
	if (!wanted && state.journal >= 0) {
		close(state.journal);
		state.journal = -1;
	}
}

static void decide(enum log_format format)
{
	const char *no_color = getenv("NO_COLOR");
	bool terminal = isatty(state.fd);

	choose_journal(format == LOG_FORMAT_AUTO && !terminal);
	state.json = format == LOG_FORMAT_JSON ||
		     (format == LOG_FORMAT_AUTO && !terminal && state.journal < 0);
	/* no-color.org: any value but the empty one counts. */
	state.colour = !state.json && terminal && !(no_color && *no_color);
	state.decided = true;
}

void log_configure(enum log_level level, enum log_format format, int fd, const struct clock *clock)
{
	state.level = level;
	state.fd = fd;
	state.half_written = false;
	state.has_clock = clock != NULL;
	if (clock)
		state.clock = *clock;
	decide(format);
}

void log_set_worker(unsigned number)
{
	state.worker = number;
}

bool log_enabled(enum log_level level)
{
	return level >= state.level;
}

/* For what is known to fit. */
static void put(const char *text, size_t len)
{
	memcpy(line.text + line.len, text, len);
	line.len += len;
}

/* All of it or nothing; once something did not fit, nothing does. */
static bool append(const char *text, size_t len)
{
	if (line.truncated || len > line.limit - line.len) {
		line.truncated = true;
		return false;
	}
	put(text, len);
	return true;
}

static bool append_string(const char *text)
{
	return append(text, strlen(text));
}

/* Fills value.raw: the text without its secrets, as far as it may be needed. */
static void take_raw(const char *text, size_t len)
{
	const size_t mark_len = sizeof(LOG_SECRETS_MARK) - 1;
	size_t i = 0;

	value.raw_len = 0;
	while (i < len && value.raw_len + mark_len <= sizeof(value.raw)) {
		size_t end = log_secrets_run(text, len, i);

		if (end == i) {
			value.raw[value.raw_len++] = text[i++];
		} else {
			memcpy(value.raw + value.raw_len, LOG_SECRETS_MARK, mark_len);
			value.raw_len += mark_len;
			i = end;
		}
	}
	value.cut = i < len;
}

/* Of ASCII, DEL, and the C1 controls, which some terminals obey too. */
static bool is_control(const unsigned char *p, size_t n)
{
	return (n == 1 && (p[0] < 0x20 || p[0] == 0x7F)) || (n == 2 && p[0] == 0xC2 && p[1] < 0xA0);
}

/* Writes the character of n bytes (0: an ill-formed one) as a line can hold it. */
static size_t escape(const char *text, size_t n, bool quoted, char out[ESCAPE_MAX])
{
	static const char letters[0x20] = {['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)text;
	char letter = p[0] < 0x20 ? letters[p[0]] : '\0';

	if (n == 0) {
		memcpy(out, UTF8_REPLACEMENT, 3);
		return 3;
	}
	if (quoted && (*text == '"' || *text == '\\'))
		letter = *text;
	if (letter) {
		out[0] = '\\';
		out[1] = letter;
		return 2;
	}
	if (is_control(p, n)) {
		memcpy(out, "\\u00", 4);
		out[4] = hex[p[n - 1] >> 4];
		out[5] = hex[p[n - 1] & 15];
		return 6;
	}
	memcpy(out, text, n);
	return n;
}

/*
 * Fills value.escaped from value.raw and marks what must not be shown: a secret may also come
 * about through the escapes.
 */
static void escape_raw(bool quoted)
{
	size_t len = 0;

	for (size_t i = 0; i < value.raw_len;) {
		size_t n = utf8_sequence(value.raw + i, value.raw_len - i);
		size_t written = escape(value.raw + i, n, quoted, value.escaped + len);

		memset(value.flags + len, 0, written);
		value.flags[len] = STARTS_UNIT;
		len += written;
		i += n ? n : 1;
	}
	value.escaped_len = len;
	for (size_t i = 0; i < len; i++) {
		size_t end = log_secrets_run(value.escaped, len, i);

		for (; i < end; i++)
			value.flags[i] |= IS_SECRET;
	}
}

static size_t unit_end(size_t at, bool *ret_secret)
{
	bool secret = false;

	do {
		secret |= (value.flags[at] & IS_SECRET) != 0;
		at++;
	} while (at < value.escaped_len && !(value.flags[at] & STARTS_UNIT));
	*ret_secret = secret;
	return at;
}

static void append_escaped(void)
{
	size_t len = value.escaped_len;
	bool in_secret = false;

	/* The start of a secret whose end was cut off would not be recognised. */
	if (value.cut)
		len -= log_secrets_longest() < len ? log_secrets_longest() : len;
	for (size_t i = 0; i < len;) {
		bool secret;
		size_t end = unit_end(i, &secret);

		if (secret && !in_secret && !append_string(LOG_SECRETS_MARK))
			return;
		if (!secret && !append(value.escaped + i, end - i))
			return;
		in_secret = secret;
		i = end;
	}
	if (value.cut)
		line.truncated = true;
}

/* In text, a value stands bare where that cannot be misread. */
static bool needs_quotes(void)
{
	for (size_t i = 0; i < value.raw_len; i++) {
		unsigned char c = (unsigned char)value.raw[i];

		if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7F)
			return true;
	}
	return value.raw_len == 0;
}

static void append_bare(const char *text, size_t len)
{
	take_raw(text, len);
	escape_raw(false);
	append_escaped();
}

static void append_value(const char *text, size_t len)
{
	bool quoted;

	take_raw(text, len);
	quoted = state.json || needs_quotes();
	escape_raw(quoted);
	if (!quoted) {
		append_escaped();
		return;
	}
	put("\"", 1);
	line.limit--;
	append_escaped();
	line.limit++;
	put("\"", 1);
}

static bool append_number(int64_t number)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%" PRId64, number);

	for (int i = 0; i < len; i++) {
		if (log_secrets_run(text, (size_t)len, (size_t)i) > (size_t)i) {
			append_value(text, (size_t)len);
			return true;
		}
	}
	return append(text, (size_t)len);
}

/* The key with what goes around it, if that and an empty value have room. */
static bool append_key(const char *key)
{
	size_t start = line.len;
	bool fits = state.json ? append(",\"", 2) && append_string(key) && append("\":", 2)
			       : append(" ", 1) && append_string(key) && append("=", 1);

	if (fits && line.limit - line.len >= 2)
		return true;
	line.len = start;
	line.truncated = true;
	return false;
}

static void append_field(const struct log_field *field)
{
	size_t start = line.len;

	if (field->kind == LOG_FIELD_ID || (field->kind != LOG_FIELD_INT && !field->string))
		return;
	if (!append_key(field->key))
		return;
	if (field->kind == LOG_FIELD_BYTES)
		append_value(field->string, field->len);
	else if (field->kind == LOG_FIELD_STRING)
		append_value(field->string, strlen(field->string));
	else if (!append_number(field->number))
		line.len = start;
}

static int64_t now_epoch_ms(void)
{
	struct timespec now;

	if (state.has_clock)
		return clock_wall_epoch_ms(state.clock);
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void append_head(enum log_level level, const char *message)
{
	char time[UNITS_TEXT_MAX];

	units_format_rfc3339(now_epoch_ms(), time);
	if (state.json) {
		append_string("{\"time\":\"");
		append_string(time);
		append_string("\",\"level\":\"");
		append_string(levels[level].name);
		append_string("\",\"message\":");
		append_value(message, strlen(message));
		return;
	}
	append_string(time);
	append_string(" ");
	append_string(state.colour ? levels[level].colour : "");
	append_string(levels[level].padded);
	append_string(state.colour ? COLOUR_END : "");
	append_string(" ");
	append_bare(message, strlen(message));
}

static void append_end(void)
{
	if (line.truncated && state.json)
		put(JSON_TRUNCATED, sizeof(JSON_TRUNCATED) - 1);
	else if (line.truncated)
		put(TEXT_TRUNCATED, sizeof(TEXT_TRUNCATED) - 1);
	if (state.json)
		put("}", 1);
	put("\n", 1);
}

static bool wait_writable(void)
{
	struct pollfd poll_fd = {.fd = state.fd, .events = POLLOUT};

	return poll(&poll_fd, 1, WRITE_WAIT_MS) > 0;
}

/* Returns how much of it went out. */
static size_t write_fully(const char *text, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(state.fd, text + done, len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || (errno != EINTR && (errno != EAGAIN || !wait_writable())))
			break;
	}
	return done;
}

static void write_line(void)
{
	int saved_errno = errno;
	size_t done;

	/* Or the next reader would see two lines in one. */
	if (state.half_written && write_fully("\n", 1) == 1)
		state.half_written = false;
	if (!state.half_written) {
		done = write_fully(line.text, line.len);
		state.half_written = done > 0 && done < line.len;
	}
	errno = saved_errno;
}

static void append_fields(
	const struct log_field fields[], void (*add)(const struct log_field *field))
{
	if (state.worker)
		add(&LOG_INT("worker", state.worker));
	for (; fields->key; fields++)
		add(fields);
}

static void begin_line(size_t limit)
{
	line.len = 0;
	line.limit = limit - LINE_END_MAX;
	line.truncated = false;
}

static void append_journal_key(const char *key)
{
	append_string("BUNSHIN_");
	for (; *key; key++) {
		char c = *key >= 'a' && *key <= 'z' ? (char)(*key - 'a' + 'A') : *key;

		append(&c, 1);
	}
	append_string("=");
}

/* The whole of it, or what there is room for of its value; or nothing. */
static void append_journal_field(const struct log_field *field)
{
	size_t start = line.len, value_start;

	if ((field->kind != LOG_FIELD_INT && !field->string) || line.len >= line.limit)
		return;
	line.truncated = false;
	if (field->kind == LOG_FIELD_ID)
		append_string("MESSAGE_ID=");
	else
		append_journal_key(field->key);
	value_start = line.len;
	if (line.truncated) {
		line.len = start;
		return;
	}
	if (field->kind == LOG_FIELD_INT)
		append_number(field->number);
	else
		append_bare(field->string,
			field->kind == LOG_FIELD_BYTES ? field->len : strlen(field->string));
	if (line.truncated && line.len == value_start)
		line.len = start;
	else
		put("\n", 1);
}

/* Of the entry, "<4>" and its MESSAGE, where the journal has not taken it. */
static void write_message(enum log_level level, size_t start, size_t end)
{
	char prefix[3] = {'<', levels[level].priority, '>'};

	memmove(line.text + sizeof(prefix), line.text + start, end - start);
	memcpy(line.text, prefix, sizeof(prefix));
	line.len = sizeof(prefix) + end - start;
	write_line();
}

static void write_entry(enum log_level level, const char *message, const struct log_field fields[])
{
	int saved_errno = errno;
	size_t start, end;

	begin_line(LOG_LINE_MAX);
	append_string("PRIORITY=");
	append(&levels[level].priority, 1);
	append_string("\nSYSLOG_IDENTIFIER=bunshin\nMESSAGE=");
	start = line.len;
	append_bare(message, strlen(message));
	append_fields(fields, append_field);
	append_end();
	end = line.len;
	line.limit = sizeof(line.text) - 1;
	append_fields(fields, append_journal_field);
	if (!log_journal_send(state.journal, line.text, line.len))
		write_message(level, start, end);
	errno = saved_errno;
}

void log_write(enum log_level level, const char *message, const struct log_field fields[])
{
	if (!state.decided)
		decide(LOG_FORMAT_AUTO);
	if (state.journal >= 0) {
		write_entry(level, message, fields);
		return;
	}
	begin_line(LOG_LINE_MAX);
	append_head(level, message);
	append_fields(fields, append_field);
	append_end();
	write_line();
}
