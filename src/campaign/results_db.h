/*
 * What is known of the outcomes of campaigns: an SQLite file, DIR/results.db, filled from the
 * results queue or from outcome logs, one row a message (a key).
 *
 * Of several records of one key the heaviest outcome holds (enum result_outcome); of equal ones the
 * latest, but of two acceptances the earliest, which is when the recipient was reached first, and
 * of two records of the same moment the one whose texts sort later. Attempts (the most), the first
 * time (the earliest) and whether any attempt went unanswered are kept over all records of the key.
 * So the order in which records are added makes no difference, and adding one again changes
 * nothing: what was not confirmed to the queue may be added twice.
 *
 * If the process dies
 *  - before results_db_commit() has returned: nothing since the commit before is there, neither
 *    records nor statuses nor positions in logs. Messages are deleted from the queue only after it.
 *  - after it: all is there, also after a loss of power (the log of writes is synced).
 *
 * One process writes, which a lock on PATH.lock ensures; any number may read. No function is called
 * from inside a `visit`. Single-threaded.
 *
 * Memory: at most RESULTS_DB_CACHE_BYTES of pages for one who writes, a quarter of it for one who
 * reads, and less than 1 MiB of tables.
 */
#ifndef CAMPAIGN_RESULTS_DB_H
#define CAMPAIGN_RESULTS_DB_H

#include "base/buf.h"
#include "results/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESULTS_DB_NAME "results.db" /* in the campaign directory */
#define RESULTS_DB_CACHE_BYTES ((size_t)32 << 20)
#define RESULTS_DB_WORKERS_MAX 4096 /* statuses kept: those of the latest ones */

struct results_db;

/*
 * Makes it when it is not there, unless read_only. 0, or with a sentence in `error`:
 * ERR_NOT_FOUND: read_only, and it is not there, or whoever made it has written nothing yet;
 * ERR_PENDING: another process writes it (may be opened read_only); ERR_CONFIG: the file is
 * something else, or of a newer version; ERR_IO; ERR_NOMEM.
 */
int results_db_open(
	const char *path, bool read_only, struct results_db **ret_db, struct buf *error);
void results_db_close(struct results_db *db); /* what was not committed is lost; NULL is fine */

/*
 * Writing. Each add returns 0, ERR_IO or ERR_NOMEM. The first error sticks: whatever is added
 * afterwards returns it, too, and so does the next commit, which undoes everything since the commit
 * before. Then one may go on.
 */
int results_db_add(struct results_db *db, const struct result_record *record);
/* The latest of each worker is kept. */
int results_db_add_status(struct results_db *db, const struct result_status *status);
/* 0; ERR_IO, ERR_NOMEM with a sentence in `error`: nothing since the last commit is there. */
int results_db_commit(struct results_db *db, struct buf *error);
/* Has anything been added since the last commit? */
bool results_db_is_dirty(const struct results_db *db);

/*
 * How far a file of an outcome log has been read. A file is known by device and inode, and, since
 * inodes are used again, by a hash of its first head_bytes.
 */
struct results_position {
	uint64_t device, inode;
	uint64_t position; /* bytes from its start */
	uint64_t head_hash;
	uint32_t head_bytes;
};
/* 0, ERR_NOT_FOUND, ERR_IO, ERR_NOMEM. */
int results_db_find_position(struct results_db *db, uint64_t device, uint64_t inode,
	struct results_position *ret_position);
/* As results_db_add(): it is there when the records read up to it are. */
int results_db_put_position(struct results_db *db, const struct results_position *position);

/*
 * Reading, by those who write (who see what they have added, committed or not), and by readers.
 * Each returns 0, ERR_IO or ERR_NOMEM, unless it says more; results_db_detail() then has the
 * database's words. A campaign that nothing is known of is no error: all is 0.
 */
const char *results_db_detail(const struct results_db *db);

/*
 * Between the two, a reader (read_only) sees the database as it was at the first read, and is
 * faster at many small reads. The writer's log of writes grows meanwhile: not for long.
 */
int results_db_hold(struct results_db *db);
void results_db_release(struct results_db *db);

/*
 * A campaign's outcomes so far; costs the same however many there are. RESULT_SUPPRESSED alone (the
 * record of the acceptance was lost in a crash) counts as accepted.
 */
struct results_tally {
	uint64_t by_outcome[RESULT_OUTCOMES]; /* each key once; suppressed is counted in accepted */
	/* Of the failed, expired and cancelled: an attempt went unanswered. */
	uint64_t uncertain;
	int64_t first_received_epoch_ms; /* the earliest of all its messages; 0: none is known */
	int64_t first_accepted_epoch_ms, last_accepted_epoch_ms; /* 0: none */
	int64_t last_epoch_ms; /* the latest record that holds for a key, retrying or not; 0: none
				*/
};
int results_db_tally(struct results_db *db, const char *campaign, struct results_tally *ret_tally);

/* Keys that came to their end in [from, to), accepted and otherwise. Costs as many as there are. */
int results_db_count_ended(struct results_db *db, const char *campaign, int64_t from_epoch_ms,
	int64_t to_epoch_ms, uint64_t *ret_accepted, uint64_t *ret_other);

/*
 * One recipient's outcome, by key: the record that holds, with attempts, first and unanswered of
 * all of them. Borrowed until the next call. ERR_NOT_FOUND: nothing is known.
 */
int results_db_find(struct results_db *db, const char *key, struct result_record *ret_record);

/* Every campaign that a record names ("" for those without), with its number of keys. */
int results_db_each_campaign(struct results_db *db,
	void (*visit)(void *arg, const char *campaign, uint64_t keys), void *arg);

/* Of the failed, expired and retrying ones: how many for each reason, most first, at most `limit`.
 * The sample is the least of the keys. Borrowed during the call. */
struct results_reason {
	enum result_outcome outcome;
	int status;
	const char *reason;
	uint64_t count;
	const char *sample_key, *sample_request_id;
};
int results_db_each_reason(struct results_db *db, const char *campaign, unsigned limit,
	void (*visit)(void *arg, const struct results_reason *reason), void *arg);

/*
 * The delivery curve: acceptances in each of `buckets` (1 or more) equal parts of [from, to), which
 * is not empty. Reads every acceptance of the time.
 */
int results_db_curve(struct results_db *db, const char *campaign, int64_t from_epoch_ms,
	int64_t to_epoch_ms, uint64_t counts[], unsigned buckets);
/*
 * The instant by which `part` of `whole` of the accepted were: part 1, whole 2 is the median; part
 * at most whole, whole at most 1000000. 0 in *ret when nothing was accepted.
 */
int results_db_quantile(struct results_db *db, const char *campaign, uint64_t part, uint64_t whole,
	int64_t *ret_epoch_ms);

/* Workers heard of since `since_epoch_ms`, each with its latest status; by name. */
int results_db_each_status(struct results_db *db, int64_t since_epoch_ms,
	void (*visit)(void *arg, const struct result_status *status), void *arg);
/* The time of the latest status of all; 0: there is none. */
int results_db_last_heard(struct results_db *db, int64_t *ret_epoch_ms);

#endif
