/*
 * Histories of a chain that nobody wrote down: a thousand of them, each from its seed, with what
 * must hold in all. BUNSHIN_SEED=N runs one. And a fleet that was started at one instant.
 */
#include "aws/credentials.h"
#include "base/random.h"
#include "bunshin/error.h"
#include "scripted_provider.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

#define HISTORIES 1000
#define UNDER_MEMCHECK 50
#define STEPS 400
#define WAITERS 4
/* One in 10 s for refusals, and one in 30 s, as failures are repeated. */
#define GETS_AN_HOUR_MAX 480

struct history;

struct recorder {
	struct credentials_waiter waiter;
	struct history *history;
	bool waits;
};

struct history {
	struct manual_clock clock;
	uint64_t dice;
	struct scripted scripted;
	struct credentials *credentials;
	struct recorder recorders[WAITERS];
	uint64_t generation; /* of the last get that gave keys */
	uint64_t hour_end_us;
	unsigned hour_gets; /* at its beginning */
	unsigned changes;
};

static unsigned most_gets_an_hour;

static uint64_t roll(struct history *history, uint64_t sides)
{
	return random_below(random_split_mix(&history->dice), sides);
}

static int64_t wall_ms(struct history *history)
{
	return clock_wall_epoch_ms(manual_clock_table(&history->clock));
}

/* ---- what must hold */

/* Keys that are given out are the last that came, and have not ended by the wall's clock. */
static void check_served(struct history *history, const struct credentials_set *set)
{
	const struct scripted *scripted = &history->scripted;
	char id[20];

	snprintf(id, sizeof(id), "AKID%u", scripted->number);
	assert_string_equal(set->access_key_id, id);
	assert_true(set->generation >= history->generation);
	history->generation = set->generation;
	if (set->expires_epoch_ms != 0 && !scripted->outlives && !scripted->came_expired)
		assert_true(wall_ms(history) < set->expires_epoch_ms);
}

static void check_get(struct history *history)
{
	const struct credentials_set *set = NULL;
	char reason[CREDENTIALS_REASON_MAX];
	int err = credentials_get(history->credentials, &set, reason);
	enum credentials_state state = credentials_status(history->credentials)->state;

	assert_int_equal(set == NULL, err != 0);
	if (err == 0) {
		assert_true(state == CREDENTIALS_READY || state == CREDENTIALS_STALE);
		check_served(history, set);
		return;
	}
	assert_true(reason[0] != '\0');
	if (err == ERR_PENDING) {
		assert_true(state == CREDENTIALS_SEARCHING || state == CREDENTIALS_READY);
		/* Who waits now does not wait in vain: somebody is at it when the loop turns. */
		if (!history->scripted.asked)
			assert_int_equal(timer_heap_first(&history->clock.heap)->due_us,
				history->clock.now_us);
		return;
	}
	assert_int_equal(err == ERR_EXPIRED_CREDENTIALS, state == CREDENTIALS_ENDED);
	assert_true(state == CREDENTIALS_ENDED || state == CREDENTIALS_SEARCHING ||
		    state == CREDENTIALS_ABSENT);
}

/* Those of full hours; what moves the time calls it at each timer. */
static void check_rate(struct history *history)
{
	unsigned gets = history->scripted.gets - history->hour_gets;

	if (gets > most_gets_an_hour)
		most_gets_an_hour = gets;
	assert_in_range(gets, 0, GETS_AN_HOUR_MAX);
	if (history->clock.now_us < history->hour_end_us)
		return;
	history->hour_end_us = history->clock.now_us + (uint64_t)HOUR * 1000;
	history->hour_gets = history->scripted.gets;
}

static void changed(void *arg, const struct credentials_status *status)
{
	struct history *history = arg;

	history->changes++;
	assert_int_equal(status->failures_in_row > 0, status->reason[0] != '\0');
	assert_int_equal(status->renewals > 0, status->renewed_epoch_ms != 0);
}

/* ---- what happens */

