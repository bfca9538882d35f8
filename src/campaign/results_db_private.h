/*
 * Shared by the parts of the results database: the connection, its statements, what is remembered
 * between commits.
 *
 * Tables. `texts` interns campaigns, destinations and reasons; id 0 is "". `records` has a row a
 * key, in the order of arrival. `ended` says in which of the two orders of time a row stands: 2
 * accepted, 1 ended otherwise, 0 retrying. A row that is failed, expired or retrying has a
 * `reason_group`, which counts those alike. `tallies` counts a campaign's rows by outcome. Both
 * counts are changed in the transaction that changes the rows.
 */
#ifndef CAMPAIGN_RESULTS_DB_PRIVATE_H
#define CAMPAIGN_RESULTS_DB_PRIVATE_H

#include "campaign/results_db.h"

#include <sqlite3.h>

#define DETAIL_MAX 512
#define ID_BYTES 16 /* a UUID is kept as its bytes */
#define ID_TEXT_SIZE 37

#define RECORD_COLUMNS                                                                       \
	"r.rowid,r.campaign,r.reason_group,r.outcome,r.at,r.key,c.text,d.text,r.message_id," \
	"r.status,x.text,r.request_id,r.attempts,r.first,r.unanswered"

/* X(id, SQL): each is prepared once, when the database opens. */
#define RESULTS_DB_STATEMENT_LIST(X)                                                               \
	X(BEGIN, "BEGIN IMMEDIATE")                                                                \
	X(COMMIT, "COMMIT")                                                                        \
	X(HOLD, "BEGIN")                                                                           \
	X(TEXT_FIND, "SELECT id FROM texts WHERE text=?1")                                         \
	X(TEXT_ADD, "INSERT INTO texts(text) VALUES(?1)")                                          \
	X(RECORD_ADD, "INSERT OR IGNORE INTO records(key,campaign,ended,at,outcome,status,reason," \
		      "reason_group,destination,attempts,first,unanswered,message_id,request_id) " \
		      "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)")                    \
	X(RECORD_FIND,                                                                             \
		"SELECT " RECORD_COLUMNS " FROM records r LEFT JOIN texts c ON c.id=r.campaign "   \
		"LEFT JOIN texts d ON d.id=r.destination LEFT JOIN texts x ON x.id=r.reason "      \
		"WHERE r.key=?1")                                                                  \
	X(RECORD_REPLACE, "UPDATE records SET campaign=?2,ended=?3,at=?4,outcome=?5,status=?6,"    \
			  "reason=?7,reason_group=?8,destination=?9,attempts=?10,first=?11,"       \
			  "unanswered=?12,message_id=?13,request_id=?14 WHERE rowid=?1")           \
	X(RECORD_WIDEN, "UPDATE records SET attempts=?2,first=?3,unanswered=?4 WHERE rowid=?1")    \
	X(TALLY_CHANGE, "INSERT INTO tallies VALUES(?1,?2,?3,?4,?5) ON CONFLICT DO UPDATE SET "    \
			"keys=keys+?3, uncertain=uncertain+?4, "                                   \
			"first=CASE WHEN ?5>0 AND (first=0 OR ?5<first) THEN ?5 ELSE first END")   \
	X(TALLY_READ, "SELECT t.outcome,t.keys,t.uncertain,t.first FROM tallies t "                \
		      "WHERE t.campaign=?1")                                                       \
	X(CAMPAIGNS, "SELECT coalesce(c.text,''),sum(t.keys) FROM tallies t "                      \
		     "LEFT JOIN texts c ON c.id=t.campaign GROUP BY t.campaign "                   \
		     "HAVING sum(t.keys)>0 ORDER BY 1")                                            \
	X(GROUP_FIND, "SELECT id FROM reason_groups "                                              \
		      "WHERE campaign=?1 AND outcome=?2 AND status=?3 AND reason=?4")              \
	X(GROUP_ADD, "INSERT INTO reason_groups(campaign,outcome,status,reason,keys) "             \
		     "VALUES(?1,?2,?3,?4,0)")                                                      \
	X(GROUP_CHANGE, "UPDATE reason_groups SET keys=keys+?2 WHERE id=?1")                       \
	X(GROUPS, "SELECT g.id,g.outcome,g.status,coalesce(x.text,''),g.keys "                     \
		  "FROM reason_groups g LEFT JOIN texts x ON x.id=g.reason "                       \
		  "WHERE g.campaign=?1 AND g.keys>0 ORDER BY g.keys DESC LIMIT ?2")                \
	X(GROUP_SAMPLE, "SELECT key,request_id FROM records INDEXED BY records_by_group "          \
			"WHERE reason_group=?1 ORDER BY key LIMIT 1")                              \
	X(FIRST_ENDED, "SELECT at FROM records INDEXED BY records_by_time "                        \
		       "WHERE campaign=?1 AND ended=?2 AND at>0 ORDER BY at LIMIT 1")              \
	X(LAST_ENDED, "SELECT at FROM records INDEXED BY records_by_time "                         \
		      "WHERE campaign=?1 AND ended=?2 ORDER BY at DESC LIMIT 1")                   \
	X(COUNT_ENDED, "SELECT count(*) FROM records INDEXED BY records_by_time "                  \
		       "WHERE campaign=?1 AND ended=?2 AND at>=?3 AND at<?4")                      \
	X(EACH_ENDED, "SELECT at FROM records INDEXED BY records_by_time "                         \
		      "WHERE campaign=?1 AND ended=?2 AND at>=?3 AND at<?4")                       \
	X(NTH_ENDED, "SELECT at FROM records INDEXED BY records_by_time "                          \
		     "WHERE campaign=?1 AND ended=?2 ORDER BY at LIMIT 1 OFFSET ?3")               \
	X(STATUS_PUT, "INSERT INTO statuses VALUES(?1,?2,?3,?4,?5,?6,?7,?8) "                      \
		      "ON CONFLICT DO UPDATE SET at=?2,in_flight=?3,slots=?4,waiting=?5,"          \
		      "accepted=?6,work_limit=?7,control=?8 "                                      \
		      "WHERE (?2,?6,?3,?4,?5,?7,?8)>"                                              \
		      "(at,accepted,in_flight,slots,waiting,work_limit,control)")                  \
	X(STATUS_FORGET, "DELETE FROM statuses WHERE worker IN (SELECT worker FROM statuses "      \
			 "ORDER BY at DESC, worker LIMIT -1 OFFSET ?1)")                           \
	X(STATUSES, "SELECT worker,at,in_flight,slots,waiting,accepted,work_limit,control "        \
		    "FROM statuses WHERE at>=?1 ORDER BY worker")                                  \
	X(LAST_HEARD, "SELECT max(at) FROM statuses")                                              \
	X(LOG_PUT, "INSERT OR REPLACE INTO logs VALUES(?1,?2,?3,?4,?5)")                           \
	X(LOG_FIND, "SELECT position,head_hash,head_bytes FROM logs WHERE device=?1 AND inode=?2")

