/* The chain: search, renewal, refusals, waiters; over scripted providers in virtual time. */
#include "aws/credentials.h"
#include "aws/credentials/renewal.h"
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
#define PROVIDERS 3

/* ---- the world */

static struct manual_clock manual;
static struct scripted scripted[PROVIDERS];
static struct credentials *credentials;
static const struct credentials_set *set; /* of the last get that gave one */
static char reason[CREDENTIALS_REASON_MAX];
static char changes[1000]; /* " ready:1 stale:1": what the observer was told */

static void changed(void *arg, const struct credentials_status *status)
{
	size_t used = strlen(changes);

	assert_ptr_equal(arg, &manual);
	assert_ptr_equal(status, credentials_status(credentials));
	snprintf(changes + used, sizeof(changes) - used, " %s:%u",
		credentials_state_name(status->state), (unsigned)status->renewals);
}

static int setup(void **state)
{
	manual_clock_init(&manual, 1, WALL_EPOCH_MS);
	memset(scripted, 0, sizeof(scripted));
	for (size_t i = 0; i < PROVIDERS; i++)
		scripted[i].clock = &manual;
	credentials = NULL;
	changes[0] = '\0';
	return 0;
}

/* Providers as scripted; those after the first have nothing unless `count` says so. */
static void open_chain(size_t count)
{
	static const char *const names[PROVIDERS] = {"first", "second", "third"};
	struct credentials_provider providers[PROVIDERS];

	for (size_t i = 0; i < count; i++)
		providers[i] = scripted_provider(names[i], &scripted[i]);
	assert_int_equal(
		credentials_new(manual_clock_table(&manual), providers, count, &credentials), 0);
	credentials_observe(credentials, changed, &manual);
}

static int teardown(void **state)
{
	credentials_free(credentials);
	assert_null(timer_heap_first(&manual.heap));
	manual_clock_free(&manual);
	return 0;
}

static void advance_ms(int64_t ms)
{
	manual_clock_advance(&manual, (uint64_t)ms * 1000);
}

static void turn(void)
{
	advance_ms(0);
}

static int64_t now_ms(void)
{
	return clock_wall_epoch_ms(manual_clock_table(&manual));
}

static int get(void)
{
	int err;

	set = NULL;
	strcpy(reason, "untouched");
	err = credentials_get(credentials, &set, reason);
	assert_int_equal(set == NULL, err != 0);
	return err;
}

static void assert_keys(unsigned number, uint64_t generation)
{
	char id[20];

	assert_int_equal(get(), 0);
	snprintf(id, sizeof(id), "AKID%u", number);
	assert_string_equal(set->access_key_id, id);
	assert_int_equal(set->generation, generation);
}

static void assert_none(int err, const char *why)
{
	assert_int_equal(get(), err);
	assert_null(set);
	assert_string_equal(reason, why);
}

static void assert_state(enum credentials_state state)
{
	assert_string_equal(credentials_state_name(credentials_status(credentials)->state),
		credentials_state_name(state));
}

/* The random number that the chain will draw next. */
static uint64_t next_random(void)
{
	uint64_t random_state = manual.random_state;

	return random_split_mix(&random_state);
}

/* Nobody is asked before delay_ms are over, and then somebody is. */
static void assert_asked_after(struct scripted *one, int64_t delay_ms)
{
	unsigned gets = one->gets;

	advance_ms(delay_ms - 1);
	assert_int_equal(one->gets, gets);
	advance_ms(1);
	assert_int_equal(one->gets, gets + 1);
}

struct recorder {
	struct credentials_waiter waiter;
	unsigned fired;
	unsigned again; /* times to wait again */
	struct recorder *unwaits;
	bool gets, refuses, frees;
};

static void fire(struct credentials_waiter *waiter)
{
	struct recorder *recorder = list_entry(waiter, struct recorder, waiter);

	recorder->fired++;
	if (recorder->unwaits != NULL)
		credentials_unwait(&recorder->unwaits->waiter);
	if (recorder->again > 0) {
		recorder->again--;
		credentials_wait(credentials, waiter);
	}
	if (recorder->gets)
		get();
	if (recorder->refuses)
		credentials_refused(credentials, 1);
	if (recorder->frees) {
		credentials_free(credentials);
		credentials = NULL;
	}
}

static void wait_for(struct recorder *recorder)
{
	recorder->waiter.fire = fire;
	credentials_wait(credentials, &recorder->waiter);
}

/* ---- the search */

