/*
 * The board: memory that the supervisor, its workers and the monitor share. Each worker has a place
 * on it, in which it alone writes what it is doing and where its metrics lie; the supervisor writes
 * who sits there. A process that runs alone has a board too, in the same memory.
 *
 * Readers trust nothing they find in a place: its worker may be writing just now, or have died in
 * the middle of it, or have gone mad. Every length is bounded, every text ended by the reader, and
 * words of 64 bits are read and written whole. What is set is read as it was set last, all of one
 * moment: a writer that is stopped or dies in the middle leaves what it had set before. Metrics are
 * read word by word, and may be of two moments.
 *
 * Times are CLOCK_MONOTONIC microseconds, which all processes of a host share.
 */
#ifndef SUPERVISOR_BOARD_H
#define SUPERVISOR_BOARD_H

#include "base/metrics.h"
#include "supervisor/failures.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BOARD_CHECKS_MAX 12
#define BOARD_CHECK_NAME_SIZE 24
#define BOARD_CHECK_DETAIL_SIZE 256
/* Of one place; only what is used costs memory. 64 destinations and as many campaigns have room. */
#define BOARD_METRICS_BYTES ((size_t)1 << 20)

struct board;

/*
 * Anonymous shared memory for `places` workers (1-8192; the address space of each is a MiB),
 * inherited over fork(). Only pages that are written cost memory. NULL: out of memory.
 */
struct board *board_new(unsigned places);
/* Unmaps it for this process. NULL is fine. */
void board_free(struct board *board);
unsigned board_places(const struct board *board);

enum board_state {
	BOARD_EMPTY,
	BOARD_STARTING, /* forked, has not begun to receive */
	BOARD_RUNNING,
	BOARD_STOPPING, /* told to stop */
	BOARD_WAITING,	/* died; its successor is started after a back-off */
};

#define BOARD_CRASH_LOOP 5 /* deaths in a row, each soon after the start */

/* Who sits in a place. Written by the supervisor alone. */
struct board_seat {
	enum board_state state;
	pid_t pid;		  /* 0: nobody */
	unsigned number;	  /* of the worker, from 1; a successor has its predecessor's */
	unsigned generation;	  /* of the configuration it was started with */
	unsigned failures_in_row; /* deaths soon after the start */
	uint64_t since_us;	  /* in this state */
};
void board_seat_set(struct board *board, unsigned place, const struct board_seat *seat);
void board_seat_get(const struct board *board, unsigned place, struct board_seat *ret_seat);

/* What a worker says of itself. */
struct board_report {
	uint64_t heartbeat_us; /* its loop turned */
	uint64_t progress_us;  /* it got something done, or there was nothing to do */
	bool begun;	       /* it receives */
	bool draining;
	uint64_t held;	/* messages */
	uint64_t busy;	/* attempts in flight */
	uint64_t slots; /* attempts that could be */
	uint64_t
		wanting; /* polls that came back full since the start: there is more in the queue */
	uint64_t received; /* messages since the start */
};
void board_report_set(struct board *board, unsigned place, const struct board_report *report);
void board_report_get(const struct board *board, unsigned place, struct board_report *ret_report);

/* One thing that readiness depends on; health as enum admin_health (0 fine, 1 degraded, 2 failed).
 */
struct board_check {
	char name[BOARD_CHECK_NAME_SIZE];
	unsigned health; /* a reader never sees more than 2 */
	char detail[BOARD_CHECK_DETAIL_SIZE];
};
/* Longer texts are cut between two characters. */
void board_check_fill(
	struct board_check *check, const char *name, unsigned health, const char *detail);
/* The first BOARD_CHECKS_MAX. */
void board_checks_set(
	struct board *board, unsigned place, const struct board_check *checks, size_t count);
/* How many were set last; none, too, when they are set without a pause while this reads. */
size_t board_checks_get(
	const struct board *board, unsigned place, struct board_check ret_checks[BOARD_CHECKS_MAX]);

/*
 * The memory of a place's metrics, BOARD_METRICS_BYTES long, for metrics_new_in(). Called by the
 * worker of the place: from then on board_collect() looks there.
 */
void *board_metrics(struct board *board, unsigned place);

/*
 * The worker of this place is gone: adds its counters, histograms and failures to those of all that
 * went before, and empties the place for the next, its seat too; the memory goes back to the
 * system. By the supervisor (or the process that runs alone), always the same process. Series of
 * the gone ones that find no room in 4 MiB, or no memory, are forgotten.
 */
void board_clear(struct board *board, unsigned place);
/*
 * Adds up the metrics of all workers, the gone ones' counters and histograms included, into `into`
 * (gauges by the rule each was registered with). Never counts a worker twice or not at all while
 * board_clear() runs in another process: it begins anew then, at most 100 times with 0.2 ms
 * between. 0; ERR_NOMEM, with a part added; ERR_PENDING, with nothing added: no quiet moment was
 * found, or the supervisor died in board_clear().
 */
int board_collect(const struct board *board, struct metrics *into);

/* What went wrong at a place so far; copied. */
void board_failures_set(struct board *board, unsigned place, const struct failures *failures);
/*
 * Adds up those of all workers, the gone ones included, the latest first. As board_collect() it
 * never counts a worker twice or not at all. 0; ERR_PENDING, with *ret_failures empty.
 */
int board_failures_collect(const struct board *board, struct failures *ret_failures);

/* What the monitor found out for all. Plain words of 64 bits; -1: not known. */
struct board_backlog {
	int64_t visible, in_flight, delayed;
	uint64_t asked_us; /* when; 0: never */
};
void board_backlog_set(struct board *board, const struct board_backlog *backlog);
void board_backlog_get(const struct board *board, struct board_backlog *ret_backlog);

/*
 * What the operator asks of all workers, as the monitor read it last: bytes that only those who
 * write and read them understand. A reader gets what was set as a whole, at most
 * BOARD_CONTROL_BYTES (more are not set), and returns how many; 0: none were set yet.
 */
#define BOARD_CONTROL_BYTES ((size_t)512)
void board_control_set(struct board *board, const void *bytes, size_t count);
size_t board_control_get(const struct board *board, unsigned char ret_bytes[BOARD_CONTROL_BYTES]);

/*
 * Memory of the monitor's, aligned to 64 bytes and zero at first, that outlives it: its successor
 * goes on with what it finds there, of which it trusts nothing, since all processes can write to
 * it.
 */
#define BOARD_NOTES_BYTES ((size_t)256 << 10)
void *board_notes(struct board *board);

/* What the supervisor counts, for the monitor. */
struct board_counts {
	uint64_t started, died, killed; /* workers, since the start; killed: for want of progress */
	uint64_t reloads, reloads_failed;
	unsigned wanted; /* workers that there should be now */
	bool stopping;
	bool reloading;
};
void board_counts_set(struct board *board, const struct board_counts *counts);
void board_counts_get(const struct board *board, struct board_counts *ret_counts);

#endif
