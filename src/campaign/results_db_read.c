/* What the database says. */
#include "bunshin/error.h"
#include "campaign/results_db_private.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* The numbers of one row of a statement that is bound, then it is reset. 1, 0: no row, negative. */
static int read_one(struct results_db *db, enum results_db_statement which, int64_t *ret)
{
	int row = results_db_step(db, which);

	if (row <= 0)
		return row;
	*ret = sqlite3_column_int64(db->statements[which], 0);
	results_db_reset(db, which);
	return 1;
}

/* What has been added is in the counts only once they are flushed. */
static int before_reading(struct results_db *db)
{
	return db->dirty && db->err == 0 ? results_db_flush(db) : 0;
}

/* Is there such a campaign? *ret_id is its text's; "" is 0 and always there. */
static int find_campaign(
	struct results_db *db, const char *campaign, bool *ret_found, int64_t *ret_id)
{
	int err = before_reading(db);

	if (err == 0)
		err = results_db_find_text(db, campaign, ret_id);
	*ret_found = err == 0 && (*ret_id != 0 || campaign[0] == '\0');
	return err;
}

static int first_and_last(
	struct results_db *db, int64_t campaign, int ended, int64_t *ret_first, int64_t *ret_last)
{
	const enum results_db_statement which[] = {RDB_FIRST_ENDED, RDB_LAST_ENDED};
	int64_t *const out[] = {ret_first, ret_last};

	for (int i = 0; i < 2; i++) {
		int row;

		*out[i] = 0;
		results_db_bind_int(db, which[i], 1, campaign);
		results_db_bind_int(db, which[i], 2, ended);
		row = read_one(db, which[i], out[i]);
		if (row < 0)
			return row;
	}
	return 0;
}

static int read_counts(struct results_db *db, int64_t campaign, struct results_tally *tally)
{
	sqlite3_stmt *statement = db->statements[RDB_TALLY_READ];
	int row;

	results_db_bind_int(db, RDB_TALLY_READ, 1, campaign);
	while ((row = results_db_step(db, RDB_TALLY_READ)) > 0) {
		int64_t outcome = sqlite3_column_int64(statement, 0);
		int64_t first = sqlite3_column_int64(statement, 3);

		if (outcome < 0 || outcome >= RESULT_OUTCOMES)
			continue;
		if (outcome == RESULT_SUPPRESSED)
			outcome = RESULT_ACCEPTED;
		tally->by_outcome[outcome] += (uint64_t)sqlite3_column_int64(statement, 1);
		if (outcome == RESULT_FAILED || outcome == RESULT_EXPIRED ||
			outcome == RESULT_CANCELLED)
			tally->uncertain += (uint64_t)sqlite3_column_int64(statement, 2);
		if (first > 0 && (tally->first_received_epoch_ms == 0 ||
					 first < tally->first_received_epoch_ms))
			tally->first_received_epoch_ms = first;
	}
	return row;
}

int results_db_tally(struct results_db *db, const char *campaign, struct results_tally *ret_tally)
{
	struct results_tally tally = {0};
	int64_t id, first, last[3] = {0};
	bool found;
	int err = find_campaign(db, campaign, &found, &id);

	if (err == 0 && found)
		err = read_counts(db, id, &tally);
	for (int ended = ENDED_NOT; err == 0 && found && ended <= ENDED_ACCEPTED; ended++)
		err = first_and_last(db, id, ended, &first, &last[ended]);
	if (err < 0)
		return err;
	if (found) {
		tally.first_accepted_epoch_ms = first;
		tally.last_accepted_epoch_ms = last[ENDED_ACCEPTED];
		for (int i = 0; i < 3; i++)
			if (last[i] > tally.last_epoch_ms)
				tally.last_epoch_ms = last[i];
	}
	*ret_tally = tally;
	return 0;
}