static void refuse(struct history *history)
{
	uint64_t generation = history->generation - roll(history, 2);
	const struct credentials_set *set;

	if (!credentials_refused(history->credentials, generation) || history->scripted.asked)
		return;
	/* It said that other keys are here, or will be asked for when the loop turns. */
	if (credentials_get(history->credentials, &set, NULL) == 0 && set->generation == generation)
		assert_int_equal(
			timer_heap_first(&history->clock.heap)->due_us, history->clock.now_us);
}

static void wait_on(struct recorder *recorder)
{
	recorder->waits = true;
	credentials_wait(recorder->history->credentials, &recorder->waiter);
}

static void unwait(struct recorder *recorder)
{
	recorder->waits = false;
	credentials_unwait(&recorder->waiter);
}

static void fire(struct credentials_waiter *waiter)
{
	struct recorder *recorder = list_entry(waiter, struct recorder, waiter);
	struct history *history = recorder->history;

	assert_true(recorder->waits);
	recorder->waits = false;
	switch (roll(history, 8)) {
	case 0:
		wait_on(recorder);
		break;
	case 1:
		unwait(&history->recorders[roll(history, WAITERS)]);
		break;
	case 2:
		refuse(history);
		break;
	default:
		check_get(history);
	}
}

static void script(struct history *history)
{
	static const int errs[] = {ERR_TIMEOUT, ERR_THROTTLED, ERR_NOMEM, ERR_ACCESS_DENIED,
		ERR_NOT_FOUND, ERR_CONFIG};
	static const int64_t lives_ms[] = {
		0, MINUTE, 5 * MINUTE, 20 * MINUTE, HOUR, 6 * HOUR, -1, -HOUR};
	struct scripted *scripted = &history->scripted;

	scripted->err = roll(history, 2) ? errs[roll(history, 6)] : 0;
	scripted->later = roll(history, 2);
	scripted->keep = roll(history, 4) == 0;
	scripted->life_ms = lives_ms[roll(history, 8)];
	scripted->expires_epoch_ms =
		roll(history, 4) ? 0 : wall_ms(history) + (int64_t)roll(history, (uint64_t)HOUR);
}

static void pass_time(struct history *history)
{
	static const int64_t most_ms[] = {1, SECOND, 10 * SECOND, MINUTE, 20 * MINUTE};
	uint64_t end_us =
		history->clock.now_us + 1000 * roll(history, (uint64_t)most_ms[roll(history, 5)]);
	const struct clock_timer *first;

	while ((first = timer_heap_first(&history->clock.heap)) != NULL &&
		first->due_us <= end_us) {
		manual_clock_step(&history->clock);
		check_rate(history);
	}
	manual_clock_advance(&history->clock, end_us - history->clock.now_us);
	check_rate(history);
}

static void step(struct history *history)
{
	struct recorder *recorder = &history->recorders[roll(history, WAITERS)];

	switch (roll(history, 10)) {
	case 0:
		script(history);
		break;
	case 1:
	case 2:
		if (history->scripted.asked)
			scripted_answer(&history->scripted);
		break;
	case 3:
		wait_on(recorder);
		break;
	case 4:
		if (roll(history, 4) == 0)
			unwait(recorder);
		break;
	case 5:
		refuse(history);
		break;
	case 6:
		if (roll(history, 10) == 0)
			history->clock.wall_epoch_ms +=
				(int64_t)roll(history, (uint64_t)(4 * HOUR)) - 2 * HOUR;
		break;
	case 7:
		credentials_start(history->credentials);
		break;
	default:
		pass_time(history);
	}
	check_get(history);
}

/* In the end all is well again: keys come, and whoever waited has been told. */
static void settle(struct history *history)
{
	struct scripted *scripted = &history->scripted;

	scripted->err = 0;
	scripted->later = false;
	scripted->keep = false;
	scripted->life_ms = 6 * HOUR;
	scripted->expires_epoch_ms = 0;
	if (scripted->asked)
		scripted_answer(scripted);
	credentials_start(history->credentials);
	manual_clock_advance(&history->clock, (uint64_t)(10 * MINUTE) * 1000);
	check_get(history);
	assert_int_equal(credentials_status(history->credentials)->state, CREDENTIALS_READY);
	assert_int_equal(credentials_status(history->credentials)->renewals, history->generation);
	assert_true(history->changes >= history->generation);
	for (size_t i = 0; i < WAITERS; i++)
		assert_false(history->recorders[i].waits);
}

