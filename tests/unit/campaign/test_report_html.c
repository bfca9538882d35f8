/* The page of a report: what others wrote stays text, and the chart stays within its frame. */
#include "campaign/report_chart.h"
#include "campaign/report_summary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MOMENT INT64_C(1700000000000) /* 2023-11-14T22:13:20Z */

struct world {
	struct journal_campaign campaign;
	struct report_summary summary;
	struct buf page;
};

/* Ten acceptances a second for ten seconds, from half a second after the start. */
static int enter(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct report_summary *summary = &world->summary;

	setenv("TZ", "UTC", 1);
	tzset();
	world->campaign = (struct journal_campaign){.name = "morning", .list = "/l", .rows = 100};
	world->page = BUF_INIT(1 << 22);
	*summary = (struct report_summary){.campaign = &world->campaign,
		.progress.begun_epoch_ms = MOMENT,
		.counts = {.rows = 100, .by_outcome[REPORT_ACCEPTED] = 100},
		.now_epoch_ms = MOMENT + 60000,
		.first_epoch_ms = MOMENT + 500,
		.median_epoch_ms = MOMENT + 5000,
		.p95_epoch_ms = MOMENT + 9500,
		.last_epoch_ms = MOMENT + 9999,
		.curve_from_epoch_ms = MOMENT,
		.curve_to_epoch_ms = MOMENT + 10000,
		.curve_width_ms = 1000,
		.curve_buckets = 10};
	for (int i = 0; i < 10; i++)
		summary->curve[i] = 10;
	*state = world;
	return 0;
}

static int leave(void **state)
{
	struct world *world = *state;

	buf_free(&world->page);
	free(world);
	return 0;
}

static const char *print(struct world *world)
{
	buf_clear(&world->page);
	assert_int_equal(report_print_html(&world->summary, &world->page), 0);
	return buf_string(&world->page);
}

/* hostile texts */

/* Every tag with its attributes, without what stands between them. */
static void take_tags(const char *page, struct buf *tags)
{
	for (; *page; page++)
		if (*page == '<') {
			size_t len = strcspn(page, ">");

			assert_int_equal(page[len], '>');
			buf_append(tags, page, len + 1);
			page += len;
		}
	assert_int_equal(tags->err, 0);
}

enum { TEXTS = 13 };

/* All that somebody else wrote and the page shows. */
static void set_text(struct world *world, int which, const char *text)
{
	struct journal_campaign *campaign = &world->campaign;
	const char **const texts[] = {&campaign->name, &campaign->list, &campaign->queue_url,
		&campaign->endpoint, &campaign->destination, &campaign->key_column,
		&campaign->group_column, &campaign->rules, &campaign->suppression,
		&campaign->template_file};
	struct tally_reason *reason = &world->summary.reasons[0];

	world->summary.reason_count = 1;
	if (which < TEXTS - 3)
		*texts[which] = text;
	else if (which == TEXTS - 3)
		snprintf(reason->reason, sizeof(reason->reason), "%s", text);
	else if (which == TEXTS - 2)
		snprintf(reason->sample_key, sizeof(reason->sample_key), "%s", text);
	else
		snprintf(reason->sample_request_id, sizeof(reason->sample_request_id), "%s", text);
}

static void expect_same_tags(struct world *world, const char *text)
{
	struct buf expected = BUF_INIT(1 << 20), tags = BUF_INIT(1 << 20);

	for (int i = 0; i < TEXTS; i++)
		set_text(world, i, "x");
	take_tags(print(world), &expected);
	for (int i = 0; i < TEXTS; i++) {
		set_text(world, i, text);
		buf_clear(&tags);
		take_tags(print(world), &tags);
		assert_string_equal(buf_string(&tags), buf_string(&expected));
		set_text(world, i, "x");
	}
	buf_free(&expected);
	buf_free(&tags);
}

