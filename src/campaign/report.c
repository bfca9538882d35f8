#include "campaign/report.h"

#include "bunshin/error.h"
#include "campaign/messages.h"

#include <inttypes.h>
#include <string.h>

const char *report_outcome_name(enum report_outcome outcome)
{
	static const char *const names[REPORT_OUTCOMES] = {
		[REPORT_ACCEPTED] = "accepted",
		[REPORT_FAILED] = "failed",
		[REPORT_EXPIRED] = "expired",
		[REPORT_CANCELLED] = "cancelled",
		[REPORT_RETRYING] = "retrying",
		[REPORT_WAITING] = "waiting",
		[REPORT_NOT_SENT] = "not sent",
		[REPORT_LEFT_OUT] = "left out",
	};

	return names[outcome];
}

struct reading {
	const struct report_source *source;
	struct recipients *recipients;
	struct messages *messages;
	int (*visit)(void *arg, const struct report_row *row);
	void *arg;
	struct report_counts counts;
	uint64_t matched; /* rows that a result is known of */
	struct buf *error;
};

static int open_messages(struct reading *reading)
{
	const struct journal_campaign *campaign = journal_campaign(reading->source->journal);
	struct messages_options options = {
		.campaign = campaign->name,
		.key = campaign->key_column ? MESSAGES_KEY_COLUMN : MESSAGES_KEY_ROW,
		.key_column = campaign->key_column,
	};
	int err = campaign_key_space(campaign->name, options.key_space);

	if (!err)
		err = recipients_new(
			reading->source->format, &reading->source->input, &reading->recipients);
	return err ? err : messages_new(reading->recipients, &options, &reading->messages);
}

static int give(struct reading *reading, const struct report_row *row)
{
	reading->counts.rows++;
	reading->counts.by_outcome[row->outcome]++;
	if (row->outcome == REPORT_LEFT_OUT)
		reading->counts.by_reject[row->reject]++;
	reading->counts.uncertain += row->uncertain;
	return reading->visit(reading->arg, row);
}

static enum report_outcome outcome_of(enum result_outcome outcome)
{
	switch (outcome) {
	case RESULT_ACCEPTED:
	case RESULT_SUPPRESSED:
		return REPORT_ACCEPTED;
	case RESULT_FAILED:
		return REPORT_FAILED;
	case RESULT_EXPIRED:
		return REPORT_EXPIRED;
	case RESULT_CANCELLED:
		return REPORT_CANCELLED;
	case RESULT_RETRYING:
	case RESULT_OUTCOMES:
	default:
		return REPORT_RETRYING;
	}
}

static void fill_in(struct report_row *row, const struct result_record *record)
{
	row->outcome = outcome_of(record->outcome);
	row->reason = record->reason;
	row->status = record->status;
	row->attempts = record->attempts;
	row->first_epoch_ms = record->first_epoch_ms;
	row->last_epoch_ms = record->last_epoch_ms;
	row->request_id = record->request_id;
	row->uncertain = record->unanswered && row->outcome != REPORT_ACCEPTED &&
			 row->outcome != REPORT_RETRYING;
	row->unregistered = record->outcome == RESULT_FAILED &&
			    strcmp(record->reason, RESULT_UNREGISTERED) == 0;
	if (record->outcome == RESULT_SUPPRESSED)
		row->reason = "accepted before; the record of it was lost";
}

/* What the workers said, else what the journal knows. */
static int find_outcome(struct reading *reading, struct report_row *row)
{
	struct result_record record;
	int err = reading->source->db
			  ? results_db_find(reading->source->db, row->idempotency_key, &record)
			  : ERR_NOT_FOUND;

	if (err == 0) {
		reading->matched++;
		fill_in(row, &record);
		return 0;
	}
	if (err != ERR_NOT_FOUND)
		return err;
	row->outcome = journal_is_confirmed(reading->source->journal, row->place.row)
			       ? REPORT_WAITING
			       : REPORT_NOT_SENT;
	return 0;
}