enum results_db_statement {
#define X(id, sql) RDB_##id,
	RESULTS_DB_STATEMENT_LIST(X)
#undef X
		RDB_STATEMENTS,
};

/* How a row counts. */
enum { ENDED_NOT, ENDED_OTHERWISE, ENDED_ACCEPTED };

#define TEXT_SLOTS 1024
#define GROUP_SLOTS 1024
#define TALLY_SLOTS 64

/* What was looked up last, by hash; id 0: the slot is free. */
struct text_slot {
	int64_t id;
	char *text;
};

struct group_slot {
	int64_t id;
	int64_t campaign, reason;
	int outcome, status;
};

/* Changes of counts that are not in the tables yet. */
struct group_change {
	int64_t id; /* 0: free */
	int64_t keys;
};

struct tally_change {
	int64_t campaign;
	int64_t keys[RESULT_OUTCOMES], uncertain[RESULT_OUTCOMES];
	int64_t first[RESULT_OUTCOMES]; /* 0: none */
};

struct results_db {
	sqlite3 *db;
	sqlite3_stmt *statements[RDB_STATEMENTS];
	int lock_fd; /* -1: read only */
	bool read_only;
	bool dirty;    /* a transaction is open */
	bool statuses; /* some were added to it */
	int err;       /* what made it fail; it cannot be committed */
	char detail[DETAIL_MAX];
	struct text_slot texts[TEXT_SLOTS];
	struct group_slot groups[GROUP_SLOTS];
	struct group_change group_changes[GROUP_SLOTS];
	unsigned group_change_count;
	struct tally_change tally_changes[TALLY_SLOTS];
	unsigned tally_change_count;
	unsigned char ids[3][ID_BYTES]; /* bound to a statement */
	struct buf found;		/* the texts of results_db_find() */
};

/* Steps: 1 a row, 0 no more (the statement is reset), negative an error (reset, too). */
int results_db_step(struct results_db *db, enum results_db_statement which);
void results_db_reset(struct results_db *db, enum results_db_statement which);
void results_db_bind_int(
	struct results_db *db, enum results_db_statement which, int at, int64_t value);
void results_db_bind_text(
	struct results_db *db, enum results_db_statement which, int at, const char *text);
/* A UUID in its usual form as 16 bytes, "" as NULL, anything else as text. slot: 0-2, one each
 * statement and parameter. Borrowed until the reset. */
void results_db_bind_id(struct results_db *db, enum results_db_statement which, int at,
	const char *text, unsigned slot);
/* The reverse. Borrowed until the next step when it is no UUID, else it is in `text`. */
const char *results_db_column_id(sqlite3_stmt *statement, int column, char text[ID_TEXT_SIZE]);
const char *results_db_column_text(sqlite3_stmt *statement, int column);

/* The id of a text that is there; 0: "" or not there. 0, ERR_IO, ERR_NOMEM. */
int results_db_find_text(struct results_db *db, const char *text, int64_t *ret_id);
/* Writes the counts that are only in memory. 0, ERR_IO, ERR_NOMEM. */
int results_db_flush(struct results_db *db);
/* Forgets what is remembered, as after a rollback. */
void results_db_forget(struct results_db *db);

/* The row that RECORD_FIND stands on, as a record; its texts are borrowed until the next step, ids
 * are in ids[]. ERR_IO: no version writes such a row. */
int results_db_read_record(struct results_db *db, sqlite3_stmt *statement,
	struct result_record *ret_record, char ids[3][ID_TEXT_SIZE]);

#endif
