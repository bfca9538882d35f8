/*
 * What `bunshin queue` prints once it listens.
 */
#ifndef CLI_QUEUE_WELCOME_H
#define CLI_QUEUE_WELCOME_H

#include "localq/declare.h"

#include <stdio.h>

struct welcome {
	const char *address; /* "127.0.0.1:9324" */
	const char *dir;     /* NULL: in memory */
	const char *region;
	const char *access_key;			 /* NULL: any signature, or none, is taken */
	const char *config;			 /* the file that declares queues; NULL: none */
	const struct declarations *declarations; /* with their outcomes; NULL: none */
};

/*
 * For people and scripts: the first line is "listening on http://ADDRESS", and the lines that are
 * indented can be pasted into a shell.
 */
void welcome_print(const struct welcome *welcome, FILE *out);

#endif
