#include "campaign/rejects_file.h"

#include "bunshin/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rejects_file {
	FILE *file; /* NULL: not opened */
	uint64_t rows;
	char reason[512];
	char *unfinished;
	char path[];
};

int rejects_file_new(const char *path, struct rejects_file **ret_file)
{
	size_t len = strlen(path);
	struct rejects_file *file = calloc(1, sizeof(*file) + len + 1);

	if (!file)
		return ERR_NOMEM;
	memcpy(file->path, path, len + 1);
	file->unfinished = malloc(len + sizeof(".tmp"));
	if (!file->unfinished) {
		free(file);
		return ERR_NOMEM;
	}
	snprintf(file->unfinished, len + sizeof(".tmp"), "%s.tmp", path);
	*ret_file = file;
	return 0;
}

void rejects_file_free(struct rejects_file *file)
{
	if (!file)
		return;
	if (file->file) {
		fclose(file->file);
		unlink(file->unfinished);
	}
	free(file->unfinished);
	free(file);
}

const char *rejects_file_reason(const struct rejects_file *file)
{
	return file->reason;
}

uint64_t rejects_file_rows(const struct rejects_file *file)
{
	return file->rows;
}

static int fail(struct rejects_file *file)
{
	snprintf(file->reason, sizeof(file->reason), "cannot write %s: %s", file->path,
		strerror(errno));
	return ERR_IO;
}

/* Every field in quotes: a key may hold anything. */
static void put_field(FILE *out, const char *text, size_t len)
{
	putc_unlocked('"', out);
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"')
			putc_unlocked('"', out);
		putc_unlocked(text[i], out);
	}
	putc_unlocked('"', out);
}

static int open_unfinished(struct rejects_file *file)
{
	file->file = fopen(file->unfinished, "we");
	if (!file->file)
		return fail(file);
	fputs("line,row,key,reason,detail\n", file->file);
	return 0;
}

int rejects_file_add(struct rejects_file *file, const struct campaign_reject *reject)
{
	const char *why = journal_reject_name(reject->why);

	if (!file->file && open_unfinished(file))
		return ERR_IO;
	fprintf(file->file, "%" PRIu64 ",%" PRIu64 ",", reject->line, reject->place.row);
	if (reject->key)
		put_field(file->file, reject->key, reject->key_bytes);
	fprintf(file->file, ",%s,", why);
	put_field(file->file, reject->reason, strlen(reject->reason));
	putc_unlocked('\n', file->file);
	file->rows++;
	return ferror(file->file) ? fail(file) : 0;
}

int rejects_file_finish(struct rejects_file *file)
{
	FILE *out = file->file;
	int failed;

	if (!out)
		return unlink(file->path) == 0 || errno == ENOENT ? 0 : fail(file);
	file->file = NULL;
	failed = ferror(out);
	if ((fclose(out) != 0) | failed || rename(file->unfinished, file->path) != 0) {
		int err = fail(file);

		unlink(file->unfinished);
		return err;
	}
	return 0;
}
