/* The results database: which record of a key holds, counts that follow, what it refuses to open.
 */
#include "bunshin/error.h"
#include "campaign/results_db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#define NOW INT64_C(1767225600000)
#define UUID "6fa459ea-ee8a-3ca4-894e-db77e160355e"

static char dir[64], path[128];
static struct buf words = BUF_INIT(4096);

static int make_dir(void **state)
{
	strcpy(dir, "/tmp/bunshin-results-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/results.db", dir);
	return 0;
}

static void remove_files(void)
{
	static const char *const endings[] = {"", "-wal", "-shm", "-journal", ".lock"};
	char name[160];

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", path, endings[i]);
		unlink(name);
	}
}

static int remove_dir(void **state)
{
	buf_free(&words);
	remove_files();
	return rmdir(dir);
}

static struct results_db *open_db(bool read_only)
{
	struct results_db *db = NULL;

	buf_clear(&words);
	if (results_db_open(path, read_only, &db, &words) != 0)
		fail_msg("%s", buf_string(&words));
	return db;
}

static void commit(struct results_db *db)
{
	buf_clear(&words);
	if (results_db_commit(db, &words) != 0)
		fail_msg("%s", buf_string(&words));
	assert_false(results_db_is_dirty(db));
}

/* A record with everything that a test does not care about. */
static struct result_record record_of(const char *key, enum result_outcome outcome, int64_t at)
{
	return (struct result_record){.outcome = outcome,
		.key = key,
		.campaign = "morning",
		.destination = "line",
		.message_id = UUID,
		.reason = "",
		.request_id = "",
		.attempts = 1,
		.first_epoch_ms = NOW,
		.last_epoch_ms = NOW + at};
}

static void add(struct results_db *db, const struct result_record *record)
{
	assert_int_equal(results_db_add(db, record), 0);
}

static void add_plain(
	struct results_db *db, const char *key, enum result_outcome outcome, int64_t at)
{
	struct result_record record = record_of(key, outcome, at);

	add(db, &record);
}

static struct results_tally tally_of(struct results_db *db)
{
	struct results_tally tally;

	assert_int_equal(results_db_tally(db, "morning", &tally), 0);
	return tally;
}

static void assert_same(const struct result_record *a, const struct result_record *b)
{
	assert_int_equal(a->outcome, b->outcome);
	assert_string_equal(a->key, b->key);
	assert_string_equal(a->campaign, b->campaign);
	assert_string_equal(a->destination, b->destination);
	assert_string_equal(a->message_id, b->message_id);
	assert_int_equal(a->status, b->status);
	assert_string_equal(a->reason, b->reason);
	assert_string_equal(a->request_id, b->request_id);
	assert_int_equal(a->attempts, b->attempts);
	assert_int_equal(a->first_epoch_ms, b->first_epoch_ms);
	assert_int_equal(a->last_epoch_ms, b->last_epoch_ms);
	assert_int_equal(a->unanswered, b->unanswered);
}

static void assert_found(struct results_db *db, const struct result_record *expected)
{
	struct result_record found;

	assert_int_equal(results_db_find(db, expected->key, &found), 0);
	assert_same(&found, expected);
}

static void what_was_committed_is_there_again(void **state)
{
	struct results_db *db = open_db(false);
	struct result_record full = record_of(UUID, RESULT_FAILED, 5000), ignored;
	struct result_record odd = record_of("6FA459EA-EE8A-3CA4-894E-DB77E160355E", 5, 1);

	full.status = 400;
	full.reason = "refused by the provider";
	full.request_id = "a-b/c";
	full.attempts = 3;
	full.unanswered = true;
	odd.message_id = "";
	odd.destination = "";
	add(db, &full);
	add(db, &odd);
	assert_found(db, &full); /* those who write see what they have added */
	assert_true(results_db_is_dirty(db));
	commit(db);
	add_plain(db, "lost", RESULT_ACCEPTED, 1);
	results_db_close(db);
	db = open_db(true);
	assert_found(db, &full);
	assert_found(db, &odd); /* capitals are another key, given back as they were */
	assert_int_equal(results_db_find(db, "lost", &ignored), ERR_NOT_FOUND);
	results_db_close(db);
	remove_files();
}