static void hostile_texts_stay_text(void **state)
{
	static const char *const texts[] = {"<script>alert(1)</script>", "</style><img src=x>",
		"\"><a href='https://example.com'>", "</bdi></td></tr></table>", "<!--", "]]>",
		"&lt;script&gt;", "%s%n%d", "\xe2\x80\xae txet", "\xff\xfe<\xc0\xbc",
		"a\r\nb\tc\x01\x7f", "</title><meta http-equiv=refresh content=0>"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		expect_same_tags(*state, texts[i]);
}

static void any_byte_stays_text(void **state)
{
	for (int byte = 1; byte < 256; byte++) {
		const char text[] = {'a', (char)byte, (char)byte, 'b', '\0'};

		expect_same_tags(*state, text);
	}
}

/* The journal's longest texts, each byte of which takes six. */
static void long_texts_fit(void **state)
{
	struct world *world = *state;
	char *text = malloc(JOURNAL_TEXT_MAX + 1);

	assert_non_null(text);
	memset(text, '"', JOURNAL_TEXT_MAX);
	text[JOURNAL_TEXT_MAX] = '\0';
	world->page.max = REPORT_PAGE_MAX;
	for (int i = 0; i < TEXTS; i++)
		set_text(world, i, text);
	assert_non_null(strstr(print(world), "</html>\n"));
	free(text);
}

/* figures */

static void nothing_is_rounded_to_all(void **state)
{
	struct world *world = *state;
	struct report_counts *counts = &world->summary.counts;
	const char *page;

	counts->rows = 1000000;
	counts->by_outcome[REPORT_ACCEPTED] = 999999;
	counts->by_outcome[REPORT_FAILED] = 1;
	page = print(world);
	assert_non_null(strstr(page, "<b>999,999</b> of 1,000,000 messages were accepted by the "
				     "provider (&gt; 99.9&nbsp;%)."));
	assert_non_null(strstr(page, "<th scope=\"row\">failed</th><td class=\"n\">1</td>"
				     "<td class=\"n\">&lt; 0.1&nbsp;%</td>"));
	assert_non_null(strstr(page, "It reconciles"));
	assert_null(strstr(page, "elivered"));
}

static void outcomes_that_do_not_sum(void **state)
{
	struct world *world = *state;

	world->summary.counts.rows = 101;
	assert_non_null(strstr(print(world), "It does not reconcile"));
}

static void a_list_of_nothing(void **state)
{
	struct world *world = *state;

	world->summary.counts = (struct report_counts){0};
	world->summary.curve_buckets = 0;
	world->summary.first_epoch_ms = 0;
	assert_non_null(
		strstr(print(world), "<b>0</b> of 0 messages were accepted by the provider.</p>"));
	assert_null(strstr(print(world), "<svg"));
}

static void moments(void **state)
{
	struct world *world = *state;
	const char *page;

	world->campaign.deadline_epoch_ms = MOMENT + 86400000;
	page = print(world);
	assert_non_null(
		strstr(page, "<p id=\"curve\">From the first to the last 9.4s: on average 11 "
			     "a second, at most 10.</p>"));
	assert_non_null(strstr(page, "<caption>Moments of 2023-11-14 (UTC+0000)</caption>"));
	assert_non_null(strstr(page, "send begun</th><td class=\"t\">22:13:20.000</td>"));
	assert_non_null(strstr(page, "first accepted</th><td class=\"t\">22:13:20.500</td>"
				     "<td class=\"n\">0.5s</td>"));
	assert_non_null(strstr(page, "deadline</th><td class=\"t\">2023-11-15 22:13:20.000</td>"
				     "<td class=\"n\">24h00m</td>"));
	world->campaign.at_epoch_ms = MOMENT + 400;
	page = print(world);
	assert_non_null(strstr(page, "set for</th><td class=\"t\">22:13:20.400</td>"));
	assert_non_null(strstr(page, "22:13:20.500</td><td class=\"n\">0.1s</td>"));
}

/* the chart */

static const char *draw(struct world *world)
{
	buf_clear(&world->page);
	assert_int_equal(report_chart_append(&world->summary, "w", &world->page), 0);
	return buf_string(&world->page);
}

/* The frame is 2 to 712 wide; the curve lies between 240 (none) and 24 (all). */
static void a_straight_line(void **state)
{
	struct world *world = *state;
	const char *chart = draw(world);

	assert_non_null(strstr(chart, "<path class=\"curve\" d=\"M2.0 240L73.0 218.4L144.0 196.8"));
	assert_non_null(strstr(chart, "L641.0 45.6L712.0 24.0\"/>"));
	assert_non_null(strstr(chart, "cx=\"357.0\" cy=\"132.0\" r=\"4\"/>"));
	assert_non_null(strstr(chart, ">50&#160;%</text>"));
	assert_non_null(strstr(chart, "cx=\"676.5\" cy=\"34.8\" r=\"4\"/>"));
	assert_non_null(strstr(chart, ">a second, at most 10</text>"));
	assert_non_null(strstr(chart, "text-anchor=\"start\">22:13:20</text>"));
	assert_non_null(strstr(chart, "text-anchor=\"end\">22:13:30</text>"));
	assert_null(strstr(chart, "deadline"));
}

static void a_deadline_near_and_far(void **state)
{
	struct world *world = *state;

	world->campaign.deadline_epoch_ms = MOMENT + 5000;
	assert_non_null(strstr(draw(world), "<line class=\"late\" x1=\"357.0\" x2=\"357.0\""));
	world->campaign.deadline_epoch_ms = MOMENT + 14000;
	assert_non_null(strstr(draw(world), ">deadline</text>"));
	assert_null(strstr(draw(world), "L712.0 24.0"));
	world->campaign.deadline_epoch_ms = MOMENT + 16000;
	assert_null(strstr(draw(world), "deadline"));
	world->campaign.deadline_epoch_ms = MOMENT - 1;
	assert_null(strstr(draw(world), "deadline"));
}

/* Every number of x, y, d and the like. */
static void assert_within_frame(const char *chart)
{
	static const char *const names[] = {
		" x=\"", " y=\"", " x1=\"", " x2=\"", " y1=\"", " y2=\"", " cx=\"", " cy=\""};

	assert_null(strstr(chart, "nan"));
	assert_null(strstr(chart, "inf"));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (const char *at = chart; (at = strstr(at, names[i])); at++) {
			double value = strtod(at + strlen(names[i]), NULL);

			assert_true(value >= 0 && value <= (strchr(names[i], 'x') ? 720 : 368));
		}
}

static unsigned count(const char *text, const char *what)
{
	unsigned found = 0;

	for (; (text = strstr(text, what)); text++)
		found++;
	return found;
}

static void spread(struct report_summary *summary, int64_t width, unsigned buckets, uint64_t most,
	unsigned shape)
{
	summary->curve_width_ms = width;
	summary->curve_buckets = buckets;
	summary->curve_from_epoch_ms = MOMENT;
	summary->curve_to_epoch_ms = MOMENT + width * buckets;
	summary->first_epoch_ms = MOMENT + width / 3;
	summary->last_epoch_ms = summary->curve_to_epoch_ms - 1;
	for (unsigned i = 0; i < buckets; i++)
		summary->curve[i] = shape == 0	 ? most
				    : shape == 1 ? most >> (i & 63)
						 : most * (i == buckets - 1);
	summary->median_epoch_ms = shape == 1 ? summary->first_epoch_ms : summary->last_epoch_ms;
	summary->p95_epoch_ms = summary->last_epoch_ms;
}

static void charts_of_any_size(void **state)
{
	static const int64_t widths[] = {
		100, 1000, 2000, 31000, 600000, 86400000, INT64_C(333334000), INT64_C(40000000000)};
	static const unsigned buckets[] = {1, 2, 4, 5, 61, REPORT_BUCKETS};
	static const uint64_t most[] = {1, 3, 7, 99, 8302, 2000000, UINT64_C(1) << 30};
	static const int64_t deadlines[] = {0, 1, 50, 100, 101, 149, 150, 200};
	struct world *world = *state;

	for (size_t i = 0; i < 8 * 6 * 7 * 8 * 3; i++) {
		int64_t width = widths[i % 8];
		const char *chart;

		spread(&world->summary, width, buckets[i / 8 % 6], most[i / 48 % 7], i / 2688 % 3);
		world->campaign.deadline_epoch_ms =
			MOMENT + deadlines[i / 336 % 8] * width * buckets[i / 8 % 6] / 100;
		chart = draw(world);
		assert_within_frame(chart);
		assert_in_range(count(chart, "class=\"grid\"") + 2, 3, 15);
		assert_in_range(count(chart, "<text"), 4, 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(hostile_texts_stay_text, enter, leave),
		cmocka_unit_test_setup_teardown(any_byte_stays_text, enter, leave),
		cmocka_unit_test_setup_teardown(long_texts_fit, enter, leave),
		cmocka_unit_test_setup_teardown(nothing_is_rounded_to_all, enter, leave),
		cmocka_unit_test_setup_teardown(outcomes_that_do_not_sum, enter, leave),
		cmocka_unit_test_setup_teardown(a_list_of_nothing, enter, leave),
		cmocka_unit_test_setup_teardown(moments, enter, leave),
		cmocka_unit_test_setup_teardown(a_straight_line, enter, leave),
		cmocka_unit_test_setup_teardown(a_deadline_near_and_far, enter, leave),
		cmocka_unit_test_setup_teardown(charts_of_any_size, enter, leave),
	};

	return cmocka_run_group_tests_name("campaign/report_html", tests, NULL, NULL);
}