static void first_provider_that_has_keys_is_kept(void **state)
{
	scripted[0].err = ERR_NOT_FOUND;
	open_chain(3);
	assert_string_equal(credentials_status(credentials)->source, "none");
	assert_state(CREDENTIALS_SEARCHING);
	assert_int_equal(scripted[0].gets, 0);
	for (int i = 0; i < 3; i++) {
		assert_keys(1, 1);
		advance_ms(HOUR);
	}
	assert_string_equal(credentials_status(credentials)->source, "second");
	assert_string_equal(credentials_status(credentials)->account_id, "123456789012");
	assert_string_equal(credentials_status(credentials)->principal, "role 1");
	assert_int_equal(credentials_status(credentials)->renewed_epoch_ms, WALL_EPOCH_MS);
	assert_int_equal(credentials_status(credentials)->expires_epoch_ms, 0);
	assert_int_equal(credentials_status(credentials)->failures, 0);
	assert_int_equal(scripted[0].gets, 1);
	assert_int_equal(scripted[1].gets, 1);
	assert_int_equal(scripted[2].gets, 0);
	assert_string_equal(changes, " ready:1");
	/* Nothing is waited for, so nothing keeps the loop going. */
	assert_null(timer_heap_first(&manual.heap));
	credentials_free(credentials);
	credentials = NULL;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(scripted[i].frees, 1);
}

static void providers_may_take_their_time(void **state)
{
	struct recorder recorder = {0};

	for (size_t i = 0; i < 3; i++)
		scripted[i].later = true;
	scripted[0].err = ERR_NOT_FOUND;
	open_chain(3);
	credentials_start(credentials);
	credentials_start(credentials);
	assert_none(ERR_PENDING, "first has not answered yet");
	wait_for(&recorder);
	scripted_answer(&scripted[0]);
	turn();
	assert_none(ERR_PENDING, "second has not answered yet");
	assert_int_equal(recorder.fired, 0);
	assert_string_equal(changes, "");
	scripted_answer(&scripted[1]);
	/* Never from inside the provider's own callback. */
	assert_int_equal(recorder.fired, 0);
	assert_keys(1, 1);
	turn();
	assert_int_equal(recorder.fired, 1);
	assert_string_equal(changes, " ready:1");
	assert_int_equal(scripted[2].gets, 0);
	credentials_start(credentials);
	advance_ms(HOUR);
	assert_int_equal(recorder.fired, 1);
	assert_int_equal(scripted[0].gets + scripted[1].gets, 2);
}

static void nothing_found_names_what_was_tried(void **state)
{
	struct recorder recorder = {0};

	for (size_t i = 0; i < 3; i++)
		scripted[i].err = ERR_NOT_FOUND;
	scripted[1].later = true;
	open_chain(3);
	credentials_start(credentials);
	wait_for(&recorder);
	scripted_answer(&scripted[1]);
	turn();
	assert_int_equal(recorder.fired, 1);
	assert_state(CREDENTIALS_ABSENT);
	for (int i = 0; i < 2; i++) {
		assert_none(ERR_NO_CREDENTIALS,
			"no AWS credentials found; tried: first, second, third");
		advance_ms(24 * HOUR);
	}
	assert_int_equal(credentials_get(credentials, &set, NULL), ERR_NO_CREDENTIALS);
	assert_string_equal(credentials_status(credentials)->reason, reason);
	assert_int_equal(credentials_status(credentials)->failures, 1);
	assert_int_equal(scripted[0].gets, 1);
	/* Only who starts it again has it search again. */
	scripted[2].err = 0;
	credentials_start(credentials);
	assert_state(CREDENTIALS_SEARCHING);
	assert_int_equal(get(), ERR_PENDING);
	scripted_answer(&scripted[1]);
	assert_keys(1, 1);
	assert_string_equal(changes, " absent:0 searching:0 ready:1");
	assert_string_equal(credentials_status(credentials)->source, "third");
	assert_string_equal(credentials_status(credentials)->reason, "");
}

static void a_chain_of_nothing(void **state)
{
	open_chain(0);
	assert_none(ERR_NO_CREDENTIALS, "no AWS credentials found");
	assert_state(CREDENTIALS_ABSENT);
	assert_false(credentials_refused(credentials, 0));
	credentials_free(NULL);
}

