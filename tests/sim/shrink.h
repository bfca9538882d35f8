/* Makes a failing run small: as few faults and as few messages as break the same invariant. */
#ifndef SIM_SHRINK_H
#define SIM_SHRINK_H

#include "sim.h"

#include <stdbool.h>
#include <stdio.h>

/*
 * Tells of a run that broke an invariant: shrunk when wanted, with the trace about the message
 * concerned and the command line that repeats it.
 */
void shrink_report(
	const struct sim_options *options, const struct verdict *verdict, bool shrink, FILE *to);

#endif
