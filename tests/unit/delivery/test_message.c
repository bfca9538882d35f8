/* The state table, edge by edge; attributes that are instants. */
#include "bunshin/error.h"
#include "delivery/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Rows: from; columns: to. */
static void every_edge(void **state)
{
	static const char *const matrix[MESSAGE_STATES] = {
		/*                       rec sen acc exp can fai cop bac del ret los */
		[MESSAGE_RECEIVED] /*   */ = " .   x   x   x   x   x   .   x   .   .   x ",
		[MESSAGE_SENDING] /*    */ = " x   .   x   .   .   x   .   x   .   .   x ",
		[MESSAGE_ACCEPTED] /*   */ = " .   .   .   .   .   .   .   .   x   .   x ",
		[MESSAGE_EXPIRED] /*    */ = " .   .   .   .   .   .   .   .   x   .   x ",
		[MESSAGE_CANCELLED] /*  */ = " .   .   .   .   .   .   .   .   x   .   x ",
		[MESSAGE_FAILED] /*     */ = " .   .   .   .   .   .   x   x   .   .   x ",
		[MESSAGE_COPIED] /*     */ = " .   .   .   .   .   .   .   .   x   .   x ",
		[MESSAGE_BACKING_OFF] /**/ = " .   .   .   .   .   .   .   .   .   x   x ",
		[MESSAGE_DELETED] /*    */ = " .   .   .   .   .   .   .   .   .   .   . ",
		[MESSAGE_RETURNED] /*   */ = " .   .   .   .   .   .   .   .   .   .   . ",
		[MESSAGE_LOST] /*       */ = " .   .   .   .   .   .   .   .   .   .   . ",
	};

	for (int from = 0; from < MESSAGE_STATES; from++) {
		assert_int_equal(strlen(matrix[from]), 4 * MESSAGE_STATES - 1);
		for (int to = 0; to < MESSAGE_STATES; to++) {
			bool allowed = matrix[from][to * 4 + 1] == 'x';

			if (message_edge_allowed(from, to) != allowed)
				fail_msg("%s -> %s", message_state_name(from),
					message_state_name(to));
		}
	}
}

static void every_state_has_a_name(void **state)
{
	static const char *const names[] = {"received", "sending", "accepted", "expired",
		"cancelled", "failed", "copied", "backing off", "deleted", "returned", "lost"};

	for (int s = 0; s < MESSAGE_STATES; s++)
		assert_string_equal(message_state_name(s), names[s]);
}

static int instant(const char *type, const char *value, size_t bytes, int64_t *ret)
{
	/* An exact copy without a NUL: reading past the value is seen. */
	char *copy = malloc(bytes ? bytes : 1);
	struct queue_attribute attributes[] = {
		{.name = "Other", .type = "Number", .value = "1", .value_bytes = 1},
		{.name = "Deadline", .type = type, .value = copy, .value_bytes = bytes},
	};
	struct queue_message message = {.attributes = attributes, .attribute_count = 2};
	int err;

	assert_non_null(copy);
	memcpy(copy, value, bytes);
	err = message_instant(&message, "Deadline", 99, ret);
	free(copy);
	return err;
}

static void instants(void **state)
{
	static const struct {
		const char *type, *value;
		int64_t expected;
	} good[] = {
		{"Number", "1800000000000", 1800000000000},
		{"Number.epoch", "1800000000000", 1800000000000},
		{"Number", "0", 0},
		{"Number", "-5", -5},
		{"Number", "9223372036854775807", INT64_MAX},
		{"String", "2026-11-23T08:00:00Z", 1795420800000},
		{"String.time", "2026-11-23T08:00:00.250+09:00", 1795420800250 - 9 * 3600000},
	};
	static const struct {
		const char *type, *value;
	} bad[] = {
		{"Number", ""},
		{"Number", "1e12"},
		{"Number", "1.5"},
		{"Number", " 1"},
		{"Number", "1 "},
		{"Number", "9223372036854775808"},
		{"Number", "2026-11-23T08:00:00Z"},
		{"String", "1800000000000"},
		{"String", "tomorrow"},
		{"String", "2026-11-23"},
		{"String", "2026-13-23T08:00:00Z"},
		{"Binary", "1800000000000"},
		{"Numbers", "1800000000000"},
		{"Strin", "2026-11-23T08:00:00Z"},
		{"", "1"},
		{"Number", "0000000000000000000000000000000000000000000000000000000000000000001"},
	};
	int64_t value;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		value = 7;
		assert_int_equal(
			instant(good[i].type, good[i].value, strlen(good[i].value), &value), 0);
		assert_int_equal(value, good[i].expected);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		value = 7;
		if (instant(bad[i].type, bad[i].value, strlen(bad[i].value), &value) != ERR_SYNTAX)
			fail_msg("%s \"%s\" was taken", bad[i].type, bad[i].value);
		assert_int_equal(value, 7);
	}
	assert_int_equal(instant("Number",
				 "12\0"
				 "3",
				 4, &value),
		ERR_SYNTAX);
	assert_int_equal(instant("String", "2026-11-23T08:00:00Z\0x", 22, &value), ERR_SYNTAX);
}

static void absent_instant(void **state)
{
	struct queue_message message = {0};
	int64_t value = 7;

	assert_int_equal(message_instant(&message, "Deadline", 99, &value), 0);
	assert_int_equal(value, 99);
	assert_null(message_attribute(&message, "Deadline"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_edge),
		cmocka_unit_test(every_state_has_a_name),
		cmocka_unit_test(instants),
		cmocka_unit_test(absent_instant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
