/*
 * The ledger with somebody else at work at every step, and with a writer that dies or stops at
 * every step.
 *
 * ledger.c is included here with its atomic operations replaced by ones that first call step(). An
 * actor is a thread that runs only when it is told to, for so many steps; a step is an access to
 * one of the slots that anybody writes in the scenario. Accesses to other slots, which nobody
 * changes, are no steps: stopping there is the same as stopping at the next that counts.
 *
 * What a machine with weaker ordering may do besides is not tried here, but argued in ledger.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

static void step(const void *address);

static uint64_t stepped_load(const _Atomic uint64_t *object, memory_order order)
{
	step(object);
	return atomic_load_explicit(object, order);
}

static void stepped_store(_Atomic uint64_t *object, uint64_t value, memory_order order)
{
	step(object);
	atomic_store_explicit(object, value, order);
}

static _Bool stepped_swap(_Atomic uint64_t *object, uint64_t *expected, uint64_t value,
	memory_order success, memory_order failure)
{
	step(object);
	return atomic_compare_exchange_strong_explicit(object, expected, value, success, failure);
}

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_compare_exchange_strong_explicit
#define atomic_load_explicit stepped_load
#define atomic_store_explicit stepped_store
#define atomic_compare_exchange_strong_explicit stepped_swap

#include "delivery/ledger.c" /* NOLINT */

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include <cmocka.h>

#define BYTES LEDGER_BYTES_MIN
#define SLOTS 128
#define ROOM 3 /* slots of the two buckets that are not taken by others */
#define NOW INT64_C(1795420800123)
#define WINDOW_MS 3600000
#define FOR_EVER SIZE_MAX

static struct mapped_file file;
static bool watched[SLOTS];

/* Actors. */

struct actor {
	struct ledger ledger;
	struct ledger_key key;
	int64_t now_ms;
	void (*act)(struct actor *actor);
	struct ledger_claim claim; /* had before, or got */
	enum ledger_answer answer;
	int64_t until_ms;
	bool accepts; /* may make its key accepted */
	bool over;    /* act() has returned */
	bool quit;
	size_t left; /* steps until the next stop */
	sem_t go, stopped;
	pthread_t thread;
};

static struct actor actors[2];
static _Thread_local struct actor *self; /* NULL: the test itself */

/* Instead of a thread of its own: leaves here, as if killed. */
static jmp_buf death;
static size_t steps_to_death; /* 0: lives on */

static void step(const void *address)
{
	size_t at = (size_t)((const char *)address - (const char *)file.memory);

	if (at < LEDGER_HEADER_BYTES || !watched[(at - LEDGER_HEADER_BYTES) / LEDGER_SLOT_BYTES])
		return;
	if (!self && steps_to_death && --steps_to_death == 0)
		longjmp(death, 1);
	if (self && self->left != FOR_EVER && self->left-- == 0) {
		sem_post(&self->stopped);
		sem_wait(&self->go);
		/* The step it was stopped before counts as the first of the new ones. */
		self->left -= self->left != FOR_EVER;
	}
}

static void *run(void *arg)
{
	self = arg;
	for (;;) {
		sem_wait(&self->go);
		if (self->quit)
			return NULL;
		self->act(self);
		self->over = true;
		sem_post(&self->stopped);
	}
}

/* Lets it do so many more steps; false: it is over. */
static bool let(struct actor *actor, size_t steps)
{
	if (actor->over || steps == 0)
		return !actor->over;
	actor->left = steps;
	sem_post(&actor->go);
	sem_wait(&actor->stopped);
	return !actor->over;
}

static int start_actors(void **state)
{
	for (int i = 0; i < 2; i++) {
		sem_init(&actors[i].go, 0, 0);
		sem_init(&actors[i].stopped, 0, 0);
		actors[i].quit = false;
		assert_int_equal(pthread_create(&actors[i].thread, NULL, run, &actors[i]), 0);
	}
	return 0;
}

