/* Where a campaign stands, as text. */
#include "base/json.h"
#include "campaign/figures.h"
#include "campaign/tally_print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define NOW INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define KEY "6fa459ea-ee8a-3ca4-894e-db77e160355e"

static int enter(void **state)
{
	setenv("TZ", "JST-9", 1);
	tzset();
	return 0;
}

static struct tally_view running(void)
{
	struct tally_view view = {
		.campaign = "morning",
		.tally = {.total = 2000000,
			.waiting = 958000,
			.in_flight = 500,
			.accepted = 1038200,
			.retrying = 1500,
			.failed = 1700,
			.expired = 100,
			.cancelled = 0,
			.uncertain = 12,
			.rate_now = 2000,
			.rate_average = 1950.4,
			.end_from_epoch_ms = NOW + 457000,
			.end_to_epoch_ms = NOW + 518000,
			.deadline = TALLY_IN_TIME,
			.workers = 12,
			.limit_workers = 11,
			.limit = RESULT_LIMIT_RATE},
		.now_epoch_ms = NOW,
		.deadline_epoch_ms = NOW + 3600000,
		.last_heard_epoch_ms = NOW - 2000,
		.has_journal = true,
		.confirmed = 1200000,
		.to_send = 2000000,
		.reason_count = 2,
		.source = "queue",
	};
	const struct results_reason refused = {
		RESULT_FAILED, 400, "refused by the provider", 1700, KEY, "abc"};
	const struct results_reason silent = {RESULT_RETRYING, 0, "", 1500, "k", ""};

	tally_reason_copy(&view.reasons[0], &refused);
	tally_reason_copy(&view.reasons[1], &silent);
	return view;
}

static void check_screen(
	const struct tally_view *view, unsigned columns, unsigned rows, const char *expected)
{
	struct buf out = BUF_INIT(65536);

	assert_int_equal(tally_print_screen(view, columns, rows, false, &out), 0);
	assert_string_equal(buf_string(&out), expected);
	buf_free(&out);
}

static void the_screen(void **state)
{
	struct tally_view view = running();

	check_screen(&view, 79, 100,
		"campaign morning: sending the list, 1,200,000 of 2,000,000 in the queue\n"
		"[====================>                   ]  52%  1,040,000 of 2,000,000 ended\n"
		"  waiting           958,000\n"
		"  in flight             500\n"
		"  accepted        1,038,200  by the provider\n"
		"  retrying            1,500\n"
		"  failed              1,700\n"
		"  expired               100  not sent\n"
		"  cancelled               0  not sent\n"
		"  total           2,000,000\n"
		"  uncertain              12  not accepted, yet no answer came: maybe sent\n"
		"  rate        2,000/s now, 1,950/s on average\n"
		"  end         09:07:37 to 09:08:38 JST (in 7m37s to 8m38s)\n"
		"  deadline    10:00:00 JST (in 1h00m): in time\n"
		"  held up by  the rate that is set\n"
		"              if the provider takes more: `rate`, `bunshin campaign rate`\n"
		"  workers     12, of which 11 say so\n"
		"\n"
		"not accepted, by reason\n"
		"  failed              1,700  400 refused by the provider\n"
		"      such as key " KEY ", request abc\n"
		"  retrying            1,500  no reason was given\n"
		"      such as key k\n");
	check_screen(&view, 50, 3,
		"campaign morning: sending the list, 1,200,000 of 2\n"
		"[======>      ]  52%  1,040,000 of 2,000,000 ended\n"
		"  waiting           958,000\n");
	check_screen(&view, 7, 2, "campaig\n 52%  1\n");
}

static void the_end(void **state)
{
	struct tally_view view = running();

	view.tally = (struct tally){.total = 100,
		.accepted = 99,
		.failed = 1,
		.done = true,
		.rate_now = -1,
		.rate_average = 5.25};
	view.confirmed = view.to_send = 100;
	view.is_sent = true;
	view.reason_count = 0;
	check_screen(&view, 79, 100,
		"campaign morning: done\n"
		"[========================================] 100%  100 of 100 ended\n"
		"  waiting                 0\n"
		"  in flight               0\n"
		"  accepted               99  by the provider\n"
		"  retrying                0\n"
		"  failed                  1\n"
		"  expired                 0  not sent\n"
		"  cancelled               0  not sent\n"
		"  total                 100\n"
		"  rate        - now, 5.2/s on average\n"
		"  end         all have ended\n"
		"  deadline    10:00:00 JST (in 1h00m): done\n");
}

