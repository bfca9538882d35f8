/* The promises that can be seen by looking at the whole, between any two steps of the clock. */
#ifndef TESTS_DELIVERY_WORLD_CHECKS_H
#define TESTS_DELIVERY_WORLD_CHECKS_H

struct fake_message;
struct world;

void world_check(struct world *world);
/* An attempt is about to start: control allows it, and is in no doubt. */
void world_check_control(struct world *world, const struct fake_message *message);
/* The core says that it is cancelled. */
void world_check_cancelled(struct world *world, const struct fake_message *message);
/* After delivery_free: no call, attempt, batch or timer of the core is left. */
void world_check_gone(struct world *world);

#endif
