/*
 * What tests/checks/check_options.py asks the code: `config_tool options` prints the option table
 * as JSON, `config_tool print FILE` the effective configuration of a file.
 */
#include "base/units.h"
#include "bunshin/error.h"
#include "config/options.h"

#include <stdio.h>
#include <string.h>

static void print_string(const char *name, const char *text)
{
	struct buf escaped = BUF_INIT(1 << 16);

	if (text == NULL) {
		printf(", \"%s\": null", name);
		return;
	}
	buf_append_json(&escaped, text, strlen(text));
	printf(", \"%s\": \"%s\"", name, buf_string(&escaped));
	buf_free(&escaped);
}

static void print_number(const struct option *option, const char *name, int64_t number)
{
	char text[UNITS_TEXT_MAX];

	if (option->type == OPTION_DURATION)
		print_string(name, units_format_duration_ms(number, text));
	else if (option->type == OPTION_BYTES)
		print_string(name, units_format_bytes((uint64_t)number, text));
	else if (option->type == OPTION_SHARE)
		print_string(name, units_format_share(number, text));
	else
		printf(", \"%s\": \"%lld\"", name, (long long)number);
}

static int print_options(void)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &options[i];

		printf("%s{\"path\": \"%s\", \"nullable\": %s, \"required\": %s",
			i == 0 ? "[" : ",\n", o->path, o->nullable ? "true" : "false",
			o->required ? "true" : "false");
		if (o->max != 0) {
			print_number(o, "min", o->min);
			print_number(o, "max", o->max);
		}
		print_string("default", o->fallback);
		print_string("choices", o->choices);
		print_string("zero_word", o->zero_word);
		print_string("help", o->help);
		putchar('}');
	}
	puts("]");
	return 0;
}

static int print_file(const char *path)
{
	struct buf errors = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
	struct config *config = NULL;
	int err = config_load(path, &config_process_environment, NULL, 0, &config, &errors);

	if (err == 0)
		err = config_print(config, &out);
	fputs(buf_string(&errors), stderr);
	fputs(buf_string(&out), stdout);
	config_free(config);
	buf_free(&errors);
	buf_free(&out);
	return err == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "options") == 0)
		return print_options();
	if (argc == 3 && strcmp(argv[1], "print") == 0)
		return print_file(argv[2]);
	fprintf(stderr, "usage: config_tool options | print FILE\n");
	return 2;
}