static void little_is_known(void **state)
{
	struct tally_view view = {.campaign = "",
		.tally = {.at_least = true, .rate_now = -1, .rate_average = -1},
		.now_epoch_ms = NOW,
		.unreadable = 3,
		.source = "logs",
		.trouble = "cannot read the directory x: No such file or directory"};

	check_screen(&view, 79, 100,
		"campaign (none)\n"
		"0 ended; the total is not known\n"
		"  waiting                 0\n"
		"  in flight               0\n"
		"  accepted                0  by the provider\n"
		"  retrying                0\n"
		"  failed                  0\n"
		"  expired                 0  not sent\n"
		"  cancelled               0  not sent\n"
		"  total                   0  or more\n"
		"  rate        - now, - on average\n"
		"  end         nobody can tell: the total is not known\n"
		"  workers     none has been heard of\n"
		"  unreadable  3 results made no sense and were left out\n"
		"  trouble     cannot read the directory x: No such file or directory\n");
}

static bool has(const struct tally_view *view, bool colour, const char *part)
{
	struct buf out = BUF_INIT(65536);
	bool found;

	assert_int_equal(tally_print_screen(view, 79, 100, colour, &out), 0);
	found = strstr(buf_string(&out), part) != NULL;
	buf_free(&out);
	return found;
}

static void late_is_red(void **state)
{
	struct tally_view view = running();

	view.tally.deadline = TALLY_LATE;
	view.tally.would_expire_from = 180;
	view.tally.would_expire_to = 1220;
	assert_true(has(&view, true,
		"\033[31m  deadline    10:00:00 JST (in 1h00m): too late: 180 to 1,220 will "
		"expire\033[0m\n"));
	assert_false(has(&view, false, "\033"));
	view.tally.deadline = TALLY_MAYBE_LATE;
	view.tally.would_expire_from = 0;
	assert_true(has(&view, true, "\033[33m  deadline"));
	assert_true(has(&view, true, "maybe late: 0 to 1,220 will expire"));
	view.tally.deadline = TALLY_LATE;
	view.tally.would_expire_from = 1220;
	view.deadline_epoch_ms = NOW - 1;
	assert_true(has(&view, false, "08:59:59 JST (past): too late: 1,220 will expire"));
	view.tally.deadline = TALLY_IN_TIME;
	assert_true(has(&view, true, "\033[32m  deadline"));
	view.deadline_epoch_ms = NOW + INT64_C(86400000);
	assert_true(has(&view, false, "2026-01-02 09:00:00 JST (in 24h00m): in time"));
}

static void every_limit_has_words(void **state)
{
	struct tally_view view = running();

	for (int limit = 0; limit < RESULT_LIMITS; limit++) {
		struct buf out = BUF_INIT(4096);

		view.tally.limit = (enum result_limit)limit;
		assert_int_equal(tally_print_sentence(&view, &out), 0);
		assert_non_null(strstr(buf_string(&out), "held up by "));
		assert_null(strstr(buf_string(&out), "(null)"));
		buf_free(&out);
	}
}

/* What may be wide is counted as two columns, and nothing is cut in the middle of a character. */
static void wide_characters_fit(void **state)
{
	struct tally_view view = running();
	const struct results_reason reason = {
		RESULT_FAILED, 400, "\xe3\x83\x96\xe3\x83\xad\xe3\x83\x83\xe3\x82\xaf", 5, KEY, ""};

	tally_reason_copy(&view.reasons[0], &reason);
	for (unsigned columns = 28; columns < 45; columns++) {
		struct buf out = BUF_INIT(65536);
		const char *at;
		unsigned wide = columns > 33 ? (columns - 33) / 2 : 0;

		assert_int_equal(tally_print_screen(&view, columns, 100, false, &out), 0);
		at = strstr(buf_string(&out), "  failed                  5");
		assert_non_null(at);
		assert_int_equal(
			strcspn(at, "\n"), columns < 33 ? columns : 33 + 3 * (wide > 4 ? 4 : wide));
		buf_free(&out);
	}
}

