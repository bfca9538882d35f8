/*
 * How it lies in memory: what all share, a head for each place, the metrics of the gone ones, for
 * each place its checks and metrics, then for each its failures, those of the gone ones, and the
 * monitor's notes, all on pages of their own. A page of shared memory is made by the first who
 * touches it, be it only to read: so a place's pages are looked at only when its head says that
 * there is something.
 */
#include "supervisor/board.h"

#include "bunshin/error.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PLACES_MAX 8192
#define GONE_BYTES ((size_t)4 << 20)
#define TRIES 100
#define PAUSE_NS 200000

#define SEAT_WORDS 6
#define REPORT_WORDS 8
#define BACKLOG_WORDS 4
#define COUNTS_WORDS 7
#define CONTROL_WORDS (1 + BOARD_CONTROL_BYTES / sizeof(uint64_t)) /* the first: how many bytes */
#define CHECK_WORDS ((sizeof(struct board_check) + sizeof(uint64_t) - 1) / sizeof(uint64_t))
#define CHECKS_WORDS (BOARD_CHECKS_MAX * CHECK_WORDS)
#define FAILURE_WORDS (sizeof(struct failure_group) / sizeof(uint64_t))
#define FAILURES_WORDS (FAILURES_MAX * FAILURE_WORDS)

/*
 * Words that one process sets and others read. There are two copies, and each set of words is
 * written over the last but one: so it does not matter how long its writer is stopped, or whether
 * it dies. The state has how many sets there were, whose lowest bit is the copy, and below
 * SET_SHIFT how many words the last has.
 */
#define RECORD(n)                             \
	struct {                              \
		_Atomic uint64_t state;       \
		_Atomic uint64_t words[n][2]; \
	}
#define SET_SHIFT 16
#define SET(record, from, n) record_set(&(record)->state, (record)->words, from, n)
#define GET(record, to, n) record_get(&(record)->state, (record)->words, to, n)

struct head {
	_Alignas(64) RECORD(SEAT_WORDS) seat;
	RECORD(REPORT_WORDS) report;
	_Atomic uint64_t checks_state; /* their words are on the place's pages */
	_Atomic uint64_t has_metrics;
	_Atomic uint64_t failures_state; /* the same */
};

struct shared {
	_Alignas(64) _Atomic uint64_t clears; /* two for each board_clear(); odd: it is in one */
	RECORD(BACKLOG_WORDS) backlog;
	RECORD(COUNTS_WORDS) counts;
	RECORD(CONTROL_WORDS) control;
	_Atomic uint64_t gone_failures_state;
	struct head heads[];
};

struct checks {
	_Atomic uint64_t words[CHECKS_WORDS][2];
};

struct failure_words {
	_Atomic uint64_t words[FAILURES_WORDS][2];
};

_Static_assert(sizeof(struct failure_group) % sizeof(uint64_t) == 0, "whole words");
_Static_assert(FAILURES_WORDS < 1 << SET_SHIFT, "the state has room for their count");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock would not be shared by processes");

struct board {
	unsigned places;
	size_t bytes, place_bytes, failures_bytes;
	struct shared *shared;
	char *gone_memory;
	char *place_memory;
	char *failures_memory; /* of the places, and one more: of the gone ones */
	char *notes;
	struct metrics *gone;	       /* in gone_memory; of the process that calls board_clear() */
	struct failures gone_failures; /* the same process's */
	uint64_t clears; /* its own copy: others could write to the one on the board */
};

static size_t round_up(size_t bytes, size_t page)
{
	return (bytes + page - 1) / page * page;
}

static int map(struct board *board)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t heads = round_up(sizeof(struct shared) + board->places * sizeof(struct head), page);
	char *memory;

	board->place_bytes = round_up(sizeof(struct checks), page) + BOARD_METRICS_BYTES;
	board->failures_bytes = round_up(sizeof(struct failure_words), page);
	board->bytes = heads + GONE_BYTES + board->places * board->place_bytes +
		       (board->places + 1) * board->failures_bytes + BOARD_NOTES_BYTES;
	memory = mmap(NULL, board->bytes, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return ERR_NOMEM;
	/* One huge page a place would be four times what was asked for. */
	(void)madvise(memory, board->bytes, MADV_NOHUGEPAGE);
	board->shared = (struct shared *)(void *)memory;
	board->gone_memory = memory + heads;
	board->place_memory = memory + heads + GONE_BYTES;
	board->failures_memory = board->place_memory + board->places * board->place_bytes;
	board->notes = board->failures_memory + (board->places + 1) * board->failures_bytes;
	return 0;
}

