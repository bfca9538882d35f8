/* bunshin campaign send: what the command line says, and the order of the steps. */
#include "cli/campaign/send.h"
#include "bunshin/error.h"
#include "cli/campaign/campaign.h"
#include "cli/cli.h"
#include "tracing/context.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define COMMAND CAMPAIGN_COMMAND

/* what the command line says */

static int check_name(const char *option, const char *value)
{
	const char *reason;

	if (!value)
		return -1;
	if (strlen(value) > MESSAGES_NAME_MAX)
		return cli_usage_error(
			COMMAND, "--%s: longer than %d bytes", option, MESSAGES_NAME_MAX);
	if (!message_text_fits(value, strlen(value), &reason))
		return cli_usage_error(COMMAND, "--%s: holds %s", option, reason);
	return -1;
}

static int check_traceparent(const char *text)
{
	struct trace_context context;

	if (!text || traceparent_parse(text, strlen(text), &context) == 0)
		return -1;
	return cli_usage_error(COMMAND, "--traceparent: no W3C trace context (like "
					"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01)");
}

/* As `batch.field` of the workers. */
static bool is_field_name(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789-_");

	return len > 0 && len <= PACK_FIELD_MAX && name[len] == '\0';
}

/* Without --pack there is no field either; with it there is. */
static int check_pack_options(struct campaign_plan *plan)
{
	const char *field = plan->pack_field;

	if (plan->pack == 0 && field)
		return cli_usage_error(COMMAND, "--pack-field needs --pack");
	if (plan->pack == 0)
		return -1;
	if (plan->group_column)
		return cli_usage_error(COMMAND,
			"--group and --pack exclude each other: a pack holds the recipients of "
			"many groups");
	if (field && !is_field_name(field))
		return cli_usage_error(COMMAND,
			"--pack-field: expected a name of 1 to %d letters, digits, - or _, got "
			"\"%s\"",
			PACK_FIELD_MAX, field);
	if (!field)
		plan->pack_field = "to";
	return -1;
}

static int check_key_options(const struct campaign_plan *plan)
{
	if (plan->suppression && !plan->key_column)
		return cli_usage_error(
			COMMAND, "--suppress needs --key: which column is looked for in it");
	if (plan->suppression && strcmp(plan->suppression, "-") == 0 &&
		strcmp(plan->recipients, "-") == 0)
		return cli_usage_error(COMMAND,
			"--suppress: standard input cannot be both this and the recipients");
	if (plan->key_column && !plan->key_column[0])
		return cli_usage_error(COMMAND, "--key: the column's name is empty");
	if (plan->group_column && !plan->group_column[0])
		return cli_usage_error(COMMAND, "--group: the column's name is empty");
	return -1;
}

/* Returns -1 to go on, else the exit code. */
static int check_options(struct campaign_plan *plan)
{
	int code;

	if (!plan->recipients)
		return cli_usage_error(COMMAND, "--recipients is missing");
	if (!plan->queue_url && !plan->dry_run)
		return cli_usage_error(COMMAND, "--queue-url is missing");
	code = check_name("destination", plan->destination);
	if (code < 0)
		code = check_traceparent(plan->traceparent);
	if (code < 0)
		code = check_key_options(plan);
	if (code < 0)
		code = check_pack_options(plan);
	if (code < 0)
		code = campaign_when_check(
			&plan->when, plan->queue_url, (int64_t)time(NULL) * 1000);
	return code < 0 ? campaign_preflight_check(&plan->preflight, plan->destination) : code;
}

