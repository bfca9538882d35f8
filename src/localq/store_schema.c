#include "bunshin/error.h"
#include "localq/store_content.h"
#include "localq/store_private.h"

#include <stdio.h>

/*
 * The database's tables, as the steps from each version to the next; a step is one transaction.
 *
 * Of a message, the columns that a receive rewrites come first; what never changes is one value
 * (store_content.h); what most messages do not have comes last.
 */
static const char *const steps[] = {
	"CREATE TABLE settings(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE queues(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
	" created_ms INTEGER NOT NULL, modified_ms INTEGER NOT NULL, purged_ms INTEGER NOT NULL);"
	"CREATE TABLE queue_attributes(queue INTEGER NOT NULL, name TEXT NOT NULL,"
	" value TEXT NOT NULL, PRIMARY KEY(queue,name)) WITHOUT ROWID;"
	"CREATE TABLE queue_tags(queue INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,"
	" PRIMARY KEY(queue,name)) WITHOUT ROWID;"
	"CREATE TABLE reserved_names(name TEXT PRIMARY KEY, until_ms INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	/* A lane without a queue is abandoned: its messages wait to be swept. */
	"CREATE TABLE lanes(id INTEGER PRIMARY KEY AUTOINCREMENT, queue INTEGER UNIQUE);"
	"CREATE TABLE messages(id INTEGER PRIMARY KEY, lane INTEGER NOT NULL,"
	" visible_ms INTEGER NOT NULL, receives INTEGER NOT NULL,"
	" first_received_ms INTEGER NOT NULL, sent_ms INTEGER NOT NULL, message_id BLOB NOT NULL,"
	" md5 BLOB NOT NULL, trace_header TEXT, group_id TEXT, dead_letter_source TEXT,"
	" attributes BLOB, body TEXT NOT NULL);"
	"CREATE INDEX messages_by_time ON messages(lane, visible_ms, receives);",

	/* Moves of a deleted queue go with it, so its name is enough. */
	"CREATE TABLE moves(id INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT NOT NULL UNIQUE,"
	" source TEXT NOT NULL, destination TEXT, rate INTEGER NOT NULL, status INTEGER NOT NULL,"
	" moved INTEGER NOT NULL, to_move INTEGER NOT NULL, started_ms INTEGER NOT NULL,"
	" paced_ms INTEGER NOT NULL, failure TEXT);"
	"CREATE INDEX moves_by_source ON moves(source, id);",

	"ALTER TABLE messages RENAME TO old_messages;"
	"CREATE TABLE messages(id INTEGER PRIMARY KEY, lane INTEGER NOT NULL,"
	" visible_ms INTEGER NOT NULL, receives INTEGER NOT NULL,"
	" first_received_ms INTEGER NOT NULL, sent_ms INTEGER NOT NULL, content BLOB NOT NULL,"
	" dead_letter_source TEXT);"
	"INSERT INTO messages SELECT id, lane, visible_ms, receives, first_received_ms, sent_ms,"
	" content(message_id, md5, trace_header, group_id, attributes, body), dead_letter_source"
	" FROM old_messages;"
	"DROP TABLE old_messages;"
	"CREATE INDEX messages_by_time ON messages(lane, visible_ms, receives);",

	/* FIFO queues: store_groups.c, store_repeats.c. */
	"ALTER TABLE messages ADD COLUMN group_row INTEGER;"
	"CREATE INDEX messages_by_group ON messages(group_row, id) WHERE group_row IS NOT NULL;"
	"CREATE TABLE groups(id INTEGER PRIMARY KEY, lane INTEGER NOT NULL, name TEXT NOT NULL,"
	" ready_ms INTEGER NOT NULL, UNIQUE(lane, name));"
	"CREATE INDEX groups_by_time ON groups(lane, ready_ms);"
	"CREATE TABLE deduplications(queue INTEGER NOT NULL, scope TEXT NOT NULL,"
	" deduplication_id TEXT NOT NULL, until_ms INTEGER NOT NULL, message_id BLOB NOT NULL,"
	" id INTEGER NOT NULL, PRIMARY KEY(queue, scope, deduplication_id)) WITHOUT ROWID;"
	"CREATE INDEX deduplications_by_time ON deduplications(until_ms);"
	"CREATE TABLE attempts(lane INTEGER NOT NULL, name TEXT NOT NULL, until_ms INTEGER NOT "
	"NULL,"
	" received_ms INTEGER NOT NULL, visible_ms INTEGER NOT NULL, taken BLOB NOT NULL,"
	" PRIMARY KEY(lane, name)) WITHOUT ROWID;"
	"CREATE INDEX attempts_by_time ON attempts(until_ms);",
};

#define SCHEMA_VERSION ((int)(sizeof(steps) / sizeof(steps[0])))

static int read_version(struct store *store, int *ret)
{
	sqlite3_stmt *statement;

	if (sqlite3_prepare_v2(store->db, "PRAGMA user_version", -1, &statement, NULL) != SQLITE_OK)
		return store_fail(store);
	if (sqlite3_step(statement) != SQLITE_ROW) {
		sqlite3_finalize(statement);
		return store_fail(store);
	}
	*ret = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return 0;
}

/* From the version before to `version`. */
static int step(struct store *store, int version)
{
	char pragma[48];
	int err = store_run_sql(store, "BEGIN IMMEDIATE");

	snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d", version);
	if (err == 0)
		err = store_run_sql(store, steps[version - 1]);
	if (err == 0)
		err = store_run_sql(store, pragma);
	return err == 0 ? store_run_sql(store, "COMMIT") : err;
}

int store_schema_make(struct store *store)
{
	int version = 0, err = read_version(store, &version);

	if (err < 0)
		return err;
	if (version > SCHEMA_VERSION) {
		snprintf(store->detail, sizeof(store->detail),
			"the database was written by a newer version of bunshin (schema %d, this "
			"one knows %d)",
			version, SCHEMA_VERSION);
		return ERR_CONFIG;
	}
	if (store_content_register(store->db) != SQLITE_OK)
		return store_fail(store);
	while (err == 0 && version < SCHEMA_VERSION)
		err = step(store, ++version);
	return err;
}
