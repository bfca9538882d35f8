/* The first pass of `campaign send` over its list. */
#include "bunshin/error.h"
#include "campaign/rejects_file.h"
#include "campaign/suppression.h"
#include "cli/campaign/send.h"
#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define COMMAND CAMPAIGN_COMMAND
#define ROWS_MAX JOURNAL_ROWS_MAX
#define NOTES_MAX 4096

struct pass {
	struct campaign_plan *plan;
	struct campaign_check_rules rules;
	struct rejects_file *rejects; /* NULL: none is written */
	struct journal *journal;      /* NULL: none is kept */
	struct buf journal_error;
	uint64_t told;
};

static int fail(int err, const char *what, const char *reason)
{
	cli_error(COMMAND, "%s%s%s", what, what[0] ? ": " : "",
		reason[0] ? reason : error_message(err));
	return cli_exit_code(err);
}

/* what the options say */

static int add_rules(struct pass *pass)
{
	const struct cli_strings *texts = &pass->plan->rules;
	struct buf error = BUF_INIT(4096);
	int err = texts->count > 0 ? validate_new(&pass->rules.validate) : 0;
	int code = -1;

	for (size_t i = 0; !err && i < texts->count; i++)
		err = validate_add(pass->rules.validate, texts->values[i], &error);
	if (err == ERR_SYNTAX)
		code = cli_usage_error(COMMAND, "--validate: %s", buf_string(&error));
	else if (err)
		code = fail(err, "", "");
	buf_free(&error);
	return code;
}

/* Nobody can choose keys that collide. */
static int make_key_set(struct pass *pass)
{
	uint8_t hash_key[SIPHASH_KEY_BYTES];
	int err;

	if (!pass->plan->key_column && !pass->plan->name)
		return -1;
	if (getrandom(hash_key, sizeof(hash_key), 0) != (ssize_t)sizeof(hash_key))
		return fail(ERR_IO, "", "the system gives no random bytes");
	err = key_set_new(hash_key, &pass->rules.keys);
	return err ? fail(err, "", "") : -1;
}

/* What came of reading it: -1, or the exit code. */
static int judge_suppression(
	const struct list_file *file, int err, uint64_t count, const struct buf *error)
{
	if (err == ERR_SYNTAX && error->len > 0) {
		cli_error(COMMAND, "%s:%s", file->name, buf_string(error));
		return CLI_USAGE;
	}
	if (err)
		return fail(err == ERR_SYNTAX ? ERR_ARGUMENT : err, file->name, file->reason);
	/* It may be so; it may also be an export that failed. */
	if (count == 0)
		cli_error(
			COMMAND, "--suppress: %s holds no keys, so nobody is left out", file->name);
	return -1;
}

static int read_suppression(struct pass *pass)
{
	const struct campaign_plan *plan = pass->plan;
	struct buf error = BUF_INIT(4096);
	struct list_file file = {.fd = -1};
	struct recipients_input input;
	uint64_t count = 0;
	int code, err;

	if (!plan->suppression)
		return -1;
	err = list_file_open(&file, plan->suppression, NULL, &error);
	if (err) {
		cli_error(COMMAND, "--suppress: %s", buf_string(&error));
		code = CLI_USAGE;
	} else {
		input = list_file_rewind(&file);
		err = suppression_read(&input, suppression_format_of(plan->suppression),
			plan->key_column, pass->rules.keys, &count, &error);
		code = judge_suppression(&file, err, count, &error);
	}
	list_file_close(&file);
	buf_free(&error);
	return code;
}

static int open_rejects(struct pass *pass)
{
	const struct campaign_plan *plan = pass->plan;
	struct buf path = BUF_INIT(8192);
	int err = 0;

	if (plan->rejects_file)
		err = buf_append_string(&path, plan->rejects_file);
	else if (plan->name)
		err = campaign_plan_path(plan, ".rejects.csv", &path);
	if (!err && path.len > 0)
		err = rejects_file_new(buf_string(&path), &pass->rejects);
	buf_free(&path);
	return err ? fail(err, "--rejects", "") : -1;
}

/* the pass */

/* The first of those that somebody has to look at; the others are in the file. */
static void tell(struct pass *pass, const struct campaign_reject *reject)
{
	if (reject->why == JOURNAL_REJECT_INVALID && pass->told++ < CAMPAIGN_ERRORS_SHOWN)
		fprintf(stderr, "%s:%" PRIu64 ":%" PRIu64 ": %s\n", pass->plan->list.name,
			reject->line, reject->column, reject->reason);
}

