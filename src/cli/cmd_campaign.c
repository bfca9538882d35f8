/* bunshin campaign: recipients x template -> messages in a queue. */
#include "base/units.h"
#include "bunshin/error.h"
#include "cli/campaign_send.h"
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define COMMAND CAMPAIGN_COMMAND

/* Passes that send nothing need no keys. */
static const unsigned char no_run[16];

/* what the command line says */

static int parse_deadline(const char *text, int64_t *ret_epoch_ms)
{
	int64_t number;

	if (units_parse_rfc3339(text, ret_epoch_ms) == 0)
		return 0;
	if (units_parse_int(text, &number) < 0 || number <= 0)
		return ERR_SYNTAX;
	/* Seconds until the year 5138, milliseconds from 1973 on: the ranges do not meet. */
	*ret_epoch_ms = number < INT64_C(100000000000) ? number * 1000 : number;
	return 0;
}

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

/* Returns -1 to go on, else the exit code. */
static int check_options(struct campaign_plan *plan)
{
	int64_t now_epoch_ms = (int64_t)time(NULL) * 1000;
	int code;

	if (!plan->recipients)
		return cli_usage_error(COMMAND, "--recipients is missing");
	if (!plan->queue_url && !plan->dry_run)
		return cli_usage_error(COMMAND, "--queue-url is missing");
	code = check_name("name", plan->name);
	if (code < 0)
		code = check_name("destination", plan->destination);
	if (code >= 0 || !plan->deadline)
		return code;
	if (parse_deadline(plan->deadline, &plan->deadline_epoch_ms) < 0)
		return cli_usage_error(COMMAND,
			"--deadline: expected a time like 2026-11-23T09:00:00+09:00, or seconds "
			"since "
			"1970, got \"%s\"",
			plan->deadline);
	if (plan->deadline_epoch_ms <= now_epoch_ms)
		return cli_usage_error(COMMAND, "--deadline: %s is already past", plan->deadline);
	return -1;
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
		{"deadline", 0, CLI_STRING, "TIME", &plan->deadline, 0, 0,
			"never deliver after this: RFC 3339, or seconds since 1970"},
		{"destination", 0, CLI_STRING, "NAME", &plan->destination, 0, 0,
			"which of the workers' destinations to use"},
		{"skip-invalid", 0, CLI_FLAG, NULL, &plan->skip_invalid, 0, 0,
			"leave invalid rows out instead of refusing the list"},
		{"dry-run", 0, CLI_FLAG, NULL, &plan->dry_run, 0, 0,
			"check everything, send nothing"},
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
	const struct cli_usage usage = {COMMAND, "--queue-url URL --recipients FILE [options]",
		"Puts one message a recipient into a queue. The whole list is checked first: when\n"
		"a row is invalid nothing is sent, unless --skip-invalid is given. Ctrl-C stops\n"
		"once what is under way has been answered.",
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

struct teller {
	const char *name;
	uint64_t told;
};

static void tell_invalid(void *arg, const struct recipients_error *error)
{
	struct teller *teller = arg;

	if (teller->told++ < CAMPAIGN_ERRORS_SHOWN)
		fprintf(stderr, "%s:%" PRIu64 ":%" PRIu64 ": %s\n", teller->name, error->line,
			error->column, error->reason);
}

/* The first pass. Returns -1 to go on, else the exit code. */
static int check_list(struct campaign_plan *plan)
{
	struct recipients *recipients = NULL;
	struct messages *messages = NULL;
	struct messages_check *check = &plan->check;
	struct teller teller = {.name = plan->list.name};
	int rc = campaign_plan_pass(plan, no_run, &recipients, &messages);

	if (rc == 0)
		rc = messages_check(messages, tell_invalid, &teller, check);
	messages_free(messages);
	recipients_free(recipients);
	if (rc < 0) {
		cli_error(COMMAND, "%s: %s", plan->list.name,
			plan->list.reason[0] ? plan->list.reason : error_message(rc));
		return CLI_FAILED;
	}
	if (check->invalid > CAMPAIGN_ERRORS_SHOWN)
		fprintf(stderr, "and %" PRIu64 " more\n", check->invalid - CAMPAIGN_ERRORS_SHOWN);
	if (check->fatal || (check->invalid > 0 && !plan->skip_invalid)) {
		cli_error(COMMAND, "%" PRIu64 " error%s in %" PRIu64 " rows; nothing was sent%s",
			check->invalid, check->invalid == 1 ? "" : "s", check->rows,
			check->fatal ? "" : " (--skip-invalid leaves such rows out)");
		return CLI_USAGE;
	}
	if (check->valid == 0) {
		cli_error(COMMAND, "%s holds no %srecipients; nothing was sent", plan->list.name,
			check->invalid > 0 ? "valid " : "");
		return CLI_USAGE;
	}
	return -1;
}

/* --dry-run: what would be done, and one message to look at. */

static int show_sample(struct campaign_plan *plan)
{
	struct recipients *recipients = NULL;
	struct messages *messages = NULL;
	struct campaign_message message;
	int event = campaign_plan_pass(plan, no_run, &recipients, &messages);

	if (event == 0)
		do
			event = messages_next(messages, &message);
		while (event == RECIPIENTS_INVALID);
	if (event == RECIPIENTS_ROW)
		printf("the first message, from line %" PRIu64 ":\n%s\n", message.place.line,
			message.body);
	messages_free(messages);
	recipients_free(recipients);
	return event == RECIPIENTS_ROW ? CLI_DONE : CLI_FAILED;
}

static int dry_run(struct campaign_plan *plan)
{
	const struct messages_check *check = &plan->check;

	if (plan->json) {
		printf("{\"dry_run\":true,\"recipients\":%" PRIu64 ",\"valid\":%" PRIu64
		       ",\"skipped\":%" PRIu64 ",\"sqs_requests\":%" PRIu64 "}\n",
			check->rows, check->valid, check->invalid, check->requests);
		return CLI_DONE;
	}
	printf("dry run: recipients %" PRIu64 ", valid %" PRIu64 ", skipped %" PRIu64 ", %" PRIu64
	       " SQS requests; nothing was sent\n",
		check->rows, check->valid, check->invalid, check->requests);
	return show_sample(plan);
}

/* the verbs */

static int send_verb(int argc, char **argv)
{
	struct campaign_plan plan = {.in_flight = 64, .list.fd = -1};
	struct buf error = BUF_INIT(4096);
	int code = parse(&plan, argc, argv);

	if (code < 0)
		code = check_options(&plan);
	if (code < 0)
		code = load_template(&plan);
	if (code < 0 && list_file_open(&plan.list, plan.recipients, &error) < 0) {
		cli_error(COMMAND, "%s", buf_string(&error));
		code = CLI_USAGE;
	}
	if (code < 0)
		code = check_list(&plan);
	if (code < 0)
		code = plan.dry_run ? dry_run(&plan) : campaign_send(&plan);
	template_free(plan.template);
	list_file_close(&plan.list);
	buf_free(&error);
	return code;
}

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} verbs[] = {
	{"send", send_verb, "put one message a recipient into a queue"},
};

static void print_verbs(FILE *stream)
{
	fprintf(stream, "Usage: bunshin campaign VERB [options]\n\nVerbs:\n");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		fprintf(stream, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
	fprintf(stream, "\n'bunshin campaign VERB --help' explains one.\n");
}

int cmd_campaign(int argc, char **argv)
{
	if (argc < 2) {
		print_verbs(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0) {
		print_verbs(stdout);
		return CLI_DONE;
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	return cli_usage_error("campaign", "unknown verb \"%s\"", argv[1]);
}
