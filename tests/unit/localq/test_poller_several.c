/* Several receives that wait on one queue, in virtual time: who is given what, and when. */
#include "failmalloc.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define Q "\"QueueUrl\":\"/q\""
#define ARN(name) "arn:aws:sqs:us-east-1:000000000000:" name
#define POLLS 4
/* What bodies() says of a receive that waits on. */
#define WAITS "(waits)"

static struct world world;
static struct world_call polls[POLLS];

static int start(void **state)
{
	world_open(&world, NULL);
	world_create(&world, "q");
	memset(polls, 0, sizeof(polls));
	return 0;
}

static int end(void **state)
{
	for (size_t i = 0; i < POLLS; i++)
		if (polls[i].world != NULL)
			world_end(&polls[i]);
	world_close(&world);
	return 0;
}

/* Starts a long poll of 20 s for at most so many messages, which finds nothing at first. */
static void wait_for(size_t poll, int max)
{
	world_start(&world, &polls[poll], "ReceiveMessage",
		"{" Q ",\"WaitTimeSeconds\":20,\"MaxNumberOfMessages\":%d,"
		"\"AttributeNames\":[\"All\"]}",
		max);
	service_flush(&world.service);
	assert_false(polls[poll].answered);
}

static const char *bodies(size_t poll)
{
	return polls[poll].answered ? world_bodies(polls[poll].answer) : WAITS;
}

/* Sends one message a letter, in one batch; delay_s after each other. */
static void send(const char *letters, int first_delay_s, int delay_s)
{
	char entries[1024] = "";

	for (size_t i = 0; letters[i] != '\0'; i++)
		snprintf(entries + strlen(entries), sizeof(entries) - strlen(entries),
			"%s{\"Id\":\"%zu\",\"MessageBody\":\"%c\",\"DelaySeconds\":%d}",
			i > 0 ? "," : "", i, letters[i], first_delay_s + (int)i * delay_s);
	world_ok(&world, "SendMessageBatch", "{" Q ",\"Entries\":[%s]}", entries);
}

static void each_up_to_its_own_maximum(void **state)
{
	wait_for(0, 2);
	wait_for(1, 10);
	wait_for(2, 1);
	wait_for(3, 3);
	send("abcdefg", 0, 0);
	assert_string_equal(bodies(0), "a b");
	assert_string_equal(bodies(1), "c d e f g");
	assert_string_equal(bodies(2), WAITS);
	assert_string_equal(bodies(3), WAITS);
	send("hijk", 0, 0);
	assert_string_equal(bodies(2), "h");
	assert_string_equal(bodies(3), "i j k");
	assert_string_equal(world_counts(&world, "q"), "0 11 0");
}

/* What is left over stays visible for whoever comes. */
static void no_more_than_all_of_them_asked_for(void **state)
{
	wait_for(0, 1);
	wait_for(1, 2);
	send("abcd", 0, 0);
	assert_string_equal(bodies(0), "a");
	assert_string_equal(bodies(1), "b c");
	assert_string_equal(world_counts(&world, "q"), "1 3 0");
}

/* One that was served and asks again stands behind the others. */
static void in_turn(void **state)
{
	char got[3][16] = {"", "", ""}, letter[2] = "a";

	for (size_t i = 0; i < 3; i++)
		wait_for(i, 1);
	for (int i = 0; i < 9; i++, letter[0]++) {
		size_t poll = (size_t)i % 3;

		send(letter, 0, 0);
		strcat(got[poll], bodies(poll));
		world_end(&polls[poll]);
		wait_for(poll, 1);
	}
	assert_string_equal(got[0], "adg");
	assert_string_equal(got[1], "beh");
	assert_string_equal(got[2], "cfi");
}

static void one_whose_time_is_up_leaves_the_order_alone(void **state)
{
	wait_for(0, 1);
	world_advance_ms(&world, 1);
	world_start(&world, &polls[1], "ReceiveMessage", "{" Q ",\"WaitTimeSeconds\":1}");
	world_advance_ms(&world, 1);
	wait_for(2, 1);
	wait_for(3, 1);
	world_advance_ms(&world, 1000);
	assert_string_equal(bodies(1), "");
	send("ab", 0, 0);
	assert_string_equal(bodies(0), "a");
	assert_string_equal(bodies(2), "b");
	assert_string_equal(bodies(3), WAITS);
}

static void the_end_of_delays(void **state)
{
	for (size_t i = 0; i < POLLS; i++)
		wait_for(i, i == 0 ? 2 : 1);
	/* three end after 5 s, two others after 6 and 7 */
	send("abc", 5, 0);
	send("de", 6, 1);
	world_advance_ms(&world, 4999);
	assert_string_equal(bodies(0), WAITS);
	world_advance_ms(&world, 1);
	assert_string_equal(bodies(0), "a b");
	assert_string_equal(bodies(1), "c");
	assert_string_equal(bodies(2), WAITS);
	world_advance_ms(&world, 999);
	assert_string_equal(bodies(2), WAITS);
	world_advance_ms(&world, 1);
	assert_string_equal(bodies(2), "d");
	assert_string_equal(bodies(3), WAITS);
	world_advance_ms(&world, 1000);
	assert_string_equal(bodies(3), "e");
}

