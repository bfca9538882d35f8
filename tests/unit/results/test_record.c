#include "results/record.h"

#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct result_record full = {
	.outcome = RESULT_FAILED,
	.key = "6fa459ea-ee8a-5ca4-894e-db77e160355e",
	.campaign = "morning",
	.destination = "line",
	.message_id = "5fea7756-0ea4-451a-a703-a558b933e274",
	.status = 400,
	.reason = "refused by the provider",
	.request_id = "req-1",
	.attempts = 3,
	.first_epoch_ms = 1700000000000,
	.last_epoch_ms = 1700000004000,
	.unanswered = true,
};

static const struct result_record least = {
	.outcome = RESULT_ACCEPTED,
	.key = "k",
	.campaign = "",
	.destination = "",
	.message_id = "",
	.reason = "",
	.request_id = "",
};

struct world {
	struct buf out;
	struct json json;
	enum result_line kind;
	struct result_record record;
	struct result_status status;
};

static int set_up(void **state)
{
	static struct world world;

	world = (struct world){.out = BUF_INIT(1 << 20)};
	*state = &world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	buf_free(&world->out);
	json_free(&world->json);
	return 0;
}

static int read_text(struct world *world, const char *text)
{
	return result_line_read(
		&world->json, text, strlen(text), &world->kind, &world->record, &world->status);
}

/* Writes it, checks that it is one line within the limit, and reads it. */
static void pass_through(struct world *world, const struct result_record *record)
{
	buf_clear(&world->out);
	assert_int_equal(result_record_append(record, &world->out), 0);
	assert_true(world->out.len <= RESULTS_LINE_MAX);
	assert_ptr_equal(memchr(world->out.data, '\n', world->out.len),
		world->out.data + world->out.len - 1);
	assert_int_equal(read_text(world, buf_string(&world->out)), 0);
	assert_int_equal(world->kind, RESULT_LINE_RECORD);
}

static void a_record_is_this_line(void **state)
{
	struct world *world = *state;

	assert_int_equal(result_record_append(&full, &world->out), 0);
	assert_string_equal(buf_string(&world->out),
		"{\"v\":1,\"outcome\":\"failed\",\"key\":\"6fa459ea-ee8a-5ca4-894e-db77e160355e\","
		"\"campaign\":\"morning\",\"destination\":\"line\","
		"\"message_id\":\"5fea7756-0ea4-451a-a703-a558b933e274\",\"status\":400,"
		"\"reason\":\"refused by the provider\",\"request_id\":\"req-1\",\"attempts\":3,"
		"\"first\":1700000000000,\"last\":1700000004000,\"unanswered\":true}\n");
	/* Appended: what stands there stays. What says nothing is left out. */
	assert_int_equal(result_record_append(&least, &world->out), 0);
	assert_string_equal(strchr(buf_string(&world->out), '\n') + 1,
		"{\"v\":1,\"outcome\":\"accepted\",\"key\":\"k\"}\n");
}

static void a_record_is_read_back(void **state)
{
	struct world *world = *state;

	pass_through(world, &full);
	assert_int_equal(world->record.outcome, RESULT_FAILED);
	assert_string_equal(world->record.key, full.key);
	assert_string_equal(world->record.campaign, "morning");
	assert_string_equal(world->record.destination, "line");
	assert_string_equal(world->record.message_id, full.message_id);
	assert_int_equal(world->record.status, 400);
	assert_string_equal(world->record.reason, "refused by the provider");
	assert_string_equal(world->record.request_id, "req-1");
	assert_int_equal(world->record.attempts, 3);
	assert_int_equal(world->record.first_epoch_ms, 1700000000000);
	assert_int_equal(world->record.last_epoch_ms, 1700000004000);
	assert_true(world->record.unanswered);
	pass_through(world, &least);
	assert_int_equal(world->record.outcome, RESULT_ACCEPTED);
	assert_string_equal(world->record.campaign, "");
	assert_string_equal(world->record.reason, "");
	assert_int_equal(world->record.status, 0);
	assert_int_equal(world->record.first_epoch_ms, 0);
	assert_false(world->record.unanswered);
}

static void every_outcome_has_a_name(void **state)
{
	static const char *const names[RESULT_OUTCOMES] = {
		"retrying", "cancelled", "expired", "failed", "suppressed", "accepted"};

	for (int outcome = 0; outcome < RESULT_OUTCOMES; outcome++) {
		struct result_record record = least;

		record.outcome = (enum result_outcome)outcome;
		assert_string_equal(result_outcome_name(record.outcome), names[outcome]);
		pass_through(*state, &record);
		assert_int_equal(((struct world *)*state)->record.outcome, outcome);
	}
}