static void an_error_for_good_ends_the_search(void **state)
{
	static const int errs[] = {ERR_ACCESS_DENIED, ERR_CONFIG, ERR_NO_CREDENTIALS};

	for (size_t i = 0; i < 3; i++) {
		setup(NULL);
		scripted[0].err = ERR_NOT_FOUND;
		scripted[1].err = errs[i];
		scripted[1].reason = i == 0 ? "why" : NULL;
		open_chain(3);
		assert_int_equal(get(), errs[i]);
		assert_state(CREDENTIALS_ABSENT);
		assert_string_equal(changes, " absent:0");
		assert_string_equal(reason, i == 0   ? "second: why"
					    : i == 1 ? "second: invalid configuration"
						     : "second: no credentials found");
		advance_ms(HOUR);
		assert_int_equal(scripted[0].gets, 1);
		assert_int_equal(scripted[2].gets, 0);
		if (i < 2)
			teardown(NULL);
	}
}

static void an_outage_at_the_start_is_survived(void **state)
{
	static const int errs[] = {ERR_TIMEOUT, ERR_THROTTLED, ERR_NOMEM};
	struct recorder recorder = {0};
	int64_t delay_ms = 0;

	scripted[0].err = ERR_NOT_FOUND;
	scripted[1].reason = "nobody there";
	open_chain(3);
	for (unsigned i = 0; i < 12; i++) {
		int64_t next_ms = credentials_retry_delay_ms(i + 1, next_random());

		scripted[1].err = errs[i % 3];
		if (i == 0)
			credentials_start(credentials);
		else
			assert_asked_after(&scripted[0], delay_ms);
		delay_ms = next_ms;
		assert_none(errs[i % 3], "second: nobody there");
		assert_state(CREDENTIALS_SEARCHING);
		assert_int_equal(credentials_status(credentials)->failures_in_row, i + 1);
		/* Who waits nevertheless hears at once that nothing is under way. */
		wait_for(&recorder);
		turn();
		assert_int_equal(recorder.fired, i + 1);
		credentials_start(credentials);
		assert_int_equal(scripted[0].gets, i + 1);
	}
	scripted[1].err = 0;
	assert_asked_after(&scripted[0], delay_ms);
	assert_keys(1, 1);
	assert_string_equal(changes, " ready:1");
	assert_int_equal(credentials_status(credentials)->failures, 12);
	assert_int_equal(credentials_status(credentials)->failures_in_row, 0);
	assert_int_equal(scripted[2].gets, 0);
}

/* Each of the first gets failing in turn, for good or in passing, at once or later. */
static void search_with_failing_get(unsigned k, int err, bool later)
{
	struct recorder recorder = {0};

	setup(NULL);
	for (size_t i = 0; i < 3; i++) {
		scripted[i].later = later;
		scripted[i].err = i < 2 ? ERR_NOT_FOUND : 0;
	}
	scripted[k].fail_at = 1;
	scripted[k].fail_err = err;
	open_chain(3);
	credentials_start(credentials);
	wait_for(&recorder);
	for (size_t i = 0; later && i <= k; i++)
		scripted_answer(&scripted[i]);
	turn();
	assert_int_equal(recorder.fired, 1);
	assert_int_equal(get(), err);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(scripted[i].gets, i <= k);
	if (err == ERR_NETWORK)
		advance_ms(SECOND);
	else
		credentials_start(credentials);
	for (size_t i = 0; later && i < 3; i++) {
		assert_int_equal(get(), ERR_PENDING);
		scripted_answer(&scripted[i]);
	}
	assert_keys(1, 1);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(scripted[i].gets, 1 + (i <= k));
	teardown(NULL);
}

static void every_get_of_a_search_may_fail(void **state)
{
	for (unsigned k = 0; k < 3; k++)
		for (int later = 0; later < 2; later++) {
			search_with_failing_get(k, ERR_NETWORK, later);
			search_with_failing_get(k, ERR_REFUSED, later);
		}
	setup(NULL);
	open_chain(0);
}

static void unusable_keys_are_not_used(void **state)
{
	static const struct {
		const char *id, *reason;
	} rows[] = {
		{"", "first: an empty access key id or secret access key"},
		{"a b", "first: a blank or control character in the access key id"},
		{"a\r\nX: y", "first: a blank or control character in the access key id"},
		{"a\x7f", "first: a blank or control character in the access key id"},
		{"\xC3\xA4", "first: a blank or control character in the access key id"},
	};

	open_chain(2);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scripted[0].id = rows[i].id;
		credentials_start(credentials);
		assert_none(ERR_NO_CREDENTIALS, rows[i].reason);
	}
	assert_int_equal(scripted[1].gets, 0);
}

