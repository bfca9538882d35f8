/*
 * Shared by the parts of the store: the connection, its statements, the queues in memory.
 */
#ifndef LOCALQ_STORE_PRIVATE_H
#define LOCALQ_STORE_PRIVATE_H

#include "base/buf.h"
#include "localq/store.h"

#include <sqlite3.h>

#define STORE_BUCKETS 4096
#define RECEIVE_MAX STORE_RECEIVE_MAX
/* Expired and dead messages that one receive clears away at most. */
#define CLEARED_MAX 200
/* A message of 1 MiB and what stands before its body. */
#define STORE_CONTENT_MAX ((size_t)2 << 20)

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
	X(LOAD_COUNTS, "SELECT q.name, m.count, m.least FROM "                                     \
		       "(SELECT lane, count(*) AS count, min(id) AS least FROM messages "          \
		       "INDEXED BY messages_by_time GROUP BY lane) m "                             \
		       "JOIN lanes l ON l.id=m.lane JOIN queues q ON q.id=l.queue")                \
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
	X(MESSAGE_INSERT, "INSERT INTO messages(id,lane,visible_ms,receives,first_received_ms,"    \
			  "sent_ms,content) VALUES(?1,?2,?3,0,?4,?4,?5)")                          \
	X(MESSAGES_VISIBLE, "SELECT id,receives,first_received_ms,sent_ms,content,"                \
			    "dead_letter_source FROM messages INDEXED BY messages_by_time "        \
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
	X(OLDEST_FROM, "SELECT id,lane,sent_ms FROM messages WHERE id>=?1 ORDER BY id")            \
	X(OLDEST_OF_LANE, "SELECT min(id) FROM messages INDEXED BY messages_by_time "              \
			  "WHERE lane=?1")                                                         \
	X(PEEK, "SELECT id,receives,first_received_ms,sent_ms,content,dead_letter_source,"         \
		"visible_ms FROM messages INDEXED BY messages_by_time WHERE lane=?1 "              \
		"AND (visible_ms,receives,id)>=(?2,?3,?4) "                                        \
		"ORDER BY visible_ms,receives,id")                                                 \
	X(FIFO_INSERT, "INSERT INTO messages(id,lane,visible_ms,receives,first_received_ms,"       \
		       "sent_ms,content,group_row) VALUES(?1,?2,?3,0,?4,?4,?5,?6)")                \
	X(GROUP_FIND, "SELECT id FROM groups WHERE lane=?1 AND name=?2")                           \
	X(GROUP_INSERT, "INSERT INTO groups(lane,name,ready_ms) VALUES(?1,?2,?3)")                 \
	X(GROUP_READY, "UPDATE groups SET ready_ms=?2 WHERE id=?1")                                \
	X(GROUP_DELETE, "DELETE FROM groups WHERE id=?1")                                          \
	X(GROUP_STATES, "SELECT visible_ms,receives FROM messages INDEXED BY messages_by_group "   \
			"WHERE group_row=?1 ORDER BY id LIMIT ?2")                                 \
	X(GROUP_MESSAGES, "SELECT id,receives,first_received_ms,sent_ms,content,"                  \
			  "dead_letter_source,visible_ms FROM messages "                           \
			  "INDEXED BY messages_by_group WHERE group_row=?1 ORDER BY id")           \
	X(GROUPS_READY, "SELECT id FROM groups INDEXED BY groups_by_time "                         \
			"WHERE lane=?1 AND ready_ms<=?2 ORDER BY ready_ms, id")                    \
	X(GROUP_NEXT, "SELECT ready_ms FROM groups INDEXED BY groups_by_time "                     \
		      "WHERE lane=?1 AND ready_ms>?2 ORDER BY ready_ms LIMIT 1")                   \
	X(GROUP_OF_MESSAGE, "SELECT g.id, g.name FROM messages m JOIN groups g "                   \
			    "ON g.id=m.group_row WHERE m.id=?1")                                   \
	X(MESSAGE_JOIN, "UPDATE messages SET id=?2, lane=?3, group_row=?4 WHERE id=?1")            \
	X(GROUPS_SWEEP, "DELETE FROM groups WHERE id IN (SELECT id FROM groups "                   \
			"INDEXED BY groups_by_time WHERE lane=?1 LIMIT ?2)")                       \
	X(DEDUPLICATION_FIND, "SELECT message_id, id FROM deduplications WHERE queue=?1 "          \
			      "AND scope=?2 AND deduplication_id=?3 AND until_ms>?4")              \
	X(DEDUPLICATION_PUT, "INSERT OR REPLACE INTO deduplications VALUES(?1,?2,?3,?4,?5,?6)")    \
	X(DEDUPLICATIONS_SWEEP,                                                                    \
		"DELETE FROM deduplications WHERE (queue,scope,deduplication_id) IN "              \
		"(SELECT queue,scope,deduplication_id FROM deduplications "                        \
		"INDEXED BY deduplications_by_time WHERE until_ms<=?1 LIMIT ?2)")                  \
	X(ATTEMPT_FIND, "SELECT until_ms, received_ms, visible_ms, taken FROM attempts "           \
			"WHERE lane=?1 AND name=?2 AND until_ms>?3")                               \
	X(ATTEMPT_PUT, "INSERT OR REPLACE INTO attempts VALUES(?1,?2,?3,?4,?5,?6)")                \
	X(ATTEMPT_MESSAGE, "SELECT id,receives,first_received_ms,sent_ms,content,"                 \
			   "dead_letter_source,visible_ms,lane FROM messages WHERE id=?1")         \
	X(ATTEMPTS_SWEEP, "DELETE FROM attempts WHERE (lane,name) IN (SELECT lane,name "           \
			  "FROM attempts INDEXED BY attempts_by_time "                             \
			  "WHERE until_ms<=?1 LIMIT ?2)")                                          \
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
		"first_received_ms=?5, sent_ms=?5, content=content_with_id(content,?6), "          \
		"dead_letter_source=NULL "                                                         \
		"WHERE id=?1")

