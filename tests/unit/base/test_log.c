#include "base/json.h"
#include "base/log.h"
#include "base/log_journal.h"
#include "base/log_secrets.h"
#include "base/manual_clock.h"
#include "base/units.h"
#include "bunshin/error.h"
#include "failmalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define TIME "2026-11-23T08:00:00.123Z"
#define HEAD "{\"time\":\"" TIME "\",\"level\":\"info\",\"message\":"

static int ends[2] = {-1, -1}; /* of the pipe that the log writes to */
static char got[4 * LOG_LINE_MAX];
static size_t got_len;
static struct json json;

/* The log's write(2) comes through here: --wrap=write. */
static unsigned write_calls;
static size_t write_most = SIZE_MAX; /* bytes taken by one call */
static bool write_interrupted;	     /* every other call */

ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);

ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
	if (fd != ends[1])
		return __real_write(fd, bytes, len);
	if (write_interrupted && write_calls++ % 2 == 0) {
		errno = EINTR;
		return -1;
	}
	write_calls += !write_interrupted;
	return __real_write(fd, bytes, len < write_most ? len : write_most);
}

static struct manual_clock manual;

static void configure(enum log_level level, enum log_format format)
{
	struct clock clock;

	manual_clock_init(&manual, 1, INT64_C(1795420800123));
	clock = manual_clock_table(&manual);
	log_configure(level, format, ends[1], &clock);
}

static int setup(void **state)
{
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	configure(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
	write_calls = 0;
	write_most = SIZE_MAX;
	write_interrupted = false;
	return 0;
}

static int teardown(void **state)
{
	log_clear_secrets();
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_AUTO, STDERR_FILENO, NULL);
	json_free(&json);
	close(ends[0]);
	close(ends[1]);
	ends[0] = ends[1] = -1;
	return 0;
}

/* What was written since the last time, at most what the pipe holds. */
static const char *drain(void)
{
	ssize_t n;

	got_len = 0;
	while ((n = read(ends[0], got + got_len, sizeof(got) - 1 - got_len)) > 0)
		got_len += (size_t)n;
	got[got_len] = '\0';
	return got;
}

/* The one line since the last time, parsed. */
static const struct json_value *drain_json(void)
{
	drain();
	assert_true(got_len > 0 && got_len <= LOG_LINE_MAX);
	assert_ptr_equal(memchr(got, '\n', got_len), got + got_len - 1);
	if (json_parse(&json, got, got_len) != 0)
		fail_msg("byte %zu: %s", json.error_offset, got);
	return json_root(&json);
}

static void writes_json(void **state)
{
	log_info("worker started", LOG_STR("queue", "http://x/q"), LOG_INT("slots", 500),
		LOG_STR("none", NULL), LOG_BYTES("id", "abcdef", 3), LOG_ERR(ERR_TIMEOUT));
	assert_string_equal(drain(),
		HEAD "\"worker started\",\"queue\":\"http://x/q\",\"slots\":500,\"id\":\"abc\","
		     "\"error\":\"ERR_TIMEOUT\",\"class\":\"transient\"}\n");
	log_info("bare");
	assert_string_equal(drain(), HEAD "\"bare\"}\n");
	log_error("x", LOG_INT("n", INT64_MIN));
	assert_string_equal(drain(), "{\"time\":\"" TIME "\",\"level\":\"error\",\"message\":\"x\","
				     "\"n\":-9223372036854775808}\n");
	assert_int_equal(write_calls, 3);
}

