/* Any text as a line: what is read is written again into a line that reads as the same. */
#include "fuzz.h"

#include "bunshin/error.h"
#include "results/record.h"

#include <string.h>

static void check_record(const struct result_record *record)
{
	struct buf line = BUF_INIT(RESULTS_LINE_MAX);
	struct json json = {0};
	struct result_record again;
	struct result_status status;
	enum result_line kind;

	FUZZ_CHECK(result_record_append(record, &line) == 0);
	FUZZ_CHECK(result_line_read(&json, line.data, line.len, &kind, &again, &status) == 0);
	FUZZ_CHECK(kind == RESULT_LINE_RECORD && again.outcome == record->outcome);
	FUZZ_CHECK(strcmp(again.key, record->key) == 0);
	FUZZ_CHECK(strcmp(again.campaign, record->campaign) == 0);
	FUZZ_CHECK(strcmp(again.destination, record->destination) == 0);
	FUZZ_CHECK(strcmp(again.message_id, record->message_id) == 0);
	FUZZ_CHECK(strcmp(again.reason, record->reason) == 0);
	FUZZ_CHECK(strcmp(again.request_id, record->request_id) == 0);
	FUZZ_CHECK(again.status == record->status && again.attempts == record->attempts);
	FUZZ_CHECK(again.first_epoch_ms == record->first_epoch_ms &&
		   again.last_epoch_ms == record->last_epoch_ms &&
		   again.unanswered == record->unanswered);
	json_free(&json);
	buf_free(&line);
}

static void check_status(const struct result_status *status)
{
	struct buf line = BUF_INIT(RESULTS_LINE_MAX);
	struct json json = {0};
	struct result_record record;
	struct result_status again;
	enum result_line kind;

	FUZZ_CHECK(result_status_append(status, &line) == 0);
	FUZZ_CHECK(result_line_read(&json, line.data, line.len, &kind, &record, &again) == 0);
	FUZZ_CHECK(kind == RESULT_LINE_STATUS && again.limit == status->limit);
	FUZZ_CHECK(strcmp(again.worker, status->worker) == 0);
	FUZZ_CHECK(strcmp(again.control, status->control) == 0);
	FUZZ_CHECK(again.at_epoch_ms == status->at_epoch_ms && again.slots == status->slots &&
		   again.in_flight == status->in_flight && again.waiting == status->waiting &&
		   again.accepted == status->accepted);
	json_free(&json);
	buf_free(&line);
}

/* The input as every text of a record: the line is one line, within the limit, and reads. */
static void check_any_text(const char *text)
{
	struct result_record record = {.outcome = RESULT_RETRYING,
		.key = "k",
		.campaign = text,
		.destination = text,
		.message_id = text,
		.reason = text,
		.request_id = text};
	struct buf line = BUF_INIT(RESULTS_LINE_MAX);
	struct json json = {0};
	struct result_record again;
	struct result_status status;
	enum result_line kind;

	FUZZ_CHECK(result_record_append(&record, &line) == 0);
	FUZZ_CHECK(memchr(line.data, '\n', line.len) == line.data + line.len - 1);
	FUZZ_CHECK(result_line_is_whole(line.data, line.len));
	FUZZ_CHECK(result_line_is_record(line.data, line.len));
	FUZZ_CHECK(result_line_read(&json, line.data, line.len, &kind, &again, &status) == 0);
	check_record(&again);
	json_free(&json);
	buf_free(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	struct json json = {0};
	struct result_record record;
	struct result_status status;
	enum result_line kind;
	int err;

	FUZZ_CHECK(text);
	err = result_line_read(&json, (const char *)data, size, &kind, &record, &status);
	FUZZ_CHECK(err == 0 || err == ERR_SYNTAX);
	if (!err && kind == RESULT_LINE_RECORD)
		check_record(&record);
	else if (!err)
		check_status(&status);
	check_any_text(text);
	json_free(&json);
	free(text);
	return 0;
}
