/*
 * Any text as a suppression file, in each format: the same keys and errors come out however it is
 * cut into pieces; every line or row of what is taken is suppressed, and nothing else is.
 */
#include "fuzz.h"

#include "base/utf8.h"
#include "bunshin/error.h"
#include "campaign/suppression.h"

#include <string.h>

static const uint8_t hash_key[SIPHASH_KEY_BYTES] = {7};
static const char column[] = "to";

struct source {
	const char *text;
	size_t len, piece;
};

struct outcome {
	int err;
	uint64_t count;
	struct key_set *set;
	struct buf error;
};

static int read_source(void *arg, char *bytes, size_t size, size_t *ret_len)
{
	struct source *source = arg;
	size_t len = source->len < source->piece ? source->len : source->piece;

	if (len > size)
		len = size;
	memcpy(bytes, source->text, len);
	source->text += len;
	source->len -= len;
	*ret_len = len;
	return 0;
}

static struct outcome read_all(
	const char *text, size_t len, size_t piece, enum suppression_format format)
{
	struct source source = {text, len, piece};
	const struct recipients_input input = {read_source, &source};
	struct outcome outcome = {.count = 77, .error = BUF_INIT(4096)};

	FUZZ_CHECK(key_set_new(hash_key, &outcome.set) == 0);
	outcome.err = suppression_read(
		&input, format, column, outcome.set, &outcome.count, &outcome.error);
	return outcome;
}

static void free_outcome(struct outcome *outcome)
{
	key_set_free(outcome->set);
	buf_free(&outcome->error);
}

/* An error names its line and says what is wrong; what is no error says nothing. */
static void check_error(const struct outcome *outcome)
{
	const char *error = buf_string(&outcome->error);

	FUZZ_CHECK(outcome->err == 0 || outcome->err == ERR_SYNTAX);
	if (outcome->err == 0) {
		FUZZ_CHECK(*error == '\0' && key_set_count(outcome->set) <= outcome->count);
		return;
	}
	FUZZ_CHECK(outcome->count == 77);
	FUZZ_CHECK(*error >= '1' && *error <= '9');
	error += strspn(error, "0123456789");
	FUZZ_CHECK(strncmp(error, ": ", 2) == 0 && error[2] != '\0');
}

/* Lines, read in another way. False: one of them is none. */
static bool split(const char *text, size_t len, struct key_set *known, uint64_t *ret_count)
{
	size_t at = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

	*ret_count = 0;
	while (at < len) {
		size_t end = at, bytes;

		while (end < len && text[end] != '\n')
			end++;
		bytes = end - at;
		if (bytes > 0 && text[end - 1] == '\r')
			bytes--;
		if (bytes > SUPPRESSION_LINE_MAX || memchr(text + at, '\0', bytes) ||
			!utf8_is_valid(text + at, bytes))
			return false;
		if (bytes > 0) {
			FUZZ_CHECK(key_set_add(known, text + at, bytes) == KEY_SUPPRESSED);
			(*ret_count)++;
		}
		at = end + 1;
	}
	return true;
}

static void check_lines(const char *text, size_t len, const struct outcome *outcome)
{
	uint64_t count, keys = key_set_count(outcome->set);

	if (outcome->err)
		return;
	FUZZ_CHECK(split(text, len, outcome->set, &count));
	FUZZ_CHECK(count == outcome->count && key_set_count(outcome->set) == keys);
}

static void check_rows(
	const char *text, size_t len, enum recipients_format format, const struct outcome *outcome)
{
	struct source source = {text, len, len + 1};
	const struct recipients_input input = {read_source, &source};
	uint64_t count = 0, keys = key_set_count(outcome->set);
	struct recipients *recipients;
	struct template_value value;

	if (outcome->err)
		return;
	FUZZ_CHECK(recipients_new(format, &input, &recipients) == 0);
	while (recipients_next(recipients) == RECIPIENTS_ROW) {
		FUZZ_CHECK(recipients_lookup(recipients, column, &value));
		FUZZ_CHECK(
			key_set_add(outcome->set, value.text, value.text_bytes) == KEY_SUPPRESSED);
		count++;
	}
	FUZZ_CHECK(count == outcome->count && key_set_count(outcome->set) == keys);
	recipients_free(recipients);
}

static void read_as(enum suppression_format format, const char *text, size_t len)
{
	struct outcome whole = read_all(text, len, len + 1, format);
	static const size_t pieces[] = {1, 3, 17};

	check_error(&whole);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct outcome again = read_all(text, len, pieces[i], format);

		FUZZ_CHECK(again.err == whole.err && again.count == whole.count);
		FUZZ_CHECK(key_set_count(again.set) == key_set_count(whole.set));
		FUZZ_CHECK(strcmp(buf_string(&again.error), buf_string(&whole.error)) == 0);
		free_outcome(&again);
	}
	if (format == SUPPRESSION_LINES)
		check_lines(text, len, &whole);
	else
		check_rows(text, len, format == SUPPRESSION_CSV ? RECIPIENTS_CSV : RECIPIENTS_JSONL,
			&whole);
	free_outcome(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	read_as(SUPPRESSION_LINES, text, size);
	read_as(SUPPRESSION_CSV, text, size);
	read_as(SUPPRESSION_JSONL, text, size);
	return 0;
}
