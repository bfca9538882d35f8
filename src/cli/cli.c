#include "cli/cli.h"

#include "base/units.h"
#include "bunshin/error.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPTIONS_MAX 40
/* getopt_long values above every character, so that an option needs no letter. */
#define VALUE_BASE 1000
#define VALUE_HELP (VALUE_BASE - 1)

int cli_exit_code(int err)
{
	switch (err) {
	case ERR_OK:
		return CLI_DONE;
	case ERR_CONFIG:
	case ERR_ARGUMENT:
	case ERR_SYNTAX:
		return CLI_USAGE;
	default:
		break;
	}
	switch (error_class(err)) {
	case ERROR_TRANSIENT:
	case ERROR_THROTTLED:
		return CLI_TEMPORARY;
	default:
		return CLI_FAILED;
	}
}

__attribute__((format(printf, 2, 0))) static void verror(
	const char *command, const char *format, va_list args)
{
	fprintf(stderr, "bunshin%s%s: ", command[0] ? " " : "", command);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void cli_error(const char *command, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	verror(command, format, args);
	va_end(args);
}

int cli_usage_error(const char *command, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	verror(command, format, args);
	va_end(args);
	fprintf(stderr, "Try 'bunshin%s%s --help'.\n", command[0] ? " " : "", command);
	return CLI_USAGE;
}

bool cli_is_terminal(int fd)
{
	return isatty(fd) == 1;
}

static void print_help(const struct cli_usage *usage)
{
	printf("Usage: bunshin %s %s\n\n%s\n\nOptions:\n", usage->command, usage->arguments,
		usage->description);
	for (const struct cli_option *o = usage->options; o->name; o++) {
		char left[80];
		int n = 0;

		if (o->letter)
			n = snprintf(left, sizeof(left), "-%c, ", o->letter);
		else
			n = snprintf(left, sizeof(left), "    ");
		if (o->kind == CLI_DURATION_OPTIONAL)
			snprintf(left + n, sizeof(left) - (size_t)n, "--%s[=%s]", o->name,
				o->argument);
		else
			snprintf(left + n, sizeof(left) - (size_t)n, "--%s%s%s", o->name,
				o->argument ? " " : "", o->argument ? o->argument : "");
		if (strlen(left) > 28)
			printf("  %s\n  %-28s  %s\n", left, "", o->help);
		else
			printf("  %-28s  %s\n", left, o->help);
	}
	printf("  %-28s  %s\n", "    --help", "show this and exit");
}

static bool is_duration(const struct cli_option *o)
{
	return o->kind == CLI_DURATION || o->kind == CLI_DURATION_OPTIONAL;
}

static int number_error(const struct cli_usage *usage, const struct cli_option *o, const char *text)
{
	char low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];
	const char *what = is_duration(o)	  ? "a duration like 20s"
			   : o->kind == CLI_BYTES ? "a size like 64KiB"
						  : "a whole number";

	if (o->min == 0 && o->max == 0)
		return cli_usage_error(
			usage->command, "--%s: expected %s, got \"%s\"", o->name, what, text);
	if (is_duration(o)) {
		units_format_duration_ms(o->min, low);
		units_format_duration_ms(o->max, high);
	} else if (o->kind == CLI_BYTES) {
		units_format_bytes((uint64_t)o->min, low);
		units_format_bytes((uint64_t)o->max, high);
	} else {
		snprintf(low, sizeof(low), "%lld", (long long)o->min);
		snprintf(high, sizeof(high), "%lld", (long long)o->max);
	}
	return cli_usage_error(usage->command, "--%s: expected %s from %s to %s, got \"%s\"",
		o->name, what, low, high, text);
}

static int parse_number(const struct cli_option *o, const char *text, int64_t *ret)
{
	uint64_t bytes;
	int err;

	switch (o->kind) {
	case CLI_INT:
		return units_parse_int(text, ret);
	case CLI_DURATION:
	case CLI_DURATION_OPTIONAL:
		return units_parse_duration_ms(text, ret);
	case CLI_BYTES:
		err = units_parse_bytes(text, &bytes);
		if (!err && bytes > INT64_MAX)
			err = ERR_LIMIT;
		if (!err)
			*ret = (int64_t)bytes;
		return err;
	case CLI_FLAG:
	case CLI_STRING:
	case CLI_STRINGS:
	default:
		return ERR_ARGUMENT;
	}
}

/* As take(). */
static int take_string(const struct cli_usage *usage, const struct cli_option *o, const char *text)
{
	struct cli_strings *strings = o->target;

	if (strings->count == CLI_STRINGS_MAX)
		return cli_usage_error(
			usage->command, "--%s: given more than %d times", o->name, CLI_STRINGS_MAX);
	strings->values[strings->count++] = text;
	return -1;
}

