/*
 * The demo's working directory: what its processes read and write.
 */
#ifndef CLI_DEMO_FILES_H
#define CLI_DEMO_FILES_H

#include "base/buf.h"
#include "cli/demo_check.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct demo_files {
	char directory[PATH_MAX]; /* "" until it is made */
	char recipients[PATH_MAX];
	char message_template[PATH_MAX];
	char config[PATH_MAX];
	char record[PATH_MAX];
	char data[PATH_MAX];
	char ledger[PATH_MAX];
	char log[PATH_MAX]; /* scratch of demo_files_log() */
	char *sink_url;	    /* filled in by the owner; freed here */
	FILE *counting;
	uint64_t accepted;
};

/*
 * Makes the directory under TMPDIR and fills it: the first `messages` recipients of the example,
 * repeated with other user ids when it has fewer. examples NULL: the installed ones, else those
 * of the source tree that `program` was built in. 0 or an error code with a sentence in `error`.
 */
int demo_files_open(struct demo_files *files, const char *examples, const char *program,
	size_t messages, struct buf *error);
/* Removes the directory unless keep. */
void demo_files_close(struct demo_files *files, bool keep);

/* Where a process's standard error goes; valid until the next call. */
const char *demo_files_log(struct demo_files *files, const char *process);
/* Requests that the sink has recorded as accepted so far; reads only what is new. */
uint64_t demo_files_accepted(struct demo_files *files);
/* demo_check() over them. */
int demo_files_check(struct demo_files *files, struct demo_result *ret_result, struct buf *error);

#endif