static int end_actors(void **state)
{
	for (int i = 0; i < 2; i++) {
		actors[i].quit = true;
		sem_post(&actors[i].go);
		assert_int_equal(pthread_join(actors[i].thread, NULL), 0);
		sem_destroy(&actors[i].go);
		sem_destroy(&actors[i].stopped);
	}
	return 0;
}

/* What they do. */

static void do_claim(struct actor *actor)
{
	actor->answer = ledger_claim(&actor->ledger, actor->key, actor->now_ms,
		actor->now_ms + 30000, &actor->claim, &actor->until_ms);
}

static void do_accept(struct actor *actor)
{
	ledger_accept(&actor->ledger, actor->key, actor->claim, actor->now_ms);
}

static void do_release(struct actor *actor)
{
	ledger_release(&actor->ledger, actor->key, actor->claim);
}

static void do_claim_and_accept(struct actor *actor)
{
	do_claim(actor);
	if (actor->answer == LEDGER_CLAIMED)
		do_accept(actor);
}

static void do_claim_and_release(struct actor *actor)
{
	do_claim(actor);
	if (actor->answer == LEDGER_CLAIMED)
		do_release(actor);
}

/* The world: two buckets, full of others' acceptances but for some room. */

static const struct ledger_key other_keys = {{UINT64_C(2) << 60, UINT64_C(5) << 60}};
static const struct ledger_key key_a = {{(UINT64_C(2) << 60) + 1000, (UINT64_C(5) << 60) + 77}};
static const struct ledger_key key_b = {{(UINT64_C(2) << 60) + 2000, (UINT64_C(5) << 60) + 99}};

static struct ledger_key other_key(uint64_t number)
{
	return (struct ledger_key){{other_keys.word[0] + number, other_keys.word[1] + number * 31}};
}

static uint8_t first_memory[BYTES];
static bool second_was_over; /* before the first went on */
static struct ledger first_ledger;

/* Acceptances of other keys, the number-th of them at NOW - 1000 + number. */
static void make_world(unsigned others)
{
	memset(file.memory, 0, BYTES);
	memset(watched, 0, sizeof(watched));
	assert_int_equal(
		ledger_file.format((void *)(uintptr_t) "0123456789abcdef", file.memory, BYTES), 0);
	assert_int_equal(ledger_attach(file.memory, BYTES, WINDOW_MS, &first_ledger), 0);
	for (unsigned i = 0; i < others; i++)
		ledger_accept(
			&first_ledger, other_key(i), (struct ledger_claim){0}, NOW - 1000 + i);
	/* Who writes takes a free slot or, with none, the oldest ones. */
	for (size_t slot = 0; slot < SLOTS; slot++) {
		struct view view = examine(&first_ledger, slot, NOW);

		watched[slot] = slot / 8 == 2 || slot / 8 == 5;
		if (view.state == STATE_ACCEPTED && (others < 16 || view.time_ms > NOW - 998))
			watched[slot] = false;
	}
	memcpy(first_memory, file.memory, BYTES);
}

static void reset_actor(struct actor *actor, struct ledger_key key, void (*act)(struct actor *))
{
	actor->ledger = first_ledger;
	actor->ledger.nonce += (uint64_t)(actor - actors + 1) * 1000;
	actor->key = key;
	actor->now_ms = NOW;
	actor->act = act;
	actor->claim = (struct ledger_claim){0};
	actor->answer = LEDGER_CLAIMED;
	actor->accepts = act == do_accept || act == do_claim_and_accept;
	actor->over = false;
}

