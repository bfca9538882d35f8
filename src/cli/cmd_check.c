/*
 * bunshin check: reads a configuration as `bunshin run` would, and says what is wrong with it or
 * what it comes to.
 */
#include "bunshin/error.h"
#include "cli/cli.h"
#include "cli/probe.h"
#include "config/config.h"

#include <stdio.h>
#include <string.h>

#define OUTPUT_MAX_BYTES ((size_t)64 << 20)

struct check {
	const char *path, *queue_url, *endpoint;
	bool json, probe, quiet;
};

static void print_json_string(const char *text, size_t len)
{
	struct buf escaped = BUF_INIT(OUTPUT_MAX_BYTES);

	buf_append_json(&escaped, text, len);
	printf("\"%s\"", buf_string(&escaped));
	buf_free(&escaped);
}

/* The lines of a text as a JSON array of strings. */
static void print_json_lines(const char *lines)
{
	const char *separator = "";

	putchar('[');
	while (*lines != '\0') {
		size_t len = strcspn(lines, "\n");

		fputs(separator, stdout);
		print_json_string(lines, len);
		separator = ",";
		lines += len + (lines[len] == '\n');
	}
	putchar(']');
}

/* One JSON object, or the notes on stderr. */
static void print_verdict(bool json, bool ok, const char *errors, const char *notes)
{
	if (!json) {
		fputs(errors, stderr);
		fputs(notes, stderr);
		return;
	}
	printf("{\"ok\":%s,\"errors\":", ok ? "true" : "false");
	print_json_lines(errors);
	fputs(",\"notes\":", stdout);
	print_json_lines(notes);
	puts("}");
}

/* What is valid and yet not enough for `bunshin run`. */
static void append_notes(const struct check *check, const struct config *config, struct buf *notes)
{
	if (config->queue.url == NULL)
		buf_appendf(notes,
			"%s: note: queue.url is not set; bunshin run needs it, or --queue-url\n",
			check->path);
	if (config->destination_count == 0)
		buf_appendf(notes, "%s: note: there are no destinations; bunshin run needs one\n",
			check->path);
}

static int report_valid(const struct check *check, const struct config *config)
{
	struct buf text = BUF_INIT(OUTPUT_MAX_BYTES), notes = BUF_INIT(OUTPUT_MAX_BYTES);
	int err = config_print(config, &text);

	append_notes(check, config, &notes);
	if (err == 0 && !check->json)
		fputs(buf_string(&text), stdout);
	if (err == 0) {
		print_verdict(check->json, true, "", buf_string(&notes));
		if (!check->json)
			fprintf(stderr, "%s: OK, %zu destination%s\n", check->path,
				config->destination_count,
				config->destination_count == 1 ? "" : "s");
	} else {
		cli_error("check", "%s", error_message(err));
	}
	buf_free(&notes);
	buf_free(&text);
	return err == 0 ? CLI_DONE : CLI_FAILED;
}

/* --quiet: what keeps `bunshin run` from starting is wrong here, too. */
static int report_runnable(const struct check *check, const struct config *config)
{
	struct buf notes = BUF_INIT(OUTPUT_MAX_BYTES);
	bool runnable;

	append_notes(check, config, &notes);
	runnable = *buf_string(&notes) == '\0';
	fputs(buf_string(&notes), stderr);
	buf_free(&notes);
	return runnable ? CLI_DONE : CLI_USAGE;
}

static int run_probe(const struct check *check, const struct config *config)
{
	if (config->queue.url == NULL)
		return cli_usage_error("check",
			"--probe: no queue: set queue.url in %s or give --queue-url", check->path);
	return probe(config, check->json);
}

static int report(const struct check *check, const struct config *config)
{
	if (check->probe)
		return run_probe(check, config);
	return check->quiet ? report_runnable(check, config) : report_valid(check, config);
}

static int run_check(const struct check *check)
{
	const struct config_override overrides[] = {
		{"queue.url", check->queue_url, "--queue-url"},
		{"queue.endpoint", check->endpoint, "--endpoint"},
	};
	struct buf errors = BUF_INIT(OUTPUT_MAX_BYTES);
	struct config *config = NULL;
	int err = config_load(check->path, &config_process_environment, overrides,
		sizeof(overrides) / sizeof(overrides[0]), &config, &errors);
	int code = CLI_USAGE;

	if (err == 0) {
		code = report(check, config);
	} else if (err == ERR_CONFIG || err == ERR_IO) {
		print_verdict(check->json, false, buf_string(&errors), "");
	} else {
		cli_error("check", "%s", error_message(err));
		code = cli_exit_code(err);
	}
	config_free(config);
	buf_free(&errors);
	return code;
}

int cmd_check(int argc, char **argv)
{
	struct check check = {.path = CONFIG_DEFAULT_PATH};
	const struct cli_option options[] = {
		{"config", 'c', CLI_STRING, "FILE", &check.path, 0, 0,
			"the configuration [" CONFIG_DEFAULT_PATH "]"},
		{"queue-url", 0, CLI_STRING, "URL", &check.queue_url, 0, 0, "instead of queue.url"},
		{"endpoint", 0, CLI_STRING, "URL", &check.endpoint, 0, 0,
			"instead of queue.endpoint"},
		{"json", 0, CLI_FLAG, NULL, &check.json, 0, 0,
			"print the verdict as one JSON object"},
		{"probe", 0, CLI_FLAG, NULL, &check.probe, 0, 0,
			"ask AWS as well, and print what it says instead"},
		{"quiet", 0, CLI_FLAG, NULL, &check.quiet, 0, 0,
			"print only what keeps `bunshin run` from starting"},
		{0},
	};
	const struct cli_usage usage = {
		.command = "check",
		.arguments = "[options]",
		.description =
			"Reads a configuration as `bunshin run` would. Prints the effective "
			"configuration with\nsecrets hidden, or everything that is wrong "
			"with it; exits 2 then.\n\nWith --probe it also resolves the AWS "
			"credentials, asks the queue what they may do\nwith it, without "
			"touching a message, and tries whether requests of each destination\n"
			"can be signed, asking for its token; nothing is sent to the "
			"destinations. Exits 1\nwhen something is refused, 75 when something "
			"cannot be reached.",
		.options = options,
	};
	int first, count;
	int code = cli_parse(&usage, argc, argv, &first, &count);

	if (code >= 0)
		return code;
	if (check.quiet && (check.json || check.probe))
		return cli_usage_error("check", "--quiet goes with neither --json nor --probe");
	return run_check(&check);
}