/* Each of them sets when what it took comes back to the next. */
static void the_end_of_visibilities(void **state)
{
	static const int visibility_s[] = {3, 2, 4};

	send("a", 0, 0);
	world_ok(&world, "ReceiveMessage", "{" Q ",\"VisibilityTimeout\":1}");
	for (size_t i = 0; i < 3; i++) {
		world_start(&world, &polls[i], "ReceiveMessage",
			"{" Q ",\"WaitTimeSeconds\":20,\"VisibilityTimeout\":%d}", visibility_s[i]);
		service_flush(&world.service);
	}
	wait_for(3, 1);
	world_advance_ms(&world, 999);
	for (size_t i = 0; i < POLLS; i++) {
		assert_string_equal(bodies(i), WAITS);
		world_advance_ms(&world, 1);
		assert_string_equal(bodies(i), "a");
		if (i < 3)
			world_advance_ms(&world, 1000 * visibility_s[i] - 1);
	}
}

static void a_release_in_between(void **state)
{
	char handles[2][64];

	send("ab", 0, 0);
	world_receive(&world, "q");
	for (int i = 0; i < 2; i++)
		world_handle(world.done.answer, i, handles[i]);
	wait_for(0, 1);
	wait_for(1, 1);
	world_ok(&world, "ChangeMessageVisibilityBatch",
		"{" Q ",\"Entries\":[{\"Id\":\"1\",\"ReceiptHandle\":\"%s\","
		"\"VisibilityTimeout\":2},{\"Id\":\"2\",\"ReceiptHandle\":\"%s\","
		"\"VisibilityTimeout\":0}]}",
		handles[0], handles[1]);
	assert_string_equal(bodies(0), "b");
	assert_string_equal(bodies(1), WAITS);
	world_advance_ms(&world, 2000);
	assert_string_equal(bodies(1), "a");
}

/* "letters", whose dead-letter queue is q, with these messages received once. */
static void fail_letters(const char *letters, int visibility_s)
{
	world_ok(&world, "CreateQueue",
		"{\"QueueName\":\"letters\",\"Attributes\":{\"VisibilityTimeout\":\"%d\","
		"\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"" ARN(
			"q") "\\\",\\\"maxReceiveCount\\\":1}\"}}",
		visibility_s);
	for (size_t i = 0; letters[i] != '\0'; i++) {
		char body[2] = {letters[i], '\0'};

		world_send(&world, "letters", body);
	}
	assert_int_equal(world_receive(&world, "letters"), (int)strlen(letters));
}

/* One receive of the source moves them all, and in the same turn they are given on. */
static void dead_letters(void **state)
{
	fail_letters("abcd", 0);
	wait_for(0, 1);
	wait_for(1, 2);
	wait_for(2, 1);
	wait_for(3, 1);
	assert_int_equal(world_receive(&world, "letters"), 0);
	assert_string_equal(bodies(0), "a");
	assert_string_equal(bodies(1), "b c");
	assert_string_equal(bodies(2), "d");
	assert_string_equal(bodies(3), WAITS);
}

/* A receive that waits on the source moves them, too; those who wait on q have the next turn. */
static void dead_letters_moved_by_a_waiting_receive(void **state)
{
	unsigned wanted;

	fail_letters("ab", 3);
	world_start(&world, &polls[0], "ReceiveMessage",
		"{\"QueueUrl\":\"/letters\",\"WaitTimeSeconds\":20}");
	wait_for(1, 1);
	wait_for(2, 1);
	wanted = world.flushes_wanted;
	world_advance_ms(&world, 3000);
	assert_true(world.flushes_wanted > wanted);
	service_flush(&world.service);
	assert_string_equal(bodies(0), WAITS);
	assert_string_equal(bodies(1), "a");
	assert_string_equal(bodies(2), "b");
}

static void start_move(const char *more)
{
	world_ok(&world, "StartMessageMoveTask",
		"{\"SourceArn\":\"" ARN("q") "\",\"DestinationArn\":\"" ARN("target") "\"%s}",
		more);
}

/* Those that wait on the queue to which a task moves. */
static void wait_on_target(size_t poll, int max)
{
	world_start(&world, &polls[poll], "ReceiveMessage",
		"{\"QueueUrl\":\"/target\",\"WaitTimeSeconds\":20,\"MaxNumberOfMessages\":%d}",
		max);
	service_flush(&world.service);
	assert_false(polls[poll].answered);
}

