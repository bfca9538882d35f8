/* Databases of older versions are taken over with everything in them. */
#include "world.h"

#include "localq/store_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static struct world world;

/* As version 1 made it. */
static const char version_1[] =
	"PRAGMA journal_mode=WAL;"
	"CREATE TABLE settings(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE queues(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
	" created_ms INTEGER NOT NULL, modified_ms INTEGER NOT NULL, purged_ms INTEGER NOT NULL);"
	"CREATE TABLE queue_attributes(queue INTEGER NOT NULL, name TEXT NOT NULL,"
	" value TEXT NOT NULL, PRIMARY KEY(queue,name)) WITHOUT ROWID;"
	"CREATE TABLE queue_tags(queue INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,"
	" PRIMARY KEY(queue,name)) WITHOUT ROWID;"
	"CREATE TABLE reserved_names(name TEXT PRIMARY KEY, until_ms INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE TABLE lanes(id INTEGER PRIMARY KEY AUTOINCREMENT, queue INTEGER UNIQUE);"
	"CREATE TABLE messages(id INTEGER PRIMARY KEY, lane INTEGER NOT NULL,"
	" visible_ms INTEGER NOT NULL, receives INTEGER NOT NULL,"
	" first_received_ms INTEGER NOT NULL, sent_ms INTEGER NOT NULL, message_id BLOB NOT NULL,"
	" md5 BLOB NOT NULL, trace_header TEXT, group_id TEXT, dead_letter_source TEXT,"
	" attributes BLOB, body TEXT NOT NULL);"
	"CREATE INDEX messages_by_time ON messages(lane, visible_ms, receives);"
	"INSERT INTO settings VALUES('handle_key',x'000102030405060708090a0b0c0d0e0f');"
	"INSERT INTO settings VALUES('next_message',1048577);"
	"INSERT INTO queues VALUES(1,'q',1767225000000,1767225000000,0);"
	"INSERT INTO queue_attributes VALUES(1,'VisibilityTimeout','60');"
	"INSERT INTO queue_tags VALUES(1,'team','growth');"
	"INSERT INTO lanes VALUES(1,1);"
	"INSERT INTO messages VALUES(1,1,1767225500000,0,1767225500000,1767225500000,"
	" x'00112233445566778899aabbccddeeff',x'5d41402abc4b2a76b9719d911017c592','Root=1','g',"
	"NULL,"
	" x'0000000548656c6c6f00000006537472696e6701000000055468657265','hello');"
	"INSERT INTO messages VALUES(2,1,1767225500001,3,1767225500000,1767225500000,"
	" x'ffeeddccbbaa99887766554433221100',x'7d793037a0760186574b0282f2f435e7',NULL,NULL,'other'"
	","
	" NULL,'world');"
	"PRAGMA user_version=1;";

static const char from_1_to_2[] =
	"CREATE TABLE moves(id INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT NOT NULL UNIQUE,"
	" source TEXT NOT NULL, destination TEXT, rate INTEGER NOT NULL, status INTEGER NOT NULL,"
	" moved INTEGER NOT NULL, to_move INTEGER NOT NULL, started_ms INTEGER NOT NULL,"
	" paced_ms INTEGER NOT NULL, failure TEXT);"
	"CREATE INDEX moves_by_source ON moves(source, id);"
	"INSERT INTO moves VALUES(1,'a task','q',NULL,0,2,5,5,1767225000000,1767225000000,NULL);"
	"PRAGMA user_version=2;";