static int parse(struct campaign_plan *plan, int argc, char **argv)
{
	const struct cli_option options[] = {
		{"queue-url", 0, CLI_STRING, "URL", &plan->queue_url, 0, 0,
			"the SQS queue that the messages go to"},
		{"recipients", 0, CLI_STRING, "FILE", &plan->recipients, 0, 0,
			"CSV with a header, or JSON lines; - is standard input"},
		{"template", 0, CLI_STRING, "FILE", &plan->template_file, 0, 0,
			"the message's body [the row as a JSON object]"},
		{"name", 0, CLI_STRING, "NAME", &plan->name, 0, 0, "the campaign's name"},
		{"dir", 0, CLI_STRING, "DIR", &plan->directory, 0, 0,
			"where the files of the campaign lie [beside the list]"},
		{"key", 0, CLI_STRING, "COLUMN", &plan->key_column, 0, 0,
			"what a recipient is known by [with --name: the whole row]"},
		{"validate", 0, CLI_STRINGS, "COLUMN=REGEX", &plan->rules, 0, 0,
			"leave out rows that do not match; or COLUMN=@line, @e164, @fcm"},
		{"suppress", 0, CLI_STRING, "FILE", &plan->suppression, 0, 0,
			"keys that are sent nothing: one a line, or the --key column of a list"},
		{"rejects", 0, CLI_STRING, "FILE", &plan->rejects_file, 0, 0,
			"the rows that are left out, as CSV [DIR/NAME.rejects.csv]"},
		{"group", 0, CLI_STRING, "COLUMN", &plan->group_column, 0, 0,
			"MessageGroupId; a FIFO queue keeps their order [each recipient a group]"},
		{"pack", 0, CLI_INT, "N", &plan->pack, 1, PACKER_ROWS_MAX,
			"put up to N recipients of the same content into one message"},
		{"pack-field", 0, CLI_STRING, "NAME", &plan->pack_field, 0, 0,
			"with --pack: the message's member that is the recipient [to]"},
		CAMPAIGN_RESUME_OPTIONS(plan->resume),
		CAMPAIGN_WHEN_OPTIONS(plan->when),
		{"destination", 0, CLI_STRING, "NAME", &plan->destination, 0, 0,
			"which of the workers' destinations to use"},
		{"traceparent", 0, CLI_STRING, "CONTEXT", &plan->traceparent, 0, 0,
			"the W3C trace context of each message that this run sends"},
		{"skip-invalid", 0, CLI_FLAG, NULL, &plan->skip_invalid, 0, 0,
			"leave invalid rows out instead of refusing the list"},
		{"dry-run", 0, CLI_FLAG, NULL, &plan->dry_run, 0, 0,
			"check everything, show three messages, send nothing"},
		CAMPAIGN_PREFLIGHT_OPTIONS(plan->preflight),
		{"endpoint", 0, CLI_STRING, "URL", &plan->endpoint, 0, 0,
			"the SQS endpoint [AWS_ENDPOINT_URL_SQS, or the queue URL's host]"},
		{"allow-insecure-endpoint", 0, CLI_FLAG, NULL, &plan->allow_insecure, 0, 0,
			"plain http to SQS on another machine, which can be read on the way"},
		{"in-flight", 0, CLI_INT, "N", &plan->in_flight, 1, 1000,
			"batches under way at a time [64]"},
		{"json", 0, CLI_FLAG, NULL, &plan->json, 0, 0,
			"print the summary as one JSON object"},
		{0},
	};
	const struct cli_usage usage = {COMMAND,
		"--queue-url URL --recipients FILE [--name NAME] [options]",
		"Puts one message a recipient into a queue. The whole list is checked first: when\n"
		"a row is invalid nothing is sent, unless --skip-invalid is given. On a terminal "
		"it\n"
		"shows what it is about to do and asks. Ctrl-C stops once what is under way has "
		"been\n"
		"answered. With --name a journal, DIR/NAME.campaign, says what is in the queue: "
		"then\n"
		"--resume goes on after whatever happened, and a second run is recognised.",
		options, 0, 0};
	int first, count;

	return cli_parse(&usage, argc, argv, &first, &count);
}

/* the template */

static int read_file(const char *path, struct buf *out)
{
	FILE *file = fopen(path, "re");
	char block[16384];
	size_t n;
	int rc;

	if (!file)
		return ERR_IO;
	while ((n = fread(block, 1, sizeof(block), file)) > 0)
		buf_append(out, block, n);
	rc = ferror(file) ? ERR_IO : out->err;
	fclose(file);
	return rc;
}

