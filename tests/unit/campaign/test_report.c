/* What became of every row: list, journal and results joined, and how that is written down. */
#include "campaign/report_summary.h"

#include "bunshin/error.h"
#include "campaign/messages.h"
#include "text_source.h"

#include "aws/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME "morning <&> \"1\""
#define MOMENT INT64_C(1700000000000) /* 2023-11-14T22:13:20Z */

/* Row 4 is broken, row 5 is row 1 again. */
static const char list[] = "to,n\nU1,a\n\"U,2\",b\nU3,c\nU4,d,e\nU1,f\nU6,g\nU7,h\nU8,i\nU9,j\n";

struct world {
	char directory[64], journal_path[160], db_path[96];
	struct journal *journal;
	struct results_db *db;
	unsigned char space[16];
};

static void remove_all(const struct world *world)
{
	static const char *const endings[] = {"", "-wal", "-shm", ".lock"};
	char path[256];

	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s%s", world->journal_path, endings[i]);
		unlink(path);
		snprintf(path, sizeof(path), "%s%s", world->db_path, endings[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(world->directory), 0);
}

static void open_journal(struct world *world)
{
	const struct journal_campaign campaign = {.name = NAME,
		.list = "/lists/<morning>.csv",
		.list_format = "csv",
		.key_column = "to",
		.queue_url = "https://sqs.us-east-1.amazonaws.com/1/q",
		.deadline_epoch_ms = MOMENT + 60000,
		.rows = 9,
		.valid = 7};
	struct buf path = BUF_INIT(1000), error = BUF_INIT(1000);

	assert_int_equal(journal_path(world->directory, NAME, &path), 0);
	assert_true(path.len < sizeof(world->journal_path));
	strcpy(world->journal_path, buf_string(&path));
	assert_int_equal(journal_prepare(world->journal_path, &world->journal, &error), 0);
	assert_int_equal(journal_begin(world->journal, &campaign, MOMENT, &error), 0);
	for (uint64_t row = 1; row <= 8; row++)
		if (row != 4 && row != 5)
			assert_int_equal(journal_confirm(world->journal, row), 0);
	assert_int_equal(journal_reject(world->journal, 4, 5, JOURNAL_REJECT_INVALID,
				 "expected 2 fields, got 3"),
		0);
	assert_int_equal(journal_reject(world->journal, 5, 6, JOURNAL_REJECT_DUPLICATE,
				 "its key stood in an earlier row"),
		0);
	assert_int_equal(journal_commit(world->journal, &error), 0);
	buf_free(&path);
	buf_free(&error);
}

static void add(struct world *world, const char *recipient, enum result_outcome outcome, int status,
	const char *reason, bool unanswered)
{
	char key[UUID_TEXT_SIZE];
	const struct result_record record = {.outcome = outcome,
		.key = key,
		.campaign = NAME,
		.destination = "line",
		.message_id = "m",
		.status = status,
		.reason = reason,
		.request_id = status ? "=req,1" : "",
		.attempts = 2,
		.first_epoch_ms = MOMENT,
		.last_epoch_ms = MOMENT + 1500 * (recipient[1] - '0'),
		.unanswered = unanswered};

	assert_int_equal(uuid_v5(world->space, recipient, strlen(recipient), "", 0, key), 0);
	assert_int_equal(results_db_add(world->db, &record), 0);
}

static int enter(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct buf error = BUF_INIT(1000);

	setenv("TZ", "UTC", 1);
	tzset();
	strcpy(world->directory, "/tmp/bunshin-report-XXXXXX");
	assert_non_null(mkdtemp(world->directory));
	snprintf(world->db_path, sizeof(world->db_path), "%s/results.db", world->directory);
	assert_int_equal(campaign_key_space(NAME, world->space), 0);
	open_journal(world);
	assert_int_equal(results_db_open(world->db_path, false, &world->db, &error), 0);
	add(world, "U1", RESULT_ACCEPTED, 200, "", false);
	add(world, "U,2", RESULT_FAILED, 400, "-refused <b>", true);
	add(world, "U3", RESULT_EXPIRED, 0, "past its deadline", false);
	add(world, "U6", RESULT_RETRYING, 500, "the provider is busy", true);
	add(world, "U7", RESULT_SUPPRESSED, 0, "", false);
	assert_int_equal(results_db_commit(world->db, &error), 0);
	buf_free(&error);
	*state = world;
	return 0;
}

static int leave(void **state)
{
	struct world *world = *state;

	journal_close(world->journal);
	results_db_close(world->db);
	remove_all(world);
	free(world);
	return 0;
}

static int take_csv(void *arg, const struct report_row *row)
{
	return report_csv_row(row, arg);
}

static int read_list(struct world *world, const char *text, struct results_db *db, struct buf *csv,
	struct report_counts *counts, struct buf *error)
{
	struct text_source source = {text, strlen(text)};
	const struct report_source report = {.journal = world->journal,
		.db = db,
		.input = {text_source_read, &source},
		.format = RECIPIENTS_CSV};

	return report_read(&report, take_csv, csv, counts, error);
}

static void every_row_has_one_outcome(void **state)
{
	struct world *world = *state;
	struct buf csv = BUF_INIT(100000), error = BUF_INIT(1000), expected = BUF_INIT(100000);
	static const struct {
		const char *before, *recipient, *after;
	} rows[] = {
		{"2,1,U1,", "U1",
			",accepted,,200,2,2023-11-14T22:13:20.000Z,2023-11-14T22:13:21.500Z,"
			"\"'=req,1\",\n"},
		{"3,2,\"U,2\",", "U,2",
			",failed,'-refused <b>,400,2,2023-11-14T22:13:20.000Z,"
			"2023-11-14T22:13:14.000Z,\"'=req,1\",yes\n"},
		{"4,3,U3,", "U3",
			",expired,past its deadline,,2,2023-11-14T22:13:20.000Z,"
			"2023-11-14T22:13:24.500Z,,\n"},
		{"5,4,,", NULL, ",left out: invalid,\"expected 2 fields, got 3\",,,,,,\n"},
		{"6,5,U1,", "U1", ",left out: duplicate,its key stood in an earlier row,,,,,,\n"},
		{"7,6,U6,", "U6",
			",retrying,the provider is busy,500,2,2023-11-14T22:13:20.000Z,"
			"2023-11-14T22:13:29.000Z,\"'=req,1\",\n"},
		{"8,7,U7,", "U7",
			",accepted,accepted before; the record of it was lost,,2,"
			"2023-11-14T22:13:20.000Z,2023-11-14T22:13:30.500Z,,\n"},
		{"9,8,U8,", "U8", ",waiting,,,,,,,\n"},
		{"10,9,U9,", "U9", ",not sent,,,,,,,\n"},
	};
	struct report_counts counts;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char key[UUID_TEXT_SIZE] = "";

		if (rows[i].recipient)
			uuid_v5(world->space, rows[i].recipient, strlen(rows[i].recipient), "", 0,
				key);
		buf_appendf(&expected, "%s%s%s", rows[i].before, key, rows[i].after);
	}
	assert_int_equal(read_list(world, list, world->db, &csv, &counts, &error), 0);
	assert_string_equal(buf_string(&csv), buf_string(&expected));
	assert_int_equal(counts.rows, 9);
	assert_int_equal(counts.by_outcome[REPORT_ACCEPTED], 2);
	for (int i = REPORT_FAILED; i < REPORT_LEFT_OUT; i++)
		assert_int_equal(counts.by_outcome[i], i == REPORT_CANCELLED ? 0 : 1);
	assert_int_equal(counts.by_outcome[REPORT_LEFT_OUT], 2);
	assert_int_equal(counts.by_reject[JOURNAL_REJECT_INVALID], 1);
	assert_int_equal(counts.by_reject[JOURNAL_REJECT_DUPLICATE], 1);
	assert_int_equal(counts.uncertain, 1);
	assert_int_equal(counts.strangers, 0);
	buf_free(&csv);
	buf_free(&error);
	buf_free(&expected);
}