static int start(void **state)
{
	strcpy(dir, "/tmp/bunshin-schema-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int end(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void make_database(const char *more)
{
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/queue.db", dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, version_1, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, more, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static const char *member(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, name));

	return text != NULL ? text : "";
}

static void check_messages(void)
{
	const cJSON *messages = cJSON_GetObjectItem(
		world_ok(&world, "ReceiveMessage",
			"{\"QueueUrl\":\"/"
			"q\",\"MaxNumberOfMessages\":10,\"AttributeNames\":[\"All\"],"
			"\"MessageAttributeNames\":[\"All\"]}"),
		"Messages");
	const cJSON *first = cJSON_GetArrayItem(messages, 0),
		    *second = cJSON_GetArrayItem(messages, 1);

	assert_int_equal(cJSON_GetArraySize(messages), 2);
	assert_string_equal(member(first, "Body"), "hello");
	assert_string_equal(member(first, "MessageId"), "00112233-4455-6677-8899-aabbccddeeff");
	assert_string_equal(member(first, "MD5OfBody"), "5d41402abc4b2a76b9719d911017c592");
	assert_string_equal(
		member(first, "MD5OfMessageAttributes"), "a311262e065454b75da111d535b8dacd");
	first = cJSON_GetObjectItem(first, "Attributes");
	assert_string_equal(member(first, "AWSTraceHeader"), "Root=1");
	assert_string_equal(member(first, "MessageGroupId"), "g");
	assert_string_equal(member(first, "SentTimestamp"), "1767225500000");
	assert_string_equal(member(first, "ApproximateReceiveCount"), "1");
	assert_string_equal(member(second, "Body"), "world");
	second = cJSON_GetObjectItem(second, "Attributes");
	assert_string_equal(member(second, "ApproximateReceiveCount"), "4");
	assert_string_equal(member(second, "DeadLetterQueueSourceArn"),
		"arn:aws:sqs:us-east-1:000000000000:other");
}

static void check_all(void)
{
	check_messages();
	assert_string_equal(world_counts(&world, "q"), "0 2 0");
	assert_string_equal(
		member(cJSON_GetObjectItem(
			       world_ok(&world, "ListQueueTags", "{\"QueueUrl\":\"/q\"}"), "Tags"),
			"team"),
		"growth");
	assert_string_equal(member(cJSON_GetObjectItem(world_ok(&world, "GetQueueAttributes",
							       "{\"QueueUrl\":\"/q\","
							       "\"AttributeNames\":[\"All\"]}"),
					   "Attributes"),
				    "VisibilityTimeout"),
		"60");
	/* What is sent now gets an id of its own. */
	world_send(&world, "q", "new");
	assert_int_equal(world_receive(&world, "q"), 1);
}

static void take_over(const char *more)
{
	make_database(more);
	world_open(&world, dir);
	check_all();
	world_reopen(&world, dir);
	assert_string_equal(world_counts(&world, "q"), "0 3 0");
	world_close(&world);
}

static void from_version_1(void **state)
{
	take_over("");
}

static void from_version_2(void **state)
{
	take_over(from_1_to_2);
}

/* Columns of tables and the text of indexes, in an order of their own. */
static void read_schema(char *ret, size_t size)
{
	static const char sql[] =
		"SELECT m.name||' '||p.cid||' '||p.name||' '||p.type||' '||p.\"notnull\"||' '||p.pk"
		" FROM sqlite_schema m, pragma_table_info(m.name) p WHERE m.type='table'"
		" UNION ALL SELECT sql FROM sqlite_schema WHERE type='index' AND sql IS NOT NULL"
		" ORDER BY 1";
	sqlite3_stmt *statement;
	size_t used = 0;

	assert_int_equal(
		sqlite3_prepare_v2(world.service.store->db, sql, -1, &statement, NULL), SQLITE_OK);
	while (sqlite3_step(statement) == SQLITE_ROW) {
		used += (size_t)snprintf(
			ret + used, size - used, "%s\n", sqlite3_column_text(statement, 0));
		assert_true(used < size);
	}
	sqlite3_finalize(statement);
	assert_true(used > 2000);
}

static void a_new_one_is_as_one_taken_over(void **state)
{
	static char taken_over[16384], made[16384];

	make_database("");
	world_open(&world, dir);
	read_schema(taken_over, sizeof(taken_over));
	world_close(&world);
	world_open(&world, NULL);
	read_schema(made, sizeof(made));
	world_close(&world);
	assert_string_equal(made, taken_over);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(from_version_1, start, end),
		cmocka_unit_test_setup_teardown(from_version_2, start, end),
		cmocka_unit_test_setup_teardown(a_new_one_is_as_one_taken_over, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