static bool is_left_out(struct reading *reading, struct report_row *row)
{
	if (!journal_find_reject(
		    reading->source->journal, row->place.row, &row->reject, &row->reason))
		return false;
	row->outcome = REPORT_LEFT_OUT;
	return true;
}

/*
 * A row that the queue refused may be in it: an earlier request with it may have got no answer.
 * What a worker said of it holds. (Of a duplicate it does not: its key is another row's.)
 */
static int find_refused(struct reading *reading, struct report_row *row)
{
	const char *reason = row->reason;
	int err = find_outcome(reading, row);

	if (!err && row->outcome == REPORT_NOT_SENT) {
		row->outcome = REPORT_LEFT_OUT;
		row->reason = reason;
	}
	return err;
}

static struct report_row blank_row(const struct reading *reading)
{
	return (struct report_row){.place = messages_place(reading->messages),
		.key = "",
		.idempotency_key = "",
		.reason = "",
		.request_id = ""};
}

static int take_message(struct reading *reading, const struct campaign_message *message)
{
	struct report_row row = blank_row(reading);
	int err;

	row.key = message->key;
	row.key_bytes = message->key_bytes;
	row.idempotency_key = message->idempotency_key;
	if (!is_left_out(reading, &row))
		err = find_outcome(reading, &row);
	else
		err = row.reject == JOURNAL_REJECT_REFUSED ? find_refused(reading, &row) : 0;
	return err ? err : give(reading, &row);
}

/* A row that was no message then; or now, which the number of rows or the hash of the list will
 * tell. */
static int take_invalid(struct reading *reading)
{
	const struct recipients_error *error = messages_error(reading->messages);
	struct report_row row = blank_row(reading);

	if (error->fatal) {
		buf_appendf(reading->error, "line %" PRIu64 ": %s", error->line, error->reason);
		return ERR_SYNTAX;
	}
	if (!is_left_out(reading, &row)) {
		row.outcome = REPORT_LEFT_OUT;
		row.reject = JOURNAL_REJECT_INVALID;
		row.reason = error->reason;
	}
	return give(reading, &row);
}

static int read_rows(struct reading *reading)
{
	struct campaign_message message;
	int err = 0, event;

	while (!err && (event = messages_next(reading->messages, &message)) != RECIPIENTS_END) {
		if (event < 0)
			err = event;
		else if (event == RECIPIENTS_INVALID)
			err = take_invalid(reading);
		else
			err = take_message(reading, &message);
	}
	return err;
}

static int check_rows(struct reading *reading)
{
	uint64_t rows = journal_campaign(reading->source->journal)->rows;

	if (reading->counts.rows == rows)
		return 0;
	buf_appendf(reading->error,
		"the list has %" PRIu64 " rows, and had %" PRIu64 " when it was sent",
		reading->counts.rows, rows);
	return ERR_SYNTAX;
}

static int count_strangers(struct reading *reading)
{
	struct results_tally tally;
	uint64_t known = 0;
	int err;

	if (!reading->source->db)
		return 0;
	err = results_db_tally(
		reading->source->db, journal_campaign(reading->source->journal)->name, &tally);
	if (err)
		return err;
	for (int i = 0; i < RESULT_OUTCOMES; i++)
		known += tally.by_outcome[i];
	reading->counts.strangers = known > reading->matched ? known - reading->matched : 0;
	return 0;
}

int report_read(const struct report_source *source,
	int (*visit)(void *arg, const struct report_row *row), void *arg,
	struct report_counts *ret_counts, struct buf *error)
{
	struct reading reading = {.source = source, .visit = visit, .arg = arg, .error = error};
	int err = open_messages(&reading);

	if (!err)
		err = read_rows(&reading);
	if (!err)
		err = check_rows(&reading);
	if (!err)
		err = count_strangers(&reading);
	messages_free(reading.messages);
	recipients_free(reading.recipients);
	if (!err)
		*ret_counts = reading.counts;
	return err;
}
