/* Adding records: interned texts, which record of a key holds, counts that follow. */
#include "base/hash.h"
#include "bunshin/error.h"
#include "campaign/results_db_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The first error sticks. */
static int note(struct results_db *db, int err)
{
	if (err < 0)
		db->err = err;
	return err;
}

static int begin(struct results_db *db)
{
	int err;

	if (db->err < 0 || db->dirty)
		return db->err;
	err = results_db_step(db, RDB_BEGIN);
	if (err == 0)
		db->dirty = true;
	return note(db, err);
}

/* ---- interned texts */

int results_db_find_text(struct results_db *db, const char *text, int64_t *ret_id)
{
	int row;

	*ret_id = 0;
	if (text[0] == '\0')
		return 0;
	results_db_bind_text(db, RDB_TEXT_FIND, 1, text);
	row = results_db_step(db, RDB_TEXT_FIND);
	if (row <= 0)
		return row;
	*ret_id = sqlite3_column_int64(db->statements[RDB_TEXT_FIND], 0);
	results_db_reset(db, RDB_TEXT_FIND);
	return 0;
}

static int intern(struct results_db *db, const char *text, int64_t *ret_id)
{
	struct text_slot *slot = &db->texts[hash_bytes(text, strlen(text)) % TEXT_SLOTS];
	char *copy;
	int64_t id;
	int err;

	*ret_id = 0;
	if (text[0] == '\0')
		return 0;
	if (slot->id != 0 && strcmp(slot->text, text) == 0) {
		*ret_id = slot->id;
		return 0;
	}
	err = results_db_find_text(db, text, &id);
	if (err == 0 && id == 0) {
		results_db_bind_text(db, RDB_TEXT_ADD, 1, text);
		err = results_db_step(db, RDB_TEXT_ADD);
		id = sqlite3_last_insert_rowid(db->db);
	}
	if (err < 0)
		return err;
	*ret_id = id;
	copy = strdup(text);
	if (copy == NULL)
		return 0; /* it is looked up again next time */
	free(slot->text);
	*slot = (struct text_slot){id, copy};
	return 0;
}

/* ---- counts */

static bool has_reason(enum result_outcome outcome)
{
	return outcome == RESULT_FAILED || outcome == RESULT_EXPIRED || outcome == RESULT_RETRYING;
}

static int find_group(struct results_db *db, const struct group_slot *wanted, int64_t *ret_id)
{
	const int64_t key[] = {wanted->campaign, wanted->reason, wanted->outcome, wanted->status};
	struct group_slot *slot = &db->groups[hash_bytes(key, sizeof(key)) % GROUP_SLOTS];
	enum results_db_statement statements[] = {RDB_GROUP_FIND, RDB_GROUP_ADD};
	int row;

	if (slot->id != 0 && slot->campaign == wanted->campaign && slot->reason == wanted->reason &&
		slot->outcome == wanted->outcome && slot->status == wanted->status) {
		*ret_id = slot->id;
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		results_db_bind_int(db, statements[i], 1, wanted->campaign);
		results_db_bind_int(db, statements[i], 2, wanted->outcome);
		results_db_bind_int(db, statements[i], 3, wanted->status);
		results_db_bind_int(db, statements[i], 4, wanted->reason);
		row = results_db_step(db, statements[i]);
		if (row < 0)
			return row;
		if (row > 0) {
			*ret_id = sqlite3_column_int64(db->statements[RDB_GROUP_FIND], 0);
			results_db_reset(db, RDB_GROUP_FIND);
			break;
		}
		*ret_id = sqlite3_last_insert_rowid(db->db);
	}
	*slot = *wanted;
	slot->id = *ret_id;
	return 0;
}

static int flush_groups(struct results_db *db)
{
	int err = 0;

	for (size_t i = 0; i < GROUP_SLOTS && err == 0 && db->group_change_count > 0; i++) {
		struct group_change *change = &db->group_changes[i];

		if (change->id == 0)
			continue;
		if (change->keys != 0) {
			results_db_bind_int(db, RDB_GROUP_CHANGE, 1, change->id);
			results_db_bind_int(db, RDB_GROUP_CHANGE, 2, change->keys);
			err = results_db_step(db, RDB_GROUP_CHANGE);
		}
		*change = (struct group_change){0};
	}
	db->group_change_count = 0;
	return err;
}

