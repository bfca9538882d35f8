/* Messages of a failure queue, read and grouped. */
#include "campaign/failures.h"

#include "bunshin/error.h"
#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1767225600000)
#define ATTRIBUTE(name, type, value)                 \
	{                                            \
		name, type, value, sizeof(value) - 1 \
	}
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct queue_attribute full[] = {ATTRIBUTE("FailureReason", "String", "refused"),
	ATTRIBUTE("FailureStatus", "Number", "400"),
	ATTRIBUTE("FailureBody", "String", "{\"e\":1}"), ATTRIBUTE("Attempts", "Number", "3"),
	ATTRIBUTE("FirstReceived", "Number", "1767225599000"),
	ATTRIBUTE("Campaign", "String", "morning"), ATTRIBUTE("Destination", "String", "line"),
	ATTRIBUTE("Deadline", "Number", "1767225600001")};

static struct queue_message message_with(
	const struct queue_attribute attributes[], size_t count, uint32_t receives)
{
	return (struct queue_message){.message_id = "m-1",
		.body = "hello",
		.body_bytes = 5,
		.attributes = attributes,
		.attribute_count = count,
		.receive_count = receives,
		.sent_epoch_ms = NOW - 5000};
}

static struct failure read(const struct queue_message *message)
{
	struct failure failure;

	failure_read(message, &failure);
	return failure;
}

static void assert_text(struct failure_text text, const char *expected)
{
	assert_int_equal(text.len, strlen(expected));
	assert_memory_equal(text.bytes, expected, text.len);
}

static void assert_words(const struct failure *failure, const char *expected)
{
	char words[FAILURE_REASON_MAX];

	failure_words(failure, words);
	assert_string_equal(words, expected);
}

static void a_copy_says_all(void **state)
{
	struct queue_message message = message_with(full, COUNT_OF(full), 2);
	struct failure failure = read(&message);

	assert_int_equal(failure.origin, FAILURE_COPIED);
	assert_text(failure.reason, "refused");
	assert_text(failure.body, "{\"e\":1}");
	assert_text(failure.campaign, "morning");
	assert_text(failure.destination, "line");
	assert_int_equal(failure.status, 400);
	assert_int_equal(failure.attempts, 3);
	assert_int_equal(failure.first_received_ms, 1767225599000);
	assert_int_equal(failure.deadline_epoch_ms, NOW + 1);
	assert_false(failure_is_past(&failure, NOW));
	assert_true(failure_is_past(&failure, NOW + 1));
	assert_words(&failure, "refused");
}

static void what_sqs_moved_says_nothing(void **state)
{
	struct queue_message message = message_with(NULL, 0, 6);
	struct failure failure = read(&message);

	assert_int_equal(failure.origin, FAILURE_MOVED);
	assert_words(&failure, "moved by SQS after 5 receives");
	assert_int_equal(failure.status, 0);
	assert_false(failure_is_past(&failure, INT64_MAX - 1));
	message.receive_count = 2;
	failure = read(&message);
	assert_words(&failure, "moved by SQS after 1 receive");
	message.receive_count = 1;
	failure = read(&message);
	assert_int_equal(failure.origin, FAILURE_SENT);
	assert_words(&failure, "sent to this queue without a reason");
	/* attributes of its own that sound like ours */
	message = message_with(full + 1, COUNT_OF(full) - 1, 3);
	failure = read(&message);
	assert_int_equal(failure.origin, FAILURE_MOVED);
	assert_int_equal(failure.status, 0);
	assert_int_equal(failure.attempts, 0);
	assert_text(failure.body, "");
	assert_text(failure.campaign, "morning");
}

