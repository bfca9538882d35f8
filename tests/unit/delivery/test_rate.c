/* The shared rate: exact values, then schedules and processes against the cell rate's promise. */
#include "base/random.h"
#include "bunshin/error.h"
#include "delivery/rate.h"
#include "rate_draw.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HOUR_MS 3600000

static void make_has_exact_values(void **state)
{
	static const struct {
		uint64_t count;
		int64_t per_ms;
		uint64_t hosts, interval_ns, burst_ns;
	} rows[] = {
		{1, SECOND_MS, 1, 1000000000, 1000000},
		{3, SECOND_MS, 1, 333333334, 1000000}, /* rounded up */
		{20, SECOND_MS, 1, 50000000, 1000000},
		{21, SECOND_MS, 1, 47619048, 2380952},
		{2000, SECOND_MS, 1, 500000, 49500000},
		{2000, SECOND_MS, 4, 2000000, 48000000},
		{600000, 60 * SECOND_MS, 1, 100000, 49900000},
		{1, HOUR_MS, 1, UINT64_C(3600000000000), 1000000},
		{1, HOUR_MS, 100000, UINT64_C(360000000000000000), 1000000},
		{1000000000, HOUR_MS, 1, 3600, 49996400},
		{1000000000, SECOND_MS, 1, 1, 49999999},
		{1000000000, 1, 1, 1, 49999999},
		{1000000000, 1, 100000, 100, 49999900},
		{UINT64_MAX, 1, 1, 1, 49999999},
		{1, INT64_MAX, UINT64_MAX, UINT64_C(1000000000000000000), 1000000},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rate rate = rate_make(NULL, rows[i].count, rows[i].per_ms, rows[i].hosts);

		assert_int_equal(rate.interval_ns, rows[i].interval_ns);
		assert_int_equal(rate.burst_ns, rows[i].burst_ns);
	}
}

/* 2,000 a second: 1 ms worth of them and one at first, then one every 500 us. */
static void takes_at_exact_instants(void **state)
{
	struct rate_cell cell = {0};
	struct rate rate = rate_make(&cell, 2000, SECOND_MS, 1);
	uint64_t wait_us = 77;

	for (int i = 0; i < 3; i++)
		assert_true(rate_take(&rate, 7 * S, &wait_us));
	assert_int_equal(wait_us, 77);
	for (uint64_t now_us = 7 * S; now_us < 8 * S; now_us += 500) {
		assert_false(rate_take(&rate, now_us, &wait_us));
		assert_int_equal(wait_us, 500);
		assert_false(rate_take(&rate, now_us + 499, &wait_us));
		assert_int_equal(wait_us, 1);
		assert_true(rate_take(&rate, now_us + 500, &wait_us));
	}
	/* What comes late has a burst to make up for it, and after a pause it begins anew. */
	assert_int_equal(rate_within(&rate, 8 * S + 25 * MS, 0), 50);
	assert_int_equal(rate_within(&rate, 8 * S + 50 * MS, 0), 100);
	assert_int_equal(rate_within(&rate, 9 * S + 50 * MS, 0), 100);
	assert_int_equal(rate_within(&rate, 9 * S + 50 * MS + 1, 0), 3);
	assert_int_equal(rate_within(&rate, 60 * S, 0), 3);
	for (int i = 0; i < 3; i++)
		assert_true(rate_take(&rate, 60 * S, &wait_us));
	assert_false(rate_take(&rate, 60 * S, &wait_us));
	for (int i = 0; i < 100; i++)
		assert_true(rate_take(&rate, 60 * S + 50 * MS, &wait_us));
	assert_false(rate_take(&rate, 60 * S + 50 * MS, &wait_us));
}

/* The first second of a campaign, whose takers come as often as they can. */
static void the_first_second_has_no_burst(void **state)
{
	struct rate_cell cell = {0};
	struct rate rate = rate_make(&cell, 200, SECOND_MS, 1);
	uint64_t wait_us;
	unsigned taken = 0;

	for (uint64_t now_us = 9 * S; now_us < 10 * S; now_us += MS)
		taken += rate_take(&rate, now_us, &wait_us);
	assert_int_equal(taken, 201); /* 1 ms ahead */
	assert_int_equal(rate_burst(&rate), 10);
}

