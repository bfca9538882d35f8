#include "results/record.h"

#include "base/utf8.h"
#include "bunshin/error.h"

#include <string.h>

#define REASON_MAX 512
#define TEXT_MAX 256
/*
 * Every text at its longest, each byte of it escaped, then names and numbers: a record has five of
 * TEXT_MAX and one of REASON_MAX.
 */
_Static_assert(2 * (5 * TEXT_MAX + REASON_MAX) + 400 <= RESULTS_LINE_MAX, "a line always fits");

static const char *const outcome_names[RESULT_OUTCOMES] = {
	[RESULT_RETRYING] = "retrying",
	[RESULT_CANCELLED] = "cancelled",
	[RESULT_EXPIRED] = "expired",
	[RESULT_FAILED] = "failed",
	[RESULT_SUPPRESSED] = "suppressed",
	[RESULT_ACCEPTED] = "accepted",
};

static const char *const limit_names[RESULT_LIMITS] = {
	[RESULT_LIMIT_NONE] = "none",
	[RESULT_LIMIT_QUEUE] = "queue",
	[RESULT_LIMIT_CONCURRENCY] = "concurrency",
	[RESULT_LIMIT_PROVIDER] = "provider",
	[RESULT_LIMIT_RATE] = "rate",
	[RESULT_LIMIT_BREAKER] = "breaker",
	[RESULT_LIMIT_PAUSED] = "paused",
	[RESULT_LIMIT_QUOTA] = "quota",
};

const char *result_outcome_name(enum result_outcome outcome)
{
	return outcome_names[outcome];
}

const char *result_limit_name(enum result_limit limit)
{
	return limit_names[limit];
}

/* ---- writing */

struct line {
	size_t len;
	char bytes[RESULTS_LINE_MAX];
};

static void put(struct line *line, const char *bytes, size_t len)
{
	memcpy(line->bytes + line->len, bytes, len);
	line->len += len;
}

static void put_char(struct line *line, char c)
{
	line->bytes[line->len++] = c;
}