static int hash_template(struct campaign_plan *plan, const struct buf *text)
{
	struct digest sha256;
	int rc = digest_init(&sha256, "SHA256");

	if (rc < 0)
		return rc;
	rc = digest_once(&sha256, buf_string(text), text->len, plan->template_sha256);
	digest_free(&sha256);
	return rc;
}

static int load_template(struct campaign_plan *plan)
{
	const char *path = plan->template_file;
	struct buf text = BUF_INIT(MESSAGE_MAX_BYTES), error = BUF_INIT(1024);
	int rc;

	if (!path)
		return -1;
	rc = read_file(path, &text);
	if (rc == ERR_IO)
		cli_error(COMMAND, "cannot read %s: %s", path, strerror(errno));
	else if (rc < 0)
		cli_error(COMMAND, "%s: %s", path, error_message(rc));
	if (rc == 0)
		rc = hash_template(plan, &text);
	if (rc == 0) {
		rc = message_template_compile(buf_string(&text), text.len, &plan->template, &error);
		if (rc < 0)
			cli_error(COMMAND, "%s: %s", path,
				error.len > 0 ? buf_string(&error) : error_message(rc));
	}
	buf_free(&text);
	buf_free(&error);
	return rc == 0 ? -1 : rc == ERR_NOMEM ? CLI_FAILED : CLI_USAGE;
}

/* the list */

static int open_list(struct campaign_plan *plan)
{
	struct buf keep = BUF_INIT(8192), error = BUF_INIT(4096);
	/* Who resumes has a copy, which stays what it is. */
	bool kept = plan->name && !plan->resume.resume && !plan->dry_run &&
		    strcmp(plan->recipients, "-") == 0;
	int err = kept ? campaign_plan_path(plan, ".list", &keep) : 0;

	if (!err)
		err = list_file_open(
			&plan->list, plan->recipients, kept ? buf_string(&keep) : NULL, &error);
	if (err)
		cli_error(COMMAND, "%s", error.len > 0 ? buf_string(&error) : error_message(err));
	buf_free(&keep);
	buf_free(&error);
	return err ? CLI_USAGE : -1;
}

/* Whose keys these are: the campaign's, in every run, or this run's alone. */
static int choose_key_space(struct campaign_plan *plan)
{
	if (plan->name)
		return campaign_key_space(plan->name, plan->key_space) ? CLI_FAILED : -1;
	if (getrandom(plan->key_space, sizeof(plan->key_space), 0) ==
		(ssize_t)sizeof(plan->key_space))
		return -1;
	cli_error(COMMAND, "the system gives no random bytes");
	return CLI_FAILED;
}

/* the verb */

/* What to send, and under which name: -1 to go on, else the exit code. */
static int choose(struct campaign_plan *plan)
{
	int code = check_name("name", plan->name);

	/* Who resumes need not say what the journal knows. */
	if (code < 0 && !plan->resume.resume)
		code = check_options(plan);
	if (code < 0)
		code = campaign_resume_choose(plan);
	return code < 0 && plan->resume.resume ? check_options(plan) : code;
}

int campaign_send(int argc, char **argv)
{
	static int (*const steps[])(struct campaign_plan * plan) = {
		choose,
		load_template,
		choose_key_space,
		open_list,
		campaign_resume_compare,
		campaign_check_list,
		campaign_resume_leave_out,
		campaign_preflight,
		campaign_resume_begin,
		campaign_push,
	};
	struct campaign_plan plan = {.in_flight = 64, .list.fd = -1, .when.prefill_ms = -1};
	int code = parse(&plan, argc, argv);

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && code < 0; i++)
		code = steps[i](&plan);
	campaign_resume_free(&plan);
	template_free(plan.template);
	list_file_close(&plan.list);
	row_set_free(&plan.left_out);
	return code;
}
