/*
 * A file that is said to be a journal: no input crashes, and what is opened is sound and the same
 * each time. Only the file's own pages are the input; there is no log beside it.
 */
#include "fuzz.h"

#include "bunshin/error.h"
#include "campaign/journal.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static void remove_files(void)
{
	static const char *const endings[] = {"", "-wal", "-shm", "-journal", ".lock"};
	char name[96];

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", path, endings[i]);
		unlink(name);
	}
}

static void put(const uint8_t *data, size_t size)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/bunshin-fuzz-%ld.campaign", (long)getpid());
	remove_files();
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FUZZ_CHECK(fd >= 0);
	FUZZ_CHECK(write(fd, data, size) == (ssize_t)size);
	close(fd);
}

static void check_rows(struct journal *journal, const struct journal_progress *progress)
{
	const struct journal_campaign *campaign = journal_campaign(journal);
	uint64_t shown = campaign->rows < 20000 ? campaign->rows : 20000;
	uint64_t confirmed = 0, rejected = 0;
	enum journal_reject reject;
	const char *reason;

	FUZZ_CHECK(campaign->rows <= JOURNAL_ROWS_MAX && campaign->valid <= campaign->rows);
	FUZZ_CHECK(!journal_is_confirmed(journal, 0));
	FUZZ_CHECK(!journal_is_confirmed(journal, campaign->rows + 1));
	for (uint64_t row = 1; row <= shown; row++) {
		confirmed += journal_is_confirmed(journal, row);
		if (!journal_find_reject(journal, row, &reject, &reason))
			continue;
		FUZZ_CHECK(!journal_is_confirmed(journal, row));
		FUZZ_CHECK(reject < JOURNAL_REJECTS && strlen(reason) <= JOURNAL_REASON_MAX);
		rejected++;
	}
	FUZZ_CHECK(confirmed <= progress->confirmed);
	for (int i = 0; i < JOURNAL_REJECTS; i++)
		FUZZ_CHECK(shown < campaign->rows || rejected >= progress->rejects[i]);
}

/* 0 or the error; *ret_progress of what could be opened. */
static int look(bool to_send, struct journal_progress *ret_progress)
{
	struct buf error = BUF_INIT(4096);
	struct journal *journal = NULL;
	int rc = journal_open(path, to_send, &journal, &error);

	FUZZ_CHECK((rc == 0) == (journal != NULL));
	FUZZ_CHECK((rc == 0) == (error.len == 0));
	if (rc == 0) {
		FUZZ_CHECK(journal_progress(journal, ret_progress) == 0);
		check_rows(journal, ret_progress);
	}
	journal_close(journal);
	buf_free(&error);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct journal_progress first, again, sent;
	int rc;

	put(data, size);
	rc = look(false, &first);
	FUZZ_CHECK(look(false, &again) == rc);
	if (rc == 0)
		FUZZ_CHECK(memcmp(&first, &again, sizeof(first)) == 0);
	/* Who wants to send looks closer, and sees nothing else. */
	if (look(true, &sent) == 0)
		FUZZ_CHECK(rc == 0 && memcmp(&first, &sent, sizeof(first)) == 0);
	remove_files();
	return 0;
}