static void put_digits(struct line *line, uint64_t number)
{
	char digits[20];
	size_t n = sizeof(digits);

	do {
		digits[--n] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	put(line, digits + n, sizeof(digits) - n);
}

/* ,"name": */
static void put_name(struct line *line, const char *name)
{
	put(line, ",\"", 2);
	put(line, name, strlen(name));
	put(line, "\":", 2);
}

static void put_number(struct line *line, const char *name, uint64_t number)
{
	if (!number)
		return;
	put_name(line, name);
	put_digits(line, number);
}

static void put_time(struct line *line, const char *name, int64_t epoch_ms)
{
	put_number(line, name, epoch_ms > 0 ? (uint64_t)epoch_ms : 0);
}

/*
 * Bytes of the character there that a line takes as it is; 0: none, and '?' stands for one byte.
 * Not taken: what is no UTF-8, control characters (C1 too, which some terminals obey), and U+FFFE
 * and U+FFFF, which SQS refuses in a body.
 */
static size_t fitting(const char *text, size_t len)
{
	unsigned char c = (unsigned char)text[0];
	size_t n = utf8_sequence(text, len);

	if (n == 1)
		return c >= 0x20 && c != 0x7f;
	if (n == 2 && c == 0xc2 && (unsigned char)text[1] < 0xa0)
		return 0;
	if (n == 3 && memcmp(text, "\xef\xbf", 2) == 0 && (unsigned char)text[2] >= 0xbe)
		return 0;
	return n;
}

static bool is_plain(char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Between quotes, made fit, at most max bytes of it before they are escaped. */
static void put_quoted(struct line *line, const char *text, size_t max)
{
	size_t len = strnlen(text, max + UTF8_SEQUENCE_MAX), at = 0, n;

	put_char(line, '"');
	while (at < len && at < max) {
		if (is_plain(text[at])) {
			put_char(line, text[at++]);
			continue;
		}
		n = fitting(text + at, len - at);
		if (at + n > max)
			break;
		if (n == 1)
			put_char(line, '\\');
		if (n)
			put(line, text + at, n);
		else
			put_char(line, '?');
		at += n ? n : 1;
	}
	put_char(line, '"');
}

static void put_text(struct line *line, const char *name, const char *text, size_t max)
{
	if (!text[0])
		return;
	put_name(line, name);
	put_quoted(line, text, max);
}

static int append(struct buf *out, struct line *line)
{
	put(line, "}\n", 2);
	return buf_append(out, line->bytes, line->len);
}

int result_record_append(const struct result_record *record, struct buf *out)
{
	struct line line = {.len = 0};

	put(&line, "{\"v\":1", 6);
	put_text(&line, "outcome", outcome_names[record->outcome], TEXT_MAX);
	put_text(&line, "key", record->key, TEXT_MAX);
	put_text(&line, "campaign", record->campaign, TEXT_MAX);
	put_text(&line, "destination", record->destination, TEXT_MAX);
	put_text(&line, "message_id", record->message_id, TEXT_MAX);
	put_number(&line, "status", record->status > 0 ? (uint64_t)record->status : 0);
	put_text(&line, "reason", record->reason, REASON_MAX);
	put_text(&line, "request_id", record->request_id, TEXT_MAX);
	put_number(&line, "attempts", record->attempts);
	put_time(&line, "first", record->first_epoch_ms);
	put_time(&line, "last", record->last_epoch_ms);
	if (record->unanswered)
		put(&line, ",\"unanswered\":true", 18);
	return append(out, &line);
}

int result_status_append(const struct result_status *status, struct buf *out)
{
	struct line line = {.len = 0};

	put(&line, "{\"v\":1", 6);
	put_text(&line, "worker", status->worker, TEXT_MAX);
	put_time(&line, "at", status->at_epoch_ms);
	put_number(&line, "in_flight", status->in_flight);
	put_number(&line, "slots", status->slots);
	put_number(&line, "waiting", status->waiting);
	put_number(&line, "accepted", status->accepted);
	put_text(&line, "limit", limit_names[status->limit], TEXT_MAX);
	put_text(&line, "control", status->control, TEXT_MAX);
	return append(out, &line);
}

/* ---- reading */

#define START "{\"v\":1,"

/* Of ASCII, and no control characters; says no rather too often. */
static bool are_eight_plain(const char *text)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), high = ones * 0x80;
	uint64_t block;

	memcpy(&block, text, sizeof(block));
	/* A byte's high bit: below 0x20, or an earlier one is; 0x7f; above it. */
	return (((block - ones * 0x20) | (block + ones) | block) & high) == 0;
}

bool result_line_is_whole(const char *line, size_t len)
{
	const size_t start = strlen(START);

	if (len < start + 2 || len > RESULTS_LINE_MAX || memcmp(line, START, start) != 0 ||
		memcmp(line + len - 2, "}\n", 2) != 0)
		return false;
	for (size_t i = 0, n; i < len - 1; i += n) {
		n = len - 1 - i >= 8 && are_eight_plain(line + i) ? 8
		    : (unsigned char)line[i] < 0x80 ? line[i] >= 0x20 && line[i] < 0x7f
						    : fitting(line + i, len - 1 - i);
		if (!n)
			return false;
	}
	return true;
}

bool result_line_is_record(const char *line, size_t len)
{
	static const char member[] = START "\"outcome\":";

	return len >= strlen(member) && memcmp(line, member, strlen(member)) == 0;
}

/* What has been found wrong sticks, so that members are read in a row and asked about once. */
struct reader {
	const struct json *json;
	const struct json_value *root;
	bool is_wrong;
};

