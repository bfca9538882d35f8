/*
 * What `campaign send` says at its end, as text or as one JSON object. Every row of the list is in
 * one of sent, sent_before, skipped, failed and unsent.
 */
#ifndef CLI_CAMPAIGN_SUMMARY_H
#define CLI_CAMPAIGN_SUMMARY_H

#include "campaign/recipients.h"

#include <stdbool.h>
#include <stdint.h>

struct campaign_plan;

struct campaign_summary {
	uint64_t recipients;
	uint64_t sent;	      /* in the queue, and with a name noted in the journal */
	uint64_t sent_before; /* by earlier runs, or refused in them */
	uint64_t skipped, failed, unsent;
	uint64_t messages;    /* that the sent ones of this run are in */
	uint64_t unconfirmed; /* of the failed: may be in the queue all the same */
	uint64_t requests;
	double seconds, rate;
	bool interrupted;
	bool finished;		      /* nothing is left to do */
	const char *error;	      /* NULL: none */
	struct recipients_place next; /* the first that was not sent; row 0: none, or not known */
};

/* On standard output, by plan->json. */
void campaign_summary_print(
	const struct campaign_plan *plan, const struct campaign_summary *summary);

#endif
