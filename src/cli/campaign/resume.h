/*
 * Which run of a campaign `campaign send` is: the first, one that goes on (--resume), or one more
 * (--again). It has the journal open from here on, and with it the lock, so that no other process
 * sends the same.
 *
 * A campaign's runs are NAME, NAME#2, NAME#3 and so on; what is said of NAME holds for the last of
 * them.
 *
 * If the process dies
 *  - before campaign_resume_begin() has returned: there is no campaign, and nothing was sent.
 *  - after it: the campaign is unfinished, with what journal.h promises; --resume goes on.
 */
#ifndef CLI_CAMPAIGN_RESUME_H
#define CLI_CAMPAIGN_RESUME_H

#include "campaign/journal.h"
#include "campaign/recipients.h"

#include <stdbool.h>
#include <stdint.h>

struct campaign_plan;

struct campaign_resume {
	/* from the command line */
	bool resume, again;
	/* what they lead to */
	const char *base_name;	 /* as it was given; plan->name is the run's */
	struct journal *journal; /* NULL: the send has no name, or is a dry run of a new campaign */
	bool has_new_deadline;
	char *run_name, *directory, *rules; /* what the plan points to; freed at the end */
	char *list, *template_file, *suppression;
	char deadline[24], at[24];
};

/* Rows of the option table; `r` is a struct campaign_resume. */
#define CAMPAIGN_RESUME_OPTIONS(r)                                                \
	{"resume", 0, CLI_FLAG, NULL, &(r).resume, 0, 0,                          \
		"go on with the campaign of this name: send what is not in yet"}, \
	{                                                                         \
		"again", 0, CLI_FLAG, NULL, &(r).again, 0, 0,                     \
			"once more, as NAME#2, what was sent and finished before" \
	}

/*
 * These are steps of `campaign send`, in this order. Each returns -1 to go on; else the exit code,
 * the reason having been printed.
 */

/* Opens the run's journal, or prepares one; with --resume fills in what was not given. */
int campaign_resume_choose(struct campaign_plan *plan);
/* List and template are open: are they those that the campaign began with? */
int campaign_resume_compare(struct campaign_plan *plan);
/* The list was read: later passes pass over what is in the queue, and plan->check counts the rest.
 */
int campaign_resume_leave_out(struct campaign_plan *plan);
/* The last step before anything is sent. */
int campaign_resume_begin(struct campaign_plan *plan);

/* None of its rows can be in the queue: there is no campaign after all. Harmless without one. */
void campaign_resume_discard(struct campaign_plan *plan);
/* After all of it. */
void campaign_resume_free(struct campaign_plan *plan);

/* The command that goes on with this campaign, appended. */
void campaign_resume_append_command(const struct campaign_plan *plan, struct buf *out);

/* resume_compare.c: what was given and is not as the campaign began. The number of differences,
 * each printed. */
unsigned campaign_resume_differences(const struct campaign_plan *plan);

#endif