/* Whatever is accepted was accepted, and nothing in the table is anything else. */
static void check_truth(unsigned others)
{
	for (size_t slot = 0; slot < SLOTS; slot++) {
		struct view view = examine(&first_ledger, slot, NOW);
		bool true_one = false;

		if (view.state != STATE_ACCEPTED)
			continue;
		for (unsigned i = 0; i < others; i++) {
			struct ledger_key other = other_key(i);

			true_one |= memcmp(&view.key, &other, sizeof(other)) == 0;
		}
		for (int i = 0; i < 2; i++)
			true_one |= actors[i].accepts &&
				    memcmp(&view.key, &actors[i].key, sizeof(view.key)) == 0;
		assert_true(true_one);
	}
}

/* The answer for a key, asked of a copy. */
static enum ledger_answer ask(struct ledger_key key, int64_t now_ms)
{
	struct ledger asking = first_ledger;
	uint8_t memory[BYTES];
	struct ledger_claim claim;
	enum ledger_answer answer;
	int64_t until;

	memcpy(memory, file.memory, BYTES);
	answer = ledger_claim(&asking, key, now_ms, now_ms + 1, &claim, &until);
	memcpy(file.memory, memory, BYTES);
	return answer;
}

/*
 * Two actors: one does i steps, the other j, the first k more, and then both end, in either order;
 * for every i, j and k that make a difference. `prepare` makes the actors, `judge` looks at what
 * they have done. Returns how many schedules there were.
 */
static unsigned long interleave(unsigned others, void (*prepare)(void), void (*judge)(void))
{
	unsigned long schedules = 0;
	bool more_i = true;

	make_world(others);
	for (size_t i = 0; more_i; i++) {
		bool more_j = true;

		for (size_t j = 0; more_j; j++) {
			bool more_k = true;

			for (size_t k = 0; more_k; k++) {
				memcpy(file.memory, first_memory, BYTES);
				prepare();
				more_i = let(&actors[0], i);
				more_j = let(&actors[1], j);
				second_was_over = !more_j;
				more_k = let(&actors[0], k);
				let(&actors[(i + k) % 2], FOR_EVER);
				let(&actors[(i + k + 1) % 2], FOR_EVER);
				check_truth(others);
				judge();
				schedules++;
			}
		}
	}
	return schedules;
}

static void two_claim(void)
{
	reset_actor(&actors[0], key_a, do_claim);
	reset_actor(&actors[1], key_a, do_claim);
}

static void exactly_one_has_it(void)
{
	unsigned have = 0;

	for (int i = 0; i < 2; i++) {
		have += actors[i].answer == LEDGER_CLAIMED;
		assert_int_not_equal(actors[i].answer, LEDGER_ACCEPTED);
	}
	assert_int_equal(have, 1);
	assert_int_equal(ask(key_a, NOW), LEDGER_BUSY);
	assert_int_equal(ask(key_a, NOW + 30000), LEDGER_CLAIMED);
}

static void one_of_two_claims_succeeds(void **state)
{
	for (unsigned room = 2; room <= ROOM; room++)
		assert_true(interleave(16 - room, two_claim, exactly_one_has_it) > 1000);
}

/* With no room but what they push out, and with a single slot to fight for. */
static void also_when_the_table_is_full(void **state)
{
	assert_true(interleave(16, two_claim, exactly_one_has_it) > 1000);
	assert_true(interleave(15, two_claim, exactly_one_has_it) > 1000);
}

static void one_accepts_one_claims(void)
{
	reset_actor(&actors[0], key_a, do_claim_and_accept);
	reset_actor(&actors[1], key_a, do_claim);
}

static void one_send(void)
{
	assert_true((actors[0].answer == LEDGER_CLAIMED) != (actors[1].answer == LEDGER_CLAIMED));
	if (actors[0].answer == LEDGER_CLAIMED)
		assert_int_equal(ask(key_a, NOW + 30000), LEDGER_ACCEPTED);
	else
		assert_int_equal(ask(key_a, NOW + 29999), LEDGER_BUSY);
	if (actors[0].answer != LEDGER_CLAIMED)
		assert_int_equal(actors[0].answer, LEDGER_BUSY);
}

