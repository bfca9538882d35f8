/*
 * Reads shared files for check_shared_files_botocore.py. Each line of standard input is one
 * question, its fields in hex and separated by blanks ("-" is empty):
 *
 *	COMMAND						its words in hex, or "refused"
 *	CONFIG CREDENTIALS				1: they parse, 0: they do not
 *	CONFIG CREDENTIALS PROFILE			1: the profile exists, 0: it does not
 *	CONFIG CREDENTIALS PROFILE KEY			its value in hex, "-" empty or absent
 *	CONFIG CREDENTIALS SERVICES GROUP KEY		the same
 */
#include "aws/credentials/shared_files.h"
#include "aws/credentials/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX 5
#define WORDS_MAX 100

static unsigned nibble(char c)
{
	return (unsigned)(c >= 'a' ? c - 'a' + 10 : c - '0');
}

/* In place; returns the length. */
static size_t unhex(char *text)
{
	size_t len = text[0] == '-' ? 0 : strlen(text) / 2;

	for (size_t i = 0; i < len; i++)
		text[i] = (char)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
	text[len] = '\0';
	return len;
}

static void print_hex(const char *text)
{
	if (text[0] == '\0')
		printf("-");
	for (; *text != '\0'; text++)
		printf("%02x", (unsigned char)*text);
}

static void answer_words(char *command)
{
	char *words[WORDS_MAX];
	size_t count;

	if (words_split(command, words, WORDS_MAX, &count) != 0) {
		printf("refused\n");
		return;
	}
	for (size_t i = 0; i < count; i++) {
		print_hex(words[i]);
		printf(" ");
	}
	printf("\n");
}

static void print_value(const char *value)
{
	print_hex(value != NULL ? value : "");
	printf("\n");
}

static void answer_value(const struct shared_files *files, char *fields[], size_t count)
{
	if (count == 2)
		printf("1\n");
	else if (count == 3)
		printf("%d\n", shared_files_has_profile(files, fields[2]));
	else if (count == 4)
		print_value(shared_files_get(files, fields[2], fields[3]));
	else
		print_value(shared_files_get_service(files, fields[2], fields[3], fields[4]));
}

static void answer_files(char *fields[], const size_t len[], size_t count)
{
	struct buf error = BUF_INIT(4096);
	struct shared_files *files;

	if (shared_files_parse("CONFIG", fields[0], len[0], "CREDENTIALS", fields[1], len[1],
		    &files, &error) == 0) {
		answer_value(files, fields, count);
		shared_files_free(files);
	} else {
		printf("0\n");
	}
	buf_free(&error);
}

int main(void)
{
	char *line = NULL;
	size_t capacity = 0;

	while (getline(&line, &capacity, stdin) > 0) {
		char *fields[FIELDS_MAX];
		size_t len[FIELDS_MAX], count = 0;

		for (char *field = strtok(line, " \n"); field != NULL && count < FIELDS_MAX;
			field = strtok(NULL, " \n"), count++) {
			len[count] = unhex(field);
			fields[count] = field;
		}
		if (count == 1)
			answer_words(fields[0]);
		else if (count >= 2)
			answer_files(fields, len, count);
	}
	free(line);
	return 0;
}