static void without_results_nothing_is_known(void **state)
{
	struct world *world = *state;
	struct buf csv = BUF_INIT(100000), error = BUF_INIT(1000);
	struct report_counts counts;

	assert_int_equal(read_list(world, list, NULL, &csv, &counts, &error), 0);
	assert_int_equal(counts.by_outcome[REPORT_WAITING], 6);
	assert_int_equal(counts.by_outcome[REPORT_NOT_SENT], 1);
	assert_int_equal(counts.by_outcome[REPORT_LEFT_OUT], 2);
	buf_free(&csv);
	buf_free(&error);
}

static void lists_that_are_not_the_one(void **state)
{
	struct world *world = *state;
	struct buf csv = BUF_INIT(100000), error = BUF_INIT(1000);
	struct report_counts counts;

	assert_int_equal(
		read_list(world, "to,n\nU1,a\n", world->db, &csv, &counts, &error), ERR_SYNTAX);
	assert_string_equal(buf_string(&error), "the list has 1 rows, and had 9 when it was sent");
	buf_clear(&error);
	assert_int_equal(
		read_list(world, "id,n\nU1,a\n", world->db, &csv, &counts, &error), ERR_SYNTAX);
	assert_string_equal(
		buf_string(&error), "line 1: the list does not have the key column \"to\"");
	buf_free(&csv);
	buf_free(&error);
}