static void run(uint64_t seed)
{
	struct history *history = calloc(1, sizeof(*history));
	struct credentials_provider provider;

	manual_clock_init(&history->clock, seed, WALL_EPOCH_MS);
	history->dice = ~seed;
	history->scripted.clock = &history->clock;
	history->scripted.outlives = seed % 3 == 0;
	history->hour_end_us = (uint64_t)HOUR * 1000;
	script(history);
	provider = scripted_provider("only", &history->scripted);
	assert_int_equal(credentials_new(manual_clock_table(&history->clock), &provider, 1,
				 &history->credentials),
		0);
	credentials_observe(history->credentials, changed, history);
	for (size_t i = 0; i < WAITERS; i++) {
		history->recorders[i].history = history;
		history->recorders[i].waiter.fire = fire;
	}
	for (int i = 0; i < STEPS; i++)
		step(history);
	settle(history);
	credentials_free(history->credentials);
	assert_int_equal(history->scripted.frees, 1);
	assert_null(timer_heap_first(&history->clock.heap));
	manual_clock_free(&history->clock);
	free(history);
}

static uint64_t seed;

static void random_histories(void **state)
{
	const char *only = getenv("BUNSHIN_SEED");
	uint64_t first = only != NULL ? strtoull(only, NULL, 10) : 0;
	uint64_t count = only != NULL ? 1 : HISTORIES;

	/* All of them are run without valgrind; these reach the same lines. */
	if (getenv("BUNSHIN_TEST_MEMCHECK") != NULL && count > UNDER_MEMCHECK) {
		count = UNDER_MEMCHECK;
		print_message(
			"under memcheck %d histories only, not %d\n", UNDER_MEMCHECK, HISTORIES);
	}
	for (seed = first; seed < first + count; seed++)
		run(seed);
}

/* Also after a check that failed. */
static int say_seed(void **state)
{
	print_message("last seed %llu; at most %u gets an hour\n", (unsigned long long)seed,
		most_gets_an_hour);
	return 0;
}

/* Callers that ask and refuse ten times a second, whatever the provider says. */
static void hammering_makes_no_storm(void **state)
{
	static const struct scripted scripts[] = {
		{.life_ms = HOUR},
		{.life_ms = HOUR, .keep = true},
		{.keep = true},
		{.life_ms = -1},
		{.life_ms = -1, .keep = true, .outlives = true},
		{.life_ms = MINUTE},
		{.life_ms = HOUR, .fail_err = ERR_TIMEOUT},
		{.life_ms = -1, .fail_err = ERR_TIMEOUT, .outlives = true},
		{.fail_err = ERR_ACCESS_DENIED},
	};

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		struct manual_clock clock;
		struct scripted scripted = scripts[i];
		struct credentials_provider provider;
		struct credentials *credentials;
		const struct credentials_set *set;

		manual_clock_init(&clock, i, WALL_EPOCH_MS);
		scripted.clock = &clock;
		provider = scripted_provider("only", &scripted);
		assert_int_equal(
			credentials_new(manual_clock_table(&clock), &provider, 1, &credentials), 0);
		assert_int_equal(credentials_get(credentials, &set, NULL), 0);
		scripted.err = scripted.fail_err;
		for (int tenth = 0; tenth < HOUR / 100; tenth++) {
			if (credentials_get(credentials, &set, NULL) == 0)
				credentials_refused(credentials, set->generation);
			manual_clock_advance(&clock, 100000);
		}
		assert_in_range(scripted.gets, 60, GETS_AN_HOUR_MAX);
		credentials_free(credentials);
		manual_clock_free(&clock);
	}
}

/* ---- the fleet */