struct board *board_new(unsigned places)
{
	static const struct board_backlog unknown = {.visible = -1, .in_flight = -1, .delayed = -1};
	struct board *board;

	if (places < 1 || places > PLACES_MAX)
		return NULL;
	board = calloc(1, sizeof(*board));
	if (!board)
		return NULL;
	board->places = places;
	if (map(board)) {
		free(board);
		return NULL;
	}
	board->gone = metrics_new_in(board->gone_memory, GONE_BYTES);
	if (!board->gone) {
		board_free(board);
		return NULL;
	}
	board_backlog_set(board, &unknown);
	return board;
}

void board_free(struct board *board)
{
	if (!board)
		return;
	metrics_free(board->gone);
	munmap(board->shared, board->bytes);
	free(board);
}

unsigned board_places(const struct board *board)
{
	return board->places;
}

static char *memory_of(const struct board *board, unsigned place)
{
	return board->place_memory + place * board->place_bytes;
}

static struct checks *checks_of(const struct board *board, unsigned place)
{
	return (struct checks *)(void *)memory_of(board, place);
}

static char *metrics_of(const struct board *board, unsigned place)
{
	return memory_of(board, place) + board->place_bytes - BOARD_METRICS_BYTES;
}

/* Records. */

static void record_set(
	_Atomic uint64_t *state, _Atomic uint64_t (*words)[2], const uint64_t *from, size_t count)
{
	uint64_t set = (atomic_load_explicit(state, memory_order_relaxed) >> SET_SHIFT) + 1;

	/* Whoever sees one of these words sees that the set it had been part of was no more last.
	 */
	atomic_thread_fence(memory_order_release);
	for (size_t i = 0; i < count; i++)
		atomic_store_explicit(&words[i][set & 1], from[i], memory_order_relaxed);
	atomic_store_explicit(state, set << SET_SHIFT | count, memory_order_release);
}

/* Returns how many words there are; 0: none were set, or they are set on and on. */
static size_t record_get(
	_Atomic uint64_t *state, _Atomic uint64_t (*words)[2], uint64_t *to, size_t room)
{
	for (unsigned tries = 0; tries < TRIES; tries++) {
		uint64_t before = atomic_load_explicit(state, memory_order_acquire);
		size_t count = before & ((1 << SET_SHIFT) - 1), set = before >> SET_SHIFT;

		if (count > room)
			count = room;
		for (size_t i = 0; i < count; i++)
			to[i] = atomic_load_explicit(&words[i][set & 1], memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(state, memory_order_relaxed) == before)
			return count;
	}
	memset(to, 0, room * sizeof(*to));
	return 0;
}

/*
 * The number of sets goes on, so that a reader in the middle of the last one does not take the
 * first of the next worker for it.
 */
static void record_clear(_Atomic uint64_t *state)
{
	record_set(state, NULL, NULL, 0);
}

void board_seat_set(struct board *board, unsigned place, const struct board_seat *seat)
{
	const uint64_t words[SEAT_WORDS] = {seat->state, (uint64_t)seat->pid, seat->number,
		seat->generation, seat->failures_in_row, seat->since_us};

	SET(&board->shared->heads[place].seat, words, SEAT_WORDS);
}

void board_seat_get(const struct board *board, unsigned place, struct board_seat *ret_seat)
{
	uint64_t words[SEAT_WORDS] = {0};
	pid_t pid;

	GET(&board->shared->heads[place].seat, words, SEAT_WORDS);
	pid = (pid_t)words[1];
	*ret_seat = (struct board_seat){
		.state = words[0] <= BOARD_WAITING ? (enum board_state)words[0] : BOARD_EMPTY,
		.pid = pid > 0 ? pid : 0, /* kill(-1) would be everybody */
		.number = (unsigned)words[2],
		.generation = (unsigned)words[3],
		.failures_in_row = (unsigned)words[4],
		.since_us = words[5]};
}

