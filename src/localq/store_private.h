/*
 * Shared by the parts of the store: the connection, its statements, the queues in memory.
 */
#ifndef LOCALQ_STORE_PRIVATE_H
#define LOCALQ_STORE_PRIVATE_H

#include "localq/store.h"

#include <sqlite3.h>

#define STORE_BUCKETS 4096

/* X(id, SQL): each is prepared once, when the store opens. */
#define STORE_STATEMENT_LIST(X)                                                                    \
	X(BEGIN, "BEGIN IMMEDIATE")                                                                \
	X(COMMIT, "COMMIT")                                                                        \
	X(SETTING_GET, "SELECT value FROM settings WHERE name=?1")                                 \
	X(SETTING_PUT, "INSERT OR REPLACE INTO settings VALUES(?1,?2)")                            \
	X(LOAD_QUEUES, "SELECT q.id, q.name, q.created_ms, q.modified_ms, q.purged_ms, l.id "      \
		       "FROM queues q JOIN lanes l ON l.queue=q.id")                               \
	X(LOAD_ATTRIBUTES, "SELECT q.name, a.name, a.value "                                       \
			   "FROM queue_attributes a JOIN queues q ON q.id=a.queue")                \
	X(LOAD_COUNTS, "SELECT q.name, count(*) FROM messages m "                                  \
		       "JOIN lanes l ON l.id=m.lane JOIN queues q ON q.id=l.queue "                \
		       "GROUP BY m.lane")                                                          \
	X(QUEUE_INSERT, "INSERT INTO queues(name,created_ms,modified_ms,purged_ms) "               \
			"VALUES(?1,?2,?2,0)")                                                      \
	X(QUEUE_MODIFIED, "UPDATE queues SET modified_ms=?2 WHERE id=?1")                          \
	X(QUEUE_PURGED, "UPDATE queues SET purged_ms=?2 WHERE id=?1")                              \
	X(QUEUE_DELETE, "DELETE FROM queues WHERE id=?1")                                          \
	X(QUEUE_LIST, "SELECT name FROM queues WHERE name>?1 AND name>=?2 "                        \
		      "AND substr(name,1,length(?2))=?2 ORDER BY name LIMIT ?3")                   \
	X(ATTRIBUTE_INSERT, "INSERT INTO queue_attributes VALUES(?1,?2,?3)")                       \
	X(ATTRIBUTES_DELETE, "DELETE FROM queue_attributes WHERE queue=?1")                        \
	X(TAG_PUT, "INSERT OR REPLACE INTO queue_tags VALUES(?1,?2,?3)")                           \
	X(TAG_DELETE, "DELETE FROM queue_tags WHERE queue=?1 AND name=?2")                         \
	X(TAGS_OF, "SELECT name,value FROM queue_tags WHERE queue=?1 ORDER BY name")               \
	X(TAGS_DELETE, "DELETE FROM queue_tags WHERE queue=?1")                                    \
	X(NAME_RESERVE, "INSERT OR REPLACE INTO reserved_names VALUES(?1,?2)")                     \
	X(NAME_RESERVED, "SELECT until_ms FROM reserved_names WHERE name=?1")                      \
	X(NAMES_FORGET, "DELETE FROM reserved_names WHERE until_ms<=?1")                           \
	X(LANE_INSERT, "INSERT INTO lanes(queue) VALUES(?1)")                                      \
	X(LANE_ABANDON, "UPDATE lanes SET queue=NULL WHERE id=?1")                                 \
	X(LANE_ABANDONED, "SELECT id FROM lanes WHERE queue IS NULL LIMIT 1")                      \
	X(LANE_DELETE, "DELETE FROM lanes WHERE id=?1")                                            \
	X(MESSAGE_INSERT, "INSERT INTO messages VALUES(?1,?2,?3,0,?4,?4,?5,?6,?7,?8,NULL,?9,?10)") \
	X(MESSAGES_VISIBLE, "SELECT id,receives,first_received_ms,sent_ms,message_id,md5,"         \
			    "trace_header,group_id,dead_letter_source,attributes,body "            \
			    "FROM messages INDEXED BY messages_by_time "                           \
			    "WHERE lane=?1 AND visible_ms<=?2 ORDER BY visible_ms")                \
	X(MESSAGE_RECEIVED,                                                                        \
		"UPDATE messages SET receives=?2, first_received_ms=?3, visible_ms=?4 "            \
		"WHERE id=?1")                                                                     \
	X(MESSAGE_MOVE, "UPDATE messages SET lane=?2, visible_ms=?3, dead_letter_source=?4 "       \
			"WHERE id=?1")                                                             \
	X(MESSAGE_EXPIRE, "DELETE FROM messages WHERE id=?1")                                      \
	X(MESSAGE_DELETE, "DELETE FROM messages WHERE id=?1 AND lane=?2 AND receives=?3")          \
	X(MESSAGE_STATE, "SELECT lane,receives,visible_ms FROM messages WHERE id=?1")              \
	X(MESSAGE_VISIBILITY, "UPDATE messages SET visible_ms=?2 WHERE id=?1")                     \
	X(COUNT_HIDDEN, "SELECT count(*), count(CASE WHEN receives>0 THEN 1 END) "                 \
			"FROM messages INDEXED BY messages_by_time "                               \
			"WHERE lane=?1 AND visible_ms>?2")                                         \
	X(NEXT_VISIBLE, "SELECT visible_ms FROM messages INDEXED BY messages_by_time "             \
			"WHERE lane=?1 AND visible_ms>?2 ORDER BY visible_ms LIMIT 1")             \
	X(SWEEP_LANE, "DELETE FROM messages WHERE id IN (SELECT id FROM messages "                 \
		      "INDEXED BY messages_by_time WHERE lane=?1 LIMIT ?2)")                       \
	X(SWEEP_EXPIRED, "DELETE FROM messages WHERE id IN (SELECT id FROM messages "              \
			 "INDEXED BY messages_by_time WHERE lane=?1 AND visible_ms<=?2 LIMIT ?3)") \
	X(MOVE_INSERT, "INSERT INTO moves(task,source,destination,rate,status,moved,to_move,"      \
		       "started_ms,paced_ms) VALUES(?1,?2,?3,?4,0,0,?5,?6,?6)")                    \
	X(MOVES_FORGET, "DELETE FROM moves WHERE source=?1 AND id NOT IN "                         \
			"(SELECT id FROM moves WHERE source=?1 ORDER BY id DESC LIMIT ?2)")        \
	X(MOVES_OF, "SELECT id,task,source,destination,rate,status,moved,to_move,started_ms,"      \
		    "paced_ms,failure FROM moves WHERE source=?1 ORDER BY id DESC LIMIT ?2")       \
	X(MOVE_FIND, "SELECT id,task,source,destination,rate,status,moved,to_move,started_ms,"     \
		     "paced_ms,failure FROM moves WHERE task=?1")                                  \
	X(MOVES_ACTIVE,                                                                            \
		"SELECT id,task,source,destination,rate,status,moved,to_move,started_ms,"          \
		"paced_ms,failure FROM moves WHERE status<=1 AND id>?1 ORDER BY id LIMIT 1")       \
	X(MOVE_UPDATE,                                                                             \
		"UPDATE moves SET status=?2, moved=?3, paced_ms=?4, failure=?5 WHERE id=?1")       \
	X(MOVES_DELETE, "DELETE FROM moves WHERE source=?1")                                       \
	X(MOVABLE,                                                                                 \
		"SELECT id,sent_ms,dead_letter_source FROM messages INDEXED BY messages_by_time "  \
		"WHERE lane=?1 AND visible_ms<=?2 ORDER BY visible_ms LIMIT ?3")                   \
	X(MESSAGE_REDRIVE,                                                                         \
		"UPDATE messages SET id=?2, lane=?3, visible_ms=?4, receives=0, "                  \
		"first_received_ms=?5, sent_ms=?5, message_id=?6, dead_letter_source=NULL "        \
		"WHERE id=?1")

