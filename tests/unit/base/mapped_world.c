#include "mapped_world.h"

#include "bunshin/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Between mapped_file.c and the kernel. */

int __real_open64(const char *path, int flags, ...);
int __real_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int __real_posix_fallocate64(int fd, off_t at, off_t bytes);
int __real_fallocate64(int fd, int mode, off_t at, off_t bytes);
void *__real_mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_fchmod(int fd, mode_t mode);
int __real_fstat64(int fd, struct stat *status);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __real_flock(int fd, int operation);
int __real_unlink(const char *path);
int __real_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int __wrap_posix_fallocate64(int fd, off_t at, off_t bytes);
int __wrap_fallocate64(int fd, int mode, off_t at, off_t bytes);
void *__wrap_mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fstat64(int fd, struct stat *status);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_flock(int fd, int operation);
int __wrap_unlink(const char *path);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);

struct mapped_plan plan;

static bool fails(void)
{
	if (plan.left == 0 || --plan.left > 0)
		return false;
	if (plan.err == 0)
		_exit(99);
	errno = plan.err;
	return true;
}

static void run_once(void (**hook)(void))
{
	void (*run)(void) = *hook;

	*hook = NULL;
	if (run)
		run();
}

int __wrap_open64(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (plan.no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return fails() ? -1 : __real_open64(path, flags, mode);
}

int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	return fails() ? -1 : __real_linkat(from_fd, from, to_fd, to, flags);
}

int __wrap_posix_fallocate64(int fd, off_t at, off_t bytes)
{
	run_once(&plan.before_reserve);
	return fails() ? plan.err : __real_posix_fallocate64(fd, at, bytes);
}

int __wrap_fallocate64(int fd, int mode, off_t at, off_t bytes)
{
	return fails() ? -1 : __real_fallocate64(fd, mode, at, bytes);
}

void *__wrap_mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	return fails() ? MAP_FAILED : __real_mmap64(at, bytes, protection, flags, fd, offset);
}

int __wrap_fchmod(int fd, mode_t mode)
{
	return fails() ? -1 : __real_fchmod(fd, mode);
}

int __wrap_fstat64(int fd, struct stat *status)
{
	return fails() ? -1 : __real_fstat64(fd, status);
}

int __wrap_fsync(int fd)
{
	return fails() ? -1 : __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
	run_once(&plan.before_rename);
	return fails() ? -1 : __real_rename(from, to);
}

int __wrap_flock(int fd, int operation)
{
	run_once(&plan.before_lock);
	return fails() ? -1 : __real_flock(fd, operation);
}

int __wrap_unlink(const char *path)
{
	return fails() ? -1 : __real_unlink(path);
}

/* Naps pass at once, unless there are other processes to wait for. */
int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
	plan.naps++;
	if (!plan.on_nap)
		return __real_nanosleep(time, left);
	plan.on_nap(plan.naps);
	return 0;
}

static int format(void *arg, void *memory, size_t bytes)
{
	static const uint8_t zero[BYTES];

	assert_true(bytes <= sizeof(zero));
	assert_memory_equal(memory, zero, bytes);
	if (arg)
		return *(int *)arg;
	memcpy(memory, "GOOD", 4);
	((uint8_t *)memory)[bytes - 1] = 7;
	return 0;
}

static int check(void *arg, const void *memory, size_t bytes, struct buf *reason)
{
	if (arg)
		return *(int *)arg;
	if (bytes >= 4 && memcmp(memory, "GOOD", 4) == 0)
		return 0;
	buf_appendf(reason, "%zu bytes of something else", bytes);
	return ERR_SYNTAX;
}

const struct mapped_file_kind kind = {.format = format, .check = check};

/* A directory for each test. */

struct mapped_place place;

static unsigned count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

void set_path(const char *name)
{
	snprintf(place.path, sizeof(place.path), "%s/%s", place.directory, name);
	snprintf(place.bad, sizeof(place.bad), "%s/%s.bad", place.directory, name);
	snprintf(place.fresh, sizeof(place.fresh), "%s/%s.new", place.directory, name);
}

int set_up(void **state)
{
	memset(&plan, 0, sizeof(plan));
	strcpy(place.directory, "/tmp/mapped_file.XXXXXX");
	assert_non_null(mkdtemp(place.directory));
	set_path("file");
	buf_init(&place.reason, 4096);
	place.descriptors = count_descriptors();
	return 0;
}