/* ---- renewal */

static void open_with_life(int64_t life_ms)
{
	scripted[0].life_ms = life_ms;
	open_chain(1);
	assert_keys(1, 1);
}

static void keys_are_renewed_before_they_expire(void **state)
{
	int64_t delay_ms = credentials_renewal_delay_ms(6 * HOUR, next_random());

	open_with_life(6 * HOUR);
	assert_int_equal(
		credentials_status(credentials)->expires_epoch_ms, WALL_EPOCH_MS + 6 * HOUR);
	for (unsigned i = 2; i < 50; i++) {
		int64_t next_ms = credentials_renewal_delay_ms(6 * HOUR, next_random());

		assert_asked_after(&scripted[0], delay_ms);
		assert_keys(i, i);
		delay_ms = next_ms;
		assert_int_equal(credentials_status(credentials)->renewals, i);
		assert_int_equal(credentials_status(credentials)->renewed_epoch_ms, now_ms());
		assert_state(CREDENTIALS_READY);
	}
}

static void old_keys_serve_while_new_ones_are_awaited(void **state)
{
	struct recorder recorder = {0};

	open_with_life(HOUR);
	scripted[0].later = true;
	advance_ms(HOUR - 7 * MINUTE);
	assert_true(scripted[0].asked);
	assert_keys(1, 1);
	wait_for(&recorder);
	advance_ms(7 * MINUTE - 1);
	assert_keys(1, 1);
	/* And when they end meanwhile, the new ones are waited for. */
	advance_ms(1);
	assert_none(ERR_PENDING, "first has not answered yet");
	advance_ms(HOUR);
	assert_none(ERR_PENDING, "first has not answered yet");
	assert_int_equal(recorder.fired, 0);
	assert_int_equal(scripted[0].gets, 2);
	scripted_answer(&scripted[0]);
	turn();
	assert_int_equal(recorder.fired, 1);
	assert_keys(2, 2);
	assert_string_equal(changes, " ready:1 ready:2");
}

/* The instance's service gives the same keys until shortly before their end. */
static void unchanged_keys_are_asked_for_in_ever_shorter_steps(void **state)
{
	int64_t delay_ms = credentials_renewal_delay_ms(HOUR, next_random());
	int64_t end_ms = WALL_EPOCH_MS + HOUR;

	scripted[0].expires_epoch_ms = end_ms;
	scripted[0].keep = true;
	open_chain(1);
	assert_keys(1, 1);
	while (now_ms() + delay_ms < end_ms) {
		int64_t left_ms = end_ms - now_ms() - delay_ms;
		int64_t next_ms = credentials_renewal_delay_ms(left_ms, next_random());

		assert_asked_after(&scripted[0], delay_ms);
		assert_keys(1, 1);
		assert_int_equal(credentials_status(credentials)->renewals, 1);
		assert_int_equal(credentials_status(credentials)->renewed_epoch_ms, WALL_EPOCH_MS);
		delay_ms = next_ms;
	}
	assert_in_range(scripted[0].gets, 6, 20);
	assert_string_equal(changes, " ready:1");
	/* Its clock, or ours, is wrong: they go on serving, and it is asked now and then. */
	for (unsigned gets = scripted[0].gets, i = 1; i < 60; i++) {
		advance_ms(delay_ms);
		assert_int_equal(scripted[0].gets, gets + i);
		assert_keys(1, 1);
		delay_ms = (int64_t)(timer_heap_first(&manual.heap)->due_us - manual.now_us) / 1000;
		assert_in_range(delay_ms, 45 * SECOND, 75 * SECOND);
	}
}

static void keys_that_come_expired_are_used(void **state)
{
	static const int64_t ages_ms[] = {0, 1, HOUR, 10000 * HOUR};

	for (size_t i = 0; i < 4; i++) {
		int64_t delay_ms, next_ms;

		setup(NULL);
		delay_ms = credentials_renewal_delay_ms(0, next_random());
		scripted[0].expires_epoch_ms = WALL_EPOCH_MS - ages_ms[i];
		open_chain(1);
		assert_keys(1, 1);
		assert_state(CREDENTIALS_READY);
		next_ms = credentials_renewal_delay_ms(0, next_random());
		assert_asked_after(&scripted[0], delay_ms);
		assert_keys(2, 2);
		/* Nor does a failure end them. */
		scripted[0].err = ERR_TIMEOUT;
		assert_asked_after(&scripted[0], next_ms);
		advance_ms(HOUR);
		assert_keys(2, 2);
		assert_state(CREDENTIALS_STALE);
		if (i < 3)
			teardown(NULL);
	}
}