/* One a second: one token, and the next may come a millisecond early, but the third may not. */
static void a_slow_rate_has_a_burst_of_one(void **state)
{
	struct rate_cell cell = {0};
	struct rate rate = rate_make(&cell, 1, SECOND_MS, 1);
	uint64_t wait_us;

	assert_true(rate_take(&rate, S, &wait_us));
	assert_false(rate_take(&rate, S, &wait_us));
	assert_int_equal(wait_us, 999 * MS);
	assert_true(rate_take(&rate, S + 999 * MS, &wait_us));
	assert_false(rate_take(&rate, S + 999 * MS, &wait_us));
	assert_int_equal(wait_us, S);
	/* A millisecond late each time: still one a second. */
	for (uint64_t i = 3; i < 1000; i++)
		assert_true(rate_take(&rate, i * S, &wait_us));
}

static void no_cell_is_no_limit(void **state)
{
	struct rate rate = rate_make(NULL, 1, HOUR_MS, 1);
	uint64_t wait_us;

	for (int i = 0; i < 1000; i++)
		assert_true(rate_take(&rate, 1, &wait_us));
	assert_int_equal(rate_within(&rate, 1, 0), UINT64_MAX);
	assert_int_equal(rate_burst(&rate), UINT64_MAX);
}

/* Any configuration, any state, any instant: the wait is exact to the microsecond. */
static void the_wait_is_exact(void **state)
{
	uint64_t random = 1;

	for (int i = 0; i < 200000; i++) {
		struct rate_cell cell = {0};
		struct rate rate = rate_make(&cell, log_uniform(&random, 1000000000),
			(int64_t)log_uniform(&random, HOUR_MS), log_uniform(&random, 100000));
		uint64_t now_us = log_uniform(&random, UINT64_C(1) << 52);
		uint64_t ahead_ns = rate.burst_ns + rate.interval_ns;
		uint64_t wait_us = 0, again_us = 0;
		struct rate_cell before;

		cell.arrival_ns =
			now_us * 1000 + random_below(random_split_mix(&random), ahead_ns + 1);
		before = cell;
		if (rate_take(&rate, now_us, &wait_us)) {
			assert_true(before.arrival_ns <= now_us * 1000 + rate.burst_ns);
			assert_int_equal(cell.arrival_ns, before.arrival_ns + rate.interval_ns);
			continue;
		}
		assert_true(wait_us >= 1);
		assert_int_equal(cell.arrival_ns, before.arrival_ns);
		if (wait_us > 1)
			assert_false(rate_take(&rate, now_us + wait_us - 1, &again_us));
		assert_int_equal(again_us, wait_us > 1 ? 1 : 0);
		assert_true(rate_take(&rate, now_us + wait_us, &again_us));
	}
}

/* rate_within against taking them one by one. */
static void within_is_exact(void **state)
{
	uint64_t random = 2;

	for (int i = 0; i < 3000; i++) {
		struct rate_cell cell = {0};
		struct rate rate = rate_make(&cell, log_uniform(&random, 100000),
			(int64_t)log_uniform(&random, 10000), log_uniform(&random, 10));
		uint64_t now_us = S + log_uniform(&random, S);
		uint64_t horizon_us = log_uniform(&random, 1000 * rate.interval_ns / 1000 + 1);
		uint64_t wait_us, taken = 0, promised, begin_us = now_us;

		for (uint64_t n = random_below(random_split_mix(&random), 40); n > 0; n--)
			if (!rate_take(&rate, now_us, &wait_us))
				break;
		promised = rate_within(&rate, now_us, horizon_us);
		while (now_us <= begin_us + horizon_us) {
			if (rate_take(&rate, now_us, &wait_us))
				taken++;
			else
				now_us += wait_us;
		}
		assert_int_equal(taken, promised);
	}
}

static void within_does_not_overflow(void **state)
{
	struct rate_cell cell = {0};
	struct rate fast = rate_make(&cell, 1000000000, 1, 1);
	struct rate slow = rate_make(&cell, 1, HOUR_MS, 100000);

	assert_int_equal(rate_within(&fast, S, 0), 1000001);
	assert_int_equal(rate_within(&fast, S, UINT64_MAX), UINT64_MAX);
	assert_int_equal(rate_within(&slow, S, 0), 1);
	assert_int_equal(rate_within(&slow, S, UINT64_MAX), 51241);
}