/* id 0: none */
static int count_group(struct results_db *db, int64_t id, int by)
{
	size_t at = (size_t)id % GROUP_SLOTS;
	int err;

	if (id == 0)
		return 0;
	if (db->group_change_count >= GROUP_SLOTS * 3 / 4) {
		err = flush_groups(db);
		if (err < 0)
			return err;
	}
	while (db->group_changes[at].id != 0 && db->group_changes[at].id != id)
		at = (at + 1) % GROUP_SLOTS;
	if (db->group_changes[at].id == 0)
		db->group_change_count++;
	db->group_changes[at].id = id;
	db->group_changes[at].keys += by;
	return 0;
}

static int flush_tallies(struct results_db *db)
{
	int err = 0;

	for (unsigned i = 0; i < db->tally_change_count && err == 0; i++) {
		const struct tally_change *change = &db->tally_changes[i];

		for (int o = 0; o < RESULT_OUTCOMES && err == 0; o++) {
			if (change->keys[o] == 0 && change->uncertain[o] == 0 &&
				change->first[o] == 0)
				continue;
			results_db_bind_int(db, RDB_TALLY_CHANGE, 1, change->campaign);
			results_db_bind_int(db, RDB_TALLY_CHANGE, 2, o);
			results_db_bind_int(db, RDB_TALLY_CHANGE, 3, change->keys[o]);
			results_db_bind_int(db, RDB_TALLY_CHANGE, 4, change->uncertain[o]);
			results_db_bind_int(db, RDB_TALLY_CHANGE, 5, change->first[o]);
			err = results_db_step(db, RDB_TALLY_CHANGE);
		}
	}
	db->tally_change_count = 0;
	return err;
}

static struct tally_change *find_tally(struct results_db *db, int64_t campaign)
{
	for (unsigned i = 0; i < db->tally_change_count; i++)
		if (db->tally_changes[i].campaign == campaign)
			return &db->tally_changes[i];
	return NULL;
}

static int64_t earlier(int64_t a, int64_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

/* A row of these properties has come (by 1) or gone (by -1). */
struct row {
	int64_t campaign, group;
	enum result_outcome outcome;
	int64_t first;
	bool unanswered;
};

static int count_row(struct results_db *db, const struct row *row, int by)
{
	struct tally_change *tally = find_tally(db, row->campaign);
	int err = 0;

	if (tally == NULL && db->tally_change_count == TALLY_SLOTS)
		err = flush_tallies(db);
	if (err < 0)
		return err;
	if (tally == NULL) {
		tally = &db->tally_changes[db->tally_change_count++];
		*tally = (struct tally_change){.campaign = row->campaign};
	}
	tally->keys[row->outcome] += by;
	tally->uncertain[row->outcome] += row->unanswered ? by : 0;
	tally->first[row->outcome] = earlier(tally->first[row->outcome], row->first);
	return count_group(db, row->group, by);
}

int results_db_flush(struct results_db *db)
{
	int err = flush_tallies(db);

	return err < 0 ? err : flush_groups(db);
}

void results_db_forget(struct results_db *db)
{
	for (size_t i = 0; i < TEXT_SLOTS; i++)
		free(db->texts[i].text);
	memset(db->texts, 0, sizeof(db->texts));
	memset(db->groups, 0, sizeof(db->groups));
	memset(db->group_changes, 0, sizeof(db->group_changes));
	db->group_change_count = db->tally_change_count = 0;
}

/* ---- records */

static int ended_of(enum result_outcome outcome)
{
	if (outcome == RESULT_ACCEPTED || outcome == RESULT_SUPPRESSED)
		return ENDED_ACCEPTED;
	return outcome == RESULT_RETRYING ? ENDED_NOT : ENDED_OTHERWISE;
}

/* As strcmp(): which of two records of one key holds; 0: they say the same. */
static int compare(const struct result_record *a, const struct result_record *b)
{
	const char *const texts[][2] = {{a->reason, b->reason}, {a->request_id, b->request_id},
		{a->message_id, b->message_id}, {a->destination, b->destination},
		{a->campaign, b->campaign}};
	int order = 0;

	if (a->outcome != b->outcome)
		return a->outcome > b->outcome ? 1 : -1;
	if (a->last_epoch_ms != b->last_epoch_ms) {
		if (a->last_epoch_ms == 0 || b->last_epoch_ms == 0)
			return a->last_epoch_ms != 0 ? 1 : -1;
		return (a->last_epoch_ms < b->last_epoch_ms) ==
				       (ended_of(a->outcome) == ENDED_ACCEPTED)
			       ? 1
			       : -1;
	}
	if (a->status != b->status)
		return a->status > b->status ? 1 : -1;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && order == 0; i++)
		order = strcmp(texts[i][0], texts[i][1]);
	return order;
}