static void writes_text(void **state)
{
	configure(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
	log_info("worker started", LOG_STR("queue", "http://x/q"), LOG_INT("slots", -5),
		LOG_STR("none", NULL), LOG_STR("empty", ""), LOG_STR("spaced", "a b"),
		LOG_STR("quoted", "say \"hi\""), LOG_STR("assigned", "a=b"),
		LOG_STR("lines", "a\nb"), LOG_STR("wide", "分身"));
	assert_string_equal(drain(),
		TIME " INFO  worker started queue=http://x/q slots=-5 empty=\"\" spaced=\"a b\" "
		     "quoted=\"say \\\"hi\\\"\" assigned=\"a=b\" lines=\"a\\nb\" wide=\"分身\"\n");
	log_warn("it's \"so\"\x1b[2J");
	assert_string_equal(drain(), TIME " WARN  it's \"so\"\\u001b[2J\n");
	log_debug("d");
	log_error("e");
	assert_string_equal(drain(), TIME " DEBUG d\n" TIME " ERROR e\n");
	assert_int_equal(write_calls, 4);
}

static void keeps_to_its_level(void **state)
{
	static const enum log_level all[] = {
		LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR};

	for (size_t least = 0; least < 4; least++) {
		configure(all[least], LOG_FORMAT_TEXT);
		for (size_t i = 0; i < 4; i++)
			assert_int_equal(log_enabled(all[i]), i >= least);
		log_debug("x");
		log_info("x");
		log_warn("x");
		log_error("x");
		drain();
		assert_int_equal(write_calls, 4 - least);
		write_calls = 0;
	}
}

static void values_are_not_looked_at_below_the_level(void **state)
{
	int looked = 0;

	configure(LOG_LEVEL_WARN, LOG_FORMAT_JSON);
	log_info("x", LOG_INT("n", ++looked));
	assert_int_equal(looked, 0);
	log_warn("x", LOG_INT("n", ++looked));
	assert_int_equal(looked, 1);
}

/* What it looks like on a terminal, and on a terminal whose user wants no colour. */
static void decides_by_the_descriptor(void **state)
{
	static const struct {
		const char *no_color;
		const char *line;
	} rows[] = {
		{NULL, TIME " \033[33mWARN \033[0m x k=1\r\n"},
		{"", TIME " \033[33mWARN \033[0m x k=1\r\n"},
		{"1", TIME " WARN  x k=1\r\n"},
	};
	int controller = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), terminal;
	struct clock clock = manual_clock_table(&manual);

	assert_true(controller >= 0);
	assert_int_equal(grantpt(controller), 0);
	assert_int_equal(unlockpt(controller), 0);
	terminal = open(ptsname(controller), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(terminal >= 0);
	for (size_t i = 0; i < 3; i++) {
		char text[200] = {0};

		unsetenv("NO_COLOR");
		if (rows[i].no_color)
			setenv("NO_COLOR", rows[i].no_color, 1);
		log_configure(LOG_LEVEL_INFO, LOG_FORMAT_AUTO, terminal, &clock);
		log_warn("x", LOG_INT("k", 1));
		assert_true(read(controller, text, sizeof(text) - 1) > 0);
		assert_string_equal(text, rows[i].line);
	}
	unsetenv("NO_COLOR");
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON, terminal, &clock);
	log_info("x");
	configure(LOG_LEVEL_INFO, LOG_FORMAT_AUTO);
	log_info("x");
	assert_string_equal(drain(), HEAD "\"x\"}\n");
	configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_warn("x");
	assert_string_equal(drain(), TIME " WARN  x\n");
	close(terminal);
	close(controller);
}

/* Each byte, alone and followed by others, in message and value and both forms. */
static void no_byte_breaks_a_line(void **state)
{
	for (int c = 0; c < 256; c++) {
		char text[] = {'<', (char)c, '>', '\0'};
		const struct json_value *root;

		configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
		log_info(text, LOG_BYTES("v", text, 3));
		root = drain_json();
		if (c < 0x80)
			assert_memory_equal(json_member(root, "v")->string, text, 3);
		else
			assert_string_equal(json_text(json_member(root, "v")), "<\xEF\xBF\xBD>");
		configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
		log_info(text, LOG_BYTES("v", text, 3));
		drain();
		for (size_t i = 0; i < got_len - 1; i++)
			assert_true((unsigned char)got[i] >= 0x20 && got[i] != 0x7F);
		assert_int_equal(got[got_len - 1], '\n');
	}
}

static void ill_formed_text_is_replaced(void **state)
{
	log_info(
		"x", LOG_STR("v", "\xFF\xE5\x88|\xED\xA0\x80|\xC0\xAF|\xE5\x88\x86|\xC2\x9B|\x7F"));
	assert_string_equal(drain(), HEAD "\"x\",\"v\":\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD|"
					  "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD|"
					  "\xEF\xBF\xBD\xEF\xBF\xBD|分|\\u009b|\\u007f\"}\n");
}

