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
#define STORE_FOUND_MAX (RECEIVE_MAX + CLEARED_MAX)
/* A message of 1 MiB and what stands before its body. */
#define STORE_CONTENT_MAX ((size_t)2 << 20)
/* Messages sent, or deleted, that one statement writes at most; the same of their contents. */
#define STORE_GATHERED_MAX 10
#define STORE_GATHERED_BYTES ((size_t)256 << 10)

/* X(id, SQL): each is prepared once, when the store opens. */
#define STORE_STATEMENT_LIST(X)                                                                    \
	X(BEGIN, "BEGIN IMMEDIATE")                                                                \
	X(COMMIT, "COMMIT")                                                                        \
	X(SETTING_GET, "SELECT value FROM settings WHERE name=?1")                                 \
	X(SETTING_PUT, "INSERT OR REPLACE INTO settings VALUES(?1,?2)")                            \
	X(LOAD_QUEUES, "SELECT q.id, q.name, q.created_ms, q.modified_ms, q.purged_ms, l.id, "     \
		       "l.messages, l.fresh_id, l.turn, "                                          \
		       "EXISTS(SELECT 1 FROM tenants t WHERE t.lane=l.id) "                        \
		       "FROM queues q JOIN lanes l ON l.queue=q.id")                               \
	X(LOAD_ATTRIBUTES, "SELECT q.name, a.name, a.value "                                       \
			   "FROM queue_attributes a JOIN queues q ON q.id=a.queue")                \
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
	X(LANE_FREE, "SELECT coalesce(min(id),0)+1 FROM lanes l "                                  \
		     "WHERE NOT EXISTS(SELECT 1 FROM lanes WHERE id=l.id+1)")                      \
	X(LANE_INSERT, "INSERT INTO lanes VALUES(?1,?2,0,?3,0)")                                   \
	X(LANE_COUNTS, "UPDATE lanes SET messages=?2, fresh_id=?3, turn=?4 WHERE id=?1")           \
	X(LANE_ABANDON, "UPDATE lanes SET queue=NULL WHERE id=?1")                                 \
	X(LANE_ABANDONED, "SELECT id FROM lanes WHERE queue IS NULL LIMIT 1")                      \
	X(LANE_DELETE, "DELETE FROM lanes WHERE id=?1")                                            \
	X(MESSAGE_INSERT, "INSERT INTO messages(id,lane,timed,visible_ms,receives,"                \
			  "first_received_ms,sent_ms,content) VALUES(?1,?2,?3,?4,0,?5,?5,?6)")     \
	X(MESSAGES_INSERT, "INSERT INTO messages(id,lane,timed,visible_ms,receives,"               \
			   "first_received_ms,sent_ms,content) VALUES"                             \
			   "(?1,?2,?3,?4,0,?5,?5,?6),(?7,?8,?9,?10,0,?11,?11,?12),"                \
			   "(?13,?14,?15,?16,0,?17,?17,?18),(?19,?20,?21,?22,0,?23,?23,?24),"      \
			   "(?25,?26,?27,?28,0,?29,?29,?30),(?31,?32,?33,?34,0,?35,?35,?36),"      \
			   "(?37,?38,?39,?40,0,?41,?41,?42),(?43,?44,?45,?46,0,?47,?47,?48),"      \
			   "(?49,?50,?51,?52,0,?53,?53,?54),(?55,?56,?57,?58,0,?59,?59,?60)")      \
	X(FLIGHT_INSERT, "INSERT INTO flights VALUES(?1,?2,?3,?4)")                                \
	X(FLIGHT_DELETE, "DELETE FROM flights WHERE id=?1")                                        \
	X(FLIGHT_LAND, "UPDATE messages SET timed=1, receives=1, first_received_ms=?3, "           \
		       "visible_ms=?4 WHERE id>=?1 AND id<=?2 AND NOT timed")                      \
	X(FLIGHT_COUNT, "SELECT count(*) FROM messages WHERE id>=?1 AND id<=?2 AND NOT timed")     \
	X(FLIGHTS_OF, "SELECT id,last_id,visible_ms,received_ms,"                                  \
		      "(SELECT count(*) FROM messages m WHERE m.id>=f.id AND m.id<=f.last_id "     \
		      "AND NOT m.timed) FROM flights f WHERE id>=?1 AND id<?2 ORDER BY id")        \
	X(FLIGHTS_DROP, "DELETE FROM flights WHERE id>=?1 AND id<?2")                              \
	X(FLYING_DELETE, "DELETE FROM messages WHERE id=?1 AND NOT timed")                         \
	X(FLYING_DELETE_ALL, "DELETE FROM messages WHERE id IN "                                   \
			     "(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10) AND NOT timed")                     \
	X(FRESH, "SELECT id,receives,first_received_ms,sent_ms,content,dead_letter_source,"        \
		 "visible_ms FROM messages WHERE id>=?1 AND id<?2 ORDER BY id")                    \
	X(TIMED_VISIBLE, "SELECT id,receives,first_received_ms,sent_ms,content,"                   \
			 "dead_letter_source,visible_ms FROM messages "                            \
			 "INDEXED BY messages_by_time WHERE timed AND lane=?1 AND visible_ms<=?2 " \
			 "ORDER BY visible_ms")                                                    \
	X(TIMED_FROM, "SELECT id,receives,first_received_ms,sent_ms,content,dead_letter_source,"   \
		      "visible_ms FROM messages INDEXED BY messages_by_time "                      \
		      "WHERE timed AND lane=?1 AND (visible_ms,receives,id)>=(?2,?3,?4) "          \
		      "ORDER BY visible_ms,receives,id")                                           \
	X(MESSAGE_RECEIVED,                                                                        \
		"UPDATE messages SET timed=1, receives=?2, first_received_ms=?3, visible_ms=?4 "   \
		"WHERE id=?1")                                                                     \
	X(MESSAGE_MOVE, "UPDATE messages SET id=?2, lane=?3, visible_ms=?4, "                      \
			"dead_letter_source=?5 WHERE id=?1")                                       \
	X(MESSAGE_EXPIRE, "DELETE FROM messages WHERE id=?1")                                      \
	X(MESSAGE_DELETE, "DELETE FROM messages WHERE id=?1 AND lane=?2 AND receives=?3")          \
	X(MESSAGE_STATE, "SELECT lane,receives,visible_ms FROM messages WHERE id=?1")              \
	X(MESSAGE_VISIBILITY, "UPDATE messages SET visible_ms=?2 WHERE id=?1")                     \
	X(COUNT_HIDDEN, "SELECT count(*), count(CASE WHEN receives>0 THEN 1 END) "                 \
			"FROM messages INDEXED BY messages_by_time "                               \
			"WHERE timed AND lane=?1 AND visible_ms>?2")                               \
	X(NEXT_VISIBLE, "SELECT visible_ms FROM messages INDEXED BY messages_by_time "             \
			"WHERE timed AND lane=?1 AND visible_ms>?2 ORDER BY visible_ms LIMIT 1")   \
	X(SWEEP_LANE, "DELETE FROM messages WHERE id IN (SELECT id FROM messages "                 \
		      "WHERE id>=?1 AND id<?2 LIMIT ?3)")                                          \
	X(SWEEP_TIMED, "DELETE FROM messages WHERE id IN (SELECT id FROM messages "                \
		       "INDEXED BY messages_by_time "                                              \
		       "WHERE timed AND lane=?1 AND visible_ms<=?2 LIMIT ?3)")                     \
	X(SWEEP_FRESH, "DELETE FROM messages WHERE id IN (SELECT id FROM "                         \
		       "(SELECT id,sent_ms FROM messages WHERE id>=?1 AND id<?2 "                  \
		       "ORDER BY id LIMIT ?3) WHERE sent_ms<=?4)")                                 \
	X(OLDEST, "SELECT id,sent_ms FROM messages WHERE id>=?1 AND id<?2 ORDER BY id LIMIT 1")    \
	X(FIFO_INSERT, "INSERT INTO messages(id,lane,timed,visible_ms,receives,"                   \
		       "first_received_ms,sent_ms,content,group_row) "                             \
		       "VALUES(?1,?2,?3,?4,0,?5,?5,?6,?7)")                                        \
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
	X(TENANT_FIND, "SELECT id,turn,head_ms,head_id,ready FROM tenants "                        \
		       "WHERE lane=?1 AND name=?2")                                                \
	X(TENANT_GET, "SELECT id,turn,head_ms,head_id,ready,name FROM tenants WHERE id=?1")        \
	X(TENANT_INSERT, "INSERT INTO tenants(lane,name,turn,head_ms,head_id,ready) "              \
			 "VALUES(?1,?2,?3,?4,?5,?6)")                                              \
	X(TENANT_UPDATE,                                                                           \
		"UPDATE tenants SET turn=?2, head_ms=?3, head_id=?4, ready=?5 WHERE id=?1")        \
	X(TENANT_DELETE, "DELETE FROM tenants WHERE id=?1")                                        \
	X(TENANTS_PROMOTE, "UPDATE tenants SET ready=1, turn=max(turn,?3) WHERE id IN "            \
			   "(SELECT id FROM tenants INDEXED BY tenants_waiting WHERE lane=?1 "     \
			   "AND ready=0 AND head_ms<=?2 ORDER BY head_ms LIMIT ?4)")               \
	X(TENANTS_READY, "SELECT id,turn,head_ms,head_id FROM tenants INDEXED BY tenants_ready "   \
			 "WHERE lane=?1 AND ready=1 ORDER BY turn,head_ms,head_id")                \
	X(TENANT_ANY, "SELECT id FROM tenants WHERE lane=?1 LIMIT 1")                              \
	X(TENANT_HEADS, "SELECT visible_ms,id FROM tenant_order WHERE tenant=?1 "                  \
			"AND visible_ms<=?2 ORDER BY visible_ms,id LIMIT ?3 OFFSET ?4")            \
	X(TENANT_HEAD, "SELECT visible_ms,id FROM tenant_order WHERE tenant=?1 "                   \
		       "ORDER BY visible_ms,id LIMIT 1")                                           \
	X(ORDER_INSERT, "INSERT INTO tenant_order VALUES(?1,?2,?3)")                               \
	X(ORDER_MOVE, "UPDATE tenant_order SET visible_ms=?4 "                                     \
		      "WHERE tenant=?1 AND visible_ms=?2 AND id=?3")                               \
	X(ORDER_DELETE, "DELETE FROM tenant_order WHERE tenant=?1 AND visible_ms=?2 AND id=?3")    \
	X(ORDER_SWEEP, "DELETE FROM tenant_order WHERE (tenant,visible_ms,id) IN "                 \
		       "(SELECT tenant,visible_ms,id FROM tenant_order WHERE tenant=?1 LIMIT ?2)") \
	X(TENANT_OF_MESSAGE, "SELECT t.id, m.visible_ms, t.head_id=m.id, t.name FROM messages m "  \
			     "JOIN tenants t ON t.id=m.tenant WHERE m.id=?1")                      \
	X(TENANT_JOIN, "UPDATE messages SET lane=?2, tenant=?3 WHERE id=?1")                       \
	X(TENANTS_EXPIRED, "SELECT id,visible_ms,tenant FROM messages "                            \
			   "INDEXED BY messages_by_time "                                          \
			   "WHERE timed AND lane=?1 AND visible_ms<=?2 LIMIT ?3")                  \
	X(ALL_VISIBLE, "SELECT id,receives,first_received_ms,sent_ms,content,dead_letter_source,"  \
		       "visible_ms FROM messages INDEXED BY messages_by_time "                     \
		       "WHERE timed AND lane=?1 AND visible_ms<=?2 UNION ALL "                     \
		       "SELECT id,receives,first_received_ms,sent_ms,content,dead_letter_source,"  \
		       "visible_ms FROM messages INDEXED BY messages_by_time "                     \
		       "WHERE timed AND lane=-?1 AND visible_ms<=?2 "                              \
		       "ORDER BY visible_ms,receives,id")                                          \
	X(ALL_FROM, "SELECT id,receives,first_received_ms,sent_ms,content,dead_letter_source,"     \
		    "visible_ms FROM messages INDEXED BY messages_by_time "                        \
		    "WHERE timed AND lane=?1 AND (visible_ms,receives,id)>=(?2,?3,?4) UNION ALL "  \
		    "SELECT id,receives,first_received_ms,sent_ms,content,dead_letter_source,"     \
		    "visible_ms FROM messages INDEXED BY messages_by_time "                        \
		    "WHERE timed AND lane=-?1 AND (visible_ms,receives,id)>=(?2,?3,?4) "           \
		    "ORDER BY visible_ms,receives,id")                                             \
	X(TENANT_MESSAGE, "SELECT id,receives,first_received_ms,sent_ms,content,"                  \
			  "dead_letter_source,visible_ms FROM messages WHERE id=?1")               \
	X(TENANT_MESSAGE_INSERT, "INSERT INTO messages(id,lane,timed,visible_ms,receives,"         \
				 "first_received_ms,sent_ms,content,tenant) "                      \
				 "VALUES(?1,?2,?3,?4,0,?5,?5,?6,?7)")                              \
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
	X(MESSAGE_REDRIVE,                                                                         \
		"UPDATE messages SET id=?2, lane=?3, timed=1, visible_ms=?4, receives=0, "         \
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

/* A tenant without a row, by a hash of its queue and name, and the turn at which it went. */
struct store_departed {
	uint64_t key;
	int64_t turn;
};

#define STORE_DEPARTED 1024

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
	 * Numbers of messages are never given out twice, or an old receipt handle would fit a new
	 * message: they are reserved in blocks, and what a crash leaves of a block is skipped.
	 */
	int64_t next_number, reserved_number;
	struct store_queue *buckets[STORE_BUCKETS]; /* by name */
	struct store_queue *changed;		    /* those whose counts the commit writes */
	struct buf content;			    /* of what is gathered, or of one insert */
	struct store_gathered {			    /* store_messages.c */
		struct store_sending {
			int64_t id, visible_ms, sent_ms;
			uint32_t lane;
			bool timed;
			size_t content, content_bytes; /* where it is in `content` */
		} sent[STORE_GATHERED_MAX];
		int64_t deleted[STORE_GATHERED_MAX];
		size_t sent_count, deleted_count;
		struct store_queue *deleted_from;
	} gathered;
	struct store_departed departed[STORE_DEPARTED];
};

