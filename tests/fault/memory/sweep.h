/*
 * The allocation failure sweep. A program is a table of operations; each is run again and again,
 * its allocation 1 failing, then 2, and so on until it needs no more of them, and once more so with
 * whole stretches of allocations. No crash, no leak, no wrong answer. It prints how many failed.
 *
 *	static int operation(const void *arg)
 *	{
 *		...builds what the operation needs...
 *		sweep_on();	(from here on, allocation k fails)
 *		...does it, err being its answer...
 *		sweep_off();
 *		...checks what must hold whether it failed or not, takes everything back...
 *		return err;
 *	}
 *
 * cmocka counts and names each operation as a test. BUNSHIN_FAULT_ONLY=TEXT runs those with TEXT
 * in their name.
 */
#ifndef TESTS_FAULT_SWEEP_H
#define TESTS_FAULT_SWEEP_H

#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What fails. */
struct sweep_kind {
	const char *plural;
	/* The k-th from now and those after it, n in all. */
	void (*arm)(unsigned long k, unsigned long n);
	/* How many have failed; 0: the k-th was never asked for. */
	unsigned long (*disarm)(void);
};

struct sweep {
	const char *name;
	/*
	 * One run of the operation from a fresh start, which ends with nothing left. Undisturbed
	 * it returns 0. When an allocation failed it returns ERR_NOMEM.
	 */
	int (*run)(const void *arg);
	const void *arg;
	const struct sweep_kind *kind; /* NULL: allocations, by failmalloc.h */
	/* It may also return 0, having checked that what came of it is right all the same. */
	bool degrades;
	/* It is to allocate nothing at all. */
	bool allocates_nothing;
	/*
	 * Lengths of the stretches that fail, ended by 0; the first is 1. NULL: 1, and
	 * FAILMALLOC_ALL, that is, all allocations from the k-th on.
	 */
	const unsigned long *stretches;
};

/* A row: its name, its run, and whatever else is not zero. */
#define SWEEP(what, how, ...)                               \
	{                                                   \
		.name = (what), .run = (how), ##__VA_ARGS__ \
	}

/*
 * Between the two allocations fail: the k-th, counted from sweep_on(). A run may do so more than
 * once, each time for another variant of its operation.
 */
void sweep_on(void);
void sweep_off(void);
/* Whether one has failed in this run; after sweep_off(). */
bool sweep_has_failed(void);

/*
 * The rest of a main(): sweeps the table, prints the counts, returns the exit status. `enter` and
 * `leave` are cmocka's group set-up and tear-down, and may be NULL.
 */
int sweep_table(const char *layer, const struct sweep table[], size_t count,
	int (*enter)(void **state), int (*leave)(void **state));

#define SWEEP_TABLE(layer, table, enter, leave) \
	sweep_table(layer, table, sizeof(table) / sizeof((table)[0]), enter, leave)

#endif
