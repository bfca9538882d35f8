/*
 * Any text as the body of a message of the results queue: every line is a record, a status, broken
 * or blank, and what comes of the lines does not depend on where the text was cut between them.
 */
#include "fuzz.h"

#include "campaign/results_lines.h"

#include <string.h>

struct seen {
	uint64_t records, statuses;
	uint64_t hash; /* of what was read, in order */
};

static void mix(struct seen *seen, const char *text)
{
	for (; *text; text++)
		seen->hash = (seen->hash ^ (unsigned char)*text) * 1099511628211u;
}

static int on_record(void *arg, const struct result_record *record)
{
	struct seen *seen = arg;

	FUZZ_CHECK(record->key[0] && record->outcome < RESULT_OUTCOMES);
	seen->records++;
	mix(seen, record->key);
	mix(seen, record->reason);
	return 0;
}

static int on_status(void *arg, const struct result_status *status)
{
	struct seen *seen = arg;

	FUZZ_CHECK(status->worker[0] && status->limit < RESULT_LIMITS);
	seen->statuses++;
	mix(seen, status->worker);
	return 0;
}

static uint64_t count_lines(const char *text, size_t len)
{
	uint64_t lines = len > 0 && text[len - 1] != '\n';

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct seen whole = {0}, parts = {0};
	const struct results_lines_sink to_whole = {on_record, on_status, &whole};
	const struct results_lines_sink to_parts = {on_record, on_status, &parts};
	struct results_lines lines = {0}, again = {0};

	FUZZ_CHECK(results_lines_read(&lines, text, size, &to_whole) == 0);
	FUZZ_CHECK(lines.records == whole.records && lines.statuses == whole.statuses);
	FUZZ_CHECK(lines.records + lines.statuses + lines.broken <= count_lines(text, size));
	for (size_t at = 0; at < size;) {
		const char *feed = memchr(text + at, '\n', size - at);
		size_t used = feed ? (size_t)(feed - text) + 1 - at : size - at;

		FUZZ_CHECK(results_lines_read(&again, text + at, used, &to_parts) == 0);
		at += used;
	}
	FUZZ_CHECK(memcmp(&whole, &parts, sizeof(whole)) == 0);
	FUZZ_CHECK(again.broken == lines.broken);
	json_free(&lines.json);
	json_free(&again.json);
	return 0;
}