static void results_of_nobody_are_counted(void **state)
{
	struct world *world = *state;
	struct buf csv = BUF_INIT(100000), error = BUF_INIT(1000);
	struct report_counts counts;

	add(world, "X5", RESULT_ACCEPTED, 200, "", false);
	assert_int_equal(results_db_commit(world->db, &error), 0);
	assert_int_equal(read_list(world, list, world->db, &csv, &counts, &error), 0);
	assert_int_equal(counts.strangers, 1);
	buf_free(&csv);
	buf_free(&error);
}

/* The queue refused it, but had taken it before: an earlier request got no answer. */
static void a_refused_row_that_was_sent(void **state)
{
	struct world *world = *state;
	struct buf csv = BUF_INIT(100000), error = BUF_INIT(1000);
	struct report_counts counts;

	assert_int_equal(
		journal_reject(world->journal, 9, 10, JOURNAL_REJECT_REFUSED, "too long"), 0);
	assert_int_equal(journal_commit(world->journal, &error), 0);
	assert_int_equal(read_list(world, list, world->db, &csv, &counts, &error), 0);
	assert_int_equal(counts.by_reject[JOURNAL_REJECT_REFUSED], 1);
	assert_non_null(strstr(buf_string(&csv), "left out: refused,too long,"));
	add(world, "U9", RESULT_ACCEPTED, 200, "", false);
	assert_int_equal(results_db_commit(world->db, &error), 0);
	assert_int_equal(read_list(world, list, world->db, &csv, &counts, &error), 0);
	assert_int_equal(counts.by_reject[JOURNAL_REJECT_REFUSED], 0);
	assert_int_equal(counts.by_outcome[REPORT_ACCEPTED], 3);
	assert_int_equal(counts.strangers, 0);
	buf_free(&csv);
	buf_free(&error);
}

static void summarise(struct world *world, struct report_summary *summary)
{
	struct buf csv = BUF_INIT(100000), error = BUF_INIT(1000);
	struct report_counts counts;

	assert_int_equal(read_list(world, list, world->db, &csv, &counts, &error), 0);
	assert_int_equal(
		report_summarise(world->journal, world->db, &counts, MOMENT + 3600000, summary), 0);
	buf_free(&csv);
	buf_free(&error);
}