enum { REPORT_BEGUN = 1, REPORT_DRAINING = 2 };

void board_report_set(struct board *board, unsigned place, const struct board_report *report)
{
	const uint64_t words[REPORT_WORDS] = {report->heartbeat_us, report->progress_us,
		(report->begun ? REPORT_BEGUN : 0) | (report->draining ? REPORT_DRAINING : 0),
		report->held, report->busy, report->slots, report->wanting, report->received};

	SET(&board->shared->heads[place].report, words, REPORT_WORDS);
}

void board_report_get(const struct board *board, unsigned place, struct board_report *ret_report)
{
	uint64_t words[REPORT_WORDS] = {0};

	GET(&board->shared->heads[place].report, words, REPORT_WORDS);
	*ret_report = (struct board_report){.heartbeat_us = words[0],
		.progress_us = words[1],
		.begun = (words[2] & REPORT_BEGUN) != 0,
		.draining = (words[2] & REPORT_DRAINING) != 0,
		.held = words[3],
		.busy = words[4],
		.slots = words[5],
		.wanting = words[6],
		.received = words[7]};
}

/* `size` bytes, of which the last is a NUL; what was cut was cut between two characters. */
static void copy_text(char *to, size_t size, const char *from)
{
	size_t len = strnlen(from, size);

	if (len == size)
		for (len--; len > 0 && ((unsigned char)from[len] & 0xc0) == 0x80;)
			len--;
	memcpy(to, from, len);
	memset(to + len, 0, size - len);
}

void board_check_fill(
	struct board_check *check, const char *name, unsigned health, const char *detail)
{
	copy_text(check->name, sizeof(check->name), name);
	check->health = health;
	copy_text(check->detail, sizeof(check->detail), detail);
}

void board_checks_set(
	struct board *board, unsigned place, const struct board_check *checks, size_t count)
{
	uint64_t words[CHECKS_WORDS] = {0};

	if (count > BOARD_CHECKS_MAX)
		count = BOARD_CHECKS_MAX;
	for (size_t i = 0; i < count; i++)
		memcpy(&words[i * CHECK_WORDS], &checks[i], sizeof(checks[i]));
	record_set(&board->shared->heads[place].checks_state, checks_of(board, place)->words, words,
		count * CHECK_WORDS);
}

size_t board_checks_get(
	const struct board *board, unsigned place, struct board_check ret_checks[BOARD_CHECKS_MAX])
{
	uint64_t words[CHECKS_WORDS];
	size_t count = record_get(&board->shared->heads[place].checks_state,
			       checks_of(board, place)->words, words, CHECKS_WORDS) /
		       CHECK_WORDS;

	for (size_t i = 0; i < count; i++) {
		struct board_check check;

		memcpy(&check, &words[i * CHECK_WORDS], sizeof(check));
		board_check_fill(&ret_checks[i], check.name, check.health < 2 ? check.health : 2,
			check.detail);
	}
	return count;
}

/* Failures. */

static struct failure_words *failures_of(const struct board *board, unsigned place)
{
	return (struct failure_words *)(void *)(board->failures_memory +
						place * board->failures_bytes);
}

static void set_failures(
	_Atomic uint64_t *state, struct failure_words *to, const struct failures *failures)
{
	uint64_t words[FAILURES_WORDS];
	size_t count = failures->count < FAILURES_MAX ? failures->count : FAILURES_MAX;

	memcpy(words, failures->groups, count * sizeof(failures->groups[0]));
	record_set(state, to->words, words, count * FAILURE_WORDS);
}

static void get_failures(
	_Atomic uint64_t *state, struct failure_words *from, struct failures *ret_failures)
{
	uint64_t words[FAILURES_WORDS];

	ret_failures->count = record_get(state, from->words, words, FAILURES_WORDS) / FAILURE_WORDS;
	memcpy(ret_failures->groups, words, ret_failures->count * sizeof(ret_failures->groups[0]));
	failures_mend(ret_failures);
}

