/*
 * The failures of one worker, for the status page: the delivery's events in groups
 * (supervisor/failures.h). Of what was accepted nothing is kept, and nothing is done.
 *
 * A sample of each group is taken at most once a second, so that a provider that fails thousands of
 * times a second costs a comparison of short texts for each. What it answered, and the reason, have
 * the registered secrets taken out (base/log.h).
 */
#ifndef CLI_RUN_FAILURE_NOTES_H
#define CLI_RUN_FAILURE_NOTES_H

#include "bunshin/clock.h"
#include "delivery/delivery.h"
#include "supervisor/failures.h"

#include <stdbool.h>

struct failure_notes {
	struct clock clock;
	struct failures failures;
	bool changed; /* since whoever writes them down has set it to false */
};

void failure_notes_init(struct failure_notes *notes, struct clock clock);
void failure_notes_take(struct failure_notes *notes, const struct delivery_event *event);

#endif
