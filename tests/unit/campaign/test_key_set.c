/* Keys that are known, and the memory that knowing them takes. */
#include "campaign/key_set.h"

#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t hash_key[SIPHASH_KEY_BYTES] = {1, 2, 3};

static int add(struct key_set *set, const char *key)
{
	return key_set_add(set, key, strlen(key));
}

static void a_key_is_new_once(void **state)
{
	struct key_set *set;

	assert_int_equal(key_set_new(hash_key, &set), 0);
	assert_int_equal(add(set, "a"), KEY_NEW);
	assert_int_equal(add(set, "b"), KEY_NEW);
	assert_int_equal(add(set, "a"), KEY_DUPLICATE);
	assert_int_equal(add(set, ""), KEY_NEW);
	assert_int_equal(add(set, ""), KEY_DUPLICATE);
	assert_int_equal(key_set_add(set, "a\0b", 3), KEY_NEW);
	assert_int_equal(key_set_add(set, "a\0c", 3), KEY_NEW);
	assert_int_equal(key_set_count(set), 5);
	key_set_free(set);
	key_set_free(NULL);
}

static void a_suppressed_key_stays_so(void **state)
{
	struct key_set *set;

	assert_int_equal(key_set_new(hash_key, &set), 0);
	assert_int_equal(key_set_suppress(set, "a", 1), 0);
	assert_int_equal(key_set_suppress(set, "a", 1), 0);
	assert_int_equal(add(set, "a"), KEY_SUPPRESSED);
	assert_int_equal(add(set, "a"), KEY_SUPPRESSED);
	assert_int_equal(add(set, "b"), KEY_NEW);
	assert_int_equal(key_set_count(set), 2);
	key_set_free(set);
}

/* Through every growth: each is known, none is taken for another, and the memory is bounded. */
static void two_million_keys(void **state)
{
	enum { COUNT = 2000000, STEP = 997 };
	struct key_set *set;
	char key[40];

	assert_int_equal(key_set_new(hash_key, &set), 0);
	for (int i = 0; i < COUNT; i++) {
		snprintf(key, sizeof(key), "U%032d", i);
		assert_int_equal(add(set, key), KEY_NEW);
	}
	for (int i = 0; i < COUNT; i += STEP) {
		snprintf(key, sizeof(key), "U%032d", i);
		assert_int_equal(add(set, key), KEY_DUPLICATE);
	}
	assert_int_equal(key_set_count(set), COUNT);
	assert_true(key_set_bytes(set) <= (size_t)36 << 20);
	key_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_new_once),
		cmocka_unit_test(a_suppressed_key_stays_so),
		cmocka_unit_test(two_million_keys),
	};

	return cmocka_run_group_tests_name("campaign/key_set", tests, NULL, NULL);
}