/* Binds what the row has besides its key, from parameter 2 on; RECORD_ADD and RECORD_REPLACE. */
static int bind_record(struct results_db *db, enum results_db_statement which,
	const struct result_record *record, struct row *ret_row)
{
	struct group_slot group = {.outcome = (int)record->outcome, .status = record->status};
	int64_t campaign, destination, reason;
	int err = intern(db, record->campaign, &campaign);

	if (err == 0)
		err = intern(db, record->destination, &destination);
	if (err == 0)
		err = intern(db, record->reason, &reason);
	if (err < 0)
		return err;
	*ret_row = (struct row){.campaign = campaign,
		.outcome = record->outcome,
		.first = record->first_epoch_ms,
		.unanswered = record->unanswered};
	group.campaign = campaign;
	group.reason = reason;
	if (has_reason(record->outcome))
		err = find_group(db, &group, &ret_row->group);
	if (err < 0)
		return err;
	results_db_bind_int(db, which, 2, campaign);
	results_db_bind_int(db, which, 3, ended_of(record->outcome));
	results_db_bind_int(db, which, 4, record->last_epoch_ms);
	results_db_bind_int(db, which, 5, record->outcome);
	results_db_bind_int(db, which, 6, record->status);
	results_db_bind_int(db, which, 7, reason);
	if (ret_row->group != 0)
		results_db_bind_int(db, which, 8, ret_row->group);
	else
		sqlite3_bind_null(db->statements[which], 8);
	results_db_bind_int(db, which, 9, destination);
	results_db_bind_int(db, which, 10, record->attempts);
	results_db_bind_int(db, which, 11, record->first_epoch_ms);
	results_db_bind_int(db, which, 12, record->unanswered);
	results_db_bind_id(db, which, 13, record->message_id, 1);
	results_db_bind_id(db, which, 14, record->request_id, 2);
	return 0;
}

static int replace(struct results_db *db, int64_t rowid, const struct row *old,
	const struct result_record *record)
{
	struct row row;
	int err = bind_record(db, RDB_RECORD_REPLACE, record, &row);

	if (err < 0)
		return err;
	results_db_bind_int(db, RDB_RECORD_REPLACE, 1, rowid);
	err = results_db_step(db, RDB_RECORD_REPLACE);
	if (err == 0)
		err = count_row(db, old, -1);
	return err < 0 ? err : count_row(db, &row, 1);
}

/* The old record holds; what is kept over all of them may have changed. */
static int widen(struct results_db *db, int64_t rowid, const struct row *old,
	const struct result_record *merged)
{
	struct row row = *old;
	int err;

	results_db_bind_int(db, RDB_RECORD_WIDEN, 1, rowid);
	results_db_bind_int(db, RDB_RECORD_WIDEN, 2, merged->attempts);
	results_db_bind_int(db, RDB_RECORD_WIDEN, 3, merged->first_epoch_ms);
	results_db_bind_int(db, RDB_RECORD_WIDEN, 4, merged->unanswered);
	err = results_db_step(db, RDB_RECORD_WIDEN);
	if (err < 0)
		return err;
	row.first = merged->first_epoch_ms;
	row.unanswered = merged->unanswered;
	err = count_row(db, old, -1);
	return err < 0 ? err : count_row(db, &row, 1);
}

