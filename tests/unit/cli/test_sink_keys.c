/* The set of a sink's keys, while it grows and after. */
#include "bunshin/error.h"
#include "cli/sink_keys.h"
#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

enum { MANY = 60000 };

static struct sink_key key_of(int number)
{
	char text[16];

	snprintf(text, sizeof(text), "key-%d", number);
	return sink_key_of(text);
}

static void each_is_new_once(void **state)
{
	struct sink_keys keys = {0};
	bool is_new;

	assert_false(sink_keys_has(&keys, key_of(0)));
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(sink_keys_add(&keys, key_of(i), &is_new), 0);
		assert_true(is_new);
		/* One of before, and this one, wherever the table is in its growth. */
		assert_int_equal(sink_keys_add(&keys, key_of(i / 2), &is_new), 0);
		assert_false(is_new);
		assert_true(sink_keys_has(&keys, key_of(i)));
		assert_false(sink_keys_has(&keys, key_of(i + 1)));
		assert_int_equal(keys.count, i + 1);
	}
	for (int i = 0; i < MANY; i++)
		assert_true(sink_keys_has(&keys, key_of(i)));
	sink_keys_free(&keys);
	assert_false(sink_keys_has(&keys, key_of(0)));
}

static int add_many(void *arg)
{
	struct sink_keys keys = {0};
	bool is_new;
	int err = 0;

	for (int i = 0; i < 10000 && !err; i++)
		err = sink_keys_add(&keys, key_of(i), &is_new);
	sink_keys_free(&keys);
	return err;
}

static void without_memory(void **state)
{
	assert_int_equal(failmalloc_sweep(add_many, NULL), 3); /* 4096, 8192, 16384 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_new_once),
		cmocka_unit_test(without_memory),
	};

	return cmocka_run_group_tests_name("cli/sink_keys", tests, NULL, NULL);
}