static int count_ended(struct results_db *db, int64_t campaign, int ended, int64_t from, int64_t to,
	uint64_t *ret_count)
{
	int64_t count = 0;
	int row;

	results_db_bind_int(db, RDB_COUNT_ENDED, 1, campaign);
	results_db_bind_int(db, RDB_COUNT_ENDED, 2, ended);
	results_db_bind_int(db, RDB_COUNT_ENDED, 3, from);
	results_db_bind_int(db, RDB_COUNT_ENDED, 4, to);
	row = read_one(db, RDB_COUNT_ENDED, &count);
	*ret_count = (uint64_t)count;
	return row < 0 ? row : 0;
}

int results_db_count_ended(struct results_db *db, const char *campaign, int64_t from_epoch_ms,
	int64_t to_epoch_ms, uint64_t *ret_accepted, uint64_t *ret_other)
{
	uint64_t accepted = 0, other = 0;
	int64_t id;
	bool found;
	int err = find_campaign(db, campaign, &found, &id);

	if (err == 0 && found)
		err = count_ended(db, id, ENDED_ACCEPTED, from_epoch_ms, to_epoch_ms, &accepted);
	if (err == 0 && found)
		err = count_ended(db, id, ENDED_OTHERWISE, from_epoch_ms, to_epoch_ms, &other);
	if (err < 0)
		return err;
	*ret_accepted = accepted;
	*ret_other = other;
	return 0;
}

/* ---- records */

int results_db_read_record(struct results_db *db, sqlite3_stmt *statement,
	struct result_record *ret_record, char ids[3][ID_TEXT_SIZE])
{
	int64_t outcome = sqlite3_column_int64(statement, 3);

	if (outcome < 0 || outcome >= RESULT_OUTCOMES) {
		snprintf(db->detail, sizeof(db->detail), "a row of no known outcome");
		return ERR_IO;
	}
	*ret_record = (struct result_record){
		.outcome = (enum result_outcome)outcome,
		.last_epoch_ms = sqlite3_column_int64(statement, 4),
		.key = results_db_column_id(statement, 5, ids[0]),
		.campaign = results_db_column_text(statement, 6),
		.destination = results_db_column_text(statement, 7),
		.message_id = results_db_column_id(statement, 8, ids[1]),
		.status = sqlite3_column_int(statement, 9),
		.reason = results_db_column_text(statement, 10),
		.request_id = results_db_column_id(statement, 11, ids[2]),
		.attempts = (unsigned)sqlite3_column_int64(statement, 12),
		.first_epoch_ms = sqlite3_column_int64(statement, 13),
		.unanswered = sqlite3_column_int(statement, 14) != 0,
	};
	return 0;
}

/* Moves the record's texts into db->found, where they outlive the statement. */
static int keep_texts(struct results_db *db, struct result_record *record)
{
	const char **const texts[] = {&record->key, &record->campaign, &record->destination,
		&record->message_id, &record->reason, &record->request_id};
	size_t at[sizeof(texts) / sizeof(texts[0])];
	const size_t count = sizeof(texts) / sizeof(texts[0]);

	buf_clear(&db->found);
	for (size_t i = 0; i < count; i++) {
		at[i] = db->found.len;
		buf_append(&db->found, *texts[i], strlen(*texts[i]) + 1);
	}
	if (db->found.err < 0) {
		snprintf(db->detail, sizeof(db->detail), "%s", error_message(db->found.err));
		return db->found.err == ERR_NOMEM ? ERR_NOMEM : ERR_IO;
	}
	for (size_t i = 0; i < count; i++)
		*texts[i] = db->found.data + at[i];
	return 0;
}

int results_db_find(struct results_db *db, const char *key, struct result_record *ret_record)
{
	sqlite3_stmt *statement = db->statements[RDB_RECORD_FIND];
	char ids[3][ID_TEXT_SIZE];
	struct result_record record;
	int row, err;

	results_db_bind_id(db, RDB_RECORD_FIND, 1, key, 0);
	row = results_db_step(db, RDB_RECORD_FIND);
	if (row <= 0)
		return row < 0 ? row : ERR_NOT_FOUND;
	err = results_db_read_record(db, statement, &record, ids);
	if (err == 0)
		err = keep_texts(db, &record);
	results_db_reset(db, RDB_RECORD_FIND);
	if (err == 0)
		*ret_record = record;
	return err;
}

