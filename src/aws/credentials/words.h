/* Splits a command or a section's name into words as a POSIX shell does, without a shell. */
#ifndef AWS_CREDENTIALS_WORDS_H
#define AWS_CREDENTIALS_WORDS_H

#include <stddef.h>

/*
 * Blanks and line ends part words. '...' is taken as it is; in "..." a backslash escapes only '"'
 * and itself; outside of quotes it escapes any character. Nothing else is special: no variables,
 * no globs, no comments (Python's shlex.split, which botocore uses).
 *
 * Works in place: ret_words point into `text`. 0; ERR_SYNTAX: a quote without its end, or a
 * backslash at the end; ERR_LIMIT: more than `max` words. On failure `text` is half split.
 */
int words_split(char *text, char **ret_words, size_t max, size_t *ret_count);

#endif