/* Keys of a life too short for the pause between two requests: no gap in which there are none. */
static void the_last_second_of_keys_is_not_cut(void **state)
{
	for (int64_t life_ms = 1; life_ms < 3000; life_ms += 7) {
		setup(NULL);
		open_with_life(life_ms);
		for (int i = 0; i < 500; i++) {
			assert_int_equal(get(), 0);
			advance_ms(10);
		}
		assert_in_range(scripted[0].gets, 2, 6);
		teardown(NULL);
	}
	setup(NULL);
	open_chain(0);
}

static void failing_renewals_end_at_the_expiry(void **state)
{
	int64_t delay_ms, next_ms;

	open_with_life(HOUR);
	scripted[0].err = ERR_UNAVAILABLE;
	scripted[0].reason = "HTTP 500";
	/* The first failure, at the due instant. */
	manual_clock_step(&manual);
	assert_int_equal(scripted[0].gets, 2);
	assert_keys(1, 1);
	assert_state(CREDENTIALS_STALE);
	assert_string_equal(credentials_status(credentials)->reason, "first: HTTP 500");
	while (now_ms() < WALL_EPOCH_MS + HOUR - 1) {
		advance_ms(1);
		if (now_ms() % 1009 == 0)
			assert_keys(1, 1);
	}
	assert_keys(1, 1);
	assert_string_equal(changes, " ready:1 stale:1");
	advance_ms(1);
	assert_string_equal(changes, " ready:1 stale:1 ended:1");
	assert_none(ERR_EXPIRED_CREDENTIALS, "expired, and not renewed: first: HTTP 500");
	assert_state(CREDENTIALS_ENDED);
	assert_int_equal(credentials_status(credentials)->expires_epoch_ms, WALL_EPOCH_MS + HOUR);
	/* Asked on, at most a minute apart, and at any time good again. */
	next_ms = (int64_t)(timer_heap_first(&manual.heap)->due_us - manual.now_us) / 1000;
	for (unsigned i = 0; i < 20; i++) {
		unsigned failures = credentials_status(credentials)->failures_in_row + 1;

		delay_ms = next_ms;
		next_ms = credentials_retry_delay_ms(failures, next_random());
		assert_asked_after(&scripted[0], delay_ms);
	}
	assert_true(credentials_status(credentials)->failures > 25);
	scripted[0].err = 0;
	advance_ms(MINUTE);
	assert_keys(2, 2);
	assert_string_equal(changes, " ready:1 stale:1 ended:1 ready:2");
	assert_string_equal(credentials_status(credentials)->reason, "");
	assert_int_equal(credentials_status(credentials)->failures_in_row, 0);
}

/* Ten hours of keys that live for one, the k-th get failing: nobody ever lacks keys. */
static void life_with_failing_get(unsigned k, int err, bool later)
{
	setup(NULL);
	scripted[0].later = later;
	scripted[0].life_ms = HOUR;
	scripted[0].fail_at = k;
	scripted[0].fail_err = err;
	open_chain(1);
	for (int minute = 0; minute < 600; minute++) {
		credentials_start(credentials);
		if (scripted[0].asked)
			scripted_answer(&scripted[0]);
		if (minute > 0)
			assert_int_equal(get(), 0);
		advance_ms(MINUTE);
	}
	assert_true(scripted[0].gets >= k);
	assert_int_equal(credentials_status(credentials)->failures, 1);
	assert_int_equal(credentials_status(credentials)->renewals, scripted[0].number);
	assert_in_range(scripted[0].number, 10, 13);
	assert_state(CREDENTIALS_READY);
	teardown(NULL);
}

static void every_get_of_a_life_may_fail(void **state)
{
	for (unsigned k = 1; k <= 11; k++)
		for (int later = 0; later < 2; later++) {
			life_with_failing_get(k, ERR_TIMEOUT, later);
			life_with_failing_get(k, ERR_ACCESS_DENIED, later);
			life_with_failing_get(k, ERR_NOT_FOUND, later);
		}
	setup(NULL);
	open_chain(0);
}

