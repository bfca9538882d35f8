/* The promises that can be seen by looking at the whole, between any two steps of the clock. */
#ifndef TESTS_DELIVERY_WORLD_CHECKS_H
#define TESTS_DELIVERY_WORLD_CHECKS_H

struct world;

void world_check(struct world *world);
/* After delivery_free: no call, attempt, batch or timer of the core is left. */
void world_check_gone(struct world *world);

#endif