static void the_sentence(void **state)
{
	struct tally_view view = running();
	struct buf out = BUF_INIT(4096);

	assert_int_equal(tally_print_sentence(&view, &out), 0);
	assert_string_equal(buf_string(&out),
		"2000000 = waiting 958000 + in flight 500 + accepted 1038200 + retrying 1500 + "
		"failed 1700 + expired 100 + cancelled 0 (uncertain 12); 2,000/s now, 1,950/s on "
		"average; end 09:07:37 to 09:08:38 JST (in 7m37s to 8m38s); deadline 10:00:00 JST "
		"(in 1h00m): in time; held up by the rate that is set (11 of 12 workers)");
	buf_clear(&out);
	view.tally.workers = 0;
	view.deadline_epoch_ms = 0;
	view.tally.uncertain = 0;
	view.tally.at_least = true;
	view.last_heard_epoch_ms = NOW - 90000;
	assert_int_equal(tally_print_sentence(&view, &out), 0);
	assert_string_equal(buf_string(&out),
		"at least 2000000 = waiting 958000 + in flight 500 + accepted 1038200 + retrying "
		"1500 + failed 1700 + expired 100 + cancelled 0; 2,000/s now, 1,950/s on average; "
		"end 09:07:37 to 09:08:38 JST (in 7m37s to 8m38s); workers: none heard of for "
		"1m30s");
	buf_free(&out);
}

static void the_object(void **state)
{
	struct tally_view view = running();
	struct buf out = BUF_INIT(65536);
	struct json json = {0};

	view.reason_count = 1;
	snprintf(view.reasons[0].reason, sizeof(view.reasons[0].reason), "say \"no\"");
	assert_int_equal(tally_print_json(&view, &out), 0);
	assert_string_equal(buf_string(&out),
		"{\"at\":\"2026-01-01T00:00:00.000Z\",\"campaign\":\"morning\",\"total\":2000000,"
		"\"at_least\":false,\"waiting\":958000,\"in_flight\":500,\"accepted\":1038200,"
		"\"retrying\":1500,\"failed\":1700,\"expired\":100,\"cancelled\":0,\"uncertain\":"
		"12,"
		"\"done\":false,\"rate_now\":2000.0,\"rate_average\":1950.4,"
		"\"end_from\":\"2026-01-01T00:07:37.000Z\",\"end_to\":\"2026-01-01T00:08:38.000Z\","
		"\"deadline\":\"2026-01-01T01:00:00.000Z\",\"deadline_verdict\":\"in time\","
		"\"would_expire_from\":0,\"would_expire_to\":0,\"limit\":\"rate\","
		"\"limit_workers\":11,\"workers\":12,\"last_heard\":\"2025-12-31T23:59:58.000Z\","
		"\"sent\":false,\"confirmed\":1200000,\"unreadable\":0,\"source\":\"queue\","
		"\"trouble\":null,\"reasons\":[{\"outcome\":\"failed\",\"status\":400,"
		"\"count\":1700,\"reason\":\"say \\\"no\\\"\",\"sample_key\":\"" KEY "\","
		"\"sample_request_id\":\"abc\"}]}");
	assert_int_equal(json_parse(&json, out.data, out.len), 0);
	buf_clear(&out);
	view.has_journal = false;
	view.trouble = "it\n";
	view.tally.workers = 0;
	view.tally.rate_now = -1;
	view.tally.end_from_epoch_ms = view.tally.end_to_epoch_ms = 0;
	assert_int_equal(tally_print_json(&view, &out), 0);
	assert_int_equal(json_parse(&json, out.data, out.len), 0);
	assert_int_equal(json_member(json_root(&json), "rate_now")->kind, JSON_NULL);
	assert_int_equal(json_member(json_root(&json), "limit")->kind, JSON_NULL);
	assert_int_equal(json_member(json_root(&json), "sent")->kind, JSON_NULL);
	assert_int_equal(json_member(json_root(&json), "end_to")->kind, JSON_NULL);
	assert_string_equal(json_text(json_member(json_root(&json), "trouble")), "it\n");
	json_free(&json);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_screen),
		cmocka_unit_test(the_end),
		cmocka_unit_test(little_is_known),
		cmocka_unit_test(late_is_red),
		cmocka_unit_test(every_limit_has_words),
		cmocka_unit_test(wide_characters_fit),
		cmocka_unit_test(the_sentence),
		cmocka_unit_test(the_object),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
