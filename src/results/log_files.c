#include "results/log_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEM "outcomes-"
#define CURRENT ".jsonl"
#define POSITION ".position"
#define POSITION_BYTES 48 /* of the text, always the same, so that it is overwritten in place */

/* ---- names */

static void name_of(char name[LOG_NAME_SIZE], unsigned number, const char *suffix)
{
	snprintf(name, LOG_NAME_SIZE, STEM "%u%s", number, suffix);
}

/* sequence 0: the file that is being written. */
static void file_name(char name[LOG_NAME_SIZE], unsigned number, uint64_t sequence)
{
	if (sequence)
		snprintf(name, LOG_NAME_SIZE, STEM "%u" CURRENT ".%" PRIu64, number, sequence);
	else
		name_of(name, number, CURRENT);
}

/* Decimal without leading zeros, up to max; the text goes on behind it. False: there is none. */
static bool read_number(const char **text, uint64_t max, uint64_t *ret)
{
	const char *p = *text;
	uint64_t value = 0;

	if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		value = value * 10 + (uint64_t)(*p - '0');
		if (value > max)
			return false;
	}
	*text = p;
	*ret = value;
	return true;
}

enum file_kind { FILE_OTHER, FILE_CURRENT, FILE_FORMER, FILE_POSITION };

/* What the name of a directory entry says; *ret_sequence for FILE_FORMER. */
static enum file_kind read_name(const char *name, unsigned *ret_number, uint64_t *ret_sequence)
{
	uint64_t number;

	if (strncmp(name, STEM, strlen(STEM)) != 0)
		return FILE_OTHER;
	name += strlen(STEM);
	if (!read_number(&name, LOG_NUMBERS_MAX - 1, &number))
		return FILE_OTHER;
	*ret_number = (unsigned)number;
	if (strcmp(name, POSITION) == 0)
		return FILE_POSITION;
	if (strncmp(name, CURRENT, strlen(CURRENT)) != 0)
		return FILE_OTHER;
	name += strlen(CURRENT);
	if (*name == '\0')
		return FILE_CURRENT;
	if (*name++ != '.' || !read_number(&name, LOG_SEQUENCE_MAX, ret_sequence) ||
		*name != '\0' || *ret_sequence == 0)
		return FILE_OTHER;
	return FILE_FORMER;
}

/* ---- the directory */

int log_files_open(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && (mkdir(directory, 0750) == 0 || errno == EEXIST))
		fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Calls visit for each entry until it returns false. False: it cannot be read. */
typedef bool visit_name(void *arg, const char *name);

static bool each_name(int directory, visit_name *visit, void *arg)
{
	/* Not dup(): the place in the directory would be shared. */
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!stream) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while ((entry = readdir(stream)) != NULL && visit(arg, entry->d_name))
		continue;
	closedir(stream);
	return true;
}

/* ---- positions */

/* {0, 0} when there is none, or none that can be read. */
static struct log_position read_position(int fd)
{
	struct log_position position = {0};
	char text[POSITION_BYTES + 1];
	const char *p = text;
	ssize_t n = pread(fd, text, POSITION_BYTES, 0);

	if (n <= 0)
		return position;
	text[n] = '\0';
	if (!read_number(&p, LOG_SEQUENCE_MAX, &position.sequence) || *p++ != ' ' ||
		!read_number(&p, INT64_MAX / 16, &position.offset) || *p != ' ')
		return (struct log_position){0};
	return position;
}

int log_files_set_sent(struct log_number *number, struct log_position position)
{
	char text[POSITION_BYTES + 1];

	number->sent = position;
	memset(text, ' ', POSITION_BYTES);
	text[snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, position.sequence,
		position.offset)] = ' ';
	text[POSITION_BYTES - 1] = '\n';
	return pwrite(number->lock, text, POSITION_BYTES, 0) == POSITION_BYTES ? 0 : -errno;
}

/* ---- numbers */