static void a_claim_against_claim_and_acceptance(void **state)
{
	assert_true(interleave(16 - ROOM, one_accepts_one_claims, one_send) > 1000);
	assert_true(interleave(16, one_accepts_one_claims, one_send) > 1000);
}

static void one_has_and_accepts(void)
{
	reset_actor(&actors[0], key_a, do_claim);
	do_claim(&actors[0]);
	actors[0].act = do_accept;
	actors[0].accepts = true;
	reset_actor(&actors[1], key_a, do_claim);
}

static void never_free_in_between(void)
{
	assert_int_not_equal(actors[1].answer, LEDGER_CLAIMED);
	if (actors[1].answer == LEDGER_BUSY)
		assert_int_equal(actors[1].until_ms, NOW + 30000);
	assert_int_equal(ask(key_a, NOW + 30000), LEDGER_ACCEPTED);
}

static void a_claim_while_another_is_accepted(void **state)
{
	assert_true(interleave(16 - ROOM, one_has_and_accepts, never_free_in_between) > 100);
	assert_true(interleave(16, one_has_and_accepts, never_free_in_between) > 100);
}

static void one_releases_one_claims(void)
{
	reset_actor(&actors[0], key_a, do_claim_and_release);
	reset_actor(&actors[1], key_a, do_claim);
}

static void at_least_one_had_it(void)
{
	assert_true(actors[0].answer == LEDGER_CLAIMED || actors[1].answer == LEDGER_CLAIMED);
	assert_int_equal(
		ask(key_a, NOW), actors[1].answer == LEDGER_CLAIMED ? LEDGER_BUSY : LEDGER_CLAIMED);
}

static void a_claim_against_claim_and_release(void **state)
{
	assert_true(interleave(16 - ROOM, one_releases_one_claims, at_least_one_had_it) > 1000);
}

static void two_keys(void)
{
	reset_actor(&actors[0], key_a, do_claim_and_accept);
	reset_actor(&actors[1], key_b, do_claim_and_accept);
}

static void both_are_accepted(void)
{
	assert_int_equal(actors[0].answer, LEDGER_CLAIMED);
	assert_int_equal(actors[1].answer, LEDGER_CLAIMED);
	assert_int_equal(ask(key_a, NOW), LEDGER_ACCEPTED);
	assert_int_equal(ask(key_b, NOW), LEDGER_ACCEPTED);
}

static void two_keys_in_the_same_slots(void **state)
{
	assert_true(interleave(16 - ROOM, two_keys, both_are_accepted) > 1000);
	/* The others that they push out are the oldest ones. */
	assert_true(interleave(16, two_keys, both_are_accepted) > 1000);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(ask(other_key(i), NOW), i < 2 ? LEDGER_CLAIMED : LEDGER_ACCEPTED);
	assert_int_equal(actors[0].ledger.cut_short + actors[1].ledger.cut_short, 2);
}

/* Stopped for so long that its marks are over, and then it goes on as if nothing had been. */

static void one_is_stopped(void)
{
	two_keys();
	actors[1].now_ms = NOW + 60000;
}

/* The other's entry may be torn, but nothing is invented (check_truth). */
static void nothing_is_invented(void)
{
	assert_int_equal(actors[1].answer, LEDGER_CLAIMED);
	assert_int_not_equal(ask(key_a, NOW + 60000), LEDGER_BUSY);
	assert_int_not_equal(ask(key_b, NOW + 60000), LEDGER_BUSY);
	/* It notices, and writes elsewhere. */
	if (second_was_over)
		assert_int_equal(ask(key_a, NOW + 60000), LEDGER_ACCEPTED);
}

static void a_writer_that_was_stopped_for_long(void **state)
{
	for (unsigned others = 16 - ROOM; others <= 16; others++)
		assert_true(interleave(others, one_is_stopped, nothing_is_invented) > 1000);
}