/* Another record of a key that is there. */
static int merge(struct results_db *db, const struct result_record *record)
{
	sqlite3_stmt *find = db->statements[RDB_RECORD_FIND];
	char ids[3][ID_TEXT_SIZE];
	struct result_record old, merged = *record;
	struct row row;
	bool holds, same;
	int64_t rowid;
	int err;

	results_db_bind_id(db, RDB_RECORD_FIND, 1, record->key, 0);
	err = results_db_step(db, RDB_RECORD_FIND);
	if (err <= 0)
		return err < 0 ? err : ERR_IO;
	err = results_db_read_record(db, find, &old, ids);
	rowid = sqlite3_column_int64(find, 0);
	row = (struct row){.campaign = sqlite3_column_int64(find, 1),
		.group = sqlite3_column_int64(find, 2),
		.outcome = old.outcome,
		.first = old.first_epoch_ms,
		.unanswered = old.unanswered};
	holds = err == 0 && compare(record, &old) > 0;
	results_db_reset(db, RDB_RECORD_FIND);
	if (err < 0)
		return err;
	merged.attempts = old.attempts > record->attempts ? old.attempts : record->attempts;
	merged.first_epoch_ms = earlier(old.first_epoch_ms, record->first_epoch_ms);
	merged.unanswered = old.unanswered || record->unanswered;
	if (holds)
		return replace(db, rowid, &row, &merged);
	same = merged.attempts == old.attempts && merged.first_epoch_ms == old.first_epoch_ms &&
	       merged.unanswered == old.unanswered;
	return same ? 0 : widen(db, rowid, &row, &merged);
}

int results_db_add(struct results_db *db, const struct result_record *record)
{
	struct row row;
	int err = begin(db);

	assert(record->key[0] != '\0');
	if (err < 0)
		return err;
	results_db_bind_id(db, RDB_RECORD_ADD, 1, record->key, 0);
	err = bind_record(db, RDB_RECORD_ADD, record, &row);
	if (err == 0)
		err = results_db_step(db, RDB_RECORD_ADD);
	if (err == 0)
		err = sqlite3_changes(db->db) == 1 ? count_row(db, &row, 1) : merge(db, record);
	return note(db, err);
}

/* ---- statuses, positions in logs */

int results_db_add_status(struct results_db *db, const struct result_status *status)
{
	int err = begin(db);

	if (err < 0)
		return err;
	results_db_bind_text(db, RDB_STATUS_PUT, 1, status->worker);
	results_db_bind_int(db, RDB_STATUS_PUT, 2, status->at_epoch_ms);
	results_db_bind_int(db, RDB_STATUS_PUT, 3, (int64_t)status->in_flight);
	results_db_bind_int(db, RDB_STATUS_PUT, 4, (int64_t)status->slots);
	results_db_bind_int(db, RDB_STATUS_PUT, 5, (int64_t)status->waiting);
	results_db_bind_int(db, RDB_STATUS_PUT, 6, (int64_t)status->accepted);
	results_db_bind_int(db, RDB_STATUS_PUT, 7, status->limit);
	results_db_bind_text(db, RDB_STATUS_PUT, 8, status->control);
	db->statuses = true;
	return note(db, results_db_step(db, RDB_STATUS_PUT));
}

int results_db_put_position(struct results_db *db, const struct results_position *position)
{
	int err = begin(db);

	if (err < 0)
		return err;
	results_db_bind_int(db, RDB_LOG_PUT, 1, (int64_t)position->device);
	results_db_bind_int(db, RDB_LOG_PUT, 2, (int64_t)position->inode);
	results_db_bind_int(db, RDB_LOG_PUT, 3, (int64_t)position->position);
	results_db_bind_int(db, RDB_LOG_PUT, 4, (int64_t)position->head_hash);
	results_db_bind_int(db, RDB_LOG_PUT, 5, position->head_bytes);
	return note(db, results_db_step(db, RDB_LOG_PUT));
}
