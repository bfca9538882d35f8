/*
 * Makes allocations fail on purpose. Link a test with the `testlib` dependency: the linker then
 * sends every malloc, calloc, realloc, strdup and strndup of the test and of the static libraries
 * under it through here (not those inside shared libraries, but for what a library's own hooks
 * are given: the address of malloc is wrapped as well).
 *
 * Sweep rather than sample: fail allocation 1, then 2, and so on until the operation needs no more
 * of them. tests/fault/memory does so for all layers; failmalloc_sweep() is for a test of its own.
 */
#ifndef TESTS_FAILMALLOC_H
#define TESTS_FAILMALLOC_H

#include <limits.h>

#define FAILMALLOC_ALL ULONG_MAX

/* The k-th allocation from now (1: the next one) returns NULL, once. */
void failmalloc_arm(unsigned long k);

/* So do the k-th and those after it, n in all (FAILMALLOC_ALL: until failmalloc_disarm()). */
void failmalloc_arm_stretch(unsigned long k, unsigned long n);

/* From now on nothing fails. How many have failed; 0: the k-th was never asked for. */
unsigned long failmalloc_disarm(void);

/*
 * Between the two, allocations neither fail nor count: for what a test does in the middle of an
 * operation. They nest.
 */
void failmalloc_pause(void);
void failmalloc_resume(void);

/*
 * Runs the operation once for each of its allocations, failing it, and demands ERR_NOMEM of each
 * run; then once more undisturbed, and demands 0. Returns how many allocations failed, of which
 * there must be at least one. What a failed run leaves behind, the sanitizer or valgrind reports.
 */
unsigned long failmalloc_sweep(int (*operation)(void *arg), void *arg);

#endif