/* A value of every length around the limit: whole or cut, but always a line of JSON. */
static void long_lines_are_cut(void **state)
{
	static const char *const pieces[] = {
		"x", "\"", "\n", "\x01", "分", "\xF0\x9F\x98\x80", "\xFF"};
	static const size_t widths[] = {1, 2, 2, 6, 3, 4, 3}; /* in the line */
	static char text[LOG_LINE_MAX + 100];

	for (size_t p = 0; p < 7; p++) {
		size_t bytes = strlen(pieces[p]);
		size_t fit = (LOG_LINE_MAX - 100) / widths[p];

		for (size_t count = fit; count < LOG_LINE_MAX / widths[p] + 10; count++) {
			const struct json_value *root;
			bool cut;

			for (size_t i = 0; i < count; i++)
				memcpy(text + i * bytes, pieces[p], bytes);
			log_info("m", LOG_BYTES("v", text, count * bytes));
			root = drain_json();
			cut = json_member(root, "truncated") != NULL;
			assert_int_equal(
				cut, json_member(root, "v")->raw_bytes != count * widths[p] + 2);
			/* Cut no sooner than needed. */
			assert_true(!cut || got_len > LOG_LINE_MAX - 20 - 6);
		}
	}
}

static void what_does_not_fit_is_left_out_whole(void **state)
{
	static char text[LOG_LINE_MAX], after[200];

	memset(after, 'y', sizeof(after) - 1);
	for (size_t len = LOG_LINE_MAX - 500; len < LOG_LINE_MAX; len++) {
		const struct json_value *root, *number, *last;

		memset(text, 'x', len);
		log_info("m", LOG_BYTES("v", text, len), LOG_INT("n", 1234567890123),
			LOG_STR("after", after));
		root = drain_json();
		number = json_member(root, "n");
		last = json_member(root, "after");
		assert_true(!number || number->raw_bytes == 13);
		assert_int_equal(json_member(root, "truncated") == NULL,
			last && last->string_bytes == sizeof(after) - 1);
	}
}

static void text_lines_are_cut_too(void **state)
{
	static char text[LOG_LINE_MAX * 3];

	configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	memset(text, 'x', sizeof(text) - 1);
	log_info(text, LOG_INT("n", 1));
	drain();
	assert_true(got_len <= LOG_LINE_MAX && got_len > LOG_LINE_MAX - 20);
	assert_string_equal(got + got_len - 17, "x truncated=true\n");
	text[0] = ' ';
	log_info("m", LOG_STR("v", text));
	drain();
	assert_true(got_len <= LOG_LINE_MAX && got_len > LOG_LINE_MAX - 20);
	assert_string_equal(got + got_len - 18, "x\" truncated=true\n");
}

static void secrets_are_redacted(void **state)
{
	assert_int_equal(log_add_secret("s3cr3t!"), 0);
	assert_int_equal(log_add_secret("abc"), 0); /* too short */
	assert_int_equal(log_add_secret("12345678"), 0);
	assert_int_equal(log_add_secret("say \"hi\""), 0);
	log_info("m s3cr3t!s3cr3t!", LOG_STR("a", "Bearer s3cr3t!."), LOG_INT("n", 12345678),
		LOG_STR("b", "abc s3cr3t"), LOG_INT("o", 91234567890),
		LOG_STR("c", "say \"hi\", {\"x\":\"say \\\"hi\\\"\"}"));
	assert_string_equal(drain(),
		HEAD "\"m [redacted]\",\"a\":\"Bearer [redacted].\",\"n\":\"[redacted]\","
		     "\"b\":\"abc s3cr3t\",\"o\":\"9[redacted]90\","
		     "\"c\":\"[redacted], {\\\"x\\\":\\\"[redacted]\\\"}\"}\n");
	configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_info("m", LOG_STR("a", "s3cr3t!"), LOG_STR("b", "x=s3cr3t!"), LOG_INT("n", 12345678));
	assert_string_equal(
		drain(), TIME " INFO  m a=[redacted] b=\"x=[redacted]\" n=[redacted]\n");
	log_clear_secrets();
	log_info("m", LOG_STR("a", "s3cr3t!"));
	assert_string_equal(drain(), TIME " INFO  m a=s3cr3t!\n");
}

