/* bunshin campaign report: what became of every row, to be kept. */
#include "bunshin/error.h"
#include "campaign/list_file.h"
#include "campaign/report_summary.h"
#include "cli/campaign/campaign.h"
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define COMMAND "campaign report"
#define ROW_MAX (2 * RECIPIENTS_ROW_MAX_BYTES * 2 + 16384)

/*
 * A file that appears under its name when it is whole; or standard output, or what is no file (a
 * device, a pipe), which is written to as it is.
 */
struct output {
	const char *path;      /* NULL: not wanted; "-" */
	char unfinished[4096]; /* "": there is none */
	FILE *file;
};

struct report {
	/* from the command line */
	const char *name, *directory, *list_path, *only;
	bool json;
	struct output csv, html, dead;
	uint64_t dead_rows, dead_left_out; /* keys with a line break have no line */
	/* what they lead to */
	bool wanted[REPORT_OUTCOMES], uncertain_wanted; /* in the CSV */
	struct journal *journal;
	struct results_db *db; /* NULL: no result is known */
	struct list_file list;
	struct buf row;
	struct report_counts counts;
};

static int parse(struct report *report, int argc, char **argv)
{
	const struct cli_option options[] = {
		{"dir", 0, CLI_STRING, "DIR", &report->directory, 0, 0,
			"the campaign directory, with journal and results.db [.]"},
		{"csv", 0, CLI_STRING, "FILE", &report->csv.path, 0, 0,
			"a line a row of the list; - is standard output"},
		{"only", 0, CLI_STRING, "OUTCOMES", &report->only, 0, 0,
			"in the CSV, only rows with these: failed,expired,uncertain"},
		{"dead", 0, CLI_STRING, "FILE", &report->dead.path, 0, 0,
			"the recipients that the provider does not know any more, a key a line"},
		{"html", 0, CLI_STRING, "FILE", &report->html.path, 0, 0,
			"a page to read, keep and print"},
		{"list", 0, CLI_STRING, "FILE", &report->list_path, 0, 0,
			"where the list is now [where it was when it was sent]"},
		{"json", 0, CLI_FLAG, NULL, &report->json, 0, 0,
			"print the summary as one JSON object"},
		{0},
	};
	const struct cli_usage usage = {COMMAND, "NAME [options]",
		"Joins the list of a campaign with its journal and the results that `bunshin\n"
		"campaign watch` has collected, so that every row has one outcome. Prints a\n"
		"summary. Exits 1 when the outcome of a row is not known yet.",
		options, 1, 1};
	int first, count, code = cli_parse(&usage, argc, argv, &first, &count);

	if (code < 0)
		report->name = argv[first];
	return code;
}

/* "not sent" as "not-sent" or "not sent". */
static bool is_named(const char *text, size_t len, const char *name)
{
	if (strlen(name) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] != name[i] && !(text[i] == '-' && name[i] == ' '))
			return false;
	return true;
}

static bool want(struct report *report, const char *text, size_t len)
{
	for (int i = 0; i < REPORT_OUTCOMES; i++)
		if (is_named(text, len, report_outcome_name((enum report_outcome)i))) {
			report->wanted[i] = true;
			return true;
		}
	if (!is_named(text, len, "uncertain"))
		return false;
	report->uncertain_wanted = true;
	return true;
}

static int read_only_option(struct report *report)
{
	const char *text = report->only;

	for (int i = 0; !text && i < REPORT_OUTCOMES; i++)
		report->wanted[i] = true;
	while (text && *text) {
		size_t len = strcspn(text, ",");

		if (!want(report, text, len))
			return cli_usage_error(COMMAND,
				"--only: \"%.*s\": expected accepted, failed, expired, cancelled, "
				"retrying, waiting, not-sent, left-out or uncertain, with commas "
				"between",
				(int)len, text);
		text += len;
		text += *text == ',';
	}
	return -1;
}

static bool is_standard_output(const struct output *output)
{
	return output->path && strcmp(output->path, "-") == 0;
}

static bool is_same_name(const struct output *a, const struct output *b)
{
	return a->path && b->path && strcmp(a->path, b->path) == 0;
}

static int check_options(struct report *report)
{
	if (report->only && !report->csv.path)
		return cli_usage_error(COMMAND, "--only is for --csv");
	if (is_standard_output(&report->csv) + is_standard_output(&report->html) +
			is_standard_output(&report->dead) + report->json >
		1)
		return cli_usage_error(COMMAND,
			"only one of --csv -, --html -, --dead - and --json fits standard output");
	if (is_same_name(&report->csv, &report->html))
		return cli_usage_error(COMMAND, "--csv and --html name the same file");
	if (is_same_name(&report->dead, &report->csv) || is_same_name(&report->dead, &report->html))
		return cli_usage_error(COMMAND, "--dead and --%s name the same file",
			is_same_name(&report->dead, &report->csv) ? "csv" : "html");
	return read_only_option(report);
}

/* opening */