/* A number of an earlier boot, whose clock had run for longer. */
static void a_stale_number_is_ignored(void **state)
{
	struct rate_cell cell = {0};
	struct rate rate = rate_make(&cell, 10, SECOND_MS, 1);
	uint64_t honest_ns = 5 * S * 1000 + rate.burst_ns + rate.interval_ns;
	uint64_t wait_us;

	/* The furthest that is honest, seen by one whose clock reading is 10 s old. */
	cell.arrival_ns = honest_ns + 10 * S * 1000;
	assert_int_equal(rate_within(&rate, 5 * S, 0), 0);
	assert_false(rate_take(&rate, 5 * S, &wait_us));
	assert_int_equal(wait_us, 10 * S + 100 * MS);
	cell.arrival_ns = honest_ns + 10 * S * 1000 + 1;
	assert_int_equal(rate_within(&rate, 5 * S, 0), 1);
	assert_true(rate_take(&rate, 5 * S, &wait_us));
	assert_int_equal(cell.arrival_ns, 5 * S * 1000 + rate.interval_ns);
	for (uint64_t far_ns = UINT64_C(1) << 40; far_ns; far_ns <<= 1) {
		cell.arrival_ns = far_ns;
		assert_true(rate_take(&rate, 5 * S, &wait_us));
		cell.arrival_ns = far_ns - 1;
		assert_true(rate_take(&rate, 5 * S, &wait_us));
	}
	cell.arrival_ns = UINT64_MAX;
	assert_true(rate_take(&rate, 5 * S, &wait_us));
}

#define LOG_MAX 4096

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/*
 * Several takers, whose clock readings are up to 5 ms old, ask at random: between no two instants
 * T apart more than 1 + (T + burst) / interval. Of the takes k in their order, with times t, that
 * is (k * interval - t) growing by no more than the burst between any two of them.
 */
static void never_more_than_promised(void **state)
{
	static int64_t taken_ns[LOG_MAX];
	uint64_t random = 3;

	for (int run = 0; run < 300; run++) {
		struct rate_cell cell = {0};
		struct rate rate = rate_make(&cell, log_uniform(&random, 100000),
			(int64_t)log_uniform(&random, 10000), log_uniform(&random, 10));
		uint64_t now_us = S, wait_us, pause_us = log_uniform(&random, 200 * MS);
		int64_t lowest = INT64_MAX;
		size_t count = 0;

		for (int i = 0; i < 20000 && count < LOG_MAX; i++) {
			uint64_t at_us = now_us - random_below(random_split_mix(&random), 5 * MS);

			if (rate_take(&rate, at_us, &wait_us))
				taken_ns[count++] = (int64_t)at_us * 1000;
			else
				now_us += random_below(random_split_mix(&random), pause_us);
		}
		qsort(taken_ns, count, sizeof(taken_ns[0]), compare);
		for (size_t k = 0; k < count; k++) {
			int64_t lead = (int64_t)(k * rate.interval_ns) - taken_ns[k];

			lowest = lead < lowest ? lead : lowest;
			assert_true(lead - lowest <= (int64_t)rate.burst_ns);
		}
	}
}

#define TAKERS 4
#define NOT_READING UINT64_MAX

struct shared {
	struct rate_cell cell;
	_Atomic uint64_t now_us;
	_Atomic uint64_t reading_us[TAKERS]; /* the clock as each has read it and still uses it */
	_Atomic uint64_t taken;
	_Atomic uint64_t ready;
	uint64_t end_us;
};

/* Reads the clock, so that whoever moves it on afterwards knows. */
static uint64_t read_clock(struct shared *shared, int taker)
{
	uint64_t now_us;

	do {
		now_us = atomic_load(&shared->now_us);
		atomic_store(&shared->reading_us[taker], now_us);
	} while (atomic_load(&shared->now_us) != now_us);
	return now_us;
}

/* In this fast time a descheduled taker would soon be 10 s behind, which rate.h excludes. */
static bool leaves_nobody_behind(const struct shared *shared, uint64_t to_us)
{
	for (int i = 0; i < TAKERS; i++) {
		uint64_t reading_us = atomic_load(&shared->reading_us[i]);

		if (reading_us != NOT_READING && to_us > reading_us + 10 * S)
			return false;
	}
	return true;
}

/*
 * Takes as long as there is something to take. Time moves on only when a taker was told to wait,
 * and just so far: so the demand is always there.
 */
