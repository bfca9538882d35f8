/* What the tags of a queue ask of its workers, and how a campaign comes into one and out of it. */
#include "delivery/control.h"

#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define LONG_NAME "a-name-of-more-than-32-characters"

static char reason[CONTROL_REASON_SIZE];

static struct control read_all(const char *paused, const char *rate, const char *cancelled)
{
	const struct control_tags tags = {paused, rate, cancelled};
	struct control control = {.paused = false};

	assert_int_equal(control_read(&tags, &control, reason), 0);
	return control;
}

static void no_tags_ask_nothing(void **state)
{
	static const struct control nothing;
	const struct control_tags tags = {NULL, NULL, NULL};
	struct control control = read_all("true", "5/s", "morning");

	assert_false(control_equal(&control, &nothing));
	assert_int_equal(control_read(&tags, &control, reason), 0);
	assert_true(control_equal(&control, &nothing));
	control = read_all("false", NULL, "");
	assert_true(control_equal(&control, &nothing));
}

static void the_three_are_read(void **state)
{
	struct control control = read_all("true", "500/s", "morning evening");

	assert_true(control.paused);
	assert_int_equal(control.rate_count, 500);
	assert_int_equal(control.rate_per_ms, 1000);
	assert_string_equal(control.cancelled, "morning evening");
	assert_int_equal(read_all(NULL, "7/m", NULL).rate_per_ms, 60000);
	assert_int_equal(read_all(NULL, "1000000000/h", NULL).rate_per_ms, 3600000);
}

/* One that does not read leaves its own part as it was, and no other. */
static void bad_values_change_nothing(void **state)
{
	static const char *const bad_paused[] = {"", "True", "yes", "1", "true "};
	static const char *const bad_rates[] = {
		"", "0/s", "-1/s", "1", "1/d", "1.5/s", "1000000001/s", "99999999999999999999/s"};
	struct control control = read_all("true", "5/s", "a"), before = control;
	char longer[CONTROL_TAG_MAX + 2];

	for (size_t i = 0; i < COUNT_OF(bad_paused); i++) {
		const struct control_tags tags = {bad_paused[i], "6/s", "b"};

		control = before;
		assert_int_equal(control_read(&tags, &control, reason), ERR_SYNTAX);
		assert_true(control.paused);
		assert_int_equal(control.rate_count, 6);
		assert_string_equal(control.cancelled, "b");
	}
	assert_string_equal(reason, "tag bunshin:paused: expected true or false, got \"true \"; "
				    "what was in force stays");
	for (size_t i = 0; i < COUNT_OF(bad_rates); i++) {
		const struct control_tags tags = {NULL, bad_rates[i], "b"};

		control = before;
		assert_int_equal(control_read(&tags, &control, reason), ERR_SYNTAX);
		assert_false(control.paused);
		assert_int_equal(control.rate_count, 5);
		assert_int_equal(control.rate_per_ms, 1000);
		assert_string_equal(control.cancelled, "b");
	}
	memset(longer, 'x', sizeof(longer));
	longer[CONTROL_TAG_MAX + 1] = '\0';
	for (int i = 0; i < 2; i++) {
		const struct control_tags tags = {"no", "no", longer};

		control = before;
		assert_int_equal(control_read(&tags, &control, reason), ERR_SYNTAX);
		assert_string_equal(control.cancelled, i == 0 ? "a" : longer);
		assert_true(strncmp(reason, "tag bunshin:paused", 18) == 0);
		assert_int_equal(control.rate_count, 5);
		longer[CONTROL_TAG_MAX] = '\0';
	}
}

static void ids_tell_controls_apart(void **state)
{
	const struct control all[] = {read_all(NULL, NULL, NULL), read_all("true", NULL, NULL),
		read_all(NULL, "5/s", NULL), read_all(NULL, "5/m", NULL), read_all(NULL, NULL, "a"),
		read_all(NULL, NULL, "a b"), read_all("true", "5/s", "a")};
	char ids[COUNT_OF(all)][CONTROL_ID_SIZE], again[CONTROL_ID_SIZE];

	for (size_t i = 0; i < COUNT_OF(all); i++) {
		control_id(&all[i], ids[i]);
		assert_int_equal(strspn(ids[i], "0123456789abcdef"), 16);
		control_id(&all[i], again);
		assert_string_equal(ids[i], again);
		for (size_t k = 0; k < i; k++) {
			assert_string_not_equal(ids[i], ids[k]);
			assert_false(control_equal(&all[i], &all[k]));
		}
	}
}

static bool cancels(const char *tag, const char *campaign)
{
	struct control control = read_all(NULL, NULL, tag);

	return control_cancels(&control, campaign, strlen(campaign));
}

static void names_match_whole(void **state)
{
	assert_true(cancels("morning", "morning"));
	assert_true(cancels("a  morning b ", "morning"));
	assert_true(cancels("a morning", "a"));
	assert_false(cancels("morning", "mornin"));
	assert_false(cancels("morning", "morning2"));
	assert_false(cancels("morning", "Morning"));
	assert_false(cancels("", "morning"));
	assert_false(cancels(NULL, ""));
	assert_false(cancels("a b", "a b"));
	assert_false(cancels("a", ""));
	assert_true(cancels("\xe6\x9c\x9d", "\xe6\x9c\x9d")); /* by hand */
}

