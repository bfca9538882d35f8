/* Routes: which destination a message goes to, by its body or by its attribute. */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "delivery/route.h"
#include "failmalloc.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define VALUES(...)                         \
	(const char *const[]){__VA_ARGS__}, \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

static struct world world;

/* ---- the pure part */

static struct json json;

static bool matches(const struct route_condition conditions[], size_t count, const char *body)
{
	const struct json_value *root =
		json_parse(&json, body, strlen(body)) ? NULL : json_root(&json);

	return route_matches(conditions, count, root);
}

static bool is(const char *path, const char *value, const char *body)
{
	const char *const values[] = {value};

	return matches(&(struct route_condition){path, values, 1}, 1, body);
}

static void one_condition(void **state)
{
	static const struct {
		const char *path, *value, *body;
		bool matches;
	} cases[] = {
		{"a", "x", "{\"a\":\"x\"}", true},
		{"a", "x", "{\"a\":\"X\"}", false},
		{"a", "x", "{\"a\":\"xy\"}", false},
		{"a", "xy", "{\"a\":\"x\"}", false},
		{"a", "", "{\"a\":\"\"}", true},
		{"a", "", "{\"a\":null}", false},
		{"a", "", "{}", false},
		{"a", "x", "{\"b\":\"x\"}", false},
		/* Numbers, booleans and null as they are written; a string of the same text too. */
		{"a", "1", "{\"a\":1}", true},
		{"a", "1", "{\"a\":\"1\"}", true},
		{"a", "1", "{\"a\":1.0}", false},
		{"a", "1.0", "{\"a\":1.0}", true},
		{"a", "1e3", "{\"a\":1000}", false},
		{"a", "-1", "{\"a\":-1}", true},
		{"a", "9007199254740993", "{\"a\":9007199254740993}", true},
		{"a", "9007199254740992", "{\"a\":9007199254740993}", false},
		{"a", "true", "{\"a\":true}", true},
		{"a", "true", "{\"a\":\"true\"}", true},
		{"a", "true", "{\"a\":false}", false},
		{"a", "false", "{\"a\":false}", true},
		{"a", "null", "{\"a\":null}", true},
		{"a", "1", "{\"a\": 1 }", true},
		/* Escapes are the body's own affair. */
		{"a", "\xe5\x88\x86", "{\"a\":\"\\u5206\"}", true},
		{"a", "x", "{\"a\":\"x\\u0000\"}", false},
		/* Deep paths. */
		{"a.b.c.d", "x", "{\"a\":{\"b\":{\"c\":{\"d\":\"x\"}}}}", true},
		{"a.b.c.d", "x", "{\"a\":{\"b\":{\"c\":\"x\"}}}", false},
		{"a.b", "x", "{\"a\":{\"b\":{\"c\":\"x\"}}}", false},
		{"a.1.b", "x", "{\"a\":[{\"b\":\"y\"},{\"b\":\"x\"}]}", true},
		{"a.2.b", "x", "{\"a\":[{\"b\":\"y\"},{\"b\":\"x\"}]}", false},
		{"a.b", "x", "{\"a.b\":\"x\"}", false},
		/* Containers are no text. */
		{"a", "{}", "{\"a\":{}}", false},
		{"a", "[1]", "{\"a\":[1]}", false},
		{"a", "1", "{\"a\":[1]}", false},
		/* Twice: the last one counts. */
		{"a", "x", "{\"a\":\"y\",\"a\":\"x\"}", true},
		{"a", "y", "{\"a\":\"y\",\"a\":\"x\"}", false},
		/* No object, no fields. */
		{"0", "x", "[\"x\"]", false},
		{"a", "x", "\"x\"", false},
		{"a", "x", "x", false},
		{"a", "x", "", false},
		{"a", "x", "{\"a\":\"x\"", false},
		{"a", "x", "null", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (is(cases[i].path, cases[i].value, cases[i].body) != cases[i].matches)
			fail_msg("%s is %s: %s", cases[i].path, cases[i].value, cases[i].body);
}

static void one_of_several_values(void **state)
{
	const struct route_condition condition = {"a", VALUES("ja", "en", "3")};

	assert_true(matches(&condition, 1, "{\"a\":\"ja\"}"));
	assert_true(matches(&condition, 1, "{\"a\":\"en\"}"));
	assert_true(matches(&condition, 1, "{\"a\":3}"));
	assert_false(matches(&condition, 1, "{\"a\":\"fr\"}"));
	assert_false(matches(&condition, 1, "{\"a\":\"jaen\"}"));
}

/* All of them, in any of their combinations. */
static void all_conditions(void **state)
{
	const struct route_condition conditions[] = {
		{"a", VALUES("1")}, {"b", VALUES("1")}, {"c", VALUES("1")}};

	for (unsigned bits = 0; bits < 8; bits++) {
		char body[64];

		snprintf(body, sizeof(body), "{\"a\":%u,\"b\":%u,\"c\":%u}", bits & 1,
			bits >> 1 & 1, bits >> 2 & 1);
		for (size_t count = 0; count <= 3; count++) {
			unsigned mask = (1u << count) - 1;

			assert_int_equal(matches(conditions, count, body), (bits & mask) == mask);
		}
	}
}

static void no_conditions(void **state)
{
	static const char *const bodies[] = {"{}", "[]", "x", "", "null", "{"};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		assert_true(matches(NULL, 0, bodies[i]));
}

/* ---- in the core */

static unsigned always_from; /* lanes from here on have no conditions */

/* lane0: app=ios; lane1: app=android or user.device=android; lane2: user.lang=ja; lane3: none. */
static void add_conditions(struct delivery_destination *destination, unsigned lane)
{
	static const char *const ios[] = {"ios"}, *const android[] = {"android", "2"},
				 *const ja[] = {"ja"}, *const yes[] = {"true"};
	static const struct route_condition to_ios[] = {{"app", ios, 1}},
					    to_android[] = {{"app", android, 2}},
					    to_ja[] = {{"user.lang", ja, 1}, {"user.vip", yes, 1}};
	static const struct route_condition *const all[] = {to_ios, to_android, to_ja};
	static const size_t counts[] = {1, 1, 2};

	if (lane >= always_from || lane > 2)
		return;
	destination->when = all[lane];
	destination->when_count = counts[lane];
}

static void open_world(unsigned lanes, unsigned without_conditions_from)
{
	always_from = without_conditions_from;
	world_init(
		&world, &(struct world_options){
				.lanes = lanes, .failure_queue = true, .adjust = add_conditions});
}

/* The lane that the message went to; -1: none. */
static int lane_of(size_t message)
{
	for (int lane = 0; lane < WORLD_LANES_MAX; lane++)
		for (size_t i = 0; i < world.targets[lane].log_count; i++)
			if (world.targets[lane].log[i].message == message)
				return lane;
	return -1;
}

static void the_first_that_matches(void **state)
{
	static const struct {
		const char *body;
		int lane;
	} rows[] = {
		{"{\"app\":\"ios\"}", 0},
		{"{\"app\":\"android\"}", 1},
		{"{\"app\":2}", 1},
		{"{\"user\":{\"lang\":\"ja\",\"vip\":true}}", 2},
		{"{\"user\":{\"lang\":\"ja\",\"vip\":\"true\"}}", 2},
		{"{\"user\":{\"lang\":\"ja\",\"vip\":false}}", 3},
		{"{\"user\":{\"lang\":\"ja\"}}", 3},
		/* Several would do. */
		{"{\"app\":\"ios\",\"user\":{\"lang\":\"ja\",\"vip\":true}}", 0},
		{"{\"app\":\"android\",\"user\":{\"lang\":\"ja\",\"vip\":true}}", 1},
		{"{\"app\":\"web\"}", 3},
		{"{\"app\":[\"ios\"]}", 3},
		{"{}", 3},
		{"[\"ios\"]", 3},
		{"\"ios\"", 3},
		{"ios", 3},
		{"{\"app\":\"ios\"", 3},
		{"{\"app\":\"ios\"}}", 3},
		{"\xff", 3},
	};
	size_t count = sizeof(rows) / sizeof(rows[0]);

	open_world(4, 3);
	for (size_t i = 0; i < count; i++)
		world_add_body(&world, rows[i].body);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	for (size_t i = 0; i < count; i++)
		if (lane_of(i) != rows[i].lane)
			fail_msg("%s went to %d", rows[i].body, lane_of(i));
	assert_int_equal(world_stats(&world).accepted, count);
	world_end(&world);
}

/* One without conditions takes whatever comes to it: nothing comes to those behind it. */
static void one_without_conditions_ends_the_search(void **state)
{
	open_world(3, 1);
	world_add_body(&world, "{\"app\":\"ios\"}");
	world_add_body(&world, "{\"user\":{\"lang\":\"ja\",\"vip\":true}}");
	world_add_body(&world, "x");
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	assert_int_equal(lane_of(0), 0);
	assert_int_equal(lane_of(1), 1);
	assert_int_equal(lane_of(2), 1);
	world_end(&world);
}

/* None fits: for good, whatever is tried. It is copied, with the reason, and not sent. */
static void none_matches(void **state)
{
	static const char *const bodies[] = {"{\"app\":\"web\"}", "{}", "x", "[]"};
	const char *reason = "the conditions (when) of no destination fit";

	open_world(3, 3);
	for (size_t i = 0; i < 4; i++)
		world_add_body(&world, bodies[i]);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	assert_int_equal(world_stats(&world).attempts, 0);
	assert_int_equal(world_stats(&world).failed, 4);
	assert_int_equal(world.failure_queue.count, 4);
	for (size_t i = 0; i < 4; i++) {
		const struct queue_attribute *attribute =
			fake_message_attribute(world.failure_queue.messages[i], "FailureReason");

		assert_string_equal(world_event(&world, DELIVERY_FAILED, i)->reason, reason);
		assert_int_equal(attribute->value_bytes, strlen(reason));
		assert_memory_equal(attribute->value, reason, strlen(reason));
	}
	world_end(&world);
}

/* The attribute wins, over the conditions of the one that it names as well. */
static void the_attribute_wins(void **state)
{
	static const struct {
		const char *value;
		int lane;
	} rows[] = {{"lane0", 0}, {"lane1", 1}, {"lane2", 2}, {"lane3", 3}, {"lane4", -1},
		{"lane", -1}, {"lane00", -1}, {"LANE0", -1}, {"", -1}};

	open_world(4, 3);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct queue_attribute attribute = {.name = "Destination",
			.type = "String",
			.value = rows[i].value,
			.value_bytes = strlen(rows[i].value)};

		char body[48];

		snprintf(body, sizeof(body), "{\"app\":\"ios\",\"n\":%zu}", i);
		fake_queue_put(&world.queue, body, strlen(body), &attribute, 1);
	}
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (lane_of(i) != rows[i].lane)
			fail_msg("\"%s\" went to %d", rows[i].value, lane_of(i));
	assert_int_equal(world_stats(&world).failed, 5);
	assert_string_equal(world_event(&world, DELIVERY_FAILED, 0)->reason,
		"attribute Destination: no destination \"lane4\"");
	/* Of no destination, and so not counted with the first. */
	assert_int_equal(world.delivery->metrics.unrouted.messages[COUNT_FAILED]->value, 5);
	assert_int_equal(world.delivery->lanes[0].counts.messages[COUNT_FAILED]->value, 0);
	world_end(&world);
}

/* As long as names in the reason get, and as binary as attributes get. */
static void unknown_destinations(void **state)
{
	char name[100];
	char expected[160];
	struct queue_attribute attribute = {.name = "Destination", .type = "String", .value = name};
	const struct queue_attribute *reason;

	memset(name, 'n', sizeof(name));
	for (size_t bytes = 63; bytes <= 66; bytes++) {
		open_world(2, 2);
		attribute.value_bytes = bytes;
		fake_queue_put(&world.queue, "x", 1, &attribute, 1);
		world_start(&world);
		world_run_until_done(&world, S);
		snprintf(expected, sizeof(expected),
			"attribute Destination: no destination \"%.*s\"",
			(int)(bytes < 64 ? bytes : 64), name);
		reason = fake_message_attribute(world.failure_queue.messages[0], "FailureReason");
		assert_int_equal(reason->value_bytes, strlen(expected));
		assert_memory_equal(reason->value, expected, strlen(expected));
		world_end(&world);
	}
	open_world(2, 2);
	attribute.type = "Binary";
	attribute.value = "lane0\0x";
	attribute.value_bytes = 7;
	fake_queue_put(&world.queue, "x", 1, &attribute, 1);
	world_start(&world);
	world_run_until_done(&world, S);
	assert_int_equal(world_stats(&world).failed, 1);
	world_end(&world);
}

/* Bodies are parsed only where conditions are: without, any goes to the first. */
static void no_conditions_anywhere(void **state)
{
	open_world(3, 0);
	world_add_body(&world, "{\"app\":\"android\"}");
	world_add_body(&world, "x");
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	assert_int_equal(lane_of(0), 0);
	assert_int_equal(lane_of(1), 0);
	world_end(&world);
}

/* As deep as the reader goes it is still a body with fields; deeper, it is none. */
static void hostile_depth(void **state)
{
	char body[2 * JSON_DEPTH_MAX + 64];

	for (size_t depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX; depth++) {
		size_t n = (size_t)sprintf(body, "{\"app\":\"android\",\"b\":");

		memset(body + n, '[', depth);
		memset(body + n + depth, ']', depth);
		strcpy(body + n + 2 * depth, "}");
		open_world(4, 3);
		world_add_body(&world, body);
		world_start(&world);
		world_run_until_done(&world, 10 * S);
		assert_int_equal(lane_of(0), depth < JSON_DEPTH_MAX ? 1 : 3);
		world_end(&world);
	}
}

/* Where it is to go cannot be known now: it comes back, and goes there; nowhere else before. */
static void no_memory_to_read_the_body(void **state)
{
	unsigned long k = 0;
	bool failed, came_back = false;

	do {
		open_world(4, 3);
		world.short_of_memory = true;
		world_add_body(&world, "{\"app\":\"android\",\"x\":[1,2,3,4,5,6,7,8,9]}");
		failmalloc_arm(++k);
		world_start(&world);
		world_run_until_done(&world, 100 * S);
		failed = failmalloc_disarm();
		assert_int_equal(lane_of(0), 1);
		assert_int_equal(world.targets[1].log_count, 1);
		assert_int_equal(world_stats(&world).attempts, 1);
		came_back |= world_stats(&world).returned > 0;
		world_end(&world);
	} while (failed);
	assert_true(came_back);
}

static int free_scratch(void **state)
{
	json_free(&json);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_condition),
		cmocka_unit_test(one_of_several_values),
		cmocka_unit_test(all_conditions),
		cmocka_unit_test(no_conditions),
		cmocka_unit_test(the_first_that_matches),
		cmocka_unit_test(one_without_conditions_ends_the_search),
		cmocka_unit_test(none_matches),
		cmocka_unit_test(the_attribute_wins),
		cmocka_unit_test(unknown_destinations),
		cmocka_unit_test(no_conditions_anywhere),
		cmocka_unit_test(hostile_depth),
		cmocka_unit_test(no_memory_to_read_the_body),
	};

	return cmocka_run_group_tests(tests, NULL, free_scratch);
}