void remove_files(void)
{
	DIR *directory = opendir(place.directory);
	struct dirent *entry;

	assert_non_null(directory);
	while ((entry = readdir(directory)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(directory), entry->d_name,
				entry->d_type == DT_DIR ? AT_REMOVEDIR : 0);
	closedir(directory);
}

/* Nothing is left open or mapped. */
static void check_leaks(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[1024];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		assert_null(strstr(line, place.directory));
	fclose(maps);
	assert_int_equal(count_descriptors(), place.descriptors);
}

int tear_down(void **state)
{
	memset(&plan, 0, sizeof(plan));
	check_leaks();
	remove_files();
	buf_free(&place.reason);
	return rmdir(place.directory);
}

int open_file(struct mapped_file *file)
{
	return mapped_file_open(place.path, BYTES, &kind, NULL, file, &place.reason);
}

void fail_to_open(const char *sentence)
{
	struct mapped_file file = {.bytes = 77};

	assert_int_equal(open_file(&file), ERR_IO);
	assert_string_equal(buf_string(&place.reason), sentence);
	assert_int_equal(file.bytes, 77);
}

void fail_to_open_why(const char *verb, const char *why)
{
	char sentence[PATH_BYTES * 2];

	snprintf(sentence, sizeof(sentence), "cannot %s %s: %s", verb, place.path, why);
	fail_to_open(sentence);
}

void write_file(const char *path, const void *content, size_t bytes)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, bytes, file), bytes);
	assert_int_equal(fclose(file), 0);
}

void expect_content(const char *path, const void *content, size_t bytes)
{
	static char read_bytes[BYTES + 1];
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	assert_int_equal(fread(read_bytes, 1, sizeof(read_bytes), file), bytes);
	assert_memory_equal(read_bytes, content, bytes);
	fclose(file);
}

bool exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

ino_t inode_of(const char *path)
{
	struct stat status;

	assert_int_equal(lstat(path, &status), 0);
	return status.st_ino;
}

void check_good(const char *path)
{
	struct stat status;
	static uint8_t content[BYTES];
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	assert_int_equal(fread(content, 1, BYTES, file), BYTES);
	fclose(file);
	assert_memory_equal(content, "GOOD", 4);
	assert_int_equal(content[BYTES - 1], 7);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, BYTES);
	assert_int_equal(status.st_mode, S_IFREG | 0600);
	assert_true(status.st_blocks * 512 >= BYTES);
}

unsigned count_files(void)
{
	DIR *directory = opendir(place.directory);
	unsigned count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count - 2;
}

void expect_opened(bool created, bool replaced)
{
	struct mapped_file file;

	if (open_file(&file) != 0)
		fail_msg("%s", buf_string(&place.reason));
	assert_memory_equal(file.memory, "GOOD", 4);
	assert_int_equal(file.bytes, BYTES);
	assert_int_equal(((uint8_t *)file.memory)[BYTES - 1], 7);
	assert_int_equal(file.created, created);
	assert_int_equal(file.replaced, replaced);
	assert_int_equal(place.reason.len > 0, replaced);
	mapped_file_close(&file);
	assert_null(file.memory);
}

int run_child(int (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void prepare(enum before before, bool named)
{
	memset(&plan, 0, sizeof(plan));
	remove_files();
	switch (before) {
	case GOOD_FILE:
		expect_opened(true, false);
		break;
	case BAD_FILE:
		write_file(place.path, "x", 1);
		break;
	case EMPTY_FILE:
		write_file(place.path, "", 0);
		break;
	case STALE_FRESH:
		write_file(place.fresh, "GO", 2);
		break;
	case LINKED_FRESH: /* killed between the link and the unlink; then the file became bad */
		write_file(place.path, "x", 1);
		assert_int_equal(link(place.path, place.fresh), 0);
		break;
	default:
		break;
	}
	plan.no_tmpfile = named;
}

void check_aftermath(enum before before, bool named)
{
	bool there = exists(place.path);

	if (there && (before == NOTHING || before == GOOD_FILE || before == STALE_FRESH))
		check_good(place.path);
	assert_true(there || before != GOOD_FILE);
	plan.left = 0;
	{
		struct mapped_file file;

		if (open_file(&file) != 0)
			fail_msg("%s", buf_string(&place.reason));
		assert_true(file.created || there);
		mapped_file_close(&file);
	}
	check_good(place.path);
	if (exists(place.bad) && before != EMPTY_FILE)
		expect_content(place.bad, "x", 1);
	assert_int_equal(count_files(), 1 + exists(place.bad) + exists(place.fresh));
	if (exists(place.fresh) && before != STALE_FRESH && before != LINKED_FRESH)
		assert_true(named && there);
}

void nap_never(unsigned naps)
{
}
