/*
 * What a campaign's journal has more when its messages are packs: one row of a table of its own.
 * Such a file is of version 2; one without packs stays what an older program reads.
 */
#include "bunshin/error.h"
#include "campaign/journal_private.h"

#include <stdlib.h>
#include <string.h>

static int sum_packing(int64_t most, const char *field, int64_t *ret_sum)
{
	struct buf text = BUF_INIT(PACK_FIELD_MAX + 64);
	int rc;

	journal_sum_number(&text, most);
	journal_sum_bytes(&text, field, strlen(field));
	rc = text.err;
	*ret_sum = journal_sum('p', &text);
	buf_free(&text);
	return rc;
}

static int insert(struct journal *journal, int64_t most, const char *field, int64_t sum)
{
	sqlite3_stmt *put;
	int rc = 0;

	if (sqlite3_prepare_v2(journal->db, "INSERT INTO packing VALUES(1,?1,?2,?3)", -1, &put,
		    NULL) != SQLITE_OK)
		return journal_fail(journal);
	sqlite3_bind_int64(put, 1, most);
	sqlite3_bind_text(put, 2, field, -1, SQLITE_STATIC);
	sqlite3_bind_int64(put, 3, sum);
	if (sqlite3_step(put) != SQLITE_DONE)
		rc = journal_fail(journal);
	sqlite3_finalize(put);
	return rc;
}

int journal_packing_store(struct journal *journal, const struct journal_campaign *campaign)
{
	int64_t sum;
	int rc;

	if (campaign->pack == 0)
		return 0;
	rc = sum_packing(campaign->pack, campaign->pack_field, &sum);
	if (rc == 0)
		rc = journal_run(journal, JOURNAL_PACKING_TABLE);
	if (rc == 0)
		rc = insert(journal, campaign->pack, campaign->pack_field, sum);
	return rc == 0 ? journal_set_version(journal, JOURNAL_VERSION_PACKED) : rc;
}

/* The row at which `row` stands. */
static int read_row(struct journal *journal, sqlite3_stmt *row)
{
	int64_t most = sqlite3_column_int64(row, 0), sum = 0;
	const char *field = (const char *)sqlite3_column_text(row, 1);
	bool fits = field && field[0] != '\0' && strlen(field) <= PACK_FIELD_MAX &&
		    strlen(field) == (size_t)sqlite3_column_bytes(row, 1) && most >= 1 &&
		    most <= PACKER_ROWS_MAX;
	int rc = fits ? sum_packing(most, field, &sum) : 0;

	if (rc < 0)
		return rc;
	if (!fits || sum != sqlite3_column_int64(row, 2))
		return journal_damaged(journal, "the checksum of how it is packed is wrong");
	journal->pack = (unsigned)most;
	journal->pack_field = strdup(field);
	return journal->pack_field ? 0 : ERR_NOMEM;
}

int journal_packing_load(struct journal *journal)
{
	sqlite3_stmt *get;
	int rc;

	if (journal->version != JOURNAL_VERSION_PACKED || journal->pack_field)
		return 0;
	if (sqlite3_prepare_v2(journal->db, "SELECT most,field,sum FROM packing WHERE id=1", -1,
		    &get, NULL) != SQLITE_OK)
		return journal_fail(journal);
	switch (sqlite3_step(get)) {
	case SQLITE_ROW:
		rc = read_row(journal, get);
		break;
	case SQLITE_DONE:
		rc = journal_damaged(journal, "how it is packed is missing");
		break;
	default:
		rc = journal_fail(journal);
		break;
	}
	sqlite3_finalize(get);
	return rc;
}
