/*
 * A scenario with some of everything, to be cut short or disturbed at every step: acceptances,
 * back-offs, failures and copies, an expiry, a postponement, a breaker that opens, faults of the
 * queue, extensions, two destinations. It ends with every message deleted.
 */
#ifndef TESTS_DELIVERY_SCENARIO_H
#define TESTS_DELIVERY_SCENARIO_H

#include "world.h"

#define SCENARIO_LIMIT_US (600 * S)

/* world_init_outside() and what the scenario needs beyond; world_init_core() is to follow. */
void scenario_build(struct world *world, const char *label);
/* Runs it undisturbed, checks that it has all of the above, and returns its number of steps. */
unsigned long scenario_steps(struct world *world);

#endif