static const char *text_of(struct reader *reader, const char *name, size_t max)
{
	const struct json_value *value = json_member(reader->root, name);
	const char *text = json_text(value);

	if (!value)
		return "";
	if (!text || value->string_bytes > max) {
		reader->is_wrong = true;
		return "";
	}
	/* Whoever reads a line may print it: nothing that the writer would not have written. */
	for (size_t i = 0, n; i < value->string_bytes; i += n) {
		n = is_plain(text[i]) ? 1 : fitting(text + i, value->string_bytes - i);
		if (!n) {
			reader->is_wrong = true;
			return "";
		}
	}
	return text;
}

static int64_t number_of(struct reader *reader, const char *name, int64_t max)
{
	const struct json_value *value = json_member(reader->root, name);
	int64_t number = 0;

	if (!value)
		return 0;
	if (json_int(value, &number) || number < 0 || number > max) {
		reader->is_wrong = true;
		return 0;
	}
	return number;
}

/* Which of the names it is; 0 when it is none, which is wrong. */
static int name_of(struct reader *reader, const char *name, const char *const names[], int count)
{
	const char *text = text_of(reader, name, TEXT_MAX);

	for (int i = 0; i < count; i++)
		if (strcmp(names[i], text) == 0)
			return i;
	reader->is_wrong = true;
	return 0;
}

static void read_record(struct reader *reader, struct result_record *record)
{
	const struct json_value *unanswered = json_member(reader->root, "unanswered");

	*record = (struct result_record){
		.outcome = (enum result_outcome)name_of(
			reader, "outcome", outcome_names, RESULT_OUTCOMES),
		.key = text_of(reader, "key", TEXT_MAX),
		.campaign = text_of(reader, "campaign", TEXT_MAX),
		.destination = text_of(reader, "destination", TEXT_MAX),
		.message_id = text_of(reader, "message_id", TEXT_MAX),
		.status = (int)number_of(reader, "status", 999),
		.reason = text_of(reader, "reason", REASON_MAX),
		.request_id = text_of(reader, "request_id", TEXT_MAX),
		.attempts = (unsigned)number_of(reader, "attempts", UINT32_MAX),
		.first_epoch_ms = number_of(reader, "first", INT64_MAX),
		.last_epoch_ms = number_of(reader, "last", INT64_MAX),
		.unanswered = unanswered && unanswered->kind == JSON_TRUE,
	};
	reader->is_wrong |= !record->key[0];
}

static void read_status(struct reader *reader, struct result_status *status)
{
	*status = (struct result_status){
		.worker = text_of(reader, "worker", TEXT_MAX),
		.at_epoch_ms = number_of(reader, "at", INT64_MAX),
		.in_flight = (uint64_t)number_of(reader, "in_flight", INT64_MAX),
		.slots = (uint64_t)number_of(reader, "slots", INT64_MAX),
		.waiting = (uint64_t)number_of(reader, "waiting", INT64_MAX),
		.accepted = (uint64_t)number_of(reader, "accepted", INT64_MAX),
		.limit = (enum result_limit)name_of(reader, "limit", limit_names, RESULT_LIMITS),
		.control = text_of(reader, "control", TEXT_MAX),
	};
	reader->is_wrong |= !status->worker[0];
}

int result_line_read(struct json *json, const char *line, size_t len, enum result_line *ret_line,
	struct result_record *ret_record, struct result_status *ret_status)
{
	struct reader reader = {.json = json};
	int err = len <= RESULTS_LINE_MAX ? json_parse(json, line, len) : ERR_SYNTAX;

	if (err)
		return err == ERR_NOMEM ? err : ERR_SYNTAX;
	reader.root = json_root(json);
	if (reader.root->kind != JSON_OBJECT || number_of(&reader, "v", INT64_MAX) != 1)
		return ERR_SYNTAX;
	if (json_member(reader.root, "outcome")) {
		*ret_line = RESULT_LINE_RECORD;
		read_record(&reader, ret_record);
	} else {
		*ret_line = RESULT_LINE_STATUS;
		read_status(&reader, ret_status);
	}
	return reader.is_wrong ? ERR_SYNTAX : 0;
}
