/* The journal's rows: which are confirmed, a chunk at a time, and why others are not sent. */
#include "bunshin/error.h"
#include "campaign/journal_private.h"

#include <stdlib.h>
#include <string.h>

/* checksums */

static int sum_chunk(int64_t chunk, const void *bits, int64_t *ret_sum)
{
	struct buf text = BUF_INIT(ROW_SET_CHUNK_BYTES + 64);
	int rc;

	journal_sum_number(&text, chunk);
	journal_sum_bytes(&text, bits, ROW_SET_CHUNK_BYTES);
	rc = text.err;
	*ret_sum = journal_sum('r', &text);
	buf_free(&text);
	return rc;
}

static int sum_reject(int64_t row, int64_t line, int reject, const char *reason, int64_t *ret_sum)
{
	struct buf text = BUF_INIT(JOURNAL_REASON_MAX + 64);
	int rc;

	journal_sum_number(&text, row);
	journal_sum_number(&text, line);
	journal_sum_number(&text, reject);
	journal_sum_bytes(&text, reason, strlen(reason));
	rc = text.err;
	*ret_sum = journal_sum('j', &text);
	buf_free(&text);
	return rc;
}

/* reading */

static int load_chunk(struct journal *journal, struct row_set *set, int64_t *last)
{
	sqlite3_stmt *row = journal->statements[JOURNAL_CHUNKS];
	int64_t chunk = sqlite3_column_int64(row, 0), sum;
	const void *bits = sqlite3_column_blob(row, 1);
	int rc;

	/* Out of order: the tree of the table is damaged, and might have no end. */
	if (chunk <= *last || !bits || sqlite3_column_bytes(row, 1) != ROW_SET_CHUNK_BYTES)
		return journal_damaged(journal, "a chunk of rows is malformed");
	*last = chunk;
	rc = sum_chunk(chunk, bits, &sum);
	if (rc < 0)
		return rc;
	if (sum != sqlite3_column_int64(row, 2))
		return journal_damaged(journal, "the checksum of a chunk of rows is wrong");
	rc = row_set_load(set, (uint64_t)chunk, bits);
	return rc == ERR_ARGUMENT ? journal_damaged(journal, "rows that the list does not have")
				  : rc;
}

static int load_chunks(struct journal *journal, struct row_set *set)
{
	int64_t last = -1;
	int rc;

	while ((rc = journal_step(journal, JOURNAL_CHUNKS)) > 0) {
		rc = load_chunk(journal, set, &last);
		if (rc < 0)
			break;
	}
	journal_reset(journal, JOURNAL_CHUNKS);
	return rc;
}

struct reject {
	int64_t row, line;
	int reject;
	const char *reason; /* the statement's */
};

/* The reject at which a statement stands. 0, ERR_IO or ERR_NOMEM. */
static int read_reject(struct journal *journal, enum journal_statement which, struct reject *ret)
{
	sqlite3_stmt *row = journal->statements[which];
	int64_t sum;
	int rc;

	ret->row = sqlite3_column_int64(row, 0);
	ret->line = sqlite3_column_int64(row, 1);
	ret->reject = sqlite3_column_int(row, 2);
	ret->reason = (const char *)sqlite3_column_text(row, 3);
	if (!ret->reason || strlen(ret->reason) > JOURNAL_REASON_MAX || ret->row < 1 ||
		(uint64_t)ret->row > journal->campaign.rows || ret->reject < 0 ||
		ret->reject >= JOURNAL_REJECTS)
		return journal_damaged(journal, "a rejected row is malformed");
	rc = sum_reject(ret->row, ret->line, ret->reject, ret->reason, &sum);
	if (rc == 0 && sum != sqlite3_column_int64(row, 4))
		rc = journal_damaged(journal, "the checksum of a rejected row is wrong");
	return rc;
}

/* Counts those whose row is not confirmed; those that the queue refused also go into `refused`. */
static int read_rejects(
	struct journal *journal, struct row_set *refused, uint64_t counts[JOURNAL_REJECTS])
{
	struct reject reject;
	int64_t last = 0;
	int rc;

	memset(counts, 0, JOURNAL_REJECTS * sizeof(counts[0]));
	while ((rc = journal_step(journal, JOURNAL_REJECTS_ALL)) > 0) {
		rc = read_reject(journal, JOURNAL_REJECTS_ALL, &reject);
		if (rc == 0 && reject.row <= last)
			rc = journal_damaged(journal, "rejected rows are out of order");
		last = reject.row;
		if (rc == 0 && !row_set_has(&journal->confirmed, (uint64_t)reject.row)) {
			counts[reject.reject]++;
			if (refused && reject.reject == JOURNAL_REJECT_REFUSED)
				rc = row_set_add(refused, (uint64_t)reject.row);
		}
		if (rc < 0)
			break;
	}
	journal_reset(journal, JOURNAL_REJECTS_ALL);
	return rc;
}

int journal_rows_load(struct journal *journal)
{
	struct row_set confirmed = {.chunks = NULL}, refused = {.chunks = NULL};
	int rc = row_set_init(&confirmed, journal->campaign.rows);

	if (rc == 0)
		rc = row_set_init(&refused, journal->campaign.rows);
	if (rc == 0)
		rc = load_chunks(journal, &confirmed);
	if (rc < 0) {
		row_set_free(&confirmed);
		row_set_free(&refused);
		return rc;
	}
	journal_rows_free(journal);
	journal->confirmed = confirmed;
	journal->refused = refused;
	return read_rejects(journal, &journal->refused, journal->rejects);
}

