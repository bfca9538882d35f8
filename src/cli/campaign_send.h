/*
 * The sending half of `campaign send`: what cmd_campaign.c has read and checked goes into a queue.
 */
#ifndef CLI_CAMPAIGN_SEND_H
#define CLI_CAMPAIGN_SEND_H

#include "campaign/list_file.h"
#include "campaign/messages.h"

#define CAMPAIGN_COMMAND "campaign send"
#define CAMPAIGN_ERRORS_SHOWN 20

struct campaign_plan {
	/* from the command line; borrowed from argv */
	const char *queue_url, *endpoint;
	const char *recipients, *template_file;
	const char *name, *deadline, *destination;
	int64_t in_flight;
	bool skip_invalid, dry_run, json, allow_insecure;
	/* what they lead to */
	struct list_file list;
	struct template *template;   /* NULL: none */
	int64_t deadline_epoch_ms;   /* 0: none */
	struct messages_check check; /* of the whole list */
};

/*
 * Begins a pass over the list. Both are to be freed, also after a failure (then maybe NULL; set
 * them to NULL beforehand). 0 or ERR_NOMEM.
 */
int campaign_plan_pass(struct campaign_plan *plan, const unsigned char run_id[16],
	struct recipients **ret_recipients, struct messages **ret_messages);

/* Sends the list that was checked. Prints the summary and returns the exit code. */
int campaign_send(struct campaign_plan *plan);

#endif
