/* How often a host reads the queue's tags, what it makes of them, and what it says in the log. */
#include "base/log.h"
#include "bunshin/error.h"
#include "cli/run/control_reader.h"
#include "fake_sqs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S UINT64_C(1000000)
#define DENIED "{\"__type\":\"com.amazon.coral.service#AccessDeniedException\",\"message\":\"no\"}"
#define UNKNOWN "{\"__type\":\"com.amazon.coral.service#UnknownOperationException\"}"

static struct world *world;
static struct control_reader *reader;
static FILE *log_file;
static struct control_news told_news;
static int told_err;
static bool told_flag;
static unsigned told_times;

static void told(void *arg, int err, const struct control_news *news, const char *words)
{
	assert_int_equal(words[0] != '\0', err != 0);
	told_news = *news;
	told_err = err;
	told_flag = true;
	told_times++;
}

static int open_reader(const struct control_news *before, bool speaks)
{
	const struct control_reader_options options = {.clock = manual_clock_table(&world->clock),
		.client = world->client,
		.queue_url = world->queue_url,
		.speaks = speaks,
		.told = told};

	return control_reader_new(&options, before, &reader);
}

static int set_up(void **state)
{
	world = world_open(&(struct sqs_client_options){.max_attempts = 1}, NULL);
	world->clock.now_us = 100 * S;
	log_file = tmpfile();
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON, fileno(log_file), NULL);
	told_times = 0;
	return open_reader(NULL, true);
}

static int tear_down(void **state)
{
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_AUTO, 2, NULL);
	fclose(log_file);
	control_reader_free(reader);
	world_close(world);
	return 0;
}

/* A second; true: it has asked, and was answered. */
static bool tick(bool works)
{
	size_t before = world->fake.request_count;
	uint64_t requests = sqs_client_stats(world->client)->requests;
	bool asks;

	told_flag = false;
	control_reader_tick(reader, works);
	asks = sqs_client_stats(world->client)->requests > requests;
	if (asks)
		world_run(world, &told_flag);
	assert_int_equal(world->fake.request_count - before, asks);
	world->clock.now_us += S;
	return asks;
}

static unsigned logged(const char *words)
{
	char text[16384];
	unsigned count = 0;
	size_t len;

	rewind(log_file);
	len = fread(text, 1, sizeof(text) - 1, log_file);
	text[len] = '\0';
	for (const char *at = text; (at = strstr(at, words)); at++)
		count++;
	return count;
}

static void reads_while_there_is_work(void **state)
{
	unsigned readings = 0;

	fake_otherwise(&world->fake, 200, "{}");
	/* Once in any case. */
	assert_true(tick(false));
	assert_int_equal(told_err, 0);
	assert_true(told_news.readable);
	assert_int_equal(told_news.read_us, 100 * S);
	for (int second = 0; second < 100; second++)
		assert_false(tick(false));
	/* At once, and then every four to six seconds. */
	assert_true(tick(true));
	for (int second = 0; second < 300; second++)
		readings += tick(true);
	assert_in_range(readings, 300 / 6, 300 / 4);
	assert_int_equal(logged("control"), 0);
}

