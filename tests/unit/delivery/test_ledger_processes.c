/*
 * One ledger and many processes: no key has two holders, nothing that was accepted is forgotten,
 * and killing some of them at any instant invents nothing. What the processes know of each other is
 * in memory that they share besides the ledger.
 */
#include "delivery/ledger.h"

#include "base/random.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PROCESSES 4
#define HOT_KEYS 3
#define ACCEPTANCES 3000 /* of all hot keys together; the table has 8 slots for each two */
#define TABLE_BYTES (LEDGER_HEADER_BYTES + ACCEPTANCES * 4 * LEDGER_SLOT_BYTES)
#define WINDOW_MS LEDGER_WINDOW_MAX_MS
#define NOW INT64_C(1795420800123)
#define CLAIM_MS 30000

#define GENERATIONS 60
#define KEYS 500 /* of all generations; a table for them is an eighth full */

/* Known to all. */
static struct {
	struct {
		_Atomic uint64_t round; /* each is a key of its own */
		_Atomic int holder;	/* pid */
	} hot[HOT_KEYS];
	_Atomic unsigned accepted;
	_Atomic bool stop;
	_Atomic int64_t now_ms;
	struct {
		_Atomic bool begun; /* ledger_accept() was called */
		_Atomic bool done;  /* and has returned */
	} keys[KEYS];
} * shared;

static void *table;

static void *map_shared(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	return memory;
}

static int set_up(void **state)
{
	uint8_t hash_key[SIPHASH_KEY_BYTES] = "any";

	shared = map_shared(sizeof(*shared));
	table = map_shared(TABLE_BYTES);
	return ledger_file.format(hash_key, table, TABLE_BYTES);
}

static int tear_down(void **state)
{
	munmap(table, TABLE_BYTES);
	munmap(shared, sizeof(*shared));
	return 0;
}

static struct ledger_key key_of(uint64_t number, uint64_t round)
{
	uint64_t seed = number << 32 | round;

	return (struct ledger_key){{random_split_mix(&seed), random_split_mix(&seed)}};
}

static pid_t start(int (*body)(struct ledger *ledger, struct random *random), unsigned number)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct ledger ledger;
		struct random random;

		/* A test that fails leaves nobody behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		random_seed(&random, number);
		if (ledger_attach(table, TABLE_BYTES, WINDOW_MS, &ledger) != 0)
			_exit(1);
		_exit(body(&ledger, &random));
	}
	assert_true(pid > 0);
	return pid;
}

/* What has gone wrong; the exit status of who saw it. */
enum wrong { RIGHT, NOT_ATTACHED, TWO_HOLDERS, FORGOTTEN, INVENTED, NO_ROOM, LATE };

