#include "aws/credentials/words.h"

#include "bunshin/error.h"

#include <string.h>

#define BLANKS " \t\r\n"

/* Copies what stands in quotes to *out; returns what follows the end quote, NULL without one. */
static char *take_quoted(char *from, char **out)
{
	char quote = *from++;

	for (; *from != '\0' && *from != quote; from++) {
		if (quote == '"' && *from == '\\' && (from[1] == '"' || from[1] == '\\'))
			from++;
		*(*out)++ = *from;
	}
	return *from == quote ? from + 1 : NULL;
}

/* The same for one whole word; the result is at the blank or the NUL after it. */
static char *take_word(char *from, char **out)
{
	while (from != NULL && *from != '\0' && strchr(BLANKS, *from) == NULL) {
		if (*from == '\'' || *from == '"') {
			from = take_quoted(from, out);
			continue;
		}
		if (*from == '\\' && *++from == '\0')
			return NULL;
		*(*out)++ = *from++;
	}
	return from;
}

int words_split(char *text, char **ret_words, size_t max, size_t *ret_count)
{
	char *from = text + strspn(text, BLANKS);
	char *out = text;
	size_t count = 0;

	while (*from != '\0') {
		char *word = out;

		if (count == max)
			return ERR_LIMIT;
		from = take_word(from, &out);
		if (from == NULL)
			return ERR_SYNTAX;
		/* Past the blanks first: `out` may be the first of them. */
		from += strspn(from, BLANKS);
		*out++ = '\0';
		ret_words[count++] = word;
	}
	*ret_count = count;
	return 0;
}