int results_db_each_campaign(struct results_db *db,
	void (*visit)(void *arg, const char *campaign, uint64_t keys), void *arg)
{
	sqlite3_stmt *statement = db->statements[RDB_CAMPAIGNS];
	int row = before_reading(db);

	if (row < 0)
		return row;
	while ((row = results_db_step(db, RDB_CAMPAIGNS)) > 0)
		visit(arg, results_db_column_text(statement, 0),
			(uint64_t)sqlite3_column_int64(statement, 1));
	return row;
}

/* ---- reasons */

static int read_sample(struct results_db *db, int64_t group, struct results_reason *reason,
	char ids[2][ID_TEXT_SIZE])
{
	sqlite3_stmt *statement = db->statements[RDB_GROUP_SAMPLE];
	int row;

	results_db_bind_int(db, RDB_GROUP_SAMPLE, 1, group);
	row = results_db_step(db, RDB_GROUP_SAMPLE);
	reason->sample_key = row > 0 ? results_db_column_id(statement, 0, ids[0]) : "";
	reason->sample_request_id = row > 0 ? results_db_column_id(statement, 1, ids[1]) : "";
	return row;
}

int results_db_each_reason(struct results_db *db, const char *campaign, unsigned limit,
	void (*visit)(void *arg, const struct results_reason *reason), void *arg)
{
	sqlite3_stmt *statement = db->statements[RDB_GROUPS];
	char ids[2][ID_TEXT_SIZE];
	int64_t id;
	bool found;
	int row, err = find_campaign(db, campaign, &found, &id);

	if (err < 0 || !found)
		return err;
	results_db_bind_int(db, RDB_GROUPS, 1, id);
	results_db_bind_int(db, RDB_GROUPS, 2, limit);
	while ((row = results_db_step(db, RDB_GROUPS)) > 0) {
		int64_t outcome = sqlite3_column_int64(statement, 1);
		struct results_reason reason = {
			.outcome = (enum result_outcome)outcome,
			.status = sqlite3_column_int(statement, 2),
			.reason = results_db_column_text(statement, 3),
			.count = (uint64_t)sqlite3_column_int64(statement, 4),
		};

		if (outcome < 0 || outcome >= RESULT_OUTCOMES)
			continue;
		err = read_sample(db, sqlite3_column_int64(statement, 0), &reason, ids);
		if (err >= 0)
			visit(arg, &reason);
		results_db_reset(db, RDB_GROUP_SAMPLE);
		if (err < 0) {
			results_db_reset(db, RDB_GROUPS);
			return err;
		}
	}
	return row;
}

/* ---- the delivery curve */

int results_db_curve(struct results_db *db, const char *campaign, int64_t from_epoch_ms,
	int64_t to_epoch_ms, uint64_t counts[], unsigned buckets)
{
	sqlite3_stmt *statement = db->statements[RDB_EACH_ENDED];
	double width = ((double)to_epoch_ms - (double)from_epoch_ms) / buckets;
	int64_t id;
	bool found;
	int row, err = find_campaign(db, campaign, &found, &id);

	assert(buckets > 0 && from_epoch_ms < to_epoch_ms);
	memset(counts, 0, buckets * sizeof(counts[0]));
	if (err < 0 || !found)
		return err;
	results_db_bind_int(db, RDB_EACH_ENDED, 1, id);
	results_db_bind_int(db, RDB_EACH_ENDED, 2, ENDED_ACCEPTED);
	results_db_bind_int(db, RDB_EACH_ENDED, 3, from_epoch_ms);
	results_db_bind_int(db, RDB_EACH_ENDED, 4, to_epoch_ms);
	while ((row = results_db_step(db, RDB_EACH_ENDED)) > 0) {
		double at = (double)sqlite3_column_int64(statement, 0) - (double)from_epoch_ms;
		double bucket = at / width;

		counts[bucket < buckets ? (unsigned)bucket : buckets - 1]++;
	}
	return row;
}

