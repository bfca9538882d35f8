/*
 * The real clock: a libuv loop, CLOCK_REALTIME, and a xoshiro256** generator seeded by the
 * kernel. All its timers share one uv_timer_t.
 */
#ifndef BASE_LOOP_CLOCK_H
#define BASE_LOOP_CLOCK_H

#include "bunshin/clock.h"

#include <uv.h>

struct loop_clock;

/* The loop is borrowed and must outlive the clock. Returns 0, ERR_NOMEM or ERR_IO. */
int loop_clock_new(uv_loop_t *loop, struct loop_clock **ret_clock);
struct clock loop_clock_table(struct loop_clock *clock);
/*
 * Clears every timer and closes the handle; the memory goes when libuv has closed it, on a later
 * turn of the loop. NULL is fine.
 */
void loop_clock_close(struct loop_clock *clock);

#endif
