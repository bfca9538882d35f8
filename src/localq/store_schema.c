#include "bunshin/error.h"
#include "localq/store_content.h"
#include "localq/store_private.h"

#include <stdio.h>

/*
 * Of a message, the columns that a receive rewrites come first; what never changes is one value
 * (store_content.h); what most messages do not have comes last.
 */
static const char newest[] =
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
	"CREATE TABLE lanes(id INTEGER PRIMARY KEY CHECK(id<1048576), queue INTEGER UNIQUE,"
	" messages INTEGER NOT NULL, fresh_id INTEGER NOT NULL, turn INTEGER NOT NULL DEFAULT 0);"
	"CREATE TABLE messages(id INTEGER PRIMARY KEY, lane INTEGER NOT NULL,"
	" timed INTEGER NOT NULL, visible_ms INTEGER NOT NULL, receives INTEGER NOT NULL,"
	" first_received_ms INTEGER NOT NULL, sent_ms INTEGER NOT NULL, content BLOB NOT NULL,"
	" dead_letter_source TEXT, group_row INTEGER, tenant INTEGER);"
	"CREATE INDEX messages_by_time ON messages(lane, visible_ms, receives) WHERE timed;"
	"CREATE TABLE flights(id INTEGER PRIMARY KEY, last_id INTEGER NOT NULL,"
	" visible_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL);"
	/* Moves of a deleted queue go with it, so its name is enough. */
	"CREATE TABLE moves(id INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT NOT NULL UNIQUE,"
	" source TEXT NOT NULL, destination TEXT, rate INTEGER NOT NULL, status INTEGER NOT NULL,"
	" moved INTEGER NOT NULL, to_move INTEGER NOT NULL, started_ms INTEGER NOT NULL,"
	" paced_ms INTEGER NOT NULL, failure TEXT);"
	"CREATE INDEX moves_by_source ON moves(source, id);"
	/* FIFO queues: store_groups.c, store_repeats.c. */
	"CREATE INDEX messages_by_group ON messages(group_row, id) WHERE group_row IS NOT NULL;"
	"CREATE TABLE groups(id INTEGER PRIMARY KEY, lane INTEGER NOT NULL, name TEXT NOT NULL,"
	" ready_ms INTEGER NOT NULL, UNIQUE(lane, name));"
	"CREATE INDEX groups_by_time ON groups(lane, ready_ms);"
	"CREATE TABLE deduplications(queue INTEGER NOT NULL, scope TEXT NOT NULL,"
	" deduplication_id TEXT NOT NULL, until_ms INTEGER NOT NULL, message_id BLOB NOT NULL,"
	" id INTEGER NOT NULL, PRIMARY KEY(queue, scope, deduplication_id)) WITHOUT ROWID;"
	"CREATE INDEX deduplications_by_time ON deduplications(until_ms);"
	"CREATE TABLE attempts(lane INTEGER NOT NULL, name TEXT NOT NULL,"
	" until_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL, visible_ms INTEGER NOT NULL,"
	" taken BLOB NOT NULL, PRIMARY KEY(lane, name)) WITHOUT ROWID;"
	"CREATE INDEX attempts_by_time ON attempts(until_ms);"
	/* Fair queues: store_tenants.c. */
	"CREATE TABLE tenant_order(tenant INTEGER NOT NULL, visible_ms INTEGER NOT NULL,"
	" id INTEGER NOT NULL, PRIMARY KEY(tenant, visible_ms, id)) WITHOUT ROWID;"
	"CREATE TABLE tenants(id INTEGER PRIMARY KEY, lane INTEGER NOT NULL, name TEXT NOT NULL,"
	" turn INTEGER NOT NULL, head_ms INTEGER NOT NULL, head_id INTEGER NOT NULL,"
	" ready INTEGER NOT NULL, UNIQUE(lane, name));"
	"CREATE INDEX tenants_ready ON tenants(lane, turn, head_ms, head_id) WHERE ready=1;"
	"CREATE INDEX tenants_waiting ON tenants(lane, head_ms) WHERE ready=0;";

/* The steps from each version to the next, for databases that are older; each a transaction. */
static const char *const steps[] = {
	/* from version 1 on */
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

	/*
	 * Messages by the layout of store_id(), and a queue's counts in its lane's row. All that is
	 * there counts as timed. What receive attempts were given is forgotten.
	 */
	"ALTER TABLE lanes RENAME TO old_lanes;"
	"CREATE TABLE lanes(id INTEGER PRIMARY KEY CHECK(id<1048576), queue INTEGER UNIQUE,"
	" messages INTEGER NOT NULL, fresh_id INTEGER NOT NULL);"
	"INSERT INTO lanes SELECT id, queue,"
	" (SELECT count(*) FROM messages WHERE lane=l.id), id<<43 FROM old_lanes l;"
	"DROP TABLE old_lanes;"
	"ALTER TABLE messages RENAME TO old_messages;"
	"CREATE TABLE messages(id INTEGER PRIMARY KEY, lane INTEGER NOT NULL,"
	" timed INTEGER NOT NULL, visible_ms INTEGER NOT NULL, receives INTEGER NOT NULL,"
	" first_received_ms INTEGER NOT NULL, sent_ms INTEGER NOT NULL, content BLOB NOT NULL,"
	" dead_letter_source TEXT, group_row INTEGER);"
	"INSERT INTO messages SELECT lane<<43|1<<42|id, lane, 1, visible_ms, receives,"
	" first_received_ms, sent_ms, content, dead_letter_source, group_row FROM old_messages;"
	"DROP TABLE old_messages;"
	"CREATE INDEX messages_by_time ON messages(lane, visible_ms, receives) WHERE timed;"
	"CREATE INDEX messages_by_group ON messages(group_row, id) WHERE group_row IS NOT NULL;"
	"DELETE FROM attempts;",

	/*
	 * Fair queues: store_tenants.c. What a standard queue holds already stays without a tenant,
	 * whatever its group.
	 */
	"ALTER TABLE lanes ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE messages ADD COLUMN tenant INTEGER;"
	"CREATE TABLE tenant_order(tenant INTEGER NOT NULL, visible_ms INTEGER NOT NULL,"
	" id INTEGER NOT NULL, PRIMARY KEY(tenant, visible_ms, id)) WITHOUT ROWID;"
	"CREATE TABLE tenants(id INTEGER PRIMARY KEY, lane INTEGER NOT NULL, name TEXT NOT NULL,"
	" turn INTEGER NOT NULL, head_ms INTEGER NOT NULL, head_id INTEGER NOT NULL,"
	" ready INTEGER NOT NULL, UNIQUE(lane, name));"
	"CREATE INDEX tenants_ready ON tenants(lane, turn, head_ms, head_id) WHERE ready=1;"
	"CREATE INDEX tenants_waiting ON tenants(lane, head_ms) WHERE ready=0;",

	/* First receives: store_flights.c. What was received already is timed. */
	("CREATE TABLE flights(id INTEGER PRIMARY KEY, last_id INTEGER NOT NULL,"
	 " visible_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL);"),
};

#define SCHEMA_VERSION (1 + (int)(sizeof(steps) / sizeof(steps[0])))

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

/* Makes it one of `version`. */
static int step(struct store *store, const char *sql, int version)
{
	char pragma[48];
	int err = store_run_sql(store, "BEGIN IMMEDIATE");

	snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d", version);
	if (err == 0)
		err = store_run_sql(store, sql);
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
	if (version == 0)
		return step(store, newest, SCHEMA_VERSION);
	for (; err == 0 && version < SCHEMA_VERSION; version++)
		err = step(store, steps[version - 1], version + 1);
	return err;
}