static void the_heaviest_holds(void **state)
{
	for (int a = 0; a < RESULT_OUTCOMES; a++)
		for (int b = 0; b < RESULT_OUTCOMES; b++) {
			struct results_db *db = open_db(false);
			struct result_record found;
			struct results_tally tally;
			int heavy = a > b ? a : b;

			add_plain(db, "k", (enum result_outcome)a, 1000);
			add_plain(db, "k", (enum result_outcome)b, 2000);
			commit(db);
			assert_int_equal(results_db_find(db, "k", &found), 0);
			assert_int_equal(found.outcome, heavy);
			tally = tally_of(db);
			for (int o = 0; o < RESULT_OUTCOMES; o++)
				assert_int_equal(tally.by_outcome[o],
					o == (heavy == RESULT_SUPPRESSED ? RESULT_ACCEPTED
									 : heavy));
			results_db_close(db);
			remove_files();
		}
}

static void of_equal_ones_the_latest_and_of_acceptances_the_earliest(void **state)
{
	static const struct {
		enum result_outcome outcome;
		int64_t holds;
	} rows[] = {{RESULT_RETRYING, 3000}, {RESULT_CANCELLED, 3000}, {RESULT_EXPIRED, 3000},
		{RESULT_FAILED, 3000}, {RESULT_SUPPRESSED, 1000}, {RESULT_ACCEPTED, 1000}};
	static const int64_t orders[][3] = {
		{1000, 2000, 3000}, {3000, 2000, 1000}, {2000, 3000, 1000}, {2000, 1000, 3000}};
	struct result_record found;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t o = 0; o < 4; o++) {
			struct results_db *db = open_db(false);

			for (int n = 0; n < 3; n++)
				add_plain(db, "k", rows[i].outcome, orders[o][n]);
			assert_int_equal(results_db_find(db, "k", &found), 0);
			assert_int_equal(found.last_epoch_ms, NOW + rows[i].holds);
			results_db_close(db);
			remove_files();
		}
}

static void attempts_first_and_unanswered_are_kept_over_all(void **state)
{
	struct results_db *db = open_db(false);
	struct result_record first = record_of("k", RESULT_RETRYING, 10),
			     second = record_of("k", RESULT_FAILED, 20),
			     late = record_of("k", RESULT_RETRYING, 5), expected;

	first.unanswered = true;
	first.first_epoch_ms = 0; /* not known */
	second.attempts = 4;
	second.first_epoch_ms = NOW - 50;
	late.attempts = 9;
	late.first_epoch_ms = NOW - 70;
	add(db, &first);
	assert_int_equal(tally_of(db).uncertain, 0);
	add(db, &second);
	assert_int_equal(tally_of(db).uncertain, 1);
	add(db, &late); /* does not hold, and yet is heard */
	commit(db);
	expected = second;
	expected.attempts = 9;
	expected.first_epoch_ms = NOW - 70;
	expected.unanswered = true;
	assert_found(db, &expected);
	assert_int_equal(tally_of(db).first_received_epoch_ms, NOW - 70);
	add_plain(db, "k", RESULT_ACCEPTED, 30);
	assert_int_equal(tally_of(db).uncertain, 0); /* an answer came in the end */
	results_db_close(db);
	remove_files();
}

/* ---- any order, any repetition: the same */

#define KEYS 40
#define RECORDS 300

static uint64_t random_state;

static unsigned draw(unsigned below)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % below;
}

static struct result_record random_record(void)
{
	static const char *const reasons[] = {"", "a", "b", "no route"};
	static const char *const ids[] = {"", UUID, "x1", "x2"};
	static char keys[KEYS][40];
	unsigned key = draw(KEYS);
	struct result_record record;

	if (key % 2)
		snprintf(keys[key], sizeof(keys[key]), "key-%u", key);
	else
		snprintf(keys[key], sizeof(keys[key]), "6fa459ea-ee8a-3ca4-894e-db77e16%05x", key);
	record = record_of(keys[key], (enum result_outcome)draw(RESULT_OUTCOMES), draw(4) * 1000);
	record.status = draw(2) ? 400 : 0;
	record.reason = reasons[draw(4)];
	record.request_id = ids[draw(4)];
	record.message_id = ids[draw(4)];
	record.destination = draw(2) ? "line" : "fcm";
	record.attempts = draw(5);
	record.first_epoch_ms = draw(3) ? NOW - draw(1000) : 0;
	record.unanswered = draw(4) == 0;
	return record;
}

static void describe_reason(void *arg, const struct results_reason *reason)
{
	struct buf *out = arg;

	buf_appendf(out, "%d/%d/%s=%llu %s %s\n", reason->outcome, reason->status, reason->reason,
		(unsigned long long)reason->count, reason->sample_key, reason->sample_request_id);
}

