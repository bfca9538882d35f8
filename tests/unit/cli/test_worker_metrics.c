/* What a worker says of its process and of the ledger: looked at now, and then every 10 s. */
#include "base/manual_clock.h"
#include "base/mapped_file.h"
#include "cli/run/worker_metrics.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define WALL_MS INT64_C(1800000000000)

static struct manual_clock clock_;
static struct mapped_file file;
static struct ledger ledger;
static struct metrics *metrics;
static struct worker_metrics worker;

static int set_up(void **state)
{
	static uint8_t hash_key[SIPHASH_KEY_BYTES];

	manual_clock_init(&clock_, 1, WALL_MS);
	metrics = metrics_new();
	assert_int_equal(mapped_file_anonymous(LEDGER_BYTES_MIN, &ledger_file, hash_key, &file), 0);
	assert_int_equal(ledger_attach(file.memory, LEDGER_BYTES_MIN, 3600000, &ledger), 0);
	return 0;
}

static int tear_down(void **state)
{
	metrics_free(metrics);
	mapped_file_close(&file);
	manual_clock_free(&clock_);
	return 0;
}

static int64_t started(void)
{
	return metrics_gauge_scaled(
		metrics, "bunshin_workers_start_time_seconds", "", "", METRIC_MIN, 3)
		->value;
}

static void looks_every_ten_seconds(void **state)
{
	int64_t fds;
	uint64_t cpu_us;
	int fd;

	assert_int_equal(
		worker_metrics_open(&worker, metrics, manual_clock_table(&clock_), &ledger), 0);
	fds = worker.open_fds->value;
	cpu_us = worker.cpu_us->value;
	assert_true(fds >= 3 && worker.max_fds->value >= fds);
	assert_true(worker.resident_bytes->value > 1 << 20);
	assert_int_equal(worker.ledger_places->value, 128);
	assert_int_equal(worker.ledger_used->value, 0);
	assert_int_equal(started(), WALL_MS);
	for (uint64_t i = 1; i <= 8; i++)
		ledger_accept(&ledger, (struct ledger_key){{i << 61, i}},
			(struct ledger_claim){.meta = 0}, WALL_MS);
	fd = open("/dev/null", O_RDONLY);
	manual_clock_advance(&clock_, WORKER_METRICS_LOOK_US - 1);
	worker_metrics_show(&worker);
	assert_int_equal(worker.open_fds->value, fds);
	assert_int_equal(worker.ledger_used->value, 0);
	manual_clock_advance(&clock_, 1);
	worker_metrics_show(&worker);
	assert_int_equal(worker.open_fds->value, fds + 1);
	assert_int_equal(worker.ledger_used->value, 8 * 1000 / 128);
	assert_true(worker.cpu_us->value >= cpu_us);
	close(fd);
}

static void without_a_ledger(void **state)
{
	const struct ledger none = {.table = NULL};

	assert_int_equal(
		worker_metrics_open(&worker, metrics, manual_clock_table(&clock_), &none), 0);
	assert_int_equal(worker.ledger_places->value, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(looks_every_ten_seconds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_a_ledger, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