static void one_is_stopped_with_the_same_key(void)
{
	reset_actor(&actors[0], key_a, do_claim_and_accept);
	reset_actor(&actors[1], key_a, do_claim);
	actors[1].now_ms = NOW + 60000;
}

static void check_nothing(void)
{
}

static void a_writer_that_was_stopped_and_the_same_key(void **state)
{
	for (unsigned others = 16 - ROOM; others <= 16; others++)
		interleave(others, one_is_stopped_with_the_same_key, check_nothing);
}

/* Killed. */

/* Runs the act here, and leaves it before its k-th step. True: it was left. */
static bool die_at(size_t k, struct actor *actor)
{
	steps_to_death = k;
	if (setjmp(death) == 0) {
		actor->act(actor);
		steps_to_death = 0;
		return false;
	}
	return true;
}

static void (*const acts[])(struct actor *) = {
	do_claim, do_accept, do_release, do_claim_and_accept, do_claim_and_release};

/* Every act, killed before every step: what it leaves, now and when its marks and claims are over.
 */
static void killed_at_every_step(void **state)
{
	for (size_t i = 0; i < 2 * sizeof(acts) / sizeof(acts[0]); i++) {
		unsigned others = i % 2 ? 16 : 16 - ROOM;
		bool died = true;
		size_t k;

		make_world(others);
		reset_actor(&actors[1], key_b, do_claim);
		for (k = 1; died; k++) {
			enum ledger_answer before;
			struct ledger_stats stats;
			bool had = acts[i / 2] == do_accept || acts[i / 2] == do_release;

			memcpy(file.memory, first_memory, BYTES);
			reset_actor(&actors[0], key_a, do_claim);
			if (had)
				do_claim(&actors[0]);
			actors[0].act = acts[i / 2];
			actors[0].accepts =
				acts[i / 2] == do_accept || acts[i / 2] == do_claim_and_accept;
			died = die_at(k, &actors[0]);
			check_truth(others);
			before = ask(key_a, NOW);
			if (had && actors[0].accepts)
				assert_int_equal(ask(key_a, NOW + 29999), before);
			if (had && actors[0].accepts)
				assert_int_not_equal(before, LEDGER_CLAIMED);
			if (!actors[0].accepts)
				assert_int_not_equal(before, LEDGER_ACCEPTED);
			assert_int_equal(ask(key_a, NOW + 30000),
				before == LEDGER_ACCEPTED ? LEDGER_ACCEPTED : LEDGER_CLAIMED);
			assert_int_equal(ask(key_b, NOW), LEDGER_CLAIMED);
			ledger_count(&first_ledger, NOW, &stats);
			assert_true(stats.accepted + stats.claimed + 1 >= others);
			/* No slot is lost for ever. */
			for (unsigned n = 0; n < 16; n++)
				ledger_accept(&first_ledger, other_key(100 + n),
					(struct ledger_claim){0}, NOW + 30000);
			for (unsigned n = 0; n < 16; n++)
				assert_int_equal(
					ask(other_key(100 + n), NOW + 30000), LEDGER_ACCEPTED);
		}
		assert_true(k > 2);
	}
}

static int set_up(void **state)
{
	uint8_t key[SIPHASH_KEY_BYTES] = {0};

	return mapped_file_anonymous(BYTES, &ledger_file, key, &file);
}

static int tear_down(void **state)
{
	mapped_file_close(&file);
	return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start_actors, end_actors)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(one_of_two_claims_succeeds),
		CASE(also_when_the_table_is_full),
		CASE(a_claim_against_claim_and_acceptance),
		CASE(a_claim_while_another_is_accepted),
		CASE(a_claim_against_claim_and_release),
		CASE(two_keys_in_the_same_slots),
		CASE(a_writer_that_was_stopped_for_long),
		CASE(a_writer_that_was_stopped_and_the_same_key),
		CASE(killed_at_every_step),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
