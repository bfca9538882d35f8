/* What defines a campaign must be the same when it is resumed; each difference is named. */
#include "aws/digest.h"
#include "bunshin/error.h"
#include "cli/campaign/send.h"
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#define COMMAND CAMPAIGN_COMMAND

/* 1 and a line when an option was given that says something else. */
static unsigned differs(const char *option, const char *given, const char *begun)
{
	if (!given || (begun && strcmp(given, begun) == 0))
		return 0;
	if (begun)
		cli_error(COMMAND, "--%s is \"%s\"; the campaign began with \"%s\"", option, given,
			begun);
	else
		cli_error(COMMAND, "--%s is \"%s\"; the campaign began without it", option, given);
	return 1;
}

static unsigned packs_differ(const struct campaign_plan *plan, const struct journal_campaign *begun)
{
	if (plan->pack == 0 || (uint64_t)plan->pack == begun->pack)
		return 0;
	if (begun->pack > 0)
		cli_error(COMMAND, "--pack is %d; the campaign began with %u", (int)plan->pack,
			begun->pack);
	else
		cli_error(COMMAND, "--pack is %d; the campaign began without it", (int)plan->pack);
	return 1;
}

static unsigned rules_differ(const struct campaign_plan *plan, const char *begun)
{
	struct buf given = BUF_INIT(JOURNAL_TEXT_MAX);
	unsigned count = 0;

	if (plan->rules.count > 0) {
		campaign_plan_append_rules(plan, &given);
		if (!begun || strcmp(buf_string(&given), begun) != 0) {
			cli_error(COMMAND, "--validate is not as the campaign began%s%s",
				begun ? ": " : ": without it", begun ? begun : "");
			count = 1;
		}
	}
	buf_free(&given);
	return count;
}

unsigned campaign_resume_differences(const struct campaign_plan *plan)
{
	const struct journal_campaign *begun = journal_campaign(plan->resume.journal);

	return differs("queue-url", plan->queue_url, begun->queue_url) +
	       differs("destination", plan->destination, begun->destination) +
	       differs("key", plan->key_column, begun->key_column) +
	       differs("group", plan->group_column, begun->group_column) +
	       packs_differ(plan, begun) +
	       differs("pack-field", plan->pack_field, begun->pack_field) +
	       rules_differ(plan, begun->rules);
}

/* Reads the list once, for its digest. */
static int hash_list(struct campaign_plan *plan)
{
	struct recipients_input input = list_file_rewind(&plan->list);
	char *block = malloc((size_t)64 << 10);
	size_t len = 1;
	int rc = block ? 0 : ERR_NOMEM;

	while (rc == 0 && len > 0)
		rc = input.read(input.arg, block, (size_t)64 << 10, &len);
	free(block);
	return rc;
}

static bool list_differs(struct campaign_plan *plan, const struct journal_campaign *begun)
{
	const unsigned char *sha256 = list_file_sha256(&plan->list);

	if (sha256 && memcmp(sha256, begun->list_sha256, JOURNAL_SHA256_BYTES) == 0 &&
		strcmp(begun->list_format, campaign_plan_format(plan)) == 0)
		return false;
	cli_error(COMMAND,
		"%s is not the list that the campaign began with: its content is another",
		plan->list.name);
	return true;
}

static bool template_differs(const struct campaign_plan *plan, const struct journal_campaign *begun)
{
	if (memcmp(plan->template_sha256, begun->template_sha256, JOURNAL_SHA256_BYTES) == 0)
		return false;
	if (begun->template_file)
		cli_error(COMMAND,
			"%s is not the template that the campaign began with: its content is "
			"another",
			plan->template_file);
	else
		cli_error(COMMAND, "--template: the campaign began without one");
	return true;
}

int campaign_resume_compare(struct campaign_plan *plan)
{
	const struct journal_campaign *begun;
	unsigned differences;
	int rc;

	if (!plan->resume.resume)
		return -1;
	begun = journal_campaign(plan->resume.journal);
	rc = hash_list(plan);
	if (rc < 0) {
		cli_error(COMMAND, "%s: %s", plan->list.name,
			plan->list.reason[0] ? plan->list.reason : error_message(rc));
		return CLI_FAILED;
	}
	differences = list_differs(plan, begun);
	differences += template_differs(plan, begun);
	if (differences == 0)
		return -1;
	cli_error(COMMAND, "%s is not resumed; nothing was sent", plan->name);
	return CLI_USAGE;
}