static const char *redacted(const char *text)
{
	static char copy[200];

	snprintf(copy, sizeof(copy), "%s", text);
	log_redact(copy);
	return copy;
}

static void a_secret_taken_back_may_appear(void **state)
{
	static const char both[] = "<first one> <say \"hi\"> <say \\\"hi\\\"> <third>";

	log_add_secret("first one");
	log_add_secret("say \"hi\"");
	log_add_secret("third");
	assert_string_equal(redacted(both), "<*********> <********> <[redacted]> <*****>");
	log_remove_secret("say \"hi\"");
	assert_string_equal(redacted(both), "<*********> <say \"hi\"> <say \\\"hi\\\"> <*****>");
	log_remove_secret("third");
	log_remove_secret("third");
	log_remove_secret("never added");
	log_remove_secret("abc");
	log_remove_secret("");
	assert_string_equal(redacted(both), "<*********> <say \"hi\"> <say \\\"hi\\\"> <third>");
	log_remove_secret("first one");
	assert_string_equal(redacted(both), both);
	log_add_secret("third");
	assert_string_equal(redacted(both), "<first one> <say \"hi\"> <say \\\"hi\\\"> <*****>");
}

/* Two who know the same secret: it is one until both have taken it back. */
static void a_secret_is_kept_for_each_that_added_it(void **state)
{
	for (int i = 0; i < 3; i++)
		assert_int_equal(log_add_secret("a\"b\"c"), 0);
	/* Also another's text, once that is escaped. */
	assert_int_equal(log_add_secret("a\\\"b\\\"c"), 0);
	log_remove_secret("a\"b\"c");
	log_remove_secret("a\"b\"c");
	assert_string_equal(redacted("a\"b\"c"), "*****");
	log_remove_secret("a\"b\"c");
	assert_string_equal(redacted("a\"b\"c"), "a\"b\"c");
	assert_string_equal(redacted("a\\\"b\\\"c"), "*******");
	log_remove_secret("a\\\"b\\\"c");
	assert_string_equal(redacted("a\\\"b\\\"c"), "a\\\"b\\\"c");
}

static void the_longest_secret_is_known(void **state)
{
	assert_int_equal(log_secrets_longest(), 0);
	log_add_secret("12345678");
	log_add_secret("\"\"\"\"\"");
	assert_int_equal(log_secrets_longest(), 10);
	log_add_secret("123456789012");
	assert_int_equal(log_secrets_longest(), 12);
	log_remove_secret("123456789012");
	assert_int_equal(log_secrets_longest(), 10);
	log_remove_secret("\"\"\"\"\"");
	assert_int_equal(log_secrets_longest(), 8);
	log_remove_secret("12345678");
	assert_int_equal(log_secrets_longest(), 0);
	assert_string_equal(redacted("12345678"), "12345678");
}

static int add_three(void *arg)
{
	static const char *const texts[] = {"first one", "say \"hi\"", "first one"};
	int added = 0, err = 0;

	while (added < 3 && (err = log_add_secret(texts[added])) == 0)
		added++;
	/* A failed one is not there by half, and taking back the others needs no memory. */
	assert_string_equal(redacted("say \"hi\"/say \\\"hi\\\""),
		added > 1 ? "********/[redacted]" : "say \"hi\"/say \\\"hi\\\"");
	while (added > 0)
		log_remove_secret(texts[--added]);
	assert_int_equal(log_secrets_longest(), 0);
	log_clear_secrets();
	return err;
}

static void secrets_that_memory_fails(void **state)
{
	assert_in_range(failmalloc_sweep(add_three, NULL), 5, 20);
	log_add_secret("s3cr3t!");
	failmalloc_arm(1);
	log_remove_secret("s3cr3t!");
	assert_false(failmalloc_disarm());
}

/* Credentials that rotate for years: the one added is always the one before last taken back. */
static void of_rotating_secrets_two_are_known(void **state)
{
	char text[40], old[40];

	for (int i = 0; i < 10000; i++) {
		snprintf(text, sizeof(text), "secret \"number\" %d", i);
		snprintf(old, sizeof(old), "secret \"number\" %d", i - 2);
		assert_int_equal(log_add_secret(text), 0);
		if (i >= 2)
			log_remove_secret(old);
		assert_in_range(log_secrets_longest(), 19, 22);
	}
	assert_string_equal(redacted("secret \"number\" 9997"), "secret \"number\" 9997");
	assert_string_equal(redacted("secret \"number\" 9998"), "[redacted]");
	assert_string_equal(redacted("secret \"number\" 9999"), "[redacted]");
}

