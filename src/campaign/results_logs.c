#include "campaign/results_logs.h"

#include "base/hash.h"
#include "bunshin/error.h"
#include "campaign/results_lines.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)256 << 10)
#define HEAD_BYTES 256

_Static_assert(PIECE_BYTES > RESULTS_LINE_MAX, "a piece holds a line");

struct results_logs {
	char *directory;
	struct results_db *db; /* borrowed */
	struct results_lines lines;
	size_t turn; /* bytes that may still be read in this turn */
	bool more;
	struct buf *error;
	char piece[PIECE_BYTES];
};

int results_logs_new(const char *directory, struct results_db *db, struct results_logs **ret_logs)
{
	struct results_logs *logs = calloc(1, sizeof(*logs));

	if (logs == NULL)
		return ERR_NOMEM;
	logs->db = db;
	logs->directory = strdup(directory);
	if (logs->directory == NULL) {
		free(logs);
		return ERR_NOMEM;
	}
	*ret_logs = logs;
	return 0;
}

void results_logs_free(struct results_logs *logs)
{
	if (logs == NULL)
		return;
	json_free(&logs->lines.json);
	free(logs->directory);
	free(logs);
}

uint64_t results_logs_broken(const struct results_logs *logs)
{
	return logs->lines.broken;
}

static int fail_file(struct results_logs *logs, const char *name)
{
	if (logs->error->len == 0)
		buf_appendf(logs->error, "cannot read %s/%s: %s", logs->directory, name,
			strerror(errno));
	return ERR_IO;
}

static int fail_database(struct results_logs *logs, int err)
{
	if (logs->error->len == 0)
		buf_appendf(logs->error, "the results: %s",
			err == ERR_NOMEM ? error_message(err) : results_db_detail(logs->db));
	return err;
}

/* Hash of the first bytes; inodes are used again, beginnings of logs are not. */
static int hash_head(int fd, uint32_t bytes, uint64_t *ret_hash)
{
	char head[HEAD_BYTES];
	ssize_t got = pread(fd, head, bytes, 0);

	if (got < 0)
		return ERR_IO;
	*ret_hash = hash_bytes(head, (size_t)got);
	return 0;
}

/* Where reading goes on. */
static int find_position(struct results_logs *logs, int fd, const struct stat *status,
	const char *name, struct results_position *position)
{
	uint64_t hash;
	int err = results_db_find_position(logs->db, status->st_dev, status->st_ino, position);

	if (err < 0 && err != ERR_NOT_FOUND)
		return fail_database(logs, err);
	if (err == 0 && position->head_bytes <= HEAD_BYTES &&
		position->position <= (uint64_t)status->st_size) {
		if (hash_head(fd, position->head_bytes, &hash) < 0)
			return fail_file(logs, name);
		if (hash == position->head_hash)
			return 0;
	}
	*position = (struct results_position){.device = status->st_dev, .inode = status->st_ino};
	return 0;
}

/*
 * Adds the whole lines of a piece. *ret_used: how much of it is done with. A piece without a line
 * feed is no line, however it goes on.
 */
static int add_piece(struct results_logs *logs, size_t len, size_t *ret_used)
{
	const char *feed = memrchr(logs->piece, '\n', len);
	size_t used = feed ? (size_t)(feed - logs->piece) + 1 : 0;
	int err;

	if (used == 0 && len == PIECE_BYTES) {
		logs->lines.broken++;
		used = len;
	} else if (used > 0) {
		err = results_lines_add(&logs->lines, logs->piece, used, logs->db);
		if (err < 0)
			return fail_database(logs, err);
	}
	*ret_used = used;
	return 0;
}

static int read_pieces(
	struct results_logs *logs, int fd, const char *name, struct results_position *position)
{
	size_t used = 0;
	ssize_t got;
	int err;

	do {
		if (logs->turn == 0) {
			logs->more = true;
			return 0;
		}
		got = pread(fd, logs->piece, PIECE_BYTES, (off_t)position->position);
		if (got < 0)
			return fail_file(logs, name);
		err = add_piece(logs, (size_t)got, &used);
		if (err < 0)
			return err;
		position->position += used;
		logs->turn -= used < logs->turn ? used : logs->turn;
	} while (used > 0);
	return 0;
}

static int read_opened(struct results_logs *logs, int fd, const char *name)
{
	struct results_position position;
	struct stat status;
	uint64_t before;
	int err;

	if (fstat(fd, &status) < 0)
		return fail_file(logs, name);
	if (!S_ISREG(status.st_mode))
		return 0;
	err = find_position(logs, fd, &status, name, &position);
	before = position.position;
	if (err == 0 && before != (uint64_t)status.st_size)
		err = read_pieces(logs, fd, name, &position);
	if (err < 0 || position.position == before)
		return err;
	position.head_bytes =
		position.position < HEAD_BYTES ? (uint32_t)position.position : HEAD_BYTES;
	if (hash_head(fd, position.head_bytes, &position.head_hash) < 0)
		return fail_file(logs, name);
	err = results_db_put_position(logs->db, &position);
	return err < 0 ? fail_database(logs, err) : 0;
}

static int read_file(struct results_logs *logs, int directory, const char *name)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int err;

	if (fd < 0) /* gone, or rotated, since it was listed: the next turn finds it */
		return errno == ENOENT ? 0 : fail_file(logs, name);
	err = read_opened(logs, fd, name);
	close(fd);
	return err;
}

/* outcomes-N.jsonl, or outcomes-N.jsonl.S (results/log_files.h). */
static bool is_log(const char *name)
{
	size_t digits;

	if (strncmp(name, "outcomes-", 9) != 0)
		return false;
	name += 9;
	digits = strspn(name, "0123456789");
	if (digits == 0 || strncmp(name + digits, ".jsonl", 6) != 0)
		return false;
	name += digits + 6;
	return name[0] == '\0' || (name[0] == '.' && name[1] != '\0' &&
					  name[1 + strspn(name + 1, "0123456789")] == '\0');
}

/* A file that cannot be read holds up no other. The first error. */
static int read_directory(struct results_logs *logs)
{
	DIR *directory = opendir(logs->directory);
	struct dirent *entry;
	int err, first = 0;

	if (directory == NULL) {
		buf_appendf(logs->error, "cannot read the directory %s: %s", logs->directory,
			strerror(errno));
		return ERR_IO;
	}
	while ((entry = readdir(directory)) != NULL) {
		err = is_log(entry->d_name) ? read_file(logs, dirfd(directory), entry->d_name) : 0;
		if (first == 0)
			first = err;
	}
	closedir(directory);
	return first;
}

int results_logs_read(struct results_logs *logs, bool *ret_more, struct buf *error)
{
	struct buf ignored = BUF_INIT(1024);
	int err, committed;

	logs->turn = RESULTS_LOGS_TURN_BYTES;
	logs->more = false;
	logs->error = error;
	err = read_directory(logs);
	/* What was read before an error is whole. When the database failed this undoes it. */
	committed = results_db_commit(logs->db, err < 0 ? &ignored : error);
	buf_free(&ignored);
	*ret_more = logs->more;
	return err < 0 ? err : committed;
}