/* In the journal too, which is written now and then so that it takes no memory. */
static int note_reject(struct pass *pass, const struct campaign_reject *reject)
{
	int err;

	if (!pass->journal)
		return 0;
	err = journal_reject(
		pass->journal, reject->place.row, reject->line, reject->why, reject->reason);
	if (!err && journal_uncommitted_rejects(pass->journal) >= NOTES_MAX)
		err = journal_commit(pass->journal, &pass->journal_error);
	return err;
}

static int take_reject(void *arg, const struct campaign_reject *reject)
{
	struct pass *pass = arg;
	int err;

	tell(pass, reject);
	if (reject->fatal)
		return 0;
	err = row_set_add(&pass->plan->left_out, reject->place.row);
	if (!err && pass->rejects)
		err = rejects_file_add(pass->rejects, reject);
	if (!err)
		err = note_reject(pass, reject);
	return err == ERR_ARGUMENT ? ERR_TOO_LARGE : err;
}

static int read_list(struct pass *pass)
{
	struct campaign_plan *plan = pass->plan;
	struct recipients *recipients = NULL;
	struct messages *messages = NULL;
	int err = campaign_plan_pass(plan, &recipients, &messages);

	if (plan->preflight.fleet.batch_field[0])
		pass->rules.batch_max = plan->preflight.fleet.batch_max;
	if (!err)
		err = campaign_plan_packer(plan, &pass->rules.packer);
	if (!err)
		err = campaign_check(
			messages, recipients, &pass->rules, take_reject, pass, &plan->check);
	packer_free(pass->rules.packer);
	messages_free(messages);
	recipients_free(recipients);
	if (!err && pass->rejects)
		err = rejects_file_finish(pass->rejects);
	return err;
}

static int explain(const struct pass *pass, int err)
{
	const struct campaign_plan *plan = pass->plan;

	if (pass->rejects && rejects_file_reason(pass->rejects)[0])
		return fail(err, "", rejects_file_reason(pass->rejects));
	if (pass->journal_error.len > 0)
		return fail(err, "", buf_string(&pass->journal_error));
	if (err == ERR_TOO_LARGE)
		return fail(ERR_ARGUMENT, plan->list.name, "more than 2^30 rows");
	if (err == ERR_SYNTAX)
		err = ERR_ARGUMENT; /* gzip that is broken */
	return fail(err, plan->list.name, plan->list.reason);
}

static int judge(const struct pass *pass)
{
	const struct campaign_check *check = &pass->plan->check;

	if (check->invalid > CAMPAIGN_ERRORS_SHOWN)
		fprintf(stderr, "and %" PRIu64 " more\n", check->invalid - CAMPAIGN_ERRORS_SHOWN);
	if (check->fatal || (check->invalid > 0 && !pass->plan->skip_invalid)) {
		cli_error(COMMAND, "%" PRIu64 " error%s in %" PRIu64 " rows; nothing was sent%s",
			check->invalid, check->invalid == 1 ? "" : "s", check->rows,
			check->fatal ? "" : " (--skip-invalid leaves such rows out)");
		return CLI_USAGE;
	}
	/* Of a campaign that goes on, rows may be in the queue that are suppressed by now. */
	if (check->valid == 0 && !pass->plan->resume.resume) {
		cli_error(COMMAND, "%s holds no %srecipients; nothing was sent",
			pass->plan->list.name, check->rows > 0 ? "valid " : "");
		return CLI_USAGE;
	}
	return -1;
}

int campaign_check_list(struct campaign_plan *plan)
{
	struct pass pass = {.plan = plan,
		.journal = plan->dry_run ? NULL : plan->resume.journal,
		.journal_error = BUF_INIT(4096)};
	int code = add_rules(&pass);
	int err;

	if (code < 0)
		code = make_key_set(&pass);
	if (code < 0)
		code = read_suppression(&pass);
	if (code < 0)
		code = open_rejects(&pass);
	if (code < 0) {
		err = row_set_init(&plan->left_out, ROWS_MAX);
		if (!err)
			err = read_list(&pass);
		code = err ? explain(&pass, err) : judge(&pass);
		if (!err && list_file_sha256(&plan->list))
			memcpy(plan->list_sha256, list_file_sha256(&plan->list),
				sizeof(plan->list_sha256));
	}
	buf_free(&pass.journal_error);
	rejects_file_free(pass.rejects);
	key_set_free(pass.rules.keys);
	validate_free(pass.rules.validate);
	return code;
}