static void overlapping_secrets_leave_nothing(void **state)
{
	log_add_secret("abcdef");
	log_add_secret("defghi");
	log_add_secret("cdef");
	log_add_secret("ghijkl");
	log_info("m", LOG_STR("v", "_abcdefghi_abcdefghijkl_xcdefx_abcdexghijk"));
	assert_string_equal(
		drain(), HEAD "\"m\",\"v\":\"_[redacted]_[redacted]_x[redacted]x_abcdexghijk\"}\n");
}

/* A secret that only the escapes bring about; what stays is still JSON. */
static void secrets_made_by_escaping_are_redacted(void **state)
{
	static const struct {
		const char *secret, *value, *line;
	} rows[] = {
		{"nabcd", "x\nabcdx", "x[redacted]x"},
		{"\\nabc", "x\nabcdx", "x[redacted]dx"},
		{"001bx", "a\x1bxb", "a[redacted]b"},
		{"abc\\", "abc\"d", "[redacted]d"},
		{"abc\\", "abc\nd", "[redacted]d"},
		{"xyz\xEF\xBF", "xyz\xFF.", "[redacted]."},
		{"u0001\\u0002", "a\x01\x02\x03", "a[redacted]\\u0003"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char expected[200];

		log_clear_secrets();
		log_add_secret(rows[i].secret);
		log_info("m", LOG_STR("v", rows[i].value));
		drain_json();
		snprintf(expected, sizeof(expected), HEAD "\"m\",\"v\":\"%s\"}\n", rows[i].line);
		assert_string_equal(got, expected);
	}
}

/* A secret at every place near the cut, plain and escaped: not a piece of it comes out. */
static void a_cut_secret_is_still_one(void **state)
{
	static char text[LOG_LINE_MAX + 500];
	static const char *const secrets[] = {
		"QWERTYUIOPASDFGHJKLZXCVBNM", "nQWERTYUIOPASDFGHJKLZXCVBNM"};

	for (size_t s = 0; s < 2; s++) {
		log_clear_secrets();
		log_add_secret(secrets[s]);
		for (size_t at = LOG_LINE_MAX - 200; at < LOG_LINE_MAX + 20; at++) {
			memset(text, 'x', sizeof(text));
			memcpy(text + at, secrets[s], strlen(secrets[s]));
			text[at] = s ? '\n' : text[at];
			log_info("m", LOG_BYTES("v", text, sizeof(text)));
			drain_json();
			assert_null(strstr(got, "QWERT"));
			/* Redactions before it move the cut. */
			for (size_t i = 0; i < at - 60; i += 60) {
				memcpy(text + i, secrets[s], strlen(secrets[s]));
				text[i] = s ? '\n' : text[i];
			}
			log_info("m", LOG_BYTES("v", text, sizeof(text)));
			drain_json();
			assert_null(strstr(got, "QWERT"));
		}
	}
}

static void redacts_in_place(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"", ""},
		{"nothing", "nothing"},
		{"tiny", "****"},
		{"x tiny tinytiny tin", "x **** ******** tin"},
		{"a long secret!", "a [redacted]!"},
		{"tinylong secret", "[redacted]"},
		{"tinytinytiny", "[redacted]"},
	};

	log_add_secret("tiny");
	log_add_secret("long secret");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = strdup(rows[i].text);

		log_redact(text);
		assert_string_equal(text, rows[i].expected);
		free(text);
	}
}

static void logging_allocates_nothing(void **state)
{
	log_add_secret("s3cr3t!");
	failmalloc_arm(1);
	log_info("m s3cr3t!", LOG_STR("v", "a\nb"), LOG_INT("n", 1));
	assert_false(failmalloc_disarm());
}

static void interrupted_and_short_writes_go_on(void **state)
{
	static const char expected[] = HEAD "\"m\",\"k\":\"0123456789\"}\n";

	for (size_t most = 1; most < sizeof(expected); most++) {
		write_interrupted = most % 2;
		write_most = most;
		errno = ENOENT;
		log_info("m", LOG_STR("k", "0123456789"));
		assert_int_equal(errno, ENOENT);
		assert_string_equal(drain(), expected);
	}
}

