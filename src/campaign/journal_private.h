/*
 * Shared by the parts of the journal: the connection, its statements, what was noted and is not yet
 * written.
 */
#ifndef CAMPAIGN_JOURNAL_PRIVATE_H
#define CAMPAIGN_JOURNAL_PRIVATE_H

#include "campaign/journal.h"
#include "campaign/packer.h"
#include "campaign/row_set.h"

#include <sqlite3.h>

#define JOURNAL_TEXTS 11
#define JOURNAL_BUSY_TIMEOUT_MS 5000
#define JOURNAL_VERSION 1
#define JOURNAL_VERSION_PACKED 2 /* with the table `packing` */

/*
 * The tables, each with its text in sqlite_schema: a file whose tables are others is no journal.
 * The columns of `campaign` are those of struct journal_campaign, texts first; `sum` is the
 * checksum of the row.
 */
#define JOURNAL_TABLE_LIST(X)                                                                    \
	X(campaign, "CREATE TABLE campaign(id INTEGER PRIMARY KEY, name TEXT NOT NULL,"          \
		    " list TEXT NOT NULL, list_format TEXT NOT NULL, template_file TEXT,"        \
		    " key_column TEXT, group_column TEXT, rules TEXT, suppression TEXT,"         \
		    " destination TEXT, queue_url TEXT NOT NULL, endpoint TEXT,"                 \
		    " list_sha256 BLOB NOT NULL, template_sha256 BLOB NOT NULL,"                 \
		    " skip_invalid INTEGER NOT NULL, deadline INTEGER NOT NULL,"                 \
		    " at INTEGER NOT NULL, list_rows INTEGER NOT NULL, valid INTEGER NOT NULL,"  \
		    " begun INTEGER NOT NULL, finished INTEGER NOT NULL, sum INTEGER NOT NULL)") \
	X(confirmed, "CREATE TABLE confirmed(chunk INTEGER PRIMARY KEY, bits BLOB NOT NULL,"     \
		     " sum INTEGER NOT NULL)")                                                   \
	X(rejects, "CREATE TABLE rejects(list_row INTEGER PRIMARY KEY, line INTEGER NOT NULL,"   \
		   " reject INTEGER NOT NULL, reason TEXT NOT NULL, sum INTEGER NOT NULL)")

#define JOURNAL_PACKING_TABLE                                                 \
	"CREATE TABLE packing(id INTEGER PRIMARY KEY, most INTEGER NOT NULL," \
	" field TEXT NOT NULL, sum INTEGER NOT NULL)"

/* X(id, SQL): each is prepared once, when the journal opens. */
#define JOURNAL_STATEMENT_LIST(X)                                                               \
	X(READ, "BEGIN")                                                                        \
	X(WRITE, "BEGIN IMMEDIATE")                                                             \
	X(COMMIT, "COMMIT")                                                                     \
	X(DATA_VERSION, "PRAGMA data_version")                                                  \
	X(CAMPAIGN_GET, "SELECT * FROM campaign WHERE id=1")                                    \
	X(CAMPAIGN_PUT, "INSERT OR REPLACE INTO campaign VALUES"                                \
			"(1,?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,"    \
			"?19,?20,?21)")                                                         \
	X(CHUNKS, "SELECT chunk,bits,sum FROM confirmed ORDER BY chunk")                        \
	X(CHUNK_PUT, "INSERT OR REPLACE INTO confirmed VALUES(?1,?2,?3)")                       \
	X(REJECTS_ALL, "SELECT list_row,line,reject,reason,sum FROM rejects ORDER BY list_row") \
	X(REJECT_GET, "SELECT list_row,line,reject,reason,sum FROM rejects WHERE list_row=?1")  \
	/* What stands there already is not written again by each resume. */                    \
	X(REJECT_PUT, "INSERT INTO rejects VALUES(?1,?2,?3,?4,?5) ON CONFLICT(list_row)"        \
		      " DO UPDATE SET line=excluded.line, reject=excluded.reject,"              \
		      " reason=excluded.reason, sum=excluded.sum WHERE sum<>excluded.sum")

enum journal_statement {
#define X(id, text) JOURNAL_##id,
	JOURNAL_STATEMENT_LIST(X)
#undef X
		JOURNAL_STATEMENTS
};

