#include "cli/campaign/resume.h"

#include "bunshin/error.h"
#include "campaign/schedule.h"
#include "cli/campaign/send.h"
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COMMAND CAMPAIGN_COMMAND
#define PATH_BYTES 8192
#define RUNS_MAX 100000

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int out_of_memory(void)
{
	cli_error(COMMAND, "%s", error_message(ERR_NOMEM));
	return CLI_FAILED;
}

static int failed(int rc, const struct buf *error)
{
	cli_error(COMMAND, "%s", error->len > 0 ? buf_string(error) : error_message(rc));
	return rc == ERR_PENDING ? CLI_TEMPORARY : CLI_FAILED;
}

static uint64_t count_rejects(const struct journal_progress *progress)
{
	uint64_t count = 0;

	for (int i = 0; i < JOURNAL_REJECTS; i++)
		count += progress->rejects[i];
	return count;
}

/* which run */

/* Where the journal of a run lies: run 1 is NAME, run 2 NAME#2. */
static int append_path(struct campaign_plan *plan, unsigned run, struct buf *path)
{
	char *name = NULL;
	int rc;

	if (run == 1)
		name = strdup(plan->resume.base_name);
	else if (asprintf(&name, "%s#%u", plan->resume.base_name, run) < 0)
		name = NULL;
	if (!name)
		return ERR_NOMEM;
	free(plan->resume.run_name);
	plan->resume.run_name = name;
	plan->name = name;
	buf_clear(path);
	rc = campaign_plan_path(plan, ".campaign", path);
	return rc;
}

/* The last run that there is; 0: none. `path` is then its journal's, else that of the first. */
static int find_last(struct campaign_plan *plan, unsigned *ret_run, struct buf *path)
{
	unsigned run = 0;
	int rc;

	do
		rc = append_path(plan, run + 1, path);
	while (rc == 0 && access(buf_string(path), F_OK) == 0 && ++run < RUNS_MAX);
	if (rc == 0)
		rc = append_path(plan, run > 0 ? run : 1, path);
	*ret_run = run;
	return rc;
}

static int prepare(struct campaign_plan *plan, const char *path)
{
	struct buf error = BUF_INIT(PATH_BYTES);
	int code = -1, rc;

	if (strlen(plan->name) > MESSAGES_NAME_MAX)
		return cli_usage_error(COMMAND, "--again: %s is longer than %d bytes", plan->name,
			MESSAGES_NAME_MAX);
	if (plan->dry_run)
		return -1;
	rc = journal_prepare(path, &plan->resume.journal, &error);
	if (rc < 0)
		code = failed(rc, &error);
	buf_free(&error);
	return code;
}

static int nothing_there(const struct campaign_plan *plan, const char *path)
{
	cli_error(COMMAND, "there is no campaign %s to %s: no %s (--dir says where it lies)",
		plan->name, plan->resume.resume ? "resume" : "send again", path);
	return CLI_USAGE;
}

static int refuse_finished(
	const struct campaign_plan *plan, const struct journal_progress *progress)
{
	char text[SCHEDULE_TEXT_MAX];

	schedule_format(schedule_local(progress->finished_epoch_ms), text);
	if (plan->resume.resume) {
		cli_error(COMMAND,
			"%s was finished on %s, %" PRIu64 " sent: nothing is left to send",
			plan->name, text, progress->confirmed);
		return CLI_DONE;
	}
	cli_error(COMMAND,
		"%s was finished on %s, %" PRIu64 " sent; --again sends it once more, as a "
		"campaign of its own",
		plan->name, text, progress->confirmed);
	return CLI_USAGE;
}

static int refuse_unfinished(
	const struct campaign_plan *plan, const struct journal_progress *progress)
{
	cli_error(COMMAND,
		"%s is not finished: %" PRIu64 " of %" PRIu64 " rows were confirmed; --resume goes "
		"on with it",
		plan->name, progress->confirmed, journal_campaign(plan->resume.journal)->valid);
	return CLI_USAGE;
}

/* going on */

static int keep_directory(struct campaign_plan *plan)
{
	struct buf path = BUF_INIT(PATH_BYTES);

	if (plan->directory)
		return 0;
	campaign_plan_directory(plan, &path);
	plan->resume.directory = buf_take(&path, NULL);
	plan->directory = plan->resume.directory;
	return plan->directory ? 0 : ERR_NOMEM;
}