static void what_they_ask(void **state)
{
	fake_answer(&world->fake, 200, "",
		"{\"Tags\":{\"bunshin:paused\":\"true\",\"bunshin:rate\":\"5/s\",\"x\":\"y\"}}");
	fake_answer(&world->fake, 200, "",
		"{\"Tags\":{\"bunshin:rate\":\"fast\",\"bunshin:cancelled\":\"a b\"}}");
	fake_otherwise(&world->fake, 200, "{}");
	assert_int_equal(control_reader_ask(reader), 0);
	told_flag = false;
	world_run(world, &told_flag);
	assert_true(told_news.control.paused);
	assert_int_equal(told_news.control.rate_count, 5);
	assert_int_equal(logged("control by the queue's tags has changed"), 1);
	assert_int_equal(logged("\"rate\":\"5/s\""), 1);
	/* A rate that does not read: the one before holds, which is told once. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(control_reader_ask(reader), 0);
		told_flag = false;
		world_run(world, &told_flag);
		if (i > 0)
			break;
		assert_false(told_news.control.paused);
		assert_int_equal(told_news.control.rate_count, 5);
		assert_string_equal(told_news.control.cancelled, "a b");
		assert_int_equal(logged("a tag of the queue is not understood"), 1);
	}
	assert_int_equal(told_news.control.rate_count, 0);
	assert_string_equal(told_news.control.cancelled, "");
	assert_int_equal(logged("control by the queue's tags has changed"), 3);
	assert_int_equal(logged("a tag of the queue is not understood"), 1);
}

/* What was in force stays; asked again soon, then more and more seldom. */
static void a_failure_changes_nothing(void **state)
{
	unsigned readings = 0;

	fake_answer(&world->fake, 200, "", "{\"Tags\":{\"bunshin:paused\":\"true\"}}");
	fake_otherwise(&world->fake, 503, "");
	assert_true(tick(true));
	for (int second = 0; second < 600; second++) {
		readings += tick(true);
		assert_true(told_news.control.paused);
		assert_true(told_news.readable);
	}
	assert_int_equal(told_news.read_us, 100 * S);
	assert_in_range(readings, 12, 16);
	assert_int_equal(told_err, ERR_UNAVAILABLE);
	assert_int_equal(logged("cannot be read now"), 1);
	fake_otherwise(&world->fake, 200, "{}");
	for (int second = 0; second < 61; second++)
		tick(true);
	assert_false(told_news.control.paused);
	assert_int_equal(logged("can be read again"), 1);
}

static void denied_is_told_once(void **state)
{
	unsigned readings = 0;

	fake_otherwise(&world->fake, 403, DENIED);
	assert_true(tick(false));
	assert_false(told_news.readable);
	assert_int_equal(told_err, ERR_ACCESS_DENIED);
	for (int second = 0; second < 300; second++)
		assert_false(tick(false));
	for (int second = 0; second < 300; second++)
		readings += tick(true);
	assert_in_range(readings, 5, 6);
	assert_int_equal(logged("may not be read (sqs:ListQueueTags)"), 1);
	/* Permitted now. */
	fake_otherwise(&world->fake, 200, "{}");
	for (int second = 0; second < 61; second++)
		tick(true);
	assert_true(told_news.readable);
	assert_int_equal(logged("can be read again"), 1);
}

/* A service that is like SQS, without tags. */
static void an_operation_that_does_not_exist_is_no_failure(void **state)
{
	fake_otherwise(&world->fake, 400, UNKNOWN);
	assert_true(tick(true));
	assert_false(told_news.readable);
}

static void a_failed_first_reading_is_made_again(void **state)
{
	unsigned readings = 0;

	fake_otherwise(&world->fake, 503, "");
	assert_true(tick(false));
	for (int second = 0; second < 20; second++)
		readings += tick(false);
	assert_in_range(readings, 1, 4);
}

static void the_others_of_a_host_are_silent(void **state)
{
	const struct control_news before = {.control = {.paused = true, .rate_count = 7}};

	control_reader_free(reader);
	assert_int_equal(open_reader(&before, false), 0);
	fake_answer(&world->fake, 200, "", "{\"Tags\":{\"bunshin:rate\":\"?\"}}");
	fake_otherwise(&world->fake, 403, DENIED);
	assert_true(tick(true));
	assert_false(told_news.control.paused);
	assert_int_equal(told_news.control.rate_count, 7);
	for (int second = 0; second < 10; second++)
		tick(true);
	assert_int_equal(logged("message"), 0);
}

/* Freed with the question under way. */
static void one_question_at_a_time(void **state)
{
	fake_silence(&world->fake);
	control_reader_tick(reader, true);
	world_run_requests(world, 1);
	for (int second = 0; second < 9; second++) {
		world->clock.now_us += S;
		control_reader_tick(reader, true);
		assert_int_equal(control_reader_ask(reader), 0);
	}
	assert_int_equal(sqs_client_stats(world->client)->requests, 1);
}

static void on_the_board(void **state)
{
	struct board *board = board_new(1);
	const struct control_news news = {
		.control = {.paused = true, .rate_count = 5, .rate_per_ms = 1000, .cancelled = "a"},
		.read_us = 77,
		.readable = true};
	struct control_news found = {.read_us = 1};

	assert_false(control_board_get(board, "http://h/1/q", &found));
	control_board_set(board, "http://h/1/q", &news);
	assert_false(control_board_get(board, "http://h/1/other", &found));
	assert_int_equal(found.read_us, 1);
	assert_true(control_board_get(board, "http://h/1/q", &found));
	assert_true(control_equal(&found.control, &news.control));
	assert_true(found.readable);
	assert_int_equal(found.read_us, 77);
	board_control_set(board, "x", 1);
	assert_false(control_board_get(board, "http://h/1/q", &found));
	board_free(board);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_while_there_is_work),
		TEST(what_they_ask),
		TEST(a_failure_changes_nothing),
		TEST(denied_is_told_once),
		TEST(an_operation_that_does_not_exist_is_no_failure),
		TEST(a_failed_first_reading_is_made_again),
		TEST(the_others_of_a_host_are_silent),
		TEST(one_question_at_a_time),
		cmocka_unit_test(on_the_board),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
