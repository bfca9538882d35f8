#include "sweep.h"

#include "bunshin/error.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPERATIONS_MAX 128
#define RUN_MAX_S 20 /* one that takes longer hangs: most take a millisecond */

/* The sanitizers', when they are linked in. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static const struct sweep_kind allocations = {
	"allocations", failmalloc_arm_stretch, failmalloc_disarm};

static struct {
	const struct sweep *sweep;
	const struct sweep_kind *kind;
	unsigned long k, stretch; /* of the present run */
	unsigned long hits;	  /* in it: how many sweep_off() have seen a failure */
	bool is_on, was_on;
	bool is_broken; /* a check has failed: what it left behind is no leak */
} now;

static struct {
	unsigned long allocations, stretches, timers;
	size_t operations;
} total;

void sweep_on(void)
{
	assert_false(now.is_on);
	now.is_on = now.was_on = true;
	now.kind->arm(now.k, now.stretch);
}

void sweep_off(void)
{
	assert_true(now.is_on);
	now.is_on = false;
	now.hits += now.kind->disarm() > 0;
}

bool sweep_has_failed(void)
{
	assert_false(now.is_on);
	return now.hits > 0;
}

/* Where a failed check or a sanitizer has stopped us. */
static void say_where(void)
{
	char text[256];
	int len;

	if (!now.sweep)
		return;
	len = snprintf(text, sizeof(text), "%s: stopped with number %lu of the %s failing%s\n",
		now.sweep->name, now.k, now.kind->plural,
		now.stretch == 1		? ""
		: now.stretch == FAILMALLOC_ALL ? " and all after it"
						: " and some after it");
	if (write(STDERR_FILENO, text, (size_t)len) < 0)
		return;
}

static void on_alarm(int signal)
{
	static const char text[] = "a run hangs\n";

	say_where();
	if (write(STDERR_FILENO, text, sizeof(text) - 1) > 0)
		abort();
}

/* One run; in how many variants of the operation one failed. */
static unsigned long run(const struct sweep *sweep)
{
	int err;

	now.was_on = false;
	now.hits = 0;
	alarm(RUN_MAX_S);
	err = sweep->run(sweep->arg);
	alarm(0);
	if (!now.was_on || now.is_on)
		fail_msg("sweep_on() and sweep_off() were not called");
	if (now.hits == 0) {
		if (err)
			fail_msg("undisturbed: %s", error_name(err));
	} else if (err != ERR_NOMEM && (err || !sweep->degrades)) {
		fail_msg("the answer was %s", error_name(err));
	}
	return now.hits;
}

/* How many were failed in turn. */
static unsigned long sweep_stretch(const struct sweep *sweep, unsigned long stretch)
{
	unsigned long hits, failed = 0;

	now.stretch = stretch;
	for (now.k = 1; (hits = run(sweep)) > 0; now.k++)
		failed += hits;
	return failed;
}

static void sweep_test(void **state)
{
	static const unsigned long usual[] = {1, FAILMALLOC_ALL, 0};
	const struct sweep *sweep = *state;
	const unsigned long *stretch = sweep->stretches ? sweep->stretches : usual;
	unsigned long failed, stretches = 0;

	now.sweep = sweep;
	now.kind = sweep->kind ? sweep->kind : &allocations;
	assert_int_equal(*stretch, 1);
	failed = sweep_stretch(sweep, 1);
	if (!failed != sweep->allocates_nothing)
		fail_msg("it needs %lu %s", failed, now.kind->plural);
	while (*++stretch)
		stretches += sweep_stretch(sweep, *stretch);
	now.sweep = NULL;
	if (__lsan_do_recoverable_leak_check && !now.is_broken &&
		__lsan_do_recoverable_leak_check())
		fail_msg("one of the runs leaked");
	print_message("%-50s %6lu %-11s %6lu stretches\n", sweep->name, failed, now.kind->plural,
		stretches);
	if (sweep->kind)
		total.timers += failed;
	else
		total.allocations += failed;
	total.stretches += stretches;
	total.operations++;
}

static int after_test(void **state)
{
	if (now.is_on)
		sweep_off();
	say_where();
	now.is_broken |= now.sweep != NULL;
	now.sweep = NULL;
	return 0;
}

int sweep_table(const char *layer, const struct sweep table[], size_t count,
	int (*enter)(void **state), int (*leave)(void **state))
{
	static struct sweep rows[OPERATIONS_MAX]; /* cmocka's state is not const */
	static struct CMUnitTest tests[OPERATIONS_MAX];
	const char *only = getenv("BUNSHIN_FAULT_ONLY");
	size_t chosen = 0;
	int failed;

	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(say_where);
	signal(SIGALRM, on_alarm);
	for (size_t i = 0; i < count && i < OPERATIONS_MAX; i++) {
		if (only && !strstr(table[i].name, only))
			continue;
		rows[chosen] = table[i];
		tests[chosen] = (struct CMUnitTest){.name = table[i].name,
			.test_func = sweep_test,
			.teardown_func = after_test,
			.initial_state = &rows[chosen]};
		chosen++;
	}
	failed = _cmocka_run_group_tests(layer, tests, chosen, enter, leave);
	printf("%s: %lu allocations failed in turn in %zu operations; %lu stretches, %lu timers\n",
		layer, total.allocations, total.operations, total.stretches, total.timers);
	return failed || count > OPERATIONS_MAX;
}
