#include "failmalloc.h"

#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
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
static _Thread_local unsigned long left; /* until the one that fails; 0: not armed */

static bool fails(void)
{
	return left && --left == 0;
}

void failmalloc_arm(unsigned long k)
{
	left = k;
}

bool failmalloc_disarm(void)
{
	bool happened = left == 0;

	left = 0;
	return happened;
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