/* The lines of `rules` become those of the option. */
static int fill_in_rules(struct campaign_plan *plan, const char *rules)
{
	char *rest, *line;

	if (!rules || plan->rules.count > 0)
		return 0;
	plan->resume.rules = strdup(rules);
	if (!plan->resume.rules)
		return ERR_NOMEM;
	rest = plan->resume.rules;
	while ((line = strsep(&rest, "\n")) && plan->rules.count < CLI_STRINGS_MAX)
		plan->rules.values[plan->rules.count++] = line;
	return 0;
}

static void fill_in(const char **option, const char *begun)
{
	if (!*option)
		*option = begun;
}

/*
 * Times as what the options would have said. One that is past is no time to wait for; and past the
 * deadline nothing is left that could have it, see check_deadline().
 */
static void fill_in_times(struct campaign_plan *plan, const struct journal_campaign *begun)
{
	struct campaign_resume *resume = &plan->resume;

	resume->has_new_deadline = plan->when.deadline_text != NULL;
	if (!plan->when.deadline_text && begun->deadline_epoch_ms > now_ms()) {
		snprintf(resume->deadline, sizeof(resume->deadline), "%" PRId64,
			begun->deadline_epoch_ms);
		plan->when.deadline_text = resume->deadline;
	}
	if (!plan->when.at_text && begun->at_epoch_ms > now_ms()) {
		snprintf(resume->at, sizeof(resume->at), "%" PRId64, begun->at_epoch_ms);
		plan->when.at_text = resume->at;
	}
}

static int fill_in_all(struct campaign_plan *plan)
{
	const struct journal_campaign *begun = journal_campaign(plan->resume.journal);
	int rc = keep_directory(plan);

	if (rc == 0)
		rc = fill_in_rules(plan, begun->rules);
	fill_in(&plan->recipients, begun->list);
	fill_in(&plan->template_file, begun->template_file);
	fill_in(&plan->key_column, begun->key_column);
	fill_in(&plan->group_column, begun->group_column);
	fill_in(&plan->pack_field, begun->pack_field);
	plan->pack = begun->pack;
	fill_in(&plan->suppression, begun->suppression);
	fill_in(&plan->destination, begun->destination);
	fill_in(&plan->queue_url, begun->queue_url);
	fill_in(&plan->endpoint, begun->endpoint);
	plan->skip_invalid = plan->skip_invalid || begun->skip_invalid;
	fill_in_times(plan, begun);
	return rc;
}

/* What is left is not sent late. */
static int check_deadline(const struct campaign_plan *plan, const struct journal_progress *progress)
{
	const struct journal_campaign *begun = journal_campaign(plan->resume.journal);
	int64_t late_ms = now_ms() - begun->deadline_epoch_ms;
	uint64_t known = progress->confirmed + count_rejects(progress);
	char at[SCHEDULE_TEXT_MAX], span[SCHEDULE_TEXT_MAX];

	if (begun->deadline_epoch_ms == 0 || late_ms < 0 || known >= begun->rows ||
		plan->when.deadline_text)
		return -1;
	cli_error(COMMAND,
		"the deadline of %s, %s, passed %s ago: %" PRIu64 " rows were not sent, and are "
		"not sent now (another --deadline would send them)",
		plan->name, schedule_format(schedule_local(begun->deadline_epoch_ms), at),
		schedule_format_span(late_ms, span), begun->rows - known);
	return CLI_FAILED;
}

static int go_on(struct campaign_plan *plan, const struct journal_progress *progress)
{
	int code;

	if (strcmp(journal_campaign(plan->resume.journal)->name, plan->name) != 0) {
		cli_error(COMMAND, "the journal of %s is that of %s, under another name",
			plan->name, journal_campaign(plan->resume.journal)->name);
		return CLI_USAGE;
	}
	if (campaign_resume_differences(plan) > 0) {
		cli_error(COMMAND, "%s is not resumed; nothing was sent", plan->name);
		return CLI_USAGE;
	}
	code = check_deadline(plan, progress);
	if (code < 0 && fill_in_all(plan) < 0)
		code = out_of_memory();
	return code;
}