static void take_until_the_end(struct shared *shared, const struct rate *rate, int taker)
{
	for (;;) {
		uint64_t now_us = read_clock(shared, taker), wait_us;
		bool taken = rate_take(rate, now_us, &wait_us);

		atomic_store(&shared->reading_us[taker], NOT_READING);
		if (taken)
			atomic_fetch_add(&shared->taken, 1);
		else if (now_us + wait_us > shared->end_us)
			return;
		else if (leaves_nobody_behind(shared, now_us + wait_us))
			atomic_compare_exchange_strong(&shared->now_us, &now_us, now_us + wait_us);
		else
			sched_yield();
	}
}

static void *share(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

static void fork_takers(struct shared *shared, const struct rate *rate, pid_t pids[TAKERS])
{
	fflush(stdout);
	for (int i = 0; i < TAKERS; i++)
		shared->reading_us[i] = NOT_READING;
	for (int i = 0; i < TAKERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			/* All at once, else the first would have done all the work. */
			atomic_fetch_add(&shared->ready, 1);
			while (atomic_load(&shared->ready) < TAKERS)
				sched_yield();
			take_until_the_end(shared, rate, i);
			_exit(0);
		}
	}
}

/* Not one token too many, and not one too few. */
static void processes_share_exactly_the_rate(void **state)
{
	static const struct {
		uint64_t count;
		int64_t per_ms;
		uint64_t end_us;
	} rows[] = {{2000, SECOND_MS, 100 * S}, {1000000, SECOND_MS, S + S / 2},
		{3, SECOND_MS, 20000 * S}, {7, 1, 20 * S}, {999983, HOUR_MS, 600 * S},
		{1, 8 * SECOND_MS, 80000 * S}}; /* a wait of 10 s is excluded: see above */

	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct shared *shared = share(sizeof(*shared));
		struct rate_cell alone = {0};
		struct rate rate = rate_make(&alone, rows[row].count, rows[row].per_ms, 1);
		uint64_t expected = rate_within(&rate, S, rows[row].end_us - S);
		pid_t pids[TAKERS];

		rate.cell = &shared->cell;
		shared->now_us = S;
		shared->end_us = rows[row].end_us;
		fork_takers(shared, &rate, pids);
		for (int i = 0; i < TAKERS; i++) {
			int status;

			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			assert_int_equal(status, 0);
		}
		assert_int_equal(shared->taken, expected);
		munmap(shared, sizeof(*shared));
	}
}

/* Three of four die wherever they are: each takes at most one token with it. */
static void a_killed_taker_takes_one_token_with_it(void **state)
{
	for (int run = 0; run < 30; run++) {
		struct shared *shared = share(sizeof(*shared));
		struct rate_cell alone = {0};
		struct rate rate = rate_make(&alone, 1000000, SECOND_MS, 1);
		uint64_t expected = rate_within(&rate, S, S / 4);
		pid_t pids[TAKERS];

		rate.cell = &shared->cell;
		shared->now_us = S;
		shared->end_us = S + S / 4;
		fork_takers(shared, &rate, pids);
		while (atomic_load(&shared->ready) < TAKERS ||
			atomic_load(&shared->taken) < 1000 * (uint64_t)run)
			sched_yield();
		for (int i = 0; i < TAKERS - 1; i++) {
			kill(pids[i], SIGKILL);
			assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
			shared->reading_us[i] = NOT_READING;
		}
		assert_int_equal(waitpid(pids[TAKERS - 1], NULL, 0), pids[TAKERS - 1]);
		assert_in_range(shared->taken, expected - (TAKERS - 1), expected);
		munmap(shared, sizeof(*shared));
	}
}

static void *formatted(size_t bytes)
{
	void *memory = share(bytes);

	assert_int_equal(rate_file.format(NULL, memory, bytes), 0);
	return memory;
}

static void one_name_has_one_cell(void **state)
{
	char *memory = formatted(RATE_FILE_BYTES);
	struct rate_cell *cells[RATE_CELLS];
	char name[32];

	for (int i = 0; i < RATE_CELLS; i++) {
		snprintf(name, sizeof(name), "%d", i);
		cells[i] = rate_cell_of(memory, RATE_FILE_BYTES, name);
		assert_non_null(cells[i]);
		assert_in_range(
			(char *)cells[i] - memory, 64, RATE_FILE_BYTES - sizeof(struct rate_cell));
		for (int j = 0; j < i; j++)
			assert_ptr_not_equal(cells[i], cells[j]);
	}
	for (int i = 0; i < RATE_CELLS; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_ptr_equal(rate_cell_of(memory, RATE_FILE_BYTES, name), cells[i]);
	}
	/* Full. */
	assert_null(rate_cell_of(memory, RATE_FILE_BYTES, "one more"));
	assert_null(rate_cell_of(memory, RATE_FILE_BYTES, ""));
	assert_null(rate_cell_of(memory, RATE_FILE_BYTES - 1, "0"));
	munmap(memory, RATE_FILE_BYTES);
}