/* Remembers the database's words; the transaction has failed. Returns ERR_STORE or ERR_NOMEM. */
int store_fail(struct store *store);
/* The transaction has failed: memory ran out after something was written. Returns ERR_NOMEM. */
int store_fail_nomem(struct store *store);
/* The same for a message whose content could not be read. Returns ERR_STORE or ERR_NOMEM. */
int store_fail_damaged(struct store *store, int64_t id);
/* ERR_STORE when no transaction is open or it has failed. */
int store_check(const struct store *store);
/*
 * The same, for whatever reads messages or writes more than one: writes what was gathered.
 *
 * What store_send and store_delete have to write for standard queues without tenants is gathered,
 * so that one statement writes up to ten messages; nobody else sees the difference, as everything
 * begins with store_settle, and the commit too. 0, ERR_STORE, ERR_NOMEM.
 */
int store_settle(struct store *store);
/* Runs a bound statement that gives no rows, and resets it. */
int store_run(struct store *store, enum store_statement which);
/* Steps: 1 a row, 0 no more (the statement is reset), negative an error (reset, too). */
int store_step(struct store *store, enum store_statement which);
void store_reset(struct store *store, enum store_statement which);
/* Binding fails only for what cannot be bound at all; text is borrowed until the reset. */
void store_bind_int(struct store *store, enum store_statement which, int at, int64_t value);
void store_bind_text(struct store *store, enum store_statement which, int at, const char *text);

