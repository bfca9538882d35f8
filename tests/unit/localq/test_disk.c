/*
 * A disk that fails: every write, sync, truncation and open that the database makes fails once, and
 * from some call on until it works again, with no space or an I/O error. What was acknowledged is
 * there afterwards, in this process and in the next one; what was refused was refused with SQS's
 * InternalFailure.
 *
 * SQLite calls libc through the dynamic linker, so the functions here stand before libc's.
 */
#include "bunshin/error.h"
#include "localq/store_private.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define Q "\"QueueUrl\":\"http://h/000000000000/q\""
#define POLL_US 20000

enum kind { WRITE, SYNC, TRUNCATE, OPEN, KINDS };

static struct {
	_Atomic int left[KINDS]; /* calls until one fails; negative: none does */
	_Atomic bool lasting;	 /* and all after it */
	_Atomic int failed;
	_Atomic int code;
} disk;

static void disk_works(void)
{
	for (int i = 0; i < KINDS; i++)
		disk.left[i] = -1;
	disk.failed = 0;
}

static void disk_fails(enum kind kind, int after, bool lasting, int code)
{
	disk_works();
	disk.lasting = lasting;
	disk.code = code;
	disk.left[kind] = after;
}

static bool fails(enum kind kind)
{
	int left = disk.left[kind];

	if (left < 0)
		return false;
	if (left > 0) {
		disk.left[kind] = left - 1;
		return false;
	}
	if (!disk.lasting)
		disk.left[kind] = -1;
	disk.failed++;
	errno = disk.code;
	return true;
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at)
{
	return fails(WRITE) ? -1 : syscall(SYS_pwrite64, fd, data, bytes, at);
}

/* Nothing here loses its power: a sync that works need not be made. */
int fdatasync(int fd)
{
	(void)fd;
	return fails(SYNC) ? -1 : 0;
}

int ftruncate64(int fd, off64_t bytes)
{
	return fails(TRUNCATE) ? -1 : (int)syscall(SYS_ftruncate, fd, bytes);
}

