/*
 * Makes allocations fail on purpose. Link a test with the `testlib` dependency: the linker then
 * sends every malloc, calloc, realloc, strdup and strndup of the test and of the static libraries
 * under it through here (not those inside shared libraries).
 *
 * Sweep rather than sample: fail allocation 1, then 2, and so on until the operation needs no
 * more of them.
 *
 *	static int operation(void *arg)
 *	{
 *		...builds something, undoes it, returns 0 or an error code...
 *	}
 *
 *	failmalloc_sweep(operation, NULL);
 */
#ifndef TESTS_FAILMALLOC_H
#define TESTS_FAILMALLOC_H

#include <stdbool.h>

/* The k-th allocation from now (1: the next one) returns NULL, once. */
void failmalloc_arm(unsigned long k);

/* From now on nothing fails. True: the failure asked for has happened. */
bool failmalloc_disarm(void);

/*
 * Runs the operation once for each of its allocations, failing it, and demands ERR_NOMEM of each
 * run; then once more undisturbed, and demands 0. Returns how many allocations failed, of which
 * there must be at least one. What a failed run leaves behind, the sanitizer or valgrind reports.
 */
unsigned long failmalloc_sweep(int (*operation)(void *arg), void *arg);

#endif
