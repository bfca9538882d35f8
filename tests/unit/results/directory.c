#include "directory.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void full_path(char full[512], const char *path, const char *name)
{
	snprintf(full, 512, "%s/%s", path, name);
}

void directory_make(char path[DIRECTORY_PATH_SIZE])
{
	const char *top = getenv("TMPDIR");

	snprintf(path, DIRECTORY_PATH_SIZE, "%s/bunshin-results-XXXXXX", top ? top : "/tmp");
	assert_non_null(mkdtemp(path));
}

/* Calls visit for the name of each file. */
static void each(const char *path, void (*visit)(void *arg, const char *name), void *arg)
{
	DIR *stream = opendir(path);
	struct dirent *entry;

	while (stream && (entry = readdir(stream)) != NULL)
		if (entry->d_name[0] != '.')
			visit(arg, entry->d_name);
	if (stream)
		closedir(stream);
}

static void remove_one(void *arg, const char *name)
{
	directory_delete(arg, name);
}

void directory_remove(const char *path)
{
	char copy[DIRECTORY_PATH_SIZE];

	snprintf(copy, sizeof(copy), "%s", path);
	each(path, remove_one, copy);
	rmdir(path);
}

bool directory_read(const char *path, const char *name, struct buf *out)
{
	char full[512], bytes[4096];
	FILE *file;
	size_t n;

	full_path(full, path, name);
	buf_clear(out);
	file = fopen(full, "rb");
	if (!file)
		return false;
	while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0)
		assert_int_equal(buf_append(out, bytes, n), 0);
	fclose(file);
	return true;
}

void directory_write(const char *path, const char *name, const char *bytes, size_t len)
{
	char full[512];
	FILE *file;

	full_path(full, path, name);
	file = fopen(full, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	fclose(file);
}

bool directory_has(const char *path, const char *name)
{
	char full[512];

	full_path(full, path, name);
	return access(full, F_OK) == 0;
}

struct counting {
	const char *prefix;
	size_t count;
};

static void count_one(void *arg, const char *name)
{
	struct counting *counting = arg;

	counting->count += strncmp(name, counting->prefix, strlen(counting->prefix)) == 0;
}

size_t directory_count(const char *path, const char *prefix)
{
	struct counting counting = {.prefix = prefix};

	each(path, count_one, &counting);
	return counting.count;
}

void directory_delete(const char *path, const char *name)
{
	char full[512];

	full_path(full, path, name);
	unlink(full);
}
