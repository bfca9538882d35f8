/* Numbers, positions and what is kept. */
#include "results/log_files.h"

#include "directory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	char path[DIRECTORY_PATH_SIZE];
	int directory;
};

static int set_up(void **state)
{
	static struct world world;

	directory_make(world.path);
	world.directory = log_files_open(world.path);
	*state = &world;
	return world.directory >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	close(world->directory);
	directory_remove(world->path);
	return 0;
}

static void put(struct world *world, const char *name, const char *text)
{
	directory_write(world->path, name, text, strlen(text));
}

static void a_position_is_kept(void **state)
{
	struct world *world = *state;
	struct log_number number;

	assert_int_equal(log_files_take(world->directory, &number), 0);
	assert_int_equal(number.sent.sequence, 0);
	assert_int_equal(number.sequence, 1);
	assert_int_equal(log_files_set_sent(&number, (struct log_position){7, 123456789}), 0);
	log_files_release(&number);
	assert_false(number.held);
	assert_int_equal(log_files_take(world->directory, &number), 0);
	assert_int_equal(number.sent.sequence, 7);
	assert_int_equal(number.sent.offset, 123456789);
	/* The files up to there are gone, and their numbers are not used again. */
	assert_int_equal(number.sequence, 7);
	/* A shorter one leaves nothing of a longer one. */
	assert_int_equal(log_files_set_sent(&number, (struct log_position){8, 0}), 0);
	log_files_release(&number);
	assert_int_equal(log_files_take(world->directory, &number), 0);
	assert_int_equal(number.sent.sequence, 8);
	assert_int_equal(number.sent.offset, 0);
	log_files_release(&number);
}

/* Anything may stand there: then nothing has been sent. */
static void a_position_that_cannot_be_read(void **state)
{
	static const char *const texts[] = {"", "7", "7 ", "7 5", " 7 5 ", "x", "7 x ", "-7 5 ",
		"07 5 ", "7 05 ", "99999999999999999999 5 ", "7 99999999999999999999 ",
		"9007199254740993 5 "};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct world *world = *state;
		struct log_number number;

		put(world, "outcomes-0.position", texts[i]);
		assert_int_equal(log_files_take(world->directory, &number), 0);
		if (number.sent.sequence != 0 || number.sent.offset != 0)
			fail_msg("was read: %s", texts[i]);
		assert_int_equal(number.sequence, 1);
		log_files_release(&number);
	}
}

static void other_files_are_left_alone(void **state)
{
	static const char *const names[] = {"outcomes-0.jsonl.", "outcomes-0.jsonl.0",
		"outcomes-0.jsonl.01", "outcomes-0.jsonl.1x", "outcomes-00.jsonl.1",
		"outcomes-10000.jsonl.1", "outcomes-0.jsonl.9007199254740993", "outcomes-.jsonl.1",
		"xoutcomes-0.jsonl.1", "outcomes-0.jsonl.1.gz", "OUTCOMES-0.jsonl.1"};
	struct world *world = *state;
	struct log_number number;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put(world, names[i], "something");
	assert_int_equal(log_files_take(world->directory, &number), 0);
	assert_int_equal(number.sequence, 1);
	assert_int_equal(log_files_unsent(&number), 0);
	assert_int_equal(log_files_prune(world->directory, 0, true), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!directory_has(world->path, names[i]))
			fail_msg("was deleted: %s", names[i]);
	log_files_release(&number);
}

static void what_nobody_holds_is_adopted(void **state)
{
	struct world *world = *state;
	struct log_number own, other, adopted;

	assert_false(log_files_adopt(world->directory, -1, &adopted));
	assert_int_equal(log_files_take(world->directory, &own), 0);
	assert_int_equal(log_files_take(world->directory, &other), 0);
	put(world, "outcomes-0.jsonl", "text");
	put(world, "outcomes-1.jsonl", "text");
	/* Both are held. */
	assert_false(log_files_adopt(world->directory, -1, &adopted));
	/* Of 2 everything was sent, of 3 not, 5 has a former file. */
	put(world, "outcomes-2.position", "1 4 \n");
	put(world, "outcomes-2.jsonl", "text");
	put(world, "outcomes-3.position", "1 3 \n");
	put(world, "outcomes-3.jsonl", "text");
	put(world, "outcomes-5.position", "");
	put(world, "outcomes-5.jsonl.9", "text");
	put(world, "outcomes-5.jsonl", "");
	assert_true(log_files_adopt(world->directory, -1, &adopted));
	assert_int_equal(adopted.number, 3);
	assert_int_equal(log_files_unsent(&adopted), 1);
	/* Held by us now. */
	log_files_release(&other);
	assert_true(log_files_adopt(world->directory, 1, &other));
	assert_int_equal(other.number, 5);
	assert_int_equal(other.sequence, 10);
	assert_int_equal(log_files_unsent(&other), 4);
	log_files_release(&other);
	log_files_release(&adopted);
	assert_true(log_files_adopt(world->directory, -1, &adopted));
	assert_int_equal(adopted.number, 1);
	log_files_release(&adopted);
	log_files_release(&own);
}

static void a_directory_that_may_not_be_made(void **state)
{
	struct world *world = *state;
	char path[256];

	snprintf(path, sizeof(path), "%s/a/b", world->path);
	assert_int_equal(log_files_open(path), -ENOENT);
	put(world, "outcomes-file", "");
	snprintf(path, sizeof(path), "%s/outcomes-file", world->path);
	assert_int_equal(log_files_open(path), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/outcomes-file/x", world->path);
	assert_int_equal(log_files_open(path), -ENOTDIR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_position_is_kept),
		TEST(a_position_that_cannot_be_read),
		TEST(other_files_are_left_alone),
		TEST(what_nobody_holds_is_adopted),
		TEST(a_directory_that_may_not_be_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