enum store_statement {
#define X(id, sql) STORE_##id,
	STORE_STATEMENT_LIST(X)
#undef X
		STORE_STATEMENTS,
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[STORE_STATEMENTS];
	int lock_fd; /* -1: in memory */
	bool open;   /* a transaction is */
	bool failed; /* and must be aborted */
	bool stale;  /* the queues in memory are to be read again */
	char detail[STORE_DETAIL_MAX];
	uint8_t handle_key[HANDLE_KEY_BYTES];
	/*
	 * Row ids are never given out twice, or an old receipt handle would fit a new message: they
	 * are reserved in blocks, and what a crash leaves of a block is skipped.
	 */
	int64_t next_id, reserved_id;
	struct store_queue *buckets[STORE_BUCKETS]; /* by name */
};

/* The transaction has failed: memory ran out after something was written. Returns ERR_NOMEM. */
int store_fail_nomem(struct store *store);
/* ERR_STORE when no transaction is open or it has failed. */
int store_check(const struct store *store);
/* Runs a bound statement that gives no rows, and resets it. */
int store_run(struct store *store, enum store_statement which);
/* Steps: 1 a row, 0 no more (the statement is reset), negative an error (reset, too). */
int store_step(struct store *store, enum store_statement which);
void store_reset(struct store *store, enum store_statement which);
/* Binding fails only for what cannot be bound at all; text is borrowed until the reset. */
void store_bind_int(struct store *store, enum store_statement which, int at, int64_t value);
void store_bind_text(struct store *store, enum store_statement which, int at, const char *text);

/* A fresh row id, never given out before. */
int store_take_id(struct store *store, int64_t *ret);

/* Reads all queues into memory, or forgets them. */
int store_queues_load(struct store *store);
void store_queues_free(struct store *store);

#endif
