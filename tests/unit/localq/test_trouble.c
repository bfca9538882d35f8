/* The service when the disk is full or memory runs out. */
#include "bunshin/error.h"
#include "localq/health.h"
#include "localq/store_private.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define Q "\"QueueUrl\":\"http://h/000000000000/q\""

static struct world world;

static int start(void **state)
{
	world_open(&world, NULL);
	world_create(&world, "q");
	return 0;
}

static int end(void **state)
{
	world_close(&world);
	return 0;
}

static void limit_pages(const char *sql)
{
	assert_int_equal(sqlite3_exec(world.service.store->db, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* From now on the database cannot grow, as on a full disk. */
static void fill_disk(void)
{
	limit_pages("PRAGMA max_page_count=1"); /* the present size, when it is more */
}

static void empty_disk(void)
{
	limit_pages("PRAGMA max_page_count=1000000");
}

static void assert_failed(const struct world_call *call)
{
	assert_true(call->answered);
	assert_int_equal(call->call.problem.fault, FAULT_INTERNAL);
	assert_string_equal(cJSON_GetObjectItem(call->answer, "__type")->valuestring,
		"com.amazon.coral.service#InternalFailure");
}

static void a_full_disk_fails_the_whole_turn_and_nothing_of_it_happened(void **state)
{
	struct world_call receive, send, late, refused, waiting;
	char body[200001];

	memset(body, 'x', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	world_create(&world, "other");
	world_send(&world, "q", "kept");
	world_start(&world, &waiting, "ReceiveMessage",
		"{\"QueueUrl\":\"/other\",\"WaitTimeSeconds\":20}");
	service_flush(&world.service);
	fill_disk();
	world_start(&world, &refused, "SendMessage", "{" Q "}");
	world_start(&world, &receive, "ReceiveMessage", "{" Q "}");
	world_start(&world, &send, "SendMessage", "{" Q ",\"MessageBody\":\"%s\"}", body);
	world_start(&world, &late, "SendMessage", "{" Q ",\"MessageBody\":\"late\"}");
	service_flush(&world.service);
	assert_failed(&receive);
	assert_failed(&send);
	assert_failed(&late);
	assert_failed(&waiting);
	assert_int_equal(refused.call.problem.fault, FAULT_MISSING_PARAMETER);
	assert_int_equal(world.failures, 1);
	assert_string_equal(world.failure, "database or disk is full");
	world_end(&receive);
	world_end(&send);
	world_end(&late);
	world_end(&refused);
	world_end(&waiting);

	/* The message that the failed receive had taken is still there, at its first receive. */
	empty_disk();
	assert_string_equal(world_counts(&world, "q"), "1 0 0");
	world_ok(&world, "ReceiveMessage", "{" Q ",\"AttributeNames\":[\"All\"]}");
	assert_string_equal(world_bodies(world.done.answer), "kept");
	world_send(&world, "other", "works again");
	assert_string_equal(world_counts(&world, "other"), "1 0 0");
	assert_int_equal(world.failures, 1);
}

static void a_queue_of_a_failed_turn_is_not_there(void **state)
{
	struct world_call create, send;
	char body[200001];

	memset(body, 'x', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	fill_disk();
	world_start(&world, &create, "CreateQueue", "{\"QueueName\":\"new\"}");
	world_start(&world, &send, "SendMessage", "{\"QueueUrl\":\"/new\",\"MessageBody\":\"%s\"}",
		body);
	service_flush(&world.service);
	assert_failed(&create);
	assert_failed(&send);
	world_end(&create);
	world_end(&send);
	empty_disk();
	world_refused(&world, "AWS.SimpleQueueService.NonExistentQueue", "GetQueueUrl",
		"{\"QueueName\":\"new\"}");
	world_create(&world, "new");
}

/* The next transaction that writes says so; without one the sweeper tries. */
static void recovery_is_told_once(void **state)
{
	struct world_call send;
	char body[200001];

	memset(body, 'x', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	for (unsigned round = 1; round <= 2; round++) {
		fill_disk();
		world_start(&world, &send, "SendMessage", "{" Q ",\"MessageBody\":\"%s\"}", body);
		service_flush(&world.service);
		assert_failed(&send);
		world_end(&send);
		assert_int_equal(world.failures, round);
		/* Reading proves nothing. */
		world_counts(&world, "q");
		assert_int_equal(world.recoveries, round - 1);
		empty_disk();
		if (round == 1)
			world_send(&world, "q", "works again");
		else
			world_advance_ms(&world, 5000);
		assert_int_equal(world.recoveries, round);
		world_send(&world, "q", "and again");
		world_advance_ms(&world, 20000);
		assert_int_equal(world.recoveries, round);
	}
}

static void health_says_since_when_and_why(void **state)
{
	struct health health;
	char report[HEALTH_TEXT_MAX], longest[2 * HEALTH_REASON_MAX];

	assert_int_equal(health_init(&health), 0);
	assert_int_equal(health_report(&health, report), 200);
	assert_string_equal(report, "{\"status\":\"ok\"}\n");
	health_failed(&health, "disk \"full\" \\ \n\xff", 1000);
	health_failed(&health, "disk \"full\" \\ \n\xff", 2000);
	assert_int_equal(health_report(&health, report), 503);
	assert_string_equal(report, "{\"status\":\"failing\",\"reason\":\"disk \\\"full\\\" "
				    "\\\\ \?\?\",\"since\":1000}\n");
	memset(longest, '"', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	health_failed(&health, longest, 3000);
	assert_int_equal(health_report(&health, report), 503);
	assert_string_equal(report + strlen(report) - 15, ",\"since\":1000}\n");
	health_recovered(&health);
	assert_int_equal(health_report(&health, report), 200);
	health_failed(&health, "again", 4000);
	health_report(&health, report);
	assert_string_equal(
		report, "{\"status\":\"failing\",\"reason\":\"again\",\"since\":4000}\n");
	health_destroy(&health);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
		T(a_full_disk_fails_the_whole_turn_and_nothing_of_it_happened),
		T(a_queue_of_a_failed_turn_is_not_there),
		T(recovery_is_told_once),
		T(health_says_since_when_and_why),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