static int open_journal(struct report *report, struct buf *error)
{
	struct buf path = BUF_INIT(8192);
	int err = journal_path(report->directory, report->name, &path);

	if (!err)
		err = journal_open(buf_string(&path), false, &report->journal, error);
	buf_free(&path);
	return err;
}

static int open_results(struct report *report, struct buf *error)
{
	struct buf path = BUF_INIT(8192);
	int err = buf_appendf(&path, "%s/" RESULTS_DB_NAME, report->directory);

	if (!err)
		err = results_db_open(buf_string(&path), true, &report->db, error);
	buf_free(&path);
	if (err == ERR_NOT_FOUND) {
		buf_clear(error);
		cli_error(COMMAND, "%s holds no results: `bunshin campaign watch` collects them",
			report->directory);
		return 0;
	}
	return err ? err : results_db_hold(report->db);
}

static int open_list(struct report *report, struct buf *error)
{
	const char *path =
		report->list_path ? report->list_path : journal_campaign(report->journal)->list;

	return list_file_open(&report->list, path, NULL, error);
}

static bool is_same_file(const char *path, const char *other)
{
	struct stat a, b;

	return stat(path, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* Nothing that the report is made of is written over. */
static int check_output(const struct report *report, const struct output *output, struct buf *error)
{
	struct buf journal = BUF_INIT(8192), results = BUF_INIT(8192);
	int err = journal_path(report->directory, report->name, &journal);

	if (!err)
		err = buf_appendf(&results, "%s/" RESULTS_DB_NAME, report->directory);
	if (!err && output->path &&
		(is_same_file(output->path, report->list.name) ||
			is_same_file(output->path, buf_string(&journal)) ||
			is_same_file(output->path, buf_string(&results)))) {
		buf_appendf(error, "%s is what the report is made of: it is not written over",
			output->path);
		err = ERR_ARGUMENT;
	}
	buf_free(&journal);
	buf_free(&results);
	return err;
}

/* There is something of that name, and it is no file: its name is not given to one. */
static bool is_special(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

static int open_output(struct output *output, struct buf *error)
{
	const char *path = output->unfinished;

	if (!output->path)
		return 0;
	if (is_standard_output(output)) {
		output->file = stdout;
		return 0;
	}
	if (is_special(output->path))
		path = output->path;
	else if (snprintf(output->unfinished, sizeof(output->unfinished), "%s.tmp", output->path) >=
		 (int)sizeof(output->unfinished)) {
		buf_appendf(error, "%s: the name is too long", output->path);
		return ERR_ARGUMENT;
	}
	output->file = fopen(path, "we");
	if (output->file)
		return 0;
	buf_appendf(error, "cannot write %s: %s", output->path, strerror(errno));
	return ERR_IO;
}

/* 0 when it stands there whole. */
static int finish_output(struct output *output, struct buf *error)
{
	FILE *file = output->file;
	bool failed;

	if (!file)
		return 0;
	output->file = NULL;
	failed = fflush(file) != 0 || ferror(file);
	if (file != stdout)
		failed = fclose(file) != 0 || failed;
	if (!failed && output->unfinished[0])
		failed = rename(output->unfinished, output->path) != 0;
	if (!failed)
		return 0;
	buf_appendf(error, "cannot write %s: %s", output->path, strerror(errno));
	if (output->unfinished[0])
		unlink(output->unfinished);
	return ERR_IO;
}

static void drop_output(struct output *output)
{
	if (!output->file || output->file == stdout)
		return;
	fclose(output->file);
	if (output->unfinished[0])
		unlink(output->unfinished);
}

/* reading */

static int put_dead(struct report *report, const struct report_row *row)
{
	int err;

	buf_clear(&report->row);
	err = report_key_line(row, &report->row);
	if (err == ERR_SYNTAX) {
		report->dead_left_out++;
		return 0;
	}
	if (err)
		return err;
	report->dead_rows++;
	fwrite(report->row.data, 1, report->row.len, report->dead.file);
	return ferror(report->dead.file) ? ERR_IO : 0;
}

static int take_row(void *arg, const struct report_row *row)
{
	struct report *report = arg;
	int err;

	if (report->dead.file && row->unregistered && (err = put_dead(report, row)) != 0)
		return err;
	if (!report->csv.file)
		return 0;
	if (!report->wanted[row->outcome] && !(row->uncertain && report->uncertain_wanted))
		return 0;
	buf_clear(&report->row);
	err = report_csv_row(row, &report->row);
	if (err)
		return err;
	fwrite(report->row.data, 1, report->row.len, report->csv.file);
	return ferror(report->csv.file) ? ERR_IO : 0;
}

static int begin_csv(struct report *report)
{
	if (!report->csv.file)
		return 0;
	report_csv_header(&report->row);
	fputs(buf_string(&report->row), report->csv.file);
	return report->row.err;
}

/* The list has to be the one that was sent, byte for byte. */
static int check_list(const struct report *report, struct buf *error)
{
	const unsigned char *hash = list_file_sha256(&report->list);

	if (hash && memcmp(hash, journal_campaign(report->journal)->list_sha256,
			    JOURNAL_SHA256_BYTES) == 0)
		return 0;
	buf_appendf(error, "%s is not the list that was sent: it was changed", report->list.name);
	return ERR_CONFIG;
}

static int read_list(struct report *report, struct buf *error)
{
	const struct journal_campaign *campaign = journal_campaign(report->journal);
	const struct report_source source = {
		.journal = report->journal,
		.db = report->db,
		.input = list_file_rewind(&report->list),
		.format = strcmp(campaign->list_format, "csv") == 0 ? RECIPIENTS_CSV
								    : RECIPIENTS_JSONL,
	};
	struct buf reason = BUF_INIT(4096);
	int err = begin_csv(report);

	if (!err)
		err = report_read(&source, take_row, report, &report->counts, &reason);
	if (err == ERR_SYNTAX || report->list.reason[0]) {
		buf_appendf(error, "%s: %s", report->list.name,
			report->list.reason[0] ? report->list.reason : buf_string(&reason));
		err = ERR_CONFIG;
	} else if (err == ERR_IO && report->csv.file && ferror(report->csv.file)) {
		buf_appendf(error, "cannot write %s: %s", report->csv.path, strerror(errno));
	}
	buf_free(&reason);
	return err ? err : check_list(report, error);
}

/* what is printed */

static int put(FILE *file, const struct buf *text)
{
	return fputs(buf_string(text), file) < 0 ? ERR_IO : text->err;
}

static int print_all(struct report *report, const struct report_summary *summary)
{
	struct buf text = BUF_INIT(REPORT_PAGE_MAX);
	bool quiet = is_standard_output(&report->csv) || is_standard_output(&report->html) ||
		     is_standard_output(&report->dead);
	int err = 0;

	if (report->html.file) {
		report_print_html(summary, &text);
		err = put(report->html.file, &text);
		buf_clear(&text);
	}
	if (!err && !quiet) {
		if (report->json)
			report_print_json(summary, &text);
		else
			report_print_text(summary, &text);
		err = put(stdout, &text);
	}
	buf_free(&text);
	return err;
}

static int make(struct report *report, struct report_summary *summary, struct buf *error)
{
	int err = open_journal(report, error);

	if (!err)
		err = open_results(report, error);
	if (!err)
		err = open_list(report, error);
	if (!err)
		err = check_output(report, &report->csv, error);
	if (!err)
		err = check_output(report, &report->html, error);
	if (!err)
		err = check_output(report, &report->dead, error);
	if (!err)
		err = open_output(&report->csv, error);
	if (!err)
		err = open_output(&report->html, error);
	if (!err)
		err = open_output(&report->dead, error);
	if (!err)
		err = read_list(report, error);
	if (!err)
		err = report_summarise(report->journal, report->db, &report->counts,
			(int64_t)time(NULL) * 1000, summary);
	if (!err)
		err = print_all(report, summary);
	if (!err)
		err = finish_output(&report->csv, error);
	if (!err)
		err = finish_output(&report->html, error);
	return err ? err : finish_output(&report->dead, error);
}

/* Where the keys are, and whether all of them are. */
static void tell_dead(const struct report *report)
{
	if (!report->dead.path)
		return;
	if (!is_standard_output(&report->dead))
		fprintf(stderr, "%" PRIu64 " recipient%s the provider does not know any more: %s\n",
			report->dead_rows, report->dead_rows == 1 ? "" : "s", report->dead.path);
	if (report->dead_left_out > 0)
		cli_error(COMMAND, "--dead: %" PRIu64 " keys hold a line break and are not in it",
			report->dead_left_out);
}

static int exit_code(const struct report *report, const struct report_summary *summary, int err,
	const struct buf *error)
{
	if (!err)
		tell_dead(report);
	if (!err)
		return report_open_rows(summary) == 0 ? CLI_DONE : CLI_FAILED;
	cli_error(COMMAND, "%s", error->len > 0 ? buf_string(error) : error_message(err));
	return err == ERR_NOT_FOUND || err == ERR_CONFIG || err == ERR_ARGUMENT ? CLI_USAGE
										: CLI_FAILED;
}

int campaign_report(int argc, char **argv)
{
	struct report report = {.directory = ".", .list.fd = -1};
	struct report_summary *summary = calloc(1, sizeof(*summary));
	struct buf error = BUF_INIT(4096);
	int code = summary ? parse(&report, argc, argv) : CLI_FAILED;

	buf_init(&report.row, ROW_MAX);
	if (code < 0)
		code = check_options(&report);
	if (code < 0)
		code = exit_code(&report, summary, make(&report, summary, &error), &error);
	drop_output(&report.csv);
	drop_output(&report.html);
	drop_output(&report.dead);
	list_file_close(&report.list);
	results_db_close(report.db);
	journal_close(report.journal);
	buf_free(&report.row);
	buf_free(&error);
	free(summary);
	return code;
}
