/*
 * The journal of a campaign: an SQLite file that says what the campaign is and which rows of its
 * list are known to be in the queue.
 *
 * It lies at DIR/NAME.campaign, DIR being the campaign directory (the list's, or --dir), NAME the
 * campaign's name with every byte but A-Z a-z 0-9 . _ - as %XX. What a campaign is cannot be
 * changed once it has begun, but for its deadline. Rows are noted in memory and written by
 * journal_commit(): what was confirmed after the last commit is sent again on resume, with the same
 * keys.
 *
 * The file is in WAL mode while it is being sent, so DIR/NAME.campaign-wal and -shm belong to it; a
 * finished one is a single file that needs no writable directory to be read. Each row of each table
 * carries a checksum: a damaged file is refused, and never says that a row is in the queue that is
 * not.
 *
 * One process sends: it holds a lock on DIR/NAME.campaign.lock (fcntl's open file description lock,
 * so it goes when the process dies, however that happens), and SQLite's own locks are left alone.
 *
 * If the process dies
 *  - before journal_begin() has returned: there is no campaign, or all of it (the file is made
 * under another name, synced, and then given its name); NAME.campaign.new may be left, and is
 * removed by the next to begin.
 *  - between a row's confirmation and the commit that holds it: the row is sent again, same key.
 *  - in the middle of a commit: all of it is there or nothing.
 *  - after the last row and before journal_finish(): resume finds nothing to send and finishes it.
 *
 * If the machine dies: what journal_begin(), journal_set_deadline() and journal_finish() wrote is
 * there. Of the commits in between, which are not synced one by one, those that the file system had
 * not yet written are not (the last 30 seconds, as Linux is set up); their rows are sent again.
 */
#ifndef CAMPAIGN_JOURNAL_H
#define CAMPAIGN_JOURNAL_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define JOURNAL_SHA256_BYTES 32
#define JOURNAL_ROWS_MAX ((uint64_t)1 << 30)
#define JOURNAL_TEXT_MAX 65536 /* bytes of one text of the campaign */
#define JOURNAL_REASON_MAX 512 /* bytes; a longer one is cut */

/*
 * What a campaign is; the strings are copied where they are handed in, borrowed from the journal
 * (until it is closed) where they come out. NULL: not given. Paths are absolute.
 */
struct journal_campaign {
	const char *name;	 /* the Campaign attribute; "NAME#2" for a second run (--again) */
	const char *list;	 /* path of the recipient list */
	const char *list_format; /* "csv" or "jsonl" */
	unsigned char list_sha256[JOURNAL_SHA256_BYTES]; /* of the file's bytes as they lie there */
	const char *template_file;
	unsigned char template_sha256[JOURNAL_SHA256_BYTES]; /* all zero: no template */
	const char *key_column;				     /* --key; NULL: the row is the key */
	const char *group_column;			     /* --group */
	const char *rules;				     /* --validate, one a line */
	const char *suppression;			     /* path of --suppress */
	const char *destination;
	const char *queue_url;
	const char *endpoint;	/* --endpoint */
	unsigned pack;		/* --pack, at most PACKER_ROWS_MAX; 0: none */
	const char *pack_field; /* --pack-field, at most PACK_FIELD_MAX bytes; NULL without packs */
	bool skip_invalid;
	int64_t deadline_epoch_ms; /* 0: none */
	int64_t at_epoch_ms;	   /* --at; 0: at once */
	uint64_t rows;	/* of the list, rejected ones included; at most JOURNAL_ROWS_MAX */
	uint64_t valid; /* of them, to be sent */
};

enum journal_state { JOURNAL_UNFINISHED, JOURNAL_FINISHED };

/* Why a row of the list is not sent. Values are stable: they stand in the file. */
enum journal_reject {
	JOURNAL_REJECT_INVALID,	   /* the row, or what the template makes of it, is no message */
	JOURNAL_REJECT_MALFORMED,  /* --validate */
	JOURNAL_REJECT_DUPLICATE,  /* its key stood in an earlier row */
	JOURNAL_REJECT_SUPPRESSED, /* its key is in the suppression file */
	JOURNAL_REJECT_REFUSED,	   /* the queue refused it for good */
	JOURNAL_REJECTS
};
const char *journal_reject_name(enum journal_reject reject); /* "duplicate"; static */

struct journal;

/*
 * Where a file of a campaign lies: DIR/NAME and the ending, NAME as above, appended to `path`.
 * Pure. 0 or the buffer's error.
 */