void journal_rows_free(struct journal *journal)
{
	row_set_free(&journal->confirmed);
	row_set_free(&journal->refused);
}

int journal_rows_count(struct journal *journal)
{
	return read_rejects(journal, NULL, journal->rejects);
}

bool journal_is_confirmed(const struct journal *journal, uint64_t row)
{
	return row_set_has(&journal->confirmed, row);
}

bool journal_is_settled(const struct journal *journal, uint64_t row)
{
	return row_set_has(&journal->confirmed, row) || row_set_has(&journal->refused, row);
}

bool journal_find_reject(struct journal *journal, uint64_t row, enum journal_reject *ret_reject,
	const char **ret_reason)
{
	struct reject reject;
	bool found = false;

	if (row == 0 || row > journal->campaign.rows || journal_is_confirmed(journal, row))
		return false;
	sqlite3_bind_int64(journal->statements[JOURNAL_REJECT_GET], 1, (int64_t)row);
	if (journal_step(journal, JOURNAL_REJECT_GET) > 0 &&
		read_reject(journal, JOURNAL_REJECT_GET, &reject) == 0) {
		found = true;
		*ret_reject = (enum journal_reject)reject.reject;
		memcpy(journal->reason, reject.reason, strlen(reject.reason) + 1);
		*ret_reason = journal->reason;
	}
	journal_reset(journal, JOURNAL_REJECT_GET);
	return found;
}

/* noting */

int journal_confirm(struct journal *journal, uint64_t row)
{
	return row_set_add(&journal->confirmed, row);
}

static int grow_notes(struct journal *journal)
{
	size_t room = journal->note_room > 0 ? 2 * journal->note_room : 64;
	struct journal_note *notes;

	if (journal->note_count < journal->note_room)
		return 0;
	notes = realloc(journal->notes, room * sizeof(*notes));
	if (!notes)
		return ERR_NOMEM;
	journal->notes = notes;
	journal->note_room = room;
	return 0;
}

/* A copy, cut at a character. */
static char *copy_reason(const char *reason)
{
	size_t len = strnlen(reason, JOURNAL_REASON_MAX + 1);

	if (len > JOURNAL_REASON_MAX) {
		len = JOURNAL_REASON_MAX;
		while (len > 0 && ((unsigned char)reason[len] & 0xc0) == 0x80)
			len--;
	}
	return strndup(reason, len);
}

int journal_reject(struct journal *journal, uint64_t row, uint64_t line, enum journal_reject reject,
	const char *reason)
{
	char *copy;

	if (row == 0 || row > journal->campaign.rows)
		return ERR_ARGUMENT;
	if (journal_is_confirmed(journal, row))
		return 0;
	copy = grow_notes(journal) == 0 ? copy_reason(reason) : NULL;
	if (!copy)
		return ERR_NOMEM;
	journal->notes[journal->note_count++] = (struct journal_note){row, line, reject, copy};
	return 0;
}

uint64_t journal_uncommitted_rows(const struct journal *journal)
{
	return journal->confirmed.fresh;
}

uint64_t journal_uncommitted_rejects(const struct journal *journal)
{
	return journal->note_count;
}

/* writing */

static int store_chunk(struct journal *journal, size_t chunk)
{
	sqlite3_stmt *put = journal->statements[JOURNAL_CHUNK_PUT];
	const unsigned char *bits = journal->confirmed.chunks[chunk]->bits;
	int64_t sum;
	int rc = sum_chunk((int64_t)chunk, bits, &sum);

	if (rc < 0)
		return rc;
	sqlite3_bind_int64(put, 1, (int64_t)chunk);
	sqlite3_bind_blob(put, 2, bits, ROW_SET_CHUNK_BYTES, SQLITE_STATIC);
	sqlite3_bind_int64(put, 3, sum);
	return journal_step(journal, JOURNAL_CHUNK_PUT);
}

static int store_note(struct journal *journal, const struct journal_note *note)
{
	sqlite3_stmt *put = journal->statements[JOURNAL_REJECT_PUT];
	int64_t sum;
	int rc = sum_reject(
		(int64_t)note->row, (int64_t)note->line, (int)note->reject, note->reason, &sum);

	if (rc < 0)
		return rc;
	sqlite3_bind_int64(put, 1, (int64_t)note->row);
	sqlite3_bind_int64(put, 2, (int64_t)note->line);
	sqlite3_bind_int(put, 3, (int)note->reject);
	sqlite3_bind_text(put, 4, note->reason, -1, SQLITE_STATIC);
	sqlite3_bind_int64(put, 5, sum);
	return journal_step(journal, JOURNAL_REJECT_PUT);
}

int journal_rows_store(struct journal *journal)
{
	size_t chunk = 0;
	int rc = 0;

	while (rc == 0 && row_set_next_dirty(&journal->confirmed, chunk, &chunk))
		rc = store_chunk(journal, chunk++);
	for (size_t i = 0; i < journal->note_count && rc == 0; i++)
		rc = store_note(journal, &journal->notes[i]);
	return rc;
}

void journal_rows_written(struct journal *journal)
{
	row_set_clean(&journal->confirmed);
	for (size_t i = 0; i < journal->note_count; i++)
		free(journal->notes[i].reason);
	journal->note_count = 0;
}