/* A reader that is stuck: the line is dropped, and the next one starts on its own. */
static void a_full_pipe_does_not_block(void **state)
{
	static char text[LOG_LINE_MAX];

	assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	memset(text, 'x', 6000);
	log_info("m", LOG_STR("v", text));
	drain();
	assert_int_equal(got_len, 4096);
	log_info("next");
	assert_string_equal(drain(), "\n" HEAD "\"next\"}\n");
	log_info("and next");
	assert_string_equal(drain(), HEAD "\"and next\"}\n");
}

static void a_closed_descriptor_is_harmless(void **state)
{
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON, -1, NULL);
	log_info("m");
}

static void real_time_without_a_clock(void **state)
{
	int64_t before = time(NULL) - 1, epoch_ms;
	const char *stamp;

	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON, ends[1], NULL);
	log_info("m");
	stamp = json_text(json_member(drain_json(), "time"));
	assert_non_null(stamp);
	assert_int_equal(units_parse_rfc3339(stamp, &epoch_ms), 0);
	assert_in_range(epoch_ms / 1000, before, before + 3600);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

/* ---- the journal */

static int journal_fd = -1;
static char journal_directory[] = "/tmp/bunshin-journal-XXXXXX";
static char journal_path[64];

static void open_journal(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", journal_path);
	journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(journal_fd >= 0);
	assert_int_equal(bind(journal_fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void close_journal(void)
{
	close(journal_fd);
	journal_fd = -1;
	unlink(journal_path);
}

/* stderr is the pipe, and JOURNAL_STREAM names it. */
static int setup_journal(void **state)
{
	char stream[64];
	struct stat stat;

	strcpy(journal_directory + strlen(journal_directory) - 6, "XXXXXX");
	assert_non_null(mkdtemp(journal_directory));
	snprintf(journal_path, sizeof(journal_path), "%s/socket", journal_directory);
	log_journal_set_path(journal_path);
	open_journal();
	setup(state);
	assert_int_equal(fstat(ends[1], &stat), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)stat.st_dev, (uintmax_t)stat.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	configure(LOG_LEVEL_DEBUG, LOG_FORMAT_AUTO);
	return 0;
}

static int teardown_journal(void **state)
{
	unsetenv("JOURNAL_STREAM");
	close_journal();
	rmdir(journal_directory);
	log_journal_set_path(NULL);
	return teardown(state);
}

static const char *entry(void)
{
	ssize_t n = recv(journal_fd, got, sizeof(got) - 1, 0);

	got[n > 0 ? n : 0] = '\0';
	return got;
}

/* What went to the descriptor all the same. */
static const char *on_descriptor(void)
{
	ssize_t n = read(ends[0], got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = '\0';
	return got;
}

static void journal_entries(void **state)
{
	log_set_worker(3);
	log_warn("failed", LOG_ID("0123456789abcdef0123456789abcdef"), LOG_STR("message_id", "m 1"),
		LOG_INT("status", -4), LOG_STR("absent", NULL), LOG_STR("empty", ""));
	log_set_worker(0);
	assert_string_equal(entry(),
		"PRIORITY=4\nSYSLOG_IDENTIFIER=bunshin\n"
		"MESSAGE=failed worker=3 message_id=\"m 1\" status=-4 empty=\"\"\n"
		"BUNSHIN_WORKER=3\nMESSAGE_ID=0123456789abcdef0123456789abcdef\n"
		"BUNSHIN_MESSAGE_ID=m 1\nBUNSHIN_STATUS=-4\nBUNSHIN_EMPTY=\n");
	log_debug("d");
	assert_string_equal(entry(), "PRIORITY=7\nSYSLOG_IDENTIFIER=bunshin\nMESSAGE=d\n");
	log_info("i");
	assert_non_null(strstr(entry(), "PRIORITY=6\n"));
	log_error("e");
	assert_non_null(strstr(entry(), "PRIORITY=3\n"));
	assert_string_equal(on_descriptor(), "");
}

/* A value can neither begin a field of its own, nor show a secret. */
static void journal_values_are_escaped(void **state)
{
	assert_int_equal(log_add_secret("s3cret"), 0);
	log_info("a\nPRIORITY=0", LOG_STR("b", "c\n\nBUNSHIN_X=s3cret\x01"));
	assert_string_equal(entry(),
		"PRIORITY=6\nSYSLOG_IDENTIFIER=bunshin\n"
		"MESSAGE=a\\nPRIORITY=0 b=\"c\\n\\nBUNSHIN_X=[redacted]\\u0001\"\n"
		"BUNSHIN_B=c\\n\\nBUNSHIN_X=[redacted]\\u0001\n");
}

/* The journal is started again, or has no room: nothing is lost, and nothing waits. */
static void journal_away(void **state)
{
	unsigned taken = 0;

	close_journal();
	log_warn("away", LOG_INT("n", 1));
	assert_string_equal(on_descriptor(), "<4>away n=1\n");
	open_journal();
	log_warn("back", LOG_INT("n", 2));
	assert_non_null(strstr(entry(), "MESSAGE=back n=2\n"));
	do
		log_info("many");
	while (taken++ < 100000 && *on_descriptor() == '\0');
	assert_string_equal(got, "<6>many\n");
	while (*entry() != '\0')
		taken--;
	assert_int_equal(taken, 1);
}

static void journal_long_values(void **state)
{
	static char text[4 * LOG_LINE_MAX];
	size_t len;

	memset(text, 'x', sizeof(text));
	log_info("long", LOG_BYTES("a", text, sizeof(text)), LOG_BYTES("b", text, sizeof(text)),
		LOG_BYTES("c", text, sizeof(text)), LOG_INT("d", 1));
	len = strlen(entry());
	assert_true(len > LOG_LINE_MAX && len <= 3 * LOG_LINE_MAX);
	assert_int_equal(got[len - 1], '\n');
	assert_non_null(strstr(got, " truncated=true\nBUNSHIN_A=xxx"));
}

/* An inherited variable, a format that was asked for. */
static void journal_not_wanted(void **state)
{
	static const char *const others[] = {"", "1:2", "x", "8:123456789012345678901234567890"};

	configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_info("json");
	assert_non_null(strstr(on_descriptor(), "\"message\":\"json\""));
	configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_info("text");
	assert_non_null(strstr(on_descriptor(), "INFO  text\n"));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		setenv("JOURNAL_STREAM", others[i], 1);
		configure(LOG_LEVEL_INFO, LOG_FORMAT_AUTO);
		log_info("other");
		assert_non_null(strstr(on_descriptor(), "\"message\":\"other\""));
	}
	assert_string_equal(entry(), "");
}

#define JOURNAL_TEST(name) cmocka_unit_test_setup_teardown(name, setup_journal, teardown_journal)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(writes_json),
		TEST(writes_text),
		TEST(keeps_to_its_level),
		TEST(values_are_not_looked_at_below_the_level),
		TEST(decides_by_the_descriptor),
		TEST(no_byte_breaks_a_line),
		TEST(ill_formed_text_is_replaced),
		TEST(long_lines_are_cut),
		TEST(what_does_not_fit_is_left_out_whole),
		TEST(text_lines_are_cut_too),
		TEST(secrets_are_redacted),
		TEST(a_secret_taken_back_may_appear),
		TEST(a_secret_is_kept_for_each_that_added_it),
		TEST(the_longest_secret_is_known),
		TEST(secrets_that_memory_fails),
		TEST(of_rotating_secrets_two_are_known),
		TEST(overlapping_secrets_leave_nothing),
		TEST(secrets_made_by_escaping_are_redacted),
		TEST(a_cut_secret_is_still_one),
		TEST(redacts_in_place),
		TEST(logging_allocates_nothing),
		TEST(interrupted_and_short_writes_go_on),
		TEST(a_full_pipe_does_not_block),
		TEST(a_closed_descriptor_is_harmless),
		TEST(real_time_without_a_clock),
		JOURNAL_TEST(journal_entries),
		JOURNAL_TEST(journal_values_are_escaped),
		JOURNAL_TEST(journal_away),
		JOURNAL_TEST(journal_long_values),
		JOURNAL_TEST(journal_not_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