static void values_that_do_not_read(void **state)
{
	static const struct queue_attribute wrong[] = {ATTRIBUTE("FailureReason", "String", ""),
		ATTRIBUTE("FailureStatus", "Number", "4e2"), ATTRIBUTE("Attempts", "Number", "-1"),
		ATTRIBUTE("FirstReceived", "String", "yesterday"),
		ATTRIBUTE("Deadline", "String", "soon")};
	static const struct queue_attribute text[] = {
		ATTRIBUTE("Deadline", "String", "2026-01-01T00:00:00Z")};
	static const struct queue_attribute nul[] = {ATTRIBUTE("Deadline", "Number", "17\0")};
	struct queue_message message = message_with(wrong, COUNT_OF(wrong), 1);
	struct failure failure = read(&message);

	assert_int_equal(failure.origin, FAILURE_COPIED);
	assert_int_equal(failure.status, 0);
	assert_int_equal(failure.attempts, 0);
	assert_int_equal(failure.first_received_ms, 0);
	assert_int_equal(failure.deadline_epoch_ms, INT64_MAX);
	message = message_with(text, 1, 1);
	assert_int_equal(read(&message).deadline_epoch_ms, NOW);
	message = message_with(nul, 1, 1);
	assert_int_equal(read(&message).deadline_epoch_ms, INT64_MAX);
}

static void a_message_for_many_says_how_many(void **state)
{
	static const char keys[48] = "0123456789abcdef0123456789abcdef0123456789abcde";
	const struct {
		struct queue_attribute attribute;
		uint64_t recipients;
		bool packed;
	} rows[] = {
		{{"RecipientKeys", "Binary", keys, 48}, 3, true},
		{{"RecipientKeys", "Binary.uuid", keys, 16}, 1, true},
		{{"RecipientKeys", "Binary", keys, 47}, 1, false},
		{{"RecipientKeys", "Binary", keys, 0}, 1, false},
		{{"RecipientKeys", "String", keys, 48}, 1, false},
		{{"RecipientKey", "Binary", keys, 48}, 1, false},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct queue_message message = message_with(&rows[i].attribute, 1, 1);
		struct failure failure = read(&message);

		assert_int_equal(failure.recipients, rows[i].recipients);
		assert_int_equal(failure.packed, rows[i].packed);
	}
}

static void long_and_broken_reasons(void **state)
{
	char text[600];
	const struct queue_attribute attribute = {"FailureReason", "String", text, sizeof(text)};
	struct queue_message message = message_with(&attribute, 1, 1);
	struct failure failure = read(&message);
	char words[FAILURE_REASON_MAX];

	/* three bytes each: 85 of them fit into 255 */
	for (size_t i = 0; i < sizeof(text); i += 3)
		memcpy(text + i, "\xe3\x81\x82", 3);
	failure_words(&failure, words);
	assert_int_equal(strlen(words), 255);
	memset(text, 'x', sizeof(text));
	memcpy(text, "a\xff\0b", 4);
	failure_words(&failure, words);
	assert_int_equal(strlen(words), 255);
	assert_memory_equal(words, "a??bx", 5);
}

static void filters(void **state)
{
	struct queue_message message = message_with(full, COUNT_OF(full), 2);
	struct failure failure = read(&message);
	static const struct {
		struct failure_filter filter;
		bool matches;
	} cases[] = {
		{{.status = -1}, true},
		{{.campaign = "morning", .status = -1}, true},
		{{.campaign = "morn", .status = -1}, false},
		{{.campaign = "", .status = -1}, false},
		{{.destination = "line", .status = -1}, true},
		{{.destination = "LINE", .status = -1}, false},
		{{.reason = "FUSE", .status = -1}, true},
		{{.reason = "refused", .status = -1}, true},
		{{.reason = "", .status = -1}, true},
		{{.reason = "refused.", .status = -1}, false},
		{{.status = 400}, true},
		{{.status = 401}, false},
		{{.status = 0}, false},
		{{.message_id = "m-1", .status = -1}, true},
		{{.message_id = "m-10", .status = -1}, false},
		{{.campaign = "morning", .reason = "refuse", .status = 400}, true},
		{{.campaign = "morning", .reason = "expired", .status = 400}, false},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		if (failure_matches(&failure, &cases[i].filter) != cases[i].matches)
			fail_msg("case %zu", i);
		assert_int_equal(failure_filter_is_empty(&cases[i].filter), i == 0);
	}
	message = message_with(NULL, 0, 4);
	failure = read(&message);
	assert_true(failure_matches(
		&failure, &(struct failure_filter){.reason = "moved by sqs", .status = 0}));
}

/* ---- groups */

static struct failure_groups *groups;

static int open_groups(void **state)
{
	return failure_groups_new(&groups);
}

static int close_groups(void **state)
{
	failure_groups_free(groups);
	return 0;
}

