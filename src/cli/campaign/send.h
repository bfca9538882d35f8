/*
 * `campaign send` in two halves: what send.c has read and checked, push.c puts into a queue.
 */
#ifndef CLI_CAMPAIGN_SEND_H
#define CLI_CAMPAIGN_SEND_H

#include "campaign/check.h"
#include "campaign/list_file.h"
#include "campaign/messages.h"
#include "campaign/packer.h"
#include "campaign/row_set.h"
#include "cli/campaign/preflight.h"
#include "cli/campaign/resume.h"
#include "cli/campaign/when.h"
#include "cli/cli.h"

#define CAMPAIGN_COMMAND "campaign send"
#define CAMPAIGN_ERRORS_SHOWN 20

struct campaign_plan {
	/* from the command line; borrowed from argv */
	const char *queue_url, *endpoint;
	const char *recipients, *template_file;
	const char *name, *destination, *directory, *traceparent;
	const char *key_column, *group_column, *suppression, *rejects_file; /* NULL: not given */
	const char *pack_field; /* NULL: not given; once checked, NULL without --pack */
	struct cli_strings rules;
	int64_t pack; /* 0: not given */
	int64_t in_flight;
	bool skip_invalid, dry_run, json, allow_insecure;
	struct campaign_when when;
	struct campaign_preflight preflight;
	struct campaign_resume resume;
	/* what they lead to */
	unsigned char key_space[16]; /* of the campaign, or of this run alone */
	struct list_file list;
	unsigned char list_sha256[DIGEST_SHA256_BYTES]; /* once it has been checked */
	struct template *template;			/* NULL: none */
	unsigned char template_sha256[DIGEST_SHA256_BYTES];
	struct campaign_check check; /* of the whole list */
	struct row_set left_out;     /* rows that are not to be sent; later passes pass them over */
};

/*
 * Begins a pass over the list. Both are to be freed, also after a failure (then maybe NULL; set
 * them to NULL beforehand). 0 or ERR_NOMEM.
 */
int campaign_plan_pass(struct campaign_plan *plan, struct recipients **ret_recipients,
	struct messages **ret_messages);

/* A packer as --pack says, to be freed, or NULL without it. 0 or ERR_NOMEM. */
int campaign_plan_packer(const struct campaign_plan *plan, struct packer **ret_packer);

/* DIR, appended: --dir, else where the list is, else ".". 0 or the buffer's error. */
int campaign_plan_directory(const struct campaign_plan *plan, struct buf *path);
/* As the journal has it: "csv" or "jsonl". Between two passes. */
const char *campaign_plan_format(struct campaign_plan *plan);
/* What --validate says, one a line, appended. 0 or the buffer's error. */
int campaign_plan_append_rules(const struct campaign_plan *plan, struct buf *out);

/*
 * DIR/NAME and what follows it, appended: where a file of this campaign lies. NAME as journal.h has
 * it. 0 or the buffer's error. Only for a campaign with a name.
 */
int campaign_plan_path(const struct campaign_plan *plan, const char *ending, struct buf *path);

/*
 * How many rows were left out for each reason: "2 invalid, 3 duplicate" ("" for none), and as a
 * JSON object with all of them.
 */
void campaign_plan_append_rejects(const struct campaign_plan *plan, struct buf *out);
void campaign_plan_append_rejects_json(const struct campaign_plan *plan, struct buf *out);

/*
 * check.c: the first pass over the list: validates, finds duplicates and suppressed keys, writes
 * the rejects file. Returns -1 to go on, else the exit code, the reason having been printed.
 */
int campaign_check_list(struct campaign_plan *plan);

/* Sends the list that was checked. Prints the summary and returns the exit code. */
int campaign_push(struct campaign_plan *plan);

#endif