/* Of a row that was noted. */
struct journal_note {
	uint64_t row, line;
	enum journal_reject reject;
	char *reason;
};

struct journal {
	char *path;
	char *new_path; /* while it is prepared; NULL: it has its name */
	bool to_send;
	int lock_fd; /* -1: none */
	sqlite3 *db;
	sqlite3_stmt *statements[JOURNAL_STATEMENTS];
	int64_t version; /* of the file */
	struct journal_campaign campaign;
	char *texts[JOURNAL_TEXTS]; /* what `campaign` points to */
	unsigned pack;
	char *pack_field; /* NULL: no packs */
	int64_t begun_epoch_ms, finished_epoch_ms;
	int64_t data_version; /* of what was read last */
	struct row_set confirmed, refused;
	uint64_t rejects[JOURNAL_REJECTS]; /* of what was read last */
	struct journal_note *notes;	   /* rejects, not yet written */
	size_t note_count, note_room;
	char reason[JOURNAL_REASON_MAX + 1]; /* what journal_find_reject() lends out */
	int code;			     /* the database's last error, and its words */
	char detail[512];
};

/* journal.c */

/* A journal of that path, nothing read yet; with `to_send` it has the lock. */
int journal_make(const char *path, bool to_send, struct journal **ret_journal, struct buf *error);
/* Connects, checks and loads, to go on with it. */
int journal_open_to_send(struct journal *journal);

/* journal_db.c: one statement at a time, as in the database's own interface. */

int journal_connect(struct journal *journal, const char *path, bool to_write);
void journal_disconnect(struct journal *journal);
int journal_prepare_statements(struct journal *journal);
/* In an empty file; prepares the statements as well. */
int journal_make_tables(struct journal *journal);
/* Is it one, of a version that is known, with the tables of it? */
int journal_check_kind(struct journal *journal);
/* Of the whole file; what is wrong is found now and not in the middle of a campaign. */
int journal_check_pages(struct journal *journal);
/* Remembers the database's words. ERR_NOMEM or ERR_IO. */
int journal_fail(struct journal *journal);
/* For people; returns rc. */
int journal_tell(const struct journal *journal, const char *what, int rc, struct buf *error);
/* Begins a transaction that writes; ends one, rolled back when it failed. */
int journal_begin_write(struct journal *journal);
int journal_end_write(struct journal *journal, int rc);
int journal_run(struct journal *journal, const char *text);
int journal_set_version(struct journal *journal, int version);
/* What the database takes for good and is not: words of our own. ERR_IO. */
int journal_damaged(struct journal *journal, const char *what);
/* 1: a row; 0: done; or a negative code, then `detail` is set. The latter two reset it. */
int journal_step(struct journal *journal, enum journal_statement which);
void journal_reset(struct journal *journal, enum journal_statement which);

/* journal_campaign.c: the one row of `campaign`. Both need a transaction. */

int journal_campaign_load(struct journal *journal);
/* `campaign` as it is to be, its times in `journal`. */
int journal_campaign_store(struct journal *journal, const struct journal_campaign *campaign);
void journal_campaign_free(struct journal *journal);

/* journal_packing.c. Both need a transaction. */

int journal_packing_load(struct journal *journal);
/* With packs: makes the file one of JOURNAL_VERSION_PACKED. Once. */
int journal_packing_store(struct journal *journal, const struct journal_campaign *campaign);

/* journal_rows.c. Both need a transaction. */

/* All that is there; the sets of `journal` are made or replaced, `rejects` counted. */
int journal_rows_load(struct journal *journal);
/* `rejects` alone. */
int journal_rows_count(struct journal *journal);
/* All that was noted. It stays noted until journal_rows_written(). */
int journal_rows_store(struct journal *journal);
void journal_rows_written(struct journal *journal);
void journal_rows_free(struct journal *journal);

/*
 * Checksums: a text to be hashed is made piece by piece.
 *
 * A kind is a letter of its own for each table, so that no row passes for one of another.
 */
void journal_sum_number(struct buf *text, int64_t number);
void journal_sum_bytes(struct buf *text, const void *bytes, size_t len);
int64_t journal_sum(char kind, const struct buf *text);

#endif
