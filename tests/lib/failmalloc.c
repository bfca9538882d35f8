#include "failmalloc.h"

#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Made by the linker: --wrap=NAME turns calls of NAME into calls of __wrap_NAME. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);

/* libuv's worker threads allocate too, so only the thread that armed it counts. */
static _Thread_local struct {
	unsigned long spared;  /* allocations before the first that fails */
	unsigned long failing; /* and how many fail then; 0: not armed, or all have */
	unsigned long failed;
	unsigned paused;
} plan;

static bool fails(void)
{
	if (plan.failing == 0 || plan.paused > 0)
		return false;
	if (plan.spared > 0) {
		plan.spared--;
		return false;
	}
	plan.failing--;
	plan.failed++;
	return true;
}

void failmalloc_arm(unsigned long k)
{
	failmalloc_arm_stretch(k, 1);
}

void failmalloc_arm_stretch(unsigned long k, unsigned long n)
{
	plan.spared = k - 1;
	plan.failing = n;
	plan.failed = 0;
}

unsigned long failmalloc_disarm(void)
{
	unsigned long failed = plan.failed;

	plan.failing = plan.failed = 0;
	return failed;
}

void failmalloc_pause(void)
{
	plan.paused++;
}

void failmalloc_resume(void)
{
	plan.paused--;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t len)
{
	return fails() ? NULL : __real_strndup(text, len);
}

unsigned long failmalloc_sweep(int (*operation)(void *arg), void *arg)
{
	for (unsigned long k = 1;; k++) {
		int err;

		failmalloc_arm(k);
		err = operation(arg);
		if (!failmalloc_disarm()) {
			if (err)
				fail_msg("undisturbed: %s", error_name(err));
			assert_true(k > 1);
			return k - 1;
		}
		if (err != ERR_NOMEM)
			fail_msg(
				"allocation %lu failed, and the answer was %s", k, error_name(err));
	}
}