/* printf %s NAME | sha256sum | cut -c 1-16 */
static void hashes_match_any_name(void **state)
{
	assert_true(cancels("=d2a84f4b8b650937", "a b") == false);
	assert_true(cancels("x =c8687a08aa5d6ed2", "a b"));
	assert_true(cancels("=ca978112ca1bbdca", "a"));
	assert_false(cancels("=ca978112ca1bbdcb", "a"));
	assert_false(cancels("=ca978112ca1bbdc", "a"));
	assert_false(cancels("=ca978112ca1bbdcaf", "a"));
	/* A campaign that is called like a hash is only cancelled by its own. */
	assert_false(cancels("=ca978112ca1bbdca", "=ca978112ca1bbdca"));
}

static void campaigns_come_and_go(void **state)
{
	char value[CONTROL_TAG_MAX + 1] = "";

	assert_int_equal(control_cancelled_add(value, "morning", value), 0);
	assert_string_equal(value, "morning");
	assert_int_equal(control_cancelled_add(value, "a b", value), 0);
	assert_string_equal(value, "morning =c8687a08aa5d6ed2");
	assert_int_equal(control_cancelled_add(value, "a b", value), 0);
	assert_int_equal(control_cancelled_add(value, "morning", value), 0);
	assert_string_equal(value, "morning =c8687a08aa5d6ed2");
	assert_int_equal(control_cancelled_add(value, "=x", value), 0);
	assert_int_equal(control_cancelled_add(value, LONG_NAME, value), 0);
	assert_int_equal(control_cancelled_add(value, "morning#2", value), 0);
	assert_int_equal(strlen(value), strlen("morning") + 4 * 18);
	assert_true(
		cancels(value, "=x") && cancels(value, LONG_NAME) && cancels(value, "morning#2"));
	assert_int_equal(control_cancelled_add(value, "", value), ERR_ARGUMENT);

	assert_int_equal(control_cancelled_remove(value, "evening", value), ERR_NOT_FOUND);
	assert_int_equal(control_cancelled_remove(value, "", value), ERR_NOT_FOUND);
	assert_int_equal(control_cancelled_remove(value, "a b", value), 0);
	assert_int_equal(control_cancelled_remove(value, "morning#2", value), 0);
	assert_int_equal(control_cancelled_remove(value, LONG_NAME, value), 0);
	assert_int_equal(control_cancelled_remove(value, "=x", value), 0);
	assert_string_equal(value, "morning");
	assert_int_equal(control_cancelled_remove(value, "morning", value), 0);
	assert_string_equal(value, "");
	/* Both forms of one name, and blanks, as a person may have left them. */
	assert_int_equal(control_cancelled_remove(" b  a =ca978112ca1bbdca c", "a", value), 0);
	assert_string_equal(value, "b c");
}

static void a_full_tag_takes_no_more(void **state)
{
	char value[CONTROL_TAG_MAX + 1] = "", name[40];
	unsigned count = 0;

	do
		snprintf(name, sizeof(name), "campaign-%04u", count++);
	while (control_cancelled_add(value, name, value) == 0);
	assert_int_equal(count - 1, (CONTROL_TAG_MAX + 1) / 14);
	assert_int_equal(control_cancelled_add(value, name, value), ERR_LIMIT);
	assert_false(cancels(value, name));
	assert_int_equal(control_cancelled_remove(value, "campaign-0000", value), 0);
	assert_int_equal(control_cancelled_add(value, name, value), 0);
	/* To the last byte. */
	memset(value, 'x', CONTROL_TAG_MAX - 2);
	value[CONTROL_TAG_MAX - 2] = '\0';
	assert_int_equal(control_cancelled_add(value, "ab", value), ERR_LIMIT);
	assert_int_equal(control_cancelled_add(value, "a", value), 0);
	assert_int_equal(strlen(value), CONTROL_TAG_MAX);
}

static void rates_as_text(void **state)
{
	static const char *const texts[] = {"1/s", "500/s", "7/m", "1000000000/h"};
	char text[CONTROL_RATE_SIZE];
	uint64_t count;
	int64_t per_ms;

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		assert_int_equal(control_rate_read(texts[i], &count, &per_ms), 0);
		control_rate_text(count, per_ms, text);
		assert_string_equal(text, texts[i]);
	}
	control_rate_text(0, 0, text);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_tags_ask_nothing),
		cmocka_unit_test(the_three_are_read),
		cmocka_unit_test(bad_values_change_nothing),
		cmocka_unit_test(ids_tell_controls_apart),
		cmocka_unit_test(names_match_whole),
		cmocka_unit_test(hashes_match_any_name),
		cmocka_unit_test(campaigns_come_and_go),
		cmocka_unit_test(a_full_tag_takes_no_more),
		cmocka_unit_test(rates_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
