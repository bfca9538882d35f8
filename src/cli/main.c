/* The table of subcommands, and nothing else. */
#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
	{"run", cmd_run, "deliver messages from a queue to the configured destinations"},
	{"campaign", cmd_campaign, "put one message a recipient into a queue"},
	{"dlq", cmd_dlq, "what could not be delivered: list, show, redrive, purge"},
	{"invoke", cmd_invoke, "send one event through a destination, without a queue"},
	{"health", cmd_health, "ask a running worker whether it makes progress"},
	{"top", cmd_top, "the status of a running worker in the terminal, live"},
	{"check", cmd_check, "validate the configuration and print what is in force"},
	{"queue", cmd_queue, "an SQS-compatible queue on this machine"},
	{"sink", cmd_sink, "a mock provider to rehearse with"},
	{"demo", cmd_demo, "queue, provider, campaign and worker together, on this machine"},
};

static void print_help(FILE *stream)
{
	fprintf(stream,
		"Usage: bunshin COMMAND [options]\n\n"
		"Delivers Amazon SQS messages as HTTP requests and deletes each only when the\n"
		"provider has accepted it.\n\nCommands:\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stream, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fprintf(stream,
		"\n'bunshin COMMAND --help' explains one. Manual: bunshin(1), bunshin.yaml(5).\n");
}

int main(int argc, char **argv)
{
	/* A peer that closes early is an error of a write, not the end of the process. */
	signal(SIGPIPE, SIG_IGN);
	/* And so is a file that may not grow (RLIMIT_FSIZE), be it only the log. */
	signal(SIGXFSZ, SIG_IGN);
	if (argc < 2) {
		print_help(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return CLI_DONE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("bunshin " BUNSHIN_VERSION);
		return CLI_DONE;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	return cli_usage_error("", "unknown command \"%s\"", argv[1]);
}
