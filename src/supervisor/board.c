#include "supervisor/board.h"

#include "base/metrics_arena.h"
#include "bunshin/error.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PLACES_MAX 8192
#define PAGE 4096
#define READ_TRIES 100
#define CLEAR_PAUSE_NS 50000 /* about as long as a place takes to clear */

#define WORDS(type) ((sizeof(type) + sizeof(uint64_t) - 1) / sizeof(uint64_t))

/* A struct of which readers want one moment: odd while it is being written. */
#define RECORD(type)                         \
	struct {                             \
		uint64_t sequence;           \
		uint64_t words[WORDS(type)]; \
	}

struct checks {
	uint64_t count;
	struct board_check rows[BOARD_CHECKS_MAX];
};

struct place {
	RECORD(struct board_seat) seat;
	RECORD(struct board_report) report;
	RECORD(struct checks) checks;
};

/* What is shared; behind it the places, then the arenas: the gone ones' and one a place. */
struct shared {
	uint64_t clearing; /* odd while board_clear() moves a worker's counters */
	RECORD(struct board_backlog) backlog;
	RECORD(struct board_counts) counts;
};

struct board {
	unsigned places;
	size_t bytes;
	struct shared *shared;
	struct place *rows;
	char *arenas;
};

static size_t rounded(size_t bytes)
{
	return (bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
}

struct board *board_new(unsigned places)
{
	struct board *board = places >= 1 && places <= PLACES_MAX ? malloc(sizeof(*board)) : NULL;
	size_t head = rounded(sizeof(struct shared)), rows;
	char *memory;

	if (!board)
		return NULL;
	rows = rounded(places * sizeof(struct place));
	board->places = places;
	board->bytes = head + rows + (places + 1) * BOARD_METRICS_BYTES;
	memory = mmap(NULL, board->bytes, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		free(board);
		return NULL;
	}
	board->shared = (struct shared *)(void *)memory;
	board->rows = (struct place *)(void *)(memory + head);
	board->arenas = memory + head + rows;
	return board;
}

void board_free(struct board *board)
{
	if (!board)
		return;
	munmap(board->shared, board->bytes);
	free(board);
}

unsigned board_places(const struct board *board)
{
	return board->places;
}

/* ---- records: one writer, any number of readers */

static void record_set(uint64_t *sequence, uint64_t *words, const void *value, size_t bytes)
{
	uint64_t begun = __atomic_load_n(sequence, __ATOMIC_RELAXED) | 1;
	size_t count = (bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t);

	__atomic_store_n(sequence, begun, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (size_t i = 0; i < count; i++) {
		uint64_t word = 0;
		size_t at = i * sizeof(word);

		memcpy(&word, (const char *)value + at,
			bytes - at < sizeof(word) ? bytes - at : sizeof(word));
		__atomic_store_n(&words[i], word, __ATOMIC_RELAXED);
	}
	__atomic_store_n(sequence, begun + 1, __ATOMIC_RELEASE);
}

/* False: whoever writes it died in the middle, or never stops. */
static bool record_get(const uint64_t *sequence, const uint64_t *words, void *ret, size_t bytes)
{
	size_t count = (bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t);

	for (unsigned tries = 0; tries < READ_TRIES; tries++) {
		uint64_t before = __atomic_load_n(sequence, __ATOMIC_ACQUIRE);

		if (before & 1)
			continue;
		for (size_t i = 0; i < count; i++) {
			uint64_t word = __atomic_load_n(&words[i], __ATOMIC_RELAXED);
			size_t at = i * sizeof(word);

			memcpy((char *)ret + at, &word,
				bytes - at < sizeof(word) ? bytes - at : sizeof(word));
		}
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(sequence, __ATOMIC_RELAXED) == before)
			return true;
	}
	return false;
}

#define SET(record, value) record_set(&(record)->sequence, (record)->words, value, sizeof(*(value)))
#define GET(record, ret) record_get(&(record)->sequence, (record)->words, ret, sizeof(*(ret)))

void board_seat_set(struct board *board, unsigned place, const struct board_seat *seat)
{
	SET(&board->rows[place].seat, seat);
}

void board_seat_get(const struct board *board, unsigned place, struct board_seat *ret_seat)
{
	if (!GET(&board->rows[place].seat, ret_seat) || ret_seat->state > BOARD_WAITING)
		*ret_seat = (struct board_seat){.state = BOARD_EMPTY};
}

void board_report_set(struct board *board, unsigned place, const struct board_report *report)
{
	SET(&board->rows[place].report, report);
}

/* The copy may hold anything, and a bool that is neither 0 nor 1 is no value to read. */
struct report_words {
	uint64_t words[WORDS(struct board_report)];
};

void board_report_get(const struct board *board, unsigned place, struct board_report *ret_report)
{
	struct report_words raw;
	unsigned char flag;

	if (!GET(&board->rows[place].report, &raw)) {
		*ret_report = (struct board_report){.begun = false};
		return;
	}
	memcpy(&flag, (char *)&raw + offsetof(struct board_report, begun), 1);
	((char *)&raw)[offsetof(struct board_report, begun)] = flag != 0;
	memcpy(&flag, (char *)&raw + offsetof(struct board_report, draining), 1);
	((char *)&raw)[offsetof(struct board_report, draining)] = flag != 0;
	memcpy(ret_report, &raw, sizeof(*ret_report));
}

/* Cut to the room there is, between two characters. */
static void copy_text(char *to, size_t size, const char *from)
{
	size_t len = strnlen(from, size);

	if (len == size)
		for (len = size - 1; len > 0 && ((unsigned char)from[len] & 0xc0) == 0x80;)
			len--;
	memcpy(to, from, len);
	memset(to + len, 0, size - len);
}

void board_check_fill(
	struct board_check *check, const char *name, unsigned health, const char *detail)
{
	copy_text(check->name, sizeof(check->name), name);
	copy_text(check->detail, sizeof(check->detail), detail);
	check->health = health;
}

void board_checks_set(
	struct board *board, unsigned place, const struct board_check *checks, size_t count)
{
	struct checks all = {.count = count < BOARD_CHECKS_MAX ? count : BOARD_CHECKS_MAX};

	for (size_t i = 0; i < all.count; i++)
		all.rows[i] = checks[i];
	SET(&board->rows[place].checks, &all);
}

size_t board_checks_get(
	const struct board *board, unsigned place, struct board_check ret_checks[BOARD_CHECKS_MAX])
{
	struct checks all;

	if (!GET(&board->rows[place].checks, &all))
		return 0;
	if (all.count > BOARD_CHECKS_MAX)
		all.count = BOARD_CHECKS_MAX;
	for (size_t i = 0; i < all.count; i++) {
		ret_checks[i] = all.rows[i];
		ret_checks[i].name[BOARD_CHECK_NAME_SIZE - 1] = '\0';
		ret_checks[i].detail[BOARD_CHECK_DETAIL_SIZE - 1] = '\0';
		if (ret_checks[i].health > 2)
			ret_checks[i].health = 2;
	}
	return (size_t)all.count;
}

/* ---- metrics */

static char *gone_of(const struct board *board)
{
	return board->arenas;
}

static char *arena_of(const struct board *board, unsigned place)
{
	return board->arenas + (place + 1) * BOARD_METRICS_BYTES;
}

void *board_metrics(struct board *board, unsigned place)
{
	return arena_of(board, place);
}

/* The counters of the gone ones are read, added to, and written back to where they lie. */
static void fold(struct board *board, unsigned place)
{
	struct metrics *sum = metrics_new(), *gone;

	if (!sum)
		return;
	if (metrics_collect(sum, gone_of(board), BOARD_METRICS_BYTES, false) == 0 &&
		metrics_collect(sum, arena_of(board, place), BOARD_METRICS_BYTES, false) == 0) {
		memset(gone_of(board), 0, metrics_arena_used(gone_of(board), BOARD_METRICS_BYTES));
		gone = metrics_new_in(gone_of(board), BOARD_METRICS_BYTES);
		if (gone)
			metrics_add(gone, sum);
		metrics_free(gone);
	}
	metrics_free(sum);
}

void board_clear(struct board *board, unsigned place)
{
	uint64_t begun = board->shared->clearing + 1;
	size_t used = metrics_arena_used(arena_of(board, place), BOARD_METRICS_BYTES);

	__atomic_store_n(&board->shared->clearing, begun, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	if (used > 0)
		fold(board, place);
	/* Gives the pages back; what cannot be given back is at least all zero. */
	if (madvise(arena_of(board, place), BOARD_METRICS_BYTES, MADV_REMOVE) != 0)
		memset(arena_of(board, place), 0, used);
	memset(&board->rows[place], 0, sizeof(board->rows[place]));
	__atomic_store_n(&board->shared->clearing, begun + 1, __ATOMIC_RELEASE);
}

static int collect_all(const struct board *board, struct metrics *into)
{
	int err = metrics_collect(into, gone_of(board), BOARD_METRICS_BYTES, false);

	for (unsigned place = 0; place < board->places && !err; place++)
		if (metrics_arena_used(arena_of(board, place), BOARD_METRICS_BYTES) > 0)
			err = metrics_collect(
				into, arena_of(board, place), BOARD_METRICS_BYTES, true);
	return err;
}

int board_collect(const struct board *board, struct metrics *into)
{
	for (unsigned tries = 0; tries < READ_TRIES; tries++) {
		uint64_t before = __atomic_load_n(&board->shared->clearing, __ATOMIC_ACQUIRE);
		struct metrics *sum;
		int err;

		if (before & 1) {
			nanosleep(&(struct timespec){.tv_nsec = CLEAR_PAUSE_NS}, NULL);
			continue;
		}
		sum = metrics_new();
		err = sum ? collect_all(board, sum) : ERR_NOMEM;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!err && __atomic_load_n(&board->shared->clearing, __ATOMIC_RELAXED) != before)
			err = ERR_PENDING;
		if (!err)
			err = metrics_add(into, sum);
		metrics_free(sum);
		if (err != ERR_PENDING)
			return err;
	}
	return ERR_PENDING;
}

/* ---- what is found out and counted for all */

void board_backlog_set(struct board *board, const struct board_backlog *backlog)
{
	SET(&board->shared->backlog, backlog);
}

void board_backlog_get(const struct board *board, struct board_backlog *ret_backlog)
{
	if (!GET(&board->shared->backlog, ret_backlog) || ret_backlog->asked_us == 0)
		*ret_backlog =
			(struct board_backlog){.visible = -1, .in_flight = -1, .delayed = -1};
}

void board_counts_set(struct board *board, const struct board_counts *counts)
{
	SET(&board->shared->counts, counts);
}

void board_counts_get(const struct board *board, struct board_counts *ret_counts)
{
	if (!GET(&board->shared->counts, ret_counts))
		*ret_counts = (struct board_counts){.wanted = 0};
}