int open64(const char *path, int flags, ...)
{
	va_list args;
	int mode;

	va_start(args, flags);
	mode = va_arg(args, int);
	va_end(args);
	if (strstr(path, "queue.db") != NULL && fails(OPEN))
		return -1;
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static char dir[64];
static struct world world;

static int make_dir(void **state)
{
	disk_works();
	strcpy(dir, "/tmp/bunshin-disk-XXXXXX");
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"queue.db", "queue.db-wal", "queue.db-shm", "lock"};
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

/* Was it acknowledged? Else it is an internal failure, and nothing else. */
static bool try(const char *operation, const char *parameters)
{
	world_call(&world, operation, "%s", parameters);
	if (world.done.call.problem.fault == FAULT_NONE)
		return true;
	assert_int_equal(world.done.call.problem.fault, FAULT_INTERNAL);
	assert_string_equal(cJSON_GetObjectItem(world.done.answer, "__type")->valuestring,
		"com.amazon.coral.service#InternalFailure");
	return false;
}

static bool try_delete(const char *handle)
{
	char parameters[256];

	snprintf(parameters, sizeof(parameters), "{" Q ",\"ReceiptHandle\":\"%s\"}", handle);
	return try("DeleteMessage", parameters);
}

struct told {
	bool sent, deleted, taken, long_sent;
};

/* One call a turn. "gone" and "taken" are in flight to begin with, "stays" is visible. */
static struct told load(const char *gone)
{
	static char long_message[4096];
	struct told told;

	snprintf(long_message, sizeof(long_message), "{" Q ",\"MessageBody\":\"%03000d\"}", 0);
	told.sent = try("SendMessage", "{" Q ",\"MessageBody\":\"new\"}");
	told.deleted = try_delete(gone);
	told.taken = try("ReceiveMessage", "{" Q ",\"VisibilityTimeout\":1000}") &&
		     cJSON_GetArraySize(cJSON_GetObjectItem(world.done.answer, "Messages")) == 1;
	told.long_sent = try("SendMessage", long_message);
	return told;
}

static bool has(const char *bodies, const char *body)
{
	return strstr(bodies, body) != NULL;
}

/* All that is there, whoever had it. */
static void check(const struct told *told, bool taken_is_hidden)
{
	const char *bodies;

	if (told->taken && taken_is_hidden) {
		world_ok(&world, "ReceiveMessage",
			"{" Q ",\"MaxNumberOfMessages\":10,"
			"\"VisibilityTimeout\":0}");
		assert_false(has(world_bodies(world.done.answer), "stays"));
	}
	world_advance_ms(&world, 2000000);
	world_ok(&world, "ReceiveMessage",
		"{" Q ",\"MaxNumberOfMessages\":10,\"VisibilityTimeout\":0}");
	bodies = world_bodies(world.done.answer);
	assert_true(has(bodies, "stays"));
	if (told->sent)
		assert_true(has(bodies, "new"));
	if (told->deleted)
		assert_false(has(bodies, "gone"));
	if (told->long_sent)
		assert_true(has(bodies, "000000"));
}

static void begin(enum store_sync sync, char gone[64])
{
	world_open(&world, dir);
	world.sync = sync;
	world_reopen(&world, dir);
	world_create(&world, "q");
	world_send(&world, "q", "gone");
	world_ok(&world, "ReceiveMessage", "{" Q ",\"VisibilityTimeout\":1000}");
	world_handle(world.done.answer, 0, gone);
	world_send(&world, "q", "stays");
}

/* Returns whether there was a call to fail. */
static bool fail_one(enum kind kind, int after, bool lasting, enum store_sync sync)
{
	struct told told;
	char gone[64];
	bool failed;

	make_dir(NULL);
	begin(sync, gone);
	disk_fails(kind, after, lasting, after % 2 ? EIO : ENOSPC);
	told = load(gone);
	failed = disk.failed > 0;
	disk_works();
	assert_true(failed || (told.sent && told.deleted && told.taken && told.long_sent));
	/* It goes on without a restart. */
	world_send(&world, "q", "after");
	check(&told, true);
	/* As it stands, so does the next process find it. */
	world_reopen(&world, dir);
	check(&told, false);
	assert_true(has(world_bodies(world.done.answer), "after"));
	world_close(&world);
	remove_dir(NULL);
	return failed;
}

static void sweep(enum kind kind, enum store_sync sync, int at_least)
{
	for (int lasting = 0; lasting <= 1; lasting++) {
		int after = 0;

		while (fail_one(kind, after, lasting, sync))
			after++;
		assert_true(after >= at_least);
	}
}

static void each_write_fails(void **state)
{
	sweep(WRITE, STORE_SYNC_NORMAL, 10);
}

static void each_write_fails_synced(void **state)
{
	sweep(WRITE, STORE_SYNC_FULL, 10);
}

static void each_sync_fails(void **state)
{
	sweep(SYNC, STORE_SYNC_FULL, 4);
}

static void opening_fails_and_works_afterwards(void **state)
{
	char detail[STORE_DETAIL_MAX];

	for (enum kind kind = 0; kind < KINDS; kind++) {
		bool failed = true;

		for (int after = 0; failed; after++) {
			struct store *store = NULL;
			int err;

			make_dir(NULL);
			disk_fails(kind, after, true, ENOSPC);
			err = store_open(dir, STORE_SYNC_NORMAL, &store, detail);
			failed = disk.failed > 0;
			/* The handle key is drawn when the store is opened: that is written. */
			if (err < 0)
				assert_true(failed && *detail != '\0');
			else
				store_close(store);
			disk_works();
			assert_int_equal(store_open(dir, STORE_SYNC_NORMAL, &store, detail), 0);
			store_close(store);
			remove_dir(NULL);
		}
	}
}

static void wait_until_trouble(bool expected)
{
	char detail[STORE_DETAIL_MAX];

	while (store_copy_trouble(world.service.store, detail) != expected)
		usleep(POLL_US);
}

/* The copying goes on by itself once the disk works, and meanwhile nothing else is hurt. */
static void what_cannot_be_copied_is_kept(void **state)
{
	make_dir(NULL);
	world_open(&world, dir);
	world_create(&world, "q");
	disk_fails(SYNC, 0, true, EIO);
	world_send(&world, "q", "before");
	wait_until_trouble(true);
	assert_true(try("SendMessage", "{" Q ",\"MessageBody\":\"while\"}"));
	disk_works();
	wait_until_trouble(false);
	assert_true(try("SendMessage", "{" Q ",\"MessageBody\":\"after\"}"));
	world_reopen(&world, dir);
	assert_string_equal(world_counts(&world, "q"), "3 0 0");
	world_close(&world);
	remove_dir(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_write_fails),
		cmocka_unit_test(each_write_fails_synced),
		cmocka_unit_test(each_sync_fails),
		cmocka_unit_test(opening_fails_and_works_afterwards),
		cmocka_unit_test(what_cannot_be_copied_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