/*
 * The id of a message is its row: lane 20 bits, timed 1, number 42. So the messages of a lane lie
 * together, and in the half that is not timed those that were visible as soon as they were sent, in
 * that order. From a queue's fresh_id on, all of these are fresh: never received, not in the index
 * of times. What is received is in a flight (store_flights.c) or becomes timed where it lies; what
 * is sent with a delay, moved, or sent to a FIFO queue is from the beginning. A message of a tenant
 * (store_tenants.c) is timed, too, with the negative of its lane in the row.
 */
#define STORE_LANE_SHIFT (STORE_NUMBER_BITS + 1)

static inline int64_t store_id(uint32_t lane, bool timed, int64_t number)
{
	return (int64_t)lane << STORE_LANE_SHIFT | (int64_t)timed << STORE_NUMBER_BITS | number;
}

/* A number never given out before. */
int store_take_number(struct store *store, int64_t *ret);
/* The queue has `more` messages than before (negative: fewer); the commit writes it down. */
void store_count_change(struct store *store, struct store_queue *queue, int64_t more);

/*
 * store_walk.c: the messages of a queue in the order of their next receive, fresh and timed ones
 * merged by the time at which they became visible, of equal times the fresh ones first. Both parts
 * are only read on as far as they are needed. Nothing of them may be written until store_walk_end.
 * It begins with the landing of flights that hold messages which it may come to: as many as are
 * `want`ed, and maybe some more. 0 or an error, then nothing has begun.
 */
