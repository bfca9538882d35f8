#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
	int number;
	struct list node;
};

static struct item items[5];

static void assert_holds(const struct list *head, const int *numbers, size_t count)
{
	size_t i = 0;

	for (struct list *node = head->next; node != head; node = node->next, i++) {
		assert_true(i < count);
		assert_int_equal(list_entry(node, struct item, node)->number, numbers[i]);
		assert_ptr_equal(node->next->prev, node);
		assert_ptr_equal(node->prev->next, node);
	}
	assert_int_equal(i, count);
}

static int setup(void **state)
{
	for (int i = 0; i < 5; i++) {
		items[i].number = i;
		list_init(&items[i].node);
	}
	return 0;
}

static void keeps_order(void **state)
{
	struct list head;

	list_init(&head);
	assert_true(list_is_empty(&head));
	assert_null(list_first(&head));
	list_append(&head, &items[1].node);
	list_append(&head, &items[2].node);
	list_prepend(&head, &items[0].node);
	assert_false(list_is_empty(&head));
	assert_ptr_equal(list_first(&head), &items[0].node);
	assert_holds(&head, (const int[]){0, 1, 2}, 3);
}

/* Every subset of five, removed in list order and from both kinds of place. */
static void removes_every_subset(void **state)
{
	for (unsigned mask = 0; mask < 32; mask++) {
		struct list head;
		int kept[5];
		size_t count = 0;

		list_init(&head);
		for (int i = 0; i < 5; i++)
			list_append(&head, &items[i].node);
		for (int i = 0; i < 5; i++) {
			if (mask >> i & 1)
				list_remove(&items[i].node);
			else
				kept[count++] = i;
		}
		assert_holds(&head, kept, count);
		assert_int_equal(list_is_empty(&head), count == 0);
		while (list_first(&head))
			list_remove(list_first(&head));
	}
}

static void removing_twice_is_harmless(void **state)
{
	struct list head;

	list_init(&head);
	list_append(&head, &items[0].node);
	list_append(&head, &items[1].node);
	list_remove(&items[0].node);
	list_remove(&items[0].node);
	assert_true(list_is_empty(&items[0].node));
	assert_holds(&head, (const int[]){1}, 1);
	list_remove(&items[1].node);
	assert_true(list_is_empty(&head));
}

static void iterates(void **state)
{
	struct list head;
	int sum = 0;

	list_init(&head);
	list_for_each (node, &head)
		sum++;
	assert_int_equal(sum, 0);
	for (int i = 0; i < 5; i++)
		list_append(&head, &items[i].node);
	list_for_each (node, &head)
		sum = sum * 10 + list_entry(node, struct item, node)->number;
	assert_int_equal(sum, 1234);
	list_for_each_safe (node, &head)
		if (list_entry(node, struct item, node)->number % 2 == 0)
			list_remove(node);
	assert_holds(&head, (const int[]){1, 3}, 2);
	list_for_each_safe (node, &head)
		list_remove(node);
	assert_true(list_is_empty(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(keeps_order, setup),
		cmocka_unit_test_setup(removes_every_subset, setup),
		cmocka_unit_test_setup(removing_twice_is_harmless, setup),
		cmocka_unit_test_setup(iterates, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