static void as_text(void **state)
{
	static struct report_summary summary;
	static const char expected[] =
		NAME "\n"
		     "  accepted by the provider               2   22.2 %\n"
		     "  failed                                 1   11.1 %\n"
		     "  expired, not sent                      1   11.1 %\n"
		     "  retrying                               1   11.1 %\n"
		     "  waiting                                1   11.1 %\n"
		     "  not in the queue                       1   11.1 %\n"
		     "  left out of the list                   2   22.2 %\n"
		     "      invalid                                1\n"
		     "      duplicate                              1\n"
		     "  rows of the list                       9\n"
		     "It reconciles: each row has exactly one "
		     "outcome.\n"
		     "\nAccepted on 2023-11-14 (UTC+0000)\n"
		     "  the send began             22:13:20.000\n"
		     "  the first                  22:13:21.500  after 1.5s\n"
		     "  50 %                       22:13:21.500  after 1.5s\n"
		     "  95 %                       22:13:30.500  after 10.5s\n"
		     "  the last                   22:13:30.500  after 10.5s\n"
		     "  the deadline               22:14:20.000  after 1m00s\n"
		     "\nWhy not\n";
	struct buf out = BUF_INIT(100000);

	summarise(*state, &summary);
	assert_int_equal(report_open_rows(&summary), 3);
	assert_int_equal(report_print_text(&summary, &out), 0);
	assert_memory_equal(buf_string(&out), expected, strlen(expected));
	assert_non_null(
		strstr(buf_string(&out), "  1 failed: -refused <b> (status 400), for example "));
	assert_non_null(strstr(buf_string(&out), "\nUncertain: 1 of these had an attempt"));
	assert_non_null(strstr(buf_string(&out), "`bunshin campaign send --resume` goes on"));
	buf_free(&out);
}

/* Every tag that is opened is closed, nothing from outside stands there as it is. */
static void as_a_page(void **state)
{
	static struct report_summary summary;
	struct buf out = BUF_INIT(1 << 20);
	const char *page;

	summarise(*state, &summary);
	assert_int_equal(report_print_html(&summary, &out), 0);
	page = buf_string(&out);
	assert_non_null(strstr(page, "<h1><bdi>morning &lt;&amp;&gt; &quot;1&quot;</bdi></h1>"));
	assert_non_null(strstr(page, "<td><bdi>-refused &lt;b&gt;</bdi>"));
	assert_non_null(strstr(page, "<td><bdi>/lists/&lt;morning&gt;.csv</bdi></td>"));
	assert_non_null(strstr(page, "<b>2</b> of 7 messages were accepted by the provider"));
	assert_non_null(strstr(page, "The end of 3 is not known yet."));
	assert_non_null(strstr(page, "<h2>Uncertain</h2>"));
	assert_null(strstr(page, "morning <"));
	assert_null(strstr(page, "elivered"));
	assert_null(strstr(page, "http-equiv=\"refresh"));
	assert_null(strstr(page, "<script"));
	buf_free(&out);
}

static void as_json(void **state)
{
	static struct report_summary summary;
	struct buf out = BUF_INIT(100000);
	struct json json = {0};

	summarise(*state, &summary);
	assert_int_equal(report_print_json(&summary, &out), 0);
	assert_int_equal(json_parse(&json, out.data, out.len), 0);
	assert_non_null(strstr(buf_string(&out),
		"{\"reconciles\":true,\"campaign\":\"morning <&> \\\"1\\\"\",\"rows\":9,"
		"\"accepted\":2,\"failed\":1,\"expired\":1,\"cancelled\":0,\"retrying\":1,"
		"\"waiting\":1,\"not_sent\":1,\"left_out\":2,"));
	json_free(&json);
	buf_free(&out);
}

static void add_accepted(struct world *world, const char *key, int64_t at_epoch_ms)
{
	const struct result_record record = {.outcome = RESULT_ACCEPTED,
		.key = key,
		.campaign = NAME,
		.destination = "line",
		.message_id = "m",
		.reason = "",
		.request_id = "",
		.last_epoch_ms = at_epoch_ms};
	struct buf error = BUF_INIT(1000);

	assert_int_equal(results_db_add(world->db, &record), 0);
	assert_int_equal(results_db_commit(world->db, &error), 0);
}