struct store_walk {
	struct store *store;
	enum store_statement which; /* that finds the timed ones, and those of tenants */
	struct store_part {
		bool begun, has_row;
		int64_t visible_ms;
	} fresh, timed;
	bool at_fresh; /* which of them has the current row */
	struct store_position position;
};

/* Those visible at `now`, or of them only those without a tenant. */
int store_walk_plain(struct store *store, struct store_queue *queue, int64_t now, size_t want,
	struct store_walk *ret);
int store_walk_visible(struct store *store, struct store_queue *queue, int64_t now, size_t want,
	struct store_walk *ret);
/* All of them, from a position on. */
int store_walk_from(struct store *store, struct store_queue *queue,
	const struct store_position *from, size_t want, struct store_walk *ret);
/*
 * 1: *ret_row is a row of id, receives, first_received_ms, sent_ms, content, dead_letter_source,
 * visible_ms, until the next call; 0: no more; or an error.
 */
int store_walk_next(struct store_walk *walk, sqlite3_stmt **ret_row);
/* The message with the smallest id from..end-1. 1, 0: there is none, or an error. */
int store_first_sent(
	struct store *store, int64_t from, int64_t end, int64_t *ret_id, int64_t *ret_sent_ms);
/* Where a walk finds the current row first. */
const struct store_position *store_walk_position(const struct store_walk *walk);
/* The fresh ones up to the current row are passed: where the next ones begin. */
int64_t store_walk_end(struct store_walk *walk);

