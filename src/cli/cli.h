/*
 * What the subcommands share: the option parser, exit codes, errors on stderr.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes of every subcommand (docs: man page, EXIT STATUS). */
enum {
	CLI_DONE = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,	    /* wrong usage or configuration */
	CLI_TEMPORARY = 75, /* may work later: a service unreachable or throttling */
};

/* The exit code that a final error calls for, by its class. */
int cli_exit_code(int err);

enum cli_kind {
	CLI_FLAG,     /* bool: set to true */
	CLI_STRING,   /* const char *: points into argv */
	CLI_STRINGS,  /* struct cli_strings: may be given again and again; pointers into argv */
	CLI_INT,      /* int64_t, min..max */
	CLI_DURATION, /* int64_t milliseconds, "20s" */
	CLI_BYTES,    /* int64_t, "64KiB" */
	/*
	 * As CLI_DURATION, or without a value: then it is max. A command that takes no operands
	 * takes the next word for the value when it starts with no "-".
	 */
	CLI_DURATION_OPTIONAL,
};

#define CLI_STRINGS_MAX 32

struct cli_strings {
	const char *values[CLI_STRINGS_MAX];
	size_t count;
};

/* One row of a subcommand's option table; {0} ends it. */
struct cli_option {
	const char *name; /* "queue-url" */
	char letter;	  /* 'c', or 0 */
	enum cli_kind kind;
	const char *argument; /* "URL", for --help; NULL for a flag */
	void *target;	      /* holds the default beforehand */
	int64_t min, max;     /* CLI_INT, CLI_DURATION, CLI_BYTES; both 0: any */
	const char *help;     /* one line, the default included */
};

struct cli_usage {
	const char *command;	 /* "campaign send" */
	const char *arguments;	 /* "[options] EVENT.json|-" */
	const char *description; /* one paragraph */
	const struct cli_option *options;
	size_t min_operands, max_operands;
};

/*
 * Parses argv[1..]; argv[0] is the subcommand's name. --help prints the usage on stdout. Returns -1
 * to go on, operands then starting at argv[*ret_first] (*ret_count of them;
 * options may stand before, between and after them, and argv is put in order); otherwise the exit
 * code to end with, the reason having been printed.
 */
int cli_parse(const struct cli_usage *usage, int argc, char **argv, int *ret_first, int *ret_count);

/* A verb of a subcommand that has several: src/cli/SUBCOMMAND/VERB.c. */
struct cli_verb {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the verb; returns the exit code */
	const char *summary;
};
/*
 * Runs the verb that argv[1] names, or prints them: on stdout with --help, else as wrong usage.
 * `arguments` is what stands behind VERB in the usage. Returns the exit code.
 */
int cli_run_verb(const char *command, const char *arguments, const struct cli_verb *verbs,
	size_t count, int argc, char **argv);

/* "bunshin queue: message" on stderr. */
void cli_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, with the usage hint; returns CLI_USAGE. */
int cli_usage_error(const char *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

bool cli_is_terminal(int fd);

/* One per subcommand: src/cli/cmd_NAME.c. argv[0] is the subcommand's name. Returns the exit code.
 */
int cmd_run(int argc, char **argv);
int cmd_campaign(int argc, char **argv);
int cmd_dlq(int argc, char **argv);
int cmd_invoke(int argc, char **argv);
int cmd_queue(int argc, char **argv);
int cmd_sink(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_health(int argc, char **argv);
int cmd_top(int argc, char **argv);

#endif
