/* How often the queue is asked for what it holds, and what the board then says. */
#include "base/log.h"
#include "bunshin/error.h"
#include "cli/run/backlog.h"
#include "fake_sqs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S UINT64_C(1000000)
#define ATTRIBUTES                                                \
	"{\"Attributes\":{\"ApproximateNumberOfMessages\":\"7\"," \
	"\"ApproximateNumberOfMessagesNotVisible\":\"5\","        \
	"\"ApproximateNumberOfMessagesDelayed\":\"3\",\"VisibilityTimeout\":\"45\"}}"
#define DENIED "{\"__type\":\"com.amazon.coral.service#AccessDeniedException\",\"message\":\"no\"}"

static struct world *world;
static struct board *board;
static struct backlog *backlog;
static FILE *log_file;

static int set_up(void **state)
{
	world = world_open(&(struct sqs_client_options){0}, NULL);
	world->clock.now_us = 100 * S;
	board = board_new(1);
	log_file = tmpfile();
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON, fileno(log_file), NULL);
	return backlog_new(manual_clock_table(&world->clock), world->client, world->queue_url,
		board, &backlog);
}

static int tear_down(void **state)
{
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_AUTO, 2, NULL);
	fclose(log_file);
	backlog_free(backlog);
	world_close(world);
	board_free(board);
	return 0;
}

static struct board_backlog known(void)
{
	struct board_backlog ret;

	board_backlog_get(board, &ret);
	return ret;
}

static void tick(uint64_t interval_us)
{
	backlog_tick(backlog, interval_us);
	world->clock.now_us += S;
}

/* It asks, and what it is answered has got to the board. */
static void tick_asks(uint64_t interval_us)
{
	const struct board_backlog before = {.visible = 999, .asked_us = 1};

	board_backlog_set(board, &before);
	backlog_tick(backlog, interval_us);
	while (known().visible == before.visible)
		uv_run(&world->loop, UV_RUN_ONCE);
	world->clock.now_us += S;
}

static unsigned logged(const char *words)
{
	char text[8192];
	unsigned count = 0;
	size_t len;

	rewind(log_file);
	len = fread(text, 1, sizeof(text) - 1, log_file);
	text[len] = '\0';
	for (const char *at = text; (at = strstr(at, words)); at++)
		count++;
	return count;
}

static void asks_at_once_and_at_its_interval(void **state)
{
	fake_otherwise(&world->fake, 200, ATTRIBUTES);
	assert_int_equal(known().visible, -1);
	tick_asks(5 * S);
	assert_int_equal(known().visible, 7);
	assert_int_equal(known().in_flight, 5);
	assert_int_equal(known().delayed, 3);
	assert_int_equal(known().asked_us, 100 * S);
	for (int second = 1; second < 20; second++)
		if (second % 5 == 0)
			tick_asks(5 * S);
		else
			tick(5 * S);
	/* Idle from now on, then busy: at once, when the shorter interval is over already. */
	for (int second = 20; second < 50; second++)
		tick(60 * S);
	assert_int_equal(world->fake.request_count, 4);
	tick_asks(5 * S);
	assert_int_equal(world->fake.request_count, 5);
}

/* Closed with the question under way. */
static void one_question_at_a_time(void **state)
{
	fake_silence(&world->fake);
	tick(5 * S);
	world_run_requests(world, 1);
	for (int second = 1; second < 9; second++)
		tick(5 * S);
	assert_int_equal(sqs_client_stats(world->client)->requests, 1);
}

static void not_known_while_the_queue_does_not_say(void **state)
{
	fake_answer(&world->fake, 200, "", ATTRIBUTES);
	fake_answer(&world->fake, 400, "", DENIED);
	fake_answer(&world->fake, 400, "", DENIED);
	fake_answer(&world->fake, 200, "", ATTRIBUTES);
	tick_asks(S);
	assert_int_equal(known().visible, 7);
	tick_asks(S);
	assert_int_equal(known().visible, -1);
	assert_int_equal(known().asked_us, 0);
	tick_asks(S);
	assert_int_equal(logged("the backlog is not known"), 1);
	assert_int_equal(logged("known again"), 0);
	tick_asks(S);
	assert_int_equal(known().visible, 7);
	assert_int_equal(logged("known again"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(asks_at_once_and_at_its_interval),
		TEST(one_question_at_a_time),
		TEST(not_known_while_the_queue_does_not_say),
	};

	return cmocka_run_group_tests_name("backlog", tests, NULL, NULL);
}