/*
 * store_flights.c: messages on their first receive, by receive. An id is never in two of them.
 */
struct store_flight {
	int64_t id, last_id; /* of its messages, which lie between without others */
	int64_t visible_ms;  /* when it ends */
	int64_t received_ms;
	size_t left; /* of its messages; 0: it is gone */
};

/* A receive took these; they are fresh until then, and follow those of all flights before. */
int store_flight_begin(
	struct store *store, struct store_queue *queue, const struct store_flight *flight);
/*
 * Lands flights that end from from_ms to until_ms, in the order of their ends, until `want`
 * messages have landed, or there are none any more.
 */
int store_flights_land(struct store *store, struct store_queue *queue, int64_t from_ms,
	int64_t until_ms, size_t want);
/* Some have ended and have not landed. */
static inline bool store_flights_due(const struct store_queue *queue, int64_t now)
{
	return queue->flights.messages > 0 && queue->flights.due_ms <= now;
}
/* Lands one message, if it is in a flight. */
int store_flight_leave(struct store *store, struct store_queue *queue, int64_t id);
/* The message is in a flight, or was until it landed or was deleted. */
bool store_flights_has(const struct store_queue *queue, int64_t id);
/* Deletes messages of flights that were not received again; some may be gone already. */
int store_flights_delete(
	struct store *store, struct store_queue *queue, const int64_t ids[], size_t count);
/* How many messages are in flights that have not ended. */
int64_t store_flights_hidden(const struct store_queue *queue, int64_t now);
/* Lowers *ret_ms to when the next flight ends. */
void store_flights_next(const struct store_queue *queue, int64_t now, int64_t *ret_ms);
/* Those of a queue that was just made in memory. */
int store_flights_load(struct store *store, struct store_queue *queue);
/* All of a queue that is emptied. */
int store_flights_drop(struct store *store, struct store_queue *queue);
/* In memory only. */
void store_flights_free(struct store_queue *queue);

/* store_receive.c: a receive under way. What it finds is written once nothing is being read. */
struct store_found {
	struct store_queue *queue, *dead_letter; /* NULL: there is none */
	size_t max;
	int64_t now;
	store_visit *visit;
	void *arg;
	struct {
		int64_t id, first_received_ms;
		int64_t visible_ms; /* before this receive */
		int64_t tenant;	    /* 0: none */
		uint32_t receives;  /* this one included */
		bool fresh;
	} taken[RECEIVE_MAX];
	size_t taken_count;
	struct {
		int64_t id;
		bool dead; /* else over */
	} cleared[CLEARED_MAX];
	size_t cleared_count;
};

