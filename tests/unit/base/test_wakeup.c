#include "base/wakeup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define SENDERS 4
#define SENDS 20000

struct world {
	uv_loop_t loop;
	struct wakeup wakeup;
	int woken, closed;
	atomic_int left;   /* sends that the senders still do */
	int seen;	   /* sends done when woken last */
	bool close_inside; /* at the first time */
};

static void on_closed(void *arg)
{
	struct world *world = arg;

	world->closed++;
}

static void on_woken(void *arg)
{
	struct world *world = arg;

	world->woken++;
	world->seen = SENDERS * SENDS - atomic_load(&world->left);
	if (world->close_inside)
		wakeup_close(&world->wakeup, on_closed);
}

static int setup(void **state)
{
	static struct world world;

	world = (struct world){0};
	assert_int_equal(uv_loop_init(&world.loop), 0);
	assert_int_equal(wakeup_open(&world.loop, &world.wakeup, on_woken, &world), 0);
	*state = &world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	if (!world->closed)
		wakeup_close(&world->wakeup, on_closed);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(world->closed, 1);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	return 0;
}

static void test_several_sends_wake_once(void **state)
{
	struct world *world = *state;

	wakeup_send(&world->wakeup);
	wakeup_send(&world->wakeup);
	assert_int_equal(world->woken, 0);
	uv_run(&world->loop, UV_RUN_ONCE);
	assert_int_equal(world->woken, 1);
	uv_run(&world->loop, UV_RUN_NOWAIT);
	assert_int_equal(world->woken, 1);
	wakeup_send(&world->wakeup);
	uv_run(&world->loop, UV_RUN_ONCE);
	assert_int_equal(world->woken, 2);
}

static void test_a_close_forgets_what_was_sent(void **state)
{
	struct world *world = *state;

	wakeup_send(&world->wakeup);
	wakeup_close(&world->wakeup, on_closed);
	assert_int_equal(world->closed, 0);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(world->woken, 0);
	assert_int_equal(world->closed, 1);
}

static void test_closing_while_woken(void **state)
{
	struct world *world = *state;

	world->close_inside = true;
	wakeup_send(&world->wakeup);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(world->woken, 1);
	assert_int_equal(world->closed, 1);
}

static void send_many(void *arg)
{
	struct world *world = arg;

	for (int i = 0; i < SENDS; i++) {
		atomic_fetch_sub(&world->left, 1);
		wakeup_send(&world->wakeup);
	}
}

/* Whoever sent last, the loop has looked after that. */
static void test_no_send_is_missed(void **state)
{
	struct world *world = *state;
	uv_thread_t senders[SENDERS];

	atomic_store(&world->left, SENDERS * SENDS);
	for (int i = 0; i < SENDERS; i++)
		assert_int_equal(uv_thread_create(&senders[i], send_many, world), 0);
	while (world->seen < SENDERS * SENDS)
		uv_run(&world->loop, UV_RUN_ONCE);
	for (int i = 0; i < SENDERS; i++)
		uv_thread_join(&senders[i]);
	assert_in_range(world->woken, 1, SENDERS * SENDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_several_sends_wake_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_close_forgets_what_was_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closing_while_woken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_send_is_missed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