void board_failures_set(struct board *board, unsigned place, const struct failures *failures)
{
	set_failures(
		&board->shared->heads[place].failures_state, failures_of(board, place), failures);
}

static bool has_failures(_Atomic uint64_t *state)
{
	return (atomic_load_explicit(state, memory_order_relaxed) & ((1 << SET_SHIFT) - 1)) != 0;
}

/* Adds those of the place, if there are any. */
static void add_failures(const struct board *board, unsigned place, struct failures *into)
{
	_Atomic uint64_t *state = &board->shared->heads[place].failures_state;
	struct failures failures;

	if (!has_failures(state))
		return;
	get_failures(state, failures_of(board, place), &failures);
	failures_add(into, &failures);
}

/* Metrics. */

void *board_metrics(struct board *board, unsigned place)
{
	atomic_store_explicit(&board->shared->heads[place].has_metrics, 1, memory_order_relaxed);
	return metrics_of(board, place);
}

static void empty_place(struct board *board, unsigned place)
{
	struct head *head = &board->shared->heads[place];
	char *memory = memory_of(board, place);

	record_clear(&head->seat.state);
	record_clear(&head->report.state);
	record_clear(&head->checks_state);
	record_clear(&head->failures_state);
	atomic_store_explicit(&head->has_metrics, 0, memory_order_relaxed);
	/* All of it: what a worker gone mad has touched is not known. */
	if (madvise(memory, board->place_bytes, MADV_REMOVE) != 0)
		memset(memory, 0, board->place_bytes);
	memory = (char *)failures_of(board, place);
	if (madvise(memory, board->failures_bytes, MADV_REMOVE) != 0)
		memset(memory, 0, board->failures_bytes);
}

static void keep_failures(struct board *board, unsigned place)
{
	if (!has_failures(&board->shared->heads[place].failures_state))
		return;
	add_failures(board, place, &board->gone_failures);
	set_failures(&board->shared->gone_failures_state, failures_of(board, board->places),
		&board->gone_failures);
}

void board_clear(struct board *board, unsigned place)
{
	_Atomic uint64_t *clears = &board->shared->clears;

	atomic_store_explicit(clears, board->clears + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	/* Out of memory, what could not be added is forgotten: there is nobody to keep it. */
	if (atomic_load_explicit(&board->shared->heads[place].has_metrics, memory_order_relaxed) !=
		0)
		(void)metrics_collect(
			board->gone, metrics_of(board, place), BOARD_METRICS_BYTES, false);
	keep_failures(board, place);
	empty_place(board, place);
	board->clears += 2;
	atomic_store_explicit(clears, board->clears, memory_order_release);
}

/* Has nothing been cleared since? */
static bool is_quiet(const struct board *board, uint64_t clears)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&board->shared->clears, memory_order_relaxed) == clears;
}

/* 0, ERR_NOMEM, or ERR_PENDING: in between a place was cleared. */
static int add_up(const struct board *board, uint64_t clears, struct metrics *sum)
{
	int err = 0;

	for (unsigned place = 0; place < board->places && !err; place++) {
		if (atomic_load_explicit(
			    &board->shared->heads[place].has_metrics, memory_order_relaxed) == 0)
			continue;
		err = metrics_collect(sum, metrics_of(board, place), BOARD_METRICS_BYTES, true);
		if (!err && !is_quiet(board, clears))
			err = ERR_PENDING;
	}
	if (!err)
		err = metrics_collect(sum, board->gone_memory, GONE_BYTES, false);
	return err || is_quiet(board, clears) ? err : ERR_PENDING;
}

static int collect_once(const struct board *board, struct metrics *into)
{
	uint64_t clears = atomic_load_explicit(&board->shared->clears, memory_order_acquire);
	struct metrics *sum;
	int err;

	if (clears & 1)
		return ERR_PENDING;
	sum = metrics_new();
	err = sum ? add_up(board, clears, sum) : ERR_NOMEM;
	if (!err)
		err = metrics_add(into, sum);
	metrics_free(sum);
	return err;
}

