#include "chain_world.h"

#include "base/random.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct manual_clock manual;
struct scripted scripted[PROVIDERS];
struct credentials *credentials;
const struct credentials_set *set;
char reason[CREDENTIALS_REASON_MAX];
char changes[1000];

static void changed(void *arg, const struct credentials_status *status)
{
	size_t used = strlen(changes);

	assert_ptr_equal(arg, &manual);
	assert_ptr_equal(status, credentials_status(credentials));
	snprintf(changes + used, sizeof(changes) - used, " %s:%u",
		credentials_state_name(status->state), (unsigned)status->renewals);
}

int setup(void **state)
{
	manual_clock_init(&manual, 1, WALL_EPOCH_MS);
	memset(scripted, 0, sizeof(scripted));
	for (size_t i = 0; i < PROVIDERS; i++)
		scripted[i].clock = &manual;
	credentials = NULL;
	changes[0] = '\0';
	return 0;
}

void open_chain(size_t count)
{
	static const char *const names[PROVIDERS] = {"first", "second", "third"};
	struct credentials_provider providers[PROVIDERS];

	for (size_t i = 0; i < count; i++)
		providers[i] = scripted_provider(names[i], &scripted[i]);
	assert_int_equal(
		credentials_new(manual_clock_table(&manual), providers, count, &credentials), 0);
	credentials_observe(credentials, changed, &manual);
}

int teardown(void **state)
{
	credentials_free(credentials);
	assert_null(timer_heap_first(&manual.heap));
	manual_clock_free(&manual);
	return 0;
}

void advance_ms(int64_t ms)
{
	manual_clock_advance(&manual, (uint64_t)ms * 1000);
}

void turn(void)
{
	advance_ms(0);
}

int64_t now_ms(void)
{
	return clock_wall_epoch_ms(manual_clock_table(&manual));
}

int get(void)
{
	int err;

	set = NULL;
	strcpy(reason, "untouched");
	err = credentials_get(credentials, &set, reason);
	assert_int_equal(set == NULL, err != 0);
	return err;
}

void assert_keys(unsigned number, uint64_t generation)
{
	char id[20];

	assert_int_equal(get(), 0);
	snprintf(id, sizeof(id), "AKID%u", number);
	assert_string_equal(set->access_key_id, id);
	assert_int_equal(set->generation, generation);
}

void assert_none(int err, const char *why)
{
	assert_int_equal(get(), err);
	assert_null(set);
	assert_string_equal(reason, why);
}

void assert_state(enum credentials_state state)
{
	assert_string_equal(credentials_state_name(credentials_status(credentials)->state),
		credentials_state_name(state));
}

uint64_t next_random(void)
{
	uint64_t random_state = manual.random_state;

	return random_split_mix(&random_state);
}

void assert_asked_after(struct scripted *one, int64_t delay_ms)
{
	unsigned gets = one->gets;

	advance_ms(delay_ms - 1);
	assert_int_equal(one->gets, gets);
	advance_ms(1);
	assert_int_equal(one->gets, gets + 1);
}

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

void wait_for(struct recorder *recorder)
{
	recorder->waiter.fire = fire;
	credentials_wait(credentials, &recorder->waiter);
}