/* It goes on. */
static inline bool store_found_wants(const struct store_found *found)
{
	return found->taken_count < found->max && found->cleared_count < CLEARED_MAX;
}
/*
 * The message of a row as a walk gives it: over, dead, or shown to the visitor and taken. 1: taken;
 * 0: it is not; or an error.
 */
int store_found_add(struct store *store, struct store_found *found, sqlite3_stmt *row);
/* The message `taken[at]` is hidden. */
int store_found_hide(
	struct store *store, const struct store_found *found, size_t at, int64_t visible_ms);
/* Moves or deletes what is to be cleared, in a queue that is not FIFO; tenants are to be settled.
 */
int store_found_clear(
	struct store *store, const struct store_found *found, struct store_received *ret);

/*
 * A message goes to the dead-letter queue, with the id that it is to have there; its group is to be
 * settled by the caller.
 */
int store_move_dead(struct store *store, struct store_queue *queue, struct store_queue *dead_letter,
	int64_t id, int64_t new_id, int64_t now);

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
int store_groups_receive(struct store *store, struct store_found *found, int64_t visibility_ms,
	struct store_received *ret);
/* *ret_ms is untouched when no group waits. */
int store_groups_next(
	struct store *store, const struct store_queue *queue, int64_t now, int64_t *ret_ms);
/*
 * The message of a row of id, receives, first_received_ms, sent_ms, content, dead_letter_source;
 * `receives` are those so far. False, or 0, ERR_STORE or ERR_NOMEM: the row is damaged.
 */
bool store_row_message(sqlite3_stmt *row, struct store_message *ret);
int store_read_message(struct store *store, sqlite3_stmt *row, struct store_message *ret);
/* store_tenants.c. The tenant of a message. */
struct store_tenant {
	int64_t row;	    /* 0: it has none */
	int64_t visible_ms; /* the message's */
	bool is_head;	    /* the message is its first */
	char name[TEXT_GROUP_ID_MAX + 1];
};

/* In `lane` of messages of tenants, so that the index of times has them apart. */
static inline int64_t store_tenants_lane(const struct store_queue *queue)
{
	return -(int64_t)queue->lane;
}

/*
 * The message `id`, which becomes visible at visible_ms, is of this tenant, whose row is made when
 * there is none.
 */
int store_tenant_enter(struct store *store, struct store_queue *queue, const char *name, int64_t id,
	int64_t visible_ms, int64_t now, int64_t *ret_row);
/* Of a message that is there. */
int store_tenant_of(struct store *store, int64_t id, struct store_tenant *ret);
/* The message becomes visible at another time; its tenant is to be settled. */
int store_tenant_reorder(
	struct store *store, int64_t row, int64_t visible_ms, int64_t id, int64_t new_visible_ms);
/* The message is gone; its tenant is to be settled, if it was the head. */
int store_tenant_leave(struct store *store, const struct store_tenant *tenant, int64_t id);
/* The message, which has left, lies in another queue now, under this id. */
int store_tenant_join(struct store *store, struct store_queue *queue,
	const struct store_tenant *from, int64_t id, int64_t visible_ms, int64_t now);
/* After a message of it was changed or has gone. Fine when there is no such row. */
int store_tenant_settle(struct store *store, struct store_queue *queue, int64_t row, int64_t now);
/* The same; its turn is this one, if it is not beyond it. */
int store_tenant_charge(
	struct store *store, struct store_queue *queue, int64_t row, int64_t turn, int64_t now);
/* The same where it is known which visible message is its head now. */
int store_tenant_advance(
	struct store *store, int64_t row, int64_t turn, int64_t head_ms, int64_t head_id);
/* Deletes up to `budget` messages of tenants that became visible until then; adds to *swept. */
int store_tenants_expire(struct store *store, struct store_queue *queue, int64_t until_ms,
	int64_t now, size_t budget, size_t *swept);
/* Deletes the tenants of a lane whose messages are swept, as much as `budget`; adds to *swept. */
int store_tenants_sweep(struct store *store, int64_t lane, size_t budget, size_t *swept);
/* store_fair.c */
int store_fair_receive(struct store *store, struct store_found *found, int64_t visibility_ms,
	struct store_received *ret);
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