int board_collect(const struct board *board, struct metrics *into)
{
	int err = collect_once(board, into);

	for (unsigned tries = 1; tries < TRIES && err == ERR_PENDING; tries++) {
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
		err = collect_once(board, into);
	}
	return err;
}

static int collect_failures_once(const struct board *board, struct failures *ret_failures)
{
	uint64_t clears = atomic_load_explicit(&board->shared->clears, memory_order_acquire);
	_Atomic uint64_t *gone = &board->shared->gone_failures_state;

	ret_failures->count = 0;
	if (clears & 1)
		return ERR_PENDING;
	if (has_failures(gone))
		get_failures(gone, failures_of(board, board->places), ret_failures);
	for (unsigned place = 0; place < board->places; place++)
		add_failures(board, place, ret_failures);
	return is_quiet(board, clears) ? 0 : ERR_PENDING;
}

int board_failures_collect(const struct board *board, struct failures *ret_failures)
{
	int err = collect_failures_once(board, ret_failures);

	for (unsigned tries = 1; tries < TRIES && err == ERR_PENDING; tries++) {
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
		err = collect_failures_once(board, ret_failures);
	}
	if (err)
		ret_failures->count = 0;
	failures_sort(ret_failures);
	return err;
}

/* What is found out and counted for all. */

void *board_notes(struct board *board)
{
	return board->notes;
}

void board_backlog_set(struct board *board, const struct board_backlog *backlog)
{
	const uint64_t words[BACKLOG_WORDS] = {(uint64_t)backlog->visible,
		(uint64_t)backlog->in_flight, (uint64_t)backlog->delayed, backlog->asked_us};

	SET(&board->shared->backlog, words, BACKLOG_WORDS);
}

static int64_t count_of(uint64_t word)
{
	return (int64_t)word < 0 ? -1 : (int64_t)word;
}

void board_backlog_get(const struct board *board, struct board_backlog *ret_backlog)
{
	uint64_t words[BACKLOG_WORDS];
	bool is_known = GET(&board->shared->backlog, words, BACKLOG_WORDS) == BACKLOG_WORDS;

	*ret_backlog = (struct board_backlog){.visible = is_known ? count_of(words[0]) : -1,
		.in_flight = is_known ? count_of(words[1]) : -1,
		.delayed = is_known ? count_of(words[2]) : -1,
		.asked_us = is_known ? words[3] : 0};
}

void board_control_set(struct board *board, const void *bytes, size_t count)
{
	uint64_t words[CONTROL_WORDS] = {count};

	if (count > BOARD_CONTROL_BYTES)
		return;
	memcpy(&words[1], bytes, count);
	SET(&board->shared->control, words, CONTROL_WORDS);
}

size_t board_control_get(const struct board *board, unsigned char ret_bytes[BOARD_CONTROL_BYTES])
{
	uint64_t words[CONTROL_WORDS] = {0};

	GET(&board->shared->control, words, CONTROL_WORDS);
	memcpy(ret_bytes, &words[1], BOARD_CONTROL_BYTES);
	return words[0] <= BOARD_CONTROL_BYTES ? (size_t)words[0] : 0;
}

enum { COUNTS_STOPPING = 1, COUNTS_RELOADING = 2 };

void board_counts_set(struct board *board, const struct board_counts *counts)
{
	const uint64_t words[COUNTS_WORDS] = {counts->started, counts->died, counts->killed,
		counts->reloads, counts->reloads_failed, counts->wanted,
		(counts->stopping ? COUNTS_STOPPING : 0) |
			(counts->reloading ? COUNTS_RELOADING : 0)};

	SET(&board->shared->counts, words, COUNTS_WORDS);
}

void board_counts_get(const struct board *board, struct board_counts *ret_counts)
{
	uint64_t words[COUNTS_WORDS] = {0};

	GET(&board->shared->counts, words, COUNTS_WORDS);
	*ret_counts = (struct board_counts){.started = words[0],
		.died = words[1],
		.killed = words[2],
		.reloads = words[3],
		.reloads_failed = words[4],
		.wanted = (unsigned)words[5],
		.stopping = (words[6] & COUNTS_STOPPING) != 0,
		.reloading = (words[6] & COUNTS_RELOADING) != 0};
}