struct search {
	unsigned number;
	uint64_t above, lowest, highest; /* sequences: the lowest above, the highest of all */
};

static bool search_sequence(void *arg, const char *name)
{
	struct search *search = arg;
	uint64_t sequence = 0;
	unsigned number;

	if (read_name(name, &number, &sequence) != FILE_FORMER || number != search->number)
		return true;
	if (sequence > search->highest)
		search->highest = sequence;
	if (sequence > search->above && sequence < search->lowest)
		search->lowest = sequence;
	return true;
}

static struct search search(int directory, unsigned number, uint64_t above)
{
	struct search search = {.number = number, .above = above, .lowest = UINT64_MAX};

	each_name(directory, search_sequence, &search);
	return search;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* 1: taken; 0: somebody has it; a negative errno. */
static int try_number(int directory, unsigned number, bool make, struct log_number *ret)
{
	char name[LOG_NAME_SIZE];
	int fd;

	name_of(name, number, POSITION);
	fd = openat(directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0), 0640);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int error = errno;

		close(fd);
		return error == EWOULDBLOCK ? 0 : -error;
	}
	*ret = (struct log_number){.held = true,
		.number = number,
		.directory = directory,
		.lock = fd,
		.sent = read_position(fd)};
	ret->sequence = most(search(directory, number, 0).highest + 1, most(ret->sent.sequence, 1));
	return 1;
}

int log_files_take(int directory, struct log_number *ret_number)
{
	for (unsigned number = 0; number < LOG_NUMBERS_MAX; number++) {
		int taken = try_number(directory, number, true, ret_number);

		if (taken)
			return taken < 0 ? taken : 0;
	}
	return -EMFILE;
}

void log_files_release(struct log_number *number)
{
	if (number->held)
		close(number->lock);
	number->held = false;
}

struct numbers {
	int after;
	unsigned lowest; /* LOG_NUMBERS_MAX: none */
};

static bool find_number(void *arg, const char *name)
{
	struct numbers *numbers = arg;
	uint64_t sequence;
	unsigned number;

	if (read_name(name, &number, &sequence) == FILE_POSITION && (int)number > numbers->after &&
		number < numbers->lowest)
		numbers->lowest = number;
	return true;
}

bool log_files_adopt(int directory, int after, struct log_number *ret_number)
{
	struct numbers numbers = {.after = after};

	for (;;) {
		numbers.lowest = LOG_NUMBERS_MAX;
		if (!each_name(directory, find_number, &numbers) ||
			numbers.lowest == LOG_NUMBERS_MAX)
			return false;
		numbers.after = (int)numbers.lowest;
		if (try_number(directory, numbers.lowest, false, ret_number) != 1)
			continue;
		if (log_files_unsent(ret_number) > 0)
			return true;
		log_files_release(ret_number);
	}
}

/* ---- one number's files */

