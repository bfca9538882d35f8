/* Declared queues: created, brought in line, all or nothing. */
#include "bunshin/error.h"
#include "failmalloc.h"
#include "localq/declare.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct world world;

static int start(void **state)
{
	world_open(&world, NULL);
	return 0;
}

static int end(void **state)
{
	world_close(&world);
	return 0;
}

static const struct declared_pair sixty[] = {{"VisibilityTimeout", "60"}};
static const struct declared_pair team[] = {{"team", "growth"}};

static int declare(struct declaration *list, size_t count, struct declarations *ret)
{
	char detail[STORE_DETAIL_MAX];

	*ret = (struct declarations){.list = list, .count = count};
	return declare_queues(&world.service, ret, detail);
}

static const char *attribute(const char *queue, const char *name)
{
	const cJSON *answer = world_ok(&world, "GetQueueAttributes",
		"{\"QueueUrl\":\"/%s\",\"AttributeNames\":[\"All\"]}", queue);
	const cJSON *value = cJSON_GetObjectItem(cJSON_GetObjectItem(answer, "Attributes"), name);

	return value != NULL ? value->valuestring : "";
}

static int queue_count(void)
{
	return cJSON_GetArraySize(
		cJSON_GetObjectItem(world_ok(&world, "ListQueues", "{}"), "QueueUrls"));
}

static void test_outcomes(void **state)
{
	struct declaration list[] = {
		{.name = "a",
			.attributes = sixty,
			.attribute_count = 1,
			.tags = team,
			.tag_count = 1,
			.redrive_queue = "b",
			.max_receives = 4},
		{.name = "b"},
	};
	struct declarations declarations;

	assert_int_equal(declare(list, 2, &declarations), 0);
	assert_int_equal(list[0].outcome, DECLARED_CREATED);
	assert_int_equal(list[1].outcome, DECLARED_CREATED);
	assert_string_equal(attribute("a", "VisibilityTimeout"), "60");
	assert_string_equal(attribute("a", "RedrivePolicy"),
		"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:b\","
		"\"maxReceiveCount\":4}");

	/* Nothing to do: not even the time of the last change moves. */
	world_advance_ms(&world, 10000);
	assert_int_equal(declare(list, 2, &declarations), 0);
	assert_int_equal(list[0].outcome, DECLARED_AS_IT_WAS);
	assert_string_equal(attribute("a", "LastModifiedTimestamp"), "1767225600");

	/* The policy as a client would have written it is the same policy. */
	world_ok(&world, "SetQueueAttributes",
		"{\"QueueUrl\":\"/a\",\"Attributes\":{\"DelaySeconds\":\"5\",\"RedrivePolicy\":"
		"\"{ \\\"maxReceiveCount\\\" : \\\"4\\\", \\\"deadLetterTargetArn\\\":"
		"\\\"arn:aws:sqs:us-east-1:000000000000:b\\\"}\"}}");
	assert_int_equal(declare(list, 2, &declarations), 0);
	assert_int_equal(list[0].outcome, DECLARED_AS_IT_WAS);
	assert_string_equal(attribute("a", "DelaySeconds"), "5");

	list[0].max_receives = 5;
	assert_int_equal(declare(list, 1, &declarations), 0);
	assert_int_equal(list[0].outcome, DECLARED_CHANGED);
	list[0].redrive_queue = "";
	assert_int_equal(declare(list, 1, &declarations), 0);
	assert_int_equal(list[0].outcome, DECLARED_CHANGED);
	assert_string_equal(attribute("a", "RedrivePolicy"), "");
	list[0].redrive_queue = NULL;
	assert_int_equal(declare(list, 1, &declarations), 0);
	assert_int_equal(list[0].outcome, DECLARED_AS_IT_WAS);
}

static void test_a_refusal_creates_nothing(void **state)
{
	static const struct declared_pair wrong[] = {{"VisibilityTimeout", "x"}};
	struct declaration list[] = {
		{.name = "a"},
		{.name = "b", .redrive_queue = "nowhere", .max_receives = 1},
	};
	struct declarations declarations;

	assert_int_equal(declare(list, 2, &declarations), ERR_REFUSED);
	assert_int_equal(declarations.refused, 1);
	assert_true(declarations.refused_redrive);
	assert_string_equal(
		declarations.problem.message, "the queue nowhere is neither declared nor there");
	assert_int_equal(queue_count(), 0);
	list[1] = (struct declaration){.name = "b", .attributes = wrong, .attribute_count = 1};
	assert_int_equal(declare(list, 2, &declarations), ERR_REFUSED);
	assert_int_equal(declarations.refused, 1);
	assert_false(declarations.refused_redrive);
	assert_int_equal(queue_count(), 0);
}

static void test_a_name_deleted_a_moment_ago(void **state)
{
	struct declaration list[] = {{.name = "a"}};
	struct declarations declarations;

	world_create(&world, "a");
	world_ok(&world, "DeleteQueue", "{\"QueueUrl\":\"/a\"}");
	assert_int_equal(declare(list, 1, &declarations), ERR_REFUSED);
	assert_int_equal(declarations.problem.fault, FAULT_QUEUE_DELETED_RECENTLY);
	world_advance_ms(&world, 60000);
	assert_int_equal(declare(list, 1, &declarations), 0);
	assert_int_equal(list[0].outcome, DECLARED_CREATED);
}

static void test_without_memory(void **state)
{
	struct declaration list[] = {
		{.name = "a",
			.attributes = sixty,
			.attribute_count = 1,
			.tags = team,
			.tag_count = 1},
		{.name = "b", .redrive_queue = "a", .max_receives = 1},
	};
	struct declarations declarations;
	unsigned long k = 0, failed;
	int err;

	/* SQLite can do without some of what it asks for. */
	do {
		world_close(&world);
		world_open(&world, NULL);
		failmalloc_arm(++k);
		err = declare(list, 2, &declarations);
		failed = failmalloc_disarm();
		assert_true(err == 0 || failed > 0);
		assert_int_equal(queue_count(), err == 0 ? 2 : 0);
	} while (failed > 0);
	assert_true(k > 10);
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		bool good, fifo;
	} rows[] = {{"a", true, false}, {"A-b_9", true, false}, {"a.fifo", true, true},
		{"", false, false}, {".fifo", false, true}, {"a.fif", false, false},
		{"a.b.fifo", false, true}, {"a b", false, false}, {"\xc3\xa9", false, false}};
	struct problem problem;
	char name[96];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
			declare_check_name(rows[i].name, &problem) == FAULT_NONE, rows[i].good);
		assert_int_equal(
			text_ends_in_fifo(rows[i].name, strlen(rows[i].name)), rows[i].fifo);
	}
	memset(name, 'x', sizeof(name));
	strcpy(name + 75, ".fifo");
	assert_int_equal(declare_check_name(name, &problem), FAULT_NONE);
	strcpy(name + 75, "x.fifo");
	assert_int_not_equal(declare_check_name(name, &problem), FAULT_NONE);
	name[80] = '\0';
	strcpy(name + 75, "xxxxx");
	assert_int_equal(declare_check_name(name, &problem), FAULT_NONE);
	strcpy(name + 75, "xxxxxx");
	assert_int_not_equal(declare_check_name(name, &problem), FAULT_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(outcomes),
		TEST(a_refusal_creates_nothing),
		TEST(a_name_deleted_a_moment_ago),
		TEST(without_memory),
		TEST(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
