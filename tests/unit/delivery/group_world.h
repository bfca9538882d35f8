/* A FIFO queue in the world of the core, and messages for its groups. */
#ifndef TEST_GROUP_WORLD_H
#define TEST_GROUP_WORLD_H

#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct world world;
static char label[64];

static inline void open_world(const struct world_options *options)
{
	struct world_options fifo = *options;

	fifo.fifo = true;
	world_init(&world, &fifo);
}

static inline size_t add_with(
	const char *group_id, const char *name, const char *type, const char *value)
{
	char body[32];
	struct queue_attribute attribute = {
		.name = name, .type = type, .value = value, .value_bytes = strlen(value)};

	snprintf(body, sizeof(body), "body %zu", world.queue.count);
	return fake_queue_put_grouped(&world.queue, group_id, body, strlen(body), &attribute, 1)
		->index;
}

static inline size_t add_to_lane(const char *group_id, unsigned lane)
{
	static const char *const names[] = {"lane0", "lane1", "lane2", "lane3"};

	return add_with(group_id, "Destination", "String", names[lane]);
}

static inline void expect_attempts(unsigned lane, const size_t messages[], size_t count)
{
	assert_int_equal(world.targets[lane].log_count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(world.targets[lane].log[i].message, messages[i]);
}

#endif