static void a_status_is_this_line_and_read_back(void **state)
{
	struct world *world = *state;
	const struct result_status status = {.worker = "host:1234",
		.at_epoch_ms = 1700000000000,
		.in_flight = 500,
		.slots = 501,
		.waiting = 40,
		.accepted = 123456,
		.limit = RESULT_LIMIT_RATE,
		.control = "3f2a"};

	assert_int_equal(result_status_append(&status, &world->out), 0);
	assert_string_equal(buf_string(&world->out),
		"{\"v\":1,\"worker\":\"host:1234\",\"at\":1700000000000,\"in_flight\":500,"
		"\"slots\":501,\"waiting\":40,\"accepted\":123456,\"limit\":\"rate\","
		"\"control\":\"3f2a\"}\n");
	assert_int_equal(read_text(world, buf_string(&world->out)), 0);
	assert_int_equal(world->kind, RESULT_LINE_STATUS);
	assert_string_equal(world->status.worker, "host:1234");
	assert_int_equal(world->status.at_epoch_ms, 1700000000000);
	assert_int_equal(world->status.in_flight, 500);
	assert_int_equal(world->status.slots, 501);
	assert_int_equal(world->status.waiting, 40);
	assert_int_equal(world->status.accepted, 123456);
	assert_int_equal(world->status.limit, RESULT_LIMIT_RATE);
	assert_string_equal(world->status.control, "3f2a");
}

static void every_limit_has_a_name(void **state)
{
	static const char *const names[RESULT_LIMITS] = {
		"none", "queue", "concurrency", "provider", "rate", "breaker", "paused", "quota"};
	struct world *world = *state;

	for (int limit = 0; limit < RESULT_LIMITS; limit++) {
		const struct result_status status = {
			.worker = "w", .control = "", .limit = (enum result_limit)limit};

		assert_string_equal(result_limit_name(status.limit), names[limit]);
		buf_clear(&world->out);
		assert_int_equal(result_status_append(&status, &world->out), 0);
		assert_int_equal(read_text(world, buf_string(&world->out)), 0);
		assert_int_equal(world->status.limit, limit);
	}
}

static void check_reason(void **state, const char *reason, const char *wanted)
{
	struct world *world = *state;
	struct result_record record = least;

	record.reason = reason;
	pass_through(world, &record);
	assert_string_equal(world->record.reason, wanted);
}

static void texts_are_made_fit(void **state)
{
	check_reason(state, "a \"quoted\" \\ text", "a \"quoted\" \\ text");
	check_reason(state, "分身 é 😀", "分身 é 😀");
	check_reason(state, "two\nlines\r\tand\x1b[31m", "two?lines??and?[31m");
	check_reason(state, "\x7f", "?");
	check_reason(state,
		"\xc2\x9b"
		"31m \xc2\xa0",
		"??31m \xc2\xa0");
	check_reason(state, "\xff \xc3 \xe5\x88", "? ? ??");
	/* U+FFFD is a character for SQS, U+FFFE and U+FFFF are none. */
	check_reason(state, "\xef\xbf\xbd\xef\xbf\xbe\xef\xbf\xbf", "\xef\xbf\xbd??????");
}

