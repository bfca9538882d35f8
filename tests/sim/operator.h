/*
 * The operator: pauses the queue, sets a rate, cancels campaigns, and takes it back, at any instant
 * of the storm. Each worker is told a few seconds later, or before it starts; afterwards all is as
 * if nothing had been asked, but for the campaigns that are cancelled.
 */
#ifndef SIM_OPERATOR_H
#define SIM_OPERATOR_H

#include "delivery/control.h"
#include "events.h"
#include "plan.h"

#include <stdbool.h>

#define OPERATOR_CHANGES_MAX 8
#define OPERATOR_CAMPAIGNS 3 /* that it knows of: mail->campaign below this */

struct sim;
struct worker;
struct mail;

/* What is asked, once as the core is told and once as the invariants read it. */
struct asked {
	struct control control;
	bool paused;
	unsigned cancelled; /* bit per campaign */
};

struct operator
{
	struct asked asked; /* the tags of the queue */
	struct operator_change {
		struct event event;
		struct sim *sim;
		uint64_t which;
	} changes[OPERATOR_CHANGES_MAX];
	struct operator_news {
		struct event event;
		struct worker *worker;
	} news[PLAN_WORKERS_MAX];
};

void operator_init(struct sim *sim);
/* The faults are off: nothing is paused from here on. */
void operator_heal(struct sim *sim);
/* A worker is about to start: what it is told first. NULL: nobody ever asked anything. */
const struct control *operator_tell(struct worker *worker);

/* Is it cancelled where this worker runs? */
bool operator_cancels(const struct worker *worker, const struct mail *mail);
extern const char *const operator_campaigns[OPERATOR_CAMPAIGNS];

#endif