static int by_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Reasons of the same count come in no order of their own. */
static void append_sorted(struct buf *out, char *lines)
{
	char *list[512], *save = NULL;
	size_t count = 0;

	for (char *line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		list[count++] = line;
	qsort(list, count, sizeof(list[0]), by_line);
	for (size_t i = 0; i < count; i++)
		buf_appendf(out, "%s\n", list[i]);
}

/* All that the database says, as text; counts are also checked against the rows. */
static char *describe(struct results_db *db)
{
	struct buf out = BUF_INIT(1 << 20), reasons = BUF_INIT(1 << 20);
	struct results_tally tally = tally_of(db);
	uint64_t counted[RESULT_OUTCOMES] = {0}, uncertain = 0;
	struct result_record r;
	char key[64];
	size_t len;
	int64_t at;

	for (unsigned i = 0; i < KEYS; i++) {
		snprintf(key, sizeof(key), i % 2 ? "key-%u" : "6fa459ea-ee8a-3ca4-894e-db77e16%05x",
			i);
		if (results_db_find(db, key, &r) != 0)
			continue;
		buf_appendf(&out, "%s %d %s %s %d %s %s %u %lld %lld %d\n", r.key, r.outcome,
			r.destination, r.message_id, r.status, r.reason, r.request_id, r.attempts,
			(long long)r.first_epoch_ms, (long long)r.last_epoch_ms, r.unanswered);
		counted[r.outcome == RESULT_SUPPRESSED ? RESULT_ACCEPTED : r.outcome]++;
		if (r.outcome >= RESULT_CANCELLED && r.outcome <= RESULT_FAILED)
			uncertain += r.unanswered;
	}
	assert_memory_equal(counted, tally.by_outcome, sizeof(counted));
	assert_int_equal(uncertain, tally.uncertain);
	assert_int_equal(results_db_each_reason(db, "morning", 500, describe_reason, &reasons), 0);
	buf_append_char(&reasons, '\0');
	append_sorted(&out, reasons.data);
	assert_int_equal(results_db_quantile(db, "morning", 1, 2, &at), 0);
	buf_appendf(&out, "median %lld first %lld accepted %lld-%lld last %lld\n", (long long)at,
		(long long)tally.first_received_epoch_ms, (long long)tally.first_accepted_epoch_ms,
		(long long)tally.last_accepted_epoch_ms, (long long)tally.last_epoch_ms);
	buf_free(&reasons);
	return buf_take(&out, &len);
}

static void any_order_gives_the_same(void **state)
{
	static struct result_record records[RECORDS];
	static char copies[RECORDS][48];
	char *expected = NULL;

	random_state = 42;
	for (int i = 0; i < RECORDS; i++) {
		records[i] = random_record();
		strcpy(copies[i], records[i].key);
		records[i].key = copies[i];
	}
	for (int round = 0; round < 12; round++) {
		struct results_db *db = open_db(false);
		char *said;

		for (int i = RECORDS - 1; i > 0 && round > 0; i--) {
			struct result_record swapped = records[i];
			unsigned other = draw((unsigned)i + 1);

			records[i] = records[other];
			records[other] = swapped;
		}
		for (int i = 0; i < RECORDS; i++) {
			add(db, &records[i]);
			if (round > 0 && draw(3) == 0)
				add(db, &records[draw((unsigned)i + 1)]);
			if (round > 0 && draw(20) == 0)
				commit(db);
		}
		commit(db);
		said = describe(db);
		if (expected == NULL)
			expected = said;
		assert_string_equal(said, expected);
		if (said != expected)
			free(said);
		results_db_close(db);
		remove_files();
	}
	free(expected);
}

/* ---- what is asked of it */

static void reasons_come_most_first_with_the_least_key(void **state)
{
	struct results_db *db = open_db(false);
	struct buf out = BUF_INIT(4096);
	struct result_record record;
	char key[16];

	for (int i = 0; i < 10; i++) {
		snprintf(key, sizeof(key), "k%d", 9 - i);
		record = record_of(key, i < 6 ? RESULT_FAILED : RESULT_RETRYING, i);
		record.status = i < 6 ? 400 : 503;
		record.reason = i < 6 ? "refused" : "unavailable";
		record.request_id = key;
		add(db, &record);
	}
	record = record_of("k5", RESULT_ACCEPTED, 100);
	add(db, &record);
	add_plain(db, "k100", RESULT_CANCELLED, 1); /* no reason to look at */
	add_plain(db, "k101", RESULT_EXPIRED, 1);
	assert_int_equal(results_db_each_reason(db, "morning", 2, describe_reason, &out), 0);
	assert_string_equal(buf_string(&out), "3/400/refused=5 k4 k4\n0/503/unavailable=4 k0 k0\n");
	buf_clear(&out);
	assert_int_equal(results_db_each_reason(db, "evening", 9, describe_reason, &out), 0);
	assert_int_equal(out.len, 0);
	buf_free(&out);
	results_db_close(db);
	remove_files();
}

static void many_reasons_are_counted_all_the_same(void **state)
{
	struct results_db *db = open_db(false);
	struct result_record record;
	struct buf out = BUF_INIT(1 << 20);
	char key[16], reason[32];
	unsigned lines = 0;

	for (int i = 0; i < 9000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		snprintf(reason, sizeof(reason), "reason %d", i % 3000);
		record = record_of(key, RESULT_FAILED, 1);
		record.reason = reason;
		record.campaign = i % 3000 < 200 ? reason : "morning"; /* many of these, too */
		add(db, &record);
	}
	commit(db);
	assert_int_equal(tally_of(db).by_outcome[RESULT_FAILED], 8400);
	assert_int_equal(results_db_each_reason(db, "morning", 10000, describe_reason, &out), 0);
	for (const char *at = buf_string(&out); (at = strchr(at, '=')) != NULL; at++, lines++)
		assert_int_equal(at[1], '3');
	assert_int_equal(lines, 2800);
	buf_free(&out);
	results_db_close(db);
	remove_files();
}

static void describe_campaign(void *arg, const char *campaign, uint64_t keys)
{
	buf_appendf(arg, "%s=%d ", campaign, (int)keys);
}

static void campaigns_are_apart(void **state)
{
	struct results_db *db = open_db(false);
	struct result_record record = record_of("a", RESULT_ACCEPTED, 7);
	struct buf out = BUF_INIT(4096);
	struct results_tally tally;

	add(db, &record);
	record.key = "b";
	record.campaign = "";
	add(db, &record);
	record.key = "c";
	record.campaign = "evening";
	record.outcome = RESULT_FAILED;
	add(db, &record);
	assert_int_equal(results_db_each_campaign(db, describe_campaign, &out), 0);
	assert_string_equal(buf_string(&out), "=1 evening=1 morning=1 ");
	assert_int_equal(tally_of(db).by_outcome[RESULT_ACCEPTED], 1);
	assert_int_equal(results_db_tally(db, "", &tally), 0);
	assert_int_equal(tally.by_outcome[RESULT_ACCEPTED], 1);
	assert_int_equal(results_db_tally(db, "nobody's", &tally), 0);
	assert_int_equal(tally.by_outcome[RESULT_ACCEPTED], 0);
	assert_int_equal(tally.last_epoch_ms, 0);
	buf_free(&out);
	results_db_close(db);
	remove_files();
}

static void the_curve_and_its_quantiles(void **state)
{
	struct results_db *db = open_db(false);
	uint64_t counts[4], accepted, other;
	char key[16];
	int64_t at;

	assert_int_equal(results_db_quantile(db, "morning", 1, 2, &at), 0);
	assert_int_equal(at, 0);
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		add_plain(db, key, i < 50 ? RESULT_SUPPRESSED : RESULT_ACCEPTED, i * 10);
	}
	add_plain(db, "f", RESULT_FAILED, 500);
	add_plain(db, "r", RESULT_RETRYING, 500);
	assert_int_equal(results_db_curve(db, "morning", NOW, NOW + 800, counts, 4), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(counts[i], 20);
	assert_int_equal(results_db_curve(db, "morning", NOW - 5, NOW + 2, counts, 1), 0);
	assert_int_equal(counts[0], 1);
	assert_int_equal(results_db_quantile(db, "morning", 1, 2, &at), 0);
	assert_int_equal(at, NOW + 490); /* the 50th */
	assert_int_equal(results_db_quantile(db, "morning", 95, 100, &at), 0);
	assert_int_equal(at, NOW + 940);
	assert_int_equal(results_db_quantile(db, "morning", 0, 1, &at), 0);
	assert_int_equal(at, NOW);
	assert_int_equal(results_db_quantile(db, "morning", 1, 1, &at), 0);
	assert_int_equal(at, NOW + 990);
	assert_int_equal(
		results_db_count_ended(db, "morning", NOW + 500, NOW + 520, &accepted, &other), 0);
	assert_int_equal(accepted, 2);
	assert_int_equal(other, 1);
	assert_int_equal(tally_of(db).first_accepted_epoch_ms, NOW);
	assert_int_equal(tally_of(db).last_accepted_epoch_ms, NOW + 990);
	results_db_close(db);
	remove_files();
}

static void describe_status(void *arg, const struct result_status *status)
{
	buf_appendf(arg, "%s@%lld %llu/%llu+%llu %llu %d %s\n", status->worker,
		(long long)(status->at_epoch_ms - NOW), (unsigned long long)status->in_flight,
		(unsigned long long)status->slots, (unsigned long long)status->waiting,
		(unsigned long long)status->accepted, status->limit, status->control);
}

static void the_latest_status_of_each_worker_is_kept(void **state)
{
	struct results_db *db = open_db(false);
	struct result_status status = {"b:1", NOW + 20, 5, 10, 2, 100, RESULT_LIMIT_RATE, "3f"};
	struct buf out = BUF_INIT(4096);
	char worker[16];
	int64_t at;

	assert_int_equal(results_db_last_heard(db, &at), 0);
	assert_int_equal(at, 0);
	assert_int_equal(results_db_add_status(db, &status), 0);
	status.at_epoch_ms = NOW + 10;
	status.in_flight = 9;
	assert_int_equal(results_db_add_status(db, &status), 0); /* older: not kept */
	status.worker = "a:1";
	status.control = "";
	assert_int_equal(results_db_add_status(db, &status), 0);
	commit(db);
	assert_int_equal(results_db_each_status(db, NOW, describe_status, &out), 0);
	assert_string_equal(buf_string(&out), "a:1@10 9/10+2 100 4 \nb:1@20 5/10+2 100 4 3f\n");
	buf_clear(&out);
	assert_int_equal(results_db_each_status(db, NOW + 11, describe_status, &out), 0);
	assert_string_equal(buf_string(&out), "b:1@20 5/10+2 100 4 3f\n");
	assert_int_equal(results_db_last_heard(db, &at), 0);
	assert_int_equal(at, NOW + 20);
	for (int i = 0; i < RESULTS_DB_WORKERS_MAX; i++) { /* only so many */
		snprintf(worker, sizeof(worker), "w:%d", i);
		status.worker = worker;
		status.at_epoch_ms = NOW + 100 + i;
		assert_int_equal(results_db_add_status(db, &status), 0);
	}
	commit(db);
	buf_clear(&out);
	assert_int_equal(results_db_each_status(db, 0, describe_status, &out), 0);
	assert_null(strstr(buf_string(&out), "b:1"));
	buf_free(&out);
	results_db_close(db);
	remove_files();
}

static void positions_are_kept_with_the_records(void **state)
{
	struct results_db *db = open_db(false);
	const struct results_position log = {UINT64_MAX, 7, 4096, UINT64_MAX - 1, 100};
	struct results_position found;

	assert_int_equal(results_db_find_position(db, UINT64_MAX, 7, &found), ERR_NOT_FOUND);
	assert_int_equal(results_db_put_position(db, &log), 0);
	assert_int_equal(results_db_find_position(db, UINT64_MAX, 7, &found), 0);
	commit(db);
	results_db_close(db);
	db = open_db(false);
	assert_int_equal(results_db_find_position(db, UINT64_MAX, 7, &found), 0);
	assert_int_equal(found.position, log.position);
	assert_true(found.head_hash == log.head_hash);
	assert_int_equal(found.head_bytes, log.head_bytes);
	assert_int_equal(results_db_find_position(db, 1, 7, &found), ERR_NOT_FOUND);
	results_db_close(db);
	remove_files();
}

/* ---- one writes, many read; what is no such file */

static void assert_refused(bool read_only, int err, const char *part)
{
	struct results_db *db = NULL;

	buf_clear(&words);
	assert_int_equal(results_db_open(path, read_only, &db, &words), err);
	assert_null(db);
	if (!strstr(buf_string(&words), part))
		fail_msg("\"%s\" lacks \"%s\"", buf_string(&words), part);
}

static void one_writes_and_others_read(void **state)
{
	struct results_db *writer = open_db(false), *reader = open_db(true);
	struct result_record found;

	assert_refused(false, ERR_PENDING, "another bunshin");
	add_plain(writer, "k", RESULT_RETRYING, 1);
	assert_int_equal(tally_of(reader).by_outcome[RESULT_RETRYING], 0);
	commit(writer);
	assert_int_equal(tally_of(reader).by_outcome[RESULT_RETRYING], 1);
	assert_int_equal(results_db_hold(reader), 0);
	assert_int_equal(results_db_find(reader, "k", &found), 0);
	add_plain(writer, "k", RESULT_ACCEPTED, 1);
	commit(writer);
	assert_int_equal(results_db_find(reader, "k", &found), 0);
	assert_int_equal(found.outcome, RESULT_RETRYING); /* as it was when it was held */
	results_db_release(reader);
	assert_int_equal(results_db_find(reader, "k", &found), 0);
	assert_int_equal(found.outcome, RESULT_ACCEPTED);
	results_db_close(writer);
	assert_int_equal(tally_of(reader).by_outcome[RESULT_ACCEPTED], 1);
	results_db_close(reader);
	writer = open_db(false);
	results_db_close(writer);
	remove_files();
}

static void write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void run_sql(const char *text)
{
	sqlite3 *raw;

	assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
	assert_int_equal(sqlite3_exec(raw, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(raw);
}

static void other_files_are_left_alone(void **state)
{
	assert_refused(true, ERR_NOT_FOUND, "there is no");
	write_file("");
	assert_refused(true, ERR_NOT_FOUND, "holds nothing yet");
	results_db_close(open_db(false)); /* what a death right after its making leaves */
	run_sql("PRAGMA user_version=2");
	assert_refused(false, ERR_CONFIG, "newer version of bunshin (schema 2");
	assert_refused(true, ERR_CONFIG, "newer version");
	remove_files();
	write_file("to,name\nU1,a\nto,name\nU1,a\nto,name\nU1,a\nto,name\nU1,a\nto,name\nU1,a\n"
		   "to,name\nU1,a\n");
	assert_refused(false, ERR_CONFIG, "is no database of results");
	remove_files();
	run_sql("CREATE TABLE mine(x)");
	assert_refused(false, ERR_CONFIG, "database of something else");
	run_sql("PRAGMA application_id=77");
	assert_refused(true, ERR_CONFIG, "database of something else");
	remove_files();
}

static void a_corrupt_file_is_said_to_be_one(void **state)
{
	struct results_db *db = open_db(false);
	struct result_record record;
	FILE *file;
	char key[16];

	for (int i = 0; i < 2000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		add_plain(db, key, RESULT_FAILED, i);
	}
	commit(db);
	results_db_close(db);
	file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, 4096, SEEK_SET), 0);
	for (int i = 0; i < 200000; i++)
		fputc(0xa5, file);
	fclose(file);
	db = open_db(false);
	record = record_of("k1", RESULT_ACCEPTED, 1);
	assert_int_equal(results_db_add(db, &record), ERR_IO);
	assert_int_equal(results_db_add(db, &record), ERR_IO);
	buf_clear(&words);
	assert_int_equal(results_db_commit(db, &words), ERR_IO);
	assert_string_equal(
		buf_string(&words), "cannot write the results: database disk image is malformed");
	assert_int_equal(results_db_find(db, "k1", &record), ERR_IO);
	assert_string_equal(results_db_detail(db), "database disk image is malformed");
	results_db_close(db);
	remove_files();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_committed_is_there_again),
		cmocka_unit_test(the_heaviest_holds),
		cmocka_unit_test(of_equal_ones_the_latest_and_of_acceptances_the_earliest),
		cmocka_unit_test(attempts_first_and_unanswered_are_kept_over_all),
		cmocka_unit_test(any_order_gives_the_same),
		cmocka_unit_test(reasons_come_most_first_with_the_least_key),
		cmocka_unit_test(many_reasons_are_counted_all_the_same),
		cmocka_unit_test(campaigns_are_apart),
		cmocka_unit_test(the_curve_and_its_quantiles),
		cmocka_unit_test(the_latest_status_of_each_worker_is_kept),
		cmocka_unit_test(positions_are_kept_with_the_records),
		cmocka_unit_test(one_writes_and_others_read),
		cmocka_unit_test(other_files_are_left_alone),
		cmocka_unit_test(a_corrupt_file_is_said_to_be_one),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