#define FLEET 1000

struct crowd {
	struct manual_clock clock;
	struct scripted scripted[FLEET];
	struct credentials *chains[FLEET];
	unsigned by_second[HOUR / SECOND + 1];
};

static unsigned gets_of(const struct crowd *crowd)
{
	unsigned gets = 0;

	for (size_t i = 0; i < FLEET; i++)
		gets += crowd->scripted[i].gets;
	return gets;
}

/* In how many gets a second it asks, over the hour in which all keys expire at one instant. */
static void watch(struct crowd *crowd)
{
	unsigned before = gets_of(crowd);

	for (size_t second = 0; second <= HOUR / SECOND; second++) {
		unsigned gets;

		manual_clock_advance(&crowd->clock, (uint64_t)SECOND * 1000);
		gets = gets_of(crowd);
		crowd->by_second[second] = gets - before;
		before = gets;
	}
}

static void a_fleet_does_not_ask_at_one_instant(void **state)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	const struct credentials_set *set;
	unsigned asked = 0, thirds[3] = {0};

	manual_clock_init(&crowd->clock, 1, WALL_EPOCH_MS);
	for (size_t i = 0; i < FLEET; i++) {
		struct credentials_provider provider;

		crowd->scripted[i] = (struct scripted){
			.clock = &crowd->clock, .expires_epoch_ms = WALL_EPOCH_MS + HOUR};
		provider = scripted_provider("only", &crowd->scripted[i]);
		assert_int_equal(credentials_new(manual_clock_table(&crowd->clock), &provider, 1,
					 &crowd->chains[i]),
			0);
		assert_int_equal(credentials_get(crowd->chains[i], &set, NULL), 0);
		crowd->scripted[i].expires_epoch_ms = WALL_EPOCH_MS + 12 * HOUR;
	}
	watch(crowd);
	/* Between 15 and 7.5 minutes before, evenly. */
	for (size_t second = 0; second <= HOUR / SECOND; second++) {
		unsigned gets = crowd->by_second[second];

		asked += gets;
		assert_true(gets <= FLEET / 100);
		assert_true(gets == 0 || (second >= 2699 && second <= 3150));
		if (gets > 0)
			thirds[(second - 2699) * 3 / 452] += gets;
	}
	assert_int_equal(asked, FLEET);
	for (size_t i = 0; i < 3; i++)
		assert_in_range(thirds[i], FLEET / 4, FLEET / 2);
	for (size_t i = 0; i < FLEET; i++)
		credentials_free(crowd->chains[i]);
	manual_clock_free(&crowd->clock);
	free(crowd);
}

/* And when the service is down at that hour, it does not ask in step either. */
static void a_fleet_does_not_retry_in_step(void **state)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	const struct credentials_set *set;

	manual_clock_init(&crowd->clock, 2, WALL_EPOCH_MS);
	for (size_t i = 0; i < FLEET; i++) {
		struct credentials_provider provider;

		crowd->scripted[i] = (struct scripted){.clock = &crowd->clock, .err = ERR_TIMEOUT};
		provider = scripted_provider("only", &crowd->scripted[i]);
		assert_int_equal(credentials_new(manual_clock_table(&crowd->clock), &provider, 1,
					 &crowd->chains[i]),
			0);
		assert_int_equal(credentials_get(crowd->chains[i], &set, NULL), ERR_TIMEOUT);
	}
	watch(crowd);
	/* All began within one instant; a few minutes later a second sees a thirtieth of them. */
	for (size_t second = 300; second <= HOUR / SECOND; second++)
		assert_in_range(crowd->by_second[second], 5, FLEET / 15);
	for (size_t i = 0; i < FLEET; i++)
		credentials_free(crowd->chains[i]);
	manual_clock_free(&crowd->clock);
	free(crowd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(random_histories, say_seed),
		cmocka_unit_test(hammering_makes_no_storm),
		cmocka_unit_test(a_fleet_does_not_ask_at_one_instant),
		cmocka_unit_test(a_fleet_does_not_retry_in_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