static int choose_among(struct campaign_plan *plan, unsigned last, struct buf *path)
{
	struct campaign_resume *resume = &plan->resume;
	struct journal_progress progress;
	struct buf error = BUF_INIT(PATH_BYTES);
	int code = -1;
	int rc = journal_open(buf_string(path), !plan->dry_run, &resume->journal, &error);

	if (rc == 0)
		rc = journal_progress(resume->journal, &progress);
	if (rc < 0)
		code = failed(rc, &error);
	buf_free(&error);
	if (rc < 0)
		return code;
	if (progress.state == JOURNAL_UNFINISHED)
		return resume->resume ? go_on(plan, &progress) : refuse_unfinished(plan, &progress);
	if (!resume->again)
		return refuse_finished(plan, &progress);
	journal_close(resume->journal);
	resume->journal = NULL;
	return append_path(plan, last + 1, path) < 0 ? out_of_memory()
						     : prepare(plan, buf_string(path));
}

int campaign_resume_choose(struct campaign_plan *plan)
{
	struct campaign_resume *resume = &plan->resume;
	struct buf path = BUF_INIT(PATH_BYTES);
	unsigned last;
	int code;

	if (resume->resume && resume->again)
		return cli_usage_error(COMMAND, "--resume and --again exclude each other");
	if (!plan->name)
		return resume->resume || resume->again
			       ? cli_usage_error(COMMAND, "--%s needs --name",
					 resume->resume ? "resume" : "again")
			       : -1;
	resume->base_name = plan->name;
	if (find_last(plan, &last, &path) < 0)
		code = out_of_memory();
	else if (last > 0)
		code = choose_among(plan, last, &path);
	else if (resume->resume || resume->again)
		code = nothing_there(plan, buf_string(&path));
	else
		code = prepare(plan, buf_string(&path));
	buf_free(&path);
	return code;
}

/* after the first pass */

/* What the whole list comes to, for a part of it. */
static void scale(uint64_t *count, uint64_t part, uint64_t whole)
{
	*count = (*count * part + whole - 1) / whole;
}

int campaign_resume_leave_out(struct campaign_plan *plan)
{
	struct campaign_check *check = &plan->check;
	struct campaign_resume *resume = &plan->resume;
	uint64_t before = check->valid;

	if (!resume->resume)
		return -1;
	for (uint64_t row = 1; row <= check->rows; row++) {
		if (!journal_is_settled(resume->journal, row) || row_set_has(&plan->left_out, row))
			continue;
		if (row_set_add(&plan->left_out, row) < 0)
			return out_of_memory();
		check->settled++;
	}
	check->valid -= check->settled;
	if (before > 0) {
		scale(&check->messages, check->valid, before);
		scale(&check->attempts, check->valid, before);
		scale(&check->requests, check->valid, before);
		scale(&check->chunks, check->valid, before);
	}
	if (!plan->json || !plan->dry_run)
		cli_error(COMMAND,
			"resuming %s: %" PRIu64 " rows are done already, %" PRIu64 " are left",
			plan->name, check->settled, check->valid);
	return -1;
}

/* beginning */

/* An absolute path, or NULL with errno. */
static char *whole_path(const char *path)
{
	return realpath(path, NULL);
}

static int find_paths(struct campaign_plan *plan)
{
	struct campaign_resume *resume = &plan->resume;
	struct buf kept = BUF_INIT(PATH_BYTES);
	const char *list = plan->recipients;

	if (strcmp(list, "-") == 0 && campaign_plan_path(plan, ".list", &kept) == 0)
		list = buf_string(&kept);
	resume->list = whole_path(list);
	buf_free(&kept);
	if (plan->template_file)
		resume->template_file = whole_path(plan->template_file);
	if (plan->suppression)
		resume->suppression = whole_path(plan->suppression);
	if (resume->list && (resume->template_file || !plan->template_file) &&
		(resume->suppression || !plan->suppression))
		return -1;
	cli_error(COMMAND, "the path of a file of the campaign: %s", strerror(errno));
	return CLI_FAILED;
}

