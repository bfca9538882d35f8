/*
 * A configuration's destinations as the core wants them.
 */
#ifndef CLI_DESTINATIONS_H
#define CLI_DESTINATIONS_H

#include "config/config.h"
#include "delivery/delivery.h"

#include <stddef.h>

/*
 * One row each, in the configuration's order, without target and rate, which are the caller's to
 * fill in. Texts are the configuration's, which outlives it.
 */
struct destinations {
	struct delivery_destination *rows;
	size_t count;
	/* What the rows point to. */
	struct status_range *ranges;
	struct outcome_rule *rules;
	struct route_condition *conditions;
};

/* 0 or ERR_NOMEM, then empty. */
int destinations_new(const struct config *config, struct destinations *ret);
/* A zeroed one is fine. */
void destinations_free(struct destinations *destinations);

#endif
