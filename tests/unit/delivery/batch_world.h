/*
 * A world with a failure queue, and a ledger in memory that another worker has, too: where requests
 * are for several.
 */
#ifndef TESTS_DELIVERY_BATCH_WORLD_H
#define TESTS_DELIVERY_BATCH_WORLD_H

#include "delivery/core.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct world world;
static struct mapped_file file;
static struct ledger ledger, another;
static const struct world_options plain = {.concurrency = 1};

static inline void batch_world_open(struct world_options options)
{
	static uint8_t key[SIPHASH_KEY_BYTES] = "bunshin's ledger";

	assert_int_equal(mapped_file_anonymous(1 << 20, &ledger_file, key, &file), 0);
	assert_int_equal(ledger_attach(file.memory, file.bytes, 3600000, &ledger), 0);
	assert_int_equal(ledger_attach(file.memory, file.bytes, 3600000, &another), 0);
	options.ledger = &ledger;
	options.failure_queue = true;
	world_init(&world, &options);
}

static inline void batch_world_close(void)
{
	world_end(&world);
	mapped_file_close(&file);
}

static inline void run(uint64_t limit_us)
{
	world_start(&world);
	world_run_until_done(&world, limit_us);
}

static inline uint64_t counted(enum recipient_count what)
{
	return world.delivery->lanes[0].counts.recipients[what]->value;
}

#endif
