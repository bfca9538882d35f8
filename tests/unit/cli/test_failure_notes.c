/* The failures of a worker: which events are, and what is kept of them. */
#include "base/log.h"
#include "base/manual_clock.h"
#include "bunshin/error.h"
#include "cli/run/failure_notes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

static struct manual_clock manual;
static struct failure_notes notes;
static struct queue_attribute campaign = {
	.name = "Campaign", .type = "String", .value = "spring", .value_bytes = 6};
static struct queue_message message = {
	.message_id = "m-1", .receive_count = 3, .attributes = &campaign, .attribute_count = 1};

static int set_up(void **state)
{
	manual_clock_init(&manual, 1, 1764144000000);
	failure_notes_init(&notes, manual_clock_table(&manual));
	return 0;
}

static int tear_down(void **state)
{
	manual_clock_free(&manual);
	log_clear_secrets();
	return 0;
}

static struct target_result answer(int status, const char *excerpt)
{
	return (struct target_result){.status = status,
		.retry_after_ms = -1,
		.reason = "",
		.request_id = "r-9",
		.excerpt = excerpt,
		.excerpt_bytes = strlen(excerpt)};
}

static void tell(
	enum delivery_event_kind kind, const struct target_result *result, const char *reason)
{
	failure_notes_take(&notes, &(struct delivery_event){.kind = kind,
					   .message = &message,
					   .destination = "line",
					   .result = result,
					   .reason = reason,
					   .operation = ""});
}

static const struct failure_group *only(void)
{
	assert_int_equal(notes.failures.count, 1);
	return &notes.failures.groups[0];
}

static void what_is_none(void **state)
{
	const struct target_result result = answer(200, "");

	tell(DELIVERY_ACCEPTED, &result, "");
	tell(DELIVERY_SUPPRESSED, NULL, "");
	tell(DELIVERY_CANCELLED, NULL, "its campaign is cancelled");
	tell(DELIVERY_POSTPONED, NULL, "before its NotBefore");
	tell(DELIVERY_FAILED, &result, "on its way"); /* counted when its copy is confirmed */
	failure_notes_take(&notes, &(struct delivery_event){.kind = DELIVERY_QUEUE_FAILED,
					   .destination = "",
					   .reason = "r",
					   .operation = "receive"});
	assert_int_equal(notes.failures.count, 0);
	assert_false(notes.changed);
}

static void each_of_them(void **state)
{
	static const struct {
		enum delivery_event_kind kind;
		int status;
		const char *reason, *class, *expected;
		enum failure_outcome outcome;
	} rows[] = {
		{DELIVERY_FAILED_COPIED, 400, "refused by the provider", "permanent",
			"refused by the provider", FAILURE_FAILED},
		{DELIVERY_FAILED_LEFT, 500, "attempts exhausted", "permanent", "attempts exhausted",
			FAILURE_FAILED_LEFT},
		{DELIVERY_ATTEMPT_FAILED, 429, "", "throttled", "the provider asks to slow down",
			FAILURE_RETRYING},
		{DELIVERY_ATTEMPT_FAILED, 503, "", "throttled", "the provider asks to slow down",
			FAILURE_RETRYING},
		{DELIVERY_ATTEMPT_FAILED, 401, "", "auth", "the provider refuses the credentials",
			FAILURE_RETRYING},
		{DELIVERY_ATTEMPT_FAILED, 502, "", "transient", "the provider fails",
			FAILURE_RETRYING},
		{DELIVERY_ATTEMPT_FAILED, 408, "", "transient", "not accepted by the provider",
			FAILURE_RETRYING},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct target_result result = answer(rows[i].status, "no");
		const struct failure_group *group;

		set_up(state);
		tell(rows[i].kind, &result, rows[i].reason);
		group = only();
		assert_int_equal(group->outcome, rows[i].outcome);
		assert_int_equal(group->status, rows[i].status);
		assert_string_equal(group->destination, "line");
		assert_string_equal(group->class, rows[i].class);
		assert_string_equal(group->reason, rows[i].expected);
		assert_int_equal(group->count, 1);
		assert_int_equal(group->last_ms, 1764144000000);
		assert_string_equal(group->message_id, "m-1");
		assert_string_equal(group->campaign, "spring");
		assert_string_equal(group->request_id, "r-9");
		assert_string_equal(group->answer, "no");
		assert_int_equal(group->attempt, 3);
		assert_true(notes.changed);
		tear_down(state);
	}
	set_up(state);
}

static void without_an_answer(void **state)
{
	struct target_result result = answer(0, "");

	result.err = ERR_TIMEOUT;
	tell(DELIVERY_ATTEMPT_FAILED, &result, "timed out");
	assert_int_equal(only()->status, 0);
	assert_string_equal(only()->class, "transient");
	set_up(state);
	tell(DELIVERY_EXPIRED, NULL, "past its deadline");
	assert_string_equal(only()->class, "local");
	assert_string_equal(only()->answer, "");
	set_up(state);
	tell(DELIVERY_LOST, NULL, "sending");
	assert_string_equal(only()->reason, "visibility ran out");
}

/* A sample a second, however many there are. */
static void samples(void **state)
{
	const struct target_result result = answer(400, "no");

	tell(DELIVERY_FAILED_COPIED, &result, "refused");
	message.message_id = "m-2";
	tell(DELIVERY_FAILED_COPIED, &result, "refused");
	assert_int_equal(only()->count, 2);
	assert_string_equal(only()->message_id, "m-1");
	manual.wall_epoch_ms += 1000;
	tell(DELIVERY_FAILED_COPIED, &result, "refused");
	assert_int_equal(only()->count, 3);
	assert_string_equal(only()->message_id, "m-2");
	message.message_id = "m-1";
}

static void secrets(void **state)
{
	char excerpt[3000], key[] = "key-0123456789";
	struct target_result result;

	assert_int_equal(log_add_secret(key), 0);
	memset(excerpt, 'x', sizeof(excerpt) - 1);
	excerpt[sizeof(excerpt) - 1] = '\0';
	/* At the beginning, and across the place where it is cut. */
	memcpy(excerpt, key, strlen(key));
	memcpy(excerpt + FAILURE_ANSWER_SIZE - 6, key, strlen(key));
	excerpt[100] = '\0';
	result = answer(400, "");
	result.excerpt = excerpt;
	result.excerpt_bytes = sizeof(excerpt) - 1;
	tell(DELIVERY_FAILED_COPIED, &result, "the key-0123456789 is wrong");
	assert_string_equal(only()->reason, "the [redacted] is wrong");
	assert_memory_equal(only()->answer, "[redacted]xxx", 13);
	assert_null(strstr(only()->answer, "key"));
	assert_int_equal(strlen(only()->answer), FAILURE_ANSWER_SIZE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(each_of_them, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_an_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(samples, set_up, tear_down),
		cmocka_unit_test_setup_teardown(secrets, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
