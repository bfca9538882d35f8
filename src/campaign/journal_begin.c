/* The beginning of a campaign: its journal is made under another name, and then given its own. */
#include "bunshin/error.h"
#include "campaign/journal_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int says_errno(struct journal *journal)
{
	snprintf(journal->detail, sizeof(journal->detail), "%s", strerror(errno));
	return ERR_IO;
}

/* An empty file that only its owner may read; what SQLite makes beside it gets the same mode. */
static int make_file(struct journal *journal)
{
	int fd;

	unlink(journal->new_path);
	fd = open(journal->new_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return says_errno(journal);
	close(fd);
	return 0;
}

static int create(struct journal *journal)
{
	int rc;

	if (asprintf(&journal->new_path, "%s.new", journal->path) < 0) {
		journal->new_path = NULL;
		return ERR_NOMEM;
	}
	rc = make_file(journal);
	if (rc == 0)
		rc = journal_connect(journal, journal->new_path, true);
	return rc == 0 ? journal_make_tables(journal) : rc;
}

int journal_prepare(const char *path, struct journal **ret_journal, struct buf *error)
{
	struct journal *journal;
	int rc = journal_make(path, true, &journal, error);

	if (rc < 0)
		return rc;
	if (access(path, F_OK) == 0) {
		buf_appendf(error, "there is a %s already", path);
		journal_close(journal);
		return ERR_ARGUMENT;
	}
	/* Which rows there will be is not known yet. */
	journal->campaign.rows = JOURNAL_ROWS_MAX;
	rc = create(journal);
	if (journal_tell(journal, "cannot make", rc, error) < 0)
		journal_close(journal);
	else
		*ret_journal = journal;
	return rc;
}

static int sync_directory(struct journal *journal)
{
	char path[PATH_MAX];
	char *slash;
	int fd, rc;

	snprintf(path, sizeof(path), "%s", journal->path);
	slash = strrchr(path, '/');
	if (slash)
		slash[slash == path ? 1 : 0] = '\0';
	fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return says_errno(journal);
	rc = fsync(fd) == 0 ? 0 : says_errno(journal);
	close(fd);
	return rc;
}

/* Only who holds the lock gets here; a file system without RENAME_NOREPLACE has its word for it. */
static int give_name(struct journal *journal)
{
	if (renameat2(AT_FDCWD, journal->new_path, AT_FDCWD, journal->path, RENAME_NOREPLACE) < 0) {
		if (errno != EINVAL && errno != ENOSYS)
			return says_errno(journal);
		if (rename(journal->new_path, journal->path) < 0)
			return says_errno(journal);
	}
	free(journal->new_path);
	journal->new_path = NULL;
	return sync_directory(journal);
}

static bool is_too_large(const struct journal_campaign *campaign)
{
	const char *const texts[] = {campaign->name, campaign->list, campaign->template_file,
		campaign->key_column, campaign->group_column, campaign->rules,
		campaign->suppression, campaign->destination, campaign->queue_url,
		campaign->endpoint};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i] && strlen(texts[i]) > JOURNAL_TEXT_MAX)
			return true;
	return campaign->rows > JOURNAL_ROWS_MAX;
}

/* The last transaction under the other name. */
static int complete(struct journal *journal, const struct journal_campaign *campaign)
{
	int rc = journal_run(journal, "PRAGMA synchronous=FULL");

	if (rc == 0)
		rc = journal_begin_write(journal);
	if (rc < 0)
		return rc;
	rc = journal_rows_store(journal);
	if (rc == 0)
		rc = journal_campaign_store(journal, campaign);
	if (rc == 0)
		rc = journal_packing_store(journal, campaign);
	return journal_end_write(journal, rc);
}

int journal_begin(struct journal *journal, const struct journal_campaign *campaign,
	int64_t now_epoch_ms, struct buf *error)
{
	int rc;

	if (is_too_large(campaign)) {
		buf_appendf(error, "the campaign is too large for a journal: %llu rows",
			(unsigned long long)campaign->rows);
		return ERR_TOO_LARGE;
	}
	journal->begun_epoch_ms = now_epoch_ms;
	rc = complete(journal, campaign);
	if (rc == 0) {
		journal_rows_written(journal);
		journal_disconnect(journal);
		rc = give_name(journal);
	}
	if (rc == 0) {
		rc = journal_open_to_send(journal);
		if (rc < 0)
			unlink(journal->path);
	}
	return journal_tell(journal, "cannot make", rc, error);
}

void journal_discard(struct journal *journal)
{
	if (!journal)
		return;
	journal_disconnect(journal);
	unlink(journal->path);
	journal_close(journal);
}