static void add(const char *id, const char *reason, const char *campaign, int64_t sent_ms,
	uint32_t receives)
{
	struct queue_attribute list[3];
	struct queue_message message = message_with(list, 0, receives);
	struct failure failure;

	if (reason)
		list[message.attribute_count++] =
			(struct queue_attribute){"FailureReason", "String", reason, strlen(reason)};
	if (campaign)
		list[message.attribute_count++] =
			(struct queue_attribute){"Campaign", "String", campaign, strlen(campaign)};
	if (receives == 9)
		list[message.attribute_count++] =
			(struct queue_attribute){"Deadline", "Number", "1", 1};
	message.message_id = id;
	message.sent_epoch_ms = sent_ms;
	failure_read(&message, &failure);
	assert_int_equal(failure_groups_add(groups, &failure, NOW), 0);
}

static void groups_are_exact(void **state)
{
	const struct failure_group *const *sorted;
	size_t count;

	add("a", "refused", "morning", 50, 1);
	add("b", NULL, "morning", 10, 7);
	add("c", "expired key", "morning", 20, 1);
	add("d", "refused", "morning", 40, 9);
	add("e", "refused", "evening", 30, 1);
	add("f", NULL, "morning", 60, 4);
	add("g", "refused", "morning", 70, 1);
	add("h", "refused", "morning", 0, 1);
	sorted = failure_groups_sorted(groups, &count);
	assert_int_equal(count, 4);
	assert_string_equal(sorted[0]->reason, "refused");
	assert_string_equal(sorted[0]->campaign, "morning");
	assert_string_equal(sorted[0]->destination, "");
	assert_int_equal(sorted[0]->count, 4);
	assert_int_equal(sorted[0]->past, 1);
	assert_int_equal(sorted[0]->first_ms, 40);
	assert_int_equal(sorted[0]->last_ms, 70);
	assert_int_equal(sorted[0]->sample_count, 3);
	assert_string_equal(sorted[0]->samples[0], "a");
	assert_string_equal(sorted[0]->samples[2], "g");
	assert_int_equal(sorted[0]->body_bytes, 5);
	assert_memory_equal(sorted[0]->body, "hello", 5);
	assert_int_equal(sorted[1]->origin, FAILURE_MOVED);
	assert_string_equal(sorted[1]->reason, "moved by SQS after 3 receives");
	assert_int_equal(sorted[1]->count, 2);
	assert_int_equal(sorted[1]->first_ms, 10);
	assert_int_equal(sorted[1]->last_ms, 60);
	assert_string_equal(sorted[2]->reason, "expired key");
	assert_string_equal(sorted[3]->campaign, "evening");
	assert_int_equal(failure_groups_others(groups), 0);
}

static void there_are_no_more_than_a_thousand(void **state)
{
	const struct failure_group *const *sorted;
	char reason[32];
	size_t count;

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 1500; i++) {
			snprintf(reason, sizeof(reason), "reason %d", i);
			add("m", reason, NULL, 1, 1);
		}
	}
	sorted = failure_groups_sorted(groups, &count);
	assert_int_equal(count, 1000);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(sorted[i]->count, 2);
		snprintf(reason, sizeof(reason), "reason %zu", i);
		assert_string_equal(sorted[i]->reason, reason);
	}
	assert_int_equal(failure_groups_others(groups), 1000);
}

static void what_is_not_counted_is_told(void **state)
{
	struct queue_message message = message_with(full, COUNT_OF(full), 1);
	struct failure failure = read(&message);
	size_t count;

	failmalloc_arm(1);
	assert_int_equal(failure_groups_add(groups, &failure, NOW), ERR_NOMEM);
	failmalloc_disarm();
	failure_groups_sorted(groups, &count);
	assert_int_equal(count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_says_all),
		cmocka_unit_test(what_sqs_moved_says_nothing),
		cmocka_unit_test(values_that_do_not_read),
		cmocka_unit_test(a_message_for_many_says_how_many),
		cmocka_unit_test(long_and_broken_reasons),
		cmocka_unit_test(filters),
		cmocka_unit_test_setup_teardown(groups_are_exact, open_groups, close_groups),
		cmocka_unit_test_setup_teardown(
			there_are_no_more_than_a_thousand, open_groups, close_groups),
		cmocka_unit_test_setup_teardown(
			what_is_not_counted_is_told, open_groups, close_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