int results_db_quantile(struct results_db *db, const char *campaign, uint64_t part, uint64_t whole,
	int64_t *ret_epoch_ms)
{
	uint64_t accepted = 0, nth;
	int64_t id, at = 0;
	bool found;
	int row, err = find_campaign(db, campaign, &found, &id);

	assert(part <= whole && whole > 0 && whole <= 1000000);
	if (err == 0 && found)
		err = count_ended(db, id, ENDED_ACCEPTED, INT64_MIN, INT64_MAX, &accepted);
	if (err < 0)
		return err;
	if (accepted > 0) {
		nth = (accepted * part + whole - 1) / whole;
		results_db_bind_int(db, RDB_NTH_ENDED, 1, id);
		results_db_bind_int(db, RDB_NTH_ENDED, 2, ENDED_ACCEPTED);
		results_db_bind_int(db, RDB_NTH_ENDED, 3, nth > 0 ? (int64_t)nth - 1 : 0);
		row = read_one(db, RDB_NTH_ENDED, &at);
		if (row < 0)
			return row;
	}
	*ret_epoch_ms = at;
	return 0;
}

/* ---- statuses, positions in logs */

int results_db_each_status(struct results_db *db, int64_t since_epoch_ms,
	void (*visit)(void *arg, const struct result_status *status), void *arg)
{
	sqlite3_stmt *statement = db->statements[RDB_STATUSES];
	int row;

	results_db_bind_int(db, RDB_STATUSES, 1, since_epoch_ms);
	while ((row = results_db_step(db, RDB_STATUSES)) > 0) {
		int64_t limit = sqlite3_column_int64(statement, 6);
		struct result_status status = {
			.worker = results_db_column_text(statement, 0),
			.at_epoch_ms = sqlite3_column_int64(statement, 1),
			.in_flight = (uint64_t)sqlite3_column_int64(statement, 2),
			.slots = (uint64_t)sqlite3_column_int64(statement, 3),
			.waiting = (uint64_t)sqlite3_column_int64(statement, 4),
			.accepted = (uint64_t)sqlite3_column_int64(statement, 5),
			.limit = limit >= 0 && limit < RESULT_LIMITS ? (enum result_limit)limit
								     : RESULT_LIMIT_NONE,
			.control = results_db_column_text(statement, 7),
		};

		visit(arg, &status);
	}
	return row;
}

int results_db_last_heard(struct results_db *db, int64_t *ret_epoch_ms)
{
	int64_t at = 0;
	int row = read_one(db, RDB_LAST_HEARD, &at);

	if (row < 0)
		return row;
	*ret_epoch_ms = at;
	return 0;
}

int results_db_find_position(struct results_db *db, uint64_t device, uint64_t inode,
	struct results_position *ret_position)
{
	sqlite3_stmt *statement = db->statements[RDB_LOG_FIND];
	int row;

	results_db_bind_int(db, RDB_LOG_FIND, 1, (int64_t)device);
	results_db_bind_int(db, RDB_LOG_FIND, 2, (int64_t)inode);
	row = results_db_step(db, RDB_LOG_FIND);
	if (row <= 0)
		return row < 0 ? row : ERR_NOT_FOUND;
	*ret_position = (struct results_position){
		.device = device,
		.inode = inode,
		.position = (uint64_t)sqlite3_column_int64(statement, 0),
		.head_hash = (uint64_t)sqlite3_column_int64(statement, 1),
		.head_bytes = (uint32_t)sqlite3_column_int64(statement, 2),
	};
	results_db_reset(db, RDB_LOG_FIND);
	return 0;
}