/* Every process names all of them, each in an order of its own, at the same time. */
static void processes_agree_on_the_cells(void **state)
{
	char *memory = formatted(RATE_FILE_BYTES);
	_Atomic uint64_t *ready = share(4096);
	ptrdiff_t(*found)[RATE_CELLS] = share(TAKERS * sizeof(*found));
	pid_t pids[TAKERS];

	fflush(stdout);
	for (int k = 0; k < TAKERS; k++) {
		pids[k] = fork();
		assert_true(pids[k] >= 0);
		if (pids[k] > 0)
			continue;
		atomic_fetch_add(ready, 1);
		while (atomic_load(ready) < TAKERS)
			sched_yield();
		for (int i = 0; i < RATE_CELLS; i++) {
			static const int strides[TAKERS] = {1, 3, 5, 1023};
			int n = i * strides[k] % RATE_CELLS;
			char name[32];

			snprintf(name, sizeof(name), "destination %d", n);
			found[k][n] = (char *)rate_cell_of(memory, RATE_FILE_BYTES, name) - memory;
		}
		_exit(0);
	}
	for (int k = 0; k < TAKERS; k++)
		assert_int_equal(waitpid(pids[k], NULL, 0), pids[k]);
	for (int k = 0; k < TAKERS; k++)
		assert_memory_equal(found[k], found[0], sizeof(found[0]));
	for (int i = 0; i < RATE_CELLS; i++)
		assert_in_range(found[0][i], 64, RATE_FILE_BYTES - 1);
	munmap(found, TAKERS * sizeof(*found));
	munmap((void *)(uintptr_t)ready, 4096);
	munmap(memory, RATE_FILE_BYTES);
}

static void assert_refused(const void *memory, size_t bytes, const char *expected)
{
	struct buf reason = BUF_INIT(200);

	assert_int_equal(rate_file.check(NULL, memory, bytes, &reason), ERR_SYNTAX);
	if (expected)
		assert_string_equal(buf_string(&reason), expected);
	else
		assert_true(reason.len > 0);
	buf_free(&reason);
}