enum store_statement {
#define X(id, sql) STORE_##id,
	STORE_STATEMENT_LIST(X)
#undef X
		STORE_STATEMENTS,
};

struct checkpointer;

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[STORE_STATEMENTS];
	struct checkpointer *checkpointer; /* NULL: in memory */
	int log_frames;			   /* pages in the write-ahead log */
	int lock_fd;			   /* -1: in memory */
	bool open;			   /* a transaction is */
	bool failed;			   /* and must be aborted */
	int64_t changes_before;		   /* sqlite3_total_changes64 when it began */
	bool stale;			   /* the queues in memory are to be read again */
	char detail[STORE_DETAIL_MAX];
	uint8_t handle_key[HANDLE_KEY_BYTES];
	/*
	 * Row ids are never given out twice, or an old receipt handle would fit a new message: they
	 * are reserved in blocks, and what a crash leaves of a block is skipped.
	 */
	int64_t next_id, reserved_id;
	struct store_queue *buckets[STORE_BUCKETS]; /* by name */
	struct buf content;			    /* scratch of one insert */
};

/* Remembers the database's words; the transaction has failed. Returns ERR_STORE or ERR_NOMEM. */
int store_fail(struct store *store);
/* The transaction has failed: memory ran out after something was written. Returns ERR_NOMEM. */
int store_fail_nomem(struct store *store);
/* The same for a message whose content could not be read. Returns ERR_STORE or ERR_NOMEM. */
int store_fail_damaged(struct store *store, int64_t id);
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

/* A message was received. */
int store_hide(struct store *store, int64_t id, uint32_t receives, int64_t first_received_ms,
	int64_t visible_ms);
/* A message goes to the dead-letter queue; its group is to be settled by the caller. */
int store_move_dead(struct store *store, struct store_queue *queue, struct store_queue *dead_letter,
	int64_t id, int64_t now);

/* store_groups.c. The group's row, made when there is none. */
int store_group_of(struct store *store, const struct store_queue *queue, const char *name,
	int64_t ready_ms, int64_t *ret_row);
/* After anything changed in it: when it may be received from; it goes with its last message. */
int store_group_settle(struct store *store, int64_t row, int64_t now);
/* The same for the group of a message, if it has one. */
int store_group_settle_of(struct store *store, int64_t id, int64_t now);
/* Gives a message the id and the other queue, behind what is there in its group. ERR_NOT_FOUND: it
 * is in no group. */
int store_group_move(
	struct store *store, int64_t id, int64_t new_id, const struct store_queue *to, int64_t now);
int store_groups_receive(struct store *store, struct store_queue *queue,
	struct store_queue *dead_letter, size_t max, int64_t visibility_ms, int64_t now,
	store_visit *visit, void *arg, struct store_received *ret);
/* *ret_ms is untouched when no group waits. */
int store_groups_next(
	struct store *store, const struct store_queue *queue, int64_t now, int64_t *ret_ms);
/* The row of a statement that selects as GROUP_MESSAGES does. 0, ERR_STORE or ERR_NOMEM. */
int store_group_message(struct store *store, enum store_statement which, struct store_message *ret);
/* store_repeats.c: what is remembered no longer. */
int store_repeats_sweep(struct store *store, int64_t now, size_t budget, size_t *swept);

/* Statements without parameters or rows. */
int store_run_sql(struct store *store, const char *text);

/* Makes what an empty or older database lacks: store_schema.c. ERR_CONFIG: it is of a newer one. */
int store_schema_make(struct store *store);

/* Reads all queues into memory, or forgets them. */
int store_queues_load(struct store *store);
void store_queues_free(struct store *store);

#endif