static void long_texts_are_cut_at_a_character(void **state)
{
	struct world *world = *state;
	struct result_record record = least;
	char text[2000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	record.key = record.campaign = record.destination = record.message_id = record.reason =
		record.request_id = text;
	pass_through(world, &record);
	assert_int_equal(strlen(world->record.reason), 512);
	assert_int_equal(strlen(world->record.key), 256);
	assert_int_equal(strlen(world->record.request_id), 256);
	/* A character of three bytes at every place around the limit is there whole or not. */
	for (size_t at = 506; at <= 514; at++) {
		memset(text, 'x', sizeof(text) - 1);
		memcpy(text + at, "分", 3);
		pass_through(world, &record);
		assert_int_equal(strlen(world->record.reason), at < 510 || at > 511 ? 512 : at);
	}
}

/* Every byte escaped, every number at its largest. */
static void the_longest_line_is_within_the_limit(void **state)
{
	struct result_record record = full;
	char text[2000];

	memset(text, '"', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	record.outcome = RESULT_SUPPRESSED;
	record.key = record.campaign = record.destination = record.message_id = record.reason =
		record.request_id = text;
	record.status = 999;
	record.attempts = UINT32_MAX;
	record.first_epoch_ms = record.last_epoch_ms = INT64_MAX;
	pass_through(*state, &record);
	assert_int_equal(((struct world *)*state)->record.last_epoch_ms, INT64_MAX);
}

static void a_full_buffer_says_so(void **state)
{
	struct buf small = BUF_INIT(50);

	assert_int_equal(result_record_append(&least, &small), 0);
	assert_int_equal(result_record_append(&least, &small), ERR_TOO_LARGE);
	buf_free(&small);
}

static void what_is_no_line_is_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"\n",
		"null",
		"[]",
		"{}",
		"{\"v\":1}",
		"{\"v\":2,\"outcome\":\"accepted\",\"key\":\"k\"}",
		"{\"v\":\"1\",\"outcome\":\"accepted\",\"key\":\"k\"}",
		"{\"outcome\":\"accepted\",\"key\":\"k\"}",
		"{\"v\":1,\"outcome\":\"accepted\"}",
		"{\"v\":1,\"outcome\":\"accepted\",\"key\":\"\"}",
		"{\"v\":1,\"outcome\":\"delivered\",\"key\":\"k\"}",
		"{\"v\":1,\"outcome\":5,\"key\":\"k\"}",
		"{\"v\":1,\"outcome\":\"accepted\",\"key\":7}",
		"{\"v\":1,\"outcome\":\"accepted\",\"key\":\"k\\u0000\"}",
		"{\"v\":1,\"outcome\":\"accepted\",\"key\":\"k\\u001b\"}",
		"{\"v\":1,\"outcome\":\"accepted\",\"key\":\"k\",\"status\":-1}",
		"{\"v\":1,\"outcome\":\"accepted\",\"key\":\"k\",\"status\":1000}",
		"{\"v\":1,\"outcome\":\"accepted\",\"key\":\"k\",\"attempts\":4294967296}",
		"{\"v\":1,\"outcome\":\"accepted\",\"key\":\"k\",\"first\":1.5}",
		"{\"v\":1,\"outcome\":\"accepted\",\"key\":\"k\"",
		"{\"v\":1,\"outcome\":\"accepted\",\"key\":\"k\"}{\"v\":1",
		"{\"v\":1,\"worker\":\"w\",\"limit\":\"weather\"}",
		"{\"v\":1,\"worker\":\"\",\"limit\":\"none\"}",
		"{\"v\":1,\"worker\":\"w\"}",
		"{\"v\":1,\"worker\":\"w\",\"limit\":\"none\",\"in_flight\":-1}",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (read_text(*state, lines[i]) != ERR_SYNTAX)
			fail_msg("was read: %s", lines[i]);
}

static void unknown_members_are_skipped(void **state)
{
	struct world *world = *state;

	assert_int_equal(read_text(world, "{\"v\":1,\"new\":[{\"key\":1}],\"outcome\":\"expired\","
					  "\"key\":\"k\",\"unanswered\":false}"),
		0);
	assert_int_equal(world->record.outcome, RESULT_EXPIRED);
	assert_string_equal(world->record.key, "k");
	assert_false(world->record.unanswered);
}

static void a_line_over_the_limit_is_refused(void **state)
{
	char line[RESULTS_LINE_MAX + 2];
	const char *start = "{\"v\":1,\"outcome\":\"accepted\",\"key\":\"k\"}";

	memset(line, ' ', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	memcpy(line, start, strlen(start));
	assert_int_equal(read_text(*state, line), ERR_SYNTAX);
	line[RESULTS_LINE_MAX] = '\0';
	assert_int_equal(read_text(*state, line), 0);
}

/* A byte that SQS refuses, at every place of a line but its last two. */
static void a_whole_line_has_no_bad_byte(void **state)
{
	static const char bad[] = {'\0', '\x1f', '\n', '\x7f', '\x80', '\xff'};
	struct world *world = *state;
	size_t len;

	assert_int_equal(result_record_append(&full, &world->out), 0);
	len = world->out.len;
	assert_true(result_line_is_whole(world->out.data, len));
	assert_true(result_line_is_record(world->out.data, len));
	for (size_t at = 0; at < len - 2; at++) {
		char before = world->out.data[at];

		for (size_t i = 0; i < sizeof(bad); i++) {
			world->out.data[at] = bad[i];
			if (result_line_is_whole(world->out.data, len))
				fail_msg("byte %d at %zu", bad[i], at);
		}
		world->out.data[at] = before;
		/* Cut there it is none either. */
		assert_false(result_line_is_whole(world->out.data, at));
		assert_true(result_line_is_whole(world->out.data, len));
	}
	/* Characters beyond ASCII are fine anywhere. */
	for (size_t n = 0; n < 12; n++) {
		char reason[32];
		struct result_record record = least;

		snprintf(reason, sizeof(reason), "%.*s分身é😀", (int)n, "xxxxxxxxxxxx");
		record.reason = reason;
		buf_clear(&world->out);
		assert_int_equal(result_record_append(&record, &world->out), 0);
		assert_true(result_line_is_whole(world->out.data, world->out.len));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_record_is_this_line),
		TEST(a_record_is_read_back),
		TEST(every_outcome_has_a_name),
		TEST(a_status_is_this_line_and_read_back),
		TEST(every_limit_has_a_name),
		TEST(texts_are_made_fit),
		TEST(long_texts_are_cut_at_a_character),
		TEST(the_longest_line_is_within_the_limit),
		TEST(a_full_buffer_says_so),
		TEST(what_is_no_line_is_refused),
		TEST(unknown_members_are_skipped),
		TEST(a_line_over_the_limit_is_refused),
		TEST(a_whole_line_has_no_bad_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