static void a_provider_that_loses_its_keys_is_named(void **state)
{
	scripted[0].life_ms = HOUR;
	open_chain(2);
	assert_keys(1, 1);
	/* Only the one that answered is asked again, even when another could. */
	scripted[0].err = ERR_NOT_FOUND;
	advance_ms(2 * HOUR);
	assert_int_equal(scripted[1].gets, 0);
	assert_none(
		ERR_EXPIRED_CREDENTIALS, "expired, and not renewed: first: no longer configured");
}

static void keys_that_outlive_serve_on(void **state)
{
	unsigned gets;

	scripted[0].outlives = true;
	open_with_life(HOUR);
	scripted[0].err = ERR_TIMEOUT;
	advance_ms(HOUR - 1);
	assert_keys(1, 1);
	gets = scripted[0].gets;
	assert_in_range(gets, 10, 80);
	/* What was begun before the expiry, then every 2 to 10 minutes. */
	advance_ms(MINUTE);
	gets = scripted[0].gets;
	for (unsigned i = 1; i < 100; i++) {
		int64_t delay_ms =
			(int64_t)(timer_heap_first(&manual.heap)->due_us - manual.now_us) / 1000;

		assert_true(delay_ms <= 10 * MINUTE && (i == 1 || delay_ms >= 2 * MINUTE));
		advance_ms(delay_ms);
		assert_int_equal(scripted[0].gets, gets + i);
		assert_keys(1, 1);
	}
	assert_string_equal(changes, " ready:1 stale:1");
	scripted[0].err = 0;
	advance_ms(10 * MINUTE);
	assert_keys(2, 2);
	assert_state(CREDENTIALS_READY);
	/* Also while an answer is awaited. */
	scripted[0].later = true;
	advance_ms(2 * HOUR);
	assert_true(scripted[0].asked);
	assert_keys(2, 2);
}

/* ---- the wall clock jumps; a machine that slept looks the same */

static void a_jump_forward_renews_at_once(void **state)
{
	struct recorder recorder = {0};

	open_with_life(6 * HOUR);
	manual.wall_epoch_ms += 6 * HOUR;
	assert_none(ERR_PENDING, "first has not answered yet");
	wait_for(&recorder);
	assert_int_equal(scripted[0].gets, 1);
	turn();
	assert_int_equal(recorder.fired, 1);
	assert_keys(2, 2);
	/* Into the window: the old ones serve, new ones are asked for. */
	manual.wall_epoch_ms += 6 * HOUR - 7 * MINUTE;
	assert_keys(2, 2);
	turn();
	assert_keys(3, 3);
	/* Not as far as that: nothing. */
	manual.wall_epoch_ms += 5 * HOUR;
	assert_keys(3, 3);
	turn();
	assert_int_equal(scripted[0].gets, 3);
	assert_string_equal(changes, " ready:1 ready:2 ready:3");
}

static void a_clock_that_was_in_1970(void **state)
{
	manual.wall_epoch_ms = 5000;
	scripted[0].expires_epoch_ms = WALL_EPOCH_MS + HOUR;
	open_chain(1);
	assert_keys(1, 1);
	manual.wall_epoch_ms = WALL_EPOCH_MS;
	assert_keys(1, 1);
	turn();
	assert_keys(2, 2);
	advance_ms(HOUR - 16 * MINUTE);
	assert_keys(2, 2);
	assert_int_equal(scripted[0].gets, 2);
}

static void a_jump_backward_gives_ended_keys_back(void **state)
{
	open_with_life(HOUR);
	scripted[0].err = ERR_TIMEOUT;
	advance_ms(2 * HOUR);
	assert_int_equal(get(), ERR_EXPIRED_CREDENTIALS);
	manual.wall_epoch_ms -= 2 * HOUR;
	assert_keys(1, 1);
	assert_state(CREDENTIALS_STALE);
	advance_ms(MINUTE);
	assert_string_equal(changes, " ready:1 stale:1 ended:1 stale:1");
	/* The renewal comes by the clock that does not jump. */
	scripted[0].err = 0;
	advance_ms(MINUTE);
	assert_keys(2, 2);
	manual.wall_epoch_ms -= 1000 * HOUR;
	advance_ms(HOUR);
	assert_int_equal(get(), 0);
	assert_true(set->generation > 2);
}

/* ---- refusals */

