/* Gives SQLite the wrapped allocator, so that the sweep reaches its memory too. */
#ifndef TESTS_FAULT_REACH_SQLITE_H
#define TESTS_FAULT_REACH_SQLITE_H

#include "failmalloc.h"

#include <malloc.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>

static bool sqlite_is_spared; /* its allocations do not fail while this is set */

static void *sqlite_realloc(void *old, int size)
{
	void *memory;

	if (sqlite_is_spared)
		failmalloc_pause();
	memory = realloc(old, (size_t)size);
	if (sqlite_is_spared)
		failmalloc_resume();
	return memory;
}

static void *sqlite_malloc(int size)
{
	return sqlite_realloc(NULL, size);
}

static int sqlite_size(void *memory)
{
	return (int)malloc_usable_size(memory);
}

static int sqlite_roundup(int size)
{
	return (size + 7) & ~7;
}

static int sqlite_init(void *data)
{
	return SQLITE_OK;
}

static void sqlite_end(void *data)
{
}

/* Before anything else of SQLite; sqlite3_shutdown() in the end. */
static bool reach_sqlite(void)
{
	static const sqlite3_mem_methods methods = {sqlite_malloc, free, sqlite_realloc,
		sqlite_size, sqlite_roundup, sqlite_init, sqlite_end, NULL};

	sqlite_is_spared = false;
	return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK &&
	       sqlite3_initialize() == SQLITE_OK;
}

/* ---- the disk is not waited for: what was written is there for the next connection without it */

static int (*sqlite_vfs_open)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);

static int sqlite_sync_nothing(sqlite3_file *file, int flags)
{
	return SQLITE_OK;
}

static int sqlite_open_unsynced(
	sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	/* A table for each kind of file. */
	static const sqlite3_io_methods *from[8];
	static sqlite3_io_methods to[8];
	int code = sqlite_vfs_open(vfs, name, file, flags, out);
	size_t i = 0;

	if (code != SQLITE_OK)
		return code;
	while (from[i] != NULL && from[i] != file->pMethods)
		i++;
	from[i] = file->pMethods;
	to[i] = *file->pMethods;
	to[i].xSync = sqlite_sync_nothing;
	file->pMethods = &to[i];
	return code;
}

__attribute__((unused)) static bool sqlite_never_sync(void)
{
	static sqlite3_vfs vfs;

	vfs = *sqlite3_vfs_find(NULL);
	sqlite_vfs_open = vfs.xOpen;
	vfs.xOpen = sqlite_open_unsynced;
	vfs.zName = "unsynced";
	return sqlite3_vfs_register(&vfs, 1) == SQLITE_OK;
}

#endif
