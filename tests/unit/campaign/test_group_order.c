/* Order of groups: one of each at a time. */
#include "campaign/group_order.h"

#include "base/random.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct thing {
	struct group_item item;
	int number;
};

static int number_of(struct group_item *item)
{
	return item ? list_entry(item, struct thing, item)->number : 0;
}

static struct group_order *order_new(void)
{
	struct group_order *order = NULL;

	assert_int_equal(group_order_new(&order), 0);
	return order;
}

static void one_at_a_time(void **state)
{
	struct group_order *order = order_new();
	struct thing a1 = {.number = 1}, b2 = {.number = 2}, a3 = {.number = 3}, a4 = {.number = 4};

	assert_int_equal(group_order_enter(order, &a1.item, "a"), GROUP_FREE);
	assert_int_equal(group_order_enter(order, &b2.item, "b"), GROUP_FREE);
	assert_int_equal(group_order_enter(order, &a3.item, "a"), GROUP_HELD);
	assert_int_equal(group_order_enter(order, &a4.item, "a"), GROUP_HELD);
	assert_int_equal(group_order_held(order), 2);
	assert_null(group_order_next(order, &b2.item));
	assert_int_equal(number_of(group_order_next(order, &a1.item)), 3);
	assert_int_equal(group_order_held(order), 1);
	/* Done with, and there again. */
	assert_int_equal(group_order_enter(order, &a1.item, "a"), GROUP_HELD);
	assert_int_equal(number_of(group_order_next(order, &a3.item)), 4);
	assert_int_equal(number_of(group_order_next(order, &a4.item)), 1);
	assert_null(group_order_next(order, &a1.item));
	assert_int_equal(group_order_held(order), 0);
	assert_int_equal(group_order_enter(order, &b2.item, "a"), GROUP_FREE);
	assert_null(group_order_take(order, true));
	group_order_free(order);
	group_order_free(NULL);
}

static void a_blocked_group_stays_so(void **state)
{
	struct group_order *order = order_new();
	struct thing a1 = {.number = 1}, a2 = {.number = 2}, a3 = {.number = 3}, b4 = {.number = 4},
		     b5 = {.number = 5};

	group_order_enter(order, &a1.item, "a");
	group_order_enter(order, &a2.item, "a");
	group_order_enter(order, &a3.item, "a");
	group_order_enter(order, &b4.item, "b");
	group_order_enter(order, &b5.item, "b");
	group_order_block(order, &a1.item);
	assert_int_equal(group_order_held(order), 3);
	assert_int_equal(number_of(group_order_take(order, false)), 2);
	assert_int_equal(number_of(group_order_take(order, false)), 3);
	assert_null(group_order_take(order, false));
	assert_int_equal(group_order_enter(order, &a1.item, "a"), GROUP_BLOCKED);
	assert_int_equal(group_order_held(order), 1);
	assert_int_equal(number_of(group_order_next(order, &b4.item)), 5);
	group_order_free(order);
}

static void everything_is_taken(void **state)
{
	struct group_order *order = order_new();
	struct thing things[100];
	int seen[100] = {0};
	struct group_item *item;
	char name[8];

	for (int i = 0; i < 100; i++) {
		things[i].number = i;
		snprintf(name, sizeof(name), "%d", i % 7);
		group_order_enter(order, &things[i].item, name);
	}
	group_order_block(order, &things[3].item);
	assert_int_equal(group_order_held(order), 93);
	while ((item = group_order_take(order, true)))
		seen[number_of(item)]++;
	for (int i = 0; i < 100; i++)
		assert_int_equal(seen[i], i >= 7);
	assert_int_equal(group_order_held(order), 0);
	/* Those on their way end as before. */
	for (int i = 0; i < 7; i++)
		if (i != 3)
			assert_null(group_order_next(order, &things[i].item));
	assert_int_equal(group_order_enter(order, &things[50].item, "5"), GROUP_FREE);
	group_order_free(order);
}

/* Many groups, so that the table grows, against plain arrays. */
static void at_random(void **state)
{
	enum { THINGS = 5000, GROUPS = 700 };
	static struct thing things[THINGS];
	static int queues[GROUPS][THINGS], heads[GROUPS], tails[GROUPS];
	struct group_order *order = order_new();
	struct random random;
	int entered = 0, held = 0;
	char name[16];

	random_seed(&random, 7);
	memset(heads, 0, sizeof(heads));
	memset(tails, 0, sizeof(tails));
	while (entered < THINGS) {
		int group = (int)random_below(random_next(&random), GROUPS);

		if (random_below(random_next(&random), 3) > 0) {
			struct thing *thing = &things[entered];
			bool first = heads[group] == tails[group];

			thing->number = entered + 1;
			snprintf(name, sizeof(name), "group-%d", group);
			assert_int_equal(group_order_enter(order, &thing->item, name),
				first ? GROUP_FREE : GROUP_HELD);
			held += !first;
			queues[group][tails[group]++] = entered++;
		} else if (heads[group] < tails[group]) {
			int done = queues[group][heads[group]++];
			int next =
				heads[group] < tails[group] ? queues[group][heads[group]] + 1 : 0;

			assert_int_equal(
				number_of(group_order_next(order, &things[done].item)), next);
			held -= next > 0;
		}
		assert_int_equal(group_order_held(order), held);
	}
	group_order_free(order);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(a_blocked_group_stays_so),
		cmocka_unit_test(everything_is_taken),
		cmocka_unit_test(at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