static void refused_keys_that_are_fixed(void **state)
{
	struct recorder recorder = {0};

	scripted[0].keep = true;
	open_chain(1);
	assert_keys(1, 1);
	wait_for(&recorder);
	assert_false(credentials_refused(credentials, 1));
	assert_int_equal(scripted[0].gets, 2);
	turn();
	assert_int_equal(recorder.fired, 1);
	assert_keys(1, 1);
	assert_state(CREDENTIALS_READY);
	advance_ms(10 * SECOND - 1);
	assert_false(credentials_refused(credentials, 1));
	assert_int_equal(scripted[0].gets, 2);
	advance_ms(1);
	assert_false(credentials_refused(credentials, 1));
	assert_int_equal(scripted[0].gets, 3);
	/* A file that was written anew. */
	advance_ms(10 * SECOND);
	scripted[0].keep = false;
	assert_true(credentials_refused(credentials, 1));
	assert_keys(2, 2);
	assert_true(credentials_refused(credentials, 1));
	assert_false(credentials_refused(credentials, 2));
	assert_int_equal(scripted[0].gets, 4);
	assert_string_equal(changes, " ready:1 ready:2");
}

static void refused_keys_are_renewed_in_the_background(void **state)
{
	struct recorder recorder = {0};

	open_with_life(6 * HOUR);
	scripted[0].later = true;
	for (int i = 0; i < 5; i++) {
		assert_true(credentials_refused(credentials, 1));
		assert_keys(1, 1);
	}
	assert_int_equal(scripted[0].gets, 2);
	wait_for(&recorder);
	advance_ms(3 * SECOND);
	assert_int_equal(recorder.fired, 0);
	scripted_answer(&scripted[0]);
	turn();
	assert_int_equal(recorder.fired, 1);
	assert_keys(2, 2);
	assert_true(credentials_refused(credentials, 1));
	assert_false(credentials_refused(credentials, 2));
	assert_int_equal(scripted[0].gets, 2);
	/* Once more, and they come back the same. */
	advance_ms(10 * SECOND);
	scripted[0].keep = true;
	assert_true(credentials_refused(credentials, 2));
	wait_for(&recorder);
	scripted_answer(&scripted[0]);
	turn();
	assert_int_equal(recorder.fired, 2);
	assert_keys(2, 2);
	assert_false(credentials_refused(credentials, 2));
	assert_state(CREDENTIALS_READY);
}

static void a_refusal_while_renewing_fails(void **state)
{
	open_chain(1);
	assert_keys(1, 1);
	scripted[0].err = ERR_UNAVAILABLE;
	assert_false(credentials_refused(credentials, 1));
	assert_keys(1, 1);
	assert_state(CREDENTIALS_STALE);
	assert_string_equal(credentials_status(credentials)->reason, "first: the service failed");
	for (int i = 0; i < 20; i++)
		assert_false(credentials_refused(credentials, 1));
	assert_int_equal(scripted[0].gets, 2);
	/* Keys that never expire serve on, and new ones are asked for. */
	advance_ms(10 * HOUR);
	assert_keys(1, 1);
	scripted[0].err = 0;
	advance_ms(MINUTE);
	assert_keys(2, 2);
	assert_string_equal(changes, " ready:1 stale:1 ready:2");
}

static void refusals_before_there_are_keys(void **state)
{
	open_chain(1);
	assert_false(credentials_refused(credentials, 1));
	scripted[0].later = true;
	assert_int_equal(get(), ERR_PENDING);
	assert_true(credentials_refused(credentials, 1));
	scripted_answer(&scripted[0]);
	assert_int_equal(scripted[0].gets, 1);
}

/* ---- waiters */

static void waiters_fire_once_each(void **state)
{
	struct recorder recorders[5] = {[0].again = 3, [2].gets = true, [3].refuses = true};

	scripted[0].later = true;
	open_chain(1);
	/* Nothing has begun. */
	wait_for(&recorders[0]);
	assert_int_equal(recorders[0].fired, 0);
	turn();
	assert_int_equal(recorders[0].fired, 4);
	credentials_start(credentials);
	for (size_t i = 0; i < 5; i++) {
		wait_for(&recorders[i]);
		wait_for(&recorders[i]);
	}
	credentials_unwait(&recorders[4].waiter);
	credentials_unwait(&recorders[4].waiter);
	advance_ms(HOUR);
	recorders[0].fired = 0;
	recorders[0].again = 1;
	recorders[0].unwaits = &recorders[1];
	scripted_answer(&scripted[0]);
	turn();
	assert_int_equal(recorders[0].fired, 2);
	assert_int_equal(recorders[1].fired, 0);
	assert_int_equal(recorders[2].fired, 1);
	assert_int_equal(recorders[3].fired, 1);
	assert_int_equal(recorders[4].fired, 0);
	assert_int_equal(scripted[0].gets, 2); /* the refusal */
	/* One who waits again during a renewal waits for its end. */
	recorders[2].again = 1;
	wait_for(&recorders[2]);
	turn();
	assert_int_equal(recorders[2].fired, 1);
	scripted[0].err = ERR_TIMEOUT;
	scripted_answer(&scripted[0]);
	turn();
	assert_int_equal(recorders[2].fired, 3);
}

