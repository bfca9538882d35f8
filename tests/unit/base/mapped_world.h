/*
 * What the tests of mapped_file.c share: a stand between it and the kernel, a kind of file, and a
 * directory for each test. The linker sends its system calls through here (--wrap).
 */
#ifndef TESTS_MAPPED_WORLD_H
#define TESTS_MAPPED_WORLD_H

#include "base/mapped_file.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#define BYTES 20000
#define PATH_BYTES 256

/* What happens to the system calls; all zero: what the kernel does. */
struct mapped_plan {
	bool no_tmpfile;    /* the file system has no files without a name */
	unsigned long left; /* until the call that fails; 0: none does */
	int err;	    /* what that call says; 0: the process dies instead */
	unsigned naps;
	void (*on_nap)(unsigned naps); /* instead of it */
	/* Once each, before the call. */
	void (*before_rename)(void);
	void (*before_lock)(void);
	void (*before_reserve)(void);
};

extern struct mapped_plan plan;

/* The kind of file that is shared here: "GOOD", a counter, and 7 in the last byte. */
struct content {
	char magic[4];
	_Atomic uint32_t counter;
};

/* arg: NULL, or the code to return. */
extern const struct mapped_file_kind kind;

struct mapped_place {
	char directory[PATH_BYTES / 4];
	char path[PATH_BYTES];
	char bad[PATH_BYTES];
	char fresh[PATH_BYTES];
	struct buf reason;
	unsigned descriptors;
};

extern struct mapped_place place;

/* Of each test; the second also looks for what is left open or mapped. */
int set_up(void **state);
int tear_down(void **state);

/* Another name in the directory. */
void set_path(const char *name);
void remove_files(void);
unsigned count_files(void);
void write_file(const char *path, const void *content, size_t bytes);
void expect_content(const char *path, const void *content, size_t bytes);
bool exists(const char *path);
ino_t inode_of(const char *path);
/* Whole, with its space reserved, for nobody else. */
void check_good(const char *path);

int open_file(struct mapped_file *file);
void expect_opened(bool created, bool replaced);
void fail_to_open(const char *sentence);
/* "cannot VERB PATH: WHY" */
void fail_to_open_why(const char *verb, const char *why);

/* Runs `body` in a process of its own; its exit status, or -1 when a signal ended it. */
int run_child(int (*body)(void));

/* What there may be before, in each of the sweeps. */
enum before { NOTHING, GOOD_FILE, BAD_FILE, EMPTY_FILE, STALE_FRESH, LINKED_FRESH, BEFORE_COUNT };

void prepare(enum before before, bool named);
/* After whatever happened: the file is whole or not there, and the next one that comes is fine. */
void check_aftermath(enum before before, bool named);

/* For plan.on_nap: naps pass at once. */
void nap_never(unsigned naps);

#endif