/* Returns -1 to go on. */
static int take(const struct cli_usage *usage, const struct cli_option *o, const char *text)
{
	int64_t number;

	if (o->kind == CLI_FLAG) {
		*(bool *)o->target = true;
		return -1;
	}
	if (o->kind == CLI_STRING) {
		*(const char **)o->target = text;
		return -1;
	}
	if (o->kind == CLI_STRINGS)
		return take_string(usage, o, text);
	if (o->kind == CLI_DURATION_OPTIONAL && !text) {
		*(int64_t *)o->target = o->max;
		return -1;
	}
	if (parse_number(o, text, &number))
		return number_error(usage, o, text);
	if ((o->min || o->max) && (number < o->min || number > o->max))
		return number_error(usage, o, text);
	*(int64_t *)o->target = number;
	return -1;
}

static size_t build_tables(const struct cli_option *options, struct option *longs, char *shorts)
{
	size_t n = 0;

	*shorts++ = ':'; /* tell a missing argument from an unknown option */
	for (const struct cli_option *o = options; o->name && n < OPTIONS_MAX; o++, n++) {
		longs[n] = (struct option){.name = o->name,
			.has_arg = o->kind == CLI_FLAG		      ? no_argument
				   : o->kind == CLI_DURATION_OPTIONAL ? optional_argument
								      : required_argument,
			.val = VALUE_BASE + (int)n};
		if (o->letter) {
			*shorts++ = o->letter;
			if (o->kind != CLI_FLAG)
				*shorts++ = ':';
			if (o->kind == CLI_DURATION_OPTIONAL)
				*shorts++ = ':';
		}
	}
	longs[n] = (struct option){.name = "help", .has_arg = no_argument, .val = VALUE_HELP};
	longs[n + 1] = (struct option){0};
	*shorts = '\0';
	return n;
}

static const struct cli_option *find_option(
	const struct cli_option *options, size_t count, int value)
{
	if (value >= VALUE_BASE && (size_t)(value - VALUE_BASE) < count)
		return &options[value - VALUE_BASE];
	for (size_t i = 0; i < count; i++)
		if (options[i].letter && options[i].letter == value)
			return &options[i];
	return NULL;
}

int cli_parse(const struct cli_usage *usage, int argc, char **argv, int *ret_first, int *ret_count)
{
	struct option longs[OPTIONS_MAX + 2];
	char shorts[3 * OPTIONS_MAX + 3];
	size_t count = build_tables(usage->options, longs, shorts);
	size_t operands;
	int value, code;

	optind = 0; /* glibc: start afresh; subcommands parse their own argv */
	opterr = 0;
	while ((value = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct cli_option *o = find_option(usage->options, count, value);

		if (value == VALUE_HELP) {
			print_help(usage);
			return CLI_DONE;
		}
		if (value == ':')
			return cli_usage_error(
				usage->command, "%s needs a value", argv[optind - 1]);
		if (!o && optopt >= VALUE_BASE)
			return cli_usage_error(
				usage->command, "%s: takes no value", argv[optind - 1]);
		if (!o)
			return cli_usage_error(
				usage->command, "unknown option %s", argv[optind - 1]);
		if (o->kind == CLI_DURATION_OPTIONAL && !optarg && usage->max_operands == 0 &&
			optind < argc && argv[optind][0] != '-')
			optarg = argv[optind++];
		code = take(usage, o, optarg);
		if (code >= 0)
			return code;
	}
	operands = (size_t)(argc - optind);
	if (operands < usage->min_operands)
		return cli_usage_error(usage->command, "expected: bunshin %s %s", usage->command,
			usage->arguments);
	if (operands > usage->max_operands)
		return cli_usage_error(usage->command, "unexpected argument \"%s\"",
			argv[optind + (int)usage->max_operands]);
	*ret_first = optind;
	*ret_count = (int)operands;
	return -1;
}

static void print_verbs(FILE *stream, const char *command, const char *arguments,
	const struct cli_verb *verbs, size_t count)
{
	fprintf(stream, "Usage: bunshin %s VERB %s\n\nVerbs:\n", command, arguments);
	for (size_t i = 0; i < count; i++)
		fprintf(stream, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
	fprintf(stream, "\n'bunshin %s VERB --help' explains one.\n", command);
}

int cli_run_verb(const char *command, const char *arguments, const struct cli_verb *verbs,
	size_t count, int argc, char **argv)
{
	if (argc < 2) {
		print_verbs(stderr, command, arguments, verbs, count);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0) {
		print_verbs(stdout, command, arguments, verbs, count);
		return CLI_DONE;
	}
	for (size_t i = 0; i < count; i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	return cli_usage_error(command, "unknown verb \"%s\"", argv[1]);
}