static void a_waiter_that_waits_again_during_a_search(void **state)
{
	struct recorder first = {.refuses = true}, second = {.again = 1};

	open_chain(1);
	assert_keys(1, 1);
	scripted[0].later = true;
	wait_for(&first);
	wait_for(&second);
	turn();
	/* The first has begun a renewal; the second waits for that now. */
	assert_int_equal(first.fired, 1);
	assert_int_equal(second.fired, 1);
	turn();
	assert_int_equal(second.fired, 1);
	scripted_answer(&scripted[0]);
	turn();
	assert_int_equal(second.fired, 2);
}

static void a_waiter_may_free_them(void **state)
{
	struct recorder *recorders = calloc(4, sizeof(*recorders));

	scripted[0].later = true;
	open_chain(2);
	recorders[1].frees = true;
	credentials_start(credentials);
	for (size_t i = 0; i < 3; i++)
		wait_for(&recorders[i]);
	scripted_answer(&scripted[0]);
	/* It waits for the loop to turn, behind them. */
	wait_for(&recorders[3]);
	turn();
	assert_null(credentials);
	assert_int_equal(recorders[0].fired, 1);
	assert_int_equal(recorders[1].fired, 1);
	assert_int_equal(recorders[2].fired + recorders[3].fired, 0);
	credentials_unwait(&recorders[2].waiter);
	turn();
	assert_int_equal(recorders[2].fired + recorders[3].fired, 0);
	assert_int_equal(scripted[0].frees, 1);
	free(recorders);
}

static void freed_in_the_middle_of_a_get(void **state)
{
	struct recorder *recorder = calloc(1, sizeof(*recorder));

	scripted[0].later = true;
	open_chain(1);
	assert_int_equal(get(), ERR_PENDING);
	wait_for(recorder);
	credentials_free(credentials);
	credentials = NULL;
	assert_false(scripted[0].asked);
	turn();
	assert_int_equal(recorder->fired, 0);
	free(recorder);
}

static void unwaiting_what_never_waited(void **state)
{
	struct recorder recorder = {0};

	credentials_unwait(&recorder.waiter);
	open_chain(0);
}

static void states_have_names(void **state)
{
	static const char *const names[] = {"searching", "ready", "stale", "ended", "absent"};

	for (int i = 0; i < 5; i++)
		assert_string_equal(credentials_state_name((enum credentials_state)i), names[i]);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_provider_that_has_keys_is_kept),
		TEST(providers_may_take_their_time),
		TEST(nothing_found_names_what_was_tried),
		TEST(a_chain_of_nothing),
		TEST(an_error_for_good_ends_the_search),
		TEST(an_outage_at_the_start_is_survived),
		TEST(every_get_of_a_search_may_fail),
		TEST(unusable_keys_are_not_used),
		TEST(keys_are_renewed_before_they_expire),
		TEST(old_keys_serve_while_new_ones_are_awaited),
		TEST(unchanged_keys_are_asked_for_in_ever_shorter_steps),
		TEST(keys_that_come_expired_are_used),
		TEST(the_last_second_of_keys_is_not_cut),
		TEST(failing_renewals_end_at_the_expiry),
		TEST(every_get_of_a_life_may_fail),
		TEST(a_provider_that_loses_its_keys_is_named),
		TEST(keys_that_outlive_serve_on),
		TEST(a_jump_forward_renews_at_once),
		TEST(a_clock_that_was_in_1970),
		TEST(a_jump_backward_gives_ended_keys_back),
		TEST(refused_keys_that_are_fixed),
		TEST(refused_keys_are_renewed_in_the_background),
		TEST(a_refusal_while_renewing_fails),
		TEST(refusals_before_there_are_keys),
		TEST(waiters_fire_once_each),
		TEST(a_waiter_that_waits_again_during_a_search),
		TEST(a_waiter_may_free_them),
		TEST(freed_in_the_middle_of_a_get),
		TEST(unwaiting_what_never_waited),
		cmocka_unit_test(states_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