static int end(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* One claim of one hot key, and what comes of it. */
static enum wrong attempt(struct ledger *ledger, struct random *random)
{
	uint64_t number = random_below(random_next(random), HOT_KEYS);
	uint64_t round = atomic_load(&shared->hot[number].round);
	struct ledger_key key = key_of(number, round);
	struct ledger_claim claim;
	int64_t until;
	int nobody = 0;

	switch (ledger_claim(ledger, key, NOW, NOW + CLAIM_MS, &claim, &until)) {
	case LEDGER_BUSY:
		return until == NOW + CLAIM_MS || until == NOW + 1 ? RIGHT : LATE;
	case LEDGER_ACCEPTED:
		/* Its round may not have been counted on yet. Without a holder it is over. */
		return RIGHT;
	case LEDGER_CLAIMED:
	default:
		break;
	}
	if (claim.meta == 0)
		return NO_ROOM;
	if (!atomic_compare_exchange_strong(&shared->hot[number].holder, &nobody, getpid()))
		return TWO_HOLDERS;
	if (atomic_load(&shared->hot[number].round) != round)
		return FORGOTTEN;
	if (random_below(random_next(random), 4) == 0)
		sched_yield();
	/* Before: once it is given back, another may have it at once. */
	atomic_store(&shared->hot[number].holder, 0);
	if (random_below(random_next(random), 2) == 0) {
		ledger_release(ledger, key, claim);
		return RIGHT;
	}
	ledger_accept(ledger, key, claim, NOW);
	if (ledger_claim(ledger, key, NOW, NOW + 1, &claim, &until) != LEDGER_ACCEPTED)
		return FORGOTTEN;
	atomic_fetch_add(&shared->hot[number].round, 1);
	atomic_fetch_add(&shared->accepted, 1);
	return RIGHT;
}

static int hammer(struct ledger *ledger, struct random *random)
{
	while (atomic_load(&shared->accepted) < ACCEPTANCES) {
		enum wrong wrong = attempt(ledger, random);

		if (wrong)
			return (int)wrong;
	}
	return ledger->cut_short == 0 && ledger->unwritten == 0 ? RIGHT : NO_ROOM;
}

static void one_holder_and_nothing_forgotten(void **state)
{
	struct ledger_stats stats;
	pid_t pids[PROCESSES];
	struct ledger ledger;
	uint64_t rounds = 0;

	for (unsigned i = 0; i < PROCESSES; i++)
		pids[i] = start(hammer, i);
	for (unsigned i = 0; i < PROCESSES; i++)
		assert_int_equal(end(pids[i]), RIGHT);
	assert_int_equal(ledger_attach(table, TABLE_BYTES, WINDOW_MS, &ledger), 0);
	for (uint64_t number = 0; number < HOT_KEYS; number++) {
		for (uint64_t round = 0; round < shared->hot[number].round; round++, rounds++) {
			struct ledger_claim claim;
			int64_t until;

			assert_int_equal(ledger_claim(&ledger, key_of(number, round), NOW, NOW + 1,
						 &claim, &until),
				LEDGER_ACCEPTED);
		}
	}
	assert_int_equal(rounds, shared->accepted);
	ledger_count(&ledger, NOW, &stats);
	assert_int_equal(stats.accepted, rounds);
	assert_int_equal(stats.claimed, 0);
	assert_int_equal(stats.damaged, 0);
}

/* Claims keys until told to stop, and accepts a few. */
static int work(struct ledger *ledger, struct random *random)
{
	int64_t now_ms = atomic_load(&shared->now_ms), until;

	while (!atomic_load(&shared->stop)) {
		uint64_t number = random_below(random_next(random), KEYS);
		struct ledger_key key = key_of(number, 0);
		bool done = atomic_load(&shared->keys[number].done);
		struct ledger_claim claim;
		enum ledger_answer answer =
			ledger_claim(ledger, key, now_ms, now_ms + CLAIM_MS, &claim, &until);

		if (answer == LEDGER_ACCEPTED && !atomic_load(&shared->keys[number].begun))
			return INVENTED;
		if (answer != LEDGER_ACCEPTED && done)
			return FORGOTTEN;
		if (answer != LEDGER_CLAIMED)
			continue;
		if (random_below(random_next(random), 200) != 0) {
			ledger_release(ledger, key, claim);
			continue;
		}
		atomic_store(&shared->keys[number].begun, true);
		ledger_accept(ledger, key, claim, now_ms);
		atomic_store(&shared->keys[number].done, true);
	}
	return RIGHT;
}

/* All that is known of every key, when nobody is at work. */
static void check_keys(int64_t now_ms)
{
	struct ledger ledger;

	assert_int_equal(ledger_attach(table, TABLE_BYTES, WINDOW_MS, &ledger), 0);
	for (uint64_t number = 0; number < KEYS; number++) {
		struct ledger_claim claim;
		int64_t until;
		enum ledger_answer answer = ledger_claim(
			&ledger, key_of(number, 0), now_ms, now_ms + 1, &claim, &until);

		if (answer == LEDGER_ACCEPTED)
			assert_true(shared->keys[number].begun);
		if (shared->keys[number].done)
			assert_int_equal(answer, LEDGER_ACCEPTED);
		if (answer == LEDGER_CLAIMED)
			ledger_release(&ledger, key_of(number, 0), claim);
	}
}

/* Half of them are killed at any instant; the others go on, and see nothing that is not true. */
static void killed_at_any_instant(void **state)
{
	struct random random;

	random_seed(&random, 11);
	for (unsigned generation = 0; generation < GENERATIONS; generation++) {
		int64_t now_ms = NOW + (int64_t)generation * 2 * CLAIM_MS;
		struct timespec delay = {.tv_nsec = 0};
		struct ledger_stats stats;
		struct ledger ledger;
		pid_t pids[PROCESSES];

		atomic_store(&shared->now_ms, now_ms);
		atomic_store(&shared->stop, false);
		for (unsigned i = 0; i < PROCESSES; i++)
			pids[i] = start(work, generation * PROCESSES + i);
		for (unsigned i = 0; i < PROCESSES / 2; i++) {
			delay.tv_nsec = (long)random_below(random_next(&random), 4000000);
			nanosleep(&delay, NULL);
			assert_int_equal(kill(pids[i], SIGKILL), 0);
			assert_int_equal(end(pids[i]), -SIGKILL);
		}
		nanosleep(&delay, NULL);
		atomic_store(&shared->stop, true);
		for (unsigned i = PROCESSES / 2; i < PROCESSES; i++)
			assert_int_equal(end(pids[i]), RIGHT);
		check_keys(now_ms);
		check_keys(now_ms + 2 * CLAIM_MS - 1);
		/* Of each killed one at most one claim, and one slot torn, are left, for a while.
		 */
		assert_int_equal(ledger_attach(table, TABLE_BYTES, WINDOW_MS, &ledger), 0);
		ledger_count(&ledger, now_ms, &stats);
		assert_true(stats.claimed <= PROCESSES / 2);
		ledger_count(&ledger, now_ms + CLAIM_MS, &stats);
		assert_int_equal(stats.claimed, 0);
		assert_true(stats.damaged <= (generation + 1) * PROCESSES / 2);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(one_holder_and_nothing_forgotten),
		CASE(killed_at_any_instant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