/* However long it took, each acceptance is in one bucket, and a bucket is a rate. */
static void curves_of_any_length(void **state)
{
	struct world *world = *state;
	static const struct {
		int64_t after_ms;
		unsigned buckets;
		int64_t width_ms;
	} lengths[] = {{0, 91, 100}, {10000, 101, 100}, {11999, 120, 100}, {12000, 13, 1000},
		{119499, 120, 1000}, {119500, 61, 2000}, {3600000, 117, 31000},
		{INT64_C(40000000000), 120, 333334000}};
	const struct report_counts counts = {.rows = 9, .by_outcome[REPORT_ACCEPTED] = 9};
	static struct report_summary summary;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		uint64_t sum = 0;
		int64_t width = lengths[i].width_ms;
		char key[8];

		snprintf(key, sizeof(key), "k%zu", i);
		add_accepted(world, key, MOMENT + 1500 + lengths[i].after_ms);
		assert_int_equal(
			report_summarise(world->journal, world->db, &counts, MOMENT, &summary), 0);
		assert_int_equal(summary.curve_width_ms, width);
		assert_int_equal(summary.curve_buckets, lengths[i].buckets);
		assert_int_equal(summary.curve_to_epoch_ms - summary.curve_from_epoch_ms,
			width * lengths[i].buckets);
		assert_true(summary.curve_from_epoch_ms <= summary.first_epoch_ms);
		assert_true(summary.curve_from_epoch_ms + width > summary.first_epoch_ms);
		assert_true(summary.curve_to_epoch_ms > summary.last_epoch_ms);
		for (unsigned j = 0; j < summary.curve_buckets; j++)
			sum += summary.curve[j];
		assert_int_equal(sum, i + 3);
		assert_true(summary.curve[0] > 0);
		assert_true(summary.curve[summary.curve_buckets - 1] > 0);
	}
}

static void the_rate_at_most(void **state)
{
	struct report_summary summary = {.curve_width_ms = 100, .curve_buckets = 12};

	(void)state;
	assert_int_equal(report_peak_rate(&summary), 0);
	summary.curve[0] = 50; /* never in one second with the last two */
	summary.curve[5] = 7;
	summary.curve[9] = 3;
	summary.curve[10] = summary.curve[11] = 20;
	assert_int_equal(report_peak_rate(&summary), 60);
	summary.curve_width_ms = 1000;
	assert_int_equal(report_peak_rate(&summary), 50);
	summary.curve_width_ms = 4000;
	assert_int_equal(report_peak_rate(&summary), 12);
}

/* Nothing was accepted: there is no chart, and no time. */
static void an_empty_report(void **state)
{
	struct world *world = *state;
	static struct report_summary summary;
	const struct report_counts counts = {.rows = 9, .by_outcome[REPORT_WAITING] = 9};
	struct buf out = BUF_INIT(1 << 20);

	assert_int_equal(report_summarise(world->journal, NULL, &counts, MOMENT, &summary), 0);
	assert_int_equal(report_print_text(&summary, &out), 0);
	assert_null(strstr(buf_string(&out), "Accepted on"));
	buf_clear(&out);
	assert_int_equal(report_print_html(&summary, &out), 0);
	assert_null(strstr(buf_string(&out), "<svg"));
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_row_has_one_outcome, enter, leave),
		cmocka_unit_test_setup_teardown(without_results_nothing_is_known, enter, leave),
		cmocka_unit_test_setup_teardown(lists_that_are_not_the_one, enter, leave),
		cmocka_unit_test_setup_teardown(results_of_nobody_are_counted, enter, leave),
		cmocka_unit_test_setup_teardown(a_refused_row_that_was_sent, enter, leave),
		cmocka_unit_test_setup_teardown(as_text, enter, leave),
		cmocka_unit_test_setup_teardown(as_a_page, enter, leave),
		cmocka_unit_test_setup_teardown(as_json, enter, leave),
		cmocka_unit_test_setup_teardown(curves_of_any_length, enter, leave),
		cmocka_unit_test(the_rate_at_most),
		cmocka_unit_test_setup_teardown(an_empty_report, enter, leave),
	};

	return cmocka_run_group_tests_name("campaign/report", tests, NULL, NULL);
}