static void a_move_task(void **state)
{
	world_create(&world, "target");
	fail_letters("abcde", 0);
	assert_int_equal(world_receive(&world, "letters"), 0);
	wait_on_target(0, 1);
	wait_on_target(1, 3);
	wait_on_target(2, 10);
	start_move("");
	world_advance_ms(&world, 10);
	assert_string_equal(bodies(0), "a");
	assert_string_equal(bodies(1), "b c d");
	assert_string_equal(bodies(2), "e");
}

/* One message a second: each second serves one. */
static void a_move_task_that_is_paced(void **state)
{
	world_create(&world, "target");
	fail_letters("abc", 0);
	assert_int_equal(world_receive(&world, "letters"), 0);
	for (size_t i = 0; i < 3; i++)
		wait_on_target(i, 10);
	start_move(",\"MaxNumberOfMessagesPerSecond\":1");
	for (size_t i = 0; i < 3; i++) {
		char expected[2] = {"abc"[i], '\0'};

		world_advance_ms(&world, i == 0 ? 1100 : 1000);
		assert_string_equal(bodies(i), expected);
		if (i < 2)
			assert_string_equal(bodies(i + 1), WAITS);
	}
}

static const char *receive_count(size_t poll)
{
	const cJSON *message =
		cJSON_GetArrayItem(cJSON_GetObjectItem(polls[poll].answer, "Messages"), 0);

	return cJSON_GetObjectItem(
		cJSON_GetObjectItem(message, "Attributes"), "ApproximateReceiveCount")
		->valuestring;
}

/* Wherever they stand; no message's receive is counted for them. */
static void those_whose_connection_is_gone_are_passed_over(void **state)
{
	for (size_t i = 0; i < POLLS; i++)
		wait_for(i, 1);
	polls[0].dead = polls[2].dead = true;
	send("ab", 0, 0);
	assert_string_equal(bodies(0), "");
	assert_string_equal(bodies(1), "a");
	assert_string_equal(receive_count(1), "1");
	assert_string_equal(bodies(2), "");
	assert_string_equal(bodies(3), "b");
	assert_string_equal(receive_count(3), "1");
	assert_string_equal(world_counts(&world, "q"), "0 2 0");
}

/* What was for it stays visible when nobody else waits, whatever made it visible. */
static void one_that_is_gone_and_nobody_else(void **state)
{
	wait_for(0, 10);
	polls[0].dead = true;
	send("a", 0, 0);
	assert_string_equal(world_counts(&world, "q"), "1 0 0");
	assert_int_equal(world_receive(&world, "q"), 1);
	send("b", 3, 0);
	wait_for(1, 10);
	polls[1].dead = true;
	world_advance_ms(&world, 3000);
	assert_string_equal(world_counts(&world, "q"), "1 1 0");
	assert_int_equal(world_receive(&world, "q"), 1);
}

/*
 * Whichever allocation fails: each is answered at most once, and a message that was taken is given
 * to one of them or is still there.
 */
static void without_memory(void **state)
{
	unsigned long failed, k = 0;

	do {
		struct world_call send_call = {0};
		int given = 0, waiting = 0;
		const char *counts;

		start(state);
		failmalloc_arm(++k);
		for (size_t i = 0; i < 2; i++) {
			world_start(&world, &polls[i], "ReceiveMessage",
				"{" Q ",\"WaitTimeSeconds\":20}");
			service_flush(&world.service);
		}
		world_start(&world, &send_call, "SendMessage", "{" Q ",\"MessageBody\":\"a\"}");
		service_flush(&world.service);
		failed = failmalloc_disarm();
		service_flush(&world.service);
		for (size_t i = 0; i < 2; i++) {
			given += strcmp(bodies(i), "a") == 0;
			waiting += !polls[i].answered;
		}
		assert_true(send_call.answered);
		counts = world_counts(&world, "q");
		/* A send may be refused for want of memory for its answer alone. */
		if (send_call.call.problem.fault == FAULT_NONE || strcmp(counts, "0 0 0") != 0)
			assert_string_equal(counts, given == 1 ? "0 1 0" : "1 0 0");
		/* Nobody waits for what is there. */
		assert_true(waiting == 0 || strcmp(counts, "1 0 0") != 0);
		assert_true(failed > 0 || (given == 1 && waiting == 1));
		world_end(&send_call);
		end(state);
	} while (failed > 0);
	assert_true(k > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
		T(each_up_to_its_own_maximum),
		T(no_more_than_all_of_them_asked_for),
		T(in_turn),
		T(one_whose_time_is_up_leaves_the_order_alone),
		T(the_end_of_delays),
		T(the_end_of_visibilities),
		T(a_release_in_between),
		T(dead_letters),
		T(dead_letters_moved_by_a_waiting_receive),
		T(a_move_task),
		T(a_move_task_that_is_paced),
		T(those_whose_connection_is_gone_are_passed_over),
		T(one_that_is_gone_and_nobody_else),
		cmocka_unit_test(without_memory),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
