/*
 * The file that declares queues for `bunshin queue --config`: YAML, with the place of everything,
 * so that whoever knows the rules of queues can say where they are broken. Here only the form is
 * checked: keys, kinds of values, names given twice.
 *
 *   queues:
 *     - name: morning
 *       attributes: {VisibilityTimeout: 60}
 *       redrive: {queue: morning-failures, max_receives: 5}
 *       tags: {team: growth}
 */
#ifndef CONFIG_QUEUES_FILE_H
#define CONFIG_QUEUES_FILE_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

#define QUEUES_FILE_QUEUES_MAX 10000

/* Both from 1; zeroed: nowhere. */
struct queues_place {
	size_t line, column;
};

/* A map or a list as a value is its JSON. */
struct queues_pair {
	char *name, *value;
	struct queues_place place; /* of the value */
};

struct queues_pairs {
	struct queues_pair *list;
	size_t count;
};

struct queues_entry {
	char *name;
	struct queues_place name_place;
	struct queues_pairs attributes, tags;
	struct queues_place tags_place;
	/* Both or neither; NULL: the entry says nothing of it. */
	char *redrive_queue, *max_receives;
	struct queues_place redrive_queue_place, max_receives_place;
};

struct queues_file {
	char *path;
	struct queues_entry *entries;
	size_t count;
	size_t error_count; /* of queues_file_report() too */
};

/*
 * Reads it. Returns 0; ERR_NOMEM; ERR_IO or ERR_CONFIG with whole lines,
 * "PATH:LINE:COLUMN: queues[0].KEY: reason\n", appended to `errors`.
 */
int queues_file_load(const char *path, struct queues_file **ret, struct buf *errors);
/* NULL is fine. */
void queues_file_free(struct queues_file *file);

/*
 * Adds such a line and counts it; after a hundred of them one line says that there are more, and
 * then nothing does. `entry` is its index; member and name may be NULL: "queues[0].attributes.X".
 */
void queues_file_report(struct queues_file *file, struct buf *errors, struct queues_place place,
	size_t entry, const char *member, const char *name, const char *format, ...)
	__attribute__((format(printf, 7, 8)));

#endif