static int begin_with(struct campaign_plan *plan, const char *rules)
{
	const struct campaign_resume *resume = &plan->resume;
	struct journal_campaign campaign = {
		.name = plan->name,
		.list = resume->list,
		.list_format = campaign_plan_format(plan),
		.template_file = resume->template_file,
		.key_column = plan->key_column,
		.group_column = plan->group_column,
		.pack = (unsigned)plan->pack,
		.pack_field = plan->pack_field,
		.rules = rules,
		.suppression = resume->suppression,
		.destination = plan->destination,
		.queue_url = plan->queue_url,
		.endpoint = plan->endpoint,
		.skip_invalid = plan->skip_invalid,
		.deadline_epoch_ms = plan->when.deadline.epoch_ms,
		.at_epoch_ms = plan->when.at.epoch_ms,
		.rows = plan->check.rows,
		.valid = plan->check.valid,
	};
	struct buf error = BUF_INIT(PATH_BYTES);
	int code = -1, rc;

	memcpy(campaign.list_sha256, plan->list_sha256, JOURNAL_SHA256_BYTES);
	memcpy(campaign.template_sha256, plan->template_sha256, JOURNAL_SHA256_BYTES);
	rc = journal_begin(resume->journal, &campaign, now_ms(), &error);
	if (rc < 0)
		code = failed(rc, &error);
	buf_free(&error);
	return code;
}

/* A deadline that was given anew holds for what is sent from now on. */
static int note_deadline(struct campaign_plan *plan)
{
	struct journal *journal = plan->resume.journal;
	int64_t deadline = plan->when.deadline.epoch_ms;
	struct buf error = BUF_INIT(PATH_BYTES);
	int code = -1, rc = 0;

	if (plan->resume.has_new_deadline &&
		deadline != journal_campaign(journal)->deadline_epoch_ms)
		rc = journal_set_deadline(journal, deadline, &error);
	if (rc < 0)
		code = failed(rc, &error);
	buf_free(&error);
	return code;
}

int campaign_resume_begin(struct campaign_plan *plan)
{
	struct buf rules = BUF_INIT(JOURNAL_TEXT_MAX);
	int code;

	if (!plan->name) {
		cli_error(
			COMMAND, "without --name this cannot be resumed should it be interrupted");
		return -1;
	}
	if (plan->resume.resume)
		return note_deadline(plan);
	campaign_plan_append_rules(plan, &rules);
	code = find_paths(plan);
	if (code < 0)
		code = begin_with(plan, plan->rules.count > 0 ? buf_string(&rules) : NULL);
	buf_free(&rules);
	return code;
}

/* the end */

void campaign_resume_discard(struct campaign_plan *plan)
{
	journal_discard(plan->resume.journal);
	plan->resume.journal = NULL;
}

void campaign_resume_free(struct campaign_plan *plan)
{
	struct campaign_resume *resume = &plan->resume;

	journal_close(resume->journal);
	free(resume->run_name);
	free(resume->directory);
	free(resume->rules);
	free(resume->list);
	free(resume->template_file);
	free(resume->suppression);
}

/* As a shell reads it. */
static void append_word(struct buf *out, const char *word)
{
	bool plain = word[0] != '\0' && word[0] != '#';

	for (const char *c = word; *c; c++)
		plain = plain && (isalnum((unsigned char)*c) || strchr("._-/#:%+@,", *c));
	if (plain) {
		buf_append_string(out, word);
		return;
	}
	buf_append_char(out, '\'');
	for (const char *c = word; *c; c++)
		if (*c == '\'')
			buf_append_string(out, "'\\''");
		else
			buf_append_char(out, *c);
	buf_append_char(out, '\'');
}

void campaign_resume_append_command(const struct campaign_plan *plan, struct buf *out)
{
	struct buf directory = BUF_INIT(PATH_BYTES);

	buf_append_string(out, "bunshin campaign send --resume --name ");
	append_word(out, plan->resume.base_name);
	campaign_plan_directory(plan, &directory);
	if (strcmp(buf_string(&directory), ".") != 0) {
		buf_append_string(out, " --dir ");
		append_word(out, buf_string(&directory));
	}
	if (plan->allow_insecure)
		buf_append_string(out, " --allow-insecure-endpoint");
	buf_free(&directory);
}