int journal_file_path(
	const char *directory, const char *name, const char *ending, struct buf *path);
/* That of the journal itself, DIR/NAME.campaign. */
int journal_path(const char *directory, const char *name, struct buf *path);

/*
 * Opens what is there. 0, or with a sentence in `error`: ERR_NOT_FOUND; ERR_IO (also: no journal, a
 * damaged one, one of a newer version); ERR_PENDING: another process is sending it (only with
 * `to_send`); ERR_NOMEM. For reading any number of processes may have it open beside the one that
 * sends.
 */
int journal_open(const char *path, bool to_send, struct journal **ret_journal, struct buf *error);
/*
 * Takes the lock and begins to make one, under another name: rows may be rejected, and that
 * committed, before it is known what the campaign comes to. 0, or with a sentence in `error`:
 * ERR_ARGUMENT when there is a file already; ERR_PENDING, ERR_IO, ERR_NOMEM as above.
 */
int journal_prepare(const char *path, struct journal **ret_journal, struct buf *error);
/*
 * Gives it its name, with all that was rejected. 0: the campaign has begun, durably, and its rows
 * can be confirmed; ERR_TOO_LARGE: too many rows, or too long a text; ERR_IO, ERR_NOMEM. After a
 * failure there is no campaign, and the journal is only good for closing.
 */
int journal_begin(struct journal *journal, const struct journal_campaign *campaign,
	int64_t now_epoch_ms, struct buf *error);
/* Commits nothing; another may send from now on. What was only prepared is gone. NULL is fine. */
void journal_close(struct journal *journal);
/* For who knows that none of its rows can be in the queue: the campaign never was. Closes it. */
void journal_discard(struct journal *journal);

/* The process that is sending it at this moment; 0: none; -1: one whose id is not known. */
pid_t journal_sender(const char *path);

const struct journal_campaign *journal_campaign(const struct journal *journal);

struct journal_progress {
	enum journal_state state;
	uint64_t confirmed;		   /* rows that are in the queue */
	uint64_t rejects[JOURNAL_REJECTS]; /* of the others, committed ones */
	int64_t begun_epoch_ms;		   /* journal_begin() */
	int64_t finished_epoch_ms;	   /* 0: not yet */
};
/*
 * Where it stands. A reader sees what has been committed by now, and so do the calls below from
 * then on. 0; or ERR_IO, ERR_NOMEM, after which a reader closes the journal.
 */
int journal_progress(struct journal *journal, struct journal_progress *ret_progress);

/* Rows count from 1 (recipients.h); of any other nothing is known. */
bool journal_is_confirmed(const struct journal *journal, uint64_t row);
/* It is confirmed, or was refused by the queue before this journal was opened: nothing is to do. */
bool journal_is_settled(const struct journal *journal, uint64_t row);
/*
 * The committed reject of a row: false, there is none, or it was confirmed after all. The reason is
 * borrowed until the next call.
 */
bool journal_find_reject(struct journal *journal, uint64_t row, enum journal_reject *ret_reject,
	const char **ret_reason);

/* What follows is for the process that sends. */

/* Notes it; in memory until the next commit. 0, ERR_NOMEM, or ERR_ARGUMENT: there is no such row.
 */
int journal_confirm(struct journal *journal, uint64_t row);
/*
 * Notes a row that is not sent, or was refused. `reason` is for people. What is known of a row that
 * is confirmed stays. As journal_confirm(); each one noted takes some 100 bytes until the commit.
 */
int journal_reject(struct journal *journal, uint64_t row, uint64_t line, enum journal_reject reject,
	const char *reason);
/* What was noted since the last commit. */
uint64_t journal_uncommitted_rows(const struct journal *journal);
uint64_t journal_uncommitted_rejects(const struct journal *journal);
/*
 * Writes what was noted: it survives this process. 0, or ERR_IO (also: no room on the disk) with a
 * sentence in `error`; then nothing was written, and it may be tried again.
 */
int journal_commit(struct journal *journal, struct buf *error);
/*
 * The last commit: every row is confirmed or rejected. As journal_commit(), and durable; or
 * ERR_ARGUMENT when there are rows that are neither: what was noted is committed, and it is not
 * finished.
 */
int journal_finish(struct journal *journal, int64_t now_epoch_ms, struct buf *error);
/* From now on the campaign has this one, 0 for none. Durable. 0 or ERR_IO with a sentence. */
int journal_set_deadline(struct journal *journal, int64_t deadline_epoch_ms, struct buf *error);

#endif