int log_files_read(const struct log_number *number, uint64_t sequence)
{
	char name[LOG_NAME_SIZE];
	int fd;

	file_name(name, number->number, sequence == number->sequence ? 0 : sequence);
	fd = openat(number->directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

uint64_t log_files_next(const struct log_number *number, uint64_t sequence)
{
	struct search found = search(number->directory, number->number, sequence);

	return found.lowest < number->sequence ? found.lowest : number->sequence;
}

static uint64_t size_of(const struct log_number *number, uint64_t sequence)
{
	char name[LOG_NAME_SIZE];
	struct stat status;

	file_name(name, number->number, sequence == number->sequence ? 0 : sequence);
	if (fstatat(number->directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
		!S_ISREG(status.st_mode))
		return 0;
	return (uint64_t)status.st_size;
}

uint64_t log_files_unsent(const struct log_number *number)
{
	struct log_position at = number->sent;
	uint64_t bytes = 0;

	while (at.sequence <= number->sequence) {
		uint64_t size = at.sequence ? size_of(number, at.sequence) : 0;

		/* A file that is shorter is another one. */
		bytes += size >= at.offset ? size - at.offset : size;
		if (at.sequence == number->sequence)
			break;
		at = (struct log_position){log_files_next(number, at.sequence), 0};
	}
	return bytes;
}

int log_files_write(const struct log_number *number)
{
	char name[LOG_NAME_SIZE];
	int fd;

	name_of(name, number->number, CURRENT);
	fd = openat(number->directory, name, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		0640);
	return fd < 0 ? -errno : fd;
}

int log_files_rotate(struct log_number *number)
{
	char from[LOG_NAME_SIZE], to[LOG_NAME_SIZE];

	file_name(from, number->number, 0);
	file_name(to, number->number, number->sequence);
	if (renameat(number->directory, from, number->directory, to) != 0)
		return -errno;
	number->sequence++;
	return 0;
}

/* ---- what is kept */

struct former {
	unsigned number;
	uint64_t sequence, bytes, unsent;
	struct timespec written;
};

struct listing {
	int directory;
	struct former *all;
	size_t count, capacity;
	uint64_t bytes; /* of them together */
	bool failed;
};

static bool list_name(void *arg, const char *name)
{
	struct listing *listing = arg;
	struct former former = {0};
	enum file_kind kind = read_name(name, &former.number, &former.sequence);
	struct stat status;

	if (kind != FILE_FORMER ||
		fstatat(listing->directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return true;
	listing->bytes += (uint64_t)status.st_size;
	if (listing->count == listing->capacity) {
		size_t capacity = listing->capacity ? 2 * listing->capacity : 64;
		struct former *all = realloc(listing->all, capacity * sizeof(*all));

		listing->failed = !all;
		if (!all)
			return false;
		listing->all = all;
		listing->capacity = capacity;
	}
	former.bytes = (uint64_t)status.st_size;
	former.written = status.st_mtim;
	listing->all[listing->count++] = former;
	return true;
}

/* How much of it has not been sent, says the position that somebody else may be moving. */
static uint64_t unsent_of(int directory, const struct former *former)
{
	struct log_position sent;
	char name[LOG_NAME_SIZE];
	int fd;

	name_of(name, former->number, POSITION);
	fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return former->bytes;
	sent = read_position(fd);
	close(fd);
	if (former->sequence != sent.sequence)
		return former->sequence > sent.sequence ? former->bytes : 0;
	return former->bytes > sent.offset ? former->bytes - sent.offset : 0;
}

static int by_worth(const void *a, const void *b)
{
	const struct former *x = a, *y = b;

	if ((x->unsent > 0) != (y->unsent > 0))
		return x->unsent > 0 ? 1 : -1;
	if (x->written.tv_sec != y->written.tv_sec)
		return x->written.tv_sec > y->written.tv_sec ? 1 : -1;
	if (x->written.tv_nsec != y->written.tv_nsec)
		return x->written.tv_nsec > y->written.tv_nsec ? 1 : -1;
	return x->sequence > y->sequence ? 1 : x->sequence < y->sequence ? -1 : 0;
}

uint64_t log_files_prune(int directory, uint64_t keep, bool unsent)
{
	struct listing listing = {.directory = directory};
	uint64_t lost = 0;

	if (!each_name(directory, list_name, &listing) || listing.failed)
		listing.bytes = 0;
	if (listing.bytes > keep) {
		for (size_t i = 0; unsent && i < listing.count; i++)
			listing.all[i].unsent = unsent_of(directory, &listing.all[i]);
		qsort(listing.all, listing.count, sizeof(*listing.all), by_worth);
	}
	for (size_t i = 0; i < listing.count && listing.bytes > keep; i++) {
		char name[LOG_NAME_SIZE];

		file_name(name, listing.all[i].number, listing.all[i].sequence);
		if (unlinkat(directory, name, 0) == 0)
			lost += listing.all[i].unsent;
		listing.bytes -= listing.all[i].bytes;
	}
	free(listing.all);
	return lost;
}