static void another_file_is_refused(void **state)
{
	unsigned char *memory = formatted(RATE_FILE_BYTES + 4096);
	struct buf reason = BUF_INIT(200);

	assert_int_equal(rate_file.check(NULL, memory, RATE_FILE_BYTES, &reason), 0);
	assert_int_equal(rate_file.check(NULL, memory, RATE_FILE_BYTES + 4096, &reason), 0);
	assert_string_equal(buf_string(&reason), "");
	assert_refused(memory, RATE_FILE_BYTES - 1, "24639 bytes, not 24640");
	assert_refused(memory, 1, "1 bytes, not 24640");
	assert_int_equal(rate_file.format(NULL, memory, RATE_FILE_BYTES - 1), ERR_ARGUMENT);
	/* Every bit of the header that means something. */
	for (size_t bit = 0; bit < 24 * 8; bit++) {
		memory[bit / 8] ^= (unsigned char)(1u << bit % 8);
		assert_refused(memory, RATE_FILE_BYTES, NULL);
		memory[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	memory[8]++;
	assert_refused(memory, RATE_FILE_BYTES, "version 3, this program knows 2");
	memory[8]--;
	memory[12]++;
	assert_refused(memory, RATE_FILE_BYTES, "1025 cells, not 1024");
	memory[12]--;
	memory[16]++;
	assert_refused(memory, RATE_FILE_BYTES, "the checksum of its header is wrong");
	memory[16]--;
	memory[0]++;
	assert_refused(memory, RATE_FILE_BYTES, "not a file of rates");
	memset(memory, 0, RATE_FILE_BYTES);
	assert_refused(memory, RATE_FILE_BYTES, "not a file of rates");
	munmap(memory, RATE_FILE_BYTES + 4096);
}

/* Cells of any content: a cell is found or it is not, and whatever is in it, tokens come. */
static void any_content_is_usable(void **state)
{
	unsigned char *memory = formatted(RATE_FILE_BYTES);
	uint64_t random = 4;

	for (int run = 0; run < 200; run++) {
		struct rate_cell *cell;
		struct rate rate;
		uint64_t now_us = S, wait_us = 0;

		for (size_t i = 64; i < RATE_FILE_BYTES; i++)
			memory[i] = random_split_mix(&random) % 4 ? 0 : (unsigned char)random;
		memset(memory + 64 + run * sizeof(*cell), 0, sizeof(cell->name));
		cell = rate_cell_of(memory, RATE_FILE_BYTES, "somebody");
		if (!cell)
			continue;
		rate = rate_make(cell, 1 + random % 1000, SECOND_MS, 1);
		if (!rate_take(&rate, now_us, &wait_us))
			assert_true(rate_take(&rate, now_us + wait_us, &wait_us));
		assert_true(wait_us <= 12 * S);
	}
	munmap(memory, RATE_FILE_BYTES);
}

static void looking_takes_nothing(void **state)
{
	struct rate_cell own = {0};
	struct rate rate = rate_make(&own, 2000, SECOND_MS, 1), none = {.cell = NULL};
	uint64_t wait_us = 77, taken_wait_us;

	assert_true(rate_has(&none, S, &wait_us));
	assert_int_equal(rate_arrival_ns(&none), 0);
	for (int i = 0; i < 3; i++) {
		assert_true(rate_has(&rate, 7 * S, &wait_us));
		assert_true(rate_take(&rate, 7 * S, &wait_us));
	}
	assert_int_equal(wait_us, 77);
	assert_false(rate_has(&rate, 7 * S, &wait_us));
	assert_false(rate_take(&rate, 7 * S, &taken_wait_us));
	assert_int_equal(wait_us, taken_wait_us);
	assert_false(rate_has(&rate, 7 * S + 499, &wait_us));
	assert_true(rate_has(&rate, 7 * S + 500, &wait_us));
}

/* What a taker of the slower rate did is undone as far as the new one could have done it. */
static void a_raised_rate_does_not_wait_for_the_old_one(void **state)
{
	struct rate_cell own = {0};
	struct rate slow = rate_make(&own, 1, 8000, 1), fast = rate_make(&own, 2000, SECOND_MS, 1);
	struct rate none = {.cell = NULL};
	uint64_t wait_us, arrival_ns;

	assert_true(rate_rein(&none, 0, S));
	assert_true(rate_take(&slow, 100 * S, &wait_us));
	assert_false(rate_take(&fast, 100 * S, &wait_us));
	assert_int_equal(wait_us, 8 * S - 49500);
	arrival_ns = rate_arrival_ns(&fast);
	assert_int_equal(arrival_ns, 108 * S * 1000);
	/* Somebody took one since. */
	assert_false(rate_rein(&fast, arrival_ns + 1, 100 * S));
	assert_true(rate_rein(&fast, arrival_ns, 100 * S));
	assert_int_equal(rate_arrival_ns(&fast), 100 * S * 1000 + fast.burst_ns + fast.interval_ns);
	assert_false(rate_take(&fast, 100 * S, &wait_us));
	assert_int_equal(wait_us, 500);
	/* What the new one itself has done stays, and so does all when it is slower. */
	arrival_ns = rate_arrival_ns(&fast);
	assert_true(rate_rein(&fast, arrival_ns, 100 * S));
	assert_true(rate_rein(&slow, arrival_ns, 100 * S));
	assert_int_equal(rate_arrival_ns(&fast), arrival_ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(make_has_exact_values),
		cmocka_unit_test(takes_at_exact_instants),
		cmocka_unit_test(the_first_second_has_no_burst),
		cmocka_unit_test(a_slow_rate_has_a_burst_of_one),
		cmocka_unit_test(no_cell_is_no_limit),
		cmocka_unit_test(looking_takes_nothing),
		cmocka_unit_test(a_raised_rate_does_not_wait_for_the_old_one),
		cmocka_unit_test(the_wait_is_exact),
		cmocka_unit_test(within_is_exact),
		cmocka_unit_test(within_does_not_overflow),
		cmocka_unit_test(a_stale_number_is_ignored),
		cmocka_unit_test(never_more_than_promised),
		cmocka_unit_test(processes_share_exactly_the_rate),
		cmocka_unit_test(a_killed_taker_takes_one_token_with_it),
		cmocka_unit_test(one_name_has_one_cell),
		cmocka_unit_test(processes_agree_on_the_cells),
		cmocka_unit_test(another_file_is_refused),
		cmocka_unit_test(any_content_is_usable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
